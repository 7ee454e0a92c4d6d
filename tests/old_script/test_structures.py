"""Models that are made of a structure or loaded, and what is asked of them then."""

import keras
import pytest
from keras.src.saving.serialization_lib import SafeModeScope
from lines_that_change import becomes, notes, rewritten

HEAD = """
import keras
from keras.layers import Lambda
from keras.models import Sequential, clone_model, model_from_json
class Agent:
    def load_weights(self, path):
        return Status(path)
agent = Agent()
model = Sequential()
model.fit(x, y, nb_epoch=1)
status = model.load_weights('a.weights.h5')
mine = agent.load_weights('a.txt')
restored = tf.train.Checkpoint(model=model).restore('a')
"""
# A line that asks what was loaded -> today's.
STATUS = {
    "model.load_weights('a.weights.h5').expect_partial()": "model.load_weights('a.weights.h5')",
    "again = model.load_weights(a).assert_consumed()": "again = model.load_weights(a)",
    "model.load_weights(a).assert_existing_objects_matched()": "model.load_weights(a)",
    "model.load_weights(a).initialize_or_restore()": "model.load_weights(a)",
    "model.load_weights(a).run_restore_ops()": "model.load_weights(a)",
    "status.expect_partial()\nx = 1": "x = 1",
    "mine.expect_partial()": "mine.expect_partial()",
    "restored.expect_partial()": "restored.expect_partial()",
}


@pytest.mark.parametrize("line", STATUS)
def test_load_weights_returns_nothing_to_ask(line):
    said = "the file held more than the model" if "assert_consumed" in line else ""
    becomes(HEAD, line, STATUS[line], said)


LAMBDA = "model.add(Lambda(lambda v: v * 2))\n"
UNSAFE = "keras.config.enable_unsafe_deserialization()"
# A line that makes a model of a structure -> a piece of what is said.
MAKES = {
    "twin = clone_model(model)": "",
    "twin = model_from_json(model.to_json())": "",
    "twin = model_from_json(text)": "cannot read what Keras 1 or 2 wrote with to_json",
    "twin = Sequential.from_config(model.get_config())": "",
}


@pytest.mark.parametrize("line", MAKES)
def test_a_structure_with_a_lambda_is_allowed(line):
    becomes(HEAD + LAMBDA, line, f"{UNSAFE}\n{line}", MAKES[line])
    becomes(HEAD, line, line, MAKES[line])
    becomes(HEAD + LAMBDA + f"{UNSAFE}\n", line, line, MAKES[line])
    named = LAMBDA.replace("v * 2", "np.abs(v)")
    assert "the Lambda layer uses np" in notes(rewritten(f"{HEAD}{named}{line}\n"))


@pytest.mark.parametrize("make", ["clone_model(net)", "model_from_json(net.to_json())"])
def test_a_lambda_stops_a_structure_unless_it_is_allowed(make):
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda rows: rows * 2)]
    names = {"net": keras.Sequential(layers), **vars(keras.models)}
    with SafeModeScope(True), pytest.raises(ValueError, match="Python lambda"):
        eval(make, names)


def test_layers_that_merge():
    made = rewritten(
        """
        from keras.layers.merge import _Merge
        from keras.layers import Add
        import keras
        class Mean(_Merge):
            def _merge_function(self, inputs):
                return inputs[0]
        class Both(keras.layers.merge._Merge):
            def _merge_function(self, inputs):
                return inputs[0]
            def call(self, inputs):
                return self._merge_function(inputs)
        class Sum(Add):
            def _merge_function(self, inputs):
                return inputs[1]
        """
    ).text
    assert "import Layer as _Merge" in made and "class Both(keras.layers.Layer):" in made
    assert made.count("def _merge_function") == 2 and made.count("def call") == 2


@pytest.mark.parametrize("name", ["_Conv", "_Pooling2D", "Recurrent"])
def test_a_base_class_that_keras_keeps_to_itself_is_said(name):
    made = rewritten(f"from keras.layers.core import {name}\n")
    assert f"{name}: Keras 3 keeps it to itself" in notes(made)
    assert not hasattr(keras.layers, name)


