"""Optimizers, their defaults, and the names of losses."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..origins import is_optimizer
from .base import CallRule, ExpressionRule

CLASSES = ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "AdamW", "Ftrl")
# The learning rates of Keras 1 and 2.
OLD_RATES = {
    "SGD": "0.01",
    "Adam": "0.001",
    "RMSprop": "0.001",
    "Adagrad": "0.01",
    "Adadelta": "1.0",
    "Adamax": "0.002",
    "Nadam": "0.002",
}
ADAGRAD = ", initial_accumulator_value=0.0, epsilon=1e-14"
CHANGED_RATES = ("Adagrad", "Adadelta", "Adamax", "Nadam")
# The order of the arguments in Keras 1 and 2, where it is another one today.
OLD_ORDER = {
    "SGD": ["learning_rate", "momentum", "decay", "nesterov"],
    "RMSprop": ["learning_rate", "rho", "epsilon", "decay"],
    "Adam": ["learning_rate", "beta_1", "beta_2", "epsilon", "decay", "amsgrad"],
    "Adagrad": ["learning_rate", "epsilon", "decay"],
    "Adadelta": ["learning_rate", "rho", "epsilon", "decay"],
    "Adamax": ["learning_rate", "beta_1", "beta_2", "epsilon", "decay"],
    "Nadam": ["learning_rate", "beta_1", "beta_2", "epsilon", "schedule_decay"],
}
SAFE = {"SGD": 2, "RMSprop": 2, "Adam": 4, "Adagrad": 1, "Adadelta": 3, "Adamax": 4, "Nadam": 4}


class OptimizerArguments(CallRule):
    """Name the learning rate as today, and keep its decay.

    Before:
        from keras.optimizers import SGD, Adam
        slow = Adam(lr=0.0001)
        decaying = SGD(lr=0.1, decay=1e-4, momentum=0.9)
    After:
        from keras.optimizers import SGD, Adam
        from keras.optimizers.schedules import InverseTimeDecay
        slow = Adam(learning_rate=0.0001)
        decaying = SGD(learning_rate=InverseTimeDecay(0.1, 1, 1e-4), momentum=0.9)
    """

    functions = tuple(f"keras.optimizers.{name}" for name in CLASSES)

    def change(self, call):
        name = call.full.rpartition(".")[2]
        why = "its name in Keras 3"
        positional = len(call.positional)
        if positional > SAFE.get(name, 9) and not call.starred:
            call.name_positional(OLD_ORDER[name], 1)
            call.change("positional arguments", "named ones", "the order is another one in Keras 3")
        call.rename("lr", "learning_rate", why)
        epsilon = call.keyword("epsilon")
        if epsilon is not None and call.code(epsilon) == "None":
            call.drop("epsilon", "None is not a number")
        call.drop("schedule_decay", "Keras 3 has no such argument")
        self._decay(call, name)

    def _decay(self, call, name):
        decay = call.keyword("decay")
        if decay is None:
            return
        text = call.code(decay)
        if text in ("0", "0.", "0.0", "None"):
            call.drop("decay", "nothing decays with it")
            return
        if call.script.facts.changes_rate:
            call.drop("decay", "Keras 3 would ignore it")
            call.script.silent(
                call.original,
                f"decay={text} is left out: another line sets the learning rate, and a schedule "
                "does not allow that",
            )
            return
        rate = call.value("learning_rate", 0)
        rate = OLD_RATES.get(name, "0.001") if rate is None else call.code(rate)
        schedule = call.script.need("keras.optimizers.schedules", "InverseTimeDecay")
        call.remove(next(a for a in call.args if a.keyword and a.keyword.value == "decay"))
        new = f"{schedule}({rate}, 1, {text})"
        call.put_value("learning_rate", 0, new)
        call.change(f"decay={text}", new, "decay is ignored; this is what Keras 2 computed")


class Minimize(CallRule):
    """Take one step of an optimizer, which Keras 3 has no method for.

    Before:
        import keras
        import tensorflow as tf
        from keras.optimizers import SGD
        weight = keras.Variable([1.0])
        optimizer = SGD(lr=0.1)
        step = lambda: optimizer.minimize(lambda: tf.reduce_sum(weight), var_list=[weight])
    After:
        import keras
        import tensorflow as tf
        from keras.optimizers import SGD
        def minimize_loss(optimizer, loss, variables):
            ...
        weight = keras.Variable([1.0])
        optimizer = SGD(learning_rate=0.1)
        step = lambda: minimize_loss(optimizer, lambda: tf.reduce_sum(weight), [weight])
    """

    methods = ("minimize",)
    helper = '''def minimize_loss(optimizer, loss, variables):
    """One step of an optimizer: `minimize` of Keras 2."""
    variables = list(variables() if callable(variables) else variables)
    with {tf}.GradientTape() as tape:
        value = loss()
    optimizer.apply_gradients(zip(tape.gradient(value, variables), variables))
'''

    def change(self, call):
        script = call.script
        owner = call.receiver
        made = [owner] if isinstance(owner, cst.Call) else script.facts.flow.values(owner)
        if not made or not all(self._is_optimizer(script, one) for one in made):
            return
        loss, variables = call.value("loss", 0), call.value("var_list", 1)
        callable_loss = isinstance(loss, cst.Lambda) or (
            isinstance(loss, cst.Name) and loss.value in script.facts.parameters
        )
        if not callable_loss or variables is None or len(call.args) > 2:
            script.undecided(
                call.original,
                "minimize: Keras 3 has no such method; compute the gradients with "
                "tf.GradientTape and write optimizer.apply_gradients(zip(gradients, variables))",
                always=True,
            )
            return
        tensorflow = script.need_module("tensorflow")
        script.define("minimize_loss", self.helper.format(tf=tensorflow))
        code = script.module.code_for_node
        inside = f"{code(call.updated_receiver)}, {code(loss)}, {code(variables)}"
        call.replace(f"minimize_loss({inside})")
        call.change("minimize(", "minimize_loss(", "optimizers have no such method")

    def _is_optimizer(self, script, node):
        if not isinstance(node, cst.Call):
            return False
        full = script.names.full(node.func)
        return full.startswith("keras.optimizers.") or (
            full.startswith("tensorflow.train.") and full.endswith("Optimizer")
        )


class OldDefaults(CallRule):
    """Keep the learning rate that an optimizer had by default.

    Before:
        from keras.optimizers import Adadelta
        optimizer = Adadelta()
        from keras.optimizers import Adam
        other = Adam(lr=0.001)
    After:
        from keras.optimizers import Adadelta
        optimizer = Adadelta(learning_rate=1.0)
        from keras.optimizers import Adam
        other = Adam(learning_rate=0.001)
    """

    functions = tuple(f"keras.optimizers.{name}" for name in CHANGED_RATES)
    methods = ("compile",)

    def change(self, call):
        script = call.script
        if call.full.startswith("keras.optimizers."):
            name = call.full.rpartition(".")[2]
            if script.names.raw(call.original.func).startswith("tensorflow") or call.starred:
                return
            if call.value("learning_rate", 0) is None:
                call.put("learning_rate", OLD_RATES[name])
                call.change(
                    f"{name}()",
                    f"{name}(learning_rate={OLD_RATES[name]})",
                    "the default was this; today it is 0.001",
                    certain=False,
                    behaviour=True,
                )
            return
        if call.method != "compile":
            return
        given = call.value("optimizer", 0)
        text = literal(given)
        for name in CHANGED_RATES:
            if text == name.lower() and not script.uses_tensorflow_keras:
                begins = ADAGRAD if name == "Adagrad" else ""
                made = script.need("keras.optimizers", name)
                made += f"(learning_rate={OLD_RATES[name]}{begins})"
                call.put_value("optimizer", 0, made)
                call.change(
                    repr(text),
                    made,
                    "the default rate was this; today it is 0.001",
                    certain=False,
                    behaviour=True,
                )


class LearningRateAttribute(ExpressionRule):
    """Read and set the learning rate by its name of today.

    Before:
        rate = model.optimizer.lr
    After:
        rate = model.optimizer.learning_rate
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        if original.attr.value != "lr":
            return None
        owner = dotted(original.value)
        if not self._of_an_optimizer(script, original.value):
            unseen = not script.facts.flow.values(original.value)
            if owner == "optimizer" and unseen and "torch" not in script.source.text:
                said = "optimizer.lr: if this is an optimizer of Keras, write learning_rate; an "
                said += "assignment to .lr does nothing today, without an error"
                script.undecided(original, said, always=True)
            return None
        script.change(original, f"{owner}.lr", f"{owner}.learning_rate", "its name in Keras 3")
        return updated.with_changes(attr=cst.Name("learning_rate"))

    def _of_an_optimizer(self, script, node):
        """Whether something is an optimizer, or is called one and is not the script's own."""
        if is_optimizer(script, node):
            return True
        own = script.facts.flow.set_by_classes("optimizer")
        own = [] if script.facts.flow.means_model(getattr(node, "value", node)) else own
        others = [one for one in own if not is_optimizer(script, one)]
        return dotted(node).endswith(".optimizer") and not (own and len(others) == len(own))
