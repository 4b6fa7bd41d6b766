"""The judge: is it a Swin Transformer, and if not, where does it begin to differ?

`python -m swinlib.lab.judge my_swin.py`, or in a notebook `judge("my_swin.py").show()`.

target.py      what is to be judged: a file, a part of one, or any importable class
worker.py      the process in which that runs
examine.py     parameters (parameters.py), forward pass (forward.py, places.py, patterns.py) and
               training (training.py), in this order
mistakes.py    what gets done wrong, made on purpose in the one-page model (models.py)
report.py      what is said; picture.py draws it
against.py     numbers saved elsewhere, in place of a model
sittings.py    the cells of notebook 09 (parts.py: what belongs to each)
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from swinlib.lab.judge.report import Finding, Report, conclude
from swinlib.lab.judge.target import Target

TIME_LIMIT = 120.0  # seconds
START = 120.0  # seconds until Python and torch must be there; they do not count


def judge(
    what: str,
    *,
    time_limit: float = TIME_LIMIT,
    say: Callable[[str], None] = lambda stage: None,
    **options,
) -> Report:
    """Judge a model, in a process of its own.

    Args:
        what: "my_swin.py" (its class `SwinTransformer`), "my_swin.py:Name" or "module:Name".
        time_limit: seconds until it is told that it hangs, from when the file is read.
        say: called with what is being done, whenever that changes.
        options: `arguments`, `part`, `source` and `sizes` of `Target`.

    Returns:
        What was found; `.show()` prints it and draws where the numbers differ.
    """
    target = Target(what, **options)
    # On Windows a process that is killed may hold its files a little longer.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "target.json").write_text(json.dumps(target.as_dict()), encoding="utf-8")
        code, printed = _run(folder, time_limit, say)
        if (folder / "report.json").exists():
            report = Report.from_dict(json.loads((folder / "report.json").read_text("utf-8")))
        else:
            stage = folder / "stage.txt"
            doing = stage.read_text("utf-8") if stage.exists() else "at its start"
            report = conclude(Report(what, [Finding("file", _end(code, doing, time_limit))]))
    if lines := [line for line in printed.splitlines() if line.strip()]:
        many = f"{len(lines)} lines" if len(lines) > 1 else "a line"
        report.remarks.append(f"It prints {many}, the first of them: {lines[0][:120]}")
    return report


def _run(folder: Path, time_limit: float, say) -> tuple[int | None, str]:
    """The process's exit code, None where it ran out of time, and what it printed."""
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment["PYTHONIOENCODING"] = "utf-8"  # as what it prints is read
    with open(folder / "printed.txt", "w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__name__}.worker", str(folder)],
            stdin=subprocess.PIPE,  # nothing is written: closed, it tells that nobody waits
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=os.name == "posix",
        )
        code, stage, said = None, folder / "stage.txt", ""
        try:
            end = time.monotonic() + START
            while (code := process.poll()) is None and time.monotonic() < end:
                doing = stage.read_text("utf-8") if stage.exists() else ""
                if doing and not said:
                    end = time.monotonic() + time_limit
                if doing and doing != said:
                    say(said := doing)
                time.sleep(0.05)
        finally:
            _end_all(process)
        printed.seek(0)
        return code, printed.read(100_000)


def _end_all(process: subprocess.Popen) -> None:
    """End it, and what it started."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    elif process.poll() is None:
        process.kill()
    process.wait()
    process.stdin.close()


def _end(code: int | None, doing: str, time_limit: float) -> str:
    if code is None:
        return f"It did not finish within {time_limit:.0f} seconds, {doing}."
    if code < 0:
        return f"Python crashed (signal {-code}), {doing}."
    return f"It ends the program (exit code {code}), {doing}. A module should only define things."


__all__ = ["Report", "Target", "judge"]
