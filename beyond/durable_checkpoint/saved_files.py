"""The files that one callback has saved: which are best, which are kept, what a crash left."""

import contextlib
import math
import os
import pathlib
from collections.abc import Iterable

from . import files, records
from .errors import CorruptCheckpointError
from .validity import verify


class SavedFiles:
    """Files under one `filepath` that have a record.

    Arguments:
        folder: Where they lie.
        template: Name of the files, with its placeholders; it stands in their records.
        tag: Part of the names of temporary files.
        in_subfolders: Whether the path has a placeholder before its name.
    """

    def __init__(self, folder: str, template: str, tag: str, in_subfolders: bool):
        self.folder = folder
        self.template = template
        self.tag = tag
        self.in_subfolders = in_subfolders

    def _names(self) -> Iterable[tuple[str, str]]:
        """(folder, name) of every file that may be one of these."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                yield folder, name
            if not self.in_subfolders:
                break

    def records(self) -> list[tuple[str, dict]]:
        """(path, record) of the files that are there."""
        found = []
        for folder, name in self._names():
            path = os.path.join(folder, name.removesuffix(".json"))
            if name.startswith(".") or not name.endswith(".json") or not os.path.exists(path):
                continue
            record = records.read_json(f"{path}.json")
            if record and record.get("template") == self.template:
                found.append((path, record))
        return found

    def best(self, monitor: str, lower_is_better: bool) -> float | None:
        """The best value of `monitor` among the valid files, None if there is none."""
        ranked = sorted(
            (
                (record["value"], path)
                for path, record in self.records()
                if record.get("monitor") == monitor and is_rankable(record.get("value"))
            ),
            reverse=not lower_is_better,
        )
        for value, path in ranked:
            with contextlib.suppress(CorruptCheckpointError, OSError):
                verify(path)
                return value
        return None

    def prune(
        self,
        just_saved: str,
        keep_last: int | None,
        keep_best: int | None,
        monitor: str,
        lower_is_better: bool,
    ) -> None:
        """Delete what neither `keep_last` nor `keep_best` keeps. The newest file always stays."""
        found = sorted(self.records(), key=lambda item: item[1].get("saved_at") or 0)
        kept = {just_saved}
        if keep_last is not None:
            kept.update(path for path, _ in found[-keep_last:])
        if keep_best is not None:
            sign = 1 if lower_is_better else -1
            ranked = sorted(
                (sign * record["value"], path)
                for path, record in found
                if record.get("monitor") == monitor and is_rankable(record.get("value"))
            )
            kept.update(path for _, path in ranked[:keep_best])
        for path, _ in found:
            if path not in kept:
                for gone in (f"{path}.sha256", path, f"{path}.json"):
                    files.remove(gone)
        if len(kept) < len(found):
            files.sync_folder(self.folder)

    def finish_what_a_crash_left(self) -> float:
        """Complete or undo a save in which an earlier process died. The lock is held.

        Returns:
            When the newest of the files was saved, in seconds since 1970; 0 if there is none.
        """
        for folder, name in list(self._names()):
            if files.finish_or_remove(folder, name, self.tag):
                continue
            if name.endswith(".json") and not name.startswith("."):
                record = records.read_json(os.path.join(folder, name)) or {}
                path = os.path.join(folder, name).removesuffix(".json")
                if record.get("template") == self.template and not os.path.exists(path):
                    files.remove(os.path.join(folder, name))
        for path, record in self.records():
            checksum = pathlib.Path(f"{path}.sha256")
            line = files.checksum_line(path, record) if "sha256" in record else None
            if line and not (checksum.exists() and checksum.read_bytes() == line):
                files.replace_durably(checksum, line, self.tag)
        return max([0, *(record.get("saved_at") or 0 for _, record in self.records())])


def is_rankable(value) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
