"""Script 16: what each of a stranger's files did, and that it does so again."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import CorruptCheckpointError, load_weights_strict, verify

SCRIPT = "16_untrusted_checkpoint"
OUT = REPOSITORY / "out" / SCRIPT
WAYS = ["load_model", "safe_mode=False", "load_weights", "verify", "strict", "SHA-256, strict"]
EXPECTED = {
    "honest.keras": ["unharmed"] * 6,
    "honest.weights.h5": ["unharmed"] * 4,
    "lambda.keras": ["refused", "ran code", *["unharmed"] * 3, "refused"],
    "lambda.h5": ["refused", "ran code", "unharmed", "unharmed", "refused", "refused"],
    "cut.keras": ["refused"] * 6,
    "cut.weights.h5": ["refused"] * 4,
    "flipped.keras": ["refused"] * 6,
    "flipped.weights.h5": ["wrong", "wrong", "wrong", "refused"],
    "bomb.weights.h5": ["refused"] * 4,
    "bomb_4_GiB.weights.h5": ["no memory", "refused", "refused", "refused"],
    "link.weights.h5": ["refused"] * 4,
    "storage.weights.h5": ["refused"] * 4,
    "virtual.weights.h5": ["refused"] * 4,
    "deeper.weights.h5": ["wrong", "wrong", "refused", "refused"],
    "wider.weights.h5": ["refused", "wrong", "refused", "refused"],
    "reversed.weights.h5": ["wrong", "wrong", "wrong", "refused"],
}
TRICKS = ["bomb", "bomb_4_GiB", "link", "storage", "virtual"]
LOAD = """
import json, pathlib, resource, sys
import keras
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
answers = []
for name, how in json.loads(sys.argv[1]):
    path, marker = pathlib.Path(sys.argv[2]) / name, pathlib.Path(sys.argv[3])
    marker.unlink(missing_ok=True)
    try:
        if how == "load_weights":
            layers = [keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(1)]
            keras.Sequential(layers).load_weights(path)
        else:
            keras.models.load_model(path, **({"safe_mode": False} if how else {}))
        answers.append([None, marker.exists()])
    except Exception as error:
        answers.append([str(error).splitlines(), marker.exists()])
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def result():
    return json.loads((OUT / "result.json").read_text())


@pytest.fixture(scope="module")
def why(result):
    return {(row["file"], row["way"]): row["reason"] for row in result["rows"]}


def network():
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(16), keras.layers.Dense(1)])


def in_archive(name, folder):
    """The array files of the script, as the weights in a whole model."""
    path = folder / f"{name}.keras"
    with zipfile.ZipFile(OUT / "honest.keras") as honest, zipfile.ZipFile(path, "w") as archive:
        for member in honest.namelist():
            weights = (OUT / f"{name}.weights.h5").read_bytes()
            archive.writestr(
                member, weights if member.endswith(".weights.h5") else honest.read(member)
            )
    for private in ("private.bin", "private.weights.h5"):
        shutil.copy(OUT / private, folder)
    return path


def test_every_file_met_every_way_and_the_outcomes_are_these(result):
    seen: dict[str, list] = {}
    for row in result["rows"]:
        seen.setdefault(row["file"], []).append((row["way"], row["outcome"]))
    for name, outcomes in EXPECTED.items():
        assert seen[name] == list(zip(WAYS[-len(outcomes) :], outcomes, strict=True)), name
    assert set(seen) == set(EXPECTED) == set(result["advice"]) == set(result["files"])


def test_foreign_code_ran_without_safe_mode_and_nowhere_else(result):
    ran = {(row["file"], row["way"]) for row in result["rows"] if row["marker"]}
    assert ran == {("lambda.keras", "safe_mode=False"), ("lambda.h5", "safe_mode=False")}
    assert not (OUT / "marker").exists()


def test_what_is_wrong_answers_wrongly(result):
    scores = {
        (row["file"], row["way"]): row["accuracy"]
        for row in result["rows"]
        if row["accuracy"] is not None
    }
    honest = scores["honest.weights.h5", "load_weights"]
    assert honest > 0.7
    assert scores["reversed.weights.h5", "load_weights"] == pytest.approx(1 - honest)
    assert scores["lambda.keras", "safe_mode=False"] == honest


