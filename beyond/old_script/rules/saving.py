"""Structures and checkpoints, apart from the names of files (see `filenames`)."""

import libcst as cst

from ..classes import MODELS
from ..literals import literal
from ..names import dotted
from ..origins import is_model, made_as_model
from ..paths import ends
from .base import CallRule
from .generators import of_a_model


class Yaml(CallRule):
    """Keep the structure as JSON; Keras 3 has no YAML.

    Before:
        from keras.models import model_from_yaml
        text = model.to_yaml()
        model = model_from_yaml(text)
    After:
        from keras.models import model_from_json
        text = model.to_json()
        model = model_from_json(text)
    """

    methods = ("to_yaml", "model_from_yaml")
    functions = ("keras.models.model_from_yaml", "keras.models.model_from_json")

    def change(self, call):
        if call.method == "to_yaml":
            call.call_instead("to_json")
            call.change("to_yaml(", "to_json(", "YAML could run code, so Keras 3 has none")
        elif dotted(call.original.func).endswith("model_from_yaml"):
            name = dotted(call.original.func).replace("model_from_yaml", "model_from_json")
            call.func = cst.parse_expression(name)
            call.change("model_from_yaml(", "model_from_json(", "Keras 3 has no YAML")
            call.script.silent(
                call.original, "a YAML file of Keras 1 or 2 cannot be read; build the model in code"
            )


FILES = (".h5", ".hdf5", ".keras")


class FolderOfWeights(CallRule):
    """Make the folder that a checkpoint of TensorFlow made by itself.

    Before:
        model.save_weights('saved/checkpoint')
    After:
        import os
        os.makedirs('saved', exist_ok=True)
        model.save_weights('saved/checkpoint.weights.h5')
    """

    methods = ("save_weights", "save")

    def change(self, call):
        args = call.original.args
        if not of_a_model(call):
            return
        found = ends(call.script, args[0].value) if args else []
        if not any("/" in text and not text.endswith(FILES) for _, text, _ in found):
            return
        of_tensorflow = call.script.uses_tensorflow_keras
        if call.method == "save" and not (
            of_tensorflow and made_as_model(call.script, call.receiver)
        ):
            return
        system, text = call.script.need_module("os"), literal(args[0].value)
        folder = f"{system}.path.dirname({call.code(args[0].value)})"
        if text is not None:
            folder = repr(text.rpartition("/")[0])
        line = f"{system}.makedirs({folder}, exist_ok=True)"
        call.script.pending.append(line)
        call.change("no such folder", line, f"{call.method} makes no folder")


class LatestCheckpoint(CallRule):
    """Find the newest file of weights by its time.

    Before:
        import tensorflow as tf
        model.save_weights("s/cp.ckpt")
        newest = tf.train.latest_checkpoint("s")
        model.load_weights(newest)
    After:
        import tensorflow as tf
        import os
        import glob
        os.makedirs('s', exist_ok=True)
        model.save_weights("s/cp.weights.h5")
        newest = max(glob.glob(os.path.join("s", "*.weights.h5")), key=os.path.getmtime)
        model.load_weights(newest)
    """

    functions = ("tensorflow.train.latest_checkpoint",)

    def change(self, call):
        if not call.positional or (call.script.facts_of_tf_checkpoint and not self._loads(call)):
            return
        folder = call.code(call.positional[0].value)
        system, find = call.script.need_module("os"), call.script.need_module("glob")
        made = (
            f'max({find}.glob({system}.path.join({folder}, "*.weights.h5")), '
            f"key={system}.path.getmtime)"
        )
        call.replace(made)
        call.change(call.code(call.original), made, "the newest file; Keras 3 writes .weights.h5")

    def _loads(self, call):
        """Whether Keras, not a checkpoint of TensorFlow, is given the name."""
        flow = call.script.facts.flow
        for one in call.script.facts.calls:
            if isinstance(one.func, cst.Attribute) and one.func.attr.value == "load_weights":
                given = [arg.value for arg in one.args[:1]]
                if any(call.original in (node, *flow.values(node)) for node in given):
                    return True
        return False


class LoadStatus(CallRule):
    """Load weights without asking what became of each: Keras 3 fails where one is missing.

    Before:
        model.save_weights('own.h5')
        model.load_weights('own.h5').expect_partial()
        status = model.load_weights('own.h5')
        status.assert_consumed()
    After:
        model.save_weights('own.weights.h5')
        model.load_weights('own.weights.h5')
        status = model.load_weights('own.weights.h5')
    """

    methods = (
        "expect_partial",
        "assert_consumed",
        "assert_existing_objects_matched",
        "assert_nontrivial_match",
        "initialize_or_restore",
        "run_restore_ops",
    )

    def change(self, call):
        script, owner = call.script, call.receiver
        made = script.facts.flow.calls(owner)
        if owner is None or not made or not all(self._loads(script, one) for one in made):
            return
        inner = script.module.code_for_node(call.updated_receiver)
        call.replace(inner if isinstance(owner, cst.Call) else "None")
        call.change(f".{call.method}()", "", "load_weights returns nothing today")
        if call.method == "assert_consumed":
            call.script.silent(
                call.original,
                "assert_consumed also failed where the file held more than the model; today "
                "load_weights takes what it needs and says nothing",
                of_change=True,
            )

    def _loads(self, script, call):
        loads = isinstance(call.func, cst.Attribute) and call.func.attr.value == "load_weights"
        return loads and is_model(script, call.func.value, "load_weights") is not False


