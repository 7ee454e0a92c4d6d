"""The reader's own layers, functions and metrics, and what the report says they need."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from old_checkpoint import OldCheckpointError, convert


class Scale(keras.layers.Layer):
    """Numbers times a trained factor."""

    def build(self, shape):
        """Make the factor."""
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        """Multiply."""
        return x * self.factor


class Count(keras.metrics.Metric):
    """How many batches there were."""

    def __init__(self, name="count", **keywords):
        super().__init__(name=name, **keywords)
        self.batches = self.add_weight(name="batches", initializer="zeros")

    def update_state(self, *_, sample_weight=None):
        """One more."""
        self.batches.assign_add(1.0)

    def result(self):
        """The number."""
        return keras.ops.convert_to_tensor(self.batches)


class Square(keras.regularizers.Regularizer):
    """A tenth of the sum of squares."""

    def __call__(self, x):
        """The penalty."""
        return 0.1 * keras.ops.sum(x * x)

    def get_config(self):
        """No arguments."""
        return {}


def half(x):
    """An activation."""
    return 0.5 * x


def fourth(target, predicted):
    """A loss."""
    return keras.ops.mean((target - predicted) ** 4, axis=-1)


def last_layer(config):
    """The settings of the last layer."""
    return config["config"]["layers"][-1]["config"]


# What the file names -> (where it is put in, the reader's own object).
OWN = {
    "half": ("model_config", lambda c: last_layer(c).update(activation="half"), half),
    "mine>Square": (
        "model_config",
        lambda c: last_layer(c).update(
            kernel_regularizer={"class_name": "mine>Square", "config": {}}
        ),
        Square,
    ),
    "fourth": ("training_config", lambda c: c.update(loss="fourth"), fourth),
    "Count": (
        "training_config",
        lambda c: c.update(metrics=[{"class_name": "Count", "config": {"name": "count"}}]),
        Count,
    ),
}


@pytest.fixture
def old(old_files, tmp_path):
    """A copy of a small old file, to be changed."""
    return shutil.copy(old_files / "legacy Adam.h5", tmp_path / "old.h5")


def change_config(path, attribute, change):
    """Rewrite one of the file's JSON attributes."""
    with h5py.File(path, "r+") as file:
        value = json.loads(file.attrs[attribute])
        change(value)
        file.attrs[attribute] = json.dumps(value)


@pytest.mark.parametrize("name", OWN)
def test_own_objects(old, tmp_path, name):
    attribute, change, own = OWN[name]
    change_config(old, attribute, change)
    with pytest.raises(OldCheckpointError, match=f"{name}.*custom_objects"):
        convert(old, tmp_path / "new.keras")
    short = name.split(">")[-1]
    report = convert(old, tmp_path / "new.keras", {short: own})
    assert report.custom_objects == [short]
    assert f"custom_objects to load the target, with {short}" in str(report)
    assert "nothing but Keras 3" not in str(report)
    model = keras.saving.load_model(tmp_path / "new.keras", custom_objects={short: own})
    model.train_on_batch(np.zeros((2, 8)), np.zeros((2, 1)))
    assert int(model.optimizer.iterations) == 13


def test_an_own_layer_with_weights(old, tmp_path):
    with h5py.File(old, "r+") as file:
        weights = file["model_weights"]
        group = weights.create_group("scale")
        group.create_dataset("scale/factor:0", data=np.array([7.0], "f4"))
        group.attrs["weight_names"] = np.array(["scale/factor:0"], dtype="S20")
        names = [*weights.attrs["layer_names"], "scale"]
        weights.attrs["layer_names"] = np.array(names, dtype="S20")
        del file["optimizer_weights"], file.attrs["training_config"]
    entry = {"class_name": "Scaling", "config": {"name": "scale"}}
    change_config(old, "model_config", lambda c: c["config"]["layers"].append(entry))
    report = convert(old, tmp_path / "new.keras", {"Scaling": Scale})
    assert report.custom_objects == ["Scale"]
    model = keras.saving.load_model(tmp_path / "new.keras", custom_objects={"Scale": Scale})
    assert model.layers[-1].get_weights()[0] == [7.0]
    assert report.equal == 5


def test_names_with_a_slash(old, tmp_path):
    """As those of DenseNet (`conv1/conv`); Keras 3 does not allow them."""
    with h5py.File(old, "r+") as file:
        weights = file["model_weights"]
        first, last = weights.attrs["layer_names"]
        weights.move(first, "block/dense")
        weights.attrs["layer_names"] = np.array(["block/dense", last], dtype="S20")
        kernel = weights["block/dense"][weights["block/dense"].attrs["weight_names"][0]][()]
    change_config(
        old, "model_config", lambda c: c["config"]["layers"][1]["config"].update(name="block/dense")
    )
    report = convert(old, tmp_path / "new.keras")
    assert report.changes == [
        "layer block/dense is called block_dense: Keras 3 allows no / in a name"
    ]
    model = keras.saving.load_model(tmp_path / "new.keras")
    assert np.array_equal(model.get_layer("block_dense").get_weights()[0], kernel)
    assert report.optimizer_equal == 8


def test_outputs_with_a_slash_keep_their_losses():
    from old_checkpoint import compiling
    from old_checkpoint.layouts import layout
    from old_checkpoint.repair import Repair

    repair = Repair(layout("2.15.0"), "tensorflow", {})
    training = {"loss": {"a/b": "mse"}, "metrics": {"a/b": ["mae"]}, "loss_weights": {"a/b": 0.5}}
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    found = compiling.arguments(training, model, repair)
    assert list(found["loss"]) == ["a_b"]
    assert found["loss_weights"] == {"a_b": 0.5}
    assert [metric.name for metric in found["metrics"]["a_b"]] == ["mae"]


def test_metrics_of_several_outputs_keep_their_names():
    from old_checkpoint import compiling
    from old_checkpoint.layouts import layout
    from old_checkpoint.repair import Repair

    def stored(name):
        config = {"name": name, "dtype": "float32", "fn": "mean_absolute_error"}
        return {"class_name": "MeanMetricWrapper", "config": config}

    inputs = keras.Input((2,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("one", "two")]
    model = keras.Model(inputs, outputs)
    training = {"loss": "mse", "metrics": [[stored("one_mae")], [stored("two_mae")]]}
    found = compiling.arguments(training, model, Repair(layout("2.15.0"), "tensorflow", {}))
    assert [[metric.name for metric in each] for each in found["metrics"]] == [["mae"], ["mae"]]


def test_numbers_as_numpy_wrote_them():
    from old_checkpoint import layers
    from old_checkpoint.layouts import layout
    from old_checkpoint.repair import Repair

    config = {"name": "x", "alpha": {"type": "ndarray", "value": 0.25}}
    made = layers.make("LeakyReLU", config, Repair(layout("2.1.5"), "tensorflow", {}))
    assert made.negative_slope == 0.25
