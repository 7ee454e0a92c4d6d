"""What scripts of a course's folder have beside what one script shows."""

import old_script
import pytest
from lines_that_change import becomes, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = """
from keras.layers import Dense, Embedding, Input, LSTM
from keras.models import Model, Sequential
model = Sequential()
model.add(LSTM(4, batch_input_shape=(1, 3, 1), stateful=True, return_sequences=True))
"""
FIRST = """
import os
from keras.layers import Dense
from keras.models import Sequential
from keras.callbacks import ModelCheckpoint
model = Sequential([Dense(1, input_shape=(3,))])
model.fit(x, y, callbacks=[ModelCheckpoint('net.{epoch}.hdf5', save_weights_only=True)])
newest = max(f for f in os.listdir('.') if f.endswith('.hdf5'))
model.load_weights(newest)
"""


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("LSTM(4, batch_input_shape=(1, 3, 1), stateful=True)", "LSTM(4, stateful=True)"),
        ("Dense(4, input_shape=(3,))", "Dense(4)"),
        ("Dense(4, input_dim=3)", "Dense(4)"),
        ("LSTM(4, input_dim=3, input_length=5)", "LSTM(4)"),
    ],
)
def test_a_later_layer_is_not_told_its_shape(line, new):
    becomes(HEAD, f"model.add({line})", f"model.add({new})")
    made = rewritten(f"{HEAD}both = Sequential([Input((3, 1)), {line}])\n")
    assert made.text.endswith(f"both = Sequential([Input((3, 1)), {new}])\n")


def test_a_first_layer_in_a_branch_keeps_its_shape():
    """Whether a layer is the first one is not seen there."""
    text = f"{HEAD}if small:\n    other = Sequential()\nother.add(Dense(4, input_shape=(3,)))\n"
    assert "other.add(Dense(4, input_shape=(3,)))" in rewritten(text).text


def test_a_definition_stands_before_what_uses_it():
    """Notebooks and pasted scripts import between other lines."""
    text = """
import keras
from keras.callbacks import ModelCheckpoint
saving = ModelCheckpoint('{epoch}.hdf5', period=2)
import glob
print(glob.glob('*'))
"""
    lines = rewritten(text).text.splitlines()
    (use,) = [i for i, line in enumerate(lines) if line.startswith("saving =")]
    (definition,) = [i for i, line in enumerate(lines) if line.startswith("class Periodic")]
    base = lines.index("from keras.callbacks import ModelCheckpoint")
    assert base < definition < use


def test_the_own_files_are_looked_for_under_their_new_ending(tmp_path):
    """Another script of the folder saves a whole model under the same ending."""
    (tmp_path / "first.py").write_text(FIRST)
    (tmp_path / "second.py").write_text(
        "from keras.callbacks import ModelCheckpoint\n"
        "model.fit(x, y, callbacks=[ModelCheckpoint('b.hdf5')])\n"
    )
    texts = {one.source.name: one.text for one in old_script.rewrite(tmp_path)}
    assert "f.endswith('.weights.h5')" in texts["first.py"]
    assert "ModelCheckpoint('b.keras')" in texts["second.py"]


@pytest.mark.parametrize(
    ("given", "outputs", "made"),
    [
        ("['mae']", "[one, two]", "[['mae'], ['mae']]"),
        ("['mae', 'mse']", "[one, two]", "[['mae', 'mse'], ['mae', 'mse']]"),
        ("['mae']", "[one]", "['mae']"),
        ("['mae']", "one", "['mae']"),
        ("[['mae'], []]", "[one, two]", "[['mae'], []]"),
        ("{'a': 'mae'}", "[one, two]", "{'a': 'mae'}"),
    ],
)
def test_each_output_gets_its_metrics(given, outputs, made):
    head = """
from keras.layers import Dense, Input
from keras.models import Model
rows = Input((3,))
one, two = Dense(1, name='a')(rows), Dense(1, name='b')(rows)
"""
    lines = "net = Model(rows, {})\nnet.compile('sgd', 'mse', metrics={})"
    becomes(head + "rows.compile\n", lines.format(outputs, given), lines.format(outputs, made))


def test_states_of_a_metric_and_of_what_is_not_seen():
    head = "import keras\nloss = keras.metrics.Mean()\n"
    becomes(head, "loss.reset_states()", "loss.reset_state()", said="")
    head += "loss.reset_states()\n"
    becomes(head, "made_elsewhere.reset_states()", "made_elsewhere.reset_states()", said="metric")
    becomes(
        head,
        "model.reset_states()",
        "[layer.reset_state() for layer in model.layers if getattr(layer, 'stateful', False)]",
        said="",
    )
