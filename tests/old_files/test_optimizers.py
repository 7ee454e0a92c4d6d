"""Each optimizer goes on as in Keras 2: one step and ten, weights compared."""

import keras
import keras_2
import pytest
from old_checkpoint import OldCheckpointError, convert

NAMES = """new Adam|legacy Adam|new RMSprop|legacy RMSprop|new SGD|legacy SGD|new Adagrad
legacy Adagrad|new Adadelta|legacy Adadelta|new Adamax|legacy Adamax|new Nadam|legacy Nadam
new AdamW|new AMSGrad|legacy AMSGrad|new SGD momentum|legacy SGD momentum|new RMSprop momentum
legacy RMSprop momentum|legacy RMSprop centered|new Adam EMA|legacy Adam decay|legacy SGD decay
new Adam schedule|legacy Adam schedule""".replace("\n", "|").split("|")
# Bounds of what was measured: rounding, where the formula is written in another order.
BOUND = 3e-7
ROUNDED = {"legacy RMSprop momentum": 1e-6, "new RMSprop momentum": 1e-6}
# On TensorFlow these are equal to Keras 2 in every bit, after one step and after ten, if the
# gradients are.
EXACT = """legacy Adagrad|legacy Adam|legacy RMSprop|legacy SGD|new Adagrad|new Adam|new Adamax
legacy Adam decay|legacy Adam schedule|legacy RMSprop centered|legacy SGD decay|new AdamW
legacy SGD momentum|new AMSGrad|new Adam schedule|new Nadam""".replace("\n", "|").split("|")
IMPORTS = {
    "legacy RMSprop": ["RMSprop"],
    "legacy RMSprop centered": ["RMSprop"],
    "legacy Adagrad": ["Adagrad"],
    "legacy Nadam": ["Nadam"],
}


@pytest.mark.parametrize("name", NAMES)
def test_goes_on_as_keras_2_would(case, name, same_gradients):
    converted = case(name)
    model = converted.load()
    assert converted.report.steps == int(model.optimizer.iterations)
    assert converted.report.steps == (150 if name == "new Nadam" else keras_2.STEPS)
    assert list(converted.report.imports) == IMPORTS.get(name, [])
    for mine, theirs in zip(converted.predictions(model), converted.values("p"), strict=True):
        assert abs(mine - theirs).max() <= BOUND
    one, ten = converted.differences(model)
    assert one <= ROUNDED.get(name, BOUND)
    assert ten <= ROUNDED.get(name, BOUND)
    if same_gradients and name in EXACT:
        assert (one, ten) == (0, 0)


def test_a_fresh_optimizer_would_be_noticed(case):
    model = case("legacy Adam").load()
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    one, ten = case("legacy Adam").differences(model)
    assert one > 1e-3
    assert ten > 1e-3


def test_every_kind_of_keras_2_is_tried():
    class Any:
        def __getattr__(self, name):
            return Any()

        def __call__(self, *args, **keywords):
            return self

    assert set(keras_2.optimizers(Any())) == set(NAMES)


def test_nadam_of_few_steps_is_refused_by_name(old_files, tmp_path):
    with pytest.raises(OldCheckpointError, match="Nadam"):
        convert(old_files / "early Nadam.h5", tmp_path / "new.keras")
    assert not list(tmp_path.iterdir())
