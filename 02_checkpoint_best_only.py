# %% [markdown]
"""
# 02 · Keep only the best model

After this script you can keep the best model so far in one file. Script 01 leaves a file for each
improvement; usually you need only the last one. A fixed file name means one file, overwritten by
each improvement. The price: earlier files are gone, and while the file is being rewritten there is
no good copy at all.

- Run:    `python 02_checkpoint_best_only.py` (first steps, 15 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/02_checkpoint_best_only/`: `weights.best.weights.h5`, the figure `one_file_left.png`,
  `result.json`
- From:   Jason Brownlee's post (Machine Learning Mastery), and *Deep Learning With Python*,
  chapter 14
- Next:   `03_load_checkpoint.py` loads what this one saved
"""

# %% [markdown]
"""
## Settings and seed

The values are the tutorials'. An *epoch* is one pass over all training rows. A *batch* is ten rows;
after each batch the weights are adjusted once. Keras leaves the computing to a *backend*, the
library TensorFlow or JAX. TensorFlow is the default, and the environment variable
`KERAS_BACKEND=jax` selects JAX.

The seed fixes the random initial weights and the order of the rows, so a second run on the same
processor gives the same numbers. With a seed set, TensorFlow shuffles every epoch alike
([pitfall](docs/PITFALLS.md#with-a-seed-set-every-epoch-has-its-rows-in-the-same-order)).
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
DOCUMENTED_VAL_ACCURACY = 0.79528  # the post, epoch 145
OUT = pathlib.Path("out/02_checkpoint_best_only")
FILE = OUT / "weights.best.weights.h5"

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. A model
is judged by rows that it was not trained on, the *validation* rows. `validation_split` sets the
*last* third of the table aside for this, before any shuffling. The same rows are cut out here by
hand, to score saved weights on them later.
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

A unit multiplies its inputs by adjustable numbers, the *weights*, adds one more, the *bias*, and
applies its *activation* function. A layer is a row of units. `kernel_initializer` says how the
weights start: here as random numbers between -0.05 and 0.05. The network has layers of 12, 8 and 1
units. The last one answers with a probability of diabetes.

The *loss* measures how wrong the probabilities are. The *optimizer*, Adam, adjusts the weights
after each batch to lower the loss. Accuracy, the share of correct answers, is a *metric*: Keras
reports it, and does not train for it.
`steps_per_execution` here, `steps_per_epoch` and `validation_batch_size` below save time and change
no bit of the weights and scores.
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

The file name, `FILE` in the settings, is the only change: no epoch and no score in it. Without
`save_best_only=True` the file would end up holding the last model instead of the best, and its name
would not tell you. The log says after each epoch whether the file was replaced.

The best score is kept in the callback's memory, not in the file. A second run does not know it: the
first epoch counts as an improvement and overwrites the file, however good that was. To continue,
pass the old score as `initial_value_threshold`. This script deletes its own folder first; do not
copy that line if your file must survive.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
checkpoint = keras.callbacks.ModelCheckpoint(
    FILE, monitor="val_accuracy", mode="max", save_best_only=True, save_weights_only=True, verbose=1
)
history = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    steps_per_epoch=batches_per_epoch,
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[checkpoint],
    verbose=0,
)

# %% [markdown]
"""
The history holds the score of every epoch, so it shows when Keras saved: whenever the best score so
far *strictly rose*, that is, became larger. An epoch that only equals the best is not saved.
`best_so_far` begins with -1 because the first epoch always counts as a rise.
"""

# %%
val_accuracy = history.history["val_accuracy"]
best_so_far = np.maximum.accumulate([-1, *val_accuracy])
saved_epochs = [int(epoch) for epoch in 1 + np.flatnonzero(np.diff(best_so_far))]
best_epoch, best_val_accuracy = saved_epochs[-1], max(val_accuracy)

# %% [markdown]
"""
## Look: the one file that is left

The curve is the same as in script 01, and so are the epochs with a save. Each save overwrote the
one before it. Only the ringed one, the best, is still on disk.
"""

# %%
epochs = range(1, EPOCHS + 1)
saved_val_accuracy = [val_accuracy[epoch - 1] for epoch in saved_epochs]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(epochs, history.history["accuracy"], color="#999999", label="training")
axes.plot(epochs, val_accuracy, color="#0072B2", label="validation")
axes.plot(saved_epochs[:-1], saved_val_accuracy[:-1], "x", color="#D55E00", label="overwritten")
best_label = f"left on disk: {best_val_accuracy:.4f} at epoch {best_epoch}"
axes.plot(best_epoch, best_val_accuracy, "o", ms=15, mfc="none", mec="#D55E00", label=best_label)
axes.set_title(f"Pima: {len(saved_epochs)} of {EPOCHS} epochs were saved, one file is left")
axes.set(xlabel="epoch", ylabel="accuracy (share of correct answers)")
axes.grid(alpha=0.3)
figure.legend(loc="outside lower center", ncols=4)
figure.savefig(OUT / "one_file_left.png", dpi=150)

# %% [markdown]
"""
## Check

There is one file, and it is from the best epoch: loaded, it scores to the last digit the best value
recorded. The file has the format HDF5, which the package h5py reads. Besides the weights it holds
the *optimizer state*, the numbers that Adam keeps from batch to batch. The first of them counts the
batches trained so far.
"""

# %%
assert list(OUT.glob("*.weights.h5")) == [FILE]
model.load_weights(FILE)
scores = model.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
assert scores["accuracy"] == best_val_accuracy
with h5py.File(FILE) as file:
    assert int(file["optimizer/vars/0"][()]) == best_epoch * batches_per_epoch

# %% [markdown]
"""
## Result

The numbers are stored last: if `result.json` exists, everything above has run.
"""

# %%
result = {"script": OUT.name, "keras": keras.version(), "backend": keras.backend.backend()}
result |= {"quantity": "best validation accuracy", "documented": DOCUMENTED_VAL_ACCURACY}
result |= {"reproduced": best_val_accuracy, "best_epoch": best_epoch, "files": [FILE.name]}
result |= {"saved_epochs": saved_epochs, "val_accuracy": val_accuracy}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"Best validation accuracy: {best_val_accuracy:.5f} at epoch {best_epoch}")
print(f"The post reports:         {DOCUMENTED_VAL_ACCURACY:.5f} at epoch 145")
