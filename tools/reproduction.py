"""Write docs/REPRODUCTION.md: a verdict for every number in the tutorials.

    python tools/reproduction.py

Shares and medians come from docs/data/how_typical.csv (script 17) and docs/data/sweep.csv
(`make sweep`), our own runs from docs/data/results.json (`make figures`), settings from
the scripts.
"""

import csv
import json
import re
import statistics

import sweep
from results_table import NAMES, RECORDED, REPOSITORY, replace_between_markers

PAGE = REPOSITORY / "docs" / "REPRODUCTION.md"
EXPERIMENTS = {"reshuffled": "reshuffled", "fixed order": "one order"}
ALL_ROWS, VALIDATION_ROWS = 768, 254

# Tutorial, where it stands, the value, the quantity in how_typical.csv, rows that it counts.
# A value of two digits stands in the name of a file, so whatever rounds to it reaches it.
PIMA = [
    ("book", "best of 150 epochs, reached at 146 and 148", "0.84252", "best", VALIDATION_ROWS),
    ("book", "best by epoch 140", "0.83858", "best_by_140", VALIDATION_ROWS),
    ("book", "best by epoch 139", "0.83465", "best_by_139", VALIDATION_ROWS),
    ("book", "name of a file, epoch 93", "0.83", "best_by_93", VALIDATION_ROWS),
    ("book", "name of a file, epoch 91", "0.82", "best_by_91", VALIDATION_ROWS),
    ("book", "name of a file, epoch 81", "0.82", "best_by_81", VALIDATION_ROWS),
    ("book", "name of a file, epoch 74", "0.81", "best_by_74", VALIDATION_ROWS),
    ("Brownlee", "best of 150 epochs, reached at 144 and 145", "0.79528", "best", VALIDATION_ROWS),
    ("Brownlee", "best by epoch 139", "0.79134", "best_by_139", VALIDATION_ROWS),
    ("Brownlee", "name of a file, epoch 99", "0.78", "best_by_99", VALIDATION_ROWS),
    ("Brownlee", "name of a file, epoch 77", "0.78", "best_by_77", VALIDATION_ROWS),
    ("Brownlee", "name of a file, epoch 71", "0.76", "best_by_71", VALIDATION_ROWS),
    ("Brownlee", "name of a file, epoch 53", "0.76", "best_by_53", VALIDATION_ROWS),
    ("book, Brownlee", "accuracy on all rows, weights loaded", "0.7773", "all_rows", ALL_ROWS),
]

# Tutorial, what, the script and its constant, or "Dense" for the units of its layers.
SETTINGS = [
    ("book, Brownlee", "150 epochs", "01_checkpoint_improvements", "EPOCHS"),
    ("book, Brownlee", "batches of 10", "01_checkpoint_improvements", "BATCH_SIZE"),
    ("book, Brownlee", "validation share 0.33", "01_checkpoint_improvements", "VALIDATION_SPLIT"),
    ("book, Brownlee", "seed 7", "01_checkpoint_improvements", "SEED"),
    ("book, Brownlee", "layers of 12, 8 and 1 units", "01_checkpoint_improvements", "Dense"),
    ("Sozykin", "25 epochs", "04_mnist_every_epoch", "EPOCHS"),
    ("Sozykin", "batches of 200", "04_mnist_every_epoch", "BATCH_SIZE"),
    ("Sozykin", "validation share 0.2", "04_mnist_every_epoch", "VALIDATION_SPLIT"),
    ("Sozykin", "layers of 800 and 10 units", "04_mnist_every_epoch", "Dense"),
    ("Saha", "20 epochs", "06_resume_training", "EPOCHS"),
    ("Saha", "batches of 100", "06_resume_training", "BATCH_SIZE"),
    ("Saha", "7 parameters of ModelCheckpoint", "07_checkpoint_options", "DOCUMENTED_PARAMETERS"),
]


def verdict(share_of_runs: float) -> str:
    if share_of_runs == 0:
        return "not reached"
    if share_of_runs < 0.05:
        return "rare"
    return "better than most" if share_of_runs < 0.5 else "typical"


