"""The translations agree with today's English, paragraph by paragraph, and with their terms."""

import collections
import functools
import re

import pages
import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from playwright.sync_api import expect

from .test_links import read

LOCALE = pages.SETTINGS / "locale"
FOLDERS = {"zh_CN": "zh", "ru": "ru"}
NAMES = {"zh_CN": "中文", "ru": "Русский"}
MARKS = {"zh_CN": "（英文）", "ru": "(англ.)"}
IN_FIGURES = {"zh_CN": "图中的文字为英文", "ru": "надписи на рисунках — на английском"}
TRANSLATED = [
    "README",
    "lessons",
    "01_checkpoint_improvements",
    "02_checkpoint_best_only",
    "03_load_checkpoint",
]


@functools.cache
def messages(language: str, page: str) -> list[Message]:
    """Those that are translated, and not marked as out of date."""
    with (LOCALE / language / "LC_MESSAGES" / f"{page}.po").open("rb") as file:
        return [m for m in read_po(file) if m.id and m.string and not m.fuzzy]


def english(page: str) -> str:
    """The source of this page on one line."""
    made = {"README": pages.landing_page, "lessons": pages.gallery}
    if page in made:
        return " ".join(made[page]().split())
    return " ".join((pages.REPOSITORY / f"{page}.py").read_text(encoding="utf-8").split())


def of_each(test):
    for_pages = pytest.mark.parametrize("page", TRANSLATED)
    return pytest.mark.parametrize("language", list(FOLDERS))(for_pages(test))


def lacking(found: list[str], wanted: list[str]) -> list[str]:
    return sorted((collections.Counter(wanted) - collections.Counter(found)).elements())


@of_each
def test_every_translated_paragraph_is_still_in_the_source(language, page):
    source = english(page)
    gone = [m.id for m in messages(language, page) if " ".join(m.id.split()) not in source]
    assert gone == [], "Run: make catalogues"
    assert len(messages(language, page)) > (3 if page == "lessons" else 20)


@of_each
def test_code_links_and_numbers_are_those_of_the_english(language, page):
    def parts(text: str) -> dict[str, list[str]]:
        code = re.findall(r"``.+?``|`[^`]+`", text)
        links = re.findall(r"\]\(([^)\s]+)\)", text)
        prose = re.sub(r"``.+?``|`[^`]+`|\]\([^)\s]+\)", " ", text)
        prose = re.sub(r"(?<=\d)[,\u00a0 ](?=\d{3}\b)", "", prose).replace(",", ".")
        numbers = re.findall(r"\d+(?:\.\d+)?", prose)
        return {"code": sorted(code), "links": sorted(links), "numbers": sorted(numbers)}

    for message in messages(language, page):
        ours, theirs = parts(message.string), parts(message.id)
        assert (ours["code"], ours["links"]) == (theirs["code"], theirs["links"]), message.id
        assert lacking(ours["numbers"], theirs["numbers"]) == [], message.id


@of_each
def test_links_lead_to_the_places_of_the_english(language, page):
    """A paragraph may have several links to one page."""

    def places(folder: str) -> list[str]:
        addresses = read(pages.HTML / folder / f"{page}.html").addresses
        return sorted(one.lstrip("./") for one in addresses if re.search(r"docs/\w+\.html#", one))

    assert places(FOLDERS[language]) == places("")


@of_each
def test_the_terms_are_used(language, page):
    rows = re.findall(
        r"^\| (\w[\w ]*) \| (\S+) \| (.+) \|$", (LOCALE / "TERMS.md").read_text(), re.MULTILINE
    )
    terms = {row[0]: row[1 if language == "zh_CN" else 2] for row in rows[1:]}
    assert len(terms) > 15
    for message in messages(language, page):
        prose = re.sub(r"`[^`]+`|\]\([^)\s]+\)", " ", message.id)
        for word, translation in terms.items():
            if re.search(rf"\b{word}s?\b", prose):
                assert translation in message.string.lower(), (word, message.string)


