# %% [markdown]
"""
# 17 · How typical is a result?

The documents report what one training reached, and scripts 01 and 02 set one training of their own
beside it, which falls short. Is that a mistake, or chance? One run cannot say. The initial weights
and the order of the rows are random, and with 254 validation rows a few answers more or less make a
per cent.

Here the documents' experiment is made three hundred times, each time with other random numbers.
Where a documented value lies among three hundred says what it is worth. One by one they would take
half an hour. Compiled into one program that trains them side by side, they take seconds. The same
runs then answer a second question, which no tutorial asks: how much of the best epoch's score is
merit of the network, and how much comes from having looked at 150 scores and taken the highest?

- Run:    `python beyond/17_how_typical.py`
- Reads:  `data/pima-indians-diabetes.csv`, `out/01_checkpoint_improvements/result.json`
- Writes: `out/17_how_typical/`: every run in `runs.csv`, `distribution.png`, `result.json`
- From:   beyond the documents; the numbers of documents 1 and 2
- Next:   `README.md`, where the share of runs that reach it stands beside each documented value
"""

# %% [markdown]
"""
## Settings and seed

The documents' values, for the seeds 1 to 300. The program needs JAX, which can transform a function
of one training into a function of many, and so the script chooses that backend itself, whatever
`KERAS_BACKEND` says. That has to happen before Keras is imported; afterwards nothing changes it.

The logs of the documents and the names of the files in them tell what the best value was at some
epochs. `DOCUMENTED_EPOCHS` are these.
"""

# %%
import csv
import json
import math
import os
import pathlib
import shutil
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
SEEDS = range(1, 301)
EPOCHS = 150
BATCH_SIZE = 10
VALIDATION_SPLIT = 0.33
DOCUMENTED_BEST = {"document 1": 0.84252, "document 2": 0.79528}
DOCUMENTED_ON_ALL_ROWS = 0.7773  # both documents
DOCUMENTED_EPOCHS = (53, 71, 74, 77, 81, 91, 93, 99, 139, 140)  # where they name a best value
OUT = pathlib.Path("out/17_how_typical")
SCRIPT_01 = pathlib.Path("out/01_checkpoint_improvements/result.json")

try:
    run_of_script_01 = json.loads(SCRIPT_01.read_text())
    marks = {f"script 01, {run_of_script_01['backend']}": run_of_script_01["reproduced"]}
except (OSError, ValueError, KeyError) as error:
    sys.exit(f"{SCRIPT_01} cannot be read ({error}). Make it: python {SCRIPT_01.parent.name}.py")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

The cell of script 01: the last third of the rows validates.
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

Also that of script 01.
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
## Draw what is random

Each seed gives a clone of the network its initial weights, the same that script 01 has with that
`SEED`. `initial_weights` then holds, for each variable of the network, those of all seeds in one
array.

The rows of the training come in another order in every epoch: `reshuffled` holds it for every seed
and every epoch. The program below is told the order and draws nothing. So it can be given the order
that `fit` is given, or one that stays, or other rows, and remains the same program.
"""

# %%
chance = np.random.default_rng(SEED)
initial_weights = []
for seed in SEEDS:
    keras.utils.set_random_seed(seed)
    initial_weights.append(keras.models.clone_model(model).get_weights())
initial_weights = [np.stack(weights) for weights in zip(*initial_weights)]


def orders(rows):
    return chance.permuted(np.repeat(rows[:, np.newaxis], EPOCHS, axis=1), axis=2).astype("int16")


reshuffled = orders(np.tile(np.arange(training_rows), (len(SEEDS), 1)))

# %% [markdown]
"""
## Train: as a function without side effects

`fit` changes the model that it trains. JAX transforms functions only if they change nothing, and so
Keras offers each of its parts in such a form. `stateless_call` takes the weights and returns what
the network answers with them. `jax.grad` makes of the loss, a function of the weights, another one
that returns the *gradients*: by how much the loss rises with each weight. `stateless_apply` takes
these and returns the weights after the optimizer's step. Nothing else of the experiment is written
anew: the network, the loss and the optimizer are Keras's.

`jax.lax.scan` is the loop, over batches and around it over epochs: it hands a state from one turn
to the next, here weights and optimizer, and collects what each turn returns besides. After each
epoch that is what the network answers for all 768 rows; accuracies are counted afterwards, from
these.

The last batch of an epoch has four rows, but all turns of a loop have to be of one size. So it is
filled up with rows that count nothing, and the mean is taken over those that count. Forget that,
and the four weigh as much as ten: a slightly different experiment, and nothing would tell.

