"""What scripts 11 to 17 draw, print and check, tried with values given here: no training."""

import ast
import copy
import importlib.util
import json
import math
import pathlib
import shutil
import signal
import sys
import textwrap

import h5py
import keras
import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import code_under_headings, docstring
from durable_checkpoint import DurableCheckpoint
from test_untrusted import EXPECTED

MODULES = {"json": json, "math": math, "np": np, "plt": plt, "keras": keras, "h5py": h5py}
MODULES |= {"signal": signal, "shutil": shutil, "sys": sys, "textwrap": textwrap}


@pytest.fixture(autouse=True)
def without_a_window():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def given(script, folder, *headings):
    """The script's UPPER_CASE settings, with OUT in this folder, and the functions of cells."""
    names = MODULES | {"pathlib": pathlib, "importlib": importlib}
    names["DurableCheckpoint"] = DurableCheckpoint
    sections = code_under_headings(script)
    (settings,) = (code for title, code in sections.items() if title.startswith("Settings"))
    kept = [
        node
        for node in ast.parse(settings).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()
    ]
    for heading in headings:
        tree = ast.parse(sections[heading])
        kept += [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    exec(compile(ast.Module(kept, []), script, "exec"), names)  # noqa: S102
    (folder / script).mkdir(exist_ok=True)
    return names | {"OUT": folder / script}


def saved_figure(names, script):
    """The script's only figure, which its first cell names."""
    (picture,) = (path.name for path in names["OUT"].glob("*.png"))
    assert f"`{picture}`" in docstring(script).partition("- Writes:")[2]
    return names["figure"]


def same_colour(one, other):
    return matplotlib.colors.to_rgb(one) == matplotlib.colors.to_rgb(other)


def legend_of(owner):
    """Label -> what is drawn beside it."""
    legend = owner.legends[0] if hasattr(owner, "legends") else owner.get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    return dict(zip(texts, legend.legend_handles, strict=True))


def fails(execute, script, names, damage, number):
    """The script's *Check* notices the damage, and nothing without it."""
    execute(script, "Check", **copy_of(names))
    damaged = copy_of(names)
    damage(damaged)
    try:
        execute(script, "Check", **damaged)
    except (AssertionError, ValueError):
        return
    pytest.fail(f"{script}: its Check does not notice {number}")


def copy_of(names):
    plain = (dict, list, set, np.ndarray)
    return {
        name: copy.deepcopy(value) if isinstance(value, plain) else value
        for name, value in names.items()
        if name != "__builtins__"
    }


def assert_noticed(execute, script, names, damages):
    for number, damage in enumerate(damages):
        fails(execute, script, names, damage, f"damage {number}")


# ------------------------------------------------------------------ 11


@pytest.fixture
def killed_in_mid_save(tmp_path):
    names = given("11_survive_a_crash", tmp_path)
    stock = [
        {"moment": 0.02 * n, "status": -9, "trained": 4, "left": None, "verdict": "not HDF5"}
        for n in range(20)
    ]
    stock[3] |= {"left": 4, "verdict": "structure"}
    ours = [
        {"moment": 1.1 - 0.05 * n, "status": -9, "trained": 5, "left": 5 - n % 3} for n in range(20)
    ]
    ours = [kill | {"verdict": "checksum"} for kill in ours]
    names["kills"] = {"ModelCheckpoint": stock, "DurableCheckpoint": ours}
    names["kept"] = {"ModelCheckpoint": 1, "DurableCheckpoint": 20}
    return names


def test_11_each_mark_is_a_kill_at_its_moment_and_says_what_was_left(execute, killed_in_mid_save):
    names = execute("11_survive_a_crash", "Look", **killed_in_mid_save)
    figure = saved_figure(names, "11_survive_a_crash")
    (axes,) = figure.axes
    rows = {
        label.get_text(): tick for label, tick in zip(axes.get_yticklabels(), axes.get_yticks())
    }
    meanings = {
        (handle.get_marker(), handle.get_color()): label
        for label, handle in legend_of(figure).items()
    }
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(marks) == 40
    for name, kills in killed_in_mid_save["kills"].items():
        label = f"{name}\n{killed_in_mid_save['kept'][name]} of 20 files kept"
        ours = [m for m in marks if abs(m.get_ydata()[0] - rows[label]) < 0.5]
        ours.sort(key=lambda mark: mark.get_ydata()[0])
        assert [mark.get_xdata()[0] for mark in ours] == pytest.approx(
            [100 * kill["moment"] for kill in kills]
        )
        for mark, kill in zip(ours, kills, strict=True):
            word = "lost" if kill["left"] is None else "last"
            word = "earlier" if kill["left"] not in (None, kill["trained"]) else word
            assert word in meanings[mark.get_marker(), mark.get_color()]
    assert "%" in axes.get_xlabel()


def test_11_its_check_notices(execute, killed_in_mid_save, tmp_path):
    size = 1000
    bits = [tmp_path / f"{name}.weights.h5" for name in ("ModelCheckpoint", "DurableCheckpoint")]
    bits[1].write_bytes(bytes(size))
    beside = [{"a": 500}, {"a": size}, {"a": size}, {"a": size, "b": 1, "c": 2}, {"b": 1, "c": 2}]
    statuses = [-signal.SIGXFSZ, -9, -9, -9, -9]
    crashes = [
        {"status": status, "left": left, "verdict": "checksum", "beside": each}
        for status, left, each in zip(statuses, (1, 1, 1, 1, 2), beside, strict=True)
    ]
    names = killed_in_mid_save | {"differing": 1, "files": bits, "crashes": crashes}
    names |= {"verdicts": ["structure", "its SHA-256 is another"], "unfinished": lambda _: []}

    def kill(name, **changes):
        return lambda n: n["kills"][name][7].update(changes)

    def crash(step, **changes):
        return lambda n: n["crashes"][step - 1].update(changes)

    damages = [
        kill("DurableCheckpoint", left=None),
        kill("DurableCheckpoint", verdict="structure"),
        kill("DurableCheckpoint", left=1),
        kill("ModelCheckpoint", status=0),
        lambda n: n["kills"]["DurableCheckpoint"].pop(),
        lambda n: n["kept"].update(ModelCheckpoint=10),
        lambda n: n.update(unfinished=lambda _: ["pending", ".saving", ".saving-2", ".saving-3"]),
        lambda n: n.update(differing=2),
        lambda n: n.update(differing=0),
        lambda n: n["verdicts"].reverse(),
        lambda n: n["verdicts"].__setitem__(1, "checksum"),
        crash(1, status=-9),
        crash(3, status=0),
        crash(5, left=1),
        crash(4, left=2),
        crash(2, verdict="structure"),
        crash(1, beside={"a": size}),
        crash(3, beside={"a": 500}),
        crash(4, beside={"a": size}),
        crash(5, beside={}),
    ]
    assert_noticed(execute, "11_survive_a_crash", names, damages)


# ------------------------------------------------------------------ 12


def trained(losses, first=0, bits="bits"):
    epochs = list(range(first, first + len(losses)))
    return {"epochs": epochs, "fingerprint": bits, "history": {"val_loss": losses}}


@pytest.fixture
def resumed(tmp_path):
    names = given("12_exact_resume", tmp_path)
    whole = trained([0.9, 0.8, 0.7, 0.75, 0.6])
    rows = {
        what: {
            "same_bits": what == "nothing",
            "same_history": what == "nothing",
            "epochs_in_history": 5,
            "last_loss": [0.61, 0.6],
            "killed_in": 2,
            "trained": whole,
        }
        for what in ("nothing", "seeds", "callbacks", "optimizer", "shuffle", "stock")
    }
    if keras.backend.backend() == "tensorflow":
        rows["shuffle"] |= {"same_bits": True, "same_history": True}
    stock = trained([0.72, 0.78, 0.66], first=2, bits="other")
    rows["stock"]["trained"] = stock
    names |= {"whole": whole, "killed": copy.deepcopy(whole), "rows": rows, "kills": [9, 20, 15]}
    return names | {"killed_in": [0, 2, 3], "stock": stock}


def test_12_the_curves_and_the_epochs_of_the_kills(execute, resumed):
    resumed["killed"]["history"]["val_loss"] = [0.91, 0.81, 0.71, 0.76, 0.61]
    names = execute("12_exact_resume", "Look", **resumed)
    (axes,) = saved_figure(names, "12_exact_resume").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    (uninterrupted,) = (label for label in lines if "never" in label)
    (stock,) = (label for label in lines if "BackupAndRestore" in label)
    (marks,) = (label for label in lines if "in this epoch" in label)
    (killed,) = set(lines) - {uninterrupted, stock, marks}
    assert "bit for bit" in killed and set(legend_of(axes)) == set(lines)
    assert lines[uninterrupted] == [[1, 0.9], [2, 0.8], [3, 0.7], [4, 0.75], [5, 0.6]]
    assert lines[killed] == [[1, 0.91], [2, 0.81], [3, 0.71], [4, 0.76], [5, 0.61]]
    assert lines[marks] == [[1, 0.91], [3, 0.71], [4, 0.76]]
    assert lines[stock] == [[3, 0.72], [4, 0.78], [5, 0.66]]
    assert "3 times" in axes.get_title()
    assert axes.get_xlabel() == "epoch" and "validation loss" in axes.get_ylabel()


class NoTrainer:
    stdin = property(lambda self: self)
    close = wait = staticmethod(lambda: None)


def test_12_the_table_compares_each_training_with_the_one_it_should_equal(execute, resumed, capsys):
    """Killed half an epoch before the rate is lowered for the first time."""

    def with_rates(losses, bits, **changes):
        made = trained(losses, bits=bits) | changes
        made["history"]["learning_rate"] = [0.005, 0.005, 0.0015, 0.0015][: len(losses)]
        return made

    whole = with_rates([0.9, 0.8, 0.7, 0.6], "w")
    arrays = with_rates([0.9, 0.8, 0.75, 0.65], "a")
    resumed_ones = {
        "nothing": whole,
        "seeds": with_rates([0.9, 0.8, 0.7, 0.61], "s"),
        "callbacks": with_rates([0.9, 0.8, 0.7, 0.62], "w"),
        "optimizer": with_rates([0.9, 0.8, 0.7, 0.6], "o"),
        "shuffle": arrays,
        "stock": with_rates([0.7, 0.64], "t", epochs=[2, 3]),
    }
    lives = []

    def train(what, name, life="whole"):
        lives.append((what, name, life))
        return arrays if name == "arrays_whole" else resumed_ones[what]

    names = {"np": np, "whole": whole, "train": train, "batches_per_epoch": 20}
    heading = "Train: what breaks an exact resume"
    rows = execute("12_exact_resume", heading, **names, trainer=NoTrainer())["rows"]
    same = {what: (row["same_bits"], row["same_history"]) for what, row in rows.items()}
    assert same == {
        "nothing": (True, True),
        "seeds": (False, False),
        "callbacks": (True, False),
        "optimizer": (False, True),
        "shuffle": (True, True),
        "stock": (False, False),
    }
    assert rows["stock"]["last_loss"] == [0.64, 0.6] and rows["stock"]["epochs_in_history"] == 2
    assert rows["shuffle"]["last_loss"] == [0.65, 0.65]
    assert {row["killed_in"] for row in rows.values()} == {1}
    assert [life for _, _, life in lives] == ["whole", *[30, "whole"] * 6]
    printed = capsys.readouterr().out.splitlines()[2:]
    words = [line[40:].split() for line in printed]
    said = {True: "same", False: "other"}
    assert [w[:3] for w in words] == [
        [said[bits], said[history], "2" if what == "stock" else "4"]
        for what, (bits, history) in same.items()
    ]
    assert words[1][3:] == ["0.610000,", "not", "0.600000"] and words[0][3:] == ["0.600000"]


def test_12_its_check_notices(execute, resumed):
    damages = [
        lambda n: n.update(kills=[9, 20]),
        lambda n: n.update(killed_in=[2, 0, 3]),
        lambda n: n["killed"].update(fingerprint="other"),
        lambda n: n["killed"]["history"]["val_loss"].__setitem__(3, 0.7500001),
        lambda n: n["killed"].update(epochs=[0, 1, 2, 3]),
        lambda n: n["rows"]["nothing"].update(same_bits=False),
        lambda n: n["rows"]["nothing"].update(same_history=False),
        lambda n: n["rows"]["seeds"].update(same_bits=True),
        lambda n: n["rows"]["callbacks"].update(same_history=True),
        lambda n: n["rows"]["optimizer"].update(same_bits=True),
        lambda n: n["rows"]["stock"].update(same_bits=True),
        lambda n: n["rows"]["shuffle"].update(same_bits=not n["rows"]["shuffle"]["same_bits"]),
        lambda n: n["rows"]["stock"].update(killed_in=1),
        lambda n: (n["OUT"] / "whole" / "backup").mkdir(parents=True),
    ]
    assert_noticed(execute, "12_exact_resume", resumed, damages)


# ------------------------------------------------------------------ 13

WAYS = [
    f"{c}, {e}" for c in ("ModelCheckpoint", "DurableCheckpoint") for e in (".keras", ".weights.h5")
]


@pytest.fixture
def measured(tmp_path):
    """Medians: size index + 1, times 1, 2, 3, 4 for the ways, and other factors for the rest."""
    names = given("13_background_checkpoint", tmp_path)

    def rounds(factor, ways=WAYS):
        return [
            {
                way: np.array([0.5, 1, 4]) * (w + 1) * (size + 1) * factor
                for w, way in enumerate(ways)
            }
            for size in range(4)
        ]

    names |= {"megabytes": [12.0, 48.0, 180.0, 1152.0], "blocked": rounds(1)}
    first = [{way: [10.0 * (size + 1) + w] for w, way in enumerate(WAYS[2:])} for size in range(4)]
    floors = rounds(0.01, ["one copy in memory", "one durable write"])
    return names | {"first_save": first, "floors": floors, "longer": rounds(7)}


def test_13_the_lines_are_the_printed_medians(execute, measured, capsys):
    names = execute("13_background_checkpoint", "Look", **measured)
    upper, lower = saved_figure(names, "13_background_checkpoint").axes
    lines = {line.get_label(): line for line in upper.lines}
    assert set(legend_of(names["figure"])) == set(lines)
    for place, way in enumerate(WAYS):
        medians = [(place + 1) * (size + 1) for size in range(4)]
        assert lines[way].get_xydata().tolist() == list(
            map(list, zip(measured["megabytes"], medians, strict=True))
        )
        bars = lower.containers[place]
        assert bars[0].get_ydata().tolist() == [7 * median for median in medians[:3]]
        assert same_colour(bars[0].get_color(), lines[way].get_color())
        low, high = bars[2][0].get_segments()[0][:, 1]
        assert (low, high) == pytest.approx((7 * 0.75 * medians[0], 7 * 2.5 * medians[0]))
    for w, way in enumerate(WAYS[2:]):
        drawn = lines[f"{way}, first save"]
        assert drawn.get_ydata().tolist() == [10 * (size + 1) + w for size in range(4)]
        assert drawn.get_markerfacecolor() == "none"
    assert lines["one durable write"].get_ydata() == pytest.approx([0.02, 0.04, 0.06, 0.08])
    assert len({line.get_color() for line in upper.lines}) == 6
    printed = capsys.readouterr().out
    (blocked, total) = (
        [line.split() for line in part.splitlines()[1:5]]
        for part in (printed.split("\n\n")[0].strip(), printed.split("\n\n")[-1])
    )
    for table, factor, sizes in ((blocked, 1, 4), (total, 7, 3)):
        for place, (way, words) in enumerate(zip(WAYS, table, strict=True)):
            assert " ".join(words[:2]) == way
            expected = [factor * (place + 1) * (size + 1) for size in range(sizes)]
            assert list(map(float, words[2:])) == pytest.approx(expected)
    assert "blocks" in upper.get_title() and "blocked" in upper.get_ylabel()
    assert "longer" in lower.get_title() and "(seconds" in lower.get_ylabel()
    assert upper.get_xscale() == upper.get_yscale() == "log" and lower.get_yscale() == "linear"
    assert all(axes.get_xlabel().endswith("(MB)") for axes in (upper, lower))


def test_13_its_check_notices(execute, measured):
    names = measured | {"equal": [dict.fromkeys(WAYS, True) for _ in range(3)] + [{}]}
    names["blocked"] = [
        {way: [1.0] * rounds for way in WAYS} for rounds in measured["ROUNDS"].values()
    ]
    medians = dict(zip(WAYS, ([9.0], [6.0], [2.9], [1.9]), strict=True))
    names |= {"tables": {"blocked per save": medians}}
    picture = names["OUT"] / "seconds_per_save.png"
    picture.touch()

    def blocked(way, seconds):
        return lambda n: n["tables"]["blocked per save"].update({WAYS[way]: [seconds]})

    damages = [
        lambda n: n["equal"][1].update({WAYS[2]: False}),
        lambda n: n["equal"][2].pop(WAYS[0]),
        lambda n: n["blocked"][3][WAYS[1]].pop(),
        blocked(2, 3.1),
        blocked(3, 2.1),
        lambda n: (n["OUT"] / "left.keras").touch(),
    ]
    assert_noticed(execute, "13_background_checkpoint", names, damages)


# ------------------------------------------------------------------ 14


@pytest.fixture
def carried(tmp_path):
    """Two backends; a file from TensorFlow is given another loss on JAX for what is lost."""
    names = given("14_switch_backend", tmp_path)
    names |= {"BACKENDS": ["tensorflow", "jax"], "PATIENT": "jax", "DATA_OF": {}}
    names["DATA_OF"] = {"Pima": (np.zeros(514),), "MNIST": (np.zeros(2000),)}
    found = {}
    for backend in names["BACKENDS"]:
        found[backend] = {}
        for origin in names["BACKENDS"]:
            for network, batches in (("Pima", 260), ("MNIST", 100)):
                for ending in names["ENDINGS"]:
                    goes = network == "Pima" or (origin == backend and ending == ".orbax")
                    seeds = network == "MNIST" and ending != ".orbax"
                    found[backend][origin, network, ending] = {
                        "unequal": ["seeds"] if seeds else [],
                        "iterations": batches,
                        "compiled": (origin if ending == ".keras" else backend) == "jax",
                        "difference": 0.0 if origin == backend else 1.2e-6,
                        "right": 190,
                        "right_there": 190,
                        "next_loss_there": 0.5,
                        "next_loss": 0.5 if goes else 0.6,
                        "goes_on": "works",
                    }
    traps = {
        "next loss with a fresh optimizer": 0.52,
        "own layer answers": "works",
        "own layer trains": "works",
        "steps_per_execution=2 trains": "works",
        "set to 1, it trains": "works",
        "compiled once more, it trains": "works",
        "next loss with what was taken out": 0.5,
        "arrived under other names": ["optimizer 0"],
        "count of batches there": 260,
    }
    names["traps"] = {"tensorflow": traps, "jax": traps | {"own layer trains": "RuntimeError: …"}}
    names["differences"] = {(o, b): 0.0 if o == b else 1.2e-6 for o in found for b in found}
    ways = dict.fromkeys(names["ENDINGS"], True)
    names["trains_on"] = {(o, b): dict(ways) for o in found for b in found}
    return names | {"found": found}


def test_14_the_table_says_yes_and_no_where_it_is_so(execute, carried):
    carried["trains_on"]["tensorflow", "jax"][".weights.h5"] = False
    carried["found"]["tensorflow"]["jax", "MNIST", ".orbax"]["unequal"] = ["optimizer"]
    names = execute("14_switch_backend", "Look", **carried)
    (axes,) = saved_figure(names, "14_switch_backend").axes
    cells = {
        place: (cell.get_text().get_text(), cell.get_facecolor())
        for place, cell in axes.tables[0].get_celld().items()
    }
    assert {row for row, _ in cells} == {0, 1, 2, 3, 4}
    heads = [cells[0, column][0].replace("\n", " ") for column in range(7)]
    assert heads[:2] == ["trained on", "loaded on"]
    assert [head.split()[0] for head in heads[4:]] == list(carried["ENDINGS"])
    assert "millionths" in heads[3]
    for row in range(1, 5):
        text = [cells[row, column][0] for column in range(7)]
        origin, backend = (name.lower() for name in text[:2])
        assert text[2] == ("OTHER" if (origin, backend) == ("jax", "tensorflow") else "equal")
        assert text[3] == ("0.0" if origin == backend else "1.2")
        lost = (origin, backend) == ("tensorflow", "jax")
        assert text[4:] == ["yes", "NO" if lost else "yes", "yes"]
        good, bad = cells[1, 4][1], cells[row, 5][1] if lost else None
        for column in (2, 4, 5, 6):
            assert (cells[row, column][1] == good) == (text[column] in ("yes", "equal"))
        assert bad is None or bad[2] < bad[0] and good[2] > good[0], "orange and blue"
        assert (cells[row, 0][1] == cells[1, 0][1]) == (origin == backend)


def test_14_the_printed_table_says_what_was_found(execute, carried, capsys):
    wrong = carried["found"]["jax"]["tensorflow", "MNIST", ".weights.h5"]
    wrong |= {"goes_on": "TypeError: no", "difference": 3.4e-6}
    names = execute("14_switch_backend", "What travels", **carried)
    assert names["differences"]["tensorflow", "jax"] == 3.4e-6
    printed = capsys.readouterr().out.splitlines()
    lines = [line.split() for line in printed if line.startswith(("TensorFlow ", "JAX "))]
    assert lines == [
        ["TensorFlow", "TensorFlow", "0.0e+00", "yes", "yes", "yes"],
        ["TensorFlow", "JAX", "3.4e-06", "yes", "NO", "yes"],
        ["JAX", "TensorFlow", "1.2e-06", "yes", "yes", "yes"],
        ["JAX", "JAX", "0.0e+00", "yes", "yes", "yes"],
    ]
    assert printed[-1] == "NO, on JAX: TypeError: no"


def test_14_its_check_notices(execute, carried):
    def row(backend, origin, network, ending, **changes):
        return lambda n: n["found"][backend][origin, network, ending].update(changes)

    def trap(backend, name, value):
        return lambda n: n["traps"][backend].update({name: value})

    damages = [
        lambda n: n["found"]["jax"].pop(("jax", "Pima", ".keras")),
        row("jax", "tensorflow", "Pima", ".keras", unequal=["optimizer"]),
        row("jax", "tensorflow", "MNIST", ".keras", unequal=[]),
        row("jax", "tensorflow", "MNIST", ".orbax", unequal=["seeds"]),
        row("tensorflow", "jax", "Pima", ".orbax", iterations=26),
        row("tensorflow", "jax", "Pima", ".weights.h5", right=189),
        row("tensorflow", "jax", "MNIST", ".weights.h5", difference=1e-4),
        row("tensorflow", "jax", "Pima", ".keras", compiled=False),
        row("jax", "tensorflow", "Pima", ".weights.h5", compiled=False),
        row("jax", "tensorflow", "Pima", ".weights.h5", goes_on="TypeError: …"),
        row("jax", "tensorflow", "Pima", ".weights.h5", next_loss=0.5003),
        row("jax", "tensorflow", "MNIST", ".orbax", next_loss=0.5),
        row("jax", "jax", "MNIST", ".orbax", next_loss=0.6),
        trap("jax", "next loss with a fresh optimizer", 0.5001),
        trap("jax", "own layer answers", "RuntimeError: …"),
        trap("jax", "own layer trains", "works"),
        trap("tensorflow", "own layer trains", "RuntimeError: …"),
        trap("jax", "steps_per_execution=2 trains", "ValueError: …"),
        trap("jax", "set to 1, it trains", "ValueError: …"),
        trap("jax", "compiled once more, it trains", "TypeError: …"),
        trap("tensorflow", "next loss with what was taken out", 0.5002),
        trap("tensorflow", "arrived under other names", []),
        trap("jax", "count of batches there", 0),
    ]
    assert_noticed(execute, "14_switch_backend", carried, damages)


# ------------------------------------------------------------------ 15

# Seconds since the first start, and what a worker reports then.
WHOLE = [(0.5, "joined 2"), (1, "begin 0"), (1.5, "middle"), (2, "end 0 b0")]
WHOLE += [(3, "begin 1"), (4, "end 1 b1"), (5, "trained b1")]
KILLED = [(0.5, "joined 2"), (1, "begin 0"), (2, "end 0 b0"), (3, "begin 1"), (3.5, "middle")]
KILLED += [(6, "joined 2"), (6.5, "loaded 0 b0"), (7, "begin 1"), (9, "end 1 b1")]
KILLED += [(10, "trained b1")]
BEGUN = 1000


@pytest.fixture
def timed(tmp_path):
    headings = ["Train: what each worker does", "Train: start, watch, and start again"]
    names = given("15_many_workers", tmp_path, *headings)
    for name, lines in (("whole", WHOLE), ("killed", KILLED)):
        (names["OUT"] / name).mkdir()
        text = "".join(f"{BEGUN + second} {said}\n" for second, said in lines)
        for index in range(2):
            (names["OUT"] / name / f"worker_{index}.txt").write_text(text)
    names |= {"EPOCHS": 2, "KILL_IN": 1, "running": []}
    names["whole"] = {"complete": {0: BEGUN + 2.5, 1: BEGUN + 4.5}, "ended": BEGUN + 5}
    names["whole"] |= {"starts": [BEGUN], "lost": [], "last": [None]}
    names["killed"] = {"complete": {0: BEGUN + 2.5, 1: BEGUN + 9.5}, "ended": BEGUN + 10}
    names["killed"] |= {"starts": [BEGUN, BEGUN + 5], "killed": BEGUN + 4, "last": [None, 0]}
    return names


def test_15_bars_kill_and_checkpoints_lie_at_their_times(execute, timed):
    names = execute("15_many_workers", "Look", **timed)
    figure = saved_figure(names, "15_many_workers")
    colours = {
        label: handle.get_facecolor() if hasattr(handle, "get_facecolor") else handle.get_color()
        for label, handle in legend_of(figure).items()
    }
    start, epoch, lost, saved, kill = colours

    def bars(axes, row):
        found = {"start": [], "epoch": [], "lost": []}
        kinds = {"start": start, "epoch": epoch, "lost": lost}
        for patch in axes.patches:
            if round(patch.get_y() + patch.get_height() / 2) == row:
                (kind,) = (
                    k for k, v in kinds.items() if same_colour(colours[v], patch.get_facecolor())
                )
                found[kind].append((patch.get_x(), patch.get_x() + patch.get_width()))
        return found

    assert "start" in start and "epoch" in epoch and "lost" in lost
    assert "checkpoint" in saved and "SIGKILL" in kill
    upper, lower = figure.axes
    assert "not interrupted" in upper.get_title() and "worker 1 killed" in lower.get_title()
    for row in range(2):
        assert bars(lower, row) == {
            "start": [(0, 1), (5, 7)],
            "epoch": [(1, 2), (7, 9)],
            "lost": [(3, 4)],
        }
        assert bars(upper, row) == {"start": [(0, 1)], "epoch": [(1, 2), (3, 4)], "lost": []}
    for axes, complete in ((upper, [2.5, 4.5]), (lower, [2.5, 9.5])):
        (marks,) = (
            line for line in axes.lines if line.get_marker() == "^" and len(line.get_xdata())
        )
        assert marks.get_xdata().tolist() == complete
        numbers = [(t.get_position()[0], int(t.get_text())) for t in axes.texts]
        assert sorted(numbers) == sorted(2 * [(1.5, 1), (8 if axes is lower else 3.5, 2)])
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["worker 0", "worker 1"] and axes.get_yticks().tolist() == [0, 1]
    (cross,) = (line for line in lower.lines if line.get_marker() == "X" and len(line.get_xdata()))
    assert cross.get_xydata().tolist() == [[4, timed["VICTIM"]]]
    assert not [line for line in upper.lines if line.get_marker() == "X"]
    assert lower.get_xlabel().startswith("seconds")


def test_15_its_check_notices(execute, timed):
    out = timed["OUT"]
    bits = {"0": "b0", "1": "b1"}
    (out / "whole" / "fingerprints.txt").write_text("0 b0\n1 b1\n")
    for name in ("whole", "killed"):
        for epoch in bits:
            (out / name / "checkpoints" / epoch).mkdir(parents=True)
    for index, size in enumerate((100_000, 60_000)):
        part = out / "whole" / "checkpoints" / "1" / "pytree" / f"ocdbt.process_{index}" / "d"
        part.mkdir(parents=True)
        (part / "x").write_bytes(bytes(size))

    def said(name, index, word):
        return [line[2:] for line in timed["lines_of"](out / name, index) if line[1] == word]

    names = timed | {"said": said, "noticed_after": 0.1, "traps": ["a", "b", "c"]}
    names["whole"]["lost"] = []
    names["killed"]["lost"] = [{"worker": 1, "status": -9, "noticed": 4.1}]
    names["ends"] = {name: [[["b1"]], [["b1"]]] for name in ("whole", "killed")}
    names["loaded"] = {"alone": [["1", "b1"]], "three": [["1", "b1"]] * 3}
    # The made-up report has no epoch before the one of the kill but the first.
    names["KILL_IN"] = 1

    def reported(old, new, index=1, name="killed"):
        path = out / name / f"worker_{index}.txt"
        text = path.read_text()
        assert text.count(old) == 1

        def damage(n):
            other = text.replace(old, new)
            lines = [line.split() for line in other.splitlines()]
            n["said"] = lambda a, i, word: (
                [line[2:] for line in lines if line[1] == word]
                if (a, i) == (name, index)
                else said(a, i, word)
            )

        return damage

    damages = [
        lambda n: n["ends"].update(killed=[[["b1"]], [["other"]]]),
        lambda n: n["killed"].update(lost=[]),
        lambda n: n["whole"].update(lost=n["killed"]["lost"]),
        lambda n: n["killed"]["lost"][0].update(worker=0),
        lambda n: n["killed"]["lost"][0].update(status=1),
        lambda n: n.update(noticed_after=11),
        lambda n: n["whole"].update(last=[0]),
        lambda n: n["killed"].update(last=[0, 0]),
        reported("loaded 0 b0", "loaded 0 other"),
        reported("1007 begin 1\n", ""),
        reported("1003 begin 1\n", ""),
        reported("1003 begin 1\n", "", 0, "whole"),
        lambda n: n["loaded"].update(three=[["1", "b1"]] * 2 + [["1", "b0"]]),
        lambda n: n["loaded"].update(alone=[["0", "b0"]]),
        lambda n: n.update(complete_epochs=lambda folder: [1]),
        lambda n: n.update(traps=["a", "b"]),
        lambda n: n.update(running=[1]),
        lambda n: (out / "whole" / "checkpoints/1/pytree/ocdbt.process_1/d/x").write_bytes(b"1"),
    ]
    assert_noticed(execute, "15_many_workers", names, damages)


# ------------------------------------------------------------------ 16


@pytest.fixture
def tried(tmp_path):
    names = given("16_untrusted_checkpoint", tmp_path)
    names["WAYS"] = dict.fromkeys(
        ["load_model", "safe_mode=False", "load_weights", "verify", "strict", "SHA-256, strict"]
    )
    not_allowed = "ValueError: Not allowed: H5 file with"
    reasons = {
        "link.weights.h5": f"{not_allowed} ExternalLink",
        "storage.weights.h5": f"{not_allowed} external Dataset, …",
        "virtual.weights.h5": f"{not_allowed} virtual Dataset",
        "bomb.weights.h5": "…; refusing to load a potential decompression/shape bomb",
        "flipped.keras": "BadZipFile: Bad CRC-32 for file 'model.weights.h5'",
    }
    names["rows"] = [
        {
            "file": name,
            "way": way,
            "outcome": outcome,
            "marker": outcome == "ran code",
            "reason": reasons.get(name, "an error") if outcome == "refused" else None,
        }
        for name, outcomes in EXPECTED.items()
        for way, outcome in zip(list(names["WAYS"])[-len(outcomes) :], outcomes, strict=True)
    ]
    return names


def test_16_each_field_says_in_its_place_and_colour_what_came_of_it(execute, tried):
    names = execute("16_untrusted_checkpoint", "Look", **tried)
    figure = saved_figure(names, "16_untrusted_checkpoint")
    (axes,) = figure.axes
    meaning = {
        label.partition(":")[0]: handle.patches[0].get_facecolor()
        if hasattr(handle, "patches")
        else handle.get_facecolor()
        for label, handle in legend_of(figure).items()
    }
    assert len({tuple(colour) for colour in meaning.values()}) == len(meaning) == 5
    columns = {t: l.get_text() for t, l in zip(axes.get_xticks(), axes.get_xticklabels())}
    lines = {t: l.get_text() for t, l in zip(axes.get_yticks(), axes.get_yticklabels())}
    colours = {
        (p.get_x() + 0.5, p.get_y() + 0.5): p.get_facecolor()
        for p in axes.patches
        if p.get_width() == 1
    }
    seen = {}
    for text in axes.texts:
        x, y = text.get_position()
        way = columns[x].replace("\n", " ").replace("= ", "=")
        seen[lines[y], way] = text.get_text()
        assert colours[x, y] == meaning[text.get_text()]
    cases = tried["CASES"]
    expected = {
        (f"{cases[row['file']][0]}  .{row['file'].partition('.')[2]}", row["way"]): row["outcome"]
        for row in tried["rows"]
    }
    assert seen == expected and len(seen) == len(tried["rows"])


def test_16_its_check_notices(execute, tried):
    outcomes = ("unharmed", "refused", "wrong", "ran code", "no memory", "died")
    honest = ["honest.keras", "honest.weights.h5"]
    names = tried | {"outcomes": dict.fromkeys(outcomes), "recognised": honest}
    names |= {"MARKER": names["OUT"] / "marker", "followed": {"link": True, "virtual": True}}

    def row(file, way, **changes):
        def damage(n):
            (found,) = (r for r in n["rows"] if (r["file"], r["way"]) == (file, way))
            found.update(changes)

        return damage

    last = "SHA-256, strict"
    damages = [
        row("lambda.keras", "load_weights", marker=True),
        row("lambda.keras", "load_model", marker=True, outcome="ran code"),
        row("lambda.h5", "safe_mode=False", marker=False, outcome="refused"),
        row("flipped.weights.h5", last, outcome="wrong"),
        row("reversed.weights.h5", last, outcome="unharmed"),
        row("honest.keras", last, outcome="refused"),
        row("honest.weights.h5", "load_weights", outcome="refused"),
        row("virtual.weights.h5", "load_weights", outcome="died"),
        row("bomb_4_GiB.weights.h5", "load_weights", outcome="refused"),
        row("wider.weights.h5", "load_weights", outcome="wrong"),
        row("deeper.weights.h5", "verify", outcome="refused"),
        row("deeper.weights.h5", "strict", outcome="wrong"),
        row("link.weights.h5", "load_weights", reason="OSError"),
        row("storage.weights.h5", "load_weights", reason="OSError"),
        row("virtual.weights.h5", "load_weights", reason="OSError"),
        row("bomb.weights.h5", "load_weights", reason="MemoryError"),
        row("flipped.keras", "load_weights", reason="OSError"),
        lambda n: n.update(recognised=[*honest, "lambda.keras"]),
        lambda n: n["followed"].update(link=False),
        lambda n: n["MARKER"].touch(),
    ]
    assert_noticed(execute, "16_untrusted_checkpoint", names, damages)


# ------------------------------------------------------------------ 17


@pytest.fixture
def repeated(tmp_path):
    names = given("17_how_typical", tmp_path)
    right = np.random.default_rng(1)
    names["x_validation"] = np.zeros((254, 8))
    names["marks"] = {"script 01, jax": 190 / 254}
    names["runs"] = {
        "reshuffled": {"best": right.integers(180, 205, 300) / 254},
        "fixed order": {"best": right.integers(175, 200, 300) / 254},
        "divided": {
            "best": right.integers(170, 205, 300) / 254,
            "judged": right.integers(80, 100, 300) / 127,
        },
    }
    names["luck"] = names["runs"]["divided"]["best"] - names["runs"]["divided"]["judged"]
    return names


def test_17_counts_marks_and_a_title_that_agrees_with_the_means(execute, repeated):
    names = execute("17_how_typical", "Look", **repeated)
    figure = saved_figure(names, "17_how_typical")
    above, below = figure.axes
    bins = (np.arange(150, 226, 2) - 0.5) / 254
    runs = repeated["runs"]
    counts = {what: np.histogram(runs[what]["best"], bins)[0].tolist() for what in runs}
    bars = [patch.get_height() for patch in above.patches[: len(bins) - 1]]
    assert bars == counts["reshuffled"]
    (outline,) = above.patches[len(bins) - 1 :]
    assert outline.get_xy()[1:-1:2, 1].tolist() == counts["fixed order"]
    labels = legend_of(above)
    assert same_colour(labels["one order for all epochs"].get_edgecolor(), outline.get_edgecolor())
    assert sum("reshuffled" in label for label in labels) == 1
    marks = {label: handle.get_linestyle() for label, handle in labels.items() if ": 0." in label}
    drawn = {line.get_linestyle(): line.get_xdata()[0] for line in above.lines}
    assert len(marks) == len(drawn) == 3
    for label, style in marks.items():
        assert drawn[style] == pytest.approx(float(label.split()[-1]), abs=5e-5)
    book, post = (drawn[style] for label, style in marks.items() if "01" not in label)
    assert (book, post) == (0.84252, 0.79528)
    means = [float(label.split()[-1]) for label in legend_of(below)]
    assert means == pytest.approx([runs["divided"][w].mean() for w in ("best", "judged")], abs=5e-5)
    assert [line.get_xdata()[0] for line in below.lines] == means
    heights = [patch.get_height() for patch in below.patches]
    for index, what in enumerate(("best", "judged")):
        expected = np.histogram(runs["divided"][what], bins)[0].tolist()
        assert heights[index * len(expected) :][: len(expected)] == expected
    (said,) = (float(word) for word in below.get_title().split() if word.startswith("0."))
    assert said == pytest.approx(means[0] - means[1], abs=1e-9)
    assert below.get_xlabel().startswith("accuracy")
    figure.canvas.draw()
    for axes in (above, below):
        assert axes.get_ylabel() == "runs"
        box = axes.get_legend().get_window_extent()
        assert not box.overlaps(axes.get_window_extent()), "the legend covers nothing"


def test_17_counts_and_prints_shares_and_differences(execute, repeated, capsys):
    """Of 40 runs of 150 epochs, with scores near the tutorials'."""
    chance = np.random.default_rng(2)
    runs, epochs, rows, training = 40, 150, 768, 514
    names = repeated | {"SEEDS": range(runs), "training_rows": training, "x": np.zeros((rows, 8))}
    shares = np.where(np.arange(rows) < training, 0.768, 0.725)
    names["right"], names["right_fixed"], names["right_divided"] = (
        chance.random((runs, epochs, rows)) < shares for _ in range(3)
    )
    divisions = chance.permuted(np.tile(np.arange(rows), (runs, 1)), axis=1)
    names["choose"], names["judge"], _ = np.split(divisions, [254, 381], 1)
    found = execute("17_how_typical", "Count", **names)
    printed = capsys.readouterr().out

    best, on_all = [], []
    for run in names["right"]:
        counts = [int(epoch[training:].sum()) for epoch in run]
        best.append(max(counts))
        on_all.append(int(run[counts.index(max(counts))].sum()))
    assert found["runs"]["reshuffled"]["best"].tolist() == [count / 254 for count in best]
    shares = {
        "Deep Learning With Python": sum(count >= 214 for count in best) / runs,
        "Brownlee's post": sum(count >= 202 for count in best) / runs,
        "all rows": sum(count >= 597 for count in on_all) / runs,
    }
    assert 0 < shares["Brownlee's post"] < 1 and 0 < shares["all rows"] < 1
    for what, share in shares.items():
        assert found["shares"][f"reshuffled, {what}"] == share
        value = {"all rows": 0.7773}.get(what) or names["DOCUMENTED_BEST"][what]
        said = "on all rows" if what == "all rows" else f"the best value of {what}"
        (line,) = (t for t in printed.splitlines() if t.startswith("reshuffled: ") and said in t)
        assert f"{share:.1%} reach {value}" in line
    luck, gain = [], []
    for run, choose, judge in zip(names["right_divided"], names["choose"], names["judge"]):
        counts = [int(epoch[choose].sum()) for epoch in run]
        chosen = run[counts.index(max(counts))]
        luck.append(max(counts) / 254 - chosen[judge].mean())
        gain.append(chosen[judge].mean() - run[-1][judge].mean())
    for values, said in ((luck, "rows that chose it"), (gain, "rows that did not choose")):
        error = np.std(values, ddof=1) / runs**0.5
        lines = printed.splitlines()
        (place,) = (i for i, line in enumerate(lines) if said in line)
        assert lines[place + 1] == f"{np.mean(values):.4f}, standard error {error:.4f}"


def test_17_its_check_notices(execute, repeated):
    rows, seeds, epochs = 6, 3, 4
    order = np.array(
        [[np.roll(np.arange(rows), e + s) for e in range(epochs)] for s in range(seeds)]
    )
    luck, gain = np.full(seeds, 0.025), np.full(seeds, -0.003)
    parts = np.array([np.arange(10)] * seeds)
    names = repeated | {"one": 0, "training_rows": rows, "reshuffled": order, "luck": luck}
    names |= {"initial_weights": [np.ones((3, 2))], "weights_of_script_01": [np.ones(2)]}
    names |= {"compiled_loss": np.ones(4), "compiled_accuracy": np.ones(4), "gain": gain}
    names["fitted"] = {"val_loss": np.ones(4), "val_accuracy": np.ones(4)}
    names |= {"choose": parts[:, :4], "judge": parts[:, 4:6], "fewer": parts[:, 6:]}
    names |= {"divisions": parts}
    names["runs"] = {
        "reshuffled": {"best": np.full(5, 0.776), "last": np.full(5, 0.75), "change": luck},
        "fixed order": {"best": np.full(5, 0.76), "last": np.full(5, 0.75), "change": luck / 2},
    }
    names["shares"] = {
        "reshuffled, Brownlee's post": 0.16,
        "reshuffled, Deep Learning With Python": 0.0,
    }

    def run(name, what, value):
        return lambda n: n["runs"][name].update({what: np.full(5, value)})

    damages = [
        lambda n: n["initial_weights"][0].__setitem__((0, 0), 2),
        lambda n: n["compiled_loss"].__setitem__(2, 1.001),
        lambda n: n["compiled_accuracy"].__setitem__(2, 1 - 2 / 254),
        lambda n: n["reshuffled"].__setitem__((0, 0, 0), 5),
        lambda n: n["reshuffled"].__setitem__((1, 2), n["reshuffled"][1, 1]),
        lambda n: n.update(judge=n["choose"][:, :2]),
        run("reshuffled", "best", 0.80),
        run("reshuffled", "best", 0.7605),
        run("fixed order", "best", 0.777),
        run("fixed order", "best", 0.74),
        lambda n: n["shares"].update({"reshuffled, Brownlee's post": 0.30}),
        lambda n: n["shares"].update({"reshuffled, Brownlee's post": 0.01}),
        lambda n: n["shares"].update({"reshuffled, Deep Learning With Python": 0.02}),
        run("fixed order", "last", 0.73),
        run("fixed order", "change", 0.03),
        lambda n: n.update(luck=n["luck"] + 0.02),
        lambda n: n.update(luck=n["luck"] - 0.02),
        lambda n: n.update(gain=n["gain"] + 0.01),
    ]
    assert_noticed(execute, "17_how_typical", names, damages)
