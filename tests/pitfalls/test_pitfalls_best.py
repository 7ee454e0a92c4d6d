"""What "best" means: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import pathlib

import keras
import numpy as np
import pytest
from gallery import fit, names_for, new_model, pinned, same_weights, steps_in, validating

ModelCheckpoint = keras.callbacks.ModelCheckpoint


@pinned
def test_misspelt_monitor_saves_every_epoch(pitfall):
    model = validating(new_model(), [0.1, 0.2, 0.3])
    stock = ModelCheckpoint("stock.keras", monitor="val_acc", mode="max", save_best_only=True)
    with pytest.warns(UserWarning) as warned:
        fit(model, [stock], epochs=3)
    pitfall.said(*(each.message for each in warned))
    assert steps_in("stock.keras") == 3

    with pytest.raises(ValueError, match="val_acc: there is only"):
        pitfall.remedy(("val_accuracy", "val_acc"), **names_for(new_model()))
    model = new_model()
    remedied = pitfall.remedy(**names_for(model))
    fit(validating(model, [0.1, 0.2, 0.3]), [remedied["checkpoint"]], epochs=3)
    assert steps_in("best.keras") == 1


@pinned
def test_validation_freq_overwrites_the_best(pitfall):
    stock = ModelCheckpoint("stock.keras", save_best_only=True)
    with pytest.warns(UserWarning) as warned:
        fit(validating(new_model(), [0.1, 0.9]), [stock], epochs=5, validation_freq=2)
    pitfall.said(*(each.message for each in warned))
    assert stock.best == 0.1
    assert steps_in("stock.keras") == 5

    pitfall.remedy(**names_for(validating(new_model(), [0.1, 0.9])))
    assert steps_in("best.keras") == 2


@pinned
def test_best_only_within_the_first_epoch(pitfall):
    def stock():
        return ModelCheckpoint("stock.keras", monitor="loss", save_best_only=True, save_freq=2)

    with pytest.raises(TypeError) as error:
        fit(new_model(), [stock()], batch_size=2, epochs=2)
    pitfall.said(f"TypeError: {error.value}")
    fit(new_model(), [stock()], batch_size=4, epochs=3)

    remedied = pitfall.remedy(**names_for(new_model()))
    history = remedied["model"].history.history["loss"]
    assert steps_in("best.keras") == 4 * (1 + int(np.argmin(history)))


@pinned
def test_validation_quantity_between_batches(pitfall):
    stock = ModelCheckpoint("stock/{epoch}-{batch}.keras", save_best_only=True, save_freq=2)
    with pytest.warns(UserWarning) as warned:
        fit(validating(new_model(), [0.1, 0.2, 0.3]), [stock], batch_size=2, epochs=3)
    pitfall.said(*(each.message for each in warned))
    assert len(list(pathlib.Path("stock").iterdir())) == 6

    pitfall.remedy(**names_for(validating(new_model(), [0.1, 0.2, 0.3])))
    assert steps_in("best.keras") == 4
    assert steps_in("newest.keras") == 12


@pinned
def test_direction_of_a_metric_of_your_own(pitfall):
    def model():
        metric = keras.metrics.MeanMetricWrapper(lambda y, p: keras.ops.mean(y * p), name="kappa")
        return new_model(metrics=[metric])

    with pytest.raises(ValueError) as error:
        stock = ModelCheckpoint("stock.keras", monitor="val_kappa", save_best_only=True)
        fit(model(), [stock])
    pitfall.said(f"ValueError: {error.value}")
    for known in ("val_accuracy", "val_loss"):
        fit(
            model() if known == "val_loss" else new_model(), [ModelCheckpoint("known.keras", known)]
        )

    remedied = pitfall.remedy(**names_for(model()))
    values = remedied["model"].history.history["val_kappa"]
    assert remedied["checkpoint"].best == max(values)


@pinned
def test_best_value_is_forgotten(pitfall):
    said = []
    pitfall.monkeypatch.setattr(
        "keras.src.callbacks.model_checkpoint.io_utils.print_msg",
        lambda line, **options: said.append(line),
    )
    fit(validating(new_model(), [0.1]), [ModelCheckpoint("best.keras", save_best_only=True)])
    stock = ModelCheckpoint("best.keras", save_best_only=True, verbose=1)
    fit(validating(new_model(), [0.9]), [stock])
    pitfall.said(said[0])
    assert stock.best == 0.9

    good, worse = new_model("sgd"), new_model("sgd")
    hidden = np.outer([1, 0, 0, 0], [1, -1, 0])
    good.set_weights([hidden, np.zeros(3), np.array([[9], [-9], [0]]), np.zeros(1)])
    fit(good, epochs=9)
    good.save("best.keras")
    names = names_for(worse)
    names["x"] = -names["x"]  # a threshold measured on these rows would be easy to beat
    pitfall.remedy(**names)
    assert steps_in("best.keras") == 9


@pinned
def test_nan_in_the_first_epoch(pitfall):
    plan = [float("nan"), 0.3, 0.1, 0.2]
    stock = ModelCheckpoint("stock.keras", save_best_only=True)
    fit(validating(new_model(), plan), [stock], epochs=4)
    assert np.isnan(stock.best)
    assert steps_in("stock.keras") == 1

    pitfall.remedy(**names_for(validating(new_model(), plan)))
    assert steps_in("best.keras") == 3


@pinned
def test_order_of_the_callbacks(pitfall):
    class Score(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_f1"] = -float(epoch)

    stock = ModelCheckpoint("stock.keras", monitor="val_f1", mode="max", save_best_only=True)
    with pytest.warns(UserWarning) as warned:
        fit(new_model(), [stock, Score()], epochs=3)
    pitfall.said(*(each.message for each in warned))
    assert steps_in("stock.keras") == 3

    remedied = pitfall.remedy(**names_for(new_model()))
    values = remedied["model"].history.history["val_f1"]
    assert steps_in("best.keras") == 1 + int(np.argmax(values))


@pinned
def test_averages_are_judged_and_not_saved(pitfall):
    def loss_of(path, names):
        saved = keras.models.load_model(path)
        return saved.evaluate(names["x"], names["y"], verbose=0, return_dict=True)["loss"]

    names = names_for(new_model())
    optimizer = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.9)
    for order in (lambda a, c: [a, c], lambda a, c: [c, a]):
        model = new_model(optimizer=keras.optimizers.Adam.from_config(optimizer.get_config()))
        callbacks = order(keras.callbacks.SwapEMAWeights(), ModelCheckpoint("stock.keras"))
        data = (names["x_validation"], names["y_validation"])
        said = fit(model, callbacks, epochs=3, validation_data=data).history["val_loss"][-1]
        assert abs(loss_of("stock.keras", names) - said) > 1e-3

    remedied = pitfall.remedy(**names)
    best = min(remedied["history"].history["val_loss"])
    assert abs(loss_of("best.keras", names) - best) < 1e-6


@pinned
def test_one_checkpoint_for_two_folds(pitfall):
    checkpoint = ModelCheckpoint("stock.keras", monitor="loss", save_best_only=True)
    first, second = new_model(), new_model()
    second.set_weights(first.get_weights())  # so its first epoch is as good as the other's first
    fit(first, [checkpoint], epochs=9)
    fit(second, [checkpoint])
    assert steps_in("stock.keras") == 9

    models = []

    def build_model():
        models.append(new_model())
        return models[-1]

    pitfall.remedy(build_model=build_model, **names_for(new_model()))
    for fold, model in enumerate(models):
        assert same_weights(keras.models.load_model(f"fold-{fold}.keras"), model)


@pinned
def test_second_auc_has_another_name(pitfall):
    def compiled():
        return new_model(metrics=[keras.metrics.AUC()])

    compiled()
    names = names_for(compiled())
    checkpoint = ModelCheckpoint("stock.keras", monitor="val_auc", mode="max", save_best_only=True)
    validation = (names["x"], names["y"])
    with pytest.warns(UserWarning) as warned:
        fit(names["model"], [checkpoint], epochs=3, validation_data=validation)
    pitfall.said(*(each.message for each in warned))
    assert steps_in("stock.keras") == 3

    remedied = pitfall.remedy(**names)
    assert remedied["checkpoint"].best == max(remedied["model"].history.history["val_auc"])


@pinned
def test_a_vector_is_no_scalar(pitfall):
    three = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    three.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    names = names_for(new_model())
    classes = np.eye(3, dtype="float32")[np.arange(8) % 3]
    checkpoint = ModelCheckpoint("stock.keras", monitor="f1_score", mode="max", save_best_only=True)
    with pytest.warns(UserWarning) as warned:
        three.fit(names["x"], classes, epochs=2, verbose=0, callbacks=[checkpoint])
    pitfall.said(*(each.message for each in warned))
    assert steps_in("stock.keras") == 2

    remedied = pitfall.remedy(**names)
    assert remedied["checkpoint"].best == max(remedied["model"].history.history["val_f1"])
