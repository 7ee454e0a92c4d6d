"""What the pages are installed with and published by."""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import nbformat
import notebooks
import pages
import published
import pytest
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
    owner = published.address().split("/")[3]
    folders = ("docs", "tools", ".github", ".binder", ".devcontainer")
    texts = [p for folder in folders for p in (REPOSITORY / folder).rglob("*") if p.is_file()]
    named = [p for p in texts if f"github.com/{owner}/keras-ch".encode() in p.read_bytes()]
    assert [p for p in named if p.name != "published.py"] == []  # an example there


@pytest.fixture(scope="module", params=["somebody", "OWNER"])
def small_site(request, tmp_path_factory) -> tuple[str, pathlib.Path]:
    """A page and a lesson with the settings of all pages, with an owner and without one."""
    folder = tmp_path_factory.mktemp(request.param)
    source, out = folder / "source", folder / "html"
    source.mkdir()
    (source / "README.md").write_text(
        "# Title\n\n[See the Makefile](Makefile), [the lesson](01_checkpoint_improvements.py).\n"
        "\n```{toctree}\n01_checkpoint_improvements\n```\n"
    )
    book = notebooks.notebook(REPOSITORY / "01_checkpoint_improvements.py")
    (source / "01_checkpoint_improvements.py").write_text(nbformat.writes(book))
    address = f"https://github.com/{request.param}/keras-checkpoints-by-example"
    command = [sys.executable, "-m", "sphinx", "-q", "-c", str(pages.SETTINGS)]
    command += ["-D", f"repository_address={address}"]
    command += ["-D", "extensions=myst_nb,sphinx_copybutton,page_links,page_gallery,page_frame"]
    subprocess.run([*command, str(source), str(out)], check=True, capture_output=True)
    return request.param, out


def test_links_to_where_the_repository_is_published(small_site):
    owner, folder = small_site
    lesson = (folder / "01_checkpoint_improvements.html").read_text(encoding="utf-8")
    landing = (folder / "README.html").read_text(encoding="utf-8")
    repository = f"github.com/{owner}/keras-checkpoints-by-example"
    colab = f"https://colab.research.google.com/{repository.replace('.com', '')}/blob/gh-pages/"
    binder = repository.replace("github.com/", "https://mybinder.org/v2/gh/")
    assert "See the Makefile" in landing and ">the lesson</" in landing
    wanted = {
        f'href="https://{repository}/blob/main/Makefile"': landing,
        f'href="https://{repository}/edit/main/README.md"': landing,
        f'href="{colab}notebooks/01_checkpoint_improvements.ipynb"': lesson,
        f'href="{binder}/main?urlpath=lab/tree/notebooks/01_checkpoint_improvements.ipynb"': lesson,
    }
    assert [link in page for link, page in wanted.items()] == [owner != "OWNER"] * 4
    assert "OWNER" not in landing + lesson and "[tool.pages]" not in landing + lesson
    assert "Download the notebook" in lesson


def test_without_an_owner_no_page_leads_to_one():
    if published.has_owner(published.address()):
        pytest.skip("pyproject.toml names the owner")
    found = [*pages.HTML.rglob("*.html"), *pages.HTML.rglob("*.ipynb")]
    assert [p for p in found if b"github.com/OWNER" in p.read_bytes()] == []
    # What to do about it stands where it is done, in CONTRIBUTING and in INSTALL.
    saying = [p.relative_to(pages.HTML) for p in found if b"[tool.pages]" in p.read_bytes()]
    assert {path.stem for path in saying} == {"CONTRIBUTING"}
    text = (pages.HTML / "docs" / "INSTALL.html").read_text(encoding="utf-8")
    assert "names its owner" in " ".join(text.split())


@pytest.mark.parametrize("owner", ["somebody", "OWNER"])
def test_links_of_a_downloaded_notebook(owner, monkeypatch):
    address = f"https://github.com/{owner}/it"
    monkeypatch.setattr(published, "address", lambda: address)
    text = "[a\n`b`](11_survive_a_crash.py#look), [c](https://keras.io), [d](#check)"
    file = f"[a\n`b`]({address}/blob/main/beyond/11_survive_a_crash.py#look)"
    expected = text.replace(text.split(",")[0], "a\n`b`" if owner == "OWNER" else file)
    assert pages.absolute_links(text, "beyond") == expected


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
    assert "refs/heads/gh-pages" in workflow  # Colab opens the notebooks from there
    assert "NOTEBOOKS" not in workflow  # with all outputs
