"""The full names of what a script uses, whatever it calls them.

`from keras import layers as L` makes `L.Dense` the name `keras.layers.Dense`. Names that the
script itself defines have no full name here, so a function of its own called `merge` is left alone.
"""

import functools

import libcst as cst

from . import homes
from .scopes import Scopes

PREFIXES = ("tensorflow.python.keras", "tensorflow.contrib.keras.api.keras") + (
    "tensorflow.contrib.keras.python.keras",
    "tensorflow.contrib.keras",
    "tensorflow.keras",
    "tensorflow.compat.v1.keras",
    "tensorflow.compat.v2.keras",
    "keras.api.keras",
)


def dotted(node: cst.CSTNode) -> str:
    """`a.b.c` of a chain of names; an empty text for anything else."""
    parts = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return ""
    return ".".join(reversed([*parts, node.value]))


def chain(name: str) -> cst.BaseExpression:
    """The chain of names for `a.b.c`."""
    first, *rest = name.split(".")
    made: cst.BaseExpression = cst.Name(first)
    for part in rest:
        made = cst.Attribute(made, cst.Name(part))
    return made


def of_keras(full: str) -> str:
    """The name in `keras`, without the road that led there: `tensorflow.keras.X` is `keras.X`."""
    for prefix in PREFIXES:
        if full == prefix or full.startswith(prefix + "."):
            return "keras" + full[len(prefix) :]
    if full.startswith("tensorflow.optimizers"):
        return full.replace("tensorflow", "keras", 1)
    return full


@functools.cache
def plain(full: str) -> str:
    """The name where today's Keras has it: `keras.layers.core.Dense` is `keras.layers.Dense`."""
    module, _, name = of_keras(full).rpartition(".")
    moved = homes.new_home(module, name)
    return ".".join(moved) if moved else of_keras(full)


class Names:
    """The full names in one module.

    Arguments:
        scopes: The scopes of the module.
    """

    def __init__(self, scopes: Scopes):
        self._scopes = scopes
        self._raw: dict[cst.CSTNode, str] = {}

    def raw(self, node: cst.CSTNode) -> str:
        """The full name as the script's imports spell it, or an empty text."""
        if node not in self._raw:
            self._raw[node] = self._look_up(node)
        return self._raw[node]

    def _scope(self, node):
        while isinstance(node, cst.Attribute):
            node = node.value
        return self._scopes.scope(node)

    def _look_up(self, node):
        name = dotted(node)
        if not name:
            return ""
        root, dot, rest = name.partition(".")
        found = self._scope(node).look_up(root)
        if not found:  # nothing binds it
            for module in self._scopes.stars:
                if homes.exported(of_keras(module), root):
                    return f"{module}.{name}"
            return ""
        if None in found:
            return ""
        by_keras = sorted(one for one in found if of_keras(one).startswith("keras"))
        return (by_keras or sorted(found))[0] + dot + rest

    def full(self, node: cst.CSTNode) -> str:
        """The name where today's Keras has it (`plain`), or the full name of another module."""
        raw = self.raw(node)
        return plain(raw) if raw else ""

    def defined(self, name: str, node: cst.CSTNode) -> bool:
        """Whether anything in reach of `node` has this name already."""
        return self._scope(node).look_up(name) is not None
