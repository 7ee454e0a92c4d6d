"""Reading a script as it stands on the disk, and writing it in the same form.

The encoding (PEP 263), a byte order mark and the line ends stay what they are.
"""

import ast
import codecs
import dataclasses
import io
import pathlib
import re
import shlex
import tokenize
import warnings

from . import slips
from .errors import OldScriptError

PYTHON_2 = [
    (r"^\s*print\s+(?![=(.,\[])\S", "print without parentheses"),
    (r"^\s*print\s*$", "print without parentheses"),
    (r"^\s*except\s+[\w.()]+\s*,\s*\w+\s*:", "except with a comma"),
    (r"^\s*raise\s+[\w.]+\s*,", "raise with a comma"),
    (r"^\s*exec\s+[\"'\w]", "exec without parentheses"),
    (r"\w\s*<>\s*\w", "the operator <>"),
    (r"\bur[\"']", "a ur-string"),
    (r"(?<![\w.])0[0-7]+(?![\w.])", "an octal number without 0o"),
    (r"`[^`]+`", "backquotes"),
]


@dataclasses.dataclass(frozen=True)
class Source:
    """The text of a script and how the file spells it.

    `places` has for a line of a notebook's text its cell and its line there.
    """

    path: pathlib.Path
    text: str
    encoding: str
    mark: bytes
    places: dict[int, str] = dataclasses.field(default_factory=dict, hash=False)

    def place(self, line: int | None) -> str:
        """What a reader calls a line: `line 7`, or `cell 3, line 2` in a notebook."""
        return self.places.get(line or 1, f"line {line}")

    def encode(self, text: str) -> bytes:
        """The bytes of a changed text, in the encoding of this file."""
        return self.mark + text.encode(self.encoding)


def read(path: pathlib.Path) -> Source:
    """Read a script.

    Arguments:
        path: A file with Python code.

    Raises:
        OldScriptError: The file cannot be read or decoded.
    """
    if path.exists() and not path.is_file():
        raise OldScriptError(f"{path}: this is no file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OldScriptError(f"{path}: {error.strerror}") from error
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    content = content.removeprefix(mark)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return Source(path, content.decode(encoding), encoding, mark)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise OldScriptError(
            f"{path}: the text is not in the encoding that it names ({_first_line(error)}). Save "
            "it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-"
        ) from error


def is_python_2(text: str) -> bool:
    """Whether a text with a syntax error stops at a line of Python 2."""
    error = slips.stops_at(text) if "\0" not in text else None
    return error is not None and bool(_sign_of_python_2(text, error))


def _sign_of_python_2(text, error):
    lines = text.splitlines() or [""]
    line = lines[min(max(error.lineno or 1, 1), len(lines)) - 1]
    if isinstance(error, TabError):
        return "tabs mixed with spaces"
    if "Missing parentheses in call" in (error.msg or ""):
        return "exec without parentheses" if "'exec'" in error.msg else "print without parentheses"
    return next((what for sign, what in PYTHON_2 if re.search(sign, line)), "")


def check_syntax(source: Source) -> ast.Module:
    """The syntax tree of a text, which must be Python 3.

    Raises:
        OldScriptError: The line says whether it is Python 2, and how to go on.
    """
    path, text = source.path, source.text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in old strings
            return ast.parse(text)
    except SyntaxError as error:
        if error.lineno is None:
            raise OldScriptError(f"{path}: not readable as Python ({error.msg})") from error
        said = _sign_of_python_2(text, error)
        if said:
            raise OldScriptError(
                f"{path}, {source.place(error.lineno)}: this is Python 2 ({said}). Convert it to "
                f"Python 3 first: {_conversion(path)} (Python up to 3.12 brings lib2to3)"
            ) from error
        said = _sign_of_a_console(text, error)
        if said:
            raise OldScriptError(f"{path}, {source.place(error.lineno)}: {said}") from error
        raise OldScriptError(
            f"{path}, {source.place(error.lineno)}: {error.msg}. Correct this line first; a text "
            "that was copied from a page may have lost a line break or have typographic quotes"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise OldScriptError(f"{path}: not readable as Python ({_first_line(error)})") from error


def _sign_of_a_console(text, error):
    """What was copied from a console or a notebook into a script, with the remedy."""
    lines = text.splitlines() or [""]
    line = lines[min(max(error.lineno or 1, 1), len(lines)) - 1].strip()
    if line.startswith((">>>", "In [")):
        return "this was copied from a console: take out the prompts and the lines of output"
    if re.match(r"!|%%?[a-zA-Z]", line):
        return f"this is a command of Jupyter: write # before it, or rewrite the notebook ({line})"
    return ""


def _conversion(path):
    """The commands that make Python 3 of a script in Python 2."""
    script = shlex.quote(path.with_suffix(".py").name)
    convert = f"python3.12 -m lib2to3 --write --nobackups {script}"
    if path.suffix != ".ipynb":
        return convert
    notebook = shlex.quote(path.name)
    return (
        f"jupytext --to py:percent {notebook}, {convert}, jupytext --to ipynb --output {notebook} "
        f"{script}"
    )


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0]
