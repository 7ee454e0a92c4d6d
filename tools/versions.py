"""Run tests on other releases of Keras, and write down what came of them.

    python tools/versions.py run                    what docs/data/versions.csv lacks
    python tools/versions.py run 3.12.0 jax         one release on one backend, again
    python tools/versions.py page                   docs/VERSIONS.md from docs/data/versions.csv

Each release is installed alone, without what it needs, into an environment in out/versions/. Its
other packages are those of .venv: so TensorFlow, JAX, h5py and NumPy are the same for all.
"""

import csv
import datetime
import importlib.metadata
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
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
TESTS = [
    f"tests/durability/test_{name}.py"
    for name in ("conformance", "callback", "kill", "exact", "state", "snapshot", "damage")
]
FIELDS = [
    "keras",
    "backend",
    "passed",
    "failed",
    "skipped",
    "failing",
    "seconds",
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
    found = "import keras; print(keras.__version__)"
    run = subprocess.run([python, "-c", found], capture_output=True, text=True, check=True)
    if run.stdout.split()[-1:] != [release]:
        raise SystemExit(f"{python} imports Keras {run.stdout.strip()} instead of {release}")
    return python


def outcome(report: pathlib.Path) -> dict[str, str]:
    """How many tests passed, failed and were skipped, and which failed."""
    found = {"passed": 0, "failed": 0, "skipped": 0}
    failing = []
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            found["failed"] += 1
            failing.append(f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name')}")
        else:
            found["skipped" if "skipped" in kinds else "passed"] += 1
    return {**{key: str(value) for key, value in found.items()}, "failing": "; ".join(failing)}


def run(release: str, backend: str) -> dict[str, str]:
    """Run the tests on one release and one backend; returns a row."""
    python = environment(release)
    report = ENVIRONMENTS / f"{release}-{backend}.xml"
    begin = time.monotonic()
    subprocess.run(
        [python, "-m", "pytest", "-q", "--numprocesses", "2", "--dist", "worksteal"]
        + ["-p", "no:cacheprovider", "--junit-xml", report, *TESTS],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend},
        stdin=subprocess.DEVNULL,
        check=False,  # tests that fail are a result
    )
    packages = [backend, "h5py", "numpy"]
    return {
        "keras": release,
        "backend": backend,
        **outcome(report),
        "seconds": str(round(time.monotonic() - begin)),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(
            [f"python {platform.python_version()}"]
            + [f"{name} {importlib.metadata.version(name)}" for name in packages]
        ),
        "date": datetime.date.today().isoformat(),
    }


def recorded() -> list[dict[str, str]]:
    if not RECORDED.exists():
        return []
    with RECORDED.open(newline="") as file:
        return list(csv.DictReader(file))


def record(row: dict[str, str]) -> None:
    """Put a row in, in place of an older one of the same release and backend."""

    def order(row):
        return row["backend"] != "tensorflow", [int(n) for n in row["keras"].split(".")]

    key = row["keras"], row["backend"]
    rows = [old for old in recorded() if (old["keras"], old["backend"]) != key]
    with RECORDED.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted([*rows, row], key=order))


def page(rows: list[dict[str, str]]) -> str:
    """docs/VERSIONS.md, from the rows of docs/data/versions.csv."""
    table, failing = [], []
    for row in rows:
        versions = dict(package.split() for package in row["versions"].split(", "))
        backend = f"{NAMES[row['backend']]} {versions[row['backend']]}"
        counts = " | ".join(row[kind] for kind in ("passed", "failed", "skipped"))
        table.append(f"| {row['keras']} | {backend} | {counts} | {row['date']} |")
        if row["failing"]:
            failing += [f"Failing with Keras {row['keras']} on {NAMES[row['backend']]}:", ""]
            failing += [*(f"- `{name}`" for name in row["failing"].split("; ")), ""]
    return PAGE_TEXT.format(
        table="\n".join(table),
        failing="\n".join(["", *failing]) if failing else "",
        machines=" and ".join(sorted({row["machine"] for row in rows})),
    )


PAGE_TEXT = """\
# Which Keras `durable_checkpoint` runs on

Its tests ran on each of these releases: Keras's own tests of the two callbacks, kills during saves,
resuming bit for bit, and every kind of state.

| Keras | backend | passed | failed | skipped | date |
| --- | --- | --- | --- | --- | --- |
{table}
{failing}
`make versions` runs what is not in this table yet. Measured on {machines};
recorded in [versions.csv](data/versions.csv). A Keras before 3.10 is refused when
`DurableCheckpoint` is imported.
"""


def main(command: str = "", *what: str) -> None:
    if command not in ("run", "page") or len(what) not in (0, 2):
        raise SystemExit(__doc__)
    if command == "run":
        there = {(row["keras"], row["backend"]) for row in recorded()}
        pairs = [(release, backend) for release in RELEASES for backend in ("tensorflow", "jax")]
        for pair in [what] if what else [pair for pair in pairs if pair not in there]:
            record(run(*pair))
            shutil.rmtree(ENVIRONMENTS / pair[0], ignore_errors=True)
    PAGE.write_text(page(recorded()))


if __name__ == "__main__":
    main(*sys.argv[1:])
