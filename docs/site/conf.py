"""Sphinx's settings for the pages. tools/pages.py starts Sphinx once for each language."""

import os
import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(REPOSITORY / "tools"), str(REPOSITORY / "beyond")]
os.environ["KERAS_BACKEND"] = "jax"  # autodoc imports durable_checkpoint; this one starts faster

_settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
repository_address = _settings["tool"]["pages"]["repository"].rstrip("/")

project = "Keras checkpoints by example"
author = "the contributors"
html_show_copyright = False
release = version = _settings["project"]["version"]
root_doc = "README"

extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "page_links",
    "page_gallery",
    "page_frame",
    "page_search",
    "page_messages",
]

# A staged script is a notebook with its outputs, under the script's own name, so that links from
# one script to another are links between pages.
source_suffix = {".py": "myst-nb", ".md": "myst-nb"}
nb_custom_formats = {".py": "myst_nb.core.read.standard_nb_read"}
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = []
myst_heading_anchors = 4

default_role = "literal"  # docstrings have code between single backquotes
add_module_names = False
autodoc_typehints = "signature"
maximum_signature_line_length = 60
autodoc_member_order = "bysource"
# The names under "Raises" and types of NumPy and Keras have no page here.
nitpicky = False
suppress_warnings = ["misc.highlighting_failure"]  # docs/OLD_ARTICLES.md shows code that is broken

smartquotes = False  # a message is searched for as it is written
language = "en"  # tools/pages.py names the others
locale_dirs = ["locale"]  # in the staged sources
gettext_compact = False
gettext_uuid = False
gettext_location = False
translation_progress_classes = True

templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme = "furo"
html_title = project
html_favicon = "static/icon.svg"
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_permalinks_icon = "#"
html_theme_options = {
    # page_links.py adds the link by which a page is edited.
    "light_css_variables": {"color-brand-primary": "#0b5c99", "color-brand-content": "#0b5c99"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ff", "color-brand-content": "#7cc4ff"},
}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/languages.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
copybutton_selector = "div.cell_input div.highlight > pre, div:not(.output) > div.highlight > pre"
copybutton_exclude = ".linenos, .gp, .go"
