"""README says what runs: its commands, its table, its links, and where its numbers come from."""

import json
import re

import pytest
import sweep
from conftest import REPOSITORY, SCRIPTS
from results_table import RECORDED, readme_tables, typical_table

README = (REPOSITORY / "README.md").read_text()
EXPECTED = json.loads((REPOSITORY / "tests" / "expected.json").read_text())


def test_the_tables_are_the_recorded_ones():
    recorded = json.loads(RECORDED.read_text())
    for name, table in (("results", readme_tables), ("typical", typical_table)):
        between = rf"<!-- {name} -->\n(.*)\n<!-- /{name} -->"
        assert re.search(between, README, flags=re.DOTALL)[1] == table(recorded)
    assert sorted(recorded) == ["jax", "tensorflow"]


def test_reached_means_reached_in_all_four_documented_digits():
    row = re.search(r"^\| 04: 0\.9830 \|.*$", README, flags=re.MULTILINE)[0]
    values = sweep.values_by_backend()
    for backend in ("tensorflow", "jax"):
        seen = values[backend, SCRIPTS[3], "reproduced"]
        assert f"{sum(value >= 0.98295 for value in seen)} of {len(seen)}" in row


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_recorded_numbers_could_be_ours(backend, results):
    recorded = json.loads(RECORDED.read_text())[backend]
    assert sorted(recorded["rows"]) == SCRIPTS
    assert recorded["machine"] and recorded["versions"] and recorded["commit"]
    for script, row in recorded["rows"].items():
        assert row["documented"] == results[script]["documented"]
        assert row["quantity"] == results[script]["quantity"]
        low, high = EXPECTED[script]["reproduced"]
        assert low <= row["reproduced"] <= high


def test_every_script_stands_in_the_reading_order():
    order = re.findall(r"^\d+\. \[(\d\d_\w+)\.py\]", README, flags=re.MULTILINE)
    assert order == SCRIPTS


def test_every_command_exists():
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[1].split())
    targets |= {script[:2] for script in SCRIPTS}
    mentioned = set(
        re.findall(r"(?:^    (?:\w+=\S+ )*|`(?:\w+=\S+ )*)make (\w+)", README, re.MULTILINE)
    )
    assert mentioned <= targets and {"all", "test", "sweep", "bench", "figures"} <= mentioned
    scripts = re.findall(r"\bpython (\S+\.py)", README)
    assert scripts and all((REPOSITORY / name).is_file() for name in scripts)


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)]+)\)", README)
    local = [link for link in links if "://" not in link]
    assert local and all((REPOSITORY / link).exists() for link in local)


def test_ci_runs_the_readmes_test_command_on_both_backends():
    lines = (REPOSITORY / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if "make" in line and not line.startswith("#")] == [
        "make test",
        "make torch",
        "make test-beyond",
        "KERAS_BACKEND=jax make test",
        "KERAS_BACKEND=jax make test-beyond",
    ]
    assert "\n    make test\n" in README and "\n    make test-beyond\n" in README
    workflow = (REPOSITORY / ".github" / "workflows" / "ci.yml").read_text()
    assert "run: bash .ci/run" in workflow and "make test PYTHON=" in workflow


def test_the_documented_values_are_those_of_the_documents(results):
    documented = {script: results[script]["documented"] for script in SCRIPTS}
    assert documented == {
        "01_checkpoint_improvements": 0.84252,
        "02_checkpoint_best_only": 0.79528,
        "03_load_checkpoint": 0.7773,
        "04_mnist_every_epoch": 0.9830,
        "05_mnist_best_only": 0.9830,
        "06_resume_training": None,
        "07_checkpoint_options": 7,
        "08_stop_overtraining": None,
        "09_weights_or_whole_model": None,
        "10_custom_callback": None,
    }
