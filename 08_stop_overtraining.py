# %% [markdown]
"""
# 08 · Save the model from overtraining

A network that trains for too long learns its training rows by heart and grows worse on all others:
*overtraining*. Nobody knows beforehand when it begins. Document 5's answer is to train for longer
than needed and let the checkpoint keep the best epoch, together with a callback that lowers the
learning rate when nothing improves any more. The other answer is to stop early. Both are tried
here, and rows that nobody has looked at before tell what they were worth.

- Run:    `python 08_stop_overtraining.py`
- Reads:  `data/auto-mpg.csv`
- Writes: `out/08_stop_overtraining/`: a folder of `.keras` files for each training,
  `learning_curve.png`, `result.json`
- From:   document 5
- Next:   `09_weights_or_whole_model.py` looks into the files
"""

# %% [markdown]
"""
## Settings and seed

Few cars for training, a large network and many epochs: a recipe for overtraining, on purpose. The
learning rate says how far a batch may move the weights. One training proves little, so each
comparison is made for three seeds, and by `make sweep` for sixty on each backend.
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
and origin, and the miles they run on a gallon of petrol. Document 5 names no data but their source,
the StatLib library of Carnegie Mellon University; this set is from there, the choice is ours.

The file is sorted by year, so the cars are shuffled before they are divided, always in the same
way. 59 train, 78 choose the best epoch, and the other 255 are the test set: nothing looks at it
before the end. Why three parts? The validation cars choose among 40 epochs, so the score of the
chosen one flatters it: it is the luckiest of 40. What the model is worth to someone with other
cars, only cars can say that had no part in any choice. The columns are standardised with what the
training cars alone tell.
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

Two hidden layers of 256 units and one output, the miles per gallon. With 68,000 weights for 59 cars
the network could learn each of them by heart. The loss is the mean of the squared errors. An
accuracy does not exist here: an answer is not right or wrong, but more or less far off.
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

The checkpoint is document 5's, with today's ending. It leaves a file for each improvement; the last
of them is the best epoch. `mode="min"`, since a loss should be low.

The same compiled model serves for all trainings: before each it gets new initial weights, drawn
with the seed, and an optimizer that has seen nothing, with its learning rate. (Why it is built and
evaluated first, script 07 says.) The first training below keeps the learning rate, the second
lowers it: `ReduceLROnPlateau` halves it when the validation loss has not improved for five epochs.
Both callbacks stand in the same list, and each keeps its own account of what was best. The history
notes the learning rate of each epoch.

Each training has a folder of its own, named after its way and its seed. The same names of files
occur in all of them, and a folder shared by two trainings could not tell whose they are.
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

The document's other way to lower the learning rate asks nothing of the validation: a plan, made
beforehand. This one takes off a twentieth in every epoch. It needs no validation rows and cannot be
misled by a lucky epoch; but one must know beforehand how many epochs there will be.
"""

# %%
take_off_a_twentieth = keras.callbacks.LearningRateScheduler(
    lambda epoch, learning_rate: LEARNING_RATE * 0.95**epoch
)
scheduled = train(f"scheduled-{SEED}", SEED, take_off_a_twentieth)

# %% [markdown]
"""
## Train: stop early

`EarlyStopping` ends the training when the validation loss has not improved for ten epochs. How long
this *patience* should be, nobody can say in general: with too little of it a jumping curve is taken
for the end, and epochs are left out that would have been worth their time. Without
`restore_best_weights=True` it would leave the model with the weights of that last epoch, ten worse
ones after the best. It saves time, but writes nothing: the best weights lie in memory, and die with
the process. Nothing forbids to use it beside the checkpoint, as here: the one decides when to end,
the other survives. For the seed it shares with the first training it must take the same way, as far
as it goes.
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

Only now the test set is used. The error is the root of the mean squared error, in miles per gallon:
the quantity by which the epochs were chosen, in a unit that one can imagine. For each seed, the
error of the best epoch, loaded from its file, is compared with that of the last epoch.

How sure is the difference? Its mean over the seeds should be at least twice its own uncertainty,
which is the standard deviation divided by the root of the number of seeds. Three seeds are too few
for that; the sixty on each backend in `docs/data/sweep.csv` are not. With the constant rate, the
last epoch is worse than the best, on TensorFlow by 0.39, give or take 0.05, and on JAX by
0.22, give
or take 0.03: that is what overtraining costs, and what the checkpoint saves. With the falling rate,
the last is *better*, on TensorFlow by 0.07, give or take 0.01, and on JAX by 0.13, give or take
0.01, although its validation loss is higher: what 78 cars call the best epoch is partly luck, and
the small steps at the end even out the noise that the choice falls for.

The table after that compares the four ways for the first seed. Stopping early takes fewer epochs
and less time; whether it found the better model is a matter of luck in a single run.

So the checkpoint is an insurance against a training that ends badly, and a falling learning rate
makes that rare. All seeds share the same division of the cars: how much of this holds for other
data, one example cannot say.
"""


