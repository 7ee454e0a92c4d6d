"""The first layer of each network, which is told the shape of the input."""

import libcst as cst

from .literals import literal
from .names import dotted

SEQUENTIAL = {"keras.Sequential", "keras.models.Sequential"}
# mode of `merge` in Keras 1 -> the function and the layer of today.
MERGE_MODES = {
    "concat": ("concatenate", "Concatenate"),
    "sum": ("add", "Add"),
    "mul": ("multiply", "Multiply"),
    "ave": ("average", "Average"),
    "max": ("maximum", "Maximum"),
    "dot": ("dot", "Dot"),
}


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


def merged(script) -> dict[tuple, cst.Call]:
    """(scope, name) of each `Sequential` that begins with `Merge` -> the call of `Merge`.

    Only what a rule can write anew: a list of names, and a mode with a function.

    Arguments:
        script: The script.
    """
    if script.merged is None:
        script.merged = {}
        for call, statement in script.facts.first_layers.items():
            if script.names.full(call.func) != "keras.layers.Merge" or not _is_known(call):
                continue
            if isinstance(statement, cst.SimpleStatementLine):
                owner = statement.body[0].value.func.value
                if isinstance(owner, cst.Name):
                    script.merged[script.binder(owner), owner.value] = call
    return script.merged


def _is_known(call):
    if not call.args or call.args[0].keyword is not None or any(arg.star for arg in call.args):
        return False
    given = call.args[0].value
    if not isinstance(given, (cst.List, cst.Tuple)) or len(given.elements) < 2:
        return False
    if not all(isinstance(one.value, (cst.Name, cst.Attribute)) for one in given.elements):
        return False
    if any(arg.keyword is None for arg in call.args[1:]):
        return False
    words = {arg.keyword.value: arg.value for arg in call.args[1:]}
    mode = literal(words["mode"]) if "mode" in words else "sum"
    return mode in MERGE_MODES and set(words) <= {"mode", "concat_axis", "dot_axes", "name"}
