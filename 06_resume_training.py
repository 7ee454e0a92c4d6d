# %% [markdown]
"""
# 06 · Resume a training that was killed

A process that dies takes everything in its memory with it. On a machine that is only lent, the disk
goes too: document 4 writes of Colab, whose runtimes end after 90 minutes without a connection and
after 12 hours in any case. What was saved to a folder that outlives the machine remains. Here a
training of 20 epochs is killed while it saves epoch 16, so that the file of epoch 15 is the last
whole one; a new process finds it, and trains the epochs that are missing.

- Run:    `python 06_resume_training.py`
- Reads:  `data/pima-indians-diabetes.csv`, and the checkpoints in `CHECKPOINT_DIR`, if you name one
- Writes: `out/06_resume_training/`: 20 `.keras` files in `checkpoints/`, `learning_curve.png`,
  `result.json`; if you name a folder, checkpoints and figure there, and nothing else
- From:   document 4
- Next:   `07_checkpoint_options.py` tries every option of the callback
"""

# %% [markdown]
"""
## Settings and seed

Network, batch size and epochs are the document's. It names no data; Pima is our choice. The folder
is a setting as well. By default it lies in `out/` and is cleared first, so that every run shows the
same. A folder that you name is never cleared: what lies there is resumed. In Colab, the document's
would be a folder on Google Drive. Mount the Drive first, then make the folder, then

    CHECKPOINT_DIR="/content/gdrive/My Drive/model" python 06_resume_training.py

with the quotes, because of the space. Drive uploads with a delay: the last file or two may be
missing when the machine is taken away. And end the old runtime before you resume in a new one, or
both will write into the same folder.
"""

# %%
import io
import json
import math
import os
import pathlib
import re
import shutil
import signal
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

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

The rows and their order must be those of the killed process, or rows that trained before would
validate now, and the scores in the names could not be compared. They come from the same file, and
which of them validate is decided by counting, not by chance.
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

Twenty epochs of six batches are too few for raw measurements: without this step the network ends
below the share of right answers that "no diabetes" for everyone would get. The mean and the
deviation come from the training rows alone, so that nothing of the validation rows leaks into the
training. They belong to the model, but are in none of its files: whoever loads one must arrive at
the same numbers.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: ten, ten, one

The layers have names, so that the structure found in a file can be compared with this one: Keras
would count its own names on (`dense`, `dense_1`, …), differently in a notebook run twice.
"""

# %%
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

# %% [markdown]
"""
## Train: until the process is killed

The script starts itself: the fit below runs only in the process that the next cell starts, which is
this same file with the word `train`. A whole model after every epoch, better or worse: whoever
resumes wants the newest, not the best. The second callback plays the accident. After the save of
epoch 16 it cuts that file in half, as a kill in the middle of the save would have left it, and
sends its own process SIGKILL, the signal with which Linux ends a process when memory runs out: no
exception, no clean-up, no last word.
"""

# %%
checkpoint = keras.callbacks.ModelCheckpoint(CHECKPOINT_DIR / CHECKPOINT_NAME)


def cut_the_file_and_die(epoch, logs):
    if epoch == KILLED_AFTER:  # `epoch` counts from 0 here: the 16th
        path = CHECKPOINT_DIR / CHECKPOINT_NAME.format(epoch=epoch + 1, **logs)
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


if sys.argv[1:] == ["train"]:
    model.fit(
        x,
        y,
        validation_split=VALIDATION_SPLIT,
        validation_batch_size=len(x_validation),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        callbacks=[checkpoint, keras.callbacks.LambdaCallback(on_epoch_end=cut_the_file_and_die)],
        verbose=2,
    )
    sys.exit("Nothing has killed the training: KILLED_AFTER must be less than EPOCHS.")

# %% [markdown]
"""
From here on, this is the new process. It first tries the folder by writing a megabyte to it: a
Drive that is not mounted, or a full disk, should be noticed before hours of training and not after.
Then it starts the process above, and survives it. If the folder you named holds checkpoints
already, the accident has happened elsewhere, and there is nothing to start.
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
    found = {}
    for path in CHECKPOINT_DIR.iterdir():
        name = re.fullmatch(r"weights-(\d+)-([01]\.\d{3})\.keras", path.name)
        if name:
            found[int(name[1])] = path
    return found


