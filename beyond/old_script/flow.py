"""Where a value comes from: assigned to a name, passed to a parameter, set as an option."""

import libcst as cst

from .literals import literal
from .names import dotted

LIKE_A_MODEL = ("model", "net", "network", "classifier", "autoencoder", "generator")
LIKE_A_MODEL += ("discriminator",)
PARSES = {"parse_args", "parse_known_args"}


class Flow:
    """The assignments, parameters and calls of one script, gathered by `Facts`.

    Arguments:
        script: The script, which knows the scope of every name.
    """

    def __init__(self, script):
        self._script = script
        self._names: dict[tuple[object, str], list[cst.BaseExpression]] = {}
        self._others: dict[str, list[cst.BaseExpression]] = {}
        self._parameters: dict[tuple[object, str], tuple[str, int, str, bool]] = {}
        self._options: dict[str, list[cst.BaseExpression]] = {}
        self._calls: dict[str, list[cst.Call]] = {}
        self._loops: dict[tuple[object, str], list[cst.BaseExpression]] = {}
        self._logs: set[tuple[object, str]] = set()
        self._busy: set[cst.CSTNode] = set()
        self._asked: set[tuple[object, str]] = set()

    # ------------------------------------------------------------------ gathering

    def assign(self, target: cst.BaseExpression, value: cst.BaseExpression) -> None:
        """Note an assignment to a name or to an attribute."""
        if isinstance(target, cst.Name):
            self._names.setdefault(self._key(target), []).append(value)
        elif name := dotted(target):
            self._others.setdefault(name, []).append(value)

    def loop(self, target: cst.BaseAssignTargetExpression, over: cst.BaseExpression) -> None:
        """Note what a name runs over, in a loop or a comprehension."""
        if isinstance(target, cst.Name):
            self._loops.setdefault(self._key(target), []).append(over)

    def attribute(self, owner: str, name: str, value: cst.BaseExpression) -> None:
        """Note an assignment in the body of a class."""
        for before in (owner, "self", "cls"):
            self._others.setdefault(f"{before}.{name}", []).append(value)

    def function(self, node: cst.FunctionDef, owner: str, of_callback: bool) -> None:
        """Note the parameters of a function; `owner` is the class that it stands in."""
        called = owner if node.name.value == "__init__" else node.name.value
        first = 1 if owner and node.params.params else 0
        for index, one in enumerate(node.params.params):
            key = self._key(one.name)
            is_method = bool(owner) and called != owner
            self._parameters[key] = (called, index - first, one.name.value, is_method)
            if one.default is not None:
                self._names.setdefault(key, []).append(one.default)
            if of_callback and node.name.value.startswith("on_") and index == 2:
                self._logs.add(key)
            if of_callback and node.name.value.startswith("on_train_") and index == 1:
                self._logs.add(key)

    def logs_of_lambdas(self, node: cst.Call) -> None:
        """Note the `logs` of the functions that a `LambdaCallback` is given."""
        for arg in node.args:
            params = arg.value.params.params if isinstance(arg.value, cst.Lambda) else ()
            if len(params) == 2:
                self._logs.add(self._key(params[1].name))

    def option(self, name: str, default: cst.BaseExpression) -> None:
        """Note the default of an option of the command line."""
        self._options.setdefault(name, []).append(default)

    def call(self, node: cst.Call) -> None:
        """Note a call, whose arguments are the values of parameters."""
        name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
        if isinstance(name, cst.Name):
            self._calls.setdefault(name.value, []).append(node)

    # ------------------------------------------------------------------ asking

    def values(self, node: cst.CSTNode | None) -> list[cst.BaseExpression]:
        """The expressions whose value a name, an attribute or an option may have.

        Arguments:
            node: An expression of the script.

        Returns:
            What is assigned to it in its scope; for a parameter its default and the arguments of
            the calls in this script; nothing where that is not seen.
        """
        if isinstance(node, cst.Name):
            key = self._key(node)
            return [*self._names.get(key, ()), *self._passed(key)]
        if isinstance(node, cst.Attribute):
            found = list(self._others.get(dotted(node), ()))
            if node.attr.value in self._options and self._parses(node.value):
                found += self._options[node.attr.value]
            return found
        if isinstance(node, cst.Subscript) and len(node.slice) == 1:
            index = node.slice[0].slice
            value = getattr(index, "value", None)
            name = value.evaluated_value if isinstance(value, cst.SimpleString) else None
            if name in self._options and self._parses(node.value):
                return list(self._options[name])
            return [
                element.value
                for made in (self._dictionaries(node.value) if name is not None else ())
                for element in made.elements
                if isinstance(element, cst.DictElement) and literal(element.key) == name
            ]
        return []

    def loops_over(self, node: cst.Name) -> list[cst.BaseExpression]:
        """What a name runs over in loops and comprehensions."""
        return list(self._loops.get(self._key(node), ()))

    def elements(self, node: cst.BaseExpression) -> list[cst.BaseExpression]:
        """What may be the elements of a list: of a name, a list, or a comprehension."""
        found = []
        for one in [node, *self.values(node)]:
            if isinstance(one, (cst.List, cst.Tuple)):
                found += [element.value for element in one.elements]
            elif isinstance(one, cst.ListComp):
                found.append(one.elt)
        return found

    def set_by_classes(self, name: str) -> list[cst.BaseExpression]:
        """What the classes of the script set an attribute of theirs to."""
        return list(self._others.get(f"self.{name}", ()))

    def calls(self, node: cst.BaseExpression | None) -> list[cst.Call]:
        """`node` if it is a call, or else the calls among its values."""
        found = [node] if isinstance(node, cst.Call) else self.values(node)
        return [one for one in found if isinstance(one, cst.Call)]

    def _dictionaries(self, node, depth=0):
        """The dictionaries of the script that an expression may mean."""
        if isinstance(node, cst.Dict):
            return [node]
        if depth > 6 or node in self._busy:  # as in `options = options['train']`
            return []
        self._busy.add(node)
        found = [one for v in self.values(node) for one in self._dictionaries(v, depth + 1)]
        self._busy.discard(node)
        return found

    def means_model(self, owner: cst.BaseExpression, depth: int = 0) -> bool:
        """Whether the owner of a method is seen to be a model, or is called like one.

        `agent.model` is one if a method of a class sets `self.model` to one.
        """
        facts, name = self._script.facts, dotted(owner)
        if isinstance(owner, cst.Call):
            return facts.makes_model(owner)
        last = owner.attr.value if isinstance(owner, cst.Attribute) else name
        if name in facts.models or last.lower().endswith(LIKE_A_MODEL):
            return True
        part = self._others.get(f"self.{last}", ()) if isinstance(owner, cst.Attribute) else ()
        values = (part or self.values(owner)) if depth < 4 else ()
        return any(self.means_model(one, depth + 1) for one in values)

    def is_parameter(self, node: cst.CSTNode) -> bool:
        """Whether a name is the parameter of a function of the script."""
        return isinstance(node, cst.Name) and self._key(node) in self._parameters

    def is_logs(self, node: cst.CSTNode) -> bool:
        """Whether a name is the `logs` that Keras passes to a method of a callback."""
        return isinstance(node, cst.Name) and self._key(node) in self._logs

    def _key(self, name):
        return self._script.binder(name), name.value

    def _passed(self, key):
        if key not in self._parameters or key in self._asked:
            return []  # as in `def save(self, other): other.save(other)`
        self._asked.add(key)
        found = self._arguments(*self._parameters[key])
        self._asked.discard(key)
        return found

    def _arguments(self, called, index, parameter, is_method):
        """What the calls of a function give one of its parameters."""
        found = []
        for call in self._calls.get(called, ()):
            if not self._may_call(call, is_method):
                continue
            given = [arg for arg in call.args if arg.keyword is None]
            named = [a for a in call.args if a.keyword is not None and a.keyword.value == parameter]
            if named:
                found.append(named[0].value)
            elif 0 <= index < len(given) and not any(arg.star for arg in given[: index + 1]):
                found.append(given[index].value)
        return found

    def _may_call(self, call, is_method):
        """Whether a call means a function or a method of the script, not one of a Keras model."""
        if isinstance(call.func, cst.Name):
            return not is_method
        owner = call.func.value
        if not is_method:
            return bool(self._script.names.raw(owner))
        known = isinstance(owner, cst.Name) and owner.value in ("self", "cls")
        made = self.calls(owner)
        own = self._script.facts.own.of_keras
        known = known or any(dotted(one.func).rpartition(".")[2] in own for one in made)
        return known or not (made or self.means_model(owner))

    def _parses(self, node, depth=0):
        """Whether an expression is what a parser made of the command line."""
        if isinstance(node, cst.Call):
            name = dotted(node.func).rpartition(".")[2]
            if not name and isinstance(node.func, cst.Attribute):
                name = node.func.attr.value
            if name == "vars" and node.args:
                return self._parses(node.args[0].value, depth)
            return name in PARSES
        if depth > 3:
            return False
        values = self.values(node) if isinstance(node, (cst.Name, cst.Attribute)) else []
        if not values:  # a parameter that no call of this script fills
            return dotted(node).rpartition(".")[2].lower() in ("args", "opt", "opts", "flags")
        return any(self._parses(value, depth + 1) for value in values)
