"""Checkpoints for Keras 3 that survive a crash, do not make training wait, and go on bit for bit.

Copy this file into your project, or `pip install` the repository it comes from, and change two
lines of your training:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.keras", monitor="val_loss", save_best_only=True)

It holds

- `DurableCheckpoint`, a drop-in for `keras.callbacks.ModelCheckpoint`;
- `ExactBackupAndRestore`, one for `keras.callbacks.BackupAndRestore`, and `ShuffledBatches`, data
  that can be taken up in mid-epoch;
- `verify`, `newest_valid` and `read_record`, which say whether a file is what was saved;
- `load_weights_strict`, which restores everything or raises and changes nothing;
- `python -m durable_checkpoint verify FILE...`, the same for the shell.

The files are the ones that stock Keras writes: `keras.models.load_model` and `Model.load_weights`
read them without this module. Needs Keras 3.15 on TensorFlow, JAX or PyTorch, h5py, NumPy, and
Linux or macOS (`os.fsync` on folders, `fcntl` locks). Nothing is ever pickled.

How a file is replaced (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; SQLite,
"Atomic Commit In SQLite"): the new one is written under a temporary name in the same folder,
flushed to the disk, read back and compared, and only then renamed over the old one; renaming is
atomic. How the training is spared (Mohan et al., "CheckFreq", FAST 2021): it waits for a copy of
the state in memory only; a thread writes that copy while the training goes on.

How a resumed training is made the same training: all state is put back at the point between two
calls of Keras at which it was taken (see `ExactBackupAndRestore`).

Private names of Keras used here, each pinned by a test: `_save_model`, `_get_file_path`,
`_set_monitor_op`, `_is_improvement` and `monitor_op` of `ModelCheckpoint`;
`_serialize_model_as_json`, `H5IOStore` and `_save_state` of `keras.src.saving.saving_lib`;
`_initial_epoch` of `Model`, as in the stock `BackupAndRestore`; and the generator of the random
numbers that are drawn without a seed, `global_seed_generator` of `keras.src.random`.
"""

import argparse
import concurrent.futures
import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import inspect
import io
import json
import math
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
import weakref
import zipfile
from collections.abc import Iterable

import h5py
import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.saving import saving_lib

__all__ = [
    "CorruptCheckpointError",
    "DurableCheckpoint",
    "ExactBackupAndRestore",
    "ShuffledBatches",
    "load_weights_strict",
    "newest_valid",
    "read_record",
    "verify",
]

ENDINGS = (".keras", ".h5")
WEIGHTS_IN_ARCHIVE = "model.weights.h5"
ARCHIVE_WITHOUT_ASSETS = ["metadata.json", "config.json", WEIGHTS_IN_ARCHIVE]
CHUNK_BYTES = 1 << 20
LARGEST_EXPANSION = 1000


