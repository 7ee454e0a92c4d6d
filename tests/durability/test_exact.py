"""A training that is killed anywhere and run again ends in the same bits as one that is not."""

import errno
import json
import os
import pathlib
import re
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
import resuming
from conftest import REPOSITORY, contents
from durable_checkpoint import (
    CorruptCheckpointError,
    DurableCheckpoint,
    ExactBackupAndRestore,
    ShuffledBatches,
    verify,
)

RESUMING = pathlib.Path(resuming.__file__)
KILLS = 30


def in_a_process(*arguments):
    run = subprocess.run(
        [sys.executable, RESUMING, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The training that nothing interrupts."""
    return resuming.train(tmp_path_factory.mktemp("whole"))


class Interrupt(keras.callbacks.Callback):
    """Ends a training by an exception before a certain batch, when all backups are complete."""

    def __init__(self, backup, before):
        super().__init__()
        self.backup, self.before, self.trained = backup, before, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.trained == self.before:
            self.backup._collect(waiting_for_at_most=0)
            raise InterruptedError

    def on_train_batch_end(self, batch, logs=None):
        self.trained += 1


def interrupt(folder, before, **arguments):
    with pytest.raises(InterruptedError):
        resuming.train(folder, watch=lambda backup: Interrupt(backup, before), **arguments)


# ------------------------------------------------------------------ killed


def test_killed_at_every_batch_boundary_it_ends_in_the_same_bits(tmp_path):
    found = in_a_process("boundaries", tmp_path)
    whole = found["whole"]
    assert found["batches"] == resuming.BATCHES * len(whole["epochs"]) == 20
    assert [run["before"] for run in found["runs"]] == list(range(found["batches"]))
    for run in found["runs"]:
        assert run["status"] == -signal.SIGKILL
        assert run["trained"] == run["before"]
        assert run["trained_again"] == found["batches"] - run["before"], "a batch trained twice"
        assert run["result"] == whole


def test_killed_in_mid_save_again_and_again_it_ends_in_the_same_bits(tmp_path):
    found = in_a_process("saves", tmp_path, KILLS, resuming.SEED)
    assert found["errors"] == []
    assert found["kills"] >= KILLS
    assert found["while_saving"] >= KILLS / 3
    assert found["while_being_renamed"] >= KILLS / 10
    assert found["most_in_a_row"] >= 2, "no resumed run was killed again"
    assert len(found["results"]) >= 3
    assert all(result == found["whole"] for result in found["results"])


def test_no_backup_is_there_before_the_checkpoint_whose_value_it_knows(tmp_path, monkeypatch):
    """Killed in between, the best model would be lost: its value counts as saved, and is not."""
    write, publish = durable_checkpoint.files.write_and_compare, durable_checkpoint.files.publish
    published = []

    def slow_disk_for_checkpoints(temporary, members):
        time.sleep(0.5 if "best.weights" in temporary else 0)
        return write(temporary, members)

    def noted(temporary, path, record, tag):
        publish(temporary, path, record, tag)
        published.append((pathlib.Path(path).name.split(".")[0], record["epoch"]))

    monkeypatch.setattr(durable_checkpoint.files, "write_and_compare", slow_disk_for_checkpoints)
    monkeypatch.setattr(durable_checkpoint.files, "publish", noted)
    resuming.train(tmp_path)
    for place, (name, epoch) in enumerate(published):
        if name == "best":
            before = [of for which, of in published[:place] if which.startswith("backup")]
            assert before and max(before) == epoch
    assert sum(name == "best" for name, _ in published) >= 2


def test_the_training_has_all_that_draws_and_counts(whole):
    """Otherwise the tests above would compare less than they seem to."""
    history = whole["history"]
    for name in ("python", "numpy", "keras", "batches", "mean loss", "learning_rate", "loss"):
        assert len(set(history[name])) == len(whole["epochs"]) or name == "learning_rate"
    assert len(set(history["learning_rate"])) >= 2, "ReduceLROnPlateau had nothing to do"
    assert history["batches"] == [5, 10, 15, 20]
    assert whole["left"] == [] and whole["backup_is_gone"] and whole["sticky_epoch"] is None


@pytest.mark.parametrize("save_freq", ["epoch", 3, 7])
def test_backups_of_other_moments(tmp_path, whole, save_freq):
    interrupt(tmp_path, before=9, save_freq=save_freq)
    assert resuming.train(tmp_path, save_freq=save_freq) == whole


def test_steps_per_execution(tmp_path, monkeypatch):
    new_model = resuming.new_model

    def several_steps(width=16):
        model = new_model(width)
        model.compile(
            "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=2
        )
        return model

    monkeypatch.setattr(resuming, "new_model", several_steps)
    whole = resuming.train(tmp_path)
    interrupt(tmp_path, before=4)
    assert resuming.train(tmp_path) == whole


def test_without_validation_and_in_the_foreground(tmp_path):
    def train(initial=None):
        keras.utils.set_random_seed(1)
        x, y, _, _ = resuming.mnist()
        batches = ShuffledBatches(x, y, 32, 1)
        model = resuming.new_model()
        backup = ExactBackupAndRestore(
            tmp_path / "backup", save_freq=2, track=[batches], background=False
        )
        callbacks = [backup, initial(backup)] if initial else [backup]
        history = model.fit(batches, shuffle=False, epochs=3, verbose=0, callbacks=callbacks)
        return resuming.digest_of(model), history.history, history.epoch

    whole = train()
    with pytest.raises(InterruptedError):
        train(lambda backup: Interrupt(backup, 9))
    assert train() == whole


# ------------------------------------------------------------------ damage


def damaged(content, how):
    if how == "empty":
        return b""
    if how == "cut":
        return content[: len(content) // 2]
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def backed_up(folder):
    """What lies in the folder of the backups, by name, but for the lock."""
    names = contents(folder / "backup")
    return {name: content for name, content in names.items() if not name.endswith(".lock")}


def generations(folder):
    """The two files of a backup, the newer one first."""
    paths = list((folder / "backup").glob("backup-?.npz"))
    number = {
        path: json.loads(pathlib.Path(f"{path}.json").read_text())["number"] for path in paths
    }
    return sorted(paths, key=number.get, reverse=True)


@pytest.mark.parametrize("beside", ["", ".sha256", ".json"])
@pytest.mark.parametrize("how", ["empty", "cut", "flipped"])
def test_a_damaged_file_of_the_newest_generation(tmp_path, whole, capfd, how, beside):
    interrupt(tmp_path, before=8)
    newest, older = generations(tmp_path)
    path = pathlib.Path(f"{newest}{beside}")
    path.write_bytes(damaged(path.read_bytes(), how))
    capfd.readouterr()
    assert resuming.train(tmp_path) == whole
    lines = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line]
    if beside:
        assert lines == [], "one of two checksums is enough"
    else:
        assert len(lines) == 1
        assert str(newest) in lines[0] and f"going on from {older}, at epoch 2, batch 3" in lines[0]


def test_no_changed_byte_goes_unnoticed(tmp_path):
    """Zip's own sums do not cover names and headers."""
    interrupt(tmp_path, before=8)
    newest, _ = generations(tmp_path)
    content = newest.read_bytes()
    durable_checkpoint.backup_file.Backup(newest)
    chance = np.random.default_rng(1)
    places = [*chance.integers(0, len(content), 150), *range(60), *range(-60, 0)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << int(chance.integers(8))
        newest.write_bytes(changed)
        with pytest.raises(CorruptCheckpointError):
            durable_checkpoint.backup_file.Backup(newest)


def test_without_any_checksum_it_falls_back(tmp_path, whole, capfd):
    interrupt(tmp_path, before=8)
    newest, _ = generations(tmp_path)
    for beside in (".sha256", ".json"):
        pathlib.Path(f"{newest}{beside}").unlink()
    assert resuming.train(tmp_path) == whole
    assert "there is no checksum of it" in capfd.readouterr().err


def test_if_both_are_damaged_nothing_is_trained_and_nothing_lost(tmp_path):
    interrupt(tmp_path, before=8)
    for path in generations(tmp_path):
        path.write_bytes(damaged(path.read_bytes(), "flipped"))
    before = backed_up(tmp_path)
    with pytest.raises(CorruptCheckpointError, match="no valid backup.*Delete the folder"):
        resuming.train(tmp_path)
    assert backed_up(tmp_path) == before


# ------------------------------------------------------------------ another training


def other_rows(batch_size=resuming.BATCH_SIZE, seed=resuming.SEED, rows=resuming.ROWS):
    x, y, _, _ = resuming.mnist()
    return ShuffledBatches(x[:rows], y[:rows], batch_size, seed)


def other_activation(model):
    return keras.models.clone_model(
        model,
        clone_function=lambda layer: (
            keras.layers.Activation("tanh")
            if isinstance(layer, keras.layers.Activation)
            else layer.__class__.from_config(layer.get_config())
        ),
    )


@pytest.mark.parametrize(
    ("what", "differs"),
    [
        ("width", "its network differs in layer 4"),
        ("activation", "its network differs in layer 6"),
        ("optimizer", "its optimizer differs: class"),
        ("setting of the optimizer", "its optimizer differs: beta_1"),
        ("batch size", "its data differs: batch_size is 32 there and 31 here"),
        ("seed", "its data differs: seed is 7 there and 8 here"),
        ("length", "its data differs: rows is 150 there and 149 here"),
        ("track", "its track differs"),
        ("metric", "variables that it lacks"),
    ],
)
def test_another_training_is_refused(tmp_path, monkeypatch, what, differs):
    interrupt(tmp_path, before=8)
    before = backed_up(tmp_path)
    new_model, arguments = resuming.new_model, {}
    compiled = {"optimizer": "adam", "metrics": ["accuracy"]}
    if what == "width":
        arguments["width"] = 17
    elif what == "batch size":
        arguments["data"] = other_rows(batch_size=31)
    elif what == "seed":
        arguments["data"] = other_rows(seed=8)
    elif what == "length":
        arguments["data"] = other_rows(rows=149)
    elif what == "optimizer":
        compiled["optimizer"] = "sgd"
    elif what == "setting of the optimizer":
        compiled["optimizer"] = keras.optimizers.Adam(beta_1=0.8)
    elif what == "metric":
        compiled["metrics"] = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy()]
    made = []

    def another_model(width=16):
        model = new_model(width)
        if what == "activation":
            model = other_activation(model)
        model.compile(loss="sparse_categorical_crossentropy", **compiled)
        made.append((model, model.get_weights()))
        return model

    monkeypatch.setattr(resuming, "new_model", another_model)
    if what == "track":
        monkeypatch.setattr(
            keras.callbacks,
            "EarlyStopping",
            lambda **_: keras.callbacks.ReduceLROnPlateau(monitor="loss"),
        )
    with pytest.raises(ValueError, match=f"(?i)another training.*{differs}") as refusal:
        resuming.train(tmp_path, **arguments)
    assert str(tmp_path / "backup") in str(refusal.value) and "delete" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert backed_up(tmp_path) == before
    model, weights = made[0]
    assert all(np.array_equal(*pair) for pair in zip(weights, model.get_weights(), strict=True))


def test_one_thing_more_in_track_is_refused(tmp_path):
    with pytest.raises(InterruptedError):
        fit_arrays(tmp_path, before=7, save_freq="epoch")
    before = backed_up(tmp_path)
    with pytest.raises(ValueError, match="another training: its track differs"):
        fit_arrays(tmp_path, save_freq="epoch", track=[np.random.default_rng(1)])
    assert backed_up(tmp_path) == before


def test_another_schedule_of_the_learning_rate_is_a_difference():
    def settings(decay):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 3, decay)
        return durable_checkpoint.description.optimizer_settings(keras.optimizers.SGD(schedule))

    assert settings(0.9) == settings(0.9) != settings(0.8)


def test_names_that_keras_makes_up_do_not_count(tmp_path, monkeypatch, whole):
    interrupt(tmp_path, before=8)
    new_model = resuming.new_model

    def the_third():  # its layers are called dense_4 and so on
        return [new_model() for _ in range(3)][-1]

    monkeypatch.setattr(resuming, "new_model", lambda width: the_third())
    again = resuming.train(tmp_path)
    assert again["history"] == whole["history"] and again["epochs"] == whole["epochs"]


def test_another_learning_rate_is_overruled_by_the_backup(tmp_path, monkeypatch, whole):
    interrupt(tmp_path, before=8)
    new_model = resuming.new_model

    def faster(width=16):
        model = new_model(width)
        model.optimizer.learning_rate = 0.5
        return model

    monkeypatch.setattr(resuming, "new_model", faster)
    assert resuming.train(tmp_path) == whole


# ------------------------------------------------------------------ signals


def signalled(tmp_path, condition, numbers=(signal.SIGTERM,), **arguments):
    """Send signals to a run when `condition(run, seconds)` holds. Returns the run, ended."""
    code = f"""
import pathlib, sys
sys.path[:0] = {[str(RESUMING.parent), str(REPOSITORY / "beyond")]}
import keras, resuming
class Say(keras.callbacks.Callback):
    def __init__(self, backup):
        super().__init__()
        self.set_params({{}})
    def on_train_begin(self, logs=None):
        print("begins", flush=True)
        if {arguments.get("wait", 0)}:
            import time; time.sleep(2)
    def on_train_batch_end(self, batch, logs=None):
        print("batch", flush=True)
        import time; time.sleep({arguments.get("batch_seconds", 0.02)})
    def on_test_batch_begin(self, batch, logs=None):
        import time; time.sleep(0.05)
        print("test", flush=True)
folder = pathlib.Path({str(tmp_path)!r})
print(resuming.train(folder, {arguments.get("save_freq", 1)!r}, watch=Say)["digest"], flush=True)
"""
    heard, said = [], tmp_path / "stderr"
    with said.open("w") as file:
        run = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=file, text=True
        )
    too_late = threading.Timer(150, run.kill)
    too_late.start()
    for line in run.stdout:  # to the end: `communicate` would not give what was read ahead
        heard += line.split()
        if numbers and condition(heard):
            for number in numbers:
                run.send_signal(number)
                time.sleep(0.3)  # two at once would arrive as one
            numbers = ()
    run.wait()
    too_late.cancel()
    return run.returncode, heard, said.read_text()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_in_the_middle_of_training(tmp_path, whole, number, status):
    # With backups between epochs only, the one in mid-epoch is due to the signal alone.
    returned, heard, errors = signalled(
        tmp_path, lambda h: h.count("batch") == 7, [number], save_freq="epoch"
    )
    assert returned == status, errors
    trained = heard.count("batch")
    assert 7 <= trained <= 9
    epoch, batch = divmod(trained, resuming.BATCHES)
    assert f"backed up at epoch {epoch + 1}, batch {batch + 1}" in errors
    assert "Traceback" not in errors
    assert [line.split(":")[0] for line in errors.splitlines() if "finishing" in line] == [
        signal.Signals(number).name
    ]
    assert resuming.train(tmp_path, save_freq="epoch") == whole


