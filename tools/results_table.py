"""Print what the scripts left in out/ as one table.

    python tools/results_table.py                  scripts 01 to 10
    python tools/results_table.py --beyond         the scripts in beyond/
    python tools/results_table.py 04               one script
    python tools/results_table.py --write-readme   also renew README's tables and figure

--write-readme keeps this backend's rows in docs/data/results.json, with machine, versions and
commit, and writes README's tables from the rows of all backends recorded there. README's figure is
the one
of the TensorFlow run.
"""

import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys

import sweep

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RECORDED = REPOSITORY / "docs" / "data" / "results.json"
README = REPOSITORY / "README.md"
README_FIGURES = {
    "04_mnist_every_epoch": "learning_curve.png",
    "11_survive_a_crash": "kills.png",
    "14_switch_backend": "matrix.png",
    "15_many_workers": "timeline.png",
    "17_how_typical": "distribution.png",
}
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}


def read_results(*folders: str) -> dict[str, dict]:
    """Script -> content of its result.json, in order, for the scripts in these folders."""
    scripts = sorted(
        script.stem
        for folder in folders
        for script in (REPOSITORY / folder).glob("[0-9][0-9]_*.py")
    )
    paths = [REPOSITORY / "out" / script / "result.json" for script in scripts]
    return {path.parent.name: json.loads(path.read_text()) for path in paths if path.exists()}


def files_text(result: dict) -> str:
    """How many files the script leaves, and what a single one is called."""
    count = len(result["files"])
    size = f", {result['megabytes']:.0f} MB" if "megabytes" in result else ""
    return (result["files"][0] if count == 1 else f"{count} files") + size


def number(value: float | None) -> str:
    """A score with four digits, a count as it is, a dash where the document names no data."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def print_table(results: dict[str, dict]) -> None:
    header = ["script", "files written", "quantity", "documented", "reproduced", "seconds"]
    rows = [
        [
            script,
            files_text(result),
            result["quantity"],
            number(result["documented"]),
            number(result["reproduced"]),
            f"{result['seconds']:.1f}",
        ]
        for script, result in results.items()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    print()
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    versions = {
        f"{r['backend']} {r['backend_version']}, Keras {r['keras']}, Python {r['python']}"
        for r in results.values()
    }
    print("\n" + "; ".join(sorted(versions)))
    print("Seconds count from the first line after the imports. Figures: out/*/*.png")


def processor() -> str:
    """The processor's name as the system reports it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), flags=re.MULTILINE)
        return found[1] if found else platform.machine()
    return platform.processor() or platform.machine()


def record(results: dict[str, dict]) -> dict:
    """Add this backend's rows to docs/data/results.json and return all that is recorded there."""
    first = next(iter(results.values()))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    recorded[first["backend"]] = {
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": f"{NAMES[first['backend']]} {first['backend_version']}, "
        f"Keras {first['keras']}, Python {first['python']}",
        "commit": commit,
        "rows": {
            script: {
                "files": files_text(result),
                "quantity": result["quantity"],
                "documented": result["documented"],
                "reproduced": round(result["reproduced"], 5),
                "seconds": result["seconds"],
            }
            for script, result in results.items()
        },
    }
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
    return recorded


def first_sentence(script: str) -> str:
    """The title in the script's first cell, without the number."""
    return re.search(
        r"^# \d\d · (.*)$", (REPOSITORY / f"{script}.py").read_text(), flags=re.MULTILINE
    )[1]


def readme_tables(recorded: dict) -> str:
    """README's results table and the line that says where its numbers come from, as Markdown."""
    backends = [backend for backend in NAMES if backend in recorded]
    names = [NAMES[backend] for backend in backends]
    header = ["script", "leaves", "quantity", "documented"]
    header += [f"reproduced, {name}" for name in names] + [f"seconds, {name}" for name in names]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for script, row in recorded[backends[0]]["rows"].items():
        rows = [recorded[backend]["rows"].get(script) for backend in backends]
        if None in rows:  # a new script, not yet recorded on the other backend
            continue
        cells = [f"[{script[:2]} {first_sentence(script)}]({script}.py)"]
        cells += [" / ".join(dict.fromkeys(each["files"] for each in rows)), row["quantity"]]
        cells += [number(row["documented"])] + [number(each["reproduced"]) for each in rows]
        cells += [f"{each['seconds']:.0f}" for each in rows]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for backend in backends:
        run = recorded[backend]
        lines.append(f"- {run['versions']}; {run['machine']}; commit {run['commit']}")
    return "\n".join(lines)


def typical_table(recorded: dict) -> str:
    """How many of the sweep's runs reach each documented value, as Markdown."""
    values = sweep.values_by_backend()
    typical = sweep.typical_values()
    header = ["script and documented value", "our run is below it by"]
    for name in NAMES.values():
        header += [f"{name}: reached by", "median"]
    header += ["of 300 runs of script 17: reshuffled", "one order"]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
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
            quantity, rows = ("all_rows", 768) if script.startswith("03") else ("best", 254)
            seen = typical[experiment, quantity]
            share = sweep.share_that_reach(str(row["documented"]), seen, rows)
            cells.append(f"{share:.1%}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def replace_between_markers(text: str, name: str, content: str) -> str:
    """Put content between README's markers of that name."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(
        pattern, lambda found: f"{found[1]}{content}\n{found[2]}", text, flags=re.DOTALL
    )
    if count != 1:
        sys.exit(f"README.md: expected one pair of markers {name}, found {count}")
    return replaced


def write_readme(recorded: dict) -> None:
    text = replace_between_markers(README.read_text(), "results", readme_tables(recorded))
    README.write_text(replace_between_markers(text, "typical", typical_table(recorded)))


def copy_figures() -> None:
    for script, name in README_FIGURES.items():
        figure = REPOSITORY / "docs" / "figures" / f"{script}.png"
        figure.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / "out" / script / name, figure)


if __name__ == "__main__":
    results = read_results("beyond") if sys.argv[1:] == ["--beyond"] else read_results(".")
    if sys.argv[1:] == ["--write-readme"]:
        write_readme(record(results))
        if {result["backend"] for result in results.values()} == {"tensorflow"}:
            copy_figures()
    elif sys.argv[1:] and sys.argv[1] != "--beyond":
        results = read_results(".", "beyond")
        results = {script: result for script, result in results.items() if script[:2] in sys.argv}
    print_table(results)