class CorruptCheckpointError(Exception):
    """A checkpoint file is not what was saved. `path` names it, `reason` says what is wrong."""

    def __init__(self, path, reason):
        self.path = os.fspath(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")


# ------------------------------------------------------------------ is a file what was saved?


def verify(path: str | os.PathLike) -> str:
    """Raise unless the checkpoint at `path` is complete and undamaged.

    The SHA-256 of the file is compared with the one that was noted when it was saved, in
    `<path>.sha256` or in the record `<path>.json`. Without either, as for a file that stock Keras
    saved, only its structure can be examined: that the archive's own CRC-32 sums hold (`.keras`),
    and that HDF5 can read every array, from this file alone. A changed byte inside an array of a
    `.weights.h5` goes unnoticed then. The file is only read.

    Arguments:
        path: A `.keras`, `.weights.h5` or `.h5` file.

    Returns:
        `"checksum"` if the SHA-256 was compared, `"structure"` if there was none.

    Raises:
        CorruptCheckpointError: It is empty, cut short or changed. `reason` says how it was noticed.
        OSError: It cannot be read at all; `FileNotFoundError` if it does not exist.
    """
    _wait_for_own_writes()
    path = os.path.realpath(path)
    if os.path.getsize(path) == 0:
        raise CorruptCheckpointError(path, "the file is empty")
    while expected := _noted_checksums(path):
        digest = _sha256(path)
        if digest in expected.values():
            return "checksum"
        if expected == _noted_checksums(path):  # and no other process is just replacing the file
            noted = "; ".join(f"{name} says {value}" for name, value in expected.items())
            raise CorruptCheckpointError(path, f"its SHA-256 is {digest}, but {noted}")
    if os.path.exists(f"{path}.sha256"):
        raise CorruptCheckpointError(path, f"{path}.sha256 holds no checksum of it")
    _examine_structure(path)
    return "structure"


def newest_valid(folder: str | os.PathLike, pattern: str = "*") -> pathlib.Path:
    """Return the newest checkpoint in `folder` that `verify` accepts.

    Newest by the time in the record beside the file, or by the file's own time if it has none.

    Arguments:
        folder: The folder to look into, not its subfolders.
        pattern: Which files: a shell pattern, or the name that was given to the callback, in which
            each `{...}` stands for anything.

    Raises:
        FileNotFoundError: No file in `folder` has such a name: nothing was ever saved.
        CorruptCheckpointError: There are some, and every one is damaged. `reason` lists them.
    """
    _wait_for_own_writes()
    folder = pathlib.Path(folder)
    pattern = re.sub(r"\{[^}]*\}", "*", pattern)
    candidates = [
        path
        for path in (folder.iterdir() if folder.is_dir() else [])
        if path.name.endswith(ENDINGS)
        and not path.name.startswith(".")
        and fnmatch.fnmatch(path.name, pattern)
    ]
    if not candidates:
        raise FileNotFoundError(f"{folder}: no checkpoint here matches {pattern}")
    damaged = []
    for path in sorted(candidates, key=_saved_at, reverse=True):
        try:
            verify(path)
            return path
        except CorruptCheckpointError as error:
            damaged.append(f"{path.name}: {error.reason}")
    raise CorruptCheckpointError(folder, "no valid checkpoint: " + "; ".join(damaged))


def read_record(path: str | os.PathLike) -> dict:
    """Return what was noted when the checkpoint at `path` was saved.

    Returns:
        A dictionary with `epoch` and `batch` (counted from 1; `batch` is None at an epoch's end,
        so `epoch` is the `initial_epoch` to go on with), `monitor`, `mode`, `value` (of the
        monitored quantity in this file, None if it was missing), `best` (so far), `sha256`,
        `bytes`, `saved_at` (seconds since 1970) and `versions`.

    Raises:
        FileNotFoundError: There is no record: `DurableCheckpoint` did not save this file.
        CorruptCheckpointError: The record cannot be read.
    """
    _wait_for_own_writes()
    path = os.path.realpath(path)
    if _pending_record_applies(path):
        return _read_json(_pending_record(path))
    record = _read_json(f"{path}.json")
    if record is None:
        if not os.path.exists(f"{path}.json"):
            raise FileNotFoundError(f"{path}.json: no record of this checkpoint")
        raise CorruptCheckpointError(f"{path}.json", "the record is not readable JSON")
    return record


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _noted_checksums(path):
    """The checksums that may rightly be those of `path`, by the file that names them.

    Between the renaming of a checkpoint and the renaming of its checksum a crash leaves the new
    file beside the old checksum. Its record is on the disk by then, under its pending name or its
    final one. Whichever of them the file agrees with, it is one that was saved.
    """
    noted = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        lines = pathlib.Path(f"{path}.sha256").read_text().splitlines()
        for line in lines:
            match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
            if match and match.group(2) == os.path.basename(path):
                noted[f"{os.path.basename(path)}.sha256"] = match.group(1)
    for record_path in filter(None, [_pending_record(path), f"{path}.json"]):
        record = _read_json(record_path)
        if record and re.fullmatch(r"[0-9a-f]{64}", str(record.get("sha256"))):
            noted[os.path.basename(record_path)] = record["sha256"]
    return noted


def _read_json(path):
    try:
        record = json.loads(pathlib.Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _pending_record(path):
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for found in os.listdir(folder or "."):
            if found.startswith(".") and found.endswith(f".pending.{name}.json"):
                return os.path.join(folder, found)
    return None


def _pending_record_applies(path):
    pending = _pending_record(path)
    record = pending and _read_json(pending)
    if not record or not os.path.exists(path):
        return False
    return record.get("bytes") == os.path.getsize(path) and record.get("sha256") == _sha256(path)


def _saved_at(path):
    record = _read_json(f"{path}.json") or {}
    saved_at = record.get("saved_at")
    return saved_at if isinstance(saved_at, (int, float)) else os.stat(path).st_mtime


def _examine_structure(path):
    if str(path).endswith(".keras"):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
                if damaged is not None:
                    raise CorruptCheckpointError(path, f"wrong CRC-32 of {damaged} in the archive")
                names = archive.namelist()
                json.loads(archive.read("config.json"))
                if WEIGHTS_IN_ARCHIVE not in names:
                    raise CorruptCheckpointError(path, f"the archive has no {WEIGHTS_IN_ARCHIVE}")
        except CorruptCheckpointError:
            raise
        except OSError:
            raise
        except Exception as error:
            raise CorruptCheckpointError(path, f"not a complete archive: {error}") from error
    try:
        with _open_weights(path) as weights:
            for array in _arrays(weights).values():
                array[()]
    except _NotInThisFile as error:
        raise CorruptCheckpointError(path, str(error)) from error
    except Exception as error:
        raise CorruptCheckpointError(path, f"HDF5 cannot read it: {error}") from error


@contextlib.contextmanager
def _open_weights(path):
    """The HDF5 file with the arrays: `path` itself, or the member of the archive."""
    if str(path).endswith(".keras"):
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            info = archive.getinfo(WEIGHTS_IN_ARCHIVE)
            if info.compress_type == zipfile.ZIP_STORED:
                part = _PartOfFile(file, _start_of_weights(file), info.file_size)
            else:
                part = io.BytesIO(archive.read(info))
            with h5py.File(part, "r") as weights:
                yield weights
    else:
        with h5py.File(path, "r") as weights:
            yield weights


class _PartOfFile(io.RawIOBase):
    """The `size` bytes of `file` from `start` on, as a file (`ZipExtFile` is slow at seeking)."""

    def __init__(self, file, start, size):
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        self._position = offset + {0: 0, 1: self._position, 2: self._size}[whence]
        return self._position

    def tell(self):
        return self._position

    def readinto(self, buffer):
        self._file.seek(self._start + self._position)
        wanted = max(0, min(len(buffer), self._size - self._position))
        count = self._file.readinto(memoryview(buffer)[:wanted])
        self._position += count
        return count


class _NotInThisFile(ValueError):
    """An array is named in an HDF5 file whose numbers are not in it."""


def _arrays(weights):
    """The arrays by name. Raises, before anything is read, unless the file holds their numbers.

    A file that a stranger made may name another one, which HDF5 would open and read, or an array
    that fills the memory and takes no room in the file. Keras writes neither.
    """
    links = {}
    weights.visititems_links(links.__setitem__)
    arrays = {}
    for name, link in links.items():
        if not isinstance(link, h5py.HardLink):
            raise _NotInThisFile(f"{name} is a link ({type(link).__name__}), not an array")
        item = weights[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual:
            raise _NotInThisFile(f"{name} takes its numbers from another file")
        stored = item.id.get_storage_size()
        if item.nbytes > LARGEST_EXPANSION * stored + CHUNK_BYTES:
            raise _NotInThisFile(f"{name} declares {item.nbytes} bytes, the file holds {stored}")
        arrays[name] = item
    return arrays


# ------------------------------------------------------------------ load everything or nothing


def load_weights_strict(model: keras.Model, path: str | os.PathLike) -> None:
    """Load weights and optimizer from `path` into `model`, or raise and change nothing.

    `Model.load_weights` accepts a file that fits only in part: it skips the optimizer with a
    warning if it was not built yet, ignores layers that only the file has, and leaves the layers
    that it had visited overwritten when it raises. Here the file is verified, its arrays are
    compared with those that `model` would save, by name, shape and type, and after loading they
    are compared again, bit by bit. An optimizer that was not built yet is built.

    Arguments:
        model: A built model; compiled, if the optimizer is to be restored. If it is not compiled,
            an optimizer in the file is left there.
        path: A `.keras` or `.weights.h5` file.

    Raises:
        CorruptCheckpointError: `verify` refuses the file.
        ValueError: Not every variable of `model`, those of its optimizer included, would be or was
            restored. The message names the first ones. `model` is as it was.
        OSError: The file cannot be read, or there is no room in the temporary folder for a copy.

    State of `keras.random.SeedGenerator` is in none of Keras's files and stays as it is.
    """
    verify(path)
    optimizer = getattr(model, "optimizer", None)
    with _open_weights(path) as weights:
        in_file = {name: (a.shape, a.dtype.str) for name, a in _arrays(weights).items()}
    unbuilt = optimizer is not None and not optimizer.built
    with tempfile.TemporaryDirectory() as folder:
        in_model = _structure(model, folder)
        if unbuilt:
            in_model = {n: a for n, a in in_model.items() if not n.startswith("optimizer/")}
        _require_same_structure(in_file, in_model, path, optimizer if not unbuilt else None)
        if unbuilt:
            _require_fitting_optimizer(optimizer, model, in_file, path)
            optimizer.build(model.trainable_variables)
            _require_same_structure(in_file, _structure(model, folder), path, optimizer)
        variables = _variables_of(model)
        before = [keras.ops.copy(variable) for variable in variables]
        try:
            model.load_weights(path)
            different = _different_arrays(model, path, folder)
            if different:
                raise ValueError(
                    f"{path}: {len(different)} arrays were not restored, among them {different[0]}"
                )
        except BaseException:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise


def _structure(model, folder):
    path = os.path.join(folder, "structure.weights.h5")
    _save_by_keras(model, path)
    with _open_weights(path) as weights:
        return {name: (a.shape, a.dtype.str) for name, a in _arrays(weights).items()}


def _require_fitting_optimizer(optimizer, model, in_file, path):
    twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    twin.build(model.trainable_variables)
    needed = sorted(tuple(variable.shape) for variable in twin.variables)
    found = sorted(a[0] for name, a in in_file.items() if name.startswith("optimizer/"))
    if needed != found:
        raise ValueError(
            f"{path}: {type(optimizer).__name__} has {len(needed)} variables, the file holds "
            f"{len(found)} of an optimizer, or of other shapes; nothing was loaded"
        )


def _require_same_structure(in_file, in_model, path, optimizer):
    if optimizer is None:
        in_file = {n: a for n, a in in_file.items() if not n.startswith("optimizer/")}
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


def _different_arrays(model, path, folder):
    now = os.path.join(folder, "restored.weights.h5")
    _save_by_keras(model, now)
    with _open_weights(now) as restored, _open_weights(path) as saved:
        in_file = _arrays(saved)
        return [
            name
            for name, array in _arrays(restored).items()
            if name not in in_file or array[()].tobytes() != in_file[name][()].tobytes()
        ]


def _variables_of(model):
    """Every variable that a file of `model` can hold, each once."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    return list({id(variable): variable for variable in variables}.values())


# ------------------------------------------------------------------ where each array lies


class _Layout:
    """Where each variable of a model lies in the weights file that stock Keras writes for it.

    HDF5 stores such an array in one run of bytes, and everything between the arrays depends on
    the structure of the model only. Once this is known, saving is writing: `pieces` holds, in the
    order of the file, constant bytes and the numbers of variables. Hardly any of that needs the
    interpreter lock, and the bytes are those that Keras would have written.
    """

    def __init__(self, variables, pieces, size):
        self.variables = variables
        self.pieces = pieces
        self.size = size

    def fits(self, variables):
        return len(variables) == len(self.variables) and all(
            mine is theirs for mine, theirs in zip(self.variables, variables, strict=True)
        )

    def contents(self, values):
        """The bytes of the file, piece by piece. `values`: arrays or tensors like `variables`."""
        return _contents(self.pieces, values)


def _contents(pieces, values):
    for piece in pieces:
        yield piece if isinstance(piece, bytes) else _bytes_of(values[piece])


_LAYOUTS = weakref.WeakKeyDictionary()


def _bytes_of(value):
    return np.ascontiguousarray(np.asarray(value)).reshape(-1).view(np.uint8)


def _layout_of(model, ending):
    """The layout learned for files of `model` with this ending, None if it has to be learned."""
    layout = _LAYOUTS.get(model, {}).get(ending)
    return layout if layout is not None and layout.fits(_variables_of(model)) else None


def _learn_layout(model, saved, ending):
    """Find out where stock Keras puts each variable of `model`, without trusting a guess.

    Every variable is filled with a number of its own, the model is saved once more, and the numbers
    are looked up there; then the values are put back. What the layout says of the true values must
    give the file `saved`, which stock Keras just wrote, byte for byte. A model for which that fails
    (a layer that saves something other than its variables, a vocabulary in the archive) gets a
    layout without pieces.
    """
    probe = f"{saved}.probe{ending}"
    variables = _variables_of(model)
    values, _ = _snapshot(variables, None)
    pieces = size = None
    try:
        with contextlib.suppress(Exception):
            try:
                pieces, size = _probe_layout(model, variables, probe)
            except OSError:  # no room for a second file: the next save tries again
                return
            if not _holds_these_bytes(saved, _contents(pieces, values), size):
                pieces = None
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        _remove(probe)
    _LAYOUTS.setdefault(model, {})[ending] = _Layout(variables, pieces, size)


class _NotUnderstood(Exception):
    pass


def _probe_layout(model, variables, probe):
    # Only variables of the same shape and type need telling apart, and a type can hold only so
    # many exact numbers: with more variables than that, several probes give several digits.
    numbers, members = [], {}
    for variable in variables:
        group = members.setdefault((tuple(variable.shape), str(variable.dtype)), [])
        group.append(variable)
        numbers.append(len(group))
    bases = [_exact_numbers(str(variable.dtype)) for variable in variables]
    rounds = max(
        (math.ceil(math.log(n + 1, b)) for n, b in zip(numbers, bases, strict=True)), default=1
    )
    marks = [[] for _ in variables]
    found = {}
    for digit in range(max(rounds, 1)):
        for i, variable in enumerate(variables):
            mark = numbers[i] // bases[i] ** digit % bases[i]
            variable.assign(keras.ops.full(variable.shape, mark, dtype=variable.dtype))
            first = keras.ops.convert_to_numpy(keras.ops.full((1,), mark, dtype=variable.dtype))
            marks[i].append(_bytes_of(first).tobytes())
        _save_by_keras(model, probe)
        raw = _map_weights(probe)
        with _open_weights(probe) as weights:
            for name, array in _arrays(weights).items():
                offset, count, width = array.id.get_offset(), array.size, array.dtype.itemsize
                if count == 0:
                    continue
                if offset is None or array.chunks or array.external or width not in (1, 2, 4, 8):
                    raise _NotUnderstood(name)
                content = raw[offset : offset + count * width].view(f"u{width}")
                if not (content == content[0]).all():
                    raise _NotUnderstood(name)
                place = found.setdefault(name, (array.shape, offset, count * width, []))
                place[3].append(content[:1].tobytes())
        size = raw.size
    lookup = {}
    for i, variable in enumerate(variables):
        lookup[tuple(variable.shape), tuple(marks[i])] = i
    places = []
    for name, (shape, offset, length, digits) in found.items():
        number = lookup.get((shape, tuple(digits)))
        if number is None:
            raise _NotUnderstood(name)
        places.append((offset, length, number))
    pieces, position = [], 0
    for offset, length, number in sorted(places):
        pieces += [raw[position:offset].tobytes(), number]
        position = offset + length
    return [*pieces, raw[position:].tobytes()], size


def _save_by_keras(model, path):
    if path.endswith(".weights.h5"):
        # Not to the disk: HDF5 1.14 ends the process (SIGSEGV) when that becomes full.
        memory = io.BytesIO()
        store = saving_lib.H5IOStore(memory, mode="w")
        saving_lib._save_state(
            model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
        )
        store.close()
        pathlib.Path(path).write_bytes(memory.getbuffer())
    else:
        model.save(path, overwrite=True)


def _map_weights(path):
    """The bytes of the HDF5 file at `path`, or of the one in the archive, without reading them."""
    start, size = 0, os.path.getsize(path)
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            if archive.namelist() != ARCHIVE_WITHOUT_ASSETS:
                raise _NotUnderstood("assets")
            start, size = _start_of_weights(file), archive.getinfo(WEIGHTS_IN_ARCHIVE).file_size
    return np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=(size,))


def _exact_numbers(dtype):
    """How many whole numbers from 0 on this type can tell apart, at least."""
    if dtype == "bool":
        return 2
    if "8" in dtype and not dtype.startswith(("complex", "bfloat")):
        return 8
    return 256 if dtype in ("float16", "bfloat16") else 1 << 16


def _holds_these_bytes(path, pieces, size):
    """Whether the weights in the file at `path` are exactly `pieces`, together `size` bytes."""
    raw = _map_weights(path)
    position = 0
    for piece in pieces:
        expected = np.frombuffer(piece, dtype=np.uint8)
        if not np.array_equal(raw[position : position + expected.size], expected):
            return False
        position += expected.size
    return position == raw.size == size


def _start_of_weights(file):
    with zipfile.ZipFile(file) as archive:
        header = archive.getinfo(WEIGHTS_IN_ARCHIVE).header_offset
    file.seek(header + 26)  # of a local header: lengths of name and extra field, then both
    lengths = file.read(4)
    return header + 30 + sum(int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))


def _read_and_compare(file, piece, digest=None):
    """Whether `file` goes on with `piece`. What is read also goes into `digest`."""
    expected = memoryview(piece)
    buffer = bytearray(min(CHUNK_BYTES, max(len(expected), 1)))
    for start in range(0, len(expected), len(buffer)):
        part = expected[start : start + len(buffer)]
        if len(part) < len(buffer):
            buffer = bytearray(len(part))
        if file.readinto(buffer) != len(part) or buffer != part:
            return False
        if digest is not None:
            digest.update(buffer)
    return True


# ------------------------------------------------------------------ the state at this moment


def _snapshot(variables, buffers):
    """Copies of the values of `variables` at this moment.

    On TensorFlow and PyTorch, and on JAX with an accelerator, the copies are tensors on the device;
    the writer fetches them. On TensorFlow reading a variable is copying it: the tensor stays as it
    is, and the next assignment allocates anew. JAX on the processor would have to copy arrays that
    someone holds before the next step may overwrite ("donate") them, and into fresh memory, which
    takes longer than copying into memory that was used before. So `buffers`, arrays of an earlier
    snapshot or None, are filled instead.

    Returns:
        The copies, and the buffers among them to be used again (None if there are none).
    """
    if keras.backend.backend() == "jax":
        on_device = not all(
            device.platform == "cpu" for v in variables for device in v.value.devices()
        )
    else:
        on_device = True
    if on_device:
        try:
            return [keras.ops.copy(variable) for variable in variables], None
        except Exception as error:
            if not re.search(r"resource.?exhausted|out of memory", str(error), re.IGNORECASE):
                raise
    arrays = [np.asarray(keras.ops.convert_to_tensor(variable)) for variable in variables]
    if buffers is None:
        buffers = [np.empty_like(array) for array in arrays]
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(np.copyto, buffers, arrays))
    return buffers, buffers


# ------------------------------------------------------------------ the callback


class DurableCheckpoint(keras.callbacks.ModelCheckpoint):
    """Save a Keras model or its weights so that neither a crash nor waiting costs the training.

    A drop-in for `keras.callbacks.ModelCheckpoint`: same arguments, same files. What differs:

    - The file under the final name is always a complete one. The new one is written beside it,
      flushed, read back, compared, and renamed over it. Killed at any moment, the process leaves
      the last good file.
    - Beside `<file>` lie `<file>.sha256`, which `sha256sum -c` reads, and `<file>.json`, the
      record that `read_record` returns.
    - With `background=True` the training waits only for a copy of the state in memory. At most one
      file is being written and one copy is waiting; the next save waits for that one. `fit` does
      not return before the last one is written. If `fit` raises, so does the process not end
      before; `wait()`, `verify` and `newest_valid` wait, too.
    - A monitored value that is missing or NaN overwrites nothing and does not count as best. If it
      is missing (misspelt, or no validation in this epoch) and there is no file yet, one is saved,
      so that not everything is lost, and a warning lists the names that there are.
    - A save that fails (disk full, no permission) leaves the old file, its checksum and its record
      as they were, is reported once, with the path and the free space, and does not count as best.
      Training goes on and the next save tries again. If no later save to the same path succeeds,
      `fit` raises the `OSError` at its end; with `background=False`, at once.
    - The same files are refused to a second training as long as the first one lives.

    The first save of a model is made by stock Keras, twice, and takes several times as long as
    stock's later ones, since the layout of the file is learned then (see `_Layout`). Models for
    which it cannot be learned, those with vocabularies in a `.keras` file, and the legacy `.h5`
    format are saved by stock Keras each time, to the temporary file, before training goes on; the
    rest happens in the background all the same.

    Arguments:
        filepath: Name of the file, ending in `.keras`, `.h5` or, with `save_weights_only=True`,
            `.weights.h5`. May contain `{epoch}`, `{batch}` and names of metrics. Local paths only.
        monitor, verbose, save_best_only, save_weights_only, mode, save_freq: As in
            `ModelCheckpoint`.
        initial_value_threshold: As in `ModelCheckpoint`, a number that the first value has to
            beat; or `"saved"`: the best value among the valid files that an earlier training saved
            under this `filepath` with this `monitor`, so that a restarted training does not
            overwrite its best model by a worse one. None: start afresh.
        background: Write in a thread while the training goes on.
        keep_last: Keep this many of the newest files. Needs a `filepath` with `{...}`.
        keep_best: Keep this many of the files with the best monitored value. With both, what
            either keeps is kept; with `keep_best` alone, the newest file stays as well. Only
            files under this `filepath` that have a record are ever deleted, those of earlier
            trainings included, and only after a new file was verified.

    Memory: with `background=True`, up to two copies of the state (weights and optimizer, for Adam
    12 bytes per parameter) beyond the training's own.

    Raises:
        ValueError: Arguments that contradict each other, or two callbacks with the same
            `filepath` in one `fit`.
        BlockingIOError: Another process is training into the same files.
        OSError: A file could not be saved; see above.
    """

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | str | None = None,
        *,
        background: bool = True,
        keep_last: int | None = None,
        keep_best: int | None = None,
    ):
        if isinstance(initial_value_threshold, str) and initial_value_threshold != "saved":
            raise ValueError(
                "initial_value_threshold is a number, None or 'saved', "
                f"not {initial_value_threshold!r}"
            )
        self._go_on_from_saved = initial_value_threshold == "saved"
        super().__init__(
            filepath,
            monitor=monitor,
            verbose=verbose,
            save_best_only=save_best_only,
            save_weights_only=save_weights_only,
            mode=mode,
            save_freq=save_freq,
            initial_value_threshold=None if self._go_on_from_saved else initial_value_threshold,
        )
        if "://" in self.filepath:
            raise ValueError(f"only local files can be made durable, not {self.filepath}")
        # A link stays one: what it points to is replaced.
        is_link = os.path.islink(self.filepath)
        folder, self._template = os.path.split(
            os.path.realpath(self.filepath) if is_link else self.filepath
        )
        for name, number in (("keep_last", keep_last), ("keep_best", keep_best)):
            if number is None:
                continue
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} is a number of files, 1 or more, not {number!r}")
            if "{" not in self._template or "{" in folder:
                raise ValueError(
                    f"{name} needs several names in one folder, as in 'epoch-{{epoch:02d}}.keras', "
                    f"not {self.filepath}"
                )
        self.background = background
        self.keep_last = keep_last
        self.keep_best = keep_best
        # The part of the path before the first placeholder is one folder for the whole training.
        while "{" in folder:
            folder = os.path.dirname(folder)
        self._folder = os.path.realpath(folder or ".")
        self._tag = hashlib.sha256(self._template.encode()).hexdigest()[:8]
        self._best_on_disk = self.best
        self._batches_before = 0  # in an epoch that is taken up in its middle
        self._saves_started = 0
        self._pending = []
        self._unsaved = {}
        self._said = set()
        self._spare_buffers = []
        self._last_saved_at = 0.0
        self._writer = None

    # ---- the hooks of Keras

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        _CALLBACKS.add(self)
        try:
            os.makedirs(self._folder, exist_ok=True)
            _lock(self)
            self._finish_what_a_crash_left()
        except BlockingIOError:
            raise
        except OSError as error:
            raise _explained(error, os.path.realpath(self.filepath)) from None
        self._said.clear()
        self._unsaved.clear()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self.close()

    def wait(self) -> None:
        """Wait until every save begun so far is on the disk.

        Raises:
            OSError: One of them failed, and no later one to the same path succeeded.
        """
        self._collect(waiting_for_at_most=0)
        if self._unsaved:
            errors = list(self._unsaved.values())
            self._unsaved.clear()
            raise errors[0]

    def close(self) -> None:
        """`wait()`, then let others train into these files. Called at the end of training."""
        try:
            self.wait()
        finally:
            _unlock(self)
            self._spare_buffers.clear()
            if self._writer is not None:
                self._writer.shutdown()
                self._writer = None

    def get_state(self) -> dict:
        """What `ExactBackupAndRestore` keeps of this callback: best value, and counters."""
        return {name: getattr(self, name) for name in self._STATE}

    def set_state(self, state: dict) -> None:
        """Go on from what `get_state` returned."""
        for name in self._STATE:
            setattr(self, name, state[name])

    _STATE = (
        "best",
        "_best_on_disk",
        "_go_on_from_saved",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    )

    # ---- shall this be saved?

    def _save_model(self, epoch, batch, logs):
        logs = logs or {}
        if batch is not None:
            batch += self._batches_before
        self._collect(waiting_for_at_most=None)
        ranked = self.save_best_only or self.keep_best or self._go_on_from_saved
        if ranked and self.monitor_op is None:
            self._set_monitor_op()
        if self._go_on_from_saved:
            self._go_on_from_saved = False
            self.best = self._best_on_disk = self._best_saved()
        value = _scalar(logs.get(self.monitor))
        try:
            path = self._get_file_path(epoch, batch, logs)
        except KeyError:
            if self.save_best_only and value is None:
                self._warn_of_missing_metric(logs)
                return
            raise
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"Please specify a non-directory filepath for DurableCheckpoint: {path} is a folder"
            )
        if self.save_best_only and not self._is_best(value, path, epoch, logs):
            return
        if self.verbose > 0 and not self.save_best_only:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        self._start_saving(path, epoch, batch, value)

    def _is_best(self, value, path, epoch, logs):
        if value is None:
            self._warn_of_missing_metric(logs)
            return self.best is None and not self._pending and not os.path.exists(path)
        if math.isnan(value):
            if self._not_yet_said("nan"):
                warnings.warn(f"{self.monitor} is NaN: {self.filepath} is left as it is.")
            return False
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(value, self.best):
            if self.verbose > 0:
                print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose > 0:
            print(
                f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {value:.5f}, "
                f"saving model to {path}"
            )
        self.best = value
        return True

    def _warn_of_missing_metric(self, logs):
        if self._not_yet_said("missing"):
            warnings.warn(
                f"Can save best model only with {self.monitor} available. There are "
                f"{', '.join(sorted(logs)) or 'none'}. {self.filepath} is not overwritten."
            )

    def _not_yet_said(self, what):
        new = what not in self._said
        self._said.add(what)
        return new

    def _best_saved(self):
        """The best value among the valid files of earlier trainings, None if there is none."""
        ranked = sorted(
            (
                (record["value"], path)
                for path, record in self._records()
                if record.get("monitor") == self.monitor and _rankable(record.get("value"))
            ),
            reverse=not self._lower_is_better(),
        )
        for value, path in ranked:
            with contextlib.suppress(CorruptCheckpointError, OSError):
                verify(path)
                return value
        return None

    def _lower_is_better(self):
        return self.monitor_op is keras.ops.less

    # ---- the training's side of a save

    def _start_saving(self, path, epoch, batch, value):
        self._collect(waiting_for_at_most=1)
        path = os.path.realpath(path)
        folder, name = os.path.split(path)
        self._saves_started += 1
        temporary = os.path.join(folder, f".{self._tag}.saving{self._saves_started % 2}.{name}")
        # Times of successive files increase even if the clock is set back.
        self._last_saved_at = max(time.time(), self._last_saved_at + 1e-3)
        record = {
            "file": name,
            "template": self._template,
            "epoch": epoch + 1,
            "batch": None if batch is None else batch + 1,
            "monitor": self.monitor,
            "mode": self._mode_for_record(),
            "value": value if _rankable(value) else None,
            "best": self.best if self.save_best_only and _rankable(self.best) else None,
            "saved_at": self._last_saved_at,
            "versions": _versions(),
        }
        try:
            os.makedirs(folder, exist_ok=True)
            source = self._copy_state(temporary)
        except NotImplementedError:
            raise
        except (OSError, RuntimeError) as error:  # h5py reports a full disk as either
            self._pending.append((path, record, _failed(self._failure(error, temporary, path))))
        else:
            if self._writer is None:
                self._writer = concurrent.futures.ThreadPoolExecutor(
                    1, "durable-checkpoint", _step_back if self.background else None
                )
            future = self._writer.submit(self._write, source, temporary, path, record)
            self._pending.append((path, record, future))
        if not self.background:
            self.wait()

    def _mode_for_record(self):
        if self.monitor_op is None:
            return self.mode
        return "min" if self._lower_is_better() else "max"

    def _copy_state(self, temporary):
        """Hold the state of this moment: as a file by stock Keras, or as copies in memory."""
        model = self.model
        whole = not self.save_weights_only
        ending = ".keras" if whole else ".weights.h5"
        layout = _layout_of(model, ending)
        if layout is None or layout.pieces is None or not temporary.endswith(ending):
            _save_by_keras(model, temporary)
            if layout is None and temporary.endswith(ending):
                _learn_layout(model, temporary, ending)
            return None
        texts = saving_lib._serialize_model_as_json(model) if whole else None
        buffers = self._spare_buffers.pop() if self._spare_buffers else None
        if not _fit_for(buffers, layout.variables):
            buffers = None
        values, reusable = _snapshot(layout.variables, buffers)
        return layout, texts, values, reusable

    def _collect(self, waiting_for_at_most):
        """Take note of the saves that have ended; wait while more than that many have not."""
        failed = False
        while self._pending:
            path, record, future = self._pending[0]
            if not future.done():
                if waiting_for_at_most is None or len(self._pending) <= waiting_for_at_most:
                    break
                concurrent.futures.wait([future])
            error = future.exception()
            self._pending.pop(0)
            if error is None:
                self._unsaved.pop(path, None)
                self._said.discard("failed")
                if self.save_best_only and record["value"] is not None:
                    self._best_on_disk = record["value"]
                continue
            if not isinstance(error, OSError):
                raise error
            failed = True
            self._unsaved[path] = error
        # The value of a save that failed is no longer the one to beat.
        if failed and not self._pending:
            self.best = self._best_on_disk

    # ---- the writer's side of a save

    def _write(self, source, temporary, path, record):
        try:
            if source is None:
                digest = _flush_and_examine(temporary)
            else:
                layout, texts, values, reusable = source
                digest = _write_and_compare(temporary, _members_of_model(layout, texts, values))
                if reusable is not None:
                    self._spare_buffers.append(reusable)
            record = {**record, "bytes": os.path.getsize(temporary), "sha256": digest}
            _publish(temporary, path, record, self._tag)
        except OSError as error:
            raise self._failure(error, temporary, path) from None
        except BaseException:
            _remove(temporary)
            raise
        try:
            self._prune(path)
        except OSError as error:
            if self._not_yet_said("prune"):
                warnings.warn(f"DurableCheckpoint could not delete what is not to be kept: {error}")
        if self.verbose > 0:
            print(f"\nEpoch {record['epoch']}: finished saving model to {path}")

    def _failure(self, error, temporary, path):
        error = _explained(error, path)
        _remove(temporary)
        if self.background and self._not_yet_said("failed"):
            with contextlib.suppress(Exception):
                warnings.warn(f"{error}. Training goes on; the next save tries again.")
        return error

    def _prune(self, just_saved):
        if self.keep_last is None and self.keep_best is None:
            return
        records = sorted(self._records(), key=lambda item: item[1].get("saved_at") or 0)
        kept = {just_saved}
        if self.keep_last is not None:
            kept.update(path for path, _ in records[-self.keep_last :])
        if self.keep_best is not None:
            sign = 1 if self._lower_is_better() else -1
            ranked = sorted(
                (sign * record["value"], path)
                for path, record in records
                if record.get("monitor") == self.monitor and _rankable(record.get("value"))
            )
            kept.update(path for _, path in ranked[: self.keep_best])
        for path, _ in records:
            if path not in kept:
                for gone in (f"{path}.sha256", path, f"{path}.json"):
                    _remove(gone)
        if len(kept) < len(records):
            _sync_folder(self._folder)

    def _files(self):
        """(folder, name) of every file that may be this callback's."""
        for folder, _, names in os.walk(self._folder):
            for name in names:
                yield folder, name
            if "{" not in os.path.dirname(self.filepath):
                break

    def _records(self):
        """(path, record) of the files under this `filepath` that have a record."""
        found = []
        for folder, name in self._files():
            path = os.path.join(folder, name.removesuffix(".json"))
            if name.startswith(".") or not name.endswith(".json") or not os.path.exists(path):
                continue
            record = _read_json(f"{path}.json")
            if record and record.get("template") == self._template:
                found.append((path, record))
        return found

    def _finish_what_a_crash_left(self):
        """Complete or undo a save in which an earlier process died. The lock is held."""
        for folder, name in list(self._files()):
            if _finish_or_remove(folder, name, self._tag):
                continue
            if name.endswith(".json") and not name.startswith("."):
                record = _read_json(os.path.join(folder, name)) or {}
                path = os.path.join(folder, name).removesuffix(".json")
                if record.get("template") == self._template and not os.path.exists(path):
                    _remove(os.path.join(folder, name))
        for path, record in self._records():
            checksum = pathlib.Path(f"{path}.sha256")
            if "sha256" in record and (
                not checksum.exists() or checksum.read_bytes() != _checksum_line(path, record)
            ):
                _replace_durably(checksum, _checksum_line(path, record), self._tag)
        self._last_saved_at = max(
            [self._last_saved_at, *(r.get("saved_at") or 0 for _, r in self._records())]
        )


def _scalar(value):
    """`value` as a float, None if it is missing or not a single number."""
    try:
        return None if value is None or np.ndim(value) > 0 else float(value)
    except (TypeError, ValueError):
        return None


def _rankable(value):
    return isinstance(value, (int, float)) and math.isfinite(value)


def _versions():
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
    }


def _fit_for(buffers, variables):
    return buffers is not None and [b.shape for b in buffers] == [tuple(v.shape) for v in variables]


def _failed(error):
    future = concurrent.futures.Future()
    future.set_exception(error)
    return future


def _step_back():
    """Let the training's threads go first. Linux counts this for the calling thread alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 10)


def _explained(error, path, who="DurableCheckpoint"):
    """The same error with the path, the free space, and what has become of the old file."""
    folder = os.path.dirname(path)
    free = "unknown free space"
    with contextlib.suppress(OSError):
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free"
    number = getattr(error, "errno", None)
    if not number:  # h5py puts it into the text
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found.group(1)) if found else errno.EIO
    old = "the file saved before is as it was" if os.path.exists(path) else "no file was there"
    return OSError(
        number,
        f"{who} could not save {path} ({free} in {folder}; {old}): "
        f"{getattr(error, 'strerror', None) or error}",
    )


# ------------------------------------------------------------------ data in an order of its own


class ShuffledBatches(keras.utils.PyDataset):
    """Arrays in batches, in an order that depends on `seed` and the epoch alone.

    Give it to `fit` with `shuffle=False`, and to `ExactBackupAndRestore` in `track`: a training
    that was interrupted in the middle of an epoch then goes on with the very next batch.

        batches = ShuffledBatches(x, y, batch_size=32, seed=7)
        backup = ExactBackupAndRestore("backup", save_freq=100, track=[batches])
        model.fit(batches, shuffle=False, epochs=10, callbacks=[backup])

    Plain arrays cannot be taken up again like that. Where `fit(x, y)` stands in an epoch is known
    to nobody outside; and its order comes from random numbers whose state is not a variable of the
    model. On TensorFlow it is not even an order for each epoch: once `keras.utils.set_random_seed`
    was called, `fit(x, y, shuffle=True)` of Keras 3.15 repeats the same permutation in every epoch.
    An experiment that seems to go on exactly after an interruption may owe it to that alone.

    The technique is that of data loaders that are a function of (seed, position) and have no state
    beside it (Mohan et al., "CheckFreq", FAST 2021: each item once in every epoch, also across an
    interruption).

    Arguments:
        x, y: Arrays with the same number of rows, or lists, tuples or dictionaries of such arrays,
            as the model takes them. They are not copied; a batch is.
        batch_size: Rows in a batch. The last one of an epoch has those that are left.
        seed: A whole number, 0 or more.

    Raises:
        ValueError: Different numbers of rows; or `fit` asked for the batches in another order,
            as it does unless `shuffle=False` is given.
    """

    def __init__(self, x, y, batch_size: int = 32, seed: int = 0):
        super().__init__()
        rows = {len(array) for array in keras.tree.flatten((x, y))}
        if len(rows) != 1 or rows == {0}:
            raise ValueError(f"x and y need the same number of rows, 1 or more, not {sorted(rows)}")
        if batch_size < 1:
            raise ValueError(f"batch_size is a number of rows, 1 or more, not {batch_size}")
        self.x, self.y = x, y
        self.rows = rows.pop()
        self.batch_size = batch_size
        self.seed = seed
        self.start(0)

    def start(self, epoch: int, batch: int = 0) -> None:
        """Let the next pass begin with `batch` of `epoch`, both counted from 0.

        `ExactBackupAndRestore` calls it at the beginning of every epoch. Without it, passes are
        counted: the epoch of the next one is that of the last complete one plus 1.
        """
        if not 0 <= batch < len(self):
            raise ValueError(f"batch {batch} of {len(self)}")
        self.epoch, self.first_batch = epoch, batch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        self._asked_for = -1
        self._in_a_pass = False

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)

    @property
    def num_batches(self) -> int:
        """Batches in the next pass. Only a pass that goes on in mid-epoch has fewer than all."""
        # `fit` takes the length of all its epochs from here before the first one begins, and that
        # of the pass again when it begins.
        return len(self) - (self.first_batch if self._asked_for < 0 else 0)

    def __getitem__(self, index: int):
        """Batch number `index` of this pass: arrays (x, y) with `batch_size` rows or fewer."""
        if self._in_a_pass and index not in (0, self._asked_for + 1):
            raise ValueError("ShuffledBatches shuffles by itself: call fit(..., shuffle=False)")
        self._asked_for = index
        begin = (self.first_batch + index) * self.batch_size
        rows = self.order[begin : begin + self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], (self.x, self.y))

    def on_epoch_begin(self):
        self._in_a_pass = True

    def on_epoch_end(self):
        # Keras calls it before the first epoch as well, and after a look at the first batch.
        complete = self.first_batch + self._asked_for + 1 == len(self)
        if self._in_a_pass and complete:
            self.start(self.epoch + 1)
        self._in_a_pass = False

    def served(self) -> int:
        """How many batches of this epoch have been asked for, those before `first_batch` too."""
        return self.first_batch + self._asked_for + 1

    def get_state(self) -> dict:
        """What must be the same for an interrupted epoch to go on with the same rows."""
        order = hashlib.sha256(self.order.astype("<i8").tobytes()).hexdigest()
        structure = keras.tree.map_structure(
            lambda array: f"{np.dtype(array.dtype).name} {list(array.shape[1:])}", (self.x, self.y)
        )
        return {
            "rows": self.rows,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "arrays": str(structure),
            "order": order,
        }


# ------------------------------------------------------------------ going on bit for bit


class ExactBackupAndRestore(keras.callbacks.BackupAndRestore):
    """Back a training up so that, interrupted anywhere and run again, it ends in the same bits.

    A drop-in for `keras.callbacks.BackupAndRestore`. Run the same program again after a crash, and
    `fit` goes on where the newest backup was made. What differs:

    - Restored are weights, optimizer, the seeds of dropout and augmentation layers, the state of
      Python's, NumPy's and Keras's random numbers, the metrics in mid-epoch, `History`, and the
      state of what is in `track`. The stock callback restores weights, optimizer and epoch.
    - With `ShuffledBatches` in `track`, a backup in mid-epoch is taken up at the next batch. With
      data of which the position is unknown (arrays, generators, `tf.data`, a `ShuffledBatches` not
      in `track`) backups are made between epochs only, which a warning says if `save_freq` asks for
      others: a batch is never trained twice. Whether such data comes in the same order again is up
      to it. The stock callback begins the epoch anew, with the weights of its middle.
    - Files are replaced as `DurableCheckpoint` does it, in the background, and two generations are
      kept: if the newer one is damaged, training goes on from the older, and one line says so.
    - A backup of another network, optimizer, backend or order of the data is refused.
    - SIGTERM and SIGINT (Ctrl-C) let the batch end, make a backup and end the process, with status
      143 (128 + 15) or 130 (128 + 2); the same command goes on from there. During validation they
      wait for its end. A second one ends the process at once.
    - No epoch is left behind on the model: a later `fit` begins where it is told to.

    The state is taken, and put back, between two calls of Keras: before an epoch begins or before a
    batch begins, when the callbacks have dealt with the one before. So callbacks in `track` may
    stand before or after this one. Only in an epoch that is taken up in its middle Keras counts the
    batches from 0 again (a `DurableCheckpoint` in `track` is told the true number), and callbacks
    before this one see the beginning of a batch more than there is. The same bits need the same
    machine, versions and number of threads, and operations that are deterministic: with TensorFlow
    on a GPU, call `tf.config.experimental.enable_op_determinism()`.

    What makes it exact was put together from MosaicML Composer's test of resumption, from data
    loaders that know their position (CheckFreq, FAST 2021), and from measurements of what Keras
    3.15.1 loses.

    Arguments:
        backup_dir: A folder for this call of `fit` alone.
        save_freq: `"epoch"`, or a number of batches between two backups.
        double_checkpoint: Accepted as in the original; two generations are kept in any case.
        delete_checkpoint: Delete the backup when training has ended. With False it stays, and the
            same program run again trains nothing and has the trained model.
        track: Objects whose state belongs to the training: callbacks (`EarlyStopping` with its best
            weights, `ReduceLROnPlateau`, checkpoints), `ShuffledBatches`,
            `keras.random.SeedGenerator`, layers outside of the model, `numpy.random.Generator`,
            and anything with `get_state()` and `set_state(state)`. Of a callback without these, all
            attributes are kept that are numbers, texts, arrays, or lists and dictionaries of them,
            but none that bears the name of an argument of its constructor: that is a setting. A
            warning names those of other types. The learning rate comes from the backup.
        background: Write in a thread while the training goes on, with up to two copies of the state
            in memory.
        signals: Those that end training with a backup; `()` for none. Only while `fit` runs, and
            only in the main thread.

    Raises:
        ValueError: The backup is of a different training, or of a later epoch than `fit` is to end
            with (what differs is named; nothing is changed on the disk or in the model); the model
            is not built; `ShuffledBatches` in `track` is not what `fit` trains on.
        CorruptCheckpointError: There are backups, and all are damaged.
        BlockingIOError: Another process is training with the same `backup_dir`.
        OSError: `backup_dir` cannot be used, or there was no room for the backup that a signal had
            asked for. A backup that fails otherwise is a warning, and the older one stays.
        SystemExit: After a signal.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = True,
        delete_checkpoint: bool = True,
        *,
        track: Iterable = (),
        background: bool = True,
        signals: Iterable[int] = (signal.SIGTERM, signal.SIGINT),
    ):
        if isinstance(save_freq, bool) or (isinstance(save_freq, int) and save_freq < 1):
            raise ValueError(
                "Invalid value for argument `save_freq`: 'epoch' or a number of batches, 1 or "
                f"more, not {save_freq!r}"
            )
        super().__init__(backup_dir, save_freq, double_checkpoint, delete_checkpoint)
        self.track = list(track)
        data = [tracked for tracked in self.track if isinstance(tracked, ShuffledBatches)]
        if len(data) > 1:
            raise ValueError("one training has one ShuffledBatches in track")
        self._data = data[0] if data else None
        self.background = background
        self.signals = tuple(signals)
        self.filepath = os.fspath(backup_dir)
        self._folder = os.path.realpath(backup_dir)
        self._tag = "backup"
        self._pending = []
        self._spare_buffers = []
        self._writer = None
        self._failed = None
        self._said_that_it_failed = False
        self._asked = None
        self._handlers = {}
        self._shortened = None

    # ---- the hooks of Keras

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                "To use ExactBackupAndRestore, the model must be built before `fit`: begin it with "
                f"keras.Input, or call it on a batch of data. {self.model.name} is not built."
            )
        _CALLBACKS.add(self)
        self._number = self._batches_since_last = self._batches_seen = 0
        self._position = self._backed_up = self._found = self._failed = self._asked = None
        self._expect_whole_epochs()
        self._said_that_it_failed = False
        self.model._initial_epoch = None
        self._check_what_is_tracked()
        self._check_what_is_trained_on()
        try:
            os.makedirs(self._folder, exist_ok=True)
            _lock(self)
            for name in os.listdir(self._folder):
                _finish_or_remove(self._folder, name, self._tag)
        except BlockingIOError:
            raise
        except OSError as error:
            raise _explained(error, self._folder) from None
        try:
            optimizer = self.model.optimizer
            if optimizer is not None and not optimizer.built:
                optimizer.build(self.model.trainable_variables)
            self._find_a_backup()
        except BaseException:
            _unlock(self)
            raise
        self._watch_signals()

    def on_epoch_begin(self, epoch, logs=None):
        self._model._initial_epoch = None
        self._position = (epoch, 0)
        self._batches_seen = 0
        batch = 0
        if self._found is not None:
            batch = self._found.header["batch"]
            if self._found.header["epoch"] != epoch:
                self._close()
                raise ValueError(
                    f"{self.filepath} holds a backup of epoch {self._found.header['epoch'] + 1}, "
                    f"but fit begins with epoch {epoch + 1}. {self._remedy()}"
                )
        if self._data is not None:
            self._data.start(epoch, batch)
        for tracked in self.track:
            if isinstance(tracked, DurableCheckpoint):
                tracked._batches_before = batch
        if batch:
            # The rest of an epoch is shorter than `fit` was told; it would warn of lost data.
            self._shortened = warnings.catch_warnings()
            self._shortened.__enter__()
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            return
        if self._found is not None:
            self._restore()
        self._back_up_if_due(at_least_once=self._backed_up is None)

    def on_train_batch_begin(self, batch, logs=None):
        if self._data is None:
            self._leave_if_asked()
            return
        batch += self._data.first_batch
        if batch == 0:
            return
        if batch >= len(self._data):
            # `fit` would run a step without data, which draws random numbers before it fails. It
            # takes this for the end of the data instead.
            raise StopIteration
        self._position = (self._position[0], batch)
        if self._found is not None:
            self._restore()
        elif self._data.served() < batch:
            self._close()
            raise ValueError("the ShuffledBatches in track is not what fit trains on")
        self._back_up_if_due()

    def on_train_batch_end(self, batch, logs=None):
        self._batches_since_last += batch + 1 - self._batches_seen
        self._batches_seen = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        self._current_epoch = epoch + 1
        self._expect_whole_epochs()

    def on_train_end(self, logs=None):
        self._model._initial_epoch = None
        self._expect_whole_epochs()
        if self._found is not None:
            self._restore()  # all epochs were trained before
        elif self._asked is not None or not self.delete_checkpoint:
            self._position = (self._current_epoch, 0)
            self._back_up(ended=True)
        self._collect(waiting_for_at_most=0)
        self._release_signals()  # from here on they end the process as they usually do
        asked, failed = self._asked, self._failed
        if asked is None and self.delete_checkpoint:
            self._delete()
        self._close()
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)
        if failed is not None and (asked is not None or not self.delete_checkpoint):
            raise failed
        if asked is not None:
            self._exit(asked)

    def _expect_whole_epochs(self):
        if self._shortened is not None:
            self._shortened.__exit__(None, None, None)
            self._shortened = None

    # ---- which training is this?

    def _check_what_is_tracked(self):
        for tracked in self.track:
            names = _not_kept(tracked)
            if names:
                warnings.warn(
                    f"{self.filepath}: of {type(tracked).__name__} no backup can hold "
                    f"{', '.join(names)}. If that is state, give it get_state() and set_state()."
                )

    def _check_what_is_trained_on(self):
        if self._data is None:
            if self.save_freq != "epoch":
                warnings.warn(
                    f"{self.filepath}: backups are made between epochs only, since the position in "
                    "this data is not known. Train on ShuffledBatches, and put it into track."
                )
            return
        steps = self.params.get("steps")
        if steps not in (None, len(self._data)):
            raise ValueError(
                f"fit trains on {steps} batches in an epoch, the ShuffledBatches in track has "
                f"{len(self._data)}: train on it, without steps_per_epoch"
            )

    def _identity(self):
        """What has to be the same for a training to go on exactly."""
        return {
            "backend": {"name": keras.backend.backend()},
            "network": _architecture(self._model),
            "optimizer": _optimizer_config(self._model.optimizer),
            "track": {str(i): type(tracked).__name__ for i, tracked in enumerate(self.track)},
            "data": self._data.get_state() if self._data is not None else {},
        }

    def _refuse_another_training(self, header):
        if self._data is not None:
            self._data.start(header["epoch"])
        here = self._identity()
        for what, saved in header["identity"].items():
            for key in [*saved, *here[what]]:
                values = [str(side.get(key)) for side in (saved, here[what])]
                if values[0] == values[1]:
                    continue
                short = max(map(len, values)) < 60
                raise ValueError(
                    f"{self.filepath} holds a backup of another training. Its {what} differs"
                    + (f": {key} is {values[0]} there and {values[1]} here" if short else "")
                    + (f" in {key}" if not short else "")
                    + f". {self._remedy()}"
                )
        if header["batch"] and len(self._variables(header["batch"])) < len(header["variables"]):
            self._model.test_on_batch(*self._data[0])  # Keras makes its metrics at the first batch
            self._data.start(header["epoch"])
        variables = _described(self._variables(header["batch"]))
        if variables != header["variables"]:
            raise ValueError(
                f"{self.filepath} holds a backup of another training: its variables, those of "
                f"optimizer and metrics included, have other shapes or types. {self._remedy()}"
            )

    def _remedy(self):
        return (
            "Go on as it was begun, choose another backup_dir, or delete this one to begin anew; "
            "nothing was changed."
        )

    # ---- finding a backup, and putting it back

    def _slots(self):
        return [os.path.join(self._folder, f"backup-{slot}.npz") for slot in (0, 1)]

    def _find_a_backup(self):
        found, damaged = [], []
        for path in filter(os.path.exists, self._slots()):
            try:
                found.append(_Backup(path))
            except CorruptCheckpointError as error:
                damaged.append(f"{path} is damaged ({error.reason})")
        if not found:
            if damaged:
                raise CorruptCheckpointError(
                    self._folder,
                    f"no valid backup: {'; '.join(damaged)}. Delete the folder to begin anew",
                )
            if os.path.exists(self._weights_path):
                warnings.warn(
                    f"{self.filepath} holds a backup by keras.callbacks.BackupAndRestore, which "
                    "has not all of a training's state. It is not used."
                )
            return
        newest = max(found, key=lambda backup: backup.header["number"])
        header = newest.header
        self._refuse_another_training(header)
        if damaged:
            place = f"epoch {header['epoch'] + 1}, batch {header['batch'] + 1}"
            _say(f"{damaged[0]}: going on from {newest.path}, at {place}")
        self._found = newest
        self._number = header["number"]
        epochs = self.params.get("epochs", header["epoch"] + 1)
        over = header["ended"] and (header["stopped"] or header["epoch"] == epochs)
        if not over and header["epoch"] >= epochs:
            raise ValueError(
                f"{self.filepath} holds a backup of epoch {header['epoch'] + 1}, but fit is to end "
                f"after epoch {epochs}. {self._remedy()}"
            )
        self._model._initial_epoch = epochs if over else header["epoch"]
        self._current_epoch = header["epoch"]

    def _variables(self, batch):
        """Those to be backed up. At the beginning of an epoch the metrics begin anew."""
        variables = _variables_of(self._model) + (self._model.metrics_variables if batch else [])
        return list({id(variable): variable for variable in variables}.values())

    def _restore(self):
        header, arrays = self._found.header, self._found.arrays
        self._found = None
        variables = self._variables(header["batch"])
        for variable, (_, dtype), value in zip(
            variables, header["variables"], arrays["variable"], strict=True
        ):
            variable.assign(value.view(np.dtype(dtype)))
        state = _decoded(header["state"], arrays["array"])
        for tracked, its_state in zip(self.track, state["track"], strict=True):
            _set_state(tracked, its_state)
        history = self._model.history
        if history is not None:
            history.history, history.epoch = state["history"], state["epochs"]
        _set_random_state(state["random"])
        self._batches_since_last = 0
        self._backed_up = (header["epoch"], header["batch"])

    # ---- making one

    def _back_up_if_due(self, at_least_once=False):
        due = at_least_once or self._asked is not None
        if self.save_freq == "epoch" or self._data is None:
            due = due or self._position[1] == 0
        else:
            due = due or self._batches_since_last >= self.save_freq
        if due and self._position != self._backed_up:
            self._back_up()
        self._leave_if_asked()

    def _back_up(self, ended=False):
        self._collect(waiting_for_at_most=1)
        model = self.model  # not _model: on JAX this brings the variables up to date
        epoch, batch = self._position
        self._number += 1
        self._batches_since_last = 0
        self._backed_up = self._position
        variables = self._variables(batch)
        arrays = []
        history = model.history
        state = {
            "track": [_get_state(tracked) for tracked in self.track],
            "history": history.history if history is not None else {},
            "epochs": history.epoch if history is not None else [],
            "random": _random_state(),
        }
        header = {
            "number": self._number,
            "epoch": epoch,
            "batch": batch,
            "ended": ended,
            "stopped": bool(model.stop_training),
            "identity": self._identity(),
            "variables": _described(variables),
            "state": _encoded(state, arrays),
        }
        text = json.dumps(header).encode()
        buffers = self._spare_buffers.pop() if self._spare_buffers else None
        values, reusable = _snapshot(variables, buffers if _fit_for(buffers, variables) else None)
        path = self._slots()[self._number % 2]
        temporary = os.path.join(self._folder, f".{self._tag}.saving0.{os.path.basename(path)}")
        record = {
            "file": os.path.basename(path),
            "number": self._number,
            "epoch": epoch + 1,
            "batch": batch,
            "saved_at": time.time(),
            "versions": _versions(),
        }
        # A backup that knows of a checkpoint's best value may not be there before that checkpoint.
        first = [
            future
            for tracked in self.track
            if isinstance(tracked, DurableCheckpoint)
            for _, _, future in tracked._pending
        ]
        if self._writer is None:
            self._writer = concurrent.futures.ThreadPoolExecutor(
                1, "exact-backup", _step_back if self.background else None
            )
        future = self._writer.submit(
            self._write, text, arrays, values, reusable, temporary, path, record, first
        )
        self._pending.append((path, record, future))
        if not self.background:
            self._collect(waiting_for_at_most=0)

    def _write(self, text, arrays, values, reusable, temporary, path, record, first):
        try:
            for checkpoint in first:
                checkpoint.result()
            members = [("state.json", len(text), lambda: [text])]
            for kind, several in (("variable", values), ("array", arrays)):
                for i, value in enumerate(several):
                    members.append(_npy_member(f"{kind}-{i:05d}.npy", value))
            digest = _write_and_compare(temporary, members)
            if reusable is not None:
                self._spare_buffers.append(reusable)
            record = {**record, "bytes": os.path.getsize(temporary), "sha256": digest}
            _publish(temporary, path, record, self._tag)
        except OSError as error:
            _remove(temporary)
            raise _explained(error, path, "ExactBackupAndRestore") from None
        except BaseException:
            _remove(temporary)
            raise

    def _collect(self, waiting_for_at_most):
        """Take note of the backups that have ended; wait while more than that many have not."""
        while self._pending:
            future = self._pending[0][2]
            if not future.done() and len(self._pending) <= waiting_for_at_most:
                return
            error = future.exception()
            self._pending.pop(0)
            self._failed = error
            if error is None:
                self._said_that_it_failed = False
            elif not isinstance(error, OSError):
                raise error
            elif not self._said_that_it_failed:
                self._said_that_it_failed = True
                warnings.warn(f"{error}. Training goes on; the next backup tries again.")

    def _delete(self):
        backups = sorted(
            (_read_json(f"{path}.json") or {}).get("number", 0) for path in self._slots()
        )
        for number in backups:  # the older first: what is left if this is cut off, goes on exactly
            path = self._slots()[number % 2]
            for gone in (f"{path}.sha256", path, f"{path}.json"):
                _remove(gone)
        for path in self._slots():
            for gone in (f"{path}.sha256", path, f"{path}.json"):
                _remove(gone)

    def _close(self):
        """Training is over: let others use the folder, and give the signals back."""
        self._collect(waiting_for_at_most=0)
        self._release_signals()
        self._spare_buffers.clear()
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None
        _unlock(self)

    # ---- signals

    def _watch_signals(self):
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self.signals:
            before = signal.getsignal(number)
            if before is not None and number not in self._handlers:
                signal.signal(number, self._on_signal)
                self._handlers[number] = before

    def _release_signals(self):
        for number, before in self._handlers.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, before)
        self._handlers.clear()

    def _on_signal(self, number, frame):
        if self._asked is None and self._is_training(frame):
            self._asked = number
            then = (
                "then a backup is made"
                if self._data is not None
                else "then going back to its epoch's start"
            )
            _say(f"{signal.Signals(number).name}: finishing this batch, {then}")
            return
        # The second one; or `fit` was left by an exception, of which Keras tells no callback.
        before = self._handlers.get(number, signal.SIG_DFL)
        self._release_signals()
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            os.kill(os.getpid(), number)

    def _is_training(self, frame):
        while frame is not None:
            if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is self._model:
                return True
            frame = frame.f_back
        return False

    def _leave_if_asked(self):
        if self._asked is None:
            return
        asked = self._asked
        self._collect(waiting_for_at_most=0)
        failed = self._failed
        self._close()
        if failed is not None:
            raise failed
        self._exit(asked)

    def _exit(self, asked):
        epoch, batch = self._backed_up
        _say(
            f"{self.filepath}: backed up at epoch {epoch + 1}, batch {batch + 1}; "
            "run the same command again to go on"
        )
        raise SystemExit(128 + asked)


