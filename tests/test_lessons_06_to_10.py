"""Scripts 06 to 10: files, figures, printed tables and numbers hold what the lesson says."""

import inspect
import json
import math
import re
import statistics
import types
import zipfile

import h5py
import keras
import numpy as np
import pytest
import sweep
from conftest import (
    BACKEND,
    REPOSITORY,
    SCRIPTS,
    code_under_headings,
    path_of,
    strict_improvements,
    with_weights_of,
)
from matplotlib import pyplot as plt

OUT = REPOSITORY / "out"


def test_07_every_parameter_was_given_a_value_of_its_own(results):
    text = (REPOSITORY / "07_checkpoint_options.py").read_text()
    parameters = list(inspect.signature(keras.callbacks.ModelCheckpoint).parameters)
    assert results["07_checkpoint_options"]["reproduced"] == len(parameters)
    for name in parameters[1:]:
        assert f"{name}=" in text or f'"{name}": ' in text, name


def test_07_saves_fall_where_the_table_says(results):
    result = results["07_checkpoint_options"]
    trainings, folder = result["trainings"], OUT / "07_checkpoint_options"
    best = strict_improvements(result["val_accuracy"])
    assert trainings["best only"]["saved_after_epochs"] == best
    assert trainings["best only"]["files"] == [f"model-{epoch:02d}.keras" for epoch in best]
    assert trainings["misspelt monitor"]["saved_after_epochs"] == [1, 2, 3, 4, 5, 6]
    for label, training in trainings.items():
        present = sorted(path.name for path in (folder / label.replace(" ", "_")).glob("*"))
        assert training["files"] == present


def test_07_the_messages_are_those_of_keras(results):
    trainings = results["07_checkpoint_options"]["trainings"]
    said = {
        label: [*training["warnings"], training["error"]] for label, training in trainings.items()
    }
    assert "Can save best model only with val_acc available." in said["misspelt monitor"]
    assert said["save_freq, best, loss"] == ["TypeError: 'NoneType' object is not callable"]
    assert said["period 2"][0].endswith("unexpected keyword argument 'period'")
    assert "isn't able to automatically determine" in said["auto, own metric"][0]
    assert "Reason: 'val_acc'" in said["val_acc in the name"][0]
    assert "must end in `.keras`" in said["hdf5 as ending"][0]
    assert "must end in `.weights.h5`" in said["weights only as keras"][0]
    quiet = {"fixed name", "best only", "mode min", "two epochs of batches", "threshold to beat"}
    assert all(said[label] == [""] for label in quiet)


def test_07_each_kept_model_is_that_of_its_epoch_whatever_the_option(results, workspace):
    """Two options that keep the same epoch keep the same bits: the trainings are one training."""
    own = {"share_of_alarms": workspace("07_checkpoint_options")["share_of_alarms"]}
    folder = OUT / "07_checkpoint_options"

    def weights(label: str, name: str) -> list:
        path = folder / label.replace(" ", "_") / name
        return keras.models.load_model(path, custom_objects=own).get_weights()

    first = weights("epoch in the name", "model-06.keras")
    for label, name in (
        ("fixed name", "model.keras"),
        ("misspelt monitor", "best.keras"),
        ("monitor alone", "model-06.keras"),
        ("two epochs of batches", "model-06.keras"),
        ("save_freq 9", "model-06-06.keras"),
    ):
        pairs = zip(first, weights(label, name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs), label
    x, y = (workspace("07_checkpoint_options")[name] for name in ("x_validation", "y_validation"))
    for label, extreme in (("mode min", min), ("mode max", max), ("best only", max)):
        name = results["07_checkpoint_options"]["trainings"][label]["files"][-1]
        path = folder / label.replace(" ", "_") / name
        model = keras.models.load_model(path, custom_objects=own)
        kept = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
        assert kept == extreme(results["07_checkpoint_options"]["val_accuracy"]), label


def test_07_every_other_keras_file_still_has_its_optimizer():
    """Saving as .h5 takes it away from all that follows: that training has to be the last."""
    paths = sorted((OUT / "07_checkpoint_options").glob("*/*.keras"))
    assert len(paths) > 50
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            optimizer = json.loads(archive.read("config.json"))["compile_config"].get("optimizer")
        assert optimizer["class_name"] == "Adam", path


def test_07_saving_as_h5_takes_the_optimizer_from_later_files(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="adam")
    model.fit(np.ones((4, 2)), np.ones(4), epochs=3, verbose=0)
    loaded = []
    for name in ("before.keras", "old.h5", "after.keras"):
        model.save(tmp_path / name)
        if name.endswith(".keras"):
            loaded.append(keras.models.load_model(tmp_path / name).optimizer)
    assert [type(each).__name__ for each in loaded] == ["Adam", "RMSprop"]
    assert [int(each.iterations) for each in loaded] == [3, 0]


def test_07_a_whole_model_under_the_name_of_weights_is_refused_by_load_weights():
    (path, *_) = sorted((OUT / "07_checkpoint_options" / "weights_name_alone").iterdir())
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(10), keras.layers.Dense(1, activation="sigmoid")]
    )
    with pytest.raises(ValueError):
        model.load_weights(path)


@pytest.mark.parametrize(
    ("metric", "direction"), [("FalsePositives", None), ("AUC", max), ("MeanSquaredError", min)]
)
def test_07_auto_refuses_a_mere_count_and_knows_accuracies_and_errors(metric, direction, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="mse", optimizer="adam", metrics=[getattr(keras.metrics, metric)(name="m")])
    keep = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.keras", monitor="m", save_best_only=True
    )
    rows = np.linspace(0, 1, 8)[:, None], np.array([0, 0, 1, 0, 1, 1, 0, 1])
    if direction is None:
        with pytest.raises(ValueError, match="isn't able to automatically determine"):
            model.fit(*rows, epochs=1, verbose=0, callbacks=[keep])
    else:
        history = model.fit(*rows, epochs=4, verbose=0, callbacks=[keep]).history["m"]
        assert keep.best == direction(history)


