"""An old file of the tests, converted, and its distance from what Keras 2 computed."""

import keras
import numpy as np
import old_checkpoint


class Case:
    """An old file, what Keras 2 noted about it, and the converted file."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        self.noted = dict(np.load(source.with_suffix(".npz")))
        self.report = old_checkpoint.convert(source, target)

    def values(self, letter):
        """Inputs (`x`), targets (`y`) or predictions (`p`)."""
        return [self.noted[f"{letter}{i}"] for i in range(9) if f"{letter}{i}" in self.noted]

    def load(self):
        """The converted model. TensorFlow runs step by step, as it did for Keras 2's files."""
        model = keras.saving.load_model(self.target)
        model.run_eagerly = keras.backend.backend() == "tensorflow"
        return model

    def predictions(self, model):
        """The model's answers to the inputs, as a list."""
        inputs = self.values("x")
        found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        found = found if isinstance(found, (list, tuple)) else [found]
        return [keras.ops.convert_to_numpy(value) for value in found]

    def differences(self, model, steps=10, without=()):
        """The largest difference of a weight from Keras 2 after one step and after ten.

        `without` names the weights to leave out, as `layer|number`.
        """
        inputs, targets = self.values("x"), self.values("y")
        found = []
        for step in range(1, steps + 1):
            model.train_on_batch(inputs, targets if len(targets) > 1 else targets[0])
            if step in (1, 10):
                found.append(self.distance(model, step, without))
        return found

    def weight(self, model, key):
        """The weight of the converted model that Keras 2 noted under `layer|number`."""
        layer, number = key.split("|")
        return old_order(model.get_layer(layer))[int(number)]

    def distance(self, model, step, without=()):
        """The largest difference of a weight from Keras 2's after so many steps."""
        compared = {
            key.removeprefix(f"{step}|"): value
            for key, value in self.noted.items()
            if key.startswith(f"{step}|")
        }
        assert set(without) < set(compared)
        worst = 0.0
        for key in set(compared) - set(without):
            mine = self.weight(model, key)
            assert mine.shape == compared[key].shape, key
            worst = max(worst, float(np.abs(mine - compared[key]).max()))
        return worst


def old_order(layer):
    """A layer's weights as Keras 2 lists them: what is trained first."""
    if isinstance(layer, keras.layers.Bidirectional):
        parts = [layer.forward_layer, layer.backward_layer]
        return [value for part in parts for value in old_order(part)]
    trained = {id(variable) for variable in layer.trainable_variables}
    variables = sorted(layer.weights, key=lambda variable: id(variable) not in trained)
    return [keras.ops.convert_to_numpy(variable) for variable in variables]
