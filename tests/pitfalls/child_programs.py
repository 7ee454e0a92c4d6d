"""Programs that are killed, run on a full disk, are locked out, or are one of several workers.

    python tests/pitfalls/child_programs.py PROGRAM FOLDER

works in the folder, finds the code block of its entry in the variable REMEDY, and prints what came
of it as JSON. Nothing that imports Keras may be imported above: one program sets a variable first.
"""

import json
import os
import pathlib
import resource
import signal
import sys

CODE = os.environ["REMEDY"]


def training():
    """The names for a code block: Keras, NumPy, data, and a network with a loss."""
    import keras
    import numpy as np

    def build_model(units=3):
        inputs = keras.Input((4,))
        outputs = keras.layers.Dense(1, kernel_initializer="ones")(inputs)
        if units:
            outputs = keras.layers.Dense(1)(keras.layers.Dense(units)(inputs))
        model = keras.Model(inputs, outputs)
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
        if record.exists() and any(path.name.startswith(".") for path in pathlib.Path().iterdir()):
            print(json.dumps(json.loads(record.read_text()), default=str), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        flush(descriptor)

    os.fsync = flush_or_be_killed
    exec(CODE, {**names, "model": names["build_model"]()})  # noqa: S102


class Disk:
    """Can be made full: by a file that takes the rest of the tmpfs, or by a limit for each file."""

    def __init__(self):
        self.small = os.path.ismount(".")

    def fill(self):
        if self.small:
            status = os.statvfs(".")
            rest = status.f_bavail * status.f_frsize - (64 << 10)
            with open("ballast", "wb") as file:
                os.posix_fallocate(file.fileno(), 0, rest)
        else:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))


def orbax_on_a_full_disk():
    names = training()
    keras = names["keras"]
    disk = Disk()

    class Fill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            disk.fill()

    folder = os.path.abspath("stock")
    model = names["build_model"](units=10_000)
    callbacks = [Fill(), keras.callbacks.OrbaxCheckpoint(folder)]
    history = model.fit(names["x"], names["y"], epochs=1, callbacks=callbacks, verbose=0)
    found = {"epochs": history.epoch, "left": sorted(os.listdir(folder)), "small": disk.small}
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            path.unlink()
    disk.fill()
    try:
        exec(CODE, {**names, "model": model})  # noqa: S102
    except OSError as error:
        found["raised"] = str(error)
    print(json.dumps(found), flush=True)
    os._exit(0)  # Orbax's threads have nothing more to say


def without_locks():
    namespace = {}
    exec(CODE, namespace)  # noqa: S102
    print(json.dumps({"weights": [w.tolist() for w in namespace["model"].get_weights()]}))


def one_of_several_workers():
    names = training()
    keras, np = names["keras"], names["np"]
    names["build_model"], build_model = lambda: build_model(units=0), names["build_model"]
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
    print(json.dumps(found), flush=True)
    os._exit(0)  # the threads of the other worker's connection never end


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    globals()[sys.argv[1]]()
