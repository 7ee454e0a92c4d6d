"""Lines of callbacks, seeds and TensorFlow's checkpoints that run today and do something else."""

import re

import libcst as cst

from ..names import dotted
from .base import CallRule, ExpressionRule

PER_BATCH = {"on_batch_end", "on_train_batch_end"}
NOT_QUANTITIES = {"batch", "size"}


class BatchLogs(ExpressionRule):
    """Tell of quantities of a batch, which are means of the epoch so far today.

    Before:
        from keras.callbacks import Callback
        class Losses(Callback):
            def on_batch_end(self, batch, logs={}):
                print(logs.get('loss'))
        model.fit(x, y, nb_epoch=1, callbacks=[Losses()])
    After:
        from keras.callbacks import Callback
        class Losses(Callback):
            def on_batch_end(self, batch, logs={}):
                print(logs.get('loss'))
        model.fit(x, y, epochs=1, callbacks=[Losses()])
    """

    nodes = ("FunctionDef", "Call")
    said = (
        "{0}: a quantity in its logs is the mean of the epoch so far; until Keras 2.3 it was that "
        "of the batch, which is mean * (batch + 1) - mean_before * batch"
    )

    def expression(self, original, updated, script):
        if script.facts.keras_3:
            return
        if isinstance(original, cst.FunctionDef):
            self._method(original, script)
        elif script.names.full(original.func) == "keras.callbacks.LambdaCallback":
            for arg in original.args:
                name = arg.keyword.value if arg.keyword is not None else ""
                if name in PER_BATCH and isinstance(arg.value, cst.Lambda):
                    params = arg.value.params.params
                    if len(params) == 2 and _asks(script, arg.value.body, params[1].name.value):
                        script.silent(original, self.said.format(name))

    def _method(self, node, script):
        name, params = node.name.value, node.params.params
        owner = script.facts.own.methods_of_keras.get(node)
        if name not in PER_BATCH or owner is None or len(params) < 3:
            return
        bases = script.facts.own.bases[owner.name.value]
        is_callback = any("keras.callbacks." in base for base in bases)
        if is_callback and _asks(script, node.body, params[2].name.value):
            script.silent(node.name, self.said.format(name))


def _asks(script, body, logs):
    """Whether a quantity is taken from `logs`, or `logs` is kept or given away as a whole."""
    reading = _Reading(logs)
    body.visit(reading)
    return bool(reading.keys - NOT_QUANTITIES)


class _Reading(cst.CSTVisitor):
    """What code takes from the dictionary `logs`; `*` if it may be anything."""

    def __init__(self, logs):
        super().__init__()
        self.logs = logs
        self.keys = set()

    def _is_logs(self, node):
        return isinstance(node, cst.Name) and node.value == self.logs

    def _read(self, key):
        text = key.evaluated_value if isinstance(key, cst.SimpleString) else "*"
        self.keys.add(text)

    def visit_Name(self, node):
        if self._is_logs(node):
            self.keys.add("*")

    def visit_Subscript(self, node):
        if not self._is_logs(node.value):
            return True
        index = node.slice[0].slice
        self._read(index.value if isinstance(index, cst.Index) else None)
        return False

    def visit_Call(self, node):
        if not isinstance(node.func, cst.Attribute):
            return True
        if self._is_logs(node.func.value) and node.func.attr.value == "get" and node.args:
            self._read(node.args[0].value)
            return False
        return node.func.attr.value not in PER_BATCH  # `super()` gets them as they are

    def visit_Attribute(self, node):
        if not (self._is_logs(node.value) and node.attr.value == "keys"):
            node.value.visit(self)
        return False

    def visit_Arg(self, node):
        node.value.visit(self)
        return False

    def visit_Assign(self, node):  # `logs = logs or {}` reads nothing
        return not any(self._is_logs(target.target) for target in node.targets)

    def visit_Comparison(self, node):  # `logs is None`, `"size" in logs`
        return not any(self._is_logs(side) for side in (node.left, node.comparisons[0].comparator))

    def visit_If(self, node):
        for part in (node.test, node.body, node.orelse):
            if part is not None and not self._is_logs(part):
                part.visit(self)
        return False


