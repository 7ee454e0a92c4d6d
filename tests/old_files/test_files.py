"""Files that cannot be converted give one line, and nothing is written or changed."""

import doctest
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import old_checkpoint
import pytest
from old_checkpoint import OldCheckpointError, convert, inspect

SMALL = "legacy Adam"


@pytest.fixture
def old(old_files, tmp_path):
    """A copy of a small old file, to be changed."""
    return pathlib.Path(shutil.copy(old_files / f"{SMALL}.h5", tmp_path / "old.h5"))


def refused(source, because):
    """The source is refused with one line; it stays as it is, and nothing appears beside it."""
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    names = sorted(os.listdir(source.parent))
    with pytest.raises(OldCheckpointError, match=because) as caught:
        convert(source, source.parent / "new.keras")
    assert "\n" not in str(caught.value)
    assert hashlib.sha256(source.read_bytes()).hexdigest() == before
    assert sorted(os.listdir(source.parent)) == names


def change_config(path, attribute, change):
    """Rewrite one of the file's JSON attributes."""
    with h5py.File(path, "r+") as file:
        value = json.loads(file.attrs[attribute])
        change(value)
        file.attrs[attribute] = json.dumps(value)


def test_source_is_only_read(case, old_files):
    converted = case(SMALL)
    assert converted.target.exists()
    with h5py.File(old_files / f"{SMALL}.h5") as file:
        assert "optimizer_weights" in file


def test_target_is_never_overwritten(old):
    target = old.parent / "new.keras"
    target.write_bytes(b"mine")
    with pytest.raises(OldCheckpointError, match="exists"):
        convert(old, target)
    assert target.read_bytes() == b"mine"


def test_target_that_appears_meanwhile_is_not_overwritten(old, monkeypatch):
    from old_checkpoint import converting

    target = old.parent / "new.keras"
    proved = converting.proof.prove

    def prove(*arguments):
        proved(*arguments)
        target.write_bytes(b"mine")

    monkeypatch.setattr(converting.proof, "prove", prove)
    with pytest.raises(OldCheckpointError, match="exists"):
        convert(old, target)
    assert target.read_bytes() == b"mine"
    assert sorted(os.listdir(old.parent)) == ["new.keras", "old.h5"]


def test_nothing_appears_unless_the_proof_holds(old, monkeypatch):
    from old_checkpoint import weights

    fill = weights.fill

    def fill_wrongly(model, places):
        fill(model, places)
        variable = places[0].of(model)
        variable.assign(variable + 1e-6)

    monkeypatch.setattr(weights, "fill", fill_wrongly)
    refused(old, "does not hold what the source does")


@pytest.mark.parametrize("part", [0, 0.001, 0.3, 0.9])
def test_cut_file(old, part):
    data = old.read_bytes()
    old.write_bytes(data[: int(len(data) * part)])
    refused(old, "empty|HDF5|not an HDF5")


def test_links_and_foreign_storage(old, tmp_path):
    for number, make in enumerate(
        [
            lambda f: f.__setitem__("link", h5py.SoftLink("/model_weights")),
            lambda f: f.__setitem__("link", h5py.ExternalLink("/etc/passwd", "/")),
            lambda f: f.__setitem__("second", f["model_weights"]),
            lambda f: f.create_dataset("huge", (1 << 33,), "f4", chunks=(1 << 20,)),
            lambda f: f.create_dataset("e", (4,), "f4", external=[("/etc/passwd", 0, 16)]),
            lambda f: f.create_virtual_dataset("v", virtual(tmp_path)),
            lambda f: f.create_group("/".join(["deep"] * 60)),
            lambda f: f.create_dataset("text", data=b"text"),
        ]
    ):
        copy = shutil.copy(old, tmp_path / f"hostile{number}.h5")
        with h5py.File(copy, "r+") as file:
            make(file)
        refused(pathlib.Path(copy), "link|second name|declares|another file|deeper|not numbers")


def virtual(folder):
    """A dataset that takes its numbers from another file."""
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "x", shape=(4,))
    return layout


def test_lambda_unknown_layer_and_missing_input_shape(old):
    def layer(config, name):
        config["config"]["layers"][1]["class_name"] = name

    for name in ("Lambda", "MyLayer"):
        change_config(old, "model_config", lambda config, name=name: layer(config, name))
        refused(old, name)
    change_config(old, "model_config", lambda config: layer(config, "Dense"))

    def without(config):
        config["config"]["layers"].pop(0)
        config["config"]["layers"][0]["config"].pop("batch_input_shape", None)

    change_config(old, "model_config", without)
    refused(old, "input shape")


