"""The input and the output of a network, and functions of its tensors."""

import pytest
from lines_that_change import becomes, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = """
import keras
from keras import backend as K
from keras.models import Sequential, load_model
model = Sequential()
model.fit(x, y, nb_epoch=1)
def build():
    net = Sequential()
    return net
class Trainer:
    def __init__(self):
        self.model = build()
        self.input = 3
"""
# What a network is asked for -> today's.
ASKED = {
    "model.input": "model.inputs[0]",
    "model.output.shape": "model.outputs[0].shape",
    "build().output": "build().output",
    "net = build()\nprint(net.output)": "net = build()\nprint(net.outputs[0])",
    "Trainer().model.input": "Trainer().model.input",
    "model.layers[0].input": "model.layers[0].input",
    "trainer = Trainer()\nprint(trainer.input)": "trainer = Trainer()\nprint(trainer.input)",
    "net = load_model('net.keras')\nprint(net.input)": "net = load_model('net.keras')\n"
    "print(net.inputs[0])",
    "net = make()\nprint(net.input)": "net = make()\nprint(net.input)",
    "net = keras.Model(a, b)\nprint(net.input)": "net = keras.Model(a, b)\nprint(net.input)",
}


@pytest.mark.parametrize("lines", ASKED)
def test_a_sequential_is_asked_for_its_first_tensor(lines):
    becomes(HEAD, lines, ASKED[lines], "")


def test_a_loaded_network_may_be_another_one():
    lines = "net = load_model('net.keras')\nprint(net.input, keras.Model(a, b))"
    becomes(HEAD, lines, lines, "")


BUILT = """
import keras
from keras.layers import Input
from keras.models import Model, Sequential
model.fit(x, y, nb_epoch=1)
rows = Input((8,), name='rows')
net = Model(rows, layer(rows))
first = Sequential()
first.add(layer)
first.add(layer)
"""
# What a layer is asked for -> today's.
OF_LAYERS = {
    "net.layers[0].input": "net.layers[0].output",
    "net.layers[1].input": "net.layers[1].input",
    "net.get_layer('rows').input": "net.get_layer('rows').output",
    "net.get_layer(index=0).input": "net.get_layer(index=0).output",
    "net.get_layer('other').input": "net.get_layer('other').input",
    "first.layers[0].input": "first.layers[0].input",
    "keras.applications.VGG16().layers[0].input": "keras.applications.VGG16().layers[0].output",
    "base = keras.models.load_model('a.h5')\nbase.layers[0].input": "base = "
    "keras.models.load_model('a.h5')\nbase.inputs[0]",
    "net = keras.models.load_model('a.h5')\nnet.layers[0].input": "net = "
    "keras.models.load_model('a.h5')\nnet.inputs[0]",
    "first.get_layer('rows').input": "first.get_layer('rows').input",
    "net.layers[0].input_shape": "net.layers[0].output.shape",
    "first.layers[0].input_shape": "first.layers[0].input.shape",
    "def f(model):\n    return model.layers[0].input": "def f(model):\n    return model.inputs[0]",
    "def f(thing):\n    return thing.layers[0].input": "def f(thing):\n"
    "    return thing.layers[0].input",
}


@pytest.mark.parametrize("line", OF_LAYERS)
def test_an_input_layer_has_no_input(line):
    becomes(BUILT, line, OF_LAYERS[line], "")


# A function of the old backend -> (today's, what is said).
FUNCTIONS = {
    "K.function([a], [b])": ("function_of_keras_2([a], [b])", ""),
    "K.function([a, K.learning_phase()], [b])": ("function_of_keras_2([a, None], [b])", ""),
    "K.function(inputs=[a], outputs=[b], updates=[])": (
        "function_of_keras_2(inputs=[a], outputs=[b])",
        "",
    ),
    "K.function([a], [b], updates=found)": ("K.function([a], [b], updates=found)", "is gone"),
    "K.function([a], [b], updates=[c])": ("K.function([a], [b], updates=[c])", "is gone"),
    "K.function(*given)": ("K.function(*given)", "is gone"),
    "K.learning_phase()": ("K.learning_phase()", "is gone"),
}


@pytest.mark.parametrize("line", FUNCTIONS)
def test_functions_of_tensors(line):
    new, said = FUNCTIONS[line]
    result = becomes(HEAD, line, new, said)
    assert not rewritten(result.text).changed
