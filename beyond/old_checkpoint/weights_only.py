"""Load an old file's weights into the reader's own model, and say what cannot be checked."""

import os

import keras

from . import cudnn, transforms
from .errors import OldCheckpointError
from .inspecting import notes_of
from .layouts import layout
from .private import all_layers
from .reading import read
from .registered import hard_sigmoid
from .repair import Repair
from .weights import CONVOLUTIONS, is_theano, of_count, require_fit, variable_name


def load_weights(model: keras.Model, source: str | os.PathLike) -> list[str]:
    """Give a model the weights of an old file, all of them or none.

    Layers are paired by name if the names in the file and in the model are the same, else in the
    order of the file, as Keras does it. Every array's shape and, where the file tells it, name is
    compared before the first one is written, and its bytes after.

    Arguments:
        model: Your model, built in code, with the layers of the old one.
        source: A file of Keras 1 or 2: weights only, or a whole model.

    Returns:
        What could not be checked, and what is known to differ silently; print it.

    Raises:
        OldCheckpointError: The file does not fit the model. The model is as it was.

    Example:
        >>> import keras, old_checkpoint
        >>> layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(1, "sigmoid")]
        >>> model = keras.Sequential([keras.Input((8,)), *layers])
        >>> notes = old_checkpoint.load_weights(model, "weights.best.hdf5")
        >>> notes[0].split()[0]
        'activations'
    """
    file = read(source)
    repair = Repair(layout(file.version), file.backend, {})
    theano = is_theano(file, repair)
    saved = [(name, arrays) for name, arrays in file.layers if arrays]
    layers = [layer for layer in model.layers if layer.weights]
    if len(saved) != len(layers):
        raise OldCheckpointError(
            f"{file.path}: {len(saved)} layers have weights in it, {len(layers)} in your model; "
            "old_checkpoint.inspect shows which"
        )
    pairs, sigmoid = [], []
    for (name, arrays), layer in _paired(saved, layers):
        variables = [*layer.trainable_variables]
        variables += [v for v in layer.weights if all(v is not known for known in variables)]
        if len(arrays) != len(variables):
            raise OldCheckpointError(
                f"{file.path}: layer {name} has {len(arrays)} arrays, {layer.name} of your model "
                f"has {len(variables)}; old_checkpoint.inspect shows them"
            )
        of_cudnn = cudnn.kind_of(arrays)
        sigmoid += [layer] if of_cudnn else []
        pairs += [
            (array, variable, _change(array, variable, layer, name, theano, of_cudnn, file))
            for array, variable in zip(arrays, variables, strict=True)
        ]
    for array, variable, change in pairs:
        variable.assign(change.forward(array.value))
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    for array, variable, change in pairs:
        if not change.came_from(keras.ops.convert_to_numpy(variable), array.value):
            raise OldCheckpointError(f"{file.path}: {array.name} did not arrive in your model")
    return _unchecked(model, file, repair, sigmoid)


def _paired(saved, layers):
    """Each layer of the file with one of the model: by name if all names agree, else in order."""
    by_name = {layer.name: layer for layer in layers}
    if set(by_name) == {name for name, _ in saved}:
        return [(entry, by_name[entry[0]]) for entry in saved]
    return list(zip(saved, layers, strict=True))


def _change(array, variable, layer, name, theano, of_cudnn, file):
    class_name = type(layer).__name__
    told = variable_name(array, class_name)
    if told is not None and told != variable.name:
        raise OldCheckpointError(
            f"{file.path}: layer {name} stores {array.name} where {layer.name} of your model has "
            f"{variable.name}; old_checkpoint.inspect shows the layers"
        )
    change = transforms.SAME
    if theano and variable.name.endswith("kernel") and array.value.ndim > 2:
        if class_name not in CONVOLUTIONS:
            raise OldCheckpointError(
                f"{file.path}: layer {name} is a {class_name} of the Theano backend, whose kernels "
                "were not compared; run it once with Theano and save from TensorFlow"
            )
        change = transforms.FLIP
    if variable.name == "count":
        change = of_count(array, variable)
    if of_cudnn:
        change = cudnn.transform(of_cudnn, variable.name)
    require_fit(change.forward(array.value), variable, f"{name}: {array.name}", file)
    return change


def _unchecked(model, file, repair, sigmoid):
    notes = ["activations are not in a file of weights: take them from the code that trained it"]
    notes += [
        f"layer {layer.name}: the weights are CuDNN's, which has activation tanh and "
        "recurrent_activation sigmoid"
        for layer in sigmoid
    ]
    if repair.layout.maybe_recurrent_hard_sigmoid:
        known = {id(inner) for layer in sigmoid for inner in all_layers(layer)}
        for layer in all_layers(model):
            if (
                id(layer) not in known
                and type(layer).__name__ in ("LSTM", "GRU")
                and (layer.recurrent_activation is not hard_sigmoid)
            ):
                notes.append(
                    f"layer {layer.name}: Keras {file.version} used the old hard_sigmoid unless "
                    "the code said otherwise, your layer has another recurrent_activation; set "
                    "recurrent_activation=old_checkpoint.hard_sigmoid if the code did not"
                )
    return notes + [note for note in notes_of(file, {}) if "Theano" in note]
