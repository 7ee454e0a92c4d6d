"""The weights and the settings of a layer by the names of Keras 1."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..origins import is_layer, is_optimizer
from .base import CallRule, ExpressionRule
from .layers import RENAMED

WHY = "its name since Keras 2"
ORDER = ("W", "b")
DENSE_LIKE = ("keras.layers.Dense", "keras.layers.Conv")
SEPARABLE = {"keras.layers.SeparableConv2D", "keras.layers.SeparableConvolution2D"}

# Arguments of Keras 1 that no attribute of a layer had, or that mean something else there.
NO_SETTINGS = {"init", "bias", "beta_init", "gamma_init", "input_dtype"}
# Keras 1 -> today.
SETTINGS = {old: new for old, new in RENAMED.items() if old not in NO_SETTINGS} | {
    "nb_row": "kernel_size[0]",
    "nb_col": "kernel_size[1]",
    "filter_length": "kernel_size[0]",
    "subsample_length": "strides[0]",
    "pool_length": "pool_size[0]",
    "stride": "strides[0]",
}
RECURRENT = {f"keras.layers.{name}" for name in ("LSTM", "GRU", "SimpleRNN")}
# What gives lists of weights; names of weights; variables of an optimizer.
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
        made = _classes(script, original.value)
        if "keras.layers.TimeDistributedDense" in made:
            said = "the layer is inside of a TimeDistributed today: ask .layer for it"
            script.undecided(original, f"{script.code(original)}: {said}", always=True)
            return None
        if name in ("atrous_rate", "subsample") and not made:
            said = f"write {SETTINGS[name]}, which is a tuple for every convolution"
            script.undecided(original, f"{script.code(original)}: {said}")
            return None
        if name == "output_dim" and not made:
            said = "output_dim: write units; an Embedding has output_dim today as well"
            script.undecided(original, f"{script.code(original)}: {said}")
            return None
        if name == "output_dim" and "keras.layers.Embedding" in made:
            return None
        new, owner = SETTINGS[name], script.module.code_for_node(updated.value)
        if name == "atrous_rate" and all("1D" in one for one in made):
            new = "dilation_rate[0]"
        is_set = original in script.facts.targets
        if is_set and (not made or made & RECURRENT or "recurrent" in new or "[" in new):
            said = f"{script.code(original)}: Keras 3 cannot set it: pass "
            said += f"{new.partition('[')[0]}=… where the layer is made"
            script.undecided(original, said, always=True)
            return None
        code = f"{owner}.{new}"
        script.change(original, script.code(original), code, WHY, certain=bool(made))
        return cst.parse_expression(code)


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

    names = ("hasattr", "getattr", "setattr")

    def change(self, call):
        script = call.script
        if call.receiver is not None or len(call.positional) < 2:
            return
        layer, given = (arg.value for arg in call.original.args[:2])
        name = literal(given) or ""
        asks = dotted(call.original.func)
        if name not in (*SETTINGS, *ORDER) or not isinstance(given, cst.SimpleString):
            return
        if not is_layer(script, layer) or not _is_free(script, layer, name):
            return
        made = _classes(script, layer)
        new = _weight(name, made) if name in ORDER else SETTINGS[name]
        if asks == "hasattr" and name in SETTINGS and new is not None:
            new = new.partition("[")[0]
        plain = new is not None and "[" not in new and not (name == "W" and not made)
        if (
            not plain
            or name == "output_dim"
            or (asks == "setattr" and (not made or made & RECURRENT))
        ):
            said = f"{name} is {new or 'gone'} today"
            if name == "W" and not made:
                said = "W is kernel today, embeddings in an Embedding"
            script.undecided(
                call.original, f"{script.code(call.original)}: {said}", always=bool(made)
            )
            return
        text = given.with_changes(value=given.value.replace(name, new))
        call.put_positional(1, text)
        call.change(given.value, text.value, WHY, certain=bool(made))


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
        made = _classes(script, original.value)
        owner = script.module.code_for_node(updated.value)
        new = _weight(original.attr.value, made)
        if new is None or original in script.facts.targets:
            said = f"{script.code(original)}: layers have no such weight today; see layer.weights, "
            said += "and set one with layer.weights[i].assign(…)"
            script.undecided(original, said, always=bool(made))
            return None
        script.change(original, script.code(original), f"{owner}.{new}", WHY, certain=bool(made))
        return cst.parse_expression(f"{owner}.{new}")


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
        call.drop("borrow", "there is nothing to borrow")
        if call.method == "set_value":
            call.call_instead("assign")
            call.change("set_value(", "assign(", "a variable of Keras 3")
            return
        ops = call.script.need("keras", "ops")
        inner = call.script.module.code_for_node(call.updated_receiver)
        call.replace(f"{ops}.convert_to_numpy({inner})")
        call.change("get_value()", f"{ops}.convert_to_numpy(…)", "a variable of Keras 3")

    def _is_variable(self, script, node, depth=0):
        """Whether an expression is seen to be a weight, or a variable of an optimizer."""
        flow = script.facts.flow
        if isinstance(node, cst.Subscript):
            return _are_weights(script, node.value)
        if isinstance(node, cst.Name) and depth < 4:
            found = [_are_weights(script, one) for one in flow.loops_over(node)]
            found += [self._is_variable(script, one, depth + 1) for one in flow.values(node)]
            return bool(found) and all(found)
        if not isinstance(node, cst.Attribute):
            return False
        if node.attr.value in OF_OPTIMIZER:
            return is_optimizer(script, node.value) and node not in script.facts.targets
        return of_a_layer(script, node) or (
            node.attr.value in NAMES_OF_WEIGHTS and is_layer(script, node.value)
        )


def _are_weights(script, node):
    """Whether an expression is the list of weights of a layer or a model, or a slice of it."""
    if isinstance(node, cst.Subscript) and isinstance(node.slice[0].slice, cst.Slice):
        return _are_weights(script, node.value)
    if not isinstance(node, cst.Attribute) or node.attr.value not in LISTS:
        return False
    return is_layer(script, node.value) or script.facts.flow.means_model(node.value)


def of_a_layer(script, node: cst.Attribute) -> bool:
    """Whether an attribute is `W` or `b` of a layer that the script does not define."""
    return node.attr.value in ORDER and _of_keras(script, node)


def _of_keras(script, node):
    """Whether an attribute is one of a layer that the script does not define."""
    if dotted(node.value) == "self":
        return False
    return is_layer(script, node.value) and _is_free(script, node.value, node.attr.value)


def _is_free(script, layer, name):
    """Whether no class of the script, or of one beside it, may mean an attribute."""
    return bool(_classes(script, layer)) or name not in script.foreign_words


def _classes(script, node):
    """The full names of the classes of Keras that a layer is seen to be made of."""
    flow = script.facts.flow
    if isinstance(node, cst.Name) and flow.loops_over(node):
        return set()
    made = {script.names.full(one.func) for one in flow.calls(node)}
    return made if made and all(one.startswith("keras.layers.") for one in made) else set()


def _weight(name, made):
    """Today's attribute for `W` or `b` of layers of these classes; None if there is none."""
    if made == {"keras.layers.Embedding"}:
        return {"W": "embeddings"}.get(name)
    if made and all(one.startswith(DENSE_LIKE) for one in made):
        return {"W": "kernel", "b": "bias"}[name]
    if made == {"keras.layers.SimpleRNN"}:
        return {"W": "weights[0]", "b": "weights[-1]"}[name]
    if made:
        return "bias" if name == "b" and made <= SEPARABLE else None
    return {"W": "weights[0]", "b": "bias"}[name]
