"""What runs and does something else today is said, with the line; and what arguments were."""

import pytest
from lines_that_change import becomes, notes, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = """
import keras
from keras.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from keras.datasets import imdb
from keras.layers import *
from keras.models import Sequential
from keras.optimizers import Adagrad, RMSprop, SGD
from keras.preprocessing.image import ImageDataGenerator
from keras.preprocessing.text import Tokenizer
model = Sequential()
model.fit(x, y, nb_epoch=1)
def dice(y_true, y_pred):
    return y_pred
def scaled(factor):
    def loss_of(y_true, y_pred):
        return y_pred
    return loss_of
model.compile('sgd', scaled(2), metrics=[dice, 'mae'])
"""
# A line of Keras 0, 1 or 2 -> (today's, a piece of what is said of it).
ARGUMENTS = {
    "Dense(3, 'glorot_uniform', 'relu')": (
        "Dense(3, kernel_initializer='glorot_uniform', activation='relu')",
        "",
    ),
    "Dense(3, 'relu')": ("Dense(3, 'relu')", ""),
    "Dense(3, 'uniform', 'relu', None)": ("Dense(3, 'uniform', 'relu', None)", "name these"),
    "Convolution1D(3, 4, 'he_normal')": ("Convolution1D(3, 4, kernel_initializer='he_normal')", ""),
    "Dense(784, 128, 'normal')": ("Dense(128, kernel_initializer='normal')", ""),
    "Dense(784, size)": ("Dense(784, size)", ""),
    "Convolution2D(32, 1, 3, 3)": ("Convolution2D(32, (3, 3))", "KERAS_BACKEND=jax"),
    "Reshape(1, 28, 28)": ("Reshape((1, 28, 28))", ""),
    "Permute(2, 1)": ("Permute((2, 1))", ""),
    "Reshape((1, 28))": ("Reshape((1, 28))", ""),
    "BatchNormalization(1e-5)": ("BatchNormalization(epsilon=1e-5)", ""),
    "BatchNormalization(1e-5, 0, 1)": ("BatchNormalization(epsilon=1e-5, axis=1)", ""),
    "BatchNormalization(1)": ("BatchNormalization(1)", ""),
    "MaxPooling2D((2, 2), ignore_border=True)": ("MaxPooling2D((2, 2))", ""),
    "SimpleRNN(3, forget_bias_init='one')": ("SimpleRNN(3)", ""),
    "SimpleRNN(3, forget_bias_init='zero')": ("SimpleRNN(3, unit_forget_bias=False)", ""),
    "SimpleRNN(3, forget_bias_init=f)": ("SimpleRNN(3, forget_bias_init=f)", "unit_forget_bias"),
    "Conv2D(3, (3, 3), border_mode='full')": ("Conv2D(3, (3, 3), padding='full')", "ZeroPadding2D"),
    "Tokenizer(nb_words=3)": ("Tokenizer(num_words=3)", ""),
    "Tokenizer(filters=base_filter())": ("Tokenizer()", ""),
    "ImageDataGenerator(dim_ordering='tf')": ("ImageDataGenerator(data_format='channels_last')", "")
    + (),
    "ImageDataGenerator(dim_ordering='th')": (
        "ImageDataGenerator(data_format='channels_first')",
        "KERAS_BACKEND=jax",
    ),
    "imdb.load_data(nb_words=3, test_split=0.2)": ("imdb.load_data(num_words=3)", "25,000"),
    "model.train_on_batch(x, y, reset_metrics=True)": ("model.train_on_batch(x, y)", ""),
    "model.train_on_batch(x, y, reset_metrics=False)": ("model.train_on_batch(x, y)", "own batch"),
    "model.save('m.h5', save_format='h5')": ("model.save('m.keras')", ""),
}


@pytest.mark.parametrize("line", ARGUMENTS)
def test_arguments_of_the_first_versions(line):
    new, said = ARGUMENTS[line]
    becomes(HEAD, line, new, said)


