"""A damaged file is refused with a reason, or the damage is harmless: never wrong weights."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import (
    CorruptCheckpointError,
    DurableCheckpoint,
    load_weights_strict,
    newest_valid,
    read_record,
    verify,
)

ENDINGS = [".keras", ".weights.h5"]
FLIPS = 500


def network(units=24, optimizer="adam", compiled=True):
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    if compiled:
        model.compile(optimizer, "mse")
    return model


def train(path, epochs=2, **keywords):
    keras.utils.set_random_seed(5)
    model = network()
    x = np.random.rand(32, 8)
    checkpoint = DurableCheckpoint(
        path, save_weights_only=str(path).endswith(".weights.h5"), **keywords
    )
    model.fit(x, x[:, :1], epochs=epochs, verbose=0, callbacks=[checkpoint])
    return model


def state(model):
    variables = [*model.variables]
    if getattr(model, "optimizer", None) is not None:
        variables += model.optimizer.variables
    return [keras.ops.convert_to_numpy(variable).tobytes() for variable in variables]


@pytest.fixture(scope="module", params=ENDINGS)
def good(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / f"m{request.param}"
    train(path)
    return path


def beside(good, tmp_path):
    for file in good.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / good.name


def test_the_good_one_is_valid(good):
    assert verify(good) == "checksum"


def test_truncated_at_every_percent(good, tmp_path):
    path = beside(good, tmp_path)
    whole = path.read_bytes()
    for percent in range(100):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(CorruptCheckpointError) as caught:
            verify(path)
        assert caught.value.path == str(path) and caught.value.reason


def test_a_flipped_byte_anywhere(good, tmp_path):
    path = beside(good, tmp_path)
    whole = bytearray(path.read_bytes())
    positions = random.Random(11)
    for _ in range(FLIPS):
        position, mask = positions.randrange(len(whole)), positions.randrange(1, 256)
        whole[position] ^= mask
        path.write_bytes(whole)
        with pytest.raises(CorruptCheckpointError, match="SHA-256"):
            verify(path)
        whole[position] ^= mask
    path.write_bytes(whole)
    verify(path)


def test_without_a_checksum_the_archive_s_own_sums_are_examined(tmp_path):
    """`.keras`: every flip that `verify` lets pass leaves the same weights and configuration."""
    path = tmp_path / "m.keras"
    model = train(path)
    (tmp_path / "m.keras.sha256").unlink()
    (tmp_path / "m.keras.json").unlink()
    whole = bytearray(path.read_bytes())
    positions = random.Random(12)
    passed = 0
    for _ in range(FLIPS):
        position, mask = positions.randrange(len(whole)), positions.randrange(1, 256)
        whole[position] ^= mask
        path.write_bytes(whole)
        whole[position] ^= mask
        try:
            assert verify(path) == "structure"
        except CorruptCheckpointError:
            continue
        passed += 1
        assert state(keras.models.load_model(path)) == state(model)
    assert passed < FLIPS / 10
    for percent in range(100):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(CorruptCheckpointError):
            verify(path)


def test_a_truncated_stock_file_is_refused_without_a_checksum(tmp_path):
    model = network()
    path = tmp_path / "stock.weights.h5"
    model.save_weights(path)
    assert verify(path) == "structure"
    whole = path.read_bytes()
    for percent in range(100):
        path.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(CorruptCheckpointError):
            verify(path)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"not a checksum\n", b"0" * 64 + b"  other\n"]
)
def test_a_damaged_checksum_does_not_cost_the_checkpoint(good, tmp_path, content):
    path = beside(good, tmp_path)
    checksum = tmp_path / f"{path.name}.sha256"
    checksum.write_bytes(content)
    assert verify(path) == "checksum"  # the record has it, too
    (tmp_path / f"{path.name}.json").unlink()
    with pytest.raises(CorruptCheckpointError, match="no checksum of it"):
        verify(path)


def test_the_checksum_of_another_file_is_not_its_own(good, tmp_path):
    path = beside(good, tmp_path)
    (tmp_path / f"{path.name}.sha256").write_text(f"{'0' * 64}  {path.name}\n")
    assert verify(path) == "checksum"  # the record agrees with it
    (tmp_path / f"{path.name}.json").unlink()
    with pytest.raises(CorruptCheckpointError, match="0000"):
        verify(path)


def test_what_is_missing_is_not_corrupt(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none.keras")
    with pytest.raises(FileNotFoundError):
        newest_valid(tmp_path)
    with pytest.raises(FileNotFoundError):
        newest_valid(tmp_path / "no-folder")
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "none.keras")


def test_the_newest_valid_is_the_last_one_that_is_whole(tmp_path):
    train(tmp_path / "e{epoch}.keras", epochs=4)
    assert newest_valid(tmp_path, "e{epoch:02d}.keras").name == "e4.keras"
    assert newest_valid(tmp_path, "e[12].keras").name == "e2.keras"
    for epoch in (4, 3):
        path = tmp_path / f"e{epoch}.keras"
        path.write_bytes(path.read_bytes()[:-1])
    assert newest_valid(tmp_path).name == "e2.keras"
    for epoch in (1, 2):
        (tmp_path / f"e{epoch}.keras").write_bytes(b"")
    with pytest.raises(CorruptCheckpointError) as caught:
        newest_valid(tmp_path)
    assert all(f"e{epoch}.keras" in caught.value.reason for epoch in (1, 2, 3, 4))


def test_newest_is_by_the_record_not_by_the_file_s_time(tmp_path):
    """A copied folder has new times."""
    train(tmp_path / "e{epoch}.keras", epochs=3)
    (tmp_path / "e1.keras").touch()
    assert newest_valid(tmp_path).name == "e3.keras"


@pytest.mark.parametrize("ending", ENDINGS)
def test_strict_loading_restores_every_bit(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    model = train(path)
    fresh = network()
    assert not fresh.optimizer.built
    load_weights_strict(fresh, path)
    assert state(fresh) == state(model)
    uncompiled = network(compiled=False)
    load_weights_strict(uncompiled, path)
    assert state(uncompiled) == state(model)[: len(uncompiled.variables)]


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: network(units=25), "layers/"),
        (lambda: network(optimizer="rmsprop"), "optimizer"),
        (lambda: network(optimizer="sgd"), "optimizer"),
        (
            lambda: (
                m := keras.Sequential([network(compiled=False), keras.layers.Dense(1)]),
                m.compile("adam", "mse"),
            )[0],
            "lacks",
        ),
    ],
    ids=["other width", "other optimizer", "smaller optimizer", "more layers"],
)
def test_strict_loading_changes_nothing_when_it_raises(good, wrong, said, built):
    model = wrong()
    if built:
        model.optimizer.build(model.trainable_variables)
    before = state(model)
    with pytest.raises(ValueError, match=said) as caught:
        load_weights_strict(model, good)
    assert str(good) in str(caught.value) and "\n" not in str(caught.value)
    assert state(model) == before and model.optimizer.built == built


def test_strict_loading_compares_types(tmp_path):
    def build(dtype):
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, dtype=dtype)])

    build("float16").save_weights(tmp_path / "m.weights.h5")
    model = build("float32")
    before = state(model)
    with pytest.raises(ValueError, match="float16 in the file and .* float32 in the model"):
        load_weights_strict(model, tmp_path / "m.weights.h5")
    assert state(model) == before


def test_strict_loading_wants_the_optimizer_in_the_file(tmp_path):
    path = tmp_path / "bare.weights.h5"
    network(compiled=False).save_weights(path)
    model = network()
    before = state(model)
    with pytest.raises(ValueError, match="optimizer"):
        load_weights_strict(model, path)
    assert state(model) == before
    load_weights_strict(network(compiled=False), path)


def test_strict_loading_refuses_what_verify_refuses(good, tmp_path):
    path = beside(good, tmp_path)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    model = network()
    before = state(model)
    with pytest.raises(CorruptCheckpointError):
        load_weights_strict(model, path)
    assert state(model) == before


class Forgetful(keras.layers.Dense):
    """Loads only in part, without a word."""

    def load_own_variables(self, store):
        self.kernel.assign(store["0"][()])


def test_strict_loading_puts_everything_back_if_a_layer_does_not_load(tmp_path):
    def build():
        model = keras.Sequential([keras.Input((4,)), Forgetful(3), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    model = build()
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    other = build()
    before = state(other)
    with pytest.raises(ValueError, match="forgetful/vars/1"):
        load_weights_strict(other, tmp_path / "m.weights.h5")
    assert state(other)[: len(other.variables)] == before[: len(other.variables)]


def test_strict_loading_that_ctrl_c_ends_puts_everything_back(tmp_path):
    class Asked(keras.layers.Dense):
        def load_own_variables(self, store):
            raise KeyboardInterrupt

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), Asked(1)])
        model.compile("adam", "mse")
        return model

    model = build()
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    other = build()
    before = state(other)
    with pytest.raises(KeyboardInterrupt):
        load_weights_strict(other, tmp_path / "m.weights.h5")
    assert state(other) == before and not other.optimizer.built


def test_a_compressed_archive_is_read(tmp_path):
    """Someone packed the `.keras` anew."""
    model = train(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as old,
        zipfile.ZipFile(tmp_path / "packed.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert verify(tmp_path / "packed.keras") == "structure"
    fresh = network()
    load_weights_strict(fresh, tmp_path / "packed.keras")
    assert state(fresh) == state(model)


def test_a_member_that_is_too_long_for_a_plain_archive_is_marked_so(tmp_path, monkeypatch):
    """From 2 GiB on, here from 1,000 bytes on."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    model = train(tmp_path / "m.keras")
    monkeypatch.undo()
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        (weights,) = [i for i in archive.infolist() if i.filename == "model.weights.h5"]
    assert weights.file_size > 1000 and weights.extract_version >= zipfile.ZIP64_VERSION
    assert verify(tmp_path / "m.keras") == "checksum"
    assert state(keras.models.load_model(tmp_path / "m.keras")) == state(model)


