"""The names of checkpoints, in step between all that save and all that load.

Today a file of weights ends in `.weights.h5` and a whole model in `.keras`. Which of both a file
holds is seen where it is saved, and that may be in another script of the folder.
"""

import dataclasses
import fnmatch
import re

import libcst as cst

from .literals import literal
from .names import dotted
from .origins import is_model
from .paths import ends, key_of
from .quantities import renamed_pattern

ENDINGS = (".weights.hdf5", ".weights.h5", ".hdf5", ".h5", ".hdf", ".he5", ".model", ".ckpt")
ENDINGS += (".tf", ".pb", ".weights", ".wts", ".net", ".keras")
UNKNOWN_KIND = (
    "save_weights_only is not a plain True or False: name the file yourself (.weights.h5 for "
    "weights, .keras for a whole model)"
)
READS_HDF5 = {"h5py.File", "pandas.read_hdf", "tables.open_file"}  # a .keras file is a zip
WHOLE = "a whole model"
WEIGHTS = "weights"


@dataclasses.dataclass(frozen=True)
class Use:
    """One place at which a file is saved or loaded.

    `text` is the last piece of the name, `key` the file without its folder and with {} for what
    is filled in. `saves` is WHOLE or WEIGHTS, or None where it is loaded; `certain`: with its old
    name the line fails today.
    """

    script: object
    call: cst.Call
    node: cst.CSTNode
    text: str
    key: str
    saves: str | None
    certain: bool
    checkpoint: bool = False
    loads_whole: bool = False


def uses(script) -> list[Use]:
    """All places in a script that save or load a model."""
    found = []
    for call in script.facts.calls:
        found += _uses_of(script, call)
    return found


def _uses_of(script, call):
    full, method = script.names.full(call.func), ""
    if isinstance(call.func, cst.Attribute):
        method = call.func.attr.value
    words = {a.keyword.value: a.value for a in call.args if a.keyword is not None}
    given = [a.value for a in call.args if a.keyword is None and not a.star]
    if full == "keras.callbacks.ModelCheckpoint":
        path = words.get("filepath") or (given[0] if given else None)
        only = words.get("save_weights_only") or (given[4] if len(given) > 4 else None)
        kind = {"True": WEIGHTS, "False": WHOLE}.get(script.code(only) if only else "False")
        if kind is None:
            script.unknown_kinds.append((call, UNKNOWN_KIND))
            return []
        return [
            Use(script, call, node, text, key, kind, _fails(text, kind, True), True)
            for node, text, key in ends(script, path)
        ]
    if full in ("keras.models.load_model", "keras.models.save_model"):
        saves = full.endswith("save_model")
        path = words.get("filepath") or (given[saves] if len(given) > saves else None)
        return [
            Use(
                script,
                call,
                node,
                text,
                key,
                WHOLE if saves else None,
                saves and _fails(text, WHOLE, False),
                loads_whole=not saves,
            )
            for node, text, key in ends(script, path)
        ]
    if method in ("save", "save_weights", "load_weights") and not script.names.raw(call.func.value):
        path = words.get("filepath") or words.get("path") or (given[0] if given else None)
        owner = is_model(script, call.func.value, method)
        if owner is False or (method != "save" and not owner):
            return []
        if method == "save" and not _is_model(script, call.func.value):
            return []
        kind = {"save": WHOLE, "save_weights": WEIGHTS}.get(method)
        return [
            Use(script, call, node, text, key, kind, kind is not None and _fails(text, kind, False))
            for node, text, key in ends(script, path)
        ]
    return []


def _is_model(script, node):
    name = dotted(node)
    if name in script.facts.models:
        return True
    last = name.rpartition(".")[2].lower()
    return last.endswith(
        ("model", "net", "classifier", "autoencoder", "generator", "discriminator")
    )


def _fails(text, kind, checkpoint):
    if kind == WEIGHTS:
        return not text.endswith(".weights.h5")
    return not text.endswith((".keras", ".h5") if checkpoint else (".keras", ".h5", ".hdf5"))


# ------------------------------------------------------------------ deciding


def ending(text: str, kind: str) -> tuple[str, str]:
    """(the old ending, the new one) of a name.

    >>> ending("weights.best.hdf5", WHOLE)
    ('.hdf5', '.keras')
    """
    new = ".weights.h5" if kind == WEIGHTS else ".keras"
    for old in ENDINGS:
        if text.lower().endswith(old):
            return text[len(text) - len(old) :], new
    return "", new


def _pattern(key):
    """What a key with {} stands for; None if it has none, or nothing but them."""
    parts = key.split("{}")
    if len(parts) == 1 or not re.search(r"\w", "".join(parts).partition(".")[0]):
        return None
    return re.compile(".+?".join(map(re.escape, parts)) + r"\Z")


