"""Is a file what was saved?"""

import errno
import json
import os
import pathlib
import re
import stat
from collections.abc import Callable

from . import placeholders, records
from .errors import CorruptCheckpointError
from .structure import examine_structure
from .writer import wait_for_own_writes

ENDINGS = (".keras", ".h5")
IN_PARTS = ".weights.json"
ATTEMPTS = 100  # to find a file while others come and go


def verify(path: str | os.PathLike) -> str:
    """Raise unless the checkpoint at `path` is complete and undamaged.

    The SHA-256 of the file is compared with the one that was noted when it was saved, in
    `<path>.sha256` or in the record `<path>.json`. Without either, as for a file that stock Keras
    saved, only its structure can be examined: that the archive's own CRC-32 sums hold (`.keras`),
    and that HDF5 can read every array, from this file alone. A changed byte inside an array of a
    `.weights.h5` goes unnoticed then. The file is only read, a few megabytes at a time.

    Arguments:
        path: A `.keras`, `.weights.h5` or `.h5` file.

    Returns:
        `"checksum"` if the SHA-256 was compared, `"structure"` if there was none.

    Raises:
        CorruptCheckpointError: It is empty, cut short or changed; or its structure would have to
            be examined, and it declares much more than it holds. `reason` says what is wrong.
        OSError: It cannot be read; `FileNotFoundError` if it does not exist, `IsADirectoryError`
            if it is a folder. It says nothing about the file's content.
        ValueError: A `.weights.json`: files in several parts (`max_shard_size`) are not supported.

    Example:
        >>> model.fit(x, y, verbose=0, callbacks=[DurableCheckpoint("newest.keras")])
        <...History...>
        >>> verify("newest.keras")
        'checksum'
    """
    wait_for_own_writes()
    path = os.path.realpath(path)
    if path.endswith(IN_PARTS):
        raise ValueError(f"{path}: files in several parts (max_shard_size) are not supported")
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", path)
    if status.st_size == 0:
        raise CorruptCheckpointError(path, "the file is empty")
    while expected := records.noted_checksums(path):
        digest = records.sha256(path)
        if digest in expected.values():
            return "checksum"
        # If they have changed meanwhile, another process has just replaced the file.
        if expected == records.noted_checksums(path):
            noted = "; ".join(f"{name} says {value}" for name, value in expected.items())
            raise CorruptCheckpointError(path, f"its SHA-256 is {digest}, but {noted}")
    if os.path.exists(f"{path}.sha256"):
        raise CorruptCheckpointError(path, f"{path}.sha256 holds no checksum of it")
    examine_structure(path)
    return "structure"


def newest_valid(folder: str | os.PathLike, pattern: str = "*") -> pathlib.Path:
    """Return the newest checkpoint in `folder` that `verify` accepts.

    Newest by the time in the record beside the file, or by the file's own time if it has none. The
    times in records rise with every save, also if the clock was set back; those of other files
    follow the clock. Other processes may save and delete files there meanwhile.

    Arguments:
        folder: The folder to look into, not its subfolders.
        pattern: Which files: a shell pattern, or the name that was given to the callback, in which
            each `{...}` stands for anything.

    Raises:
        FileNotFoundError: No file in `folder` has such a name: nothing was ever saved.
        CorruptCheckpointError: There are some, and every one is damaged. `reason` lists them.
        OSError: One that may be the newest valid one cannot be read.

    Example:
        >>> name = "epoch-{epoch:02d}.keras"
        >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[DurableCheckpoint(name)])
        <...History...>
        >>> newest_valid(".", name).name
        'epoch-03.keras'
    """
    wait_for_own_writes()
    folder = pathlib.Path(folder)
    for _ in range(ATTEMPTS):
        damaged = []
        vanished = False
        for path in _newest_first(folder, pattern):
            try:
                verify(path)
                return path
            except CorruptCheckpointError as error:
                damaged.append(f"{path.name}: {error.reason}")
            except FileNotFoundError:
                vanished = True
        if not vanished:
            break
    if damaged:
        raise CorruptCheckpointError(folder, "no valid checkpoint: " + "; ".join(damaged))
    raise FileNotFoundError(f"{folder}: no checkpoint here matches {pattern}")


def _newest_first(folder, pattern):
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    is_part = _parts(folder, names)
    found = []
    for name in names:
        path = folder / name
        if (
            name.endswith(ENDINGS)
            and not name.startswith(".")
            and placeholders.matches(name, pattern)
            and not is_part(name)
            and path.is_file()  # not for a folder, nor a link that leads nowhere
        ):
            try:
                found.append((records.time_of(path), path.stat().st_mtime_ns, path))
            except FileNotFoundError:
                continue
    return [path for *_, path in sorted(found, reverse=True)]


def _parts(folder: pathlib.Path, names: list[str]) -> Callable[[str], bool]:
    """Whether a name is that of a part of a checkpoint in several parts."""
    named: set[str] = set()
    wholes = [name.removesuffix(IN_PARTS) for name in names if name.endswith(IN_PARTS)]
    for whole in wholes:
        try:
            content = json.loads((folder / f"{whole}{IN_PARTS}").read_bytes())
            for part in content["weight_map"].values():
                named.update([part] if isinstance(part, str) else part)
        except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
            continue  # then by their names alone
    return lambda name: (
        name in named
        or any(re.fullmatch(re.escape(whole) + r"_\d{5,}\.weights\.h5", name) for whole in wholes)
    )
