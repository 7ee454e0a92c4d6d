"""Functions with a name in `Lambda` layers."""

import keras
import numpy as np
import pytest
from lines_that_change import rewritten

MODEL = """
from keras.layers import Dense, Lambda
from keras.models import Sequential, clone_model, load_model, model_from_json
def doubled(v):
    return v * 2
def other(v):
    return v
model = Sequential([Lambda(doubled, input_shape=(8,)), Dense(1, init='uniform')])
"""
AGAIN = {
    "file": "model.save('m.h5'); again = load_model('m.h5')",
    "other objects": "model.save('m.h5'); again = load_model('m.h5', custom_objects={'o': other})",
    "clone": "again = clone_model(model); again.set_weights(model.get_weights())",
    "json": "again = model_from_json(model.to_json()); again.set_weights(model.get_weights())",
    "settings": "again = Sequential.from_config(model.get_config()); "
    "again.set_weights(model.get_weights())",
}


@pytest.mark.parametrize("way", AGAIN)
def test_a_model_is_made_again(way, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = rewritten(MODEL + AGAIN[way])
    assert result.text.count("register_keras_serializable()\ndef doubled") == 1
    assert "serializable()\ndef other" not in result.text
    names = {}
    exec(result.text, names)  # noqa: S102
    rows = np.random.default_rng(0).random((4, 8), "float32")
    expected = names["model"].predict(rows, verbose=0)
    assert np.array_equal(names["again"].predict(rows, verbose=0), expected)
    keras.saving.get_custom_objects().clear()


@pytest.mark.parametrize(
    "line",
    [
        "load_model('m.h5', custom_objects={'doubled': doubled})",
        "load_model('m.h5', custom_objects=dict(doubled=doubled))",
        "keras.utils.get_custom_objects().update({'doubled': doubled}); load_model('m.h5')",
        "model.fit(x, y)",
    ],
)
def test_a_function_that_is_found_stays(line):
    assert "register" not in rewritten(MODEL + line).text


def test_another_function_of_the_name_is_not_meant():
    text = MODEL.replace("Lambda(doubled", "Lambda(make().doubled") + "load_model('m.h5')"
    assert "register" not in rewritten(text).text
