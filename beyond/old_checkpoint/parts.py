"""Initializers, regularizers and constraints: the small objects inside a layer's configuration."""

import keras

from .errors import IN_CODE, OldCheckpointError

# Keras 1 and 2 -> Keras 3. Initializers only matter when someone makes the weights anew.
INITIALIZERS = {
    name.lower().replace("_", ""): name
    for name in [
        "Zeros",
        "Ones",
        "Constant",
        "RandomNormal",
        "RandomUniform",
        "TruncatedNormal",
        "VarianceScaling",
        "Orthogonal",
        "Identity",
        "GlorotUniform",
        "GlorotNormal",
        "HeUniform",
        "HeNormal",
        "LecunUniform",
        "LecunNormal",
    ]
} | {
    "uniform": "RandomUniform",
    "normal": "RandomNormal",
    "zero": "Zeros",
    "one": "Ones",
    "identity": "Identity",
}
CONSTRAINTS = {
    "maxnorm": "MaxNorm",
    "nonneg": "NonNeg",
    "unitnorm": "UnitNorm",
    "minmaxnorm": "MinMaxNorm",
}
REGULARIZERS = {"l1": "L1", "l2": "L2", "l1l2": "L1L2", "orthogonalregularizer": None}


def initializer(found, repair, where: str):
    """The Keras 3 initializer for one in an old file.

    Arguments:
        found: A name, a dictionary with `class_name` and `config`, or None.
        repair: The `Repair` in progress, for its custom objects.
        where: The layer and the argument, for the error.

    Returns:
        An initializer, or None.

    Raises:
        OldCheckpointError: The object is not known.
    """
    if found is None:
        return None
    name, config = _parts(found)
    if name in repair.custom_objects:
        return _custom(repair.custom_objects[name], config)
    known = INITIALIZERS.get(name.lower().replace("_", "").split(">")[-1])
    if known is None:
        raise _unknown("initializer", name, where)
    config = {key: value for key, value in config.items() if key not in ("dtype", "partition_info")}
    if known == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    if known == "Identity" and not isinstance(config.get("gain", 1.0), (int, float)):
        raise _unknown("initializer", name, where)
    return _made(getattr(keras.initializers, known), config, where)


def regularizer(found, repair, where: str):
    """The Keras 3 regularizer for one in an old file; arguments as for `initializer`."""
    if found is None:
        return None
    name, config = _parts(found)
    if name in repair.custom_objects:
        return _custom(repair.custom_objects[name], config)
    known = REGULARIZERS.get(name.lower().replace("_", "").split(">")[-1])
    if known is None:
        raise _unknown("regularizer", name, where)
    if known == "L1L2" and not isinstance(found, str):
        config = {"l1": config.get("l1") or 0.0, "l2": config.get("l2") or 0.0}
    config.pop("name", None)
    return _made(getattr(keras.regularizers, known), config, where)


def constraint(found, repair, where: str):
    """The Keras 3 constraint for one in an old file; arguments as for `initializer`."""
    if found is None:
        return None
    name, config = _parts(found)
    if name in repair.custom_objects:
        return _custom(repair.custom_objects[name], config)
    known = CONSTRAINTS.get(name.lower().replace("_", "").split(">")[-1])
    if known is None:
        raise _unknown("constraint", name, where)
    if "m" in config:  # Keras 1
        config["max_value"] = config.pop("m")
    config.pop("name", None)
    return _made(getattr(keras.constraints, known), config, where)


def _parts(found):
    if isinstance(found, str):
        return found, {}
    if isinstance(found, dict) and isinstance(found.get("class_name"), str):
        return found["class_name"], dict(found.get("config") or {})
    if isinstance(found, dict) and isinstance(found.get("name"), str):  # Keras 1
        return found["name"], {key: value for key, value in found.items() if key != "name"}
    return str(found), {}


def _custom(kind, config):
    return kind.from_config(config) if hasattr(kind, "from_config") else kind


def _made(kind, config, where):
    try:
        return kind(**config)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"{where}: {kind.__name__} does not take {sorted(config)} ({error}); {IN_CODE}"
        ) from error


def _unknown(kind, name, where):
    return OldCheckpointError(
        f"{where}: the {kind} {name!r} is not one of Keras's own; pass it in custom_objects"
    )
