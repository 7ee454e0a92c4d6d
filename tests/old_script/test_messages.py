"""The messages at which public old scripts stopped: each leads to its row."""

import old_script
import pytest
from old_script.rules.layers import RENAMED

pytestmark = pytest.mark.one_backend  # no backend is started

UNRECOGNIZED = "ValueError: Unrecognized keyword arguments passed to "
UNEXPECTED = "got an unexpected keyword argument"
NO_MODULE = "ModuleNotFoundError: No module named"
# What is said -> a piece of the heading of one of the best three entries. The names and numbers of
# the first three columns of a message differ from those of the pages.
MESSAGES = {
    "AttributeError: 'Functional' object has no attribute 'fit_generator'": "fit_generator(",
    "AttributeError: 'Functional' object has no attribute 'evaluate_generator'": "evaluate_gen",
    "AttributeError: 'Model' object has no attribute 'predict_generator'": "predict_generator(",
    "ValueError: Argument(s) not recognized: {'lr': 0.003}": "Adam(lr=",
    # Quoted in the text of an entry, beside its own message.
    "ValueError: Layer count mismatch when loading weights from file. Model expected 5 layers, "
    "found 0 saved layers.": "renamed to `.weights.h5`",
    "WARNING:tensorflow:Can save best model only with val_acc available, skipping.": "val_acc avai",
    "ImportError: cannot import name 'ImageDataGenerator' from 'keras.preprocessing.image' "
    "(/usr/lib/python3/keras/preprocessing/image/__init__.py)": "import ImageDataGenerator",
    f"{NO_MODULE} 'keras.layers.normalization'": "keras.layers.normalization",
    **dict.fromkeys(
        [
            f"{NO_MODULE} 'keras.layers.{name}'"
            for name in ("convolutional", "recurrent", "wrappers", "merge", "embeddings", "core")
        ],
        "from keras.layers.core import",
    ),
    f"{NO_MODULE} 'keras.layers.advanced_activations'": "from keras.layers.core import",
    "AttributeError: module 'keras.backend' has no attribute 'flatten'": "K.flatten(",
    **dict.fromkeys(
        [
            f"AttributeError: module 'keras.backend' has no attribute '{name}'"
            for name in ("max", "dot", "equal", "sum")
        ],
        "K.mean(X)",
    ),
    "AttributeError: module 'keras.backend' has no attribute 'ctc_batch_cost'": "ctc_batch_cost",
    "AttributeError: module 'keras.backend' has no attribute 'batch_dot'": "batch_dot",
    "NotImplementedError: Exception encountered when calling Lambda.call().\n\nWe could not "
    "automatically infer the shape of the Lambda's output. Please specify the `output_shape` "
    "argument for this Lambda layer.": "calling Lambda.call()",
    "ImportError: cannot import name 'np_utils' from 'keras.utils' (/a/b.py)": "import np_utils",
    "keras.src.callbacks.tensorboard.TBNotInstalledError: TensorBoard is not installed, missing "
    "implementation for tf.summary.scalar": "TensorBoard is not installed",
    f"{UNRECOGNIZED}Conv2D: {{'border_mode': 'valid'}}": "border_mode",
    f"{UNRECOGNIZED}Conv2D: {{'subsample': (2, 2)}}": "border_mode='same', subsample",
    "TypeError: Conv2D.__init__() missing 1 required positional argument: 'kernel_size'": "nb_row",
    f"TypeError: TensorFlowTrainer.fit() {UNEXPECTED} 'samples_per_epoch'": "samples_per_epoch=8",
    f"TypeError: JAXTrainer.fit() {UNEXPECTED} 'nb_val_samples'": "nb_val_samples=8",
    f"TypeError: TensorFlowTrainer.fit() {UNEXPECTED} 'max_q_size'": "max_q_size",
    f"TypeError: TorchTrainer.fit() {UNEXPECTED} 'workers'": "workers=4",
    "TypeError: 'numpy.float64' object cannot be interpreted as an integer": "8 / 4",
    "ValueError: Computed output size would be zero or negative. Received: `inputs_shape=(None, 2, "
    "2, 32)`, `kernel_shape=(3, 3, 32, 64)`, `output_shape=[None, 0, 0, 64]`": "Conv2D(8, 3, 3)",
    "TypeError: Conv2D.__init__() got multiple values for argument 'strides'": "3, 3, strides=",
    "ImportError: cannot import name 'Merge' from 'keras.layers' (/a/b.py)": "import merge",
    "AttributeError: module 'keras.backend' has no attribute 'image_dim_ordering'": "K.image_dim",
    "AttributeError: module 'keras.backend' has no attribute 'set_image_dim_ordering'": "K.set_ima",
    f"{NO_MODULE} 'keras.utils.visualize_util'": "visualize_util",
    f"{NO_MODULE} 'keras.utils.data_utils'": "keras.utils.np_utils",
    "AttributeError: module 'keras._tf_keras.keras.losses' has no attribute 'mean_squared_error'. "
    "Did you mean: 'MeanSquaredError'?": "tf.losses",
    f"TypeError: softmax() {UNEXPECTED} 'dim'": "tf.nn.softmax",
    f"{UNRECOGNIZED}Model: {{'input': <KerasTensor shape=(None, 3), dtype=float32>}}": "input=a",
    f"TypeError: TensorBoard.__init__() {UNEXPECTED} 'batch_size'": "batch_size=32",
    f"TypeError: TensorBoard.__init__() {UNEXPECTED} 'write_grads'": "write_grads",
    "KeyError: 'val_acc'": "history['acc']",
    "KeyError: 'lr'": "history['lr']",
    "ValueError: dtype='string' is not a valid dtype for Keras type promotion.": '"mse", ["mae"]',
    "TypeError: '>' not supported between instances of 'NoneType' and 'NoneType'": "logs.get(",
    "TypeError: `output_signature` must contain objects that are subclass of `tf.TypeSpec` but "
    "found <class 'list'> which is not.": "generator must return a tuple",
    "ValueError: Object arrays cannot be loaded when allow_pickle=False": "numpy.load(",
    f"TypeError: reshape() {UNEXPECTED} 'newshape'": "newshape",
    "ValueError: Unknown variable: <Variable path=conv2d/kernel, shape=(3, 3, 1, 8), "
    "dtype=float32>. This optimizer can only be called for the variables it was originally built "
    "with.": "load_model(",
    "TypeError: stat: path should be string, bytes, os.PathLike or integer, not NoneType": "latest",
    "FileNotFoundError: [Errno 2] Unable to synchronously create file (unable to open file: name = "
    "'runs/1/w.weights.h5', errno = 2, error message = 'No such file or directory')": "made/model",
    f"{NO_MODULE} 'keras.engine'": "keras.engine",
    f"{NO_MODULE} 'keras.preprocessing.text'": "keras.preprocessing.text",
    "ImportError: cannot import name 'multi_gpu_model' from 'keras.utils' (/a/b.py)": "multi_gpu",
    "AttributeError: 'Sequential' object has no attribute 'predict_classes'": "predict_classes",
    "AttributeError: module 'keras.backend' has no attribute 'set_learning_phase'": "learning",
    "AttributeError: 'NumpyArrayIterator' object has no attribute 'next'": ".next()",
    f"{UNRECOGNIZED}BatchNormalization: {{'mode': 2}}": "mode=0",
    "AttributeError: 'KerasTensor' object has no attribute '_keras_shape'": "_keras_shape",
    "ImportError: cannot import name 'KerasRegressor' from 'keras.wrappers'": "scikit_learn",
    "ValueError: tuple arity mismatch; expected: 2, got: 1; tuple: ('accuracy',).": "two.compile(",
    "ValueError: When providing `x` as a generator, `y` should not be passed.": "batches(), 2, 1",
    "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?": "print 'done'",
    "NotImplementedError: Object Scale was created by passing non-serializable argument values in "
    "`__init__()`, and therefore the object must override `get_config()`": "override get_config",
    "ValueError: The filename must end in `.weights.h5`. Received: filepath=a.h5": "save_weights",
    "FileNotFoundError: [Errno 2] No such file or directory: 'training_1/cp.ckpt.index'": "A Ten",
    "ValueError: File format not supported: filepath=./run/cp-0003.ckpt. Keras 3 only supports V3 "
    "`.keras` files, `.weights.h5` files, legacy H5 format files (`.h5` extension), or Orbax "
    "checkpoints.": "A TensorFlow checkpoint",
    "ValueError: You must call `compile()` before using the model.": "# Compile model",
    "ValueError: Unrecognized data type: x=[[1. 1.]\n [1. 1.]] (of type <class 'numpy.ndarray'>)": (
        "model.predict([["
    ),
    "AttributeError: 'SGD' object has no attribute 'minimize'": "minimize(",
    "AttributeError: 'Conv2D' object has no attribute 'W'": ".W",
    "AttributeError: module 'tensorflow' has no attribute 'placeholder'": "tf.placeholder",
    "AttributeError: module 'tensorflow' has no attribute 'set_random_seed'": "tf.set_random_seed",
    "AttributeError: 'Scores' object has no attribute 'validation_data'": "validation_data",
    "AttributeError: 'dict' object has no attribute 'has_key'": "has_key",
    f"{NO_MODULE} 'keras_contrib'": "keras_contrib",
    f"{NO_MODULE} 'tensorflow.contrib'": "tensorflow.contrib",
    "ImportError: cannot import name 'imresize' from 'scipy.misc' (/a/b.py)": "scipy.misc",
    "ImportError: cannot import name 'WeightRegularizer' from 'keras.regularizers'": "WeightReg",
    "AttributeError: The layer sequential_7 has never been called and thus has no defined output."
    ". Did you mean: 'outputs'?": "Dense(1)]).input",
    "ValueError: Could not interpret activation function identifier: he_normal": "'uniform')",
    "ValueError: No such layer: conv2d_3. Existing layers are: ['a', 'b'].": "No such layer",
    "TypeError: Reshape.__init__() takes 2 positional arguments but 4 were given": "Reshape(2, 4)",
    f"TypeError: TensorFlowTrainer.test_on_batch() {UNEXPECTED} 'reset_metrics'": "reset_metrics",
    f"TypeError: Model.save_weights() {UNEXPECTED} 'save_format'": "save_weights() got",
    "ValueError: The `padding` argument must be a list/tuple or one of {'same', 'valid'}. "
    "Received: full": "Received: full",
    f"{UNRECOGNIZED}MaxPooling2D: {{'ignore_border': True}}": "Argument for argument",
    "TypeError: Unrecognized keyword arguments: {'test_split': 0.1}.": "test_split",
    "ValueError: ReduceLROnPlateau callback received monitor=val_f1, but Keras isn't able to "
    "automatically determine whether that metric should be maximized or minimized. Pass "
    "`mode='max'`": "automatically determine",
    "AttributeError: module 'keras.backend' has no attribute 'function'": "K.function(",
}


def headings(message: str) -> list[str]:
    """The headings of what is found."""
    return [entry.heading for entry in old_script.explain(message)]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_an_old_script_finds_its_row(message):
    found = headings(message)
    assert any(MESSAGES[message] in heading for heading in found), found


@pytest.mark.parametrize("old", [*RENAMED, "consume_less", "forget_bias_init", "dim_ordering"])
def test_every_old_argument_of_a_layer_finds_its_name_of_today(old):
    first, *_ = old_script.explain(f"{UNRECOGNIZED}Layer: {{'{old}': <object at 0x7f2>}}")
    assert f"`{old}" in first.text or f"{old}=" in first.text
    assert RENAMED.get(old, "") in " ".join(first.text.split())
