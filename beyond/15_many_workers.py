# %% [markdown]
"""
# 15 · Many workers

When one machine is too slow, several train the same network together: each takes its share of every
batch, and their gradients are averaged before each step, so that all hold the same weights at all
times. With every machine that joins, it becomes more likely that one of them fails. The others
cannot go on without it, since they wait for its gradients, and nothing brings it back into the
step that it has missed. What is left is to end them all, and to start all again from the last
checkpoint that was complete.

TensorFlow's `MultiWorkerMirroredStrategy` cannot `fit` a model of Keras 3. What can is JAX, under
`keras.distribution`. Here two workers on this machine train, save together with `OrbaxCheckpoint`,
and one is killed. Then the checkpoint of two is loaded by one worker, and by three.

- Run:    `python beyond/15_many_workers.py`
- Reads:  `data/mnist.npz`
- Writes: `out/15_many_workers/`: `whole/` and `killed/` with the last two checkpoints, what each
  worker reported and what it printed; `alone/` and `three/`, where they were loaded;
  `timeline.png`, `result.json`
- From:   beyond the documents
- Next:   `beyond/16_untrusted_checkpoint.py` opens files that somebody else has made
"""

# %% [markdown]
"""
## Settings and seed

JAX is the backend, whatever `KERAS_BACKEND` says, and that has to be set before Keras is imported.
`BATCH_SIZE` is the batch of all workers together. `VICTIM` and `KILL_IN` are the worker that is
killed and the epoch in which it is, both counted from 0. With `PORT = 0` any free port is taken.

Two limits are for accidents. A worker from which nothing was heard for `HEARTBEAT` seconds counts
as dead, and the others end themselves; JAX by itself waits for 100. And if for `PATIENCE` seconds
no worker reports anything, they hang and count as lost. Both are generous, or a slow machine would
pass for a dead one.
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

The cell of script 04. Each worker reads the file, and trains on its share of the first `ROWS`
images.
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

So that an epoch takes about a second. They make a hundred batches of 96, which one, two, three or
four workers can share evenly. The same batch with more workers is the same training, only faster,
if their gradients come together sooner than one worker would have computed them all. With a network
as small as this one they do not: what is shown here is how to lose nothing, and not how to gain
time. Whoever lets the whole batch grow with the number of workers has another training, and has to
choose the learning rate anew.
"""

# %%
x, y = x[:ROWS], y[:ROWS]
batches_per_epoch = ROWS // BATCH_SIZE

# %% [markdown]
"""
## Build the model: with names

An Orbax checkpoint finds its variables by name, and those that Keras makes up depend on what was
built before: the second `Dense` of a process is `dense_1`. `load_weights` passes over a name that
it does not know without a word. So the network, its layers and its optimizer have names here. The
seed generator of `Dropout` gets none from us; its name is right in a process that has built nothing
else before.

There are no metrics besides the loss, for a similar reason. Keras makes them in the first batch, so
they are in the checkpoint but not yet in the model that is to load it, and Orbax does not know
where to put them: with another number of workers than before, loading ends with an error (Keras
3.15.1).

`fingerprint` is a checksum of all numbers that the training consists of. Each worker computes it
from its own copies, so equal fingerprints say that the copies are equal, too. Unequal ones would
mean that the workers train different networks without knowing it.
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

Once it has joined the others, `DataParallel` keeps a copy of each variable on every device of every
worker. Each computes the gradients for its own rows, and on processors a library named Gloo sums
them up over the network, on graphics cards NCCL does. All then take the same step. So hardly
anything is sent around but gradients, and the copies stay equal without being compared.

The order of the rows follows from the seed and the number of the epoch and from nothing else.
`flat_map` makes one epoch after the other, beginning with any of them: so a resumed training sees
what it would have seen. A `shuffle` that is seeded once would begin anew. Each worker takes every
second row of that order, if there are two. Whatever their number, the rows of a batch are the same,
and only who has which differs. `auto_shard_dataset=False` says that the data is shared out already;
Keras would do it too, but its share would hide the order from us.

Every worker must take the same number of batches. One that has a batch more than the others waits
for them for ever. Hence `steps_per_epoch`, and the number of rows that comes out even.

`OrbaxCheckpoint` saves after each epoch, in the background, all workers together: each writes its
part into a folder whose name ends in `.orbax-checkpoint-tmp`, and when all are done, the folder is
renamed to the number of the epoch, counted from 0. So a folder named by a mere number is complete,
and that is how to find the last one. The callback does not resume; these lines do:

- Each worker looks for the last complete epoch, and `initial_epoch` is the one after it. All find
  the same one, because nothing is saved before all have loaded and trained. That also avoids
  `StepAlreadyExistsError`, by which Orbax refuses to save an epoch twice.
- Before each save, worker 0 writes down the fingerprint, and what was loaded has to have it. To ask
  the optimizer how many batches it has counted would not do: if `load_weights` finds its names but
  not those of the layers, it counts right, and the weights are those of a new network.
- At the end the last epoch's folder must exist. The callback swallows whatever goes wrong when it
  finishes the last save.

Whoever dies after the last save finds nothing left to train. `fit` would fail without a single
batch, so it is not called then.

What is in the checkpoint is more than in a `.weights.h5`: weights, optimizer and the state of the
seed generator, so that `Dropout` goes on as if nothing had happened. What callbacks have counted,
the history, and the batch within an epoch are not; script 12 has them, for one process. Only public
functions of Keras and JAX are used for it.

A worker reports by lines in a file of its own: when it joined, began an epoch, was in the middle of
it, ended it. The supervisor reads them, and the figure below is drawn from them. A pipe would do as
well, as long as somebody reads it all the time; a file also outlives everybody.
"""


