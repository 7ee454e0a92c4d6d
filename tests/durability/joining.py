"""Kill one of the workers of script 15 again and again, and say in which bits they end.

    python tests/durability/joining.py KILLS LOT      as JSON

The workers are started and watched by the script's own functions, in a folder of their own.
"""

import json
import os
import random
import sys
import tempfile
import time

import on_path  # noqa: F401
from conftest import code_under_headings
from starting import place_for

SCRIPT = "15_many_workers"
LAST_HEADING = "Train: start, watch, and start again"


def functions_of_the_script():
    """Its cells up to the first training, run in the current folder."""
    namespace = {}
    for heading, code in code_under_headings(SCRIPT).items():
        exec(compile(code, f"{SCRIPT}: {heading}", "exec"), namespace)  # noqa: S102
        if heading == LAST_HEADING:
            return namespace
    raise LookupError(LAST_HEADING)


class Moment:
    """When to kill: before, during or after the joint save of a certain epoch."""

    def __init__(self, script, folder, wanted, lot):
        self.script, self.folder, self.wanted, self.lot = script, folder, wanted, lot
        done = script["complete_epochs"](folder)
        self.epoch = min(max(done, default=-1) + 1 + lot.randrange(2), script["EPOCHS"] - 1)
        self.old_lines = len(self.lines())
        self.begun = time.time()
        self.observed = None

    def lines(self):
        return [words[1:] for words in self.script["lines_of"](self.folder, self.script["VICTIM"])]

    def is_saved(self):
        return self.epoch in self.script["complete_epochs"](self.folder)

    def is_being_saved(self):
        unfinished = self.folder / "checkpoints" / f"{self.epoch}.orbax-checkpoint-tmp"
        try:
            return unfinished.stat().st_ctime >= self.begun
        except FileNotFoundError:
            return False

    def has_come(self, folder):
        if self.wanted == "before":
            lines = self.lines()[self.old_lines :]
            trains = ["begin", str(self.epoch)] in lines and lines[-1] == ["middle"]
            come = trains and lines[-2][:2] == ["begin", str(self.epoch)]
        elif self.wanted == "during":
            come = self.is_being_saved()
            if come:
                time.sleep(self.lot.uniform(0, 0.1))
        else:
            come = self.is_saved()
        if come:
            saved, being_saved = self.is_saved(), self.is_being_saved()
            self.observed = "after" if saved else "during" if being_saved else "before"
        return come


def kill_again_and_again(kills, lot):
    script = functions_of_the_script()
    lot = random.Random(lot)
    found = {"kills": {"before": 0, "during": 0, "after": 0}, "kills_of_each": [0, 0]}
    found |= {"most_in_a_row": 0, "results": [], "errors": []}
    whole = script["fresh"]("whole")
    script["run"]("train", whole, script["WORKERS"], restarts=0)
    found["whole"] = results_of(script, whole)
    count, in_a_row, folder = 0, 0, script["fresh"]("training_0")
    while count < kills or in_a_row:
        script["VICTIM"] = lot.randrange(script["WORKERS"])
        # The moment that was hit least often so far.
        wanted = min(found["kills"], key=found["kills"].get)
        moment = Moment(script, folder, wanted, lot)
        has_come = moment.has_come if count < kills else script["never"]
        try:
            script["run"]("train", folder, script["WORKERS"], has_come, restarts=0)
        except SystemExit as error:
            if moment.observed is None:
                found["errors"].append(str(error))
                break
            count += 1
            in_a_row += 1
            found["kills"][moment.observed] += 1
            found["kills_of_each"][script["VICTIM"]] += 1
            print(count, wanted, moment.observed, moment.epoch, file=sys.stderr)
            continue
        found["results"].append(results_of(script, folder))
        found["most_in_a_row"] = max(found["most_in_a_row"], in_a_row)
        in_a_row = 0
        folder = script["fresh"](f"training_{len(found['results'])}")
    return found


def results_of(script, folder):
    """What each worker has ended in."""
    lines = [script["lines_of"](folder, index) for index in range(script["WORKERS"])]
    return [[words[2] for words in each if words[1] == "trained"][-1] for each in lines]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(place_for(SCRIPT, folder))
        print(json.dumps(kill_again_and_again(*map(int, sys.argv[1:])), indent=1))
        os.chdir("/")
