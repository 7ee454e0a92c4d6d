"""One script while it is looked at and changed."""

import dataclasses
import io
import itertools
import re
import tokenize

import libcst as cst

from . import slips, sources
from .errors import OldScriptError
from .facts import Facts
from .names import Names, of_keras, plain
from .report import Change, Findings, Note
from .scopes import Scopes

SAME = {"keras.Input": "keras.layers.Input"}


class Script:
    """A parsed script with its names, its facts, and what was found in it.

    Arguments:
        source: The text.

    Attributes:
        module: The parsed text; positions and names belong to its nodes.
        names: The full names.
        facts: What holds for the whole script.
        findings: What the rules reported.
        strings: Nodes of texts -> the code that takes their place.
        siblings: Names of the scripts beside it that are rewritten too.

    Raises:
        OldScriptError: The text is not Python 3.
    """

    def __init__(self, source: sources.Source):
        self.slips: list[slips.Repair] = []
        if not sources.is_python_2(source.text):
            text, self.slips = slips.repair(source.text)
            source = dataclasses.replace(source, text=text)
        self.source = source
        sources.check_syntax(source)
        try:
            self.module = cst.parse_module(source.text)
            self._scopes = Scopes(self.module)
        except (cst.ParserSyntaxError, RecursionError) as error:
            said = str(error).splitlines()[0] if str(error) else "too deeply nested"
            raise OldScriptError(f"{source.path}: LibCST cannot read it ({said})") from error
        self.names = Names(self._scopes)
        self.mentions_backend = "backend" in source.text
        self.findings = Findings()
        self.strings: dict[cst.CSTNode, str] = {}
        self.siblings: set[str] = set()
        self.foreign_methods: set[str] = set()
        self.foreign_words: set[str] = set()
        self.any_accuracy = True
        self.old = False
        self.known_uses = None
        self.spread: dict | None = None
        self.merged: dict | None = None
        self.turns: dict | None = None
        self.own_functions: set[str] | None = None
        self.texts = None
        self.unknown_kinds: list[tuple] = []
        self.late_undecided: list[tuple] = []
        self.loaded_only: list[tuple] = []
        self.names_changed: list[tuple] = []
        self.facts = Facts(self)
        self.module.visit(self.facts)
        self.metrics = set(self.facts.metrics)
        self._needed: dict[tuple[str, str], str] = {}
        self.definitions: dict[str, str] = {}
        self.inputs: dict[cst.CSTNode, tuple[cst.CSTNode, str]] = {}
        self.pending: list[str] = []
        self._global = self._global_names()

    # ------------------------------------------------------------------ what rules ask

    @property
    def accuracy(self) -> str | None:
        """How the metric is named in `compile`: "acc", "accuracy", or None if not seen."""
        named = self.metrics & {"acc", "accuracy"}
        return named.pop() if len(named) == 1 else ("accuracy" if named else None)

    @property
    def uses_keras(self) -> bool:
        """Whether the script imports Keras at all."""
        return any("keras" in raw for raw in self._global.values()) or "keras" in self.source.text

    @property
    def uses_tensorflow_keras(self) -> bool:
        """Whether the script takes Keras from TensorFlow."""
        return "tensorflow.keras" in self.source.text or "tf.keras" in self.source.text

    @property
    def metric_list(self) -> list[str]:
        """The metrics in the order of the only list of metrics that `compile` is given."""
        return list(self.facts.metric_lists[0]) if len(self.facts.metric_lists) == 1 else []

    @property
    def trains_from_generators(self) -> bool:
        """Whether a generator of the script is trained from, as far as it is seen."""
        return self.facts.from_generators

    @property
    def facts_of_tf_checkpoint(self) -> bool:
        """Whether TensorFlow's own checkpoints are used besides those of Keras."""
        return "tf.train.Checkpoint" in self.source.text or "train.Saver" in self.source.text

    def batch_size_name(self, call: cst.Call) -> str | None:
        """The variable that is called a batch size and is known where a call stands.

        None if there is none, or more than one.
        """
        place: cst.BaseExpression = call.func
        while isinstance(place, cst.Attribute):
            place = place.value
        if not isinstance(place, cst.Name):
            return None
        scope = self._scopes.scope(place)
        names = [
            name
            for name in self.facts.assigned
            if name.lower() in ("batch_size", "batchsize", "bs", "batch", "args.batch_size")
            and ("." in name or scope.binder(name) is not None)
        ]
        return names[0] if len(names) == 1 else None

    def alone(self, statement) -> bool:
        """Whether a statement is the only one of its block, which cannot be left empty."""
        return statement in self.facts.alone

    def line(self, node: cst.CSTNode) -> int:
        """The line on which a node of the script begins, as the file has it."""
        return self.line_in_file(self._scopes.line(node))

    def line_in_file(self, line: int) -> int:
        """The line of the file for a line of the text, in which slips may be repaired."""
        return line - sum(slip.new.count("\n") for slip in self.slips if slip.new_line < line)

    def used_without_call(self, name: str) -> bool:
        """Whether a name stands anywhere but in an import and before a parenthesis."""
        imports = before = False
        try:
            tokens = list(tokenize.generate_tokens(io.StringIO(self.source.text).readline))
        except (tokenize.TokenError, SyntaxError):
            return False
        fresh = True
        for token, after in itertools.pairwise(tokens):
            if token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                fresh = fresh or token.type == tokenize.NEWLINE
                continue
            if fresh and token.type != tokenize.COMMENT:
                imports, fresh = token.string in ("from", "import"), False
            found = token.type == tokenize.NAME and token.string == name and not imports
            if found and not before and after.string not in ("(", "="):
                return True
            before = token.string == "."
        return False

    def binder(self, name: cst.Name) -> object:
        """What stands for the scope that binds a name: the same for all that mean the same."""
        return self._scopes.scope(name).binder(name.value)

    def binds_here(self, name: cst.Name) -> bool:
        """Whether a name is bound in the scope that it stands in."""
        return self._scopes.scope(name) is self.binder(name)

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node."""
        return self.module.code_for_node(node).strip()

    def new_name(self, node: cst.CSTNode, text: str) -> str:
        """The value of a text of the script after the renaming of files."""
        for changed, old, new, *_ in self.names_changed:
            if changed is node:
                was, will = len(old), new
                return cst_value(will) or text if was else text
        return text

    # ------------------------------------------------------------------ reporting

    def start(self) -> None:
        """Forget what was reported and needed, before the rules run once more."""
        self.findings = Findings()
        self._needed, self.definitions, self.inputs = {}, {}, {}
        self.pending.clear()
        for slip in self.slips:
            why = f"{slip.why}: a slip of copying"
            self.findings.changes.append(Change(slip.line, slip.old, slip.new, why))

    def change(
        self, node, old: str, new: str, why: str, certain: bool = True, behaviour: bool = False
    ) -> None:
        """Report that a piece of the line of `node` was replaced (see `Change`)."""
        self.findings.changes.append(Change(self.line(node), old, new, why, certain, behaviour))

    def undecided(self, node, text: str, always: bool = False) -> None:
        """Report a line about which the reader decides (see `Note`)."""
        self.findings.undecided.append(Note(self.line(node), text, always=always))

    def silent(self, node, text: str, of_change: bool = False) -> None:
        """Report a line that does something else today, without an error (see `Note`)."""
        self.findings.silent.append(Note(self.line(node), text, of_change))

    # ------------------------------------------------------------------ new names

    def need(self, module: str, name: str) -> str:
        """The name under which the new text has `module.name`; an import is added if needed."""
        full = f"{module}.{name}"
        also = SAME.get(full, full)
        for bound, raw in self._global.items():
            if module == "keras.saving" and raw == "tensorflow.keras":
                continue  # `tf.keras` has no attribute of that name
            if plain(raw) in (full, also) and plain(raw).endswith(of_keras(raw).rpartition(".")[2]):
                return bound
            if full.startswith(of_keras(raw) + ".") and of_keras(raw).split(".")[0] == "keras":
                return bound + full[len(of_keras(raw)) :]
        if (module, name) not in self._needed:
            free = name
            while free in self._global or free in self._all_names:
                free = f"{module.split('.')[0]}_{free}"
            self._needed[module, name] = free
        return self._needed[module, name]

    def need_module(self, name: str) -> str:
        """The name under which the new text has a module."""
        for bound, raw in self._global.items():
            if raw == name:
                return bound
        self._needed["", name] = name
        return name

    def define(self, name: str, code: str) -> None:
        """Put a definition after the imports of the new text."""
        self.definitions[name] = code

    @property
    def imports(self) -> list[str]:
        """The lines of the imports that were needed."""
        lines = []
        for (module, name), bound in self._needed.items():
            if not module:
                lines.append(f"import {name}")
            else:
                lines.append(
                    f"from {module} import {name}" + (f" as {bound}" if bound != name else "")
                )
        return lines

    def _global_names(self):
        """Name -> full name, for what the imports at the top level bind once and for all."""
        found, taken = {}, set()
        for statement in self.module.body:
            if not isinstance(statement, cst.SimpleStatementLine):
                continue
            for small in statement.body:
                if isinstance(small, cst.Import):
                    for alias in small.names:
                        name = self.code(alias.name)
                        if alias.asname is not None:
                            found[self.code(alias.asname.name)] = name
                        else:
                            found[name.split(".")[0]] = name.split(".")[0]
                elif isinstance(small, cst.ImportFrom) and not isinstance(
                    small.names, cst.ImportStar
                ):
                    if small.module is None or small.relative:
                        continue
                    for alias in small.names:
                        name = self.code(alias.name)
                        bound = self.code(alias.asname.name) if alias.asname else name
                        found[bound] = f"{self.code(small.module)}.{name}"
        taken = set(self.facts.assigned) | set(self.facts.own.of_keras)
        self._all_names = set(re.findall(r"[^\W\d]\w*", self.source.text)) - set(found)
        return {name: raw for name, raw in found.items() if name not in taken}


def cst_value(code: str) -> str | None:
    """The value of a text, given as code."""
    try:
        return cst.parse_expression(code).evaluated_value
    except (cst.ParserSyntaxError, AttributeError):
        return None
