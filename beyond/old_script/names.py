"""The full names of what a script uses, whatever it calls them.

`from keras import layers as L` makes `L.Dense` the name `keras.layers.Dense`. Names that the
script itself defines have no full name here, so a function of its own called `merge` is left alone.
"""

import libcst as cst
from libcst.metadata import QualifiedNameSource

from . import homes

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
    return cst.parse_expression(name)


def of_keras(full: str) -> str:
    """The name in `keras`, without the road that led there: `tensorflow.keras.X` is `keras.X`."""
    for prefix in PREFIXES:
        if full == prefix or full.startswith(prefix + "."):
            return "keras" + full[len(prefix) :]
    return full


def plain(full: str) -> str:
    """The name where today's Keras has it: `keras.layers.core.Dense` is `keras.layers.Dense`."""
    module, _, name = of_keras(full).rpartition(".")
    moved = homes.new_home(module, name)
    return ".".join(moved) if moved else of_keras(full)


class Names:
    """The full names in one module.

    Arguments:
        scopes: What LibCST's `ScopeProvider` found.
        module: The parsed module.
    """

    def __init__(self, scopes, module: cst.Module):
        self._scopes = scopes
        self._stars = [
            dotted(node.module)
            for node in _star_imports(module)
            if node.module is not None and not node.relative
        ]

    def raw(self, node: cst.CSTNode) -> str:
        """The full name as the script's imports spell it, or an empty text."""
        name = dotted(node)
        if not name:
            return ""
        root = node
        while isinstance(root, cst.Attribute):
            root = root.value
        scope = self._scopes.get(node) or self._scopes.get(root)
        if scope is None:
            return ""
        found = scope.get_qualified_names_for(name)
        imported = {one.name for one in found if one.source is QualifiedNameSource.IMPORT}
        if imported and all(one.source is QualifiedNameSource.IMPORT for one in found):
            by_keras = sorted(one for one in imported if of_keras(one).startswith("keras"))
            return (by_keras or sorted(imported))[0]
        if not found or all(one.source is QualifiedNameSource.BUILTIN for one in found):
            for module in self._stars:
                if homes.exported(of_keras(module), name.split(".")[0]):
                    return f"{module}.{name}"
        return ""

    def full(self, node: cst.CSTNode) -> str:
        """The name where today's Keras has it (`plain`), or the full name of another module."""
        raw = self.raw(node)
        return plain(raw) if raw else ""

    def defined(self, name: str, node: cst.CSTNode) -> bool:
        """Whether anything in reach of `node` has this name already."""
        scope = self._scopes.get(node)
        return scope is not None and name in scope

    @property
    def stars(self) -> list[str]:
        """The modules of `from ... import *`."""
        return list(self._stars)


def _star_imports(module):
    found = []

    class Finder(cst.CSTVisitor):
        def visit_ImportFrom(self, node):
            if isinstance(node.names, cst.ImportStar):
                found.append(node)

    module.visit(Finder())
    return found
