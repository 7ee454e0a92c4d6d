"""Texts that stand in a script."""

import libcst as cst

from .names import dotted


def literal(node: cst.CSTNode | None) -> str | None:
    """The value of a text that stands in the script; None for anything else."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def texts_in(node: cst.CSTNode | None) -> set[str]:
    """The texts in a list, also in the lists of a dictionary, or the one text itself."""
    if (text := literal(node)) is not None:
        return {text}
    inside = [getattr(element, "value", None) for element in getattr(node, "elements", ())]
    return set().union(*map(texts_in, inside))


def is_dictionary(node: cst.CSTNode | None) -> bool:
    """Whether a dictionary is written there, in braces or as `dict(...)`."""
    is_call = isinstance(node, cst.Call) and dotted(node.func) == "dict"
    return is_call or isinstance(node, cst.Dict)
