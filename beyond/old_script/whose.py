"""Which model a history or a callback belongs to, and how its `compile` names the accuracy.

That matters where one model of a script has `metrics=['acc']` and another `metrics=['accuracy']`.
"""

import libcst as cst

from .calls import argument
from .literals import literal, texts_in
from .names import dotted

NAMES = {"acc", "accuracy"}
MIXED = (
    "one model of this script has metrics=['acc'], another ['accuracy']: write the name that "
    "compile gives the model of this line"
)


def mixed(script) -> bool:
    """Whether the models of a script name the accuracy in both ways."""
    return script.metrics >= NAMES


def of_output(script, output: str) -> str | None:
    """How `compile` names the accuracy of an output, where metrics are a dictionary of outputs.

    Returns:
        "acc", "accuracy", or None if no `compile` says it, or two say different things.
    """
    dictionaries = [
        value
        for call in script.facts.calls
        if _compiles(call)
        for value in _metrics(script, call)
        if isinstance(value, cst.Dict)
    ]
    return _only(
        texts_in(element.value)
        for one in dictionaries
        for element in one.elements
        if literal(getattr(element, "key", None)) == output
    )


def _compiles(call):
    return isinstance(call.func, cst.Attribute) and call.func.attr.value == "compile"


def _metrics(script, compiled):
    """What `compile` may be given as metrics."""
    given = argument(compiled, "metrics", 2)
    return [] if given is None else script.facts.flow.values(given) or [given]


def _only(texts):
    """The one name of the accuracy that is among sets of texts; None for none or both."""
    found = set().union(*texts) & NAMES
    return found.pop() if len(found) == 1 else None


def of_history(script, node: cst.BaseExpression) -> str | None:
    """How the accuracy is named in a history.

    Arguments:
        script: The script.
        node: Such as `history.history`, or `model.fit(...).history`.

    Returns:
        "acc", "accuracy", or None if the model or its `compile` is not seen.
    """
    return _agreed(script, _fits(script, node))


def of_callback(script, callback: cst.Call) -> str | None:
    """How the accuracy is named in the logs of a callback.

    Arguments:
        script: The script.
        callback: The call that makes it, such as `EarlyStopping(...)`.

    Returns:
        "acc", "accuracy", or None if the model or its `compile` is not seen.
    """
    fits = [call for call in script.facts.calls if _is_fit(call) and _has(script, call, callback)]
    return _agreed(script, fits)


def _agreed(script, fits):
    said = {_of_model(script, call) for call in fits}
    return said.pop() if len(said) == 1 else None


def _of_model(script, fit):
    """The name in the `compile` that a call of `fit` follows, or in all of its model."""
    node, compiled = fit.func.value, []
    for call in script.facts.calls:
        if _compiles(call) and dotted(node) and dotted(call.func.value) == dotted(node):
            compiled.append(call)
    here = [call for call in compiled if _same(script, call.func.value, node)]
    before = [call for call in here if script.line(call) <= script.line(fit)]
    chosen = before[-1:] or here or compiled
    return _only(texts_in(value) for call in chosen for value in _metrics(script, call))


def _same(script, one, other):
    """Whether two names mean the same variable; attributes cannot be told apart."""
    if isinstance(one, cst.Name) and isinstance(other, cst.Name):
        return script.binder(one) is script.binder(other)
    return True


def _is_fit(call):
    return isinstance(call.func, cst.Attribute) and call.func.attr.value in ("fit", "fit_generator")


def _fits(script, node, depth=0):
    """The calls of `fit` from which a history comes."""
    if isinstance(node, cst.Call):
        return [node] if _is_fit(node) else []
    if isinstance(node, cst.Attribute) and node.attr.value == "history":
        return _fits(script, node.value, depth + 1)
    if depth > 4:
        return []
    values = script.facts.flow.values(node)
    return [call for value in values for call in _fits(script, value, depth + 1)]


def _has(script, fit, callback):
    """Whether a `fit` is given a callback."""
    for index, arg in enumerate(fit.args):
        name = arg.keyword.value if arg.keyword is not None else ""
        given = name == "callbacks" or (not name and index >= 4)
        if given and _contains(script, arg.value, callback):
            return True
    return False


def _contains(script, node, callback, depth=0):
    if node is callback:
        return True
    if depth > 4:
        return False
    if isinstance(node, (cst.List, cst.Tuple)):
        return any(_contains(script, one.value, callback, depth + 1) for one in node.elements)
    values = script.facts.flow.values(node) if isinstance(node, (cst.Name, cst.Attribute)) else ()
    return any(_contains(script, value, callback, depth + 1) for value in values)
