"""What a model's training depends on is saved, or refused by name: many kinds of models."""

import io
import json
import operator
import os
import pathlib
import time
import warnings
import zipfile

import durable_checkpoint
import h5py
import keras
import numpy as np
import pytest
from conftest import BACKEND
from durable_checkpoint import (
    DurableCheckpoint,
    ExactBackupAndRestore,
    ShuffledBatches,
    load_weights_strict,
    verify,
)

layers, optimizers = keras.layers, keras.optimizers
generator = np.random.default_rng(0)
X = generator.random((48, 8), "float32")
Y = X[:, :1] - 0.5
only_on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="a way of TensorFlow's")


def as_array(value):
    if isinstance(value, keras.Variable):
        return keras.ops.convert_to_numpy(value)
    return np.asarray(value)


def sequential(optimizer="adam", between=(), **settings):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.2),
            *between,
            layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"], **settings)
    return model


def with_policy(policy, optimizer="adam"):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return sequential(optimizer, [layers.BatchNormalization(), layers.GaussianNoise(0.1)])
    finally:
        keras.config.set_dtype_policy(before)


def with_lora():
    model = sequential()
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse")
    return model


def quantized(mode):
    model = sequential()
    model.quantize(mode)
    model.compile("adam", "mse")
    return model


class Remembers(keras.metrics.Metric):
    """Counts all rows ever seen: it does not begin anew with an epoch."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.rows = self.add_variable((), "zeros", name="rows")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows.assign_add(keras.ops.cast(keras.ops.shape(y_true)[0], "float32"))

    def result(self):
        return self.rows + 0.0

    def reset_state(self):
        pass


def with_a_metric_that_remembers():
    model = sequential()
    model.compile("adam", "mse", metrics=[Remembers(name="seen")])
    return model


class Counting(layers.Dense):
    """A counter of whole numbers: on JAX Keras says int64 and holds int32."""

    def build(self, shape):
        super().build(shape)
        self.seen = self.add_weight(
            shape=(2,), dtype="int64", initializer="zeros", trainable=False, name="seen"
        )

    def call(self, x, training=None):
        if training:
            self.seen.assign(self.seen + 1)
        return super().call(x)


class Codebook(layers.Layer):
    """Statistics in NumPy, saved as Keras's guide says."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.usage = np.zeros(3, "float32")

    def call(self, x):
        return x

    def save_own_variables(self, store):
        store["usage"] = self.usage

    def load_own_variables(self, store):
        self.usage = np.array(store["usage"])


class Subclass(keras.Model):
    """Random numbers, a metric and a loss of its own."""

    def __init__(self):
        super().__init__()
        self.first = layers.Dense(8)
        self.dropout = layers.Dropout(0.2)
        self.last = layers.Dense(1)
        self.own_loss = keras.metrics.Mean(name="own_loss")
        self.noise = keras.random.SeedGenerator(3)

    def call(self, x, training=None):
        x = self.last(self.dropout(self.first(x), training=training))
        return x + 0.01 * keras.random.normal((1,), seed=self.noise)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self.own_loss.update_state(loss)
        return loss


def subclass():
    model = Subclass()
    model(X[:1])
    model.compile("adam", "mse")
    return model


def built_at_the_first_batch():
    model = Subclass()
    model.build((None, 8))  # marks it as built; its layers have no weights yet
    model.compile("adam", "mse")
    return model


def stateful():
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(8, 4, 2)),
            layers.GRU(5, stateful=True, recurrent_dropout=0.1),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def attached():
    """A layer that is an attribute: Keras saves it, and it is none of the model's variables."""
    model = sequential()
    model.teacher = layers.Dense(2)
    model.teacher.build((None, 4))
    model.averages = {"kernels": [keras.Variable(np.ones(3, "float32"))]}
    return model


class Helper:
    """An object of the user's own, which Keras does not look into."""

    def __init__(self):
        self.average = keras.Variable(np.ones(3, "float32"))
        self.draws = np.random.default_rng(5)


def with_a_helper():
    model = sequential()
    model.helper = Helper()
    return model


class ChangesAttached(keras.callbacks.Callback):
    """Changes what belongs to the model and is changed by no optimizer."""

    def on_train_batch_end(self, batch, logs=None):
        model = self.model
        if hasattr(model, "teacher"):
            model.teacher.kernel.assign(model.teacher.kernel * 0.9 + 0.1)
            average = model.averages["kernels"][0]
            average.assign(average * 0.9)
        if hasattr(model, "helper"):
            average = model.helper.average
            average.assign(as_array(average) * model.helper.draws.random())
        for layer in model.layers:
            if isinstance(layer, Codebook):
                layer.usage = layer.usage * 0.9 + 1


