"""The scripts keep their form: one order, shared cells alike, standalone, readable as notebooks."""

import ast
import itertools
import re

import jupytext
import pytest
from conftest import (
    ALWAYS_JAX,
    BEYOND,
    REPOSITORY,
    SCRIPTS,
    code_under_headings,
    docstring,
    path_of,
)

PART_ONE_IMPORTS = {"keras", "numpy", "matplotlib", "h5py"}
ORDER = ["Settings", "Load the data", "Build the model", "Train", "Look", "Check", "Result"]


def source(script: str) -> str:
    return path_of(script).read_text()


def strings(script: str) -> list[str]:
    """All string constants of the code, the prose of the cells left out."""
    tree = ast.parse(source(script))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [n.value for n in constants if isinstance(n.value, str) and id(n) not in prose]


def declared(script: str, field: str) -> str:
    """What the first cell says under Run, Reads, Writes, From or Next."""
    found = re.search(
        rf"^- {field}: +(.*?)(?=^- |\Z)", docstring(script), flags=re.MULTILINE | re.DOTALL
    )
    return found[1]


def test_cells_under_the_same_heading_are_the_same_code():
    cells: dict[str, dict[str, str]] = {}
    for script in SCRIPTS + BEYOND:
        for heading, code in code_under_headings(script).items():
            if not heading.startswith(("Settings", "Check", "Result")):
                cells.setdefault(heading, {})[script] = code
    shared = {heading: found for heading, found in cells.items() if len(found) > 1}
    assert {"Load the data: Pima", "Build the model: Pima"} <= set(shared)
    assert {"Load the data: MNIST", "Build the model: MNIST"} <= set(shared)
    assert {"Load the data: Auto MPG", "Build the model: Auto MPG"} <= set(shared)
    assert "Standardise the columns" in shared
    for heading, found in shared.items():
        for (first, ours), (second, theirs) in itertools.combinations(found.items(), 2):
            assert ours == theirs, f"'{heading}' differs between {first} and {second}"


def test_code_that_loads_data_stands_under_the_shared_heading():
    for script in SCRIPTS + BEYOND:
        for heading, code in code_under_headings(script).items():
            for file, name in (
                ("pima-indians", "Pima"),
                ("mnist.npz", "MNIST"),
                ("auto-mpg", "Auto MPG"),
            ):
                if file in code:
                    assert heading == f"Load the data: {name}", f"{script}: {heading}"


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_sections_follow_the_common_order(script):
    headings = list(code_under_headings(script))
    assert headings[0].startswith(f"{script[:2]} · ")
    known = [word for heading in headings for word in ORDER if heading.startswith(word)]
    positions = [ORDER.index(word) for word in known]
    assert positions == sorted(positions)
    assert set(known) == set(ORDER)


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_first_cell_declares_what_the_code_does(script):
    assert declared(script, "Run").strip() == f"`python {path_of(script).relative_to(REPOSITORY)}`"
    assert declared(script, "From").startswith("beyond" if script in BEYOND else "document")
    assert f"out/{script}/" in declared(script, "Writes")
    read = [text for text in strings(script) if re.match(r"(data|out)/", text)]
    read = [text for text in read if text != f"out/{script}"]
    assert (read or script in BEYOND) and all(
        f"`{text}`" in declared(script, "Reads") for text in read
    )
    named = re.findall(r"`((?:data|out)/[^`]*)`", declared(script, "Reads"))
    assert sorted(named) == sorted(read)
    following = re.findall(r"`((?:beyond/)?\d\d_\w+\.py)`", declared(script, "Next"))
    assert all((REPOSITORY / name).is_file() for name in following)


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_standalone_and_without_switches(script):
    import sys

    tree = ast.parse(source(script))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    if script in BEYOND:
        imported.discard("durable_checkpoint")
    if script in ALWAYS_JAX:
        imported.discard("jax")
    if script in ("14_switch_backend", "15_many_workers"):
        imported -= {"orbax", "tensorflow"}
    assert imported <= PART_ONE_IMPORTS | set(sys.stdlib_module_names)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"__file__", "tf", "argparse"}
    assert not imported & {"argparse", "multiprocessing"}
    assert "os" not in imported or "CHECKPOINT_DIR" in source(script) or script in BEYOND


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_prose_is_30_to_45_percent_of_the_lines(script):
    notebook = jupytext.read(path_of(script))
    lines = {"markdown": 0, "code": 0}
    for cell in notebook.cells:
        lines[cell.cell_type] += sum(bool(line.strip()) for line in cell.source.splitlines())
    assert 0.30 <= lines["markdown"] / sum(lines.values()) <= 0.45, lines


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_becomes_a_notebook_and_back_without_loss(script):
    notebook = jupytext.read(path_of(script))
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith(f"# {script[:2]} · ")
    through_ipynb = jupytext.reads(jupytext.writes(notebook, fmt="ipynb"), fmt="ipynb")
    kept = [(cell.cell_type, cell.source) for cell in through_ipynb.cells]
    assert kept == [(cell.cell_type, cell.source) for cell in notebook.cells]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    rejoined = ast.dump(ast.parse("\n".join(code)))
    without_prose = ast.parse(source(script))
    without_prose.body = [
        node
        for node in without_prose.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert rejoined == ast.dump(without_prose)
