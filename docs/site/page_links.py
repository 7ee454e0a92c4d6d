"""Links of the sources that Sphinx does not know: to files of the repository, and to scripts."""

import pathlib
import posixpath

import published
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms import i18n
from sphinx.transforms.post_transforms import SphinxPostTransform

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


class FilesOfTheRepository(SphinxPostTransform):
    """A link to a file or folder that is no page leads to where the repository is published.

    While nobody knows where that is, only its text is left.
    """

    default_priority = 5  # before MyST says that it found no page

    def run(self, **keywords) -> None:
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link.get("reftype") != "myst" or link.get("refdomain") is not None:
                continue
            path, _, anchor = link["reftarget"].partition("#")
            if not path:
                continue
            name = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), path))
            found = REPOSITORY / name
            if name.startswith("..") or not found.exists():
                continue  # MyST warns, and the build fails
            kind = "tree" if found.is_dir() else "blob"
            address = f"{self.config.repository_address}/{kind}/main/{name}"
            address += f"#{anchor}" if anchor else ""
            if published.has_owner(self.config.repository_address):
                link.replace_self(
                    nodes.reference("", "", *link.children, refuri=address, internal=False)
                )
            else:
                link.replace_self(link.children)


class NamesOfScripts(SphinxPostTransform):
    """The name of a script in the prose, as in `02_….py`, is a link to its page."""

    default_priority = 6

    def run(self, **keywords) -> None:
        pages = {
            path: docname
            for docname in self.env.found_docs
            if (path := str(self.env.doc2path(docname, base=False))).endswith(".py")
        }
        pages |= {posixpath.basename(path): docname for path, docname in pages.items()}
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext()
            outer = literal.parent
            while outer is not None and not isinstance(outer, nodes.reference | nodes.title):
                outer = outer.parent
            if name not in pages or outer is not None or pages[name] == self.env.docname:
                continue
            address = self.app.builder.get_relative_uri(self.env.docname, pages[name])
            link = nodes.reference("", "", internal=True, refuri=address)
            literal.replace_self(link)
            link.append(literal)


def edit_links(app: Sphinx, config: Config) -> None:
    """Each page has a link by which it is edited, if it is known where."""
    config.html_theme_options["top_of_page_buttons"] = []
    if published.has_owner(config.repository_address):
        config.html_theme_options |= {
            "source_repository": f"{config.repository_address}/",
            "source_branch": "main",
            "source_directory": "",
            "top_of_page_buttons": ["edit"],
        }


def keep_anchors_of_translations() -> None:
    """Of two links to one page in a translated paragraph, each leads to its own anchor.

    Sphinx 9.0 gives a link in a translation what it knows of the English link to the same page,
    the last one's anchor among it.
    """
    attribute = "reftargetid"  # MyST's name of the anchor
    if attribute not in i18n.EXCLUDED_PENDING_XREF_ATTRIBUTES:
        i18n.EXCLUDED_PENDING_XREF_ATTRIBUTES += (attribute,)


def setup(app: Sphinx) -> dict[str, bool]:
    keep_anchors_of_translations()
    app.add_config_value("repository_address", "", "env")
    app.connect("config-inited", edit_links)
    app.add_post_transform(FilesOfTheRepository)
    app.add_post_transform(NamesOfScripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
