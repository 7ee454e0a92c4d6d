"""The learning rate: a number, a number with decay, or a schedule that tf.keras stored."""

import keras

from ..errors import COMPILE_ANEW, OldCheckpointError

# Compared with tf_keras 2.21 in tests/old_files.
SCHEDULES = (
    "ExponentialDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "InverseTimeDecay",
    "CosineDecay",
    "CosineDecayRestarts",
)


def rate(config: dict, repair, file):
    """Take the learning rate out of an optimizer's configuration.

    Arguments:
        config: The configuration; `lr`, `learning_rate` and `decay` are removed.
        repair: The `Repair` in progress.
        file: The `OldFile`, for errors.

    Returns:
        A float or a `keras.optimizers.schedules.LearningRateSchedule`.

    Raises:
        OldCheckpointError: The schedule is not one of Keras's own.
    """
    found = config.pop("learning_rate", None)
    old = config.pop("lr", None)
    found = old if found is None else found
    decay = config.pop("decay", 0.0) or 0.0
    if isinstance(found, dict):
        return _schedule(found, decay, repair, file)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise OldCheckpointError(f"{file.path}: the learning rate is {found!r}, not a number")
    if not decay:
        return float(found)
    repair.changes.append(
        f"learning rate {found:g} with decay {decay:g} becomes InverseTimeDecay({found:g}, 1, "
        f"{decay:g}), which computes the same rates"
    )
    return keras.optimizers.schedules.InverseTimeDecay(float(found), 1, float(decay))


def _schedule(found, decay, repair, file):
    name = str(found.get("class_name"))
    config = {key: value for key, value in (found.get("config") or {}).items() if value is not None}
    own = repair.own(name)
    if own is not None:
        made = own.from_config(config)
    elif name in SCHEDULES:
        try:
            made = getattr(keras.optimizers.schedules, name)(**config)
        except (TypeError, ValueError) as error:
            raise OldCheckpointError(
                f"{file.path}: Keras 3 does not make this {name} ({error}); {COMPILE_ANEW}"
            ) from error
    else:
        raise OldCheckpointError(
            f"{file.path}: the learning-rate schedule {name} is not one of Keras's own; pass it in "
            "custom_objects"
        )
    if decay:
        raise OldCheckpointError(
            f"{file.path}: the optimizer has a learning-rate schedule and decay; {COMPILE_ANEW}"
        )
    return made
