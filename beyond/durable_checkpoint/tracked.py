"""The state of the objects that a user gives to `ExactBackupAndRestore` in `track`."""

import inspect
import json

import keras
import numpy as np

from .batches import ShuffledBatches
from .checkpoint import DurableCheckpoint
from .encoding import can_be_encoded, encoded
from .keras_private import KerasSaveable
from .training import TrainingState


class Tracked:
    """An object in `track`, seen at the beginning of `fit`.

    Of a callback without `get_state` and `set_state`, all attributes are its state that are
    numbers, texts, arrays, or lists and dictionaries of them. One that bears the name of an
    argument of its constructor is a setting, and state only if it has changed since `fit` began.
    Settings of Keras's own classes are never state: `EarlyStopping` changes the sign of `min_delta`
    itself, in every run.
    """

    def __init__(self, thing):
        self.thing = thing
        self._of_keras = {"_model", "_params", "params"}
        own: set[str] = set()
        if self._is_plain_callback():
            for kind in type(thing).__mro__:
                if "__init__" in vars(kind):
                    names = inspect.signature(vars(kind)["__init__"]).parameters.keys()
                    group = self._of_keras if kind.__module__.startswith("keras.") else own
                    group.update(names)
        self._settings = {name: _as_text(vars(thing).get(name)) for name in own - self._of_keras}

    def _keeps_its_state(self):
        return hasattr(self.thing, "get_state") and hasattr(self.thing, "set_state")

    def _is_plain_callback(self):
        return isinstance(self.thing, keras.callbacks.Callback) and not self._keeps_its_state()

    def is_saved_by_keras(self) -> bool:
        """Whether it is a layer, a metric or the like, without `get_state` and `set_state`."""
        return isinstance(self.thing, KerasSaveable) and not self._keeps_its_state()

    def _attributes(self):
        """Those that may be state: neither Keras's own, nor unchanged settings, nor functions."""
        return {
            name: value
            for name, value in vars(self.thing).items()
            if not callable(value)
            and name not in self._of_keras
            and (name not in self._settings or self._settings[name] != _as_text(value))
        }

    def not_kept(self) -> list[str]:
        """Names of the attributes of a callback that a backup cannot hold.

        Keras's own callbacks hold files and modules beside their state, and open them anew.
        """
        if not self._is_plain_callback() or type(self.thing).__module__.startswith("keras."):
            return []
        return [name for name, value in self._attributes().items() if not can_be_encoded(value)]

    def state(self):
        """The state, as numbers, texts, arrays, lists and dictionaries.

        Raises:
            TypeError: It is an object of another kind.
        """
        thing = self.thing
        if self._keeps_its_state():
            return thing.get_state()
        if isinstance(thing, ShuffledBatches):
            return None  # where it stands follows from epoch and batch
        if self.is_saved_by_keras():
            return _state_of_saveable(thing)
        if isinstance(thing, keras.random.SeedGenerator):
            return np.array(keras.ops.convert_to_numpy(thing.state))
        if isinstance(thing, np.random.Generator):
            return thing.bit_generator.state
        if isinstance(thing, keras.callbacks.Callback):
            return {name: v for name, v in self._attributes().items() if can_be_encoded(v)}
        raise TypeError(
            f"{thing!r} cannot be tracked: give it get_state() and set_state(state), of numbers, "
            "texts, arrays, lists and dictionaries"
        )

    def set_state(self, state) -> None:
        """Put back what `state` returned.

        Raises:
            ValueError: A layer or optimizer has other variables now.
        """
        thing = self.thing
        if self._keeps_its_state():
            thing.set_state(state)
        elif self.is_saved_by_keras():
            _set_state_of_saveable(thing, state)
        elif isinstance(thing, keras.random.SeedGenerator):
            thing.state.assign(state)
        elif isinstance(thing, np.random.Generator):
            thing.bit_generator.state = state
        elif isinstance(thing, keras.callbacks.Callback):
            vars(thing).update(state)


def all_is_saved(track: list) -> bool:
    """Wait for the saves of checkpoints in `track`. Whether all they ever saved is on the disk.

    Before that no backup may be deleted: a crash would leave neither the file nor the backup.
    """
    return all(one.all_saved() for one in track if isinstance(one, DurableCheckpoint))


def _state_of_saveable(thing):
    now = TrainingState(thing)
    return {
        "variables": {n: keras.ops.convert_to_numpy(v) for n, v in now.variables.items()},
        "paths": now.description()["paths"],
        "own": now.arrays(),
        "assets": {path: np.frombuffer(a, np.uint8) for path, a in now.recording.assets.items()},
        "generators": now.generators(),
    }


def _set_state_of_saveable(thing, state):
    here = TrainingState(thing)
    values = state["variables"]
    if here.variables.keys() != values.keys():
        raise ValueError(
            f"{type(thing).__name__} in track has {len(here.variables)} variables, the backup "
            f"{len(values)}: build it before fit, as it was when the backup was made"
        )
    assets = {path: content.tobytes() for path, content in state["assets"].items()}
    here.restore(values, state["paths"], state["own"], assets)
    here.set_generators(state["generators"])


def _as_text(value):
    """`value` for comparison, None if it cannot be encoded: then it is taken for a setting."""
    if callable(value) or not can_be_encoded(value):
        return None
    arrays: list[np.ndarray] = []
    text = json.dumps(encoded(value, arrays))
    return text, [array.tobytes() for array in arrays]
