"""Is a file what was saved?"""

import fnmatch
import json
import os
import pathlib
import re
import zipfile

from . import hdf5, records
from .errors import CorruptCheckpointError
from .writer import wait_for_own_writes

ENDINGS = (".keras", ".h5")


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
    wait_for_own_writes()
    path = os.path.realpath(path)
    if os.path.getsize(path) == 0:
        raise CorruptCheckpointError(path, "the file is empty")
    while expected := records.noted_checksums(path):
        digest = records.sha256(path)
        if digest in expected.values():
            return "checksum"
        # If they have changed meanwhile, another process has just replaced the file.
        if expected == records.noted_checksums(path):
            noted = "; ".join(f"{name} says {value}" for name, value in expected.items())
            raise CorruptCheckpointError(path, f"its SHA-256 is {digest}, but {noted}")
    if os.path.exists(f"{path}.sha256"):
        raise CorruptCheckpointError(path, f"{path}.sha256 holds no checksum of it")
    examine_structure(path)
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
    wait_for_own_writes()
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


def _saved_at(path):
    record = records.read_json(f"{path}.json") or {}
    saved_at = record.get("saved_at")
    return saved_at if isinstance(saved_at, (int, float)) else os.stat(path).st_mtime


def examine_structure(path):
    if str(path).endswith(".keras"):
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
                if damaged is not None:
                    raise CorruptCheckpointError(path, f"wrong CRC-32 of {damaged} in the archive")
                names = archive.namelist()
                json.loads(archive.read("config.json"))
                if hdf5.WEIGHTS_IN_ARCHIVE not in names:
                    raise CorruptCheckpointError(
                        path, f"the archive has no {hdf5.WEIGHTS_IN_ARCHIVE}"
                    )
        except CorruptCheckpointError:
            raise
        except OSError:
            raise
        except Exception as error:
            raise CorruptCheckpointError(path, f"not a complete archive: {error}") from error
    try:
        with hdf5.open_weights(path) as weights:
            for array in hdf5.arrays_in(weights).values():
                array[()]
    except hdf5.NotInThisFile as error:
        raise CorruptCheckpointError(path, str(error)) from error
    except Exception as error:
        raise CorruptCheckpointError(path, f"HDF5 cannot read it: {error}") from error