def extras(model):
    """What the cases add to weights and optimizer."""
    found = []
    if hasattr(model, "teacher"):
        found += [*model.teacher.variables, model.averages["kernels"][0]]
    if hasattr(model, "helper"):
        found += [model.helper.average, [model.helper.draws.random()]]
    if hasattr(model, "second"):
        found += model.second.variables
    for layer in model.layers:
        if isinstance(layer, Codebook):
            found.append(layer.usage)
        if getattr(layer, "stateful", False):
            found += keras.tree.flatten(layer.states)
    return found


def bits(model):
    variables = [*model.variables, *model.optimizer.variables, *extras(model)]
    return [as_array(variable).tobytes() for variable in variables]


SCHEDULE = optimizers.schedules.CosineDecay
KINDS = {
    "adafactor": lambda: sequential(optimizers.Adafactor()),
    "several optimizers in one": lambda: sequential(
        optimizers.MultiOptimizer(
            optimizers.OptimizerMap(optimizers.Adam(), {"dense": optimizers.SGD(0.1)})
        )
        if hasattr(optimizers, "MultiOptimizer")
        else "adam"
    ),
    "schedule": lambda: sequential(optimizers.SGD(SCHEDULE(0.01, 20), momentum=0.9)),
    "averages": lambda: sequential(optimizers.Adam(use_ema=True, ema_overwrite_frequency=2)),
    "gradients accumulated": lambda: sequential(optimizers.Adam(gradient_accumulation_steps=4)),
    "loss scaled": lambda: sequential(
        optimizers.LossScaleOptimizer(optimizers.Adam(), dynamic_growth_steps=3)
    ),
    "mixed_float16": lambda: with_policy("mixed_float16"),
    "bfloat16": lambda: with_policy("bfloat16"),
    "float64": lambda: with_policy("float64"),
    "int8": lambda: quantized("int8"),
    "float8": lambda: quantized("float8"),
    "LoRA": with_lora,
    "subclass": subclass,
    "metric that remembers": with_a_metric_that_remembers,
    "recurrent states": stateful,
    "attached layer": attached,
    "helper object": with_a_helper,
    "whole numbers": lambda: sequential("adam", [Counting(8)]),
    "own saving method": lambda: sequential("adam", [Codebook()]),
    "spectral normalization": lambda: sequential(
        "adam", [layers.SpectralNormalization(layers.Dense(8))]
    ),
    "compiled by XLA": lambda: sequential(jit_compile=True),
    "eager": lambda: sequential(run_eagerly=True),
}
# Weights that Keras leaves out of its files.
LEFT_OUT = {"LoRA", "whole numbers"}


class Crash(Exception):
    pass


class CrashAt(keras.callbacks.Callback):
    """Raises at the end of a batch, counted over the life of this process."""

    def __init__(self, batch):
        super().__init__()
        self.left = batch

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Crash


def trains_without_backups():
    """Whether stock Keras trains the stateful network on batches of which it knows no size."""
    batches = ShuffledBatches(X.reshape(48, 4, 2), Y, 8, seed=1)
    try:
        stateful().fit(batches, shuffle=False, verbose=0)
    except Exception:  # noqa: BLE001 -- whatever it is, this release cannot
        return False
    return True


def train(make, folder, seed, save_freq, crash=None, epochs=2):
    """One process's part of a training. Returns bits and history if it was not interrupted."""
    keras.utils.set_random_seed(seed)
    model = make()
    x = X.reshape(48, 4, 2) if make is stateful else X
    batches = ShuffledBatches(x, Y, 8, seed=1)
    backup = ExactBackupAndRestore(folder, save_freq=save_freq, track=[batches])
    more = [CrashAt(crash)] if crash else []
    try:
        history = model.fit(
            batches,
            shuffle=False,
            epochs=epochs,
            verbose=0,
            validation_data=(x[:16], Y[:16]),
            validation_batch_size=8,
            callbacks=[backup, ChangesAttached(), *more],
        ).history
    except Crash:
        return None
    return bits(model), json.dumps(history)


