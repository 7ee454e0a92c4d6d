"""Names and settings that stand elsewhere: in variables, loops, dictionaries, other functions."""

import pytest
from lines_that_change import becomes, notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = """
import keras
from keras.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from keras.layers import *
from keras.models import Sequential
model = Sequential()
model.compile('sgd', 'mse', metrics=['accuracy'])
h = model.fit(x, y, nb_epoch=1)
"""
# Lines of a script -> the piece of them that changes, and today's.
QUANTITIES = {
    "name = 'val_acc'\nEarlyStopping(name)": ("val_acc", "val_accuracy"),
    "def stop(name='val_acc'):\n    return EarlyStopping(monitor=name)": (
        "val_acc",
        "val_accuracy",
    ),
    "def stop(name):\n    return EarlyStopping(name)\nstop('val_acc')": ("val_acc", "val_accuracy"),
    "plan = {'to': {'watch': 'val_acc'}}\nEarlyStopping(plan['to']['watch'])": (
        "val_acc",
        "val_accuracy",
    ),
    "for key in ['acc', 'loss']:\n    print(h.history[key])": ("'acc", "'accuracy"),
    "for key in ('acc',):\n    print(h.history['val_' + key])": ("'acc", "'accuracy"),
    "class Stop(Callback):\n    name = 'acc'\n    def on_epoch_end(self, epoch, logs):\n"
    "        print(logs.get(self.name))": ("'acc", "'accuracy"),
    "LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs['acc']))": ("acc", "accuracy"),
    "name = 'acc'\nrows = {'acc': 1}\nprint(rows[name])": ("", ""),
    "name = 'val_acc'\nprint(name)": ("", ""),
    "plan = plan['train']\nEarlyStopping(plan['watch'])": ("", ""),
}


@pytest.mark.parametrize("lines", QUANTITIES)
def test_the_name_of_a_quantity_follows_from_where_it_is_used(lines):
    becomes(HEAD, lines, lines.replace(*QUANTITIES[lines]), "")


def test_a_name_that_is_used_for_something_else_too_is_said():
    lines = "rows = {'acc': 1}\nfor key in ['acc']:\n    print(h.history[key], rows[key])"
    becomes(HEAD, lines, lines, "not used for that alone")


def test_the_mode_of_a_quantity_that_stands_elsewhere():
    lines = "name = 'val_out_acc'\nEarlyStopping(name)"
    new = "name = 'val_out_accuracy'\nEarlyStopping(name, mode='max')"
    becomes(HEAD, lines, new)


def test_each_fit_has_the_names_of_the_compile_before_it():
    text = HEAD.replace("['accuracy']", "['acc']")
    lines = "h = model.fit(x, y, epochs=1)\nmodel.compile('sgd', 'mse', metrics=['accuracy'])\n"
    lines += "def other():\n    model = Sequential()\n    model.compile('sgd', metrics=['acc'])\n"
    lines += "print(model.fit(x, y, epochs=1).history['acc'], h.history['val_acc'])"
    becomes(text, lines, lines.replace("['acc'], h", "['accuracy'], h"))


CHECKPOINT = """
import keras, os
from keras.callbacks import ModelCheckpoint
plan = {'saving': {'folder': 'ck', 'name': 'w-{val_acc:.2f}.hdf5'}}
def keep(settings):
    part = settings['saving']
    return ModelCheckpoint(os.path.join(part['folder'], part['name']))
keep(plan)
model.compile('sgd', 'mse', metrics=['accuracy'])
"""


def test_a_file_name_in_a_dictionary_of_dictionaries():
    old = "plan = {'saving': {'folder': 'ck', 'name': 'w-{val_acc:.2f}.hdf5'}}"
    only(CHECKPOINT, {old: old.replace("acc", "accuracy").replace("hdf5", "keras")})


# What follows the test for the ending -> whether the number of characters is certain.
CUTS = {"name[:-5]": True, "other[:-5]": False, "name[:-4]": None}


@pytest.mark.parametrize("cut", CUTS)
def test_what_is_cut_off_where_the_ending_is_tested(cut):
    lines = "for name in os.listdir('ck'):\n    if name.endswith('.hdf5'):\n        print({})"
    new = lines.replace(".hdf5", ".keras").format(cut.replace("5", "6") if CUTS[cut] else cut)
    said = "write [:-6]" if CUTS[cut] is False else ""
    becomes(CHECKPOINT, lines.format(cut), new, said)


GENERATOR = """
import keras
def batches():
    for row in x:
        yield {}
model = keras.Sequential()
model.fit(x, y, nb_epoch=1)
rows = batches()
"""
WRAPPED = "(batch if isinstance(batch, tuple) else (batch,) for batch in {})"


@pytest.mark.parametrize("given", ["rows", "batches()"])
@pytest.mark.parametrize("yields", ["row", "row[None]", "(row, 1)", "row, 1"])
def test_a_generator_to_predict_from_yields_tuples(given, yields):
    new = given if "1" in yields else WRAPPED.format(given)
    head = GENERATOR.format(yields)
    becomes(head, f"model.predict_generator({given}, steps=2)", f"model.predict({new}, steps=2)")
    becomes(head, "model.predict(other(), steps=2)", "model.predict(other(), steps=2)")


