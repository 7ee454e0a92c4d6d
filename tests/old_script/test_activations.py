"""Activations that are functions of TensorFlow: which of them a saved model loads with."""

import keras
import numpy as np
import pytest
from conftest import BACKEND
from lines_that_change import notes, rewritten
from old_script.rules.activations import TODAY

HEAD = """
import tensorflow as tf
from keras.layers import Activation, Dense, LSTM
from tensorflow.nn import softmax as soft
from keras.models import load_model
own = tf.nn.softmax
"""
# An old layer -> today's.
LAYERS = {
    "Dense(3, activation=tf.nn.softmax)": "Dense(3, activation='softmax')",
    "Dense(3, tf.nn.log_softmax)": "Dense(3, 'log_softmax')",
    "Dense(3, activation=soft)": "Dense(3, activation='softmax')",
    "Activation(tf.nn.swish)": "Activation('swish')",
    "LSTM(3, recurrent_activation=tf.identity)": "LSTM(3, recurrent_activation='linear')",
    "Dense(3, activation=tf.nn.relu)": "Dense(3, activation=tf.nn.relu)",
    "Dense(3, activation=tf.sin)": "Dense(3, activation=tf.sin)",
}


@pytest.mark.parametrize("layer", LAYERS)
def test_an_activation_gets_the_name_that_a_file_finds(layer):
    for saves in ("model.save('a.keras')", "load_model('a.keras')", "model.to_json()"):
        made = rewritten(f"{HEAD}{saves}\n{layer}\n")
        assert made.text.endswith(f"\n{LAYERS[layer]}\n") and not notes(made)
        assert made.changed == (LAYERS[layer] != layer)


@pytest.mark.parametrize("more", ["", "load_model('a', custom_objects={'softmax_v2': own})\n"])
def test_a_script_of_today_that_loads_no_such_file_stays(more):
    assert not rewritten(f"{HEAD}{more}Dense(3, activation=tf.nn.softmax)\n").changed


def test_an_activation_in_a_variable_is_said():
    made = rewritten(f"{HEAD}model.save('a.keras')\nDense(3, activation=own)\n")
    assert not made.changed and "8: own: write 'softmax' for tf.nn.softmax" in notes(made)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="functions of TensorFlow")
@pytest.mark.parametrize("full", TODAY)
def test_the_function_is_the_same_and_only_the_name_is_found(full, tmp_path):
    function = __import__("tensorflow")
    for part in full.split(".")[1:]:
        function = getattr(function, part)
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    found = []
    for activation in (function, TODAY[full]):
        layers = [keras.Input((3,)), keras.layers.Activation(activation)]
        model = keras.Sequential(layers)
        found.append(keras.ops.convert_to_numpy(model(rows)))
        model.save(tmp_path / "net.keras")
        if activation is function:
            with pytest.raises(TypeError, match="could not be deserialized"):
                keras.models.load_model(tmp_path / "net.keras")
        else:
            keras.models.load_model(tmp_path / "net.keras")
    assert np.allclose(*found)
