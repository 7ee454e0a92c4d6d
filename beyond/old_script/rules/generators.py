"""Generators: steps, batches, and what they yield."""

import libcst as cst

from ..calls import argument
from ..classes import SEQUENCES
from ..names import dotted
from ..origins import ONLY_KERAS, is_model
from .base import CallRule, StatementRule

OLD_NAME = "its name since Keras 2"

GENERATOR_METHODS = {
    "fit_generator": "fit",
    "evaluate_generator": "evaluate",
    "predict_generator": "predict",
}


POSITIONS = {
    "fit_generator": ["generator", "steps_per_epoch", "epochs", "verbose", "callbacks"]
    + ["validation_data", "validation_steps", "class_weight", "max_queue_size", "workers"]
    + ["use_multiprocessing", "shuffle", "initial_epoch"],
    "evaluate_generator": ["generator", "steps", "max_queue_size", "workers"]
    + ["use_multiprocessing", "verbose"],
    "predict_generator": ["generator", "steps", "max_queue_size", "workers"]
    + ["use_multiprocessing", "verbose"],
}


DROPPED = {
    "max_q_size": "Keras 3 has no such argument",
    "max_queue_size": "Keras 3 has no such argument",
    "nb_worker": "Keras 3 has no such argument",
    "workers": "Keras 3 has no such argument",
    "pickle_safe": "Keras 3 has no such argument",
    "use_multiprocessing": "Keras 3 has no such argument",
}


STEPS = ("steps_per_epoch", "validation_steps", "steps")


# Old name -> the argument of today's `Sequence`.
OF_SEQUENCE = {
    "max_q_size": "max_queue_size",
    "max_queue_size": "max_queue_size",
    "nb_worker": "workers",
    "workers": "workers",
    "pickle_safe": "use_multiprocessing",
    "use_multiprocessing": "use_multiprocessing",
}


def drop_workers(call) -> None:
    """Take out how batches are made in parallel; where a `Sequence` is given, it takes that."""
    found = []
    for name, why in DROPPED.items():
        value = call.drop(name, why)
        if value is not None:
            found.append(f"{OF_SEQUENCE[name]}={call.code(value)}")
    given = argument(call.original, "generator") or argument(call.original, "x", 0)
    made = call.script.facts.flow.calls(given)
    own = [dotted(one.func).rpartition(".")[2] for one in made]
    own = [name for name in own if call.script.facts.own.bases.get(name, set()) & SEQUENCES]
    found = [one for one in found if one not in ("workers=0", "workers=1")]
    if own and any(one.startswith("workers") for one in found):
        call.script.silent(
            call.original,
            f"{', '.join(found)} left out: today a Sequence takes them, so in the __init__ of "
            f"{own[0]} write super().__init__({', '.join(found)})",
            of_change=True,
        )


def of_a_model(call) -> bool:
    """Whether a method's owner is a model; where that is not seen, the reader is told."""
    if call.receiver is None:
        return False
    said = is_model(call.script, call.receiver, call.method)
    if said is None and call.method in ONLY_KERAS:
        call.script.undecided(
            call.original,
            f"{call.method}: a class of the script has such a method, and "
            f"{call.code(call.receiver)} is not seen to be a model of Keras, so nothing changed",
        )
    return bool(said)


