# %% [markdown]
"""
# 13 · Save in the background

While stock Keras saves, the training stands still: for milliseconds with the networks of scripts 01
to 10, for seconds with a hundred million weights. So whoever trains large networks saves seldom,
and loses the more by a crash. `DurableCheckpoint` from `beyond/durable_checkpoint.py` lets the
training wait only until the state is held in memory; a thread writes it, in the safe way that
script 11 shows, while the training goes on. It is used like the stock callback:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.keras", monitor="val_loss", save_best_only=True)

But what a thread does beside the training it does with the same processor. So two things are
measured here, for networks of four sizes: how long a save *holds* the training, and by how much it
delays it *in all*.

- Run:    `python beyond/13_background_checkpoint.py`
- Reads:  no file
- Writes: `out/13_background_checkpoint/`: `seconds_per_save.png`, `result.json`; while it runs, up
  to 2.5 GB of checkpoints, of which none remains
- From:   beyond the documents; the method is that of *CheckFreq* (Mohan et al., FAST 2021)
- Next:   `beyond/14_switch_backend.py` takes a checkpoint to another backend
"""

# %% [markdown]
"""
## Settings and seed

How many rounds are measured for each width of six square layers. They have 1, 4, 15 and 96 million
weights, and weights and optimizer together take 12 bytes for each of them. An epoch must outlast a
save, or the next save waits until the last one is written, and nothing is gained by the thread.
With the widest layers that would take minutes; there an epoch is a single step, and only the
holding counts. The quicker a save, the more rounds: a few milliseconds need more of them to stand
out from what else goes on in the machine.
"""

# %%
import json
import math
import os
import pathlib
import shutil
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from durable_checkpoint import DurableCheckpoint

SEED = 7
ROUNDS = {400: 9, 800: 6, 1600: 3, 4000: 2}
WIDEST_TRAINED = 1600
BATCH_SIZE = 32
WARM_UP_STEPS = 8
EPOCH_OUTLASTS_SAVE_BY = 1.5
OUT = pathlib.Path("out/13_background_checkpoint")
CHECKPOINTS = OUT / "checkpoints"

chance = np.random.default_rng(SEED)
keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: random numbers

How long a step or a save takes depends on how many numbers there are, not on what they are, and no
data of this repository has 4000 columns.
"""


# %%
def random_rows(steps, width):
    rows = steps * BATCH_SIZE
    return chance.random((rows, width), "float32"), chance.random((rows, 10), "float32")


# %% [markdown]
"""
## Build the model: six square layers

Adam keeps two numbers for each weight, so there is three times as much to save as the network has
weights. The optimizer is built at once: what a file holds of it can only be loaded into one that is
built, and a second model, into which files are loaded, is never trained.
"""


# %%
def build_model(width):
    layers = [keras.layers.Dense(width, activation="relu") for _ in range(6)]
    model = keras.Sequential([keras.Input(shape=(width,)), *layers, keras.layers.Dense(10)])
    model.compile(loss="mean_squared_error", optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    return model


def copy_of_state(model):
    variables = model.weights + model.optimizer.variables
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


# %% [markdown]
"""
## Train: another way of saving after every epoch

A machine that others use as well changes its speed within minutes, so ways of saving that are
measured one after the other cannot be compared. They take turns within one training: each round has
an epoch for each of the four ways and one for none, in an order drawn anew.

When an epoch has ended, the save is started, and two clocks with it. The first is read when the
callback returns: that is how long the training was held. The second is read at the end of the next
epoch, so that it counts what the writing took away from the training there; and if the file is not
complete by then, as soon as it is. What a save costs in all is the second clock's time less that of
the same round's epoch without a save. The difference, since a slower machine slows both; the same
round, since it may be slower in the next.

In the last round the state is copied before the save. When the next epoch has changed it, stock
Keras loads the file into the second model, and that is compared with the copy. Every file is
deleted before the next turn, so that every save writes a new one, as it would if the epoch stood in
its name. The callback below calls those of the four ways by turns, as `fit` would if each were
given to it alone.
"""


# %%
class TakeTurns(keras.callbacks.Callback):
    def __init__(self, ways, order, compared_from, second_model):
        super().__init__()
        self.ways = ways
        self.order = order
        self.compared_from = compared_from
        self.second_model = second_model
        self.blocked = {way: [] for way in ways}
        self.longer = {way: [] for way in ways}
        self.equal = {}

    def on_epoch_end(self, epoch, logs=None):
        if epoch > 0:
            self.end_turn(epoch - 1)
        way = self.order[epoch]
        if epoch >= self.compared_from:
            self.state = copy_of_state(self.model)
        self.begin = time.perf_counter()
        self.ways[way].on_epoch_end(epoch, logs)
        self.blocked[way].append(time.perf_counter() - self.begin)

    def end_turn(self, epoch):
        way = self.order[epoch]
        callback = self.ways[way]
        if isinstance(callback, DurableCheckpoint):
            callback.wait()
        self.longer[way].append(time.perf_counter() - self.begin)
        if way == "none":
            return
        if epoch >= self.compared_from:
            self.second_model.load_weights(callback.filepath)
            pairs = zip(self.state, copy_of_state(self.second_model), strict=True)
            self.equal[way] = all(np.array_equal(*pair) for pair in pairs)
        os.unlink(callback.filepath)


# %% [markdown]
"""
The first save of a model by `DurableCheckpoint` is another matter. Stock Keras makes it, and then
once more with marks in place of the values, from which the module learns where in the file each
array lies. Every later file the module writes itself, and it is the one that stock Keras would have
written. The training waits for that, but once, so it is measured apart, before the rounds. A second
save then shows how long an epoch has to be.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
CHECKPOINTS.mkdir(parents=True)

