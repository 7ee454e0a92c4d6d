"""The command: `python -m old_checkpoint convert SOURCE TARGET`, or `inspect SOURCE`."""

import argparse
import sys

import old_checkpoint

from . import quiet


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Arguments:
        arguments: What follows `python -m old_checkpoint`; None for the process's own.

    Returns:
        The exit status: 0, or 1 after a refusal.
    """
    parser = argparse.ArgumentParser(prog="python -m old_checkpoint", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert", help="make a .keras file of an old HDF5 file")
    convert.add_argument("source")
    convert.add_argument("target")
    convert.add_argument("--reference", action="store_true", help="compare with tf_keras as well")
    inspect = commands.add_parser("inspect", help="say what is in an old HDF5 file")
    inspect.add_argument("source")
    chosen = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a name that is no text must not stop the report
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        if chosen.command == "inspect":
            print(old_checkpoint.inspect(chosen.source))
        else:
            with quiet.compiled_code():
                report = old_checkpoint.convert(
                    chosen.source, chosen.target, reference=chosen.reference, progress=_say
                )
            print(report)
    except old_checkpoint.OldCheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _say(text):
    print(f"comparing: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
