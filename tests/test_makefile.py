"""make runs what is missing or outdated, in the right order, and refuses what cannot work."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

import lessons
import pytest
from conftest import (
    ALWAYS_JAX,
    BACKEND,
    BEYOND,
    ON_EACH_BACKEND,
    REPOSITORY,
    SCRIPTS,
    path_of,
)

PIMA, MNIST, AUTO_MPG = (
    [script for script in SCRIPTS if f"data/{name}" in lessons.reads(path_of(script))]
    for name in ("pima-indians-diabetes.csv", "mnist.npz", "auto-mpg.csv")
)
OTHER = {"tensorflow": "jax", "jax": "tensorflow"}[BACKEND]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SCRIPT = '''# %% [markdown]
"""
# {number} · Title of {number}

- Run:    `python {name}`
- Reads:  {reads}
- Writes: `out/{stem}/`: `result.json`
- From:   the tests
"""

# %%
import json
import os
import pathlib
import time

OUT = pathlib.Path("out/{stem}")
OUT.mkdir(parents=True, exist_ok=True)
begin = time.monotonic()
time.sleep({seconds})
if "TOGETHER" in os.environ:  # wait until two scripts have begun
    pathlib.Path(OUT.name + ".begun").touch()
    while len(list(pathlib.Path().glob("*.begun"))) < 2 and time.monotonic() < begin + 60:
        time.sleep(0.01)
with open("times", "a") as file:
    file.write(f"{{OUT.name}} {{begin}} {{time.monotonic()}}\\n")
result = {{"script": OUT.name, "quantity": "number", "documented": None, "reproduced": 1}}
result |= {{"files": [], "keras": "3", "backend": os.environ["KERAS_BACKEND"]}}
(OUT / "result.json").write_text(json.dumps(result))
'''


def make(*arguments: str, cwd=REPOSITORY, **variables: str) -> subprocess.CompletedProcess:
    """Run make as a reader would, whatever the make that started the tests was told."""
    outer = ("MAKE", "MFLAGS", "PYTHON")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    environment |= {"KERAS_BACKEND": BACKEND, "PYTHONDONTWRITEBYTECODE": "1"} | variables
    return subprocess.run(
        ["make", *arguments],
        check=False,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def would_run(*arguments: str, target: str = "all", cwd=REPOSITORY, **variables: str) -> list[str]:
    """The scripts that make would run for the target, in order, without running them."""
    run = make("--dry-run", *arguments, target, cwd=cwd, **variables)
    assert run.returncode == 0, run.stderr
    started = r"^\.venv/bin/python tools/run\.py (?:beyond/)?(\d\d_\w+)\.py$"
    return re.findall(started, run.stdout, flags=re.MULTILINE)


def refusal(*arguments: str, cwd=REPOSITORY, **variables: str) -> str:
    """The one line with which make refuses to begin."""
    run = make(*arguments, cwd=cwd, **variables)
    assert run.returncode != 0
    lines = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, run.stderr
    return lines[0]


def house(place, *more: str):
    """What make needs beside the scripts, with this Python as its finished environment."""
    for name in ("Makefile", "pyproject.toml", *more):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, place / name)
    for folder in ("tools", "requirements"):
        shutil.copytree(REPOSITORY / folder, place / folder)
    binaries = place / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (binaries / "python").chmod(0o755)
    for lock in ("scripts", "beyond"):
        (place / ".venv" / f"installed-{VERSION}-{lock}").touch()
    return place


def ran(place, script: str, backend: str = BACKEND, python: str | None = None) -> None:
    """Leave the note of a complete run."""
    note = place / "out" / script / "run.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    python = python or platform.python_version()
    note.write_text(f'{{\n "backend": "{backend}",\n "python": "{python}"\n}}\n')


@pytest.fixture
def finished(tmp_path):
    """A copy of the repository after `make all beyond`, without what the scripts have written."""
    library = (REPOSITORY / "beyond").rglob("*.py")
    code = [path_of(script) for script in SCRIPTS] + list(library)
    house(tmp_path, *(str(path.relative_to(REPOSITORY)) for path in code))
    shutil.copytree(REPOSITORY / "data", tmp_path / "data")
    for script in SCRIPTS + BEYOND:
        ran(tmp_path, script, "jax" if script in ALWAYS_JAX else BACKEND)
    return tmp_path


@pytest.fixture
def small(tmp_path):
    """A repository with scripts that do nothing but take their time."""
    house(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "SHA256SUMS").write_text("")
    for name, reads, seconds in (
        ("01_first.py", "no file", 0.6),
        ("02_second.py", "no file", 0.6),
        ("03_third.py", "`out/01_first/result.json`", 0),
        ("beyond/11_fourth.py", "no file", 0.6),
        ("beyond/12_fifth.py", "`out/02_second/result.json`", 0.6),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        fields = {"number": path.name[:2], "name": name, "stem": path.stem}
        path.write_text(SCRIPT.format(reads=reads, seconds=seconds, **fields))
    return tmp_path


def times(place) -> dict[str, tuple[float, float]]:
    """Script -> when it began and when it ended; the file is emptied."""
    lines = [line.split() for line in (place / "times").read_text().splitlines()]
    (place / "times").unlink()
    return {stem: (float(begin), float(end)) for stem, begin, end in lines}


def side_by_side(ran: dict, first: str, second: str) -> bool:
    return ran[first][0] < ran[second][1] and ran[second][0] < ran[first][1]


def test_each_file_of_data_is_read_by_the_scripts_that_load_it():
    assert set(PIMA) >= set(SCRIPTS[:3]) and set(MNIST) >= set(SCRIPTS[3:5])
    assert set(AUTO_MPG) >= set(SCRIPTS[7:10])
    assert {*PIMA, *MNIST, *AUTO_MPG} == set(SCRIPTS)


def test_nothing_is_run_again():
    assert would_run() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("01_checkpoint_improvements.py", SCRIPTS[:1]),
        ("02_checkpoint_best_only.py", SCRIPTS[1:3]),
        ("03_load_checkpoint.py", SCRIPTS[2:3]),
        ("04_mnist_every_epoch.py", SCRIPTS[3:4]),
        ("data/pima-indians-diabetes.csv", PIMA),
        ("06_resume_training.py", SCRIPTS[5:6]),
        ("10_custom_callback.py", SCRIPTS[9:10]),
        ("data/mnist.npz", MNIST),
        ("data/auto-mpg.csv", AUTO_MPG),
        ("out/02_checkpoint_best_only/run.json", SCRIPTS[2:3]),
        (
            "requirements/scripts.txt" if BACKEND == "tensorflow" else "requirements/beyond.txt",
            SCRIPTS,
        ),
    ],
)
def test_a_change_runs_what_depends_on_it_and_nothing_else(finished, changed, expected):
    assert would_run(cwd=finished) == []
    assert sorted(would_run("-W", changed, cwd=finished)) == expected


def test_part_two_runs_again_when_a_module_or_a_package_of_it_changes(finished):
    package = finished / "beyond" / "some_package"
    package.mkdir()
    for name in ("__init__.py", "part.py"):
        (package / name).touch()
    for script in SCRIPTS + BEYOND:
        (finished / "out" / script / "run.json").touch()
    assert would_run(target="beyond", cwd=finished) == []
    modules = [path for path in (finished / "beyond").glob("*.py") if not path.name[0].isdigit()]
    packages = [path.parent for path in (finished / "beyond").glob("*/__init__.py")]
    parts = [part for folder in packages for part in folder.glob("*.py")]
    assert modules or len(packages) > 1
    for changed in (*modules, *parts):
        name = str(changed.relative_to(finished))
        assert sorted(would_run("-W", name, target="beyond", cwd=finished)) == BEYOND, name
        assert would_run("-W", name, cwd=finished) == []
    bench = "beyond/benchmarks/saving.py"
    assert would_run("-W", bench, target="beyond", cwd=finished) == []


def test_script_17_comes_after_01(finished):
    changed = "01_checkpoint_improvements.py"
    order = would_run("-W", changed, target="beyond", cwd=finished)
    assert order == ["01_checkpoint_improvements", "17_how_typical"]


def test_the_loader_comes_after_the_script_that_saves_even_in_parallel(finished):
    order = would_run("-W", "02_checkpoint_best_only.py", "-j2", cwd=finished)
    assert order == ["02_checkpoint_best_only", "03_load_checkpoint"]


def test_results_of_one_backend_never_pass_for_another_s(finished):
    assert sorted(would_run(KERAS_BACKEND=OTHER, cwd=finished)) == SCRIPTS
    others = [script for script in BEYOND if script not in ALWAYS_JAX + ON_EACH_BACKEND]
    others += [SCRIPTS[0], "17_how_typical"]  # which reads what 01 finds
    assert sorted(would_run(target="beyond", KERAS_BACKEND=OTHER, cwd=finished)) == sorted(others)
    ran(finished, "04_mnist_every_epoch", OTHER)
    assert would_run(cwd=finished) == ["04_mnist_every_epoch"]


def test_results_of_one_python_never_pass_for_another_s(finished):
    ran(finished, "05_mnist_best_only", python="3.1.4")
    assert would_run(cwd=finished) == ["05_mnist_best_only"]


def test_a_result_without_the_note_of_a_complete_run_is_run_again(finished):
    note = finished / "out" / "01_checkpoint_improvements" / "run.json"
    note.replace(note.with_name("result.json"))
    assert would_run(cwd=finished) == ["01_checkpoint_improvements"]


def test_one_number_runs_one_script(finished):
    assert would_run("-W", "04_mnist_every_epoch.py", target="04", cwd=finished) == SCRIPTS[3:4]


def test_a_new_script_needs_no_edit_of_the_makefile(finished):
    text = path_of("03_load_checkpoint").read_text().replace("03_load_checkpoint", "99_more")
    text = text.replace("`data/pima-indians-diabetes.csv`", "`data/mnist.npz`")
    text += '\n# %% [markdown]\n"""\n- Reads: `data/auto-mpg.csv`, says a later cell\n"""\n'
    (finished / "99_more.py").write_text(text)
    assert would_run(cwd=finished) == ["99_more"]
    ran(finished, "99_more")
    for changed, expected in (
        ("data/mnist.npz", [*MNIST, "99_more"]),
        ("data/auto-mpg.csv", AUTO_MPG),
        ("data/pima-indians-diabetes.csv", [*PIMA, "99_more"]),  # by way of 02
        ("02_checkpoint_best_only.py", [*SCRIPTS[1:3], "99_more"]),
    ):
        assert sorted(would_run("-W", changed, cwd=finished)) == sorted(expected)


def test_missing_data_are_named_with_the_remedy(finished):
    (finished / "data" / "mnist.npz").unlink()
    assert "git checkout -- data/mnist.npz" in refusal("all", cwd=finished)


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core, one script at a time")
def test_two_scripts_at_a_time_each_with_one_whole_line(small):
    run = make("all", cwd=small, TOGETHER="yes")
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    shown = [re.match(r"^\[(\d)/3\] (\d\d) Title of \2 … \d+ s$", line) for line in lines]
    assert sorted(found[2] for found in shown if found) == ["01", "02", "03"]
    assert any(re.match(r"^01 Title of 01 +number +– +1 +\d+$", line) for line in lines)
    found = times(small)
    assert side_by_side(found, "01_first", "02_second")
    assert found["03_third"][0] > found["01_first"][1]
    again = make("all", cwd=small)
    assert "Title of 03 …" not in again.stdout and "03 Title of 03" in again.stdout
    assert make("clean", cwd=small).returncode == 0
    assert make("-j1", "all", cwd=small).returncode == 0
    assert not side_by_side(times(small), "01_first", "02_second")


def test_what_one_script_left_half_written_does_not_hide_the_result_of_another(small):
    broken = small / "out" / "02_second" / "result.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{")
    run = make("01", cwd=small)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^01 Title of 01 +number", run.stdout, flags=re.MULTILINE)
    assert "02 Title" not in run.stdout


def test_what_measures_time_runs_alone_and_the_rest_of_part_two_in_pairs(small):
    """11 and 12 measure nothing, until 11 calls a clock."""
    run = make("beyond", cwd=small, TOGETHER="yes")
    assert run.returncode == 0, run.stderr
    found = times(small)
    assert sorted(found) == ["02_second", "11_fourth", "12_fifth"]
    if os.cpu_count() > 1:
        pairs = [(a, b) for a in found for b in found if a < b]
        assert any(side_by_side(found, *pair) for pair in pairs)
    fourth = small / "beyond" / "11_fourth.py"
    fourth.write_text(fourth.read_text() + "time.perf_counter()\n")
    for goals in (["beyond"], ["11", "12"], ["all", "beyond"]):
        shutil.rmtree(small / "out")
        assert make(*goals, cwd=small).returncode == 0
        found = times(small)
        others = [name for name in found if name != "11_fourth"]
        assert "12_fifth" in others
        assert not any(side_by_side(found, "11_fourth", other) for other in others), goals


def test_notebooks_and_scripts_agree_on_what_measures_time():
    assert f"grep -slE '{lessons.MEASURES_TIME}'" in (REPOSITORY / "Makefile").read_text()


def test_an_edit_during_the_run_is_noticed(small):
    with (small / "01_first.py").open("a") as file:
        file.write("pathlib.Path('01_first.py').touch()\n")
    assert make("01", cwd=small).returncode == 0
    assert would_run(target="01", cwd=small) == ["01_first"]


def test_a_script_that_fails_ends_make_and_is_run_again(small):
    good = (small / "01_first.py").read_text()
    (small / "01_first.py").write_text(good + "raise SystemExit('broken')\n")
    run = make("all", cwd=small)
    assert run.returncode != 0 and "broken" in run.stderr
    assert not (small / "out" / "03_third").exists()
    (small / "01_first.py").write_text(good)
    assert make("all", cwd=small).returncode == 0


def test_ctrl_c_leaves_nothing_that_passes_for_a_result(small):
    with (small / "01_first.py").open("a") as file:
        file.write("pathlib.Path('waiting').touch()\ntime.sleep(240)\n")
    environment = os.environ | {"KERAS_BACKEND": BACKEND}
    process = subprocess.Popen(
        ["make", "01"],
        cwd=small,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    give_up = time.monotonic() + 120
    while not (small / "waiting").exists():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    os.killpg(process.pid, 2)  # as the terminal does, to make and to the runner
    assert process.wait(timeout=120) != 0
    assert (small / "out" / "01_first" / "result.json").exists()
    assert not (small / "out" / "01_first" / "run.json").exists()


def test_help_names_every_target_for_readers():
    text = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)[1].split()
    targets = set(phony) - {"help", "check-settings", "check-data", "stale", "$(NUMBERS)"}
    shown = make().stdout
    assert all(f"make {target}" in shown for target in targets)


def python_of_version(folder, version: str) -> str:
    """A program that takes itself for a Python of that version."""
    python = folder / "python3"
    python.parent.mkdir(exist_ok=True)
    python.write_text(f"#!/bin/sh\necho {version}\n")
    python.chmod(0o755)
    return str(python)


def tools_without_python(folder) -> str:
    """A PATH with what the Makefile calls, and with no Python and no uv."""
    folder.mkdir()
    for name in ("sh", "awk", "grep", "ls", "rm", "test", "touch", "getconf", "make", "env"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def test_an_unsupported_python_is_refused_with_one_line(small):
    line = refusal("all", cwd=small, PYTHON=python_of_version(small / "old", "3.10"))
    assert "3.10" in line and "PYTHON=python3.12" in line
    assert (small / ".venv" / "bin" / "python").exists()


def test_with_only_a_newer_python_one_command_is_named_that_brings_one(small):
    shutil.rmtree(small / ".venv")
    path = tools_without_python(small / "tools-only")
    python_of_version(small / "tools-only", "3.99")
    line = refusal("all", cwd=small, PATH=path)
    assert "3.99" in line and "pip install uv" in line and line.endswith("make all")


def test_with_only_a_newer_python_uv_brings_the_newest_that_is_supported(small):
    shutil.rmtree(small / ".venv")
    path = tools_without_python(small / "tools-only")
    python_of_version(small / "tools-only", "3.99")
    uv = small / "tools-only" / "uv"
    uv.write_text("#!/bin/sh\nexit 1\n")
    uv.chmod(0o755)
    run = make("--dry-run", "all", cwd=small, PATH=path)
    assert re.search(r'uv venv --quiet --python[\\\s]+"3\.13" \.venv', run.stdout)
    assert "touch .venv/installed-3.13-" in run.stdout


def test_without_an_environment_any_supported_python_of_the_path_is_taken(small):
    shutil.rmtree(small / ".venv")
    path = tools_without_python(small / "tools-only")
    python_of_version(small / "tools-only", "3.99")
    (small / "tools-only" / "python3.12").write_text("#!/bin/sh\necho 3.12\n")
    (small / "tools-only" / "python3.12").chmod(0o755)
    run = make("--dry-run", "all", cwd=small, PATH=path)
    assert " python3.12 -m venv .venv" in run.stdout


def test_an_environment_that_is_a_link_is_refused(small):
    (small / ".venv").rename(small / "elsewhere")
    (small / ".venv").symlink_to(small / "elsewhere")
    for target in ("all", "01", "test", "beyond"):
        assert ".venv is a symbolic link" in refusal(target, cwd=small)
    assert not (small / "times").exists()


def test_an_unknown_backend_is_refused_with_one_line(small):
    line = refusal("all", cwd=small, KERAS_BACKEND="theano")
    assert "theano" in line and "jax" in line


def test_the_supported_pythons_are_those_of_the_package():
    makefile = (REPOSITORY / "Makefile").read_text()
    supported = re.search(r"^SUPPORTED := (.*)$", makefile, flags=re.MULTILINE)[1].split()
    pyproject = (REPOSITORY / "pyproject.toml").read_text()
    low, high = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', pyproject).groups()
    assert supported == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_an_unfinished_environment_is_not_taken_for_a_python(small):
    """An interrupted install leaves .venv/bin/python, which the next run is about to delete."""
    for marker in (small / ".venv").glob("installed-*"):
        marker.unlink()
    run = make("--dry-run", "01", cwd=small)
    assert " python3 -m venv .venv" in run.stdout
    assert ".venv/bin/python -m venv" not in run.stdout


def test_an_environment_whose_python_is_gone_is_refused_with_the_remedy(small):
    (small / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 127\n")
    line = refusal("all", cwd=small)
    assert ".venv" in line and line.endswith("make distclean")
    assert make("distclean", cwd=small).returncode == 0
    assert " -m venv .venv" in make("--dry-run", "all", cwd=small).stdout


def test_an_environment_that_uv_made_is_extended_without_uv(small):
    """uv puts no pip into it, and the next terminal may not find uv."""
    (small / ".venv" / f"installed-{VERSION}-beyond").unlink()
    shutil.rmtree(small / "out", ignore_errors=True)
    (small / ".venv" / "bin" / "python").write_text(
        f'''#!/bin/sh
case "$1 $2" in
"-m ensurepip") : > pip.there ;;
"-m pip") test -e pip.there && echo "$@" >> asked ;;
*) exec "{sys.executable}" "$@" ;;
esac
'''
    )
    path = tools_without_python(small / "tools-only")
    run = make(f".venv/installed-{VERSION}-beyond", cwd=small, PATH=path)
    assert run.returncode == 0, run.stderr
    assert "requirements/beyond.txt" in (small / "asked").read_text()


def test_uv_is_looked_for_by_a_shell():
    """GNU make before 4.3 starts `command` itself, and finds no such program, if it needs none."""
    makefile = (REPOSITORY / "Makefile").read_text()
    looks = re.findall(r"\$\(shell (command -v [^)]*)\)", makefile)
    assert looks and all("2>/dev/null" in look for look in looks)


def test_the_environment_holds_the_project_and_the_old_file_of_part_two(small):
    for marker in (small / ".venv").glob("installed-*"):
        marker.unlink()
    for target, old_files in (("all", BACKEND == "jax"), ("beyond", True)):
        shown = make("--dry-run", target, cwd=small).stdout
        assert "--no-deps --no-build-isolation --editable ." in shown
        installs = "--no-deps --require-hashes -r requirements/old-files.txt" in shown
        assert installs == old_files
