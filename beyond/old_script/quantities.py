"""The names of what is logged: `val_acc` is `val_accuracy` today."""

import re

# The short names, which `compile` is given, and what Keras before 2.3 logged them as.
SHORT = {
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
}


def today(name: str | None, script, guess: bool = False) -> str | None:
    """Today's name of a quantity, or None if it stays what it is.

    Arguments:
        name: Such as `val_acc`.
        script: The script, which knows how the metric is called there.
        guess: Take `accuracy` for the metric where no `compile` is seen.
    """
    if name is None:
        return None
    if name == "lr" and name not in script.facts.parameters:
        return "learning_rate"  # what callbacks that change it log
    prefix = "val_" if name.startswith("val_") else ""
    short = SHORT.get(name.removeprefix("val_"))
    if short in script.metrics and name.removeprefix("val_") not in script.metrics:
        return prefix + short
    if script.accuracy == "acc":
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


def renamed_pattern(text: str, script) -> str:
    """A pattern of a file name, with the names in braces as today."""

    def new(found):
        name = found[1]
        if today(name, script, guess=True) is None:
            return found[0]
        return "{" + today(name, script, guess=True) + (found[2] or "").replace("=", ":", 1) + "}"

    return re.sub(r"\{(\w*acc|\w*_error)([:=][^{}]*)?\}", new, text)
