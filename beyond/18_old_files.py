# %% [markdown]
"""
# 18 · Open a file that Keras 2 saved, and go on training

After this script you can take the `weights.best.hdf5` of an old course, make a `.keras` file of it,
and train on as if nothing had happened. Keras 3 reads the weights of such a file, but not its
*optimizer state*: Adam's step count and its two running averages for each weight. `load_model`
raises no error, and `fit` fails. If you compile the model again, training works, but with a fresh
optimizer, and the next epochs are not those that Keras 2 would have trained.

The package `beyond/old_checkpoint` converts the whole file and compares the result with it. This
script trains a network with Keras 2, saves it, converts the file, and trains on with both versions
of Keras on the same batches.

- Run:    `python beyond/18_old_files.py` (in practice, 15 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/18_old_files/`: the old file `weights-15.hdf5`, the new one `weights-15.keras`, the
  figure `old_and_new_training.png`, `result.json`
- From:   Aveek Saha's article (dev.to), which trains 15 epochs, loads the file and goes on; the
  network is that of Jason Brownlee's post (Machine Learning Mastery)
- Next:   `docs/OLD_ARTICLES.md` has today's line for each old line of code
"""

# %% [markdown]
"""
## Settings and seed

`tf_keras` is the last Keras 2. It runs on TensorFlow, and it writes the same `.hdf5` files as the
Keras of the tutorials. You need it in this lesson only: the converter works without it, and without
TensorFlow.
"""

# %%
import hashlib
import json
import math
import pathlib
import shutil

import keras
import matplotlib.pyplot as plt
import numpy as np
import old_checkpoint
import tf_keras

SEED = 7
SAVED_AFTER = 15  # epochs, as in the article
EPOCHS = 30
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
MOST_DIFFERENCE = 1e-6
OUT = pathlib.Path("out/18_old_files")
OLD_FILE, NEW_FILE = OUT / "weights-15.hdf5", OUT / "weights-15.keras"

keras.utils.set_random_seed(SEED)
tf_keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

This is the data cell of scripts 01 to 03.
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
## Build the model: as in Keras 2

These are the lines of the old tutorials. Only the package has another name.
"""

# %%
old_model = tf_keras.models.Sequential()
old_model.add(
    tf_keras.layers.Dense(12, input_dim=8, kernel_initializer="uniform", activation="relu")
)
old_model.add(tf_keras.layers.Dense(8, kernel_initializer="uniform", activation="relu"))
old_model.add(tf_keras.layers.Dense(1, kernel_initializer="uniform", activation="sigmoid"))
old_model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])

# %% [markdown]
"""
## Train: 15 epochs, and save the old file

`model.save` with the ending `.hdf5` writes the whole model: the structure, the weights, the
settings of `compile`, and the optimizer state. The checksum lets *Check* see that the conversion
leaves the file as it is.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
first = old_model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    epochs=SAVED_AFTER,
    batch_size=BATCH_SIZE,
    verbose=0,
).history["val_loss"]
old_model.save(str(OLD_FILE))
old_weights = old_model.get_weights()
checksum = hashlib.sha256(OLD_FILE.read_bytes()).hexdigest()

# %% [markdown]
"""
## Read what Keras 3 says

`load_model` succeeds and prints a warning: "your model is starting with a freshly initialized
optimizer". This is not true. The optimizer has the old step count and no averages at all, so it
cannot train. `predict` is the only method that works. `evaluate` fails on the old names of the loss
and the metrics.

Older files fail earlier. If a Keras up to 2.2 saved a `Sequential`, `load_model` itself raises
`TypeError: pop expected at most 1 argument, got 2`.
"""

# %%
loaded = keras.models.load_model(OLD_FILE)
errors = {}
for method in (loaded.evaluate, loaded.fit):
    try:
        method(x_validation, y_validation, verbose=0)
    except (TypeError, ValueError) as error:
        errors[method.__name__] = f"{type(error).__name__}: {error}"
        print(f"\n{method.__name__} raises {errors[method.__name__]}")

# %% [markdown]
"""
## Convert the file

`inspect` shows what a file contains: the version of Keras, the layers with the shapes of their
arrays, the optimizer with its step count. `convert` writes the new file. Both are commands, too:

    python -m old_checkpoint inspect weights.best.hdf5
    python -m old_checkpoint convert weights.best.hdf5 best.keras

(Run them in the folder `beyond`, or install the package first: `docs/INSTALL.md`.) `convert` loads
the new file again and compares every array with the old file, byte for byte. It prints what it
compared, and what the old file does not contain. If it cannot convert a file completely, it writes
nothing and says why in one line.
"""

# %%
print(f"\n{old_checkpoint.inspect(OLD_FILE)}")
report = old_checkpoint.convert(OLD_FILE, NEW_FILE)
print(f"\n{report}")
converted = keras.models.load_model(NEW_FILE)
new_weights = converted.get_weights()
new_steps = int(converted.optimizer.iterations)

