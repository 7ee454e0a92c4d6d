"""SGD, with and without momentum."""

import keras

from .plan import Plan


def sgd(name, config, new, repair) -> Plan:
    """SGD with momentum, also Nesterov's.

    Without momentum some versions store its arrays all the same. No step reads them.
    """
    slot = ("momentum", ("m",) if new else ("momentum",))
    momentum = bool(config.get("momentum"))
    return Plan(
        keras.optimizers.SGD,
        config,
        ("momentum", "nesterov"),
        (slot,) if momentum else (),
        unread=() if momentum else slot[1],
    )
