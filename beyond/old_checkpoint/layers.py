"""One layer: from its configuration in Keras 2 to a layer of Keras 3.

Each layer here has a list of the arguments that mean the same in Keras 3. An argument outside the
list is dropped where its value changes nothing, and refused otherwise.
"""

import keras

from . import activations, parts
from .errors import IN_CODE, OldCheckpointError

_KERNEL = "kernel_initializer kernel_regularizer kernel_constraint "
_BIAS = "use_bias bias_initializer bias_regularizer bias_constraint activity_regularizer "
_CONV = (
    _KERNEL + _BIAS + "filters kernel_size strides padding data_format dilation_rate activation "
)
_RNN = (
    _KERNEL
    + _BIAS
    + "units activation recurrent_initializer recurrent_regularizer recurrent_constraint dropout "
    "recurrent_dropout return_sequences return_state go_backwards stateful unroll "
)
_POOL = "pool_size strides padding data_format"
_NORM = (
    "axis epsilon center scale beta_initializer gamma_initializer beta_regularizer "
    "gamma_regularizer beta_constraint gamma_constraint "
)
_DEPTH = (
    "depth_multiplier depthwise_initializer depthwise_regularizer depthwise_constraint "
    "pointwise_initializer pointwise_regularizer pointwise_constraint "
)

SAME = {
    "Dense": "units activation " + _KERNEL + _BIAS,
    "Activation": "activation activity_regularizer",
    "Dropout": "rate noise_shape seed",
    "GaussianNoise": "stddev seed",
    "GaussianDropout": "rate seed",
    "SpatialDropout1D": "rate seed",
    "SpatialDropout2D": "rate seed data_format",
    "SpatialDropout3D": "rate seed data_format",
    "Flatten": "data_format",
    "Reshape": "target_shape",
    "Permute": "dims",
    "RepeatVector": "n",
    "Masking": "mask_value",
    "Conv1D": _CONV + "groups",
    "Conv2D": _CONV + "groups",
    "Conv3D": _CONV + "groups",
    "Conv1DTranspose": _CONV,
    "Conv2DTranspose": _CONV,
    "Conv3DTranspose": _CONV,
    "SeparableConv1D": _CONV.removeprefix(_KERNEL) + _DEPTH,
    "SeparableConv2D": _CONV.removeprefix(_KERNEL) + _DEPTH,
    "DepthwiseConv1D": _CONV.removeprefix(_KERNEL) + _DEPTH[: _DEPTH.index("pointwise")],
    "DepthwiseConv2D": _CONV.removeprefix(_KERNEL) + _DEPTH[: _DEPTH.index("pointwise")],
    "GlobalAveragePooling1D": "data_format keepdims",
    "GlobalAveragePooling2D": "data_format keepdims",
    "GlobalAveragePooling3D": "data_format keepdims",
    "GlobalMaxPooling1D": "data_format keepdims",
    "GlobalMaxPooling2D": "data_format keepdims",
    "GlobalMaxPooling3D": "data_format keepdims",
    "ZeroPadding1D": "padding",
    "ZeroPadding2D": "padding data_format",
    "ZeroPadding3D": "padding data_format",
    "Cropping1D": "cropping",
    "Cropping2D": "cropping data_format",
    "Cropping3D": "cropping data_format",
    "UpSampling1D": "size",
    "UpSampling2D": "size data_format interpolation",
    "UpSampling3D": "size data_format",
    "BatchNormalization": _NORM + "momentum moving_mean_initializer moving_variance_initializer",
    "LayerNormalization": _NORM,
    "Embedding": "input_dim output_dim embeddings_initializer embeddings_regularizer "
    "embeddings_constraint mask_zero",
    "Add": "",
    "Subtract": "",
    "Multiply": "",
    "Average": "",
    "Maximum": "",
    "Minimum": "",
    "Concatenate": "axis",
    "Dot": "axes normalize",
    "LeakyReLU": "negative_slope",
    "PReLU": "alpha_initializer alpha_regularizer alpha_constraint shared_axes",
    "ELU": "alpha",
    "ReLU": "max_value negative_slope threshold",
    "Softmax": "axis",
    "LSTM": _RNN + "recurrent_activation unit_forget_bias",
    "GRU": _RNN + "recurrent_activation reset_after",
    "SimpleRNN": _RNN,
}
for _kind in ("MaxPooling", "AveragePooling"):
    for _rank in "123":
        SAME[f"{_kind}{_rank}D"] = _POOL

# Keras 2 stores these for separable and depthwise convolutions and never reads them.
_UNUSED_KERNEL = {"groups": [1]} | dict.fromkeys(_KERNEL.split(), "any")
# Arguments that Keras 3 does not have, with the values that change nothing ("any": all).
DROPPED = {
    "Dense": {"input_dim": "any"},
    "Embedding": {"input_length": "any", "sparse": [False, None], "weights": [None]},
    "BatchNormalization": {
        "fused": "any",
        "renorm": [False],
        "virtual_batch_size": [None],
        "adjustment": [None],
        "synchronized": [False],
    },
    "SpatialDropout1D": {"noise_shape": [None]},
    "SpatialDropout2D": {"noise_shape": [None]},
    "SpatialDropout3D": {"noise_shape": [None]},
    "Conv1DTranspose": {"output_padding": [None], "groups": [1]},
    "Conv2DTranspose": {"output_padding": [None], "groups": [1]},
    "Conv3DTranspose": {"output_padding": [None], "groups": [1]},
    "SeparableConv1D": _UNUSED_KERNEL,
    "SeparableConv2D": _UNUSED_KERNEL,
    "DepthwiseConv1D": _UNUSED_KERNEL | {"filters": [None]},
    "DepthwiseConv2D": _UNUSED_KERNEL | {"filters": [None]},
    "PReLU": {},
    "Softmax": {},
}
_RNN_DROPPED = {
    "implementation": "any",
    "time_major": [False],
    "input_dim": "any",
    "input_length": "any",
    "zero_output_for_mask": [False],
    "consume_less": "any",
}
for _name in ("LSTM", "GRU", "SimpleRNN"):
    DROPPED[_name] = _RNN_DROPPED

