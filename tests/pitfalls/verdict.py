"""What the end of a test says about its pitfall: whether it is there, and whether the remedy works.

A test first makes Keras do what an entry of docs/PITFALLS.md says, then executes the remedy. On
another release of Keras either part may fail, and each way to fail means something else.
"""

import ast
import dataclasses
import functools
import pathlib
import re
import traceback

import pytest

AS_DESCRIBED = "as described"
IN_PART = "in part"  # the message comes, and something else that the entry says does not
ANOTHER_MESSAGE = "another message"
NOT_THERE = "not there"
NOT_RUN = "not run"  # the test could not do what the entry says; the reason is noted
WORKS, FAILS = "works", "fails"
REFUSED = "refused"  # durable_checkpoint does not run on this Keras, and says so
REFUSAL = "durable_checkpoint needs Keras"
EXPECTING = ("pytest.raises", "pytest.warns")
# An assertion that ends with one of these was not decided: the test uses what is not there.
UNDECIDED = (TypeError, AttributeError, NameError, ImportError)
MISSING = re.compile(r"module 'keras[\w.]*' has no attribute")


@dataclasses.dataclass
class Verdict:
    """What was seen.

    happens: One of the first five words above, about the pitfall.
    remedy: One of "works", "fails", "refused", "not run".
    message: What Keras says, where it is not what the entry quotes.
    reason: What ended the test, if it did not pass.
    """

    happens: str = AS_DESCRIBED
    remedy: str = WORKS
    message: str = ""
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether all is as the entry says."""
        return (self.happens, self.remedy) == (AS_DESCRIBED, WORKS)


def one_line(error: BaseException | str) -> str:
    """Class and text of an error, in one line and in full length."""
    name = "" if isinstance(error, str) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())


@functools.cache
def _statements(file: str) -> list[ast.stmt]:
    return [
        node
        for node in ast.walk(ast.parse(pathlib.Path(file).read_text()))
        if isinstance(node, ast.stmt)
    ]


def _statement_of(error: BaseException, file: str) -> tuple[ast.stmt | None, list[ast.With]]:
    """The statement of the test that failed, and the blocks that expect an error around it."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if not lines or lines[0] is None:
        return None, []
    around = [s for s in _statements(file) if s.lineno <= lines[0] <= (s.end_lineno or s.lineno)]
    if not around:
        return None, []
    expecting = [
        statement
        for statement in around
        if isinstance(statement, ast.With)
        and any(ast.unparse(item.context_expr).startswith(EXPECTING) for item in statement.items)
    ]
    return max(around, key=lambda s: (s.lineno, -(s.end_lineno or s.lineno))), expecting


def of_failure(
    error: BaseException, file: str, remedying: bool, compared: bool, message: str
) -> Verdict:
    """What it means that a test ended with this error.

    Args:
        error: What ended the test.
        file: Where the test stands; the statement that failed is looked up there.
        remedying: Whether the remedy had begun.
        compared: Whether the message had come that the entry quotes.
        message: What came in its place, or "".
    """
    reason = one_line(error)
    seen = ANOTHER_MESSAGE if message else AS_DESCRIBED
    if remedying:
        chain, link = [reason], error
        while link := (link.__cause__ or link.__context__):
            chain.append(one_line(link))
        refused = any(REFUSAL in text for text in chain)
        return Verdict(seen, REFUSED if refused else FAILS, message, reason)
    statement, expecting = _statement_of(error, file)
    if isinstance(error, AttributeError) and MISSING.search(reason):
        happens = NOT_RUN
    elif isinstance(error, pytest.fail.Exception):  # DID NOT RAISE, DID NOT WARN
        happens = NOT_THERE if expecting else NOT_RUN
    elif expecting:  # another class of error, or another text
        happens, message = ANOTHER_MESSAGE, message or reason
    elif isinstance(statement, ast.Assert) and not isinstance(error, UNDECIDED):
        happens = NOT_THERE
    else:
        happens = NOT_RUN
    if compared:
        happens, message = IN_PART, ""
    return Verdict(happens, NOT_RUN, message, reason)
