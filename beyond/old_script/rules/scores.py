"""What `evaluate` returns, and the names of it."""

import libcst as cst

from ..calls import CallEdit
from ..names import dotted
from .base import CallRule, ExpressionRule

EVALUATES = ("evaluate", "evaluate_generator", "test_on_batch")
NAMES_GONE = (
    "metrics_names holds 'loss' and 'compile_metrics' only; use "
    "model.evaluate(..., return_dict=True)"
)


class MetricsNames(ExpressionRule):
    """Write the name of a metric where `metrics_names` was asked for it.

    Before:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, nb_epoch=1)
        print(model.metrics_names[1])
    After:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        model.fit(x, y, epochs=1)
        print('accuracy')
    """

    nodes = ("Subscript", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            if original.attr.value == "metrics_names" and original not in _handled(script):
                return self._all(original, script)
            return None
        owner = original.value
        if not isinstance(owner, cst.Attribute) or owner.attr.value != "metrics_names":
            return None
        index = script.code(original.slice[0]) if len(original.slice) == 1 else ""
        names = ["loss", *script.metric_list]
        if not index.isdigit() or int(index) >= len(names) or script.metric_list is None:
            script.silent(original, NAMES_GONE)
            return None
        name = names[int(index)]
        quote = '"' if script.source.text.count('"') > script.source.text.count("'") else "'"
        made = f"{quote}{name}{quote}"
        script.change(original, script.code(original), made, "metrics_names says 'compile_metrics'")
        return cst.parse_expression(made)

    def _all(self, original, script):
        """The list of all names, where one `compile` is seen and lists them as texts."""
        names = script.metric_list
        if not names or not all(names) or script.facts.builds_functional:
            script.silent(original, NAMES_GONE)
            return None
        made = f"[{', '.join(map(repr, ['loss', *names]))}]"
        script.change(original, script.code(original), made, "metrics_names says 'compile_metrics'")
        return cst.parse_expression(made)


class ZippedMetrics(CallRule):
    """Ask `evaluate` for names and values together.

    Before:
        model.compile('sgd', 'mse', metrics=['mae', 'accuracy'])
        model.fit(x, y, nb_epoch=1)
        for name, value in zip(model.metrics_names, model.evaluate(x, y)):
            print(name, value)
        scores = dict(zip(model.metrics_names, model.evaluate(x, y, verbose=0)))
    After:
        model.compile('sgd', 'mse', metrics=['mae', 'accuracy'])
        model.fit(x, y, epochs=1)
        for name, value in model.evaluate(x, y, return_dict=True).items():
            print(name, value)
        scores = dict(model.evaluate(x, y, verbose=0, return_dict=True).items())
    """

    methods = ("zip",)

    def change(self, call):
        if not _is_zipped(call.original):
            return
        second = call.args[1].value
        made = CallEdit(call.original.args[1].value, second, call.script)
        made.put("return_dict", "True")
        code = call.script.module.code_for_node(made.build().with_changes(lpar=[], rpar=[]))
        call.replace(f"{code}.items()")
        why = "metrics_names says 'compile_metrics'"
        call.change("zip(… .metrics_names, …)", "….evaluate(…, return_dict=True).items()", why)


def _is_zipped(call):
    """Whether a call is `zip(model.metrics_names, model.evaluate(…))`."""
    if dotted(call.func) != "zip" or len(call.args) != 2 or any(arg.star for arg in call.args):
        return False
    first, second = (arg.value for arg in call.args)
    if not isinstance(first, cst.Attribute) or first.attr.value != "metrics_names":
        return False
    if not isinstance(second, cst.Call) or not isinstance(second.func, cst.Attribute):
        return False
    words = {arg.keyword.value for arg in second.args if arg.keyword is not None}
    if second.func.attr.value not in EVALUATES or "return_dict" in words:
        return False
    return bool(dotted(first.value)) and dotted(first.value) == dotted(second.func.value)


def _handled(script):
    """The places of `metrics_names` of which a rule takes care."""
    zipped = {call.args[0].value for call in script.facts.calls if _is_zipped(call)}
    return zipped | script.facts.subscripted
