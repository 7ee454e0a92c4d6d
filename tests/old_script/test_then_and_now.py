"""The formulas of Keras 1 and 2, written out, against what Keras computes today."""

import keras
import numpy as np
import pytest
from lines_that_change import rewritten

GRADIENTS = np.array([[1e-1, 1e-4], [3e-2, 1e-5], [1e-2, 1e-5]], "float32")


def moved(optimizer) -> np.ndarray:
    """Where an optimizer takes a variable that begins at zero, in three steps."""
    weight = keras.Variable(np.zeros(2, "float32"))
    for gradient in GRADIENTS:
        optimizer.apply_gradients([(keras.ops.convert_to_tensor(gradient), weight)])
    return keras.ops.convert_to_numpy(weight)


def rms(rho, rate, part, epsilon=1e-7) -> np.ndarray:
    """Where RMSprop (and Adagrad, with `rho` 1 and `part` 1) of Keras 1 and 2 took it."""
    place, mean = np.zeros(2), np.zeros(2)
    for gradient in GRADIENTS.astype("float64"):
        mean = rho * mean + part * gradient**2
        place = place - rate * gradient / (np.sqrt(mean) + epsilon)
    return place


def made(call: str):
    """The optimizer that a call of an old script is rewritten to."""
    text = (
        f"from keras.optimizers import *\nimport keras\nmine = {call}\nmodel.fit(x, nb_epoch=1)\n"
    )
    line = next(one for one in rewritten(text).text.splitlines() if one.startswith("mine = "))
    return eval(line.removeprefix("mine = "), vars(keras.optimizers) | {"keras": keras})


def test_adagrad_begins_at_zero_as_it_did():
    expected = rms(1, 0.01, 1)
    assert np.allclose(moved(made("Adagrad(lr=0.01)")), expected, rtol=0.02)
    assert not np.allclose(moved(keras.optimizers.Adagrad(0.01)), expected, rtol=0.5)


def test_rmsprop_with_its_epsilon_outside_of_the_root():
    expected = rms(0.9, 0.001, 0.1)
    assert np.allclose(moved(keras.optimizers.RMSprop(epsilon=1e-14)), expected, rtol=0.02)
    assert abs(moved(keras.optimizers.RMSprop())[1]) < 0.5 * abs(expected[1])


@pytest.mark.parametrize(("call", "length"), [("SGD(1.0, clipnorm=1.0)", 1), ("SGD(1.0)", 5)])
def test_the_norm_of_all_gradients_is_limited(call, length):
    optimizer = made(call)
    one, two = keras.Variable([0.0]), keras.Variable([0.0])
    gradients = [keras.ops.convert_to_tensor([value]) for value in (3.0, 4.0)]
    optimizer.apply_gradients(zip(gradients, [one, two], strict=True))
    assert np.isclose(np.hypot(float(one[0]), float(two[0])), length)


def network(units: int, **options) -> keras.Model:
    """A layer whose outputs are one row of its inputs after the other."""
    layer = keras.layers.Dense(units, kernel_initializer="ones", use_bias=False, **options)
    return keras.Sequential([keras.Input((1,)), layer])


def test_the_accuracy_of_several_labels():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
    rows = np.array([[0.9, 0.8], [0.1, 0.2]], "float32")
    labels = np.array([[1, 1], [0, 0]], "float32")[:, ::-1].copy()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "binary_accuracy"])
    found = model.evaluate(rows, labels, verbose=0, return_dict=True)
    assert found["binary_accuracy"] == 1 and found["accuracy"] == 0.5


def test_a_penalty_on_outputs_is_divided_by_the_rows():
    model = network(1, activity_regularizer=keras.regularizers.L1(1.0))
    model.compile("sgd", "mse")
    rows = np.ones((4, 1), "float32")
    assert np.isclose(model.evaluate(rows, rows, batch_size=4, verbose=0), 4 / 4)


def test_a_frozen_normalization_keeps_its_averages():
    layer = keras.layers.BatchNormalization(epsilon=0)
    layer.build((None, 1))
    layer.trainable = False
    rows = np.array([[1.0], [3.0]], "float32")
    assert np.allclose(keras.ops.convert_to_numpy(layer(rows, training=True)), rows)


def test_names_are_counted_from_the_second_layer():
    keras.utils.clear_session()
    names = [keras.layers.Dense(1).name for _ in range(3)]
    assert names == ["dense", "dense_1", "dense_2"]


def test_gates_and_weights_of_today():
    layers = keras.layers
    for kind in (layers.LSTM(1), layers.GRU(1), layers.ConvLSTM2D(1, 1)):
        assert kind.get_config()["recurrent_activation"] == "sigmoid"
    assert layers.GRU(1).get_config()["reset_after"] is True
    gates = keras.activations.hard_sigmoid(np.array([-2.7, 1.0], "float32"))
    assert np.allclose(keras.ops.convert_to_numpy(gates), [0.05, 2 / 3], atol=1e-6)
