# %% [markdown]
"""
# 16 · Open a checkpoint from a stranger

A checkpoint that somebody else made is not only numbers. A whole model is a recipe, and whoever
loads it cooks what it says; in the past it could name any function of any installed module. A file
of weights is no recipe, but HDF5, its format, can point at other files and promise arrays that no
memory holds. And numbers that load without an error need not be the ones that were announced.

Here a stranger sends sixteen files. Two are honest, the others are of the kinds that published
attacks and ordinary accidents have produced, made harmless: the foreign code creates an empty
marker file, and the foreign file that an array points at is one of this script's own. Each is
loaded in several ways, in a process with limits, and the answers make a table.

- Run:    `python beyond/16_untrusted_checkpoint.py`
- Reads:  `data/pima-indians-diabetes.csv`
- Writes: `out/16_untrusted_checkpoint/`: the sixteen files; checksums of them; `private.weights.h5`
  and `private.bin`, at which some of them point; `outcomes.png`, `result.json`; what JAX has
  compiled, in `compiled/`; for a moment `marker`, when foreign code runs
- From:   beyond the documents
- Next:   `README.md`, for the two lines to change in a training of your own
"""

# %% [markdown]
"""
## Settings and seed

A process that opens a stranger's file gets 4 GiB of addresses, 2 of which TensorFlow's libraries
take at once, and 20 seconds. The first of the two bombs declares an array of 4 TiB, the second one
that stays just below the 4 GiB from which on Keras looks more closely. (The limit of addresses
needs Linux.) `CASES` says of each file what is the matter with it, and what one should do who gets
such a file.
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

768 women, eight measurements each, and a label: 1 if diabetes was found within five years. The last
third shows what a network is worth whose weights were loaded without complaint.
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

The network that was announced: this is the half of a checkpoint that one need not take from anybody
else. The arguments are for the stranger's variants of it: another width, more layers behind.

`fingerprint` recognises the announced weights whatever file they came in, and `accuracy` says what
the loaded ones are good for.
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
## Build the model: six ways to load a file

- `load_model` builds what the file says and fills it. `safe_mode` is on unless one turns it off.
- `load_model` with `safe_mode=False`, which the message of the refusal itself names as the way to
  load the file all the same.
- `load_weights` fills the network above. It takes a `.keras` file, too, and leaves the recipe in
  it alone.
- `verify` of `beyond/durable_checkpoint.py` loads nothing; it asks whether the file is whole.
- `load_weights_strict` asks `verify` first, and then for the same arrays in file and network.
- The last is `load_weights_strict` again, when the sender's SHA-256 has been noted beside the file.
  Then the sum is compared before HDF5 gets to see a single byte.

`load_model` has no use for a file of weights, so those are loaded in four ways.
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

The script starts itself with the word `load`. That process has Keras ready and opens nothing: for
each file it splits off a copy of itself, as in script 11, before TensorFlow or JAX has computed
anything. The copy sets its limits, tries one way after the other as it is told, reports, and ends
at an empty line. Whatever happens in there, a crash in HDF5 for instance, ends the copy and nothing
else.

That is no idle worry. h5py dies by a segmentation fault if it reads a virtual dataset from an HDF5
file inside an archive, and no `except` catches that (seen with 3.14.0 and 3.16.0). Keras and
`verify` look for such arrays before they read any.

It is a protection against accidents and greed, not against malice: foreign code that runs in there
may do all that you may do. For that you need another user, a container or a machine of its own.
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

The honest sender trains the network and publishes it in both formats, with the SHA-256 of each
file. Everything else below is made from these two.
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

*Code.* A `Lambda` layer keeps a Python function, and Keras stores its bytecode in the file. This
function creates the marker file and passes its input on: the network answers as before. A real one
would look as innocent and do anything that the reader's account may do. It runs when the model is
built, before the first prediction: Keras calls it to learn the shape of its output. It goes into a
`.keras` and into an `.h5`, the older format of whole models.

*Accidents.* A download that stopped half-way, and one changed bit, in either format.

*Bombs.* An array that declares a huge shape and stores nothing, in a file of some 15 kB.

*Pointing elsewhere.* HDF5 knows three ways to take an array from another file: an external link,
external storage and a virtual dataset. A stranger who gets your machine to load such a file and
then gets the model back, as in a shared training or a service, has your file in its weights.

*Another network.* One with a layer more, one of another width, and one of just the announced shape
whose last layer has its signs turned, so that it says ill where the honest one says healthy.
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

`try_to` orders one attempt from the other process and judges the answer; a copy in which foreign
code ran is trusted no further and ended. *Refused* is an exception, but one about memory that could
not be had is a bomb that went off and was contained. No exception and the announced weights:
*unharmed*. No exception and other weights: *wrong*, and nobody is told. `verify` loads nothing; it
is wrong if it passes a file whose weights are not the announced ones. A marker that lies there
afterwards outweighs everything else.

The settings for the other process keep NumPy and the memory allocator from reserving addresses for
each core, which would use up the limit on a large machine, and leave a GPU alone.

Keras wraps most errors of `load_weights`: the first line says only that an object could not be
loaded, and the next one why. The table shows the class of the exception and the line that says why;
`result.json` keeps both lines. One of the messages misleads: that a file cut in half was "not
found" means that it is not a complete archive.
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

A line for each file, a column for each way; a field is empty where `load_model` would be asked for
a file of weights. Blue and green are good ends: an error, or the announced weights. Orange is the
network that answers wrongly and says nothing. Only one column shows red, and it takes a word that
somebody has to type. The black field is an attempt that did not get its memory. Without the limit
the file of 15 kB is refused as well, for its shape, but only when the array is there and fills the
memory.

Green in the lines of the Lambda layer means that the code was left where it is: `load_weights` and
`load_weights_strict` take the numbers out of a whole model and do not look at its recipe.

`verify` has orange fields because it answers another question than one may think. It says that a
file is whole, and a file for another network is that. Only with a sum does it know what it should
be. The last column is blue wherever a file is not the one that was announced. `load_weights_strict`
without the sum has two orange fields: a changed bit and turned signs leave name, shape and type of
every array as they were. No program can tell such weights from those of a training that went
differently; only who made them can.

A `.keras` notices the changed bit, thanks to the CRC-32 of its archive. That is no protection from
a person: who changes the weights on purpose computes the CRC-32 anew.
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
figure.legend(loc="outside lower center", ncols=2)
figure.savefig(OUT / "outcomes.png", dpi=150)

# %% [markdown]
"""
## What the library underneath does

