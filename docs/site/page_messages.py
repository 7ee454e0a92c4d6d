"""The table by which the search finds a message: the messages that the pages quote, and where.

`python -m old_script explain` looks a message up in the same entries, by the same rules.
"""

import json
import pathlib
import posixpath
import re

from docutils import nodes
from old_script import explaining
from old_script.pages import entries
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

FOLDER = "docs"
NAME = "messages.js"
BEGINNING = 40  # so many letters tell one item of a list from another


def letters(text: str) -> str:
    """A heading without spaces and marks, which differ between a source and its page."""
    return re.sub(r"\W", "", text.lower())


def docname_of(page: str) -> str:
    """Sphinx's name of the page with this file name."""
    return posixpath.join(FOLDER, page.removesuffix(".md"))


def old_lines(doctree: nodes.document) -> dict[str, nodes.row]:
    """Heading of a section and first cell of a row in it, as an entry is called -> the row."""
    found = {}
    for row in doctree.findall(nodes.row):
        section = row.parent
        while section is not None:
            if isinstance(section, nodes.section):
                found[letters(section[0].astext() + row[0].astext())] = row
            section = section.parent
    return found


def name_rows(app: Sphinx, doctree: nodes.document) -> None:
    """Give an anchor to each row of a table, and each item of a list, that is an entry."""
    docname = app.env.docname
    metadata = app.env.metadata[docname]
    headings = {letters(text) for _, _, text in metadata.get("myst_slugs", {}).values()}
    rows = old_lines(doctree)
    items = {letters(item.astext()): item for item in doctree.findall(nodes.list_item)}
    metadata["entries"] = {}
    for number, entry in enumerate(entries(), 1):
        if docname_of(entry.page) != docname or letters(entry.heading) in headings:
            continue
        begin = letters(re.sub(r"\]\([^)]*\)", "", entry.text))[:BEGINNING]  # without targets
        item = next((item for text, item in items.items() if text.startswith(begin)), None)
        node = rows.get(letters(entry.heading), item)
        if node is not None:
            node["ids"] = node["ids"] or [f"entry-{number}"]
            metadata["entries"][entry.heading] = node["ids"][0]


def place(env: BuildEnvironment, page: str, heading: str) -> tuple[str, str]:
    """Sphinx's name of the page, and the anchor of the entry with this heading.

    An entry without an anchor of its own is called after its section and its old line: the section
    whose heading begins as the entry's does.

    Raises:
        LookupError: The page has no such section.
    """
    docname = docname_of(page)
    if heading in env.metadata[docname]["entries"]:
        return docname, env.metadata[docname]["entries"][heading]
    wanted = letters(heading)
    sections = {
        letters(text): anchor for _, anchor, text in env.metadata[docname]["myst_slugs"].values()
    }
    fitting = [text for text in sections if text and wanted.startswith(text)]
    if not fitting:
        raise LookupError(f"{page} has no section for its entry: {heading}")
    return docname, sections[max(fitting, key=len)]


def table(env: BuildEnvironment) -> dict:
    """What the search needs: each entry's place, its messages, and the rules of `explain`."""
    found, messages = [], []
    for entry in entries():
        docname, anchor = place(env, entry.page, entry.heading)
        found.append([docname, entry.heading.replace("`", "").strip(), anchor])
        for key in entry.keys:
            kind, is_not = explaining.KIND.match(key), explaining.IS_NOT.search(key)
            messages.append(
                {
                    "entry": len(found) - 1,
                    "words": " ".join(explaining.words_of(key)),
                    "names": sorted(explaining.names_in(key)),
                    "kind": kind[1] if kind else "",
                    "isNot": is_not[0] if is_not else "",
                }
            )
    return {
        "aboutAName": explaining.ABOUT_A_NAME.pattern,
        "families": [sorted(family) for family in explaining.FAMILIES],
        "general": sorted(explaining.GENERAL),
        "isNot": explaining.IS_NOT.pattern,
        "kind": explaining.KIND.pattern,
        "minimum": explaining.MINIMUM,
        "ofAType": explaining.OF_A_TYPE.pattern,
        "otherFile": explaining.OTHER_FILE.pattern,
        "path": explaining.PATH.pattern,
        "entries": found,
        "messages": messages,
    }


def write(app: Sphinx, error: Exception | None) -> None:
    """Lay the table beside the other scripts of the search."""
    if error is None and app.builder.format == "html":
        text = json.dumps(table(app.env), ensure_ascii=False, separators=(",", ":"))
        target = pathlib.Path(app.outdir, "_static", NAME)
        target.write_text(f"const messagesOfThePages = {text};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", name_rows)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
