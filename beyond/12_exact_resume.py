# %% [markdown]
"""
# 12 · Resume bit for bit

Script 06 went on after a kill with the right weights, and still it was another training from there
on. What a file of Keras does not hold is lost: where the random numbers of dropout and augmentation
stood, what `EarlyStopping` and `ReduceLROnPlateau` had counted, which rows of the epoch were still
to come, the history. Two trainings that differ in that are equally good. But whoever compares two
ideas, or looks for a fault that shows in epoch 90, needs to know that the interruption changed
nothing; and "nothing" can be checked.

Here a training is killed at random batches, again and again, with `ExactBackupAndRestore` from
`beyond/durable_checkpoint.py`, and ends in the same bits as one that was left alone. Then one thing
after the other is left out, to see what each is good for.

- Run:    `python beyond/12_exact_resume.py`
- Reads:  `data/mnist.npz`
- Writes: `out/12_exact_resume/`: for every training a folder, with its fingerprint and history in
  `trained.json`; `history.png`, `result.json`; what JAX has compiled, in `compiled/`
- From:   beyond the documents; document 1's first sentence, on long trainings that are interrupted
- Next:   `beyond/13_background_checkpoint.py` measures what saving costs
"""

# %% [markdown]
"""
## Settings and seed

A backup after every 7 batches: an epoch has 20 of them, so most backups lie in the middle of one.
`LIVES` is how many batches a process may train before it is killed, at most; after its last backup
it trains some in vain: 6 at most, or 13 if that backup was not complete yet.

Adam learns at five times its usual rate, so that the loss falters soon. As long as it falls in
every epoch, `ReduceLROnPlateau` and `EarlyStopping` have counted nothing, and losing their count
would not show. `EPOCHS` is an upper limit: `EarlyStopping` may end the training before, on one
machine or backend and not on another.
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

The cell of script 04. A thousand of the images train here and a thousand validate: few enough that
the network soon stops getting better, so that the callbacks have something to do.
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

Twenty batches of fifty make an epoch. The images that validate come from the other end, so that no
row does both.
"""

