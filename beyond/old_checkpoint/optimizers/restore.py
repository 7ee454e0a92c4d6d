"""Build the Keras 3 optimizer of an old file and give it its state."""

import dataclasses

import numpy as np

from .. import private
from ..errors import COMPILE_ANEW, OldCheckpointError
from . import checks, families, learning_rate, order


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
    plan = families.plan(found, repair, file)
    name = plan.kind.__name__
    config = dict(plan.config)
    rate = learning_rate.rate(config, repair, file)
    unknown = sorted(key for key in config if key not in plan.arguments)
    if unknown:
        raise OldCheckpointError(
            f"{file.path}: {name} of Keras 3 has no {unknown[0]}={config[unknown[0]]!r}; "
            f"{COMPILE_ANEW}"
        )
    arguments = {key: value for key, value in config.items() if value is not None}
    try:
        optimizer = plan.kind(learning_rate=rate, **arguments)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"{file.path}: Keras 3 does not make this {name} ({error}); {COMPILE_ANEW}"
        ) from error
    optimizer.build(model.trainable_variables)
    restored = Restored(optimizer, [], None)
    _fill(restored, model, places, file, repair, plan)
    return restored


def _fill(restored, model, places, file, repair, plan):
    optimizer = restored.optimizer
    arrays = list(file.optimizer or [])
    scalar = None
    if arrays and arrays[0].value.shape == ():
        restored.steps = _steps(arrays.pop(0), file)
        optimizer.iterations.assign(restored.steps)
        if private.steps_of(optimizer) != restored.steps:
            raise OldCheckpointError(
                f"{file.path}: the step count {restored.steps} is too large for this backend; "
                "convert on TensorFlow"
            )
    if arrays and plan.scalar and arrays[0].value.shape == ():
        scalar = arrays.pop(0).value
    if not arrays:
        _untrained(restored, file, repair, plan)
        if plan.state and restored.steps:
            plan.state(optimizer, restored.steps, scalar, file)
        return
    trained = order.trained(places, file, repair)
    groups, left = order.groups(arrays, plan, len(trained), file)
    position = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
    for kind, group in groups.items():
        variables = private.slots(optimizer, kind)
        for array, place in zip(group, trained, strict=True):
            variable = variables[position[id(place.of(model))]]
            value = place.of_state.forward(array.value)
            if value.shape != tuple(variable.shape) or value.dtype != np.float32:
                raise OldCheckpointError(
                    f"{file.path}: the optimizer's array {array.name} {array.value.shape} does not "
                    f"fit the weight {place.array.name} {tuple(variable.shape)}; {COMPILE_ANEW}"
                )
            variable.assign(value)
            restored.slots.append(Slot(array, kind, place))
    order.require_nothing_left(left, plan, len(trained), repair, file)
    checks.require_plausible(groups, plan.config, file)
    if restored.steps is None:
        text = "the optimizer's step count: the file holds none, so it starts at 0 again"
        if not isinstance(rate_of(optimizer), float):
            text += ", and the learning rate at its first value"
        repair.lost.append(text)
    if plan.state:
        plan.state(optimizer, restored.steps or 0, scalar, file)


def rate_of(optimizer):
    """The learning rate in the optimizer's configuration: a float, or a schedule's dictionary."""
    return optimizer.get_config()["learning_rate"]


def _steps(array, file):
    value = float(array.value)
    if not (0 <= value < 2**53) or value != int(value):
        raise OldCheckpointError(f"{file.path}: the optimizer's step count is {value}")
    return int(value)


def _untrained(restored, file, repair, plan):
    if restored.steps and plan.slots:
        raise OldCheckpointError(
            f"{file.path}: the optimizer made {restored.steps} steps, but its arrays are missing; "
            f"{COMPILE_ANEW}"
        )
    if not restored.steps:
        repair.lost.append("the file holds no optimizer state: the optimizer starts anew")