if not checkpoints_by_epoch():
    process = subprocess.run([sys.executable, "06_resume_training.py", "train"], check=False)
    print(f"\nThe training process is dead, return code {process.returncode}")
    if process.returncode != -signal.SIGKILL:
        sys.exit(f"{CHECKPOINT_DIR}: training into it failed; the lines above say why.")

# %% [markdown]
"""
## Find the newest usable checkpoint

The highest number in a name is not the answer: the last file may be cut short. A `.keras` file is a
zip archive, whose table of contents is written last; a file without it was never finished. The
checksums in the archive find a changed byte in what it holds, and a save that an error broke off
lacks the weights. Files are tried from the newest back, and one that is damaged is passed over. It
is removed only after an older one has proved usable: as long as there is none, nothing is deleted
that might still be rescued.

A file that is whole but not of this network, of a training with other batches, or of a Keras that
describes its layers differently, is no reason to go further back. It means that this is the wrong
folder, and nothing in it is touched.
"""

# %%
damaged = []
for epoch, path in sorted(checkpoints_by_epoch().items(), reverse=True):
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            if archive.testzip() is None and "model.weights.h5" in archive.namelist():
                break
    except OSError as error:
        sys.exit(f"{path} cannot be read ({error}). Nothing was deleted.")
    except (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
        pass
    damaged.append(path)
else:  # no break: none was usable
    sys.exit(f"{CHECKPOINT_DIR} holds no usable checkpoint. Name another folder, or an empty one.")

wrong_folder = "Name another folder in CHECKPOINT_DIR, or an empty one to start anew."
try:
    resumed = keras.models.load_model(path)
    found_layers = json.loads(resumed.to_json())["config"]["layers"]
    same_layers = found_layers == json.loads(model.to_json())["config"]["layers"]
    same_steps = int(resumed.optimizer.iterations) == epoch * batches_per_epoch
except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
    sys.exit(f"{path} cannot be resumed ({type(error).__name__} on loading). {wrong_folder}")
if not (same_layers and same_steps):
    sys.exit(f"{path} is of another network or another training. {wrong_folder}")
for useless in damaged:
    useless.unlink()
    print(f"{useless} was cut short or changed, and is removed")
loaded_epoch, loaded_file = epoch, path
loaded_weights = resumed.get_weights()
loaded_state = [keras.ops.convert_to_numpy(part) for part in resumed.optimizer.variables]
loaded_steps = int(resumed.optimizer.iterations)
before = {number: float(file.stem[-5:]) for number, file in sorted(checkpoints_by_epoch().items())}
print(f"Resuming after epoch {loaded_epoch}, from {loaded_file}")

# %% [markdown]
"""
## Train: the missing epochs

Three numbers, and each is a trap. The number in the file name counts from 1: `weights-15` was saved
after 15 epochs. `initial_epoch` counts from 0: it is the index of the next epoch, which is the
number of those that are done, 15, so the two need no correction. One less trains epoch 15 twice;
one more leaves epoch 16 out. And `epochs` is the last epoch, not how many are to come: with
`epochs=5` this call would train nothing, and say nothing.

`load_model` has restored the optimizer with the rest, so no `compile` is needed here: compiling
again would make a fresh one. What lives in callbacks it has not restored. The checkpoint above
remembers nothing, so nothing is lost; one with `save_best_only` would take the first resumed epoch
for the best (script 07, `initial_value_threshold`), and `EarlyStopping` would begin to count anew.
"""

# %%
history = resumed.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    initial_epoch=loaded_epoch,
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[checkpoint],
    verbose=2,
)
after = dict(zip((epoch + 1 for epoch in history.epoch), history.history.get("val_accuracy", [])))

# %% [markdown]
"""
## Train: the same without an accident

For comparison, the model built above, which nothing has touched since, with the seed set as at the
start: 20 epochs in one go. Until the kill it must go the same way as the process that died, since
it starts from the same weights and shuffles in the same way; the figure shows whether it does.
"""

