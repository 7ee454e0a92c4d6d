"""What Keras 3 no longer has, under names that a `.keras` file can hold.

A converted file that uses one of these loads only after `import old_checkpoint`. The report says
so. The formulas are those of the optimizers of Keras 1, of Keras 2 for several backends, and of
`tf.keras.optimizers.legacy`.
"""

import keras
from keras import ops

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

    Example:
        >>> import keras, old_checkpoint
        >>> round(float(old_checkpoint.hard_sigmoid(keras.ops.ones(()))), 4)
        0.7
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _dense(gradient, variable):
    """The gradient as one array: TensorFlow gives an Embedding's as rows, some of them twice."""
    return ops.cast(ops.convert_to_tensor(gradient), variable.dtype)


@keras.saving.register_keras_serializable(PACKAGE, "RMSprop")
class RMSprop(keras.optimizers.RMSprop):
    """RMSprop with epsilon outside the root, `g / (sqrt(v) + epsilon)`, as before tf.keras 2.11.

    Keras 3 computes `g / sqrt(v + epsilon)`. Arguments are those of `keras.optimizers.RMSprop`;
    `momentum` has to be 0, since with momentum Keras 2 had epsilon inside the root as well.

    Example:
        >>> import old_checkpoint
        >>> old_checkpoint.RMSprop(0.01, rho=0.8).rho
        0.8
    """

    def update_step(self, gradient, variable, learning_rate):
        """Change one variable by its gradient; both have the same shape."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = _dense(gradient, variable)
        index = self._get_variable_index(variable)
        square = self._velocities[index]
        self.assign(square, self.rho * square + (1 - self.rho) * ops.square(gradient))
        root = square
        if self.centered:
            mean = self._average_gradients[index]
            self.assign(mean, self.rho * mean + (1 - self.rho) * gradient)
            root = square - ops.square(mean)
        self.assign_sub(variable, rate * gradient / (ops.sqrt(root) + self.epsilon))


@keras.saving.register_keras_serializable(PACKAGE, "Adagrad")
class Adagrad(keras.optimizers.Adagrad):
    """Adagrad with epsilon outside the root, `g / (sqrt(a) + epsilon)`, as before tf.keras 2.11.

    Keras 3 computes `g / sqrt(a + epsilon)`. Arguments are those of `keras.optimizers.Adagrad`.

    Example:
        >>> import old_checkpoint
        >>> old_checkpoint.Adagrad(0.01, epsilon=1e-6).epsilon
        1e-06
    """

    def update_step(self, gradient, variable, learning_rate):
        """Change one variable by its gradient; both have the same shape."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = _dense(gradient, variable)
        sums = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(sums, ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(sums) + self.epsilon))


@keras.saving.register_keras_serializable(PACKAGE, "Nadam")
class Nadam(keras.optimizers.Nadam):
    """Nadam with the momentum schedule of before tf.keras 2.11, `b1 (1 - 0.5 * 0.96**(d t))`.

    Keras 3 has `d = 1` and does not let you choose it.

    Arguments:
        schedule_decay: `d`; Keras 1 and 2 had 0.004 unless told otherwise.
        **others: Those of `keras.optimizers.Nadam`.

    Example:
        >>> import old_checkpoint
        >>> old_checkpoint.Nadam(0.01).schedule_decay
        0.004
    """

    def __init__(self, learning_rate=0.001, schedule_decay=0.004, **others):
        super().__init__(learning_rate, **others)
        self.schedule_decay = schedule_decay

    def build(self, variables):
        """Make the optimizer's variables: two for each in the list, and the momentum's product."""
        if self.built:
            return
        super().build(variables)
        self.momentum_cache = self.add_variable((), "ones", "float32", name="momentum_cache")

    def _momentum_at(self, step):
        base = ops.cast(0.96, "float32")
        return self.beta_1 * (1.0 - 0.5 * ops.power(base, self.schedule_decay * step))

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        step = ops.cast(self.iterations + 1, "float32")
        self.assign(self.momentum_cache, self.momentum_cache * self._momentum_at(step))
        # Past the step of Keras 3's Nadam, which multiplies a product of its own.
        keras.optimizers.Optimizer._backend_update_step(
            self, grads, trainable_variables, learning_rate
        )

    def update_step(self, gradient, variable, learning_rate):
        """Change one variable by its gradient; both have the same shape."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = _dense(gradient, variable)
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, "float32")
        now, after = self._momentum_at(step), self._momentum_at(step + 1)
        product = ops.convert_to_tensor(self.momentum_cache)
        self.assign(mean, self.beta_1 * mean + (1 - self.beta_1) * gradient)
        self.assign(square, self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient))
        corrected = square / (1.0 - ops.power(ops.cast(self.beta_2, "float32"), step))
        direction = (1.0 - now) * (gradient / (1.0 - product)) + after * (
            mean / (1.0 - product * after)
        )
        self.assign_sub(variable, rate * direction / (ops.sqrt(corrected) + self.epsilon))

    def get_config(self):
        """The arguments that make this optimizer again."""
        return {**super().get_config(), "schedule_decay": self.schedule_decay}
