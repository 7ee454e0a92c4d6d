# %% [markdown]
"""
# 06 · Resume a training that was killed

After this lesson you can stop a training at any moment and go on from its last saved epoch, with
Keras's own callback or by hand. Without a checkpoint, a process that dies takes all its epochs with
it. On a temporary cloud machine the disk is lost too: Aveek Saha writes that Colab takes a machine
back after 90 minutes without a connection, and after 12 hours in any case. So save to a folder that
outlives the machine.

- Run:    `python 06_resume_training.py` (in practice, 25 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`, and the checkpoints in `CHECKPOINT_DIR`, if you name one
- Writes: `out/06_resume_training/`: 20 `.keras` files in `checkpoints/`, `killed_and_resumed.png`,
  `result.json`; if you name a folder, checkpoints and figure there, and nothing else
- From:   Aveek Saha's article (dev.to), persistent storage
- Next:   `07_checkpoint_options.py` tries every option of the callback
"""

# %% [markdown]
"""
## Settings and seed

Network, batch size and number of epochs are Aveek Saha's. The article names no data; we chose Pima.
By default the checkpoints go to `out/` and every run starts afresh. To keep them, and to resume
from them later, name a folder. The script never clears a folder that you name. In Colab, mount
Google Drive, make the folder, then run in a cell, in the folder of this repository:

    !CHECKPOINT_DIR="/content/gdrive/My Drive/model" python 06_resume_training.py

In a terminal, leave out the exclamation mark. The quotes are there for the space in the name.
Drive uploads with a delay, so the last file or two may be missing when the machine is taken away.
End the old runtime before you resume in a new one: two trainings must not write into one folder.
"""

# %%
import contextlib
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 20
KILLED_AFTER = 15
BATCH_SIZE = 100
VALIDATION_SPLIT = 0.33
OUT = pathlib.Path("out/06_resume_training")
NAMED_DIR = os.environ.get("CHECKPOINT_DIR")
CHECKPOINT_DIR = pathlib.Path(NAMED_DIR or OUT / "checkpoints")
CHECKPOINT_NAME = "weights-{epoch:02d}-{val_accuracy:.3f}.keras"

# %% [markdown]
"""
## Load the data: Pima

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. A
resumed training needs the same rows in the same order. Otherwise rows that trained before the kill
would validate after it, and the scores could not be compared. The last third of the file validates
here, so no random choice is involved.
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

Give every column mean 0 and standard deviation 1. With the raw measurements, 20 epochs end below
the accuracy of answering "no diabetes" for everyone. Mean and deviation come from the training rows
alone, since validation rows must stay unseen. They are in no checkpoint: compute them again, or
store them, before you use a loaded model.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: ten, ten, one

Each call sets the seed and returns a new model, as a newly started process would have it. The
layers have fixed names, because this lesson compares the layers in a file with its own. Keras would
number its default names (`dense`, `dense_1`, …) differently for every model.
`steps_per_execution` is there for speed: all batches of an epoch run in one call.
"""


# %%
def build_model():
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input(shape=(8,), name="measurements"),
            keras.layers.Dense(10, activation="relu", name="hidden_1"),
            keras.layers.Dense(10, activation="relu", name="hidden_2"),
            keras.layers.Dense(1, activation="sigmoid", name="probability"),
        ]
    )
    model.compile(
        loss="binary_crossentropy",
        optimizer="adam",
        metrics=["accuracy"],
        steps_per_execution=batches_per_epoch,
    )
    return model


# %% [markdown]
"""
## Train: resume with BackupAndRestore

Add `BackupAndRestore` to the callbacks. After each epoch it saves the weights, the optimizer state
(for Adam: its step count and two running averages for each weight) and the number of epochs done.
After an interruption, run the same program again: `fit` loads the backup and goes on. Pass two
options that are off by default:

- `double_checkpoint=True` keeps the epoch before as well, in files that end in `.bkp`. Keras
  overwrites the newest backup in place, so a kill during a save can damage it. Then `fit` takes the
  other copy. Without that copy, every start fails until you delete the folder.
- `delete_checkpoint=False` keeps the folder when the training has ended. Run the program again: it
  trains nothing, and the model has its last weights. To train anew, delete the folder.

The interruption here is a Ctrl-C in epoch 16. `LambdaCallback` turns a function into a callback
(script 10 explains callbacks). It stands before the backup, so epoch 16 is trained but not saved.
All trainings of this lesson take the same settings, and `**training` hands them to `fit`.
"""

