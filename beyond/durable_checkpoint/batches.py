"""Data that can be taken up in mid-epoch."""

import hashlib
import importlib
import math
import operator

import keras
import numpy as np

from . import keras_private  # noqa: F401  Keras before 3.5 would repeat one order in all epochs


class ShuffledBatches(keras.utils.PyDataset):
    """Arrays in batches, in an order that depends on `seed` and the epoch alone.

    Give it to `fit` with `shuffle=False`, and to `ExactBackupAndRestore` in `track`: a training
    that was interrupted in the middle of an epoch then goes on with the very next batch.

        batches = ShuffledBatches(x, y, batch_size=32, seed=7)
        backup = ExactBackupAndRestore("backup", save_freq=100, track=[batches])
        model.fit(batches, shuffle=False, epochs=10, callbacks=[backup])

    As `validation_data`, which needs no place in `track`, it has the order of the epoch as well:
    the sum over batches in another order differs in the last bits.

    Plain arrays cannot be taken up again like that. Where `fit(x, y)` stands in an epoch is known
    to nobody outside; and its order comes from random numbers whose state is not a variable of the
    model. On TensorFlow it is not even an order for each epoch: once `keras.utils.set_random_seed`
    was called, `fit(x, y, shuffle=True)` of Keras 3.15 repeats the same permutation in every epoch.
    An experiment that seems to go on exactly after an interruption may owe it to that alone.

    The technique is that of data loaders that are a function of (seed, position) and have no state
    beside it (Mohan et al., "CheckFreq", FAST 2021: each item once in every epoch, also across an
    interruption).

    Arguments:
        x, y: Arrays with the same number of rows, or lists, tuples or dictionaries of such arrays,
            as the model takes them; on TensorFlow also arrays of texts. They are not copied; a
            batch is. Tables and columns of pandas and tensors of TensorFlow count as arrays, row by
            row: an index of theirs is not used.
        batch_size: Rows in a batch. The last one of an epoch has those that are left.
        seed: A whole number, 0 or more.

    Raises:
        ValueError: Different numbers of rows, or no arrays; or `fit` asked for the batches in
            another order, as it does unless `shuffle=False` is given.

    Example:
        >>> batches = ShuffledBatches(x, y, batch_size=3, seed=7)
        >>> [len(rows) for rows, _ in batches]
        [3, 3, 2]
    """

    def __init__(self, x, y, batch_size: int = 32, seed: int = 0):
        super().__init__()
        self.x, self.y = keras.tree.map_structure(_as_array, (x, y))
        rows = {len(array) for array in keras.tree.flatten((self.x, self.y))}
        if len(rows) != 1 or rows == {0}:
            raise ValueError(f"x and y need the same number of rows, 1 or more, not {sorted(rows)}")
        self.rows = rows.pop()
        self.batch_size = _whole_number(batch_size, 1, "batch_size is a number of rows")
        self.seed = _whole_number(seed, 0, "seed is a whole number")
        self.start(0)

    def start(self, epoch: int, batch: int = 0) -> None:
        """Let the next pass begin with `batch` of `epoch`, both counted from 0.

        `ExactBackupAndRestore` calls it at the beginning of every epoch. Without it, passes are
        counted: the epoch of the next one is that of the last complete one plus 1.
        """
        if not 0 <= batch < len(self):
            raise ValueError(f"batch {batch} of {len(self)}")
        self.epoch, self.first_batch = epoch, batch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
        self._asked_for = -1
        self._in_a_pass = False

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_size)

    @property
    def num_batches(self) -> int:
        """Batches in the next pass. Only a pass that goes on in mid-epoch has fewer than all."""
        # `fit` takes the length of all its epochs from here before the first one begins, and that
        # of the pass again when it begins.
        return len(self) - (self.first_batch if self._asked_for < 0 else 0)

    def __getitem__(self, index: int):
        """Batch number `index` of this pass: arrays (x, y) with `batch_size` rows or fewer."""
        if self._in_a_pass and index not in (0, self._asked_for + 1):
            raise ValueError("ShuffledBatches shuffles by itself: call fit(..., shuffle=False)")
        self._asked_for = index
        begin = (self.first_batch + index) * self.batch_size
        rows = self.order[begin : begin + self.batch_size]
        return keras.tree.map_structure(lambda array: _as_batch(array[rows]), (self.x, self.y))

    def on_epoch_begin(self):
        self._in_a_pass = True

    def on_epoch_end(self):
        # Keras calls it before the first epoch as well, and after a look at the first batch.
        complete = self.first_batch + self._asked_for + 1 == len(self)
        if self._in_a_pass and complete:
            self.start(self.epoch + 1)
        self._in_a_pass = False

    def served(self) -> int:
        """How many batches of this epoch have been asked for, those before `first_batch` too."""
        return self.first_batch + self._asked_for + 1

    def get_state(self) -> dict:
        """What must be the same for an interrupted epoch to go on with the same rows."""
        order = hashlib.sha256(self.order.astype("<i8").tobytes()).hexdigest()
        structure = keras.tree.map_structure(
            lambda array: f"{np.dtype(array.dtype).name} {list(array.shape[1:])}", (self.x, self.y)
        )
        return {
            "rows": self.rows,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "arrays": str(structure),
            "order": order,
        }


def _as_array(array):
    if hasattr(array, "iloc") or type(array).__module__.startswith("tensorflow."):
        # pandas takes numbers in brackets for labels of its index; TensorFlow takes no list.
        array = np.asarray(array)
    if np.ndim(array) == 0 or not hasattr(array, "dtype"):
        raise ValueError(
            "x and y are arrays, or lists, tuples or dictionaries of arrays: "
            f"{type(array).__name__} is none. Call numpy.array on a list of numbers; without "
            "targets, give an array of zeros as y"
        )
    return array


def _as_batch(rows):
    """`rows`; texts as a tensor, since `fit` takes them from a `PyDataset` in no other way."""
    texts = getattr(rows.dtype, "kind", "") in ("O", "S", "U")
    if texts and keras.backend.backend() == "tensorflow":
        return importlib.import_module("tensorflow").convert_to_tensor(rows)
    return rows


def _whole_number(number, least, what):
    try:
        number = operator.index(number)
    except TypeError:
        raise ValueError(f"{what}, {least} or more, not {number!r}") from None
    if number < least:
        raise ValueError(f"{what}, {least} or more, not {number}")
    return number