# %%
def test_error(weights):
    model.set_weights(weights)
    answers = keras.ops.convert_to_numpy(model(x[test]))[:, 0]
    return float(np.sqrt(np.mean((answers - y[test]) ** 2)))


test_errors, cost_of_last = {}, {}
for name, trainings in (("constant", constant), ("reduced", reduced)):
    best = [test_error(each["best"].get_weights()) for each in trainings.values()]
    last = [test_error(each["last_weights"]) for each in trainings.values()]
    cost = [after - before for before, after in zip(best, last)]
    uncertainty = statistics.stdev(cost) / math.sqrt(len(cost))
    test_errors[name] = {"best": best, "last": last}
    cost_of_last[name] = statistics.mean(cost)
    print(f"\nLearning rate {name}: error on the test set, miles per gallon")
    for seed, before, after in zip(SEEDS, best, last):
        print(f"  seed {seed:3d}   best epoch {before:.2f}   last epoch {after:.2f}")
    print(f"  the last is worse by {cost_of_last[name]:.2f}, give or take {uncertainty:.2f}")

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
## Look: where it should have stopped

Above, the losses with the constant learning rate, and the saves. After the ring the training loss
falls on, but the validation loss does not: it rises, or goes up and down, and where one stops is
where one happens to be. There the training should have stopped. The third line is the validation
loss with the falling rate, the same as the first until the first step below. Each step follows five
epochs without an improvement, and each makes the curve calmer; the little by which it still ends
above its own lowest point did no harm on the test cars.
"""

# %%
history, calmer = constant[SEED]["history"], reduced[SEED]["history"]
epochs = range(1, EPOCHS + 1)
saved_epochs = sorted(constant[SEED]["files"])
best_epoch = saved_epochs[-1]
val_loss = history["val_loss"]
saved_val_loss = [val_loss[epoch - 1] for epoch in saved_epochs]
figure, (upper, lower) = plt.subplots(
    2, figsize=(8, 6.5), layout="constrained", sharex=True, height_ratios=[3, 1]
)
calmer_label = "validation, falling rate"
upper.plot(epochs, calmer["val_loss"], color="#CC79A7", lw=5, alpha=0.5, label=calmer_label)
upper.plot(epochs, history["loss"], color="#999999", label="training, constant rate")
upper.plot(epochs, val_loss, color="#0072B2", label="validation, constant rate")
upper.plot(saved_epochs, saved_val_loss, "o", color="#E69F00", label="saved")
best_label = f"best: {min(val_loss):.2f} at epoch {best_epoch}, stop here"
upper.plot(best_epoch, min(val_loss), "o", ms=15, mfc="none", mec="#D55E00", label=best_label)
upper.axvline(best_epoch, color="#D55E00", linestyle=":")
lower.axvline(best_epoch, color="#D55E00", linestyle=":")
lower.step(epochs, calmer["learning_rate"], where="mid", color="#CC79A7", lw=3)
upper.set_title(f"Auto MPG: {len(saved_epochs)} of {EPOCHS} epochs improved and were saved")
upper.set(ylabel="mean squared error (mpg²)", yscale="log")
lower.set(xlabel="epoch", ylabel="falling rate", yscale="log")
upper.legend(loc="upper right")
upper.grid(alpha=0.3, which="both")
lower.grid(alpha=0.3, which="both")
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

In every training the files are the strict improvements of the validation loss, and each name states
it. The model loaded from the last of them is that of the lowest loss, to the last digit. The
training that was stopped ran exactly as the one that was not, as far as it went, and the weights it
restored are those in the checkpoint of that epoch, bit for bit: two ways to the same weights. (Only
the file has the optimizer of that epoch as well.)

The learning rates of the second training are halves of each other, those of the third follow the
plan, and the weights that were compared as the last are those of the last epoch. These hold on
every machine. Which epoch is best does not.
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
planned = LEARNING_RATE * 0.95 ** np.arange(EPOCHS)
assert np.allclose(scheduled["history"]["learning_rate"], planned)
rates = calmer["learning_rate"]
assert all(after in (before, before / 2) for before, after in itertools.pairwise(rates))
assert rates[-1] < rates[0]

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
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
    "files": sorted(str(path.relative_to(OUT)) for path in OUT.glob("*/*")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
