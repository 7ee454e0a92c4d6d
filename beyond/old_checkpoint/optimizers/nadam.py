"""Nadam: a product of momenta that tf.keras 2.11 and later do not store.

Their product also depends on how often TensorFlow traced the training step: it is multiplied once
for each weight, not once for each step. So it cannot be computed from the file. It falls below what
a float32 can tell from 0 within some hundred steps; from then on the state is known.
"""

import keras
import numpy as np

from .. import registered
from ..errors import COMPILE_ANEW, OldCheckpointError
from .plan import Plan

ZERO = 2.0**-26  # 1 - ZERO is 1 in float32


def nadam(name, config, new, repair) -> Plan:
    """Nadam (Dozat, 2015)."""
    slots = (("momentum", ("m",)), ("velocity", ("v",)))
    arguments = ("beta_1", "beta_2", "epsilon")
    if new:
        return Plan(keras.optimizers.Nadam, config, arguments, slots, interleaved=2, state=_product)
    # tf.keras called schedule_decay by the name that other optimizers have for another thing.
    decay = config.get("schedule_decay", config.get("decay", 0.004))
    if not repair.layout.tf:
        repair.changes.append(
            "Nadam's product of momenta, which this Keras does not store, is computed from the "
            "step count"
        )
    config = {key: value for key, value in config.items() if key != "decay"}
    repair.needs_import("Nadam", "its momentum schedule is not that of Keras 3")
    return Plan(
        registered.Nadam,
        {**config, "schedule_decay": decay},
        (*arguments, "schedule_decay"),
        slots,
        scalar="momentum_cache",
        state=_cache,
    )


def _product(optimizer, steps, stored, file):
    """Keras 3's own product after so many steps."""
    product = _product_of(optimizer.beta_1, 1.0, steps)
    if product > ZERO and steps:
        raise OldCheckpointError(
            f"{file.path}: the state of Nadam is not complete in files of tf.keras 2.11 and later "
            f"(a product that this Keras counts wrongly, {product:.1g} after {steps} steps); "
            f"{COMPILE_ANEW}"
        )
    optimizer._u_product.assign(np.float32(product))


def _cache(optimizer, steps, stored, file):
    """The stored product, or the one that so many steps make."""
    if stored is None:
        stored = _product_of(optimizer.beta_1, optimizer.schedule_decay, steps)
    optimizer.momentum_cache.assign(np.float32(stored))


def _product_of(beta_1, decay, steps):
    times = np.arange(1, min(steps, 100_000) + 1, dtype="float64")
    return float(np.prod(beta_1 * (1 - 0.5 * 0.96 ** (decay * times))))
