"""The entries of docs/PITFALLS.md, and what the tests that pin them need.

A test is a function with the decorator `pinned`. It is given the one entry that names it: first it
makes stock Keras do what the entry says, then it executes the entry's code block and looks at what
came of it. When it fails, the message names the entry that is to be rewritten. What it saw stands
in the properties of the test (`verdict.py`), so that a run on another Keras says how that differs.

    python tests/pitfalls/gallery.py

renews the table of contents. (A module and not a conftest.py: there would be two modules of that
name, and which one `from conftest import ...` means would depend on the order of collection.)
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))
import verdict
from small_disk import on_small_disk

DOCUMENT = REPOSITORY / "docs/PITFALLS.md"
BACKEND = keras.backend.backend()
CONTENTS = re.compile(r"(?<=<!-- contents -->\n).*?(?=<!-- /contents -->)", re.DOTALL)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PINNED_BY = re.compile(r"Pinned\s+by\s+`tests/pitfalls/(\w+\.py::\w+)`")

# ------------------------------------------------------------------ the document


@dataclasses.dataclass
class Entry:
    heading: str
    section: str
    text: str

    def blocks(self, language):
        """Contents of the fenced blocks of this language."""
        return [content for name, content in FENCE.findall(self.text) if name == language]

    @property
    def pins(self):
        """The tests that the entry names, as `file::function`."""
        return PINNED_BY.findall(self.text)


def entries() -> list[Entry]:
    """All entries, in the order of the document."""
    found, section, lines, fenced = [], "", [], False
    for line in DOCUMENT.read_text().splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if not fenced and line.startswith("## "):
            section, lines = line[3:].strip(), []
        elif not fenced and line.startswith("### "):
            lines = []
            found.append((line[4:].strip(), section, lines))
        else:
            lines.append(line)
    return [Entry(heading, section, "".join(lines)) for heading, section, lines in found]


def anchor(heading):
    """The name under which GitHub finds a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table_of_contents() -> str:
    """A line for each section, below it one for each of its entries."""
    lines, section = [], None
    for entry in entries():
        if entry.section != section:
            section = entry.section
            lines.append(f"- [{section}](#{anchor(section)})")
        lines.append(f"  - [{entry.heading}](#{anchor(entry.heading)})")
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------ a test and its entry


class Pitfall:
    """What a test is given: its entry, an empty current folder, `monkeypatch`."""

    def __init__(self, entry, folder, monkeypatch):
        self.entry, self.folder, self.monkeypatch = entry, folder, monkeypatch
        self.said_it = self.compared = self.executed = False
        self.differs = ""
        self.doing = "Keras no longer does what the entry says"

    def said(self, *messages):
        """Require that one of these is the message which the entry quotes.

        `[...]` in it stands for anything. With another message the test goes on, to see the rest,
        and fails at its end.
        """
        (quoted,) = self.entry.blocks("text")
        parts = (re.escape(" ".join(part.split())) for part in quoted.split("[...]"))
        pattern = re.compile(".*".join(parts))
        lines = [" ".join(str(message).split()) for message in messages]
        self.said_it = True
        if any(map(pattern.search, lines)):
            self.compared = True
        else:
            begin = quoted.split()[:3]
            alike = [line for line in lines if line.split()[:3] == begin] or lines
            self.differs = self.differs or " / ".join(dict.fromkeys(alike))

    @property
    def code(self):
        """The entry's remedy, for a test that executes it in another process."""
        (code,) = self.entry.blocks("python")
        self.doing = "its code block does not work"
        self.executed = True
        return code

    def remedy(self, replace=(), **names):
        """Execute the entry's code block with these names defined, and return its namespace.

        replace: Two texts; the first one in the block is replaced by the second.
        """
        code = self.code
        if replace:
            assert replace[0] in code
            code = code.replace(*replace)
        namespace = {"keras": keras, "np": np, "__name__": "remedy", **names}
        exec(compile(code, f"{DOCUMENT}: {self.entry.heading}", "exec"), namespace)  # noqa: S102
        self.doing = "its code block does not remedy it"
        return namespace


