"""From old scripts to scripts of today: one file, or a folder whose files belong together."""

import dataclasses
import pathlib
import re
import tempfile

import libcst as cst

from . import comments, engine, filenames, graphs, notebooks, sources
from .errors import OldScriptError
from .report import Change, Findings, Note, Result
from .script import Script

SUFFIX = "_keras3"
MARK = re.compile('"?\ue000\\d+\ue001"?')
SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
MAKES_NAMES = (b".h5", b".hdf5", b"ModelCheckpoint", b"save_weights", b"load_weights")


def target_of(path: pathlib.Path) -> pathlib.Path:
    """Where the rewritten script belongs: beside the old one."""
    return path.with_name(path.stem + SUFFIX + path.suffix)


def rewrite(
    path: str | pathlib.Path, *, write: bool = True, overwrite: bool = False
) -> list[Result]:
    """Rewrite a script, a notebook, or all of a folder, for today's Keras.

    The new file lies beside the old one, which is never changed. A script with no old line gets
    no new file.

    Arguments:
        path: A `.py` or `.ipynb` file, or a folder.
        write: Write the new files. Otherwise only look.
        overwrite: Replace a new file that is there already and differs.

    Returns:
        A result for each script that could be read and has to do with Keras.

    Raises:
        OldScriptError: The script is Python 2, has a syntax error, cannot be read, or the new file
            exists and differs.

    >>> import old_script, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "train.py"
    >>> _ = path.write_text("import keras\\nmodel.fit(x, y, nb_epoch=150)\\n")
    >>> [result] = old_script.rewrite(path)
    >>> print(result.target.name, result.text, sep="\\n", end="")
    train_keras3.py
    import keras
    model.fit(x, y, epochs=150)
    """
    path = pathlib.Path(path)
    if path.is_dir():
        chosen = _scripts_in(path)
        if not chosen:
            raise OldScriptError(f"{path}: no .py or .ipynb file that mentions Keras")
        others = []
    elif path.suffix in (".py", ".ipynb"):
        chosen = [path]
        others = [
            one for one in _scripts_in(path.parent, deep=False) if one.resolve() != path.resolve()
        ]
    else:
        raise OldScriptError(f"{path}: give a .py file, an .ipynb file or a folder")
    results = _rewrite(chosen, others)
    if write:
        contents = [_content(result, overwrite) for result in results]
        results = [
            _write(result, content) for result, content in zip(results, contents, strict=True)
        ]
    return results


def rewrite_text(text: str, name: str = "script.py") -> Result:
    """Rewrite a text that lies in no file.

    Arguments:
        text: The script.
        name: What messages call it.

    Raises:
        OldScriptError: The text is not Python 3.

    >>> rewrite_text("from keras.optimizers import Adam\\nAdam(lr=0.1)\\n").findings.changes[0].new
    'learning_rate=0.1'
    """
    source = sources.Source(pathlib.Path(name), text, "utf-8", b"")
    script = Script(source)
    return _results([script], {script})[0]


def _scripts_in(folder, deep=True):
    found = []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise OldScriptError(f"{folder}: {error.strerror}") from error
    for entry in entries:
        if entry.is_dir():
            if deep and entry.name not in SKIPPED and not entry.is_symlink():
                found += _scripts_in(entry)
        elif entry.suffix in (".py", ".ipynb") and not entry.stem.endswith(SUFFIX):
            try:
                if entry.is_file() and b"keras" in entry.read_bytes():
                    found.append(entry)
            except OSError:
                continue
    return found


def _rewrite(chosen, others):
    scripts, refused = [], []
    for path in chosen:
        try:
            scripts.append(_read(path))
        except OldScriptError as error:
            if len(chosen) == 1:
                raise
            refused.append(_refusal(path, error))
    beside = []
    if any(_names_files(script.source.text.encode()) for script in scripts):
        for path in others:
            try:
                if _names_files(path.read_bytes()):
                    beside.append(_read(path))
            except (OldScriptError, OSError):
                continue  # it is asked for file names only
    return _results([*scripts, *beside], set(scripts)) + refused


def _names_files(content):
    return any(word in content for word in MAKES_NAMES)


def _read(path):
    if path.suffix == ".ipynb":
        return Script(notebooks.read(path))
    return Script(sources.read(path))


def _refusal(path, error):
    return Result(path, target_of(path), "", Findings(), changed=False, refused=str(error))


