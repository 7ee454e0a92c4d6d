"""Models: Sequential (a list or a dictionary), functional, nested; and the wrapping layers."""

import dataclasses

import keras

from . import calls, cudnn, layers, masks, names, wrappers
from .errors import IN_CODE, OldCheckpointError

SEQUENTIAL = ("Sequential",)
FUNCTIONAL = ("Model", "Functional")
MODELS = SEQUENTIAL + FUNCTIONAL
MOST_LAYERS = 20_000


@dataclasses.dataclass
class Node:
    """One layer of the old model, and where its equal is found in the new one.

    Attributes:
        name: The layer's name in Keras 3.
        class_name: Its class in Keras 2.
        children: Layers inside it, in the order of the file, which is the order of its weights.
        role: The attribute of its parent that holds it; empty where the parent finds it by name.
        cudnn: Its class where that was one of CuDNN's.
        old_name: Its name in the file, where that is another one.
    """

    name: str
    class_name: str
    children: list["Node"]
    role: str = ""
    cudnn: str = ""
    old_name: str = ""

    @property
    def stored(self):
        """The layer's name in the file."""
        return self.old_name or self.name

    def find(self, parent):
        """The Keras 3 layer, given that of the parent."""
        return getattr(parent, self.role) if self.role else parent.get_layer(self.name)


def build(config: dict, repair):
    """Build the Keras 3 model from the configuration of an old file.

    Arguments:
        config: The `model_config` of the file: a dictionary with `class_name` and `config`.
        repair: The `Repair` in progress.

    Returns:
        The model, and the `Node` of it.

    Raises:
        OldCheckpointError: A part of the model has no equal in Keras 3.
    """
    if not isinstance(config.get("class_name"), str) or "config" not in config:
        raise OldCheckpointError("the model's configuration has no class_name and config")
    return _model(config["class_name"], config["config"], repair)


def _model(class_name, config, repair, name=None):
    if class_name in repair.custom_objects:
        raise OldCheckpointError(
            f"the model is a class of your own ({class_name}); build it in code and use "
            "old_checkpoint.load_weights"
        )
    if class_name in SEQUENTIAL:
        return _sequential(config, repair, name)
    if class_name in FUNCTIONAL:
        return _functional(config, repair, name)
    raise OldCheckpointError(
        f"the model is a class of its own ({class_name}), whose code is not in the file; build it "
        "in code and use old_checkpoint.load_weights"
    )


def _layer(entry, repair):
    """The Keras 3 layer and the `Node` for one entry of a list of layers."""
    repair.layers += 1
    if repair.layers > MOST_LAYERS:
        raise OldCheckpointError(f"the model has more than {MOST_LAYERS} layers; {IN_CODE}")
    try:
        class_name, config = entry["class_name"], dict(entry["config"])
    except (KeyError, TypeError, ValueError):
        class_name, config = entry.get("class_name"), entry.get("config")
    if class_name in MODELS:
        name = config.get("name") if isinstance(config, dict) else None
        return _model(class_name, config, repair, entry.get("name") or name)
    config.setdefault("name", entry.get("name"))
    old_name = config["name"]
    if repair.layout.keras_1:
        name = config.get("name", class_name)
        class_name, config = names.to_keras_2(class_name, config, name, repair.custom_objects)
    config["name"] = repair.new_name(old_name)
    if class_name in wrappers.WRAPPERS:
        layer, inside = wrappers.make(
            class_name, config, lambda inner: _layer(inner, repair), repair
        )
        children = [dataclasses.replace(node, role=role) for node, role in inside]
        return layer, Node(layer.name, class_name, children, old_name=old_name)
    of_cudnn = class_name if class_name in cudnn.LAYERS else ""
    if of_cudnn:
        class_name, config = cudnn.to_plain(class_name, config)
    layer = layers.make(class_name, config, repair)
    return layer, Node(layer.name, class_name, [], cudnn=of_cudnn, old_name=old_name)


def _input(config, repair, where):
    """A Keras 3 input for the configuration of an InputLayer."""
    shape = config.get("batch_input_shape", config.get("batch_shape"))
    if config.get("sparse") or config.get("ragged"):
        raise OldCheckpointError(
            f"{where}: the input is sparse or ragged, which Keras 3 does not take; {IN_CODE}"
        )
    if shape is None:
        raise _no_input_shape(where)
    dtype = config.get("dtype", config.get("input_dtype")) or "float32"
    return keras.layers.InputLayer(
        batch_shape=tuple(shape),
        dtype=dtype,
        name=repair.new_name(config.get("name")),
        optional=bool(config.get("optional", False)),
    )