@pytest.mark.parametrize("moment", ["before the first batch", "validation", "last epoch"])
def test_a_signal_at_another_moment(tmp_path, whole, moment):
    condition, wait = {
        "before the first batch": (lambda heard: heard[-1] == "begins", 1),
        "validation": (lambda heard: heard[-1] == "test", 0),
        "last epoch": (lambda h: h[-1] == "test" and h.count("batch") == 20, 0),
    }[moment]
    status, heard, errors = signalled(tmp_path, condition, wait=wait)
    assert status == 143, errors
    assert (
        heard.count("batch")
        == {"before the first batch": 0, "validation": 5, "last epoch": 20}[moment]
    )
    assert resuming.train(tmp_path) == whole


def test_a_signal_during_a_save_waits_for_it(tmp_path, whole):
    def saving(heard):
        return any(".saving0." in path.name for path in tmp_path.glob("backup/.*"))

    status, _, errors = signalled(tmp_path, saving)
    assert status == 143, errors
    left = [path.name for path in (tmp_path / "backup").iterdir()]
    assert not any("saving" in name or "pending" in name for name in left)
    assert resuming.train(tmp_path) == whole


@pytest.fixture
def ctrl_c_as_usual():
    """Whoever starts the tests in the background, by nohup, has Ctrl-C ignored in them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_ends_at_once(tmp_path, whole, ctrl_c_as_usual):
    status, _, errors = signalled(
        tmp_path, lambda h: h.count("batch") == 2, [signal.SIGINT, signal.SIGINT], batch_seconds=1
    )
    assert status in (-signal.SIGINT, 1, 130) and "KeyboardInterrupt" in errors, errors
    assert resuming.train(tmp_path) == whole


def test_a_fit_that_failed_leaves_no_signal_behind(tmp_path, ctrl_c_as_usual):
    interrupt(tmp_path, before=3)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    interrupt(tmp_path, before=0)
    before = signal.getsignal(signal.SIGTERM)
    assert getattr(before, "__self__", None) is not None
    resuming.train(tmp_path)


def test_after_training_the_signals_are_what_they_were(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    resuming.train(tmp_path)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


# ------------------------------------------------------------------ data without a position


def fit_arrays(folder, before=None, save_freq=2, epochs=4, **arguments):
    keras.utils.set_random_seed(3)
    x, y, _, _ = resuming.mnist()
    model = resuming.new_model()
    backup = ExactBackupAndRestore(folder / "backup", save_freq=save_freq, **arguments)
    callbacks = [backup]
    if before is not None:
        callbacks.append(Interrupt(backup, before))
    history = model.fit(x, y, batch_size=32, epochs=epochs, verbose=0, callbacks=callbacks)
    return resuming.digest_of(model), history.history, int(model.optimizer.iterations)


def test_arrays_go_on_from_the_beginning_of_the_epoch_and_it_is_said_once(tmp_path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        whole = fit_arrays(tmp_path)
    said = [str(warning.message) for warning in said if "ShuffledBatches" in str(warning.message)]
    assert len(said) == 1 and str(tmp_path / "backup") in said[0]
    assert whole[2] == 20
    for before in (3, 5, 12):
        with pytest.raises(InterruptedError), pytest.warns(match="ShuffledBatches"):
            fit_arrays(tmp_path, before)
        with pytest.warns(match="ShuffledBatches"):
            assert fit_arrays(tmp_path) == whole, before


def test_arrays_are_backed_up_between_all_epochs(tmp_path):
    """In mid-epoch a signal finds no other moment to go back to than its beginning."""
    with pytest.raises(InterruptedError), pytest.warns(match="ShuffledBatches"):
        fit_arrays(tmp_path, before=12, save_freq=1000)
    newest, older = generations(tmp_path)
    epochs = [json.loads(pathlib.Path(f"{p}.json").read_text())["epoch"] for p in (newest, older)]
    assert epochs == [3, 2]


def test_another_order_than_the_tracked_one_is_refused(tmp_path):
    x, y, _, _ = resuming.mnist()
    tracked = ShuffledBatches(x, y, 32, 1)
    with pytest.raises(ValueError, match="is not what fit trains on"):
        fit_arrays(tmp_path, track=[tracked])
    with pytest.raises(ValueError, match="fit trains on 5 batches.*has 10"):
        fit_arrays(tmp_path, track=[ShuffledBatches(x, y, 15, 1)])


# ------------------------------------------------------------------ the callback as such


def test_a_later_fit_begins_where_it_is_told_to(tmp_path):
    """Stock BackupAndRestore leaves its epoch on the model: the next fit trains nothing."""
    with pytest.raises(InterruptedError), pytest.warns(match="ShuffledBatches"):
        fit_arrays(tmp_path, before=12)
    model = resuming.new_model()
    x, y, _, _ = resuming.mnist()
    backup = ExactBackupAndRestore(tmp_path / "backup")
    assert model.fit(x, y, epochs=4, verbose=0, callbacks=[backup]).epoch == [0, 1, 2, 3]
    assert model.fit(x, y, epochs=1, verbose=0).epoch == [0]
    assert model.fit(x, y, epochs=2, initial_epoch=1, verbose=0).epoch == [1]


def test_a_later_fit_begins_at_the_start_even_if_the_resumed_one_failed(tmp_path):
    def fit(model, before):
        x, y, _, _ = resuming.mnist()
        backup = ExactBackupAndRestore(tmp_path / "backup")
        callbacks = [backup, Interrupt(backup, before)]
        with pytest.raises(InterruptedError):
            model.fit(x, y, batch_size=32, epochs=4, verbose=0, callbacks=callbacks)

    fit(resuming.new_model(), before=12)
    model = resuming.new_model()
    fit(model, before=2)
    x, y, _, _ = resuming.mnist()
    assert model.fit(x, y, epochs=1, verbose=0).epoch == [0]


def test_a_kept_backup_of_an_ended_training_trains_nothing_again(tmp_path):
    whole = fit_arrays(tmp_path, save_freq="epoch", delete_checkpoint=False)
    again = fit_arrays(tmp_path, save_freq="epoch", delete_checkpoint=False)
    assert again == whole and whole[2] == 20
    longer = fit_arrays(tmp_path, save_freq="epoch", delete_checkpoint=False, epochs=6)
    assert longer[2] == 30 and longer[1]["loss"][:4] == whole[1]["loss"]


def test_fewer_epochs_than_the_backup_has_are_refused(tmp_path):
    with pytest.raises(InterruptedError), pytest.warns(match="ShuffledBatches"):
        fit_arrays(tmp_path, before=17)
    before = backed_up(tmp_path)
    with pytest.raises(ValueError, match="backup of epoch 4, but fit is to end after epoch 3"):
        fit_arrays(tmp_path, save_freq="epoch", epochs=3)
    assert backed_up(tmp_path) == before


def test_attributes_that_no_backup_can_hold_are_named(tmp_path):
    class Remembers(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen, self.began, self.count = {1}, time.localtime(), 0

    with pytest.warns(match="of Remembers no backup can hold seen, began"):
        fit_arrays(tmp_path, save_freq="epoch", epochs=1, track=[Remembers()])


def test_a_tracked_checkpoint_is_told_the_true_number_of_a_batch(tmp_path):
    def train(folder, before=None):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        x, y, _, _ = resuming.mnist()
        batches = ShuffledBatches(x, y, 32, 1)
        path = folder / "files" / "{epoch}-{batch}.weights.h5"
        each = DurableCheckpoint(path, save_weights_only=True, save_freq=3)
        backup = ExactBackupAndRestore(folder / "backup", save_freq=1, track=[batches, each])
        callbacks = [each, backup] + ([Interrupt(backup, before)] if before else [])
        model = resuming.new_model()
        model.fit(batches, shuffle=False, epochs=2, verbose=0, callbacks=callbacks)
        files = contents(folder / "files")
        return {name: digest for name, digest in files.items() if name.endswith(".h5")}

    (tmp_path / "whole").mkdir()
    whole = train(tmp_path / "whole")
    assert len(whole) == 3
    with pytest.raises(InterruptedError):
        train(tmp_path, before=7)
    assert train(tmp_path) == whole


def test_early_stopping_stays_stopped(tmp_path):
    def train():
        keras.utils.set_random_seed(3)
        x, y, _, _ = resuming.mnist()
        model = resuming.new_model()
        stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10)
        backup = ExactBackupAndRestore(tmp_path / "b", delete_checkpoint=False, track=[stop])
        history = model.fit(x, y, epochs=9, verbose=0, callbacks=[stop, backup])
        return resuming.digest_of(model), history.epoch

    whole = train()
    assert len(whole[1]) == 2
    assert train() == whole


class Own:
    """Something of the user's own that has a state."""

    def __init__(self):
        self.state = {"seen": 0, "table": np.zeros(2, "int16"), "name": ("a", None)}

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def test_everything_that_track_takes(tmp_path):
    def train(before=None):
        keras.utils.set_random_seed(3)
        own, generator = Own(), np.random.default_rng(5)
        seeds = keras.random.SeedGenerator(9)
        outside = keras.layers.BatchNormalization()
        outside.build((None, 3))
        drawn = []

        def draw(epoch, logs):
            own.state["seen"] += 1
            own.state["table"] += np.int16(2)
            outside.moving_mean.assign(outside.moving_mean + 1)
            logs["generator"] = float(generator.random())
            logs["seeds"] = float(keras.random.uniform((), seed=seeds))
            logs["own"] = own.state["seen"] + int(own.state["table"][0])
            logs["layer"] = float(keras.ops.sum(outside.moving_mean))
            drawn.append(epoch)

        x, y, _, _ = resuming.mnist()
        model = resuming.new_model()
        backup = ExactBackupAndRestore(tmp_path / "b", track=[own, generator, seeds, outside])
        callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=draw), backup]
        callbacks += [Interrupt(backup, before)] if before else []
        history = model.fit(x, y, batch_size=32, epochs=4, verbose=0, callbacks=callbacks)
        assert own.state["table"].dtype == "int16" and own.state["name"] == ("a", None)
        return history.history, drawn

    whole, _ = train()
    assert whole["own"] == [3, 6, 9, 12] and whole["layer"] == [3, 6, 9, 12]
    with pytest.raises(InterruptedError):
        train(before=11)
    history, drawn = train()
    assert drawn == [2, 3]
    assert history == whole


