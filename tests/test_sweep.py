"""tests/expected.json comes from docs/sweep.csv, and the sweep is wide enough."""

import csv
import json

import sweep
from conftest import SCRIPTS


def rows() -> list[dict]:
    with sweep.SWEEP.open(newline="") as file:
        return list(csv.DictReader(file))


def test_expectations_are_those_of_the_sweep():
    assert json.loads(sweep.EXPECTED.read_text()) == sweep.expectations()


def test_at_least_20_seeds_of_each_script_on_each_backend():
    seeds: dict[tuple[str, str], set[str]] = {}
    for row in rows():
        backend = row["backend"].split()[0]
        seeds.setdefault((backend, row["script"]), set()).add(row["seed"])
    ran = {script.removesuffix(".py") for script in sweep.SCRIPTS}
    assert set(seeds) == {(b, script) for b in ("tensorflow", "jax") for script in ran}
    assert all(len(found) >= 20 for found in seeds.values())
    assert ran | set(sweep.SPEAKS_FOR) == set(SCRIPTS)


def test_each_row_says_where_it_comes_from():
    assert all(row[field] for row in rows() for field in sweep.FIELDS)
