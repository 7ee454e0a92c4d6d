# %% [markdown]
"""
# 17 · How typical is a result?

You train the tutorials' network and get a lower accuracy than the tutorial. Is that a mistake in
your code, or chance? One run cannot tell. The initial weights and the order of the rows are random,
and each of the 254 validation rows counts for 0.4 percentage points. This script repeats the
tutorials' training 300 times with other random numbers, and shows where the published values lie
among the 300 results. The runs also answer a second question: how much of a best accuracy is luck,
because it is the highest of 150 values?

This script is for you if you compare two models by their best accuracy. It trains all 300 networks
at the same time, as one compiled JAX program. You can skip that part and go to "Count".

- Run:    `python beyond/17_how_typical.py` (under the hood, 30 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`, `out/01_checkpoint_improvements/result.json`
- Writes: `out/17_how_typical/`: every run in `runs.csv`, the figure `best_of_300_runs.png`,
  `result.json`
- From:   beyond the tutorials: the published numbers of *Deep Learning With Python*, chapter 14,
  and of Jason Brownlee's post (Machine Learning Mastery)
- Next:   `docs/REPRODUCTION.md` shows the share of runs that reach each published value
"""

# %% [markdown]
"""
## Settings and seed

The tutorials' settings, with the seeds 1 to 300. The script needs JAX, which can turn the code of
one training into the code of many. It therefore sets the backend (the library that computes for
Keras) itself, before it imports Keras.

The tutorials' logs and file names give the best value at certain epochs (passes over the training
rows). `DOCUMENTED_EPOCHS` lists them.
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
DOCUMENTED_BEST = {"Deep Learning With Python": 0.84252, "Brownlee's post": 0.79528}
DOCUMENTED_ON_ALL_ROWS = 0.7773  # both tutorials
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

This is the data cell of script 01. The last third of the rows validates.
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

This is the model of script 01.
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

For each seed, a clone of the model gets the same initial weights that script 01 would get with that
`SEED`. `initial_weights` has one array for each variable of the model, and each array holds the
values of all seeds.

`reshuffled` holds an order of the training rows for each seed and each epoch. The compiled program
draws no random numbers. It gets the order as an argument, so you can also give it the order that
`fit` uses, one order for all epochs, or other rows.
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

`fit` changes the model while it trains. JAX can only transform functions that change nothing, so
Keras also offers its steps in that form:

- `stateless_call` takes the weights and some rows, and returns the answers of the network.
- `jax.grad` turns the loss into a function that returns the *gradients*: how much the loss rises
  when each weight rises.
- `stateless_apply` takes the gradients and returns the weights after one step of the optimizer.

The network, the loss and the optimizer remain Keras's own.

`jax.lax.scan` is a loop that JAX can compile. It passes a state (here the weights and the
optimizer's variables) from one turn to the next, and collects what each turn returns. One scan goes
over the batches (groups of rows for one step each), a second one over the epochs. After each epoch
it collects the network's answers for all rows, and everything below is counted from these answers.
The last batch of an epoch is not full. It is filled up with rows that count zero, because a
compiled loop needs batches of one size.

`jax.vmap` turns `train`, which trains one network, into a function that trains many networks side
by side. `jax.jit` compiles it at the first call. It is fast because it never returns to Python
between batches, epochs or runs. `fit` returns to Python after each epoch.
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

First the compiled program must prove that it trains as `fit` does. Both start with the same weights
and use the same fixed order of the rows. They add the same numbers in another order, so the last
digits can differ. *Check* compares the validation loss and the accuracy of every epoch. The loss is
computed from the answers: the mean of minus the logarithm of the probability that the network gave
to the true label.
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
## Train: 300 networks, three experiments

1. *reshuffled*: the tutorials' training, with a new order of the rows in each epoch.
2. *fixed order*: each seed has its own order, and uses it in every epoch. `fit` does this on
   TensorFlow when you set a seed (Keras 3.15), and the tutorials set one.
3. *divided*: three groups of rows. 254 rows choose the best epoch, as in the tutorials. 127 rows
   judge the chosen epoch. The other 387 rows train. Each seed divides the rows at random, so the
   rows that judge are not harder than the rows that choose.

The third experiment is there because the best of 150 epochs was good *and lucky* on the rows that
chose it. Only rows that neither trained nor chose give an honest score. Do not compare its
accuracies with those of the other two: fewer rows train, so they are lower.
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

The best epoch is the first one with the highest number of right answers on the validation rows, as
in script 02. All comparisons use numbers of right answers, so rounding cannot change them: 0.84252
of 254 rows are 214 answers, 0.79528 are 202, and 77.73 % of 768 rows are 597.

- `change` is the mean difference between the validation accuracies of one epoch and the next, over
  the last fifty epochs. A larger `change` gives more chances for a high value.
- `best_by_53` and so on are the best values up to the epochs that the tutorials name.

A share of 300 runs is itself uncertain. If a run reaches a value with a probability of 15 %, then
300 runs reach it 45 times, plus or minus 6 (the square root of 300 × 0.15 × 0.85). For a mean, the
*standard error* says how uncertain it is: the standard deviation of the values divided by the
square root of their number. Ignore differences of up to two standard errors.
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
    for tutorial, value in DOCUMENTED_BEST.items():
        share = share_that_reach(value, runs[name]["best"], len(x_validation))
        print(f"{name}: {share:.1%} reach {value}, the best value of {tutorial}")
        shares[f"{name}, {tutorial}"] = share
    share = share_that_reach(DOCUMENTED_ON_ALL_ROWS, runs[name]["all_rows"], len(x))
    print(f"{name}: {share:.1%} reach {DOCUMENTED_ON_ALL_ROWS} on all rows")
    shares[f"{name}, all rows"] = share
print("Best epoch on the rows that chose it, minus the same epoch on rows that did not:")
print("{:.4f}, standard error {:.4f}".format(*with_standard_error(luck)))
print("On rows that did not choose, the best epoch minus the last one:")
print("{:.4f}, standard error {:.4f}".format(*with_standard_error(gain)))

# %% [markdown]
"""
## Look: one number among 300

