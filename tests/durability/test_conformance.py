"""Keras's own tests of ModelCheckpoint pass with DurableCheckpoint in its place."""

import inspect
import pathlib
import re
import zipfile

import durable_checkpoint
import h5py
import keras
import pytest
from durable_checkpoint import DurableCheckpoint
from keras.src.callbacks import model_checkpoint_test

# Its own tests, from the installed package, as they are.
from keras.src.callbacks.model_checkpoint_test import ModelCheckpointTest  # noqa: F401
from keras.src.saving import saving_lib


@pytest.fixture(autouse=True)
def drop_in(monkeypatch, request):
    """Keras's warnings name the class, so the drop-in bears the name of the original here."""
    if request.cls is None:
        yield
        return
    used = []

    class ModelCheckpoint(DurableCheckpoint):
        def __init__(self, *arguments, **keywords):
            used.append(self)
            super().__init__(*arguments, **keywords)

    monkeypatch.setattr(model_checkpoint_test.callbacks, "ModelCheckpoint", ModelCheckpoint)
    yield
    assert used


def test_every_case_of_the_installed_package_is_run():
    own = vars(model_checkpoint_test.ModelCheckpointTest)
    cases = sorted(name for name in own if name.startswith("test"))
    assert cases == ["test_model_checkpoint_loading", "test_model_checkpoint_options"]
    assert pathlib.Path(inspect.getfile(model_checkpoint_test)).is_relative_to(
        pathlib.Path(keras.__file__).parent
    )


def test_every_argument_of_the_original_is_there_in_its_order():
    original = inspect.signature(keras.callbacks.ModelCheckpoint).parameters
    ours = inspect.signature(DurableCheckpoint).parameters
    assert list(ours)[: len(original)] == list(original)
    assert all(ours[name].default == original[name].default for name in original)
    assert issubclass(DurableCheckpoint, keras.callbacks.ModelCheckpoint)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_save_model", ["self", "epoch", "batch", "logs"]),
        ("_get_file_path", ["self", "epoch", "batch", "logs"]),
        ("_set_monitor_op", ["self"]),
        ("_is_improvement", ["self", "monitor_value", "reference_value"]),
    ],
)
def test_the_private_names_of_the_callback_are_what_they_were(name, arguments):
    method = getattr(keras.callbacks.ModelCheckpoint, name)
    assert list(inspect.signature(method).parameters) == arguments


def test_the_monitors_direction_is_told_by_keras_s_public_operations():
    checkpoint = keras.callbacks.ModelCheckpoint("m.keras", mode="min")
    assert checkpoint.monitor_op is None
    checkpoint._set_monitor_op()
    assert checkpoint.monitor_op is keras.ops.less


def test_the_private_function_gives_what_stock_writes_into_the_archive(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    config, metadata = saving_lib._serialize_model_as_json(model)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.read("config.json").decode() == config
        assert keras.__version__ in metadata and b"keras_version" in archive.read("metadata.json")


def test_the_private_writer_writes_what_save_weights_writes(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    durable_checkpoint._save_by_keras(model, str(tmp_path / "ours.weights.h5"))
    model.save_weights(tmp_path / "stock.weights.h5")
    ours, stock = (
        {name: array[()].tobytes() for name, array in durable_checkpoint._arrays(file).items()}
        for file in (
            h5py.File(tmp_path / "ours.weights.h5"),
            h5py.File(tmp_path / "stock.weights.h5"),
        )
    )
    assert ours == stock and len(ours) == 4


def test_the_docstring_names_every_private_name_that_the_module_uses():
    source = inspect.getsource(durable_checkpoint)
    head = source.split('"""')[1]
    used = set(re.findall(r"saving_lib\.(\w+)\(", source))
    stock = vars(keras.callbacks.ModelCheckpoint) | vars(keras.callbacks.ModelCheckpoint.__base__)
    used |= {name for name in re.findall(r"self\.(_\w+)", source) if name in stock}
    assert used and all(f"`{name}`" in head or f".{name}`" in head for name in used)
