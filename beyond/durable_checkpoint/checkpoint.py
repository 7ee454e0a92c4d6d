"""The drop-in for `keras.callbacks.ModelCheckpoint`."""

import concurrent.futures
import math
import numbers
import os
import warnings
from typing import Any

import keras

from . import errors, files, keras_private, monitored, records
from .capture import Capture
from .fits import Fit
from .locks import FileLock
from .places import Place
from .saved_files import SavedFiles
from .writer import BackgroundWriter


class DurableCheckpoint(keras.callbacks.ModelCheckpoint):
    """Save a Keras model or its weights so that neither a crash nor waiting costs the training.

    A drop-in for `keras.callbacks.ModelCheckpoint`: same arguments, same files. What differs:

    - The file under the final name is always a complete one. The new one is written beside it,
      flushed, read back, compared, and renamed over it. Killed at any moment, the process leaves
      the last good file.
    - Beside `<file>` lie `<file>.sha256`, which `sha256sum -c` reads, and `<file>.json`, the
      record that `read_record` returns.
    - With `background=True` the training waits only for a copy of the state in memory. At most one
      file is being written and one copy is waiting; the next save waits for that one. `fit` does
      not return before the last one is written. If `fit` raises, so does the process not end
      before; `wait()`, `verify` and `newest_valid` wait, too.
    - A monitored value that is missing (misspelt, or no validation in this epoch), NaN or an array
      overwrites nothing and does not count as best. A warning says so once. As long as there is no
      file of this name, a missing value or an array saves one, so that not everything is lost; not
      where the first value has a threshold to beat, or the name contains the value. With
      `mode="auto"` Keras refuses a name of which it does not know whether lower is better.
    - A save that fails (disk full, no permission) leaves the old file, its checksum and its record
      as they were, is reported once, with the path and the free space, and does not count as best.
      Training goes on and the next save tries again. If no later save to the same path succeeds,
      `fit` raises the `OSError` at its end; with `background=False`, at once. An error that the
      model's own code raises while it is saved is none of the disk's: it ends `fit`, as in stock.
    - The same `filepath` is refused to a second training as long as the first one lives.

    What is saved is what Keras's own walk over the model reaches at that moment: see `walk.py`.
    Stock Keras itself writes the temporary file, before training goes on, where the walk cannot
    stand for it: for a model whose class has a `save` or `save_weights` of its own, and for whole
    models in the legacy format (`.h5`). The rest happens in the background all the same.

    Arguments:
        filepath: Name of the file, ending in `.keras`, `.h5` or, with `save_weights_only=True`,
            `.weights.h5`. May contain `{epoch}`, `{batch}` and names of metrics. Local paths only.
        monitor, verbose, save_best_only, save_weights_only, mode, save_freq: As in
            `ModelCheckpoint`.
        initial_value_threshold: As in `ModelCheckpoint`, a number that the first value has to
            beat; or `"saved"`: the best value among the valid files that an earlier training saved
            under this `filepath` with this `monitor`, so that a restarted training does not
            overwrite its best model by a worse one; the first save reads it whole. It warns of
            files of which no value is known: of stock Keras, or saved under another monitor. None:
            the first value counts as best. As in stock Keras a second `fit` with the same callback
            goes on with the best value so far; for folds, make a callback with its own `filepath`
            for each.
        background: Write in a thread while the training goes on.
        keep_last: Keep this many of the newest files. Needs a `filepath` with `{...}`.
        keep_best: Keep this many of the files with the best monitored value; of equal ones, the
            earlier. With both, what either keeps is kept; with `keep_best` alone, the newest file
            stays as well. What cannot be ranked stays: files saved under another `monitor`, and
            files without a value while there are fewer than `keep_best` with one. Only files under
            this `filepath` that have a record, and the name they were saved with, are ever deleted,
            those of earlier trainings included, and only after a new file has its name.

    Memory: with `background=True`, up to two copies of the state (weights and optimizer, for Adam
    12 bytes per parameter) beyond the training's own.

    Raises:
        ValueError: Arguments that contradict each other, two callbacks with the same `filepath` in
            one `fit`, a name with no room for the endings of the files beside it or that begins
            with a dot, or an array in a name.
        BlockingIOError: Another process, or another training of this one, uses this `filepath`.
        OSError: A file could not be saved; see above.

    Example:
        >>> best = DurableCheckpoint("best.keras", monitor="loss", save_best_only=True)
        >>> model.fit(x, y, epochs=3, verbose=0, callbacks=[best])
        <...History...>
        >>> keras.models.load_model("best.keras")
        <Sequential ...>
    """

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | str | None = None,
        *,
        background: bool = True,
        keep_last: int | None = None,
        keep_best: int | None = None,
    ):
        monitored.refuse_as_threshold(initial_value_threshold)
        self._go_on_from_saved = isinstance(initial_value_threshold, str)
        super().__init__(
            filepath,
            monitor=monitor,
            verbose=verbose,
            save_best_only=save_best_only,
            save_weights_only=save_weights_only,
            mode=mode,
            save_freq=save_freq,
            initial_value_threshold=None if self._go_on_from_saved else initial_value_threshold,
        )
        keras_private.set_best(self)
        self._place = Place(self.filepath)
        for name, number in (("keep_last", keep_last), ("keep_best", keep_best)):
            if number is None:
                continue
            if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} is a number of files, 1 or more, not {number!r}")
            if "{" not in self._place.template or self._place.in_subfolders:
                raise ValueError(
                    f"{name} needs several names in one folder, as in 'epoch-{{epoch:02d}}.keras', "
                    f"not {self.filepath}"
                )
        self.background = background
        self.keep_last = keep_last
        self.keep_best = keep_best
        self.batches_before = 0  # in an epoch that is taken up in its middle
        self._saved_files = SavedFiles(self._place)
        self._best_on_disk: float | None = self.best
        self._saves_started = 0
        self._said: set[str] = set()
        self._last_saved_at = 0.0
        self._capture = Capture(whole=not save_weights_only, background=background)
        self._writer = BackgroundWriter(
            "DurableCheckpoint",
            background=background,
            warns=background,
            next_time="the next save tries again.",
        )
        self._lock = FileLock(self._place.lock_path, self.filepath, self._writer)

    # ---- the hooks of Keras

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.batches_before = 0
        self._place.refuse_a_name_without_room()
        self._reserve()
        with self._lock.released_on_failure():
            if self._go_on_from_saved:
                self._saved_files.warn_of_unknown_values(self.monitor)
        self._said.clear()
        self._writer.unsaved.clear()
        self._capture.prepare(self.model)

    def _reserve(self):
        """Lock the files, and finish or undo what a crash left of them."""
        with errors.of_the_place(os.path.realpath(self.filepath)):
            os.makedirs(self._place.folder, exist_ok=True)
            self._lock.acquire(Fit(self))
            newest = self._saved_files.finish_what_a_crash_left()
        self._last_saved_at = max(self._last_saved_at, newest)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self.close()

    def wait(self) -> None:
        """Wait until every save begun so far is on the disk.

        Raises:
            OSError: One of them failed, and no later one to the same path succeeded.
        """
        self._collect(waiting_for_at_most=0)
        self._writer.raise_unsaved()

    def close(self) -> None:
        """`wait()`, then let others train into these files. Called at the end of training."""
        try:
            self.wait()
        finally:
            self._lock.release()
            self._writer.close()
            self._capture.free()

    def get_state(self) -> dict[str, Any]:
        """What `ExactBackupAndRestore` keeps of this callback: best value, and counters."""
        return {name: getattr(self, name) for name in self._STATE}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned; with `"saved"`, from a better file since then."""
        for name in self._STATE:
            setattr(self, name, state[name])

    _STATE = (
        "best",
        "_best_on_disk",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    )

    def all_saved(self) -> bool:
        """Wait for the saves that are under way. Whether every one to this day is on the disk."""
        saves = self.saves_under_way()
        return not self._writer.unsaved and all(save.exception() is None for save in saves)

    def saves_under_way(self) -> list[concurrent.futures.Future]:
        """For `ExactBackupAndRestore`: the saves that are not on the disk yet."""
        return self._writer.futures()

    def state_after(
        self, state: dict[str, Any], saves: list[concurrent.futures.Future]
    ) -> dict[str, Any]:
        """`state`, corrected by what became of `saves`, which were under way when it was taken.

        A backup must not hold a best value of which the file was never saved.
        """
        state = dict(state)
        failed = False
        for save in saves:
            failed = save.exception() is not None
            if not failed and self.save_best_only and save.result()["value"] is not None:
                state["_best_on_disk"] = save.result()["value"]
        if failed:
            state["best"] = state["_best_on_disk"]
        return state

    # ---- shall this be saved?

    def _save_model(self, epoch, batch, logs):
        logs = logs or {}
        if batch is not None:
            batch += self.batches_before
        self._collect(waiting_for_at_most=None)
        ranked = self.save_best_only or self.keep_best or self._go_on_from_saved
        if ranked:
            keras_private.set_direction(self)
        if self._go_on_from_saved:
            self._go_on_from_saved = False
            self.best = self._best_on_disk = self._saved_files.best(
                self.monitor, self._lower_is_better()
            )
        value = monitored.scalar(logs.get(self.monitor))
        if ranked and value is None:
            self._say_that_nothing_can_be_ranked(logs)
        try:
            path = self._place.absolute(self._get_file_path(epoch, batch, logs))
        except KeyError:
            if self.save_best_only and value is None:
                return
            raise
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(monitored.why_there_is_no_name(self.filepath, logs, error)) from error
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"Please specify a non-directory filepath for DurableCheckpoint: {path} is a folder"
            )
        if self.save_best_only and not self._is_best(value, path, epoch):
            return
        if self.verbose > 0 and not self.save_best_only:
            errors.show(f"\nEpoch {epoch + 1}: saving model to {path}")
        self._start_saving(path, epoch, batch, value)

    def _is_best(self, value, path, epoch):
        if value is None:
            self._collect(waiting_for_at_most=0)
            return self.best is None and not os.path.exists(path)
        if math.isnan(value):
            if self._not_yet_said("nan"):
                warnings.warn(f"{self.monitor} is NaN: {self.filepath} is left as it is.")
            return False
        best = "None" if self.best is None else f"{self.best:.5f}"
        if self.best is not None and not (
            value < self.best if self._lower_is_better() else value > self.best
        ):
            if self.verbose > 0:
                errors.show(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose > 0:
            errors.show(
                f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {value:.5f}, "
                f"saving model to {path}"
            )
        return True

    def _say_that_nothing_can_be_ranked(self, logs):
        if self._not_yet_said("missing"):
            warnings.warn(
                monitored.why_nothing_can_be_ranked(
                    self.monitor, logs, self.filepath, self.save_best_only, bool(self.keep_best)
                )
            )

    def _not_yet_said(self, what):
        new = what not in self._said
        self._said.add(what)
        return new

    def _lower_is_better(self):
        return keras_private.lower_is_better(self)

    # ---- the training's side of a save

    def _start_saving(self, path, epoch, batch, value):
        self._collect(waiting_for_at_most=1)
        path = os.path.realpath(path)
        folder, name = os.path.split(path)
        self._place.refuse_a_name_without_room(name)
        if not self._lock.is_held():  # a loop without `on_train_begin`; or a forked child
            self._reserve()
        self._saves_started += 1
        temporary = self._place.temporary(path, self._saves_started % 2)
        self._last_saved_at = records.time_of_save(after=self._last_saved_at)
        best = self.best if value is None else value
        record = {
            "file": name,
            "template": self._place.template,
            "epoch": epoch + 1,
            "batch": None if batch is None else batch + 1,
            "monitor": self.monitor,
            "mode": self._mode_for_record(),
            "value": value if records.is_number(value) else None,
            "best": best if self.save_best_only and records.is_number(best) else None,
            "saved_at": self._last_saved_at,
            "versions": records.versions(),
        }
        try:
            os.makedirs(folder, exist_ok=True)
            write = self._capture.hold(self.model, temporary)
        except Exception as error:
            files.clear_away(temporary)
            if not errors.is_of_the_disk(error, folder):
                raise
            self._writer.fail(path, error)
        else:
            self._writer.submit(path, lambda: self._write(write, temporary, path, record))
        if self.save_best_only:
            self.best = best
        if not self.background:
            self.wait()

    def _mode_for_record(self):
        if self.monitor_op is None:
            return self.mode
        return "min" if self._lower_is_better() else "max"

    def _collect(self, waiting_for_at_most):
        """Take note of the saves that have ended; wait while more than that many have not."""
        failed = False
        for ended in self._writer.collect(waiting_for_at_most):
            if isinstance(ended, OSError):
                failed = True
            elif self.save_best_only and ended["value"] is not None:
                self._best_on_disk = ended["value"]
        # The value of a save that failed is no longer the one to beat.
        if failed and self._writer.is_idle():
            self.best = self._best_on_disk

    # ---- the writer's side of a save

    def _write(self, write, temporary, path, record):
        try:
            digest = write()
            record = {**record, "bytes": os.path.getsize(temporary), "sha256": digest}
            files.publish(temporary, path, record, self._place.tag)
        except BaseException:
            files.clear_away(temporary)
            raise
        self._prune(path)
        if self.verbose > 0:
            errors.show(f"\nEpoch {record['epoch']}: finished saving model to {path}")
        return record

    def _prune(self, just_saved):
        if self.keep_last is None and self.keep_best is None:
            return
        try:
            others = self._saved_files.prune(
                just_saved, self.keep_last, self.keep_best, self.monitor, self._lower_is_better()
            )
        except OSError as error:
            if self._not_yet_said("prune"):
                warnings.warn(f"DurableCheckpoint could not delete what is not to be kept: {error}")
        else:
            if others and self._not_yet_said("others"):
                warnings.warn(
                    errors.one_line(
                        f"{self.filepath}: {len(others)} files were saved under another monitor "
                        f"than {self.monitor}, so keep_best cannot rank them. They stay: "
                        f"{others[0]}{' ...' if len(others) > 1 else ''}"
                    )
                )
