"""Which backup does a training go on from? One of another training is refused."""

import keras

from . import backup_file, missing_state, records, same_training
from .batches import ShuffledBatches
from .errors import CorruptCheckpointError
from .signals import say

REMEDY = (
    "Go on as it was begun, choose another backup_dir, or delete this one to begin anew; nothing "
    "was changed."
)


def choose(
    folder: str,
    place: str,
    model: keras.Model,
    track: list,
    data: ShuffledBatches | None,
    swaps: list[keras.callbacks.SwapEMAWeights],
) -> backup_file.Backup | None:
    """The newest valid backup in `folder`, None if there is none.

    Arguments:
        folder: Where the backups lie.
        place: The folder as the user wrote it, for messages.
        model: The model that `fit` trains. Variables that the backup holds are made in it.
        track: What the user gave to `track`.
        data: The `ShuffledBatches` in `track`.
        swaps: The `SwapEMAWeights` in `callbacks` that are not in `track`.

    Raises:
        CorruptCheckpointError: There are backups, and all are damaged.
        ValueError: The newest one is of another training.
    """
    valid, damaged = backup_file.read_all(folder)
    if not valid:
        if damaged:
            raise CorruptCheckpointError(
                folder, f"no valid backup: {'; '.join(damaged)}. Delete the folder to begin anew"
            )
        return None
    newest = max(valid, key=lambda backup: backup.header["number"])
    header = newest.header
    if data is not None:
        data.start(header["epoch"])
    if header.get("format") != backup_file.FORMAT:
        raise ValueError(
            f"{place} holds a backup by another version of durable_checkpoint. Finish its training "
            "with that version, choose another backup_dir, or delete this one to begin anew."
        )
    problem = same_training.difference(header, model, track, data, swaps)
    problem = problem or missing_state.make(model, header, data)
    if problem:
        raise ValueError(f"{place} holds a backup of another training: {problem}. {REMEDY}")
    changed = records.versions_that_differ(header["versions"])
    if changed:
        say(
            f"{place}: the backup was made with other versions ({'; '.join(changed)}). It is used; "
            "the same bits are not certain"
        )
    if damaged:
        moment = f"epoch {header['epoch'] + 1}, batch {header['batch'] + 1}"
        say(f"{damaged[0]}: going on from {newest.path}, at {moment}")
    return newest


def first_epoch(header: dict, epochs: int, place: str) -> int:
    """The epoch with which `fit` begins, from 0; `epochs` if the training has ended.

    Arguments:
        header: Of the backup that `choose` has chosen.
        epochs: After how many `fit` is to end.
        place: The folder as the user wrote it, for messages.

    Raises:
        ValueError: The backup is of a later epoch.
    """
    if header["ended"] and (header["stopped"] or header["epoch"] == epochs):
        return epochs
    if header["epoch"] >= epochs:
        raise ValueError(
            f"{place} holds a backup of epoch {header['epoch'] + 1}, but fit is to end after epoch "
            f"{epochs}. {REMEDY}"
        )
    return header["epoch"]
