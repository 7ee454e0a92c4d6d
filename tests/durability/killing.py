"""Train, save, be killed, look at what is left, go on from there: once round for every kill.

    python tests/durability/killing.py .keras 60 FOLDER

prints what was found as JSON. A parent that has imported Keras and computed nothing forks a child
for each round. The child examines what the killed one left, goes on from its newest model, and
trains by `model.fit` with two callbacks until it is killed as well:

- `best`, one file that only a better model replaces, with `initial_value_threshold="saved"`;
- `newest`, a file for each epoch, of which one is kept.

What a file has to hold can be computed: each epoch adds 1 to every weight, `iterations` counts the
epochs, and the monitored error is a function of the weights that gets worse in every third epoch.
"""

import collections
import contextlib
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import traceback

import on_path  # noqa: F401

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import durable_checkpoint
import keras
import numpy as np
import tensorflow  # Keras imports it in the first fit, on JAX as well

BEST = "best"
NEWEST = "newest-{epoch:06d}"
ROWS = 1 << 18  # of each weight; with Lion's momentum a file takes 4.2 MB
WEIGHTS = 2
KILLS_IN_A_FOLDER = 15
AT_MOST_LOST = 2  # one save being written and one waiting
TEMPORARY = re.compile(r"^\.\w+\.saving\d\.")  # of a checkpoint, not of its checksum
RENAMING = re.compile(r"^\.\w+\.pending\.")
PATIENCE = 120  # seconds until a child that does nothing counts as hung


# ------------------------------------------------------------------ what is trained


def new_model():
    """A network whose weights are all 0, and a linear loss, so that each step adds 1 to each."""
    inputs = keras.Input((ROWS,))
    parts = [
        keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs)
        for _ in range(WEIGHTS)
    ]
    model = keras.Model(inputs, keras.layers.Average()(parts))
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Lion(learning_rate=1.0))
    return model


def error_of(weight):
    """The monitored value: it falls with the weights, but every third epoch is a setback."""
    return 1e6 - weight + 7 * (weight % 3 == 0)


