"""Known differences from Keras 2 that a conversion cannot take away, by layer."""

import keras

from . import private, registered

# Their update of an Embedding adds up what a token gave in all places, as in Keras 2.
EXACT = (registered.RMSprop, registered.Adagrad, registered.Nadam)
RANDOM = ("Dropout", "GaussianNoise", "GaussianDropout", "SpatialDropout")


def note(model, restored, repair) -> None:
    """Note the known differences of a model that can train on.

    Arguments:
        model: The converted model.
        restored: The optimizer from `optimizers.restore`, or None.
        repair: The `Repair` in progress.
    """
    if restored is None:
        return
    layers = private.all_layers(model)
    kind = type(restored.optimizer).__name__
    if kind != "SGD" and not isinstance(restored.optimizer, EXACT):
        for layer in layers:
            if isinstance(layer, keras.layers.Embedding):
                repair.differences.append(
                    f"layer {layer.name} (Embedding) with {kind}: trained on the TensorFlow "
                    "backend, Keras 3 counts a token that occurs twice in a batch in another way "
                    "than Keras 2; on JAX it does not"
                )
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization) and _counts_otherwise(layer, repair):
            repair.differences.append(
                f"layer {layer.name} (BatchNormalization): in training, Keras 2 moves "
                "moving_variance towards the variance with n - 1, Keras 3 towards that with n, "
                "where n counts the numbers of one channel in a batch; the other weights agree"
            )
    random = [layer.name for layer in layers if _is_random(layer)]
    if random:
        repair.differences.append(
            f"layers {', '.join(random)}: they draw random numbers in training, and Keras 3 draws "
            "others than Keras 2"
        )


def _counts_otherwise(layer, repair):
    """tf.keras does it for images and volumes, where TensorFlow's fused operation computes it; of
    Keras for several backends it is assumed everywhere."""
    return layer.trainable and (not repair.layout.tf or layer.input_spec.ndim in (4, 5))


def _is_random(layer):
    if type(layer).__name__.startswith(RANDOM):
        return any(getattr(layer, name, 0) for name in ("rate", "stddev"))
    return isinstance(layer, keras.layers.RNN) and any(
        getattr(layer, name, 0) for name in ("dropout", "recurrent_dropout")
    )
