"""Run tests on other releases of Keras, and write down what came of them.

    python tools/versions.py run                    what docs/data/versions.csv lacks
    python tools/versions.py run 3.12.0 jax         one release on one backend, again
    python tools/versions.py run 3.12.0 jax exact   only these files of tests
    python tools/versions.py page                   docs/VERSIONS.md from docs/data/versions.csv

Each release is installed alone, without what it needs, into an environment in out/versions/. Its
other packages are those of .venv: so TensorFlow, JAX, h5py and NumPy are the same for all.
"""

import csv
import datetime
import importlib.metadata
import itertools
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv
import xml.etree.ElementTree

from lessons import REPOSITORY
from results_table import NAMES, processor

RECORDED = REPOSITORY / "docs" / "data" / "versions.csv"
PAGE = REPOSITORY / "docs" / "VERSIONS.md"
ENVIRONMENTS = REPOSITORY / "out" / "versions"
# The oldest that the package is for, one in the middle, and the one of the lock files.
RELEASES = ["3.10.0", "3.12.0", importlib.metadata.version("keras")]
# Keras's own tests of the two callbacks, kills and resuming, and every kind of state.
TESTS = ["conformance", "callback", "kill", "exact", "state", "snapshot", "damage"]
# Older packages come without their tests: there those of the lock files' Keras are run.
TESTS_OF_KERAS = [
    f"keras/src/callbacks/{name}_test.py" for name in ("model_checkpoint", "backup_and_restore")
]
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


def environment(release: str) -> pathlib.Path:
    """A Python that imports this release of Keras, and all else from the Python that runs this."""
    folder = ENVIRONMENTS / release
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, symlinks=True)
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        uv = pathlib.Path(sys.executable).with_name("uv")
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python]
        subprocess.run([*install, f"keras=={release}"], check=True)
        for name in TESTS_OF_KERAS:
            if not (packages / name).exists():
                shutil.copy(pathlib.Path(sysconfig.get_path("purelib")) / name, packages / name)
    found = "import keras; print(keras.__version__)"
    run = subprocess.run([python, "-c", found], capture_output=True, text=True, check=True)
    if run.stdout.split()[-1:] != [release]:
        raise SystemExit(f"{python} imports Keras {run.stdout.strip()} instead of {release}")
    return python


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
    packages = [backend, "h5py", "numpy"]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    common = {
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join([f"python {platform.python_version()}", *versions]),
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
    """docs/VERSIONS.md, from the rows of docs/data/versions.csv."""
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
    return PAGE_TEXT.format(
        table="\n".join(table),
        failing="\n".join(["", *failing]) if failing else "",
        missing=f"Not recorded yet: {', '.join(missing)}. " if missing else "",
        machines=" and ".join(sorted({row["machine"] for row in rows})),
    )


PAGE_TEXT = """\
# Which Keras `durable_checkpoint` runs on

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


def main(command: str = "", release: str = "", backend: str = "", *names: str) -> None:
    if command not in ("run", "page") or (release and not backend):
        raise SystemExit(__doc__)
    if command == "run":
        there = {(row["keras"], row["backend"], row["tests"]) for row in recorded()}
        for pair in itertools.product(RELEASES, NAMES):
            if release and pair != (release, backend):
                continue
            wanted = names or TESTS
            if not release:
                wanted = [name for name in TESTS if (*pair, name) not in there]
            if wanted:
                record(run(*pair, tuple(wanted)))
                shutil.rmtree(ENVIRONMENTS / pair[0])
    PAGE.write_text(page(recorded()))


if __name__ == "__main__":
    main(*sys.argv[1:])
