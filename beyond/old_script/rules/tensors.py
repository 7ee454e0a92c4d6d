"""The tensors of a network: its input and output, and functions of them."""

import libcst as cst

from ..calls import argument
from ..first_layers import SEQUENTIAL, merged
from ..literals import literal
from ..names import dotted
from .base import CallRule, ExpressionRule

LOADED = {"keras.models.load_model", "keras.models.model_from_json", "keras.models.clone_model"}
FUNCTION = '''def function_of_keras_2(inputs, outputs):
    """`keras.backend.function`; None among the inputs stands for `learning_phase()`."""
    several = isinstance(outputs, (list, tuple))
    model = {model}([one for one in inputs if one is not None], outputs)

    def compute(values):
        pairs = list(zip(inputs, values))
        training = any(bool(value) for one, value in pairs if one is None)
        given = [{ops}.convert_to_tensor(value) for one, value in pairs if one is not None]
        found = model(given, training=training)
        found = found if isinstance(found, (list, tuple)) else [found]
        found = [{ops}.convert_to_numpy(one) for one in found]
        return found if several else found[0]

    return compute
'''


class SequentialTensors(ExpressionRule):
    """Ask a `Sequential` for the tensor that it begins or ends with.

    Before:
        from keras.layers import Dense
        from keras.models import Model, Sequential
        net = Sequential()
        net.add(Dense(4, input_dim=8, init='uniform'))
        part = Model(net.input, net.layers[-1].output)
        size = net.output.shape
    After:
        from keras.layers import Dense
        from keras.models import Model, Sequential
        from keras import Input
        net = Sequential()
        net.add(Input((8,)))
        net.add(Dense(4, kernel_initializer='uniform'))
        part = Model(net.inputs[0], net.layers[-1].output)
        size = net.outputs[0].shape
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        name = original.attr.value
        if name not in ("input", "output") or original in script.facts.targets:
            return None
        owner = original.value
        if dotted(owner) not in script.facts.models or not _is_sequential(script, owner):
            return None
        if isinstance(owner, cst.Name) and _joined(script, owner):
            return None
        code = script.code(owner)
        new = f"{code}.{name}s[0]"
        script.change(original, f"{code}.{name}", new, "a Sequential has no such attribute today")
        plural = updated.with_changes(attr=cst.Name(f"{name}s"))
        index = cst.SubscriptElement(cst.Index(cst.Integer("0")))
        return cst.Subscript(plural, [index], lpar=updated.lpar, rpar=updated.rpar)


class FirstInput(ExpressionRule):
    """Begin at the input of a model: an input layer has no input of its own today.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,), name='rows')
        net = Model(input=rows, output=Dense(2)(rows))
        part = Model(net.layers[0].input, net.layers[-1].output)
        same = Model(net.get_layer('rows').input, net.layers[-1].output)
    After:
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,), name='rows')
        net = Model(inputs=rows, outputs=Dense(2)(rows))
        part = Model(net.layers[0].output, net.layers[-1].output)
        same = Model(net.get_layer('rows').output, net.layers[-1].output)
    """

    nodes = ("Attribute",)
    why = "an input layer has no input of its own in Keras 3"

    def expression(self, original, updated, script):
        owner = original.value
        if original.attr.value != "input" or original in script.facts.targets:
            return None
        if isinstance(owner, cst.Call):
            if script.names.raw(owner.func) or not dotted(owner.func).endswith(".get_layer"):
                return None
            index = argument(owner, "index", 1)
            first = index is not None and script.code(index) == "0"
            first = first and self._begins_with_input(script, owner.func.value)
            named = literal(argument(owner, "name", 0)) in _named_inputs(script)
            if not first and not (named and self._begins_with_input(script, owner.func.value)):
                return None
        elif not is_first_layer(script, owner):
            return None
        elif not self._is_made_here(script, owner.value.value):
            return self._of_either(original, owner.value.value, script)
        elif not self._begins_with_input(script, owner.value.value):
            return None
        code = script.code(owner)
        script.change(original, f"{code}.input", f"{code}.output", self.why)
        return updated.with_changes(attr=cst.Name("output"))

    def _is_made_here(self, script, model):
        """Whether a model is seen to be built, in one way."""
        calls = script.facts.flow.calls(model)
        kinds = {
            "loaded" if script.names.full(one.func) in LOADED else _functional(script, one)
            for one in calls
        }
        return len(kinds) == 1 and "loaded" not in kinds

    def _of_either(self, original, model, script):
        """The first input of a model of which it is not seen how it was built."""
        if not script.facts.flow.means_model(model):
            return None
        new = f"{script.code(model)}.inputs[0]"
        script.change(original, script.code(original), new, self.why, certain=False)
        return cst.parse_expression(new)

    def _begins_with_input(self, script, model):
        """Whether a model is seen to be built from inputs and outputs."""
        made = script.facts.flow.calls(model)
        return bool(made) and all(_functional(script, one) for one in made)


def is_first_layer(script, node: cst.BaseExpression) -> bool:
    """Whether an expression is `….layers[0]`."""
    if not isinstance(node, cst.Subscript) or len(node.slice) != 1:
        return False
    is_layers = isinstance(node.value, cst.Attribute) and node.value.attr.value == "layers"
    return is_layers and script.code(node.slice[0].slice) == "0"


def begins_with_input(script, node: cst.BaseExpression) -> bool:
    """Whether an expression is the first layer of a model that is built from inputs and outputs."""
    if not is_first_layer(script, node):
        return False
    made = script.facts.flow.calls(node.value.value)
    return bool(made) and all(_functional(script, one) for one in made)


def _functional(script, call, depth=0):
    """Whether a call is seen to give a model of inputs and outputs."""
    full = script.names.full(call.func)
    if full.startswith("keras.applications."):
        return True
    if full in ("keras.Model", "keras.models.Model"):
        return bool(call.args)
    returned = script.facts.returned.get(dotted(call.func).rpartition(".")[2], ())
    made = [script.facts.flow.calls(one) for one in returned]
    return bool(made) and all(
        calls and depth < 5 and all(_functional(script, one, depth + 1) for one in calls)
        for calls in made
    )


def _named_inputs(script):
    """The names that the script gives its inputs."""
    inputs = [
        one
        for one in script.facts.calls
        if script.names.full(one.func) in ("keras.Input", "keras.layers.Input")
    ]
    return {name for one in inputs if (name := literal(argument(one, "name")))}


def _joined(script, name):
    return (script.binder(name), name.value) in merged(script)


def _is_sequential(script, node, depth=0):
    """Whether an expression is seen to be a `Sequential`."""
    values = [node] if isinstance(node, cst.Call) else script.facts.flow.values(node)
    return depth < 5 and bool(values) and all(_made(script, one, depth) for one in values)


def _made(script, value, depth):
    if not isinstance(value, cst.Call):
        return isinstance(value, cst.Name) and _is_sequential(script, value, depth + 1)
    full = script.names.full(value.func)
    if full in SEQUENTIAL:
        return True
    if full in LOADED:
        others = any(one.startswith("keras.applications.") for one in script.facts.called)
        seen = bool(script.facts.called & SEQUENTIAL)
        return seen and not script.facts.builds_functional and not others
    returned = script.facts.returned.get(dotted(value.func).rpartition(".")[2], ())
    return bool(returned) and all(
        isinstance(one, cst.Name) and _is_sequential(script, one, depth + 1) for one in returned
    )


class Functions(CallRule):
    """Compute tensors of a network from its inputs, without `K.function`.

    Before:
        from keras import backend as K
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,))
        net = Model(input=rows, output=Dense(2)(rows))
        answer = K.function([net.input, K.learning_phase()], [net.layers[-1].output])
        first = answer([x, 0])[0]
    After:
        from keras import backend as K
        from keras.layers import Dense, Input
        from keras.models import Model
        from keras import ops
        def function_of_keras_2(inputs, outputs):
            ...
        rows = Input((8,))
        net = Model(inputs=rows, outputs=Dense(2)(rows))
        answer = function_of_keras_2([net.input, None], [net.layers[-1].output])
        first = answer([x, 0])[0]
    """

    functions = ("keras.backend.function", "keras.backend.learning_phase")

    def change(self, call):
        script = call.script
        if call.full.endswith("learning_phase"):
            if call.original in self._phases(script):
                call.replace("None")
                call.change("K.learning_phase()", "None", "Keras 3 has no learning phase")
            return
        if not self._is_plain(call.original):
            return
        ops, model = script.need("keras", "ops"), script.need("keras.models", "Model")
        script.define("function_of_keras_2", FUNCTION.format(ops=ops, model=model))
        call.drop("updates", "Keras 3 has no such argument")
        call.func = cst.Name("function_of_keras_2")
        call.change(
            "K.function(", "function_of_keras_2(", "Keras 3 has none; a model does the same"
        )

    def _is_plain(self, call):
        """Whether inputs and outputs are given, and no updates of variables."""
        words = {arg.keyword.value: arg.value for arg in call.args if arg.keyword is not None}
        updates = words.pop("updates", None)
        none = updates is None or getattr(updates, "elements", None) == ()
        if any(arg.star for arg in call.args) or not none:
            return False
        return len(call.args) - (updates is not None) == 2 and set(words) <= {"inputs", "outputs"}

    def _phases(self, script):
        """The calls of `learning_phase` among the inputs of a function."""
        found = set()
        for call in script.facts.calls:
            if script.names.full(call.func) == "keras.backend.function" and self._is_plain(call):
                found |= set(_elements(script, call.args[0].value))
        return found


def _elements(script, node, depth=0):
    """The calls in a list, in a sum of lists, or in what a name means."""
    if isinstance(node, cst.BinaryOperation):
        yield from _elements(script, node.left, depth)
        yield from _elements(script, node.right, depth)
    elif isinstance(node, cst.Name) and depth < 5:
        for value in script.facts.flow.values(node):
            yield from _elements(script, value, depth + 1)
    for element in getattr(node, "elements", ()):
        if isinstance(element.value, cst.Call):
            yield element.value
