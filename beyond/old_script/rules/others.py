"""Other libraries: what moved, and what the reader has to replace."""

from typing import ClassVar

import libcst as cst

from ..names import dotted
from .base import CallRule, StatementRule

SCIPY = {
    "imread": "imageio.v2.imread(path) (pip install imageio)",
    "imsave": "imageio.v2.imwrite(path, image) (pip install imageio)",
    "imresize": "numpy.array(PIL.Image.fromarray(image).resize((width, height)))",
    "imrotate": "numpy.array(PIL.Image.fromarray(image).rotate(degrees))",
    "imshow": "matplotlib.pyplot.imshow(image)",
    "toimage": "PIL.Image.fromarray(image)",
    "fromimage": "numpy.array(image)",
    "bytescale": "skimage.util.img_as_ubyte(image)",
    "logsumexp": "scipy.special.logsumexp(values)",
    "comb": "scipy.special.comb(n, k)",
}
# A module or a name -> what to do in its place.
REPLACE = {
    "keras_contrib": "keras_contrib does not run with Keras 3. InstanceNormalization is "
    "keras.layers.GroupNormalization(groups=-1); for its other layers, take their code and write "
    "it with keras.ops",
    "keras_applications": "keras_applications does not run with Keras 3: keras.applications has "
    "the networks",
    "keras_preprocessing": "keras_preprocessing does not run with NumPy 2: "
    "tensorflow.keras.preprocessing has the same names",
    "keras_radam": "keras_radam does not run with Keras 3: take keras.optimizers.Adam",
    "keras_self_attention": "keras_self_attention does not run with Keras 3: take "
    "keras.layers.Attention or MultiHeadAttention",
}
# Module -> (today's module, names that only moved).
MOVED = {
    "sklearn.cross_validation": (
        "sklearn.model_selection",
        {"train_test_split", "cross_val_score", "cross_val_predict"},
    ),
    "sklearn.grid_search": ("sklearn.model_selection", {"GridSearchCV", "RandomizedSearchCV"}),
    "sklearn.externals": ("", {"joblib"}),
}
PYTHON_2 = {
    "cPickle": "pickle",
    "Queue": "queue",
    "ConfigParser": "configparser",
    "Tkinter": "tkinter",
    "urllib2": "urllib.request",
    "StringIO": "io",
    "cStringIO": "io",
}


class OldModules(StatementRule):
    """Import from where another library has it today.

    Before:
        import cPickle
        from keras.utils import np_utils
        text = cPickle.dumps([1])
    After:
        import pickle as cPickle
        from keras import utils as np_utils
        text = cPickle.dumps([1])
    """

    pickle = "a pickle file is opened with 'rb' or 'wb'; one of Python 2 may need encoding='latin1'"
    splits: ClassVar = "its classes of folds take other arguments there: n_splits=, and split(x, y)"

    def statement(self, original, updated, script):
        if original in script.facts.guarded:
            return None
        if isinstance(original, cst.Import):
            return self._import(original, updated, script)
        if isinstance(original, cst.ImportFrom) and original.module and not original.relative:
            return self._from(original, updated, script)
        return None

    def _import(self, original, updated, script):
        names = []
        for alias in updated.names:
            module = dotted(alias.name)
            self._replace(original, module, script)
            new = PYTHON_2.get(module)
            if new is not None:
                bound = alias.asname or cst.AsName(cst.Name(module))
                if bound.name.value == new:
                    bound = None
                alias = alias.with_changes(name=cst.parse_expression(new), asname=bound)
                self._tell(original, module, script)
            names.append(alias)
        new = updated.with_changes(names=names)
        return self._done(original, new, script)

    def _from(self, original, updated, script):
        module = dotted(original.module)
        self._replace(original, module, script)
        if isinstance(original.names, cst.ImportStar):
            return None
        names = {alias.name.value for alias in original.names}
        if module == "scipy.misc":
            for name in sorted(names & set(SCIPY)):
                said = f"scipy.misc.{name} is gone: {SCIPY[name]}"
                script.undecided(original, said, always=True)
            return None
        if module == "scipy" and "misc" in names:
            return None
        if module in MOVED:
            home, moved = MOVED[module]
            if not home and names == {"joblib"}:
                (alias,) = updated.names
                return self._done(original, cst.Import([alias]), script)
            if not home:
                return None
            if not names <= moved:
                script.undecided(original, f"{module} is {home} today: {self.splits}", always=True)
            new = updated.with_changes(module=cst.parse_expression(home))
            return self._done(original, new, script)
        if module in PYTHON_2:
            self._tell(original, module, script)
            new = updated.with_changes(module=cst.parse_expression(PYTHON_2[module]))
            return self._done(original, new, script)
        return None

    def _done(self, original, new, script):
        old, code = script.code(original), script.module.code_for_node(new).strip()
        if old == code:
            return None
        script.change(original, old, code, "its name today")
        return [new]

    def _replace(self, original, module, script):
        said = REPLACE.get(module.partition(".")[0])
        if said is not None:
            script.undecided(original, said, always=True)

    def _tell(self, original, module, script):
        if module == "cPickle":
            script.undecided(original, self.pickle)


class OldSciPy(CallRule):
    """Tell of functions for pictures that SciPy no longer has.

    Before:
        import scipy.misc
        model.fit(x, y, nb_epoch=1)
        def shrink(image):
            return scipy.misc.imresize(image, 0.5)
    After:
        import scipy.misc
        model.fit(x, y, epochs=1)
        def shrink(image):
            return scipy.misc.imresize(image, 0.5)
    """

    functions = ("scipy.misc.",)

    def change(self, call):
        name = call.full.rpartition(".")[2]
        if name in SCIPY and isinstance(call.original.func, cst.Attribute):
            said = f"scipy.misc.{name} is gone: {SCIPY[name]}"
            call.script.undecided(call.original, said, always=True)
