"""Where today's Keras has what an old module had."""

from .words import words

LAYER_MODULES = words(
    "core convolutional recurrent wrappers merge embeddings pooling "
    "normalization local noise advanced_activations cudnn_recurrent "
    "convolutional_recurrent preprocessing dense_attention attention "
    "experimental experimental.preprocessing containers core_new einsum_dense "
    "multi_head_attention rnn regularization reshaping activation "
    "convolutional.conv2d normalization_v2 recurrent_v2 "
    "normalization.batch_normalization"
)
UTIL_MODULES = words(
    "np_utils generic_utils data_utils io_utils layer_utils vis_utils "
    "visualize_util training_utils conv_utils multi_gpu_utils tf_utils "
    "all_utils"
)
# Old module -> today's module.
MOVED = {
    **{f"keras.layers.{name}": "keras.layers" for name in LAYER_MODULES},
    **{f"keras.utils.{name}": "keras.utils" for name in UTIL_MODULES},
    "keras.objectives": "keras.losses",
    "keras.initializations": "keras.initializers",
    "keras.callbacks.callbacks": "keras.callbacks",
    "keras.callbacks.tensorboard_v1": "keras.callbacks",
    "keras.engine": "keras.layers",
    "keras.engine.topology": "keras.layers",
    "keras.engine.base_layer": "keras.layers",
    "keras.engine.input_layer": "keras.layers",
    "keras.engine.input_spec": "keras.layers",
    "keras.engine.training": "keras.models",
    "keras.engine.network": "keras.models",
    "keras.engine.functional": "keras.models",
    "keras.engine.sequential": "keras.models",
    "keras.optimizers.legacy": "keras.optimizers",
    "keras.optimizers.experimental": "keras.optimizers",
    "keras.optimizer_v2": "keras.optimizers",
    "keras.optimizer_v2.adam": "keras.optimizers",
    "keras.optimizer_v2.gradient_descent": "keras.optimizers",
    "keras.optimizers.optimizer_v2": "keras.optimizers",
    "keras.preprocessing.image_dataset": "keras.utils",
    "keras.wrappers.scikit_learn": "scikeras.wrappers",
    "keras.mixed_precision.experimental": "keras.mixed_precision",
}
SCHEDULES = {"CosineDecay", "CosineDecayRestarts"}  # of keras.experimental
MODELS = {"Model", "Network", "Sequential", "Functional"}
IMAGE_TODAY = {"array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"} | {
    "image_dataset_from_directory"
}
IMAGE_LEGACY = {"ImageDataGenerator", "DirectoryIterator", "Iterator", "NumpyArrayIterator"} | set(
    words(
        "apply_affine_transform apply_brightness_shift apply_channel_shift "
        "random_brightness random_channel_shift random_rotation random_shear "
        "random_shift random_zoom"
    )
)
TEXT_LEGACY = {"Tokenizer", "text_to_word_sequence", "one_hot", "hashing_trick"} | {
    "tokenizer_from_json"
}
SEQUENCE_LEGACY = {"TimeseriesGenerator", "make_sampling_table", "skipgrams"}
# Functions of keras.losses and keras.metrics whose short names only tensorflow.keras has, and
# whose long ones only keras has.
LOSSES = {
    **{short: "mean_squared_error" for short in ("mse", "MSE")},
    **{short: "mean_absolute_error" for short in ("mae", "MAE")},
    **{short: "mean_absolute_percentage_error" for short in ("mape", "MAPE")},
    **{short: "mean_squared_logarithmic_error" for short in ("msle", "MSLE")},
    **{short: "kl_divergence" for short in ("kullback_leibler_divergence", "kld", "KLD")},
    "logcosh": "log_cosh",
}
# (module, name) of today for a name that changed.
RENAMED = {
    ("keras.constraints", "maxnorm"): ("keras.constraints", "max_norm"),
    ("keras.constraints", "nonneg"): ("keras.constraints", "non_neg"),
    ("keras.constraints", "unitnorm"): ("keras.constraints", "unit_norm"),
    ("keras.regularizers", "l1l2"): ("keras.regularizers", "l1_l2"),
    ("keras.regularizers", "activity_l1"): ("keras.regularizers", "l1"),
    ("keras.regularizers", "activity_l2"): ("keras.regularizers", "l2"),
    ("keras.regularizers", "activity_l1l2"): ("keras.regularizers", "l1_l2"),
    ("keras.regularizers", "WeightRegularizer"): ("keras.regularizers", "L1L2"),
    ("keras.regularizers", "ActivityRegularizer"): ("keras.regularizers", "L1L2"),
    ("keras.mixed_precision", "set_policy"): ("keras.mixed_precision", "set_global_policy"),
    ("keras.utils", "plot"): ("keras.utils", "plot_model"),
    ("keras.models", "Network"): ("keras.models", "Model"),
    ("keras.layers", "_Merge"): ("keras.layers", "Layer"),
    ("keras.layers", "CuDNNLSTM"): ("keras.layers", "LSTM"),
    ("keras.layers", "CuDNNGRU"): ("keras.layers", "GRU"),
    ("keras.layers", "AtrousConvolution1D"): ("keras.layers", "Conv1D"),
    ("keras.layers", "AtrousConvolution2D"): ("keras.layers", "Conv2D"),
    ("keras.layers", "AtrousConv2D"): ("keras.layers", "Conv2D"),
    ("keras.layers", "Deconvolution2D"): ("keras.layers", "Conv2DTranspose"),
    ("keras.layers", "Deconv2D"): ("keras.layers", "Conv2DTranspose"),
    ("keras.initializers", "uniform"): ("keras.initializers", "RandomUniform"),
    ("keras.initializers", "normal"): ("keras.initializers", "RandomNormal"),
    ("keras.losses", "cosine_proximity"): ("keras.losses", "cosine_similarity"),
    **{
        (module, old): (module, new)
        for module in ("keras.losses", "keras.metrics")
        for old, new in LOSSES.items()
    },
    ("keras.backend", "set_image_dim_ordering"): ("keras.backend", "set_image_data_format"),
    **{
        ("keras.optimizers", old): ("keras.optimizers", new)
        for old, new in {
            "adam": "Adam",
            "sgd": "SGD",
            "rmsprop": "RMSprop",
            "adagrad": "Adagrad",
            "adadelta": "Adadelta",
            "adamax": "Adamax",
            "nadam": "Nadam",
        }.items()
    },
}
# Functions whose calls a rule renames as well, so that an import needs no `as`.
CALLS_RENAMED = {"model_from_yaml": "model_from_json"}
# What has no successor, with what to do.
GONE = {
    (
        "keras.utils",
        "multi_gpu_model",
    ): "the model is used as it is, on one GPU; for several, build "
    "and compile the model under tf.distribute.MirroredStrategy().scope()",
    ("keras.preprocessing.text", "base_filter"): "Tokenizer leaves these characters out by itself",
    ("keras.utils", "print_summary"): "write model.summary() for print_summary(model)",
    ("keras.utils", "HDF5Matrix"): "read the array with h5py: h5py.File(path)[name][:]",
    ("keras.utils", "accuracy"): "write numpy.mean(predicted == expected)",
    ("keras.metrics", "precision"): "pass keras.metrics.Precision() to compile",
    ("keras.metrics", "recall"): "pass keras.metrics.Recall() to compile",
    ("keras.metrics", "fmeasure"): "pass keras.metrics.F1Score() to compile",
    ("keras.metrics", "fbeta_score"): "pass keras.metrics.FBetaScore() to compile",
    ("keras.metrics", "matthews_correlation"): "write it with keras.ops",
    ("keras.legacy", "interfaces"): "take its decorators out; Keras 3 knows no old arguments",
    ("keras.models", "Graph"): "build the network with keras.Model(inputs, outputs)",
    (
        "keras.models",
        "model_from_config",
    ): "keras.Model.from_config, or keras.saving.deserialize_keras_object",
    (
        "keras.layers",
        "Merge",
    ): "use keras.layers.Concatenate()([a, b]) and keras.Model(inputs, outputs)",
    ("keras.layers", "MaxoutDense"): "Keras 3 has no such layer",
    ("keras.layers", "Highway"): "Keras 3 has no such layer",
    ("keras.layers", "LocallyConnected1D"): "Keras 3 has no such layer",
    ("keras.layers", "LocallyConnected2D"): "Keras 3 has no such layer",
    ("keras.layers", "K"): "import keras.ops",
    **{
        ("keras.layers", name): "Keras 3 keeps it to itself: write a class of keras.layers.Layer"
        for name in words(
            "_Conv _Pooling1D _Pooling2D _Pooling3D _GlobalPooling1D _GlobalPooling2D "
            "_GlobalPooling3D _UpSampling _CuDNNRNN Recurrent _time_distributed_dense"
        )
    },
    ("keras.optimizers", "TFOptimizer"): "pass the optimizer of keras.optimizers as it is",
    (
        "keras.applications.imagenet_utils",
        "_obtain_input_shape",
    ): "it only checked the shape of the images: pass input_shape to keras.Input as it is",
    ("keras.mixed_precision", "global_loss_scale"): "compile makes a LossScaleOptimizer itself",
    ("keras.experimental", "LinearCosineDecay"): "take keras.optimizers.schedules.CosineDecay",
    ("keras.experimental", "NoisyLinearCosineDecay"): "take keras.optimizers.schedules.CosineDecay",
    ("keras.experimental", "LinearModel"): "write it with keras.layers.Dense",
    ("keras.experimental", "WideDeepModel"): "write both parts with keras.Model and add them",
    ("keras.experimental", "SequenceFeatures"): "prepare the features with tf.data",
    ("keras.experimental", "PeepholeLSTMCell"): "take keras.layers.LSTMCell",
    ("keras.experimental", "export_saved_model"): "write model.export(folder)",
    ("keras.experimental", "load_from_saved_model"): "load it with keras.layers.TFSMLayer",
}
# Of these, other rules take care where they are called.
CALLED = {("keras.utils", "multi_gpu_model"), ("keras.layers", "Merge"), ("keras.layers", "K")}
# Names that `from module import *` brought, as far as a rule asks for them.
STARRED = {
    "keras.layers": set(
        words(
            "Dense Dropout Flatten Activation Reshape Permute RepeatVector Lambda "
            "Input Embedding LSTM GRU SimpleRNN Bidirectional TimeDistributed Conv1D "
            "Conv2D Conv3D Convolution1D Convolution2D Convolution3D Conv2DTranspose "
            "Deconvolution2D SeparableConv2D MaxPooling1D MaxPooling2D "
            "AveragePooling2D GlobalAveragePooling2D GlobalMaxPooling1D "
            "GlobalMaxPooling2D BatchNormalization LeakyReLU PReLU ELU GaussianNoise "
            "UpSampling2D ZeroPadding2D merge Merge concatenate add multiply average "
            "maximum dot Concatenate Add SpatialDropout1D UpSampling1D MaxPool2D "
            "InputLayer CuDNNLSTM CuDNNGRU TimeDistributedDense Highway MaxoutDense Layer "
            "AtrousConvolution1D AtrousConvolution2D LocallyConnected1D LocallyConnected2D "
            "AveragePooling1D AveragePooling3D MaxPooling3D GlobalAveragePooling1D ConvLSTM2D "
            "Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding3D UpSampling3D Masking "
            "DepthwiseConv2D SeparableConv1D SeparableConvolution2D Deconv2D Conv3DTranspose "
            "GaussianDropout AlphaDropout SpatialDropout2D SpatialDropout3D ThresholdedReLU ReLU "
            "Softmax LayerNormalization ActivityRegularization Subtract Multiply Average Maximum "
            "Minimum Dot subtract minimum RNN GlobalMaxPooling3D GlobalAveragePooling3D"
        )
    ),
    "keras.models": {"Sequential", "Model", "load_model", "save_model", "model_from_json"}
    | {"model_from_yaml", "clone_model", "Graph"},
    "keras.optimizers": set(
        words("SGD Adam RMSprop Adagrad Adadelta Adamax Nadam adam sgd rmsprop")
    ),
    "keras.callbacks": set(
        words(
            "ModelCheckpoint EarlyStopping ReduceLROnPlateau TensorBoard CSVLogger "
            "Callback History LearningRateScheduler LambdaCallback"
        )
    ),
    "keras.preprocessing.image": IMAGE_LEGACY | IMAGE_TODAY,
    "keras.preprocessing.text": TEXT_LEGACY,
    "keras.preprocessing.sequence": SEQUENCE_LEGACY | {"pad_sequences"},
    "keras.utils": {"to_categorical", "np_utils", "plot_model", "multi_gpu_model", "Sequence"},
    "keras.utils.np_utils": {"to_categorical", "probas_to_classes"},
    "keras": {"layers", "models", "optimizers", "callbacks", "backend", "utils"}
    | {"regularizers", "initializers", "datasets", "applications", "preprocessing"},
}