def test_what_changes_in_place_while_it_is_written_is_backed_up_as_it_was(tmp_path, monkeypatch):
    write = durable_checkpoint.files.write_and_compare
    backups = []

    def later(temporary, members):
        time.sleep(0.3)
        digest = write(temporary, members)
        if ".npz" in temporary:
            with np.load(temporary) as archive:
                backups.append(
                    [
                        archive[name].tolist()
                        for name in archive.files
                        if "array" in name and archive[name].dtype == np.int16
                    ]
                )
        return digest

    monkeypatch.setattr(durable_checkpoint.files, "write_and_compare", later)
    own = Own()

    def change(batch, logs):
        own.state["table"] += np.int16(1)

    x, y, _, _ = resuming.mnist()
    batches = ShuffledBatches(x, y, 32, 1)
    backup = ExactBackupAndRestore(tmp_path / "b", save_freq=1, track=[batches, own])
    changing = keras.callbacks.LambdaCallback(on_train_batch_end=change)
    resuming.new_model().fit(
        batches, shuffle=False, epochs=2, verbose=0, callbacks=[backup, changing]
    )
    tables = [array for arrays in backups for array in arrays if len(array) == 2]
    assert tables == [[batch, batch] for batch in range(10)]


def test_what_cannot_be_tracked_is_refused(tmp_path):
    with pytest.raises(TypeError, match=re.escape("get_state() and set_state(state)")):
        fit_arrays(tmp_path, save_freq="epoch", track=[object()])


