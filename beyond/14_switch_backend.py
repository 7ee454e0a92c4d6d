# %% [markdown]
"""
# 14 · Take a checkpoint to another backend

Keras 3 computes with TensorFlow, JAX or PyTorch. Which one is a setting, and a good choice for the
training may be a bad one for what comes after: the cluster has JAX, the colleague's program is
written in PyTorch, the phone wants TensorFlow. A checkpoint holds names, numbers and, in a `.keras`
file, a description of the network in Keras's own words. So it should not matter where it was made.

What does it take? Keras computes the same network on each of them, up to rounding, because its
layers are written against a common set of operations, `keras.ops`. And what it writes into a file
is arrays, and not the tensors of a backend. Whether that holds in every corner is another question.

Here two networks are trained on each backend, and what was saved is loaded on each: whether they
answer the same, whether the optimizer came along, and whether the training can go on. Nearly always
all of that holds. Then what does not travel. None of it gives an error when it is loaded: it fails
as soon as one trains on, or it is slow, or goes astray without a word.

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
Keras saves with it on every backend. `PATIENT` is the backend whose `.keras` will need a remedy.
"""

# %%
import atexit
import importlib.util
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

try:
    import keras
    import matplotlib.pyplot as plt
    import numpy as np
    import orbax.checkpoint  # noqa: F401
    import tensorflow
except ImportError as error:
    sys.exit(f"{error}. This script needs what requirements/beyond.txt lists: make 14")

SEED = 7
EPOCHS = {"Pima": 10, "MNIST": 1}
BATCH_SIZE = 20
VALIDATION_SPLIT = 0.33
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
ENDINGS = (".keras", ".weights.h5", ".orbax")
OUT = pathlib.Path("out/14_switch_backend")

keras.utils.set_random_seed(SEED)
BACKENDS = [backend for backend in NAMES if importlib.util.find_spec(backend)]
PATIENT = "torch" if "torch" in BACKENDS else "jax"

# %% [markdown]
"""
## Load the data: Pima

The cell of script 01: eight measurements of a patient, and whether diabetes was found within five
years. A small table makes a small network, whose training can be followed to the last digit.
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
## Keep them for later

The next cell uses the same names.
"""

# %%
pima_rows = (x[:training_rows], y[:training_rows], x_validation, y_validation)

# %% [markdown]
"""
## Load the data: MNIST

The cell of script 04. Two thousand pictures train and a thousand test, as pictures this time and
not as rows of 784 numbers. That is not enough for a good score, and need not be: what matters is
whether a network scores on one backend what it scored on another, down to the single picture.
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
## Build the model: on any backend

The network of script 01, and a small convolutional one: its filters look at parts of a picture,
batch normalisation keeps running means, which are weights that no gradient changes, and dropout
draws random numbers. There are only layers of Keras in them, which call the functions of whatever
backend there is.

`steps_per_execution` is left out, with which script 01 runs all batches of an epoch in one go:
PyTorch refuses it, as is shown below. The optimizer is built at once, so that a file of weights
finds the variables into which its own are loaded.

`clear_session` begins the counting of names again: a first `Dense` is then called `dense`, whatever
was built before, and not `dense_7`. Only Orbax asks for these names. The other two go by the place
of a layer within the network.

`answers` predicts in one batch, and `right_answers` counts. A count says that no row has changed
sides, or that as many have come as have gone. Which of the two it is cannot matter here, where the
answers themselves are compared as well.
"""

# %%
pictures, test_pictures = (rows.reshape(-1, 28, 28, 1) for rows in (x[:2000], x_test[:1000]))
DATA_OF = {"Pima": pima_rows, "MNIST": (pictures, y[:2000], test_pictures, y_test[:1000])}


def build_model(network):
    keras.backend.clear_session()
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


def answers(model, network):
    return model.predict(DATA_OF[network][2], batch_size=1000, verbose=0)


