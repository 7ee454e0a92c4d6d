"""One walk over a script, in which every rule is asked at its places."""

import collections
import re

import libcst as cst

from . import walks
from .calls import CallEdit
from .rules import RULES
from .rules.base import CallRule, ExpressionRule, StatementRule

_BY_METHOD = collections.defaultdict(list)
_BY_FUNCTION = collections.defaultdict(list)
_BY_PREFIX = []
for _rule in RULES:
    if isinstance(_rule, CallRule):
        for _name in _rule.methods:
            _BY_METHOD[_name].append(_rule)
        for _name in _rule.functions:
            if _name.endswith("."):
                _BY_PREFIX.append((_name, _rule))
            else:
                _BY_FUNCTION[_name].append(_rule)
        if hasattr(_rule, "names"):
            for _name in _rule.names:
                _BY_METHOD[_name].append(_rule)
_ORDER = {rule: number for number, rule in enumerate(RULES)}
_STATEMENTS = [rule for rule in RULES if isinstance(rule, StatementRule)]
_EXPRESSIONS = collections.defaultdict(list)
for _rule in RULES:
    if isinstance(_rule, ExpressionRule):
        for _name in _rule.nodes:
            _EXPRESSIONS[_name].append(_rule)


class Rewriter(walks.Transformer):
    """Applies the rules to the nodes of one script."""

    def __init__(self, script):
        super().__init__()
        self._script = script

    # ------------------------------------------------------------------ expressions

    def leave_Call(self, original_node, updated_node):
        func = original_node.func
        last = (
            func.attr.value
            if isinstance(func, cst.Attribute)
            else func.value
            if isinstance(func, cst.Name)
            else ""
        )
        full = self._script.facts.own.means(self._script, original_node) if last else ""
        rules = [*_BY_METHOD.get(last, ()), *_BY_FUNCTION.get(full, ())]
        if full:
            rules += [rule for prefix, rule in _BY_PREFIX if full.startswith(prefix)]
        made = updated_node
        if rules:
            call = CallEdit(original_node, updated_node, self._script)
            for rule in sorted(set(rules), key=_ORDER.__getitem__):
                if call.replacement is None:
                    rule.change(call)
            made = call.build()
        if isinstance(made, cst.Call):
            return self._expression("Call", original_node, made)
        return made

    def _expression(self, kind, original, updated):
        for rule in _EXPRESSIONS[kind]:
            made = rule.expression(original, updated, self._script)
            if made is not None:
                updated = made
        return updated

    def leave_Attribute(self, original_node, updated_node):
        return self._expression("Attribute", original_node, updated_node)

    def leave_Subscript(self, original_node, updated_node):
        return self._expression("Subscript", original_node, updated_node)

    def leave_FunctionDef(self, original_node, updated_node):
        return self._expression("FunctionDef", original_node, updated_node)

    def leave_ClassDef(self, original_node, updated_node):
        return self._expression("ClassDef", original_node, updated_node)

    def leave_Dict(self, original_node, updated_node):
        return self._expression("Dict", original_node, updated_node)

    def leave_BinaryOperation(self, original_node, updated_node):
        return self._expression("BinaryOperation", original_node, updated_node)

    def leave_Comparison(self, original_node, updated_node):
        return self._expression("Comparison", original_node, updated_node)

    def leave_SimpleString(self, original_node, updated_node):
        return self._text(original_node, updated_node)

    def leave_UnaryOperation(self, original_node, updated_node):
        new = self._script.strings.get(original_node)
        return updated_node if new is None else cst.parse_expression(new)

    def leave_FormattedStringText(self, original_node, updated_node):
        return self._text(original_node, updated_node)

    def _text(self, original, updated):
        new = self._script.strings.get(original)
        return updated if new is None else updated.with_changes(value=new)

    # ------------------------------------------------------------------ statements

    def visit_SimpleStatementLine(self, node):
        self._script.pending.clear()

    def leave_SimpleStatementLine(self, original_node, updated_node):
        body, changed = [], False
        for original, updated in zip(original_node.body, updated_node.body, strict=True):
            made = None
            for rule in _STATEMENTS:
                if made is None:
                    made = rule.statement(original, updated, self._script)
            if made is None and _became_nothing(original, updated):
                made = []
            changed = changed or made is not None
            body += [updated] if made is None else made
        inputs = [code for place, code in self._script.inputs.values() if place is original_node]
        before = [*self._script.pending]
        if inputs:
            add = original_node.body[0].value
            before += [f"{self._script.code(add.func)}({code})" for code in inputs]
        if not changed and not before:
            return updated_node
        if not body:
            return self._without(original_node, updated_node)
        lines = [cst.parse_statement(code) for code in before]
        if len(body) > 1 and len(original_node.body) == 1:
            lines += [cst.SimpleStatementLine([one]) for one in body[:-1]]
            lines.append(updated_node.with_changes(body=[body[-1]], leading_lines=[]))
        else:
            lines.append(updated_node.with_changes(body=body, leading_lines=[]))
        lines[0] = lines[0].with_changes(leading_lines=updated_node.leading_lines)
        return cst.FlattenSentinel(lines)

    def _without(self, original, updated):
        if self._script.alone(original):
            return updated.with_changes(body=[cst.Pass()])
        if updated.leading_lines and any(line.comment for line in updated.leading_lines):
            return updated.with_changes(body=[cst.Pass()])
        return cst.RemoveFromParent()

    def leave_List(self, original_node, updated_node):
        return self._first_element(original_node, updated_node)

    def leave_Tuple(self, original_node, updated_node):
        return self._first_element(original_node, updated_node)

    def _first_element(self, original, updated):
        codes = [code for place, code in self._script.inputs.values() if place is original]
        if not codes or not updated.elements:
            return updated
        comma = updated.elements[0].comma
        if not isinstance(comma, cst.Comma):
            comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        first = cst.Element(cst.parse_expression(codes[0]), comma=comma)
        return updated.with_changes(elements=[first, *updated.elements])

    # ------------------------------------------------------------------ the module

    def leave_Module(self, original_node, updated_node):
        lines = [cst.parse_statement(line) for line in self._script.imports]
        definitions = [
            cst.parse_statement(code, config=updated_node.config_for_parsing)
            for code in self._script.definitions.values()
        ]
        if not lines and not definitions:
            return updated_node
        body = list(updated_node.body)
        first = at = _before_imports(body)
        if definitions:
            at = _after_imports(body, self._script.definitions)
            blank = cst.EmptyLine(indent=False)
            definitions = [one.with_changes(leading_lines=[blank, blank]) for one in definitions]
            if at < len(body) and not body[at].leading_lines:
                body[at] = body[at].with_changes(leading_lines=[blank, blank])
        return updated_node.with_changes(
            body=[*body[:first], *lines, *body[first:at], *definitions, *body[at:]]
            if first <= at
            else [*body[:first], *lines, *definitions, *body[first:]]
        )


