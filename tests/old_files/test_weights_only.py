"""Weights for the reader's own model: all or none, in the right layers, with what is not known."""

import h5py
import keras
import numpy as np
import pytest
from old_checkpoint import OldCheckpointError, hard_sigmoid, inspect, load_weights


def file_of(path, version, **layers):
    """A file of weights: layer's name -> {array's name: shape or array}."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["backend"] = "tensorflow"
        file.attrs["layer_names"] = np.array(list(layers), dtype="S40")
        for layer, arrays in layers.items():
            group = file.create_group(layer)
            names = [f"{layer}/{name}:0" for name in arrays]
            group.attrs["weight_names"] = np.array(names, dtype="S60")
            for name, shape in zip(names, arrays.values(), strict=True):
                group.create_dataset(name, data=random.random(shape).astype("f4"))
    return path


def recurrent(units, bias):
    """The arrays of a recurrent layer with 3 inputs."""
    gates = 4 if bias in ((4 * units,), (8 * units,)) else 3
    kernels = {"kernel": (3, gates * units), "recurrent_kernel": (units, gates * units)}
    return {**kernels, "bias": bias}


@pytest.mark.parametrize(
    ("layer", "bias", "kind"),
    [
        (keras.layers.LSTM(2), (16,), "CuDNNLSTM"),
        (keras.layers.GRU(2), (12,), "CuDNNGRU"),
    ],
)
def test_weights_of_cudnn(tmp_path, layer, bias, kind):
    tf_keras = pytest.importorskip("tf_keras")
    path = file_of(tmp_path / "w.h5", "2.2.0", rnn=recurrent(2, bias))
    model = keras.Sequential([keras.Input((4, 3)), layer])
    notes = load_weights(model, path)
    assert [note for note in notes if "CuDNN" in note and "sigmoid" in note]
    assert not [note for note in notes if "hard_sigmoid" in note]
    assert inspect(path).layers[0][1] == kind
    assert not [note for note in inspect(path).notes if "hard_sigmoid" in note]
    theirs = tf_keras.Sequential([getattr(tf_keras.layers, kind[5:])(2, input_shape=(4, 3))])
    theirs.load_weights(path)
    rows = np.random.default_rng(1).random((5, 4, 3)).astype("f4")
    mine = keras.ops.convert_to_numpy(model(rows))
    assert abs(mine - theirs(rows).numpy()).max() < 1e-6


def test_a_dense_layer_with_many_biases_is_not_taken_for_cudnn(tmp_path):
    dense = {"dense/kernel": (2, 16), "dense/bias": (16,)}
    arrays = {f"lstm/{name}": shape for name, shape in recurrent(2, (8,)).items()} | dense
    path = file_of(tmp_path / "w.h5", "2.3.1", inner=arrays)
    inner = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2), keras.layers.Dense(16)])
    model = keras.Sequential([keras.Input((4, 3)), inner])
    load_weights(model, path)
    with h5py.File(path) as file:
        stored = [file[f"inner/inner/{name}:0"][()] for name in arrays]
    assert all(map(np.array_equal, model.get_weights(), stored))


def test_layers_of_the_same_names_are_paired_by_name(tmp_path):
    square = {"kernel": (3, 3), "bias": (3,)}
    path = file_of(tmp_path / "w.h5", "2.2.0", second=square, first=square)
    layers = [keras.layers.Dense(3, name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    load_weights(model, path)
    with h5py.File(path) as file:
        for layer in layers:
            stored = file[f"{layer.name}/{layer.name}/kernel:0"][()]
            assert np.array_equal(layer.get_weights()[0], stored)


def test_other_names_are_paired_in_order(tmp_path):
    square = {"kernel": (3, 3), "bias": (3,)}
    path = file_of(tmp_path / "w.h5", "2.2.0", dense_1=square, dense_2=square)
    model = keras.Sequential(
        [keras.Input((3,)), *[keras.layers.Dense(3, name=name) for name in ("dense", "dense_1")]]
    )
    load_weights(model, path)
    with h5py.File(path) as file:
        assert np.array_equal(model.get_weights()[0], file["dense_1/dense_1/kernel:0"][()])


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_a_normalization_answers_with_the_weights(tmp_path, kind):
    arrays = {"mean": (3,), "variance": (3,), "count": ()}
    path = file_of(tmp_path / "w.h5", "2.9.0", norm=arrays)
    with h5py.File(path, "r+") as file:
        del file["norm/norm/count:0"]
        file["norm"].create_dataset("norm/count:0", data=np.array(7, kind))
        mean, variance = (file[f"norm/norm/{name}:0"][()] for name in ("mean", "variance"))
    model = keras.Sequential([keras.Input((3,)), keras.layers.Normalization()])
    load_weights(model, path)
    rows = np.ones((2, 3), "f4")
    mine = keras.ops.convert_to_numpy(model(rows))
    assert mine == pytest.approx((rows - mean) / np.sqrt(variance), abs=1e-6)


def test_mean_and_variance_are_not_exchanged(tmp_path):
    arrays = dict.fromkeys(("gamma", "beta", "moving_variance", "moving_mean"), (3,))
    path = file_of(tmp_path / "w.h5", "2.2.0", norm=arrays)
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    with pytest.raises(OldCheckpointError, match="stores norm/moving_variance"):
        load_weights(model, path)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("2.2.4", True),
        ("2.1.6-tf", True),
        ("2.2.4-tf", True),
        ("2.3.1", False),
        ("2.3.0-tf", False),
    ],
)
def test_which_versions_name_the_old_hard_sigmoid(tmp_path, version, said):
    path = file_of(tmp_path / "w.h5", version, lstm=recurrent(2, (8,)))
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.LSTM(2)])
    assert any("hard_sigmoid" in note for note in load_weights(model, path)) == said
    assert any("hard_sigmoid" in note for note in inspect(path).notes) == said
    layer = keras.layers.LSTM(2, recurrent_activation=hard_sigmoid)
    model = keras.Sequential([keras.Input((4, 3)), layer])
    assert not any("hard_sigmoid" in note for note in load_weights(model, path))


@pytest.mark.parametrize(("bias", "said"), [((6,), True), ((2, 6), False)])
def test_only_a_gru_with_one_row_of_biases_needs_reset_after(tmp_path, bias, said):
    dense = {"kernel": (2, 1), "bias": (1,)}
    path = file_of(tmp_path / "w.h5", "2.3.1", gru=recurrent(2, bias), dense=dense)
    assert any("reset_after" in note for note in inspect(path).notes) == said
