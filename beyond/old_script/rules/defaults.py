"""What Keras computes in another way today though the line runs: it is said, with what keeps it."""

import re

from ..calls import argument
from ..classes import MONITORS
from ..freezing import may_be_frozen
from ..literals import literal, texts_in
from ..names import dotted
from .base import CallRule
from .generators import of_a_model

GATED = ("keras.layers.LSTM", "keras.layers.GRU", "keras.layers.ConvLSTM2D")
NORMALIZED = ("ResNet", "Inception", "Xception", "MobileNet", "DenseNet", "NASNet")
OPTIMIZERS = tuple(
    f"keras.optimizers.{name}"
    for name in ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam")
)
LAYERS_WITH_SIZE = re.compile(r"keras\.layers\.(?:Dense|Conv\w*|Convolution\w*|SeparableConv\w*)$")
# Names that Keras gives: the class and a number.
COUNTED = re.compile(
    r"(dense|dropout|activation|flatten|reshape|lambda|embedding|lstm|gru|simple_?rnn|bidirectional"
    r"|time_?distributed|input|conv\d?d(?:_transpose)?|convolution\dd|separable_conv2d"
    r"|(?:global_)?(?:max|average)_?pooling\dd|batch_?normalization|concatenate|add|merge|model"
    r"|sequential)_(\d+)"
)


def of_tensorflow(call) -> bool:
    """Whether a call reaches Keras by way of TensorFlow, whose Keras was another one."""
    return call.script.names.raw(call.original.func).startswith("tensorflow")


class Gates(CallRule):
    """Tell of gates that open in another way.

    Before:
        from keras.layers import Activation, GRU, LSTM
        layers = [LSTM(4), GRU(4), Activation('hard_sigmoid')]
        model.fit(x, y, nb_epoch=1)
    After:
        from keras.layers import Activation, GRU, LSTM
        layers = [LSTM(4), GRU(4), Activation('hard_sigmoid')]
        model.fit(x, y, epochs=1)
    """

    functions = ("keras.layers.",)

    def change(self, call):
        script = call.script
        if script.facts.keras_3:
            return
        if any(literal(arg.value) == "hard_sigmoid" for arg in call.original.args):
            said = "'hard_sigmoid' is x / 6 + 0.5 today and was 0.2 * x + 0.5: to keep it, for old "
            said += "weights above all, pass old_checkpoint.hard_sigmoid"
            script.silent(call.original, said, of_change=True)
            return
        if call.full not in GATED or call.starred or "CuDNN" in dotted(call.original.func):
            return
        if {"recurrent_activation", "inner_activation"} & self._words(call):
            return
        name = call.full.rpartition(".")[2]
        if name == "ConvLSTM2D":
            said = "'hard_sigmoid' in Keras 1 and 2"
        elif of_tensorflow(call):
            return
        else:
            said = "'hard_sigmoid' until Keras 2.2"
        said = f"{name}: recurrent_activation was {said}, and is 'sigmoid' today"
        if name == "GRU" and "reset_after" not in self._words(call):
            said += "; reset_after was False until Keras 2.3, and is True"
        said += ". A new training needs nothing; old weights need "
        said += "recurrent_activation=old_checkpoint.hard_sigmoid"
        if "reset_after was" in said:
            said += " and reset_after=False"
        script.silent(call.original, said, of_change=True)

    def _words(self, call):
        return {arg.keyword.value for arg in call.original.args if arg.keyword is not None}


