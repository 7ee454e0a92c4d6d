"""What is shown of a change."""

import old_script
import pytest
from lines_that_change import rewritten
from old_script.report import Change

pytestmark = pytest.mark.one_backend  # nothing is trained

LONG = "from keras.layers import Dense, Dropout, Activation, Flatten, Embedding, Bidirectional"


@pytest.mark.parametrize("names", ["{}", "{}, Conv2D", "Conv2D, {}" + ", MaxPooling2D" * 4])
@pytest.mark.parametrize("before", [LONG, "from keras.layers import Dense", LONG + LONG[-40:]])
def test_a_long_line_is_shortened_to_where_it_differs(names, before):
    old, new = (f"{before}, {names.format(name)}" for name in ("CuDNNLSTM", "LSTM as CuDNNLSTM"))
    shown = str(Change(1, old, new, "why"))
    assert len(shown) < 220
    left, right = shown.removeprefix("1: ").removesuffix(" (why)").split(" → ")
    assert "CuDNNLSTM" in left and "LSTM as" not in left and "LSTM as CuDNNLSTM" in right


def test_a_change_that_is_long_itself_shows_its_ends():
    shown = str(Change(1, "first = " + "a" * 300, "first = " + "b" * 300 + "c", "why"))
    assert len(shown) < 230 and "aaa" in shown and "bbb" in shown


def test_the_reason_is_true_of_a_name_that_changed():
    text = "from keras.layers import CuDNNLSTM, LSTM\nfrom keras.layers.core import Dense\n"
    reasons = {one.line: one.why for one in rewritten(text).findings.changes}
    assert reasons == {1: "its name in Keras 3", 2: "Keras 3 has it there"}


def test_the_same_note_of_several_lines_is_one_line():
    text = "from keras import backend as K\ndef f(x):\n    a = K.sum(x)\n"
    text += "    b = K.mean(x)\n    return K.sum(b)\n"
    lines = str(old_script.rewrite_text(text)).splitlines()
    assert [line.partition("(")[0].strip() for line in lines[1:]] == ["3, 5: K.sum", "4: K.mean"]
