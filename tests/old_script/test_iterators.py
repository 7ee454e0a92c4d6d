"""Iterators of ImageDataGenerator: what is predicted belongs to the rows in their order."""

import numpy as np
import pytest
from lines_that_change import notes, only, rewritten

HEAD = """
import keras, numpy
from tensorflow.keras.preprocessing.image import ImageDataGenerator
rows = numpy.arange(10.0).reshape(10, 1, 1, 1)
source = ImageDataGenerator().flow(rows, rows[:, 0, 0], batch_size=4, shuffle=False)
model = keras.Sequential([keras.Input((1, 1, 1)), keras.layers.Flatten()])
model.compile('sgd', 'mse')
"""
LINES = {
    "model.predict_generator(source, 3)": "model.predict(source, steps=3)",
    "model.predict_generator(source, steps=10 // 4)": "model.predict(source, steps=10 // 4)",
    "model.evaluate_generator(source, 3)": "model.evaluate(source, steps=3)",
    "model.fit_generator(source, 3)": "model.fit((batch for batch in source), steps_per_epoch=3)",
    "model.fit_generator(other, 3, validation_data=source, validation_steps=3)": "model.fit(other, "
    "steps_per_epoch=3, validation_data=(batch for batch in source), validation_steps=3)",
}


@pytest.mark.parametrize("line", LINES)
def test_only_fit_counts_on_across_passes(line):
    text = HEAD.replace("import keras, numpy", "import keras, numpy\nfrom keras import ops")
    only(f"{text}{line}\n", {line: LINES[line]})


def test_each_prediction_begins_with_the_first_row():
    lines = "first = model.predict_generator(source, steps=3)\n"
    lines += "part = model.predict_generator(source, steps=2)\n"
    lines += "again = model.predict_generator(source, steps=3)\n"
    names = {}
    exec(rewritten(HEAD + lines).text, names)  # noqa: S102
    assert np.array_equal(names["first"][:, 0], np.arange(10.0))
    assert np.array_equal(names["part"][:, 0], np.arange(8.0))
    assert np.array_equal(names["again"], names["first"])


def test_steps_by_place_are_left_to_the_reader_of_a_script_of_both_kinds():
    text = "model.fit_generator(rows, samples_per_epoch=64, nb_epoch=1)\n"
    text += "model.fit_generator(rows, steps_per_epoch=2, epochs=1)\n"
    result = rewritten(text + "model.evaluate_generator(rows, 3)\n")
    assert "model.evaluate(rows, steps=3)" in result.text
    assert "evaluate_generator(…, 3): in Keras 1" in notes(result)
