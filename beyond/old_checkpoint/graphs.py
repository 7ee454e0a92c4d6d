"""Models: Sequential (a list or a dictionary), functional, nested; and the wrapping layers."""

import dataclasses

import keras

from . import cudnn, layers, masks, names, wrappers
from .errors import IN_CODE, OldCheckpointError

SEQUENTIAL = ("Sequential",)
FUNCTIONAL = ("Model", "Functional")
MODELS = SEQUENTIAL + FUNCTIONAL


@dataclasses.dataclass
class Node:
    """One layer of the old model, and where its equal is found in the new one.

    Attributes:
        name: The layer's name.
        class_name: Its class in Keras 2.
        children: Layers inside it, in the order of the file, which is the order of its weights.
        role: The attribute of its parent that holds it; empty where the parent finds it by name.
        cudnn: Its class where that was one of CuDNN's.
    """

    name: str
    class_name: str
    children: list["Node"]
    role: str = ""
    cudnn: str = ""

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
    try:
        class_name, config = entry["class_name"], dict(entry["config"])
    except (KeyError, TypeError, ValueError):
        class_name, config = entry.get("class_name"), entry.get("config")
    if class_name in MODELS:
        name = config.get("name") if isinstance(config, dict) else None
        return _model(class_name, config, repair, entry.get("name") or name)
    config.setdefault("name", entry.get("name"))
    if repair.layout.keras_1:
        name = config.get("name", class_name)
        class_name, config = names.to_keras_2(class_name, config, name, repair.custom_objects)
    if class_name in wrappers.WRAPPERS:
        layer, inside = wrappers.make(
            class_name, config, lambda inner: _layer(inner, repair), repair
        )
        children = [dataclasses.replace(node, role=role) for node, role in inside]
        return layer, Node(layer.name, class_name, children)
    of_cudnn = class_name if class_name in cudnn.LAYERS else ""
    if of_cudnn:
        class_name, config = cudnn.to_plain(class_name, config)
    layer = layers.make(class_name, config, repair)
    return layer, Node(layer.name, class_name, [], cudnn=of_cudnn)


def _input(config, where):
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
        name=config.get("name"),
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
            made.append(_input(entry["config"], where))
            continue
        layer, node = _layer(entry, repair)
        made.append(layer)
        nodes.append(node)
    model = keras.Sequential(made, name=config.get("name") or name)
    return model, Node(model.name, "Sequential", nodes)


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
    made, nodes, calls = {}, [], {}
    for entry in config["layers"]:
        key = entry.get("name") or entry["config"]["name"]
        calls[key] = entry.get("inbound_nodes") or []
        if entry["class_name"] == "InputLayer":
            made[key] = _input(entry["config"], f"layer {key}")
            nodes.append(Node(key, "InputLayer", []))
            continue
        made[key], node = _layer(entry, repair)
        nodes.append(node)
    first = _first_indices(config, nodes)
    tensors = {
        (key, 0): _flat(layer.output)
        for key, layer in made.items()
        if isinstance(layer, keras.layers.InputLayer)
    }
    waiting = [
        (key, number, call) for key, found in calls.items() for number, call in enumerate(found)
    ]
    while waiting:
        later = []
        for key, number, call in waiting:
            ready = _arguments(call, tensors, where)
            earlier = number and (key, first.get(key, 0) + number - 1) not in tensors
            if ready is None or earlier:
                later.append((key, number, call))
                continue
            inputs, keywords = ready
            masks.require_known(made[key], inputs)
            output = _call(made[key], key, inputs, keywords)
            tensors[key, first.get(key, 0) + number] = _flat(output)
        if len(later) == len(waiting):
            raise OldCheckpointError(f"{where}: the layer {later[0][0]!r} has inputs from nowhere")
        waiting = later
    inputs = _ends(config["input_layers"], tensors, where)
    outputs = _ends(config["output_layers"], tensors, where)
    model = keras.Model(inputs, outputs, name=config.get("name") or name)
    missing = set(made) - {layer.name for layer in model.layers}
    if missing:
        raise OldCheckpointError(f"{where}: the layer {min(missing)!r} feeds no output")
    return model, Node(model.name, "Functional", nodes)


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


def _first_indices(config, nodes):
    """At which index the calls of nested models start: older versions count one of their own."""
    used = {}
    for reference in _references(config):
        used.setdefault(reference[0], set()).add(reference[1])
    return {
        node.name: min(used.get(node.name, {0}))
        for node in nodes
        if node.class_name in ("Sequential", "Functional")
    }


def _references(value):
    """All (layer, call, output) in a functional model's configuration."""
    if isinstance(value, dict) and "layers" in value:
        for entry in value["layers"]:
            yield from _references(entry.get("inbound_nodes") or [])
        yield from _references(value["output_layers"])
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif _is_reference(value):
        yield value
        yield from _references(value[3:])
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _is_reference(value):
    return (
        isinstance(value, list)
        and len(value) >= 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:3])
    )


def _arguments(call, tensors, where):
    """Inputs and keyword arguments of one call, or None while an input is missing."""
    if _is_reference(call):
        call = [call]
    if not isinstance(call, list) or not all(_is_reference(item) for item in call):
        raise OldCheckpointError(f"{where}: a call of a layer is not understood ({str(call)[:80]})")
    inputs, keywords = [], {}
    for name, index, output, *rest in call:
        if (name, index) not in tensors:
            return None
        try:
            inputs.append(tensors[name, index][output])
        except IndexError:
            raise OldCheckpointError(f"{where}: the layer {name} has no output {output}") from None
        for key, value in (rest[0] if rest and rest[0] else {}).items():
            if key in ("mask", "training", "initial_state") and value is None:
                continue
            if key != "training" or not isinstance(value, (bool, int)):
                raise OldCheckpointError(
                    f"{where}: a layer is called with {key}, which is not understood; {IN_CODE}"
                )
            keywords[key] = bool(value)
    return inputs, keywords


def _ends(found, tensors, where):
    """The model's inputs or outputs: one tensor, a list or a dictionary of them."""
    try:
        if _is_reference(found):
            return tensors[found[0], found[1]][found[2]]
        if isinstance(found, dict):
            return {key: _ends(item, tensors, where) for key, item in found.items()}
        ends = [_ends(item, tensors, where) for item in found]
        return ends[0] if len(ends) == 1 else ends
    except (KeyError, IndexError, TypeError):
        raise OldCheckpointError(f"{where}: its inputs or outputs name no layer of it") from None
