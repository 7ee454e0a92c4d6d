# %% [markdown]
"""
# 15 · Train with many workers

After this script you can train one network with several processes (*workers*), save their joint
checkpoint, and continue after one of them dies. Each worker takes its share of every batch (the
rows of one training step). Their gradients (for each weight, how much the loss rises with it) are
averaged before each step, so all workers always hold the same weights. If one worker dies, the
others cannot continue. You then have to end all of them, and start all again from the last complete
checkpoint.

This script is for you if you train on several machines. On one machine, scripts 11 and 12 are
enough. TensorFlow's `MultiWorkerMirroredStrategy` cannot `fit` a Keras 3 model, so the script uses
JAX and `keras.distribution`. Two workers on this machine train and save with `OrbaxCheckpoint`, and
one is killed. Then one worker loads the checkpoint of two, and three workers do.

- Run:    `python beyond/15_many_workers.py` (under the hood, 45 minutes to read)
- Reads:  `data/mnist.npz`
- Writes: `out/15_many_workers/`: `whole/` and `killed/` with the last two checkpoints and what each
  worker reported and printed; `alone/` and `three/`, where the checkpoint was loaded; the figure
  `timeline.png`; `result.json`
- From:   beyond the tutorials: they train in one process
- Next:   `beyond/16_untrusted_checkpoint.py` opens files that somebody else has made
"""

# %% [markdown]
"""
## Settings and seed

The script sets the backend to JAX before it imports Keras, whatever `KERAS_BACKEND` says.
`BATCH_SIZE` counts the rows of all workers together. `VICTIM` is the worker that is killed and
`KILL_IN` the epoch (pass over the training rows) in which that happens, both counted from 0. `PORT
= 0` takes any free port.

Two time limits detect failures. If a worker sends no sign of life (*heartbeat*) for `HEARTBEAT`
seconds, the others end themselves. JAX's own limit is 100 seconds. If no worker reports anything
for `PATIENCE` seconds, they hang, and the supervisor ends them. With shorter limits, a slow machine
looks like a dead one.
"""

# %%
import atexit
import hashlib
import json
import math
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

os.environ["KERAS_BACKEND"] = "jax"

try:
    import jax
    import keras
    import matplotlib.pyplot as plt
    import numpy as np
    import orbax.checkpoint  # noqa: F401
except ImportError as error:
    sys.exit(f"{error}. This script needs what requirements/beyond.txt lists: make 15")

SEED = 7
WORKERS = 2
EPOCHS = 6
ROWS = 9600
BATCH_SIZE = 96
VALIDATION_SPLIT = 0.2
VICTIM = 1
KILL_IN = 3
RESTARTS = 3
ADDRESS = "127.0.0.1"
PORT = 0
HEARTBEAT = 30
PATIENCE = 180
WIDTHS = (256, 4096)
OUT = pathlib.Path("out/15_many_workers")


# %% [markdown]
"""
## Load the data: MNIST

This is the data cell of script 04.
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
## Take 9,600 pictures

They make a hundred batches of 96 rows, and 96 can be divided by one, two, three or four workers.
The same batch size with more workers is the same training. It is not faster here, because the
network is small and the workers spend their time exchanging gradients. If you let the batch grow
with the number of workers, you have another training and have to choose the learning rate again.
"""

# %%
x, y = x[:ROWS], y[:ROWS]
batches_per_epoch = ROWS // BATCH_SIZE

# %% [markdown]
"""
## Build the model: with names

Orbax finds variables by name. Without names of your own, Keras numbers them by what the process
built before: the second `Dense` is `dense_1`. `load_weights` skips an unknown name without a
message. So the network, its layers and its optimizer get names here. `Dropout`'s seed generator
(the variable behind its random numbers) keeps Keras's name, which is the same if the process has
built nothing else before.

The model has no metrics besides the loss. Keras creates metrics in the first batch, so the
checkpoint would contain them, but the model that loads it would not have them yet. With another
number of workers, loading then ends with an error (Keras 3.15.1).

`fingerprint` is a checksum of all numbers of the training. Each worker computes it from its own
copies. Different fingerprints would mean that the workers train different networks.
"""


