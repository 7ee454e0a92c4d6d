"""One thread that writes in the background, and one rule for what fails.

How the training is spared (Mohan et al., "CheckFreq", FAST 2021): it waits for a copy of the state
in memory only; a thread writes that copy while the training goes on.
"""

import concurrent.futures
import contextlib
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from . import errors

_WRITERS: "weakref.WeakSet[BackgroundWriter]" = weakref.WeakSet()


def wait_for_own_writes() -> None:
    """What this process is still writing counts: look at files only when they are complete."""
    for writer in list(_WRITERS):
        writer.wait()


def _forget_in_child():
    """A forked child has no thread that would finish what its parent is writing."""
    global _WRITERS
    writers, _WRITERS = list(_WRITERS), weakref.WeakSet()
    for writer in writers:
        writer.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class BackgroundWriter:
    """Writes files one after another. A save that fails is said once, and does not end training.

    Each save has a path. An `OSError` is warned of once until a save succeeds again; it stays in
    `unsaved` until a later save to the same path succeeds, and is raised by `raise_unsaved`. Any
    other error is raised in the training at the next `collect`.

    Arguments:
        who: Name of the callback, for messages.
        background: Whether the thread gives way to those of the training.
        warns: Whether a failure is said at once; without it, the caller raises what failed.
        next_time: What happens next, for the warning.
    """

    def __init__(self, who: str, *, background: bool, warns: bool, next_time: str):
        self.who = who
        self.background = background
        self.warns = warns
        self.next_time = next_time
        self.unsaved: dict[str, OSError] = {}
        self._pending: list[tuple[str, concurrent.futures.Future]] = []
        self._said = False
        self._thread: concurrent.futures.ThreadPoolExecutor | None = None

    def futures(self) -> list[concurrent.futures.Future]:
        """The saves that `collect` has not returned yet."""
        return [future for _, future in list(self._pending)]

    def wait(self) -> None:
        """Return when everything begun so far is written, or has failed."""
        concurrent.futures.wait(self.futures())

    def submit(self, path: str, write: Callable[[], object]) -> None:
        """Call `write` in the background. What it returns is what `collect` returns."""
        _WRITERS.add(self)
        if self._thread is None:
            self._thread = concurrent.futures.ThreadPoolExecutor(
                1, f"{self.who}-writer", _step_back if self.background else None
            )
        self._pending.append((path, self._thread.submit(self._run, path, write)))

    def fail(self, path: str, error: BaseException) -> None:
        """Note a save that failed before anything could be written."""
        future: concurrent.futures.Future = concurrent.futures.Future()
        future.set_exception(self._explained(error, path))
        self._pending.append((path, future))

    def collect(self, waiting_for_at_most: int | None) -> list[Any]:
        """Results of the saves that have ended; waits while more than that many have not.

        Arguments:
            waiting_for_at_most: How many saves may still be under way. None: wait for none.

        Returns:
            For each save that has ended what its `write` returned, or the `OSError`.
        """
        ended = []
        while self._pending:
            path, future = self._pending[0]
            if not future.done():
                if waiting_for_at_most is None or len(self._pending) <= waiting_for_at_most:
                    break
                concurrent.futures.wait([future])
            error = future.exception()
            self._pending.pop(0)
            if error is None:
                self.unsaved.pop(path, None)
                self._said = False
                ended.append(future.result())
            elif isinstance(error, OSError):
                self.unsaved[path] = error
                ended.append(error)
            else:
                raise error
        return ended

    def is_idle(self) -> bool:
        return not self._pending

    def raise_unsaved(self) -> None:
        """Raise the first error of a save for which no later one made up."""
        if self.unsaved:
            first = next(iter(self.unsaved.values()))
            self.unsaved.clear()
            raise first

    def close(self) -> None:
        """End the thread, after what it has still to write."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def end_when_written(self, call: Callable[[], None]) -> None:
        """Without waiting: end the thread when it has written all, then let `call()` happen."""
        futures = self.futures()
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
        if futures:
            futures[-1].add_done_callback(lambda _: call())
        else:
            call()

    def forget(self) -> None:
        """Nothing is being written, and there is no thread: what is true in a forked child."""
        self._pending.clear()
        self._thread = None

    def _run(self, path, write):
        try:
            return write()
        except OSError as error:
            raise self._explained(error, path) from None

    def _explained(self, error, path):
        error = errors.explained(error, path, self.who)
        if self.warns and not self._said:
            self._said = True
            with contextlib.suppress(Exception):  # a warning may have been made an error
                warnings.warn(f"{error}. Training goes on; {self.next_time}")
        return error


def _step_back():
    """Let the training's threads go first. Linux counts this for the calling thread alone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 10)
