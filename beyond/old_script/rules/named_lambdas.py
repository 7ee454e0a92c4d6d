"""Functions with a name in `Lambda` layers, which a file holds no longer."""

import libcst as cst

from ..calls import argument
from ..literals import literal
from .base import ExpressionRule
from .saving import LambdaModels, LambdaStructures

MAKERS = {*LambdaStructures.functions, *LambdaModels.functions, "keras.saving.load_model"}
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
        if original not in script.module.body or not self._is_once(script, original):
            said = (
                f"{name}: a file holds the name of a Lambda layer's function, not its code: give "
            )
            said += f"load_model custom_objects={{{name!r}: {name}}} with the right one"
            script.undecided(original.name, said)
            return None
        decorator = script.need("keras.saving", "register_keras_serializable") + "()"
        why = "a model with this Lambda layer is found again by the name of its function"
        script.change(original.name, f"def {name}", f"@{decorator} def {name}", why)
        line = cst.Decorator(cst.parse_expression(decorator))
        return updated.with_changes(decorators=[line])

    def _is_once(self, script, node):
        """Whether a function is the only one of its name, and stands after the first import."""
        body = script.module.body
        same = [
            one for one in body if getattr(one, "name", None) and one.name.value == node.name.value
        ]
        lines = (one for one in body if isinstance(one, cst.SimpleStatementLine))
        imports = [one for one in lines if isinstance(one.body[0], (cst.Import, cst.ImportFrom))]
        first = min((body.index(one) for one in imports), default=len(body))
        return len(same) == 1 and first < body.index(node)


def _in_a_lambda(script, name):
    """Whether a function of the script is that of a `Lambda` layer."""
    for call in script.facts.calls:
        if script.names.full(call.func) == "keras.layers.Lambda":
            for given in argument(call, "function", 0), argument(call, "output_shape", 1):
                same = isinstance(given, cst.Name) and given.value == name.value
                if same and script.binder(given) is script.binder(name):
                    return True
    return False


def _is_asked_for(script, name):
    """Whether some call makes a model again without being told of the function."""
    for call in script.facts.calls:
        if script.names.full(call.func) not in MAKERS:
            continue
        given = argument(call, "custom_objects", 1)
        known = [given] if isinstance(given, cst.Dict) else script.facts.flow.values(given)
        if given is None or any(isinstance(one, cst.Dict) and not _has(one, name) for one in known):
            return True
    return False


def _has(node, name):
    keys = [literal(getattr(one, "key", None)) for one in node.elements]
    return None in keys or name in keys
