"""Load everything or nothing."""

import json
import os
import re
import tempfile
import zipfile

import keras
import numpy as np

from . import hdf5, keras_private, reach, training, walk
from .structure import refuse_a_bomb
from .validity import verify


def load_weights_strict(model: keras.Model, path: str | os.PathLike) -> None:
    """Load weights and optimizer from `path` into `model`, or raise and change nothing.

    `Model.load_weights` accepts a file that fits only in part: it skips the optimizer with a
    warning if it was not built yet, ignores layers that only the file has, and leaves the layers
    that it had visited overwritten when it raises. Here the file is verified, its arrays are
    compared with those that Keras would save of `model`, by name, shape and type, and after loading
    they are compared again, bit by bit. An optimizer that was not built yet is built.

    Arguments:
        model: A built model; compiled, if the optimizer is to be restored. If it is not compiled,
            an optimizer in the file is left there.
        path: A `.keras` or `.weights.h5` file. A whole model in the legacy format (`.h5`) and a
            file in several parts (`.weights.json`) are refused.

    Raises:
        CorruptCheckpointError: `verify` refuses the file.
        ValueError: Not every variable of `model`, those of its optimizers included, would be or was
            restored; or the file is of an optimizer of another class, or holds an array that the
            model did not read. The message names the first ones. `model` is as it was.
        OSError: The file cannot be read, or there is no room in the temporary folder for its
            vocabularies.

    In none of Keras's files, and therefore left as they are: the state of
    `keras.random.SeedGenerator`, metrics, and states of stateful recurrent layers. A `.weights.h5`
    holds no vocabulary: a layer with one keeps its own, and one that has none yet is refused.

    Example:
        >>> model.save_weights("trained.weights.h5")
        >>> again = keras.models.clone_model(model)
        >>> again.compile("adam", "mse")
        >>> load_weights_strict(again, "trained.weights.h5")
        >>> int(again.optimizer.iterations) == int(model.optimizer.iterations)
        True
        >>> other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(9)])
        >>> load_weights_strict(other, "trained.weights.h5")
        Traceback (most recent call last):
        ValueError: trained.weights.h5: 2 differences from the model ...; nothing was loaded
    """
    path = os.fspath(path)
    _refuse_other_formats(path)
    verify(path)
    if path.endswith(".keras"):  # what a right checksum says nothing about
        with zipfile.ZipFile(path) as archive:
            refuse_a_bomb(path, archive)
    with hdf5.open_weights(path) as weights:
        arrays = hdf5.arrays_in(weights)
        in_file = {name: (array.shape, _dtype_in_file(array)) for name, array in arrays.items()}
    whole = path.endswith(".keras")
    _refuse_another_optimizer(model, path)
    if getattr(model, "optimizer", None) is None:
        in_file = {name: a for name, a in in_file.items() if not name.startswith("optimizer/")}
    before = _Before(model)
    try:
        _build_optimizer_if_needed(model, in_file, path)
        _require_same_structure(in_file, _structure(walk.record(model, with_assets=False)), path)
        _load(model, in_file, path, whole)
    except BaseException:
        before.put_back()
        raise


def _refuse_other_formats(path):
    if path.endswith(".weights.json"):
        raise ValueError(f"{path}: files in several parts (max_shard_size) are not supported")
    if not path.endswith((".keras", ".weights.h5")):
        raise ValueError(f"{path}: only .keras and .weights.h5 files can be loaded strictly")
    if path.endswith(".weights.h5"):
        with hdf5.open_weights(path) as weights:
            if "model_weights" in weights or "layer_names" in weights.attrs:
                raise ValueError(f"{path}: a file in the legacy format of Keras is not supported")


def _dtype_in_file(array):
    """Type of the numbers. Keras stores bfloat16 as bytes, with a note."""
    noted = array.attrs.get("dtype")
    return noted if isinstance(noted, str) else str(array.dtype)


def _structure(recording):
    return {
        path: (tuple(value.shape), training.dtype_of(value))
        for path, number in recording.paths().items()
        for value in [recording.values[number]]
    }


# ------------------------------------------------------------------ which optimizer?


