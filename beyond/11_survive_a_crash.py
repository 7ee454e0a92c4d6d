# %% [markdown]
"""
# 11 · Survive a crash in mid-save

After this script you know what a crash during a save does to your checkpoint, and how to save so
that a good file always remains. `ModelCheckpoint` truncates the old file before the new one is
complete. If the process dies in between, you have neither. Script 06 keeps a file for each epoch
and loses one epoch. With a fixed file name, as in script 02, you lose the whole training.

`DurableCheckpoint` from `beyond/durable_checkpoint/` takes the same arguments and avoids this:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.weights.h5", save_weights_only=True, save_best_only=True)

Here a training is killed during a save, again and again, with each of the two callbacks. Then one
bit of a file is changed, to see which check notices it. Finally the process dies in each of the
five steps of a safe save. You can stop reading after the figure if you only want to use the
callback.

- Run:    `python beyond/11_survive_a_crash.py` (under the hood, 35 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/11_survive_a_crash/`: what the last kill left, in a folder for each callback; two
  files with a changed bit, in `bit/`; what a crash in each step left, in `step_1/` to `step_5/`;
  the figure `kills.png`; `result.json`; what JAX has compiled, in `compiled/`
- From:   beyond the tutorials: their trainings are never interrupted
- Next:   `beyond/12_exact_resume.py` continues after a crash, bit for bit
"""

# %% [markdown]
"""
## Settings and seed

Each callback is tested until `KILLS` kills have hit a save. Every training starts from the
beginning and first completes one save, so there is a good file to lose. No training reaches
`EPOCHS` epochs (passes over the training rows). All batches (the rows of one training step) have
the same size, so the step is compiled only once.

The files end in `.weights.h5`, as in scripts 01 to 03. For `.keras` files the result is the same:
Keras truncates them first, and `DurableCheckpoint` replaces them safely.
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

This is the data cell of script 01. The last third of the rows shows what a changed bit does to the
validation loss.
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

As in script 06. Without this, the validation loss would be so irregular that the changed bit would
not stand out.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: two wide layers

The model is larger than Pima needs. With its optimizer state (the two averages that Adam keeps for
each weight) it fills 3.2 MB, so a save takes long enough to be hit. It is made by a function
because each process needs its own. The optimizer is built at once. Otherwise `load_weights` would
skip its part of the file with only a warning.

`fingerprint` is a checksum of all numbers of the model and the optimizer. It shows which epoch a
loaded file holds.
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
## Train: in a process that can be killed

The two callbacks get the same arguments. After each epoch, before the save, the process prints the
epoch and the fingerprint. `DurableCheckpoint` has a file with `saving` or `pending` in its name
while it saves. `ModelCheckpoint` has no such file, so `before_save` creates one and `after` removes
it. In both cases you can see from outside whether a save is running.

`die_in_step` is for the last experiment. It makes the process die in one step of its second save.
In step 1 the process dies half-way through writing: `RLIMIT_FSIZE`, the system's limit for the size
of a file, is set to half the file, and the system ends a process that exceeds it. In the other
steps the process sends itself SIGKILL (a signal that stops a process at once and cannot be caught)
before or after its next call of `os.fsync` or `os.replace`.
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
The script starts itself once with the word `train`. Python and Keras need seconds to start, which
is too long to do for each kill. So this second process trains nothing. For each ordered training it
copies itself with `os.fork`, which is much faster, and reports how the copy ended. A fork copies
the memory but only one thread, so it can hang if another thread held a lock. That is why the fork
comes before TensorFlow or JAX has computed anything: they start their threads in the copy.
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
The code from here on runs in the first process, which kills. Its settings keep NumPy from starting
threads, hide a graphics card, and let JAX reuse what an earlier copy has compiled. TensorFlow
builds its graph in each copy, which takes most of this script's time.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

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
These functions talk to the second process and look at the files:

- `start` orders a training and returns the number of its process.
- `listen_until` waits for a word, for example the number of an epoch, and stores the fingerprints
  that it reads.
- `unfinished` lists the files of a running save. `wait_until` waits until a save begins or ends,
  and looks about twice per millisecond.
- `epoch_in` loads a file and returns the epoch that it holds. It returns `None` if the file cannot
  be loaded, or if it holds no state of this training.
- `verdict` asks `verify` of `durable_checkpoint`, which needs no model. The answer is `checksum` or
  `structure`, depending on what was checked, or the reason why the file is bad.
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

The first training of each callback only measures how long a save takes. Every other training
completes one save and is killed in a later one, after a random part of that time. If the save is
already over, the next one is tried. The kill counts only if the folder shows that a save was
running.

All trainings of one callback use the same folder, like a training that you start again after a
crash. When a training begins, `DurableCheckpoint` removes what an interrupted save has left. Its
lock disappears with the process that held it.
"""

