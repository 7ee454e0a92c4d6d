"""CuDNNLSTM and CuDNNGRU: the same layers with their numbers in NVIDIA's order.

The order is that of `tf_keras` (`legacy/saving`), which converts weights between the two as well.
"""

import numpy as np

from . import transforms

LAYERS = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
GATES = {"CuDNNLSTM": 4, "CuDNNGRU": 3}


def to_plain(class_name: str, config: dict) -> tuple[str, dict]:
    """Class and configuration of the layer of Keras 2 that computes the same."""
    config = {**config, "activation": "tanh", "recurrent_activation": "sigmoid"}
    if class_name == "CuDNNGRU":
        config["reset_after"] = True
    return LAYERS[class_name], config


def kind_of(arrays: list) -> str:
    """`"CuDNNLSTM"` or `"CuDNNGRU"` if the arrays of a layer are one's, or else `""`.

    CuDNN has two biases in a row for each gate: 8 or 6 times as many numbers as there are units.
    """
    shapes = {array.short: array.value.shape for array in arrays}
    if set(shapes) != {"kernel", "recurrent_kernel", "bias"} or len(arrays) not in (3, 6):
        return ""  # 6 for both directions; other counts are those of a model in the model
    units = shapes.get("recurrent_kernel", (0,))[0]
    gates = {8: "CuDNNLSTM", 6: "CuDNNGRU"}
    return next((kind for n, kind in gates.items() if shapes.get("bias") == (n * units,)), "")


def transform(class_name: str, variable: str) -> transforms.Transform:
    """The change of one array.

    Arguments:
        class_name: `"CuDNNLSTM"` or `"CuDNNGRU"`.
        variable: The variable in Keras 3: kernel, recurrent_kernel or bias.

    Returns:
        A `Transform`. The two biases of an LSTM are added, which cannot be undone.
    """
    gates = GATES[class_name]
    if variable == "kernel":
        return transforms.Transform(
            "input kernel out of CuDNN's order",
            lambda a: _each(a, gates, lambda g: g.ravel().reshape(g.T.shape).T),
            lambda a: _each(a, gates, lambda g: g.T.ravel().reshape(g.shape)),
        )
    if variable == "recurrent_kernel":
        return transforms.Transform(
            "recurrent kernel out of CuDNN's order",
            lambda a: _each(a, gates, np.transpose),
            lambda a: _each(a, gates, np.transpose),
        )
    if class_name == "CuDNNGRU":
        return transforms.Transform(
            "CuDNN's two biases in two rows", lambda a: a.reshape(2, -1), np.ravel
        )
    return transforms.Transform(
        "CuDNN's two biases added", lambda a: a[: a.size // 2] + a[a.size // 2 :], None
    )


# Both biases of CuDNN have the same gradient, so their averages are equal, and one is enough.
HALF = transforms.Transform(
    "one of CuDNN's two equal halves", lambda a: a[: a.size // 2], lambda a: np.tile(a, 2)
)


def _each(array, gates, change):
    return np.ascontiguousarray(np.hstack([change(gate) for gate in np.hsplit(array, gates)]))