@pytest.mark.filterwarnings("ignore:.*does not have a `build")
@pytest.mark.parametrize(
    ("kind", "save_freq"),
    [(kind, 4) for kind in (*KINDS, "built at the first batch")]
    + [(kind, "epoch") for kind in ("LoRA", "metric that remembers", "recurrent states")],
)
def test_interrupted_it_ends_in_the_same_bits(tmp_path, kind, save_freq):
    """An epoch has 6 batches. With 4, the backup is in the middle of the second one."""
    make = KINDS.get(kind, built_at_the_first_batch)
    if make is stateful and keras.__version__.startswith("3.12.") and not trains_without_backups():
        pytest.skip("this release cannot train stateful layers on a PyDataset")
    whole = train(make, tmp_path / "whole", 1, save_freq)
    assert train(make, tmp_path / "b", 1, save_freq, crash=10) is None
    assert train(make, tmp_path / "b", 2, save_freq) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_files_hold_what_stock_s_hold_and_load_strictly(tmp_path, kind):
    make = KINDS[kind]
    keras.utils.set_random_seed(1)
    model = make()
    x = X.reshape(48, 4, 2) if make is stateful else X
    paths = [tmp_path / "durable.keras", tmp_path / "durable.weights.h5"]
    checkpoints = [DurableCheckpoint(path, save_weights_only=path != paths[0]) for path in paths]
    more = [ChangesAttached()]
    model.fit(x, Y, batch_size=8, epochs=2, verbose=0, callbacks=[*more, *checkpoints])
    for path, stock in zip(paths, (model.save, model.save_weights), strict=True):
        stock(tmp_path / path.name.replace("durable", "stock"))
        assert arrays_of(path) == arrays_of(tmp_path / path.name.replace("durable", "stock"))
        assert verify(path) == "checksum"
        keras.utils.set_random_seed(2)
        twin = make()
        if kind in LEFT_OUT:
            with pytest.raises(ValueError, match="leaves it out of its files"):
                load_weights_strict(twin, path)
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Skipping")  # of Keras, which does not raise
            load_weights_strict(twin, path)
        for group in ("weights", "optimizer.variables"):
            loaded, saved = (operator.attrgetter(group)(one) for one in (twin, model))
            assert [as_array(v).tobytes() for v in loaded] == [as_array(v).tobytes() for v in saved]


def arrays_of(path):
    """Every array in the file, by another reader than the module's."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            path = io.BytesIO(archive.read("model.weights.h5"))
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item.shape, str(item.dtype), item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(note)
    assert found
    return found


class TwoOptimizers(keras.Model):
    """Two optimizers that are built in the first step; the third, of `compile`, is never used."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(1), layers.Dense(1)
        self.second = optimizers.Adam(0.01)
        self.more = {"one": [optimizers.SGD(0.1, momentum=0.9)]}

    def call(self, x):
        return self.a(x) + self.b(x)

    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        for layer, optimizer in ((self.a, self.second), (self.b, self.more["one"][0])):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x) - y) ** 2)
            variables = layer.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


@only_on_tensorflow
@pytest.mark.parametrize("save_freq", ["epoch", 4])
def test_optimizers_in_attributes_lists_and_dictionaries_go_on(tmp_path, save_freq):
    def make():
        model = TwoOptimizers()
        model(X[:1])
        model.compile(loss="mse")
        return model

    def go(folder, seed, crash=None):
        keras.utils.set_random_seed(seed)
        model = make()
        batches = ShuffledBatches(X, Y, 8, seed=1)
        backup = ExactBackupAndRestore(folder, save_freq=save_freq, track=[batches])
        more = [CrashAt(crash)] if crash else []
        try:
            model.fit(batches, shuffle=False, epochs=3, verbose=0, callbacks=[backup, *more])
        except Crash:
            return None
        momentum = model.more["one"][0].variables
        assert int(model.second.iterations) == int(model.more["one"][0].iterations) == 18
        return bits(model) + [as_array(variable).tobytes() for variable in momentum]

    whole = go(tmp_path / "whole", 1)
    assert go(tmp_path / "b", 1, crash=9) is None
    assert go(tmp_path / "b", 2) == whole


@only_on_tensorflow
def test_a_training_step_of_one_s_own_with_compiled_metrics_goes_on_in_mid_epoch(tmp_path):
    """Keras makes the metrics at the first batch, and the model cannot be called."""
    import tensorflow as tf

    class Autoencoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = layers.Dense(3), layers.Dense(8)

        def build(self, shape):
            self.encoder.build((None, 8))
            self.decoder.build((None, 3))
            self.built = True

        def call(self, x):
            raise NotImplementedError

        def train_step(self, data):
            x, _ = data
            with tf.GradientTape() as tape:
                predicted = self.decoder(self.encoder(x))
                loss = tf.reduce_mean((predicted - x) ** 2)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(x, predicted)
            return {metric.name: metric.result() for metric in self.metrics}

    def go(folder, seed, crash=None):
        keras.utils.set_random_seed(seed)
        model = Autoencoder()
        model.build(None)
        model.compile("adam", metrics=["mae"])
        batches = ShuffledBatches(X, Y, 8)
        backup = ExactBackupAndRestore(folder, save_freq=1, track=[batches])
        more = [CrashAt(crash)] if crash else []
        try:
            fit = model.fit(batches, shuffle=False, epochs=3, verbose=0, callbacks=[backup, *more])
        except Crash:
            return None
        return bits(model), json.dumps(fit.history)

    whole = go(tmp_path / "whole", 1)
    for crash in (4, 8):
        assert go(tmp_path / f"b{crash}", 1, crash) is None
        assert go(tmp_path / f"b{crash}", 2) == whole


