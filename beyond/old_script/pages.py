"""The entries of docs/PITFALLS.md and docs/OLD_ARTICLES.md.

The pages lie in the repository, in `docs/`. An installed package has copies of them: see
`package-data` in pyproject.toml and `pages/` beside this module.
"""

import functools
import pathlib
import re

from .errors import OldScriptError

HERE = pathlib.Path(__file__).resolve().parent
PLACES = (HERE.parents[1] / "docs", HERE / "docs")
PAGE = "OLD_ARTICLES.md"
WHOLE_SCRIPTS = "Whole scripts, before and after"
BULLET = re.compile(r"^- (.*(?:\n  .*)*)", re.MULTILINE)
SPAN = re.compile(r"``(.+?)``|`([^`]+)`")
MESSAGE = re.compile(r"(?:\w+\.)*\w+(?:Error|Warning): ")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@functools.cache
def folder() -> pathlib.Path:
    """Where the pages are.

    Raises:
        OldScriptError: Neither the repository nor the package has them.
    """
    for place in PLACES:
        if (place / "PITFALLS.md").is_file() and (place / "OLD_ARTICLES.md").is_file():
            return place
    raise OldScriptError(
        "PITFALLS.md and OLD_ARTICLES.md are not found: run this in a clone of the repository, or "
        "install the package from it with pip install ."
    )


@functools.cache
def entries() -> tuple:
    """All entries, PITFALLS first."""
    return tuple(_pitfalls() + _old_articles())


def _pitfalls():
    from .explaining import Entry

    found, heading, lines, fenced = [], None, [], False
    for line in (folder() / "PITFALLS.md").read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and line.startswith(("## ", "### ")):
            if heading is not None:
                found.append((heading, "\n".join(lines)))
            heading, lines = (line[4:].strip() if line.startswith("### ") else None), []
        else:
            lines.append(line)
    if heading is not None:
        found.append((heading, "\n".join(lines)))
    return [
        Entry(
            "PITFALLS.md",
            heading,
            text,
            (
                heading,
                *(block for language, block in FENCE.findall(text) if language == "text"),
                *_quoted_messages(FENCE.sub("", text)),
            ),
        )
        for heading, text in found
    ]


def _quoted_messages(text):
    """The messages in a sentence: those of other releases, say."""
    spans = re.findall(r"(`+)(.+?)\1", text, re.DOTALL)
    quoted = (" ".join(span.split()) for _, span in spans)
    return [span for span in quoted if span[0].isupper() and len(span.split()) >= 5]


def _old_articles():
    text = (folder() / "OLD_ARTICLES.md").read_text(encoding="utf-8")
    found = []
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        heading = section.splitlines()[0].removeprefix("## ").strip()
        if heading == WHOLE_SCRIPTS:
            continue
        found += [*_rows(heading, section), *_bullets(heading, section), *_parts(section)]
    return found


def _rows(section, text):
    """The rows of a table: old line, what is said, today's line."""
    from .explaining import Entry

    for line in text.splitlines():
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if not line.startswith("| ") or len(cells) != 3 or cells[0] in ("old line", "---"):
            continue
        old, said, new = cells
        keys = (plain(said), plain(old)) if not said.startswith("no error") else (plain(old),)
        text = f"old line: {old}\n\nKeras 3.15.1: {said}\n\ntoday's line: {new}"
        yield Entry(PAGE, f"{section}: {plain(old)}", text, keys)


def _bullets(section, text):
    """The items of lists that quote a message, or say how old arguments are called today."""
    from .explaining import Entry

    for item in BULLET.findall(text):
        spans = [double or single for double, single in SPAN.findall(" ".join(item.split()))]
        keys = [span for span in spans if MESSAGE.match(span)]
        keys += [
            f"ValueError: Unrecognized keyword arguments passed to a layer: {{'{old}'"
            for old in _old_arguments(item)
        ]
        heading = keys[0] if keys and keys[0] in spans else item.partition(":")[0]
        if keys:
            yield Entry(PAGE, f"{section}: {heading}", item, tuple(keys))


def _old_arguments(item):
    """The old names in "`old` is `new`, `older` and `oldest` are `new`; leave out `gone`"."""
    if not item.startswith("Argument for argument"):
        return
    for clause in re.split(r"[,;:.]\s", item):
        old = re.split(r"\s(?:is|are)\s", clause)[0]
        yield from re.findall(r"`(\w+)[^`]*`", old)


def _parts(text):
    """The parts of a section that have headings of their own."""
    from .explaining import Entry

    for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        blocks = [block for language, block in FENCE.findall(rest) if language == "text"]
        if blocks:
            yield Entry(PAGE, heading.strip(), rest, tuple(blocks))


def plain(cell: str) -> str:
    """A cell without its backquotes."""
    return cell.strip().strip("`").strip()
