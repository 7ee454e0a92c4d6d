"""The shape of the input, which has a line of its own today."""

import libcst as cst

from .base import CallRule

RECURRENT = {"keras.layers.LSTM", "keras.layers.GRU", "keras.layers.SimpleRNN"}


SEQUENCES = RECURRENT | {"keras.layers.Conv1D", "keras.layers.Convolution1D"}


class FirstShape(CallRule):
    """Begin a model with `Input` where the first layer was told the shape.

    Before:
        from keras.layers import LSTM, Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(LSTM(4, input_dim=3, input_length=5, init='uniform'))
        model.add(Dense(1))
    After:
        from keras.layers import LSTM, Dense
        from keras.models import Sequential
        from keras import Input
        model = Sequential()
        model.add(Input((5, 3)))
        model.add(LSTM(4, kernel_initializer='uniform'))
        model.add(Dense(1))
    """

    functions = ("keras.layers.",)
    words = ("input_shape", "batch_input_shape", "input_dim", "input_length")

    def change(self, call):
        if call.full == "keras.layers.Input" or call.full.endswith("InputLayer"):
            if call.rename("batch_input_shape", "batch_shape", "its name in Keras 3"):
                return
            return
        place = call.script.facts.first_layers.get(call.original)
        inner = None
        if call.full == "keras.layers.Bidirectional" and call.positional:
            inner = call.positional[0].value
        shape, certain = self._shape(call)
        if shape is None and inner is not None and isinstance(inner, cst.Call):
            shape, certain = _inner_shape(inner, call.script)
            if shape is not None and place is not None:
                call.put_positional(0, _without(inner, self.words))
        if shape is None:
            return
        if (
            call.original in call.script.facts.later_layers
            and call.full != "keras.layers.Embedding"
        ):
            self._leave_out(call)
        elif place is None:
            if call.full == "keras.layers.Embedding" and call.keyword("input_length") is not None:
                call.drop("input_length", "the layer takes any length", False)
            elif call.keyword("batch_input_shape") is not None or (
                call.full in SEQUENCES and call.keyword("input_dim") is not None
            ):
                call.script.undecided(
                    call.original,
                    f"begin the model with keras.Input({shape}), and take it out here",
                )
        else:
            self._begin(call, place, shape, certain)

    def _leave_out(self, call):
        """A later layer takes what the layer before it gives."""
        for word in self.words:
            if call.keyword(word) is not None:
                call.drop(word, "only the first layer is told a shape", word != "input_shape")

    def _begin(self, call, place, shape, certain):
        name = call.script.need("keras", "Input")
        dtype = ""
        if call.full != "keras.layers.Embedding":
            for word in self.words:
                self._take(call, word)
        else:
            for word in ("input_shape", "batch_input_shape", "input_length"):
                self._take(call, word)
        call.script.inputs[call.original] = (place, f"{name}({shape}{dtype})")
        call.script.change(
            call.original,
            f"{_words(call)}",
            f"{name}({shape})",
            "the shape has its own line",
            certain,
        )

    def _take(self, call, word):
        for arg in call.args:
            if arg.keyword is not None and arg.keyword.value == word:
                call.remove(arg)
                return

    def _shape(self, call):
        """(arguments of Input, whether the old form fails today)."""
        words = {
            a.keyword.value: call.script.module.code_for_node(a.value)
            for a in call.args
            if a.keyword is not None
        }
        return _shape_of(call.full, words)


def _shape_of(full, words):
    if "batch_input_shape" in words:
        return f"batch_shape={words['batch_input_shape']}", True
    if "input_shape" in words:
        shape = words["input_shape"]
        return shape, False
    if full == "keras.layers.Embedding":
        if "input_length" in words:
            return f"({words['input_length']},)", False
        return None, False
    if "input_dim" in words and full.startswith("keras.layers."):
        if full in SEQUENCES:
            return f"({words.get('input_length', 'None')}, {words['input_dim']})", True
        return f"({words['input_dim']},)", False
    return None, False


def _inner_shape(inner, script):
    words = {
        a.keyword.value: script.module.code_for_node(a.value)
        for a in inner.args
        if a.keyword is not None
    }
    name = script.module.code_for_node(inner.func).split(".")[-1]
    return _shape_of(f"keras.layers.{name}", words)


def _without(inner, words):
    args = [a for a in inner.args if a.keyword is None or a.keyword.value not in words]
    if args:
        args[-1] = args[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return inner.with_changes(args=args)


def _words(call):
    return (
        ", ".join(
            call.script.code(a)
            for a in call.original.args
            if a.keyword is not None and a.keyword.value in FirstShape.words
        )
        .replace(",,", ",")
        .strip(", ")
    )


class WholeUnits(CallRule):
    """Give a layer a number of Python, where NumPy counted.

    Before:
        import numpy as np
        from keras.layers import Dense
        classes = np.max([0, 2, 1]) + 1
        layer = Dense(classes, init='uniform')
    After:
        import numpy as np
        from keras.layers import Dense
        classes = np.max([0, 2, 1]) + 1
        layer = Dense(int(classes), kernel_initializer='uniform')
    """

    functions = ("keras.layers.Dense",)
    counting = ("numpy.max", "numpy.amax", "numpy.prod", "numpy.sum", "numpy.min", "numpy.ceil")

    def change(self, call):
        value = call.value("units", 0)
        if value is None or not self._counted(call.script, value):
            return
        new = f"int({call.code(value)})"
        call.put_value("units", 0, new)
        call.change(call.code(value), new, "Keras 3 refuses a number of NumPy")

    def _counted(self, script, value, depth=0):
        if isinstance(value, cst.BinaryOperation):
            return self._counted(script, value.left, depth) or self._counted(
                script, value.right, depth
            )
        if isinstance(value, cst.Call):
            method = isinstance(value.func, cst.Attribute) and value.func.attr.value
            return script.names.raw(value.func) in self.counting or (
                method == "max" and not value.args and not script.names.raw(value.func)
            )
        if isinstance(value, cst.Name) and depth < 3:
            assigned = script.facts.assigned.get(value.value, ())
            return any(self._counted(script, one, depth + 1) for one in assigned)
        return False
