"""Print what the scripts left in out/ as one table, or record it in the pages.

    python tools/results_table.py             scripts 01 to 10
    python tools/results_table.py --beyond    the scripts in beyond/
    python tools/results_table.py 04          one script
    python tools/results_table.py --record    also renew docs/data/results.json and the pages
    python tools/results_table.py --pages     only the pages, from docs/data/results.json

--record keeps this backend's rows in docs/data/results.json, with machine, versions and commit, and
writes the tables of README.md and docs/RESULTS.md from the rows of all backends recorded there. On
TensorFlow it also copies the figures that README.md or a page in docs/ shows to docs/figures/.
"""

import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import sys

import lessons
import sweep
from lessons import REPOSITORY

RECORDED = REPOSITORY / "docs" / "data" / "results.json"
README = REPOSITORY / "README.md"
RESULTS = REPOSITORY / "docs" / "RESULTS.md"
FIGURES = REPOSITORY / "docs" / "figures"
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}
# Whose value stands beside ours, where "From" names several tutorials.
BOOK, BROWNLEE = "*Deep Learning With Python*", "Jason Brownlee"
VALUE_FROM = {
    "01_checkpoint_improvements": BOOK,
    "02_checkpoint_best_only": BROWNLEE,
    "03_load_checkpoint": f"{BROWNLEE}, {BOOK}",
    "04_mnist_every_epoch": "Andrey Sozykin",
    "05_mnist_best_only": "Andrey Sozykin",
    "06_resume_training": "Aveek Saha",
    "07_checkpoint_options": "Aveek Saha",
    "08_stop_overtraining": "Towards Data Science",
    "09_weights_or_whole_model": f"{BROWNLEE}, Towards Data Science",
    "10_custom_callback": "Towards Data Science",
}


def read_results(*folders: str) -> dict[str, dict]:
    """Script -> content of its result.json, in order, and under "run" that of its run.json."""
    found = {}
    for script in (script for folder in folders for script in lessons.scripts(folder)):
        result, run = (
            REPOSITORY / "out" / script.stem / name for name in ("result.json", "run.json")
        )
        if result.exists():
            found[script.stem] = json.loads(result.read_text())
            found[script.stem]["run"] = json.loads(run.read_text()) if run.exists() else None
    return found


def path_of(script: str) -> pathlib.Path:
    part_one = REPOSITORY / f"{script}.py"
    return part_one if part_one.exists() else REPOSITORY / "beyond" / part_one.name


def files_text(result: dict) -> str:
    """How many files the script leaves, and what a single one is called."""
    count = len(result["files"])
    size = f", {result['megabytes']:.0f} MB" if "megabytes" in result else ""
    return (result["files"][0] if count == 1 else f"{count} files") + size


def number(value: float | None) -> str:
    """A score with four digits, a count as it is, a dash where the tutorial gives no number."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def versions_text(result: dict) -> str:
    backend, run = NAMES.get(result["backend"], result["backend"]), result["run"]
    if not run:
        return f"Keras {result['keras']} on {backend}"
    return f"Keras {run['keras']} on {backend} {run['backend_version']}, Python {run['python']}"


def print_table(results: dict[str, dict]) -> None:
    header = ["script", "quantity", "tutorial", "ours", "seconds"]
    rows = [
        [
            f"{script[:2]} {lessons.title(path_of(script))}",
            result["quantity"],
            number(result["documented"]),
            number(result["reproduced"]),
            f"{result['run']['seconds']:.0f}" if result["run"] else "–",
        ]
        for script, result in results.items()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    print()
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    versions = sorted({versions_text(result) for result in results.values()})
    print(f"\n{'; '.join(versions)}. Figures: out/*/*.png. Output: out/logs/")


def processor() -> str:
    """The processor's name as the system reports it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), flags=re.MULTILINE)
        return found[1] if found else platform.machine()
    return platform.processor() or platform.machine()


