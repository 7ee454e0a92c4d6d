"""The scripts keep their form: one order, shared cells alike, standalone, readable as notebooks."""

import ast
import itertools
import re
import sys

import jupytext
import lessons
import pytest
from conftest import (
    ALWAYS_JAX,
    BEYOND,
    REPOSITORY,
    SCRIPTS,
    code_under_headings,
    path_of,
)
from results_table import VALUE_FROM

pytestmark = pytest.mark.one_backend  # the scripts are only read
PART_ONE_IMPORTS = {"keras", "numpy", "matplotlib", "h5py"}
LIBRARY = {
    path.parent.name if path.name == "__init__.py" else path.stem
    for pattern in ("[!0-9]*.py", "*/__init__.py")
    for path in (REPOSITORY / "beyond").glob(pattern)
}
# What a lesson of part two is about.
SUBJECT = {
    "14_switch_backend": {"orbax", "tensorflow"},
    "15_many_workers": {"orbax", "tensorflow"},
    "18_old_files": {"tf_keras", "tensorflow"},
}
ORDER = [
    "Settings and seed",
    "Load the data",
    "Standardise the columns",
    "Build the model",
    "Train",
    "Look",
    "Check",
    "Result",
]
TUTORIALS = (
    "Deep Learning With Python",
    "Jason Brownlee",
    "Andrey Sozykin",
    "Aveek Saha",
    "Towards Data Science",
)
MOST_LINES_OF_CODE = dict(zip(SCRIPTS, [85, 85, 120, 120, 120, 185, 200, 200, 200, 200]))
RESULT_KEYS = {"script", "quantity", "documented", "reproduced", "files", "keras", "backend"}
KEYS_OF_THE_RUNNER = {"seconds", "python", "backend_version", "versions", "machine", "commit"}


def source(script: str) -> str:
    return path_of(script).read_text()


def tree(code: str) -> str:
    """The code without its layout and comments."""
    return ast.dump(ast.parse(code))


def field(script: str, name: str) -> str:
    return lessons.field(path_of(script), name)


def strings(script: str) -> list[str]:
    """All string constants of the code, the prose of the cells left out."""
    nodes = list(ast.walk(ast.parse(source(script))))
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = (node for node in nodes if isinstance(node, ast.Constant))
    return [n.value for n in constants if isinstance(n.value, str) and id(n) not in prose]


def calls(script: str, name: str) -> list[ast.Call]:
    nodes = ast.walk(ast.parse(source(script)))
    return [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == name]


def test_cells_under_the_same_heading_are_the_same_code():
    cells: dict[str, dict[str, str]] = {}
    for script in SCRIPTS + BEYOND:
        for heading, code in code_under_headings(script).items():
            if not heading.startswith(("Settings", "Check", "Result")):
                cells.setdefault(heading, {})[script] = tree(code)
    shared = {heading: found for heading, found in cells.items() if len(found) > 1}
    assert {"Load the data: Pima", "Build the model: Pima"} <= set(shared)
    assert {"Load the data: MNIST", "Build the model: MNIST"} <= set(shared)
    assert {"Load the data: Auto MPG", "Build the model: Auto MPG"} <= set(shared)
    assert {"Standardise the columns", "Processes that end together"} <= set(shared)
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
    assert headings[0] == f"{script[:2]} · {lessons.title(path_of(script))}"
    known = [word for heading in headings for word in ORDER if heading.startswith(word)]
    positions = [ORDER.index(word) for word in known]
    assert positions == sorted(positions)
    assert set(known) >= set(ORDER) - {"Standardise the columns"}
    before_the_settings = headings[1 : headings.index("Settings and seed")]
    assert not any(code_under_headings(script)[heading] for heading in before_the_settings)
    assert headings[-1] == "Result"


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_the_result_comes_last_is_short_and_holds_what_the_lesson_found(script):
    body = ast.parse(code_under_headings(script)["Result"]).body
    lines = [ast.unparse(statement) for node in body for statement in getattr(node, "body", [node])]
    first = lines.index(next(line for line in lines if line.startswith("result = {")))
    stored = "(OUT / 'result.json').write_text(json.dumps(result, indent=1))"
    (last,) = (number for number, line in enumerate(lines) if line.startswith(stored))
    keys = set()
    for node in ast.walk(ast.parse("\n".join(lines[first:last]))):
        if isinstance(node, ast.Assign | ast.AugAssign) and isinstance(node.value, ast.Dict):
            keys |= {getattr(key, "value", None) for key in node.value.keys}
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "result":
            keys.add(getattr(node.slice, "value", None))
    assert keys >= RESULT_KEYS and not keys & KEYS_OF_THE_RUNNER
    after = lines[last + 1 :]
    assert len(after) <= 5 and all(re.match(r"print\(|\w+ = ", line) for line in after)


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_first_cell_says_how_to_run_it_for_whom_and_how_long_it_takes(script):
    path = path_of(script)
    found = re.fullmatch(
        r"`python (\S+)` \(([a-z ]+), (\d+) minutes to read\)", field(script, "Run")
    )
    assert found, field(script, "Run")
    assert found[1] == str(path.relative_to(REPOSITORY))
    assert found[2] in lessons.LEVELS
    assert int(found[3]) == lessons.minutes(path), "python tools/lessons.py --write"


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_first_cell_declares_what_the_code_reads(script):
    """Make takes the dependencies from there."""
    read = {text for text in strings(script) if re.fullmatch(r"(data|out)/\S+", text)}
    read = {text for text in read if not f"{text}/".startswith(f"out/{script}/")}
    assert set(lessons.reads(path_of(script))) == read
    assert field(script, "Reads") == "no file" or read


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_first_cell_declares_what_the_code_writes_and_what_comes_next(script):
    writes = field(script, "Writes")
    assert writes.startswith(f"`out/{script}/`: ") and "`result.json`" in writes
    assert f"`{lessons.figure(path_of(script))}`" in writes
    following = re.findall(r"`([^`]+\.(?:py|md))`", field(script, "Next"))
    assert following and all((REPOSITORY / name).is_file() for name in following)


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_first_cell_names_the_tutorials_by_their_authors(script):
    origin = field(script, "From")
    assert origin and not re.search(r"\bdocuments? \d", source(script))
    if script in SCRIPTS:
        assert any(tutorial in origin for tutorial in TUTORIALS)
    for author in VALUE_FROM.get(script, "").split(", "):
        assert author.strip("*") in origin


