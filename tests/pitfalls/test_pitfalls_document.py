"""The document and its tests belong together one to one, and its links and headings hold."""

import ast
import collections
import pathlib
import re
import subprocess
import sys

import pytest
from gallery import CONTENTS, DOCUMENT, REPOSITORY, anchor, entries, table_of_contents

pytestmark = pytest.mark.one_backend  # the page is only read
ENTRIES = entries()
HERE = pathlib.Path(__file__).parent
SECTIONS = [
    "Naming and paths",
    'What "best" means',
    "Loading",
    "Resuming",
    "Callbacks' state",
    "Crashes and full disks",
    "Text layers and formats",
    "Storage that lies",
    "Several processes",
]


def pinned_tests():
    """File::function -> source, for each function with the decorator `pinned`."""
    return {
        f"{path.name}::{node.name}": ast.unparse(node)
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and "pinned" in map(ast.unparse, node.decorator_list)
    }


def test_entries_and_tests_correspond_one_to_one():
    named = collections.Counter(pin for entry in ENTRIES for pin in entry.pins)
    several = [entry.heading for entry in ENTRIES if len(entry.pins) != 1]
    assert not several, f"these entries do not name exactly one test: {several}"
    assert named.keys() - pinned_tests().keys() == set(), "entries name tests that do not exist"
    assert pinned_tests().keys() - named.keys() == set(), "tests that no entry names"
    assert [name for name, number in named.items() if number > 1] == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.heading)
def test_each_entry_has_one_remedy_which_its_test_executes(entry):
    assert len(entry.blocks("python")) == 1, "an entry has one block of code: its remedy"
    assert len(entry.blocks("text")) <= 1, "an entry quotes one message"
    source = pinned_tests()[entry.pins[0]]
    assert "pitfall.remedy(" in source or "pitfall.code" in source
    assert ("pitfall.said(" in source) == bool(entry.blocks("text"))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.heading)
def test_each_entry_says_which_versions(entry):
    assert re.search(r"^Keras: .*3\.\d+", entry.text, re.MULTILINE), "no line `Keras: ...`"


def test_no_test_of_the_default_backend_is_skipped():
    for name, source in pinned_tests().items():
        skips = re.findall(r"if (.*):\n\s+pytest\.skip\(", source)
        assert all(condition == "BACKEND == 'jax'" for condition in skips), name
        assert len(skips) == source.count("pytest.skip("), f"{name} skips on every backend"


def test_the_table_of_contents_is_that_of_the_document():
    expected = table_of_contents()
    assert CONTENTS.search(DOCUMENT.read_text())[0] == expected, "run tests/pitfalls/gallery.py"
    anchors = [anchor(entry.heading) for entry in ENTRIES]
    assert len(set(anchors)) == len(anchors)
    assert list(dict.fromkeys(entry.section for entry in ENTRIES)) == SECTIONS


def test_each_thread_is_linked_by_its_own_number():
    text = DOCUMENT.read_text()
    links = re.findall(r"\[keras-team/keras#(\d+)\]\(https://github\.com/(\S+?)/(\d+)\)", text)
    assert links
    assert all(named == linked for named, _, linked in links)
    assert {place for _, place, _ in links} == {"keras-team/keras/issues"}
    assert text.count("keras-team/keras#") == len(links)


def test_readme_counts_the_entries():
    readme = (REPOSITORY / "README.md").read_text()
    assert re.findall(r"(\d+) entries", readme) == [str(len(ENTRIES))]


def test_the_command_that_renews_the_contents_runs_by_itself():
    before = DOCUMENT.read_bytes()
    command = [sys.executable, REPOSITORY / "tests" / "pitfalls" / "gallery.py"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert DOCUMENT.read_bytes() == before
