"""`compile`, and what is read from `evaluate` and from a history."""

import pytest
from lines_that_change import becomes, notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = "import keras\nmodel.fit(x, y, nb_epoch=1)\n"
# A line of Keras 2 -> today's.
LINES = {
    "model.compile('adam', 'mse', ['mae'])": "model.compile('adam', 'mse', metrics=['mae'])",
    "model.compile('adam', 'mse', [f], [1, 2])": "model.compile('adam', 'mse', metrics=[f], "
    "loss_weights=[1, 2])",
    "model.compile('adam', 'mse', mine)": "model.compile('adam', 'mse', metrics=mine)",
    "model.compile('adam', 'mse', {'a': 'mae'})": "model.compile('adam', 'mse', "
    "metrics={'a': 'mae'})",
    "rates = model.fit(x, y).history['lr']": "rates = model.fit(x, y).history['learning_rate']",
    "model.fit(x, y, class_weight='auto')": "model.fit(x, y)",
    "d = dict(zip(model.metrics_names, model.evaluate(x, y)))": "d = dict(model.evaluate(x, y, "
    "return_dict=True).items())",
}
STAY = [
    "model.compile('adam', 'mse', [0.5, 0.5])",
    "model.compile('adam', 'mse', {'a': 0.5})",
    "model.fit(x, y, 8, 1, class_weight={0: 1.0, 1: 3.0})",
    "rate = {'lr': 3}['lr']",
    "d = dict(zip(model.metrics_names, other.evaluate(x, y)))",
    "d = dict(zip(model.metrics_names, scores))",
    "names = model.metrics_names",
]


@pytest.mark.parametrize("line", LINES)
def test_the_line_is_that_of_today(line):
    result = becomes(HEAD, line, LINES[line])
    assert ("weigh the same" in notes(result)) == ("class_w" in line)


@pytest.mark.parametrize("line", STAY)
def test_the_line_stays(line):
    becomes(HEAD, line, line, "return_dict=True" if "metrics_names" in line else "")


def test_lr_in_the_logs_of_a_callback():
    text = """
        from keras.callbacks import Callback
        class Show(Callback):
            def on_epoch_end(self, epoch, logs=None):
                print(logs['lr'])
                print(logs.get('lr'))
        """
    changes = {"print(logs['lr'])": "print(logs['learning_rate'])"}
    changes["print(logs.get('lr'))"] = "print(logs.get('learning_rate'))"
    only(text, changes)


# An import of Keras 1 -> what stands in a line that needs it.
GONE = {
    "from keras.utils.np_utils import probas_to_classes": "classes = map(probas_to_classes, rows)",
    "from keras.models import model_from_yaml": "loaders = [model_from_yaml]",
    "from keras.metrics import fbeta_score": "score = fbeta_score",
    "from keras.layers import merge": "ways = dict(one=merge)",
}


@pytest.mark.parametrize("line", GONE)
def test_a_name_that_is_gone_is_said(line):
    result = rewritten(f"{line}\n{GONE[line]}\nmodel.fit(x, nb_epoch=1)\n")
    assert [one.line for one in result.findings.undecided] == [1]
    if "fbeta" not in line:
        name = line.split()[-1]
        called = rewritten(f"{line}\nmade = {name}(x)  # {name}\nmodel.fit(x, nb_epoch=1)\n")
        assert "without a call" not in notes(called)


def test_an_import_under_another_name_keeps_it():
    only(
        "from keras.models import model_from_yaml as read\nmodel = read(text)\n",
        {
            "from keras.models import model_from_yaml as read": "from keras.models import "
            "model_from_json as read"
        },
    )


TWO_MODELS = """
from keras.callbacks import EarlyStopping, ModelCheckpoint
one.compile('adam', 'mse', metrics=['acc'])
two.compile('adam', 'mse', metrics=['accuracy'])
kept = ModelCheckpoint('a-{val_acc:.2f}.keras', monitor='val_acc')
saver = ModelCheckpoint('b-{val_acc:.2f}.hdf5', monitor='val_acc')
first = one.fit(x, y, nb_epoch=1, callbacks=[kept, EarlyStopping('val_acc')])
given = [saver, EarlyStopping('val_acc')]
second = two.fit(x, y, nb_epoch=1, callbacks=given)
print(first.history['acc'], one.fit(x, y).history['val_acc'])
print(second.history['acc'])
print(second.history['val_acc'][-1], two.fit(x, y).history['acc'])
"""


def test_two_models_keep_their_names_apart():
    lines = [line for line in TWO_MODELS.splitlines() if line]
    new = {line: line for line in lines if "nb_epoch" in line}
    new = {line: line.replace("nb_epoch", "epochs") for line in new}
    new |= {line: line.replace("acc", "accuracy") for line in lines if "second.h" in line}
    new |= {line: line.replace("acc'", "accuracy'") for line in lines if "given = " in line}
    new |= {
        line: line.replace("val_acc", "val_accuracy").replace("hdf5", "keras")
        for line in lines
        if "saver = " in line
    }
    only(TWO_MODELS, new)
    assert "write the name" not in notes(rewritten(TWO_MODELS))


@pytest.mark.parametrize(
    "line",
    [
        "show = lambda history: history.history['acc']",
        "other = EarlyStopping('val_acc')",
        "other = ModelCheckpoint('c-{val_acc:.2f}.keras')",
    ],
)
def test_where_the_model_is_not_seen_the_name_stays_and_is_said(line):
    becomes(TWO_MODELS, line, line, "write the name")


OF_ONE_OUTPUT = {
    "ModelCheckpoint('a.keras', monitor='val_a_acc')": "ModelCheckpoint('a.keras', "
    "monitor='val_a_accuracy')",
    "ModelCheckpoint('a.keras', 'val_a_acc', 0, True, False, 'auto')": "ModelCheckpoint('a.keras', "
    "'val_a_accuracy', 0, True, False, 'max')",
    "EarlyStopping(monitor='a_accuracy', mode='auto')": "EarlyStopping(monitor='a_accuracy', "
    "mode='max')",
    "EarlyStopping('val_a_acc', mode='min')": "EarlyStopping('val_a_accuracy', mode='min')",
    "EarlyStopping('val_acc')": "EarlyStopping('val_accuracy')",
    "EarlyStopping('val_a_loss')": "EarlyStopping('val_a_loss', mode='min')",
}


@pytest.mark.parametrize("call", OF_ONE_OUTPUT)
def test_the_accuracy_of_one_output_is_to_grow(call):
    text = "from keras.callbacks import EarlyStopping, ModelCheckpoint\n"
    text += "model.compile('sgd', 'mse', metrics={'a': 'accuracy'})\n"
    text += "model.fit(x, y, nb_epoch=1)\n"
    becomes(text, call, OF_ONE_OUTPUT[call])


def test_outputs_that_are_set_are_said():
    result = rewritten("import keras\nmodel = keras.Sequential()\nmodel.outputs = [last]\n")
    assert [one.line for one in result.findings.undecided] == [3]
