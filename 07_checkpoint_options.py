# %% [markdown]
"""
# 07 · Try every option of the callback

`ModelCheckpoint` has eight parameters. Some mistakes with them raise no error: the training ends,
files are there, and only whoever loads them finds that they are the wrong ones. So each option is
tried on the same short training, the mistakes as well, and the files it leaves are counted. The
table at the end is the result.

- Run:    `python 07_checkpoint_options.py`
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/07_checkpoint_options/`: a folder for each training, `learning_curve.png`,
  `result.json`
- From:   documents 1, 4 and 5
- Next:   `08_stop_overtraining.py` puts the callback to work beside others
"""

# %% [markdown]
"""
## Settings and seed

Six epochs of six batches. The learning rate is far too high on purpose: the scores should go up and
down, or keeping every epoch and keeping the best would look the same. Document 4 lists seven
parameters, one of which, `period`, is gone today; two have come instead, `save_freq` and
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
DOCUMENTED_PARAMETERS = 7  # document 4's list
OUT = pathlib.Path("out/07_checkpoint_options")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. The last
third of the rows validates; without validation rows there would be no `val_` quantity to put into a
name or to monitor.
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

As in script 06: with mean 0 and deviation 1 a few epochs are enough to learn something, and the
code is the same.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: ten, one

One hidden layer will do. Beside Keras's accuracy there is a metric of our own: the share of women
whom the network takes for ill. Whether more of it is better, nobody can tell from its name, and
Keras cannot either. A metric of one's own is a function of the truth and the answers, and appears
in the log under its own name, and with `val_` in front for the validation rows.
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
model.compile(
    loss="binary_crossentropy",
    optimizer=keras.optimizers.Adam(learning_rate=LEARNING_RATE),
    metrics=["accuracy", share_of_alarms],
)

# %% [markdown]
"""
## Train: the same six epochs each time

The function below puts the first weights and the unused optimizer back, sets the seed, and trains
with one checkpoint. So the scores are the same every time, and whatever differs is the option's
doing. (The evaluation before them all has a reason: in the first `fit` of a model Keras on JAX
shuffles once more than in the others, in order to look at a batch before it begins.) A second
callback notes after which batch a file was written, by the time at which the file was last changed.
What Keras warns of by Python's `warnings`, or raises, goes into the table, too.
"""

# %%
model.optimizer.build(model.trainable_variables)
model.evaluate(x_validation, y_validation, batch_size=len(x_validation), verbose=0)
variables = model.weights + model.optimizer.variables
first_values = [keras.ops.convert_to_numpy(variable) for variable in variables]
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
    saves, seen, batches = [], set(), 0

    def note_saves(batch_or_epoch, logs):
        present = {(path.name, path.stat().st_mtime_ns) for path in folder.glob("*")}
        if present - seen:
            saves.append(batches)
        seen.update(present)

    def count_batch(batch, logs):
        nonlocal batches
        batches += 1

    count = keras.callbacks.LambdaCallback(on_train_batch_end=count_batch)
    notes = keras.callbacks.LambdaCallback(on_train_batch_end=note_saves, on_epoch_end=note_saves)
    curve, error, failed_after, printed = {}, "", None, io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always", UserWarning)
        try:
            checkpoint = keras.callbacks.ModelCheckpoint(folder / file_name, **options)
            curve = model.fit(
                x,
                y,
                validation_split=VALIDATION_SPLIT,
                validation_batch_size=len(x_validation),
                epochs=EPOCHS,
                batch_size=BATCH_SIZE,
                callbacks=[count, checkpoint, notes],
                verbose=0,
            ).history
        except (KeyError, TypeError, ValueError) as raised:
            error = f"{type(raised).__name__}: {raised.args[0]}"
            failed_after = round(batches / batches_per_epoch, 2)
    trainings[label] = {
        "files": sorted(path.name for path in folder.glob("*")),
        "saved_after_epochs": [round(batch / batches_per_epoch, 2) for batch in saves],
        "warnings": sorted({str(each.message) for each in caught if each.category is UserWarning}),
        "error": error,
        "failed_after_epochs": failed_after,
        "lines_printed": printed.getvalue().count("Epoch"),
    }
    return curve


# %% [markdown]
"""
## filepath

