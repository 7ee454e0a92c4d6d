"""Weights of samples that are given by the names of the outputs."""

import libcst as cst

from ..calls import argument
from ..names import dotted
from .base import CallRule
from .generators import of_a_model

WHY = "Keras 3 takes weights and targets in one structure, that of the outputs"
# Method -> the place of the weights without a name.
PLACES = {"fit": 10, "evaluate": 4, "train_on_batch": 2, "test_on_batch": 2}


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
        rows = Input((8,))
        net = Model(inputs=rows, outputs=[Dense(1, name='a')(rows), Dense(1, name='b')(rows)])
        net.compile('sgd', 'mse')
        weights = {'a': np.ones(4), 'b': np.zeros(4)}
        net.fit(x, [{'a': y, 'b': y}[name] for name in net.output_names], sample_weight=[weights[name] for name in net.output_names])
        net.fit(x, [y, y], sample_weight=[weights[name] for name in net.output_names])
    """  # noqa: E501

    methods = tuple(PLACES)

    def change(self, call):
        script, original = call.script, call.original
        weights = argument(original, "sample_weight", PLACES[call.method])
        if _dictionaries(script, weights) and of_a_model(call):
            targets = argument(original, "y", 1)
            new = self._in_order(call, targets, weights)
            for name, place, given in (("y", 1, 0), ("sample_weight", PLACES[call.method], 1)):
                old = call.code((targets, weights)[given])
                if new is not None and new[given] != old:
                    call.put_value(name, place, new[given])
                    call.change(f"{name}={old}", f"{name}={new[given]}", WHY)
        self._validation(call)

    def _validation(self, call):
        """The targets and the weights of `validation_data=(x, y, weights)`."""
        given = argument(call.original, "validation_data")
        parts = [one.value for one in getattr(given, "elements", ())]
        if len(parts) != 3 or not _dictionaries(call.script, parts[2]) or not of_a_model(call):
            return
        new = self._in_order(call, parts[1], parts[2])
        if new is not None:
            made = f"({call.code(parts[0])}, {new[0]}, {new[1]})"
            call.put("validation_data", made)
            call.change(f"validation_data={call.code(given)}", f"validation_data={made}", WHY)

    def _in_order(self, call, targets, weights):
        """The code of targets and weights as lists; None if that cannot be seen."""
        script, name = call.script, call.code(call.receiver)
        made = script.facts.flow.calls(call.receiver)
        counts = {outputs(script, one) for one in made}
        count = counts.pop() if len(counts) == 1 else 0
        by_name = _dictionaries(script, targets)
        values = [targets, *script.facts.flow.values(targets)]
        listed = any(isinstance(one, (cst.List, cst.Tuple)) for one in values)
        whole = all(_size(one) == count for one in _dictionaries(script, weights))
        if count and whole and (by_name or listed or count == 1):
            order = f"for name in {name}.output_names]"
            new = f"[{call.code(weights)}[name] {order}"
            old = call.code(targets)
            return (f"[{old}[name] {order}" if by_name else old), new
        if count or not made:
            said = "sample_weight by names: Keras 3 takes it so only if outputs and targets are "
            said += f"dictionaries too; write both as lists in the order of {name}.output_names"
            script.undecided(call.original, said, always=bool(count))
        return None


def outputs(script, call: cst.Call) -> int:
    """How many outputs a model is built with, 0 if that is not seen.

    Arguments:
        script: The script.
        call: What makes the model.
    """
    if script.names.full(call.func) not in ("keras.Model", "keras.models.Model"):
        return 0
    given = argument(call, "output") or argument(call, "outputs", 1)
    values = [given] if not isinstance(given, cst.Name) else script.facts.flow.values(given)
    counts = {_count(one) for one in values}
    return counts.pop() if len(counts) == 1 else 0


def _count(node):
    if isinstance(node, (cst.List, cst.Tuple)):
        return len(node.elements)
    return 0 if node is None or isinstance(node, cst.Dict) else 1


def _dictionaries(script, node):
    """The dictionaries that an expression is seen to be."""
    values = [node] if _is_dictionary(node) else script.facts.flow.values(node)
    return values if all(_is_dictionary(one) for one in values) else []


def _is_dictionary(node):
    is_call = isinstance(node, cst.Call) and dotted(node.func) == "dict"
    return is_call or isinstance(node, cst.Dict)


def _size(node):
    """How many words a dictionary has; -1 if that is not seen."""
    parts = node.args if isinstance(node, cst.Call) else node.elements
    plain = [one for one in parts if getattr(one, "keyword", None) or hasattr(one, "key")]
    return len(plain) if len(plain) == len(parts) else -1
