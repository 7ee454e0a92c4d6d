"""How the layers of a functional model call each other: inputs, indices and outputs."""

from .errors import IN_CODE, OldCheckpointError


def first_indices(config, nodes):
    """At which index the calls of nested models start: older versions count one of their own."""
    used = {}
    for reference in _references(config):
        used.setdefault(reference[0], set()).add(reference[1])
    return {
        node.stored: min(used.get(node.stored, {0}))
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
    elif is_reference(value):
        yield value
        yield from _references(value[3:])
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def is_reference(value):
    return (
        isinstance(value, list)
        and len(value) >= 3
        and isinstance(value[0], str)
        and all(isinstance(number, int) for number in value[1:3])
    )


def arguments(call, tensors, where):
    """Inputs and keyword arguments of one call, or None while an input is missing."""
    if is_reference(call):
        call = [call]
    if not isinstance(call, list) or not all(is_reference(item) for item in call):
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


def ends(found, tensors, where):
    """The model's inputs or outputs: one tensor, a list or a dictionary of them."""
    try:
        if is_reference(found):
            return tensors[found[0], found[1]][found[2]]
        if isinstance(found, dict):
            return {key: ends(item, tensors, where) for key, item in found.items()}
        several = [ends(item, tensors, where) for item in found]
        return several[0] if len(several) == 1 else several
    except (KeyError, IndexError, TypeError):
        raise OldCheckpointError(f"{where}: its inputs or outputs name no layer of it") from None
