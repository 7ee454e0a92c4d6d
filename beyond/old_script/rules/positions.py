"""Arguments by their place, as the first versions took them, and arguments that are gone."""

from typing import ClassVar

import libcst as cst

from ..literals import literal
from ..names import dotted
from ..words import words
from .base import CallRule
from .generators import of_a_model

INITIALIZERS = set(
    words(
        "uniform normal zero zeros one ones identity orthogonal lecun_uniform lecun_normal "
        "glorot_uniform glorot_normal he_uniform he_normal"
    )
)
RECURRENT = ["units", "kernel_initializer", "recurrent_initializer"]
# The order of the arguments in Keras 1, where it had an initializer before the rest.
ORDER = {
    "keras.layers.Dense": ["units", "kernel_initializer", "activation"],
    "keras.layers.LSTM": RECURRENT,
    "keras.layers.GRU": RECURRENT,
    "keras.layers.SimpleRNN": RECURRENT,
    "keras.layers.Conv1D": ["filters", "kernel_size", "kernel_initializer", "activation"],
    "keras.layers.Convolution1D": ["filters", "kernel_size", "kernel_initializer", "activation"],
}
CONV_2D = ("keras.layers.Conv2D", "keras.layers.Convolution2D")
LISTED = ("keras.layers.Reshape", "keras.layers.Permute")
NORMALIZATION = "keras.layers.BatchNormalization"
CHANNELS_FIRST = (
    "channels_first: TensorFlow on a processor has no such convolution; put the channels last, or "
    "run the script with KERAS_BACKEND=jax"
)


class InputSizeFirst(CallRule):
    """Leave out the size of the input, which stood first before Keras 0.3.

    Before:
        from keras.layers import Dense, Reshape
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(8, 6, init='uniform'))
        model.add(Reshape(2, 3))
    After:
        from keras.layers import Dense, Reshape
        from keras.models import Sequential
        from keras import Input
        model = Sequential()
        model.add(Input((8,)))
        model.add(Dense(6, kernel_initializer='uniform'))
        model.add(Reshape((2, 3)))
    """

    functions = ("keras.layers.Dense", *(f"keras.layers.{name}" for name in ("LSTM", "GRU"))) + (
        *CONV_2D,
        *LISTED,
    )

    def change(self, call):
        sizes = [arg for arg in call.positional if isinstance(arg.value, cst.Integer)]
        if call.full in LISTED:
            if len(sizes) == len(call.positional) > 1 and not call.starred:
                self._listed(call, sizes)
            return
        if call.full in CONV_2D:
            if len(sizes) == 4 == len(call.positional):
                size = call.code(sizes[1].value)
                call.remove(sizes[1])
                call.change(f"{size} (channels)", "", "Keras takes the channels of its input")
                call.script.undecided(call.original, CHANNELS_FIRST)
            return
        if len(sizes) != 2 or len(call.positional) < 2 or call.positional[1] is not sizes[1]:
            return
        size = call.code(sizes[0].value)
        call.remove(sizes[0])
        if call.original in call.script.facts.first_layers:
            call.put("input_dim", size)
        call.change(f"{size} (size of the input)", "", "the size of the output stands first")

    def _listed(self, call, sizes):
        made = f"({', '.join(call.code(arg.value) for arg in sizes)})"
        old = call.code(call.original)
        call.put_positional(0, made)
        for arg in sizes[1:]:
            call.remove(arg)
        call.change(old, call.code(call.build()), "one argument since Keras 1")


class InitializerByPlace(CallRule):
    """Name the initializer, which Keras 1 took before the activation.

    Before:
        from keras.layers import BatchNormalization, Dense, LSTM
        layers = [Dense(4, 'uniform', 'relu'), LSTM(4, 'glorot_uniform')]
        norm = BatchNormalization(1e-5)
    After:
        from keras.layers import BatchNormalization, Dense, LSTM
        layers = [Dense(4, kernel_initializer='uniform', activation='relu'), LSTM(4, kernel_initializer='glorot_uniform')]
        norm = BatchNormalization(epsilon=1e-5)
    """  # noqa: E501

    functions = (*ORDER, NORMALIZATION)
    of_normalization: ClassVar = ["epsilon", "mode", "axis", "momentum"]

    def change(self, call):
        given = call.positional
        if call.full == NORMALIZATION:
            if not given or not isinstance(given[0].value, cst.Float):
                return
            names, at, why = self.of_normalization, 0, "the first argument is the axis now"
        else:
            names = ORDER[call.full]
            at = names.index("kernel_initializer")
            if len(given) <= at or literal(given[at].value) not in INITIALIZERS:
                return
            why = f"argument {at + 1} is {'strides' if at == 2 else 'the activation'} now"
        if len(given) > len(names):
            names_given = ", ".join(call.code(arg.value) for arg in given)
            call.script.undecided(call.original, f"({names_given}): name these arguments: {why}")
            return
        old = ", ".join(call.code(arg.value) for arg in given[at:])
        call.name_positional(names, at)
        new = ", ".join(call.code(arg) for arg in call.args[at : len(given)])
        call.change(old, new.replace(",,", ","), why)


