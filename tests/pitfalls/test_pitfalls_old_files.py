"""Files that Keras 1 or 2 saved: what Keras 3 says, and that the remedies of PITFALLS.md work.

The files are written by Keras 2 itself, which is `tf_keras`.
"""

import json
import os

import h5py
import keras
import numpy as np
import pytest
import tf_keras
from gallery import BACKEND, new_model, pinned, same_weights, some_data, steps


def old_model(folder="."):
    """Saved by Keras 2 after two steps: `old.hdf5` (all) and `weights.h5` (weights only)."""
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Dense(3, activation="relu", input_dim=4),
            tf_keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = tf_keras.optimizers.legacy.Adam()
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    for _ in range(2):
        model.train_on_batch(*some_data())
    model.save(f"{folder}/old.hdf5")
    model.save_weights(f"{folder}/weights.h5")
    return model


def as_of_keras_2_2(path):
    """Write the settings of the file as Keras up to 2.2 wrote them."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        _, *layers = config["config"]["layers"]
        layers[0]["config"]["batch_input_shape"] = [None, 4]
        settings = [{"class_name": one["class_name"], "config": one["config"]} for one in layers]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": settings})
        file.attrs["keras_version"] = "2.2.4"
        with_lr(file)


def with_lr(file):
    training = json.loads(file.attrs["training_config"])
    optimizer = training["optimizer_config"]["config"]
    rate = optimizer.pop("learning_rate")
    known = {key: optimizer[key] for key in ("beta_1", "beta_2", "decay", "epsilon", "amsgrad")}
    training["optimizer_config"] = {"class_name": "Adam", "config": {"lr": rate, **known}}
    training["metrics"] = ["accuracy"]
    file.attrs["training_config"] = json.dumps(training)


def trains_on_as(old, new):
    """Whether the next two steps are those of Keras 2."""
    x, y = some_data()
    for _ in range(2):
        old.train_on_batch(x, y)
        new.train_on_batch(x, y)
    pairs = zip(old.get_weights(), new.get_weights(), strict=True)
    return all(np.abs(a - b).max() < 1e-6 for a, b in pairs)


@pinned
def test_sequential_stored_as_a_list(pitfall):
    old = old_model()
    as_of_keras_2_2("old.hdf5")
    for options in ({}, {"compile": False}):
        with pytest.raises(TypeError) as refused:
            keras.models.load_model("old.hdf5", **options)
        pitfall.said(f"TypeError: {refused.value}")

    loaded = pitfall.remedy()["model"]
    assert same_weights(loaded, old)
    assert steps(loaded) == 2
    assert trains_on_as(old, loaded)


@pinned
def test_old_name_of_the_learning_rate(pitfall):
    old = old_model()
    with h5py.File("old.hdf5", "r+") as file:
        with_lr(file)
    with pytest.raises(ValueError) as refused:
        keras.models.load_model("old.hdf5")
    pitfall.said(f"ValueError: {refused.value}")
    uncompiled = keras.models.load_model("old.hdf5", compile=False)
    assert same_weights(uncompiled, old) and not uncompiled.compiled

    loaded = pitfall.remedy()["model"]
    assert steps(loaded) == 2
    assert trains_on_as(old, loaded)


@pinned
def test_old_optimizer_cannot_train(pitfall):
    old = old_model()
    loaded = keras.models.load_model("old.hdf5")
    assert steps(loaded) == 2 and len(loaded.optimizer.variables) == 2
    x, y = some_data()
    with pytest.raises((TypeError, ValueError)) as refused:
        loaded.evaluate(x, y, verbose=0)
    pitfall.said(f"{type(refused.value).__name__}: {refused.value}")
    with pytest.raises((ValueError, TypeError, NotImplementedError)) as refused:
        loaded.fit(x, y, verbose=0)
    assert "Unknown variable:" in pitfall.entry.heading
    said = "Unknown variable:" in str(refused.value)
    assert BACKEND == "jax" or said or pitfall.differs

    loaded = pitfall.remedy()["model"]
    assert steps(loaded) == 2
    assert trains_on_as(old, loaded)
    assert loaded.evaluate(x, y, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}


@pinned
def test_old_weights_under_the_new_ending(pitfall):
    old = old_model()
    os.rename("weights.h5", "old.weights.h5")
    model = new_model()
    with pytest.raises(ValueError) as refused:
        model.load_weights("old.weights.h5")
    pitfall.said(f"ValueError: {refused.value}")
    with pytest.raises(ValueError, match="No model config found"):
        keras.models.load_model("old.weights.h5", compile=False)
    assert not same_weights(model, old)

    pitfall.remedy(model=model)
    assert same_weights(model, old)

    model.save_weights("new.weights.h5")
    os.rename("new.weights.h5", "new.h5")
    with pytest.raises(ValueError) as refused:
        model.load_weights("new.h5")
    assert str(refused.value) in " ".join(pitfall.entry.text.split())


@pinned
def test_hard_sigmoid_has_changed(pitfall):
    numbers = np.random.default_rng(0).normal(size=(5, 6, 4)).astype("float32")
    tf_keras.utils.set_random_seed(1)
    then = tf_keras.Sequential(
        [tf_keras.layers.LSTM(8, recurrent_activation="hard_sigmoid", input_shape=(6, 4))]
    )
    then.set_weights([2 * weight for weight in then.get_weights()])
    then.save_weights("old.h5")
    today = keras.Sequential(
        [keras.Input((6, 4)), keras.layers.LSTM(8, recurrent_activation="hard_sigmoid")]
    )
    today.load_weights("old.h5")
    expected = then.predict(numbers, verbose=0)
    assert np.abs(today.predict(numbers, verbose=0) - expected).max() > 0.01
    at = np.array([-2.5, 0, 1, 2.5], "float32")
    assert keras.ops.convert_to_numpy(keras.activations.hard_sigmoid(at)) == pytest.approx(
        np.clip(at / 6 + 0.5, 0, 1)
    )
    assert "0.2 * x + 0.5" in pitfall.entry.text and "x / 6 + 0.5" in pitfall.entry.text

    model = pitfall.remedy()["model"]
    assert np.abs(model.predict(numbers, verbose=0) - expected).max() < 1e-6


@pinned
def test_groups_of_a_depthwise_convolution(pitfall):
    old = tf_keras.Sequential(
        [
            tf_keras.layers.DepthwiseConv2D(3, input_shape=(6, 6, 2)),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(1),
        ]
    )
    old.save("old.h5")
    for options in ({}, {"compile": False}):
        with pytest.raises(TypeError) as refused:
            keras.models.load_model("old.h5", **options)
        pitfall.said(refused.value)

    picture = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype("float32")
    loaded = pitfall.remedy()["model"]
    assert same_weights(loaded, old)
    expected = old.predict(picture, verbose=0)
    assert np.abs(loaded.predict(picture, verbose=0) - expected).max() < 1e-5
