"""Weights of samples that are given by the names of the outputs."""

import libcst as cst

from ..calls import argument
from ..literals import is_dictionary
from ..names import dotted
from .base import CallRule
from .generators import of_a_model

WHY = "Keras 3 takes weights and targets in one structure, that of the outputs"
# Method -> the place of the weights without a name.
PLACES = {"fit": 10, "evaluate": 4, "train_on_batch": 2, "test_on_batch": 2}


HELPER = '''def in_order(model, given):
    """What is given by the names of the outputs, in the order of the outputs."""
    return [given[name] for name in model.output_names]
'''


class NamedWeights(CallRule):
    """Give the weights of samples in the order of the outputs, and the targets with them.

    Before:
        import numpy as np
        from keras.layers import Dense, Input
        from keras.models import Model
        rows = Input((8,))
        net = Model(input=rows, output=[Dense(1, name='a')(rows), Dense(1, name='b')(rows)])
        net.compile('sgd', 'mse')
        weights = {'a': np.ones(4), 'b': np.zeros(4)}
        net.fit(x, {'a': y, 'b': y}, sample_weight=weights)
        net.fit(x, [y, y], sample_weight=weights)
    After:
        import numpy as np
        from keras.layers import Dense, Input
        from keras.models import Model
        def in_order(model, given):
            ...
        rows = Input((8,))
        net = Model(inputs=rows, outputs=[Dense(1, name='a')(rows), Dense(1, name='b')(rows)])
        net.compile('sgd', 'mse')
        weights = {'a': np.ones(4), 'b': np.zeros(4)}
        net.fit(x, in_order(net, {'a': y, 'b': y}), sample_weight=in_order(net, weights))
        net.fit(x, [y, y], sample_weight=in_order(net, weights))
    """

    methods = tuple(PLACES)

    def change(self, call):
        script, original = call.script, call.original
        if call.receiver is None:
            return
        weights = argument(original, "sample_weight", PLACES[call.method])
        if _is_sometimes_one(script, weights) and of_a_model(call):
            self._say(call, False)
        elif _dictionaries(script, weights) and of_a_model(call):
            targets, places = argument(original, "y", 1), (1, PLACES[call.method])
            now = [
                _code(script, call.value(name, place))
                for name, place in zip(("y", "sample_weight"), places, strict=True)
            ]
            new = self._in_order(call, targets, weights, now)
            for name, place, old, made in zip(
                ("y", "sample_weight"), places, now, new or now, strict=True
            ):
                if made != old:
                    call.put_value(name, place, made)
                    call.change(f"{name}={old}", f"{name}={made}", WHY)
        self._validation(call)

    def _validation(self, call):
        """The targets and the weights of `validation_data=(x, y, weights)`."""
        given = argument(call.original, "validation_data")
        parts = [one.value for one in getattr(given, "elements", ())]
        for one in call.script.facts.flow.values(given):
            elements = getattr(one, "elements", ())
            if len(elements) == 3 and _dictionaries(call.script, elements[2].value):
                self._say(call, False)
        if len(parts) != 3 or not _dictionaries(call.script, parts[2]) or not of_a_model(call):
            return
        now = [_code(call.script, one.value) for one in call.value("validation_data").elements]
        new = self._in_order(call, parts[1], parts[2], now[1:])
        if new is not None:
            made = f"({now[0]}, {new[0]}, {new[1]})"
            call.put("validation_data", made)
            call.change(f"validation_data={call.code(given)}", f"validation_data={made}", WHY)

    def _in_order(self, call, targets, weights, now):
        """The code of targets and weights as lists; None if that cannot be seen.

        `now` is their code after the changes inside of them.
        """
        script, name = call.script, call.code(call.receiver)
        made = script.facts.flow.calls(call.receiver)
        counts = {outputs(script, one) for one in made}
        count = counts.pop() if len(counts) == 1 else 0
        by_name = _dictionaries(script, targets)
        values = script.facts.flow.values(targets) or [targets]
        listed = all(isinstance(one, (cst.List, cst.Tuple)) for one in values)
        whole = all(_size(one) == count for one in _dictionaries(script, weights))
        if count and whole and dotted(call.receiver) and (by_name or listed or count == 1):
            script.define("in_order", HELPER)
            old, weights = now
            return f"in_order({name}, {old})" if by_name else old, f"in_order({name}, {weights})"
        if count or not made or not all(_is_a_dictionary(script, one) for one in made):
            self._say(call, bool(count))
        return None

    def _say(self, call, fails):
        said = "sample_weight by names: Keras 3 takes it so only if outputs and targets are "
        said += "dictionaries too; write both as lists in the order of "
        said += f"{dotted(call.receiver) or 'model'}.output_names"
        call.script.undecided(call.original, said, always=fails)


def outputs(script, call: cst.Call) -> int:
    """How many outputs a model is built with, 0 if that is not seen.

    Arguments:
        script: The script.
        call: What makes the model.
    """
    if script.names.full(call.func) not in ("keras.Model", "keras.models.Model"):
        return 0
    given = _outputs_of(call)
    values = [given] if not isinstance(given, cst.Name) else script.facts.flow.values(given)
    grows = any(
        dotted(one.func) in (f"{dotted(given)}.append", f"{dotted(given)}.extend")
        for one in script.facts.calls
    )
    counts = {_count(script, one) for one in values}
    return counts.pop() if len(counts) == 1 and not grows else 0


def _outputs_of(call):
    return argument(call, "output") or argument(call, "outputs", 1)


def _count(script, node, depth=0):
    """The outputs that an expression is seen to be."""
    if isinstance(node, (cst.List, cst.Tuple)):
        return (
            0
            if any(isinstance(one, cst.StarredElement) for one in node.elements)
            else len(node.elements)
        )
    if isinstance(node, cst.Subscript) and not isinstance(node.slice[0].slice, cst.Slice):
        return 1
    if isinstance(node, cst.Name) and depth < 4:
        counts = {_count(script, one, depth + 1) for one in script.facts.flow.values(node)}
        return counts.pop() if len(counts) == 1 else 0
    if not isinstance(node, cst.Call):
        return 0
    layer = node.func  # `Dense(2)(rows)`, or `layer(rows)`
    made = [layer] if isinstance(layer, cst.Call) else script.facts.flow.calls(layer)
    full = [script.names.full(one.func) for one in made]
    one = full and all(name.startswith("keras.layers.") for name in full)
    return int(bool(one) and "keras.layers.Lambda" not in full)


def _code(script, node):
    return "" if node is None else script.module.code_for_node(node)


def _dictionaries(script, node):
    """The dictionaries that an expression is seen to be."""
    values = [node] if is_dictionary(node) else script.facts.flow.values(node)
    return values if all(is_dictionary(one) for one in values) else []


def _is_sometimes_one(script, node):
    """Whether a name is a dictionary only where some condition holds."""
    made = [is_dictionary(one) for one in script.facts.flow.values(node)]
    return any(made) and not all(made)


def _is_a_dictionary(script, call):
    """Whether the outputs of a model are a dictionary."""
    return bool(_dictionaries(script, _outputs_of(call)))


def _size(node):
    """How many words a dictionary has; -1 if that is not seen."""
    parts = node.args if isinstance(node, cst.Call) else node.elements
    plain = [one for one in parts if getattr(one, "keyword", None) or hasattr(one, "key")]
    return len(plain) if len(plain) == len(parts) else -1
