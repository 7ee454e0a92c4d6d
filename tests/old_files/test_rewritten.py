"""Kinds that tf_keras cannot write: its own files, rewritten as Keras 1 or CuDNN stored them."""

import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from conversion import Case
from old_checkpoint import OldCheckpointError, convert, names
from tf_keras.src.saving.legacy import hdf5_format

BOUND = 1e-6
KERAS_1 = {"Conv2D": "Convolution2D"}
ARGUMENTS = {
    "filters": "nb_filter",
    "strides": "subsample",
    "padding": "border_mode",
    "use_bias": "bias",
    "units": "output_dim",
    "rate": "p",
}
WEIGHTS = {
    "kernel": "W",
    "bias": "b",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",
}
KEPT = """name trainable batch_input_shape activation pool_size strides padding alpha epsilon
momentum axis"""


def as_keras_1(entry):
    """One layer as Keras 1.2 wrote it."""
    kind, old = entry["class_name"], entry["config"]
    config = {key: old[key] for key in KEPT.split() if key in old}
    for key, name in ARGUMENTS.items():
        if key in old and not (kind == "ZeroPadding2D" or "Pooling" in kind and key == "strides"):
            config.pop(key, None)
            config[name] = old[key]
    if "data_format" in old:
        config["dim_ordering"] = "tf"
    if "kernel_size" in old:
        config["nb_row"], config["nb_col"] = old["kernel_size"]
        config |= {"init": "glorot_uniform", "W_regularizer": None, "input_dim": None}
    if kind == "ZeroPadding2D":
        config["padding"] = [rows[0] for rows in old["padding"]]
    if kind == "BatchNormalization":
        config |= {"mode": 0, "axis": -1, "gamma_init": "one", "beta_init": "zero"}
    return {"class_name": KERAS_1.get(kind, kind), "config": config}


def rename(file, layer, name):
    """Give a layer's weights the names of Keras 1."""
    group = file["model_weights"][layer]
    renamed = []
    for old in group.attrs["weight_names"]:
        short = old.split("/")[-1].split(":")[0]
        renamed.append(f"{layer}_{WEIGHTS.get(short, short)}:0")
        group.move(old, renamed[-1])
    for key in set(group) - set(renamed):
        del group[key]
    group.attrs["weight_names"] = np.array(renamed, dtype="S60")


def copy(old_files, name, folder):
    """A copy of the file and of what Keras 2 noted, to be rewritten."""
    shutil.copy(old_files / f"{name}.npz", folder / "old.npz")
    return shutil.copy(old_files / f"{name}.h5", folder / "old.h5")


def entries_of(file):
    """The layers of a Sequential without its InputLayer, which Keras 1 did not have."""
    return json.loads(file.attrs["model_config"])["config"]["layers"][1:]


def test_keras_1(old_files, tmp_path):
    path = copy(old_files, "keras 1", tmp_path)
    with h5py.File(path, "r+") as file:
        layers = [as_keras_1(entry) for entry in entries_of(file)]
        layers[0]["config"]["batch_input_shape"] = [None, 8, 8, 2]
        assert {layer["class_name"] for layer in layers} == set(names.CLASSES) - {"InputLayer"}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = "1.2.2"
            group.attrs.pop("backend", None)
        for layer in file["model_weights"].attrs["layer_names"]:
            rename(file, layer, layer)
        del file.attrs["training_config"], file["optimizer_weights"]
    converted = Case(tmp_path / "old.h5", tmp_path / "new.keras")
    assert converted.report.keras_version == "1.2.2"
    assert list(converted.report.imports) == ["hard_sigmoid"]
    found = converted.predictions(converted.load())[0]
    assert abs(found - converted.values("p")[0]).max() <= BOUND


@pytest.mark.parametrize("kind", ["LSTM", "Merge", "MaxoutDense", "Convolution1D"])
def test_other_layers_of_keras_1_are_refused(kind):
    with pytest.raises(OldCheckpointError, match=f"{kind} of Keras 1"):
        names.to_keras_2(kind, {}, "x", {})


def in_order_of_cudnn(kind, arrays, bias_is_doubled):
    """The three arrays of a layer, or of its averages, in the order of CuDNN."""
    theirs = hdf5_format._convert_rnn_weights(type(f"CuDNN{kind}", (), {})(), arrays)
    if kind == "LSTM" and not bias_is_doubled:  # each half of the bias had the whole gradient
        theirs[2] = theirs[2] * 2
    return [np.asarray(array, "float32") for array in theirs]


def replace(group, name, value):
    """Put another array under a name."""
    del group[name]
    group.create_dataset(name, data=value)


