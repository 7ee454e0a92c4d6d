"""Losses, metrics, activations and learning rates answer as in Keras 2."""

import json

import keras
import losses_2
import numpy as np
import pytest
from old_checkpoint import activations, compiling
from old_checkpoint.layouts import layout
from old_checkpoint.optimizers import learning_rate
from old_checkpoint.reading import OldFile
from old_checkpoint.repair import Repair


@pytest.fixture(scope="module")
def answers(old_files):
    """What Keras 2 said."""
    return json.loads((old_files / "answers.json").read_text())


@pytest.fixture
def repair():
    """An empty repair of a file of tf.keras."""
    return Repair(layout("2.15.0"), "tensorflow", {})


@pytest.fixture(scope="module")
def model():
    """A model with four outputs in one."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])


def value_of(loss, target, predicted):
    """A loss, given as compile takes it."""
    found = keras.losses.get(loss)
    return float(np.mean(keras.ops.convert_to_numpy(found(target, predicted))))


def test_losses(answers, repair, model):
    target, predicted = losses_2.data()
    assert len(answers["losses"]) == len(losses_2.NAMES) + 5
    for entry, value in answers["losses"]:
        found = compiling.arguments({"loss": entry}, model, repair)["loss"]
        assert value_of(found, target, predicted) == pytest.approx(value, rel=2e-6), entry
    entry, value = answers["sparse"]
    found = compiling.arguments({"loss": entry}, model, repair)["loss"]
    assert value_of(found, target.argmax(axis=1), predicted) == pytest.approx(value, rel=2e-6)


def test_every_loss_in_the_list_was_compared():
    assert set(compiling.LOSSES) - set(losses_2.NAMES) == {
        "sparse_categorical_crossentropy",
        "huber_loss",
    }


def test_metrics(answers, repair, model):
    target, predicted = losses_2.data()
    for entry, value in answers["metrics"]:
        found = compiling.arguments({"metrics": [entry]}, model, repair)["metrics"]
        assert len(found) == 1
        found[0].update_state(target, predicted)
        result = keras.ops.convert_to_numpy(found[0].result())
        np.testing.assert_allclose(result, value, rtol=2e-6, err_msg=str(entry))
        name = entry if isinstance(entry, str) else entry["config"]["name"]
        assert found[0].name == name


def test_metrics_of_numbered_classes(answers, repair, model):
    target, predicted = losses_2.data()
    for entry, value in answers["sparse metrics"]:
        found = compiling.arguments({"metrics": [entry]}, model, repair)["metrics"][0]
        found.update_state(target.argmax(axis=1), predicted)
        assert float(found.result()) == pytest.approx(value, rel=2e-6), entry


def test_every_metric_in_the_lists_was_compared(answers):
    assert set(compiling.FUNCTIONS) == {*losses_2.METRICS, *losses_2.SPARSE}
    named = {entry["class_name"] for entry, _ in answers["metrics"] if isinstance(entry, dict)}
    of_functions = set(compiling.FUNCTIONS.values())
    assert compiling.METRIC_CLASSES - of_functions <= {name.split(">")[-1] for name in named}


def test_activations(answers, repair):
    x = np.linspace(-5, 5, 41, dtype="float32").reshape(1, -1)
    assert set(answers["activations"]) == (activations.SAME - {"silu"}) | {"hard_sigmoid"}
    for name, values in answers["activations"].items():
        found = activations.activation(name, repair, "layer x")
        mine = keras.ops.convert_to_numpy(found(keras.ops.convert_to_tensor(x)))
        np.testing.assert_allclose(mine, values, atol=5e-7, rtol=2e-6, err_msg=name)
    assert repair.imports == {"hard_sigmoid": ["layer x"]}


def test_learning_rates(answers, repair):
    file = OldFile("file", "2.15.0", "tensorflow", None, None, [], None)
    assert {entry["class_name"] for entry, _ in answers["rates"]} == set(learning_rate.SCHEDULES)
    for entry, values in answers["rates"]:
        made = learning_rate.rate({"learning_rate": entry}, repair, file)
        mine = [float(made(step)) for step in range(0, 60, 3)]
        np.testing.assert_allclose(mine, values, rtol=2e-6, atol=1e-10, err_msg=entry["class_name"])
        assert len(set(values)) > 2


def test_decay_of_the_learning_rate_is_that_of_keras_2(repair):
    file = OldFile("file", "2.2.4", "tensorflow", None, None, [], None)
    made = learning_rate.rate({"lr": 0.01, "decay": 0.5}, repair, file)
    assert [float(made(step)) for step in (0, 1, 4)] == pytest.approx([0.01, 0.01 / 1.5, 0.01 / 3])
    assert "InverseTimeDecay" in repair.changes[0]


@pytest.mark.parametrize(
    ("version", "loss", "kind"),
    [
        ("2.2.4", "binary_crossentropy", keras.metrics.BinaryAccuracy),
        ("2.2.4", "sparse_categorical_crossentropy", keras.metrics.SparseCategoricalAccuracy),
        ("2.2.4", "mse", keras.metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_of_several_outputs_follows_the_loss_before_tf_keras(version, loss, kind, model):
    old = Repair(layout(version), "tensorflow", {})
    found = compiling.arguments({"loss": loss, "metrics": ["acc"]}, model, old)["metrics"]
    assert type(found[0]) is kind
    assert found[0].name == "acc"
