"""The parts of Keras 3 that are not public. Nothing else in this package touches them."""

import contextlib
import math

import keras

from .errors import IN_CODE, OldCheckpointError

# Where an optimizer of Keras 3.15 keeps its lists of variables.
_LISTS = {
    "momentum": ("_momentums", "momentums", "_m"),
    "velocity": ("_velocities",),
    "velocity_hat": ("_velocity_hats",),
    "average_gradient": ("_average_gradients",),
    "accumulator": ("_accumulators",),
    "accumulated_grad": ("_accumulated_grads",),
    "accumulated_delta": ("_accumulated_delta_vars",),
    "norm": ("_u",),
    "average": ("_model_variables_moving_average",),
}


def slots(optimizer, name: str) -> list:
    """The optimizer's variables of one kind, one for each trainable variable of the model.

    Arguments:
        optimizer: A built `keras.optimizers.Optimizer`.
        name: The kind, for example `"momentum"`.

    Returns:
        Its `keras.Variable`s, in the order of the variables that it was built with.

    Raises:
        AttributeError: This version of Keras keeps them elsewhere.
    """
    for attribute in _LISTS[name]:
        found = getattr(optimizer, attribute, None)
        if isinstance(found, (list, tuple)):
            return list(found)
    raise AttributeError(f"{type(optimizer).__name__} has no list of {name} in this Keras")


def mask_of(tensor):
    """The mask that a symbolic tensor carries, or None."""
    return getattr(tensor, "_keras_mask", None)


def all_layers(model) -> list:
    """Every layer of a model, those inside other layers included."""
    return list(model._flatten_layers())


def optimizer_of(model):
    """The model's optimizer, or None before it is compiled."""
    return getattr(model, "optimizer", None)


def steps_of(optimizer) -> int:
    """How many steps an optimizer has made. Before Keras 3.5, `int` does not take a variable."""
    return int(keras.ops.convert_to_numpy(optimizer.iterations))


@contextlib.contextmanager
def weights_no_larger_than(largest: int):
    """Refuse weights with more numbers than the largest array of a file, before they take memory.

    They start at zero, since the file's numbers follow: drawing random ones would take time.

    Arguments:
        largest: How many numbers that array has.

    Raises:
        OldCheckpointError: A layer asks for more.
    """
    original = keras.layers.Layer.add_weight

    def add_weight(self, shape=None, initializer=None, *others, **keywords):
        if math.prod(shape or ()) > max(largest, 1):
            raise OldCheckpointError(
                f"layer {self.name}: a weight of the shape {tuple(shape)}, but no array of the "
                f"file is that large; {IN_CODE}"
            )
        return original(self, shape, "zeros", *others, **keywords)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original
