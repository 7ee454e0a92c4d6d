"""Names that are gone: layers, attributes, and words in dictionaries of arguments."""

from typing import ClassVar

import libcst as cst

from .. import homes
from ..literals import is_dictionary, literal
from ..names import dotted, of_keras
from ..origins import is_model
from .base import CallRule, ExpressionRule
from .layers import RENAMED
from .wrapped import grids

GONE_ATTRIBUTES = {
    "uses_learning_phase": "call the model with training=True or False",
    "total_loss": "train with fit or train_on_batch, or take keras.losses",
    "targets": "pass the targets to fit",
    "inbound_nodes": "ask layer.input and layer.output",
    "output_layers": "ask model.outputs",
}


class StarredLayers(CallRule):
    """Call a layer by its name of today where `import *` brought the old one.

    Before:
        from keras.layers import *
        layer = Deconvolution2D(3, 2, 2, border_mode='same')
    After:
        from keras.layers import *
        from keras.layers import Conv2DTranspose
        layer = Conv2DTranspose(3, (2, 2), padding='same')
    """

    functions = ("keras.layers.", "keras.optimizers.")

    def change(self, call):
        script, func = call.script, call.original.func
        if not isinstance(func, cst.Name) or script.binder(func) is not None:
            return
        module, _, name = call.full.rpartition(".")
        if (module, name) in homes.GONE:
            script.undecided(call.original, f"{name}: {homes.GONE[module, name]}")
        elif name != func.value:
            call.func = cst.parse_expression(script.need(module, name))
            call.change(f"{func.value}(", f"{name}(", "its name in Keras 3")