def auto_mpg_loss(model, namespace) -> float:
    """Loss on the validation cars, in the one batch in which `fit` scored them."""
    rows = namespace["validation"]
    return model.evaluate(
        namespace["x"][rows], namespace["y"][rows], batch_size=len(rows), verbose=0
    )


def test_auto_mpg_is_divided_without_overlap_and_standardised_by_the_training_cars(workspace):
    namespace = workspace("08_stop_overtraining")
    parts = [namespace[name] for name in ("training", "validation", "test")]
    assert list(map(len, parts)) == [59, 78, 255]
    assert sorted(np.concatenate(parts)) == list(range(392))
    trained_on = namespace["x"][parts[0]]
    assert np.allclose(trained_on.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(trained_on.std(axis=0), 1, atol=1e-5)
    assert not np.allclose(namespace["x"].mean(axis=0), 0, atol=1e-3)


@pytest.mark.parametrize("name", ["constant", "reduced", "scheduled", "stopped"])
def test_08_the_newest_file_is_the_best_epoch_and_scores_what_was_recorded(
    name, results, workspace
):
    namespace = workspace("08_stop_overtraining")
    val_loss = results["08_stop_overtraining"]["val_loss"][name]
    saved = strict_improvements([-value for value in val_loss])
    files = sorted((OUT / "08_stop_overtraining" / f"{name}-7").iterdir())
    assert [path.name for path in files] == [
        f"my_best_model.epoch{epoch:02d}-loss{val_loss[epoch - 1]:.2f}.keras" for epoch in saved
    ]
    best = keras.models.load_model(files[-1])
    assert auto_mpg_loss(best, namespace) == min(val_loss)


def test_08_records_the_epoch_with_the_lowest_loss(results):
    result = results["08_stop_overtraining"]
    assert result["best_epoch"] == 1 + int(np.argmin(result["val_loss"]["reduced"]))


def test_08_the_test_errors_of_the_best_are_those_of_the_files(results, workspace):
    namespace = workspace("08_stop_overtraining")
    rows = namespace["test"]
    for name, errors in results["08_stop_overtraining"]["test_errors"].items():
        assert len(errors["best"]) == len(errors["last"]) == 3
        for seed, recorded in zip((7, 107, 207), errors["best"], strict=True):
            newest = max((OUT / "08_stop_overtraining" / f"{name}-{seed}").iterdir())
            answers = np.asarray(keras.models.load_model(newest)(namespace["x"][rows]))[:, 0]
            error = math.sqrt(np.mean((answers - namespace["y"][rows]) ** 2))
            assert math.isclose(error, recorded, rel_tol=1e-6)


@pytest.mark.parametrize("script", ["06_resume_training", "07_checkpoint_options"])
def test_pima_is_standardised_by_the_training_rows_alone(script, workspace):
    namespace = workspace(script)
    trained_on = namespace["x"][: namespace["training_rows"]]
    assert np.allclose(trained_on.mean(axis=0), 0) and np.allclose(trained_on.std(axis=0), 1)
    assert not np.allclose(namespace["x"].mean(axis=0), 0, atol=1e-3)
    assert np.array_equal(namespace["x_validation"], namespace["x"][namespace["training_rows"] :])


def test_08_three_seeds_are_three_trainings_and_the_error_of_the_cost_is_that_of_three(results):
    result = results["08_stop_overtraining"]
    for name, errors in result["test_errors"].items():
        assert len({*errors["best"], *errors["last"]}) >= 5, name  # a best epoch may be the last
        cost = np.subtract(errors["last"], errors["best"])
        assert result["cost_of_last"][name] == pytest.approx(cost.mean())
        assert result["standard_error"][name] == pytest.approx(cost.std(ddof=1) / 3**0.5)
        folders = sorted((OUT / "08_stop_overtraining").glob(f"{name}-*"))
        assert [folder.name for folder in folders] == [f"{name}-{n}" for n in (107, 207, 7)]
        first = [keras.models.load_model(min(folder.iterdir())) for folder in folders]
        kernels = {model.get_weights()[0].tobytes() for model in first}
        assert len(kernels) == 3, name


def test_08_the_learning_rate_falls_as_each_way_says(results):
    result = results["08_stop_overtraining"]
    rates = result["learning_rate"]
    assert rates[0] == pytest.approx(0.002)
    since, best, expected = 0, math.inf, rates[0]
    for rate, loss in zip(rates, result["val_loss"]["reduced"], strict=True):
        assert rate == pytest.approx(expected)
        since = 0 if loss < best - 1e-4 else since + 1
        best = min(best, loss) if loss < best - 1e-4 else best
        if since == 5:
            expected, since = expected / 2, 0
    assert len(result["val_loss"]["stopped"]) < len(result["val_loss"]["constant"]) == 40
    assert statistics.mean(result["test_errors"]["reduced"]["best"]) == result["reproduced"]


def test_09_the_files_hold_what_the_script_says(results):
    result, folder = results["09_weights_or_whole_model"], OUT / "09_weights_or_whole_model"
    with h5py.File(folder / "model.weights.h5") as file:
        assert len(file["optimizer/vars"]) == 2 + 2 * 6
        assert int(file["optimizer/vars/0"][()]) == 150
    whole = keras.models.load_model(folder / "model.keras")
    rebuilt = keras.models.model_from_json((folder / "model.json").read_text())
    rebuilt.load_weights(folder / "model.weights.h5")
    for variables in (lambda model: model.weights, lambda model: model.optimizer.variables):
        pairs = zip(variables(whole), variables(rebuilt), strict=True)
        assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
    assert result["sizes"]["weights only"] == (folder / "model.weights.h5").stat().st_size


def test_09_only_the_keras_file_keeps_the_vocabulary(results, workspace):
    result, folder = results["09_weights_or_whole_model"], OUT / "09_weights_or_whole_model"
    assert result["vocabulary_kept"] == {
        ".keras": True,
        ".h5": False,
        ".weights.h5, JSON": False,
    }
    kept = keras.models.load_model(folder / "origin.keras").layers[0].get_vocabulary()
    assert len(kept) == result["words"] > 200 and {"ford", "toyota", "volkswagen"} <= set(kept)
    namespace = workspace("09_weights_or_whole_model")
    read = " ".join(namespace["table"][namespace["training"], 7]).lower()
    assert set(kept) - {"[UNK]"} <= set(re.sub(r"[^\w\s]", "", read).split())
    lost = keras.models.load_model(folder / "origin.h5").layers[0].get_vocabulary()
    assert lost == ["[UNK]"]


def test_09_the_answers_come_from_the_name_alone_and_fail_without_the_vocabulary():
    folder = OUT / "09_weights_or_whole_model"
    if BACKEND != "tensorflow":  # which alone knows strings; the script says so
        assert not (folder / "served").exists()
        return
    names = keras.ops.convert_to_tensor(["toyota corolla", "ford pinto", "volkswagen rabbit"])
    model = keras.models.load_model(folder / "origin.keras")
    answers = np.asarray(model(names))
    assert list(answers.argmax(axis=1)) == [2, 0, 1]
    served = keras.layers.TFSMLayer(folder / "served", call_endpoint="serve")
    assert np.allclose(np.asarray(served(names)), answers, atol=1e-6)
    with pytest.raises(Exception, match="Table not initialized"):
        keras.models.load_model(folder / "origin.h5")(names)
    with pytest.raises(ValueError, match="Invalid filepath extension"):
        model.save(folder / "without_an_ending")
    with pytest.raises(ValueError, match="File not found|not supported|could not be loaded"):
        keras.models.load_model(folder / "served")


def test_09_a_vocabulary_that_is_given_instead_of_learnt_travels_in_the_json(tmp_path):
    layer = keras.layers.TextVectorization(output_mode="multi_hot", vocabulary=["ford", "toyota"])
    model = keras.Sequential([keras.Input(shape=(), dtype="string"), layer, keras.layers.Dense(1)])
    model.save_weights(tmp_path / "m.weights.h5")
    rebuilt = keras.models.model_from_json(model.to_json())
    rebuilt.load_weights(tmp_path / "m.weights.h5")
    assert rebuilt.layers[0].get_vocabulary() == ["[UNK]", "ford", "toyota"]


def test_10_the_files_that_are_left_score_what_was_recorded(results, workspace):
    result, namespace = results["10_custom_callback"], workspace("10_custom_callback")
    assert result["files"] == [f"model-{epoch:03d}.keras" for epoch in result["listings"][-1]]
    assert len(result["val_loss"]) == len(result["listings"]) == 30
    assert 1 + int(np.argmin(result["val_loss"])) in result["listings"][-1]
    first = None
    for epoch in result["listings"][-1]:
        model = keras.models.load_model(OUT / "10_custom_callback" / f"model-{epoch:03d}.keras")
        first = first or model
        loss = auto_mpg_loss(with_weights_of(model, first), namespace)
        assert loss == result["val_loss"][epoch - 1]
    assert result["best_epoch"] == 1 + int(np.argmin(result["val_loss"]))


# Figures, from values that are given: each line, mark and label is where the lesson says.


def by_label(axes) -> dict:
    return {line.get_label(): line for line in axes.lines}


def points(line) -> list[tuple]:
    return list(zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True))


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_07_the_figure_marks_each_save_and_tells_right_from_wrong(execute, results, tmp_path):
    trainings = results["07_checkpoint_options"]["trainings"]
    curve = {"val_accuracy": [0.5, 0.6, 0.4, 0.7, 0.8, 0.3], "val_loss": [6, 5, 4, 3, 2, 1]}
    names = execute(
        "07_checkpoint_options",
        "Look",
        plt=plt,
        trainings=trainings,
        curve=curve,
        EPOCHS=6,
        OUT=tmp_path,
    )
    upper, lower = names["figure"].axes
    assert points(by_label(upper)["validation accuracy"]) == [
        *enumerate(map(float, curve["val_accuracy"]), 1)
    ]
    assert points(by_label(upper)["validation loss"]) == [*enumerate(curve["val_loss"], 1)]
    assert legend(lower) == ["as asked", "silent mistake", "error"]
    colours = {label: by_label(lower)[label].get_color() for label in legend(lower)}
    markers = {label: by_label(lower)[label].get_marker() for label in legend(lower)}
    assert len({*colours.values()}) == len({*markers.values()}) == 3
    assert [tick.get_text() for tick in lower.get_yticklabels()] == list(trainings)
    assert list(lower.get_yticks()) == list(range(len(trainings)))
    silent = {"misspelt monitor", "mode min", "save_freq, best, val_loss", "weights name alone"}
    drawn = [line for line in lower.lines if len(line.get_xdata())]
    for row, (label, training) in enumerate(trainings.items()):
        here = [line for line in drawn if set(line.get_ydata()) == {row}]
        saves = [line for line in here if line.get_marker() != "x"]
        moments = [moment for line in saves for moment in line.get_xdata()]
        assert moments == training["saved_after_epochs"], label
        meaning = "silent mistake" if label in silent else "as asked"
        assert all(line.get_color() == colours[meaning] for line in saves), label
        assert all(line.get_marker() == markers[meaning] for line in saves), label
        crosses = [points(line)[0] for line in here if line.get_marker() == "x"]
        failed = [(training["failed_after_epochs"], row)] if training["error"] else []
        assert crosses == failed, label
    counts = {round(text.get_position()[1]): text.get_text() for text in lower.texts}
    assert [counts[row] for row in range(len(trainings))] == [
        f"files: {len(training['files'])}" for training in trainings.values()
    ]
    assert re.findall(r"\d+", upper.get_title()) == [str(len(trainings)), "6"]
    assert "share" in upper.get_ylabel()
    assert lower.get_xlabel() == "epoch" and max(lower.get_xlim()) < 7.5
    assert [path.name for path in tmp_path.iterdir()] == ["when_each_option_saves.png"]
    plt.close("all")


