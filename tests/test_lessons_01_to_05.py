"""Scripts 01 to 05: what is saved, drawn, printed, checked and said is what the lesson says.

The first tests look at what `make all` left. The others run single sections of the scripts with
given names, most of them made up, so that they take no training.
"""

import ast
import collections
import json
import pathlib
import re
import statistics
import types

import h5py
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sweep
from conftest import (
    BACKEND,
    REPOSITORY,
    SCRIPTS,
    cells_of,
    code_under_headings,
    docstring,
    path_of,
    score,
    strict_improvements,
    with_weights_of,
)

OUT = REPOSITORY / "out"
FIRST, SECOND, THIRD, FOURTH, FIFTH = LESSONS = SCRIPTS[:5]
SEEDS = dict(zip(LESSONS, (7, 7, 7, 6, 6), strict=True))


# --- What the scripts left in out/ ---


def test_same_seed_same_training_whatever_is_saved(results):
    assert results[FIRST]["val_accuracy"] == results[SECOND]["val_accuracy"]
    assert results[FOURTH]["val_accuracy"] == results[FIFTH]["val_accuracy"]


def test_01_each_file_scores_what_was_recorded_in_its_epoch(results, workspace):
    result, namespace = results[FIRST], workspace(FIRST)
    assert len(result["val_accuracy"]) == 150
    assert result["saved_epochs"] == strict_improvements(result["val_accuracy"])
    assert len(result["files"]) == len(result["saved_epochs"])
    for epoch in result["saved_epochs"]:
        recorded = result["val_accuracy"][epoch - 1]
        name = f"weights-improvement-{epoch:02d}-{recorded:.2f}.weights.h5"
        assert name in result["files"]
        namespace["model"].load_weights(OUT / FIRST / name)
        assert score(namespace["model"], namespace) == recorded


def test_02_the_file_is_the_best_epoch_and_equals_01s_best_bit_for_bit(results, workspace):
    result, namespace = results[SECOND], workspace(SECOND)
    best_file = OUT / SECOND / "weights.best.weights.h5"
    namespace["model"].load_weights(best_file)
    assert score(namespace["model"], namespace) == result["reproduced"]
    assert result["reproduced"] == max(result["val_accuracy"])
    assert result["saved_epochs"] == strict_improvements(result["val_accuracy"])
    assert result["best_epoch"] == result["saved_epochs"][-1]
    newest = f"weights-improvement-{result['best_epoch']:02d}-{result['reproduced']:.2f}.weights.h5"
    with h5py.File(best_file) as ours, h5py.File(OUT / FIRST / newest) as theirs:
        arrays = []
        ours.visititems(lambda name, item: arrays.append(name) if hasattr(item, "shape") else None)
        assert len(arrays) == 6 + 14
        assert all(np.array_equal(ours[name][()], theirs[name][()]) for name in arrays)


def test_03_measured_the_weights_that_02_saved(results, workspace):
    result, namespace = results[THIRD], workspace(THIRD)
    namespace["model"].load_weights(OUT / SECOND / "weights.best.weights.h5")
    assert result["validation_accuracy"] == score(namespace["model"], namespace)
    assert result["best_epoch"] == results[SECOND]["best_epoch"]
    assert len(result["further_val_accuracy"]) == 50
    rebuilt = keras.models.model_from_json((OUT / THIRD / "network.json").read_text())
    rebuilt.load_weights(OUT / SECOND / "weights.best.weights.h5")
    rows = namespace["x"], namespace["y"]
    assert rebuilt.evaluate(*rows, verbose=0, return_dict=True)["accuracy"] == result["reproduced"]


def test_04_each_of_25_models_scores_what_its_name_says(results, workspace):
    result, namespace = results[FOURTH], workspace(FOURTH)
    rows = namespace["x_validation"], namespace["y_validation"]
    assert len(result["files"]) == len(result["val_accuracy"]) == 25
    losses, first = [], None
    for epoch, recorded in enumerate(result["val_accuracy"], start=1):
        name = f"mnist-dense-{epoch:02d}-{recorded:.4f}.keras"
        model = keras.models.load_model(OUT / FOURTH / name)
        first = first or model
        scores = with_weights_of(model, first).evaluate(
            *rows, batch_size=200, verbose=0, return_dict=True
        )
        assert scores["accuracy"] == recorded
        assert int(model.optimizer.iterations) == epoch * 240
        losses.append(scores["loss"])
    assert result["lowest_val_loss_epoch"] == 1 + int(np.argmin(losses))


@pytest.mark.parametrize("which", ["best", "last"])
def test_04_test_scores_are_those_of_the_best_and_the_last_file(which, results, workspace):
    result, namespace = results[FOURTH], workspace(FOURTH)
    best = 1 + int(np.argmax(result["val_accuracy"]))
    assert result["best_epoch"] == best
    epoch = {"best": best, "last": 25}[which]
    (path,) = (OUT / FOURTH).glob(f"mnist-dense-{epoch:02d}-*.keras")
    model = keras.models.load_model(path)
    rows = namespace["x_test"], namespace["y_test"]
    scores = model.evaluate(*rows, verbose=0, return_dict=True)
    assert scores["accuracy"] == result["test_accuracy"][which]
    assert scores["loss"] == pytest.approx(result["test_loss"][which], rel=1e-5)


