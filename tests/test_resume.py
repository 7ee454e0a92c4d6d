"""Script 06 resumes what lies in a folder that the reader named, and never loses it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from conftest import BACKEND, REPOSITORY, contents, score

SCRIPT = "06_resume_training"
CHECKPOINTS = REPOSITORY / "out" / SCRIPT / "checkpoints"


def epoch_of(path: pathlib.Path) -> int:
    return int(path.name.split("-")[1])


@pytest.fixture
def place(tmp_path):
    """The script and its data in a folder of their own."""
    shutil.copy(REPOSITORY / f"{SCRIPT}.py", tmp_path)
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    return tmp_path


@pytest.fixture
def drive(place):
    """A folder such as a mounted Drive, with a space in its name, and the first 18 checkpoints."""
    folder = place / "My Drive"
    folder.mkdir()
    for path in CHECKPOINTS.iterdir():
        if epoch_of(path) <= 18:
            shutil.copy(path, folder)
    return folder


def newest(folder: pathlib.Path) -> pathlib.Path:
    return max(folder.glob("weights-*.keras"), key=epoch_of)


def run(place, folder, limit="") -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", "-c", f"{limit}exec {sys.executable} {SCRIPT}.py"],
        check=False,
        cwd=place,
        env=os.environ | {"CHECKPOINT_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def refusal(place, folder) -> str:
    """Run the script, which must refuse the folder and change nothing; return its one line."""
    before = contents(folder) if folder.is_dir() and folder != pathlib.Path("/proc") else None
    finished = run(place, folder)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
    assert before is None or contents(folder) == before
    assert not (place / "out").exists()
    return finished.stderr.rstrip().splitlines()[-1]


def test_the_kill_left_a_file_of_epoch_16_that_was_cut_and_is_replaced(results):
    result = results[SCRIPT]
    assert result["resumed_after"] == 15
    assert len(result["files"]) == 20
    assert [epoch_of(pathlib.Path(name)) for name in result["files"]] == list(range(1, 21))


def test_each_of_20_models_scores_what_its_name_says_and_has_counted_its_batches(workspace):
    namespace = workspace(SCRIPT)
    for path in CHECKPOINTS.iterdir():
        model = keras.models.load_model(path)
        assert f"{score(model, namespace):.3f}" == path.stem[-5:]
        assert int(model.optimizer.iterations) == epoch_of(path) * 6


def test_until_the_kill_the_curve_is_that_of_the_run_that_was_never_killed(results):
    killed, whole = (
        [f"{value:.3f}" for value in results[SCRIPT][name]]
        for name in ("val_accuracy", "uninterrupted_val_accuracy")
    )
    assert killed[:15] == whole[:15]


def test_resumed_it_is_that_curve_on_tensorflow_only(results):
    """06 says so of its figure: TensorFlow shuffles every epoch alike once a seed is set."""
    result = results[SCRIPT]
    same = result["val_accuracy"][15:] == result["uninterrupted_val_accuracy"][15:]
    assert same == (BACKEND == "tensorflow")


def test_what_lies_in_a_named_folder_is_resumed_and_nothing_else_touched(place, drive):
    (drive / "notes.txt").write_text("mine")
    shutil.copy(newest(drive), drive / "weights-final.keras")
    before = contents(drive)
    finished = run(place, drive)
    assert finished.returncode == 0, finished.stderr
    assert "Resumed after epoch 18: trained epochs 19 to 20, 20 files" in finished.stdout
    after = contents(drive)
    assert before.items() <= after.items() and len(after) == len(before) + 3
    assert (drive / "learning_curve.png").exists() and not (place / "out").exists()


def test_an_empty_named_folder_is_where_a_training_begins(place):
    folder = place / "empty"
    folder.mkdir()
    finished = run(place, folder)
    assert finished.returncode == 0, finished.stderr
    assert "return code -9" in finished.stdout and "Resuming after epoch 15" in finished.stdout
    assert "-16-" in finished.stdout and "is removed" in finished.stdout
    assert sorted(map(epoch_of, folder.glob("weights-*"))) == list(range(1, 21))


def test_a_finished_training_is_left_as_it_is(place, drive):
    for path in CHECKPOINTS.iterdir():
        shutil.copy(path, drive)
    before = contents(drive)
    finished = run(place, drive)
    assert finished.returncode == 0, finished.stderr
    assert "nothing was missing" in finished.stdout
    assert contents(drive).keys() - before.keys() == {"learning_curve.png"}
    assert before.items() <= contents(drive).items()


def damage(path: pathlib.Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    if kind == "empty":
        content = b""
    elif kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "last byte missing":
        content = content[:-1]
    elif kind == "flipped":
        content[len(content) // 2] ^= 255
    path.write_bytes(content)
    if kind == "no weights":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")


def test_damaged_files_are_passed_over_and_removed_until_a_usable_one_is_found(place, drive):
    for kind in ("empty", "last byte missing", "flipped", "no weights"):
        damaged = max((p for p in drive.iterdir() if p.stat().st_mode & 0o200), key=epoch_of)
        damage(damaged, kind)
        damaged.chmod(0o444)
    finished = run(place, drive)
    assert finished.returncode == 0, finished.stderr
    assert "Resuming after epoch 14" in finished.stdout
    removed = re.findall(r"weights-(\d+)-\S+ was cut short or changed, and is", finished.stdout)
    assert removed == ["18", "17", "16", "15"]
    files = list(drive.glob("weights-*"))
    assert sorted(map(epoch_of, files)) == list(range(1, 21))
    assert all(zipfile.ZipFile(path).testzip() is None for path in files)


def test_with_no_usable_checkpoint_nothing_is_deleted(place, drive):
    for path in drive.iterdir():
        damage(path, "cut")
    line = refusal(place, drive)
    assert line.startswith(str(drive)) and "no usable checkpoint" in line


def other(kind: str) -> keras.Model:
    """A whole model that is not this script's after 19 epochs."""
    units = 11 if kind == "other units" else 10
    activation = "tanh" if kind == "other activation" else "relu"
    model = keras.Sequential(
        [
            keras.Input(shape=(8,), name="measurements"),
            keras.layers.Dense(units, activation=activation, name="hidden_1"),
            keras.layers.Dense(10, activation="relu", name="hidden_2"),
            keras.layers.Dense(1, activation="sigmoid", name="probability"),
        ]
    )
    if kind != "not compiled":
        model.compile(loss="binary_crossentropy", optimizer="adam")
        model.optimizer.iterations.assign(19 * (5 if kind == "other batches" else 6))
    return model