# %%
def build_model(width=256, named=True):
    names = iter(["hidden", "dropout", "digits", f"network_{width}"] if named else [None] * 4)
    layers = [
        keras.Input(shape=(784,)),
        keras.layers.Dense(width, activation="relu", name=next(names)),
        keras.layers.Dropout(0.2, name=next(names)),
        keras.layers.Dense(10, activation="softmax", name=next(names)),
    ]
    model = keras.Sequential(layers, name=next(names))
    optimizer = keras.optimizers.Adam(name="adam" if named else None)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


def fingerprint(model):
    variables = model.variables + model.optimizer.variables
    numbers = [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    return hashlib.sha256(b"".join(numbers)).hexdigest()


# %% [markdown]
"""
## Train: what each worker does

`DataParallel` keeps a copy of each variable on every device of every worker. Each worker computes
the gradients for its own rows. A library sums them over the network: Gloo on processors, NCCL on
graphics cards. All workers then take the same step, so the copies stay equal.

**The data.** The order of the rows depends only on the seed and the epoch number, so a resumed
training sees the same rows in the same order. (`Dataset.shuffle` with a seed would start again.)
With two workers, each takes every second row. The rows of a batch are the same for any number of
workers. `auto_shard_dataset=False` tells Keras that the data is already shared out. Every worker
must take the same number of batches, because a worker with one batch more would wait forever.
`steps_per_epoch` ensures that.

**The checkpoint.** `OrbaxCheckpoint` saves after each epoch, in the background. Each worker writes
its part into a folder that ends in `.orbax-checkpoint-tmp`. When all have written, the folder is
renamed to the epoch number, counted from 0. A folder with only a number as its name is complete. It
contains the weights, the optimizer and the seed generators, so `Dropout` continues exactly. It does
not contain the history, the counters of callbacks, or the position inside an epoch. Script 12 saves
those, for one process.

**The resume.** The callback does not resume. These lines do:

- Each worker looks for the last complete epoch and continues with the next one. All workers find
  the same epoch, because no new save starts before all have loaded. This also avoids Orbax's
  `StepAlreadyExistsError`, which refuses to save an epoch twice.
- Worker 0 stores the fingerprint before each save. The loaded model must have that fingerprint. The
  step count of the optimizer is not enough: when `load_weights` finds the optimizer's names but not
  those of the layers, the count is right and the weights are new.
- If the last epoch is already saved, there is nothing to train, and `fit` is not called: it fails
  without a batch.
- At the end, the folder of the last epoch must exist, because the callback hides errors of its last
  save.

**The report.** Each worker writes lines to a file of its own: when it joined, began an epoch, was
in its middle, and ended it. The supervisor reads the files and draws the figure from them. A file
survives a crash of the supervisor.
"""


# %%
def say(report, *words):
    with open(report, "a") as file:
        print(f"{time.time():.3f}", *words, file=file)


def complete_epochs(folder):
    if not (folder / "checkpoints").is_dir():
        return []
    names = [path.name for path in (folder / "checkpoints").iterdir()]
    return sorted(int(name) for name in names if name.isdigit())


def load_last(model, folder):
    last = complete_epochs(folder)[-1]
    model.load_weights(folder / "checkpoints")
    lines = (folder / "fingerprints.txt").read_text().splitlines()
    if fingerprint(model) != dict(line.split() for line in lines)[str(last)]:
        sys.exit(f"{folder}: what was loaded is not what was saved after epoch {last}")
    return last


def share_of_rows(first_epoch, index, workers):
    import tensorflow

    images, labels = tensorflow.constant(x), tensorflow.constant(y)

    def order(epoch):
        seed = [tensorflow.constant(SEED, "int64"), epoch]
        rows = tensorflow.random.experimental.stateless_shuffle(tensorflow.range(ROWS), seed)
        return tensorflow.data.Dataset.from_tensor_slices(rows)

    rows = tensorflow.data.Dataset.range(first_epoch, EPOCHS).flat_map(order)
    batches = rows.shard(workers, index).batch(BATCH_SIZE // workers)
    return batches.map(lambda row: (tensorflow.gather(images, row), tensorflow.gather(labels, row)))


def train(folder, report, index, workers):
    model = build_model()
    first_epoch = 0
    if complete_epochs(folder):
        first_epoch = load_last(model, folder) + 1
        say(report, "loaded", first_epoch - 1, fingerprint(model))

    def middle(batch, logs):
        if batch == batches_per_epoch // 2:
            say(report, "middle")

    def end(epoch, logs):
        if index == 0:
            with open(folder / "fingerprints.txt", "a") as file:
                print(epoch, fingerprint(model), file=file)
        say(report, "end", epoch, fingerprint(model))

    reporting = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: say(report, "begin", epoch),
        on_train_batch_begin=middle,
        on_epoch_end=end,
    )
    if first_epoch < EPOCHS:
        checkpoint = keras.callbacks.OrbaxCheckpoint(folder / "checkpoints", max_to_keep=2)
        model.fit(
            share_of_rows(first_epoch, index, workers),
            shuffle=False,
            steps_per_epoch=batches_per_epoch,
            initial_epoch=first_epoch,
            epochs=EPOCHS,
            callbacks=[reporting, checkpoint],
            verbose=0,
        )
    if complete_epochs(folder)[-1:] != [EPOCHS - 1]:
        sys.exit(f"{folder}: the last checkpoint was not completed")
    say(report, "trained", fingerprint(model))


# %% [markdown]
"""
## Train: loading, and the traps

`measure` saves networks of two sizes, not in the background, and notes the seconds. It skips the
first save, which also makes the folders, and takes the shortest of the others, because other work
on the machine can only make a save longer.

`fall_into_traps` shows with one worker why the precautions above are needed:

- It loads a checkpoint into a model without names. The layer names differ, but the optimizer has
  the same name.
- It saves an epoch a second time.
- It saves while a file may only grow to a kilobyte. `RLIMIT_FSIZE`, the system's limit for the size
  of a file, acts like a full disk. `fit` returns as if nothing had happened.
"""


# %%
def one_step(model, folder, *around, background=True, epochs=1):
    import tensorflow

    batch = tensorflow.data.Dataset.from_tensors((x[:96], y[:96])).repeat()
    checkpoint = keras.callbacks.OrbaxCheckpoint(folder, save_on_background=background)
    callbacks = [*around, checkpoint, *around]
    settings = {"shuffle": False, "steps_per_epoch": 1, "epochs": epochs, "verbose": 0}
    model.fit(batch, callbacks=callbacks, **settings)


def measure(folder, report):
    for width in WIDTHS:
        model = build_model(width)
        times = []
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_, times=times: times.append(time.perf_counter())
        )
        one_step(model, folder / f"measured_{width}", note, background=False, epochs=6)
        seconds = min(np.subtract(times[3::2], times[2::2]))
        size = sum(math.prod(v.shape) * 4 for v in model.variables + model.optimizer.variables)
        say(report, "measured", f"{size / 1e6:.1f}", f"{seconds:.3f}")


