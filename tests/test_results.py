"""What `make all` left in out/ is complete, of this backend, and lies in the expected ranges."""

import json

import keras
import matplotlib.image
import numpy as np
import pytest
import sweep
from conftest import BACKEND, REPOSITORY, SCRIPTS

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
    assert present == {*results[script]["files"], "learning_curve.png", "result.json"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_figure_is_large_enough_to_read_and_not_empty(script):
    image = matplotlib.image.imread(OUT / script / "learning_curve.png")
    assert image.shape[1] >= 1200 and image.shape[0] >= 675
    assert len(np.unique(image[..., :3].reshape(-1, 3), axis=0)) > 50


def test_no_expected_accuracy_reaches_down_to_always_answering_no():
    for script in (*SCRIPTS[:3], SCRIPTS[5]):
        assert EXPECTED[script]["reproduced"][0] > sweep.ALWAYS_NO