class Generators(CallRule):
    """Train, evaluate and predict from a generator with the methods for arrays.

    Before:
        def batches():
            while True:
                yield x, y
        model.fit_generator(batches(), steps_per_epoch=2, nb_epoch=1, workers=4)
        model.evaluate_generator(generator=batches(), steps=2)
    After:
        def batches():
            while True:
                yield x, y
        model.fit(batches(), steps_per_epoch=2, epochs=1)
        model.evaluate(batches(), steps=2)
    """

    methods = tuple(GENERATOR_METHODS)

    def change(self, call):
        if not of_a_model(call):
            return
        old, new = call.method, GENERATOR_METHODS[call.method]
        words = [call.keyword(word) for word in (*STEPS, "epochs")]
        both = call.script.facts.keras_1 and call.script.facts.keras_2
        keras_1 = call.script.facts.keras_1 and not both
        keras_1 = keras_1 and not any(word is not None for word in words)
        keras_1 = keras_1 and not (len(call.positional) > 1 and self._divided(call))
        names = list(POSITIONS[old])
        if keras_1:
            names[1] = "samples_per_epoch" if new == "fit" else "val_samples"
            if new == "fit":
                names[6] = "nb_val_samples"
        counted = len(call.positional) > 1 and not call.starred
        if counted and not keras_1 and (both or not self._of_keras_2(call)):
            call.script.undecided(
                call.original,
                f"{old}(…, {call.code(call.positional[1].value)}): in Keras 1 this was a number of "
                f"samples; if the script is that old, divide it by the size of a batch",
            )
        if not call.starred:
            call.name_positional(names, 1)
        if call.keyword("generator") is not None:
            self._first(call)
        call.call_instead(new)
        call.change(f"{old}(", f"{new}(", "one method for arrays and generators")
        drop_workers(call)

    def _divided(self, call):
        """Whether the second argument is a quotient, so that it counts batches."""
        node = call.positional[1].value
        while isinstance(node, cst.Call) and node.args:
            node = node.args[0].value
        divides = (cst.Divide, cst.FloorDivide)
        return isinstance(node, cst.BinaryOperation) and isinstance(node.operator, divides)

    def _of_keras_2(self, call):
        script = call.script
        return script.facts.keras_2 or script.uses_tensorflow_keras or script.facts.keras_3

    def _first(self, call):
        arg = next(a for a in call.args if a.keyword and a.keyword.value == "generator")
        plain = arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
        if call.args[0] is arg:
            call.args[0] = plain
        else:
            call.args = [
                a.with_changes(keyword=cst.Name("x")) if a is arg else a for a in call.args
            ]


def flow_behind(script, generator, depth=0) -> cst.Call | None:
    """The call of `flow` or `flow_from_directory` that made a generator, if it is seen."""
    if isinstance(generator, cst.Call) and isinstance(generator.func, cst.Attribute):
        if generator.func.attr.value in ("flow", "flow_from_directory", "flow_from_dataframe"):
            return generator
        return None
    values = script.facts.flow.values(generator)
    return flow_behind(script, values[0], depth + 1) if len(values) == 1 and depth < 4 else None


def makes_float(script, value, depth=0) -> bool:
    """Whether an expression ends in a division or in NumPy's ceil, as far as it is seen."""
    if isinstance(value, cst.BinaryOperation):
        if isinstance(value.operator, cst.Divide):
            return True
        if isinstance(value.operator, (cst.Add, cst.Subtract, cst.Multiply)):
            return makes_float(script, value.left, depth) or makes_float(script, value.right, depth)
    if isinstance(value, cst.Call):
        return script.names.raw(value.func) in ("numpy.ceil", "numpy.floor", "numpy.round")
    if isinstance(value, (cst.Name, cst.Attribute)) and depth < 3:
        return any(makes_float(script, one, depth + 1) for one in script.facts.flow.values(value))
    return isinstance(value, cst.Float)


class Yields(StatementRule):
    """Yield tuples from a generator that trains.

    Before:
        def pairs():
            while True:
                yield [x, y]
        model.fit_generator(pairs(), steps_per_epoch=1, epochs=1)
    After:
        def pairs():
            while True:
                yield (x, y)
        model.fit(pairs(), steps_per_epoch=1, epochs=1)
    """

    def statement(self, original, updated, script):
        if not isinstance(original, cst.Expr) or not isinstance(original.value, cst.Yield):
            return None
        if not script.trains_from_generators:
            return None
        value = updated.value.value
        new = _tuples(value, original.value.value, script)
        if new is value or value is None:
            return None
        script.change(
            original,
            script.code(original),
            script.module.code_for_node(new),
            "Keras 3 takes tuples, not lists",
        )
        return [updated.with_changes(value=updated.value.with_changes(value=new))]


