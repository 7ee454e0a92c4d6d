"""Run every script as a notebook, and keep the notebooks with their outputs for the pages.

    python tools/notebooks.py          those whose record is missing or out of date
    python tools/notebooks.py 03 12    these, in any case
    python tools/notebooks.py convert FOLDER    run nothing: notebooks without outputs, there

Each script runs once, in a Jupyter kernel of this Python. Its root is a folder of links to the
repository, out/notebooks/root, so `out/` keeps what `make all` left. Two run at a time. Those of
part two that measure time come last, and run alone.
"""

import asyncio
import os
import pathlib
import platform
import re
import sys
import time

import jupytext
import lessons
import nbclient
import nbclient.exceptions
import nbformat
import published
import recording
import run
from lessons import REPOSITORY

ROOT = recording.FOLDER / "root"
ELSEWHERE = ROOT / "elsewhere"  # the kernel starts here: the first cell has to find the root
TOGETHER = 2
SECONDS_AT_MOST = 900  # for one script
LINES_SHOWN = 20

FIRST_CELL = """\
# For Jupyter and Colab: find the repository, or fetch it, and make it the current folder.
import importlib.util
import os
import pathlib
import subprocess
import sys

here = pathlib.Path.cwd()
folders = [here, *here.parents, here / "{name}"]
root = next((folder for folder in folders if (folder / "{script}").exists()), None)
if root is None:
{fetch}
if importlib.util.find_spec("keras") is None:
    packages = [sys.executable, "-m", "pip", "install", "--quiet", "-e", f"{{root}}[scripts]"]
    subprocess.run(packages, check=True)
os.chdir(root)
sys.path.insert(0, str(root / "beyond"))
"""

FETCH = """\
    subprocess.run(["git", "clone", "--depth", "1", "{repository}", "{name}"], check=True)
    root = here / "{name}"
"""
# As long as nobody knows where the repository is published.
REFUSE = """\
    raise FileNotFoundError("{script} is not here: start Jupyter in a copy of the repository")
"""

# IPython's settings for the kernel: sharp figures, and no value that only ends a cell.
PROFILE = """\
c.InlineBackend.figure_formats = {"retina"}
c.InteractiveShell.ast_node_interactivity = "none"
"""


def first_cell(script: pathlib.Path) -> nbformat.NotebookNode:
    """The cell that stands before the script: it finds the repository, or fetches it."""
    address = published.address()
    names = {
        "name": address.rsplit("/", 1)[-1],
        "repository": address,
        "script": script.relative_to(REPOSITORY).as_posix(),
    }
    fetch = FETCH if published.has_owner(address) else REFUSE
    code = FIRST_CELL.format(**names, fetch=fetch.format(**names).rstrip())
    cell = nbformat.v4.new_code_cell(code.rstrip(), id="root")
    cell.metadata.tags = ["remove-cell"]
    return cell


def notebook(script: pathlib.Path) -> nbformat.NotebookNode:
    """The script as a notebook without outputs. The ids of its cells are the same every time."""
    found = jupytext.read(script)
    found.cells.insert(0, first_cell(script))
    for number, cell in enumerate(found.cells):
        cell.id = f"cell-{number}"
    found.metadata = nbformat.NotebookNode(
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        language_info={"name": "python"},
    )
    found.nbformat, found.nbformat_minor = 4, 5
    return found


def make_root() -> None:
    """Make the folder in which the notebooks run: links to the repository, and its own out/."""
    ELSEWHERE.mkdir(parents=True, exist_ok=True)
    (ROOT / "out").mkdir(exist_ok=True)
    for entry in REPOSITORY.iterdir():
        link = ROOT / entry.name
        hidden = entry.name.startswith(".") or entry.name in ("out", "build")
        if not hidden and not link.is_symlink():
            link.symlink_to(entry)
    for link in ROOT.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()
    profile = recording.FOLDER / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(PROFILE)


def environment() -> dict[str, str]:
    """That of the kernel. The kernel sets matplotlib's backend itself."""
    quiet = {name: value for name, value in run.QUIET.items() if name != "MPLBACKEND"}
    ours = {
        "IPYTHONDIR": str(recording.FOLDER / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
    }
    left_out = ("CHECKPOINT_DIR", "MPLBACKEND")
    theirs = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**quiet, **theirs, **ours}


def as_seen(text: str) -> str:
    """What a terminal would show: after a carriage return or a backspace, letters are replaced."""
    lines = []
    for line in text.split("\n"):
        shown: list[str] = []
        at = 0
        for letter in line:
            if letter == "\r":
                at = 0
            elif letter == "\b":
                at = max(at - 1, 0)
            else:
                shown[at : at + 1] = letter
                at += 1
        lines.append("".join(shown).rstrip())
    return "\n".join(lines)


def without_noise(text: str) -> str:
    """The text without what TensorFlow says about the machine, and without paths of the machine."""
    kept = [line for line in as_seen(text).split("\n") if not run.NOISE.match(line)]
    text = "\n".join(kept)
    text = re.sub(r"/\S*/site-packages/", "site-packages/", text)
    text = re.sub(r"/\S*/ipykernel_\d+/\d+\.py", "this cell", text)
    return text.replace(f"{ROOT}/", "").replace(f"{REPOSITORY}/", "")


