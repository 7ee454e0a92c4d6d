"""Names with placeholders, such as "epoch-{epoch:02d}.keras"."""

import fnmatch
import re
import string


def pattern(template: str) -> re.Pattern[str]:
    """What matches the names that `template` may become. `{...}` stands for anything.

    A template that `str.format` would refuse stands for itself.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return re.compile(re.escape(template))
    return re.compile(
        "".join(re.escape(text) + ("" if field is None else ".*") for text, field, *_ in parts),
        re.DOTALL,
    )


def matches(name: str, template_or_pattern: str) -> bool:
    """Whether a file may be meant by the name given to a callback, or by a shell pattern."""
    if pattern(template_or_pattern).fullmatch(name):
        return True
    return fnmatch.fnmatchcase(name, re.sub(r"\{[^}]*\}", "*", template_or_pattern))


def constant_part(template: str) -> str:
    """`template` without its placeholders: the shortest name it may become."""
    return re.sub(r"\{[^{}]*\}", "", template)
