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
    name = str(found.get("class_name")).split(">")[-1]
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
    if not repair.layout.tf and (name == "Nadam" or made.config.get("clipnorm")):
        what = "the state of Nadam" if name == "Nadam" else "clipnorm"
        raise OldCheckpointError(
            f"{file.path}: {what} was not compared with Keras {file.version} for several backends; "
            f"{COMPILE_ANEW}"
        )
    if made.config.get("weight_decay"):
        repair.lost.append(
            "names given to exclude_from_weight_decay: no Keras stores them; give them again"
        )
    return made
