"""Every page in a real browser: nothing missing, nothing too wide, found by the search."""

import io

import pages
import pytest
from PIL import Image, ImageStat
from playwright.sync_api import expect

from .conftest import DESKTOP, PHONE, SCREENSHOTS

ALL_PAGES = sorted(path.relative_to(pages.HTML).as_posix() for path in pages.HTML.rglob("*.html"))
SEEN = ["index", "lessons", "06_resume_training", "docs/PITFALLS", "docs/api"]

WITH_TABLES = [name for name in ALL_PAGES if "table-wrapper" in (pages.HTML / name).read_text()]
HIDDEN_COLUMNS = """() => [...document.querySelectorAll("article .table-wrapper")]
    .map(box => box.scrollWidth - box.clientWidth).filter(hidden => hidden > 1)"""
MISSING_IMAGES = """() => [...document.images]
    .filter(image => { image.loading = "eager"; return !(image.complete && image.naturalWidth); })
    .map(image => image.src)"""
# The theme lets its column of text scroll, so the width of the document alone says nothing: what
# reaches out of the window must lie in a part of the article that scrolls and is itself inside.
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const outside = one => one.getBoundingClientRect().right > width + 1;
    const scrolls = one => {
        for (; one && one.tagName !== "ARTICLE"; one = one.parentElement)
            if (getComputedStyle(one).overflowX !== "visible" && !outside(one)) return true;
        return false;
    };
    const wide = [...document.querySelectorAll("article *")]
        .filter(one => one.getClientRects().length && outside(one) && !scrolls(one))
        .map(one => one.tagName + " " + one.textContent.trim().slice(0, 60));
    const whole = document.scrollingElement.scrollWidth;
    return whole > width ? [`${whole} of ${width}`, ...wide.slice(0, 3)] : wide.slice(0, 3);
}"""


@pytest.mark.parametrize("name", ALL_PAGES)
def test_a_page_is_whole_and_fits_a_phone(visitor, name):
    visitor.open(name)
    assert visitor.troubles == []
    visitor.page.wait_for_function(f"() => ({MISSING_IMAGES})().length === 0", timeout=5000)
    assert visitor.page.title()
    visitor.page.set_viewport_size(PHONE)
    assert visitor.page.evaluate(TOO_WIDE) == []


def test_the_theme_can_be_switched(visitor):
    visitor.open("index.html")
    colour = "() => getComputedStyle(document.body).backgroundColor"
    colours = {visitor.page.evaluate(colour)}
    for _ in range(2):
        visitor.page.locator(".theme-toggle-content .theme-toggle").click()
        colours.add(visitor.page.evaluate(colour))
    assert len(colours) == 2


def test_code_can_be_copied_and_outputs_cannot(visitor):
    visitor.open("01_checkpoint_improvements.html")
    assert visitor.page.locator(".cell_input button.copybtn").count() > 5
    assert visitor.page.locator(".cell_output button.copybtn").count() == 0


def test_a_long_log_shows_whole_lines_and_scrolls(visitor):
    visitor.open("01_checkpoint_improvements.html")
    log = visitor.page.locator(".cell_output pre").first
    shown, whole, line = log.evaluate(
        """log => {
            const style = getComputedStyle(log);
            const shown = log.clientHeight - parseFloat(style.paddingTop);
            return [shown, log.scrollHeight, parseFloat(style.lineHeight)];
        }"""
    )
    assert abs(shown / line - 24) < 0.05
    assert whole > 30 * line


@pytest.mark.parametrize("width", [1024, 1280, 1366, 1920])
def test_the_longest_line_of_code_fits_the_window(visitor, width):
    """Ruff allows 100 characters. In a small window such a line scrolls, as on a phone."""
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.open("01_checkpoint_improvements.html")
    code = visitor.page.locator(".cell_input pre").first
    code.evaluate("code => { code.textContent = 'M'.repeat(100); }")
    inside, whole = code.evaluate("code => [code.clientWidth, code.scrollWidth]")
    assert (whole <= inside) == (width >= 1280)
    assert visitor.page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("name", ["docs/OLD_ARTICLES", "README"])
def test_tables_of_code_fit_beside_the_menu(visitor, name):
    """The last column says what to write today."""
    visitor.open(f"{name}.html")
    assert visitor.page.evaluate(HIDDEN_COLUMNS) == []


def right_edge(box) -> float:
    """How dark the last pixels of a box are, where a shadow says that it can be scrolled."""
    with Image.open(io.BytesIO(box.screenshot())) as image:
        strip = image.convert("L").crop((image.width - 6, 0, image.width, image.height))
    return 255 - ImageStat.Stat(strip).mean[0]


@pytest.mark.parametrize("name", WITH_TABLES)
def test_on_a_phone_no_column_of_a_table_is_cut_without_a_sign(visitor, name):
    """A table that is too wide scrolls, and a shadow at its edge says so until it is at its end."""
    visitor.page.set_viewport_size(PHONE)
    visitor.open(name)
    boxes = visitor.page.locator("article .table-wrapper")
    assert visitor.page.locator("article table").count() == boxes.count()
    for box in boxes.all():
        hidden, scrolls = box.evaluate(
            """box => [box.scrollWidth - box.clientWidth, getComputedStyle(box).overflowX]"""
        )
        if hidden <= 8:  # no letter, only what is left free at the edge
            continue
        assert scrolls == "auto"
        shadow = right_edge(box)
        box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
        reached = "box => box.scrollWidth - box.clientWidth - box.scrollLeft"
        assert box.evaluate(reached) <= 1
        assert shadow > right_edge(box) + 10, box.inner_text()[:60]


def test_the_tables_of_the_front_page_fit_a_phone(visitor):
    visitor.page.set_viewport_size(PHONE)
    visitor.open("README.html")
    assert visitor.page.evaluate(HIDDEN_COLUMNS) == []


def test_a_card_of_the_gallery_leads_to_its_lesson(visitor):
    visitor.open("lessons.html")
    assert visitor.page.locator(".gallery a.card").count() == len(pages.recording.scripts())
    visitor.page.locator(".gallery a.card").first.click()
    expect(visitor.page.locator("h1")).to_contain_text("01")


@pytest.mark.parametrize("name", SEEN)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["page", "phone"])
def test_screenshots(visitor, name, size):
    """Look at these pictures after a change: out/site/screenshots."""
    visitor.page.set_viewport_size(size)
    visitor.open(f"{name}.html")
    SCREENSHOTS.mkdir(exist_ok=True)
    target = SCREENSHOTS / f"{name.replace('/', '_')}-{size['width']}.png"
    visitor.page.screenshot(path=target, full_page=False)
    smallest = visitor.page.evaluate(
        """() => Math.min(...[...document.querySelectorAll("article p, article li, article pre")]
            .filter(one => one.offsetParent)
            .map(one => parseFloat(getComputedStyle(one).fontSize)))"""
    )
    assert smallest >= 12
