"""What DurableCheckpoint does that stock does not: what is best, what is kept, who may write."""

import concurrent.futures
import copy
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import durable_checkpoint
import keras
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import DurableCheckpoint, newest_valid, read_record, verify

NAN = float("nan")


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def run(checkpoint, model, values, name="val_loss"):
    """Drive the callback through epochs that report these values; None: nothing is reported."""
    checkpoint.set_model(model)
    checkpoint.set_params({})
    checkpoint.on_train_begin()
    for epoch, value in enumerate(values):
        model.layers[0].bias.assign([epoch + 1, 0])
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {"loss": 1.0} | ({} if value is None else {name: value}))
    checkpoint.on_train_end()


def save_and_settle(checkpoint, epoch, logs):
    """Save, and wait for the writer without noticing what became of it."""
    checkpoint.on_epoch_end(epoch, logs)
    concurrent.futures.wait(checkpoint._writer.futures())


def epoch_in(path):
    """The epoch whose weights the file holds."""
    with durable_checkpoint.hdf5.open_weights(str(path)) as weights:
        return int(weights["layers/dense/vars/1"][0])


def files(folder):
    names = sorted(path.name for path in folder.iterdir())
    return [n for n in names if not n.endswith((".json", ".sha256"))]


# ---- what counts as best


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([3.0, 2.0, 2.5, 1.0, 4.0], 4),
        ([NAN, 2.0, NAN, 3.0], 2),
        ([2.0, NAN, None, 1.0, NAN], 4),
        ([2.0, None, None], 1),
        ([None, 5.0, None, 6.0], 2),
    ],
)
def test_only_a_better_number_overwrites(tmp_path, model, values, kept, background):
    path = tmp_path / "best.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(DurableCheckpoint(path, save_best_only=True, background=background), model, values)
    assert epoch_in(path) == kept
    assert read_record(path)["value"] == values[kept - 1] == read_record(path)["best"]
    assert files(tmp_path) == ["best.keras"]


def test_nan_alone_saves_nothing(tmp_path, model):
    with pytest.warns(UserWarning, match="val_loss is NaN"):
        run(DurableCheckpoint(tmp_path / "b.keras", save_best_only=True), model, [NAN, NAN])
    assert files(tmp_path) == []


def test_a_misspelt_monitor_is_told_once_and_loses_nothing(tmp_path, model):
    path = tmp_path / "best.keras"
    checkpoint = DurableCheckpoint(path, monitor="val_acc", mode="max", save_best_only=True)
    with pytest.warns(UserWarning, match="val_acc available. There are loss, val_accuracy") as said:
        run(checkpoint, model, [0.5, 0.6, 0.7], name="val_accuracy")
    assert len([w for w in said if "val_acc " in str(w.message)]) == 1
    assert epoch_in(path) == 1 and read_record(path)["value"] is None