def _became_nothing(original, updated):
    """Whether a call that stood alone was replaced by None."""
    return (
        isinstance(original, cst.Expr)
        and isinstance(original.value, cst.Call)
        and isinstance(updated, cst.Expr)
        and isinstance(updated.value, cst.Name)
        and updated.value.value == "None"
    )


def _is_import(statement):
    return isinstance(statement, cst.SimpleStatementLine) and any(
        isinstance(small, (cst.Import, cst.ImportFrom)) for small in statement.body
    )


def _before_imports(body):
    """Where new imports go: after the first imports that stand together."""
    start = 1 if body and _is_docstring(body[0]) else 0
    first = next((i for i in range(start, len(body)) if _is_import(body[i])), None)
    if first is None:
        return start
    while first < len(body) and _is_import(body[first]):
        first += 1
    return first


def _after_imports(body, names):
    """The place after the imports at the top, and before the first line that says one of `names`.

    Notebooks and pasted scripts import between other lines, too.
    """
    words = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    last = -1
    for index, statement in enumerate(body):
        if _is_import(statement):
            last = index
        elif isinstance(statement, (cst.ClassDef, cst.FunctionDef)) or words.search(
            cst.Module([statement]).code
        ):
            break
    if last >= 0:
        return last + 1
    return 1 if body and _is_docstring(body[0]) else 0


def _is_docstring(statement):
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, (cst.SimpleString, cst.ConcatenatedString))
    )


def run(script) -> str:
    """The text of the script after all rules; what they found is in `script.findings`."""
    script.start()
    return script.module.visit(Rewriter(script)).code
