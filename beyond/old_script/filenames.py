"""The names of checkpoints, in step between all that save and all that load.

Today a file of weights ends in `.weights.h5` and a whole model in `.keras`. Which of both a file
holds is seen where it is saved, and that may be in another script of the folder.
"""

import dataclasses
import re

import libcst as cst

from . import old_endings, watched, whose
from .origins import is_model
from .paths import ends
from .quantities import renamed_pattern, unclear

ENDINGS = (".weights.hdf5", ".weights.h5", ".hdf5", ".h5", ".hdf", ".he5", ".model", ".ckpt")
ENDINGS += (".tf", ".pb", ".weights", ".wts", ".net", ".keras")
UNKNOWN_KIND = (
    "save_weights_only is not a plain True or False: name the file yourself (.weights.h5 for "
    "weights, .keras for a whole model)"
)
BY_NAME = (
    "Keras 3 loads by name from files of Keras 2 only: take by_name=True out if both networks are "
    "the same; otherwise copy layer by layer with set_weights(other.get_layer(name).get_weights())"
)
NOT_SEEN = (
    "the name of this file is not seen: it must end in .keras, or in .weights.h5 with "
    "save_weights_only=True"
)
COPIES = {"os.rename", "os.replace", "shutil.move", "shutil.copy", "shutil.copyfile"}
COPIES |= {"shutil.copy2", "os.renames"}
WHOLE = "a whole model"
WEIGHTS = "weights"


@dataclasses.dataclass(frozen=True)
class Use:
    """One place at which a file is saved or loaded.

    `text` is the last piece of the name, `key` the file without its folder and with {} for what
    is filled in. `saves` is WHOLE or WEIGHTS, or None where it is loaded; `certain`: with its old
    name the line fails today; `copied_from`: the keys of the file that gets this name.
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
    copied_from: tuple[str, ...] = ()


def uses(script) -> list[Use]:
    """All places in a script that save or load a model."""
    found = []
    for call in script.facts.calls:
        found += _uses_of(script, call)
    return found


def _uses_of(script, call):
    full, method = script.facts.own.means(script, call), ""
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
        found = ends(script, path)
        if path is not None and not found and ".hdf5" in script.source.text:
            script.unknown_kinds.append((call, NOT_SEEN))
        return [
            Use(script, call, node, text, key, kind, _fails(text, kind, True), True)
            for node, text, key in found
        ]
    if script.names.raw(call.func) in COPIES and len(given) > 1:
        sources = tuple(key for _, _, key in ends(script, given[0]))
        return [
            Use(script, call, node, text, key, None, False, copied_from=sources)
            for node, text, key in ends(script, given[1])
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
        if method == "save" and not script.facts.flow.means_model(call.func.value):
            return []
        kind = {"save": WHOLE, "save_weights": WEIGHTS}.get(method)
        return [
            Use(script, call, node, text, key, kind, kind is not None and _fails(text, kind, False))
            for node, text, key in ends(script, path)
        ]
    return []


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
    found = _with_copies(found)
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
    folders: dict[str, set[str]] = {use.key: set() for use in found}
    for use in found:
        if folder := old_endings.folder_of(use.text):
            folders[use.key].add(folder)
    for script in scripts:
        here = [use for use in found if use.script is script]
        kept = {old_ending(use.text) for use in here if use.node not in script.strings} - {""}
        old_endings.follow(script, renamed, {use.node for use in here}, kept, folders)
        watched.plan(script)


def old_ending(text: str) -> str:
    """The ending of HDF5 that a name has, or an empty text."""
    return next((one for one in (".hdf5", ".h5") if text.lower().endswith(one)), "")


def _with_copies(found):
    """The uses, in which the copy of a model holds what the model holds."""
    made, kinds = [], {}
    for use in found:
        if use.saves:
            kinds.setdefault(use.key, use)
    for use in found:
        saved = {
            its
            for key in use.copied_from
            for name, its in kinds.items()
            if key == name or ((own := old_endings.pattern_of(name)) and own.match(key))
        }
        if len({one.saves for one in saved}) == 1:
            (first, *_) = saved
            use = dataclasses.replace(use, saves=first.saves, certain=first.certain)
        if use.saves or not use.copied_from:
            made.append(use)
    return made


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
            pattern = old_endings.pattern_of(name)
            if pattern is not None and pattern.match(key):
                kinds, key = its, name
    own = {use.saves for use in here if use.saves}
    if len(kinds) > 1:
        kinds = own or {WHOLE if any(use.loads_whole for use in here) else WEIGHTS}
    checkpoint = next((use.call for use in here if use.checkpoint), None)
    named = whose.of_callback(script, checkpoint) if checkpoint is not None else None
    pattern = text if checkpoint is None else renamed_pattern(text, script, named)
    if checkpoint is not None and any(
        unclear(name, script, named) for name in re.findall(r"\{(\w+)", text)
    ):
        script.late_undecided.append((checkpoint, f"{text!r}: {whose.MIXED}"))
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
        new = renamed_pattern(new, script, named)
    if new + tail == node.value:
        return
    script.strings[node] = new + tail
    for use in here:
        by_name = re.search(r"by_name\s*=\s*True", script.code(use.call))
        if by_name and will.endswith(".weights.h5"):
            script.late_undecided.append((use.call, BY_NAME))
    if will:
        renamed[here[0].key] = was + "\0" + will
    script.names_changed.append((node, node.value, new + tail, kind, key in certain))


def uses_cache(script) -> list[Use]:
    """`uses`, looked up once for each script."""
    if script.known_uses is None:
        script.known_uses = uses(script)
    return script.known_uses
