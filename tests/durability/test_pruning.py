"""`keep_last` and `keep_best` delete what is surely not to be kept, and after a save only."""

import os
import warnings

import keras
import numpy as np
import pytest
from durable_checkpoint import DurableCheckpoint, files, read_record, verify

NAN = float("nan")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def run(checkpoint, model, values, name="score", first=0):
    """Drive the callback through epochs with these values. Returns what it warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        checkpoint.set_model(model)
        checkpoint.on_train_begin()
        for epoch, value in enumerate(values, first):
            checkpoint.on_epoch_begin(epoch)
            checkpoint.on_epoch_end(epoch, {"loss": 1.0} | ({} if value is None else {name: value}))
        checkpoint.on_train_end()
    return [str(w.message) for w in said if "__array__" not in str(w.message)]


def checkpoint_in(folder, monitor="score", mode="min", **keywords):
    return DurableCheckpoint(folder / "e{epoch}.keras", monitor=monitor, mode=mode, **keywords)


def kept(folder):
    names = sorted(int(path.stem[1:]) for path in folder.glob("*.keras"))
    beside = {path.name for path in folder.iterdir()} - {f"e{epoch}.keras" for epoch in names}
    assert beside == {f"e{epoch}.keras{end}" for epoch in names for end in (".json", ".sha256")}
    assert all(verify(folder / f"e{epoch}.keras") == "checksum" for epoch in names)
    return names


@pytest.mark.parametrize(
    ("mode", "keywords", "expected"),
    [
        ("max", {"keep_best": 2}, [3, 6, 7]),
        ("min", {"keep_best": 2}, [2, 5, 7]),
        ("max", {"keep_best": 1, "keep_last": 2}, [6, 7]),
        ("max", {"keep_best": 1, "keep_last": 1}, [6, 7]),
    ],
)
def test_best_is_highest_or_lowest_as_mode_says(tmp_path, model, mode, keywords, expected):
    said = run(checkpoint_in(tmp_path, mode=mode, **keywords), model, [4, 1, 5, NAN, 2, 6, 3])
    assert kept(tmp_path) == expected and said == []


def test_the_direction_of_a_metric_is_keras_s(tmp_path, model):
    checkpoint = checkpoint_in(tmp_path, monitor="val_accuracy", mode="max", keep_best=2)
    run(checkpoint, model, [0.1, 0.9, 0.8, 0.2, 0.3], name="val_accuracy")
    assert kept(tmp_path) == [2, 3, 5]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_of_equal_files_the_earlier_one_is_kept(tmp_path, model, mode):
    """By the time of the save: as a name, 10 comes before 2."""
    run(checkpoint_in(tmp_path, mode=mode, keep_best=2), model, [1.0] * 5, first=7)
    assert kept(tmp_path) == [8, 9, 12]


@pytest.mark.parametrize("keywords", [{"keep_best": 3}, {"keep_best": 2, "keep_last": 1}])
def test_a_misspelt_monitor_deletes_nothing_and_is_told_once(tmp_path, model, keywords):
    said = run(checkpoint_in(tmp_path, monitor="scoer", **keywords), model, [3, 1, 2, 4, 5])
    assert kept(tmp_path) == [1, 2, 3, 4, 5]
    assert len(said) == 1 and "scoer available. There are loss, score" in said[0]
    assert "No file is deleted" in said[0]


def test_another_monitor_deletes_no_best_of_the_first(tmp_path, model):
    run(checkpoint_in(tmp_path, keep_best=2), model, [3, 1, 2, 4])
    assert kept(tmp_path) == [2, 3, 4]
    said = run(checkpoint_in(tmp_path, "loss", keep_best=1), model, [0, 0, 0], first=4)
    assert kept(tmp_path) == [2, 3, 4, 5, 7]
    assert len(said) == 1 and "another monitor than loss" in said[0] and "e2.keras" in said[0]
    # Back to the first one: those of the second stay for the same reason.
    run(checkpoint_in(tmp_path, keep_best=1), model, [0.5], first=7)
    assert kept(tmp_path) == [5, 7, 8]


def test_files_of_another_monitor_that_stay_anyway_are_not_spoken_of(tmp_path, model):
    run(checkpoint_in(tmp_path), model, [3, 1])
    said = run(checkpoint_in(tmp_path, "loss", keep_best=1, keep_last=9), model, [0, 0], first=2)
    assert kept(tmp_path) == [1, 2, 3, 4] and said == []


def test_a_file_without_a_value_goes_when_there_are_enough_with_one(tmp_path, model):
    """As with `validation_freq=2`."""
    checkpoint = checkpoint_in(tmp_path, keep_best=2)
    run(checkpoint, model, [None, 3])
    assert kept(tmp_path) == [1, 2]
    run(checkpoint, model, [None, 2, None], first=2)
    assert kept(tmp_path) == [2, 4, 5]


def test_files_of_others_and_without_record_stay(tmp_path, model):
    run(DurableCheckpoint(tmp_path / "e{epoch:02d}.keras"), model, [1, 2])
    (tmp_path / "e99.keras").write_bytes(b"of somebody else")
    (tmp_path / "e98.keras.json").write_text("{}")
    run(checkpoint_in(tmp_path, keep_last=1), model, [1, 2, 3])
    names = {path.name for path in tmp_path.iterdir()}
    assert {"e01.keras", "e02.keras", "e99.keras", "e98.keras.json"} < names
    assert "e3.keras" in names and not {"e1.keras", "e2.keras"} & names


@pytest.mark.parametrize("keywords", [{"keep_last": 1}, {"keep_best": 1}])
def test_nothing_is_deleted_before_the_new_file_is_there(tmp_path, model, monkeypatch, keywords):
    done = []
    delete, replace = files.delete, os.replace

    def deleted(paths, folder):
        done.extend(("delete", os.path.basename(path)) for path in paths)
        delete(paths, folder)

    def replaced(source, target):
        replace(source, target)
        if target.endswith((".keras", ".json")):
            done.append(("there", os.path.basename(target)))

    monkeypatch.setattr(files, "delete", deleted)
    monkeypatch.setattr(os, "replace", replaced)
    run(checkpoint_in(tmp_path, **keywords), model, [3, 2, 1])
    assert done == [
        ("there", "e1.keras"),
        ("there", "e1.keras.json"),
        ("there", "e2.keras"),
        ("there", "e2.keras.json"),
        ("delete", "e1.keras"),
        ("there", "e3.keras"),
        ("there", "e3.keras.json"),
        ("delete", "e2.keras"),
    ]


def test_a_deletion_that_is_cut_off_leaves_no_file_without_a_checksum(tmp_path, model, monkeypatch):
    run(checkpoint_in(tmp_path), model, [2, 1])
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for cut_off in range(3):
        for name, data in content.items():
            (tmp_path / name).write_bytes(data)
        left = [cut_off]
        remove = files.remove

        def until(path, left=left, remove=remove):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            remove(path)

        with monkeypatch.context() as now:
            now.setattr(files, "remove", until)
            with pytest.raises(KeyboardInterrupt):
                files.delete([str(tmp_path / "e1.keras")], str(tmp_path))
        if (tmp_path / "e1.keras").exists():
            assert verify(tmp_path / "e1.keras") == "checksum"
        run(checkpoint_in(tmp_path), model, [])
        assert kept(tmp_path) == ([1, 2] if cut_off < 1 else [2])


# ---- a value that is not one number

VECTOR = np.array([0.1, 0.2, 0.3])


@pytest.mark.parametrize("kind", ["numpy", "keras"])
def test_a_vector_as_monitor_is_called_a_vector(tmp_path, model, kind):
    value = VECTOR if kind == "numpy" else keras.ops.convert_to_tensor(VECTOR)
    checkpoint = checkpoint_in(tmp_path, save_best_only=True)
    said = run(checkpoint, model, [value] * 3)
    assert len(said) == 1 and "available" not in said[0]
    assert "score is an array of 3 numbers" in said[0] and "There are" not in said[0]
    assert kept(tmp_path) == [1, 2, 3]  # as in stock Keras: nothing is lost
    assert read_record(tmp_path / "e1.keras")["value"] is None


def test_a_vector_ranks_nothing(tmp_path, model):
    said = run(checkpoint_in(tmp_path, keep_best=1), model, [VECTOR] * 3)
    assert kept(tmp_path) == [1, 2, 3]
    assert len(said) == 1 and "array of 3 numbers" in said[0] and "No file is deleted" in said[0]


def test_a_vector_in_the_name_is_named(tmp_path, model):
    checkpoint = DurableCheckpoint(tmp_path / "{score:.2f}.keras")
    with pytest.raises(ValueError, match="score is an array of 3 numbers") as caught:
        run(checkpoint, model, [VECTOR])
    assert "\n" not in str(caught.value)
    checkpoint.close()


@pytest.mark.parametrize("name", ["best.keras", "best-{epoch}.keras"])
def test_a_file_of_stock_keras_has_no_value_and_it_is_said(tmp_path, name):
    """A new training cannot know that it is worse."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.save(tmp_path / name.format(epoch=1))

    def go(*more):
        best = DurableCheckpoint(
            tmp_path / name, monitor="loss", save_best_only=True, initial_value_threshold="saved"
        )
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[best, *more])

    class Refuse(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise InterruptedError

    before = (tmp_path / name.format(epoch=1)).read_bytes()
    said = pytest.warns(UserWarning, match="not saved by DurableCheckpoint")
    with said, pytest.raises(InterruptedError):
        go(Refuse())
    assert (tmp_path / name.format(epoch=1)).read_bytes() == before, "said when it was too late"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not saved by DurableCheckpoint")
        with pytest.raises(UserWarning):
            go()
    assert not list(tmp_path.glob(".*.lock")), "another process cannot train"
    with pytest.warns(UserWarning, match="not saved by DurableCheckpoint"):
        go()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not saved by DurableCheckpoint")
        go()  # now there is a record


def test_a_file_saved_under_another_monitor_has_no_value_either(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    for monitor, said in (("loss", None), ("mae", "with monitor='mae'"), ("mae", None)):
        best = DurableCheckpoint(
            tmp_path / "best.keras",
            monitor=monitor,
            mode="min",
            save_best_only=True,
            initial_value_threshold="saved",
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0, callbacks=[best])
        ours = [str(one.message) for one in caught if "DurableCheckpoint" in str(one.message)]
        assert len(ours) == (said is not None) and all(said in one for one in ours)
