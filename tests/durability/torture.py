"""Kill a training 1,000 times for each format and write down what was left: docs/torture.csv.

    python tests/durability/torture.py

The rows of this KERAS_BACKEND are replaced, the others stay. See killing.py for what is done.
"""

import concurrent.futures
import csv
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
TORTURE = REPOSITORY / "docs" / "torture.csv"
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
KILLS = 1000
NOTHING_OF = {
    "unloadable": "unloadable_files",
    "wrong": "wrong_files",
    "lost_bests": "lost_bests",
    "lost_newest": "lost_newest",
}
FIELDS = [
    "backend",
    "format",
    "kills",
    "kills_while_temporary_file_existed",
    "kills_while_being_renamed",
    "unloadable_files",
    "wrong_files",
    "lost_bests",
    "lost_newest",
    "most_saves_lost",
    "machine",
    "versions",
    "date",
]


def machine() -> str:
    name = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), flags=re.MULTILINE)
        name = found[1] if found else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def versions() -> str:
    packages = ["keras", BACKEND, "h5py", "numpy"]
    return ", ".join(
        [f"python {platform.python_version()}"]
        + [f"{package} {importlib.metadata.version(package)}" for package in packages]
    )


def torture(ending: str) -> dict:
    """The row for one format. Every finding that is not as it should be is printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, pathlib.Path(__file__).with_name("killing.py")]
        run = subprocess.run(
            [*command, ending, str(KILLS), folder],
            check=False,
            capture_output=True,
            text=True,
        )
    if run.returncode:
        sys.exit(f"{ending}: {run.stderr}")
    found = json.loads(run.stdout)
    for what in NOTHING_OF:
        for line in found[what]:
            print(f"{ending}: {what}: {line}")
    return {
        "backend": BACKEND,
        "format": ending,
        "kills": found["kills"],
        "kills_while_temporary_file_existed": found["while_temporary_file_existed"],
        "kills_while_being_renamed": found["while_being_renamed"],
        **{column: len(found[what]) for what, column in NOTHING_OF.items()},
        "most_saves_lost": found["most_saves_lost"],
        "machine": machine(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def main() -> int:
    kept = []
    if TORTURE.exists():
        with TORTURE.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["backend"] != BACKEND]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(torture, [".keras", ".weights.h5"]))
    with TORTURE.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(kept + rows, key=lambda row: (row["backend"], row["format"])))
    for row in rows:
        print(", ".join(f"{field} {row[field]}" for field in FIELDS[:10]))
    return int(any(row[column] for row in rows for column in NOTHING_OF.values()))


if __name__ == "__main__":
    sys.exit(main())
