"""What runs today and does something else: it is said, and it is so."""

import keras
import numpy as np
import pytest
from conftest import BACKEND
from lines_that_change import becomes, notes, rewritten

HEAD = """
import csv
import tensorflow as tf
from keras.callbacks import Callback, CSVLogger, LambdaCallback
from keras.layers import Dense, Input, Layer, RNN
from keras.models import Model, load_model
model.compile('sgd', 'mse', metrics=['accuracy'])
model.fit(x, y, nb_epoch=1)
rows, factors = Input((8,)), Input((1,))
def loss_of(factor):
    return lambda y_true, y_pred: factor * y_pred
"""
OF_BATCH = "class Own(Callback):\n    def {}(self, batch, logs={{}}):\n        self.seen = {}"
MEAN, SEED = "mean of the epoch so far", "does not seed the weights"
# Lines -> what is said of them; nothing if there is nothing to say.
SAID = {
    OF_BATCH.format("on_batch_end", "logs.get('loss')"): MEAN,
    OF_BATCH.format("on_train_batch_end", "logs['acc']"): MEAN,
    OF_BATCH.format("on_batch_end", "logs[name]"): MEAN,
    OF_BATCH.format("on_batch_end", "logs"): MEAN,
    OF_BATCH.format("on_batch_end", "dict(logs)"): MEAN,
    OF_BATCH.format("on_batch_end", "[v for v in logs.values()]"): MEAN,
    OF_BATCH.format("on_batch_end", "0; logs = logs or {}; self.h.append(logs)"): MEAN,
    OF_BATCH.format("on_batch_end", "0; super().on_batch_end(batch, logs)"): "",
    OF_BATCH.format("on_batch_end", "0 if logs is None else list(logs.keys())"): "",
    OF_BATCH.format("on_batch_end", "self.logs['loss']"): "",
    OF_BATCH.format("on_batch_end", "logs.get('size')"): "",
    OF_BATCH.format("on_batch_end", "batch"): "",
    OF_BATCH.format("on_epoch_end", "logs.get('loss')"): "",
    OF_BATCH.format("on_batch_end", "logs.get('loss')").replace("(Callback)", ""): "",
    "LambdaCallback(on_batch_end=lambda batch, logs: print(logs['loss']))": MEAN,
    "LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs['loss']))": "",
    "tf.random.set_seed(1)": SEED,
    "tf.set_random_seed(1)\nkeras.utils.set_random_seed(1)": SEED,
    "model.compile('sgd', loss_of(factors))": "no number in it",
    "model.compile('sgd', loss=loss_of(factors))": "factors is no number in it",
    "model.compile('sgd', loss=loss_of(3))": "",
    "for row in csv.reader(f):\n    row['acc']\nCSVLogger('a.csv')": "'acc' is 'accuracy'",
    "for row in csv.reader(f):\n    row['loss']\nCSVLogger('a.csv')": "",
    "class Own(Layer):\n    pass\ntf.train.Checkpoint(net=Own())": "does not keep layers in a list",
    "tf.train.Checkpoint(net=RNN(cells))": "does not keep layers in a list",
    "tf.train.Checkpoint(net=model)": "",
    "class Net(Model):\n    pass\nload_model('folder')": "custom_objects={'Net': Net}",
    "class Net(Model):\n    pass\nload_model('folder', custom_objects=own)": "",
    "class Net(Model):\n    pass\nload_model('net.h5')": "",
    "class Net:\n    pass\nload_model('folder')": "",
}


@pytest.mark.parametrize("lines", SAID)
def test_what_is_said(lines):
    said = notes(rewritten(HEAD + lines + "\n"))
    every = (
        MEAN,
        SEED,
        "is no number in it",
        "a column of this",
        "does not keep",
        "custom_objects",
    )
    assert SAID[lines] in said
    assert sum(one in said for one in every) == bool(SAID[lines])


def test_a_seed_that_is_set_already_is_not_asked_for():
    said = notes(
        rewritten("import keras\nkeras.utils.set_random_seed(1)\n" + HEAD + "tf.random.set_seed(1)")
    )
    assert SEED not in said


def test_a_function_of_get_updates_is_one_step_with_its_placeholders():
    text = """
    from keras import backend as K
    from keras.optimizers import Adam
    rate = K.placeholder(shape=(None,))
    updates = Adam(lr=0.01).get_updates(params=model.trainable_weights, constraints=[], loss=rate)
    step = K.function(inputs=[model.input, rate], outputs=[rate], updates=updates)
    """
    findings = rewritten(text).findings
    told = {one.line: one.text for one in findings.undecided if "tf.GradientTape" in one.text}
    assert {4, 6} <= set(told)


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("for m in nets:\n    m.predict_proba(x)", "for m in nets:\n    m.predict(x)"),
        ("[m.predict_proba(x) for m in nets]", "[m.predict(x) for m in nets]"),
        ("nets[0].predict_proba(x)", "nets[0].predict(x)"),
        ("for m in forests:\n    m.predict_proba(x)", "for m in forests:\n    m.predict_proba(x)"),
        ("forests[0].predict_proba(x)", "forests[0].predict_proba(x)"),
    ],
)
def test_models_in_a_list_are_models(line, new):
    lists = "from sklearn.ensemble import RandomForestClassifier\n"
    lists += "nets = [load_model('%d.h5' % i) for i in range(2)]\n"
    lists += "forests = [RandomForestClassifier(), RandomForestClassifier()]\n"
    becomes(HEAD + lists, line, new)


def test_another_thing_that_saves_is_no_model():
    line = "saver = tf.train.Checkpoint(net=model)\nsaver.save('saved/net')"
    becomes("import tensorflow as tf\nx = tf.keras.optimizers.SGD(lr=0.1)\n", line, line)


def test_the_folder_of_a_saved_model_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """
    import tensorflow as tf
    net = tf.keras.models.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    net.compile(tf.keras.optimizers.SGD(lr=0.1), 'mse')
    net.save('saved/net')
    net = tf.keras.models.load_model('saved/net')
    """
    text = rewritten(text).text
    assert "os.makedirs('saved', exist_ok=True)\n" in text
    exec(text.replace("tf.keras", "keras"), {"keras": keras})  # noqa: S102
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["net.keras"]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a checkpoint of TensorFlow")
@pytest.mark.parametrize(
    ("held", "kept"), [("[layer]", False), ("{'a': layer}", False), ("layer", True)]
)
def test_a_checkpoint_of_tensorflow_loses_layers_in_lists(held, kept, tmp_path):
    import tensorflow as tf

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            layer = keras.layers.Dense(2)
            self.part = eval(held, {"layer": layer})
            self.ask = lambda rows: layer(rows)

        def call(self, rows):
            return self.ask(rows)

    net = Net()
    net(np.ones((1, 3), "float32"))
    before = net.get_weights()[0]
    saver = tf.train.Checkpoint(net=net)
    path = saver.save(str(tmp_path / "x"))
    net.set_weights([value + 1 for value in net.get_weights()])
    saver.restore(path).assert_consumed()
    assert np.array_equal(net.get_weights()[0], before) == kept