`jax.vmap` makes of `train`, which trains one network, a function that trains as many as it is
given, side by side. `jax.jit` compiles it at its first call. What makes it fast is less the
arithmetic than what is left out: `fit` goes back to Python and its callbacks after every epoch of
every run, and here nothing does until all epochs of all runs are over.
"""

# %%
all_rows, labels = jax.numpy.asarray(x, "float32"), jax.numpy.asarray(y, "float32")
model.optimizer.build(model.trainable_variables)
fresh_optimizer = [keras.ops.convert_to_numpy(value) for value in model.optimizer.variables]


def answers_of(weights, rows):
    answers, _ = model.stateless_call(weights, [], rows)
    return answers[:, 0]


def train(weights, order):
    count = math.ceil(order.shape[1] / BATCH_SIZE)
    missing = count * BATCH_SIZE - order.shape[1]
    counts = jax.numpy.ones(count * BATCH_SIZE).at[order.shape[1] :].set(0)
    counts = counts.reshape(count, BATCH_SIZE)

    def step(state, batch):
        rows, right_answers, counted = batch

        def loss_of(weights):
            answers = answers_of(weights, rows)
            losses = keras.losses.binary_crossentropy(right_answers[:, None], answers[:, None])
            return (losses * counted).sum() / counted.sum()

        weights, optimizer = state
        gradients = jax.grad(loss_of)(weights)
        return model.optimizer.stateless_apply(optimizer, gradients, weights), None

    def epoch(state, order):
        order = jax.numpy.pad(order, (0, missing)).reshape(count, BATCH_SIZE)
        state, _ = jax.lax.scan(step, state, (all_rows[order], labels[order], counts))
        return state, answers_of(state[0], all_rows)

    _, answers = jax.lax.scan(epoch, (weights, fresh_optimizer), order)
    return answers


train_all = jax.jit(jax.vmap(train))

# %% [markdown]
"""
## Train: is it the same experiment?

A program that is fast and slightly wrong would give three hundred wrong numbers. So it is held to
`fit`: the same initial weights, the rows in one order that stays, and both train for all epochs.
They do the same sums in another order, and so their last digits may differ: *Check* compares the
validation loss and the accuracy of each epoch. With another order in each epoch they could not be
compared, for `fit` draws its own. The loss is computed from the answers here: minus the logarithm
of the probability that the network gave to what was true, in the mean.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)
one = list(SEEDS).index(SEED)
order = reshuffled[one, 0]
weights_of_script_01 = model.get_weights()
fitted = model.fit(
    x[order],
    y[order],
    shuffle=False,
    validation_data=(x_validation, y_validation),
    validation_batch_size=len(x_validation),
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    verbose=0,
).history

same_order = np.tile(order, (1, EPOCHS, 1))
answers = np.asarray(train_all([weights[[one]] for weights in initial_weights], same_order))[0]
validation_answers = answers[:, training_rows:].astype("float64")
for_the_truth = np.where(y_validation == 1, validation_answers, 1 - validation_answers)
compiled_loss = -np.log(np.maximum(for_the_truth, keras.backend.epsilon())).mean(axis=1)
compiled_accuracy = ((validation_answers > 0.5) == y_validation).mean(axis=1)

# %% [markdown]
"""
## Train: three hundred networks, three times

First the documents' experiment. Then the same with an order that stays: each seed has its own, but
the same in every epoch. That is what `fit` does on TensorFlow as soon as a seed is set (Keras
3.15), and the documents set one.

The third asks what the best epoch is worth. Whoever takes the best of 150 epochs takes the one that
was best *and lucky* on the rows that chose, and the score on those rows contains the luck. An
honest score needs rows that neither trained nor chose. So the rows are divided anew for each seed:
254 choose, as in the documents, 127 judge the chosen epoch, and 387 train, fewer than in the
documents. A random division, so that in the mean over three hundred the rows that judge are no
harder than those that choose. Compare it with itself only: fewer rows train, and so its scores are
lower than those of the other two for a reason that has nothing to do with luck.
"""

# %%
seconds_to_train = time.perf_counter()
right = np.asarray(train_all(initial_weights, reshuffled) > 0.5) == y
seconds_to_train = time.perf_counter() - seconds_to_train

fixed = np.broadcast_to(reshuffled[:, :1], reshuffled.shape)
right_fixed = np.asarray(train_all(initial_weights, fixed) > 0.5) == y

judging_rows = len(x_validation) // 2
divisions = chance.permuted(np.tile(np.arange(len(x)), (len(SEEDS), 1)), axis=1)
choose, judge, fewer = np.split(divisions, [len(x_validation), len(x_validation) + judging_rows], 1)
right_divided = np.asarray(train_all(initial_weights, orders(fewer)) > 0.5) == y

