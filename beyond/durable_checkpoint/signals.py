"""SIGTERM and Ctrl-C let a batch end before they end the process."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any


class Asked:
    """Notes a signal while `fit` runs, instead of ending the process at once.

    Arguments:
        numbers: Signals to wait for.
        is_training: Called with a frame: whether `fit` is running in it or around it.
        then: What follows, for the line that says so.
    """

    def __init__(self, numbers: Iterable[int], is_training: Callable, then: Callable[[], str]):
        self.numbers = tuple(numbers)
        self.is_training = is_training
        self.then = then
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def watch(self) -> None:
        """Only in the main thread, where Python lets a program handle signals."""
        self.signal = None
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self.numbers:
            before = signal.getsignal(number)
            if before is not None and number not in self._before:
                signal.signal(number, self._on_signal)
                self._before[number] = before

    def release(self) -> None:
        """Give the signals back: from here on they end the process as they usually do."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, before)
        self._before.clear()

    def _on_signal(self, number, frame):
        if self.signal is None and self.is_training(frame):
            self.signal = number
            say(f"{signal.Signals(number).name}: finishing this batch, {self.then()}")
            return
        # The second one; or `fit` was left by an exception, of which Keras tells no callback.
        before = self._before.get(number, signal.SIG_DFL)
        self.release()
        if callable(before):
            before(number, frame)
        elif before != signal.SIG_IGN:
            os.kill(os.getpid(), number)


def say(line: str) -> None:
    """Print to the error output. In a signal handler `print` fails if the program just prints."""
    with contextlib.suppress(OSError):  # the terminal is gone
        os.write(2, f"{line}\n".encode(errors="backslashreplace"))