def _refuse_another_optimizer(model, path):
    """Optimizers of different classes can have the same variables: Adam and AdamW, say."""
    optimizer = getattr(model, "optimizer", None)
    saved = _optimizer_in(path)
    if optimizer is None or saved is None:
        return
    known = {
        _name_of(name) for name, value in vars(keras.optimizers).items() if isinstance(value, type)
    }
    here = _name_of(type(optimizer).__name__)
    # Around an optimizer for mixed_float16, which the configuration does not name.
    inner = _name_of(type(getattr(optimizer, "inner_optimizer", optimizer)).__name__)
    if {saved, here} <= known and saved not in (here, inner):
        raise ValueError(
            f"{path}: it holds the state of an optimizer of class {saved}, the model has {here}; "
            "nothing was loaded"
        )


def _optimizer_in(path):
    """Class of the optimizer in a file as far as it is known, in lower case without underscores."""
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        compiled = config.get("compile_config") or {}
        optimizer = compiled.get("optimizer") if isinstance(compiled, dict) else None
        return _name_of(optimizer.get("class_name")) if isinstance(optimizer, dict) else None
    with hdf5.open_weights(path) as weights:
        if "optimizer/vars" not in weights:
            return None
        return _name_of(re.sub(r"_\d+$", "", str(weights["optimizer/vars"].attrs.get("name", ""))))


def _name_of(name):
    return str(name).replace("_", "").lower()