def right_answers(predicted, network):
    wanted = DATA_OF[network][3]
    if network == "Pima":
        return int(((predicted[:, 0] > 0.5) == wanted).sum())
    return int((predicted.argmax(axis=1) == wanted.argmax(axis=1)).sum())


def train_on(model, network, epochs, *callbacks):
    x_training, y_training = DATA_OF[network][:2]
    options = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    return model.fit(x_training, y_training, epochs=epochs, **options).history["loss"][-1]


# %% [markdown]
"""
## Train: on one backend

Each network is trained and saved in all three ways; `OrbaxCheckpoint` has no function that saves,
it is a callback and does so after each epoch. Beside that goes what will be compared: the answers
to the rows that did not train, every number of the weights and of the optimizer, and the loss of
one epoch more, which shows whether a training that goes on elsewhere goes on in the same way. The
rows come in the order of the file, because each backend shuffles by random numbers of its own.

Of the optimizer there is more to save than of the network: for each weight, Adam remembers a
running mean of its gradients and one of their squares, and it counts its steps. A fresh one has
forgotten in which direction it was going, and takes its first steps as long as those at the very
beginning, in a network that is nearly trained.

Two things more are saved of which we expect trouble: a network with a layer of our own that calls
TensorFlow instead of Keras, and a `.keras` file that was compiled with `steps_per_execution`. A
third is in the convolutional network already: the place where the random numbers of dropout stand.
It is a variable, but no weight.
"""