def fall_into_traps(folder, report):
    one_step(build_model(), folder / "trap")
    unnamed = build_model(named=False)
    before = unnamed.get_weights()
    unnamed.load_weights(folder / "trap")
    if all(map(np.array_equal, before, unnamed.get_weights())):
        counted = int(unnamed.optimizer.iterations)
        say(report, "trap", f"load_weights: no error, batches counted: {counted}, weights: none")
    try:
        one_step(build_model(), folder / "trap")
    except FileExistsError as error:
        say(report, "trap", f"the second save of an epoch: {type(error).__name__}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    one_step(build_model(), folder / "full")
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    if not (folder / "full" / "0").exists():
        say(report, "trap", "fit returned, and there is no checkpoint")


# %% [markdown]
"""
## Processes that end together

When you press Ctrl-C, no process may be left behind. This cell is the same in scripts 14 and 15.

- `start` starts a process in a process group of its own, so the terminal sends Ctrl-C only to this
  process. During the start, Ctrl-C has to wait: a process that is started but not yet in `running`
  would be left behind.
- `end_processes` ends every process in `running`. Python calls it whenever this process exits.
- `end_with_parent` is for the case that this process is killed. It runs in a thread of each started
  process and waits for the end of a pipe. The system closes the pipe when the first process is
  gone, and the thread then ends its own process.
"""


# %%
running, pressed = [], []


def end_with_parent():
    sys.stdin.read()
    os._exit(1)


def end_processes():
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
    running.clear()


def interrupted(*_):
    print("Interrupted. Ending all processes.", file=sys.stderr)
    sys.exit(130)


def start(arguments, printed_to, settings):
    signal.signal(signal.SIGINT, lambda *_: pressed.append("Ctrl-C"))
    with open(printed_to, "a") as printed:
        pipes = {"stdin": subprocess.PIPE, "stdout": printed, "stderr": printed}
        pipes |= {"env": os.environ | settings, "start_new_session": True}
        running.append(subprocess.Popen([sys.executable, *arguments], **pipes))
    signal.signal(signal.SIGINT, interrupted)
    if pressed:
        interrupted()


# %% [markdown]
"""
## Train: as a worker

The script starts itself with the word `work`, once for each worker. `initialize` has to come before
the first computation: JAX refuses to join others later. `set_random_seed` follows it, so all
workers begin with the same weights. `end_with_parent` ends the worker when the supervisor dies.
Otherwise it would continue to train, and write into the folder of the next run.
"""


# %%
def work(jobs, folder, index, workers, port):
    threading.Thread(target=end_with_parent, daemon=True).start()
    folder, index, workers = pathlib.Path(folder).resolve(), int(index), int(workers)
    report = folder / f"worker_{index}.txt"
    limits = {"heartbeat_timeout_seconds": HEARTBEAT}
    limits |= {"initialization_timeout": PATIENCE, "shutdown_timeout_seconds": PATIENCE}
    jax.distributed.initialize(f"{ADDRESS}:{port}", workers, index, **limits)
    say(report, "joined", len(jax.devices()))
    keras.utils.set_random_seed(SEED)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    if "train" in jobs:
        train(folder, report, index, workers)
    if "load" in jobs:
        model = build_model()
        say(report, "loaded", load_last(model, folder), fingerprint(model))
    if "measure" in jobs:
        measure(folder, report)
    if workers == 1:
        fall_into_traps(folder, report)


if sys.argv[1:2] == ["work"]:
    work(*sys.argv[2:])
    sys.exit()

# %% [markdown]
"""
## Train: start, watch, and start again

The code from here on is the *supervisor*. On a cluster, Slurm or Kubernetes does its work: end all
workers when one fails, and run the same command again. Your script must then continue from the last
complete checkpoint.

`watch` looks at the processes every 20 ms. When one worker dies, the others do not end soon. Here
the broken connection stops their step, but then they wait at JAX's *barrier*, a point that all
workers must reach. If a machine loses power, no connection breaks, and they wait inside the step.
Both end only after the heartbeat limit. So the supervisor kills the remaining workers. Their work
since the last checkpoint is lost in any case, because they cannot continue without the dead
worker's share. A supervisor that cannot see each process depends on the heartbeat.

`run` starts all workers, and starts them again when one is lost, at most `RESTARTS` times. A
failure that repeats, such as a full disk, is not an accident. If a worker ends before all have
joined, something is wrong with the setup, and `run` stops.

`start_workers` hides graphics cards, because each worker would reserve most of a card's memory.
"""


# %%
def free_port():
    with socket.socket() as place:
        try:
            place.bind((ADDRESS, PORT))
        except OSError as error:
            sys.exit(f"Port {PORT} of {ADDRESS} is in use ({error}). PORT = 0 takes a free one.")
        return place.getsockname()[1]


def start_workers(jobs, folder, workers):
    settings = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    port = str(free_port())
    for index in range(workers):
        place = [str(folder), str(index), str(workers), port]
        arguments = ["beyond/15_many_workers.py", "work", jobs, *place]
        start(arguments, folder / f"printed_{index}.txt", settings)


def lines_of(folder, index):
    report = folder / f"worker_{index}.txt"
    return [line.split() for line in report.read_text().splitlines()] if report.exists() else []


def watch(folder, is_time_to_kill, noted):
    begun = time.time()
    sizes, silent_since = None, begun
    while True:
        time.sleep(0.02)
        ended = [process.poll() for process in running]
        now = time.time()
        for epoch in complete_epochs(folder):
            noted["complete"].setdefault(epoch, now)
        for index, status in enumerate(ended):
            if status not in (None, 0):
                return index, status
        if set(ended) == {0}:
            return None
        reports = [folder / f"worker_{index}.txt" for index in range(len(running))]
        before, sizes = sizes, [path.stat().st_size for path in reports if path.exists()]
        silent_since = now if sizes != before else silent_since
        if now - silent_since > PATIENCE:
            return ended.index(None), "hangs"
        if is_time_to_kill(folder):
            os.killpg(running[VICTIM].pid, signal.SIGKILL)
            noted["killed"] = time.time()
            is_time_to_kill = never


def never(folder):
    return False


def run(jobs, folder, workers, is_time_to_kill=never, restarts=RESTARTS):
    noted = {"starts": [], "complete": {}, "lost": [], "last": []}
    for attempt in range(restarts + 1):
        noted["starts"].append(time.time())
        noted["last"].append(max(complete_epochs(folder), default=None))
        try:
            start_workers(jobs, folder, workers)
            lost = watch(folder, is_time_to_kill, noted)
        finally:
            end_processes()
        noted["ended"] = time.time()
        if lost is None:
            return noted
        index, status = lost
        noted["lost"].append({"worker": index, "status": status, "noticed": noted["ended"]})
        joined = sum(line[1] == "joined" for i in range(workers) for line in lines_of(folder, i))
        if joined < workers:
            break
        is_time_to_kill = never
    sys.exit(f"Worker {index} ended with {status}; {folder}/printed_{index}.txt may say why.")


def fresh(name, checkpoints_of=None):
    folder = OUT / name
    folder.mkdir()
    if checkpoints_of:
        shutil.copytree(OUT / checkpoints_of / "checkpoints", folder / "checkpoints")
        shutil.copy(OUT / checkpoints_of / "fingerprints.txt", folder)
    return folder


atexit.register(end_processes)
signal.signal(signal.SIGINT, interrupted)
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

# %% [markdown]
"""
## Train: once without interruption, once with

The second training loses worker 1 in the middle of its fourth epoch. SIGKILL, a signal that stops a
process at once, ends it. At this moment the save after the third epoch may be complete or not.
`run` notes the last complete epoch at each start, and *Check* compares it with what the workers
loaded. `tests/durability/torture.py` kills before, during and after a joint save, and also kills
worker 0.
"""


# %%
def middle_of_epoch(folder):
    words = [line[1:] for line in lines_of(folder, VICTIM)]
    return ["begin", str(KILL_IN)] in words and words.count(["middle"]) > KILL_IN


whole = run("train,measure", fresh("whole"), WORKERS)
print(f"uninterrupted: {whole['ended'] - whole['starts'][0]:.1f} s")
killed = run("train", fresh("killed"), WORKERS, middle_of_epoch)
noticed_after = killed["lost"][0]["noticed"] - killed["killed"]
print(f"worker {VICTIM} killed; noticed, and the others ended, after {noticed_after:.2f} s")
print(f"last complete checkpoint: of epoch {killed['last'][1] + 1}, folder {killed['last'][1]}")
print("fingerprints of the workers, as far as 16 digits:")


def said(name, index, word):
    return [line[2:] for line in lines_of(OUT / name, index) if line[1] == word]


ends = {name: [said(name, i, "trained") for i in range(WORKERS)] for name in ("whole", "killed")}
for name, values in ends.items():
    print(f"{name:8}{[value[0][0][:16] for value in values]}")

# %% [markdown]
"""
## Load: with fewer workers, and with more

After you lose a machine, you may want to continue with the remaining ones, or with more later. One
worker and three workers load the checkpoint of two, each from a copy in its own folder. Every
worker gets all arrays, no matter which worker wrote them. A training with another number of workers
adds the gradients in another order, so it is as good, but not the same to the last bit.
"""

# %%
LOADERS = {"alone": (1, "load,measure"), "three": (3, "load")}
loaded = {}
for name, (workers, jobs) in LOADERS.items():
    run(jobs, fresh(name, "whole"), workers, restarts=0)
    loaded[name] = [said(name, index, "loaded")[0] for index in range(workers)]
    print(f"{name:8}{[value[1][:16] for value in loaded[name]]}")
traps = [" ".join(words) for words in said("alone", 0, "trap")]
print(*traps, sep="\n")

# %% [markdown]
"""
## What a joint checkpoint costs

The seconds count from the end of an epoch until the checkpoint is complete, for the slowest worker.
Part of the cost is the same for every size: making folders, and waiting until all workers agree
that the checkpoint is complete. The rest grows with the size. Each worker writes its part of the
large arrays, so N workers could write N times as fast if the storage can take it. Two workers on
one disk and two cores are hardly faster than one, or slower.

The last printed line is computed, not measured: it scales the larger network to 1000 MB (83 million
weights, and two numbers more for each in the optimizer). The fixed part is scaled too, so the
estimate is rather high.

A training saves in the background. It still waits between two epochs, while arrays are copied and
the workers agree on the folder. In the figure below these waits are the gaps between the epochs.
"""

# %%
costs = {}
for name, workers in (("alone", 1), ("whole", WORKERS)):
    each = np.array([said(name, index, "measured") for index in range(workers)], dtype=float)
    costs[workers] = [[float(size), float(seconds)] for size, seconds in each.max(axis=0)]
    for size, seconds in costs[workers]:
        print(f"{workers} worker(s) save {size:5.1f} MB in {seconds:.2f} s")
begun, ended = (
    np.array([float(line[0]) for line in lines_of(OUT / "whole", 0) if line[1] == word])
    for word in ("begin", "end")
)
waited = float(np.median(begun[1:] - ended[:-1]))
print(f"in the training, the smaller of the two was waited for {waited:.2f} s after each epoch")
size, seconds = costs[WORKERS][-1]
gigabyte = seconds * 1000 / size
print(f"computed, not measured: {WORKERS} workers would save 1000 MB in {gigabyte:.0f} s")

# %% [markdown]
"""
## Look: one death, and all start again

The upper part shows the training without interruption, the lower part the one that lost a worker.
Each has one row for each worker. The first epoch after a start takes longer, because JAX compiles
the training step in it. The vertical line is the kill. Most of the lost time is the start of Python
and its libraries, not the training that was lost. On a cluster it is the wait for a new machine,
and the time before somebody notices.

Saving more often only shortens the training that is lost. A faster start and a faster alarm save
time at every failure.
"""


# %%
def bars(folder, index, noted):
    starts = [*noted["starts"], noted["ended"]]
    begun, from_time, found = None, starts[0], []
    for at, word, *rest in lines_of(folder, index):
        at = float(at)
        if word == "joined" and begun:
            found.append(("lost", *begun, noted["killed"]))
            begun, from_time = None, next(start for start in starts[::-1] if start < at)
        if word == "begin":
            if from_time:
                found.append(("start", None, from_time, at))
            begun, from_time = (int(rest[0]) + 1, at), None
        if word == "end":
            found.append(("epoch", *begun, at))
            begun = None
    return [(kind, epoch, begin - starts[0], end - starts[0]) for kind, epoch, begin, end in found]


COLOURS = {
    "start": ("#BBBBBB", "starting, and loading"),
    "epoch": ("#56B4E9", "an epoch, with its number"),
    "lost": ("#E69F00", "trained, then lost"),
}
figure, both = plt.subplots(2, figsize=(8, 4.8), layout="constrained", sharex=True)
titles = {"whole": "not interrupted", "killed": f"worker {VICTIM} killed in the middle of an epoch"}
for axes, (name, title), noted in zip(both, titles.items(), (whole, killed), strict=True):
    for index in range(WORKERS):
        for kind, epoch, begin, end in bars(OUT / name, index, noted):
            place = {"height": 0.62, "left": begin, "edgecolor": "white"}
            axes.barh(index, end - begin, color=COLOURS[kind][0], **place)
            if kind == "epoch":
                axes.text((begin + end) / 2, index, epoch, ha="center", va="center", size=9)
    moments = np.array(list(noted["complete"].values())) - noted["starts"][0]
    axes.plot(moments, np.full(len(moments), (WORKERS - 1) / 2), "^", color="#009E73", ms=9)
    if "killed" in noted:
        moment = noted["killed"] - noted["starts"][0]
        axes.plot(moment, VICTIM, "X", color="#D55E00", ms=13, mec="white", zorder=3)
        axes.axvline(moment, color="#D55E00", lw=1)
    axes.set(title=title, yticks=range(WORKERS), ylim=(WORKERS - 0.5, -0.5))
    axes.set_yticklabels([f"worker {index}" for index in range(WORKERS)])
both[1].set_xlabel("seconds since the start")
handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour, _ in COLOURS.values()]
handles += both[1].plot([], [], "^", color="#009E73", ms=9)
handles += both[1].plot([], [], "X", color="#D55E00", ms=11)
names = [label for _, label in COLOURS.values()] + ["joint checkpoint complete", "SIGKILL"]
figure.legend(handles, names, loc="outside lower center", ncols=3)
figure.suptitle("One worker dies: all start again from the last complete checkpoint")
figure.savefig(OUT / "timeline.png", dpi=150)

