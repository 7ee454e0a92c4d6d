"""A message finds its entry though it differs from the page; pages with some words follow."""

import html
import re

import pages
import pytest
from old_script import explain
from old_script.pages import entries
from playwright.sync_api import expect

IN_EACH_LANGUAGE = pytest.mark.parametrize("folder", ["", "zh/", "ru/"])
RESULTS = "#search-results ul.search > li > a"
LINE = "#search-results .some-of-the-words"


def search(visitor, query: str, folder: str = "") -> list[str]:
    """Type it into the search; the addresses of the results, the first one first."""
    visitor.open(f"{folder}lessons.html")
    box = visitor.page.locator(".sidebar-search")
    box.fill(query)
    box.press("Enter")
    expect(visitor.page.locator("#search-results > p.search-summary")).not_to_be_empty()
    return [link.get_attribute("href") for link in visitor.page.locator(RESULTS).all()]


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("The filepath provided must end in", "the-filepath-provided-must-end-in-keras"),
        ("Skipping variable loading for optimizer 'adam'", "skipping-variable-loading"),
        ("Failed to format this callback filepath", "failed-to-format-this-callback-filepath"),
        # With other numbers, and more words than the heading has, as a terminal shows it.
        (
            "UserWarning: Skipping variable loading for optimizer 'adam', because it has 14 "
            + "variables whereas the saved optimizer has 2 variables.",
            "skipping-variable-loading-for-optimizer",
        ),
    ],
)
def test_the_search_finds_the_entry_of_a_message(visitor, query, part):
    first = search(visitor, query)[0]
    assert "docs/PITFALLS.html" in first and part in first
    visitor.page.locator(RESULTS).first.click()
    heading = visitor.page.locator(f"section[id*='{part}'] > h3, #{first.split('#')[1]} > h3").first
    expect(heading).to_be_in_viewport()


# What a reader types who has no message, and the place that answers.
QUESTIONS = {
    "which file format": "README.html#which-file-format",
    "file format": "README.html#which-file-format",
    "Which file format should I use?": "README.html#which-file-format",
    "what is the right file format": "README.html#which-file-format",
    "which option of ModelCheckpoint do I need": "README.html#which-option-of-modelcheckpoint",
    "resume a training": "06_resume_training.html",
}


@pytest.mark.parametrize("query", QUESTIONS)
def test_a_question_leads_to_the_place_that_answers_it(visitor, query):
    assert search(visitor, query)[0].startswith(QUESTIONS[query])
    assert visitor.troubles == []


@pytest.mark.parametrize(("folder", "query"), [("zh/", "文件格式"), ("ru/", "формат файла")])
def test_so_it_does_in_each_language(visitor, folder, query):
    assert search(visitor, query, folder)[0].startswith("README.html#")


def letters(text: str) -> str:
    return re.sub(r"\W", "", text)


@pytest.mark.parametrize("name", ["ExactBackupAndRestore", "DurableCheckpoint"])
def test_the_search_finds_a_callback(visitor, name):
    assert any(
        f"docs/api.html#durable_checkpoint.{name}" in link for link in search(visitor, name)[:4]
    )


def test_every_entry_is_found_by_its_heading(visitor):
    text = (pages.REPOSITORY / "docs" / "PITFALLS.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", text, flags=re.MULTILINE)
    assert len(headings) > 50
    visitor.open("search.html?q=Keras")
    visitor.page.wait_for_selector(RESULTS)
    lost = []
    for heading in headings:
        query = heading.replace("`", "").strip()
        found = visitor.page.evaluate("(query) => searchHeadings.find(query)", query)
        best = max(found, key=lambda one: one[4], default=None)
        if not best or best[0] != "docs/PITFALLS" or letters(query) not in letters(best[1]):
            lost.append(heading)
    assert lost == []


CHAIN = (
    "Traceback (most recent call last): OSError: Unable to synchronously open file (file signature "
    "not found) During handling of the above exception, another exception occurred: Traceback "
    "(most recent call last): KeyError: 'val_acc'"
)

# Quoted in the text of an entry, not in its heading; numbers, names and paths are others.
IN_THE_TEXT = {
    'Traceback (most recent call last): File "a.py", line 3 ValueError: Layer count mismatch when '
    "loading weights from file. Model expected 12 layers, found 7 saved layers.": "weights-h5",
    "WARNING:tensorflow:Can save best model only with val_acc available, skipping.": "val-acc-avai",
}


@IN_EACH_LANGUAGE
@pytest.mark.parametrize("query", IN_THE_TEXT)
def test_a_message_in_the_text_of_an_entry_leads_to_the_entry(visitor, folder, query):
    first = search(visitor, query, folder)[0]
    page, _, anchor = first.partition("#")
    assert page == "docs/PITFALLS.html" and IN_THE_TEXT[query] in anchor
    visitor.page.locator(RESULTS).first.click()
    expect(visitor.page.locator(f"[id='{anchor}'] > h3")).to_be_in_viewport(timeout=20_000)
    assert visitor.troubles == []


def test_of_a_chain_of_errors_the_last_one_is_looked_up(visitor):
    visitor.open("search.html?q=Keras")
    visitor.page.wait_for_selector(RESULTS)
    first, *_ = visitor.page.evaluate("(query) => searchMessages.find(query)", CHAIN)
    assert "['acc']" in first[1]


