# %% [markdown]
"""
# 05 · Keep only the best of the whole models

Script 04 leaves 25 files. That is no matter at this size; with a network of a billion weights each
of them takes 12 gigabytes. With `save_best_only` and a fixed name one file is enough, and epochs
that bring nothing new are not written. What one gives up is the choice afterwards: if another
measure than the monitored one turns out to matter, the epoch that was best by it is gone.

- Run:    `python 05_mnist_best_only.py`
- Reads:  `data/mnist.npz`
- Writes: `out/05_mnist_best_only/`: `mnist-dense.keras`, `learning_curve.png`, `result.json`
- From:   document 3
- Next:   `README.md`, for the table of all results
"""

# %% [markdown]
"""
## Settings and seed

The same values as in script 04, and the same seed: the training is the same, epoch by epoch. Only
what is kept of it differs, so that the two scripts can be compared line by line and result by
result.
"""

# %%
import json
import math
import pathlib
import shutil

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 6
EPOCHS = 25
BATCH_SIZE = 200
VALIDATION_SPLIT = 0.2
DOCUMENTED_VAL_ACCURACY = 0.9830  # document 3, epoch 22
OUT = pathlib.Path("out/05_mnist_best_only")
BEST_FILE = OUT / "mnist-dense.keras"

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: MNIST

70,000 handwritten digits of 28 by 28 pixels, each a row of 784 numbers between 0 and 1. Three
parts: 48,000 images train; 12,000, the last of the training set, choose the best epoch; 10,000 test
images do neither, and so tell what the chosen model is really worth. `to_categorical` turns the
digit 3 into ten numbers, all 0 but a 1 in fourth place: the answer that the network should give.
"""

# %%
with np.load("data/mnist.npz") as arrays:
    x, y, x_test, y_test = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
assert x.shape == (60000, 28, 28), f"data/mnist.npz has training images of shape {x.shape}"

x = np.divide(x.reshape(60000, 784), 255, dtype="float32")
x_test = np.divide(x_test.reshape(10000, 784), 255, dtype="float32")
y = keras.utils.to_categorical(y, 10)
y_test = keras.utils.to_categorical(y_test, 10)
training_rows = int(len(x) * (1 - VALIDATION_SPLIT))
x_validation, y_validation = x[training_rows:], y[training_rows:]
batches_per_epoch = math.ceil(training_rows / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: MNIST

One hidden layer of 800 units, and ten outputs: a probability for each digit. The cross-entropy loss
is low when the right digit gets a high one; accuracy only asks whether it gets the highest. So the
loss can go on falling after the last wrong answer has been corrected. Two settings save time.
`steps_per_execution` runs all batches of an epoch in one go, without a return to `fit` after each:
the same weights to the last bit. `jit_compile` compiles the training step as a whole, which rounds
differently in the last digits; on JAX that is the rule anyway.
"""

# %%
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
    steps_per_execution=batches_per_epoch,
    jit_compile=True,
)

# %% [markdown]
"""
## Train: keep only the best whole model

The file name is fixed now, and two arguments say what counts as best. The document leaves out
`mode`, and so does this script: Keras knows of its own metrics whether more is better. For a
function of one's own it must be stated; Keras refuses to guess. The choice is made here, before
training: with `monitor="val_loss"` the file would hold another, mostly earlier epoch.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
checkpoint = keras.callbacks.ModelCheckpoint(BEST_FILE, monitor="val_accuracy", save_best_only=True)
history = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[checkpoint],
    verbose=2,
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
## What one file saves

The size hardly depends on the epoch, so 25 files take 25 times as much. A file is as large as its
numbers, four bytes each: 784 × 800 weights and 800 biases in the first layer, 800 × 10 and 10 in
the second, and all of that three times. Two thirds of each file are the optimizer's: Adam keeps two
numbers for every weight, which only further training needs. `save_weights_only=True` would hardly
make the file smaller: it leaves out the structure, which is tiny, and writes the optimizer's state
all the same.
"""

# %%
best_model = keras.models.load_model(BEST_FILE)
best_scores = best_model.evaluate(x_test, y_test, verbose=0, return_dict=True)
megabytes = BEST_FILE.stat().st_size / 1e6
print(f"\nTest accuracy of the loaded model: {best_scores['accuracy']:.4f}")
print(f"Disk: {megabytes:.1f} MB, against {EPOCHS * megabytes:.1f} MB for {EPOCHS} files")

# %% [markdown]
"""
## Look: where the saves fall

The saves crowd at the beginning, where nearly every epoch improves, and are rare later.
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
axes.set_title(f"MNIST: {len(saved_epochs)} of {EPOCHS} epochs improved and were saved")
axes.set(xlabel="epoch", ylabel="accuracy (share of correct answers)")
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

One file, from the best epoch: loaded, it scores on the validation images to the last digit the best
value recorded, and its optimizer has counted the batches up to that epoch and no more. A file
overwritten by a later epoch would betray itself by either.
"""

# %%
assert list(OUT.glob("*.keras")) == [BEST_FILE]
scores = best_model.evaluate(
    x_validation, y_validation, batch_size=BATCH_SIZE, verbose=0, return_dict=True
)
assert scores["accuracy"] == best_val_accuracy
assert int(best_model.optimizer.iterations) == best_epoch * batches_per_epoch

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
    "test_accuracy": {"best": best_scores["accuracy"]},
    "files": [BEST_FILE.name],
    "megabytes": round(megabytes, 1),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"\nBest validation accuracy: {best_val_accuracy:.4f} at epoch {best_epoch}")
print(f"Document 3 reports:       {DOCUMENTED_VAL_ACCURACY:.4f} at epoch 22")