def test_unknown_optimizer_loss_metric_and_argument(old):
    good = json.loads(h5py.File(old).attrs["training_config"])
    for because, change in {
        "Ftrl": lambda c: c["optimizer_config"].__setitem__("class_name", "Ftrl"),
        "nu=": lambda c: c["optimizer_config"]["config"].__setitem__("nu", 1),
        "my_loss": lambda c: c.__setitem__("loss", "my_loss"),
        "my_metric": lambda c: c.__setitem__("metrics", ["my_metric"]),
        "sample_weight_mode": lambda c: c.__setitem__("sample_weight_mode", "temporal"),
    }.items():
        change_config(old, "training_config", lambda c: c.update(json.loads(json.dumps(good))))
        change_config(old, "training_config", change)
        refused(old, because)


def rewrite_optimizer(path, change):
    """Let `change` reorder the optimizer's list of names."""
    with h5py.File(path, "r+") as file:
        group = file["optimizer_weights"]
        names = change(list(group.attrs["weight_names"]))
        group.attrs["weight_names"] = np.array(names, dtype="S60")


def test_arrays_of_the_optimizer_that_are_swapped_missing_or_left_over(old):
    fresh = old.read_bytes()
    for because, change in {
        "stands where": lambda n: [n[0], *n[5:], *n[1:5]],
        "outside its list": lambda n: n[:-1],
        "does not fit|stands": lambda n: [n[0], n[2], n[1], *n[3:]],
    }.items():
        old.write_bytes(fresh)
        rewrite_optimizer(old, change)
        refused(old, because)
    old.write_bytes(fresh)
    with h5py.File(old, "r+") as file:
        group = file["optimizer_weights"]
        group.create_dataset("Adam/extra:0", data=np.ones((3, 3), "f4"))
        group.attrs["weight_names"] = np.array(
            [*group.attrs["weight_names"], "Adam/extra:0"], dtype="S60"
        )
    refused(old, "left over")


def test_moments_that_names_do_not_tell_are_noticed_when_swapped(old):
    """Names as multi-backend Keras 2 gave them say nothing; the numbers do."""
    with h5py.File(old, "r+") as file:
        group = file["optimizer_weights"]
        names = list(group.attrs["weight_names"])
        for number, name in enumerate(names):
            group.move(name, f"training/Variable_{number}:0")
        swapped = [0, 5, 6, 7, 8, 1, 2, 3, 4]
        group.attrs["weight_names"] = np.array(
            [f"training/Variable_{number}:0" for number in swapped], dtype="S60"
        )
        for key in [k for k in group if k != "training"]:
            del group[key]
    refused(old, "order is not understood")


def test_weights_of_another_shape_and_missing_ones(old):
    def units(config):
        config["config"]["layers"][1]["config"]["units"] = 5

    change_config(old, "model_config", units)
    refused(old, "shape")


def test_the_command_says_one_line(old, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2] / "beyond")}
    old.write_bytes(old.read_bytes()[:3000])
    run = subprocess.run(
        [sys.executable, "-m", "old_checkpoint", "convert", old, tmp_path / "new.keras"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith(str(old))
    assert not (tmp_path / "new.keras").exists()


def test_the_command_compares_with_keras_2_and_says_nothing_else(old, tmp_path):
    beyond = str(pathlib.Path(__file__).parents[2] / "beyond")
    target = tmp_path / "new.keras"
    run = subprocess.run(
        [sys.executable, "-m", "old_checkpoint", "convert", "--reference", old, target],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": beyond},
    )
    found = re.findall(r"^compared with Keras 2: .* at most (\S+)$", run.stdout, re.MULTILINE)
    assert len(found) == 2
    assert all(float(number) <= 1e-6 for number in found)
    assert "WARNING" not in run.stderr
    assert "cudart" not in run.stderr
    assert target.exists()


def test_inspect_reads_what_is_there(old):
    found = inspect(old)
    assert found.whole_model
    assert found.optimizer == "Adam"
    assert (found.steps, found.optimizer_arrays) == (12, 8)
    assert [layer[1] for layer in found.layers] == ["Dense", "Dense"]
    assert found.layers[0][2] == [(8, 4), (4,)]
    assert "8x4" in str(found)


def test_a_weight_larger_than_any_array_of_the_file_is_refused_before_it_is_made(old):
    """Each size alone is one that the file has (32 numbers), their product is not."""

    def sizes(config):
        for layer in config["config"]["layers"][1:]:
            layer["config"]["units"] = 32

    change_config(old, "model_config", sizes)
    refused(old, r"shape \(8, 32\), but no array")


@pytest.mark.parametrize(
    "name", ["convert", "inspect", "load_weights", "hard_sigmoid", "RMSprop", "Adagrad", "Nadam"]
)
def test_examples_run(old, monkeypatch, name):
    old.rename(old.parent / "weights.best.hdf5")
    monkeypatch.chdir(old.parent)
    examples = doctest.DocTestFinder(recurse=False).find(getattr(old_checkpoint, name), name)
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example)
    assert runner.summarize().attempted >= 2
    assert runner.summarize().failed == 0
