"""A script that trains in child processes, kills them and resumes them: see test_training_resume.

    python killed_runs.py FOLDER SEED

Every child begins where the one before it was killed. Prints, as one line of JSON, the outcomes of
the last ones, which are left alive, and how the others ended. It is a script of its own because
forking is safe only in a process without threads.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torchvision.transforms.v2  # noqa: F401  once here, not in every child
from training_runs import outcome, run

# (what happens, how often it has happened in this child). TINY has three epochs of four steps.
MOMENTS = [
    ("step", 1),
    ("step", 2),
    ("before the rename of .safetensors", 1),
    ("before the rename of .json", 2),
    ("after the rename of .json", 1),
    ("before the rename of log.jsonl", 1),
    ("epoch", 1),
    ("before the rename of .safetensors", 2),
    ("tidying up", 2),
    ("epoch", 2),
]


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(moment, number):
    """Arranges the death of this process; returns arguments for `run`."""
    seen = []

    def now():
        seen.append(moment)
        return len(seen) == number

    if moment in ("step", "epoch"):
        return {f"on_{moment}": lambda _: die() if now() else None}
    if moment == "tidying up":
        unlink = Path.unlink
        Path.unlink = lambda path, **more: die() if now() else unlink(path, **more)
        return {}
    when, *_, ending = moment.split()
    replace = os.replace

    def deadly_replace(part, path):
        last = str(path).endswith(ending) and now()
        if last and when == "before":
            os.truncate(part, os.path.getsize(part) // 2)  # as if in the middle of the write
            die()
        replace(part, path)
        if last:
            die()

    os.replace = deadly_replace
    return {}


def in_child(work):
    """Runs work() in a child and returns the child's number."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def end_of(child):
    """9 for a process that was killed, 0 for one that came to its end, 1 after an error."""
    return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def at_chosen_moments(folder):
    """Kills a run at all MOMENTS, then lets it finish. Returns its outcome and the ends."""
    places = {"checkpoints": folder / "checkpoints", "log": folder / "log.jsonl"}
    ends = {}
    for moment in MOMENTS:
        child = in_child(lambda moment=moment: run(**places, **prepare(*moment)))
        ends[f"{moment[0]}, {moment[1]}"] = end_of(child)
    return {"outcome": outcome(run(**places)), "ends": ends}


def at_random_moments(folder, seed):
    """The same at moments nobody chose, ten times at most."""
    places = {"checkpoints": folder / "checkpoints", "log": folder / "log.jsonl"}
    chance, ends = random.Random(seed), []
    while len(ends) < 10 and 0 not in ends:
        child = in_child(lambda: run(**places))
        time.sleep(chance.uniform(0, 0.15))  # seconds; a whole run takes about half a second
        os.kill(child, signal.SIGKILL)
        ends.append(end_of(child))
    return {"outcome": outcome(run(**places)), "ends": ends}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    chosen = at_chosen_moments(folder / "chosen")
    chance = at_random_moments(folder / "random", int(sys.argv[2]))
    print(json.dumps({"chosen": chosen, "random": chance}))
