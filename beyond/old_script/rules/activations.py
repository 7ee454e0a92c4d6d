"""Activations that are functions of TensorFlow."""

import libcst as cst

from .base import CallRule

# Function of TensorFlow -> the same of Keras. The others that Keras has bear the same name there,
# so that a file finds them.
TODAY = {
    "tensorflow.nn.softmax": "softmax",
    "tensorflow.nn.log_softmax": "log_softmax",
    "tensorflow.math.log_softmax": "log_softmax",
    "tensorflow.nn.swish": "swish",
    "tensorflow.nn.silu": "silu",
    "tensorflow.identity": "linear",
    "tensorflow.exp": "exponential",
    "tensorflow.math.exp": "exponential",
}
WORDS = ("activation", "recurrent_activation", "inner_activation")
# Layer -> the place of its activation.
PLACES = {"keras.layers.Activation": 0, "keras.layers.Dense": 1}
LOADS = {"keras.models.load_model", "keras.models.clone_model", "keras.models.model_from_json"}
LOADS |= {"keras.callbacks.ModelCheckpoint", "keras.models.save_model"}
SAVES = {"save", "to_json", "from_config"}
WHY = "a file names it in a way that load_model does not find; it is the same function"


class TensorFlowActivations(CallRule):
    """Name an activation as Keras does, so that a saved model loads.

    Before:
        import tensorflow as tf
        from keras.layers import Activation, Dense
        from keras.models import Sequential, load_model
        net = Sequential([Dense(3, activation=tf.nn.softmax, input_dim=8), Activation(tf.nn.relu)])
        net.save('net.h5')
        net = load_model('net.h5')
    After:
        import tensorflow as tf
        from keras.layers import Activation, Dense
        from keras.models import Sequential, load_model
        from keras import Input
        net = Sequential([Input((8,)), Dense(3, activation='softmax'), Activation(tf.nn.relu)])
        net.save('net.keras')
        net = load_model('net.keras')
    """

    functions = ("keras.layers.",)

    def change(self, call):
        for index, old in enumerate(call.original.args):
            word = old.keyword.value if old.keyword is not None else ""
            place = not word and not old.star and PLACES.get(call.full) == index
            if (word in WORDS or place) and isinstance(old.value, (cst.Name, cst.Attribute)):
                self._named(call, index, old.value)

    def _named(self, call, index, given):
        script = call.script
        fails = self._is_kept(script) and "custom_objects" not in script.source.text
        name = TODAY.get(script.names.raw(given))
        if name is not None:
            quote = '"' if script.source.text.count('"') > script.source.text.count("'") else "'"
            value = cst.SimpleString(f"{quote}{name}{quote}")
            call.args[index] = call.args[index].with_changes(value=value)
            call.change(call.code(given), repr(name), WHY, certain=fails)
            return
        for one in script.facts.flow.values(given):
            name = TODAY.get(script.names.raw(one))
            if name is not None and fails:
                said = f"{call.code(given)}: write {name!r} for {script.code(one)}: {WHY}"
                script.undecided(call.original, said, always=True)

    def _is_kept(self, script):
        """Whether the script saves a model with its structure, or makes one of a structure."""
        methods = {
            one.func.attr.value
            for one in script.facts.calls
            if isinstance(one.func, cst.Attribute) and not script.names.raw(one.func.value)
        }
        return bool(script.facts.called & LOADS or methods & SAVES)
