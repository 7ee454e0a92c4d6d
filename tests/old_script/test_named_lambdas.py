"""Functions with a name in `Lambda` layers."""

import numpy as np
import pytest
from lines_that_change import notes, rewritten

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


def test_the_function_of_the_shape_is_registered_too():
    text = MODEL.replace("def other(v):\n    return v", "def shape_of(shape):\n    return shape")
    text = text.replace("Lambda(doubled, ", "Lambda(doubled, output_shape=shape_of, ")
    result = rewritten(text + "load_model('m.h5')")
    assert result.text.count("register_keras_serializable()\ndef ") == 2


# Functions of which the name does not say which is meant.
SEVERAL = {
    "in a function": "def build():\n    def twice(v):\n        return v * 2\n    Lambda(twice)\n",
    "in a loop": "for k in (2, 3):\n    def twice(v, k=k):\n        return v\n    Lambda(twice)\n",
    "two": "def twice(v):\n    return v\ndef twice(v):\n    return v * 2\nLambda(twice)\n",
}


@pytest.mark.parametrize("way", SEVERAL)
def test_where_a_name_may_mean_several_the_reader_is_told(way):
    result = rewritten(f"{MODEL.replace('doubled, ', 'other, ')}{SEVERAL[way]}load_model('m.h5')")
    assert "serializable()\ndef twice" not in result.text.replace("    ", "")
    assert "custom_objects={'twice': twice}" in notes(result)


def test_only_the_function_of_the_layer_is_registered():
    more = "class Tool:\n    def doubled(self, v):\n        return v\n"
    more += "def inside():\n    def doubled(v):\n        return v * 7\n"
    result = rewritten(MODEL + more + "load_model('m.h5')")
    assert result.text.count("register_keras_serializable()") == 1
    assert "register_keras_serializable()\ndef doubled(v):\n    return v * 2" in result.text
    (line,) = [one.line for one in result.findings.changes if "def doubled" in one.old]
    assert line == 4


def test_a_function_before_the_imports_stays():
    head, _, rest = MODEL.partition("def doubled(v):\n    return v * 2\n")
    text = "def doubled(v):\n    return v * 2\n" + head + rest + "load_model('m.h5')"
    result = rewritten(text)
    assert "register" not in result.text and "custom_objects" in notes(result)


@pytest.mark.parametrize(
    "line",
    [
        "keras.optimizers.Adam.from_config({})",
        "mlflow.sklearn.load_model('m')",
        "load_model('m.keras', custom_objects={doubled.__name__: doubled})",
    ],
)
def test_a_script_of_today_stays(line):
    text = "import keras\nfrom keras.layers import Lambda\nfrom keras.models import load_model\n"
    text += "def doubled(v):\n    return v * 2\nLambda(doubled)\n"
    assert not rewritten(f"{text}{line}\n").changed


def test_another_function_of_the_name_is_not_meant():
    text = MODEL.replace("Lambda(doubled", "Lambda(make().doubled") + "load_model('m.h5')"
    assert "register" not in rewritten(text).text