def _results(scripts, wanted):
    """The results for the wanted scripts; the others only say which files they save."""
    metrics = set().union(*(script.metrics for script in scripts))
    methods = set().union(*(script.facts.own.own_methods for script in scripts))
    words = set().union(*(script.facts.own.words for script in scripts))
    for script in scripts:
        script.foreign_methods = methods
        script.foreign_words = words
        if not script.metrics:
            script.metrics = set(metrics)
        script.any_accuracy = not script.metrics or bool(script.metrics & {"acc", "accuracy"})
    for script in scripts:
        script.old = True
    filenames.plan(scripts)
    places = {script: _mark(script) for script in scripts}
    texts = {script: engine.run(script) for script in scripts}
    for script in scripts:
        script.old = script.findings.old
    filenames.plan(scripts)
    changing = {
        script.source.path.stem
        for script in scripts
        if script in wanted and (script.old or any(certain for *_, certain in script.names_changed))
    }
    results = []
    for script in scripts:
        if script not in wanted:
            continue
        here = script.source.path.parent
        siblings = {
            stem
            for stem in changing
            if stem != script.source.path.stem and (here / f"{stem}.py").exists()
        }
        if siblings:
            script.siblings = siblings
            texts[script] = engine.run(script)
        results.append(_result(script, texts[script], places[script]))
    return results


def _mark(script):
    """Let a mark stand for each name of a file, until it is known how old the script is.

    So one walk over the script is enough. Returns mark -> (node, its code).
    """
    marks = {}
    for number, node in enumerate(script.strings):
        if isinstance(node, cst.UnaryOperation):
            continue  # a mark is no number
        quotes = '"' if hasattr(node, "quote") else ""
        mark = f"{quotes}\ue000{number}\ue001{quotes}"
        marks[mark] = node
        script.strings[node] = mark
    return marks


def _result(script, text, marks):
    findings = script.findings
    codes = {mark: script.strings.get(node, node.value) for mark, node in marks.items()}

    def unmark(code):
        return MARK.sub(lambda found: codes.get(found[0], found[0]), code)

    text = unmark(text)
    findings.changes = [
        dataclasses.replace(change, old=unmark(change.old), new=unmark(change.new))
        for change in findings.changes
    ]
    for node, old, new, kind, certain in script.names_changed:
        why = {
            filenames.WHOLE: "the file holds a whole model",
            filenames.WEIGHTS: "a file of weights",
        }
        findings.changes.append(Change(script.line(node), old, new, why.get(kind, kind), certain))
    built = graphs.graph_code(script)
    lost = comments.swallowed(script) if built is None else None
    if built is not None:
        findings.foremost = Note(*built)
    elif lost is not None:
        findings.foremost = Note(script.line_in_file(lost[0]), lost[1])
    for call, said in (*script.unknown_kinds, *script.late_undecided):
        script.undecided(call, said, always=said == filenames.NOT_SEEN)
    imports_new = any(change.why == "the rewritten module" for change in findings.changes)
    changed = findings.old or imports_new
    source = script.source
    if not changed:
        findings = Findings(
            undecided=[note for note in findings.undecided if note.always],
            silent=[note for note in findings.silent if not note.of_change]
            + [
                Note(change.line, f"{change.old}: {change.why}; write {change.new}")
                for change in findings.changes
                if change.behaviour
            ],
            foremost=findings.foremost,
        )
        text = source.text
    old_files = _old_files(script) if source.path.parent.is_dir() else ()
    return Result(
        source.path,
        target_of(source.path),
        text,
        findings,
        old_files,
        changed,
        places=source.places,
    )


def _old_files(script):
    """What to do with files of Keras 1 or 2 that lie beside the script."""
    lines = []
    folder = script.source.path.parent
    for use in filenames.uses_cache(script):
        if use.saves or not use.text.lower().endswith((".h5", ".hdf5")):
            continue
        path = folder / use.text
        if not path.is_file():
            continue
        new = script.new_name(use.node, use.text)
        if new == use.text:
            new = str(pathlib.PurePath(use.text).with_suffix(".keras"))
        command = f"python -m old_checkpoint convert {use.text} {new}"
        if new.endswith(".weights.h5"):
            command = (
                f"python -m old_checkpoint inspect {use.text}; if it holds only weights: "
                f"old_checkpoint.load_weights(model, {use.text!r}), model.save_weights({new!r})"
            )
        lines.append(f"{use.text}: {command}")
    return tuple(dict.fromkeys(lines))


def _content(result, overwrite):
    """The bytes to write, or None if there is nothing to write."""
    if not result.changed:
        return None
    if result.source.suffix == ".ipynb":
        content = notebooks.write(result.source, result.text)
    else:
        content = sources.read(result.source).encode(result.text)
    if result.target.exists():
        if not result.target.is_file():
            raise OldScriptError(f"{result.target} exists and is no file: move it away")
        if result.target.read_bytes() == content:
            return None
        if not overwrite:
            raise OldScriptError(
                f"{result.target} exists and differs from what would be written: move it away, or "
                "add --overwrite to replace it"
            )
    return content


def _write(result, content):
    if content is None:
        return result
    try:
        handle, name = tempfile.mkstemp(dir=result.target.parent, prefix=f".{result.target.name}.")
        temporary = pathlib.Path(name)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            temporary.chmod(result.source.stat().st_mode & 0o777)
            temporary.replace(result.target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OldScriptError(f"{result.target}: {error.strerror}") from error
    return dataclasses.replace(result, written=True)
