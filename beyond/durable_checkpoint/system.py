"""What differs between Linux, macOS and Windows: locks, flushing, renaming."""

import contextlib
import errno
import os
import sys
import time

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Windows locks bytes, against reading too. This one lies behind all that a lock file holds.
_LOCKED_BYTE = 1 << 30
_SECONDS_TO_REPLACE = 2.0


def lock(descriptor: int) -> None:
    """Lock an open file until this descriptor is closed, or the process ends in whatever way.

    On Linux and macOS the lock (`flock`) belongs to the opened file. Closing another descriptor of
    the same file does not free it, and a second one of the same process is refused as well.

    Raises:
        BlockingIOError: Another open file holds the lock.
        OSError: The file system has no locks.
    """
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            raise
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync(descriptor: int) -> None:
    """Return when the disk has what was written to this file."""
    # On macOS fsync leaves the data in the drive's cache.
    if sys.platform != "win32" and hasattr(fcntl, "F_FULLFSYNC"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: str) -> None:
    """Return when the disk has the names in `folder`. Windows opens no folders and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def replace(source: str, target: str) -> None:
    """Rename `source` over `target`. Windows refuses that while somebody reads `target`."""
    give_up = time.monotonic() + _SECONDS_TO_REPLACE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def forget_in_memory(descriptor: int) -> None:
    """Let the next reading come from the disk, not from the memory of the operating system."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
