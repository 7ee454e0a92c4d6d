"""Functions with a name in `Lambda` layers, which a file holds no longer."""

import libcst as cst

from ..calls import argument
from ..literals import literal
from .base import ExpressionRule

MAKERS = ("load_model", "clone_model", "model_from_json", "model_from_yaml", "from_config")
SCOPES = ("get_custom_objects", "custom_object_scope", "CustomObjectScope")


class NamedLambdas(ExpressionRule):
    """Register a function of a `Lambda` layer: a file of Keras 2 held its code, today its name.

    Before:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, load_model
        def doubled(v):
            return v * 2
        model = Sequential()
        model.add(Lambda(doubled, input_shape=(8,)))
        model.add(Dense(1, init='uniform'))
        model.save('doubled.h5')
        model = load_model('doubled.h5')
    After:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, load_model
        from keras.saving import register_keras_serializable
        from keras import Input
        @register_keras_serializable()
        def doubled(v):
            return v * 2
        model = Sequential()
        model.add(Input((8,)))
        model.add(Lambda(doubled))
        model.add(Dense(1, kernel_initializer='uniform'))
        model.save('doubled.keras')
        model = load_model('doubled.keras')
    """

    nodes = ("FunctionDef",)

    def expression(self, original, updated, script):
        name = original.name.value
        if original.decorators or not _in_a_lambda(script, original.name):
            return None
        if not _is_asked_for(script, name) or any(one in script.source.text for one in SCOPES):
            return None
        decorator = script.need("keras.saving", "register_keras_serializable") + "()"
        why = "a model with this Lambda layer is found again by the name of its function"
        script.change(original, f"def {name}", f"@{decorator} def {name}", why)
        line = cst.Decorator(cst.parse_expression(decorator))
        return updated.with_changes(decorators=[line])


def _in_a_lambda(script, name):
    """Whether a function of the script is that of a `Lambda` layer."""
    for call in script.facts.calls:
        if script.names.full(call.func) == "keras.layers.Lambda":
            given = argument(call, "function", 0)
            same = isinstance(given, cst.Name) and given.value == name.value
            if same and script.binder(given) is script.binder(name):
                return True
    return False


def _is_asked_for(script, name):
    """Whether some call makes a model again without being told of the function."""
    for call in script.facts.calls:
        func = call.func
        last = func.attr if isinstance(func, cst.Attribute) else func
        if not isinstance(last, cst.Name) or last.value not in MAKERS:
            continue
        given = argument(call, "custom_objects", 1)
        known = [given] if isinstance(given, cst.Dict) else script.facts.flow.values(given)
        if given is None or any(isinstance(one, cst.Dict) and not _has(one, name) for one in known):
            return True
    return False


def _has(node, name):
    whole = all(isinstance(one, cst.DictElement) for one in node.elements)
    return not whole or any(literal(one.key) == name for one in node.elements)
