"""Train with ExactBackupAndRestore, be killed, run again, and say in which bits it ends.

    python tests/durability/resuming.py boundaries FOLDER       killed at every batch boundary
    python tests/durability/resuming.py saves FOLDER KILLS LOT  killed in the middle of backups

Both print what was found as JSON. A parent that has imported Keras and computed nothing forks a
child for every run. All runs are the same training: three epochs of a small network with all that
draws random numbers or counts, which stops by itself when it has reached its end.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from on_path import REPOSITORY

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On JAX, what one run has compiled serves the next ones.
COMPILED = tempfile.TemporaryDirectory()
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", COMPILED.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import keras
import numpy as np
import tensorflow  # noqa: F401  # Keras imports it in the first fit, on JAX as well
from durable_checkpoint import DurableCheckpoint, ExactBackupAndRestore, ShuffledBatches

SEED = 7
EPOCHS = 4
BATCH_SIZE = 32
ROWS = 150  # the last batch of an epoch is a smaller one
BATCHES = 5
PATIENCE = 120  # seconds until a child that does nothing counts as hung


# ------------------------------------------------------------------ what is trained


def mnist():
    with np.load(REPOSITORY / "data" / "mnist.npz") as arrays:
        x = arrays["x_train"][: 2 * ROWS].reshape(-1, 28, 28, 1).astype("float32") / 255
        y = arrays["y_train"][: 2 * ROWS].astype("int32")
    return x[:ROWS], y[:ROWS], x[ROWS:], y[ROWS:]


def new_model(width=16):
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.GaussianNoise(0.1),
            keras.layers.Flatten(),
            keras.layers.Dense(width),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Jitter(keras.callbacks.Callback):
    """Shows whether Python's, NumPy's and Keras's own random numbers went on, in the history."""

    def on_epoch_end(self, epoch, logs=None):
        logs["python"] = random.random()
        logs["numpy"] = float(np.random.random())
        logs["keras"] = float(keras.random.uniform(()))


class Counter(keras.callbacks.Callback):
    """A learner's own callback: what it counts belongs to the training as well."""

    def __init__(self):
        super().__init__()
        self.batches = 0
        self.losses = np.zeros(2)

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.losses += [logs["loss"], 1]

    def on_epoch_end(self, epoch, logs=None):
        logs["batches"] = self.batches
        logs["mean loss"] = float(self.losses[0] / self.losses[1])


def digest_of(model):
    """SHA-256 over weights, seeds and optimizer."""
    variables = model.variables + model.optimizer.variables
    numbers = [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    return hashlib.sha256(b"".join(numbers)).hexdigest()


def train(folder, save_freq=1, watch=None, width=16, data=None, **arguments):
    """One run of the training, from wherever `folder` says that it stands."""
    keras.utils.clear_session()  # in one process again, it is to be as in a new one
    keras.utils.set_random_seed(SEED)
    x, y, x_validation, y_validation = mnist()
    batches = data or ShuffledBatches(x, y, BATCH_SIZE, SEED)
    model = new_model(width)
    counter = Counter()
    stop = keras.callbacks.EarlyStopping(monitor="accuracy", patience=2, restore_best_weights=True)
    slower = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1, min_delta=1)
    best = DurableCheckpoint(
        folder / "best.weights.h5",
        monitor="val_accuracy",
        save_best_only=True,
        save_weights_only=True,
    )
    backup = ExactBackupAndRestore(
        folder / "backup",
        save_freq=save_freq,
        track=[batches, counter, stop, slower, best],
        **arguments,
    )
    # Tracked callbacks stand before and after the backup.
    callbacks = [counter, Jitter(), slower, backup, stop, best]
    if watch:
        callbacks.append(watch(backup))
    history = model.fit(
        batches,
        shuffle=False,
        epochs=EPOCHS,
        validation_data=(x_validation, y_validation),
        callbacks=callbacks,
        verbose=0,
    )
    return {
        "digest": digest_of(model),
        "history": history.history,
        "epochs": history.epoch,
        "best": hashlib.sha256((folder / "best.weights.h5").read_bytes()).hexdigest(),
        "left": sorted(str(path.relative_to(folder)) for path in folder.rglob(".*")),
        "backup_is_gone": not (folder / "backup").exists(),
        "sticky_epoch": model._initial_epoch,
    }


# ------------------------------------------------------------------ the children


