"""What was not compared with Keras 2, or is known to differ, is refused by name."""

import keras
import pytest
from old_checkpoint import OldCheckpointError, differences, graphs
from old_checkpoint import layers as old_layers
from old_checkpoint.layouts import layout
from old_checkpoint.optimizers import families
from old_checkpoint.reading import OldFile
from old_checkpoint.repair import Repair


class Restored:
    """A restored optimizer without state."""

    optimizer = keras.optimizers.SGD()


def repair(version="2.15.0"):
    """A repair of a file of that version, in which the largest array has 64 numbers."""
    return Repair(layout(version), "tensorflow", {}, largest=64)


def layer(kind, name, inputs=(), **config):
    """An entry of a functional model."""
    calls = [[[other, 0, 0, {}] for other in inputs]] if inputs else []
    config = {"name": name, **config}
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": calls}


def model_of(*entries):
    """A functional model with one input, `i`, and the last layer's output."""
    first = layer("InputLayer", "i", batch_input_shape=[None, 3, 2], dtype="float32")
    config = {
        "name": "model",
        "layers": [first, *entries],
        "input_layers": [["i", 0, 0]],
        "output_layers": [[entries[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def refused(because, *entries):
    """Building the model is refused."""
    with pytest.raises(OldCheckpointError, match=because):
        graphs.build(model_of(*entries), repair())


def test_a_mask_that_reaches_a_merging_layer():
    masked = layer("Masking", "mask", ["i"], mask_value=0.0)
    refused("layer add: a mask reaches", masked, layer("Add", "add", ["mask", "i"]))
    built, _ = graphs.build(model_of(masked, layer("Flatten", "flat", ["mask"])), repair())
    assert built.output_shape == (None, 6)


@pytest.mark.parametrize(
    ("kind", "config", "because"),
    [
        ("Conv1D", {"filters": 2, "kernel_size": [2], "groups": 2}, "groups=2"),
        ("Conv1DTranspose", {"filters": 2, "kernel_size": [2], "dilation_rate": [2]}, "dilation"),
        ("LSTM", {"units": 2, "stateful": True}, "stateful"),
        ("Conv1D", {"filters": 2, "kernel_size": [2], "data_format": "channels_first"}, "channels"),
        ("BatchNormalization", {"renorm": True}, "renorm"),
        ("Dense", {"units": 2, "dtype": {"config": {"name": "mixed_float16"}}}, "mixed_float16"),
        ("Dense", {"units": 2, "activation": "my_function"}, "my_function"),
    ],
)
def test_arguments_that_were_not_compared(kind, config, because):
    refused(f"layer x: .*{because}", layer(kind, "x", ["i"], **config))


@pytest.mark.parametrize(
    ("more", "because"),
    [
        ({"merge_mode": None}, "merge_mode=None"),
        ({"merge_mode": "sum", "backward_layer": {}}, "backward_layer"),
    ],
)
def test_bidirectional_that_was_not_compared(more, because):
    inner = {"class_name": "SimpleRNN", "config": {"name": "rnn", "units": 2}}
    refused(because, layer("Bidirectional", "x", ["i"], layer=inner, **more))


def old_file(version="2.2.4"):
    """An old file that holds nothing."""
    return OldFile("file", version, "tensorflow", None, None, [], None)


def test_both_ways_of_clipping_in_keras_for_several_backends():
    found = {"class_name": "Adam", "config": {"lr": 0.001, "clipnorm": 1.0, "clipvalue": 0.0}}
    plan = families.plan(found, repair("2.2.4"), old_file())
    assert plan.config["global_clipnorm"] == 1.0
    assert not {"clipnorm", "clipvalue"} & set(plan.config)
    assert families.plan(found, repair("2.2.4-tf"), old_file()).config["clipnorm"] == 1.0
    found["config"]["clipvalue"] = 0.5
    with pytest.raises(OldCheckpointError, match="clipnorm and clipvalue"):
        families.plan(found, repair("2.2.4"), old_file())


def test_an_optimizer_of_another_package_is_not_taken_for_keras_own():
    found = {"class_name": "mine>Adam", "config": {"lr": 0.001}}
    with pytest.raises(OldCheckpointError, match="mine>Adam is not understood"):
        families.plan(found, repair(), old_file())
    found["class_name"] = "Custom>Adam"
    families.plan(found, repair(), old_file())


@pytest.mark.parametrize(
    "argument", ["kernel_initializer", "kernel_regularizer", "kernel_constraint"]
)
def test_parts_of_another_package_are_not_taken_for_keras_own(argument):
    names = {"initializer": "Zeros", "regularizer": "L2", "constraint": "NonNeg"}
    own = {"class_name": f"mine>{names[argument.split('_')[1]]}", "config": {}}
    refused("mine>", layer("Dense", "x", ["i"], units=2, **{argument: own}))


def test_an_activity_regularizer_step_by_step():
    dense = {"name": "dense", "units": 2, "activity_regularizer": "l2"}
    for regularized in (True, False):
        inner = {"class_name": "Dense", "config": dict(dense)}
        if not regularized:
            del inner["config"]["activity_regularizer"]
            graphs.build(model_of(layer("TimeDistributed", "x", ["i"], layer=inner)), repair())
        else:
            refused("activity_regularizer", layer("TimeDistributed", "x", ["i"], layer=inner))


def test_more_layers_than_any_model_has(monkeypatch):
    flat = [layer("Flatten", f"x{n}", [f"x{n - 1}" if n else "i"]) for n in range(4)]
    graphs.build(model_of(*flat), repair())
    monkeypatch.setattr(graphs, "MOST_LAYERS", 3)
    refused("more than 3 layers", *flat)


def test_a_frozen_model_stays_frozen():
    config = model_of(layer("Dense", "x", ["i"], units=2))
    config["config"]["trainable"] = False
    built, _ = graphs.build(config, repair())
    assert built.weights
    assert not built.trainable_weights


def test_what_older_versions_did_not_write():
    """A GRU without `reset_after`, and Adagrad's sums, which began at 0."""
    made = old_layers.make("GRU", {"name": "x", "units": 2}, repair("2.1.5"))
    assert made.reset_after is False
    found = {"class_name": "Adagrad", "config": {"lr": 0.01}}
    for version, start in {"2.2.4": 0.0, "2.3.0-tf": None}.items():
        plan = families.plan(found, repair(version), old_file(version))
        assert plan.config.get("initial_accumulator_value") == start


def test_an_activity_regularizer_of_keras_for_several_backends():
    config = model_of(layer("Dense", "x", ["i"], units=2, activity_regularizer="l2"))
    graphs.build(config, repair())
    with pytest.raises(OldCheckpointError, match="over the batch"):
        graphs.build(config, repair("2.2.4"))


def test_a_mask_that_reaches_a_merging_layer_inside_a_model():
    inner = model_of(layer("Add", "add", ["i", "i"]))
    inner["config"]["name"] = "inner"
    inner |= {"name": "inner", "inbound_nodes": [[["mask", 0, 0, {}]]]}
    masked = layer("Masking", "mask", ["i"], mask_value=0.0)
    refused("layer inner/add: a mask reaches", masked, inner)


def test_training_true_is_refused_where_it_changes_answers():
    def called(kind, **config):
        entry = layer(kind, "x", ["i"], **config)
        entry["inbound_nodes"][0][0][3] = {"training": True}
        mine = repair()
        graphs.build(model_of(entry), mine)
        differences.require_no_fixed_training(mine)

    called("Dense", units=2)
    called("Dropout", rate=0.0)
    for kind, config in {"Dropout": {"rate": 0.5}, "BatchNormalization": {}}.items():
        with pytest.raises(OldCheckpointError, match="training=True"):
            called(kind, **config)


def test_a_frozen_batch_normalization_of_keras_for_several_backends_is_said():
    normalize = keras.layers.BatchNormalization(name="bn", trainable=False)
    model = keras.Sequential([keras.Input((3,)), normalize])
    for version, said in {"2.2.4": 1, "2.2.4-tf": 1, "2.3.0-tf": 0}.items():
        mine = repair(version)
        differences.note(model, graphs.Node("model", "Sequential", []), Restored, mine)
        assert len(mine.differences) == said, version


def test_random_layers_are_said():
    model = keras.Sequential(
        [
            keras.Input((3, 2)),
            keras.layers.Dropout(0.0, name="none"),
            keras.layers.Dropout(0.5, name="half"),
            keras.layers.LSTM(2, dropout=0.1, name="lstm"),
        ]
    )

    mine = repair()
    differences.note(model, graphs.Node("model", "Sequential", []), Restored, mine)
    assert len(mine.differences) == 1
    assert mine.differences[0].startswith("layers half, lstm: ")
