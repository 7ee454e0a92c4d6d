"""Estimators of scikit-learn that wrap a model of Keras."""

import libcst as cst

from ..calls import argument
from ..literals import is_dictionary, literal
from ..names import dotted
from .base import CallRule, ExpressionRule

WRAPPERS = "scikeras.wrappers."
SEARCHES = ("GridSearchCV", "RandomizedSearchCV")
OF_FIT = {"epochs", "nb_epoch", "batch_size", "verbose", "callbacks"}
SCORES = ("GridSearchCV(", "RandomizedSearchCV(", "cross_val_score(", "cross_validate(", ".score(")


def wraps_a_model(script, node: cst.BaseExpression) -> bool:
    """Whether an expression is seen to be an estimator of SciKeras."""
    made = script.facts.flow.calls(node)
    return bool(made) and all(script.names.full(one.func).startswith(WRAPPERS) for one in made)


def grids(script) -> dict[cst.CSTNode, dict[str, str]]:
    """What holds the names of a search -> their names for SciKeras.

    `nb_epoch` is `epochs` there, and `model__NAME` goes to the function that makes the model. The
    nodes are the dictionaries that a search is given, and subscripts of its `best_params_`.
    """
    found: dict[cst.CSTNode, dict[str, str]] = {}
    for call in script.facts.calls:
        searched = argument(call, "estimator", 0)
        words = _names(script, searched) if dotted(call.func).endswith(SEARCHES) else {}
        for arg in call.args[1:] if words else ():
            for one in (arg.value, *script.facts.flow.values(arg.value)):
                if is_dictionary(one):
                    found[one] = words
    every = {old: new for words in found.values() for old, new in words.items()}
    return found | dict.fromkeys(script.facts.best_parameters, every)


def _names(script, searched):
    """Old name -> new one for an estimator, or for the steps of a pipeline."""
    if searched is None:
        return {}
    if wraps_a_model(script, searched):
        words = {"nb_epoch": "epochs"}
        for made in script.facts.flow.calls(searched):
            own = {arg.keyword.value for arg in made.args if arg.keyword is not None}
            function = argument(made, "model", 0) or argument(made, "build_fn", 0)
            for one in script.facts.parameters.get(dotted(function), ()):
                if one.name.value not in {*own, *OF_FIT}:
                    words[one.name.value] = f"model__{one.name.value}"
        return words
    words = {}
    for made in script.facts.flow.calls(searched):
        if not dotted(made.func).endswith("Pipeline"):
            continue
        given = argument(made, "steps", 0)
        added = [
            one.args[0].value
            for one in script.facts.calls
            if dotted(one.func) == f"{dotted(given)}.append" and one.args
        ]
        steps = script.facts.flow.elements(given) if given is not None else []
        for step in [*steps, *added]:
            parts = [one.value for one in getattr(step, "elements", ())]
            if len(parts) == 2 and (name := literal(parts[0])):
                inside = _names(script, parts[1]).items()
                words |= {f"{name}__{old}": f"{name}__{new}" for old, new in inside}
    return words


class Estimators(CallRule):
    """Tell what the score of an estimator of SciKeras is.

    Before:
        def trained(build):
            from keras.wrappers.scikit_learn import KerasRegressor
            return KerasRegressor(build_fn=build).fit(x, y).score(x, y)
    After:
        def trained(build):
            from scikeras.wrappers import KerasRegressor
            return KerasRegressor(model=build).fit(x, y).score(x, y)
    """

    functions = (f"{WRAPPERS}KerasRegressor",)

    def change(self, call):
        script, text = call.script, call.script.source.text
        scored = any(one in text for one in SCORES) and "scoring=" not in text
        if scored:
            script.silent(
                call.original,
                "KerasRegressor: its score was minus the loss, and is R² today; for minus the mean "
                "squared error pass scoring='neg_mean_squared_error' to the search or the "
                "cross-validation",
            )


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
        if script.facts.flow.calls(node):
            return wraps_a_model(script, node)
        best = isinstance(node, cst.Attribute) and node.attr.value == "best_estimator_"
        return best and any(name.startswith(WRAPPERS) for name in script.facts.called)

    def _fits(self, script, call):
        func = call.func
        fits = isinstance(func, cst.Attribute) and func.attr.value == "fit"
        return fits and self._is_estimator(script, func.value)
