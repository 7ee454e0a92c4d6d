"""Run tests, the entries of docs/PITFALLS.md and scripts 01 to 10 on other releases of Keras.

    python tools/versions.py run                    what docs/data/versions.csv lacks
    python tools/versions.py run 3.12.0 jax         one release on one backend, again
    python tools/versions.py run 3.12.0 jax exact   only these files of tests
    python tools/versions.py gallery                the entries and scripts of each release that
                                                    docs/data/versions_*.csv lack, newest first
    python tools/versions.py gallery 3.9.2 jax      one release on one backend: what they lack
    python tools/versions.py gallery 3.9.2 jax nan  the tests with `nan` in their name, again
    python tools/versions.py gallery installed      the Keras of .venv; fails if it changes an entry
    python tools/versions.py page                   docs/VERSIONS.md, its picture, and the lines
                                                    `Keras:` of docs/PITFALLS.md, from the tables

`run` is about durable_checkpoint. Each release has an environment in out/versions/, which is
removed when its column is recorded (version_environments.py says what lies in it).
"""

import csv
import datetime
import importlib.metadata
import itertools
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import lessons
import version_environments
import version_gallery
import version_page
import version_picture
from lessons import REPOSITORY
from results_table import NAMES
from version_environments import ENVIRONMENTS, environment, machine, packages_of

RECORDED = REPOSITORY / "docs" / "data" / "versions.csv"
PAGE = REPOSITORY / "docs" / "VERSIONS.md"
# The oldest that the package is for, one in the middle, and the one of the lock files.
RELEASES = ["3.10.0", "3.12.0", importlib.metadata.version("keras")]
# Keras's own tests of the two callbacks, kills and resuming, and every kind of state.
TESTS = ["conformance", "callback", "kill", "exact", "state", "snapshot", "damage"]
FIELDS = [
    "keras",
    "backend",
    "tests",
    "passed",
    "failed",
    "skipped",
    "failing",
    "machine",
    "versions",
    "date",
]


def outcomes(report: pathlib.Path, names: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """File of tests -> how many passed, failed and were skipped, and which failed."""
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    found = {}
    for name in names:
        counts, failing = {"passed": 0, "failed": 0, "skipped": 0}, []
        for case in cases:
            # A file that cannot be imported is a case without a class.
            place = case.get("classname") or case.get("name")
            if f"test_{name}" not in place.split("."):
                continue
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                counts["failed"] += 1
                failing.append(case.get("name"))
            else:
                counts["skipped" if "skipped" in kinds else "passed"] += 1
        found[name] = {key: str(value) for key, value in counts.items()}
        found[name]["failing"] = "; ".join(failing)
    return found


def run(release: str, backend: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    """Run these files of tests on one release and one backend; returns a row for each."""
    python = environment(release)
    report = ENVIRONMENTS / f"{release}-{backend}.xml"
    report.unlink(missing_ok=True)
    subprocess.run(
        [python, "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "worksteal"]
        + ["-p", "no:cacheprovider", "--junit-xml", report]
        + [f"tests/durability/test_{name}.py" for name in names],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend},
        stdin=subprocess.DEVNULL,
        check=False,  # tests that fail are a result
    )
    common = {
        "machine": machine(),
        "versions": packages_of(python, backend),
        "date": datetime.date.today().isoformat(),
    }
    return [
        {"keras": release, "backend": backend, "tests": name, **found, **common}
        for name, found in outcomes(report, names).items()
    ]


def recorded() -> list[dict[str, str]]:
    if not RECORDED.exists():
        return []
    with RECORDED.open(newline="") as file:
        return list(csv.DictReader(file))


def record(rows: list[dict[str, str]]) -> None:
    """Put rows in, in place of older ones of the same release, backend and tests."""

    def key(row):
        return row["keras"], row["backend"], row["tests"]

    def order(row):
        release = [int(number) for number in row["keras"].split(".")]
        return release, row["backend"] != "tensorflow", row["tests"]

    new = {key(row) for row in rows}
    rows = [row for row in recorded() if key(row) not in new] + rows
    with RECORDED.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=order))