def test_08_the_figure_shows_the_errors_in_miles_per_gallon(execute, tmp_path):
    loss = [64.0, 25.0, 9.0, 16.0, 4.0, 36.0]
    constant = {"loss": [81.0, 49.0, 16.0, 4.0, 1.0, 0.25], "val_loss": loss}
    rates = [0.002, 0.002, 0.002, 0.001, 0.001, 0.0005]
    reduced = {"val_loss": [64.0, 25.0, 9.0, 12.25, 6.25, 20.25], "learning_rate": rates}
    names = execute(
        "08_stop_overtraining",
        "Look",
        plt=plt,
        np=np,
        constant={7: {"history": constant, "files": {1: "", 3: "", 2: "", 5: ""}}},
        reduced={7: {"history": reduced}},
        SEED=7,
        EPOCHS=6,
        OUT=tmp_path,
    )
    upper, lower = names["figure"].axes
    lines = by_label(upper)
    best = "best: 2.00 at epoch 5, stop here"
    expected = {
        "validation, falling rate": [8, 5, 3, 3.5, 2.5, 4.5],
        "validation, constant rate": [8, 5, 3, 4, 2, 6],
        "training, constant rate": [9, 7, 4, 2, 1, 0.5],
    }
    assert legend(upper) == [*expected, "saved", best]
    for label, values in expected.items():
        assert points(lines[label]) == [*enumerate(map(float, values), 1)], label
    assert points(lines["saved"]) == [(1, 8), (2, 5), (3, 3), (5, 2)]
    assert points(lines[best]) == [(5, 2)] and lines[best].get_markersize() > 10
    assert re.findall(r"[\d.]+", upper.get_title()) == ["2.00", "5", "6.00", "6"]
    for axes in (upper, lower):
        assert [5, 5] in [list(line.get_xdata()) for line in axes.lines]
    steps = [line for line in lower.lines if len(line.get_xdata()) > 2]
    assert [list(line.get_ydata()) for line in steps] == [rates]
    assert "(mpg)" in upper.get_ylabel() and lower.get_xlabel() == "epoch"
    assert upper.get_ylim()[0] == 0 and upper.get_yscale() == "linear"
    assert [path.name for path in tmp_path.iterdir()] == ["validation_error_rises.png"]
    plt.close("all")


