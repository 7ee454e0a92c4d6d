"""Arguments without a name, seeds, and what is said first."""

import pytest
from lines_that_change import becomes, notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

# A call as Keras 1 or 2 had it -> as it is today.
CALLS = {
    "model.fit_generator(rows, 100, 10)": "model.fit(rows, steps_per_epoch=100, epochs=10)",
    "model.fit_generator(rows, 9, 2, 1, [], held, 5)": "model.fit(rows, steps_per_epoch=9, "
    "epochs=2, verbose=1, callbacks=[], validation_data=held, validation_steps=5)",
    "model.fit_generator(rows, 9, 2, 1, [], held, 5, None, 10, 4, True, False, 1)": "model."
    "fit(rows, steps_per_epoch=9, epochs=2, verbose=1, callbacks=[], validation_data=held, "
    "validation_steps=5, class_weight=None, shuffle=False, initial_epoch=1)",
    "model.fit_generator(rows, 9, epochs=2)": "model.fit(rows, steps_per_epoch=9, epochs=2)",
    "model.evaluate_generator(rows, 9)": "model.evaluate(rows, steps=9)",
    "model.predict_generator(rows, 9, 10, 4, True, 1)": "model.predict(rows, steps=9, verbose=1)",
    "SGD(0.1, 0.9, 0.0, True)": "SGD(0.1, momentum=0.9, nesterov=True)",
    "Adam(0.1, 0.9, 0.99, None, 0.0)": "Adam(0.1, beta_1=0.9, beta_2=0.99)",
    "Dense(3, 'normal')": "Dense(3, kernel_initializer='normal')",
    "EarlyStopping('val_acc', 0, 3)": "EarlyStopping('val_accuracy', 0, 3)",
    "ModelCheckpoint('{epoch}.hdf5', 'val_loss', 0, False, False, 'auto', 1)": "ModelCheckpoint("
    "'{epoch}.keras', 'val_loss', 0, False, False, 'auto')",
    "ModelCheckpoint('{epoch}.hdf5', 'val_loss', 0, False, False, 'auto', 2)": "PeriodicCheckpoint("
    "'{epoch}.keras', 'val_loss', 0, False, False, 'auto', period=2)",
    "Convolution2D(8, 3, 2)": "Convolution2D(8, (3, 2))",
}
HEAD = """
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import Convolution2D, Dense
from keras.models import Sequential
from keras.optimizers import Adam, SGD
model = Sequential()
model.compile('sgd', 'mse', ['accuracy'])
model.fit(x, y, epochs=1, workers=4)
"""


@pytest.mark.parametrize("call", CALLS)
def test_arguments_by_their_place(call):
    becomes(HEAD, f"made = {call}", f"made = {CALLS[call]}")


def test_a_number_of_samples_is_divided_where_the_batch_is_seen():
    text = """
        from keras.preprocessing.image import ImageDataGenerator
        model.fit(x, y, nb_epoch=1)
        rows = ImageDataGenerator().flow(x, y, batch_size=8)
        model.fit_generator(rows, 800, 10)
        """
    made = rewritten(text)
    assert "steps_per_epoch=100, epochs=10)" in made.text and "divide" not in notes(made)


# A second line -> whether 100 may be a number of samples, which the reader has to know.
AGES = {
    "model.fit(x, y, nb_epoch=1)": "100 was a number of samples",
    "model.fit(x, y, batch_size=2)": "in Keras 1 this was a number of samples",
    "model.fit(x, y, epochs=1)": "",
    "import tensorflow.keras": "",
}


@pytest.mark.parametrize("line", AGES)
def test_the_age_of_a_script_says_what_the_second_argument_counts(line):
    text = f"from keras.models import Sequential\nmodel = Sequential()\n{line}\n"
    new = "model.fit(rows, steps_per_epoch=100, epochs=10)"
    becomes(text, "model.fit_generator(rows, 100, 10)", new, AGES[line])


# A line that seeds -> what becomes of it.
SEEDS = {
    "numpy.random.seed(7)": "keras.utils.set_random_seed(7)",
    "numpy.random.seed(SEED)": "keras.utils.set_random_seed(SEED)",
    "numpy.random.seed(4294967296)": "numpy.random.seed(4294967296)",
    "numpy.random.seed(None)": "numpy.random.seed(None)",
    "numpy.random.seed()": "numpy.random.seed()",
    "random.seed(7)": "random.seed(7)",
    "generator.seed(7)": "generator.seed(7)",
    "numpy.random.seed(7); keras.utils.set_random_seed(3)": "numpy.random.seed(7); "
    "keras.utils.set_random_seed(3)",
}