def test_a_name_that_needs_the_missing_value_does_not_end_the_training(tmp_path, model):
    checkpoint = DurableCheckpoint(tmp_path / "{val_loss:.1f}.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="val_loss available"):
        run(checkpoint, model, [3.0, None, 2.0])
    assert files(tmp_path) == ["2.0.keras", "3.0.keras"]


def test_validation_every_other_epoch_leaves_the_best(tmp_path, model):
    x = np.random.rand(16, 4)
    path = tmp_path / "best.keras"
    model.compile(keras.optimizers.SGD(0.5), "mse")
    with pytest.warns(UserWarning, match="val_loss available"):
        history = model.fit(
            x,
            x[:, :2],
            epochs=6,
            verbose=0,
            validation_data=(x, x[:, :2]),
            validation_freq=2,
            callbacks=[DurableCheckpoint(path, save_best_only=True)],
        )
    best = int(np.argmin(history.history["val_loss"]))
    assert read_record(path)["epoch"] == (best + 1) * 2


@pytest.mark.parametrize(("first", "second"), [([3.0, 1.0], [2.0, 1.5]), ([3.0, 2.0], [2.5, 1.0])])
def test_saved_goes_on_from_the_best_of_the_last_training(tmp_path, model, first, second):
    path = tmp_path / "best.keras"
    keywords = {"save_best_only": True, "initial_value_threshold": "saved"}
    run(DurableCheckpoint(path, **keywords), model, first)
    before = read_record(path)
    run(DurableCheckpoint(path, **keywords), model, second)
    better = min(second) < min(first)
    assert (read_record(path) == before) != better
    assert read_record(path)["value"] == min(first + second)


def test_without_saved_a_new_experiment_starts_afresh(tmp_path, model):
    path = tmp_path / "best.keras"
    run(DurableCheckpoint(path, save_best_only=True), model, [1.0])
    run(DurableCheckpoint(path, save_best_only=True), model, [2.0])
    assert read_record(path)["value"] == 2.0


def test_saved_counts_only_what_is_valid_and_of_the_same_quantity(tmp_path, model):
    name = tmp_path / "e{epoch}.keras"
    run(DurableCheckpoint(name), model, [3.0, 1.0, 2.0])
    damaged = tmp_path / "e2.keras"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = DurableCheckpoint(name, save_best_only=True, initial_value_threshold="saved")
    run(again, model, [2.5, 1.5])
    assert again.best == 1.5 and epoch_in(damaged) == 2
    other = DurableCheckpoint(
        name, monitor="loss", save_best_only=True, initial_value_threshold="saved"
    )
    run(other, model, [9.0])
    assert other.best == 1.0


def test_saved_respects_the_direction(tmp_path, model):
    path = tmp_path / "best.weights.h5"
    keywords = {
        "monitor": "val_accuracy",
        "mode": "max",
        "save_best_only": True,
        "save_weights_only": True,
        "initial_value_threshold": "saved",
    }
    run(DurableCheckpoint(path, **keywords), model, [0.7, 0.9], name="val_accuracy")
    run(DurableCheckpoint(path, **keywords), model, [0.8], name="val_accuracy")
    assert read_record(path)["value"] == 0.9 and read_record(path)["mode"] == "max"


# ---- saves that fail


class FullDisk:
    """The operating system's answer for as long as `full` is True."""

    def __init__(self, monkeypatch):
        self.full = False
        self.write = durable_checkpoint.files.publish
        monkeypatch.setattr(durable_checkpoint.files, "publish", self)

    def __call__(self, *arguments):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.write(*arguments)


def test_a_failed_save_is_not_the_one_to_beat(tmp_path, model, monkeypatch):
    disk = FullDisk(monkeypatch)
    path = tmp_path / "best.keras"
    checkpoint = DurableCheckpoint(path, save_best_only=True)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    epochs = [(3.0, False), (1.0, True), (2.0, False), (1.0, True), (1.5, False)]
    for epoch, (value, full) in enumerate(epochs):
        disk.full = full
        model.layers[0].bias.assign([epoch + 1, 0])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            save_and_settle(checkpoint, epoch, {"val_loss": value})
        told = [str(w.message) for w in said if "could not save" in str(w.message)]
        assert len(told) == full
        if full:
            assert str(path) in told[0] and "MB free" in told[0]
    checkpoint.on_train_end()
    assert epoch_in(path) == 5 and read_record(path)["value"] == 1.5
    assert files(tmp_path) == ["best.keras"]


@pytest.mark.parametrize("background", [True, False])
def test_a_failed_save_is_raised_and_leaves_the_old_file(tmp_path, model, monkeypatch, background):
    path = tmp_path / "m.keras"
    run(DurableCheckpoint(path), model, [1.0])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    disk = FullDisk(monkeypatch)
    disk.full = True
    checkpoint = DurableCheckpoint(path, background=background)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(OSError, match="could not save .*m.keras .*MB free") as caught:
            run(checkpoint, model, [1.0, 1.0, 1.0])
    assert caught.value.errno == errno.ENOSPC
    told = [w for w in said if "could not save" in str(w.message)]
    assert len(told) == (1 if background else 0)
    checkpoint.close()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert verify(path) == "checksum"


def test_an_unwritable_place_is_told_before_the_training(tmp_path, model):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="could not save .*file"):
        run(DurableCheckpoint(tmp_path / "file" / "m.keras"), model, [1.0])
    (tmp_path / "m.keras").mkdir()
    with pytest.raises(OSError, match="non-directory"):
        run(DurableCheckpoint(tmp_path / "m.keras"), model, [1.0])


