# %% [markdown]
"""
# 10 · Write a callback: keep the newest and the best

After this lesson you can write a callback of your own. This one keeps the newest few files, to
resume from, and the best few, to choose from, and deletes the rest before the disk is full.
`ModelCheckpoint` never deletes: a fixed name keeps one file, changing names keep every file. The
Towards Data Science article says that you can write your own callback. The lesson also shows what
to take care of, because a callback that deletes the wrong file does more harm than none.

- Run:    `python 10_custom_callback.py` (in practice, 20 minutes to read)
- Reads:  `data/auto-mpg.csv`
- Writes: `out/10_custom_callback/`: the `.keras` files that are kept, `life_of_each_file.png`,
  `result.json`
- From:   the Towards Data Science article on overtraining
- Next:   `beyond/13_background_checkpoint.py` saves while the training goes on
"""

# %% [markdown]
"""
## Settings and seed

The training is the first 30 epochs of script 08 at a constant learning rate. Five of the 30 files
may stay. For a moment there are six, because the new file is written before an old one is deleted.
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
and origin, and the miles they run on a gallon of petrol. 59 of them train and 78 validate. The
other 255 are the test cars of script 08 and are not used here.
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

The network of script 08: two hidden layers of 256 units and one output, the miles per gallon. Each
file takes 0.84 MB, so 30 epochs would leave 25 MB. With a network of a billion weights and 12 GB a
file, keeping five instead of all means 60 GB instead of 360.
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

Write a subclass of `keras.callbacks.Callback`. `fit` sets `self.model` and calls the methods of the
callback: `on_train_begin` once, `on_epoch_begin` and `on_epoch_end` for each epoch,
`on_train_batch_end` after each batch, `on_train_end` last. Override only what you need. `epoch`
counts from 0, and `logs` holds the numbers that go into the history. An exception in a callback
ends the training, so save the model before you raise one.

The order of the steps protects your files:

- **Write first, delete later.** The model is written under another name and renamed when it is
  complete. Only then is an old file deleted. If the save fails or the process is killed, the older
  files are still there, perhaps with an `unfinished.keras` that the next save overwrites.
- **Delete and overwrite only your own files.** If a file of an earlier training has the needed
  name, the callback stops and leaves the new model in `unfinished.keras`. Move the old file away or
  choose another folder. Each restart may leave five extra files.
- **Treat NaN as no score.** NaN (not a number) is what a loss becomes when it grows beyond all
  bounds. Every comparison with NaN is false, so `sorted` could put it anywhere and push a good file
  out. Here such a file can be among the newest, but never among the best.
- **Keep one file at least.** `keep_newest` is 1 or more, so the folder is never empty.
- **Report a misspelt monitor.** It raises an error, after the first epoch has been saved.

On a mounted Google Drive, deleted files go to the bin and take up space until you empty it.
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
                f"{path} belongs to an earlier training; the new model is {unfinished}"
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

Put your callback into the list like any other. `LambdaCallback` makes a callback from a function.
This one lists the folder after every epoch. Callbacks run in the order of the list, so it sees what
the first one has left.

Follow one epoch through the printed list. It comes in as the newest, stays for two epochs, and then
stays only while fewer than three other epochs are better. Two newest files mean that one is left if
the last is damaged. Three best files leave you a choice: script 08 shows that "best" is uncertain.
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

The upper plot shows the score of each epoch. The lower plot has a line for each file: from the
epoch that wrote it to the last epoch after which it was still there. Short lines were only new.
Long lines were among the best until better ones came. Rings mark the files that are left at the
end. There are never more than five files, and the best so far is always one of them.
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
figure.savefig(OUT / "life_of_each_file.png", dpi=150)

# %% [markdown]
"""
## Check

After every epoch the folder held the two newest and the three best files, and no others. Each file
that is left holds the model of its epoch: it scores exactly what was recorded. This training cannot
show a NaN, a full disk or an older file in the way. `tests/test_custom_callback.py` tries those on
the same class.
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

`make all` puts these numbers into its table.
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
