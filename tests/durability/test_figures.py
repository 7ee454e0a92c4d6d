"""The figures of part two that the pages show are those of their scripts."""

from conftest import BEYOND, figure_of, most_alike
from results_table import FIGURES


def test_the_figures_that_the_pages_show_are_those_of_their_scripts():
    shown = [path for path in FIGURES.glob("*.png") if path.stem in BEYOND]
    assert shown and all(most_alike(path, BEYOND) == path.stem for path in shown)
    assert all(figure_of(script).exists() for script in BEYOND)