# A callback -> (today's, whether the reader has to know what was taken for the best).
DIRECTIONS = {
    "EarlyStopping('val_dice')": ("EarlyStopping('val_dice', mode='min')", True),
    "EarlyStopping('dice', mode='auto')": ("EarlyStopping('dice', mode='min')", True),
    "EarlyStopping('val_dice', 0, 3, 0, 'auto')": (
        "EarlyStopping('val_dice', 0, 3, 0, 'min')",
        True,
    ),
    "EarlyStopping('val_dice', mode='max')": ("EarlyStopping('val_dice', mode='max')", False),
    "ReduceLROnPlateau(monitor='val_dice')": (
        "ReduceLROnPlateau(monitor='val_dice', mode='min')",
        True,
    ),
    "ModelCheckpoint('a.keras', monitor='val_dice', save_best_only=True)": (
        "ModelCheckpoint('a.keras', monitor='val_dice', save_best_only=True, mode='min')",
        True,
    ),
    "ModelCheckpoint('a.keras', monitor='val_dice')": (
        "ModelCheckpoint('a.keras', monitor='val_dice')",
        False,
    ),
    "EarlyStopping('val_loss_of')": ("EarlyStopping('val_loss_of', mode='min')", False),
    "EarlyStopping('val_out_loss')": ("EarlyStopping('val_out_loss', mode='min')", False),
    "EarlyStopping('out_dice')": ("EarlyStopping('out_dice', mode='min')", True),
    "EarlyStopping('out_mae')": ("EarlyStopping('out_mae', mode='min')", False),
    "EarlyStopping('val_mae')": ("EarlyStopping('val_mae')", False),
    "EarlyStopping('val_loss')": ("EarlyStopping('val_loss')", False),
    "EarlyStopping('val_auc')": ("EarlyStopping('val_auc')", False),
}


@pytest.mark.parametrize("line", DIRECTIONS)
def test_which_values_were_the_better_ones(line):
    new, said = DIRECTIONS[line]
    result = becomes(HEAD, line, new)
    assert ("write mode='max'" in notes(result)) == said


def test_keras_knows_its_own_functions():
    text = "import keras\nmodel.compile('sgd', 'mse', metrics=[keras.losses.mean_squared_error])\n"
    text += "keras.callbacks.EarlyStopping('mean_squared_error')\n"
    assert not rewritten(text).changed


def test_a_script_of_today_is_given_the_mode_that_it_lacks():
    text = "from tensorflow import keras\ndef dice(y, p):\n    return p\n"
    text += "model.compile('sgd', 'mse', metrics=[dice])\n"
    becomes(
        text,
        "keras.callbacks.EarlyStopping('dice')",
        "keras.callbacks.EarlyStopping('dice', mode='min')",
    )


# A line that does something else today -> a piece of what is said; nothing where it does not.
OTHERWISE = {
    "LSTM(3)": "'hard_sigmoid' until Keras 2.2",
    "LSTM(3, inner_activation='sigmoid')": "",
    "LSTM(3, inner_activation='hard_sigmoid')": "0.2 * x + 0.5",
    "Activation('hard_sigmoid')": "0.2 * x + 0.5",
    "GRU(3)": "reset_after was False",
    "GRU(3, reset_after=False)": "'hard_sigmoid' until Keras 2.2",
    "ConvLSTM2D(3, (3, 3))": "'hard_sigmoid' in Keras 1 and 2",
    "CuDNNLSTM(3)": "",
    "SimpleRNN(3)": "",
    "Dense(3, activity_regularizer='l1')": "multiply its factor by batch_size",
    "Dense(3, kernel_regularizer='l1')": "",
    "RMSprop(lr=0.1)": "epsilon=1e-14",
    "RMSprop(lr=0.1, epsilon=1e-6)": "",
    "model.compile('rmsprop', 'mse')": "epsilon=1e-14",
    "model.compile('adam', 'mse')": "",
    "model.get_layer('dense_1')": "'dense' today",
    "model.get_layer(name='batch_normalization_12')": "'batch_normalization_11' today",
    "model.get_layer('block1_conv1')": "",
    "Dense(3, name='dense_1'); model.get_layer('dense_1')": "",
    "EarlyStopping('val_dense_2_loss', mode='min')": "the same layer is 'dense_1' today",
    "ModelCheckpoint('a.keras', 'dense_1_acc', mode='max')": "the same layer is 'dense' today",
    "EarlyStopping('val_age_2_loss', mode='min')": "",
    "Dense(3, name='dense_2'); EarlyStopping('val_dense_2_loss', mode='min')": "",
    "BatchNormalization()": "",
    "BatchNormalization(); layer.trainable = False": "averages that it has stored",
    "Dense(3); model.compile('sgd', 'binary_crossentropy', ['acc'])": "binary_accuracy",
    "Dense(1); model.compile('sgd', 'binary_crossentropy', ['acc'])": "",
    "Dense(3); model.compile('sgd', 'binary_crossentropy', ['mae'])": "",
    "Dense(3); model.compile('sgd', 'categorical_crossentropy', ['acc'])": "",
}
BARE = HEAD.partition("def dice")[0]


