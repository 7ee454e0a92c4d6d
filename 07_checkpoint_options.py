# %% [markdown]
"""
# 07 · Try every option of the callback

After this lesson you can choose the options of `ModelCheckpoint` and recognise the mistakes that
raise no error. Those cost the most: the training ends, files are there, and only the one who loads
them finds that they are the wrong ones. The script tries every option on the same short training,
and the mistakes as well, and counts the files that each leaves.

- Run:    `python 07_checkpoint_options.py` (in practice, 30 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/07_checkpoint_options/`: a folder for each training, `when_each_option_saves.png`,
  `result.json`
- From:   *Deep Learning With Python*, chapter 14, Aveek Saha's article (dev.to) and the Towards
  Data Science article on overtraining
- Next:   `08_stop_overtraining.py` puts the callback to work beside others
"""

# %% [markdown]
"""
## Which option when

| you want | write | what goes wrong without an error |
|---|---|---|
| one file, the newest | `"model.keras"` | |
| a file for each epoch | `"model-{epoch:02d}.keras"` | |
| the score in the name | `"model-{epoch:02d}-{val_loss:.2f}.keras"` | |
| improvements only | `save_best_only=True` | a misspelt `monitor` with a `mode` saves all |
| to say what is better | `mode="auto"`, the default | the wrong `mode` keeps the worst model |
| the weights only | `save_weights_only=True` | the ending `.weights.h5` alone is not enough |
| a save every 100 batches | `save_freq=100` | `save_best_only` by a `val_…` saves all |
| the best across restarts | `initial_value_threshold=…` | left out, the first epoch is "best" |
| two lines for each save | `verbose=1` | |

The sections below run each row of this table, in this order.
"""

# %% [markdown]
"""
## Settings and seed

Six epochs of six batches. The learning rate is far too high on purpose, so that the scores go up
and down. Otherwise keeping every epoch and keeping the best would look the same. Aveek Saha's
article lists seven parameters. One of them, `period`, is gone today. Two are new: `save_freq` and
`initial_value_threshold`.
"""

# %%
import contextlib
import inspect
import io
import json
import math
import pathlib
import shutil
import sys
import time
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 6
BATCH_SIZE = 100
LEARNING_RATE = 0.1
VALIDATION_SPLIT = 0.33
DOCUMENTED_PARAMETERS = 7  # Aveek Saha's list
OUT = pathlib.Path("out/07_checkpoint_options")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. The last
third of the rows validates. Without validation rows there is no `val_` quantity for a file name or
for `monitor`.
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
## Standardise the columns

As in script 06: with mean 0 and standard deviation 1, a few epochs are enough to learn something.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: ten, one

One hidden layer, and two metrics: Keras's accuracy and one of our own, the share of women whom the
network takes for ill. Keras cannot know whether more of it is better. A metric of your own is a
function of the truth and the answers. It appears in the log under its own name, and with `val_` in
front for the validation rows.
"""


# %%
def share_of_alarms(truth, probability):
    return keras.ops.mean(keras.ops.cast(probability > 0.5, "float32"))


model = keras.Sequential(
    [
        keras.Input(shape=(8,)),
        keras.layers.Dense(10, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
adam = keras.optimizers.Adam(learning_rate=LEARNING_RATE)
model.compile(loss="binary_crossentropy", optimizer=adam, metrics=["accuracy", share_of_alarms])

# %% [markdown]
"""
## Train: the same six epochs each time

The function restores the first weights and the unused optimizer, sets the seed, and trains with one
checkpoint. So the scores are the same every time, and only the option differs. (Keras on JAX
shuffles once more in the first `fit` of a model. The `evaluate` before all trainings takes that
extra shuffle away.) A second callback notes after which batch a file was written, from the time of
its last change. Warnings and errors go into the table as well.
"""

# %%
model.optimizer.build(model.trainable_variables)
model.evaluate(x_validation, y_validation, batch_size=len(x_validation), verbose=0)
variables = model.weights + model.optimizer.variables
first_values = [keras.ops.convert_to_numpy(variable) for variable in variables]
training_data = {"x": x, "y": y, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "verbose": 0}
training_data |= {"validation_split": VALIDATION_SPLIT, "validation_batch_size": len(x_validation)}
trainings = {}
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")


def train(label, file_name, **options):
    for variable, value in zip(variables, first_values):
        variable.assign(value)
    keras.utils.set_random_seed(SEED)
    folder = OUT / label.replace(" ", "_")
    saves, seen, batches = [], set(), []

    def note_saves(batch_or_epoch, logs):
        present = {(path.name, path.stat().st_mtime_ns) for path in folder.glob("*")}
        if present - seen:
            saves.append(round(len(batches) / batches_per_epoch, 2))
        seen.update(present)

    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda n, logs: batches.append(n))
    notes = keras.callbacks.LambdaCallback(on_train_batch_end=note_saves, on_epoch_end=note_saves)
    curve, error, printed = {}, "", io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always", UserWarning)
        try:
            checkpoint = keras.callbacks.ModelCheckpoint(folder / file_name, **options)
            curve = model.fit(**training_data, callbacks=[count, checkpoint, notes]).history
        except (KeyError, TypeError, ValueError) as raised:
            error = f"{type(raised).__name__}: {raised.args[0]}"
    trainings[label] = {
        "files": sorted(path.name for path in folder.glob("*")),
        "saved_after_epochs": saves,
        "warnings": sorted({str(each.message) for each in caught if each.category is UserWarning}),
        "error": error,
        "failed_after_epochs": round(len(batches) / batches_per_epoch, 2) if error else None,
        "lines_printed": printed.getvalue().count("Epoch"),
    }
    return curve


# %% [markdown]
"""
## filepath

