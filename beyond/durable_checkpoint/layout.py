"""The HDF5 file that Keras writes for certain arrays, without their numbers.

HDF5 stores such an array in one run of bytes. Everything between the arrays depends only on their
names, shapes and types. So Keras's own `H5IOStore` writes the file once, with zeros, into a memory
that keeps no zeros; from then on saving is writing constant bytes and arrays in turn.
"""

import io
import math
import os

import h5py
import keras
import numpy as np

from . import keras_private, snapshot
from .walk import Recording


class Layout:
    """Constant bytes and gaps, in the order of the file.

    Attributes:
        key: What it was made for: see `key_of`.
        pieces: Constant bytes, or the number of the value that comes here and its length in bytes.
        size: Length of the whole file in bytes.
    """

    def __init__(self, key, pieces, size):
        self.key = key
        self.pieces = pieces
        self.size = size

    def contents(self, values):
        """The bytes of the file, piece by piece. `values`: arrays or tensors by their numbers.

        Raises:
            RuntimeError: A value has another length than the one the layout was made for.
        """
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            number, length = piece
            content = bytes_of(values[number])
            if len(content) != length:
                raise RuntimeError(f"value {number} has {len(content)} bytes instead of {length}")
            yield content


def key_of(recording: Recording, values: list) -> tuple:
    """All that the layout depends on: Keras's calls, and shape and type of each value."""
    calls = tuple(
        (
            kind,
            path_or_key,
            tuple(sorted(rest[0].items())) if isinstance(rest[0], dict) else rest[0],
        )
        if rest
        else (kind, path_or_key)
        for kind, path_or_key, *rest in recording.calls
    )
    return calls, tuple((tuple(v.shape), keras.backend.standardize_dtype(v.dtype)) for v in values)


def make(recording: Recording, key: tuple) -> Layout:
    """Let Keras write the file with zeros, and note where each array lies."""
    zeros = [Zeros(shape, dtype) for shape, dtype in key[1]]
    file = MemoryWithoutZeros()
    write(recording, zeros, file)
    places = []
    with h5py.File(file, "r") as arrays:
        for path, number in recording.paths().items():
            array = arrays[path]
            if array.size == 0:
                continue
            offset, length = array.id.get_offset(), array.size * array.dtype.itemsize
            if offset is None or array.chunks or length != zeros[number].nbytes:
                raise RuntimeError(f"HDF5 does not store {path} in one run of bytes")
            places.append((offset, length, number))
    pieces, position = [], 0
    for offset, length, number in sorted(places):
        pieces += [file.part(position, offset), (number, length)]
        position = offset + length
    pieces.append(file.part(position, file.size))
    return Layout(key, [piece for piece in pieces if piece != b""], file.size)


def write(recording: Recording, values: list, file: io.BytesIO) -> None:
    """What Keras asked of the recording store, asked of its own store."""
    store = keras_private.H5IOStore(file, mode="w")
    try:
        for kind, *details in recording.calls:
            if kind == "make":
                path, metadata = details
                store.make(path, metadata=metadata) if metadata else store.make(path)
            elif kind == "set":
                store[details[0]] = values[details[1]]
            else:
                del store[details[0]]
    finally:
        store.close()


def bytes_of(value) -> np.ndarray:
    """The bytes of an array or tensor, in C order."""
    return np.ascontiguousarray(snapshot.as_array(value)).reshape(-1).view(np.uint8)


class Zeros:
    """An array of zeros that takes no memory: NumPy asks the system for zeros and copies none."""

    def __init__(self, shape: tuple, dtype: str):
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.nbytes = math.prod(shape) * self.dtype.itemsize

    def __array__(self, dtype=None, copy=None):
        return np.zeros(self.shape, self.dtype if dtype is None else dtype)


class MemoryWithoutZeros(io.BytesIO):
    """A file in memory that keeps only the pages in which something other than zero was written."""

    PAGE = 4096

    def __init__(self):
        super().__init__()
        self.size = 0
        self._position = 0
        self._pages = {}

    def readable(self):
        return True

    def writable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        self._position = offset + {0: 0, 1: self._position, 2: self.size}[whence]
        return self._position

    def tell(self):
        return self._position

    def truncate(self, size=None):
        self.size = self._position if size is None else size
        for number in [n for n in self._pages if n * self.PAGE >= self.size]:
            del self._pages[number]
        return self.size

    def write(self, data):
        content = memoryview(data).cast("B")
        zeros = not np.frombuffer(content, np.uint8).any() if len(content) else True
        for number, inside, part in self._pieces(self._position, len(content)):
            if zeros and number not in self._pages:
                continue
            page = self._pages.setdefault(number, bytearray(self.PAGE))
            page[inside : inside + len(part)] = content[part.start : part.stop]
        self._position += len(content)
        self.size = max(self.size, self._position)
        return len(content)

    def readinto(self, buffer):
        content = memoryview(buffer).cast("B")
        count = max(0, min(len(content), self.size - self._position))
        content[:count] = self.part(self._position, self._position + count)
        self._position += count
        return count

    def read(self, size=-1):
        end = self.size if size is None or size < 0 else min(self.size, self._position + size)
        part = self.part(self._position, end)
        self._position += len(part)
        return part

    def part(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to `end`."""
        found = bytearray(max(end - begin, 0))
        for number, inside, part in self._pieces(begin, len(found)):
            if number in self._pages:
                found[part.start : part.stop] = self._pages[number][inside : inside + len(part)]
        return bytes(found)

    def _pieces(self, begin, length):
        """Page number, position in that page, and the range of the whole that lies there."""
        position = 0
        while position < length:
            number, inside = divmod(begin + position, self.PAGE)
            step = min(self.PAGE - inside, length - position)
            yield number, inside, range(position, position + step)
            position += step