def said_of(text: str, line: int) -> str:
    """What is said of what a line does today."""
    return "\n".join(one.text for one in rewritten(text).findings.silent if one.line == line)


@pytest.mark.parametrize("line", OTHERWISE)
def test_what_a_line_does_today_is_said(line):
    said = said_of(f"{BARE}{line}\n", BARE.count("\n") + 1)
    assert OTHERWISE[line] in said and bool(said) == bool(OTHERWISE[line])


@pytest.mark.parametrize("line", OTHERWISE)
def test_a_script_of_today_is_told_nothing_of_it(line):
    text = BARE.replace("nb_epoch", "epochs").replace("Tokenizer\n", "pad_sequences\n")
    text = text.replace("preprocessing.text import", "preprocessing.sequence import")
    text = text.replace("image import ImageDataGenerator", "image import load_img")
    text = text.replace("inner_", "recurrent_") + "from keras import ops\n"
    text += line.replace("inner_", "recurrent_").replace("lr=", "learning_rate=")
    if "CuDNN" not in text and "['acc']" not in text:
        result = rewritten(f"{text}\n")
        assert not result.changed and not notes(result)


OF_TENSORFLOW = ["LSTM(3)", "GRU(3)", "Dense(3, activity_regularizer='l1')"]
OF_TENSORFLOW += ["model.get_layer('dense_1')", "BatchNormalization(); layer.trainable = False"]


@pytest.mark.parametrize("line", OF_TENSORFLOW)
def test_the_keras_of_tensorflow_2_did_it_as_today(line):
    text = BARE.replace("from keras", "from tensorflow.keras").replace("import keras\n", "")
    assert not said_of(f"{text}{line}\n", text.count("\n") + 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [("Dense(3, init='one')", True), ("Dense(units=3)", False), ("keras.ops.abs(x)", False)],
)
def test_a_fit_without_epochs(more, said):
    text = f"{BARE}{more}\nmodel.fit(x, y, batch_size=2)\nmodel.fit(x, y, 2, 5)\n"
    assert ("Keras 1 trained 10" in notes(rewritten(text))) == said


OPTIMIZERS = {
    "SGD(lr=0.1, clipnorm=1.0)": "SGD(learning_rate=0.1, global_clipnorm=1.0)",
    "Adagrad(0.1)": "Adagrad(0.1, initial_accumulator_value=0.0, epsilon=1e-14)",
    "model.compile('adagrad', 'mse')": "model.compile(keras.optimizers.Adagrad(learning_rate=0.01, "
    "initial_accumulator_value=0.0, epsilon=1e-14), 'mse')",
}


@pytest.mark.parametrize("line", OPTIMIZERS)
def test_what_an_optimizer_computed_is_kept(line):
    becomes(BARE, line, OPTIMIZERS[line], "")
    text = BARE.replace("from keras", "from tensorflow.keras").replace("import keras\n", "")
    if "compile" not in line:
        becomes(text, line, line.replace("lr=", "learning_rate="), "")