def test_05_the_file_is_04s_best_model_bit_for_bit(results, workspace):
    result, namespace = results[FIFTH], workspace(FIFTH)
    best = results[FOURTH]["best_epoch"]
    assert result["best_epoch"] == best
    assert result["saved_epochs"] == strict_improvements(result["val_accuracy"])
    ours = keras.models.load_model(OUT / FIFTH / "mnist-dense.keras")
    (path,) = (OUT / FOURTH).glob(f"mnist-dense-{best:02d}-*.keras")
    theirs = keras.models.load_model(path)
    assert ours.get_config()["layers"] == theirs.get_config()["layers"]
    for variables in (lambda model: model.weights, lambda model: model.optimizer.variables):
        pairs = zip(variables(ours), variables(theirs), strict=True)
        assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    rows = namespace["x_test"], namespace["y_test"]
    scores = ours.evaluate(*rows, verbose=0, return_dict=True)
    assert scores["accuracy"] == result["test_accuracy"]["best"]


def test_on_tensorflow_03_repeats_02s_epochs_and_elsewhere_it_does_not(results):
    """03 says so below its figure: with a seed set, TensorFlow shuffles every epoch alike."""
    result = results[THIRD]
    rest_of_02 = results[SECOND]["val_accuracy"][result["best_epoch"] :]
    both = min(len(rest_of_02), len(result["further_val_accuracy"]))
    same = result["further_val_accuracy"][:both] == rest_of_02[:both]
    assert same == (BACKEND == "tensorflow") or both == 0


def test_the_settings_for_speed_change_no_bit_of_weights_and_scores(workspace):
    namespace = workspace(FIRST)
    weights, scores = [], []
    batches = namespace["batches_per_epoch"]
    for steps, validation_batch, per_epoch in (1, None, None), (batches, 254, batches):
        keras.utils.set_random_seed(namespace["SEED"])
        model = keras.models.clone_model(namespace["model"])
        model.compile(
            loss="binary_crossentropy",
            optimizer="adam",
            metrics=["accuracy"],
            steps_per_execution=steps,
        )
        history = model.fit(
            namespace["x"],
            namespace["y"],
            validation_split=namespace["VALIDATION_SPLIT"],
            validation_batch_size=validation_batch,
            steps_per_epoch=per_epoch,
            batch_size=namespace["BATCH_SIZE"],
            epochs=3,
            verbose=0,
        )
        weights.append(model.get_weights())
        scores.append(history.history["val_accuracy"])
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))
    assert scores[0] == scores[1]
    assert not np.array_equal(weights[0][0], namespace["model"].get_weights()[0])


# --- Settings ---


@pytest.mark.parametrize("script", LESSONS)
def test_the_seed_is_set_and_is_the_one_that_the_numbers_come_from(script, execute):
    assert execute(script, "Settings")["SEED"] == SEEDS[script]
    drawn = np.random.rand(), keras.ops.convert_to_numpy(keras.random.uniform((1,)))
    keras.utils.set_random_seed(SEEDS[script])
    assert drawn == (np.random.rand(), keras.ops.convert_to_numpy(keras.random.uniform((1,))))


@pytest.mark.parametrize(
    ("script", "epochs", "batch_size", "share"),
    [
        (FIRST, 150, 10, 0.33),
        (SECOND, 150, 10, 0.33),
        (FOURTH, 25, 200, 0.2),
        (FIFTH, 25, 200, 0.2),
    ],
)
def test_the_settings_are_the_tutorials(script, epochs, batch_size, share, execute):
    names = execute(script, "Settings")
    settings = names["EPOCHS"], names["BATCH_SIZE"], names["VALIDATION_SPLIT"]
    assert settings == (epochs, batch_size, share)


# --- Look: the figures, drawn from made-up curves ---

ACCURACY = [0.35, 0.45, 0.55, 0.58, 0.65, 0.75]
VAL_ACCURACY = [0.30, 0.50, 0.40, 0.50, 0.70, 0.60]  # rises strictly in epochs 1, 2 and 5
LOSS = [0.9, 0.7, 0.5, 0.3, 0.2, 0.1]
VAL_LOSS = [0.8, 0.6, 0.45, 0.5, 0.55, 0.62]  # lowest in epoch 3
CURVES = {
    "EPOCHS": 6,
    "history": types.SimpleNamespace(
        history={
            "accuracy": ACCURACY,
            "val_accuracy": VAL_ACCURACY,
            "loss": LOSS,
            "val_loss": VAL_LOSS,
        },
        epoch=list(range(6)),
    ),
    "val_accuracy": VAL_ACCURACY,
    "best_so_far": np.array([-1, 0.3, 0.5, 0.5, 0.5, 0.7, 0.7]),
    "saved_epochs": [1, 2, 5],
    "best_epoch": 5,
    "best_val_accuracy": 0.7,
    "training_loss": LOSS,
    "val_loss": VAL_LOSS,
    "lowest_epoch": 3,
    "saved_files": dict.fromkeys(range(1, 7)),
}
EPOCHS = list(range(1, 7))


def numbers(text: str) -> list[float]:
    """Every number in the text, in its order; thousands may be grouped by commas."""
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


