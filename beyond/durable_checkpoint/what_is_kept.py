"""State that can be seen and not be kept is refused, or said, when `fit` begins."""

import warnings

import keras

from . import reach
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
    lost = [
        f"{path.lstrip('/')} ({what})"
        for path, what, thing in reach.follow(model).cannot_be_kept
        if not any(thing is each.thing for each in tracked)
    ]
    if lost:
        raise ValueError(
            f"{place}: the model has state that no backup can hold: {', '.join(lost)}. Keep it "
            "outside of the model, and give it to track in an object with get_state() and "
            "set_state()."
        )