class Monitor(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        weight = keras.ops.convert_to_numpy(self.model.weights[0])[0, 0]
        logs["error"] = error_of(float(weight))


# ------------------------------------------------------------------ the child


def load_by_keras(path):
    """Read the file as anyone would who has Keras and nothing else."""
    if path.suffix == ".keras":
        return keras.models.load_model(path)
    model = new_model()
    model.optimizer.build(model.trainable_variables)
    model.load_weights(path)
    return model


def wrong_with(model, path):
    """What contradicts the record in the file at `path`, of which `model` was loaded."""
    record = durable_checkpoint.read_record(path)
    epoch = record["epoch"]
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    momenta = [keras.ops.convert_to_numpy(momentum) for momentum in model.optimizer.variables[2:]]
    wrong = []
    if len(weights) != WEIGHTS or not all((weight == epoch).all() for weight in weights):
        wrong.append(f"{path.name}: its weights are not those of epoch {epoch}, which it records")
    if len(momenta) != WEIGHTS or not all((momentum == momenta[0]).all() for momentum in momenta):
        wrong.append(f"{path.name}: its momenta are not all of one epoch")
    if int(model.optimizer.iterations) != epoch:
        wrong.append(f"{path.name}: {int(model.optimizer.iterations)} steps, but epoch {epoch}")
    if record["value"] != error_of(epoch):
        wrong.append(f"{path.name}: records {record['value']} instead of {error_of(epoch)}")
    return wrong


def examine(folder, ending):
    """Load whatever lies in the folder, before anything repairs it."""
    found = {"unloadable": [], "wrong": [], "epochs": {}}
    models = {}
    for path in sorted(folder.glob(f"[!.]*{ending}")):
        try:
            durable_checkpoint.verify(path)
            models[path] = load_by_keras(path)
        except Exception as error:  # noqa: BLE001
            found["unloadable"].append(f"{path.name}: {type(error).__name__}: {error}")
            continue
        try:
            found["wrong"] += wrong_with(models[path], path)
            found["epochs"][path.name] = durable_checkpoint.read_record(path)["epoch"]
        except (OSError, durable_checkpoint.CorruptCheckpointError) as error:
            found["wrong"].append(f"{path.name}: no record: {error}")
    newest = None
    try:
        newest = durable_checkpoint.newest_valid(folder, NEWEST + ending)
    except FileNotFoundError:
        pass
    except durable_checkpoint.CorruptCheckpointError as error:
        found["unloadable"].append(str(error))
    best = found["epochs"].get(BEST + ending)
    found["best"] = best and error_of(best)
    found["newest"] = found["epochs"].get(newest.name) if newest else None
    return found, models.get(newest)


class Reporter(keras.callbacks.Callback):
    """Behind the two callbacks: what they repaired, and each epoch whose saves they have begun."""

    def __init__(self, folder, ending, report):
        super().__init__()
        self.folder, self.ending, self.report = folder, ending, report

    def on_train_begin(self, logs=None):
        names = os.listdir(self.folder)
        wrong = [
            f"{name} is still there after the next start"
            for name in names
            if name[0] == "." and not name.endswith(".lock")
        ]
        for name in names:
            if name.endswith(self.ending) and name[0] != ".":
                wrong += [
                    f"{name} has no {beside}"
                    for beside in (f"{name}.sha256", f"{name}.json")
                    if beside not in names
                ]
        wrong += [
            f"{name} is still there, but not the file it belongs to"
            for name in names
            if name.endswith(".json") and name[0] != "." and name[:-5] not in names
        ]
        checksums = [name for name in names if name.endswith(".sha256") and name[0] != "."]
        if checksums:
            check = subprocess.run(
                ["sha256sum", "-c", *checksums],
                check=False,
                cwd=self.folder,
                capture_output=True,
                text=True,
            )
            if check.returncode:
                wrong.append(f"sha256sum -c: {check.stdout}{check.stderr}")
        self.report(begins=True, wrong=wrong)

    def on_epoch_end(self, epoch, logs=None):
        self.report(saving=epoch + 1, error=logs["error"])


def live(folder, ending, pipe):
    """What the child does until it is killed."""

    def report(**what):
        os.write(pipe, (json.dumps(what) + "\n").encode())

    found, model = examine(folder, ending)
    report(found=found)
    weights_only = ending == ".weights.h5"
    callbacks = [
        Monitor(),
        durable_checkpoint.DurableCheckpoint(
            folder / f"{BEST}{ending}",
            monitor="error",
            mode="min",
            save_best_only=True,
            save_weights_only=weights_only,
            initial_value_threshold="saved",
        ),
        durable_checkpoint.DurableCheckpoint(
            folder / f"{NEWEST}{ending}",
            monitor="error",
            mode="min",
            save_weights_only=weights_only,
            keep_last=1,
        ),
        Reporter(folder, ending, report),
    ]
    data = (
        np.full((1, ROWS), 1 / ROWS, dtype="float32"),
        np.full((1, 1), 1e6, dtype="float32"),
    )
    # So that an epoch takes less than 10 ms, and there is always a save waiting.
    if keras.backend.backend() == "tensorflow":
        data = (tensorflow.data.Dataset.from_tensors(data).repeat(),)
    (model or new_model()).fit(
        *data,
        steps_per_epoch=1,
        shuffle=False,
        initial_epoch=found["newest"] or 0,
        epochs=10**6,
        callbacks=callbacks,
        verbose=0,
    )


# ------------------------------------------------------------------ the parent


class Child:
    """A forked process that lives in `folder`, and what it has reported."""

    def __init__(self, folder, ending):
        folder.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                os.close(reading)
                live(folder, ending, writing)
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(writing)
        os.set_blocking(reading, False)
        self.pipe = reading
        self.unread = b""
        self.found = None
        self.repaired = None
        self.begun = []

    def listen(self):
        """Take in what the child has reported. False when it is dead."""
        while True:
            try:
                part = os.read(self.pipe, 1 << 16)
            except BlockingIOError:
                return True
            if not part:
                return False
            *lines, self.unread = (self.unread + part).split(b"\n")
            for line in map(json.loads, lines):
                if "found" in line:
                    self.found = line["found"]
                elif "begins" in line:
                    self.repaired = line["wrong"]
                else:
                    self.begun.append(line["saving"])

    def wait_until(self, condition):
        """Watch closely until `condition()` holds."""
        give_up = time.monotonic() + PATIENCE
        while not condition():
            if not self.listen():
                sys.exit("a child ended by itself, see above")
            if time.monotonic() > give_up:
                self.kill()
                sys.exit(f"a child did nothing for {PATIENCE} seconds")
            time.sleep(0.0003)

    def kill(self):
        """Returns when the process is gone."""
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        while self.listen():
            pass
        os.close(self.pipe)


class Watch:
    """Which temporary files of checkpoints are in a folder, and how long they stay."""

    def __init__(self):
        self.durations = {first: collections.deque(maxlen=20) for first in (True, False)}
        self.since = {}

    def look(self, folder, first):
        """The names that have appeared since the last look. `first`: no save has been reported."""
        now = time.monotonic()
        there = {name for name in os.listdir(folder) if TEMPORARY.search(name)}
        for name in self.since.keys() - there:
            self.durations[first].append(now - self.since.pop(name))
        new = there - self.since.keys()
        self.since.update(dict.fromkeys(new, now))
        return new

    def some_delay(self, first):
        """A part of the time for which such files exist; until some were seen, of 0.05 seconds."""
        return random.uniform(0, 0.7) * statistics.median(self.durations[first] or [0.05])


def wait_for_a_moment(child, folder, watch, number):
    """Let the child train until a moment that is worth killing it at.

    Of eight kills one comes at any time, one about when the files are renamed, and six after a
    temporary file has appeared: that of the first save, which stock Keras makes, or a later one.
    """
    child.wait_until(lambda: child.repaired is not None)
    if number % 8 == 0:
        time.sleep(random.uniform(0, 1))
        return
    watch.since.clear()
    saves = random.choice([0, 0, 1, 2, 3, 5])
    child.wait_until(lambda: [watch.look(folder, not child.begun), len(child.begun)][1] >= saves)
    enough = len(child.begun) + 20  # saves without a temporary file: none will come

    def seen(part):
        return len(child.begun) > enough or any(part.search(name) for name in os.listdir(folder))

    if number % 8 == 1:
        child.wait_until(lambda: seen(RENAMING))
        time.sleep(random.uniform(0, 0.003))
        return
    while len(child.begun) <= enough:
        first = not child.begun
        child.wait_until(lambda: watch.look(folder, not child.begun) or len(child.begun) > enough)
        time.sleep(watch.some_delay(first))
        if seen(TEMPORARY):
            return
        child.listen()


def account(total, killed, completed, found):
    """Compare what is `found` after a kill with what was there before and what was begun."""
    begun = killed.begun
    errors = [killed.found["best"] or math.inf]
    for epoch in begun:
        if error_of(epoch) < errors[-1]:
            errors.append(error_of(epoch))
    kept = math.inf if found["best"] is None else found["best"]
    lost_bests = sum(error < kept for error in errors[1:])
    newest = found["newest"] or 0
    lost_newest = max([killed.found["newest"] or 0, *begun]) - newest
    total["most_saves_lost"] = max(total["most_saves_lost"], lost_bests, lost_newest)
    done_best, done_newest = completed
    if kept > min(errors[0], done_best) or lost_bests > AT_MOST_LOST:
        total["lost_bests"].append(
            f"error {kept} is left; completed {done_best}, at the start {errors[0]}, "
            f"begun {errors[1:]}"
        )
    if newest < max(killed.found["newest"] or 0, done_newest) or lost_newest > AT_MOST_LOST:
        total["lost_newest"].append(
            f"epoch {newest} is left; completed {done_newest}, begun {begun}"
        )


def completed_in(folder, ending):
    """The best error and the newest epoch whose record, renamed last, has its final name."""
    best, newest = math.inf, 0
    for name in os.listdir(folder):
        if name.endswith(".json") and not name.startswith("."):
            # A pruned record may be gone between the two lines.
            with contextlib.suppress(FileNotFoundError):
                epoch = json.loads((folder / name).read_bytes())["epoch"]
                if name == f"{BEST}{ending}.json":
                    best = error_of(epoch)
                else:
                    newest = max(newest, epoch)
    return best, newest


def examined(folder, ending, total, killed):
    """The next child, when it has looked at what `killed`, a child and the state then, has left."""
    child = Child(folder, ending)
    child.wait_until(lambda: child.found is not None)
    total["unloadable"] += child.found["unloadable"]
    total["wrong"] += child.found["wrong"]
    if killed:
        account(total, *killed, child.found)
    return child


def run(ending, kills, folder):
    """Kill so many children, and return what was found after them."""
    watch = Watch()
    total = {
        "kills": 0,
        "while_temporary_file_existed": 0,
        "while_being_renamed": 0,
        "unloadable": [],
        "wrong": [],
        "lost_bests": [],
        "lost_newest": [],
        "most_saves_lost": 0,
    }
    while total["kills"] < kills:
        place = pathlib.Path(folder) / f"from-{total['kills']}"
        killed = None
        for _ in range(min(KILLS_IN_A_FOLDER, kills - total["kills"])):
            child = examined(place, ending, total, killed)
            wait_for_a_moment(child, place, watch, total["kills"])
            completed = completed_in(place, ending)
            child.kill()
            total["wrong"] += child.repaired
            total["kills"] += 1
            left = os.listdir(place)
            total["while_temporary_file_existed"] += any(TEMPORARY.search(name) for name in left)
            total["while_being_renamed"] += any(RENAMING.search(name) for name in left)
            killed = child, completed
        examined(place, ending, total, killed).kill()
        shutil.rmtree(place)
    return total


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), sys.argv[3]), indent=1))