class _Backup:
    """One generation on the disk, read and compared with its checksum."""

    def __init__(self, path):
        self.path = path
        if not _noted_checksums(path):
            raise CorruptCheckpointError(path, "there is no checksum of it")
        verify(path)
        self.arrays = {"variable": [], "array": []}
        try:
            with zipfile.ZipFile(path) as archive:
                self.header = json.loads(archive.read("state.json"))
                for name in archive.namelist()[1:]:
                    with archive.open(name) as member:
                        array = np.lib.format.read_array(member, allow_pickle=False)
                    self.arrays[name.split("-")[0]].append(array)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptCheckpointError(path, f"not a backup: {error}") from error


def _npy_member(name, value):
    """A member of an .npz archive for `_write_and_compare`. `value`: an array or a tensor."""
    array = np.ascontiguousarray(np.asarray(value)).reshape(np.shape(value))
    if array.dtype.kind == "V":  # bfloat16 and the like, unknown to NumPy: the type is noted apart
        array = array.view(f"u{array.dtype.itemsize}")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    head = header.getvalue()
    return name, len(head) + array.nbytes, lambda: [head, _bytes_of(array)]


def _described(variables):
    return [[list(variable.shape), str(np.dtype(variable.dtype))] for variable in variables]


def _architecture(model):
    """The configuration of the network without names and seeds, which differ from run to run."""
    try:
        config = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):
        return {"class": type(model).__name__}  # the shapes of its variables are compared anyway
    numbers = {}

    def collect(value):
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                numbers.setdefault(value["name"], len(numbers))
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            collect(item)

    def without_names(value):
        if isinstance(value, dict):
            return {k: without_names(v) for k, v in value.items() if k != "seed"}
        if isinstance(value, list):
            return [without_names(item) for item in value]
        return f"object {numbers[value]}" if isinstance(value, str) and value in numbers else value

    config = config["config"]
    collect(config)
    config = without_names(config)
    layers = config.pop("layers", None) if isinstance(config, dict) else None
    described = {"configuration": json.dumps(config, sort_keys=True)}
    for i, layer in enumerate(layers or ()):
        described[f"layer {i + 1}"] = json.dumps(layer, sort_keys=True)
    return described


