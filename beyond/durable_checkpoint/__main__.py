"""`python -m durable_checkpoint verify FILE...`"""

import argparse
import sys

from .errors import CorruptCheckpointError, one_line
from .validity import verify


def main(arguments: list[str] | None = None) -> int:
    """`python -m durable_checkpoint verify FILE...`: 0 if every file is valid, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="durable_checkpoint")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="say of each file whether it is what was saved")
    command.add_argument("files", nargs="+", metavar="FILE")
    status = 0
    for path in parser.parse_args(arguments).files:
        status = max(status, _tell(path))
    return status


def _tell(path):
    shown = one_line(path)
    try:
        how = verify(path)
    except CorruptCheckpointError as error:
        print(f"{shown}: corrupt: {one_line(error.reason)}")
    except OSError as error:
        print(f"{shown}: cannot be read: {one_line(error.strerror or str(error))}")
    except ValueError as error:
        print(one_line(str(error)))
    else:
        print(f"{shown}: valid" if how == "checksum" else f"{shown}: readable, no checksum")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
