"""`fit` and its old relatives."""

import re

import libcst as cst

from ..facts import literal
from ..names import dotted
from .base import CallRule, ExpressionRule, StatementRule

OLD_NAME = "its name since Keras 2"
GENERATOR_METHODS = {
    "fit_generator": "fit",
    "evaluate_generator": "evaluate",
    "predict_generator": "predict",
}
# Positional arguments of Keras 2, with their names of today; "" for what is gone.
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


def of_a_model(call) -> bool:
    """Whether a method's owner may be a model: not a module, and not the script's own class."""
    receiver, script = call.receiver, call.script
    if receiver is None:
        return False
    name = dotted(receiver)
    made = [one for one in script.facts.assigned.get(name, ()) if isinstance(one, cst.Call)]
    if made and all(script.facts.own_classes.get(dotted(one.func)) is False for one in made):
        return False
    if name in script.facts.models:
        return True
    if name and script.names.raw(receiver):
        return False
    if call.method in script.facts.own_methods | script.foreign_methods:
        return any(script.facts.makes_model(value) for value in made)
    return True


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
        keras_1 = call.script.facts.keras_1 and not any(
            call.keyword(word) is not None for word in (*STEPS, "epochs")
        )
        names = list(POSITIONS[old])
        if keras_1:
            names[1] = "samples_per_epoch" if new == "fit" else "val_samples"
            if new == "fit":
                names[6] = "nb_val_samples"
        if not call.starred:
            call.name_positional(names, 1)
        if call.keyword("generator") is not None:
            self._first(call)
        call.call_instead(new)
        call.change(f"{old}(", f"{new}(", "one method for arrays and generators")
        for name, why in DROPPED.items():
            call.drop(name, why)

    def _first(self, call):
        arg = next(a for a in call.args if a.keyword and a.keyword.value == "generator")
        plain = arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)
        if call.args[0] is arg:
            call.args[0] = plain
        else:
            call.args = [
                a.with_changes(keyword=cst.Name("x")) if a is arg else a for a in call.args
            ]