@pytest.mark.parametrize("language", list(FOLDERS))
def test_the_language_can_be_switched(visitor, language):
    visitor.open("01_checkpoint_improvements.html")
    visitor.page.locator(".languages").get_by_text(NAMES[language]).click()
    page = visitor.page
    assert page.url.endswith(f"/{FOLDERS[language]}/01_checkpoint_improvements.html")
    assert page.locator("html").get_attribute("lang").replace("-", "_") == language
    title = messages(language, "01_checkpoint_improvements")[0].string
    expect(page.locator("h1")).to_contain_text(title)
    page.locator(".languages").get_by_text("English").click()
    assert page.url.count(f"/{FOLDERS[language]}/") == 0
    assert visitor.troubles == []


@pytest.mark.parametrize("language", list(FOLDERS))
@pytest.mark.parametrize("page", ["README", "02_checkpoint_best_only"])
def test_translated_paragraphs_are_shown_and_other_pages_say_so(visitor, language, page):
    visitor.open(f"{FOLDERS[language]}/{page}.html")
    shown = " ".join(visitor.page.locator("article").inner_text().split())
    shown += visitor.page.evaluate("() => [...document.images].map(image => image.alt).join()")
    plain = [m.string for m in messages(language, page) if not re.search(r"[`*\[]", m.string)]
    assert plain and [text for text in plain if len(text) > 30 and text not in shown] == []
    assert visitor.page.locator("article p.untranslated").count() == 0
    notes = visitor.page.locator(".translation-note").all_inner_texts()
    assert [IN_FIGURES[language] in note for note in notes] == ([True] if page[0] == "0" else [])
    visitor.open(f"{FOLDERS[language]}/docs/GLOSSARY.html")
    expect(visitor.page.locator(".translation-note")).to_be_visible()


# The links of the text, of the menu, and to the pages before and after this one.
LINKS = """() => [...document.querySelectorAll(
    "article a.internal, .sidebar-tree a.internal, .related-pages a")]
    .filter(link => link.pathname.endsWith(".html") && link.pathname !== location.pathname)
    .map(link => [link.href, getComputedStyle(
        link.querySelector(".card-title, .in-english") || link, "::after").content])"""


@of_each
def test_links_to_pages_in_english_are_marked(visitor, language, page):
    visitor.open(f"{FOLDERS[language]}/{page}.html")
    found = visitor.page.evaluate(LINKS)
    mark = MARKS[language]
    targets = set()
    for address, shown in found:
        path = address.partition("#")[0].removeprefix(f"{visitor.address}/")
        target = path.removeprefix(f"{FOLDERS[language]}/").removesuffix(".html")
        targets.add(target)
        assert (mark in shown) == (target not in TRANSLATED), address
    assert targets & set(TRANSLATED) and targets - set(TRANSLATED)


@pytest.mark.parametrize("language", list(FOLDERS))
@pytest.mark.parametrize("page", ["docs/GLOSSARY", "search"])
def test_the_menu_marks_them_on_every_page(visitor, language, page):
    visitor.open(f"{FOLDERS[language]}/{page}.html")
    links = visitor.page.locator(".sidebar-tree a.internal")
    content = "links => links.map(link => getComputedStyle(link, '::after').content)"
    marked = [MARKS[language] in shown for shown in links.evaluate_all(content)]
    assert sum(marked) > 20 and len(marked) - sum(marked) >= len(TRANSLATED) - 1


# What the frame of a page says: its text, and the labels that a screen reader reads aloud.
FRAME = """() => {
    const said = [];
    const texts = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const parent = texts.currentNode.parentElement;
        if (!parent.closest("head, script, style, template, article, .toc-tree, .sidebar-tree a, "
                + ".sidebar-brand, .brand, .languages, a[href^=http]"))
            said.push(texts.currentNode.data.trim());
    }
    for (const name of ["aria-label", "alt", "title", "placeholder", "data-tooltip"])
        for (const one of document.querySelectorAll(`body [${name}]`))
            said.push(one.getAttribute(name));
    return said.filter(text => text);
}"""
NAMES_IN_ENGLISH = {"durable_checkpoint", "'s"}


