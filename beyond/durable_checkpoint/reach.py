"""What a model's training may depend on, found by following its attributes.

Keras saves less than a training depends on: seed generators, metrics and states of recurrent layers
are in none of its files. They are found here, by following attributes, lists, tuples and
dictionaries from the model to its layers, optimizers, metrics and losses, and to objects of the
user's own classes; from a method to its object, and from a `functools.partial` to what it holds.
"""

import collections
import contextlib
import functools
import random
import sys
import types
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np

from .keras_private import KerasSaveable

# Objects of these packages are not opened; what they hold is none of the training's state.
_LIBRARIES = sys.stdlib_module_names | {
    *("keras", "tensorflow", "jax", "jaxlib", "torch", "numpy", "h5py", "tf_keras", "ml_dtypes"),
    *("optree", "absl", "google", "wrapt", "durable_checkpoint"),
}
_MAPPINGS = (dict, collections.UserDict, types.MappingProxyType)
_CONTAINERS = (
    *(list, tuple, set, frozenset, collections.deque, collections.UserList),
    *_MAPPINGS,
)
_GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)
# There before and after its owner is built; other attributes lead to the same objects only then.
_FIRST = {"_user_metrics", "_user_weighted_metrics", "_user_loss"}
_SKIPPED = {"_tracker", "_inbound_nodes", "_outbound_nodes", "_jax_state"}
# Where `adapt` counts words; it begins with empty tables every time, and training uses none.
_TABLES_OF_ADAPT = ("token_counts", "token_document_counts")
_AUG_MIX = getattr(keras.layers, "AugMix", ())


class Found(NamedTuple):
    """`thing` is state: a variable, or a generator of random numbers. `owner` has it."""

    path: str
    owner: Any
    thing: Any


class Reached:
    """Everything that was found.

    Attributes:
        variables: `keras.Variable` objects, and `tf.Variable` objects that are no part of one.
        generators: Those of NumPy and Python, with the objects they draw their bits from.
        optimizers: (path, optimizer).
        cannot_be_kept: (path, what it is, the object), for state that no backup can hold.
    """

    def __init__(self):
        self.variables: list[Found] = []
        self.generators: list[Found] = []
        self.optimizers: list[tuple[str, keras.optimizers.Optimizer]] = []
        self.cannot_be_kept: list[tuple[str, str, object]] = []


def follow(model: keras.Model) -> Reached:
    """Follow the attributes of `model`. The order is the same in every run of a program."""
    reached = Reached()
    seen = set()
    paths: collections.Counter[str] = collections.Counter()

    def found(path, owner, thing):
        """Two may have one path: those under the keys 1 and "1", say."""
        paths[path] += 1
        return Found(path if paths[path] == 1 else f"{path} ({paths[path]})", owner, thing)

    # Depth first, and a stack instead of recursion: networks can be deep.
    waiting = [("", None, model)]
    while waiting:
        path, owner, thing = waiting.pop()
        if id(thing) in seen:
            continue
        kind = type(thing)
        if thing is None or kind in (bool, int, float, str, bytes) or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, keras.Variable) or _is_variable_of_tensorflow(thing):
            reached.variables.append(found(path, owner, thing))
        elif isinstance(thing, random.SystemRandom):
            continue  # it has no state
        elif isinstance(thing, _GENERATORS):
            reached.generators.append(found(path, owner, thing))
        elif _is_generator_of_tensorflow(thing):
            waiting.append((f"{path}/state", owner, thing.state))
        elif _cannot_be_kept(thing):
            reached.cannot_be_kept.append((path, f"{kind.__module__}.{kind.__qualname__}", thing))
        elif isinstance(thing, _CONTAINERS):
            if isinstance(thing, (set, frozenset)) and any(map(_may_have_state, thing)):
                reached.cannot_be_kept.append((path, "a set, which has no order", thing))
            waiting += reversed([(f"{path}/{key}", owner, item) for key, item in _items(thing)])
        elif _is_opened(thing):
            if isinstance(thing, _AUG_MIX) and not getattr(model, "run_eagerly", False):
                what = "AugMix chooses its operations once, while the step is compiled"
                reached.cannot_be_kept.append((path, what, thing))
            if isinstance(thing, keras.optimizers.Optimizer):
                reached.optimizers.append((path, thing))
            attributes = _attributes(thing)
            if isinstance(thing, (keras.layers.StringLookup, keras.layers.IntegerLookup)):
                seen.update(id(attributes[n]) for n in _TABLES_OF_ADAPT if n in attributes)
            names = sorted(set(attributes) - _SKIPPED, key=lambda name: (name not in _FIRST, name))
            waiting += reversed([(f"{path}/{name}", thing, attributes[name]) for name in names])
        else:
            waiting += reversed([(f"{path}/{key}", owner, item) for key, item in _bound_to(thing)])
    return reached


def _items(container) -> Iterable:
    """Names and items. A key that is no text may be another one in the next run: `id(layer)`."""
    if not isinstance(container, _MAPPINGS):
        return enumerate(list(container))
    items = list(container.items())
    return [(k if isinstance(k, str) else i, item) for i, (k, item) in enumerate(items)]


def _attributes(thing):
    """Those in its dictionary and in its slots."""
    found = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, types.MemberDescriptorType):
                with contextlib.suppress(AttributeError):  # nothing is in this slot
                    found.setdefault(name, member.__get__(thing))
    return found


def _bound_to(thing):
    """What a function has with it: the object of a method, the arguments of a partial."""
    if isinstance(thing, functools.partial):
        return [("func", thing.func), ("args", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, (types.MethodType, types.BuiltinMethodType)):
        return [("__self__", thing.__self__)]
    return []


def _is_opened(thing):
    if isinstance(thing, (KerasSaveable, keras.random.SeedGenerator)):
        return True
    if isinstance(thing, types.SimpleNamespace):
        return True
    root = type(thing).__module__.partition(".")[0]
    return root not in _LIBRARIES and not _is_a_function(thing)


def _is_a_function(thing):
    """Functions and methods, which are no objects with a state of their own."""
    return type(thing).__name__ in ("function", "builtin_function_or_method", "method", "partial")


def _may_have_state(thing):
    return isinstance(thing, (KerasSaveable, keras.Variable, keras.random.SeedGenerator))


def _of_tensorflow(thing):
    return type(thing).__module__.startswith("tensorflow.")


def _is_variable_of_tensorflow(thing):
    if not (_of_tensorflow(thing) and hasattr(thing, "assign") and hasattr(thing, "numpy")):
        return False
    return getattr(thing.dtype, "name", "") != "string"


def _is_generator_of_tensorflow(thing):
    return _of_tensorflow(thing) and type(thing).__name__ == "Generator" and hasattr(thing, "state")


def _cannot_be_kept(thing):
    if _of_tensorflow(thing):
        if hasattr(thing, "assign"):
            return True  # a variable of texts
        return type(thing).__name__ in ("MutableHashTable", "DenseHashTable", "FIFOQueue")
    return type(thing).__module__ == "torch" and type(thing).__name__ == "Generator"
