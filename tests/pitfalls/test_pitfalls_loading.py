"""Loading: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import os
import pathlib
import warnings
import zipfile

import durable_checkpoint
import keras
import numpy as np
import pytest
from gallery import cut, fit, names_for, new_model, pinned, same_weights, some_data, steps


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
    with pytest.raises(ValueError) as error:
        keras.models.load_model("model.h5")
    pitfall.said(f"ValueError: {error.value}")

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
