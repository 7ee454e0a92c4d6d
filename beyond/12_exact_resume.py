# %% [markdown]
"""
# 12 · Resume bit for bit

After this script you can interrupt a training at any batch, start the same command again, and end
with exactly the same model. Keras's own files are not enough for that. They hold the weights and
the optimizer state (the running averages and the step count that Adam keeps). They do not hold the
position of the random numbers, the counters of `EarlyStopping` and `ReduceLROnPlateau`, the
remaining rows of the epoch, or the history. A resumed training without them is a different
training. It is not worse, but you can no longer compare two ideas with it, or find a fault that
appears in epoch 90.

`ExactBackupAndRestore` from `beyond/durable_checkpoint/` saves all of this. Here a training is
killed at random batches, several times, and ends in the same bits as a training that ran without
interruption. Then the script leaves out one part of the backup at a time and shows what changes.
This script is for you if you must be able to repeat an interrupted training exactly. Read script 06
first: it shows a resume with the files that Keras writes.

- Run:    `python beyond/12_exact_resume.py` (under the hood, 30 minutes to read)
- Reads:  `data/mnist.npz`
- Writes: `out/12_exact_resume/`: a folder for each training, with its fingerprint and history in
  `trained.json`; the figure `exact_and_not.png`; `result.json`; what JAX has compiled, in
  `compiled/`
- From:   beyond the tutorials: *Deep Learning With Python*, chapter 14, begins with long trainings
  that are interrupted
- Next:   `beyond/13_background_checkpoint.py` measures what saving costs
"""

# %% [markdown]
"""
## Settings and seed

An epoch (one pass over the training rows) has 20 batches (the rows of one training step). The
callback makes a backup after every 7 batches, so most backups fall inside an epoch. A process
trains fewer than `LIVES` batches before it is killed. The batches after its last backup have to be
trained again: at most 6 of them, or 13 if the last backup was not complete.

The learning rate is five times Adam's default. The validation loss then stops falling after a few
epochs, and `ReduceLROnPlateau` and `EarlyStopping` have something to count. With a loss that falls
in every epoch, you could lose their counters and not notice. `EPOCHS` is an upper limit:
`EarlyStopping` can end the training earlier.
"""

# %%
import hashlib
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import keras
import matplotlib.pyplot as plt
import numpy as np
from durable_checkpoint import ExactBackupAndRestore, ShuffledBatches

SEED = 7
EPOCHS = 14
BATCH_SIZE = 50
VALIDATION_SPLIT = 0.2
BACKUP_EVERY = 7
LIVES = 45
OUT = pathlib.Path("out/12_exact_resume")

keras.utils.set_random_seed(SEED)

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
## Take a thousand pictures

A thousand images train and a thousand others validate. With so few images the validation loss soon
stops falling.
"""

# %%
x, y = x[:1000], y[:1000]
x_validation, y_validation = x_validation[:1000], y_validation[:1000]
batches_per_epoch = math.ceil(len(x) / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: noise, dropout, batch normalisation

The model contains every kind of state that a resume can lose.

- `GaussianNoise` and `Dropout` draw random numbers in every batch. Each of them takes its numbers
  from a *seed generator*: a variable that changes with every draw. It belongs to the layer, but it
  is not one of the layer's weights, so Keras saves it neither in `.keras` nor in `.weights.h5`.
- `BatchNormalization` keeps running means. They are weights, and Keras saves them.

`fingerprint` computes a checksum of all variables of the model and of the optimizer. Two models
with the same fingerprint have the same value in every bit. One processor repeats a sum with the
same rounding, so the fingerprints can be equal. On a graphics card you have to ask for that, in
TensorFlow with `tf.config.experimental.enable_op_determinism()`. Two different machines can round
differently.
"""


