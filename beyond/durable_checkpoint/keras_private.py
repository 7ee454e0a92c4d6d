"""Every private name of Keras that this package uses: functions here, attributes where it is said.

- `H5IOStore`, `DiskIOStore`, `_save_state`, `_load_state`, `_serialize_model_as_json` and
  `get_attr_skipset` of `keras.src.saving.saving_lib`, with `KerasSaveable`: what Keras saves
- `BaseOptimizer.save_own_variables`, which hands over copies; see `_optimizers_hand_over_variables`
- `_save_model`, `_get_file_path`, `_set_monitor_op`, `monitor_op`, `best`, `_current_epoch`, and of
  its state `_batches_seen_since_last_saving` and `_last_batch_seen` of `ModelCheckpoint`
  (`checkpoint.py`); `_current_epoch`, `_weights_path`, `_model`, `_params` of callbacks
  (`exact.py`, `tracked.py`)
- `_initial_epoch` of `Model`, as in the stock `BackupAndRestore`; `_symbolic_build` of `Model`
- `_user_metrics`, `_user_weighted_metrics`, `_user_loss`, `_inbound_nodes`, `_outbound_nodes` and
  `_jax_state` of models and layers, by which `reach.py` orders and passes over attributes
- `_tracker` of whatever has attributes; `_storage` and `_last_wrapped_list_snapshot` of lists that
  TensorFlow has wrapped: what `strict.py` puts back into an optimizer
- `tf` of `keras.src.saving.serialization_lib`; see `_tensorflow_only_if_imported`
- `global_seed_generator` of `keras.src.random`: the random numbers that are drawn without a seed
- `_trainable_variables` of an optimizer: what it was built with
- `_ema_weights_in_model` of `SwapEMAWeights`: whether the averages are in the model at the moment
"""

import contextlib
import itertools
import sys
import threading

import keras
import numpy as np

__all__ = ["DiskIOStore", "H5IOStore", "KerasSaveable"]

OLDEST = (3, 10)

try:
    if tuple(map(int, keras.__version__.split(".")[:2])) < OLDEST:
        raise ImportError("it is too old")
    from keras.src.backend.common import global_state
    from keras.src.optimizers.base_optimizer import BaseOptimizer
    from keras.src.random import seed_generator
    from keras.src.saving import saving_lib, serialization_lib
    from keras.src.saving.keras_saveable import KerasSaveable

    H5IOStore = saving_lib.H5IOStore
    DiskIOStore = saving_lib.DiskIOStore
    for _place, _names in (
        (saving_lib, "_save_state _load_state _serialize_model_as_json get_attr_skipset"),
        (H5IOStore, "make get close __setitem__ __getitem__"),
        (DiskIOStore, "make get close"),
        (serialization_lib, "tf"),
        (BaseOptimizer, "save_own_variables"),
        (seed_generator, "global_seed_generator"),
        (keras.Model, "_symbolic_build"),
        (keras.callbacks.ModelCheckpoint, "_save_model _get_file_path"),
    ):
        for _name in _names.split():
            getattr(_place, _name)
except (ImportError, AttributeError) as error:
    raise ImportError(
        f"durable_checkpoint needs Keras >= {OLDEST[0]}.{OLDEST[1]} and what that has. This is "
        f"Keras {getattr(keras, '__version__', '?')}: {error}"
    ) from None


def save_state(model: keras.Model, weights_store, assets_store=None) -> None:
    """Let Keras's own saving walk over `model` write into these stores."""
    with _attributes_to_skip_remembered(), _optimizers_hand_over_variables:
        saving_lib._save_state(
            model,
            weights_store=weights_store,
            assets_store=assets_store,
            inner_path="",
            visited_saveables=set(),
        )


def load_state(model: keras.Model, weights_store, assets_store=None) -> None:
    """Let Keras's own loading walk over `model` read from these stores. Errors are raised.

    As `Model.load_weights` does it: an object that fails at one path may succeed at another one.
    """
    failed: set[int] = set()
    errors: dict[int, tuple[object, Exception]] = {}
    saving_lib._load_state(
        model,
        weights_store=weights_store,
        assets_store=assets_store,
        inner_path="",
        visited_saveables=set(),
        failed_saveables=failed,
        error_msgs=errors,
    )
    for identity in failed:
        saveable, error = errors[identity]
        raise ValueError(
            f"{type(saveable).__name__} {getattr(saveable, 'name', '')!r} did not load: {error}"
        ) from error


def serialize_model_as_json(model: keras.Model) -> tuple[str, str]:
    """`config.json` and `metadata.json` of a `.keras` archive."""
    with _tensorflow_only_if_imported:
        return saving_lib._serialize_model_as_json(model)


