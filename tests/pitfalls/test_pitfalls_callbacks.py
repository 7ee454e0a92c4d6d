"""Callbacks' state: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import keras
import numpy as np
import pytest
from gallery import (
    Interrupt,
    fit,
    fit_until,
    names_for,
    new_model,
    number,
    pinned,
    same_weights,
    steps,
    steps_in,
    validating,
)

BackupAndRestore = keras.callbacks.BackupAndRestore
WORSENING = np.arange(20) / 20


@pinned
def test_patience_begins_again(pitfall):
    def stock():
        stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3)
        return [stop, BackupAndRestore("stock")]

    fit_until(Interrupt(2), validating(new_model(), WORSENING), stock(), epochs=20)
    resumed = validating(new_model(), WORSENING[3:])
    assert fit(resumed, stock(), epochs=20).epoch == [3, 4, 5, 6]
    whole = fit(validating(new_model(), WORSENING), stock(), epochs=20).epoch
    assert whole == [0, 1, 2, 3]

    with pytest.raises(KeyboardInterrupt):
        interrupted = validating(new_model(), [*WORSENING[:3], KeyboardInterrupt])
        pitfall.remedy(**names_for(interrupted))
    model = validating(new_model(), WORSENING[3:])
    pitfall.remedy(**names_for(model))
    assert steps(model) == 4


@pinned
def test_plateau_begins_again(pitfall):
    def stock():
        plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=3)
        return [plateau, BackupAndRestore("stock")]

    before, after = stock(), stock()
    fit_until(Interrupt(2), validating(new_model("sgd"), WORSENING), before, epochs=6)
    model = validating(new_model("sgd"), WORSENING[3:])
    fit_until(Interrupt(3), model, after, epochs=6)
    assert (before[0].wait, before[0].best) == (2, WORSENING[0])
    assert (after[0].wait, after[0].best) == (0, WORSENING[3])
    assert number(model.optimizer.learning_rate) == np.float32(0.01)

    with pytest.raises(KeyboardInterrupt):
        interrupted = validating(new_model("sgd"), [*WORSENING[:3], KeyboardInterrupt])
        pitfall.remedy(**names_for(interrupted))
    model = validating(new_model("sgd"), WORSENING[3:])
    remedied = pitfall.remedy(**names_for(model))
    assert remedied["plateau"].best == WORSENING[0]
    assert number(model.optimizer.learning_rate) == np.float32(0.005)


@pinned
def test_restored_weights_with_a_later_optimizer(pitfall):
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    best = keras.callbacks.ModelCheckpoint("stock.keras", save_best_only=True)
    model = validating(new_model(), WORSENING)
    fit(model, [best, stop], epochs=9)
    assert same_weights(model, keras.models.load_model("stock.keras"))
    assert (steps(model), steps_in("stock.keras")) == (3, 1)

    remedied = pitfall.remedy(**names_for(validating(new_model(), WORSENING)))
    assert steps(remedied["model"]) == 1
