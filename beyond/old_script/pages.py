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
            (heading, *(block for language, block in FENCE.findall(text) if language == "text")),
        )
        for heading, text in found
    ]


def _old_articles():
    from .explaining import Entry

    found, section = [], ""
    for line in (folder() / "OLD_ARTICLES.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        cells = line.removeprefix("| ").removesuffix(" |").split(" | ")
        if not line.startswith("| ") or len(cells) != 3 or cells[0] in ("old line", "---"):
            continue
        old, said, new = cells
        keys = (plain(said), plain(old)) if not said.startswith("no error") else (plain(old),)
        text = f"old line: {old}\n\nKeras 3.15.1: {said}\n\ntoday's line: {new}"
        found.append(Entry("OLD_ARTICLES.md", f"{section}: {plain(old)}", text, keys))
    return found


def plain(cell: str) -> str:
    """A cell without its backquotes."""
    return cell.strip().strip("`").strip()
