"""What `compile` fixed in Keras 1 and 2 and no longer fixes: optimizers, frozen models, losses."""

import libcst as cst

from ..calls import argument
from ..literals import literal
from ..names import dotted
from .base import CallRule, StatementRule
from .generators import of_a_model
from .sample_weights import outputs

OPTIMIZER = ("optimizer", 0)  # name and place of the argument of `compile`
ADD_LOSS = '''@{register}()
class AddedLoss({layer}):
    """Gives its first input back, and adds the second one to the loss."""

    def call(self, inputs):
        self.add_loss(inputs[1])
        return inputs[0]
'''
WITH_LOSS = '''def with_loss(model, loss):
    """The model with a loss that is computed from its own tensors: `add_loss` of Keras 2."""
    first, *others = model.outputs
    first = AddedLoss()([first, loss])
    return {model}(model.inputs, [first, *others] if others else first, name=model.name)
'''


class SharedOptimizer(CallRule):
    """Give each model an optimizer of its own.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Sequential
        from keras.optimizers import Adam
        one, two = Sequential([Input((2,)), Dense(1)]), Sequential([Input((2,)), Dense(1)])
        optimizer = Adam(lr=0.001)
        one.compile(loss='mse', optimizer=optimizer)
        two.compile(loss='mse', optimizer=optimizer)
    After:
        from keras.layers import Dense, Input
        from keras.models import Sequential
        from keras.optimizers import Adam
        one, two = Sequential([Input((2,)), Dense(1)]), Sequential([Input((2,)), Dense(1)])
        optimizer = Adam(learning_rate=0.001)
        one.compile(loss='mse', optimizer=optimizer)
        two.compile(loss='mse', optimizer=optimizer.from_config(optimizer.get_config()))
    """

    methods = ("compile",)

    def change(self, call):
        script, given = call.script, argument(call.original, *OPTIMIZER)
        if not isinstance(given, (cst.Name, cst.Attribute)) or not of_a_model(call):
            return
        made = [
            one
            for one in script.facts.flow.calls(given)
            if script.names.full(one.func).startswith(("keras.optimizers.", "tensorflow.train."))
        ]
        if not made:
            return
        key = self._key(script, given)
        same = [
            one
            for one in script.facts.calls
            if isinstance(one.func, cst.Attribute)
            and one.func.attr.value == "compile"
            and self._key(script, argument(one, *OPTIMIZER)) == key
        ]
        if len(same) < 2 or same[0] is call.original:
            return
        name = call.code(given)
        new = f"{name}.from_config({name}.get_config())"
        call.put_value(*OPTIMIZER, new)
        why = "Keras 3 keeps an optimizer to the variables of one model"
        call.change(f"optimizer={name}", new, why, certain=False)
        script.silent(
            call.original,
            f"the models that share {name} shared its count of steps as well, which Adam's first "
            "steps depend on; now each counts its own",
            of_change=True,
        )

    def _key(self, script, node):
        if isinstance(node, cst.Name):
            return script.binder(node), node.value
        return dotted(node) if isinstance(node, cst.Attribute) else None


class MetricsOfOutputs(CallRule):
    """Give each output of a model its metrics: Keras 2 gave all of them to every output.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,))
        model = Model(rows, [Dense(1, name='a')(rows), Dense(1, name='b')(rows)])
        model.compile('sgd', 'mse', metrics=['mae'])
    After:
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,))
        model = Model(rows, [Dense(1, name='a')(rows), Dense(1, name='b')(rows)])
        model.compile('sgd', 'mse', metrics=[['mae'], ['mae']])
    """

    methods = ("compile",)

    def change(self, call):
        given = call.keyword("metrics")
        if not isinstance(given, (cst.List, cst.Tuple)) or not of_a_model(call):
            return
        if not given.elements or any(literal(one.value) is None for one in given.elements):
            return  # objects are not shared, and lists in the list are one for each output
        made = call.script.facts.flow.calls(call.receiver)
        counts = {outputs(call.script, one) for one in made}
        if len(counts) != 1 or (count := counts.pop()) < 2:
            return
        code = call.code(given)
        new = f"[{', '.join([code] * count)}]"
        call.put("metrics", new)
        call.change(f"metrics={code}", f"metrics={new}", "each output has its own list")


class FrozenAfterCompile(CallRule):
    """Let a model learn that was frozen after its `compile`, as the discriminator of a GAN is.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model, Sequential
        judge = Sequential([Dense(1, init='uniform', input_shape=(8,))])
        judge.compile('sgd', 'mse')
        judge.trainable = False
        noise = Input((8,))
        both = Model(noise, judge(Dense(8)(noise)))
        both.compile('sgd', 'mse')
        judge.train_on_batch(x, y)
        both.train_on_batch(x, y)
    After:
        from keras.layers import Dense, Input
        from keras.models import Model, Sequential
        judge = Sequential([Input((8,)), Dense(1, kernel_initializer='uniform')])
        judge.compile('sgd', 'mse')
        judge.trainable = False
        noise = Input((8,))
        both = Model(noise, judge(Dense(8)(noise)))
        both.compile('sgd', 'mse')
        judge.trainable = True
        judge.train_on_batch(x, y)
        judge.trainable = False
        both.train_on_batch(x, y)
    """

    methods = ("train_on_batch",)

    def change(self, call):
        script, name = call.script, dotted(call.receiver)
        frozen = [one for one in script.facts.frozen if self._reaches(call, one)]
        trained = {
            dotted(one.func.value)
            for one in script.facts.calls
            if isinstance(one.func, cst.Attribute) and one.func.attr.value == "train_on_batch"
        }
        frozen = [one for one in frozen if one in trained]
        if not name or not frozen or trained <= set(frozen):
            return
        names = [name] if name in frozen else frozen
        lines = [f"{one}.trainable = {name in frozen}" for one in names]
        script.pending += [line for line in lines if line not in script.pending]
        call.change(
            f"{name}.train_on_batch(",
            f"{'; '.join(lines)} before it",
            "Keras 2 kept what was trainable at compile; today it counts at once",
            certain=False,
            behaviour=True,
        )

    def _reaches(self, call, name):
        root = call.receiver
        while isinstance(root, cst.Attribute):
            root = root.value
        if not isinstance(root, cst.Name):
            return False
        first = name.partition(".")[0]
        return first == root.value or call.script.names.defined(first, root)


