"""Every layer, optimizer and metric of Keras that keeps something, in an interrupted training."""

import inspect
import json
import re
import shutil

import keras
import numpy as np
import pytest
from conftest import BACKEND
from durable_checkpoint import (
    DurableCheckpoint,
    ExactBackupAndRestore,
    ShuffledBatches,
    load_weights_strict,
)
from durable_checkpoint.writer import wait_for_own_writes
from test_state import arrays_of, as_array

layers, optimizers, metrics = keras.layers, keras.optimizers, keras.metrics
ROWS, BATCH = 32, 8  # 4 batches in an epoch
generator = np.random.default_rng(0)
NUMBERS = generator.random((ROWS, 8), "float32")
PICTURES = generator.random((ROWS, 8, 8, 3), "float32")
Y = NUMBERS[:, :1] - 0.5
KEEP = {"stateful": True, "dropout": 0.1, "recurrent_dropout": 0.1}


def adapted(layer, data):
    layer.adapt(data)
    return layer


def twice(attention):
    return lambda x: attention(x, x)


def to_list(attention):
    return lambda x: attention([x, x])


# By what comes in, a layer of each name; those of a later Keras are left out.
KINDS = {
    (8,): {
        "AlphaDropout": lambda: layers.AlphaDropout(0.2),
        "BatchNormalization": lambda: layers.BatchNormalization(),
        "Dense": lambda: layers.Dense(3),
        "Discretization": lambda: adapted(layers.Discretization(num_bins=4), NUMBERS),
        "Dropout": lambda: layers.Dropout(0.2),
        "EinsumDense": lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"),
        "GaussianDropout": lambda: layers.GaussianDropout(0.2),
        "GaussianNoise": lambda: layers.GaussianNoise(0.2),
        "GroupNormalization": lambda: layers.GroupNormalization(4),
        "LayerNormalization": lambda: layers.LayerNormalization(),
        "Normalization": lambda: adapted(layers.Normalization(), NUMBERS),
        "PReLU": lambda: layers.PReLU(),
        "RMSNormalization": lambda: layers.RMSNormalization(),
        "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Dense(3)),
        "UnitNormalization": lambda: layers.UnitNormalization(),
    },
    # Whole numbers from 0 to 7, of the numbers.
    "int32": {
        "Embedding": lambda: layers.Embedding(8, 3),
        "ReversibleEmbedding": lambda: layers.ReversibleEmbedding(8, 3),
    },
    (4, 2): {
        "AdditiveAttention": lambda: to_list(layers.AdditiveAttention(dropout=0.1)),
        "Attention": lambda: to_list(layers.Attention(True, "concat", dropout=0.1)),
        "Bidirectional": lambda: layers.Bidirectional(
            layers.GRU(3, **KEEP), backward_layer=layers.LSTM(3, go_backwards=True, **KEEP)
        ),
        "Conv1D": lambda: layers.Conv1D(3, 2),
        "Conv1DTranspose": lambda: layers.Conv1DTranspose(3, 2),
        "DepthwiseConv1D": lambda: layers.DepthwiseConv1D(2),
        "GRU": lambda: layers.GRU(3, **KEEP),
        "GroupedQueryAttention": lambda: twice(layers.GroupQueryAttention(3, 4, 2, dropout=0.1)),
        "LSTM": lambda: layers.LSTM(3, **KEEP),
        "MultiHeadAttention": lambda: twice(layers.MultiHeadAttention(2, 3, dropout=0.1)),
        "RNN": lambda: layers.RNN([layers.GRUCell(3, dropout=0.1), layers.LSTMCell(3)]),
        "SeparableConv1D": lambda: layers.SeparableConv1D(3, 2),
        "SimpleRNN": lambda: layers.SimpleRNN(3, **KEEP),
        "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.2),
        "StackedRNNCells": lambda: layers.RNN(
            layers.StackedRNNCells([layers.SimpleRNNCell(2), layers.GRUCell(2)]), stateful=True
        ),
        "TimeDistributed": lambda: layers.TimeDistributed(layers.Dropout(0.2)),
    },
    (8, 8, 3): {
        "Conv2D": lambda: layers.Conv2D(3, 2),
        "Conv2DTranspose": lambda: layers.Conv2DTranspose(3, 2),
        "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(2),
        "SeparableConv2D": lambda: layers.SeparableConv2D(3, 2),
        "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.2),
        "RandAugment": lambda: layers.RandAugment(),
        "RandomBrightness": lambda: layers.RandomBrightness(0.2),
        "RandomColorDegeneration": lambda: layers.RandomColorDegeneration(0.5),
        "RandomColorJitter": lambda: layers.RandomColorJitter(brightness_factor=0.2),
        "RandomContrast": lambda: layers.RandomContrast(0.2),
        "RandomCrop": lambda: layers.RandomCrop(8, 8),
        "RandomElasticTransform": lambda: layers.RandomElasticTransform(),
        "RandomErasing": lambda: layers.RandomErasing(),
        "RandomFlip": lambda: layers.RandomFlip(),
        "RandomGaussianBlur": lambda: layers.RandomGaussianBlur(),
        "RandomGrayscale": lambda: layers.RandomGrayscale(),
        "RandomHue": lambda: layers.RandomHue(0.2),
        "RandomInvert": lambda: layers.RandomInvert(),
        "RandomPerspective": lambda: layers.RandomPerspective(),
        "RandomPosterization": lambda: layers.RandomPosterization(5),
        "RandomRotation": lambda: layers.RandomRotation(0.2),
        "RandomSaturation": lambda: layers.RandomSaturation(0.2),
        "RandomSharpness": lambda: layers.RandomSharpness(0.2),
        "RandomShear": lambda: layers.RandomShear(0.2, 0.2),
        "RandomTranslation": lambda: layers.RandomTranslation(0.2, 0.2),
        "RandomZoom": lambda: layers.RandomZoom(0.2),
        "Solarization": lambda: layers.Solarization(),
    },
    # The pictures as lines and as films.
    (2, 32, 3): {"ConvLSTM1D": lambda: layers.ConvLSTM1D(2, 2, **KEEP)},
    (2, 4, 8, 3): {
        "Conv3D": lambda: layers.Conv3D(2, 2),
        "Conv3DTranspose": lambda: layers.Conv3DTranspose(2, 2),
        "ConvLSTM2D": lambda: layers.ConvLSTM2D(2, 2, **KEEP),
        "SpatialDropout3D": lambda: layers.SpatialDropout3D(0.2),
    },
    (2, 2, 4, 4, 3): {"ConvLSTM3D": lambda: layers.ConvLSTM3D(2, 2, **KEEP)},
}
# TensorFlow would take a minute to compile these, and three times.
COMPILED_ON_JAX_ONLY = [(4, 2)]
# Nothing to keep; or they take targets, or another library's network.
WITHOUT_STATE = """Activation ActivityRegularization Add AutoContrast Average CategoryEncoding
CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Dot ELU Equalization Flatten
HashedCrossing Hashing Identity InputLayer Lambda Layer LeakyReLU Masking MaxNumBoundingBoxes
Maximum MelSpectrogram Minimum Multiply Permute Pipeline ReLU RepeatVector Rescaling Reshape
Resizing STFTSpectrogram Softmax Subtract Wrapper"""
ELSEWHERE = """AugMix CutMix MixUp FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper IntegerLookup
StringLookup TextVectorization GRUCell LSTMCell SimpleRNNCell"""


