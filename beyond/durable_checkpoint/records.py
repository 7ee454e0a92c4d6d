"""The record and the checksum beside a checkpoint. A damaged record counts as a missing one."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import platform
import re
import sys
import threading
import time
from typing import Any

import h5py
import numpy as np

from . import temporary_names
from .errors import CorruptCheckpointError
from .writer import wait_for_own_writes

Record = dict[str, Any]

LARGEST = 1 << 20  # bytes of a record; what this package writes has about 500
END_OF_TIME = 253402300800  # the year 10000, in seconds since 1970
TICK = 1e-3  # seconds between two saves at least


def read_record(path: str | os.PathLike) -> Record:
    """Return what was noted when the checkpoint at `path` was saved.

    Arguments:
        path: A file that `DurableCheckpoint` has saved.

    Returns:
        A dictionary with `epoch` and `batch` (counted from 1; `batch` is None at an epoch's end,
        so `epoch` is the `initial_epoch` to go on with), `monitor`, `mode`, `value` (of the
        monitored quantity in this file, None if it was missing), `best` (so far), `sha256`,
        `bytes`, `saved_at` (seconds since 1970; later than that of every file saved before, also
        if the clock was set back) and `versions`.

    Raises:
        FileNotFoundError: There is no record: `DurableCheckpoint` did not save this file.
        CorruptCheckpointError: The record is damaged.
        OSError: The record cannot be read.

    Example:
        >>> model.fit(x, y, epochs=2, verbose=0, callbacks=[DurableCheckpoint("newest.keras")])
        <...History...>
        >>> read_record("newest.keras")["epoch"]
        2
    """
    wait_for_own_writes()
    path = os.path.realpath(path)
    pending = _pending_record_that_applies(path)
    if pending is not None:
        return pending
    record = read(path)
    if record is None:
        if not os.path.lexists(f"{path}.json"):
            raise FileNotFoundError(f"{path}.json: no record of this checkpoint")
        raise CorruptCheckpointError(f"{path}.json", "the record is damaged")
    return record


def read(path: str) -> Record | None:
    """The record of the checkpoint at `path` under its final name, None if missing or damaged.

    Raises:
        OSError: It is there and cannot be read.
    """
    return read_file(f"{path}.json")


def read_file(path: str) -> Record | None:
    """The record in this file, None if it is missing or damaged.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    if len(content) > LARGEST:
        return None
    try:
        record = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return record if _is_valid(record) else None


def read_if_possible(path: str) -> Record | None:
    """`read`, and None if it cannot be read."""
    try:
        return read(path)
    except OSError:
        return None


def _refuse_constant(name):
    raise ValueError(f"{name} is no JSON")


def is_number(value: object) -> bool:
    """Whether it is a finite number, as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_time(value: object) -> bool:
    """Whether it is a time in seconds since 1970, before the year 10000."""
    return is_number(value) and 0 <= value < END_OF_TIME  # type: ignore[operator]


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value):
    return isinstance(value, str)


def _or_none(check):
    return lambda value: value is None or check(value)


_NEEDED = {
    "file": _is_text,
    "epoch": _is_count,
    "batch": _or_none(_is_count),
    "saved_at": is_time,
    "bytes": _is_count,
    "sha256": lambda value: _is_text(value) and bool(re.fullmatch(r"[0-9a-f]{64}", value)),
    "versions": lambda value: isinstance(value, dict) and all(map(_is_text, value.values())),
}
_MAY_BE_THERE = {
    "number": _is_count,
    "template": _is_text,
    "monitor": _is_text,
    "mode": _is_text,
    "value": _or_none(is_number),
    "best": _or_none(is_number),
}


def _is_valid(record):
    return (
        isinstance(record, dict)
        and all(name in record and check(record[name]) for name, check in _NEEDED.items())
        and all(check(record[n]) for n, check in _MAY_BE_THERE.items() if n in record)
    )


# ------------------------------------------------------------------ checksums


def sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_line(path: str, record: Record) -> bytes:
    """The line for `sha256sum -c`, which marks names with a backslash or a line break in them."""
    name = os.fsencode(os.path.basename(path))
    escaped = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    mark = b"\\" if escaped != name else b""
    return mark + record["sha256"].encode() + b"  " + escaped + b"\n"


def noted_checksums(path: str) -> dict[str, str]:
    """The checksums that may rightly be those of `path`, by the file that names them.

    Between the renaming of a checkpoint and the renaming of its checksum a crash leaves the new
    file beside the old checksum. Its record is on the disk by then, under its pending name or its
    final one. Whichever of them the file agrees with, it is one that was saved.

    Raises:
        OSError: One of these files is there and cannot be read.
    """
    noted = {}
    name = os.path.basename(path)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
        with open(f"{path}.sha256", "rb") as file:
            lines = file.read(LARGEST).split(b"\n")
        for line in lines:
            found = re.match(rb"\\?([0-9a-f]{64}) [ *]", line)
            if found:
                digest = found[1].decode()
                wanted = checksum_line(path, {"sha256": digest})
                if line.replace(b" *", b"  ", 1) + b"\n" == wanted:
                    noted[f"{name}.sha256"] = digest
    for record_path in filter(None, (pending_record(path), f"{path}.json")):
        record = read_file(record_path)
        if record is not None:
            noted[os.path.basename(record_path)] = record["sha256"]
    return noted


def pending_record(path: str) -> str | None:
    """Where the record lies while its checkpoint is being renamed to `path`, None otherwise."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for found in os.listdir(folder or "."):
            if temporary_names.is_record_of(found, name):
                return os.path.join(folder, found)
    return None


def applies(record: Record | None, path: str) -> bool:
    """Whether `record` is that of the file at `path`."""
    if record is None:
        return False
    try:
        return record["bytes"] == os.path.getsize(path) and record["sha256"] == sha256(path)
    except (FileNotFoundError, IsADirectoryError):
        return False


def _pending_record_that_applies(path):
    pending = pending_record(path)
    record = read_file(pending) if pending else None
    return record if applies(record, path) else None


# ------------------------------------------------------------------ what is noted

_clock = threading.Lock()
_latest = 0.0


def time_of_save(after: float = 0.0) -> float:
    """Now, in seconds since 1970, but later than `after` and than any answer before.

    So files are in the order in which they were saved also if the clock is set back.
    """
    global _latest
    with _clock:
        _latest = max(time.time(), max(_latest, after) + TICK)
        return _latest


def time_of(path: str | os.PathLike) -> float:
    """When the file was saved: by its record, or without one the time of the file itself.

    Raises:
        OSError: The file is not there, or cannot be looked at.
    """
    record = read_if_possible(os.fspath(path))
    return record["saved_at"] if record is not None else pathlib.Path(path).stat().st_mtime


def versions() -> dict[str, str]:
    """Versions of Python and of what this process has imported."""
    found = {"python": platform.python_version()}
    keras = sys.modules.get("keras")
    if keras is not None:
        found["keras"] = keras.__version__
        found["backend"] = keras.backend.backend()
    return {**found, "numpy": np.__version__, "h5py": h5py.__version__}


def versions_that_differ(noted: dict[str, str]) -> list[str]:
    """One text for each entry of `noted`, an earlier result of `versions`, that has changed."""
    now = versions()
    return [
        f"{name} {there} there, {now.get(name)} here"
        for name, there in noted.items()
        if now.get(name) != there
    ]