# %% [markdown]
"""
## Count

As in script 02 the best epoch is the first with the highest number of right answers on the
validation rows, and what was saved then is what is loaded and asked about all rows. Numbers of
right answers are compared, so that nothing is rounded: 0.84252 of 254 rows are 214 answers, 0.79528
are 202, and 77.73 % of all rows are 597.

`change` is by how much the validation accuracy changes from one epoch to the next, in the mean over
the last fifty: a training that wavers more has more chances of a high value. `best_by_53` and so on
are the best values up to the epochs that the documents name.

A share of three hundred runs is uncertain itself. Of runs that reach a value with a chance of 15 %,
three hundred contain 45, give or take 6 (the root of 300 × 0.15 × 0.85). For a mean it is the
*standard error*, the standard deviation of the values divided by the root of their number. Up to
two of these in either direction mean nothing.
"""


# %%
def summary(right):
    on_validation = right[:, :, training_rows:].sum(axis=2)
    epoch = on_validation.argmax(axis=1)
    each = np.arange(len(SEEDS))
    best_so_far = np.maximum.accumulate(on_validation, axis=1)
    return {
        "best_epoch": epoch + 1,
        "best": on_validation[each, epoch] / len(x_validation),
        "last": on_validation[:, -1] / len(x_validation),
        "all_rows": right.sum(axis=2)[each, epoch] / len(x),
        "change": np.abs(np.diff(on_validation[:, -50:])).mean(axis=1) / len(x_validation),
        **{f"best_by_{n}": best_so_far[:, n - 1] / len(x_validation) for n in DOCUMENTED_EPOCHS},
    }


def share_right(right, rows):
    return np.take_along_axis(right, rows[:, np.newaxis], axis=2).mean(axis=2)


def at(epochs, values):
    return np.take_along_axis(values, epochs[:, np.newaxis], axis=1)[:, 0]


def share_that_reach(documented, values, rows):
    return float((np.rint(values * rows) >= round(documented * rows)).mean())


def with_standard_error(values):
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


runs = {"reshuffled": summary(right), "fixed order": summary(right_fixed)}
on_choosing, on_judging = (share_right(right_divided, rows) for rows in (choose, judge))
chosen = on_choosing.argmax(axis=1)
runs["divided"] = {
    "best_epoch": chosen + 1,
    "best": at(chosen, on_choosing),
    "judged": at(chosen, on_judging),
    "judged_last": on_judging[:, -1],
}
luck = runs["divided"]["best"] - runs["divided"]["judged"]
gain = runs["divided"]["judged"] - runs["divided"]["judged_last"]

shares = {}
print(f"\n{len(SEEDS)} runs: {'':18}median   95 % between        highest")
for name, run in runs.items():
    for what in ("best", "last", "all_rows", "change", "judged", "judged_last"):
        if what in run:
            low, high = np.quantile(run[what], [0.025, 0.975])
            print(f"{name + ', ' + what:28}{np.median(run[what]):.3f}", end="    ")
            print(f"{low:.3f} and {high:.3f}     {run[what].max():.3f}")
for name in ("reshuffled", "fixed order"):
    for document, value in DOCUMENTED_BEST.items():
        share = share_that_reach(value, runs[name]["best"], len(x_validation))
        print(f"{name}: {share:.1%} reach {value}, the best value of {document}")
        shares[f"{name}, {document}"] = share
    share = share_that_reach(DOCUMENTED_ON_ALL_ROWS, runs[name]["all_rows"], len(x))
    print(f"{name}: {share:.1%} reach {DOCUMENTED_ON_ALL_ROWS} on all rows")
    shares[f"{name}, all rows"] = share
print("The best epoch on the rows that chose it, less the same on rows that did not:")
print("{:.4f}, standard error {:.4f}".format(*with_standard_error(luck)))
print("On rows that did not choose, the best epoch less the last one:")
print("{:.4f}, standard error {:.4f}".format(*with_standard_error(gain)))

# %% [markdown]
"""
## Look: one number among three hundred

Above, where the documents' best values and that of script 01 lie. What a learner who gets 0.77
should conclude is that the code is right: it is the middle. 0.79528 is a good run, and 0.84252 was
reached by none. Who compares two ideas by one run each compares, above all, two seeds: more than
half of these runs lie more than a per cent from their middle. Run each idea with several seeds, and
compare the two distributions.

With one order for all epochs the best values are lower, and yet the last epochs are as good as with
reshuffling, in the median. It is not that such networks learn less. Their scores change less from
one epoch to the next, and the best of 150 that differ little is less far above the rest. So even
the order of the rows changes how lucky a "best" can be; the documents' value and yours are
comparable only if both come from the same kind of shuffling.

Below, the same kind of value in the third experiment, and what the same networks score on rows that
did not choose them. The distance between the middles is luck. It is there in every best value, also
in the documents', and no checkpoint callback can take it out: only rows that are kept back can. On
those, the chosen epoch does no better here than the last one of the same training.

That is no argument against checkpoints: it says that 150 epochs do not overtrain this network. It
is one against quoting the number in the name of the best file as what the network will score. For
that, keep rows back, and look at them once.
"""

