"""What Keras tells no callback about the `fit` that calls it, read from the call stack."""

import sys

import keras


def callbacks() -> list[keras.callbacks.Callback]:
    """The callbacks of the `fit` that is calling one of them just now; none outside of `fit`."""
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            return caller.callbacks
        frame = frame.f_back
    return []


def is_running_in(frame, model: keras.Model) -> bool:
    """Whether `model.fit` is among the callers of `frame`."""
    while frame is not None:
        if frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model:
            return True
        frame = frame.f_back
    return False
