"""What a rewritten script leaves behind must not reach the next test."""

import sys

import pytest


@pytest.fixture(autouse=True)
def objects_of_keras():
    """Keras's table of registered classes and functions, afterwards as it was.

    Classes of modules that a test imports first stay: an import does not register them twice.
    """
    keras = sys.modules.get("keras")
    before = dict(keras.saving.get_custom_objects()) if keras else {}
    yield
    if "keras" in sys.modules:
        objects = sys.modules["keras"].saving.get_custom_objects()
        for name, made in list(objects.items()):
            module = sys.modules.get(made.__module__)
            if name not in before and getattr(module, made.__name__, None) is not made:
                del objects[name]
        objects.update(before)
