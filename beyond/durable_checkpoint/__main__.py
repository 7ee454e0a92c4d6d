"""`python -m durable_checkpoint verify FILE...`"""

import argparse
import sys

from . import CorruptCheckpointError, verify


def main(arguments: list[str] | None = None) -> int:
    """`python -m durable_checkpoint verify FILE...`: 0 if every file is valid, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="durable_checkpoint")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="say of each file whether it is what was saved")
    command.add_argument("files", nargs="+", metavar="FILE")
    status = 0
    for path in parser.parse_args(arguments).files:
        try:
            how = verify(path)
        except CorruptCheckpointError as error:
            print(f"{path}: corrupt: {error.reason}")
            status = 1
        except OSError as error:
            print(f"{path}: cannot be read: {error.strerror or error}")
            status = 1
        else:
            print(f"{path}: valid" if how == "checksum" else f"{path}: readable, no checksum")
    return status


if __name__ == "__main__":
    sys.exit(main())
