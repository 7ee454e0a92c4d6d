"""What is said of a notebook names the cell and the line in it, as Jupyter counts them."""

import ast
import json
import pathlib
import random

import jupytext
import old_script
import pytest
from old_script import notebooks
from old_script.__main__ import main

pytestmark = pytest.mark.one_backend  # nothing is trained


def notebook(path: pathlib.Path, *sources: str) -> pathlib.Path:
    """A notebook of these cells; a source that begins with # and a space is a cell of text."""
    cells = []
    for source in sources:
        if source.startswith("# "):
            cells.append({"cell_type": "markdown", "metadata": {}, "source": source})
        else:
            cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
            cells.append({**cell, "source": source})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(book))
    return path


CELLS = (
    "# Title\n\nand a text\n\n# %% of several lines",
    "%matplotlib inline\n!pip install keras\nimport keras\nimport numpy",
    "",
    "%%bash\necho 1\necho 2",
    "text = '''\n# %%\n'''\n\nnumpy.random.seed(7)",
    "# Train",
    "for fold in folds:\n    !mkdir out\n\n    model.fit(x, y, nb_epoch=1)\n",
    "from keras_contrib.layers import CRF",
)


def test_changes_and_notes_name_the_cell_and_its_line(tmp_path, capsys):
    path = notebook(tmp_path / "train.ipynb", *CELLS)
    assert main(["rewrite", str(path)]) == 0
    said = capsys.readouterr().out
    assert "\n  cell 4, line 4: nb_epoch=1 → epochs=1 (" in said
    assert "\n  cell 3, line 5: numpy.random.seed(7) → " in said
    assert "\n  cell 3, line 5: with a seed set" in said
    assert "\n  cell 5, line 1: keras_contrib does not" in said


def test_what_is_said_first_names_the_cell(tmp_path, capsys):
    cells = "import keras", "", "import tensorflow as tf\nrows = tf.placeholder(tf.float32)"
    assert main(["rewrite", str(notebook(tmp_path / "train.ipynb", *cells))]) == 0
    assert "First of all, cell 2, line 2: this is TensorFlow 1" in capsys.readouterr().out


def test_a_notebook_in_python_2_is_led_to_its_conversion(tmp_path, capsys):
    path = notebook(tmp_path / "my net.ipynb", "# Net", "import keras", "x = 1\nprint 'done'")
    assert main(["rewrite", str(path)]) == 1
    said = capsys.readouterr().err
    assert "my net.ipynb, cell 2, line 2: this is Python 2 (print without" in said
    assert "jupytext --to py:percent 'my net.ipynb', python3.12 -m lib2to3" in said
    assert "jupytext --to ipynb --output 'my net.ipynb' 'my net.py'" in said
    assert said.count("\n") == 1


def test_a_slip_that_is_left_names_the_cell(tmp_path, capsys):
    path = notebook(tmp_path / "train.ipynb", "import keras", "model.fit(x,\n          y")
    assert main(["rewrite", str(path)]) == 1
    assert "train.ipynb, cell 2, line 1: " in capsys.readouterr().err


def test_lines_are_those_of_the_notebook_after_a_lost_line_break(tmp_path):
    cells = "import keras\nmodel.add(1) model.add(2)\nkeras.optimizers.Adam(lr=0.1)", "a(lr=1)"
    (result,) = old_script.rewrite(notebook(tmp_path / "train.ipynb", *cells))
    assert "\n  cell 1, line 2: model.add(1) model.add(2) → " in str(result)
    assert "\n  cell 1, line 3: lr=0.1" in str(result)


PIECES = ["a = 1", "", "def f():\n    pass\n\n\nb = 2", "%time c = 3", "%%time\nd = 4", "# t\nx"]
PIECES += ["%%bash\nls\n", "'''\n# %%\n'''\ne = 5\n\n", "!ls\nf = 6", "# %% g\nh = 7", "  \n"]


@pytest.mark.parametrize("seed", range(20))
def test_every_line_is_found_in_its_cell(seed):
    """Whatever cells stand before it: the numbered lines are the lines of the cells."""
    sources = random.Random(seed).choices(PIECES, k=8)
    cells = [jupytext.reads(f"# %%{i}\n", fmt="py:percent").cells[0] for i in range(8)]
    for cell, source in zip(cells, sources, strict=True):
        cell.cell_type = "markdown" if source == "# t\nx" else "code"
        cell.source = source
    book = jupytext.reads("", fmt="py:percent")
    book.cells = cells
    text = jupytext.writes(book, fmt="py:percent")
    lines = text.splitlines()
    places = notebooks.places(text, cells)
    code = [one.source for one in cells if one.cell_type == "code" and one.source.strip()]
    for number, source in enumerate(code, 1):
        for line, expected in enumerate(source.splitlines(), 1):
            if expected and not source.startswith("%%bash") and not expected.startswith(("!", "%")):
                found = [
                    at for at, place in places.items() if place == f"cell {number}, line {line}"
                ]
                assert [lines[at - 1] for at in found] == [expected]
    ast.parse(text)
