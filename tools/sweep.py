"""Run the scripts for many seeds and derive tests/expected.json from what came out.

    python tools/sweep.py run          put this backend's runs into docs/data/sweep.csv
    python tools/sweep.py run 06 08    those of some scripts only; the other rows stay
    python tools/sweep.py typical      put script 17's runs into docs/data/how_typical.csv
    python tools/sweep.py expect       derive tests/expected.json from docs/data/sweep.csv

A run is the script itself, at full length, with nothing changed but the value of SEED, in an
empty folder of its own. 01 trains what 02 trains, and 05 what 04 trains (a test holds them to it),
so 02 and 04 speak for them.
"""

import concurrent.futures
import csv
import datetime
import importlib.metadata
import itertools
import json
import math
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import lessons
from lessons import REPOSITORY

SWEEP = REPOSITORY / "docs" / "data" / "sweep.csv"
HOW_TYPICAL = REPOSITORY / "docs" / "data" / "how_typical.csv"
EXPECTED = REPOSITORY / "tests" / "expected.json"
SEEDS = range(1, 21)
SPEAKS_FOR = {
    "01_checkpoint_improvements": "02_checkpoint_best_only",
    "05_mnist_best_only": "04_mnist_every_epoch",
}
SCRIPTS = tuple(path.name for path in lessons.scripts(".") if path.stem not in SPEAKS_FOR)
ALWAYS_NO = 500 / 768  # the share of right answers if all are "no diabetes"
NEVER_BELOW = {("06_resume_training", "reproduced"): ALWAYS_NO}  # 20 epochs sometimes get near it
FIELDS = ["script", "seed", "quantity", "value", "backend", "python", "keras", "machine", "date"]


def measured(result: dict) -> dict[str, float]:
    """The numbers of one result.json that depend on the seed, by the names that tests use."""
    values = {name: result[name] for name in ("reproduced", "best_epoch") if name in result}
    if "saved_epochs" in result and "val_accuracy" in result:
        accuracy = result["val_accuracy"]
        values["improvements"] = sum(
            now > max(accuracy[:epoch], default=0) for epoch, now in enumerate(accuracy)
        )
    if "further_val_accuracy" in result:
        values["best_further_val_accuracy"] = max(result["further_val_accuracy"])
    for name in ("test_accuracy", "test_loss", "training_loss"):
        for which, value in result.get(name, {}).items():
            values[f"{name}_{which}"] = value
    for rate, errors in result.get("test_errors", {}).items():
        for which, seen in errors.items():
            values[f"test_error_{rate}_rate_{which}"] = statistics.mean(seen)
    return values


def with_seed(text: str, seed: int) -> str:
    """The script's text with another value of SEED and nothing else changed."""
    text, changed = re.subn(r"^SEED = \d+$", f"SEED = {seed}", text, flags=re.MULTILINE)
    if changed != 1:
        sys.exit(f"expected one line 'SEED = …' in a script, found {changed}")
    return text


def provenance(result: dict) -> dict[str, str]:
    """Where the numbers of this result.json come from, as columns of a CSV."""
    return {
        "backend": f"{result['backend']} {importlib.metadata.version(result['backend'])}",
        "python": platform.python_version(),
        "keras": result["keras"],
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
    }


