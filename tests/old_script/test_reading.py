"""What is read and written: encodings, line ends, Python 2, existing files, notebooks."""

import json
import pathlib
import shutil
import subprocess
import sys
import zipfile

import old_script
import pytest
from conftest import REPOSITORY
from old_script.__main__ import main

pytestmark = pytest.mark.one_backend  # nothing is trained

OLD = "from keras.optimizers import Adam\noptimizer = Adam(lr=0.1)  # a rate\n"
NEW = OLD.replace("lr", "learning_rate")


def rewritten(path: pathlib.Path) -> bytes:
    """The bytes of the new file."""
    (result,) = old_script.rewrite(path)
    assert result.written and result.target == path.with_name(f"{path.stem}_keras3{path.suffix}")
    return result.target.read_bytes()


FORMS = {
    "unix": OLD.encode(),
    "windows": OLD.replace("\n", "\r\n").encode(),
    "mixed": OLD.replace("\n", "\r\n", 1).encode(),
    "mark": b"\xef\xbb\xbf" + OLD.encode(),
    "latin": ("# -*- coding: latin-1 -*-\n# caf\xe9\n" + OLD).encode("latin-1"),
    "cyrillic": ("# coding: koi8-r\nимя = 'сеть'\n" + OLD).encode("koi8-r"),
    "tabs": (OLD + "if optimizer:\n\tother = Adam(lr=0.2)\n").encode(),
    "no end of line": OLD.rstrip("\n").encode(),
    "form feed": (OLD + "\x0c\nrate = Adam(lr=0.3)\n").encode(),
    "a long string": (OLD + 'text = """\n  lr=0.1  \n"""\n').encode(),
    "chinese": (OLD + "权重 = Adam(lr=0.1)  # 学习率\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_only_the_old_words_change(form, tmp_path):
    path = tmp_path / "train.py"
    path.write_bytes(FORMS[form])
    assert rewritten(path) == FORMS[form].replace(b"(lr=", b"(learning_rate=")
    assert path.read_bytes() == FORMS[form]


REFUSED = {
    "print": (b"import keras\nprint 'done'\n", "Python 2 (print without parentheses)"),
    "except": (
        b"import keras\ntry:\n    pass\nexcept IOError, e:\n    pass\n",
        "except with a comma",
    ),
    "tabs": (b"import keras\nif 1:\n        a = 1\n\tb = 2\n", "tabs mixed with spaces"),
    "bracket": (b"import keras\nmodel.add(Dense(2)\n", "line 2"),
    "encoding": (b"import keras\n# caf\xe9\n", "Save it as UTF-8"),
    "unknown encoding": (b"# coding: klingon\nimport keras\n", "klingon"),
    "null": (b"import keras\0\n", "not readable as Python"),
    "deep": (b"import keras\nx = " + b"(" * 300 + b")" * 300 + b"\n", "parenthes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_python_3_gets_one_line(case, tmp_path, capsys):
    content, said = REFUSED[case]
    (tmp_path / "train.py").write_bytes(content)
    assert main(["rewrite", str(tmp_path / "train.py")]) == 1
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize("name", ["missing.py", "folder", "data.csv"])
def test_what_is_no_script_gets_one_line(name, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "data.csv").write_text("1,2\n")
    assert main(["rewrite", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_new_file_that_differs_is_not_replaced(tmp_path, capsys):
    path = tmp_path / "train.py"
    path.write_text(OLD)
    target = tmp_path / "train_keras3.py"
    target.write_text("# mine\n")
    assert main(["rewrite", str(path)]) == 1
    assert "--overwrite" in capsys.readouterr().err and target.read_text() == "# mine\n"
    assert main(["rewrite", str(path), "--overwrite"]) == 0
    assert target.read_text() == NEW
    before = target.stat().st_mtime_ns
    assert main(["rewrite", str(path)]) == 0  # the same: left as it is
    assert target.stat().st_mtime_ns == before


def test_one_file_that_cannot_be_written_leaves_the_folder_as_it_was(tmp_path):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(OLD)
    (tmp_path / "b_keras3.py").write_text("# mine\n")
    with pytest.raises(old_script.OldScriptError):
        old_script.rewrite(tmp_path)
    assert not (tmp_path / "a_keras3.py").exists()


def test_a_folder_goes_on_after_a_file_in_python_2(tmp_path, capsys):
    (tmp_path / "a.py").write_text("import keras\nprint 'done'\n")
    (tmp_path / "b.py").write_text(OLD)
    assert main(["rewrite", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert "Python 2" in printed.out + printed.err and (tmp_path / "b_keras3.py").exists()


def test_the_report_names_lines_and_reasons(tmp_path, capsys):
    (tmp_path / "train.py").write_text(OLD)
    assert main(["rewrite", str(tmp_path / "train.py")]) == 0
    assert "  2: lr=0.1 → learning_rate=0.1 (" in capsys.readouterr().out


def test_lines_are_those_of_the_file_after_a_lost_line_break():
    text = "import keras\nmodel.add(1) model.add(2)\nkeras.optimizers.Adam(lr=0.1)\n"
    result = old_script.rewrite_text(text)
    assert [change.line for change in result.findings.changes] == [2, 3]
    assert result.text.splitlines()[1:3] == ["model.add(1)", "model.add(2)"]


def test_a_notebook(tmp_path):
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1}
        | {"source": ["%matplotlib inline\n", "!pip install keras\n", "import keras"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 2}
        | {"source": ["if new:\n", "    !mkdir out\n", "rest = (7\n", "    % 4)\n"]}
        | {"execution_count": 3},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 4}
        | {"source": ["%time model.summary()\n", "rest = (7\n", "    % 4)\n"]},
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 2}
        | {"source": ["for fold in folds:\n", "    model.fit(x, y, nb_epoch=1)\n", "    %who"]},
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    path = tmp_path / "train.ipynb"
    path.write_text(json.dumps(book))
    new = json.loads(rewritten(path))
    sources = ["".join(cell["source"]) for cell in new["cells"]]
    assert sources == [
        "# Title",
        "%matplotlib inline\n!pip install keras\nimport keras",
        "if new:\n    !mkdir out\nrest = (7\n    % 4)",
        "%time model.summary()\nrest = (7\n    % 4)",
        "for fold in folds:\n    model.fit(x, y, epochs=1)\n    %who",
    ]
    assert new["metadata"]["kernelspec"]["name"] == "python3"


def test_old_files_beside_the_script_are_led_to_the_converter(tmp_path):
    (tmp_path / "use.py").write_text(
        "from keras.models import load_model\nmodel = load_model('net.hdf5')\n"
        "model.fit(x, y, nb_epoch=1)\n"
    )
    (tmp_path / "net.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (result,) = old_script.rewrite(tmp_path / "use.py")
    assert any("python -m old_checkpoint convert net.hdf5 net.keras" in x for x in result.old_files)


def test_names_of_files_cross_scripts_even_if_one_is_rewritten(tmp_path):
    (tmp_path / "train.py").write_text(
        "from keras.callbacks import ModelCheckpoint\nsaver = ModelCheckpoint('a-{epoch}.hdf5')\n"
    )
    (tmp_path / "use.py").write_text("import keras\nmodel.load_weights('a-3.hdf5')\n")
    assert b"'a-3.keras'" in rewritten(tmp_path / "use.py")
    assert not (tmp_path / "train_keras3.py").exists()


def test_the_installed_package_has_the_pages(tmp_path):
    copy = tmp_path / "copy"  # a build leaves folders where it is made
    listed = [
        "git",
        "ls-files",
        "-z",
        "beyond",
        "docs/*.md",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ]
    files = subprocess.run(listed, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    for name in filter(None, files.stdout.split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, copy / name, follow_symlinks=False)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(tmp_path), str(copy)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        for name in ("PITFALLS.md", "OLD_ARTICLES.md"):
            page = packed.read(f"old_script/docs/{name}")
            assert page == (REPOSITORY / "docs" / name).read_bytes()