# %%
def build_model():
    model = keras.Sequential(
        [
            keras.Input(shape=(784,)),
            keras.layers.GaussianNoise(0.2),
            keras.layers.Dense(128),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(learning_rate=0.005)
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def seeds_of(model):
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def fingerprint(model):
    variables = model.variables + model.optimizer.variables
    numbers = [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]
    return hashlib.sha256(b"".join(numbers)).hexdigest()


# %% [markdown]
"""
## Train: resume with one callback

This function is all that your own training needs. You run the same command for the first start and
for every restart.

1. Pass the data as `ShuffledBatches`. It computes the order of the rows from the seed and the epoch
   number, so a restart can continue in the middle of an epoch.
2. Pass `shuffle=False`, because the batches are already shuffled. If you forget it,
   `ShuffledBatches` raises an error.
3. List in `track` the data and every callback that counts something.

The callback makes a backup between two batches. The backup contains the variables of the model, its
seed generators, the optimizer, the metrics, the random state of Python, NumPy and Keras, the
history, and the counters of the tracked callbacks. The callback keeps the last two backups, in case
the newer one is damaged. It deletes both when the training is complete. Save the finished model
yourself, or pass `delete_checkpoint=False`.

The callback refuses a backup if the layers, the optimizer, the number of rows or the batch size
have changed. The message says what differs. The learning rate comes from the backup. To continue
with other settings, start a new training from a checkpoint, as in scripts 03 and 11.

A cloud machine can send SIGTERM before it stops, and you can press Ctrl-C. In both cases the
callback finishes the batch, makes a backup, and ends the process with status 143 or 130. No batch
has to be repeated.
"""


# %%
def train_exactly(folder, *others):
    model = build_model()
    batches = ShuffledBatches(x, y, BATCH_SIZE, SEED)
    slower = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1, factor=0.3)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    backup = ExactBackupAndRestore(
        folder / "backup", save_freq=BACKUP_EVERY, track=[batches, slower, stop]
    )
    model.fit(
        batches,
        shuffle=False,
        epochs=EPOCHS,
        validation_data=(x_validation, y_validation),
        callbacks=[slower, stop, backup, *others],
        verbose=0,
    )
    return model


# %% [markdown]
"""
## Train: leave one part out

This function is only for the table below. It backs up and restores everything. In a restarted
process it then resets one part to its initial state:

- `seeds`: the seed generators start again.
- `optimizer`: the optimizer starts again. You get the same result when you call `load_weights`
  before the optimizer is built. Keras then prints a warning and skips the optimizer.
- `callbacks`: `slower` and `stop` are not tracked.
- `shuffle`: the training uses plain arrays, and the random numbers with which `fit` shuffles them
  start again.
- `stock`: Keras's `BackupAndRestore` does the backup. It gets the same batches in the same order,
  and `ShuffledBatches` is told the epoch, so the data cannot cause a difference.

`background=False` makes each save complete before the next batch starts. Every row of the table
then resumes from the last backup before the kill.
"""


# %%
class Forget(keras.callbacks.Callback):
    def __init__(self, what):
        super().__init__()
        self.what = what

    def on_train_begin(self, logs=None):
        variables = {"seeds": seeds_of(self.model), "optimizer": self.model.optimizer.variables}
        self.variables = variables.get(self.what, [])
        self.anew = [keras.ops.convert_to_numpy(variable) for variable in self.variables]

    def on_epoch_begin(self, epoch, logs=None):
        if self.what == "shuffle" and self.anew is not None:
            keras.utils.set_random_seed(SEED)
            self.anew = None

    def on_train_batch_begin(self, batch, logs=None):
        if self.anew is not None:
            for variable, value in zip(self.variables, self.anew, strict=True):
                variable.assign(value)
            self.anew = None


def train_without(what, folder, *others):
    model = build_model()
    batches = ShuffledBatches(x, y, BATCH_SIZE, SEED)
    data = {"x": batches, "shuffle": False}
    slower = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", patience=1, factor=0.3)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
    start = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: batches.start(epoch))
    forget = [Forget(what)] if (folder / "backup").exists() else []
    if what == "stock":
        backup = keras.callbacks.BackupAndRestore(folder / "backup")
        forget = [start]
    elif what == "shuffle":
        data = {"x": x, "y": y, "batch_size": BATCH_SIZE}
        backup = ExactBackupAndRestore(folder / "backup", track=[slower, stop], background=False)
    else:
        track = [batches] if what == "callbacks" else [batches, slower, stop]
        backup = ExactBackupAndRestore(
            folder / "backup", BACKUP_EVERY, track=track, background=False
        )
    model.fit(
        **data,
        epochs=EPOCHS,
        validation_data=(x_validation, y_validation),
        callbacks=[slower, stop, backup, *forget, *others],
        verbose=0,
    )
    return model


# %% [markdown]
"""
## Train: in a process that is killed

The script starts itself once with the word `train`. That process imports Keras and then makes a
copy of itself (a *fork*) for each training, which is faster than a new start. Script 11 explains
this. The copy kills itself with SIGKILL, a signal that stops a process at once and cannot be
caught. It does so before the ordered batch, whatever the backup's thread is writing at that moment.
A training that is not killed writes its result to `trained.json`.

Two details matter:

- Every process sets the seed, which would restart the random numbers. The callback restores their
  state after that.
- `life` counts the batches of one process. With a count of the whole training, every process would
  die at the same batch.
"""


