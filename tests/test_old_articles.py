"""docs/OLD_ARTICLES.md: every old line answers what the page says, every new line runs."""

import ast
import re
import sys
import traceback
import types
import warnings

import keras
import numpy
import old_checkpoint
import old_script
import pytest
import tf_keras
from conftest import BACKEND, REPOSITORY

PAGE = (REPOSITORY / "docs" / "OLD_ARTICLES.md").read_text()
CELL = re.compile(r"(?:``(.+?)``|`([^`]+)`)")
# What each tutorial's table must deal with, row by row: a row that is taken out is missed.
ROWS = {
    "Deep Learning With Python, chapter 14": [
        "random.seed",
        "init=",
        "input_dim",
        "val_acc=.2f.hdf5",
        "weights.best.hdf5",
    ]
    + ["monitor='val_acc'", "nb_epoch", "metrics_names[1]", " import", ") model.add", "# Compile"],
    "Jason Brownlee's post, Machine Learning Mastery": [
        "input_dim",
        "'uniform'",
        "{val_acc:.2f}.hdf5",
        "{val_acc:.2f}.keras",
        "{val_acc=.2f}",
    ]
    + ["to_yaml", "model_from_yaml", "metrics_names[1]"],
    "Andrey Sozykin's article (in Russian)": [
        "input_dim",
        "{val_acc:.4f}.hdf5",
        "mnist-dense.hdf5",
        "monitor='val_acc'",
        "сheckpoint",
    ],
    "Aveek Saha's article, dev.to": [
        "input_dim",
        "{val_acc:.3f}.hdf5",
        "monitor='acc'",
        "save_weights_only",
        "period",
    ]
    + ["google.colab", "# Create", "My Drive/model/weights-15-0.815.hdf5", ".fit("],
    "The article in Towards Data Science": [
        "’val_loss’",
        ".hdf5",
        "<other",
        "epochs callbacks",
        'ModelCheckpoint("my_best_model")',
    ]
    + ["model.save(", "save_weights_only", "load_model(filepath)", "del keras", "text_model"],
}
GENERAL = "Keras in general"
# What the table about Keras in general must deal with: (old, in today's line).
IN_GENERAL = {
    "keras.layers.core": "from keras.layers import",
    "keras.layers.normalization": "from keras.layers import",
    "import np_utils": "to_categorical",
    "keras.utils.np_utils": "to_categorical",
    "visualize_util": "plot_model",
    "ImageDataGenerator": "tensorflow.keras.preprocessing.image",
    "keras.preprocessing.text": "tensorflow.keras.preprocessing.text",
    "keras.engine": "keras.layers",
    "tensorflow.python.keras": "tensorflow.keras",
    "multi_gpu_model": "model",
    "maxnorm": "MaxNorm",
    "import adam": "Adam",
    "import merge": "concatenate",
    "import _Merge": "import Layer",
    "scikit_learn": "SKLearnClassifier",
    "W_regularizer": "kernel_regularizer",
    "Dense(4, 'uniform')": 'kernel_initializer="uniform"',
    "Reshape(2, 4)": "Reshape((2, 4))",
    "border_mode": "padding",
    "Conv2D(8, 3, 3)": "(3, 3)",
    "Conv2D(8, 3, 3, strides": "(3, 3), strides",
    "Conv2D(8, 3, 3), Conv2D": "(3, 3)), Conv2D",
    "nb_filter": "kernel_size",
    "Dropout(p=": "rate",
    "mode=0": "BatchNormalization()",
    "BatchNormalization(1e-5)": "epsilon=1e-5",
    "LSTM(4).rec": "old_checkpoint.hard_sigmoid",
    "activations.hard_sigmoid": "old_checkpoint.hard_sigmoid",
    "GRU(4)": "reset_after=False",
    "activity_regularizer": "4 * 0.01",
    "LeakyReLU(alpha": "negative_slope",
    "batch_input_shape": "batch_shape",
    "model.reset_states()": "layer.reset_state()",
    "input_length=5)])": "keras.Input((5, 1))",
    "Embedding": "keras.Input((5,))",
    "input=a": "inputs=a, outputs=b",
    "Dense(1)]).input": ".inputs[0]",
    "layers[0].input": "layers[0].output",
    ".output_shape": ".output.shape",
    "_keras_shape": "a.shape",
    "get_layer('dense_1')": 'name="first"',
    ".W": "kernel",
    "inner_activation": "recurrent_activation",
    "lr=0.0001": "learning_rate=0.0001",
    "decay=1e-4": "InverseTimeDecay(0.1, 1, 1e-4)",
    "Adadelta()": "learning_rate=1.0",
    "Adagrad(0.01)": "initial_accumulator_value=0.0",
    "clipnorm": "global_clipnorm=1.0",
    "optimizer.lr": "optimizer.learning_rate",
    "optimizer.lr = 0.5": "learning_rate = 0.5",
    "optimizer.get_weights": "optimizer.variables",
    "minimize": "apply_gradients",
    "experimental.CosineDecay": "schedules.CosineDecay",
    "set_policy": "set_global_policy",
    "kullback": "kl_divergence",
    "tf.losses": "keras.losses.mean",
    "WeightRegularizer": "L1L2",
    "class_mode": "compile",
    "experimental_run_tf_function": "compile",
    "fbeta_score": "FBetaScore",
    '"mse", ["mae"]': 'metrics=["mae"]',
    "Y[:, 0])": "reshape(-1, 1)",
    "two.compile(": '[["mae"], ["mae"]]',
    'sample_weight={"c"': "[Y, Y], sample_weight=[",
    "many.compile(": "binary_accuracy",
    "show_accuracy": 'metrics=["accuracy"]',
    "trainable = False": "trainable = True",
    "reset_metrics": "train_on_batch(X, Y)",
    "model.predict([[": "numpy.array",
    "fit_generator": "model.fit(",
    "evaluate_generator": "model.evaluate(",
    "predict_generator": "model.predict(",
    "samples_per_epoch=8": "steps_per_epoch=8 // 4",
    "nb_val_samples": "validation_steps=8 // 4",
    "workers": "steps_per_epoch=2",
    "max_q_size": "steps_per_epoch=2",
    "params['metrics']": "model.metrics",
    "params['samples']": "len(X)",
    "logs['size']": 'logs["loss"]',
    "seen.append(logs['loss'])": "mean * (batch + 1) - before * batch",
    "batches(), 2, 1": "steps_per_epoch=2, epochs=1",
    "8 / 4": "8 // 4",
    "predict_classes": "> 0.5",
    "predict_proba": "model.predict(",
    "get_session": "model.predict(",
    "tf.Session": "model.predict(",
    "tf.placeholder": "keras.Input",
    "tf.set_random_seed": "keras.utils.set_random_seed",
    "dim=-1": "axis=-1",
    "latest_checkpoint": "getmtime",
    "tf.reduce_mean": "keras.ops.mean",
    ".next()": "next(",
    "['acc']": '["accuracy"]',
    "['mean_absolute_error']": '["mae"]',
    "['lr']": '["learning_rate"]',
    "zip(": "return_dict=True",
    "logs.get('acc')": 'logs.get("accuracy")',
    "validation_data": "model.evaluate(X, Y)",
    "EarlyStopping('f1')": 'mode="max"',
    "image_dim_ordering": "image_data_format",
    "set_image_dim": "set_image_data_format",
    "K.flatten": "keras.ops.reshape",
    "K.mean": "keras.ops.mean",
    "K.function": "keras.Model(a, b)(X)",
    "batch_dot": "keras.layers.dot",
    "set_learning_phase": "training=False",
    "save_weights('model.h5')": "model.weights.h5",
    "expect_partial": 'load_weights("own.weights.h5")',
    "made/model": "os.makedirs",
    "save_format": "net.keras",
    "ReduceLROnPlateau(epsilon": "min_delta",
    "write_grads": "TensorBoard",
    "batch_size=32": "TensorBoard",
    "numpy.float": "float",
    "newshape": "shape=",
    "words.npy": "allow_pickle=True",
    "has_key": "in numbers",
    "print 'done'": "print(",
}
RUN_AS_THEY_ARE = 17
LAYERS = ["Dense", "Conv2D", "Dropout", "BatchNormalization", "LeakyReLU", "LSTM", "Embedding"]
SHORT_NAMES = ["book", "Brownlee", "Sozykin", "Saha", "TDS"]
# Where the code of each tutorial stops first today, as it stands there.
STOPS_FIRST = ["init='uniform'", *3 * ["ModelCheckpoint("], "’"]


