"""Which data ends in the same bits after a kill, and what a seed is for, as the page says."""

import itertools
import re
import shutil

import keras
import numpy as np
import pytest
import resuming
from conftest import REPOSITORY
from durable_checkpoint import ExactBackupAndRestore, ShuffledBatches
from test_exact import Interrupt

PAGE = (REPOSITORY / "docs" / "DURABLE_CHECKPOINT.md").read_text()
OTHER_DATA = re.search(r"^### .*other data.*?(?=^##)", PAGE, re.MULTILINE | re.DOTALL)[0]
SIZE, BATCHES, EPOCHS = 32, 5, 4


def order(epoch, rows):
    return np.random.default_rng([1, epoch]).permutation(rows)


class Rows(keras.utils.PyDataset):
    """Batches in an order that depends on `epoch`, which somebody has to count."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.epoch = x, y, 0

    def __len__(self):
        return BATCHES

    def __getitem__(self, index):
        rows = order(self.epoch, len(self.x))[SIZE * index : SIZE * (index + 1)]
        return self.x[rows], self.y[rows]


class CountsItself(Rows):
    def on_epoch_end(self):
        self.epoch += 1


class HasState(CountsItself):
    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


class Endless:
    """A generator with a state: each batch is drawn when it is asked for."""

    def __init__(self, x, y):
        self.x, self.y, self.chance = x, y, np.random.default_rng(3)

    def get_state(self):
        return self.chance.bit_generator.state

    def set_state(self, state):
        self.chance.bit_generator.state = state

    def batches(self):
        while True:
            rows = self.chance.integers(0, len(self.x), SIZE)
            yield self.x[rows], self.y[rows]


def tensors(x, y, **shuffle):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((x, y))
    return (data.shuffle(len(x), seed=1, **shuffle) if shuffle else data).batch(SIZE)


def as_given(kind, x, y):
    """What to pass to fit, and what to track."""
    if kind == "arrays":
        return {"x": x, "y": y, "batch_size": SIZE}, []
    if kind == "endless":
        data = Endless(x, y)
        return {"x": data.batches(), "steps_per_epoch": BATCHES}, [data]
    if kind == "batches, not tracked":
        return {"x": ShuffledBatches(x, y, SIZE, 1), "shuffle": False}, []
    if kind.startswith("tensors"):
        again = {"tensors, one order": False, "tensors, shuffled again": True}
        options = {"reshuffle_each_iteration": again[kind]} if kind in again else {}
        return {"x": tensors(x, y, **options)}, []
    kinds = {"one order": Rows, "counts itself": CountsItself, "has a state": HasState}
    data = kinds[kind](x, y)
    return {"x": data, "shuffle": False}, [data] if kind == "has a state" else []


def train(folder, kind, before=None):
    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    x, y, _, _ = resuming.mnist()
    given, track = as_given(kind, x, y)
    model = resuming.new_model()
    backup = ExactBackupAndRestore(folder / "backup", track=track)
    callbacks = [backup] + ([Interrupt(backup, before)] if before else [])
    model.fit(**given, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    return resuming.digest_of(model)


SAME_BITS = {
    "arrays": True,
    "one order": True,
    "tensors": True,
    "tensors, one order": True,
    "has a state": True,
    "counts itself": False,
    "tensors, shuffled again": False,
    "endless": False,
    "batches, not tracked": True,
}


@pytest.mark.parametrize("kind", SAME_BITS)
def test_other_data_ends_in_the_same_bits_as_the_page_says(tmp_path, kind):
    whole = train(tmp_path, kind)
    with pytest.raises(InterruptedError):
        train(tmp_path, kind, before=2 * BATCHES + 2)
    assert (train(tmp_path, kind) == whole) == SAME_BITS[kind]


def test_the_remedy_on_the_page_ends_in_the_same_bits(tmp_path, monkeypatch):
    (remedy,) = re.findall(r"^```python\n(.*?)^```", OTHER_DATA, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)

    def run(before=None):
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        x, y, _, _ = resuming.mnist()
        model = resuming.new_model()
        fit, seen = model.fit, []

        def shorter(data, callbacks, **options):
            (backup,) = (one for one in callbacks if isinstance(one, ExactBackupAndRestore))
            note = keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: seen.append(data[0][1].tolist())
            )
            extra = [note] + ([Interrupt(backup, before)] if before else [])
            options |= {"epochs": EPOCHS, "callbacks": [*callbacks, *extra], "verbose": 0}
            return fit(data, **options)

        model.fit = shorter
        exec(remedy, {"keras": keras, "model": model, "x": x, "y": y})  # noqa: S102
        return resuming.digest_of(model), seen

    whole, orders = run()
    assert len({str(one) for one in orders}) == EPOCHS
    shutil.rmtree("backup")
    with pytest.raises(InterruptedError):
        run(before=2 * BATCHES + 2)
    assert run() == (whole, orders[2:])


def test_what_the_seed_is_for(tmp_path):
    """From the first backup on, none is needed: the backup holds all random numbers."""

    def run(folder, copy_to=None):
        keras.utils.clear_session()
        x, y, _, _ = resuming.mnist()
        batches = ShuffledBatches(x, y, SIZE, 1)
        model = resuming.new_model()
        first = model.get_weights()[0]
        backup = ExactBackupAndRestore(folder, save_freq=2, track=[batches], background=False)
        trained = itertools.count(1)

        def copy(batch, logs):
            if next(trained) == 8 and copy_to:
                shutil.copytree(folder, copy_to)

        callbacks = [backup, keras.callbacks.LambdaCallback(on_train_batch_end=copy)]
        model.fit(batches, shuffle=False, epochs=EPOCHS, verbose=0, callbacks=callbacks)
        return first, resuming.digest_of(model)

    began, whole = run(tmp_path / "one", copy_to=tmp_path / "killed")
    began_again, resumed = run(tmp_path / "killed")
    assert not np.array_equal(began, began_again)  # what a kill before the first backup leaves
    assert resumed == whole
    assert run(tmp_path / "two")[1] != whole