def test_the_headline_counts_what_the_rows_say(result):
    for key, way in (("reproduced", "load_weights"), ("strict", "strict"), ("with_sum", WAYS[-1])):
        rows = [row for row in result["rows"] if row["way"] == way]
        assert result[key] == sum(row["outcome"] == "wrong" for row in rows)
    assert (result["reproduced"], result["strict"], result["with_sum"]) == (3, 2, 0)
    assert result["hdf5"] == h5py.version.hdf5_version


def test_the_files_behave_like_that_again(why, tmp_path):
    """In another process, from Python given here: no answer of the script is taken on trust."""
    marker = tmp_path / "out" / SCRIPT / "marker"
    marker.parent.mkdir(parents=True)
    attempts = [("lambda.keras", ""), ("lambda.keras", "unsafe"), ("lambda.h5", "")]
    attempts += [("lambda.h5", "unsafe"), ("flipped.weights.h5", "load_weights")]
    attempts += [(f"{name}.weights.h5", "load_weights") for name in TRICKS]
    for name in TRICKS:
        path = in_archive(name, tmp_path)
        attempts.append((str(path), ""))
    settings = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
    run = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(attempts), str(OUT), str(marker)],
        check=False,
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    answers = dict(zip(attempts, json.loads(run.stdout.splitlines()[-1]), strict=True))
    for name in ("lambda.keras", "lambda.h5"):
        lines, code_ran = answers[name, ""]
        assert why[name, "load_model"] == f"ValueError: {lines[0]}" and not code_ran
        assert answers[name, "unsafe"] == [None, True]
    assert answers["flipped.weights.h5", "load_weights"][0] is None
    for name in TRICKS:
        said = [line for line in answers[f"{name}.weights.h5", "load_weights"][0] if line]
        reason = why[f"{name}.weights.h5", "load_weights"]
        assert reason == "ValueError: " + said[1].replace(f"{OUT}/", "")
        in_keras = [line for line in answers[str(tmp_path / f"{name}.keras"), ""][0] if line]
        assert in_keras[1] == said[1], "load_model of a whole model refuses it alike"


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("archived", [False, True])
def test_verify_refuses_arrays_that_are_not_in_the_file(name, archived, tmp_path):
    """Before it reads them: HDF5 crashes at a virtual dataset in an archive."""
    path = tmp_path / f"{name}.weights.h5"
    shutil.copy(OUT / path.name, path)
    path = in_archive(name, tmp_path) if archived else path
    with pytest.raises(CorruptCheckpointError, match=r"link|another file|declares") as caught:
        verify(path)
    assert "layers/dense/vars/0" in caught.value.reason
    model = network()
    before = model.get_weights()
    with pytest.raises(CorruptCheckpointError):
        load_weights_strict(model, path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_link_of_a_whole_group_is_refused_as_well(tmp_path):
    path = tmp_path / "linked.weights.h5"
    shutil.copy(OUT / "honest.weights.h5", path)
    with h5py.File(path, "a") as file:
        file.move("layers", "other")
        file["layers"] = h5py.ExternalLink("private.weights.h5", "/layers")
    with pytest.raises(CorruptCheckpointError, match="is a link"):
        verify(path)
    # A link inside the file is harmless, and yet nothing that Keras writes.
    with h5py.File(path, "a") as file:
        del file["layers"]
        file["layers"] = h5py.SoftLink("/other")
    assert verify(path) == "structure"
    with pytest.raises(ValueError, match="the file lacks layers"):
        load_weights_strict(network(), path)


def test_strict_load_with_a_right_sum_still_refuses_a_pointer(tmp_path):
    """Then `verify` compares the sum only; the arrays are looked at all the same."""
    for name in TRICKS:
        path = tmp_path / f"{name}.weights.h5"
        shutil.copy(OUT / path.name, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (tmp_path / f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n")
        assert verify(path) == "checksum"
        with pytest.raises(ValueError, match=r"link|another file|declares"):
            load_weights_strict(network(), path)


def test_arrays_of_one_number_repeated_are_no_bomb(tmp_path):
    """What Keras saves is never compressed, however dull the numbers are."""
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)])
    model.set_weights([np.zeros((1000, 1000)), np.zeros(1000)])
    model.save_weights(tmp_path / "zeros.weights.h5")
    assert verify(tmp_path / "zeros.weights.h5") == "structure"
