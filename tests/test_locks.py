"""The lock files agree with pyproject.toml, with each other, and with what is installed."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import REPOSITORY
from packaging.requirements import Requirement

LOCKS = ["requirements/scripts.txt", "requirements/beyond.txt"]


def pins(lock: str) -> dict[str, set[str]]:
    """Name -> the versions that the lock pins; several where they depend on the Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / lock).read_text(), re.MULTILINE
    ):
        found.setdefault(name, set()).add(version)
    return found


def declared(*extras: str) -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    requirements = [Requirement(line) for line in lines]
    return [each for each in requirements if not each.marker or each.marker.evaluate()]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [(LOCKS[0], ["scripts", "test"]), (LOCKS[1], ["scripts", "test", "beyond"])],
)
def test_each_lock_holds_what_is_declared(lock, extras):
    for requirement in declared(*extras):
        versions = pins(lock)[requirement.name.lower()]
        assert all(requirement.specifier.contains(version) for version in versions)


def test_the_larger_lock_contains_the_smaller():
    larger = pins(LOCKS[1])
    assert all(larger[name] == versions for name, versions in pins(LOCKS[0]).items())


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_host_is_named(lock):
    text = (REPOSITORY / lock).read_text()
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks and all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_the_lock_for_pytorch_adds_to_the_larger_one_and_leaves_its_build_open():
    """Its builds differ with the accelerator, so it can have no hashes and asks for no CUDA."""
    text = (REPOSITORY / "requirements/torch.txt").read_text()
    assert "://" not in text and "--hash" not in text
    found, larger = pins("requirements/torch.txt"), pins(LOCKS[1])
    assert "torch" in found and "torch" not in larger
    assert all(larger.get(name, versions) == versions for name, versions in found.items())
    assert all(requirement.name in found for requirement in declared("torch"))
    assert not {name for name in found if re.match("nvidia|cuda|triton", name)}


def test_installed_is_what_is_locked():
    locked = pins(LOCKS[0])
    for requirement in declared("scripts", "test"):
        name = requirement.name.lower()
        assert importlib.metadata.version(name) in locked[name]


def test_the_lock_of_old_files_holds_one_version_of_one_package_with_its_hashes():
    text = (REPOSITORY / "requirements/old-files.txt").read_text()
    assert re.fullmatch(r"fer==22\.4\.0( \\\n    --hash=sha256:[0-9a-f]{64})+\n", text)
    makefile = (REPOSITORY / "Makefile").read_text()
    assert re.search(r"^OLD_FILES := (.*)$", makefile, flags=re.MULTILINE)[1] in text
    assert "fer" not in pins(LOCKS[0]) and "fer" not in pins(LOCKS[1])


def test_installing_the_project_itself_needs_no_network():
    """`make` installs it without build isolation: what builds it is locked."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for requirement in project["build-system"]["requires"]:
        assert requirement in pins(LOCKS[0])


def test_the_version_is_the_newest_of_the_changelog():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\S+)", changelog, flags=re.MULTILINE)
    assert versions[0] == project["version"]


def test_every_module_and_package_of_part_two_is_installed():
    beyond = REPOSITORY / "beyond"
    modules = {path.stem for path in beyond.glob("[!0-9]*.py")}
    packages = {path.parent.name for path in beyond.glob("*/__init__.py")}
    tool = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(tool.get("py-modules", [])) == modules
    assert tool["packages"]["find"] == {"where": ["beyond"], "namespaces": False}
    assert "durable_checkpoint" in modules | packages


@pytest.mark.skipif(sys.platform != "linux", reason="actionlint is locked for Linux")
def test_actionlint_finds_nothing_in_the_workflows():
    workflows = sorted(map(str, (REPOSITORY / ".github" / "workflows").glob("*.yml")))
    actionlint = pathlib.Path(sys.executable).with_name("actionlint")
    command = [actionlint, "-no-color", "-shellcheck=", "-pyflakes=", *workflows]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert workflows and run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("lock", LOCKS)
def test_no_cuda_libraries(lock):
    assert not [name for name in pins(lock) if name.startswith("nvidia") or "cuda" in name]
