"""Known differences from Keras 2 that a conversion cannot take away, by layer."""

from . import registered

# Their update of an Embedding adds up what a token gave in all places, as in Keras 2.
EXACT = (registered.RMSprop, registered.Adagrad, registered.Nadam)


def note(root, restored, repair) -> None:
    """Note the known differences of a model.

    Arguments:
        root: The model's `Node`.
        restored: The optimizer from `optimizers.restore`, or None.
        repair: The `Repair` in progress.
    """
    if restored is None or isinstance(restored.optimizer, EXACT):
        return
    kind = type(restored.optimizer).__name__
    if kind == "SGD":
        return
    for name in _embeddings(root):
        repair.differences.append(
            f"layer {name} (Embedding) with {kind}: trained on the TensorFlow backend, Keras 3 "
            "counts a token that occurs twice in a batch in another way than Keras 2; on JAX it "
            "does not"
        )


def _embeddings(node):
    if node.class_name == "Embedding":
        yield node.name
    for child in node.children:
        yield from _embeddings(child)
