"""How long a save holds the training, and what it costs in all: stock Keras, Orbax, and our module.

    KERAS_BACKEND=jax python beyond/benchmarks/saving.py [rounds]      5 rounds unless told

First 288 MB of state (1.2 GB if JAX has a GPU). The ways of saving take turns after the epochs of
one training, so that a machine whose speed drifts slows all of them alike: each round has an epoch
for every way, and two without a save, in an order drawn anew. A turn lasts from the end of one
epoch to the end of the next, and, if the file is not complete by then, until it is. What a save
costs in all is its turn less the mean of the round's two turns without; the same for the
processor's seconds. Every way overwrites its own file. Then the training of script 04, saved after
every epoch: how much of its time is spent in the callback. Prints Markdown.
"""

import datetime
import importlib.metadata
import math
import os
import pathlib
import platform
import resource
import statistics
import sys
import tempfile
import time

import keras
import numpy as np

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY / "beyond"), str(REPOSITORY / "tools")]
from durable_checkpoint import DurableCheckpoint
from results_table import processor

EPOCH_SECONDS = 5
BATCH_SIZE = 64
NO_SAVE = "no save"
HELD_AT_MOST = 0.06
COST_AT_MOST = 0.5  # of stock's
MNIST_SHARE_AT_MOST = 0.01
TARGET_HEADER = ["target", "limit", "measured", "by the medians", "rounds within the limit"]


def on_gpu() -> bool:
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "gpu"


