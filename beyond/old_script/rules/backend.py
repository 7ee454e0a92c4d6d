"""`keras.backend` and TensorFlow 1."""

from typing import ClassVar

import libcst as cst

from .. import backend_names
from ..literals import literal
from ..names import dotted
from ..origins import is_layer
from .base import CallRule, ExpressionRule
from .positions import CHANNELS_FIRST
from .tensors import begins_with_input

OF_A_STEP = {"placeholder", "function"}
STEP = (
    "the lines up to get_updates and this one are one step of training: write a function that "
    "computes the loss with model(x, training=True) in a tf.GradientTape, and then call "
    "optimizer.apply_gradients(zip(gradients, model.trainable_weights))"
)
WHY = "keras.ops works on every backend"
GRADIENTS = (
    "it fails for tensors of a model, such as its inputs and outputs; TensorFlow computes it "
    "inside a tf.function only, for tensors that are made there. Write it for arrays: with "
    "tf.GradientTape() as tape: tape.watch(x); y = model(x), and then tape.gradient(y, x). A loss "
    "that needs it, as a gradient penalty does, belongs into a train_step of your own"
)
BATCH_DOT = '''def batch_dot_of_keras_2(x, y, axes=None):
    """`keras.backend.batch_dot`, where all versions of Keras 2 computed the same."""
    ranks = len(x.shape), len(y.shape)
    if max(ranks) > 3 or (axes is None and ranks == (2, 2)):
        raise ValueError(f"batch_dot of {{ranks}} axes differs from Keras 2.2 to 2.3: use einsum")
    if axes is None:
        axes = (ranks[0] - 1, max(ranks[1] - 2, 1))
    return {dot}([x, y], axes=axes)
'''