def exported(module: str, name: str) -> bool:
    """Whether `from module import *` brought this name."""
    return name in STARRED.get(MOVED.get(module, module), ()) or name in STARRED.get(module, ())


def legacy_preprocessing(module: str, name: str) -> bool:
    """Whether only `tensorflow.keras` still has this name of `keras.preprocessing`."""
    return (
        (module == "keras.preprocessing.image" and name in IMAGE_LEGACY)
        or (module == "keras.preprocessing.text" and name in TEXT_LEGACY)
        or (module == "keras.preprocessing.sequence" and name in SEQUENCE_LEGACY)
        or (module == "keras.preprocessing" and name == "text")
    )


def new_home(module: str, name: str, of_tensorflow: bool = False) -> tuple[str, str] | None:
    """(module, name) of today for a name of an old module; None where it is unknown.

    Arguments:
        module: The module, as `keras` has it.
        name: The name in it.
        of_tensorflow: The script takes it from `tensorflow.keras`.

    >>> new_home("keras.layers.core", "Dense")
    ('keras.layers', 'Dense')
    >>> new_home("keras.optimizers", "adam")
    ('keras.optimizers', 'Adam')
    """
    home = MOVED.get(module, module)
    if name == "_obtain_input_shape":
        return "keras.applications.imagenet_utils", name
    if module.startswith("keras.engine"):
        home = "keras.models" if name in MODELS else "keras.layers"
    if module == "keras.experimental" and name in SCHEDULES:
        return "keras.optimizers.schedules", name
    if module == "keras.layers.containers":
        home = "keras.models"
    if f"{module}.{name}" in MOVED and name != "merge":
        target = MOVED[f"{module}.{name}"]
        return tuple(target.rsplit(".", 1)) if "." in target else None
    today = RENAMED.get((home, name), (home, name))
    if not of_tensorflow or home not in ("keras.losses", "keras.metrics"):
        return today
    if name in LOSSES:
        return home, name
    short = next((old for old, new in LOSSES.items() if new == today[1]), today[1])
    return home, short