class FitArguments(CallRule):
    """Give the arguments of `fit` their names of today, and count batches instead of samples.

    Before:
        model.fit(x, y, nb_epoch=1, show_accuracy=True)
        model.fit(x, y, steps_per_epoch=len(x) / 2, epochs=1, batch_size=2)
    After:
        model.fit(x, y, epochs=1)
        model.fit(x, y, steps_per_epoch=len(x) // 2, epochs=1, batch_size=2)
    """

    methods = ("fit", "evaluate", "predict", *GENERATOR_METHODS, "train_on_batch", "test_on_batch")

    def change(self, call):
        if not of_a_model(call):
            return
        call.rename("nb_epoch", "epochs", OLD_NAME)
        call.rename("nb_epochs", "epochs", OLD_NAME)
        if call.keyword("epochs") is not None or call.keyword("callbacks") is not None:
            for name, why in DROPPED.items():
                call.drop(name, why)
        if call.method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
            call.drop("show_accuracy", "compile(metrics=['accuracy']) does it")
        if call.method == "fit":
            call.rename("X", "x", OLD_NAME)
        self._samples(call, "samples_per_epoch", "steps_per_epoch", call.value("x", 0))
        self._samples(call, "nb_val_samples", "validation_steps", call.keyword("validation_data"))
        self._samples(call, "val_samples", "steps", call.value("x", 0))
        for name in STEPS:
            self._whole_number(call, name)
        self._endless(call, 0, "steps_per_epoch" if "fit" in call.method else "steps")
        self._endless(call, "validation_data", "validation_steps")

    def _samples(self, call, old, new, generator):
        value = call.keyword(old)
        if value is None:
            return
        samples, batch = call.code(value), self._batch_size(call.script, generator)
        if batch is None:
            guess = call.script.batch_size_name()
            if guess is None:
                call.rename(old, new, "counts batches, not samples")
                call.script.undecided(
                    call.original,
                    f"{new}={samples} was a number of samples: divide it by the size of a batch",
                )
                return
            call.script.undecided(
                call.original, f"{new}: check that a batch of the generator has {guess} samples"
            )
            batch = guess
        simple = re.fullmatch(r"[\w.]+|len\([\w.]+\)|[\w.]+\[0\]|\d+", samples)
        call.rename(old, new, "counts batches, not samples")
        if batch == "1":
            return
        numbers = samples.isdigit() and batch.isdigit()
        if numbers:
            made = str(max(1, int(samples) // int(batch)))
        else:
            made = f"max(1, {samples if simple else f'({samples})'} // {batch})"
        call.put(new, made)
        call.change(f"{old}={samples}", f"{new}={made}", "counts batches, not samples")

    def _batch_size(self, script, generator):
        """The size of a batch that the generator yields, as code; None if that is not seen."""
        flow = flow_behind(script, generator)
        if flow is not None:
            for arg in flow.args:
                if arg.keyword is not None and arg.keyword.value == "batch_size":
                    return script.code(arg.value)
            given = [arg for arg in flow.args if arg.keyword is None]
            method = flow.func.attr.value
            if method == "flow" and len(given) > 2:
                return script.code(given[2].value)
            return "32"
        if isinstance(generator, cst.Name):
            values = script.facts.assigned.get(generator.value, ())
            generator = values[0] if len(values) == 1 else generator
        if isinstance(generator, cst.Call):
            for arg in generator.args:
                if arg.keyword is not None and arg.keyword.value == "batch_size":
                    return script.code(arg.value)
                if arg.keyword is None and "batch" in script.code(arg.value).lower():
                    return script.code(arg.value)
            name = dotted(generator.func).rpartition(".")[2]
            parameters = [
                one for one in script.facts.parameters.get(name, ()) if one.name.value != "self"
            ]
            for parameter, arg in zip(parameters, generator.args, strict=False):
                if arg.keyword is None and "batch" in parameter.name.value.lower():
                    return script.code(arg.value)
            for parameter in parameters[len(generator.args) :]:
                if "batch" in parameter.name.value.lower() and parameter.default is not None:
                    return script.code(parameter.default)
        return None

    def _whole_number(self, call, name):
        value = call.keyword(name)
        if value is None:
            return
        code = call.code(value)
        if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Divide):
            new = value.with_changes(
                operator=cst.FloorDivide(
                    value.operator.whitespace_before, value.operator.whitespace_after
                )
            )
            call.put(name, new)
            call.change(f"{name}={code}", f"{name}={call.code(new)}", "must be a whole number")
            return
        if not makes_float(call.script, value):
            return
        call.put(name, f"int({code})")
        call.change(f"{name}={code}", f"{name}=int({code})", "must be a whole number")

    def _endless(self, call, where, steps):
        """Keep the old meaning of steps for the iterators of ImageDataGenerator."""
        script, count = call.script, call.keyword(steps)
        generator = call.value("x", 0) if where == 0 else call.keyword(where)
        if count is None or generator is None or flow_behind(script, generator) is None:
            return
        code = call.code(generator)
        if call.code(count) == f"len({code})":
            return
        made = f"(batch for batch in {code})"
        if where == 0 and call.positional:
            call.put_positional(0, made)
        else:
            call.put("x" if where == 0 else where, made)
        call.change(
            code if len(code) < 40 else "the iterator",
            "(batch for batch in …)",
            f"{steps} counts on across epochs; the iterator alone would end after each pass",
        )


def flow_behind(script, generator) -> cst.Call | None:
    """The call of `flow` or `flow_from_directory` that made a generator, if it is seen."""
    if isinstance(generator, cst.Call) and isinstance(generator.func, cst.Attribute):
        if generator.func.attr.value in ("flow", "flow_from_directory", "flow_from_dataframe"):
            return generator
        return None
    name = dotted(generator) if generator is not None else ""
    if name and len(script.facts.assigned.get(name, ())) == 1:
        return script.facts.flows.get(name)
    return None


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
        return any(
            makes_float(script, one, depth + 1)
            for one in script.facts.assigned.get(dotted(value), ())
        )
    return isinstance(value, cst.Float)


class CompileArguments(CallRule):
    """Leave out what `compile` no longer knows, and add the metric that `fit` used to show.

    Before:
        model.compile(loss='mse', optimizer='sgd', class_mode='binary')
        model.fit(x, y, nb_epoch=1, show_accuracy=True)
    After:
        model.compile(loss='mse', optimizer='sgd', metrics=['accuracy'])
        model.fit(x, y, epochs=1)
    """

    methods = ("compile",)

    def change(self, call):
        if not of_a_model(call):
            return
        call.drop("class_mode", "the loss says it")
        for name in ("sample_weight_mode", "target_tensors", "theano_mode"):
            call.drop(name, "Keras 3 has no such argument")
        if call.script.facts.shows_accuracy and call.value("metrics", 2) is None:
            call.put("metrics", "['accuracy']")
            call.change("show_accuracy=True in fit", "metrics=['accuracy']", "it belongs here now")


class Classes(CallRule):
    """Predict classes from what `predict` returns.

    Before:
        from keras.layers import Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(3, activation='softmax', init='uniform'))
        model.compile('sgd', 'categorical_crossentropy')
        classes = model.predict_classes(x)
        chances = model.predict_proba(x)
    After:
        from keras.layers import Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(3, activation='softmax', kernel_initializer='uniform'))
        model.compile('sgd', 'categorical_crossentropy')
        classes = model.predict(x).argmax(axis=-1)
        chances = model.predict(x)
    """

    methods = ("predict_classes", "predict_proba")

    def change(self, call):
        if not of_a_model(call):
            return
        script = call.script
        if call.method == "predict_proba":
            if dotted(call.receiver) in script.facts.models:
                call.call_instead("predict")
                call.change("predict_proba(", "predict(", "the method is gone")
            return
        many = {"categorical_crossentropy", "sparse_categorical_crossentropy"} & script.facts.losses
        two = "binary_crossentropy" in script.facts.losses
        if not many and not two:
            many = "softmax" in script.facts.last_activations
            two = "sigmoid" in script.facts.last_activations and not many
        call.call_instead("predict")
        inner = script.module.code_for_node(call.build())
        if many and not two:
            call.replace(f"{inner}.argmax(axis=-1)")
        elif two and not many:
            call.replace(f'({inner} > 0.5).astype("int32")')
        else:
            call.replace(
                f"(lambda p: p.argmax(axis=-1) if p.shape[-1] > 1 else (p > 0.5).astype('int32'))"
                f"({inner})"
            )
        call.change(
            "predict_classes(", "predict(…) and a threshold or argmax", "the method is gone"
        )


class MetricsNames(ExpressionRule):
    """Write the name of a metric where `metrics_names` was asked for it.

    Before:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, nb_epoch=1)
        print(model.metrics_names[1])
    After:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, epochs=1)
        print('accuracy')
    """

    nodes = ("Subscript",)

    def expression(self, original, updated, script):
        owner = original.value
        if not isinstance(owner, cst.Attribute) or owner.attr.value != "metrics_names":
            return None
        index = script.code(original.slice[0]) if len(original.slice) == 1 else ""
        names = ["loss", *script.metric_list]
        if not index.isdigit() or int(index) >= len(names) or script.metric_list is None:
            script.silent(
                original,
                "metrics_names holds 'loss' and 'compile_metrics' only; use "
                "model.evaluate(..., return_dict=True)",
            )
            return None
        name = names[int(index)]
        script.change(
            original, script.code(original), repr(name), "metrics_names says 'compile_metrics'"
        )
        return cst.parse_expression(repr(name))


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
        new = _tuples(value)
        if new is value or value is None:
            return None
        script.change(
            original,
            script.code(original),
            script.module.code_for_node(new),
            "Keras 3 takes tuples, not lists",
        )
        return [updated.with_changes(value=updated.value.with_changes(value=new))]


def _tuples(node, depth=0):
    if isinstance(node, cst.List) and depth < 3 and node.elements:
        inner = [e.with_changes(value=_tuples(e.value, depth + 1)) for e in node.elements]
        code = ", ".join(
            cst.Module([]).code_for_node(e.with_changes(comma=cst.MaybeSentinel.DEFAULT))
            for e in inner
        )
        return cst.parse_expression(f"({code}{',' if len(inner) == 1 else ''})")
    if isinstance(node, cst.Tuple) and depth < 3:
        inner = [e.with_changes(value=_tuples(e.value, depth + 1)) for e in node.elements]
        if any(a.value is not b.value for a, b in zip(inner, node.elements, strict=True)):
            return node.with_changes(elements=inner)
    return node


class OneGpu(CallRule):
    """Train on one device where several were asked for in the old way.

    Before:
        from keras.utils import multi_gpu_model
        parallel = multi_gpu_model(model, gpus=2)
    After:
        parallel = model
    """

    functions = ("keras.utils.multi_gpu_model",)

    def change(self, call):
        model = call.value("model", 0)
        if model is not None:
            call.replace(call.code(model))
            call.change("multi_gpu_model(…)", call.code(model), "the function is gone")


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


class NoteModelUse(CallRule):
    """Tell of calls that go on but do something else today.

    Before:
        model.fit(x, y, nb_epoch=1)
        literal = 1
    After:
        model.fit(x, y, epochs=1)
        literal = 1
    """

    methods = ("pop",)

    def change(self, call):
        if dotted(call.receiver).endswith(".layers") and literal(call.receiver) is None:
            call.script.silent(
                call.original,
                f"{dotted(call.receiver)}.pop() changes a copy of the list: build a new model from "
                "the output of the layer before",
            )
