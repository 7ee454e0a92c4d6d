"""Models that Keras 2 writes for the tests: each kind of layer at least once."""


def images(keras):
    """Convolutions, pooling, padding, normalization, and a merge of two ways."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 2), name="image")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, kernel_regularizer="l2")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU(alpha=0.2)(x)
    y = layers.SeparableConv2D(4, 3, padding="same", activation="elu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="hard_sigmoid")(y)
    x = layers.Add()([x, y])
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    x = layers.PReLU(shared_axes=[1, 2])(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Cropping2D(1)(x)
    x = layers.AveragePooling2D()(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.SpatialDropout2D(0.0)(x)
    x = layers.LayerNormalization()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(3, kernel_constraint="max_norm", activation="swish")(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def sequences(keras):
    """Embedding with a mask, recurrent layers and their wrappers."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Embedding(10, 4, mask_zero=True, input_length=6, name="embedding"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(3, return_sequences=True),
            layers.Bidirectional(
                layers.GRU(3, reset_after=False, return_sequences=True), merge_mode="sum"
            ),
            layers.SimpleRNN(3),
            layers.Dense(1),
        ]
    )


def recurrent_old(keras):
    """The old hard_sigmoid in the gates, and layers in TimeDistributed."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.TimeDistributed(layers.Dense(4, activation="gelu"), input_shape=(5, 3)),
            layers.TimeDistributed(layers.Reshape((4, 1))),
            layers.TimeDistributed(layers.Conv1D(2, 2)),
            layers.TimeDistributed(layers.Flatten()),
            layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
            layers.GRU(4, recurrent_activation="hard_sigmoid"),
            layers.Dense(1, activation="softplus"),
        ]
    )


def nested(keras):
    """A model in a model, called twice; frozen layers; two inputs and two outputs."""
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Dense(4, input_shape=(3,)), layers.BatchNormalization(), layers.Dense(4)],
        name="inner",
    )
    frozen = layers.Dense(4, name="frozen", trainable=False)
    first, second = keras.Input((3,), name="first"), keras.Input((3,), name="second")
    both = layers.Concatenate()([inner(first), inner(second)])
    x = frozen(both)
    x = layers.TimeDistributed(layers.Dense(2), name="cold", trainable=False)(
        layers.Reshape((2, 2))(x)
    )
    x = layers.Flatten()(x)
    return keras.Model(
        [first, second],
        [layers.Dense(1, name="one")(x), layers.Dense(2, name="two", activation="tanh")(x)],
    )


def state(keras):
    """An encoder and a decoder that starts with the encoder's state."""
    layers = keras.layers
    encoded, decoded = keras.Input((4, 2)), keras.Input((3, 2))
    _, h, c = layers.LSTM(3, return_state=True)(encoded)
    x = layers.LSTM(3, return_sequences=True)(decoded, initial_state=[h, c])
    x = layers.Conv1D(2, 2, padding="causal")(x)
    x = layers.MaxPooling1D(2)(x)
    return keras.Model([encoded, decoded], layers.Dense(1)(layers.Flatten()(x)))


MODELS = {
    "images": images,
    "sequences": sequences,
    "recurrent old": recurrent_old,
    "nested": nested,
    "state": state,
}