class BackendFunctions(CallRule):
    """Compute with `keras.ops` what `keras.backend` computed.

    Before:
        from keras import backend as K
        def sizes(y_true, y_pred):
            error = K.flatten(K.square(y_pred - y_true))
            return K.mean(K.clip(error, K.epsilon(), 1), axis=-1)
        size = sizes(y, y)
    After:
        from keras import backend as K
        from keras import ops
        def sizes(y_true, y_pred):
            error = ops.reshape(ops.square(y_pred - y_true), (-1,))
            return ops.mean(ops.clip(error, K.epsilon(), 1), axis=-1)
        size = sizes(y, y)
    """

    functions = ("keras.backend.",)

    def change(self, call):
        name = call.full.rpartition(".")[2]
        certain = not call.script.names.raw(call.original.func).startswith("tensorflow.keras")
        direct = call.full.replace(".tensorflow_backend.", ".")
        sessions = ("set_session", "clear_session", "get_session")
        if direct.count(".") == 2 and name not in sessions:
            call.full = direct
        if call.full.count(".") != 2:
            if name in sessions:
                self._session(call, name)
            return
        if name in ("set_session", "set_learning_phase", "manual_variable_initialization"):
            self._session(call, name)
            return
        if dotted(call.func) == "function_of_keras_2":
            return  # see tensors.py
        if name == "in_train_phase":
            self._training(call)
            return
        if name == "gradients":
            said = f"{call.code(call.original.func)}: {GRADIENTS}"
            call.script.undecided(call.original, said, always=certain)
            return
        made = self._made(call, name)
        if made is None:
            legacy = backend_names.only_legacy(call.script.facts.backend)  # then K is tf.keras's
            known = backend_names.TODAY | {"image_dim_ordering"}
            known |= backend_names.LEGACY if legacy else set()
            if certain and name not in known and not self._by_hand(call):
                said = f"keras.backend.{name} is gone in Keras 3: write this with keras.ops"
                if name in OF_A_STEP and ".get_updates(" in call.script.source.text:
                    said = f"keras.backend.{name} is gone: {STEP}"
                call.script.undecided(call.original, said, always=True)
            return
        call.change(f"{call.code(call.original.func)}(", made, WHY, certain)

    def _by_hand(self, call):
        """Whether `own_layers.WeightsByHand` makes a weight of it."""
        facts = call.script.facts
        made = [one for name in facts.own.listed_weights for one in facts.assigned.get(name, ())]
        return any(one is call.original for one in made)

    def _training(self, call):
        """Choose by the argument `training`, where the call is given one."""
        training = call.value("training", 2)
        given = training is not None and call.code(training) != "None"  # None was the old phase
        if not given or call.starred or len(call.positional) < 2:
            said = (
                f"{call.code(call.original)}: write a layer of your own in place of it, whose "
                "call(self, inputs, training=None) returns the one if training, else the other"
            )
            call.script.undecided(call.original, said, always=True)
            return
        one, other = (self._value(call, arg.value) for arg in call.positional[:2])
        new = f"({one} if {call.code(training)} else {other})"
        call.replace(new)
        call.change(call.code(call.original), new, "layers are told whether they train")

    def _value(self, call, node):
        """The code of a value, which may be a function that computes it."""
        code = call.code(node)
        if isinstance(node, cst.Lambda):
            return f"({code})()"
        is_function = isinstance(node, cst.Name) and node.value in call.script.facts.parameters
        return f"{code}()" if is_function else code

    def _session(self, call, name):
        if name == "clear_session":
            return
        call.replace("None")
        call.change(call.code(call.original), "None", "Keras 3 has no sessions")
        if name == "set_session":
            call.script.undecided(
                call.original,
                "the settings of the session are lost; to let TensorFlow take the memory of a GPU "
                "step by step, set TF_FORCE_GPU_ALLOW_GROWTH=true",
            )
        if name == "set_learning_phase":
            call.script.undecided(
                call.original, "call the model with training=True or False instead"
            )

    def _made(self, call, name):
        ops = call.script.need
        args = [call.script.module.code_for_node(a.value) for a in call.positional]
        if name == "batch_dot":
            return self._batch_dot(call)
        if call.starred:
            return None
        if name == "sqrt" and len(call.args) != 1:
            return None
        if name == "sqrt" and not never_negative(call.script, call.original.args[0].value):
            made = f"{ops('keras', 'ops')}.sqrt"
            inner = f"{ops('keras', 'ops')}.maximum({call.code(call.args[0].value)}, 0)"
            call.replace(f"{made}({inner})")
            return f"{made}({ops('keras', 'ops')}.maximum(…, 0))"
        if name in backend_names.SAME:
            if name == "relu" and len(call.args) > 1:
                return None
            new = backend_names.SAME[name]
            made = f"{ops('keras', 'ops')}.{new}"
            call.func = cst.parse_expression(made)
            return f"{made}("
        return self._other(call, name, args, ops)

    def _other(self, call, name, args, ops):
        module = lambda: ops("keras", "ops")
        first = args[0] if args else None
        if name == "clip" and len(args) == 3:
            call.func = cst.parse_expression(f"{module()}.clip")
            return f"{module()}.clip("
        if name in ("argmax", "argmin", "expand_dims", "concatenate"):
            call.func = cst.parse_expression(f"{module()}.{name}")
            call.rename("dim", "axis", "its name since Keras 2")
            if len(args) < 2 and call.keyword("axis") is None:
                call.put("axis", "-1")
            return f"{module()}.{name}("
        if name == "one_hot" and len(call.args) == 2:
            call.rename("nb_classes", "num_classes", "its name since Keras 2")
            call.func = cst.parse_expression(f"{module()}.one_hot")
            return f"{module()}.one_hot("
        if name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
            call.rename("output_from_logits", "from_logits", "its name")
            call.func = cst.parse_expression(f"{module()}.{name}")
            return f"{module()}.{name}("
        if name in ("constant", "variable", "zeros", "ones"):
            return None
        if name in ("random_normal", "random_uniform"):
            made = ops("keras.random", "normal" if name == "random_normal" else "uniform")
            call.func = cst.parse_expression(made)
            call.script.undecided(
                call.original, "on JAX, random numbers in a layer need a seed that the layer keeps"
            )
            call.rename("std", "stddev", "its name")
            call.rename("low", "minval", "its name")
            call.rename("high", "maxval", "its name")
            return f"{made}("
        if first is None or len(call.args) != len(args):
            return self._with_words(call, name, args, module)
        templates = {
            ("flatten", 1): "{o}.reshape({0}, (-1,))",
            ("batch_flatten", 1): "{o}.reshape({0}, ({o}.shape({0})[0], -1))",
            ("dot", 2): "{o}.dot({0}, {1})",
            ("bias_add", 2): "({0} + {1})",
            ("gather", 2): "{o}.take({0}, {1}, axis=0)",
            ("int_shape", 1): "tuple({0}.shape)",
            ("ndim", 1): "len({0}.shape)",
            ("repeat_elements", 3): "{o}.repeat({0}, {1}, axis={2})",
            ("get_value", 1): "{o}.convert_to_numpy({0})",
            ("eval", 1): "{o}.convert_to_numpy({0})",
            ("set_value", 2): "{0}.assign({1})",
            ("l2_normalize", 1): "{o}.normalize({0}, axis=None, order=2)",
            ("l2_normalize", 2): "{o}.normalize({0}, axis={1}, order=2)",
            ("logsumexp", 1): "{o}.logsumexp({0})",
        }
        template = templates.get((name, len(args)))
        if name == "bias_add" and "set_image_d" in call.script.source.text:
            return None  # it looks there for the axis of the channels
        if template is None:
            return None
        args = [arg if arg.isidentifier() or _atom(arg) else f"({arg})" for arg in args]
        code = template.format(*args, o=module() if "{o}" in template else "")
        call.replace(code)
        return code

    def _batch_dot(self, call):
        dot = call.script.need("keras.layers", "dot")
        call.script.define("batch_dot_of_keras_2", BATCH_DOT.format(dot=dot))
        call.func = cst.Name("batch_dot_of_keras_2")
        return "batch_dot_of_keras_2("

    def _with_words(self, call, name, args, module):
        if name == "l2_normalize" and len(args) == 1 and call.keyword("axis") is not None:
            call.func = cst.parse_expression(f"{module()}.normalize")
            call.put("order", "2")
            return f"{module()}.normalize("
        return None


