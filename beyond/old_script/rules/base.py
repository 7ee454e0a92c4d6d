"""What every rule is: a class that looks at one kind of place and may change it.

A rule's docstring says in one line what it does and shows it under `Before:` and `After:`. The
tests rewrite the first and compare it with the second, and run the second. To add a rule, write
such a class in the module of its theme and name it in `rules/__init__.py`.
"""

import libcst as cst

from ..calls import CallEdit


class CallRule:
    """A rule for calls.

    Attributes:
        functions: Full names of today for which the rule is asked; a name that ends in a dot
            stands for all that begins with it.
        methods: Names of methods for which the rule is asked, whatever they belong to.
    """

    functions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def change(self, call: CallEdit) -> None:
        """Look at the call, and change it if it is one of an old script."""
        raise NotImplementedError


class StatementRule:
    """A rule for whole statements, such as imports."""

    def statement(
        self, original: cst.BaseSmallStatement, updated: cst.BaseSmallStatement, script
    ) -> list[cst.BaseSmallStatement] | None:
        """The statements that take its place; None leaves it as it is."""
        raise NotImplementedError


class ExpressionRule:
    """A rule for an expression of one class.

    Attributes:
        nodes: Names of the LibCST classes for which the rule is asked.
    """

    nodes: tuple[str, ...] = ()

    def expression(
        self, original: cst.BaseExpression, updated: cst.BaseExpression, script
    ) -> cst.BaseExpression | None:
        """The expression that takes its place; None leaves it as it is."""
        raise NotImplementedError
