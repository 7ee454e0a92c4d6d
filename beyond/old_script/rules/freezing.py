"""Models that are trained in turn while layers of theirs are frozen."""

from .. import freezing
from .base import CallRule
from .generators import of_a_model


class FrozenInTurn(CallRule):
    """Tell of a model that was compiled while other layers were frozen than when it trains.

    Before:
        from keras.layers import Dense, Input
        from keras.models import Model, Sequential
        maker = Sequential([Dense(8, input_shape=(8,), init='uniform')])
        judge = Sequential([Dense(1, input_shape=(8,), init='uniform')])
        rows = Input((8,))
        maker.trainable = False
        first = Model(rows, judge(maker(rows)))
        first.compile('sgd', 'mse')
        maker.trainable = True
        judge.trainable = False
        second = Model(rows, judge(maker(rows)))
        second.compile('sgd', 'mse')
        first.train_on_batch(x, y)
        second.train_on_batch(x, y)
    After:
        from keras.layers import Dense, Input
        from keras.models import Model, Sequential
        maker = Sequential([Input((8,)), Dense(8, kernel_initializer='uniform')])
        judge = Sequential([Input((8,)), Dense(1, kernel_initializer='uniform')])
        rows = Input((8,))
        maker.trainable = False
        first = Model(rows, judge(maker(rows)))
        first.compile('sgd', 'mse')
        maker.trainable = True
        judge.trainable = False
        second = Model(rows, judge(maker(rows)))
        second.compile('sgd', 'mse')
        first.train_on_batch(x, y)
        second.train_on_batch(x, y)
    """

    methods = tuple(freezing.TRAINS)

    def change(self, call):
        script = call.script
        if script.facts.keras_3:
            return
        if script.turns is None:
            script.turns = freezing.turns(script)
        turn = script.turns.get(call.original)
        if turn is None or not of_a_model(call):
            return
        kept = set(script.facts.frozen) if call.method == "train_on_batch" else set()
        lines = [
            f"for layer in {name}: layer.trainable = {value}"
            if in_loop
            else f"{name}.trainable = {value}"
            for name, value, in_loop in turn.settings
            if not (name in kept and self._is_trained(script, name))
        ]
        if not lines:
            return  # see compiling.FrozenAfterCompile
        name = call.code(call.receiver)
        said = f"{name}.{call.method}: Keras 1 and 2 trained what was trainable at the compile in "
        said += f"line {script.line(turn.compiled)}; Keras 3 takes what is trainable when {name} "
        said += f"first trains. Before this line write {'; '.join(lines)}"
        script.silent(call.original, said)

    def _is_trained(self, script, name):
        return any(script.code(one.func) == f"{name}.train_on_batch" for one in script.facts.calls)
