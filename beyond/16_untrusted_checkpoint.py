# %% [markdown]
"""
# 16 · Open a checkpoint from a stranger

After this script you know how to load a checkpoint that somebody else made. A whole model is a
recipe: `load_model` builds what the file says, and the file can contain code. A file of weights is
no recipe, but HDF5 (its format) can point at other files on your disk, or declare arrays that fill
your memory. And a file can load without an error and still hold other numbers than announced.

Here a stranger sends sixteen files. Two are honest. The others are like published attacks and
common accidents, made harmless: the foreign code only creates an empty marker file, and the files
that the arrays point at belong to this script. Each file is opened in several ways, in a process
with limits, and the outcomes make a table. If you only want the rules, go to "The practice".

- Run:    `python beyond/16_untrusted_checkpoint.py` (in practice, 35 minutes to read)
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/16_untrusted_checkpoint/`: the sixteen files and their checksums;
  `private.weights.h5` and `private.bin`, which some of them point at; the figure `outcomes.png`;
  `result.json`; what JAX has compiled, in `compiled/`; for a moment `marker`, when foreign code
  runs
- From:   beyond the tutorials: they load only their own files
- Next:   `beyond/17_how_typical.py` repeats one training 300 times
"""

# %% [markdown]
"""
## Settings and seed

The process that opens the files gets 4 GiB of memory addresses, half of which TensorFlow's
libraries take at once, and 20 seconds. (The address limit needs Linux.) There are two *bombs*,
small files that declare a huge array. The first declares 4 TiB. The second stays just below 4 GiB,
the size from which Keras looks more closely. `CASES` says for each file what is wrong with it and
what you should do.
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

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
from durable_checkpoint import load_weights_strict, verify

SEED = 7
EPOCHS = 20
BATCH_SIZE = 16
VALIDATION_SPLIT = 1 / 3
MEMORY = 4 << 30
SECONDS = 20
ARRAY = "layers/dense/vars/0"
BOMBS = {"bomb": (1 << 20, 1 << 20), "bomb_4_GiB": (1 << 15, (1 << 15) - 1)}
CASES = {
    "honest.keras": ("untouched", "build the network in your own code, load only the weights"),
    "honest.weights.h5": ("untouched", "compare its SHA-256, load it strictly"),
    "lambda.keras": ("code in a Lambda layer", "load only the weights; never use safe_mode=False"),
    "lambda.h5": ("code in a Lambda layer", "do not load whole models in the old format"),
    "cut.keras": ("cut in half", "download it again"),
    "cut.weights.h5": ("cut in half", "download it again"),
    "flipped.keras": ("one bit changed", "download it again"),
    "flipped.weights.h5": ("one bit changed", "compare its SHA-256 before you open it"),
    "bomb.weights.h5": ("4 TiB declared", "refuse it; open files under a memory limit"),
    "bomb_4_GiB.weights.h5": ("4 GiB declared", "refuse it; open files under a memory limit"),
    "link.weights.h5": ("external link", "refuse it and ask the sender why"),
    "storage.weights.h5": ("external storage", "refuse it and ask the sender why"),
    "virtual.weights.h5": ("virtual dataset", "refuse it and ask the sender why"),
    "deeper.weights.h5": ("one layer more", "load it strictly: file and network must agree"),
    "wider.weights.h5": ("another width", "ask for the right network"),
    "reversed.weights.h5": ("signs flipped", "compare its SHA-256: nothing else can tell"),
}
OUT = pathlib.Path("out/16_untrusted_checkpoint")
MARKER = OUT / "marker"

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Pima

This is the data cell of script 01. The last third of the rows shows how well a loaded network
answers.
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

As in script 06.
"""

# %%
mean, deviation = x[:training_rows].mean(axis=0), x[:training_rows].std(axis=0)
x = (x - mean) / deviation
x_validation = x[training_rows:]

