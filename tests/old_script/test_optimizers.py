"""Optimizers: what they were asked for, and how a script comes by them."""

import keras
import pytest
from lines_that_change import becomes, notes, rewritten

HEAD = """
import keras
import tensorflow as tf
from tensorflow.optimizers import SGD
from keras.models import Sequential
model = Sequential()
mine = keras.optimizers.Adam(lr=0.1)
def step(given):
    given.lr = 0.5
step(mine)
settings = mine.get_config()
late = None
late = keras.optimizers.SGD() if small else mine
args = parser.parse_args()
"""
ARRAYS = "[keras.ops.convert_to_numpy(one) for one in {}.variables]"
# An old line -> (today's, a piece of what is said).
LINES = {
    "tf.optimizers.Adam(lr=0.1)": ("tf.optimizers.Adam(learning_rate=0.1)", ""),
    "SGD(lr=0.1)": ("SGD(learning_rate=0.1)", ""),
    "rate = mine.lr.numpy()": ("rate = mine.learning_rate.numpy()", ""),
    "rate = late.lr": ("rate = late.learning_rate", ""),
    "rate = args.lr": ("rate = args.lr", ""),
    "rate = mine._decayed_lr(tf.float32)": ("rate = mine.learning_rate", ""),
    "state = mine.get_weights()": (f"state = {ARRAYS.format('mine')}", ""),
    "state = model.optimizer.get_weights()": (f"state = {ARRAYS.format('model.optimizer')}", ""),
    "state = model.get_weights()": ("state = model.get_weights()", ""),
    "state = mine.variables()": ("state = mine.variables", ""),
    "state = model.optimizer.weights": ("state = model.optimizer.variables", ""),
    "mine.set_weights(state)": ("mine.set_weights(state)", "build(model.trainable_variables)"),
    "model.set_weights(state)": ("model.set_weights(state)", ""),
    "mine.get_updates(a, b)": ("mine.get_updates(a, b)", "tf.GradientTape"),
    "mine._get_hyper('lr')": ("mine._get_hyper('lr')", "read and set its attributes"),
    "rate = mine.get_config()['lr']": ("rate = mine.get_config()['learning_rate']", ""),
    "rate = settings['lr']": ("rate = settings['learning_rate']", ""),
    "rate = mine.get_config()['decay']": ("rate = mine.get_config()['decay']", "InverseTimeDecay"),
    "rate = other['lr']": ("rate = other['lr']", ""),
    "rate = model.optimizer.decay": ("rate = model.optimizer.decay", "InverseTimeDecay"),
    "rate = optimizer.lr": ("rate = optimizer.lr", "if this is an optimizer of Keras"),
    "model.compile(mine, 'mse', experimental_run_tf_function=False)": (
        "model.compile(mine, 'mse')",
        "",
    ),
    "model.compile(mine, 'mse', distribute=None, target_tensors=None)": (
        "model.compile(mine, 'mse')",
        "",
    ),
    "model.compile(mine, 'mse', experimental_steps_per_execution=2)": (
        "model.compile(mine, 'mse', steps_per_execution=2)",
        "",
    ),
    "tf.train.experimental.enable_mixed_precision_graph_rewrite(mine, 'dynamic')": (
        "mine",
        "set_global_policy('mixed_float16')",
    ),
    "keras.callbacks.ModelCheckpoint('a.keras', load_weights_on_restart=True)": (
        "keras.callbacks.ModelCheckpoint('a.keras')",
        "before fit write model.load_weights(path)",
    ),
    "keras.callbacks.ModelCheckpoint('a.keras', load_weights_on_restart=False)": (
        "keras.callbacks.ModelCheckpoint('a.keras')",
        "",
    ),
    "keras.callbacks.ModelCheckpoint('a.keras', options=None)": (
        "keras.callbacks.ModelCheckpoint('a.keras')",
        "",
    ),
    "model.compile(mine, metrics=['kld']); asked = logs['kld']": (
        "model.compile(mine, metrics=['kl_divergence']); asked = logs['kld']",
        "asks for kld, write the new name",
    ),
    "value = model.uses_learning_phase": ("value = model.uses_learning_phase", "training=True"),
}


@pytest.mark.parametrize("line", LINES)
def test_what_an_optimizer_is_asked_for(line):
    new, said = LINES[line]
    result = becomes(HEAD, line, new, said)
    assert "    given.learning_rate = 0.5\n" in result.text
    assert "from tensorflow.keras.optimizers import SGD\n" in result.text


@pytest.mark.parametrize("line", ["optimizer.lr = 0.1", "model.uses_learning_phase"])
def test_what_fails_is_said_of_a_script_with_no_other_old_line(line):
    made = rewritten(f"import keras\n{line}\n")
    assert not made.changed and notes(made)
    assert not notes(rewritten(f"import keras\nimport torch\n{line.replace('model.', 'net.')}\n"))


def test_an_assignment_to_lr_does_nothing_today():
    optimizer = keras.optimizers.Adam(0.25)
    optimizer.lr = 0.5
    assert float(optimizer.learning_rate) == 0.25
    for name in ("get_weights", "weights", "decay", "get_updates", "_decayed_lr"):
        assert not hasattr(optimizer, name)


def test_what_is_kept_of_an_optimizer_can_be_given_back():
    first, second = keras.optimizers.Adam(), keras.optimizers.Adam()
    weight = keras.Variable([1.0])
    first.apply_gradients([(keras.ops.ones((1,)), weight)])
    second.build([weight])
    second.set_weights([keras.ops.convert_to_numpy(one) for one in first.variables])
    assert int(second.iterations) == 1


# How a picture was read -> how it is.
PICTURES = {
    "load_img(a, grayscale=True)": "load_img(a, color_mode='grayscale')",
    "load_img(a, grayscale=False, target_size=b)": "load_img(a, color_mode='rgb', target_size=b)",
    "load_img(a, grayscale=gray)": "load_img(a, color_mode='grayscale' if gray else 'rgb')",
    "load_img(a, True, b)": "load_img(a, color_mode='grayscale', target_size=b)",
    "load_img(a, False, 'rgba', b)": "load_img(a, color_mode='rgba', target_size=b)",
    "load_img(a, 'grayscale', b)": "load_img(a, 'grayscale', b)",
    "load_img(a, grayscale=False, color_mode='rgb')": "load_img(a, color_mode='rgb')",
    "load_img(a, target_size=b)": "load_img(a, target_size=b)",
}


@pytest.mark.parametrize("call", PICTURES)
@pytest.mark.parametrize("module", ["preprocessing.image", "utils"])
def test_a_gray_picture(call, module):
    head = f"from keras.{module} import load_img\nmodel.fit(x, y, nb_epoch=1)\n"
    becomes(head, f"image = {call}", f"image = {PICTURES[call]}", "")


def test_two_models_that_shared_an_optimizer_are_told_of_its_steps():
    text = "from keras.models import Sequential\nfrom keras.optimizers import Adam\n"
    text += "one, two = Sequential(), Sequential()\nmine = Adam(lr=0.1)\none.compile(mine, 'mse')\n"
    assert "count of steps" not in notes(rewritten(text))
    assert "count of steps" in notes(rewritten(text + "two.compile(mine, 'mse')\n"))