# ---- the thread behind the training


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_at_most_one_write_and_one_copy_waiting(tmp_path, model, monkeypatch, ending):
    """The third save begins only when the first one is on the disk."""
    publish, gate = durable_checkpoint.files.publish, threading.Semaphore(0)
    written, begun = [], []

    def slow(temporary, path, *rest):
        gate.acquire()
        publish(temporary, path, *rest)
        written.append(epoch_in(path))

    monkeypatch.setattr(durable_checkpoint.files, "publish", slow)
    checkpoint = DurableCheckpoint(
        tmp_path / f"m{ending}", save_weights_only=ending == ".weights.h5"
    )
    checkpoint.set_model(model)
    checkpoint.on_train_begin()

    def train():
        for epoch in range(6):
            model.layers[0].bias.assign([epoch + 1, 0])
            checkpoint.on_epoch_end(epoch, {})
            begun.append(epoch + 1)
        checkpoint.on_train_end()

    training = threading.Thread(target=train)
    training.start()
    try:
        for done in range(6):
            wait_for_length(begun, min(6, done + 2))
            time.sleep(0.1)  # one more would have begun by now
            assert len(begun) == min(6, done + 2) and training.is_alive()
            gate.release()
            wait_for_length(written, done + 1)
    finally:
        for _ in range(6):
            gate.release()
        training.join(20)
    assert not training.is_alive()
    assert written == [1, 2, 3, 4, 5, 6]


def wait_for_length(growing, length):
    deadline = time.monotonic() + 20
    while len(growing) < length and time.monotonic() < deadline:
        time.sleep(0.01)


FAILS = """
import sys
import keras, numpy as np, durable_checkpoint
from durable_checkpoint import DurableCheckpoint

write = durable_checkpoint.files.write_and_compare
def slow(*arguments):
    import time
    time.sleep(1)
    return write(*arguments)
durable_checkpoint.files.write_and_compare = slow
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("adam", "mse")
class Fails(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            {ending}
checkpoint = DurableCheckpoint("{folder}/e{{epoch}}.keras")
model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=9, verbose=0, callbacks=[checkpoint, Fails()])
"""


@pytest.mark.parametrize("ending", ["1 / 0", "sys.exit(3)", "raise KeyboardInterrupt"])
def test_an_exception_in_the_training_waits_for_the_last_write(tmp_path, ending):
    process = subprocess.run(
        [sys.executable, "-c", FAILS.format(folder=tmp_path, ending=ending)],
        cwd=REPOSITORY / "beyond",
        capture_output=True,
        check=False,
    )
    assert process.returncode != 0
    assert files(tmp_path)[-3:] == ["e1.keras", "e2.keras", "e3.keras"]
    assert newest_valid(tmp_path).name == "e3.keras"


def test_after_an_exception_looking_at_files_waits_and_training_again_works(
    tmp_path, model, monkeypatch
):
    publish = durable_checkpoint.files.publish

    def slow(*arguments):
        time.sleep(0.5)
        publish(*arguments)

    monkeypatch.setattr(durable_checkpoint.files, "publish", slow)

    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise ArithmeticError

    x = np.ones((8, 4))
    name = tmp_path / "e{epoch}.keras"
    with pytest.raises(ArithmeticError):
        model.fit(
            x, x[:, :2], epochs=5, verbose=0, callbacks=[first := DurableCheckpoint(name), Fails()]
        )
    assert newest_valid(tmp_path).name == "e2.keras"
    model.fit(x, x[:, :2], epochs=3, verbose=0, callbacks=[DurableCheckpoint(name)])
    first.close()
    assert newest_valid(tmp_path).name == "e3.keras"


# ---- what is kept


@pytest.mark.parametrize(
    ("keywords", "kept"),
    [
        ({"keep_last": 2}, [6, 7]),
        ({"keep_best": 2}, [2, 5, 7]),
        ({"keep_last": 1, "keep_best": 2}, [2, 5, 7]),
        ({"keep_last": 3, "keep_best": 1}, [2, 5, 6, 7]),
    ],
)
def test_pruning_keeps_the_newest_and_the_best(tmp_path, model, keywords, kept):
    values = [4.0, 1.0, 5.0, NAN, 2.0, 6.0, 3.0]
    other = tmp_path / "e99.keras"
    other.write_bytes(b"not of this callback")
    run(DurableCheckpoint(tmp_path / "e{epoch}.keras", **keywords), model, values)
    other.unlink()
    names = [f"e{epoch}.keras" for epoch in kept]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        name + ending for name in names for ending in ("", ".json", ".sha256")
    )
    assert all(verify(tmp_path / name) == "checksum" for name in names)


def test_pruning_counts_the_files_of_the_training_before(tmp_path, model):
    name = tmp_path / "{epoch}-{val_loss}.keras"
    run(DurableCheckpoint(name, keep_last=2), model, [5.0, 4.0])
    run(DurableCheckpoint(name, keep_last=2), model, [3.0])
    assert files(tmp_path) == ["1-3.0.keras", "2-4.0.keras"]


