# %% [markdown]
"""
# 10 · Write a callback: keep the newest and the best

`ModelCheckpoint` never deletes: one name keeps one file, changing names keep every file ever
written. What one mostly wants lies between: the newest few, to resume from, and the best few, to
choose from, while the rest is deleted before the disk is full. Keras has no option for it. Document
5 says that one can write a callback of one's own; this is one, of some thirty lines, and they show
what to take care of when files are deleted: a callback that deletes can do more harm than one that
does nothing.

- Run:    `python 10_custom_callback.py`
- Reads:  `data/auto-mpg.csv`
- Writes: `out/10_custom_callback/`: the `.keras` files that are kept, `learning_curve.png`,
  `result.json`
- From:   document 5
- Next:   `README.md`, for the table of all results
"""

# %% [markdown]
"""
## Settings and seed

The training is the first 30 epochs of script 08 with its constant learning rate, whose validation
loss does not simply fall. Of 30 files five at the most may stay; have room for a sixth, which is
there for the moment between writing and deleting.
"""

# %%
import json
import math
import pathlib
import shutil
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 30
BATCH_SIZE = 2
LEARNING_RATE = 0.002
TRAINING_CARS = 59
VALIDATION_CARS = 78
KEEP_NEWEST = 2
KEEP_BEST = 3
OUT = pathlib.Path("out/10_custom_callback")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Auto MPG

392 cars of the years 1970 to 1982: cylinders, displacement, horsepower, weight, acceleration, year
and origin, and the miles they run on a gallon of petrol. 59 of them train and 78 validate; the test
cars have no part here, since nothing is claimed about new ones.
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

The network of script 08: two hidden layers of 256 units and one output, the miles per gallon. A
file of it takes 0.84 MB, so the 30 epochs would leave 25 MB. That is nothing; with a network of a
billion weights, at 12 GB a file, it is the difference between 60 GB and 360.
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
## The callback

A subclass of `keras.callbacks.Callback`. `fit` gives it the model as `self.model`, and calls its
methods at their time: `on_train_begin` once, `on_epoch_begin` and `on_epoch_end` for each epoch,
`on_train_batch_end` after each batch, `on_train_end` last. One overrides those that one needs. The
epoch is counted from 0, and the log holds the numbers that the history collects. An exception that
a callback raises ends the training, so it should not be raised lightly, and never before the model
is safe.

What matters here is the order and what is *not* deleted:

- First the new file is written, under another name, and renamed when it is complete. Only then may
  an old one go. Whatever happens in between, an error, a full disk, a kill, the files of before are
  still there; at worst one named `unfinished.keras` lies beside them, and the next save overwrites
  it.
- Only files that this training has written are deleted, and none is overwritten: where a file of an
  earlier training has the name that is needed, the callback stops, and leaves the new model under
  the other name. Move the old file away, or choose another folder. So every restart may leave five
  files more behind.
- A score that is not a number is neither better nor worse than any other. Such a file may be among
  the newest, but never among the best. With `sorted` alone a NaN (not a number, what a loss becomes
  that has grown beyond all bounds) would land anywhere, since every comparison with it is false,
  and could push a good file out. And `keep_newest` is 1 at least, so that the folder is never
  empty.
- A misspelt monitor is an error, raised after the first epoch has been saved.

On a mounted Google Drive deleted files go to the bin, and count until it is emptied.
"""


# %%
class KeepNewestAndBest(keras.callbacks.Callback):
    def __init__(self, folder, monitor, mode, keep_newest, keep_best):
        super().__init__()
        if mode not in ("min", "max") or keep_newest < 1 or keep_best < 0:
            raise ValueError("mode is 'min' or 'max', keep_newest 1 at least, keep_best 0 at least")
        self.folder = pathlib.Path(folder)
        self.monitor = monitor
        self.sign = 1 if mode == "min" else -1
        self.keep_newest = keep_newest
        self.keep_best = keep_best
        self.scores = {}

    def on_train_begin(self, logs=None):
        self.scores = {}

    def on_epoch_end(self, epoch, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"model-{epoch + 1:03d}.keras"
        unfinished = self.folder / "unfinished.keras"
        self.model.save(unfinished)
        if path.exists():
            raise FileExistsError(
                f"{path} is of an earlier training; the new model is {unfinished}"
            )
        unfinished.replace(path)
        if self.monitor not in logs:
            raise ValueError(f"{self.monitor!r} is not among {sorted(logs)}")
        self.scores[path] = self.sign * logs[self.monitor]

        newest = list(self.scores)[-self.keep_newest :]
        comparable = [path for path in self.scores if not math.isnan(self.scores[path])]
        best = sorted(comparable, key=self.scores.get)[: self.keep_best]
        for path in self.scores.keys() - {*newest, *best}:
            path.unlink(missing_ok=True)
            del self.scores[path]


# %% [markdown]
"""
## Train: with the callback

