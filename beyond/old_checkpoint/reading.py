"""Read an old HDF5 file into plain Python, after checks that keep a hostile file harmless.

HDF5 lets a file name other files (external links, external storage, virtual datasets), describe an
array of terabytes that takes no room on the disk, and nest groups without an end. Keras writes none
of these. `OldFile` refuses them before it reads any array.
"""

import dataclasses
import json
import math
import os
import re

import h5py
import numpy as np

from .errors import NEW_COPY, OldCheckpointError

LARGEST_ARRAY = 8 << 30  # bytes
LARGEST_CONFIG = 64 << 20
LARGEST_EXPANSION = 1000  # declared bytes for each stored byte
SLACK = 1 << 20
LARGEST_WHOLE = 20  # declared bytes of all arrays for each byte of the file
SLACK_OF_WHOLE = 64 << 20
DEEPEST = 40
MOST_OBJECTS = 200_000
NUMBERS = "fiub"


@dataclasses.dataclass
class Array:
    """One array of the file: its name, its numbers, and its place in the file."""

    name: str
    value: np.ndarray
    place: str = ""

    @property
    def short(self) -> str:
        """The last part of the name, without TensorFlow's output number: `dense/kernel:0` is
        `kernel`."""
        return self.name.rsplit("/", 1)[-1].split(":")[0]


@dataclasses.dataclass
class OldFile:
    """What an old HDF5 file holds.

    Attributes:
        path: Where it lies.
        version: The Keras version that wrote it, as text; `"1"` where the file does not say.
        backend: `"tensorflow"`, `"theano"`, `"cntk"` or `""` where the file does not say.
        config: The model's configuration, or None in a file of weights only.
        training: The training configuration, or None.
        layers: (layer's name, its arrays), in the order of the file.
        optimizer: The optimizer's arrays in the order of the file, or None without any.
    """

    path: str
    version: str
    backend: str
    config: dict | None
    training: dict | None
    layers: list[tuple[str, list[Array]]]
    optimizer: list[Array] | None


def read(path: str | os.PathLike) -> OldFile:
    """Read the file, which stays as it is.

    Arguments:
        path: An HDF5 file that Keras 1 or 2 wrote: a whole model or weights only.

    Returns:
        Its content.

    Raises:
        OldCheckpointError: It is no such file, it is damaged, or it is made to do harm.
    """
    path = os.fsdecode(path)
    try:
        _require_a_file(path)
        with h5py.File(path, "r") as file:
            _require_harmless(file)
            return _content(path, file)
    except OldCheckpointError:
        raise
    except PermissionError as error:
        raise OldCheckpointError(f"{path}: you may not read it ({error.strerror})") from error
    except MemoryError as error:
        raise OldCheckpointError(f"{path}: its arrays do not fit into the memory") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise OldCheckpointError(f"{path}: HDF5 cannot read it ({error}); {NEW_COPY}") from error


def _require_a_file(path):
    if os.path.isdir(path):
        raise OldCheckpointError(
            f"{path} is a folder (a SavedModel?); this converts HDF5 files: "
            "load it with keras.layers.TFSMLayer, or with tf_keras"
        )
    if not os.path.isfile(path):
        what = "is no regular file" if os.path.lexists(path) else "does not exist"
        raise OldCheckpointError(f"{path} {what}; check the name")
    if os.path.getsize(path) == 0:
        raise OldCheckpointError(f"{path} is empty; {NEW_COPY}")
    with open(path, "rb") as file:
        start = file.read(8)
    if start[:4] == b"PK\x03\x04":
        raise OldCheckpointError(
            f"{path} is a .keras archive, not an HDF5 file; load it with keras.saving.load_model"
        )
    if not h5py.is_hdf5(path):
        raise OldCheckpointError(
            f"{path} is not an HDF5 file; a TensorFlow checkpoint is read with "
            "tf.train.load_checkpoint"
        )


