"""All state that a training depends on: taken, compared, and put back.

It was put together from MosaicML Composer's test of resumption, from data loaders that know their
position (CheckFreq, FAST 2021), and from measurements of what Keras 3.15.1 loses.
"""

import os
import random
import re
import tempfile
import warnings

import keras
import numpy as np

from . import keras_private, reach, walk


class TrainingState:
    """The state of a model in training, as it is reached at this moment.

    It is what Keras's saving walk reaches, with everything of `reach`: seed generators, metrics,
    states of recurrent layers, gradient accumulators, further optimizers, and generators of random
    numbers that the model holds.

    Attributes:
        variables: Variables by name, each once. The name says where it was found: its path in
            Keras's files, or else the attributes that lead to it. So it is the same before and
            after other layers are built.
        recording: The saving walk, for arrays that are no variables and for files of layers.
        reached: What following attributes found.
    """

    def __init__(self, model: keras.Model):
        self.model = model
        self.recording = walk.record(model)
        self.reached = reach.follow(model)
        named = {}
        groups = [
            ("saved", self._recorded_variables()),
            ("found", [(found.path, found.thing) for found in self.reached.variables]),
        ]
        self.variables = {}
        for group, variables in groups:
            for key, variable in variables:
                if id(variable) not in named:
                    named[id(variable)] = f"{group}/{key.removeprefix('/')}"
                    self.variables[named[id(variable)]] = variable
        self.names = named

    def _recorded_variables(self):
        values = self.recording.values
        for path, number in self.recording.paths().items():
            if isinstance(values[number], keras.Variable):
                yield path, values[number]

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays that layers save with methods of their own, by their path in Keras's files."""
        values = self.recording.values
        return {
            path: values[number]
            for path, number in self.recording.paths().items()
            if not isinstance(values[number], keras.Variable)
        }

    def description(self) -> dict:
        """What a backup has to know to find its way back into a model that is made anew."""
        return {
            "optimizers": [
                {
                    "path": path,
                    "built": bool(optimizer.built),
                    "with": [self.names.get(id(v)) for v in keras_private.built_with(optimizer)]
                    if optimizer.built
                    else [],
                }
                for path, optimizer in self.reached.optimizers
            ],
            "metrics": [
                self.names[id(found.thing)]
                for found in self.reached.variables
                if isinstance(found.owner, keras.metrics.Metric)
            ],
            "paths": {
                path: self.names[id(self.recording.values[number])]
                for path, number in self.recording.paths().items()
                if isinstance(self.recording.values[number], keras.Variable)
            },
        }

    def generators(self) -> dict:
        """The state of generators of random numbers in the model's attributes."""
        return {found.path: _state_of_generator(found.thing) for found in self.reached.generators}

    def set_generators(self, states: dict) -> None:
        for found in self.reached.generators:
            if found.path in states:
                _set_state_of_generator(found.thing, states[found.path])

    def restore(
        self,
        variables: dict[str, np.ndarray],
        paths: dict[str, str],
        own: dict[str, np.ndarray],
        assets: dict[str, bytes],
    ) -> None:
        """Put back arrays and files that layers save with methods of their own; then variables.

        Arguments:
            variables: Values by name, as in `variables`. Names that are not here are left out.
            paths: The name of each variable that Keras's files hold, by its path in them.
            own: As `arrays` returned them.
            assets: Content of files by path, as in `walk.Recording`.
        """
        differ = bool(assets) and assets != walk.record(self.model).assets
        if own or differ:
            arrays = {path: variables[name] for path, name in paths.items()} | own
            self._load(arrays, assets if differ else {})
        for name, value in variables.items():
            if name in self.variables:
                self.variables[name].assign(value)

    def _load(self, arrays, assets):
        """Hand arrays, those of variables too, and files to Keras's loading methods."""
        with tempfile.TemporaryDirectory() as folder:
            store = None
            if assets:
                for path, content in assets.items():
                    os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                    with open(os.path.join(folder, path), "wb") as file:
                        file.write(content)
                store = keras_private.DiskIOStore(folder, mode="r")
            with warnings.catch_warnings():
                # Of an optimizer that is not built yet; its variables are put back one by one.
                warnings.filterwarnings("ignore", message="Skipping variable loading")
                keras_private.load_state(self.model, GivenArrays(arrays), store)


class GivenArrays(keras_private.H5IOStore):
    """Gives Keras's loading walk arrays from memory, and notes which of them were asked for.

    Arguments:
        arrays: Arrays by their path in Keras's HDF5 files.
    """

    def __init__(self, arrays: dict[str, np.ndarray]):  # without super(): there is no file
        self.mode = "r"
        self.groups: dict[str, dict[str, np.ndarray]] = {}
        self.read: set[str] = set()
        for path, array in arrays.items():
            # A name may contain "vars" itself: that of a layer, or a key with a slash in it.
            for mark in re.finditer("(?=/vars/)", f"/{path}"):
                group, key = path[: mark.start()].strip("/"), path[mark.start() + len("vars/") :]
                self.groups.setdefault(group, {})[key] = array

    def __bool__(self):
        return True

    def get(self, path):
        return _Group(self, path, self.groups.get(path, {}))

    def has_path(self, path):
        return any(f"{group}/".startswith(f"{path}/") for group in self.groups)

    def close(self):
        pass


class _Group(dict):
    def __init__(self, store, path, content):
        super().__init__(content)
        self._store, self._path = store, path

    def __getitem__(self, key):
        self._store.read.add(f"{self._path}/vars/{key}".lstrip("/"))
        return super().__getitem__(key)


def random_state() -> dict:
    """The state of the random numbers that belong to no object."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "keras": keras_private.random_state_of_keras(),
    }


def set_random_state(state: dict) -> None:
    if state["keras"] is not None:
        keras_private.set_random_state_of_keras(state["keras"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])


def dtype_of(value) -> str:
    """Name of the type of the numbers themselves: on JAX an int64 variable may hold int32."""
    if isinstance(value, keras.Variable):
        value = value.value
    return keras.backend.standardize_dtype(value.dtype)


def _state_of_generator(generator):
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.BitGenerator):
        return generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _set_state_of_generator(generator, state):
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.BitGenerator):
        generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)