@pytest.fixture
def draw(execute, tmp_path):
    """Run a script's *Look* with given names; check what all figures share; return its axes."""

    def run(script: str, **names) -> list:
        names = {"np": np, "plt": plt, "OUT": tmp_path} | names
        figure = execute(script, "Look", **names)["figure"]
        figure.draw_without_rendering()
        (saved,) = tmp_path.iterdir()
        assert f"`{saved.name}`" in docstring(script) and saved.suffix == ".png"
        assert saved.name in code_under_headings(script)[look_heading(script)]
        width, height = plt.imread(saved).shape[1::-1]
        assert width == 1200 and height >= 675
        assert figure.axes[0].get_title() and figure.axes[-1].get_xlabel() == "epoch"
        for axes in figure.axes:
            assert re.search(r"\(.+\)", axes.get_ylabel())
            handles = axes.get_legend_handles_labels()
            legend = legend_of(axes)
            shown = [text.get_text() for text in legend.get_texts()]
            assert shown == handles[1] and len(shown) == len(axes.lines)
            drawn = [handle.get_color() for handle in legend.legend_handles]
            assert drawn == [line.get_color() for line in axes.lines]
            curves = [line for line in axes.lines if line.get_linestyle() == "-"]
            assert len({line.get_color() for line in curves}) == len(curves) >= 2
            for axis in axes.xaxis, axes.yaxis:
                places = [float(tick.get_loc()) for tick in axis.get_major_ticks()]
                said = [tick.label1.get_text().replace("−", "-") for tick in axis.get_major_ticks()]
                assert all(not s or float(s) == pytest.approx(p) for s, p in zip(said, places))
        return figure.axes

    yield run
    plt.close("all")


def legend_of(axes):
    """The legend within the axes, or else the figure's only one."""
    if legend := axes.get_legend():
        return legend
    (legend,) = axes.figure.legends
    return legend


def look_heading(script: str) -> str:
    return next(title for title in code_under_headings(script) if title.startswith("Look"))


def points(axes, label: str) -> tuple[list, list]:
    """The data of the one line with this label."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return list(line.get_xdata()), list(line.get_ydata())


def rings(axes) -> list[tuple]:
    """(x, y, label) of each ring: a large circle without filling."""
    return [
        (*line.get_xdata(), *line.get_ydata(), line.get_label())
        for line in axes.lines
        if line.get_marker() == "o" and line.get_markersize() >= 12
        if line.get_markerfacecolor() == "none"
    ]


def marks(axes, label: str) -> bool:
    """Whether the line with this label is drawn as marks only."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line.get_linestyle() == "None" and line.get_marker() in ("o", "x")


def test_01_marks_every_save_and_rings_the_best(draw):
    (axes,) = draw(FIRST, **CURVES)
    assert points(axes, "training") == (EPOCHS, ACCURACY)
    assert points(axes, "validation") == (EPOCHS, VAL_ACCURACY)
    assert points(axes, "saved") == ([1, 2, 5], [0.3, 0.5, 0.7]) and marks(axes, "saved")
    ((x, y, label),) = rings(axes)
    assert (x, y) == (5, 0.7) and numbers(label) == [0.7, 5] and label.startswith("best")
    assert numbers(axes.get_title()) == [3, 6]


@pytest.mark.parametrize("script", [SECOND, FIFTH])
def test_02_and_05_ring_the_file_that_is_left_and_mark_the_overwritten(script, draw):
    (axes,) = draw(script, **CURVES)
    assert points(axes, "training") == (EPOCHS, ACCURACY)
    assert points(axes, "validation") == (EPOCHS, VAL_ACCURACY)
    assert points(axes, "overwritten") == ([1, 2], [0.3, 0.5]) and marks(axes, "overwritten")
    ((x, y, label),) = rings(axes)
    assert (x, y) == (5, 0.7) and numbers(label) == [0.7, 5] and label.startswith("left on disk")
    assert numbers(axes.get_title()) == [3, 6]


def test_03_ends_02s_curve_at_the_ring_and_goes_on_from_there(draw):
    further = types.SimpleNamespace(epoch=[5, 6, 7])  # Keras counts epochs from 0
    (axes,) = draw(
        THIRD,
        recorded={"val_accuracy": VAL_ACCURACY},
        recorded_epoch=5,
        recorded_accuracy=0.7,
        history=further,
        further_accuracy=[0.55, 0.65, 0.6],
        FURTHER_EPOCHS=3,
    )
    assert points(axes, "script 02") == (EPOCHS[:5], VAL_ACCURACY[:5])
    assert points(axes, "trained further here") == ([5, 6, 7, 8], [0.7, 0.55, 0.65, 0.6])
    ((x, y, label),) = rings(axes)
    assert (x, y) == (5, 0.7) and numbers(label) == [0.7, 5] and label.startswith("loaded")
    assert numbers(axes.get_title())[0] == 3