The upper part shows the best values of the 300 runs, and three lines: the two published values and
that of script 01. A value in the middle of the blue bars means that your code is right. Brownlee's
0.79528 is a good run. No run reached the 0.84252 of *Deep Learning With Python*. If you compare two
ideas by one run each, you mostly compare two seeds: more than half of these runs lie more than a
per cent from their middle. Run each idea with several seeds, and compare the distributions.

The orange outline shows the runs with one order for all epochs. Their best values are lower, but
their last epochs are as good. Their accuracy changes less from epoch to epoch, so the best of 150
values is less far above the others. Compare a best value only with values that come from the same
kind of shuffling.

The lower part shows the third experiment: the chosen epoch on the rows that chose it, and on the
rows that did not. The title gives the difference between the two means. This is selection luck. The
script also prints it with its standard error. `docs/RESULTS.md` gives the same number from the
recorded runs, rounded to three digits (0.026). Every best value contains such luck, including the
published ones. No callback can remove it. On rows that did not choose, the chosen epoch is no
better than the last epoch of the same training. So 150 epochs do not overtrain this network.

Do not report the accuracy in the name of the best file as the accuracy of your network. Keep some
rows back and use them once, at the end.
"""

# %%
figure, (above, below) = plt.subplots(2, figsize=(8, 8.5), layout="constrained", sharex=True)
bins = (np.arange(150, 226, 2) - 0.5) / len(x_validation)
above.hist(
    runs["reshuffled"]["best"],
    bins,
    color="#0072B2",
    alpha=0.5,
    label="order reshuffled in each epoch",
)
kind = {"histtype": "step", "linewidth": 2}
above.hist(
    runs["fixed order"]["best"], bins, color="#D55E00", label="one order for all epochs", **kind
)
marks |= DOCUMENTED_BEST
for (name, value), style in zip(marks.items(), (":", "--", "-")):
    above.axvline(value, color="black", linestyle=style, label=f"{name}: {value:.4f}")
above.set(ylabel="runs", title=f"Best of {EPOCHS} epochs on 254 validation rows, {len(SEEDS)} runs")
means = []
for what, colour, label in (
    ("best", "#0072B2", "on the 254 rows that chose it"),
    ("judged", "#E69F00", "on 127 rows that did not"),
):
    values = runs["divided"][what]
    means.append(round(float(values.mean()), 4))
    below.hist(values, bins, color=colour, alpha=0.5, label=f"{label}: mean {means[-1]:.4f}")
    below.axvline(means[-1], color=colour, linewidth=2)
title = f"On rows that did not choose it, the best epoch scores {means[0] - means[1]:.4f} less"
below.set(xlabel="accuracy (share of correct answers)", ylabel="runs", title=title)
for axes, height in ((above, -0.05), (below, -0.14)):
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, height), ncols=2)
figure.savefig(OUT / "best_of_300_runs.png", dpi=150)

# %% [markdown]
"""
## Check

The compiled program starts with the weights of script 01 and agrees with `fit` after every epoch,
up to rounding. Each order contains every training row once, and changes from epoch to epoch. No row
both trains and judges.

The bounds apply to medians, means and shares. They are at least four standard errors wide, so 300
other seeds would hardly leave them. A Keras release with a changed initialiser, optimizer or loss
would. The script does not check whether one certain run reaches a published value, because that
depends on the seed.
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
assert 0.06 < shares["reshuffled, Brownlee's post"] < 0.26
assert shares["reshuffled, Deep Learning With Python"] < 0.01
of_last = [np.median(runs[name]["last"]) for name in ("reshuffled", "fixed order")]
assert abs(of_last[0] - of_last[1]) < 0.01
assert runs["fixed order"]["change"].mean() < runs["reshuffled"]["change"].mean()
assert 0.015 < luck.mean() < 0.037
assert gain.mean() < 0.005

# %% [markdown]
"""
## Result

`runs.csv` has one row for each run, so you can ask other questions without training again. The
repository keeps a copy in `docs/data/how_typical.csv`.
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
    "reproduced": shares["reshuffled, Brownlee's post"],
    "shares": shares,
    "medians": medians,
    "luck": with_standard_error(luck),
    "gain": with_standard_error(gain),
    "seconds_to_train": round(seconds_to_train, 1),
    "files": ["best_of_300_runs.png", "runs.csv"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"{len(SEEDS)} trainings took {seconds_to_train:.0f} seconds, compiling included")
