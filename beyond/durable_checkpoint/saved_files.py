"""The files that one callback has saved: which are best, which are kept, what a crash left."""

import contextlib
import os
import warnings
from collections.abc import Iterable

from . import errors, files, placeholders, records
from .places import Place
from .records import Record
from .validity import ENDINGS


class SavedFiles:
    """Files under one `filepath` that have a record.

    Arguments:
        place: Where they lie. Its template stands in their records.
    """

    def __init__(self, place: Place):
        self.place = place

    def _folders(self) -> list[str]:
        """The folders that the template may lead to."""
        folders = [self.place.folder]
        for part in self.place.template.split("/")[:-1]:
            name = placeholders.pattern(part)
            below = []
            for folder in folders:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    below += [e.path for e in os.scandir(folder) if name.fullmatch(e.name)]
            folders = [folder for folder in below if os.path.isdir(folder)]
        return folders

    def _names(self) -> Iterable[tuple[str, str]]:
        """(folder, name) of every file that may be one of these."""
        for folder in self._folders():
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(folder):
                    yield folder, name

    def records(self) -> list[tuple[str, Record]]:
        """(path, record) of the files that are there. A damaged record is none."""
        found = []
        for folder, name in self._names():
            path = os.path.join(folder, name.removesuffix(".json"))
            if name.startswith(".") or not name.endswith(".json") or not os.path.exists(path):
                continue
            record = records.read_if_possible(path)
            if not record or record.get("template") != self.place.template:
                continue
            if record.get("file") == os.path.basename(path):  # else it is a copy of the user's
                found.append((path, record))
        return found

    def best(self, monitor: str, lower_is_better: bool) -> float | None:
        """The best value of `monitor` among the valid files, None if there is none."""
        for path, record in _ranked(self.records(), monitor, lower_is_better):
            with contextlib.suppress(OSError):
                if records.applies(record, path):
                    return record["value"]
        return None

    def warn_of_unknown_values(self, monitor: str) -> None:
        """Say of which files no value of `monitor` is known: nothing keeps them, as `best` does."""
        known = {path for path, _ in _ranked(self.records(), monitor, lower_is_better=True)}
        name = placeholders.pattern(self.place.name)
        unknown = [
            path
            for folder, found in self._names()
            if name.fullmatch(found) and found.endswith(ENDINGS) and not found.startswith(".")
            if (path := os.path.join(folder, found)) not in known
        ]
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            said = (
                f"{min(unknown)}{more}: not saved by DurableCheckpoint with monitor={monitor!r}, "
                "or without its record, so its value is not known and a worse model may overwrite "
                "it. Move it, or give its value as initial_value_threshold"
            )
            warnings.warn(errors.one_line(said))

    def prune(
        self,
        just_saved: str,
        keep_last: int | None,
        keep_best: int | None,
        monitor: str,
        lower_is_better: bool,
    ) -> list[str]:
        """Delete what neither `keep_last` nor `keep_best` keeps. The newest file always stays.

        Nothing is deleted for its rank that has none: a file saved under another monitor stays, and
        one without a value stays until there are `keep_best` files with one. Of equal values the
        earlier one is better, as for `save_best_only`.

        Returns:
            The files saved under another monitor that stay because of that.

        Raises:
            OSError: A file could not be deleted.
        """
        found = sorted(self.records(), key=lambda item: item[1]["saved_at"])
        kept = {just_saved}
        others = []
        if keep_last is not None:
            kept.update(path for path, _ in found[-keep_last:])
        if keep_best is not None:
            ranked = _ranked(found, monitor, lower_is_better)
            kept.update(path for path, _ in ranked[:keep_best])
            others = [p for p, record in found if record.get("monitor") != monitor]
            others = [path for path in others if path not in kept]
            kept.update(others)
            if len(ranked) < keep_best:
                kept.update(path for path, record in found if record.get("value") is None)
        gone = [path for path, _ in found if path not in kept]
        files.delete(gone, self.place.folder)
        return others

    def finish_what_a_crash_left(self) -> float:
        """Complete or undo a save in which an earlier process died. The lock is held.

        Returns:
            When the newest file in these folders was saved, whoever did it, in seconds since 1970;
            0 if there is none.
        """
        times = [0.0]
        for folder, name in list(self._names()):
            path = os.path.join(folder, name)
            if files.finish_or_remove(path, self.place.tag) or name.startswith("."):
                continue
            if name.endswith(ENDINGS):
                with contextlib.suppress(OSError):
                    times.append(records.time_of(path))
            if name.endswith(".json"):
                of = path.removesuffix(".json")
                record = records.read_if_possible(of) or {}
                if record.get("template") == self.place.template and not os.path.exists(of):
                    files.remove(f"{of}.sha256")
                    files.remove(path)
        for path, record in self.records():
            if not _is_noted(path, record) and records.applies(record, path):
                files.note_checksum(path, record, self.place.tag)
        return max(filter(records.is_time, times))


def _ranked(
    found: list[tuple[str, Record]], monitor: str, lower_is_better: bool
) -> list[tuple[str, Record]]:
    """Those with a value of `monitor`, the best first, of equal ones the earlier first."""
    sign = 1 if lower_is_better else -1
    return sorted(
        (
            (path, record)
            for path, record in found
            if record.get("monitor") == monitor and record.get("value") is not None
        ),
        key=lambda item: (sign * item[1]["value"], item[1]["saved_at"]),
    )


def _is_noted(path, record):
    try:
        with open(f"{path}.sha256", "rb") as checksum:
            return checksum.read() == records.checksum_line(path, record)
    except FileNotFoundError:
        return False