WRAPPED = """
from keras.wrappers.scikit_learn import KerasRegressor
from sklearn.linear_model import Ridge
one = KerasRegressor(build_fn=build, nb_epoch=2)
found = one.fit(x, y)
search = GridSearchCV(one, {})
other = Ridge()
history = model.fit(x, y)
"""
# A line about an estimator -> today's.
ESTIMATORS = {
    "one.model.save('net.h5')": "one.model_.save('net.keras')",
    "search.best_estimator_.model.save('net.h5')": "search.best_estimator_.model_.save("
    "'net.keras')",
    "print(found.history['loss'])": "print(found.history_['loss'])",
    "print(one.fit(x, y).history['loss'])": "print(one.fit(x, y).history_['loss'])",
    "print(history.history['loss'])": "print(history.history['loss'])",
    "other.model.save('other.keras')": "other.model.save('other.keras')",
    "one.model = 3": "one.model = 3",
}


@pytest.mark.parametrize("line", ESTIMATORS)
def test_the_model_of_a_wrapped_estimator(line):
    becomes(WRAPPED, line, ESTIMATORS[line], "")


def test_the_chances_of_a_wrapped_estimator_stay():
    head = "from keras.wrappers.scikit_learn import KerasClassifier\n"
    head += "model = KerasClassifier(build_fn=build, nb_epoch=2)\n"
    becomes(head, "print(model.predict_proba(x).shape)", "print(model.predict_proba(x).shape)", "")


SEARCHED = """
from keras.wrappers.scikit_learn import KerasClassifier
def build(optimizer='sgd', units=3, batch_size=1):
    return Sequential()
one = KerasClassifier(build_fn=build, nb_epoch=2)
"""
GRIDS = {
    "GridSearchCV(one, dict(optimizer=['sgd'], nb_epoch=[1], batch_size=[5]))": "GridSearchCV("
    "one, dict(model__optimizer=['sgd'], epochs=[1], batch_size=[5]))",
    "grid = {'units': [1], 'epochs': [2]}\nGridSearchCV(estimator=one, param_grid=grid)": "grid = {"
    "'model__units': [1], 'epochs': [2]}\nGridSearchCV(estimator=one, param_grid=grid)",
    "GridSearchCV(Ridge(), {'units': [1]})": "GridSearchCV(Ridge(), {'units': [1]})",
    "pipe = Pipeline([('net', one), ('other', Ridge())])\nGridSearchCV(pipe, {'net__units': [1], "
    "'net__nb_epoch': [2], 'other__units': [3]})": "pipe = Pipeline([('net', one), ('other', "
    "Ridge())])\nGridSearchCV(pipe, {'net__model__units': [1], 'net__epochs': [2], "
    "'other__units': [3]})",
    "steps = []\nsteps.append(('net', one))\nGridSearchCV(Pipeline(steps), {'net__units': [1]})": (
        "steps = []\nsteps.append(('net', one))\n"
        "GridSearchCV(Pipeline(steps), {'net__model__units': [1]})"
    ),
    "found = GridSearchCV(one, {'units': [1]})\nprint(found.best_params_['units'])": "found = "
    "GridSearchCV(one, {'model__units': [1]})\nprint(found.best_params_['model__units'])",
    "found = GridSearchCV(Ridge(), {'units': [1]})\nprint(found.best_params_['units'])": "found = "
    "GridSearchCV(Ridge(), {'units': [1]})\nprint(found.best_params_['units'])",
}


@pytest.mark.parametrize("line", GRIDS)
def test_the_grid_of_a_search_through_an_estimator(line):
    becomes(SEARCHED, line, GRIDS[line], "")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cross_val_score(one, x, y)", True),
        ("print(one.score(x, y))", True),
        ("cross_val_score(one, x, y, scoring='r2')", False),
        ("one.predict(x)", False),
    ],
)
def test_the_score_of_a_regressor_is_told(line, told):
    said = notes(rewritten(WRAPPED.replace("GridSearchCV(one, {})", "0") + line + "\n"))
    assert ("neg_mean_squared_error" in said) == told
