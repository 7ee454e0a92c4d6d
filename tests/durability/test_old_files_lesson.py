"""Lesson 18: what it found, draws and checks, and that its new file needs no converter."""

import hashlib
import json
import os
import re
import subprocess
import sys

import h5py
import keras
import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import old_checkpoint
import pytest
from conftest import BACKEND, REPOSITORY, code_under_headings, path_of

SCRIPT = "18_old_files"
FOLDER = REPOSITORY / "out" / SCRIPT
OLD_FILE, NEW_FILE = FOLDER / "weights-15.hdf5", FOLDER / "weights-15.keras"
STEPS = 15 * 52  # 514 training rows in batches of 10
WITHOUT_CONVERTER = """
import json, sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
steps = int(model.optimizer.iterations)
model.train_on_batch(np.zeros((2, 8)), np.zeros(2))
print(json.dumps([steps, int(model.optimizer.iterations), "old_checkpoint" in sys.modules]))
"""


@pytest.fixture(scope="module")
def found():
    return json.loads((FOLDER / "result.json").read_text())


@pytest.fixture(scope="module")
def batches_of(workspace_of_lesson):
    """The lesson's own generator of batches, with the first epoch's order only."""
    names = workspace_of_lesson
    (train,) = (c for h, c in code_under_headings(SCRIPT).items() if h.startswith("Train: go on"))
    source = train[train.index("order = ") : train.index("further = {}")]
    exec(compile(source, f"{SCRIPT}: batches", "exec"), names)  # noqa: S102
    return names


@pytest.fixture(scope="module")
def workspace_of_lesson():
    names = {}
    here = os.getcwd()
    os.chdir(REPOSITORY)
    for heading, code in code_under_headings(SCRIPT).items():
        if heading.startswith(("Settings", "Load the data")):
            exec(compile(code, f"{SCRIPT}: {heading}", "exec"), names)  # noqa: S102
    yield names
    os.chdir(here)


def prose(heading=""):
    """The text of the cells, on one line each; of the cell with this heading only, if given."""
    cells = re.findall(
        r'^# %% \[markdown\]\n"""\n(.*?)"""', path_of(SCRIPT).read_text(), re.DOTALL | re.MULTILINE
    )
    return " ".join(" ".join(c.split()) for c in cells if heading in c)


# ------------------------------------------------------------------ what it found


def test_the_further_epochs_are_those_of_keras_2_and_a_fresh_optimizers_are_not(found):
    curves = found["further_val_loss"]
    assert list(curves) == ["Keras 2", "converted", "fresh optimizer"]
    assert all(len(curve) == 15 for curve in curves.values())
    keras_2, converted, fresh = map(np.array, curves.values())
    assert np.abs(converted - keras_2).max() == found["loss_difference"] <= 1e-6
    assert found["weight_differences"]["Keras 2"] == 0
    assert found["weight_differences"]["converted"] <= 1e-6
    assert found["weight_differences"]["fresh optimizer"] > 1e-3
    assert np.abs(fresh - keras_2).max() > 1e-3
    assert found["reproduced"] == 15
    assert len(found["first_val_loss"]) == 15
    assert found["first_val_loss"][-1] < found["first_val_loss"][0]