@pytest.mark.parametrize("line", SEEDS)
def test_a_seed_is_kept_or_seeds_the_weights_as_well(line):
    text = "import keras\nimport numpy\nmodel.fit(x, y, nb_epoch=1)\n"
    said = "" if SEEDS[line] == line else "the same order in every epoch"
    becomes(text, line, SEEDS[line], said)


def test_a_script_of_today_keeps_its_seed_and_is_told():
    made = rewritten("import keras\nimport numpy\nnumpy.random.seed(7)\nmodel.fit(x, y)\n")
    assert not made.changed and "numpy.random.seed(7)" in made.text
    assert "write keras.utils.set_random_seed(7)" in notes(made)


# A line of TensorFlow 1 -> what is named, or nothing where Keras needs no graph for it.
FIRST = {
    "rows = tf.placeholder(tf.float32, [None, 3])": "tf.placeholder",
    "hidden = tf.layers.dense(rows, 3)": "tf.layers.dense",
    "from tensorflow.contrib import slim": "tensorflow.contrib.slim",
    "session.run(loss, feed_dict={rows: x})": "feed_dict",
    "entry = keras.layers.Input(tensor=rows)": "Input(tensor=",
    "saver = tf.train.Saver()": "tf.train.Saver",
    "session = tf.Session()": "",
    "tf.set_random_seed(7)": "",
}


@pytest.mark.parametrize("line", FIRST)
def test_code_of_tensorflow_1_is_said_before_all_else(line):
    text = f"import keras\nimport tensorflow as tf\nmodel.fit(x, y, nb_epoch=1)\n{line}\n"
    made = rewritten(text)
    said = str(made).splitlines()
    assert ("First of all, line 4" in said[1]) == bool(FIRST[line])
    if FIRST[line]:
        assert FIRST[line] in said[1] and "tensorflow==1.15" in said[1]
        assert "\nmodel.fit(x, y, epochs=1)\n" in made.text  # the rest is rewritten all the same


def test_the_first_of_several_lines_is_said_with_what_else_there_is():
    text = "import keras\nimport tensorflow as tf\na = tf.layers.dense(x, 3)\ntf.train.Saver()\n"
    (said,) = [one for one in str(rewritten(text)).splitlines() if "First of all" in one]
    assert "line 3" in said and "tf.layers.dense, tf.train.Saver" in said


def test_a_script_with_no_old_line_is_told_of_tensorflow_1_too():
    text = "import keras\nimport tensorflow as tf\nrows = tf.placeholder(tf.float32, [None, 3])\n"
    made = rewritten(text)
    assert not made.changed and "First of all, line 3" in str(made)


def test_what_changes_in_code_of_tensorflow_1_is_not_denied():
    text = "import keras\nimport tensorflow as tf\na = tf.placeholder(tf.float32)\nb = tf.log(a)\n"
    made = rewritten(f"{text}keras.optimizers.Adam(lr=1)\n")
    assert "b = tf.math.log(a)" in made.text
    assert "at most a name in it becomes that of TensorFlow 2" in made.findings.foremost.text


# How gradients of tensors are asked for -> whether a script with no other old line is told, too.
GRADIENTS = {
    "from keras import backend as K\nK.gradients(model.output, model.input)": True,
    "from tensorflow.keras import backend as K\nK.gradients(model.output, model.input)": False,
    "import keras, tensorflow as tf\ntf.gradients(model.output, model.input)": False,
    "from keras import backend as K\nfrom functools import partial\ndef penalty(y, p, rows):\n"
    "    return K.gradients(p, rows)[0]\nmodel.compile('sgd', partial(penalty, rows=rows))": True,
}


@pytest.mark.parametrize("text", GRADIENTS)
def test_gradients_of_tensors_are_not_said_to_run_on_tensorflow(text):
    for more, told in (("", GRADIENTS[text]), ("\nmodel.fit(x, y, nb_epoch=1)", True)):
        said = notes(rewritten(f"{text}{more}\n"))
        assert ("tape.gradient(y, x)" in said) == told and "only TensorFlow" not in said


def test_the_lines_of_a_call_keep_their_layout():
    only(
        """
        from keras.models import Sequential
        model = Sequential()
        model.fit_generator(
            generator=rows,  # pairs
            nb_epoch=1,
            steps_per_epoch=2,
        )
        """,
        {
            "model.fit_generator(": "model.fit(",
            "generator=rows,  # pairs": "rows,  # pairs",
            "nb_epoch=1,": "epochs=1,",
        },
    )