@pytest.mark.parametrize(
    "kind", ["other units", "other activation", "not compiled", "other batches"]
)
def test_a_checkpoint_of_another_training_is_refused_and_nothing_deleted(place, drive, kind):
    """Although the newest file, which is damaged, would be removed otherwise."""
    path = drive / "weights-19-0.700.keras"
    other(kind).save(path)
    (drive / "weights-20-0.700.keras").write_bytes(b"")
    line = refusal(place, drive)
    assert line.startswith(str(path)) and "CHECKPOINT_DIR" in line


def unwritable(place) -> pathlib.Path:
    """A folder that exists and takes no file; root may write everywhere but in /proc."""
    if os.geteuid() == 0:
        return pathlib.Path("/proc")
    (place / "sealed").mkdir(mode=0o500)
    return place / "sealed"


@pytest.mark.parametrize("kind", ["not there", "a file", "unwritable"])
def test_a_folder_that_takes_no_file_is_refused_before_training(place, kind):
    folder = unwritable(place) if kind == "unwritable" else place / "drive"
    if kind == "a file":
        folder.write_text("not a folder")
    line = refusal(place, folder)
    assert line.startswith(f"{folder} cannot be written to")


def test_a_disk_without_room_is_noticed_before_training(place):
    """The limit on file sizes stands in for a full disk: 100 blocks of 1,024 bytes."""
    folder = place / "full"
    folder.mkdir()
    finished = run(place, folder, limit="ulimit -f 100; ")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith(f"{folder} cannot be written to")
    assert "Traceback" not in finished.stderr and not list(folder.iterdir())


def test_a_training_that_ends_before_the_kill_is_not_started_for_ever(place):
    script = place / f"{SCRIPT}.py"
    script.write_text(script.read_text().replace("EPOCHS = 20", "EPOCHS = 3", 1))
    folder = place / "short"
    folder.mkdir()
    finished = run(place, folder)
    assert finished.returncode == 1 and "return code 1" in finished.stdout
    assert "KILLED_AFTER must be less than EPOCHS" in finished.stderr
    assert f"{folder}: training into it failed" in finished.stderr.splitlines()[-1]
    assert sorted(map(epoch_of, folder.iterdir())) == [1, 2, 3]


def test_unscaled_rows_end_below_always_answering_no(workspace):
    """06 says so as its reason to standardise."""
    namespace = workspace(SCRIPT)
    x = namespace["x"] * namespace["deviation"] + namespace["mean"]
    keras.utils.set_random_seed(namespace["SEED"])
    model = keras.models.clone_model(namespace["model"])
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(
        x, namespace["y"], validation_split=0.33, epochs=20, batch_size=100, verbose=0
    ).history
    assert history["val_accuracy"][-1] < 1 - namespace["y_validation"].mean()


def test_epochs_is_the_last_epoch_and_compiling_again_makes_a_fresh_optimizer(workspace):
    namespace = workspace(SCRIPT)
    model = keras.models.load_model(newest(CHECKPOINTS))
    before = model.get_weights()
    history = model.fit(
        namespace["x"], namespace["y"], initial_epoch=15, epochs=5, batch_size=100, verbose=0
    )
    assert history.epoch == []
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert int(model.optimizer.iterations) == 120
    model.compile(loss="binary_crossentropy", optimizer="adam")
    assert int(model.optimizer.iterations) == 0


def test_what_callbacks_remember_is_lost_and_csvlogger_can_go_on(tmp_path, workspace):
    """06 says so of checkpoint, EarlyStopping and CSVLogger."""
    namespace = workspace(SCRIPT)
    model = keras.models.load_model(newest(CHECKPOINTS))
    log = tmp_path / "log.csv"
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=5)
    for start in (15, 17):
        stop.wait, stop.best = 4, -1.0
        new = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)
        assert new.best is None
        model.fit(
            namespace["x"],
            namespace["y"],
            initial_epoch=start,
            epochs=start + 2,
            callbacks=[keras.callbacks.CSVLogger(log, append=True), stop],
            verbose=0,
        )
        assert stop.best > 0
    rows = log.read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "15", "16", "17", "18"]
