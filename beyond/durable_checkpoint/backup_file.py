"""One generation of a backup: an archive of arrays in NumPy's format, with `state.json`."""

import io
import json
import zipfile

import numpy as np

from . import records, snapshot, template
from .errors import CorruptCheckpointError
from .validity import verify


class Backup:
    """One generation on the disk, read and compared with its checksum."""

    def __init__(self, path):
        self.path = path
        if not records.noted_checksums(path):
            raise CorruptCheckpointError(path, "there is no checksum of it")
        verify(path)
        self.arrays: dict[str, list[np.ndarray]] = {
            "variable": [],
            "array": [],
            "own": [],
            "asset": [],
        }
        try:
            with zipfile.ZipFile(path) as archive:
                self.header = json.loads(archive.read("state.json"))
                for name in archive.namelist()[1:]:
                    with archive.open(name) as member:
                        array = np.lib.format.read_array(member, allow_pickle=False)
                    self.arrays[name.split("-")[0]].append(array)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise CorruptCheckpointError(path, f"not a backup: {error}") from error


def npy_member(name, value):
    """A member of an .npz archive for `write_and_compare`. `value`: an array or a tensor."""
    array = np.ascontiguousarray(snapshot.as_array(value)).reshape(tuple(value.shape))
    if array.dtype.kind == "V":  # bfloat16 and the like, unknown to NumPy: the type is noted apart
        array = array.view(f"u{array.dtype.itemsize}")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    head = header.getvalue()
    return name, len(head) + array.nbytes, lambda: [head, template.bytes_of(array)]