A name without placeholders is overwritten each time. `{epoch}` counts from 1. Any quantity of the
log may stand beside it, from the training (`loss`) or the validation (`val_loss`). The format comes
after the colon: `:02d` pads to two digits, `:.2f` keeps two decimals. *Deep Learning With Python*
mentions the time in the name. Keras has no placeholder for it: Python inserts the time before the
training begins, so all files of one run carry the same time.

A quantity that is not in the log, such as the tutorials' `val_acc`, raises `KeyError`, but only
after the first epoch. The tutorials' ending `.hdf5` fails at once.
"""

# %%
curve = train("fixed name", "model.keras")
train("epoch in the name", "model-{epoch:02d}.keras")
train("metrics in the name", "model-{epoch:02d}-{loss:.2f}-{val_loss:.2f}.keras")
train("time in the name", time.strftime("%Y-%m-%d-%H%M%S-") + "{epoch:02d}.keras")
train("val_acc in the name", "model-{epoch:02d}-{val_acc:.2f}.keras")
train("hdf5 as ending", "model-{epoch:02d}.hdf5")

# %% [markdown]
"""
## save_best_only and monitor

`monitor` names the quantity to judge by. Without `save_best_only` it changes nothing: every epoch
is saved, as Aveek Saha's article says. But without `mode`, even then an unknown name is an error.

With both, only strict improvements are saved. An unknown name together with a `mode` is the worst
case. Keras sees no improvement, warns, and saves after *every* epoch. Under a fixed name, as here,
the last model then lies where you expect the best, and the warning has scrolled by.
"""

# %%
train("monitor alone", "model-{epoch:02d}.keras", monitor="val_accuracy")
train("misspelt monitor alone", "model-{epoch:02d}.keras", monitor="val_acc")
train("best only", "model-{epoch:02d}.keras", monitor="val_accuracy", save_best_only=True)
train("best only by val_loss", "model-{epoch:02d}.keras", monitor="val_loss", save_best_only=True)
train("misspelt monitor", "best.keras", monitor="val_acc", mode="max", save_best_only=True)
train("misspelt, mode auto", "best.keras", monitor="val_acc", save_best_only=True)

# %% [markdown]
"""
## mode

`"max"` if more is better, `"min"` if less. `"auto"`, the default, asks the metric: accuracies and
errors know their direction, and a loss should be low. (When Aveek Saha wrote, Keras inferred it
from the name.) For a function of your own, a count such as `FalsePositives`, or a misspelt name,
`"auto"` finds no direction. Then Keras raises `ValueError` at the end of the first epoch, even
without `save_best_only`. So leave `mode` at auto: a misspelt monitor is then an error, not a
warning.

Nothing warns you of a wrong direction: the file then holds the worst model. Keras replaces any
other word by `"auto"`, with a warning.
"""

# %%
by_accuracy = {"monitor": "val_accuracy", "save_best_only": True}
by_alarms = {"monitor": "val_share_of_alarms", "save_best_only": True}
train("mode max", "model-{epoch:02d}.keras", mode="max", **by_accuracy)
train("mode min", "model-{epoch:02d}.keras", mode="min", **by_accuracy)
train("mode maximum", "model-{epoch:02d}.keras", mode="maximum", **by_accuracy)
train("auto, own metric", "model-{epoch:02d}.keras", **by_alarms)
train("max, own metric", "model-{epoch:02d}.keras", mode="max", **by_alarms)

# %% [markdown]
"""
## save_weights_only and verbose