# %%
class Die(keras.callbacks.Callback):
    def __init__(self, life, folder):
        super().__init__()
        self.life, self.folder = life, folder

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.life == 0:
            with open(self.folder / "kills", "a") as file:
                print(self.epoch, file=file)
            os.kill(os.getpid(), signal.SIGKILL)
        self.life -= 1


def live(what, folder, life):
    folder = pathlib.Path(folder)
    keras.utils.set_random_seed(SEED)
    others = [Die(int(life), folder)] if life != "whole" else []
    if what == "nothing":
        model = train_exactly(folder, *others)
    else:
        model = train_without(what, folder, *others)
    trained = {"fingerprint": fingerprint(model), "epochs": model.history.epoch}
    (folder / "trained.json").write_text(json.dumps(trained | {"history": model.history.history}))


if sys.argv[1:] == ["train"]:
    for order in sys.stdin:
        if os.fork() == 0:
            live(*order.split())
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    sys.exit()

# %% [markdown]
"""
The code from here on runs in the first process only. It sends an order to the second process for
each training. Script 11 explains the environment settings.
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
    [sys.executable, "beyond/12_exact_resume.py", "train"],
    env=os.environ | settings,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)


def train(what, name, life="whole"):
    folder = OUT / name
    folder.mkdir(exist_ok=True)
    print(what, folder, life, file=trainer.stdin, flush=True)
    status = trainer.stdout.readline().strip()
    if status not in ("0", str(-signal.SIGKILL)):
        sys.exit(f"{OUT}: a training failed; the lines above say why.")
    return json.loads((folder / "trained.json").read_text()) if status == "0" else None


# %% [markdown]
"""
## Train: once without interruption, once with many

The number of batches before each kill is random. The last process is the first one that reaches the
end of the training. If a process dies before its first backup is complete, the next one starts at
the same point.

Random kills rarely hit short moments, such as the last batch of an epoch or the time between two
renames. `tests/durability/test_exact.py` kills a similar training before every batch and during
every kind of write. It also damages each file of a backup.
"""

# %%
chance = np.random.default_rng(SEED)
whole = train("nothing", "whole")
lives, killed = [], None
while killed is None:
    lives.append(int(chance.integers(BACKUP_EVERY, LIVES)))
    killed = train("nothing", "killed", lives[-1])
kills = lives[:-1]
killed_in = [int(epoch) for epoch in (OUT / "killed" / "kills").read_text().split()]
print(f"without interruption: {whole['fingerprint']}, {len(whole['epochs'])} epochs")
print(f"killed {len(kills)} times:      {killed['fingerprint']}, {len(killed['epochs'])} epochs")
print("killed after", ", ".join(map(str, kills)), "batches of a life")

# %% [markdown]
"""
## Train: what breaks an exact resume

Each row of the table is a training that was killed once and resumed. It is compared with the
uninterrupted training. The row with plain arrays has its own uninterrupted training, because its
batches differ. The kill comes in the middle of the epoch after which `ReduceLROnPlateau` first
lowers the rate. At that point every part of the backup matters.

- Without the *seeds*, the resumed run reuses old noise.
- Without the *callbacks*, the first loss after the restart counts as the best so far.
  `ReduceLROnPlateau` lowers the rate too late, and `EarlyStopping` stops too late.
- Without the *optimizer* state, Adam starts with empty averages and the initial learning rate.
- With *plain arrays* and fresh random numbers, the backends differ. On JAX, `fit` shuffles with
  NumPy, so fresh random numbers give another order, and the result differs. On TensorFlow (Keras
  3.15) a training with a seed uses the same order in every epoch, so the result is the same. A
  resume with plain arrays passes your test on TensorFlow, but the same code does not resume exactly
  on JAX.
- Stock `BackupAndRestore` loses the seeds, the counters and the history, and returns to the start
  of the epoch. It keeps the weights and the optimizer, so the learned model is not lost.