@pytest.mark.parametrize("where", ["config.json", "model.weights.h5", "assets/vocabulary.txt"])
def test_strict_loading_unpacks_no_bomb_with_a_right_checksum(tmp_path, where):
    path = tmp_path / "bomb.keras"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(where, "w") as member,
    ):
        for _ in range(300):
            member.write(b"[" * (1 << 20))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "bomb.keras.sha256").write_text(f"{digest}  bomb.keras\n")
    assert verify(path) == "checksum"
    with pytest.raises(CorruptCheckpointError, match="would unpack to 314572800 bytes"):
        load_weights_strict(network(), path)


def test_the_command_says_which_file_is_damaged(good, tmp_path):
    path = beside(good, tmp_path)
    damaged = tmp_path / f"damaged{''.join(path.suffixes)}"
    damaged.write_bytes(path.read_bytes()[:-9])

    def command(*files):
        return subprocess.run(
            [sys.executable, "-m", "durable_checkpoint", "verify", *files],
            cwd=REPOSITORY / "beyond",
            capture_output=True,
            text=True,
            check=False,
        )

    run = command(path)
    assert (run.returncode, run.stdout) == (0, f"{path}: valid\n")
    run = command(path, damaged, tmp_path / "none.keras")
    assert run.returncode == 1 and "Traceback" not in run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == f"{path}: valid" and lines[1].startswith(f"{damaged}: corrupt: ")
    assert "No such file" in lines[2] and len(lines) == 3


