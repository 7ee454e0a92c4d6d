"""`fit` and its old relatives."""

import re

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..origins import made_as_model
from .base import CallRule
from .generators import (
    GENERATOR_METHODS,
    STEPS,
    drop_workers,
    flow_behind,
    makes_float,
    of_a_model,
)
from .wrapped import wraps_a_model

OLD_NAME = "its name since Keras 2"
DROPPED_OF_COMPILE = ("sample_weight_mode", "theano_mode", "experimental_run_tf_function")
DROPPED_OF_COMPILE += ("distribute", "cloning")


def _is_of_a_batch(name):
    """Whether a parameter of this name takes the size of a batch."""
    return "batch" in name.lower() or name.lower() == "bs"


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
            drop_workers(call)
        if call.method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
            call.drop("show_accuracy", "compile(metrics=['accuracy']) does it")
        if call.method in ("train_on_batch", "test_on_batch"):
            call.drop("accuracy", "compile(metrics=['accuracy']) does it")
        if call.method == "fit":
            call.rename("X", "x", OLD_NAME)
        text = literal(call.keyword("class_weight"))
        if text is not None:
            call.drop("class_weight", "Keras 3 takes a dictionary")
            call.script.undecided(
                call.original,
                f"class_weight={text!r} is left out, so all classes weigh the same: pass a "
                "dictionary such as {0: 1.0, 1: 3.0} if they shall not",
            )
        self._samples(call, "samples_per_epoch", "steps_per_epoch", call.value("x", 0))
        self._samples(call, "nb_val_samples", "validation_steps", call.keyword("validation_data"))
        self._samples(call, "val_samples", "steps", call.value("x", 0))
        for name in STEPS:
            self._whole_number(call, name)
        if "fit" in call.method:  # the others begin with the first batch, as in Keras 2
            self._endless(call, 0, "steps_per_epoch")
            self._endless(call, "validation_data", "validation_steps")

    def _samples(self, call, old, new, generator):
        value = call.keyword(old)
        if value is None:
            return
        samples, batch = call.code(value), self._batch_size(call.script, generator)
        if batch is None:
            guess = call.script.batch_size_name(call.original)
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
        if batch == "1":
            made = None
        elif samples.isdigit() and batch.isdigit():
            made = str(max(1, int(samples) // int(batch)))
        else:
            made = f"max(1, {samples if simple else f'({samples})'} // {batch})"
        call.rename(old, new, "counts batches, not samples", made=made)

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
                if arg.keyword is not None and _is_of_a_batch(arg.keyword.value):
                    return script.code(arg.value)
                if arg.keyword is None and "batch" in script.code(arg.value).lower():
                    return script.code(arg.value)
            name = dotted(generator.func).rpartition(".")[2]
            parameters = [
                one for one in script.facts.parameters.get(name, ()) if one.name.value != "self"
            ]
            for parameter, arg in zip(parameters, generator.args, strict=False):
                if arg.keyword is None and _is_of_a_batch(parameter.name.value):
                    return script.code(arg.value)
            for parameter in parameters[len(generator.args) :]:
                if _is_of_a_batch(parameter.name.value) and parameter.default is not None:
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
        if where == 0:
            call.put_value("x", 0, made)
        else:
            call.put(where, made)
        call.change(
            code if len(code) < 40 else "the iterator",
            "(batch for batch in …)",
            f"{steps} counts on across epochs; the iterator alone would end after each pass",
        )


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
        self._third(call)
        call.drop("class_mode", "the loss says it")
        for name in DROPPED_OF_COMPILE:
            call.drop(name, "Keras 3 has no such argument")
        if call.code(call.keyword("target_tensors")) == "None":
            call.drop("target_tensors", "Keras 3 has no such argument")
        call.rename("experimental_steps_per_execution", "steps_per_execution", "its name today")
        if call.script.facts.shows_accuracy and call.value("metrics", 2) is None:
            call.put("metrics", "['accuracy']")
            call.change("show_accuracy=True in fit", "metrics=['accuracy']", "it belongs here now")

    def _third(self, call):
        """Name the metrics, which were the third argument; the third of today are weights."""
        script = call.script
        if len(call.positional) < 3 or script.facts.keras_3:
            return
        third = call.original.args[2].value
        values = script.facts.flow.values(third) or [third]
        if any(_numbers(one) for one in values):
            return
        seen = all(isinstance(one, (cst.List, cst.Tuple, cst.Dict)) for one in values)
        weights = len(call.positional) > 3 and _numbers(call.original.args[3].value)
        old = script.facts.keras_1 and not weights
        fourth = "sample_weight_mode" if old else "loss_weights"
        call.name_positional(["metrics", fourth], 2, 2)
        code = call.code(third)
        call.change(code, f"metrics={code}", "the third argument is loss_weights now", seen)


def _numbers(node):
    """Whether a list or a dictionary holds numbers, as the weights of losses are."""
    inside = [getattr(element, "value", None) for element in getattr(node, "elements", ())]
    return any(isinstance(one, (cst.Integer, cst.Float, cst.UnaryOperation)) for one in inside)


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
        script = call.script
        if not of_a_model(call) or wraps_a_model(script, call.receiver):
            return
        if call.method == "predict_proba":
            is_one = made_as_model(script, call.receiver)
            if is_one or dotted(call.receiver) in script.facts.models:
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


class Probabilities(CallRule):
    """Make classes of probabilities without a function of Keras 1.

    Before:
        from keras.utils.np_utils import probas_to_classes, categorical_probas_to_classes
        many = categorical_probas_to_classes(x)
        classes = probas_to_classes(model.predict(x))
    After:
        many = (x).argmax(axis=1)
        classes = (lambda p: p.argmax(axis=1) if p.shape[-1] > 1 else (p > 0.5).astype(int).ravel())(model.predict(x))
    """  # noqa: E501

    functions = ("keras.utils.probas_to_classes", "keras.utils.categorical_probas_to_classes")

    def change(self, call):
        if len(call.args) != 1 or call.starred:
            return
        given = call.script.module.code_for_node(call.args[0].value)
        name = call.full.rpartition(".")[2]
        if name == "probas_to_classes":
            call.replace(
                "(lambda p: p.argmax(axis=1) if p.shape[-1] > 1 else "
                f"(p > 0.5).astype(int).ravel())({given})"
            )
        else:
            call.replace(f"({given}).argmax(axis=1)")
        call.change(f"{name}(", "argmax, or a threshold", "the function is gone")


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
            call.change(
                "multi_gpu_model(…)",
                call.code(model),
                "the function is gone; this trains on one device",
            )


class ResetStates(CallRule):
    """Reset recurrent layers one by one: a model of Keras 3 has no method for it.

    Before:
        from keras.layers import Dense, Input, LSTM
        from keras.models import Sequential
        model = Sequential([Input(batch_shape=(1, 3, 8)), LSTM(4, stateful=True), Dense(1)])
        model.reset_states()
        model.layers[0].reset_states()
    After:
        from keras.layers import Dense, Input, LSTM
        from keras.models import Sequential
        model = Sequential([Input(batch_shape=(1, 3, 8)), LSTM(4, stateful=True), Dense(1)])
        [layer.reset_state() for layer in model.layers if getattr(layer, 'stateful', False)]
        model.layers[0].reset_state()
    """

    methods = ("reset_states",)

    def change(self, call):
        if call.receiver is None or call.args:
            return
        name, facts = call.code(call.receiver), call.script.facts
        made = facts.flow.calls(call.receiver)
        kinds = {call.script.names.full(one.func).rpartition(".")[0] for one in made}
        if ".layers[" in name or ".get_layer(" in name or kinds & {"keras.metrics", "keras.layers"}:
            new = f"{name}.reset_state()"
        elif dotted(call.receiver) in facts.models or any(map(facts.makes_model, made)):
            layers = f"{name}.layers if getattr(layer, 'stateful', False)"
            new = f"[layer.reset_state() for layer in {layers}]"
        else:
            said = (
                "a metric or a layer has reset_state() today, and a model resets each of its layers"
            )
            call.script.undecided(call.original, f"{name}.reset_states(): {said}")
            return
        call.replace(new)
        call.change(f"{name}.reset_states()", new, "its name in Keras 3 is reset_state, of layers")


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
