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
            layers.Embedding(10, 4, mask_zero=True, input_length=4, name="embedding"),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(3, return_sequences=True),
            layers.Bidirectional(
                layers.GRU(3, reset_after=False, return_sequences=True), merge_mode="sum"
            ),
            layers.SimpleRNN(3, go_backwards=True),
            layers.Dense(1),
        ]
    )


def recurrent_old(keras):
    """The old hard_sigmoid in the gates, and layers in TimeDistributed."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.TimeDistributed(layers.Dense(4, activation="gelu"), input_shape=(3, 3)),
            layers.TimeDistributed(layers.Reshape((4, 1))),
            layers.TimeDistributed(layers.Conv1D(2, 2)),
            layers.TimeDistributed(layers.Flatten()),
            layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True), merge_mode="ave"),
            layers.Bidirectional(
                layers.SimpleRNN(2, return_sequences=True, unroll=True), merge_mode="mul"
            ),
            layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
            layers.GRU(4, recurrent_activation="hard_sigmoid"),
            layers.Dense(1, activation="softplus"),
        ]
    )


def nested(keras):
    """A model in a model, called twice; frozen layers; two inputs and two outputs."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            # A bias here would get no gradient but rounding, which Adam makes as large as any.
            layers.Dense(4, use_bias=False, input_shape=(3,)),
            layers.BatchNormalization(),
            layers.Dense(4),
        ],
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
    _, h, c = layers.LSTM(3, return_state=True)(layers.Masking(0.0)(encoded))
    x = layers.LSTM(3, return_sequences=True)(decoded, initial_state=[h, c])
    x = layers.Conv1D(2, 2, padding="causal")(x)
    x = layers.MaxPooling1D(2)(x)
    return keras.Model([encoded, decoded], layers.Dense(1)(layers.Flatten()(x)))


def signals(keras):
    """Layers for one axis, activations as layers, and each way to merge."""
    layers = keras.layers
    inputs = keras.Input((12, 4), name="signal")
    x = layers.ZeroPadding1D(2)(inputs)
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)(x)
    x = layers.Activation("tanh")(x)
    x = layers.SeparableConv1D(4, 3, padding="same", depth_multiplier=2)(x)
    x = layers.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.05)(x)
    x = layers.Conv1DTranspose(4, 3, strides=2, padding="same")(x)
    x = layers.DepthwiseConv1D(3, padding="valid")(x)
    x = layers.ELU(alpha=0.7)(x)
    x = layers.Cropping1D((1, 2))(x)
    x = layers.UpSampling1D(2)(x)
    x = layers.AveragePooling1D(2, padding="same")(x)
    x = layers.MaxPooling1D(3, strides=2)(x)
    x = layers.SpatialDropout1D(0.0)(layers.GaussianNoise(0.0)(x))
    x = layers.GaussianDropout(0.0)(layers.Dropout(0.0)(x))
    low = layers.Flatten()(layers.GlobalAveragePooling1D(keepdims=True)(x))
    high = layers.GlobalMaxPooling1D()(x)
    left = layers.Dense(4, kernel_constraint="unit_norm", kernel_regularizer="l1")(low)
    left = layers.Dense(4, kernel_constraint="non_neg", kernel_regularizer="l1_l2")(left)
    made = [
        layers.Subtract()([left, high]),
        layers.Multiply()([left, high]),
        layers.Average()([left, high, low]),
        layers.Maximum()([left, high]),
        layers.Minimum()([left, high]),
        layers.Dot(axes=1, normalize=True)([left, high]),
        layers.Dot(axes=(2, 1))([x, layers.Permute((2, 1))(x)]),
    ]
    made[-1] = layers.GlobalMaxPooling1D()(layers.Softmax(axis=1)(made[-1]))
    repeated = layers.RepeatVector(2)(layers.Concatenate()(made))
    end = layers.Dense(1, kernel_constraint="min_max_norm")
    return keras.Model(inputs, end(layers.Flatten()(repeated)))


def volumes(keras):
    """Layers for three axes, and the two-dimensional ones that `images` lacks."""
    layers = keras.layers
    inputs = keras.Input((4, 4, 4, 2), name="volume")
    x = layers.ZeroPadding3D(1)(inputs)
    x = layers.Conv3D(3, 2, strides=2, activation="elu")(x)
    x = layers.Conv3DTranspose(2, 2, strides=2)(x)
    x = layers.Cropping3D(1)(x)
    x = layers.UpSampling3D(2)(x)
    x = layers.SpatialDropout3D(0.0)(x)
    x = layers.AveragePooling3D(2)(x)
    y = layers.MaxPooling3D(2)(x)
    flat = layers.UpSampling2D(2)(layers.Reshape((4, 4, 8))(x))
    ends = [
        layers.GlobalMaxPooling2D()(flat),
        layers.GlobalAveragePooling3D()(y),
        layers.GlobalMaxPooling3D()(y),
    ]
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate(axis=-1)(ends)))