# %%
chance = np.random.default_rng(SEED)
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
            time.sleep(chance.uniform(0, usual_time[name]))
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

Each mark is one kill, placed at its time within the save. The first kill of a callback is the
lowest mark. With `ModelCheckpoint` almost every kill loses everything: the old file is empty from
the start of the save, and the new file cannot be read before the end. With `DurableCheckpoint`
there is always a good file, that of an earlier epoch or the new one. A mark beyond 100 % is a kill
in a save that took longer than usual.

With one file name there is no older file, so a cross means that the whole training is lost. A fast
save does not prevent that. The script prints how long each save takes.
"""

# %%
outcomes = {
    "nothing: all epochs are lost": ("X", "#D55E00"),
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
axes.set_title(f"Killed during a save, {KILLS} times each: what can you load afterwards?")
axes.set_xlabel("moment of the kill (% of the usual time of a save)")
axes.set_yticks([1, 0], [f"{name}\n{kept[name]} of {KILLS} files kept" for name in CALLBACKS])
axes.set_ylim(-0.5, 1.5)
axes.axhline(0.5, color="#999999", lw=0.8)
axes.grid(axis="x", alpha=0.3)
figure.legend(loc="outside lower center", ncols=3)
figure.savefig(OUT / "kills.png", dpi=150)

# %% [markdown]
"""
## One changed bit

A complete file can be wrong: disks, memory and networks sometimes change a bit. Here both callbacks
save the same training, and the script changes one bit in each file. It takes the largest weight of
the second layer and flips the highest bit of its exponent, which makes the number extremely large.
Most other bits would do less harm and be found later.

HDF5 stores no checksum of these arrays, so `load_weights` reads the changed file without an error.
`verify` cannot do better for a file of `ModelCheckpoint`: it only says that the *structure* can be
read. `DurableCheckpoint` puts a SHA-256 checksum beside its file, in the format of `sha256sum -c`.
`load_weights` does not look at it. Call `verify` before you load, or load with
`load_weights_strict`, which calls it.
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

A safe save has five steps. The process dies in each of them, during its second save, and the script
prints what it finds: the epoch in the file, and what lies beside it.

1. Write the new file beside the old one. It must be in the same folder, because a rename is only
   safe within one disk. A crash leaves a part of the new file, and the old file is untouched.
2. Flush it. `os.fsync` returns when the data is on the disk and not only in the system's memory.
3. Read it back and compare. If the disk is full or broken, you learn it now, while the old file
   still exists.
4. Rename it over the old file. A rename is *atomic*: the name always leads to the complete old file
   or the complete new file. The checksum of the new file is already on the disk, in the file
   `pending`. So every file has a known checksum, and `verify` reads both places.
5. Flush the folder, which holds the names. Then the checksum and the record get their final names,
   also by a rename.

The next training removes or completes what lies beside the file.

Only the process dies here. The machine keeps running, so the data that was written still reaches
the disk. Steps 2 and 5 matter when the power fails. Without step 2, the new name could lead to an
empty file. Without step 5, the old file could come back. `tests/durability/test_order.py` tests
this: it repeats a save and leaves out everything that was not flushed. Databases save in the same
way. Pillai and others describe what file systems do when you leave out a step ("All File Systems
Are Not Created Equal", OSDI 2014).
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

Every process was killed during a save.

- `DurableCheckpoint` left a file with the right checksum each time. At most three epochs were lost:
  the one being written, one that was waiting, and one that had just ended. After 20 crashes in one
  folder, only the files of the last one remain.
- `ModelCheckpoint` lost more than half of its files.
- The changed bit changed exactly one weight, and only the checksum noticed it.
- In the five steps, the file held the first epoch before the rename and the second epoch after it,
  always with the right checksum. Beside it lay first half of the new file, then the whole file,
  before the rename also its checksum and record, and after the rename only those two.
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

`result.json` stores each kill, the usual time of a save, and what was found after the changed bit
and in the five steps.
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