It stands in the list like any other. A second one, made of a function by `LambdaCallback`, lists
the folder after every epoch. Callbacks are called in the order of the list, so that it sees what
the first has left.

In the printed list, follow one epoch: it comes in as the newest, stays for two epochs in any case,
and then only for as long as fewer than three others are better. How many to keep is a matter of
room: two of the newest, so that one is left if the last is damaged; three of the best, because the
choice among epochs is uncertain, as script 08 shows.
"""

# %%
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

keep = KeepNewestAndBest(OUT, "val_loss", "min", KEEP_NEWEST, KEEP_BEST)
listings = []
list_folder = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: listings.append(
        sorted(int(path.stem.removeprefix("model-")) for path in OUT.glob("*.keras"))
    )
)
history = model.fit(
    x[training],
    y[training],
    validation_data=(x[validation], y[validation]),
    validation_batch_size=VALIDATION_CARS,
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[keep, list_folder],
    verbose=0,
)
val_loss = history.history["val_loss"]
for epoch, listing in enumerate(listings, 1):
    print(f"epoch {epoch:2d}  validation loss {val_loss[epoch - 1]:7.2f}  on disk {listing}")

# %% [markdown]
"""
## Look: the life of each file

Above, the score of each epoch. Below, a line for each file, from the epoch that wrote it to the
last one after which it was still there. The short lines were merely new; the long ones were good,
some of them until better ones came; those with a ring are there in the end. At no time are there
more than five, and at no time is the best so far missing.
"""

# %%
epochs = range(1, EPOCHS + 1)
best_epoch = 1 + int(np.argmin(val_loss))
figure, (upper, lower) = plt.subplots(2, figsize=(8, 7.5), layout="constrained", sharex=True)
upper.plot(epochs, val_loss, color="#0072B2", label="validation")
best_label = f"best: {min(val_loss):.2f} at epoch {best_epoch}"
upper.plot(best_epoch, min(val_loss), "o", ms=15, mfc="none", mec="#D55E00", label=best_label)
for saved_epoch in epochs:
    life = [epoch for epoch in epochs if saved_epoch in listings[epoch - 1]]
    lower.plot([life[0], life[-1]], [saved_epoch, saved_epoch], ".-", color="#E69F00")
lower.plot([], [], ".-", color="#E69F00", label="file on disk")
lower.plot(
    [EPOCHS] * len(listings[-1]),
    listings[-1],
    "o",
    ms=10,
    mfc="none",
    mec="#D55E00",
    label="kept in the end",
)
upper.set_title(f"Auto MPG: {len(listings[-1])} of {EPOCHS} files are kept")
upper.set(ylabel="mean squared error (mpg²)")
lower.set(xlabel="epoch", ylabel="file of epoch")
upper.legend(loc="upper right")
lower.legend(loc="upper left")
upper.grid(alpha=0.3)
lower.grid(alpha=0.3)
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

After every epoch the folder held the two newest and the three best so far, and nothing else, the
best epoch always among them. Of those that are left, each holds the model of its epoch: it scores
to the last digit what was recorded. What the training above cannot show, such as a score that is
not a number, a disk that is full, or a file of an earlier training in the way, the repository's
tests try on the same class (`tests/test_custom_callback.py`).
"""

# %%
for epoch, listing in enumerate(listings, 1):
    by_score = sorted(range(1, epoch + 1), key=lambda each: val_loss[each - 1])
    newest = range(max(1, epoch - KEEP_NEWEST + 1), epoch + 1)
    assert listing == sorted({*newest, *by_score[:KEEP_BEST]})
    assert by_score[0] in listing
assert best_epoch in listings[-1]
for epoch in listings[-1]:
    kept = keras.models.load_model(OUT / f"model-{epoch:03d}.keras")
    model.set_weights(kept.get_weights())
    loaded_loss = model.evaluate(
        x[validation], y[validation], batch_size=VALIDATION_CARS, verbose=0
    )
    assert loaded_loss == val_loss[epoch - 1]
    assert int(kept.optimizer.iterations) == epoch * batches_per_epoch

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "files kept at the most",
    "documented": None,
    "reproduced": max(len(listing) for listing in listings),
    "best_epoch": best_epoch,
    "val_loss": val_loss,
    "listings": listings,
    "files": sorted(path.name for path in OUT.glob("*.keras")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
