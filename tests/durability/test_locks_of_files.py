"""Who may write: one training at a time into the same files, until it has ended in whatever way."""

import concurrent.futures
import gc
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref

import keras
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import (
    DurableCheckpoint,
    ExactBackupAndRestore,
    files,
    locks,
    newest_valid,
    read_record,
    verify,
)
from durable_checkpoint.writer import BackgroundWriter

X = np.ones((8, 4), "float32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.fit(X, X[:, :2], verbose=0)
    return network


def fit(model, *callbacks, epochs=1):
    return model.fit(X, X[:, :2], epochs=epochs, verbose=0, callbacks=list(callbacks))


class Pause(keras.callbacks.Callback):
    """Stops after the first epoch until it is told to go on."""

    def __init__(self):
        super().__init__()
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_epoch_end(self, epoch, logs=None):
        self.reached.set()
        assert self.go_on.wait(60)


class Fails(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ArithmeticError


class Calls(keras.callbacks.Callback):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def on_epoch_end(self, epoch, logs=None):
        self.function()


def twin(model):
    other = keras.models.clone_model(model)
    other.compile("adam", "mse")
    return other


def paused(model, *callbacks):
    """A thread that trains, stopped after its first epoch."""
    pause = Pause()
    thread = threading.Thread(target=fit, args=(twin(model), *callbacks, pause))
    thread.start()
    assert pause.reached.wait(60)
    return thread, pause


def another_process_is_refused(path):
    """Whether a program that opens and locks the file would be."""
    lock = next(path.parent.glob(".*.lock"))
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    run = subprocess.run([sys.executable, "-c", code, lock], check=False, capture_output=True)
    return b"BlockingIOError" in run.stderr


def test_a_second_thread_is_refused_while_the_first_one_trains(tmp_path, model):
    path = tmp_path / "m.keras"
    thread, pause = paused(model, DurableCheckpoint(path), ExactBackupAndRestore(tmp_path / "b"))
    try:
        for second in (DurableCheckpoint(path), ExactBackupAndRestore(tmp_path / "b")):
            with pytest.raises(BlockingIOError, match="another training of this process"):
                fit(model, second)
        fit(model, DurableCheckpoint(tmp_path / "other.keras"))
    finally:
        pause.go_on.set()
        thread.join()
    fit(model, DurableCheckpoint(path))
    assert verify(path) == "checksum"


def test_a_fit_inside_of_a_fit_is_refused(tmp_path, model):
    path = tmp_path / "m.keras"
    inner = Calls(lambda: fit(twin(model), DurableCheckpoint(path)))
    with pytest.raises(BlockingIOError, match="another training of this process"):
        fit(model, DurableCheckpoint(path), inner)
    fit(model, DurableCheckpoint(path))


def test_closing_another_descriptor_of_the_lock_does_not_free_it(tmp_path, model):
    path = tmp_path / "run" / "m.keras"

    def copied():
        shutil.copytree(path.parent, tmp_path / "copy")
        assert another_process_is_refused(path)

    fit(model, DurableCheckpoint(path), Calls(copied))
    assert not list(path.parent.glob(".*"))


def test_a_lock_file_that_is_removed_between_opening_and_locking_is_not_the_lock(
    tmp_path, model, monkeypatch
):
    """Its last owner removes it. A lock on a file without a name keeps nobody out."""
    lock, removed = locks.system.lock, []

    def removed_just_now(descriptor):
        if not removed:
            removed.extend(tmp_path.glob(".*.lock"))
            removed[0].unlink()
        lock(descriptor)

    monkeypatch.setattr(locks.system, "lock", removed_just_now)
    path = tmp_path / "m.keras"
    fit(model, DurableCheckpoint(path), Calls(lambda: another_process_is_refused(path) or 1 / 0))
    assert removed


def test_the_lock_file_goes_before_the_lock(tmp_path, model, monkeypatch):
    """Otherwise another process may have locked it, and loses its name."""
    path = tmp_path / "m.keras"
    remove, refused = locks._remove, []

    def look_and_remove(lock):
        refused.append(another_process_is_refused(path))
        remove(lock)

    monkeypatch.setattr(locks, "_remove", look_and_remove)
    fit(model, DurableCheckpoint(path))
    assert refused == [True]


def test_the_lock_file_of_a_killed_process_names_the_next_one(tmp_path, model):
    checkpoint = DurableCheckpoint(tmp_path / "m.keras")
    lock = pathlib.Path(checkpoint._lock.path)
    lock.write_text(f"process {10**9} on a machine with a name longer than {socket.gethostname()}")
    texts = []
    fit(model, checkpoint, Calls(lambda: texts.append(lock.read_text())))
    assert texts == [f"process {os.getpid()} on {socket.gethostname()}\n"]


def until(condition):
    """A thread may have just written its last file, and not have gone."""
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def open_files():
    names = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return [os.readlink(name) for name in names if os.path.lexists(name)]


@pytest.mark.parametrize("kept", [False, True])
def test_trials_that_end_by_an_exception_leave_nothing_behind(tmp_path, model, kept):
    """A descriptor, a lock and a lock file each; also if the exceptions are kept."""
    errors, threads = [], threading.active_count()
    for trial in range(4):
        backup = ExactBackupAndRestore(tmp_path / f"backup-{trial}", signals=())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit(model, DurableCheckpoint(tmp_path / f"{trial}.keras"), backup, Fails())
            except ArithmeticError as error:
                errors.append(error if kept else None)
    del backup
    gc.collect()
    if kept:  # the next training frees what the ones before have left
        fit(model, DurableCheckpoint(tmp_path / "next.keras"))
    assert newest_valid(tmp_path).name == ("next.keras" if kept else "3.keras")
    until(lambda: not [name for name in open_files() if str(tmp_path) in name])
    assert not list(tmp_path.rglob(".*.lock"))
    assert not [path for path in locks._held if str(tmp_path) in path]
    until(lambda: kept or threading.active_count() <= threads)


def test_after_an_exception_the_same_files_can_be_trained_into_again(tmp_path, model):
    path = tmp_path / "e{epoch}.keras"
    with pytest.raises(ArithmeticError) as kept:  # with its traceback, so the first fit's frames
        fit(model, first := DurableCheckpoint(path), Fails())
    fit(model, DurableCheckpoint(path), epochs=2)
    with pytest.raises(ArithmeticError):
        fit(model, first, Fails())
    fit(model, first, epochs=3)
    assert kept and newest_valid(tmp_path).name == "e3.keras"


def test_the_end_of_an_earlier_fit_does_not_free_the_lock_of_a_later_one(tmp_path, model):
    path = tmp_path / "m.keras"
    checkpoint = DurableCheckpoint(path)
    kept = []
    try:
        fit(model, checkpoint, Fails())
    except ArithmeticError as error:
        kept.append(error)

    def forget():
        kept.clear()
        gc.collect()
        assert another_process_is_refused(path)

    fit(model, checkpoint, Calls(forget))


def test_a_forked_child_reads_while_its_parent_saves_and_may_not_write(
    tmp_path, model, monkeypatch
):
    fit(model, DurableCheckpoint(tmp_path / "old.keras"))
    publish, go_on = files.publish, threading.Event()
    monkeypatch.setattr(files, "publish", lambda *a: (go_on.wait(60), publish(*a)))
    checkpoint = DurableCheckpoint(tmp_path / "m.keras")
    answers = []

    def fork():
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                said = str(read_record(tmp_path / "old.keras")["epoch"])
                said += f" {locks._held}"
                try:
                    locks.FileLock(checkpoint._lock.path, "m", checkpoint._writer).acquire(None)
                except BlockingIOError:
                    said += " refused"
                os.write(writing, said.encode())
            finally:
                os._exit(0)
        os.close(writing)
        killer = threading.Timer(30, os.kill, (child, 9))
        killer.start()
        answers.append(os.read(reading, 1000).decode())
        os.waitpid(child, 0)
        killer.cancel()
        os.close(reading)
        # The child had the parent's descriptors. The lock is the parent's all the same.
        assert another_process_is_refused(tmp_path / "m.keras")
        go_on.set()

    fit(model, checkpoint, Calls(fork))
    assert answers == ["1 {} refused"]
    assert verify(tmp_path / "m.keras") == "checksum"


def test_a_forked_child_writes_with_a_thread_of_its_own():
    writer = BackgroundWriter("test", background=True, warns=True, next_time="")
    writer.submit("a", lambda: "of the parent")
    assert writer.collect(waiting_for_at_most=0) == ["of the parent"]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writer.submit("b", lambda: "of the child")
            concurrent.futures.wait(writer.futures(), timeout=20)
            if writer.collect(waiting_for_at_most=None) == ["of the child"]:
                status = 7
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    writer.close()


def test_the_lock_does_not_outlive_its_process_in_a_child(tmp_path):
    """Workers that a training has forked may live on after it was killed."""
    code = f"""
import os, sys, time
from durable_checkpoint.locks import FileLock
from durable_checkpoint.writer import BackgroundWriter
class Training:
    def is_over(self): return False
    def when_over(self, call): pass
writer = BackgroundWriter("test", background=True, warns=True, next_time="")
FileLock({str(tmp_path / ".lock")!r}, "m.keras", writer).acquire(Training())
if os.fork() == 0:
    os.close(1)
    time.sleep(60)
else:
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), 9)
"""
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY / "beyond",
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    run.communicate()
    try:
        fd = os.open(tmp_path / ".lock", os.O_RDWR)
        locks.system.lock(fd)
        os.close(fd)
    finally:
        os.killpg(run.pid, 9)


def test_hooks_called_by_hand_lock_and_are_waited_for(tmp_path, model, monkeypatch):
    """A loop that calls only `set_model` and `on_epoch_end`, as works with stock Keras."""
    publish = files.publish
    monkeypatch.setattr(files, "publish", lambda *a: (threading.Event().wait(0.3), publish(*a)))
    path = tmp_path / "m.keras"
    checkpoint = DurableCheckpoint(path)
    checkpoint.set_model(model)
    for epoch in range(2):
        checkpoint.on_epoch_end(epoch, {"loss": 1.0})
        assert read_record(path)["epoch"] == epoch + 1 and verify(path) == "checksum"
        assert another_process_is_refused(path)
    # Begun anew, as when a cell of a notebook is run again: the first one is waited for.
    again = DurableCheckpoint(path)
    again.set_model(model)
    checkpoint.on_epoch_end(5, {})
    again.on_epoch_end(6, {})
    checkpoint.on_epoch_end(7, {})
    assert read_record(path)["epoch"] == 8 and verify(path) == "checksum"
    del again, checkpoint
    gc.collect()
    until(lambda: not [found for found in locks._held if str(tmp_path) in found])


def test_a_change_of_folder_during_fit_changes_nothing(tmp_path, model, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    away = Calls(lambda: os.chdir(tmp_path / "other"))
    fit(model, DurableCheckpoint("ck/m-{epoch}.keras", keep_last=1), away, epochs=3)
    os.chdir(tmp_path)
    backup = ExactBackupAndRestore("backup", delete_checkpoint=False)
    fit(model, backup, away, epochs=2)
    assert not list((tmp_path / "other").iterdir())
    assert sorted(p.name for p in (tmp_path / "ck").glob("*.keras")) == ["m-3.keras"]
    assert len(list((tmp_path / "backup").glob("*.npz"))) == 2


def test_temporary_files_and_records_of_another_training_stay(tmp_path, model):
    """`runs/{epoch}/model.keras` leads into `runs/baseline/` as well."""
    baseline = tmp_path / "runs" / "baseline"
    fit(model, DurableCheckpoint(baseline / "model.keras", monitor="loss"))
    (baseline / "lost.keras.json").write_bytes((baseline / "model.keras.json").read_bytes())
    theirs = DurableCheckpoint(baseline / "model.keras")._place
    left = [theirs.temporary(str(baseline / "model.keras"), 0)]
    left.append(str(baseline / f".{theirs.tag}.pending.model.keras.json"))
    deeper = tmp_path / "runs" / "baseline" / "7"
    deeper.mkdir()
    ours = DurableCheckpoint(tmp_path / "runs" / "{epoch}" / "model.keras", monitor="loss")
    left.append(ours._place.temporary(str(deeper / "model.keras"), 0))
    for name in left:
        pathlib.Path(name).write_bytes(b"being written")
    before = {path: path.read_bytes() for path in baseline.rglob("*") if path.is_file()}
    fit(model, ours)
    assert {path: path.read_bytes() for path in before} == before
    again = DurableCheckpoint(
        ours.filepath, monitor="loss", save_best_only=True, initial_value_threshold="saved"
    )
    mine = read_record(tmp_path / "runs" / "1" / "model.keras")["value"]
    assert again._saved_files.best("loss", True) == mine
    # What it has left itself goes.
    own = pathlib.Path(again._place.temporary(str(tmp_path / "runs" / "1" / "model.keras"), 0))
    own.write_bytes(b"cut off")
    fit(model, again)
    assert not own.exists()


WINDOWS = """
import sys, types
import concurrent.futures, zipfile, tempfile, socket, h5py, fcntl
locked = {}
class msvcrt(types.ModuleType):
    LK_NBLCK = 2
    @staticmethod
    def locking(descriptor, mode, size):
        import os
        assert (mode, size) == (2, 1) and os.lseek(descriptor, 0, os.SEEK_CUR) >= 1 << 20
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, size, 1 << 30)
        except OSError:
            raise PermissionError(13, "Permission denied")
sys.modules["msvcrt"], sys.modules["fcntl"] = msvcrt("msvcrt"), None
sys.platform = "win32"
from durable_checkpoint import files, locks, records, system
import os
replace, refused = os.replace, []
def while_somebody_reads(*names):
    if not refused:
        refused.append(names)
        raise PermissionError(13, "Access is denied")
    replace(*names)
os.replace, opened = while_somebody_reads, os.open
def no_folders(path, *rest, **keywords):
    assert not os.path.isdir(path), path
    return opened(path, *rest, **keywords)
os.open = no_folders
digest = files.write_and_compare("temporary", [(None, 3, lambda: [b"abc"])])
record = {"sha256": digest, "bytes": 3, "file": "m.h5", "epoch": 1, "batch": None,
          "saved_at": 1.0, "versions": {}}
files.publish("temporary", os.path.abspath("m.h5"), record, "tag")
assert records.read_record("m.h5") == record and refused
class Training:
    def is_over(self): return False
    def when_over(self, call): pass
    def gives_way_to(self, other): return False
    def is_same_fit_as(self, other): return False
from durable_checkpoint.writer import BackgroundWriter
writer = BackgroundWriter("test", background=True, warns=True, next_time="")
lock = locks.FileLock(os.path.abspath(".lock"), "m.h5", writer)
lock.acquire(Training())
child = os.fork()
if child == 0:
    try:
        locks.FileLock(os.path.abspath(".lock"), "m.h5", writer).acquire(Training())
    except BlockingIOError as error:
        assert f"process {os.getppid()}" in str(error)
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
lock.release()
assert sorted(os.listdir()) == ["m.h5", "m.h5.json", "m.h5.sha256"]
"""


def test_what_is_written_for_windows_uses_what_windows_has(tmp_path):
    """With a stand-in for its module of locks. It was never run on Windows."""
    run = subprocess.run(
        [sys.executable, "-c", WINDOWS],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "beyond")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr


def test_what_a_caller_of_fit_deletes_is_gone(tmp_path, model):
    """Looking for the fit that is running keeps no variables of its callers alive."""
    large = np.ones(3)
    gone = weakref.ref(large)
    fit(model, DurableCheckpoint(tmp_path / "m.keras"), ExactBackupAndRestore(tmp_path / "b"))
    del large
    assert gone() is None


def test_a_list_of_callbacks_made_by_hand_is_one_training(tmp_path, model):
    path = tmp_path / "m.keras"
    two = [DurableCheckpoint(path), DurableCheckpoint(path)]
    callbacks = keras.callbacks.CallbackList(two, model=model)
    with pytest.raises(ValueError, match="two callbacks"):
        callbacks.on_train_begin()
    thread = threading.Thread(target=fit, args=(twin(model), DurableCheckpoint(path)))
    with warnings.catch_warnings(record=True):
        failed = []
        hook, threading.excepthook = threading.excepthook, lambda args: failed.append(args.exc_type)
        thread.start()
        thread.join()
        threading.excepthook = hook
    assert failed == [BlockingIOError]