def test_sha256sum_agrees(good):
    run = subprocess.run(
        ["sha256sum", "-c", f"{good.name}.sha256"],
        cwd=good.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, f"{good.name}: OK\n")


def test_the_record_says_what_is_in_the_file(good):
    record = read_record(good)
    assert record["epoch"] == 2 and record["batch"] is None and record["file"] == good.name
    assert record["bytes"] == good.stat().st_size
    assert record["versions"]["keras"] == keras.__version__
    assert json.loads((good.parent / f"{good.name}.json").read_text()) == record


def test_a_vocabulary_outside_of_the_archive_is_not_written(tmp_path):
    words = keras.layers.TextVectorization()
    words.adapt(["ford pinto"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), words])
    path = tmp_path / "inside" / "words.keras"
    path.parent.mkdir()
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/../../../outside.txt", "no")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"outside\.txt lies outside"):
        load_weights_strict(model, path)
    assert sorted(tmp_path.rglob("*")) == before


class DeafDense(keras.layers.Dense):
    """Loads nothing, without an error."""

    def load_own_variables(self, store):
        pass


def test_arrays_that_a_layer_does_not_read_are_a_refusal(tmp_path):
    path = tmp_path / "of.weights.h5"
    keras.Sequential([keras.Input((3,)), DeafDense(2)]).save_weights(path)
    model = keras.Sequential([keras.Input((3,)), DeafDense(2)])
    before = model.get_weights()
    with pytest.raises(ValueError, match="2 arrays were not read by the model"):
        load_weights_strict(model, path)
    assert all(map(np.array_equal, model.get_weights(), before))