@pytest.mark.parametrize("on_epoch", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_averages_in_the_model_at_the_moment_of_the_backup(tmp_path, first, tracked, on_epoch):
    def go(folder, seed, crash=None):
        keras.utils.set_random_seed(seed)
        model = sequential(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
        batches = ShuffledBatches(X, Y, 8, seed=1)
        backup = ExactBackupAndRestore(folder, track=[batches, *([swap] if tracked else [])])
        both = [swap, backup] if first else [backup, swap]
        more = [CrashAt(crash)] if crash else []
        try:
            history = model.fit(
                batches,
                shuffle=False,
                epochs=3,
                verbose=0,
                validation_data=(X, Y),
                callbacks=both + more,
            ).history
        except Crash:
            return None
        return bits(model), json.dumps(history)

    whole = go(tmp_path / "whole", 1)
    assert go(tmp_path / "b", 1, crash=13) is None  # the first batch of the third epoch
    assert go(tmp_path / "b", 2) == whole


def test_averages_that_only_the_backup_knows_are_refused(tmp_path):
    def go(callbacks, crash=None):
        model = sequential(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9))
        backup = ExactBackupAndRestore(tmp_path, save_freq=2)
        more = [CrashAt(crash)] if crash else []
        model.fit(X, Y, shuffle=False, verbose=0, callbacks=[*callbacks, backup, *more])

    with pytest.raises(Crash):
        go([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)], crash=1)
    with pytest.raises(ValueError, match="1 SwapEMAWeights in callbacks, this fit has 0"):
        go([])
    assert not (tmp_path / ".backup.lock").exists()  # another process may go on
    go([keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])


@pytest.mark.parametrize(
    ("save_freq", "before", "after"),
    [
        (3, [(0, 0), (0, 3), (1, 2)], [(2, 1)]),
        ("epoch", [(0, 0), (1, 0)], [(2, 0)]),
    ],
)
def test_backups_are_made_at_these_moments(tmp_path, monkeypatch, save_freq, before, after):
    """Epoch and batch, from 0. What was just resumed is not backed up once more."""
    write, moments = durable_checkpoint.backup_file.write, []

    def noted(path, header, *others):
        moments.append((header["epoch"], header["batch"]))
        return write(path, header, *others)

    def go(*more):
        batches = ShuffledBatches(X, Y, 12, seed=1)  # 4 in an epoch
        backup = ExactBackupAndRestore(
            tmp_path, save_freq=save_freq, background=False, track=[batches]
        )
        callbacks = [backup, *more]
        sequential().fit(batches, shuffle=False, epochs=3, verbose=0, callbacks=callbacks)

    monkeypatch.setattr(durable_checkpoint.backup_file, "write", noted)
    with pytest.raises(Crash):
        go(CrashAt(7))
    assert moments == before
    go()
    assert moments[len(before) :] == after


class Ema(keras.callbacks.Callback):
    """Changes a setting, a list and an array while it runs."""

    def __init__(self, rate=0.5, seen=None, table=None):
        super().__init__()
        self.table = np.zeros(2) if table is None else table
        self.rate = rate
        self.seen = [] if seen is None else seen
        self.patience = 3

    def on_train_batch_end(self, batch, logs=None):
        self.rate *= 0.99
        self.table += 1
        self.seen.append(self.rate)


@pytest.mark.parametrize("first", [True, False])
def test_a_changed_setting_of_a_tracked_callback_is_its_state(tmp_path, first):
    def go(seed, crash=None, folder=tmp_path / "b"):
        keras.utils.set_random_seed(seed)
        batches, own = ShuffledBatches(X, Y, 8), Ema()
        rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
        backup = ExactBackupAndRestore(folder, save_freq=4, track=[batches, own, rates])
        others = [own, rates, *([CrashAt(crash)] if crash else [])]
        callbacks = [backup, *others] if first else [*others, backup]
        model = sequential()
        try:
            model.fit(batches, shuffle=False, epochs=3, verbose=0, callbacks=callbacks)
        except Crash:
            return None
        return own.rate, own.seen, own.table.tolist(), bits(model)

    whole = go(1, folder=tmp_path / "whole")
    assert go(1, crash=9) is None
    assert go(2) == whole


def test_a_tracked_layer_draws_on_from_a_generator_that_it_holds():
    layer = layers.Dense(1)
    layer.build((None, 2))
    layer.noise = np.random.default_rng(3)
    state = durable_checkpoint.tracked.Tracked(layer).state()
    drawn = layer.noise.random(3).tolist()
    durable_checkpoint.tracked.Tracked(layer).set_state(state)
    assert layer.noise.random(3).tolist() == drawn