# %%
x, y = x[:1000], y[:1000]
x_validation, y_validation = x_validation[:1000], y_validation[:1000]
batches_per_epoch = math.ceil(len(x) / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: all that draws and counts

The augmentation adds noise to each picture, another one every time it is seen; dropout leaves out
random units. Both take their numbers from a *seed generator*, whose state changes with every batch.
It is a variable of the layer but not one of its weights, and so in none of Keras's files. Batch
normalisation keeps running means, which are weights.

`fingerprint` is a checksum of all of that and of the optimizer's variables. One bit elsewhere, and
it is another one. "Nearly the same" does not exist here, and need not: the processor of one machine
rounds the same sum in the same way every time. It is otherwise on a graphics card, unless you ask
for it (`tf.config.experimental.enable_op_determinism()`), and between machines.
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
## Train: as you would

These lines are what a training of your own needs: the data as `ShuffledBatches`, whose order in an
epoch follows from the seed and the number of the epoch and from nothing else, so that it can be
taken up anywhere; and the callback with, in `track`, what belongs to the training besides the
model. `shuffle=False`, because the batches are shuffled already; forget it and the data says so.
Nothing distinguishes the first start from the later ones: the same command goes on from where the
backup is.

A backup is made between two batches, when every callback has dealt with the one before, and put
back at the same point. It holds the variables of the model with its seeds, those of the optimizer
and of the metrics, the random numbers of Python, NumPy and Keras, the history, and what the tracked
callbacks had counted. There are two of them, the newest and the one before, should the newest be
damaged. When training is over they are deleted: what you want to keep, save it, or give the
callback `delete_checkpoint=False`.

And it is refused, with a line that says what differs, if the program has changed meanwhile: another
layer, another optimizer, another number of rows or another batch size. The learning rate comes from
the backup, whatever the program says. Whoever wants to go on in another way begins a new training,
from a checkpoint instead of a backup: scripts 03 and 11.

Not every end is as sudden as a kill. Where a machine is taken back after a warning (SIGTERM), or
you press Ctrl-C, the callback lets the batch end, makes a backup and ends the process with status
143 or 130. Nothing is trained in vain then.
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
## Train: with one thing left out

For the table at the end. Everything is backed up and restored as above, and then, in a process that
was started again, one thing is put to what it would be if nobody had saved it: the seed generators
to where a new model has them; the optimizer to its beginning, which is what `load_weights` leaves
you with, and a mere warning, if the optimizer is not built yet; or the callbacks are not tracked.

Two more do without the module's data. One trains on plain arrays, and the random numbers by which
`fit` shuffles begin anew, as they do in any new process. The other is stock `BackupAndRestore`. It
is given the same batches in the same order, and is told the epoch, so that it need not depart for
their sake.

Nothing is written in the background here. The backup is always the last one before the kill then,
and the rows of the table differ in nothing but what they leave out.
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

As in script 11, the script starts itself once with the word `train`, and that process forks for
every training. The copy sends itself SIGKILL before the batch that was ordered, wherever the writer
of the backup stands at that moment. One that is not killed writes down what it has arrived at.

Two things make the end of a training different from its beginning if one is careless. The seed is
set in each process, and would begin the random numbers anew; the backup puts them back afterwards.
And the order to die counts the batches of one life, not those of the training: otherwise each
process would die at the same place for ever.
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
From here on, this is the process that orders the trainings. The settings are those of script 11.
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

How long each process lives is drawn by lot. The last one is whichever lives long enough. Some die
before their first backup is complete and get nowhere; the next one begins where they began.

Some moments are rare: the last batch of an epoch, the time between two renamings, a kill while the
backup of a resumed training is written. A lot seldom hits them. `tests/durability/test_exact.py`
kills this kind of training before every single batch and in the middle of every kind of write, and
damages each of the files.
"""

# %%
lot = np.random.default_rng(SEED)
whole = train("nothing", "whole")
lives, killed = [], None
while killed is None:
    lives.append(int(lot.integers(BACKUP_EVERY, LIVES)))
    killed = train("nothing", "killed", lives[-1])
kills = lives[:-1]
killed_in = [int(epoch) for epoch in (OUT / "killed" / "kills").read_text().split()]
print(f"without interruption: {whole['fingerprint']}, {len(whole['epochs'])} epochs")
print(f"killed {len(kills)} times:      {killed['fingerprint']}, {len(killed['epochs'])} epochs")
print("killed after", ", ".join(map(str, kills)), "batches of a life")

# %% [markdown]
"""
## Train: what breaks it

Each row of the table is a training that was killed once and resumed, compared with one that was not
interrupted. For the one on plain arrays that is another than for the rest, since its batches are
others. The moment is chosen so that each of the things matters: in the middle of the epoch after
which `ReduceLROnPlateau` lowers the rate for the first time.

Who leaves out the *seeds* trains on with noise that was used before. Who leaves out the *callbacks*
takes the next loss for the best so far, whatever it is: no rate is lowered and nothing stopped when
it should be. A fresh *optimizer* has forgotten how far each weight used to move, and the rate that
had been reached. These three depart on every machine.

The *random numbers* are the treacherous ones. `fit` shuffles plain arrays by those of NumPy on JAX;
begun anew, as in any new process, they give another order, and the training departs. (The callback
puts them back; here they are begun anew after that.) On TensorFlow it does not depart, and that is
no merit: once a seed is set, every epoch has the same order (Keras 3.15), so there is none to lose.
Whoever tests a resume with plain arrays on TensorFlow sees it succeed, and then trains on something
else.

Stock `BackupAndRestore` loses seeds, callbacks and history, and goes back to the beginning of the
epoch. Its history begins there, too. What it keeps are weights and optimizer, and so nothing of
what was learned is lost: it is made for going on, not for going on in the same way.

In the table, *bits* says whether the fingerprint is that of the uninterrupted training, *history*
whether every number of every epoch is. The loss of the last epoch shows how far apart the two have
come; a difference in the third digit after a few epochs is large, when one considers that a change
of a network is often judged by as little.
"""

# %%
LEFT_OUT = {
    "nothing": "nothing",
    "seeds": "the seeds of dropout and augmentation",
    "callbacks": "what the callbacks had counted",
    "optimizer": "the optimizer",
    "shuffle": "random numbers, with plain arrays",
    "stock": "whatever stock BackupAndRestore does",
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
## Look: one curve, and one that departs

A figure proves less than a fingerprint, but it shows where the one that departs does so. The killed
training lies on the uninterrupted one: the marks are the epochs in which it was killed, and nothing
is to be seen there. The one that stock Keras resumed has no history of the time before; from its
kill on it goes its own way. It is no worse a training for that. It is another one.
"""

# %%
figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
whole_curve, killed_curve = whole["history"]["val_loss"], killed["history"]["val_loss"]
stock = rows["stock"]["trained"]
epochs = np.array(whole["epochs"]) + 1
axes.plot(epochs, whole_curve, color="#999999", alpha=0.5, lw=7, label="never interrupted")
axes.plot(np.array(killed["epochs"]) + 1, killed_curve, color="#0072B2", label="killed and resumed")
deaths = np.array(killed_curve)[killed_in]
axes.plot(
    np.array(killed_in) + 1, deaths, "X", color="#0072B2", ms=10, label="killed in this epoch"
)
stock_epochs, stock_curve = np.array(stock["epochs"]) + 1, stock["history"]["val_loss"]
stock_label = "killed once, resumed by stock BackupAndRestore"
axes.plot(stock_epochs, stock_curve, "o--", color="#D55E00", label=stock_label)
axes.set(
    title=f"Killed {len(kills)} times, and the same training",
    xlabel="epoch",
    ylabel="validation loss (cross-entropy)",
    xticks=range(1, EPOCHS + 1),
)
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(OUT / "history.png", dpi=150)

# %% [markdown]
"""
## Check

These comparisons are of the kind that would be worthless if there were nothing to lose: two
trainings without dropout, in an order that repeats, agree by themselves. So the table is part of
the check. Each part that is left out has to make a difference, or its presence would prove nothing.

A process may die in the epoch before the one in which its predecessor died, if that one's last
backup was not complete and its own life is short; never earlier, for 13 batches are less than an
epoch. However often it was killed, the training has the fingerprint and the history of the one that
was not, to the last digit, and no backup is left when it is done. Leaving out any of the parts
changes it, but for the one that TensorFlow hides, and stock Keras comes back to another training.
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

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
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
    "files": ["history.png", "killed/trained.json", "whole/trained.json"],
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