def page(rows: list[dict[str, str]]) -> str:
    """docs/VERSIONS.md, from the rows of docs/data/versions.csv and of the two tables beside it."""
    table, failing = [], []
    for release, backend in dict.fromkeys((row["keras"], row["backend"]) for row in rows):
        own = [row for row in rows if (row["keras"], row["backend"]) == (release, backend)]
        versions = dict(package.split() for package in own[0]["versions"].split(", "))
        counts = [sum(int(row[kind]) for row in own) for kind in ("passed", "failed", "skipped")]
        cells = [release, f"{NAMES[backend]} {versions[backend]}", *map(str, counts)]
        table.append(f"| {' | '.join([*cells, max(row['date'] for row in own)])} |")
        for row in own:
            if row["failing"]:
                failing += [f"Failing with Keras {release} on {NAMES[backend]}:", ""]
                failing += [*(f"- `{name}`" for name in row["failing"].split("; ")), ""]
    ran = {(row["keras"], row["backend"], row["tests"]) for row in rows}
    missing = [
        f"{release} on {NAMES[backend]}"
        for release, backend in itertools.product(RELEASES, NAMES)
        if not {(release, backend, name) for name in TESTS} <= ran
    ]
    gallery = version_page.of_gallery(
        version_gallery.recorded(version_gallery.ENTRIES),
        version_gallery.recorded(version_gallery.SCRIPTS),
    )
    return f"{gallery}\n" + PAGE_TEXT.format(
        table="\n".join(table),
        failing="\n".join(["", *failing]) if failing else "",
        missing=f"Not recorded yet: {', '.join(missing)}. " if missing else "",
        machines=" and ".join(sorted({row["machine"] for row in rows})),
    )


PAGE_TEXT = """\
## `durable_checkpoint`

Its tests ran on each of these releases: Keras's own tests of the two callbacks, kills during saves,
resuming bit for bit, and every kind of state. Older packages come without Keras's tests; there the
tests of the newest of these releases ran.

| Keras | backend | passed | failed | skipped | date |
| --- | --- | --- | --- | --- | --- |
{table}
{failing}
{missing}`make versions` runs what is not in this table yet. Measured on {machines};
recorded in [versions.csv](data/versions.csv). A Keras before 3.10 is refused when
`DurableCheckpoint` is imported.
"""


def run_what_lacks(release: str, backend: str, names: tuple[str, ...]) -> None:
    """The tests of durable_checkpoint that no row records, or these."""
    there = {(row["keras"], row["backend"], row["tests"]) for row in recorded()}
    for pair in itertools.product(RELEASES, NAMES):
        if release and pair != (release, backend):
            continue
        wanted = names or TESTS
        if not release:
            wanted = [name for name in TESTS if (*pair, name) not in there]
        if wanted:
            record(run(*pair, tuple(wanted)))
            version_environments.remove(pair[0])


def lacking(release: str, backend: str) -> tuple[list[str], bool]:
    """The tests of entries that no row records, and whether a script has no row."""
    entries, scripts = (
        [row for row in version_gallery.recorded(table) if row["keras"] == release]
        for table in (version_gallery.ENTRIES, version_gallery.SCRIPTS)
    )
    there = {row["test"] for row in entries if row["backend"] == backend}
    ran = {row["script"] for row in scripts if row["backend"] == backend}
    return (
        [test for test in version_gallery.tests() if test not in there],
        ran != {script.stem for script in lessons.scripts(".")},
    )


def run_gallery(release: str, backend: str, names: tuple[str, ...] = ()) -> list[str]:
    """Entries and scripts on one release; each table is written as soon as it is known.

    Returns, for `installed`, what differs from the newest release that was recorded before.
    """
    installed = release == "installed"
    if installed:
        release = importlib.metadata.version("keras")
    try:
        python = sys.executable if installed else environment(release)
    except SystemExit as error:
        for table, rows in version_gallery.without_keras(release, backend, str(error)).items():
            version_gallery.record(table, rows)
        return []
    before = version_gallery.recorded(version_gallery.ENTRIES)
    wanted = version_gallery.tests() if installed else lacking(release, backend)[0]
    if names:
        wanted = [test for test in version_gallery.tests() if any(n in test for n in names)]
    rows = version_gallery.run_entries(python, release, backend, wanted) if wanted else []
    version_gallery.record(version_gallery.ENTRIES, rows)
    if installed or lacking(release, backend)[1]:
        version_gallery.record(
            version_gallery.SCRIPTS, version_gallery.run_scripts(python, release, backend)
        )
    if installed:
        return version_gallery.changes(before, rows)
    version_environments.remove(release)
    return []


def run_gallery_of_all() -> None:
    """What one of the two tables lacks, newest release first, on TensorFlow."""
    for release in reversed(version_environments.RELEASES):
        if any(lacking(release, "tensorflow")):
            run_gallery(release, "tensorflow")


def main(command: str = "", release: str = "", backend: str = "", *names: str) -> None:
    if command not in ("run", "gallery", "page"):
        raise SystemExit(__doc__)
    if release and not backend and release != "installed":
        raise SystemExit(__doc__)
    changed = []
    if command == "run":
        run_what_lacks(release, backend, names)
    elif command == "gallery" and release:
        changed = run_gallery(
            release, backend or os.environ.get("KERAS_BACKEND", "tensorflow"), names
        )
    elif command == "gallery":
        run_gallery_of_all()
    rows = version_gallery.recorded(version_gallery.ENTRIES)
    version_page.write_keras_lines(rows)
    version_picture.draw(rows)
    PAGE.write_text(page(recorded()))
    if changed:
        raise SystemExit(
            "This Keras differs from the newest that was recorded:\n" + "\n".join(changed)
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