# %% [markdown]
"""
## Build the model: in your own code

This is the announced network. You can write this half of a checkpoint yourself, so you need not
take it from a stranger. The arguments make the stranger's variants: another width, and more layers
at the end. `fingerprint` recognises the announced weights in any file. `accuracy` says how well a
loaded network answers.
"""


# %%
def build_model(width=16, last_layers=()):
    return keras.Sequential(
        [
            keras.Input(shape=(8,)),
            keras.layers.Dense(width, activation="relu", name="hidden"),
            keras.layers.Dense(1, activation="sigmoid", name="output"),
            *last_layers,
        ]
    )


def fingerprint(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


def accuracy(model):
    predictions = keras.ops.convert_to_numpy(model(x_validation))
    return float(np.mean((predictions[:, 0] > 0.5) == y_validation))


# %% [markdown]
"""
## Build the model: six ways to open a file

- `load_model` builds what the file says and loads its weights. `safe_mode` is on by default.
- `load_model` with `safe_mode=False`. Keras's own error message suggests it.
- `load_weights` fills the network above. It also takes a `.keras` file, and ignores the recipe in
  it.
- `verify` of `beyond/durable_checkpoint/` loads nothing. It checks whether the file is whole.
- `load_weights_strict` calls `verify` first. Then it requires that file and network have the same
  arrays.
- *SHA-256, strict* is `load_weights_strict` with the sender's checksum beside the file. The
  checksum is compared before HDF5 reads a single byte.

`load_model` cannot open a file of weights, so only the last four ways are tried with those.
"""


# %%
def load_weights(path):
    model = build_model()
    model.load_weights(path)
    return model


def strictly(path):
    model = build_model()
    load_weights_strict(model, path)
    return model


WAYS = {
    "load_model": keras.models.load_model,
    "safe_mode=False": lambda path: keras.models.load_model(path, safe_mode=False),
    "load_weights": load_weights,
    "verify": verify,
    "strict": strictly,
    "SHA-256, strict": strictly,
}

# %% [markdown]
"""
## Build the model: a process to open it in

The script starts itself with the word `load`. That process imports Keras and opens nothing. For
each file it makes a copy of itself (a *fork*, see script 11). The copy sets its limits, tries one
way after the other, reports, and ends at an empty line. A crash ends only the copy.

Such crashes happen. h5py ends with a segmentation fault when it reads a virtual dataset from an
HDF5 file inside an archive (seen with 3.14.0 and 3.16.0), and no `except` catches that. Keras and
`verify` look for virtual datasets before they read.

The limits protect you from accidents and huge arrays, not from hostile code. Code that runs in this
process may do all that you may do. To stop it, you need another user account, a container, or
another machine.
"""

# %%
if sys.argv[1:] == ["load"]:
    for line in sys.stdin:
        if os.fork() == 0:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            while line.strip():
                way, path = json.loads(line)
                signal.alarm(SECONDS)
                try:
                    loaded = WAYS[way](path)
                except Exception as error:  # noqa: BLE001
                    answer = f"{type(error).__name__}: {error}"
                    report = {"lines": [text for text in answer.splitlines() if text]}
                else:
                    report = {"lines": []}
                    if way != "verify":
                        report |= {"holds": fingerprint(loaded), "accuracy": accuracy(loaded)}
                print(json.dumps(report), flush=True)
                line = sys.stdin.readline()
            os._exit(0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(os.wait()[1])}), flush=True)
    sys.exit()

# %% [markdown]
"""
## Train: what was announced

The honest sender trains the network and publishes it in both formats, with the SHA-256 checksum of
each file. All other files below are made from these two.
"""

# %%
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

model = build_model()
model.compile(loss="binary_crossentropy", optimizer="adam")
model.fit(x[:training_rows], y[:training_rows], BATCH_SIZE, EPOCHS, verbose=0)
whole, weights = OUT / "honest.keras", OUT / "honest.weights.h5"
uncompiled = build_model()
uncompiled.set_weights(model.get_weights())
uncompiled.save(whole)
uncompiled.save_weights(weights)
announced = fingerprint(model)
published = {
    ending: hashlib.sha256(path.read_bytes()).hexdigest()
    for ending, path in ((".keras", whole), (".h5", weights))
}