def _optimizer_config(optimizer):
    """Class and settings. The learning rate is a variable and backed up as such."""
    if optimizer is None:
        return {}

    def cleaned(value):
        if not isinstance(value, dict):
            return value
        return {
            key: cleaned(item)
            for key, item in value.items()
            if key != "name" and not (key == "learning_rate" and isinstance(item, (int, float)))
        }

    serialized = cleaned(keras.optimizers.serialize(optimizer))
    settings = serialized.pop("config", {})
    described = {"class": serialized.get("class_name"), **settings}
    return {key: json.dumps(value, sort_keys=True, default=str) for key, value in described.items()}


def _random_state():
    keras_s = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "keras": None if keras_s is None else keras.ops.convert_to_numpy(keras_s.state),
    }


def _set_random_state(state):
    if state["keras"] is not None:
        seed_generator.global_seed_generator().state.assign(state["keras"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])


def _keeps_its_state(tracked):
    return hasattr(tracked, "get_state") and hasattr(tracked, "set_state")


def _get_state(tracked):
    """The state of an object in `track`, as numbers, texts, arrays, lists and dictionaries."""
    if _keeps_its_state(tracked):
        return tracked.get_state()
    if isinstance(tracked, ShuffledBatches):
        return None  # where it stands follows from epoch and batch
    if isinstance(tracked, keras.random.SeedGenerator):
        return [keras.ops.convert_to_numpy(tracked.state)]
    if isinstance(tracked, keras.layers.Layer):
        return [keras.ops.convert_to_numpy(variable) for variable in tracked.variables]
    if isinstance(tracked, np.random.Generator):
        return tracked.bit_generator.state
    if isinstance(tracked, keras.callbacks.Callback):
        attributes = _attributes_of(tracked)
        return {name: value for name, value in attributes.items() if _can_be_encoded(value)}
    raise TypeError(
        f"{tracked!r} cannot be tracked: give it get_state() and set_state(state), of numbers, "
        "texts, arrays, lists and dictionaries"
    )


