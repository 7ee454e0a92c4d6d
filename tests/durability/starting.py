"""Start a script that starts others, in a folder of its own, and see what it leaves behind."""

import os
import pathlib
import signal
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 240  # seconds; generous, as other tests run at the same time


def place_for(script, folder, changes=()):
    """A folder that holds what the script needs, with some of its lines changed."""
    folder = pathlib.Path(folder)
    (folder / "beyond").mkdir()
    (folder / "data").symlink_to(REPOSITORY / "data")
    text = (REPOSITORY / "beyond" / f"{script}.py").read_text()
    for line, other in changes:
        assert text.count(f"\n{line}\n") == 1, line
        text = text.replace(f"\n{line}\n", f"\n{other}\n")
    (folder / "beyond" / f"{script}.py").write_text(text)
    return folder


def start(script, folder, **environment):
    return subprocess.Popen(
        [sys.executable, f"beyond/{script}.py"],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(script, folder, **environment):
    """The only line with which the script ends, after which no process is left."""
    process = start(script, folder, **environment)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, errors
    (line,) = own_lines(errors)
    assert processes_in(folder) == []
    assert not (folder / "out" / script / "result.json").exists()
    return line


def end_alone(script, process, number, folder, line):
    """Send the process this signal: those it started end too, and nothing is left elsewhere."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    if number == signal.SIGINT:
        assert process.returncode == 130, errors
        assert own_lines(errors) == [line]
        assert processes_in(folder) == []
    until(lambda: not processes_in(folder), "the others end with the one that started them")
    assert {path.name for path in folder.iterdir()} == {"beyond", "data", "out"}
    assert [path.name for path in (folder / "out").iterdir()] == [script]
    assert not (folder / "out" / script / "result.json").exists()


def without(package, folder):
    """The environment in which this package is not installed."""
    (folder / "missing" / package).mkdir(parents=True)
    error = f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')"
    (folder / "missing" / package / "__init__.py").write_text(error)
    return {"PYTHONPATH": str(folder / "missing")}


def beginning_with(code, folder):
    """The environment in which every Python executes this code before anything else."""
    (folder / "first").mkdir()
    (folder / "first" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder / "first")}


def own_lines(text):
    """Without what TensorFlow, absl and XLA print."""
    foreign = ("WARNING:", "I0000", "W0000", "E0000", "To enable the following")
    return [line for line in text.splitlines() if line and not line.startswith(foreign)]


def processes_in(folder):
    """The numbers of all processes whose current folder is this one."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def kill_processes_in(folder):
    for process in processes_in(folder):
        os.kill(process, signal.SIGKILL)


def until(condition, what):
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, what
        time.sleep(0.05)
