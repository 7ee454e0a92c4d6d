"""Where in a script a path ends: the piece of text that has the ending."""

import re

import libcst as cst

from .literals import literal
from .names import dotted


def ends(script, node, seen=()) -> list[tuple[cst.CSTNode, str, str]]:
    """The pieces of text in which a path ends: (node, its value, the key of the whole name)."""
    if node is None or node in seen or len(seen) > 8:
        return []
    seen = (*seen, node)
    if isinstance(node, cst.SimpleString):
        value = literal(node)
        return [] if value is None else [(node, value, key_of(value))]
    if isinstance(node, cst.ConcatenatedString):
        return _after(ends(script, node.right, seen), literal(node.left))
    if isinstance(node, cst.FormattedString):
        parts = [
            one.value if isinstance(one, cst.FormattedStringText) else "{}" for one in node.parts
        ]
        last = node.parts[-1] if node.parts else None
        if isinstance(last, cst.FormattedStringText):
            return [(last, last.value, key_of("".join(parts)))]
        return ends(script, last.expression, seen) if last is not None else []
    if isinstance(node, cst.BinaryOperation):
        if isinstance(node.operator, cst.Modulo):
            return ends(script, node.left, seen)
        if isinstance(node.operator, cst.Add):
            return _after(ends(script, node.right, seen), literal(node.left) or "{}")
        if isinstance(node.operator, cst.Divide):
            return ends(script, node.right, seen)
        return []
    if isinstance(node, cst.IfExp):
        return ends(script, node.body, seen) + ends(script, node.orelse, seen)
    if isinstance(node, cst.BooleanOperation):
        return ends(script, node.left, seen) + ends(script, node.right, seen)
    if isinstance(node, cst.Call):
        return _ends_of_call(script, node, seen)
    found = []
    for value in script.facts.flow.values(node):
        found += ends(script, value, seen)
    return found


def _after(found, before):
    """The pieces with what comes before them in the name, unless a folder comes between."""
    return [
        (node, text, key if "/" in text else key_of((before or "{}") + key))
        for node, text, key in found
    ]


def key_of(text: str) -> str:
    """The file without its folder, with {} for what a format fills in.

    >>> key_of("saved/weights-%03d.hdf5"), key_of("w-{epoch:02d}.hdf5")
    ('weights-{}.hdf5', 'w-{}.hdf5')
    """
    text = re.sub(r"\{[^{}]*\}|%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]", "{}", text)
    return re.split(r"[/\\]", text)[-1]


def _ends_of_call(script, node, seen):
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "format":
        return ends(script, node.func.value, seen)
    full = script.names.raw(node.func)
    given = [a.value for a in node.args if a.keyword is None and not a.star]
    if not given:
        return []
    if full in ("os.path.join", "pathlib.Path", "pathlib.PurePath"):
        return ends(script, given[-1], seen)
    if full in ("os.path.abspath", "os.path.expanduser", "os.path.normpath") or dotted(
        node.func
    ) in ("str",):
        return ends(script, given[0], seen)
    return []
