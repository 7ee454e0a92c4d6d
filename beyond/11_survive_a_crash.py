# %% [markdown]
"""
# 11 · Survive a crash in mid-save

A checkpoint is there for the day on which the training dies, and the stock callback is at its
weakest on just that day. It overwrites the good file in place: the first thing it does is to empty
it. Whoever dies before the last byte is written has neither the new file nor the old one. Script 06
kept a file for every epoch and went back by one; with a fixed name, as in script 02, there is
nothing to go back to.

Here a training is killed in mid-save, again and again, with `ModelCheckpoint` and with
`DurableCheckpoint` from `beyond/durable_checkpoint.py`, which takes the same arguments. Then a file
is changed by one bit, to see who notices. In the end the process dies in each of the five steps of
the safe save.

- Run:    `python beyond/11_survive_a_crash.py`
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/11_survive_a_crash/`: what the last kill left, in folders named after the callbacks;
  two files with a changed bit, in `bit/`; what a crash in each step left, in `step_1/` to
  `step_5/`; `kills.png`, `result.json`; what JAX has compiled, in `compiled/`
- From:   beyond the documents
- Next:   `beyond/12_exact_resume.py` goes on after the crash, bit for bit
"""

# %% [markdown]
"""
## Settings and seed

With each callback the training is killed until it has died in mid-save 20 times. It begins anew
each time and is left in peace until one save is complete: there is a good file to lose. `EPOCHS` is
more than any of them lives to see. Rows and batches come out even, 32 batches of 16 in an epoch, so
that no odd batch has to be compiled as well.

The files are of the kind `.weights.h5`, as in scripts 01 to 03. Those that end in `.keras` Keras
overwrites in the same way, emptying them first, and `DurableCheckpoint` replaces them in the same
way, too.
"""

# %%
import hashlib
import json
import math
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
from durable_checkpoint import CorruptCheckpointError, DurableCheckpoint, verify

SEED = 7
KILLS = 20
EPOCHS = 100
BATCH_SIZE = 16
VALIDATION_SPLIT = 1 / 3
CALLBACKS = {c.__name__: c for c in (keras.callbacks.ModelCheckpoint, DurableCheckpoint)}
STEPS = {1: "write", 2: "flush", 3: "compare", 4: "rename", 5: "flush the folder"}
FILE = "model.weights.h5"
OUT = pathlib.Path("out/11_survive_a_crash")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. Nothing
here depends on how well that is learned; the last third is there to show what a changed bit does.
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

As in script 06, or raw measurements would make the loss a number as wild as a changed bit does.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: two wide layers

Wider than Pima needs: with its optimizer the model fills 3.2 MB, so that a save takes long enough
to be hit. It is made by a function because every process makes its own. The optimizer is built at
once, or `load_weights` would leave out its part of the file with a mere warning.

`fingerprint` is a checksum of all numbers, those of the optimizer included. By it a loaded file is
recognised as the state after a certain epoch, and nothing else passes for it.
"""


# %%
def build_model():
    model = keras.Sequential(
        [
            keras.Input(shape=(8,)),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(512, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(loss="binary_crossentropy", optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, epochs, callbacks):
    x_training, y_training = x[:training_rows], y[:training_rows]
    model.fit(x_training, y_training, BATCH_SIZE, epochs, verbose=0, callbacks=callbacks)


def fingerprint(model):
    variables = model.weights + model.optimizer.variables
    numbers = [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    return hashlib.sha256(b"".join(numbers)).hexdigest()


# %% [markdown]
"""
## Train: in a process that may be killed

The two callbacks get the same arguments. After each epoch, before it is saved, the process reports
the epoch and the fingerprint. While `DurableCheckpoint` saves, a file with `saving` or `pending` in
its name lies in the folder. Before and after the stock callback another one puts such a file there
and takes it away: an onlooker sees of both alike whether a save is under way.

