"""`verify` and `newest_valid` tell what is the case: damaged, not readable, or whole."""

import errno
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY
from durable_checkpoint import (
    CorruptCheckpointError,
    hdf5,
    newest_valid,
    records,
    validity,
    verify,
)

pytestmark = pytest.mark.one_backend

MEGABYTE = 1 << 20


def in_a_child(act):
    """What `act()` answers in a child, where limits can be set. It imports nothing of Keras."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                answer = repr(act())
            except BaseException as error:  # noqa: BLE001
                answer = f"{type(error).__name__} {getattr(error, 'errno', None)} {error}"
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            os.write(writing, json.dumps([answer[:2000], peak]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text)


def archive(path, config=b"{}", weights=None, compression=zipfile.ZIP_STORED, **members):
    """A `.keras` as Keras writes it."""
    if weights is None:
        weights = arrays(path.with_suffix(".h5"), **{"layers/a": np.ones(4)}).read_bytes()
        path.with_suffix(".h5").unlink()
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in {
            "metadata.json": b"{}",
            "config.json": config,
            "model.weights.h5": weights,
            **members,
        }.items():
            with file.open(name, "w", force_zip64=True) as member:
                for piece in [content] if isinstance(content, bytes) else content:
                    member.write(piece)
    return path


def arrays(path, **named):
    with h5py.File(path, "w") as file:
        for name, array in named.items():
            file[name] = array
    return path


# ---- whole, although it looks odd


@pytest.mark.parametrize("shape", [(2500, 4000), (4_000_000,)])
@pytest.mark.parametrize("chunks", [True, None])
@pytest.mark.parametrize("level", [4, 9])
def test_packed_zeros_are_whole(tmp_path, shape, chunks, level):
    path = tmp_path / "z.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "w",
            data=np.zeros(shape, "float32"),
            compression="gzip",
            compression_opts=level,
            shuffle=True,
            chunks=chunks or shape,
        )
    assert verify(path) == "structure"
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        place = file["w"].id.get_chunk_info(0)
    content[place.byte_offset + place.size // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match="HDF5 cannot read it"):
        verify(path)


def test_an_array_that_was_never_written_and_links_inside_are_whole(tmp_path):
    path = arrays(tmp_path / "m.h5", **{"group/a": np.zeros(3), "empty": np.zeros((0, 3))})
    with h5py.File(path, "a") as file:
        file.create_dataset("never", shape=(1000, 1000), dtype="float32")
        file.create_dataset("never in pieces", shape=(1000, 1000), dtype="f4", chunks=(100, 100))
        file["b"] = h5py.SoftLink("/group/a")
        file["again"] = h5py.SoftLink("/group")
        file["group/up"] = h5py.SoftLink("/group")
        file["same"] = file["group/a"]
        file["none"] = h5py.Empty("f4")
        file["number"] = 3.0
        file.create_dataset("texts", data=["a", "b"], dtype=h5py.string_dtype())
        file.create_dataset("lengths", (3,), dtype=h5py.vlen_dtype(np.dtype("float32")))[0] = [1, 2]
    assert verify(path) == "structure"
    for wrong in (h5py.SoftLink("/nothing"), h5py.ExternalLink("other.h5", "/a")):
        with h5py.File(path, "a") as file:
            file["wrong"] = wrong
        with pytest.raises(CorruptCheckpointError, match="wrong is a link"):
            verify(path)
        with h5py.File(path, "a") as file:
            del file["wrong"]


def test_a_large_file_needs_little_memory(tmp_path):
    path = tmp_path / "big.keras"
    numbers = np.random.default_rng(0).random((20, MEGABYTE)).astype("float32")
    whole = arrays(tmp_path / "big.h5", a=numbers, b=np.zeros((1, 5 * MEGABYTE)))
    archive(path, weights=whole.read_bytes())
    del numbers

    def little():
        now = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (now + 60 * MEGABYTE, -1))
        return [verify(path), verify(whole)]

    assert in_a_child(little)[0] == "['structure', 'structure']"


def test_too_little_memory_says_nothing_about_the_file(tmp_path, monkeypatch):
    path = arrays(tmp_path / "m.h5", a=np.zeros(3))

    def no_memory(array):
        raise MemoryError

    monkeypatch.setattr("durable_checkpoint.hdf5.read_through", no_memory)
    with pytest.raises(OSError, match="not enough memory") as caught:
        verify(path)
    assert caught.value.errno == errno.ENOMEM


# ---- not readable


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
@pytest.mark.parametrize("noted", [False, True])
def test_what_may_not_be_read_or_opened_is_not_called_corrupt(tmp_path, ending, noted):
    os.chmod(tmp_path, 0o755)
    path = tmp_path / f"m{ending}"
    archive(path) if ending == ".keras" else arrays(path, a=np.ones(4))
    if noted:
        line = records.checksum_line(str(path), {"sha256": records.sha256(path)})
        (tmp_path / f"{path.name}.sha256").write_bytes(line)
    (tmp_path / "no").mkdir()

    def no_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 200))
        return verify(path)

    assert in_a_child(no_descriptors)[0].startswith(f"OSError {errno.EMFILE}")
    if os.getuid() == 0 and os.access("/", os.X_OK):
        hidden = tmp_path / f"{path.name}.sha256" if noted else path
        hidden.chmod(0o600)

        def other_user():
            for parent in tmp_path.parents[:2]:
                os.chmod(parent, 0o755)
            os.setuid(65534)
            return verify(path)

        assert in_a_child(other_user)[0].startswith(f"PermissionError {errno.EACCES}")


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_disk_that_cannot_read_is_not_called_corrupt(tmp_path, monkeypatch, ending):
    path = tmp_path / f"m{ending}"
    archive(path) if ending == ".keras" else arrays(path, a=np.ones(4))
    asked = []

    class Broken:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def readinto(self, buffer):
            asked.append(len(buffer))
            if len(asked) > 3:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return self.file.readinto(buffer)

    make = hdf5.Source.__init__
    monkeypatch.setattr(
        hdf5.Source, "__init__", lambda self, file, *rest: make(self, Broken(file), *rest)
    )
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        verify(path)
    assert caught.value.errno == errno.EIO and len(asked) > 3


def test_what_is_no_file_is_not_called_corrupt(tmp_path):
    for name in ("folder.keras", "folder.h5"):
        (tmp_path / name).mkdir()
        with pytest.raises(IsADirectoryError):
            verify(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.keras")
    for path in (tmp_path / "pipe.keras", "/dev/null"):
        with pytest.raises(OSError, match="no regular file"):
            verify(path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s.h5"))
        with pytest.raises(OSError, match="no regular file"):
            verify(tmp_path / "s.h5")


# ---- bombs


@pytest.mark.parametrize("where", ["config.json", "model.weights.h5", "assets/vocabulary"])
def test_an_archive_that_unpacks_to_much_more_is_refused_before_it_is_unpacked(tmp_path, where):
    path = tmp_path / "bomb.keras"
    zeros = (b"[" * MEGABYTE for _ in range(400))
    key = {"config.json": "config", "model.weights.h5": "weights"}.get(where, where)
    archive(path, compression=zipfile.ZIP_DEFLATED, **{key: zeros})
    assert path.stat().st_size < MEGABYTE
    before = in_a_child(lambda: None)[1]
    said, peak = in_a_child(lambda: verify(path))
    assert said.startswith("CorruptCheckpointError") and "unpack to" in said
    assert peak < before + 30  # megabytes


def test_a_packed_archive_of_usual_size_is_whole(tmp_path):
    path = arrays(tmp_path / "m.h5", a=np.zeros((30, MEGABYTE), "float32"))
    packed = archive(
        tmp_path / "m.keras", weights=path.read_bytes(), compression=zipfile.ZIP_DEFLATED
    )
    assert packed.stat().st_size * 100 < path.stat().st_size
    assert verify(packed) == "structure"


def test_an_archive_packed_by_another_program_is_whole(tmp_path):
    """Most programs note times and owners in an extra field before the content of a member."""
    path = arrays(tmp_path / "m.h5", a=np.ones(3))
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as packed:
        packed.writestr("config.json", "{}")
        weights = zipfile.ZipInfo("model.weights.h5")
        weights.extra = struct.pack("<HHBI", 0x5455, 5, 1, 0)  # the time of the change
        packed.writestr(weights, path.read_bytes())
    assert verify(tmp_path / "m.keras") == "structure"


@pytest.mark.parametrize("shape", [(700_000,), (3, 700_000), (5, 7, 10_000), (3, 2, 300_001)])
def test_of_an_array_every_number_is_read_once(shape):
    times = np.zeros(shape, "int8")
    for piece in hdf5._pieces(shape, itemsize=4):
        times[piece] += 1
    assert (times == 1).all()


def test_a_deep_config_is_refused(tmp_path):
    with pytest.raises(CorruptCheckpointError, match="config.json is no JSON"):
        verify(archive(tmp_path / "m.keras", config=b"[" * 100_000 + b"]" * 100_000))


@pytest.mark.parametrize("chunks", [(1 << 20,), (1 << 29,)])
def test_arrays_that_declare_what_is_not_there_are_refused(tmp_path, chunks):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for i in range(3):
            file.create_dataset(f"a{i}", (1 << 40,), "float32", chunks=chunks, compression="gzip")
    with pytest.raises(CorruptCheckpointError, match="declares"):
        verify(path)


def test_what_arrays_declare_is_counted_together(tmp_path):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        for i in range(2):
            file.create_dataset(f"a{i}", (50_000_000,), "float32")  # never written
    with pytest.raises(CorruptCheckpointError, match="declares"):
        verify(path)


# ---- files in several parts


def in_parts(folder, name="m", named=True):
    parts = [f"{name}_{number:05}.weights.h5" for number in range(2)]
    for part in parts:
        arrays(folder / part, a=np.ones(3))
    content = {"metadata": {}, "weight_map": {"/a/vars": parts[0], "/b/vars": [parts[1]]}}
    (folder / f"{name}.weights.json").write_text(json.dumps(content) if named else "{")
    return parts


@pytest.mark.parametrize("named", [True, False])
def test_a_part_is_never_offered_for_the_whole(tmp_path, named):
    parts = in_parts(tmp_path, named=named)
    with pytest.raises(ValueError, match="not supported"):
        verify(tmp_path / "m.weights.json")
    with pytest.raises(FileNotFoundError):
        newest_valid(tmp_path)
    arrays(tmp_path / "older.weights.h5", a=np.ones(3))
    os.utime(tmp_path / "older.weights.h5", (1, 1))
    assert newest_valid(tmp_path).name == "older.weights.h5"
    assert verify(tmp_path / parts[0]) == "structure"


# ---- the newest


def saved(folder, name, at, recorded=True):
    path = arrays(folder / name, a=np.full(3, at))
    if recorded:
        record = {
            "file": name,
            "epoch": 1,
            "batch": None,
            "saved_at": at,
            "bytes": path.stat().st_size,
            "sha256": records.sha256(path),
            "versions": {},
        }
        (folder / f"{name}.json").write_text(json.dumps(record))
    os.utime(path, (at, at))
    return path


@pytest.mark.parametrize("recorded", [True, False])
def test_newest_is_by_time_not_by_name(tmp_path, recorded):
    for epoch in range(1, 12):
        saved(tmp_path, f"e{epoch}.h5", 1000.0 + epoch, recorded)
    assert newest_valid(tmp_path).name == "e11.h5"
    saved(tmp_path, "a.h5", 2000.0, recorded)
    assert newest_valid(tmp_path).name == "a.h5"


def test_the_record_counts_more_than_the_time_of_the_file(tmp_path):
    old, new = (saved(tmp_path, f"e{epoch}.h5", float(epoch)) for epoch in (2, 11))
    os.utime(old, (5000, 5000))
    os.utime(new, (1, 1))
    assert newest_valid(tmp_path) == new


def test_folders_and_links_to_nowhere_are_no_checkpoints(tmp_path):
    path = saved(tmp_path, "e1.h5", 1000.0)
    (tmp_path / "old.keras").mkdir()
    (tmp_path / "latest.keras").symlink_to("/nowhere.keras")
    os.mkfifo(tmp_path / "pipe.keras")
    assert newest_valid(tmp_path) == path
    with pytest.raises(FileNotFoundError):
        newest_valid(tmp_path, "*.keras")
    (tmp_path / "link.h5").symlink_to(saved(tmp_path, ".hidden.h5", 2000.0, recorded=False))
    assert newest_valid(tmp_path).name == "link.h5"


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("run[a]-7.h5", "run[a]-{epoch}.h5"),
        ("r{1}-7.h5", "r{{1}}-{epoch}.h5"),
        ("a*b7.h5", "a*b{epoch:02d}.h5"),
        ("e7.h5", "e[67].h5"),
        ("e7.h5", "e{epoch}.*"),
        ("{7.h5", "{7.h5"),
        ("a\nb7.h5", "a\nb{epoch}.h5"),
        (os.fsdecode(b"\xff7.h5"), os.fsdecode(b"\xff{epoch}.h5")),
    ],
)
def test_the_name_given_to_the_callback_finds_its_files(tmp_path, name, pattern):
    path = saved(tmp_path, name, 1000.0)
    saved(tmp_path, "other.h5", 2000.0)
    assert newest_valid(tmp_path, pattern) == path


def test_files_that_vanish_while_it_looks_are_looked_for_again(tmp_path, monkeypatch):
    """Another process saves and prunes: the next file is there before the last one goes."""
    old = saved(tmp_path, "e1.h5", 1000.0)
    look, looks = validity.verify, []

    def replaced(path):
        looks.append(path.name)
        if len(looks) < 4:
            saved(tmp_path, f"e{len(looks) + 1}.h5", 1000.0 + len(looks))
            path.unlink()
        return look(path)

    monkeypatch.setattr(validity, "verify", replaced)
    assert newest_valid(tmp_path).name == "e4.h5"
    assert looks == ["e1.h5", "e2.h5", "e3.h5", "e4.h5"] and not old.exists()


def test_one_that_cannot_be_read_is_not_passed_over(tmp_path, monkeypatch):
    """An older one in its place would be a silent step back."""
    saved(tmp_path, "e1.h5", 1000.0)
    newest = saved(tmp_path, "e2.h5", 2000.0)
    digest = records.sha256

    def no_permission(path):
        if str(path) == str(newest):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return digest(path)

    monkeypatch.setattr(records, "sha256", no_permission)
    with pytest.raises(PermissionError):
        newest_valid(tmp_path)


# ---- names, and the command

NAMES = ["my model .h5", "Größe-模型.h5", "a\nb.h5", "a\\b.h5", "a\u2028b.h5", "c\\nd.h5"]
NAMES.append(os.fsdecode(b"\xff\xfe.h5"))


def test_odd_names_have_a_checksum_that_others_read_too(tmp_path):
    for name in NAMES:
        path = arrays(tmp_path / name, a=np.ones(3))
        line = records.checksum_line(str(path), {"sha256": records.sha256(path)})
        (tmp_path / f"{name}.sha256").write_bytes(line)
        assert verify(path) == "checksum"
        check = ["sha256sum", "-c", "--status", f"{name}.sha256"]
        assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0, ascii(name)
        # As `sha256sum -b` writes it.
        (tmp_path / f"{name}.sha256").write_bytes(line.replace(b"  ", b" *", 1))
        assert verify(path) == "checksum"


WITHOUT_KERAS = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch"):
            raise ImportError(f"{name} was imported")
sys.meta_path.insert(0, Refuse())
import runpy
sys.argv = ["durable_checkpoint", *sys.argv[1:]]
runpy.run_module("durable_checkpoint", run_name="__main__")
"""


def test_the_command_needs_no_keras_and_writes_one_line_for_each_file(tmp_path):
    for name in NAMES:
        arrays(tmp_path / name, a=np.ones(3))
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    (tmp_path / "folder.keras").mkdir()
    in_parts(tmp_path)
    asked = [*NAMES, "bad.keras", "folder.keras", "none.keras", "m.weights.json"]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, "verify", *asked],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "beyond")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.stderr == "" and run.returncode == 1
    lines = run.stdout.splitlines()
    assert len(lines) == len(asked)
    assert all(line.endswith(": readable, no checksum") for line in lines[: len(NAMES)])
    assert lines[2].startswith("a\\nb.h5: ")
    for line, said in zip(
        lines[len(NAMES) :],
        ("corrupt: not a complete archive", "cannot be read: it is a folder", "No such", "parts"),
        strict=True,
    ):
        assert said in line
