"""Where this repository is published, as pyproject.toml says, and whether that is known."""

import tomllib

from lessons import REPOSITORY

PLACEHOLDER = "OWNER"  # stands in pyproject.toml until somebody publishes the repository


def address() -> str:
    """The address of the repository, without a slash at the end."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["pages"]["repository"].rstrip("/")


def has_owner(repository: str) -> bool:
    """Whether links to this address can work: it names its owner.

    >>> has_owner("https://github.com/OWNER/keras-checkpoints-by-example")
    False
    """
    return PLACEHOLDER not in repository.split("/")
