"""Estimators of scikit-learn that wrap a model of Keras."""

import libcst as cst

from .base import ExpressionRule


class WrappedModels(ExpressionRule):
    """Ask a trained estimator for its model and its history by the names of SciKeras.

    Before:
        def trained(build):
            from keras.wrappers.scikit_learn import KerasClassifier
            estimator = KerasClassifier(build_fn=build, nb_epoch=2)
            history = estimator.fit(x, y)
            estimator.model.save('net.h5')
            return history.history['loss']
    After:
        def trained(build):
            from scikeras.wrappers import KerasClassifier
            estimator = KerasClassifier(model=build, epochs=2)
            history = estimator.fit(x, y)
            estimator.model_.save('net.keras')
            return history.history_['loss']
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        name, owner = original.attr.value, original.value
        if name not in ("model", "history") or original in script.facts.targets:
            return None
        if name == "history":
            made = script.facts.flow.calls(owner)
            mine = bool(made) and all(self._fits(script, one) for one in made)
        else:
            mine = self._is_estimator(script, owner)
        if not mine:
            return None
        code = script.code(original)
        why = "a trained estimator of SciKeras has it there"
        if name == "history":
            why = "fit of SciKeras returns the estimator, which has it there"
        script.change(original, code, f"{code}_", why)
        return updated.with_changes(attr=cst.Name(f"{name}_"))

    def _is_estimator(self, script, node):
        made = script.facts.flow.calls(node)
        if made:
            return all(self._wraps(script, one) for one in made)
        best = isinstance(node, cst.Attribute) and node.attr.value == "best_estimator_"
        return best and any(self._wraps(script, one) for one in script.facts.calls)

    def _fits(self, script, call):
        func = call.func
        fits = isinstance(func, cst.Attribute) and func.attr.value == "fit"
        return fits and self._is_estimator(script, func.value)

    def _wraps(self, script, call):
        return script.names.full(call.func).startswith("scikeras.wrappers.")