@pytest.mark.parametrize("background", [True, False])
def test_a_folder_that_becomes_read_only_is_reported_once(tmp_path, model, monkeypatch, background):
    """What was begun cannot be removed then either."""
    path = tmp_path / "m.keras"
    checkpoint = DurableCheckpoint(path, background=background)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    save_and_settle(checkpoint, 0, {})

    def read_only(*arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as now:
        now.setattr(durable_checkpoint.files, "write_and_compare", read_only)
        now.setattr(os, "unlink", read_only)
        if background:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                save_and_settle(checkpoint, 1, {})
                save_and_settle(checkpoint, 2, {})
            told = [str(w.message) for w in said if "could not save" in str(w.message)]
            assert len(told) == 1 and str(path) in told[0]
        else:
            with pytest.raises(OSError, match="could not save .*m.keras"):
                checkpoint.on_epoch_end(1, {})
    model.layers[0].bias.assign([4, 0])
    save_and_settle(checkpoint, 3, {})
    checkpoint.on_train_end()
    assert epoch_in(path) == 4 and verify(path) == "checksum"


@pytest.mark.parametrize("place", ["begin", "middle", "end"])
def test_a_byte_that_the_disk_changes_is_noticed_and_nothing_is_pruned(
    tmp_path, model, monkeypatch, place
):
    name = tmp_path / "e{epoch}.keras"
    run(DurableCheckpoint(name, keep_last=1), model, [1.0])
    sync = os.fsync

    def flip(descriptor):
        """As if the disk had kept another byte of an array than it was given."""
        sync(descriptor)
        path = f"/proc/self/fd/{descriptor}"
        if "saving" in os.readlink(path) and os.readlink(path).endswith(".keras"):
            bias = np.asarray(model.layers[0].bias).tobytes()
            with open(os.readlink(path), "r+b") as file:
                offset = file.read().index(bias)
                file.seek(offset + {"begin": 0, "middle": 3, "end": len(bias) - 1}[place])
                byte = file.read(1)[0]
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 1]))

    monkeypatch.setattr(os, "fsync", flip)
    model.layers[0].bias.assign([0.1234567, 7.654321])
    checkpoint = DurableCheckpoint(name, keep_last=1)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    with pytest.warns(UserWarning, match="did not return"):
        save_and_settle(checkpoint, 1, {})
    with pytest.raises(OSError, match="e2"):
        checkpoint.on_train_end()
    assert files(tmp_path) == ["e1.keras"]


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"filepath": "m.keras", "keep_last": 2}, "several names"),
        ({"filepath": "{epoch}/m.keras", "keep_best": 2}, "one folder"),
        ({"filepath": "{epoch}.keras", "keep_last": 0}, "1 or more"),
        ({"filepath": "{epoch}.keras", "keep_best": True}, "1 or more"),
        ({"filepath": "gs://bucket/m.keras"}, "local"),
        ({"filepath": "m.keras", "initial_value_threshold": "best"}, "'saved'"),
        ({"filepath": "m.hdf5"}, "must end in"),
    ],
)
def test_arguments_that_cannot_work_are_refused(keywords, said):
    with pytest.raises(ValueError, match=said):
        DurableCheckpoint(**keywords)


# ---- names and places


def test_a_folder_for_each_epoch(tmp_path, model):
    run(DurableCheckpoint(tmp_path / "{epoch:02d}" / "m.keras"), model, [1.0, 2.0])
    assert files(tmp_path) == ["01", "02"]
    assert verify(tmp_path / "02" / "m.keras") == "checksum"


def test_a_link_stays_a_link(tmp_path, model):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "m.keras", tmp_path / "latest.keras"
    target.write_bytes(b"old")
    link.symlink_to(target)
    run(DurableCheckpoint(link), model, [1.0])
    assert link.is_symlink() and verify(link) == verify(target) == "checksum"
    again = DurableCheckpoint(link, save_best_only=True, initial_value_threshold="saved")
    run(again, model, [2.0])
    assert read_record(link)["value"] == again.best == 1.0


def test_the_legacy_format_is_made_durable_as_well(tmp_path, model):
    run(DurableCheckpoint(tmp_path / "m.h5"), model, [1.0, 2.0])
    assert verify(tmp_path / "m.h5") == "checksum"
    loaded = keras.models.load_model(tmp_path / "m.h5", compile=False)
    assert int(loaded.layers[-1].get_weights()[1][0]) == 2


