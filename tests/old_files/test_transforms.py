"""What is changed on the way: flipped kernels, CuDNN's order, names of Keras 1."""

import json

import h5py
import keras
import numpy as np
import pytest
from old_checkpoint import OldCheckpointError, convert, cudnn, inspect, load_weights, transforms
from old_checkpoint.optimizers import checks
from old_checkpoint.reading import Array


def as_keras(path, version, backend, names=None):
    """Let a file say that another Keras wrote it, and drop its training."""
    with h5py.File(path, "r+") as file:
        for group in (file, file["model_weights"]):
            group.attrs["keras_version"] = version
            group.attrs["backend"] = backend
        file.attrs.pop("training_config", None)
        if "optimizer_weights" in file:
            del file["optimizer_weights"]


@pytest.fixture
def convolution(tmp_path):
    """A file of multi-backend Keras 2 with one convolution, written here with h5py."""

    def make(version="2.1.5", backend="tensorflow", keras_1=False):
        path = tmp_path / f"{version}-{backend}.h5"
        kernel = np.arange(3 * 3 * 2 * 4, dtype="float32").reshape(3, 3, 2, 4) / 10
        config = {
            "name": "conv",
            "batch_input_shape": [None, 8, 8, 2],
            "filters": 4,
            "kernel_size": [3, 3],
            "activation": "linear",
        }
        if keras_1:
            config = {
                "name": "conv",
                "batch_input_shape": [None, 8, 8, 2],
                "nb_filter": 4,
                "nb_row": 3,
                "nb_col": 3,
                "border_mode": "valid",
                "subsample": [1, 1],
                "dim_ordering": "tf",
                "init": "glorot_uniform",
                "bias": True,
                "activation": "relu",
            }
        kind = "Convolution2D" if keras_1 else "Conv2D"
        ending = ":0" if backend == "tensorflow" else ""
        names = ["conv_W", "conv_b"] if keras_1 else ["conv/kernel", "conv/bias"]
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"] = version
            if not keras_1:
                file.attrs["backend"] = backend
            model = {"class_name": "Sequential", "config": [{"class_name": kind, "config": config}]}
            file.attrs["model_config"] = json.dumps(model)
            weights = file.create_group("model_weights")
            weights.attrs["layer_names"] = [b"conv"]
            group = weights.create_group("conv")
            group.attrs["weight_names"] = [(name + ending).encode() for name in names]
            group.create_dataset(names[0] + ending, data=kernel)
            group.create_dataset(names[1] + ending, data=np.zeros(4, "float32"))
        return path, kernel

    return make


def converted_kernel(source, target):
    """The report and the kernel in the new file."""
    report = convert(source, target)
    return report, keras.saving.load_model(target).get_layer("conv").get_weights()[0]


def test_kernels_of_tensorflow_stay(convolution, tmp_path):
    source, kernel = convolution()
    report, found = converted_kernel(source, tmp_path / "new.keras")
    assert np.array_equal(found, kernel)
    assert not report.transformed
    assert report.equal == 2


@pytest.mark.parametrize("keras_1", [False, True])
def test_kernels_of_theano_are_flipped(convolution, tmp_path, keras_1):
    source, kernel = convolution("1.2.1" if keras_1 else "2.1.5", "theano", keras_1)
    report, found = converted_kernel(source, tmp_path / "new.keras")
    assert np.array_equal(found, kernel[::-1, ::-1])
    assert report.equal == 1
    assert "flipped" in report.transformed[0]


def test_names_of_keras_1(convolution, tmp_path):
    source, kernel = convolution("1.2.1", "tensorflow", keras_1=True)
    _, found = converted_kernel(source, tmp_path / "new.keras")
    assert np.array_equal(found, kernel)
    layer = keras.saving.load_model(tmp_path / "new.keras").get_layer("conv")
    assert (layer.filters, layer.padding) == (4, "valid")
    assert layer.activation is keras.activations.relu