# %%
def say(report, *words):
    with open(report, "a") as file:
        print(f"{time.time():.3f}", *words, file=file)


def end_with_supervisor():
    sys.stdin.read()
    os._exit(1)


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

`measure` saves networks of two sizes, this time not in the background, and notes the seconds. A
callback before `OrbaxCheckpoint` and one after it take the time. The first save is left out, since
it makes the folders as well, and the shortest of the others is taken: whatever else the machine
does can only make a save longer.

`fall_into_traps` is for one worker alone and shows that the three precautions above are needed. It
loads into a model without names; the names that are made up for the layers differ, the one of the
optimizer happens to be the same. It saves an epoch a second time. And it saves where no file may
become larger than a kilobyte, which stands for a full disk: `fit` returns as if all were well.
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
The script starts itself with the word `work`, once for each worker. `set_random_seed` makes all of
them begin with the same weights. It stands after `initialize`, which has to come before anything is
computed: JAX refuses to join others when it has begun alone.

A thread waits for the end of the pipe that comes from the supervisor. It ends when the supervisor
does, in whatever way, and then the worker ends too. Without it, a supervisor that was killed would
leave workers behind that train on, and that write to the same checkpoints as those of the next one.
"""


# %%
def work(jobs, folder, index, workers, port):
    threading.Thread(target=end_with_supervisor, daemon=True).start()
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

From here on, this is the supervisor. On a cluster its part is played by what starts the workers
there: Slurm, or a controller of Kubernetes. Either can be told to end all workers when one fails,
and to run the same command again. What it needs from a script is that the same command goes on from
where the last complete checkpoint is.

`watch` looks after the processes every 20 ms, and that is how a death is noticed at once. The other
workers do not die of it soon. Here the broken connection makes their step fail, but then they wait
for the dead one again, in the barrier that JAX sets before the end. A machine that loses its power
breaks no connection, and they wait in the step. Both end only when the heartbeat has been missing
for as long as was allowed. So the survivors are killed, and that loses nothing: what they hold was
trained since the last checkpoint, and cannot go on without the dead one's share. Where a supervisor
cannot see each process, the heartbeat is what ends the survivors; hence the limit shorter than
JAX's.

`run` starts all workers, and does so again when one is lost, `RESTARTS` times at most: what fails
each time, such as a full disk, is no accident. A worker that ends before all have joined for the
first time has met no accident either, but a mistake, and is not started again. `start_workers`
keeps graphics cards out: two workers on one card would not show more than two on one processor, and
each would ask for most of its memory. Each worker leads a process group of its own, so that Ctrl-C
in a terminal reaches only the supervisor. It ends the workers whenever it ends itself. While it
starts them, Ctrl-C has to wait: a worker that was started but not yet noted in `running` would be
left behind.
"""

# %%
running, pressed = [], []


def end_workers():
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
    running.clear()


def interrupted(*_):
    print("Interrupted. Ending all workers.", file=sys.stderr)
    sys.exit(130)


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
    signal.signal(signal.SIGINT, lambda *_: pressed.append("Ctrl-C"))
    for index in range(workers):
        place = [str(folder), str(index), str(workers), port]
        command = [sys.executable, "beyond/15_many_workers.py", "work", jobs, *place]
        with open(folder / f"printed_{index}.txt", "a") as printed:
            pipes = {"stdin": subprocess.PIPE, "stdout": printed, "stderr": printed}
            pipes |= {"env": os.environ | settings, "start_new_session": True}
            running.append(subprocess.Popen(command, **pipes))
    signal.signal(signal.SIGINT, interrupted)
    if pressed:
        interrupted()


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
            end_workers()
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


atexit.register(end_workers)
signal.signal(signal.SIGINT, interrupted)
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

