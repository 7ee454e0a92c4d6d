"""Where the files of one callback lie, and what they are called."""

import hashlib
import os

from . import placeholders, temporary_names

LONGEST_NAME = 255  # bytes, on every usual file system


def refuse_if_remote(path: str) -> None:
    """Raise unless `path` is one of this machine's file systems.

    Raises:
        ValueError: It is an address, such as `gs://bucket/model.keras`.
    """
    if "://" in path:
        raise ValueError(f"only local files can be made durable, not {path}")


class Place:
    """The `filepath` of a callback, taken apart.

    Attributes:
        filepath: As it was given.
        folder: The part before the first placeholder: one folder for the whole training, absolute.
        template: The rest, with "/" between folders: "model.keras", "{epoch}/model.keras".
        tag: Part of the names of temporary files; differs from that of any other template.
        in_subfolders: Whether there is a placeholder before the name.

    A relative path stays where it was, also if the program changes to another folder.

    Raises:
        ValueError: The path is remote, or the name begins with a dot, as temporary files do.
    """

    def __init__(self, filepath: str):
        refuse_if_remote(filepath)
        if os.path.basename(filepath).startswith("."):
            raise ValueError(
                f"{filepath}: names that begin with a dot are those of temporary files, which are "
                "passed over when checkpoints are looked for. Choose another name."
            )
        self.filepath = filepath
        # A link stays one: what it points to is replaced.
        path = os.path.realpath(filepath) if os.path.islink(filepath) else filepath
        folder, name = os.path.split(path)
        parts = [name]
        while "{" in folder:
            folder, part = os.path.split(folder)
            parts.insert(0, part)
        self.folder = os.path.realpath(folder or ".")
        self.template = "/".join(parts)
        self.tag = hashlib.sha256(os.fsencode(self.template)).hexdigest()[:8]
        self.in_subfolders = len(parts) > 1
        self._base = "" if os.path.isabs(filepath) else os.getcwd()

    @property
    def name(self) -> str:
        """The last part of the template."""
        return self.template.rpartition("/")[2]

    @property
    def lock_path(self) -> str:
        return os.path.join(self.folder, f".{self.tag}.lock")

    def absolute(self, path: str) -> str:
        """`path`, as `filepath` became with its placeholders filled in."""
        return os.path.join(self._base, path)

    def temporary(self, path: str, number: int) -> str:
        """Where the file is written that will be renamed to `path`."""
        return temporary_names.checkpoint(path, self.tag, number)

    def refuse_a_name_without_room(self, name: str | None = None) -> None:
        """Raise unless the names of the files beside `name` fit; None: beside any name.

        Raises:
            ValueError: The name is too long.
        """
        name = placeholders.constant_part(self.name) if name is None else name
        most = LONGEST_NAME - temporary_names.longest_addition(self.tag)
        if len(os.fsencode(name)) > most:
            raise ValueError(
                f"{self.filepath}: its name has more than {most} bytes, so there is no room for "
                "the endings of the files beside it. Choose a shorter name."
            )
