"""Script 06 resumes what lies in a folder that the reader named, and never loses it."""

import io
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import types
import zipfile

import keras
import numpy as np
import pytest
from conftest import BACKEND, REPOSITORY, code_under_headings, contents, score, with_weights_of
from matplotlib import pyplot as plt

SCRIPT = "06_resume_training"
CHECKPOINTS = REPOSITORY / "out" / SCRIPT / "checkpoints"
FIGURE = "killed_and_resumed.png"
SECTIONS = code_under_headings(SCRIPT)
PROSE = (REPOSITORY / f"{SCRIPT}.py").read_text()
KILL, FIND = "Train: until the process is killed", "Find the newest usable checkpoint"
REST = ("Train: the missing", "Look", "Check", "Result")


def epoch_of(path: pathlib.Path) -> int:
    return int(path.name.split("-")[1])


def newest(folder: pathlib.Path) -> pathlib.Path:
    return max(folder.glob("weights-*-0*.keras"), key=epoch_of)


def run_sections(namespace: dict, *headings: str) -> dict:
    """Run what stands under these headings, in the script's order, in this namespace."""
    for title, code in SECTIONS.items():
        if title.startswith(headings) and code:
            exec(compile(code, f"{SCRIPT}: {title}", "exec"), namespace)  # noqa: S102
    return namespace


