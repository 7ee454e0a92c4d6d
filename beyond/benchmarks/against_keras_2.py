"""Whole processes of scripts 01, 02 and 04 against the same experiments under Keras 2.

    python beyond/benchmarks/against_keras_2.py [rounds]      3 rounds unless told

Each round runs all nine processes one after the other, so that a machine whose speed drifts slows
all of them alike; what counts is the ratio within a round. Results of `make all` are left as they
are: the scripts run in a temporary folder.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
EXPERIMENTS = {"improvements": "01", "best": "02", "mnist": "04"}


def seconds(command: list[str], folder: str, backend: str) -> float:
    """Wall-clock seconds of one process."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return time.perf_counter() - begin


def measure_round(folder: str) -> dict[str, float]:
    """Seconds of the three experiments together: under Keras 2, on TensorFlow, on JAX."""
    totals = {"keras 2": 0.0, "tensorflow": 0.0, "jax": 0.0}
    for experiment, number in EXPERIMENTS.items():
        (script,) = REPOSITORY.glob(f"{number}_*.py")
        yardstick = REPOSITORY / "beyond" / "benchmarks" / "keras_2_experiments.py"
        single = {
            "keras 2": seconds([sys.executable, str(yardstick), experiment], folder, "tensorflow"),
            "tensorflow": seconds([sys.executable, str(script)], folder, "tensorflow"),
            "jax": seconds([sys.executable, str(script)], folder, "jax"),
        }
        print(f"  {script.stem:28}", *(f"{name} {value:6.1f} s" for name, value in single.items()))
        totals = {name: totals[name] + value for name, value in single.items()}
    return totals


rounds = int(sys.argv[1]) if sys.argv[1:] else 3
ratios: dict[str, list[float]] = {"tensorflow": [], "jax": []}
with tempfile.TemporaryDirectory() as folder:
    pathlib.Path(folder, "data").symlink_to(REPOSITORY / "data")
    for number in range(1, rounds + 1):
        print(f"round {number}", flush=True)
        totals = measure_round(folder)
        for backend, values in ratios.items():
            values.append(totals[backend] / totals["keras 2"])
        print("  together                    ", *(f"{n} {v:6.1f} s" for n, v in totals.items()))
for backend, values in ratios.items():
    low, high = min(values), max(values)
    print(f"{backend} / Keras 2: median {statistics.median(values):.2f} ({low:.2f} to {high:.2f})")