def test_04_shows_the_best_accuracy_and_the_lowest_loss(draw):
    upper, lower = draw(FOURTH, **CURVES)
    assert points(upper, "training") == (EPOCHS, ACCURACY)
    assert points(upper, "validation") == (EPOCHS, VAL_ACCURACY)
    assert points(upper, "saved: every epoch") == (EPOCHS, VAL_ACCURACY)
    assert marks(upper, "saved: every epoch")
    ((x, y, label),) = rings(upper)
    assert (x, y) == (5, 0.7) and numbers(label) == [0.7, 5] and label.startswith("best")
    assert points(lower, "training") == (EPOCHS, LOSS)
    assert points(lower, "validation") == (EPOCHS, VAL_LOSS)
    ((x, y, label),) = rings(lower)
    assert (x, y) == (3, 0.45) and numbers(label) == [0.45, 3] and label.startswith("lowest")
    assert points(lower, "best validation accuracy")[0] == [5, 5]
    assert numbers(upper.get_title()) == [5, 3]
    assert upper.get_ylabel().startswith("accuracy") and lower.get_ylabel().startswith("loss")


def covered(axes) -> list[str]:
    """The labels of the lines that run below the legend."""
    box = legend_of(axes).get_window_extent()
    found = []
    for line in axes.lines:
        corners = line.get_transform().transform(line.get_xydata())
        steps = np.arange(0, max(len(corners) - 1, 0.01), 0.01)  # points between the corners, too
        x, y = (np.interp(steps, range(len(corners)), corners[:, axis]) for axis in (0, 1))
        if np.any((x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)):
            found.append(line.get_label())
    return found


@pytest.mark.parametrize("script", [FIRST, SECOND, FOURTH, FIFTH])
def test_the_legend_covers_no_line(script, results, draw):
    """Drawn from the recorded scores; for curves that are not recorded stand similar ones."""
    result = results[script]
    epochs = len(result["val_accuracy"])
    falling = [0.31 * 0.7**epoch for epoch in range(epochs)]
    training = [0.98 * value for value in result["val_accuracy"]]
    if script in (FOURTH, FIFTH):
        training = [1 - 0.3 * value for value in falling]
    curves = {"accuracy": training, "val_accuracy": result["val_accuracy"], "loss": falling}
    curves["val_loss"] = [0.07 + 0.5 * value for value in falling]
    given = {name: result[name] for name in ("val_accuracy", "saved_epochs")}
    given |= {"EPOCHS": epochs, "history": types.SimpleNamespace(history=curves)}
    given |= {"training_loss": falling, "val_loss": curves["val_loss"]}
    for best in {result["best_epoch"], *((17, 25) if script == FOURTH else ())}:
        given |= {"best_epoch": best, "best_val_accuracy": max(result["val_accuracy"])}
        axes = draw(script, **CURVES | given)
        assert [covered(each) for each in axes] == [[]] * len(axes)


def test_every_figure_has_a_name_of_its_own():
    named = [re.findall(r"`(\w+\.png)`", docstring(script)) for script in LESSONS]
    assert all(len(found) == 1 for found in named)
    assert len({found[0] for found in named}) == 5 and "learning_curve.png" not in str(named)


# --- What is printed ---


def test_03_prints_the_patients_as_they_stand_in_the_table(execute, capsys):
    rows = np.loadtxt(REPOSITORY / "data" / "pima-indians-diabetes.csv", delimiter=",")
    first = len(rows) - 254
    given = np.array([[0.1], [0.9], [0.4999], [0.501], [0.3], [0.7], [0.2], [0.8]])

    def predict(x, verbose):
        assert np.array_equal(x, rows[first : first + 8, :8])
        return given

    execute(
        THIRD,
        "Predict",
        model=types.SimpleNamespace(predict=predict),
        x_validation=rows[first:, :8],
        y_validation=rows[first:, 8],
        training_rows=first,
    )
    header, *lines = capsys.readouterr().out.strip().splitlines()
    titles = re.split(r" {2,}", header)
    assert titles == ["row", "glucose", "body mass", "age", "probability", "answer", "truth"]
    # Columns of the file: pregnancies, glucose, pressure, skin fold, insulin, mass, pedigree, age.
    for line, row, (probability,) in zip(lines, range(first, first + 8), given, strict=True):
        seen = dict(zip(titles, map(float, line.split()), strict=True))
        assert seen == {
            "row": row,
            "glucose": rows[row, 1],
            "body mass": rows[row, 5],
            "age": rows[row, 7],
            "probability": pytest.approx(probability, abs=5e-4),
            "answer": probability > 0.5,
            "truth": rows[row, 8],
        }


def test_03_prints_both_accuracies_of_the_loaded_model(execute, workspace, results, capsys):
    execute(THIRD, "Load the weights", **workspace(THIRD))
    printed = numbers(capsys.readouterr().out)
    result, saved = results[THIRD], results[SECOND]
    assert printed == pytest.approx(
        [100 * result["reproduced"], 77.73, saved["reproduced"], saved["reproduced"]], abs=5e-3
    )


