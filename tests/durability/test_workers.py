"""Script 15: what its workers left, and that it ends in one line and alone when it cannot run."""

import csv
import json
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from conftest import REPOSITORY
from joining import SCRIPT
from starting import (
    PATIENCE,
    end_alone,
    kill_processes_in,
    own_lines,
    place_for,
    processes_in,
    refused,
    start,
    until,
    without,
)

OUT = REPOSITORY / "out" / SCRIPT
pytestmark = pytest.mark.one_backend  # the script sets its own


# ------------------------------------------------------------------ what it left


@pytest.fixture(scope="module")
def result():
    return json.loads((OUT / "result.json").read_text())


def lives_of(training, index):
    """For each life of a worker: its lines without the time, from the one in which it joined."""
    lives = []
    for line in (OUT / training / f"worker_{index}.txt").read_text().splitlines():
        _, word, *rest = line.split()
        if word == "joined":
            lives.append([])
        lives[-1].append([word, *rest])
    return lives


def only(word, life):
    return [rest for first, *rest in life if first == word]


def test_all_workers_of_both_trainings_end_in_the_same_bits(result):
    ends = [
        only("trained", lives_of(training, index)[-1])
        for training in ("whole", "killed")
        for index in (0, 1)
    ]
    assert ends == [[[result["fingerprint"]]]] * 4


def test_one_worker_was_killed_and_all_started_again_once(result):
    (lost,) = result["lost"]
    assert lost["worker"] == 1 and lost["status"] == -signal.SIGKILL
    assert 0 < result["reproduced"] < 10
    for index in (0, 1):
        assert len(lives_of("whole", index)) == 1 and len(lives_of("killed", index)) == 2
        assert not only("trained", lives_of("killed", index)[0])


def test_the_resumed_training_went_on_from_the_last_complete_checkpoint(result):
    """It loaded what had been saved last, and trained the epochs after it and no other."""
    ended = {epoch: bits for epoch, bits in only("end", lives_of("whole", 0)[0])}
    for index in (0, 1):
        first, second = lives_of("killed", index)
        ((epoch, bits),) = only("loaded", second)
        assert int(epoch) + 1 == result["resumed_after_epoch"]
        last_ended = int(only("end", first)[-1][0])
        assert int(epoch) in (last_ended - 1, last_ended), "at most one save was not complete yet"
        assert bits == ended[epoch]
        begun = [int(rest[0]) for rest in only("begin", second)]
        assert begun == list(range(int(epoch) + 1, len(ended)))
        assert only("end", second) == [[e, ended[e]] for e in map(str, begun)]


@pytest.mark.parametrize(("training", "workers"), [("alone", 1), ("three", 3)])
def test_the_checkpoint_of_two_loads_in_another_number_of_workers(result, training, workers):
    for index in range(workers):
        ((joined, loaded, *_),) = lives_of(training, index)
        assert joined == ["joined", str(workers)]
        assert loaded[0] == "loaded" and loaded[2] == result["fingerprint"]
    assert not (OUT / training / f"worker_{workers}.txt").exists()


def test_every_trap_was_there(result):
    nothing_loaded, refused, swallowed = result["traps"]
    assert "no error" in nothing_loaded and "weights: none" in nothing_loaded
    assert refused.endswith("StepAlreadyExistsError")
    assert "no checkpoint" in swallowed


