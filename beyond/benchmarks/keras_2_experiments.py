"""The experiments of documents 1, 2 and 3 under Keras 2, as the yardstick of against_keras_2.py.

Same calls and values as in the documents; the metric is called val_accuracy, as in every Keras 2
since 2.3, and the files go to a folder that is removed. Run: python ... improvements|best|mnist
"""

import pathlib
import sys
import tempfile

import numpy
import tf_keras as keras


def train_pima(name: str) -> None:
    numpy.random.seed(7)
    table = numpy.loadtxt("data/pima-indians-diabetes.csv", delimiter=",")
    model = keras.Sequential()
    model.add(keras.layers.Dense(12, input_dim=8, kernel_initializer="uniform", activation="relu"))
    model.add(keras.layers.Dense(8, kernel_initializer="uniform", activation="relu"))
    model.add(keras.layers.Dense(1, kernel_initializer="uniform", activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    checkpoint = keras.callbacks.ModelCheckpoint(
        name, monitor="val_accuracy", verbose=1, save_best_only=True, mode="max"
    )
    model.fit(
        table[:, 0:8],
        table[:, 8],
        validation_split=0.33,
        epochs=150,
        batch_size=10,
        callbacks=[checkpoint],
        verbose=0,
    )


def train_mnist(name: str) -> None:
    with numpy.load("data/mnist.npz") as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
    x = x.reshape(60000, 784).astype("float32")
    x /= 255
    y = keras.utils.to_categorical(y, 10)
    model = keras.Sequential()
    model.add(keras.layers.Dense(800, input_dim=784, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    checkpoint = keras.callbacks.ModelCheckpoint(name)
    model.fit(
        x, y, batch_size=200, epochs=25, validation_split=0.2, verbose=2, callbacks=[checkpoint]
    )


with tempfile.TemporaryDirectory() as folder:
    if sys.argv[1] == "improvements":
        name = "weights-improvement-{epoch:02d}-{val_accuracy:.2f}.hdf5"
        train_pima(str(pathlib.Path(folder, name)))
    elif sys.argv[1] == "best":
        train_pima(str(pathlib.Path(folder, "weights.best.hdf5")))
    else:
        train_mnist(str(pathlib.Path(folder, "mnist-dense-{epoch:02d}-{val_accuracy:.4f}.hdf5")))
