"""The programs in this folder import this: their Python then looks where pytest's does."""

import pathlib
import sys
import tomllib

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))

for folder in reversed(PROJECT["tool"]["pytest"]["ini_options"]["pythonpath"]):
    if str(REPOSITORY / folder) not in sys.path:
        sys.path.insert(0, str(REPOSITORY / folder))