class Run:
    """A forked process that trains in `folder`, and what it has reported."""

    def __init__(self, folder, **arguments):
        reading, writing = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            status = 1
            try:
                os.close(reading)
                signal.signal(signal.SIGINT, signal.default_int_handler)

                def report(**what):
                    os.write(writing, (json.dumps(what) + "\n").encode())

                if "watch" in arguments:
                    watch = arguments.pop("watch")
                    arguments["watch"] = lambda backup: watch(backup, report)
                report(result=train(folder, **arguments))
                status = 0
            except SystemExit as error:
                status = error.code
            except KeyboardInterrupt:
                status = 99
            except BaseException as error:  # noqa: BLE001
                report(error=f"{type(error).__name__}: {error}")
                if not isinstance(error, (ValueError, OSError)):
                    traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(writing)
        self.pipe = reading
        self.batches = 0
        self.result = self.error = self.status = None

    def listen(self):
        """Take in all that the child reports, until it has ended."""
        with os.fdopen(self.pipe, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                what = json.loads(line)
                self.batches += "batch" in what
                self.result = what.get("result", self.result)
                self.error = what.get("error", self.error)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return self

    def kill(self, number=signal.SIGKILL):
        os.kill(self.process, number)


class Report(keras.callbacks.Callback):
    """Says when a batch was trained; and kills its own process before a certain one."""

    def __init__(self, backup, report, kill_before=None, when_backed_up=True):
        super().__init__()
        self.backup, self.report = backup, report
        self.kill_before, self.when_backed_up = kill_before, when_backed_up
        self.trained = 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.trained == self.kill_before:
            if self.when_backed_up:
                self.backup._collect(waiting_for_at_most=0)
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, batch, logs=None):
        self.trained += 1
        self.report(batch=batch)


def fresh(folder, name):
    place = pathlib.Path(folder) / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def at_every_boundary(folder):
    """Killed before each batch, when the backup of that moment is complete; then run again."""
    whole = Run(fresh(folder, "whole"), watch=Report).listen()
    runs = []
    for before in range(whole.batches):
        place = fresh(folder, "killed")

        def watch(backup, report, before=before):
            return Report(backup, report, kill_before=before)

        killed = Run(place, watch=watch).listen()
        again = Run(place, watch=Report).listen()
        runs.append(
            {
                "before": before,
                "status": killed.status,
                "trained": killed.batches,
                "trained_again": again.batches,
                "result": again.result,
            }
        )
    return {"whole": whole.result, "batches": whole.batches, "runs": runs}


def in_mid_save(folder, kills, lot):
    """Killed from outside while a backup is written, again and again, until the training is done.

    Two of three kills come while the new file is being written, one while files are renamed. The
    run that goes on is killed as well, after some backups more. `lot`: a seed for all of that.
    """
    whole = Run(fresh(folder, "whole")).listen()
    total = {"kills": 0, "while_saving": 0, "while_being_renamed": 0, "most_in_a_row": 0}
    total |= {"whole": whole.result, "results": [], "errors": []}
    lot = random.Random(lot)
    while total["kills"] < kills:
        place = fresh(folder, "killed")
        backups = place / "backup"
        in_a_row = 0
        while True:
            run = Run(place)
            if in_a_row < kills and kill_in_a_backup(run, backups, lot):
                names = names_in(backups)
                total["kills"] += 1
                total["while_saving"] += any(".saving0." in name for name in names)
                total["while_being_renamed"] += any(".pending." in name for name in names)
                in_a_row += 1
                continue
            run.listen()
            total["results"].append(run.result)
            if run.error:
                total["errors"].append(run.error)
            break
        total["most_in_a_row"] = max(total["most_in_a_row"], in_a_row)
    return total


def names_in(folder):
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # not there yet, or not any more
        return []


def kill_in_a_backup(run, backups, lot):
    """True if `run` was killed, False if it ended before."""
    wanted = lot.choice([".saving0.", ".saving0.", ".pending."])
    wait_for = lot.randrange(1, 8)
    seen, there = 0, False
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        names = names_in(backups)
        before, there = there, any(wanted in name for name in names)
        seen += there and not before
        if seen >= wait_for and there:
            time.sleep(lot.uniform(0, 0.002))
            run.kill()
            return run.listen().status == -signal.SIGKILL
        if os.waitid(os.P_PID, run.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
        time.sleep(0.0002)
    run.kill()
    sys.exit(f"a child did nothing for {PATIENCE} seconds")


if __name__ == "__main__":
    how, folder, *numbers = sys.argv[1:]
    found = (at_every_boundary if how == "boundaries" else in_mid_save)(folder, *map(int, numbers))
    print(json.dumps(found, indent=1))
