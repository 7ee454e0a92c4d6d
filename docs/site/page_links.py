"""Links of the sources that Sphinx does not know: to files of the repository, and to scripts."""

import pathlib
import posixpath

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


class FilesOfTheRepository(SphinxPostTransform):
    """A link to a file or folder that is no page leads to where the repository is published."""

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
            self.replace(link, address + (f"#{anchor}" if anchor else ""))

    @staticmethod
    def replace(link: nodes.Element, address: str) -> None:
        new = nodes.reference("", "", *link.children, refuri=address, internal=False)
        link.replace_self(new)


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


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("repository_address", "", "env")
    app.add_post_transform(FilesOfTheRepository)
    app.add_post_transform(NamesOfScripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
