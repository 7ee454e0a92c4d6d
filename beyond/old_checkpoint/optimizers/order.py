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


def groups(arrays, plan, count, file) -> tuple[dict, list]:
    """Cut the optimizer's arrays into kinds.

    Arguments:
        arrays: The arrays after the step count.
        plan: The optimizer's `Plan`.
        count: How many weights are trained.
        file: The `OldFile`, for errors.

    Returns:
        Kind -> its arrays, one for each weight, and the arrays that are left.

    Raises:
        OldCheckpointError: There are too few, or their names say another kind.
    """
    arrays = list(arrays)
    cut = {}
    if plan.new and plan.config.get("use_ema"):
        cut["average"], arrays = arrays[:count], arrays[count:]
    together = plan.interleaved
    for number, (kind, _) in enumerate(plan.slots[:together]):
        cut[kind] = arrays[number : together * count : together]
    arrays = arrays[together * count :]
    for kind, _ in plan.slots[together:]:
        cut[kind], arrays = arrays[:count], arrays[count:]
    for kind, group in cut.items():
        if len(group) != count:
            raise OldCheckpointError(
                f"{file.path}: the optimizer has {len(group)} arrays of {kind} for {count} trained "
                f"weights; {COMPILE_ANEW}"
            )
    _require_names(cut, dict(plan.slots) | {"average": ("average",)}, file)
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


def require_nothing_left(left, plan, count, repair, file) -> None:
    """Refuse arrays that nothing took.

    Adam of 2.1.5 to 2.3.1 stores an empty array for each weight, and SGD without momentum stores
    one that no step reads.
    """
    if plan.unread and len(left) == count:
        repair.changes.append(
            f"{count} arrays of momentum are left out: without momentum nothing reads them"
        )
        return
    left = [array for array in left if array.value.shape not in ((1,), (0,)) or array.value.any()]
    if left:
        raise OldCheckpointError(
            f"{file.path}: {len(left)} of the optimizer's arrays are left over, first "
            f"{left[0].name}; {COMPILE_ANEW}"
        )