A name without placeholders is overwritten each time. `{epoch}` counts from 1, and any metric of the
log may stand beside it, of the training (`loss`) as of the validation (`val_loss`), with the format
after the colon; `:02d` pads to two digits, `:.2f` keeps two decimals. Document 1 speaks of the time
in the name. Keras knows no placeholder for it: Python puts the time in before the training begins,
and all files of one run carry the same.

A metric that is not in the log raises `KeyError`, after the first epoch and not before: at the end
of an hour, if an epoch takes one. That is the fate of the documents' `val_acc`. Their ending
`.hdf5` fails at once.
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

`monitor` names the quantity by which to judge. Without `save_best_only` it decides nothing:
document 4 passes it alone, and rightly says that there will be a file for every epoch. (A name that
Keras does not know is refused all the same, unless `mode` is given.)

With both, only strict improvements are written. With a name that is not in the log, such as the old
`val_acc`, no improvement can be seen: Keras warns, and saves after *every* epoch. Under a fixed
name, as here, that leaves the last model where the best is expected, and a warning that scrolled by
hours ago. Without `mode="max"` Keras would have refused; the next section says why.
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

`"max"` if more is better, `"min"` if less. `"auto"`, the default, asks the metric itself:
accuracies and errors know their direction, and a loss should be low. (Document 4 has it inferred
from the name; that was so.) Of a function of your own, of a mere count such as `FalsePositives`, or
of a misspelt name, it finds no direction and refuses at the end of the first epoch: `ValueError`.
The direction matters only for `save_best_only`, but Keras asks for it in any case. In that it is
safer than a `"max"` of your own. The wrong direction, in contrast, is never noticed: the file then
holds the worst model. And a word that is none of the three is taken for `"auto"`, with a warning.
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

Weights alone belong into a file ending in `.weights.h5`, and nowhere else. The name is not enough,
as the last training below shows. `verbose=1` prints two lines for each save: one when it begins,
one when it has ended. A log that stops between the two tells which file not to trust. With
`save_best_only` it also says when nothing was saved.
"""

# %%
train("weights only", "model-{epoch:02d}.weights.h5", save_weights_only=True)
train("weights only as keras", "model-{epoch:02d}.keras", save_weights_only=True)
train("verbose 1", "model-{epoch:02d}.keras", verbose=1)

# %% [markdown]
"""
## save_freq, and the period that is gone

An epoch may take a day. A number in place of `"epoch"` saves after so many *batches*, counted on
through the epochs; `{batch}` may stand in the name, counted from 1 within the epoch. (This model is
compiled without `steps_per_execution`; with it, Keras can save between executions only.) Validation
has not happened at that time, so no `val_` quantity can stand there: `KeyError`.

For the same reason it goes badly with `save_best_only`. With a quantity of the validation nothing
can be compared, and every save happens, with a warning: the misspelt monitor again. With one of the
training it raises `TypeError` if a second save falls into the first epoch, by a fault of Keras
3.15, and after that judges by the average of an epoch that has only begun.

`period=2`, every second epoch, is refused today. The nearest is `save_freq` with two epochs' worth
of batches. Take care that it is the number of batches of *these* data: with one batch more, for
which a single row is enough, the saves drift away from the ends of the epochs. Script 10 shows how
to write a callback of one's own.
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