def never_negative(script, node: cst.BaseExpression) -> bool:
    """Whether an expression is seen to be at least 0 everywhere."""
    if isinstance(node, (cst.Integer, cst.Float)):
        return True
    if isinstance(node, cst.BinaryOperation):
        if isinstance(node.operator, cst.Power):
            return script.code(node.right) == "2"
        if isinstance(node.operator, (cst.Add, cst.Multiply)):
            return never_negative(script, node.left) and never_negative(script, node.right)
    if not isinstance(node, cst.Call):
        return False
    full = script.names.full(node.func)
    name = full.rpartition(".")[2] if full.startswith("keras.backend.") else ""
    given = [arg.value for arg in node.args if arg.keyword is None]
    if name in ("square", "abs", "exp", "var", "epsilon", "sigmoid", "softplus"):
        return True
    if name == "maximum":
        return any(never_negative(script, one) for one in given)
    return name in ("sum", "mean", "max") and bool(given) and never_negative(script, given[0])


def _atom(code):
    node = cst.parse_expression(code)
    return isinstance(
        node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer)
    ) or bool(node.lpar)


class DimensionOrder(ExpressionRule):
    """Ask for the order of the dimensions as today.

    Before:
        from keras import backend as K
        if K.image_dim_ordering() == 'th':
            shape = (1, 28, 28)
        else:
            shape = (28, 28, 1)
    After:
        from keras import backend as K
        if K.image_data_format() == 'channels_first':
            shape = (1, 28, 28)
        else:
            shape = (28, 28, 1)
    """

    nodes = ("Comparison", "Call")
    words: ClassVar = {"th": "'channels_first'", "tf": "'channels_last'"}

    def expression(self, original, updated, script):
        if isinstance(original, cst.Call):
            return self._call(original, updated, script)
        left = original.left
        if not isinstance(left, cst.Call):
            return None
        if script.names.full(left.func) != "keras.backend.image_dim_ordering":
            return None
        target = original.comparisons[0]
        new = self.words.get(literal(target.comparator) or "")
        if new is None:
            return None
        script.change(original, script.code(target.comparator), new, "its name since Keras 2")
        made = updated.comparisons[0].with_changes(comparator=cst.parse_expression(new))
        return updated.with_changes(comparisons=[made, *updated.comparisons[1:]])

    def _call(self, original, updated, script):
        full = script.names.full(original.func)
        if full == "keras.backend.image_dim_ordering":
            script.change(
                original, "image_dim_ordering", "image_data_format", "its name since Keras 2"
            )
            return updated.with_changes(func=_last(updated.func, "image_data_format"))
        if full == "keras.backend.set_image_data_format" and original.args:
            new = self.words.get(literal(original.args[0].value) or "")
            if new is None and not dotted(original.func).endswith("dim_ordering"):
                return None
            script.change(
                original, script.code(original), f"set_image_data_format({new})", "since Keras 2"
            )
            if new == "'channels_first'":
                script.undecided(original, CHANNELS_FIRST)
            made = updated.with_changes(func=_last(updated.func, "set_image_data_format"))
            if new is None:
                return made
            arg = updated.args[0].with_changes(value=cst.parse_expression(new))
            return made.with_changes(args=[arg])
        return None


def _last(func, name):
    if isinstance(func, cst.Attribute):
        return func.with_changes(attr=cst.Name(name))
    return cst.Name(name)