def gates(keras):
    """The recurrent layers that CuDNN had of its own, to be rewritten in its order."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.LSTM(3, return_sequences=True, input_shape=(4, 2)),
            layers.GRU(3),
            layers.Dense(1),
        ]
    )


def keras_1(keras):
    """Layers of Keras 1 that are converted, to be rewritten as it stored them."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.ZeroPadding2D((1, 2), input_shape=(8, 8, 2)),
            layers.Conv2D(3, (3, 2), strides=(2, 1), activation="relu", name="convolution2d_1"),
            layers.BatchNormalization(momentum=0.9, name="batchnormalization_1"),
            layers.LeakyReLU(alpha=0.1),
            layers.Conv2D(4, 2, padding="same", use_bias=False, name="convolution2d_2"),
            layers.MaxPooling2D((2, 2), padding="same"),
            layers.ELU(alpha=0.6),
            layers.AveragePooling2D((2, 2), strides=(1, 1)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(4, name="dense_1"),
            layers.Activation("hard_sigmoid"),
        ]
    )


def normalized(keras):
    """Layers that prepare their inputs, further normalizations, penalties on activations."""
    layers = keras.layers
    normalization = layers.Normalization()
    normalization.adapt(keras.backend.constant([[[[1.0, 5.0], [2.0, 9.0]]]]))
    inputs = keras.Input((4, 4, 2), name="image")
    x = layers.Rescaling(1 / 2, offset=-0.5)(normalization(inputs))
    x = layers.Normalization(mean=[0.1, 0.3], variance=[4.0, 2.0])(x)
    x = layers.Conv2D(4, 2, activity_regularizer="l2")(x)
    x = layers.Dropout(0.0, noise_shape=(None, 1, 1, 4))(layers.GroupNormalization(2)(x))
    x = layers.UnitNormalization()(layers.Flatten()(x))
    orthogonal = keras.regularizers.OrthogonalRegularizer(0.1)
    return keras.Model(inputs, layers.Dense(3, kernel_regularizer=orthogonal)(x))


def residual(keras):
    """Ways past a recurrent layer, so that the same mask reaches a merging layer twice."""
    layers = keras.layers
    inputs = keras.Input((4, 3), name="masking_of")
    masked = layers.Masking(0.0)(inputs)
    x = layers.Add()([masked, layers.LSTM(3, return_sequences=True)(masked)])
    x = layers.Average()([x, layers.GRU(3, return_sequences=True)(x), masked])
    x = layers.Subtract()([layers.TimeDistributed(layers.Dense(3))(x), x])
    scores = layers.Dot(axes=2)([x, x])
    x = layers.Concatenate()([layers.LSTM(2)(x), layers.Flatten()(scores)])
    return keras.Model(inputs, layers.Dense(1)(x))


def tagger(keras):
    """An output that carries a mask."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Masking(0.0, input_shape=(4, 3)),
            layers.LSTM(3, return_sequences=True),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )


def frozen_call(keras):
    """Normalizations that train otherwise: called with training=False, and step by step."""
    layers = keras.layers
    inputs = keras.Input((4, 3))
    x = layers.BatchNormalization(name="fixed")(layers.Dense(3)(inputs), training=False)
    x = layers.Dropout(0.0)(x, training=True)
    x = layers.TimeDistributed(layers.BatchNormalization(), name="steps")(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


def augmented(keras):
    """Layers that change images at random in training."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1, fill_mode="nearest"),
            layers.RandomZoom(0.1),
            layers.RandomTranslation(0.1, 0.2),
            layers.RandomContrast(0.2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


MODELS = {
    "images": images,
    "tagger": tagger,
    "sequences": sequences,
    "recurrent old": recurrent_old,
    "nested": nested,
    "state": state,
    "signals": signals,
    "volumes": volumes,
    "normalized": normalized,
    "residual": residual,
}
# Models whose answers are compared, not their training: it is known to differ.
ANSWERED = {
    "frozen call": frozen_call,
    "augmented": augmented,
}
# Models of kinds that tf_keras cannot write itself; `test_rewritten.py` makes them of these.
REWRITTEN = {
    "gates": gates,
    "keras 1": keras_1,
}
