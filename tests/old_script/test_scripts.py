"""Old scripts, rewritten and run: each trains, writes its checkpoint and loads it."""


import pytest
from conftest import BACKEND
from running_scripts import FOLDERS, run_in

NEED_TENSORFLOW = {"tensorflow_1", "session_settings", "latest_checkpoint"}


def test_there_are_enough():
    assert len(FOLDERS) >= 40


@pytest.mark.parametrize("name", FOLDERS)
def test_it_runs_as_rewritten(name, tmp_path, monkeypatch):
    if name in NEED_TENSORFLOW and BACKEND != "tensorflow":
        pytest.skip("the script uses TensorFlow itself")
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, FOLDERS[name])
    assert list(tmp_path.rglob("*.keras")) + list(tmp_path.rglob("*.weights.h5"))
    assert not list(tmp_path.rglob("*.hdf5"))
