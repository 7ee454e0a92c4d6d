"""A `Sequential` that began with `Merge`: two networks or more, whose outputs were joined."""

import libcst as cst

from ..first_layers import MERGE_MODES, merged
from ..literals import literal
from .base import StatementRule


class MergedBranches(StatementRule):
    """Join networks with the functions of today, and go on from what that gives.

    Before:
        from keras.layers import Dense, Merge
        from keras.models import Sequential
        left = Sequential()
        left.add(Dense(2, input_dim=8))
        right = Sequential()
        right.add(Dense(2, input_dim=3))
        both = Sequential()
        both.add(Merge([left, right], mode='concat'))
        both.add(Dense(1))
    After:
        from keras.layers import Dense
        from keras.models import Sequential
        from keras import Input
        from keras.models import Model
        from keras.layers import concatenate
        left = Sequential()
        left.add(Input((8,)))
        left.add(Dense(2))
        right = Sequential()
        right.add(Input((3,)))
        right.add(Dense(2))
        both = Sequential()
        both = Model([*left.inputs, *right.inputs], concatenate([*left.outputs, *right.outputs]))
        both = Model(both.inputs, Dense(1)(both.outputs[0]))
    """

    def statement(self, original, updated, script):
        if not isinstance(original, cst.Expr) or not isinstance(original.value, cst.Call):
            return None
        call, new = original.value, updated.value
        if not (isinstance(call.func, cst.Attribute) and call.func.attr.value == "add"):
            return None
        name = call.func.value
        if not isinstance(name, cst.Name) or len(call.args) != 1 or not isinstance(new, cst.Call):
            return None
        first = merged(script).get((script.binder(name), name.value))
        if first is None or not script.binds_here(name):
            return None
        model = script.need("keras.models", "Model")
        if call.args[0].value is first:
            inputs, output = self._joined(script, first)
            made = f"{name.value} = {model}([{inputs}], {output})"
        else:
            layer = script.module.code_for_node(new.args[0].value)
            made = f"{name.value} = {model}({name.value}.inputs, {layer}({name.value}.outputs[0]))"
        why = "a network with several inputs is no Sequential today"
        script.change(original, script.code(original), made, why)
        return [cst.parse_statement(made).body[0]]

    def _joined(self, script, first):
        parts = [script.code(one.value) for one in first.args[0].value.elements]
        words = {arg.keyword.value: arg.value for arg in first.args[1:] if arg.keyword is not None}
        mode = literal(words["mode"]) if "mode" in words else "sum"
        function = script.need("keras.layers", MERGE_MODES[mode][0])
        options = ""
        if "concat_axis" in words and mode == "concat":
            options = f", axis={script.code(words['concat_axis'])}"
        if mode == "dot":
            axes = words.get("dot_axes")
            options = f", axes={script.code(axes) if axes is not None else -1}"
        inputs = ", ".join(f"*{part}.inputs" for part in parts)
        outputs = ", ".join(f"*{part}.outputs" for part in parts)
        return inputs, f"{function}([{outputs}]{options})"
