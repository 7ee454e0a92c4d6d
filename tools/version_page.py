"""What docs/VERSIONS.md and the lines `Keras:` of docs/PITFALLS.md say about the recorded releases.

Every cell comes from a row of docs/data/versions_gallery.csv. A release without a row is not
recorded, and no sentence speaks about it.
"""

import dataclasses
import itertools
import re
import textwrap

import lessons
import version_stories
from lessons import REPOSITORY
from results_table import NAMES
from version_environments import RELEASES, numbers

PITFALLS = REPOSITORY / "docs" / "PITFALLS.md"
SIGNS = {
    "as described": "●",
    "in part": "◐",
    "another message": "◑",
    "not there": "○",
    "not run": "–",
    "not recorded": "",
}
REMEDY_SIGNS = {"fails": "✗", "refused": "▲"}
PARAGRAPH = re.compile(r"^Keras: .*?(?=\n\n|\n?\Z)", re.MULTILINE | re.DOTALL)
REFUSED = "`durable_checkpoint` does not run on {}"
LACKS = re.compile(
    r"module 'keras[\w.]*' has no attribute '(\w+)'|got an unexpected keyword argument '(\w+)'"
)
HEADING = re.compile(r"^### +(.*)$")
PIN = re.compile(r"Pinned\s+by\s+`tests/pitfalls/(\w+\.py::\w+)`")
FIRST_SENTENCE = re.compile(r"\AKeras: .*?\.(?=\s)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of PITFALLS: its heading, its section, the test that pins it."""

    heading: str
    section: str
    test: str


def entries() -> list[Entry]:
    """All entries, in the order of the page."""
    found, section, heading, fenced, lines = [], "", "", False, []

    def close():
        pins = PIN.findall("\n".join(lines))
        if heading and pins:
            found.append(Entry(heading, section, pins[0]))

    for line in PITFALLS.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        begins = not fenced and line.startswith(("## ", "### "))
        if begins:
            close()
            lines = []
            if line.startswith("## "):
                section, heading = line[3:].strip(), ""
            else:
                heading = HEADING.match(line)[1].strip()
        else:
            lines.append(line)
    close()
    return found


def columns(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
    """(release, backend) of each recorded column, oldest first, TensorFlow before JAX."""
    pairs = {(row["keras"], row["backend"]) for row in rows}
    return sorted(pairs, key=lambda pair: (numbers(pair[0]), pair[1] != "tensorflow"))


def releases_of(rows: list[dict[str, str]]) -> list[str]:
    """The releases that are recorded, oldest first."""
    return sorted({row["keras"] for row in rows}, key=numbers)


def cells(rows: list[dict[str, str]]) -> dict[tuple[str, str, str], dict[str, str]]:
    """(release, backend, test) -> the row."""
    return {(row["keras"], row["backend"], row["test"]): row for row in rows}


def span(releases: list[str], known: list[str]) -> str:
    """Releases in words; a range only where every minor release within it is among them.

    Args:
        releases: Some of `known`.
        known: All releases that are recorded.
    """
    order = sorted({*RELEASES, *known}, key=numbers)
    parts: list[list[str]] = []
    for release in sorted(releases, key=numbers):
        if parts and order.index(release) == order.index(parts[-1][-1]) + 1:
            parts[-1].append(release)
        else:
            parts.append([release])
    words = []
    for part in parts:
        words += [f"{part[0]} to {part[-1]}"] if len(part) > 2 else part
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def seen_on(test: str, rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """What was seen of an entry -> on which releases; TensorFlow's column where there are two."""
    found: dict[str, list[str]] = {}
    done = set()
    for release, backend in columns(rows):
        row = cells(rows).get((release, backend, test))
        if row and release not in done:
            done.add(release)
            found.setdefault(row["happens"], []).append(release)
    return found


def lacks(release: str, test: str, rows: list[dict[str, str]]) -> str:
    """What an entry is about and a release does not have, "" if its test ended otherwise."""
    reasons = [row["reason"] for row in rows if (row["keras"], row["test"]) == (release, test)]
    found = LACKS.search(reasons[0])
    return (found[1] or found[2]) if found else ""


def keras_line(test: str, rows: list[dict[str, str]]) -> str:
    """What the line `Keras:` of an entry begins with; "" where no column has the entry."""
    known = releases_of(rows)
    seen = seen_on(test, rows)
    words = {
        "as described": "{}",
        "in part": "in part on {}",
        "another message": "with another message on {}",
        "not there": "not on {}",
    }
    parts = [words[kind].format(span(seen[kind], known)) for kind in words if kind in seen]
    lacking: dict[str, list[str]] = {}
    for release in seen.get("not run", ()):
        lacking.setdefault(lacks(release, test, rows), []).append(release)
    for what, where in lacking.items():
        said = f"no `{what}` on" if what else "not tried on"
        parts.append(f"{said} {span(where, known)}")
    for remedy, said in (("fails", "the remedy fails on {}"), ("refused", REFUSED)):
        where = {row["keras"] for row in rows if (row["test"], row["remedy"]) == (test, remedy)}
        if where:
            parts.append(said.format(span(sorted(where), known)))
    return "; ".join(parts)


def history(test: str, rows: list[dict[str, str]]) -> tuple[str, str, str]:
    """Between which recorded releases an entry is new, is fixed, or has its message.

    Each is text such as `3.9.2 → 3.10.0`, or "". Releases where it was not run do not count.
    """
    new, fixed, message = "", "", ""
    states = []
    for kind, releases in seen_on(test, rows).items():
        states += [(release, kind) for release in releases if kind != "not run"]
    states.sort(key=lambda state: numbers(state[0]))
    for (before, was), (after, now) in itertools.pairwise(states):
        if was == "not there" != now:
            new = f"{before} → {after}"
        elif now == "not there" != was:
            fixed = f"{before} → {after}"
        elif "another message" in (was, now) and was != now:
            message = f"{before} → {after}"
    return new, fixed, message


def sign(row: dict[str, str] | None) -> str:
    """The cell of the table."""
    if row is None:
        return SIGNS["not recorded"]
    return SIGNS[row["happens"]] + REMEDY_SIGNS.get(row["remedy"], "")


def cell(text: str) -> str:
    """Text for a cell of a table: a bar would end it."""
    return text.replace("|", "\\|")


def anchor(heading: str) -> str:
    """The name under which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def gallery_table(rows: list[dict[str, str]]) -> str:
    """Entries × releases."""
    pairs, by_place = columns(rows), cells(rows)
    heads = [
        release.rsplit(".", 1)[0] + ("" if b == "tensorflow" else " JAX") for release, b in pairs
    ]
    heads += ["new", "fixed", "message changed"]
    lines = [f"| entry | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    for number, entry in enumerate(entries(), start=1):
        signs = [sign(by_place.get((*pair, entry.test))) for pair in pairs]
        link = f"[{number}](PITFALLS.md#{anchor(entry.heading)}) {entry.heading}"
        lines.append(f"| {' | '.join([cell(link), *signs, *history(entry.test, rows)])} |")
    return "\n".join(lines)


def columns_table(rows: list[dict[str, str]]) -> str:
    """What each column was run with."""
    lines = ["| Keras | with | as described | date |", "| --- | --- | --- | --- |"]
    for release, backend in columns(rows):
        own = [row for row in rows if (row["keras"], row["backend"]) == (release, backend)]
        count = sum(row["happens"] == "as described" for row in own)
        if not own[0]["versions"]:
            lines.append(f"| {release} | {own[0]['reason']} | – | {own[0]['date']} |")
            continue
        versions = own[0]["versions"].replace(backend, NAMES[backend]).replace("python", "Python")
        versions = versions.replace("numpy", "NumPy")
        lines.append(f"| {release} | {versions} | {count} of {len(own)} | {own[0]['date']} |")
    return "\n".join(lines)


def other_cells(rows: list[dict[str, str]]) -> str:
    """For each entry with a cell that is not as described: what came instead, and where."""
    lines, known = [], releases_of(rows)
    for number, entry in enumerate(entries(), start=1):
        notes: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            if row["test"] != entry.test or not row["versions"]:
                continue
            if row["happens"] == "another message" or (row["message"] and row["reason"]):
                note = f"{row['happens']}: `` {row['message']} ``"
            elif row["happens"] != "as described":
                note = f"{row['happens']}: `` {row['reason'][:300]} ``"
            elif row["remedy"] == "fails":
                note = f"the remedy fails: `` {row['reason'][:300]} ``"
            else:
                continue
            notes.setdefault((note, row["backend"]), []).append(row["keras"])
        for (note, backend), releases in notes.items():
            on_jax = "" if backend == "tensorflow" else " on JAX"
            lines.append(f"- {number}, {span(releases, known)}{on_jax}: {note}")
    return "\n".join(lines)


def scripts_table(rows: list[dict[str, str]]) -> str:
    """Scripts × releases, and the errors below."""
    pairs = columns(rows)
    by_place = {(row["keras"], row["backend"], row["script"]): row for row in rows}
    heads = [release + ("" if b == "tensorflow" else " JAX") for release, b in pairs]
    lines = [f"| script | {' | '.join(heads)} |", f"| --- |{' --- |' * len(heads)}"]
    errors: dict[str, dict[str, list[str]]] = {}
    for script in lessons.scripts("."):
        found = [by_place.get((*pair, script.stem)) for pair in pairs]
        signs = ["" if row is None else {"runs": "●"}.get(row["outcome"], "✗") for row in found]
        lines.append(f"| [{script.stem[:2]}](../{script.name}) | {' | '.join(signs)} |")
        for row in found:
            if row and row["error"]:
                where = errors.setdefault(row["error"], {})
                where.setdefault(script.stem[:2], []).append(row["keras"])
    known = releases_of(rows)
    notes = []
    for error, found in errors.items():
        spans: dict[str, list[str]] = {}
        for script, releases in found.items():
            spans.setdefault(span(list(dict.fromkeys(releases)), known), []).append(script)
        where = "; ".join(f"{', '.join(scripts)} on {one}" for one, scripts in spans.items())
        notes.append(f"- {where}: `` {error} ``")
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def scripts_summary(rows: list[dict[str, str]]) -> str:
    """Sentences about the releases on which all scripts run, and on which some do."""
    known = releases_of(rows)
    stops: dict[tuple[str, ...], list[str]] = {}
    for release in known:
        own = [row for row in rows if row["keras"] == release and row["outcome"] != "runs"]
        stops.setdefault(tuple(sorted({row["script"][:2] for row in own})), []).append(release)
    said = []
    for stopping, releases in stops.items():
        where = span(releases, known)
        if not stopping:
            said.append(f"All ten run on Keras {where}.")
        elif len(stopping) == 10:
            said.append(f"None runs on {where}.")
        elif len(stopping) < 5:
            said.append(f"All but {', '.join(stopping)} run on {where}.")
        else:
            ten = [script.stem[:2] for script in lessons.scripts(".")]
            left = [number for number in ten if number not in stopping]
            said.append(f"Only {', '.join(left)} {'runs' if len(left) == 1 else 'run'} on {where}.")
    return " ".join(reversed(said))


def scripts_text(rows: list[dict[str, str]]) -> str:
    """The table of the scripts, and what is not in it."""
    if not rows:
        return "Not recorded yet."
    return (
        f"{scripts_summary(rows)}\n\n"
        "● it runs to its end · ✗ it stops · an empty cell: not recorded yet."
        f"{missing(rows)}\n\n{scripts_table(rows)}\n\n"
        "Recorded in [versions_scripts.csv](data/versions_scripts.csv)."
    )


def missing(rows: list[dict[str, str]]) -> str:
    """A sentence about the releases that no column has."""
    there = {row["keras"] for row in rows}
    lacking = [release for release in RELEASES if release not in there]
    return f" Not recorded yet: {', '.join(lacking)}." if lacking else ""


def write_keras_lines(rows: list[dict[str, str]]) -> None:
    """Put what the table says into the lines `Keras:` of docs/PITFALLS.md."""
    text = PITFALLS.read_text(encoding="utf-8")
    PITFALLS.write_text(with_keras_lines(text, rows), encoding="utf-8")


def with_keras_lines(text: str, rows: list[dict[str, str]]) -> str:
    """The page with its lines `Keras:` as the table has them."""

    def renewed(paragraph: re.Match) -> str:
        pins = PIN.search(paragraph[0])
        line = keras_line(pins[1], rows) if pins else ""
        if not line:
            return paragraph[0]
        new = f"Keras: {line}." + FIRST_SENTENCE.sub("", paragraph[0], count=1)
        return textwrap.fill(
            " ".join(new.split()), 116, break_long_words=False, break_on_hyphens=False
        )

    return PARAGRAPH.sub(renewed, text)


def of_gallery(rows: list[dict[str, str]], scripts: list[dict[str, str]]) -> str:
    """The part of docs/VERSIONS.md about entries and scripts."""
    return TEXT.format(
        table=gallery_table(rows),
        columns=columns_table(rows),
        others=other_cells(rows),
        stories="\n".join(version_stories.texts()),
        scripts=scripts_text(scripts),
        missing=missing(rows),
        machines=" and ".join(sorted({row["machine"] for row in rows})),
    )


TEXT = """\
# Which Keras has which pitfall

## Find your Keras

`python -c "import keras; print(keras.__version__)"` shows your version. Each column of the
[table](#every-entry-on-each-release) is a release on which the test of every entry ran.{missing}

{stories}

## Every entry on each release

● it is as the entry says · ◑ it happens, with another message · ◐ the message comes, and something
else differs · ○ it does not happen · – the test could not try it there · an empty cell: not
recorded yet. ✗ the remedy fails · ▲ the remedy is `durable_checkpoint`, which does not run there.
"New" and "fixed" name the two recorded releases between which it changed.

{table}

## The table as a picture

![Entries of PITFALLS × releases: filled where it is as described](figures/versions.png)

## What comes instead

For each cell that is not ●: the message, or what ended the test. The numbers are those of the
table.

{others}

## Scripts 01 to 10, unchanged

{scripts}

## What the columns were run with

{columns}

Measured on {machines}; recorded in [versions_gallery.csv](data/versions_gallery.csv).
`make versions` runs what is not in the tables yet. Keras 3.0 to 3.4 need a NumPy before 2, and an
older TensorFlow.
"""
