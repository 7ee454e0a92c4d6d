"""Old scripts in which some lines change and all others stay, as the tests of single facts need."""

import textwrap

import old_script


def rewritten(text: str) -> old_script.Result:
    """The result for a script that stands indented in a test."""
    return old_script.rewrite_text(textwrap.dedent(text))


def only(text: str, changes: dict[str, str]) -> None:
    """Assert that these lines change in this way, and that every other line stays as it is.

    Arguments:
        text: The script, indented.
        changes: Old line -> new line, without their indentation.
    """
    new = [line for line in rewritten(text).text.splitlines() if line.strip()]
    expected, left = [], dict(changes)
    for line in textwrap.dedent(text).splitlines():
        if line.strip():
            indent = line[: len(line) - len(line.lstrip())]
            expected.append(indent + left.pop(line.strip(), line.strip()))
    assert not left, f"no such lines: {left}"
    assert [line for line in new if line in expected] == expected, "\n".join(new)
    for line in new:
        assert line in expected or line.startswith(("from ", "import ")), line


def notes(result: old_script.Result) -> str:
    """What a report leaves to the reader, one note a line."""
    findings = result.findings
    return "\n".join(str(note) for note in (*findings.undecided, *findings.silent))


def becomes(head: str, line: str, new: str, said: str | None = None) -> old_script.Result:
    """Assert what becomes of the last lines of a script.

    Arguments:
        head: What stands before them.
        line: One line or several.
        new: What they are after the rewriting.
        said: A piece of what is said about them; an empty text if nothing is to be said; None if
            that does not matter.
    """
    result = rewritten(f"{head}{line}\n")
    assert result.text.endswith(f"\n{new}\n"), result.text
    if said is not None:
        first = head.count("\n") + 1
        findings = result.findings
        mine = [one.text for one in (*findings.undecided, *findings.silent) if one.line >= first]
        assert bool(mine) == bool(said) and said in "\n".join(mine), mine
    return result
