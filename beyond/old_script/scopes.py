"""Which import a name means at its place: the scopes of a script, from Python's syntax tree."""

import ast


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

    def look_up(self, name: str) -> set[str | None] | None:
        """What a name means here; None if nothing binds it."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.bound and (scope is self or not scope.is_class):
                return scope.bound[name]
            scope = scope.parent
        return None


class _Walk(ast.NodeVisitor):
    def __init__(self):
        self.scope = self.module = Scope(None)
        self.at: dict[tuple[int, int], Scope] = {}

    def visit_Import(self, node):
        for alias in node.names:
            first = alias.name.split(".")[0]
            self.scope.bind(alias.asname or first, alias.name if alias.asname else first)

    def visit_ImportFrom(self, node):
        for alias in node.names:
            if alias.name != "*":
                full = f"{node.module}.{alias.name}" if not node.level else None
                self.scope.bind(alias.asname or alias.name, full)

    def visit_Name(self, node):
        self.at[node.lineno, node.col_offset] = self.scope
        if not isinstance(node.ctx, ast.Load):
            self.scope.bind(node.id)

    def visit_Assign(self, node):
        nothing = isinstance(node.value, ast.Constant) and node.value.value is None
        if nothing and all(isinstance(target, ast.Name) for target in node.targets):
            for target in node.targets:  # `keras = None` after a failed import binds nothing
                self.at[target.lineno, target.col_offset] = self.scope
                self.scope.bound.setdefault(target.id, set())
            return
        self.generic_visit(node)

    def visit_Global(self, node):
        self.scope.elsewhere.update(node.names)

    visit_Nonlocal = visit_Global

    def visit_ExceptHandler(self, node):
        if node.name:
            self.scope.bind(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node):
        if node.name:
            self.scope.bind(node.name)
        self.generic_visit(node)

    def visit_ClassDef(self, node):
        self.scope.bind(node.name)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._within(node.body, is_class=True)

    def visit_FunctionDef(self, node):
        self.scope.bind(node.name)
        for part in node.decorator_list:
            self.visit(part)
        self._function(node.args, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self._function(node.args, [node.body])

    def _function(self, arguments, body):
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        for part in (*arguments.defaults, *arguments.kw_defaults):
            if part is not None:
                self.visit(part)
        for one in every:
            if one.annotation is not None:
                self.visit(one.annotation)
        self._within(body, names=[one.arg for one in every])

    def _comprehension(self, node):
        self._within(list(ast.iter_child_nodes(node)))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _within(self, nodes, names=(), is_class=False):
        outer, self.scope = self.scope, Scope(self.scope, is_class)
        for name in names:
            self.scope.bind(name)
        for node in nodes:
            self.visit(node)
        self.scope = outer


class Scopes:
    """The scopes of a script, found by the place of a name.

    Arguments:
        tree: The syntax tree.
        text: The text of it; columns of the tree count bytes, those of a place characters.
    """

    def __init__(self, tree: ast.Module, text: str):
        walk = _Walk()
        walk.visit(tree)
        self.module, self._at = walk.module, walk.at
        self._lines = None if text.isascii() else text.splitlines()

    def at(self, line: int, column: int) -> Scope:
        """The scope of the name at a place; that of the module where the tree has no place."""
        if self._lines is not None and line <= len(self._lines):
            column = len(self._lines[line - 1][:column].encode())
        return self._at.get((line, column), self.module)
