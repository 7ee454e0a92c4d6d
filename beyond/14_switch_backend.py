# %% [markdown]
"""
# 14 · Take a checkpoint to another backend

Keras 3 computes with TensorFlow, JAX or PyTorch. Which one is a setting, and a good choice for the
training may be a bad one for what comes after: the cluster has JAX, the colleague's program is
written in PyTorch, the phone wants TensorFlow. A checkpoint holds names, numbers and, in a `.keras`
file, a description of the network in Keras's own words. So it should not matter where it was made.

Here two networks are trained on each backend, and what was saved is loaded on each: whether they
answer the same, whether the optimizer came along, and whether the training can go on. All of it
nearly always does. Then what does not: it gives no error when it is loaded, but answers, and fails
or goes astray as soon as one trains on.

- Run:    `python beyond/14_switch_backend.py`
- Reads:  `data/pima-indians-diabetes.csv`, `data/mnist.npz`
- Writes: `out/14_switch_backend/`: for each backend a folder with what was saved on it, what became
  of everything that was loaded there, and what the processes printed; `matrix.png`, `result.json`
- From:   beyond the documents
- Next:   `beyond/15_many_workers.py` trains with several processes at once
"""

# %% [markdown]
"""
## Settings and seed

A process has one backend, chosen by the variable `KERAS_BACKEND` before Keras is imported, and
keeps it. So each backend gets processes of its own, and the one that reads these lines only starts
them and compares. PyTorch is large and need not be there: `make torch` installs it, and without it
the script shows the other two.

`ENDINGS` are the three ways of saving: the whole model in one file, its weights and the optimizer
in one file, and a folder that `keras.callbacks.OrbaxCheckpoint` writes. Orbax comes from JAX, but
Keras saves with it on every backend.
"""

# %%
import atexit
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib

for package in ("jax", "orbax", "tensorflow"):
    if importlib.util.find_spec(package) is None:
        sys.exit(f"{package} is missing. `make 14` installs what requirements-beyond.txt lists.")

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = {"Pima": 10, "MNIST": 1}
BATCH_SIZE = 20
VALIDATION_SPLIT = 0.33
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
ENDINGS = (".keras", ".weights.h5", ".orbax")
OUT = pathlib.Path("out/14_switch_backend")

started = time.perf_counter()
keras.utils.set_random_seed(SEED)
BACKENDS = [backend for backend in NAMES if importlib.util.find_spec(backend)]

# %% [markdown]
"""
## Load the data: Pima

The cell of script 01.
"""

# %%
DATA = pathlib.Path("data/pima-indians-diabetes.csv")
restore = f"In the root of the repository, restore it: git checkout -- {DATA}"
try:
    table = np.loadtxt(DATA, delimiter=",", ndmin=2)
except (OSError, ValueError) as error:
    sys.exit(f"{DATA} cannot be read ({error}). {restore}")
if table.shape != (768, 9):
    sys.exit(f"{DATA} has shape {table.shape}, not (768, 9). {restore}")

x, y = table[:, :8], table[:, 8]
training_rows = int(len(x) * (1 - VALIDATION_SPLIT))
x_validation, y_validation = x[training_rows:], y[training_rows:]
batches_per_epoch = math.ceil(training_rows / BATCH_SIZE)

# %% [markdown]
"""
## Keep them for later

The next cell uses the same names.
"""

# %%
pima_rows = (x[:training_rows], y[:training_rows], x_validation, y_validation)

# %% [markdown]
"""
## Load the data: MNIST

The cell of script 04. Two thousand pictures train and a thousand test, as pictures this time and
not as rows of 784 numbers.
"""

# %%
DATA = pathlib.Path("data/mnist.npz")
restore = f"In the root of the repository, restore it: git checkout -- {DATA}"
try:
    with np.load(DATA) as arrays:
        x, y, x_test, y_test = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
    sys.exit(f"{DATA} cannot be read ({error}). {restore}")
if x.shape != (60000, 28, 28) or x_test.shape != (10000, 28, 28):
    sys.exit(f"{DATA} has other shapes than MNIST. {restore}")

