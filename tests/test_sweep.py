"""tests/expected.json comes from docs/data/sweep.csv, and the sweep is wide enough."""

import csv
import json
import statistics

import sweep
from conftest import REPOSITORY, SCRIPTS


def rows() -> list[dict]:
    with sweep.SWEEP.open(newline="") as file:
        return list(csv.DictReader(file))


def test_expectations_are_those_of_the_sweep():
    assert json.loads(sweep.EXPECTED.read_text()) == sweep.expectations()


def test_at_least_20_seeds_of_each_script_on_each_backend():
    seeds: dict[tuple[str, str], set[str]] = {}
    for row in rows():
        backend = row["backend"].split()[0]
        seeds.setdefault((backend, row["script"]), set()).add(row["seed"])
    ran = {script.removesuffix(".py") for script in sweep.SCRIPTS}
    assert set(seeds) == {(b, script) for b in ("tensorflow", "jax") for script in ran}
    assert all(len(found) >= 20 for found in seeds.values())
    assert ran | set(sweep.SPEAKS_FOR) == set(SCRIPTS)


def test_each_row_says_where_it_comes_from():
    assert all(row[field] for row in rows() for field in sweep.FIELDS)


def test_what_script_04_says_of_best_and_last_is_what_the_sweep_saw():
    found: dict[str, list[float]] = {"best": [], "last": []}
    for row in rows():
        which = row["quantity"].removeprefix("test_accuracy_")
        if which in found:
            found[which].append(float(row["value"]))
    losses = [best - last for best, last in zip(found["best"], found["last"], strict=True)]
    mnist = (row for row in rows() if row["script"].startswith("04_"))
    epochs = [float(row["value"]) for row in mnist if row["quantity"] == "best_epoch"]
    text = " ".join((REPOSITORY / "04_mnist_every_epoch.py").read_text().split())
    assert f"The {len(losses)} runs of `docs/data/sweep.csv`" in text
    assert round(statistics.median(losses), 4) == 0 and "nothing in the median" in text
    assert f"in {epochs.count(25)} of the {len(epochs)} runs of `docs/data/sweep.csv`" in text
    assert f"right {-min(losses):.4f} more often than the best, or {max(losses):.4f} less" in text


def test_what_script_08_says_of_overtraining_is_what_the_sweep_saw():
    values = sweep.values_by_backend()
    text = " ".join((REPOSITORY / "08_stop_overtraining.py").read_text().split())
    assert (
        "the sixty on each backend in `docs/data/sweep.csv`" in text
    )  # 20 runs of three trainings
    for rate, sentence in (
        ("constant", "the last epoch is worse than the best,"),
        ("reduced", "the last is *better*,"),
    ):
        for backend, name in (("tensorflow", "on TensorFlow"), ("jax", "and on JAX")):
            best, last = (
                values[backend, "08_stop_overtraining", f"test_error_{rate}_rate_{which}"]
                for which in ("best", "last")
            )
            cost = [after - before for before, after in zip(best, last, strict=True)]
            assert len(cost) == 20 and (statistics.mean(cost) > 0) == (rate == "constant")
            uncertainty = statistics.stdev(cost) / len(cost) ** 0.5
            sentence += f" {name} by {abs(statistics.mean(cost)):.2f},"
            sentence += f" give or take {uncertainty:.2f}" + (
                "," if backend == "tensorflow" else ""
            )
        assert sentence in text, sentence
