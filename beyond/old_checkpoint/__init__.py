"""Old Keras files (Keras 1 and 2, HDF5) to Keras 3, completely and with a proof.

`convert` makes a `.keras` file of a whole model, `inspect` says what is in a file, and
`load_weights` gives weights to a model of your own.

    python -m old_checkpoint convert weights.best.hdf5 best.keras
    python -m old_checkpoint inspect weights.best.hdf5

Importing this package registers what a converted file may need (the old `hard_sigmoid`).
"""

import contextlib
import sys

from . import quiet

# While Python imports the package of a command, `sys.argv` begins with `-m`.
with quiet.compiled_code() if sys.argv[:1] == ["-m"] else contextlib.nullcontext():
    import keras  # noqa: F401 (it loads the backend, which writes lines)

from .converting import convert
from .errors import OldCheckpointError
from .inspecting import Inspection, inspect
from .registered import Adagrad, Nadam, RMSprop, hard_sigmoid
from .report import Report
from .weights_only import load_weights

__all__ = [
    "Adagrad",
    "Inspection",
    "Nadam",
    "OldCheckpointError",
    "RMSprop",
    "Report",
    "convert",
    "hard_sigmoid",
    "inspect",
    "load_weights",
]
