"""Text layers and formats: what stock Keras does, and that the remedies of PITFALLS.md work."""

import os
import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from gallery import BACKEND, fit, new_model, number, pinned, same_weights, some_data, steps


@pinned
def test_vocabulary_is_lost(pitfall):
    def text_model():
        return keras.Sequential(
            [
                keras.Input((1,), dtype="string"),
                keras.layers.TextVectorization(output_mode="int", output_sequence_length=3),
                keras.layers.Embedding(10, 2),
            ]
        )

    model = text_model()
    model.layers[0].adapt(["red green blue"])
    model.save("text.h5")
    model.save_weights("text.weights.h5")
    loaded = keras.models.load_model("text.h5", compile=False)
    also = text_model()
    also.load_weights("text.weights.h5")
    for each in (loaded, also):
        assert each.layers[0].get_vocabulary() == ["", "[UNK]"]
    if BACKEND == "tensorflow":
        with pytest.raises(tf.errors.FailedPreconditionError):
            loaded.predict(tf.constant([["red green"]]), verbose=0)

    restored = pitfall.remedy(model=model)["model"]
    assert list(restored.layers[0].get_vocabulary()) == ["", "[UNK]", "red", "green", "blue"]


@pinned
def test_legacy_file_takes_the_optimizer_away(pitfall):
    def optimizer_in(path):
        optimizer = keras.models.load_model(path).optimizer
        return type(optimizer).__name__, number(optimizer.iterations)

    model = new_model()
    fit(model, epochs=2)
    model.save("before.keras")
    model.save("stock.h5")
    model.save("after.keras")
    assert optimizer_in("before.keras") == ("Adam", 2)
    assert optimizer_in("after.keras") == ("RMSprop", 0)
    fit(model)
    assert steps(model) == 3

    model = new_model()
    fit(model, epochs=2)
    pitfall.remedy(model=model)
    model.save("later.keras")
    assert optimizer_in("later.keras") == ("Adam", 2)
    assert same_weights(keras.models.load_model("model.h5"), model)


@pinned
def test_weights_include_the_optimizer(pitfall):
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(500)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights("stock.weights.h5")
    size = 4 * model.count_params()
    assert 3 < os.path.getsize("stock.weights.h5") / size < 3.2

    pitfall.remedy(model=model)
    assert 1 < os.path.getsize("small.weights.h5") / size < 1.2
    loaded = keras.models.clone_model(model)
    loaded.load_weights("small.weights.h5")
    assert same_weights(loaded, model)


@pinned
def test_saved_model_folder(pitfall):
    if BACKEND == "jax":
        pytest.skip("a way of TensorFlow's")
    import tf_keras

    old = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(4,))])
    old.save("saved_model")
    with pytest.raises(ValueError) as error:
        keras.models.load_model("saved_model")
    pitfall.said(f"ValueError: {error.value}")

    x, _ = some_data()
    (prediction,) = pitfall.remedy(x=x)["prediction"].values()
    assert abs(prediction.numpy() - old.predict(x, verbose=0)).max() < 1e-6


def three_layers(value):
    """A network whose weights are all this value; each kernel has 16 KB."""
    model = keras.Sequential([keras.Input((64,)), *(keras.layers.Dense(64) for _ in range(3))])
    model.compile("sgd", "mse")
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
    return model


def values_of(model):
    return [float(weight.mean()) for weight in model.get_weights()[::2]]


@pinned
def test_shards_are_found_by_name(pitfall):
    model = three_layers(1)
    os.mkdir("weights")
    model.save_weights("weights/model.weights.json", max_shard_size=20 / 1024**2)
    assert "model_00002.weights.h5" in os.listdir("weights")
    shutil.copy("weights/model.weights.json", "weights/best.weights.json")
    shutil.copy("weights/model.weights.json", "model.weights.json")
    for path in ("weights/best.weights.json", "model.weights.json"):
        with pytest.raises(FileNotFoundError) as error:
            model.load_weights(path)
        pitfall.said(f"FileNotFoundError: {error.value}")

    other = three_layers(2)
    pitfall.remedy(model=other)
    assert values_of(other) == [1, 1, 1]


@pinned
def test_shards_of_two_saves(pitfall):
    for value in (1, 2):
        os.mkdir(f"stock-{value}")
        three_layers(value).save_weights(
            f"stock-{value}/model.weights.json", max_shard_size=20 / 1024**2
        )
    shutil.copy("stock-2/model_00001.weights.h5", "stock-1/model_00001.weights.h5")
    model = three_layers(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.load_weights("stock-1/model.weights.json")
    assert values_of(model) == [1, 2, 1]

    interrupted = three_layers(3)
    save = interrupted.layers[2].save_own_variables

    def stop(store):
        raise KeyboardInterrupt

    interrupted.layers[2].save_own_variables = stop
    with pytest.raises(KeyboardInterrupt):
        pitfall.remedy(model=interrupted)
    assert os.path.exists("epoch-2.part") and not os.path.exists("epoch-2")
    shutil.rmtree("epoch-2.part")
    interrupted.layers[2].save_own_variables = save
    pitfall.remedy(model=interrupted)
    model.load_weights("epoch-2/model.weights.json")
    assert values_of(model) == [3, 3, 3]
