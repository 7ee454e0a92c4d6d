"""Run one script for make: quietly, with its data checked, and with a note of what it took.

    python tools/run.py 03_load_checkpoint.py

What the script prints goes to out/logs/<script>.txt. Only after exit status 0, and with a
result.json that this run wrote on this backend, out/<script>/run.json appears: seconds, versions,
commit. It is as old as the start of the run, so that make notices an edit made during the run.
"""

import fcntl
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
    try:
        os.write(stream, (text + "\n").encode())
    except OSError:  # the reader has left, as in `make all | head`: the run counts all the same
        pass


def commit() -> str | None:
    """The commit that is checked out, marked if the files differ from it."""
    if not (REPOSITORY / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=7"]
    # A hook of git that starts us may name another repository.
    of_hooks = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    others = {name: value for name, value in os.environ.items() if name not in of_hooks}
    try:
        found = subprocess.run(
            command,
            check=False,
            cwd=REPOSITORY,
            env={**others, "GIT_OPTIONAL_LOCKS": "0"},
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


def lock(file) -> bool:
    """Whether no other runner has this file locked. The end of this process releases it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def declared(script: pathlib.Path) -> tuple[str, list[str], str | None]:
    """Its title, the data it reads, its backend; if it is no Python, the run will say why."""
    try:
        reads = [name for name in lessons.reads(script) if name.startswith("data/")]
        return lessons.title(script), reads, lessons.sets_backend(script)
    except (SyntaxError, ValueError):
        return script.stem, [], None


def run(script: pathlib.Path) -> int:
    of_its_part = lessons.scripts(str(script.parent.relative_to(REPOSITORY)))
    title, data, own_backend = declared(script)
    name = f"[{of_its_part.index(script) + 1}/{len(of_its_part)}] {script.stem[:2]} {title} …"
    result = REPOSITORY / "out" / script.stem / "result.json"
    note = result.with_name("run.json")
    log = REPOSITORY / "out" / "logs" / f"{script.stem}.txt"
    note.unlink(missing_ok=True)
    if found := verify_data.problems([file.removeprefix("data/") for file in data]):
        say("\n".join(found), stream=2)
        return 1

    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    backend = own_backend or backend
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
        # What nohup or `make all &` ignores changes nothing here; the script can still be ended.
        heard = [] if signal.getsignal(number) == signal.SIG_IGN else received
        signal.signal(number, lambda number, frame, heard=heard: heard.append(number))
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
        with (REPOSITORY / sys.argv[1]).open("rb") as script:
            if not lock(script):
                sys.exit(f"{sys.argv[1]} is being run by another make")
            sys.exit(run(REPOSITORY / sys.argv[1]))
    except OSError as error:
        sys.exit(f"{sys.argv[1]} cannot be run: {error}")