def test_a_relative_name_survives_a_change_of_folder(tmp_path, model, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(DurableCheckpoint("m.keras"), model, [1.0])
    assert verify("m.keras") == "checksum"


def test_stock_keras_reads_both_formats(tmp_path, model):
    run(DurableCheckpoint(tmp_path / "m.keras"), model, [1.0, 2.0])
    run(DurableCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True), model, [1.0, 2.0])
    whole = keras.models.load_model(tmp_path / "m.keras")
    assert [w.tolist() for w in whole.get_weights()] == [w.tolist() for w in model.get_weights()]
    model.layers[0].bias.assign([0, 0])
    model.load_weights(tmp_path / "m.weights.h5")
    assert model.get_weights()[1].tolist() == [2, 0]


# ---- one training at a time

HOLDS = """
import sys, time
import keras
from durable_checkpoint import DurableCheckpoint
checkpoint = DurableCheckpoint("{path}")
checkpoint.on_train_begin()
print("locked", flush=True)
time.sleep(100)
"""


def test_a_second_process_is_refused_until_the_first_has_died(tmp_path, model):
    path = tmp_path / "m.keras"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS.format(path=path)],
        cwd=REPOSITORY / "beyond",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError, match=f"process {process.pid} on ") as caught:
            run(DurableCheckpoint(path), model, [1.0])
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
        assert "could not save" not in str(caught.value)  # it is no matter of the disk
        run(DurableCheckpoint(tmp_path / "other.keras"), model, [1.0])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(DurableCheckpoint(path), model, [1.0])
    assert [name for name in files(tmp_path) if name.startswith(".")] == []


def test_two_callbacks_with_one_name_in_one_fit_are_refused(tmp_path, model):
    path = tmp_path / "m.keras"
    with pytest.raises(ValueError, match="two callbacks"):
        model.fit(
            np.ones((8, 4)),
            np.ones((8, 2)),
            verbose=0,
            callbacks=[DurableCheckpoint(path), DurableCheckpoint(path, monitor="loss")],
        )


def test_one_callback_serves_many_fits(tmp_path, model):
    checkpoint = DurableCheckpoint(tmp_path / "m.keras", monitor="loss", save_best_only=True)
    x = np.ones((8, 4))
    for _ in range(2):
        model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[checkpoint])
    assert verify(tmp_path / "m.keras") == "checksum"


# ---- further promises


def test_the_record_is_json_that_others_can_read(tmp_path, model):
    run(DurableCheckpoint(tmp_path / "m.keras"), model, [float("inf")])
    record = json.loads(
        (tmp_path / "m.keras.json").read_text(), parse_constant=lambda name: pytest.fail(name)
    )
    assert record["value"] is None


def test_a_callback_can_be_copied_before_the_training(tmp_path, model):
    """Tuners copy the callbacks that they are given for each trial."""
    checkpoint = copy.deepcopy(DurableCheckpoint(tmp_path / "m.keras", save_best_only=True))
    run(checkpoint, model, [1.0])
    assert verify(tmp_path / "m.keras") == "checksum"


def test_a_file_that_cannot_be_deleted_does_not_end_the_training(tmp_path, model, monkeypatch):
    remove = durable_checkpoint.files.remove

    def refuse(path):
        if str(path).endswith("e1.keras"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        remove(path)

    monkeypatch.setattr(durable_checkpoint.files, "remove", refuse)
    checkpoint = DurableCheckpoint(tmp_path / "e{epoch}.keras", keep_last=1)
    with pytest.warns(UserWarning, match="could not delete .*e1.keras"):
        run(checkpoint, model, [1.0, 2.0])
    assert verify(tmp_path / "e2.keras") == "checksum"


def test_a_file_that_another_process_replaces_meanwhile_is_not_called_corrupt(
    tmp_path, model, monkeypatch
):
    path = tmp_path / "m.keras"
    run(DurableCheckpoint(path), model, [1.0])
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    run(DurableCheckpoint(path), model, [1.0, 2.0])
    after = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for name, content in before.items():
        name.write_bytes(content)
    digest = durable_checkpoint.records.sha256

    def replaced_just_now(asked):
        for name, content in after.items():
            name.write_bytes(content)
        return digest(asked)

    monkeypatch.setattr(durable_checkpoint.records, "sha256", replaced_just_now)
    assert verify(path) == "checksum"
