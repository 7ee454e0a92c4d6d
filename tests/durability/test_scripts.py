"""Part two's scripts ran in full, on this backend, and found what they say."""

import csv
import json
import shutil

import keras
import lessons
import numpy as np
import pytest
import sweep
from conftest import (
    ALWAYS_JAX,
    BACKEND,
    BEYOND,
    ON_EACH_BACKEND,
    REPOSITORY,
    path_of,
    refusal,
)
from durable_checkpoint import verify
from test_makefile import would_run


@pytest.fixture(scope="module")
def found():
    """Script -> content of its result.json."""
    return {
        script: json.loads((REPOSITORY / "out" / script / "result.json").read_text())
        for script in BEYOND
    }


@pytest.mark.parametrize("script", BEYOND)
def test_it_ran_on_this_backend_and_left_what_it_lists(found, script):
    result = found[script]
    assert result["script"] == script
    assert result["backend"] in (
        ["tensorflow", "jax"]
        if script in ON_EACH_BACKEND
        else ["jax" if script in ALWAYS_JAX else BACKEND]
    )
    assert result["documented"] is None and result["keras"] == keras.version()
    assert not {"seconds", "versions", "started", "python"} & set(result)
    folder = REPOSITORY / "out" / script
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert present - {"result.json"} >= set(result["files"])
    assert result["files"] == sorted(set(result["files"]))
    pictures = [name for name in present if name.endswith(".png")]
    assert pictures == [lessons.figure(path_of(script))]


def test_11_every_kill_left_a_file_of_durable_checkpoint_and_hardly_one_of_stock(found):
    result = found["11_survive_a_crash"]
    for kills in result["kills"].values():
        assert len(kills) >= 20 and all(kill["status"] == -9 for kill in kills)
    kills, stock = (result["kills"][name] for name in ("DurableCheckpoint", "ModelCheckpoint"))
    assert all(kill["left"] is not None for kill in kills)
    lost = [kill for kill in stock if kill["left"] is None]
    assert len(lost) >= 14
    assert result["reproduced"] == 1.0
    assert result["stock"] == pytest.approx(1 - len(lost) / len(stock))


def test_11_the_file_that_the_last_kill_left_is_the_one_that_was_saved(found):
    folder = REPOSITORY / "out" / "11_survive_a_crash"
    assert verify(folder / "DurableCheckpoint" / "model.weights.h5") == "checksum"


def test_11_in_every_step_a_crash_left_a_verified_file(found):
    crashes = found["11_survive_a_crash"]["crashes"]
    assert len(crashes) == 5
    assert all(crash["status"] < 0 and crash["verdict"] == "checksum" for crash in crashes)


def test_12_however_often_killed_it_is_the_same_training(found):
    result = found["12_exact_resume"]
    folder = REPOSITORY / "out" / "12_exact_resume"
    whole, killed = (
        json.loads((folder / name / "trained.json").read_text()) for name in ("whole", "killed")
    )
    assert whole == killed and result["reproduced"] >= 3
    deaths = (folder / "killed" / "kills").read_text().split()
    assert len(deaths) == result["reproduced"] == len(result["batches_lived"])
    assert len(set(deaths)) >= 3, "killed in three different epochs at least"


def test_12_what_is_left_out_breaks_it(found):
    rows = found["12_exact_resume"]["left_out"]
    same = {what for what, row in rows.items() if row["same_bits"]}
    assert same == ({"nothing", "shuffle"} if BACKEND == "tensorflow" else {"nothing"})
    assert same == {what for what, row in rows.items() if row["same_history"]}
    assert set(rows) == {"nothing", "seeds", "callbacks", "optimizer", "shuffle", "stock"}


def test_13_the_background_save_blocks_the_training_less(found):
    """Least for the largest network, whose ratio is the headline."""
    result = found["13_background_checkpoint"]
    blocked = result["seconds_per_save"]["blocked per save"]
    for ending in (".keras", ".weights.h5"):
        stock, ours = (blocked[f"{c}, {ending}"] for c in ("ModelCheckpoint", "DurableCheckpoint"))
        assert len(stock) == len(ours) == len(result["state_megabytes"]) == 4
        assert 0 < ours[-1] < 0.5 * stock[-1]
        if ending == ".keras":
            assert result["reproduced"] == ours[-1] / stock[-1]
    assert result["state_megabytes"][-1] > 1000


def test_no_script_of_part_two_is_run_again():
    assert would_run(target="beyond") == []


@pytest.mark.parametrize(
    ("name", "nothing_of"),
    [
        ("torture.csv", ["unloadable_files", "wrong_files", "lost_bests", "lost_newest"]),
        ("torture_exact.csv", ["ended_in_other_bits", "errors"]),
    ],
)
def test_what_torture_has_noted(name, nothing_of):
    with (REPOSITORY / "docs" / "data" / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["backend"] for row in rows} == {"tensorflow", "jax"}
    for row in rows:
        assert int(row["kills"]) >= 1000
        assert all(row[column] == "0" for column in nothing_of)
        assert row["machine"] and "keras" in row["versions"] and row["date"]


def test_17_finds_what_the_repository_keeps_of_it(found):
    """On another processor a few of the 300 runs round to another answer, hence the tolerance."""
    result = found["17_how_typical"]
    with (REPOSITORY / "out" / "17_how_typical" / "runs.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))
    kept = sweep.typical_values()
    for (experiment, quantity), values in kept.items():
        ours = [float(run[quantity]) for run in runs if run["experiment"] == experiment]
        assert len(ours) == len(values) == 300
        tolerance = 4 if quantity == "best_epoch" else 0.006
        assert np.mean(ours) == pytest.approx(np.mean(values), abs=tolerance), quantity
    shares = {
        f"{experiment}, {what}": sweep.share_that_reach(value, kept[experiment, quantity], rows)
        for experiment in ("reshuffled", "fixed order")
        for what, value, quantity, rows in (
            ("Deep Learning With Python", "0.84252", "best", 254),
            ("Brownlee's post", "0.79528", "best", 254),
            ("all rows", "0.7773", "all_rows", 768),
        )
    }
    assert result["shares"] == pytest.approx(shares, abs=0.05)
    assert result["reproduced"] == result["shares"]["reshuffled, Brownlee's post"]


def test_17_its_means_and_medians_are_those_of_its_runs(found):
    result = found["17_how_typical"]
    with (REPOSITORY / "out" / "17_how_typical" / "runs.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))

    def values(experiment, quantity):
        return np.array([float(r[quantity]) for r in runs if r["experiment"] == experiment])

    for experiment, median in result["medians"].items():
        assert median == pytest.approx(np.median(values(experiment, "best")), abs=1e-6)
    judged = values("divided", "judged")
    for key, differences in (
        ("luck", values("divided", "best") - judged),
        ("gain", judged - values("divided", "judged_last")),
    ):
        error = differences.std(ddof=1) / 300**0.5
        assert result[key] == pytest.approx([differences.mean(), error], abs=2e-6)


def test_17_without_the_result_of_script_01_ends_with_one_line(tmp_path):
    (tmp_path / "beyond").mkdir()
    shutil.copy(REPOSITORY / "beyond" / "17_how_typical.py", tmp_path / "beyond")
    missing = "out/01_checkpoint_improvements/result.json"
    assert refusal(tmp_path, "17_how_typical").startswith(missing)


def test_17_more_than_half_of_the_runs_are_off_by_what_its_text_says():
    best = np.array(sweep.typical_values()["reshuffled", "best"])
    assert (np.abs(best - np.median(best)) > 0.01).mean() > 0.5
