"""Models that are trained in turn: what was trainable at compile, and what is when they train."""

import keras
import numpy as np
import pytest
from lines_that_change import notes, rewritten

HEAD = """
from keras.layers import Dense, Input
from keras.models import Model, Sequential, load_model
maker, judge, rows = Sequential(), Sequential(), Input((8,))
"""
IN_TURN = """
maker.trainable = False
first = Model(rows, judge(maker(rows)))
first.compile('sgd', 'mse')
maker.trainable = True
judge.trainable = False
second = Model(rows, judge(maker(rows)))
second.compile('sgd', 'mse')
"""
FIRST = "Before this line write maker.trainable = False; judge.trainable = True"
SECOND = "Before this line write maker.trainable = True; judge.trainable = False"
# Lines -> the piece that is said of each of the last ones, or nothing.
SCRIPTS = {
    "in turn": (f"{IN_TURN}first.fit(x)\nsecond.fit(x)", [FIRST, SECOND]),
    "in a function": (
        f"{IN_TURN}def train():\n    first.train_on_batch(x)\n    second.train_on_batch(x)",
        [FIRST, SECOND],
    ),
    "set before each": (
        (
            f"{IN_TURN}maker.trainable, judge.trainable = 0, 1\nmaker.trainable = False\n"
            "judge.trainable = True\nfirst.fit(x)\nmaker.trainable = True\n"
            "judge.trainable = False\nsecond.fit(x)"
        ),
        ["", ""],
    ),
    "compiled anew": (
        (
            "maker.trainable = False\nmaker.compile('sgd', 'mse')\nmaker.fit(x)\n"
            "maker.trainable = True\nmaker.compile('sgd', 'mse')\nmaker.fit(x)"
        ),
        [""],
    ),
    "not compiled anew": (
        "maker.compile('sgd', 'mse')\nmaker.trainable = False\nmaker.fit(x)",
        ["Before this line write maker.trainable = True"],
    ),
    "after its first training": (
        "maker.compile('sgd', 'mse')\nmaker.fit(x)\nmaker.trainable = False\nmaker.fit(x)",
        [""],
    ),
    "layers in a loop": (
        (
            "maker.compile('sgd', 'mse')\nfor one in maker.layers[:2]:\n    one.trainable = False\n"
            "maker.fit(x)"
        ),
        ["Before this line write for layer in maker.layers[:2]: layer.trainable = True"],
    ),
    "added to a network": (
        (
            "both = Sequential()\nboth.add(judge)\nboth.compile('sgd', 'mse')\n"
            "judge.layers[0].trainable = False\nboth.fit(x)"
        ),
        ["Before this line write judge.layers[0].trainable = True"],
    ),
    "another network": (
        "maker.compile('sgd', 'mse')\njudge.trainable = False\nmaker.fit(x)",
        [""],
    ),
    "in a branch": (
        "maker.compile('sgd', 'mse')\nif frozen:\n    maker.trainable = False\nmaker.fit(x)",
        [""],
    ),
    "frozen by a function": (
        (
            "def joined(first, last):\n    last.trainable = False\n"
            "    return Model(rows, last(first(rows)))\n"
            "both = joined(maker, judge)\nboth.compile('sgd', 'mse')\njudge.trainable = True\n"
            "judge.compile('sgd', 'mse')\njudge.trainable = False\nboth.train_on_batch(x)"
        ),
        [""],
    ),
    "frozen by a function in a branch": (
        (
            "def freeze(net):\n    net.trainable = False\nif again:\n    freeze(maker)\n"
            "maker.compile('sgd', 'mse')\nmaker.trainable = True\nmaker.fit(x)"
        ),
        [""],
    ),
    "frozen by a function, not again": (
        (
            "def joined(first, last):\n    last.trainable = False\n"
            "    return Model(rows, last(first(rows)))\n"
            "both = joined(last=judge, first=maker)\nboth.compile('sgd', 'mse')\n"
            "judge.trainable = True\nboth.train_on_batch(x)"
        ),
        ["Before this line write judge.trainable = False"],
    ),
    "a model of the same name": (
        (
            "maker.compile('sgd', 'mse')\ndef load():\n    maker = load_model('a.keras')\n"
            "    maker.trainable = False\n    maker.fit(x)"
        ),
        [""],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_was_trainable_at_compile_is_said(script):
    text, said = SCRIPTS[script]
    result = rewritten(f"{HEAD}{text}\n")
    last = f"{HEAD}{text}".count("\n") + 1
    for line, piece in enumerate(said, last - len(said) + 1):
        mine = [one.text for one in result.findings.silent if one.line == line]
        assert bool(mine) == bool(piece) and piece in "".join(mine), mine
    assert len(notes(result).splitlines()) == len([piece for piece in said if piece])


def test_a_script_of_keras_3_is_not_told():
    text = f"{HEAD}import keras.ops\nx = keras.ops.ones((1, 8))\n{IN_TURN}first.fit(x)\n"
    assert not notes(rewritten(text))


def test_keras_takes_what_is_trainable_when_a_model_first_trains():
    rows = keras.Input((2,))
    maker = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    judge = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    maker.trainable = False
    both = keras.Model(rows, judge(maker(rows)))
    both.compile("sgd", "mse")
    maker.trainable, judge.trainable = True, False
    before = [one.get_weights()[0] for one in (maker, judge)]
    both.train_on_batch(np.ones((2, 2), "float32"), np.ones((2, 1), "float32"))
    same = [np.array_equal(a, b.get_weights()[0]) for a, b in zip(before, (maker, judge))]
    assert same == [False, True]


GAN = """
from keras.layers import BatchNormalization, Dense, Input
from keras.models import Model, Sequential
def build_maker():
    net = Sequential()
    net.add(Dense(4, input_dim=3, init='uniform'))
    net.add(BatchNormalization())
    return net
def build_judge():
    net = Sequential()
    net.add(Dense(1, input_dim=4))
    return net
class Both:
    def __init__(self):
        self.maker, self.judge = build_maker(), build_judge()
        {}
maker, judge = build_maker(), build_judge()
rows = Input((3,))
x = BatchNormalization()(Dense(3)(rows))
base = Model(rows, x)
"""
# What is frozen -> the lines with a BatchNormalization that may be frozen.
NORMALIZED = {
    "judge.trainable = False": [],
    "maker.trainable = False": [7],
    "for one in maker.layers[:2]:\n    one.trainable = False": [7],
    "for one in judge.layers:\n    one.trainable = False": [],
    "base.trainable = False": [19],
    "def freeze(net):\n    net.trainable = False\nfreeze(judge)": [],
    "def freeze(net):\n    net.trainable = False\nfreeze(base)": [19],
    "def freeze(net):\n    net.trainable = False": [7, 19],
    "unseen.trainable = False": [7, 19],
    "maker.trainable = True": [],
    "nets['judge'].trainable = False": [7, 19],
    "setattr(judge, 'trainable', False)": [7, 19],
    "for one in [maker]:\n    one.trainable = False": [7],
    "def fill(net):\n    net.add(x)\nfill(judge)\njudge.trainable = False": [7, 19],
    "alias = judge\nalias.add(x)\njudge.trainable = False": [7, 19],
    "parts = [x]\nparts.append(judge)\nnet = Sequential(parts)\nnet.trainable = False": [19],
    "def make():\n    return build_maker()\nnet = make()\nnet.trainable = False": [7],
}


@pytest.mark.parametrize("frozen", NORMALIZED)
def test_a_frozen_normalization_is_told_where_one_may_be(frozen):
    result = rewritten(GAN.format("pass") + frozen)
    told = [one.line for one in result.findings.silent if "BatchNormalization" in one.text]
    assert told == NORMALIZED[frozen]


@pytest.mark.parametrize(("name", "lines"), [("judge", []), ("maker", [7])])
def test_a_frozen_attribute_is_followed(name, lines):
    result = rewritten(GAN.format(f"self.{name}.trainable = False"))
    told = [one.line for one in result.findings.silent if "BatchNormalization" in one.text]
    assert told == lines
