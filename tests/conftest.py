"""What several tests need: the scripts, cut into cells, and the results that `make all` left."""

import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import jupytext
import lessons
import matplotlib.image
import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = [path.stem for path in lessons.scripts(".")]
BEYOND = [path.stem for path in lessons.scripts("beyond")]
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")

# On JAX, what one process of this run has compiled serves the others.
if BACKEND == "jax" and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    COMPILED = tempfile.TemporaryDirectory()
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"


def pytest_collection_modifyitems(config, items):
    """Leave out, with another backend than the default, what CONTRIBUTING says of `one_backend`."""
    if BACKEND != "tensorflow":
        again = [item for item in items if item.get_closest_marker("one_backend")]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


def path_of(script: str) -> pathlib.Path:
    """Where a script of either part lies."""
    return REPOSITORY / ("beyond" if script in BEYOND else ".") / f"{script}.py"


# What these teach needs that backend, so they set it.
ALWAYS_JAX = [s for s in BEYOND if lessons.sets_backend(path_of(s)) == "jax"]
# These start a process on each backend, so that a run counts for all.
ON_EACH_BACKEND = [s for s in BEYOND if '"KERAS_BACKEND": backend}' in path_of(s).read_text()]


@functools.cache
def cells_of(script: str) -> list:
    """Its cells, as a notebook has them. Many tests ask for them, and reading takes its time."""
    return jupytext.read(path_of(script)).cells


def code_under_headings(script: str) -> dict[str, str]:
    """Heading -> the code of all cells under it, in the order of the script."""
    sections: dict[str, str] = {}
    heading = ""
    for cell in cells_of(script):
        if cell.cell_type == "markdown":
            found = re.search(r"^#+ (.*)$", cell.source, flags=re.MULTILINE)
            heading = found[1] if found else heading
            sections.setdefault(heading, "")
        else:
            sections[heading] += cell.source + "\n"
    return sections


def docstring(script: str) -> str:
    """The first cell's text."""
    return lessons.first_cell(path_of(script))


def contents(folder: pathlib.Path) -> dict[str, str]:
    """Relative path -> SHA-256, for every file below the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def figure_of(script: str) -> pathlib.Path:
    """The figure that the script has left."""
    return REPOSITORY / "out" / script / lessons.figure(path_of(script))


@functools.cache
def thumbnail(figure: pathlib.Path) -> np.ndarray:
    """The figure in 40 by 40 shades of grey, to see which of several it is."""
    shades = matplotlib.image.imread(figure)[..., :3].mean(axis=2)
    rows, columns = (np.linspace(0, size, 41).astype(int)[:-1] for size in shades.shape)
    sums = np.add.reduceat(np.add.reduceat(shades, rows, axis=0), columns, axis=1)
    return sums / sums.max()


def most_alike(figure: pathlib.Path, scripts: list[str]) -> str:
    """The script whose figure in out/ is most like this one."""
    ours = thumbnail(figure)
    return min(scripts, key=lambda script: np.abs(thumbnail(figure_of(script)) - ours).mean())


def refusal(folder: pathlib.Path, script: str) -> str:
    """Run the script in the folder, where it must refuse its input, and return its one line."""
    before = contents(folder)
    run = subprocess.run(
        [sys.executable, path_of(script).relative_to(REPOSITORY)],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert contents(folder) == before
    return run.stderr.rstrip().splitlines()[-1]


def strict_improvements(values: list[float]) -> list[int]:
    """The 1-based epochs that are better than all before them."""
    best, epochs = -np.inf, []
    for epoch, value in enumerate(values, start=1):
        if value > best:
            best = value
            epochs.append(epoch)
    return epochs


def score(model, namespace) -> float:
    """Accuracy on the validation rows, in the batches in which `fit` scored them."""
    rows = namespace["x_validation"], namespace["y_validation"]
    size = 254 if len(rows[0]) == 254 else 200
    return model.evaluate(*rows, batch_size=size, verbose=0, return_dict=True)["accuracy"]


def with_weights_of(model, first):
    """`first`, which is the same network compiled in the same way, with the weights of `model`.

    Each model that is loaded compiles its evaluation anew, which takes longer than to evaluate.
    """
    assert model.to_json() == first.to_json()
    first.set_weights(model.get_weights())
    return first


@pytest.fixture(autouse=True)
def objects_of_keras(request):
    """Keras's table of registered classes and functions: a rewritten script leaves nothing there.

    Classes of modules that a test imports first stay: an import does not register them twice.
    """
    keras = sys.modules.get("keras")
    before = dict(keras.saving.get_custom_objects()) if keras else {}
    yield
    if "keras" in sys.modules and request.path.parent.name == "old_script":
        objects = sys.modules["keras"].saving.get_custom_objects()
        for name, made in list(objects.items()):
            module = sys.modules.get(made.__module__)
            if name not in before and getattr(module, made.__name__, None) is not made:
                del objects[name]
        objects.update(before)


@pytest.fixture(scope="session")
def results() -> dict[str, dict]:
    """Script -> content of its result.json."""
    return {
        script: json.loads((REPOSITORY / "out" / script / "result.json").read_text())
        for script in SCRIPTS
    }


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, results):
    """Run code cells of a script as they stand, without its training: namespace by script."""
    namespaces: dict[str, dict] = {}

    def run(script: str) -> dict:
        if script not in namespaces:
            namespace = namespaces[script] = {}
            for heading, code in code_under_headings(script).items():
                if heading.startswith(
                    ("Settings", "Load the data", "Standardise", "Build the model")
                ):
                    exec(compile(code, f"{script}: {heading}", "exec"), namespace)  # noqa: S102
        return namespaces[script]

    here = pathlib.Path.cwd()
    os.chdir(REPOSITORY)
    yield run
    os.chdir(here)


@pytest.fixture
def execute():
    """Run the code under one heading of a script with given names, and return all names after it.

    `execute("01_…", "Look", history=recorded)` runs every section whose heading begins with
    "Look", in a namespace that holds these names; a figure that it makes is in it as well.
    """

    def run(script: str, heading: str, **names) -> dict:
        sections = {
            title: code
            for title, code in code_under_headings(script).items()
            if title.startswith(heading) and code
        }
        assert sections, f"{script} has no code under {heading}"
        namespace = dict(names)
        for title, code in sections.items():
            exec(compile(code, f"{script}: {title}", "exec"), namespace)  # noqa: S102
        return namespace

    here = pathlib.Path.cwd()
    os.chdir(REPOSITORY)
    yield run
    os.chdir(here)
