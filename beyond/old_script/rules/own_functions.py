"""Losses and metrics of the script's own, to which Keras 3 passes the targets as they are."""

import libcst as cst

from ..names import dotted, of_keras
from .base import CallRule, ExpressionRule
from .generators import of_a_model

WHY = "Keras 3 passes targets of shape (N,), and integers, as they are"
HELPER = '''def targets_of_keras_2(y_true, y_pred):
    """Targets as Keras 1 and 2 passed them to a loss or a metric: (N, 1) for (N,), and floats."""
    if len(y_true.shape) == 1 and len(y_pred.shape) > 1:
        y_true = {ops}.expand_dims(y_true, -1)
    return {ops}.cast(y_true, y_pred.dtype)
'''


class OwnFunctions(ExpressionRule):
    """Give a loss or a metric of the script's own the targets that it had.

    Before:
        from keras import backend as K
        def worst(y_true, y_pred):
            return K.max(y_pred - y_true)
        model.compile('sgd', 'mse', metrics=[worst])
        model.fit(x, y[:, 0], nb_epoch=1)
    After:
        from keras import backend as K
        from keras import ops
        def targets_of_keras_2(y_true, y_pred):
            ...
        def worst(y_true, y_pred):
            y_true = targets_of_keras_2(y_true, y_pred)
            return ops.max(y_pred - y_true)
        model.compile('sgd', 'mse', metrics=[worst])
        model.fit(x, y[:, 0], epochs=1)
    """

    nodes = ("FunctionDef",)

    def expression(self, original, updated, script):
        if script.facts.keras_3 or original.name.value not in own_functions(script):
            return None
        names = [one.name.value for one in original.params.params]
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        if len(names) < 2 or "targets_of_keras_2(" in script.code(original.body):
            return None
        script.define("targets_of_keras_2", HELPER.format(ops=script.need("keras", "ops")))
        code = f"{names[0]} = targets_of_keras_2({names[0]}, {names[1]})"
        script.change(
            original, f"def {original.name.value}", code, WHY, certain=False, behaviour=True
        )
        line = cst.parse_statement(code)
        body = list(updated.body.body)
        if isinstance(updated.body, cst.SimpleStatementSuite):
            body = [*line.body, *body]
        else:
            at = 1 if original.get_docstring() is not None else 0
            body = [*body[:at], line, *body[at:]]
        return updated.with_changes(body=updated.body.with_changes(body=body))


class ForeignFunctions(CallRule):
    """Tell of a loss or a metric that is not written here as a function.

    Before:
        model.compile('sgd', 'mse', metrics=[lambda y_true, y_pred: y_pred])
        model.fit(x, y, nb_epoch=1)
    After:
        model.compile('sgd', 'mse', metrics=[lambda y_true, y_pred: y_pred])
        model.fit(x, y, epochs=1)
    """

    methods = ("compile",)

    def change(self, call):
        if call.script.facts.keras_3 or not of_a_model(call):
            return
        for one in _given(call.script, call.original):
            raw = call.script.names.raw(one)
            foreign = raw and raw.split(".")[0] not in ("keras", "tensorflow")
            if isinstance(one, cst.Lambda) or foreign:
                name = "the lambda" if isinstance(one, cst.Lambda) else call.code(one)
                call.script.silent(
                    call.original,
                    f"{name}: {WHY}; with predictions of shape (N, 1), y_true - y_pred is then "
                    "(N, N): give fit the targets as y.reshape(-1, 1), and as floats",
                )


def own_functions(script) -> set[str]:
    """The names of the functions of a script that `compile` is given as losses or metrics."""
    if script.own_functions is None:
        script.own_functions = set()
        for call in script.facts.calls:
            if isinstance(call.func, cst.Attribute) and call.func.attr.value == "compile":
                for one in _given(script, call):
                    script.own_functions |= _names(script, one)
    return script.own_functions


def watched_functions(script) -> set[str]:
    """The names under which Keras logs the functions that `compile` is given, here or imported."""
    found = set(own_functions(script))
    for call in script.facts.calls:
        if isinstance(call.func, cst.Attribute) and call.func.attr.value == "compile":
            given = [one for one in _given(script, call) if not _of_keras(script, one)]
            names = (dotted(one).rpartition(".")[2] for one in given)
            found |= {name for name in names if name[:1].islower()}
    return found


def _of_keras(script, node):
    return of_keras(script.names.raw(node)).startswith("keras.")


def _names(script, node):
    """The function that a name means, or that a function returns."""
    if isinstance(node, cst.Call):
        name = dotted(node.func).rpartition(".")[2]
        returned = script.facts.returned.get(name, ()) if name in script.facts.parameters else ()
        return {one.value for one in returned if isinstance(one, cst.Name)}
    name = dotted(node)
    if "." in name and not name.startswith("self."):
        return set()
    name = name.rpartition(".")[2]
    return {name} & set(script.facts.parameters)


def _given(script, call):
    """What `compile` is given as losses and metrics, one by one."""
    found = []
    for index, arg in enumerate(call.args):
        name = arg.keyword.value if arg.keyword is not None else ""
        if name in ("loss", "metrics", "weighted_metrics") or (not name and index in (1, 2)):
            found += _each(script, arg.value)
    return found


def _each(script, node, depth=0):
    if isinstance(node, (cst.List, cst.Tuple, cst.Dict)) and depth < 4:
        inside = [getattr(element, "value", None) for element in node.elements]
        return [one for value in inside for one in _each(script, value, depth + 1)]
    if isinstance(node, (cst.Name, cst.Attribute)) and depth < 4:
        values = script.facts.flow.values(node)
        if values:
            return [one for value in values for one in _each(script, value, depth + 1)]
    return [] if node is None else [node]