def _build_optimizer_if_needed(model, in_file, path):
    """Build an optimizer that the file has the state of, and that was not built yet."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or optimizer.built:
        return
    here = _structure(walk.record(model, with_assets=False))
    wanted = {name for name in in_file if name.startswith("optimizer/")}
    if wanted != {name for name in here if name.startswith("optimizer/")}:
        try:
            optimizer.build(model.trainable_variables)
        except Exception as error:
            raise ValueError(
                f"{path}: the model's {type(optimizer).__name__} cannot be built: {error}"
            ) from error


def _require_same_structure(in_file, in_model, path):
    if in_file == in_model:
        return
    differences = (
        [f"the file lacks {name}" for name in in_model if name not in in_file]
        + [f"the model lacks {name}" for name in in_file if name not in in_model]
        + [
            f"{name} is {in_file[name][0]} {in_file[name][1]} in the file and "
            f"{in_model[name][0]} {in_model[name][1]} in the model"
            for name in in_model
            if name in in_file and in_file[name] != in_model[name]
        ]
    )
    shown = "; ".join(differences[:3]) + (" ..." if len(differences) > 3 else "")
    raise ValueError(
        f"{path}: {len(differences)} differences from the model ({shown}); nothing was loaded"
    )


# ------------------------------------------------------------------ loading, and looking again


def _load(model, in_file, path, whole):
    with hdf5.open_weights(path) as weights, tempfile.TemporaryDirectory() as folder:
        arrays = {name: _read(weights[name]) for name in in_file}
        _refuse_what_no_file_holds(model, path)
        assets = _extract_assets(path, folder) if whole else None
        given = training.GivenArrays(arrays)
        if type(model).load_weights is keras.Model.load_weights:
            store = keras_private.DiskIOStore(folder, mode="r") if assets else None
            try:
                keras_private.load_state(model, given, store)
            except ValueError as error:
                raise ValueError(f"{path}: {error}; nothing was loaded") from error
            unread = sorted(set(in_file) - given.read)
        else:
            model.load_weights(path)
            unread = []
    now = walk.record(model)
    if unread:
        raise ValueError(
            f"{path}: {len(unread)} arrays were not read by the model, among them {unread[0]}; "
            "nothing was loaded"
        )
    different = [
        name
        for name, number in now.paths().items()
        if name not in arrays
        or np.ascontiguousarray(keras.ops.convert_to_numpy(now.values[number])).tobytes()
        != np.ascontiguousarray(arrays[name]).tobytes()
    ]
    if different:
        raise ValueError(
            f"{path}: {len(different)} arrays were not restored, among them {different[0]}; "
            "nothing was loaded"
        )
    if whole and now.assets != assets:
        raise ValueError(f"{path}: the vocabularies were not restored; nothing was loaded")


def _read(array):
    value = array[()]
    dtype = np.dtype(_dtype_in_file(array))
    return value if value.dtype == dtype else np.asarray(value).view(dtype)


def _extract_assets(path, folder):
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("assets/") and not name.endswith("/"):
                inside = name.removeprefix("assets/")
                target = os.path.realpath(os.path.join(folder, inside))
                if not target.startswith(os.path.realpath(folder) + os.sep):
                    raise ValueError(f"{path}: {name} lies outside of the archive's folder")
                os.makedirs(os.path.dirname(target), exist_ok=True)
                found[inside] = archive.read(name)
                with open(target, "wb") as file:
                    file.write(found[inside])
    return found


def _refuse_what_no_file_holds(model, path):
    """Variables that Keras leaves out of its files, and that training would go on from."""
    recording = walk.record(model, with_assets=not path.endswith(".keras"))
    saved = {id(variable) for variable in recording.variables()}
    weights = {id(variable) for variable in model.weights}
    for found in reach.follow(model).variables:
        if (
            id(found.thing) in weights
            and id(found.thing) not in saved
            and _saves_as_keras_does(found.owner)
        ):
            raise ValueError(
                f"{path}: {found.path.lstrip('/')} of the model would not be restored, since Keras "
                "leaves it out of its files (as with LoRA, or a weight added in a subclass of "
                "Dense); nothing was loaded. ExactBackupAndRestore keeps it"
            )
    empty = [name for name, content in recording.assets.items() if _is_empty(content)]
    if empty:
        raise ValueError(
            f"{path}: a .weights.h5 holds no vocabulary, and the model has none yet "
            f"({empty[0]}); nothing was loaded. Load a .keras file, or adapt the layer before"
        )


def _saves_as_keras_does(owner):
    method = getattr(type(owner), "save_own_variables", None)
    return method is None or method.__module__.startswith("keras.")


def _is_empty(vocabulary):
    """Nothing in it but the mask and the token for unknown words."""
    return not [word for word in vocabulary.split(b"\n") if word not in (b"", b"[UNK]", b"-1")]


# ------------------------------------------------------------------ as it was


class _Before:
    """All that loading may change, to be put back."""

    def __init__(self, model):
        self._model = model
        self._state = training.TrainingState(model)
        self._values = {
            name: np.array(keras.ops.convert_to_numpy(variable))
            for name, variable in self._state.variables.items()
        }
        self._optimizers = [
            (optimizer, _contents_of(optimizer))
            for _, optimizer in self._state.reached.optimizers
            if not optimizer.built
        ]

    def put_back(self):
        for optimizer, contents in self._optimizers:
            if optimizer.built:
                _set_contents(optimizer, contents)
        state = self._state
        paths, assets = state.description()["paths"], state.recording.assets
        state.restore(self._values, paths, state.arrays(), assets)


def _contents_of(thing):
    """Attributes of an optimizer that is not built, with the content of its lists, and the like."""
    contents = {}
    for name, value in vars(thing).items():
        content: dict | list | None = None
        if name == "_tracker":
            content = {store: set(ids) for store, ids in value.stored_ids.items()}
        elif isinstance(value, (list, set, dict)):
            content = list(value.items() if isinstance(value, dict) else value)
        contents[name] = (value, content)
    return contents


def _set_contents(thing, contents):
    attributes = vars(thing)
    for name in [name for name in attributes if name not in contents]:
        del attributes[name]
    for name, (value, content) in contents.items():
        attributes[name] = value
        # Not by methods of Keras's own lists and dictionaries, which would take note of it; on
        # TensorFlow they are wrapped once more.
        value = getattr(value, "__wrapped__", value)
        if name == "_tracker":
            value.stored_ids = content
        elif isinstance(value, list):
            list.__setitem__(value, slice(None), content)
            if hasattr(value, "_storage"):  # a list of TensorFlow's
                value._storage[:] = content
                vars(value)["_last_wrapped_list_snapshot"] = list(content)
        elif isinstance(value, set):
            set.clear(value)
            set.update(value, content)
        elif isinstance(value, dict):
            dict.clear(value)
            dict.update(value, content)
