# %% [markdown]
"""
# 08 · Save the model from overtraining

After this lesson you can keep the best epoch of a training that runs too long, lower the learning
rate on the way, and stop early. A network that trains for too long learns its training rows by
heart and gets worse on all others. This is *overtraining*, and nobody knows beforehand when it
begins. Without the callbacks of this lesson you are left with the last epoch, which is worse
than an earlier one. Rows that had no part in the training tell by how much.

- Run:    `python 08_stop_overtraining.py` (in practice, 25 minutes to read)
- Reads:  `data/auto-mpg.csv`
- Writes: `out/08_stop_overtraining/`: a folder of `.keras` files for each training,
  `validation_error_rises.png`, `result.json`
- From:   the Towards Data Science article on overtraining
- Next:   `09_weights_or_whole_model.py` looks into the files
"""

# %% [markdown]
"""
## Settings and seed

Few cars for training, a large network and many epochs: this overtrains on purpose. The learning
rate says how far one batch may move the weights. A single training proves little, so each
comparison is made for three seeds. `make sweep` runs the script with 20 settings of `SEED`.
"""

# %%
import itertools
import json
import math
import pathlib
import shutil
import statistics
import sys
import time

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
SEEDS = [SEED + 100 * repetition for repetition in range(3)]
EPOCHS = 40
BATCH_SIZE = 2
LEARNING_RATE = 0.002
TRAINING_CARS = 59
VALIDATION_CARS = 78
OUT = pathlib.Path("out/08_stop_overtraining")


# %% [markdown]
"""
## Load the data: Auto MPG

392 cars of the years 1970 to 1982: cylinders, displacement, horsepower, weight, acceleration, year
and origin, and the miles they run on a gallon of petrol. The article names only the source of its
data, the StatLib library of Carnegie Mellon University. This set is from there; the choice is ours.

The file is sorted by year, so the cars are shuffled before they are divided, always in the same
way. 59 cars train and 78 validate: they choose the best epoch. The other 255 are the *test set*,
which is used only at the end. Why three parts? The chosen epoch is the luckiest of 40 on the
validation cars, so its score there is too good. Only cars that had no part in any choice tell what
the model is worth. The columns are standardised with the mean and deviation of the training cars.
"""

# %%
table = np.loadtxt("data/auto-mpg.csv", delimiter=",", dtype=str)
assert table.shape == (392, 9), f"data/auto-mpg.csv has shape {table.shape}"

