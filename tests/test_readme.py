"""README does what it says: its programs run as printed, its numbers are the recorded ones."""

import csv
import inspect
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
import sweep
from conftest import BACKEND, BEYOND, REPOSITORY, SCRIPTS, docstring
from results_table import RECORDED

README = (REPOSITORY / "README.md").read_text()
DURABLE = (REPOSITORY / "docs" / "DURABLE_CHECKPOINT.md").read_text()
DATA = REPOSITORY / "docs" / "data"
EXPECTED = json.loads((REPOSITORY / "tests" / "expected.json").read_text())
PROGRAM, RESUME, DURABLE_PROGRAM = re.findall(
    r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL
)
TRAINING = r"^model\.fit\(.*\n"
EPOCHS, BATCHES = int(re.search(r"epochs=(\d+)", PROGRAM)[1]), 17


def section(title: str, text: str = README) -> str:
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[
        1
    ]


def rows_of(text: str) -> list[list[str]]:
    """The cells of all tables in the text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = [number for number, line in enumerate(lines) if line.startswith("| ---")]
    rows = [n for n in range(len(lines)) if n not in rules and n + 1 not in rules]
    return [[cell.strip() for cell in lines[n].strip("| ").split(" | ")] for n in rows]


# ------------------------------------------------------------------ its programs


def start(folder, program: str) -> subprocess.Popen:
    (folder / "program.py").write_text(program)
    return subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": BACKEND, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.DEVNULL,
        stdout=(folder / "output.txt").open("w"),
        stderr=subprocess.STDOUT,
    )


def run(folder, program: str) -> str:
    """What the program prints when it is left alone."""
    status = start(folder, program).wait(timeout=300)
    output = (folder / "output.txt").read_text()
    assert status == 0, output[-2000:]
    return output


def epochs_trained(output: str) -> list[int]:
    return [int(number) for number in re.findall(rf"Epoch (\d+)/{EPOCHS}\b", output)]


def accuracy_printed(output: str) -> float:
    return float(re.search(r"\{'accuracy': ([\d.]+)", output)[1])


def backed_up(folder) -> tuple[int, int]:
    """Epochs by the backup's metadata, and steps of the optimizer in its weights."""
    epoch = json.loads((folder / "backup" / "training_metadata.json").read_text())["epoch"]
    with h5py.File(folder / "backup" / "latest.weights.h5") as file:
        found = [int(np.array(file["optimizer/vars/0"]))]
    return epoch, found[0]


