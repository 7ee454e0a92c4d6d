"""Script 14: what was saved on each backend, read here without its functions."""

import importlib.util
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from conftest import BACKEND, REPOSITORY
from starting import PATIENCE, beginning_with, place_for, start
from test_makefile import would_run

SCRIPT = "14_switch_backend"
OUT = REPOSITORY / "out" / SCRIPT
INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]


@pytest.fixture(scope="module")
def result():
    return json.loads((OUT / "result.json").read_text())


@pytest.fixture(scope="module")
def test_rows():
    pima = np.loadtxt(REPOSITORY / "data" / "pima-indians-diabetes.csv", delimiter=",")
    with np.load(REPOSITORY / "data" / "mnist.npz") as arrays:
        pictures = arrays["x_test"][:1000].reshape(1000, 28, 28, 1)
    return {"Pima": pima[514:, :8], "MNIST": np.divide(pictures, 255, dtype="float32")}


# ------------------------------------------------------------------ what it left


def test_every_installed_backend_trained_and_loaded(result):
    """`make torch`, which CI runs, is what makes them three."""
    assert result["backends"] == INSTALLED
    pairs = [f"{origin} to {backend}" for origin in INSTALLED for backend in INSTALLED]
    assert list(result["trains_on"]) == pairs
    for pair, ways in result["trains_on"].items():
        origin, backend = pair.split(" to ")
        lost = {".keras"} if origin == "torch" != backend else set()
        assert {way for way, works in ways.items() if not works} == lost
    assert 0 < result["reproduced"] < 10


def test_its_headline_is_the_largest_difference_that_was_found(result):
    rows = [
        row
        for backend in INSTALLED
        for row in json.loads((OUT / backend / "loaded.json").read_text())["rows"].values()
    ]
    assert len(rows) == 6 * len(INSTALLED) ** 2
    largest = max(row["difference"] for row in rows)
    assert result["reproduced"] == pytest.approx(largest * 1e6, abs=0.001)


@pytest.mark.parametrize("origin", INSTALLED)
@pytest.mark.parametrize("network", ["Pima", "MNIST"])
def test_the_file_answers_here_what_it_answered_there(origin, network, test_rows):
    """And its numbers are those that were there, bit for bit, read by the tests themselves."""
    model = keras.saving.load_model(OUT / origin / f"{network}.keras", compile=False)
    answers = model.predict(test_rows[network], batch_size=1000, verbose=0)
    with np.load(OUT / origin / f"{network}_answers.npz") as there:
        assert np.abs(answers - there["answers"]).max() < 1e-5
    weights = model.get_weights()
    assert all(np.any(weight) for weight in weights)
    with np.load(OUT / origin / f"{network}_numbers.npz") as saved:
        names = [name for name in saved if name.startswith("weights ")]
        assert len(names) == len(weights)
        for index, weight in enumerate(weights):
            assert np.array_equal(weight, saved[f"weights {index}"])


@pytest.mark.parametrize("origin", INSTALLED)
def test_the_optimizer_of_a_file_of_weights_is_the_one_that_was_saved(origin):
    model = keras.saving.load_model(OUT / "tensorflow" / "Pima.keras")
    before = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
    model.load_weights(OUT / origin / "Pima.weights.h5")
    after = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
    assert int(model.optimizer.iterations) == 260
    with np.load(OUT / origin / "Pima_numbers.npz") as saved:
        names = [name for name in saved if name.startswith("optimizer ")]
        assert len(names) == len(after)
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            assert np.array_equal(new, saved[f"optimizer {index}"])
            assert origin == "tensorflow" or new.size == 1 or not np.array_equal(old, new)


def test_networks_of_two_backends_are_not_the_same_one():
    """Otherwise all of it would hold for files that were never exchanged."""
    with (
        np.load(OUT / "tensorflow" / "Pima_numbers.npz") as first,
        np.load(OUT / "jax" / "Pima_numbers.npz") as second,
    ):
        assert not np.array_equal(first["weights 0"], second["weights 0"])


def test_the_traps_are_those_of_the_text(result):
    for backend, traps in result["traps"].items():
        own, setting = traps["own layer trains"], traps["steps_per_execution=2 trains"]
        assert traps["own layer answers"] == traps["set to 1, it trains"] == "works"
        assert traps["compiled once more, it trains"] == "works"
        if backend == "tensorflow":
            assert own == "works"
        else:
            assert own.startswith("RuntimeError: ")
        refused_here = "must be 1 with the PyTorch backend" in setting
        assert refused_here if backend == "torch" else setting == "works"
        assert traps["arrived under other names"] == ["optimizer 0"]


@pytest.mark.parametrize("origin", INSTALLED)
def test_the_keras_file_holds_the_decision_whether_to_compile(origin):
    with zipfile.ZipFile(OUT / origin / "MNIST.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert config["compile_config"]["jit_compile"] == (origin == "jax")


@pytest.mark.skipif("torch" not in INSTALLED, reason="PyTorch is not installed: make torch")
def test_without_pytorch_its_keras_file_loads_uncompiled_only():
    program = """
import sys
sys.modules["torch"] = None
import keras
keras.saving.load_model(sys.argv[1], compile=False)
try:
    keras.saving.load_model(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""
    path = str(OUT / "torch" / "Pima.keras")
    run = subprocess.run(
        [sys.executable, "-c", program, path], check=True, capture_output=True, text=True
    )
    assert "torch" in run.stdout


@pytest.mark.skipif("torch" not in INSTALLED, reason="PyTorch is not installed: make torch")
def test_installing_pytorch_runs_it_again():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    marker = f".venv/installed-{version}-torch"
    assert would_run("-W", marker, target="beyond") == [SCRIPT]


def test_the_first_process_finds_the_same_on_this_backend(result, tmp_path):
    """It is given what the others found in `make beyond`, which ran it on one backend only."""
    given = f"""
import os, shutil, sys
if sys.argv[1:] in (["train"], ["load"]):
    backend = os.environ["KERAS_BACKEND"]
    shutil.copytree({str(OUT)!r} + "/" + backend, "out/{SCRIPT}/" + backend, dirs_exist_ok=True)
    os._exit(0)
"""
    place = place_for(SCRIPT, tmp_path)
    process = start(SCRIPT, place, **beginning_with(given, place), KERAS_BACKEND=BACKEND)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    found = json.loads((place / "out" / SCRIPT / "result.json").read_text())
    assert found == result | {"backend": BACKEND}
    assert (place / "out" / SCRIPT / "trained_on_loaded_on.png").stat().st_size > 20_000
