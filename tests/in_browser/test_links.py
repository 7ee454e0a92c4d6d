"""Every link inside the pages leads to a page that exists, and to a place that exists on it."""

import collections
import functools
import html
import html.parser
import json
import pathlib
import re
import urllib.parse

import pages
import pytest

ALL_PAGES = sorted(pages.HTML.rglob("*.html"))


class Found(html.parser.HTMLParser):
    """The anchors and the addresses of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: collections.Counter[str] = collections.Counter()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors[values["id"]] += 1
        self.addresses += [values[name] for name in ("href", "src") if name in values]


@functools.cache
def read(page: pathlib.Path) -> Found:
    found = Found()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def flaw(page: pathlib.Path, address: str) -> str | None:
    """Why this address on this page leads nowhere."""
    path, _, anchor = address.partition("#")
    path = path.partition("?")[0]
    target = (page.parent / urllib.parse.unquote(path)).resolve() if path else page
    if not target.is_relative_to(pages.HTML):
        return f"{address} leads out of the pages"
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"{address} does not exist"
    anchor = urllib.parse.unquote(anchor)
    if anchor and target.suffix == ".html" and anchor not in read(target).anchors:
        return f"{address}: no such place"
    return None


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(pages.HTML)))
def test_links_lead_somewhere(page):
    addresses = read(page).addresses
    inside = [a for a in addresses if not re.match(r"[a-z][a-z0-9+.-]*:|//", a)]
    assert len(inside) > 20
    assert [found for address in inside if (found := flaw(page, address))] == []


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(pages.HTML)))
def test_no_script_or_picture_comes_from_another_host(page):
    text = page.read_text(encoding="utf-8")
    loaded = re.findall(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']([^"']+)""", text)
    assert [address for address in loaded if re.match(r"https?:|//", address)] == []


def test_the_page_of_lessons_says_why_the_numbers_are_as_they_are():
    text = " ".join(
        re.sub(r"<[^>]+>", "", (pages.HTML / "lessons.html").read_text("utf-8")).split()
    )
    for folder in (".", "beyond"):
        numbers = [script.name[:2] for script in pages.lessons.scripts(folder)]
        assert f"Scripts {numbers[0]} to {numbers[-1]}" in text


def test_every_page_names_an_icon():
    """Without one a browser asks for /favicon.ico, which is not there."""
    for page in ALL_PAGES:
        (icon,) = re.findall(r'<link rel="[^"]*\bicon" href="([^"?]+)', page.read_text("utf-8"))
        assert (page.parent / icon).resolve().read_text(encoding="utf-8").startswith("<svg")


def test_every_document_and_script_has_a_page():
    names = [page for group in pages.documents().values() for page in group]
    names += [pages.page_of(script) for script in pages.recording.scripts()]
    assert [name for name in names if not (pages.HTML / f"{name}.html").is_file()] == []
    documents = {path.stem for path in (pages.REPOSITORY / "docs").glob("*.md")}
    assert documents <= {name.removeprefix("docs/") for name in names}


def test_scripts_and_documents_lead_to_each_other():
    script = pages.HTML / "06_resume_training.html"
    assert "beyond/12_exact_resume.html" in read(script).addresses
    assert any(a.startswith("docs/PITFALLS.html#") for a in read(script).addresses)
    pitfalls = read(pages.HTML / "docs" / "PITFALLS.html").addresses
    assert any(address.startswith("../06_resume_training.html") for address in pitfalls)


@pytest.mark.parametrize("script", pages.recording.shown(), ids=lambda script: script.stem)
def test_a_page_shows_the_outputs_of_its_notebook(script):
    book = json.loads(pages.recording.record_of(script).read_text(encoding="utf-8"))
    printed = [
        line.strip()
        for cell in book["cells"]
        for output in cell.get("outputs", [])
        for line in "".join(output.get("text", [])).splitlines()
    ]
    page = (pages.HTML / f"{pages.page_of(script)}.html").read_text(encoding="utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert printed
    assert [line for line in printed if line not in shown] == []
    figures = re.findall(r'<img alt="([^"]+)"[^>]*src="[^"]*_images/[0-9a-f]{64}\.png"', page)
    assert len(figures) == 1
    assert "All log messages before absl" not in shown
    assert str(pages.REPOSITORY) not in shown
    assert pages.NOT_RUN not in shown


def test_a_page_of_a_script_that_was_not_run_says_so():
    for script in set(pages.recording.scripts()) - set(pages.recording.shown()):
        page = (pages.HTML / f"{pages.page_of(script)}.html").read_text(encoding="utf-8")
        assert pages.NOT_RUN in page and "_images/" not in page


@pytest.mark.parametrize("script", pages.recording.scripts(), ids=lambda script: script.stem)
def test_a_downloaded_notebook_works_anywhere(script):
    book = json.loads((pages.HTML / "notebooks" / f"{script.stem}.ipynb").read_text("utf-8"))
    assert "".join(book["cells"][0]["source"]) == pages.notebooks.first_cell(script).source
    prose = "\n".join("".join(c["source"]) for c in book["cells"] if c["cell_type"] == "markdown")
    links = re.findall(r"(?<!`)\]\(([^)\s]+)\)", prose)
    assert [link for link in links if not link.startswith("https://")] == []
