"""What is written in the background is the state at the epoch's end, bit for bit."""

import tempfile
import time
import tracemalloc
import zipfile

import durable_checkpoint
import h5py
import keras
import numpy as np
import pytest
from conftest import BACKEND
from durable_checkpoint import DurableCheckpoint, hdf5

EPOCHS = 4
ROWS = 64


class StockBeside(keras.callbacks.Callback):
    """Save by stock Keras, in the foreground, at the same moments."""

    def __init__(self, folder, ending):
        super().__init__()
        self.folder, self.ending = folder, ending

    def on_epoch_end(self, epoch, logs=None):
        path = self.folder / f"stock-{epoch + 1}{self.ending}"
        if self.ending == ".weights.h5":
            self.model.save_weights(path)
        else:
            self.model.save(path)


def dense(optimizer, jit_compile="auto"):
    model = keras.Sequential(
        [
            keras.Input((30,)),
            keras.layers.Dense(200, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(200, activation="relu"),
            keras.layers.Dense(200, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"], jit_compile=jit_compile)
    return model, np.random.rand(ROWS, 30).astype("float32")


def embedding():
    """Gradients of an embedding are sparse on TensorFlow: other assignments than the dense ones."""
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(50, 16),
            keras.layers.LSTM(8),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model, np.random.randint(0, 50, (ROWS, 5))


class Block(keras.layers.Layer):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.inner = {"a": keras.layers.Dense(8), "b": [keras.layers.Dense(8)]}
        self.count = self.add_weight(shape=(), dtype="int32", trainable=False, name="count")
        self.flag = self.add_weight(shape=(3,), dtype="bool", trainable=False, name="flag")

    def build(self, shape):
        self.inner["a"].build(shape)
        self.inner["b"][0].build((shape[0], 8))

    def call(self, x):
        return self.inner["b"][0](self.inner["a"](x))


def nested():
    """Layers in containers, whole numbers, truth values, and many equal shapes in bfloat16."""
    inputs = keras.Input((8,), dtype="float32")
    x = Block()(inputs)
    for _ in range(3):
        x = keras.layers.Dense(8, dtype="bfloat16")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, dtype="float32")(x))
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    return model, np.random.rand(ROWS, 8).astype("float32")


def mixed(policy):
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        return dense("adam")
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


MODELS = {
    "adam": lambda: dense("adam"),
    "adam compiled by XLA": lambda: dense("adam", jit_compile=True),
    "rmsprop": lambda: dense("rmsprop"),
    "momentum": lambda: dense(keras.optimizers.SGD(0.1, momentum=0.9)),
    "plain sgd": lambda: dense("sgd"),
    "adamw with averages": lambda: dense(keras.optimizers.AdamW(use_ema=True)),
    "schedule": lambda: dense(
        keras.optimizers.Nadam(keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.9))
    ),
    "mixed_float16": lambda: mixed("mixed_float16"),
    "mixed_bfloat16": lambda: mixed("mixed_bfloat16"),
    "embedding": embedding,
    "nested": nested,
}


def everything_in(path):
    """Every group and array of the file with its attributes and, bit by bit, its content."""
    found = {}

    def note(name, item):
        attributes = {key: str(value) for key, value in item.attrs.items()}
        content = ()
        if isinstance(item, h5py.Dataset):
            content = item.shape, item.dtype.str, item[()].tobytes()
        found[name] = attributes, content

    with h5py.File(path, "r") as weights:
        weights.visititems(note)
    assert any(content for _, content in found.values())
    return found


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("name", MODELS)
def test_files_written_behind_the_training_hold_what_stock_s_hold(tmp_path, name, ending):
    keras.utils.set_random_seed(3)
    model, x = MODELS[name]()
    y = np.random.rand(ROWS, 1).astype("float32")
    durable = DurableCheckpoint(
        tmp_path / f"durable-{{epoch}}{ending}", save_weights_only=ending == ".weights.h5"
    )
    callbacks = [StockBeside(tmp_path, ending), durable]
    if name != "schedule":  # the learning rate is part of the configuration in the archive
        callbacks.append(keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=9))
    model.fit(
        x,
        y,
        batch_size=8,
        epochs=EPOCHS,
        verbose=0,
        callbacks=callbacks,
    )
    for epoch in range(1, EPOCHS + 1):
        stock, ours = (tmp_path / f"{who}-{epoch}{ending}" for who in ("stock", "durable"))
        if ending == ".weights.h5":
            assert everything_in(stock) == everything_in(ours)
        else:
            with zipfile.ZipFile(stock) as theirs, zipfile.ZipFile(ours) as mine:
                assert theirs.namelist() == mine.namelist()
                for member in ("config.json", "model.weights.h5"):
                    assert theirs.read(member) == mine.read(member)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_slow_disk_does_not_change_what_is_saved(tmp_path, monkeypatch, ending):
    """The writer is held up until the training has changed every variable."""
    keras.utils.set_random_seed(3)
    model, x = dense("adam")
    y = np.random.rand(ROWS, 1).astype("float32")
    write = durable_checkpoint.files.write_and_compare
    seen = []

    def later(temporary, members):
        def content():
            return [bytes(piece) for _, _, pieces in members for piece in pieces()]

        before = content()
        time.sleep(0.3)
        seen.append(before == content())
        return write(temporary, members)

    monkeypatch.setattr(durable_checkpoint.files, "write_and_compare", later)
    epochs = 5
    model.fit(
        x,
        y,
        batch_size=8,
        epochs=epochs,
        verbose=0,
        callbacks=[
            StockBeside(tmp_path, ending),
            DurableCheckpoint(
                tmp_path / f"durable-{{epoch}}{ending}", save_weights_only=ending == ".weights.h5"
            ),
        ],
    )
    assert seen == [True] * epochs
    for epoch in range(1, epochs + 1):
        paths = [str(tmp_path / f"{who}-{epoch}{ending}") for who in ("stock", "durable")]
        with hdf5.open_weights(paths[0]) as theirs, hdf5.open_weights(paths[1]) as mine:
            theirs, mine = map(hdf5.arrays_in, (theirs, mine))
            assert theirs.keys() == mine.keys()
            assert all(theirs[n][()].tobytes() == mine[n][()].tobytes() for n in theirs)


