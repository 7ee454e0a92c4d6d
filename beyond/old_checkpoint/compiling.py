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
FUNCTIONS |= {"kl_divergence": "KLDivergence", "cosine_similarity": "CosineSimilarity"}
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
MOST_THRESHOLDS = 100_000
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
        "loss": _each(losses, repair, lambda loss: _loss(loss, repair)),
        "metrics": _metrics(training.get("metrics"), losses, model, repair),
        "weighted_metrics": _metrics(training.get("weighted_metrics"), losses, model, repair),
        "loss_weights": training.get("loss_weights"),
    }
    weights = found["loss_weights"]
    if isinstance(weights, dict):
        found["loss_weights"] = {repair.new_name(key): value for key, value in weights.items()}
    return {key: value for key, value in found.items() if value is not None}


def compile_model(model, optimizer, chosen: dict) -> None:
    """Compile the model with the restored optimizer."""
    try:
        model.compile(optimizer=optimizer, **chosen)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"Keras 3 does not take its loss or its metrics ({error}); {COMPILE_ANEW}"
        ) from error


def _each(found, repair, convert):
    if isinstance(found, list):
        return [_each(item, repair, convert) for item in found]
    if isinstance(found, dict) and "class_name" not in found:
        return {repair.new_name(key): _each(item, repair, convert) for key, item in found.items()}
    return None if found is None else convert(found)


def _loss(found, repair):
    name, config = _parts(found)
    own = repair.own(name)
    if own is not None:
        return _custom(own, found, config)
    if "hinge" in name.lower() and "categorical" not in name.lower():
        _note_labels(repair)
    if isinstance(found, str):
        if found not in LOSSES:
            raise _unknown("loss", name)
        return found if hasattr(keras.losses, found) else getattr(keras.losses, LOSSES[found])()
    if name == "LossFunctionWrapper":
        function = _parts(config.pop("fn", None))[0]
        name = LOSSES.get(function, function)
    if name not in LOSS_CLASSES:
        raise _unknown("loss", name)
    config["reduction"] = REDUCTIONS.get(config.get("reduction"), config.get("reduction"))
    return _made(getattr(keras.losses, name), config)


def _note_labels(repair):
    if repair.layout.hinge_of_plain_labels:
        repair.differences.append(
            "loss hinge: Keras 3 takes labels 0 and 1 as -1 and 1, this Keras 2 may take them as "
            "they are; with labels -1 and 1 both answer the same"
        )


def _metrics(found, losses, model, repair):
    """The metrics, with `accuracy` resolved as the old Keras did."""
    if not found:
        return None
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    outputs = model.outputs
    if len(outputs) == 1 or (isinstance(found, list) and not any(map(_nested, found))):
        only = None if losses is None or _nested(losses) else _class_of(losses)
        width = outputs[0].shape[-1] if len(outputs) == 1 else None
        return _each(found, repair, lambda metric: _metric(metric, only, width, repair))
    made = _each(found, repair, lambda metric: _metric(metric, None, None, repair))
    if isinstance(made, list):
        for name, metrics in zip(model.output_names, made, strict=False):
            _without_prefix(name, metrics)
    return made


def _class_of(loss):
    name, _ = _parts(loss)
    return LOSSES.get(name, name)


def _without_prefix(output, metrics):
    """tf.keras stored metrics as `OUTPUT_NAME`; Keras 3 puts the output's name before it anew."""
    for metric in metrics if isinstance(metrics, list) else [metrics]:
        if isinstance(metric, keras.metrics.Metric):
            metric.name = metric.name.removeprefix(f"{output}_")


def _nested(item):
    return isinstance(item, (list, dict)) and "class_name" not in item


def _metric(found, loss, width, repair):
    name, config = _parts(found)
    own = repair.own(name)
    if own is not None:
        return _custom(own, found, config)
    if name in ACCURACY:
        return _accuracy(name, loss, width, repair)
    if isinstance(found, str):
        if found not in FUNCTIONS:
            raise _unknown("metric", name)
        return getattr(keras.metrics, FUNCTIONS[found])(name=found)
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        function = _parts(config.pop("fn", None))[0]
        own = repair.own(function)
        if own is not None:
            return own
        if function in ACCURACY:
            return _accuracy(function, loss, width, repair)
        name = FUNCTIONS.get(function, function or name)
    if name not in METRIC_CLASSES:
        raise _unknown("metric", name)
    return _made(getattr(keras.metrics, name), config)


def _accuracy(name, loss, width, repair):
    """Which accuracy `accuracy` means.

    Keras 1 and 2 for several backends and tf.keras up to TensorFlow 2.1 asked the loss first: with
    `binary_crossentropy` it was binary for outputs of any width. Later ones ask the shapes.
    """
    if not repair.layout.accuracy_of_loss:
        return name
    if loss is None:
        raise OldCheckpointError(
            "the metric accuracy of a model with several outputs depends on the loss in this "
            f"Keras; {COMPILE_ANEW}"
        )
    if width == 1 or loss == "BinaryCrossentropy":
        kind = keras.metrics.BinaryAccuracy
    elif loss == "SparseCategoricalCrossentropy":
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
        return str(found.get("class_name")), dict(config or {})
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
    if (config.get("num_thresholds") or 0) > MOST_THRESHOLDS:
        raise OldCheckpointError(
            f"{kind.__name__} has num_thresholds={config['num_thresholds']}; {COMPILE_ANEW}"
        )
    try:
        made = kind(**config)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"Keras 3 does not make this {kind.__name__} ({error}); {COMPILE_ANEW}"
        ) from error
    stored = made.get_config()
    for key, value in config.items():
        if key not in stored and value != known[key].default:
            raise OldCheckpointError(
                f"a .keras file of this Keras 3 loses {key}={value!r} of {kind.__name__}; "
                f"{COMPILE_ANEW}"
            )
    return made


def _unknown(kind, name):
    return OldCheckpointError(
        f"the {kind} {name!r} is not one of Keras's own; pass it in custom_objects"
    )
