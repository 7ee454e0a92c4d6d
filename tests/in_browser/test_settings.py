"""What the pages are installed with and published by."""

import json
import pathlib
import re
import tomllib

import notebooks
import pages
from conftest import REPOSITORY

SITE = REPOSITORY / "requirements" / "site.txt"


def pins(lock: pathlib.Path) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+==\S+)", lock.read_text(), flags=re.MULTILINE))


def test_the_lock_of_the_pages_adds_to_that_of_the_scripts():
    assert pins(REPOSITORY / "requirements" / "beyond.txt") < pins(SITE)
    names = {pin.split("==")[0] for pin in pins(SITE)}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]["site"]) <= names
    blocks = re.split(r"^(?=[a-z0-9-]+==)", SITE.read_text(), flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in SITE.read_text()


def test_the_owner_is_named_in_one_place():
    owner = notebooks.repository_address().split("/")[3]
    folders = ("docs", "tools", ".github", ".binder", ".devcontainer")
    texts = [p for folder in folders for p in (REPOSITORY / folder).rglob("*") if p.is_file()]
    named = [p for p in texts if f"github.com/{owner}".encode() in p.read_bytes()]
    assert named == []
    for page in (pages.HTML / "01_checkpoint_improvements.html", pages.HTML / "README.html"):
        assert f"github.com/{owner}/" in page.read_text(encoding="utf-8")


def test_a_codespace_makes_the_environment_of_the_pages():
    settings = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text())
    image = re.search(r"python:(3\.\d+)", settings["image"])
    assert settings["postCreateCommand"] == f"make .venv/installed-{image[1]}-site"


def test_binder_installs_that_lock():
    lines = (REPOSITORY / ".binder" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r ../requirements/site.txt"]


def test_what_is_published_is_what_was_tested():
    workflow = (REPOSITORY / ".github" / "workflows" / "pages.yml").read_text()
    assert workflow.index("make test-site") < workflow.index("git push")
    assert f"--work-tree={pages.HTML.relative_to(REPOSITORY)}" in workflow
    assert "refs/heads/gh-pages" in workflow
    colab = (pages.HTML / "01_checkpoint_improvements.html").read_text(encoding="utf-8")
    assert "/blob/gh-pages/notebooks/01_checkpoint_improvements.ipynb" in colab
