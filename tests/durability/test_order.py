"""At every point of a save, a crash that loses what was not yet synced leaves a valid file.

The file operations of two saves, one over the other, are recorded. Then each prefix is replayed as
a crash there would leave the disk: of a file only what it held when it was last synced, of a folder
only the names that were there when it was synced, or, since a file system may also write earlier
than told, any of the renamings since. (A model of the disk, after Pillai et al., OSDI 2014; killing
the process, as test_kill.py does, leaves everything that was written.)
"""

import itertools
import os
import pathlib
import re

import durable_checkpoint
import keras
import numpy as np
import pytest
from durable_checkpoint import CorruptCheckpointError, DurableCheckpoint, newest_valid, verify


class Recorder:
    """What a save does to its folder, in order, with the content that a sync makes durable."""

    def __init__(self, folder, monkeypatch):
        self.folder = str(folder)
        self.operations = []
        self.real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}
        for name in self.real:
            monkeypatch.setattr(os, name, getattr(self, name))

    def inside(self, path):
        return os.path.dirname(os.path.abspath(path)) == self.folder

    def fsync(self, descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self.real["fsync"](descriptor)
        if path == self.folder:
            self.operations.append(("fsync folder",))
        elif self.inside(path):
            content = pathlib.Path(path).read_bytes()
            self.operations.append(("fsync file", os.path.basename(path), content))

    def replace(self, source, target):
        content = pathlib.Path(source).read_bytes()
        self.real["replace"](source, target)
        if self.inside(target):
            names = os.path.basename(source), os.path.basename(target)
            self.operations.append(("replace", *names, content))

    def unlink(self, path, **keywords):
        self.real["unlink"](path, **keywords)
        if self.inside(path):
            self.operations.append(("unlink", os.path.basename(path)))


def disks_after_a_crash(operations):
    """Every folder content, name -> bytes, that a crash after these operations may leave."""
    content, names, since = {}, {}, []  # by name now; durably so; renamings since the last sync
    for operation in operations:
        if operation[0] == "fsync file":
            content[operation[1]] = operation[2]
        elif operation[0] == "fsync folder":
            for change in since:
                apply(change, names)
            since = []
            # A file that was created and synced has its name now as well.
            names.update({name: data for name, data in content.items()})
        else:
            if operation[0] == "replace":
                _, source, target, _ = operation
                # What was never synced may be empty after the crash.
                content[target] = content.pop(source, b"")
                since.append(("replace", source, target, content[target]))
            else:
                content.pop(operation[1], None)
                since.append(operation)
    # Renamings and creations since the last sync of the folder: any of them may have happened.
    for count in range(len(since) + 1):
        for chosen in itertools.combinations(since, count):
            disk = dict(names)
            for change in chosen:
                apply(change, disk)
            yield disk
            created = {name: data for name, data in content.items() if name not in disk}
            yield {**created, **disk}


def apply(change, names):
    if change[0] == "replace":
        _, source, target, data = change
        names.pop(source, None)
        names[target] = data
    else:
        names.pop(change[1], None)


def record_saves(folder, ending, monkeypatch, saves, **keywords):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
    recorder = Recorder(folder, monkeypatch)
    checkpoint = DurableCheckpoint(
        folder / f"m{ending}", save_weights_only=ending == ".weights.h5", **keywords
    )
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    ends = []
    for epoch in range(saves):
        model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"val_loss": 1.0 - epoch / 10})
        checkpoint.wait()
        ends.append(len(recorder.operations))
    checkpoint.on_train_end()
    monkeypatch.undo()
    return recorder.operations, ends


@pytest.mark.parametrize("ending", [".keras", ".weights.h5", ".h5"])
def test_a_valid_checkpoint_exists_at_every_point(tmp_path, monkeypatch, ending):
    made = tmp_path / "made"
    made.mkdir()
    operations, ends = record_saves(made, ending, monkeypatch, saves=3)
    final = f"m{ending}"
    good = {op[3] for op in operations if op[0] == "replace" and op[2] == final}
    assert len(good) == 3
    disks = 0
    for crash in range(len(operations) + 1):
        for disk in disks_after_a_crash(operations[:crash]):
            disks += 1
            folder = tmp_path / f"crash-{crash}-{disks}"
            folder.mkdir()
            for name, data in disk.items():
                (folder / name).write_bytes(data)
            if crash < ends[0] and not (folder / final).exists():
                continue
            assert (folder / final).read_bytes() in good, f"crash after {operations[crash - 1][:3]}"
            assert verify(folder / final) == "checksum"
            assert what_lies_beside_is_whole(folder / final)
            completed = [op[3] for op in operations[:crash] if op[:3:2] == ("replace", final)]
            if crash in ends:
                assert (folder / final).read_bytes() == completed[-1]
    assert disks > len(operations)


