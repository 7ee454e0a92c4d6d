"""What metrics are called in `compile`, and what is logged of them then and now."""

import keras
import numpy as np
import pytest
from lines_that_change import becomes, notes, rewritten
from old_script.rules import metrics

HEAD = """
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.models import Model
model = Model(a, [b, c])
model.compile('sgd', 'mse', metrics=METRICS)
history = model.fit(x, [y, y], nb_epoch=1, validation_split=0.5).history
"""
AGE = "{'age': 'mae'}"
# (metrics, what was logged) -> what is.
LOGGED = {
    (AGE, "val_age_mean_absolute_error"): "val_age_mae",
    (AGE, "age_mean_absolute_error"): "age_mae",
    (AGE, "val_mean_absolute_error"): "val_mae",
    ("{'age': ['mae', 'MSE'], 'sex': ['acc']}", "val_age_mean_squared_error"): "val_age_MSE",
    ("[['mape'], ['mape']]", "age_mean_absolute_percentage_error"): "age_mape",
    ("{'age': 'mean_absolute_error'}", "val_age_mean_absolute_error"): "",
    ("['mse']", "val_age_mean_absolute_error"): "",
    ("['mae', 'MAE']", "val_mean_absolute_error"): "",
    ("{'age': 'kld'}", "val_age_kullback_leibler_divergence"): "val_age_kl_divergence",
    ("['kullback_leibler_divergence']", "kullback_leibler_divergence"): "kl_divergence",
    ("['cosine']", "val_cosine_proximity"): "val_cosine_similarity",
    ("['mse']", "val_cosine_proximity"): "",
}


@pytest.mark.parametrize(("given", "old"), LOGGED)
def test_a_long_name_of_a_metric_is_what_compile_calls_it(given, old):
    new = LOGGED[given, old] or old
    head = HEAD.replace("METRICS", given)
    becomes(head, f"print(history['{old}'])", f"print(history['{new}'])")
    text = f"EarlyStopping('{old}', mode='min')"
    becomes(head, text, text.replace(old, new))
    text = f"ModelCheckpoint('a-{{{old}:.2f}}.keras', '{old}', mode='min')"
    becomes(head, text, text.replace(old, new))


# A name in `compile` -> (today's, or nothing if it stays; a piece of what is said).
NAMES = {
    "kld": ("kl_divergence", ""),
    "kullback_leibler_divergence": ("kl_divergence", ""),
    "cosine_proximity": ("cosine_similarity", "negative cosine until Keras 2.2"),
    **{name: ("", f"pass {new}") for name, new in metrics.GONE.items()},
    "precision": ("", ""),
    "mse": ("", ""),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given", ["['{}']", "['mae', '{}']", "{{'age': ['{}']}}", "'{}'"])
def test_a_metric_by_its_name(name, given):
    new, said = NAMES[name]
    head = HEAD.replace("METRICS", "['mae']").replace("[b, c]", "b")
    line = f"model.compile('sgd', 'mse', metrics={given})"
    result = becomes(head, line.format(name), line.format(new or name))
    assert said in notes(result) and bool(said) == bool(notes(result))
    if "pass" in said:
        assert said in notes(rewritten(f"from keras.models import Model\n{line.format(name)}\n"))


def test_every_metric_that_is_named_is_one_today():
    rows, labels = np.ones((2, 2), "float32"), np.array([[0, 1], [1, 0]])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="sigmoid")])
    found = [*metrics.METRICS.values(), *metrics.GONE.values()]
    for new in set(found):
        if "(" in new or new in metrics.METRICS.values():
            one = eval(new, {"keras": keras}) if "(" in new else new
            model.compile("sgd", "mse", metrics=[one])
            assert model.evaluate(rows, labels, return_dict=True, verbose=0).keys() > {"loss"}
    for old in (*metrics.METRICS, *metrics.GONE):
        with pytest.raises(ValueError, match="Could not interpret metric"):
            keras.metrics.get(old)
    for old, new in metrics.LOSSES.items():
        assert callable(keras.losses.get(new)), old


def test_what_is_logged_for_one_output():
    rows = keras.Input((2,))
    outputs = [keras.layers.Dense(1, name=name)(rows) for name in ("age", "sex")]
    model = keras.Model(rows, outputs)
    model.compile("sgd", ["mse", "mse"], metrics={"age": ["mae", "mean_squared_error"]})
    data = np.ones((2, 2), "float32"), [np.ones((2, 1), "float32")] * 2
    logged = model.evaluate(*data, return_dict=True, verbose=0)
    assert {"age_mae", "age_mean_squared_error"} < set(logged)


OUTPUTS = (
    "model.compile('sgd', 'mse', metrics={'one': 'acc', 'two': ['accuracy'], 'three': 'mae'})\n"
)
OF_OUTPUTS = {
    "EarlyStopping(monitor='val_one_acc', mode='max')": "EarlyStopping("
    "monitor='val_one_acc', mode='max')",
    "EarlyStopping(monitor='val_two_acc', mode='max')": "EarlyStopping("
    "monitor='val_two_accuracy', mode='max')",
    "ModelCheckpoint('{two_acc:.2f}.hdf5')": "ModelCheckpoint('{two_accuracy:.2f}.keras')",
    "ModelCheckpoint('{val_one_acc:.2f}.hdf5')": "ModelCheckpoint('{val_one_acc:.2f}.keras')",
}


@pytest.mark.parametrize("line", OF_OUTPUTS)
def test_the_accuracy_of_each_output_has_the_name_that_compile_gives_it(line):
    head = "from keras.callbacks import EarlyStopping, ModelCheckpoint\n"
    head += "from keras.models import Model\n"
    head += f"model = Model(a, [b, c, d])\n{OUTPUTS}model.fit(x, y, nb_epoch=1)\n"
    becomes(head, line, OF_OUTPUTS[line], "")
