"""What the scripts left in out/ is complete, of this backend, and lies in the expected ranges.

It holds for a script that was run by hand as well, which leaves no run.json.
"""

import json

import keras
import lessons
import pytest
import sweep
from conftest import BACKEND, REPOSITORY, SCRIPTS, figure_of, most_alike, path_of
from results_table import FIGURES

EXPECTED = json.loads((REPOSITORY / "tests" / "expected.json").read_text())
OUT = REPOSITORY / "out"


def test_every_script_has_an_expectation_and_no_expectation_lacks_a_script():
    assert sorted(EXPECTED) == SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS)
def test_result_is_of_this_script_this_backend_and_this_keras(script, results):
    result = results[script]
    assert result["script"] == script
    assert result["backend"] == BACKEND
    assert result["keras"] == keras.version()
    written = (OUT / script / "result.json").stat().st_mtime
    assert written > (REPOSITORY / f"{script}.py").stat().st_mtime
    assert all(path.stat().st_mtime <= written for path in (OUT / script).rglob("*"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_note_of_the_runner_is_of_the_same_run(script, results):
    path = OUT / script / "run.json"
    if not path.exists():  # run by hand
        return
    note = json.loads(path.read_text())
    assert note["script"] == script and note["backend"] == results[script]["backend"]
    assert note["keras"] == results[script]["keras"]
    begin, written = path.stat().st_mtime, (OUT / script / "result.json").stat().st_mtime
    assert begin < written <= begin + note["seconds"] + 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_numbers_lie_in_the_expected_range(script, results):
    values = sweep.measured(results[script])
    assert "reproduced" in values and values.keys() <= EXPECTED[script].keys()
    outside = {
        quantity: (value, EXPECTED[script][quantity])
        for quantity, value in values.items()
        if not EXPECTED[script][quantity][0] <= value <= EXPECTED[script][quantity][1]
    }
    assert not outside


@pytest.mark.parametrize("script", SCRIPTS)
def test_folder_holds_the_files_of_the_result_and_no_others(script, results):
    folder = OUT / script
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    files = {*results[script]["files"], lessons.figure(path_of(script)), "result.json"}
    assert present - {"run.json"} == files


def test_the_figures_that_the_pages_show_are_those_of_their_scripts():
    shown = [path for path in FIGURES.glob("*.png") if path.stem in SCRIPTS]
    assert shown and all(most_alike(path, SCRIPTS) == path.stem for path in shown)
    for script in SCRIPTS:
        assert most_alike(figure_of(script), SCRIPTS) == script


def test_no_expected_accuracy_reaches_down_to_always_answering_no():
    for script in (*SCRIPTS[:3], SCRIPTS[5]):
        assert EXPECTED[script]["reproduced"][0] > sweep.ALWAYS_NO
