"""The record and the checksum beside a checkpoint."""

import contextlib
import hashlib
import json
import os
import pathlib
import platform
import re

import h5py
import keras
import numpy as np

from .errors import CorruptCheckpointError
from .writer import wait_for_own_writes


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
    wait_for_own_writes()
    path = os.path.realpath(path)
    if pending_record_applies(path):
        return read_json(pending_record(path))
    record = read_json(f"{path}.json")
    if record is None:
        if not os.path.exists(f"{path}.json"):
            raise FileNotFoundError(f"{path}.json: no record of this checkpoint")
        raise CorruptCheckpointError(f"{path}.json", "the record is not readable JSON")
    return record


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def noted_checksums(path):
    """The checksums that may rightly be those of `path`, by the file that names them.

    Between the renaming of a checkpoint and the renaming of its checksum a crash leaves the new
    file beside the old checksum. Its record is on the disk by then, under its pending name or its
    final one. Whichever of them the file agrees with, it is one that was saved.
    """
    noted = {}
    name = os.path.basename(path)
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"{path}.sha256").read_bytes().split(b"\n"):
            match = re.fullmatch(rb"([0-9a-f]{64}) [ *](.+)", line, re.DOTALL)
            if match and match.group(2) == os.fsencode(name):
                noted[f"{name}.sha256"] = match.group(1).decode()
    for record_path in filter(None, [pending_record(path), f"{path}.json"]):
        record = read_json(record_path)
        if record and re.fullmatch(r"[0-9a-f]{64}", str(record.get("sha256"))):
            noted[os.path.basename(record_path)] = record["sha256"]
    return noted


def read_json(path):
    try:
        record = json.loads(pathlib.Path(path).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def pending_record(path):
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError):
        for found in os.listdir(folder or "."):
            if found.startswith(".") and found.endswith(f".pending.{name}.json"):
                return os.path.join(folder, found)
    return None


def pending_record_applies(path):
    pending = pending_record(path)
    record = pending and read_json(pending)
    if not record or not os.path.exists(path):
        return False
    return record.get("bytes") == os.path.getsize(path) and record.get("sha256") == sha256(path)


def versions():
    return {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
    }


def versions_that_differ(noted: dict) -> list[str]:
    """One text for each entry of `noted`, an earlier result of `versions`, that has changed."""
    now = versions()
    return [
        f"{name} {there} there, {now.get(name)} here"
        for name, there in noted.items()
        if now.get(name) != there
    ]
