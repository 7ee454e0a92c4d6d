"""The commands: `python -m old_script rewrite train.py`, `run train.py`, `explain "message"`."""

import argparse
import os
import sys

from .errors import OldScriptError
from .explaining import explain
from .rewriting import rewrite
from .running import run

NOTHING = "no entry of PITFALLS.md or OLD_ARTICLES.md fits this message"


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Arguments:
        arguments: What follows `python -m old_script`; None for the process's own.

    Returns:
        The exit status: 0, 1 after a refusal, or that of the script for `run`.
    """
    parser = argparse.ArgumentParser(prog="python -m old_script", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("rewrite", help="write the script of today beside an old one")
    one.add_argument("path", help="a .py or .ipynb file, or a folder")
    one.add_argument("--overwrite", action="store_true", help="replace a new script that is there")
    one = commands.add_parser("run", help="rewrite a script, run it, explain how it stopped")
    one.add_argument("path")
    one.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script is given")
    one = commands.add_parser("explain", help="look a message up in the pages")
    one.add_argument("message", help="the message, or - to read it from the standard input")
    chosen = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = COMMANDS[chosen.command](chosen)
        sys.stdout.flush()
        return status
    except OldScriptError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` or `less`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _rewrite(chosen):
    results = rewrite(chosen.path, overwrite=chosen.overwrite)
    print(*[result for result in results if not result.refused], sep="\n\n")
    refused = [result.refused for result in results if result.refused]
    print(*refused, sep="\n", end="\n" if refused else "", file=sys.stderr)
    return 1 if refused else 0


def _run(chosen):
    _, status, entries = run(chosen.path, chosen.arguments)
    if status:
        _print(entries)
    return status


def _explain(chosen):
    message = sys.stdin.read() if chosen.message == "-" else chosen.message
    entries = explain(message)
    _print(entries)
    return 0 if entries else 1


def _print(entries):
    if not entries:
        print(NOTHING)
    for entry in entries:
        print(f"\n{'-' * 30}\n{entry}")


COMMANDS = {"rewrite": _rewrite, "run": _run, "explain": _explain}


if __name__ == "__main__":
    sys.exit(main())
