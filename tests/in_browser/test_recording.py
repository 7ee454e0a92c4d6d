"""Outputs of files that have changed are refused; outputs hold what a reader should see."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import nbformat
import notebooks
import pytest
import recording
from conftest import REPOSITORY

RECORD_ALL = """\
import json, recording
recording.FOLDER.mkdir(parents=True)
for script in recording.scripts():
    book = {"cells": [], "metadata": {"recorded": {"hashes": recording.hashes(script)}}}
    recording.record_of(script).write_text(json.dumps(book))
"""
FLAWS = """\
import recording
print(*filter(None, map(recording.flaw, recording.scripts())), sep="\\n")
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> pathlib.Path:
    """A copy of the repository in which every script counts as run."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("tools", "beyond", "requirements", "data", "docs"):
        leave_out = shutil.ignore_patterns("__pycache__", "*.npz")
        shutil.copytree(REPOSITORY / name, copy / name, ignore=leave_out)
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    (copy / "data" / "mnist.npz").write_bytes(b"stands for the digits")
    for script in REPOSITORY.glob("[0-9]*.py"):
        shutil.copy(script, copy)
    answer(copy, RECORD_ALL)
    return copy


def answer(copy: pathlib.Path, program: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(copy / "tools"), "NOTEBOOKS": ""}
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, cwd=copy, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_what_has_not_changed_is_accepted(small):
    assert answer(small, FLAWS) == ""


@pytest.mark.parametrize(
    ("changed", "outdated"),
    [
        ("02_checkpoint_best_only.py", {"02", "03"}),
        ("data/auto-mpg.csv", {"08", "09", "10"}),
        ("data/mnist.npz", {"04", "05", "12", "14", "15"}),
        ("beyond/durable_checkpoint/writer.py", {"11", "12", "13", "16"}),
        ("beyond/old_checkpoint/__init__.py", {"18"}),
        ("requirements/beyond.txt", {f"{number:02d}" for number in range(1, 19)}),
    ],
)
def test_what_has_changed_is_refused(small, changed, outdated):
    file = small / changed
    content = file.read_bytes()
    file.write_bytes(content + b"\n# changed\n")
    try:
        lines = answer(small, FLAWS).splitlines()
    finally:
        file.write_bytes(content)
    assert {pathlib.Path(line.split()[0]).name[:2] for line in lines} == outdated
    assert all(changed in line and line.endswith("Run: make notebooks") for line in lines)


def test_pages_are_not_built_from_old_outputs(small):
    record = small / "out" / "notebooks" / "07_checkpoint_options.ipynb"
    aside = record.rename(record.with_suffix(".aside"))
    try:
        command = [sys.executable, "tools/pages.py", "en"]
        env = {**os.environ, "NOTEBOOKS": ""}
        run = subprocess.run(
            command, cwd=small, env=env, check=False, capture_output=True, text=True
        )
    finally:
        aside.rename(record)
    assert run.returncode == 1
    assert run.stderr.strip() == (
        "07_checkpoint_options.py has not been run as a notebook. Run: make notebooks"
    )


def test_some_scripts_only(small, monkeypatch):
    monkeypatch.setenv("NOTEBOOKS", "03 12")
    assert [script.name[:2] for script in recording.shown()] == ["03", "12"]
    (small / "out" / "notebooks" / "07_checkpoint_options.ipynb").rename(small / "aside")
    try:
        program = "import pages; pages.refuse_old_outputs()"
        env = {**os.environ, "PYTHONPATH": str(small / "tools")}
        subprocess.run([sys.executable, "-c", program], cwd=small, env=env, check=True)
    finally:
        (small / "aside").rename(small / "out" / "notebooks" / "07_checkpoint_options.ipynb")
    monkeypatch.setenv("NOTEBOOKS", "3")
    with pytest.raises(SystemExit, match="There is no script 3"):
        recording.shown()


def test_the_text_is_what_a_terminal_shows():
    progress = "1/3 [=>..]\b\b\b\b\b\b\b\b\b\b2/3 [==>.]\r3/3 [====] done\nnext"
    assert notebooks.as_seen(progress) == "3/3 [====] done\nnext"


def test_noise_goes_and_warnings_stay():
    text = (
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1795795111.326723    7843 cudart_stub.cc:31] Could not find cuda drivers\n"
        "UserWarning: Skipping variable loading for optimizer 'adam'\n"
        f"{REPOSITORY}/beyond/durable_checkpoint/checkpoint.py:12: UserWarning\n"
    )
    assert notebooks.without_noise(text) == (
        "UserWarning: Skipping variable loading for optimizer 'adam'\n"
        "beyond/durable_checkpoint/checkpoint.py:12: UserWarning\n"
    )


def test_a_line_in_two_pieces_is_one_line():
    pieces = ["I0000 00:00:1795795111.3", "26723    7843 cudart_stub.cc:31] noise\nEpoch 1\n"]
    cell = nbformat.v4.new_code_cell()
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in pieces]
    notebooks.clean([cell])
    assert [output.text for output in cell.outputs] == ["Epoch 1\n"]


@pytest.mark.parametrize("script", recording.shown(), ids=lambda script: script.stem)
def test_a_record_has_one_figure_with_a_text_and_no_error(script):
    book = nbformat.read(recording.record_of(script), as_version=4)
    assert len(notebooks.figures(book.cells)) == 1
    shows = [c for c in book.cells if any("data" in o for o in c.get("outputs", []))]
    assert [bool(cell.metadata.mystnb.image.alt) for cell in shows] == [True]
    kinds = {o.output_type for c in book.cells for o in c.get("outputs", [])}
    assert kinds <= {"stream", "display_data"}


def test_the_first_cell_fetches_the_repository_where_it_is_missing(tmp_path, monkeypatch):
    address = "https://github.com/somebody/keras-checkpoints-by-example"
    monkeypatch.setattr(notebooks.published, "address", lambda: address)
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text('#!/bin/sh\necho "$@" > asked\nfor last; do :; done\nmkdir -p "$last/beyond"\n')
    git.chmod(0o755)
    script = REPOSITORY / "beyond" / "12_exact_resume.py"
    program = notebooks.first_cell(script).source + "\nprint(os.getcwd(), sys.path[0])"
    env = {**os.environ, "PATH": f"{git.parent}:{os.environ['PATH']}"}
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, check=True, capture_output=True
    ).stdout.decode()
    root = tmp_path / address.rsplit("/", 1)[-1]
    assert shown.split() == [str(root), str(root / "beyond")]
    assert address in (tmp_path / "asked").read_text()
    # In the repository, or in a folder of it, nothing is fetched.
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY / "docs" / "figures",
        check=True,
        capture_output=True,
    ).stdout.decode()
    assert shown.split()[0] == str(REPOSITORY)


def test_without_an_owner_the_first_cell_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks.published, "address", lambda: "https://github.com/OWNER/it")
    program = notebooks.first_cell(REPOSITORY / "01_checkpoint_improvements.py").source
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert "01_checkpoint_improvements.py" in last and "copy of the repository" in last
    found = subprocess.run(command, cwd=REPOSITORY / "docs", check=False, capture_output=True)
    assert found.returncode == 0


def test_the_mirror_keeps_the_results_of_make_all_apart():
    assert (notebooks.ROOT / "beyond").is_symlink()
    assert not (notebooks.ROOT / "out").is_symlink()
    found = json.loads((notebooks.ROOT / "out/01_checkpoint_improvements/result.json").read_text())
    assert found["script"] == "01_checkpoint_improvements"


def test_scripts_become_notebooks_without_outputs(tmp_path):
    """As Binder has them: .binder/postBuild names this command, and the pages lead to its files."""
    assert notebooks.main(["convert", str(tmp_path)]) == 0
    found = sorted(path.stem for path in tmp_path.glob("*.ipynb"))
    assert found == sorted(script.stem for script in recording.scripts())
    book = nbformat.read(tmp_path / "12_exact_resume.ipynb", as_version=4)
    nbformat.validate(book)
    assert "beyond/12_exact_resume.py" in book.cells[0].source
    assert not any(cell.get("outputs") for cell in book.cells)
    post_build = (REPOSITORY / ".binder" / "postBuild").read_text()
    assert "python tools/notebooks.py convert notebooks" in post_build
