"""Known differences from Keras 2 that a conversion cannot take away, by layer."""

import keras

from . import private, registered
from .errors import IN_CODE, OldCheckpointError

# Their update of an Embedding adds up what a token gave in all places, as in Keras 2.
EXACT = (registered.RMSprop, registered.Adagrad, registered.Nadam)
RANDOM = ("Dropout", "GaussianNoise", "GaussianDropout", "SpatialDropout")


def require_no_fixed_training(repair) -> None:
    """Refuse a layer that was called with `training=True` where that changes its answer.

    Keras 3 stores such a call, and `predict` overrules it.
    """
    for layer, training in repair.called:
        inner = _depends_on_training(layer) if training else None
        if inner is not None:
            raise OldCheckpointError(
                f"layer {inner.name} is called with training=True, also when the model predicts, "
                f"which Keras 3 does not do; {IN_CODE}"
            )


def note(model, root, restored, repair) -> None:
    """Note the known differences of a model that can train on.

    Arguments:
        model: The converted model.
        root: Its `Node`.
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
    normalizing = [one for one in layers if isinstance(one, keras.layers.BatchNormalization)]
    counted = [layer.name for layer in normalizing if _counts_otherwise(layer, repair)]
    if counted:
        repair.differences.append(
            f"layer {', '.join(counted)} (BatchNormalization): in training, Keras 2 moves "
            "moving_variance towards the variance with n - 1, Keras 3 towards that with n, "
            "where n counts the numbers of one channel in a batch; the other weights agree"
        )
    frozen = [layer.name for layer in normalizing if _normalized_by_batch(layer, repair)]
    if frozen:
        repair.differences.append(
            f"layer {', '.join(frozen)} (BatchNormalization), frozen: in training, this Keras 2 "
            "may normalize with the batch all the same, Keras 3 with the moving averages"
        )
    for layer, training in repair.called:
        inner = None if training else _depends_on_training(layer)
        if inner is not None:
            repair.differences.append(
                f"layer {inner.name} was called with training=False; Keras 3 trains it all the "
                "same: freeze it (trainable = False) or expect another training"
            )
    for name in _normalized_step_by_step(root, model):
        repair.differences.append(
            f"layer {name}: TimeDistributed holds a BatchNormalization; in training, Keras 2 "
            "normalizes all steps together, Keras 3 each by itself"
        )
    if repair.layout.loss_counts_masked_steps and any(
        private.mask_of(tensor) is not None for tensor in model.outputs
    ):
        repair.differences.append(
            f"model {model.name}: its output carries a mask; this tf.keras may divide the loss by "
            "the number of all steps, Keras 3 divides it by the number of those that count"
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


def _depends_on_training(layer):
    """The layer inside that answers otherwise in training, or None."""
    for inner in private.all_layers(layer):
        if _is_random(inner):
            return inner
        if isinstance(inner, keras.layers.BatchNormalization) and inner.trainable:
            return inner
    return None


def _normalized_step_by_step(node, layer):
    """The names of the TimeDistributed layers that hold a trained BatchNormalization."""
    if isinstance(layer, keras.layers.TimeDistributed):
        inner = private.all_layers(layer)
        if any(isinstance(one, keras.layers.BatchNormalization) and one.trainable for one in inner):
            yield layer.name
    else:
        for child in node.children:
            yield from _normalized_step_by_step(child, child.find(layer))


def _normalized_by_batch(layer, repair):
    return not layer.trainable and repair.layout.frozen_batch_statistics


def _is_random(layer):
    if type(layer).__name__.startswith("Random"):
        return True
    if type(layer).__name__.startswith(RANDOM):
        return any(getattr(layer, name, 0) for name in ("rate", "stddev"))
    return isinstance(layer, keras.layers.RNN) and any(
        getattr(layer, name, 0) for name in ("dropout", "recurrent_dropout")
    )
