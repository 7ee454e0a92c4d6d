"""data/ is what its sums, its README and the documents say."""

import numpy as np
import verify_data
from conftest import REPOSITORY

DATA = REPOSITORY / "data"


def test_every_file_matches_its_sum():
    assert verify_data.problems() == []


def test_a_damaged_and_a_missing_file_are_named_and_no_others(tmp_path, monkeypatch):
    for name in ("SHA256SUMS", "auto-mpg.csv", "pima-indians-diabetes.csv"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    (tmp_path / "unlisted.csv").touch()
    monkeypatch.setattr(verify_data, "DATA", tmp_path)
    content = bytearray((tmp_path / "auto-mpg.csv").read_bytes())
    content[1000] ^= 1
    (tmp_path / "auto-mpg.csv").write_bytes(content)
    damaged, missing = "data/auto-mpg.csv differs", "data/mnist.npz is missing"
    found = verify_data.problems()
    assert len(found) == 2 and all("git checkout -- data/" in line for line in found)
    assert any(line.startswith(damaged) for line in found)
    assert any(line.startswith(missing) for line in found)
    assert verify_data.problems(["pima-indians-diabetes.csv"]) == []
    (line,) = verify_data.problems(["unlisted.csv"])
    assert line.startswith("data/unlisted.csv has no line")


def test_every_file_has_a_sum_and_a_place_in_the_readme():
    files = {path.name for path in DATA.iterdir()} - {"README.md", "SHA256SUMS"}
    assert files == set(verify_data.listed_sums())
    readme = (DATA / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in files)


def test_pima_has_the_documented_rows():
    table = np.loadtxt(DATA / "pima-indians-diabetes.csv", delimiter=",")
    assert table.shape == (768, 9)
    assert table[:, 8].sum() == 268


def test_mnist_has_the_canonical_images():
    with np.load(DATA / "mnist.npz") as arrays:
        assert arrays["x_train"].shape == (60000, 28, 28)
        assert arrays["x_test"].shape == (10000, 28, 28)
        assert list(arrays["y_train"][:5]) == [5, 0, 4, 1, 9]
        assert list(np.bincount(arrays["y_test"])[:3]) == [980, 1135, 1032]


def test_auto_mpg_has_392_cars():
    lines = (DATA / "auto-mpg.csv").read_text().splitlines()
    assert len(lines) == 392 and all(line.count(",") == 8 for line in lines)
