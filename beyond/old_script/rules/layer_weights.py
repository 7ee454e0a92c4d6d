"""The weights of a layer by the names of Keras 1."""

import libcst as cst

from ..names import dotted
from ..origins import is_layer
from .base import CallRule, ExpressionRule

WHY = "its name since Keras 2"
ORDER = {"W": 0, "b": 1}
OF_DENSE = {"W": "kernel", "b": "bias"}
OF_EMBEDDING = {"W": "embeddings"}
DENSE_LIKE = ("keras.layers.Dense", "keras.layers.Conv", "keras.layers.TimeDistributedDense")


class WeightNames(ExpressionRule):
    """Ask a layer for its weights as today.

    Before:
        from keras.layers import Dense
        first = Dense(2, init='uniform')
        first.build((None, 8))
        print(first.W, first.b, model.layers[0].W)
    After:
        from keras.layers import Dense
        first = Dense(2, kernel_initializer='uniform')
        first.build((None, 8))
        print(first.kernel, first.bias, model.layers[0].weights[0])
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        if not of_a_layer(script, original):
            return None
        name = original.attr.value
        made = {script.names.full(one.func) for one in script.facts.flow.calls(original.value)}
        if made == {"keras.layers.Embedding"}:
            new = OF_EMBEDDING.get(name)
        elif made and all(one.startswith(DENSE_LIKE) for one in made):
            new = OF_DENSE[name]
        else:
            new = ""
        if new is None:
            return None
        owner = script.module.code_for_node(updated.value)
        code = f"{owner}.{new}" if new else f"{owner}.weights[{ORDER[name]}]"
        script.change(original, script.code(original), code, WHY)
        return cst.parse_expression(code)


class WeightValues(CallRule):
    """Read and set the weights of a layer without Theano.

    Before:
        from keras.layers import Dense
        first = Dense(2, init='uniform')
        first.build((None, 8))
        values = first.W.get_value()
        first.W.set_value(values)
    After:
        from keras.layers import Dense
        from keras import ops
        first = Dense(2, kernel_initializer='uniform')
        first.build((None, 8))
        values = ops.convert_to_numpy(first.kernel)
        first.kernel.assign(values)
    """

    methods = ("get_value", "set_value")

    def change(self, call):
        owner = call.receiver
        if not isinstance(owner, cst.Attribute) or not of_a_layer(call.script, owner):
            return
        if call.method == "set_value":
            call.call_instead("assign")
            call.change("set_value(", "assign(", "a variable of Keras 3")
            return
        ops = call.script.need("keras", "ops")
        inner = call.script.module.code_for_node(call.updated_receiver)
        call.replace(f"{ops}.convert_to_numpy({inner})")
        call.change("get_value()", f"{ops}.convert_to_numpy(…)", "a variable of Keras 3")


def of_a_layer(script, node: cst.Attribute) -> bool:
    """Whether an attribute is `W` or `b` of a layer that the script does not define."""
    if node.attr.value not in ORDER or node in script.facts.targets:
        return False
    if f"self.{node.attr.value}" in script.facts.assigned or dotted(node.value) == "self":
        return False  # a class of the script's own has such an attribute
    return is_layer(script, node.value)