def _tuples(node, original, script, depth=0):
    """An expression with tuples for the lists in it, and around the names of lists."""
    same = isinstance(original, (cst.List, cst.Tuple)) and isinstance(node, type(original))
    if same and depth < 3 and node.elements and len(node.elements) == len(original.elements):
        pairs = zip(node.elements, original.elements, strict=True)
        inner = [
            e.with_changes(value=_tuples(e.value, o.value, script, depth + 1)) for e, o in pairs
        ]
        if isinstance(node, cst.List):
            code = ", ".join(
                cst.Module([]).code_for_node(e.with_changes(comma=cst.MaybeSentinel.DEFAULT))
                for e in inner
            )
            return cst.parse_expression(f"({code}{',' if len(inner) == 1 else ''})")
        if any(a.value is not b.value for a, b in zip(inner, node.elements, strict=True)):
            return node.with_changes(elements=inner)
    if isinstance(node, (cst.Name, cst.Attribute)) and 0 < depth < 3:
        values = script.facts.flow.values(original)
        if values and all(_is_list(one) for one in values):
            return cst.Call(cst.Name("tuple"), [cst.Arg(node)])
    if isinstance(node, cst.ListComp) and 0 < depth < 3:
        return cst.Call(cst.Name("tuple"), [cst.Arg(node)])
    return node


def _is_list(node):
    return isinstance(node, cst.ListComp) or (isinstance(node, cst.List) and bool(node.elements))


class Items(StatementRule):
    """Return tuples from a `Sequence` of the script's own.

    Before:
        from keras.utils import Sequence
        class Pairs(Sequence):
            def __len__(self):
                return 2
            def __getitem__(self, index):
                return [x], [y]
        model.fit_generator(Pairs(), epochs=1)
    After:
        from keras.utils import Sequence
        class Pairs(Sequence):
            def __len__(self):
                return 2
            def __getitem__(self, index):
                return (x,), (y,)
        model.fit(Pairs(), epochs=1)
    """

    def statement(self, original, updated, script):
        if not isinstance(original, cst.Return) or original.value is None:
            return None
        if original not in script.facts.own.items:
            return None
        value, old = updated.value, original.value
        new = _tuples(value, old, script)
        if isinstance(value, cst.List):  # a list of arrays is taken as it is
            pairs = zip(value.elements, old.elements, strict=True)
            if all(_tuples(e.value, o.value, script, 1) is e.value for e, o in pairs):
                return None
        if new is value:
            return None
        code = script.module.code_for_node(new)
        script.change(original, script.code(old), code, "Keras 3 takes tuples, not lists")
        return [updated.with_changes(value=new)]


class PredictedBatches(CallRule):
    """Predict from a generator that yields no tuples.

    Before:
        def rows():
            for row in x:
                yield row[None]
        answers = model.predict_generator(rows(), steps=4)
    After:
        def rows():
            for row in x:
                yield row[None]
        answers = model.predict((batch if isinstance(batch, tuple) else (batch,) for batch in rows()), steps=4)
    """  # noqa: E501

    methods = ("predict", "predict_generator")

    def change(self, call):
        given, script = call.value("x", 0), call.script
        if given is None or not of_a_model(call):
            return
        yielded = [
            value
            for one in script.facts.flow.calls(argument(call.original, "x", 0))
            for value in script.facts.yielded.get(dotted(one.func).rpartition(".")[2], ())
        ]
        if not yielded or all(isinstance(value, cst.Tuple) for value in yielded):
            return
        code = call.code(given)
        made = f"(batch if isinstance(batch, tuple) else (batch,) for batch in {code})"
        call.put_value("x", 0, made)
        call.change(code, "(batch,) for each batch", "Keras 3 takes tuples only")


class NextMethod(CallRule):
    """Take the next batch with the function `next`.

    Before:
        def batches():
            while True:
                yield x, y
        source = batches()
        first, labels = source.next()
    After:
        def batches():
            while True:
                yield x, y
        source = batches()
        first, labels = next(source)
    """

    methods = ("next",)

    def change(self, call):
        if call.args or call.receiver is None:
            return
        script, name = call.script, dotted(call.receiver)
        flow = flow_behind(script, call.receiver) is not None
        made = script.facts.assigned.get(name, ())
        own = any(
            isinstance(value, cst.Call)
            and dotted(value.func).rpartition(".")[2] in script.facts.generators
            for value in made
        )
        if flow or own:
            call.replace(f"next({script.module.code_for_node(call.updated_receiver)})")
            call.change(f"{name}.next()", f"next({name})", "Python 3")