def record(results: dict[str, dict]) -> dict:
    """Add this backend's rows to docs/data/results.json and return all that is recorded there."""
    if by_hand := [script for script, result in results.items() if not result["run"]]:
        sys.exit(f"not run by make: {', '.join(by_hand)}. First: make all")
    runs = [result["run"] for result in results.values()]
    backend = runs[0]["backend"]
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    recorded[backend] = {
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": f"{NAMES[backend]} {runs[0]['backend_version']}, "
        f"Keras {runs[0]['keras']}, Python {runs[0]['python']}",
        "commit": ", ".join(sorted({str(run["commit"]) for run in runs})),
        "seconds": "of the whole process",
        "rows": {
            script: {
                "files": files_text(result),
                "quantity": result["quantity"],
                "documented": result["documented"],
                "reproduced": round(result["reproduced"], 5),
                "seconds": result["run"]["seconds"],
            }
            for script, result in results.items()
        },
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    return recorded


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rows_on_all_backends(recorded: dict) -> dict[str, dict[str, dict]]:
    """Script -> backend -> its row; without a new script that is recorded on one of them only."""
    scripts = next(iter(recorded.values()))["rows"]
    everywhere = [s for s in scripts if all(s in run["rows"] for run in recorded.values())]
    return {
        script: {b: recorded[b]["rows"][script] for b in NAMES if b in recorded}
        for script in everywhere
    }


def short_table(recorded: dict) -> str:
    """README.md: where a tutorial gives a score, the script, the tutorial, its score, and ours."""
    backends = [name for backend, name in NAMES.items() if backend in recorded]
    rows = []
    for script, row in rows_on_all_backends(recorded).items():
        if not all(isinstance(each["documented"], float) for each in row.values()):
            continue
        path = path_of(script)
        tutorial = VALUE_FROM.get(script) or lessons.field(path, "From")
        (value,) = {number(each["documented"]) for each in row.values()}
        ours = [number(each["reproduced"]) for each in row.values()]
        link = f"[{script[:2]} {lessons.title(path)}]({script}.py)"
        rows.append([link, tutorial, value, *ours])
    header = ["script", "tutorial", "its value", *(f"ours, {name}" for name in backends)]
    return markdown(header, rows)


def results_table(recorded: dict) -> str:
    """docs/RESULTS.md: what each script leaves and finds, and where the numbers come from."""
    names = [name for backend, name in NAMES.items() if backend in recorded]
    header = ["script", "leaves", "quantity", "tutorial"]
    header += [f"ours, {name}" for name in names] + [f"seconds, {name}" for name in names]
    rows = []
    for script, row in rows_on_all_backends(recorded).items():
        each = list(row.values())
        cells = [f"[{script[:2]} {lessons.title(path_of(script))}](../{script}.py)"]
        cells += [" / ".join(dict.fromkeys(one["files"] for one in each)), each[0]["quantity"]]
        cells += [number(each[0]["documented"])] + [number(one["reproduced"]) for one in each]
        rows.append([*cells, *(f"{one['seconds']:.0f}" for one in each)])
    origins = [
        f"- {run['versions']}; {run['machine']}; commit {run['commit']}; seconds {run['seconds']}"
        for run in (recorded[backend] for backend in NAMES if backend in recorded)
    ]
    return markdown(header, rows) + "\n\n" + "\n".join(origins)


def typical_table(recorded: dict) -> str:
    """docs/RESULTS.md: how many of the sweep's runs reach each value of a tutorial."""
    values = sweep.values_by_backend()
    typical = sweep.typical_values()
    header = ["script and tutorial's value", "our run is below it by"]
    for name in NAMES.values():
        header += [f"{name}: reached by", "median"]
    header += ["of 300 runs of script 17: reshuffled", "one order"]
    rows = []
    for script, row in recorded["tensorflow"]["rows"].items():
        if not isinstance(row["documented"], float):
            continue
        ran = sweep.SPEAKS_FOR.get(script, script)
        digits = max(4, len(str(row["documented"])) - 2)  # a float drops the last 0 of 0.9830
        short = [row["documented"] - recorded[b]["rows"][script]["reproduced"] for b in NAMES]
        cells = [f"{script[:2]}: {row['documented']:.{digits}f}"]
        cells += [" / ".join(f"{value:.4f}" for value in dict.fromkeys(short))]
        for backend in NAMES:
            seen = values[backend, ran, "reproduced"]
            reached = sum(round(value, digits) >= row["documented"] for value in seen)
            cells += [f"{reached} of {len(seen)}", f"{statistics.median(seen):.4f}"]
        for experiment in ("reshuffled", "fixed order"):
            if script.startswith(("04", "05")):
                cells.append("–")
                continue
            quantity, count = ("all_rows", 768) if script.startswith("03") else ("best", 254)
            seen = typical[experiment, quantity]
            share = sweep.share_that_reach(str(row["documented"]), seen, count)
            cells.append(f"{share:.1%}")
        rows.append(cells)
    return markdown(header, rows)


def replace_between_markers(text: str, name: str, content: str) -> str:
    """Put content between a page's markers of that name."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(
        pattern, lambda found: f"{found[1]}{content}\n{found[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        sys.exit(f"expected one pair of markers {name}, found {count}")
    return replaced


def write_pages(recorded: dict) -> None:
    README.write_text(replace_between_markers(README.read_text(), "results", short_table(recorded)))
    page = replace_between_markers(RESULTS.read_text(), "results", results_table(recorded))
    RESULTS.write_text(replace_between_markers(page, "typical", typical_table(recorded)))


def figures_shown() -> list[str]:
    """The scripts whose figure README.md or a page in docs/ shows."""
    pages = [README, *(REPOSITORY / "docs").glob("*.md")]
    found = re.findall(
        r"\((?:docs/)?figures/(\d\d_\w+)\.png", "\n".join(page.read_text() for page in pages)
    )
    return sorted(set(found))


def copy_figures() -> None:
    FIGURES.mkdir(parents=True, exist_ok=True)
    for script in figures_shown():
        figure = REPOSITORY / "out" / script / lessons.figure(path_of(script))
        shutil.copy(figure, FIGURES / f"{script}.png")


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    if sys.argv[1:] == ["--pages"]:
        sys.exit(write_pages(json.loads(RECORDED.read_text())))
    results = read_results("beyond") if sys.argv[1:] == ["--beyond"] else read_results(".")
    if sys.argv[1:] == ["--record"]:
        write_pages(record(results))
        if {result["backend"] for result in results.values()} == {"tensorflow"}:
            copy_figures()
    elif sys.argv[1:] and sys.argv[1] != "--beyond":
        results = read_results(".", "beyond")
        results = {script: result for script, result in results.items() if script[:2] in sys.argv}
    print_table(results)