class Formulas(CallRule):
    """Keep what an optimizer computed.

    Before:
        from keras.optimizers import Adagrad, SGD
        optimizers = [Adagrad(lr=0.01), SGD(lr=0.1, clipnorm=1.0)]
    After:
        from keras.optimizers import Adagrad, SGD
        optimizers = [Adagrad(learning_rate=0.01, initial_accumulator_value=0.0, epsilon=1e-14), SGD(learning_rate=0.1, global_clipnorm=1.0)]
    """  # noqa: E501

    functions = OPTIMIZERS
    methods = ("compile",)
    root = (
        "RMSprop: its epsilon stands under a root today, so weights with a gradient below 0.0003 "
        "move less; keras.optimizers.RMSprop(epsilon=1e-14) computes what Keras 1 and 2 did"
    )

    def change(self, call):
        script = call.script
        if script.facts.keras_3:
            return
        if call.method == "compile" and not call.full.startswith("keras.optimizers."):
            if literal(call.value("optimizer", 0)) in ("rmsprop", "RMSprop") and of_a_model(call):
                script.silent(call.original, self.root, of_change=True)
            return
        if call.full.endswith("RMSprop") and call.value("epsilon", 3) is None:
            script.silent(call.original, self.root, of_change=True)
        if of_tensorflow(call) or call.starred:
            return
        why = "until Keras 2.3 it limited all gradients together"
        call.rename("clipnorm", "global_clipnorm", why, certain=False)
        if call.full.endswith("Adagrad") and call.keyword("initial_accumulator_value") is None:
            call.put("initial_accumulator_value", "0.0")
            new = "initial_accumulator_value=0.0"
            if call.value("epsilon", 2) is None:
                call.put("epsilon", "1e-14")
                new += ", epsilon=1e-14"
            why = "until Keras 2.3 it began at 0, with 1e-7 outside of the root"
            call.change("Adagrad(…)", new, why, certain=False)


class Epochs(CallRule):
    """Tell of a training whose number of epochs is not given.

    Before:
        from keras.layers import Dense
        layer = Dense(4, init='uniform')
        model.fit(x, y, batch_size=2)
    After:
        from keras.layers import Dense
        layer = Dense(4, kernel_initializer='uniform')
        model.fit(x, y, batch_size=2)
    """

    methods = ("fit",)

    def change(self, call):
        facts = call.script.facts
        if not facts.keras_1 or facts.keras_2 or facts.keras_3 or call.starred:
            return
        given = call.keyword("epochs") or call.keyword("nb_epoch")
        if given is None and len(call.positional) in (2, 3) and of_a_model(call):
            said = "fit without a number of epochs: Keras 1 trained 10, Keras 2 and 3 train 1"
            call.script.silent(call.original, said, of_change=True)


class SeveralLabels(CallRule):
    """Tell of an accuracy that was counted for each label, and is that of the best one today.

    Before:
        from keras.layers import Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(3, activation='sigmoid', init='uniform'))
        model.compile('sgd', 'binary_crossentropy', metrics=['accuracy'])
    After:
        from keras.layers import Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(3, activation='sigmoid', kernel_initializer='uniform'))
        model.compile('sgd', 'binary_crossentropy', metrics=['accuracy'])
    """

    methods = ("compile",)

    def change(self, call):
        script = call.script
        if script.facts.keras_3 or literal(call.value("loss", 1)) != "binary_crossentropy":
            return
        metrics = call.value("metrics", 2)
        if not texts_in(metrics) & {"acc", "accuracy"} or not of_a_model(call):
            return
        sizes = [
            arg.value
            for one in script.facts.calls
            if LAYERS_WITH_SIZE.match(script.names.full(one.func))
            for arg in one.args[:1]
        ]
        if not sizes or any(script.code(size) == "1" for size in sizes):
            return
        said = "with more than one output, Keras before 2.4 counted each label for this accuracy; "
        said += "today it asks whether the largest output is the right one: write "
        said += "metrics=['binary_accuracy'] to keep it"
        script.silent(call.original, said, of_change=True)


class ActivityRegularizers(CallRule):
    """Tell of a penalty on outputs that is divided by the rows of a batch today.

    Before:
        from keras.layers import Dense
        layer = Dense(4, init='uniform', activity_regularizer='l1')
    After:
        from keras.layers import Dense
        layer = Dense(4, kernel_initializer='uniform', activity_regularizer='l1')
    """

    functions = ("keras.layers.",)

    def change(self, call):
        given = call.keyword("activity_regularizer")
        if given is None or call.code(given) == "None" or of_tensorflow(call):
            return
        said = "activity_regularizer: until Keras 2.3 it was the sum over a batch, today that is "
        said += "divided by the rows of the batch: multiply its factor by batch_size to keep it"
        call.script.silent(call.original, said, of_change=True)