The second function belongs to the last experiment: it lets the process die in a certain step of its
second save. In the first step that is half-way through writing, by a limit to the size of its
files, at which the system ends it. In the others the process sends itself SIGKILL, before or after
its next call of `os.fsync` or `os.replace`.
"""


# %%
def train(name, folder, step):
    keras.utils.set_random_seed(SEED)
    model = build_model()
    path = pathlib.Path(folder) / FILE
    mark = path.with_name(".saving")
    checkpoint = CALLBACKS[name](path, save_weights_only=True)

    def before_save(epoch, logs):
        print(epoch + 1, fingerprint(model), flush=True)
        if name == "ModelCheckpoint":
            mark.touch()
        if step != "none" and epoch + 1 == 2:
            checkpoint.wait()
            die_in_step(int(step), path.stat().st_size)

    before = keras.callbacks.LambdaCallback(on_epoch_end=before_save)
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: mark.unlink(missing_ok=True))
    fit(model, EPOCHS, [before, checkpoint, after])


def die_in_step(step, size):
    if step == 1:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        return
    name = "fsync" if step in (2, 3) else "replace"
    original = getattr(os, name)

    def last_call(*arguments):
        if step in (3, 5):
            original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, name, last_call)


# %% [markdown]
"""
The script starts itself with the word `train`, once. Python and Keras take seconds to start, too
long for every kill. So that process trains nothing: for each training that is ordered from it, it
splits off a copy of itself by `os.fork`, and says when the copy ended, and how. A fork copies the
memory but only one thread, and the copy hangs if another thread held a lock. Hence it is made
before TensorFlow or JAX has computed anything; their threads start in the copy.
"""

# %%
if sys.argv[1:] == ["train"]:
    for order in sys.stdin:
        if os.fork() == 0:
            print("started", os.getpid(), flush=True)
            train(*order.split())
            os._exit(0)
        print("ended", os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    sys.exit()

# %% [markdown]
"""
From here on, this is the process that kills. The settings that it hands to the other one keep NumPy
from starting threads, leave a GPU alone, and let JAX pass on what it has compiled to the next copy:
on TensorFlow every copy builds its own graph, a second's work, and most of the time that this
script takes.
"""

# %%
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

settings = {
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_COMPILATION_CACHE_DIR": str(OUT / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
trainer = subprocess.Popen(
    [sys.executable, "beyond/11_survive_a_crash.py", "train"],
    env=os.environ | settings,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)

# %% [markdown]
"""
Two functions talk with the other process: `start` orders a training and returns the number of the
process to be killed; `listen_until` waits for a certain word, the number of an epoch for instance,
and keeps the fingerprints that come on the way. Two watch a folder, up to twice in a millisecond; a
save takes tens of them.

The last two do what one does after a crash. `epoch_in` builds the model and loads what is there:
None stands for a file that cannot be loaded, and for one that can but holds anything other than the
state after an epoch of this training. `verdict` asks `verify`, which needs no model: the answer is
`checksum` or `structure`, whichever was examined, or what is wrong.
"""

# %%
epoch_of = {}


def start(name, folder, step="none"):
    folder.mkdir(exist_ok=True)
    epoch_of.clear()
    print(name, folder, step, file=trainer.stdin, flush=True)
    return int(listen_until("started"))


def listen_until(word):
    while True:
        heard = trainer.stdout.readline().split()
        if not heard or (heard[0] == "ended" and word != "ended"):
            sys.exit(f"{OUT}: training into it failed; the lines above say why.")
        if heard[0].isdigit():
            epoch_of[heard[1]] = int(heard[0])
        if heard[0] == word:
            return heard[1]


def unfinished(folder):
    return sorted(name for name in os.listdir(folder) if "saving" in name or "pending" in name)


def wait_until(saving, folder):
    patience = time.perf_counter() + 60
    while bool(unfinished(folder)) != saving:
        if time.perf_counter() > patience:
            sys.exit(f"{folder}: no save began or ended in 60 s; the lines above may say why.")
        time.sleep(0.0005)
    return time.perf_counter()


def epoch_in(path):
    model = build_model()
    try:
        model.load_weights(path)
    except (KeyError, OSError, RuntimeError, ValueError):
        return None
    return epoch_of.get(fingerprint(model))


def verdict(path):
    try:
        return verify(path)
    except CorruptCheckpointError as error:
        return error.reason


# %% [markdown]
"""
## Train: and kill

The first training of each callback is only timed: how long does a save take? Each of the others is
left alone until its first save is complete, and gets SIGKILL in a later one, after a part of that
time that is drawn by lot. Should the save be over by then, the next one is tried. And only if the
folder shows afterwards that a save was under way does the kill count.

