"""What stops an old script besides Keras: lists, Python 2, other libraries."""

import textwrap

import pytest
from lines_that_change import notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = """
import numpy as np
from keras.layers import Dense
from keras.models import Sequential
model = Sequential([Dense(1)])
model.compile('sgd', 'mse')
other = np.ones((2, 1))
"""
# Lines that make `rows` -> whether it is certain that fit needs an array; None: the reader is told.
LISTS = {
    "rows = [1, -2.5]": True,
    "rows = [[1, 2], [3, 4]]": True,
    "rows = [0] * 8 + [1] * 8": True,
    "rows = [number, 3]": True,
    "import math\ndef draw(n):\n    found = []\n    for i in n:\n        one = math.sin(i)\n"
    "        found.append(one)\n    return found\nrows = draw(other)": True,
    "def draw(n):\n    if n:\n        return [1]\n    return other\nrows = draw(other)": False,
    "rows = list(range(8))": True,
    "rows = list(map(int, words))": True,
    "rows = [1 if word else 0 for word in words]": True,
    "rows = [names.index(word) for word in words]": True,
    "rows = other.tolist()": True,
    "rows = []\nfor word in words:\n    rows.append(len(word))": True,
    "rows = []\nfor word in words:\n    rows.append([1, len(word)])": True,
    "rows = []\nfor word in words:\n    rows.append(read(word))": None,
    "rows = [read(word) for word in words]": None,
    "rows = [other, other]": False,
    "rows = []\nrows.append(1)\nrows = np.array(rows)": False,
    "def rest():\n    rows = []\n    rows.append(1)\nrows = []": None,
    "rows = [[other], [other]]": False,
    "def range(count):\n    return other\nrows = range(8)": False,
    "rows = other": False,
    "rows = read()": False,
    "def rest():\n    rows = [1, 2]\nfrom data import rows": False,
}


@pytest.mark.parametrize("line", LISTS)
@pytest.mark.parametrize("call", ["model.fit(rows, other)", "model.evaluate(other, y=rows)"])
def test_a_list_of_numbers_becomes_an_array(line, call):
    made = rewritten(f"{HEAD}{line}\n{call}\nmodel.fit(other, nb_epoch=1)\n")
    new = call.replace("rows", "np.array(rows)") if LISTS[line] else call
    assert f"\n{new}\n" in made.text
    assert ("rows is a Python list" in notes(made)) == (LISTS[line] is None)


def test_lists_for_several_inputs_are_the_reader_s():
    text = """
        from keras.models import Model
        model = Model(inputs=[a, b], outputs=c)
        model.fit([[1, 2], [3, 4]], y, nb_epoch=1)
        """
    made = rewritten(text)
    assert "model.fit([[1, 2], [3, 4]], y, epochs=1)" in made.text
    assert "several inputs" in notes(made)


def test_a_split_list_and_the_data_to_validate_with():
    only(
        """
        import numpy as np
        from keras.models import Sequential
        from sklearn.model_selection import train_test_split
        model = Sequential()
        labels = [0, 1, 0, 1]
        a, b, c, d = train_test_split(np.ones((4, 2)), labels)
        model.fit(a, c[:1], validation_data=(b, d))
        """,
        {
            "model.fit(a, c[:1], validation_data=(b, d))": "model.fit(a, np.array(c[:1]), "
            "validation_data=(b, np.array(d)))"
        },
    )


def test_lists_of_other_libraries_stay():
    only(
        """
        import keras
        from sklearn.svm import SVC
        model = SVC()
        model.fit([[1, 2]], [0])
        judge = made_elsewhere()
        judge.fit([[1, 2]], [0])
        keras.optimizers.Adam(lr=0.1)
        """,
        {"keras.optimizers.Adam(lr=0.1)": "keras.optimizers.Adam(learning_rate=0.1)"},
    )


