"""Named changes of an array on its way from the file to the model, each with its inverse."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Transform:
    """A change of one array.

    Attributes:
        name: What the report calls it; empty for none.
        forward: From the file's array to the model's.
        back: The inverse: `back(forward(array))` has the bytes of `array`; None for none.
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray] | None

    def came_from(self, value: np.ndarray, source: np.ndarray) -> bool:
        """Whether a value has the source's bytes, after the change is undone."""
        if self.back is None:
            return equal(value, self.forward(source))
        return equal(self.back(value), source)


def _same(array):
    return array


SAME = Transform("", _same, _same)


def _flip(array):
    return np.ascontiguousarray(array[(slice(None, None, -1),) * (array.ndim - 2)])


# Theano computed a convolution, the others a correlation.
FLIP = Transform("kernel flipped in its spatial axes", _flip, _flip)


def as_type(old: str, new: str) -> Transform:
    """A count with another number of bits; back is exact while the number fits."""
    return Transform(
        f"{old} as {new}", lambda array: array.astype(new), lambda array: array.astype(old)
    )


def equal(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bytes."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )
