# %% [markdown]
"""
# 09 · Weights only, or the whole model

After this lesson you can choose between a whole model, weights alone, and weights with the
structure in a JSON file, because you have seen what each file holds. For most models the choice
matters little. It matters for a layer that has learnt a vocabulary: weights with JSON lose it
without a warning, and so does the old `.h5` format.

- Run:    `python 09_weights_or_whole_model.py` (in practice, 25 minutes to read)
- Reads:  `data/auto-mpg.csv`
- Writes: `out/09_weights_or_whole_model/`: `.keras`, `.weights.h5`, `.h5` and `.json` files, on
  TensorFlow a folder `served`, `what_the_files_hold.png`, `result.json`
- From:   Jason Brownlee's post (Machine Learning Mastery) and the Towards Data Science article on
  overtraining
- Next:   `10_custom_callback.py` writes a callback that Keras lacks
"""

# %% [markdown]
"""
## Settings and seed

A few epochs are enough, since it does not matter here how good the networks are. But they must be
trained: an unused optimizer has no state to lose. The same network is saved in three ways, so there
is one training and one seed. A second network reads the names of the cars; it is there for its
vocabulary.
"""

# %%
import json
import math
import pathlib
import shutil
import statistics
import sys
import timeit
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
such as "ford pinto". The text layer below learns to tell the origin (1 USA, 2 Europe, 3 Japan) from
it. The names are as someone once typed them: "toyouta", "vw".
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

The network of script 08 has 68,097 weights and biases: 7 × 256 + 256 in the first layer, 256 × 256
+ 256 in the second, 256 + 1 in the last. Each is a number of four bytes. The optimizer Adam keeps
two more numbers for each of them.
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

A list of callbacks may hold several checkpoints. One writes the whole model here, the other the
weights. Both names are fixed, so the last epoch remains. The JSON holds no weights and does not
change during training, so `to_json` writes it once.
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

A `.keras` file is a zip archive of three files: which Keras wrote it and when, the structure as
JSON, and the weights as HDF5, a format for named arrays. A `.weights.h5` file is that third file
alone. In both, the optimizer's variables are stored next to the weights of the layers:
`save_weights_only` leaves out the structure, not the optimizer. The Towards
Data Science article expects that it saves space. It saves only the few kilobytes of the structure.

In the printed list, `layers/dense/vars/0` are the weights of the first layer and `vars/1` its
biases. The optimizer's variable 0 counts the steps, and variable 1 is the learning rate. Then come
two arrays for each array of the layers: running averages of the gradients and of their squares. (A
gradient says for each weight in which direction the loss falls.) Without these averages, further
training begins with steps as uncertain as the first. The list is sorted as text, 10 before 2.
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
numbers = {name: math.prod(shape) for name, shape in inside_weights.items()}
optimizer_numbers = sum(numbers[name] for name in numbers if name.startswith("optimizer"))
layer_numbers = sum(numbers.values()) - optimizer_numbers

# %% [markdown]
"""
## What it takes to use them again

- The *whole model* needs only `load_model`.
- The *weights* need the code that built the network. To go on training they also need `compile` and
  `optimizer.build`; without `build`, the optimizer's part of the file is passed over. Here
  `clone_model`, which copies the structure and draws new weights, stands for your code.
- *Weights and JSON* need `model_from_json` and `load_weights`. The JSON includes the settings of
  `compile`, so the optimizer comes back as well.

Which one to choose?

- Take the *whole model* for most purposes: one file and nothing to remember. Load only files that
  you trust, because `load_model` builds whatever the structure in the file asks for.
- Take *weights alone* if you keep the code carefully. A change in the code that keeps the shapes,
  such as another activation, is not noticed.
- Take *weights and JSON* if another program reads the structure, or if you want to compare it
  yourself. Keep both files in one folder.

Load the file once before you rely on it, best after the first epoch. The printed times are medians
of five loads. At this size they show the cost of opening files and building layers. With large
networks the optimizer's share of the file decides (script 05 counts the bytes), and it is the same
in all three.
"""


# %%
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


ways = {
    "whole model": ([whole_file], lambda: keras.models.load_model(whole_file), "Keras"),
    "weights only": ([weights_file], load_weights_into_code, "your code"),
    "weights and JSON": ([weights_file, json_file], load_weights_into_json, "Keras"),
}
sizes = {way: sum(file.stat().st_size for file in files) for way, (files, _, _) in ways.items()}
loaded = {way: load() for way, (_, load, _) in ways.items()}
print(f"\n{'':17}{'bytes':>9}{'ms to load':>12}  to load it you need")
for way, (_, load, needs) in ways.items():
    load_time = 1000 * statistics.median(timeit.repeat(load, number=1, repeat=5))
    print(f"{way:17}{sizes[way]:9,}{load_time:12.0f}  {needs}")

