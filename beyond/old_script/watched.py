"""Names of quantities that stand elsewhere than where they are used: in a variable, in a loop."""

import libcst as cst

from . import whose
from .calls import argument
from .classes import MONITORS
from .literals import literal
from .origins import logged_by_keras
from .quantities import today


def texts(script, node: cst.BaseExpression | None, depth: int = 0) -> list[cst.SimpleString]:
    """The texts of a script that an expression may stand for.

    Arguments:
        script: The script.
        node: An expression of it; `'val_' + name` stands for what `name` does.
    """
    if node is None or depth > 6:
        return []
    if isinstance(node, cst.SimpleString):
        return [node]
    if isinstance(node, cst.BinaryOperation):
        plus = isinstance(node.operator, cst.Add) and literal(node.left) == "val_"
        return texts(script, node.right, depth + 1) if plus else []
    if not isinstance(node, (cst.Name, cst.Attribute, cst.Subscript)):
        return []
    values = script.facts.flow.values(node)
    return [one for value in values for one in texts(script, value, depth + 1)]


def plan(script) -> None:
    """Give a quantity its name of today where the text of it stands, in `script.strings`.

    A text that is used for something else as well stays, and the reader is told.

    Arguments:
        script: The script, which also gets `names_changed` and `late_undecided`.
    """
    uses: dict[cst.SimpleString, list[tuple]] = {}
    for place, value, sure, named in _uses(script):
        for node in [] if literal(value) is not None else texts(script, value):
            new = today(literal(node), script, guess=True, named=named)
            if new is not None and node not in script.strings:
                uses.setdefault(node, []).append((place, sure, new))
    for node, found in uses.items():
        old, names = literal(node), {new for _, _, new in found}
        if not any(sure() for _, sure, _ in found):
            continue
        if len(names) > 1 or not all(sure() for _, sure, _ in found):
            said = f"{old!r}: Keras logs it as {' or '.join(sorted(names))} today; this line is "
            said += "not used for that alone"
            script.late_undecided.append((node, said))
            continue
        code = node.value.replace(old, names.pop())
        script.strings[node] = code
        certain = script.accuracy is not None
        script.names_changed.append((node, node.value, code, "its name since Keras 2.3", certain))


def _uses(script):
    """(place, expression of a name, a function that says whether Keras is asked for it, whose)."""
    for call in script.facts.calls:
        position = MONITORS.get(script.facts.own.means(script, call))
        if position is not None:
            named = whose.of_callback(script, call)
            yield call, argument(call, "monitor", position), lambda: True, named
        elif isinstance(call.func, cst.Attribute) and call.func.attr.value == "get" and call.args:
            yield call, call.args[0].value, _logged(script, call.func.value), None
    for subscript in script.facts.subscripts:
        named = whose.of_history(script, subscript.value) if whose.mixed(script) else None
        key = subscript.slice[0].slice.value
        yield subscript, key, _logged(script, subscript.value), named


def _logged(script, owner):
    return lambda: logged_by_keras(script, owner) is True