# An old line -> (the line today, a piece of what is said).
LINES = {
    "import cPickle": ("import pickle as cPickle", "opened with 'rb'"),
    "import cPickle as pickle": ("import pickle", "opened with 'rb'"),
    "from cPickle import load": ("from pickle import load", "opened with 'rb'"),
    "import os, Queue": ("import os, queue as Queue", ""),
    "from StringIO import StringIO": ("from io import StringIO", ""),
    "if table.has_key(name + 's'): pass": ("if (name + 's' in table): pass", ""),
    "from sklearn.cross_validation import train_test_split": (
        "from sklearn.model_selection import train_test_split",
        "",
    ),
    "from sklearn.cross_validation import StratifiedKFold": (
        "from sklearn.model_selection import StratifiedKFold",
        "n_splits=",
    ),
    "from sklearn.externals import joblib": ("import joblib", ""),
    "from scipy.misc import imread, imresize": (
        "from scipy.misc import imread, imresize",
        "scipy.misc.imresize is gone: numpy.array(PIL",
    ),
    "import scipy.misc; scipy.misc.imsave('a.png', x)": (
        "import scipy.misc; scipy.misc.imsave('a.png', x)",
        "imageio.v2.imwrite",
    ),
    "from scipy import misc; image = misc.imread('a.png')": (
        "from scipy import misc; image = misc.imread('a.png')",
        "imageio.v2.imread",
    ),
    "import numpy as np; np.save(open('a.npy', 'w'), x)": (
        "import numpy as np; np.save(open('a.npy', 'wb'), x)",
        "",
    ),
    "import pickle; x = pickle.load(open(path, 'rb'))": (
        "import pickle; x = pickle.load(open(path, 'rb'))",
        "",
    ),
    "import pickle; pickle.dump(x, open(path, 'w'))": (
        "import pickle; pickle.dump(x, open(path, 'wb'))",
        "",
    ),
    "y = [0] * (n/2) + (n / 2) * [1]": ("y = [0] * (n//2) + (n // 2) * [1]", ""),
    "y = (n / 2) * values": ("y = (n / 2) * values", ""),
    "from keras_contrib.layers import CRF": (
        "from keras_contrib.layers import CRF",
        "keras_contrib does not run with Keras 3",
    ),
    "import keras_contrib": ("import keras_contrib", "GroupNormalization"),
    "from keras.applications.imagenet_utils import _obtain_input_shape": ("", "input_shape"),
    "from keras.regularizers import WeightRegularizer": (
        "from keras.regularizers import L1L2 as WeightRegularizer",
        "",
    ),
    "from keras.regularizers import ActivityRegularizer, l2": (
        "from keras.regularizers import L1L2 as ActivityRegularizer, l2",
        "",
    ),
    "from tensorflow.keras.mixed_precision import experimental as mixed": (
        "from tensorflow.keras import mixed_precision as mixed",
        "",
    ),
    "import tensorflow as tf; tf.keras.mixed_precision.experimental.set_policy('mixed_float16')": (
        "import tensorflow as tf; tf.keras.mixed_precision.set_global_policy('mixed_float16')",
        "",
    ),
    "import tensorflow as tf; rate = tf.keras.experimental.CosineDecay(0.1, 9)": (
        "import tensorflow as tf; rate = tf.keras.optimizers.schedules.CosineDecay(0.1, 9)",
        "",
    ),
    "import tensorflow as tf; net = tf.keras.experimental.WideDeepModel(a, b)": (
        "import tensorflow as tf; net = tf.keras.experimental.WideDeepModel(a, b)",
        "WideDeepModel: write both parts",
    ),
    "keras.optimizers.Adam().minimize(loss)": (
        "keras.optimizers.Adam().minimize(loss)",
        "tf.GradientTape",
    ),
    "keras.callbacks.TensorBoard('logs')": (
        "keras.callbacks.TensorBoard('logs')",
        "pip install tensorboard",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_another_library(line):
    new, said = LINES[line]
    made = rewritten(f"import keras\n{line}\nkeras.optimizers.Adam(lr=0.1)\n")
    lines = [one for one in made.text.splitlines() if one]
    assert new in lines or not new
    assert len(lines) == 2 + bool(new)
    assert said in notes(made) and bool(said) == bool(notes(made))


@pytest.mark.parametrize("line", [line for line, (new, said) in LINES.items() if new == line])
def test_what_fails_is_said_of_a_script_with_no_other_old_line(line):
    made = rewritten(f"import keras\n{line}\n")
    if "TensorBoard" in line or not LINES[line][1]:  # it runs where the package is installed
        assert not notes(made)
        return
    assert not made.changed and LINES[line][1] in notes(made)


# Lines for Python 2 and 3, or of something else that bears the name.
STAY = [
    "try:\n    import cPickle as pickle\nexcept ImportError:\n    import pickle",
    "try:\n    import queue\nexcept ImportError:\n    import Queue as queue",
    "import sys\nif sys.version_info[0] == 2:\n    import cPickle\nelse:\n    import pickle",
    "class Table:\n    def has_key(self, name):\n        return name\nTable().has_key('a')",
    "def minimize(loss):\n    return loss\nminimize(loss)",
    "from scipy.optimize import minimize\nminimize(loss, start)",
    "class Line:\n    def __init__(self):\n        self.W = 1\nline = Line()\nprint(line.W)",
    "weights = {'W': 1}\nprint(layer.W, layer.b)",
]


@pytest.mark.parametrize("text", STAY)
def test_what_runs_as_it_is_stays(text):
    made = rewritten(f"import keras\n{text}\n")
    assert not made.changed and not notes(made)


# What of Keras 1 a layer is asked -> today.
WEIGHTS = {
    "Dense(2)": ("one.kernel", "one.bias"),
    "keras.layers.Conv2D(2, 3)": ("one.kernel", "one.bias"),
    "keras.layers.Embedding(5, 2)": ("one.embeddings", "one.b"),
    "model.get_layer('a')": ("one.weights[0]", "one.bias"),
    "keras.layers.Input((2,))": ("one.W", "one.b"),
}


@pytest.mark.parametrize("made", WEIGHTS)
def test_the_weights_of_a_layer(made):
    text = f"{HEAD}import keras\none = {made}\nprint(one.W, one.b)\nmodel.fit(x, nb_epoch=1)\n"
    assert f"print({', '.join(WEIGHTS[made])})" in rewritten(text).text


def test_a_layer_of_the_script_s_own_keeps_its_weights():
    text = """
        import keras
        class Own(keras.layers.Layer):
            def build(self, shape):
                self.W = self.add_weight(shape=shape, name='W')
        one = Own()
        print(one.W, model.layers[0].W)
        model.fit(x, nb_epoch=1)
        """
    only(text, {"model.fit(x, nb_epoch=1)": "model.fit(x, epochs=1)"})


def test_data_that_a_callback_no_longer_gets_are_said_unless_it_has_its_own():
    text = """
        from keras.callbacks import Callback
        class Scores(Callback):
            def on_epoch_end(self, epoch, logs=None):
                print(self.model.predict(self.validation_data[0]))
        model.fit(x, y, nb_epoch=1)
        """
    assert "5: self.validation_data: Keras 3 gives a callback no data" in notes(rewritten(text))
    own = text.replace(
        "            def on",
        "            def __init__(self, data):\n                self.validation_data = data\n"
        "            def on",
    )
    assert not notes(rewritten(own))


# A call of the old backend -> whether the reader has to write it anew.
BACKEND = {
    "K.zeros((3,))": True,
    "K.variable(1.0)": True,
    "K.mean(*rows)": True,
    "K.mean(rows)": False,
    "K.epsilon()": False,
    "K.gradients(rows, rows)": False,  # a note of its own
    "K.ctc_batch_cost(a, b, c, d)": False,  # tensorflow.keras still has it
    "K.nothing_of_the_kind(rows)": True,
}


@pytest.mark.parametrize("call", BACKEND)
def test_what_is_left_of_the_old_backend_is_said(call):
    made = rewritten(f"from keras import backend as K\nx = {call}\nmodel.fit(x, nb_epoch=1)\n")
    assert ("2: keras.backend." in notes(made)) == BACKEND[call]


def test_a_weight_that_becomes_add_weight_needs_nothing_more():
    text = """
        from keras import backend as K
        from keras.engine.topology import Layer
        class Own(Layer):
            def build(self, shape):
                self.b = K.zeros((3,))
                self.trainable_weights = [self.b]
        """
    made = rewritten(text)
    assert "self.b = self.add_weight(" in made.text and not notes(made)
    other = "\nclass Other(Layer):\n    def build(self, shape):\n        self.b = None\n"
    made = rewritten(textwrap.dedent(text) + other)
    assert "self.b = self.add_weight(" in made.text and not notes(made)
