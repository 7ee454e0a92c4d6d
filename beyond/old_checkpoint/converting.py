"""The steps of a conversion, and the one way in which its result appears under its name."""

import contextlib
import os
import tempfile

import keras

from . import compiling, differences, graphs, masks, optimizers, private, proof, weights
from . import reference as reference_module
from .errors import IN_CODE, OldCheckpointError
from .layouts import layout
from .reading import read
from .repair import Repair
from .report import Report


def convert(
    source: str | os.PathLike,
    target: str | os.PathLike,
    custom_objects: dict | None = None,
    reference: bool = False,
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
    source, target = os.fspath(source), os.fspath(target)
    _require_free(target)
    file = read(source)
    if file.config is None:
        raise OldCheckpointError(
            f"{source} holds weights without a model; build the model in code and use "
            "old_checkpoint.load_weights(model, source)"
        )
    repair = Repair(layout(file.version), file.backend, dict(custom_objects or {}))
    repair.largest = max((a.value.size for _, found in file.layers for a in found), default=0)
    with _one_line(source):
        model, places, restored = _rebuild(file, repair)
    with _temporary(target) as temporary:
        model.save(temporary)
        proof.prove(temporary, model, places, restored)
        compared = None
        if reference:
            loaded = keras.saving.load_model(temporary)
            compared = reference_module.compare(
                source, loaded, places, trains=not repair.layout.sorted_optimizer
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
    differences.note(model, restored, repair)
    masks.require_no_masked_output(model)
    return model, places, restored


@contextlib.contextmanager
def _one_line(source):
    """Turn what a strange configuration makes Python say into one line."""
    try:
        yield
    except OldCheckpointError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as e:
        said = " ".join(str(e).split())[:200]
        raise OldCheckpointError(
            f"{source}: its configuration is not understood ({type(e).__name__}: {said}); {IN_CODE}"
        ) from e


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
        os.link(temporary, target)
    except FileExistsError:
        raise OldCheckpointError(
            f"{target} exists already; choose another name or remove it"
        ) from None
