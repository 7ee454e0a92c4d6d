"""The weights and the settings of a layer by the names of Keras 1."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..origins import is_layer, is_optimizer
from .base import CallRule, ExpressionRule

WHY = "its name since Keras 2"
ORDER = {"W": 0, "b": 1}
OF_DENSE = {"W": "kernel", "b": "bias"}
OF_EMBEDDING = {"W": "embeddings"}
DENSE_LIKE = ("keras.layers.Dense", "keras.layers.Conv", "keras.layers.TimeDistributedDense")

# Keras 1 -> today.
SETTINGS = {
    "output_dim": "units",
    "nb_filter": "filters",
    "nb_row": "kernel_size[0]",
    "nb_col": "kernel_size[1]",
    "filter_length": "kernel_size[0]",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides[0]",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size[0]",
    "stride": "strides[0]",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "p": "rate",
    "sigma": "stddev",
}
RECURRENT = {f"keras.layers.{name}" for name in ("LSTM", "GRU", "SimpleRNN")}
# Optimizer's variables that Theano's `get_value` was called for.
LISTS = {"weights", "trainable_weights", "non_trainable_weights", "params"}
NAMES_OF_WEIGHTS = {"kernel", "bias", "embeddings", "gamma", "beta", "recurrent_kernel"}
OF_OPTIMIZER = ("lr", "learning_rate", "iterations")


class SettingNames(ExpressionRule):
    """Ask a layer for its settings as today.

    Before:
        from keras.layers import LSTM, Convolution2D
        rows = LSTM(4, inner_activation='sigmoid')
        image = Convolution2D(8, 3, 3, border_mode='same')
        print(rows.inner_activation, image.nb_filter, image.nb_row)
    After:
        from keras.layers import LSTM, Convolution2D
        rows = LSTM(4, recurrent_activation='sigmoid')
        image = Convolution2D(8, (3, 3), padding='same')
        print(rows.recurrent_activation, image.filters, image.kernel_size[0])
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        name = original.attr.value
        if name not in SETTINGS or not _of_keras(script, original):
            return None
        made = {script.names.full(one.func) for one in script.facts.flow.calls(original.value)}
        if name == "output_dim" and not made:
            said = "output_dim: write units; an Embedding has output_dim today as well"
            script.undecided(original, f"{script.code(original)}: {said}")
            return None
        if name == "output_dim" and "keras.layers.Embedding" in made:
            return None
        new, owner = SETTINGS[name], script.module.code_for_node(updated.value)
        is_set = original in script.facts.targets
        if is_set and (made & RECURRENT or "recurrent" in new or "[" in new):
            said = f"{script.code(original)}: Keras 3 cannot set it: pass "
            said += f"{new.partition('[')[0]}=… where the layer is made"
            script.undecided(original, said, always=True)
            return None
        script.change(original, script.code(original), f"{owner}.{new}", WHY)
        return cst.parse_expression(f"{owner}.{new}")


class SettingsByText(CallRule):
    """Ask for a setting of a layer whose name is a text.

    Before:
        from keras.layers import Convolution2D
        image = Convolution2D(8, 3, 3, border_mode='same')
        print(hasattr(image, 'nb_filter'), getattr(image, 'border_mode', None))
    After:
        from keras.layers import Convolution2D
        image = Convolution2D(8, (3, 3), padding='same')
        print(hasattr(image, 'filters'), getattr(image, 'padding', None))
    """

    names = ("hasattr", "getattr")

    def change(self, call):
        script = call.script
        if call.receiver is not None or len(call.positional) < 2:
            return
        if not is_layer(script, call.original.args[0].value):
            return
        given = call.original.args[1].value
        new = SETTINGS.get(literal(given) or "", "")
        if not new or new == "units" or f"self.{literal(given)}" in script.facts.assigned:
            return
        name = "hasattr" if dotted(call.original.func) == "hasattr" else "getattr"
        if "[" in new and name == "getattr":
            said = f"{script.code(call.original)}: write {new}"
            script.undecided(call.original, said)
            return
        made = given.with_changes(value=given.value.replace(literal(given), new.partition("[")[0]))
        call.put_positional(1, made)
        call.change(given.value, made.value, WHY)


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
    """Read and set variables without Theano.

    Before:
        from keras.layers import Dense
        first = Dense(2, init='uniform')
        first.build((None, 8))
        values = first.W.get_value()
        first.W.set_value(values)
        rate = model.optimizer.lr.get_value()
        kernels = [weight.get_value() for weight in model.trainable_weights]
    After:
        from keras.layers import Dense
        from keras import ops
        first = Dense(2, kernel_initializer='uniform')
        first.build((None, 8))
        values = ops.convert_to_numpy(first.kernel)
        first.kernel.assign(values)
        rate = ops.convert_to_numpy(model.optimizer.learning_rate)
        kernels = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    """

    methods = ("get_value", "set_value")

    def change(self, call):
        script, owner = call.script, call.receiver
        if owner is None or script.names.raw(owner) or not self._is_variable(script, owner):
            return
        if call.method == "set_value":
            call.call_instead("assign")
            call.change("set_value(", "assign(", "a variable of Keras 3")
            return
        ops = call.script.need("keras", "ops")
        inner = call.script.module.code_for_node(call.updated_receiver)
        call.replace(f"{ops}.convert_to_numpy({inner})")
        call.change("get_value()", f"{ops}.convert_to_numpy(…)", "a variable of Keras 3")

    def _is_variable(self, script, node):
        """Whether an expression is seen to be a weight, or a variable of an optimizer."""
        if isinstance(node, cst.Subscript):
            return _are_weights(script, node.value)
        if isinstance(node, cst.Name):
            over = script.facts.flow.loops_over(node)
            return bool(over) and all(_are_weights(script, one) for one in over)
        if not isinstance(node, cst.Attribute):
            return False
        if node.attr.value in OF_OPTIMIZER:
            is_one = dotted(node.value).endswith(".optimizer") or is_optimizer(script, node.value)
            return is_one and node not in script.facts.targets
        return of_a_layer(script, node) or (
            node.attr.value in NAMES_OF_WEIGHTS and is_layer(script, node.value)
        )


def _are_weights(script, node):
    """Whether an expression is the list of weights of a layer or a model."""
    if not isinstance(node, cst.Attribute) or node.attr.value not in LISTS:
        return False
    return is_layer(script, node.value) or script.facts.flow.means_model(node.value)


def _of_keras(script, node):
    """Whether an attribute is one of a layer that the script does not define."""
    name = node.attr.value
    if f"self.{name}" in script.facts.assigned or dotted(node.value) == "self":
        return False  # a class of the script's own has such an attribute
    return is_layer(script, node.value)


def of_a_layer(script, node: cst.Attribute) -> bool:
    """Whether an attribute is `W` or `b` of a layer that the script does not define."""
    if node.attr.value not in ORDER or node in script.facts.targets:
        return False
    return _of_keras(script, node)