def test_an_unbuilt_model_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = ExactBackupAndRestore(tmp_path / "b")
    backup.set_model(model)
    with pytest.raises(ValueError, match="must be built before `fit`"):
        backup.on_train_begin()


@pytest.mark.parametrize("save_freq", [False, True, 0, -1, "batch", 0.5])
def test_a_wrong_save_freq_is_refused(save_freq):
    with pytest.raises(ValueError, match="Invalid value"):
        ExactBackupAndRestore("backup", save_freq=save_freq)


def test_a_backup_of_the_stock_callback_is_not_taken_for_one(tmp_path):
    x, y, _, _ = resuming.mnist()
    model = resuming.new_model()
    stock = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[stock])
    before = contents(tmp_path / "b")
    with pytest.warns(match="which has not all of a training's state"):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[ExactBackupAndRestore(tmp_path / "b")])
    assert contents(tmp_path / "b") == before


# ------------------------------------------------------------------ a disk without room


FULL = """
import os, pathlib, resource, signal, sys
sys.path[:0] = {paths}
import keras, resuming
class Fill(keras.callbacks.Callback):
    def __init__(self, backup):
        super().__init__()
        self.backup, self.trained = backup, 0
    def on_train_batch_end(self, batch, logs=None):
        self.trained += 1
        if self.trained == 8:
            self.backup._collect(waiting_for_at_most=0)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (30000, resource.RLIM_INFINITY))
        if self.trained == {signal_at}:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.trained == {room_at}:
            self.backup._collect(waiting_for_at_most=0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
try:
    print(resuming.train(pathlib.Path({folder!r}), watch=Fill)["digest"])
except OSError as error:
    sys.exit(f"OSError: {{error}}")
"""


