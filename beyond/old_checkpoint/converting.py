"""The steps of a conversion, and the one way in which its result appears under its name."""

import contextlib
import os
import tempfile
from collections.abc import Callable

import keras

from . import compiling, differences, graphs, optimizers, private, proof, weights
from . import reference as reference_module
from .errors import OldCheckpointError, one_line
from .layouts import layout
from .reading import read
from .repair import Repair
from .report import Report


def convert(
    source: str | os.PathLike,
    target: str | os.PathLike,
    custom_objects: dict | None = None,
    reference: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Convert a whole model that Keras 1 or 2 saved as HDF5 to a `.keras` file of Keras 3.

    The model, its weights, its optimizer with step count and averages, its loss and its metrics
    come along. The new file is loaded again and compared with the source before it gets its name;
    the source is only read.

    Arguments:
        source: The old file (`.hdf5`, `.h5`), a whole model.
        target: The new file, which must end in `.keras` and must not exist.
        custom_objects: Your own classes and functions by name, if the model uses any.
        reference: Also compare predictions and ten training steps with Keras 2, which needs
            tf_keras.
        progress: Called with one line for each step of that comparison, which may take minutes.

    Returns:
        A `Report`; print it.

    Raises:
        OldCheckpointError: The file cannot be converted completely. Nothing was written.

    Example:
        >>> import old_checkpoint
        >>> report = old_checkpoint.convert("weights.best.hdf5", "best.keras")
        >>> report.optimizer, report.steps
        ('Adam', 12)
    """
    source, target = os.fsdecode(source), os.fsdecode(target)
    _require_free(target)
    if reference:
        reference_module.require_keras_2()
    file = read(source)
    if file.config is None:
        raise OldCheckpointError(
            f"{source} holds weights without a model; build the model in code and use "
            "old_checkpoint.load_weights(model, source)"
        )
    repair = Repair(layout(file.version), file.backend, dict(custom_objects or {}))
    repair.largest = max((a.value.size for _, found in file.layers for a in found), default=0)
    with one_line(source):
        model, places, restored = _rebuild(file, repair)
    compared = None
    with _temporary(target) as temporary:
        with one_line(source), keras.saving.custom_object_scope(repair.scope):
            model.save(temporary)
            proof.prove(temporary, model, places, restored)
            if reference:
                compared = reference_module.compare(
                    source,
                    keras.saving.load_model(temporary),
                    places,
                    trains=not repair.layout.sorted_optimizer,
                    say=progress or (lambda text: None),
                )
        _name(temporary, target)
    return Report(
        source=source,
        target=target,
        keras_version=file.version,
        source_backend=file.backend,
        layers=len(file.layers),
        equal=sum(not place.transform.name for place in places),
        transformed=[
            f"{place.layer} {place.array.name}: {place.transform.name}, "
            + ("changed back to the same bytes" if place.transform.back else "without an inverse")
            for place in places
            if place.transform.name
        ],
        optimizer=type(restored.optimizer).__name__ if restored else None,
        optimizer_equal=len(restored.slots) if restored else 0,
        steps=restored.steps if restored else None,
        imports=repair.imports,
        custom_objects=repair.used,
        changes=repair.changes,
        lost=repair.lost,
        differences=repair.differences,
        reference=compared,
    )


def _rebuild(file, repair):
    """The compiled Keras 3 model with everything that the file holds."""
    with private.weights_no_larger_than(repair.largest):
        model, root = graphs.build(file.config, repair)
    places = weights.places(model, root, file, repair)
    weights.fill(model, places)
    restored = None
    if file.training:
        restored = optimizers.restore(model, places, file, repair)
        chosen = compiling.arguments(file.training, model, repair)
        compiling.compile_model(model, restored.optimizer, chosen)
    else:
        repair.lost.append("the source holds no training configuration: the model is not compiled")
    differences.require_no_fixed_training(repair)
    differences.note(model, root, restored, repair)
    return model, places, restored


def _require_free(target):
    if not target.endswith(".keras"):
        raise OldCheckpointError(f"{target}: the name of the target must end in .keras")
    if os.path.lexists(target):
        raise OldCheckpointError(f"{target} exists already; choose another name or remove it")
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise OldCheckpointError(f"the folder {folder} does not exist; make it first")


@contextlib.contextmanager
def _temporary(target):
    """A name in the target's folder, for a file that is gone afterwards."""
    folder = os.path.dirname(target) or "."
    try:
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=folder) as own:
            yield os.path.join(own, "model.keras")
    except OSError as error:
        raise OldCheckpointError(f"{target}: cannot be written ({error})") from error


def _name(temporary, target):
    """Give the proved file its name, unless something has that name by now."""
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    try:
        try:
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # many network and cloud disks know no hard links: take the name first
            open(target, "xb").close()
            try:
                os.replace(temporary, target)
            except OSError:
                os.remove(target)
                raise
    except FileExistsError:
        raise OldCheckpointError(
            f"{target} exists already; choose another name or remove it"
        ) from None
