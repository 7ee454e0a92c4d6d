"""Layers that hold another layer: TimeDistributed and Bidirectional."""

import keras

from .errors import IN_CODE, OldCheckpointError
from .private import all_layers

WRAPPERS = ("TimeDistributed", "Bidirectional")


def make(class_name: str, config: dict, make_inner, repair):
    """Build the wrapper and what is inside it.

    Arguments:
        class_name: `"TimeDistributed"` or `"Bidirectional"`.
        config: Its configuration in Keras 2.
        make_inner: Makes a layer and its node from an entry with `class_name` and `config`.
        repair: The `Repair` in progress.

    Returns:
        The layer, and (node of what is inside, attribute that holds it) for each.

    Raises:
        OldCheckpointError: An argument has no equal in Keras 3.
    """
    config = dict(config)
    where = f"layer {config.get('name')}"
    inner, trainable = config.pop("layer", None), bool(config.pop("trainable", True))
    if not isinstance(inner, dict):
        raise OldCheckpointError(f"{where}: the file does not say what is inside; {IN_CODE}")
    known = {"name", "dtype", "batch_input_shape", "merge_mode", "input_shape"}
    if config.pop("backward_layer", None) is not None:
        raise OldCheckpointError(
            f"{where}: a backward_layer of its own was not compared with Keras 2; {IN_CODE}"
        )
    unknown = sorted(set(config) - known)
    if unknown:
        raise OldCheckpointError(
            f"{where}: {class_name} of Keras 3 has no {unknown[0]}={config[unknown[0]]!r}; "
            f"{IN_CODE}"
        )
    layer, node = make_inner(inner)
    if class_name == "TimeDistributed":
        if any(getattr(one, "activity_regularizer", None) for one in all_layers(layer)):
            raise OldCheckpointError(
                f"{where}: the layer inside has an activity_regularizer, which Keras 3 leaves out "
                f"of the loss; {IN_CODE}"
            )
        made = keras.layers.TimeDistributed(layer, name=config.get("name"))
        inside = [(node, "layer")]
    else:
        if node.class_name not in ("LSTM", "GRU", "SimpleRNN"):
            raise OldCheckpointError(f"{where}: Bidirectional holds a {node.class_name}; {IN_CODE}")
        mode = config.get("merge_mode", "concat")
        if mode not in ("concat", "sum", "ave", "mul"):
            raise OldCheckpointError(
                f"{where}: merge_mode={mode!r} was not compared with Keras 2; {IN_CODE}"
            )
        made = keras.layers.Bidirectional(layer, merge_mode=mode, name=config.get("name"))
        inside = [(node, "forward_layer"), (node, "backward_layer")]
    if not trainable or not layer.trainable:
        made.trainable = False
    return made, inside