def kill_after_epoch(process, folder, epoch: int) -> int:
    """Kill the program between two saves, after so many epochs at least."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        try:
            done, steps = backed_up(folder)
            whole = zipfile.ZipFile(folder / "best.keras").testzip() is None
            if done >= epoch and steps == done * BATCHES and whole:
                process.kill()
                assert process.wait() == -signal.SIGKILL
                return done
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            pass  # in the middle of a save
        process.send_signal(signal.SIGCONT)
    raise AssertionError((folder / "output.txt").read_text()[-2000:])


def perfect_model(x, y):
    """A model that is right on every validation row, so that no epoch can beat it."""
    hidden = keras.layers.Dense(600, activation="relu")
    output = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((8,)), hidden, output])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    seen = keras.ops.convert_to_numpy(hidden(x.astype("float32")))
    fitted = np.linalg.lstsq(np.c_[seen, np.ones(len(x))], 20 * y - 10, rcond=None)[0]
    output.set_weights([fitted[:-1, None], fitted[-1:]])
    return model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    name = "data/pima-indians-diabetes.csv"
    (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    return tmp_path


@pytest.fixture
def validation_rows():
    rows = np.loadtxt(REPOSITORY / "data" / "pima-indians-diabetes.csv", delimiter=",")
    x, y = rows[:, :8], rows[:, 8]
    return ((x - x[:514].mean(axis=0)) / x[:514].std(axis=0))[514:], y[514:]


def test_ten_lines_and_five():
    def lines(program):
        return [n for n in program.splitlines() if n and not n.startswith("import ")]

    assert len(lines(PROGRAM)) == 10 and len(lines(RESUME)) == 5
    assert len(re.findall(TRAINING, PROGRAM, re.MULTILINE)) == 1
    assert "durable" not in PROGRAM + RESUME


def test_the_ten_lines_keep_load_and_score_the_best(folder):
    output = run(folder, PROGRAM)
    by_epoch = [float(value) for value in re.findall(r"val_accuracy: ([\d.]+)", output)]
    assert epochs_trained(output) == list(range(1, EPOCHS + 1))
    assert accuracy_printed(output) == pytest.approx(max(by_epoch), abs=0.00006)
    assert accuracy_printed(output) > 0.68  # more than "no diabetes" to everyone


def test_the_five_lines_resume_after_a_kill(folder, validation_rows):
    program = re.sub(TRAINING, lambda _: RESUME, PROGRAM, flags=re.MULTILINE)
    killed_after = kill_after_epoch(start(folder, program), folder, 3)
    assert killed_after < EPOCHS
    perfect_model(*validation_rows).save(folder / "best.keras")
    kept = (folder / "best.keras").read_bytes()

    output = run(folder, program)
    assert epochs_trained(output) == list(range(killed_after + 1, EPOCHS + 1))
    assert backed_up(folder) == (EPOCHS, EPOCHS * BATCHES)
    assert (folder / "best.keras").read_bytes() == kept, "the resumed training overwrote the best"
    assert accuracy_printed(output) == 1.0

    backup = (folder / "backup" / "latest.weights.h5").read_bytes()
    output = run(folder, program)
    assert epochs_trained(output) == []
    assert accuracy_printed(output) == 1.0
    assert (folder / "backup" / "latest.weights.h5").read_bytes() == backup


class Crash(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 45:
            raise RuntimeError("as if the process had died")


def durable_training(block: str, crash: bool, trained_epochs: int = 4):
    """Execute the block on data of 514 and 254 rows; return the model, trained or interrupted."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(768, 8)).astype("float32")
    y = (x[:, 0] + rng.normal(size=768) > 0).astype("float32")
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    fit = model.fit

    def shorter(*arguments, epochs, callbacks, **options):
        extra = [Crash()] if crash else []
        options |= {"epochs": trained_epochs, "callbacks": [*callbacks, *extra], "verbose": 0}
        return fit(*arguments, **options)

    model.fit = shorter
    names = {"keras": keras, "model": model, "x": x, "y": y, "build_model": lambda: model}
    if "x_validation" in block:
        names |= {"x": x[:514], "y": y[:514], "x_validation": x[514:], "y_validation": y[514:]}
        block = block.replace("save_freq=100", "save_freq=10")
    exec(block, names)  # noqa: S102
    return model


EXACT = re.search(
    r"^## Resume exactly\n.*?^```python\n(.*?)^```", DURABLE, re.MULTILINE | re.DOTALL
)[1]


@pytest.mark.parametrize("block", [DURABLE_PROGRAM, EXACT], ids=["README", "DURABLE_CHECKPOINT"])
def test_the_drop_in_lines_resume_to_the_same_bits(block, tmp_path, monkeypatch):
    for name in ("straight", "crashed"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "straight")
    straight = durable_training(block, crash=False)
    monkeypatch.chdir(tmp_path / "crashed")
    with pytest.raises(RuntimeError):
        durable_training(block, crash=True)
    resumed = durable_training(block, crash=False)
    assert int(resumed.optimizer.iterations) == int(straight.optimizer.iterations) == 4 * BATCHES
    for ours, theirs in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    kept = pathlib.Path("best.keras").read_bytes()
    again = durable_training(block, crash=False)
    assert int(again.optimizer.iterations) == 4 * BATCHES  # a finished training stays finished
    shutil.rmtree("backup")
    durable_training(block, crash=False, trained_epochs=1)
    assert pathlib.Path("best.keras").read_bytes() == kept  # it begins anew, and is worse


def test_going_on_without_a_backup_trains_each_epoch_once(tmp_path, monkeypatch):
    from durable_checkpoint import DurableCheckpoint

    text = section("Resume without a backup", DURABLE)
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mean_squared_error")
    path = "checkpoints/epoch-{epoch:02d}.weights.h5"
    callback = DurableCheckpoint(path, save_weights_only=True)
    model.fit(x, y, epochs=3, callbacks=[callback], verbose=0)
    names = {"model": model, "x": x, "y": y}
    exec(block.replace("epochs=50", "epochs=5, verbose=0"), names)  # noqa: S102
    assert names["history"].epoch == [3, 4]
    assert int(model.optimizer.iterations) == 5


