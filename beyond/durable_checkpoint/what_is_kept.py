"""State that can be seen and not be kept is refused, or said, when `fit` begins."""

import warnings

import keras

from . import reach
from .batches import ShuffledBatches
from .tracked import Tracked


def check(model: keras.Model, tracked: list[Tracked], place: str) -> None:
    """Warn of what a callback in `track` loses; refuse a model that would lose something.

    Arguments:
        model: The model that `fit` trains.
        tracked: What the user gave to `track`.
        place: The folder of the backups, for messages.

    Raises:
        ValueError: The model holds state that no backup can hold; each is named.
    """
    for each in tracked:
        names = each.not_kept()
        if names:
            warnings.warn(
                f"{place}: of {type(each.thing).__name__} no backup can hold {', '.join(names)}. "
                "If that is state, give it get_state() and set_state()."
            )
    places = [model, *(each.thing for each in tracked if each.is_saved_by_keras())]
    lost = [
        f"{path.lstrip('/')} ({what})"
        for place_of_state in places
        for path, what, thing in reach.follow(place_of_state).cannot_be_kept
        if not any(thing is each.thing for each in tracked)
    ]
    if lost:
        raise ValueError(
            f"{place}: the model has state that no backup can hold: {', '.join(lost)}. Keep it "
            "outside of the model; if it changes during fit, give it to track in an object with "
            "get_state() and set_state()."
        )


def check_data(
    data: ShuffledBatches | None, save_freq: str | int, steps: int | None, place: str
) -> None:
    """Warn if backups in mid-epoch are asked for and cannot be made; refuse other data.

    Arguments:
        data: The `ShuffledBatches` in `track`.
        save_freq: As given to `ExactBackupAndRestore`.
        steps: Batches of an epoch of `fit`, None if it does not know.
        place: The folder of the backups, for messages.

    Raises:
        ValueError: `fit` trains on another number of batches than `data` has.
    """
    if data is None:
        if save_freq != "epoch":
            warnings.warn(
                f"{place}: backups are made between epochs only, since the position in this data "
                "is not known. Train on ShuffledBatches, and put it into track."
            )
    elif steps not in (None, len(data)):
        raise ValueError(
            f"fit trains on {steps} batches in an epoch, the ShuffledBatches in track has "
            f"{len(data)}: train on it, without steps_per_epoch"
        )
