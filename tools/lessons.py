"""What a script says of itself: its title, the fields of its first cell, its figure, its length.

    python tools/lessons.py            the length of each script, and the minutes to read it
    python tools/lessons.py --write    write these minutes into the first cells

A minute is 100 words of prose or 20 lines of code: half the speed of someone who reads a text
without code in the first language. The sum is rounded up to five minutes.
"""

import ast
import math
import pathlib
import re
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# A script that measures time runs alone. The Makefile has the same pattern; a test compares them.
MEASURES_TIME = r"perf_counter|time\.time"
WORDS_PER_MINUTE = 100
LINES_PER_MINUTE = 20
LEVELS = ("first steps", "in practice", "under the hood")
RUN = re.compile(
    r"^- Run: .*?\((?P<level>[^(),]+), (?P<minutes>\d+) minutes to read\)",
    flags=re.MULTILINE | re.DOTALL,
)


def scripts(folder: str) -> list[pathlib.Path]:
    """The numbered scripts in this folder of the repository, in order."""
    return sorted((REPOSITORY / folder).glob("[0-9][0-9]_*.py"))


def first_cell(script: pathlib.Path) -> str:
    return ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""


def title(script: pathlib.Path) -> str:
    """The heading of the first cell, without the number."""
    found = re.search(r"^# \d\d · (.+)$", first_cell(script), flags=re.MULTILINE)
    return found[1] if found else script.stem


def field(script: pathlib.Path, name: str) -> str:
    """What the first cell says under Run, Reads, Writes, From or Next, on one line."""
    pattern = rf"^- {name}: +(.*?)(?=^- [A-Z][a-z]*: |\Z)"
    found = re.search(pattern, first_cell(script), flags=re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def reads(script: pathlib.Path) -> list[str]:
    """The files below data/ and out/ that its first cell names under Reads."""
    return re.findall(r"`((?:data|out)/[^`]+)`", field(script, "Reads"))


def sets_backend(script: pathlib.Path) -> str | None:
    """The backend that the script itself asks for, if it does."""
    text = script.read_text(encoding="utf-8")
    found = re.search(r"""environ\[["']KERAS_BACKEND["']\] = ["'](\w+)["']""", text)
    return found[1] if found else None


def figure(script: pathlib.Path) -> str:
    """The name of its one figure: the string ending in .png in the call of savefig."""
    names = [
        part.value
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "savefig"
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and str(part.value).endswith(".png")
    ]
    if len(names) != 1:
        raise ValueError(f"{script.name} should save one figure, and saves {names}")
    return names[0]


def cells(script: pathlib.Path) -> list[tuple[str, list[str]]]:
    """Kind (markdown or code) and lines that are not blank, for each cell."""
    found: list[tuple[str, list[str]]] = []
    for line in script.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            found.append(("markdown" if "[markdown]" in line else "code", []))
        elif line.strip() and found and line != '"""':
            found[-1][1].append(line)
    return found


def words_of_prose(script: pathlib.Path) -> int:
    return sum(
        len(line.split()) for kind, lines in cells(script) if kind == "markdown" for line in lines
    )


def lines_of_code(script: pathlib.Path) -> int:
    return sum(len(lines) for kind, lines in cells(script) if kind == "code")


def minutes(script: pathlib.Path) -> int:
    exact = words_of_prose(script) / WORDS_PER_MINUTE + lines_of_code(script) / LINES_PER_MINUTE
    return 5 * math.ceil(exact / 5)


def declared_minutes(script: pathlib.Path) -> int | None:
    found = RUN.search(first_cell(script))
    return int(found["minutes"]) if found else None


def write_minutes(script: pathlib.Path) -> None:
    """Put the minutes into the first cell, where it says how long the script takes to read."""
    text = script.read_text(encoding="utf-8")
    found = RUN.search(text)
    if not found:
        sys.exit(f"{script.name}: Run does not end with '(first steps, 10 minutes to read)'")
    begin, end = found.span("minutes")
    script.write_text(f"{text[:begin]}{minutes(script)}{text[end:]}", encoding="utf-8")


if __name__ == "__main__":
    everything = scripts(".") + scripts("beyond")
    if sys.argv[1:] == ["--write"]:
        for script in everything:
            write_minutes(script)
    elif sys.argv[1:]:
        sys.exit(__doc__)
    print("words   code  minutes  declared")
    for script in everything:
        print(
            f"{words_of_prose(script):5}{lines_of_code(script):7}{minutes(script):9}"
            f"{declared_minutes(script) or '–':>10}  {script.stem}"
        )
    print(f"{sum(map(minutes, everything)) / 60:.1f} hours in all")
