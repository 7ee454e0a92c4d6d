"""Load the new file again and compare everything with the old one."""

import json

import keras
import numpy as np

from . import private, transforms
from .errors import OldCheckpointError
from .private import optimizer_of


def prove(path, model, places, restored) -> None:
    """Compare the file at `path` with the source, or raise.

    Arguments:
        path: The new `.keras` file.
        model: The model that was saved to it.
        places: The source's arrays, from `weights.places`.
        restored: The optimizer from `optimizers.restore`, or None.

    Raises:
        OldCheckpointError: Something is not what it was.
    """
    loaded = keras.saving.load_model(path, compile=True)
    if _plain(loaded.get_config()) != _plain(model.get_config()):
        raise _unproved("its configuration is not the one that was saved")
    for place in places:
        variable = place.of(loaded)
        value = keras.ops.convert_to_numpy(variable)
        if not place.transform.came_from(value, place.array.value):
            raise _unproved(f"the weight {place.layer}: {place.array.name} is not the source's")
    _same_training(loaded, model)
    if restored is not None:
        _optimizer(loaded, places, restored)


def _plain(config):
    """A configuration with lists for tuples, as a file gives it back."""
    return json.loads(json.dumps(config, default=str))


def _same_training(loaded, model):
    ours, theirs = (
        [[v.path.split("/")[-2:], v.trainable] for v in m.trainable_variables]
        for m in (loaded, model)
    )
    if ours != theirs:
        raise _unproved("other weights are trained than in the model that was saved")
    if (optimizer_of(loaded) is None) != (optimizer_of(model) is None):
        raise _unproved("it lost its optimizer")
    if _plain(loaded.get_compile_config()) != _plain(model.get_compile_config()):
        raise _unproved("its loss or its metrics are not those that were saved")


def _optimizer(loaded, places, restored):
    optimizer = loaded.optimizer
    if type(optimizer) is not type(restored.optimizer):
        raise _unproved(f"its optimizer is {type(optimizer).__name__}")
    if _plain(optimizer.get_config()) != _plain(restored.optimizer.get_config()):
        raise _unproved("its optimizer has other arguments")
    steps = private.steps_of(optimizer)
    if steps != (restored.steps or 0):
        raise _unproved(f"its step count is {steps}")
    for ours, theirs in zip(optimizer.variables, restored.optimizer.variables, strict=True):
        if not transforms.equal(*map(keras.ops.convert_to_numpy, (ours, theirs))):
            raise _unproved(f"the optimizer's {theirs.path} is not the one that was saved")
    position = {id(variable): i for i, variable in enumerate(loaded.trainable_variables)}
    for slot in restored.slots:
        variable = private.slots(optimizer, slot.kind)[position[id(slot.place.of(loaded))]]
        value = np.asarray(keras.ops.convert_to_numpy(variable))
        if not transforms.equal(slot.place.of_state.back(value), slot.array.value):
            raise _unproved(f"the optimizer's {slot.array.name} is not the source's")


def _unproved(reason):
    return OldCheckpointError(
        f"the converted file does not hold what the source does ({reason}), so nothing was "
        "written; please report this file"
    )
