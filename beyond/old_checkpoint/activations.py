"""Activation functions: which names mean the same in Keras 3, and the old `hard_sigmoid`."""

import keras

from .errors import IN_CODE, OldCheckpointError
from .registered import hard_sigmoid

# Compared with tf_keras 2.21 in tests/old_files.
SAME = {
    "linear",
    "relu",
    "sigmoid",
    "tanh",
    "softmax",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "exponential",
    "swish",
    "silu",
    "gelu",
    "mish",
    "leaky_relu",
}


def activation(found, repair, where: str):
    """The Keras 3 activation for one in an old file.

    Arguments:
        found: A name, a dictionary with `class_name` and `config`, or None.
        repair: The `Repair` in progress: its custom objects, and where imports are noted.
        where: The layer, for the error.

    Returns:
        A function or a name that Keras 3 knows, or None.

    Raises:
        OldCheckpointError: The activation is not known.
    """
    if isinstance(found, dict) and found.get("class_name") == "function":
        found = found.get("config")
    if found is None:
        return None
    if not isinstance(found, str):
        kind = found.get("class_name") if isinstance(found, dict) else found
        raise OldCheckpointError(
            f"{where}: the activation is an object ({kind}), which is not understood; {IN_CODE}"
        )
    own = repair.own(found)
    if own is not None:
        return own
    if found == "hard_sigmoid":
        repair.needs_import("hard_sigmoid", where)
        return hard_sigmoid
    if found not in SAME:
        raise OldCheckpointError(
            f"{where}: the activation {found!r} is not one of Keras's own; pass it in "
            "custom_objects"
        )
    return keras.activations.get(found)