def test_04_prints_the_best_and_the_last_model_beside_their_own_scores(execute, capsys):
    scores = {"e5": {"accuracy": 0.75, "loss": 0.25}, "e6": {"accuracy": 0.65, "loss": 0.35}}
    images = object(), object()

    def load_model(path):
        def evaluate(x, y, verbose, return_dict):
            assert (x, y) == images
            return scores[path]

        return types.SimpleNamespace(evaluate=evaluate)

    names = CURVES | {
        "keras": types.SimpleNamespace(models=types.SimpleNamespace(load_model=load_model)),
        "saved_files": {epoch: f"e{epoch}" for epoch in EPOCHS},
        "x_test": images[0],
        "y_test": images[1],
        "np": np,
    }
    names = execute(FOURTH, "The best and the last", **names)
    header, best, last, losses = capsys.readouterr().out.strip().splitlines()
    titles = re.split(r" {2,}", header.strip())
    assert titles == ["training loss", "validation accuracy", "test accuracy", "test loss"]
    assert best.startswith("best") and numbers(best) == [5, 0.2, 0.7, 0.75, 0.25]
    assert last.startswith("last") and numbers(last) == [6, 0.1, 0.6, 0.65, 0.35]
    assert losses.startswith("validation loss") and numbers(losses) == [0.45, 3, 0.62]
    assert names["best_scores"] == scores["e5"] and names["last_scores"] == scores["e6"]
    assert names["lowest_epoch"] == 3


def test_05_prints_the_test_accuracy_and_the_size_on_disk(execute, results, workspace, capsys):
    execute(FIFTH, "What one file saves", **workspace(FIFTH))
    accuracy, one, all_together, count = numbers(capsys.readouterr().out)
    size = (OUT / FIFTH / "mnist-dense.keras").stat().st_size / 1e6
    assert accuracy == round(results[FIFTH]["test_accuracy"]["best"], 4)
    assert (one, all_together, count) == (round(size, 1), round(25 * size, 1), 25)
    assert results[FIFTH]["megabytes"] == round(size, 1)
    assert results[FOURTH]["megabytes"] == pytest.approx(25 * size, rel=0.001)


# --- Result: each number under its own name ---

RESULT = CURVES | {
    "json": json,
    "keras": keras,
    "DOCUMENTED_VAL_ACCURACY": 0.11,
    "DOCUMENTED_ACCURACY": 0.12,
    "files": ["a", "b", "c"],
    "recorded_epoch": 4,
    "recorded_accuracy": 0.71,
    "accuracy": 0.72,
    "scores": {"accuracy": 0.73},
    "further_accuracy": [0.74],
    "best_scores": {"accuracy": 0.75, "loss": 0.25},
    "last_scores": {"accuracy": 0.65, "loss": 0.35},
    "megabytes": 1.23,
}
CURVE = {"best_epoch": 5, "reproduced": 0.7, "val_accuracy": VAL_ACCURACY, "documented": 0.11}
EXPECTED_RESULT = {
    FIRST: CURVE | {"saved_epochs": [1, 2, 5], "files": ["a", "b", "c"]},
    SECOND: CURVE | {"saved_epochs": [1, 2, 5], "files": ["best.weights.h5"]},
    THIRD: {
        "documented": 0.12,
        "reproduced": 0.72,
        "validation_accuracy": 0.73,
        "further_val_accuracy": [0.74],
        "best_epoch": 4,
        "files": ["network.json"],
    },
    FOURTH: CURVE
    | {
        "saved_epochs": EPOCHS,
        "lowest_val_loss_epoch": 3,
        "training_loss": {"best": 0.2, "last": 0.1},
        "test_accuracy": {"best": 0.75, "last": 0.65},
        "test_loss": {"best": 0.25, "last": 0.35},
        "files": [f"e{epoch}" for epoch in EPOCHS],
        "megabytes": 1.2,
    },
    FIFTH: CURVE
    | {
        "saved_epochs": [1, 2, 5],
        "test_accuracy": {"best": 0.75},
        "files": ["best.weights.h5"],
        "megabytes": 1.2,
    },
}


@pytest.mark.parametrize("script", LESSONS)
def test_result_holds_each_number_under_its_own_name(script, execute, tmp_path, capsys):
    saved = {epoch: tmp_path / f"e{epoch}" for epoch in EPOCHS}
    for path in saved.values():
        path.write_text("x")
    names = RESULT | {"OUT": tmp_path, "FILE": tmp_path / "best.weights.h5", "saved_files": saved}
    execute(script, "Result", **names)
    result = json.loads((tmp_path / "result.json").read_text())
    common = {"script": tmp_path.name, "keras": keras.version(), "backend": BACKEND}
    quantity = "accuracy on all rows" if script == THIRD else "best validation accuracy"
    assert result == common | {"quantity": quantity} | EXPECTED_RESULT[script]
    printed = numbers(capsys.readouterr().out)
    epoch = {FIRST: 148, SECOND: 145, FOURTH: 22, FIFTH: 22}
    assert printed == ([] if script == THIRD else [0.7, 5, 0.11, epoch[script]])


# --- Check: it holds for what is right, and fails for one thing that is wrong ---


def fails(execute, script: str, names: dict, **wrong) -> None:
    with pytest.raises(AssertionError):
        execute(script, "Check", **(names | wrong))


