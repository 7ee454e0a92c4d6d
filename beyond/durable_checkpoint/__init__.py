"""Checkpoints for Keras 3 that survive a crash, do not make training wait, and go on bit for bit.

Copy this folder into your project, or `pip install` the repository it comes from, and change two
lines of your training:

    from durable_checkpoint import DurableCheckpoint
    checkpoint = DurableCheckpoint("best.keras", monitor="val_loss", save_best_only=True)

It holds

- `DurableCheckpoint`, a drop-in for `keras.callbacks.ModelCheckpoint`;
- `ExactBackupAndRestore`, one for `keras.callbacks.BackupAndRestore`, and `ShuffledBatches`, data
  that can be taken up in mid-epoch;
- `verify`, `newest_valid` and `read_record`, which say whether a file is what was saved;
- `load_weights_strict`, which restores everything or raises and changes nothing;
- `python -m durable_checkpoint verify FILE...`, the same for the shell.

The files are the ones that stock Keras writes: `keras.models.load_model` and `Model.load_weights`
read them without this package. Needs Keras 3.10 to 3.15 on TensorFlow, JAX or PyTorch, h5py, NumPy,
and Linux or macOS. Nothing is ever pickled. `verify`, `newest_valid`, `read_record` and the command
need no Keras: it is imported when the first of the other names is used.

Where to read what: `walk` finds what Keras saves, `layout` what its HDF5 file looks like,
`capture` and `snapshot` copy the state, `files` brings it to the disk and `writer` does so in the
background; `places`, `temporary_names`, `locks`, `records` and `saved_files` know what lies on the
disk, `validity`, `structure` and `hdf5` whether it is whole; `exact` and `training` are about going
on bit for bit.
What is private in Keras stands in `keras_private`, what differs between operating systems in
`system`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batches import ShuffledBatches
    from .checkpoint import DurableCheckpoint
    from .errors import CorruptCheckpointError
    from .exact import ExactBackupAndRestore
    from .records import read_record
    from .strict import load_weights_strict
    from .validity import newest_valid, verify

__all__ = [
    "CorruptCheckpointError",
    "DurableCheckpoint",
    "ExactBackupAndRestore",
    "ShuffledBatches",
    "load_weights_strict",
    "newest_valid",
    "read_record",
    "verify",
]

_MODULES = {
    "CorruptCheckpointError": "errors",
    "DurableCheckpoint": "checkpoint",
    "ExactBackupAndRestore": "exact",
    "ShuffledBatches": "batches",
    "load_weights_strict": "strict",
    "newest_valid": "validity",
    "read_record": "records",
    "verify": "validity",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
