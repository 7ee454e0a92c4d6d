"""The names of what is logged: `val_acc` is `val_accuracy` today."""

import re

from .whose import mixed, of_output

# What Keras before 2.3 logged -> the short names, which `compile` was given and which are logged
# today.
SHORT = {
    "mean_absolute_error": ("mae", "MAE"),
    "mean_squared_error": ("mse", "MSE"),
    "mean_absolute_percentage_error": ("mape", "MAPE"),
    "mean_squared_logarithmic_error": ("msle", "MSLE"),
}
# What was logged -> the names for it in `compile`, and today's.
RENAMED = {
    "kullback_leibler_divergence": ({"kullback_leibler_divergence", "kld", "KLD"}, "kl_divergence"),
    "cosine_proximity": ({"cosine_proximity", "cosine"}, "cosine_similarity"),
}
# A name of the accuracy: that of the output which it is of, "" for the only one.
ACCURACY = re.compile(r"(?:val_)?(?:(\w+)_)?acc")
LONG = re.compile(rf"(|\w+_)({'|'.join((*SHORT, *RENAMED))})")


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
    long = LONG.fullmatch(name)
    if long is not None:
        return _today(long[1], long[2], script)
    of_output = _of_output(name, script)
    if of_output is not None:
        return None if of_output == "acc" else name[: -len("acc")] + "accuracy"
    if script.accuracy == "acc" or (mixed(script) and named != "accuracy"):
        return None
    found = ACCURACY.fullmatch(name)
    if found is None or found[1] == "val":
        return None
    if script.accuracy is None and not (guess and script.any_accuracy):
        return None
    return name[: -len("acc")] + "accuracy"


def _of_output(name, script):
    """How `compile` names the accuracy of the output that a name as `val_gender_acc` is of."""
    found = ACCURACY.fullmatch(name or "")
    return of_output(script, found[1]) if found is not None and found[1] else None


def _today(before, long, script):
    """Today's name of a metric with a long one; `before` is `val_` and the name of an output."""
    if long in RENAMED:
        given, new = RENAMED[long]
        return before + new if given & script.metrics else None
    short = [one for one in SHORT[long] if one in script.metrics]
    return before + short[0] if len(short) == 1 and long not in script.metrics else None


def unsure(name: str | None, script) -> bool:
    """Whether a name is an old one of the accuracy if `compile`, which is not seen, says so."""
    sure = today(name, script) is not None
    return not sure and script.accuracy is None and today(name, script, guess=True) is not None


def unclear(name: str | None, script, named: str | None) -> bool:
    """Whether a name is one of the accuracy, and the models of the script differ in its name."""
    old = bool(ACCURACY.fullmatch(name or ""))
    return old and mixed(script) and named is None and _of_output(name, script) is None


def renamed_pattern(text: str, script, named: str | None = None) -> str:
    """A pattern of a file name, with the names in braces as today (`named`: see `today`)."""

    def in_braces(found):
        name = found[1]
        new = today(name, script, guess=True, named=named)
        if new is None:
            return found[0]
        return "{" + new + (found[2] or "").replace("=", ":", 1) + "}"

    return re.sub(r"\{(\w*acc|\w*_(?:error|divergence|proximity))([:=][^{}]*)?\}", in_braces, text)
