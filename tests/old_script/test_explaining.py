"""`explain` finds the entry for a message, and `run` keeps the script's exit status."""

import os
import subprocess
import sys

import old_script
import pytest
from conftest import REPOSITORY
from old_script.__main__ import main

pytestmark = pytest.mark.one_backend  # no backend is started

# A message as someone has it, with other names and numbers -> a piece of the first entry.
FOUND = {
    "TypeError: JAXTrainer.fit() got an unexpected keyword argument 'nb_epoch'": "nb_epoch",
    "AttributeError: 'Functional' object has no attribute 'fit_generator'": "fit_generator",
    "AttributeError: 'Sequential' object has no attribute 'predict_classes'. Did you mean: "
    "'predict_step'?": "predict_classes",
    "ImportError: cannot import name 'np_utils' from 'keras.utils' "
    "(/usr/lib/python3/keras/utils/__init__.py)": "np_utils",
    "ModuleNotFoundError: No module named 'keras.layers.core'": "keras.layers.core",
    "ValueError: Unrecognized keyword arguments passed to Conv2D: {'border_mode': 1}": "Argument",
    "ValueError: Argument(s) not recognized: {'lr': 0.0003}": "lr",
    "ValueError: The filename must end in `.weights.h5`. Received: filepath=b.h5": "save_weights",
    "ValueError: The filepath provided must end in `.keras` (Keras model format). Received: "
    "filepath=C:\\x\\my net.hdf5": "ModelCheckpoint",
    "ValueError: Unknown variable: <Variable path=sgd/conv/kernel, shape=(3, 3), dtype=float32, "
    "value=[[1]]>. This optimizer can only be called for the variables it was originally built "
    "with. When working with a new set of variables, you should recreate a new optimizer.": "fit",
    "KeyError: 'acc'": "acc",
    "KeyError: 'val_acc'": "['acc']",
    "AttributeError: module 'tensorflow' has no attribute 'Session'": "Session",
    "AttributeError: 'Functional' object has no attribute 'predict_proba'": "predict_proba",
    "AttributeError: module 'keras.backend' has no attribute 'get_session'": "get_session",
    "ValueError: A KerasTensor cannot be used as input to a TensorFlow function. A KerasTensor is "
    "a symbolic placeholder for a shape and dtype, used when constructing models": "tf.reduce",
    "AttributeError: module 'keras.backend' has no attribute 'flatten'": "flatten",
    "UserWarning: Can save best model only with val_f1 available.": "available",
    "OSError: Unable to synchronously open file (truncated file: eof = 12345, "
    "sblock->base_addr = 0, stored_eof = 99)": "truncated",
    "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?": "print",
}


@pytest.mark.parametrize("message", FOUND)
def test_the_first_entry_fits(message):
    first = old_script.explain(message)[0]
    assert FOUND[message] in first.heading and first.text.strip()


@pytest.mark.parametrize(
    "message",
    [
        "ZeroDivisionError: division by zero",
        "ModuleNotFoundError: No module named 'pandas'",
        "ModuleNotFoundError: No module named 'cPickle'",
        "NameError: name 'xrange' is not defined",
        "AttributeError: 'Tokenizer' object has no attribute 'oov'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'rows.csv'",
        "NameError: name 'train_x' is not defined in this place of my program",
        "AttributeError: 'str' object has no attribute 'get'",
        "AttributeError: 'list' object has no attribute 'decode'",
        "AttributeError: 'NoneType' object has no attribute 'group'",
        "TypeError: 'NoneType' object is not subscriptable",
        "TypeError: 'numpy.ndarray' object is not callable",
        "TypeError: 'float' object is not iterable",
        "KeyError: 'rate'",
        "IndexError: list index out of range",
        "pandas.errors.ParserError: Error tokenizing data. C error: Expected 5 fields",
        "",
    ],
)
def test_nothing_fits(message, capsys):
    assert old_script.explain(message) == []
    assert main(["explain", message]) == 1
    assert "no entry" in capsys.readouterr().out


def test_a_message_of_python_that_an_entry_quotes_is_found():
    first, *_ = old_script.explain("TypeError: 'NoneType' object is not callable")
    assert "NoneType" in first.heading


NUMBER = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    f()\n{}'
NUMBER += "KeyError: {}\n"
INSIDE = '  File "/lib/site-packages/keras/src/trainers/utils.py", line 712, in path\n    o\n'


def test_a_key_that_is_a_number_is_of_keras_where_keras_says_so():
    assert "sample_weight" in old_script.explain("KeyError: 0")[0].heading
    assert "sample_weight" in old_script.explain(NUMBER.format(INSIDE, 0))[0].heading
    assert old_script.explain(NUMBER.format("", 0)) == []
    assert old_script.explain("KeyError: 7") == []


def test_of_a_model_that_cannot_be_read_the_innermost_reason_counts():
    whole = "TypeError: <class 'keras.src.models.functional.Functional'> could not be deserialized "
    whole += "properly. Please ensure that components are explicitly deserialized.\n\nconfig={"
    whole += "'loss': 'mse', " * 300 + "}\n\nException encountered: {}\n"
    inner = "Could not locate function 'mine'. Make sure custom classes and functions are decorated"
    assert "Could not locate" in old_script.explain(whole.replace("{}", inner))[0].heading


def test_a_whole_traceback(capsys):
    text = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    model.fit\n'
    text += "AttributeError: 'Sequential' object has no attribute 'fit_generator'\n"
    assert main(["explain", text]) == 0
    assert "model.fit(" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("end", "status"), [("raise SystemExit(7)", 7), ("", 0), ("raise KeyError('acc')", 1)]
)
def test_run_keeps_the_exit_status(end, status, tmp_path):
    (tmp_path / "optimizers.py").write_text(
        "class Adam:\n    def __init__(self, **options):\n        print(options)\n"
    )
    (tmp_path / "keras.py").write_text("import optimizers\n")  # in place of Keras, which is slow
    (tmp_path / "train.py").write_text(
        f"import keras, sys\nkeras.optimizers.Adam(lr=0.1)\nprint(sys.argv[1:])\n{end}\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "old_script", "run", "train.py", "one", "--two"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "beyond")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == status, run.stderr
    assert "{'learning_rate': 0.1}" in run.stdout and "['one', '--two']" in run.stdout
    assert ("history" in run.stdout) == (status == 1)
    assert (tmp_path / "train_keras3.py").exists()


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    command = [sys.executable, "-m", "old_script", "explain", "KeyError: 'acc'"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "beyond")}
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    os.close(writing)
    assert run.returncode == 1 and run.stderr == ""
