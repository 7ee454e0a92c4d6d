"""Each kind of model answers and trains on as in Keras 2."""

import json

import h5py
import keras
import models
import numpy as np
import pytest
from old_checkpoint import arguments as known
from old_checkpoint import wrappers

TENSORFLOW = keras.backend.backend() == "tensorflow"
# The largest differences that were measured are 3e-7 (answers) and 4e-7 (weights after ten steps):
# the versions add the same numbers in another order.
BOUND = 1e-6
# Equal to Keras 2 in every bit on TensorFlow, run step by step, if the gradients are: answers, one
# step and ten.
EXACT = ("volumes", "state")
# Compared on its own below.
VARIANCE = "batch_normalization|3"


@pytest.mark.parametrize("name", models.MODELS)
def test_answers_and_goes_on(case, name, same_gradients):
    converted = case(name)
    model = converted.load()
    answers = zip(converted.predictions(model), converted.values("p"), strict=True)
    largest = max(abs(mine - theirs).max() for mine, theirs in answers)
    assert largest <= BOUND
    one, ten = converted.differences(model, without=[VARIANCE] if name == "images" else [])
    if name == "sequences" and TENSORFLOW:  # the known difference
        assert 1e-5 < one < ten < 0.1
        return
    assert one <= BOUND
    assert ten <= BOUND
    if same_gradients and name in EXACT:
        assert (largest, one, ten) == (0, 0, 0)


@pytest.mark.parametrize("name", models.ANSWERED)
def test_answers_though_its_training_differs(case, name):
    converted = case(name)
    answers = zip(converted.predictions(converted.load()), converted.values("p"), strict=True)
    assert max(abs(mine - theirs).max() for mine, theirs in answers) <= BOUND
    differences = converted.differences(converted.load())
    assert max(differences) > 1e-4


def test_known_differences_name_their_layers(case):
    names = models.MODELS | models.ANSWERED
    said = {name: case(name).report.differences for name in names}
    assert {name: len(found) for name, found in said.items() if found} == {
        "images": 1,
        "sequences": 1,
        "frozen call": 2,
        "augmented": 1,
    }
    assert "layer fixed " in said["frozen call"][0]
    assert "layer steps:" in said["frozen call"][1]
    assert len(said["augmented"][0].split(": ")[0].split(", ")) == 5
    assert "layer batch_normalization " in said["images"][0]
    assert "layer embedding " in said["sequences"][0]


def test_the_variance_of_batch_normalization_counts_one_more(case):
    """The known difference, to the last digits: n - 1 in Keras 2, n in Keras 3."""
    converted = case("images")
    model = converted.load()
    before = converted.weight(model, VARIANCE)
    converted.differences(model, steps=1)
    mine, theirs = converted.weight(model, VARIANCE), converted.noted[f"1|{VARIANCE}"]
    kept = 0.99 * before
    assert abs(mine - theirs).max() > 5e-6
    numbers = 8 * 8 * 8  # of one channel in the batch
    np.testing.assert_allclose(
        kept + (theirs - kept) * (numbers - 1) / numbers, mine, rtol=0, atol=2e-7
    )


def test_the_loss_of_a_masked_output_counts_the_steps_that_are_left(case):
    """As in Keras for several backends; tf.keras did so late (the known difference)."""
    converted = case("tagger")
    inputs, targets = converted.values("x")[0], converted.values("y")[0]
    model = converted.load()
    (errors,) = ((targets - converted.values("p")[0]) ** 2,)
    kept = inputs.any(axis=-1)
    summed = errors.mean(axis=-1)[kept].sum()
    loss = model.evaluate(inputs, targets, batch_size=len(inputs), verbose=0)
    assert loss == pytest.approx(summed / kept.sum(), rel=1e-5)
    assert kept.sum() < kept.size


@pytest.mark.parametrize(
    ("version", "said"),
    [("2.2.4", 0), ("2.1.6-tf", 0), ("2.2.4-tf", 1), ("2.9.0", 1), ("2.15.0", 0)],
)
def test_which_keras_may_have_divided_the_loss_by_masked_steps(version, said):
    from old_checkpoint.layouts import layout

    assert layout(version).loss_counts_masked_steps == bool(said)


def classes(value):
    """Every `class_name` in a configuration."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str):
            yield value["class_name"]
        for item in value.values():
            yield from classes(item)
    elif isinstance(value, list):
        for item in value:
            yield from classes(item)


def test_every_layer_that_is_converted_was_compared(old_files):
    compared = set()
    for name in models.MODELS | models.ANSWERED:
        with h5py.File(old_files / f"{name}.h5") as file:
            compared |= set(classes(json.loads(file.attrs["model_config"])))
    assert {*known.SAME, *wrappers.WRAPPERS} - compared == set()


def test_the_old_hard_sigmoid_is_said_with_its_layers(case):
    places = case("recurrent old").report.imports["hard_sigmoid"]
    assert len(places) == 2
    assert {place.split()[1].split("_")[0] for place in places} == {"lstm", "gru"}


def test_frozen_layers_stay_frozen(case):
    model = case("nested").load()
    assert not model.get_layer("frozen").trainable_variables
    assert not model.get_layer("cold").trainable_variables
    assert len(model.get_layer("inner").trainable_variables) == 5
