"""Loss and metrics, from the training configuration to Keras 3."""

from .errors import COMPILE_ANEW, OldCheckpointError

LOSSES = {
    "binary_crossentropy": "binary_crossentropy",
    "categorical_crossentropy": "categorical_crossentropy",
    "sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
    "mean_squared_error": "mean_squared_error",
    "mse": "mean_squared_error",
    "mean_absolute_error": "mean_absolute_error",
    "mae": "mean_absolute_error",
}
METRICS = {
    "accuracy": "accuracy",
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mean_squared_error": "mean_squared_error",
    "mean_absolute_error": "mean_absolute_error",
    "binary_accuracy": "binary_accuracy",
    "categorical_accuracy": "categorical_accuracy",
    "sparse_categorical_accuracy": "sparse_categorical_accuracy",
}


def arguments(training: dict, repair) -> dict:
    """The arguments of `compile` besides the optimizer.

    Arguments:
        training: The training configuration of the file.
        repair: The `Repair` in progress.

    Returns:
        Keyword arguments for `keras.Model.compile`.

    Raises:
        OldCheckpointError: A loss or a metric is not understood.
    """
    if training.get("sample_weight_mode") not in (None, [None], {}):
        raise OldCheckpointError(
            "the model was compiled with sample_weight_mode, which Keras 3 does not have; "
            f"{COMPILE_ANEW}"
        )
    metrics = training.get("metrics")
    if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list):
        metrics = metrics[0]
    return {
        "loss": _each(training.get("loss"), lambda found: _loss(found, repair)),
        "metrics": _each(metrics, lambda found: _metric(found, repair)),
        "loss_weights": training.get("loss_weights"),
    }


def _each(found, convert):
    if isinstance(found, list):
        return [_each(item, convert) for item in found]
    if isinstance(found, dict) and "class_name" not in found:
        return {key: _each(item, convert) for key, item in found.items()}
    return None if found is None else convert(found)


def _loss(found, repair):
    if isinstance(found, str) and found in repair.custom_objects:
        return repair.custom_objects[found]
    if isinstance(found, str) and found in LOSSES:
        return LOSSES[found]
    raise OldCheckpointError(
        f"the loss {found!r} is not one of Keras's own; pass it in custom_objects"
    )


def _metric(found, repair):
    if isinstance(found, dict) and found["class_name"] == "MeanMetricWrapper":
        name, function = found["config"].get("name"), found["config"].get("fn")
        if name in ("accuracy", "acc"):
            return name
        found = function
    if isinstance(found, str) and found in repair.custom_objects:
        return repair.custom_objects[found]
    if isinstance(found, str) and found in METRICS:
        return METRICS[found]
    raise OldCheckpointError(
        f"the metric {found!r} is not one of Keras's own; pass it in custom_objects"
    )


def compile_model(model, optimizer, chosen: dict) -> None:
    """Compile the model with the restored optimizer."""
    model.compile(optimizer=optimizer, **chosen)