def model_of(shape):
    """A model of all layers for `shape`, side by side."""
    if shape == "int32":
        inputs = keras.Input(batch_shape=(BATCH, 8))
        x = layers.Lambda(lambda t: keras.ops.cast(t * 8, "int32"))(inputs)
    else:
        inputs = keras.Input(batch_shape=(BATCH, 8, 8, 3) if len(shape) > 2 else (BATCH, 8))
        x = layers.Reshape(shape)(inputs)
    flat = []
    for name, make in KINDS[shape].items():
        if name == "GroupedQueryAttention" or hasattr(layers, name):
            as_numbers = layers.Lambda(lambda t: keras.ops.cast(t, "float32"))
            flat.append(layers.Flatten()(as_numbers(make()(x))))
    outputs = layers.Dense(1)(layers.Concatenate()(flat))
    eager = BACKEND == "tensorflow" and shape in COMPILED_ON_JAX_ONLY
    return compiled(keras.Model(inputs, outputs), run_eagerly=eager)


def compiled(model, **settings):
    model.compile("adam", "mse", **settings)
    return model


def states(model):
    """All that the layers hold and the optimizer, as pairs of a name and the bits."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        held = [v.state for v in vars(layer).values() if isinstance(v, keras.random.SeedGenerator)]
        held += keras.tree.flatten(getattr(layer, "states", None) or [])
        found += [(layer.path, variable) for variable in layer.variables + held]
    found += [("optimizer", variable) for variable in model.optimizer.variables]
    return [(name, as_array(variable).tobytes()) for name, variable in found]


class KilledAfter(keras.callbacks.Callback):
    """Copies the backups after a number of batches: what a kill between two saves would leave."""

    def __init__(self, batches, folder, copy):
        super().__init__()
        self.left, self.folder, self.copy = batches, folder, copy

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            wait_for_own_writes()  # else files get other names while they are copied
            shutil.copytree(self.folder, self.copy)


def train(make, x, y, folder, seed, callbacks=()):
    keras.utils.set_random_seed(seed)
    model = make()
    batches = ShuffledBatches(x, y, BATCH, seed=1)
    backup = ExactBackupAndRestore(folder, save_freq=3, track=[batches])
    history = model.fit(
        batches, shuffle=False, epochs=2, verbose=0, callbacks=[backup, *callbacks]
    ).history
    return model, json.dumps(history, default=np.ndarray.tolist)


def check(tmp_path, make, x, y=Y):
    """Killed in mid-epoch it ends in the same bits; its files are stock's, and load."""
    paths = [tmp_path / "durable.keras", tmp_path / "durable.weights.h5"]
    checkpoints = [DurableCheckpoint(path, save_weights_only=path != paths[0]) for path in paths]
    folder, copy = tmp_path / "backup", tmp_path / "copy"
    killed = KilledAfter(7, folder, copy)
    whole, history = train(make, x, y, folder, 1, [*checkpoints, killed])
    again, its_history = train(make, x, y, copy, 2)
    pairs = zip(states(whole), states(again), strict=True)
    assert [name for (name, expected), (_, found) in pairs if found != expected] == []
    assert its_history == history
    for path, stock in zip(paths, (whole.save, whole.save_weights), strict=True):
        stock(tmp_path / path.name.replace("durable", "stock"))
        assert arrays_of(path) == arrays_of(tmp_path / path.name.replace("durable", "stock"))
        keras.utils.set_random_seed(2)
        twin = make()
        load_weights_strict(twin, path)
        for loaded, saved in zip(twin.weights, whole.weights, strict=True):
            assert as_array(loaded).tobytes() == as_array(saved).tobytes(), saved.path


