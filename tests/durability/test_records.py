"""A damaged record is no record: it ends no training, hides no file and deletes none."""

import json
import os
import pathlib
import time
import warnings

import keras
import numpy as np
import pytest
from durable_checkpoint import (
    CorruptCheckpointError,
    DurableCheckpoint,
    files,
    newest_valid,
    read_record,
    records,
    temporary_names,
    verify,
)

NUMBERS = (1.0, 0.5)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.compile("adam", "mse")
    network.optimizer.build(network.trainable_variables)
    return network


def run(checkpoint, model, values, first=0):
    checkpoint.set_model(model)
    checkpoint.on_train_begin()
    for epoch, value in enumerate(values, first):
        checkpoint.on_epoch_end(epoch, {"loss": value})
    checkpoint.on_train_end()


def checkpoint_in(folder, **keywords):
    return DurableCheckpoint(folder / "e{epoch}.keras", monitor="loss", **keywords)


@pytest.fixture(scope="module")
def two(model, tmp_path_factory):
    """What a training of two epochs leaves."""
    folder = tmp_path_factory.mktemp("two")
    run(checkpoint_in(folder), model, NUMBERS)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


DAMAGES = {
    "saved_at": ["yesterday", [1], None, True, -1, 1e300, 253402300800],
    "value": ["x", True, 10**400, [0.1]],
    "best": ["x"],
    "template": [["e{epoch}.keras"], 1],
    "monitor": [["loss"]],
    "sha256": [None, "a\nb", "0" * 63, ["0" * 64]],
    "bytes": ["1", -1, 1.5],
    "epoch": ["1", 1.5, None, True],
    "batch": ["1"],
    "file": [None],
    "versions": [None, {"keras": 3}],
}
TEXTS = {
    "infinity": ('"saved_at": ', '"saved_at": Infinity, "was": '),
    "not a number": ('"saved_at": ', '"saved_at": NaN, "was": '),
    "more than a float": ('"saved_at": ', '"saved_at": 1e999, "was": '),
    "many digits": ('"saved_at": ', f'"saved_at": {"9" * 5000}, "was": '),
}


def damaged():
    for field, values in DAMAGES.items():
        for i, value in enumerate(values):
            edit = lambda r, f=field, v=value: json.dumps({**r, f: v})
            yield pytest.param(edit, id=f"{field}-{i}")
        if field not in ("value", "best", "template", "monitor"):
            lack = lambda r, f=field: json.dumps({k: v for k, v in r.items() if k != f})
            yield pytest.param(lack, id=f"no {field}")
    for name, (old, new) in TEXTS.items():
        yield pytest.param(lambda r, o=old, n=new: json.dumps(r).replace(o, n), id=name)
    yield pytest.param(lambda r: "[" * 200_000, id="deep")
    yield pytest.param(lambda r: '{"a":' * 100_000 + "1" + "}" * 100_000, id="deep and closed")
    yield pytest.param(lambda r: "", id="empty")
    yield pytest.param(lambda r: "[]", id="list")
    yield pytest.param(lambda r: json.dumps(r) + " " * (2 << 20), id="large")


@pytest.mark.parametrize("damage", list(damaged()))
def test_a_damaged_record_is_a_missing_one(tmp_path, two, damage):
    for name, content in two.items():
        (tmp_path / name).write_bytes(content)
    record = tmp_path / "e1.keras.json"
    record.write_text(damage(json.loads(record.read_text())))
    with pytest.raises(CorruptCheckpointError, match="the record is damaged"):
        read_record(tmp_path / "e1.keras")
    assert verify(tmp_path / "e1.keras") == "checksum"  # by the other file
    os.utime(tmp_path / "e1.keras", (1, 1))
    assert newest_valid(tmp_path).name == "e2.keras"
    # As a training does: at its begin, for its best value, and when it deletes.
    checkpoint = checkpoint_in(tmp_path, keep_last=1, keep_best=1)
    saved = checkpoint._saved_files
    assert records.is_time(saved.finish_what_a_crash_left())
    assert saved.best("loss", True) == NUMBERS[1]
    assert [os.path.basename(path) for path, _ in saved.records()] == ["e2.keras"]
    saved.prune(str(tmp_path / "e2.keras"), 1, 1, "loss", True)
    assert (tmp_path / "e1.keras").exists()
    (tmp_path / "e1.keras.sha256").unlink()
    assert verify(tmp_path / "e1.keras") == "structure"


