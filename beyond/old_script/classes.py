"""The classes of a script: which are models, layers or callbacks, and what stands in them."""

import re

import libcst as cst

from . import walks
from .names import dotted

MODELS = ("keras.Model", "keras.models.", "keras.Sequential", "keras.applications.")
CHECKPOINT = "keras.callbacks.ModelCheckpoint"
SEQUENCES = {"keras.utils.Sequence", "keras.utils.PyDataset"}
# The callbacks that watch a quantity -> the place of `monitor` among their arguments.
MONITORS = {
    CHECKPOINT: 1,
    "keras.callbacks.EarlyStopping": 0,
    "keras.callbacks.ReduceLROnPlateau": 0,
}


class Classes:
    """The classes of one script, noted while it is walked over.

    Attributes:
        of_keras: Class -> whether it is one of Keras.
        models: Class -> whether it is a model of Keras.
        bases: Class -> the full names of its bases, those of its own bases among them.
        parts: Node inside a callback that watches a quantity -> its class.
        takes: Class that has an `__init__` -> its parameters.
        items: What the `__getitem__` of a `Sequence` returns.
        words: Names that stand anywhere in classes of the script.
        own_methods: Methods that classes of the script define and Keras does not call.
        methods_of_keras: Method of a class of Keras -> the class.
        assigned: Assignments in methods of classes of Keras.
        listed_weights: What a layer lists as its weights.
        validation_attributes: Attributes that Keras set in a callback.
    """

    def __init__(self):
        self.of_keras: dict[str, bool] = {}
        self.models: dict[str, bool] = {}
        self.bases: dict[str, set[str]] = {}
        self.parts: dict[cst.CSTNode, cst.ClassDef] = {}
        self.takes: dict[str, set[str]] = {}
        self.items: set[cst.Return] = set()
        self.own_methods: set[str] = set()
        self.words: set[str] = set()
        self.methods_of_keras: dict[cst.FunctionDef, cst.ClassDef] = {}
        self.assigned: set[cst.Assign] = set()
        self.listed_weights: set[str] = set()
        self.validation_attributes: set[str] = set()

    def note(self, script, node: cst.ClassDef) -> None:
        """Note a class of a script."""
        bases = {script.names.full(base.value) for base in node.bases}
        for base in node.bases:
            bases |= self.bases.get(dotted(base.value), set())
        name = node.name.value
        self.bases[name] = bases
        self.words |= set(re.findall(r"[^\W\d]\w*", script.code(node)))
        self.of_keras[name] = any(base.startswith("keras.") for base in bases)
        self.models[name] = any(base.startswith(MODELS) for base in bases)
        if bases & MONITORS.keys():
            inside = _Inside()
            node.visit(inside)
            self.parts.update(dict.fromkeys(inside.found, node))
        for statement in node.body.body:
            if isinstance(statement, cst.FunctionDef) and statement.name.value == "__init__":
                params = (*statement.params.params, *statement.params.kwonly_params)
                self.takes[name] = {one.name.value for one in params}
        if bases & SEQUENCES:
            self._sequence(node)
        if self.of_keras[name]:
            self._of_keras(node)
            return
        for statement in node.body.body:
            if isinstance(statement, cst.FunctionDef):
                self.own_methods.add(statement.name.value)

    def means(self, script, call: cst.Call) -> str:
        """The full name of what is called; for a callback of the script's own that of its base.

        That is so for `super().__init__(…)`, and for a class that has no `__init__` of its own.
        """
        func = call.func
        full = script.names.full(func)
        if full or not self.parts:
            return full
        name = func.value if isinstance(func, cst.Name) else ""
        if isinstance(func, cst.Attribute) and func.attr.value == "__init__" and call in self.parts:
            of_super = isinstance(func.value, cst.Call) and dotted(func.value.func) == "super"
            name = self.parts[call].name.value if of_super else ""
        elif name in self.takes:
            return ""
        found = self.bases.get(name, set()) & MONITORS.keys()
        return found.pop() if len(found) == 1 else ""

    def _sequence(self, node):
        """Note the batches that a `Sequence` returns."""
        for statement in node.body.body:
            if isinstance(statement, cst.FunctionDef) and statement.name.value == "__getitem__":
                inside = _Inside()
                statement.visit(inside)
                self.items |= {one for one in inside.found if isinstance(one, cst.Return)}

    def _of_keras(self, node):
        """Note what the rules for layers and callbacks of the script's own ask for."""
        sets_data = False
        for statement in node.body.body:
            if not isinstance(statement, cst.FunctionDef):
                continue
            self.methods_of_keras[statement] = node
            for line in statement.body.body:
                for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
                    if not isinstance(small, cst.Assign):
                        continue
                    self.assigned.add(small)
                    target = dotted(small.targets[0].target)
                    sets_data = sets_data or target == "self.validation_data"
                    if target.endswith("trainable_weights"):
                        self.listed_weights |= {
                            dotted(one.value) for one in getattr(small.value, "elements", ())
                        }
        if not sets_data:
            self.validation_attributes.add("self.validation_data")


class _Inside(walks.Visitor):
    """What stands in a class."""

    def __init__(self):
        super().__init__()
        self.found: list[cst.CSTNode] = []

    def on_visit(self, node):
        self.found.append(node)
        return super().on_visit(node)