class TensorShapes(ExpressionRule):
    """Ask a tensor for its shape as today: that of a network is a tuple of numbers.

    Before:
        from keras.layers import Input
        a = Input((3, 4))
        width = a.get_shape()[2].value + a.get_shape().as_list()[1]
    After:
        from keras.layers import Input
        a = Input((3, 4))
        width = a.shape[2] + list(a.shape)[1]
    """

    nodes = ("Call", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            one = original.value
            is_number = isinstance(one, cst.Subscript) and self._asks(script, one.value)
            return updated.value if original.attr.value == "value" and is_number else None
        if self._asks(script, original):
            script.change(original, ".get_shape()", ".shape", "its name in Keras 3")
            return updated.func.with_changes(attr=cst.Name("shape"))
        func = original.func
        lists = isinstance(func, cst.Attribute) and func.attr.value == "as_list"
        if lists and self._asks(script, func.value):
            return cst.Call(cst.Name("list"), [cst.Arg(updated.func.value)])
        return None

    def _asks(self, script, node):
        """Whether a node is `….get_shape()` of something that no class of the script defines."""
        func = getattr(node, "func", None)
        asks = isinstance(func, cst.Attribute) and func.attr.value == "get_shape"
        own = "get_shape" in script.facts.parameters
        return asks and not node.args and not own and script.uses_keras


class LayerShapes(ExpressionRule):
    """Ask a layer and a tensor for their shapes as today.

    Before:
        from keras.layers import Dense, Input
        a = Input((3,))
        b = Dense(2, init='uniform')(a)
        print(b._keras_shape, model.layers[0].output_shape)
    After:
        from keras.layers import Dense, Input
        a = Input((3,))
        b = Dense(2, kernel_initializer='uniform')(a)
        print(b.shape, model.layers[0].output.shape)
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        name = original.attr.value
        if name == "_keras_shape":
            script.change(original, "._keras_shape", ".shape", "its name in Keras 3")
            return updated.with_changes(attr=cst.Name("shape"))
        if name not in ("output_shape", "input_shape"):
            return None
        if not is_layer(script, original.value):
            return None
        attribute = name.removesuffix("_shape")
        if attribute == "input" and begins_with_input(script, original.value):
            attribute = "output"
        script.change(
            original, f".{name}", f".{attribute}.shape", "layers have no shapes of their own"
        )
        inner = cst.Attribute(updated.value, cst.Name(attribute))
        return updated.with_changes(value=inner, attr=cst.Name("shape"))


TF_1 = {
    "set_random_seed": "random.set_seed",
    "random_normal": "random.normal",
    "random_uniform": "random.uniform",
    "truncated_normal": "random.truncated_normal",
    "log": "math.log",
    "to_float": "",
    "ConfigProto": "compat.v1.ConfigProto",
    "GPUOptions": "compat.v1.GPUOptions",
    "get_default_graph": "compat.v1.get_default_graph",
    "losses.mean_squared_error": "keras.losses.mse",
    "losses.absolute_difference": "keras.losses.mae",
    "train.AdamOptimizer": "keras.optimizers.Adam",
    "train.GradientDescentOptimizer": "keras.optimizers.SGD",
    "train.RMSPropOptimizer": "keras.optimizers.RMSprop",
    "train.AdagradOptimizer": "keras.optimizers.Adagrad",
    "logging.set_verbosity": "compat.v1.logging.set_verbosity",
    "logging.ERROR": "compat.v1.logging.ERROR",
    "AUTO_REUSE": "compat.v1.AUTO_REUSE",
}


class TensorFlow1(CallRule):
    """Call what TensorFlow 1 had by its name in TensorFlow 2.

    Before:
        import tensorflow as tf
        tf.set_random_seed(7)
        chances = tf.nn.softmax(tf.ones((2, 3)), dim=-1)
        optimizer = tf.train.AdamOptimizer(0.01)
    After:
        import tensorflow as tf
        tf.random.set_seed(7)
        chances = tf.nn.softmax(tf.ones((2, 3)), axis=-1)
        optimizer = tf.keras.optimizers.Adam(0.01)
    """

    functions = ("tensorflow.",)

    def change(self, call):
        raw = call.script.names.raw(call.original.func)
        name = raw.removeprefix("tensorflow.")
        if raw.startswith("tensorflow.keras"):
            return
        if name.startswith("contrib."):
            return  # see graphs.py
        if name in ("gradients", "compat.v1.gradients"):
            said = f"{call.code(call.original.func)}: {GRADIENTS}"
            call.script.undecided(call.original, said)
        root = dotted(call.original.func).removesuffix("." + name)
        if name in ("nn.softmax", "nn.log_softmax", "argmax", "argmin"):
            call.rename("dim", "axis", "its name in TensorFlow 2")
            call.rename("dimension", "axis", "its name in TensorFlow 2")
        if name.startswith("reduce_"):
            call.rename("reduction_indices", "axis", "its name in TensorFlow 2")
            call.rename("keep_dims", "keepdims", "its name in TensorFlow 2")
        if TF_1.get(name):
            call.func = cst.parse_expression(f"{root}.{TF_1[name]}")
            call.change(f"{root}.{name}(", f"{root}.{TF_1[name]}(", "its name in TensorFlow 2")
        if name == "to_float" and len(call.positional) == 1:
            inner = call.script.module.code_for_node(call.positional[0].value)
            call.replace(f"{root}.cast({inner}, {root}.float32)")
            call.change("to_float(", "cast(…, float32)", "its name in TensorFlow 2")