megabytes, blocked, longer, first_save, equal, epoch_ends = [], [], [], [], [], []
clock = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, logs: epoch_ends.append(time.perf_counter())
)
for width, rounds in ROUNDS.items():
    trained = width <= WIDEST_TRAINED
    model = build_model(width)
    warm_up_steps = WARM_UP_STEPS if trained else 1
    x, y = random_rows(warm_up_steps, width)
    model.fit(x, y, epochs=3, batch_size=BATCH_SIZE, callbacks=[clock], verbose=0)
    step_seconds = min(np.diff(epoch_ends[-3:])) / warm_up_steps

    ways = {"none": keras.callbacks.Callback()}
    for checkpoint in (keras.callbacks.ModelCheckpoint, DurableCheckpoint):
        for ending in (".keras", ".weights.h5"):
            name, weights_only = checkpoint.__name__, ending == ".weights.h5"
            path = CHECKPOINTS / f"{name}{ending}"
            ways[f"{name}, {ending}"] = checkpoint(path, save_weights_only=weights_only)
    first, save_seconds = {}, {}
    for way, callback in ways.items():
        callback.set_model(model)
        callback.on_train_begin()
        if isinstance(callback, DurableCheckpoint):
            for save in ("first", "second"):
                begin = time.perf_counter()
                callback.on_epoch_end(0, {})
                first.setdefault(way, [time.perf_counter() - begin])
                callback.wait()
                save_seconds[way] = time.perf_counter() - begin
            os.unlink(callback.filepath)

    longest = max(save_seconds.values())
    steps = math.ceil(EPOCH_OUTLASTS_SAVE_BY * longest / step_seconds) if trained else 1
    order = [way for _ in range(rounds) for way in chance.permutation(list(ways)).tolist()]
    compared_from = len(order) - len(ways) if trained else math.inf
    second_model = build_model(width) if trained else None
    turns = TakeTurns(ways, [*order, "none"], compared_from, second_model)
    x, y = random_rows(steps, width)
    model.fit(x, y, epochs=len(order) + 1, batch_size=BATCH_SIZE, callbacks=[turns], verbose=0)
    for callback in ways.values():
        callback.on_train_end()

    megabytes.append(12 * model.count_params() / 1e6)
    without = np.array(turns.longer.pop("none"))
    longer.append({way: np.subtract(turns.longer[way], without) for way in turns.longer})
    blocked.append({way: turns.blocked[way] for way in turns.longer})
    first_save.append(first)
    equal.append(turns.equal)
    print(f"{megabytes[-1]:5.0f} MB: {rounds} rounds, {steps} steps to an epoch", flush=True)
shutil.rmtree(CHECKPOINTS)

# %% [markdown]
"""
## The floors

How quick can a save be? Two things that any program can do in a few lines say so. Whoever keeps a
copy of the state cannot hold the training for less than copying it from memory to memory takes. The
copy goes into memory that was used before, since the system has to find and clear fresh memory
first. And nothing that is to survive a power cut is saved before as many bytes are written and
flushed to the disk.
"""

# %%
floors = []
for size, rounds in zip(megabytes, ROUNDS.values(), strict=True):
    state = np.ones(int(size * 1e6), "uint8")
    used_before = state.copy()
    floors.append({"one copy in memory": [], "one durable write": []})
    for _ in range(rounds):
        begin = time.perf_counter()
        np.copyto(used_before, state)
        copied = time.perf_counter()
        with open(OUT / "floor", "wb") as file:
            file.write(state)
            file.flush()
            os.fsync(file.fileno())
        floors[-1]["one durable write"].append(time.perf_counter() - copied)
        floors[-1]["one copy in memory"].append(copied - begin)
        os.unlink(OUT / "floor")

