"""What stands around the text of a page: the languages, the notebook, the theme's own words."""

import functools
import posixpath
import re

import jinja2.ext
import published
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

# Sphinx's name of a language -> its folder in the site, and its own name.
LANGUAGES = {"en": ("", "English"), "zh_CN": ("zh", "中文"), "ru": ("ru", "Русский")}

# Labels that the theme writes into its templates in English: of its buttons, and of their icons.
LABELS = (
    r'(?<=aria-label=")(?:Toggle [^"{}]+)(?=")',
    r"(?<=<title>)[^<>{}]+(?=</title>)",
)


class LabelsOfTheTheme(jinja2.ext.Extension):
    """These labels can be translated, as the other words of the theme: in sphinx.po."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        for label in LABELS:
            source = re.sub(label, lambda found: '{{ _("' + found[0] + '") }}', source)
        return source


class NamesOfFigures(SphinxTransform):
    """In a translation, a figure among the outputs is named by its heading, as it is in English."""

    default_priority = 500  # between the translation and the classes that say what has one

    def apply(self, **keywords) -> None:
        if self.config.language == "en":
            return
        for section in self.document.findall(nodes.section):
            title = section.next_node(nodes.title)
            if title is None or not title.get("translated"):
                continue
            outputs = (n for n in section.children if "cell" in n.get("classes", []))
            for image in (image for cell in outputs for image in cell.findall(nodes.image)):
                image["alt"] = re.split(r"[:：]\s*", title.astext(), maxsplit=1)[-1]
                image["translated"] = True


def root_of_site(pagename: str, language: str) -> str:
    """The way from this page up to the folder that holds all languages."""
    levels = pagename.count("/") + (1 if LANGUAGES[language][0] else 0)
    return "../" * levels


def translation(page: nodes.document) -> str:
    """How much of this page is translated: none, part or whole."""
    parts = [
        node.get("classes", [])
        for kind in (nodes.paragraph, nodes.title)
        for node in page.findall(kind)
    ]
    if not any("translated" in classes for classes in parts):
        return "none"
    return "part" if any("untranslated" in classes for classes in parts) else "whole"


@functools.cache
def english_pages(app: Sphinx) -> set[str]:
    """The addresses, in the folder of this language, of the pages without any translation."""
    return {
        app.builder.get_target_uri(name)
        for name in app.env.found_docs
        if translation(app.env.get_doctree(name)) == "none"
    }


def is_english(app: Sphinx, pagename: str, address: str) -> bool:
    """Whether this link of a page leads to a page without any translation."""
    folder = posixpath.dirname(app.builder.get_target_uri(pagename))
    return posixpath.normpath(posixpath.join(folder, address)) in english_pages(app)


def mark_english(app: Sphinx, pagename: str, context: dict) -> None:
    """Say which links lead to English, in the menu and in a translated page: see pages.css."""
    link = re.compile(r'<a (class="[^"]*\binternal\b[^"]*" href="([^"#]+))')

    def marked(match: re.Match) -> str:
        english = is_english(app, pagename, match[2])
        return f'<a hreflang="en" {match[1]}' if english else match[0]

    context["furo_navigation_tree"] = link.sub(marked, context["furo_navigation_tree"])
    if context.get("translation", "none") == "none":
        return
    context["body"] = link.sub(marked, context["body"])
    for part in ("next", "prev"):
        neighbour = context[part]
        if neighbour and is_english(app, pagename, neighbour["link"]):
            title = f'<span class="in-english" lang="en">{neighbour["title"]}</span>'
            context[part] = {**neighbour, "title": title}


def breakable(body: str) -> str:
    """The text of a page whose tables may break a long piece of code, behind a mark of Python.

    A table of code then fits beside the menu, with its last column, and no name is cut.
    """

    def code(match: re.Match) -> str:
        return re.sub(r"(?<=[.(,=_/\[])(?=\w|&quot;|&#39;)", "<wbr>", match[0])

    def table(match: re.Match) -> str:
        return re.sub(r'(?<=<span class="pre">)[^<]{16,}', code, match[0])

    return re.sub(r"<table.*?</table>", table, body, flags=re.DOTALL)


def frame(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Add what the templates use."""
    language = app.config.language
    up = root_of_site(pagename, language)
    of_pages = pagename in app.env.found_docs or pagename in ("search", "genindex")
    name = f"{pagename}.html" if of_pages else "README.html"
    context["languages"] = [
        {
            "code": code.replace("_", "-"),
            "name": own_name,
            "address": f"{up}{folder}/{name}" if folder else f"{up}{name}",
            "chosen": code == language,
        }
        for code, (folder, own_name) in LANGUAGES.items()
    ]
    source = app.env.doc2path(pagename, base=False) if pagename in app.env.found_docs else ""
    if str(source).endswith(".py"):
        repository = app.config.repository_address
        owner = repository.removeprefix("https://github.com/")
        book = f"{posixpath.basename(pagename)}.ipynb"
        context["notebook"] = {
            "download": f"{up}notebooks/{book}",
            "name": book,
            "published": published.has_owner(repository),
            "colab": f"https://colab.research.google.com/github/{owner}/blob/gh-pages/notebooks/{book}",
            "binder": f"https://mybinder.org/v2/gh/{owner}/main?urlpath=lab/tree/notebooks/{book}",
        }
    if context.get("body"):
        context["body"] = breakable(context["body"])
    if language != "en":
        if doctree is not None:
            context["translation"] = translation(doctree)
        mark_english(app, pagename, context)


def translate_labels(app: Sphinx) -> None:
    if app.builder.format == "html":
        app.builder.templates.environment.add_extension(LabelsOfTheTheme)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(NamesOfFigures)
    app.connect("builder-inited", translate_labels)
    app.connect("html-page-context", frame, priority=900)  # after the theme has made its menu
    return {"parallel_read_safe": True, "parallel_write_safe": True}
