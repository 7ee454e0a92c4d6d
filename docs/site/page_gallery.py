"""The directive `gallery`: the lessons of one level, each with its title and a small figure."""

import posixpath
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective


class GalleryNode(nodes.General, nodes.Element):
    """Where the cards will stand."""


class Gallery(SphinxDirective):
    """Its content names one page a line, without an ending."""

    has_content = True
    option_spec: ClassVar = {"thumbnails": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        node = GalleryNode("", pages=[line.strip() for line in self.content if line.strip()])
        node["thumbnails"] = self.options["thumbnails"]
        return [node]


class Cards(SphinxPostTransform):
    """The cards, with the titles of the pages in the language of the pages."""

    default_priority = 4

    def run(self, **keywords) -> None:
        for gallery in list(self.document.findall(GalleryNode)):
            gallery.replace_self(self.cards(gallery))

    def cards(self, gallery: GalleryNode) -> nodes.Element:
        listed = nodes.container(classes=["gallery"])
        listed["translated"] = True
        for page in gallery["pages"]:
            title = self.env.titles[page].astext()
            address = self.app.builder.get_relative_uri(self.env.docname, page)
            picture = posixpath.join(gallery["thumbnails"], posixpath.basename(page) + ".png")
            here = posixpath.dirname(self.env.docname)
            link = nodes.reference("", "", refuri=address, internal=True, classes=["card"])
            image = nodes.image("", uri=posixpath.normpath(posixpath.join(here, picture)), alt="")
            image["candidates"] = {"*": image["uri"]}
            self.env.images.add_file(self.env.docname, image["uri"])
            link += [image, nodes.inline("", title, classes=["card-title"])]
            listed += nodes.container("", nodes.paragraph("", "", link))
        return listed


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(GalleryNode)
    app.add_directive("gallery", Gallery)
    app.add_post_transform(Cards)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
