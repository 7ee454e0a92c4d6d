"""Masks: where Keras 3 passes them on in another way than Keras 2, the conversion stops.

Merging layers keep a time step in Keras 2 when all of their inputs keep it, in Keras 3 when one of
them does.
"""

import keras

from .errors import IN_CODE, OldCheckpointError
from .private import mask_of

MERGING = (
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Multiply,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Concatenate,
    keras.layers.Dot,
)


def require_known(layer, inputs: list) -> None:
    """Refuse a masked input of a layer that treats masks in another way than in Keras 2.

    Arguments:
        layer: The Keras 3 layer that is about to be called.
        inputs: Its symbolic inputs.

    Raises:
        OldCheckpointError: A mask reaches a merging layer.
    """
    if isinstance(layer, MERGING) and any(mask_of(tensor) is not None for tensor in inputs):
        raise OldCheckpointError(
            f"layer {layer.name}: a mask reaches this {type(layer).__name__}, which Keras 3 merges "
            f"in another way than Keras 2; {IN_CODE}"
        )


def require_no_masked_output(model) -> None:
    """Refuse a model whose output carries a mask: the loss leaves masked steps out, and the
    versions of Keras divide by different counts."""
    if any(mask_of(tensor) is not None for tensor in model.outputs):
        raise OldCheckpointError(
            f"model {model.name}: its output carries a mask, for which the versions of Keras "
            f"compute different losses; {IN_CODE}"
        )
