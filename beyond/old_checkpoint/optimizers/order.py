"""In which order the optimizer's arrays follow each other, and which weight each belongs to."""

from ..errors import COMPILE_ANEW, OldCheckpointError


def trained(places, file, repair) -> list:
    """The places that the optimizer trains, in the order of its arrays.

    Up to Keras 2.0.5 the weights were sorted by name, from 2.0.6 on they follow the layers.

    Raises:
        OldCheckpointError: They were sorted by name, but two have the same one.
    """
    found = [place for place in places if place.trainable]
    if repair.layout.sorted_optimizer:
        names = [place.array.name for place in found]
        if len(set(names)) != len(names):
            raise OldCheckpointError(
                f"{file.path}: two weights have the same name, so the order of the optimizer's "
                "arrays is not known; load the weights with old_checkpoint.load_weights"
            )
        found.sort(key=lambda place: place.array.name)
    return found


def groups(arrays, kinds, count, new, config, file) -> tuple[dict, list]:
    """Cut the optimizer's arrays into kinds.

    Arguments:
        arrays: The arrays after the step count.
        kinds: (kind in Keras 3, kinds in old names), in the order in which they are stored.
        count: How many weights are trained.
        new: Whether an optimizer of tf.keras 2.11 or later wrote them.

    Returns:
        Kind -> its arrays, one for each weight, and the arrays that are left.

    Raises:
        OldCheckpointError: There are too few, or their names say another kind.
    """
    arrays = list(arrays)
    cut = {}
    if new and config.get("use_ema"):
        cut["average"], arrays = arrays[:count], arrays[count:]
    together = 2 if new and len(kinds) >= 2 and kinds[0][0] == "momentum" else 1
    if together == 2:  # m and v of one weight follow each other
        for number, (kind, _) in enumerate(kinds[:2]):
            cut[kind] = arrays[number : 2 * count : 2]
        arrays, rest = arrays[2 * count :], kinds[2:]
    else:
        rest = kinds
    for kind, _ in rest:
        cut[kind], arrays = arrays[:count], arrays[count:]
    for kind, group in cut.items():
        if len(group) != count:
            raise OldCheckpointError(
                f"{file.path}: the optimizer has {len(group)} arrays of {kind} for {count} trained "
                f"weights; {COMPILE_ANEW}"
            )
    _require_names(cut, dict(kinds) | {"average": ("average",)}, file)
    return cut, arrays


def _require_names(cut, kinds, file):
    """Where names tell the kind (tf.keras), it has to be this one."""
    every = {part for parts in kinds.values() for part in parts}
    for kind, group in cut.items():
        for array in group:
            parts = array.name.split(":")[0].split("/")
            told = {part for part in (parts[-1], *parts[1:2]) if part in every}
            if told and not told & set(kinds[kind]):
                raise OldCheckpointError(
                    f"{file.path}: the optimizer's array {array.name} stands where {kind} belongs"
                )


def require_nothing_left(left, file) -> None:
    """Refuse arrays that nothing took; the empty ones of Adam (2.1.5 to 2.3.1) hold nothing."""
    left = [array for array in left if array.value.shape not in ((1,), (0,)) or array.value.any()]
    if left:
        raise OldCheckpointError(
            f"{file.path}: {len(left)} of the optimizer's arrays are left over, first "
            f"{left[0].name}; {COMPILE_ANEW}"
        )