class _StandIn:
    """Stands in the place of an attribute of Keras while anyone needs it, in any thread."""

    def __init__(self, place, name, stand_in):
        self._place, self._name, self._stand_in = place, name, stand_in
        self._original = getattr(place, name)
        self._users = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self._users += 1
            setattr(self._place, self._name, self._stand_in)

    def __exit__(self, *of_an_error):
        with self._lock:
            self._users -= 1
            if not self._users:
                setattr(self._place, self._name, self._original)


_TENSORFLOW = serialization_lib.tf


class _ImportedTensorFlow:
    """Keras's lazy module TensorFlow, except that it is there only if someone has imported it."""

    @property
    def available(self):
        return "tensorflow" in sys.modules and _TENSORFLOW.available

    def __getattr__(self, name):
        return getattr(_TENSORFLOW, name)


# Lets Keras write a configuration without importing TensorFlow for it, on another backend. It asks
# for each object whether TensorFlow made it. Without TensorFlow none can be such an object, but the
# question imports it, where it is installed: 5 seconds in the first save.
_tensorflow_only_if_imported = _StandIn(serialization_lib, "tf", _ImportedTensorFlow())


@contextlib.contextmanager
def _attributes_to_skip_remembered():
    """Let `get_attr_skipset` compute its sets once per walk instead of once per object.

    Keras 3.15 stores them under "saving_attr_skipset_..." and looks for "saving_attr_skiplist_...",
    so it never finds them and builds a new layer for every object it visits. The sets are the same.
    """
    names = []
    for kind in ("Layer", "Functional", "Sequential", "Optimizer", "Metric", "Loss", "Operation"):
        name = f"saving_attr_skiplist_{kind}"
        if global_state.get_global_attribute(name, None) is None:
            try:
                skipset = saving_lib.get_attr_skipset(kind)
            except ValueError:  # a kind that this version does not know
                continue
            global_state.set_global_attribute(name, skipset)
            names.append(name)
    try:
        yield
    finally:
        for name in names:
            global_state.set_global_attribute(name, None)


_SAVE_OWN_VARIABLES = BaseOptimizer.save_own_variables


def _save_own_variables(optimizer, store):
    if getattr(store, "takes_variables", False):
        for number, variable in enumerate(optimizer.variables):
            store[str(number)] = variable
    else:
        _SAVE_OWN_VARIABLES(optimizer, store)


# Lets an optimizer give a store that asks for variables its variables, not copies of them. Keras's
# own method copies every array to the host before it hands it over. A store without
# `takes_variables` gets what it always gets, also in another thread.
_optimizers_hand_over_variables = _StandIn(BaseOptimizer, "save_own_variables", _save_own_variables)


def symbolic_build(model: keras.Model, batch) -> None:
    """Let Keras make what it makes at the first batch, without computing anything."""
    model._symbolic_build(data_batch=batch)


def train_once(model: keras.Model, batch: tuple) -> None:
    """One step of training with (x, y), given to the model as `fit` gives it.

    `train_on_batch` hands three values to a `train_step` of the user's own, `fit` hands two.
    """
    if keras.backend.backend() != "tensorflow":
        model.train_on_batch(*batch)
        return
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    model.make_train_function()
    model.train_function(itertools.repeat(batch))


def built_with(optimizer) -> list[keras.Variable]:
    """The variables an optimizer was built with."""
    return list(optimizer._trainable_variables)


def set_direction(callback: keras.callbacks.ModelCheckpoint) -> None:
    """Let Keras tell whether a monitored value is better when it is lower.

    Raises:
        ValueError: It cannot tell: `mode` has to be given.
    """
    if callback.monitor_op is None:  # Keras 3.10 has decided before
        callback._set_monitor_op()


def lower_is_better(callback: keras.callbacks.ModelCheckpoint) -> bool:
    """What Keras has decided. Keras 3.10 says it with a function of NumPy's."""
    return callback.monitor_op in (keras.ops.less, np.less)


def set_best(callback: keras.callbacks.ModelCheckpoint) -> None:
    """None as the best value where there is none yet; Keras 3.10 begins with infinity."""
    if callback.best is not None and np.isinf(callback.best):
        callback.best = None


def random_state_of_keras():
    """The state of the generator of numbers drawn without a seed, None if none was drawn yet."""
    name = getattr(seed_generator, "GLOBAL_SEED_GENERATOR", "global_seed_generator")
    generator = global_state.get_global_attribute(name)
    return None if generator is None else keras.ops.convert_to_numpy(generator.state)


def set_random_state_of_keras(state) -> None:
    seed_generator.global_seed_generator().state.assign(state)
