"""Bad input ends a script with one line and exit status 1, and loses nothing."""

import shutil

import h5py
import keras
import pytest
from conftest import REPOSITORY, SCRIPTS, refusal

SAVED = "out/02_checkpoint_best_only"
MAKE_IT = "Make it: make 02 (or python 02_checkpoint_best_only.py)"
DATA = {
    "01_checkpoint_improvements": "data/pima-indians-diabetes.csv",
    "02_checkpoint_best_only": "data/pima-indians-diabetes.csv",
    "03_load_checkpoint": "data/pima-indians-diabetes.csv",
    "04_mnist_every_epoch": "data/mnist.npz",
    "05_mnist_best_only": "data/mnist.npz",
    "06_resume_training": "data/pima-indians-diabetes.csv",
    "07_checkpoint_options": "data/pima-indians-diabetes.csv",
    "08_stop_overtraining": "data/auto-mpg.csv",
    "09_weights_or_whole_model": "data/auto-mpg.csv",
    "10_custom_callback": "data/auto-mpg.csv",
}


@pytest.fixture
def copy(tmp_path):
    """The scripts, the data and 02's results in a folder of their own, with older results."""
    for script in SCRIPTS:
        shutil.copy(REPOSITORY / f"{script}.py", tmp_path)
        older = tmp_path / "out" / script
        older.mkdir(parents=True)
        (older / "result.json").write_text("an older result")
    shutil.copytree(REPOSITORY / "data", tmp_path / "data")
    shutil.copytree(REPOSITORY / SAVED, tmp_path / SAVED, dirs_exist_ok=True)
    return tmp_path


def test_every_script_is_tested_without_its_data():
    assert sorted(DATA) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_missing_data(copy, script):
    (copy / DATA[script]).unlink()
    line = refusal(copy, script)
    assert line.startswith(DATA[script]) and f"git checkout -- {DATA[script]}" in line


@pytest.mark.parametrize("damage", ["row missing", "no number", "empty"])
def test_misshapen_pima(copy, damage):
    path = copy / DATA["01_checkpoint_improvements"]
    text = path.read_text()
    path.write_text(
        {
            "row missing": text[text.index("\n") + 1 :],
            "no number": text.replace("148", "many", 1),
            "empty": "",
        }[damage]
    )
    line = refusal(copy, "01_checkpoint_improvements")
    assert line.startswith(DATA["01_checkpoint_improvements"]) and "git checkout -- " in line


@pytest.mark.parametrize("damage", ["truncated", "flipped byte", "other file"])
def test_misshapen_mnist(copy, damage):
    path = copy / DATA["04_mnist_every_epoch"]
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped byte":
        content[5_000_000] ^= 255
    else:
        content = b"not an archive"
    path.write_bytes(content)
    line = refusal(copy, "04_mnist_every_epoch")
    assert line.startswith("data/mnist.npz") and "git checkout -- data/mnist.npz" in line


@pytest.mark.parametrize("damage", ["row missing", "column missing", "no number", "empty"])
def test_misshapen_auto_mpg(copy, damage):
    path = copy / DATA["10_custom_callback"]
    text = path.read_text()
    path.write_text(
        {
            "row missing": text[text.index("\n") + 1 :],
            "column missing": "\n".join(line.rpartition(",")[0] for line in text.splitlines()),
            "no number": text.replace("307.0", "many", 1),
            "empty": "",
        }[damage]
    )
    line = refusal(copy, "10_custom_callback")
    assert line.startswith("data/auto-mpg.csv") and "git checkout -- " in line


@pytest.mark.parametrize("script", SCRIPTS[5:])
def test_a_folder_that_cannot_be_made_is_refused_before_training(copy, script):
    """A file in its place: the one hindrance that stops root as well."""
    shutil.rmtree(copy / "out")
    (copy / "out").write_text("a file, not a folder")
    line = refusal(copy, script)
    assert line.startswith(f"out/{script}") and "cannot be written to" in line


@pytest.mark.parametrize("missing", ["weights.best.weights.h5", "result.json"])
def test_03_without_the_files_of_02(copy, missing):
    (copy / SAVED / missing).unlink()
    line = refusal(copy, "03_load_checkpoint")
    assert line.startswith(f"{SAVED}/{missing}") and line.endswith(MAKE_IT)


@pytest.mark.parametrize("damage", ["truncated", "empty", "not HDF5"])
def test_03_with_a_damaged_checkpoint(copy, damage):
    path = copy / SAVED / "weights.best.weights.h5"
    content = path.read_bytes()
    path.write_bytes(
        {"truncated": content[: len(content) // 2], "empty": b"", "not HDF5": b"text"}[damage]
    )
    line = refusal(copy, "03_load_checkpoint")
    assert line.startswith(f"{SAVED}/weights.best.weights.h5") and line.endswith(MAKE_IT)


@pytest.mark.parametrize("units", [[5, 1], [12, 8, 1, 1], [12, 8]])
def test_03_with_the_checkpoint_of_another_network(copy, units):
    """Among them one whose first three layers fit: load_weights itself would accept it."""
    other = keras.Sequential([keras.Input((8,)), *(keras.layers.Dense(unit) for unit in units)])
    other.save_weights(copy / SAVED / "weights.best.weights.h5")
    line = refusal(copy, "03_load_checkpoint")
    assert line.startswith(f"{SAVED}/weights.best.weights.h5") and line.endswith(MAKE_IT)


def test_03_with_an_unreadable_record_of_02(copy):
    (copy / SAVED / "result.json").write_text('{"reproduced": 0.7')
    line = refusal(copy, "03_load_checkpoint")
    assert line.startswith(f"{SAVED}/result.json") and line.endswith(MAKE_IT)


def test_03_with_a_checkpoint_that_holds_no_optimizer(copy):
    path = copy / SAVED / "weights.best.weights.h5"
    with h5py.File(path, "a") as file:
        del file["optimizer"]
    line = refusal(copy, "03_load_checkpoint")
    assert line.startswith(str(path.relative_to(copy))) and line.endswith(MAKE_IT)