All trainings of a callback use one folder, as a training does that is started again after a crash.
What `DurableCheckpoint` finds there from a save that was cut off it removes when a training begins.
Its lock needs no removal: it dies with the process that held it.
"""

# %%
lot = np.random.default_rng(SEED)
usual_time = {}
kills = {name: [] for name in CALLBACKS}
for name, counted in kills.items():
    folder = OUT / name
    process = start(name, folder)
    listen_until("1")
    times = []
    for _ in range(6):
        begun = wait_until(True, folder)
        times.append(wait_until(False, folder) - begun)
    usual_time[name] = float(np.median(times[1:]))
    os.kill(process, signal.SIGKILL)
    listen_until("ended")
    while len(counted) < KILLS:
        process = start(name, folder)
        listen_until("1")
        wait_until(True, folder)
        saving = False
        while not saving:
            wait_until(False, folder)
            begun = wait_until(True, folder)
            time.sleep(lot.uniform(0, usual_time[name]))
            saving = bool(unfinished(folder))
        os.kill(process, signal.SIGKILL)
        kill = {"moment": (time.perf_counter() - begun) / usual_time[name]}
        kill |= {"status": int(listen_until("ended")), "trained": max(epoch_of.values())}
        kill |= {"left": epoch_in(folder / FILE), "verdict": verdict(folder / FILE)}
        if unfinished(folder):
            counted.append(kill)
            left = f"epoch {kill['left']}" if kill["left"] else "nothing"
            print(
                f"{name:17}  kill {len(counted):2}  {kill['moment']:4.0%} of a save  left: {left}"
            )
kept = {name: sum(kill["left"] is not None for kill in kills[name]) for name in CALLBACKS}
for name in CALLBACKS:
    print(f"{name:17}  {usual_time[name]:.3f} s for a save  {kept[name]} of {KILLS} files kept")

# %% [markdown]
"""
## Look: what the kills left

A mark for each kill, at the moment of the save at which it came, the first of them lowest. Above,
hardly any moment is safe: the old file is emptied at the beginning, and the new one cannot be read
until the end. Below, there is a good file at any moment: that of an earlier epoch, and after the
renaming the new one. A save that takes longer than usual can be hit later than at 100 %.

A cross is more than a lost epoch. With a single file name there is nothing older to go back to, and
all of the training is gone. The difference is not one of speed: how long either of the two saves is
printed above the figure, and however short it is, a crash that hits it costs the same.
"""

# %%
outcomes = {
    "nothing: all is lost": ("X", "#D55E00"),
    "the file of an earlier epoch": ("o", "#0072B2"),
    "the file of the last epoch": ("^", "#009E73"),
}
lost, earlier, last = outcomes.values()
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
for row, name in enumerate(reversed(CALLBACKS)):
    for number, kill in enumerate(kills[name]):
        left = last if kill["left"] == kill["trained"] else earlier if kill["left"] else lost
        height = row + 0.7 * (number / (KILLS - 1) - 0.5)
        axes.plot(100 * kill["moment"], height, left[0], color=left[1], ms=10, mec="white")
for outcome, (marker, color) in outcomes.items():
    axes.plot([], [], marker, color=color, ms=10, mec="white", label=outcome)
axes.set_title(f"Killed in mid-save, {KILLS} times each: what can be loaded afterwards?")
axes.set_xlabel("moment of the kill (% of the time that a save usually takes)")
axes.set_yticks([1, 0], [f"{name}\n{kept[name]} of {KILLS} files kept" for name in CALLBACKS])
axes.set_ylim(-0.5, 1.5)
axes.axhline(0.5, color="#999999", lw=0.8)
axes.grid(axis="x", alpha=0.3)
figure.legend(loc="outside lower center", ncols=3)
figure.savefig(OUT / "kills.png", dpi=150)

# %% [markdown]
"""
## One changed bit

A file can be complete and wrong all the same: disks, memory and copies over a network change a bit
now and then. Both callbacks save the same training here, and their files hold the same arrays. In
each of them one bit of the largest weight of the second layer is turned over: the highest of its
exponent, which makes a number below 1 astronomically large. Most of the 32 bits of a weight do
less harm than that, and are found out later.

HDF5 keeps no sums of these arrays. `load_weights` takes the stock file without a word. Nor can
`verify` do better with it, since there is nothing to compare it with: it only says that the
*structure* can be read. Beside the other file lies the SHA-256 of what was saved, in the format of
`sha256sum -c`. `load_weights` does not look at it, so ask `verify` before loading, or load with
`load_weights_strict` of the same module, which does.
"""

# %%
(OUT / "bit").mkdir()
files = [OUT / "bit" / f"{name}.weights.h5" for name in CALLBACKS]
savers = [CALLBACKS[path.name.split(".")[0]](path, save_weights_only=True) for path in files]
model = build_model()
fit(model, 2, savers)
saved = model.get_weights()
saved_loss = model.evaluate(x_validation, y_validation, verbose=0)

for path in files:
    with h5py.File(path) as file:
        largest_array = file["layers/dense_1/vars/0"]
        first_byte = largest_array.id.get_offset() + 4 * int(np.argmax(largest_array[()]))
    content = bytearray(path.read_bytes())
    content[first_byte + 3] ^= 0b01000000
    path.write_bytes(content)

model.load_weights(files[0])
loaded = model.get_weights()
loaded_loss = model.evaluate(x_validation, y_validation, verbose=0)
differing = sum(int(np.sum(a != b)) for a, b in zip(saved, loaded, strict=True))
verdicts = [verdict(path) for path in files]
print(f"\nload_weights: no error; {differing} weight differs, the validation loss is", end=" ")
print(f"{loaded_loss:.4g} instead of {saved_loss:.4g}")
for path, answer in zip(files, verdicts, strict=True):
    print(f"verify {path.name}: {answer}")

# %% [markdown]
"""
## Five steps

