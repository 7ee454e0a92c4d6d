"""Which optimizer of Keras 3 continues each one of Keras 1 and 2, and what it stores.

The formulas were compared step by step with tf_keras 2.21 (tests/old_files).
"""

import dataclasses

from ..errors import COMPILE_ANEW, OldCheckpointError
from . import adagrad, adam, nadam, rmsprop, sgd
from .plan import Plan

COMMON = ("clipnorm", "clipvalue", "global_clipnorm")
COMMON_NEW = (*COMMON, "weight_decay", "use_ema", "ema_momentum", "ema_overwrite_frequency")
FAMILIES = {
    "Adam": adam.adam,
    "AdamW": adam.adam,
    "Adamax": adam.adamax,
    "Nadam": nadam.nadam,
    "RMSprop": rmsprop.rmsprop,
    "SGD": sgd.sgd,
    "Adagrad": adagrad.adagrad,
    "Adadelta": adagrad.adadelta,
}
HARMLESS = ("name", "jit_compile", "is_legacy_optimizer")


def plan(found: dict, repair, file) -> Plan:
    """How to continue the optimizer of a file.

    Arguments:
        found: `optimizer_config` of the training configuration.
        repair: The `Repair` in progress.
        file: The `OldFile`, for errors.

    Returns:
        The plan. Its `config` still holds the learning rate.

    Raises:
        OldCheckpointError: The optimizer is not known.
    """
    # tf.keras registers its own as `Custom>Adam`; another package before `>` is another class.
    name = str(found.get("class_name")).removeprefix("Custom>")
    config = {key: value for key, value in found["config"].items() if key not in HARMLESS}
    new = found["config"].get("is_legacy_optimizer") is False or "use_ema" in found["config"]
    if name not in FAMILIES:
        raise OldCheckpointError(
            f"{file.path}: the state of the optimizer {name} is not understood; {COMPILE_ANEW}"
        )
    made = FAMILIES[name](name, config, new, repair)
    made = dataclasses.replace(
        made, new=new, arguments=(*made.arguments, *(COMMON_NEW if new else COMMON))
    )
    if not repair.layout.tf:
        made = dataclasses.replace(made, config=_clipped_together(made.config, repair, file))
    if made.config.get("weight_decay"):
        repair.lost.append(
            "names given to exclude_from_weight_decay: no Keras stores them; give them again"
        )
    return made


def _clipped_together(config, repair, file):
    """The configuration with clipnorm as Keras for several backends meant it.

    It clipped the norm of all gradients together, which is `global_clipnorm` today; 0 was off.
    """
    config = {
        key: value for key, value in config.items() if key not in ("clipnorm", "clipvalue") or value
    }
    if "clipnorm" in config and "clipvalue" in config:
        raise OldCheckpointError(
            f"{file.path}: the optimizer has clipnorm and clipvalue, Keras 3 takes one of them; "
            f"{COMPILE_ANEW}"
        )
    if "clipnorm" in config:
        config["global_clipnorm"] = config.pop("clipnorm")
        repair.changes.append(
            f"clipnorm {config['global_clipnorm']:g} becomes global_clipnorm: this Keras clipped "
            "the norm of all gradients together"
        )
    return config