def cpu_seconds() -> float:
    """Of all threads of this process, in the program and in the kernel."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def busy_seconds() -> float | None:
    """Of all processors of the machine, since it started; None if the system does not say."""
    if not os.path.exists("/proc/stat"):
        return None
    user, nice, system = map(int, pathlib.Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def others_share(begin: float, own: float, busy: float | None) -> str:
    """How much of the machine other processes took since `begin`, in words."""
    if busy is None:
        return "what other processes took is not known"
    available = (time.perf_counter() - begin) * os.cpu_count()
    others = (busy_seconds() - busy) - (cpu_seconds() - own)
    return f"other processes took {max(others, 0) / available:.0%} of the processors"


def spread(values: list[float], digits: int = 3) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def verdict(target: str, measured: list[float], limits: list[float]) -> list[str]:
    """A row of the table of targets: decided by the medians, with how many rounds agree."""
    value, limit = statistics.median(measured), statistics.median(limits)
    within = sum(one <= its_limit for one, its_limit in zip(measured, limits, strict=True))
    met = "met" if value <= limit else "missed"
    return [target, f"{limit:.3f}", f"{value:.3f}", met, f"{within} of {len(measured)}"]


def table(header: list[str], rows: list[list[str]]) -> None:
    print()
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


# ------------------------------------------------------------------ hundreds of megabytes


def build_model(width: int) -> keras.Model:
    """52 variables: of six square layers, a normalisation, an output, and Adam."""
    hidden = [keras.layers.Dense(width, activation="relu") for _ in range(6)]
    output = [keras.layers.BatchNormalization(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((width,)), *hidden, *output])
    model.compile(loss="mean_squared_error", optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    return model


def state_of(model: keras.Model) -> list[np.ndarray]:
    variables = model.weights + model.optimizer.variables
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def ways_of_saving(folder: str) -> dict[str, keras.callbacks.Callback]:
    stock, orbax = keras.callbacks.ModelCheckpoint, keras.callbacks.OrbaxCheckpoint
    weights = {"save_weights_only": True}
    return {
        "stock, .keras": stock(f"{folder}/stock.keras"),
        "stock, .weights.h5": stock(f"{folder}/stock.weights.h5", **weights),
        "durable, .keras": DurableCheckpoint(f"{folder}/durable.keras"),
        "durable, .weights.h5": DurableCheckpoint(f"{folder}/durable.weights.h5", **weights),
        "Orbax, whole state": orbax(f"{folder}/orbax"),
        "Orbax, weights without optimizer": orbax(f"{folder}/orbax-weights", **weights),
    }


def wait_for(callback: keras.callbacks.Callback | None) -> None:
    """Until what the callback has begun to save is complete."""
    if isinstance(callback, DurableCheckpoint):
        callback.wait()
    elif isinstance(callback, keras.callbacks.OrbaxCheckpoint):
        callback.wait_until_finished()


class TakeTurns(keras.callbacks.Callback):
    """After epoch i save in the way `order[i]`, and note how long that and the next epoch take."""

    def __init__(self, ways, order, saves_before):
        super().__init__()
        self.ways = ways
        self.order = order
        self.saves_before = saves_before
        self.turns = []

    def on_epoch_end(self, epoch, logs=None):
        if self.turns:
            turn = self.turns[-1]
            arrived = time.perf_counter()
            wait_for(self.ways.get(turn["way"]))
            now = time.perf_counter()
            turn["waited"] = now - arrived
            turn["in all"] = now - turn["begin"]
            turn["cpu"] = cpu_seconds() - turn["cpu begin"]
        way = self.order[epoch]
        turn = {"way": way, "cpu begin": cpu_seconds(), "begin": time.perf_counter()}
        if way in self.ways:
            self.ways[way].on_epoch_end(epoch + self.saves_before, logs)
        turn["held"] = time.perf_counter() - turn["begin"]
        self.turns.append(turn)


def first_saves(ways, model, train_an_epoch) -> dict[str, float]:
    """Seconds held by the first save of each way, after an epoch. Each saves twice."""
    seconds = {}
    for way, callback in ways.items():
        callback.set_model(model)
        callback.on_train_begin()
        train_an_epoch()
        for epoch in (0, 1):
            begin = time.perf_counter()
            callback.on_epoch_end(epoch, {})
            seconds.setdefault(way, time.perf_counter() - begin)
            wait_for(callback)
    return seconds


def measure_floors(model, folder: str, rounds: int) -> dict[str, list[float]]:
    state = state_of(model)
    buffers = [array.copy() for array in state]
    twin = build_model(model.input_shape[1])
    floors = {}
    for _ in range(rounds):
        begin = time.perf_counter()
        for buffer, array in zip(buffers, state, strict=True):
            np.copyto(buffer, array)
        floors.setdefault("one copy in memory", []).append(time.perf_counter() - begin)

        begin = time.perf_counter()
        with open(f"{folder}/bytes", "wb") as file:
            file.writelines(state)
            file.flush()
            os.fsync(file.fileno())
        floors.setdefault("one durable write", []).append(time.perf_counter() - begin)

        begin = time.perf_counter()
        keras.models.load_model(f"{folder}/stock.keras")
        floors.setdefault("stock `load_model`", []).append(time.perf_counter() - begin)

        begin = time.perf_counter()
        twin.load_weights(f"{folder}/stock.weights.h5")
        floors.setdefault("stock `load_weights`", []).append(time.perf_counter() - begin)
    return floors


def measure_large_state(folder: str, rounds: int) -> None:
    width = 4096 if on_gpu() else 2000
    model = build_model(width)
    chance = np.random.default_rng(7)

    def rows(steps):
        count = steps * BATCH_SIZE
        return chance.random((count, width), "float32"), chance.random((count, 10), "float32")

    trial = TakeTurns({}, [NO_SAVE] * 5, saves_before=0)
    model.fit(*rows(10), epochs=5, batch_size=BATCH_SIZE, callbacks=[trial], verbose=0)
    step_seconds = min(turn["in all"] for turn in trial.turns[:-1]) / 10
    steps = math.ceil(EPOCH_SECONDS / step_seconds)

    ways = ways_of_saving(folder)
    x, y = rows(steps)
    first = first_saves(
        ways, model, lambda: model.fit(x, y, batch_size=BATCH_SIZE, epochs=1, verbose=0)
    )
    turn_names = [*ways, NO_SAVE, NO_SAVE]
    order = [way for _ in range(rounds) for way in chance.permutation(turn_names).tolist()]
    turns = TakeTurns(ways, [*order, NO_SAVE], saves_before=2)
    before = time.perf_counter(), cpu_seconds(), busy_seconds()
    model.fit(
        x,
        y,
        epochs=len(order) + 1,
        batch_size=BATCH_SIZE,
        callbacks=[turns],
        verbose=0,
    )
    others = others_share(*before)
    floors = measure_floors(model, folder, rounds)
    for callback in ways.values():
        callback.on_train_end()

    # One dictionary per round: way -> its turns there.
    by_round = []
    for start in range(0, len(order), len(turn_names)):
        by_round.append({})
        for turn in turns.turns[start : start + len(turn_names)]:
            by_round[-1].setdefault(turn["way"], []).append(turn)

    def beyond_no_save(way, quantity):
        return [
            statistics.mean(turn[quantity] for turn in one[way])
            - statistics.mean(turn[quantity] for turn in one[NO_SAVE])
            for one in by_round
        ]

    held = {way: [turn["held"] for one in by_round for turn in one[way]] for way in ways}
    waited = {way: [turn["waited"] for one in by_round for turn in one[way]] for way in ways}
    in_all = {way: beyond_no_save(way, "in all") for way in ways}
    cpu = {way: beyond_no_save(way, "cpu") for way in ways}
    epochs = [turn["in all"] for one in by_round for turn in one[NO_SAVE]]
    epochs_cpu = [turn["cpu"] for one in by_round for turn in one[NO_SAVE]]
    megabytes = sum(array.nbytes for array in state_of(model)) / 1e6
    print(
        f"\n## {megabytes:.0f} MB of state: seconds per save, median (least to most) of {rounds}\n"
        f"\nAn epoch without a save, {steps} steps: {spread(epochs, 2)} s,"
        f" {spread(epochs_cpu, 2)} s of the processor; {others}"
    )
    table(
        [
            "way",
            "held",
            "held by the first, once",
            "in all",
            "of the processor",
            "epochs too short",
        ],
        [
            [
                way,
                spread(held[way]),
                f"{first[way]:.2f}",
                spread(in_all[way], 2),
                spread(cpu[way], 2),
                f"{sum(seconds > 0.01 for seconds in waited[way])} of {rounds}",
            ]
            for way in ways
        ],
    )
    table(["for comparison", "seconds"], [[name, spread(s)] for name, s in floors.items()])

    targets = []
    for ending in (".keras", ".weights.h5"):
        durable, stock = f"durable, {ending}", f"stock, {ending}"
        limits = [COST_AT_MOST * seconds for seconds in in_all[stock]]
        targets += [
            verdict(f"{ending}: held", held[durable], [HELD_AT_MOST] * rounds),
            verdict(f"{ending}: in all, limit {COST_AT_MOST} of stock's", in_all[durable], limits),
        ]
    table(TARGET_HEADER, targets)


# ------------------------------------------------------------------ the training of script 04


class HookClock(keras.callbacks.Callback):
    """Hands every hook on to `callback`, and adds up the seconds that it takes."""

    def __init__(self, callback):
        super().__init__()
        self.callback = callback
        self.saves = []
        self.begin_and_end = 0.0

    def set_params(self, params):
        self.callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self.callback.set_model(model)

    def on_train_begin(self, logs=None):
        begin = time.perf_counter()
        self.callback.on_train_begin(logs)
        self.begin_and_end += time.perf_counter() - begin

    def on_epoch_end(self, epoch, logs=None):
        begin = time.perf_counter()
        self.callback.on_epoch_end(epoch, logs)
        self.saves.append(time.perf_counter() - begin)

    def on_train_end(self, logs=None):
        begin = time.perf_counter()
        self.callback.on_train_end(logs)
        self.begin_and_end += time.perf_counter() - begin


def train_mnist(x, y, checkpoint) -> tuple[float, HookClock]:
    """Script 04's network and settings. Returns the seconds of `fit` and what it was held."""
    keras.utils.set_random_seed(6)
    model = keras.Sequential(
        [
            keras.Input(shape=(784,)),
            keras.layers.Dense(800, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        loss="categorical_crossentropy",
        optimizer="adam",
        metrics=["accuracy"],
        steps_per_execution=240,
        jit_compile=True,
    )
    clock = HookClock(checkpoint)
    begin = time.perf_counter()
    model.fit(x, y, validation_split=0.2, epochs=25, batch_size=200, callbacks=[clock], verbose=0)
    return time.perf_counter() - begin, clock


def measure_mnist(folder: str, rounds: int) -> None:
    with np.load(REPOSITORY / "data" / "mnist.npz") as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
    x = np.divide(x.reshape(60000, 784), 255, dtype="float32")
    y = keras.utils.to_categorical(y, 10)
    name = "mnist-dense-{epoch:02d}-{val_accuracy:.4f}.keras"
    classes = {"stock": keras.callbacks.ModelCheckpoint, "durable": DurableCheckpoint}
    seconds, shares, later_shares, firsts, ends = ({way: [] for way in classes} for _ in range(5))
    before = time.perf_counter(), cpu_seconds(), busy_seconds()
    for _ in range(rounds):
        for way, checkpoint in classes.items():
            with tempfile.TemporaryDirectory(dir=folder) as one:
                total, clock = train_mnist(x, y, checkpoint(f"{one}/{name}"))
            held = sum(clock.saves) + clock.begin_and_end
            seconds[way].append(total)
            shares[way].append(100 * held / total)
            later_shares[way].append(100 * (held - clock.saves[0]) / total)
            firsts[way].append(clock.saves[0])
            ends[way].append(clock.begin_and_end)
    print(f"\n## Script 04's training, 25 epochs: median (least to most) of {rounds}\n")
    print(others_share(*before))
    table(
        [
            "way",
            "`fit`, s",
            "held, % of it",
            "without the first save, %",
            "first save, s",
            "begin and end of training, s",
        ],
        [
            [
                way,
                spread(seconds[way], 1),
                spread(shares[way], 2),
                spread(later_shares[way], 2),
                spread(firsts[way]),
                spread(ends[way]),
            ]
            for way in classes
        ],
    )
    limits = [100 * MNIST_SHARE_AT_MOST] * rounds
    target = "script 04: held, % of `fit`, the first save included"
    table(TARGET_HEADER, [verdict(target, shares["durable"], limits)])


rounds = int(sys.argv[1]) if sys.argv[1:] else 5
backend = keras.backend.backend()
load = os.getloadavg()[0]
versions = [backend, "orbax-checkpoint", "h5py", "numpy"]
print(f"# What a save costs on {backend}\n")
print(
    f"{datetime.date.today()}; {processor()}, {os.cpu_count()} cores, {platform.system()}"
    f"{', GPU' if on_gpu() else ''}; load before the start {load:.1f}; Keras {keras.__version__}, "
    + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in versions)
    + f", Python {platform.python_version()}",
    flush=True,
)
(REPOSITORY / "out").mkdir(exist_ok=True)
with tempfile.TemporaryDirectory(prefix="saving-", dir=REPOSITORY / "out") as folder:
    measure_large_state(folder, rounds)
    measure_mnist(folder, rounds)
print(f"\nLoad at the end {os.getloadavg()[0]:.1f}")