def test_what_keras_s_own_callbacks_open_anew_is_not_reported_as_lost(tmp_path):
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    for folder in ("first", "second"):  # in the second fit it holds the file of the first
        batches = ShuffledBatches(X, Y, 8)
        backup = ExactBackupAndRestore(tmp_path / folder, track=[batches, log])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            sequential().fit(batches, shuffle=False, verbose=0, callbacks=[log, backup])
        assert not [str(each.message) for each in said if "no backup can hold" in str(each.message)]


def test_a_setting_that_is_given_anew_is_not_taken_from_the_backup(tmp_path):
    def go(patience, crash=None):
        stop = keras.callbacks.EarlyStopping("loss", patience=patience, min_delta=9)
        backup = ExactBackupAndRestore(tmp_path / "b", track=[stop])
        more = [CrashAt(crash)] if crash else []
        try:
            fit = sequential().fit(X, Y, 8, epochs=9, verbose=0, callbacks=[stop, backup, *more])
        except Crash:
            return None
        return len(fit.epoch)

    assert go(patience=2, crash=8) is None
    assert go(patience=4) == 5  # the first epoch counts as an improvement


def test_state_that_no_backup_can_hold_is_refused_by_its_name(tmp_path):
    for thing in (layers.Dense(1), keras.random.SeedGenerator(1)):
        model = sequential()
        model.memory = {thing}
        with pytest.raises(ValueError, match=r"memory \(a set"):
            model.fit(X, Y, verbose=0, callbacks=[ExactBackupAndRestore(tmp_path / "b")])
    if BACKEND == "tensorflow":
        import tensorflow as tf

        model = sequential()
        model.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 0)
        with pytest.raises(ValueError, match=r"table \(.*MutableHashTable"):
            model.fit(X, Y, verbose=0, callbacks=[ExactBackupAndRestore(tmp_path / "c")])


@only_on_tensorflow
def test_variables_of_tensorflow_and_its_generators_go_on(tmp_path):
    import tensorflow as tf

    class Draws(layers.Layer):
        def __init__(self):
            super().__init__()
            self.draws = tf.random.Generator.from_seed(3)
            self.steps = tf.Variable(0.0)

        def call(self, x, training=None):
            if training:
                self.steps.assign_add(1.0)
                x = x + 0.1 * self.draws.normal(tf.shape(x)) * self.steps
            return x

    def go(folder, seed, crash=None):
        keras.utils.set_random_seed(seed)
        model = sequential("adam", [Draws()])
        batches = ShuffledBatches(X, Y, 8)
        backup = ExactBackupAndRestore(folder, save_freq=4, track=[batches])
        more = [CrashAt(crash)] if crash else []
        try:
            model.fit(batches, shuffle=False, epochs=2, verbose=0, callbacks=[backup, *more])
        except Crash:
            return None
        return bits(model), float(model.layers[2].steps)

    whole = go(tmp_path / "whole", 1)
    assert go(tmp_path / "b", 1, crash=9) is None
    assert go(tmp_path / "b", 2) == whole and whole[1] == 12


# ---- files


class Cached(layers.Dense):
    """Begins to save something after the first save."""

    cache = None

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.cache is not None:
            store["cache"] = self.cache

    def load_own_variables(self, store):
        if "cache" in store.keys():  # noqa: SIM118, Keras's store is no dictionary
            self.cache = np.array(store["cache"])
        super().load_own_variables({key: store[key] for key in ("0", "1")})


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_state_that_appears_and_changes_later_is_in_the_next_file(tmp_path, ending):
    model = keras.Sequential([keras.Input((8,)), Codebook(), Cached(1)])
    model.compile("adam", "mse")

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].usage = np.full(3, 1 + epoch, "float32")  # first as iterations
            if epoch:
                self.model.layers[1].cache = np.arange(3.0) + epoch

    weights = ending == ".weights.h5"
    checkpoint = DurableCheckpoint(tmp_path / f"{{epoch}}{ending}", save_weights_only=weights)
    model.fit(X, Y, batch_size=48, epochs=3, verbose=0, callbacks=[Change(), checkpoint])
    for epoch in (1, 2, 3):
        arrays = arrays_of(tmp_path / f"{epoch}{ending}")
        usage = np.frombuffer(arrays["layers/codebook/vars/usage"][2], "float32")
        assert usage.tolist() == [epoch] * 3
        cache = arrays.get("layers/cached/vars/cache")
        if epoch == 1:
            assert cache is None
        else:
            assert np.frombuffer(cache[2]).tolist() == [epoch - 1, epoch, epoch + 1]


