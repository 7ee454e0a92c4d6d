"""Layers: arguments of Keras 1, kernel sizes, merging, the shape of the input."""

import libcst as cst

from ..first_layers import MERGE_MODES, merged
from ..literals import literal
from .base import CallRule
from .positions import order_of_dimensions

OLD_NAME = "its name since Keras 2"
RENAMED = {
    "output_dim": "units",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "border_mode": "padding",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "U_constraint": "recurrent_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "pool_length": "pool_size",
    "beta_init": "beta_initializer",
    "gamma_init": "gamma_initializer",
    "p": "rate",
    "sigma": "stddev",
    "input_dtype": "dtype",
}
# Arguments that a class never had under the general rule.
NOT_IN = {
    "keras.layers.Embedding": {"output_dim", "input_dim"},
    "keras.layers.PReLU": {"init"},
    "keras.layers.RepeatVector": {"n"},
}
DROPPED = {
    "consume_less": "it only chose how the layer computes",
    "implementation": "it only chose how the layer computes",
    "fused": "it only chose how the layer computes",
}
POOLING = ("keras.layers.MaxPooling", "keras.layers.AveragePooling", "keras.layers.MaxPool")
CONV_2D = {
    f"keras.layers.{name}"
    for name in (
        "Conv2D",
        "Convolution2D",
        "Conv2DTranspose",
        "Convolution2DTranspose",
        "SeparableConv2D",
        "SeparableConvolution2D",
    )
}


class LayerArguments(CallRule):
    """Give the arguments of Keras 1 their names since Keras 2.

    Before:
        from keras.layers import LSTM, Convolution2D, Dense
        layers = [
            Dense(4, init='uniform', bias=False),
            Convolution2D(8, 3, 3, border_mode='same', subsample=(2, 2)),
            LSTM(output_dim=4, inner_activation='sigmoid', dropout_U=0.1),
        ]
    After:
        from keras.layers import LSTM, Convolution2D, Dense
        layers = [
            Dense(4, kernel_initializer='uniform', use_bias=False),
            Convolution2D(8, (3, 3), padding='same', strides=(2, 2)),
            LSTM(units=4, recurrent_activation='sigmoid', recurrent_dropout=0.1),
        ]
    """

    functions = ("keras.layers.",)

    def change(self, call):
        for old, new in RENAMED.items():
            if old in NOT_IN.get(call.full, ()) or call.keyword(old) is None:
                continue
            if old == "output_dim" and call.full == "keras.layers.Embedding":
                continue
            if old == "init" and call.full == "keras.layers.Embedding":
                new = "embeddings_initializer"
            if old == "W_regularizer" and call.full == "keras.layers.Embedding":
                new = "embeddings_regularizer"
            if old == "W_constraint" and call.full == "keras.layers.Embedding":
                new = "embeddings_constraint"
            call.rename(old, new, OLD_NAME)
        for name, why in DROPPED.items():
            if name != "implementation":
                call.drop(name, why)
        if call.full == "keras.layers.PReLU":
            call.rename("init", "alpha_initializer", OLD_NAME)
        if call.full == "keras.layers.Reshape":
            call.rename("dims", "target_shape", OLD_NAME)
        if call.full.startswith("keras.layers.UpSampling1D"):
            call.rename("length", "size", OLD_NAME)
        if call.full.startswith(POOLING):
            call.rename("stride", "strides", OLD_NAME)
            call.rename("st", "strides", OLD_NAME)
            call.rename("poolsize", "pool_size", OLD_NAME)
        if call.full in ("keras.layers.LeakyReLU",):
            call.rename("alpha", "negative_slope", "its name in Keras 3")
        dropout = call.full == "keras.layers.Embedding" and call.drop("dropout", "it has none")
        if dropout:
            call.script.undecided(
                call.original, "Embedding(dropout=…): add a SpatialDropout1D layer after it"
            )
        self._mode(call)
        order_of_dimensions(call)

    def _mode(self, call):
        if call.full != "keras.layers.BatchNormalization":
            return
        mode = call.keyword("mode")
        if mode is not None:
            if call.code(mode) == "0":
                call.drop("mode", "0 is what the layer does today")
            else:
                call.script.undecided(
                    call.original, "BatchNormalization(mode=…): today's layer has mode 0 only"
                )