# %% [markdown]
"""
## Fourteen other files

- *Code.* A `Lambda` layer holds a Python function, and Keras stores its bytecode in the file. This
  function creates the marker file and returns its input, so the network answers as before. A real
  attack could do anything that your account may do. It runs already when the model is built,
  because Keras calls the function to learn the shape of its output. One file is a `.keras`, the
  other an `.h5`, the older format of whole models.
- *Accidents.* A download that stopped half-way, and one changed bit, in both formats.
- *Bombs.* An array that declares a huge shape and stores nothing, in a file of about 15 kB.
- *Pointers.* HDF5 can take an array from another file in three ways: an external link, external
  storage and a virtual dataset. Suppose a service loads a stranger's file and gives the model back.
  Then a private file of that machine is in its weights.
- *Another network.* One with a layer more, one with another width, and one with the announced shape
  whose last layer has flipped signs. It says "ill" where the honest one says "healthy".
"""

# %%
foreign = keras.layers.Lambda(
    lambda inputs, marker: (open(marker, "w").close(), inputs)[1],
    arguments={"marker": str(MARKER)},
)
with_code = build_model(last_layers=[foreign])
with_code.set_weights(model.get_weights())
with_code.save(OUT / "lambda.keras")
with_code.save(OUT / "lambda.h5")
MARKER.unlink()

with h5py.File(weights) as file:
    first_numbers = file[ARRAY].id.get_offset()
    private = file[ARRAY][()] + 1