def test_08_the_recorded_validation_error_rises_after_its_minimum(results):
    """08 says so of the first seed on TensorFlow."""
    val_loss = results["08_stop_overtraining"]["val_loss"]["constant"]
    best = int(np.argmin(val_loss))
    assert best < len(val_loss) - 1
    if BACKEND == "tensorflow":
        assert max(val_loss[best:]) == val_loss[-1] > 1.2 * val_loss[best]


def test_09_the_figure_has_each_bar_over_its_own_label(execute, tmp_path):
    words = {".keras": 9, ".h5": 1, ".weights.h5, JSON": 2}
    names = execute(
        "09_weights_or_whole_model",
        "Look",
        plt=plt,
        np=np,
        sizes={"whole model": 90_000, "weights only": 80_000, "weights and JSON": 85_000},
        layer_numbers=5_000,
        optimizer_numbers=11_000,
        text_models=words,
        vocabulary_of=lambda words: ["word"] * words,
        vocabulary=["word"] * 9,
        OUT=tmp_path,
    )
    left, right = names["figure"].axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in left.containers}
    # drawn over one another: the size of the file, in it layers and optimizer, in them layers
    assert heights == {
        "structure, file format": [90, 80, 85],
        "optimizer": [64, 64, 64],
        "layers": [20, 20, 20],
    }
    colours = {bars.get_label(): bars[0].get_facecolor() for bars in left.containers}
    order = [bars[0].get_zorder() for bars in left.containers]
    assert len({*colours.values()}) == 3 and order == sorted(order)
    assert legend(left) == list(heights)
    for axes, labels in (
        (left, ["whole model", "weights only", "weights and JSON"]),
        (right, [".keras", ".h5", ".weights.h5 and JSON"]),
    ):
        ticks = [tick.get_text().replace("\n", " ") for tick in axes.get_xticklabels()]
        assert ticks == labels and list(axes.get_xticks()) == [0, 1, 2]
        first = axes.containers[-1] if axes is left else axes.containers[0]
        centres = [bar.get_x() + bar.get_width() / 2 for bar in first]
        assert centres == pytest.approx([0, 1, 2])
    assert [bar.get_height() for bar in right.containers[0]] == [9, 1, 2]
    assert [text.get_text() for text in right.texts] == ["9", "1", "2"]
    assert set(by_label(right)["vocabulary that was saved"].get_ydata()) == {9}
    assert "kB" in left.get_ylabel() and right.get_ylabel() == "words"
    assert [path.name for path in tmp_path.iterdir()] == ["what_the_files_hold.png"]
    plt.close("all")