def pinned(test):
    """Let `test`, a function of a `Pitfall`, run for the entry that names it."""
    name = f"{pathlib.Path(test.__code__.co_filename).name}::{test.__name__}"

    def run(tmp_path, monkeypatch, record_property):
        own = [entry for entry in entries() if name in entry.pins]
        assert own, f"no entry of docs/PITFALLS.md names {name}: restore the entry"
        heading = own[0].heading
        pitfall = Pitfall(own[0], tmp_path, monkeypatch)
        monkeypatch.chdir(tmp_path)
        keras.utils.clear_session()
        failure = None
        try:
            test(pitfall)
            seen = verdict.Verdict()
            if pitfall.differs:
                pitfall.doing = "its message has changed"
                seen = verdict.Verdict(verdict.ANOTHER_MESSAGE, message=pitfall.differs)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001
            failure = error
            seen = verdict.of_failure(
                error,
                test.__code__.co_filename,
                pitfall.executed,
                pitfall.compared,
                pitfall.differs,
            )
        for key, value in dataclasses.asdict(seen).items():
            record_property(key, value)
        if not seen.passed:
            raise AssertionError(
                f"docs/PITFALLS.md, rewrite the entry: {heading} ({pitfall.doing}: "
                f"{(seen.reason or seen.message)[:300]})"
            ) from failure
        assert pitfall.executed, f"{name} does not execute the code block of: {heading}"
        assert pitfall.said_it or not own[0].blocks("text"), f"{name} does not compare the message"

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    run.pinned = True
    return run


# ------------------------------------------------------------------ what is trained


def some_data(rows=8):
    """`x` and `y` of so many rows; the label is the sign of the first number."""
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def new_model(optimizer="adam", loss="binary_crossentropy", metrics=("accuracy",), **options):
    """A small network, compiled; eagerly, since to trace it takes longer than to train it."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    options = {"run_eagerly": True, **options}
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), **options)
    return model


def names_for(model, rows=8):
    """The names that a code block may use."""
    x, y = some_data(rows)
    return {"model": model, "x": x, "y": y, "x_validation": x, "y_validation": y}


def validating(model, plan):
    """Let each validation of `model` give the next value of `plan`; an exception is raised."""
    values = iter(plan)

    def evaluate(*arguments, **options):
        value = next(values)
        if isinstance(value, type):
            raise value
        return {"loss": value, "accuracy": 1 - value}

    model.evaluate = evaluate
    return model


def fit(model, callbacks=(), rows=8, **options):
    """Train on one batch in each epoch (with `batch_size=4` on two)."""
    x, y = some_data(rows)
    if "evaluate" in vars(model):  # its validations are planned
        options["validation_data"] = (x, y)
    options.setdefault("verbose", 0)
    return model.fit(x, y, callbacks=list(callbacks), **options)


class Interrupt(keras.callbacks.Callback):
    """Ends the training as Ctrl-C does: after a batch of an epoch, or at the end of the epoch."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at, self.at_batch, self.epoch = epoch, batch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (self.at, self.at_batch):
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self.at_batch is None and epoch == self.at:
            raise KeyboardInterrupt


def fit_until(interrupt, model, callbacks, **options):
    """Train until `interrupt`, an `Interrupt`, ends it."""
    with pytest.raises(KeyboardInterrupt):
        fit(model, [*callbacks, interrupt], **options)


def number(variable):
    """The number in a variable that holds one. Before Keras 3.5, `float` does not take it."""
    return keras.ops.convert_to_numpy(variable).item()


def steps(model):
    """How many steps the optimizer has made."""
    return int(number(model.optimizer.iterations))


def steps_in(path):
    """How many steps the optimizer had made when this `.keras` file was saved."""
    return steps(keras.models.load_model(path))


def same_weights(first, second):
    return all(
        np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )


def cut(path, part=0.5):
    """Leave the first part of a file, as an interrupted write does."""
    content = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(content[: int(len(content) * part)])


# ------------------------------------------------------------------ other processes


def child(program, code, folder, small_disk=False, **environment):
    """Start `child_programs.py` in `folder`, with the entry's code in the variable `REMEDY`.

    small_disk: On a tmpfs of 6 MB, where the system lets us have one.
    """
    enter = on_small_disk(folder) if small_disk else []
    here = pathlib.Path(__file__).parent
    paths = [str(here.parent), str(REPOSITORY / "beyond"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [*enter, sys.executable, str(here / "child_programs.py"), program, str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "REMEDY": code,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process):
    """Wait for a child; return its status and the JSON in the last line it printed, or None."""
    output, errors = process.communicate(timeout=280)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if process.returncode > 0:
        print(errors, file=sys.stderr)
        last = [line for line in errors.splitlines() if line.strip()][-1:]
        raise RuntimeError(f"status {process.returncode}: {''.join(last)}")
    return process.returncode, json.loads(lines[-1]) if lines else None


if __name__ == "__main__":
    text = DOCUMENT.read_text()
    assert CONTENTS.search(text), "the document has no place for a table of contents"
    DOCUMENT.write_text(CONTENTS.sub(lambda _: table_of_contents(), text))
