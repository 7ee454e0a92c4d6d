"""Weights of samples that are given by the names of the outputs."""

import numpy as np
import pytest
from lines_that_change import becomes, rewritten

HEAD = """
from keras import backend as K
from keras.layers import Dense, Input
from keras.models import Model
rows = Input((4,))
both = [Dense(1, name='b')(rows), Dense(1, name='a')(rows)]
net = Model(input=rows, output=both)
one = Model(input=rows, output=both[1])
weights = {'a': numpy.ones(8), 'b': numpy.zeros(8)}
targets = dict(a=t, b=t)
"""
NEW = "in_order(net, weights)"
TARGETS = "in_order(net, targets)"
TOLD = "sample_weight by names"
# A line -> (today's, what is said).
LINES = {
    "net.fit(x, targets, sample_weight=weights)": (
        f"net.fit(x, {TARGETS}, sample_weight={NEW})",
        "",
    ),
    "net.fit(x, [t, t], sample_weight=weights)": (f"net.fit(x, [t, t], sample_weight={NEW})", ""),
    "net.train_on_batch(x, [t, t], weights)": (f"net.train_on_batch(x, [t, t], {NEW})", ""),
    "net.fit(x, [t, t], validation_data=(v, targets, weights))": (
        f"net.fit(x, [t, t], validation_data=(v, {TARGETS}, {NEW}))",
        "",
    ),
    "net.fit(x, [K.square(t), t], sample_weight={'a': K.abs(t), 'b': t})": (
        "net.fit(x, [ops.square(t), t], sample_weight=in_order(net, {'a': ops.abs(t), 'b': t}))",
        "",
    ),
    "net.fit(x, [t, t], sample_weight=[t, t])": ("net.fit(x, [t, t], sample_weight=[t, t])", ""),
    "one.fit(x, t, sample_weight={'a': t})": (
        "one.fit(x, t, sample_weight=in_order(one, {'a': t}))",
        "",
    ),
    # Keras 2 took a missing one as 1.
    "net.fit(x, [t, t], sample_weight={'a': t})": (
        "net.fit(x, [t, t], sample_weight={'a': t})",
        TOLD,
    ),
    "net.fit(x, read(), sample_weight=weights)": (
        "net.fit(x, read(), sample_weight=weights)",
        TOLD,
    ),
    "unseen.fit(x, t, sample_weight=weights)": ("unseen.fit(x, t, sample_weight=weights)", TOLD),
    "heads = Model(rows, build(rows))\nheads.fit(x, [t, t], sample_weight={'a': t})": (
        "heads = Model(rows, build(rows))\nheads.fit(x, [t, t], sample_weight={'a': t})",
        TOLD,
    ),
    "both.append(b)\nnet.fit(x, [t, t], sample_weight=weights)": (
        "both.append(b)\nnet.fit(x, [t, t], sample_weight=weights)",
        TOLD,
    ),
    "w = None\nif c:\n    w = {'a': t, 'b': t}\nnet.fit(x, [t, t], sample_weight=w)": (
        "w = None\nif c:\n    w = {'a': t, 'b': t}\nnet.fit(x, [t, t], sample_weight=w)",
        TOLD,
    ),
    "val = (v, targets, weights)\nnet.fit(x, [t, t], validation_data=val)": (
        "val = (v, targets, weights)\nnet.fit(x, [t, t], validation_data=val)",
        TOLD,
    ),
    "def fit(x):\n    return x\nfit(3)": ("def fit(x):\n    return x\nfit(3)", ""),
    "pair = Model(rows, {'a': p, 'b': q})\npair.fit(x, targets, sample_weight=weights)": (
        "pair = Model(rows, {'a': p, 'b': q})\npair.fit(x, targets, sample_weight=weights)",
        "",
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_weights_come_in_the_order_of_the_outputs(line):
    new, said = LINES[line]
    becomes(HEAD, line, new, said)


def test_what_is_given_is_computed_once():
    names = {"numpy": np, "x": np.ones((8, 4)), "t": np.full(8, 5.0), "asked": []}
    begin = HEAD + "def draw(name):\n    asked.append(name)\n    return t\n"
    begin += "net.compile('sgd', 'mse')\n"
    line = "net.fit(x, {'b': draw('b'), 'a': draw('a')}, sample_weight=weights, verbose=0)\n"
    exec(rewritten(f"{begin}for name in 'cd':\n    {line}").text, names)  # noqa: S102
    assert names["asked"] == ["b", "a"] * 2


def test_each_output_has_its_own_weights():
    """With weight 0 for one output, only the other learns; the first `fit` fails as it was."""
    names = {"numpy": np, "x": np.ones((8, 4)), "t": np.full(8, 5.0)}
    lines = "net.compile('sgd', 'mse')\nnet.fit(x, targets, sample_weight=weights, nb_epoch=1)\n"
    exec(rewritten(HEAD + "before = net.get_weights()\n" + lines).text, names)  # noqa: S102
    first, second = (names["before"][i] for i in (0, 2))
    now = names["net"].get_weights()
    assert np.array_equal(first, now[0]) and not np.array_equal(second, now[2])
    with pytest.raises(KeyError):
        names["net"].fit(names["x"], names["targets"], sample_weight=names["weights"])
