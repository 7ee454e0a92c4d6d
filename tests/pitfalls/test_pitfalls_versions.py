"""What is said about other releases of Keras is what ran there."""

import re

import pytest
import version_environments
import version_gallery
import version_page
import version_picture
import version_stories
from gallery import REPOSITORY, entries
from PIL import Image

pytestmark = pytest.mark.one_backend  # tables and pages are only read
ROWS = version_gallery.recorded(version_gallery.ENTRIES)
SCRIPT_ROWS = version_gallery.recorded(version_gallery.SCRIPTS)
PAGE = version_page.PITFALLS


def row(keras, happens, backend="tensorflow", remedy="works", test="file.py::test", **others):
    return {
        "keras": keras,
        "backend": backend,
        "test": test,
        "happens": happens,
        "remedy": remedy,
        "message": "",
        "reason": "",
        "date": "2026-01-01",
        "machine": "a machine",
        "versions": "python 3.11.7, tensorflow 2.21.0, h5py 3.14.0, numpy 2.4.6",
        **others,
    }


# ------------------------------------------------------------------ the recorded table


def test_every_recorded_cell_was_run():
    assert ROWS
    for one in ROWS:
        place = one["keras"], one["test"]
        assert one["happens"] in version_page.SIGNS, place
        assert one["remedy"] in {"works", "fails", "refused", "not run"}, place
        assert one["happens"] != "another message" or one["message"], place
        assert one["happens"] not in ("not there", "not run", "in part") or one["reason"], place
        assert one["remedy"] == "works" or one["reason"], place
        assert one["date"] and one["machine"], place
        assert one["versions"] or "cannot be" in one["reason"], place
        assert "/" + "tmp/" not in one["message"] + one["reason"], place


def test_the_rows_are_those_of_tests_that_exist():
    assert {one["test"] for one in ROWS} <= set(version_gallery.tests())
    assert len({(one["keras"], one["backend"], one["test"]) for one in ROWS}) == len(ROWS)
    assert [entry.test for entry in version_page.entries()] == [e.pins[0] for e in entries()]


