"""Python lists as data: Keras 3 takes a list for several inputs or outputs."""

import libcst as cst

from ..names import dotted
from ..origins import is_model
from .base import CallRule

METHODS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")
NUMBERS, NESTED, LIST = "numbers", "lists of numbers", "a list"
COUNTS = {"int", "float", "len", "round", "ord", "sum", "abs"}


class ListsOfNumbers(CallRule):
    """Pass rows that stand in a Python list as an array.

    Before:
        import numpy as np
        from keras.models import Sequential
        from keras.layers import Dense
        model = Sequential([Dense(1, input_dim=2)])
        model.compile('sgd', 'mse')
        labels = [0, 1]
        model.fit([[0, 0], [1, 1]], labels, nb_epoch=1)
    After:
        import numpy as np
        from keras.models import Sequential
        from keras.layers import Dense
        from keras import Input
        model = Sequential([Input((2,)), Dense(1)])
        model.compile('sgd', 'mse')
        labels = [0, 1]
        model.fit(np.array([[0, 0], [1, 1]]), np.array(labels), epochs=1)
    """

    methods = METHODS

    def change(self, call):
        script = call.script
        if call.receiver is None or not is_model(script, call.receiver, call.method):
            return
        if dotted(call.receiver) not in script.facts.models:
            return
        for name, position in (("x", 0), ("y", 1))[: 1 if "predict" in call.method else 2]:
            value = call.value(name, position)
            new = self._array(call, value, name)
            if new is None:
                continue
            call.put_value(name, position, new)
        held = call.keyword("validation_data")
        if isinstance(held, (cst.Tuple, cst.List)):
            elements = list(held.elements)
            for index, name in ((0, "x"), (1, "y")):
                if index < len(elements):
                    new = self._array(call, elements[index].value, name)
                    if new is not None:
                        new = cst.parse_expression(new)
                        elements[index] = elements[index].with_changes(value=new)
            if elements != list(held.elements):
                call.put("validation_data", held.with_changes(elements=elements))

    def _array(self, call, value, name):
        """The code of an array in place of a list, or None."""
        script = call.script
        kind = None if value is None else kind_of_list(script, value)
        if kind is None:
            return None
        code = call.code(value)
        several = script.facts.builds_functional and not script.uses_tensorflow_keras
        if kind == LIST or (kind == NESTED and several):
            script.undecided(
                call.original,
                f"{name}={code} is a Python list, which Keras 3 takes for several "
                f"{'inputs' if name == 'x' else 'outputs'}: if it holds rows, write "
                f"np.array({code})",
            )
            return None
        new = f"{script.need_module('numpy')}.array({code})"
        call.change(code, new, "Keras 3 refuses a list of numbers")
        return new


def kind_of_list(script, node: cst.BaseExpression, depth: int = 0) -> str | None:
    """What a Python list holds, as far as it is seen; None for anything but a list.

    Arguments:
        script: The script.
        node: An expression of it.

    Returns:
        NUMBERS, NESTED, LIST (its elements are not seen), or None.
    """
    if depth > 4:
        return None
    if isinstance(node, cst.List):
        return _of_elements(script, [element.value for element in node.elements])
    if isinstance(node, cst.ListComp):
        return _of_elements(script, [node.elt]) or LIST
    if isinstance(node, cst.BinaryOperation):
        if isinstance(node.operator, cst.Add):
            sides = {kind_of_list(script, one, depth + 1) for one in (node.left, node.right)}
            return sides.pop() if len(sides) == 1 else None
        if isinstance(node.operator, cst.Multiply):
            return kind_of_list(script, node.left, depth + 1)
        return None
    if isinstance(node, cst.Subscript):
        sliced = len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Slice)
        return kind_of_list(script, node.value, depth + 1) if sliced else None
    if isinstance(node, cst.Call):
        return _of_call(script, node, depth)
    if isinstance(node, cst.Name):
        return _of_name(script, node, depth)
    return None


def _of_call(script, node, depth):
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "tolist":
        return NESTED
    name = dotted(node.func)
    if name in script.facts.returned and depth < 4:
        kinds = {
            None if one is None else kind_of_list(script, one, depth + 1)
            for one in script.facts.returned[name]
        }
        return kinds.pop() if len(kinds) == 1 else None
    if script.names.raw(node.func) or script.names.defined(name, node.func):
        return None
    if name == "range":
        return NUMBERS
    if name == "list" and node.args:
        inner = node.args[0].value
        of_map = isinstance(inner, cst.Call) and dotted(inner.func) == "map" and inner.args
        if of_map and dotted(inner.args[0].value) in COUNTS:
            return NUMBERS
        return NUMBERS if isinstance(inner, cst.Call) and dotted(inner.func) == "range" else LIST
    return None


def _of_name(script, node, depth):
    values = script.facts.flow.values(node)
    kinds = set()
    for value in values:
        empty = isinstance(value, cst.List) and not value.elements
        kinds.add(
            _of_elements(script, _appended(script, node)) or LIST
            if empty
            else kind_of_list(script, value, depth + 1)
        )
    return kinds.pop() if len(kinds) == 1 else None


def _appended(script, name):
    """What is appended to a list in its scope."""
    key = script.binder(name), name.value
    return [
        call.args[0].value
        for call in script.facts.calls
        if isinstance(call.func, cst.Attribute)
        and call.func.attr.value == "append"
        and isinstance(call.func.value, cst.Name)
        and (script.binder(call.func.value), call.func.value.value) == key
        and len(call.args) == 1
    ]


def _of_elements(script, elements):
    """The kind of a list with these elements; None if one is seen to be something else."""
    if any(_is_number(script, one) for one in elements):
        return NUMBERS  # no list for several inputs has a number in it
    kinds = {kind_of_list(script, one, 1) for one in elements if isinstance(one, cst.List)}
    if len(elements) and all(isinstance(one, cst.List) for one in elements):
        return NESTED if kinds <= {NUMBERS, NESTED} else None
    return None


def _is_number(script, node, depth=0):
    if isinstance(node, cst.UnaryOperation):
        return _is_number(script, node.expression, depth)
    if isinstance(node, cst.IfExp):
        return _is_number(script, node.body, depth) and _is_number(script, node.orelse, depth)
    if isinstance(node, cst.Call):
        name = dotted(node.func).rpartition(".")[2]
        if script.names.raw(node.func).startswith("math."):
            return True
        return name == "index" if isinstance(node.func, cst.Attribute) else name in COUNTS
    if isinstance(node, cst.Name) and depth < 3:
        values = script.facts.flow.values(node)
        return bool(values) and all(_is_number(script, one, depth + 1) for one in values)
    return isinstance(node, (cst.Integer, cst.Float))