def _no_input_shape(where):
    return OldCheckpointError(
        f"{where}: the file holds no input shape; build the model in code with keras.Input and use "
        "old_checkpoint.load_weights"
    )


def _sequential(config, repair, name):
    if isinstance(config, list):  # up to Keras 2.2
        config = {"name": name, "layers": config}
    entries = list(config["layers"])
    where = f"model {config.get('name') or 'Sequential'}"
    if not entries:
        raise OldCheckpointError(f"{where}: it has no layers")
    made, nodes = [], []
    if entries[0]["class_name"] != "InputLayer":
        shape, dtype = _shape_of(entries[0], config)
        if shape is None:
            raise _no_input_shape(where)
        made.append(keras.layers.InputLayer(batch_shape=tuple(shape), dtype=dtype))
    for entry in entries:
        if entry["class_name"] == "InputLayer":
            made.append(_input(entry["config"], repair, where))
            continue
        layer, node = _layer(entry, repair)
        made.append(layer)
        nodes.append(node)
    name = config.get("name") or name
    model = keras.Sequential(made, name=repair.new_name(name))
    return model, Node(model.name, "Sequential", nodes, old_name=name or "")


def _shape_of(entry, config):
    """The input's shape and type, from the first layer or what is inside it."""
    while isinstance(entry, dict):
        inner = entry.get("config")
        if isinstance(inner, list):  # a Sequential as a list
            entry = inner[0]
            continue
        shape = inner.get("batch_input_shape")
        if shape is None and entry["class_name"] == "Embedding" and "input_length" in inner:
            shape = [None, inner["input_length"]]
        if shape is not None:
            dtype = inner.get("input_dtype", inner.get("dtype")) or "float32"
            return shape, dtype if isinstance(dtype, str) else "float32"
        if "layers" in inner:
            entry = inner["layers"][0]
        else:
            entry = inner.get("layer")
    return config.get("build_input_shape"), "float32"


def _functional(config, repair, name):
    where = f"model {config.get('name') or name}"
    made, nodes, called, known = {}, [], {}, masks.Masks()
    for entry in config["layers"]:
        key = entry.get("name") or entry["config"]["name"]
        called[key] = entry.get("inbound_nodes") or []
        if entry["class_name"] == "InputLayer":
            made[key] = _input(entry["config"], repair, f"layer {key}")
            nodes.append(Node(made[key].name, "InputLayer", [], old_name=key))
            continue
        made[key], node = _layer(entry, repair)
        nodes.append(node)
    first = calls.first_indices(config, nodes)
    tensors = {
        (key, 0): _flat(layer.output)
        for key, layer in made.items()
        if isinstance(layer, keras.layers.InputLayer)
    }
    waiting = [
        (key, number, call) for key, found in called.items() for number, call in enumerate(found)
    ]
    while waiting:
        later = []
        for key, number, call in waiting:
            ready = calls.arguments(call, tensors, where)
            earlier = number and (key, first.get(key, 0) + number - 1) not in tensors
            if ready is None or earlier:
                later.append((key, number, call))
                continue
            inputs, keywords = ready
            known.require_known(made[key], inputs)
            if "training" in keywords:
                repair.called.append((made[key], keywords["training"]))
            output = _call(made[key], key, inputs, keywords)
            known.note_merged(made[key], inputs, output)
            tensors[key, first.get(key, 0) + number] = _flat(output)
        if len(later) == len(waiting):
            raise OldCheckpointError(f"{where}: the layer {later[0][0]!r} has inputs from nowhere")
        waiting = later
    inputs = calls.ends(config["input_layers"], tensors, where)
    outputs = calls.ends(config["output_layers"], tensors, where)
    name = config.get("name") or name
    model = keras.Model(inputs, outputs, name=repair.new_name(name))
    if config.get("trainable") is False:
        model.trainable = False
    missing = {layer.name for layer in made.values()} - {layer.name for layer in model.layers}
    if missing:
        raise OldCheckpointError(f"{where}: the layer {min(missing)!r} feeds no output")
    return model, Node(model.name, "Functional", nodes, old_name=name or "")


def _flat(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _call(layer, key, inputs, keywords):
    if len(inputs) > 1 and isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
        inputs, keywords = inputs[:1], {**keywords, "initial_state": inputs[1:]}
    try:
        return layer(inputs[0] if len(inputs) == 1 else inputs, **keywords)
    except (TypeError, ValueError) as error:
        raise OldCheckpointError(
            f"layer {key}: Keras 3 does not take its inputs ({error}); {IN_CODE}"
        ) from error
