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


class Layers:
    """The layers of the networks of a script.

    Attributes:
        first: Call of a first layer -> the statement or list that it stands in.
        later: Calls of those that follow.
    """

    def __init__(self):
        self.first: dict[cst.Call, cst.CSTNode] = {}
        self.later: set[cst.Call] = set()

    def note_block(self, names, body) -> None:
        """Note what is added to a network in one block of statements.

        Arguments:
            names: The names of the script.
            body: The statements.
        """
        begun: dict[str, bool] = {}  # name of a network -> whether it has a layer
        for statement in body:
            for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
                if isinstance(small, cst.Assign):
                    name = dotted(small.targets[0].target)
                    begun.pop(name, None)
                    made = small.value
                    if isinstance(made, cst.Call) and names.full(made.func) in SEQUENTIAL:
                        begun[name] = _has_layers(made)
                elif isinstance(small, cst.Expr) and isinstance(small.value, cst.Call):
                    self._note_added(small.value, statement, begun)

    def _note_added(self, call, statement, begun):
        name = dotted(getattr(call.func, "value", None))
        adds = isinstance(call.func, cst.Attribute) and call.func.attr.value == "add"
        if not adds or name not in begun or len(call.args) != 1:
            return
        layer, is_later = call.args[0].value, begun[name]
        begun[name] = True
        if isinstance(layer, cst.Call) and is_later:
            self.later.add(layer)
        elif isinstance(layer, cst.Call) and len(statement.body) == 1:
            self.first[layer] = statement

    def note_list(self, names, call) -> None:
        """Note the layers of `Sequential([…])`."""
        if names.full(call.func) not in SEQUENTIAL:
            return
        for arg in call.args:
            if isinstance(arg.value, (cst.List, cst.Tuple)) and arg.value.elements:
                first, *others = (element.value for element in arg.value.elements)
                if isinstance(first, cst.Call):
                    self.first[first] = arg.value
                self.later.update(one for one in others if isinstance(one, cst.Call))


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
