"""Keras 1: the names of layers and arguments, translated to those of Keras 2."""

from .errors import IN_CODE, OldCheckpointError

CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}
# Arguments that only got another name.
ARGUMENTS = {
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "depth_multiplier": "depth_multiplier",
}
UNITS = ("Dense", "LSTM", "GRU", "SimpleRNN")


def to_keras_2(class_name: str, config: dict, where: str) -> tuple[str, dict]:
    """Translate one layer.

    Arguments:
        class_name: The layer's class in Keras 1.
        config: Its configuration.
        where: The layer's name, for the error.

    Returns:
        Class and configuration as Keras 2 writes them.

    Raises:
        OldCheckpointError: Keras 2 has no such layer, or the arguments ask for what it cannot do.
    """
    config = {ARGUMENTS.get(key, key): value for key, value in config.items()}
    config.pop("input_dtype", None)
    new_class = CLASSES.get(class_name, class_name)
    if class_name in UNITS:
        config["units"] = config.pop("output_dim")
        config.pop("input_dim", None)
        config.pop("input_length", None)
    if "dim_ordering" in config:
        ordering = config.pop("dim_ordering")
        if ordering not in ("tf", "th"):
            raise OldCheckpointError(
                f"layer {where}: its dim_ordering is {ordering!r}, so the order of its axes is not "
                f"known; {IN_CODE}"
            )
        config["data_format"] = "channels_last" if ordering == "tf" else "channels_first"
    if "border_mode" in config:
        config["padding"] = config.pop("border_mode")
    if "p" in config:
        config["rate"] = config.pop("p")
    if class_name == "GaussianNoise" and "sigma" in config:
        config["stddev"] = config.pop("sigma")
    if class_name == "RepeatVector":
        config.pop("input_dim", None)
    if new_class.startswith(("Conv", "SeparableConv")):
        _convolution(class_name, config, where)
    if "Pooling" in new_class:
        _pooling(config)
    if class_name in ("UpSampling1D", "ZeroPadding1D", "Cropping1D"):
        for old, new in (("length", "size"),):
            if old in config:
                config[new] = config.pop(old)
    if class_name == "BatchNormalization":
        _batch_normalization(config, where)
    if class_name == "Embedding":
        config["embeddings_initializer"] = config.pop("kernel_initializer", "uniform")
        config["embeddings_regularizer"] = config.pop("kernel_regularizer", None)
        config["embeddings_constraint"] = config.pop("kernel_constraint", None)
        if config.pop("dropout", None):
            raise _unlike(where, "the dropout of an Embedding")
    if class_name == "Merge":
        raise OldCheckpointError(
            f"layer {where}: Merge holds code or nested models of Keras 1; {IN_CODE}"
        )
    return new_class, config


def _convolution(class_name, config, where):
    if "nb_filter" in config:
        config["filters"] = config.pop("nb_filter")
    if "filter_length" in config:
        config["kernel_size"] = [config.pop("filter_length")]
        config["strides"] = [config.pop("subsample_length", 1)]
        config.pop("input_dim", None)
        config.pop("input_length", None)
    sizes = [key for key in ("kernel_dim1", "kernel_dim2", "kernel_dim3") if key in config]
    if "nb_row" in config:
        sizes = ["nb_row", "nb_col"]
    if sizes:
        config["kernel_size"] = [config.pop(key) for key in sizes]
    if "subsample" in config:
        config["strides"] = config.pop("subsample")
    if "atrous_rate" in config:
        config["dilation_rate"] = config.pop("atrous_rate")
    if "output_shape" in config:  # Deconvolution2D
        config.pop("output_shape")
        if config.get("padding") == "same" and list(config["strides"]) != [1, 1]:
            raise _unlike(where, "an output shape of its own")
    if config.get("kernel_size") and len(config["kernel_size"]) == 1:
        config.setdefault("data_format", "channels_last")


def _pooling(config):
    if "pool_length" in config:
        config["pool_size"] = config.pop("pool_length")
        config["strides"] = config.pop("stride", None)
    config.pop("input_dim", None)


def _batch_normalization(config, where):
    if config.pop("mode", 0) != 0:
        raise _unlike(where, "a mode of BatchNormalization other than 0")
    for old, new in (("gamma", "gamma"), ("beta", "beta")):
        for kind in ("init", "regularizer"):
            key = f"{old}_{kind}"
            if key in config:
                value = config.pop(key)
                config[f"{new}_{'initializer' if kind == 'init' else kind}"] = value


def _unlike(where, what):
    return OldCheckpointError(f"layer {where}: Keras 2 and 3 do not know {what}; {IN_CODE}")
