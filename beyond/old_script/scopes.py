"""Which import a name means at its place, and on which line a node stands.

One walk finds both. LibCST's own providers do more and take three times as long.
"""

import libcst as cst


class Scope:
    """What is bound in one module, class, function or comprehension.

    `bound` has for each name the full names that imports give it, and None for anything else.
    """

    def __init__(self, parent: "Scope | None", is_class: bool = False):
        self.parent, self.is_class = parent, is_class
        self.bound: dict[str, set[str | None]] = {}
        self.elsewhere: set[str] = set()  # global, nonlocal

    def bind(self, name: str, full: str | None = None) -> None:
        """Note that a name is bound here."""
        scope = self
        if name in self.elsewhere:
            while scope.parent is not None:
                scope = scope.parent
        scope.bound.setdefault(name, set()).add(full)

    def binder(self, name: str) -> "Scope | None":
        """The scope that binds a name as it is seen here; None if nothing does."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope
            scope = scope.parent
        return None

    def look_up(self, name: str) -> set[str | None] | None:
        """What a name means here; None if nothing binds it."""
        scope = self.binder(name)
        return None if scope is None else scope.bound[name]


def _dotted(node):
    if isinstance(node, cst.Attribute):
        return f"{_dotted(node.value)}.{node.attr.value}"
    return node.value


class Scopes(cst.CSTVisitor):
    """The scopes and the lines of a module.

    Arguments:
        module: The parsed text.

    Attributes:
        stars: The modules of `from ... import *`.
        module: The scope of the module.
    """

    def __init__(self, module: cst.Module):
        super().__init__()
        self.stars: list[str] = []
        self.module = self._scope = Scope(None)
        self._scope_of: dict[cst.CSTNode, Scope] = {}
        self._lines: dict[cst.CSTNode, int] = {}
        self._line = 1
        module.visit(self)

    def line(self, node: cst.CSTNode) -> int:
        """The line on which a node begins."""
        return self._lines.get(node, 1)

    def scope(self, name: cst.Name) -> Scope:
        """The scope of a name; that of the module for a node that is not of the text."""
        return self._scope_of.get(name, self.module)

    # ------------------------------------------------------------------ lines

    def on_visit(self, node):
        self._lines[node] = self._line
        if isinstance(node, cst.Newline):
            self._line += 1
        elif isinstance(node, (cst.FormattedStringText, cst.SimpleWhitespace)):
            self._line += node.value.count("\n")
        elif isinstance(node, (cst.SimpleString, cst.Name)):
            for part in node.lpar:
                part.visit(self)
            self._lines[node], self._scope_of[node] = self._line, self._scope
            self._line += node.value.count("\n")
            for part in node.rpar:
                part.visit(self)
        else:
            return super().on_visit(node)
        return False

    def on_visit_attribute(self, node, attribute):
        pass

    def on_leave_attribute(self, original_node, attribute):
        pass

    def visit_SimpleStatementLine(self, node):
        self._lines[node] = self._line + len(node.leading_lines)

    # ------------------------------------------------------------------ scopes

    def _enter(self, is_class=False):
        self._scope = Scope(self._scope, is_class)

    def _leave(self):
        self._scope = self._scope.parent

    def visit_FunctionDef(self, node):
        self._scope.bind(node.name.value)
        self._scope_of[node.name] = self._scope
        for part in (*node.leading_lines, *node.lines_after_decorators):
            part.visit(self)
        for part in node.decorators:
            part.visit(self)
        self._lines[node.name] = self._line
        node.whitespace_before_params.visit(self)
        self._function(node.params, node.body, node.returns)
        return False

    def visit_Lambda(self, node):
        self._function(node.params, node.body)
        return False

    def _function(self, params, body, returns=None):
        self._enter()
        for one in (*params.posonly_params, *params.params, *params.kwonly_params):
            self._scope.bind(one.name.value)
        for one in (params.star_arg, params.star_kwarg):
            if isinstance(one, cst.Param):
                self._scope.bind(one.name.value)
        params.visit(self)
        if returns is not None:
            returns.visit(self)
        body.visit(self)
        self._leave()

    def visit_ClassDef(self, node):
        self._scope.bind(node.name.value)
        for part in (*node.leading_lines, *node.lines_after_decorators, *node.decorators):
            part.visit(self)
        for part in (node.lpar, *node.bases, *node.keywords, node.rpar):
            if isinstance(part, cst.CSTNode):
                part.visit(self)
        self._enter(is_class=True)
        node.body.visit(self)
        self._leave()
        return False

    def _comprehension(self, node):
        self._enter()
        self._bind_loops(node.for_in)

    def _bind_loops(self, loop):
        while loop is not None:
            self._bind(loop.target)
            loop = loop.inner_for_in

    def _end(self, original_node):
        self._leave()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension
    leave_ListComp = leave_SetComp = leave_DictComp = leave_GeneratorExp = _end

    # ------------------------------------------------------------------ bindings

    def _bind(self, target):
        if isinstance(target, cst.Name):
            self._scope.bind(target.value)
        elif isinstance(target, (cst.Tuple, cst.List)):
            for element in target.elements:
                self._bind(element.value)
        elif isinstance(target, cst.StarredElement):
            self._bind(target.value)

    def visit_Assign(self, node):
        nothing = isinstance(node.value, cst.Name) and node.value.value == "None"
        for target in node.targets:
            if nothing and isinstance(target.target, cst.Name):
                # `keras = None` after a failed import binds nothing
                self._scope.bound.setdefault(target.target.value, set())
            else:
                self._bind(target.target)

    def visit_AnnAssign(self, node):
        self._bind(node.target)

    def visit_AugAssign(self, node):
        self._bind(node.target)

    def visit_NamedExpr(self, node):
        self._bind(node.target)

    def visit_For(self, node):
        self._bind(node.target)

    def visit_AsName(self, node):
        self._bind(node.name)

    def visit_Del(self, node):
        self._bind(node.target)

    def visit_MatchAs(self, node):
        if node.name is not None:
            self._bind(node.name)

    def visit_Global(self, node):
        self._scope.elsewhere.update(item.name.value for item in node.names)

    def visit_Nonlocal(self, node):
        self._scope.elsewhere.update(item.name.value for item in node.names)

    def visit_Import(self, node):
        for alias in node.names:
            name = _dotted(alias.name)
            first = name.split(".")[0]
            bound = alias.asname.name.value if alias.asname else first
            self._scope.bind(bound, name if alias.asname else first)
        return False

    def visit_ImportFrom(self, node):
        module = _dotted(node.module) if node.module is not None else ""
        if isinstance(node.names, cst.ImportStar):
            if module and not node.relative:
                self.stars.append(module)
        else:
            for alias in node.names:
                bound = alias.asname.name if alias.asname else alias.name
                full = None if node.relative else f"{module}.{alias.name.value}"
                self._scope.bind(bound.value, full)
        self._line += cst.Module([]).code_for_node(node).count("\n")
        return False
