"""Checkpoints for Keras 3 that survive a crash and do not make the training wait.

Copy this file into your project, or `pip install` the repository it comes from, and change two
lines of your training:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.keras", monitor="val_loss", save_best_only=True)

It holds

- `DurableCheckpoint`, a drop-in for `keras.callbacks.ModelCheckpoint`;
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

Private names of Keras used here, each pinned by a test: `_save_model`, `_get_file_path`,
`_set_monitor_op`, `_is_improvement` and `monitor_op` of `ModelCheckpoint`, and
`_serialize_model_as_json`, `H5IOStore` and `_save_state` of `keras.src.saving.saving_lib`.
"""

import argparse
import concurrent.futures
import contextlib
import errno
import fcntl
import fnmatch
import hashlib
import io
import json
import math
import os
import pathlib
import platform
import re
import shutil
import socket
import sys
import tempfile
import time
import warnings
import weakref
import zipfile

import h5py
import keras
import numpy as np
from keras.src.saving import saving_lib

__all__ = [
    "CorruptCheckpointError",
    "DurableCheckpoint",
    "load_weights_strict",
    "newest_valid",
    "read_record",
    "verify",
]

ENDINGS = (".keras", ".h5")
WEIGHTS_IN_ARCHIVE = "model.weights.h5"
ARCHIVE_WITHOUT_ASSETS = ["metadata.json", "config.json", WEIGHTS_IN_ARCHIVE]
CHUNK_BYTES = 1 << 20


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
    and that HDF5 can read every array. A changed byte inside an array of a `.weights.h5` goes
    unnoticed then. The file is only read.

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


def _arrays(weights):
    arrays = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item

    weights.visititems(collect)
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

    # ---- shall this be saved?

    def _save_model(self, epoch, batch, logs):
        logs = logs or {}
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
        if not _fit_for(buffers, layout):
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
                digest = _write_and_compare(temporary, layout, texts, values)
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
            leftover = os.path.join(folder, name)
            if name.startswith(f".{self._tag}.pending."):
                path = os.path.join(folder, name.split(".pending.", 1)[1].removesuffix(".json"))
                if _pending_record_applies(path):
                    _note_checksum(path, _read_json(leftover), leftover, self._tag)
                else:
                    _remove(leftover)
            elif name.startswith(f".{self._tag}.saving"):
                _remove(leftover)
            elif name.endswith(".json") and not name.startswith("."):
                record = _read_json(leftover) or {}
                path = leftover.removesuffix(".json")
                if record.get("template") == self._template and not os.path.exists(path):
                    _remove(leftover)
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


def _fit_for(buffers, layout):
    return buffers is not None and [b.shape for b in buffers] == [
        tuple(v.shape) for v in layout.variables
    ]


def _failed(error):
    future = concurrent.futures.Future()
    future.set_exception(error)
    return future


def _step_back():
    """Let the training's threads go first. Linux counts this for the calling thread alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 10)


def _explained(error, path):
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
        f"DurableCheckpoint could not save {path} ({free} in {folder}; {old}): "
        f"{getattr(error, 'strerror', None) or error}",
    )


# ------------------------------------------------------------------ from memory to the disk


def _write_and_compare(temporary, layout, texts, values):
    """Write a checkpoint, flush it to the disk, read it back and compare. Returns its SHA-256.

    Arguments:
        texts: `config.json` and `metadata.json` for a `.keras` archive, None for `.weights.h5`.
        values: Arrays or tensors in the order of `layout.variables`.
    """
    with open(temporary, "wb") as file:
        if texts is None:
            file.writelines(layout.contents(values))
        else:
            config, metadata = texts
            with zipfile.ZipFile(file, "w") as archive:
                for name, text in (("metadata.json", metadata), ("config.json", config)):
                    with archive.open(name, "w") as member:
                        member.write(text.encode())
                info = zipfile.ZipInfo(WEIGHTS_IN_ARCHIVE, time.localtime()[:6])
                info.external_attr = 0o600 << 16
                large = layout.size > zipfile.ZIP64_LIMIT
                with archive.open(info, "w", force_zip64=large) as member:
                    for piece in layout.contents(values):
                        member.write(piece)
        file.flush()
        _sync(file.fileno())
    digest = hashlib.sha256()
    with open(temporary, "rb") as file:
        start = 0 if texts is None else _start_of_weights(file)
        file.seek(0)
        digest.update(file.read(start))
        if not all(_read_and_compare(file, p, digest) for p in layout.contents(values)):
            raise OSError(f"the disk did not return what was written to {temporary}")
        digest.update(file.read())
    return digest.hexdigest()


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
