"""The first layer of each network, which is told the shape of the input."""

import libcst as cst

from .names import dotted

SEQUENTIAL = {"keras.Sequential", "keras.models.Sequential"}


def added(names, body) -> dict[cst.Call, cst.CSTNode]:
    """First layers that are added to a `Sequential()`, and the statement that adds each.

    Arguments:
        names: The names of the script.
        body: Statements of one block.
    """
    found: dict[cst.Call, cst.CSTNode] = {}
    empty: set[str] = set()
    for statement in body:
        if not isinstance(statement, cst.SimpleStatementLine):
            continue
        for small in statement.body:
            if isinstance(small, cst.Assign) and isinstance(small.value, cst.Call):
                if names.full(small.value.func) in SEQUENTIAL:
                    name = dotted(small.targets[0].target)
                    (empty.discard if _has_layers(small.value) else empty.add)(name)
            elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Call):
                call = small.value
                if not (isinstance(call.func, cst.Attribute) and call.func.attr.value == "add"):
                    continue
                name = dotted(call.func.value)
                if name in empty and len(call.args) == 1:
                    empty.discard(name)
                    if isinstance(call.args[0].value, cst.Call) and len(statement.body) == 1:
                        found[call.args[0].value] = statement
    return found


def _has_layers(call):
    return any(arg.keyword is None or arg.keyword.value == "layers" for arg in call.args)