class LambdaStructures(CallRule):
    """Make a model of a structure of your own that has a `Lambda` layer.

    Before:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, clone_model
        model = Sequential()
        model.add(Lambda(lambda v: v * 2, input_shape=(8,)))
        model.add(Dense(1, init='uniform'))
        twin = clone_model(model)
    After:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, clone_model
        from keras import Input
        from keras import config
        model = Sequential()
        model.add(Input((8,)))
        model.add(Lambda(lambda v: v * 2))
        model.add(Dense(1, kernel_initializer='uniform'))
        config.enable_unsafe_deserialization()
        twin = clone_model(model)
    """

    functions = (
        "keras.models.clone_model",
        "keras.models.model_from_json",
        "keras.models.model_from_yaml",
        "keras.Sequential.from_config",
        "keras.models.Sequential.from_config",
        "keras.Model.from_config",
        "keras.models.Model.from_config",
    )
    of_keras_2 = (
        "model_from_json: Keras 3 cannot read what Keras 1 or 2 wrote with to_json; build such a "
        "model in code and load its weights"
    )

    def change(self, call):
        script = call.script
        if call.full.endswith("model_from_json") and not self._writes_json(script):
            script.undecided(call.original, self.of_keras_2)
        if not script.facts.lambdas or "enable_unsafe_deserialization" in script.source.text:
            return
        line = f"{script.need('keras', 'config')}.enable_unsafe_deserialization()"
        if line not in script.pending:
            script.pending.append(line)
        why = "your own Lambda layer; a file from a stranger could run code from here on"
        call.change(f"{call.full.rpartition('.')[2]}(", f"{line} before it", why)
        if script.facts.lambda_names:
            script.undecided(
                call.original,
                f"the Lambda layer uses {_listed(script.facts.lambda_names)}, which the new model "
                "does not find: give its function a name and "
                "@keras.saving.register_keras_serializable()",
            )

    def _writes_json(self, script):
        return any(dotted(one.func).endswith(".to_json") for one in script.facts.calls)


class OwnClasses(CallRule):
    """Tell of classes of your own, which a SavedModel held and a file of Keras 3 does not.

    Before:
        import os
        import tensorflow as tf
        class Net(tf.keras.Model):
            def __init__(self):
                super().__init__()
                self.last = tf.keras.layers.Dense(1)
            def call(self, x):
                return self.last(x)
        net = Net()
        net.compile(tf.keras.optimizers.SGD(lr=0.1), 'mse')
        net.fit(x, y)
        net.save('whole')
        again = lambda: tf.keras.models.load_model('whole')
    After:
        import os
        import tensorflow as tf
        class Net(tf.keras.Model):
            def __init__(self):
                super().__init__()
                self.last = tf.keras.layers.Dense(1)
            def call(self, x):
                return self.last(x)
        net = Net()
        net.compile(tf.keras.optimizers.SGD(learning_rate=0.1), 'mse')
        net.fit(x, y)
        net.save('whole.keras')
        again = lambda: tf.keras.models.load_model('whole.keras')
    """

    functions = ("keras.models.load_model",)

    def change(self, call):
        script = call.script
        own = script.facts.own
        kinds = (*MODELS, "keras.layers.")
        names = sorted(
            n for n, bases in own.bases.items() if any(b.startswith(kinds) for b in bases)
        )
        if not names or call.keyword("custom_objects") is not None or call.starred:
            return
        given = call.original.args[0].value if call.original.args else None
        texts = [text for _, text, _ in ends(script, given)] if given is not None else []
        if not texts or all(text.endswith(FILES) for text in texts):
            return
        objects = ", ".join(f"{name!r}: {name}" for name in names)
        said = f"the file does not hold your classes: load_model(…, custom_objects={{{objects}}}), "
        said += "and let their __init__ take **kwargs and pass them to super().__init__(**kwargs)"
        script.undecided(call.original, said)


class LambdaModels(CallRule):
    """Load a model of your own that has a `Lambda` layer.

    Before:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, load_model
        model = Sequential()
        model.add(Lambda(lambda v: v * 2, input_shape=(8,)))
        model.add(Dense(1, init='uniform'))
        model.save('doubled.h5')
        model = load_model('doubled.h5')
    After:
        from keras.layers import Dense, Lambda
        from keras.models import Sequential, load_model
        from keras import Input
        model = Sequential()
        model.add(Input((8,)))
        model.add(Lambda(lambda v: v * 2))
        model.add(Dense(1, kernel_initializer='uniform'))
        model.save('doubled.keras')
        model = load_model('doubled.keras', safe_mode=False)
    """

    functions = ("keras.models.load_model",)

    def change(self, call):
        if not call.script.facts.lambdas or call.starred or call.keyword("safe_mode") is not None:
            return
        call.put("safe_mode", "False")
        call.change(
            "load_model(…)",
            "load_model(…, safe_mode=False)",
            "your own Lambda layer; a file from a stranger could run code",
        )
        if call.script.facts.lambda_names:
            call.script.undecided(
                call.original,
                f"the Lambda layer uses {_listed(call.script.facts.lambda_names)}, which a "
                "loaded model does not find: build the model in code and load its weights, or "
                "give the function a name and @keras.saving.register_keras_serializable()",
            )


def _listed(names):
    return ", ".join(sorted(names))
