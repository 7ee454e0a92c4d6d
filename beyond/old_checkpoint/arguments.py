"""The layers that are converted, with the arguments that mean the same in Keras 3.

An argument outside a layer's list is dropped where its value changes nothing.
"""

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
    "GroupNormalization": _NORM + "groups",
    "UnitNormalization": "axis",
    "Normalization": "axis mean variance invert",
    "Rescaling": "scale offset",
    "RandomFlip": "mode seed",
    "RandomRotation": "factor fill_mode interpolation fill_value seed",
    "RandomZoom": "height_factor width_factor fill_mode interpolation fill_value seed",
    "RandomTranslation": "height_factor width_factor fill_mode interpolation fill_value seed",
    "RandomContrast": "factor seed",
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
_RNG = {"rng_type": "any", "force_generator": "any"}
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
    "RandomFlip": _RNG,
    "RandomRotation": _RNG,
    "RandomZoom": _RNG,
    "RandomTranslation": _RNG,
    "RandomContrast": _RNG,
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

# Values that were compared with Keras 2; others are refused.
COMPARED = {
    "data_format": ("channels_last", None),
    "interpolation": ("nearest", "bilinear"),
    "stateful": (False,),
}