class SeedOfTensorFlow(CallRule):
    """Tell of a seed that does not reach the weights of Keras 3.

    Before:
        import tensorflow as tf
        tf.random.set_seed(7)
        model.fit(x, y, nb_epoch=1)
    After:
        import tensorflow as tf
        tf.random.set_seed(7)
        model.fit(x, y, epochs=1)
    """

    functions = ("tensorflow.random.set_seed", "tensorflow.set_random_seed")

    def change(self, call):
        script = call.script
        seeded = {"keras.utils.set_random_seed", "numpy.random.seed"} & script.facts.called
        if script.uses_keras and not seeded:
            said = "this does not seed the weights of Keras 3: keras.utils.set_random_seed does"
            script.silent(call.original, said)


class LossOverInputs(CallRule):
    """Tell of a loss that is made of an input of the model.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model
        rows, factors = Input((8,)), Input((1,))
        def weighted(factor):
            def loss(y_true, y_pred):
                return factor * (y_true - y_pred)
            return loss
        net = Model(input=[rows, factors], output=Dense(1)(rows))
        net.compile('sgd', loss=weighted(factors))
    After:
        from keras.layers import Dense, Input
        from keras.models import Model
        from keras import ops
        def targets_of_keras_2(y_true, y_pred):
            ...
        rows, factors = Input((8,)), Input((1,))
        def weighted(factor):
            def loss(y_true, y_pred):
                y_true = targets_of_keras_2(y_true, y_pred)
                return factor * (y_true - y_pred)
            return loss
        net = Model(inputs=[rows, factors], outputs=Dense(1)(rows))
        net.compile('sgd', loss=weighted(factors))
    """

    methods = ("compile",)

    def change(self, call):
        script, loss = call.script, call.value("loss", 1)
        if call.receiver is None or not isinstance(loss, cst.Call):
            return
        if dotted(loss.func).rpartition(".")[2] not in script.facts.parameters:
            return
        for arg in loss.args:
            made = {script.names.full(one.func) for one in script.facts.flow.calls(arg.value)}
            if made & {"keras.Input", "keras.layers.Input"}:
                name = script.code(arg.value)
                said = f"{script.code(loss)}: Keras 3 computes a loss apart from the inputs, so "
                said += f"{name} is no number in it: give it to fit as a column of y and take it "
                said += "from y_true, or as sample_weight if it is a factor of each row"
                script.undecided(call.original, said, always=True)


class TrackedByTensorFlow(CallRule):
    """Tell of layers that a checkpoint of TensorFlow does not keep.

    Before:
        import tensorflow as tf
        from keras.layers import Dense, Layer
        class Several(Layer):
            def __init__(self):
                super().__init__()
                self.parts = [Dense(2, init='uniform')]
        saver = lambda: tf.train.Checkpoint(net=Several())
    After:
        import tensorflow as tf
        from keras.layers import Dense, Layer
        class Several(Layer):
            def __init__(self):
                super().__init__()
                self.parts = [Dense(2, kernel_initializer='uniform')]
        saver = lambda: tf.train.Checkpoint(net=Several())
    """

    functions = ("tensorflow.train.Checkpoint",)

    def change(self, call):
        script = call.script
        own = any(script.facts.own.of_keras.values())
        if own or "keras.layers.RNN" in script.facts.called:
            script.silent(
                call.original,
                "tf.train.Checkpoint: of a layer or a model that is a class of your own it does "
                "not keep layers in a list or a dictionary, and assert_consumed says nothing: "
                "use save_weights and load_weights, or set each layer as an attribute",
            )


class ColumnsOfLogs(CallRule):
    """Tell of columns that a file of logs has under another name.

    Before:
        import csv
        from keras.callbacks import CSVLogger
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, nb_epoch=1, callbacks=[CSVLogger('log.csv')])
        scores = lambda: [row['acc'] for row in csv.DictReader(open('log.csv'))]
    After:
        import csv
        from keras.callbacks import CSVLogger
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, epochs=1, callbacks=[CSVLogger('log.csv')])
        scores = lambda: [row['acc'] for row in csv.DictReader(open('log.csv'))]
    """

    functions = ("keras.callbacks.CSVLogger",)

    def change(self, call):
        script = call.script
        read = re.findall(r"\[\s*['\"]((?:val_)?acc|lr)['\"]\s*\]", script.source.text)
        renamed = {"lr": "learning_rate"}
        if "acc" not in script.metrics:
            renamed |= {"acc": "accuracy", "val_acc": "val_accuracy"}
        names = sorted({name for name in read if name in renamed})
        if names and not script.facts.keras_3:
            pairs = ", ".join(f"{name!r} is {renamed[name]!r}" for name in names)
            said = f"a column of this file has another name today: {pairs}"
            script.silent(call.original, said)
