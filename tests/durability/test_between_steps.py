"""What goes wrong between two steps: late failures, files of the user's own, a gone terminal."""

import builtins
import concurrent.futures
import errno
import hashlib
import os
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import DurableCheckpoint, ExactBackupAndRestore, read_record, system, verify
from durable_checkpoint import files as files_module
from test_callback import epoch_in, files, model, run  # noqa: F401, a fixture


def no_space():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---- which file is the best


def test_a_save_that_fails_while_the_next_one_begins(tmp_path, model, monkeypatch):  # noqa: F811
    """The failure of 0.4 comes when 0.3 was found to be better, and before it is handed over."""
    path = tmp_path / "best.keras"
    checkpoint = DurableCheckpoint(path, save_best_only=True)
    found_better = threading.Event()
    calls = []
    real_write, real_is_best = files_module.write_and_compare, checkpoint._is_best

    def write(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            assert found_better.wait(60)
            raise no_space()
        return real_write(*arguments)

    def is_best(value, *others):
        better = real_is_best(value, *others)
        if value == 0.3:
            found_better.set()
            concurrent.futures.wait(checkpoint.saves_under_way())
        return better

    monkeypatch.setattr(files_module, "write_and_compare", write)
    monkeypatch.setattr(checkpoint, "_is_best", is_best)
    with pytest.warns(UserWarning, match="could not save"):
        run(checkpoint, model, [0.5, 0.4, 0.3, 0.45])
    assert read_record(path)["value"] == 0.3 and epoch_in(path) == 3
    assert checkpoint.best == 0.3


def test_a_better_file_since_the_backup_stays(tmp_path, model):  # noqa: F811
    """The backup knows 0.5; before the kill 0.35 was saved; trained again, the epoch has 0.45."""
    path = tmp_path / "best.keras"

    def make():
        return DurableCheckpoint(path, save_best_only=True, initial_value_threshold="saved")

    first = make()
    run(first, model, [0.5])
    backed_up = first.get_state()
    run(first, model, [0.4, 0.35])
    again = make()
    again.set_state(backed_up)
    run(again, model, [0.45, 0.36])
    assert read_record(path)["value"] == 0.35 and epoch_in(path) == 2


def test_a_copy_under_another_name_is_none_of_the_callback_s(tmp_path, model):  # noqa: F811
    keywords = {"monitor": "val_loss", "keep_last": 1, "keep_best": 1}
    run(DurableCheckpoint(tmp_path / "e{epoch}.keras", keep_last=2), model, [0.1, 3.0])
    copies = {}
    for number in (1, 2):
        for ending in ("", ".sha256", ".json"):
            copy = tmp_path / f"paper-{number}.keras{ending}"
            copies[copy] = (tmp_path / f"e{number}.keras{ending}").read_bytes()
            copy.write_bytes(copies[copy])
    run(DurableCheckpoint(tmp_path / "e{epoch}.keras", **keywords), model, [4.0, 3.0, 2.0, 5.0])
    # The copy of the first one, with 0.1, does not take the place of the best.
    assert files(tmp_path) == ["e3.keras", "e4.keras", "paper-1.keras", "paper-2.keras"]
    assert {path: path.read_bytes() for path in copies} == copies


def test_a_file_that_the_user_has_replaced_keeps_its_own_checksum(tmp_path, model):  # noqa: F811
    path = tmp_path / "best.keras"
    run(DurableCheckpoint(path, save_best_only=True), model, [0.1])
    model.save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "best.keras.sha256").write_text(f"{digest}  best.keras\n")
    checkpoint = DurableCheckpoint(path, save_best_only=True, initial_value_threshold="saved")
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    assert verify(path) == "checksum"
    checkpoint.close()
    # The record is that of another file, so its 0.1 is not the value to beat.
    run(checkpoint, model, [0.7])
    assert read_record(path)["value"] == 0.7


def test_batches_are_counted_anew_in_the_next_fit(tmp_path, model):  # noqa: F811
    checkpoint = DurableCheckpoint(tmp_path / "b{batch}.keras", save_freq=1)
    checkpoint.batches_before = 100  # as the last epoch of a resumed training leaves it
    x = np.zeros((2, 4), "float32")
    model.fit(x, x[:, :2], batch_size=1, verbose=0, callbacks=[checkpoint])
    assert files(tmp_path) == ["b1.keras", "b2.keras"]


# ---- the last steps of a save


@pytest.mark.parametrize("what", [".sha256", ".json"])
def test_what_fails_after_the_file_has_its_name_is_no_failed_save(
    tmp_path,
    model,  # noqa: F811
    monkeypatch,
    what,
):
    path = tmp_path / "best.keras"
    checkpoint = DurableCheckpoint(path, save_best_only=True)
    run(checkpoint, model, [0.5])
    real_replace, real_write = system.replace, files_module._write_durably
    failed = []

    def replace(old, new):
        if not failed and os.fspath(new) == f"{path}{what}":
            failed.append(new)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        real_replace(old, new)

    def write_durably(place, content):
        if b'"value": 0.125' in content:
            raise no_space()
        real_write(place, content)

    monkeypatch.setattr(system, "replace", replace)
    monkeypatch.setattr(files_module, "_write_durably", write_durably)
    with pytest.warns(UserWarning, match="is saved"):
        run(checkpoint, model, [0.3, 0.4])
    assert epoch_in(path) == 1 and checkpoint.best == 0.3
    assert verify(path) == "checksum" and read_record(path)["value"] == 0.3
    # Once more; and the next save fails before its file has the name.
    run(checkpoint, model, [0.28])
    failed.clear()
    with pytest.warns(UserWarning) as said, pytest.raises(OSError, match="could not save"):
        run(checkpoint, model, [0.25, 0.125])
    texts = [str(one.message) for one in said]
    assert [len([t for t in texts if part in t]) for part in ("is saved;", "could not save")] == [
        1,
        1,
    ]
    assert verify(path) == "checksum" and read_record(path)["value"] == 0.25
    run(checkpoint, model, [0.1])
    assert verify(path) == "checksum" and read_record(path)["value"] == 0.1
    assert files(tmp_path) == ["best.keras"]


