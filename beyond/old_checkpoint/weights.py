"""Which array of the file belongs to which variable of the model, and the way between them."""

import dataclasses

import keras
import numpy as np

from . import cudnn, transforms
from .errors import IN_CODE, NEW_COPY, OldCheckpointError
from .graphs import Node
from .reading import Array

# The last parts of weight names in Keras 1 (`dense_1_W`), and the variable in Keras 3.
KERAS_1 = {"W": "kernel", "b": "bias", "U": "recurrent_kernel", "E": "embeddings"}
BATCH_NORM_1 = {"running_mean": "moving_mean", "running_std": "moving_variance"}
CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose")
UNCERTAIN_ON_THEANO = ("SeparableConv", "DepthwiseConv", "ConvLSTM", "Conv1DTranspose")


@dataclasses.dataclass
class Place:
    """One array of the file, and the variable that it becomes.

    Attributes:
        array: The array.
        path: The nodes from the model down to the layer that owns the variable.
        variable: The variable's index among the layer's own.
        trainable: Whether the optimizer trains it.
        transform: How the array becomes the variable's value.
    """

    array: Array
    path: tuple[Node, ...]
    variable: int
    trainable: bool
    transform: transforms.Transform

    def of(self, model):
        """The `keras.Variable` in a model with this structure."""
        layer = model
        for node in self.path:
            layer = node.find(layer)
        return layer.weights[self.variable]

    @property
    def of_state(self) -> transforms.Transform:
        """The same for the optimizer's arrays: averages of one gradient are not added."""
        return cudnn.HALF if self.transform.back is None else self.transform

    @property
    def layer(self) -> str:
        """The name of the layer, with the layers that hold it."""
        return "/".join(node.name for node in self.path)


def places(model, root: Node, file, repair) -> list[Place]:
    """Pair every array of the file with a variable.

    Arguments:
        model: The Keras 3 model.
        root: Its `Node`.
        file: The `OldFile`.
        repair: The `Repair` in progress.

    Returns:
        One `Place` for each array, in the file's order.

    Raises:
        OldCheckpointError: Names, numbers or shapes do not fit, or something is left over.
    """
    saved = {name: arrays for name, arrays in file.layers}
    if len(saved) != len(file.layers):
        raise OldCheckpointError(f"{file.path}: it names a layer twice")
    theano = is_theano(file, repair)
    found, paired = [], set()
    for node in root.children:
        arrays = saved.get(node.stored)
        owners = _owners(node.find(model), (node,))
        if arrays is None:
            if owners:
                raise OldCheckpointError(
                    f"{file.path}: the weights of layer {node.name} are not in it; {NEW_COPY}"
                )
            continue
        paired.add(node.stored)
        if len(arrays) != len(owners):
            raise OldCheckpointError(
                f"{file.path}: layer {node.name} has {len(arrays)} arrays in it, Keras 3 makes "
                f"{len(owners)}; {IN_CODE}"
            )
        for array, owner in zip(arrays, owners, strict=True):
            found.append(_place(array, owner, model, file, repair, theano))
    left = [name for name, arrays in file.layers if arrays and name not in paired]
    if left:
        raise OldCheckpointError(f"{file.path}: the arrays of layer {left[0]} belong to no layer")
    return found


def is_theano(file, repair) -> bool:
    """Whether Theano's convolutions wrote the kernels.

    From Keras 2 on the file says so. Before, only the names tell: TensorFlow's end in `:0`.
    """
    if file.backend:
        return file.backend == "theano"
    named = [array.name for _, arrays in file.layers for array in arrays]
    return bool(repair.layout.keras_1 and named and not any(":" in name for name in named))


def _owners(layer, path):
    """(path, index, trainable) of each variable, in the order in which Keras 2 stores them."""
    own = _own(layer, path)
    return [entry for entry in own if entry[2]] + [entry for entry in own if not entry[2]]


def _own(layer, path):
    children = path[-1].children
    if children:
        return [entry for child in children for entry in _owners(child.find(layer), (*path, child))]
    trained = {id(variable) for variable in layer.trainable_variables}
    own = [variable for variable in layer.weights if not _is_seed(variable)]
    index = {id(variable): number for number, variable in enumerate(layer.weights)}
    return [(path, index[id(v)], id(v) in trained) for v in own]


def _is_seed(variable):
    return variable.name.endswith("seed_generator_state")


def _place(array, owner, model, file, repair, theano):
    path, index, trainable = owner
    class_name = path[-1].class_name
    transform = transforms.SAME
    place = Place(array, path, index, trainable, transform)
    variable = place.of(model)
    name = variable_name(array, class_name)
    if name is not None and name != variable.name and repair.own(class_name) is None:
        raise OldCheckpointError(
            f"{file.path}: layer {place.layer} stores {array.name} where Keras 3 has "
            f"{variable.name}; {IN_CODE}"
        )
    if theano and variable.name.endswith("kernel") and array.value.ndim > 2:
        if class_name in CONVOLUTIONS:
            place.transform = transforms.FLIP
        elif class_name.startswith(UNCERTAIN_ON_THEANO):
            raise OldCheckpointError(
                f"{file.path}: layer {place.layer} is a {class_name} of the Theano backend, whose "
                "kernels were not compared; run it once with Theano and save from TensorFlow"
            )
    if path[-1].cudnn:
        place.transform = cudnn.transform(path[-1].cudnn, variable.name)
        _note_added_biases(place, repair)
    if variable.name == "count":
        place.transform = of_count(array, variable)
    require_fit(
        place.transform.forward(array.value), variable, f"{place.layer}: {array.name}", file
    )
    return place


def of_count(array, variable) -> transforms.Transform:
    """The change of the count of a Normalization, whose type depends on the version."""
    new = keras.backend.standardize_dtype(variable.dtype)
    same = str(array.value.dtype) == new
    return transforms.SAME if same else transforms.as_type(str(array.value.dtype), new)


def _note_added_biases(place, repair):
    if place.transform.back is None:
        repair.differences.append(
            f"layer {place.layer}: CuDNN trained two biases, and this is their sum; it answers the "
            "same, but each further step moves the sum half as far"
        )


def variable_name(array: Array, class_name: str) -> str | None:
    """The Keras 3 name of the variable that an array's name tells, or None where it tells none."""
    short = array.short
    if class_name.startswith("DepthwiseConv") and short == "depthwise_kernel":
        return "kernel"
    if class_name == "BatchNormalization":
        for old, new in BATCH_NORM_1.items():
            if short.endswith(old):
                return new
    known = [
        "kernel",
        "bias",
        "recurrent_kernel",
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "embeddings",
        "alpha",
        "depthwise_kernel",
        "pointwise_kernel",
        "mean",
        "variance",
        "count",
    ]
    if short in known:
        return short
    end = short.rsplit("_", 1)[-1]
    return KERAS_1.get(end, end if end in ("gamma", "beta") else None)


def require_fit(value: np.ndarray, variable, where: str, file) -> None:
    """Refuse an array of another type or shape than its variable."""
    if value.shape != tuple(variable.shape):
        raise OldCheckpointError(
            f"{file.path}: {where} has the shape {value.shape}, Keras 3 makes "
            f"{tuple(variable.shape)}; {IN_CODE}"
        )
    if str(value.dtype) != keras.backend.standardize_dtype(variable.dtype):
        raise OldCheckpointError(
            f"{file.path}: {where} holds {value.dtype}, Keras 3 makes {variable.dtype}; {IN_CODE}"
        )


def fill(model, found: list[Place]) -> None:
    """Give every variable the numbers of its array."""
    for place in found:
        place.of(model).assign(place.transform.forward(place.array.value))
