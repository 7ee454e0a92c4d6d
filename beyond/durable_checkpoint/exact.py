"""The drop-in for `keras.callbacks.BackupAndRestore`: going on bit for bit."""

import contextlib
import os
import signal
import time
import warnings
from collections.abc import Iterable

import keras

from . import (
    backup_file,
    chosen_backup,
    content,
    errors,
    files,
    fits,
    records,
    same_training,
    tracked,
    what_is_kept,
)
from .batches import ShuffledBatches
from .checkpoint import DurableCheckpoint
from .locks import FileLock
from .places import refuse_if_remote
from .signals import Asked, say
from .writer import BackgroundWriter


class ExactBackupAndRestore(keras.callbacks.BackupAndRestore):
    """Back a training up so that, interrupted anywhere and run again, it ends in the same bits.

    A drop-in for `keras.callbacks.BackupAndRestore`. Run the same program again after a crash, and
    `fit` goes on where the newest backup was made. What differs:

    - Restored are all variables that can be reached from the model through attributes, lists and
      dictionaries: weights, optimizers, attached layers, metrics, seeds of dropout and
      augmentation, states of recurrent layers, gradient accumulators; what layers save with methods
      of their own, vocabularies included; generators of random numbers in attributes; the random
      numbers of Python, NumPy and Keras; `History`; whether `SwapEMAWeights` has the averages in
      the model; and the state of what is in `track`. The stock callback restores what
      `save_weights` saves, and the epoch.
    - Not restored are values that are nowhere in a variable: plain attributes of layers (numbers,
      lists, arrays) that their `save_own_variables` does not save; local variables of functions;
      callbacks that are not in `track`; numbers of Python or NumPy that `call` of a layer draws,
      since the compiled step repeats them. On JAX, what Keras does not hand to the step (a variable
      of a schedule, say) is a constant there: a change of it shows only in a resumed training.
      State that is seen and cannot be kept (a changing table of TensorFlow, a set of layers, an
      `AugMix` that does not run eagerly) is refused.
    - With `ShuffledBatches` in `track`, a backup in mid-epoch is taken up at the next batch. With
      data of which the position is unknown (arrays, generators, `tf.data`, a `ShuffledBatches` not
      in `track`) backups are made between epochs only, which a warning says if `save_freq` asks for
      others: a batch is never trained twice. In which order such data comes again is up to it; a
      generator, which Keras reads ahead, goes on with other rows. The stock callback begins the
      epoch anew, with the weights of its middle.
    - Files are replaced as `DurableCheckpoint` does it, in the background, and two generations are
      kept: if the newer one is damaged, training goes on from the older, and one line says so.
    - A backup of another network, optimizer, backend or order of the data is refused.
    - SIGTERM and SIGINT (Ctrl-C) let the batch end, make a backup if its position is known, and end
      the process with status 143 (128 + 15) or 130 (128 + 2); the same command goes on. During
      validation they wait for its end. A second one ends the process at once.
    - No epoch is left behind on the model: a later `fit` begins where it is told to.

    The state is taken, and put back, between two calls of Keras: before an epoch begins or before a
    batch begins, when the callbacks have dealt with the one before. So callbacks in `track` may
    stand before or after this one. Only in an epoch that is taken up in its middle Keras counts the
    batches from 0 again (a `DurableCheckpoint` in `track` is told the true number), and callbacks
    before this one see the beginning of a batch more than there is. The same bits need the same
    machine, versions and number of threads, and operations that are deterministic: with TensorFlow
    on a GPU, call `tf.config.experimental.enable_op_determinism()`.

    Arguments:
        backup_dir: A folder for this call of `fit` alone.
        save_freq: `"epoch"`, or a number of batches between two backups.
        double_checkpoint: Accepted as in the original; two generations are kept in any case.
        delete_checkpoint: Delete the backup at the end, once all that checkpoints in `track` saved
            is on the disk. With False it stays, and the same program trains nothing again.
        track: Objects whose state belongs to the training: callbacks (`EarlyStopping` with its best
            weights, `ReduceLROnPlateau`, checkpoints), `ShuffledBatches`,
            `keras.random.SeedGenerator`, layers outside of the model, `numpy.random.Generator`,
            and anything with `get_state()` and `set_state(state)`. Of a callback without these, all
            attributes are kept that are numbers, texts, arrays, or lists and dictionaries of them.
            One that bears the name of an argument of its constructor is a setting, and kept only if
            it changes while `fit` runs. A warning names those of other types. The learning rate
            comes from the backup.
        background: Write in a thread meanwhile, with up to two copies of the state in memory.
        signals: Those that end training with a backup; `()` for none. Only while `fit` runs, and
            only in the main thread.

    Raises:
        ValueError: The backup is of a different training, or of a later epoch than `fit` is to end
            with (what differs is named; nothing is changed on the disk, and no number in the
            model); the model is not built; `ShuffledBatches` in `track` is not what `fit` trains
            on; the model has state that cannot be kept; two callbacks use one `backup_dir`.
        TypeError: What is in `track`, or reported to the history, cannot be kept.
        CorruptCheckpointError: There are backups, and all are damaged.
        BlockingIOError: Another training, of any process, uses the same `backup_dir`.
        OSError: `backup_dir` cannot be used, or had no room for the backup that a signal asked for.
            A backup that fails otherwise is a warning, and the older one stays.
        SystemExit: After a signal.

    Example:
        >>> def train(epochs):
        ...     batches = ShuffledBatches(x, y, batch_size=4)
        ...     backup = ExactBackupAndRestore("backup", track=[batches], delete_checkpoint=False)
        ...     keywords = {"shuffle": False, "verbose": 0, "callbacks": [backup]}
        ...     return model.fit(batches, epochs=epochs, **keywords).epoch
        >>> train(epochs=2)
        [0, 1]
        >>> train(epochs=3)
        [0, 1, 2]
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = True,
        delete_checkpoint: bool = True,
        *,
        track: Iterable = (),
        background: bool = True,
        signals: Iterable[int] = (signal.SIGTERM, signal.SIGINT),
    ):
        if isinstance(save_freq, bool) or (isinstance(save_freq, int) and save_freq < 1):
            raise ValueError(
                "Invalid value for argument `save_freq`: 'epoch' or a number of batches, 1 or "
                f"more, not {save_freq!r}"
            )
        super().__init__(backup_dir, save_freq, double_checkpoint, delete_checkpoint)
        self.track = list(track)
        data = [thing for thing in self.track if isinstance(thing, ShuffledBatches)]
        if len(data) > 1:
            raise ValueError("one training has one ShuffledBatches in track")
        self._data = data[0] if data else None
        self.background = background
        self.signals = tuple(signals)
        self.filepath = os.fspath(backup_dir)
        refuse_if_remote(self.filepath)
        self._folder = os.path.realpath(backup_dir)
        self._spare_buffers: list[list] = []
        self._failed: OSError | None = None
        self._found: backup_file.Backup | None = None
        # Epoch and batch, from 0: where the training is, and of the newest backup.
        self._position = (0, 0)
        self._backed_up: tuple[int, int] | None = None
        self._shortened: warnings.catch_warnings | None = None
        self._swaps: list[keras.callbacks.SwapEMAWeights] = []
        self._writer = BackgroundWriter(
            "ExactBackupAndRestore",
            background=background,
            warns=True,
            next_time="the next backup tries again.",
        )
        self._lock = FileLock(
            os.path.join(self._folder, f".{backup_file.TAG}.lock"), self.filepath, self._writer
        )
        self._asked = Asked(
            self.signals,
            lambda frame: fits.is_running_in(frame, self._model),
            self._what_follows_a_signal,
        )

    # ---- the hooks of Keras

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                "To use ExactBackupAndRestore, the model must be built before `fit`: begin it with "
                f"keras.Input, or call it on a batch of data. {self.model.name} is not built."
            )
        self._number = self._batches_since_last = self._batches_seen = 0
        self._position = (0, 0)
        self._backed_up = self._found = self._failed = None
        self._expect_whole_epochs()
        self.model._initial_epoch = None
        self._tracked = [tracked.Tracked(thing) for thing in self.track]
        self._swaps = [
            swap
            for swap in fits.of_this_fit(keras.callbacks.SwapEMAWeights)
            if not any(swap is thing for thing in self.track)
        ]
        what_is_kept.check(self._model, self._tracked, self.filepath)
        what_is_kept.check_data(self._data, self.save_freq, self.params.get("steps"), self.filepath)
        with errors.of_the_place(self._folder):
            os.makedirs(self._folder, exist_ok=True)
            self._lock.acquire(fits.Fit(self))
            for name in os.listdir(self._folder):
                files.finish_or_remove(os.path.join(self._folder, name), backup_file.TAG)
        with self._lock.released_on_failure():
            self._find_a_backup()
        self._asked.watch()

    def on_epoch_begin(self, epoch, logs=None):
        self._model._initial_epoch = None
        self._position = (epoch, 0)
        self._batches_seen = 0
        batch = 0
        if self._found is not None:
            batch = self._found.header["batch"]
            if self._found.header["epoch"] != epoch:
                self._close()
                raise ValueError(
                    f"{self.filepath} holds a backup of epoch {self._found.header['epoch'] + 1}, "
                    f"but fit begins with epoch {epoch + 1}. {chosen_backup.REMEDY}"
                )
        if self._data is not None:
            self._data.start(epoch, batch)
        for given in fits.data_of_this_fit():
            if isinstance(given, ShuffledBatches) and given is not self._data:
                given.start(epoch)  # else it would begin anew with its first order
        for thing in self.track:
            if isinstance(thing, DurableCheckpoint):
                thing.batches_before = batch
        if batch:
            # The rest of an epoch is shorter than `fit` was told; it would warn of lost data.
            self._shortened = warnings.catch_warnings()
            self._shortened.__enter__()
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            return
        self._restore()
        self._back_up_if_due(at_least_once=self._backed_up is None)

    def on_train_batch_begin(self, batch, logs=None):
        if self._data is None:
            self._leave_if_asked()
            return
        batch += self._data.first_batch
        if batch == 0:
            return
        if batch >= len(self._data):
            # `fit` would run a step without data, which draws random numbers before it fails. It
            # takes this for the end of the data instead.
            raise StopIteration
        self._position = (self._position[0], batch)
        if self._found is not None:
            self._restore()
        elif self._data.served() < batch:
            self._close()
            raise ValueError("the ShuffledBatches in track is not what fit trains on")
        self._back_up_if_due()

    def on_train_batch_end(self, batch, logs=None):
        self._batches_since_last += batch + 1 - self._batches_seen
        self._batches_seen = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        self._current_epoch = epoch + 1
        self._expect_whole_epochs()

    def on_train_end(self, logs=None):
        self._model._initial_epoch = None
        self._expect_whole_epochs()
        if self._found is not None:
            self._restore()  # all epochs were trained before
        elif self._asked.signal is not None or not self.delete_checkpoint:
            self._position = (self._current_epoch, 0)
            self._back_up(ended=True)
        self._collect(waiting_for_at_most=0)
        self._asked.release()
        asked, failed = self._asked.signal, self._failed
        if asked is None and self.delete_checkpoint and tracked.all_is_saved(self.track):
            backup_file.delete_all(self._folder)
        self._close()
        with contextlib.suppress(OSError):
            os.rmdir(self._folder)
        if failed is not None and (asked is not None or not self.delete_checkpoint):
            raise failed
        if asked is not None:
            self._exit(asked)

    def _expect_whole_epochs(self):
        if self._shortened is not None:
            self._shortened.__exit__(None, None, None)
            self._shortened = None

    # ---- finding a backup, and putting it back

    def _find_a_backup(self):
        self._found = chosen_backup.choose(
            self._folder, self.filepath, self._model, self.track, self._data, self._swaps
        )
        if self._found is None:
            if os.path.exists(self._weights_path):
                warnings.warn(
                    f"{self.filepath} holds a backup by keras.callbacks.BackupAndRestore, which "
                    "has not all of a training's state. It is not used."
                )
            return
        header = self._found.header
        self._number = header["number"]
        self._current_epoch = header["epoch"]
        self._model._initial_epoch = chosen_backup.first_epoch(
            header, self.params.get("epochs", header["epoch"] + 1), self.filepath
        )

    def _restore(self):
        if self._found is None:
            return
        header = self._found.header
        content.put_back(self._found, self._model, self._tracked, self._swaps)
        self._found = None
        self._batches_since_last = 0
        self._backed_up = (header["epoch"], header["batch"])

    # ---- making one

    def _back_up_if_due(self, at_least_once=False):
        due = at_least_once or self._asked.signal is not None
        if self.save_freq == "epoch" or self._data is None:
            due = due or self._position[1] == 0
        else:
            due = due or self._batches_since_last >= self.save_freq
        if due and self._position != self._backed_up:
            self._back_up()
        self._leave_if_asked()

    def _back_up(self, ended=False):
        self._collect(waiting_for_at_most=1)
        model = self.model  # not _model: on JAX this brings the variables up to date
        epoch, batch = self._position
        self._number += 1
        self._batches_since_last = 0
        self._backed_up = self._position
        buffers = self._spare_buffers.pop() if self._spare_buffers else None
        taken = content.Content(model, self._tracked, self._swaps, buffers)
        header = {
            "format": backup_file.FORMAT,
            "versions": records.versions(),
            "number": self._number,
            "epoch": epoch,
            "batch": batch,
            "ended": ended,
            "stopped": bool(model.stop_training),
            "identity": same_training.identity(self._model, self.track, self._data),
        }
        path = backup_file.path_of(self._folder, self._number)
        record = {
            "file": os.path.basename(path),
            "number": self._number,
            "epoch": epoch + 1,
            "batch": batch,
            "saved_at": time.time(),
            "versions": records.versions(),
        }

        def write():
            try:
                described, groups = taken.completed()
                backup_file.write(path, header | described, groups, record)
            finally:
                if taken.reusable is not None:
                    self._spare_buffers.append(taken.reusable)

        self._writer.submit(path, write)
        if not self.background:
            self._collect(waiting_for_at_most=0)

    def _collect(self, waiting_for_at_most):
        """Take note of the backups that have ended; wait while more than that many have not."""
        for ended in self._writer.collect(waiting_for_at_most):
            self._failed = ended if isinstance(ended, OSError) else None

    def _close(self):
        """Training is over: let others use the folder, and give the signals back."""
        self._collect(waiting_for_at_most=0)
        self._asked.release()
        self._spare_buffers.clear()
        self._writer.close()
        self._lock.release()

    # ---- signals

    def _what_follows_a_signal(self):
        made = self._data is not None
        return "then a backup is made" if made else "then going back to its epoch's start"

    def _leave_if_asked(self):
        asked = self._asked.signal
        if asked is None:
            return
        self._collect(waiting_for_at_most=0)
        failed = self._failed
        self._close()
        if failed is not None:
            raise failed
        self._exit(asked)

    def _exit(self, asked):
        epoch, batch = self._backed_up or self._position
        say(
            f"{self.filepath}: backed up at epoch {epoch + 1}, batch {batch + 1}; "
            "run the same command again to go on"
        )
        raise SystemExit(128 + asked)
