# %% [markdown]
"""
# 03 · Load the checkpoint and use it

After this script you can load a checkpoint in a new process, measure the model, predict with it,
and train it further. Loading is the purpose of saving, and the only way to know that a file is any
good. A file of weights does not say which network they belong to. The short way comes first:
build the same network, `load_weights`, `evaluate`. Then the script compares model and file.

- Run:    `python 03_load_checkpoint.py` (first steps, 15 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`, `out/02_checkpoint_best_only/weights.best.weights.h5`,
  `out/02_checkpoint_best_only/result.json`
- Writes: `out/03_load_checkpoint/`: `network.json`, the figure `training_goes_on.png`,
  `result.json`
- From:   Jason Brownlee's post (Machine Learning Mastery), and *Deep Learning With Python*,
  chapter 14
- Next:   `04_mnist_every_epoch.py` saves whole models, which include the structure
"""

# %% [markdown]
"""
## Settings and seed

The tutorials stop after measuring the loaded model. The further epochs are added here. The seed
does not change the loaded weights. It fixes the order of the rows in the further epochs, and with a
seed set, TensorFlow shuffles every epoch alike
([pitfall](docs/PITFALLS.md#with-a-seed-set-every-epoch-has-its-rows-in-the-same-order)).
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
DOCUMENTED_ACCURACY = 0.7773  # the post and the chapter, all 768 rows
BEST_FILE = pathlib.Path("out/02_checkpoint_best_only/weights.best.weights.h5")
RECORD = pathlib.Path("out/02_checkpoint_best_only/result.json")
OUT = pathlib.Path("out/03_load_checkpoint")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

The rows must be the same, in the same order, as in script 02. Otherwise training rows get among the
validation rows, and the score cannot be compared with the recorded one. If you scale the columns
before training, store the numbers used, and scale with them again here.
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

The code is the same as in script 02. The random initial weights do not matter, because all of them
are replaced. The names of layers do not matter either: the first `Dense` of the file fills the
first `Dense` of the network, and so on, and the shapes must agree. Activations are not in the file:
with other ones in this code, loading succeeds and the answers are wrong.
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
## Load the weights, and evaluate

`load_weights` also restores the *optimizer state*: Adam's step count, and its two running averages
for each weight. It does so only if the optimizer has variables to fill. `fit` makes them in its
first step, `optimizer.build` makes them now. Without that line you get a warning, and further
training starts with a fresh optimizer. A file that is missing or damaged ends the script with one
line.

The accuracy on all rows is the tutorials' number. The accuracy on the validation rows must equal
the one that script 02 recorded. Neither number predicts accuracy on new patients: most of the rows
trained the network, and the validation rows chose the epoch.
"""

# %%
make_it = "Make it: make 02 (or python 02_checkpoint_best_only.py)"
model.optimizer.build(model.trainable_variables)
try:
    model.load_weights(BEST_FILE)
except (OSError, KeyError, ValueError) as error:
    sys.exit(f"{BEST_FILE} cannot be loaded ({type(error).__name__}). {make_it}")
loaded_steps = int(model.optimizer.iterations)

recorded = json.loads(RECORD.read_text())
recorded_accuracy, recorded_epoch = recorded["reproduced"], recorded["best_epoch"]
accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
print(f"accuracy: {accuracy:.2%}  (the tutorials: {DOCUMENTED_ACCURACY:.2%})")
scores = model.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
print(f"on the validation rows {scores['accuracy']:.5f}, recorded {recorded_accuracy:.5f}")

# %% [markdown]
"""
## Compare the model with the file

A load without errors does not prove that the file belongs to this network. `load_weights` accepts a
file with more layers than the network has. If one layer does not fit, it overwrites the matching
layers first and raises only then. So look into the file yourself. It has the format HDF5, which the
package h5py reads: a folder for each layer, and in it the arrays `0` (weights of the inputs) and
`1` (biases). *Check* compares the values.
"""

# %%
with h5py.File(BEST_FILE) as file:
    saved = [array[()] for layer in file["layers"].values() for array in layer["vars"].values()]
    state = file.get("optimizer/vars", {})
    saved += [state[str(index)][()] for index in range(len(state))]