class Scored:
    """A model whose score is what stands in the file that it was loaded from."""

    def __init__(self, rows, batch_size, accuracy=None, steps=None):
        self.rows, self.batch_size, self.accuracy = rows, batch_size, accuracy
        self.optimizer = types.SimpleNamespace(iterations=steps, variables=[])
        self.weights = []

    def load_weights(self, path):
        with h5py.File(path) as file:
            self.accuracy = float(file.attrs["accuracy"])

    def evaluate(self, x, y, batch_size, verbose, return_dict):
        assert (x, y) == self.rows and batch_size == self.batch_size and return_dict
        return {"accuracy": self.accuracy, "loss": 0.5}


def write(path: pathlib.Path, accuracy: float, steps: int = 0) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["accuracy"] = accuracy
        file["optimizer/vars/0"] = steps


ROWS = tuple(range(254)), tuple(range(254, 508))


@pytest.fixture
def first_check(execute, tmp_path):
    """The names that 01's *Check* needs, with three files that hold their epochs' scores."""
    values = [0.30, 0.52, 0.40, 0.524, 0.70, 0.60]
    names = CURVES | {
        "np": np,
        "OUT": tmp_path,
        "FILE": tmp_path / "weights-improvement-{epoch:02d}-{val_accuracy:.2f}.weights.h5",
        "model": Scored(ROWS, 254),
        "x_validation": ROWS[0],
        "y_validation": ROWS[1],
        "val_accuracy": values,
        "saved_epochs": [1, 2, 4, 5],
        "saved_val_accuracy": [0.30, 0.52, 0.524, 0.70],
    }
    for epoch in names["saved_epochs"]:
        write(
            tmp_path / f"weights-improvement-{epoch:02d}-{values[epoch - 1]:.2f}.weights.h5",
            values[epoch - 1],
        )
    assert execute(FIRST, "Check", **names)["files"] == sorted(p.name for p in tmp_path.iterdir())
    return names


def test_01_check_notices_a_missing_file(first_check, execute, tmp_path):
    next(tmp_path.glob("*-04-*")).unlink()
    fails(execute, FIRST, first_check)


def test_01_check_notices_a_file_too_many(first_check, execute, tmp_path):
    write(tmp_path / "weights-improvement-06-0.60.weights.h5", 0.6)
    fails(execute, FIRST, first_check)


def test_01_check_notices_two_files_exchanged(first_check, execute, tmp_path):
    two, four = (next(tmp_path.glob(f"*-0{epoch}-*")) for epoch in (2, 4))
    two.rename(tmp_path / "aside")
    four.rename(two)
    (tmp_path / "aside").rename(four)
    fails(execute, FIRST, first_check)


@pytest.mark.parametrize("epoch", [1, 2, 4, 5])
def test_01_check_notices_a_score_that_is_not_the_recorded_one(epoch, first_check, execute):
    values = list(first_check["val_accuracy"])
    values[epoch - 1] += 1e-7
    fails(execute, FIRST, first_check, val_accuracy=values)


def test_01_check_notices_a_rise_of_less_than_one_answer(first_check, execute):
    fails(execute, FIRST, first_check, saved_val_accuracy=[0.30, 0.52, 0.523, 0.70])


@pytest.fixture
def second_check(execute, tmp_path):
    file = tmp_path / "weights.best.weights.h5"
    write(file, 0.7, 5 * 52)
    names = CURVES | {
        "h5py": h5py,
        "OUT": tmp_path,
        "FILE": file,
        "model": Scored(ROWS, 254),
        "x_validation": ROWS[0],
        "y_validation": ROWS[1],
        "batches_per_epoch": 52,
    }
    execute(SECOND, "Check", **names)
    return names


@pytest.mark.parametrize(("accuracy", "steps"), [(0.7 - 1e-7, 5 * 52), (0.7, 6 * 52), (0.6, 0)])
def test_02_check_notices_the_file_of_another_epoch(accuracy, steps, second_check, execute):
    write(second_check["FILE"], accuracy, steps)
    fails(execute, SECOND, second_check)


def test_02_check_notices_a_second_file_and_a_missing_one(second_check, execute, tmp_path):
    write(tmp_path / "other.weights.h5", 0.7)
    fails(execute, SECOND, second_check)
    second_check["FILE"].unlink()
    (tmp_path / "other.weights.h5").unlink()
    fails(execute, SECOND, second_check)


THIRD_CHECK = {
    "np": np,
    "loaded": [np.arange(3.0), np.ones((2, 2)), np.array(208)],
    "saved": [np.arange(3.0), np.ones((2, 2)), np.array(208)],
    "rebuilt": Scored(ROWS, 254, accuracy=0.7),
    "scores": {"accuracy": 0.7},
    "recorded_accuracy": 0.7,
    "recorded_epoch": 4,
    "loaded_steps": 208,
    "model": types.SimpleNamespace(optimizer=types.SimpleNamespace(iterations=208 + 156)),
    "FURTHER_EPOCHS": 3,
    "batches_per_epoch": 52,
    "x_validation": ROWS[0],
    "y_validation": ROWS[1],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"loaded": [np.arange(3.0), np.ones((2, 2)), np.array(0)]},
        {"loaded": [np.arange(3.0) + 1e-7, np.ones((2, 2)), np.array(208)]},
        {"rebuilt": Scored(ROWS, 254, accuracy=0.6)},
        {"scores": {"accuracy": 0.6}},
        {"recorded_accuracy": 0.7 + 1e-7},
        {"recorded_epoch": 5},
        {"loaded_steps": 0},
        {"model": types.SimpleNamespace(optimizer=types.SimpleNamespace(iterations=156))},
    ],
    ids=["optimizer", "weight", "rebuilt", "loaded", "recorded", "epoch", "steps", "restarted"],
)
def test_03_check_notices(wrong, execute):
    execute(THIRD, "Check", **THIRD_CHECK)
    fails(execute, THIRD, THIRD_CHECK, **wrong)