def test_the_record_of_epoch_11_that_waits_for_its_name_is_not_that_of_epoch_1(tmp_path, two):
    (tmp_path / "1.keras").write_bytes(two["e1.keras"])
    waiting = pathlib.Path(temporary_names.record(str(tmp_path / "11.keras"), "tag"))
    waiting.write_bytes(two["e2.keras.json"])
    assert verify(tmp_path / "1.keras") == "structure"


def test_a_training_goes_on_beside_damaged_records(tmp_path, two, model):
    for name, content in two.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "e1.keras.json").write_text("[" * 200_000)
    (tmp_path / "e2.keras.json").unlink()
    (tmp_path / "e2.keras.json").mkdir()
    run(checkpoint_in(tmp_path, keep_last=1), model, [0.1], first=2)
    assert newest_valid(tmp_path).name == "e3.keras"
    assert sorted(path.name for path in tmp_path.glob("*.keras")) == [
        "e1.keras",
        "e2.keras",
        "e3.keras",
    ]


def test_a_record_without_its_file_goes_and_others_stay(tmp_path, two, model):
    for name, content in two.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "e1.keras").unlink()
    theirs = json.loads(two["e1.keras.json"]) | {"template": "other-{epoch}.keras"}
    (tmp_path / "other-1.keras.json").write_text(json.dumps(theirs))
    (tmp_path / "mine.json").write_text("{}")
    run(checkpoint_in(tmp_path), model, [])
    assert not (tmp_path / "e1.keras.json").exists()
    assert (tmp_path / "other-1.keras.json").exists() and (tmp_path / "mine.json").exists()
    assert read_record(tmp_path / "e2.keras")["epoch"] == 2


# ---- the order of time


def test_files_are_in_the_order_of_saving_also_if_the_clock_is_set_back(
    tmp_path, model, monkeypatch
):
    """In one training, in the next one, and between trainings of different names."""
    now, clock = [2_000_000_000.0], time.time
    monkeypatch.setattr(records.time, "time", lambda: now[0])
    monkeypatch.setattr(records, "_latest", 0.0)

    class ClockIsSetBack(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            now[0] -= 3600

    x = np.ones((8, 4))
    fit = {"x": x, "y": x[:, :2], "verbose": 0}
    model.fit(**fit, epochs=11, callbacks=[ClockIsSetBack(), checkpoint_in(tmp_path)])
    assert newest_valid(tmp_path).name == "e11.keras"
    times = [read_record(tmp_path / f"e{epoch}.keras")["saved_at"] for epoch in range(1, 12)]
    assert times == sorted(set(times))
    (tmp_path / "e11.keras.json").write_text("damaged")  # then the file's own time counts
    assert newest_valid(tmp_path).name == "e11.keras"
    monkeypatch.setattr(records, "_latest", 0.0)  # another process
    other = DurableCheckpoint(tmp_path / "a{epoch}.keras", keep_last=3)
    model.fit(**fit, epochs=2, callbacks=[ClockIsSetBack(), other])
    assert newest_valid(tmp_path).name == "a2.keras"
    two = [DurableCheckpoint(tmp_path / f"{name}.keras") for name in ("z", "y")]
    model.fit(**fit, epochs=3, callbacks=[ClockIsSetBack(), *two])
    assert newest_valid(tmp_path).name == "y.keras"
    assert clock() < times[-1]


# ---- names


@pytest.mark.parametrize(
    "name",
    ["Größe-模型.keras", "a\nb.keras", "a\\b.keras", "a\u2028b.keras", b"\xff\xfe{epoch}.keras"],
    ids=ascii,
)
def test_odd_names_are_saved_found_and_told_in_one_line(tmp_path, model, monkeypatch, name, capsys):
    name = os.fsdecode(name)
    path = os.path.join(tmp_path, name)
    run(DurableCheckpoint(path, verbose=1), model, [1.0, 0.5])
    assert "saving model to" in capsys.readouterr().out
    found = newest_valid(tmp_path, name)
    assert verify(found) == "checksum" and read_record(found)["file"] == found.name
    keras.models.load_model(os.fspath(found)) if "\udcff" not in name else None

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "publish", full)
    with warnings.catch_warnings(record=True) as said, pytest.raises(OSError) as caught:
        warnings.simplefilter("always")
        run(DurableCheckpoint(path), model, [1.0])
    told = [str(w.message) for w in said if "could not save" in str(w.message)]
    for text in (*told, str(caught.value)):
        assert len(text.splitlines()) == 1 and text.encode()
    assert len(told) == 1