def merged(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The same with each run of pieces of one stream as one output: a line may be in two pieces."""
    found: list[nbformat.NotebookNode] = []
    for output in outputs:
        last = found[-1] if found else {}
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            found.append(output)
    return found


def clean(cells: list[nbformat.NotebookNode]) -> None:
    """Leave in the outputs what a reader should see."""
    heading = ""
    for cell in cells:
        if cell.cell_type == "markdown":
            found = re.search(r"^#+ (.*)$", cell.source, flags=re.MULTILINE)
            heading = found[1] if found else heading
            continue
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        outputs = []
        for output in merged(cell.outputs):
            if output.output_type == "stream":
                output.text = without_noise(output.text)
                if not output.text.strip():
                    continue
            elif "image/png" in output.get("data", {}):
                output.data.pop("text/plain", None)
                cell.metadata.mystnb = {"image": {"alt": heading.removeprefix("Look: ")}}
            outputs.append(output)
        cell.outputs = outputs


def figures(cells: list[nbformat.NotebookNode]) -> list[str]:
    """The figures of a notebook, as PNG in base64."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]


async def record(script: pathlib.Path) -> float:
    """Run this script as a notebook and keep it; return the seconds.

    Raises:
        RuntimeError: The script failed; the message is the end of what it said.
    """
    hashes = recording.hashes(script)
    target = recording.record_of(script)
    target.unlink(missing_ok=True)
    book = notebook(script)
    client = nbclient.NotebookClient(
        book,
        timeout=SECONDS_AT_MOST,
        kernel_name="python3",
        resources={"metadata": {"path": str(ELSEWHERE)}},
        shutdown_kernel="immediate",
    )
    log = recording.FOLDER / "logs" / f"{script.stem}.txt"
    log.parent.mkdir(exist_ok=True)
    start = time.perf_counter()
    try:
        with log.open("wb") as file:  # what the kernel says beside the outputs
            await client.async_execute(env=environment(), stdout=file, stderr=file)
    except (nbclient.exceptions.CellControlSignal, RuntimeError) as error:
        shown = as_seen(str(error)).rstrip().splitlines()[-LINES_SHOWN:]
        raise RuntimeError("\n".join([f"{script.name} failed as a notebook:", *shown])) from error
    seconds = time.perf_counter() - start
    clean(book.cells)
    if len(figures(book.cells)) != 1:
        raise RuntimeError(f"{script.name} shows {len(figures(book.cells))} figures, not one")
    book.metadata[recording.KEY] = {
        "hashes": hashes,
        "seconds": round(seconds, 1),
        "backend": lessons.sets_backend(script) or environment()["KERAS_BACKEND"],
        "keras": run.version("keras"),
        "python": platform.python_version(),
    }
    unfinished = target.with_suffix(".unfinished")
    unfinished.write_text(nbformat.writes(book) + "\n", encoding="utf-8")
    unfinished.replace(target)
    return seconds


def wanted(numbers: list[str]) -> list[pathlib.Path]:
    """The scripts to run: those asked for, or the outdated, and those whose results they lack."""
    if numbers:
        found = set(recording.numbered(numbers))
    else:
        found = {script for script in recording.shown() if recording.flaw(script)}
    for script in list(found):
        for other in recording.needs(script):
            if recording.flaw(other) or not (ROOT / "out" / other.stem / "result.json").exists():
                found.add(other)
    return [script for script in recording.scripts() if script in found]


def measures_time(script: pathlib.Path) -> bool:
    """Whether another script beside it would change what it shows."""
    return bool(re.search(lessons.MEASURES_TIME, script.read_text(encoding="utf-8")))


async def run_all(chosen: list[pathlib.Path]) -> list[str]:
    """Run these scripts; return what went wrong."""
    places = asyncio.Semaphore(TOGETHER if (os.cpu_count() or 1) > 1 else 1)
    ended = {script: asyncio.Event() for script in chosen}
    failed: dict[pathlib.Path, str] = {}

    async def one(script: pathlib.Path) -> None:
        others = [other for other in recording.needs(script) if other in ended]
        for other in others:
            await ended[other].wait()
        try:
            async with places:
                if not any(other in failed for other in others):
                    seconds = await record(script)
                    run.say(f"{script.stem[:2]} {lessons.title(script)}: {seconds:.0f} s")
        except RuntimeError as error:
            failed[script] = str(error)
            run.say(str(error), stream=2)
        finally:
            ended[script].set()

    alone = {script for script in lessons.scripts("beyond") if measures_time(script)}
    await asyncio.gather(*(one(script) for script in chosen if script not in alone))
    for script in chosen:
        if script in alone:
            await one(script)
    return list(failed.values())


def convert(folder: pathlib.Path) -> None:
    """Write every script as a notebook without outputs into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in recording.scripts():
        nbformat.write(notebook(script), folder / f"{script.stem}.ipynb")


def main(words: list[str]) -> int:
    if words[:1] == ["convert"] and len(words) == 2:
        convert(pathlib.Path(words[1]))
        return 0
    return run_wanted(words)


def run_wanted(numbers: list[str]) -> int:
    """Run the scripts with these numbers, or those whose record is not good; the exit status."""
    make_root()
    chosen = wanted(numbers)
    if not chosen:
        run.say("Every notebook is up to date: out/notebooks")
        return 0
    start = time.perf_counter()
    failed = asyncio.run(run_all(chosen))
    minutes = (time.perf_counter() - start) / 60
    run.say(f"{len(chosen) - len(failed)} notebooks in {minutes:.1f} minutes: out/notebooks")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
