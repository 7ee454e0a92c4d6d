"""Notebooks, read and written through jupytext as the script that they are."""

import ast
import pathlib
import re

from .errors import OldScriptError
from .sources import Source

# jupytext comments out magic commands, but not those inside a block.
IN_A_BLOCK = re.compile(r"^([ \t]+)(!.*|%%?[a-zA-Z].*)$", re.MULTILINE)
MARKER = re.compile(r"^(#[ \t]*)(?=%%)", re.MULTILINE)
OF_A_CELL = re.compile(r"%%(\w+)")
RUN_PYTHON = {"time", "timeit", "capture", "prun", "memit", "mprun"}
HIDDEN = re.compile(r"^([ \t]*)old_script_magic\((.*)\)$", re.MULTILINE)


def _hidden(code):
    """A cell in which magic commands inside blocks are calls, if only then it is Python.

    A cell that a magic command does not give to Python, such as `%%writefile`, is one such call.
    A comment that jupytext would take for the begin of a cell gets a mark.
    """
    code = MARKER.sub(r"\1old_script_cell ", code)
    magic = OF_A_CELL.match(code)
    if magic is not None and magic[1] not in RUN_PYTHON and not _parses(_without_magic(code)):
        return f"old_script_magic({code!r})"
    hidden = IN_A_BLOCK.sub(lambda found: f"{found[1]}old_script_magic({found[2]!r})", code)
    python = _parses(_without_magic(code))
    return code if python or not _parses(_without_magic(hidden)) else hidden


def _shown(code):
    code = HIDDEN.sub(lambda found: found[1] + ast.literal_eval(found[2]), code)
    return re.sub(r"^(#\s*)old_script_cell (?=%%)", r"\1", code, flags=re.MULTILINE)


def _without_magic(code):
    return "\n".join(line for line in code.splitlines() if not line.startswith(("!", "%")))


def _parses(code):
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def _jupytext():
    try:
        import jupytext
    except ImportError as error:
        raise OldScriptError("to read a notebook, run: pip install jupytext") from error
    return jupytext


def read(path: pathlib.Path) -> Source:
    """The code of a notebook, as a script; magic commands become comments.

    Raises:
        OldScriptError: The file is no notebook of Python, or jupytext is not installed.
    """
    jupytext = _jupytext()
    try:
        notebook = jupytext.read(path)
        language = notebook.metadata.get("kernelspec", {}).get("language", "python")
        if language.lower() != "python":
            raise OldScriptError(f"{path}: a notebook in {language}, not in Python")
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = _hidden(cell.source)
        text = jupytext.writes(notebook, fmt="py:percent")
        return Source(path, text, "utf-8", b"", places(text, notebook.cells))
    except OldScriptError:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise OldScriptError(f"{path}: not a notebook ({said})") from error


def places(text: str, cells: list) -> dict[int, str]:
    """For each line of code its cell and its line in the cell.

    Cells of code are counted as Jupyter counts them when it runs all: empty cells and cells of
    text have no number.

    Arguments:
        text: The notebook as jupytext writes it: `# %%` begins each cell.
        cells: The cells of the notebook.
    """
    lines, found, at, number = text.splitlines(), {}, 0, 0
    for cell in cells:
        while at < len(lines) and not lines[at].startswith("# %%"):
            at += 1
        short = at < len(lines) and "language=" in lines[at]  # `%%bash` takes no line of its own
        at += 1
        count = len(cell.source.splitlines())
        if cell.cell_type == "code" and cell.source.strip():
            number += 1
            for line in range(1, count + 1):
                found[at + line] = f"cell {number}, line {line}"
        at += max(count - short, 0)
    return found


def write(source: pathlib.Path, text: str) -> bytes:
    """The notebook for a changed script, with the old one's metadata and without outputs."""
    jupytext = _jupytext()
    old = jupytext.read(source)
    new = jupytext.reads(text, fmt="py:percent")
    new.metadata = old.metadata
    for cell in new.cells:
        cell.source = _shown(cell.source)
    return jupytext.writes(new, fmt="ipynb").encode("utf-8")
