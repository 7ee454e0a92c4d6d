"""A disk that becomes full: a tmpfs of 6 MB, or where there can be none, a limit for each file.

Imports neither Keras nor pytest, so that programs on such a disk can use it.
"""

import contextlib
import errno
import os
import resource
import subprocess
import tempfile

MOUNT = 'mount -t tmpfs -o size=6m none "$0" && exec "$@"'
PAGE = os.sysconf("SC_PAGE_SIZE")


def on_small_disk(folder) -> list[str]:
    """What to write before a command to run it with a small disk at `folder`."""
    return ["unshare", "-rm", "sh", "-c", MOUNT, str(folder)]


def may_mount() -> bool:
    """Whether this process may have a small disk of its own, in a mount namespace."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(FileNotFoundError):
        run = subprocess.run([*on_small_disk(folder), "true"], check=False, capture_output=True)
        return run.returncode == 0
    return False


class SmallDisk:
    """A file system whose free space is set by a file that takes the rest."""

    number = errno.ENOSPC
    beyond_the_file = (0, 1, 2)  # pages: the record takes one and the checksum another

    def __init__(self, folder):
        self.ballast = folder / "ballast"

    def free(self):
        status = os.statvfs(self.ballast.parent)
        return status.f_bavail * status.f_frsize

    def leave(self, size):
        self.ballast.unlink(missing_ok=True)
        if size is not None:
            rest = self.free() - size // PAGE * PAGE
            with self.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, rest)
            assert self.free() == size // PAGE * PAGE


class SizeLimit:
    """No file may grow beyond the size that is left; Python ignores the signal SIGXFSZ."""

    number = errno.EFBIG
    beyond_the_file = (2,)

    def __init__(self, folder):
        del folder

    def free(self):
        return None

    def leave(self, size):
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))
