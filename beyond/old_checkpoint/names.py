"""Keras 1: the names of layers and arguments, translated to those of Keras 2."""

from .errors import IN_CODE, OldCheckpointError

# Those that were compared with Keras 2, with the name there; others are refused.
CLASSES = {
    "InputLayer": "InputLayer",
    "Dense": "Dense",
    "Activation": "Activation",
    "Dropout": "Dropout",
    "Flatten": "Flatten",
    "Convolution2D": "Conv2D",
    "MaxPooling2D": "MaxPooling2D",
    "AveragePooling2D": "AveragePooling2D",
    "ZeroPadding2D": "ZeroPadding2D",
    "BatchNormalization": "BatchNormalization",
    "ELU": "ELU",
    "LeakyReLU": "LeakyReLU",
}
# Arguments that only got another name.
ARGUMENTS = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
    "output_dim": "units",
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "p": "rate",
    "gamma_init": "gamma_initializer",
    "beta_init": "beta_initializer",
}
DROPPED = ("input_dtype", "input_dim")


def to_keras_2(class_name: str, config: dict, where: str, custom: dict) -> tuple[str, dict]:
    """Translate one layer.

    Arguments:
        class_name: The layer's class in Keras 1.
        config: Its configuration.
        where: The layer's name, for the error.
        custom: The reader's own classes, which stay as they are.

    Returns:
        Class and configuration as Keras 2 writes them.

    Raises:
        OldCheckpointError: The layer was not compared with Keras 2, or its arguments ask for what
            Keras 2 cannot do.
    """
    if class_name in custom or class_name == "Lambda":
        return class_name, config
    if class_name not in CLASSES:
        raise OldCheckpointError(
            f"layer {where}: {class_name} of Keras 1 was not compared with Keras 2; {IN_CODE}"
        )
    config = {ARGUMENTS.get(key, key): value for key, value in config.items() if key not in DROPPED}
    if "dim_ordering" in config:
        ordering = config.pop("dim_ordering")
        if ordering != "tf":
            raise OldCheckpointError(
                f"layer {where}: its dim_ordering is {ordering!r}, which was not compared with "
                f"Keras 2; {IN_CODE}"
            )
        config["data_format"] = "channels_last"
    if "nb_row" in config:
        config["kernel_size"] = [config.pop("nb_row"), config.pop("nb_col")]
    if class_name == "BatchNormalization" and config.pop("mode", 0) != 0:
        raise OldCheckpointError(
            f"layer {where}: Keras 2 and 3 do not know a mode of BatchNormalization other than 0; "
            f"{IN_CODE}"
        )
    return CLASSES[class_name], config
