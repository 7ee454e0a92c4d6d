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
PIECES += ["x?\n%%time", "%%writefile a.py\nprint 'a'\nmore"]
PIECES += ["%%bash\nls\n", "'''\n# %%\n'''\ne = 5\n\n", "!ls\nf = 6", "#%% g\nh = 7", "  \n"]


@pytest.mark.parametrize("seed", range(20))
def test_every_line_is_found_in_its_cell(seed, tmp_path):
    """Whatever cells stand before it: the numbered lines are the lines of the cells."""
    sources = [*random.Random(seed).choices(PIECES, k=8), PIECES[seed % len(PIECES)]]
    source = notebooks.read(notebook(tmp_path / "train.ipynb", *sources))
    lines = source.text.splitlines()
    code = [one for one in sources if one.strip() and not one.startswith("# t")]
    for number, cell in enumerate(code, 1):
        for line, expected in enumerate(cell.splitlines(), 1):
            place = f"cell {number}, line {line}"
            found = [lines[at - 1] for at in source.places if source.places[at] == place]
            if expected and not cell.startswith(("%%bash", "%%writefile")):
                expected = expected.replace("%% g", "old_script_cell %% g").replace(
                    "# %%", "# old_script_cell %%"
                )
                assert found in ([expected], [f"# {expected}"])
    ast.parse(source.text)


def test_a_cell_that_is_not_run_as_python_stays(tmp_path):
    cells = (
        "%%writefile net.py\nimport keras\nprint 'a', \"b\"\n",
        "%%time\nimport keras\nkeras.optimizers.Adam(lr=0.1)",
        '# %% Train\nx = 1\n#%% more\ny = """\n# %%\n"""',
    )
    (result,) = old_script.rewrite(notebook(tmp_path / "train.ipynb", *cells))
    new = jupytext.read(result.target).cells
    assert new[0].source == cells[0]
    assert new[1].source == cells[1].replace("lr", "learning_rate")
    assert new[2].source == cells[2] and len(new) == 3
    assert "cell 2, line 3: lr" in str(result)


def test_a_cell_that_is_timed_is_python(tmp_path, capsys):
    path = notebook(tmp_path / "train.ipynb", "import keras", "%%time\nprint 'a'")
    assert main(["rewrite", str(path)]) == 1
    assert "cell 2, line 2: this is Python 2" in capsys.readouterr().err


IN_R = {"kernelspec": {"language": "R", "name": "ir", "display_name": "R"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"keras"', "not a notebook"),
        ('["keras"]', "not a notebook"),
        (json.dumps({"cells": [], "metadata": IN_R, "nbformat": 4, "nbformat_minor": 2}), "in R"),
    ],
)
def test_what_is_no_notebook_of_python_gets_one_line(text, said, tmp_path, capsys):
    path = tmp_path / "train.ipynb"
    path.write_text(text)
    assert main(["rewrite", str(path)]) == 1
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_a_notebook_is_not_run_as_a_script(tmp_path, capsys):
    path = notebook(tmp_path / "train.ipynb", "import keras")
    assert main(["run", str(path)]) == 1
    assert "runs in Jupyter" in capsys.readouterr().err
