"""Loss and metrics, from the training configuration to Keras 3.

Each loss and metric in the lists was compared with tf_keras 2.21 (tests/old_files).
"""

import inspect

import keras

from .errors import COMPILE_ANEW, OldCheckpointError

LOSSES = {
    "binary_crossentropy": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "mean_squared_error": "MeanSquaredError",
    "mse": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mae": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mape": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "msle": "MeanSquaredLogarithmicError",
    "hinge": "Hinge",
    "squared_hinge": "SquaredHinge",
    "categorical_hinge": "CategoricalHinge",
    "kullback_leibler_divergence": "KLDivergence",
    "kl_divergence": "KLDivergence",
    "kld": "KLDivergence",
    "poisson": "Poisson",
    "logcosh": "LogCosh",
    "log_cosh": "LogCosh",
    "huber": "Huber",
    "huber_loss": "Huber",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "cosine_similarity": "CosineSimilarity",
}
LOSS_CLASSES = set(LOSSES.values())
FUNCTIONS = {
    "binary_accuracy": "BinaryAccuracy",
    "categorical_accuracy": "CategoricalAccuracy",
    "sparse_categorical_accuracy": "SparseCategoricalAccuracy",
    "top_k_categorical_accuracy": "TopKCategoricalAccuracy",
    "sparse_top_k_categorical_accuracy": "SparseTopKCategoricalAccuracy",
} | {
    name: kind
    for name, kind in LOSSES.items()
    if kind not in ("Huber", "BinaryFocalCrossentropy", "CosineSimilarity")
    and name not in ("kl_divergence", "kld")  # Keras 2 does not know them as metrics
}
FUNCTIONS |= {"logcosh": "LogCoshError", "log_cosh": "LogCoshError"}
METRIC_CLASSES = {
    *FUNCTIONS.values(),
    "AUC",
    "Precision",
    "Recall",
    "F1Score",
    "RootMeanSquaredError",
    "TruePositives",
    "TrueNegatives",
    "FalsePositives",
    "FalseNegatives",
}
ACCURACY = ("accuracy", "acc")
REDUCTIONS = {"auto": "sum_over_batch_size", None: "sum_over_batch_size"}


def arguments(training: dict, model, repair) -> dict:
    """The arguments of `compile` besides the optimizer.

    Arguments:
        training: The training configuration of the file.
        model: The Keras 3 model, for the sizes of its outputs.
        repair: The `Repair` in progress.

    Returns:
        Keyword arguments for `keras.Model.compile`.

    Raises:
        OldCheckpointError: A loss or a metric is not understood.
    """
    mode = training.get("sample_weight_mode")
    if mode and any(mode.values() if isinstance(mode, dict) else mode):
        raise OldCheckpointError(
            "the model was compiled with sample_weight_mode, which Keras 3 does not have; "
            f"{COMPILE_ANEW}"
        )
    losses = training.get("loss")
    found = {
        "loss": _each(losses, lambda loss: _loss(loss, repair)),
        "metrics": _metrics(training.get("metrics"), losses, model, repair),
        "weighted_metrics": _metrics(training.get("weighted_metrics"), losses, model, repair),
        "loss_weights": training.get("loss_weights"),
    }
    return {key: value for key, value in found.items() if value is not None}


def compile_model(model, optimizer, chosen: dict) -> None:
    """Compile the model with the restored optimizer."""
    try:
        model.compile(optimizer=optimizer, **chosen)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"Keras 3 does not take its loss or its metrics ({error}); {COMPILE_ANEW}"
        ) from error


def _each(found, convert):
    if isinstance(found, list):
        return [_each(item, convert) for item in found]
    if isinstance(found, dict) and "class_name" not in found:
        return {key: _each(item, convert) for key, item in found.items()}
    return None if found is None else convert(found)


