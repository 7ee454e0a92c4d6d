# %% [markdown]
"""
# 13 · Save in the background

While stock Keras saves, the training stands still. With a hundred million weights that takes
seconds, so people save large networks rarely and lose more in a crash. `DurableCheckpoint` from
`beyond/durable_checkpoint/` blocks the training only until it holds a copy of the weights and the
optimizer. A thread then writes the file, in the safe way of script 11, while the training
continues. You use it like the stock callback:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.keras", monitor="val_loss", save_best_only=True)

The thread uses the same processor as the training, so the time is not all saved. This script
measures how long each save blocks training, and how much longer training takes in total, for
networks of four sizes. Read it if a save of your network takes a noticeable part of an epoch (one
pass over the training rows).

- Run:    `python beyond/13_background_checkpoint.py` (in practice, 25 minutes to read)
- Reads:  no file
- Writes: `out/13_background_checkpoint/`: the figure `seconds_per_save.png`, `result.json`; while
  it runs, up to 2.5 GB of checkpoints, which it deletes
- From:   beyond the tutorials: the method is that of *CheckFreq* (Mohan et al., FAST 2021)
- Next:   `beyond/14_switch_backend.py` takes a checkpoint to another backend
"""

# %% [markdown]
"""
## Settings and seed

`ROUNDS` says how many rounds are measured for each width of the six square layers. The networks
have 1, 4, 15 and 96 million weights. Weights and optimizer state (two running averages for each
weight) take 12 bytes per weight. Short saves get more rounds, because a few milliseconds are easily
lost among the other work of the machine.

An epoch must last longer than a save. Otherwise the next save waits for the last one, and the
thread gains nothing. For the widest layers such an epoch would take minutes, so there an epoch is a
single step, and only the blocked time is measured.
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

The time of a step or a save depends on how many numbers there are, not on their values.
"""


# %%
def random_rows(steps, width):
    rows = steps * BATCH_SIZE
    return chance.random((rows, width), "float32"), chance.random((rows, 10), "float32")


# %% [markdown]
"""
## Build the model: six square layers

Adam keeps two numbers for each weight, so the file is three times as large as the weights alone.
The optimizer is built at once. Otherwise the second model, which loads the files and is never
trained, could not load the optimizer state.
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

A machine with other users changes its speed within minutes, so you cannot measure one way of saving
after the other. Here they take turns within one training. Each round has one epoch for each of the
four ways and one epoch without a save, in random order.

At the end of an epoch the save starts, and so does a clock.

- The time until the callback returns is how long the save blocks training.
- The time until the end of the next epoch also contains what the thread takes away from the
  training. If the file is not complete by then, the clock runs until it is.
- The second time, minus the same time of the round's epoch without a save, is how much longer
  training takes in total.

In the last round the state is copied before the save. When the next epoch has changed it, stock
Keras loads the file into the second model, and that model is compared with the copy. Each file is
deleted before the next turn, so every save writes a new file. The callback `TakeTurns` calls the
callback whose turn it is.
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
At each save `DurableCheckpoint` lets Keras say which arrays it would write, and copies them. At
the first save its thread also lets Keras write a file full of zeros into memory, to see where each
array lies in the file. The first save is measured apart, before the rounds. A second save shows how
long an epoch has to be.
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
## Compare: the fastest possible save

Two measurements show how fast a save can be. A callback that keeps a copy of the state has to copy
it from memory to memory. The copy goes into memory that was used before, because the system first
has to clear new memory. And a file that must survive a power cut has to be written and flushed to
the disk.
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
## Look: blocked, and in total

The figure shows the printed medians of the rounds. If your machine has other work to do, run the
script again before you believe a small difference.

The upper part shows how long each save blocks training. Both axes are logarithmic. Stock Keras
writes all bytes before it returns, and for a `.keras` file it first builds the archive in memory.
It takes about as long as a durable write or longer, although it does not flush. On JAX the
background save takes about as long as a copy in memory. On TensorFlow it can take much less: the
callback keeps the arrays, and the next training step puts its results into new memory. The next
epoch pays for that. The hollow marks are the first save.

The lower part shows how much longer training takes in total, up to the largest network that is
really trained. The gain is smaller here, because the same processor writes, reads back and compares
the bytes. A training that uses all cores slows down. A training that leaves a core idle, or runs on
a graphics card, hardly notices. The bars cover the middle half of the rounds. If two bars overlap
widely, this run does not show which way is faster. If a bar reaches below zero, the noise of the
machine is larger than the cost of the save.

Two costs are not in the figure. Up to two copies of the state are in memory while one is written
and the next one waits. And `fit` returns only when the last file is on the disk.

If a save costs less, you can save more often. A crash loses half an interval on average. Young
(*Communications of the ACM*, 1974) computed the best interval: if each save costs C seconds and a
crash comes every M seconds, save every √(2·C·M) seconds. With one crash a day, that is every 7
minutes for a save of one second, and every 2 minutes for a save of 0.1 seconds.
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

The script asserts no number of seconds, because it depends on the machine. Each file holds the
state at the end of its epoch bit for bit, including the optimizer. The background files do so too,
although the training changed the state while they were written. For the largest network, the
background save blocks training for less than a third of stock Keras's time, in both formats. No
checkpoint remains.
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

`result.json` stores the medians of the figure, in seconds.
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
