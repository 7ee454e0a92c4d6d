"""Build the Keras 3 optimizer of an old file and give it its state."""

import dataclasses

import keras
import numpy as np

from .. import private
from ..errors import COMPILE_ANEW, OldCheckpointError
from . import checks, families, learning_rate, order

HARMLESS = ("name", "jit_compile", "is_legacy_optimizer")


@dataclasses.dataclass
class Slot:
    """One array of the optimizer, and where it went.

    Attributes:
        array: The array of the file.
        kind: Its kind in Keras 3, for example `"momentum"`.
        place: The weight that it belongs to.
    """

    array: object
    kind: str
    place: object


@dataclasses.dataclass
class Restored:
    """A restored optimizer.

    Attributes:
        optimizer: The Keras 3 optimizer, built for the model.
        slots: Its arrays with their weights.
        steps: The step count, or None where the file holds none.
    """

    optimizer: object
    slots: list[Slot]
    steps: int | None


def restore(model, places, file, repair) -> Restored:
    """Build the optimizer and fill it.

    Arguments:
        model: The Keras 3 model with its weights.
        places: Its arrays, from `weights.places`.
        file: The `OldFile`, with a training configuration.
        repair: The `Repair` in progress.

    Returns:
        The optimizer and what became of each array.

    Raises:
        OldCheckpointError: The optimizer or its state is not understood, or arrays are left over.
    """
    found = file.training.get("optimizer_config")
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        raise OldCheckpointError(f"{file.path}: its training configuration names no optimizer")
    name = str(found.get("class_name")).split(">")[-1]
    config = {key: value for key, value in found["config"].items() if key not in HARMLESS}
    new = found["config"].get("is_legacy_optimizer") is False or "use_ema" in found["config"]
    family = families.FAMILIES.get(name)
    if family is None:
        raise OldCheckpointError(
            f"{file.path}: the state of the optimizer {name} is not understood; {COMPILE_ANEW}"
        )
    rate = learning_rate.rate(config, repair, file)
    allowed = (*family.arguments, *(families.COMMON_NEW if new else families.COMMON))
    unknown = sorted(key for key in config if key not in allowed)
    if unknown:
        raise OldCheckpointError(
            f"{file.path}: {name} of Keras 3 has no {unknown[0]}={config[unknown[0]]!r}; "
            f"{COMPILE_ANEW}"
        )
    arguments = {key: value for key, value in config.items() if value is not None}
    optimizer = getattr(keras.optimizers, name)(learning_rate=rate, **arguments)
    optimizer.build(model.trainable_variables)
    restored = Restored(optimizer, [], None)
    _fill(restored, model, places, file, repair, family.slots(config, new), new, config)
    return restored


def _fill(restored, model, places, file, repair, kinds, new, config):
    arrays = list(file.optimizer or [])
    if arrays and arrays[0].value.shape == ():
        restored.steps = _steps(arrays.pop(0), file)
        restored.optimizer.iterations.assign(restored.steps)
    if not arrays:
        _untrained(restored, file, repair, kinds)
        return
    trained = order.trained(places, file, repair)
    groups, left = order.groups(arrays, kinds, len(trained), new, config, file)
    position = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    for kind, group in groups.items():
        variables = private.slots(restored.optimizer, kind)
        for array, place in zip(group, trained, strict=True):
            variable = variables[position[id(place.of(model))]]
            value = place.transform.forward(array.value)
            if value.shape != tuple(variable.shape) or value.dtype != np.float32:
                raise OldCheckpointError(
                    f"{file.path}: the optimizer's array {array.name} {array.value.shape} does not "
                    f"fit the weight {place.array.name} {tuple(variable.shape)}; {COMPILE_ANEW}"
                )
            variable.assign(value)
            restored.slots.append(Slot(array, kind, place))
    order.require_nothing_left(left, file)
    checks.require_plausible(groups, config, file)
    if restored.steps is None:
        repair.lost.append(
            "the optimizer's step count: the file holds none, so it starts at 0 again"
        )


def _steps(array, file):
    value = float(array.value)
    if not (0 <= value < 2**53) or value != int(value):
        raise OldCheckpointError(f"{file.path}: the optimizer's step count is {value}")
    return int(value)


def _untrained(restored, file, repair, kinds):
    if restored.steps and kinds:
        raise OldCheckpointError(
            f"{file.path}: the optimizer made {restored.steps} steps, but its arrays are missing; "
            f"{COMPILE_ANEW}"
        )
    if not restored.steps:
        repair.lost.append("the file holds no optimizer state: the optimizer starts anew")