in_archive = whole.read_bytes().index(weights.read_bytes()[first_numbers:][: private.nbytes])
for path, first in ((whole, in_archive), (weights, first_numbers)):
    ending = path.name.removeprefix("honest")
    content = bytearray(path.read_bytes())
    (OUT / f"cut{ending}").write_bytes(content[: len(content) // 2])
    content[first + 3] ^= 0b01000000
    (OUT / f"flipped{ending}").write_bytes(content)


def weights_with(name, shape=None, **where):
    path = OUT / f"{name}.weights.h5"
    shutil.copy(weights, path)
    file = h5py.File(path, "a")
    del file[ARRAY]
    if shape:
        file.create_dataset(ARRAY, shape, "float32", **where)
    return file


for name, shape in BOMBS.items():
    weights_with(name, shape, chunks=(1024, 1024), compression="gzip").close()

(OUT / "private.bin").write_bytes(private.tobytes())
with h5py.File(OUT / "private.weights.h5", "w") as file:
    file[ARRAY] = private
elsewhere = [(str(OUT.resolve() / "private.bin"), 0, private.nbytes)]
weights_with("storage", private.shape, external=elsewhere).close()
with weights_with("link") as file:
    file[ARRAY] = h5py.ExternalLink("private.weights.h5", ARRAY)
with weights_with("virtual") as file:
    layout = h5py.VirtualLayout(private.shape, "float32")
    layout[:] = h5py.VirtualSource("private.weights.h5", ARRAY, private.shape)
    file.create_virtual_dataset(ARRAY, layout)

build_model(last_layers=[keras.layers.Dense(1)]).save_weights(OUT / "deeper.weights.h5")
build_model(width=17).save_weights(OUT / "wider.weights.h5")
*first_layer, kernel, bias = model.get_weights()
uncompiled.set_weights([*first_layer, -kernel, -bias])
uncompiled.save_weights(OUT / "reversed.weights.h5")

# %% [markdown]
"""
## Try every file in every way

`try_to` orders one attempt from the other process and names the outcome:

- *ran code*: the marker file exists. This outcome overrides all others, and the copy is ended.
- *died*: the process ended.
- *no memory*: the memory limit stopped the attempt.
- *refused*: any other exception.
- *wrong*: no exception, but not the announced weights. For `verify`: it accepts a file with other
  weights.
- *unharmed*: no exception and the announced weights.

The settings keep NumPy and the memory allocator from reserving addresses for each core, which could
use up the limit, and hide a graphics card.

Keras wraps most errors of `load_weights`: the first line says that an object could not be loaded,
and the next one says why. The script prints the class of the exception and the line that says why.
One message misleads: for a file cut in half, "not found" means that it is not a complete archive.
"""

# %%
settings = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_COMPILATION_CACHE_DIR": str(OUT / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}
loader = subprocess.Popen(
    [sys.executable, "beyond/16_untrusted_checkpoint.py", "load"],
    env=os.environ | settings,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
)


def order(line):
    print(line, file=loader.stdin, flush=True)
    heard = loader.stdout.readline()
    if not heard:
        sys.exit(f"{OUT}: the process that opens files failed; the lines above say why.")
    return json.loads(heard)


def try_to(way, path):
    heard = order(json.dumps([way, str(path)]))
    lines = heard["lines"] if "lines" in heard else [f"died, status {heard['status']}"]
    lines = [text.replace(f"{OUT.resolve()}/", "").replace(f"{OUT}/", "") for text in lines]
    reason = "".join(lines[:1])
    if len(lines) > 1:
        reason = f"{reason.partition(':')[0]}: {lines[1]}"
    if MARKER.exists():
        outcome = "ran code"
    elif "status" in heard:
        outcome = "died"
    elif "Unable to allocate" in reason:
        outcome = "no memory"
    elif lines:
        outcome = "refused"
    elif heard.get("holds", announced) != announced or (way == "verify" and path.name in OTHERS):
        outcome = "wrong"
    else:
        outcome = "unharmed"
    row = {"file": path.name, "way": way, "outcome": outcome, "marker": MARKER.exists()}
    MARKER.unlink(missing_ok=True)
    row |= {"answer": lines[0] if lines else None, "reason": reason or None}
    return row | {"accuracy": heard.get("accuracy")}


OTHERS = {f"{name}.weights.h5" for name in ("flipped", "deeper", "wider", "reversed")}
rows = []
for name, (what, advice) in CASES.items():
    path = OUT / name
    print(f"\n{name}, {path.stat().st_size:,} bytes, {what}. What to do: {advice}")
    for way in WAYS:
        if name.endswith(".weights.h5") and way in ("load_model", "safe_mode=False"):
            continue
        if way == "SHA-256, strict":
            (OUT / f"{name}.sha256").write_text(f"{published[path.suffix]}  {name}\n")
        row = try_to(way, path)
        rows.append(row)
        if row["outcome"] == "ran code":
            order("")
        scored = row["accuracy"] is not None
        said = f"accuracy {row['accuracy']:.3f}" if scored else row["reason"] or "no error"
        print(f"  {way:16} {row['outcome']:10} {said[:100]}")
    order("")
loader.stdin.close()
loader.wait()

# %% [markdown]
"""
## Look: who refuses what

One row for each file, one column for each way of opening it. Blue and green are good: an error, or
the announced weights. Orange is a network that answers wrongly without an error. Red, foreign code,
is in one column only, and only because somebody typed `safe_mode=False`. Black is the attempt that
the memory limit stopped. Without the limit, Keras refuses this file too, because of its shape, but
only after the array has filled the memory.

- In the rows of the Lambda layer, green means that the code was not run: `load_weights` and
  `load_weights_strict` ignore the recipe.
- `verify` has orange fields, because it only checks that a file is whole. A file for another
  network can be whole. With a checksum, `verify` also knows which file it should be: the last
  column is blue for every file that was not announced.
- `load_weights_strict` without a checksum has two orange fields. A changed bit and flipped signs
  keep the name, shape and type of every array. No program can tell them from the weights of another
  training.
- A `.keras` file detects the changed bit by the CRC-32 of its archive. It does not protect you from
  a person, who can compute the CRC-32 again.
"""

# %%
outcomes = {
    "unharmed": ("#009E73", "the announced weights, no code run"),
    "refused": ("#0072B2", "refused with an error"),
    "wrong": ("#E69F00", "other weights, no error"),
    "ran code": ("#D55E00", "foreign code ran"),
    "no memory": ("#000000", "stopped only by the memory limit"),
    "died": ("#CC79A7", "the process died"),
}
figure, axes = plt.subplots(figsize=(8, 7), layout="constrained")
for row in rows:
    column, line = list(WAYS).index(row["way"]), list(CASES).index(row["file"])
    color = outcomes[row["outcome"]][0]
    axes.add_patch(plt.Rectangle((column, line), 1, 1, facecolor=color, edgecolor="white", lw=2))
    ink = "black" if row["outcome"] == "wrong" else "white"
    axes.text(column + 0.5, line + 0.5, row["outcome"], ha="center", va="center", color=ink)
shown = {row["outcome"] for row in rows}
for outcome, (color, meaning) in outcomes.items():
    if outcome in shown:
        axes.bar(0, 0, color=color, label=f"{outcome}: {meaning}")
labels = [f"{what}  .{name.partition('.')[2]}" for name, (what, _) in CASES.items()]
axes.set_title("Sixteen files from a stranger, six ways to open them")
axes.set_xlabel("way of opening")
axes.set_ylabel("what was sent")
axes.set_xticks(
    np.arange(len(WAYS)) + 0.5, [way.replace(", ", ",\n").replace("=", "=\n") for way in WAYS]
)
axes.set_yticks(np.arange(len(CASES)) + 0.5, labels)
axes.set_xlim(0, len(WAYS))
axes.set_ylim(len(CASES), 0)
axes.tick_params(length=0)
axes.tick_params(axis="x", labelsize=9)
figure.legend(loc="outside lower center", ncols=2)
figure.savefig(OUT / "outcomes.png", dpi=150)

# %% [markdown]
"""
## What the library below Keras does

Recent Keras versions refuse the three pointers. h5py follows them without a message: the numbers
below come from the private files. So take the same care when you open a stranger's HDF5 file with
another program.

h5py contains its own copy of HDF5, a C library. The printed HDF5 version is the one that reads your
files. HDF5 up to 1.14.3 has dozens of overflows that a crafted file can use (CVE-2024-32605 to
32624, CVE-2024-29157 to 29166). Version 1.14.6 and earlier have more, for example CVE-2025-2153,
CVE-2025-2310, CVE-2025-6269 and CVE-2025-44905. To update HDF5, update h5py, and check the HDF5
version afterwards. You cannot always do that: TensorFlow 2.21 needs an h5py below 3.15, which
contains HDF5 1.14.6, and h5py 3.16.0 contains HDF5 2.0.0. Then compare the SHA-256 first, so HDF5
reads only the announced file.
"""

# %%
followed = {}
for pointer in ("link", "storage", "virtual"):
    with h5py.File(OUT / f"{pointer}.weights.h5") as file:
        followed[pointer] = bool(np.array_equal(file[ARRAY][()], private))
print(f"\nh5py {h5py.__version__} with HDF5 {h5py.version.hdf5_version} follows:", followed)

# %% [markdown]
"""
## The practice

1. *Build the network in your own code.* You then do not need the recipe in a whole model, and most
   of Keras's security advisories do not concern you. Several attacks got past `safe_mode`:
   CVE-2025-1550, CVE-2025-8747, CVE-2025-9905 (for `.h5`) and CVE-2025-9906.
2. *Load only weights.* The advisories about weights: shapes that fill the memory (CVE-2026-0897,
   fixed in 3.12.3 and 3.15.0, but not for arrays just below 4 GiB), external storage that reads
   your files (CVE-2026-1669), virtual datasets that do the same (CVE-2026-12480), and links (no
   number, fixed in 3.12.4 and 3.15.1).
3. *Get a SHA-256 by another way than the file*: from the sender's own website, in a signed message,
   by telephone. A checksum beside the file only proves that the download is complete: an attacker
   who replaces the file can replace the checksum too. Compare before you open the file. The
   checksum says that it is the announced file, not that the file is good. `sha256sum` computes it.
   `verify` reads it from a file beside the checkpoint, in the format that `sha256sum` writes.
4. *Load strictly.* `load_weights` accepts arrays that it does not need. `load_weights_strict`
   refuses them.
5. *Pin Keras* at 3.15.1 or later, in a lock file with hashes as in this repository. A pinned
   version gets old, so check it for new advisories: `make audit`.
6. *Open a new file where it can do little harm*: with limits as here, better as a user without
   rights, in a container without a network.
"""

# %%
sums = {name: hashlib.sha256((OUT / name).read_bytes()).hexdigest() for name in CASES}
recognised = [name for name, digest in sums.items() if digest in published.values()]
print("SHA-256, before anything is opened, recognises:", ", ".join(recognised))

# %% [markdown]
"""
## Check

Foreign code ran where `safe_mode` was off, and nowhere else. No process died. The assertions list
every file that was loaded without an error and is not the announced one. Every honest file was
loaded in every way, and with the sender's checksum no other file was. The assertions also compare
Keras's error messages. If a new version refuses less, or says it in other words, an assertion
fails.
"""

# %%
with_outcome = {outcome: set() for outcome in outcomes}
for row in rows:
    with_outcome[row["outcome"]].add((row["file"], row["way"]))
    assert row["marker"] == (row["outcome"] == "ran code")
    if row["way"] == "SHA-256, strict":
        assert row["outcome"] == ("unharmed" if row["file"] in recognised else "refused")
assert with_outcome["ran code"] == {(f"lambda{e}", "safe_mode=False") for e in (".keras", ".h5")}
assert not MARKER.exists() and not with_outcome["died"]
assert with_outcome["no memory"] == {("bomb_4_GiB.weights.h5", "load_weights")}
for way, kinds in {
    "load_weights": {"flipped", "deeper", "reversed"},
    "verify": {"flipped", "deeper", "wider", "reversed"},
    "strict": {"flipped", "reversed"},
}.items():
    assert {f for f, w in with_outcome["wrong"] if w == way} == {f"{k}.weights.h5" for k in kinds}
assert recognised == ["honest.keras", "honest.weights.h5"]
assert {row["outcome"] for row in rows if row["file"] in recognised} == {"unharmed"}
why = {row["file"]: row["reason"] for row in rows if row["way"] == "load_weights"}
not_allowed = "ValueError: Not allowed: H5 file with"
assert why["link.weights.h5"] == f"{not_allowed} ExternalLink"
assert why["storage.weights.h5"].startswith(f"{not_allowed} external Dataset")
assert why["virtual.weights.h5"] == f"{not_allowed} virtual Dataset"
assert "refusing to load a potential decompression/shape bomb" in why["bomb.weights.h5"]
assert why["flipped.keras"] == "BadZipFile: Bad CRC-32 for file 'model.weights.h5'"
assert all(followed.values())

# %% [markdown]
"""
## Result

`result.json` stores every attempt with its outcome and message, the advice, and the checksums.
"""

# %%
wrong = {way: sum(w == way for _, w in with_outcome["wrong"]) for way in WAYS}
result = {
    "script": OUT.name,
    "quantity": "of 14 bad files, those that load_weights takes for the announced one",
    "documented": None,
    "reproduced": wrong["load_weights"],
    "strict": wrong["strict"],
    "with_sum": wrong["SHA-256, strict"],
    "rows": rows,
    "advice": {name: advice for name, (_, advice) in CASES.items()},
    "sums": sums,
    "hdf5": h5py.version.hdf5_version,
    "files": sorted(CASES),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
