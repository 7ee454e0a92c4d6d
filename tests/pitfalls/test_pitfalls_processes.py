"""Several processes: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import json
import os
import socket

import keras
import numpy as np
import pytest
from gallery import (
    answer,
    child,
    fit,
    names_for,
    new_model,
    pinned,
    same_weights,
    steps,
    validating,
)


@pinned
def test_two_trainings_with_one_file(pitfall):
    better, worse = new_model(), new_model()
    for model, loss in ((better, 0.1), (worse, 0.9)):
        stock = keras.callbacks.ModelCheckpoint("stock.keras", save_best_only=True)
        fit(validating(model, [loss]), [stock])
    assert same_weights(keras.models.load_model("stock.keras"), worse)

    for worker, (model, loss) in enumerate(((better, 0.1), (worse, 0.9))):
        pitfall.monkeypatch.setenv("WORKER", str(worker))
        pitfall.remedy(**names_for(validating(model, [loss])))
    assert same_weights(keras.models.load_model("worker-0/best.keras"), better)
    assert same_weights(keras.models.load_model("worker-1/best.keras"), worse)


@pinned
def test_several_workers_in_fit(pitfall):
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("localhost", 0))
    workers = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    code = pitfall.entry.blocks("python")[0]
    processes = [
        child(
            "one_of_several_workers",
            code,
            pitfall.folder,
            KERAS_BACKEND="tensorflow",
            CUDA_VISIBLE_DEVICES="",
            TF_CONFIG=json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            ),
        )
        for index in range(2)
    ]
    found = [answer(process)[1] for process in processes]
    for each in found:
        pitfall.said(each["stock"])

    assert pitfall.code
    assert found[0]["weights"] == found[1]["weights"]
    np.testing.assert_allclose(found[0]["weights"], found[0]["of_one_process"], rtol=1e-5)
    for worker in range(2):
        saved = keras.models.load_model(f"worker-{worker}/epoch-2.keras")
        assert saved.get_weights()[0].ravel().tolist() == found[0]["weights"]


@pinned
def test_orbax_folder_is_used_again(pitfall):
    def named_model():
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3, name="hidden"),
                keras.layers.Dense(1, name="output", activation="sigmoid"),
            ],
            name="net",
        )
        model.compile(keras.optimizers.Adam(name="adam"), "binary_crossentropy")
        return model

    folder = os.path.abspath("checkpoints")
    trained = named_model()
    fit(trained, [keras.callbacks.OrbaxCheckpoint(folder)], epochs=2)
    with pytest.raises(Exception) as error:
        fit(named_model(), [keras.callbacks.OrbaxCheckpoint(folder)], epochs=2)
    pitfall.said(f"{type(error.value).__name__}: {error.value}")

    model = named_model()
    remedied = pitfall.remedy(**names_for(model))
    assert remedied["history"].epoch == [2, 3]
    assert steps(model) == 4
