"""Kill a training 1,000 times for each kind of file and write down what was left.

    python tests/durability/torture.py files     for each file format: docs/data/torture.csv
    python tests/durability/torture.py exact     while backups are made: docs/data/torture_exact.csv
    python tests/durability/torture.py workers   one of two, 20 times: docs/data/torture_workers.csv

The rows of this KERAS_BACKEND are replaced, the others stay; workers are always on JAX. Files and
exact: what was found after each lot of kills is kept in out/torture/, so the same command goes on
where it was ended. After a change of the code or of a version it begins anew. See killing.py,
resuming.py and joining.py for what is done.
"""

import concurrent.futures
import csv
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from on_path import REPOSITORY
from results_table import processor

DOCS = REPOSITORY / "docs" / "data"
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
KILLS = 1000
KILLS_OF_A_LOT = 100
SIDE_BY_SIDE = os.cpu_count() or 2  # lots
KILLS_OF_WORKERS = 20
NOTHING_OF = {
    "unloadable": "unloadable_files",
    "wrong": "wrong_files",
    "lost_bests": "lost_bests",
    "lost_newest": "lost_newest",
}
EXACT_FIELDS = [
    "backend",
    "kills",
    "kills_while_backup_was_written",
    "kills_while_being_renamed",
    "most_kills_of_one_training",
    "trainings",
    "ended_in_other_bits",
    "errors",
    "sha256_of_all",
    "machine",
    "versions",
    "date",
]
WORKERS_FIELDS = [
    "backend",
    "kills",
    "kills_before_a_joint_save",
    "kills_during_a_joint_save",
    "kills_after_a_joint_save",
    "kills_of_worker_0",
    "most_kills_of_one_training",
    "trainings",
    "ended_in_other_bits",
    "errors",
    "sha256_of_all",
    "machine",
    "versions",
    "date",
]
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
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()}"


def versions(*more: str) -> str:
    packages = ["keras", BACKEND, "h5py", "numpy", *more]
    return ", ".join(
        [f"python {platform.python_version()}"]
        + [f"{package} {importlib.metadata.version(package)}" for package in packages]
    )


def run(program: str, *arguments) -> dict:
    """What a program beside this one has found."""
    command = [sys.executable, pathlib.Path(__file__).with_name(program), *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{program} {arguments}: {ended.stderr}")
    return json.loads(ended.stdout)


def same_code() -> str:
    """A name for the code that is tried, that which tries it, and the versions."""
    files = sorted((REPOSITORY / "beyond" / "durable_checkpoint").glob("*.py"))
    files += [pathlib.Path(__file__).with_name(name) for name in ("killing.py", "resuming.py")]
    contents = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(contents + f"{versions()}, {machine()}".encode()).hexdigest()[:12]


def one_lot(kind: str, number: int) -> dict:
    """What was found after the kills of this lot, now or in a run before.

    Arguments:
        kind: The ending of the files, or "exact".
        number: From 1. While backups are made, the moments are drawn with it as the seed.
    """
    kept = REPOSITORY / "out" / "torture" / same_code() / f"{BACKEND}{kind}-{number}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    with tempfile.TemporaryDirectory() as folder:
        if kind == "exact":
            found = run("resuming.py", "saves", folder, KILLS_OF_A_LOT, number)
        else:
            found = run("killing.py", kind, KILLS_OF_A_LOT, folder)
    kept.parent.mkdir(parents=True, exist_ok=True)
    unfinished = kept.with_suffix(".tmp")
    unfinished.write_text(json.dumps(found))
    unfinished.replace(kept)
    return found


def row_of_files(ending: str, lots: list[dict]) -> dict:
    """The row for one format. Every finding that is not as it should be is printed."""
    found = {what: [line for lot in lots for line in lot[what]] for what in NOTHING_OF}
    for what, lines in found.items():
        for line in lines:
            print(f"{ending}: {what}: {line}")
    return {
        "backend": BACKEND,
        "format": ending,
        "kills": sum(lot["kills"] for lot in lots),
        "kills_while_temporary_file_existed": sum(
            lot["while_temporary_file_existed"] for lot in lots
        ),
        "kills_while_being_renamed": sum(lot["while_being_renamed"] for lot in lots),
        **{column: len(found[what]) for what, column in NOTHING_OF.items()},
        "most_saves_lost": max(lot["most_saves_lost"] for lot in lots),
        "machine": machine(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def row_of_exact(lots: list[dict]) -> dict:
    whole = lots[0]["whole"]
    results = [result for lot in lots for result in lot["results"]]
    errors = [error for lot in lots for error in lot["errors"]]
    for error in errors:
        print(error)
    return {
        "backend": BACKEND,
        "kills": sum(lot["kills"] for lot in lots),
        "kills_while_backup_was_written": sum(lot["while_saving"] for lot in lots),
        "kills_while_being_renamed": sum(lot["while_being_renamed"] for lot in lots),
        "most_kills_of_one_training": max(lot["most_in_a_row"] for lot in lots),
        "trainings": len(results),
        "ended_in_other_bits": sum(result != whole for result in results),
        "errors": len(errors),
        "sha256_of_all": whole["digest"],
        "machine": machine(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def row_of_workers() -> dict:
    found = run("joining.py", KILLS_OF_WORKERS, 1)
    for error in found["errors"]:
        print(error)
    return {
        "backend": BACKEND,
        "kills": sum(found["kills"].values()),
        **{f"kills_{when}_a_joint_save": count for when, count in found["kills"].items()},
        "kills_of_worker_0": found["kills_of_each"][0],
        "most_kills_of_one_training": found["most_in_a_row"],
        "trainings": len(found["results"]),
        "ended_in_other_bits": sum(result != found["whole"] for result in found["results"]),
        "errors": len(found["errors"]),
        "sha256_of_all": found["whole"][0],
        "machine": machine(),
        "versions": versions("orbax-checkpoint"),
        "date": datetime.date.today().isoformat(),
    }


def write(name: str, fields: list[str], rows: list[dict]) -> None:
    path = DOCS / name
    kept = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["backend"] != BACKEND]
    rows = sorted(kept + rows, key=lambda row: (row["backend"], row.get("format", "")))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(what: str) -> int:
    if what == "workers" and BACKEND != "jax":
        sys.exit("Workers train on JAX only: KERAS_BACKEND=jax")
    lots = range(1, KILLS // KILLS_OF_A_LOT + 1)
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        if what == "exact":
            rows = [row_of_exact(list(pool.map(one_lot, ["exact"] * len(lots), lots)))]
            fields, wrong = EXACT_FIELDS, ("ended_in_other_bits", "errors")
            write("torture_exact.csv", fields, rows)
        elif what == "workers":
            rows = [row_of_workers()]
            fields, wrong = WORKERS_FIELDS, ("ended_in_other_bits", "errors")
            write("torture_workers.csv", fields, rows)
        else:
            endings = ".keras", ".weights.h5"
            found = {e: list(pool.map(one_lot, [e] * len(lots), lots)) for e in endings}
            rows = [row_of_files(ending, found[ending]) for ending in endings]
            fields, wrong = FIELDS, NOTHING_OF.values()
            write("torture.csv", fields, rows)
    for row in rows:
        print(", ".join(f"{field} {row[field]}" for field in fields[:10]))
    return int(any(row[column] for row in rows for column in wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
