"""What else may lie in a folder: links, pipes, folders with names of scripts, files of others."""

import os
import signal
import tempfile

import old_script
import pytest
from old_script.__main__ import main

pytestmark = pytest.mark.one_backend  # nothing is trained

OLD = "from keras.optimizers import Adam\noptimizer = Adam(lr=0.1)\n"
NEW = OLD.replace("lr", "learning_rate")


@pytest.fixture(autouse=True)
def no_waiting():
    """Stop a test that waits for a pipe."""

    def stop(*_):
        pytest.fail("it waits")  # no OSError, which a command may catch

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(capsys, *arguments: str) -> str:
    """The one line with which a command stops."""
    assert main(list(arguments)) == 1
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and not printed.out
    return printed.err


# What stands at the place of the new file -> what is said.
PLACES = {
    "file": lambda path: path.write_text("# mine\n"),
    "folder": lambda path: path.mkdir(),
    "link": lambda path: path.symlink_to("train.py"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_what_stands_at_the_new_place_stays(kind, tmp_path, capsys):
    (tmp_path / "train.py").write_text(OLD)
    target = tmp_path / "train_keras3.py"
    PLACES[kind](target)
    assert "exists" in refused(capsys, "rewrite", str(tmp_path / "train.py"))
    assert (tmp_path / "train.py").read_text() == OLD
    if kind == "folder":
        assert "no file" in refused(capsys, "rewrite", str(tmp_path / "train.py"), "--overwrite")
        assert target.is_dir()
        return
    assert main(["rewrite", str(tmp_path / "train.py"), "--overwrite"]) == 0
    assert target.read_text() == NEW and not target.is_symlink()
    assert (tmp_path / "train.py").read_text() == OLD  # a link is replaced, not followed


def test_no_other_file_is_touched(tmp_path):
    (tmp_path / "train.py").write_text(OLD)
    mine = [tmp_path / f"train_keras3.py{end}" for end in (".part", ".tmp", "~", ".bak")]
    for path in mine:
        path.write_text("mine")
    old_script.rewrite(tmp_path / "train.py")
    assert {path.read_text() for path in mine} == {"mine"}
    assert len(list(tmp_path.iterdir())) == 2 + len(mine)


def test_what_may_be_read_and_run_stays_so(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(OLD)
    path.chmod(0o754)
    (result,) = old_script.rewrite(path)
    assert result.target.stat().st_mode & 0o777 == 0o754


def test_a_folder_that_cannot_be_written_gets_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "train.py").write_text(OLD)

    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", denied)
    said = refused(capsys, "rewrite", str(tmp_path / "train.py"))
    assert "train_keras3.py: Permission denied" in said


def test_a_full_disk_leaves_no_pieces(tmp_path, capsys, monkeypatch):
    (tmp_path / "train.py").write_text(OLD)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    assert "No space left" in refused(capsys, "rewrite", str(tmp_path / "train.py"))
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_a_folder_with_links_pipes_and_folders_that_are_called_like_scripts(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "nowhere.py").symlink_to("gone.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "up").symlink_to("..")
    (tmp_path / "train.py").write_text(OLD + "model.save('a.h5')\n")
    (tmp_path / "link.py").symlink_to("train.py")
    (alone,) = old_script.rewrite(tmp_path / "train.py")  # the others beside it are read as well
    assert alone.written
    results = old_script.rewrite(tmp_path)
    assert [one.source.name for one in results] == ["link.py", "train.py"]
    assert (tmp_path / "link_keras3.py").read_bytes() == (tmp_path / "train_keras3.py").read_bytes()


@pytest.mark.parametrize("kind", ["pipe", "loop", "gone"])
def test_what_is_no_file_gets_one_line(kind, tmp_path, capsys):
    path = tmp_path / "train.py"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path.name)
    said = refused(capsys, "rewrite", str(path))
    assert "train.py: " in said


def test_a_folder_that_was_rewritten_before_gives_the_same_again(tmp_path):
    (tmp_path / "train.py").write_text(OLD)
    old_script.rewrite(tmp_path)
    (tmp_path / "more.py").write_text(OLD)
    results = old_script.rewrite(tmp_path)
    assert [(one.target.name, one.written) for one in results] == [
        ("more_keras3.py", True),
        ("train_keras3.py", False),
    ]


# A text that is no script -> what is said.
TEXTS = {
    ">>> import keras\n>>> keras.optimizers.Adam(lr=0.1)\n": "take out the prompts",
    "%matplotlib inline\nimport keras\n": "a command of Jupyter",
    "!pip install keras\nimport keras\n": "a command of Jupyter",
    "import keras\nif 1:\n    x = 1\n  y = 2\n": "line 4: unindent does not match",
    "<html>keras</html>\n": "line 1: invalid syntax",
    "import keras\nexec 'x = 1'\n": "Python 2 (exec without parentheses)",
    'import keras\ntext = """\n': "line 2: unterminated",
    "import keras\ntotal = " + "-" * 5000 + "1\n": "not readable as Python",
}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_is_no_script_gets_one_line(text, tmp_path, capsys):
    path = tmp_path / "train.py"
    path.write_text(text)
    assert TEXTS[text] in refused(capsys, "rewrite", str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_not_run(tmp_path, capsys):
    (tmp_path / "train.py").write_text(OLD)
    assert "name one script" in refused(capsys, "run", str(tmp_path))
    assert not (tmp_path / "train_keras3.py").exists()