# %% [markdown]
"""
## Train: once without interruption, once with

The second training loses worker 1 with SIGKILL in the middle of its fourth epoch, when the save
after the third may be complete or not. That does not matter: `run` notes which epoch is the last
complete one at each start, and *Check* holds the workers to it. `tests/durability/torture.py` kills
before, during and after a joint save, worker 0 as well.
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

When a machine is lost for good, one would rather go on with those that are left, and with more when
they come. The checkpoint of two is loaded by one worker and by three, copied for each into a folder
of its own. Every worker gets what it needs of each array, whoever wrote it. Going on with another
number of workers gives a training that is as good but not the same to the last bit: the sums of a
batch are then added in another order.
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

Measured are the seconds from the end of an epoch until the checkpoint is complete, for the slowest
worker. A small network pays for files, folders and the agreement of all workers that the checkpoint
is complete, and that does not depend on the size of the network. A large one pays for its bytes as
well. Each worker writes its part of the large arrays, although it holds all of them. So N workers
could write N times as fast, if the storage took that much. Two that share one disk and two cores
are hardly faster than one, or slower.

Two cores end at two workers and at networks that train in seconds. The last line is computed and
not measured: 1000 MB, a network of 83 million weights with two numbers more for each in the
optimizer, at the rate of the larger of the two. That counts the time for agreeing among the bytes,
and so is rather too much, unless something gets in the way that only large files meet.

In a training the callback saves in the background. What is waited for even so are the gaps between
the epochs in the figure below: copying the arrays and agreeing on the folder. With a network as
small as this one that is a good part of the whole save; the bytes, which a large one adds to it,
are written meanwhile, unless that takes longer than an epoch.
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
## Look: one death, and both start again

Above the training that was left alone, below the one that lost a worker; both workers of each. The
first epoch after every start is a longer one, because the step is compiled in it. The stroke in the
lower half is the kill. What it costs is, for the most part, not what was trained in vain but the
start of Python and of the libraries. On a cluster it is the wait for a new machine, and the time
for which nobody notices.

So how often to save has two answers. Saving more often makes what is trained in vain shorter, and
nothing else. Starting faster and noticing sooner helps at every loss.
"""


# %%
def bars(folder, index, noted):
    starts = [*noted["starts"], noted["ended"]]
    begun, from_time, found = None, starts[0], []
    for at, word, *rest in lines_of(folder, index):
        at = float(at)
        if word == "joined" and begun:
            found.append(("vain", *begun, noted["killed"]))
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
    "vain": ("#E69F00", "trained in vain"),
}
figure, both = plt.subplots(2, figsize=(8, 4.8), layout="constrained", sharex=True)
titles = {"whole": "left alone", "killed": f"worker {VICTIM} killed, in the middle of an epoch"}
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
figure.suptitle("One worker dies, and all start again from the last complete checkpoint")
figure.savefig(OUT / "timeline.png", dpi=150)

# %% [markdown]
"""
## Check

All workers of both trainings ended in the same bits. That would prove little if the second training
had begun anew, or if nobody had died; it would end in the same bits then as well. So the rest is
checked, too. One worker was lost, once, to SIGKILL, and its death was noticed within seconds. Both
went on from the checkpoint that was the last complete one when they were started again. What they
loaded were the bits that the uninterrupted training had after that epoch. They trained each epoch
after it and none before.

One worker and three loaded the same bits that two had saved, and two had written them, each a good
part. Each of the three traps was there; should a later Keras or Orbax remove one, this says so, and
the precaution can go. No worker is left.
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

What changes is outside this script's lesson, and little of it is Python:

- Each machine starts its own worker, by the same command. The address is that of the coordinator,
  worker 0, with a fixed port that the others can reach. Under Slurm, Open MPI, on Cloud TPUs and,
  with `pip install jax[k8s]`, on Kubernetes, `jax.distributed.initialize` finds out by itself where
  that is, how many workers there are and which one it is. Then it gets no arguments but the limits.
- A network that no single device can hold needs `keras.distribution.ModelParallel`, with a
  `LayoutMap` that says which variables are divided among the devices and how. It is saved by the
  same callback and loaded by the same call, and may be loaded in another division. What does change
  is the fingerprint: no worker holds all numbers, so each would take the checksum of its own part.
- The checkpoints lie on storage that all machines see under the same path. A worker that writes to
  a disk of its own leaves a checkpoint that nobody can put together.
- Each reads its own share of the data, which then may be more than one machine could hold, from
  files that are divided in the same way at every start.
- Who goes on with fewer workers after a loss keeps the whole batch, so that it stays the same
  training, and gives each a larger share.
- Something else restarts: `srun --kill-on-bad-exit` in a loop, with `#SBATCH --requeue` for the
  loss of a machine, or a JobSet of Kubernetes, whose failure policy starts all pods again. The part
  "start, watch, and start again" is not needed there. All that workers do is.
"""

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
for folder in OUT.glob("*/measured_*"):
    shutil.rmtree(folder)
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
    "files": ["timeline.png"]
    + [f"{name}/worker_{index}.txt" for name in ends for index in range(WORKERS)],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