def _attributes_of(callback):
    """Those that may be its state: neither Keras's own, nor settings, nor functions."""
    settings = {"_model", "_params", "params"}
    for kind in type(callback).__mro__:
        if "__init__" in vars(kind):
            settings |= inspect.signature(kind.__init__).parameters.keys()
    attributes = vars(callback).items()
    return {name: v for name, v in attributes if name not in settings and not callable(v)}


def _not_kept(tracked):
    """Names of the attributes of a callback in `track` that a backup cannot hold."""
    if _keeps_its_state(tracked) or not isinstance(tracked, keras.callbacks.Callback):
        return []
    return [name for name, value in _attributes_of(tracked).items() if not _can_be_encoded(value)]


def _set_state(tracked, state):
    if _keeps_its_state(tracked):
        tracked.set_state(state)
    elif isinstance(tracked, keras.random.SeedGenerator):
        tracked.state.assign(state[0])
    elif isinstance(tracked, keras.layers.Layer):
        for variable, value in zip(tracked.variables, state, strict=True):
            variable.assign(value)
    elif isinstance(tracked, np.random.Generator):
        tracked.bit_generator.state = state
    elif isinstance(tracked, keras.callbacks.Callback):
        vars(tracked).update(state)


def _can_be_encoded(value):
    try:
        _encoded(value, [])
    except TypeError:
        return False
    return True


