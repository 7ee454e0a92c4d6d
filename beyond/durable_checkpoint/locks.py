"""One training at a time into the same files."""

import contextlib
import errno
import fcntl
import os
import socket
import warnings
import weakref

from . import files

_LOCKS = {}


def lock(callback) -> None:
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


def unlock(callback) -> None:
    path = os.path.join(callback._folder, f".{callback._tag}.lock")
    if path in _LOCKS and _LOCKS[path][1]() in (callback, None):
        descriptor, _ = _LOCKS.pop(path)
        files.clear_away(path)
        os.close(descriptor)
