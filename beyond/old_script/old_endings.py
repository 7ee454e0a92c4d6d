"""What else in a script says the old ending of a file that gets a new name."""

import fnmatch
import re

import libcst as cst

from . import walks
from .literals import literal
from .names import dotted
from .paths import key_of

READS_HDF5 = {"h5py.File", "pandas.read_hdf", "pandas.HDFStore", "tables.open_file"}
READS_HDF5 |= {"keras.utils.HDF5Matrix", "keras.utils.io_utils.HDF5Matrix"}
LOOKS = {"glob", "iglob", "rglob", "listdir", "scandir", "walk", "iterdir", "endswith"}
TELLS = {"print", "info", "debug", "warning", "error", "title", "ArgumentParser"}
EXACT = {"endswith", "replace", "len", "with_suffix", "removesuffix"}
HDF5_ENDING = re.compile(r"(?<![A-Za-z0-9])h(?:df)?5(?![A-Za-z0-9])")


class _Texts(walks.Visitor):
    """The texts of a script that have an ending of HDF5, each with all that it stands in."""

    def __init__(self):
        super().__init__()
        self._stack: list[cst.CSTNode] = []
        self.found: list[tuple[cst.CSTNode, list[cst.CSTNode]]] = []
        self.cuts: list[tuple[cst.Subscript, int]] = []

    def on_visit(self, node):
        if isinstance(node, (cst.SimpleString, cst.FormattedStringText)):
            if HDF5_ENDING.search(node.value):
                self.found.append((node, self._stack[::-1]))
        elif isinstance(node, cst.Subscript):
            self._cut(node)
        self._stack.append(node)
        return super().on_visit(node)

    def on_leave(self, original_node):
        self._stack.pop()
        super().on_leave(original_node)

    def _cut(self, node):
        """Note `name[:-5]`."""
        part = node.slice[0].slice if len(node.slice) == 1 else None
        upper = part.upper if isinstance(part, cst.Slice) and part.lower is None else None
        minus = isinstance(upper, cst.UnaryOperation) and isinstance(upper.operator, cst.Minus)
        if minus and isinstance(upper.expression, cst.Integer):
            self.cuts.append((node, upper.expression.evaluated_value))


def follow(
    script,
    renamed: dict[str, str],
    known: set[cst.CSTNode],
    kept: set[str],
    folders: dict[str, set[str]],
) -> None:
    """Give the same files their new names elsewhere, and list what may look for the old ones.

    Arguments:
        script: The script, which gets `strings`, `names_changed` and `late_undecided`.
        renamed: Key of a renamed file -> its old ending, a null character, its new ending.
        known: The texts that the lines which save and load a model name.
        kept: The endings of models that keep their names.
        folders: Key of a file -> the folders that are named before it.
    """
    if not renamed or not _may_say_more(script, known):
        return
    if script.texts is None:
        script.texts = _Texts()
        script.module.visit(script.texts)
    texts = script.texts
    left, foreign = [], False
    for node, around in texts.found:
        if node in script.strings or _is_told(around):
            continue
        text = literal(node) if isinstance(node, cst.SimpleString) else node.value
        if text is None or node in known:
            continue
        reads = script.names.raw(_call(around).func) in READS_HDF5 if _call(around) else False
        changes = _changes(text, renamed, around, folders)
        if not reads and len(changes) == 1 and _put(script, node, text, changes.pop()):
            continue
        complete = _is_complete(text, renamed)
        foreign = foreign or (complete and not _matches(text, renamed))
        if not (reads and not _matches(text, renamed)):
            left.append((node, around, text, reads))
    alone = not foreign and not _reads_hdf5(script)
    # Other scripts of the folder may have files of their own; the own ones are meant first.
    names = {_key(node) for node in known}
    own = {name: change for name, change in renamed.items() if name in names} or renamed
    for node, around, text, reads in left:
        if alone and _exact(script, node, around, text, own, kept):
            continue
        _list(script, node, text, renamed, reads)
    _list_cuts(script, texts.cuts, renamed)