@pytest.fixture(scope="module")
def short_ways(workspace):
    """All names after the two short ways to resume, and what they printed."""
    namespace = dict(workspace(SCRIPT))
    printed, sys.stdout = sys.stdout, io.StringIO()
    try:
        run_sections(namespace, "Train: resume")
        namespace["printed"] = sys.stdout.getvalue()
    finally:
        sys.stdout = printed
    return namespace


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of its own to run in, with the data."""
    (tmp_path / "data").symlink_to(REPOSITORY / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["06_resume_training.py"])
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


@pytest.fixture
def resume(short_ways, capsys):
    """Run the lesson on a named folder, from the kill on: all names, and what was printed."""

    def run(folder: pathlib.Path, *headings: str) -> dict:
        named = {"NAMED_DIR": str(folder), "CHECKPOINT_DIR": folder}
        namespace = run_sections(short_ways | named, *(headings or (KILL, FIND, *REST)))
        plt.close("all")
        return namespace | {"printed": capsys.readouterr().out}

    return run


def refusal(resume, folder) -> str:
    """The lesson must refuse the folder in one line and change nothing; return that line."""
    before = contents(folder) if folder.is_dir() and folder != pathlib.Path("/proc") else None
    with pytest.raises(SystemExit) as refused:
        resume(folder, KILL, FIND)
    line = refused.value.code  # a text: Python prints it, and exits with status 1
    assert isinstance(line, str) and len(line.splitlines()) == 1
    assert before is None or contents(folder) == before
    assert not pathlib.Path("out").exists()
    return line


def test_the_kill_left_a_file_of_epoch_16_that_was_cut_and_is_replaced(results):
    result = results[SCRIPT]
    assert result["resumed_after"] == 15
    assert len(result["files"]) == 20
    assert [epoch_of(pathlib.Path(name)) for name in result["files"]] == list(range(1, 21))


def test_each_of_20_models_scores_what_its_name_says_and_has_counted_its_batches(workspace):
    namespace, first = workspace(SCRIPT), None
    for path in CHECKPOINTS.iterdir():
        model = keras.models.load_model(path)
        first = first or model
        assert f"{score(with_weights_of(model, first), namespace):.3f}" == path.stem[-5:]
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


IN_BACKUP = ["latest.weights.h5", "training_metadata.json"]


def test_backup_and_restore_does_and_loses_what_the_lesson_says(short_ways):
    assert short_ways["in_backup"] == sorted(IN_BACKUP + [f"{name}.bkp" for name in IN_BACKUP])
    assert short_ways["backup_history"].epoch == [15, 16, 17, 18, 19]
    runs = [short_ways[name].model for name in ("backup_history", "run_again")]
    assert [int(model.optimizer.iterations) for model in runs] == [20 * 6] * 2
    folder, after, by_hand = short_ways["printed"].splitlines()
    assert all(name in folder for name in short_ways["in_backup"])
    assert f"{[15, 16, 17, 18, 19]}, run again: []" in after
    assert by_hand.endswith(f"epochs {[15, 16, 17, 18, 19]}")
    assert short_ways["run_again"].epoch == []
    assert all(map(np.array_equal, *(model.get_weights() for model in runs)))
    assert by_hand.startswith(short_ways["newest"].name) and "weights-15-" in by_hand
    assert not short_ways["backups"].exists() and not short_ways["by_hand"].exists()


@pytest.fixture
def interrupted(tmp_path, short_ways):
    """Train four epochs with a backup, and cut its newest weights in half, as a kill can."""

    def run(**options):
        backup = keras.callbacks.BackupAndRestore(
            tmp_path / "b", delete_checkpoint=False, **options
        )
        fewer = short_ways["training"] | {"epochs": 4}
        short_ways["build_model"]().fit(**fewer, callbacks=[backup])
        damage(tmp_path / "b" / IN_BACKUP[0], "cut")
        return backup

    return run


def test_with_two_copies_a_kill_during_a_save_costs_one_epoch(interrupted, short_ways):
    backup = interrupted(double_checkpoint=True)
    longer = short_ways["training"] | {"epochs": 6}
    assert short_ways["build_model"]().fit(**longer, callbacks=[backup]).epoch == [3, 4, 5]


def test_with_one_copy_every_start_fails_after_it(interrupted, short_ways):
    backup = interrupted()
    for _ in range(2):
        with pytest.raises(OSError, match="truncated"):
            short_ways["build_model"]().fit(**short_ways["training"], callbacks=[backup])


def test_the_lesson_and_the_front_page_give_the_same_options():
    """On both, `BackupAndRestore` keeps two copies, also after the training."""
    for text in (PROSE, (REPOSITORY / "README.md").read_text()):
        (arguments,) = re.findall(r"callbacks\.BackupAndRestore\(([^()]*)\)", text)
        options = re.findall(r"\w+=\w+", arguments)
        assert options == ["double_checkpoint=True", "delete_checkpoint=False"]


def test_early_stopping_forgets_its_best_value_with_backup_and_restore(tmp_path, short_ways):
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", mode="max", patience=50)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    training = short_ways["training"]
    best = []
    for epochs in (4, 8):
        model = short_ways["build_model"]()
        history = model.fit(**training | {"epochs": epochs}, callbacks=[stop, backup]).history
        best.append((stop.best, max(history["val_loss"])))
    assert best[0][0] == best[0][1] > best[1][0] == best[1][1]


def test_both_ways_and_the_kill_start_from_the_same_model(short_ways):
    first, second = (short_ways["build_model"]().get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_what_lies_in_a_named_folder_is_resumed_and_nothing_else_touched(place, drive, resume):
    (drive / "notes.txt").write_text("mine")
    shutil.copy(newest(drive), drive / "weights-final.keras")
    before = contents(drive)
    assert "Resumed after epoch 18: trained [19, 20], 20 files" in resume(drive)["printed"]
    after = contents(drive)
    assert before.items() <= after.items() and len(after) == len(before) + 3
    assert (drive / FIGURE).exists() and not (place / "out").exists()


def test_an_empty_named_folder_is_where_a_training_begins(place):
    """The whole script, with a real kill."""
    shutil.copy(REPOSITORY / f"{SCRIPT}.py", place)
    folder = place / "empty"
    folder.mkdir()
    finished = subprocess.run(
        [sys.executable, f"{SCRIPT}.py"],
        check=False,
        env=os.environ | {"CHECKPOINT_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr
    assert "Killed in epoch 16" in finished.stdout and "Resuming after epoch 15" in finished.stdout
    assert re.search(r"weights-16-\S+ was cut short", finished.stdout)
    assert sorted(map(epoch_of, folder.glob("weights-*"))) == list(range(1, 21))
    assert not (place / "out").exists()


def test_the_second_process_cuts_the_file_of_epoch_16_and_waits(place, resume, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{SCRIPT}.py", "train"])
    seen = {}

    def read():
        seen.update(contents(place / "folder"))
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(read=read))
    with pytest.raises(KeyboardInterrupt):
        resume(place / "folder", KILL)
    assert len(seen) == 16
    for path in (place / "folder").iterdir():
        assert zipfile.is_zipfile(path) == (epoch_of(path) != 16)


CHILDREN = {
    "waits": 'print("before"); print("waiting to be killed", flush=True); input()',
    "fails": 'print("no such file", flush=True); raise SystemExit("it failed")',
}


@pytest.mark.parametrize("kind", CHILDREN)
def test_the_first_process_kills_the_one_that_waits_and_notices_one_that_fails(place, resume, kind):
    (place / f"{SCRIPT}.py").write_text(CHILDREN[kind])
    folder = place / "empty"
    folder.mkdir()
    if kind == "waits":
        process = resume(folder, KILL)["process"]
        assert process.returncode == (1 if os.name == "nt" else -9)
    else:
        assert refusal(resume, folder).startswith(f"{folder}: training into it failed")


def test_nothing_was_killed_is_said_if_the_training_ends(place, resume, monkeypatch, short_ways):
    monkeypatch.setattr(sys, "argv", [f"{SCRIPT}.py", "train"])
    monkeypatch.setitem(short_ways, "training", short_ways["training"] | {"epochs": 3})
    with pytest.raises(SystemExit, match="KILLED_AFTER must be less than EPOCHS"):
        resume(place / "folder", KILL)
    assert sorted(map(epoch_of, (place / "folder").iterdir())) == [1, 2, 3]


def test_a_finished_training_is_left_as_it_is(drive, resume):
    for path in CHECKPOINTS.iterdir():
        shutil.copy(path, drive)
    before = contents(drive)
    assert "Resumed after epoch 20: trained [], 20 files" in resume(drive)["printed"]
    assert contents(drive).keys() - before.keys() == {FIGURE}
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


def test_damaged_files_are_passed_over_and_removed_until_a_usable_one_is_found(drive, resume):
    kinds = ["empty", "last byte missing", "flipped", "no weights"]
    for epoch, kind in zip((18, 17, 16, 15), kinds, strict=True):
        (path,) = drive.glob(f"weights-{epoch}-*")
        damage(path, kind)
    printed = resume(drive)["printed"]
    assert "Resuming after epoch 14" in printed
    removed = re.findall(r"weights-(\d+)-\S+ was cut short or changed, and is", printed)
    assert removed == ["18", "17", "16", "15"]
    files = list(drive.glob("weights-*"))
    assert sorted(map(epoch_of, files)) == list(range(1, 21))
    assert all(zipfile.ZipFile(path).testzip() is None for path in files)


def test_with_no_usable_checkpoint_nothing_is_deleted(drive, resume):
    for path in drive.iterdir():
        damage(path, "cut")
    line = refusal(resume, drive)
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
def test_a_checkpoint_of_another_training_is_refused_and_nothing_deleted(drive, resume, kind):
    """Although the newest file, which is damaged, would be removed otherwise."""
    path = drive / "weights-19-0.700.keras"
    other(kind).save(path)
    (drive / "weights-20-0.700.keras").write_bytes(b"")
    line = refusal(resume, drive)
    assert line.startswith(str(path)) and "CHECKPOINT_DIR" in line


def unwritable(place) -> pathlib.Path:
    """A folder that exists and takes no file; root may write everywhere but in /proc."""
    if os.geteuid() == 0:
        return pathlib.Path("/proc")
    (place / "sealed").mkdir(mode=0o500)
    return place / "sealed"


@pytest.mark.parametrize("kind", ["not there", "a file", "unwritable"])
def test_a_folder_that_takes_no_file_is_refused_before_training(place, resume, kind):
    folder = unwritable(place) if kind == "unwritable" else place / "drive"
    if kind == "a file":
        folder.write_text("not a folder")
    assert refusal(resume, folder).startswith(f"{folder} cannot be written to")


def test_a_disk_without_room_is_noticed_before_training(place, resume):
    """The limit on file sizes stands in for a full disk."""
    folder = place / "full"
    folder.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        line = refusal(resume, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line.startswith(f"{folder} cannot be written to") and not list(folder.iterdir())


def test_unscaled_rows_end_below_always_answering_no(workspace):
    """06 says so as its reason to standardise."""
    namespace = workspace(SCRIPT)
    x = namespace["x"] * namespace["deviation"] + namespace["mean"]
    model = namespace["build_model"]()
    history = model.fit(
        x, namespace["y"], validation_split=0.33, epochs=20, batch_size=100, verbose=0
    ).history
    assert history["val_accuracy"][-1] < 1 - namespace["y_validation"].mean()


def test_epochs_is_the_last_epoch_and_compiling_again_makes_a_fresh_optimizer(workspace):
    namespace = workspace(SCRIPT)
    model = keras.models.load_model(newest(CHECKPOINTS))
    before = model.get_weights()
    (epochs,) = map(int, re.findall(r"With `epochs=(\d+)`", PROSE))
    history = model.fit(
        namespace["x"], namespace["y"], initial_epoch=15, epochs=epochs, batch_size=100, verbose=0
    )
    assert history.epoch == []
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert int(model.optimizer.iterations) == 120
    model.compile(loss="binary_crossentropy", optimizer="adam")
    assert int(model.optimizer.iterations) == 0


def test_csvlogger_goes_on_and_a_new_checkpoint_takes_the_first_epoch_for_the_best(
    tmp_path, short_ways
):
    log = tmp_path / "log.csv"
    for start in (15, 17):
        model = keras.models.load_model(newest(CHECKPOINTS))
        new = keras.callbacks.ModelCheckpoint(
            tmp_path / "{epoch}.keras", monitor="loss", mode="max", save_best_only=True
        )
        callbacks = [keras.callbacks.CSVLogger(log, append=True), new]
        settings = {"initial_epoch": start, "epochs": start + 2}
        model.fit(**short_ways["training"] | settings, callbacks=callbacks)
        assert (tmp_path / f"{start + 1}.keras").exists()
    rows = log.read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "15", "16", "17", "18"]


RECORDED = {
    "before": {epoch: 0.6 + epoch / 100 for epoch in range(1, 16)},
    "after": {epoch: 0.7 + epoch / 1000 for epoch in range(16, 21)},
    "uninterrupted": [0.5 + epoch / 100 for epoch in range(1, 21)],
    "other_orders": [[0.71, 0.72, 0.73, 0.74, 0.76], [0.61, 0.62, 0.63, 0.64, 0.66]],
    "loaded_epoch": 15,
}


def test_the_figure_shows_the_seam(tmp_path):
    settings = {"EPOCHS": 20, "NAMED_DIR": None, "OUT": tmp_path, "CHECKPOINT_DIR": None}
    names = run_sections(RECORDED | settings | {"plt": plt}, "Look")
    axes = names["axes"]
    seam = RECORDED["before"][15]
    expected = {
        "never killed": (range(1, 21), RECORDED["uninterrupted"]),
        "before the kill": (range(1, 16), RECORDED["before"].values()),
        "resumed": (range(15, 21), [seam, *RECORDED["after"].values()]),
        "resumed, other seeds": (range(15, 21), [seam, *RECORDED["other_orders"][0]]),
        "loaded": ([15], [seam]),
    }
    lines = {line.get_label(): line for line in axes.lines}
    for label, (x, y) in expected.items():
        assert list(lines[label].get_xdata()) == list(x), label
        assert list(lines[label].get_ydata()) == list(y), label
    others = [line for line in axes.lines if line.get_color() == "#CC79A7"]
    assert [list(line.get_ydata()[1:]) for line in others] == RECORDED["other_orders"]
    assert lines["loaded"].get_marker() == "o" and lines["loaded"].get_markersize() > 10
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(expected)
    assert re.findall(r"epoch (\d+)", axes.get_title()) == ["15", "20"]
    assert axes.get_xlabel() == "epoch" and "correct" in axes.get_ylabel()
    assert list(axes.get_xticks()) == [0, 5, 10, 15, 20]
    assert [path.name for path in tmp_path.iterdir()] == [FIGURE]
    plt.close("all")


@pytest.fixture(scope="module")
def checked(short_ways, results):
    """Names with which the lesson's Check holds: those of the run that `make all` made."""
    accuracy = results[SCRIPT]["val_accuracy"]
    files = {epoch_of(path): path for path in sorted(CHECKPOINTS.iterdir())}
    loaded, model = keras.models.load_model(files[15]), short_ways["build_model"]()
    return short_ways | {
        "model": model,
        "resumed": keras.models.load_model(files[20]),
        "in_model": [
            keras.ops.convert_to_numpy(v) for v in loaded.weights + loaded.optimizer.variables
        ],
        "loaded_epoch": 15,
        "loaded_steps": 90,
        "loaded_file": files[15],
        "before": dict(enumerate(accuracy[:15], 1)),
        "after": dict(enumerate(accuracy[15:], 16)),
        "process": types.SimpleNamespace(returncode=-9),
        "checkpoints_by_epoch": lambda: files,
        "epochs": range(1, 21),
        "NAMED_DIR": None,
    }


