"""Files that Keras 2 wrote for this session, converted once each."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conversion import Case

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def old_files(tmp_path_factory):
    """The folder with what `keras_2.py` wrote. OLD_FILES_OF_KERAS_2 names one that is there."""
    if "OLD_FILES_OF_KERAS_2" in os.environ:
        return pathlib.Path(os.environ["OLD_FILES_OF_KERAS_2"])
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return written(tmp_path_factory.mktemp("keras_2"))
    # The workers of one run share the files: the first one writes them, the others wait.
    shared = tmp_path_factory.getbasetemp().parent / "keras_2"
    with open(shared.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            unfinished = shared.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            written(unfinished).rename(shared)
    return shared


def written(folder):
    """Let Keras 2 write its files into the folder."""
    parts = [
        subprocess.Popen(
            [sys.executable, HERE / "keras_2.py", folder, part],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for part in ("optimizers", "models")
    ]
    assert [part.wait() for part in parts] == [0, 0]
    return folder


@pytest.fixture(scope="session")
def case(old_files, tmp_path_factory):
    """`case(name)`: the converted file of that name."""
    made, folder = {}, tmp_path_factory.mktemp("converted")

    def get(name):
        if name not in made:
            made[name] = Case(old_files / f"{name}.h5", folder / f"{name}.keras")
        return made[name]

    return get
