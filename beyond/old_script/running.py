"""Running a rewritten script, and looking up the message with which it stops."""

import os
import pathlib
import subprocess
import sys
import tempfile

from .errors import OldScriptError
from .explaining import Entry, explain
from .report import Result
from .rewriting import rewrite


def run(path: str | pathlib.Path, arguments: list[str]) -> tuple[Result, int, list[Entry]]:
    """Rewrite a script, run the new one in the current folder, and look up how it stopped.

    The new script lies beside the old one, so that it finds the modules there; its output goes
    where that of this process goes.

    Arguments:
        path: The script.
        arguments: What follows the name of the script.

    Returns:
        What was rewritten, the exit status of the script, and the entries for its last message.

    Raises:
        OldScriptError: The script cannot be rewritten, or is a notebook or a folder.
    """
    path = pathlib.Path(path)
    if path.suffix == ".ipynb":
        raise OldScriptError(
            f"{path}: a notebook runs in Jupyter: python -m old_script rewrite {path.name}, then "
            "open the new notebook there"
        )
    if path.is_dir():
        raise OldScriptError(f"{path}: name one script of the folder")
    (result,) = rewrite(path)
    script = result.target if result.changed else result.source
    print(result, end="\n\n", flush=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, os.fspath(script), *arguments],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for line in process.stderr:
            sys.stderr.write(line)
            errors.write(line)
        status = process.wait()
        errors.seek(0)
        said = errors.read()
    if status == 0:
        return result, 0, []
    return result, status, explain(said)
