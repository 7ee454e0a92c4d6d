"""make runs what is missing or outdated, in the right order, and refuses what cannot work."""

import os
import re
import subprocess

import pytest
from conftest import BACKEND, REPOSITORY, SCRIPTS

PIMA, MNIST, AUTO_MPG = SCRIPTS[:3] + SCRIPTS[5:7], SCRIPTS[3:5], SCRIPTS[7:]


def make(*arguments: str, cwd=REPOSITORY, **variables: str) -> subprocess.CompletedProcess:
    """Run make as a reader would, whatever the make that started the tests was told."""
    outer = ("MAKE", "MFLAGS")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    environment.pop("PYTHON", None)
    environment |= {"KERAS_BACKEND": BACKEND} | variables
    return subprocess.run(
        ["make", *arguments],
        check=False,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def would_run(*arguments: str, target: str = "all", **variables: str) -> list[str]:
    """The scripts that make would run for the target, in order, without running them."""
    run = make("--dry-run", *arguments, target, **variables)
    assert run.returncode == 0, run.stderr
    started = r"^\.venv/bin/python (?:beyond/)?(\d\d_\w+)\.py$"
    return re.findall(started, run.stdout, flags=re.MULTILINE)


def test_nothing_is_run_again():
    assert would_run() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("01_checkpoint_improvements.py", PIMA[:1]),
        ("02_checkpoint_best_only.py", PIMA[1:3]),
        ("03_load_checkpoint.py", PIMA[2:3]),
        ("04_mnist_every_epoch.py", MNIST[:1]),
        ("data/pima-indians-diabetes.csv", PIMA),
        ("06_resume_training.py", PIMA[3:4]),
        ("10_custom_callback.py", AUTO_MPG[2:]),
        ("data/mnist.npz", MNIST),
        ("data/auto-mpg.csv", AUTO_MPG),
        ("out/02_checkpoint_best_only/result.json", PIMA[2:3]),
    ],
)
def test_a_change_runs_what_depends_on_it_and_nothing_else(changed, expected):
    assert sorted(would_run("-W", changed)) == expected


def test_the_loader_comes_after_the_script_that_saves_even_in_parallel():
    order = would_run("-W", "02_checkpoint_best_only.py", "-j2")
    assert order == ["02_checkpoint_best_only", "03_load_checkpoint"]


def test_results_of_one_backend_never_pass_for_another_s():
    other = {"tensorflow": "jax", "jax": "tensorflow"}[BACKEND]
    assert sorted(would_run(KERAS_BACKEND=other)) == SCRIPTS


def test_one_number_runs_one_script():
    run = make("--dry-run", "-W", "04_mnist_every_epoch.py", "04")
    assert re.findall(r"python (\d\d)_\w+\.py", run.stdout) == ["04"]


def test_help_names_every_target_for_readers():
    text = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split()
    targets = set(phony) - {"help", "check-settings", "check-data", "stale", "$(NUMBERS)"}
    shown = make().stdout
    assert all(f"make {target}" in shown for target in targets)


def test_an_unsupported_python_is_refused_with_one_line(tmp_path):
    python = tmp_path / "python3.10"
    python.write_text("#!/bin/sh\necho 3.10\n")
    python.chmod(0o755)
    run = make("all", PYTHON=str(python))
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and "3.10" in lines[0] and "PYTHON=python3.12" in lines[0]
    assert (REPOSITORY / ".venv" / "bin" / "python").exists()


def test_an_unknown_backend_is_refused_with_one_line():
    run = make("all", KERAS_BACKEND="theano")
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and "theano" in lines[0] and "jax" in lines[0]


def test_the_supported_pythons_are_those_of_the_package():
    makefile = (REPOSITORY / "Makefile").read_text()
    supported = re.search(r"^SUPPORTED := (.*)$", makefile, flags=re.MULTILINE)[1].split()
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', pyproject).groups()
    assert supported == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_an_unfinished_environment_is_not_taken_for_a_python(tmp_path):
    """An interrupted install leaves .venv/bin/python, which the next run is about to delete."""
    for name in (
        "Makefile",
        "requirements/scripts.txt",
        "requirements/beyond.txt",
        f"{SCRIPTS[0]}.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(REPOSITORY / ".venv" / "bin" / "python")
    run = make("--dry-run", SCRIPTS[0][:2], cwd=tmp_path)
    assert " python3 -m venv .venv" in run.stdout
    assert ".venv/bin/python -m venv" not in run.stdout