LISTINGS = [[1], [1, 2], [1, 2, 3], [2, 3, 4], [2, 4, 5]]
LOSSES = [5.0, 2.0, 4.0, 1.0, 3.0]


def test_10_the_figure_shows_the_life_of_each_file(execute, tmp_path):
    names = execute(
        "10_custom_callback",
        "Look",
        plt=plt,
        np=np,
        val_loss=LOSSES,
        listings=LISTINGS,
        EPOCHS=5,
        OUT=tmp_path,
    )
    upper, lower = names["figure"].axes
    lines, best = by_label(upper), "best: 1.00 at epoch 4"
    assert legend(upper) == ["validation", best]
    assert points(lines["validation"]) == [*enumerate(LOSSES, 1)]
    assert points(lines[best]) == [(4, 1)] and lines[best].get_markersize() > 10
    lives = {1: (1, 3), 2: (2, 5), 3: (3, 4), 4: (4, 5), 5: (5, 5)}
    drawn = [points(line) for line in lower.lines if line.get_color() == "#E69F00"]
    assert [line for line in drawn if line] == [
        [(first, epoch), (last, epoch)] for epoch, (first, last) in lives.items()
    ]
    assert points(by_label(lower)["kept in the end"]) == [(5, 2), (5, 4), (5, 5)]
    assert legend(lower) == ["file on disk", "kept in the end"]
    assert re.findall(r"\d+", upper.get_title()) == ["3", "5"]
    assert lower.get_xlabel() == "epoch" and lower.get_ylabel() == "file of epoch"
    assert [path.name for path in tmp_path.iterdir()] == ["life_of_each_file.png"]
    plt.close("all")


# Printed tables, compared with what they tell of.


def test_07_the_table_prints_each_option_with_its_own_files_and_saves(execute, results, capsys):
    trainings = results["07_checkpoint_options"]["trainings"]
    execute("07_checkpoint_options", "The table", trainings=trainings)
    lines = capsys.readouterr().out.splitlines()
    for label, training in trainings.items():
        (place,) = (n for n, line in enumerate(lines) if line[:27].rstrip() == label)
        files, moments = re.match(
            r"(\d+) files, saved after (.*)", lines[place][27:].strip()
        ).groups()
        assert int(files) == len(training["files"])
        numbers = [] if moments == "never" else [float(moment) for moment in moments.split()]
        assert numbers == pytest.approx(training["saved_after_epochs"])
        said = (
            [*training["warnings"], training["error"]]
            if training["error"]
            else training["warnings"]
        )
        below = [line.strip() for line in lines[place + 1 : place + 1 + len(said)]]
        assert below == [text[:160].splitlines()[0].strip() for text in said], label


@pytest.fixture
def costs(workspace):
    """Three trainings of each way that never were: names that 08's tables need."""
    namespace = dict(workspace("08_stop_overtraining"))
    model = keras.models.clone_model(namespace["model"])
    random = np.random.default_rng(3)

    def weights():
        return [random.normal(0, 0.05, part.shape) for part in model.get_weights()]

    def training(epochs):
        values = weights()
        return {
            "best": types.SimpleNamespace(get_weights=lambda: values),
            "last_weights": weights(),
            "history": {"val_loss": list(random.uniform(1, 9, epochs))},
            "files": {epoch: "" for epoch in (1, epochs - 2)},
            "seconds": epochs / 10,
        }

    ways = [{seed: training(40) for seed in (7, 107, 207)} for _ in range(2)]
    return namespace | {
        "model": model,
        "constant": ways[0],
        "reduced": ways[1],
        "scheduled": training(30),
        "stopped": training(20),
    }


def error_on_the_test_cars(model, names, weights) -> float:
    model.set_weights(weights)
    answers = model.predict(names["x"][names["test"]], verbose=0)[:, 0]
    return float(np.sqrt(np.mean((answers - names["y"][names["test"]]) ** 2)))


def test_08_the_tables_print_the_errors_their_mean_and_its_standard_error(execute, costs, capsys):
    names = execute("08_stop_overtraining", "What overtraining costs", **costs)
    printed = capsys.readouterr().out
    for name in ("constant", "reduced"):
        best, last = (
            [
                error_on_the_test_cars(costs["model"], costs, of(each))
                for each in costs[name].values()
            ]
            for of in (lambda each: each["best"].get_weights(), lambda each: each["last_weights"])
        )
        assert names["test_errors"][name]["best"] == pytest.approx(best, rel=1e-5)
        assert names["test_errors"][name]["last"] == pytest.approx(last, rel=1e-5)
        block = printed.split(f"Learning rate {name}")[1].split("\n\n")[0]
        rows = re.findall(r"seed +(\d+) +best epoch ([\d.]+) +last epoch ([\d.]+)", block)
        assert [int(seed) for seed, *_ in rows] == [7, 107, 207]
        assert [(float(a), float(b)) for _, a, b in rows] == [
            (pytest.approx(a, abs=0.006), pytest.approx(b, abs=0.006))
            for a, b in zip(best, last, strict=True)
        ]
        cost = np.subtract(last, best)
        mean, error = map(float, re.findall(r"(-?[\d.]+) ± ([\d.]+)", block)[0])
        assert mean == pytest.approx(cost.mean(), abs=0.006)
        assert error == pytest.approx(cost.std(ddof=1) / 3**0.5, abs=0.006)
        assert error != pytest.approx(cost.std(ddof=1) / 3, abs=0.006)
    ways = {name: costs[name][7] for name in ("constant", "reduced")} | {
        name: costs[name] for name in ("scheduled", "stopped")
    }
    table = printed.split("test error of the best\n")[1].splitlines()
    for row, (name, way) in zip(table, ways.items(), strict=True):
        label, *numbers = row.split()
        error = error_on_the_test_cars(costs["model"], costs, way["best"].get_weights())
        val_loss = way["history"]["val_loss"]
        expected = [len(val_loss), way["seconds"], max(way["files"]), min(val_loss), error]
        assert label == name
        assert list(map(float, numbers)) == [pytest.approx(each, abs=0.051) for each in expected]


