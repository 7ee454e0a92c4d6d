"""The recipes of docs/OLD_ARTICLES.md run as printed, on what Keras 2 saved."""

import re

import keras
import numpy as np
import pytest
import tf_keras
from conftest import BACKEND, REPOSITORY

PAGE = (REPOSITORY / "docs" / "OLD_ARTICLES.md").read_text()
ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
LABELS = (ROWS[:, :1] > 0).astype("float32")


def recipe(heading: str, number: int = 0) -> str:
    """A code block of the section whose heading begins so."""
    (section,) = re.findall(rf"^#+ {heading}.*?\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)[number]


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A network that Keras 2 trained for two steps."""
    layers = [
        tf_keras.layers.Dense(3, activation="relu", input_dim=4),
        tf_keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = tf_keras.Sequential(layers)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    model.fit(ROWS, LABELS, epochs=2, verbose=0)
    folder = tmp_path_factory.mktemp("keras_2")
    model.save(folder / "weights.best.hdf5")
    model.save_weights(folder / "weights.hdf5")
    model.save_weights(folder / "cp.ckpt")
    model.save(folder / "folder", save_format="tf")
    return folder, model


@pytest.fixture
def run(old, tmp_path, monkeypatch):
    """Execute a recipe where the old files lie, with today's network as `model`."""
    folder, _ = old
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)

    def execute(code: str) -> dict:
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(3, activation="relu"),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        names = {"keras": keras, "model": model, "x": ROWS}
        exec(code, names)  # noqa: S102
        return names

    return execute


def assert_same_weights(model, old) -> None:
    for ours, theirs in zip(model.get_weights(), old[1].get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_whole_file_is_converted(run, old, capsys):
    model = run(recipe("Open a file"))["model"]
    assert_same_weights(model, old)
    assert int(model.optimizer.iterations) == 2
    assert "dense" in capsys.readouterr().out


def test_a_file_of_weights_is_loaded_into_a_model_of_yours(run, old):
    assert_same_weights(run(recipe("Only weights"))["model"], old)


def test_a_tensorflow_checkpoint_is_copied_array_by_array(run, old):
    assert_same_weights(run(recipe("A TensorFlow checkpoint"))["model"], old)
    with pytest.raises(ValueError, match="File format not supported"):
        run("model.load_weights('cp.ckpt')")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TFSMLayer needs the TensorFlow backend")
def test_a_saved_model_answers(run, old):
    (answers,) = run(recipe("A SavedModel"))["answers"].values()
    # How the last bit is rounded depends on the processor.
    np.testing.assert_array_max_ulp(np.asarray(answers), old[1].predict(ROWS, verbose=0), 4)


def test_a_saved_model_is_converted_by_way_of_hdf5(run, old):
    names = run(recipe("A SavedModel", 1))
    model = keras.models.load_model("new.keras")
    assert_same_weights(model, old)
    assert int(model.optimizer.iterations) == int(names["old"].optimizer.iterations) == 0
    copied = run("").get("model")
    copied.set_weights(names["old"].get_weights())
    assert_same_weights(copied, old)
