# %% [markdown]
"""
# 03 · Load the checkpoint and use it

The process that wrote the checkpoint has gone; here a new one builds the network again, loads what
script 02 saved, measures it, predicts with it, and trains it further. That is what the whole effort
of saving is for, and the only way to know that the file is any good. A file of weights does not say
which network they belong to, so the structure is saved here as well.

- Run:    `python 03_load_checkpoint.py`
- Reads:  `data/pima-indians-diabetes.csv`, `out/02_checkpoint_best_only/weights.best.weights.h5`,
  `out/02_checkpoint_best_only/result.json`
- Writes: `out/03_load_checkpoint/`: `network.json`, `learning_curve.png`, `result.json`
- From:   documents 1 and 2
- Next:   `04_mnist_every_epoch.py` saves whole models, which need no structure beside them
"""

# %% [markdown]
"""
## Settings and seed

The documents stop after measuring the loaded model. The further epochs are an addition here. The
seed has no part in the loaded weights; it fixes the order of the rows in those epochs.
"""

# %%
import json
import math
import pathlib
import shutil
import sys

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
FURTHER_EPOCHS = 50
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
DOCUMENTED_ACCURACY = 0.7773  # documents 1 and 2, all 768 rows
BEST_FILE = pathlib.Path("out/02_checkpoint_best_only/weights.best.weights.h5")
RECORD = pathlib.Path("out/02_checkpoint_best_only/result.json")
OUT = pathlib.Path("out/03_load_checkpoint")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

The rows must be the same, in the same order, as when the model was trained: a validation score can
only be compared with the recorded one if no training row has slipped into it. The measurements need
no scaling here because the model was trained without; had it been scaled, the same numbers would
have to be kept and applied again.
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

The same code as in script 02. Its random initial weights do not matter, as every one of them is
about to be replaced. Names of layers do not matter; the first `Dense` of the file goes into the
first `Dense` of the network, and so on, and the shapes must agree. Activations are not in the file:
with another one in this code the load would succeed, and the answers would be wrong.
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
## Load the weights

First a look into the file. It is plain HDF5: a folder for each layer, and in it the arrays `0` (the
weights of the inputs) and `1` (the biases). A damaged file, or one of another network, is refused
here and not left to `load_weights`: that fills every layer that fits before it complains of those
that do not, and does not complain at all if the file holds more layers than the network.
"""

# %%
make_it = "Make it: make 02 (or python 02_checkpoint_best_only.py)"
try:
    recorded = json.loads(RECORD.read_text())
    recorded_accuracy = recorded["reproduced"]
    recorded_epoch = recorded["best_epoch"]
    recorded_curve = recorded["val_accuracy"]
except (OSError, ValueError, KeyError, TypeError) as error:
    sys.exit(f"{RECORD} cannot be used ({error!r}). {make_it}")
try:
    with h5py.File(BEST_FILE) as file:
        saved_arrays = [
            file[f"layers/{layer}/vars/{index}"][()]
            for layer in file["layers"]
            for index in file[f"layers/{layer}/vars"]
        ]
        optimizer_state = file["optimizer/vars"]
        saved_state = [optimizer_state[str(index)][()] for index in range(len(optimizer_state))]
except (OSError, KeyError, RuntimeError, ValueError) as error:
    sys.exit(f"{BEST_FILE} cannot be read ({error}). {make_it}")
model.optimizer.build(model.trainable_variables)
saved_shapes = [array.shape for array in saved_arrays + saved_state]
model_shapes = [tuple(array.shape) for array in model.weights + model.optimizer.variables]
if saved_shapes != model_shapes:
    sys.exit(f"{BEST_FILE} is of another network: its arrays have other shapes. {make_it}")

# %% [markdown]
"""
The optimizer's state was compared as well: Adam's step count and its two running averages for each
weight. It is restored only into an optimizer that has its variables already, which `fit` would make
in its first step; hence `optimizer.build` above. Without that line the load succeeds with a mere
warning, and further training starts with a fresh optimizer.

The accuracy on all rows is the documents' number. The one on the validation rows must equal what
script 02 recorded, to the last digit, or this is not the model that was saved.
"""

# %%
model.load_weights(BEST_FILE)
print("Created model and loaded weights from file")
loaded_weights = model.get_weights()
loaded_state = [keras.ops.convert_to_numpy(part) for part in model.optimizer.variables]
loaded_steps = int(model.optimizer.iterations)

accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
print(f"accuracy: {accuracy:.2%}  (documents 1 and 2: {DOCUMENTED_ACCURACY:.2%})")
scores = model.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
loaded_accuracy = scores["accuracy"]
print(f"on the validation rows {loaded_accuracy:.5f}, recorded {recorded_accuracy:.5f}")

# %% [markdown]
"""
## Predict