def with_a_full_disk(folder, signal_at=0, room_at=0):
    code = FULL.format(
        paths=[str(RESUMING.parent), str(REPOSITORY / "beyond")],
        folder=str(folder),
        signal_at=signal_at,
        room_at=room_at,
    )
    return subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120
    )


def test_a_full_disk_does_not_end_the_training_and_is_said_once(tmp_path, whole):
    run = with_a_full_disk(tmp_path, room_at=12)
    assert run.returncode == 0 and run.stdout.strip() == whole["digest"], run.stderr
    said = re.findall("could not save .*backup-.*npz .*MB free.*Training goes on", run.stderr)
    assert len(said) == 1


def test_asked_to_end_with_a_full_disk_it_says_so_and_the_older_backup_is_there(tmp_path, whole):
    run = with_a_full_disk(tmp_path, signal_at=11)
    assert run.returncode == 1
    assert re.search("OSError: .*could not save .*the file saved before is as it was", run.stderr)
    assert len(generations(tmp_path)) == 2
    assert resuming.train(tmp_path) == whole


def test_after_a_resume_the_numbers_of_the_backups_go_on(tmp_path):
    """Or the next backup would be taken for an older one than that of before."""
    numbers = []
    for epochs in (3, 4, 5):
        batches = numbered()
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        backup = ExactBackupAndRestore(
            tmp_path / "backup", track=[batches], delete_checkpoint=False, background=False
        )
        model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[backup])
        there = [
            json.loads(path.with_suffix(".npz.json").read_text()) for path in generations(tmp_path)
        ]
        numbers += [record["number"] for record in there]
        assert [record["epoch"] for record in there] == [epochs + 1, epochs]
    assert numbers[0::2] == sorted(set(numbers[0::2]))
    assert all(
        newer - older == 1 for newer, older in zip(numbers[0::2], numbers[1::2], strict=True)
    )


