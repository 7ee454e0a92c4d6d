"""Callbacks, and the names of what they watch."""

import re

import libcst as cst

from .. import whose
from ..classes import MONITORS
from ..literals import literal
from ..names import dotted
from ..origins import logged_by_keras
from ..quantities import today, unclear, unsure
from ..watched import texts
from .base import CallRule, ExpressionRule
from .own_functions import watched_functions

LIKE_A_HISTORY = re.compile(r"(hist|history|logs?|hist_\w*|\w*_hist(ory)?)$", re.IGNORECASE)
MODE = {"ModelCheckpoint": 5, "EarlyStopping": 4, "ReduceLROnPlateau": 4}
ERRORS = re.compile(r"loss|err|mae|mse|mape|msle|dist|entropy|perplexity|diverg")
CHECK_METRIC = "if compile names the metric 'accuracy', its name is"
DROPPED = {
    "keras.callbacks.TensorBoard": ("batch_size", "write_grads", "embeddings_layer_names")
    + ("embeddings_data",),
    "keras.callbacks.ModelCheckpoint": ("options", "experimental_io_device"),
}
PERIODIC = '''class PeriodicCheckpoint({base}):
    """`ModelCheckpoint` with the `period` of Keras 1 and 2: it counts epochs."""

    def __init__(self, *arguments, period=1, **options):
        super().__init__(*arguments, **options)
        self.period, self.epochs_since_last_save = period, 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save >= self.period:
            self.epochs_since_last_save = 0
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

    functions = (*MONITORS, "keras.callbacks.TensorBoard")

    def change(self, call):
        if call.full.endswith("ReduceLROnPlateau"):
            call.rename("epsilon", "min_delta", "its name since Keras 2.2; today it is ignored")
        for name in DROPPED.get(call.full, ()):
            call.drop(name, "Keras 3 has no such argument")
        restart = call.drop("load_weights_on_restart", "Keras 3 has no such argument")
        if restart is not None and call.code(restart) != "False":
            said = "load_weights_on_restart is left out: before fit write model.load_weights(path) "
            call.script.undecided(call.original, f"{said}if the file exists")
        if call.full.endswith("TensorBoard"):
            call.script.undecided(call.original, "TensorBoard: run pip install tensorboard")
        value = call.value("monitor", MONITORS.get(call.full, 0))
        named = whose.of_callback(call.script, call.original)
        old, new = literal(value), today(literal(value), call.script, guess=True, named=named)
        if unclear(old, call.script, named):
            call.script.undecided(call.original, f"monitor={old!r}: {whose.MIXED}")
        if unsure(old, call.script) and call.script.facts.keras_3 is False:
            call.script.undecided(
                call.original, f"{old}: no compile is seen; {CHECK_METRIC} {new}, as written"
            )
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
        if old is None:
            names = {literal(one) for one in texts(call.script, value)}
            watched = names.pop() if len(names) == 1 else None
        self._mode(call, watched)
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

    def _mode(self, call, watched):
        """Write down which values were the better ones, where Keras 3 does not know it."""
        name, script = call.full.rpartition(".")[2], call.script
        position = MODE.get(name)
        if position is None or script.facts.keras_3 or call.starred or not watched:
            return
        mode = call.value("mode", position)
        if mode is not None and literal(mode) != "auto":
            return
        if name == "ModelCheckpoint" and not self._keeps_best(call):
            return
        own = watched_functions(script)
        if not _direction_unknown(watched.removeprefix("val_"), own, script.metrics):
            return
        better = "max" if "acc" in watched else "min"
        call.put_value("mode", position, f"'{better}'")
        why = "Keras 3 does not know it of this quantity; this is what Keras 2 took"
        certain = watched.removeprefix("val_") in own
        call.change("mode='auto'", f"mode='{better}'", why, certain)
        if better == "min" and not ERRORS.search(watched):
            said = f"Keras 2 took the lowest {watched} for the best, and mode='min' does as well: "
            script.undecided(call.original, f"{said}write mode='max' if more is better")

    def _keeps_best(self, call):
        value = call.value("save_best_only", 3)
        return value is not None and call.code(value) not in ("False", "0")

    def _put(self, call, old, new):
        call.args = [a.with_changes(value=new) if a.value is old else a for a in call.args]


def _direction_unknown(base, own, metrics):
    """Whether Keras 3 knows of a quantity neither that more nor that less of it is better."""
    if base in own:
        return True
    parts = {*own, *metrics, "loss", "acc", "accuracy"}
    return base not in metrics and any(base.endswith(f"_{part}") for part in parts)


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
        if len(call.positional) == 7 and not call.script.facts.keras_3:
            if isinstance(call.positional[6].value, cst.SimpleString):
                return  # save_freq of TensorFlow 2
            call.name_positional(["period"], 6, 6)
            call.change(call.code(call.args[6].value), "period=…", "the seventh is save_freq now")
        period = call.keyword("period")
        if period is None:
            return
        if call.code(period) == "1":
            call.drop("period", "every epoch is the default")
            return
        if call.script.names.full(call.original.func) != call.full:
            return  # in a class of the script's own: see checkpoints.py
        define_periodic(call.script)
        call.func = cst.Name("PeriodicCheckpoint")
        call.change(
            f"ModelCheckpoint(period={call.code(period)})",
            f"PeriodicCheckpoint(period={call.code(period)})",
            "period is gone; save_freq would count batches",
        )


def define_periodic(script) -> None:
    """Put the class that counts epochs into the new text."""
    base = script.need("keras.callbacks", "ModelCheckpoint")
    script.define("PeriodicCheckpoint", PERIODIC.format(base=base))


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
        if len(original.slice) != 1 or not isinstance(original.slice[0].slice, cst.Index):
            return None
        key = original.slice[0].slice.value
        new = new_key(script, original, original.value, key)
        if new is None:
            return None
        value = key.with_changes(value=key.value.replace(literal(key), new))
        script.change(
            original, f"[{key.value}]", f"[{value.value}]", "its name in Keras 3", certain=True
        )
        element = updated.slice[0].with_changes(slice=cst.Index(value))
        return updated.with_changes(slice=[element])


def new_key(script, place, owner, key) -> str | None:
    """Today's name for a key of what Keras logged; the reader is told where that is not seen."""
    old = literal(key)
    named = whose.of_history(script, owner)
    new = today(old, script, guess=True, named=named)
    if unclear(old, script, named) and logged_by_keras(script, owner):
        script.undecided(place, f"[{old!r}]: {whose.MIXED}")
    if not new or not isinstance(key, cst.SimpleString):
        return None
    logged = logged_by_keras(script, owner)
    if logged and not unsure(old, script):
        return new
    if logged or (logged is None and LIKE_A_HISTORY.match(dotted(owner).rpartition(".")[2] or "-")):
        if old == "lr":
            said = f"if {dotted(owner)} comes from fit, write [{new!r}]"
            script.undecided(place, f"[{old!r}]: {said}")
            return None
        what = "" if logged else f"{dotted(owner)} is not seen to come from fit; if it does, and "
        said = f"{what}{CHECK_METRIC} {new!r} today"
        script.undecided(place, f"[{old!r}]: {said if what else said.capitalize()}")
    return None


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
        if call.receiver is None or not call.positional:
            return
        value = call.positional[0].value
        new = new_key(call.script, call.original, call.receiver, value)
        if new:
            call.put_positional(
                0, value.with_changes(value=value.value.replace(literal(value), new))
            )
            call.change(f"get({value.value})", f"get('{new}')", "its name in Keras 3")
