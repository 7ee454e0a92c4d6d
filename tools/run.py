"""Run one script for make: quietly, with its data checked, and with a note of what it took.

    python tools/run.py 03_load_checkpoint.py

What the script prints goes to out/logs/<script>.txt. Only after exit status 0, and with a
result.json that this run wrote on this backend, out/<script>/run.json appears: seconds, versions,
commit. It is as old as the start of the run, so that make notices an edit made during the run.
"""

import importlib.metadata
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

import lessons
import verify_data
from lessons import REPOSITORY

LINES_SHOWN = 20
SECONDS_TO_END = 10  # for a script that was interrupted, before it is killed
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "MPLBACKEND": "agg",
    "PYTHONUNBUFFERED": "1",
}
# What TensorFlow says about the machine when it starts, at every level of logging.
NOISE = re.compile(
    r"WARNING: All log messages before absl"
    r"|[IW]\d{4} \d\d:\d\d:\S+ +\d+ \w+\.cc:\d+\]"
    r"|E\d{4} \d\d:\d\d:\S+ +\d+ cuda\w*\.cc:\d+\]"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d:\S+: [IWE] (tensorflow|external)/"
    r"|To enable the following instructions:"
)


def say(text: str, stream: int = 1) -> None:
    """Write whole lines at once, so that two scripts that run side by side cannot mix them."""
    os.write(stream, (text + "\n").encode())


def commit() -> str | None:
    """The commit that is checked out, marked if the files differ from it."""
    if not (REPOSITORY / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=7"]
    try:
        found = subprocess.run(
            command,
            check=False,
            cwd=REPOSITORY,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
        )
    except OSError:
        return None
    return found.stdout.strip() or None


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def identity(path: pathlib.Path) -> tuple[int, int] | None:
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def wait(process: subprocess.Popen, received: list[int]) -> None:
    """Until the script ends. If make is interrupted, the script is interrupted, then killed."""
    while process.poll() is None and not received:
        time.sleep(0.02)
    if received:
        signal_group(process, signal.SIGINT)
        give_up = time.monotonic() + SECONDS_TO_END
        while process.poll() is None and time.monotonic() < give_up and len(received) == 1:
            time.sleep(0.02)
    signal_group(process, signal.SIGKILL)
    process.wait()


def signal_group(process: subprocess.Popen, number: int) -> None:
    """Send the signal to the script and to what it has started."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def flaw(result: pathlib.Path, earlier, began: int, backend: str) -> str | None:
    """Why this result.json is not that of the run that began then, on this backend."""
    if identity(result) in (None, earlier) or result.stat().st_mtime_ns < began:
        return f"the script ended without writing {result.relative_to(REPOSITORY)}"
    try:
        content = json.loads(result.read_text(encoding="utf-8"))
        ran_on = content.get("backend")
    except (ValueError, AttributeError):
        return f"{result.relative_to(REPOSITORY)} cannot be read"
    return None if ran_on == backend else f"the script ran on {ran_on}, not on {backend}"


def end_of(log: pathlib.Path) -> str:
    """The last lines of what the script printed, without the noise of the start."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([line for line in lines if not NOISE.match(line)][-LINES_SHOWN:])


def run(script: pathlib.Path) -> int:
    of_its_part = lessons.scripts(str(script.parent.relative_to(REPOSITORY)))
    name = f"[{of_its_part.index(script) + 1}/{len(of_its_part)}] "
    name += f"{script.stem[:2]} {lessons.title(script)} …"
    result = REPOSITORY / "out" / script.stem / "result.json"
    note = result.with_name("run.json")
    log = REPOSITORY / "out" / "logs" / f"{script.stem}.txt"
    note.unlink(missing_ok=True)
    data = [name.removeprefix("data/") for name in lessons.reads(script) if name[:5] == "data/"]
    if found := verify_data.problems(data):
        say("\n".join(found), stream=2)
        return 1

    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    backend = lessons.sets_backend(script) or backend
    written = {
        "script": script.stem,
        "backend": backend,
        "backend_version": version(backend),
        "keras": version("keras"),
        "python": platform.python_version(),
        "commit": commit(),
    }
    earlier = identity(result)
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: received.append(number))
    if os.isatty(1):
        say(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    with log.open("xb") as file:
        began = os.fstat(file.fileno()).st_mtime_ns  # by the clock of the file system
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(script.relative_to(REPOSITORY))],
            cwd=REPOSITORY,
            env={**QUIET, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        wait(process, received)
    seconds = time.perf_counter() - start
    if received:
        return 128 + received[0]
    reason = (
        f"exit status {process.returncode}"
        if process.returncode
        else flaw(result, earlier, began, backend)
    )
    if reason:
        whole = f"The whole output: {log.relative_to(REPOSITORY)}"
        say(f"{name} failed after {seconds:.0f} s: {reason}\n{end_of(log)}\n{whole}", stream=2)
        return 1
    unfinished = log.with_suffix(".json")
    unfinished.write_text(json.dumps(written | {"seconds": round(seconds, 1)}, indent=1) + "\n")
    os.utime(unfinished, ns=(began, began))
    unfinished.replace(note)
    say(f"{name} {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(run(REPOSITORY / sys.argv[1]))
    except OSError as error:
        sys.exit(f"{sys.argv[1]} cannot be run: {error}")