# %% [markdown]
"""
## Look: held, and in all

What the figure shows is printed as well; all are medians of the rounds. On a machine that has other
work to do at the same time, run it again before you believe a small difference.

Above, how long a save holds the training. Both axes count in powers of ten, so a line that rises by
one while it goes one to the right is of a cost in proportion to the size. Stock Keras writes all
bytes before it returns, and makes an archive of them in memory first if the file is a `.keras`; it
lies near the durable write or above, although it flushes nothing to the disk. The background save
lies near the copy in memory on JAX. On TensorFlow it can lie far below: nothing is copied there,
the callback keeps the arrays as they are, and the training puts the results of its next step
elsewhere. That is not free, but the next epoch pays for it. The hollow marks are the first save.

Below, what a save costs in all, on even axes, up to the largest network that was really trained.
Here there is less to gain. The bytes have to be written, read back, compared and summed up by the
same processor, and a training that keeps all of its cores busy goes slower meanwhile; one that
leaves some idle, or computes on a graphics card, hardly notices. The bars reach over the middle
half of the rounds; the points of a size stand side by side so that one sees them. Where two of them
overlap widely, this run does not tell which way is the cheaper, and where one reaches below zero,
the machine's own unrest is larger than what was to be measured.

Two prices are in neither picture. Up to two copies of the state lie in memory while one is written
and the next one waits. And `fit` does not return before the last file is on the disk.

A cheaper save is worth having because one can save more often. A crash loses half an interval on
the average, and Young (*Communications of the ACM*, 1974) has weighed that against the saves: if
each costs C seconds and the training dies every M seconds, save every √(2·C·M). With a death a day
that is every 7 minutes if a save costs a second, and every 2 if it costs a tenth of one.
"""

# %%
COLORS = {
    "ModelCheckpoint, .keras": "#D55E00",
    "ModelCheckpoint, .weights.h5": "#E69F00",
    "DurableCheckpoint, .keras": "#0072B2",
    "DurableCheckpoint, .weights.h5": "#56B4E9",
    "one durable write": "#000000",
    "one copy in memory": "#999999",
}
MARKERS = {name: "s" if name.endswith("h5") else "o" for name in COLORS}
tables = {}
for title, measured in (
    ("blocked per save", blocked),
    ("blocked by the first save", first_save),
    ("floor", floors),
    ("longer per save", longer[:-1]),
):
    tables[title] = {
        name: [float(np.median(one[name])) for one in measured] for name in measured[0]
    }
    print(f"\n{title + ', seconds':31}", *(f"{size:6.0f} MB" for size in megabytes))
    for name, medians in tables[title].items():
        print(f"{name:31}", *(f"{seconds:9.4f}" for seconds in medians))

figure, (upper, lower) = plt.subplots(2, figsize=(8, 9), layout="constrained")
for title, style, label in (
    ("blocked per save", {"ls": "-"}, "{}"),
    ("blocked by the first save", {"ls": "", "mfc": "none"}, "{}, first save"),
    ("floor", {"ls": "--", "marker": ""}, "{}"),
):
    for name, medians in tables[title].items():
        look = {"color": COLORS[name], "marker": MARKERS[name]} | style
        upper.plot(megabytes, medians, label=label.format(name), **look)
for place, (name, medians) in enumerate(tables["longer per save"].items()):
    quarters = [np.percentile(one[name], (25, 75)) for one in longer[:-1]]
    bars = np.abs(np.transpose(quarters) - medians)
    sizes = [size + 1.5 * place for size in megabytes[:-1]]
    lower.errorbar(sizes, medians, bars, color=COLORS[name], marker=MARKERS[name], capsize=4)
upper.set_title("How long each save blocks the training")
upper.set(xscale="log", yscale="log", ylabel="training blocked (seconds per save)")
lower.set_title("How much longer the training takes in total")
lower.set(ylabel="added to the training (seconds per save)")
lower.axhline(0, color="#999999", lw=1)
for axes in (upper, lower):
    axes.set_xlabel("weights and optimizer (MB)")
    axes.grid(alpha=0.3)
figure.legend(loc="outside lower center", ncols=2)
figure.savefig(OUT / "seconds_per_save.png", dpi=150)

# %% [markdown]
"""
## Check

How many seconds anything takes depends on the machine, and nothing is asserted of it. On every
machine each file, whichever way it was saved, holds the state of the end of its epoch bit for bit,
the optimizer included, though those of the background were written while the training changed it.
And with the largest state the background holds the training for less than a third of stock's time,
in both formats. No checkpoint is left.
"""

# %%
ways = list(tables["blocked per save"])
assert len(ways) == 4
assert equal == [dict.fromkeys(ways, True)] * 3 + [{}]
assert all(len(one[way]) == n for one, n in zip(blocked, ROUNDS.values()) for way in ways)
stock_keras, stock_h5, durable_keras, durable_h5 = (tables["blocked per save"][w][-1] for w in ways)
assert durable_keras < stock_keras / 3
assert durable_h5 < stock_h5 / 3
assert [path.name for path in OUT.iterdir()] == ["seconds_per_save.png"]

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "time the largest save blocks, in the background / stock Keras",
    "documented": None,
    "reproduced": durable_keras / stock_keras,
    "state_megabytes": megabytes,
    "seconds_per_save": tables,
    "files": ["seconds_per_save.png"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
