"""What an object is: a model of Keras, quantities that Keras logged, or something of the user's."""

import re

import libcst as cst

from .classes import MODELS
from .names import dotted, of_keras

FITS = {"fit", "fit_generator"}
# Methods that only a model of Keras is known for.
ONLY_KERAS = {
    "fit_generator",
    "evaluate_generator",
    "predict_generator",
    "train_on_batch",
    "test_on_batch",
    "predict_on_batch",
    "predict_classes",
    "save_weights",
    "load_weights",
    "compile",
}
# What gives a model besides the classes of models; of other calls of Keras it is known that they
# make something else.
GIVE_MODELS = {"keras.utils.multi_gpu_model", "keras.saving.load_model"}
GIVE_MODELS |= {f"keras.experimental.{name}" for name in ("LinearModel", "WideDeepModel")}
NO_MODELS = re.compile(
    r"keras\.(activations|backend|callbacks|constraints|datasets|initializers|layers|losses|metrics"
    r"|ops|optimizers|preprocessing|random|regularizers|utils)\."
)
FOREIGN = re.compile(
    r"(sklearn|xgboost|lightgbm|catboost|torch|numpy|pandas|scipy|statsmodels|gensim|collections"
    r"|json|pickle|re|os|h5py|cv2|PIL|matplotlib|joblib)\b"
)


def is_model(script, node: cst.BaseExpression, method: str, depth: int = 0) -> bool | None:
    """Whether the owner of a method is a model of Keras.

    Arguments:
        script: The script.
        node: The owner, such as `model` in `model.fit(...)`.
        method: The name of the method.

    Returns:
        None if it is not seen, and the script or its folder has a class with such a method.
    """
    if script.names.raw(node):
        return False  # a module, or what an import gave
    said = made_as_model(script, node)
    if said is not None:
        return said
    if dotted(node) == "self":
        return None if method in script.facts.own.own_methods else True
    if dotted(node) in script.facts.models and method not in script.facts.own.own_methods:
        return True
    if method in script.facts.own.own_methods | script.foreign_methods:
        return True if dotted(node).rpartition(".")[2].lower().endswith("model") else None
    return True


def made_as_model(script, node: cst.BaseExpression, depth: int = 0) -> bool | None:
    """True or False by what the owner of a method was made as; None if that is not seen."""
    if depth > 4:
        return None
    if isinstance(node, cst.Call):
        full = script.names.full(node.func)
        last = dotted(node.func).rpartition(".")[2]
        if script.facts.makes_model(node) or full.startswith(MODELS) or full in GIVE_MODELS:
            return True
        if FOREIGN.match(full) or NO_MODELS.match(full):
            return False
        return script.facts.own.models.get(last)
    flow = script.facts.flow
    lists = flow.loops_over(node) if isinstance(node, cst.Name) else []
    if isinstance(node, cst.Subscript) and not isinstance(node.slice[0].slice, cst.Slice):
        lists = [node.value]
    values = [*flow.values(node), *(one for each in lists for one in flow.elements(each))]
    said = {made_as_model(script, one, depth + 1) for one in values}
    if True in said:
        return True
    return False if said == {False} else None


def is_optimizer(script, node: cst.BaseExpression, depth: int = 0) -> bool:
    """Whether an expression is seen to be an optimizer of Keras.

    Arguments:
        script: The script.
        node: Such as `model.optimizer`, or what a call of `keras.optimizers` was assigned to.
    """
    if isinstance(node, cst.Call):
        return _makes_optimizer(script, node)
    values = script.facts.flow.values(node) if depth < 4 else ()
    if isinstance(node, cst.IfExp):
        values = [node.body, node.orelse]
    values = [one for one in values if dotted(one) != "None"]
    if values:
        return all(is_optimizer(script, one, depth + 1) for one in values)
    if not isinstance(node, cst.Attribute) or node.attr.value != "optimizer":
        return False
    return script.facts.flow.means_model(node.value)


def _makes_optimizer(script, call):
    full = script.names.full(call.func)
    if full.endswith("enable_mixed_precision_graph_rewrite") and call.args:
        return True
    return full.startswith("keras.optimizers.") and "schedules" not in full


