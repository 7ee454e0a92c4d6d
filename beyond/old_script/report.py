"""What a rewriting did, and what it leaves to the reader."""

import dataclasses
import os
import pathlib


@dataclasses.dataclass(frozen=True, order=True)
class Change:
    """One replaced piece of a line.

    `certain`: the old line fails or does something else today. A script with no such line is a
    script of today, and none of the other changes is made in it. `behaviour`: the old line runs
    and does something else, so it is reported in a script of today as well.
    """

    line: int
    old: str
    new: str
    why: str
    certain: bool = True
    behaviour: bool = False

    def __str__(self) -> str:
        return self.at(str(self.line))

    def at(self, place: str) -> str:
        """The change with what the reader calls its line."""
        old, new = _pair(self.old, self.new or "removed")
        return f"{place}: {old} → {new} ({self.why})"


@dataclasses.dataclass(frozen=True, order=True)
class Note:
    """A line about which the reader decides, or that does something else today.

    `of_change`: it is about the new line, and says nothing of a script that does not change.
    `always`: the line fails today, so it is said of a script that does not change as well.
    """

    line: int
    text: str
    of_change: bool = False
    always: bool = False

    def __str__(self) -> str:
        return self.at(str(self.line))

    def at(self, place: str) -> str:
        """The note with what the reader calls its line."""
        return f"{place}: {self.text}"


@dataclasses.dataclass
class Findings:
    """All that was found in one script; `foremost` is why it cannot run whatever else is done."""

    changes: list[Change] = dataclasses.field(default_factory=list)
    undecided: list[Note] = dataclasses.field(default_factory=list)
    silent: list[Note] = dataclasses.field(default_factory=list)
    foremost: Note | None = None

    @property
    def old(self) -> bool:
        """Whether anything fails or does something else today."""
        return any(change.certain for change in self.changes)


@dataclasses.dataclass(frozen=True)
class Result:
    """A rewritten script.

    Attributes:
        source: The script.
        target: Where the new one belongs.
        text: The new text; the old one where nothing changed.
        findings: The changes and the notes.
        old_files: A line for each old file beside the script, with the command that converts it.
        changed: Whether the text changed.
        written: Whether `target` was written by this call.
        refused: Why the script could not be rewritten, where others of its folder were.
        places: Line -> cell and line in the cell, for a notebook.
    """

    source: pathlib.Path
    target: pathlib.Path
    text: str
    findings: Findings
    old_files: tuple[str, ...] = ()
    changed: bool = True
    written: bool = False
    refused: str = ""
    places: dict[int, str] = dataclasses.field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        if self.refused:
            return self.refused
        if self.changed:
            ending = "" if self.written else " (already there, the same)"
            lines = [f"{self.source} → {self.target}{ending}"]
        else:
            lines = [f"{self.source}: found no line to change, so no file is written"]
        first = self.findings.foremost
        if first is not None:
            lines.append(
                "First of all, " + first.at(self.places.get(first.line, f"line {first.line}"))
            )
        lines += _section("", self._listed(self.findings.changes))
        lines += _section("You decide:", self._listed(self.findings.undecided))
        silent = self._listed(self.findings.silent)
        lines += _section("Another behaviour, without an error:", silent)
        lines += _section("Files of Keras 1 or 2:", self.old_files)
        return "\n".join(lines)

    def _listed(self, found):
        """A line for each text, with all lines of the script that it is about."""
        places: dict[str, list[str]] = {}
        for one in sorted(set(found)):
            places.setdefault(one.at(""), []).append(self.places.get(one.line, str(one.line)))
        return [", ".join(dict.fromkeys(where)) + text for text, where in places.items()]


def _section(heading, entries):
    return ([heading] if heading and entries else []) + [f"  {entry}" for entry in entries]


def _pair(old, new):
    """Two pieces of code on one line each, shortened so that where they differ is seen."""
    old, new = _flat(old), _flat(new)
    begin = len(os.path.commonprefix([old, new]))
    tails = [one[begin:][::-1] for one in (old, new)]
    end = len(os.path.commonprefix(tails))
    return tuple(_short(one, begin, len(one) - end) for one in (old, new))


def _flat(code):
    return " ⏎ ".join(" ".join(line.split()) for line in code.splitlines())


def _short(code, begin, end):
    """At most about 90 signs of a code, those from `begin` to `end` first of all."""
    if len(code) <= 90:
        return code
    if begin >= 55 or end > 60:
        first = max(0, begin - 25)
        code = ("… " if first else "") + code[first:]
        end += (2 if first else 0) - first
        if end + 25 < len(code):
            code = code[: end + 20] + " …"
    return code if len(code) <= 90 else code[:60] + " … " + code[-25:]