class GoneNames(ExpressionRule):
    """Tell of a name that is gone where it is spelt with its module.

    Before:
        from keras import layers
        make = lambda: layers.LocallyConnected1D(3, 2)
        model.fit(x, y, nb_epoch=1)
    After:
        from keras import layers
        make = lambda: layers.LocallyConnected1D(3, 2)
        model.fit(x, y, epochs=1)
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        module, _, name = of_keras(script.names.raw(original)).rpartition(".")
        home = homes.new_home(module, name) if module.startswith("keras") else None
        inner = original in script.facts.inner
        if home in homes.GONE and home not in homes.CALLED and not inner:
            script.undecided(original, f"{name}: {homes.GONE[home]}", always=True)


class Attributes(ExpressionRule):
    """Ask a layer for its output as today, and leave out what only TensorFlow 1 needed.

    Before:
        model._make_predict_function()
        last = model.layers[0].get_output_at(0)
    After:
        last = model.layers[0].output
    """

    nodes = ("Call", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            name = original.attr.value
            of_model = dotted(original.value) in script.facts.models
            if name in GONE_ATTRIBUTES and of_model and original not in script.facts.targets:
                said = f"{name} is gone: {GONE_ATTRIBUTES[name]}"
                script.undecided(original, said, always=name == "uses_learning_phase")
            if name in ("inputs", "outputs") and of_model and original in script.facts.targets:
                said = "Keras 3 cannot set it: build keras.Model(inputs, outputs)"
                script.undecided(original, f"{script.code(original)}: {said}", always=True)
            return None
        if not isinstance(original.func, cst.Attribute):
            return None
        name = original.func.attr.value
        if name in ("_make_predict_function", "_make_train_function", "_make_test_function"):
            script.change(original, f"{name}()", "", "Keras 3 makes it when it is needed")
            return cst.Name("None")
        if name not in ("get_output_at", "get_input_at") or len(original.args) != 1:
            return None
        new = name[len("get_") : -len("_at")]
        if script.code(original.args[0]) != "0":
            script.undecided(original, f"{name}: Keras 3 has the first one, .{new}")
            return None
        script.change(original, f"{name}(0)", new, "layers know one output")
        return cst.Attribute(updated.func.value, cst.Name(new))


def _why(word):
    to_function = "model__" in word
    return "SciKeras gives it to your function" if to_function else "its name in Keras 3"


class SpreadWords(ExpressionRule):
    """Rename a word in a dictionary of arguments.

    Before:
        plan = dict(nb_epoch=1, verbose=0)
        model.fit(x, y, **plan)
        model.fit(x, y, **{'nb_epoch': 1})
    After:
        plan = dict(epochs=1, verbose=0)
        model.fit(x, y, **plan)
        model.fit(x, y, **{'epochs': 1})
    """

    nodes = ("Call", "Dict", "Subscript")
    of_fit: ClassVar = {"nb_epoch": "epochs"}
    of_optimizer: ClassVar = {"lr": "learning_rate"}

    def expression(self, original, updated, script):
        if script.spread is None:
            script.spread = self._spread(script)
        words = script.spread.get(original)
        if not words:
            return None
        if isinstance(original, cst.Call):
            args = [self._keyword(a, words, original, script) for a in updated.args]
            return updated.with_changes(args=args)
        if isinstance(original, cst.Subscript):
            return self._subscript(original, updated, words, script)
        return updated.with_changes(
            elements=[self._element(e, words, original, script) for e in updated.elements]
        )

    def _subscript(self, original, updated, words, script):
        key = getattr(original.slice[0].slice, "value", None)
        made = self._text(key, words, original, script)
        if made is None:
            return None
        return updated.with_changes(slice=[cst.SubscriptElement(cst.Index(made))])

    def _keyword(self, arg, words, place, script):
        new = words.get(arg.keyword.value) if arg.keyword is not None else None
        if new is None:
            return arg
        script.change(place, f"{arg.keyword.value}=", f"{new}=", _why(new))
        return arg.with_changes(keyword=cst.Name(new))

    def _element(self, element, words, place, script):
        made = self._text(getattr(element, "key", None), words, place, script)
        return element if made is None else element.with_changes(key=made)

    def _text(self, key, words, place, script):
        """A text that is a word, with its new name; None for anything else."""
        new = words.get(literal(key) or "")
        if new is None or not isinstance(key, cst.SimpleString):
            return None
        made = key.with_changes(value=key.value.replace(literal(key), new))
        script.change(place, key.value, made.value, _why(new))
        return made

    def _spread(self, script):
        """Dictionary -> the words to rename, for what `**` passes to Keras and nothing else."""
        found = {}
        for call in script.facts.calls:
            for arg in call.args:
                if arg.star != "**":
                    continue
                words = self._words(script, call)
                given = [arg.value, *script.facts.flow.values(arg.value)]
                for one in given:
                    if words and is_dictionary(one):
                        found[one] = words
        return found | grids(script)

    def _words(self, script, call):
        full = script.names.full(call.func)
        if full.startswith("keras.optimizers."):
            return self.of_optimizer
        if full.startswith("keras.layers."):
            return RENAMED
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in (
            "fit",
            "fit_generator",
        ):
            return self.of_fit if is_model(script, call.func.value, "fit") else None
        return None


class OldWords(CallRule):
    """Give the arguments of functions their names of today.

    Before:
        from keras.constraints import maxnorm
        from keras.utils import np_utils
        labels = np_utils.to_categorical([0, 1], nb_classes=2)
        limit = maxnorm(m=3)
    After:
        from keras.constraints import max_norm as maxnorm
        from keras import utils as np_utils
        labels = np_utils.to_categorical([0, 1], num_classes=2)
        limit = maxnorm(max_value=3)
    """

    functions = (
        "keras.utils.to_categorical",
        "keras.constraints.max_norm",
        "keras.datasets.imdb.load_data",
        "keras.datasets.reuters.load_data",
        "keras.preprocessing.text.Tokenizer",
        "scikeras.wrappers.KerasClassifier",
        "scikeras.wrappers.KerasRegressor",
    )
    words: ClassVar = {
        "nb_classes": "num_classes",
        "m": "max_value",
        "nb_words": "num_words",
        "nb_epoch": "epochs",
        "build_fn": "model",
    }

    def change(self, call):
        for old, new in self.words.items():
            call.rename(old, new, "its name today")
