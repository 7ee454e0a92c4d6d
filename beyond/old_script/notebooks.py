"""Notebooks, read and written through jupytext as the script that they are."""

import ast
import pathlib
import re

from .errors import OldScriptError
from .sources import Source

# jupytext comments out magic commands, but not those inside a block.
IN_A_BLOCK = re.compile(r"^([ \t]+)(!.*|%%?[a-zA-Z].*)$", re.MULTILINE)
HIDDEN = re.compile(r"^([ \t]+)old_script_magic\((.*)\)$", re.MULTILINE)


def _hidden(code):
    """A cell in which magic commands inside blocks are calls, if only then it is Python."""
    hidden = IN_A_BLOCK.sub(lambda found: f"{found[1]}old_script_magic({found[2]!r})", code)
    python = _parses(_without_magic(code))
    return code if python or not _parses(_without_magic(hidden)) else hidden


def _shown(code):
    return HIDDEN.sub(lambda found: found[1] + ast.literal_eval(found[2]), code)


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
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.source = _hidden(cell.source)
        return Source(path, jupytext.writes(notebook, fmt="py:percent"), "utf-8", b"")
    except OldScriptError:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise OldScriptError(f"{path}: not a notebook ({said})") from error


def write(source: pathlib.Path, text: str) -> bytes:
    """The notebook for a changed script, with the old one's metadata and without outputs."""
    jupytext = _jupytext()
    old = jupytext.read(source)
    new = jupytext.reads(text, fmt="py:percent")
    new.metadata = old.metadata
    for cell in new.cells:
        cell.source = _shown(cell.source)
    return jupytext.writes(new, fmt="ipynb").encode("utf-8")
