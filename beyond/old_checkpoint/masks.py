"""Masks: where Keras 3 passes them on in another way than Keras 2, the conversion stops.

Merging layers keep a time step in Keras 2 when all of their inputs keep it, in Keras 3 when one of
them does. The two agree when every input carries the same mask, as in a residual connection.
"""

import keras

from .errors import IN_CODE, OldCheckpointError
from .private import all_layers, mask_of

# With one mask for all inputs these answer as in Keras 2. Multiply, Maximum and Minimum change
# masked steps, and Keras 3.15 does not build a Concatenate whose inputs carry masks.
AGREEING = (
    keras.layers.Add,
    keras.layers.Subtract,
    keras.layers.Average,
)
MERGING = (
    *AGREEING,
    keras.layers.Multiply,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Concatenate,
)


class Masks:
    """The masks of one functional model, while its layers are called."""

    def __init__(self):
        self._same = {}  # id of a merged mask -> (that mask, the one that it equals)

    def require_known(self, layer, inputs: list) -> None:
        """Refuse a masked input of a layer that treats masks in another way than in Keras 2.

        Arguments:
            layer: The Keras 3 layer that is about to be called.
            inputs: Its symbolic inputs.

        Raises:
            OldCheckpointError: A mask reaches a merging layer, which would merge it otherwise.
        """
        found = [self._known(mask_of(tensor)) for tensor in inputs]
        if all(mask is None for mask in found):
            return
        if isinstance(layer, keras.Model):
            inner = next((one for one in all_layers(layer) if isinstance(one, MERGING)), None)
            if inner is not None:
                raise _refused(f"layer {layer.name}/{inner.name}", inner)
        one = all(mask is found[0] for mask in found)
        if isinstance(layer, MERGING) and not (one and isinstance(layer, AGREEING)):
            raise _refused(f"layer {layer.name}", layer)

    def note_merged(self, layer, inputs: list, output) -> None:
        """Remember that a merging layer's mask equals the one that all of its inputs carry."""
        merged = mask_of(output) if isinstance(layer, AGREEING) else None
        if merged is not None:
            self._same[id(merged)] = merged, self._known(mask_of(inputs[0]))

    def _known(self, mask):
        return self._same[id(mask)][1] if id(mask) in self._same else mask


def _refused(where, layer):
    return OldCheckpointError(
        f"{where}: a mask reaches this {type(layer).__name__}, which Keras 3 merges in another way "
        f"than Keras 2; {IN_CODE}"
    )