Weights alone need a file name that ends in `.weights.h5`. The name alone is not enough, as the last
training below shows. `verbose=1` prints two lines for each save: one when it begins and one when it
has ended. If a log stops between the two, do not trust that file. With `save_best_only` it also
says when nothing was saved.
"""

# %%
train("weights only", "model-{epoch:02d}.weights.h5", save_weights_only=True)
train("weights only as keras", "model-{epoch:02d}.keras", save_weights_only=True)
train("verbose 1", "model-{epoch:02d}.keras", verbose=1)

# %% [markdown]
"""
## save_freq, and the period that is gone

An epoch may take a day. A number instead of `"epoch"` saves after that many *batches*, counted on
across epochs. `{batch}` in the name counts from 1 within the epoch. (With `steps_per_execution`,
Keras can save only between two executions.) Validation has not happened in mid-epoch, so a `val_`
quantity in the name raises `KeyError`.

It also breaks `save_best_only`. With a `val_` monitor nothing can be compared, and every save
happens, with a warning. With a training quantity, Keras 3.15 raises `TypeError` at the second save
of the first epoch. Later epochs are judged by the average of an epoch that has only begun.

`period=2`, every second epoch, is refused today. Write a callback for it:
[docs/PITFALLS.md](docs/PITFALLS.md#modelcheckpoint__init__-got-an-unexpected-keyword-argument-period)
has one of four lines. `save_freq` with two epochs' worth of batches does the same only while you
know the exact number of batches. One row more can add a batch, and the saves drift away from the
ends of the epochs.
"""

# %%
train("save_freq 9", "model-{epoch:02d}-{batch:02d}.keras", save_freq=9)
train("save_freq 9, val_loss", "model-{epoch:02d}-{val_loss:.2f}.keras", save_freq=9)
train("save_freq, best, val_loss", "best.keras", save_freq=9, save_best_only=True)
train("save_freq, best, loss", "best.keras", save_freq=2, save_best_only=True, monitor="loss")
train("period 2", "model-{epoch:02d}.keras", period=2)
train("two epochs of batches", "model-{epoch:02d}.keras", save_freq=2 * batches_per_epoch)

# %% [markdown]
"""
## initial_value_threshold

The callback remembers the best value in memory only. After a restart the first epoch always counts
as the best and overwrites a better model. Pass the best value so far as the threshold. Here one
training gets a value that it beats. The other gets a value out of reach, and writes no file.
"""

# %%
beatable = (curve["val_accuracy"][0] + max(curve["val_accuracy"])) / 2
names = "model-{epoch:02d}.keras"
train("threshold to beat", names, initial_value_threshold=beatable, **by_accuracy)
train("threshold out of reach", names, initial_value_threshold=1.0, **by_accuracy)

# %% [markdown]
"""
## The weights' name without the option

Without `save_weights_only`, the name `….weights.h5` makes Keras write a whole model in the old
`.h5` format. It says only that the format is old (in its log, not as a warning), and `load_weights`
refuses the file later.

This training comes last for a reason. Writing that format, Keras 3.15 takes the optimizer's
settings away from the model. Every `.keras` file that the same model writes afterwards loads with
another optimizer, in its initial state.
"""

# %%
train("weights name alone", "model-{epoch:02d}.weights.h5")

# %% [markdown]
"""
## The table

Each line shows the option, the number of files left, and after which epochs a file was written. An
epoch of 1.5 is a save in the middle of the second. What Keras said stands below.

There are three kinds of mistakes. Some stop at once: the wrong ending, `period`. Some stop after
the first epoch or save: a name that is not in the log, a direction that cannot be inferred. The
third kind never stops: the misspelt monitor with a `mode`, the wrong `mode`, the validation score
with a `save_freq` in batches, the weights' ending without the option. To catch these, do what
script 03 does: load the file, and compare its score with the log.
"""

# %%
for label, training in trainings.items():
    moments = " ".join(f"{moment:g}" for moment in training["saved_after_epochs"]) or "never"
    print(f"{label:27}{len(training['files']):2d} files, saved after {moments}")
    for line in filter(None, [*training["warnings"], training["error"]]):
        print(f"{'':29}{line[:160]}")

# %% [markdown]
"""
## Look: when each option saves

The upper plot shows the scores of the one training that all options watched. In the lower plot each
line is an option and each mark a save. Blue circles are saves as asked. Vermilion squares belong to
the four mistakes that never stop. A cross is the error that ended the training. Compare "best only"
with "misspelt monitor": the same was meant, and only the marks show that something else happened.
"""

# %%
SILENT = ("misspelt monitor", "mode min", "save_freq, best, val_loss", "weights name alone")
epochs = range(1, EPOCHS + 1)
figure, (upper, lower) = plt.subplots(2, figsize=(8, 9), layout="tight", height_ratios=[1, 4])
upper.plot(epochs, curve["val_accuracy"], "o-", color="#0072B2", label="validation accuracy")
upper.plot(epochs, curve["val_loss"], "s--", color="#CC79A7", label="validation loss")
marks = {"as asked": ("o", "#0072B2"), "silent mistake": ("s", "#D55E00"), "error": ("x", "black")}
for meaning, (marker, colour) in marks.items():
    lower.plot([], [], marker, color=colour, label=meaning)
for row, (label, training) in enumerate(trainings.items()):
    marker, colour = marks["silent mistake" if label in SILENT else "as asked"]
    moments = training["saved_after_epochs"]
    lower.plot(moments, [row] * len(moments), marker, color=colour)
    if training["error"]:
        lower.plot(training["failed_after_epochs"], row, "x", color="black", ms=9)
    lower.text(EPOCHS + 0.3, row, f"files: {len(training['files'])}", va="center")
upper.set_title(f"Pima: {len(trainings)} ways to save the same {EPOCHS} epochs", y=1.25)
upper.set(ylabel="share, or cross-entropy")
lower.set(xlabel="epoch", ylim=(len(trainings) - 0.5, -0.5))
lower.set_yticks(range(len(trainings)), trainings)
for axes in (upper, lower):
    axes.set(xlim=(-0.2, EPOCHS + 1), xticks=range(EPOCHS + 1))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    axes.grid(alpha=0.3)
figure.savefig(OUT / "when_each_option_saves.png", dpi=150)

# %% [markdown]
"""
## Check

Every option left what the text says, and failed when and how the text says. Where files depend on
scores, the saves fall where the running best was strictly passed. The file of the misspelt monitor
holds the last epoch, that of the wrong `mode` the worst. A model that was compiled with your own
function needs it again on loading: pass it in `custom_objects`.
"""


# %%
def improvements(values, best=-math.inf):
    return [n for n, value in enumerate(values, 1) if value > max([best, *values[: n - 1]])]


def load_last(label):
    path = OUT / label.replace(" ", "_") / trainings[label]["files"][-1]
    return keras.models.load_model(path, custom_objects={"share_of_alarms": share_of_alarms})


failures = {
    ("KeyError", 1): ["val_acc in the name"],
    ("KeyError", 1.5): ["save_freq 9, val_loss"],
    ("TypeError", 0): ["period 2"],
    ("TypeError", 0.67): ["save_freq, best, loss"],
    ("ValueError", 0): ["hdf5 as ending", "weights only as keras"],
    ("ValueError", 1): ["misspelt monitor alone", "misspelt, mode auto", "auto, own metric"],
}
errors = {label: failure for failure, labels in failures.items() for label in labels}
best_only = improvements(curve["val_accuracy"])
expected = {label: [] if label in errors else list(epochs) for label in trainings}
expected |= dict.fromkeys(["best only", "mode max", "mode maximum"], best_only) | {
    "best only by val_loss": improvements([-value for value in curve["val_loss"]]),
    "mode min": improvements([-value for value in curve["val_accuracy"]]),
    "max, own metric": improvements(curve["val_share_of_alarms"]),
    "save_freq 9": [1.5, 3, 4.5, 6],
    "save_freq, best, val_loss": [1.5, 3, 4.5, 6],
    "save_freq, best, loss": [0.33],
    "two epochs of batches": [2, 4, 6],
    "threshold to beat": improvements(curve["val_accuracy"], best=beatable),
    "threshold out of reach": [],
}
assert expected.keys() == trainings.keys() and len(best_only) < EPOCHS
for label, training in trainings.items():
    outcome = training["error"].partition(":")[0], training["failed_after_epochs"]
    assert training["saved_after_epochs"] == expected[label], label
    assert outcome == errors.get(label, ("", None)), label
    assert training["lines_printed"] == (2 * EPOCHS if label == "verbose 1" else 0), label
assert trainings["fixed name"]["files"] == ["model.keras"]
assert trainings["save_freq 9"]["files"][0] == "model-02-03.keras"
assert "available" in trainings["misspelt monitor"]["warnings"][0]
assert "fallback to auto" in trainings["mode maximum"]["warnings"][0]
assert int(load_last("misspelt monitor").optimizer.iterations) == EPOCHS * batches_per_epoch
scores = load_last("mode min").evaluate(x_validation, y_validation, verbose=0, return_dict=True)
assert scores["accuracy"] == min(curve["val_accuracy"])
parameters = list(inspect.signature(keras.callbacks.ModelCheckpoint).parameters)
assert len(parameters) == 8

# %% [markdown]
"""
## Result

`make all` puts these numbers into its table.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "parameters of ModelCheckpoint",
    "documented": DOCUMENTED_PARAMETERS,
    "reproduced": len(parameters),
    **curve,
    "trainings": trainings,
    "files": sorted(str(path.relative_to(OUT)) for path in OUT.glob("*/*")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
