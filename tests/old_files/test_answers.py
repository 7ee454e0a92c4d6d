"""Losses, metrics, activations and learning rates answer as in Keras 2."""

import json

import keras
import losses_2
import numpy as np
import pytest
from old_checkpoint import OldCheckpointError, activations, compiling
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


def stored(thing):
    """What a `.keras` file gives back of an object. Names stay as they are."""
    if isinstance(thing, str):
        return thing
    return keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(thing))


def value_of(loss, target, predicted):
    """A loss, given as compile takes it, after a file held it."""
    found = keras.losses.get(stored(loss))
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


@pytest.mark.parametrize(
    ("kind", "lost"),
    [("Huber", {"delta": 0.3}), ("CosineSimilarity", {"axis": 0})],
)
def test_what_a_file_of_keras_3_loses_is_refused(repair, model, kind, lost):
    config = {"class_name": kind, "config": {"name": "x", "reduction": "auto"}}
    assert compiling.arguments({"loss": config}, model, repair)
    config["config"] |= lost
    with pytest.raises(OldCheckpointError, match=f"loses {next(iter(lost))}="):
        compiling.arguments({"loss": config}, model, repair)


def test_hinge_of_keras_for_several_backends_says_its_labels(repair, model):
    old = Repair(layout("2.2.4"), "tensorflow", {})
    compiling.arguments({"loss": "squared_hinge"}, model, old)
    assert len(old.differences) == 1
    for loss in ("categorical_hinge", "mse"):
        compiling.arguments({"loss": loss}, model, old)
    compiling.arguments({"loss": "squared_hinge"}, model, repair)
    assert len(old.differences) == 1
    assert not repair.differences


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
        metric = stored(found[0])
        metric.update_state(target, predicted)
        result = keras.ops.convert_to_numpy(metric.result())
        np.testing.assert_allclose(result, value, rtol=2e-6, err_msg=str(entry))
        name = entry if isinstance(entry, str) else entry["config"]["name"]
        assert metric.name == name


def test_metrics_of_numbered_classes(answers, repair, model):
    target, predicted = losses_2.data()
    for entry, value in answers["sparse metrics"]:
        found = stored(compiling.arguments({"metrics": [entry]}, model, repair)["metrics"][0])
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
        ("2.2.4-tf", "binary_crossentropy", keras.metrics.BinaryAccuracy),
        ("2.3.0-tf", "binary_crossentropy", str),
        ("2.2.4", "sparse_categorical_crossentropy", keras.metrics.SparseCategoricalAccuracy),
        ("2.2.4", "mse", keras.metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_of_several_outputs_follows_the_loss_before_tf_keras(version, loss, kind, model):
    old = Repair(layout(version), "tensorflow", {})
    found = compiling.arguments({"loss": loss, "metrics": ["acc"]}, model, old)["metrics"]
    assert type(found[0]) is kind
    assert getattr(found[0], "name", found[0]) == "acc"
