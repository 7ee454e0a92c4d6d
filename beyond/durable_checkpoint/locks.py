"""One training at a time into the same files."""

import contextlib
import errno
import os
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from . import system
from .writer import BackgroundWriter


class Training(Protocol):
    """Who uses a lock, and until when."""

    def is_over(self) -> bool:
        """Whether it has ended, also by an exception."""

    def gives_way_to(self, other: "Training") -> bool:
        """Whether `other` may take its lock although it has not ended."""

    def is_same_fit_as(self, other: "Training") -> bool:
        """Whether both are one call of `fit`."""

    def when_over(self, call: Callable[[], None]) -> None:
        """Let `call()` happen when it has ended without freeing its lock."""


class FileLock:
    """Reserves what a lock file stands for, against other processes and other trainings.

    The lock is freed by `release`, by the end of the process, or when its training has ended by an
    exception and what it was writing is on the disk. A forked child does not have it.

    Arguments:
        path: The lock file. It is there while the lock is held.
        shown: What is reserved, for messages.
        writer: Writes the reserved files.
    """

    def __init__(self, path: str, shown: str, writer: BackgroundWriter):
        self.path = path
        self.shown = shown
        self.writer = writer
        self.training: Training | None = None

    def is_held(self) -> bool:
        """Whether this object has the lock, in this process."""
        held = _held.get(self.path)
        return held is not None and held.owner is self

    def acquire(self, training: Training) -> None:
        """Take the lock for `training`.

        Raises:
            ValueError: Another callback of the same call of `fit` has it.
            BlockingIOError: Another process has it, or another training of this process.
            OSError: There can be no lock file.
        """
        self.writer.wait()  # of an earlier training that ended by an exception
        while True:
            with _registry:
                _free_what_is_over()
                held = _held.get(self.path)
                if held is None:
                    _held[self.path] = _Held(_locked(self.path, self.shown), self)
                elif held.owner is not self:
                    self._refuse_unless_free(held.owner, training)
                if held is None or held.owner is self:
                    self.training = training
                    break
            held.owner.writer.wait()
            with _registry:
                if _held.get(self.path) is held:
                    _held[self.path] = _Held(held.descriptor, self)
        training.when_over(lambda: self._release_when_written(training))

    def _refuse_unless_free(self, owner, training):
        other = owner.training
        if other.is_over():
            return
        if other.is_same_fit_as(training):
            raise ValueError(f"two callbacks in one fit save to {self.shown}")
        if other.gives_way_to(training):
            return
        raise BlockingIOError(
            errno.EAGAIN,
            f"{self.shown} is being written by another training of this process: "
            "wait for it, stop it, or choose another filepath",
        )

    @contextlib.contextmanager
    def released_on_failure(self) -> Iterator[None]:
        """Let others have it if what is done here fails."""
        try:
            yield
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others have it, if it is held."""
        with _registry:
            held = _held.get(self.path)
            if held is None or held.owner is not self:
                return
            del _held[self.path]
            self.training = None
            if os.name != "nt":
                _remove(self.path)
            os.close(held.descriptor)
            if os.name == "nt":  # which removes no open files, so nobody else has it
                _remove(self.path)

    def _release_when_written(self, training):
        def release():
            with _registry:
                if self.training is training:
                    self.release()

        if self.training is training:
            self.writer.end_when_written(release)


class _Held(NamedTuple):
    descriptor: int
    owner: FileLock


_held: dict[str, _Held] = {}
_registry = threading.RLock()


def _free_what_is_over():
    for held in list(_held.values()):
        training = held.owner.training
        if training is not None and training.is_over():
            held.owner._release_when_written(training)


def _locked(path, shown):
    """The descriptor of a lock file that is locked and lies under its name."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor, path, shown)
            # The one who held it before may have removed the file between open and lock.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                    _write_who(descriptor)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor, path, shown):
    try:
        system.lock(descriptor)
    except BlockingIOError:
        os.lseek(descriptor, 0, os.SEEK_SET)
        owner = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
        raise BlockingIOError(
            errno.EAGAIN,
            f"{shown} is being written by {owner}: "
            "wait for it, stop it, or choose another filepath",
        ) from None
    except OSError as error:
        warnings.warn(f"{shown} cannot be locked against a second training: {error}")


def _write_who(descriptor):
    with contextlib.suppress(OSError):  # of a full disk, for one; the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


def _forget_in_child():
    """The parent has the locks. Its descriptors would keep them after it has died."""
    global _registry
    _registry = threading.RLock()
    for held in _held.values():
        with contextlib.suppress(OSError):
            os.close(held.descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