@pytest.mark.parametrize("language", list(FOLDERS))
@pytest.mark.parametrize("page", ["01_checkpoint_improvements", "lessons", "search"])
def test_buttons_labels_and_names_of_figures_are_translated(visitor, language, page):
    visitor.open(f"{FOLDERS[language]}/{page}.html")
    visitor.page.wait_for_timeout(500)  # the copy buttons come last
    said = set(visitor.page.evaluate(FRAME)) - NAMES_IN_ENGLISH
    english_letters = [text for text in said if re.search(r"[a-z]{3}", text)]
    assert [text for text in english_letters if text.isascii()] == []
    assert len(said) > 15


@pytest.mark.parametrize("language", list(FOLDERS))
@pytest.mark.parametrize("page", [page for page in TRANSLATED if page[0].isdigit()])
def test_a_figure_is_named_by_the_heading_above_it(visitor, language, page):
    visitor.open(f"{FOLDERS[language]}/{page}.html")
    (name,) = visitor.page.evaluate(
        "() => [...document.querySelectorAll('.cell_output img')].map(image => image.alt)"
    )
    look = next(m.string for m in messages(language, page) if m.id.startswith("Look: "))
    assert re.split(r"[:：]\s*", look, maxsplit=1)[1] == name


def test_no_link_of_a_page_in_english_is_marked(visitor):
    for name in ("README.html", "zh/docs/GLOSSARY.html"):
        visitor.open(name)
        assert visitor.page.locator("article a[hreflang], .in-english").count() == 0


@pytest.mark.parametrize(
    ("folder", "query", "page"),
    [
        ("zh/", "学习曲线", "01_checkpoint_improvements.html"),
        ("zh/", "只保留最佳模型", "02_checkpoint_best_only.html"),
        ("ru/", "кривая обучения", "01_checkpoint_improvements.html"),
        ("zh/", "ExactBackupAndRestore", "docs/api.html"),
        ("ru/", "Failed to format this callback filepath", "docs/PITFALLS.html"),
    ],
)
def test_the_search_works_in_each_language(visitor, folder, query, page):
    visitor.open(f"{folder}lessons.html")
    box = visitor.page.locator(".sidebar-search")
    box.fill(query)
    box.press("Enter")
    visitor.page.wait_for_selector("#search-results ul.search li a", timeout=10_000)
    links = visitor.page.locator("#search-results ul.search > li > a")
    assert any(page in (link.get_attribute("href") or "") for link in links.all())
    assert visitor.troubles == []


def test_a_changed_paragraph_falls_back_to_english(tmp_path, monkeypatch):
    """Sphinx compares the whole paragraph: one changed word, and its translation is not used."""
    monkeypatch.syspath_prepend(str(pages.SETTINGS))
    from page_frame import translation
    from sphinx.application import Sphinx

    source = tmp_path / "source"
    catalogue = source / "locale" / "ru" / "LC_MESSAGES" / "index.po"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "One."\nmsgstr "Один."\n\nmsgid "Two."\nmsgstr "Два."\n',
        encoding="utf-8",
    )
    (source / "conf.py").write_text(
        'extensions = ["myst_parser"]\nlanguage = "ru"\nlocale_dirs = ["locale"]\n'
        "translation_progress_classes = True\n"
    )
    (source / "index.md").write_text("# Title\n\nOne.\n\nTwo and more.\n")
    out = tmp_path / "out"
    app = Sphinx(source, source, out, tmp_path / "doctrees", "html", status=None)
    app.build()
    text = (out / "index.html").read_text(encoding="utf-8")
    assert "Один." in text and "Два." not in text
    assert re.search(r'<p class="untranslated">Two and more', text)
    assert translation(app.env.get_doctree("index")) == "part"