The best value so far lives in the callback's memory. After a restart the first epoch is always "the
best", and overwrites a better model of yesterday. The threshold is yesterday's best: here, once, a
value that this training beats in the end, and once one that nothing beats, so that no file is
written at all.
"""

# %%
beatable = (curve["val_accuracy"][0] + max(curve["val_accuracy"])) / 2
names = "model-{epoch:02d}.keras"
train("threshold to beat", names, initial_value_threshold=beatable, **by_accuracy)
train("threshold out of reach", names, initial_value_threshold=1.0, **by_accuracy)

# %% [markdown]
"""
## The weights' name without the option

This training comes last, for a reason. `save_weights_only` forgotten, the name kept: Keras writes a
whole model in the old `.h5` format under it, says no more than that the format is old (in its log,
not as a warning), and `load_weights` refuses the file later. And writing that format, in Keras
3.15, takes the optimizer's settings away from the model: `.keras` files that the same model writes
afterwards load with another optimizer, which has forgotten everything.
"""

# %%
train("weights name alone", "model-{epoch:02d}.weights.h5")

# %% [markdown]
"""
## The table

How to read it: the option, the number of files left, and after which epochs a file was written. An
epoch of 1.5 is a save in the middle of the second. Where Keras said something, it stands below.

Three kinds of mistakes can be told apart. Some stop at once: the wrong ending, `period`. Some stop
after the first epoch or the first save: a name that the log does not have, a direction that cannot
be inferred. They cost an epoch. The third kind never stops: the misspelt monitor with a `mode`, the
wrong `mode`, the validation score with a `save_freq` in batches, the weights' ending without the
option. They cost the training. Against these helps what script 03 does: load the file, and compare
its score with the one in the log.
"""

# %%
for label, training in trainings.items():
    moments = " ".join(f"{moment:g}" for moment in training["saved_after_epochs"]) or "never"
    print(f"{label:27}{len(training['files']):2d} files, saved after {moments}")
    for line in [*training["warnings"], training["error"]]:
        if line:
            print(f"{'':29}{line[:160]}")

# %% [markdown]
"""
## Look: when each option saves

Above, the scores of the one training that all these options watched. Below, a line for each option
and a dot for each save. Crosses mark the options that ended in an error, at the point where they
did. Compare the lines "best only" and "misspelt monitor": the same was meant, and only the dots
tell that something else happened.
"""

# %%
figure, (upper, lower) = plt.subplots(
    2, figsize=(8, 9), layout="constrained", sharex=True, height_ratios=[1, 3]
)
epochs = range(1, EPOCHS + 1)
upper.plot(epochs, curve["val_accuracy"], "o-", color="#0072B2", label="validation accuracy")
upper.plot(epochs, curve["val_loss"], "s--", color="#D55E00", label="validation loss")
for row, training in enumerate(trainings.values()):
    moments = training["saved_after_epochs"]
    lower.plot(moments, [row] * len(moments), "o", color="#E69F00")
    if training["error"]:
        lower.plot(training["failed_after_epochs"], row, "x", color="black", ms=9)
lower.plot([], [], "o", color="#E69F00", label="a file is written")
lower.plot([], [], "x", color="black", ms=9, label="Keras raises an error")
upper.set_title(f"Pima: {len(trainings)} ways to save the same {EPOCHS} epochs")
upper.set(ylabel="share, or cross-entropy")
lower.set(xlabel="epoch", ylim=(len(trainings) - 0.5, -0.5), xlim=(-0.2, 8.5))
lower.set_xticks(range(EPOCHS + 1))
lower.set_yticks(range(len(trainings)), trainings)
upper.legend(loc="center right")
lower.legend(loc="center right")
upper.grid(alpha=0.3)
lower.grid(alpha=0.3)
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

The trainings have tried every parameter that the callback has, and what each left is what the text
says. Where files depend on scores, the scores decide: the saves must fall where the running best
was strictly passed. The file of the misspelt monitor holds the last epoch, that of the wrong `mode`
the worst. (A model compiled with a function of one's own must be given it again on loading, as
`custom_objects`.)
"""