# ------------------------------------------------------------------ its numbers


def test_readme_fits_on_three_screens():
    assert len(README.splitlines()) <= 120


def shown(value) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


@pytest.mark.parametrize("page", ["README.md", "docs/RESULTS.md"])
def test_the_results_are_the_recorded_ones(page):
    recorded = json.loads(RECORDED.read_text())
    text = (REPOSITORY / page).read_text()
    (part,) = re.findall(r"<!-- results -->\n(.*?)<!-- /results -->", text, re.DOTALL)
    rows = rows_of(part)
    assert len(rows) >= 5
    for row in rows:
        script = re.search(r"\]\((?:\.\./)?(\d\d_\w+)\.py\)", row[0])[1]
        values = [recorded[backend]["rows"][script] for backend in ("tensorflow", "jax")]
        expected = [shown(values[0]["documented"])] if values[0]["documented"] else []
        expected += [shown(value["reproduced"]) for value in values]
        if page == "docs/RESULTS.md":
            assert values[0]["quantity"] in row
            expected += [f"{value['seconds']:.0f}" for value in values]
        numbers = [cell for cell in row[1:] if re.fullmatch(r"[\d.]+", cell)]
        assert numbers == expected, row
    if page == "docs/RESULTS.md":
        assert [row[0][1:3] for row in rows] == [script[:2] for script in SCRIPTS]
        for run_ in recorded.values():
            assert f"{run_['versions']}; {run_['machine']}; commit {run_['commit']}" in part


def test_most_runs_are_below_the_tutorials_values():
    recorded = json.loads(RECORDED.read_text())["tensorflow"]["rows"]
    values, typical = sweep.values_by_backend(), sweep.typical_values()
    assert max(typical["reshuffled", "best"] + typical["fixed order", "best"]) < 0.84252
    for script in SCRIPTS[:5]:
        documented = recorded[script]["documented"]
        ran = sweep.SPEAKS_FOR.get(script, script)
        for backend in ("tensorflow", "jax"):
            assert statistics.median(values[backend, ran, "reproduced"]) < documented
    for runs in ("reshuffled", "fixed order"):
        assert statistics.median(typical[runs, "best"]) < recorded[SCRIPTS[1]]["documented"]
        assert statistics.median(typical[runs, "all_rows"]) < recorded[SCRIPTS[2]]["documented"]


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_recorded_numbers_could_be_ours(backend, results):
    recorded = json.loads(RECORDED.read_text())[backend]
    assert sorted(recorded["rows"]) == SCRIPTS
    assert recorded["machine"] and recorded["versions"] and recorded["commit"]
    for script, row in recorded["rows"].items():
        assert row["documented"] == results[script]["documented"]
        assert row["quantity"] == results[script]["quantity"]
        low, high = EXPECTED[script]["reproduced"]
        assert low <= row["reproduced"] <= high


