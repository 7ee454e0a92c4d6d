"""Is a file whole, as far as it can be told without a checksum? Nothing is loaded."""

import errno
import json
import os
import zipfile

from . import hdf5
from .errors import CorruptCheckpointError

# A larger archive may unpack to this many times its size, a small one to so many bytes.
LARGEST_EXPANSION = 100
SMALL = 256 << 20
LARGEST_CONFIG = 64 << 20  # bytes that are read as JSON; more are only compared with their CRC-32


def examine_structure(path: str | os.PathLike) -> None:
    """Raise unless the sums of the archive hold and HDF5 can read every array from this file.

    Raises:
        CorruptCheckpointError: They do not, or the file would take more memory than it is worth.
        OSError: It cannot be read, or there is not enough memory.
    """
    is_archive = str(path).endswith(".keras")
    with open(path, "rb") as file:
        source = hdf5.Source(file, 0, os.fstat(file.fileno()).st_size)
        what = "not a complete archive"
        try:
            if is_archive:
                _examine_archive(path, source)
            what = "HDF5 cannot read it"
            with hdf5.open_weights_in(source, is_archive) as weights:
                for array in hdf5.arrays_in(weights).values():
                    hdf5.read_through(array)
        except CorruptCheckpointError:
            raise
        except hdf5.NotInThisFile as error:
            raise CorruptCheckpointError(path, str(error)) from error
        except Exception as error:
            if source.error is not None:
                raise source.error from None
            if isinstance(error, MemoryError) or "allocat" in str(error):
                reason = f"there is not enough memory to examine it ({error})"
                raise OSError(errno.ENOMEM, reason, os.fspath(path)) from error
            raise CorruptCheckpointError(path, f"{what}: {error}") from error


def _examine_archive(path, source):
    with zipfile.ZipFile(source) as archive:
        refuse_a_bomb(path, archive)
        damaged = archive.testzip()
        if damaged is not None:
            raise CorruptCheckpointError(path, f"wrong CRC-32 of {damaged} in the archive")
        if archive.getinfo("config.json").file_size <= LARGEST_CONFIG:
            try:
                json.loads(archive.read("config.json"))
            except (ValueError, RecursionError) as error:
                raise CorruptCheckpointError(path, f"config.json is no JSON: {error}") from error
        if hdf5.WEIGHTS_IN_ARCHIVE not in archive.namelist():
            raise CorruptCheckpointError(path, f"the archive has no {hdf5.WEIGHTS_IN_ARCHIVE}")


def refuse_a_bomb(path: str | os.PathLike, archive: zipfile.ZipFile) -> None:
    """Before anything is unpacked.

    Raises:
        CorruptCheckpointError: The archive would unpack to much more than its own size.
    """
    size = max(1, os.path.getsize(path))
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > max(SMALL, LARGEST_EXPANSION * size):
        raise CorruptCheckpointError(
            path, f"it would unpack to {unpacked} bytes, {unpacked // size} times its own size"
        )