# %%
training = {"x": x, "y": y, "epochs": EPOCHS, "batch_size": BATCH_SIZE, "verbose": 0}
training |= {"validation_split": VALIDATION_SPLIT, "validation_batch_size": len(x_validation)}
scratch = tempfile.TemporaryDirectory()
backups, by_hand = pathlib.Path(scratch.name, "backup"), pathlib.Path(scratch.name, "by_hand")


def press_ctrl_c(epoch, logs):
    if epoch == KILLED_AFTER:  # `epoch` counts from 0 here: this is the 16th
        raise KeyboardInterrupt


ctrl_c = keras.callbacks.LambdaCallback(on_epoch_end=press_ctrl_c)

# %%
backup = keras.callbacks.BackupAndRestore(backups, double_checkpoint=True, delete_checkpoint=False)
with contextlib.suppress(KeyboardInterrupt):
    build_model().fit(**training, callbacks=[ctrl_c, backup])
backup_history = build_model().fit(**training, callbacks=[backup])
run_again = build_model().fit(**training, callbacks=[backup])
in_backup = sorted(path.name for path in backups.iterdir())

# %% [markdown]
"""
It works with no code of your own. This is what it loses:

- **The epoch in progress.** Epoch 16 was interrupted, so it is trained again from its beginning.
- **The history.** `fit` returns the epochs after the restart only. `CSVLogger(…, append=True)`
  keeps a complete log.
- **The state of other callbacks.** The folder holds weights and a number. So `EarlyStopping`, for
  example, forgets its best value and begins anew.
- **Everything older.** The folder holds the last two epochs. It holds weights only, so `load_model`
  opens neither of them. Save the finished model yourself.
- **Rarely, the backup itself.** Each copy is two files. A kill while the second one, the epoch
  number, is written leaves a backup on which `fit` fails
  ([docs/PITFALLS.md](docs/PITFALLS.md#jsondecodeerror-expecting-value-line-1-column-1-char-0-in-spite-of-double_checkpointtrue)
  has the remedy).

The next cell prints what is in the folder, and which epochs, counted from 0, were trained after
the restart and when the finished training was run again. Script `beyond/11_survive_a_crash.py` is
about kills during a save.
"""

# %%
print(f"The backup: {', '.join(in_backup)}")
print(f"Trained after the restart: epochs {backup_history.epoch}, run again: {run_again.epoch}")

# %% [markdown]
"""
## Train: resume by hand

Keep a file of every epoch, and you can go back to any of them, and keep them afterwards. To resume:
take the newest file, load it, and tell `fit` how many epochs are done. The first training below
stands for one that stopped after epoch 15.

- `initial_epoch` is the index of the next epoch, counted from 0. The file name counts from 1. So
  the number in the name is the right value, without `+ 1` or `- 1`.
- `epochs` is the last epoch, not how many are still to come. With `epochs=5` this `fit` would train
  nothing, and say nothing.
- Do not call `compile` again. `load_model` has restored the optimizer; `compile` would replace it
  by a new one.
- Callbacks start anew here too. A checkpoint with `save_best_only` takes the first resumed epoch
  for the best, unless you pass `initial_value_threshold` (script 07).
"""

# %%
every_epoch = keras.callbacks.ModelCheckpoint(by_hand / CHECKPOINT_NAME)
build_model().fit(**training | {"epochs": KILLED_AFTER}, callbacks=[every_epoch])

newest = max(by_hand.glob("*.keras"), key=lambda path: int(path.name.split("-")[1]))
epochs_done = int(newest.name.split("-")[1])
continued = keras.models.load_model(newest)
by_hand_history = continued.fit(**training, initial_epoch=epochs_done, callbacks=[every_epoch])
print(f"{newest.name} loaded. Trained, counted from 0: epochs {by_hand_history.epoch}")
scratch.cleanup()

# %% [markdown]
"""
## Train: until the process is killed

Now a real kill. It ends a process at once: no exception, no clean-up. Linux does this when memory
runs out. The lines above trust the newest file, but a kill during a save leaves half a file.

The script starts itself a second time, with the word `train`. That second process runs everything
up to this cell, and then the training below. In epoch 16 it cuts the newest file in half, as a kill
in the middle of the save would have left it, prints a line, and waits to be killed.
"""

# %%
checkpoint = keras.callbacks.ModelCheckpoint(CHECKPOINT_DIR / CHECKPOINT_NAME)


