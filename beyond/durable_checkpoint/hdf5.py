"""The HDF5 file with the arrays: a `.weights.h5`, or the member of a `.keras` archive."""

import contextlib
import io
import os
import zipfile

import h5py

WEIGHTS_IN_ARCHIVE = "model.weights.h5"
CHUNK_BYTES = 1 << 20
LARGEST_EXPANSION = 1000


@contextlib.contextmanager
def open_weights(path):
    """The HDF5 file with the arrays: `path` itself, or the member of the archive."""
    if str(path).endswith(".keras"):
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            info = archive.getinfo(WEIGHTS_IN_ARCHIVE)
            if info.compress_type == zipfile.ZIP_STORED:
                part = _PartOfFile(file, _start_of_weights(file), info.file_size)
            else:
                part = io.BytesIO(archive.read(info))
            with h5py.File(part, "r") as weights:
                yield weights
    else:
        with h5py.File(path, "r") as weights:
            yield weights


class _PartOfFile(io.RawIOBase):
    """The `size` bytes of `file` from `start` on, as a file (`ZipExtFile` is slow at seeking)."""

    def __init__(self, file, start, size):
        self._file, self._start, self._size, self._position = file, start, size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        self._position = offset + {0: 0, 1: self._position, 2: self._size}[whence]
        return self._position

    def tell(self):
        return self._position

    def readinto(self, buffer):
        self._file.seek(self._start + self._position)
        wanted = max(0, min(len(buffer), self._size - self._position))
        count = self._file.readinto(memoryview(buffer)[:wanted])
        self._position += count
        return count


class NotInThisFile(ValueError):
    """An array is named in an HDF5 file whose numbers are not in it."""


def arrays_in(weights):
    """The arrays by name. Raises, before anything is read, unless the file holds their numbers.

    A file that a stranger made may name another one, which HDF5 would open and read, or an array
    that fills the memory and takes no room in the file. Keras writes neither.
    """
    links = {}
    weights.visititems_links(links.__setitem__)
    arrays = {}
    for name, link in links.items():
        if not isinstance(link, h5py.HardLink):
            raise NotInThisFile(f"{name} is a link ({type(link).__name__}), not an array")
        item = weights[name]
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual:
            raise NotInThisFile(f"{name} takes its numbers from another file")
        stored = item.id.get_storage_size()
        if item.nbytes > LARGEST_EXPANSION * stored + CHUNK_BYTES:
            raise NotInThisFile(f"{name} declares {item.nbytes} bytes, the file holds {stored}")
        arrays[name] = item
    return arrays


def _start_of_weights(file):
    with zipfile.ZipFile(file) as archive:
        header = archive.getinfo(WEIGHTS_IN_ARCHIVE).header_offset
    file.seek(header + 26)  # of a local header: lengths of name and extra field, then both
    lengths = file.read(4)
    return header + 30 + sum(int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