def test_the_old_file_is_one_of_keras_2_and_the_new_one_holds_its_arrays(found):
    with h5py.File(OLD_FILE) as file:
        assert file.attrs["keras_version"].startswith("2.")
        group = file["model_weights"]
        old = [
            group[f"{layer}/{layer}/{name}:0"][()]
            for layer in group.attrs["layer_names"]
            for name in ("kernel", "bias")
        ]
        optimizer = file["optimizer_weights"]
        assert int(optimizer[optimizer.attrs["weight_names"][0]][()]) == STEPS
    model = keras.models.load_model(NEW_FILE)
    assert len(old) == 6
    for ours, theirs in zip(model.get_weights(), old, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert int(model.optimizer.iterations) == STEPS


def test_the_new_file_loads_and_trains_where_there_is_no_converter(found, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_CONVERTER, NEW_FILE],
        check=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert json.loads(run.stdout.splitlines()[-1]) == [STEPS, STEPS + 1, False]


def test_each_recorded_curve_begins_as_its_model_trains(found, batches_of):
    fresh = keras.models.load_model(OLD_FILE, compile=False)
    fresh.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    for name, model in (
        ("converted", keras.models.load_model(NEW_FILE)),
        ("fresh optimizer", fresh),
    ):
        for number, (rows, labels) in enumerate(batches_of["batches"](), start=1):
            model.train_on_batch(rows, labels)
            if number == 52:
                break
        held_out = batches_of["x_validation"], batches_of["y_validation"]
        loss = model.evaluate(*held_out, verbose=0, return_dict=True)["loss"]
        assert loss == pytest.approx(found["further_val_loss"][name][0], abs=1e-6), name
    losses = [found["further_val_loss"][name][0] for name in ("converted", "fresh optimizer")]
    assert abs(losses[0] - losses[1]) > 1e-4


def test_every_epoch_has_each_training_row_once_in_an_order_of_its_own(batches_of):
    every = [rows for rows, _ in batches_of["batches"]()]
    assert len(every) == 15 * 52
    epochs = [np.concatenate(every[start : start + 52]) for start in range(0, len(every), 52)]
    training = np.sort(batches_of["x"][:514], axis=0)
    assert all(np.array_equal(np.sort(epoch, axis=0), training) for epoch in epochs)
    assert not any(np.array_equal(epochs[0], epoch) for epoch in epochs[1:])
    again = [rows for rows, _ in batches_of["batches"]()]
    assert all(np.array_equal(a, b) for a, b in zip(every, again, strict=True))


# ------------------------------------------------------------------ what its prose says


def test_keras_3_says_to_the_file_what_the_prose_says(found):
    text = prose("Read what Keras 3 says")
    assert set(found["errors"]) == {"evaluate", "fit"}
    assert "'str' object is not callable" in found["errors"]["evaluate"]
    said = {"tensorflow": "Unknown variable", "jax": "built with 0 variables"}[BACKEND]
    assert said in found["errors"]["fit"]
    loaded = keras.models.load_model(OLD_FILE)
    assert "old step count and no averages" in text
    assert int(loaded.optimizer.iterations) == STEPS and len(loaded.optimizer.variables) == 2
    assert "`predict` is the only method that works" in text
    assert loaded.predict(np.zeros((3, 8)), verbose=0).shape == (3, 1)


def test_the_error_of_an_older_file_is_the_one_that_the_prose_quotes(tmp_path):
    """Keras up to 2.2 stored the configuration of a Sequential as a list of its layers."""
    path = tmp_path / "older.hdf5"
    path.write_bytes(OLD_FILE.read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"] = config["config"]["layers"]
        file.attrs["model_config"] = json.dumps(config)
    (quoted,) = re.findall(r"`TypeError: ([^`]+)`", prose("Read what Keras 3 says"))
    with pytest.raises(TypeError, match=re.escape(quoted)):
        keras.models.load_model(path)


def test_the_numbers_of_the_prose_are_those_of_the_run(found):
    times = int(re.search(r"more than (\d+) times", prose("## Check"))[1])
    assert found["weight_differences"]["fresh optimizer"] > times * 1e-6
    assert re.search(r"After (\d+) further epochs", prose("## Check"))[1] == "15"
    assert re.search(r"## Train: (\d+) epochs", prose())[1] == "15"


# ------------------------------------------------------------------ what it draws and checks


@pytest.fixture
def made_up(tmp_path):
    """What the lesson's last cells use, with values that no training gives."""
    plt.switch_backend("agg")
    old_file = tmp_path / "weights-15.hdf5"
    old_file.write_bytes(b"old")
    weights = [np.full(3, float(number)) for number in range(6)]
    later = [0.5 - 0.01 * epoch for epoch in range(15)]
    further = {"Keras 2": later, "converted": list(later), "fresh optimizer": [0.9] * 15}
    report = old_checkpoint.Report(
        "old", "new", "2.2.4", "", 3, 6, [], "Adam", 12, STEPS, {}, [], [], []
    )
    settings = {"SAVED_AFTER": 15, "EPOCHS": 30, "MOST_DIFFERENCE": 1e-6, "OUT": tmp_path}
    yield settings | {
        "plt": plt,
        "np": np,
        "hashlib": hashlib,
        "OLD_FILE": old_file,
        "NEW_FILE": tmp_path / "weights-15.keras",
        "checksum": hashlib.sha256(b"old").hexdigest(),
        "batches_per_epoch": 52,
        "first": [0.7 - 0.01 * epoch for epoch in range(15)],
        "further": further,
        "differences": {"Keras 2": 0.0, "converted": 1e-7, "fresh optimizer": 0.05},
        "old_weights": weights,
        "new_weights": [array.copy() for array in weights],
        "new_steps": STEPS,
        "report": report,
        "errors": {"evaluate": "TypeError: …", "fit": "ValueError: …"},
    }
    plt.close("all")


def test_the_figure_shows_each_curve_at_its_epochs_under_its_name(execute, made_up, tmp_path):
    names = execute(SCRIPT, "Look", **made_up)
    assert (tmp_path / "old_and_new_training.png").is_file()
    (axes,) = names["figure"].axes
    lines = {line.get_label(): line for line in axes.lines}
    last = made_up["first"][-1]
    curves = made_up["further"]
    (whole,) = (line for label, line in lines.items() if label.startswith("Keras 2"))
    assert list(whole.get_xdata()) == list(range(1, 31))
    assert list(whole.get_ydata()) == [*made_up["first"], *curves["Keras 2"]]
    colours = {matplotlib.colors.to_hex(whole.get_color())}
    for word, name in (("converted", "converted"), ("fresh", "fresh optimizer")):
        (line,) = (line for label, line in lines.items() if word in label)
        assert list(line.get_xdata()) == list(range(15, 31))
        assert list(line.get_ydata()) == [last, *curves[name]]
        colours.add(matplotlib.colors.to_hex(line.get_color()))
    assert len(colours) == 3
    (mark,) = (line for label, line in lines.items() if "saved" in label)
    assert list(mark.get_xdata()) == [15, 15] and "15" in mark.get_label()
    texts = {text.get_text() for text in axes.get_legend().get_texts()}
    assert texts == set(lines)
    assert "loss" in axes.get_ylabel() and "epoch" in axes.get_xlabel() and axes.get_title()


DAMAGES = {
    "the old file was changed": lambda n: n["OLD_FILE"].write_bytes(b"new"),
    "a weight differs": lambda n: n["new_weights"][5].__setitem__(2, 5.0000001),
    "the step count is lost": lambda n: n.update(new_steps=0),
    "the report has other steps": lambda n: setattr(n["report"], "steps", 779),
    "a weight was not compared": lambda n: setattr(n["report"], "equal", 5),
    "an average was not compared": lambda n: setattr(n["report"], "optimizer_equal", 11),
    "something was lost": lambda n: n["report"].lost.append("the step count"),
    "the new file needs the converter": lambda n: n["report"].imports.update(hard_sigmoid=["x"]),
    "a known difference": lambda n: n["report"].differences.append("embedding"),
    "Keras 3 trains the old file": lambda n: n["errors"].pop("fit"),
    "an epoch is missing": lambda n: [curve.pop() for curve in n["further"].values()],
    "a loss differs": lambda n: n["further"]["converted"].__setitem__(14, 0.360002),
    "the weights differ later": lambda n: n["differences"].update(converted=2e-6),
    "a fresh optimizer is as good": lambda n: n["differences"].update({"fresh optimizer": 5e-4}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_its_check_notices(execute, made_up, damage):
    execute(SCRIPT, "Check", **made_up)
    DAMAGES[damage](made_up)
    with pytest.raises((AssertionError, ValueError)):
        execute(SCRIPT, "Check", **made_up)
