"""RMSprop: epsilon inside or outside the root."""

import keras

from .. import registered
from .plan import Plan


def rmsprop(name, config, new, repair) -> Plan:
    """RMSprop (Hinton's lecture 6e).

    Before tf.keras 2.11 epsilon stood outside the root, but with momentum inside: TensorFlow's
    operation for that case adds it there.
    """
    momentum = bool(config.get("momentum"))
    slots = [("velocity", ("velocity",) if new else ("rms",))]
    if momentum:
        slots.append(("momentum", ("momentum",)))
    if config.get("centered"):
        slots.append(("average_gradient", ("average_gradient",) if new else ("mg",)))
    kind = keras.optimizers.RMSprop
    if not new and not momentum:
        kind = registered.RMSprop
        repair.needs_import("RMSprop", "its epsilon stands outside the root")
    return Plan(kind, config, ("rho", "momentum", "epsilon", "centered"), tuple(slots))
