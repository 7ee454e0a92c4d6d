"""A checkpoint that 03 cannot use ends it with one line and exit status 1, and loses nothing."""

import pathlib
import shutil

import h5py
import keras
import pytest
from conftest import REPOSITORY, contents, refusal

SCRIPT = "03_load_checkpoint"
SAVED = pathlib.Path("out/02_checkpoint_best_only")
MAKE_IT = "Make it: make 02 (or python 02_checkpoint_best_only.py)"


def missing(path):
    path.unlink()


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def not_hdf5(path):
    path.write_text("text")


def another_network(*units):
    def replace(path):
        network = [keras.Input((8,)), *(keras.layers.Dense(unit) for unit in units)]
        keras.Sequential(network).save_weights(path)

    return replace


def network_without_weights(path):
    keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5)]).save_weights(path)


def without_optimizer(path):
    with h5py.File(path, "a") as file:
        del file["optimizer"]


@pytest.mark.parametrize(
    "damage",
    [
        missing,
        truncated,
        empty,
        not_hdf5,
        another_network(5, 1),
        another_network(12, 8),
        another_network(12, 8, 1, 1),  # its first three layers fit: load_weights accepts it
        network_without_weights,
        without_optimizer,
    ],
)
def test_03_refuses_the_checkpoint(damage, execute, workspace, tmp_path):
    path = tmp_path / "weights.best.weights.h5"
    shutil.copy(REPOSITORY / SAVED / path.name, path)
    damage(path)
    before = contents(tmp_path)
    names = workspace(SCRIPT) | {"BEST_FILE": path, "OUT": tmp_path}
    with pytest.raises(SystemExit) as stopped:
        names = execute(SCRIPT, "Load the weights", **names)
        execute(SCRIPT, "Compare", **names)
    line = stopped.value.code
    assert isinstance(line, str) and len(line.splitlines()) == 1
    assert line.startswith(str(path)) and line.endswith(MAKE_IT)
    assert contents(tmp_path) == before


def test_03_accepts_the_checkpoint_of_02(execute, workspace):
    names = execute(SCRIPT, "Load the weights", **workspace(SCRIPT))
    execute(SCRIPT, "Compare", **names)


def test_the_process_ends_with_one_line_and_leaves_older_results(tmp_path):
    shutil.copy(REPOSITORY / f"{SCRIPT}.py", tmp_path)
    shutil.copytree(REPOSITORY / "data", tmp_path / "data", ignore=lambda *_: ["mnist.npz"])
    shutil.copytree(REPOSITORY / SAVED, tmp_path / SAVED)
    older = tmp_path / "out" / SCRIPT
    older.mkdir()
    (older / "result.json").write_text("an older result")
    truncated(tmp_path / SAVED / "weights.best.weights.h5")
    line = refusal(tmp_path, SCRIPT)
    assert line.startswith(str(SAVED / "weights.best.weights.h5")) and line.endswith(MAKE_IT)
