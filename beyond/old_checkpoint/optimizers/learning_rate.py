"""The learning rate: a number, a number with decay, or a schedule that tf.keras stored."""

import keras

from ..errors import OldCheckpointError


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
        raise OldCheckpointError(f"{file.path}: learning-rate schedules come later")
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise OldCheckpointError(f"{file.path}: the learning rate is {found!r}, not a number")
    if not decay:
        return float(found)
    repair.changes.append(
        f"learning rate {found:g} with decay {decay:g} becomes InverseTimeDecay({found:g}, 1, "
        f"{decay:g}), which computes the same rates"
    )
    return keras.optimizers.schedules.InverseTimeDecay(float(found), 1, float(decay))
