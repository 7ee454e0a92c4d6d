"""A Python with another release of Keras.

From Keras 3.5 on the other packages can be those of the Python that runs this: so TensorFlow, JAX,
h5py and NumPy are the same for all these releases. Keras 3.0 to 3.4 need an older TensorFlow and
NumPy, and get an environment of their own.
"""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv

from lessons import REPOSITORY
from results_table import NAMES, processor

ENVIRONMENTS = REPOSITORY / "out" / "versions"
# The newest patch of each minor release.
RELEASES = [
    "3.0.5",
    "3.1.1",
    "3.2.1",
    "3.3.3",
    "3.4.1",
    "3.5.0",
    "3.6.0",
    "3.7.0",
    "3.8.0",
    "3.9.2",
    "3.10.0",
    "3.11.3",
    "3.12.4",
    "3.13.2",
    "3.14.1",
    "3.15.1",
]
# Before this release: NumPy 2 and today's TensorFlow do not do.
ON_TODAYS_PACKAGES = (3, 5)
OLD_PACKAGES = ["tensorflow==2.16.2", "tf-keras==2.16.0", "numpy==1.26.4", "setuptools<80"]
FOR_THE_TESTS = ["h5py", "jupytext", "matplotlib", "pytest", "pytest-xdist"]
# Older packages come without their tests: there those of this Python's Keras are run.
TESTS_OF_KERAS = [
    f"keras/src/callbacks/{name}_test.py" for name in ("model_checkpoint", "backup_and_restore")
]


def numbers(release: str) -> tuple[int, ...]:
    """`3.10.0` -> (3, 10, 0): in the order of the releases."""
    return tuple(map(int, release.split(".")))


def environment(release: str) -> pathlib.Path:
    """A Python that imports this release of Keras. It is made in out/versions/ if it is missing.

    Raises:
        SystemExit: The release cannot be installed, or cannot be imported; the text says why.
    """
    folder = ENVIRONMENTS / release
    python = folder / "bin" / "python"
    if not python.exists():
        _make(folder, python, release)
    found = "import keras; print(keras.__version__)"
    run = subprocess.run([python, "-c", found], capture_output=True, text=True, check=False)
    if run.stdout.split()[-1:] != [release]:
        said = (run.stderr.strip().splitlines() or [run.stdout.strip()])[-1]
        raise SystemExit(f"Keras {release} cannot be imported: {said}")
    return python


def _make(folder: pathlib.Path, python: pathlib.Path, release: str) -> None:
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    uv = pathlib.Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    todays = numbers(release) >= ON_TODAYS_PACKAGES
    if todays:
        (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install += ["--no-deps", f"keras=={release}"]
    else:
        install += [f"keras=={release}", *OLD_PACKAGES, *FOR_THE_TESTS]
    run = subprocess.run(install, capture_output=True, text=True, check=False)
    if run.returncode:
        shutil.rmtree(folder)
        raise SystemExit(f"Keras {release} cannot be installed: {run.stderr.strip()}")
    for name in TESTS_OF_KERAS:
        if todays and not (packages / name).exists():
            shutil.copy(pathlib.Path(sysconfig.get_path("purelib")) / name, packages / name)


def remove(release: str) -> None:
    """Remove the environment of this release."""
    shutil.rmtree(ENVIRONMENTS / release, ignore_errors=True)


def packages_of(python: pathlib.Path | str, backend: str) -> str:
    """The versions of what computes there, as `python 3.11.7, jax 0.10.2, ...`."""
    asked = "import importlib.metadata as m, json; print(json.dumps([m.version(n) for n in {}]))"
    names = [backend, "h5py", "numpy"]
    run = subprocess.run(
        [python, "-c", asked.format(names)], capture_output=True, text=True, check=True
    )
    versions = [f"{n} {v}" for n, v in zip(names, json.loads(run.stdout), strict=True)]
    return ", ".join([f"python {platform.python_version()}", *versions])


def machine() -> str:
    """The machine that this runs on, as the tables name it."""
    return f"{processor()}, {os.cpu_count()} cores, {platform.system()}"


def title(backend: str, versions: str) -> str:
    """`tensorflow` and the versions that `packages_of` gave -> `TensorFlow 2.21.0`."""
    return f"{NAMES[backend]} {dict(one.split() for one in versions.split(', '))[backend]}"
