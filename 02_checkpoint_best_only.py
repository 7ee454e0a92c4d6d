# %% [markdown]
"""
# 02 · Keep only the best model

Script 01 leaves a file for each improvement, and mostly one wants the last of them only. With a
fixed file name each improvement overwrites the one before: one file, always the best model so far.
What one pays: the earlier files are gone, and while the file is being rewritten there is no good
copy at all.

- Run:    `python 02_checkpoint_best_only.py`
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/02_checkpoint_best_only/`: `weights.best.weights.h5`, `learning_curve.png`,
  `result.json`
- From:   documents 1 and 2
- Next:   `03_load_checkpoint.py` loads what this one saved
"""

# %% [markdown]
"""
## Settings and seed

Both documents use these values. An *epoch* is one pass over all training rows, a *batch* the ten
rows after which the weights are adjusted once. The seed fixes the random initial weights and the
order of the rows, so that a second run on the same processor repeats the first.
"""

# %%
import json
import math
import pathlib
import shutil

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 150
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
DOCUMENTED_VAL_ACCURACY = 0.79528  # document 2, epoch 145
OUT = pathlib.Path("out/02_checkpoint_best_only")
BEST_FILE = OUT / "weights.best.weights.h5"

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. A model
is judged by rows it was not trained on, the *validation* rows: `validation_split` sets the *last*
third aside, before any shuffling. The same rows are cut out here by hand, to score saved weights on
them later.
"""

# %%
table = np.loadtxt("data/pima-indians-diabetes.csv", delimiter=",")
assert table.shape == (768, 9), f"data/pima-indians-diabetes.csv has shape {table.shape}"

x, y = table[:, :8], table[:, 8]
training_rows = int(len(x) * (1 - VALIDATION_SPLIT))
x_validation, y_validation = x[training_rows:], y[training_rows:]
batches_per_epoch = math.ceil(training_rows / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: Pima

A unit multiplies its inputs by adjustable numbers, the *weights*, and adds one more, the *bias*; a
layer is a row of units. Three layers of 12, 8 and 1 units, the last of which answers with a
probability of diabetes. `fit` trains them, `evaluate` scores them. The *loss* measures how wrong
the probabilities are, and the optimizer Adam lowers it batch by batch. Accuracy, the share of
correct answers, is only watched. `steps_per_execution` runs all batches of an epoch in one go,
without a return to `fit` after each, and `validation_batch_size` below scores all validation rows
at once: the same weights to the last bit, sooner.
"""

# %%
model = keras.Sequential(
    [
        keras.Input(shape=(8,)),
        keras.layers.Dense(12, kernel_initializer="random_uniform", activation="relu"),
        keras.layers.Dense(8, kernel_initializer="random_uniform", activation="relu"),
        keras.layers.Dense(1, kernel_initializer="random_uniform", activation="sigmoid"),
    ]
)
model.compile(
    loss="binary_crossentropy",
    optimizer="adam",
    metrics=["accuracy"],
    steps_per_execution=batches_per_epoch,
)

# %% [markdown]
"""
## Train: keep only the best

The file name is the only change to the callback: no epoch and no score in it. Without
`save_best_only=True` the same name would end up holding the last model instead of the best, and
nothing in the name would tell. The log says for each epoch whether the file was replaced.

The best value lives in the callback, in memory, not in the file. A second run starts without it, so
its first epoch counts as an improvement and would overwrite the file, however good that was. (This
script deletes its own folder first; do not copy that line where a file must survive.) To go on
instead of starting anew, pass the old score as `initial_value_threshold`.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
checkpoint = keras.callbacks.ModelCheckpoint(
    BEST_FILE,
    monitor="val_accuracy",
    mode="max",
    save_best_only=True,
    save_weights_only=True,
    verbose=1,
)
history = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[checkpoint],
    verbose=0,
)

# %% [markdown]
"""
One file cannot tell how often it was written. The history can: a save happened wherever the score
was higher than all before it. An epoch that only equals the best is not saved: the file keeps the
earliest of the best models.
"""

# %%
val_accuracy = history.history["val_accuracy"]
saved_epochs = [
    epoch
    for epoch in range(1, EPOCHS + 1)
    if val_accuracy[epoch - 1] > max(val_accuracy[: epoch - 1], default=-1)
]
best_epoch = saved_epochs[-1]
best_val_accuracy = val_accuracy[best_epoch - 1]

# %% [markdown]
"""
## Look: the saves on the learning curve

The same curve as in script 01, and the same moments. Of all the saves marked here only the ringed
one is left on disk.
"""

# %%
epochs = range(1, EPOCHS + 1)
saved_val_accuracy = [val_accuracy[epoch - 1] for epoch in saved_epochs]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(epochs, history.history["accuracy"], color="#999999", label="training")
axes.plot(epochs, val_accuracy, color="#0072B2", label="validation")
axes.plot(saved_epochs, saved_val_accuracy, "o", color="#E69F00", label="saved")
best_label = f"best: {best_val_accuracy:.4f} at epoch {best_epoch}"
axes.plot(best_epoch, best_val_accuracy, "o", ms=15, mfc="none", mec="#D55E00", label=best_label)
axes.set_title(f"Pima: {len(saved_epochs)} of {EPOCHS} epochs improved and were saved")
axes.set(xlabel="epoch", ylabel="accuracy (share of correct answers)")
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

One file, from the best epoch: loaded, it scores to the last digit the best value recorded. The file
also holds the optimizer's state; its first entry counts the batches trained so far, which gives the
epoch away.
"""

# %%
assert list(OUT.glob("*.weights.h5")) == [BEST_FILE]
model.load_weights(BEST_FILE)
scores = model.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
assert scores["accuracy"] == best_val_accuracy
with h5py.File(BEST_FILE) as file:
    assert int(file["optimizer/vars/0"][()]) == best_epoch * batches_per_epoch

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "best validation accuracy",
    "documented": DOCUMENTED_VAL_ACCURACY,
    "reproduced": best_val_accuracy,
    "best_epoch": best_epoch,
    "saved_epochs": saved_epochs,
    "val_accuracy": val_accuracy,
    "files": [BEST_FILE.name],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"Best validation accuracy: {best_val_accuracy:.5f} at epoch {best_epoch}")
print(f"Document 2 reports:       {DOCUMENTED_VAL_ACCURACY:.5f} at epoch 145")