variables = model.weights + model.optimizer.variables
loaded = [keras.ops.convert_to_numpy(variable) for variable in variables]
if [array.shape for array in saved] != [array.shape for array in loaded]:
    sys.exit(f"{BEST_FILE} belongs to another network: its arrays have other shapes. {make_it}")

# %% [markdown]
"""
## Predict

The network answers with a probability; above 0.5 it counts as "diabetes". The patients are the
first of the validation rows. The table shows three of their eight measurements: glucose, body mass
index and age, the columns 1, 5 and 7 if you count from 0.
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

Loaded weights are also the start of further training. `initial_epoch` continues the count where the
saved model stood. `epochs` is the number of the last epoch, not how many to add: if it is not above
`initial_epoch`, `fit` trains nothing and prints nothing. Nothing is saved in this run. In yours,
pass the callback of script 02 again, with the recorded score as `initial_value_threshold`, so that
only a better model replaces the old one.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
history = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    steps_per_epoch=batches_per_epoch,
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

With the structure in a JSON file you need not type the network again. The tutorials name YAML as
well; Keras has dropped it, because reading a YAML file could run code. The JSON file contains
layers, shapes, initializers and the settings of `compile`, but no weights and no code: register a
layer of your own with `keras.saving.register_keras_serializable`, or pass it in `custom_objects`.
The whole models of script 04 contain this JSON next to the weights.
"""

# %%
(OUT / "network.json").write_text(model.to_json(indent=1))
rebuilt = keras.models.model_from_json((OUT / "network.json").read_text())
rebuilt.load_weights(BEST_FILE)

# %% [markdown]
"""
## Look: the curve goes on

Script 02's curve is drawn up to the checkpoint. The further epochs begin at the ring, on the saved
weights, and not at the level of an untrained network. With a fresh optimizer they would begin at
the ring, too, so the figure does not show that the optimizer was restored; *Check* does. On
TensorFlow the further epochs repeat those that script 02 trained after its best one, because every
epoch is shuffled alike. On JAX they differ.
"""

# %%
epochs = range(1, recorded_epoch + 1)
further_epochs = [recorded_epoch, *(epoch + 1 for epoch in history.epoch)]
further_curve = [recorded_accuracy, *further_accuracy]
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
axes.plot(epochs, recorded["val_accuracy"][:recorded_epoch], color="#0072B2", label="script 02")
axes.plot(further_epochs, further_curve, color="#E69F00", label="trained further here")
best_label = f"loaded: {recorded_accuracy:.4f} at epoch {recorded_epoch}"
axes.plot(
    recorded_epoch, recorded_accuracy, "o", ms=15, mfc="none", mec="#D55E00", label=best_label
)
axes.set_title(f"Pima: {FURTHER_EPOCHS} further epochs begin at the checkpoint of script 02")
axes.set(xlabel="epoch", ylabel="validation accuracy (share of correct answers)")
axes.grid(alpha=0.3)
figure.legend(loc="outside lower center", ncols=4)
figure.savefig(OUT / "training_goes_on.png", dpi=150)

# %% [markdown]
"""
## Check

After loading, every array of weights and optimizer in the model equalled the file's, bit for bit.
The model, and the one rebuilt from JSON, score to the last digit what script 02 recorded. The
optimizer went on from the step of the saved epoch, and not from 0.
"""

# %%
assert all(np.array_equal(ours, theirs) for ours, theirs in zip(loaded, saved, strict=True))
rebuilt_scores = rebuilt.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
assert rebuilt_scores["accuracy"] == scores["accuracy"] == recorded_accuracy
assert loaded_steps == recorded_epoch * batches_per_epoch
assert int(model.optimizer.iterations) == loaded_steps + FURTHER_EPOCHS * batches_per_epoch

# %% [markdown]
"""
## Result

The numbers are stored last: if `result.json` exists, everything above has run.
"""

# %%
result = {"script": OUT.name, "keras": keras.version(), "backend": keras.backend.backend()}
result |= {"quantity": "accuracy on all rows", "documented": DOCUMENTED_ACCURACY}
result |= {"reproduced": accuracy, "best_epoch": recorded_epoch, "files": ["network.json"]}
result |= {"validation_accuracy": scores["accuracy"], "further_val_accuracy": further_accuracy}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