def cut_the_file_and_wait(epoch, logs):
    if epoch == KILLED_AFTER:
        path = CHECKPOINT_DIR / CHECKPOINT_NAME.format(epoch=epoch + 1, **logs)
        os.truncate(path, path.stat().st_size // 2)
        print("waiting to be killed", flush=True)
        sys.stdin.read()


if sys.argv[1:] == ["train"]:
    accident = keras.callbacks.LambdaCallback(on_epoch_end=cut_the_file_and_wait)
    build_model().fit(**training, callbacks=[checkpoint, accident])
    sys.exit("Nothing has killed the training: KILLED_AFTER must be less than EPOCHS.")

# %% [markdown]
"""
The first process goes on here. It writes a megabyte to the folder, so that a full disk or a Drive
that is not mounted is noticed before the training. Then it starts the second process, waits for its
line, and kills it. If the folder you named holds checkpoints already, your training has been
interrupted elsewhere, and there is nothing to start.
"""

# %%
try:
    if not NAMED_DIR:
        shutil.rmtree(OUT, ignore_errors=True)
        CHECKPOINT_DIR.mkdir(parents=True)
    with tempfile.TemporaryFile(dir=CHECKPOINT_DIR) as trial:
        trial.write(bytes(1_000_000))
except OSError as error:
    sys.exit(f"{CHECKPOINT_DIR} cannot be written to ({error}). Mount, make or free it first.")


def checkpoints_by_epoch():
    found = {p.name.split("-")[1]: p for p in CHECKPOINT_DIR.glob("weights-*-[01].???.keras")}
    return {int(number): path for number, path in sorted(found.items()) if number.isdigit()}


if not checkpoints_by_epoch():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "06_resume_training.py", "train"], **pipes) as process:
        waiting = "waiting to be killed\n" in process.stdout
        process.kill()
    if not waiting:
        sys.exit(f"{CHECKPOINT_DIR}: training into it failed; the lines above say why.")
    print(f"\nKilled in epoch {KILLED_AFTER + 1}, return code {process.returncode}")

# %% [markdown]
"""
## Find the newest usable checkpoint

Try the files from the newest back, and pass over damaged ones. A `.keras` file is a zip archive.
Its table of contents is written last, so a file that was cut has none. `testzip` finds changed
bytes by the checksums in the archive. A save that ended with an error lacks the weights.

Damaged files are removed only after an older one has proved usable. Without a usable one, nothing
is deleted.

A file can also be whole and still not fit: another network, another batch size, another version of
Keras. Then this is the wrong folder. The script stops and deletes nothing.
"""

