"""A line that a comment has swallowed is said first; what was commented out is not."""

import pytest
from lines_that_change import rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

HEAD = "from keras.models import Sequential\nmodel = Sequential()\n"
# Lines -> what is said of the third one; an empty text: nothing.
LINES = {
    "# Compile model (for predictions) model.compile('sgd', 'mse') print('made')\n"
    "model.evaluate(x, y)": "model.compile(…)",
    "# the file filepath='w.hdf5'\nmodel.load_weights(filepath)": "filepath = …",
    "x = 1  # compile it: model.compile('sgd', 'mse')\nmodel.fit(x, y)": "model.compile(…)",
    "# model.compile('sgd', 'mse')\nmodel.fit(x, y)": "",  # commented out on purpose
    "# Compile it: model.compile('sgd', 'mse')\nmodel.compile('sgd')\nmodel.fit(x, y)": "",
    "# Compile it: model.compile('sgd', 'mse')\nmodel.predict(x)": "",
    "# Compile it: model.compile('a')\nmodel = keras.models.load_model(p)\nmodel.fit(x)": "",
    "# Compile it: model.compile('a')\nbuild().compile('sgd')\nmodel.fit(x)": "",
    "# set rate = 0.1 at first\nrate = 0.2\nprint(rate)": "",
    "# set rate = 0.1 at first\nprint(model)": "",
    "# set rate == 0.1\nprint(rate)": "",
    "# set rate = 0.1\nfrom settings import *\nprint(rate)": "",
    "text = '''\n# the file path='a'\n'''\nprint(path)": "",
}


@pytest.mark.parametrize("line", LINES)
def test_what_a_comment_has_swallowed(line):
    said = str(rewritten(f"{HEAD}{line}\n"))
    assert ("First of all, line 3: the comment contains" in said) == bool(LINES[line])
    assert LINES[line] in said


def test_the_line_is_that_of_the_file_after_a_lost_line_break():
    text = f"{HEAD}model.add(1) model.add(2)\n# Compile it: model.compile('sgd')\nmodel.fit(x, y)\n"
    assert "First of all, line 4: the comment" in str(rewritten(text))
