"""Run every entry of docs/PITFALLS.md, and scripts 01 to 10, on one release of Keras.

What came of it stands in docs/data/versions_gallery.csv and docs/data/versions_scripts.csv: a row
for each entry, and for each script, of each release.
"""

import csv
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree

import lessons
from lessons import REPOSITORY
from version_environments import ENVIRONMENTS, machine, numbers, packages_of

ENTRIES = REPOSITORY / "docs" / "data" / "versions_gallery.csv"
SCRIPTS = REPOSITORY / "docs" / "data" / "versions_scripts.csv"
COMMON = ["machine", "versions", "date"]
FIELDS = {
    ENTRIES: ["keras", "backend", "test", "happens", "remedy", "message", "reason", *COMMON],
    SCRIPTS: ["keras", "backend", "script", "outcome", "error", "seconds", *COMMON],
}
SEEN = ("happens", "remedy", "message", "reason")
# Folders of this machine, and addresses in its memory, say nothing about Keras.
LOCAL = re.compile(
    r"(?:/[\w.+-]+)*/pytest-of-[\w.-]+(?:/[\w.+-]+)?(?:/popen-gw\d+)?(?:/[\w.+-]+)?"
    r"|(?:/[\w.+-]+)+/site-packages|0x[0-9a-f]{6,}"
)
PINNED = re.compile(r"^@pinned\ndef (\w+)\(", re.MULTILINE)
LONGEST_TEST, LONGEST_SCRIPT = 300, 1200  # seconds


def tests() -> list[str]:
    """The tests that pin an entry, as `file::function`, in the order of the files."""
    files = sorted((REPOSITORY / "tests" / "pitfalls").glob("test_*.py"))
    return [f"{file.name}::{name}" for file in files for name in PINNED.findall(file.read_text())]


def without_places(text: str) -> str:
    """The text with `[...]` for folders of this machine and for addresses, on one line."""
    text = LOCAL.sub("[...]", text).replace(str(REPOSITORY), "[...]")
    return " ".join(text.split())


def _not_run(reason: str) -> dict[str, str]:
    return dict(zip(SEEN, ("not run", "not run", "", without_places(reason)), strict=True))


def outcomes(report: pathlib.Path) -> dict[str, dict[str, str]]:
    """Test -> what it saw, for each test that pins an entry, from the report of a run.

    A test that has left no verdict was not run, and the reason is what pytest says of it.
    """
    found, unread = {}, {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        module = (case.get("classname") or case.get("name", "")).split(".")[-1]
        place = f"{module}.py::{case.get('name')}"
        said = {one.get("name"): one.get("value", "") for one in case.iter("property")}
        if said.keys() >= set(SEEN):
            found[place] = {key: without_places(said[key]) for key in SEEN}
            continue
        ends = [end for end in case if end.tag in ("failure", "error", "skipped")]
        reason = " ".join(end.get("message") or "" for end in ends)
        if case.get("classname"):
            found[place] = _not_run(reason)
        else:  # the whole file could not be imported: the last line of the traceback says why
            lines = [line for line in (ends[0].text or "").splitlines() if line.startswith("E  ")]
            unread[f"{module}.py"] = lines[-1][1:].strip() if lines else reason
    for place in tests():
        if place not in found:
            reason = unread.get(place.split("::")[0], "the run ended before this test")
            found[place] = _not_run(reason)
    return {place: found[place] for place in tests()}


def run_entries(
    python: pathlib.Path | str, release: str, backend: str, wanted: list[str]
) -> list[dict[str, str]]:
    """Run these tests, each that of an entry, as `tests` names them; returns a row for each."""
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    report = ENVIRONMENTS / f"gallery-{release}-{backend}.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [python, "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "worksteal"]
        + ["-p", "no:cacheprovider", "--junit-xml", report, "--tb", "line"]
        + ["-o", f"faulthandler_timeout={LONGEST_TEST}"]
        + ["-o", "faulthandler_exit_on_timeout=true"]
        + [f"tests/pitfalls/{test}" for test in wanted],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        check=False,  # tests that fail are a result
    )
    common = _common(python, release, backend)
    found = outcomes(report)
    return [{"test": test, **found[test], **common} for test in wanted]


