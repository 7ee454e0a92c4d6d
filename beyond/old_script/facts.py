"""What holds for a whole script, gathered before the first change."""

import re

import libcst as cst

from . import classes, first_layers, walks
from .flow import Flow
from .literals import literal, texts_in
from .names import dotted
from .signs import CHANGES_RATE, KERAS_1, KERAS_2, MODEL_MAKERS, MODEL_METHODS


class Facts(walks.Visitor):
    """A walk over the script as it stands.

    Attributes:
        assigned: Text of a target -> the values that are assigned to it.
        flow: Where a value comes from, by scope.
        models: Texts of what is a model: "model", "self.model".
        metrics: The metrics that are named by a text.
        losses: The losses that are named by a text.
        own: The classes of the script.
        generators: Functions of the script that yield.
        yielded: Function -> what it yields.
        changes_rate: A callback or a line changes the learning rate.
        keras_1: A word that only Keras 1 had.
        keras_2: A word that Keras 1 did not have.
        keras_3: A module that Keras 1 and 2 did not have.
        validates: Some `fit` has validation data (or passes arguments that cannot be seen).
        later_layers: Calls of the layers that follow in a `Sequential`.
        first_layers: Call of a first layer -> the statement or list that it stands in.
        backend: Names of `keras.backend` that are used.
        lambdas: There is a `Lambda` layer of a Python lambda.
    """

    def __init__(self, script):
        super().__init__()
        self._script = script
        self.assigned: dict[str, list[cst.BaseExpression]] = {}
        self.flow = Flow(script)
        self._classes: list[str] = []
        self._callbacks: list[bool] = []
        self._nest: list[str] = []
        self.models: set[str] = {"model", "self.model"}
        self.metrics: set[str] = set()
        self.losses: set[str] = set()
        self.own = classes.Classes()
        self.generators: set[str] = set()
        self.yielded: dict[str, list[cst.CSTNode | None]] = {}
        self.changes_rate = self.keras_1 = self.keras_2 = self.keras_3 = False
        self.validates = self.fits = self.lambdas = False
        self.shows_accuracy = False
        self._layers = first_layers.Layers()
        self.first_layers, self.later_layers = self._layers.first, self._layers.later
        self.backend: set[str] = set()
        self.last_activations: set[str] = set()
        self.calls: list[cst.Call] = []
        self.within: dict[cst.Call, tuple[str, ...]] = {}
        self.called: set[str] = set()
        self.contrib_imports: list[tuple[cst.CSTNode, str]] = []
        self.targets: set[cst.CSTNode] = set()
        self.subscripted: set[cst.CSTNode] = set()
        self.subscripts: list[cst.Subscript] = []
        self.best_parameters: list[cst.Subscript] = []
        self.entered: set[cst.Call] = set()
        self._trainable: dict[str, set[str]] = {}
        self._functions: list[str] = []
        self.model_functions: set[str] = set()
        self.lambda_names: set[str] = set()
        self.parameters: dict[str, list[cst.Param]] = {}
        self.metric_lists: list[tuple[str, ...]] = []
        self.from_generators = False
        self.alone: set[cst.CSTNode] = set()
        self.inner: set[cst.CSTNode] = set()
        self.guarded: set[cst.CSTNode] = set()
        self.returned: dict[str, list[cst.BaseExpression | None]] = {}

    # ------------------------------------------------------------------ definitions

    def visit_ClassDef(self, node):
        self.own.note(self._script, node)
        self._classes.append(node.name.value)
        self._nest.append("class")
        bases = self.own.bases[node.name.value]
        self._callbacks.append(any("callbacks." in base for base in bases))

    def leave_ClassDef(self, original_node):
        self._classes.pop()
        self._nest.pop()
        self._callbacks.pop()

    def visit_FunctionDef(self, node):
        is_method = bool(self._nest) and self._nest[-1] == "class"
        self._nest.append("function")
        self.flow.function(
            node,
            self._classes[-1] if is_method else "",
            bool(self._callbacks) and self._callbacks[-1],
        )
        self._functions.append(node.name.value)
        self.parameters[node.name.value] = list(node.params.params)
        for parameter in node.params.params:
            if parameter.default is not None:
                self.assigned.setdefault(parameter.name.value, []).append(parameter.default)

    def leave_FunctionDef(self, original_node):
        self._functions.pop()
        self._nest.pop()

    def visit_Yield(self, node):
        if self._functions:
            self.generators.add(self._functions[-1])
            self.yielded.setdefault(self._functions[-1], []).append(node.value)

    def visit_Return(self, node):
        if self._functions and self._nest.count("class") == 0:
            self.returned.setdefault(self._functions[-1], []).append(node.value)
        if self._functions and isinstance(node.value, (cst.Call, cst.Name)):
            made = node.value
            if (isinstance(made, cst.Call) and self.makes_model(made)) or (
                isinstance(made, cst.Name) and made.value in self.models
            ):
                self.model_functions.add(self._functions[-1])

    def visit_Assign(self, node):
        for target in node.targets:
            self._target(target.target)
            self._assign(target.target, node.value)

    def _target(self, node):
        self.targets.add(node)
        for one in getattr(node, "elements", ()):
            self._target(one.value)

    def visit_AugAssign(self, node):
        self._target(node.target)

    def visit_Del(self, node):
        self._target(node.target)

    def visit_AnnAssign(self, node):
        self._target(node.target)
        if node.value is not None:
            self._assign(node.target, node.value)

    def visit_With(self, node):
        for item in node.items:
            if isinstance(item.item, cst.Call):
                self.entered.add(item.item)
            if item.asname is not None:
                self._assign(item.asname.name, item.item)

    def _assign(self, target, value):
        if isinstance(target, (cst.Tuple, cst.List)) and isinstance(value, (cst.Tuple, cst.List)):
            for one, its in zip(target.elements, value.elements, strict=False):
                self._assign(one.value, its.value)
            return
        name = dotted(target)
        if not name:
            self._assign_split(target, value)
            return
        self.assigned.setdefault(name, []).append(value)
        self.flow.assign(target, value)
        if self._nest and self._nest[-1] == "class":
            self.flow.attribute(self._classes[-1], name, value)
        if isinstance(value, cst.Call) and self.makes_model(value):
            self.models.add(name)
        if name.endswith((".lr", ".learning_rate")):
            self.changes_rate = True
        if name.endswith(".trainable") and isinstance(value, cst.Name):
            self._trainable.setdefault(name.removesuffix(".trainable"), set()).add(value.value)

    def _assign_split(self, target, value):
        """`a, b, c, d = train_test_split(x, y)`: the first two are pieces of `x`."""
        if not isinstance(target, cst.Tuple) or not isinstance(value, cst.Call):
            return
        if dotted(value.func).rpartition(".")[2] != "train_test_split":
            return
        given = [arg.value for arg in value.args if arg.keyword is None and not arg.star]
        for index, element in enumerate(target.elements):
            if index // 2 < len(given):
                self.flow.assign(element.value, given[index // 2])

    @property
    def frozen(self) -> list[str]:
        """Texts of what is set to `trainable = False` and never back."""
        return [name for name, values in self._trainable.items() if values == {"False"}]

    @property
    def frozen_at_times(self) -> set[str]:
        """Texts of what is set to `trainable = False` somewhere."""
        return {name for name, values in self._trainable.items() if "False" in values}

    @property
    def builds_functional(self) -> bool:
        """Whether a model is built from inputs and outputs."""
        return bool(self.called & {"keras.Model", "keras.models.Model"})

    def makes_model(self, call):
        full = self._script.names.full(call.func)
        return (
            full in MODEL_MAKERS
            or full.startswith("keras.applications.")
            or dotted(call.func).rpartition(".")[2] in self.model_functions
        )

    # ------------------------------------------------------------------ calls

    def visit_Call(self, node):
        self.calls.append(node)
        self.within[node] = tuple(self._functions)
        self.flow.call(node)
        full = self._script.names.full(node.func)
        if full == "keras.callbacks.LambdaCallback":
            self.flow.logs_of_lambdas(node)
        self.called.add(full)
        words = {arg.keyword.value: arg.value for arg in node.args if arg.keyword is not None}
        of_keras_1 = KERAS_1 & set(words)
        if full == "keras.layers.Embedding":
            of_keras_1 -= {"output_dim"}
        if of_keras_1 and not (
            {"init", "output_dim"} >= of_keras_1 and not full.startswith("keras.")
        ):
            self.keras_1 = self.keras_1 or not full or full.startswith("keras.")
        if KERAS_2 & set(words) and (not full or full.startswith("keras.")):
            self.keras_2 = True
        if full == "keras.layers.merge":
            self.keras_1 = True
        if full.startswith(("keras.ops.", "keras.random.", "keras.saving.")):
            self.keras_3 = True
        if full in CHANGES_RATE:
            self.changes_rate = True
        if full == "keras.layers.Lambda" and any(
            isinstance(a.value, cst.Lambda) for a in node.args
        ):
            self.lambdas = True
            for arg in node.args:
                if isinstance(arg.value, cst.Lambda):
                    self.lambda_names |= self._free_names(arg.value)
        if full in ("keras.layers.Dense", "keras.layers.Activation"):
            self.last_activations |= {
                text for a in node.args if (text := literal(a.value)) in ("softmax", "sigmoid")
            }
        if isinstance(node.func, cst.Attribute):
            self._method(node, node.func.attr.value, words)

    def _free_names(self, node):
        """Names of imported modules in a lambda, which a file does not hold."""
        names = re.findall(r"\b([^\W\d]\w*)\.", self._script.code(node.body))
        own = {parameter.name.value for parameter in node.params.params}
        return {name for name in names if name not in own}

    def _method(self, node, method, words):
        receiver = dotted(node.func.value)
        if method in MODEL_METHODS and receiver and not self._script.names.raw(node.func.value):
            self.models.add(receiver)
        if method == "compile":
            third = node.args[2] if len(node.args) > 2 and node.args[2].keyword is None else None
            metrics = words.get("metrics") or (third.value if third is not None else None)
            if isinstance(metrics, (cst.Name, cst.Attribute)):
                metrics = next(iter(self.flow.values(metrics)), None)
            self.metrics.update(texts_in(metrics))
            names = tuple(
                literal(element.value) or "" for element in getattr(metrics, "elements", ())
            )
            if metrics is not None and names not in self.metric_lists:
                self.metric_lists.append(names)
            loss = words.get("loss") or (node.args[1].value if len(node.args) > 1 else None)
            if (text := literal(loss)) is not None:
                self.losses.add(text)
        if method in ("fit", "fit_generator"):
            self.fits = True
            first = words.get("x") or words.get("generator")
            first = first or (node.args[0].value if node.args else None)
            source = first
            if isinstance(first, cst.Name):
                source = next(iter(self.assigned.get(first.value, ())), None)
            if method == "fit_generator" or (
                isinstance(source, cst.Call)
                and dotted(source.func).rpartition(".")[2] in self.generators
            ):
                self.from_generators = True
            if {"validation_data", "validation_split"} & set(words) or len(node.args) > 5:
                self.validates = True
            if any(arg.star for arg in node.args):
                self.validates = True
        if "show_accuracy" in words:
            self.shows_accuracy = True
        if method == "set_value" and node.args and "lr" in self._script.code(node.args[0]):
            self.changes_rate = True
        if method == "add_argument" and "default" in words:
            for arg in node.args:
                option = literal(arg.value)
                if arg.keyword is None and option:
                    name = option.lstrip("-").replace("-", "_")
                    self.assigned.setdefault(f"args.{name}", []).append(words["default"])
                    self.flow.option(name, words["default"])

    def visit_ImportFrom(self, node):
        if dotted(node.module) == "keras" and not isinstance(node.names, cst.ImportStar):
            names = {dotted(alias.name) for alias in node.names}
            self.keras_3 = self.keras_3 or bool(names & {"ops", "random", "saving", "distribution"})
        if node.module is not None:
            self.inner.add(node.module)
            self._contrib(node, dotted(node.module))

    def _contrib(self, node, module):
        names = (
            [] if isinstance(node.names, cst.ImportStar) else [dotted(n.name) for n in node.names]
        )
        for name in names:
            full = f"{module}.{name}"
            if full.startswith("tensorflow.contrib") and not (full + ".").startswith(
                "tensorflow.contrib.keras."
            ):
                self.contrib_imports.append((node, full))

    def visit_Try(self, node):
        self._guard(node.body)
        for handler in node.handlers:
            self._guard(handler.body)

    def visit_If(self, node):
        if re.search(r"version|PY[23]", self._script.code(node.test)):
            self._guard(node.body)
            self._guard(getattr(node.orelse, "body", None))

    def _guard(self, block):
        """Note imports that are tried: a script for Python 2 and 3 has both names."""
        for statement in getattr(block, "body", ()):
            if isinstance(statement, cst.SimpleStatementLine):
                self.guarded.update(statement.body)

    def visit_ImportAlias(self, node):
        self.inner.add(node.name)

    def visit_For(self, node):
        if isinstance(node.iter, (cst.Tuple, cst.List)):
            for element in node.iter.elements:
                self._assign(node.target, element.value)
        self.visit_CompFor(node)

    def visit_CompFor(self, node):
        self._target(node.target)
        self._loop(node.target, node.iter)

    def _loop(self, target, over):
        parts = [one.value for one in getattr(target, "elements", ())]
        name = dotted(over.func) if isinstance(over, cst.Call) else ""
        if name == "enumerate" and len(parts) == 2 and over.args:
            self._loop(parts[1], over.args[0].value)
        elif name == "zip" and len(parts) == len(over.args):
            for one, arg in zip(parts, over.args, strict=True):
                self._loop(one, arg.value)
        else:
            self.flow.loop(target, over)

    def visit_Subscript(self, node):
        self.subscripted.add(node.value)
        index = node.slice[0].slice if len(node.slice) == 1 else None
        key = getattr(index, "value", None)
        if isinstance(key, (cst.Name, cst.Attribute, cst.BinaryOperation)):
            self.subscripts.append(node)
        elif dotted(node.value).endswith(".best_params_"):
            self.best_parameters.append(node)

    def visit_Attribute(self, node):
        if isinstance(node.value, cst.Attribute):
            self.inner.add(node.value)
        if self._script.mentions_backend:
            full = self._script.names.full(node)
            if full.startswith("keras.backend."):
                self.backend.add(full.split(".")[2])

    # ------------------------------------------------------------------ first layers

    def visit_IndentedBlock(self, node):
        if len(node.body) == 1:
            self.alone.add(node.body[0])
        self._layers.note_block(self._script.names, node.body)

    def visit_Module(self, node):
        self._layers.note_block(self._script.names, node.body)

    def leave_Call(self, original_node):
        self._layers.note_list(self._script.names, original_node)