def test_the_words_of_a_message_are_marked_in_the_text_only(visitor):
    """`contents` and `light` stand in the icons of the frame as well, which Sphinx cannot mark."""
    search(visitor, "a light weight, and the contents of a checkpoint in the file", "ru/")
    visitor.page.locator(RESULTS).first.click()
    expect(visitor.page.locator("article .highlighted").first).to_be_attached()
    marked = set(visitor.page.locator(".highlighted").all_inner_texts())
    assert {len(text) > 3 for text in marked} == {True}
    outside = (
        "() => [...document.querySelectorAll('.highlighted')].filter(m => !m.closest('article'))"
    )
    assert visitor.page.evaluate(outside) == []
    assert visitor.troubles == []


@IN_EACH_LANGUAGE
def test_a_message_of_an_old_line_leads_to_its_row(visitor, folder):
    query = "TypeError: TensorFlowTrainer.fit() got an unexpected keyword argument 'nb_epoch'"
    first = search(visitor, query, folder)[0]
    assert first.startswith("docs/OLD_ARTICLES.html#")
    visitor.page.locator(RESULTS).first.click()
    row = visitor.page.locator("tr:target")
    expect(row).to_be_in_viewport(timeout=20_000)
    expect(row).to_contain_text("nb_epoch")
    assert visitor.troubles == []


def test_every_row_and_item_with_a_message_has_an_anchor():
    page = (pages.HTML / "docs" / "OLD_ARTICLES.html").read_text(encoding="utf-8")
    headings = re.findall(r"<h[23]>(.*?)<a", page)
    titles = {letters(html.unescape(re.sub(r"<[^>]+>", "", heading))) for heading in headings}
    own = [
        entry
        for entry in entries()
        if entry.page == "OLD_ARTICLES.md" and letters(entry.heading) not in titles
    ]
    anchors = re.findall(r'<(?:tr|li) [^>]*id="(entry-\d+)"', page)
    assert len(own) > 100 and len(set(anchors)) == len(anchors) == len(own)


def varied(message: str) -> str:
    """The message with other numbers and paths, with typographic quotes, on one line."""
    message = re.sub(r"\b\d+\b", "41", message)
    message = re.sub(r"(?:[\w.~-]*/)+(?=[\w.-])", "/home/me/", message)
    return re.sub(r"'([^']*)'", "\u2018\\1\u2019", " ".join(message.split()))


def test_each_quoted_message_finds_its_entry(visitor):
    """What `explain` looks up: with other numbers and quotes, behind other text."""
    queries = {}
    for entry in entries():
        for key in entry.keys:
            if len(key.split()) > 3:
                queries.setdefault(f"    raise it {varied(key)}", []).append(entry)
    assert len(queries) > 300
    visitor.open("search.html?q=Keras")
    visitor.page.wait_for_selector(RESULTS)
    found = visitor.page.evaluate(
        "(queries) => queries.map((query) => searchMessages.find(query).map((one) => one[1]))",
        list(queries),
    )
    lost = []
    for (query, fitting), headings in zip(queries.items(), found, strict=True):
        best = explain(query)[:1]  # two entries may quote nearly the same message
        wanted = {entry.heading.replace("`", "").strip() for entry in [*fitting, *best]}
        if not headings or headings[0].partition(" > ")[2] not in wanted:
            lost.append((query, wanted, headings))
    assert lost == []


@pytest.mark.parametrize(
    "message",
    [
        "ZeroDivisionError: division by zero",
        "ModuleNotFoundError: No module named 'pandas'",
        "AttributeError: 'str' object has no attribute 'get'",
        "IndexError: list index out of range",
        "AttributeError: \u2018str\u2019 object has no attribute \u2018get\u2019",
        "TypeError: 'NoneType' object is not subscriptable",
        "FileNotFoundError: [Errno 2] No such file or directory: 'rows.csv'",
    ],
)
def test_a_message_of_something_else_finds_no_entry(visitor, message):
    visitor.open("search.html?q=Keras")
    visitor.page.wait_for_selector(RESULTS)
    assert visitor.page.evaluate("(query) => searchMessages.find(query)", message) == []


@IN_EACH_LANGUAGE
def test_pages_with_some_of_the_words_follow_after_a_line(visitor, folder):
    """`orbax` is on few pages, `model` on nearly all, and one word is nowhere."""
    links = search(visitor, "model orbax unfindable", folder)
    line = visitor.page.locator(LINE)
    expect(line).to_be_visible()
    english = "only some of the words" in line.inner_text()
    assert english == (folder == "")
    assert 1 <= len(links) <= 10
    for link in links:
        text = (pages.HTML / folder / link.partition("#")[0]).read_text(encoding="utf-8").lower()
        assert "orbax" in text
    assert visitor.troubles == []


def test_no_page_follows_where_enough_have_every_word(visitor):
    assert len(search(visitor, "checkpoint epoch")) > 3
    assert visitor.page.locator(LINE).count() == 0


def test_the_pages_with_some_words_are_ten_at_most_and_are_not_counted(visitor):
    assert len(search(visitor, "model checkpoint unfindable")) == 10
    summary = visitor.page.locator("#search-results > p.search-summary")
    expect(summary).to_contain_text("did not match any documents")