def table(header: list[str], rows: list[list]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def pima() -> str:
    typical = sweep.typical_values()
    fitted = sweep.values_by_backend()
    scripts = {"best": "02_checkpoint_best_only", "all_rows": "03_load_checkpoint"}
    rows = []
    for document, where, value, quantity, count in PIMA:
        shares = [
            sweep.share_that_reach(value, typical[name, quantity], count) for name in EXPERIMENTS
        ]
        cells = [document, where, value, *(f"{each:.1%}" for each in shares)]
        for backend in NAMES:
            if quantity in scripts:
                seen = fitted[backend, scripts[quantity], "reproduced"]
                reached = sweep.share_that_reach(value, seen, count) * len(seen)
                cells.append(f"{reached:.0f} of {len(seen)}")
            else:
                cells.append("")
        rows.append([*cells, verdict(shares[0])])
    header = ["tutorial", "where", "value", *EXPERIMENTS.values()]
    header += [f"`fit`, {name}" for name in NAMES.values()] + ["verdict"]
    return table(header, rows)


def distribution() -> str:
    rows = []
    for (experiment, quantity), values in sweep.typical_values().items():
        if quantity.startswith(("best_by", "best_epoch")):
            continue
        cuts = statistics.quantiles(values, n=40, method="inclusive")
        cells = [f"{number:.3f}" for number in (statistics.median(values), cuts[0], cuts[-1])]
        rows.append(
            [
                EXPERIMENTS.get(experiment, experiment),
                quantity.replace("_", " "),
                *cells,
                f"{max(values):.3f}",
            ]
        )
    return table(["experiment", "quantity", "median", "2.5 %", "97.5 %", "highest"], rows)


def luck() -> str:
    typical = sweep.typical_values()
    best, judged, last = (typical["divided", name] for name in ("best", "judged", "judged_last"))

    def mean(first, second):
        differences = [a - b for a, b in zip(first, second, strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5
        return f"{statistics.mean(differences):+.4f} (standard error {error:.4f})"

    return table(
        ["difference, mean of the runs", "accuracy"],
        [
            [
                "best epoch: on the rows that chose it, minus on rows that did not",
                mean(best, judged),
            ],
            ["on rows that did not choose: the best epoch, minus the last one", mean(judged, last)],
        ],
    )


def mnist() -> str:
    values = sweep.values_by_backend()
    rows = []
    for backend, name in NAMES.items():
        best, epochs, on_test, last = (
            values[backend, "04_mnist_every_epoch", quantity]
            for quantity in ("reproduced", "best_epoch", "test_accuracy_best", "test_accuracy_last")
        )
        reached = sum(round(value, 4) >= 0.9830 for value in best)
        lost = [before - after for before, after in zip(on_test, last, strict=True)]
        rows.append(
            [
                name,
                f"{reached} of {len(best)}",
                f"{statistics.median(best):.4f}",
                f"{min(best):.4f} to {max(best):.4f}",
                f"{statistics.median(epochs):.0f} ({min(epochs):.0f} to {max(epochs):.0f})",
                f"{sum(epoch == 25 for epoch in epochs)} of {len(epochs)}",
                f"{statistics.median(lost):+.4f} ({min(lost):+.4f} to {max(lost):+.4f})",
            ]
        )
    header = ["`fit` on", "0.9830 reached", "median", "lowest to highest", "best epoch, median"]
    return table([*header, "best epoch is the last", "last epoch loses, test images"], rows)


def uncommented(text: str) -> str:
    return re.sub(r" +#.*$", "", text, flags=re.MULTILINE)


def settings() -> str:
    rows = []
    for document, what, script, constant in SETTINGS:
        text = (REPOSITORY / f"{script}.py").read_text()
        if constant == "Dense":
            there = ", ".join(f"`Dense({units})`" for units in re.findall(r"Dense\((\d+)", text))
        else:
            there = f"`{re.search(rf'^{constant} = [^ ]+$', uncommented(text), re.MULTILINE)[0]}`"
        rows.append([document, what, f"[{script}.py](../{script}.py)", there])
    return table(["tutorial", "number", "script", "there"], rows)


def files() -> str:
    recorded = json.loads(RECORDED.read_text())
    rows = []
    for document, documented, script in (
        ("Sozykin", "25 files", "04_mnist_every_epoch"),
        ("Saha", "20 files", "06_resume_training"),
    ):
        ours = {recorded[backend]["rows"][script]["files"].split(",")[0] for backend in NAMES}
        same = "as documented" if ours == {documented} else "otherwise"
        rows.append([document, documented, script[:2], " / ".join(sorted(ours)), same])
    return table(["tutorial", "number", "script", "ours", "verdict"], rows)


def sources() -> str:
    with sweep.HOW_TYPICAL.open(newline="") as typical, sweep.SWEEP.open(newline="") as swept:
        lines = []
        for name, file in (("how_typical.csv", typical), ("sweep.csv", swept)):
            found: dict[str, set[str]] = {}
            for row in csv.DictReader(file):
                where = f"{row['backend']}, Keras {row['keras']}, Python {row['python']}"
                found.setdefault(f"{where}; {row['machine']}", set()).add(row["date"])
            for where, dates in sorted(found.items()):
                when = " to ".join(sorted({min(dates), max(dates)}))
                lines.append(f"- [{name}](data/{name}): {where}; {when}")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with all that stands between its markers made anew."""
    for part in (pima, distribution, luck, mnist, settings, files, sources):
        text = replace_between_markers(text, part.__name__, part())
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
