"""Callbacks of the script's own that are made of Keras's."""

import keras
import numpy as np
import pytest
from conftest import BACKEND
from lines_that_change import notes, only, rewritten
from old_script import rewrite_text

HEAD = """
from keras.callbacks import EarlyStopping, ModelCheckpoint
import keras
model.compile('sgd', 'mse', metrics=['accuracy'])
model.fit(x, y, nb_epoch=1)
"""
# A class and its use -> whether it counts epochs by PeriodicCheckpoint.
CLASSES = {
    "passes it on": (
        (
            "class Saver(ModelCheckpoint):\n    def __init__(self, path):\n"
            "        super().__init__(path, period=2)\n"
        ),
        True,
    ),
    "passes 1": (
        (
            "class Saver(ModelCheckpoint):\n    def __init__(self, path):\n"
            "        super().__init__(path, period=1)\n"
        ),
        False,
    ),
    "of its base by name": (
        (
            "class Saver(keras.callbacks.ModelCheckpoint):\n    def __init__(self, path):\n"
            "        keras.callbacks.ModelCheckpoint.__init__(self, path, period=2)\n"
        ),
        True,
    ),
    "given to the class": (
        "class Saver(ModelCheckpoint):\n    pass\nsaver = Saver('a.keras', period=2)\n",
        True,
    ),
    "taken by the class itself": (
        (
            "class Saver(ModelCheckpoint):\n    def __init__(self, path, period):\n"
            "        super().__init__(path)\nsaver = Saver('a.keras', period=2)\n"
        ),
        False,
    ),
    "asked for": (
        (
            "class Saver(ModelCheckpoint):\n    def on_epoch_end(self, epoch, logs=None):\n"
            "        self.epochs_since_last_save += 1\n"
        ),
        True,
    ),
    "set and asked for": (
        (
            "class Saver(ModelCheckpoint):\n    def __init__(self, path):\n"
            "        super().__init__(path)\n        self.period, self.other = 3, 4\n"
            "    def on_epoch_end(self, epoch, logs=None):\n        print(self.period)\n"
        ),
        False,
    ),
    "of another callback": (
        (
            "class Saver(EarlyStopping):\n    def on_epoch_end(self, epoch, logs=None):\n"
            "        print(self.period)\n"
        ),
        False,
    ),
    "not asked for": ("class Saver(ModelCheckpoint):\n    pass\n", False),
}


@pytest.mark.parametrize("case", CLASSES)
def test_a_class_that_counts_epochs(case):
    text, counts = CLASSES[case]
    made = rewritten(f"{HEAD}{text}").text
    assert ("class Saver(PeriodicCheckpoint):" in made) == counts
    assert "ModelCheckpoint.__init__(self, path, period" not in made.replace("PeriodicCh", "")
    assert "period=1)" not in made and rewrite_text(made).text == made


def test_what_a_class_passes_to_its_base_is_that_of_the_base():
    only(
        f"""{HEAD}
class Saver(ModelCheckpoint):
    def __init__(self, path):
        super(Saver, self).__init__(path, monitor='val_acc', mode='max')
class Named(ModelCheckpoint):
    def __init__(self):
        super().__init__('named.hdf5')
class Plain(EarlyStopping):
    pass
class Other(dict):
    def __init__(self):
        super().__init__(monitor='val_acc')
saver = Saver('own.hdf5')
plain = Plain(monitor='val_acc')
""",
        {
            "model.fit(x, y, nb_epoch=1)": "model.fit(x, y, epochs=1)",
            "super(Saver, self).__init__(path, monitor='val_acc', mode='max')": "super(Saver, self)"
            ".__init__(path, monitor='val_accuracy', mode='max')",
            "super().__init__('named.hdf5')": "super().__init__('named.keras')",
            "saver = Saver('own.hdf5')": "saver = Saver('own.keras')",
            "plain = Plain(monitor='val_acc')": "plain = Plain(monitor='val_accuracy')",
        },
    )


# A line in a method of a checkpoint -> today's.
CALLS = {
    "self._save_model(epoch, logs)": "self._save_model(epoch, None, logs)",
    "self._save_model(epoch=epoch, logs=logs)": "self._save_model(epoch=epoch, logs=logs, "
    "batch=None)",
    "self._save_model(epoch, 3, logs)": "self._save_model(epoch, 3, logs)",
    "path = self._get_file_path(epoch, logs)": "path = self._get_file_path(epoch, None, logs)",
    "self._save_other(epoch, logs)": "self._save_other(epoch, logs)",
}


@pytest.mark.parametrize("call", CALLS)
def test_methods_of_a_checkpoint_take_the_batch(call):
    text = "class Saver({}):\n    def on_epoch_end(self, epoch, logs=None):\n        {}\n"
    assert f"        {CALLS[call]}\n" in rewritten(HEAD + text.format("ModelCheckpoint", call)).text
    assert f"        {call}\n" in rewritten(HEAD + text.format("Checkpoint", call)).text


@pytest.mark.parametrize(("more", "said"), [("", True), ("        self.monitor_op = min\n", False)])
def test_a_comparison_by_hand_is_said(more, said):
    text = f"{HEAD}class Saver(ModelCheckpoint):\n    def on_epoch_end(self, epoch, logs=None):\n"
    text += f"{more}        better = self.monitor_op(logs['loss'], self.best)\n"
    assert ("_is_improvement(current, self.best)" in notes(rewritten(text))) == said


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the same on each backend")
def test_the_class_saves_every_second_epoch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """
from keras.callbacks import ModelCheckpoint
class Saver(ModelCheckpoint):
    def __init__(self, path):
        super(Saver, self).__init__(path, period=2)
    def on_epoch_end(self, epoch, logs=None):
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save >= self.period:
            self.epochs_since_last_save = 0
            self._save_model(epoch, logs)
model.fit(x, y, nb_epoch=4, verbose=0, callbacks=[Saver('{epoch}.hdf5')])
"""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    names = {"model": model, "x": np.ones((2, 2)), "y": np.ones((2, 1))}
    exec(rewrite_text(text).text, names)  # noqa: S102
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.keras", "4.keras"]
