"""What Keras 2 (tf_keras) answers for each loss, metric, activation and schedule, as JSON."""

import json

import numpy as np

NAMES = (
    "binary_crossentropy|categorical_crossentropy|mean_squared_error|mse|mean_absolute_error|mae|"
    "mean_absolute_percentage_error|mape|mean_squared_logarithmic_error|msle|hinge|squared_hinge|"
    "categorical_hinge|kullback_leibler_divergence|kl_divergence|kld|poisson|logcosh|log_cosh|"
    "huber|binary_focal_crossentropy|cosine_similarity"
)
METRICS = (
    "binary_accuracy|categorical_accuracy|top_k_categorical_accuracy|mse|mae|mape|msle|"
    "binary_crossentropy|categorical_crossentropy|poisson|mean_squared_error|mean_absolute_error|"
    "mean_absolute_percentage_error|mean_squared_logarithmic_error|hinge|squared_hinge|"
    "categorical_hinge|kullback_leibler_divergence|logcosh|log_cosh|kl_divergence|"
    "cosine_similarity"
)
SPARSE = (
    "sparse_categorical_accuracy|sparse_top_k_categorical_accuracy|sparse_categorical_crossentropy"
)
ACTIVATIONS = (
    "linear|relu|sigmoid|tanh|softmax|elu|selu|softplus|softsign|exponential|swish|gelu|mish|"
    "hard_sigmoid|leaky_relu"
)
NAMES, METRICS, SPARSE, ACTIVATIONS = (
    names.split("|") for names in (NAMES, METRICS, SPARSE, ACTIVATIONS)
)


def data():
    """Targets (one-hot) and predictions (rows sum to 1)."""
    random = np.random.default_rng(3)
    predicted = random.random((12, 4)).astype("float32") + 0.01
    predicted /= predicted.sum(axis=1, keepdims=True)
    return np.eye(4, dtype="float32")[random.integers(0, 4, 12)], predicted


def write(path, keras):
    """Compute everything and write it."""
    import tensorflow as tf

    target, predicted = data()
    sparse = target.argmax(axis=1)
    losses = keras.losses
    found = {"losses": [], "metrics": [], "sparse metrics": [], "activations": {}, "rates": []}
    objects = [
        losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        losses.CategoricalCrossentropy(label_smoothing=0.2, reduction="sum"),
        losses.Huber(),
        losses.BinaryFocalCrossentropy(gamma=3.0, apply_class_balancing=True, alpha=0.3),
        losses.CosineSimilarity(),
    ]
    for name in NAMES:
        value = losses.get(name)(target, predicted)
        found["losses"].append([name, float(np.mean(value))])
    for made in objects:
        entry = {"class_name": type(made).__name__, "config": made.get_config()}
        found["losses"].append([entry, float(made(target, predicted))])
    for name in ("sparse_categorical_crossentropy",):
        found["sparse"] = [name, float(np.mean(losses.get(name)(sparse, predicted)))]
    metrics = keras.metrics
    for name in SPARSE:
        made = metrics.MeanMetricWrapper(metrics.get(name), name=name)
        made.update_state(sparse, predicted)
        found["sparse metrics"].append([name, float(made.result())])
    for made in (
        metrics.AUC(num_thresholds=50, curve="PR"),
        metrics.AUC(thresholds=[0.2, 0.5, 0.7]),
        metrics.AUC(multi_label=True, num_labels=4),
        metrics.Precision(thresholds=0.4),
        metrics.Recall(top_k=2),
        metrics.F1Score(average="macro", threshold=0.4),
        metrics.BinaryAccuracy(threshold=0.3),
        metrics.TopKCategoricalAccuracy(k=2),
        metrics.RootMeanSquaredError(),
        metrics.FalsePositives(),
        metrics.FalseNegatives(thresholds=0.3),
        metrics.TruePositives(thresholds=[0.2, 0.4]),
        metrics.TrueNegatives(),
    ):
        made.update_state(target, predicted)
        entry = {"class_name": type(made).__name__, "config": made.get_config()}
        found["metrics"].append([entry, np.asarray(made.result()).tolist()])
    for name in METRICS:
        known = metrics.get(name)  # a name that it does not know comes back as it is
        known = getattr(metrics, name, losses.get(name)) if known == name else known
        made = metrics.MeanMetricWrapper(known, name=name)
        made.update_state(target, predicted)
        found["metrics"].append([name, float(made.result())])
    x = tf.constant(np.linspace(-5, 5, 41, dtype="float32").reshape(1, -1))
    for name in ACTIVATIONS:
        found["activations"][name] = keras.activations.get(name)(x).numpy().tolist()
    schedules = keras.optimizers.schedules
    for made in (
        schedules.ExponentialDecay(0.01, 10, 0.9, staircase=True),
        schedules.PiecewiseConstantDecay([5, 20], [0.01, 0.005, 0.001]),
        schedules.PolynomialDecay(0.01, 30, 0.001, power=2.0, cycle=True),
        schedules.InverseTimeDecay(0.01, 10, 0.5),
        schedules.CosineDecay(0.0, 40, 0.1, warmup_target=0.01, warmup_steps=10),
        schedules.CosineDecayRestarts(0.01, 7, t_mul=1.5),
    ):
        entry = {"class_name": type(made).__name__, "config": made.get_config()}
        steps = range(0, 60, 3)
        found["rates"].append([entry, [float(made(tf.constant(step))) for step in steps]])
    with open(path, "w") as file:
        json.dump(found, file, default=float)
