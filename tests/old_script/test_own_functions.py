"""Losses and metrics of a script's own compute today what they computed in Keras 2."""

import re

import keras
import numpy as np
import pytest
from lines_that_change import notes, rewritten

HEAD = """
from keras import backend as K
def gap(y_true, y_pred):
    '''How far the predictions are from the targets.'''
    return K.mean(K.abs(y_pred - y_true))
def short(y_true, y_pred): return K.mean(K.abs(y_pred - y_true))
def scaled(factor):
    def inner(y_true, y_pred):
        return factor * K.mean(K.abs(y_pred - y_true))
    return inner
MINE = [gap]
"""
# The arguments of compile -> what the last number of evaluate is, in mean distances.
COMPILED = {
    "'sgd', 'mse', metrics=[gap]": 1,
    "'sgd', 'mse', metrics=['mse', gap]": 1,
    "'sgd', 'mse', metrics={'out': gap}": 1,
    "'sgd', 'mse', metrics=MINE": 1,
    "'sgd', 'mse', metrics=[short]": 1,
    "'sgd', 'mse', metrics=[scaled(3)]": 3,
    "'sgd', gap, metrics=['mse', gap]": 1,
    "optimizer='sgd', loss=scaled(2), metrics=[scaled(3)]": 3,
    "loss={'out': gap}, optimizer='sgd', metrics={'out': [gap]}": 1,
}


@pytest.mark.parametrize("kind", ["float32", "int64"])
@pytest.mark.parametrize("arguments", COMPILED)
def test_targets_of_one_axis(arguments, kind):
    text = f"{HEAD}model.compile({arguments})\nmodel.fit(x, y, nb_epoch=1)\n"
    rows = np.random.default_rng(0).random((8, 3), "float32")
    labels = (np.arange(8) % 2).astype(kind)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(inputs))
    names = {"model": model, "x": rows, "y": labels}
    exec(rewritten(text).text, names)  # noqa: S102
    found = model.evaluate(rows, labels, verbose=0)
    expected = COMPILED[arguments] * np.abs(model.predict(rows, verbose=0)[:, 0] - labels).mean()
    assert np.isclose(found[-1], expected, rtol=1e-5)


def test_only_what_compile_is_given_changes():
    text = f"{HEAD}model.compile('sgd', 'mse', metrics=[gap])\nmodel.fit(x, y, nb_epoch=1)\n"
    result = rewritten(text)
    assert len(re.findall("= targets_of_keras_2", result.text)) == 1
    again = rewritten(result.text)
    assert not again.changed and "targets" not in notes(again)


def test_a_script_that_does_not_change_is_told():
    text = f"{HEAD}model.compile('sgd', 'mse', metrics=[gap])\n".replace("K.", "np.")
    result = rewritten(text)
    assert not result.changed and [one.line for one in result.findings.silent] == [3]


@pytest.mark.parametrize("metric", ["lambda y, p: p", "gap"])
def test_what_is_not_written_here_is_said(metric):
    text = f"from mine import gap\nmodel.compile('sgd', 'mse', metrics=[{metric}])\n"
    result = rewritten(f"{text}model.fit(x, y, nb_epoch=1)\n")
    assert "(N, N)" in notes(result) and [one.line for one in result.findings.silent] == [2]
