"""Is a backup one of this training? Says in which point it is not."""

import keras

from . import description
from .batches import ShuffledBatches


def identity(model: keras.Model, track: list, data: ShuffledBatches | None) -> dict:
    """What has to be the same for a training to go on exactly, as texts by point and key."""
    return {
        "backend": {"name": keras.backend.backend()},
        "network": description.architecture(model),
        "optimizer": description.optimizer_settings(model.optimizer),
        "track": {str(i): type(tracked).__name__ for i, tracked in enumerate(track)},
        "data": data.get_state() if data is not None else {},
    }


def difference(
    header: dict,
    model: keras.Model,
    track: list,
    data: ShuffledBatches | None,
    swaps: list[keras.callbacks.SwapEMAWeights],
) -> str | None:
    """The first point in which the training of a backup is not this one, None if there is none.

    Arguments:
        header: Of the backup.
        model: The model that `fit` trains.
        track: What the user gave to `track`.
        data: The `ShuffledBatches` in `track`, at the epoch of the backup.
        swaps: The `SwapEMAWeights` in `callbacks` that are not in `track`.
    """
    here = identity(model, track, data)
    for what, points in header["identity"].items():
        for key in [*points, *here[what]]:
            there, now = str(points.get(key)), str(here[what].get(key))
            if there == now:
                continue
            if max(len(there), len(now)) < 60:
                return f"its {what} differs: {key} is {there} there and {now} here"
            return f"its {what} differs in {key}"
    if len(header["swapped"]) != len(swaps):
        return (
            f"it had {len(header['swapped'])} SwapEMAWeights in callbacks, this fit has "
            f"{len(swaps)}"
        )
    return None