class Turning(layers.Dense):
    """Saves two arrays of one shape; when it has turned, in the other order and renamed."""

    turned = False

    def save_own_variables(self, store):
        super().save_own_variables(store)
        arrays = [("first", np.zeros(2)), ("second", np.ones(2))]
        for name, array in arrays[:: -1 if self.turned else 1]:
            store[f"{name}, turned: {self.turned}"] = array
        store["nothing"] = np.zeros((0, 2))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_names_that_change_and_arrays_without_numbers_are_saved_as_stock_saves_them(
    tmp_path, ending
):
    model = keras.Sequential([keras.Input((8,)), Turning(1)])
    model.compile("adam", "mse")
    turn = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(model.layers[0], "turned", epoch > 0)
    )
    weights = ending == ".weights.h5"
    checkpoint = DurableCheckpoint(tmp_path / f"{{epoch}}{ending}", save_weights_only=weights)
    model.fit(X, Y, batch_size=48, epochs=2, verbose=0, callbacks=[turn, checkpoint])
    for epoch in (1, 2):
        arrays = arrays_of(tmp_path / f"{epoch}{ending}")
        for name, value in (("first", 0), ("second", 1)):
            content = arrays[f"layers/turning/vars/{name}, turned: {epoch > 1}"][2]
            assert np.frombuffer(content).tolist() == [value, value]
        assert arrays["layers/turning/vars/nothing"][0] == (0, 2)


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_an_array_that_changes_in_place_is_saved_as_it_was(tmp_path, monkeypatch, ending):
    write = durable_checkpoint.files.write_and_compare

    def slow(*arguments):
        time.sleep(1)
        return write(*arguments)

    monkeypatch.setattr(durable_checkpoint.files, "write_and_compare", slow)
    model = keras.Sequential([keras.Input((8,)), Codebook()])
    model.compile("adam", "mse")
    codebook = model.layers[0]

    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            codebook.usage[:] = epoch + 1

    codebook.usage = np.zeros(3, "float32")
    weights = ending == ".weights.h5"
    checkpoint = DurableCheckpoint(tmp_path / f"{{epoch}}{ending}", save_weights_only=weights)
    model.fit(X, Y, batch_size=48, epochs=2, verbose=0, callbacks=[Change(), checkpoint])
    for epoch in (1, 2):
        usage = arrays_of(tmp_path / f"{epoch}{ending}")["layers/codebook/vars/usage"][2]
        assert np.frombuffer(usage, "float32").tolist() == [epoch] * 3


@keras.saving.register_keras_serializable("state")
class OwnSave(keras.Sequential):
    """Notes that its own methods were called."""

    def save(self, filepath, **keywords):
        self.calls = [*getattr(self, "calls", []), "save"]
        super().save(filepath, **keywords)

    def save_weights(self, filepath, **keywords):
        self.calls = [*getattr(self, "calls", []), "save_weights"]
        super().save_weights(filepath, **keywords)


def test_a_save_method_of_the_model_s_own_class_is_called(tmp_path):
    for name, weights in (("m.keras", False), ("m.weights.h5", True), ("m.h5", False)):
        model = OwnSave([keras.Input((8,)), layers.Dense(1)])
        model.compile("adam", "mse")
        checkpoint = DurableCheckpoint(tmp_path / name, save_weights_only=weights)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[checkpoint])
        assert model.calls == 3 * ["save_weights" if weights else "save"]
        assert verify(tmp_path / name) == "checksum"
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("adam", "mse")
    saved = []
    model.save = lambda path, **keywords: (saved.append(path), keras.Model.save(model, path))
    model.fit(X, Y, verbose=0, callbacks=[DurableCheckpoint(tmp_path / "own.keras")])
    assert len(saved) == 1 and verify(tmp_path / "own.keras") == "checksum"


