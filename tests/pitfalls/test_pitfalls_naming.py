"""Naming and paths: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import os
import pathlib

import keras
import pytest
from gallery import (
    fit,
    names_for,
    new_model,
    pinned,
    same_weights,
    steps,
    steps_in,
)

ModelCheckpoint = keras.callbacks.ModelCheckpoint


def names_in(folder="."):
    return sorted(path.name for path in pathlib.Path(folder).iterdir())


@pinned
def test_hdf5_is_refused(pitfall):
    with pytest.raises(ValueError) as error:
        ModelCheckpoint("weights.best.hdf5")
    pitfall.said(f"ValueError: {error.value}")
    if tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 8):  # as the entry says
        ModelCheckpoint("weights.best.h5")
    else:
        with pytest.raises(ValueError, match="must end in"):
            ModelCheckpoint("weights.best.h5")

    remedied = pitfall.remedy(**names_for(new_model()))
    assert names_in() == ["weights.best.keras"]
    assert isinstance(remedied["model"], keras.Sequential)


@pinned
def test_weights_need_their_own_ending(pitfall):
    with pytest.raises(ValueError) as error:
        ModelCheckpoint("best.h5", save_weights_only=True)
    pitfall.said(f"ValueError: {error.value}")

    pitfall.remedy(**names_for(new_model()))
    assert names_in() == ["best.weights.h5"]


@pinned
def test_whole_model_under_the_name_of_weights(pitfall):
    trained = new_model()
    assert ModelCheckpoint("best.weights.h5")  # before 3.8 it is refused
    fit(trained, [ModelCheckpoint("best.weights.h5")])
    model = new_model()
    with pytest.raises(ValueError) as error:
        model.load_weights("best.weights.h5")
    pitfall.said(f"ValueError: {error.value}")

    remedied = pitfall.remedy(**names_for(model))
    assert same_weights(model, trained)
    fit(model, [remedied["checkpoint"]])
    new_model().load_weights("best.weights.h5")


@pinned
def test_name_of_a_metric_that_is_not_logged(pitfall):
    with pytest.raises(KeyError) as error:
        fit(new_model(), [ModelCheckpoint("weights-{val_acc:.2f}.keras")])
    pitfall.said(f"KeyError: {error.value}")

    remedied = pitfall.remedy(**names_for(new_model()))
    assert sorted(remedied["history"].history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert [name[:11] for name in names_in()] == ["weights-01-", "weights-02-"]


@pinned
def test_period_is_gone(pitfall):
    with pytest.raises(TypeError) as error:
        ModelCheckpoint("best.keras", period=5)
    pitfall.said(f"TypeError: {error.value}")

    pitfall.remedy(**names_for(new_model()))
    assert names_in() == ["epoch-05.keras", "epoch-10.keras"]
    assert [steps_in(name) for name in names_in()] == [5, 10]


@pinned
def test_save_freq_counts_batches(pitfall):
    stock = ModelCheckpoint("stock/epoch-{epoch:02d}.keras", save_freq=5)
    fit(new_model("sgd"), [stock], batch_size=2, epochs=12)
    left = {int(path.stem[-2:]) for path in pathlib.Path("stock").iterdir()}
    assert left == set(range(1, 13)) - {1, 6, 11}
    assert [epoch for epoch in left if steps_in(f"stock/epoch-{epoch:02d}.keras") == 4 * epoch] == [
        5,
        10,
    ]

    os.mkdir("remedied")
    os.chdir("remedied")
    pitfall.remedy(**names_for(new_model("sgd"), rows=40))
    assert names_in() == ["epoch-05.keras", "epoch-10.keras"]
    assert [steps_in(name) for name in names_in()] == [10, 20]


@pinned
def test_tilde_is_not_expanded(pitfall):
    home = pitfall.folder / "home"
    pitfall.monkeypatch.setenv("HOME", str(home))
    fit(new_model(), [ModelCheckpoint("~/checkpoints/best.keras")])
    assert names_in() == ["~"]
    assert names_in("~/checkpoints") == ["best.keras"]

    pitfall.remedy(**names_for(new_model()))
    assert names_in(home / "checkpoints") == ["best.keras"]


@pinned
def test_relative_path_follows_the_current_folder(pitfall):
    os.makedirs("stock/elsewhere")
    os.chdir("stock")
    model, stock = new_model(), ModelCheckpoint("checkpoints/best.keras")
    fit(model, [stock])
    os.chdir("elsewhere")
    fit(model, [stock])
    assert steps_in("../checkpoints/best.keras") == 1
    assert steps_in("checkpoints/best.keras") == 2

    os.makedirs(pitfall.folder / "remedied/elsewhere")
    os.chdir(pitfall.folder / "remedied")
    pitfall.remedy(**names_for(new_model()))
    assert names_in() == []
    assert steps_in("../checkpoints/best.keras") == 2


@pinned
def test_orbax_wants_an_absolute_path(pitfall):
    with pytest.raises(ValueError) as error:
        fit(new_model(), [keras.callbacks.OrbaxCheckpoint("checkpoints")], epochs=2)
    fit(new_model(), [keras.callbacks.OrbaxCheckpoint("single")])
    assert "0" not in names_in("single")
    pitfall.said(f"ValueError: {error.value}")

    os.mkdir("remedied")
    os.chdir("remedied")
    remedied = pitfall.remedy(**names_for(new_model()))
    assert names_in("checkpoints") == ["0"]
    assert steps(remedied["model"]) == 1


@pinned
def test_epochs_in_a_loop(pitfall):
    model = new_model()
    for _ in range(3):
        fit(model, [ModelCheckpoint("stock-{epoch:02d}.keras")])
    assert names_in() == ["stock-01.keras"] and steps_in("stock-01.keras") == 3

    pitfall.remedy(**names_for(new_model()))
    assert [steps_in(f"loop-0{epoch}.keras") for epoch in (1, 2, 3)] == [1, 2, 3]