@pytest.mark.parametrize("shape", KINDS, ids=str)
def test_layers(tmp_path, shape):
    pictures = shape != "int32" and len(shape) > 2
    check(tmp_path, lambda: model_of(shape), PICTURES if pictures else NUMBERS)


@pytest.mark.skipif(not hasattr(layers, "AugMix"), reason="a layer of later releases")
def test_operations_that_are_chosen_while_the_step_is_compiled(tmp_path):
    def make():
        ways = [keras.Input((8, 8, 3)), layers.AugMix(), layers.Flatten(), layers.Dense(1)]
        return keras.Sequential(ways)

    with pytest.raises(ValueError, match="AugMix chooses its operations once"):
        train(lambda: compiled(make()), PICTURES, Y, tmp_path / "refused", 1)
    if BACKEND == "tensorflow":  # eager JAX takes minutes
        check(tmp_path, lambda: compiled(make(), run_eagerly=True), PICTURES)


def of_words(sentences):
    """A model with vocabularies of these sentences."""
    texts = keras.Input((1,), dtype="string")
    words = adapted(layers.TextVectorization(output_sequence_length=3), sentences)
    weighed = adapted(layers.TextVectorization(output_mode="tf_idf"), sentences)
    lookup = adapted(layers.StringLookup(output_mode="multi_hot"), sentences)
    numbers = adapted(layers.IntegerLookup(), np.arange(7))(words(texts))
    known = layers.Flatten()(layers.Embedding(9, 2)(numbers))
    all_ways = layers.Concatenate()(
        [known, *map(layers.Flatten(), (weighed(texts), lookup(texts)))]
    )
    return compiled(keras.Model(texts, layers.Dense(1)(layers.Dropout(0.2)(all_ways))))