def torture(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


def total(rows: list[dict[str, str]], column: str) -> int:
    return sum(int(row[column]) for row in rows)


def test_the_three_figures_of_the_drop_in_callbacks():
    text = section("When the training must not be lost")
    saves = {row[0]: row[1:] for row in rows_of(section("What a save costs", DURABLE))}
    ours, stock = saves["`DurableCheckpoint`, `.keras`"], saves["`ModelCheckpoint`, `.keras`"]
    files, exact = torture("torture.csv"), torture("torture_exact.csv")
    numbers = re.findall(
        r"\d[\d,.]*\d|\d", re.sub(r"`[^`]*`|^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    gpu = [saves[f"GPU: `{way}`, `.keras`"][0] for way in ("DurableCheckpoint", "ModelCheckpoint")]
    megabytes = re.search(
        r"On a GPU, with JAX and ([\d,]+) MB", section("What a save costs", DURABLE)
    )
    expected = ["288", ours[0], stock[0], "200", megabytes[1], *gpu]  # 200: of the GPU's name
    expected += [total(files, "kills"), total(files, "kills_while_temporary_file_existed")]
    expected += [total(exact, "kills"), total(exact, "trainings")]
    assert numbers == [f"{n:,}" if isinstance(n, int) else n for n in expected]
    assert total(files, "lost_bests") == total(exact, "ended_in_other_bits") == 0


def test_the_kills_are_counted_from_the_recorded_ones():
    rows = [
        [cell.split(" ")[0] for cell in row[1:4]]
        for row in rows_of(section("How often it was killed", DURABLE))
    ]
    files, exact = torture("torture.csv"), torture("torture_exact.csv")
    workers = torture("torture_workers.csv")
    counted = [
        (files, "kills_while_temporary_file_existed", "lost_bests"),
        (exact, "kills_while_backup_was_written", "ended_in_other_bits"),
        (workers, "kills_during_a_joint_save", "ended_in_other_bits"),
    ]
    for row, (kills, during, lost) in zip(rows, counted, strict=True):
        assert row == [str(total(kills, column)) for column in ("kills", during, lost)]
    text = section("How often it was killed", DURABLE)
    assert f"{total(workers, 'kills_of_worker_0')} hit worker 0" in text
    assert f"{total(exact, 'trainings')} trainings" in text
    assert f"{total(workers, 'trainings')} trainings" in text


# ------------------------------------------------------------------ its lists


def test_every_option_and_no_other_is_in_the_table():
    rows = rows_of(section("Which option of `ModelCheckpoint`?"))
    options = list(inspect.signature(keras.callbacks.ModelCheckpoint).parameters)
    assert sorted(row[0].strip("`") for row in rows) == sorted(options)


def test_every_lesson_is_listed_once_under_the_level_it_names():
    text = section("The lessons")
    levels = dict(re.findall(r"^- \*\*(.+?):\*\* (.*)$", text, re.MULTILINE))
    listed = {
        level: re.findall(r"\((?:beyond/)?(\d\d_\w+)\.py\)", line) for level, line in levels.items()
    }
    assert sorted(script for scripts in listed.values() for script in scripts) == sorted(
        SCRIPTS + BEYOND
    )
    for level, scripts in listed.items():
        for script in scripts:
            named = re.search(r"^- Run: +`.*?` \(([\w ]+),", docstring(script), re.MULTILINE)
            assert named is None or named[1] == level.lower(), f"{script} names another level"


def test_the_figure_shows_what_the_caption_says():
    """After its minimum the validation loss of script 08 rises, and ends far above it."""
    result = REPOSITORY / "out" / "08_stop_overtraining" / "result.json"
    losses = json.loads(result.read_text())["val_loss"]["constant"]
    assert losses[-1] > 1.2 * min(losses) and losses.index(min(losses)) < len(losses) - 10


def test_ci_runs_the_readmes_test_command_on_both_backends():
    lines = (REPOSITORY / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if "make" in line and not line.startswith("#")]
    assert {"make test", "KERAS_BACKEND=jax make test"} < set(commands)
    assert {"make test-beyond", "make test-site"} < set(commands)
    (some,) = (line for line in lines if "tests/durability/test_{" in line)
    for name in re.search(r"\{(.*)\}", some)[1].split(","):
        assert (REPOSITORY / "tests" / "durability" / f"test_{name}.py").exists()
    assert "\n    make test\n" in README
    workflow = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
    (some,) = (line for line in lines if line.startswith("export NOTEBOOKS="))
    numbers = some.split('"')[1].split()
    assert {script[:2] for script in SCRIPTS} < set(numbers)
    assert "run: bash .ci/run" in workflow and "make test PYTHON=" in workflow
    weekly = workflow[workflow.index("all-on-jax:") :]
    assert "- run: KERAS_BACKEND=jax make test-beyond" in weekly


def test_the_documented_values_are_those_of_the_documents(results):
    documented = {script: results[script]["documented"] for script in SCRIPTS}
    assert documented == {
        "01_checkpoint_improvements": 0.84252,
        "02_checkpoint_best_only": 0.79528,
        "03_load_checkpoint": 0.7773,
        "04_mnist_every_epoch": 0.9830,
        "05_mnist_best_only": 0.9830,
        "06_resume_training": None,
        "07_checkpoint_options": 7,
        "08_stop_overtraining": None,
        "09_weights_or_whole_model": None,
        "10_custom_callback": None,
    }
