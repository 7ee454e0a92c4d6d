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
for i, value in enumerate(w for layer in model.layers for w in layer.get_weights()):
    np.save(f"{folder}/w{i}.npy", value)
"""


def compare(source: str, loaded) -> list[str]:
    """Predict and train ten steps on the same random batch with both.

    Arguments:
        source: The old file.
        loaded: The converted model, compiled if the old one was. It is trained.

    Returns:
        Lines for the report.

    Raises:
        OldCheckpointError: tf_keras is not installed, or does not load the file.
    """
    random = np.random.default_rng(0)
    inputs = [_random_input(random, tensor, loaded) for tensor in loaded.inputs]
    mine = loaded.predict(inputs, verbose=0, batch_size=ROWS)
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
        for _ in range(STEPS):
            loaded.train_on_batch(inputs, outputs if len(outputs) > 1 else outputs[0])
        weights = [np.load(f"{folder}/w{n}.npy") for n in range(len(loaded.get_weights()))]
        difference = _largest(
            [keras.ops.convert_to_numpy(w) for layer in loaded.layers for w in layer.weights],
            weights,
        )
        return [*lines, f"weights after {STEPS} steps differ by at most {difference:.1e}"]


def _random_input(random, tensor, model):
    shape = [ROWS, *(size or 8 for size in tensor.shape[1:])]
    table = [
        layer.input_dim for layer in all_layers(model) if hasattr(layer, "embeddings_initializer")
    ]
    if table:
        return random.integers(0, min(table), shape).astype("int32")
    return random.normal(size=shape).astype("float32")


def _largest(left, right):
    return max(
        (float(np.max(np.abs(a - b))) if a.size else 0.0) for a, b in zip(left, right, strict=True)
    )
