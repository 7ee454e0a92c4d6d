"""What Keras 3 no longer has, under names that a `.keras` file can hold.

A converted file that uses one of these loads only after `import old_checkpoint`. The report says
so.
"""

import keras

PACKAGE = "old_checkpoint"


@keras.saving.register_keras_serializable(PACKAGE, "hard_sigmoid")
def hard_sigmoid(x):
    """`clip(0.2 x + 0.5, 0, 1)`, the `hard_sigmoid` of Keras 1 and 2.

    Keras 3 computes `clip(x / 6 + 0.5, 0, 1)` under the same name. It was the gates' activation of
    every LSTM and GRU up to Keras 2.2.

    Arguments:
        x: A tensor of any shape.

    Returns:
        A tensor of the same shape.
    """
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
