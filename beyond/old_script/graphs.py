"""Code of TensorFlow 1 that builds a graph: no call of Keras 3 can take its place."""

import libcst as cst

from .names import dotted

GRAPH = {
    "placeholder",
    "get_variable",
    "variable_scope",
    "while_loop_v1",
    "app.run",
    "train.shuffle_batch",
    "train.batch",
    "train.start_queue_runners",
    "train.Saver",
    "global_variables",
    "trainable_variables",
    "summary.FileWriter",
    "summary.merge_all",
    "data.make_one_shot_iterator",
    "keras.estimator.model_to_estimator",
}
PREFIXES = ("layers.", "contrib.", "estimator.", "compat.v1.layers.", "compat.v1.estimator.")
METHODS = {"make_one_shot_iterator", "make_initializable_iterator"}
KERAS_IN_CONTRIB = "tensorflow.contrib.keras"
ADVICE = (
    "this is TensorFlow 1 graph code ({what}), which Keras 3 cannot run. It is not rewritten: at "
    "most a name in it becomes that of TensorFlow 2. Write these lines anew (arrays or tf.data to "
    "fit, keras.layers for tf.layers), or run the old script with Python 3.7 and pip install "
    "tensorflow==1.15 keras==2.2.5"
)


def graph_code(script) -> tuple[int, str] | None:
    """(line, advice) for the first line of a script that builds a graph of TensorFlow 1.

    Arguments:
        script: The script. What merely sets up a session for Keras is no such line.

    Returns:
        None if there is no such line.
    """
    found = [
        (script.line(call), what) for call in script.facts.calls if (what := _what(script, call))
    ]
    found += [(script.line(node), raw) for node, raw in script.facts.contrib_imports]
    if not found:
        return None
    line, _ = min(found)
    names = list(dict.fromkeys(what for _, what in sorted(found)))
    shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    return line, ADVICE.format(what=shown)


def _what(script, call):
    raw = script.names.raw(call.func)
    words = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    if raw.startswith("tensorflow.") and not raw.startswith(KERAS_IN_CONTRIB):
        name = raw.removeprefix("tensorflow.")
        plain = name.removeprefix("compat.v1.")
        if plain in GRAPH or name.startswith(PREFIXES):
            return f"tf.{name}"
    if isinstance(call.func, cst.Attribute):
        method = call.func.attr.value
        if method in METHODS:
            return method
        if method == "run" and "feed_dict" in words:
            return f"{dotted(call.func)}(feed_dict=…)"
        if method == "compile" and "target_tensors" in words:
            return "target_tensors"
    if script.names.full(call.func) == "keras.layers.Input" and "tensor" in words:
        return "Input(tensor=…)"
    return ""
