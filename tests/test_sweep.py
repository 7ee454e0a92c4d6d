"""tests/expected.json comes from docs/data/sweep.csv, and the sweep is wide enough."""

import csv
import json
import re
import statistics

import sweep
from conftest import path_of


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


def test_each_row_says_where_it_comes_from():
    assert all(row[field] for row in rows() for field in sweep.FIELDS)


def numbers_near(script: str, *words: str) -> list[str]:
    """All numbers in the paragraphs of the script that contain one of these words, in order."""
    paragraphs = path_of(script).read_text().split("\n\n")
    near = [text for text in paragraphs if any(word in text for word in words)]
    return re.findall(r"\d+(?:\.\d+)?", " ".join(near))


def test_what_script_04_says_of_best_and_last_is_what_the_sweep_saw():
    values = sweep.values_by_backend()
    script = "04_mnist_every_epoch"
    best, last, epochs = (
        [value for backend in ("tensorflow", "jax") for value in values[backend, script, quantity]]
        for quantity in ("test_accuracy_best", "test_accuracy_last", "best_epoch")
    )
    lost = [before - after for before, after in zip(best, last, strict=True)]
    assert round(statistics.median(lost), 4) == 0
    said = numbers_near(script, "docs/data/sweep.csv")
    assert {str(len(lost)), str(epochs.count(25))} <= set(said)
    assert f"{100 * max(lost):.2f}" in said or f"{max(lost):.4f}" in said
    assert f"{-100 * min(lost):.2f}" in said or f"{-min(lost):.4f}" in said


def test_what_script_08_says_of_overtraining_is_what_the_sweep_saw():
    """Mean and standard error, first with the constant rate, then with the falling one."""
    values = sweep.values_by_backend()
    expected = []
    for rate in ("constant", "reduced"):
        for backend in ("tensorflow", "jax"):
            best, last = (
                values[backend, "08_stop_overtraining", f"test_error_{rate}_rate_{which}"]
                for which in ("best", "last")
            )
            cost = [after - before for before, after in zip(best, last, strict=True)]
            assert len(cost) == 20 and (statistics.mean(cost) > 0) == (rate == "constant")
            uncertainty = statistics.stdev(cost) / len(cost) ** 0.5
            expected += [f"{abs(statistics.mean(cost)):.2f}", f"{uncertainty:.2f}"]
    text = path_of("08_stop_overtraining").read_text()
    said = re.findall(r"\d+\.\d\d\b", text[text.index("## What overtraining costs") :])
    assert said[: len(expected)] == expected