def run_seed(seed: int, scripts: tuple[str, ...]) -> list[dict]:
    """Run the scripts once with this seed and return their numbers as rows of the CSV."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "data").symlink_to(REPOSITORY / "data")
        for script in scripts:
            text = with_seed((REPOSITORY / script).read_text(), seed)
            (pathlib.Path(folder) / script).write_text(text)
            run = subprocess.run(
                [sys.executable, script], check=False, cwd=folder, capture_output=True, text=True
            )
            if run.returncode:
                sys.exit(f"{script} with seed {seed} failed:\n{run.stdout}\n{run.stderr}")
            stem = script.removesuffix(".py")
            result = json.loads((pathlib.Path(folder) / "out" / stem / "result.json").read_text())
            rows += [
                {
                    "script": stem,
                    "seed": seed,
                    "quantity": quantity,
                    "value": round(value, 6),
                }
                | provenance(result)
                for quantity, value in measured(result).items()
            ]
        shutil.rmtree(pathlib.Path(folder) / "out", ignore_errors=True)
    print(f"seed {seed} done", flush=True)
    return rows


def run_all(scripts: tuple[str, ...]) -> None:
    stems = [script.removesuffix(".py") for script in scripts]
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    rows = []
    if SWEEP.exists():
        with SWEEP.open(newline="") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if not (row["backend"].startswith(backend) and row["script"] in stems)
            ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for seed_rows in pool.map(run_seed, SEEDS, itertools.repeat(scripts)):
            rows += seed_rows
    rows.sort(key=lambda row: (row["backend"], row["script"], int(row["seed"])))
    SWEEP.parent.mkdir(exist_ok=True)
    with SWEEP.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def keep_typical() -> None:
    """Put what script 17 left in out/ into docs/data/how_typical.csv, with where it comes from."""
    folder = REPOSITORY / "out" / "17_how_typical"
    result = json.loads((folder / "result.json").read_text())
    with (folder / "runs.csv").open(newline="") as file:
        rows = [row | provenance(result) for row in csv.DictReader(file)]
    with HOW_TYPICAL.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def typical_values() -> dict[tuple[str, str], list[float]]:
    """(experiment, quantity) -> the values of the 300 runs in docs/data/how_typical.csv."""
    values: dict[tuple[str, str], list[float]] = {}
    with HOW_TYPICAL.open(newline="") as file:
        for row in csv.DictReader(file):
            for quantity in itertools.takewhile(lambda name: name != "backend", row):
                if row[quantity] and quantity not in ("experiment", "seed"):
                    key = row["experiment"], quantity
                    values.setdefault(key, []).append(float(row[quantity]))
    return values


def share_that_reach(documented: str, values: list[float], rows: int) -> float:
    """Share of the values that reach a documented accuracy of so many rows.

    Right answers are compared, so that no digit is lost. Two digits, as in the name of a file, are
    reached by what rounds to them.
    """
    if len(documented) == len("0.81"):
        return statistics.mean(round(value, 2) >= float(documented) for value in values)
    needed = round(float(documented) * rows)
    return statistics.mean(round(value * rows) >= needed for value in values)


def values_by_backend() -> dict[tuple[str, str, str], list[float]]:
    """(backend, script, quantity) -> the values that docs/data/sweep.csv holds."""
    values: dict[tuple[str, str, str], list[float]] = {}
    with SWEEP.open(newline="") as file:
        for row in csv.DictReader(file):
            key = row["backend"].split()[0], row["script"], row["quantity"]
            values.setdefault(key, []).append(float(row["value"]))
    return values


def expectations() -> dict:
    """Low and high for each number: all that the sweep saw, and a standard deviation more.

    A range that would reach down to always answering "no diabetes" ends above it.
    """
    values: dict[str, dict[str, list[float]]] = {}
    for (_, script, quantity), seen in values_by_backend().items():
        values.setdefault(script, {}).setdefault(quantity, []).extend(seen)
    for script, like in SPEAKS_FOR.items():
        values[script] = values[like]
    expected = {}
    for script in sorted(values):
        expected[script] = {}
        for quantity, seen in values[script].items():
            margin = statistics.stdev(seen)
            low = math.floor(max(min(seen) - margin, 0) * 1e4) / 1e4
            low = max(low, math.ceil(NEVER_BELOW.get((script, quantity), 0) * 1e4) / 1e4)
            expected[script][quantity] = [low, math.ceil((max(seen) + margin) * 1e4) / 1e4]
    return expected


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        wanted = sys.argv[2:] or [script[:2] for script in SCRIPTS]
        run_all(tuple(script for script in SCRIPTS if script[:2] in wanted))
    elif sys.argv[1:] == ["typical"]:
        keep_typical()
    elif sys.argv[1:] == ["expect"]:
        EXPECTED.write_text(json.dumps(expectations(), indent=1) + "\n")
    else:
        sys.exit(__doc__)
