"""The names of what is logged: `val_acc` is `val_accuracy` today."""

import re


def today(name: str | None, script) -> str | None:
    """Today's name of a quantity, or None if it stays what it is.

    Arguments:
        name: Such as `val_acc`.
        script: The script, which knows how the metric is called there.
    """
    if name is None or script.accuracy == "acc":
        return None
    found = re.fullmatch(r"(val_)?(\w+_)?acc", name)
    if found is None or (found[2] and found[2] == "val_"):
        return None
    if script.accuracy is None and not script.any_accuracy:
        return None
    return name[: -len("acc")] + "accuracy"


def renamed_pattern(text: str, script) -> str:
    """A pattern of a file name, with the names in braces as today."""

    def new(found):
        name = found[1]
        if today(name, script) is None:
            return found[0]
        return "{" + today(name, script) + (found[2] or "").replace("=", ":", 1) + "}"

    return re.sub(r"\{(\w*acc)([:=][^{}]*)?\}", new, text)
