"""What can go wrong, in words."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator

# What a disk, a folder or its permissions answer. Other errors are those of the program.
_NAMES = """
    ENOSPC EDQUOT EROFS EIO EFBIG EACCES EPERM ENAMETOOLONG ENODEV ENXIO ESTALE EMFILE ENFILE
    ETIMEDOUT EREMOTEIO ENOTCONN EHOSTDOWN EISDIR ENOTDIR ELOOP EBUSY
"""
OF_THE_DISK = {getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name)}


class CorruptCheckpointError(Exception):
    """A checkpoint file is not what was saved.

    Attributes:
        path: The file.
        reason: What is wrong with it, in words.

    Example:
        >>> with open("damaged.keras", "wb") as file:
        ...     written = file.write(b"no archive")
        >>> try:
        ...     verify("damaged.keras")
        ... except CorruptCheckpointError as error:
        ...     print(error.reason)
        not a complete archive: File is not a zip file
    """

    def __init__(self, path: str | os.PathLike, reason: str):
        self.path = os.fspath(path)
        self.reason = reason
        super().__init__(one_line(f"{self.path}: {reason}"))


def one_line(text: str) -> str:
    """`text` without line breaks, and without what cannot be printed: names of files may be odd."""
    return re.sub(
        r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]",
        lambda found: found[0].encode("unicode_escape").decode(),
        text,
    )


def show(text: str) -> None:
    """Print what `verbose` asks for. That nobody reads it any more is no reason to lose a save."""
    with contextlib.suppress(OSError):
        print(text.encode(errors="backslashreplace").decode())


def explained(error: BaseException, path: str, who: str = "DurableCheckpoint") -> OSError:
    """The same error with the path, the free space, and what has become of the old file."""
    folder = os.path.dirname(path)
    free = "unknown free space"
    with contextlib.suppress(OSError):
        free = f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free"
    old = "the file saved before is as it was" if os.path.exists(path) else "no file was there"
    return OSError(
        number_of(error) or errno.EIO,
        one_line(
            f"{who} could not save {path} ({free} in {folder}; {old}): "
            f"{getattr(error, 'strerror', None) or error}"
        ),
    )


@contextlib.contextmanager
def of_the_place(path: str) -> Iterator[None]:
    """Explain an `OSError` with `path`; that a lock is held by another one explains itself."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise explained(error, path) from None


def number_of(error: BaseException) -> int | None:
    """The errno of an error. h5py puts it into the text of an OSError or RuntimeError."""
    number = getattr(error, "errno", None)
    if not number and isinstance(error, (OSError, RuntimeError)):
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found.group(1)) if found else None
    return number


def is_of_the_disk(error: BaseException, path: str) -> bool:
    """Whether saving to `path` failed because of its disk or folder, not of the user's own code."""
    if not isinstance(error, (OSError, RuntimeError)):
        return False
    return number_of(error) in OF_THE_DISK or isinstance(error, OSError) and path in str(error)
