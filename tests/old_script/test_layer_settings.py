"""Settings and variables of layers and optimizers by the names of Keras 1."""

import pytest
from lines_that_change import becomes, notes, rewritten

HEAD = """
from keras.layers import Convolution1D, Dense, Dropout, Embedding, LSTM
from keras.models import Model, Sequential
model = Sequential()
model.add(LSTM(4, inner_activation='sigmoid', input_shape=(3, 2)))
gate, word, part = LSTM(4), Embedding(5, 2), Dropout(p=0.5)
class Mine:
    def __init__(self):
        self.stride = 3
"""
# What a layer is asked for -> (today's, what is said).
ASKED = {
    "model.layers[0].inner_activation": ("model.layers[0].recurrent_activation", ""),
    "rate = part.p": ("rate = part.rate", ""),
    "part.p = 0.2": ("part.rate = 0.2", ""),
    "gate.inner_activation = f": ("gate.inner_activation = f", "pass recurrent_activation=…"),
    "size = Dense(3)\nprint(size.output_dim)": ("size = Dense(3)\nprint(size.units)", ""),
    "print(word.output_dim)": ("print(word.output_dim)", ""),
    "print(model.layers[1].output_dim)": ("print(model.layers[1].output_dim)", "write units"),
    "print(model.layers[1].stride)": ("print(model.layers[1].stride)", ""),
    "print(other.nb_filter)": ("print(other.nb_filter)", ""),
    "for layer in model.layers:\n    print(layer.border_mode)": (
        "for layer in model.layers:\n    print(layer.padding)",
        "",
    ),
    "[layer.filter_length for layer in model.layers]": (
        "[layer.kernel_size[0] for layer in model.layers]",
        "",
    ),
    "hasattr(gate, 'inner_activation')": ("hasattr(gate, 'recurrent_activation')", ""),
    "getattr(gate, 'filter_length')": ("getattr(gate, 'filter_length')", "is kernel_size[0] today"),
    "hasattr(gate, 'filter_length')": ("hasattr(gate, 'kernel_size')", ""),
    "hasattr(other, 'inner_activation')": ("hasattr(other, 'inner_activation')", ""),
}


@pytest.mark.parametrize("line", ASKED)
def test_a_setting_has_its_name_of_today(line):
    new, said = ASKED[line]
    becomes(HEAD, line, new, said)


# What Theano's variables were asked for -> today's.
VARIABLES = {
    "model.optimizer.lr.get_value()": "ops.convert_to_numpy(model.optimizer.learning_rate)",
    "model.optimizer.lr.set_value(0.1)": "model.optimizer.learning_rate.assign(0.1)",
    "model.weights[0].get_value()": "ops.convert_to_numpy(model.weights[0])",
    "[w.get_value() for w in gate.weights]": "[ops.convert_to_numpy(w) for w in gate.weights]",
    "for w in model.trainable_weights:\n    w.set_value(w.get_value() * 2)": "for w in "
    "model.trainable_weights:\n    w.assign(ops.convert_to_numpy(w) * 2)",
    "[w.get_value() for w in rows.weights]": "[w.get_value() for w in rows.weights]",
    "field.get_value()": "field.get_value()",
    "field.lr.get_value()": "field.lr.get_value()",
}


@pytest.mark.parametrize("line", VARIABLES)
def test_a_variable_is_read_and_set_as_today(line):
    becomes(HEAD, line, VARIABLES[line])


# Lines of which another object than a layer of Keras is meant.
OTHERS = {
    "img.layers": "for one in img.layers:\n    print(one.p, one.b, one.W.get_value())",
    "a loop of its own": "def quiet(net):\n    for layer in net.modules():\n        layer.p = 0.0",
    "a parameter": "def rate(layer):\n    return layer.p, layer.W.get_value()",
    "a comprehension": "[layer.p for layer in things.modules()]",
    "another loop": "part = Dropout(0.5)\nfor part in things:\n    print(part.p)",
    "a class attribute": "class Fade:\n    p = 0.5\nfor layer in model.layers:\n    layer.p = 1",
    "a text": "hasattr(part, 'border' '_mode')",
    "an optimizer": "class Job:\n    def __init__(self):\n        self.optimizer = Own()\n"
    "job = Job()\njob.optimizer.lr = job.optimizer.lr.get_value()",
}


@pytest.mark.parametrize("way", OTHERS)
def test_what_only_looks_like_a_layer_stays(way):
    loop = "for layer in model.layers:\n    print(layer.name)\n"
    becomes(HEAD + loop, OTHERS[way], OTHERS[way], "")


def test_a_script_of_today_stays():
    text = "import keras\nfor layer in model.layers:\n    layer.p = layer.stride\n"
    assert not rewritten(text).changed


# What is set in another way than by a plain assignment, and what cannot be said for certain.
SAID = {
    "gate.dropout_W *= 0.5": "pass dropout=…",
    "model.layers[0].W += 3": "set one with",
    "part.p, gate.inner_activation = 2, 3": "pass recurrent_activation=…",
    "LSTM(4).b": "see layer.weights",
    "for layer in model.layers:\n    hasattr(layer, 'W')": "W is kernel today",
    "setattr(gate, 'inner_activation', f)": "is recurrent_activation today",
    "print(model.layers[0].atrous_rate)": "write dilation_rate",
}


@pytest.mark.parametrize("line", SAID)
def test_what_is_left_to_the_reader_is_said(line):
    assert SAID[line] in notes(rewritten(HEAD + line + "\n"))


MORE = {
    "setattr(part, 'p', 0.1)": "setattr(part, 'rate', 0.1)",
    "a = model.layers[0]\nprint(a.W)": "a = model.layers[0]\nprint(a.weights[0])",
    "for i, w in enumerate(model.weights):\n    w.get_value(borrow=True)": "for i, w in "
    "enumerate(model.weights):\n    ops.convert_to_numpy(w)",
    "v = model.weights[0]\nv.set_value(3, borrow=True)": "v = model.weights[0]\nv.assign(3)",
    "[w.get_value() for w in model.weights[:2]]": "[ops.convert_to_numpy(w) for w in "
    "model.weights[:2]]",
    "for layer in model.layers:\n    print(layer.b)": "for layer in model.layers:\n"
    "    print(layer.bias)",
    "class L:\n    W = 3\nd = Dense(3)\nprint(d.W)": "class L:\n    W = 3\nd = Dense(3)\n"
    "print(d.kernel)",
}


@pytest.mark.parametrize("line", MORE)
def test_layers_and_weights_are_followed(line):
    becomes(HEAD, line, MORE[line])


def test_the_weights_are_those_of_keras_1():
    text = """
    import keras
    from keras.layers import SeparableConvolution2D, SimpleRNN
    rows, image = SimpleRNN(4, inner_init='orthogonal'), SeparableConvolution2D(3, 3, 3)
    rows.build((None, 5, 2))
    image.build((None, 8, 8, 2))
    found = rows.W.get_value().shape, rows.b.get_value().shape, image.b.get_value().shape
    """
    names = {}
    exec(rewritten(text).text, names)  # noqa: S102
    assert names["found"] == ((2, 4), (4,), (3,))


def test_what_is_not_of_keras_stays():
    text = HEAD + "for w in rows:\n    print(w.get_value(), w.p, w.stride)\n"
    assert text.splitlines()[-1] in rewritten(text).text