@pytest.mark.parametrize(
    ("line", "follows"), [("model.load_weights(newest)", True), ("saver.restore(newest)", False)]
)
def test_the_newest_file_of_keras_beside_checkpoints_of_tensorflow(line, follows):
    text = "import tensorflow as tf\nmodel.save_weights('s/cp.ckpt')\n"
    text += "saver = tf.train.Checkpoint(net=model)\nnewest = tf.train.latest_checkpoint('s')\n"
    assert ("getmtime" in rewritten(f"{text}{line}\n").text) == follows


# The metrics of compile -> the names that stand for `model.metrics_names`.
NAMES = {
    "['mae', 'mse']": "['loss', 'mae', 'mse']",
    "[f, 'mse']": "model.metrics_names",
    "['mae']\nkeras.Model(a, [b, c])": "model.metrics_names",
}


@pytest.mark.parametrize("metrics", NAMES)
def test_the_list_of_all_metrics(metrics):
    head = f"import keras\nmodel.fit(x, y, nb_epoch=1)\nm = {metrics}\n"
    head += "model.compile('sgd', 'mse', metrics=m)\n"
    said = "return_dict=True" if "names" in NAMES[metrics] else ""
    becomes(head, "a = zip(model.metrics_names, b)", f"a = zip({NAMES[metrics]}, b)", said)


# A call that takes its arguments from a dictionary -> whether they get their names as it runs.
SPREAD = {
    "keras.optimizers.SGD(**settings)": True,
    "{'a': keras.optimizers.SGD, 'b': keras.optimizers.Adam}[kind](**settings)": True,
    "getattr(keras.optimizers, kind)(**settings)": True,
    "made(**settings)": True,
    "keras.optimizers.get(**settings)": False,
    "{'a': keras.optimizers.SGD, 'b': mine}[kind](**settings)": False,
    "other(**settings)": False,
    "keras.optimizers.SGD(*settings)": False,
}


@pytest.mark.parametrize("line", SPREAD)
def test_the_arguments_of_an_optimizer_from_settings(line):
    head = "import keras\nmade = keras.optimizers.Adam\nmodel.fit(x, nb_epoch=1)\n"
    new = line.replace("**settings", "**words_of_today(settings)") if SPREAD[line] else line
    result = becomes(head, line, new)
    again = rewritten(result.text)
    assert not again.changed


@pytest.mark.parametrize("callback", ["", "keras.callbacks.LearningRateScheduler(f)\n"])
def test_the_decay_in_settings(callback):
    names = {"kind": "SGD", "settings": {"lr": 0.5, "decay": 0.1, "momentum": 0.9}}
    head = f"import keras\nmodel.fit(x, nb_epoch=1)\n{callback}"
    text = rewritten(f"{head}getattr(keras.optimizers, kind)(**settings)\n").text
    code = text.partition("def words_of_today")[2].partition("\n\n\n")[0]
    names["InverseTimeDecay"] = names["keras"] = lambda *given: given
    code = code.replace("keras.optimizers.schedules.", "")
    exec(f"def words_of_today{code}", names)  # noqa: S102
    found = names["words_of_today"](names["settings"])
    assert found == {"learning_rate": 0.5 if callback else (0.5, 1, 0.1), "momentum": 0.9}
    assert names["settings"]["lr"] == 0.5


TWO = """
from keras.layers import Dense, Merge
from keras.models import Sequential
one = Sequential([Dense(2, input_dim=8)])
two = Sequential([Dense(2, input_dim=8)])
both = Sequential()
"""
# The arguments of Merge -> what joins the outputs; None where the reader has to write it.
MODES = {
    "[one, two], mode='concat'": "concatenate([*one.outputs, *two.outputs])",
    "[one, two], mode='concat', concat_axis=1": "concatenate([*one.outputs, *two.outputs], axis=1)",
    "[one, two], mode='sum'": "keras_add([*one.outputs, *two.outputs])",
    "[one, two]": "keras_add([*one.outputs, *two.outputs])",
    "[one, two], mode='dot', dot_axes=1": "keras_dot([*one.outputs, *two.outputs], axes=1)",
    "[one, two], mode=lambda parts: parts[0]": None,
    "[one, make()], mode='concat'": None,
    "parts, mode='concat'": None,
}


@pytest.mark.parametrize("given", MODES)
def test_networks_that_are_joined(given):
    lines = f"both.add(Merge({given}))\nboth.add(Dense(1, init='normal'))"
    new = f"both = Model([*one.inputs, *two.inputs], {MODES[given]})\n"
    new += "both = Model(both.inputs, Dense(1, kernel_initializer='normal')(both.outputs[0]))"
    if MODES[given] is None:
        new = lines.replace("init=", "kernel_initializer=")
    result = becomes(TWO, lines, new)
    assert ("Merge(" in notes(result)) == (MODES[given] is None)


# The second argument in a script of Keras 1 -> the steps that it becomes.
COUNTS = {"800": "100", "800 // 8": "800 // 8", "int(np.ceil(n / 8))": "int(np.ceil(n / 8))"}


@pytest.mark.parametrize("count", COUNTS)
def test_a_quotient_counts_batches(count):
    head = "import keras\nfrom tensorflow.keras.preprocessing.image import ImageDataGenerator\n"
    head += "model.fit(x, y, nb_epoch=1)\nrows = ImageDataGenerator().flow(x, y, batch_size=8)\n"
    new = f"model.evaluate(rows, steps={COUNTS[count]})"
    becomes(head, f"model.evaluate_generator(rows, {count})", new)
