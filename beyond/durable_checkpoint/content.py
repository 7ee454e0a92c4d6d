"""What a backup holds of a training: taken while it stands still, and put back."""

import keras
import numpy as np

from . import backup_file, snapshot, training
from .checkpoint import DurableCheckpoint
from .encoding import can_be_encoded, decoded, encoded
from .tracked import Tracked
from .training import TrainingState


class Content:
    """The state of a training at this moment, for a thread that writes it later.

    Arguments:
        model: The model that `fit` trains.
        tracked: What the user gave to `track`.
        swaps: The `SwapEMAWeights` in `callbacks` that are not in `track`.
        buffers: Memory of an earlier content, to be used again; None for new memory.

    Attributes:
        reusable: Memory that the next content may use once this one is written; or None.
    """

    def __init__(
        self,
        model: keras.Model,
        tracked: list[Tracked],
        swaps: list[keras.callbacks.SwapEMAWeights],
        buffers: list | None,
    ):
        now = TrainingState(model)
        history = getattr(model, "history", None)  # none in a loop without `fit`
        state = {
            "generators": now.generators(),
            "history": _reported(history.history if history is not None else {}),
            "epochs": history.epoch if history is not None else [],
            "random": training.random_state(),
        }
        # A backup that knows of a checkpoint's best value may not be there before that checkpoint.
        self._under_way = {
            i: (each.thing, each.state(), each.thing.saves_under_way())
            for i, each in enumerate(tracked)
            if isinstance(each.thing, DurableCheckpoint)
        }
        self._arrays: list[np.ndarray] = []
        own = now.arrays()
        self._variables, self.reusable = snapshot.take(list(now.variables.values()), buffers)
        self._own = list(own.values())
        self._assets = [np.frombuffer(asset, np.uint8) for asset in now.recording.assets.values()]
        self._described = {
            "description": now.description(),
            "own": [[path, training.dtype_of(array)] for path, array in own.items()],
            "assets": list(now.recording.assets),
            "swapped": [bool(swap._ema_weights_in_model) for swap in swaps],
            "state": encoded(state, self._arrays),
            "track": [
                None if i in self._under_way else encoded(each.state(), self._arrays)
                for i, each in enumerate(tracked)
            ],
            "variables": [
                [name, list(value.shape), training.dtype_of(value)]
                for name, value in zip(now.variables, self._variables, strict=True)
            ],
        }

    def completed(self) -> tuple[dict, dict[str, list]]:
        """Wait for the saves of checkpoints in `track`; return header and arrays, by kind."""
        described = self._described
        for i, (checkpoint, its_state, saves) in self._under_way.items():
            state = checkpoint.state_after(its_state, saves)
            described["track"][i] = encoded(state, self._arrays)
        metrics = set(described["description"]["metrics"])
        described["description"]["nonzero metrics"] = [
            name
            for (name, _, _), value in zip(described["variables"], self._variables, strict=True)
            if name in metrics and snapshot.as_array(value).any()
        ]
        groups = {
            "variable": self._variables,
            "array": self._arrays,
            "own": self._own,
            "asset": self._assets,
        }
        return described, groups


def _reported(history):
    """What callbacks and metrics reported, with the values that variables have now."""
    numbers = {
        name: [
            keras.ops.convert_to_numpy(v) if isinstance(v, keras.Variable) else v for v in values
        ]
        for name, values in history.items()
    }
    for name, values in numbers.items():
        if not can_be_encoded(values):
            kinds = ", ".join(sorted({type(value).__name__ for value in values}))
            raise TypeError(
                f"logs[{name!r}] is part of the history, and no backup can hold it ({kinds}): let "
                "the callback that reports it report a number, a text or an array"
            )
    return numbers


def put_back(
    backup: backup_file.Backup,
    model: keras.Model,
    tracked: list[Tracked],
    swaps: list[keras.callbacks.SwapEMAWeights],
) -> None:
    """Give a model, its history and what is tracked the state that `Content` took."""
    header, arrays = backup.header, backup.arrays
    here = TrainingState(model)
    values = {
        name: value.view(np.dtype(dtype))
        for (name, _, dtype), value in zip(header["variables"], arrays["variable"], strict=True)
    }
    own = {
        path: value.view(np.dtype(dtype))
        for (path, dtype), value in zip(header["own"], arrays["own"], strict=True)
    }
    assets = {
        path: value.tobytes() for path, value in zip(header["assets"], arrays["asset"], strict=True)
    }
    # A name that is not here is that of a metric which begins at zero.
    here.restore(values, header["description"]["paths"], own, assets)
    state = decoded(header["state"], arrays["array"])
    here.set_generators(state["generators"])
    for each, its_state in zip(tracked, header["track"], strict=True):
        each.set_state(decoded(its_state, arrays["array"]))
    for swap, swapped in zip(swaps, header["swapped"], strict=True):
        swap._ema_weights_in_model = swapped
    history = getattr(model, "history", None)
    if history is not None:
        history.history, history.epoch = state["history"], state["epochs"]
    training.set_random_state(state["random"])
