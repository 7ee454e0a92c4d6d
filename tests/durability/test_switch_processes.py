"""Script 14 without PyTorch, and its bad ends: they are the same whatever backend it is started on.

The first process starts one on each backend, and imports Keras only to name the version.
"""

import importlib.util
import json
import signal

import pytest
from starting import (
    PATIENCE,
    beginning_with,
    end_alone,
    kill_processes_in,
    own_lines,
    place_for,
    processes_in,
    refused,
    start,
    until,
    without,
)

SCRIPT = "14_switch_backend"
INSTALLED = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
pytestmark = pytest.mark.one_backend  # the script starts a process on each


@pytest.fixture
def place(request, tmp_path):
    """A folder with the script, with the changes that a test asks for."""
    yield place_for(SCRIPT, tmp_path, getattr(request, "param", ()))
    kill_processes_in(tmp_path)


DATA = 'DATA_OF = {"Pima": pima_rows, "MNIST": (pictures, y[:2000], test_pictures, y_test[:1000])}'
FEWER_IMAGES = [(DATA, DATA.replace("pictures, y[:2000]", "pictures[:200], y[:200]", 1))]


@pytest.mark.parametrize("place", [FEWER_IMAGES], indirect=True)
def test_without_pytorch_it_says_so_and_shows_the_other_two(place, tmp_path_factory):
    """With fewer images, and what JAX has compiled in one process serves the next one."""
    settings = beginning_with("import sys\nsys.modules['torch'] = None\n", place)
    settings["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path_factory.mktemp("compiled"))
    settings["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    process = start(SCRIPT, place, **settings)
    printed, errors = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, errors
    assert "PyTorch is not installed; `make torch` does it." in printed
    found = json.loads((place / "out" / SCRIPT / "result.json").read_text())
    assert found["backends"] == ["tensorflow", "jax"]
    assert (place / "out" / SCRIPT / "trained_on_loaded_on.png").stat().st_size > 20_000
    assert not (place / "out" / SCRIPT / "torch").exists()
    assert {path.name for path in place.iterdir()} == {"beyond", "data", "first", "out"}


def test_a_missing_dependency(place):
    line = refused(SCRIPT, place, **without("orbax", place))
    assert "orbax" in line and "requirements/beyond.txt" in line


@pytest.mark.parametrize("place", [FEWER_IMAGES], indirect=True)
def test_a_backend_that_cannot_be_imported(place):
    """The file to which the line leads says why. The other backends train until then."""
    broken = """
import os, sys
if os.environ["KERAS_BACKEND"] == "jax":
    sys.modules["keras"] = None
"""
    line = refused(SCRIPT, place, **beginning_with(broken, place), KERAS_BACKEND="tensorflow")
    assert line.startswith("jax failed") and "printed_train.txt" in line
    printed = place / line.split("; ")[1].split()[0]
    assert "keras" in own_lines(printed.read_text())[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ctrl_c_and_a_killed_parent_leave_no_process(place, number):
    """While the others work: by then this process waits for one of them."""
    process = start(SCRIPT, place)
    printed = [place / "out" / SCRIPT / name / "printed_train.txt" for name in INSTALLED]
    until(lambda: all(path.exists() and path.stat().st_size for path in printed), "all have begun")
    assert len(processes_in(place)) == 1 + len(INSTALLED)
    end_alone(SCRIPT, process, number, place, "Interrupted. Ending all processes.")
