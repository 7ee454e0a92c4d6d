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
REGULARIZERS = {
    "l1": "L1",
    "l2": "L2",
    "l1l2": "L1L2",
    "orthogonalregularizer": "OrthogonalRegularizer",
}


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
    return _part("initializer", INITIALIZERS, _initializer, found, repair, where)


def regularizer(found, repair, where: str):
    """The Keras 3 regularizer for one in an old file; arguments as for `initializer`."""
    return _part("regularizer", REGULARIZERS, _regularizer, found, repair, where)


def constraint(found, repair, where: str):
    """The Keras 3 constraint for one in an old file; arguments as for `initializer`."""
    return _part("constraint", CONSTRAINTS, _constraint, found, repair, where)


def _part(kind, table, translate, found, repair, where):
    """The reader's own object of this name, else the one in the table with its arguments."""
    if found is None:
        return None
    name, config = _parts(found)
    own = repair.own(name)
    if own is not None:
        return own.from_config(config) if hasattr(own, "from_config") else own
    known = table.get(name.lower().replace("_", ""))
    arguments = None if known is None else translate(known, config, isinstance(found, str))
    if arguments is None:
        raise OldCheckpointError(
            f"{where}: the {kind} {name!r} is not one that this converts; pass it in custom_objects"
        )
    try:
        return getattr(getattr(keras, f"{kind}s"), known)(**arguments)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"{where}: {known} does not take {sorted(arguments)} ({error}); {IN_CODE}"
        ) from error


def _initializer(known, config, only_named):
    config = {key: value for key, value in config.items() if key not in ("dtype", "partition_info")}
    if known == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"
    if known == "Identity" and not isinstance(config.get("gain", 1.0), (int, float)):
        return None
    return config


def _regularizer(known, config, only_named):
    config.pop("name", None)
    if known == "L1L2" and not only_named:
        return {"l1": config.get("l1") or 0.0, "l2": config.get("l2") or 0.0}
    return config


def _constraint(known, config, only_named):
    config.pop("name", None)
    if "m" in config:  # Keras 1
        config["max_value"] = config.pop("m")
    return config


def _parts(found):
    if isinstance(found, str):
        return found, {}
    if isinstance(found, dict) and isinstance(found.get("class_name"), str):
        return found["class_name"], dict(found.get("config") or {})
    if isinstance(found, dict) and isinstance(found.get("name"), str):  # Keras 1
        return found["name"], {key: value for key, value in found.items() if key != "name"}
    return str(found), {}