@pytest.fixture
def files_of_09(execute, workspace, tmp_path, capsys):
    """09 from its saved files on: what it prints and finds, without a training."""
    folder = OUT / "09_weights_or_whole_model"
    names = dict(workspace("09_weights_or_whole_model"))
    names |= {
        "model": keras.models.load_model(folder / "model.keras"),
        "whole_file": folder / "model.keras",
        "weights_file": folder / "model.weights.h5",
        "json_file": folder / "model.json",
    }
    names = execute("09_weights_or_whole_model", "What", **names)
    origin = keras.models.load_model(folder / "origin.keras")
    names |= {"telling_origin": origin, "vocabulary": origin.layers[0].get_vocabulary()}
    names = execute("09_weights_or_whole_model", "Who keeps", **names | {"OUT": tmp_path})
    answers = np.eye(3)
    printed = capsys.readouterr().out
    found = {"answers": {"loaded": answers}, "expected_answers": answers, "printed": printed}
    return names | found


def test_09_the_tables_print_what_is_in_the_files(files_of_09, results):
    printed = files_of_09["printed"]
    folder = OUT / "09_weights_or_whole_model"
    with zipfile.ZipFile(folder / "model.keras") as archive:
        for entry in archive.infolist():
            assert re.search(rf"model.keras: {entry.filename} +{entry.file_size:,} bytes", printed)
    with h5py.File(folder / "model.weights.h5") as file:
        for name in ("layers/dense/vars/0", "layers/dense_2/vars/1", "optimizer/vars/2"):
            if name in file:
                shape = re.escape(str(file[name].shape))
                assert re.search(rf"model.weights.h5: {name} +{shape}\n", printed), name
        assert "layers/dense/vars/0" in file and "optimizer/vars/2" in file
    sizes = {
        "whole model": ["model.keras"],
        "weights only": ["model.weights.h5"],
        "weights and JSON": ["model.weights.h5", "model.json"],
    }
    for way, files in sizes.items():
        size = sum((folder / name).stat().st_size for name in files)
        needs = "your code" if way == "weights only" else "Keras"
        assert re.search(rf"^{way} +{size:,} +\d+ +{needs}$", printed, flags=re.MULTILINE), way
        assert results["09_weights_or_whole_model"]["sizes"][way] == size
    words = results["09_weights_or_whole_model"]["words"]
    assert re.search(rf"vocabulary that was saved: {words} words", printed)
    assert re.search(rf"^.keras +{words} words: kept$", printed, flags=re.MULTILINE)
    for way in (".h5", ".weights.h5, JSON"):
        assert re.search(rf"^{way} +1 words: LOST", printed, flags=re.MULTILINE), way


def test_10_the_table_prints_what_lies_in_the_folder_after_each_epoch(execute, tmp_path, capsys):
    """With a `fit` that only writes the files that are listed, and calls the callbacks."""

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for path in folder.glob("*.keras"):
                path.unlink()
            for kept in LISTINGS[epoch]:
                (folder / f"model-{kept:03d}.keras").touch()

    def fit(*rows, callbacks, **settings):
        for epoch, loss in enumerate(LOSSES):
            for callback in callbacks:
                callback.on_epoch_end(epoch, {"val_loss": loss})
        return types.SimpleNamespace(history={"val_loss": LOSSES})

    folder = tmp_path / "out"
    rows = dict.fromkeys(("training", "validation"), 0)
    sizes = dict.fromkeys(
        ("VALIDATION_CARS", "EPOCHS", "BATCH_SIZE", "KEEP_NEWEST", "KEEP_BEST"), 2
    )
    names = execute(
        "10_custom_callback",
        "Train",
        **rows | sizes,
        x=[0],
        y=[0],
        keras=keras,
        OUT=folder,
        shutil=__import__("shutil"),
        sys=__import__("sys"),
        model=types.SimpleNamespace(fit=fit),
        KeepNewestAndBest=lambda *settings: Keep(),
    )
    assert names["listings"] == LISTINGS
    lines = capsys.readouterr().out.splitlines()
    assert [re.findall(r"[\d.]+", line) for line in lines] == [
        [str(epoch), f"{loss:.2f}", *map(str, listing)]
        for epoch, (loss, listing) in enumerate(zip(LOSSES, LISTINGS, strict=True), 1)
    ]


# Numbers in the text.


def prose(script: str) -> str:
    return " ".join(path_of(script).read_text().split())


def test_08_what_the_last_epoch_costs_is_what_the_sweep_saw():
    values = sweep.values_by_backend()
    text = prose("08_stop_overtraining").replace("−", "-")
    rates = {"constant": "constant", "falling": "reduced"}
    for word, rate in rates.items():
        said = re.search(rf"\| {word} \| ([-\d.]+) ± ([\d.]+) +\| ([-\d.]+) ± ([\d.]+)", text)
        for backend, place in (("tensorflow", 0), ("jax", 2)):
            best, last = (
                values[backend, "08_stop_overtraining", f"test_error_{rate}_rate_{which}"]
                for which in ("best", "last")
            )
            cost = np.subtract(last, best)
            assert f"{len(cost)} runs of this script on each backend" in text
            error = statistics.stdev(cost) / len(cost) ** 0.5
            assert said.groups()[place : place + 2] == (f"{cost.mean():.2f}", f"{error:.2f}")


