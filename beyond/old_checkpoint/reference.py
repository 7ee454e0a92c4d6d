"""Compare a converted file with Keras 2 itself, where tf_keras is installed.

tf_keras runs in a process of its own: it and Keras 3 do not share one well.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np

from .errors import OldCheckpointError
from .private import all_layers, optimizer_of

ROWS = 16
STEPS = 10
UNKNOWN_SIZE = {True: 8, False: 32}  # of a sequence, and of an image
SAID = "comparison: "
PROGRAM = f"""
import sys
def say(text):
    print("{SAID}" + text, flush=True)
say("imports Keras 2")
import numpy as np
import tf_keras
source, folder, steps = sys.argv[1:]
say("loads the file")
model = tf_keras.models.load_model(source)
inputs = [np.load(f"{{folder}}/x{{i}}.npy") for i in range(len(model.inputs))]
say("predicts")
first = model.predict(inputs, verbose=0)
first = first if isinstance(first, list) else [first]
for i, value in enumerate(first):
    np.save(f"{{folder}}/p{{i}}.npy", value)
outputs = [np.load(f"{{folder}}/y{{i}}.npy") for i in range(len(first))]
for step in range(int(steps)):
    say(f"trains step {{step + 1}} of {{steps}}")
    model.train_on_batch(inputs, outputs)
stored = [w for l in model.layers for w in l.trainable_weights + l.non_trainable_weights]
for i, value in enumerate(stored):
    np.save(f"{{folder}}/w{{i}}.npy", value.numpy())
"""


def require_keras_2() -> None:
    """Raise an `OldCheckpointError` where tf_keras is not installed."""
    if importlib.util.find_spec("tf_keras") is None:
        raise OldCheckpointError(
            "the comparison needs Keras 2: pip install tf_keras, or convert without --reference"
        )


def compare(source: str, loaded, places: list, trains: bool, say) -> list[str]:
    """Predict and train ten steps on the same random batch with both.

    Arguments:
        source: The old file.
        loaded: The converted model, compiled if the old one was. It is trained.
        places: The file's arrays, from `weights.places`.
        trains: Whether tf_keras itself keeps the optimizer of this file; up to Keras 2.0.5 it
            does not, and the training is not compared.
        say: Called with one line for each thing that begins.

    Returns:
        Lines for the report.

    Raises:
        OldCheckpointError: tf_keras does not load the file.
    """
    random = np.random.default_rng(0)
    inputs = [_random_input(random, tensor, loaded) for tensor in loaded.inputs]
    say("Keras 3 predicts")
    mine = loaded.predict(_one_or_all(inputs), verbose=0, batch_size=ROWS)
    mine = list(mine) if isinstance(mine, (list, tuple)) else [mine]
    outputs = _targets(random, mine, loaded)
    steps = STEPS if trains and optimizer_of(loaded) is not None else 0
    with tempfile.TemporaryDirectory() as folder:
        for letter, values in (("x", inputs), ("y", outputs)):
            for number, value in enumerate(values):
                np.save(f"{folder}/{letter}{number}.npy", value)
        _run_keras_2(source, folder, steps, say)
        theirs = [np.load(f"{folder}/p{number}.npy") for number in range(len(mine))]
        lines = [f"predictions of {ROWS} rows differ by at most {_largest(mine, theirs):.1e}"]
        if optimizer_of(loaded) is None:
            return lines
        if not trains:
            return [*lines, "training: not compared, since tf_keras drops this file's optimizer"]
        for step in range(STEPS):
            say(f"Keras 3 trains step {step + 1} of {STEPS}")
            loaded.train_on_batch(_one_or_all(inputs), _one_or_all(outputs))
        difference = _largest(
            [keras.ops.convert_to_numpy(place.of(loaded)) for place in places],
            [np.load(f"{folder}/w{number}.npy") for number in range(len(places))],
        )
        return [*lines, f"weights after {STEPS} steps differ by at most {difference:.1e}"]


def _run_keras_2(source, folder, steps, say):
    with (
        open(f"{folder}/errors", "w+") as errors,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, os.path.abspath(source), folder, str(steps)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        ) as process,
    ):
        try:
            for line in process.stdout:
                if line.startswith(SAID):
                    say(f"Keras 2 {line.removeprefix(SAID).strip()}")
        except BaseException:
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            said = errors.read().strip().splitlines()[-1:] or [f"exit {process.returncode}"]
            raise OldCheckpointError(
                f"{source}: Keras 2 did not load or train it for the comparison ({said[0][:200]}); "
                "convert without --reference"
            )


def _one_or_all(values):
    return values[0] if len(values) == 1 else values


def _random_input(random, tensor, model):
    unknown = UNKNOWN_SIZE[len(tensor.shape) < 4]
    shape = [tensor.shape[0] or ROWS, *(size or unknown for size in tensor.shape[1:])]
    table = [
        layer.input_dim for layer in all_layers(model) if hasattr(layer, "embeddings_initializer")
    ]
    if table:
        return random.integers(0, min(table), shape).astype("int32")
    return random.normal(size=shape).astype("float32")


def _targets(random, predicted, model):
    """Something to train towards: numbers of classes for a sparse loss, else numbers in [0, 1]."""
    losses = getattr(model, "loss", None)
    if isinstance(losses, dict):
        losses = [losses.get(name) for name in model.output_names]
    if not isinstance(losses, (list, tuple)):
        losses = [losses] * len(predicted)
    return [
        random.integers(0, value.shape[-1], value.shape[:-1])
        if "sparse" in str(getattr(loss, "name", loss)).lower()
        else np.abs(value) / np.maximum(np.abs(value).max(), 1e-7)
        for value, loss in zip(predicted, losses, strict=True)
    ]


def _largest(left, right):
    found = [0.0]
    for a, b in zip(left, right, strict=True):
        if a.shape != b.shape:
            raise OldCheckpointError(
                f"Keras 2 has an array of {b.shape} where this has {a.shape}, so they cannot be "
                "compared; convert without --reference, and report this file"
            )
        found.append(float(np.max(np.abs(a - b), initial=0)))
    return max(found)
