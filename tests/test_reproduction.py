"""docs/REPRODUCTION.md is what the CSVs say, and leaves no documented number out."""

import csv
import re
import statistics

import pytest
import reproduction
import sweep
from conftest import REPOSITORY

TEXT = reproduction.PAGE.read_text()
RESULTS = (REPOSITORY / "docs" / "RESULTS.md").read_text()


def table(name: str) -> list[dict[str, str]]:
    """The rows of the table between these markers, by the names of the columns."""
    between = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", TEXT, flags=re.DOTALL)[1]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in between.splitlines()]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def typical_rows(experiment: str) -> list[dict[str, str]]:
    with sweep.HOW_TYPICAL.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["experiment"] == experiment]


def test_the_page_is_generated_again_to_the_letter():
    assert TEXT == reproduction.page(TEXT)


@pytest.mark.parametrize(
    "number",
    [
        "0.84252",
        "0.83858",
        "0.83465",
        "0.83",
        "0.82",
        "0.81",
        "0.79528",
        "0.79134",
        "0.78",
        "0.76",
        "0.7773",
        "0.9830",
    ],
)
def test_every_documented_score_has_a_verdict(number):
    checked = [row["value"] for row in table("pima")]
    assert number in checked or (number == "0.9830" and f"{number} reached" in table("mnist")[0])


def test_what_cannot_be_checked_is_named():
    (section,) = re.findall(r"## What cannot be checked\n(.*?)\n## ", TEXT, flags=re.DOTALL)
    assert "0.815" in section and "13.31" in section
    (layers,) = re.findall(r"layers of (\d+), (\d+) and (\d+) units", section)
    code = (REPOSITORY / "06_resume_training.py").read_text()
    assert tuple(re.findall(r"Dense\((\d+)", code)) == layers


@pytest.mark.parametrize(
    ("experiment", "value", "column", "answers", "rows"),
    [
        ("reshuffled", "0.84252", "best", 214, 254),
        ("reshuffled", "0.79528", "best", 202, 254),
        ("reshuffled", "0.7773", "all_rows", 597, 768),
        ("fixed order", "0.79528", "best", 202, 254),
        ("fixed order", "0.7773", "all_rows", 597, 768),
    ],
)
def test_a_share_counts_the_runs_with_as_many_right_answers(
    experiment, value, column, answers, rows
):
    runs = typical_rows(experiment)
    reached = sum(float(run[column]) * rows > answers - 0.5 for run in runs)
    (row,) = [row for row in table("pima") if row["value"] == value]
    shown = row[reproduction.EXPERIMENTS[experiment]]
    assert len(runs) == 300 and shown == f"{reached / len(runs):.1%}"


def test_each_run_says_where_it_comes_from_and_each_seed_is_there():
    for experiment in ("reshuffled", "fixed order", "divided"):
        runs = typical_rows(experiment)
        assert [int(run["seed"]) for run in runs] == list(range(1, 301))
        origin = ("backend", "python", "keras", "machine", "date")
        assert all(run[field] for run in runs for field in origin)


def test_the_settings_are_those_of_the_documents():
    for row in table("settings"):
        documented = re.findall(r"\d+(?:\.\d+)?", row["number"])
        assert documented == re.findall(r"\d+(?:\.\d+)?", row["there"]), row
    assert {row["verdict"] for row in table("files")} == {"as documented"}


def test_what_the_page_says_of_mnist_is_what_the_sweep_saw():
    values = sweep.values_by_backend()
    script = "04_mnist_every_epoch"
    lost_at_most = 0
    for backend, reaches in (("tensorflow", False), ("jax", True)):
        assert any(v >= 0.98295 for v in values[backend, script, "reproduced"]) == reaches
        assert min(values[backend, script, "best_epoch"]) >= 17
        best, last = (values[backend, script, f"test_accuracy_{w}"] for w in ("best", "last"))
        lost = [b - a for b, a in zip(best, last, strict=True)]
        lost_at_most = max(lost_at_most, *lost)
        (said,) = re.findall(r"median loss is ([\d.]+)", TEXT)
        assert said == f"{abs(statistics.median(lost)):.4f}"
    assert f"it cost {100 * lost_at_most:.2f} points" in " ".join(RESULTS.split())


def test_what_the_results_page_says_of_luck_is_what_script_17_saw():
    runs = typical_rows("divided")
    luck = [float(run["best"]) - float(run["judged"]) for run in runs]
    error = statistics.stdev(luck) / len(luck) ** 0.5
    text = " ".join(RESULTS.split())
    (said,) = re.findall(r"this adds ([\d.]+) on average \(standard error ([\d.]+)", text)
    assert said == (f"{statistics.mean(luck):.3f}", f"{error:.3f}")

    def median(experiment, column):
        return f"{statistics.median(float(run[column]) for run in typical_rows(experiment)):.3f}"

    (said,) = re.findall(
        r"is ([\d.]+) instead of ([\d.]+)\. The last epochs are equally good \(([\d.]+)\)", text
    )
    assert said == (
        median("fixed order", "best"),
        median("reshuffled", "best"),
        median("reshuffled", "last"),
    )
    assert median("fixed order", "last") == median("reshuffled", "last")
