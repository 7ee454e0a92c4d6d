"""Script 10's callback deletes what it should, and never what might still be needed."""

import math
import types

import numpy as np
import pytest
from conftest import code_under_headings


def callback_of_10(workspace):
    """The class KeepNewestAndBest, as script 10 defines it."""
    namespace = dict(workspace("10_custom_callback"))
    exec(code_under_headings("10_custom_callback")["The callback"], namespace)  # noqa: S102
    return namespace["KeepNewestAndBest"]


def epochs_kept(callback_class, folder, scores, *, mode="min", newest=2, best=3) -> list[set[int]]:
    """The epochs whose files lie in the folder after each epoch of these scores."""
    keep = callback_class(folder, "score", mode, newest, best)
    keep.set_model(types.SimpleNamespace(save=lambda path: path.write_text("a model")))
    listings = []
    for epoch, score in enumerate(scores):
        keep.on_epoch_end(epoch, {"score": score})
        listings.append({int(path.stem[6:]) for path in folder.glob("model-*.keras")})
    return listings


@pytest.mark.parametrize("mode", ["min", "max"])
def test_newest_and_best_stay_and_the_others_go(tmp_path, workspace, mode):
    scores = list(np.random.default_rng(1).permutation(20) / 10)
    listings = epochs_kept(callback_of_10(workspace), tmp_path, scores, mode=mode)
    for epoch, listing in enumerate(listings, start=1):
        ranked = sorted(range(1, epoch + 1), key=lambda each: scores[each - 1])
        best = ranked[:3] if mode == "min" else ranked[-3:]
        assert listing == {*best, *range(max(1, epoch - 1), epoch + 1)}
    assert not list(tmp_path.glob("unfinished*"))


def test_a_score_that_is_no_number_pushes_out_no_better_one(tmp_path, workspace):
    nan = math.nan
    listings = epochs_kept(
        callback_of_10(workspace), tmp_path, [3.0, nan, 1.0, nan, 2.0, nan, nan], newest=1, best=1
    )
    assert listings == [{1}, {1, 2}, {3}, {3, 4}, {3, 5}, {3, 6}, {3, 7}]


def test_all_scores_missing_still_leaves_the_newest(tmp_path, workspace):
    listings = epochs_kept(callback_of_10(workspace), tmp_path, [math.nan] * 4, newest=1, best=2)
    assert listings == [{1}, {2}, {3}, {4}]


def test_a_save_that_fails_deletes_nothing(tmp_path, workspace):
    keep = callback_of_10(workspace)(tmp_path, "score", "min", 1, 1)

    def fails_from_the_third_on(path):
        path.write_text("half")
        if len(keep.scores) == 2:
            raise OSError(28, "No space left on device")

    keep.set_model(types.SimpleNamespace(save=fails_from_the_third_on))
    keep.on_epoch_end(0, {"score": 1.0})
    keep.on_epoch_end(1, {"score": 2.0})
    with pytest.raises(OSError, match="No space"):
        keep.on_epoch_end(2, {"score": 0.5})
    assert {path.name for path in tmp_path.glob("model-*")} == {
        "model-001.keras",
        "model-002.keras",
    }


def test_files_of_others_and_of_an_earlier_run_are_left_alone(tmp_path, workspace):
    for name in ("model-000.keras", "model-005.keras", "notes.txt"):
        (tmp_path / name).write_text("not this run's")
    epochs_kept(callback_of_10(workspace), tmp_path, [5.0, 4.0, 3.0, 2.0], newest=1, best=1)
    left = {"model-000.keras", "model-004.keras", "model-005.keras", "notes.txt"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_a_file_of_an_earlier_training_is_never_overwritten(tmp_path, workspace):
    """Neither by a new callback nor by the same one in a second training."""
    keep = callback_of_10(workspace)(tmp_path, "score", "min", 2, 0)
    keep.set_model(types.SimpleNamespace(save=lambda path: path.write_text("first")))
    keep.on_train_begin()
    keep.on_epoch_end(0, {"score": 1.0})
    keep.set_model(types.SimpleNamespace(save=lambda path: path.write_text("second")))
    keep.on_train_begin()
    with pytest.raises(FileExistsError, match="earlier training; the new model is .*unfinished"):
        keep.on_epoch_end(0, {"score": 0.5})
    assert (tmp_path / "unfinished.keras").read_text() == "second"
    keep.on_epoch_end(1, {"score": 0.5})
    keep.on_epoch_end(2, {"score": 0.4})
    keep.on_epoch_end(3, {"score": 0.3})
    assert (tmp_path / "model-001.keras").read_text() == "first"
    assert {path.stem[-3:] for path in tmp_path.iterdir()} == {"001", "003", "004"}


def test_a_misspelt_monitor_and_senseless_numbers_are_errors(tmp_path, workspace):
    callback_class = callback_of_10(workspace)
    keep = callback_class(tmp_path, "val_acc", "max", 1, 1)
    keep.set_model(types.SimpleNamespace(save=lambda path: path.write_text("a model")))
    with pytest.raises(ValueError, match="'val_acc' is not among"):
        keep.on_epoch_end(0, {"val_accuracy": 0.5})
    assert (tmp_path / "model-001.keras").exists()
    for wrong in (("auto", 1, 1), ("min", 0, 3), ("min", 1, -1)):
        with pytest.raises(ValueError, match="keep_newest"):
            callback_class(tmp_path, "loss", *wrong)
