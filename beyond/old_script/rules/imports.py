"""Imports, and names that are spelt with their module."""

import libcst as cst

from .. import backend_names, homes
from ..names import dotted, of_keras
from .base import ExpressionRule, StatementRule

# Names that rules replace where they are called -> what to write elsewhere.
ONLY_CALLED = {
    "probas_to_classes": "write lambda p: p.argmax(axis=1), or lambda p: p > 0.5 for one output",
    "categorical_probas_to_classes": "write lambda p: p.argmax(axis=1)",
    "model_from_yaml": "write model_from_json",
    "multi_gpu_model": "write lambda model, gpus: model",
    "merge": "write keras.layers.concatenate, add or multiply",
    "TimeDistributedDense": "write TimeDistributed(Dense(…))",
    "Merge": "write keras.layers.Concatenate()",
}
HOME = "Keras 3 has it there"
GONE_WHY = "Keras 3 has no such name"


class Imports(StatementRule):
    """Import a name from where Keras 3 has it.

    Before:
        from keras.layers.core import Dense, Dropout
        from keras.layers.convolutional import MaxPooling2D
        from keras.utils import np_utils
        from keras.preprocessing.image import ImageDataGenerator, img_to_array
        labels = np_utils.to_categorical([0, 1])
    After:
        from keras.layers import Dense, Dropout
        from keras.layers import MaxPooling2D
        from keras import utils as np_utils
        from tensorflow.keras.preprocessing.image import ImageDataGenerator
        from keras.preprocessing.image import img_to_array
        labels = np_utils.to_categorical([0, 1])
    """

    def statement(self, original, updated, script):
        if isinstance(original, cst.ImportFrom):
            return self._from(original, updated, script)
        if isinstance(original, cst.Import):
            return self._import(original, updated, script)
        return None

    def _from(self, original, updated, script):
        if original.relative:
            return self._sibling(original, updated, script)
        module = dotted(original.module)
        old = of_keras(module)
        if old != "keras" and not old.startswith("keras."):
            return self._sibling(original, updated, script)
        if isinstance(original.names, cst.ImportStar):
            home = homes.MOVED.get(old, old)
            road = self._road(module, home)
            if road == module:
                return None
            self._report(original, updated.with_changes(module=cst.parse_expression(road)), script)
            return [updated.with_changes(module=cst.parse_expression(road))]
        groups: dict[str, list[cst.ImportAlias]] = {}
        why = HOME
        for alias in updated.names:
            name = alias.name.value
            target = self._target(module, old, name, alias, script, original)
            if target is None:
                continue
            road, today = target
            if today != name:
                why = "its name in Keras 3"
                alias_of_script = alias.asname is not None
                bound = alias.asname.name.value if alias_of_script else name
                alias = alias.with_changes(name=cst.Name(today), asname=None)
                kept = alias_of_script or name not in homes.CALLS_RENAMED
                if bound != today and kept:
                    alias = alias.with_changes(asname=cst.AsName(cst.Name(bound)))
            groups.setdefault(road, []).append(alias)
        if list(groups) == [module] and len(groups[module]) == len(updated.names):
            new = updated.with_changes(names=groups[module])
            if script.module.code_for_node(new) == script.module.code_for_node(original):
                return None
            self._report(original, new, script, why)
            return [new]
        made = []
        for road, aliases in groups.items():
            whole = len(aliases) == len(updated.names)
            if not whole:
                aliases = [*aliases[:-1], aliases[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]
            new = updated.with_changes(module=cst.parse_expression(road), names=aliases)
            if not whole and len(groups) > 1:
                tidy = ", ".join(
                    script.module.code_for_node(a.with_changes(comma=cst.MaybeSentinel.DEFAULT))
                    for a in aliases
                )
                new = cst.parse_statement(f"from {road} import {tidy}").body[0]
            made.append(new)
        if not made:
            script.change(original, script.code(original), "", GONE_WHY)
            return []
        text = "; ".join(script.module.code_for_node(one) for one in made)
        script.change(original, script.code(original), text, why)
        return made

    def _target(self, module, old, name, alias, script, original):
        """(module, name) for the import, or None to leave the name out."""
        if homes.legacy_preprocessing(old, name):
            return f"tensorflow.{old}" if not module.startswith(
                "tensorflow.keras"
            ) else module, name
        if (old, name) == (
            "keras",
            "backend",
        ) or f"{old}.{name}" == "keras.backend.tensorflow_backend":
            legacy = backend_names.only_legacy(script.facts.backend)
            if legacy and not module.startswith("tensorflow"):
                if named := sorted(legacy - {"gradients"}):  # of that, its call tells
                    script.undecided(
                        original,
                        f"only TensorFlow still has {', '.join(named)} of the old backend, so "
                        "this script needs TensorFlow as the backend of Keras",
                    )
                return "tensorflow.keras", "backend"
            return self._road(module, "keras"), "backend"
        legacy = {"image": homes.IMAGE_LEGACY, "sequence": homes.SEQUENCE_LEGACY}.get(name)
        if old == "keras.preprocessing" and legacy and self._uses(script, f"{old}.{name}.", legacy):
            return "tensorflow.keras.preprocessing", name
        home = homes.new_home(old, name, module.startswith("tensorflow"))
        if name in ONLY_CALLED and script.used_without_call(
            alias.asname.name.value if alias.asname else name
        ):
            script.undecided(
                original, f"{name} is gone, and is used without a call: {ONLY_CALLED[name]}"
            )
        if name in ("merge", "TimeDistributedDense") and home[0] == "keras.layers":
            return None
        if old.startswith("keras.backend") and old != "keras":
            return self._of_backend(module, name, script, original)
        if home in homes.GONE and home[1] != "Merge":
            script.undecided(original, f"{name}: {homes.GONE[home]}")
            return None
        if home == ("keras.layers", "Merge"):
            return None
        if home[0] == "keras.utils" and name in (
            "probas_to_classes",
            "categorical_probas_to_classes",
        ):
            return None
        if home == ("keras.layers", "ThresholdedReLU") and not module.startswith("tensorflow"):
            return "tensorflow.keras.layers", name
        road = self._road(module, home[0])
        if name in homes.CALLS_RENAMED:
            return road, homes.CALLS_RENAMED[name]
        if home[0].startswith("scikeras"):
            script.undecided(original, "run: pip install scikeras")
        return road, home[1]

    def _of_backend(self, module, name, script, original):
        if name in backend_names.TODAY:
            return self._road(module, "keras.backend"), name
        if name in backend_names.LEGACY:
            return "tensorflow.keras.backend", name
        if name in ("set_session", "get_session"):
            return None
        script.undecided(original, f"keras.backend.{name} is gone in Keras 3")
        return None

    def _road(self, module, home):
        """The module of today, by the way of the script: `keras` or `tensorflow.keras`."""
        if not home.startswith("keras"):
            return home
        if module.startswith("tensorflow"):
            return f"tensorflow.{home}"
        return home

    def _uses(self, script, prefix, names):
        return any(
            (full := script.names.full(call.func)).startswith(prefix)
            and full.removeprefix(prefix).split(".")[0] in names
            for call in script.facts.calls
        )

    def _report(self, original, new, script, why=HOME):
        script.change(original, script.code(original), script.module.code_for_node(new), why)

    def _sibling(self, original, updated, script):
        """The module beside the script is rewritten too: import the new one."""
        if isinstance(original.module, cst.Name) and original.module.value in script.siblings:
            new = updated.with_changes(module=cst.Name(original.module.value + "_keras3"))
            script.change(
                original, original.module.value, new.module.value, "the rewritten module", False
            )
            return [new]
        if (
            original.module is None
            and original.relative
            and not isinstance(original.names, cst.ImportStar)
        ):
            names, changed = [], False
            for alias in updated.names:
                name = alias.name.value
                if name in script.siblings:
                    bound = alias.asname or cst.AsName(cst.Name(name))
                    alias = alias.with_changes(name=cst.Name(name + "_keras3"), asname=bound)
                    changed = True
                    script.change(original, name, name + "_keras3", "the rewritten module", False)
                names.append(alias)
            return [updated.with_changes(names=names)] if changed else None
        return None

    def _import(self, original, updated, script):
        names, changed = [], False
        for alias in updated.names:
            module = script.code(alias.name)
            old = of_keras(module)
            bound = alias.asname
            if old == "keras" or old.startswith("keras."):
                home = homes.MOVED.get(old, old)
                if old == "keras.backend.tensorflow_backend":
                    home = "keras.backend"
                road = self._road(module, home)
                if home == "keras.backend" and backend_names.only_legacy(script.facts.backend):
                    road = "tensorflow.keras.backend"
                if home in ("keras.preprocessing.text",):
                    road = "tensorflow.keras.preprocessing.text"
                if road != module and (
                    bound is not None or road.split(".")[0] == module.split(".")[0]
                ):
                    alias = alias.with_changes(name=cst.parse_expression(road))
                    changed = True
            elif module in script.siblings:
                alias = alias.with_changes(
                    name=cst.Name(module + "_keras3"),
                    asname=bound or cst.AsName(cst.Name(module)),
                )
                names.append(alias)
                script.change(original, module, module + "_keras3", "the rewritten module", False)
                changed = "sibling"
                continue
            names.append(alias)
        if not changed:
            return None
        new = updated.with_changes(names=names)
        if changed is True:
            self._report(original, new, script)
        return [new]


class DottedNames(ExpressionRule):
    """Spell a name with the module where Keras 3 has it.

    Before:
        import keras
        layer = keras.layers.core.Dense(2)
        layer.trainable = False
    After:
        import keras
        layer = keras.layers.Dense(2)
        layer.trainable = False
    """

    nodes = ("Attribute",)

    def expression(self, original, updated, script):
        if original in script.facts.inner:
            return None
        raw = script.names.raw(original)
        old = of_keras(raw)
        if not old.startswith("keras."):
            return None
        module, _, name = old.rpartition(".")
        if homes.legacy_preprocessing(module, name) and not raw.startswith("tensorflow.keras"):
            if dotted(original) == raw:
                made = script.need(f"tensorflow.{module}", name)
                script.change(original, raw, made, "only tensorflow.keras still has it")
                return cst.parse_expression(made)
            return None
        home = homes.new_home(module, name, raw.startswith("tensorflow"))
        if home is None or module == "keras.backend" or home[0].startswith("scikeras"):
            return None
        today = ".".join(home)
        if today == old and not raw.startswith("tensorflow.python"):
            return None
        root = dotted(original).split(".")[0]
        root_node = original
        while isinstance(root_node, cst.Attribute):
            root_node = root_node.value
        base = of_keras(script.names.raw(root_node))
        if base == "tensorflow":
            new = f"{root}.{today}"
        elif today.startswith(base + "."):
            new = root + today[len(base) :]
        else:
            return self._through_alias(original, updated, script, old, home)
        why = HOME if new.endswith(f".{name}") else "its name in Keras 3"
        script.change(original, dotted(original), new, why)
        return cst.parse_expression(new)

    def _through_alias(self, original, updated, script, old, home):
        """`np_utils.x` with `np_utils` imported anew: only the last name may change."""
        if home[1] != original.attr.value:
            script.change(original, original.attr.value, home[1], "its name in Keras 3")
            return updated.with_changes(attr=cst.Name(home[1]))
        return None