# %%
damaged = []
for loaded_epoch, loaded_file in sorted(checkpoints_by_epoch().items(), reverse=True):
    try:
        with zipfile.ZipFile(io.BytesIO(loaded_file.read_bytes())) as archive:
            if archive.testzip() is None and "model.weights.h5" in archive.namelist():
                break
    except OSError as error:
        sys.exit(f"{loaded_file} cannot be read ({error}). Nothing was deleted.")
    except (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
        pass
    damaged.append(loaded_file)
else:  # no break: none was usable
    sys.exit(f"{CHECKPOINT_DIR} holds no usable checkpoint. Name another folder, or an empty one.")

wrong_folder = "Name another folder in CHECKPOINT_DIR, or an empty one to start anew."
model = build_model()
try:
    resumed = keras.models.load_model(loaded_file)
    found, own = (json.loads(each.to_json())["config"]["layers"] for each in (resumed, model))
    loaded_steps = int(resumed.optimizer.iterations)
except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
    sys.exit(f"{loaded_file} cannot be resumed ({type(error).__name__} on loading). {wrong_folder}")
if found != own or loaded_steps != loaded_epoch * batches_per_epoch:
    sys.exit(f"{loaded_file} belongs to another network or another training. {wrong_folder}")
for useless in damaged:
    useless.unlink()
    print(f"{useless} was cut short or changed, and is removed")
in_model = [keras.ops.convert_to_numpy(v) for v in resumed.weights + resumed.optimizer.variables]
before = {epoch: float(path.stem[-5:]) for epoch, path in checkpoints_by_epoch().items()}
print(f"Resuming after epoch {loaded_epoch}, from {loaded_file}")

# %% [markdown]
"""
## Train: the missing epochs, and the same without a kill

The first training resumes. The second is the comparison: all 20 epochs in one process.

The file does not hold the state of the random numbers that shuffle the rows, so the resumed
training sees other batches. To show what that changes, two more trainings resume from the same file
with other seeds.
"""

# %%
history = resumed.fit(**training, initial_epoch=loaded_epoch, callbacks=[checkpoint])
after = dict(zip((epoch + 1 for epoch in history.epoch), history.history.get("val_accuracy", [])))

uninterrupted = build_model().fit(**training).history["val_accuracy"]

other_orders = []
for seed in (SEED + 1, SEED + 2):
    keras.utils.set_random_seed(seed)
    other = keras.models.load_model(loaded_file).fit(**training, initial_epoch=loaded_epoch)
    other_orders.append(other.history.get("val_accuracy", []))

# %% [markdown]
"""
## Look: the seam

The history of the killed process is lost, so its curve is drawn from the scores in the file names.
Up to the kill it lies on the grey curve of the training that was never killed. After it, the three
resumed curves differ by the order of the rows alone. None of them is better or worse in principle.

On TensorFlow the resumed curve coincides with the grey one. This does not prove an exact resume:
with a seed set, TensorFlow shuffles the rows of every epoch in the same order
([docs/PITFALLS.md](docs/PITFALLS.md#with-a-seed-set-every-epoch-has-its-rows-in-the-same-order)).
On JAX the curves part. `beyond/12_exact_resume.py` shows what an exact resume needs.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
epochs = range(1, EPOCHS + 1)
axes.plot(epochs, uninterrupted, color="#999999", alpha=0.5, lw=6, label="never killed")
axes.plot(list(before), list(before.values()), "o-", color="#0072B2", label="before the kill")
seam = before[loaded_epoch]
resumed_curve = {loaded_epoch: seam, **after}
axes.plot(list(resumed_curve), list(resumed_curve.values()), ".-", color="#E69F00", label="resumed")
others = [[seam, seam], *zip(*other_orders)]  # one row an epoch, one column a training
axes.plot(list(resumed_curve), others, ":", color="#CC79A7", label=["resumed, other seeds", "_"])
axes.plot(loaded_epoch, seam, "o", ms=15, mfc="none", mec="#D55E00", label="loaded")
axes.set_title(f"Pima, validation: stopped after epoch {loaded_epoch}, resumed to epoch {EPOCHS}")
axes.set(xlabel="epoch", ylabel="share of correct answers", xticks=range(0, EPOCHS + 1, 5))
axes.grid(alpha=0.3)
figure.legend(loc="outside lower center", ncols=3)
figure.savefig((CHECKPOINT_DIR if NAMED_DIR else OUT) / "killed_and_resumed.png", dpi=150)

# %% [markdown]
"""
## Check

Weights and optimizer in the model equalled the file's, bit for bit; a load without errors does not
prove that. So the archive is opened by hand, and every array compared. The optimizer had counted
the batches of 15 epochs, and counts those of 20 in the end: no epoch was trained twice or left out.
Every epoch has its file. In a folder of yours, the missing epochs have theirs.
"""

# %%
with zipfile.ZipFile(loaded_file) as archive, h5py.File(archive.open("model.weights.h5")) as file:
    saved = [part[()] for layer in file["layers"].values() for part in layer["vars"].values()]
    saved += [file[f"optimizer/vars/{n}"][()] for n in range(len(file["optimizer/vars"]))]
assert len(in_model) == len(saved) and all(map(np.array_equal, in_model, saved))
assert loaded_steps == loaded_epoch * batches_per_epoch
assert int(resumed.optimizer.iterations) == max(EPOCHS, loaded_epoch) * batches_per_epoch
assert list(after) == list(range(loaded_epoch + 1, EPOCHS + 1))
assert checkpoints_by_epoch().keys() == before.keys() | after.keys()
assert NAMED_DIR or (process.returncode != 0 and loaded_epoch == KILLED_AFTER)
assert NAMED_DIR or sorted(checkpoints_by_epoch()) == list(epochs)
assert run_again.epoch == [] and in_backup[::2] == ["latest.weights.h5", "training_metadata.json"]
assert backup_history.epoch == by_hand_history.epoch == list(range(KILLED_AFTER, EPOCHS))
assert int(run_again.model.optimizer.iterations) == int(continued.optimizer.iterations) == 120

# %% [markdown]
"""
## Result

A run in a folder that you named leaves no `result.json`.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "validation accuracy after the last epoch",
    "documented": None,
    "reproduced": (before | after)[max(before | after)],
    "resumed_after": loaded_epoch,
    "val_accuracy": [*before.values(), *after.values()],
    "uninterrupted_val_accuracy": uninterrupted,
    "files": sorted(f"{CHECKPOINT_DIR.name}/{p.name}" for p in checkpoints_by_epoch().values()),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
if not NAMED_DIR:
    (OUT / "result.json").write_text(json.dumps(result, indent=1))
print(f"Resumed after epoch {loaded_epoch}: trained {list(after)}, {len(before | after)} files")
