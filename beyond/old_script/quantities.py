"""The names of what is logged: `val_acc` is `val_accuracy` today."""

import re

from .whose import mixed

# The short names, which `compile` is given, and what Keras before 2.3 logged them as.
SHORT = {
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
}


def today(name: str | None, script, guess: bool = False, named: str | None = None) -> str | None:
    """Today's name of a quantity, or None if it stays what it is.

    Arguments:
        name: Such as `val_acc`.
        script: The script, which knows how the metric is called there.
        guess: Take `accuracy` for the metric where no `compile` is seen.
        named: How the model's `compile` names the accuracy, which counts if the models of the
            script differ in that; None if it is not seen.
    """
    if name is None:
        return None
    if name == "lr" and name not in script.facts.parameters:
        return "learning_rate"  # what callbacks that change it log
    prefix = "val_" if name.startswith("val_") else ""
    short = SHORT.get(name.removeprefix("val_"))
    if short in script.metrics and name.removeprefix("val_") not in script.metrics:
        return prefix + short
    if script.accuracy == "acc" or (mixed(script) and named != "accuracy"):
        return None
    found = re.fullmatch(r"(val_)?(\w+_)?acc", name)
    if found is None or (found[2] and found[2] == "val_"):
        return None
    if script.accuracy is None and not (guess and script.any_accuracy):
        return None
    return name[: -len("acc")] + "accuracy"


def unsure(name: str | None, script) -> bool:
    """Whether a name is an old one of the accuracy if `compile`, which is not seen, says so."""
    sure = today(name, script) is not None
    return not sure and script.accuracy is None and today(name, script, guess=True) is not None


def unclear(name: str | None, script, named: str | None) -> bool:
    """Whether a name is one of the accuracy, and the models of the script differ in its name."""
    old = bool(re.fullmatch(r"(val_)?(\w+_)?acc", name or ""))
    return old and mixed(script) and named is None


def renamed_pattern(text: str, script, named: str | None = None) -> str:
    """A pattern of a file name, with the names in braces as today (`named`: see `today`)."""

    def in_braces(found):
        name = found[1]
        new = today(name, script, guess=True, named=named)
        if new is None:
            return found[0]
        return "{" + new + (found[2] or "").replace("=", ":", 1) + "}"

    return re.sub(r"\{(\w*acc|\w*_error)([:=][^{}]*)?\}", in_braces, text)