This is how the safe save works. The process really dies in each of the steps, in its second save,
and the script prints what lies in the folder then: which epoch is in the file, and what lies beside
it.

1. Write the new file beside the old one, in the same folder, since a renaming is no copying only
   within one disk. A crash leaves a piece of it, and the old file, which was not touched.
2. Flush it: `os.fsync` returns when the disk has it, and not merely the memory of the system.
3. Read it back and compare it with what should be in it. A disk that is full or has failed is
   noticed now at the latest, while the old file is still there.
4. Rename it over the old one. Renaming is atomic: under the name lies the one or the other, never
   nothing and never half. The checksum of the new one is on the disk before that, in the file
   `pending`: at no time is there a file whose sum is not known, and `verify` reads both.
5. Flush the folder, which holds the names. Then checksum and record get their final names, each
   by a renaming as well, and the save is over.

The next training clears away what lies beside, or completes it.

What dies here is the process and not the machine: what it has written stays in the memory of the
system and reaches the disk later. What steps 2 and 5 are for shows when the power fails. Without
the first, the new name might lead to a file without content; without the second, the old file might
be back. This script cannot pull the plug; `tests/durability/test_order.py` replays a save with all
left out that was not flushed. The recipe is that of databases. What file systems do to those who
leave a step out is told by Pillai and others in "All File Systems Are Not Created Equal" (OSDI
2014).
"""

# %%
crashes = []
print(f"\n{'died in step':20}{'the file':20}beside it")
for step, doing in STEPS.items():
    folder = OUT / f"step_{step}"
    start("DurableCheckpoint", folder, step)
    crash = {"step": step, "status": int(listen_until("ended"))}
    crash |= {"left": epoch_in(folder / FILE), "verdict": verdict(folder / FILE)}
    crash["beside"] = {name: (folder / name).stat().st_size for name in unfinished(folder)}
    crashes.append(crash)
    sizes = ", ".join(f"{name} ({size:,} bytes)" for name, size in crash["beside"].items())
    print(f"{step} {doing:18}epoch {crash['left']}, {crash['verdict']:10} {sizes}")
trainer.stdin.close()
trainer.wait()

# %% [markdown]
"""
## Check

Every process was killed, and in mid-save. `DurableCheckpoint` left a file each time, and its
checksum was right. Lost were at most the epoch being written, one waiting, and one that had just
ended. After 20 crashes in one folder, nothing lies beside but what the last one left. The stock
callback lost most. The changed bit changed one weight and nothing else, and only the checksum told.
In the five steps, the file of the first epoch was there until the renaming, and that of the second
from then on, each with a checksum that fits. Beside it lay first half of the new one, then all of
it, before the renaming its checksum and its record as well, and after it only those two.
"""

# %%
assert [len(counted) for counted in kills.values()] == [KILLS, KILLS]
assert {kill["status"] for counted in kills.values() for kill in counted} == {-signal.SIGKILL}
for kill in kills["DurableCheckpoint"]:
    assert kill["left"] is not None and kill["verdict"] == "checksum"
    assert kill["trained"] - kill["left"] <= 3
assert kept["ModelCheckpoint"] < KILLS / 2
assert len(unfinished(OUT / "DurableCheckpoint")) <= 3
assert differing == 1
assert verdicts[0] == "structure" and verdicts[1].startswith("its SHA-256 is ")
assert [crash["status"] for crash in crashes] == [-signal.SIGXFSZ] + 4 * [-signal.SIGKILL]
assert [crash["left"] for crash in crashes] == [1, 1, 1, 1, 2]
assert {crash["verdict"] for crash in crashes} == {"checksum"}
size = files[1].stat().st_size
assert [max(crash["beside"].values()) for crash in crashes[:4]] == [size // 2, size, size, size]
assert [len(crash["beside"]) for crash in crashes] == [1, 1, 1, 3, 2]

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "share of kills in mid-save that left a good file",
    "documented": None,
    "reproduced": kept["DurableCheckpoint"] / KILLS,
    "stock": kept["ModelCheckpoint"] / KILLS,
    "usual_time": usual_time,
    "kills": kills,
    "changed_bit": {"loss": [saved_loss, str(loaded_loss)], "verdicts": verdicts},
    "crashes": crashes,
    "files": sorted(str(path.relative_to(OUT)) for path in OUT.rglob("*.weights.h5")),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
