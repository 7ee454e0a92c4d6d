"""What Keras would save of a model at this moment, found by Keras's own walk.

Keras saves a model by visiting it and everything attached to it: layers, optimizers, and whatever
has saving methods of its own. Here the same walk runs with stores that write no file: they note
which variables and arrays were handed over, under which path. So nothing is guessed, nothing is
written into the model, and state that appears during the training is part of the next save.
"""

import os
import shutil
from collections.abc import Iterable

import keras
import numpy as np

from . import keras_private


class Recording:
    """One walk: what was handed over, in its order.

    Attributes:
        calls: What Keras asked of its store: ("make", path, metadata), ("set", key, number) and
            ("delete", key). A number is an index into `values`.
        values: `keras.Variable` objects, each once, and copies of arrays that are no variables.
        assets: Content of the files that layers keep beside the arrays, such as vocabularies, by
            their path in a `.keras` archive.
    """

    def __init__(self, calls, values, assets):
        self.calls = calls
        self.values = values
        self.assets = assets

    def paths(self) -> dict[str, int]:
        """Path of each array in an HDF5 file of Keras, and the number of its value."""
        found, group = {}, ""
        for kind, *details in self.calls:
            if kind == "make":
                group = f"{details[0]}/vars" if details[0] else "vars"
            elif kind == "set":
                found[f"{group}/{details[0]}"] = details[1]
            else:
                found.pop(f"{group}/{details[0]}", None)
        return found

    def variables(self) -> list[keras.Variable]:
        return [value for value in self.values if isinstance(value, keras.Variable)]


def record(model: keras.Model, with_assets: bool = True) -> Recording:
    """Run Keras's saving walk over `model` and return what it would have written.

    Arguments:
        model: Any Keras model, built or not, compiled or not.
        with_assets: Also ask layers for their files (vocabularies), as for a `.keras` archive.

    Raises:
        Whatever the saving method of a layer or optimizer raises, as stock Keras does.
    """
    store = RecordingStore()
    assets = RecordedAssets() if with_assets else None
    try:
        keras_private.save_state(model, store, assets)
        return Recording(store.calls, store.values, dict(assets.files()) if assets else {})
    finally:
        if assets is not None:
            assets.close()


class RecordingStore(keras_private.H5IOStore):
    """Takes what Keras writes into an HDF5 file, and keeps variables as they are."""

    takes_variables = True

    def __init__(self):  # without super(): there is no file
        self.mode = "w"
        self.calls = []
        self.values = []
        self._numbers = {}
        self._content = {}

    def __bool__(self):
        return True

    def make(self, path, metadata=None):
        self.calls.append(("make", path, dict(metadata) if metadata else None))
        self._content = {}
        return self

    def __setitem__(self, key, value):
        if key in self._content:
            raise ValueError(f"{key!r} was written twice under {self.calls[-1][1]!r}")
        if isinstance(value, keras.Variable):
            number = self._numbers.setdefault(id(value), len(self.values))
        else:
            value = np.array(keras.ops.convert_to_numpy(value))
            keras.backend.standardize_dtype(value.dtype)  # raises as H5IOStore does
            number = len(self.values)
        if number == len(self.values):
            self.values.append(value)
        self._content[key] = number
        self.calls.append(("set", key, number))

    def __getitem__(self, key):
        return np.array(keras.ops.convert_to_numpy(self.values[self._content[key]]))

    def __delitem__(self, key):
        del self._content[key]
        self.calls.append(("delete", key))

    def __contains__(self, key):
        return key in self._content

    def __len__(self):
        return len(self._content)

    def keys(self):
        return self._content.keys()

    def close(self):
        pass


class RecordedAssets(keras_private.DiskIOStore):
    """A temporary folder for the files of layers, made only if a layer asks for it."""

    def __init__(self):
        self._opened = False

    def make(self, path):
        if not self._opened:
            super().__init__("assets", mode="w")
            self._opened = True
        return super().make(path)

    def files(self) -> Iterable[tuple[str, bytes]]:
        """Path below `assets/` and content of every file, in the order of stock's archive."""
        if not self._opened:
            return
        for folder, name in _walk_files(self.working_dir):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                yield os.path.relpath(path, self.working_dir).replace(os.sep, "/"), file.read()

    def close(self):
        if self._opened:
            shutil.rmtree(self.tmp_dir, ignore_errors=True)


def _walk_files(folder):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from _walk_files(path)
        else:
            yield folder, name
