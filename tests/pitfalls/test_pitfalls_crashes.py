"""Crashes and full disks: what stock Keras does, and that the remedies of docs/PITFALLS.md work."""

import json
import os
import pathlib
import signal

import durable_checkpoint
import keras
import pytest
from gallery import (
    Interrupt,
    answer,
    child,
    cut,
    fit,
    fit_until,
    names_for,
    new_model,
    pinned,
    same_weights,
    steps,
)
from small_disk import may_mount

BackupAndRestore = keras.callbacks.BackupAndRestore
ModelCheckpoint = keras.callbacks.ModelCheckpoint


def interrupted_backup(folder, epoch, double_checkpoint=False):
    """A backup as it is when a training was interrupted in the epoch after this one."""
    options = {"double_checkpoint": True} if double_checkpoint else {}  # Keras 3.6 has no such
    backup = BackupAndRestore(folder, **options)
    fit_until(Interrupt(epoch), new_model(), [backup], epochs=4)


@pinned
def test_killed_in_mid_save(pitfall):
    folders = pitfall.folder / "stock", pitfall.folder / "remedied"
    for folder in folders:
        folder.mkdir()
    stock = child("stock_killed_in_mid_save", "", folders[0])
    remedied = child("remedy_killed_in_mid_save", pitfall.entry.blocks("python")[0], folders[1])
    assert answer(stock) == (-signal.SIGKILL, {"loaded_before": True})
    os.chdir(folders[0])
    with pytest.raises(ValueError) as error:
        keras.models.load_model("newest.keras")
    pitfall.said(f"ValueError: {error.value}")

    assert pitfall.code
    status, record = answer(remedied)
    assert status == -signal.SIGKILL
    os.chdir(folders[1])
    assert durable_checkpoint.verify("newest.keras") == "checksum"
    assert steps(keras.models.load_model("newest.keras")) == record["epoch"]


@pinned
def test_failed_save_empties_the_file(pitfall):
    class Scale(keras.layers.Layer):
        def __init__(self, function):
            super().__init__()

        def call(self, values):
            return 2 * values

    good = new_model()
    broken = keras.Sequential([keras.Input((4,)), Scale(lambda values: values)])
    good.save("stock.keras")
    with pytest.raises(NotImplementedError) as error:
        broken.save("stock.keras")
    pitfall.said(f"NotImplementedError: {error.value}")
    assert os.path.getsize("stock.keras") == 0

    good.save("best.keras")
    with pytest.raises(NotImplementedError):
        pitfall.remedy(model=broken)
    assert same_weights(keras.models.load_model("best.keras"), good)
    other = new_model()
    pitfall.remedy(model=other)
    assert same_weights(keras.models.load_model("best.keras"), other)


@pinned
def test_truncated_backup(pitfall):
    interrupted_backup("stock", epoch=1)
    cut("stock/latest.weights.h5")
    with pytest.raises(OSError) as error:
        fit(new_model(), [BackupAndRestore("stock")], epochs=4)
    pitfall.said(f"OSError: {error.value}")

    assert pitfall.code
    interrupted_backup("backup", epoch=1, double_checkpoint=True)
    cut("backup/latest.weights.h5")
    model = new_model()
    pitfall.remedy(**names_for(model))
    assert model.history.epoch == [1, 2, 3]
    assert steps(model) == 4


@pinned
def test_empty_metadata(pitfall):
    interrupted_backup("backup", epoch=1, double_checkpoint=True)
    pathlib.Path("backup/training_metadata.json").write_text("")
    with pytest.raises(json.JSONDecodeError) as error:
        fit(new_model(), [BackupAndRestore("backup", double_checkpoint=True)], epochs=4)
    pitfall.said(f"JSONDecodeError: {error.value}")

    model = new_model()
    pitfall.remedy(**names_for(model))
    assert model.history.epoch == [1, 2, 3]
    assert steps(model) == 4


@pinned
def test_weights_newer_than_their_epoch(pitfall):
    interrupted_backup("stock", epoch=1)
    pathlib.Path("stock/training_metadata.json").write_text('{"epoch": 1, "batch": 0}')
    model = new_model()
    fit(model, [BackupAndRestore("stock")], epochs=4)
    assert steps(model) == 5

    code = ("callbacks=[backup]", "callbacks=[interrupt, backup]")
    with pytest.raises(KeyboardInterrupt):
        pitfall.remedy(code, interrupt=Interrupt(2), **names_for(new_model()))
    newest = max(pathlib.Path("exact").glob("[!.]*"), key=os.path.getmtime)
    assert newest.is_file()
    cut(newest)
    model = new_model()
    pitfall.remedy(**names_for(model))
    assert steps(model) == 4


@pinned
def test_half_deleted_backup(pitfall):
    for folder in ("stock", "backup"):
        interrupted_backup(folder, epoch=3)
        os.remove(f"{folder}/latest.weights.h5")
    model = new_model()
    assert fit(model, [BackupAndRestore("stock")], epochs=4).epoch == []
    assert steps(model) == 0

    pitfall.remedy(**names_for(model := new_model()))
    assert steps(keras.models.load_model("final.keras")) == 4
    assert not os.path.exists("backup")


@pinned
def test_partly_written_file_loads(pitfall):
    code = pitfall.entry.blocks("python")[0]
    _, found = answer(child("weights_beyond_a_limit", code, pitfall.folder))
    pitfall.said(found["stock"])
    layers = [keras.layers.Dense(units) for units in (256, 256, 1)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        model.load_weights("stock.weights.h5")
    assert [float(weight.sum()) for weight in model.get_weights()] == found["weights"]
    assert steps(model) == 0

    assert pitfall.code
    assert found["remedy"].startswith("OSError: [Errno 27]"), found["remedy"]
    assert durable_checkpoint.verify("newest.weights.h5") == "checksum"
    model.load_weights("newest.weights.h5")
    assert steps(model) == 1


@pinned
def test_orbax_on_a_full_disk(pitfall):
    process = child(
        "orbax_on_a_full_disk", pitfall.entry.blocks("python")[0], pitfall.folder, may_mount()
    )
    _, found = answer(process)
    assert found["epochs"] == [0]
    assert "0" not in found["left"]

    assert pitfall.code
    assert found["raised"].startswith("the checkpoint of epoch 0 is not in")


@pinned
def test_nothing_is_ever_deleted(pitfall):
    fit(new_model(), [ModelCheckpoint("stock/{epoch}.keras")], epochs=6)
    assert len(os.listdir("stock")) == 6

    model = new_model()
    pitfall.remedy(**names_for(model))
    losses = model.history.history["loss"]
    kept = {5, 6, 1 + losses.index(min(losses))}
    assert {path.name for path in pathlib.Path().glob("*.keras")} == {
        f"epoch-{epoch:02d}.keras" for epoch in kept
    }
