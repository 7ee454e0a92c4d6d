"""Code that stands in a comment since a line break was lost in copying."""

import ast
import builtins
import io
import re
import tokenize

import libcst as cst

from .names import dotted

DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)
NEED_COMPILE = {"fit", "evaluate", "train_on_batch", "test_on_batch"}
COMPILE = re.compile(r"#.*\w.*\s([A-Za-z_][\w.]*\.compile\()")
ASSIGNED = re.compile(r"#.*\w.*\s(([A-Za-z_]\w*)\s*=(?!=)\s*[\w\"'\[(].*)")


def swallowed(script) -> tuple[int, str] | None:
    """(line, advice) for the first comment that holds a line which the script needs.

    Arguments:
        script: The script. Words have to stand before the code in the comment: what was commented
            out on purpose is no such line.

    Returns:
        None if no comment has such a line.
    """
    if "#" not in script.source.text:
        return None
    without_compile, unbound = _lacks_compile(script), None
    for line, comment in _comments(script.source.text):
        found = COMPILE.search(comment)
        if found and without_compile:
            return line, _advice(f"{found[1]}…)")
        found = ASSIGNED.search(comment)
        if found is None:
            continue
        if unbound is None:
            unbound = _unbound(script.source.text)
        if found[2] in unbound:
            return line, _advice(f"{found[2]} = …")
    return None


def _advice(code):
    return (
        f"the comment contains {code}, which the script needs: a line break was lost. Put it on a "
        "line of its own"
    )


def _comments(text):
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _lacks_compile(script):
    """Whether a model is trained or evaluated that nothing has compiled."""
    methods = {
        call.func.attr.value if isinstance(call.func, cst.Attribute) else dotted(call.func)
        for call in script.facts.calls
    }
    return not methods & {"compile", "load_model"} and bool(methods & NEED_COMPILE)


def _unbound(text):
    """The names that a text reads and binds nowhere."""
    read, bound = set(), set(dir(builtins))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, DEFINES):
            bound.add(node.name)
    return set() if "*" in bound else read - bound