def variables(*last) -> types.SimpleNamespace:
    """A model with these weights, and beside them a step count and a moment."""
    optimizer = types.SimpleNamespace(variables=[np.array(1440), np.full(2, last[-1])])
    return types.SimpleNamespace(weights=[np.arange(4.0), np.array(last)], optimizer=optimizer)


FOURTH_CHECK = CURVES | {
    "np": np,
    "keras": keras,
    "epochs": range(1, 7),
    "saved_files": {
        epoch: pathlib.Path(f"mnist-dense-{epoch:02d}-{value:.4f}.keras")
        for epoch, value in enumerate(VAL_ACCURACY, start=1)
    },
    "best_model": Scored(ROWS, 200, accuracy=0.7, steps=5 * 240),
    "last_model": variables(0.25, 0.5),
    "model": variables(0.25, 0.5),
    "x_validation": ROWS[0],
    "y_validation": ROWS[1],
    "BATCH_SIZE": 200,
    "batches_per_epoch": 240,
}
SWAPPED = FOURTH_CHECK["saved_files"] | {
    2: FOURTH_CHECK["saved_files"][3],
    3: FOURTH_CHECK["saved_files"][2],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"saved_files": {e: p for e, p in FOURTH_CHECK["saved_files"].items() if e != 3}},
        {"saved_files": SWAPPED},
        {"val_accuracy": [*VAL_ACCURACY[:3], 0.5001, *VAL_ACCURACY[4:]]},
        {"best_model": Scored(ROWS, 200, accuracy=0.7 - 1e-7, steps=5 * 240)},
        {"best_model": Scored(ROWS, 200, accuracy=0.7, steps=6 * 240)},
        {"last_model": variables(0.25, 0.500001)},
        {"last_model": variables(0.250001, 0.5)},
        {"model": variables(0.25, 0.500001)},
        {
            "last_model": types.SimpleNamespace(
                weights=variables(0.25, 0.5).weights,
                optimizer=types.SimpleNamespace(variables=[np.array(1200), np.full(2, 0.5)]),
            )
        },
    ],
    ids=["file", "names", "score", "best", "steps", "last", "weight", "trained", "optimizer"],
)
def test_04_check_notices(wrong, execute):
    execute(FOURTH, "Check", **FOURTH_CHECK)
    fails(execute, FOURTH, FOURTH_CHECK, **wrong)


@pytest.fixture
def fifth_check(execute, tmp_path):
    file = tmp_path / "mnist-dense.keras"
    file.write_text("a model")
    names = FOURTH_CHECK | {"OUT": tmp_path, "FILE": file}
    execute(FIFTH, "Check", **names)
    return names


@pytest.mark.parametrize(
    "wrong",
    [
        {"best_model": Scored(ROWS, 200, accuracy=0.7 - 1e-7, steps=5 * 240)},
        {"best_model": Scored(ROWS, 200, accuracy=0.7, steps=6 * 240)},
        {"best_epoch": 4},
    ],
    ids=["score", "steps", "epoch"],
)
def test_05_check_notices(wrong, fifth_check, execute):
    fails(execute, FIFTH, fifth_check, **wrong)


def test_05_check_notices_a_second_file_and_a_missing_one(fifth_check, execute, tmp_path):
    (tmp_path / "another.keras").write_text("a model")
    fails(execute, FIFTH, fifth_check)
    (tmp_path / "another.keras").unlink()
    fifth_check["FILE"].unlink()
    fails(execute, FIFTH, fifth_check)


# --- Prose: the numbers are those of the data, the runs and the sweep ---


def prose(script: str, heading: str) -> str:
    """The text of the one cell with this heading, its lines joined."""
    cells = [cell.source for cell in cells_of(script)]
    (text,) = [text for text in cells if re.search(rf"^#+ {heading}", text, flags=re.MULTILINE)]
    return " ".join(text.split())


def said(script: str, heading: str) -> collections.Counter:
    return collections.Counter(numbers(prose(script, heading)))


def test_01_says_how_often_no_diabetes_is_right_and_for_how_long(results, workspace):
    namespace = workspace(FIRST)
    right = int(np.sum(namespace["y_validation"] == 0))
    rows = len(namespace["y_validation"])
    assert said(FIRST, "Look") == {right: 1, rows: 1, round(right / rows, 4): 1}
    epochs = {"one": 1, "five": 5, "eight": 8, "nine": 9, "ten": 10, "eleven": 11}
    words = re.findall(r"(\w+) on (?:TensorFlow|JAX)", prose(FIRST, "Look"))
    leading = next(
        e for e, v in enumerate(results[FIRST]["val_accuracy"]) if v > right / rows + 1e-6
    )
    assert (
        abs(leading - epochs[words[BACKEND == "jax"]]) <= 1
    )  # another processor may differ by one
    (first,) = (OUT / FIRST).glob("weights-improvement-01-*")
    namespace["model"].load_weights(first)
    assert np.all(namespace["model"].predict(namespace["x_validation"], verbose=0) < 0.5)