# %%
figure, (above, below) = plt.subplots(2, figsize=(8, 7.5), layout="constrained", sharex=True)
bins = (np.arange(150, 226, 2) - 0.5) / len(x_validation)
above.hist(
    runs["reshuffled"]["best"], bins, color="#0072B2", alpha=0.5, label="reshuffled in each epoch"
)
kind = {"histtype": "step", "linewidth": 2}
above.hist(
    runs["fixed order"]["best"], bins, color="#D55E00", label="one order for all epochs", **kind
)
marks |= DOCUMENTED_BEST
for (name, value), style in zip(marks.items(), (":", "--", "-")):
    above.axvline(value, color="black", linestyle=style, label=f"{name}: {value:.4f}")
above.set(ylabel="runs", title=f"Pima: the best of {EPOCHS} epochs, in {len(SEEDS)} runs")
for what, colour, label in (
    ("best", "#0072B2", "on the 254 rows that chose it"),
    ("judged", "#E69F00", "on 127 rows that did not"),
):
    values = runs["divided"][what]
    label = f"{label}: {values.mean():.3f} in the mean"
    below.hist(values, bins, color=colour, alpha=0.5, label=label)
    below.axvline(values.mean(), color=colour, linewidth=2)
title = f"The same epoch on other rows: {luck.mean():.3f} of the best value is luck"
below.set(xlabel="accuracy (share of correct answers)", ylabel="runs", title=title)
for axes in (above, below):
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
below.set_ylim(0, 56)
figure.savefig(OUT / "distribution.png", dpi=150)

# %% [markdown]
"""
## Check

The compiled program is the experiment of script 01: it begins with the same weights and agrees with
`fit` after every epoch, to rounding. The orders are orders of the training rows, another one in
every epoch, and no row both trains and judges.

Whether a single run reaches a documented value is not checked, since no training owes anybody a
lucky seed. What can be checked is the distribution. The bounds are what 300 other seeds would
hardly leave, four standard errors and more. A release of Keras with another initialiser, optimizer
or loss behind the same names would. They are bounds for medians and means, because a lowest or
highest value is itself a matter of luck.
"""

# %%
assert all(
    np.array_equal(weights[one], expected)
    for weights, expected in zip(initial_weights, weights_of_script_01, strict=True)
)
assert np.abs(compiled_loss - fitted["val_loss"]).max() < 1e-4
in_answers = np.abs(compiled_accuracy - fitted["val_accuracy"]) * len(x_validation)
assert in_answers.max() < 1.5
assert np.array_equal(
    np.sort(reshuffled), np.broadcast_to(np.arange(training_rows), reshuffled.shape)
)
assert (reshuffled[:, 1:] != reshuffled[:, :-1]).any(axis=2).all()
assert np.array_equal(np.sort(np.hstack([choose, judge, fewer])), np.sort(divisions))
medians = {name: float(np.median(run["best"])) for name, run in runs.items()}
assert 0.766 < medians["reshuffled"] < 0.788
assert 0.750 < medians["fixed order"] < medians["reshuffled"]
assert 0.06 < shares["reshuffled, document 2"] < 0.26
assert shares["reshuffled, document 1"] < 0.01
of_last = [np.median(runs[name]["last"]) for name in ("reshuffled", "fixed order")]
assert abs(of_last[0] - of_last[1]) < 0.01
assert runs["fixed order"]["change"].mean() < runs["reshuffled"]["change"].mean()
assert 0.015 < luck.mean() < 0.037
assert gain.mean() < 0.005

# %% [markdown]
"""
## Result

`runs.csv` holds a row for each run, so that any other question about their distribution can be
asked without training again. The repository keeps a copy, `docs/data/how_typical.csv`, and sums it
up in `docs/REPRODUCTION.md`.
"""

# %%
columns = ["experiment", "seed", *dict.fromkeys(what for run in runs.values() for what in run)]
with (OUT / "runs.csv").open("w", newline="") as file:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for name, run in runs.items():
        for index, seed in enumerate(SEEDS):
            numbers = {what: round(float(values[index]), 6) for what, values in run.items()}
            writer.writerow({"experiment": name, "seed": seed, **numbers})

result = {
    "script": OUT.name,
    "quantity": "share of runs that reach 0.79528",
    "documented": None,
    "reproduced": shares["reshuffled, document 2"],
    "shares": shares,
    "medians": medians,
    "luck": with_standard_error(luck),
    "gain": with_standard_error(gain),
    "seconds_to_train": round(seconds_to_train, 1),
    "files": ["distribution.png", "runs.csv"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"{len(SEEDS)} trainings took {seconds_to_train:.0f} seconds, compiling included")
