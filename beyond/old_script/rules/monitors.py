"""Callbacks, and the names of what they watch."""

import re

import libcst as cst

from ..facts import literal
from ..names import dotted
from ..quantities import today
from .base import CallRule, ExpressionRule

MONITORING = ("ModelCheckpoint", "EarlyStopping", "ReduceLROnPlateau")
LIKE_A_HISTORY = re.compile(r"(hist|history|logs?|results?|scores?|h|hist_\w*)$", re.IGNORECASE)
DROPPED = {
    "keras.callbacks.TensorBoard": ("batch_size", "write_grads", "embeddings_layer_names")
    + ("embeddings_data",),
}
PERIODIC = '''class PeriodicCheckpoint({base}):
    """`ModelCheckpoint` with the `period` of Keras 1 and 2: it counts epochs."""

    def __init__(self, *arguments, period=1, **options):
        super().__init__(*arguments, **options)
        self.period, self.waited = period, 0

    def on_epoch_end(self, epoch, logs=None):
        self.waited += 1
        if self.waited >= self.period:
            self.waited = 0
            super().on_epoch_end(epoch, logs)
'''


class Callbacks(CallRule):
    """Watch a quantity by its name of today.

    Before:
        from keras.callbacks import EarlyStopping, ReduceLROnPlateau
        model.compile('sgd', 'mse', metrics=['accuracy'])
        stop = EarlyStopping(monitor='val_acc', patience=2)
        slower = ReduceLROnPlateau('val_loss', epsilon=0.01)
    After:
        from keras.callbacks import EarlyStopping, ReduceLROnPlateau
        model.compile('sgd', 'mse', metrics=['accuracy'])
        stop = EarlyStopping(monitor='val_accuracy', patience=2)
        slower = ReduceLROnPlateau('val_loss', min_delta=0.01)
    """

    functions = tuple(f"keras.callbacks.{name}" for name in (*MONITORING, "TensorBoard"))

    def change(self, call):
        if call.full.endswith("ReduceLROnPlateau"):
            call.rename("epsilon", "min_delta", "its name since Keras 2.2; today it is ignored")
        for name in DROPPED.get(call.full, ()):
            call.drop(name, "Keras 3 has no such argument")
        if call.full.endswith("TensorBoard"):
            call.script.undecided(call.original, "TensorBoard: run pip install tensorboard")
        value = call.value("monitor", 1 if call.full.endswith("ModelCheckpoint") else 0)
        old, new = literal(value), today(literal(value), call.script)
        if new and isinstance(value, cst.SimpleString):
            made = value.with_changes(value=value.value.replace(old, new))
            self._put(call, value, made)
            call.change(
                f"monitor={value.value}",
                f"monitor={made.value}",
                "its name since Keras 2.3",
                certain=call.script.accuracy is not None,
            )
        watched = new or old
        if (
            call.full.endswith("ModelCheckpoint")
            and call.keyword("save_best_only") is not None
            and call.code(call.keyword("save_best_only")) == "True"
            and (watched or "val_loss").startswith("val_")
            and call.script.facts.fits
            and not call.script.facts.validates
        ):
            call.script.silent(
                call.original,
                f"no fit of this script has validation data, so no {watched or 'val_loss'}: "
                "today every epoch is saved as the best",
            )

    def _put(self, call, old, new):
        call.args = [a.with_changes(value=new) if a.value is old else a for a in call.args]


class Period(CallRule):
    """Save every few epochs.

    Before:
        from keras.callbacks import ModelCheckpoint
        saving = ModelCheckpoint('{epoch:02d}.hdf5', period=2)
        model.fit(x, y, nb_epoch=4, callbacks=[saving])
    After:
        from keras.callbacks import ModelCheckpoint
        class PeriodicCheckpoint(ModelCheckpoint):
            ...
        saving = PeriodicCheckpoint('{epoch:02d}.keras', period=2)
        model.fit(x, y, epochs=4, callbacks=[saving])
    """

    functions = ("keras.callbacks.ModelCheckpoint",)

    def change(self, call):
        period = call.keyword("period")
        if period is None:
            return
        if call.code(period) == "1":
            call.drop("period", "every epoch is the default")
            return
        base = call.script.need("keras.callbacks", "ModelCheckpoint")
        call.script.define("PeriodicCheckpoint", PERIODIC.format(base=base))
        call.func = cst.Name("PeriodicCheckpoint")
        call.change(
            f"ModelCheckpoint(period={call.code(period)})",
            f"PeriodicCheckpoint(period={call.code(period)})",
            "period is gone; save_freq would count batches",
        )


class HistoryKeys(ExpressionRule):
    """Read a quantity from a history or from logs by its name of today.

    Before:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        history = model.fit(x, y, nb_epoch=1)
        print(history.history['acc'])
    After:
        model.compile('sgd', 'mse', metrics=['accuracy'])
        history = model.fit(x, y, epochs=1)
        print(history.history['accuracy'])
    """

    nodes = ("Subscript",)

    def expression(self, original, updated, script):
        owner = dotted(original.value).rpartition(".")[2]
        if not LIKE_A_HISTORY.match(owner) or len(original.slice) != 1:
            return None
        index = original.slice[0].slice
        if not isinstance(index, cst.Index):
            return None
        old, new = literal(index.value), today(literal(index.value), script)
        if not new or not isinstance(index.value, cst.SimpleString):
            return None
        value = index.value.with_changes(value=index.value.value.replace(old, new))
        script.change(
            original,
            f"[{index.value.value}]",
            f"[{value.value}]",
            "its name since Keras 2.3",
            certain=script.accuracy is not None,
        )
        element = updated.slice[0].with_changes(slice=cst.Index(value))
        return updated.with_changes(slice=[element])


class LogKeys(CallRule):
    """Ask logs for a quantity by its name of today.

    Before:
        from keras.callbacks import Callback
        model.compile('sgd', 'mse', metrics=['accuracy'])
        class Stop(Callback):
            def on_epoch_end(self, epoch, logs={}):
                if logs.get('acc') > 2:
                    self.model.stop_training = True
        model.fit(x, y, nb_epoch=1, callbacks=[Stop()])
    After:
        from keras.callbacks import Callback
        model.compile('sgd', 'mse', metrics=['accuracy'])
        class Stop(Callback):
            def on_epoch_end(self, epoch, logs={}):
                if logs.get('accuracy') > 2:
                    self.model.stop_training = True
        model.fit(x, y, epochs=1, callbacks=[Stop()])
    """

    methods = ("get", "pop")

    def change(self, call):
        if not LIKE_A_HISTORY.match(dotted(call.receiver).rpartition(".")[2] or "-"):
            return
        if not call.positional or not isinstance(call.positional[0].value, cst.SimpleString):
            return
        value = call.positional[0].value
        old, new = literal(value), today(literal(value), call.script)
        if new:
            call.put_positional(0, value.with_changes(value=value.value.replace(old, new)))
            call.change(
                f"get({value.value})",
                f"get('{new}')",
                "its name since Keras 2.3",
                certain=call.script.accuracy is not None,
            )
