"""The tables between markers are made from what is recorded, and that from the runs."""

import json
import re
import shutil

import lessons
import pytest
import results_table
from conftest import SCRIPTS, path_of

RECORDED = json.loads(results_table.RECORDED.read_text())


@pytest.mark.parametrize(
    ("page", "name", "table"),
    [
        (results_table.README, "results", results_table.short_table),
        (results_table.RESULTS, "results", results_table.results_table),
        (results_table.RESULTS, "typical", results_table.typical_table),
    ],
)
def test_the_tables_of_the_pages_are_the_recorded_ones(page, name, table):
    between = rf"<!-- {name} -->\n(.*)\n<!-- /{name} -->"
    assert re.search(between, page.read_text(), flags=re.DOTALL)[1] == table(RECORDED)


def test_what_is_recorded_comes_from_result_and_note(tmp_path, monkeypatch):
    for name in ("RECORDED", "README", "RESULTS"):
        path = tmp_path / getattr(results_table, name).name
        shutil.copy(getattr(results_table, name), path)
        monkeypatch.setattr(results_table, name, path)
    found = {
        script: {
            "quantity": "errors",
            "documented": RECORDED["jax"]["rows"][script]["documented"],
            "reproduced": number / 8,
            "files": ["a.keras", "b.keras"],
            "megabytes": 7.6,
            "run": {
                "seconds": 20 + number,
                "backend": "jax",
                "backend_version": "1.2.3",
                "keras": "3.15.1",
                "python": "3.12.1",
                "commit": "abc1234",
            },
        }
        for number, script in enumerate(RECORDED["jax"]["rows"], start=1)
    }
    results_table.write_pages(results_table.record(found))
    again = json.loads((tmp_path / "results.json").read_text())
    assert again["tensorflow"] == RECORDED["tensorflow"]
    assert again["jax"]["versions"] == "JAX 1.2.3, Keras 3.15.1, Python 3.12.1"
    assert again["jax"]["rows"][SCRIPTS[2]]["seconds"] == 23
    readme, page = ((tmp_path / name).read_text() for name in ("README.md", "RESULTS.md"))
    (row,) = (line for line in readme.splitlines() if line.startswith("| [03 "))
    assert row.split(" | ")[1:] == [
        "Jason Brownlee, *Deep Learning With Python*",
        "0.7773",
        f"{RECORDED['tensorflow']['rows'][SCRIPTS[2]]['reproduced']:.4f}",
        "0.3750 |",
    ]
    assert f"]({SCRIPTS[2]}.py)" in row and f" {lessons.title(path_of(SCRIPTS[2]))}]" in row
    (row,) = (line for line in page.splitlines() if line.startswith("| [03 "))
    assert "network.json / 2 files, 8 MB" in row and row.endswith("| 0.3750 | 5 | 23 |")
    assert "commit abc1234; seconds of the whole process" in page
    by_hand = {script: result | {"run": None} for script, result in found.items()}
    with pytest.raises(SystemExit, match="make all"):
        results_table.record(by_hand)


def test_a_figure_is_shown_by_a_page_or_not_kept():
    kept = sorted(path.stem for path in results_table.FIGURES.glob("[0-9]*.png"))
    assert kept == results_table.figures_shown()
