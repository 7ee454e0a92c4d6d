"""From memory to the disk: the new file is complete before it takes the place of the old one.

How a file is replaced (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; SQLite,
"Atomic Commit In SQLite"): the new one is written under a temporary name in the same folder,
flushed to the disk, read back and compared, and only then renamed over the old one. Renaming is
atomic.
"""

import concurrent.futures
import contextlib
import json
import os
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import errors, records, system, temporary_names
from .hdf5 import CHUNK_BYTES

FIRST_OF_ZIP = (1980, 1, 1, 0, 0, 0)  # the earliest time that an archive can note
# Name and size in bytes of what is in a file, and a function that returns its pieces.
Pieces = Callable[[], Iterable[Any]]
Member = tuple[str | None, int, Pieces]


def write_and_compare(temporary: str, members: Sequence[Member]) -> str:
    """Write a file, flush it to the disk, read it back and compare. Returns its SHA-256.

    Arguments:
        members: What is in it. For a zip archive: (name, size in bytes, pieces) for each member,
            none of them compressed. For a file that is no archive: one member with the name None.
            `pieces`: a function that returns them, since they are needed twice.

    Raises:
        OSError: It could not be written, or the disk returned something else.
    """
    places = []
    with open(temporary, "wb") as file:
        if members[0][0] is None:
            file.writelines(members[0][2]())
            places = [(0, members[0][2])]
        else:
            with zipfile.ZipFile(file, "w") as archive:
                for name, size, pieces in members:
                    info = zipfile.ZipInfo(str(name), max(time.localtime()[:6], FIRST_OF_ZIP))
                    info.external_attr = 0o600 << 16
                    large = size > zipfile.ZIP64_LIMIT
                    with archive.open(info, "w", force_zip64=large) as member:
                        start = file.tell()
                        for piece in pieces():
                            member.write(piece)
                    places.append((start, pieces))
        file.flush()
        # The sum is computed while the disk writes. What it is of, is compared below.
        digest = _in_the_meantime(records.sha256, temporary)
        system.sync(file.fileno())
        system.forget_in_memory(file.fileno())
    with open(temporary, "rb") as again:
        for start, pieces in places:
            again.seek(start)
            if not all(_read_and_compare(again, piece) for piece in pieces()):
                raise OSError(f"the disk did not return what was written to {temporary}")
    return digest()


def _in_the_meantime(function, *arguments):
    """Call `function` in a thread. Returns a function that waits for it and returns its result."""
    result: concurrent.futures.Future = concurrent.futures.Future()

    def run():
        try:
            result.set_result(function(*arguments))
        except BaseException as error:  # noqa: BLE001, raised by whoever asks for the result
            result.set_exception(error)

    try:
        threading.Thread(target=run).start()
    except RuntimeError:  # no new thread at the end of a program: the last save is still written
        run()
    return result.result


def _read_and_compare(file, piece):
    """Whether `file` goes on with `piece`."""
    expected = memoryview(piece)
    buffer = bytearray(min(CHUNK_BYTES, max(len(expected), 1)))
    for start in range(0, len(expected), len(buffer)):
        part = expected[start : start + len(buffer)]
        if len(part) < len(buffer):
            buffer = bytearray(len(part))
        if file.readinto(buffer) != len(part) or buffer != part:
            return False
    return True


def flush(temporary: str) -> None:
    """Let what another library wrote reach the disk."""
    with open(temporary, "rb+") as file:
        system.sync(file.fileno())
        system.forget_in_memory(file.fileno())


def publish(temporary: str, path: str, record: records.Record, tag: str) -> None:
    """Give the complete file at `temporary` its final name, and note its checksum and record.

    Arguments:
        temporary, path: Both in one folder.
        tag: Part of the names of the temporary files.

    Raises:
        OSError: It could not be renamed; the old files are as they were.

    Once it has its name it counts as saved. If checksum or record then cannot get theirs, a warning
    says so: `verify` knows the pending record, and the next save or training completes them.

    After each line a crash leaves a file under `path` that `verify` accepts, if there was one:
    the record goes to the disk first, under its pending name, so that the checksums of both the
    old and the new file are known while they are exchanged.
    """
    folder = os.path.dirname(path)
    with contextlib.suppress(OSError):  # so that files keep their order if a record is lost
        os.utime(temporary, (record["saved_at"], record["saved_at"]))
    pending = temporary_names.record(path, tag)
    checksum = temporary_names.checksum(path, tag)
    if os.path.exists(pending):  # it alone knows the sum of the file that is there
        finish_or_remove(pending, tag)
    try:
        _write_durably(checksum, records.checksum_line(path, record))
        _write_durably(pending, json.dumps(record, indent=1).encode())
        system.sync_folder(folder)
        system.replace(temporary, path)
    except OSError:
        clear_away(pending)
        clear_away(checksum)
        raise
    try:
        system.sync_folder(folder)
        system.replace(checksum, f"{path}.sha256")
        system.replace(pending, f"{path}.json")
        system.sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(Exception):  # a warning may have been made an error
            said = errors.one_line(f"{path} is saved; its checksum and record will follow: {error}")
            warnings.warn(said)


def finish_or_remove(leftover: str, tag: str) -> bool:
    """If a file is what a save left that was cut off, complete that save or undo it.

    Returns:
        Whether it was.
    """
    path = temporary_names.recorded(leftover, tag)
    if path is not None:
        record = records.read_file(leftover)
        if record is not None and records.applies(record, path):
            note_checksum(path, record, tag)
            system.replace(leftover, f"{path}.json")
            system.sync_folder(os.path.dirname(path))
        else:
            remove(leftover)
    elif temporary_names.is_unfinished(leftover, tag):
        remove(leftover)
    else:
        return False
    return True


def note_checksum(path: str, record: records.Record, tag: str) -> None:
    """Write the checksum of `record` beside the checkpoint at `path`, whole or not at all."""
    temporary = temporary_names.checksum(path, tag)
    _write_durably(temporary, records.checksum_line(path, record))
    system.replace(temporary, f"{path}.sha256")


def _write_durably(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        system.sync(file.fileno())


def delete(paths: Iterable[str], folder: str) -> None:
    """Delete checkpoints in `folder` and what lies beside them.

    A checkpoint goes before its checksum and record: a file without them could pass for a newer
    one, and a record without its file is deleted when the next training begins.

    Raises:
        OSError: One could not be deleted.
    """
    paths = list(paths)
    for path in paths:
        remove(path)
    if paths:
        system.sync_folder(folder)
    for path in paths:
        remove(f"{path}.sha256")
        remove(f"{path}.json")
    if paths:
        system.sync_folder(folder)


def remove(path: str) -> None:
    """Delete a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def clear_away(path: str) -> None:
    """`remove` after a failure: what cannot be removed either does not hide the first error."""
    with contextlib.suppress(OSError):
        os.unlink(path)