BROKEN = {
    "nothing": lambda names: {},
    "a weight": lambda names: {"in_model": [names["in_model"][0] + 1, *names["in_model"][1:]]},
    "a moment of the optimizer": lambda names: {
        "in_model": [*names["in_model"][:-1], names["in_model"][-1] + 1]
    },
    "an array is missing": lambda names: {"in_model": names["in_model"][:-1]},
    "steps": lambda names: {"loaded_steps": 84},
    "steps in the end": lambda names: {"resumed": keras.models.load_model(names["loaded_file"])},
    "an epoch twice": lambda names: {"after": {15: 0.7} | names["after"]},
    "an epoch left out": lambda names: {
        "after": {epoch: 0.7 for epoch in names["after"] if epoch != 16}
    },
    "a file is missing": lambda names: {
        "checkpoints_by_epoch": lambda: {
            epoch: "" for epoch in names["checkpoints_by_epoch"]() if epoch != 7
        }
    },
    "no kill": lambda names: {"process": types.SimpleNamespace(returncode=0)},
    "the backup": lambda names: {"in_backup": []},
    "resumed by hand": lambda names: {"by_hand_history": types.SimpleNamespace(epoch=[16])},
    "a finished training goes on": lambda names: {"run_again": names["backup_history"]},
    "steps of the backup": lambda names: {
        "run_again": types.SimpleNamespace(epoch=[], model=names["build_model"]())
    },
}


@pytest.mark.parametrize("what", BROKEN)
def test_its_own_check_notices(checked, what):
    names = checked | BROKEN[what](checked)
    if what == "nothing":
        run_sections(names, "Check")
    else:
        with pytest.raises(AssertionError):
            run_sections(names, "Check")


def test_the_result_holds_what_was_found(checked, tmp_path, results):
    checkpoints = types.SimpleNamespace(name="checkpoints")
    names = checked | {
        "OUT": tmp_path / SCRIPT,
        "CHECKPOINT_DIR": checkpoints,
        "uninterrupted": results[SCRIPT]["uninterrupted_val_accuracy"],
        "json": json,
    }
    (tmp_path / SCRIPT).mkdir()
    run_sections(names, "Result")
    assert json.loads((tmp_path / SCRIPT / "result.json").read_text()) == results[SCRIPT]
    assert results[SCRIPT]["reproduced"] == results[SCRIPT]["val_accuracy"][-1]