# %% [markdown]
"""
## Check

All workers of both trainings end in the same bits. A second training that started from the
beginning would pass this, so more is checked:

- Exactly one worker was lost, to SIGKILL, and the supervisor noticed it within seconds.
- Both workers continued from the last complete checkpoint. They loaded the bits that the
  uninterrupted training had after that epoch. They trained each later epoch once and no earlier one
  again.
- One worker and three workers loaded the bits that two had saved. Both of the two had written a
  good part of them.
- Each trap is still there. If a later Keras or Orbax removes one, an assertion fails, and you can
  drop the precaution.
- No worker is left.
"""

# %%
epochs = {
    name: [[int(words[0]) for words in said(name, i, "begin")] for i in range(WORKERS)]
    for name in ends
}
saved = dict(line.split() for line in (OUT / "whole" / "fingerprints.txt").read_text().splitlines())
assert epochs["whole"] == [list(range(EPOCHS))] * WORKERS
assert {value[0][0] for values in ends.values() for value in values} == {saved[str(EPOCHS - 1)]}
assert whole["lost"] == [] and len(killed["lost"]) == 1
assert killed["lost"][0]["worker"] == VICTIM and killed["lost"][0]["status"] == -signal.SIGKILL
assert noticed_after < 10
last = killed["last"][1]
assert last >= KILL_IN - 2 and whole["last"] == [None] == killed["last"][:1]
for index in range(WORKERS):
    assert said("killed", index, "loaded") == [[str(last), saved[str(last)]]]
    before, after = epochs["killed"][index][: -(EPOCHS - 1 - last)], range(last + 1, EPOCHS)
    assert before == list(range(len(before))) and len(before) > KILL_IN
    assert epochs["killed"][index] == [*before, *after]
