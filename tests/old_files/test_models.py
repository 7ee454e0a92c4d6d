"""Each kind of model answers and trains on as in Keras 2."""

import keras
import models
import pytest

TENSORFLOW = keras.backend.backend() == "tensorflow"
# After one step and after ten.
BOUNDS = {
    "images": (2e-5, 2e-4),
    "sequences": (2e-5, 2e-4),
    "recurrent old": (2e-5, 2e-4),
    "nested": (2e-5, 2e-4),
    "state": (2e-5, 2e-4),
}


@pytest.mark.parametrize("name", models.MODELS)
def test_answers_and_goes_on(case, name):
    converted = case(name)
    model = converted.load()
    for mine, theirs in zip(converted.predictions(model), converted.values("p"), strict=True):
        assert abs(mine - theirs).max() <= 2e-6
    embedding = name == "sequences" and TENSORFLOW
    one, ten = converted.differences(model)
    if not embedding:  # the known difference
        assert one <= BOUNDS[name][0]
        assert ten <= BOUNDS[name][1]
    assert bool(converted.report.differences) == (name == "sequences")


def test_the_known_difference_names_the_embedding(case):
    assert "embedding" in case("sequences").report.differences[0]


def test_the_old_hard_sigmoid_is_said_with_its_layers(case):
    places = case("recurrent old").report.imports["hard_sigmoid"]
    assert len(places) == 2
    assert {place.split()[1].split("_")[0] for place in places} == {"lstm", "gru"}


def test_frozen_layers_stay_frozen(case):
    model = case("nested").load()
    assert not model.get_layer("frozen").trainable_variables
    assert not model.get_layer("cold").trainable_variables
    assert len(model.get_layer("inner").trainable_variables) == 6