def test_a_whole_model_under_a_name_for_weights_is_a_whole_model(tmp_path):
    """As in stock Keras, which goes by `save_weights_only` and not by the name."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("adam", keras.losses.MeanSquaredError())
    path = tmp_path / "m.weights.h5"
    model.fit(X, Y, verbose=0, callbacks=[DurableCheckpoint(path)])
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_layer_may_ask_more_of_the_store_than_arrays(tmp_path, ending):
    class Notes(layers.Dense):
        def save_own_variables(self, store):
            super().save_own_variables(store)
            store.h5_file.attrs["note"] = "written by the layer"

    model = keras.Sequential([keras.Input((8,)), Notes(1)])
    model.compile("adam", "mse")
    path = tmp_path / f"m{ending}"
    checkpoint = DurableCheckpoint(path, save_weights_only=ending == ".weights.h5")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[checkpoint])
    assert verify(path) == "checksum"
    (model.save if ending == ".keras" else model.save_weights)(tmp_path / f"stock{ending}")
    assert arrays_of(path) == arrays_of(tmp_path / f"stock{ending}")


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_layer_may_take_back_what_it_handed_over(tmp_path, ending):
    class Revises(layers.Dense):
        def save_own_variables(self, store):
            store["draft"] = np.ones((99, 99))  # HDF5 uses its place again
            super().save_own_variables(store)
            del store["draft"]

    model = keras.Sequential(
        [keras.Input((8,)), Revises(100), layers.Dense(90), layers.Dense(3), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    path = tmp_path / f"m{ending}"
    checkpoint = DurableCheckpoint(path, save_weights_only=ending == ".weights.h5")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[checkpoint])
    (model.save if ending == ".keras" else model.save_weights)(tmp_path / f"stock{ending}")
    assert arrays_of(path) == arrays_of(tmp_path / f"stock{ending}")


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("error", [RuntimeError, OSError, ValueError])
def test_an_error_of_the_user_s_own_layer_ends_fit_as_in_stock_keras(tmp_path, ending, error):
    class Fails(layers.Dense):
        def save_own_variables(self, store):
            raise error("my own mistake")

    weights = ending == ".weights.h5"
    for kind in (keras.callbacks.ModelCheckpoint, DurableCheckpoint):
        model = keras.Sequential([keras.Input((8,)), Fails(1)])
        model.compile("adam", "mse")
        epochs = []
        count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: epochs.append(e))  # noqa: B023
        checkpoint = kind(tmp_path / f"m{ending}", save_weights_only=weights)
        with pytest.raises(error, match="my own mistake"):
            model.fit(X, Y, epochs=5, verbose=0, callbacks=[checkpoint, count])
        assert epochs == [0]


def test_a_callback_used_again_with_another_type_writes_right_files(tmp_path):
    """JAX on the processor uses its buffers again, after an exception also in the next fit."""
    path = tmp_path / "m.weights.h5"
    checkpoint = DurableCheckpoint(path, save_weights_only=True)

    def crash(epoch, logs):
        raise Crash

    end = keras.callbacks.LambdaCallback(on_epoch_end=crash)
    for policy in (None, "float32", "float16", "bfloat16"):
        model = sequential() if policy is None else with_policy(policy)
        with pytest.raises(Crash):
            model.fit(X, Y, verbose=0, callbacks=[checkpoint, end])
        model.save_weights(tmp_path / "stock.weights.h5")
        assert verify(path) == "checksum"
        assert arrays_of(path) == arrays_of(tmp_path / "stock.weights.h5")


@pytest.mark.parametrize("length", [225, 260])
def test_a_name_without_room_for_its_companions_is_refused_before_training(tmp_path, length):
    path = tmp_path / ("n" * (length - 6) + ".keras")
    epochs = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: epochs.append(e))
    fit = {"epochs": 2, "verbose": 0, "callbacks": [count, DurableCheckpoint(path)]}
    if length == 225:
        sequential().fit(X, Y, **fit)
        assert verify(path) == "checksum"
    else:
        with pytest.raises(ValueError, match="Choose a shorter name"):
            sequential().fit(X, Y, **fit)
        assert epochs == []


def test_names_that_are_no_utf_8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff\xfe.keras")
    sequential().fit(X, Y, verbose=0, callbacks=[DurableCheckpoint(path, verbose=1)])
    assert verify(path) == "checksum"
    assert keras.models.load_model(str(path), compile=False) is not None


# ---- loading everything or nothing


def test_what_would_come_back_as_zeros_is_refused(tmp_path):
    model = with_lora()
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    twin = with_lora()
    before = bits(twin)
    with pytest.raises(ValueError, match="LoRA"):
        load_weights_strict(twin, tmp_path / "m.weights.h5")
    assert bits(twin) == before and not twin.optimizer.built


@pytest.mark.parametrize(
    ("saved", "here"), [("adam", "adamw"), ("adamw", "adam"), ("sgd", "rmsprop"), ("adam", "sgd")]
)
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_an_optimizer_of_another_class_is_refused(tmp_path, saved, here, ending):
    model = sequential(saved)
    model.fit(X, Y, verbose=0)
    path = tmp_path / f"m{ending}"
    (model.save_weights if ending == ".weights.h5" else model.save)(path)
    twin = sequential(here)
    before = bits(twin)
    with pytest.raises(ValueError, match="nothing was loaded"):
        load_weights_strict(twin, path)
    assert bits(twin) == before and not twin.optimizer.built
    twin.fit(X, Y, epochs=2, verbose=0)  # it is still as good as new
    assert int(twin.optimizer.iterations) == 4


def test_an_optimizer_class_of_one_s_own_loads(tmp_path):
    class Mine(optimizers.Adam):
        pass

    model = sequential(Mine())
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    twin = sequential(Mine())
    load_weights_strict(twin, tmp_path / "m.weights.h5")
    assert int(twin.optimizer.iterations) == 2


def test_a_file_with_another_type_in_it_leaves_everything_as_it_was(tmp_path):
    model = sequential()
    model.fit(X, Y, verbose=0)
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        value = file["optimizer/vars/2"][()].astype("float64")
        del file["optimizer/vars/2"]
        file["optimizer/vars/2"] = value
    twin = sequential()
    before = bits(twin)
    with pytest.raises(ValueError, match=r"optimizer/vars/2.*float64"):
        load_weights_strict(twin, path)
    assert bits(twin) == before and not twin.optimizer.built


class Inexact(layers.Layer):
    """Does not load what it saves."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(2,), name="scale")

    def call(self, x):
        return x * self.scale[0]

    def load_own_variables(self, store):
        self.scale.assign(np.array(store["0"]) * 2)