# %% [markdown]
"""
## Train: tell a car's origin from its name

`TextVectorization` learns the words that occur in the names (`adapt`) and turns each name into ones
and zeros, one for each word. "ford pinto" becomes a row of zeros with two ones, in the columns of
`ford` and `pinto`. Words it has never read count as unknown, in a column of its own that it calls
`[UNK]`. A small network learns from these rows which continent a car is from.

A *backend* is the library that computes for Keras. The layer works with strings, and of the two
backends here only TensorFlow knows strings. So the names are turned into numbers first, and the
network is trained on the numbers, on every backend alike. Afterwards the layer and the network are
joined into the model that you would hand on: name in, origin out. The article's idea is that the
preparation of the words becomes a part of the model. Then the user of the file need not know how
words became numbers, provided that the file has kept them.
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

A vocabulary is not a weight. It is counted, not trained, and consists of strings. In a `.keras`
file it is an *asset*, a text file inside the archive. A weights file has no place for it. The old
`.h5` format has none either. Keras refused to save such a layer as `.h5` when the article was
written. Today it saves the layer and silently drops the vocabulary. The file loads without an
error, but the layer knows no word, and the first name you put to it raises an error.

One line notices this. Where you load the model, compare the vocabulary of its layer with the one
that was saved. If you do not have that, look whether it has words at all: an empty one is
`["[UNK]"]`, or `["", "[UNK]"]` for the default `output_mode`. If you must use weights and JSON,
write `TextVectorization(output_mode="multi_hot", vocabulary=vocabulary)` instead of calling
`adapt`. Then the words are stored in the JSON.
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
vocabulary_kept = {way: vocabulary_of(each) == vocabulary for way, each in text_models.items()}
print(f"\nThe vocabulary that was saved: {len(vocabulary)} words")
for way, text_model in text_models.items():
    verdict = "kept" if vocabulary_kept[way] else "LOST, and loading said nothing of it"
    print(f"{way:18}{len(vocabulary_of(text_model)):4d} words: {verdict}")

# %% [markdown]
"""
## Export for serving

The article saves under a name without an ending, and Keras wrote a folder then. Today Keras refuses
such a name, and `model.export` writes the folder. It is made for serving, which means answering
requests. It holds the vocabulary and a function named `serve` that answers. `load_model` cannot
open it; `TFSMLayer` turns it into a layer. This part needs TensorFlow, because JAX knows no
strings. On JAX the script says so and goes on.
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
    print("\nNo export, and no answer to a name: run with KERAS_BACKEND=tensorflow to see both.")
for car, answer in zip(some_cars, expected_answers, strict=True):
    print(f"{names[car]:32}{ORIGINS[int(answer.argmax())]:8} (in truth {ORIGINS[origins[car]]})")

# %% [markdown]
"""
## Look: what the files hold

On the left are the three ways to save one network. Two thirds of each are the optimizer's, and the
structure is too small to matter. On the right are the three loaded text models and how many words
each has left. All three loaded without an error; only their vocabularies tell them apart.
"""

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4.5), layout="constrained")
ways_to_save = [way.replace(" ", "\n") for way in sizes]
kilobytes = np.array(list(sizes.values())) / 1000
layers_part, optimizer_part = 4 * layer_numbers / 1000, 4 * optimizer_numbers / 1000
left.bar(ways_to_save, kilobytes, color="#999999", label="structure, file format")
left.bar(ways_to_save, layers_part + optimizer_part, color="#E69F00", label="optimizer")
left.bar(ways_to_save, layers_part, color="#0072B2", label="layers")
left.set(title="One network, three ways", ylabel="size (kB)", ylim=(0, 1.35 * max(kilobytes)))
left.legend(loc="upper right")
ways_to_load = [way.replace(", ", "\nand ") for way in text_models]
words_left = [len(vocabulary_of(text_model)) for text_model in text_models.values()]
right.bar_label(right.bar(ways_to_load, words_left, color="#0072B2"))
right.axhline(len(vocabulary), color="#D55E00", linestyle=":", label="vocabulary that was saved")
right.set(title="A text layer after loading", ylabel="words", ylim=(0, 1.35 * len(vocabulary)))
right.legend(loc="upper right")
figure.savefig(OUT / "what_the_files_hold.png", dpi=150)

# %% [markdown]
"""
## Check

All three ways give back the same model, bit for bit, with its optimizer and its count of batches.
The settings of `compile` are in the `.keras` file and in the JSON. Of the text models only the
`.keras` file has kept its vocabulary, every word of it; the other two have the right weights and
cannot answer. On TensorFlow, the loaded and the exported model answer like the trained one.
"""


# %%
def all_numbers(any_model):
    variables = any_model.weights + any_model.optimizer.variables
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


for rebuilt in loaded.values():
    for trained, restored in zip(all_numbers(model), all_numbers(rebuilt), strict=True):
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

`make all` puts these numbers into its table.
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
