"""Loading: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import os
import pathlib
import re
import warnings
import zipfile

import durable_checkpoint
import keras
import numpy as np
import pytest
from gallery import (
    DOCUMENT,
    cut,
    fit,
    names_for,
    new_model,
    number,
    pinned,
    same_weights,
    some_data,
    steps,
)


def dense(*units, **options):
    """A network of such layers."""
    layers = [keras.layers.Dense(size, **options) for size in units]
    return keras.Sequential([keras.Input((4,)), *layers])


def flip_a_byte(path, weight):
    """Change one bit of the array `weight` in the file."""
    content = bytearray(pathlib.Path(path).read_bytes())
    content[content.index(weight.tobytes()) + 3] ^= 0x40
    pathlib.Path(path).write_bytes(content)


@pinned
def test_damaged_archive_is_called_missing(pitfall):
    os.mkdir("checkpoints")
    whole, damaged = dense(3, 1), dense(3, 1)
    whole.save("checkpoints/epoch-1.keras")
    os.utime("checkpoints/epoch-1.keras", (1, 1))
    damaged.save("checkpoints/epoch-2.keras")
    cut("checkpoints/epoch-2.keras")
    damaged.save("best.keras")
    cut("best.keras")
    with pytest.raises(ValueError) as error:
        keras.models.load_model("best.keras")
    pitfall.said(f"ValueError: {error.value}")
    pathlib.Path("best.keras").write_bytes(b"")
    with pytest.raises(ValueError, match="File not found"):
        keras.models.load_model("best.keras")

    assert same_weights(pitfall.remedy()["model"], whole)


@pinned
def test_optimizer_is_reset(pitfall):
    restored = {}
    for optimizer in ("adam", "rmsprop", "sgd"):
        trained = new_model(optimizer)
        fit(trained, batch_size=2, epochs=3)
        trained.save_weights(f"{optimizer}.weights.h5")
        model = new_model(optimizer)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            model.load_weights(f"{optimizer}.weights.h5")
        restored[optimizer] = steps(model)
        if optimizer == "adam":
            pitfall.said(next(each.message for each in warned if "Skipping" in str(each.message)))
    assert restored == {"adam": 0, "rmsprop": 0, "sgd": 12}

    for optimizer in ("adam", "rmsprop"):
        model = new_model(optimizer)
        pitfall.remedy(
            ("newest.weights.h5", f"{optimizer}.weights.h5"),
            model=model,
        )
        assert steps(model) == 12


@pinned
def test_layers_are_overwritten_before_the_error(pitfall):
    dense(3, 1, bias_initializer="ones").save_weights("newest.weights.h5")
    model = dense(3, 2)
    with pytest.raises(ValueError) as error:
        model.load_weights("newest.weights.h5")
    pitfall.said(f"ValueError: {error.value}")
    assert model.get_weights()[1].tolist() == [1, 1, 1]

    model = dense(3, 2)
    with pytest.raises(ValueError, match="A total of 1 objects could not be loaded"):
        pitfall.remedy(model=model)
    assert model.get_weights()[1].tolist() == [0, 0, 0]
    fitting = dense(3, 1)
    pitfall.remedy(model=fitting)
    assert fitting.get_weights()[1].tolist() == [1, 1, 1]


@pinned
def test_weights_of_another_network(pitfall):
    inputs = keras.Input((4,))
    first = keras.layers.Dense(3, name="encoder")(inputs)
    other = keras.Model(inputs, keras.layers.Dense(1, name="head")(first))
    other.save_weights("newest.weights.h5")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="decoder")])
    before = model.get_weights()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.load_weights("newest.weights.h5")
    assert np.array_equal(model.get_weights()[0], other.get_weights()[0])

    model.set_weights(before)
    with pytest.raises(ValueError):
        pitfall.remedy(model=model)
    assert np.array_equal(model.get_weights()[0], before[0])
    fitting = dense(3, 1)
    pitfall.remedy(model=fitting)
    assert same_weights(fitting, other)


@pinned
def test_flipped_byte(pitfall):
    model = dense(3, 1)
    kernel = model.get_weights()[0]
    model.save_weights("stock.weights.h5")
    flip_a_byte("stock.weights.h5", kernel)
    model.load_weights("stock.weights.h5")
    assert np.sum(model.get_weights()[0] != kernel) == 1
    model.save("stock.keras")
    flip_a_byte("stock.keras", model.get_weights()[0])
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32 for file 'model.weights.h5'"):
        keras.models.load_model("stock.keras")

    model = new_model()
    pitfall.remedy(**names_for(model))
    flip_a_byte("newest.weights.h5", model.get_weights()[0])
    with pytest.raises(durable_checkpoint.CorruptCheckpointError):
        durable_checkpoint.verify("newest.weights.h5")


@pinned
def test_model_that_is_not_built(pitfall):
    trained = dense(3, 1)
    trained.save_weights("newest.weights.h5")
    with pytest.raises(ValueError) as error:
        keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)]).load_weights(
            "newest.weights.h5"
        )
    pitfall.said(f"ValueError: {error.value}")

    assert same_weights(pitfall.remedy()["model"], trained)


@pinned
def test_mse_in_a_legacy_file(pitfall):
    trained = new_model(loss="mse", metrics=())
    fit(trained)
    trained.save("model.h5")
    with pytest.raises((ValueError, TypeError)) as error:
        keras.models.load_model("model.h5")
    pitfall.said(f"{type(error.value).__name__}: {error.value}")

    model = pitfall.remedy()["model"]
    assert same_weights(model, trained)
    fit(model)


@pinned
def test_custom_loss(pitfall):
    def my_loss(y_true, y_predicted):
        return keras.ops.mean(keras.ops.square(y_true - y_predicted))

    trained = new_model(loss=my_loss)
    fit(trained)
    trained.save("model.keras")
    with pytest.raises(TypeError) as error:
        keras.models.load_model("model.keras")
    pitfall.said(f"TypeError: {error.value}")

    model = pitfall.remedy()["model"]
    assert steps(model) == 1
    x, y = some_data()
    assert model.evaluate(x, y, verbose=0) == trained.evaluate(x, y, verbose=0)


def test_the_softmax_of_tensorflow_is_found_by_the_name_that_the_file_has(tmp_path):
    softmax = pytest.importorskip("tensorflow").nn.softmax
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation=softmax)]
    keras.Sequential(layers).save(tmp_path / "net.keras")
    (said,) = re.findall(r"from .activation=tf.nn.softmax.: pass `(.*?)`", DOCUMENT.read_text())
    objects = eval(said, {"keras": keras})
    with pytest.raises(TypeError, match=next(iter(objects))):
        keras.models.load_model(tmp_path / "net.keras")
    model = keras.models.load_model(tmp_path / "net.keras", custom_objects=objects)
    assert model.predict(some_data()[0], verbose=0).sum(axis=1) == pytest.approx(1)


@pinned
def test_lambda_layer(pitfall):
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda t: 2 * t)]).save("stock.keras")
    with pytest.raises(ValueError) as error:
        keras.models.load_model("stock.keras")
    pitfall.said(f"ValueError: {error.value}")
    assert keras.models.load_model("stock.keras", safe_mode=False)

    model = pitfall.remedy()["model"]
    assert keras.ops.convert_to_numpy(model(np.ones((1, 4)))).tolist() == [[2, 2, 2, 2]]


@pinned
def test_orbax_restores_nothing(pitfall):
    folder = os.path.abspath("stock")
    trained = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, name="hidden"),
            keras.layers.Dense(1, name="output", activation="sigmoid"),
        ],
        name="net",
    )
    trained.compile("adam", "binary_crossentropy")
    fit(trained, [keras.callbacks.OrbaxCheckpoint(folder)])
    assert trained.weights[0].path == "net/hidden/kernel"
    loaded = keras.models.load_model(folder)
    assert loaded.weights[0].path == "hidden/kernel"
    assert steps(loaded) == 1
    assert not np.array_equal(loaded.get_weights()[0], trained.get_weights()[0])
    assert np.linalg.norm(loaded.get_weights()[0] - trained.get_weights()[0]) > 0.1

    unnamed = new_model()
    before = unnamed.get_weights()
    unnamed.load_weights(folder)
    assert all(map(np.array_equal, unnamed.get_weights(), before))

    remedied = pitfall.remedy(**names_for(None))
    assert same_weights(remedied["model"], remedied["restored"])
    assert steps(remedied["restored"]) == 2


@pinned
def test_frozen_layers(pitfall):
    def frozen():
        model = new_model()
        model.layers[0].trainable = False
        model.compile("adam", "binary_crossentropy", run_eagerly=True)
        return model

    trained = frozen()
    fit(trained, epochs=5)
    trained.save_weights("frozen.weights.h5")
    model = new_model()
    model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match="Skipping") as warned:
        model.load_weights("frozen.weights.h5")
    pitfall.said(*(each.message for each in warned))
    assert steps(model) == 0

    model = new_model()
    pitfall.remedy(model=model)
    assert steps(model) == 5 and same_weights(model, trained)


@pinned
def test_compile_replaces_the_optimizer(pitfall):
    trained = new_model()
    fit(trained, epochs=3)
    trained.save("trained.keras")
    model = keras.models.load_model("trained.keras")
    assert steps(model) == 3
    model.compile("adam", "binary_crossentropy")
    assert steps(model) == 0

    model = pitfall.remedy()["model"]
    fit(model)
    assert steps(model) == 4 and number(model.optimizer.learning_rate) == pytest.approx(0.0001)


@pinned
def test_excluded_from_weight_decay(pitfall):
    def decay(model):
        """By how much a step without a gradient shrinks kernel and bias of the first layer."""
        weights = [np.ones_like(w) for w in model.get_weights()]
        model.set_weights(weights)
        gradients = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return [float(w.mean()) < 1 for w in model.get_weights()[:2]]

    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    trained = new_model(optimizer)
    optimizer.build(trained.trainable_variables)
    trained.save("decaying.keras")
    assert decay(trained) == [True, False]
    assert decay(keras.models.load_model("decaying.keras")) == [True, True]

    assert decay(pitfall.remedy()["model"]) == [True, False]


@pinned
def test_delta_of_huber(pitfall):
    x, y = some_data()
    trained = new_model(loss=keras.losses.Huber(delta=3.0), metrics=())
    fit(trained)
    trained.save("huber.keras")
    expected = trained.evaluate(x, 10 * y, verbose=0)
    loaded = keras.models.load_model("huber.keras")
    assert loaded.evaluate(x, 10 * y, verbose=0) < expected - 0.1

    remedied = pitfall.remedy()["model"]
    assert remedied.evaluate(x, 10 * y, verbose=0) == pytest.approx(expected)
    assert steps(remedied) == steps(trained)


@pinned
def test_lora_comes_back_as_zeros(pitfall):
    def with_lora():
        model = new_model(metrics=())
        model.layers[0].enable_lora(2)
        model.compile("adam", "binary_crossentropy", run_eagerly=True)
        return model

    def learned(model):
        layer = model.layers[0]
        arrays = (layer.lora_kernel_a, layer.lora_kernel_b)
        return [float(np.abs(keras.ops.convert_to_numpy(array)).sum()) for array in arrays]

    x, _ = some_data()
    trained = with_lora()
    fit(trained, epochs=2)
    trained.save_weights("lora.weights.h5")
    model = with_lora()
    model.optimizer.build(model.trainable_variables)
    model.load_weights("lora.weights.h5")
    assert min(learned(trained)) > 0 and learned(model) == [0, 0]
    assert np.allclose(model.predict(x, verbose=0), trained.predict(x, verbose=0), atol=1e-6)
    model.compile("adam", "binary_crossentropy", run_eagerly=True)
    fit(model, epochs=3)
    assert learned(model) == [0, 0]

    before = learned(trained)
    weights = trained.get_weights()
    pitfall.remedy(model=trained)
    assert learned(trained) == before
    with np.load("lora.npz") as arrays:
        assert all((arrays[name] == w).all() for name, w in zip(arrays.files, weights, strict=True))


@pinned
def test_weights_by_name(pitfall):
    def named(*names):
        layers = [keras.layers.Dense(3, name=name) for name in names]
        return keras.Sequential([keras.Input((4,)), *layers])

    pretrained = named("encoder", "head")
    pretrained.save("pretrained.keras")
    pretrained.save_weights("pretrained.weights.h5")
    model = named("encoder", "other")
    with pytest.raises(ValueError) as error:
        model.load_weights("pretrained.weights.h5", by_name=True)
    pitfall.said(f"ValueError: {error.value}")

    before = model.layers[1].get_weights()
    pitfall.remedy(model=model)
    assert same_weights(model.layers[0], pretrained.layers[0])
    assert all((a == b).all() for a, b in zip(model.layers[1].get_weights(), before, strict=True))


@keras.saving.register_keras_serializable(package="pitfalls")
class OwnCompile(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = keras.layers.Dense(1, activation="sigmoid")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)

    def compile(self, optimizer, my_loss=None):
        self.my_loss = my_loss
        super().compile(optimizer=optimizer, loss=my_loss, run_eagerly=True)


@pinned
def test_a_compile_of_one_s_own(pitfall):
    def trained(kind):
        model = kind()
        model.build((None, 4))
        model.compile("adam", my_loss="binary_crossentropy")
        fit(model, epochs=3)
        return model

    trained(OwnCompile).save("own.keras")
    with pytest.warns(UserWarning) as warned:
        loaded = keras.models.load_model("own.keras")
    pitfall.said(*(each.message for each in warned))
    assert not hasattr(loaded, "my_loss")

    kind = pitfall.remedy(OwnCompile=OwnCompile)["WithOwnCompile"]
    trained(kind).save("remedied.keras")
    loaded = keras.models.load_model("remedied.keras")
    assert loaded.my_loss == "binary_crossentropy" and steps(loaded) == 3
    fit(loaded)
    assert steps(loaded) == 4