Weights can be used as they are. The network answers with a probability; above 0.5 it counts as
"diabetes". The patients are the first of the validation rows, which the network never trained on.
Of their eight measurements the table shows glucose, body mass index and age, the columns 1, 5 and 7
if one counts from 0. How often it will be right on new patients, neither number above can say: most
of the 768 rows trained the network, and the validation rows chose the epoch.
"""

# %%
probabilities = model.predict(x_validation[:8], verbose=0)[:, 0]
print("\nrow  glucose  body mass  age  probability  answer  truth")
for row, probability in enumerate(probabilities):
    glucose, body_mass, age = x_validation[row, [1, 5, 7]]
    answer, truth = int(probability > 0.5), int(y_validation[row])
    print(
        f"{training_rows + row}  {glucose:7.0f}  {body_mass:9.1f}  {age:3.0f}"
        f"  {probability:11.3f}  {answer:6d}  {truth:5d}"
    )

# %% [markdown]
"""
## Train: go on from the checkpoint

Loaded weights are also the start of further training. `initial_epoch` goes on counting where the
saved model stood, and `epochs` is the number of the last epoch, not how many to add: if it is not
above `initial_epoch`, `fit` trains nothing and returns without a word. Nothing is saved in this
run; in one of your own, pass the callback of script 02 again, with the recorded score as its
`initial_value_threshold`, so that only a better model takes the old one's place.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
history = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    initial_epoch=recorded_epoch,
    epochs=recorded_epoch + FURTHER_EPOCHS,
    batch_size=BATCH_SIZE,
    verbose=0,
)
further_accuracy = history.history["val_accuracy"]
print(f"\nEpochs {recorded_epoch + 1} to {recorded_epoch + FURTHER_EPOCHS}, validation accuracy:")
print(f"{recorded_accuracy:.5f} when loaded, {max(further_accuracy):.5f} at best since")

# %% [markdown]
"""
## Save the structure

`save_weights` did not keep it, and as JSON it need not be typed again. The documents name YAML as
well; Keras has dropped that, because reading a YAML file could run code. JSON holds layers, shapes,
initializers and the settings of `compile`, and no weights. Nor does it hold code: a layer of your
own must be registered with `keras.saving.register_keras_serializable`, or be passed in
`custom_objects`. The whole models of script 04 carry this JSON inside them, next to the weights.
"""

# %%
(OUT / "network.json").write_text(model.to_json(indent=1))
rebuilt = keras.models.model_from_json((OUT / "network.json").read_text())
rebuilt.load_weights(BEST_FILE)

# %% [markdown]
"""
## Look: the curve goes on

The broad line is script 02's run. The narrow one begins at the ring, where both stand on the same
weights, and not at the level of an untrained network. Had the optimizer been left behind, it would
begin at the ring all the same, and then go its own way. With TensorFlow it runs inside the broad
one: once a seed is set, that backend shuffles the rows of every epoch alike, so the same weights
meet the same batches. JAX shuffles anew, and the lines part. That they coincide is no proof that
everything was restored.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
further_epochs = [recorded_epoch, *(epoch + 1 for epoch in history.epoch)]
axes.plot(
    range(1, len(recorded_curve) + 1),
    recorded_curve,
    color="#0072B2",
    alpha=0.4,
    lw=5,
    label="script 02",
)
further_curve = [recorded_accuracy, *further_accuracy]
axes.plot(further_epochs, further_curve, color="#E69F00", label="trained further")
best_label = f"loaded: {recorded_accuracy:.4f} at epoch {recorded_epoch}"
axes.plot(
    recorded_epoch, recorded_accuracy, "o", ms=15, mfc="none", mec="#D55E00", label=best_label
)
axes.set_title(f"Pima: {FURTHER_EPOCHS} further epochs from the best checkpoint")
axes.set(xlabel="epoch", ylabel="validation accuracy (share of correct answers)")
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

Every array in the model was the file's, bit for bit: that nothing was raised would not show it. The
loaded model, and the one rebuilt from JSON, score on the validation rows to the last digit what
script 02 recorded. So was every number of the optimizer, which went on from the step of the saved
epoch, and not from 0.
"""

# %%
for loaded, saved in zip(loaded_weights + loaded_state, saved_arrays + saved_state, strict=True):
    assert np.array_equal(loaded, saved)
scores = rebuilt.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
assert scores["accuracy"] == loaded_accuracy == recorded_accuracy
assert loaded_steps == recorded_epoch * batches_per_epoch
assert int(model.optimizer.iterations) == loaded_steps + FURTHER_EPOCHS * batches_per_epoch

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "accuracy on all rows",
    "documented": DOCUMENTED_ACCURACY,
    "reproduced": accuracy,
    "validation_accuracy": recorded_accuracy,
    "further_val_accuracy": further_accuracy,
    "best_epoch": recorded_epoch,
    "files": ["network.json"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