def test_01_says_what_one_answer_is_worth(results):
    (worth,) = [value for value in said(FIRST, "Train") if 0 < value < 0.1]
    assert worth == round(1 / 254, 5)
    assert results[FIRST]["documented"] in said(FIRST, "Train")


@pytest.mark.parametrize("script", [FIRST, SECOND])
def test_the_network_of_the_prose_is_the_network_of_the_code(script, workspace):
    model = workspace(script)["model"]
    found = said(script, "Build")
    assert {layer.units for layer in model.layers} <= set(found)
    start = keras.initializers.get("random_uniform")
    assert found[start.maxval] == 2 and start.minval == -start.maxval
    assert workspace(script)["table"].shape[0] in said(script, "Load the data")


@pytest.mark.parametrize("script", [FOURTH, FIFTH])
def test_the_parts_of_mnist_are_as_large_as_the_prose_says(script, workspace):
    names = workspace(script)
    training = names["training_rows"]
    parts = [training, len(names["x_validation"]), len(names["x_test"])]
    assert {sum(parts), *parts} < set(said(script, "Load the data"))
    assert {training / 200, names["BATCH_SIZE"]} < set(said(script, "Settings"))
    assert names["batches_per_epoch"] == training / 200
    units = [layer.units for layer in names["model"].layers]
    assert units == [800, 10] and 800 in said(script, "Build")


def sweep_of_04(quantity: str) -> list[float]:
    values = sweep.values_by_backend()
    return [v for backend in ("jax", "tensorflow") for v in values[backend, FOURTH, quantity]]


def test_04_says_of_the_last_epoch_what_the_sweep_saw():
    best, last = sweep_of_04("test_accuracy_best"), sweep_of_04("test_accuracy_last")
    cost = [before - after for before, after in zip(best, last, strict=True)]
    assert round(statistics.median(cost), 4) == 0
    assert said(FOURTH, "The best and the last") == {
        10_000: 1,
        len(cost): 1,
        round(100 * max(cost), 2): 1,
        round(-100 * min(cost), 2): 1,
    }
    epochs = sweep_of_04("best_epoch")
    for script in FOURTH, FIFTH:
        text = prose(script, "Settings")
        found = re.search(r"in (\d+) of the (\d+) runs", text)
        assert [int(number) for number in found.groups()] == [epochs.count(25), len(epochs)]


def test_04_and_05_say_which_epochs_are_best(results):
    result = results[FOURTH]
    assert result["best_epoch"] < 25  # the seed was chosen so
    assert result["lowest_val_loss_epoch"] != result["best_epoch"]
    assert result["lowest_val_loss_epoch"] < 25  # so the loss ends higher
    assert any(epoch > 25 / 2 for epoch in results[FIFTH]["saved_epochs"])  # "late … too"


def test_04_and_05_say_how_large_a_file_is(results):
    each = results[FOURTH]["megabytes"] / 25
    assert 7.5 < each < 8 and "nearly eight megabytes" in prose(FOURTH, "04 · ")
    text = prose(FIFTH, "What one file saves")
    weights = [(int(a), int(b)) for a, b in re.findall(r"(\d+) × (\d+)", text)]
    assert weights == [(784, 800), (800, 10)]
    parameters = sum(inputs * units + units for inputs, units in weights)
    assert 4 * 3 * parameters / 1e6 == pytest.approx(each, rel=0.01)
    assert 12 in said(FIFTH, "05 · ")  # gigabytes: 4 bytes, three times, a billion weights


def test_05_what_save_weights_only_saves(workspace, tmp_path):
    """It "would hardly make the file smaller"."""
    model = keras.models.load_model(OUT / FIFTH / "mnist-dense.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    sizes = [
        path.stat().st_size for path in (OUT / FIFTH / "mnist-dense.keras", *tmp_path.iterdir())
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.01)


def test_03_says_which_columns_it_shows(execute):
    found = said(THIRD, "Predict")
    assert {0.5, 1, 5, 7} < set(found)
    assert "[1, 5, 7]" in code_under_headings(THIRD)["Predict"]


@pytest.mark.parametrize("script", LESSONS)
def test_links_lead_to_headings_of_the_page(script):
    links = re.findall(r"\]\((docs/\w+\.md)#([^)]+)\)", path_of(script).read_text())
    assert links and any("same-order" in anchor for _, anchor in links)
    for page, anchor in links:
        headings = re.findall(r"^#+ (.*)$", (REPOSITORY / page).read_text(), flags=re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert anchor in slugs


def test_the_documented_scores_stand_beside_their_epochs():
    """The constant's comment names the epoch; the last line of the output says the same."""
    for script in FIRST, SECOND, FOURTH, FIFTH:
        text = path_of(script).read_text()
        (noted,) = re.findall(
            r"^DOCUMENTED_VAL_ACCURACY = .*epoch (\d+)$", text, flags=re.MULTILINE
        )
        tree = ast.parse(code_under_headings(script)["Result"])
        assert noted in ast.unparse(tree)