def plan(scripts: list) -> None:
    """Decide the new name of every file, and note it in `script.strings` of each script.

    Arguments:
        scripts: All scripts of the folder. `script.old` says whether something else in it is old:
            then names that merely are old-fashioned change as well.
    """
    for script in scripts:
        script.strings, script.late_undecided = {}, []
        script.names_changed, script.loaded_only = [], []
    found = [use for script in scripts for use in uses_cache(script)]
    saved: dict[str, set[str]] = {}
    certain, old = set(), set()
    for use in found:
        key = use.key
        if use.saves:
            saved.setdefault(key, set()).add(use.saves)
        if use.certain:
            certain.add(key)
        if use.script.old or use.text.endswith(".hdf5"):
            old.add(key)
    taken = _taken(found)
    by_node: dict[cst.CSTNode, list[Use]] = {}
    for use in found:
        by_node.setdefault(use.node, []).append(use)
    renamed: dict[str, str] = {}
    for node, here in by_node.items():
        _rename(node, here, saved, certain, old, renamed, taken)
    for script in scripts:
        _rename_elsewhere(script, renamed)


def _taken(found):
    """Name of a file -> the old names that would become it, in the order in which they stand."""
    taken: dict[str, list[str]] = {}
    for use in found:
        if use.saves is None:
            continue
        was, will = ending(use.key, use.saves)
        stem = use.key.removesuffix(was) if was else use.key
        names = taken.setdefault(stem + will, [])
        if use.key == stem + will:
            names.insert(0, use.key)  # who has the name keeps it
        elif use.key not in names:
            names.append(use.key)
    return taken


def _rename(node, here, saved, certain, old, renamed, taken):
    script, text = here[0].script, here[0].text
    key = here[0].key
    kinds = saved.get(key) or set()
    if not kinds:
        for name, its in saved.items():
            pattern = _pattern(name)
            if pattern is not None and pattern.match(key):
                kinds, key = its, name
    own = {use.saves for use in here if use.saves}
    if len(kinds) > 1:
        kinds = own or {WHOLE if any(use.loads_whole for use in here) else WEIGHTS}
    pattern = renamed_pattern(text, script) if any(use.checkpoint for use in here) else text
    if len(own) > 1:
        script.late_undecided.append(
            (here[0].call, f"{text!r} is saved as weights and as a whole model: give each its name")
        )
        return
    if not kinds:
        if text.endswith((".h5", ".hdf5")):
            script.loaded_only.append((here[0].call, text))
        return
    (kind,) = kinds
    was, will = ending(text, kind)
    if not (key in certain or key in old) or was == will:
        was = will = ""
    if kind == WHOLE and text.endswith(".weights.h5"):
        was = will = ""
    others = taken.get((key.removesuffix(was) if was else key) + will, [key])
    if will and key in others and others[0] != key:
        # another file has that name: keep the old ending as a part of the new name
        will = was.replace(".", "_") + will
    if isinstance(node, cst.SimpleString):
        quote = len(node.quote)
        body, tail = node.value[:-quote], node.value[-quote:]
    else:
        body, tail = node.value, ""
    if not text and not body.strip("\"'rRuUbBfF"):
        return
    new = (body[: len(body) - len(was)] if was else body) + will
    if pattern != text:
        new = renamed_pattern(new, script)
    if new + tail == node.value:
        return
    script.strings[node] = new + tail
    if will:
        renamed[here[0].key] = was + "\0" + will
    script.names_changed.append((node, node.value, new + tail, kind, key in certain))


def _rename_elsewhere(script, renamed):
    """The same file name in another call, such as `os.path.exists`."""
    if not renamed:
        return
    known = {use.node for use in uses_cache(script)}
    for call in script.facts.calls:
        if script.names.raw(call.func) in READS_HDF5:
            continue
        for arg in call.args:
            node = arg.value
            if not isinstance(node, cst.SimpleString) or node in script.strings or node in known:
                continue
            if not node.value.endswith(
                tuple(was + q for was in _old_endings(renamed) for q in "'\"")
            ):
                continue
            text = literal(node)
            if text is None:
                continue
            endings = _endings_for(key_of(text), renamed)
            if len(endings) != 1:
                continue
            was, will = endings.pop().split("\0")
            quote = len(node.quote)
            body, tail = node.value[:-quote], node.value[-quote:]
            if not body.endswith(was):
                continue
            new = (body[: len(body) - len(was)] if was else body) + will + tail
            script.strings[node] = new
            script.names_changed.append((node, node.value, new, "the same file", False))


def _old_endings(renamed):
    return {change.partition("\0")[0] for change in renamed.values()}


def _endings_for(key, renamed):
    """The changes of endings that a file name, or a pattern with stars, is concerned by."""
    if key in renamed:
        return {renamed[key]}
    if "*" not in key:
        patterns = ((_pattern(name), change) for name, change in renamed.items())
        return {
            change for pattern, change in patterns if pattern is not None and pattern.match(key)
        }
    if "*" in key:
        return {
            change
            for name, change in renamed.items()
            if fnmatch.fnmatch(name.replace("{}", "x"), key)
        }
    return set()


def uses_cache(script) -> list[Use]:
    """`uses`, looked up once for each script."""
    if script.known_uses is None:
        script.known_uses = uses(script)
    return script.known_uses
