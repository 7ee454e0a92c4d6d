"""What an epoch on ShuffledBatches takes beside one on plain arrays, and what a backup holds up.

    KERAS_BACKEND=jax python beyond/benchmarks/shuffled_batches.py [rounds]

Script 04's network and data. In every round one epoch is trained on plain arrays and one on
`ShuffledBatches`, in an order drawn anew; the first epoch of each, which compiles, does not count.
Then an epoch on `ShuffledBatches` is trained with a backup after every 24 batches, in the
background, and one without. A ratio is that of the two epochs of one round.
"""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "beyond"), str(REPOSITORY / "tools")]

import keras
import numpy as np
from durable_checkpoint import ExactBackupAndRestore, ShuffledBatches
from results_table import processor

BACKUP_EVERY = 24


def build_model(steps_per_execution):
    model = keras.Sequential(
        [
            keras.Input(shape=(784,)),
            keras.layers.Dense(800, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        loss="categorical_crossentropy",
        optimizer="adam",
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
        jit_compile=True,
    )
    return model


class EpochSeconds(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.begin


def seconds_of_an_epoch(model, data, *callbacks):
    clock = EpochSeconds()
    model.fit(**data, verbose=0, callbacks=[*callbacks, clock])
    return clock.seconds


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def compare(first, second, rounds, chance):
    """Seconds of both in each round, after one that does not count."""
    ways = {"first": first, "second": second}
    seconds = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way in chance.permutation(list(ways)).tolist():
            seconds[way].append(ways[way]())
    return seconds["first"][1:], seconds["second"][1:]


def main(rounds):
    with np.load(REPOSITORY / "data" / "mnist.npz") as arrays:
        x, y = arrays["x_train"][:48000], arrays["y_train"][:48000]
    x = np.divide(x.reshape(-1, 784), 255, dtype="float32")
    y = keras.utils.to_categorical(y, 10)
    chance = np.random.default_rng(7)
    backend = keras.backend.backend()
    versions = [backend, "numpy"]
    print(f"# ShuffledBatches and backups on {backend}\n")
    print(
        f"{datetime.date.today()}; {processor()}, {os.cpu_count()} cores, {platform.system()}; "
        f"load before the start {os.getloadavg()[0]:.1f}; Keras {keras.__version__}, "
        + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in versions)
        + f", Python {platform.python_version()}; median (least to most) of {rounds} rounds\n"
    )
    print("| batch | steps per execution | arrays, s | ShuffledBatches, s | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for batch_size, steps in ((200, 240), (200, 1), (32, 1)):
        model = build_model(steps)
        batches = {"x": ShuffledBatches(x, y, batch_size, 7), "shuffle": False}
        arrays = {"x": x, "y": y, "batch_size": batch_size}
        plain, shuffled = compare(
            lambda model=model, arrays=arrays: seconds_of_an_epoch(model, arrays),
            lambda model=model, batches=batches: seconds_of_an_epoch(model, batches),
            rounds,
            chance,
        )
        ratios = [b / a for a, b in zip(plain, shuffled, strict=True)]
        print(
            f"| {batch_size} | {steps} | {spread(plain)} | {spread(shuffled)} | {spread(ratios)} |",
            flush=True,
        )
    model = build_model(1)
    data = {"x": ShuffledBatches(x, y, 200, 7), "shuffle": False}
    (REPOSITORY / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backup-", dir=REPOSITORY / "out") as folder:
        backup = ExactBackupAndRestore(folder, save_freq=BACKUP_EVERY, track=[data["x"]])
        without, with_backups = compare(
            lambda: seconds_of_an_epoch(model, data),
            lambda: seconds_of_an_epoch(model, data, backup),
            rounds,
            chance,
        )
    count = 48000 // 200 // BACKUP_EVERY
    each = [1000 * (b - a) / count for a, b in zip(without, with_backups, strict=True)]
    print(f"\nOne backup of {count} in an epoch (7.6 MB), longer by: {spread(each)} ms")
    print(f"Load at the end {os.getloadavg()[0]:.1f}")


main(int(sys.argv[1]) if sys.argv[1:] else 5)
