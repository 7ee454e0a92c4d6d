"""State in places where few models have it, and data and reports of other types than usual."""

import collections
import datetime
import functools
import random
import types

import keras
import numpy as np
import pytest
from durable_checkpoint import DurableCheckpoint, ExactBackupAndRestore, ShuffledBatches
from test_state import Codebook, Crash, CrashAt, as_array

generator = np.random.default_rng(0)
X = generator.random((48, 8), "float32")
Y = X[:, :1] - 0.5


def variable():
    return keras.Variable(np.ones(3, "float32"), trainable=False)


class WithSlots:
    __slots__ = ("average",)

    def __init__(self):
        self.average = variable()


class Holder:
    """An object of the user's own, which holds anything."""

    def __init__(self, held):
        self.held = held

    def closeness(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


class OwnLoss(keras.losses.Loss):
    """Keras finds it by another attribute once it was used."""

    def __init__(self):
        super().__init__()
        self.average = variable()

    def call(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


class OwnKeys(Codebook):
    """Keys with the word that Keras's paths have."""

    def save_own_variables(self, store):
        store["myvars/usage"] = self.usage

    def load_own_variables(self, store):
        self.usage = np.array(store["myvars/usage"])


def odd_model():
    """A model, and its state by the place where it is."""
    own = OwnKeys()
    layers = [keras.Input((8,)), keras.layers.Dense(4), own, keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    by_method, by_partial = Holder(variable()), Holder(variable())
    metric = functools.partial(Holder.closeness, by_partial)
    metric.__name__ = "partial"
    loss = OwnLoss()
    model.compile("adam", loss, metrics=[metric], weighted_metrics=[by_method.closeness])
    bits = np.random.PCG64(5)
    places = {
        "namespace": (types.SimpleNamespace(average=variable()), lambda held: held.average),
        "UserDict": (collections.UserDict(average=variable()), lambda held: held["average"]),
        "UserList": (collections.UserList([variable()]), lambda held: held[0]),
        "mapping": (types.MappingProxyType({"a": variable()}), lambda held: held["a"]),
        "slots": (WithSlots(), lambda held: held.average),
        "key 1": (both := {1: variable(), "1": variable()}, lambda held: held[1]),
        "key '1'": (both, lambda held: held["1"]),
        "key a/b": (slash := {"a/b": variable(), "a": {"b": variable()}}, lambda held: held["a/b"]),
        "key b in a": (slash, lambda held: held["a"]["b"]),
        "keys of this process": ({id(bits): variable()}, lambda held: next(iter(held.values()))),
        "loss": (loss, lambda held: held.average),
        "method": (by_method, lambda held: held.held),
        "partial": (by_partial, lambda held: held.held),
    }
    # Not as attributes of the model itself: Keras would wrap dictionaries.
    of_compile = (loss, by_method, by_partial)
    model.held = Holder([held for held, _ in places.values() if held not in of_compile])
    model.bits = Holder(bits)
    model.without_state = Holder(random.SystemRandom())
    return model, {name: find(held) for name, (held, find) in places.items()}, bits, own


class ChangesOdd(keras.callbacks.Callback):
    def __init__(self, places, bits, own):
        super().__init__()
        self.places, self.bits, self.own = places, bits, own

    def on_train_batch_end(self, batch, logs=None):
        for i, place in enumerate(self.places.values()):
            place.assign(as_array(place) * (0.9 - 0.01 * i))
        self.own.usage = self.own.usage + np.random.Generator(self.bits).random()

    def on_epoch_end(self, epoch, logs=None):
        logs["rate"] = self.model.optimizer.learning_rate
        logs["half"] = keras.ops.convert_to_numpy(keras.ops.cast([0.3], "bfloat16"))[0]


class Outside(OwnKeys):
    """A layer outside of the model, with a generator of its own."""

    def __init__(self):
        super().__init__()
        self.draws = np.random.default_rng(3)


class UsesOutside(keras.callbacks.Callback):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def on_train_batch_end(self, batch, logs=None):
        self.layer.usage = self.layer.usage + self.layer.draws.random()


def go(folder, seed, crash=None):
    """One process's part of a training; its state in the end by place."""
    keras.utils.set_random_seed(seed)
    model, places, bits, own = odd_model()
    outside = Outside()
    batches = ShuffledBatches(X, Y, np.int64(8), seed=np.int64(1))
    # 37 rows in another order each time have another mean in the last bit.
    validation = ShuffledBatches(X[:37], Y[:37], 8, seed=3)
    backup = ExactBackupAndRestore(folder, save_freq=4, track=[batches, outside])
    callbacks = [backup, ChangesOdd(places, bits, own), UsesOutside(outside)]
    try:
        history = model.fit(
            batches,
            shuffle=False,
            epochs=3,
            verbose=0,
            validation_data=validation,
            callbacks=callbacks + ([CrashAt(crash)] if crash else []),
        ).history
    except Crash:
        return None
    rates = history.pop("rate")
    halves = history.pop("half")
    assert [float(as_array(rate)) for rate in rates] == [float(np.float32(0.001))] * 3
    assert [str(half.dtype) for half in halves] == ["bfloat16"] * 3
    return {
        **{name: as_array(place).tolist() for name, place in places.items()},
        "bits": np.random.Generator(bits).random(),
        "own": own.usage.tolist(),
        "outside": outside.usage.tolist(),
        "draws": outside.draws.random(),
        "weights": [as_array(weight).tolist() for weight in model.weights],
        "history": history,
    }


def test_state_in_odd_places_goes_on(tmp_path):
    whole = go(tmp_path / "whole", 1)
    assert go(tmp_path / "b", 1, crash=10) is None
    again = go(tmp_path / "b", 2)
    assert [name for name in whole if whole[name] != again[name]] == []


@pytest.mark.parametrize("value", [datetime.timedelta(1), 1j, {1}, np.array([None])])
def test_a_report_that_no_backup_can_hold_is_named(tmp_path, value):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    reports = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(odd=value)
    )
    with pytest.raises(TypeError, match=r"logs\['odd'\] .* report a number"):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[reports, ExactBackupAndRestore(tmp_path)])


class Column:
    """As pandas has it: numbers in brackets are labels, not places."""

    def __init__(self, array, labels):
        self.iloc, self.dtype, self.shape = array, array.dtype, array.shape
        self.labels = list(labels)

    def __len__(self):
        return len(self.iloc)

    def __array__(self, dtype=None, copy=None):
        return self.iloc

    def __getitem__(self, labels):
        return self.iloc[[self.labels.index(label) for label in labels]]


def test_columns_are_taken_by_place_and_not_by_label():
    batches = ShuffledBatches(X, Column(Y, generator.permutation(48)), 8, seed=1)
    x, y = batches[0]
    assert (y == x[:, :1] - 0.5).all()


@pytest.mark.parametrize(
    ("x", "y", "keywords", "said"),
    [
        (X, None, {}, "NoneType is none"),
        (X, [0.5] * 48, {}, "numpy.array"),
        (3, Y, {}, "int is none"),
        (X, Y, {"batch_size": 8.0}, "batch_size is a number of rows, 1 or more, not 8.0"),
        (X, Y, {"seed": None}, "seed is a whole number, 0 or more, not None"),
        (X, Y, {"seed": -1}, "seed is a whole number, 0 or more, not -1"),
    ],
)
def test_what_gives_no_batches_is_refused_in_one_line(x, y, keywords, said):
    with pytest.raises(ValueError, match=said) as raised:
        ShuffledBatches(x, y, **keywords)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["{}.keras", "{0}.keras", "{epoch.none}.keras", "{epoch.keras"])
