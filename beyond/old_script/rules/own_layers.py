"""Layers and callbacks of the script's own, as Keras 1 had them."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from .base import CallRule, ExpressionRule, StatementRule

MADE = {"keras.backend.zeros": "'zeros'", "keras.backend.ones": "'ones'"}
GONE_LOGS = {"size", "batch"}
GONE_PARAMS = {"samples", "metrics", "do_validation", "batch_size", "nb_sample"}


class OutputShapes(ExpressionRule):
    """Tell the shape of a layer's output by the name of today.

    Before:
        from keras.engine.topology import Layer
        class Twice(Layer):
            def call(self, inputs):
                return inputs * 2
            def get_output_shape_for(self, input_shape):
                return input_shape
    After:
        from keras.layers import Layer
        class Twice(Layer):
            def call(self, inputs):
                return inputs * 2
            def compute_output_shape(self, input_shape):
                return input_shape
    """

    nodes = ("FunctionDef",)

    def expression(self, original, updated, script):
        if original.name.value != "get_output_shape_for":
            return None
        if original not in script.facts.own.methods_of_keras:
            return None
        script.change(original, "get_output_shape_for", "compute_output_shape", "since Keras 2")
        return updated.with_changes(name=cst.Name("compute_output_shape"))


class MergeFunctions(ExpressionRule):
    """Merge in `call`: the base class of the layers that merge is Keras's own today.

    Before:
        from keras.layers.merge import _Merge
        class Halfway(_Merge):
            def _merge_function(self, inputs):
                return (inputs[0] + inputs[1]) / 2
        middle = Halfway()([x, x])
    After:
        from keras.layers import Layer as _Merge
        class Halfway(_Merge):
            def call(self, inputs):
                return (inputs[0] + inputs[1]) / 2
        middle = Halfway()([x, x])
    """

    nodes = ("FunctionDef",)

    def expression(self, original, updated, script):
        owner = script.facts.own.methods_of_keras.get(original)
        if original.name.value != "_merge_function" or owner is None:
            return None
        bases = {script.names.raw(base.value).rpartition(".")[2] for base in owner.bases}
        names = {one.name.value for one in owner.body.body if isinstance(one, cst.FunctionDef)}
        if "_Merge" not in bases or "call" in names:
            return None
        script.change(original, "_merge_function", "call", "a plain layer computes in call")
        return updated.with_changes(name=cst.Name("call"))


class AddWeight(CallRule):
    """Name what `add_weight` is given; its order is another one in each version of Keras.

    Before:
        from keras.engine.topology import Layer
        class Scale(Layer):
            def build(self, input_shape):
                self.scale = self.add_weight('scale', (input_shape[-1],), initializer='ones')
            def call(self, inputs):
                return inputs * self.scale
        Scale()(x)
    After:
        from keras.layers import Layer
        class Scale(Layer):
            def build(self, input_shape):
                self.scale = self.add_weight(name='scale', shape=(input_shape[-1],), initializer='ones')
            def call(self, inputs):
                return inputs * self.scale
        Scale()(x)
    """  # noqa: E501

    methods = ("add_weight",)
    keras_1 = ("shape", "initializer", "name", "trainable", "regularizer", "constraint")
    keras_2 = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")

    def change(self, call):
        if dotted(call.receiver) != "self" or not call.positional or call.starred:
            return
        first = call.original.args[0].value
        code = call.code(first)
        named = literal(first) is not None or isinstance(first, cst.FormattedString)
        named = named or ".format(" in code or code.endswith("name")
        if not named and (len(call.positional) < 3 or call.script.facts.keras_3):
            return
        count = len(call.positional)
        call.name_positional(list(self.keras_2 if named else self.keras_1), 0)
        given = [arg.keyword.value for arg in call.args[:count]]
        call.change(
            f"add_weight({code}, …)",
            f"add_weight({given[0]}={code}, …)",
            "the order is another one in Keras 3",
        )


class WeightsByHand(StatementRule):
    """Make the weights of a layer with `add_weight`; a list of variables no longer does.

    Before:
        from keras import backend as K
        from keras import initializations
        from keras.engine.topology import Layer
        class Linear(Layer):
            def __init__(self, width, **options):
                self.init = initializations.get('glorot_uniform')
                self.width = width
                super(Linear, self).__init__(**options)
            def build(self, input_shape):
                self.W = self.init((input_shape[1], self.width), name='W')
                self.b = K.zeros((self.width,))
                self.trainable_weights = [self.W, self.b]
            def call(self, inputs):
                return K.dot(inputs, self.W) + self.b
        Linear(3)(x)
    After:
        from keras import backend as K
        from keras import initializers as initializations
        from keras.layers import Layer
        from keras import ops
        class Linear(Layer):
            def __init__(self, width, **options):
                self.init = initializations.get('glorot_uniform')
                self.width = width
                super(Linear, self).__init__(**options)
            def build(self, input_shape):
                self.W = self.add_weight(shape=(input_shape[1], self.width), initializer=self.init, name='W')
                self.b = self.add_weight(shape=(self.width,), initializer='zeros', name='b')
            def call(self, inputs):
                return ops.dot(inputs, self.W) + self.b
        Linear(3)(x)
    """  # noqa: E501

    def statement(self, original, updated, script):
        if not isinstance(original, cst.Assign) or original not in script.facts.own.assigned:
            return None
        target = dotted(original.targets[0].target)
        if target in ("self.trainable_weights", "self._trainable_weights") or target in (
            "self.non_trainable_weights",
            "self._non_trainable_weights",
        ):
            return self._listed(original, target, script)
        if not target.startswith("self.") or not isinstance(original.value, cst.Call):
            return None
        made = self._made(original.value, updated.value, target, script)
        if made is None:
            return None
        script.change(original, script.code(original.value), made, "layers keep no other variables")
        return [updated.with_changes(value=cst.parse_expression(made))]

    def _listed(self, original, target, script):
        script.change(original, script.code(original), "", "add_weight keeps the weights")
        for element in getattr(original.value, "elements", ()):
            values = script.facts.flow.values(element.value)
            values = [value for value in values if script.code(value) != "None"]
            if any(self._kind(value, script) is None for value in values):
                script.undecided(
                    original,
                    f"{script.code(element.value)}: make it with self.add_weight, so that the "
                    "layer trains and saves it",
                )
        return []

    def _kind(self, value, script):
        """The initializer, as code, with which a call made a variable."""
        if not isinstance(value, cst.Call):
            return None
        if dotted(value.func) == "self.add_weight":
            return ""
        full = script.names.full(value.func)
        if full in MADE:
            return MADE[full]
        made_by = script.facts.flow.values(value.func)
        if made_by and all(
            isinstance(one, cst.Call) and script.names.full(one.func) == "keras.initializers.get"
            for one in made_by
        ):
            return script.code(value.func)
        return None

    def _made(self, value, updated, target, script):
        kind = self._kind(value, script)
        if not kind or not value.args or target not in script.facts.own.listed_weights:
            return None
        name = target.removeprefix("self.")
        for arg in value.args:
            if arg.keyword is not None and arg.keyword.value == "name":
                name = script.code(arg.value)
                break
        else:
            name = repr(name)
        shape = script.module.code_for_node(updated.args[0].value)
        return f"self.add_weight(shape={shape}, initializer={kind}, name={name})"


class LossesOfLayers(CallRule):
    """Add a loss in a layer without saying of which inputs it is.

    Before:
        from keras.layers import Layer
        class Small(Layer):
            def call(self, inputs):
                self.add_loss(inputs[0, 0], inputs=inputs)
                return inputs
        Small()(x)
    After:
        from keras.layers import Layer
        class Small(Layer):
            def call(self, inputs):
                self.add_loss(inputs[0, 0])
                return inputs
        Small()(x)
    """

    methods = ("add_loss",)

    def change(self, call):
        if dotted(call.original.func) == "self.add_loss" and call.script.uses_keras:
            call.drop("inputs", "Keras 3 has no such argument")


class CallbackAttributes(ExpressionRule):
    """Read the settings of a training by the names of today.

    Before:
        from keras.callbacks import Callback
        class Tell(Callback):
            def on_train_begin(self, logs={}):
                print(self.params['nb_epoch'])
        model.fit(x, y, nb_epoch=1, callbacks=[Tell()])
    After:
        from keras.callbacks import Callback
        class Tell(Callback):
            def on_train_begin(self, logs={}):
                print(self.params['epochs'])
        model.fit(x, y, epochs=1, callbacks=[Tell()])
    """

    nodes = ("Subscript", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            if dotted(original) in script.facts.own.validation_attributes:
                script.undecided(
                    original,
                    "self.validation_data: Keras 3 gives a callback no data; pass it to __init__",
                )
            return None
        if len(original.slice) != 1 or not isinstance(original.slice[0].slice, cst.Index):
            return None
        key = literal(original.slice[0].slice.value)
        if script.facts.flow.is_logs(original.value) and key in GONE_LOGS:
            script.undecided(original, f"logs[{key!r}]: Keras 3 does not log it")
        if dotted(original.value) != "self.params":
            return None
        if key in GONE_PARAMS:
            script.undecided(original, f"self.params[{key!r}]: Keras 3 has epochs, steps, verbose")
        if key != "nb_epoch":
            return None
        value = original.slice[0].slice.value
        made = value.with_changes(value=value.value.replace("nb_epoch", "epochs"))
        script.change(original, value.value, made.value, "its name since Keras 2")
        return updated.with_changes(slice=[updated.slice[0].with_changes(slice=cst.Index(made))])