def test_each_script_saves_one_figure_with_a_name_of_its_own():
    names = [lessons.figure(path_of(script)) for script in SCRIPTS + BEYOND]
    assert len(set(names)) == len(names) and "learning_curve.png" not in names
    for script in SCRIPTS + BEYOND:
        (save,) = calls(script, "savefig")
        assert {k.arg: ast.unparse(k.value) for k in save.keywords} == {"dpi": "150"}, script


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_code_is_the_lesson_and_little_else(script):
    limit = MOST_LINES_OF_CODE.get(script, 200)
    assert lessons.lines_of_code(path_of(script)) <= limit


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_standalone_and_without_switches(script):
    imported = set()
    for node in ast.walk(ast.parse(source(script))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    if script in BEYOND:
        imported -= LIBRARY | SUBJECT.get(script, set())
    if script in ALWAYS_JAX:
        imported.discard("jax")
    assert imported <= PART_ONE_IMPORTS | set(sys.stdlib_module_names)
    names = {n.id for n in ast.walk(ast.parse(source(script))) if isinstance(n, ast.Name)}
    assert not names & {"__file__", "tf", "argparse"}
    assert not imported & {"argparse", "multiprocessing"}
    assert "os" not in imported or "CHECKPOINT_DIR" in source(script) or script in BEYOND


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_becomes_a_notebook_and_back_without_loss(script):
    notebook = jupytext.read(path_of(script))
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith(f"# {script[:2]} · ")
    through_ipynb = jupytext.reads(jupytext.writes(notebook, fmt="ipynb"), fmt="ipynb")
    kept = [(cell.cell_type, cell.source) for cell in through_ipynb.cells]
    assert kept == [(cell.cell_type, cell.source) for cell in notebook.cells]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    without_prose = ast.parse(source(script))
    without_prose.body = [
        node
        for node in without_prose.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert tree("\n".join(code)) == ast.dump(without_prose)


def test_length_is_counted_in_cells_and_rounded_up_to_five_minutes(tmp_path):
    script = tmp_path / "01_short.py"
    words = "word " * 150
    script.write_text(
        f'# %% [markdown]\n"""\n# 01 · Title\n\n{words}\n\n'
        "- Run:    `python 01_short.py` (first\n  steps, 70 minutes to read)\n"
        '"""\n\n# %%\n' + "x = 1\n\n" * 60
    )
    assert lessons.lines_of_code(script) == 60
    assert lessons.words_of_prose(script) == 4 + 150 + 10
    assert lessons.minutes(script) == 5  # 1.6 minutes of prose, 3 of code
    script.write_text(script.read_text() + "x = 2\n" * 10)
    assert lessons.minutes(script) == 10
    assert lessons.declared_minutes(script) == 70
    lessons.write_minutes(script)
    assert lessons.declared_minutes(script) == 10


def test_a_test_file_that_runs_with_one_backend_imports_none():
    marked = []
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        body = ast.parse(path.read_text())
        marks = [ast.unparse(n.value) for n in body.body if isinstance(n, ast.Assign)]
        if "pytest.mark.one_backend" not in marks:
            assert "mark.one_backend" not in path.read_text() or path.name == "test_form.py"
            continue
        marked.append(path.name)
        for node in ast.walk(body):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.partition(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").partition(".")[0])
                assert not names & {"keras", "tf_keras", "tensorflow", "jax", "BACKEND"}, path
    assert "test_run.py" in marked
