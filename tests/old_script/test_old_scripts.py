"""Old scripts, rewritten and run: each trains, writes its checkpoint and loads it."""

import pytest
from conftest import BACKEND
from running_scripts import FOLDERS, run_in, train_eagerly

NEED_TENSORFLOW = {"variational", "tensorflow_1", "session_settings", "latest_checkpoint"} | {
    "steps_by_minimize"
}


def test_there_are_enough():
    assert len(FOLDERS) >= 40


# In these, what TensorFlow or JAX compiles is the point.
COMPILED = {
    "saha_resume",
    "own_loss",
    "lambda_layer",
    "variational",
    "generators_of_keras_2",
    "image_generator",
    "settings_in_dictionaries",  # a file of a model tells an own compile() from Keras's
}


@pytest.mark.parametrize("name", FOLDERS)
def test_it_runs_as_rewritten(name, tmp_path, monkeypatch):
    if name in NEED_TENSORFLOW and BACKEND != "tensorflow":
        pytest.skip("the script uses TensorFlow itself")
    monkeypatch.chdir(tmp_path)
    if name not in COMPILED:
        train_eagerly(monkeypatch)
    run_in(tmp_path, FOLDERS[name])
    assert list(tmp_path.rglob("*.keras")) + list(tmp_path.rglob("*.weights.h5"))
    assert not list(tmp_path.rglob("*.hdf5"))
