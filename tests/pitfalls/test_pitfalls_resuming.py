"""Resuming: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import importlib
import json
import pathlib

import keras
import numpy as np
import pytest
from gallery import (
    BACKEND,
    Interrupt,
    fit,
    fit_until,
    names_for,
    new_model,
    pinned,
    some_data,
    steps,
    validating,
)

BackupAndRestore = keras.callbacks.BackupAndRestore


def count_saves(model):
    """A list that grows with every call of `model.save_weights`."""
    saves, save_weights = [], model.save_weights

    def counted(*arguments, **options):
        saves.append(1)
        return save_weights(*arguments, **options)

    model.save_weights = counted
    return saves


def backup_says(folder):
    return json.loads(pathlib.Path(folder, "training_metadata.json").read_text())


@pinned
def test_epoch_sticks_to_the_model(pitfall):
    fit_until(Interrupt(1), new_model(), [BackupAndRestore("stock")], epochs=4)
    model = new_model()
    assert fit(model, [BackupAndRestore("stock")], epochs=4).epoch == [2, 3]
    assert fit(model, epochs=2).epoch == []
    assert fit(model, initial_epoch=4, epochs=5).epoch == [2, 3, 4]

    fit_until(Interrupt(1), new_model(), [BackupAndRestore("backup")], epochs=4)
    model = new_model()
    pitfall.remedy(**names_for(model))
    assert model.history.epoch == [0, 1]
    assert steps(model) == 6


@pinned
def test_save_freq_false_saves_every_batch(pitfall):
    model = new_model()
    saves = count_saves(model)
    fit(model, [BackupAndRestore("stock", save_freq=False)], batch_size=2)
    assert len(saves) == 4
    with pytest.raises(TypeError, match="save_before_preemption"):
        BackupAndRestore("stock", save_before_preemption=True)

    model = new_model()
    saves = count_saves(model)
    pitfall.remedy(**names_for(model))
    assert len(saves) == 1


@pinned
def test_stored_batch_is_never_read(pitfall):
    options = {"batch_size": 2, "epochs": 3}
    backup = BackupAndRestore("stock", save_freq=1)
    fit_until(Interrupt(1, 2), new_model(), [backup], **options)
    assert backup_says("stock") == {"epoch": 1, "batch": 2}
    model = new_model()
    fit(model, [BackupAndRestore("stock", save_freq=1)], **options)
    assert steps(model) == 15

    interrupted, model = new_model(), new_model()
    code = ("callbacks=[backup]", "callbacks=[backup, *interrupting]")
    with pytest.raises(KeyboardInterrupt):
        pitfall.remedy(code, interrupting=[Interrupt(1, 2)], **names_for(interrupted))
    pitfall.remedy(**names_for(model))
    assert steps(model) == 12


@pinned
def test_second_interruption_forgets_the_epoch(pitfall):
    options = {"batch_size": 2, "epochs": 4}
    for said in ({"epoch": 2, "batch": 1}, {"epoch": 0, "batch": 1}):
        backup = BackupAndRestore("stock", save_freq=1)
        fit_until(Interrupt(2, 1), new_model(), [backup], **options)
        assert backup_says("stock") == said

    code = ("callbacks=[backup]", "callbacks=[backup, *interrupting]")
    for interrupt in (Interrupt(2, 1), Interrupt(2, 1)):
        with pytest.raises(KeyboardInterrupt):
            pitfall.remedy(code, interrupting=[interrupt], **names_for(new_model()))
        assert backup_says("backup")["epoch"] == 2
    model = new_model()
    pitfall.remedy(**names_for(model))
    assert steps(model) == 16


@pinned
def test_epochs_is_the_last_epoch(pitfall):
    model = new_model()
    assert fit(model, initial_epoch=10, epochs=5).epoch == []

    assert pitfall.remedy(**names_for(model))["history"].epoch == [10, 11, 12, 13, 14]


@pinned
def test_backup_of_a_model_that_is_not_built(pitfall):
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError) as error:
            fit(model, [BackupAndRestore("stock")])
        pitfall.said(f"ValueError: {error.value}")
    else:
        fit(model, [BackupAndRestore("stock")])
        pitfall.said_it = True  # there is no message to compare

    assert steps(pitfall.remedy(**names_for(None))["model"]) == 2


class Order(keras.callbacks.Callback):
    """The rows in the order in which they are trained on, one in each batch, for each epoch.

    The loss of row i is i, and what is logged is the mean since the beginning of the epoch.
    """

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])
        self.before = 0

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        self.epochs[-1].append(round(total - self.before))
        self.before = total


@pinned
def test_frozen_shuffle(pitfall):
    def model():
        network = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(1, kernel_initializer="zeros")]
        )
        network.compile(keras.optimizers.SGD(0.0), "mean_absolute_error")
        return network

    x = np.zeros((8, 4), "float32")
    y = np.arange(8, dtype="float32")[:, None]
    order = Order()
    keras.utils.set_random_seed(7)
    model().fit(x, y, batch_size=1, epochs=3, callbacks=[order], verbose=0)
    assert all(sorted(epoch) == list(range(8)) for epoch in order.epochs)
    different = len(set(map(tuple, order.epochs)))
    assert different == (1 if BACKEND == "tensorflow" else 3)

    order = Order()
    code = ("epochs=3)", "epochs=3, callbacks=[order])")
    pitfall.remedy(code, model=model(), x=x, y=y, order=order)
    assert all(sorted(epoch) == list(range(8)) for epoch in order.epochs)
    assert len(set(map(tuple, order.epochs))) == 3


@pinned
def test_state_of_dropout_is_not_saved(pitfall):
    def states(*models):
        return [
            keras.ops.convert_to_numpy(model.get_layer("dropout").seed_generator.state).tolist()
            for model in models
        ]

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dropout(0.5, name="dropout"), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    fit(model, epochs=2)
    model.save("stock.keras")
    model.save_weights("stock.weights.h5")
    loaded = keras.models.load_model("stock.keras")
    also = keras.models.clone_model(model)
    also.load_weights("stock.weights.h5")
    own, *others = states(model, loaded, also)
    assert own[1] == 2
    assert all(other[1] == 0 for other in others)

    own, restored = states(model, pitfall.remedy(model=model)["restored"])
    assert own == restored


@pinned
def test_seed_that_is_set_again(pitfall):
    def build_model():
        return keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5)])

    def dropped(model):
        return keras.ops.convert_to_numpy(model(np.ones((1, 64)), training=True)).tolist()

    keras.utils.set_random_seed(7)
    first = dropped(build_model())
    keras.utils.set_random_seed(7)
    assert dropped(build_model()) == first

    assert dropped(pitfall.remedy(build_model=build_model)["model"]) != first


@pinned
def test_history_is_lost(pitfall):
    fit_until(Interrupt(1), new_model(), [BackupAndRestore("stock")], epochs=4)
    assert fit(new_model(), [BackupAndRestore("stock")], epochs=4).epoch == [2, 3]

    interrupted = validating(new_model(), [0.4, 0.3, KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        pitfall.remedy(**names_for(interrupted))
    pitfall.remedy(**names_for(new_model()))
    lines = pathlib.Path("log.csv").read_text().splitlines()
    assert lines[0].startswith("epoch,")
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "1", "2", "3"]


@pinned
def test_second_training_with_the_same_backup(pitfall):
    for expected in ([0, 1, 2], []):
        backup = BackupAndRestore("stock", delete_checkpoint=False)
        assert fit(new_model(), [backup], epochs=3).epoch == expected

    x, y = some_data()
    remedied = pitfall.remedy(x=x, y=y, build_model=new_model)
    assert remedied["history"].epoch == [0, 1, 2]
    assert steps(remedied["model"]) == 3


@pinned
def test_steps_of_tensorboard(pitfall):
    # What the callback writes with, on every backend. `tf.summary` is another module.
    summary = importlib.import_module("tensorflow.summary")

    steps_of_batches = []

    def scalar(name, value, step=None, **options):
        if name == "batch_loss":
            steps_of_batches.append(int(step))

    pitfall.monkeypatch.setattr(summary, "scalar", scalar)  # the real one needs TensorBoard

    def seen(train, *arguments, **options):
        steps_of_batches.clear()
        train(*arguments, **options)
        return [step - steps_of_batches[0] for step in steps_of_batches], steps_of_batches[0]

    def stock():
        board = keras.callbacks.TensorBoard("stock-logs", update_freq=1, write_graph=False)
        return [BackupAndRestore("stock"), board]

    options = {"batch_size": 2, "epochs": 3}
    first = seen(fit_until, Interrupt(1), new_model(), stock(), **options)
    resumed = seen(fit, new_model(), stock(), **options)
    assert first[0] == list(range(8)) and resumed[0] == list(range(4))
    assert first[1] == resumed[1]

    code = ("callbacks=[backup, board]", "callbacks=[backup, board, *interrupting], verbose=0")
    names = names_for(new_model()) | {"interrupting": [Interrupt(1)]}
    with pytest.raises(KeyboardInterrupt):
        pitfall.remedy(code, **names)
    again = seen(pitfall.remedy, code, **names_for(new_model()), interrupting=[])
    assert again == (list(range(4)), first[1] + 8)


@pinned
def test_states_of_a_stateful_rnn(pitfall):
    def numbers(of):
        return [keras.ops.convert_to_numpy(one).tolist() for one in of]

    model = keras.Sequential(
        [keras.Input((3, 4), batch_size=8), keras.layers.LSTM(2, stateful=True, name="lstm")]
    )
    model.compile("sgd", "mse")
    sequence = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    model(sequence)
    expected = numbers(model.get_layer("lstm").states)
    assert np.abs(expected).min() > 0
    model.save("stock.keras")
    model.save_weights("stock.weights.h5")
    loaded = keras.models.load_model("stock.keras")
    also = keras.models.clone_model(model)
    also.load_weights("stock.weights.h5")
    for each in (loaded, also):
        assert np.abs(numbers(each.get_layer("lstm").states)).max() == 0

    restored = pitfall.remedy(model=model)["restored"]
    assert numbers(restored.get_layer("lstm").states) == expected
    assert numbers([restored(sequence)]) == numbers([model(sequence)])