class FrozenNormalization(CallRule):
    """Tell of frozen layers of `BatchNormalization`, which keep still today.

    Before:
        from keras.applications.resnet50 import ResNet50
        make = lambda: ResNet50(weights='imagenet')
        for layer in model.layers:
            layer.trainable = False
        model.fit(x, y, nb_epoch=1)
    After:
        from keras.applications.resnet50 import ResNet50
        make = lambda: ResNet50(weights='imagenet')
        for layer in model.layers:
            layer.trainable = False
        model.fit(x, y, epochs=1)
    """

    functions = ("keras.applications.", "keras.layers.BatchNormalization")

    def change(self, call):
        script = call.script
        network = call.full.rpartition(".")[2]
        normalized = call.full.startswith("keras.layers.") or network.startswith(NORMALIZED)
        if not normalized or of_tensorflow(call) or not may_be_frozen(script, call.original):
            return
        said = "a frozen BatchNormalization computes with the averages that it has stored; until "
        said += "Keras 2.3 it went on to use those of each batch in training"
        script.silent(call.original, said, of_change=True)


class CountedNames(CallRule):
    """Tell of layers that are asked for by a name that Keras counted.

    Before:
        from keras.layers import Dense
        from keras.models import Sequential
        model = Sequential()
        model.add(Dense(3, init='uniform', input_dim=8))
        model.add(Dense(3))
        layer = model.get_layer('dense_1') if len(model.layers) > 2 else None
    After:
        from keras.layers import Dense
        from keras.models import Sequential
        from keras import Input
        model = Sequential()
        model.add(Input((8,)))
        model.add(Dense(3, kernel_initializer='uniform'))
        model.add(Dense(3))
        layer = model.get_layer('dense_1') if len(model.layers) > 2 else None
    """

    methods = ("get_layer",)

    def change(self, call):
        said = counted(call.script, literal(call.value("name", 0)))
        if said is not None:
            call.script.silent(call.original, said, of_change=True)


class CountedQuantities(CallRule):
    """Tell of a quantity of one output that has a name which Keras counted.

    Before:
        from keras.callbacks import EarlyStopping
        stop = EarlyStopping('val_dense_2_loss', mode='min')
        model.fit(x, y, nb_epoch=1)
    After:
        from keras.callbacks import EarlyStopping
        stop = EarlyStopping('val_dense_2_loss', mode='min')
        model.fit(x, y, epochs=1)
    """

    functions = tuple(MONITORS)

    def change(self, call):
        text = literal(argument(call.original, "monitor", MONITORS[call.full])) or ""
        found = re.match(rf"(?:val_)?({COUNTED.pattern})_\D", text)
        said = counted(call.script, found[1]) if found else None
        if said is not None:
            call.script.silent(call.original, f"{text!r}: {said}", of_change=True)


def counted(script, name: str | None) -> str | None:
    """What is to be said of a layer's name that Keras counted; None if nothing is.

    Arguments:
        script: The script.
        name: Such as `dense_2`.
    """
    found = COUNTED.fullmatch(name or "")
    if found is None or script.facts.keras_3 or script.uses_tensorflow_keras:
        return None
    if name in _given(script):
        return None
    base, number = found[1], int(found[2])
    today = base if number == 1 else f"{base}_{number - 1}"
    said = f"{name!r} was number {number} of its kind until Keras 2.3; the same layer is "
    said += f"{today!r} today: write that, or give the layer a name (a model from a file keeps "
    return said + "its names)"


def _given(script):
    """The names that the script gives its layers."""
    layers = [
        one for one in script.facts.calls if script.names.full(one.func).startswith("keras.layers.")
    ]
    words = (arg for one in layers for arg in one.args if arg.keyword is not None)
    return {literal(arg.value) for arg in words if arg.keyword.value == "name"}
