"""Callbacks of the script's own that are made of Keras's."""

import libcst as cst

from ..classes import CHECKPOINT
from ..names import dotted
from .base import CallRule, ExpressionRule
from .monitors import define_periodic

COUNTS = {"period", "epochs_since_last_save"}
METHODS = {"_save_model", "_get_file_path"}


class PeriodicBases(ExpressionRule):
    """Save every few epochs in a class of the script's own.

    Before:
        from keras.callbacks import ModelCheckpoint
        class Saver(ModelCheckpoint):
            def __init__(self, path):
                super(Saver, self).__init__(path, monitor='loss', period=2)
        saver = Saver('{epoch}.hdf5')
        model.fit(x, y, nb_epoch=2, callbacks=[saver])
    After:
        from keras.callbacks import ModelCheckpoint
        class PeriodicCheckpoint(ModelCheckpoint):
            ...
        class Saver(PeriodicCheckpoint):
            def __init__(self, path):
                super(Saver, self).__init__(path, monitor='loss', period=2)
        saver = Saver('{epoch}.keras')
        model.fit(x, y, epochs=2, callbacks=[saver])
    """

    nodes = ("ClassDef", "Attribute")

    def expression(self, original, updated, script):
        if isinstance(original, cst.Attribute):
            owner = script.facts.own.parts.get(original)
            of_base = script.names.full(original.value) == CHECKPOINT
            if owner is None or not of_base or not counts_epochs(script, owner):
                return None
            return updated.with_changes(value=cst.Name("PeriodicCheckpoint"))
        if not counts_epochs(script, original):
            return None
        bases = []
        for base, old in zip(updated.bases, original.bases, strict=True):
            if script.names.full(old.value) == CHECKPOINT:
                define_periodic(script)
                base = base.with_changes(value=cst.Name("PeriodicCheckpoint"))
                code = script.code(old.value)
                why = "period is gone; save_freq would count batches"
                script.change(original, code, "PeriodicCheckpoint", why)
            bases.append(base)
        return updated.with_changes(bases=bases)


def counts_epochs(script, owner: cst.ClassDef) -> bool:
    """Whether a class of checkpoints counts epochs as Keras 1 and 2 did.

    Arguments:
        script: The script.
        owner: The class.
    """
    own, name = script.facts.own, owner.name.value
    if CHECKPOINT not in own.bases.get(name, ()) or name == "PeriodicCheckpoint":
        return False
    inside = [node for node, its in own.parts.items() if its is owner]
    asked = {
        one.attr.value
        for one in inside
        if isinstance(one, cst.Attribute) and dotted(one.value) == "self"
    }
    if (COUNTS & asked) - _assigned(inside):
        return True
    begins = [one for one in script.facts.calls if _begins(script, one, owner)]
    return "period" in _words(script, begins, own.takes.get(name, set()))


def _assigned(nodes):
    """The attributes of `self` that are set among some nodes."""
    targets = [one.target for node in nodes if isinstance(node, cst.Assign) for one in node.targets]
    found = set()
    for one in targets:
        for each in [element.value for element in getattr(one, "elements", ())] or [one]:
            found.add(dotted(each).removeprefix("self."))
    return found


def _begins(script, call, owner):
    """Whether a call makes an object of a class, or passes arguments to its base."""
    own = script.facts.own
    if own.parts.get(call) is owner:
        full = own.means(script, call)
        return full in (CHECKPOINT, f"{CHECKPOINT}.__init__") and script.names.full(call.func) != (
            CHECKPOINT
        )
    return dotted(call.func) == owner.name.value


def _words(script, calls, taken):
    """The named arguments of calls, but those that the class takes itself and `period=1`."""
    return {
        arg.keyword.value
        for call in calls
        for arg in call.args
        if arg.keyword is not None
        and script.code(arg.value) != "1"
        and not (isinstance(call.func, cst.Name) and arg.keyword.value in taken)
    }


class BatchOfCheckpoint(CallRule):
    """Tell the methods of a checkpoint the batch, which they take since TensorFlow 2.6.

    Before:
        from keras.callbacks import ModelCheckpoint
        class Late(ModelCheckpoint):
            def on_epoch_end(self, epoch, logs=None):
                if epoch > 0:
                    self._save_model(epoch, logs)
        model.fit(x, y, nb_epoch=2, callbacks=[Late('late.hdf5')])
    After:
        from keras.callbacks import ModelCheckpoint
        class Late(ModelCheckpoint):
            def on_epoch_end(self, epoch, logs=None):
                if epoch > 0:
                    self._save_model(epoch, None, logs)
        model.fit(x, y, epochs=2, callbacks=[Late('late.keras')])
    """

    methods = tuple(METHODS)

    def change(self, call):
        owner = call.script.facts.own.parts.get(call.original)
        if owner is None or len(call.args) != 2 or call.starred:
            return
        if call.keyword("logs") is not None:
            call.put("batch", "None")
        elif len(call.positional) == 2:
            call.args.insert(1, call.args[0].with_changes(value=cst.Name("None")))
        else:
            return
        new = f"{call.method}(epoch, None, logs)"
        call.change(f"{call.method}(epoch, logs)", new, "it takes the batch as well")


class BatchParameter(ExpressionRule):
    """Take the batch in a method of a checkpoint that Keras calls with it.

    Before:
        from keras.callbacks import ModelCheckpoint
        class Telling(ModelCheckpoint):
            def _save_model(self, epoch, logs):
                super()._save_model(epoch, logs)
        model.fit(x, y, nb_epoch=1, callbacks=[Telling('told.hdf5')])
    After:
        from keras.callbacks import ModelCheckpoint
        class Telling(ModelCheckpoint):
            def _save_model(self, epoch, batch, logs):
                super()._save_model(epoch, None, logs)
        model.fit(x, y, epochs=1, callbacks=[Telling('told.keras')])
    """

    nodes = ("FunctionDef",)

    def expression(self, original, updated, script):
        params = list(updated.params.params)
        names = [one.name.value for one in params]
        if original.name.value not in METHODS or original not in script.facts.own.parts:
            return None
        if names != ["self", "epoch", "logs"]:
            return None
        batch = params[1].with_changes(name=cst.Name("batch"))
        old = f"{original.name.value}(self, epoch, logs)"
        new = f"{original.name.value}(self, epoch, batch, logs)"
        script.change(original, old, new, "Keras 3 calls it with the batch")
        params.insert(2, batch)
        return updated.with_changes(params=updated.params.with_changes(params=params))


class WatchedByHand(ExpressionRule):
    """Tell of a comparison that a callback does not know before Keras has made it.

    Before:
        from keras.callbacks import ModelCheckpoint
        class Own(ModelCheckpoint):
            def on_epoch_end(self, epoch, logs=None):
                if self.monitor_op(logs['loss'], self.best):
                    self.model.save('best.keras')
        model.fit(x, y, nb_epoch=1)
    After:
        from keras.callbacks import ModelCheckpoint
        class Own(ModelCheckpoint):
            def on_epoch_end(self, epoch, logs=None):
                if self.monitor_op(logs['loss'], self.best):
                    self.model.save('best.keras')
        model.fit(x, y, epochs=1)
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        if dotted(original) != "self.monitor_op" or original in script.facts.targets:
            return
        owner = script.facts.own.parts.get(original)
        if owner is None or script.facts.flow.values(original):
            return
        said = "self.monitor_op and self.best are None until Keras's own on_epoch_end has run: "
        said += "write if self.monitor_op is None: self._set_monitor_op(), and then ask "
        said += "self._is_improvement(current, self.best)"
        script.undecided(original, said)