def test_numbers_of_cars_and_weights_in_the_text_are_those_of_the_data(workspace):
    for script in ("08_stop_overtraining", "10_custom_callback"):
        names, text = workspace(script), prose(script)
        cars = [len(names[part]) for part in ("training", "validation", "test")]
        assert f"{cars[0]} " in text and f"{cars[1]} validate" in text
        assert f"other {cars[2]} " in text and f"{sum(cars)} cars" in text
    weights = names["model"].count_params()
    assert f"{round(weights, -3):,} weights for {cars[0]} cars" in prose("08_stop_overtraining")
    assert f"{weights:,} weights and biases" in prose("09_weights_or_whole_model")


def test_10_the_sizes_in_the_text_are_those_of_the_files(results):
    text, result = prose("10_custom_callback"), results["10_custom_callback"]
    (path, *_) = (OUT / "10_custom_callback").glob("*.keras")
    megabytes = path.stat().st_size / 1e6
    epochs, kept = len(result["val_loss"]), result["reproduced"]
    assert (
        f"file takes {megabytes:.2f} MB, so {epochs} epochs would leave {epochs * megabytes:.0f} MB"
        in text
    )
    one, few, many = map(
        int, re.search(r"(\d+) GB a file.*?means (\d+) GB instead of (\d+)", text).groups()
    )
    assert (few, many) == (one * kept, one * epochs)


def test_09_the_script_that_counts_the_bytes_is_the_one_it_names():
    (number,) = re.findall(r"script (\d\d) counts the bytes", prose("09_weights_or_whole_model"))
    (script,) = (script for script in SCRIPTS if script.startswith(number))
    sections = code_under_headings(script).items()
    assert any("st_size" in code for heading, code in sections if heading != "Result")


@pytest.mark.parametrize("script", SCRIPTS[5:])
def test_links_into_the_pitfalls_lead_to_an_entry(script):
    headings = re.findall(
        r"^#+ (.*)$", (REPOSITORY / "docs/PITFALLS.md").read_text(), flags=re.MULTILINE
    )
    anchors = {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}
    for anchor in re.findall(r"docs/PITFALLS.md#([^)]*)", prose(script)):
        assert anchor in anchors


# The lessons' own checks: each holds for what was found, and notices what is broken.


def check_07(results) -> dict:
    result = results["07_checkpoint_options"]
    curve = {name: result[name] for name in ("val_accuracy", "val_loss", "val_share_of_alarms")}
    accuracy = curve["val_accuracy"]
    return {
        "trainings": json.loads(json.dumps(result["trainings"])),
        "curve": curve,
        "epochs": range(1, 7),
        "beatable": (accuracy[0] + max(accuracy)) / 2,
        "OUT": OUT / "07_checkpoint_options",
    }


def swap(trainings, first, second):
    trainings[first], trainings[second] = trainings[second], trainings[first]


BROKEN_07 = {
    "nothing": lambda names: None,
    "a save is missing": lambda names: names["trainings"]["fixed name"]["saved_after_epochs"].pop(),
    "an option is missing": lambda names: names["trainings"].pop("save_freq 9"),
    "min keeps what max should": lambda names: swap(names["trainings"], "mode min", "mode max"),
    "an error did not come": lambda names: names["trainings"]["period 2"].update(error=""),
    "another error": lambda names: names["trainings"]["period 2"].update(error="KeyError: 1"),
    "failed at another time": lambda names: names["trainings"]["hdf5 as ending"].update(
        failed_after_epochs=1.0
    ),
    "printed": lambda names: names["trainings"]["verbose 1"].update(lines_printed=11),
    "not quiet": lambda names: names["trainings"]["mode min"].update(lines_printed=1),
    "no warning": lambda names: names["trainings"]["misspelt monitor"].update(warnings=["x"]),
    "no fallback": lambda names: names["trainings"]["mode maximum"].update(warnings=["x"]),
    "file name": lambda names: names["trainings"]["fixed name"].update(files=["other"]),
    "batch in the name": lambda names: names["trainings"]["save_freq 9"].update(files=["other"]),
    "the worst": lambda names: (
        names["trainings"]["mode min"].update(files=names["trainings"]["mode min"]["files"][:1])
        or names["curve"].update(
            val_accuracy=[value - 0.1 for value in names["curve"]["val_accuracy"]]
        )
    ),
}


@pytest.mark.parametrize("what", BROKEN_07)
def test_07_its_own_check_notices(execute, workspace, results, what):
    names = dict(workspace("07_checkpoint_options")) | check_07(results)
    BROKEN_07[what](names)
    if what == "nothing":
        execute("07_checkpoint_options", "Check", **names)
    else:
        with pytest.raises(AssertionError):
            execute("07_checkpoint_options", "Check", **names)


class Loss:
    """Stands for 08's model: its weights are one number, and that is its loss."""

    def __init__(self, weights=0.0, steps=0):
        self.weights, self.optimizer = weights, types.SimpleNamespace(iterations=steps)

    def set_weights(self, weights):
        self.weights = weights[0]

    def get_weights(self):
        return [self.weights]

    def evaluate(self, *rows, **settings):
        return self.weights


