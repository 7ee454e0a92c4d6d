"""A disk that becomes full at any point of a save costs that save and nothing else.

The disk is a tmpfs of 6 MB in a mount namespace of its own, where the system lets one have it, and
gives ENOSPC. Everywhere a limit on the size of files, RLIMIT_FSIZE, gives EFBIG. Both belong to a
process, so this file is also the program that trains under them:

    python tests/durability/test_full_disk.py tmpfs|limit FOLDER

Each line it prints tells, as JSON, what was wrong in one case.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import warnings

import on_path  # noqa: F401
import pytest
from small_disk import PAGE, SizeLimit, SmallDisk, may_mount, on_small_disk

ENDINGS = (".keras", ".weights.h5")


@pytest.mark.parametrize("room", ["tmpfs", "limit"] if may_mount() else ["limit"])
def test_full_disk(room, tmp_path):
    enter = on_small_disk(tmp_path) if room == "tmpfs" else []
    run = subprocess.run(
        [*enter, sys.executable, __file__, room, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    cases = [json.loads(line) for line in run.stdout.splitlines()]
    wrong = [f"{case['case']}: {each}" for case in cases for each in case["wrong"]]
    assert not wrong, "\n".join(wrong)
    assert run.returncode == 0, f"after {cases[-1:]}: status {run.returncode}\n{run.stderr}"
    for ending in ENDINGS:
        refused = [case["refused"] for case in cases if case["case"].startswith(f"{ending}: ")]
        # Of the points 5 %, 10 %, ... 95 % of a file none can hold it.
        assert refused.count(True) >= 19 + 9 and refused.count(False) >= 2


# ------------------------------------------------------------------ the program


def new_model():
    """A network of 82,945 parameters; with Adam's two moments a file takes 1.0 MB."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(256),
            keras.layers.Dense(256),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse", optimizer="adam")
    return model


