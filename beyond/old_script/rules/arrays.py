"""NumPy, seeds, and names of Python 2 that a Python 3 parser accepts."""

from typing import ClassVar

import libcst as cst

from ..literals import literal
from ..names import dotted
from .base import CallRule, ExpressionRule


class Seeds(CallRule):
    """Seed the weights as well; NumPy's seed no longer does.

    Before:
        import keras
        import numpy
        numpy.random.seed(7)
        model.fit(x, y, nb_epoch=1)
    After:
        import keras
        import numpy
        keras.utils.set_random_seed(7)
        model.fit(x, y, epochs=1)
    """

    functions = ("numpy.random.seed",)

    def change(self, call):
        script = call.script
        if len(call.positional) != 1 or len(call.args) != 1 or not script.uses_keras:
            return
        if "keras.utils.set_random_seed" in script.facts.called:
            return
        seed = call.code(call.positional[0].value)
        if seed.isdigit() and int(seed) >= 2**32 or seed == "None":
            return
        name = script.need("keras.utils", "set_random_seed")
        call.func = cst.parse_expression(name)
        call.change(
            f"{call.code(call.original.func)}({seed})",
            f"{name}({seed})",
            "Keras 3 draws its weights from its own seed; this sets NumPy's as well",
            certain=False,
            behaviour=True,
        )
        script.silent(
            call.original,
            "with a seed set, fit shuffles the rows of arrays in the same order in every epoch "
            "(TensorFlow): see PITFALLS",
            of_change=True,
        )


class OldNumPy(ExpressionRule):
    """Use Python's types where NumPy had names for them.

    Before:
        import numpy as np
        from keras.utils import np_utils
        values = np.zeros(3, dtype=np.float)
    After:
        import numpy as np
        from keras import utils as np_utils
        values = np.zeros(3, dtype=float)
    """

    nodes = ("Attribute",)
    types: ClassVar = {
        "float": "float",
        "int": "int",
        "bool": "bool",
        "object": "object",
        "str": "str",
    } | {"complex": "complex"}
    renamed: ClassVar = {
        "product": "prod",
        "cumproduct": "cumprod",
        "sometrue": "any",
        "alltrue": "all",
        "in1d": "isin",
        "float_": "float64",
        "Inf": "inf",
        "NaN": "nan",
        "unicode_": "str_",
        "row_stack": "vstack",
        "trapz": "trapezoid",
    }

    def expression(self, original, updated, script):
        raw = script.names.raw(original)
        if not raw.startswith("numpy.") or raw.count(".") != 1:
            return None
        name = raw.removeprefix("numpy.")
        if name in self.types:
            if script.names.defined(self.types[name], original) and name in script.facts.assigned:
                return None
            script.change(original, dotted(original), self.types[name], "NumPy has no such name")
            return cst.Name(self.types[name])
        if name in self.renamed:
            script.change(original, name, self.renamed[name], "its name in NumPy 2")
            return updated.with_changes(attr=cst.Name(self.renamed[name]))
        return None


class BinaryFiles(CallRule):
    """Open a file of bytes as such, which Python 2 did not ask for.

    Before:
        import numpy as np
        from keras.utils import np_utils
        np.save(open('rows.npy', 'w'), np.ones(3))
        rows = np.load(open('rows.npy'))
    After:
        import numpy as np
        from keras import utils as np_utils
        np.save(open('rows.npy', 'wb'), np.ones(3))
        rows = np.load(open('rows.npy', 'rb'))
    """

    functions = ("numpy.save", "numpy.load", "pickle.dump", "pickle.load")
    places: ClassVar = {"numpy.save": 0, "numpy.load": 0, "pickle.load": 0, "pickle.dump": 1}

    def change(self, call):
        at = self.places[call.full]
        opened = call.original.args[at].value if len(call.original.args) > at else None
        if not isinstance(opened, cst.Call) or dotted(opened.func) != "open" or call.args[at].star:
            return
        if len(opened.args) > 2 or any(arg.keyword is not None for arg in opened.args):
            return
        mode = literal(opened.args[1].value) if len(opened.args) == 2 else "r"
        if mode not in ("r", "w", "a"):
            return
        code = call.script.module.code_for_node
        path = code(call.args[at].value.args[0].value)
        made = f"open({path}, '{mode}b')"
        call.put_positional(at, made)
        call.change(code(opened), made, "Python 3 tells bytes from text")


