"""Copies of the values of variables, as fast as each backend allows."""

import concurrent.futures
import os
import re

import keras
import numpy as np


def take(variables: list[keras.Variable], buffers: list[np.ndarray] | None = None):
    """Copies of the values of `variables` at this moment.

    On TensorFlow and PyTorch, and on JAX with an accelerator, the copies are tensors on the device;
    the writer fetches them. On TensorFlow reading a variable is copying it: the tensor stays as it
    is, and the next assignment allocates anew. JAX on the processor would have to copy arrays that
    someone holds before the next step may overwrite ("donate") them, and into fresh memory, which
    takes longer than copying into memory that was used before. So `buffers`, arrays of an earlier
    snapshot or None, are filled instead if they fit.

    Returns:
        The copies, and the buffers among them to be used again (None if there are none).
    """
    if not held_on_the_host(variables):
        try:
            return [keras.ops.copy(variable) for variable in variables], None
        except Exception as error:
            if not re.search(r"resource.?exhausted|out of memory", str(error), re.IGNORECASE):
                raise
    arrays = [as_array(v.value if isinstance(v, keras.Variable) else v) for v in variables]
    if buffers is None or not _fit(buffers, arrays):
        buffers = [np.empty_like(array) for array in arrays]
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(np.copyto, buffers, arrays))
    return buffers, buffers


def held_on_the_host(variables: list[keras.Variable]) -> bool:
    """Whether the copies are made into memory of this program: JAX on the processor."""
    return keras.backend.backend() == "jax" and all(
        device.platform == "cpu" for v in variables for device in v.value.devices()
    )


def memory_for(described: list[tuple]) -> list[np.ndarray]:
    """Buffers for `take` of these shapes and types. Each page was written once, so none is new."""
    return [np.full(shape, 1, dtype) for shape, dtype in described]


def as_array(value) -> np.ndarray:
    """`value`, an array or tensor, as an array, without a copy where that is possible."""
    if isinstance(value, np.ndarray) or keras.backend.backend() != "torch":
        return np.asarray(value)
    return keras.ops.convert_to_numpy(value)


def _fit(buffers, arrays):
    return [(b.shape, b.dtype) for b in buffers] == [(a.shape, a.dtype) for a in arrays]