# %% [markdown]
"""
## Train: go on with three models

The first model is the old one, in Keras 2. The second is the converted one. The third follows the
advice of most answers on the web: load the old file without its settings, and compile again. It has
the right weights and a fresh optimizer.

The order of the rows also changes a training. So all three models get the same batches in the same
order, from a generator. `initial_epoch` is the epoch of the file, as in the article.
"""

# %%
fresh = keras.models.load_model(OLD_FILE, compile=False)
fresh.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
order = np.random.default_rng(SEED)
orders = [order.permutation(training_rows) for _ in range(SAVED_AFTER, EPOCHS)]


def batches():
    for rows in orders:
        for start in range(0, training_rows, BATCH_SIZE):
            batch = rows[start : start + BATCH_SIZE]
            yield x[batch], y[batch]


further = {}
models = {"Keras 2": old_model, "converted": converted, "fresh optimizer": fresh}
for name, model in models.items():
    further[name] = model.fit(
        batches(),
        steps_per_epoch=batches_per_epoch,
        initial_epoch=SAVED_AFTER,
        epochs=EPOCHS,
        validation_data=(x_validation, y_validation),
        shuffle=False,
        verbose=0,
    ).history["val_loss"]


def largest_difference(ours, theirs):
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


print(f"\nafter epoch {EPOCHS}     validation loss  weights differ from Keras 2 by at most")
differences = {}
for name, model in models.items():
    differences[name] = largest_difference(model.get_weights(), old_model.get_weights())
    print(f"{name:18}{further[name][-1]:17.6f}  {differences[name]:.1e}")

# %% [markdown]
"""
## Look: the converted model stays on the curve of Keras 2

The grey line is Keras 2. The vertical line is the save. The blue line of the converted model lies
on the grey one. The orange line, with the fresh optimizer, leaves it. It is not always
worse, but it is another training.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
curves = {name: [first[-1], *losses] for name, losses in further.items()}
further_epochs = range(SAVED_AFTER, EPOCHS + 1)
axes.plot(
    range(1, EPOCHS + 1),
    [*first, *further["Keras 2"]],
    color="#999999",
    alpha=0.5,
    lw=7,
    label="Keras 2 all the time",
)
axes.plot(
    further_epochs,
    curves["fresh optimizer"],
    "s--",
    color="#D55E00",
    ms=4,
    label="Keras 3, old weights, fresh optimizer",
)
axes.plot(
    further_epochs, curves["converted"], "o-", color="#0072B2", ms=4, label="Keras 3, converted"
)
axes.axvline(SAVED_AFTER, color="black", ls=":", label=f"saved after epoch {SAVED_AFTER}")
axes.set(
    title="Pima: the converted model trains on as Keras 2 would have",
    xlabel="epoch",
    ylabel="validation loss (cross-entropy)",
)
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(OUT / "old_and_new_training.png", dpi=150)

# %% [markdown]
"""
## Check

The conversion leaves the old file as it is. The new model has the same weights, bit for bit, and
the old step count. Keras 2 and Keras 3 add numbers in different orders, so the last bit of a sum
can differ. After 15 further epochs the converted model is within `MOST_DIFFERENCE` of Keras 2, in
every weight and in every validation loss. The weights of the model with the fresh optimizer are
more than 1000 times further away.
"""

# %%
assert hashlib.sha256(OLD_FILE.read_bytes()).hexdigest() == checksum
assert all(np.array_equal(ours, theirs) for ours, theirs in zip(new_weights, old_weights))
assert new_steps == report.steps == SAVED_AFTER * batches_per_epoch
assert (report.equal, report.optimizer_equal) == (len(old_weights), 2 * len(old_weights))
assert not (report.transformed or report.imports or report.lost or report.differences)
assert set(errors) == {"evaluate", "fit"}
assert len(further["converted"]) == EPOCHS - SAVED_AFTER
loss_difference = np.abs(np.subtract(further["converted"], further["Keras 2"])).max()
assert max(differences["converted"], loss_difference) <= MOST_DIFFERENCE
assert differences["fresh optimizer"] > 1000 * MOST_DIFFERENCE

# %% [markdown]
"""
## Result

`result.json` stores the number of further epochs that were as in Keras 2, and the three curves.
"""

# %%
as_in_keras_2 = np.isclose(further["converted"], further["Keras 2"], rtol=0, atol=MOST_DIFFERENCE)
result = {
    "script": OUT.name,
    "quantity": "epochs after the conversion with the losses of Keras 2",
    "documented": None,
    "reproduced": int(as_in_keras_2.sum()),
    "weight_differences": differences,
    "loss_difference": float(loss_difference),
    "errors": errors,
    "first_val_loss": first,
    "further_val_loss": further,
    "files": ["old_and_new_training.png", OLD_FILE.name, NEW_FILE.name],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
