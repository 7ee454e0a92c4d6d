"""Numbers, texts, arrays, lists and dictionaries as JSON, with the arrays beside it."""

import keras
import numpy as np


def can_be_encoded(value) -> bool:
    try:
        encoded(value, [])
    except TypeError:
        return False
    return True


def encoded(value, arrays):
    """`value` for JSON. Its arrays are put into the list `arrays`, as copies."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [encoded(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[encoded(k, arrays), encoded(v, arrays)] for k, v in value.items()]}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf" and value.itemsize <= 8:
        return {"scalar": [value.dtype.str, value.item()]}
    is_a_number = isinstance(value, np.generic) and value.dtype.kind in "fcV"  # V: bfloat16
    is_array = is_a_number or isinstance(value, np.ndarray) or keras.ops.is_tensor(value)
    if is_array and not isinstance(value, keras.Variable):
        array = np.array(keras.ops.convert_to_numpy(value))
        if array.dtype.hasobject:
            raise TypeError("an array of objects")
        arrays.append(array)
        kind = "number" if is_a_number else "array"
        return {kind: [len(arrays) - 1, str(array.dtype)]}
    raise TypeError(f"{type(value).__name__} cannot be backed up")


def decoded(value, arrays):
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "list":
        return [decoded(item, arrays) for item in content]
    if kind == "tuple":
        return tuple(decoded(item, arrays) for item in content)
    if kind == "dict":
        return {decoded(key, arrays): decoded(item, arrays) for key, item in content}
    if kind == "scalar":
        return np.dtype(content[0]).type(content[1])
    array = arrays[content[0]].view(np.dtype(content[1]))
    return array[()] if kind == "number" else array
