"""Functions of the old backend, beside what Keras 2 computes."""

import keras
import numpy as np
import pytest
import tf_keras
from lines_that_change import becomes, notes, rewritten

HEAD = "from keras import backend as K\nfrom keras.layers import Dense, Input, Lambda, Layer\n"
ROWS = np.array([[1.0, -2.0, 3.0], [0.0, 0.5, -0.25]], "float32")
LINES = [
    "K.sqrt(x)",
    "K.sqrt(K.sum(x, axis=-1))",
    "K.sqrt(K.sum(K.square(x), axis=-1))",
    "K.sqrt(K.sum(x ** 2) + K.sum(K.square(x)) - 30)",
    "K.l2_normalize(x)",
    "K.l2_normalize(x, axis=-1)",
    "K.l2_normalize(x, 0)",
    "K.bias_add(x, x[0])",
    "K.bias_add(x * 2, x[0]) * 3",
]


@pytest.mark.parametrize("line", LINES)
def test_it_computes_what_keras_2_computes(line):
    expected = eval(line, {"K": tf_keras.backend, "x": tf_keras.backend.constant(ROWS)})
    text = rewritten(f"{HEAD}found = {line}\n").text
    assert line not in text
    names = {"x": keras.ops.convert_to_tensor(ROWS)}
    exec(text, names)  # noqa: S102
    assert np.allclose(keras.ops.convert_to_numpy(names["found"]), np.array(expected), atol=1e-6)


@pytest.mark.parametrize("inside", ["K.sum(K.square(x))", "K.abs(x) + K.epsilon()", "x**2 * 3"])
def test_what_is_never_negative_gets_no_limit(inside):
    text = rewritten(f"{HEAD}found = K.sqrt({inside})\n").text
    assert "maximum" not in text and "ops.sqrt(" in text


@pytest.mark.parametrize(
    "inside", ["x", "K.sum(x)", "K.square(x) - 1", "K.sum(x) * K.sum(x)", "square(x)", "-3"]
)
def test_what_may_be_negative_is_limited(inside):
    head = f"{HEAD}def square(x):\n    return x\n"
    assert "ops.sqrt(ops.maximum(" in rewritten(f"{head}found = K.sqrt({inside})\n").text


def test_a_bias_is_added_along_the_channels_where_the_script_says_where_they_are():
    text = "K.set_image_data_format('channels_first')\nfound = K.bias_add(x, b)\n"
    assert "K.bias_add(x, b)" in rewritten(HEAD + text).text


def test_a_call_without_its_argument_is_left():
    assert "K.sqrt()" in rewritten(f"{HEAD}K.mean(x)\nfound = K.sqrt()\n").text


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("n = int(a.get_shape()[2])", "n = int(a.shape[2])"),
        ("n = a.get_shape()[1].value", "n = a.shape[1]"),
        ("n = a.get_shape().as_list()[-1]", "n = list(a.shape)[-1]"),
        ("n = Dense(2)(a).get_shape()", "n = Dense(2)(a).shape"),
    ],
)
def test_the_shape_of_a_tensor(line, new):
    result = becomes(f"{HEAD}a = Input((3, 4))\n", line, new, said="")
    exec(result.text, {})  # noqa: S102


def test_a_get_shape_of_the_script_s_own_stays():
    line = "class Mine:\n    def get_shape(self):\n        return 3\nn = Mine().get_shape()"
    assert "Mine().get_shape()" in rewritten(f"{HEAD}K.mean(x)\n{line}\n").text


IN_CALL = """
class Noisy(Layer):
    def call(self, inputs, training=None):
        def noised():
            return inputs * 2
        return K.in_train_phase({})
"""


@pytest.mark.parametrize(
    ("given", "new"),
    [
        ("noised, inputs, training=training", "(noised() if training else inputs)"),
        (
            "lambda: inputs * 2, inputs, training",
            "((lambda: inputs * 2)() if training else inputs)",
        ),
        ("inputs * 2, inputs, training=training", "(inputs * 2 if training else inputs)"),
    ],
)
def test_a_layer_that_does_another_thing_in_training(given, new):
    result = rewritten(HEAD + IN_CALL.format(given) + "model.fit(x, nb_epoch=1)\n")
    assert f"return {new}" in result.text
    names = {"model": keras.Sequential(), "x": ROWS}
    exec(result.text.rpartition("model.fit")[0], names)  # noqa: S102
    layer = names["Noisy"]()
    for training, factor in ((True, 2), (False, 1), (None, 1)):
        answer = keras.ops.convert_to_numpy(layer(ROWS, training=training))
        assert np.array_equal(answer, ROWS * factor)


@pytest.mark.parametrize("given", ["t * 2, t", "t * 2, t, training=None"])
def test_a_lambda_that_does_another_thing_in_training_is_said(given):
    result = rewritten(f"{HEAD}Lambda(lambda t: K.in_train_phase({given}))\n")
    assert f"K.in_train_phase({given})" in result.text
    assert "call(self, inputs, training=None)" in notes(result)


@pytest.mark.parametrize(
    "inputs",
    ["[a] + [K.learning_phase()]", "[K.learning_phase()] + [a]", "[a, K.learning_phase()]"],
)
def test_the_learning_phase_among_inputs(inputs):
    text = f"{HEAD}a = Input((3,))\nanswer = K.function({inputs}, [Dense(2)(a)])\n"
    result = rewritten(text)
    assert "learning_phase()]" not in result.text and notes(result) == ""
    names = {}
    exec(result.text, names)  # noqa: S102
    given = [0, ROWS] if inputs.startswith("[K") else [ROWS, 0]
    assert names["answer"](given)[0].shape == (2, 2)


def test_the_learning_phase_in_a_list_with_a_name():
    text = (
        "a = Input((3,))\ngiven = [a, K.learning_phase()]\nf = K.function(given, [Dense(2)(a)])\n"
    )
    assert "given = [a, None]" in rewritten(HEAD + text).text


def test_a_loss_of_a_layer_names_no_inputs():
    head = "from keras.layers import Layer\nclass Own(Layer):\n    def call(self, x):\n"
    becomes(head, "        self.add_loss(x[0, 0], inputs=x)", "        self.add_loss(x[0, 0])", "")
