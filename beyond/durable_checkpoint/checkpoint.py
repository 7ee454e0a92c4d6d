"""The drop-in for `keras.callbacks.ModelCheckpoint`."""

import concurrent.futures
import contextlib
import hashlib
import math
import os
import re
import threading
import time
import warnings

import keras
import numpy as np

from . import errors, files, hdf5, keras_private, locks, records, snapshot, template, walk
from .errors import CorruptCheckpointError
from .saved_files import SavedFiles, is_rankable
from .validity import examine_structure
from .writer import BackgroundWriter

LONGEST_NAME = 255  # bytes, on every usual file system


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
    - A monitored value that is missing or NaN overwrites nothing and does not count as best. If it
      is missing (misspelt, or no validation in this epoch) and there is no file yet, one is saved,
      so that not everything is lost, and a warning lists the names that there are.
    - A save that fails (disk full, no permission) leaves the old file, its checksum and its record
      as they were, is reported once, with the path and the free space, and does not count as best.
      Training goes on and the next save tries again. If no later save to the same path succeeds,
      `fit` raises the `OSError` at its end; with `background=False`, at once. An error that the
      model's own code raises while it is saved is none of the disk's: it ends `fit`, as in stock.
    - The same files are refused to a second training as long as the first one lives.

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
            overwrite its best model by a worse one. None: the first value counts as best. As in
            stock Keras a second `fit` with the same callback goes on with the best value so far;
            for folds, make a callback with its own `filepath` for each.
        background: Write in a thread while the training goes on.
        keep_last: Keep this many of the newest files. Needs a `filepath` with `{...}`.
        keep_best: Keep this many of the files with the best monitored value. With both, what
            either keeps is kept; with `keep_best` alone, the newest file stays as well. Only
            files under this `filepath` that have a record are ever deleted, those of earlier
            trainings included, and only after a new file was verified.

    Memory: with `background=True`, up to two copies of the state (weights and optimizer, for Adam
    12 bytes per parameter) beyond the training's own.

    Raises:
        ValueError: Arguments that contradict each other, two callbacks with the same `filepath` in
            one `fit`, or a name with no room for the endings of the files beside it.
        BlockingIOError: Another process is training into the same files.
        OSError: A file could not be saved; see above.
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
        if isinstance(initial_value_threshold, str) and initial_value_threshold != "saved":
            raise ValueError(
                "initial_value_threshold is a number, None or 'saved', "
                f"not {initial_value_threshold!r}"
            )
        self._go_on_from_saved = initial_value_threshold == "saved"
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
        if "://" in self.filepath:
            raise ValueError(f"only local files can be made durable, not {self.filepath}")
        # A link stays one: what it points to is replaced.
        is_link = os.path.islink(self.filepath)
        folder, self._template = os.path.split(
            os.path.realpath(self.filepath) if is_link else self.filepath
        )
        for name, number in (("keep_last", keep_last), ("keep_best", keep_best)):
            if number is None:
                continue
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} is a number of files, 1 or more, not {number!r}")
            if "{" not in self._template or "{" in folder:
                raise ValueError(
                    f"{name} needs several names in one folder, as in 'epoch-{{epoch:02d}}.keras', "
                    f"not {self.filepath}"
                )
        self.background = background
        self.keep_last = keep_last
        self.keep_best = keep_best
        # The part of the path before the first placeholder is one folder for the whole training.
        while "{" in folder:
            folder = os.path.dirname(folder)
        self._folder = os.path.realpath(folder or ".")
        self._tag = hashlib.sha256(os.fsencode(self._template)).hexdigest()[:8]
        # A relative path stays in this folder, also if the program changes to another one.
        self._base = os.getcwd()
        self._saved_files = SavedFiles(
            self._folder, self._template, self._tag, "{" in os.path.dirname(self.filepath)
        )
        self._best_on_disk = self.best
        self._batches_before = 0  # in an epoch that is taken up in its middle
        self._saves_started = 0
        self._said = set()
        self._layout = None
        self._spare_buffers = []
        self._memory = None
        self._last_saved_at = 0.0
        self._writer = BackgroundWriter(
            "DurableCheckpoint",
            background=background,
            warns=background,
            next_time="the next save tries again.",
        )

    # ---- the hooks of Keras

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._refuse_a_name_without_room(re.sub(r"\{[^{}]*\}", "", self._template))
        try:
            os.makedirs(self._folder, exist_ok=True)
            locks.lock(self)
            newest = self._saved_files.finish_what_a_crash_left()
        except BlockingIOError:
            raise
        except OSError as error:
            raise errors.explained(error, os.path.realpath(self.filepath)) from None
        self._last_saved_at = max(self._last_saved_at, newest)
        self._said.clear()
        self._writer.unsaved.clear()
        self._prepare_memory()

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
            locks.unlock(self)
            self._writer.close()
            self._take_prepared_memory()
            self._spare_buffers.clear()

    def get_state(self) -> dict:
        """What `ExactBackupAndRestore` keeps of this callback: best value, and counters."""
        return {name: getattr(self, name) for name in self._STATE}

    def set_state(self, state: dict) -> None:
        """Go on from what `get_state` returned."""
        for name in self._STATE:
            setattr(self, name, state[name])

    _STATE = (
        "best",
        "_best_on_disk",
        "_go_on_from_saved",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    )

    def saves_under_way(self) -> list[concurrent.futures.Future]:
        """For `ExactBackupAndRestore`: the saves that are not on the disk yet."""
        return self._writer.futures()

    def state_after(self, state: dict, saves: list[concurrent.futures.Future]) -> dict:
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
            batch += self._batches_before
        self._collect(waiting_for_at_most=None)
        ranked = self.save_best_only or self.keep_best or self._go_on_from_saved
        if ranked and self.monitor_op is None:
            self._set_monitor_op()
        if self._go_on_from_saved:
            self._go_on_from_saved = False
            self.best = self._best_on_disk = self._saved_files.best(
                self.monitor, self._lower_is_better()
            )
        value = _scalar(logs.get(self.monitor))
        try:
            path = self._get_file_path(epoch, batch, logs)
        except KeyError:
            if self.save_best_only and value is None:
                self._warn_of_missing_metric(logs)
                return
            raise
        path = os.path.join(self._base, path)
        if os.path.isdir(path):
            raise IsADirectoryError(
                f"Please specify a non-directory filepath for DurableCheckpoint: {path} is a folder"
            )
        if self.save_best_only and not self._is_best(value, path, epoch, logs):
            return
        if self.verbose > 0 and not self.save_best_only:
            _print(f"\nEpoch {epoch + 1}: saving model to {path}")
        self._start_saving(path, epoch, batch, value)

    def _is_best(self, value, path, epoch, logs):
        if value is None:
            self._warn_of_missing_metric(logs)
            return self.best is None and self._writer.is_idle() and not os.path.exists(path)
        if math.isnan(value):
            if self._not_yet_said("nan"):
                warnings.warn(f"{self.monitor} is NaN: {self.filepath} is left as it is.")
            return False
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(value, self.best):
            if self.verbose > 0:
                _print(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose > 0:
            _print(
                f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {value:.5f}, "
                f"saving model to {path}"
            )
        self.best = value
        return True

    def _warn_of_missing_metric(self, logs):
        if self._not_yet_said("missing"):
            warnings.warn(
                f"Can save best model only with {self.monitor} available. There are "
                f"{', '.join(sorted(logs)) or 'none'}. {self.filepath} is not overwritten."
            )

    def _not_yet_said(self, what):
        new = what not in self._said
        self._said.add(what)
        return new

    def _lower_is_better(self):
        return self.monitor_op is keras.ops.less

    # ---- the training's side of a save

    def _start_saving(self, path, epoch, batch, value):
        self._collect(waiting_for_at_most=1)
        path = os.path.realpath(path)
        folder, name = os.path.split(path)
        self._refuse_a_name_without_room(name)
        self._saves_started += 1
        temporary = os.path.join(folder, f".{self._tag}.saving{self._saves_started % 2}.{name}")
        # Times of successive files increase even if the clock is set back.
        self._last_saved_at = max(time.time(), self._last_saved_at + 1e-3)
        record = {
            "file": name,
            "template": self._template,
            "epoch": epoch + 1,
            "batch": None if batch is None else batch + 1,
            "monitor": self.monitor,
            "mode": self._mode_for_record(),
            "value": value if is_rankable(value) else None,
            "best": self.best if self.save_best_only and is_rankable(self.best) else None,
            "saved_at": self._last_saved_at,
            "versions": records.versions(),
        }
        try:
            os.makedirs(folder, exist_ok=True)
            write = self._hold_state(temporary)
        except Exception as error:
            files.clear_away(temporary)
            if not errors.is_of_the_disk(error, folder):
                raise
            self._writer.fail(path, error)
        else:
            self._writer.submit(path, lambda: self._write(write, temporary, path, record))
        if not self.background:
            self.wait()

    def _refuse_a_name_without_room(self, name):
        most = LONGEST_NAME - len(f".{self._tag}.saving..sha256")
        if len(os.fsencode(name)) > most:
            raise ValueError(
                f"{self.filepath}: its name has more than {most} bytes, so there is no room for "
                "the endings of the files beside it. Choose a shorter name."
            )

    def _mode_for_record(self):
        if self.monitor_op is None:
            return self.mode
        return "min" if self._lower_is_better() else "max"

    def _hold_state(self, temporary):
        """Hold the state of this moment. Returns what writes it to `temporary`, and its SHA-256."""
        model = self.model
        whole = not self.save_weights_only
        own_method = "save" if whole else "save_weights"
        if (
            getattr(type(model), own_method) is not getattr(keras.Model, own_method)
            or own_method in vars(model)
            or not temporary.endswith(".keras" if whole else ".weights.h5")
        ):
            return _saved_by_stock(getattr(model, own_method), temporary)
        try:
            recording = walk.record(model, with_assets=whole)
        except Exception:  # noqa: BLE001, a layer may ask more of Keras's store than ours can do
            return _saved_by_stock(getattr(model, own_method), temporary)
        texts = keras_private.serialize_model_as_json(model) if whole else None
        variables = recording.variables()
        self._take_prepared_memory()
        buffers = self._spare_buffers.pop() if self._spare_buffers else None
        copies, reusable = snapshot.take(variables, buffers)
        taken = iter(copies)
        values = [next(taken) if isinstance(v, keras.Variable) else v for v in recording.values]

        def write():
            try:
                contents = self._contents(recording, values)
                return files.write_and_compare(temporary, _members(contents, texts, recording))
            finally:
                if reusable is not None:
                    self._spare_buffers.append(reusable)

        return write

    def _prepare_memory(self):
        """Let a thread make the memory for the first copy, which would take longer than copying."""
        if keras.backend.backend() != "jax" or not self.background or self._spare_buffers:
            return
        with contextlib.suppress(Exception):  # what fails here will fail, and be said, at the save
            variables = walk.record(self.model, with_assets=False).variables()
            if snapshot.held_on_the_host(variables):
                described = [(tuple(v.shape), v.value.dtype) for v in variables]
                self._memory = threading.Thread(
                    target=lambda: self._spare_buffers.append(snapshot.memory_for(described))
                )
                self._memory.start()

    def _take_prepared_memory(self):
        if self._memory is not None:
            self._memory.join()
            self._memory = None

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

    def _contents(self, recording, values):
        """Size of the HDF5 file, and a function that returns its bytes piece by piece."""
        key = template.key_of(recording, values)
        if self._layout is None or self._layout.key != key:
            self._layout = template.make(recording, key)
        layout = self._layout
        return layout.size, lambda: layout.contents(values)

    def _write(self, write, temporary, path, record):
        try:
            digest = write()
            record = {**record, "bytes": os.path.getsize(temporary), "sha256": digest}
            files.publish(temporary, path, record, self._tag)
        except BaseException:
            files.clear_away(temporary)
            raise
        self._prune(path)
        if self.verbose > 0:
            _print(f"\nEpoch {record['epoch']}: finished saving model to {path}")
        return record

    def _prune(self, just_saved):
        if self.keep_last is None and self.keep_best is None:
            return
        try:
            self._saved_files.prune(
                just_saved, self.keep_last, self.keep_best, self.monitor, self._lower_is_better()
            )
        except OSError as error:
            if self._not_yet_said("prune"):
                warnings.warn(f"DurableCheckpoint could not delete what is not to be kept: {error}")


def _members(contents, texts, recording):
    """What a file of a model consists of, for `files.write_and_compare`.

    Arguments:
        texts: `config.json` and `metadata.json` for a `.keras` archive, None for `.weights.h5`.
    """
    size, pieces = contents
    if texts is None:
        return [(None, size, pieces)]
    config, metadata = (text.encode() for text in texts)
    archive = [("metadata.json", metadata), ("config.json", config)]
    assets = [(f"assets/{path}", content) for path, content in recording.assets.items()]
    return [
        *(_member(*member) for member in archive),
        (hdf5.WEIGHTS_IN_ARCHIVE, size, pieces),
        *(_member(*member) for member in assets),
    ]


def _member(name, content):
    return name, len(content), lambda: [content]


def _saved_by_stock(save, temporary):
    save(temporary, overwrite=True)  # what it raises is what stock Keras raises
    return lambda: _flush_and_examine(temporary)


def _flush_and_examine(temporary):
    files.flush(temporary)
    try:
        examine_structure(temporary)
    except CorruptCheckpointError as error:
        raise OSError(f"the disk did not return what was written: {error.reason}") from error
    return records.sha256(temporary)


def _scalar(value):
    """`value` as a float, None if it is missing or not a single number."""
    try:
        return None if value is None or np.ndim(value) > 0 else float(value)
    except (TypeError, ValueError):
        return None


def _print(text):
    print(text.encode(errors="backslashreplace").decode())
