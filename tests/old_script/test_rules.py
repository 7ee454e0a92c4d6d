"""Each rule: the example in its docstring is rewritten as it says, and the result runs."""

import re
import textwrap
import warnings

import keras
import numpy as np
import pytest
from conftest import BACKEND
from old_script import homes, rewrite_text
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
    new += "|batch_dot_of_keras_2|targets_of_keras_2|words_of_today"
    new += "|function_of_keras_2|in_order"
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


def test_every_name_of_today_is_there():
    """What an old name becomes exists, in `keras` and, where a script says so, in `tf.keras`."""
    roads = {False: keras}
    if BACKEND == "tensorflow":
        roads[True] = __import__("tensorflow").keras
    for module, name in {*homes.RENAMED, *homes.RENAMED.values(), *homes.GONE}:
        if module in homes.MOVED or (module, name) in homes.GONE:
            continue
        for of_tensorflow, found in roads.items():
            home, new = homes.new_home(module, name, of_tensorflow)
            for part in home.split(".")[1:]:
                found = getattr(found, part)
            assert hasattr(found, new), f"{module}.{name} → {home}.{new}, tf: {of_tensorflow}"


def test_functions_of_losses_are_called_as_the_module_has_them():
    text = "import tensorflow as tf\nimport keras\nkeras.optimizers.Adam(lr=0.1)\n"
    text += "a = tf.keras.losses.mse, tf.keras.losses.mean_squared_error, tf.keras.metrics.kld\n"
    text += "b = keras.losses.mse, keras.losses.mean_squared_error, keras.metrics.kld\n"
    text += "from tensorflow.keras.losses import mean_absolute_error\n"
    text += "c = tf.losses.mean_squared_error(x, y)\n"
    new = rewrite_text(text).text.splitlines()
    assert new[3] == "a = tf.keras.losses.mse, tf.keras.losses.mse, tf.keras.metrics.kld"
    assert new[4].startswith("b = keras.losses.mean_squared_error, keras.losses.mean_squared_")
    assert new[4].endswith("keras.metrics.kl_divergence")
    assert new[5] == "from tensorflow.keras.losses import mae as mean_absolute_error"
    assert new[6] == "c = tf.keras.losses.mse(x, y)"


def test_a_loss_is_kept_in_a_script_of_tensorflow():
    text = """
from tensorflow import keras
rows = keras.layers.Input((8,))
network = keras.models.Model(rows, keras.layers.Dense(8)(rows))
network.add_loss(keras.backend.mean(rows))
"""
    assert "from keras.saving import register" in rewrite_text(text).text
