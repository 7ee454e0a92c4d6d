"""Adagrad and Adadelta."""

import keras

from .. import registered
from .plan import Plan


def adagrad(name, config, new, repair) -> Plan:
    """Adagrad (Duchi et al., 2011); before tf.keras 2.11 epsilon stood outside the root."""
    kind = keras.optimizers.Adagrad
    if not new:
        kind = registered.Adagrad
        repair.needs_import("Adagrad", "its epsilon stands outside the root")
    if not repair.layout.tf:
        config = {**config, "initial_accumulator_value": 0.0}
    return Plan(
        kind,
        config,
        ("epsilon", "initial_accumulator_value"),
        (("accumulator", ("accumulator",)),),
    )


def adadelta(name, config, new, repair) -> Plan:
    """Adadelta (Zeiler, 2012)."""
    return Plan(
        keras.optimizers.Adadelta,
        config,
        ("rho", "epsilon"),
        (
            ("accumulated_grad", ("accumulated_grad", "accum_grad")),
            ("accumulated_delta", ("accumulated_delta_var", "accum_var")),
        ),
        interleaved=2 if new else 0,
    )
