"""What the docstrings of the public names show is what happens."""

import doctest

import durable_checkpoint
import keras
import numpy as np
import pytest

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", durable_checkpoint.__all__)
def test_the_example_of_every_public_name_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((8, 4)).astype("float32")
    names = {n: getattr(durable_checkpoint, n) for n in durable_checkpoint.__all__}
    names |= {"keras": keras, "np": np, "model": model, "x": x, "y": x[:, :2]}
    model.fit(x, x[:, :2], verbose=0)
    public = getattr(durable_checkpoint, name)
    (found,) = [
        test
        for test in doctest.DocTestFinder(recurse=False).find(public, name, globs=names)
        if test.examples
    ]
    assert "Example:" in public.__doc__
    failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(found)
    assert tried and not failed


def test_every_public_name_says_what_it_takes_and_what_it_raises():
    for name in durable_checkpoint.__all__:
        text = getattr(durable_checkpoint, name).__doc__
        if name != "CorruptCheckpointError":
            assert "Arguments:" in text and "Raises:" in text, name
