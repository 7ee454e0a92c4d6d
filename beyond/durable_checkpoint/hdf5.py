"""The HDF5 file with the arrays: a `.weights.h5`, or the member of a `.keras` archive."""

import contextlib
import errno
import io
import itertools
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator

import h5py

WEIGHTS_IN_ARCHIVE = "model.weights.h5"
CHUNK_BYTES = 1 << 20
LARGEST_EXPANSION = 1100  # what gzip makes of its bytes at most is 1032 times as much
LARGEST_CHUNK = 256 << 20  # bytes that HDF5 unpacks at once
NOT_IN_THE_FILE_AT_MOST = 256 << 20  # bytes that a file may declare and not hold


class Source(io.RawIOBase):
    """The `size` bytes of `file` from `start` on, as a file.

    HDF5 and zipfile report what the operating system answers as one of their own errors. Here it is
    kept: `error` is the `OSError` of a reading that failed, None if none did.
    """

    def __init__(self, file, start: int, size: int):
        self.error: OSError | None = None
        self.file = file
        self.start = start
        self.size = size
        self._position = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        position = offset + {0: 0, 1: self._position, 2: self.size}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, f"negative position {position}")
        self._position = position
        return position

    def tell(self):
        return self._position

    def readinto(self, buffer):
        wanted = max(0, min(len(buffer), self.size - self._position))
        try:
            self.file.seek(self.start + self._position)
            count = self.file.readinto(memoryview(buffer)[:wanted])
        except OSError as error:
            self.error = error
            raise
        self._position += count
        return count


@contextlib.contextmanager
def open_weights(path: str | os.PathLike) -> Iterator[h5py.File]:
    """The HDF5 file with the arrays: `path` itself, or the member of the archive.

    Raises:
        OSError, and what h5py and zipfile raise: It cannot be read, or is not such a file.
    """
    with open(path, "rb") as file:
        source = Source(file, 0, os.fstat(file.fileno()).st_size)
        with open_weights_in(source, str(path).endswith(".keras")) as weights:
            yield weights


@contextlib.contextmanager
def open_weights_in(source: Source, is_archive: bool) -> Iterator[h5py.File]:
    """The same for an open file."""
    if not is_archive:
        with h5py.File(source, "r") as weights:
            yield weights
        return
    with zipfile.ZipFile(source) as archive:
        info = archive.getinfo(WEIGHTS_IN_ARCHIVE)
        if info.compress_type == zipfile.ZIP_STORED:
            start = _start_of(info, source)
            part = Source(source.file, source.start + start, info.file_size)
            try:
                with h5py.File(part, "r") as weights:
                    yield weights
            finally:
                source.error = source.error or part.error
            return
        with tempfile.SpooledTemporaryFile(NOT_IN_THE_FILE_AT_MOST // 16) as unpacked:
            with archive.open(info) as member:
                try:
                    shutil.copyfileobj(member, unpacked, CHUNK_BYTES)
                except OSError as error:  # no room for it
                    source.error = source.error or error
                    raise
            with h5py.File(unpacked, "r") as weights:
                yield weights


def _start_of(info, source):
    source.seek(info.header_offset + 26)  # lengths of name and extra field, then both
    lengths = source.read(4)
    return (
        info.header_offset + 30 + sum(int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
    )


class NotInThisFile(ValueError):
    """An array is named in an HDF5 file whose numbers are not in it."""


def arrays_in(weights: h5py.File) -> dict[str, h5py.Dataset]:
    """The arrays by name. Raises, before anything is read, unless the file holds their numbers.

    A file that a stranger made may name another one, which HDF5 would open and read, or an array
    that fills the memory and takes no room in the file. Keras writes neither.

    Raises:
        NotInThisFile: An array lies elsewhere, or nowhere.
    """
    links: dict[str, object] = {}
    weights.visititems_links(links.__setitem__)
    for name, link in links.items():
        if isinstance(link, h5py.ExternalLink):
            raise NotInThisFile(f"{name} is a link to another file ({link.filename})")
    arrays = {}
    missing = 0
    for name, link in links.items():
        try:
            item = weights[name]
        except KeyError:
            raise NotInThisFile(f"{name} is a link to nothing in this file") from None
        if not isinstance(item, h5py.Dataset):
            continue
        if item.external or item.is_virtual:
            raise NotInThisFile(f"{name} takes its numbers from another file")
        stored = item.id.get_storage_size()
        arrays[name] = item
        if item.shape is None or isinstance(link, h5py.SoftLink):
            continue  # what a link leads to is counted under its own name
        missing += max(0, item.nbytes - LARGEST_EXPANSION * stored)
        if missing > NOT_IN_THE_FILE_AT_MOST:
            raise NotInThisFile(f"{name} declares {item.nbytes} bytes, the file holds {stored}")
        if item.chunks and math.prod(item.chunks) * item.dtype.itemsize > LARGEST_CHUNK:
            raise NotInThisFile(f"{name} declares pieces of more than {LARGEST_CHUNK} bytes")
    return arrays


def read_through(array: h5py.Dataset) -> None:
    """Let HDF5 read all numbers that the file holds of `array`, little by little."""
    if array.shape is None or array.size == 0 or array.id.get_storage_size() == 0:
        return
    if array.chunks is None:
        for piece in _pieces(array.shape, array.dtype.itemsize):
            array[piece]
        return
    for offset in _offsets_of_chunks(array):
        array[tuple(slice(o, o + c) for o, c in zip(offset, array.chunks, strict=True))]


def _offsets_of_chunks(array):
    """Where the chunks begin that are in the file."""
    if not hasattr(array.id, "chunk_iter"):
        return [array.id.get_chunk_info(i).chunk_offset for i in range(array.id.get_num_chunks())]
    offsets: list[tuple[int, ...]] = []
    array.id.chunk_iter(lambda info: offsets.append(info.chunk_offset))
    return offsets


def _pieces(shape, itemsize):
    """Selections that make up an array of this shape, of `CHUNK_BYTES` at most."""
    axis, inner = len(shape), itemsize
    while axis > 0 and inner * shape[axis - 1] <= CHUNK_BYTES:
        axis -= 1
        inner *= shape[axis]
    if axis == 0:
        yield ()
        return
    axis -= 1
    step = max(1, CHUNK_BYTES // inner)
    for outer in itertools.product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], step):
            yield (*outer, slice(start, start + step))
