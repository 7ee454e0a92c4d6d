"""Notebooks, read and written through jupytext as the script that they are."""

import pathlib

from .errors import OldScriptError
from .sources import Source


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
    return jupytext.writes(new, fmt="ipynb").encode("utf-8")
