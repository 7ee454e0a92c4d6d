"""TensorFlow 1: what its sessions and graphs were to Keras, and what needs them for good."""

import libcst as cst

from ..names import dotted
from .base import CallRule

INITIALIZERS = {
    "tensorflow.global_variables_initializer",
    "tensorflow.local_variables_initializer",
    "tensorflow.tables_initializer",
    "tensorflow.initialize_all_variables",
}
SESSIONS = {"tensorflow.Session", "tensorflow.InteractiveSession", "tensorflow.compat.v1.Session"}
WHY = "Keras 3 has no sessions"


class Sessions(CallRule):
    """Leave out the session that Keras trained in.

    Before:
        import tensorflow as tf
        from keras import backend as K
        session = tf.Session()
        K.set_session(session)
        session.run(tf.global_variables_initializer())
        with tf.get_default_graph().as_default():
            model.fit(x, y, nb_epoch=1)
    After:
        import tensorflow as tf
        from keras import backend as K
        import contextlib
        session = None
        with contextlib.nullcontext():
            model.fit(x, y, epochs=1)
    """

    functions = tuple(SESSIONS)
    methods = ("run", "as_default")

    def change(self, call):
        script = call.script
        if call.full in SESSIONS or script.names.raw(call.original.func) in SESSIONS:
            if call.original in script.facts.entered:
                made = f"{script.need_module('contextlib')}.nullcontext()"
            else:
                made = "None"
            call.replace(made)
            call.change(call.code(call.original), made, WHY)
            return
        if call.method == "as_default" and not call.args and self._of_tensorflow(call):
            made = f"{script.need_module('contextlib')}.nullcontext()"
            call.replace(made)
            call.change(call.code(call.original), made, "Keras 3 has no graphs to enter")
            return
        if call.method != "run" or not call.original.args:
            return
        first = call.original.args[0].value
        given = [e.value for e in first.elements] if isinstance(first, cst.List) else [first]
        if all(self._initializes(script, one) for one in given):
            call.replace("None")
            call.change(call.code(call.original), "", "variables have their values at once")

    def _initializes(self, script, node):
        calls = [node] if isinstance(node, cst.Call) else script.facts.flow.values(node)
        return bool(calls) and all(
            isinstance(one, cst.Call)
            and script.names.raw(one.func).replace("compat.v1.", "") in INITIALIZERS
            for one in calls
        )

    def _of_tensorflow(self, call):
        script = call.script
        owner = call.receiver
        calls = [owner] if isinstance(owner, cst.Call) else script.facts.flow.values(owner)
        return any(
            isinstance(one, cst.Call)
            and script.names.raw(one.func).startswith(("tensorflow.", "keras.backend."))
            for one in calls
        ) or dotted(owner).rpartition(".")[2] in ("graph", "default_graph")