def test_what_torture_has_noted_of_the_workers():
    with (REPOSITORY / "docs" / "data" / "torture_workers.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["backend"] == "jax" and int(row["kills"]) == 20
    moments = [int(row[f"kills_{when}_a_joint_save"]) for when in ("before", "during", "after")]
    assert sum(moments) == 20 and min(moments) >= 4
    assert 0 < int(row["kills_of_worker_0"]) < 20
    assert row["ended_in_other_bits"] == row["errors"] == "0"
    assert row["machine"] and "keras" in row["versions"] and row["date"]


# ------------------------------------------------------------------ parts of it


def run_beside(folder, program):
    """The program, begun in the folder, where `script` holds the functions of script 15."""
    place_for(SCRIPT, folder)
    beginning = """
import os, pathlib, sys, types
sys.path.insert(0, sys.argv.pop())
from joining import functions_of_the_script
script = functions_of_the_script()
"""
    return subprocess.run(
        [sys.executable, "-c", beginning + program, str(pathlib.Path(__file__).parent)],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_what_is_not_complete_or_not_what_was_saved_is_not_gone_on_from(tmp_path):
    program = """
folder = pathlib.Path("there")
assert script["complete_epochs"](folder) == []
for name in ("2", "10", "11.orbax-checkpoint-tmp", "notes"):
    (folder / "checkpoints" / name).mkdir(parents=True)
assert script["complete_epochs"](folder) == [2, 10]
empty = types.SimpleNamespace(variables=[])
model = types.SimpleNamespace(variables=[], optimizer=empty, load_weights=lambda path: None)
bits = script["fingerprint"](model)
(folder / "fingerprints.txt").write_text(f"2 other\\n10 other\\n10 {bits}\\n")
assert script["load_last"](model, folder) == 10
(folder / "fingerprints.txt").write_text(f"2 {bits}\\n10 other\\n")
script["load_last"](model, folder)
"""
    run = run_beside(tmp_path, program)
    assert run.returncode == 1
    assert own_lines(run.stderr) == ["there: what was loaded is not what was saved after epoch 10"]


def test_the_workers_share_each_batch_out_and_a_later_epoch_is_the_same_alone(tmp_path):
    """Every row once in each epoch, in another order; of a batch, each worker its equal part."""
    program = """
import numpy as np
rows, epochs, batches = script["ROWS"], script["EPOCHS"], script["batches_per_epoch"]
script["x"] = script["y"] = np.arange(rows, dtype="float32")

def share(*arguments):
    return [batch for batch, _ in script["share_of_rows"](*arguments).as_numpy_iterator()]

alone = share(0, 0, 1)
assert len(alone) == epochs * batches
orders = np.concatenate(alone).reshape(epochs, rows)
assert np.array_equal(np.sort(orders), np.tile(np.arange(rows), (epochs, 1)))
assert len({order.tobytes() for order in orders}) == epochs
for workers in (2, 3, 4):
    shares = [share(4, index, workers) for index in range(workers)]
    assert [len(each) for each in shares] == [(epochs - 4) * batches] * workers
    for parts, batch in zip(zip(*shares), alone[4 * batches :], strict=True):
        assert {len(part) for part in parts} == {len(batch) // workers}
        assert np.array_equal(np.sort(np.concatenate(parts)), np.sort(batch))
"""
    run = run_beside(tmp_path, program)
    assert run.returncode == 0, run.stderr


# ------------------------------------------------------------------ bad ends


@pytest.fixture
def place(tmp_path):
    yield place_for(SCRIPT, tmp_path)
    kill_processes_in(tmp_path)


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        place_for(SCRIPT, tmp_path, [("PORT = 0", f"PORT = {port}")])
        line = refused(SCRIPT, tmp_path)
    assert f"Port {port} of 127.0.0.1 is in use" in line and "PORT = 0" in line


def test_a_worker_that_cannot_start(place):
    line = refused(SCRIPT, place, XLA_FLAGS="--xla_no_such_flag=1")
    assert line.startswith("Worker ") and f"out/{SCRIPT}/whole/printed_" in line
    printed = line.split("; ")[1].split()[0]
    assert "xla_no_such_flag" in (place / printed).read_text()


def test_a_missing_dependency(place):
    line = refused(SCRIPT, place, **without("orbax", place))
    assert "No module named 'orbax'" in line and "requirements/beyond.txt" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_killed_supervisor_leave_no_process(place, number):
    process = start(SCRIPT, place)
    until(lambda: len(processes_in(place)) == 3, "two workers were started")
    end_alone(SCRIPT, process, number, place, "Interrupted. Ending all processes.")
