"""The files of a backup: two generations, each an archive of NumPy arrays with `state.json`."""

import io
import json
import os
import zipfile

import numpy as np

from . import files, layout, records, snapshot, temporary_names
from .errors import CorruptCheckpointError
from .validity import verify

FORMAT = 3  # of the file
TAG = "backup"  # in the names of temporary files


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
    return name, len(head) + array.nbytes, lambda: [head, layout.bytes_of(array)]


def path_of(folder: str, number: int) -> str:
    """Where backup `number` of a training is written: over the one before the last."""
    return os.path.join(folder, f"backup-{number % 2}.npz")


def read_all(folder: str) -> tuple[list[Backup], list[str]]:
    """The generations in `folder` that are valid, and a sentence about each damaged one."""
    valid, damaged = [], []
    for path in filter(os.path.exists, (path_of(folder, 0), path_of(folder, 1))):
        try:
            valid.append(Backup(path))
        except CorruptCheckpointError as error:
            damaged.append(f"{path} is damaged ({error.reason})")
    return valid, damaged


def write(path: str, header: dict, groups: dict[str, list], record: dict) -> None:
    """Write one generation and publish it with its record and checksum.

    Arguments:
        path: From `path_of`.
        header: Goes into `state.json`.
        groups: Arrays or tensors by kind, as in `Backup.arrays`.
        record: Without size and checksum, which are added here.

    Raises:
        OSError: The generation before stays.
    """
    temporary = temporary_names.checkpoint(path, TAG)
    try:
        text = json.dumps(header).encode()
        members = [("state.json", len(text), lambda: [text])]
        for kind, several in groups.items():
            for i, value in enumerate(several):
                members.append(npy_member(f"{kind}-{i:05d}.npy", value))
        digest = files.write_and_compare(temporary, members)
        record = {**record, "bytes": os.path.getsize(temporary), "sha256": digest}
        files.publish(temporary, path, record, TAG)
    except BaseException:
        files.clear_away(temporary)
        raise


def delete_all(folder: str) -> None:
    """Delete both generations, the older one first: what a crash leaves goes on exactly."""

    def number(path):
        return (records.read_if_possible(path) or {}).get("number", 0)

    for path in sorted((path_of(folder, 0), path_of(folder, 1)), key=number):
        for gone in (f"{path}.sha256", path, f"{path}.json"):
            files.remove(gone)