class GoneArguments(CallRule):
    """Leave out arguments that only the first versions had.

    Before:
        from keras.layers import LSTM, MaxPooling2D
        layers = [LSTM(4, forget_bias_init='one'), MaxPooling2D((2, 2), ignore_border=True)]
        model.train_on_batch(x, y, reset_metrics=True)
        model.save('net', save_format='tf')
    After:
        from keras.layers import LSTM, MaxPooling2D
        layers = [LSTM(4), MaxPooling2D((2, 2))]
        model.train_on_batch(x, y)
        model.save('net.keras')
    """

    functions = ("keras.layers.", "keras.datasets.imdb.load_data", "keras.models.save_model") + (
        "keras.preprocessing.text.Tokenizer",
        "keras.preprocessing.text.text_to_word_sequence",
    )
    methods = ("train_on_batch", "test_on_batch", "save", "save_weights")

    def change(self, call):
        if call.method in ("train_on_batch", "test_on_batch"):
            if call.keyword("reset_metrics") is not None and of_a_model(call):
                self._metrics(call)
        elif call.method in ("save", "save_weights") or call.full == "keras.models.save_model":
            if call.full == "keras.models.save_model" or of_a_model(call):
                call.drop("save_format", "the ending of the name says it")
        elif call.full.startswith("keras.preprocessing.text."):
            if dotted(getattr(call.keyword("filters"), "func", None)).endswith("base_filter"):
                call.drop("filters", "the default")
        elif call.full == "keras.datasets.imdb.load_data":
            if call.drop("test_split", "Keras 3 has no such argument") is not None:
                said = "test_split is left out: today both parts have 25,000 texts"
                call.script.silent(call.original, said)
        else:
            self._of_a_layer(call)

    def _metrics(self, call):
        value = call.code(call.keyword("reset_metrics"))
        call.drop("reset_metrics", "each call begins anew")
        if value != "True":
            said = "reset_metrics is left out: each call returns the values of its own batch"
            call.script.silent(call.original, said)

    def _of_a_layer(self, call):
        call.drop("ignore_border", "padding='valid' is the default")
        bias = literal(call.keyword("forget_bias_init"))
        if bias in ("one", "ones"):
            call.drop("forget_bias_init", "unit_forget_bias=True is the default")
        elif bias in ("zero", "zeros"):
            call.rename(
                "forget_bias_init", "unit_forget_bias", "its name since Keras 2", made="False"
            )
        elif call.keyword("forget_bias_init") is not None:
            said = "forget_bias_init: write unit_forget_bias=True or False"
            call.script.undecided(call.original, said)
        for word in ("border_mode", "padding"):
            if literal(call.keyword(word)) == "full":
                said = f"{word}='full': only Theano had it; add a ZeroPadding2D layer before it, "
                said += "with one less than the kernel has on each side, and write padding='valid'"
                call.script.undecided(call.original, said, always=True)


def order_of_dimensions(call) -> None:
    """Give `dim_ordering` its name and its values since Keras 2."""
    value = call.keyword("dim_ordering")
    if value is None:
        return
    new = {"th": "'channels_first'", "tf": "'channels_last'"}.get(literal(value))
    if literal(value) == "default":
        call.drop("dim_ordering", "the default")
        return
    old = call.code(value)
    call.rename("dim_ordering", "data_format", "its name since Keras 2")
    if new:
        call.put("data_format", new)
        if literal(value) == "th":
            call.script.undecided(call.original, CHANNELS_FIRST)
    else:
        call.script.undecided(
            call.original,
            f"data_format={old}: write 'channels_first' for 'th', 'channels_last' for 'tf'",
        )


class OrderOfImages(CallRule):
    """Tell `ImageDataGenerator` where the channels are, by today's name.

    Before:
        from keras.preprocessing.image import ImageDataGenerator
        source = ImageDataGenerator(dim_ordering='tf')
    After:
        from tensorflow.keras.preprocessing.image import ImageDataGenerator
        source = ImageDataGenerator(data_format='channels_last')
    """

    functions = ("keras.preprocessing.image.ImageDataGenerator",)

    def change(self, call):
        order_of_dimensions(call)
