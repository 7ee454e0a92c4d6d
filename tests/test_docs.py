"""The pages hold together: links and anchors, language, commands, figures, numbers."""

import csv
import re
import statistics

import pytest
import sweep
import versions
from conftest import BEYOND, REPOSITORY, SCRIPTS, cells_of, path_of

pytestmark = pytest.mark.one_backend  # the pages are only read
PAGES = sorted(
    str(path.relative_to(REPOSITORY))
    for path in [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("data/*.md"),
    ]
)
FENCE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1`*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")

# Shapes that a reader has to read twice.
BANNED = [
    r"\bwhoever\b",
    r"\bwho (?:leaves|comes|writes|wants|begins|needs)\b",
    r"\b(?<!new )one (?:pays|wants|wanted|needs|must|can|cannot|trains|has to)\b",
    r"\bone's own\b",
    r"\bis of (?:a|an|another|the)\b",
    r"\bso that (?:nothing|no|none|nobody)\b",
    r"\bfor which\b",
    r"\bnothing of\b",
    r"\bin the mean\b",
    r"\bby lot\b",
    r"\bthe (?:former|latter)\b",
    r", sooner\b",
    r"\bin vain\b",
    r"\bis no merit\b",
    r"\bis none\b",
    r"\bnever passes? for\b",
    r"\bstands where\b",
    r"\bdocuments? [1-5]\b",
    r"\bHow [a-z ]+ (?:either|it|they|he) (?:is|are|was)[^.?]*, [a-z0-9 ]+ say",
]
# Headings of PITFALLS.md are the names under which its entries are linked.
ALLOWED = re.compile(r"^#|^\s*- \[", re.MULTILINE)


def anchor(heading: str) -> str:
    """The name under which GitHub finds a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", FENCE.sub("", text), flags=re.MULTILINE)
    return {anchor(heading) for heading in headings}


def prose_of_script(script: str) -> str:
    return "\n\n".join(cell.source for cell in cells_of(script) if cell.cell_type == "markdown")


def prose(text: str) -> str:
    """The text without code: blocks, indented lines, code spans, rows of tables that quote."""
    text = FENCE.sub("", text)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"``.+?``|`[^`\n]+`", "…", text)
    return "\n".join(line for line in text.splitlines() if not ALLOWED.match(line))


def banned_in(text: str) -> list[str]:
    """Every banned shape that occurs, with what stands around it."""
    flat = " ".join(prose(text).split())
    found = (re.search(f".{{0,40}}(?:{shape}).{{0,30}}", flat, re.IGNORECASE) for shape in BANNED)
    return [match[0] for match in found if match]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_and_anchor_resolves(page):
    path = REPOSITORY / page
    text = path.read_text()
    links = [link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link]
    wrong = []
    for link in links:
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if (
            not target.exists()
            or not target.is_relative_to(REPOSITORY)
            or fragment
            and fragment not in anchors(target.read_text())
        ):
            wrong.append(link)
    assert wrong == []
    assert links or page in ("data/README.md", "CHANGELOG.md")


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_every_file_that_a_script_names_exists(script):
    text = prose_of_script(script)
    for link in LINK.findall(text):
        if "://" not in link:
            assert (path_of(script).parent / link.partition("#")[0]).exists(), link
    for name in re.findall(r"`((?:docs|data|tests|tools|beyond)/[\w./-]+\.\w+)`", text):
        assert (REPOSITORY / name).exists(), name


def test_every_page_is_reached_from_the_front_page_in_two_clicks():
    def targets(page):
        folder = (REPOSITORY / page).parent
        found = {link.partition("#")[0] for link in LINK.findall((REPOSITORY / page).read_text())}
        paths = {(folder / name).resolve() for name in found if name and "://" not in name}
        return {str(path.relative_to(REPOSITORY)) for path in paths if path.suffix == ".md"}

    first = targets("README.md")
    second = set().union(*map(targets, first))
    assert {page for page in PAGES if page.startswith("docs/")} <= first | second


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_written_plainly(page):
    assert banned_in((REPOSITORY / page).read_text()) == []


@pytest.mark.parametrize("script", SCRIPTS + BEYOND)
def test_scripts_are_written_plainly(script):
    assert banned_in(prose_of_script(script)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Whoever catches the error goes on.",
        "What one pays: the earlier files are gone.",
        "The file is of another network.",
        "A number, in the mean of 300 runs, without the former.",
        "A spare batch,\nfor which a row is enough.",
    ],
)
def test_the_shapes_are_noticed(text):
    assert banned_in(text)
    assert not banned_in(f"```text\n{text}\n```\n")


# ------------------------------------------------------------------ commands


def commands(text: str) -> set[str]:
    return set(
        re.findall(r"(?:^    (?:\w+=\S+ )*|`(?:\w+=\S+ )*)make ([\w-]+)", text, re.MULTILINE)
    )


def test_every_command_exists():
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)[1].split())
    targets |= {script[:2] for script in SCRIPTS + BEYOND}
    next_script = str(1 + int(max(SCRIPTS + BEYOND, key=lambda script: script[:2])[:2]))
    for page in PAGES:
        example = {next_script} if page == "CONTRIBUTING.md" else set()
        assert commands((REPOSITORY / page).read_text()) <= targets | example, page
    assert {"all", "test"} <= commands((REPOSITORY / "README.md").read_text())


