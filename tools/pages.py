"""Build the pages from the recorded notebooks and the documents: out/site/html/index.html.

    python tools/pages.py               every language
    python tools/pages.py en            English only
    python tools/pages.py catalogues    renew the catalogues of the translations

Nothing is run: the outputs are those of `make notebooks`. A page whose script, packages, data or
environment changed since then is refused.
"""

import base64
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import lessons
import nbformat
import notebooks
import published
import recording
from lessons import REPOSITORY
from PIL import Image

SETTINGS = REPOSITORY / "docs" / "site"
SITE = REPOSITORY / "out" / "site"
SOURCES = SITE / "source"
HTML = SITE / "html"
LANGUAGES = {"en": "", "zh_CN": "zh", "ru": "ru"}  # Sphinx's name -> folder in the site
TRANSLATED = ("README", "lessons", "01_", "02_", "03_")  # how the names of these pages begin
THUMBNAIL_WIDTH = 480
NOT_RUN = "This page shows no outputs: the script was not run for it."

DOCUMENTS = {
    "Find": [
        "docs/PITFALLS",
        "docs/OLD_ARTICLES",
        "docs/INSTALL",
        "docs/GLOSSARY",
        "docs/FILES_FROM_STRANGERS",
    ],
    "durable_checkpoint": ["docs/DURABLE_CHECKPOINT", "docs/api"],
    "Measured": ["docs/RESULTS", "docs/REPRODUCTION", "docs/SPEED", "data/README"],
    "The project": ["CONTRIBUTING", "CHANGELOG"],
}


def documents() -> dict[str, list[str]]:
    """Heading -> its pages. A document in docs/ without a place stands under the measurements."""
    listed = {page for pages in DOCUMENTS.values() for page in pages}
    found = {f"docs/{path.stem}" for path in (REPOSITORY / "docs").glob("*.md")}
    return DOCUMENTS | {"Measured": DOCUMENTS["Measured"] + sorted(found - listed)}


def page_of(script: pathlib.Path) -> str:
    """Sphinx's name of this script's page."""
    return script.relative_to(REPOSITORY).with_suffix("").as_posix()


def levels() -> dict[str, list[pathlib.Path]]:
    """Level -> its scripts, in the order of reading."""
    found: dict[str, list[pathlib.Path]] = {level: [] for level in lessons.LEVELS}
    for script in recording.scripts():
        declared = lessons.RUN.search(lessons.first_cell(script))
        found[declared["level"]].append(script)
    return found


def toctree(caption: str, pages: list[str]) -> str:
    entries = "\n".join(f"/{page}" for page in pages)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def landing_page() -> str:
    """README, and the order of all pages."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    text += toctree("Lessons", ["lessons"])
    for level, scripts in levels().items():
        text += toctree(level.capitalize(), [page_of(script) for script in scripts])
    for caption, pages in documents().items():
        text += toctree(caption, pages)
    return text


def gallery() -> str:
    text = (SETTINGS / "lessons.md").read_text(encoding="utf-8")
    for level, scripts in levels().items():
        pages = "\n".join(page_of(script) for script in scripts)
        text += f"\n## {level.capitalize()}\n\n"
        text += f"```{{gallery}}\n:thumbnails: thumbnails\n\n{pages}\n```\n"
    return text


def write(name: str, text: str) -> None:
    """Write a staged source if it differs from what is there, so that Sphinx reads it only then."""
    target = SOURCES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def book_of(script: pathlib.Path, with_outputs: bool) -> nbformat.NotebookNode:
    """The notebook that a page shows: the recorded one, or one without outputs that says so."""
    if with_outputs and script in recording.shown():
        return nbformat.read(recording.record_of(script), as_version=4)
    book = notebooks.notebook(script)
    if with_outputs:
        book.cells.insert(2, nbformat.v4.new_markdown_cell(NOT_RUN, id="not-run"))
    return book


def stage(with_outputs: bool = True) -> None:
    """Lay the sources of the pages into out/site/source, as they lie in the repository."""
    shutil.rmtree(SOURCES, ignore_errors=True)
    write("README.md", landing_page())
    write("lessons.md", gallery())
    write("docs/api.md", (SETTINGS / "api.md").read_text(encoding="utf-8"))
    for page in (page for pages in documents().values() for page in pages):
        if page != "docs/api":
            write(f"{page}.md", (REPOSITORY / f"{page}.md").read_text(encoding="utf-8"))
    for script in recording.scripts():
        book = book_of(script, with_outputs)
        book.metadata.pop(recording.KEY, None)
        write(f"{page_of(script)}.py", nbformat.writes(book))
    shutil.copytree(REPOSITORY / "docs" / "figures", SOURCES / "docs" / "figures")
    for catalogue in SETTINGS.glob("locale/*/LC_MESSAGES/*.po"):
        write(catalogue.relative_to(SETTINGS).as_posix(), catalogue.read_text(encoding="utf-8"))
    thumbnails(with_outputs)


def thumbnails(with_outputs: bool) -> None:
    """A small copy of each lesson's figure, as it came out of the recorded run."""
    folder = SOURCES / "thumbnails"
    folder.mkdir()
    for script in recording.scripts():
        pngs = notebooks.figures(book_of(script, with_outputs).cells)
        if not pngs:
            Image.new("RGB", (16, 9), "#e8e8e8").save(folder / f"{script.stem}.png")
            continue
        (png,) = pngs
        with Image.open(io.BytesIO(base64.b64decode(png))) as image:
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL_WIDTH, 10 * THUMBNAIL_WIDTH))
            small.save(folder / f"{script.stem}.png", optimize=True)


