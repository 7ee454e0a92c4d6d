"""Compare a converted file with Keras 2 itself, where tf_keras is installed.

tf_keras runs in a process of its own: it and Keras 3 do not share one well.
"""

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
PROGRAM = """
import sys
import numpy as np
import tf_keras
source, folder = sys.argv[1:]
model = tf_keras.models.load_model(source)
inputs = [np.load(f"{folder}/x{i}.npy") for i in range(len(model.inputs))]
first = model.predict(inputs, verbose=0)
first = first if isinstance(first, list) else [first]
for i, value in enumerate(first):
    np.save(f"{folder}/p{i}.npy", value)
outputs = [np.load(f"{folder}/y{i}.npy") for i in range(len(first))]
if model.optimizer is not None:
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 10):
        model.train_on_batch(inputs, outputs)
stored = [w for l in model.layers for w in l.trainable_weights + l.non_trainable_weights]
for i, value in enumerate(stored):
    np.save(f"{folder}/w{i}.npy", value.numpy())
"""


def compare(source: str, loaded, places: list, trains: bool) -> list[str]:
    """Predict and train ten steps on the same random batch with both.

    Arguments:
        source: The old file.
        loaded: The converted model, compiled if the old one was. It is trained.
        places: The file's arrays, from `weights.places`.
        trains: Whether tf_keras itself keeps the optimizer of this file; up to Keras 2.0.5 it
            does not, and the training is not compared.

    Returns:
        Lines for the report.

    Raises:
        OldCheckpointError: tf_keras is not installed, or does not load the file.
    """
    random = np.random.default_rng(0)
    inputs = [_random_input(random, tensor, loaded) for tensor in loaded.inputs]
    mine = loaded.predict(_one_or_all(inputs), verbose=0, batch_size=ROWS)
    mine = list(mine) if isinstance(mine, (list, tuple)) else [mine]
    outputs = [np.abs(value) / np.maximum(np.abs(value).max(), 1e-7) for value in mine]
    with tempfile.TemporaryDirectory() as folder:
        for letter, values in (("x", inputs), ("y", outputs)):
            for number, value in enumerate(values):
                np.save(f"{folder}/{letter}{number}.npy", value)
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, os.path.abspath(source), folder],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if run.returncode:
            said = run.stderr.strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
            raise OldCheckpointError(
                f"{source}: Keras 2 did not load or train it for the comparison ({said[0][:200]}); "
                "convert without --reference"
            )
        theirs = [np.load(f"{folder}/p{number}.npy") for number in range(len(mine))]
        lines = [f"predictions of {ROWS} rows differ by at most {_largest(mine, theirs):.1e}"]
        if optimizer_of(loaded) is None:
            return lines
        if not trains:
            return [*lines, "training: not compared, since tf_keras drops this file's optimizer"]
        for _ in range(STEPS):
            loaded.train_on_batch(_one_or_all(inputs), _one_or_all(outputs))
        difference = _largest(
            [keras.ops.convert_to_numpy(place.of(loaded)) for place in places],
            [np.load(f"{folder}/w{number}.npy") for number in range(len(places))],
        )
        return [*lines, f"weights after {STEPS} steps differ by at most {difference:.1e}"]


def _one_or_all(values):
    return values[0] if len(values) == 1 else values


def _random_input(random, tensor, model):
    shape = [tensor.shape[0] or ROWS, *(size or 8 for size in tensor.shape[1:])]
    table = [
        layer.input_dim for layer in all_layers(model) if hasattr(layer, "embeddings_initializer")
    ]
    if table:
        return random.integers(0, min(table), shape).astype("int32")
    return random.normal(size=shape).astype("float32")


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
