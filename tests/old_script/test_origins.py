"""Where a value comes from, and what an object is: only what belongs to Keras changes."""

import pytest
from lines_that_change import notes, only, rewritten

pytestmark = pytest.mark.one_backend  # nothing is trained

# What is passed as the name of a file, by whatever way -> the lines that change.
WAYS = {
    "a name of its own in each function": (
        """
        import keras
        def keep():
            path = 'net.hdf5'
            model.save_weights(path)
        def note():
            path = 'rows.hdf5'
            measure(path)
        """,
        {"path = 'net.hdf5'": "path = 'net.weights.h5'"},
    ),
    "an attribute": (
        """
        import keras
        class Agent(keras.Model):
            def __init__(self):
                self.path = 'net.hdf5'
                self.rows = 'rows.hdf5'
            def keep(self):
                self.model.save_weights(self.path)
        """,
        {"self.path = 'net.hdf5'": "self.path = 'net.weights.h5'"},
    ),
    "the default of a parameter": (
        """
        import keras
        def keep(rows='rows.hdf5', path='net.hdf5'):
            model.save_weights(path)
        """,
        {
            "def keep(rows='rows.hdf5', path='net.hdf5'):": "def keep(rows='rows.hdf5', "
            "path='net.weights.h5'):"
        },
    ),
    "an argument by its place": (
        """
        import keras
        def keep(rows, path):
            model.save_weights(path)
        keep('rows.hdf5', 'net.hdf5')
        """,
        {"keep('rows.hdf5', 'net.hdf5')": "keep('rows.hdf5', 'net.weights.h5')"},
    ),
    "an argument by its name": (
        """
        import keras
        def keep(rows, path):
            model.save_weights(path)
        keep(path='net.hdf5', rows='rows.hdf5')
        """,
        {
            "keep(path='net.hdf5', rows='rows.hdf5')": "keep(path='net.weights.h5', "
            "rows='rows.hdf5')"
        },
    ),
    "an argument of a class": (
        """
        import keras
        class Agent:
            def __init__(self, rows, path):
                self.path = path
                model.save_weights(path)
        agent = Agent('rows.hdf5', 'net.hdf5')
        """,
        {"agent = Agent('rows.hdf5', 'net.hdf5')": "agent = Agent('rows.hdf5', 'net.weights.h5')"},
    ),
    "a method of the script's own": (
        """
        import keras
        class Agent:
            def save(self, path):
                model.save_weights(path)
        agent = Agent()
        agent.save('net.hdf5')
        """,
        {"agent.save('net.hdf5')": "agent.save('net.weights.h5')"},
    ),
    "no function of the script, though its name is the same": (
        """
        import keras
        def save(path):
            model.save_weights(path)
        save('net.hdf5')
        figure.save('plot.hdf5')
        """,
        {"save('net.hdf5')": "save('net.weights.h5')"},
    ),
    "the model that an object has, in spite of a method of that name": (
        """
        from keras.models import Sequential
        class Agent:
            def __init__(self):
                self.brain = Sequential()
            def save(self, path):
                self.brain.save_weights(path)
        agent = Agent()
        agent.brain.save('whole_%d' % 3)
        other.model.save('other.hdf5')
        agent.save('net.hdf5')
        """,
        {
            "agent.brain.save('whole_%d' % 3)": "agent.brain.save('whole_%d.keras' % 3)",
            "other.model.save('other.hdf5')": "other.model.save('other.keras')",
            "agent.save('net.hdf5')": "agent.save('net.weights.h5')",
        },
    ),
    "a network that is passed, in spite of a method of that name": (
        """
        import keras
        class Agent:
            def save(self, path):
                self.model.save_weights(path)
        def keep(net, agent):
            net.save('whole.hdf5')
            agent.save('net.hdf5')
        """,
        {
            "net.save('whole.hdf5')": "net.save('whole.keras')",
            "agent.save('net.hdf5')": "agent.save('net.weights.h5')",
        },
    ),
    "a method that is passed its own object": (
        """
        import keras
        class Table:
            def save(self, other):
                other.save(other)
        model.save_weights('net.hdf5')
        """,
        {"model.save_weights('net.hdf5')": "model.save_weights('net.weights.h5')"},
    ),
    "after a star nothing is known": (
        """
        import keras
        def keep(rows, path):
            model.save_weights(path)
        keep(*rows, 'rows.hdf5')
        keep('rows.hdf5', 'net.hdf5')
        """,
        {"keep('rows.hdf5', 'net.hdf5')": "keep('rows.hdf5', 'net.weights.h5')"},
    ),
    "an option": (
        """
        import argparse
        import keras
        parser = argparse.ArgumentParser()
        parser.add_argument('--rows', default='rows.hdf5')
        parser.add_argument('-w', '--out-weights', default='net.hdf5')
        settings = parser.parse_args()
        model.save_weights(settings.out_weights)
        """,
        {
            "parser.add_argument('-w', '--out-weights', default='net.hdf5')": "parser."
            "add_argument('-w', '--out-weights', default='net.weights.h5')"
        },
    ),
    "an option in a dictionary": (
        """
        import argparse
        import keras
        parser = argparse.ArgumentParser()
        parser.add_argument('--weights', default='net.hdf5')
        settings = vars(parser.parse_args())
        model.save_weights(settings['weights'])
        """,
        {
            "parser.add_argument('--weights', default='net.hdf5')": "parser."
            "add_argument('--weights', default='net.weights.h5')"
        },
    ),
    "options that a function is given": (
        """
        import argparse
        import keras
        def train(opt):
            model.save_weights(opt.weights)
        parser = argparse.ArgumentParser()
        parser.add_argument('--weights', default='net.hdf5')
        """,
        {
            "parser.add_argument('--weights', default='net.hdf5')": "parser."
            "add_argument('--weights', default='net.weights.h5')"
        },
    ),
    "no option, though an attribute has its name": (
        """
        import argparse
        import keras
        parser = argparse.ArgumentParser()
        parser.add_argument('--weights', default='rows.hdf5')
        table = Table()
        model.fit(x, y, nb_epoch=1)
        model.save_weights(table.weights)
        """,
        {"model.fit(x, y, nb_epoch=1)": "model.fit(x, y, epochs=1)"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_name_of_a_file_is_followed(way):
    only(*WAYS[way])
    assert "as weights and as a whole model" not in notes(rewritten(WAYS[way][0]))


# What has a method that is called like one of Keras -> the lines that change.
OBJECTS = {
    "the script's own class": (
        """
        from keras.models import Sequential
        class Trainer:
            def fit(self, x, nb_epoch):
                return x
            def fit_generator(self, rows, nb_epoch=1):
                return rows
            def save_weights(self, path):
                open(path, 'w').write('mine')
            def predict_classes(self, x):
                return x
            def save(self, path):
                return path
        trainer = Trainer()
        trainer.fit(x, nb_epoch=2)
        trainer.fit_generator([], nb_epoch=3)
        trainer.save_weights('mine.hdf5')
        trainer.predict_classes(x)
        trainer.save('mine.model')
        model = Sequential()
        model.fit_generator(rows, steps_per_epoch=4, nb_epoch=3)
        """,
        {
            "model.fit_generator(rows, steps_per_epoch=4, nb_epoch=3)": "model.fit(rows, "
            "steps_per_epoch=4, epochs=3)"
        },
    ),
    "a model that is called like the own class's method": (
        """
        from keras.models import Sequential
        class Trainer:
            def save_weights(self, path):
                self.model.save_weights(path)
        Trainer().save_weights('net.hdf5')
        """,
        {"Trainer().save_weights('net.hdf5')": "Trainer().save_weights('net.weights.h5')"},
    ),
    "a class of the script's own that is a model": (
        """
        from keras.models import Model
        class Net(Model):
            def call(self, x):
                return x
        net = Net()
        net.fit_generator(rows, steps_per_epoch=4)
        net.save_weights('net.hdf5')
        """,
        {
            "net.fit_generator(rows, steps_per_epoch=4)": "net.fit(rows, steps_per_epoch=4)",
            "net.save_weights('net.hdf5')": "net.save_weights('net.weights.h5')",
        },
    ),
    "what another library made": (
        """
        import gensim
        import keras
        from sklearn.neural_network import MLPClassifier
        words = gensim.models.Word2Vec(lines)
        words.save_weights('words.hdf5')
        model = gensim.models.Word2Vec(lines)
        model.save('words.model')
        judge = MLPClassifier()
        judge.fit(x, y, nb_epoch=1)
        labels = judge.predict_proba(x)
        keras.optimizers.Adam(lr=0.1)
        """,
        {"keras.optimizers.Adam(lr=0.1)": "keras.optimizers.Adam(learning_rate=0.1)"},
    ),
    "a module": (
        """
        import helpers
        import keras
        helpers.fit(x, y, nb_epoch=1)
        helpers.save_weights('mine.hdf5')
        keras.optimizers.Adam(lr=0.1)
        """,
        {"keras.optimizers.Adam(lr=0.1)": "keras.optimizers.Adam(learning_rate=0.1)"},
    ),
    "what Keras made that is no model": (
        """
        import keras
        from keras.layers import Layer
        class Trainer:
            def fit(self, x, nb_epoch):
                return x
            def save_weights(self, path):
                return path
        class Scale(Layer):
            def fit(self, x, nb_epoch):
                return x
        scale = Scale()
        scale.fit(x, nb_epoch=1)
        optimizer = keras.optimizers.Adam(lr=0.1)
        optimizer.save_weights('mine.hdf5')
        rows = keras.preprocessing.image.img_to_array(image)
        rows.fit(x, nb_epoch=1)
        layer = keras.layers.Dense(3)
        layer.fit(x, nb_epoch=1)
        model = keras.applications.VGG16()
        model.fit(x, nb_epoch=1)
        """,
        {
            "optimizer = keras.optimizers.Adam(lr=0.1)": "optimizer = keras.optimizers."
            "Adam(learning_rate=0.1)",
            "model.fit(x, nb_epoch=1)": "model.fit(x, epochs=1)",
        },
    ),
    "what a function of the script makes": (
        """
        from keras.models import Sequential
        class Other:
            def fit_generator(self, rows):
                return rows
        def build():
            net = Sequential()
            return net
        net = build()
        net.fit_generator(rows, steps_per_epoch=2)
        Other().fit_generator(rows)
        """,
        {"net.fit_generator(rows, steps_per_epoch=2)": "net.fit(rows, steps_per_epoch=2)"},
    ),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_only_methods_of_models_change(kind):
    only(*OBJECTS[kind])


def test_where_the_object_is_not_seen_the_reader_is_told():
    text = """
        import keras
        class Trainer:
            def fit_generator(self, rows):
                return rows
        def work(one):
            one.fit_generator(rows)
        keras.optimizers.Adam(lr=0.1)
        """
    only(text, {"keras.optimizers.Adam(lr=0.1)": "keras.optimizers.Adam(learning_rate=0.1)"})
    assert "7: fit_generator: a class of the script has such a method" in notes(rewritten(text))
