"""SIGKILL at any moment, above all in the middle of a save, costs at most what was under way."""

import json
import pathlib
import subprocess
import sys

import pytest

KILLING = pathlib.Path(__file__).with_name("killing.py")
KILLS = 60


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_60_kills(ending, tmp_path):
    run = subprocess.run(
        [sys.executable, KILLING, ending, str(KILLS), tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["kills"] == KILLS
    assert found["while_temporary_file_existed"] >= KILLS / 2
    assert found["unloadable"] == []
    assert found["wrong"] == []
    assert found["lost_bests"] == []
    assert found["lost_newest"] == []
    assert found["most_saves_lost"] <= 2