for values in loaded.values():
    assert {tuple(value) for value in values} == {(str(EPOCHS - 1), saved[str(EPOCHS - 1)])}
for name in ends:
    assert complete_epochs(OUT / name) == [EPOCHS - 2, EPOCHS - 1]
written = [0] * WORKERS
for path in (OUT / "whole" / "checkpoints" / str(EPOCHS - 1)).glob("pytree/ocdbt.process_*/**/*"):
    written[int(path.relative_to(OUT).parts[4][-1])] += path.stat().st_size
assert min(written) > max(written) / 2
assert len(traps) == 3
assert running == []

# %% [markdown]
"""
## On real machines

On a cluster you need a few changes, and few of them are Python:

- Each machine starts its own worker with the same command. The address is that of worker 0, with a
  fixed port that the others can reach. Under Slurm, Open MPI, on Cloud TPUs and, with `pip install
  jax[k8s]`, on Kubernetes, `jax.distributed.initialize` finds the address, the number of workers
  and its own index. It then needs no arguments except the time limits.
- A network that is too large for one device needs `keras.distribution.ModelParallel` with a
  `LayoutMap`, which says how the variables are divided. The same callback saves it and the same
  call loads it, also with another division. The fingerprint changes: no worker holds all numbers,
  so each computes the checksum of its own part.
- Put the checkpoints on storage that all machines see under the same path. If each worker writes to
  its own disk, nobody can put the parts together.
- Each worker reads its own share of the data, from files that are divided in the same way at every
  start.
- If you continue with fewer workers, keep the batch size of all together, and give each worker a
  larger share. It then stays the same training.
- Let the cluster restart the workers: `srun --kill-on-bad-exit` in a loop, with `#SBATCH --requeue`
  for a lost machine, or a Kubernetes JobSet with a failure policy that starts all pods again. You
  do not need this script's supervisor then. You need all that its workers do.
"""

# %% [markdown]
"""
## Result

`result.json` stores how fast the loss was noticed, the fingerprint, the traps, and what a joint
checkpoint cost.
"""

# %%
for folder in OUT.glob("*/measured_*"):
    shutil.rmtree(folder)
reports = [f"{name}/worker_{index}.txt" for name in ends for index in range(WORKERS)]
result = {
    "script": OUT.name,
    "quantity": "seconds until a loss was noticed and the others were ended",
    "documented": None,
    "reproduced": round(noticed_after, 3),
    "fingerprint": saved[str(EPOCHS - 1)],
    "resumed_after_epoch": last + 1,
    "lost": killed["lost"],
    "loaded_by": {name: len(values) for name, values in loaded.items()},
    "traps": traps,
    "costs": costs,
    "waited_between_epochs": round(waited, 3),
    "computed_seconds_for_1000_MB": round(gigabyte, 1),
    "files": sorted(["timeline.png", *reports]),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