x, y = table[:, :7].astype("float32"), table[:, 8].astype("float32")
order = np.random.default_rng(0).permutation(len(table))
training, validation, test = np.split(order, [TRAINING_CARS, TRAINING_CARS + VALIDATION_CARS])
x = (x - x[training].mean(axis=0)) / x[training].std(axis=0)
batches_per_epoch = math.ceil(TRAINING_CARS / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: Auto MPG

Two hidden layers of 256 units and one output, the miles per gallon. With 68,000 weights for 59
cars, the network can learn each car by heart. The loss is the mean of the squared errors. There is
no accuracy here: an answer is not right or wrong, but more or less far off.
"""

# %%
model = keras.Sequential(
    [
        keras.Input(shape=(7,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(
    loss="mean_squared_error",
    optimizer=keras.optimizers.Adam(learning_rate=LEARNING_RATE),
    steps_per_execution=batches_per_epoch,
)

# %% [markdown]
"""
## Train: longer than needed, and keep the best

The checkpoint is the article's, with today's file ending. It writes a file for each improvement, so
the last file is the best epoch. `mode="min"` says that a lower loss is better.

`ReduceLROnPlateau` lowers the learning rate. Here it halves it when the validation loss has not
improved for five epochs. Put it into the same list as the checkpoint; each callback remembers its
own best value. The history records the learning rate of each epoch.

One compiled model serves all trainings. Before each training it gets new initial weights from the
seed, and the state of an unused optimizer. (Script 07 says why the model is evaluated first.) Each
training has a folder of its own, because the same file names occur in all of them.
"""

# %%
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

model.optimizer.build(model.trainable_variables)
model.evaluate(x[validation], y[validation], batch_size=VALIDATION_CARS, verbose=0)
optimizer_state = [keras.ops.convert_to_numpy(part) for part in model.optimizer.variables]


def train(name, seed, *other_callbacks):
    keras.utils.set_random_seed(seed)
    model.set_weights(keras.models.clone_model(model).get_weights())
    for variable, value in zip(model.optimizer.variables, optimizer_state):
        variable.assign(value)
    checkpoint = keras.callbacks.ModelCheckpoint(
        filepath=OUT / name / "my_best_model.epoch{epoch:02d}-loss{val_loss:.2f}.keras",
        monitor="val_loss",
        mode="min",
        save_best_only=True,
    )
    begun = time.perf_counter()
    history = model.fit(
        x[training],
        y[training],
        validation_data=(x[validation], y[validation]),
        validation_batch_size=VALIDATION_CARS,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        callbacks=[checkpoint, *other_callbacks],
        verbose=0,
    ).history
    files = {int(path.name[19:21]): path for path in (OUT / name).iterdir()}
    return {
        "history": history,
        "seconds": time.perf_counter() - begun,
        "files": files,
        "best": keras.models.load_model(files[max(files)]),
        "last_weights": model.get_weights(),
    }


constant, reduced = {}, {}
for seed in SEEDS:
    constant[seed] = train(f"constant-{seed}", seed)
    halve_on_plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5)
    reduced[seed] = train(f"reduced-{seed}", seed, halve_on_plateau)

# %% [markdown]
"""
## Train: with a schedule

The article's other way to lower the learning rate is a plan made beforehand. This one takes off a
twentieth in every epoch. A plan needs no validation rows, and a lucky epoch cannot mislead it. But
you must know beforehand how many epochs there will be.
"""

# %%
take_off_a_twentieth = keras.callbacks.LearningRateScheduler(
    lambda epoch, learning_rate: LEARNING_RATE * 0.95**epoch
)
scheduled = train(f"scheduled-{SEED}", SEED, take_off_a_twentieth)

# %% [markdown]
"""
## Train: stop early

`EarlyStopping` ends the training when the validation loss has not improved for ten epochs. This
number is the *patience*. If it is too small, a jump of the curve ends the training too soon. Set
`restore_best_weights=True`, or the model keeps the weights of the last epoch, ten epochs after the
best.

`EarlyStopping` saves time but writes no file: the best weights are in memory and are lost with the
process. Use it together with a checkpoint, as here. With the seed of the first training, it repeats
that training up to the point where it stops.
"""

# %%
stop_early = keras.callbacks.EarlyStopping(
    monitor="val_loss", mode="min", patience=10, restore_best_weights=True
)
stopped = train(f"stopped-{SEED}", SEED, stop_early)
stopped["best_weights"] = stopped.pop("last_weights")

# %% [markdown]
"""
## What overtraining costs

Now the test set is used. The error is the root of the mean squared error, in miles per gallon. For
each seed the script compares the best epoch, loaded from its file, with the last epoch.

How sure is the difference? The script prints its *standard error*: the standard deviation of the
differences (how much they scatter) divided by the root of their number. Trust a mean that is at
least twice its standard error. Three seeds are too few for that. 20 runs of this script on each
backend (`docs/data/sweep.csv`) are enough. There the last epoch was worse than the best by

| learning rate | TensorFlow  | JAX         |
|---------------|-------------|-------------|
| constant      | 0.39 ± 0.05 | 0.22 ± 0.03 |
| falling       | −0.07 ± 0.01 | −0.13 ± 0.01 |

miles per gallon, mean ± standard error. At the constant rate the last epoch is worse: this is what
overtraining costs and what the checkpoint saves. At the falling rate the last epoch is slightly
*better*, although its validation loss is higher. What 78 cars call the best epoch is partly luck.

The second printed table compares the four ways for the first seed. A single run does not show
which way finds the better model. All runs share one division of the cars, so these numbers say
little about other data.
"""


# %%
def test_error(weights):
    model.set_weights(weights)
    answers = keras.ops.convert_to_numpy(model(x[test]))[:, 0]
    return float(np.sqrt(np.mean((answers - y[test]) ** 2)))


test_errors, cost_of_last, standard_error = {}, {}, {}
for name, trainings in (("constant", constant), ("reduced", reduced)):
    best = [test_error(each["best"].get_weights()) for each in trainings.values()]
    last = [test_error(each["last_weights"]) for each in trainings.values()]
    cost = [after - before for before, after in zip(best, last)]
    standard_error[name] = statistics.stdev(cost) / math.sqrt(len(cost))
    test_errors[name] = {"best": best, "last": last}
    cost_of_last[name] = statistics.mean(cost)
    print(f"\nLearning rate {name}: error on the test set, miles per gallon")
    for seed, before, after in zip(SEEDS, best, last):
        print(f"  seed {seed:3d}   best epoch {before:.2f}   last epoch {after:.2f}")
    print(f"  the last is worse by {cost_of_last[name]:.2f} ± {standard_error[name]:.2f}")

print(f"\nSeed {SEED:<8}epochs  seconds  best epoch  validation loss  test error of the best")
for name, each in (
    ("constant", constant[SEED]),
    ("reduced", reduced[SEED]),
    ("scheduled", scheduled),
    ("stopped", stopped),
):
    val_loss = each["history"]["val_loss"]
    print(
        f"{name:12}{len(val_loss):7d}{each['seconds']:9.1f}{max(each['files']):12d}"
        f"{min(val_loss):17.2f}{test_error(each['best'].get_weights()):24.2f}"
    )

# %% [markdown]
"""
## Look: the validation error rises

The upper plot shows the errors in miles per gallon. After the ring the training error goes on
falling, but the validation error does not. With this seed on TensorFlow it rises to the last epoch;
on JAX it goes up and down. The plot ends at the highest validation error.
Orange dots mark the saved epochs. The wide pink line is the validation error with the falling rate.
It equals the blue line until the first step of the learning rate in the lower plot.
"""

# %%
history, calmer = constant[SEED]["history"], reduced[SEED]["history"]
epochs = range(1, EPOCHS + 1)
saved_epochs = sorted(constant[SEED]["files"])
best_epoch = saved_epochs[-1]
errors = {name: np.sqrt(values) for name, values in history.items()}
lowest = min(errors["val_loss"])
figure, (upper, lower) = plt.subplots(
    2, figsize=(8, 6.5), layout="constrained", sharex=True, height_ratios=[3, 1]
)
calmer_label, calmer_error = "validation, falling rate", np.sqrt(calmer["val_loss"])
upper.plot(epochs, calmer_error, color="#CC79A7", lw=5, alpha=0.5, label=calmer_label)
upper.plot(epochs, errors["val_loss"], color="#0072B2", label="validation, constant rate")
upper.plot(epochs, errors["loss"], color="#999999", label="training, constant rate")
saved_errors = [errors["val_loss"][epoch - 1] for epoch in saved_epochs]
upper.plot(saved_epochs, saved_errors, "o", color="#E69F00", label="saved")
best_label = f"best: {lowest:.2f} at epoch {best_epoch}, stop here"
upper.plot(best_epoch, lowest, "o", ms=15, mfc="none", mec="#D55E00", label=best_label)
for axes in (upper, lower):
    axes.axvline(best_epoch, color="#D55E00", linestyle=":")
    axes.grid(alpha=0.3, which="both")
lower.step(epochs, calmer["learning_rate"], where="mid", color="#CC79A7", lw=3)
change = f"{lowest:.2f} at epoch {best_epoch}, {errors['val_loss'][-1]:.2f} at epoch {EPOCHS}"
upper.set_title(f"Auto MPG: validation error {change}")
upper.set(ylabel="root of mean squared error (mpg)", ylim=(0, 1.05 * max(errors["val_loss"])))
lower.set(xlabel="epoch", ylabel="falling rate", yscale="log")
upper.legend(loc="upper right")
figure.savefig(OUT / "validation_error_rises.png", dpi=150)

# %% [markdown]
"""
## Check

These hold on every machine. In every training the files are the strict improvements of the
validation loss, and each name states it. The model loaded from the last file has the lowest loss,
to the last digit. The three seeds gave three different trainings.

The training that stopped early ran exactly as the one that did not. The weights it restored are
those of its best file, bit for bit. (Only the file also has the optimizer state of that epoch.)
The falling rate is halved each time, the scheduled one follows the plan, and the weights that were
compared as the last are those of the last epoch.
"""

# %%
for each in (*constant.values(), *reduced.values(), scheduled, stopped):
    val_loss = each["history"]["val_loss"]
    improved_epochs = [
        epoch
        for epoch in range(1, len(val_loss) + 1)
        if val_loss[epoch - 1] < min(val_loss[: epoch - 1], default=math.inf)
    ]
    assert sorted(each["files"]) == improved_epochs
    for epoch, path in each["files"].items():
        assert path.stem == f"my_best_model.epoch{epoch:02d}-loss{val_loss[epoch - 1]:.2f}"
    model.set_weights(each["best"].get_weights())
    loaded_loss = model.evaluate(
        x[validation], y[validation], batch_size=VALIDATION_CARS, verbose=0
    )
    assert loaded_loss == min(val_loss)
    assert int(each["best"].optimizer.iterations) == improved_epochs[-1] * batches_per_epoch
stopped_loss = stopped["history"]["val_loss"]
assert stopped_loss == constant[SEED]["history"]["val_loss"][: len(stopped_loss)]
assert len(stopped_loss) in (max(stopped["files"]) + 10, EPOCHS)
same_epoch = keras.models.load_model(constant[SEED]["files"][max(stopped["files"])])
for restored, saved in zip(stopped["best_weights"], same_epoch.get_weights(), strict=True):
    assert np.array_equal(restored, saved)
for each in (*constant.values(), *reduced.values()):
    model.set_weights(each["last_weights"])
    last_loss = model.evaluate(x[validation], y[validation], batch_size=VALIDATION_CARS, verbose=0)
    assert last_loss == each["history"]["val_loss"][-1]
assert len({tuple(each["history"]["val_loss"]) for each in constant.values()}) == len(SEEDS)
planned = LEARNING_RATE * 0.95 ** np.arange(EPOCHS)
assert np.allclose(scheduled["history"]["learning_rate"], planned)
rates = calmer["learning_rate"]
assert all(after in (before, before / 2) for before, after in itertools.pairwise(rates))
assert rates[-1] < rates[0]

# %% [markdown]
"""
## Result

`make all` puts these numbers into its table.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "test error of the best epoch (mpg)",
    "documented": None,
    "reproduced": statistics.mean(test_errors["reduced"]["best"]),
    "best_epoch": max(reduced[SEED]["files"]),
    "saved_epochs": sorted(reduced[SEED]["files"]),
    "val_loss": {
        "constant": constant[SEED]["history"]["val_loss"],
        "reduced": reduced[SEED]["history"]["val_loss"],
        "scheduled": scheduled["history"]["val_loss"],
        "stopped": stopped_loss,
    },
    "learning_rate": rates,
    "test_errors": test_errors,
    "cost_of_last": cost_of_last,
    "standard_error": standard_error,
    "files": sorted(str(path.relative_to(OUT)) for path in OUT.glob("*/*")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