def what_lies_beside_is_whole(path):
    """Whether its checksum and its record, if they are there, are whole ones, of whichever save."""
    line, record = path.with_name(f"{path.name}.sha256"), path.with_name(f"{path.name}.json")
    return (
        not line.exists()
        or re.fullmatch(rf"[0-9a-f]{{64}}  {re.escape(path.name)}\n", line.read_text()) is not None
    ) and (not record.exists() or durable_checkpoint.records.read(str(path)) is not None)


@pytest.mark.parametrize("keywords", [{"keep_last": 1}, {"keep_best": 1}, {"keep_last": 2}])
def test_the_newest_checkpoint_is_found_at_every_point_of_pruning(tmp_path, monkeypatch, keywords):
    made = tmp_path / "made"
    made.mkdir()
    operations, ends = record_saves(made, "-{epoch}.keras", monkeypatch, saves=4, **keywords)
    epochs = {op[3]: op[2] for op in operations if op[0] == "replace" and op[2].endswith(".keras")}
    assert len(epochs) == 4 and any(op[0] == "unlink" for op in operations)
    found = {}  # by content: most points leave one of a few
    for crash in range(ends[0], len(operations) + 1):
        done = [op[2] for op in operations[: max(e for e in ends if e <= crash)] if op[3:]]
        last = [name for name in done if name.endswith(".keras")][-1]
        for disk in disks_after_a_crash(operations[:crash]):
            key = frozenset(disk.items())
            if key not in found:
                folder = tmp_path / f"crash-{len(found)}"
                folder.mkdir()
                for name, data in disk.items():
                    (folder / name).write_bytes(data)
                newest = newest_valid(folder, "m-{epoch}.keras")
                assert epochs[newest.read_bytes()] == newest.name
                found[key] = newest.name
            assert found[key] >= last, operations[crash - 1][:3]


def test_the_replay_notices_a_missing_sync_or_another_order(tmp_path, monkeypatch):
    """The proof is worth what it would catch: operations left out or exchanged are noticed."""
    made = tmp_path / "made"
    made.mkdir()
    operations, ends = record_saves(made, ".keras", monkeypatch, saves=2)

    def holds(changed):
        for crash in range(ends[0], len(changed) + 1):
            for number, disk in enumerate(disks_after_a_crash(changed[:crash])):
                folder = tmp_path / f"{id(changed)}-{crash}-{number}"
                folder.mkdir()
                for name, data in disk.items():
                    (folder / name).write_bytes(data)
                try:
                    verify(folder / "m.keras")
                except (CorruptCheckpointError, FileNotFoundError):
                    return False
                if not what_lies_beside_is_whole(folder / "m.keras"):
                    return False
        return True

    assert holds(operations)
    second = range(ends[0], ends[1])
    data = next(i for i in second if operations[i][0] == "fsync file")
    rename = next(i for i in second if operations[i][:3:2] == ("replace", "m.keras"))
    syncs = [i for i in second if operations[i][0] == "fsync file"]
    assert len(syncs) == 3  # of the file, its checksum and its record
    for sync in syncs:
        assert not holds(operations[:sync] + operations[sync + 1 :]), operations[sync][1]
    record = next(i for i in second if i > data and operations[i][0] == "fsync file")
    assert record < rename
    too_early = (
        operations[:record]
        + [operations[rename]]
        + operations[record:rename]
        + operations[rename + 1 :]
    )
    assert not holds(too_early)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_the_next_training_finishes_or_undoes_what_a_crash_left(tmp_path, monkeypatch, ending):
    made = tmp_path / "made"
    made.mkdir()
    operations, _ = record_saves(made, ending, monkeypatch, saves=2)
    final = f"m{ending}"
    disks = [
        disk
        for crash in range(len(operations) + 1)
        for disk in disks_after_a_crash(operations[:crash])
    ]
    for number, disk in enumerate(disks):
        folder = tmp_path / f"crash-{number}"
        folder.mkdir()
        for name, data in disk.items():
            (folder / name).write_bytes(data)
        checkpoint = DurableCheckpoint(
            folder / final, save_weights_only=ending == ".weights.h5", save_best_only=True
        )
        checkpoint.on_train_begin()
        checkpoint.on_train_end()
        left = sorted(path.name for path in folder.iterdir())
        assert left in ([], [final, f"{final}.json", f"{final}.sha256"])
        if left:
            digest = durable_checkpoint.records.sha256(folder / final)
            assert (folder / f"{final}.sha256").read_text() == f"{digest}  {final}\n"
            assert durable_checkpoint.read_record(folder / final)["sha256"] == digest