# ------------------------------------------------------------------ ShuffledBatches


def rows_of(batches):
    return [batch[0][:, 0].tolist() for batch in (batches[i] for i in range(batches.num_batches))]


def numbered(rows=10, batch_size=4, seed=1):
    x = np.arange(rows, dtype="float32")[:, None]
    return ShuffledBatches(x, x * 2, batch_size, seed)


def test_the_order_depends_on_seed_and_epoch_alone():
    orders = {}
    for seed in (1, 2):
        for epoch in (0, 1, 5):
            batches = numbered(seed=seed)
            batches.start(epoch)
            orders[seed, epoch] = rows_of(batches)
            assert sorted(row for one in orders[seed, epoch] for row in one) == list(range(10))
            assert [len(batch) for batch in orders[seed, epoch]] == [4, 4, 2]
            np.random.seed(3)
            again = numbered(seed=seed)
            again.start(3)
            rows_of(again)
            again.start(epoch, 1)
            assert rows_of(again) == orders[seed, epoch][1:]
    assert len({str(order) for order in orders.values()}) == 6


def seen_by_fit(fit):
    """The rows that a training gets to see, epoch by epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    seen = []

    class Watched(ShuffledBatches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append(batch[0][:, 0].tolist())
            return batch

    batches = Watched(np.arange(10.0)[:, None], np.zeros(10), 4, 1)
    fit(model, batches)
    return seen


def test_passes_are_counted_without_the_callback():
    seen = seen_by_fit(
        lambda model, batches: model.fit(batches, shuffle=False, epochs=3, verbose=0)
    )
    expected = []
    for epoch in range(3):
        batches = numbered()
        batches.start(epoch)
        expected += rows_of(batches)
    assert seen[-9:] == expected


def test_fit_may_not_shuffle_again():
    batches = numbered(rows=40)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(Exception, match=re.escape("call fit(..., shuffle=False)")):
        model.fit(batches, epochs=3, verbose=0)


def test_several_inputs():
    x = {"a": np.arange(6), "b": np.arange(6)[:, None] * 10}
    batches = ShuffledBatches(x, (np.arange(6), np.arange(6)), 3, 0)
    (first, (y, z)) = batches[0]
    assert first["b"][:, 0].tolist() == (first["a"] * 10).tolist() == (y * 10).tolist()
    assert (y == z).all()


@pytest.mark.parametrize(
    ("x", "y", "batch_size"),
    [(np.ones(3), np.ones(4), 2), (np.ones(0), np.ones(0), 2), (np.ones(3), np.ones(3), 0)],
)
def test_what_is_no_data_is_refused(x, y, batch_size):
    with pytest.raises(ValueError, match="rows"):
        ShuffledBatches(x, y, batch_size, 1)


def test_stock_fit_on_tensorflow_repeats_its_order_and_jax_does_not():
    """What the docstring says of plain arrays. Should Keras change it, the sentence has to go."""
    keras.utils.set_random_seed(1)
    losses = []

    class Sees(keras.layers.Layer):
        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((1,)), Sees(), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    orders = []
    order = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: losses.clear(),
        on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]),
        on_epoch_end=lambda epoch, logs: orders.append(list(losses)),
    )
    x = np.arange(1, 9, dtype="float32")[:, None]
    model.fit(x, x * 0, batch_size=1, epochs=4, verbose=0, callbacks=[order])
    assert all(len(one) == 8 for one in orders)
    different = len({str(one) for one in orders})
    assert different == (1 if keras.backend.backend() == "tensorflow" else 4)


def test_a_backup_of_other_versions_is_used_and_said(tmp_path, whole, capfd, monkeypatch):
    now = durable_checkpoint.records.versions
    with monkeypatch.context() as before:
        old = now() | {"keras": "3.14.0", "numpy": "1.26.4"}
        before.setattr(durable_checkpoint.records, "versions", lambda: old)
        interrupt(tmp_path, before=8)
    assert resuming.train(tmp_path) == whole
    lines = [line for line in capfd.readouterr().err.splitlines() if "other versions" in line]
    assert len(lines) == 1
    assert f"keras 3.14.0 there, {keras.__version__} here" in lines[0] and "numpy" in lines[0]
    assert "python" not in lines[0]


def test_a_backup_in_an_older_format_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(durable_checkpoint.backup_file, "FORMAT", 1)
        interrupt(tmp_path, before=8)
    held = backed_up(tmp_path)
    with pytest.raises(ValueError, match="another version of durable_checkpoint"):
        resuming.train(tmp_path)
    assert backed_up(tmp_path) == held


def test_the_full_disk_of_a_checkpoint_does_not_stop_the_backups(tmp_path, monkeypatch):
    """And no backup knows of a best value whose file was never saved."""
    publish = durable_checkpoint.files.publish

    def full(temporary, path, record, tag):
        if path.endswith("best.weights.h5"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        publish(temporary, path, record, tag)

    with monkeypatch.context() as now:
        now.setattr(durable_checkpoint.files, "publish", full)
        with pytest.warns(UserWarning, match="could not save .*best.weights.h5"):
            interrupt(tmp_path, before=8)
    newest, _ = generations(tmp_path)
    header = durable_checkpoint.backup_file.Backup(newest).header
    assert (header["epoch"], header["batch"]) == (1, 3)
    states = [dict(state["dict"]) for state in header["track"] if state]
    best = next(state for state in states if "_best_on_disk" in state)
    assert best["best"] is None and best["_best_on_disk"] is None
    resuming.train(tmp_path)
    assert verify(tmp_path / "best.weights.h5") == "checksum"
