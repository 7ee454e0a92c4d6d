"""The values that `fit` reports, and what is said of those that nothing can be ranked by."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import one_line


def scalar(value: Any) -> float | None:
    """`value` as a float, None if it is missing or not a single number."""
    try:
        return None if value is None or np.ndim(value) > 0 else float(value)
    except (TypeError, ValueError):
        return None


def refuse_as_threshold(value: Any) -> None:
    """Raise unless the first monitored value can be better than `value`, or it is None or "saved".

    Raises:
        ValueError: It is none of these. Nothing is better than NaN, so nothing would be saved.
    """
    number = scalar(value)
    is_a_number = number is not None and not isinstance(value, str) and not math.isnan(number)
    if value is not None and not is_a_number and not (isinstance(value, str) and value == "saved"):
        raise ValueError(f"initial_value_threshold is a number, None or 'saved', not {value!r}")


def why_nothing_can_be_ranked(
    monitor: str, logs: Mapping[str, Any], filepath: str, best_only: bool, keep_best: bool
) -> str:
    """What to warn of if `monitor` is no number in `logs`, and what becomes of the files."""
    if logs.get(monitor) is None:
        why = f"only with {monitor} available. There are {', '.join(sorted(logs)) or 'none'}."
    else:
        why = f"only when `monitor` is a scalar value. {monitor} is {_described(logs[monitor])}."
    said = [f"Can {'save best model' if best_only else 'rank what was saved'} {why}"]
    if best_only:
        said.append(f"{filepath} is not overwritten.")
    if keep_best:
        said.append("No file is deleted that cannot be ranked.")
    return one_line(" ".join(said))


def why_there_is_no_name(filepath: str, logs: Mapping[str, Any], error: Exception) -> str:
    """What to raise if `filepath` cannot be filled in with `logs`."""
    arrays = [name for name, v in logs.items() if np.ndim(v) > 0 and f"{{{name}" in filepath]
    why = f"{arrays[0]} is {_described(logs[arrays[0]])}" if arrays else str(error)
    return one_line(f"{filepath} cannot be made a name of a file: {why}")


def _described(value):
    if np.ndim(value) > 0:
        return f"an array of {np.size(value)} numbers, not one number"
    return f"a {type(value).__name__}, not a number"
