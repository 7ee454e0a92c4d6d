"""What a save takes of memory, the first one too: at most two copies of the state, as promised.

On another backend no save imports TensorFlow, which Keras does in the first save of a whole model.

    python tests/durability/test_memory.py FOLDER

saves in a process of its own, and prints a line of JSON for each save: by how many copies of the
state the process grew at most, as Linux counts it.
"""

import json
import os
import pathlib
import subprocess
import sys

import keras
import on_path  # noqa: F401
import pytest

UNITS = 6000  # 144 MB in one array
EPOCHS = [True, True, True, False, False]  # whether one waits for the save before


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
def test_a_save_takes_at_most_two_copies_of_the_state(tmp_path):
    run = subprocess.run(
        [sys.executable, __file__, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    saves = [json.loads(line) for line in run.stdout.splitlines()]
    assert [save["save"] for save in saves] == [0, 1, 4] * 2
    assert all(save["copies"] < 1.2 for save in saves if save["save"] < 2), saves
    assert all(save["copies"] < 2.2 for save in saves), saves
    assert {save["tensorflow"] for save in saves} == {keras.backend.backend() == "tensorflow"}
    if keras.backend.backend() == "jax":  # on TensorFlow the copy is the training's old tensor
        assert all(save["copies"] > 0.8 for save in saves if save["save"] == 0), "no copy was seen"


def main(folder):
    import durable_checkpoint

    model = keras.Sequential([keras.Input((UNITS,)), keras.layers.Dense(UNITS, use_bias=False)])
    model.compile(keras.optimizers.SGD(), "mse", run_eagerly=True)
    model.optimizer.build(model.trainable_variables)
    float(keras.ops.sum(model.weights[0]))  # JAX makes weights in the background
    for ending in (".weights.h5", ".keras"):
        checkpoint = durable_checkpoint.DurableCheckpoint(
            folder / f"model{ending}", save_weights_only=ending == ".weights.h5"
        )
        checkpoint.set_model(model)
        checkpoint.set_params({})
        before = memory_from_now_on()
        checkpoint.on_train_begin()  # may make the memory for the first copy
        for epoch, waits in enumerate(EPOCHS):
            if waits and epoch:
                checkpoint.wait()
                before = memory_from_now_on()
            checkpoint.on_epoch_begin(epoch)
            checkpoint.on_epoch_end(epoch, {})
            if EPOCHS[epoch + 1 : epoch + 2] != [False]:
                checkpoint.wait()
                copies = (memory("VmHWM") - before) / (UNITS * UNITS * 4)
                imported = "tensorflow" in sys.modules
                line = {"file": ending, "save": epoch, "copies": copies, "tensorflow": imported}
                print(json.dumps(line), flush=True)
        checkpoint.on_train_end()


def memory_from_now_on():
    """Let the highest value begin anew. Returns the present one."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(what):
    """In bytes, as the system counts it for this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