def _may_say_more(script, known):
    """Whether the script may name an ending elsewhere than in the known texts."""
    count = len(HDF5_ENDING.findall(script.source.text))
    mine = sum(len(HDF5_ENDING.findall(node.value)) for node in known)
    return count > mine or "[:-" in script.source.text


# ------------------------------------------------------------------ what stands around a text


def _call(around):
    """The innermost call that a text is an argument of."""
    inside = None
    for node in around:
        if isinstance(node, cst.Call):
            return node if isinstance(inside, cst.Arg) else None
        if isinstance(node, (cst.BaseStatement, cst.BaseSmallStatement, cst.Lambda)):
            return None
        inside = node
    return None


def _name(call):
    """`endswith` of `name.endswith(…)`."""
    if call is None:
        return ""
    func = call.func
    return func.attr.value if isinstance(func, cst.Attribute) else dotted(func)


def _is_told(around):
    """Whether a text is a docstring, or is shown to a person."""
    if around and isinstance(around[0], cst.Expr):
        return True
    for one in around:
        if isinstance(one, cst.Arg) and getattr(one.keyword, "value", "") in (
            "help",
            "save_format",
        ):
            return True
        if isinstance(one, cst.Call) and _name(one) != "format":
            return _name(one) in TELLS
    return False


# ------------------------------------------------------------------ the same file


def _changes(text, renamed, around, folders):
    """The changes of endings that a file name, or a pattern with stars, is concerned by."""
    key = key_of(text)
    if not text.endswith(tuple(_endings(renamed))) or "\\" in text:
        return set()
    if isinstance(around[0], cst.FormattedString) and "/" not in text and len(around[0].parts) > 1:
        key = "{}" + key
    if key in renamed:
        return {renamed[key]}
    if "*" in key:
        fits = [name for name in renamed if fnmatch.fnmatch(name.replace("{}", "x"), key)]
        mine = folder_of(text)
        beside = [name for name in fits if mine and mine in folders[name]]
        somewhere = [name for name in fits if not (mine and folders[name])]
        return {renamed[name] for name in beside or somewhere}
    return {
        change
        for name, change in renamed.items()
        if (pattern := pattern_of(name)) is not None and pattern.match(key)
    }


def _key(node):
    text = literal(node) if isinstance(node, cst.SimpleString) else getattr(node, "value", None)
    return key_of(text) if isinstance(text, str) else None


def folder_of(text: str) -> str:
    """The folder that is named before a file, with {} for what a format fills in.

    >>> folder_of("run_%s/w-*.hdf5"), folder_of("w.hdf5")
    ('run_{}', '')
    """
    before = text.rpartition("/")[0]
    folder = "/".join(key_of(part) for part in before.split("/") if part not in ("", "."))
    return folder if re.search(r"\w", folder) else ""


def pattern_of(key: str) -> re.Pattern | None:
    """What a key with {} stands for; None if it has none, or nothing but them."""
    parts = key.split("{}")
    if len(parts) == 1 or not re.search(r"\w", "".join(parts).partition(".")[0]):
        return None
    return re.compile(".+?".join(map(re.escape, parts)) + r"\Z")


def _matches(text, renamed):
    key = key_of(text)
    patterns = (pattern_of(name) for name in renamed)
    return key in renamed or any(one is not None and one.match(key) for one in patterns)


def _is_complete(text, renamed):
    """Whether a text is the name of one file, such as `rows.hdf5`."""
    ending = next((one for one in _endings(renamed) if text.endswith(one)), "")
    return bool(ending and re.search(r"\w\Z", text.removesuffix(ending))) and "*" not in text


def _endings(renamed):
    return {change.partition("\0")[0] for change in renamed.values()} - {""}


