# %% [markdown]
"""
# 01 · Save the weights whenever the model improves

After this script you can make Keras write the model's weights to disk each time the model gets
better, and keep every file. Training can take hours and end at any moment: the laptop closes, the
cloud machine is taken away, the disk is full. What exists only in memory is then lost. A
*checkpoint* is a copy of the model on disk.

- Run:    `python 01_checkpoint_improvements.py` (first steps, 15 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/01_checkpoint_improvements/`: one `.weights.h5` file for each improvement, the figure
  `every_improvement.png`, `result.json`
- From:   *Deep Learning With Python*, chapter 14, and Jason Brownlee's post (Machine Learning
  Mastery)
- Next:   `02_checkpoint_best_only.py` keeps only the best one
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

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 150
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
DOCUMENTED_VAL_ACCURACY = 0.84252  # chapter 14, epoch 148
OUT = pathlib.Path("out/01_checkpoint_improvements")
FILE = OUT / "weights-improvement-{epoch:02d}-{val_accuracy:.2f}.weights.h5"

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
## Train: keep every improvement

A *callback* is an object whose methods `fit` calls, here at the end of each epoch.
`ModelCheckpoint` compares the value named by `monitor` with the best value so far, and saves the
weights if the new value is better.

- The tutorials' `val_acc` is called `val_accuracy` today. If the name does not exist and you
  pass a `mode`, Keras only warns and saves *every* epoch.
- `mode="max"` says that more is better; the tutorials write it. With `"min"` Keras keeps the worst
  model and gives no warning. In your own code leave `mode` out for a metric of Keras: then a
  misspelt `monitor` is an error (script 07).
- The file name, `FILE` in the settings, contains epoch and score, so no file overwrites another.
  `{epoch:02d}` pads to two digits only: in an alphabetical list epoch 100 comes before epoch 99,
  and the last name is not the newest file.
- Keras creates missing folders.

The chapter's log says "improved from 0.84252 to 0.84252". One more correct answer of 254 is worth
0.00394, so this was no improvement. The Keras of that time averaged the averages of the batches,
and rounding changed digits that the log does not show. Today Keras counts correct answers and
divides once.
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
## Look: every save on the learning curve

In its first epochs, ten on TensorFlow and eight on JAX, the network answers "no diabetes" to all
254 validation rows. That is right for 171 of them: 0.6732. Later the curve jumps, because the
validation set is small. Nothing is written until the next improvement.
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
axes.set_title(f"Pima: {len(saved_epochs)} of {EPOCHS} epochs improved and left a file each")
axes.set(xlabel="epoch", ylabel="accuracy (share of correct answers)")
axes.grid(alpha=0.3)
figure.legend(loc="outside lower center", ncols=4)
figure.savefig(OUT / "every_improvement.png", dpi=150)

# %% [markdown]
"""
## Check

There is one file for each strict rise of the best score, and each rise is worth at least one of the
254 rows. Each file, loaded, scores to the last digit what was recorded when it was saved.
"""

# %%
files = sorted(path.name for path in OUT.glob("*.weights.h5"))
assert len(files) == len(saved_epochs)
assert all(np.diff(saved_val_accuracy) > 0.99 / len(x_validation))
for epoch in saved_epochs:
    model.load_weights(str(FILE).format(epoch=epoch, val_accuracy=val_accuracy[epoch - 1]))
    scores = model.evaluate(
        x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
    )
    assert scores["accuracy"] == val_accuracy[epoch - 1]

# %% [markdown]
"""
## Result

The numbers are stored last: if `result.json` exists, everything above has run.
"""

# %%
result = {"script": OUT.name, "keras": keras.version(), "backend": keras.backend.backend()}
result |= {"quantity": "best validation accuracy", "documented": DOCUMENTED_VAL_ACCURACY}
result |= {"reproduced": best_val_accuracy, "best_epoch": best_epoch, "files": files}
result |= {"saved_epochs": saved_epochs, "val_accuracy": val_accuracy}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"Best validation accuracy: {best_val_accuracy:.5f} at epoch {best_epoch}")
print(f"The chapter reports:      {DOCUMENTED_VAL_ACCURACY:.5f} at epoch 148")
