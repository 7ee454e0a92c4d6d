"""Slips of copying: what a page, a book or a chat does to code on its way to a file.

Each is repaired at the line where Python stops, and only if Python gets further afterwards.
"""

import ast
import dataclasses
import re
import warnings

QUOTES = str.maketrans({"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "\u00a0": " "})
LOST_BREAK = re.compile(r"(?<=[\])}'\"\d]) +(?=[A-Za-z_][\w.]*(?:\(|\s*=(?!=)))")
PLACEHOLDER = re.compile(r",\s*<[^<>=]*>|(?<=[(\[])\s*<[^<>=]*>")
LOST_COMMA = re.compile(r"(?<=[\w)\]'\"]) +(?=[A-Za-z_]\w* *=(?!=))")


def stops_at(text: str) -> SyntaxError | None:
    """The first syntax error of a text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return None  # no slip: the reader of the text says what it is
    return None


@dataclasses.dataclass(frozen=True)
class Repair:
    """One repaired line: its number in the text as it was, and in the repaired text."""

    line: int
    new_line: int
    old: str
    new: str
    why: str


def repair(text: str, limit: int = 40) -> tuple[str, list[Repair]]:
    """The text without the slips that are known, and what was repaired.

    Arguments:
        text: A script.
        limit: How many repairs at most.

    Returns:
        The text and the repairs. If a syntax error is left, the old text and nothing.

    >>> repair("model.add(a) model.add(b)")[0]
    'model.add(a)\\nmodel.add(b)'
    """
    repaired, done, added = text, [], 0
    for _ in range(limit):
        error = stops_at(repaired)
        if error is None:
            return repaired, done
        found = _one(repaired, error)
        if found is None:
            break
        repaired, number, old, new, why = found
        done.append(Repair(number - added, number, old, new, why))
        added += new.count("\n")
    return text, []


def _one(text, error):
    lines = text.splitlines(keepends=True)
    number = min(max(error.lineno or 1, 1), len(lines))
    for at in (number, number - 1, number + 1):
        if not 1 <= at <= len(lines):
            continue
        line = lines[at - 1].rstrip("\r\n")
        end = lines[at - 1][len(line) :]
        for new, why in _candidates(lines, at, line, end, error):
            if new == line:
                continue
            changed = "".join([*lines[: at - 1], new + end, *lines[at:]])
            after = stops_at(changed)
            if after is None or (after.lineno or 0) > (error.lineno or 0) + new.count("\n"):
                return changed, at, line, new, why
            better = (after.lineno, after.offset or 0) > (error.lineno, error.offset or 0)
            if after.lineno == (error.lineno or 0) + new.count("\n") and (better or "’" in line):
                return changed, at, line, new, why
    return None


def _candidates(lines, at, line, end, error):
    """The lines that may have been meant, likeliest first."""
    straight = line.translate(QUOTES)
    if "'" not in line and "".join(lines).count('"') > "".join(lines).count("'"):
        straight = straight.replace("'", '"')  # as the rest of the text has them
    yield straight, "typographic quotes"
    before = next((one for one in reversed(lines[: at - 1]) if one.strip()), "")
    indent = re.match(r"[ \t]*", line)[0]
    if indent and "unexpected indent" in (error.msg or ""):
        yield re.match(r"[ \t]*", before)[0] + line.lstrip(), "an indentation too many"
    newline = end or "\n"
    for found in LOST_BREAK.finditer(line):
        yield line[: found.start()] + newline + indent + line[found.end() :], "a lost line break"
    for found in LOST_COMMA.finditer(line):
        yield line[: found.start()] + ", " + line[found.end() :], "a lost comma"
    yield PLACEHOLDER.sub("", line), "a placeholder in angle brackets"
    named_next = at < len(lines) and re.match(r"\s*[A-Za-z_]\w*\s*=(?!=)", lines[at])
    if named_next and not line.rstrip().endswith((",", "(", "[", "{")):
        yield line.rstrip() + ",", "a lost comma"
