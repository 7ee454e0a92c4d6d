"""What the files are called that a save puts beside a checkpoint until it is complete.

They begin with a dot and the tag of the callback, and lie in the folder of the checkpoint.
"""

import os


def checkpoint(path: str, tag: str, number: int = 0) -> str:
    """Where the file is written that will be renamed to `path`.

    Arguments:
        number: 0 or 1, as a save may begin while the one before is being written.
    """
    return _beside(path, f".{tag}.saving{number}.", "")


def checksum(path: str, tag: str) -> str:
    """Where the checksum of `path` waits for its name."""
    return _beside(path, f".{tag}.saving.", ".sha256")


def record(path: str, tag: str) -> str:
    """Where the record of `path` waits, perhaps longer than its checkpoint."""
    return _beside(path, f".{tag}.pending.", ".json")


def is_record_of(name: str, checkpoint_name: str) -> bool:
    """Whether a file is named as the pending record of a checkpoint, with any tag."""
    return name.startswith(".") and name.endswith(f".pending.{checkpoint_name}.json")


def recorded(path: str, tag: str) -> str | None:
    """The checkpoint whose pending record is at `path`, None if the file is named otherwise."""
    folder, name = os.path.split(path)
    beginning = f".{tag}.pending."
    if not name.startswith(beginning):
        return None
    return os.path.join(folder, name.removeprefix(beginning).removesuffix(".json"))


def is_unfinished(path: str, tag: str) -> bool:
    """Whether the file at `path` is named as a checkpoint or checksum that waits for its name."""
    return os.path.basename(path).startswith(f".{tag}.saving")


def longest_addition(tag: str) -> int:
    """By how many bytes the longest of these names is longer than that of the checkpoint."""
    return max(map(len, (checkpoint("", tag), checksum("", tag), record("", tag))))


def _beside(path, before, after):
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{before}{name}{after}")
