"""Whether the arrays of an optimizer can be what their places say.

Adam's two averages of the same gradients keep `|m| <= c sqrt(v)` (Cauchy and Schwarz); in an order
that is wrong they do not, and a sum of squares is never negative.
"""

import math

import numpy as np

from ..errors import COMPILE_ANEW, OldCheckpointError

NEVER_NEGATIVE = [
    "velocity",
    "velocity_hat",
    "accumulator",
    "accumulated_grad",
    "accumulated_delta",
    "norm",
]


def require_plausible(groups: dict, config: dict, file) -> None:
    """Refuse arrays that cannot be averages of the same gradients.

    Arguments:
        groups: Kind -> arrays, one for each weight.
        config: The optimizer's configuration.
        file: The `OldFile`, for errors.

    Raises:
        OldCheckpointError: They cannot.
    """
    for kind, group in groups.items():
        for array in group:
            if kind in NEVER_NEGATIVE and np.any(array.value < 0):
                raise _implausible(array, file)
    if "momentum" not in groups or "velocity" not in groups or "beta_1" not in config:
        return
    bound = largest_ratio(config["beta_1"], config["beta_2"])
    for first, second in zip(groups["momentum"], groups["velocity"], strict=True):
        allowed = bound * np.sqrt(second.value.astype("float64"))
        if np.any(np.abs(first.value) > 1.01 * allowed + 1e-12):
            raise _implausible(first, file)


def largest_ratio(beta_1: float, beta_2: float) -> float:
    """The largest possible `|m| / sqrt(v)` of Adam: 7.27 for 0.9 and 0.999."""
    if not beta_1**2 < beta_2 < 1:
        return math.inf
    return (1 - beta_1) / math.sqrt((1 - beta_2) * (1 - beta_1**2 / beta_2))


def _implausible(array, file):
    return OldCheckpointError(
        f"{file.path}: the optimizer's array {array.name} does not fit the others, so their order "
        f"is not understood; {COMPILE_ANEW}"
    )