def check_08() -> dict:
    """Trainings of 14 epochs as 08's Check finds them, and one that was stopped after 12."""

    def training(val_loss, rates=(0.002,)):
        saved = strict_improvements([-value for value in val_loss])
        files = {
            n: OUT / f"my_best_model.epoch{n:02d}-loss{val_loss[n - 1]:.2f}.keras" for n in saved
        }
        return {
            "history": {"val_loss": val_loss, "learning_rate": list(rates)},
            "files": files,
            "best": Loss(min(val_loss), saved[-1] * 30),
            "last_weights": [val_loss[-1]],
        }

    curves = {seed: [9.0 + seed, 4.0, *[5.0 + n / 10 for n in range(12)]] for seed in (7, 8, 9)}
    constant = {seed: training(curve) for seed, curve in curves.items()}
    halved = [0.004] * 7 + [0.002] * 7
    planned = 0.004 * 0.95 ** np.arange(14)
    stopped = training(curves[7][:12])
    stopped["best_weights"] = [4.0]
    return {
        "constant": constant,
        "reduced": {seed: training(curve, halved) for seed, curve in curves.items()},
        "scheduled": training(curves[9], planned),
        "stopped": stopped,
        "calmer": {"learning_rate": halved},
        "model": Loss(),
        "keras": types.SimpleNamespace(
            models=types.SimpleNamespace(load_model=lambda path: Loss(float(path.stem[-4:])))
        ),
        "SEED": 7,
        "SEEDS": [7, 8, 9],
        "EPOCHS": 14,
        "LEARNING_RATE": 0.004,
        "VALIDATION_CARS": 1,
        "batches_per_epoch": 30,
        "x": [0],
        "y": [0],
        "validation": 0,
        "math": math,
        "np": np,
        "itertools": __import__("itertools"),
    }


BROKEN_08 = {
    "nothing": lambda names: None,
    "one training three times": lambda names: names.update(
        constant={seed: names["constant"][7] for seed in (7, 8, 9)}
    ),
    "a file too many": lambda names: names["constant"][8]["files"].update({5: OUT / "a"}),
    "a name states another loss": lambda names: names["reduced"][7]["files"].update(
        {2: OUT / "my_best_model.epoch02-loss3.99.keras"}
    ),
    "the best is another": lambda names: names["scheduled"].update(best=Loss(4.5, 60)),
    "steps of another epoch": lambda names: names["reduced"][9].update(best=Loss(4.0, 90)),
    "stopped another way": lambda names: names["stopped"]["history"]["val_loss"].__setitem__(
        5, 5.9
    ),
    "stopped at another time": lambda names: names["stopped"]["history"]["val_loss"].pop(),
    "restored another epoch": lambda names: names["stopped"].update(best_weights=[5.0]),
    "last is not the last": lambda names: names["constant"][9].update(last_weights=[4.0]),
    "rate not halved": lambda names: names["calmer"]["learning_rate"].__setitem__(-1, 0.0015),
    "rate never fell": lambda names: names["calmer"].update(learning_rate=[0.004] * 14),
    "not the plan": lambda names: names["scheduled"]["history"].update(learning_rate=[0.004] * 14),
}


@pytest.mark.parametrize("what", BROKEN_08)
def test_08_its_own_check_notices(execute, what):
    names = check_08()
    BROKEN_08[what](names)
    if what == "nothing":
        execute("08_stop_overtraining", "Check", **names)
    else:
        with pytest.raises(AssertionError):
            execute("08_stop_overtraining", "Check", **names)


def other_values(model):
    changed = keras.models.clone_model(model)
    changed.compile(loss="mean_squared_error", optimizer="adam")
    changed.optimizer.build(changed.trainable_variables)
    changed.set_weights(model.get_weights())
    changed.optimizer.iterations.assign(int(model.optimizer.iterations))
    return changed


BROKEN_09 = {
    "the optimizer of one way": lambda names: {
        "loaded": names["loaded"] | {"weights only": other_values(names["model"])}
    },
    "the archive": lambda names: {"inside_whole": {"config.json": 1}},
    "compile": lambda names: {"whole_structure": {"compile_config": None}},
    "numbers of the layers": lambda names: {"layer_numbers": 68_096},
    "numbers of the optimizer": lambda names: {"optimizer_numbers": 136_194},
    "sizes": lambda names: {"sizes": names["sizes"] | {"weights only": 1}},
    "the vocabulary is lost everywhere": lambda names: {
        "vocabulary_kept": dict.fromkeys(names["vocabulary_kept"], False)
    },
    "the vocabulary is kept everywhere": lambda names: {
        "vocabulary_kept": dict.fromkeys(names["vocabulary_kept"], True)
    },
    "words in the .h5": lambda names: {"vocabulary_of": lambda model: names["vocabulary"]},
    "weights of a text model": lambda names: {
        "telling_origin": types.SimpleNamespace(
            get_weights=lambda: [part + 1 for part in names["from_json"].get_weights()]
        )
    },
    "an answer": lambda names: {"answers": {"loaded": names["expected_answers"] + 0.1}},
}


def test_09_its_own_check_notices(execute, files_of_09):
    execute("09_weights_or_whole_model", "Check", **files_of_09)
    for what, broken in BROKEN_09.items():
        try:
            execute("09_weights_or_whole_model", "Check", **files_of_09 | broken(files_of_09))
        except AssertionError:
            continue
        pytest.fail(f"{what} was not noticed")


def test_10_its_own_check_notices(execute, workspace, results):
    result = results["10_custom_callback"]
    listings, val_loss = result["listings"], result["val_loss"]
    names = dict(workspace("10_custom_callback")) | {
        "OUT": OUT / "10_custom_callback",
        "listings": listings,
        "val_loss": val_loss,
        "best_epoch": result["best_epoch"],
    }
    execute("10_custom_callback", "Check", **names)
    for broken in (
        {"listings": [*listings[:20], listings[20][1:], *listings[21:]]},
        {"listings": [*listings[:-1], listings[-1] + [1]]},
        {"val_loss": [*val_loss[:-1], val_loss[-1] + 1e-5]},
        {"best_epoch": 1},
        {"batches_per_epoch": names["batches_per_epoch"] + 1},
    ):
        with pytest.raises(AssertionError):
            execute("10_custom_callback", "Check", **names | broken)
