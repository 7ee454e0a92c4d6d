"""Names with placeholders, such as "epoch-{epoch:02d}.keras"."""

import fnmatch
import re
import string
from collections.abc import Callable

WHOLE_NUMBERS = ("epoch", "batch")  # what Keras puts in for them
OF_DIGITS = re.compile(r"\d*d?")  # the formats that give a whole number digits alone


def pattern(template: str) -> re.Pattern[str]:
    """What matches the names that `template` may become.

    `{epoch}` and `{batch}` stand for digits, any other placeholder for anything. A template that
    `str.format` would refuse stands for itself.
    """
    return _pattern(template, re.escape)


def matches(name: str, template_or_pattern: str) -> bool:
    """Whether a file may be meant by the name given to a callback, or by a shell pattern."""
    one = pattern(template_or_pattern)
    return bool(one.fullmatch(name) or _pattern(template_or_pattern, _shell).fullmatch(name))


def constant_part(template: str) -> str:
    """`template` without its placeholders: the shortest name it may become."""
    return re.sub(r"\{[^{}]*\}", "", template)


def _pattern(template: str, of_text: Callable[[str], str]) -> re.Pattern[str]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return re.compile(of_text(template), re.DOTALL)
    found = [of_text(text) + _values(field, form) for text, field, form, _ in parts]
    return re.compile("".join(found), re.DOTALL)


def _values(field: str | None, form: str | None) -> str:
    if field is None:
        return ""
    return r"\d+" if field in WHOLE_NUMBERS and OF_DIGITS.fullmatch(form or "") else ".*"


def _shell(text: str) -> str:
    return fnmatch.translate(text).removesuffix(r"\Z")