class KernelSizes(CallRule):
    """Write the rows and columns of a kernel as one argument.

    Before:
        from keras.layers import Convolution2D, Input
        image = Input((8, 8, 3))
        image = Convolution2D(16, 3, 3)(image)
        image = Convolution2D(nb_filter=4, nb_row=3, nb_col=2)(image)
    After:
        from keras.layers import Convolution2D, Input
        image = Input((8, 8, 3))
        image = Convolution2D(16, (3, 3))(image)
        image = Convolution2D(filters=4, kernel_size=(3, 2))(image)
    """

    functions = (*sorted(CONV_2D), "keras.layers.Conv3D", "keras.layers.Convolution3D")

    def change(self, call):
        script, given = call.script, call.positional
        size = 3 if "3D" in call.full else 2
        words = ["nb_row", "nb_col"] if size == 2 else ["kernel_dim1", "kernel_dim2", "kernel_dim3"]
        if all(call.keyword(word) is not None for word in words):
            numbers = [call.code(call.keyword(word)) for word in words]
            for word in words[1:]:
                call.remove(next(a for a in call.args if a.keyword and a.keyword.value == word))
            value = f"({', '.join(numbers)})"
            call.args = [
                a.with_changes(keyword=cst.Name("kernel_size"), value=cst.parse_expression(value))
                if a.keyword is not None and a.keyword.value == words[0]
                else a
                for a in call.args
            ]
            call.change(", ".join(words), f"kernel_size={value}", "one argument since Keras 2")
            return
        if script.facts.keras_3:
            return  # its third number is meant as the stride
        if len(given) == size + 1 and not call.starred and call.keyword("strides") is None:
            if not all(_is_number(arg.value) for arg in given[1:]):
                return
            of_tensorflow = script.names.raw(call.original.func).startswith("tensorflow")
            if of_tensorflow and not script.facts.keras_1:
                script.silent(
                    call.original,
                    f"{call.code(call.original)}: the third number is the stride. In Keras 1 and 2 "
                    "without TensorFlow it was the width of the kernel",
                )
                return
        elif not (len(given) > size + 1 and script.facts.keras_1):
            return
        if len(given) < size + 1:
            return
        numbers = [call.code(arg.value) for arg in given[1 : size + 1]]
        rest = given[size + 1 :]
        value = f"({', '.join(numbers)})"
        call.put_positional(1, value)
        for arg in given[2 : size + 1]:
            call.remove(arg)
        if rest:  # init, activation of Keras 1
            call.name_positional(["filters", "kernel_size", "kernel_initializer", "activation"], 2)
        call.change(
            f"({call.code(given[0].value)}, {', '.join(numbers)})",
            f"({call.code(given[0].value)}, {value})",
            "today the third number is the stride",
        )
        if call.full.endswith("Transpose"):
            call.drop("output_shape", "the layer computes it")


def _is_number(node):
    return isinstance(
        node, (cst.Integer, cst.Name, cst.Attribute, cst.BinaryOperation, cst.Subscript)
    )