# %%
def improvements(values, best=-math.inf):
    return [
        epoch for epoch, value in enumerate(values, 1) if value > max([best, *values[: epoch - 1]])
    ]


every_epoch, by_alarm = list(epochs), curve["val_share_of_alarms"]
expected = {
    "fixed name": every_epoch,
    "epoch in the name": every_epoch,
    "metrics in the name": every_epoch,
    "time in the name": every_epoch,
    "monitor alone": every_epoch,
    "best only": improvements(curve["val_accuracy"]),
    "best only by val_loss": improvements([-value for value in curve["val_loss"]]),
    "misspelt monitor": every_epoch,
    "mode max": improvements(curve["val_accuracy"]),
    "mode min": improvements([-value for value in curve["val_accuracy"]]),
    "mode maximum": improvements(curve["val_accuracy"]),
    "max, own metric": improvements(by_alarm),
    "weights only": every_epoch,
    "weights name alone": every_epoch,
    "verbose 1": every_epoch,
    "threshold out of reach": [],
    "save_freq 9": [1.5, 3, 4.5, 6],
    "save_freq, best, val_loss": [1.5, 3, 4.5, 6],
    "save_freq, best, loss": [0.33],
    "two epochs of batches": [2, 4, 6],
    "threshold to beat": improvements(curve["val_accuracy"], best=beatable),
}
errors = {
    "val_acc in the name": "KeyError",
    "hdf5 as ending": "ValueError",
    "misspelt monitor alone": "ValueError",
    "misspelt, mode auto": "ValueError",
    "auto, own metric": "ValueError",
    "weights only as keras": "ValueError",
    "save_freq 9, val_loss": "KeyError",
    "save_freq, best, loss": "TypeError",
    "period 2": "TypeError",
}
assert expected.keys() | errors.keys() == trainings.keys()
for label, training in trainings.items():
    assert training["saved_after_epochs"] == expected.get(label, []), label
    assert training["error"].partition(":")[0] == errors.get(label, ""), label
assert trainings["val_acc in the name"]["failed_after_epochs"] == 1
assert trainings["hdf5 as ending"]["failed_after_epochs"] == 0
assert trainings["save_freq 9, val_loss"]["failed_after_epochs"] == 1.5
assert trainings["save_freq, best, loss"]["failed_after_epochs"] == 0.67
assert len(improvements(curve["val_accuracy"])) < EPOCHS
assert trainings["fixed name"]["files"] == ["model.keras"]
assert trainings["save_freq 9"]["files"][0] == "model-02-03.keras"
assert trainings["verbose 1"]["lines_printed"] == 2 * EPOCHS
assert trainings["fixed name"]["lines_printed"] == 0
assert "available" in trainings["misspelt monitor"]["warnings"][0]
assert "fallback to auto" in trainings["mode maximum"]["warnings"][0]
misspelt = OUT / "misspelt_monitor" / "best.keras"
own_metric = {"share_of_alarms": share_of_alarms}
last_model = keras.models.load_model(misspelt, custom_objects=own_metric)
assert int(last_model.optimizer.iterations) == EPOCHS * batches_per_epoch
worst_model = keras.models.load_model(
    OUT / "mode_min" / trainings["mode min"]["files"][-1], custom_objects=own_metric
)
scores = worst_model.evaluate(
    x_validation, y_validation, batch_size=len(x_validation), verbose=0, return_dict=True
)
assert scores["accuracy"] == min(curve["val_accuracy"])
parameters = list(inspect.signature(keras.callbacks.ModelCheckpoint).parameters)
assert len(parameters) == 8

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "parameters of ModelCheckpoint",
    "documented": DOCUMENTED_PARAMETERS,
    "reproduced": len(parameters),
    "val_accuracy": curve["val_accuracy"],
    "trainings": trainings,
    "files": sorted(str(path.relative_to(OUT)) for path in OUT.glob("*/*")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
