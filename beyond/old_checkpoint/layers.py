"""One layer: from its configuration in Keras 2 to a layer of Keras 3.

An argument outside the lists of `arguments` is refused.
"""

import keras

from . import activations, parts
from .arguments import ALIASES, COMPARED, DROPPED, EMPTY, RENAMED, SAME
from .errors import IN_CODE, OldCheckpointError


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
    own = repair.own(class_name)
    if own is not None:
        config.pop("batch_input_shape", None)
        return own.from_config(config)
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


def _not_compared(where, what):
    return OldCheckpointError(f"{where}: {what} was not compared with Keras 2; {IN_CODE}")


def _argument(class_name, key, value, repair, where):
    if key in COMPARED and value not in COMPARED[key]:
        raise _not_compared(where, f"{key}={value!r}")
    if "Conv" in class_name and key == "groups" and value not in (1, None):
        raise _not_compared(where, f"{key}={value!r}")
    if "Transpose" in class_name and key == "dilation_rate" and set(_flat(value)) != {1}:
        raise _not_compared(where, f"{key}={value!r}")
    if key.endswith("_initializer"):
        return parts.initializer(value, repair, where)
    if key.endswith("_regularizer"):
        if key == "activity_regularizer" and value is not None and not repair.layout.tf:
            raise OldCheckpointError(
                f"{where}: this Keras adds up its activity_regularizer over the batch, Keras 3 "
                f"takes the mean; {IN_CODE}"
            )
        return parts.regularizer(value, repair, where)
    if key.endswith("_constraint"):
        return parts.constraint(value, repair, where)
    if key in ("activation", "recurrent_activation"):
        found = activations.activation(value, repair, where)
        return keras.activations.linear if found is None else found
    if key == "axis" and isinstance(value, list) and len(value) == 1:
        return value[0]
    if isinstance(value, dict) and value.get("type") == "ndarray":  # a number, as NumPy's
        return value.get("value")
    if isinstance(value, list):
        return _tuples(value)
    return value


def _flat(value):
    return value if isinstance(value, list) else [value]


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _gates(class_name, arguments, repair, where):
    if class_name == "GRU":
        arguments.setdefault("reset_after", False)
    if "recurrent_activation" not in arguments:
        default = "hard_sigmoid" if repair.layout.recurrent_hard_sigmoid else "sigmoid"
        arguments["recurrent_activation"] = activations.activation(default, repair, where)
