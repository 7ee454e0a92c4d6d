# %% [markdown]
"""
# 09 · Weights only, or the whole model

The scripts so far have saved whole models and weights alone. What is in these files? Here the same
network is kept in three ways: as a whole model, as weights, and as weights with the structure in a
JSON file beside them. Then comes a kind of layer for which the choice matters: one that has learnt
a vocabulary. Weights and JSON lose it without a warning, and so does the old `.h5` format; document
5 met the time when Keras refused to save it.

- Run:    `python 09_weights_or_whole_model.py`
- Reads:  `data/auto-mpg.csv`
- Writes: `out/09_weights_or_whole_model/`: `.keras`, `.weights.h5`, `.h5` and `.json` files, on
  TensorFlow a folder `served`, `learning_curve.png`, `result.json`
- From:   documents 2 and 5
- Next:   `10_custom_callback.py` writes a callback that Keras lacks
"""

# %% [markdown]
"""
## Settings and seed

How well the networks do is not the question here; a few epochs are enough. They must be trained all
the same: an optimizer that has not worked yet has nothing to lose. Three ways of keeping the same
network can be compared only if it is the same network, so there is one training, and one seed. The
second network, of the car names, is there for its vocabulary.
"""

# %%
import json
import math
import pathlib
import shutil
import statistics
import sys
import time
import zipfile

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np

SEED = 7
EPOCHS = 10
BATCH_SIZE = 16
LEARNING_RATE = 0.002
TRAINING_CARS = 235
VALIDATION_CARS = 78
ORIGINS = ["USA", "Europe", "Japan"]
OUT = pathlib.Path("out/09_weights_or_whole_model")

keras.utils.set_random_seed(SEED)

# %% [markdown]
"""
## Load the data: Auto MPG

392 cars of the years 1970 to 1982: cylinders, displacement, horsepower, weight, acceleration, year
and origin, and the miles they run on a gallon of petrol. Column 7, left out of `x`, is the name,
such as "ford pinto"; the text layer below will need it, and of the numbers only the origin, 1 for
the USA, 2 for Europe and 3 for Japan. The names are as someone once typed them: "toyouta", "vw".
"""

# %%
table = np.loadtxt("data/auto-mpg.csv", delimiter=",", dtype=str)
assert table.shape == (392, 9), f"data/auto-mpg.csv has shape {table.shape}"

x, y = table[:, :7].astype("float32"), table[:, 8].astype("float32")
order = np.random.default_rng(0).permutation(len(table))
training, validation, test = np.split(order, [TRAINING_CARS, TRAINING_CARS + VALIDATION_CARS])
x = (x - x[training].mean(axis=0)) / x[training].std(axis=0)
batches_per_epoch = math.ceil(TRAINING_CARS / BATCH_SIZE)

# %% [markdown]
"""
## Build the model: Auto MPG

The network of script 08: 68,097 numbers to be learnt: 7 × 256 weights and 256 biases in the first
layer, 256 × 256 and 256 in the second, 256 and 1 in the last, each a number of four bytes. Adam
keeps two more for each of them.
"""