def test_saving_changes_nothing_in_the_training(tmp_path):
    def train(callbacks):
        keras.utils.set_random_seed(3)
        model, x = dense("adam")
        model.fit(x, np.ones((ROWS, 1)), batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
        return b"".join(
            durable_checkpoint.layout.bytes_of(keras.ops.convert_to_numpy(v)).tobytes()
            for v in [*model.variables, *model.optimizer.variables]
        )

    each_batch = DurableCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=1)
    assert train([each_batch]) == train([])


class Doubled(keras.layers.Layer):
    """Saves something other than its variable."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale

    def save_own_variables(self, store):
        store["0"] = keras.ops.convert_to_numpy(self.scale) * 2

    def load_own_variables(self, store):
        self.scale.assign(store["0"][()] / 2)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_layer_saves_what_its_own_method_hands_over(tmp_path, ending):
    model = keras.Sequential([keras.Input((4,)), Doubled(), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(
        np.ones((ROWS, 4)),
        np.ones((ROWS, 1)),
        epochs=3,
        verbose=0,
        callbacks=[
            StockBeside(tmp_path, ending),
            DurableCheckpoint(
                tmp_path / f"durable-{{epoch}}{ending}", save_weights_only=ending == ".weights.h5"
            ),
        ],
    )
    for epoch in (1, 2, 3):
        paths = [str(tmp_path / f"{who}-{epoch}{ending}") for who in ("stock", "durable")]
        with (
            hdf5.open_weights(paths[0]) as theirs,
            hdf5.open_weights(paths[1]) as mine,
        ):
            assert theirs["layers/doubled/vars/0"][()] == mine["layers/doubled/vars/0"][()]
    assert durable_checkpoint.verify(paths[1]) == "checksum"


def test_a_vocabulary_is_in_every_file(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    strings = keras.layers.StringLookup()
    strings.adapt(np.array(["diesel", "petrol"]))
    model = keras.Sequential(
        [keras.Input((1,), dtype="string"), strings, keras.layers.Embedding(3, 2)]
    )
    checkpoint = DurableCheckpoint(tmp_path / "durable-{epoch}.keras")
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    for epoch in range(3):
        checkpoint.on_epoch_begin(epoch)
        checkpoint.on_epoch_end(epoch, {})
    checkpoint.on_train_end()
    for epoch in (1, 2, 3):
        with zipfile.ZipFile(tmp_path / f"durable-{epoch}.keras") as archive:
            assert any(
                name.startswith("assets/") and b"diesel" in archive.read(name)
                for name in archive.namelist()
            )
    assert list(temporary.iterdir()) == []


def test_the_names_in_a_file_are_those_of_the_model_that_is_trained_now(tmp_path):
    checkpoint = DurableCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True)
    for name in ("first", "second"):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name=name)])
        model.compile("sgd", "mse")
        model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, callbacks=[checkpoint])
        model.save_weights(tmp_path / "stock.weights.h5")
        noted = []
        for file in ("stock.weights.h5", "m.weights.h5"):
            with hdf5.open_weights(str(tmp_path / file)) as weights:
                noted.append(weights["layers/dense/vars"].attrs["name"])
        assert noted == [name, name]


def test_zeros_over_other_numbers_stay_zeros():
    file = durable_checkpoint.layout.MemoryWithoutZeros()
    file.write(b"\1" * 5000)
    file.seek(4090)
    file.write(bytes(10))
    assert file.part(0, 5000) == b"\1" * 4090 + bytes(10) + b"\1" * 900


def test_a_compiled_change_is_noticed(tmp_path):
    """Another optimizer, another file: nothing old is written."""
    model, x = dense("adam")
    y = np.zeros((ROWS, 1))
    checkpoint = DurableCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[checkpoint])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.5), "mse")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[checkpoint])
    twin, _ = dense(keras.optimizers.SGD(0.01, momentum=0.5))
    durable_checkpoint.load_weights_strict(twin, tmp_path / "m.weights.h5")
    assert int(twin.optimizer.iterations) == int(model.optimizer.iterations) == 4


def test_after_training_the_copies_take_no_memory(tmp_path):
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)])
    model.compile("sgd", "mse")
    checkpoint = DurableCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True)
    ones = np.ones((4, 1000), "float32")
    tracemalloc.start()
    try:
        model.fit(ones, ones, epochs=3, verbose=0, callbacks=[checkpoint])
        arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
        left = tracemalloc.take_snapshot().filter_traces([arrays])
    finally:
        tracemalloc.stop()
    assert sum(trace.size for trace in left.traces) < 1_000_000  # a copy has 4_000_000


def test_without_memory_on_the_device_the_copy_is_made_on_the_host(monkeypatch):
    variables = dense("adam")[0].variables

    class Accelerator:
        platform = "gpu"

    def full(_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4096 bytes")

    if BACKEND == "jax":  # where JAX's arrays lie decides how they are copied
        array = type(variables[0].value)
        monkeypatch.setattr(array, "devices", lambda self: {Accelerator()})
    values, buffers = durable_checkpoint.snapshot.take(variables, None)
    assert buffers is None and not any(isinstance(value, np.ndarray) for value in values)
    monkeypatch.setattr(keras.ops, "copy", full)
    values, buffers = durable_checkpoint.snapshot.take(variables, None)
    assert buffers is values and all(isinstance(value, np.ndarray) for value in values)
    for value, variable in zip(values, variables, strict=True):
        assert value.tobytes() == keras.ops.convert_to_numpy(variable).tobytes()
    monkeypatch.setattr(keras.ops, "copy", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        durable_checkpoint.snapshot.take(variables, None)