class WholeLists(ExpressionRule):
    """Repeat a list a whole number of times, as a division of Python 2 gave.

    Before:
        from keras.utils import np_utils
        count = 8
        labels = [0] * (count / 2) + [1] * (count / 2)
    After:
        from keras import utils as np_utils
        count = 8
        labels = [0] * (count // 2) + [1] * (count // 2)
    """

    nodes = ("BinaryOperation",)

    def expression(self, original, updated, script):
        if not isinstance(original.operator, cst.Multiply):
            return None
        for one, other in (("left", "right"), ("right", "left")):
            count = getattr(updated, other)
            divides = isinstance(count, cst.BinaryOperation) and isinstance(
                count.operator, cst.Divide
            )
            if divides and isinstance(getattr(updated, one), cst.List):
                spaces = count.operator.whitespace_before, count.operator.whitespace_after
                new = count.with_changes(operator=cst.FloorDivide(*spaces))
                old, made = script.code(count), script.module.code_for_node(new)
                script.change(
                    original, old, made, "Python 3 repeats a list a whole number of times"
                )
                return updated.with_changes(**{other: new})
        return None


class EmptySplits(CallRule):
    r"""Split a text as before Python 3.7, which left out empty matches.

    Before:
        import re
        from keras.utils import np_utils
        words = re.split('(\W+)?', 'a film, seen twice')
        count = len(words)
    After:
        import re
        from keras import utils as np_utils
        words = re.split('(\W+)', 'a film, seen twice')
        count = len(words)
    """

    functions = ("re.split",)

    def change(self, call):
        pattern = call.positional[0].value if call.positional else None
        text = literal(pattern)
        if text is None or not text.endswith(")?") or not isinstance(pattern, cst.SimpleString):
            return
        body = pattern.value.rstrip("'\"")
        made = body[:-1] + pattern.value[len(body) :]
        call.put_positional(0, made)
        call.change(pattern.value, made, "since Python 3.7 it also splits where nothing matches")


class Builtins(CallRule):
    """Use Python 3's names for what Python 2 had.

    Before:
        for number in xrange(2):
            model.fit(x, y, nb_epoch=1)
    After:
        for number in range(2):
            model.fit(x, y, epochs=1)
    """

    functions = ("numpy.reshape",)
    methods = ("iteritems", "itervalues", "iterkeys", "has_key")
    names: ClassVar = {"xrange": "range", "raw_input": "input", "unicode": "str", "unichr": "chr"}

    def change(self, call):
        if call.full == "numpy.reshape":
            call.rename("newshape", "shape", "its name in NumPy 2")
            return
        if call.method.startswith("iter") and not call.args:
            call.call_instead(call.method.removeprefix("iter"))
            call.change(f"{call.method}()", call.method.removeprefix("iter") + "()", "Python 3")
            return
        if call.method == "has_key" and len(call.positional) == 1 == len(call.args):
            if "has_key" in call.script.facts.own.own_methods:
                return
            code = call.script.module.code_for_node
            key, owner = code(call.positional[0].value), code(call.updated_receiver)
            call.replace(f"({key} in {owner})")
            call.change(call.code(call.original), f"{key} in {owner}", "Python 3")
            return
        new = self.names.get(dotted(call.original.func))
        if new and not call.script.names.defined(dotted(call.original.func), call.original):
            call.func = cst.Name(new)
            call.change(f"{dotted(call.original.func)}(", f"{new}(", "Python 3")
