"""Which call of `fit` is this, and is it still running? Keras tells no callback of an exception."""

import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator

import keras

from .locks import Training

_KERAS = os.path.dirname(os.path.abspath(keras.__file__)) + os.sep
_LIST = keras.callbacks.CallbackList.on_train_begin.__code__.co_filename


class Fit:
    """A call of `fit`, or a loop of the user's own that calls the hooks of callbacks.

    A call of `fit` has a list of callbacks, which lives in its frame. It is over when that frame is
    no longer running, although a stored traceback may keep the list.

    Arguments:
        callback: The one that asks, in one of its hooks.
    """

    def __init__(self, callback: keras.callbacks.Callback):
        callbacks = callbacks_of_this_fit()
        self.thread = threading.get_ident()
        self._holder = weakref.ref(callback if callbacks is None else callbacks)
        self.by_hand = not self._is_on_the_stack()

    def is_over(self) -> bool:
        """Whether it has ended, also by an exception. A loop ends with the life of its callback."""
        if self._holder() is None:
            return True
        return not self.by_hand and not self._is_on_the_stack()

    def _is_on_the_stack(self):
        if self.thread == threading.get_ident():
            frame: types.FrameType | None = sys._getframe()
        else:
            frame = sys._current_frames().get(self.thread)
        return any(
            value is self._holder()
            for found in _frames_of_keras(frame)
            if found.f_code.co_filename != _LIST
            for value in found.f_locals.values()
        )

    def gives_way_to(self, other: Training) -> bool:
        """Whether it is a loop that was left: its thread has ended, or begins `other` just now."""
        return self.by_hand and (
            self.thread == threading.get_ident() or self.thread not in sys._current_frames()
        )

    def is_same_fit_as(self, other: Training) -> bool:
        """Whether both have one list of callbacks."""
        return isinstance(other, Fit) and self._holder() is other._holder()

    def when_over(self, call: Callable[[], None]) -> None:
        """Let `call()` happen when the list of callbacks, or the callback of a loop, is gone."""
        holder = self._holder()
        if holder is not None:
            weakref.finalize(holder, call).atexit = False


def callbacks_of_this_fit() -> keras.callbacks.CallbackList | None:
    """The list of callbacks that is calling one of them just now, None outside of such a list."""
    for frame in _frames_of_keras(sys._getframe()):
        if frame.f_code.co_filename == _LIST:
            caller = frame.f_locals.get("self")
            if isinstance(caller, keras.callbacks.CallbackList):
                return caller
    return None


def of_this_fit(kind: type) -> list:
    """The callbacks of this class in the `fit` that is calling one of them just now."""
    callbacks = callbacks_of_this_fit()
    return [
        callback
        for callback in (callbacks.callbacks if callbacks is not None else ())
        if isinstance(callback, kind)
    ]


def data_of_this_fit() -> tuple[object, object]:
    """`x` and `validation_data` of the `fit` that is calling a callback just now."""
    for frame in _frames_of_keras(sys._getframe()):
        if frame.f_code.co_name == "fit" and "validation_data" in frame.f_locals:
            return frame.f_locals.get("x"), frame.f_locals["validation_data"]
    return None, None


def is_running_in(frame: types.FrameType | None, model: keras.Model) -> bool:
    """Whether `model.fit`, Keras's or the model's own, is among the callers of `frame`."""
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return True
        frame = frame.f_back
    return False


def _frames_of_keras(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """Frames that run Keras's code. To look into others would keep their variables alive."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_KERAS):
            yield frame
        frame = frame.f_back
