"""Each rule: the example in its docstring is rewritten as it says, and the result runs."""

import re
import textwrap
import warnings

import keras
import numpy as np
import pytest
from old_script import rewrite_text
from old_script.rules import RULES
from running_scripts import train_eagerly

BY_NAME = {type(rule).__name__: rule for rule in RULES}


def example(rule) -> tuple[str, str]:
    """The two halves of the example in a rule's docstring."""
    found = re.search(
        r"Before:\n(.*?)^\s*After:\n(.*)\Z", type(rule).__doc__, re.DOTALL | re.MULTILINE
    )
    assert found, f"{type(rule).__name__} shows no example"
    return tuple(textwrap.dedent(half).strip() + "\n" for half in found.groups())


def without_bodies(text: str) -> str:
    """What a rule defines, without what is in it."""
    new = "PeriodicCheckpoint|AddedLoss|with_loss|with_weights|plot_if_possible|minimize_loss"
    head = rf"((?:@.*\n)?(?:class|def) (?:{new})\b.*:\n)"
    short = re.sub(rf"\n*{head}(?:    .*\n|\n(?!\w|@))+\n*", r"\n\1    ...\n", text)
    return re.sub(r"    \.\.\.\n+", "    ...\n", short)


def test_a_rule_is_named_once():
    assert len(BY_NAME) == len(RULES)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_example_is_rewritten_as_it_says(name):
    before, after = example(BY_NAME[name])
    result = rewrite_text(before)
    assert without_bodies(result.text) == after
    assert result.findings.old and rewrite_text(result.text).text == result.text


@pytest.mark.parametrize("name", BY_NAME)
def test_the_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_eagerly(monkeypatch)
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=["accuracy"])
    rows = np.random.default_rng(0).random((4, 8), "float32")
    names = {"model": model, "x": rows, "y": np.ones((4, 1)), "__name__": "example"}
    text = rewrite_text(example(BY_NAME[name])[0]).text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(text, name, "exec"), names)  # noqa: S102
