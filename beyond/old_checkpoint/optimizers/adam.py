"""Adam, AMSGrad, AdamW and Adamax: the same formulas in Keras 1, 2 and 3."""

import keras

from .plan import Plan


def adam(name, config, new, repair) -> Plan:
    """Adam (Kingma and Ba, 2014, section 2), AMSGrad (Reddi et al., 2018), AdamW."""
    slots = [("momentum", ("m",)), ("velocity", ("v",))]
    if config.get("amsgrad"):
        slots.append(("velocity_hat", ("vhat",)))
    return Plan(
        getattr(keras.optimizers, name),
        config,
        ("beta_1", "beta_2", "epsilon", "amsgrad"),
        tuple(slots),
        interleaved=2 if new else 0,
    )


def adamax(name, config, new, repair) -> Plan:
    """Adamax (Kingma and Ba, 2014, section 7)."""
    return Plan(
        keras.optimizers.Adamax,
        config,
        ("beta_1", "beta_2", "epsilon"),
        (("momentum", ("m",)), ("norm", ("u",) if new else ("v",))),
        interleaved=2 if new else 0,
    )
