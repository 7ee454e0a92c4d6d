"""What was not compared with Keras 2, or is known to differ, is refused by name."""

import keras
import pytest
from old_checkpoint import OldCheckpointError, graphs
from old_checkpoint.layouts import layout
from old_checkpoint.optimizers import families
from old_checkpoint.reading import OldFile
from old_checkpoint.repair import Repair


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
        ("Dense", {"units": 2, "activity_regularizer": "l2"}, "activity_regularizer"),
        ("Conv1D", {"filters": 2, "kernel_size": [2], "groups": 2}, "groups=2"),
        ("Dropout", {"rate": 0.1, "noise_shape": [1, 1]}, "noise_shape"),
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


@pytest.mark.parametrize(
    ("name", "config", "because"),
    [("Adam", {"clipnorm": 1.0}, "clipnorm"), ("Nadam", {"schedule_decay": 0.004}, "Nadam")],
)
def test_optimizers_of_keras_for_several_backends(name, config, because):
    found = {"class_name": name, "config": {"lr": 0.001, **config}}
    old = OldFile("file", "2.2.4", "tensorflow", None, None, [], None)
    with pytest.raises(OldCheckpointError, match=f"{because} was not compared with Keras 2.2.4"):
        families.plan(found, repair("2.2.4"), old)
    families.plan(found, repair("2.2.4-tf"), old)


def test_random_layers_are_said():
    from old_checkpoint import differences

    model = keras.Sequential(
        [
            keras.Input((3, 2)),
            keras.layers.Dropout(0.0, name="none"),
            keras.layers.Dropout(0.5, name="half"),
            keras.layers.LSTM(2, dropout=0.1, name="lstm"),
        ]
    )

    class Restored:
        optimizer = keras.optimizers.SGD()

    mine = repair()
    differences.note(model, Restored, mine)
    assert len(mine.differences) == 1
    assert mine.differences[0].startswith("layers half, lstm: ")