def _require_harmless(file):
    seen, declared = set(), 0
    most = LARGEST_WHOLE * os.path.getsize(file.filename) + SLACK_OF_WHOLE
    waiting = [("", file, 0)]
    while waiting:
        name, group, depth = waiting.pop()
        if depth > DEEPEST:
            raise OldCheckpointError(f"{file.filename}: groups lie deeper than {DEEPEST} levels")
        for key in group:
            here = f"{name}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise OldCheckpointError(
                    f"{file.filename}: {here} is a link ({type(link).__name__}), not an array; "
                    "Keras writes no links, so do not trust this file"
                )
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise OldCheckpointError(
                    f"{file.filename}: {here} is a second name of another object; "
                    "Keras writes none, so do not trust this file"
                )
            seen.add(address)
            if len(seen) > MOST_OBJECTS:
                raise OldCheckpointError(f"{file.filename}: more than {MOST_OBJECTS} objects")
            if isinstance(item, h5py.Group):
                waiting.append((here, item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                _require_stored_here(file.filename, here, item)
                declared += item.nbytes
                if declared > most:
                    raise OldCheckpointError(
                        f"{file.filename}: its arrays declare more than {declared} bytes, far more "
                        "than the file holds; do not trust this file"
                    )
            else:
                raise OldCheckpointError(f"{file.filename}: {here} is no array and no group")


def _require_stored_here(path, name, array):
    if array.dtype.kind not in NUMBERS:
        raise OldCheckpointError(f"{path}: {name} holds {array.dtype}, not numbers")
    if array.external or array.is_virtual:
        raise OldCheckpointError(
            f"{path}: {name} takes its numbers from another file; do not trust this file"
        )
    stored = array.id.get_storage_size()
    if array.nbytes > LARGEST_EXPANSION * stored + SLACK or array.nbytes > LARGEST_ARRAY:
        raise OldCheckpointError(
            f"{path}: {name} declares {array.nbytes} bytes, the file holds {stored}; "
            "do not trust this file"
        )
    if array.nbytes and (not stored or _lacks_chunks(array)):
        raise OldCheckpointError(f"{path}: the numbers of {name} were never written; {NEW_COPY}")


def _lacks_chunks(array):
    """Whether a part of an array that is stored in parts was never written: it reads as zeros."""
    if not array.chunks:
        return False
    parts = [math.ceil(size / part) for size, part in zip(array.shape, array.chunks, strict=True)]
    return array.id.get_num_chunks() < math.prod(parts)


def _content(path, file):
    group = file.get("model_weights", file)
    config, training = _json(file, "model_config"), _json(file, "training_config")
    if "layer_names" not in group.attrs and "layer_names0" not in group.attrs:
        raise OldCheckpointError(
            f"{path}: it holds no list of layers, so Keras 1 or 2 did not write it; a file that "
            "ends in .weights.h5 is loaded with model.load_weights"
        )
    version = _text(group.attrs.get("keras_version", file.attrs.get("keras_version", "1")))
    if not re.match(r"[12](\.|$)", version):
        raise OldCheckpointError(
            f"{path}: Keras {version!r} wrote it, not Keras 1 or 2; "
            "load it with keras.saving.load_model"
        )
    layers = [(layer, _arrays(path, group, layer)) for layer in _names(group, "layer_names")]
    top = _arrays(path, group, "top_level_model_weights", required=False)
    if top:
        raise OldCheckpointError(
            f"{path}: it holds weights of the model itself ({top[0].name}), which no layer owns; "
            "rebuild the model in code and set them by hand"
        )
    optimizer = None
    if "optimizer_weights" in file:
        optimizer = _arrays(path, file, "optimizer_weights")
    _require_every_array_in_a_list(path, file, [*layers, ("", optimizer or [])])
    return OldFile(
        path=path,
        version=version,
        backend=_text(group.attrs.get("backend", file.attrs.get("backend", ""))),
        config=config,
        training=training,
        layers=layers,
        optimizer=optimizer,
    )


def _json(file, name):
    if name not in file.attrs:
        return None
    text = _text(file.attrs[name])
    if len(text) > LARGEST_CONFIG:
        raise OldCheckpointError(f"{file.filename}: {name} is longer than {LARGEST_CONFIG} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise OldCheckpointError(
            f"{file.filename}: {name} is no JSON ({error}); {NEW_COPY}"
        ) from error
    if not isinstance(value, dict):
        raise OldCheckpointError(f"{file.filename}: {name} is {type(value).__name__}, not a dict")
    return value


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return str(value)


def _names(group, attribute):
    """A list of names. Keras cuts a list that is too long for one attribute into several."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names, number = [], 0
    while f"{attribute}{number}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{number}"]]
        number += 1
    return names


def _arrays(path, parent, key, required=True):
    if key not in parent:
        if required:
            raise OldCheckpointError(
                f"{path}: the group {key!r} that it names is missing; get a complete copy"
            )
        return []
    group = parent[key]
    names = _names(group, "weight_names")
    if len(set(names)) != len(names):
        raise OldCheckpointError(f"{path}: {key!r} names an array twice")
    found = []
    for name in names:
        if name not in group or not isinstance(group[name], h5py.Dataset):
            raise OldCheckpointError(
                f"{path}: the array {name!r} that it names is missing; get a complete copy"
            )
        found.append(Array(name, np.asarray(group[name][()]), group[name].name))
    return found


def _require_every_array_in_a_list(path, file, lists):
    """Refuse arrays that no list names, and one that two lists name."""
    named = [array.place for _, arrays in lists for array in arrays]
    if len(set(named)) != len(named):
        raise OldCheckpointError(f"{path}: its lists name an array twice")
    stored = []
    file.visititems(lambda _, item: stored.append(item.name) if hasattr(item, "shape") else None)
    left = sorted(set(stored) - set(named))
    if left:
        raise OldCheckpointError(f"{path}: it holds an array outside its lists, {left[0]}")
