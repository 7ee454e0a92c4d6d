"""Arguments of an optimizer that come from a dictionary of settings."""

import libcst as cst

from ..literals import literal
from ..names import dotted
from .base import ExpressionRule

HELPER = '''def words_of_today(words):
    """The arguments of an optimizer of Keras 1 or 2, by their names in Keras 3."""
    words = {{("learning_rate" if name == "lr" else name): words[name] for name in words}}
    decay = words.pop("decay", None)
    if decay and "learning_rate" in words:
        words["learning_rate"] = {schedule}(words["learning_rate"], 1, decay)
    return words
'''
WITHOUT_DECAY = '''def words_of_today(words):
    """The arguments of an optimizer of Keras 1 or 2, by their names in Keras 3."""
    words = {("learning_rate" if name == "lr" else name): words[name] for name in words}
    words.pop("decay", None)  # another line sets the learning rate
    return words
'''


class SpreadUnseen(ExpressionRule):
    """Rename the arguments of an optimizer when it is made, where settings hold them.

    Before:
        from keras import optimizers
        settings = {'kind': 'sgd', 'words': {'lr': 0.1, 'momentum': 0.9}}
        kinds = {'sgd': optimizers.SGD, 'adam': optimizers.Adam}
        optimizer = kinds[settings['kind']](**settings['words'])
    After:
        from keras import optimizers
        def words_of_today(words):
            ...
        settings = {'kind': 'sgd', 'words': {'lr': 0.1, 'momentum': 0.9}}
        kinds = {'sgd': optimizers.SGD, 'adam': optimizers.Adam}
        optimizer = kinds[settings['kind']](**words_of_today(settings['words']))
    """

    nodes = ("Call",)

    def expression(self, original, updated, script):
        if script.facts.keras_3 or not any(arg.star == "**" for arg in original.args):
            return None
        if not isinstance(updated, cst.Call) or not self._makes_optimizer(script, original.func):
            return None
        seen = script.spread or {}
        args, changed = [], False
        for old, arg in zip(original.args, updated.args, strict=False):
            if arg.star == "**" and not self._renamed(script, old.value, seen):
                code = script.module.code_for_node(arg.value)
                arg = arg.with_changes(value=cst.parse_expression(f"words_of_today({code})"))
                new, why = f"**words_of_today({code})", "lr is learning_rate"
                script.change(original, f"**{code}", new, why, self._old(script, old.value))
                changed = True
            args.append(arg)
        if not changed:
            return None
        helper = WITHOUT_DECAY
        if not script.facts.changes_rate:
            schedule = script.need("keras.optimizers.schedules", "InverseTimeDecay")
            helper = HELPER.format(schedule=schedule)
        script.define("words_of_today", helper)
        return updated.with_changes(args=args)

    def _old(self, script, value):
        """Whether the settings are seen to have an old name."""
        tables = (one for one in script.facts.flow.values(value) if isinstance(one, cst.Dict))
        keys = (getattr(element, "key", None) for one in tables for element in one.elements)
        return any(literal(key) == "lr" for key in keys)

    def _renamed(self, script, value, seen):
        """Whether the words are renamed where they stand, or come from an optimizer."""
        made = [value, *script.facts.flow.values(value)]
        if isinstance(value, cst.Subscript):
            return False
        if any(isinstance(one, cst.Call) and dotted(one.func) == "words_of_today" for one in made):
            return True
        return any(one in seen or isinstance(one, cst.Dict) for one in made)

    def _makes_optimizer(self, script, node, depth=0):
        """Whether what is called is an optimizer, or one of a dictionary or a module of them."""
        if depth > 4:
            return False
        full = script.names.full(node)
        if full.startswith("keras.optimizers.") and full.count(".") == 2:
            return full.rpartition(".")[2][:1].isupper()
        if isinstance(node, cst.Subscript):
            tables = [node.value, *script.facts.flow.values(node.value)]
            inside = [e.value for one in tables if isinstance(one, cst.Dict) for e in one.elements]
            return bool(inside) and all(
                self._makes_optimizer(script, one, depth + 1) for one in inside
            )
        if isinstance(node, cst.Call) and dotted(node.func) == "getattr" and node.args:
            return script.names.full(node.args[0].value) == "keras.optimizers"
        values = (
            script.facts.flow.values(node) if isinstance(node, (cst.Name, cst.Attribute)) else ()
        )
        return bool(values) and all(self._makes_optimizer(script, one, depth + 1) for one in values)
