"""The package: what its modules know of each other, what it imports, that it installs."""

import ast
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.one_backend

PACKAGE = REPOSITORY / "beyond" / "durable_checkpoint"
SOURCES = {path.stem: path.read_text() for path in PACKAGE.glob("*.py")}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
WITHOUT_KERAS = {
    *("__init__", "__main__", "errors", "files", "hdf5", "locks", "monitored", "placeholders"),
    *("places", "records", "saved_files", "signals", "structure", "system", "temporary_names"),
    *("validity", "writer"),
}
LONGEST = 400  # lines


def imports(name, also_for_types=False):
    """(module, names taken from it) of each import of another module of the package."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.ImportFrom) and node.level:
            if name == "__init__" and not also_for_types:
                continue  # only type checkers follow these
            if node.module:
                yield node.module, [alias.name for alias in node.names]
            else:
                for alias in node.names:
                    yield alias.name, []


def reached_from(name):
    found, waiting = set(), [name]
    while waiting:
        for module, _ in imports(waiting.pop()):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return found


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_module_imports_nothing_that_imports_it(name):
    assert name not in reached_from(name)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_module_is_short(name):
    assert len(SOURCES[name].splitlines()) < LONGEST


def test_what_knows_files_knows_no_keras():
    for name in WITHOUT_KERAS:
        found = {name} | reached_from(name)
        assert found <= WITHOUT_KERAS, name
    for name in WITHOUT_KERAS:
        for node in ast.walk(TREES[name]):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert not any(n.split(".")[0] == "keras" for n in names), name


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_module_uses_no_private_name_of_another_one(name):
    for module, names in imports(name, also_for_types=True):
        assert not is_private(module) and not any(map(is_private, names)), module
    used = {
        node.attr
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Attribute)
        and is_private(node.attr)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    theirs = set().union(*(defined_in(tree) for other, tree in TREES.items() if other != name))
    assert not (used & theirs) - set(defined_in(TREES[name]))


def defined_in(tree):
    """Names of functions and classes, and of attributes that are set on `self`."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr


# ---- importing


def python(code, *arguments, **keywords):
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "beyond")},
        check=False,
        capture_output=True,
        text=True,
        **keywords,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_keras_is_imported_with_the_first_name_that_needs_it():
    code = """
import json, sys
def keras(): return "keras" in sys.modules
import durable_checkpoint as d
names = dir(d)
from durable_checkpoint import CorruptCheckpointError, newest_valid, read_record, verify
before = keras()
try:
    d.no_such_name
except AttributeError as error:
    said = str(error)
d.ShuffledBatches
print(json.dumps([before, keras(), said, sorted(set(d.__all__) - set(names))]))
"""
    before, after, said, missing = json.loads(python(code).splitlines()[-1])
    assert not before and after and missing == []
    assert "'durable_checkpoint' has no attribute 'no_such_name'" in said


def test_type_checkers_see_what_the_others_get():
    code = "import durable_checkpoint as d; print(sorted(d._MODULES.items()))"
    lazy = dict(ast.literal_eval(python(code)))
    seen = {n: module for module, names in imports("__init__", True) for n in names}
    assert lazy == seen


def test_a_keras_that_is_too_old_or_lacks_what_is_needed_is_named_in_one_line():
    code = """
import keras
from keras.src.saving import saving_lib
import durable_checkpoint
def said(name):
    try:
        getattr(durable_checkpoint, name)
    except ImportError as error:
        print(error)
now, keras.__version__ = keras.__version__, "3.9.2"
for name in "DurableCheckpoint ExactBackupAndRestore ShuffledBatches load_weights_strict".split():
    said(name)
keras.__version__ = now
del saving_lib._save_state
said("DurableCheckpoint")
"""
    *old, lacking = python(code).splitlines()
    assert len(old) == 4 and all("needs Keras >= 3.10" in one and "3.9.2" in one for one in old)
    assert "needs Keras >= 3.10" in lacking and "_save_state" in lacking


# ---- installing


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel, an archive of the sources, and a wheel that was made of those."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    (source / "beyond").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    shutil.copytree(
        PACKAGE, source / "beyond" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__")
    )
    code = """
import sys
from setuptools import build_meta
print(getattr(build_meta, f"build_{sys.argv[1]}")(sys.argv[2]))
"""
    make = {"wheel": "", "sdist": ""}
    for kind in make:
        make[kind] = python(code, kind, folder, cwd=source).splitlines()[-1]
    with tarfile.open(folder / make["sdist"]) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    (folder / "again").mkdir()
    again = python(code, "wheel", folder / "again", cwd=unpacked).splitlines()[-1]
    return folder / make["wheel"], folder / "again" / again


def test_the_wheel_and_the_sources_hold_the_same_and_all_of_it(built):
    contents = [set(zipfile.ZipFile(wheel).namelist()) for wheel in built]
    assert contents[0] == contents[1]
    expected = {f"{PACKAGE.name}/{path.name}" for path in PACKAGE.glob("*.py")}
    assert expected | {f"{PACKAGE.name}/py.typed"} <= contents[0]


def test_it_installs_into_an_empty_environment_and_runs_there(built, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    inside = environment / "bin" / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", inside, "install", "--quiet"),
            *("--no-index", "--no-deps", built[1]),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    needed = tmp_path / "needed"
    needed.mkdir()
    for name in ("numpy", "h5py"):  # and nothing else
        for path in importlib.metadata.distribution(name).locate_file("").glob(f"{name}*"):
            (needed / path.name).symlink_to(path)
    run = subprocess.run(
        [inside, "-c", "import durable_checkpoint.__main__ as m; print(m.__file__); m.main()"]
        + ["verify", "bad.keras"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(needed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    where, said = run.stdout.splitlines()
    assert pathlib.Path(where).is_relative_to(environment)
    assert said.startswith("bad.keras: corrupt: ")


def test_no_pickle_and_nothing_but_what_is_promised():
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert node.value.value is False
    assert "pickle" not in names
    assert names - set(sys.stdlib_module_names) == {"h5py", "keras", "numpy"}
