"""Files that Keras 2 wrote for this session, converted once each."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import pytest
from conversion import Case

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def old_files(tmp_path_factory):
    """The folder with what `keras_2.py` wrote.

    OLD_FILES_OF_KERAS_2 names one that outlives this run: it is written if it is not there.
    """
    place = os.environ.get("OLD_FILES_OF_KERAS_2")
    if place is None:
        place = tmp_path_factory.getbasetemp()
        # The workers of one run share the files.
        if "PYTEST_XDIST_WORKER" in os.environ:
            place = place.parent
        place /= "keras_2"
    place = pathlib.Path(place)
    with open(place.with_suffix(".lock"), "w") as lock:  # the first writes, the others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            unfinished = place.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            written(unfinished).rename(place)
    return place


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


@pytest.fixture(scope="session")
def same_gradients(case):
    """Whether the plainest optimizer, which adds nothing of its own, ends in Keras 2's bits.

    It depends on the processor: on an AMD EPYC it does, on an Intel Xeon with AVX-512 it does not.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    plain = [case(name) for name in ("legacy SGD", "new SGD")]
    return all(one.differences(one.load()) == [0, 0] for one in plain)
