"""The picture of docs/VERSIONS.md: entries × releases, legible on a telephone.

It is narrow and long: each entry has a line with its heading, and below it a line of cells. Shape
and shade say what a cell says; no colour stands alone.
"""

import hashlib
import io
import pathlib
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from lessons import REPOSITORY
from matplotlib.patches import Rectangle
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from version_environments import RELEASES, numbers
from version_page import cells, columns, entries

PICTURE = REPOSITORY / "docs" / "figures" / "versions.png"
WIDTH, MARGIN = 4.0, 0.08  # inches
LINE, SIZE = 0.135, 7.5  # inches, points
LONGEST = 62  # characters of a heading
# Okabe and Ito's blue, sky blue, and vermilion, and greys.
FACES = {
    "as described": "#0072B2",
    "in part": "#0072B2",
    "another message": "#56B4E9",
    "not there": "white",
    "not run": "none",
}
REMEDY = "#D55E00"


def short(heading: str) -> str:
    """A heading in one line of the picture."""
    return textwrap.shorten(heading.replace("`", ""), LONGEST, placeholder=" …")


def draw_cell(axes, x: float, y: float, width: float, row: dict[str, str] | None) -> None:
    """One cell; its upper left corner is at x, y."""
    height, box = 0.72 * LINE, 0.8 * width
    left, top = x + 0.1 * width, y + 0.12 * LINE
    if row is None:
        axes.plot([x + width / 2], [y + LINE / 2], ".", color="#bbbbbb", markersize=2)
        return
    kind = row["happens"]
    if kind == "not run":
        axes.plot([left, left + box], [y + LINE / 2] * 2, color="#777777", linewidth=1)
    else:
        half = box / 2 if kind == "in part" else box
        axes.add_patch(Rectangle((left, top), half, height, facecolor=FACES[kind], linewidth=0))
        axes.add_patch(
            Rectangle((left, top), box, height, fill=False, edgecolor="#555555", linewidth=0.5)
        )
        if kind == "another message":
            axes.plot([left, left + box], [top + height, top], color="black", linewidth=0.7)
    middle = left + box / 2, top + height / 2
    if row["remedy"] == "fails":
        axes.plot(*middle, "x", color=REMEDY, markersize=5, markeredgewidth=1.6)
    elif row["remedy"] == "refused":
        axes.plot(*middle, "^", color=REMEDY, markersize=3.5)


LEGEND = [
    ("as described", "works", "the entry is right there"),
    ("another message", "works", "it happens, with another message"),
    ("in part", "works", "the message comes, other details differ"),
    ("not there", "works", "it does not happen"),
    ("not run", "works", "the test could not do it there"),
    ("as described", "fails", "the remedy fails"),
    ("as described", "refused", "the remedy needs Keras 3.10"),
]


def fingerprint(rows: list[dict[str, str]]) -> str:
    """Of all that the picture shows; the file carries it, so that a test can compare."""
    shown = [
        [(entry.heading, entry.section) for entry in entries()],
        sorted((r["keras"], r["backend"], r["test"], r["happens"], r["remedy"]) for r in rows),
        RELEASES,
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def draw(rows: list[dict[str, str]], target: pathlib.Path = PICTURE) -> None:
    """Write the picture for these rows of docs/data/versions_gallery.csv."""
    all_columns = {(release, "tensorflow") for release in RELEASES}
    recorded = {release for release, _ in columns(rows)}
    pairs = [pair for pair in all_columns if pair[0] not in recorded] + columns(rows)
    pairs.sort(key=lambda pair: (numbers(pair[0]), pair[1] != "tensorflow"))
    by_place, found = cells(rows), entries()
    sections = len({entry.section for entry in found})
    height = LINE * (2.05 * len(found) + 3 * sections + len(LEGEND) + 3)
    figure = plt.figure(figsize=(WIDTH, height), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    width = (WIDTH - 2 * MARGIN) / max(len(pairs), 1)

    def write(x, y, text, **options):
        options = {"fontsize": SIZE, "va": "center", **options}
        axes.text(x, y + LINE / 2, text.replace("$", r"\$"), **options)

    y = LINE / 2
    for happens, remedy, text in LEGEND:
        draw_cell(axes, MARGIN, y, 0.22, {"happens": happens, "remedy": remedy})
        write(MARGIN + 0.3, y, text)
        y += LINE
    if recorded != set(RELEASES):
        draw_cell(axes, MARGIN, y, 0.22, None)
        write(MARGIN + 0.3, y, "not recorded yet")
    section = None
    for number, entry in enumerate(found, start=1):
        if entry.section != section:
            section = entry.section
            y += 1.4 * LINE
            write(MARGIN, y, section, fontsize=SIZE + 1.5, weight="bold")
            y += 1.1 * LINE
            for index, (release, backend) in enumerate(pairs):
                name = release.rsplit(".", 1)[0] + ("" if backend == "tensorflow" else "\nJAX")
                write(MARGIN + (index + 0.5) * width, y, name, ha="center", fontsize=6.5)
            y += LINE
        write(MARGIN, y, f"{number}  {short(entry.heading)}")
        y += LINE
        for index, pair in enumerate(pairs):
            row = by_place.get((*pair, entry.test))
            draw_cell(axes, MARGIN + index * width, y, width, row)
        y += 1.05 * LINE
    target.parent.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn)
    plt.close(figure)
    of_the_rows = PngInfo()
    of_the_rows.add_text("Description", fingerprint(rows))
    few_colours = Image.open(drawn).convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE)
    few_colours.save(target, pnginfo=of_the_rows, optimize=True)
