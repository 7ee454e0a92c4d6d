# %% [markdown]
"""
# 01 · Save the weights whenever the model improves

Training can take hours, and the process that runs it can end at any moment: a closed laptop, a
reclaimed cloud machine, a full disk. What exists only in memory is lost then. A *checkpoint* is a
copy of the model's weights on disk. Here Keras writes one each time the model gets better on data
it was not trained on, and keeps them all.

- Run:    `python 01_checkpoint_improvements.py`
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/01_checkpoint_improvements/`: one `.weights.h5` file for each improvement,
  `learning_curve.png`, `result.json`
- From:   documents 1 and 2
- Next:   `02_checkpoint_best_only.py` keeps the best one only
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

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 150
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
DOCUMENTED_VAL_ACCURACY = 0.84252  # document 1, epoch 148
OUT = pathlib.Path("out/01_checkpoint_improvements")

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
## Train: keep every improvement

A callback is an object whose methods `fit` calls, here at the end of each epoch. This one compares
the quantity named by `monitor` with the best so far. `mode="max"` says that more is better; with
`"min"` it would keep the worst model and never complain. The documents' `val_acc` is called
`val_accuracy` today. With a name that does not exist Keras only warns, and saves *every* epoch.
Epoch number and score go into the file name, so no file overwrites another. Missing folders are
made.

The documents' log reads "improved from 0.84252 to 0.84252". With 254 validation rows, one more
correct answer is worth 0.00394, so no row was gained there: the Keras of that time averaged the
batches' averages, and the sum was rounded differently in digits that the log does not show. Today
Keras counts correct answers and divides once. *Check* tests that each improvement is a real one.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
checkpoint = keras.callbacks.ModelCheckpoint(
    OUT / "weights-improvement-{epoch:02d}-{val_accuracy:.2f}.weights.h5",
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
The epochs are read back from the file names, as numbers: `{epoch:02d}` pads to two digits only, so
that in an alphabetical listing epoch 100 comes before epoch 99. Whoever takes the last name of such
a list for the newest file loads the wrong one.
"""

# %%
saved_files = {int(path.name.split("-")[2]): path for path in OUT.glob("*.weights.h5")}
saved_epochs = sorted(saved_files)
best_epoch = saved_epochs[-1]
val_accuracy = history.history["val_accuracy"]
best_val_accuracy = val_accuracy[best_epoch - 1]

# %% [markdown]
"""
## Look: the saves on the learning curve

The curve of a small validation set jumps. Between two saves nothing is written, however long that
takes, and whatever the training accuracy does meanwhile.
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

Files appear exactly where the running best strictly rose, each rise is worth at least one of the
254 rows, and each file, loaded, scores to the last digit what was recorded when it was saved.
"""

# %%
improved_epochs = [
    epoch
    for epoch in epochs
    if val_accuracy[epoch - 1] > max(val_accuracy[: epoch - 1], default=-1)
]
assert saved_epochs == improved_epochs
assert all(np.diff(saved_val_accuracy) > 0.99 / len(x_validation))
for epoch in saved_epochs:
    model.load_weights(saved_files[epoch])
    scores = model.evaluate(
        x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
    )
    assert scores["accuracy"] == val_accuracy[epoch - 1]

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
    "files": sorted(path.name for path in saved_files.values()),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"Best validation accuracy: {best_val_accuracy:.5f} at epoch {best_epoch}")
print(f"Document 1 reports:       {DOCUMENTED_VAL_ACCURACY:.5f} at epoch 148")