def test_the_keras_of_the_lock_files_has_each_entry_as_described():
    locked = re.search(r'"keras==([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text())[1]
    column = {
        one["test"]: (one["happens"], one["remedy"]) for one in ROWS if one["keras"] == locked
    }
    assert set(column) == set(version_gallery.tests())
    assert set(column.values()) == {("as described", "works")}


# ------------------------------------------------------------------ the pages


def test_the_lines_about_keras_are_those_of_the_table():
    text = PAGE.read_text()
    assert version_page.with_keras_lines(text, ROWS) == text, "run tools/versions.py page"
    for entry in entries():
        line = version_page.keras_line(entry.pins[0], ROWS)
        assert f"Keras: {line}." in " ".join(entry.text.split())


def test_each_message_of_an_older_release_can_be_searched():
    """An entry quotes it between backquotes; `[...]` stands for what was left out."""
    by_test = {entry.pins[0]: entry for entry in entries()}
    for one in ROWS:
        if one["message"]:
            text = " ".join(by_test[one["test"]].text.split())
            spans = re.findall(r"``(.+?)``(?!`)|(?<!`)`([^`]+)`(?!`)", text)
            quoted = [(first or second).strip() for first, second in spans]
            patterns = [
                ".*".join(map(re.escape, span.split("[...]"))) for span in quoted if len(span) > 20
            ]
            assert any(re.search(pattern, one["message"]) for pattern in patterns), (
                f"{one['keras']}, {by_test[one['test']].heading}: quote {one['message']}"
            )


def test_each_claim_of_a_story_was_seen():
    cells = version_page.cells(ROWS)
    assert len(version_stories.STORIES) >= 3
    for story in version_stories.STORIES:
        assert story.spans
        for first, last, test, happens in story.spans:
            begin, end = (version_environments.RELEASES.index(one) for one in (first, last))
            assert begin < end
            for release in version_environments.RELEASES[begin : end + 1]:
                assert cells[release, "tensorflow", test]["happens"] == happens, (release, test)
            for named in (first, last):
                assert re.search(rf"\b{re.escape(named.rsplit('.', 1)[0])}\b", story.text), named


def test_the_picture_is_that_of_the_table():
    with Image.open(version_picture.PICTURE) as picture:
        assert picture.info["Description"] == version_picture.fingerprint(ROWS)
        assert picture.width == version_picture.WIDTH * 200


# ------------------------------------------------------------------ how they are made


def test_a_span_reaches_over_no_release_that_is_not_recorded():
    known = ["3.8.0", "3.9.2", "3.10.0", "3.12.4"]
    assert version_page.span(["3.10.0", "3.8.0", "3.9.2"], known) == "3.8.0 to 3.10.0"
    assert version_page.span(["3.10.0", "3.12.4"], known) == "3.10.0 and 3.12.4"
    assert version_page.span(["3.8.0", "3.9.2", "3.10.0", "3.12.4"], known) == (
        "3.8.0 to 3.10.0 and 3.12.4"
    )


def test_what_is_new_fixed_or_said_otherwise():
    def history(*states):
        releases = ["3.8.0", "3.9.2", "3.10.0"]
        rows = [row(release, state) for release, state in zip(releases, states, strict=True)]
        return version_page.history("file.py::test", rows)

    assert history("not there", "not run", "as described") == ("3.8.0 → 3.10.0", "", "")
    assert history("as described", "not there", "not there") == ("", "3.8.0 → 3.9.2", "")
    assert history("another message", "another message", "as described") == (
        "",
        "",
        "3.9.2 → 3.10.0",
    )
    assert history("as described", "as described", "as described") == ("", "", "")


def test_the_line_names_each_kind_and_the_remedy():
    rows = [
        row("3.8.0", "not there", remedy="not run", reason="no"),
        row("3.9.2", "another message", remedy="refused", message="m", reason="r"),
        row("3.10.0", "as described"),
    ]
    assert version_page.keras_line("file.py::test", rows) == (
        "3.10.0; with another message on 3.9.2; not on 3.8.0; "
        "`durable_checkpoint` does not run on 3.9.2"
    )
    absent = "AttributeError: module 'keras.callbacks' has no attribute 'OrbaxCheckpoint'"
    lacking = [
        row("3.8.0", "not run", remedy="not run", reason=absent),
        row("3.9.2", "not run", remedy="not run", reason="it took too long"),
        row(
            "3.10.0",
            "not run",
            remedy="not run",
            reason="f() got an unexpected keyword argument 'shard'",
        ),
    ]
    assert version_page.keras_line("file.py::test", lacking) == (
        "no `OrbaxCheckpoint` on 3.8.0; not tried on 3.9.2; no `shard` on 3.10.0"
    )
    text = "Keras: seen on 3.15.1. With Orbax. Pinned by `tests/pitfalls/file.py::test`.\n"
    again = version_page.with_keras_lines(text, rows)
    assert " ".join(again.split()).startswith("Keras: 3.10.0; with another message on 3.9.2;")
    assert "With Orbax." in again and again.endswith("`tests/pitfalls/file.py::test`.\n")
    assert version_page.with_keras_lines(again, rows) == again
    assert version_page.with_keras_lines(text, []) == text


def test_a_release_without_rows_is_called_not_recorded():
    assert "3.9.2" in version_page.missing([row("3.10.0", "as described")])
    assert "3.10.0" not in version_page.missing([row("3.10.0", "as described")])
    assert version_page.sign(None) == ""
    assert version_page.sign(row("3.9.2", "as described", remedy="refused")) == "●▲"


REPORT = """<testsuites><testsuite>
<testcase classname="tests.pitfalls.test_pitfalls_naming" name="test_hdf5_is_refused"><properties>
<property name="happens" value="not there"/><property name="remedy" value="not run"/>
<property name="message" value=""/>
<property name="reason" value="at /tmp/pytest-of-me/pytest-1/popen-gw0/test_a0/x.keras, 0x7f00aa"/>
</properties><failure message="AssertionError"/></testcase>
<testcase classname="tests.pitfalls.test_pitfalls_naming" name="test_period_is_gone">
<failure message="worker 'gw0' crashed while running it"/></testcase>
<testcase classname="" name="tests.pitfalls.test_pitfalls_old_files">
<error message="collection failure">a
E   ModuleNotFoundError: No module named 'tf_keras'
</error></testcase>
</testsuite></testsuites>"""


def test_no_outcome_is_inferred(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    found = version_gallery.outcomes(tmp_path / "report.xml")
    assert list(found) == version_gallery.tests()
    naming = "test_pitfalls_naming.py::"
    assert found[naming + "test_hdf5_is_refused"] == {
        "happens": "not there",
        "remedy": "not run",
        "message": "",
        "reason": "at [...]/x.keras, [...]",
    }
    for test, reason in (
        (naming + "test_period_is_gone", "crashed"),
        ("test_pitfalls_old_files.py::test_hard_sigmoid_has_changed", "No module named 'tf_keras'"),
        ("test_pitfalls_best.py::test_nan_in_the_first_epoch", "the run ended before"),
    ):
        assert (found[test]["happens"], found[test]["remedy"]) == ("not run", "not run")
        assert reason in found[test]["reason"]


def test_a_release_that_cannot_be_imported_is_listed_with_the_reason():
    tables = version_gallery.without_keras("3.1.1", "tensorflow", "it cannot be imported: no")
    rows = tables[version_gallery.ENTRIES]
    assert [one["test"] for one in rows] == version_gallery.tests()
    assert {one["happens"] for one in rows} == {"not run"}
    assert "it cannot be imported: no" in version_page.columns_table(rows)
    assert version_page.other_cells(rows) == ""


def test_the_line_that_says_why_a_program_ended():
    text = (
        "W: noise\nTraceback (most recent call last):\n  File 1\n    x\nOSError: first\n\n"
        "During ...:\n\nTraceback (most recent call last):\n  File 2\n    y\n"
        "ValueError: the line\nand more of it\n"
    )
    assert version_gallery.error_line(text) == "ValueError: the line"
    assert version_gallery.error_line("one line\n") == "one line"
    assert version_gallery.error_line("") == ""


def test_new_rows_replace_those_of_the_same_place_only(tmp_path, monkeypatch):
    table = tmp_path / "table.csv"
    monkeypatch.setitem(
        version_gallery.FIELDS, table, version_gallery.FIELDS[version_gallery.ENTRIES]
    )
    version_gallery.record(table, [row("3.10.0", "not run", reason="r"), row("3.9.2", "in part")])
    version_gallery.record(
        table,
        [row("3.10.0", "as described"), row("3.10.0", "as described", backend="jax")],
    )
    found = [(r["keras"], r["backend"], r["happens"]) for r in version_gallery.recorded(table)]
    assert found == [
        ("3.9.2", "tensorflow", "in part"),
        ("3.10.0", "tensorflow", "as described"),
        ("3.10.0", "jax", "as described"),
    ]


def test_what_the_newest_keras_changed():
    before = [
        row("3.9.2", "not there"),
        row("3.10.0", "as described"),
        row("3.11.3", "not there", backend="jax"),
    ]
    assert version_gallery.changes(before[:2], [row("3.10.0", "in part")]) != []
    assert version_gallery.changes(before[:2], [row("3.10.0", "as described")]) == []
    assert version_gallery.changes(before, [row("3.11.3", "as described")]) == []
    (line,) = version_gallery.changes(before, [row("3.11.3", "not there")])
    assert "file.py::test: happens on 3.10.0: as described; on 3.11.3: not there" == line