def is_layer(script, node: cst.BaseExpression, depth: int = 0) -> bool:
    """Whether an expression is seen to be a layer of Keras.

    Arguments:
        script: The script.
        node: Such as `layer` in a loop over `model.layers`, `model.layers[0]`, or what a call of
            `keras.layers` was assigned to.
    """
    flow = script.facts.flow
    if isinstance(node, cst.Subscript):
        one = len(node.slice) == 1 and not isinstance(node.slice[0].slice, cst.Slice)
        return one and _is_list_of_layers(script, node.value)
    if isinstance(node, cst.Call):
        return _makes_layer(script, node)
    if depth > 4:
        return False
    over = flow.loops_over(node) if isinstance(node, cst.Name) else []
    values = flow.values(node)
    found = [_is_list_of_layers(script, one) for one in over]
    found += [is_layer(script, one, depth + 1) for one in values]
    return bool(found) and all(found)


def _is_list_of_layers(script, node):
    """Whether an expression is `model.layers`, or a slice of it."""
    if isinstance(node, cst.Subscript):
        return isinstance(node.slice[0].slice, cst.Slice) and _is_list_of_layers(script, node.value)
    is_layers = isinstance(node, cst.Attribute) and node.attr.value == "layers"
    return is_layers and script.facts.flow.means_model(node.value)


def _makes_layer(script, call):
    full = script.names.full(call.func)
    if full.startswith("keras.layers.") and full != "keras.layers.Input":
        return True
    func = call.func
    gets = isinstance(func, cst.Attribute) and func.attr.value == "get_layer"
    return gets and script.facts.flow.means_model(func.value)


def logged_by_keras(script, node: cst.BaseExpression, depth: int = 0) -> bool | None:
    """Whether an expression is a dictionary of quantities that Keras logged.

    Arguments:
        script: The script.
        node: The dictionary, such as `history.history` or `logs`.

    Returns:
        False for what the script makes itself; None where its origin is not seen.
    """
    if depth > 5:
        return None
    flow = script.facts.flow
    if flow.is_logs(node):
        return True
    if isinstance(node, cst.Attribute) and node.attr.value == "history":
        mine = flow.values(node)
        if mine:
            return _agreed(logged_by_keras(script, one, depth + 1) for one in mine)
        return _has_history(script, node.value, depth)
    if isinstance(node, (cst.Dict, cst.List, cst.Tuple, cst.DictComp, cst.ListComp)):
        return False
    if isinstance(node, cst.Call):
        return _of_call(script, node, depth)
    return _agreed(logged_by_keras(script, one, depth + 1) for one in flow.values(node))


def _of_call(script, node, depth):
    """What a call returns, if it makes a dictionary or a table of another one."""
    raw = script.names.raw(node.func)
    if dotted(node.func) == "dict" or raw in ("pandas.DataFrame", "copy.copy", "copy.deepcopy"):
        if node.args and node.args[0].keyword is None:
            return logged_by_keras(script, node.args[0].value, depth + 1)
        return False
    if raw.startswith(("collections.", "pandas.")):
        return False
    if isinstance(node.func, cst.Attribute) and node.func.attr.value == "copy":
        return logged_by_keras(script, node.func.value, depth + 1)
    return None


def _has_history(script, node, depth):
    """Whether `.history` of an object is the dictionary of Keras."""
    if isinstance(node, cst.Call):
        if isinstance(node.func, cst.Attribute) and node.func.attr.value in FITS:
            return is_model(script, node.func.value, node.func.attr.value) is not False
        full = of_keras(script.names.full(node.func))
        if full.startswith("keras."):
            return True
        own = script.facts.own.of_keras.get(dotted(node.func).rpartition(".")[2])
        return None if own is None else own
    if depth > 4:
        return None
    said = [_has_history(script, one, depth + 1) for one in script.facts.flow.values(node)]
    if not said:
        return True  # `history.history` of a parameter, of `model`
    agreed = _agreed(said)
    return True if agreed is None and None in said and False not in said else agreed


def _agreed(said):
    said = set(said)
    if said == {True}:
        return True
    return False if said and True not in said and None not in said else None