@pytest.mark.parametrize(("kind", "gates"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
def test_order_of_cudnn_is_that_of_keras_2(kind, gates):
    tf_keras = pytest.importorskip("tf_keras")
    from tf_keras.src.saving.legacy import hdf5_format

    random = np.random.default_rng(0)
    kernel, recurrent = random.random((3, 5 * gates)), random.random((5, 5 * gates))
    bias = random.random(10 * gates)
    name = kind.removeprefix("CuDNN")
    layer = tf_keras.layers.LSTM(5) if name == "LSTM" else tf_keras.layers.GRU(5, reset_after=True)
    layer.build((None, None, 3))
    theirs = hdf5_format._convert_rnn_weights(layer, [kernel, recurrent, bias])
    for variable, source, value in zip(
        ["kernel", "recurrent_kernel", "bias"], [kernel, recurrent, bias], theirs, strict=True
    ):
        change = cudnn.transform(kind, variable)
        assert np.array_equal(change.forward(source), value), variable
        if change.back:
            assert np.array_equal(change.back(change.forward(source)), source), variable


def test_flip_has_an_inverse_and_no_other_axis():
    kernel = np.random.default_rng(0).random((3, 2, 4, 5))
    assert np.array_equal(transforms.FLIP.forward(kernel), kernel[::-1, ::-1])
    assert transforms.equal(transforms.FLIP.back(transforms.FLIP.forward(kernel)), kernel)


def test_largest_ratio_of_adam():
    assert checks.largest_ratio(0.9, 0.999) == pytest.approx(7.27, abs=0.01)


def test_averages_that_cannot_be_of_the_same_gradients():
    class File:
        path = "file"

    def groups(momentum, velocity):
        pair = {"momentum": momentum, "velocity": velocity}
        return {kind: [Array(kind, np.array([value], "f4"))] for kind, value in pair.items()}

    betas = {"beta_1": 0.9, "beta_2": 0.999}
    checks.require_plausible(groups(7e-3, 1e-6), betas, File)
    for momentum, velocity in ((8e-3, 1e-6), (-8e-3, 1e-6), (1e-3, -1e-6)):
        with pytest.raises(OldCheckpointError, match="does not fit the others"):
            checks.require_plausible(groups(momentum, velocity), betas, File)


def test_load_weights_all_or_none(old_files):
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "sigmoid")]
    )
    notes = load_weights(model, old_files / "legacy Adam.h5")
    assert "activations" in notes[0]
    with h5py.File(old_files / "legacy Adam.h5") as file:
        names = list(file["model_weights"])
        first = file["model_weights"][names[0]]
        kernel = first[first.attrs["weight_names"][0]][()]
    assert np.array_equal(model.get_weights()[0], kernel)
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    before = other.get_weights()
    with pytest.raises(OldCheckpointError, match="shape"):
        load_weights(other, old_files / "legacy Adam.h5")
    assert all(map(np.array_equal, before, other.get_weights()))


def test_weights_only_of_keras_2_2_name_the_old_hard_sigmoid(tmp_path):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.2.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["layer_names"] = [b"lstm_1"]
        group = file.create_group("lstm_1")
        shapes = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
        group.attrs["weight_names"] = [f"lstm_1/{name}:0".encode() for name in shapes]
        for name, shape in shapes.items():
            group.create_dataset(f"lstm_1/{name}:0", data=np.ones(shape, "f4"))
    found = inspect(path)
    assert not found.whole_model
    assert found.layers == [("lstm_1", "LSTM", [(3, 8), (2, 8), (8,)])]
    assert any("hard_sigmoid" in note for note in found.notes)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(2)])
    notes = load_weights(model, path)
    assert any("hard_sigmoid" in note and "lstm" in note for note in notes)
    with pytest.raises(OldCheckpointError, match="load_weights"):
        convert(path, tmp_path / "new.keras")
