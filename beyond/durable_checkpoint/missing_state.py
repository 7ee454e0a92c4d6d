"""State that the interrupted training had and this one has not made yet."""

import contextlib

import keras
import numpy as np

from . import keras_private, training
from .batches import ShuffledBatches
from .training import TrainingState


def make(model: keras.Model, header: dict, data: ShuffledBatches | None) -> str | None:
    """Let the model make the variables that a backup holds, and compare shapes and types.

    An optimizer is built with the variables it was built with before. Metrics, and layers that make
    their variables at the first batch, are made from a batch of `data`; the numbers that this
    changes are put back.

    Returns:
        Why the backup does not fit, None if it does.
    """
    here = TrainingState(model)
    wanted = {name: (tuple(shape), dtype) for name, shape, dtype in header["variables"]}
    problem = _different(here, wanted)
    if problem:
        return problem
    if _missing(here, wanted):
        _build_optimizers(here, header["description"]["optimizers"])
        here = TrainingState(model)
    if _missing(here, wanted) and data is not None:
        here = _use_a_batch(model, here, wanted, data)
        data.start(header["epoch"])
    return _different(here, wanted) or _not_there(here, wanted, header)


def _missing(here, wanted):
    return [name for name in wanted if name not in here.variables]


def _different(here, wanted):
    for name, variable in here.variables.items():
        found = tuple(variable.shape), training.dtype_of(variable)
        if name in wanted and wanted[name] != found:
            return (
                "its variables, those of optimizer and metrics included, have other shapes or "
                f"types ({name} is {_text(wanted[name])} there and {_text(found)} here)"
            )
    return None


def _text(described):
    shape, dtype = described
    return f"{list(shape)} {dtype}"


def _build_optimizers(here, described):
    optimizers = dict(here.reached.optimizers)
    for saved in described:
        optimizer = optimizers.get(saved["path"])
        if optimizer is None or optimizer.built or not saved["built"]:
            continue
        variables = [here.variables.get(name) for name in saved["with"]]
        if variables and all(variable is not None for variable in variables):
            optimizer.build(variables)


def _use_a_batch(model, here, wanted, data):
    before = [(v, np.array(keras.ops.convert_to_numpy(v))) for v in here.variables.values()]
    random_state = training.random_state()
    x, y = data[0]
    for attempt in (
        lambda: keras_private.symbolic_build(model, (x, y)),
        lambda: keras_private.train_once(model, (x, y)),
    ):
        with contextlib.suppress(Exception):  # a model that cannot do this may do the other
            attempt()
        here = TrainingState(model)
        if not _missing(here, wanted):
            break
    for variable, value in before:  # which may have another name now
        variable.assign(value)
    training.set_random_state(random_state)
    return here


def _not_there(here, wanted, header):
    metrics = set(header["description"]["metrics"])
    nonzero = set(header["description"]["nonzero metrics"])
    missing = [
        name
        for name in _missing(here, wanted)
        # Metrics begin at zero anyway, and after the last epoch nothing depends on them.
        if name not in metrics or (name in nonzero and not header["ended"])
    ]
    unbuilt = {saved["path"] for saved in header["description"]["optimizers"] if not saved["built"]}
    may_be_more = {
        id(variable)
        for path, optimizer in here.reached.optimizers
        if path in unbuilt
        for variable in optimizer.variables
    }
    if not header["batch"]:  # between epochs metrics begin anew
        may_be_more |= {id(found.thing) for found in here.reached.variables if _of_a_metric(found)}
    more = [
        name
        for name, variable in here.variables.items()
        if name not in wanted and id(variable) not in may_be_more
    ]
    if not missing and not more:
        return None
    what = (
        f"{len(missing)} of its variables are not in this model"
        if missing
        else (f"this model has {len(more)} variables that it lacks")
    )
    return (
        f"{what} when fit begins, among them {(missing or more)[0]}. If they are made at the first "
        "batch, make them before fit: call the model on a batch of data"
    )


def _of_a_metric(found):
    return isinstance(found.owner, keras.metrics.Metric)
