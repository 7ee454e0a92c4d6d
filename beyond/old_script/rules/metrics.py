"""The names of losses and metrics that `compile` is given."""

from typing import ClassVar

import libcst as cst

from ..literals import literal
from .base import CallRule

WHY = "its name in Keras 3"
LOSSES = {
    "kullback_leibler_divergence": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "cosine": "cosine_similarity",
    "logcosh": "log_cosh",
    "huber_loss": "huber",
}
METRICS = {
    "kullback_leibler_divergence": "kl_divergence",
    "kld": "kl_divergence",
    "KLD": "kl_divergence",
    "cosine_proximity": "cosine_similarity",
    "cosine": "cosine_similarity",
}
F1 = "keras.metrics.F1Score(average='micro', threshold=0.5)"
# Metrics of Keras 1 -> what to pass in their place.
GONE = {
    "fmeasure": F1,
    "f1score": F1,
    "fbeta_score": "keras.metrics.FBetaScore(average='micro', beta=1.0, threshold=0.5)",
    "matthews_correlation": "a function of your own, written with keras.ops",
    "logcosh": "keras.metrics.LogCoshError()",
    "huber": "keras.losses.Huber()",
    "huber_loss": "keras.losses.Huber()",
}


class LossNames(CallRule):
    """Name a loss or a metric as today.

    Before:
        model.compile('sgd', loss='kullback_leibler_divergence', metrics=['kld'])
    After:
        model.compile('sgd', loss='kl_divergence', metrics=['kl_divergence'])
    """

    methods = ("compile",)
    names: ClassVar = {"loss": LOSSES, "metrics": METRICS, "weighted_metrics": METRICS}

    def change(self, call):
        for word, position in (("loss", 1), ("metrics", 2), ("weighted_metrics", None)):
            for node in _texts(call.value(word, position)):
                self._named(call, word, node)

    def _named(self, call, word, node):
        old = literal(node)
        new = self.names[word].get(old)
        if new is None:
            if word != "loss" and old in GONE:
                said = f"{old!r}: Keras 3 has no metric of this name; pass {GONE[old]}"
                call.script.undecided(call.original, said, always=True)
            return
        made = node.with_changes(value=f"{node.quote}{new}{node.quote}")
        call.args = [a.with_changes(value=_replaced(a.value, node, made)) for a in call.args]
        call.change(old, new, WHY)
        if word != "loss" and call.script.source.text.count(f"{old}'") > 1:
            said = f"the logs call this metric {new}: where another line asks for {old}, write the "
            call.script.undecided(call.original, said + "new name")
        cosine = word != "loss" and new == "cosine_similarity"
        if cosine and not call.script.uses_tensorflow_keras:
            said = f"{old!r}: as a metric it was the negative cosine until Keras 2.2; today's is "
            said += "positive, and more is better"
            call.script.silent(call.original, said, of_change=True)


def _texts(node):
    """The texts in a list or a dictionary, and in the lists in it."""
    if isinstance(node, cst.SimpleString):
        return [node]
    inside = [getattr(one, "value", None) for one in getattr(node, "elements", ())]
    return [text for one in inside if one is not None for text in _texts(one)]


def _replaced(value, old, new):
    return new if value is old else value.deep_replace(old, new)
