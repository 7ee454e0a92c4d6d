"""The state of a model, held at one moment and written later."""

import contextlib
import threading
from collections.abc import Callable

import keras
import numpy as np

from . import files, hdf5, keras_private, layout, records, snapshot, walk
from .errors import CorruptCheckpointError
from .structure import examine_structure


class Capture:
    """Holds copies of a model's state, and keeps from save to save what makes the next one faster.

    Arguments:
        whole: The whole model, as for `.keras`, or its weights, as for `.weights.h5`.
        background: Whether memory for the first copy is made ready in a thread.
    """

    def __init__(self, *, whole: bool, background: bool):
        self.whole = whole
        self.background = background
        self._layout: layout.Layout | None = None
        self._spare_buffers: list[list[np.ndarray]] = []
        self._memory: threading.Thread | None = None

    def hold(self, model: keras.Model, temporary: str) -> Callable[[], str]:
        """Hold the state of this moment.

        Arguments:
            model: The model that is trained.
            temporary: The file to write.

        Returns:
            What writes it to `temporary`, once, and returns its SHA-256.

        Raises:
            Whatever the model's own code raises when stock Keras saves it.
        """
        own_method = "save" if self.whole else "save_weights"
        if (
            getattr(type(model), own_method) is not getattr(keras.Model, own_method)
            or own_method in vars(model)
            or not temporary.endswith(".keras" if self.whole else ".weights.h5")
        ):
            return _saved_by_stock(getattr(model, own_method), temporary)
        try:
            recording = walk.record(model, with_assets=self.whole)
        except Exception:  # noqa: BLE001, a layer may ask more of Keras's store than ours can do
            return _saved_by_stock(getattr(model, own_method), temporary)
        texts = keras_private.serialize_model_as_json(model) if self.whole else None
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

    def prepare(self, model: keras.Model) -> None:
        """Let a thread make the memory for the first copy, which would take longer than copying."""
        if keras.backend.backend() != "jax" or not self.background or self._spare_buffers:
            return
        with contextlib.suppress(Exception):  # what fails here will fail, and be said, at the save
            variables = walk.record(model, with_assets=False).variables()
            if snapshot.held_on_the_host(variables):
                described = [(tuple(v.shape), v.value.dtype) for v in variables]
                self._memory = threading.Thread(
                    target=lambda: self._spare_buffers.append(snapshot.memory_for(described))
                )
                self._memory.start()

    def free(self) -> None:
        """Give back the memory that is kept for the next save."""
        self._take_prepared_memory()
        self._spare_buffers.clear()

    def _take_prepared_memory(self):
        if self._memory is not None:
            self._memory.join()
            self._memory = None

    def _contents(self, recording, values):
        """Size of the HDF5 file, and a function that returns its bytes piece by piece."""
        key = layout.key_of(recording, values)
        if self._layout is None or self._layout.key != key:
            self._layout = layout.make(recording, key)
        of_file = self._layout
        return of_file.size, lambda: of_file.contents(values)


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