# Arguments that older versions wrote for every layer, without a meaning while they are None.
EMPTY = ("activity_regularizer", "input_dtype", "batch_input_shape")
RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
# The same class of Keras 2 under another name.
ALIASES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}


def make(class_name: str, config: dict, repair, dtype=None):
    """Build the Keras 3 layer.

    Arguments:
        class_name: The layer's class in Keras 2.
        config: Its configuration in Keras 2.
        repair: The `Repair` in progress.

    Returns:
        A `keras.layers.Layer` of the same name.

    Raises:
        OldCheckpointError: The layer, or an argument of it, has no equal in Keras 3.
    """
    config = dict(config)
    name = config.get("name", class_name)
    if class_name in repair.custom_objects:
        config.pop("batch_input_shape", None)
        return repair.custom_objects[class_name].from_config(config)
    class_name = ALIASES.get(class_name, class_name)
    where = f"layer {name}"
    if class_name == "Lambda":
        raise OldCheckpointError(
            f"{where}: the code of a Lambda is stored as Python bytecode, which no other Python "
            f"can run; {IN_CODE}"
        )
    if class_name not in SAME:
        raise OldCheckpointError(
            f"{where}: {class_name} is not one of the layers that this converts; pass your class "
            f"in custom_objects, or {IN_CODE}"
        )
    arguments = {
        "name": config.pop("name", None),
        "trainable": bool(config.pop("trainable", True)),
        "dtype": dtype_of(config.pop("dtype", None), where),
    }
    if class_name.startswith("SpatialDropout"):  # it has no weights, and no such argument
        arguments.pop("trainable")
    config.pop("batch_input_shape", None)
    for old, new in RENAMED.get(class_name, {}).items():
        if old in config:
            config[new] = config.pop(old)
    _require_sizes_of_the_file(config, repair, where)
    allowed = SAME[class_name].split()
    dropped = DROPPED.get(class_name, {})
    for key, value in config.items():
        if key in allowed:
            arguments[key] = _argument(class_name, key, value, repair, where)
        elif (
            key in dropped
            and (dropped[key] == "any" or value in dropped[key])
            or key in EMPTY
            and value is None
        ):
            continue
        else:
            raise OldCheckpointError(
                f"{where}: {class_name} of Keras 3 has no {key}={value!r}; {IN_CODE}"
            )
    if class_name in ("GRU", "LSTM"):
        _gates(class_name, arguments, repair, where)
    try:
        return getattr(keras.layers, class_name)(
            **{key: value for key, value in arguments.items() if value is not None or key == "axis"}
        )
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"{where}: Keras 3 does not make this {class_name} ({error}); {IN_CODE}"
        ) from error


def _require_sizes_of_the_file(config, repair, where):
    """Refuse a size that would fill the memory, though no array of the file is that large."""
    for key in ("units", "filters", "input_dim", "output_dim", "depth_multiplier"):
        value = config.get(key)
        if isinstance(value, int) and key in config and value > max(repair.largest, 1):
            raise OldCheckpointError(
                f"{where}: {key}={value}, but no array of the file is that large; {IN_CODE}"
            )


def dtype_of(found, where: str) -> str:
    """The type of a layer's numbers; mixed precision is refused."""
    if isinstance(found, dict):
        found = (found.get("config") or {}).get("name")
    if found in (None, "float32"):
        return "float32"
    raise OldCheckpointError(
        f"{where}: it computes in {found}, which was not compared with Keras 2; {IN_CODE}"
    )


# Values that were compared with Keras 2; others are refused.
COMPARED = {
    "data_format": ("channels_last", None),
    "groups": (1, None),
    "interpolation": ("nearest", "bilinear"),
    "noise_shape": (None,),
    "stateful": (False,),
}


def _not_compared(where, what):
    return OldCheckpointError(f"{where}: {what} was not compared with Keras 2; {IN_CODE}")


def _argument(class_name, key, value, repair, where):
    if key in COMPARED and value not in COMPARED[key]:
        raise _not_compared(where, f"{key}={value!r}")
    if key.endswith("_initializer"):
        return parts.initializer(value, repair, where)
    if key.endswith("_regularizer"):
        if key == "activity_regularizer" and value is not None:
            raise _not_compared(where, "an activity_regularizer")
        return parts.regularizer(value, repair, where)
    if key.endswith("_constraint"):
        return parts.constraint(value, repair, where)
    if key in ("activation", "recurrent_activation"):
        found = activations.activation(value, repair, where)
        return keras.activations.linear if found is None else found
    if key == "axis" and isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, list):
        return _tuples(value)
    return value


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _gates(class_name, arguments, repair, where):
    if class_name == "GRU":
        arguments.setdefault("reset_after", False)
    if "recurrent_activation" not in arguments:
        default = "hard_sigmoid" if repair.layout.recurrent_hard_sigmoid else "sigmoid"
        arguments["recurrent_activation"] = activations.activation(default, repair, where)
