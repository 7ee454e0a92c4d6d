"""A call that rules change argument by argument, with its layout kept."""

import libcst as cst

from . import names


def argument(call, name: str, position: int | None = None) -> cst.BaseExpression | None:
    """The value of an argument by name, or by position where no star stands before it.

    Arguments:
        call: A call of the script, or a `CallEdit`.
        name: The name of the argument.
        position: Its place without a name; None if it has none.
    """
    for arg in call.args:
        if arg.keyword is not None and arg.keyword.value == name:
            return arg.value
    for index, arg in enumerate(call.args):
        if arg.star or arg.keyword is not None:
            return None
        if index == position:
            return arg.value
    return None


class CallEdit:
    """One call of a script, while the rules look at it.

    Attributes:
        original: The call as the script has it; positions and names belong to it.
        script: The script.
        full: The full name of what is called, where today's Keras has it; empty if unknown.
        method: The last name of what is called, as in `model.fit`: "fit".
        func: What will be called; a rule may replace it.
        args: The arguments as they will be; a rule may replace them.
        replacement: An expression in place of the whole call.
    """

    def __init__(self, original: cst.Call, updated: cst.Call, script):
        self.original, self._updated, self.script = original, updated, script
        self.func, self.args = updated.func, list(updated.args)
        self.full = script.facts.own.means(script, original)
        is_method = isinstance(original.func, cst.Attribute)
        self.method = original.func.attr.value if is_method else ""
        self.replacement: cst.BaseExpression | None = None

    @property
    def receiver(self) -> cst.BaseExpression | None:
        """What the method belongs to, in the script."""
        return self.original.func.value if self.method else None

    @property
    def updated_receiver(self) -> cst.BaseExpression:
        """What the method belongs to, after the changes inside it."""
        return self.func.value

    @property
    def positional(self) -> list[cst.Arg]:
        """The arguments without a name, up to the first with a star."""
        found = []
        for arg in self.args:
            if arg.star or arg.keyword is not None:
                break
            found.append(arg)
        return found

    @property
    def starred(self) -> bool:
        """Whether arguments come from `*` or `**`, which hide what is passed."""
        return any(arg.star for arg in self.args)

    def keyword(self, name: str) -> cst.BaseExpression | None:
        """The value of a named argument."""
        return argument(self, name)

    def value(self, name: str, position: int | None = None) -> cst.BaseExpression | None:
        """The value of an argument, by name or by position."""
        return argument(self, name, position)

    def code(self, node: cst.CSTNode | None) -> str:
        """The text of a piece of the script."""
        return "" if node is None else self.script.code(node)

    # ------------------------------------------------------------------ changing

    def change(
        self, old: str, new: str, why: str, certain: bool = True, behaviour: bool = False
    ) -> None:
        """Report a change at the line of this call (see `report.Change`)."""
        self.script.change(self.original, old, new, why, certain, behaviour)

    def rename(
        self, old: str, new: str, why: str, certain: bool = True, made: str | None = None
    ) -> bool:
        """Give a named argument its name of today, and the value `made` (code) if that is given."""
        if self.keyword(old) is None or self.keyword(new) is not None:
            return False
        value = self.code(self.keyword(old))
        self.args = [
            arg.with_changes(keyword=cst.Name(new))
            if arg.keyword is not None and arg.keyword.value == old
            else arg
            for arg in self.args
        ]
        if made is not None:
            self.put(new, made)
        self.change(f"{old}={value}", f"{new}={value if made is None else made}", why, certain)
        return True

    def drop(self, name: str, why: str, certain: bool = True) -> cst.BaseExpression | None:
        """Take a named argument out; its value, or None if there is none."""
        value = self.keyword(name)
        if value is None:
            return None
        self.remove(next(a for a in self.args if a.keyword is not None and a.keyword.value == name))
        self.change(f"{name}={self.code(value)}", "", why, certain)
        return value

    def remove(self, arg: cst.Arg) -> None:
        """Take an argument out, without a report."""
        index = self.args.index(arg)
        del self.args[index]
        if self.args and index == len(self.args):  # the new last one ends as the old one did
            self.args[-1] = self.args[-1].with_changes(
                comma=arg.comma, whitespace_after_arg=arg.whitespace_after_arg
            )

    def put(self, name: str, value: cst.BaseExpression | str) -> None:
        """Set a named argument, in its place or at the end (before `**`), without a report."""
        value = cst.parse_expression(value) if isinstance(value, str) else value
        for index, arg in enumerate(self.args):
            if arg.keyword is not None and arg.keyword.value == name:
                self.args[index] = arg.with_changes(value=value)
                return
        new = cst.Arg(
            value,
            keyword=cst.Name(name),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        )
        at = next((i for i, arg in enumerate(self.args) if arg.star == "**"), len(self.args))
        if at == len(self.args) and self.args:
            last = self.args[-1]
            new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
            self.args[-1] = last.with_changes(
                comma=_comma(self.args), whitespace_after_arg=cst.SimpleWhitespace("")
            )
        self.args.insert(at, new)

    def put_positional(self, index: int, value: cst.BaseExpression | str) -> None:
        """Replace the value of a positional argument, without a report."""
        value = cst.parse_expression(value) if isinstance(value, str) else value
        self.args[index] = self.args[index].with_changes(value=value)

    def put_value(self, name: str, position: int, value: cst.BaseExpression | str) -> None:
        """Set an argument where `value` finds it, or by name, without a report."""
        if self.keyword(name) is None and position < len(self.positional):
            self.put_positional(position, value)
        else:
            self.put(name, value)

    def name_positional(self, parameters: list[str], start: int, first: int = 0) -> None:
        """Give the positional arguments from `start` on their names.

        Arguments:
            parameters: The names.
            start: The position of the first that gets a name.
            first: The position of the argument that the list of names begins with.
        """
        for index in range(start, min(len(self.positional), first + len(parameters))):
            self.args[index] = self.args[index].with_changes(
                keyword=cst.Name(parameters[index - first]),
                equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
            )
            # `positional` shortens as names appear, so go on by index
            if index + 1 < len(self.args) and self.args[index + 1].keyword is not None:
                break

    def call_instead(self, name: str) -> None:
        """Call this instead; the name is that of an attribute for a method."""
        if self.method and isinstance(self.func, cst.Attribute):
            self.func = self.func.with_changes(attr=cst.Name(name))
        else:
            self.func = names.chain(name)

    def replace(self, code: str) -> None:
        """Put this expression in place of the whole call."""
        self.replacement = cst.parse_expression(code)

    def build(self) -> cst.BaseExpression:
        """The expression that takes the place of the call."""
        if self.replacement is not None:
            return self.replacement.with_changes(
                lpar=[*self._updated.lpar, *self.replacement.lpar],
                rpar=[*self.replacement.rpar, *self._updated.rpar],
            )
        return self._updated.with_changes(func=self.func, args=self.args)


def _comma(args):
    for arg in args[:-1]:
        if isinstance(arg.comma, cst.Comma):
            return arg.comma
    return cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
