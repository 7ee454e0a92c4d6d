"""What the recorded run of a script as a notebook depends on, and whether it is still good.

A record is an executed notebook, out/notebooks/<script>.ipynb. Its metadata hold the SHA-256 of
every file that the run depended on: the script, the packages in beyond/ that it imports, its data,
the lock of the environment, and the same of each script whose results it reads.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import sys

import lessons
from lessons import REPOSITORY

FOLDER = REPOSITORY / "out" / "notebooks"
LOCK = REPOSITORY / "requirements" / "beyond.txt"
KEY = "recorded"  # in the metadata of the notebook
COMMAND = "make notebooks"


def scripts() -> list[pathlib.Path]:
    """All numbered scripts, in the order of their numbers."""
    return lessons.scripts(".") + lessons.scripts("beyond")


def shown() -> list[pathlib.Path]:
    """The scripts that are run as notebooks, and whose pages show the outputs.

    All of them, unless the variable NOTEBOOKS names some, as in NOTEBOOKS="03 12".
    """
    numbers = os.environ.get("NOTEBOOKS", "").split()
    return numbered(numbers) if numbers else scripts()


def numbered(numbers: list[str]) -> list[pathlib.Path]:
    """The scripts with these numbers.

    Raises:
        SystemExit: There is none with one of them.
    """
    unknown = set(numbers) - {script.name[:2] for script in scripts()}
    if unknown:
        sys.exit(f"There is no script {', '.join(sorted(unknown))}.")
    return [script for script in scripts() if script.name[:2] in numbers]


def record_of(script: pathlib.Path) -> pathlib.Path:
    """Where the executed notebook of this script lies."""
    return FOLDER / f"{script.stem}.ipynb"


def needs(script: pathlib.Path) -> list[pathlib.Path]:
    """The other scripts whose results in out/ this one reads."""
    names = {name.split("/")[1] for name in lessons.reads(script) if name.startswith("out/")}
    return [other for other in scripts() if other.stem in names - {script.stem}]


@functools.cache
def package_files(package: str) -> list[pathlib.Path]:
    return sorted((REPOSITORY / "beyond" / package).rglob("*.py"))


def packages_in(code: str) -> set[str]:
    """The packages of beyond/ that this code names, in a program that it starts as well."""
    found = (path.parent.name for path in (REPOSITORY / "beyond").glob("*/__init__.py"))
    return {name for name in found if re.search(rf"\b{name}\b", code)}


def inputs(script: pathlib.Path) -> list[pathlib.Path]:
    """Every file on which the outputs of this script depend."""
    code = "\n".join(
        line for kind, lines in lessons.cells(script) if kind == "code" for line in lines
    )
    found = {script, LOCK}
    found |= {REPOSITORY / name for name in lessons.reads(script) if name.startswith("data/")}
    packages: set[str] = set()
    while new := packages_in(code) - packages:
        packages |= new
        files = [path for package in new for path in package_files(package)]
        found.update(files)
        code = "\n".join(
            line
            for path in files
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.lstrip().startswith(("import ", "from "))
        )
    for other in needs(script):
        found.update(inputs(other))
    return sorted(found)


@functools.cache
def _sha256(path: pathlib.Path, changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashes(script: pathlib.Path) -> dict[str, str]:
    """Path in the repository -> SHA-256, for every file the script's outputs depend on."""
    return {
        str(path.relative_to(REPOSITORY)): (
            _sha256(path, path.stat().st_mtime_ns) if path.is_file() else "missing"
        )
        for path in inputs(script)
    }


def flaw(script: pathlib.Path) -> str | None:
    """Why the outputs of this script cannot be shown, or None if they are those of today's files.

    The answer names the script, what is wrong, and the command that helps.
    """
    name = script.relative_to(REPOSITORY)
    record = record_of(script)
    if not record.is_file():
        return f"{name} has not been run as a notebook. Run: {COMMAND}"
    try:
        then = json.loads(record.read_text(encoding="utf-8"))["metadata"][KEY]["hashes"]
    except (KeyError, TypeError, ValueError):
        return f"{record.relative_to(REPOSITORY)} cannot be read. Run: {COMMAND}"
    now = hashes(script)
    changed = sorted(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))
    if changed:
        some = ", ".join(changed[:3]) + (" …" if len(changed) > 3 else "")
        return f"{name} was run before {some} changed. Run: {COMMAND}"
    return None