def _encoded(value, arrays):
    """`value` for JSON. Its arrays are put into the list `arrays`, as copies."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [_encoded(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[_encoded(k, arrays), _encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"scalar": [value.dtype.str, value.item()]}
    is_array = isinstance(value, np.ndarray) or keras.ops.is_tensor(value)
    if is_array and not isinstance(value, keras.Variable):
        array = np.array(keras.ops.convert_to_numpy(value))
        if array.dtype.hasobject:
            raise TypeError("an array of objects")
        arrays.append(array)
        return {"array": [len(arrays) - 1, str(array.dtype)]}
    raise TypeError(f"{type(value).__name__} cannot be backed up")


def _decoded(value, arrays):
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "list":
        return [_decoded(item, arrays) for item in content]
    if kind == "tuple":
        return tuple(_decoded(item, arrays) for item in content)
    if kind == "dict":
        return {_decoded(key, arrays): _decoded(item, arrays) for key, item in content}
    if kind == "scalar":
        return np.dtype(content[0]).type(content[1])
    return arrays[content[0]].view(np.dtype(content[1]))


def _say(line):
    # Not print: in a signal handler that fails if the program is just printing itself.
    os.write(2, f"{line}\n".encode())


# ------------------------------------------------------------------ from memory to the disk


def _write_and_compare(temporary, members):
    """Write a file, flush it to the disk, read it back and compare. Returns its SHA-256.

    Arguments:
        members: What is in it. For a zip archive: (name, size in bytes, pieces) for each member,
            none of them compressed. For a file that is no archive: one member with the name None.
            `pieces`: a function that returns them, since they are needed twice.
    """
    places = []
    with open(temporary, "wb") as file:
        if members[0][0] is None:
            file.writelines(members[0][2]())
            places = [(0, members[0][2])]
        else:
            with zipfile.ZipFile(file, "w") as archive:
                for name, size, pieces in members:
                    info = zipfile.ZipInfo(name, time.localtime()[:6])
                    info.external_attr = 0o600 << 16
                    large = size > zipfile.ZIP64_LIMIT
                    with archive.open(info, "w", force_zip64=large) as member:
                        start = file.tell()
                        for piece in pieces():
                            member.write(piece)
                    places.append((start, pieces))
        file.flush()
        _sync(file.fileno())
    digest = hashlib.sha256()
    with open(temporary, "rb") as file:
        for start, pieces in places:
            digest.update(file.read(start - file.tell()))
            if not all(_read_and_compare(file, piece, digest) for piece in pieces()):
                raise OSError(f"the disk did not return what was written to {temporary}")
        digest.update(file.read())
    return digest.hexdigest()


def _members_of_model(layout, texts, values):
    """What a file of a model consists of, for `_write_and_compare`.

    Arguments:
        texts: `config.json` and `metadata.json` for a `.keras` archive, None for `.weights.h5`.
        values: Arrays or tensors in the order of `layout.variables`.
    """
    if texts is None:
        return [(None, layout.size, lambda: layout.contents(values))]
    config, metadata = (text.encode() for text in texts)
    return [
        ("metadata.json", len(metadata), lambda: [metadata]),
        ("config.json", len(config), lambda: [config]),
        (WEIGHTS_IN_ARCHIVE, layout.size, lambda: layout.contents(values)),
    ]


def _flush_and_examine(temporary):
    with open(temporary, "rb+") as file:
        _sync(file.fileno())
    try:
        _examine_structure(temporary)
    except CorruptCheckpointError as error:
        raise OSError(f"the disk did not return what was written: {error.reason}") from error
    return _sha256(temporary)


def _publish(temporary, path, record, tag):
    """Give the complete file at `temporary` its final name, and note its checksum and record.

    After each line a crash leaves a file under `path` that `verify` accepts, if there was one:
    the record goes to the disk first, under its pending name, so that the checksums of both the
    old and the new file are known while they are exchanged.
    """
    folder, name = os.path.split(path)
    pending = os.path.join(folder, f".{tag}.pending.{name}.json")
    checksum = os.path.join(folder, f".{tag}.saving.{name}.sha256")
    try:
        _write_durably(checksum, _checksum_line(path, record))
        _write_durably(pending, json.dumps(record, indent=1).encode())
        _sync_folder(folder)
        os.replace(temporary, path)
    except OSError:
        _remove(pending)
        _remove(checksum)
        raise
    _sync_folder(folder)
    os.replace(checksum, f"{path}.sha256")
    os.replace(pending, f"{path}.json")
    _sync_folder(folder)


def _finish_or_remove(folder, name, tag):
    """If `name` is what a save left that was cut off, complete that save or undo it."""
    leftover = os.path.join(folder, name)
    if name.startswith(f".{tag}.pending."):
        path = os.path.join(folder, name.split(".pending.", 1)[1].removesuffix(".json"))
        if _pending_record_applies(path):
            _note_checksum(path, _read_json(leftover), leftover, tag)
        else:
            _remove(leftover)
    elif name.startswith(f".{tag}.saving"):
        _remove(leftover)
    else:
        return False
    return True


def _note_checksum(path, record, pending, tag):
    _replace_durably(f"{path}.sha256", _checksum_line(path, record), tag)
    os.replace(pending, f"{path}.json")
    _sync_folder(os.path.dirname(path))


def _checksum_line(path, record):
    return f"{record['sha256']}  {os.path.basename(path)}\n".encode()


def _replace_durably(path, content, tag):
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{tag}.saving.{name}")
    _write_durably(temporary, content)
    os.replace(temporary, path)


def _write_durably(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        _sync(file.fileno())


def _sync(descriptor):
    # On macOS fsync leaves the data in the drive's cache.
    if hasattr(fcntl, "F_FULLFSYNC"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _sync_folder(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


# ------------------------------------------------------------------ one training at a time

_CALLBACKS = weakref.WeakSet()
_LOCKS = {}


def _wait_for_own_writes():
    """What this process is still writing counts: look at files only when they are complete."""
    for callback in list(_CALLBACKS):
        concurrent.futures.wait([future for _, _, future in list(callback._pending)])


def _lock(callback):
    """Reserve the files of `callback` for this process, until it ends or lets them go.

    A POSIX record lock: the kernel drops it with the process, however that ends, and a forked
    child does not inherit it.
    """
    path = os.path.join(callback._folder, f".{callback._tag}.lock")
    if path in _LOCKS:
        descriptor, reference = _LOCKS[path]
        owner = reference()
        if owner is not None and owner is not callback:
            if owner.params is not None and owner.params is callback.params:
                raise ValueError(f"two callbacks in one fit save to {callback.filepath}")
            # Its training is over, by an exception, or its own on_train_end had freed the lock.
            owner._collect(waiting_for_at_most=0)
        _LOCKS[path] = (descriptor, weakref.ref(callback))
        return
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            owner = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            raise BlockingIOError(
                errno.EAGAIN,
                f"{callback.filepath} is being written by {owner}: "
                "wait for it, stop it, or choose another filepath",
            ) from None
        except OSError as error:
            warnings.warn(
                f"{callback.filepath} cannot be locked against a second training: {error}"
            )
        # The one who held it before may have removed the file between open and lock.
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                break
        os.close(descriptor)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    _LOCKS[path] = (descriptor, weakref.ref(callback))


def _unlock(callback):
    path = os.path.join(callback._folder, f".{callback._tag}.lock")
    if path in _LOCKS and _LOCKS[path][1]() in (callback, None):
        descriptor, _ = _LOCKS.pop(path)
        _remove(path)
        os.close(descriptor)


# ------------------------------------------------------------------ for the shell


def main(arguments: list[str] | None = None) -> int:
    """`python -m durable_checkpoint verify FILE...`: 0 if every file is valid, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="durable_checkpoint")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="say of each file whether it is what was saved")
    command.add_argument("files", nargs="+", metavar="FILE")
    status = 0
    for path in parser.parse_args(arguments).files:
        try:
            how = verify(path)
        except CorruptCheckpointError as error:
            print(f"{path}: corrupt: {error.reason}")
            status = 1
        except OSError as error:
            print(f"{path}: cannot be read: {error.strerror or error}")
            status = 1
        else:
            print(f"{path}: valid" if how == "checksum" else f"{path}: readable, no checksum")
    return status


if __name__ == "__main__":
    sys.exit(main())
