"""Keep TensorFlow's lines about this machine's hardware out of the command's output."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def compiled_code() -> Iterator[None]:
    """Drop what compiled code writes to the error output. Python's own messages still appear."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    errors = sys.stderr
    if errors is None:  # closed, as after `2>&-`
        yield
        return
    errors.flush()
    real = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        with open(real, "w", buffering=1, closefd=False) as sys.stderr:
            yield
    finally:
        sys.stderr = errors
        os.dup2(real, 2)
        os.close(real)
        os.close(nowhere)