# %%
@keras.saving.register_keras_serializable("checkpoints")
class OnlyTensorFlow(keras.layers.Layer):
    def call(self, inputs):
        return tensorflow.math.tanh(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def seeds_of(model):
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def numbers_of(model):
    seeds, optimizer = seeds_of(model), model.optimizer.variables
    groups = {"weights": model.weights, "seeds": seeds, "optimizer": optimizer}
    return {
        f"{group} {index}": keras.ops.convert_to_numpy(variable)
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def train(folder):
    for network, epochs in EPOCHS.items():
        model = build_model(network)
        orbax_folder = (folder / f"{network}.orbax").resolve()
        train_on(model, network, epochs, keras.callbacks.OrbaxCheckpoint(orbax_folder))
        model.save(folder / f"{network}.keras")
        model.save_weights(folder / f"{network}.weights.h5")
        np.savez(folder / f"{network}_numbers.npz", **numbers_of(model))
        there = {"answers": answers(model, network), "next_loss": train_on(model, network, 1)}
        np.savez(folder / f"{network}_answers.npz", **there)

    layers = [keras.layers.Dense(4), OnlyTensorFlow(), keras.layers.Dense(1)]
    own = keras.Sequential([keras.Input(shape=(8,)), *layers])
    own.compile(loss="mse", optimizer="adam")
    own.save(folder / "own_layer.keras")
    stepwise = build_model("Pima")
    stepwise.compile(loss="binary_crossentropy", optimizer="adam", steps_per_execution=2)
    stepwise.save(folder / "stepwise.keras")


# %% [markdown]
"""
## Train: go on on another

In a fresh process of each backend every file is loaded: `.keras` by `load_model`, which makes the
network from what the file says, the other two into a network that the code above builds. Everything
is compared, and then the training goes on for one epoch. One training goes on with a fresh
optimizer, which tells what it would have cost to leave the old one behind.

An error while loading would end the script. What fails only when one trains on is noted with its
first line.

What happens to the two special files, and what helps, is tried in the second half of
`compare_all`, with the files from TensorFlow. The remedies for a `.keras` are tried with one from
PyTorch, which needs them, or from JAX if PyTorch is not there. The folder of Orbax is loaded into a
network that differs from the one above in nothing but the names of its layers.
"""


# %%
def load(path, network):
    if path.suffix == ".keras":
        return keras.saving.load_model(path)
    model = build_model(network)
    model.load_weights(path.resolve())
    return model


def outcome(action):
    try:
        action()
    except (RuntimeError, TypeError, ValueError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[0]}"
    return "works"


def compare(folder, network, ending):
    model = load(folder / f"{network}{ending}", network)
    predicted = answers(model, network)
    numbers = numbers_of(model)
    with np.load(folder / f"{network}_numbers.npz") as saved:
        assert set(saved) == set(numbers)
        unequal = [name for name in saved if not np.array_equal(saved[name], numbers[name])]
    with np.load(folder / f"{network}_answers.npz") as there:
        row = {
            "unequal": sorted({name.split()[0] for name in unequal}),
            "iterations": int(model.optimizer.iterations),
            "compiled": bool(model.jit_compile),
            "difference": float(np.abs(predicted - there["answers"]).max()),
            "right": right_answers(predicted, network),
            "right_there": right_answers(there["answers"], network),
            "next_loss_there": float(there["next_loss"]),
        }
    row["goes_on"] = outcome(lambda: row.update(next_loss=train_on(model, network, epochs=1)))
    return row


def compare_all(folder):
    found = {}
    for origin in BACKENDS:
        for network in EPOCHS:
            for ending in ENDINGS:
                row = compare(folder.parent / origin, network, ending)
                found[f"{origin} {network} {ending}"] = row
    home = folder.parent / "tensorflow"
    fresh = load(home / "Pima.weights.h5", "Pima")
    fresh.compile(loss="binary_crossentropy", optimizer="adam")
    own = keras.saving.load_model(home / "own_layer.keras")
    stepwise = keras.saving.load_model(home / "stepwise.keras")
    traps = {
        "next loss with a fresh optimizer": train_on(fresh, "Pima", epochs=1),
        "own layer answers": outcome(lambda: answers(own, "Pima")),
        "own layer trains": outcome(lambda: train_on(own, "Pima", epochs=1)),
        "steps_per_execution=2 trains": outcome(lambda: train_on(stepwise, "Pima", epochs=1)),
    }
    stepwise.steps_per_execution = 1
    traps["set to 1, it trains"] = outcome(lambda: train_on(stepwise, "Pima", epochs=1))
    path = folder.parent / PATIENT / "Pima.keras"
    again = keras.saving.load_model(path)
    again.compile(loss="binary_crossentropy", optimizer="adam")
    traps["compiled once more, it trains"] = outcome(lambda: train_on(again, "Pima", epochs=1))
    taken_out = build_model("Pima")
    taken_out.load_weights(path)
    traps["next loss with what was taken out"] = train_on(taken_out, "Pima", epochs=1)
    keras.backend.clear_session()
    named = [keras.layers.Dense(units, name=f"layer_{units}") for units in (12, 8, 1)]
    renamed = keras.Sequential([keras.Input(shape=(8,)), *named])
    renamed.compile(loss="binary_crossentropy", optimizer="adam")
    renamed.optimizer.build(renamed.trainable_variables)
    before = numbers_of(renamed)
    renamed.load_weights((home / "Pima.orbax").resolve())
    after = numbers_of(renamed)
    arrived = [name for name in before if not np.array_equal(before[name], after[name])]
    traps["arrived under other names"] = arrived
    traps["count of batches there"] = int(renamed.optimizer.iterations)
    (folder / "loaded.json").write_text(json.dumps({"rows": found, "traps": traps}))


def end_with_parent():
    sys.stdin.read()
    os._exit(1)


if sys.argv[1:] in (["train"], ["load"]):
    threading.Thread(target=end_with_parent, daemon=True).start()
    {"train": train, "load": compare_all}[sys.argv[1]](OUT / keras.backend.backend())
    sys.exit()

# %% [markdown]
"""
## Train: everywhere

From here on, this is the process that starts the others: one for each backend that trains, then one
for each that loads. All of them run the lines above, to the letter. That no line asks for the
backend is the promise of Keras 3 that is put to the test here.

The settings keep PyTorch to one thread, for three processes share the cores here. They keep it from
compiling, too: it would do so only with a `.keras` from JAX, for a reason that is given below, and
that takes longer than all of these trainings. And they leave a graphics card alone. What the
processes print goes into files.

Each leads a process group of its own, so that Ctrl-C reaches only this process, which then ends the
others. While it starts them, Ctrl-C has to wait: a process that was started but not yet noted in
`running` would be left behind. Should this one be killed itself, a pipe to each of the others
closes, and the thread that waits for that ends it.
"""

# %%
running, pressed = {}, []


def end_processes():
    for process in running.values():
        if process.poll() is None:
            process.kill()
            process.wait()


def interrupted(*_):
    print("Interrupted. Ending all processes.", file=sys.stderr)
    sys.exit(130)


atexit.register(end_processes)
signal.signal(signal.SIGINT, interrupted)
try:
    shutil.rmtree(OUT, ignore_errors=True)
    for backend in BACKENDS:
        (OUT / backend).mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

for name in set(NAMES) - set(BACKENDS):
    print(f"{NAMES[name]} is not installed; `make torch` does it. Here are the others.")
settings = {
    "TORCHDYNAMO_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
for word in ("train", "load"):
    signal.signal(signal.SIGINT, lambda *_: pressed.append("Ctrl-C"))
    for backend in BACKENDS:
        command = [sys.executable, "beyond/14_switch_backend.py", word]
        environment = os.environ | settings | {"KERAS_BACKEND": backend}
        with open(OUT / backend / f"printed_{word}.txt", "w") as printed:
            pipes = {"stdin": subprocess.PIPE, "stdout": printed, "stderr": printed}
            pipes |= {"env": environment, "start_new_session": True}
            running[backend] = subprocess.Popen(command, **pipes)
    signal.signal(signal.SIGINT, interrupted)
    if pressed:
        interrupted()
    failed = [backend for backend, process in running.items() if process.wait() != 0]
    if failed:
        sys.exit(f"{failed[0]} failed; {OUT / failed[0]}/printed_{word}.txt says why.")

found, traps = {}, {}
for backend in BACKENDS:
    loaded = json.loads((OUT / backend / "loaded.json").read_text())
    found[backend] = {tuple(name.split()): row for name, row in loaded["rows"].items()}
    traps[backend] = loaded["traps"]

# %% [markdown]
"""
## What travels

Every weight and every number of the optimizer arrives, bit for bit, in all three ways and between
any two backends. The answers differ by rounding, since each backend sums in an order of its own,
and as many are right as before. The network of script 01 goes on as it would have at home: the
loss of the next epoch agrees to four digits and more. With a fresh optimizer it would be another,
so it is the optimizer's memory that has travelled.

With one exception, and it is no small one. A `.keras` that was saved on PyTorch is loaded and
answers elsewhere, but does not train there (Keras 3.15.1): `TypeError: expected Tensor as element 0
in argument 0, but got ResourceVariable`, or on JAX `jaxlib._jax.ArrayImpl`. The file says that the
optimizer is a `keras.src.backend.torch.optimizers.torch_adam.Adam`, a class that works with
PyTorch's tensors, and that is what one gets. A machine without PyTorch cannot even load it, unless
with `compile=False`.

There are two remedies, both tried above. Compile once more what was loaded, which gives a fresh
optimizer. Or load the file of weights into a network that your own code has built and compiled,
which keeps the old one; `load_weights` takes weights and optimizer out of a `.keras` as well,
without a look at what else it says.
"""

# %%
header = ("trained on", "loaded on", "answers differ by", *(f"{e} goes on" for e in ENDINGS))
print("\n" + "".join(f"{word:24}" for word in header))
differences, trains_on = {}, {}
for origin in BACKENDS:
    for backend in BACKENDS:
        rows = {key[1:]: row for key, row in found[backend].items() if key[0] == origin}
        differences[origin, backend] = max(row["difference"] for row in rows.values())
        trains_on[origin, backend] = {
            ending: all(rows[network, ending]["goes_on"] == "works" for network in EPOCHS)
            for ending in ENDINGS
        }
        words = ["yes" if goes_on else "NO" for goes_on in trains_on[origin, backend].values()]
        words = [NAMES[origin], NAMES[backend], f"{differences[origin, backend]:.1e}", *words]
        print("".join(f"{word:24}" for word in words))
for backend in BACKENDS:
    for error in {row["goes_on"] for row in found[backend].values()} - {"works"}:
        print(f"NO, on {NAMES[backend]}: {error}")

# %% [markdown]
"""
## What does not travel

A *layer of one backend* is in the file by its name, and under that name it is found everywhere. It
even answers on every backend. But to train, or to evaluate, JAX calls it with placeholders instead
of numbers, of which `tensorflow.math.tanh` can make nothing, and PyTorch follows its own operations
only. One learns of it when the model is loaded, works, and is to be trained further, and on JAX by
a message that leads astray: `Unable to automatically build the model`. Layers that are written with
`keras.ops` have no such trouble.

*Whether the step is compiled.* `compile` decides that for the backend on which it runs, and the
`.keras` holds the decision. One from TensorFlow without a graphics card, or from PyTorch, says no,
and JAX, which is made for compiling, then trains without, at a fraction of its speed and without a
word. One from JAX says yes, and PyTorch compiles. The remedies are the two from above.

A *setting of `compile`* that a backend does not have is in the `.keras` all the same. PyTorch
refuses to train with `steps_per_execution`; it can be set to 1 in the model that was loaded.

The *random numbers*. Where dropout stood in them is in neither of the two files, so the network
goes on with others, at home as elsewhere, and its next loss is another one. The folder of Orbax has
it. At home, on TensorFlow and on JAX, the training then goes on exactly. Elsewhere it does not, for
from the same state each backend draws other numbers, and on PyTorch a `Dropout` without a seed of
its own draws without asking Keras. That training is not worse, only not the same. Script 12 shows
what else "exactly" needs.

The *folder of Orbax* travels as well as the files, and further, but goes by names. In a network
whose layers are called otherwise, no weight arrives, and nobody says so. The optimizer's count of
batches does arrive, if the optimizer is called `adam` in both, so not even that is a sign. All this
is no matter of the backend; but where it is changed, the code that builds the network is often
another one as well. From a graphics card, whose arrays the folder notes as such, it was not tried.
"""

# %%
for backend in BACKENDS:
    print(f"\n{NAMES[backend]}")
    for what, value in traps[backend].items():
        print(f"  {what:36}{textwrap.shorten(str(value), 90)}")
for origin in ("tensorflow", PATIENT):
    at_home = found[origin][origin, "Pima", ".keras"]["next_loss"]
    print(f"\nAt home the next loss of the file from {NAMES[origin]} is {at_home}.")

# %% [markdown]
"""
## Which one to take along

- To have it answer only: a `.keras`, from any backend. With `compile=False` the optimizer stays
  behind, and the decision whether to compile, and with them most of what could go wrong.
- To train on: `.weights.h5`, and the code that builds and compiles the network. It is the smallest
  common ground: nothing in it names a backend or decides for one.
- To go on exactly: stay on the backend, and see script 12. What comes out of another one is as good
  a training but never the same to the last bit.
- Before the long training, and not after it: load its first checkpoint where it is to be used,
  compare its answers with those at home, and train for some steps, with an eye on the clock.
"""

# %% [markdown]
"""
## Look: trained on, loaded on

Rows say where the checkpoint was made, columns where it was loaded; on the diagonal that is the
same backend in a fresh process. The number is the largest difference in any answer of either
network, whatever the way of saving, in millionths. Answers are probabilities, and `float32`, in
which they are computed, cannot tell two near 1 apart that differ by less than 0.06 millionths.
"""

# %%
names = [NAMES[backend] for backend in BACKENDS]
largest = np.array([[differences[o, b] for b in BACKENDS] for o in BACKENDS])
figure, axes = plt.subplots(figsize=(8, 5.2), layout="constrained")
image = axes.imshow(largest * 1e6, cmap="Blues", vmin=0, vmax=2, aspect="auto")
for (origin, backend), difference in differences.items():
    marks = ["yes" if goes_on else "NO" for goes_on in trains_on[origin, backend].values()]
    lines = [f"answers differ by {difference * 1e6:.1f}" if difference else "answers are the same"]
    lines += ["goes on training from"]
    lines += [f"{ending}: {mark}" for ending, mark in zip(ENDINGS, marks, strict=True)]
    place = BACKENDS.index(backend), BACKENDS.index(origin)
    edge = {"boxstyle": "round", "fc": "none", "ec": "#D55E00", "lw": 2} if "NO" in marks else None
    axes.text(*place, "\n".join(lines), ha="center", va="center", bbox=edge, linespacing=1.3)
axes.set_xticks(range(len(names)), names)
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="loaded on", ylabel="trained on")
axes.set_title("A checkpoint on another backend: weights and optimizer equal bit for bit")
figure.colorbar(image, label="largest difference of a probability, in millionths")
figure.savefig(OUT / "matrix.png", dpi=150)

# %% [markdown]
"""
## Check

For every pair of backends and every way of saving: weights, optimizer and its count of batches, the
same number of right answers, the answers up to rounding. The training goes on wherever it is said
to, with the loss that it would have had, which a fresh optimizer misses. And what is said not to
travel does not: should a later Keras mend it, this fails, and the text above can be shortened.

"Equal" means equal bits where numbers are only copied, and agreement to four digits where they are
computed anew, by another library in another order. More than that no backend promises, and two
processors with the same backend do not either.
"""


# %%
def batches_of(network):
    return math.ceil(len(DATA_OF[network][0]) / BATCH_SIZE)


for backend in BACKENDS:
    assert len(found[backend]) == len(BACKENDS) * len(EPOCHS) * len(ENDINGS)
    for (origin, network, ending), row in found[backend].items():
        without_seeds = network == "MNIST" and ending != ".orbax"
        assert row["unequal"] == (["seeds"] if without_seeds else [])
        assert row["iterations"] == EPOCHS[network] * batches_of(network)
        assert row["right"] == row["right_there"] and row["difference"] < 1e-5
        goes_on = origin == backend or origin != "torch" or ending != ".keras"
        assert (row["goes_on"] == "works") == goes_on
        home_of_decision = origin if ending == ".keras" else backend
        assert row["compiled"] == (home_of_decision == "jax")
        if not goes_on:
            assert "expected Tensor as element 0 in argument 0, but got" in row["goes_on"]
        if goes_on:
            exactly = origin == backend != "torch" and ending == ".orbax"
            same = math.isclose(row["next_loss"], row["next_loss_there"], rel_tol=1e-4)
            assert same == (network == "Pima" or exactly)
    here = traps[backend]
    at_home = found[backend]["tensorflow", "Pima", ".weights.h5"]["next_loss_there"]
    assert not math.isclose(here["next loss with a fresh optimizer"], at_home, rel_tol=1e-3)
    assert here["own layer answers"] == "works"
    assert (here["own layer trains"] == "works") == (backend == "tensorflow")
    assert (here["steps_per_execution=2 trains"] == "works") == (backend != "torch")
    assert here["set to 1, it trains"] == here["compiled once more, it trains"] == "works"
    there = found[backend][PATIENT, "Pima", ".weights.h5"]["next_loss_there"]
    assert math.isclose(here["next loss with what was taken out"], there, rel_tol=1e-4)
    assert here["arrived under other names"] == ["optimizer 0"]
    assert here["count of batches there"] == EPOCHS["Pima"] * batches_of("Pima")

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "largest difference of an answer on another backend, in millionths",
    "documented": None,
    "reproduced": round(largest.max() * 1e6, 3),
    "backends": BACKENDS,
    "trains_on": {f"{o} to {b}": endings for (o, b), endings in trains_on.items()},
    "traps": traps,
    "files": ["matrix.png"]
    + [f"{b}/{network}{ending}" for b in BACKENDS for network in EPOCHS for ending in ENDINGS[:2]],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