x = np.divide(x.reshape(60000, 784), 255, dtype="float32")
x_test = np.divide(x_test.reshape(10000, 784), 255, dtype="float32")
y = keras.utils.to_categorical(y, 10)
y_test = keras.utils.to_categorical(y_test, 10)
training_rows = int(len(x) * (1 - VALIDATION_SPLIT))
x_validation, y_validation = x[training_rows:], y[training_rows:]
batches_per_epoch = math.ceil(training_rows / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: on any backend

The network of script 01, and a small convolutional one: its filters look at parts of a picture,
batch normalisation keeps running means, which are weights that no gradient changes, and dropout
draws random numbers. Only layers of Keras, which calls the functions of the backend by itself.

`steps_per_execution` is left out, with which script 01 runs all batches of an epoch in one go:
PyTorch refuses it, as is shown below. The optimizer is built at once, so that a file of weights
finds the variables into which its own are loaded.
"""

# %%
pictures, test_pictures = (rows.reshape(-1, 28, 28, 1) for rows in (x[:2000], x_test[:1000]))
DATA_OF = {"Pima": pima_rows, "MNIST": (pictures, y[:2000], test_pictures, y_test[:1000])}


def build_model(network):
    if network == "Pima":
        layers = [
            keras.Input(shape=(8,)),
            keras.layers.Dense(12, kernel_initializer="random_uniform", activation="relu"),
            keras.layers.Dense(8, kernel_initializer="random_uniform", activation="relu"),
            keras.layers.Dense(1, kernel_initializer="random_uniform", activation="sigmoid"),
        ]
        loss = "binary_crossentropy"
    else:
        layers = [
            keras.Input(shape=(28, 28, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(2),
            keras.layers.Dropout(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
        loss = "categorical_crossentropy"
    model = keras.Sequential(layers)
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def numbers(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def answers(model, network):
    return model.predict(DATA_OF[network][2], batch_size=1000, verbose=0)


def right_answers(predicted, network):
    wanted = DATA_OF[network][3]
    if network == "Pima":
        return int(((predicted[:, 0] > 0.5) == wanted).sum())
    return int((predicted.argmax(axis=1) == wanted.argmax(axis=1)).sum())


def train_on(model, network, epochs):
    x_training, y_training = DATA_OF[network][:2]
    options = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0}
    return model.fit(x_training, y_training, epochs=epochs, **options).history["loss"][-1]


# %% [markdown]
"""
## Train: on one backend

Each network is trained and saved in both formats. Beside the files goes what will be compared: the
answers to the rows that did not train, every number of weights and optimizer, and the loss of one
epoch more, which shows whether a training that goes on elsewhere goes on in the same way. The rows
come in their own order, because each backend shuffles by other random numbers.

Three things are saved that will not arrive: a network with a layer of our own that calls TensorFlow
instead of Keras, a `.keras` file compiled with `steps_per_execution`, and the place where dropout's
random numbers stood.
"""


# %%
@keras.saving.register_keras_serializable("checkpoints")
class OnlyTensorFlow(keras.layers.Layer):
    def call(self, inputs):
        import tensorflow

        return tensorflow.math.tanh(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def seeds_of(model):
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def train(folder):
    for network, epochs in EPOCHS.items():
        model = build_model(network)
        train_on(model, network, epochs)
        model.save(folder / f"{network}.keras")
        model.save_weights(folder / f"{network}.weights.h5")
        arrays = {"answers": answers(model, network), "seeds": numbers(seeds_of(model))}
        for what, variables in (
            ("weights", model.weights),
            ("optimizer", model.optimizer.variables),
        ):
            arrays |= {f"{what}-{i}": array for i, array in enumerate(numbers(variables))}
        arrays["next_loss"] = train_on(model, network, epochs=1)
        np.savez(folder / f"{network}.npz", **arrays)

    own = keras.Sequential([keras.Input(shape=(8,)), OnlyTensorFlow(), keras.layers.Dense(1)])
    own.compile(loss="binary_crossentropy", optimizer="adam")
    own.save(folder / "own_layer.keras")
    stepwise = build_model("Pima")
    stepwise.compile(loss="binary_crossentropy", optimizer="adam", steps_per_execution=2)
    stepwise.save(folder / "stepwise.keras")


# %% [markdown]
"""
## Train: go on on another

In a fresh process with another backend, each file is loaded: `.keras` by `load_model`, which makes
the network from the file, and `.weights.h5` into a network that the code above builds. Everything is compared,
and then the training goes on for one epoch. One goes on with a fresh optimizer, to see what it
would have cost had that been left behind.
"""


# %%
def load(path, network):
    if path.suffix == ".keras":
        return keras.saving.load_model(path)
    model = build_model(network)
    model.load_weights(path)
    return model


def compare(path, network):
    with np.load(path.parent / f"{network}.npz") as saved:
        model = load(path, network)
        found = {"weights": numbers(model.weights), "optimizer": numbers(model.optimizer.variables)}
        predicted = answers(model, network)
        row = {
            "equal": {
                what: all(np.array_equal(saved[f"{what}-{i}"], a) for i, a in enumerate(arrays))
                and f"{what}-{len(arrays)}" not in saved
                for what, arrays in found.items()
            },
            "iterations": int(model.optimizer.iterations),
            "difference": float(np.abs(predicted - saved["answers"]).max()),
            "right": right_answers(predicted, network),
            "right_there": right_answers(saved["answers"], network),
            "seeds_equal": np.array_equal(numbers(seeds_of(model)), saved["seeds"]),
            "next_loss_there": float(saved["next_loss"]),
        }
    row["goes_on"] = outcome(lambda: row.update(next_loss=train_on(model, network, epochs=1)))
    return row


def outcome(action):
    try:
        action()
    except (RuntimeError, TypeError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0]}"
    return "works"


def compare_all(folder):
    rows = {}
    for origin in BACKENDS:
        for network in EPOCHS:
            for ending in (".keras", ".weights.h5"):
                path = folder.parent / origin / f"{network}{ending}"
                rows[f"{origin} {network} {ending}"] = compare(path, network)
    home = folder.parent / "tensorflow"
    own = keras.saving.load_model(home / "own_layer.keras")
    stepwise = keras.saving.load_model(home / "stepwise.keras")
    found = {"rows": rows, "own layer": outcome(lambda: train_on(own, "Pima", epochs=1))}
    found["steps_per_execution"] = outcome(lambda: train_on(stepwise, "Pima", epochs=1))
    stepwise.steps_per_execution = 1
    found["set to 1"] = outcome(lambda: train_on(stepwise, "Pima", epochs=1))
    fresh = load(home / "Pima.weights.h5", "Pima")
    fresh.compile(loss="binary_crossentropy", optimizer="adam")
    found["fresh optimizer"] = train_on(fresh, "Pima", epochs=1)
    (folder / "loaded.json").write_text(json.dumps(found))


if sys.argv[1:] in (["train"], ["load"]):
    warnings.simplefilter("ignore")
    {"train": train, "load": compare_all}[sys.argv[1]](OUT / keras.backend.backend())
    sys.exit()

# %% [markdown]
"""
## Train: everywhere

From here on, this is the process that starts the others: one for each backend that trains, then one
for each that loads. The settings keep PyTorch from compiling, which takes longer than these trainings,
keep the processes from competing for the cores, and leave a graphics card alone.
"""

# %%
try:
    shutil.rmtree(OUT, ignore_errors=True)
    for backend in BACKENDS:
        (OUT / backend).mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

for name in set(NAMES) - set(BACKENDS):
    print(f"{NAMES[name]} is not installed. `make torch` does it; here are the others.")
settings = {
    "TORCHDYNAMO_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
for word in ("train", "load"):
    processes = {
        backend: subprocess.Popen(
            [sys.executable, "beyond/14_switch_backend.py", word],
            env=os.environ | settings | {"KERAS_BACKEND": backend},
        )
        for backend in BACKENDS
    }
    failed = [backend for backend, process in processes.items() if process.wait() != 0]
    if failed:
        sys.exit(f"{OUT}: `{word}` failed on {', '.join(failed)}; the lines above say why.")
loaded = {name: json.loads((OUT / name / "loaded.json").read_text()) for name in BACKENDS}

found = {
    backend: {tuple(name.split()): row for name, row in loaded[backend]["rows"].items()}
    for backend in BACKENDS
}

# %% [markdown]
"""
## What travels

Every weight and every number of the optimizer arrives, bit for bit, whatever the file and whatever
the pair. The answers differ by rounding, since each backend sums in its own order. And the network
of script 01 goes on training as it would have at home: the loss of the next epoch agrees to four
digits. With a fresh optimizer it would be another, so it is the optimizer's memory that travelled.

With one exception, and it is no small one. A `.keras` that was saved on PyTorch is loaded and
answers elsewhere, but does not train there (Keras 3.15.1): the file names the optimizer as a class
of PyTorch's own, `keras.src.backend.torch.optimizers.torch_adam`, and what is loaded is that class.
A machine without PyTorch cannot even load it, unless with `compile=False`. The remedy is the file
of weights, in a network that your own code builds and compiles; `load_weights` takes the weights
and the optimizer's numbers out of a `.keras`, too.
"""

# %%
print(f"\n{'trained on':12}{'loaded on':12}{'largest difference':22}{'optimizer':11}next epoch")
for origin in BACKENDS:
    for backend in BACKENDS:
        for ending in (".keras", ".weights.h5"):
            pair = [found[backend][origin, network, ending] for network in EPOCHS]
            difference = max(row["difference"] for row in pair)
            came_along = "equal" if all(row["equal"]["optimizer"] for row in pair) else "lost"
            print(
                f"{NAMES[origin]:12}{NAMES[backend]:12}{difference:<22.1e}{came_along:11}", end=""
            )
            print(f"{ending:13}{pair[0]['goes_on'][:60]}")

# %% [markdown]
"""
## What does not travel

A *layer of one backend* is described in the file by its name, and that is found on every backend.
But on JAX the training traces the layer with placeholders, of which `tensorflow.math.tanh` can make
nothing, and PyTorch's tensors have gradients that TensorFlow knows nothing of. That it *answers*
elsewhere makes it worse: one learns of it only when training. Write layers with `keras.ops`.

A *setting of `compile`* that a backend does not have: it is in the `.keras`, and PyTorch refuses to
train with `steps_per_execution`. Set it to 1 in the loaded model.

The *state of a seed generator* is in neither file: the network with dropout goes on with other
random numbers, at home as elsewhere, and its next loss is another one. Script 12 keeps it.

And what `OrbaxCheckpoint` writes is a folder of arrays found by name. It, too, can be loaded on
another backend, and falls into the same traps there as at home: see `docs/PITFALLS.md`.
"""

# %%
for backend in BACKENDS:
    print(f"\n{NAMES[backend]}")
    for what in ("own layer", "steps_per_execution", "set to 1"):
        print(f"  {what:22}{loaded[backend][what][:76]}")
    seeds = [row["seeds_equal"] for (_, name, _), row in found[backend].items() if name == "MNIST"]
    print(f"  {'state of dropout':22}{'arrived' if any(seeds) else 'lost, with every file'}")

# %% [markdown]
"""
## Look: trained on, loaded on

The diagonal is a fresh process with the backend of the training. The numbers are the largest
difference in any of the answers of both networks, for either file; one in ten million is what
numbers of this precision (`float32`) are rounded to.
"""

# %%
names = [NAMES[backend] for backend in BACKENDS]
figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
largest = np.array(
    [
        [max(r["difference"] for k, r in found[b].items() if k[0] == o) for b in BACKENDS]
        for o in BACKENDS
    ]
)
image = axes.imshow(largest, cmap="cividis", vmin=0, vmax=max(1e-6, largest.max()))
for row, origin in enumerate(BACKENDS):
    for column, backend in enumerate(BACKENDS):
        goes_on = {
            ending: all(found[backend][origin, n, ending]["goes_on"] == "works" for n in EPOCHS)
            for ending in (".weights.h5", ".keras")
        }
        lines = [f"answers differ by {largest[row, column]:.0e}", "same accuracy"]
        lines += [
            f"{ending} {'trains on' if on else 'DOES NOT train on'}"
            for ending, on in goes_on.items()
        ]
        dark = largest[row, column] < 0.6 * image.get_clim()[1]
        axes.text(
            column, row, "\n".join(lines), ha="center", va="center", color="w" if dark else "k"
        )
axes.set_xticks(range(len(names)), names)
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="loaded on", ylabel="trained on", title="A checkpoint on another backend")
figure.colorbar(image, label="largest difference of an answer (a probability)")
figure.savefig(OUT / "matrix.png", dpi=150)

# %% [markdown]
"""
## Check

For every pair and both files: all numbers equal, the same number of right answers, the answers
equal to rounding, the step of the optimizer. The training goes on wherever it can, with the loss it
would have had, which a fresh optimizer misses. What is said not to travel does not.
"""

# %%
steps = {
    name: epochs * math.ceil(len(DATA_OF[name][0]) / BATCH_SIZE) for name, epochs in EPOCHS.items()
}
for backend in BACKENDS:
    assert len(found[backend]) == 4 * len(BACKENDS)
    for (origin, network, ending), row in found[backend].items():
        assert row["equal"] == {"weights": True, "optimizer": True}
        assert row["iterations"] == steps[network]
        assert row["right"] == row["right_there"] and row["difference"] < 1e-5
        goes_on = row["goes_on"] == "works"
        assert goes_on == (origin == backend or origin != "torch" or ending == ".weights.h5")
        if network == "Pima" and goes_on:
            assert math.isclose(row["next_loss"], row["next_loss_there"], rel_tol=1e-4)
        assert row["seeds_equal"] == (network == "Pima")
    at_home = found[backend]["tensorflow", "Pima", ".weights.h5"]["next_loss_there"]
    assert not math.isclose(loaded[backend]["fresh optimizer"], at_home, rel_tol=1e-3)
    assert (loaded[backend]["own layer"] == "works") == (backend == "tensorflow")
    assert (loaded[backend]["steps_per_execution"] == "works") == (backend != "torch")
    assert loaded[backend]["set to 1"] == "works"

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "largest difference of an answer on another backend",
    "documented": None,
    "reproduced": float(largest.max()),
    "backends": BACKENDS,
    "loaded": loaded,
    "files": ["matrix.png", *(f"{backend}/loaded.json" for backend in BACKENDS)],
    "seconds": round(time.perf_counter() - started, 1),
    "python": platform.python_version(),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
    "backend_version": importlib.metadata.version(keras.backend.backend()),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