def _common(python, release, backend):
    return {
        "keras": release,
        "backend": backend,
        "machine": machine(),
        "versions": packages_of(python, backend),
        "date": datetime.date.today().isoformat(),
    }


def without_keras(
    release: str, backend: str, reason: str
) -> dict[pathlib.Path, list[dict[str, str]]]:
    """Table -> its rows for a release that cannot be installed, or not imported."""
    common = {"keras": release, "backend": backend, "machine": machine(), "versions": ""}
    common["date"] = datetime.date.today().isoformat()
    error = without_places(reason)
    return {
        ENTRIES: [{"test": test, **_not_run(reason), **common} for test in tests()],
        SCRIPTS: [
            {"script": script.stem, "outcome": "fails", "error": error, "seconds": "0", **common}
            for script in lessons.scripts(".")
        ],
    }


def error_line(errors: str) -> str:
    """The line of what a program wrote to its standard error that says why it ended."""
    lines = errors.rstrip().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    if not begins:
        return lines[-1] if lines else ""
    rest = lines[begins[-1] + 1 :]
    return next((line for line in rest if line and not line.startswith(" ")), lines[-1])


def run_scripts(python: pathlib.Path | str, release: str, backend: str) -> list[dict[str, str]]:
    """Run scripts 01 to 10 in an empty folder, in their order; returns a row for each."""
    common = _common(python, release, backend)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(REPOSITORY / "data", pathlib.Path(folder) / "data")
        for script in lessons.scripts("."):
            shutil.copy(script, folder)
        for script in lessons.scripts("."):
            begin = time.monotonic()
            try:
                run = subprocess.run(
                    [python, script.name],
                    cwd=folder,
                    env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=LONGEST_SCRIPT,
                    check=False,
                )
                error = error_line(run.stderr) if run.returncode else ""
                outcome = "fails" if run.returncode else "runs"
            except subprocess.TimeoutExpired:
                outcome, error = "fails", f"it did not end within {LONGEST_SCRIPT} seconds"
            rows.append(
                {
                    "script": script.stem,
                    "outcome": outcome,
                    "error": without_places(error.replace(folder, "[...]")),
                    "seconds": f"{time.monotonic() - begin:.0f}",
                    **common,
                }
            )
    return rows


def recorded(table: pathlib.Path) -> list[dict[str, str]]:
    """The rows of ENTRIES or of SCRIPTS."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def record(table: pathlib.Path, rows: list[dict[str, str]]) -> None:
    """Put rows in, in place of those of the same release, backend and test or script."""
    what = next(name for name in FIELDS[table] if name in ("test", "script"))

    def key(row):
        return row["keras"], row["backend"], row[what]

    replaced = {key(row) for row in rows}
    kept = [row for row in recorded(table) if key(row) not in replaced]

    def order(row):
        return numbers(row["keras"]), row["backend"] != "tensorflow", row[what]

    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS[table], lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*kept, *rows], key=order))


def changes(before: list[dict[str, str]], rows: list[dict[str, str]]) -> list[str]:
    """A line for each entry that these rows see otherwise than the newest release in `before`.

    Only columns of the same backend are compared.
    """
    mine = [row for row in before if row["backend"] == rows[0]["backend"]]
    if not mine:
        return []
    newest = max((row["keras"] for row in mine), key=numbers)
    then = {row["test"]: row for row in mine if row["keras"] == newest}
    return [
        f"{row['test']}: {key} on {newest}: {then[row['test']][key] or '-'}; "
        f"on {row['keras']}: {row[key] or '-'}"
        for row in rows
        for key in ("happens", "remedy", "message")
        if row["test"] in then and row[key] != then[row["test"]][key]
    ]