SENTENCES = np.array([f"word{i % 5} word{i % 3} other" for i in range(ROWS)], object)
texts_only = pytest.mark.skipif(BACKEND != "tensorflow", reason="texts are for TensorFlow only")


@texts_only
def test_words(tmp_path):
    check(tmp_path, lambda: of_words(SENTENCES), SENTENCES[:, None])


@texts_only
def test_words_of_the_training_come_back_over_others(tmp_path):
    """The resumed program adapts to other sentences: as many words, in another order."""
    others = np.array([text.translate(str.maketrans("01234", "43210")) for text in SENTENCES])
    folder, copy = tmp_path / "backup", tmp_path / "copy"
    killed = KilledAfter(7, folder, copy)
    x = SENTENCES[:, None]
    whole, history = train(lambda: of_words(SENTENCES), x, Y, folder, 1, [killed])
    again, its_history = train(lambda: of_words(others), x, Y, copy, 2)
    assert its_history == history
    rows, _ = next(iter(ShuffledBatches(x, Y, ROWS)))
    as_arrays = [keras.ops.convert_to_numpy(one(rows)) for one in (whole, again)]
    assert (as_arrays[0] == as_arrays[1]).all()
    ids = [one.layers[1](rows) for one in (whole, of_words(others))]
    assert not keras.ops.all(ids[0] == ids[1]), "the sentences do not tell the vocabularies apart"


def test_no_layer_is_left_out():
    known = {name for kinds in KINDS.values() for name in kinds}.union(
        WITHOUT_STATE.split(), ELSEWHERE.split()
    )
    stateless = re.compile(r"(.*Pooling|UpSampling|Cropping|ZeroPadding)[123]D")
    here = {kind.__name__ for kind in classes(layers, keras.Layer)}
    assert {name for name in here - known if not stateless.fullmatch(name)} == set()


def classes(module, base):
    return [k for k in vars(module).values() if inspect.isclass(k) and issubclass(k, base)]


OPTIMIZERS = {
    "LossScaleOptimizer": lambda: optimizers.LossScaleOptimizer(optimizers.Adam()),
    "MultiOptimizer": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.Adam(), {"dense": optimizers.SGD(0.1)})
    ),
    "Muon": lambda: optimizers.Muon(adam_lr_ratio=1),
}


@pytest.mark.parametrize(
    "name", sorted(k.__name__ for k in classes(optimizers, optimizers.Optimizer))
)
def test_optimizers(tmp_path, name):
    if name == "Optimizer":
        pytest.skip("what the others are made of")

    def make():
        hidden = layers.Dense(4, activation="relu")
        model = keras.Sequential([keras.Input((8,)), hidden, layers.Dropout(0.2), layers.Dense(1)])
        model.compile(OPTIMIZERS.get(name, getattr(optimizers, name))(), "mse")
        return model

    check(tmp_path, make, NUMBERS)


METRICS = {
    "BinaryIoU": ([0],),
    "FBetaScore": (None, 2.0),
    "IoU": (2, [0]),
    "MeanIoU": (2,),
    "MeanMetricWrapper": (keras.losses.mean_squared_error,),
    "OneHotIoU": (2, [0]),
    "OneHotMeanIoU": (2,),
    "PrecisionAtRecall": (0.5,),
    "RecallAtPrecision": (0.5,),
    "SensitivityAtSpecificity": (0.5,),
    "SpecificityAtSensitivity": (0.5,),
}


def test_metrics(tmp_path):
    """All of Keras's at once, two outputs; a backup is in the middle of an epoch."""

    def make():
        model = keras.Sequential([keras.Input((8,)), layers.Dense(2, activation="sigmoid")])
        kinds = [
            kind
            for kind in classes(metrics, metrics.Metric)
            if kind.__name__ not in ("Metric", "Mean", "Sum")
            and not kind.__name__.startswith("Sparse")
        ]
        made = [kind(*METRICS.get(kind.__name__, ()), name=kind.__name__) for kind in kinds]
        model.compile("adam", "mse", metrics=made, weighted_metrics=["mae"])
        return model

    rows = np.eye(2, dtype="float32")[generator.integers(0, 2, ROWS)]
    check(tmp_path, make, NUMBERS, rows)
