"""Programs that are killed, run on a full disk, are locked out, or are one of several workers.

    python tests/pitfalls/child_programs.py PROGRAM FOLDER

works in the folder, finds the code block of its entry in the variable REMEDY, and prints what came
of it as JSON. Nothing that imports Keras may be imported above: one program sets a variable first.
"""

import json
import os
import pathlib
import signal
import sys

from small_disk import SizeLimit, SmallDisk

CODE = os.environ["REMEDY"]


def training():
    """The names for a code block: Keras, NumPy, data, and a network with a loss."""
    import keras
    import numpy as np

    def build_model(*units):
        """Layers of so many units, and one with a single unit that begins with weights of 1."""
        model = keras.Sequential([keras.Input((4,))])
        for number in units:
            model.add(keras.layers.Dense(number))
        model.add(keras.layers.Dense(1, kernel_initializer="ones"))
        model.compile(optimizer="adam", loss="mse")
        return model

    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    return {"keras": keras, "np": np, "x": x, "y": x[:, :1], "build_model": build_model}


def stock_killed_in_mid_save():
    names = training()
    keras = names["keras"]
    save = keras.layers.Dense.save_own_variables
    epochs = []

    def save_and_be_killed(layer, store):
        save(layer, store)
        if epochs == [0, 1]:
            os.kill(os.getpid(), signal.SIGKILL)

    class Count(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                keras.models.load_model("newest.keras")
                print(json.dumps({"loaded_before": True}), flush=True)
            epochs.append(epoch)

    keras.layers.Dense.save_own_variables = save_and_be_killed
    checkpoint = keras.callbacks.ModelCheckpoint("newest.keras")
    model = names["build_model"]()
    model.fit(names["x"], names["y"], epochs=3, callbacks=[Count(), checkpoint], verbose=0)


def remedy_killed_in_mid_save():
    """Killed when the second model is about to be flushed to the disk."""
    names = training()
    flush = os.fsync

    def flush_or_be_killed(descriptor):
        record = pathlib.Path("newest.keras.json")
        if record.exists():
            print("\n" + json.dumps(json.loads(record.read_text())), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        flush(descriptor)

    os.fsync = flush_or_be_killed
    exec(CODE, {**names, "model": names["build_model"]()})  # noqa: S102


def disk_here():
    """The small disk that the program was started on, or a limit for each file."""
    return (SmallDisk if os.path.ismount(".") else SizeLimit)(pathlib.Path.cwd())


def orbax_on_a_full_disk():
    names = training()
    keras = names["keras"]
    disk = disk_here()

    class Fill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            disk.leave(64 << 10)

    folder = os.path.abspath("stock")
    model = names["build_model"](10_000)
    callbacks = [Fill(), keras.callbacks.OrbaxCheckpoint(folder)]
    history = model.fit(names["x"], names["y"], epochs=1, callbacks=callbacks, verbose=0)
    found = {"epochs": history.epoch, "left": sorted(os.listdir(folder))}
    found["small"] = os.path.ismount(".")
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            path.unlink()
    disk.leave(64 << 10)
    try:
        exec(CODE, {**names, "model": model})  # noqa: S102
    except OSError as error:
        found["raised"] = str(error)
    print("\n" + json.dumps(found), flush=True)
    os._exit(0)  # Orbax's threads have nothing more to say


def weights_beyond_a_limit():
    """The remedy first: after a failed write, HDF5 may end the process at its next file."""
    names = training()
    keras = names["keras"]
    disk = disk_here()
    model = names["build_model"](256, 256)
    model.optimizer.build(model.trainable_variables)
    model.save_weights("measured.weights.h5")
    limit = int(0.7 * os.path.getsize("measured.weights.h5"))
    found = {}
    try:
        exec(CODE, {**names, "model": model})  # noqa: S102
        disk.leave(limit)
        exec(CODE, {**names, "model": model})  # noqa: S102
    except (OSError, ImportError) as error:
        found["remedy"] = f"{type(error).__name__}: {error}"
    disk.leave(None)

    stock = keras.callbacks.ModelCheckpoint("stock.weights.h5", save_weights_only=True)
    model.fit(names["x"], names["y"], callbacks=[stock], verbose=0)
    disk.leave(limit)
    try:
        model.fit(names["x"], names["y"], callbacks=[stock], verbose=0)
    except OSError as error:
        found["stock"] = f"{type(error).__name__}: {error}"
        disk.leave(None)
        found["weights"] = [float(weight.sum()) for weight in model.get_weights()]
        print("\n" + json.dumps(found), flush=True)


def without_locks():
    namespace = {}
    exec(CODE, namespace)  # noqa: S102
    print(json.dumps({"weights": [w.tolist() for w in namespace["model"].get_weights()]}))


def one_of_several_workers():
    names = training()
    keras, np = names["keras"], names["np"]
    exec(CODE, names)  # noqa: S102
    found = {"weights": names["model"].get_weights()[0].ravel().tolist()}
    weight, bias = np.ones((4, 1), "float32"), 0.0
    for _ in range(2):
        for x, y in ((names["x"][rows], names["y"][rows]) for rows in (slice(8), slice(8, 16))):
            error = x @ weight + bias - y
            weight, bias = weight - 0.02 * x.T @ error / 8, bias - 0.02 * error.mean()
    found["of_one_process"] = weight.ravel().tolist()
    with names["strategy"].scope():
        model = names["build_model"]()
        model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mse")
    try:
        model.fit(names["x"], names["y"], batch_size=8, verbose=0)
    except Exception as error:  # noqa: BLE001
        found["stock"] = f"{type(error).__name__}: {error}"
    print("\n" + json.dumps(found), flush=True)
    os._exit(0)  # the threads of the other worker's connection never end


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    globals()[sys.argv[1]]()