class AddLoss(StatementRule):
    """Keep a loss that is computed from the tensors of a model.

    Before:
        from keras import backend as K
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,))
        code = Dense(2)(rows)
        network = Model(rows, Dense(8)(code))
        network.add_loss(K.mean(K.square(code)))
        network.compile('sgd')
        network.fit(x)
    After:
        from keras import backend as K
        from keras.layers import Dense, Input
        from keras.models import Model
        from keras import ops
        from keras.saving import register_keras_serializable
        from keras.layers import Layer
        @register_keras_serializable()
        class AddedLoss(Layer):
            ...
        def with_loss(model, loss):
            ...
        rows = Input((8,))
        code = Dense(2)(rows)
        network = Model(rows, Dense(8)(code))
        network = with_loss(network, ops.mean(ops.square(code)))
        network.compile('sgd')
        network.fit(x)
    """

    def statement(self, original, updated, script):
        if not isinstance(original, cst.Expr) or not isinstance(original.value, cst.Call):
            return None
        call, new = original.value, updated.value
        if not isinstance(call.func, cst.Attribute) or not isinstance(new, cst.Call):
            return None
        owner, method = call.func.value, call.func.attr.value
        if dotted(owner) not in script.facts.models or not script.facts.builds_functional:
            return None
        if method == "add_metric":
            script.change(original, script.code(call), "", "Keras 3 has no add_metric")
            script.undecided(original, "add_metric: the value is no longer logged")
            return []
        if method != "add_loss" or len(call.args) != 1 or not dotted(owner):
            return None
        if isinstance(call.args[0].value, cst.Lambda):
            return None
        if isinstance(owner, cst.Name) and not script.binds_here(owner):
            script.undecided(original, "add_loss: Keras 3 has it for layers only")
            return None
        names = {
            "register": script.need("keras.saving", "register_keras_serializable"),
            "layer": script.need("keras.layers", "Layer"),
            "model": script.need("keras.models", "Model"),
        }
        script.define("AddedLoss", ADD_LOSS.format(**names))
        script.define("with_loss", WITH_LOSS.format(**names))
        name = dotted(owner)
        loss = script.module.code_for_node(new.args[0].value)
        made = f"{name} = with_loss({name}, {loss})"
        script.change(
            original,
            f"{name}.add_loss(…)",
            f"{name} = with_loss({name}, …)",
            "a layer has it today",
        )
        return [cst.parse_statement(made).body[0]]


class WeightsOfLayers(CallRule):
    """Set the weights that a layer was given.

    Before:
        import numpy as np
        from keras.layers import Dense
        layer = Dense(2, weights=[np.ones((8, 2)), np.zeros(2)])
    After:
        import numpy as np
        from keras.layers import Dense
        from functools import wraps
        def with_weights(layer, weights):
            ...
        layer = with_weights(Dense(2), [np.ones((8, 2)), np.zeros(2)])
    """

    functions = ("keras.layers.",)
    helper = '''def with_weights(layer, weights):
    """The layer; its weights are set as soon as it has been built: `weights=` of Keras 2."""
    build = layer.build

    @{wraps}(build)
    def build_and_set(*arguments, **options):
        build(*arguments, **options)
        layer.set_weights(weights)

    layer.build = build_and_set
    return layer
'''

    def change(self, call):
        if call.full == "keras.layers.Embedding":
            return  # it still takes them
        weights = call.keyword("weights")
        if weights is None or call.code(weights) == "None":
            call.drop("weights", "None is the default")
            return
        wraps = call.script.need("functools", "wraps")
        call.script.define("with_weights", self.helper.format(wraps=wraps))
        call.remove(next(a for a in call.args if a.keyword and a.keyword.value == "weights"))
        inner = call.script.module.code_for_node(call.build())
        call.replace(f"with_weights({inner}, {call.code(weights)})")
        call.change("weights=…", "with_weights(…)", "layers take no weights")


class Pictures(CallRule):
    """Go on without a picture of the model where the program that draws it is missing.

    Before:
        from keras.utils import plot_model
        model.fit(x, y, nb_epoch=1)
        plot_model(model, to_file='model.png')
    After:
        from keras.utils import plot_model
        def plot_if_possible(*arguments, **options):
            ...
        model.fit(x, y, epochs=1)
        plot_if_possible(model, to_file='model.png')
    """

    functions = ("keras.utils.plot_model",)
    helper = '''def plot_if_possible(*arguments, **options):
    """`plot_model`, or a line that says why there is no picture."""
    try:
        return {plot}(*arguments, **options)
    except (ImportError, OSError) as error:
        print("No picture of the model:", error)
'''

    def change(self, call):
        plot = call.script.need("keras.utils", "plot_model")
        call.script.define("plot_if_possible", self.helper.format(plot=plot))
        call.func = cst.Name("plot_if_possible")
        call.change(
            "plot_model(",
            "plot_if_possible(",
            "it needs pydot and Graphviz: pip install pydot, and install Graphviz",
            certain=False,
        )