def _put(script, node, text, change):
    """Write the new ending at the end of a text."""
    was, will = change.split("\0")
    if isinstance(node, cst.SimpleString):
        quote = len(node.quote)
        body, tail = node.value[:-quote], node.value[-quote:]
    else:
        body, tail = node.value, ""
    if not was or not body.endswith(was) or not text.endswith(was):
        return False
    new = body.removesuffix(was) + will + tail
    script.strings[node] = new
    script.names_changed.append((node, node.value, new, "the same file", False))
    return True


# ------------------------------------------------------------------ the ending alone


def _exact(script, node, around, text, renamed, kept):
    """Change a text that is an ending, or a regular expression with one, if all files have it."""
    found = HDF5_ENDING.search(text)
    was = "." + found[0]
    changes = {one for one in renamed.values() if one.partition("\0")[0] == was}
    if len(changes) != 1 or was in kept or not isinstance(node, cst.SimpleString):
        return False
    will = changes.pop().partition("\0")[2]
    call = _call(around)
    if text == was:
        is_test = any(isinstance(one, cst.Comparison) for one in around[:2])
        if not (is_test or _name(call) in EXACT):
            return False
        new = node.value.replace(was, will)
    elif script.names.raw(call.func).startswith("re.") if call is not None else False:
        old = re.search(rf"\\?\.{found[0]}(?=\$?\Z)", text)
        if old is None or node.value.count(old[0]) != 1:
            return False
        new = node.value.replace(old[0], will.replace(".", "\\.") if "\\" in old[0] else will)
    else:
        return False
    script.strings[node] = new
    why = f"the files of this script end in {will} now"
    script.names_changed.append((node, node.value, new, why, False))
    return True


def _reads_hdf5(script):
    return any(script.names.raw(call.func) in READS_HDF5 for call in script.facts.calls)


# ------------------------------------------------------------------ what is left


def _list(script, node, text, renamed, reads):
    own = {change for name, change in renamed.items() if _matches(text, {name: change})}
    new = {}
    for change in own or renamed.values():
        was, will = change.split("\0")
        new.setdefault(was, set()).add(will)
    was = next((one for one in new if one and one[1:] in text), None)
    if was is None or any(will in text.replace("\\", "") for will in new[was]):
        return
    will = " or ".join(sorted(new[was]))
    if reads:
        said = f"{text!r} ends in {will} now; h5py finds other groups in it than in {was}"
        if ".keras" in new[was]:
            said = f"{text!r} ends in {will} now; h5py cannot read a .keras file, which is a zip"
    else:
        said = f"{text!r} is left as it is: files that ended in {was} end in {will} now, and this "
        said += "line may look for the old name"
    script.late_undecided.append((node, said))


def _list_cuts(script, cuts, renamed):
    """`name[:-5]` cuts off an ending of five characters."""
    if not any(_name(call) in LOOKS for call in script.facts.calls):
        return
    for node, count in cuts:
        for change in sorted(set(renamed.values())):
            was, will = change.split("\0")
            if not was or len(was) != count:
                continue
            code, number = script.code(node), node.slice[0].slice.upper
            if _tested(script, node.value, was):
                new = f"{code.partition('[')[0]}[:-{len(will)}]"
                script.strings[number] = f"-{len(will)}"
                why = f"the files of this script end in {will} now"
                script.names_changed.append((number, code, new, why, False))
                break
            said = f"{code}: if this cuts off {was}, write [:-{len(will)}] for {will}"
            script.late_undecided.append((node, said))


def _tested(script, name, was):
    """Whether a name is asked for an ending that is another one now."""
    if not isinstance(name, cst.Name):
        return False
    for call in script.facts.calls:
        if _name(call) == "endswith" and isinstance(call.func.value, cst.Name) and call.args:
            same = call.func.value.value == name.value
            same = same and script.binder(call.func.value) is script.binder(name)
            given = call.args[0].value
            if same and literal(given) == was and given in script.strings:
                return True
    return False
