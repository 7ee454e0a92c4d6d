"""Files that cannot be converted give one line, and nothing is written or changed."""

import doctest
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import keras
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


def test_a_disk_without_hard_links(old, monkeypatch):
    target = old.parent / "new.keras"

    def no_link(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    assert convert(old, target).steps == 12
    assert sorted(os.listdir(old.parent)) == ["new.keras", "old.h5"]
    converted = target.read_bytes()
    with pytest.raises(OldCheckpointError, match="exists"):
        convert(old, target)
    assert target.read_bytes() == converted
    target.unlink()

    def appears(*_):
        target.write_bytes(b"mine")
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", appears)
    with pytest.raises(OldCheckpointError, match="exists"):
        convert(old, target)
    assert target.read_bytes() == b"mine"
    target.unlink()
    monkeypatch.setattr(os, "link", no_link)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    refused(old, "cannot be written.*No space left")


def loads_as(change, monkeypatch):
    """Let the file that was written load as another model."""
    load = keras.saving.load_model

    def loaded(*arguments, **keywords):
        model = load(*arguments, **keywords)
        change(model)
        return model

    monkeypatch.setattr(keras.saving, "load_model", loaded)


@pytest.mark.parametrize(
    ("name", "because", "change"),
    [
        ("legacy Adam", "its loss", lambda m: m.compile(m.optimizer, "mse", ["accuracy"])),
        ("legacy Adam", "its metrics", lambda m: m.compile(m.optimizer, "binary_crossentropy")),
        ("legacy Nadam", "momentum_cache", lambda m: m.optimizer.momentum_cache.assign(0.5)),
        ("legacy Adam", "step count", lambda m: m.optimizer.iterations.assign(3)),
        ("legacy Adam", "dense", lambda m: m.optimizer.variables[-1].assign([1.0])),
        ("legacy Adam", "configuration", lambda m: setattr(m.layers[0], "trainable", False)),
    ],
)
def test_what_the_proof_compares(old_files, old, monkeypatch, name, because, change):
    shutil.copy(old_files / f"{name}.h5", old)
    loads_as(change, monkeypatch)
    refused(old, f"does not hold what the source does.*{because}")


def test_the_proof_compares_the_optimizer_with_the_source(old, monkeypatch):
    from old_checkpoint import optimizers

    restore = optimizers.restore

    def restored(*arguments):
        made = restore(*arguments)
        made.optimizer.variables[-1].assign_add([1e-6])
        return made

    monkeypatch.setattr(optimizers, "restore", restored)
    refused(old, "the optimizer's .* is not the source's")


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


HOSTILE = {
    r"/link is a link \(SoftLink\)": lambda f, _: f.__setitem__("link", h5py.SoftLink("/x")),
    r"/model_weights/link is a link \(ExternalLink\)": lambda f, _: f["model_weights"].__setitem__(
        "link", h5py.ExternalLink("/etc/passwd", "/")
    ),
    "/second is a second name": lambda f, _: f.__setitem__("second", f["model_weights"]),
    "/huge declares": lambda f, _: f.create_dataset("huge", (1 << 33,), "f4", chunks=(1 << 20,)),
    "/e takes its numbers from another": lambda f, _: f.create_dataset(
        "e", (4,), "f4", external=[("/etc/passwd", 0, 16)]
    ),
    "/v takes its numbers from another": lambda f, d: f.create_virtual_dataset("v", virtual(d)),
    "deeper than 40": lambda f, _: f.create_group("/".join(["deep"] * 60)),
    "/text holds .*, not numbers": lambda f, _: f.create_dataset("text", data=b"text"),
    "/type is no array": lambda f, _: f.__setitem__("type", np.dtype("f4")),
    "/empty were never written": lambda f, _: f.create_dataset("empty", (8,), "f4"),
    "/half were never written": lambda f, _: f.create_dataset(
        "half", (8,), "f4", chunks=(4,)
    ).__setitem__(slice(0, 4), 1),
    "far more than the file holds": lambda f, _: [packed(f, name) for name in "ab"],
    "outside its lists, /model_weights/more": lambda f, _: f["model_weights"].create_dataset(
        "more", data=np.ones(3)
    ),
    "outside its lists, /other": lambda f, _: f.create_dataset("other", data=np.ones(3)),
    "name an array twice": lambda f, _: same_arrays(f["model_weights"]),
}


def packed(file, name):
    """64 MB, nearly all of them zeros, that take up 80 kB."""
    numbers = np.zeros(1 << 24, "f4")
    numbers[: 1 << 12] = np.random.default_rng(0).random(1 << 12)
    file.create_dataset(name, data=numbers, chunks=(1 << 22,), compression="gzip")


def same_arrays(group):
    """Let the second layer name the arrays of the first."""
    first, second = (group[name] for name in group.attrs["layer_names"])
    for name in list(second):
        del second[name]
    absolute = [f"{first.name}/{name}" for name in first.attrs["weight_names"]]
    second.attrs["weight_names"] = np.array(absolute, dtype="S90")


@pytest.mark.parametrize("because", HOSTILE)
def test_links_and_foreign_storage(old, tmp_path, because):
    with h5py.File(old, "r+") as file:
        HOSTILE[because](file, tmp_path)
    refused(old, because)
    with pytest.raises(OldCheckpointError, match=because):
        inspect(old)


@pytest.mark.parametrize("version", ["3.0.5", "", "nightly", "22.1"])
def test_a_file_of_another_keras(old, version):
    with h5py.File(old, "r+") as file:
        file["model_weights"].attrs["keras_version"] = version
    refused(old, f"Keras '{version}' wrote it")


def test_sources_that_are_no_files(old, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    for name, because in {"pipe": "no regular file", "none": "does not exist"}.items():
        with pytest.raises(OldCheckpointError, match=because):
            convert(tmp_path / name, tmp_path / "new.keras")
    assert convert(os.fsencode(old), os.fsencode(tmp_path / "of bytes.keras")).layers == 2

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os.path, "getsize", refuse)
    refused(old, "you may not read it")


# What `inspect` and `convert` meet in attributes that no Keras wrote.
STRANGE = {
    "a list of settings": ("training_config", lambda c: c.__setitem__("optimizer_config", [1])),
    "settings of a number": ("training_config", lambda c: c["optimizer_config"].update(config=3)),
    "layers that are numbers": ("model_config", lambda c: c["config"].update(layers=[1, 2])),
    "a layer that is a list": ("model_config", lambda c: c["config"]["layers"].append([])),
    "an initializer of lists": (
        "model_config",
        lambda c: c["config"]["layers"][1]["config"].update(
            kernel_initializer={"class_name": "RandomUniform", "config": {"minval": [[]]}}
        ),
    ),
    "models in models without end": ("model_config", lambda c: nest(c, 150)),
}


def nest(config, times):
    """Put the model into so many others."""
    for _ in range(times):
        inner = {"class_name": "Sequential", "config": dict(config["config"])}
        config["config"] = {"name": "outer", "layers": [inner]}


@pytest.mark.parametrize("strange", STRANGE)
def test_strange_settings(old, strange):
    attribute, change = STRANGE[strange]
    change_config(old, attribute, change)
    refused(old, "")
    try:
        inspect(old)
    except OldCheckpointError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("steps", [float("nan"), float("inf"), -1.0, 0.5])
def test_a_step_count_that_is_none(old, steps):
    with h5py.File(old, "r+") as file:
        group = file["optimizer_weights"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group.create_dataset(name, data=np.float32(steps))
    refused(old, "step count is")
    try:
        inspect(old)
    except OldCheckpointError as error:
        assert "\n" not in str(error)


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
        "num_thresholds=": lambda c: c.__setitem__(
            "metrics", [{"class_name": "AUC", "config": {"name": "a", "num_thresholds": 10**11}}]
        ),
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
        "outside its lists": lambda n: n[:-1],
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


def test_the_command_says_one_line(old, tmp_path, capfd):
    from old_checkpoint import __main__ as command

    old.write_bytes(old.read_bytes()[:3000])
    assert command.main(["convert", str(old), str(tmp_path / "new.keras")]) == 1
    said = capfd.readouterr()
    assert not said.out
    assert said.err.startswith(str(old))
    assert said.err.count("\n") == 1
    assert command.main(["inspect", str(old)]) == 1
    assert capfd.readouterr().err == said.err
    assert not (tmp_path / "new.keras").exists()


def test_the_command_compares_with_keras_2_and_says_what_it_does(old, tmp_path):
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
    steps = run.stderr.splitlines()
    assert all(step.startswith("comparing: Keras ") for step in steps)
    assert sum("Keras 2 trains step" in step for step in steps) == 10
    assert sum("Keras 3 trains step" in step for step in steps) == 10
    assert target.exists()


def test_what_a_comparison_needs(old, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OldCheckpointError, match="pip install tf_keras"):
        convert(old, tmp_path / "new.keras", reference=True)
    assert not (tmp_path / "new.keras").exists()


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
def test_targets_of_a_comparison_fit_the_loss(loss):
    from old_checkpoint import reference

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
    model.compile("sgd", keras.losses.get(loss) if loss == "mse" else loss)
    random = np.random.default_rng(0)
    (target,) = reference._targets(random, [np.ones((16, 3), "f4")], model)
    assert target.shape == ((16,) if "sparse" in loss else (16, 3))
    assert np.isfinite(model.train_on_batch(np.ones((16, 2)), target))


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