def tables() -> list[tuple[str, list[str]]]:
    """(heading, cells) of every row on the page."""
    found, heading = [], ""
    for line in PAGE.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| ---", "| old", "| tutorial")):
            found.append((heading, line.removeprefix("| ").removesuffix(" |").split(" | ")))
    return found


def code_in(cell: str) -> str:
    """The text of the only code span in a cell."""
    ((double, single),) = CELL.findall(cell)
    return double or single


CHANGED = [
    (heading, *cells) for heading, cells in tables() if not heading.startswith("Lines that run")
]
UNCHANGED = [cells for heading, cells in tables() if heading.startswith("Lines that run")]


def network():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What lay in the working directory: whole models of Keras 2 and of today."""
    folder = tmp_path_factory.mktemp("saved")
    model = network()
    model.train_on_batch(numpy.zeros((2, 8)), numpy.zeros((2, 1)))
    for name in ("best.epoch01.keras", "weights-15-0.815.keras"):
        model.save(folder / name)
    layer = tf_keras.layers.Dense(1, activation="sigmoid", input_shape=(8,))
    old = tf_keras.Sequential([layer])
    old.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    old.train_on_batch(numpy.zeros((2, 8)), numpy.zeros((2, 1)))
    for name in ("weights.best.hdf5", "weights-15-0.815.hdf5"):
        old.save(folder / name)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def every_fifth_epoch() -> type:
    """The class that PITFALLS.md gives in place of `period=5`."""
    text = (REPOSITORY / "docs" / "PITFALLS.md").read_text()
    code = re.search(
        r"^class EveryFifthEpoch.*?(?=^\S)",
        text.split("\n### `ModelCheckpoint.__init__")[1],
        re.DOTALL | re.MULTILINE,
    )[0]
    names = {"keras": keras}
    exec(code, names)  # noqa: S102
    return names["EveryFifthEpoch"]


@pytest.fixture
def names(files, tmp_path, monkeypatch):
    """The namespace in which a line runs, with the files around it."""
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    words = keras.layers.TextVectorization()
    words.adapt(["ford pinto", "ford"])
    model = network()
    rows = numpy.random.default_rng(0).random((12, 8), "float32")
    inputs = keras.Input((8,))

    def batches():
        while True:
            yield rows[:4], found["Y"][:4]

    found = {
        **{name: getattr(keras.layers, name) for name in LAYERS},
        "batches": batches,
        "a": inputs,
        "b": keras.layers.Dense(1)(inputs),
        "keras": keras,
        "numpy": numpy,
        "Sequential": keras.Sequential,
        "ModelCheckpoint": keras.callbacks.ModelCheckpoint,
        "load_model": keras.models.load_model,
        "old_checkpoint": old_checkpoint,
        "model": model,
        "classifier": model,
        "text_model": keras.Sequential([keras.Input((), dtype="string"), words]),
        "X": rows,
        "Y": (rows[:, :1] > 0.5).astype("float32"),
        "epochs": 1,
        "EveryFifthEpoch": every_fifth_epoch(),
    }

    def weights_after(line):
        exec(line, found)  # noqa: S102
        layer = keras.layers.Dense(2)
        layer.build((None, 2))
        return keras.ops.convert_to_numpy(layer.kernel).tolist()

    found["weights_after"] = weights_after
    return found


def answer(line: str, names: dict) -> list[str]:
    """What running the line says: the exception, or else the warnings, as Python words them."""
    line = re.sub(r"\bepochs=150\b", "epochs=2", line)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(line, names)  # noqa: S102
        except SyntaxError as error:
            return [f"{type(error).__name__}: {error.msg}"]
        except Exception as error:  # noqa: BLE001
            (said, *_) = traceback.format_exception_only(error)  # JAX adds notes
            said = re.sub(r"(<Variable path=)[^,]+", r"\1…", said.strip())
            said = re.sub(r"(name=)keras_tensor\w*", r"\1…", said)
            return [re.sub(r" \(/\S+\)$", " (…)", said).partition("\n")[0]]
    return [f"{w.category.__name__}: {w.message}" for w in caught if w.category is UserWarning]


def test_no_row_is_missing_and_each_deals_with_its_line():
    for document, fragments in ROWS.items():
        old = [code_in(row[1]) for row in CHANGED if row[0] == document]
        assert len(old) == len(fragments), document
        for line, fragment in zip(old, fragments, strict=True):
            assert fragment in line, f"{document}: {line}"
    general = [row for row in CHANGED if row[0] == GENERAL]
    assert len(UNCHANGED) == RUN_AS_THEY_ARE
    assert len(CHANGED) == sum(map(len, ROWS.values())) + len(general)
    assert len(general) == len(IN_GENERAL)
    for row, (old, new) in zip(general, IN_GENERAL.items(), strict=True):
        assert old in code_in(row[1]) and new in code_in(row[3]), row


def test_every_line_of_a_table_is_a_row():
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert len(lines) == len(CHANGED) + len(UNCHANGED) + 2 * (len(ROWS) + 2)


@pytest.mark.parametrize(("document", "old", "says", "new"), CHANGED)
def test_the_old_line_answers_what_the_page_says(names, document, old, says, new):
    said = answer(code_in(old), names)
    if says.startswith("no error, but "):
        assert said == []
        assert eval(code_in(says), names)
        return
    expected = code_in(says)
    if BACKEND == "jax":
        expected = expected.replace("TensorFlowTrainer", "JAXTrainer")
        if "Unknown variable" in expected:
            expected = "TypeError: 'str' object is not callable"
        if "dtype='string'" in expected:
            expected = "TypeError: Value 'mae' with dtype <U3 is not a valid JAX array type. "
            expected += "Only arrays of numeric types are supported by JAX."
    # The module has the one name or the other, by what was asked of it before.
    said = [line.replace("'tensorflow.keras", "'keras._tf_keras.keras") for line in said]
    assert said == [expected]


@pytest.mark.parametrize(("document", "old", "says", "new"), CHANGED)
def test_today_s_line_runs_and_says_nothing(names, document, old, says, new):
    names["checkpoint"] = keras.callbacks.ModelCheckpoint("epoch{epoch:02d}.keras")
    assert code_in(new) != code_in(old)
    assert answer(code_in(new), names) == []


@pytest.mark.parametrize(("documents", "line"), UNCHANGED)
def test_lines_that_run_as_they_are(names, documents, line):
    assert set(documents.split(", ")) <= set(SHORT_NAMES)
    assert answer(code_in(line), names) == []


def test_today_s_seed_repeats_the_weights(names):
    line = "keras.utils.set_random_seed(7)"
    assert any(code_in(row[3]) == line for row in CHANGED)
    assert names["weights_after"](line) == names["weights_after"](line)


def test_the_callback_makes_the_folder(names, tmp_path):
    new = [code_in(row[3]) for row in CHANGED if "Sozykin" in row[0] and "model.fit" in row[3]]
    assert len(new) == 1 and not (tmp_path / "save").exists()
    assert answer(new[0], names) == []
    assert (tmp_path / "save" / "mnist-dense.keras").exists()


def test_with_a_wrong_monitor_and_a_mode_every_epoch_is_saved(names, tmp_path):
    (line,) = [code_in(r[1]) for r in CHANGED if "Python" in r[0] and "best.keras" in r[1]]
    line = line.replace('"best.keras"', '"{epoch}.keras"').replace(
        "callbacks=", "epochs=3, callbacks="
    )
    assert len(answer(line, names)) == 3
    assert all((tmp_path / f"{epoch}.keras").exists() for epoch in (1, 2, 3))


def test_today_s_text_layer_keeps_its_vocabulary(names):
    (line,) = [code_in(row[3]) for row in CHANGED if "text_model" in row[3]]
    assert answer(line, names) == []
    assert names["vocabulary"] == ["", "[UNK]", "ford", "pinto"]


def test_a_save_as_h5_costs_the_next_keras_file_its_optimizer(tmp_path):
    model = network()
    model.train_on_batch(numpy.zeros((2, 8)), numpy.zeros((2, 1)))
    loaded = []
    for name in ("before.keras", "between.h5", "after.keras"):
        model.save(tmp_path / name)
        if name != "between.h5":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loaded.append(keras.models.load_model(tmp_path / name).optimizer)
    assert [type(optimizer).__name__ for optimizer in loaded] == ["Adam", "RMSprop"]
    assert [int(optimizer.iterations) for optimizer in loaded] == [1, 0]


def test_the_old_and_new_lines_are_python_but_for_the_slips():
    slips = []
    for _, old, _, new in CHANGED:
        ast.parse(code_in(new))
        try:
            ast.parse(code_in(old))
        except SyntaxError:
            slips.append(code_in(old))
    assert len(slips) == 6


def test_each_tutorial_stops_first_where_the_page_says():
    for document, fragment in zip(ROWS, STOPS_FIRST, strict=True):
        raised = [
            code_in(row[1])
            for row in CHANGED
            if row[0] == document and not re.match(r"no error|`+\w*Warning", row[2])
        ]
        assert fragment in raised[0], document


def whole_scripts() -> dict[str, list[str]]:
    """Tutorial -> its script, before and after."""
    section = PAGE.split("\n## Whole scripts, before and after\n")[1].split("\n## ")[0]
    _, *parts = re.split(r"^### (.*)$", section, flags=re.MULTILINE)
    blocks = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return {name: blocks.findall(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


WHOLE = whole_scripts()
SAVED = {
    "book": "weights-improvement-*.keras",
    "Brownlee": "weights.best.keras",
    "Sozykin": "save/mnist-dense*.keras",
    "Saha": "weights-*.keras",
    "TDS": "my_best_model.epoch*.keras",
}


def test_there_is_a_whole_script_for_each_tutorial():
    assert list(WHOLE) == SHORT_NAMES and set(map(len, WHOLE.values())) == {2}


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_script_is_what_the_command_makes(name):
    before, after = WHOLE[name]
    assert old_script.rewrite_text(before).text == after


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_script_trains_and_saves(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    with numpy.load(REPOSITORY / "data" / "mnist.npz") as mnist:
        digits = mnist["x_train"][:400], mnist["y_train"][:400]
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (digits, digits))
    text = re.sub(r"\bepochs=(?:150|25|20)\b", "epochs=2", WHOLE[name][1])
    text = text.replace("epochs=22, initial_epoch=20", "epochs=3, initial_epoch=2")
    exec(compile(text, name, "exec"), {"__name__": "__main__"})  # noqa: S102
    saved = sorted(tmp_path.glob(SAVED[name]))
    assert saved and keras.models.load_model(saved[-1], compile=False).built
    if name == "Brownlee":
        assert re.search(r"accuracy: \d\d\.\d\d%", capsys.readouterr().out)


@pytest.mark.parametrize(("document", "old", "says", "new"), CHANGED)
def test_today_s_line_keeps_what_the_old_one_asked_for(document, old, says, new):
    for option in ("save_best_only=True", "save_weights_only=True", "verbose=1"):
        assert (option in code_in(old)) <= (option in code_in(new)), option


def test_the_improvements_are_saved_as_improvements(names, tmp_path):
    """Both tutorials that save every improvement say so with save_best_only."""
    lines = [row for row in CHANGED if "weights-improvement-" in row[1]]
    assert len(lines) == 2
    for _, old, _, new in lines:
        assert "save_best_only=True" in code_in(old)
        exec(code_in(new).replace("ModelCheckpoint(", "found = ModelCheckpoint("), names)  # noqa: S102
        assert names["found"].save_best_only and names["found"].monitor == "val_accuracy"
        assert "{epoch" in names["found"].filepath


def test_what_replaces_period_saves_every_fifth_epoch(names, tmp_path):
    (line,) = [code_in(row[3]) for row in CHANGED if "period" in row[1]]
    assert answer(line, names) == []
    data = names["X"], names["Y"]
    names["model"].fit(*data, batch_size=5, epochs=11, callbacks=names["callbacks"], verbose=0)
    assert sorted(path.name for path in tmp_path.glob("weights-[01]?.keras")) == [
        "weights-05.keras",
        "weights-10.keras",
    ]


def test_on_colab_the_import_stays(names, monkeypatch):
    (line,) = [code_in(row[1]) for row in CHANGED if "google.colab" in row[1]]
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=print)
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    assert answer(line, names) == []
    (path,) = [code_in(row[3]) for row in CHANGED if "# Create" in row[1]]
    assert "/content/gdrive/My Drive/" in path