class Merging(CallRule):
    """Merge layers with the function of today.

    Before:
        from keras.layers import Input, merge
        a, b = Input((2,)), Input((2,))
        both = merge([a, b], mode='concat', concat_axis=1)
        total = merge([a, b], mode='sum')
    After:
        from keras.layers import Input
        from keras.layers import concatenate
        from keras.layers import add
        a, b = Input((2,)), Input((2,))
        both = concatenate([a, b], axis=1)
        total = add([a, b])
    """

    functions = ("keras.layers.merge", "keras.layers.Merge")

    def change(self, call):
        as_layer = call.full.endswith("Merge")
        if call.original in merged(call.script).values():
            return  # see branches.py
        mode = call.keyword("mode")
        if mode is None and len(call.positional) > 1:
            mode = call.positional[1].value
        text = "sum" if mode is None else literal(mode)
        if text == "cos" and not as_layer:
            call.put("normalize", "True")
            text = "dot"
        if mode is not None and text is None and not as_layer and call.positional:
            self._with_function(call, mode)
            return
        if text not in MERGE_MODES or (as_layer and call.positional):
            call.script.undecided(
                call.original,
                f"{call.code(call.original)[:60]}: write it with keras.layers.concatenate, add, "
                "multiply, dot or Lambda, and the model with keras.Model(inputs, outputs)",
            )
            return
        name = call.script.need("keras.layers", MERGE_MODES[text][as_layer])
        old = call.code(call.original.func)
        if mode is not None:
            arg = next(a for a in call.args if a.value is mode)
            call.remove(arg)
        for word in ("output_shape", "arguments", "output_mask", "node_indices", "tensor_indices"):
            if call.keyword(word) is not None:
                call.drop(word, "the layer computes it")
        if text == "concat":
            if not call.rename("concat_axis", "axis", OLD_NAME) and len(call.positional) > 1:
                call.args[1] = call.args[1].with_changes(
                    keyword=cst.Name("axis"),
                    equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
                )
        elif call.keyword("concat_axis") is not None:
            call.drop("concat_axis", "only for mode='concat'")
        if text == "dot":
            call.rename("dot_axes", "axes", OLD_NAME)
            if call.keyword("axes") is None:
                call.put("axes", "-1")
        call.func = cst.parse_expression(name)
        call.change(f"{old}(mode='{text}')", name, "merge is gone")

    def _with_function(self, call, mode):
        """`merge(inputs, mode=function)` is a Lambda layer."""
        layer = call.script.need("keras.layers", "Lambda")
        shape = call.keyword("output_shape")
        shape = "" if shape is None else f", output_shape={call.code(shape)}"
        inputs = call.script.module.code_for_node(call.positional[0].value)
        call.replace(f"{layer}({call.code(mode)}{shape})({inputs})")
        call.change("merge(mode=…)", f"{layer}(…)(…)", "merge is gone")


class ModelArguments(CallRule):
    """Name the inputs and outputs of a model as today.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model
        a = Input((2,))
        model = Model(input=a, output=Dense(1)(a))
    After:
        from keras.layers import Dense, Input
        from keras.models import Model
        a = Input((2,))
        model = Model(inputs=a, outputs=Dense(1)(a))
    """

    functions = ("keras.Model", "keras.models.Model")

    def change(self, call):
        call.rename("input", "inputs", OLD_NAME)
        call.rename("output", "outputs", OLD_NAME)


class TimeDistributedDense(CallRule):
    """Distribute a layer over time with the wrapper.

    Before:
        from keras.layers import Input, TimeDistributedDense
        steps = Input((5, 3))
        steps = TimeDistributedDense(2)(steps)
    After:
        from keras.layers import Input
        from keras.layers import TimeDistributed
        from keras.layers import Dense
        steps = Input((5, 3))
        steps = TimeDistributed(Dense(2))(steps)
    """

    functions = ("keras.layers.TimeDistributedDense",)

    def change(self, call):
        wrapper = call.script.need("keras.layers", "TimeDistributed")
        dense = call.script.need("keras.layers", "Dense")
        call.func = cst.parse_expression(dense)
        built = cst.Call(func=call.func, args=call.args)
        call.replacement = cst.Call(func=cst.parse_expression(wrapper), args=[cst.Arg(built)])
        call.change("TimeDistributedDense", f"{wrapper}({dense}())", "the layer is gone")


class Regularizers(CallRule):
    """Pass the strength of a regularizer as today.

    Before:
        from keras.regularizers import l2
        penalty = l2(l=0.01)
    After:
        from keras.regularizers import l2
        penalty = l2(0.01)
    """

    functions = ("keras.regularizers.l1", "keras.regularizers.l2", "keras.regularizers.l1_l2")

    def change(self, call):
        value = call.keyword("l")
        if value is not None:
            call.args = [
                a.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
                if a.keyword is not None and a.keyword.value == "l"
                else a
                for a in call.args
            ]
            call.change(f"l={call.code(value)}", call.code(value), "its name differs in Keras 3")