@pytest.mark.parametrize("page", PAGES)
def test_every_program_that_a_page_starts_exists(page):
    text = (REPOSITORY / page).read_text()
    for name in re.findall(r"\bpython ([\w/]+\.py)", text):
        assert (REPOSITORY / name).exists() or name == "NN_title.py", name


def test_the_commands_that_need_wsl_are_those_that_use_unix():
    text = (REPOSITORY / "docs" / "INSTALL.md").read_text()
    (named,) = re.findall(r"scripts ((?:\d\d(?:, | and )?)+),\s+which\s+use\s+Unix", text)
    unix = re.compile(
        r"signal\.SIG|os\.fork|import resource|os\.killpg|(?:from|import) durable_checkpoint"
    )
    using = [s[:2] for s in SCRIPTS + BEYOND if unix.search(path_of(s).read_text())]
    assert re.findall(r"\d\d", named) == using


# ------------------------------------------------------------------ figures


FIGURES = sorted(path.name for path in (REPOSITORY / "docs" / "figures").glob("*.png"))


def test_every_figure_is_shown_once_and_every_shown_one_exists():
    shown = []
    for page in PAGES:
        text = (REPOSITORY / page).read_text()
        for alt, link in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text):
            assert len(alt) > 20, link
            shown.append(link.rsplit("/", 1)[-1])
    assert sorted(shown) == FIGURES


# ------------------------------------------------------------------ numbers


def page(name: str) -> str:
    return " ".join((REPOSITORY / "docs" / name).read_text().split())


def test_the_table_of_typical_values_is_counted_from_the_sweep():
    text = (REPOSITORY / "docs" / "RESULTS.md").read_text()
    (part,) = re.findall(r"<!-- typical -->\n(.*?)<!-- /typical -->", text, re.DOTALL)
    rows = [[c.strip() for c in line.strip("| ").split(" | ")] for line in part.splitlines()[2:]]
    values = sweep.values_by_backend()
    assert [row[0][:2] for row in rows] == [script[:2] for script in SCRIPTS[:5]]
    for script, row in zip(SCRIPTS[:5], rows, strict=True):
        digits = row[0].split(": ")[1]
        for backend, reached, median in (("tensorflow", *row[2:4]), ("jax", *row[4:6])):
            seen = values[backend, sweep.SPEAKS_FOR.get(script, script), "reproduced"]
            limit = float(digits) - 0.5 * 10 ** -len(digits.split(".")[1])
            assert reached == f"{sum(v >= limit for v in seen)} of {len(seen)}", script
            assert median == f"{statistics.median(seen):.4f}"


def bench(quantity: str) -> dict[tuple[str, str], str]:
    """(way, backend) -> the measured value, as docs/data/bench.csv has it."""
    with (REPOSITORY / "docs" / "data" / "bench.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["quantity"] == quantity]
    return {(row["way"], row["backend"]): row["value"] for row in rows}


def test_the_page_of_the_versions_says_what_was_run():
    rows = versions.recorded()
    assert (REPOSITORY / "docs" / "VERSIONS.md").read_text() == versions.page(rows)
    ran = {(row["keras"], row["tests"]) for row in rows}
    assert {(versions.RELEASES[0], name) for name in versions.TESTS} <= ran
    assert all(int(row["passed"]) > 0 and row["failed"] == "0" for row in rows)


def test_the_shares_of_keras_2_are_the_measured_ones():
    numbers = re.search(r"together, as whole processes, (.*?)\(`make bench`", page("SPEED.md"))[1]
    low, high = (
        bench(f"share of Keras 2's time, {which} round") for which in ("lowest", "highest")
    )
    median = bench("share of Keras 2's time")
    tensorflow, jax = ("01 02 04", "tensorflow"), ("01 02 04", "jax")
    expected = [median[tensorflow], median[jax]]
    expected += [low[tensorflow], high[tensorflow], low[jax], high[jax]]
    assert re.findall(r"\d\.\d+", numbers) == expected


def test_what_a_save_costs_is_what_was_measured():
    text = (REPOSITORY / "docs" / "DURABLE_CHECKPOINT.md").read_text()
    quantities = "blocked", "blocked by the first save", "of the processor"
    columns = [bench(f"seconds {quantity}") for quantity in quantities]
    total = bench("seconds in total")
    rows = re.findall(r"^\| `(\w+)`, `(\.[\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    for name, ending, cells in rows:
        way = f"{name} {ending}", "tensorflow"
        assert cells.split(" | ") == [column[way] for column in columns]
    rows = re.findall(r"^\| JAX: `(\w+)`, `(\.[\w.]+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == 4
    for name, ending, cells in rows:
        way = f"{name} {ending}", "jax"
        both = columns[0], columns[1], total, columns[2]
        assert cells.split(" | ") == [column[way] for column in both]
    blocked, total = bench("seconds blocked on a GPU"), bench("seconds in total on a GPU")
    rows = re.findall(r"^\| GPU: (.*?) \| (.*) \|$", text, re.MULTILINE)
    assert len(rows) == len(blocked) == 5
    for name, cells in rows:
        way = name.replace("`", "").replace(",", ""), "jax"
        assert cells.split(" | ") == [blocked[way], total[way]]
    share = bench("per cent blocked in script 04")
    said = re.findall(
        r"([\d.]+) %", page("DURABLE_CHECKPOINT.md").split("In script 04's training")[1]
    )
    ways = ("DurableCheckpoint", "ModelCheckpoint")
    assert said == [share[way, backend] for way in ways for backend in ("tensorflow", "jax")]