def test_a_layer_that_does_not_load_what_it_saved_is_noticed(tmp_path):
    def make():
        model = sequential("adam", [Codebook(), Inexact()])
        model.second = optimizers.SGD(momentum=0.9)
        model.second.build(model.trainable_variables)
        return model

    model = make()
    model.fit(X, Y, verbose=0, callbacks=[ChangesAttached()])
    model.second.variables[2].assign(keras.ops.ones(model.second.variables[2].shape))
    model.save_weights(tmp_path / "m.weights.h5")
    twin = make()
    twin.layers[2].usage = np.full(3, 7, "float32")
    before = bits(twin)
    with pytest.raises(ValueError, match="layers/inexact/vars/0"):
        load_weights_strict(twin, tmp_path / "m.weights.h5")
    assert bits(twin) == before and not twin.optimizer.built


@keras.saving.register_keras_serializable("state")
class Forgetful(layers.Layer):
    """Saves its words, and does not load them."""

    words = "a b"

    def call(self, x):
        return x

    def save_assets(self, folder):
        pathlib.Path(folder, "words").write_text(self.words)

    def load_assets(self, folder):
        pass


def test_a_layer_that_does_not_load_its_assets_is_noticed(tmp_path):
    model, twin = sequential("adam", [Forgetful()]), sequential("adam", [Forgetful()])
    model.save(tmp_path / "m.keras")
    load_weights_strict(twin, tmp_path / "m.keras")
    twin.layers[2].words = "c d"
    before = bits(twin)
    with pytest.raises(ValueError, match="vocabularies were not restored"):
        load_weights_strict(twin, tmp_path / "m.keras")
    assert bits(twin) == before


@only_on_tensorflow
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_vocabulary_is_restored_or_its_absence_refused(tmp_path, ending):
    import tensorflow as tf

    def make(words=()):
        text = layers.TextVectorization(
            max_tokens=9, output_mode="multi_hot", pad_to_max_tokens=True
        )
        if words:
            text.adapt(words)
        model = keras.Sequential([keras.Input((1,), dtype="string"), text, layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    model = make(["a b c", "a b"])
    path = tmp_path / f"m{ending}"
    checkpoint = DurableCheckpoint(path, save_weights_only=ending == ".weights.h5")
    model.fit(tf.constant([["a"], ["b"]]), np.ones((2, 1)), verbose=0, callbacks=[checkpoint])
    twin = make()
    if ending == ".keras":
        load_weights_strict(twin, path)
        assert twin.layers[0].get_vocabulary() == ["[UNK]", "b", "a", "c"]
        other = make(["x y"])
        load_weights_strict(other, path)
        assert other.layers[0].get_vocabulary() == ["[UNK]", "b", "a", "c"]
    else:
        with pytest.raises(ValueError, match="vocabulary"):
            load_weights_strict(twin, path)
        load_weights_strict(make(["a b c", "a b"]), path)


def test_a_path_is_there_if_a_file_would_have_it(tmp_path):
    path = tmp_path / "m.weights.h5"
    sequential().save_weights(path)
    with h5py.File(path) as file:
        found = durable_checkpoint.hdf5.arrays_in(file)
        given = durable_checkpoint.training.GivenArrays({n: a[()] for n, a in found.items()})
        for name in ("layers", "layers/dense_1", "layers/dense_", "layers/den", "optimizer", "opt"):
            assert given.has_path(name) == (name in file), name


def test_trained_with_batches_of_four_a_recurrent_model_predicts_one_by_one(tmp_path):
    def make(batch):
        model = keras.Sequential(
            [keras.Input(batch_shape=(batch, 4, 2)), layers.LSTM(4, stateful=True), layers.Dense(1)]
        )
        model.compile("adam", "mse")
        return model

    model = make(4)
    model.fit(X.reshape(48, 4, 2), Y, batch_size=4, verbose=0, shuffle=False)
    model.save_weights(tmp_path / "m.weights.h5")
    one = make(1)
    load_weights_strict(one, tmp_path / "m.weights.h5")
    assert [as_array(w).tobytes() for w in one.weights] == [
        as_array(w).tobytes() for w in model.weights
    ]


@pytest.mark.parametrize("name", ["m.weights.json", "m.h5", "m.txt"])
def test_files_of_other_formats_are_refused_by_name(tmp_path, name):
    model = sequential()
    path = tmp_path / name
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match=name):
        load_weights_strict(model, path)
