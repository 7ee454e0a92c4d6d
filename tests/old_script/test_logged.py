"""Which dictionaries hold what Keras logged: only their keys get the names of today."""

import pytest
from lines_that_change import becomes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

COMPILED = "model.compile('sgd', 'mse', metrics=['accuracy'])"
# What a key is asked of -> whether Keras logged it.
LOGGED = {
    "what fit returns": ("history = model.fit(x, y, epochs=1)", "history.history['acc']", True),
    "its dictionary": ("found = model.fit(x, y).history", "found['acc']", True),
    "its copy": ("found = dict(model.fit(x, y).history)", "found['acc']", True),
    "another copy": ("found = model.fit(x, y).history.copy()", "found['acc']", True),
    "a table": (
        "import pandas\nfound = pandas.DataFrame(model.fit(x, y).history)",
        "found['acc']",
        True,
    ),
    "the callback": ("saved = keras.callbacks.History()", "saved.history['acc']", True),
    "the model": ("", "model.history.history['acc']", True),
    "a dictionary of the script": ("history = {'acc': []}", "history['acc']", False),
    "a default dictionary": (
        "import collections\nhistory = collections.defaultdict(list)",
        "history['acc']",
        False,
    ),
    "an object of the script": (
        "class Tracker:\n    pass\ntracker = Tracker()",
        "tracker.history['acc']",
        False,
    ),
    "both": ("history = {}\nhistory = model.fit(x, y).history", "history['acc']", None),
    "nothing that is seen": ("", "history['acc']", None),
}


@pytest.mark.parametrize("case", LOGGED)
def test_only_a_key_of_keras_changes(case):
    before, asked, of_keras = LOGGED[case]
    text = f"import keras\n{COMPILED}\n{before}\nkeras.optimizers.Adam(lr=0.1)\n"
    new = asked.replace("'acc'", "'accuracy'") if of_keras else asked
    said = "is not seen to come from fit" if of_keras is None else ""
    becomes(text, f"print({asked})", f"print({new})", said)


# A method of a callback and whether `logs` is what Keras passes.
METHODS = {
    "def on_epoch_end(self, epoch, logs={}):": True,
    "def on_batch_end(self, batch, values):": True,
    "def on_train_end(self, logs=None):": True,
    "def report(self, epoch, logs):": False,
}


@pytest.mark.parametrize("method", METHODS)
def test_logs_are_the_argument_that_keras_passes(method):
    name = "values" if "values" in method else "logs"
    text = f"""
        from keras.callbacks import Callback
        {COMPILED}
        class Tell(Callback):
            {method}
                print({name}['acc'], {name}.get('acc'))
        model.fit(x, y, nb_epoch=1)
        """
    assert ("accuracy'], " in rewritten(text).text) == METHODS[method]
    assert ("get('accuracy')" in rewritten(text).text) == METHODS[method]


def test_logs_of_a_class_that_is_no_callback_stay():
    text = f"""
        import keras
        {COMPILED}
        class Tell(object):
            def on_epoch_end(self, epoch, logs):
                print(logs['acc'])
        model.fit(x, y, nb_epoch=1)
        """
    only(text, {"model.fit(x, y, nb_epoch=1)": "model.fit(x, y, epochs=1)"})
