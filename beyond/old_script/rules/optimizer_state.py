"""What optimizers were asked for: their weights, their settings, gradients."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..origins import is_optimizer
from .base import CallRule, ExpressionRule

TAPE = "compute the gradients with tf.GradientTape and pass them to apply_gradients"
SETTINGS = "read and set its attributes: learning_rate, momentum, beta_1"
GONE_METHODS = {
    "get_gradients": TAPE,
    "get_updates": TAPE,
    "compute_gradients": TAPE,
    "_get_hyper": SETTINGS,
    "_set_hyper": SETTINGS,
    "get_slot": "its variables are in the list optimizer.variables",
    "set_weights": "call build(model.trainable_variables) first if the optimizer has trained "
    "nothing yet; a list of Keras 1 or 2 does not fit: today's holds the learning rate as well",
}
GONE_SETTINGS = {"decay", "initial_decay"}


class OptimizerMethods(CallRule):
    """Ask an optimizer for its weights and its learning rate as today.

    Before:
        from keras.optimizers import Adam
        optimizer = Adam(lr=0.1)
        state = optimizer.get_weights()
        rate = optimizer._decayed_lr('float32')
        count = len(optimizer.variables())
    After:
        from keras.optimizers import Adam
        from keras import ops
        optimizer = Adam(learning_rate=0.1)
        state = [ops.convert_to_numpy(one) for one in optimizer.variables]
        rate = optimizer.learning_rate
        count = len(optimizer.variables)
    """

    methods = ("get_weights", "variables", "_decayed_lr", *GONE_METHODS)

    def change(self, call):
        script = call.script
        if call.receiver is None or not is_optimizer(script, call.receiver):
            return
        owner = script.module.code_for_node(call.updated_receiver)
        if call.method in GONE_METHODS:
            what = f"{call.code(call.receiver)}.{call.method}"
            if call.method == "set_weights":
                script.undecided(call.original, f"{what}: {GONE_METHODS[call.method]}")
            else:
                said = f"{what}: optimizers of Keras 3 have no such method: "
                script.undecided(call.original, said + GONE_METHODS[call.method], always=True)
            return
        made = f"{owner}.learning_rate" if call.method == "_decayed_lr" else f"{owner}.variables"
        if call.method == "get_weights":
            ops = script.need("keras", "ops")
            made = f"[{ops}.convert_to_numpy(one) for one in {owner}.variables]"
        call.replace(made)
        call.change(f"{call.code(call.receiver)}.{call.method}(", made, "its name in Keras 3")


class OptimizerSettings(ExpressionRule):
    """Ask an optimizer for its settings by their names of today.

    Before:
        rate = model.optimizer.get_config()['lr']
        count = len(model.optimizer.weights)
    After:
        rate = model.optimizer.get_config()['learning_rate']
        count = len(model.optimizer.variables)
    """

    nodes = ("Subscript", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            return self._attribute(original, updated, script)
        key = original.slice[0].slice if len(original.slice) == 1 else None
        name = literal(key.value) if isinstance(key, cst.Index) else None
        if name not in ("lr", "decay") or not self._is_config(script, original.value):
            return None
        if name == "decay":
            self._gone(original, "get_config()['decay']", script)
            return None
        value = key.value
        new = value.with_changes(value=value.value.replace("lr", "learning_rate"))
        script.change(original, value.value, new.value, "its name in Keras 3")
        return updated.with_changes(slice=[updated.slice[0].with_changes(slice=cst.Index(new))])

    def _is_config(self, script, node):
        made = script.facts.flow.calls(node)
        return bool(made) and all(
            isinstance(one.func, cst.Attribute)
            and one.func.attr.value == "get_config"
            and is_optimizer(script, one.func.value)
            for one in made
        )

    def _attribute(self, original, updated, script):
        name = original.attr.value
        if name != "weights" and name not in GONE_SETTINGS:
            return None
        if not is_optimizer(script, original.value):
            return None
        if name in GONE_SETTINGS:
            self._gone(original, f"{dotted(original.value)}.{name}", script)
            return None
        code = script.code(original)
        script.change(original, code, f"{dotted(original.value)}.variables", "its name in Keras 3")
        return updated.with_changes(attr=cst.Name("variables"))

    def _gone(self, place, what, script):
        said = "optimizers of Keras 3 have no decay; InverseTimeDecay as the learning rate has its "
        script.undecided(place, f"{what}: {said}place", always=True)


class MixedPrecision(CallRule):
    """Compute in 16 bits by a policy; the optimizer stays as it is.

    Before:
        import keras
        import tensorflow as tf
        optimizer = keras.optimizers.SGD(lr=0.1)
        optimizer = tf.train.experimental.enable_mixed_precision_graph_rewrite(optimizer)
    After:
        import keras
        import tensorflow as tf
        optimizer = keras.optimizers.SGD(learning_rate=0.1)
        optimizer = optimizer
    """

    functions = (
        "tensorflow.train.experimental.enable_mixed_precision_graph_rewrite",
        "tensorflow.compat.v1.train.experimental.enable_mixed_precision_graph_rewrite",
        "tensorflow.compat.v1.mixed_precision.enable_mixed_precision_graph_rewrite",
        "tensorflow.mixed_precision.enable_mixed_precision_graph_rewrite",
    )

    def change(self, call):
        given = call.value("opt", 0)
        if given is None or call.starred:
            return
        call.replace(call.script.module.code_for_node(given))
        name = "enable_mixed_precision_graph_rewrite"
        call.change(f"{name}(…)", call.code(given), "it knows no optimizer of Keras 3")
        said = "to compute in 16 bits, call keras.mixed_precision.set_global_policy"
        said += "('mixed_float16') before the first layer is made"
        call.script.undecided(call.original, said)
