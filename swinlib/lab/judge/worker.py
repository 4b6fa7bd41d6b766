"""The process in which a model is judged: `python -m swinlib.lab.judge.worker FOLDER`.

Reads FOLDER/target.json, keeps FOLDER/stage.txt up to date, and leaves FOLDER/report.json.
"""

import json
import sys
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
    try:
        builder, remarks = load(target)
        report = examine(builder, [tuple(size) for size in target.sizes] or SIZES, say)
        report.remarks = remarks + report.remarks
    except CannotBuild as error:
        report = failed(f"{str(error)[0].upper()}{str(error)[1:]}.")
    except SyntaxError as error:
        line = (error.text or "").strip()
        report = failed(f"Python cannot read it: {error.msg}, line {error.lineno}: `{line}`.")
    except Exception as error:  # whatever a learner's code may raise
        report = failed(f"The file {stumble(error).replace('it stops', 'stops', 1)}.")
    report.name = target.what
    return report


def failed(says: str) -> Report:
    return conclude(Report("", [Finding("file", says)]))


def main(folder: Path) -> None:
    target = Target.from_dict(json.loads((folder / "target.json").read_text(encoding="utf-8")))

    def say(stage: str) -> None:
        (folder / "stage.txt").write_text(stage, encoding="utf-8")

    torch.set_num_threads(min(torch.get_num_threads(), 4))
    report = work(target, say)
    (folder / "report.json").write_text(json.dumps(report.as_dict()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
