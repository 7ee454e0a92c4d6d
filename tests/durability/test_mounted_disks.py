"""A disk that becomes read-only while a training runs, and a full one beside a healthy one.

Both are mounted in a namespace of its own, so this file is also the program that trains there:

    python tests/durability/test_mounted_disks.py FOLDER

It prints what it saw as JSON.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import warnings

import on_path  # noqa: F401
import pytest
from small_disk import SmallDisk, may_mount, on_small_disk

EPOCHS = 6


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    run = subprocess.run(
        [*on_small_disk(folder), sys.executable, __file__, folder],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


needs_mounts = pytest.mark.skipif(not may_mount(), reason="needs a mount namespace")


@needs_mounts
def test_a_disk_that_is_read_only_for_two_epochs_costs_two_saves_and_is_said_once(found):
    for case in ("read-only, first save", "read-only, later save"):
        seen = found[case]
        assert seen["raised"] is None and seen["epochs"] == EPOCHS
        (said,) = seen["said"]
        assert "Read-only file system" in said and "m.keras" in said
        assert seen["record"]["epoch"] == EPOCHS and seen["valid"] == "checksum"
        assert seen["left"] == ["m.keras", "m.keras.json", "m.keras.sha256"]


@needs_mounts
def test_in_the_foreground_the_first_save_that_fails_ends_the_training(found):
    seen = found["read-only, foreground"]
    assert "Read-only file system" in seen["raised"] and "m.keras" in seen["raised"]
    assert seen["epochs"] == 3 and seen["said"] == []
    assert seen["record"]["epoch"] == 2 and seen["valid"] == "checksum"


@needs_mounts
def test_backups_go_on_while_the_disk_of_a_checkpoint_is_full(found):
    seen = found["full disk beside"]
    assert seen["newest backup"] == list(range(1, EPOCHS + 1))
    (said,) = seen["said"]
    assert "No space left" in said and "m.keras" in said
    assert "No space left" in seen["raised"] and seen["record"]["epoch"] == 2
    assert seen["valid"] == "checksum"


# ------------------------------------------------------------------ the program


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


class ReadOnly:
    """The folder's name leads to the same files, of which none can be written."""

    def __init__(self, folder):
        self.folder = folder
        self.beside = folder.with_name("read-only")
        self.beside.mkdir()

    def begin(self):
        # Not a remount of the disk itself, which the lock's open file would prevent.
        mount("--bind", self.folder, self.beside)
        mount("-o", "remount,bind,ro", self.beside)
        mount("--bind", self.beside, self.folder)

    def end(self):
        subprocess.run(["umount", str(self.folder)], check=True)
        subprocess.run(["umount", str(self.beside)], check=True)
        self.beside.rmdir()


def train(checkpoint, path, at_epoch, *callbacks, data=None):
    """Train for `EPOCHS`; `at_epoch`: what happens at the beginning of an epoch, from 0."""
    import keras
    import numpy as np
    from durable_checkpoint import read_record, verify
    from durable_checkpoint.writer import wait_for_own_writes

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    begun = []

    class Happens(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            wait_for_own_writes()
            begun.append(epoch)
            at_epoch.get(epoch, lambda: None)()

    data = data or (x, x[:, :1])
    raised = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(
                *(data if isinstance(data, tuple) else [data]),
                epochs=EPOCHS,
                shuffle=False,
                verbose=0,
                callbacks=[Happens(), checkpoint, *callbacks],
            )
        except OSError as error:
            raised = str(error)
            checkpoint.close()
    return {
        "raised": raised,
        "epochs": len(begun),
        "said": [str(w.message) for w in caught if "could not save" in str(w.message)],
        "record": read_record(path),
        "valid": verify(path),
        "left": sorted(p.name for p in path.parent.iterdir() if not p.name.endswith(".lock")),
    }


def read_only(folder, begin, background):
    from durable_checkpoint import DurableCheckpoint

    folder.mkdir()
    disk = ReadOnly(folder)
    path = folder / "m.keras"
    happens = {begin: disk.begin, begin + 2: disk.end}
    try:
        return train(DurableCheckpoint(path, background=background), path, happens)
    finally:
        if disk.beside.exists():
            disk.end()
        shutil.rmtree(folder)


def full_beside(disk, healthy):
    import keras
    import numpy as np
    from durable_checkpoint import DurableCheckpoint, ExactBackupAndRestore, ShuffledBatches
    from durable_checkpoint.writer import wait_for_own_writes

    path = disk / "m.keras"
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    batches = ShuffledBatches(x, x[:, :1], 8, seed=1)
    checkpoint = DurableCheckpoint(path)
    backup = ExactBackupAndRestore(healthy, track=[batches, checkpoint])
    newest = []

    class Looks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            wait_for_own_writes()
            records = [json.loads(each.read_text()) for each in healthy.glob("backup-?.npz.json")]
            newest.append(max(record["epoch"] for record in records))

    def fill():
        SmallDisk(disk).leave(0)

    found = train(checkpoint, path, {2: fill}, backup, Looks(), data=batches)
    return found | {"newest backup": newest}


def main(folder):
    folder = pathlib.Path(folder)
    found = {
        "read-only, first save": read_only(folder / "a", 0, True),
        "read-only, later save": read_only(folder / "b", 2, True),
        "read-only, foreground": read_only(folder / "c", 2, False),
        "full disk beside": full_beside(folder, folder.with_name(f"{folder.name}-healthy")),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
