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
read them without this package. Needs Keras 3.15 on TensorFlow, JAX or PyTorch, h5py, NumPy, and
Linux or macOS (`os.fsync` on folders, `fcntl` locks). Nothing is ever pickled.

Where to read what: `walk` finds what Keras saves, `template` what its HDF5 file looks like,
`snapshot` copies the state, `files` brings it to the disk and `writer` does so in the background;
`exact` and `training` are about going on bit for bit. All that is private in Keras is used through
`keras_private`.
"""

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
