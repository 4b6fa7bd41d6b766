"""The process in which a model is judged: `python -m swinlib.lab.judge.worker FOLDER`.

Reads FOLDER/target.json, keeps FOLDER/stage.txt up to date, and leaves FOLDER/report.json. Ends
when its standard input does, which whoever waits for the report holds open.
"""

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import torch

from swinlib.lab.exercises.checking import stumble
from swinlib.lab.judge.examine import examine
from swinlib.lab.judge.forward import SIZES
from swinlib.lab.judge.models import CannotBuild
from swinlib.lab.judge.report import Finding, Report, conclude
from swinlib.lab.judge.target import Target, load


def work(target: Target, say) -> Report:
    """Judge, whatever happens on the way, except an end of the process."""
    say("while the file is read")
    doing = "file"
    try:
        builder, remarks = load(target)
        doing = "examination"  # the judge's own errors are not the file's
        report = examine(builder, [tuple(size) for size in target.sizes] or SIZES, say, target.part)
        report.remarks = remarks + report.remarks
    except CannotBuild as error:
        report = failed(f"{str(error)[0].upper()}{str(error)[1:]}.")
    except SyntaxError as error:
        line = (error.text or "").strip()
        report = failed(f"Python cannot read it: {error.msg}, line {error.lineno}: `{line}`.")
    except Exception as error:  # whatever a learner's code may raise
        report = failed(f"The {doing} {stumble(error).replace('it stops', 'stops', 1)}.")
    report.name = target.what
    return report


def failed(says: str) -> Report:
    return conclude(Report("", [Finding("file", says)]))


def end_with_the_parent(folder: Path) -> None:
    """Watch a pipe that is closed when the parent ends, however it ends, on every system."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # a file that asks for input gets none
    os.close(nothing)

    def watch() -> None:
        while os.read(pipe, 1024):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        if os.name == "posix" and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)  # and what the file has started
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path) -> None:
    end_with_the_parent(folder)
    target = Target.from_dict(json.loads((folder / "target.json").read_text(encoding="utf-8")))

    def say(stage: str) -> None:
        (folder / "stage.txt").write_text(stage, encoding="utf-8")

    torch.set_num_threads(min(torch.get_num_threads(), 4))
    report = work(target, say)
    (folder / "report.json").write_text(json.dumps(report.as_dict()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