def _loss(found, repair):
    name, config = _parts(found)
    if name in repair.custom_objects:
        return _custom(repair.custom_objects[name], found, config)
    if isinstance(found, str):
        if found not in LOSSES:
            raise _unknown("loss", name)
        return found if hasattr(keras.losses, found) else getattr(keras.losses, LOSSES[found])()
    if name == "LossFunctionWrapper":
        name = LOSSES.get(_parts(config.pop("fn", None))[0], name)
    if name not in LOSS_CLASSES:
        raise _unknown("loss", name)
    config["reduction"] = REDUCTIONS.get(config.get("reduction"), config.get("reduction"))
    return _made(getattr(keras.losses, name), config)


def _metrics(found, losses, model, repair):
    """The metrics, with `accuracy` resolved as the old Keras did."""
    if not found:
        return None
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    outputs = model.outputs
    if len(outputs) == 1 or (isinstance(found, list) and not any(map(_nested, found))):
        only = losses if isinstance(losses, str) else None
        width = outputs[0].shape[-1] if len(outputs) == 1 else None
        return _each(found, lambda metric: _metric(metric, only, width, repair))
    return _each(found, lambda metric: _metric(metric, None, None, repair))


def _nested(item):
    return isinstance(item, (list, dict)) and "class_name" not in item


def _metric(found, loss, width, repair):
    name, config = _parts(found)
    if name in repair.custom_objects:
        return _custom(repair.custom_objects[name], found, config)
    if name in ACCURACY:
        return _accuracy(name, loss, width, repair)
    if isinstance(found, str):
        if found not in FUNCTIONS:
            raise _unknown("metric", name)
        return getattr(keras.metrics, FUNCTIONS[found])(name=found)
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        function = _parts(config.pop("fn", None))[0]
        if function in repair.custom_objects:
            return repair.custom_objects[function]
        if function in ACCURACY:
            return _accuracy(function, loss, width, repair)
        name = FUNCTIONS.get(function, name)
    if name not in METRIC_CLASSES:
        raise _unknown("metric", name)
    return _made(getattr(keras.metrics, name), config)


def _accuracy(name, loss, width, repair):
    """Which accuracy `accuracy` means.

    Keras 1 and 2 for several backends asked the loss first: with `binary_crossentropy` it was
    binary for outputs of any width. tf.keras and Keras 3 ask the shapes.
    """
    if repair.layout.tf:
        return name
    if loss is None:
        raise OldCheckpointError(
            "the metric accuracy of a model with several outputs depends on the loss in this "
            f"Keras; {COMPILE_ANEW}"
        )
    if width == 1 or loss == "binary_crossentropy":
        kind = keras.metrics.BinaryAccuracy
    elif loss == "sparse_categorical_crossentropy":
        kind = keras.metrics.SparseCategoricalAccuracy
    else:
        kind = keras.metrics.CategoricalAccuracy
    return kind(name=name)


def _parts(found):
    if isinstance(found, str):
        return found, {}
    if isinstance(found, dict):
        config = found.get("config")
        if isinstance(config, str):  # a function
            return config, {}
        return str(found.get("class_name")).split(">")[-1], dict(config or {})
    return str(found), {}


def _custom(kind, found, config):
    if isinstance(found, dict) and hasattr(kind, "from_config"):
        return kind.from_config(config)
    return kind


def _made(kind, config):
    config = {key: value for key, value in config.items() if value is not None and key != "fn"}
    known = inspect.signature(kind.__init__).parameters
    for key, same in (("axis", -1), ("from_logits", False), ("dtype", "float32")):
        if key not in known and config.get(key) == same:
            config.pop(key)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise OldCheckpointError(
            f"{kind.__name__} of Keras 3 has no {unknown[0]}={config[unknown[0]]!r}; {COMPILE_ANEW}"
        )
    try:
        return kind(**config)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"Keras 3 does not make this {kind.__name__} ({error}); {COMPILE_ANEW}"
        ) from error


def _unknown(kind, name):
    return OldCheckpointError(
        f"the {kind} {name!r} is not one of Keras's own; pass it in custom_objects"
    )
