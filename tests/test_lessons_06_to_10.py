"""Scripts 06 to 10: the files hold what the lesson says."""

import inspect
import json
import math
import re
import statistics
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import BACKEND, REPOSITORY, strict_improvements

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
    worst = results["07_checkpoint_options"]["trainings"]["mode min"]["files"][-1]
    best = results["07_checkpoint_options"]["trainings"]["mode max"]["files"][-1]
    assert best != worst


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


def test_08_the_cost_is_that_of_the_last_epoch_over_the_best(results):
    result = results["08_stop_overtraining"]
    for name, errors in result["test_errors"].items():
        cost = statistics.mean(errors["last"]) - statistics.mean(errors["best"])
        assert result["cost_of_last"][name] == pytest.approx(cost) and cost != 0


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


def test_09_its_own_check_notices_a_vocabulary_that_was_lost(tmp_path):
    """As if `.keras` files lost a word one day: the script must not end well."""
    script = tmp_path / "09_weights_or_whole_model.py"
    text = (REPOSITORY / script.name).read_text()
    comparison = "vocabulary_of(text_model) == vocabulary for"
    lost = text.replace(comparison, comparison.replace(")", ")[1:]"))
    assert lost != text
    script.write_text(lost)
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    run = subprocess.run(
        [sys.executable, script.name], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 1 and "assert vocabulary_kept ==" in run.stderr
    assert "LOST" in run.stdout and not list(tmp_path.glob("out/*/result.json"))


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
    for epoch in result["listings"][-1]:
        model = keras.models.load_model(OUT / "10_custom_callback" / f"model-{epoch:03d}.keras")
        assert auto_mpg_loss(model, namespace) == result["val_loss"][epoch - 1]