def train(model, path, room, plan, wait, **options):
    """Train an epoch for each (error, free space) of the plan.

    Returns the exception that ended it, the warnings about `path`, the callback, and the number of
    epochs that it took. `wait`: each epoch waits for its save.
    """
    import durable_checkpoint
    import keras
    import numpy as np

    epochs = []
    spaces = [space for _, space in plan]

    class Planned(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            epochs.append(epoch)
            logs["error"] = plan[epoch][0]
            if epoch == 0 or spaces[epoch] != spaces[epoch - 1]:
                room.leave(spaces[epoch])

    class Waiting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with contextlib.suppress(FileNotFoundError):
                durable_checkpoint.verify(path)  # waits for what is still being written

    checkpoint = durable_checkpoint.DurableCheckpoint(
        path,
        monitor="error",
        mode="min",
        save_best_only=True,
        save_weights_only=path.name.endswith(".weights.h5"),
        initial_value_threshold="saved",
        **options,
    )
    x = np.random.default_rng(0).normal(size=(16, 64)).astype("float32")
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(
                x,
                x[:, :1],
                epochs=len(plan),
                callbacks=[Planned(), checkpoint, *([Waiting()] if wait else [])],
                verbose=0,
            )
        except Exception as raised:  # noqa: BLE001
            error = raised
    room.leave(None)
    said = [str(each.message) for each in caught if str(path) in str(each.message)]
    return error, said, checkpoint, len(epochs)


def contents(folder):
    """Name -> bytes of every file in it but the lock."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")
    }


def wrong_with_error(error, room, path, size):
    """What a reader of the message would miss."""
    if type(error) is not OSError or error.errno != room.number:
        return [f"raised {error!r}"]
    free = re.search(r"(\d+\.\d) MB free", str(error))
    wrong = [] if str(path) in str(error) else [f"the path is not in {error}"]
    if free is None:
        wrong.append(f"the free space is not in {error}")
    elif room.free() is not None and float(free[1]) > size / 1e6 + 0.05:
        wrong.append(f"{size} bytes were free, not {free[1]} MB")
    return wrong


def wrong_with_saved(path, error):
    """What is wrong in the folder where a save with the value `error` has just succeeded."""
    import durable_checkpoint
    import keras

    wrong = []
    names = {path.name, f"{path.name}.sha256", f"{path.name}.json"}
    if contents(path.parent).keys() != names:
        wrong.append(f"the folder holds {sorted(contents(path.parent))}")
    try:
        durable_checkpoint.verify(path)
        if path.suffix == ".keras":
            keras.models.load_model(path)
        else:
            model = new_model()
            model.optimizer.build(model.trainable_variables)
            model.load_weights(path)
        if durable_checkpoint.read_record(path)["value"] != error:
            wrong.append(f"the record says {durable_checkpoint.read_record(path)}, not {error}")
    except Exception as raised:  # noqa: BLE001
        wrong.append(f"{raised!r}")
    check = subprocess.run(
        ["sha256sum", "-c", f"{path.name}.sha256"],
        check=False,
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    if check.returncode:
        wrong.append(f"sha256sum -c: {check.stdout}{check.stderr}")
    return wrong


def best_on_disk(path):
    import durable_checkpoint

    return durable_checkpoint.read_record(path)["value"] if path.exists() else None


def full_all_the_time(model, path, room, size, fits):
    """`size` bytes free for two epochs, or for one where a save may succeed and take them.

    `fits`: whether a save needs no more than that; None where it depends on the order of writing.
    Returns whether it was refused, and what was wrong.
    """
    import durable_checkpoint

    before, free, best = contents(path.parent), room.free(), best_on_disk(path)
    first = 0.0 if best is None else best - 1
    plan = [(first, size), (first - 1, size)] if fits is False else [(first, size)]
    error, said, checkpoint, epochs = train(model, path, room, plan, wait=False)
    if error is None and fits is not False:
        return False, [f"warned: {text}" for text in said] + wrong_with_saved(path, first)
    wrong = ["it fits, but was refused"] if fits else []
    wrong += wrong_with_error(error, room, path, size)
    if epochs != len(plan):
        wrong.append(f"the training ended after epoch {epochs}")
    if len(said) != 1:
        wrong.append(f"{len(said)} warnings: {said}")
    after = contents(path.parent)
    if after.keys() != before.keys():
        wrong.append(f"before, the folder held {sorted(before)}, now {sorted(after)}")
    wrong += [f"{name} has changed" for name in before if after.get(name) != before[name]]
    if path.exists() and before:
        try:
            durable_checkpoint.verify(path)
        except durable_checkpoint.CorruptCheckpointError as raised:
            wrong.append(str(raised))
    if checkpoint.best != best:
        wrong.append(f"the best is {checkpoint.best}, on the disk {best}")
    if room.free() != free:
        wrong.append(f"{free} bytes were free before, now {room.free()}")
    return True, wrong


def full_for_one_epoch(model, path, room, size):
    """The first save fails; the next one, not as good but better than the file, has room."""
    best = best_on_disk(path) or 0.0
    plan = [(best - 3, size), (best - 1, None)]
    error, said, _, _ = train(model, path, room, plan, wait=True)
    wrong = [] if error is None else [f"room came back, and fit raised {error!r}"]
    if len(said) != 1:
        wrong.append(f"{len(said)} warnings: {said}")
    return wrong + wrong_with_saved(path, best - 1)


def full_in_the_foreground(model, path, room, size):
    """With `background=False` the first save that fails ends the training."""
    before = contents(path.parent)
    best = best_on_disk(path) or 0.0
    plan = [(best - 1, size), (best - 2, size)]
    error, said, checkpoint, epochs = train(model, path, room, plan, wait=False, background=False)
    checkpoint.close()
    wrong = wrong_with_error(error, room, path, size)
    if epochs != 1:
        wrong.append(f"raised after epoch {epochs}")
    if said:
        wrong.append(f"also warned: {said}")
    if contents(path.parent) != before:
        wrong.append(f"the folder has changed; it holds {sorted(contents(path.parent))}")
    return wrong


def main(kind, folder):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = pathlib.Path(folder)
    room = SmallDisk(folder) if kind == "tmpfs" else SizeLimit(folder)
    for ending in ENDINGS:
        try_every_size(room, folder / "checkpoints" / f"best{ending}")


def try_every_size(room, path):
    path.parent.mkdir()

    def tell(case, refused, wrong):
        case = f"{path.name.removeprefix('best')}: {case}"
        print(json.dumps({"case": case, "refused": refused, "wrong": wrong}), flush=True)

    def clear():
        shutil.rmtree(path.parent)
        path.parent.mkdir()

    # The layout of this model's file is learned here, so its further saves are the later ones.
    learned = new_model()
    train(learned, path, room, [(0.0, None), (-1.0, None)], wait=False)
    size = path.stat().st_size
    pages = -(-size // PAGE)
    around = [
        (f"the file and {more} pages more", (pages + more) * PAGE, True if more == 2 else None)
        for more in room.beyond_the_file
    ]
    points = [(f"{percent} %", size * percent // 100, False) for percent in range(5, 100, 5)]

    for number, (name, space, fits) in enumerate(points + around):
        refused, wrong = full_all_the_time(learned, path, room, space, fits)
        if refused and (number % 3 == 0 or fits is None):
            wrong += full_for_one_epoch(learned, path, room, space)
            wrong += full_in_the_foreground(learned, path, room, space)
        tell(f"later save, {name}", refused, wrong)
    for name, space, fits in [points[9], *around]:
        clear()
        refused, wrong = full_all_the_time(learned, path, room, space, fits)
        tell(f"later save, no file before, {name}", refused, wrong)
        clear()

    train(learned, path, room, [(0.0, None)], wait=False)
    unlearned = new_model()
    for name, space, fits in points[1::2]:
        refused, wrong = full_all_the_time(unlearned, path, room, space, fits)
        tell(f"first save, {name}", refused, wrong)
    tell("first save, then room", True, full_for_one_epoch(unlearned, path, room, size // 2))
    for name, space, fits in [*around, ("150 %", size * 3 // 2, True)]:
        unlearned = new_model()
        refused, wrong = full_all_the_time(unlearned, path, room, space, fits)
        if refused:
            wrong += full_for_one_epoch(unlearned, path, room, space)
        tell(f"first save, {name}", refused, wrong)
    unlearned = new_model()
    for name, space, fits in [points[9], *around]:
        clear()
        refused, wrong = full_all_the_time(unlearned, path, room, space, fits)
        tell(f"first save, no file before, {name}", refused, wrong)
    shutil.rmtree(path.parent)


if __name__ == "__main__":
    main(*sys.argv[1:])