That Keras refuses the three pointers is a decision of Keras, and a young one. h5py follows each of
them and says nothing: the numbers below come from the private files. So whatever else you open a
stranger's HDF5 file with, a viewer or a script of your own, asks for the same care.

h5py brings its own copy of HDF5, a library in C. The version printed here is the one that reads
your files, whatever else is installed. Up to HDF5 1.14.3 there are dozens of overflows that a
crafted file can set off (CVE-2024-32605 to 32624, CVE-2024-29157 to 29166), and in 1.14.6 and
before there are more (among them CVE-2025-2153, CVE-2025-2310, CVE-2025-6269 and CVE-2025-44905).
Updating h5py is what updates it; look at this number afterwards, not at that of h5py. It is not
always in your hands: TensorFlow 2.21 asks for an h5py below 3.15, and so gets HDF5 1.14.6, while
h5py 3.16.0 brings HDF5 2.0.0. What remains is to let no file get that far that is not the announced
one.
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

1. *Your own code builds the network.* Then the recipe in a whole model is not needed, and no flaw
   in how Keras reads recipes concerns you; most of its advisories are about that. Several of them
   got past `safe_mode` (CVE-2025-1550, CVE-2025-8747, CVE-2025-9905 for `.h5`, CVE-2025-9906): what
   it refuses today it did not refuse always.
2. *Weights only.* Those advisories that do concern a file of weights: shapes that fill the memory
   (CVE-2026-0897, fixed in 3.12.3 and 3.15.0; just below 4 GiB they still do), external storage
   that reads your files (CVE-2026-1669), virtual datasets that do the same (CVE-2026-12480), and,
   without a number, links (3.12.4 and 3.15.1).
3. *A SHA-256 that came by another way than the file*: from the sender's own site, in a signed
   message, by telephone. A sum that lies beside the file proves that the file arrived whole. Who
   can replace the file can replace that sum, too, so it says nothing about who made it; for that
   someone whom you know must sign it. Compare before opening: then neither Keras nor HDF5 gets to
   see what is not the announced file. And the sum tells that it is that file, not that it is good.
   `sha256sum` or two lines of Python compute it; `verify` looks for it in a file beside the
   checkpoint, in the format that `sha256sum` writes, and puts none there.
4. *Load strictly.* `load_weights` is content if it finds what it looks for. Ask also for what is
   left over, in file and network.
5. *Pin Keras*, at 3.15.1 or later, by a lock file with hashes as in this repository, and have it
   audited: `make audit` asks whether there are advisories about what is pinned here. An unpinned
   Keras is another one on each machine, and a pinned one grows old.
6. *Open it where little can be lost* until it has proved itself: with limits as here, better as a
   user without rights, in a container without a network.
"""

# %%
sums = {name: hashlib.sha256((OUT / name).read_bytes()).hexdigest() for name in CASES}
recognised = [name for name, digest in sums.items() if digest in published.values()]
print("SHA-256, before anything is opened, recognises:", ", ".join(recognised))

# %% [markdown]
"""
## Check

Foreign code ran where `safe_mode` was off, and nowhere else; no marker is left. No process died.
Whatever was loaded without a word and is not what was announced, is on this list. Every honest file
was loaded by every way that takes it, and with the sender's sum no other. The messages of the
refusals are those that Keras is known for: if a new version words them differently, or refuses
less, this is where it shows.
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

Written last: where `result.json` exists, everything above has run and held. `make beyond` collects
these files into one table, and runs a script again only if its file is missing or out of date.
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
