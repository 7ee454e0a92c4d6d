"""Keras 2 (tf_keras) writes the old files of the tests, and trains on for ten steps.

`python keras_2.py FOLDER optimizers` (or `models`) writes for each case `NAME.h5` and
`NAME.npz`: the predictions, and the weights after one and after ten further steps of the same
training.
"""

import sys

import numpy as np

STEPS = 12  # before the file is written


def optimizers(keras):
    """Name -> optimizer, each kind that Keras 2 had."""
    new, old, schedules = (
        keras.optimizers,
        keras.optimizers.legacy,
        keras.optimizers.schedules,
    )
    made = {}
    for name in ("Adam", "RMSprop", "SGD", "Adagrad", "Adadelta", "Adamax", "Nadam"):
        made[f"new {name}"] = getattr(new, name)(0.01)
        made[f"legacy {name}"] = getattr(old, name)(0.01)
    made |= {
        "new AdamW": new.AdamW(0.01),
        "new AMSGrad": new.Adam(0.01, amsgrad=True, clipnorm=0.1),
        "legacy AMSGrad": old.Adam(0.01, amsgrad=True, clipnorm=0.1),
        "new SGD momentum": new.SGD(0.01, momentum=0.9, nesterov=True),
        "legacy SGD momentum": old.SGD(0.01, momentum=0.9, nesterov=True),
        "new RMSprop momentum": new.RMSprop(0.01, momentum=0.9, centered=True),
        "legacy RMSprop momentum": old.RMSprop(0.01, momentum=0.9, centered=True),
        "legacy RMSprop centered": old.RMSprop(0.01, centered=True, clipvalue=0.1),
        "new Adam EMA": new.Adam(
            0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5, global_clipnorm=0.1
        ),
        "legacy Adam decay": old.Adam(0.01, decay=0.1, global_clipnorm=0.1),
        "legacy SGD decay": old.SGD(0.01, decay=0.1, clipvalue=0.01),
        "new Adam schedule": new.Adam(schedules.ExponentialDecay(0.01, 10, 0.9)),
        "legacy Adam schedule": old.Adam(
            schedules.PiecewiseConstantDecay([14, 17], [0.1, 0.01, 0.001])
        ),
    }
    return made


def batch(model, seed=0):
    """Inputs for every input of the model, and targets for every output."""
    random = np.random.default_rng(seed)
    names = {layer.name for layer in model.layers if "mbedding" in layer.name}
    inputs = [
        random.integers(1, 9, (8, *tensor.shape[1:])).astype("float32")
        if names
        else random.normal(size=(8, *tensor.shape[1:])).astype("float32")
        for tensor in model.inputs
    ]
    masked = names or any("masking" in layer.name for layer in model.layers)
    if masked:  # the last two steps of every other row
        inputs[0][::2, -2:] = 0
    outputs = [random.random((8, *tensor.shape[1:])).astype("float32") for tensor in model.outputs]
    return inputs, outputs


def small(keras):
    """The network for the optimizers."""
    return keras.Sequential(
        [
            keras.layers.Dense(4, activation="relu", input_shape=(8,)),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def write(folder, name, model, steps=STEPS):
    """Train a compiled model, save it as Keras 2 does, train on and note what came out."""
    inputs, outputs = batch(model)
    target = outputs if len(outputs) > 1 else outputs[0]
    for _ in range(steps):
        model.train_on_batch(inputs, target)
    model.save(f"{folder}/{name}.h5")
    predicted = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    predicted = predicted if isinstance(predicted, list) else [predicted]
    noted = {f"x{i}": value for i, value in enumerate(inputs)}
    noted |= {f"y{i}": value for i, value in enumerate(outputs)}
    noted |= {f"p{i}": value for i, value in enumerate(predicted)}
    for step in range(1, 11):
        model.train_on_batch(inputs, target)
        if step in (1, 10):
            for layer in model.layers:
                stored = layer.trainable_weights + layer.non_trainable_weights
                for number, value in enumerate(stored):
                    noted[f"{step}|{layer.name}|{number}"] = value.numpy()
    np.savez(f"{folder}/{name}.npz", **noted)


def write_optimizers(folder, keras):
    """A file for each optimizer, and the answers of losses, metrics and activations."""
    import losses_2

    losses_2.write(f"{folder}/answers.json", keras)
    for name, optimizer in optimizers(keras).items():
        keras.utils.set_random_seed(1)
        model = small(keras)
        model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
        write(folder, name, model, steps=150 if name == "new Nadam" else STEPS)
    keras.utils.set_random_seed(1)
    model = small(keras)
    model.compile(keras.optimizers.Nadam(0.01), "mse", run_eagerly=True)
    write(folder, "early Nadam", model)


def write_models(folder, keras):
    """A file for each model."""
    import models

    for name, make in (models.MODELS | models.ANSWERED | models.REWRITTEN).items():
        keras.utils.set_random_seed(1)
        model = make(keras)
        model.compile(keras.optimizers.legacy.Adam(0.01), "mse", run_eagerly=True)
        write(folder, name, model, steps=3)


if __name__ == "__main__":
    import tf_keras

    {"optimizers": write_optimizers, "models": write_models}[sys.argv[2]](sys.argv[1], tf_keras)