The column *bits* compares the fingerprints. The column *history* compares every number of every
epoch. The last column shows the validation loss of the last epoch, so you can see how far the two
trainings are apart.
"""

# %%
LEFT_OUT = {
    "nothing": "nothing",
    "seeds": "the seeds of noise and dropout",
    "callbacks": "the counters of the callbacks",
    "optimizer": "the optimizer",
    "shuffle": "NumPy's random numbers (plain arrays)",
    "stock": "what stock BackupAndRestore drops",
}


def first_reduction(trained):
    rates = np.array(trained["history"]["learning_rate"])
    return int(np.argmin(rates == rates[0]))


arrays_whole = train("shuffle", "arrays_whole")
rows = {}
for what in LEFT_OUT:
    other = arrays_whole if what == "shuffle" else whole
    life = int((first_reduction(other) - 0.5) * batches_per_epoch)
    train(what, f"without_{what}", life)
    resumed = train(what, f"without_{what}")
    last = [trained["history"]["val_loss"][-1] for trained in (resumed, other)]
    rows[what] = {
        "same_bits": resumed["fingerprint"] == other["fingerprint"],
        "same_history": resumed["history"] == other["history"],
        "epochs_in_history": len(resumed["epochs"]),
        "last_loss": last,
        "killed_in": first_reduction(other) - 1,
        "trained": resumed,
    }
trainer.stdin.close()
trainer.wait()

print(f"\n{'left out':40}bits     history  epochs in history  last validation loss")
for what, row in rows.items():
    bits, history = ("same" if row[key] else "other" for key in ("same_bits", "same_history"))
    print(f"{LEFT_OUT[what]:40}{bits:9}{history:9}", end="")
    ours, whole_loss = (f"{loss:.6f}" for loss in row["last_loss"])
    print(f"{row['epochs_in_history']:<20}{ours}" + (f", not {whole_loss}" * (ours != whole_loss)))

# %% [markdown]
"""
## Look: one curve, and one that leaves it

The blue line is the training that was killed and resumed. It lies exactly on the grey line, the
training that was never interrupted. A cross marks an epoch with a kill. The orange line is the
training that stock `BackupAndRestore` resumed. Its history begins in the epoch of the kill, and its
losses differ from there on. It is not worse, but it is another training.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
whole_curve, killed_curve = whole["history"]["val_loss"], killed["history"]["val_loss"]
stock = rows["stock"]["trained"]
epochs = np.array(whole["epochs"]) + 1
axes.plot(epochs, whole_curve, color="#999999", alpha=0.5, lw=7, label="never interrupted")
axes.plot(
    np.array(killed["epochs"]) + 1,
    killed_curve,
    color="#0072B2",
    label="killed and resumed bit for bit",
)
deaths = np.array(killed_curve)[killed_in]
axes.plot(
    np.array(killed_in) + 1, deaths, "X", color="#0072B2", ms=10, label="killed in this epoch"
)
stock_epochs, stock_curve = np.array(stock["epochs"]) + 1, stock["history"]["val_loss"]
stock_label = "killed once, resumed by stock BackupAndRestore"
axes.plot(stock_epochs, stock_curve, "o--", color="#D55E00", label=stock_label)
axes.set(
    title=f"Killed {len(kills)} times and resumed: the same validation losses",
    xlabel="epoch",
    ylabel="validation loss (cross-entropy)",
    xticks=range(1, EPOCHS + 1),
)
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(OUT / "exact_and_not.png", dpi=150)

# %% [markdown]
"""
## Check

The killed training has the fingerprint and the history of the uninterrupted one, to the last bit,
and no backup remains.

A training without dropout and with a repeated order would pass this test without any backup. So the
table is also checked: each part that is left out must change the result. The exception is the order
of plain arrays on TensorFlow, which is the same in every epoch.

A process can die one epoch earlier than the process before it, if that process did not complete its
last backup. It cannot die two epochs earlier, because 13 batches are less than an epoch.
"""

# %%
assert len(kills) >= 3 and min(np.diff(killed_in)) >= -1
assert killed["fingerprint"] == whole["fingerprint"]
assert killed["history"] == whole["history"] and killed["epochs"] == whole["epochs"]
assert rows["nothing"]["same_bits"] and rows["nothing"]["same_history"]
for what in ("seeds", "callbacks", "optimizer", "stock"):
    assert not rows[what]["same_bits"] and not rows[what]["same_history"]
assert rows["shuffle"]["same_bits"] == (keras.backend.backend() == "tensorflow")
assert stock["epochs"][0] == rows["stock"]["killed_in"] > 0
assert not list(OUT.glob("*/backup"))

# %% [markdown]
"""
## Result

`result.json` stores the number of kills, the fingerprint, and the rows of the table.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "kills after which the training ended in the same bits",
    "documented": None,
    "reproduced": len(kills),
    "fingerprint": whole["fingerprint"],
    "batches_lived": kills,
    "left_out": {what: row | {"trained": None} for what, row in rows.items()},
    "files": ["exact_and_not.png", "killed/trained.json", "whole/trained.json"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
