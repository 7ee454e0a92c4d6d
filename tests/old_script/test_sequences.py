"""Batches of a `Sequence` of one's own: which lists Keras takes, and where workers belong."""

import keras
import numpy as np
import pytest
from conftest import BACKEND
from lines_that_change import becomes, notes, rewritten

HEAD = """
from keras.utils import Sequence
class Batches(Sequence):
    def __init__(self, rows):
        self.rows = [rows, rows]
        self.labels = labels
    def __len__(self):
        return 2
    def __getitem__(self, index):
        both = [self.rows, self.rows]
        empty = []
"""
# What is returned -> today's.
RETURNS = {
    "[x], [y, z]": "(x,), (y, z)",
    "x, [y, z]": "x, (y, z)",
    "[x, z], y": "(x, z), y",
    "[[x, z], y]": "((x, z), y)",
    "[x, y]": "[x, y]",
    "x, y": "x, y",
    "both, y": "tuple(both), y",
    "self.rows, self.labels": "tuple(self.rows), self.labels",
    "[row for row in x], y": "tuple([row for row in x]), y",
    "empty, y": "empty, y",
    "np.array([x]), y": "np.array([x]), y",
}


@pytest.mark.parametrize("batch", RETURNS)
def test_a_batch_is_made_of_tuples(batch):
    last = "model.fit_generator(Batches(a), epochs=1)\n"
    made = rewritten(f"{HEAD}        return {batch}\n{last}")
    assert f"        return {RETURNS[batch]}\n" in made.text and not notes(made)
    other = f"{HEAD}        return {batch}\n{last}".replace("(Sequence)", "(dict)")
    assert f"        return {batch}\n" in rewritten(other).text


def two_and_two() -> keras.Model:
    """A model of two inputs and two outputs."""
    rows = [keras.Input((2,)), keras.Input((2,))]
    both = keras.layers.concatenate(rows)
    model = keras.Model(rows, [keras.layers.Dense(1)(both), keras.layers.Dense(1)(both)])
    model.compile("sgd", ["mse", "mse"])
    return model


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow takes the types of a batch")
def test_which_lists_keras_takes():
    rows, labels = np.ones((2, 2), "float32"), np.ones((2, 1), "float32")

    class Batches(keras.utils.Sequence):
        def __init__(self, batch, **options):
            super().__init__(**options)
            self.batch = batch

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return self.batch

    for batch in ([(rows, rows), (labels, labels)], ((rows, rows), (labels, labels))):
        two_and_two().fit(Batches(batch, workers=2), verbose=0)
    for batch in (([rows, rows], (labels, labels)), ((rows, rows), [labels, labels])):
        with pytest.raises(TypeError, match="class 'list'"):
            two_and_two().fit(Batches(batch), verbose=0)


SAID = "in the __init__ of Batches write super().__init__("
# How batches were made in parallel -> what is written into the class.
WORKERS = {
    "workers=4": "workers=4)",
    "workers=4, use_multiprocessing=True": "workers=4, use_multiprocessing=True)",
    "nb_worker=2, pickle_safe=True": "workers=2, use_multiprocessing=True)",
    "workers=1": "",
    "max_queue_size=5": "",
    "verbose=0": "",
}


@pytest.mark.parametrize("words", WORKERS)
@pytest.mark.parametrize("method", ["fit_generator", "fit"])
def test_workers_belong_to_the_sequence(words, method):
    head = f"{HEAD}        return x, y\nmade = Batches(a)\n"
    rest = ", verbose=0" if words == "verbose=0" else ""
    for given in ("made", "Batches(a)"):
        line = f"model.{method}({given}, epochs=1, {words})"
        result = becomes(head, line, f"model.fit({given}, epochs=1{rest})")
        said = notes(result)
        assert (f"{SAID}{WORKERS[words]}" in said) == bool(WORKERS[words])
    line = f"model.{method}(other(), epochs=1, {words})"
    assert SAID not in notes(rewritten(f"{head}{line}\n"))


# What a generator's batch has is seen where it is called, not inside of the function.
SAMPLES = {
    "def gen(bs=16): yield x, y": ("gen()", "steps_per_epoch=6"),
    "def gen(rows, bs): yield x, y": ("gen(x, 8)", "steps_per_epoch=12"),
    "def gen(rows, bs=n): yield x, y": ("made(gen)", "steps_per_epoch=96"),
    "def gen(rows): bs = 8; yield x, y": ("made(gen)", "steps_per_epoch=96"),
    "bs = 8": ("made(x)", "steps_per_epoch=max(1, 96 // bs)"),
}


@pytest.mark.parametrize("function", SAMPLES)
def test_samples_become_batches_of_a_known_size(function):
    given, steps = SAMPLES[function]
    head = f"from keras.models import Sequential\nmodel = Sequential()\n{function}\n"
    line = f"model.fit_generator({given}, samples_per_epoch=96, nb_epoch=1)"
    result = rewritten(f"{head}{line}\n")
    assert result.text.splitlines()[-1] == f"model.fit({given}, {steps}, epochs=1)"
    assert ("divide it by the size of a batch" in notes(result)) == ("=96" in steps)