def test_a_name_that_cannot_be_filled_in_is_refused_in_one_line(tmp_path, name):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    checkpoint = DurableCheckpoint(tmp_path / name)
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    with pytest.raises(ValueError, match="cannot be made a name of a file") as raised:
        checkpoint.on_epoch_end(0, {"val_loss": 0.5})
    assert "\n" not in str(raised.value)
    checkpoint.on_train_end()


@pytest.mark.parametrize("threshold", [float("nan"), np.float32("nan"), np.array([0.5])])
def test_a_threshold_that_nothing_beats_is_refused(threshold):
    with pytest.raises(ValueError, match="initial_value_threshold is a number"):
        DurableCheckpoint("best.keras", initial_value_threshold=threshold, save_best_only=True)


def test_numbers_of_numpy_are_numbers():
    threshold, two = np.float32(0.5), np.int64(2)
    DurableCheckpoint("{epoch}.keras", initial_value_threshold=threshold, keep_best=two)


def test_in_a_loop_without_fit_there_is_no_history(tmp_path):
    def begin():
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        backup = ExactBackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        backup.set_model(model)
        backup.set_params({"epochs": 2, "steps": None})
        backup.on_train_begin()
        return model, backup

    model, backup = begin()
    backup.on_epoch_begin(0)
    model.train_on_batch(X, Y)
    backup.on_epoch_end(0)
    backup.on_epoch_begin(1)
    backup.on_epoch_end(1)
    backup.on_train_end()
    again, backup = begin()
    backup.on_train_end()
    assert [as_array(w).tolist() for w in again.weights] == [
        as_array(w).tolist() for w in model.weights
    ]