def test_cudnn_answers_and_trains_on(old_files, tmp_path):
    path = copy(old_files, "gates", tmp_path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        state = file["optimizer_weights"]
        order = list(state.attrs["weight_names"])[1:]
        for number, kind in enumerate(["LSTM", "GRU"]):
            entry = config["config"]["layers"][1 + number]
            old, name = entry["config"], entry["config"]["name"]
            assert entry["class_name"] == kind
            kept = ("name", "trainable", "units", "return_sequences", "batch_input_shape")
            entry["config"] = {key: old[key] for key in kept if key in old}
            entry["class_name"] = f"CuDNN{kind}"
            weights = file["model_weights"][name]
            for group, found, doubled in (
                (weights, list(weights.attrs["weight_names"]), True),
                (state, order[3 * number : 3 * number + 3], False),
                (state, order[8 + 3 * number : 11 + 3 * number], False),
            ):
                arrays = in_order_of_cudnn(kind, [group[key][()] for key in found], doubled)
                for key, value in zip(found, arrays, strict=True):
                    replace(group, key, value)
        file.attrs["model_config"] = json.dumps(config)
    converted = Case(tmp_path / "old.h5", tmp_path / "new.keras")
    report, model = converted.report, converted.load()
    assert len(report.transformed) == 6
    assert [text for text in report.transformed if "without an inverse" in text] == [
        text for text in report.transformed if "biases added" in text
    ]
    assert len(report.differences) == 1  # the LSTM's two biases
    found = converted.predictions(model)[0]
    assert abs(found - converted.values("p")[0]).max() <= BOUND
    assert max(converted.differences(model)) <= BOUND


def as_several_backends(path, optimizer, without=(), version="2.2.4", by_name=False):
    """Let a file say that Keras for several backends wrote it, with this optimizer.

    `without` names arrays of the optimizer that it did not store; the others get its names, which
    tell nothing. `by_name` puts them into the order of the weights' names.
    """
    with h5py.File(path, "r+") as file:
        weights = file["model_weights"]
        for group in (file, weights):
            group.attrs["keras_version"] = version
        training = {"optimizer_config": optimizer, "loss": "binary_crossentropy", "metrics": []}
        file.attrs["training_config"] = json.dumps(training)
        state = file["optimizer_weights"]
        arrays = [state[n][()] for n in state.attrs["weight_names"] if not n.endswith(without)]
        if by_name:
            names = [
                n
                for layer in weights.attrs["layer_names"]
                for n in weights[layer].attrs["weight_names"]
            ]
            order = sorted(range(len(names)), key=lambda number: names[number])
            assert order != list(range(len(names)))
            arrays[1:] = [arrays[1 + start + i] for start in (0, len(names)) for i in order]
        del file["optimizer_weights"]
        state = file.create_group("optimizer_weights")
        names = [f"training/{optimizer['class_name']}/Variable_{i}:0" for i in range(len(arrays))]
        for name, value in zip(names, arrays, strict=True):
            state.create_dataset(name, data=value)
        state.attrs["weight_names"] = np.array(names, dtype="S60")


@pytest.mark.parametrize(
    ("name", "optimizer", "without"),
    [
        (
            "legacy Nadam",
            {"class_name": "Nadam", "config": {"schedule_decay": 0.004}},
            ("cache:0",),
        ),
        (
            "legacy Adam decay",
            {"class_name": "Adam", "config": {"clipnorm": 0.1, "decay": 0.1, "amsgrad": False}},
            (),
        ),
    ],
)
def test_optimizers_of_keras_for_several_backends(old_files, tmp_path, name, optimizer, without):
    """Their formulas are those of tf.keras's legacy Nadam, and of its `global_clipnorm`."""
    path = copy(old_files, name, tmp_path)
    optimizer["config"] |= {"lr": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    as_several_backends(path, optimizer, without)
    converted = Case(tmp_path / "old.h5", tmp_path / "new.keras")
    assert any("momenta" in c or "global_clipnorm" in c for c in converted.report.changes)
    assert max(converted.differences(converted.load())) <= BOUND


def test_the_stored_product_of_nadam_is_taken(old_files, tmp_path):
    """It is not that of the step count where Keras 2 itself had loaded the model in between."""
    path = copy(old_files, "legacy Nadam", tmp_path)
    with h5py.File(path, "r+") as file:
        state = file["optimizer_weights"]
        (name,) = [n for n in state.attrs["weight_names"] if n.endswith("cache:0")]
        replace(state, name, np.float32(0.25))
    convert(path, tmp_path / "new.keras")
    model = keras.saving.load_model(tmp_path / "new.keras")
    assert float(model.optimizer.momentum_cache) == 0.25


@pytest.mark.parametrize(
    ("version", "by_name"),
    [("2.0.5", True), ("2.0.4-tf", True), ("2.0.6", False), ("2.0.8-tf", False)],
)
def test_arrays_of_the_optimizer_in_the_order_of_names(old_files, tmp_path, version, by_name):
    """Up to Keras 2.0.5, and in the tf.keras of that time."""
    config = {"lr": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "decay": 0.0}
    optimizer = {"class_name": "Adam", "config": config}
    for right in (True, False):
        path = copy(old_files, "legacy Adam", tmp_path)
        as_several_backends(path, optimizer, (), version, by_name is right)
        if right:
            converted = Case(tmp_path / "old.h5", tmp_path / "new.keras")
            assert max(converted.differences(converted.load())) <= BOUND
        else:
            with pytest.raises(OldCheckpointError, match="does not fit"):
                convert(path, tmp_path / "other.keras")


def test_a_convolution_with_the_axes_of_theano_is_refused(old_files, tmp_path):
    path = copy(old_files, "keras 1", tmp_path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][2]["config"]["data_format"] = "channels_first"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(OldCheckpointError, match="channels_first.*not compared"):
        convert(path, tmp_path / "new.keras")
