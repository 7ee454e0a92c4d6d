"""Which arguments and which kinds of arrays each optimizer has, by the Keras that wrote it."""

import dataclasses

COMMON = ("clipnorm", "clipvalue", "global_clipnorm")
COMMON_NEW = (*COMMON, "weight_decay", "use_ema", "ema_momentum", "ema_overwrite_frequency")


@dataclasses.dataclass(frozen=True)
class Family:
    """One optimizer.

    Attributes:
        arguments: Arguments that mean the same in Keras 3.
        slots: From the configuration to the kinds of arrays that are stored: (kind in Keras 3,
            kinds in the names of old arrays).
    """

    arguments: tuple[str, ...]
    slots: object


def _adam(config, new):
    kinds = [("momentum", ("m",)), ("velocity", ("v",))]
    if config.get("amsgrad"):
        kinds.append(("velocity_hat", ("vhat",)))
    return kinds


FAMILIES = {
    "Adam": Family(("beta_1", "beta_2", "epsilon", "amsgrad"), _adam),
}
