"""Settings and variables of layers and optimizers by the names of Keras 1."""

import pytest
from lines_that_change import becomes, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

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
    "getattr(gate, 'filter_length')": ("getattr(gate, 'filter_length')", "write kernel_size[0]"),
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


def test_what_is_not_of_keras_stays():
    text = HEAD + "for w in rows:\n    print(w.get_value(), w.p, w.stride)\n"
    assert text.splitlines()[-1] in rewritten(text).text