# %%
model = keras.Sequential(
    [
        keras.Input(shape=(7,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(
    loss="mean_squared_error",
    optimizer=keras.optimizers.Adam(learning_rate=LEARNING_RATE),
    steps_per_execution=batches_per_epoch,
)

# %% [markdown]
"""
## Train: with two checkpoints

A list of callbacks may hold more than one checkpoint. One writes the whole model, the other the
weights; both names are fixed, so that the last epoch remains. The JSON holds no weights and does
not change with the epochs; it is written once, by `to_json`.
"""

# %%
try:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
except OSError as error:
    sys.exit(f"{OUT} cannot be written to ({error}). Remove what stands in the way.")

whole_file, weights_file = OUT / "model.keras", OUT / "model.weights.h5"
json_file = OUT / "model.json"
model.fit(
    x[training],
    y[training],
    validation_data=(x[validation], y[validation]),
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    callbacks=[
        keras.callbacks.ModelCheckpoint(whole_file),
        keras.callbacks.ModelCheckpoint(weights_file, save_weights_only=True),
    ],
    verbose=0,
)
json_file.write_text(model.to_json())

# %% [markdown]
"""
## What is in the files

A `.keras` file is a zip archive of three: which Keras wrote it and when, the structure as JSON, and
the weights as HDF5. A `.weights.h5` file is that last one alone. In both, the optimizer's variables
stand next to the layers' weights: `save_weights_only` leaves out the structure, not the optimizer.

In the list, `layers/dense/vars/0` are the weights of the first layer and `vars/1` its biases. Of
the optimizer's variables the first counts the steps, the second is the learning rate, and then
follow two for each array of the layers (the list is sorted as text, 10 before 2): Adam's running
averages of the gradients and of their squares. A gradient tells for each weight in which direction
the loss falls; without its averages, further training would begin with steps as uncertain as the
first. Document 5 expects `save_weights_only` to save space; it saves the few kilobytes of the
structure.
"""

# %%
with zipfile.ZipFile(whole_file) as archive:
    inside_whole = {entry.filename: entry.file_size for entry in archive.infolist()}
    whole_structure = json.loads(archive.read("config.json"))
for name, size in inside_whole.items():
    print(f"model.keras: {name:20}{size:10,} bytes")

inside_weights = {}


def note_array(name, item):
    if isinstance(item, h5py.Dataset):
        inside_weights[name] = item.shape


with h5py.File(weights_file) as file:
    file.visititems(note_array)
for name, shape in inside_weights.items():
    print(f"model.weights.h5: {name:28}{shape}")
optimizer_numbers = sum(
    math.prod(shape) for name, shape in inside_weights.items() if name.startswith("optimizer")
)
layer_numbers = sum(math.prod(shape) for shape in inside_weights.values()) - optimizer_numbers

# %% [markdown]
"""
## What it takes to use them again

The whole model asks for nothing: `load_model`. The weights ask for the code that built the network,
and to go on training also for `compile` and `optimizer.build`; without the latter the optimizer's
part of the file is passed over. The JSON replaces the code, and since it holds the settings of
`compile`, too, the optimizer comes back as well. Here `clone_model`, which copies the structure and
draws new weights, stands for your code.

Which one to choose?

- The *whole model* for most purposes: one file, nothing to remember. Think of who made it, though:
  `load_model` builds whatever the structure inside asks for, so load only files that you trust.
- *Weights alone* where the code is kept with care anyway. They need the same structure in the same
  order, and a change in the code that keeps the shapes, such as another activation, is not noticed.
- *Weights and JSON* where another program reads the structure, or where you want to read and
  compare it yourself. Two files that belong together will be separated some day: keep them in one
  folder.

Whichever it is, load it once before you rely on it, as early as the first epoch has been saved.

The times are medians of five, in milliseconds, on whatever machine this runs. At this size they are
those of opening files and building layers, not of moving numbers; they tell that none of the three
is a burden, and no more. With large networks the optimizer's share decides (script 04 counts the
bytes), and it is the same in all three.
"""


# %%
def save_weights_and_json():
    model.save_weights(scratch_weights)
    scratch_json.write_text(model.to_json())


def load_whole():
    return keras.models.load_model(whole_file)


def load_weights_into_code():
    rebuilt = keras.models.clone_model(model)
    rebuilt.compile(loss="mean_squared_error", optimizer="adam")
    rebuilt.optimizer.build(rebuilt.trainable_variables)
    rebuilt.load_weights(weights_file)
    return rebuilt


def load_weights_into_json():
    rebuilt = keras.models.model_from_json(json_file.read_text())
    rebuilt.load_weights(weights_file)
    return rebuilt


def median_milliseconds(action):
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        action()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


scratch_whole, scratch_weights = OUT / "scratch.keras", OUT / "scratch.weights.h5"
scratch_json = OUT / "scratch.json"
save_whole = median_milliseconds(lambda: model.save(scratch_whole))
save_weights = median_milliseconds(lambda: model.save_weights(scratch_weights))
save_both = median_milliseconds(save_weights_and_json)
for scratch in (scratch_whole, scratch_weights, scratch_json):
    scratch.unlink()
ways = {
    "whole model": ([whole_file], save_whole, load_whole, "Keras"),
    "weights only": ([weights_file], save_weights, load_weights_into_code, "your code"),
    "weights and JSON": ([weights_file, json_file], save_both, load_weights_into_json, "Keras"),
}
sizes = {way: sum(file.stat().st_size for file in files) for way, (files, *_) in ways.items()}
loaded = {way: load() for way, (_, _, load, _) in ways.items()}
print(f"\n{'':17}{'bytes':>9}{'ms to save':>12}{'ms to load':>12}  to load it you need")
for way, (files, save_time, load, needs) in ways.items():
    load_time = median_milliseconds(load)
    print(f"{way:17}{sizes[way]:9,}{save_time:12.0f}{load_time:12.0f}  {needs}")

# %% [markdown]
"""
## Train: tell a car's origin from its name

Now the layer with a vocabulary. `TextVectorization` learns the words that occur in the names
(`adapt`) and turns a name into ones and zeros, one for each word: is it there? A small network
learns from these which continent the car is from. "ford pinto" becomes a row of zeros with two
ones, in the columns of `ford` and `pinto`. The words are learnt from the training names alone. What
the layer has never read counts as unknown, in a column of its own that it calls `[UNK]`.

The layer works with strings, which JAX does not know; there it runs outside a compiled model only,
by way of TensorFlow, which must be installed. So the names are turned into numbers first, and the
network is trained on them, on every backend alike. Afterwards the two are put together to the model
that one would hand on: name in, origin out. That is document 5's idea of making the words'
preparation a part of the model: whoever gets the file need not know how the words were made into
numbers, if the file has kept them.
"""

# %%
names, origins = table[:, 7], table[:, 6].astype(int) - 1
vectorizer = keras.layers.TextVectorization(output_mode="multi_hot")
vectorizer.adapt(names[training])
words = keras.ops.convert_to_numpy(vectorizer(names)).astype("float32")
vocabulary = vectorizer.get_vocabulary()

classifier = keras.Sequential(
    [keras.Input(shape=(len(vocabulary),)), keras.layers.Dense(3, activation="softmax")]
)
classifier.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.Adam(learning_rate=0.05),
    metrics=["accuracy"],
)
classifier.fit(words[training], origins[training], epochs=EPOCHS, verbose=0)
scores = classifier.evaluate(words[test], origins[test], verbose=0, return_dict=True)
print(f"\nOrigin from the name: {scores['accuracy']:.3f} of the test cars are right,")
print(f"{np.mean(origins[test] == 0):.3f} would be if the answer were always {ORIGINS[0]}")

telling_origin = keras.Sequential(
    [keras.Input(shape=(), dtype="string"), vectorizer, *classifier.layers]
)

# %% [markdown]
"""
## Who keeps the vocabulary

A vocabulary is not a weight. It is not learnt by going downhill but by counting, and it consists of
strings, for which an array of numbers has no place. In a `.keras` file it is an *asset*, a text
file of its own in the archive. The weights file has no place for it. Nor has the old `.h5` format
for whole models, document 5's `.hdf5`: the Keras of that time refused to save such a layer; today's
saves it, calls the format old, and says nothing of the vocabulary. A mistake that is refused costs
a minute; this one is noticed when the model is needed. The file loads without complaint, but the
layer knows no word, and the first name put to it raises an error.

One line notices: compare the vocabulary of the loaded layer with the one that was saved, or, where
that is not at hand, with `["[UNK]"]`, a layer that knows nothing but the unknown. Put this line
where the model is loaded, not where it is saved. The remedy, if it must be weights and JSON:
`TextVectorization(vocabulary=words)` in place of `adapt` puts the words into the JSON.
"""


# %%
def vocabulary_of(text_model):
    return text_model.layers[0].get_vocabulary()


text_whole, text_legacy = OUT / "origin.keras", OUT / "origin.h5"
text_weights, text_json = OUT / "origin.weights.h5", OUT / "origin.json"
telling_origin.save(text_whole)
telling_origin.save(text_legacy)
telling_origin.save_weights(text_weights)
text_json.write_text(telling_origin.to_json())

from_json = keras.models.model_from_json(text_json.read_text())
from_json.load_weights(text_weights)
text_models = {
    ".keras": keras.models.load_model(text_whole),
    ".h5": keras.models.load_model(text_legacy),
    ".weights.h5, JSON": from_json,
}
vocabulary_kept = {
    way: vocabulary_of(text_model) == vocabulary for way, text_model in text_models.items()
}
print(f"\nThe vocabulary that was saved: {len(vocabulary)} words")
for way, text_model in text_models.items():
    verdict = "kept" if vocabulary_kept[way] else "LOST, and loading said nothing of it"
    print(f"{way:18}{len(vocabulary_of(text_model)):4d} words: {verdict}")

# %% [markdown]
"""
## Export for serving

Document 5 gets by without an ending: the old Keras then wrote a folder. Today a name without an
ending is refused, and `model.export` writes such a folder. It is made for serving, that is for
answering requests: the vocabulary is in it, and a function named `serve` that answers; `load_model`
cannot open it, `TFSMLayer` makes a layer of it. Both this and answering with the whole model at
once need a backend that knows strings. Where it does not run, the script says so and goes on; what
the files have kept of the vocabulary is checked on every backend.
"""

# %%
some_cars = np.concatenate([test[origins[test] == origin][:2] for origin in range(3)])
expected_answers = keras.ops.convert_to_numpy(classifier(words[some_cars]))
answers = {}
if keras.backend.backend() == "tensorflow":
    telling_origin.export(OUT / "served", verbose=False)
    served = keras.layers.TFSMLayer(OUT / "served", call_endpoint="serve")
    name_tensor = keras.ops.convert_to_tensor(names[some_cars])
    answers["loaded"] = keras.ops.convert_to_numpy(text_models[".keras"](name_tensor))
    answers["served"] = keras.ops.convert_to_numpy(served(name_tensor))
else:
    print(f"\nNo export and no answer from the name itself: {keras.backend.backend()} knows no")
    print("strings. Both run with KERAS_BACKEND=tensorflow.")
for car, answer in zip(some_cars, expected_answers, strict=True):
    print(f"{names[car]:32}{ORIGINS[int(answer.argmax())]:8} (in truth {ORIGINS[origins[car]]})")

# %% [markdown]
"""
## Look: what the files hold

The bars on the left are three files, or pairs of files, of one network; those on the right are the
ways of the text model. On the left, two thirds of every file are the optimizer's, and the structure
is hardly to be seen: leaving it out saves nothing. On the right, the words that are left after
loading. All three models load without an error; only the height of the bars tells them apart.
"""

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4.5), layout="constrained")
layer_kilobytes, optimizer_kilobytes = 4 * layer_numbers / 1000, 4 * optimizer_numbers / 1000
ways_to_save = list(sizes)
rest = [size / 1000 - layer_kilobytes - optimizer_kilobytes for size in sizes.values()]
left.bar(ways_to_save, layer_kilobytes, color="#0072B2", label="layers")
left.bar(
    ways_to_save, optimizer_kilobytes, bottom=layer_kilobytes, color="#E69F00", label="optimizer"
)
all_numbers = layer_kilobytes + optimizer_kilobytes
left.bar(ways_to_save, rest, bottom=all_numbers, color="#999999", label="structure, file format")
left.set_title("The same network, three ways")
left.set(ylabel="size (kB)", ylim=(0, 1.35 * all_numbers))
left.set_xticks(range(3), ["whole\nmodel", "weights\nonly", "weights\nand JSON"])
left.legend(loc="upper right")
words_left = [len(vocabulary_of(text_model)) for text_model in text_models.values()]
right.bar_label(right.bar(range(3), words_left, color="#0072B2"))
right.axhline(len(vocabulary), color="#D55E00", linestyle=":", label="vocabulary that was saved")
right.set_title("A text layer after loading")
right.set(ylabel="words", ylim=(0, 1.35 * len(vocabulary)))
right.set_xticks(range(3), [".keras", ".h5", ".weights.h5\nand JSON"])
right.legend(loc="upper right")
figure.savefig(OUT / "learning_curve.png", dpi=150)

# %% [markdown]
"""
## Check

All three ways give back the same model, bit for bit, optimizer included, which has counted every
batch. The settings of `compile` are in the `.keras` file and in the JSON. Of the text models only
the `.keras` file has kept its vocabulary, to the last word; with the other two the weights are
right, and the model can answer nothing. On TensorFlow, the loaded and the exported model answer as
the one that was trained.
"""

# %%
for rebuilt in loaded.values():
    pairs = zip(
        model.weights + model.optimizer.variables,
        rebuilt.weights + rebuilt.optimizer.variables,
        strict=True,
    )
    for trained, restored in pairs:
        trained, restored = map(keras.ops.convert_to_numpy, (trained, restored))
        assert np.array_equal(trained, restored)
    assert int(rebuilt.optimizer.iterations) == EPOCHS * batches_per_epoch
assert sorted(inside_whole) == ["config.json", "metadata.json", "model.weights.h5"]
assert whole_structure["compile_config"] == json.loads(json_file.read_text())["compile_config"]
assert layer_numbers == model.count_params() == 68_097
assert optimizer_numbers == 2 * layer_numbers + 2  # and a count and a learning rate
assert sizes["whole model"] - sizes["weights only"] < 0.01 * sizes["whole model"]
assert vocabulary_kept == {".keras": True, ".h5": False, ".weights.h5, JSON": False}
assert vocabulary_of(text_models[".h5"]) == vocabulary_of(from_json) == ["[UNK]"]
for text_model in text_models.values():
    for kept, saved in zip(text_model.get_weights(), telling_origin.get_weights(), strict=True):
        assert np.array_equal(kept, saved)
assert all(np.allclose(answer, expected_answers, atol=1e-6) for answer in answers.values())

# %% [markdown]
"""
## Result

Written last: where `result.json` exists, everything above has run and held. `make all` collects
these files into one table, and runs a script again only if its file is missing or out of date.
"""

# %%
result = {
    "script": OUT.name,
    "quantity": "test accuracy, origin from the name",
    "documented": None,
    "reproduced": scores["accuracy"],
    "sizes": sizes,
    "words": len(vocabulary),
    "vocabulary_kept": vocabulary_kept,
    "files": sorted(
        str(p.relative_to(OUT)) for p in OUT.rglob("*") if p.suffix != ".png" and p.is_file()
    ),
    "keras": keras.version(),
    "backend": keras.backend.backend(),
}
(OUT / "result.json").write_text(json.dumps(result, indent=1))
