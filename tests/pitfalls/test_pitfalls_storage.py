"""Storage that lies: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import errno
import fcntl
import os
import pathlib
import shutil

import keras
import pytest
from gallery import answer, child, new_model, pinned, same_weights


def another_file_system(folder):
    """A folder that `folder` cannot be renamed into."""
    for place in ("/dev/shm", "/run/shm", "/Volumes", os.path.expanduser("~"), "/var/tmp"):
        if os.access(place, os.W_OK) and os.stat(place).st_dev != os.stat(folder).st_dev:
            return pathlib.Path(place)
    return None


@pinned
def test_locked_file(pitfall):
    model = new_model()
    model.save("model.h5")
    model.save_weights("best.weights.h5")
    with open("model.h5", "rb") as one, open("best.weights.h5", "rb") as other:
        for file in (one, other):
            fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError) as error:
            model.load_weights("best.weights.h5")
        pitfall.said(f"BlockingIOError: {error.value}")
        with pytest.raises(BlockingIOError):
            model.save_weights("best.weights.h5")
        assert os.path.getsize("best.weights.h5") == 0

        environment = {"HDF5_USE_FILE_LOCKING": ""}
        _, found = answer(child("without_locks", pitfall.code, pitfall.folder, **environment))
    assert found["weights"] == [weight.tolist() for weight in model.get_weights()]


@pinned
def test_renaming_across_file_systems(pitfall):
    model = new_model()
    target = pitfall.folder / "target.keras"
    target.write_text("the old one")
    place = another_file_system(pitfall.folder)

    def refuse(source, target):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))

    simulated = place is None  # there is one file system only
    place = place or pitfall.folder
    local = place / f"pitfall-{os.getpid()}.keras"
    try:
        model.save(local)
        with pitfall.monkeypatch.context() as patch, pytest.raises(OSError) as error:
            if simulated:
                patch.setattr(os, "replace", refuse)
            os.replace(local, target)
        pitfall.said(f"OSError: {error.value}")
        assert target.read_text() == "the old one"

        pitfall.remedy(local=local, target=target)
        assert same_weights(keras.models.load_model(target), model)
        assert not os.path.exists(f"{target}.part")
    finally:
        local.unlink(missing_ok=True)


@pinned
def test_empty_copy(pitfall):
    model = new_model()
    model.save_weights("best.weights.h5")
    os.mkdir("drive")
    copy = pathlib.Path("drive/best.weights.h5")
    copy.write_bytes(b"")
    with pytest.raises(OSError) as error:
        model.load_weights(copy)
    pitfall.said(f"OSError: {error.value}")

    pitfall.remedy()
    copied = new_model()
    copied.load_weights(copy)
    assert same_weights(copied, model)

    def copy_nothing(source, target):
        pathlib.Path(target).write_bytes(b"")

    pitfall.monkeypatch.setattr(shutil, "copyfile", copy_nothing)
    with pytest.raises(OSError, match="is not what"):
        pitfall.remedy()