def test_a_save_whose_checksum_stays_behind_is_still_known_when_the_next_one_fails(
    tmp_path,
    model,  # noqa: F811
    monkeypatch,
):
    """No table of files has room any more, so the next save cannot complete the one before."""
    path = tmp_path / "best.keras"
    checkpoint = DurableCheckpoint(path, save_best_only=True)
    run(checkpoint, model, [0.5])
    real = system.replace

    def replace(old, new):
        if os.fspath(new) == f"{path}.sha256":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        real(old, new)

    with monkeypatch.context() as full:
        full.setattr(system, "replace", replace)
        with pytest.warns(UserWarning), pytest.raises(OSError, match="could not save"):
            run(checkpoint, model, [0.3, 0.2, 0.1])
    assert epoch_in(path) == 1 and verify(path) == "checksum"
    assert read_record(path)["value"] == 0.3 and checkpoint.best == 0.3
    run(checkpoint, model, [0.2])
    assert verify(path) == "checksum" and read_record(path)["value"] == 0.2


def test_a_save_that_does_not_get_its_name_leaves_nothing(tmp_path, model, monkeypatch):  # noqa: F811
    real = system.replace

    def replace(old, new):
        if os.path.basename(new) == "e1.keras":
            raise no_space()
        real(old, new)

    monkeypatch.setattr(system, "replace", replace)
    with pytest.warns(UserWarning), pytest.raises(OSError, match="could not save"):
        run(DurableCheckpoint(tmp_path / "e{epoch}.keras"), model, [0.5, 0.4])
    assert sorted(os.listdir(tmp_path)) == [f"e2.keras{end}" for end in ("", ".json", ".sha256")]


def test_a_clock_before_the_first_time_that_an_archive_can_note(tmp_path, model, monkeypatch):  # noqa: F811
    first = time.gmtime(0)
    monkeypatch.setattr(files_module.time, "localtime", lambda *_: first)
    run(DurableCheckpoint(tmp_path / "m.keras"), model, [1.0])
    assert verify(tmp_path / "m.keras") == "checksum"


# ---- nobody is there to read


def test_a_line_that_nobody_reads_ends_nothing(tmp_path, model, monkeypatch):  # noqa: F811
    def print_(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(builtins, "print", print_)
    checkpoint = DurableCheckpoint(tmp_path / "m.keras", save_best_only=True, verbose=1)
    run(checkpoint, model, [2.0, 1.0, 3.0])
    assert read_record(tmp_path / "m.keras")["value"] == 1.0


def test_what_is_said_to_a_terminal_that_is_gone():
    code = """
import os
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 2)
from durable_checkpoint.signals import say
say("finishing this batch")
print("goes on")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "beyond")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "goes on\n"


# ---- the end of a training, and its beginning


@pytest.mark.parametrize(("name", "failing"), [("best.keras", 3), ("e{epoch}.keras", 1)])
def test_the_backup_stays_if_a_checkpoint_beside_it_was_not_saved(
    tmp_path, monkeypatch, name, failing
):
    """The last save is under way when the training ends; or the first was never made up for."""

    def train():
        keras.utils.set_random_seed(1)
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        network.compile("sgd", "mse")
        best_only = "{" not in name
        best = DurableCheckpoint(tmp_path / name, monitor="loss", save_best_only=best_only)
        backup = ExactBackupAndRestore(tmp_path / "backup", track=[best])
        x = np.ones((8, 4), "float32")
        return network.fit(x, x[:, :2], epochs=3, verbose=0, callbacks=[backup, best])

    real, ends = files_module.write_and_compare, []

    def write(temporary, members):
        ends.append(".keras" in temporary)
        if sum(ends) == failing and ends[-1]:
            time.sleep(1)  # the training has ended
            raise no_space()
        return real(temporary, members)

    with monkeypatch.context() as full:
        full.setattr(files_module, "write_and_compare", write)
        with (
            pytest.warns(UserWarning, match="could not save"),
            pytest.raises(OSError, match="could not save"),
        ):
            train()
    assert any(name.endswith(".npz") for name in os.listdir(tmp_path / "backup"))
    history = train()
    assert history.epoch == [0, 1, 2]
    last = tmp_path / name.format(epoch=3)
    assert read_record(last)["value"] == history.history["loss"][-1]
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("make", [DurableCheckpoint, ExactBackupAndRestore])
def test_a_place_that_is_not_local_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="gs://bucket/m.keras"):
        make("gs://bucket/m.keras")
    assert os.listdir(tmp_path) == []


def test_a_name_that_passes_for_a_temporary_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="begin with a dot"):
        DurableCheckpoint(tmp_path / ".best.keras")
    DurableCheckpoint(tmp_path / ".hidden" / "best.keras")