def sphinx(builder: str, language: str, target: pathlib.Path) -> None:
    """Run Sphinx; a warning is an error."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", builder]
    command += ["-c", str(SETTINGS), "-d", str(SITE / "doctrees" / f"{builder}-{language}")]
    command += ["-D", f"language={language}", str(SOURCES), str(target)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", **os.environ}
    if subprocess.run(command, cwd=REPOSITORY, env=quiet, check=False).returncode:
        sys.exit(f"The pages in the language {language} were not built: see above.")


def absolute_links(text: str, folder: str) -> str:
    """Markdown whose links to files of the repository lead to where it is published.

    Of such a link only the text is left while nobody knows where that is.
    """
    address = published.address()

    def absolute(match: re.Match) -> str:
        path, mark, anchor = match["target"].partition("#")
        name = os.path.normpath(os.path.join(folder, path))
        if not path or name.startswith("..") or not (REPOSITORY / name).exists():
            return match[0]
        if not published.has_owner(address):
            return match["text"]
        return f"[{match['text']}]({address}/blob/main/{name}{mark}{anchor})"

    return re.sub(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<target>[^)\s]+)\)", absolute, text)


def download_books() -> None:
    """The notebooks that a reader downloads: with outputs, and with links that work anywhere."""
    folder = HTML / "notebooks"
    folder.mkdir()
    for script in recording.scripts():
        book = book_of(script, with_outputs=True)
        # The record may be older than the address.
        book.cells[0].source = notebooks.first_cell(script).source
        for cell in book.cells:
            if cell.cell_type == "markdown":
                folder_of_script = str(script.parent.relative_to(REPOSITORY))
                cell.source = absolute_links(cell.source, folder_of_script)
        (folder / f"{script.stem}.ipynb").write_text(nbformat.writes(book) + "\n", encoding="utf-8")


def refuse_old_outputs() -> None:
    flaws = [flaw for script in recording.shown() if (flaw := recording.flaw(script))]
    if flaws:
        sys.exit("\n".join(flaws))


def build(languages: list[str]) -> None:
    """All pages in these languages."""
    stage()
    shutil.rmtree(HTML, ignore_errors=True)
    for language in languages:
        start = time.perf_counter()
        target = HTML / LANGUAGES[language]
        sphinx("html", language, target)
        for leftover in (".buildinfo", "objects.inv"):
            (target / leftover).unlink(missing_ok=True)
        # MyST-NB leaves copies of the notebooks beside the pages: for a translation, in the site.
        for leftover in (target / "_sources", target.parent / "jupyter_execute"):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copyfile(target / "README.html", target / "index.html")
        print(f"{language}: {time.perf_counter() - start:.0f} s", flush=True)
    (HTML / ".nojekyll").touch()
    download_books()
    print(HTML.relative_to(REPOSITORY) / "index.html")


def catalogues() -> None:
    """Renew what the translators work on, docs/site/locale, from today's English."""
    stage(with_outputs=False)
    target = SITE / "gettext"
    shutil.rmtree(target, ignore_errors=True)
    sphinx("gettext", "en", target)
    for template in target.rglob("*.pot"):
        name = template.relative_to(target).with_suffix("").as_posix()
        if not name.startswith(TRANSLATED):
            template.unlink()
    others = [option for code in LANGUAGES if code != "en" for option in ("-l", code)]
    command = [sys.executable, "-m", "sphinx_intl", "update", "--no-obsolete", "-p", str(target)]
    command += ["-d", str(SETTINGS / "locale"), "-w", "100", *others]
    subprocess.run(command, cwd=REPOSITORY, check=True)


def main(words: list[str]) -> None:
    if not set(words) <= {*LANGUAGES, "catalogues"}:
        sys.exit(__doc__)
    if words == ["catalogues"]:
        catalogues()
    else:
        refuse_old_outputs()
        build(words or list(LANGUAGES))


if __name__ == "__main__":
    main(sys.argv[1:])