# %%
keras.utils.set_random_seed(SEED)
uninterrupted = model.fit(
    x,
    y,
    validation_split=VALIDATION_SPLIT,
    validation_batch_size=len(x_validation),
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    verbose=0,
).history["val_accuracy"]

# %% [markdown]
"""
## Look: the seam

The history of the killed process died with it; its curve is drawn from the scores in the file
names. That alone is a reason to put them there; Keras's `CSVLogger` callback with `append=True`
would keep the rest of the log as well. The resumed line goes on from there, but need not meet the
line of the run that was never killed. What the file does not hold is where the random numbers
stood, by which `fit` shuffles the rows: the new process begins its shuffling anew, so the same
weights meet other batches. That is what happens on JAX. On TensorFlow the lines coincide, for a
poor reason: there, once a seed is set, every epoch is shuffled alike. Two trainings that differ in
the order of their rows are equally good; what it takes to make them *the same* is shown by
`beyond/12_exact_resume.py`.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
epochs = range(1, EPOCHS + 1)
axes.plot(epochs, uninterrupted, color="#999999", alpha=0.5, lw=6, label="never killed")
axes.plot(list(before), list(before.values()), "o-", color="#0072B2", label="before the kill")
resumed_curve = {loaded_epoch: before[loaded_epoch], **after}
axes.plot(list(resumed_curve), list(resumed_curve.values()), ".-", color="#E69F00", label="resumed")
loaded_label = f"loaded: epoch {loaded_epoch}"
axes.plot(
    loaded_epoch, before[loaded_epoch], "o", ms=15, mfc="none", mec="#D55E00", label=loaded_label
)
axes.set_title(f"Pima: stopped after epoch {loaded_epoch}, resumed to epoch {EPOCHS}")
axes.set(xlabel="epoch", ylabel="validation accuracy (share of correct answers)")
axes.set_xticks(range(0, EPOCHS + 1, 5))
axes.grid(alpha=0.3)
axes.legend(loc="lower right")
figure.savefig((CHECKPOINT_DIR if NAMED_DIR else OUT) / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

Every weight loaded, and every number of the optimizer, was the file's, bit for bit: the archive is
opened by hand and compared array by array, since that `load_model` raised nothing would not show
it. The optimizer had counted the batches of the loaded epochs and no others, and in the end has
counted those of 20 epochs: none was trained twice, none was left out. Each epoch trained has left
its file, and in the end there are as many as epochs: the document's 20. In a folder of yours, which
may begin anywhere, those of the missing epochs must have come.
"""

# %%
with zipfile.ZipFile(loaded_file) as archive:
    content = io.BytesIO(archive.read("model.weights.h5"))
with h5py.File(content) as file:
    saved_arrays = [
        file[f"layers/{layer}/vars/{index}"][()]
        for layer in file["layers"]
        for index in file[f"layers/{layer}/vars"]
    ]
    state = file["optimizer/vars"]
    saved_arrays += [state[str(index)][()] for index in range(len(state))]
for loaded, saved in zip(loaded_weights + loaded_state, saved_arrays, strict=True):
    assert np.array_equal(loaded, saved)
assert loaded_steps == loaded_epoch * batches_per_epoch
assert int(resumed.optimizer.iterations) == max(EPOCHS, loaded_epoch) * batches_per_epoch
assert list(after) == list(range(loaded_epoch + 1, EPOCHS + 1))
assert checkpoints_by_epoch().keys() == before.keys() | after.keys()
assert NAMED_DIR or (process.returncode, loaded_epoch, loaded_steps) == (-9, KILLED_AFTER, 90)
assert NAMED_DIR or sorted(checkpoints_by_epoch()) == list(epochs)

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date. A
run in a folder of yours is your own affair and leaves none.
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
missing = f"trained epochs {min(after)} to {max(after)}" if after else "nothing was missing"
print(f"\nResumed after epoch {loaded_epoch}: {missing}, {len(checkpoints_by_epoch())} files")
