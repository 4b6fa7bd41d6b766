"""The learner's own folder: copies of the lessons to work in, and what was checked there.

`notebooks/` holds the lessons with their outputs: they are read, compared and tested, and nobody
works in them. `learn/` beside it, which git does not see, holds copies without outputs, so that no
answer stands there before its question. A copy is laid once and then belongs to the learner.

Nothing here leaves the machine.
"""

import hashlib
import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the course, which swinlib is installed from
ORIGIN = "swinlib_lesson"  # in a copy's metadata: the fingerprint of the lesson it is a copy of
RECORD = "progress.jsonl"


def lessons(root: Path = ROOT) -> list[Path]:
    """The course's notebooks, in order.

    Args:
        root: the folder of the course, with `notebooks` in it.

    Raises:
        FileNotFoundError: there are none.
    """
    found = sorted((root / "notebooks").glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(
            f"no lessons in {root / 'notebooks'}: clone the course and install swinlib from there, "
            "with `pip install -e .`"
        )
    return found


def copy_of(lesson: Path) -> Path:
    """Where the learner's copy of a lesson is, or will be."""
    return lesson.parents[1] / "learn" / lesson.name


def lay_copies(root: Path = ROOT) -> list[Path]:
    """Lay a copy, without outputs, of every lesson that has none yet; return the new ones."""
    missing = [lesson for lesson in lessons(root) if not copy_of(lesson).exists()]
    return [_lay(lesson) for lesson in missing]


def outdated(root: Path = ROOT) -> list[Path]:
    """Lessons that have changed since their copy was laid."""
    found = []
    for lesson in lessons(root):
        origin = _read(copy_of(lesson)).get("metadata", {}).get(ORIGIN)
        if origin is not None and origin != fingerprint(_lesson(lesson)):
            found.append(lesson)
    return found


def lay_afresh(name: str, root: Path = ROOT) -> tuple[Path, Path | None]:
    """Set the copy of a lesson aside and lay a new one.

    Args:
        name: how the lesson's name begins, such as "04".
        root: the folder of the course.

    Returns:
        The new copy, and where the old one is now; None if there was none.

    Raises:
        ValueError: no lesson, or several, of this name, or one that cannot be read.
    """
    named = [lesson for lesson in lessons(root) if name and lesson.name.startswith(name)]
    if len(named) != 1:
        known = ", ".join(lesson.stem for lesson in lessons(root))
        raise ValueError(f"{name!r} names {len(named)} lessons, wanted one of {known}")
    _lesson(named[0])  # if it cannot be read, the copy stays where it is
    copy = copy_of(named[0])
    aside = None
    if copy.exists():
        number = 1
        while (aside := copy.with_stem(f"{copy.stem}-{number}")).exists():
            number += 1
        copy.rename(aside)
    return _lay(named[0]), aside


def fingerprint(notebook: dict) -> str:
    """Of what a lesson says and asks, whatever its outputs are."""
    said = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _lay(lesson: Path) -> Path:
    notebook = _lesson(lesson)
    notebook["metadata"][ORIGIN] = fingerprint(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    copy = copy_of(lesson)
    copy.parent.mkdir(exist_ok=True)
    # Whole or not at all: half a copy would never be overwritten.
    unfinished = copy.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
    unfinished.replace(copy)
    return copy


def _lesson(path: Path) -> dict:
    """A notebook of the course.

    Raises:
        ValueError: it cannot be read.
    """
    notebook = _read(path)
    if not notebook.keys() >= {"cells", "metadata"}:
        raise ValueError(f"{path} is no notebook: is there a merge of git's to be finished?")
    return notebook


def _read(path: Path) -> dict:
    """A notebook as it stands in its file; an empty dict where there is none to read."""
    try:
        notebook = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return notebook if isinstance(notebook, dict) else {}


def code_cells(lesson: Path) -> list[str]:
    """The source of every code cell in the learner's copy of a lesson."""
    cells = _read(copy_of(lesson)).get("cells", [])
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


# --- what was checked ---------------------------------------------------------------------------


def note(name: str, state: str, root: Path = ROOT) -> None:
    """Remember what the check of an exercise said, if it was the learner's copy that ran it.

    A line is added where something has changed; notebooks that run side by side lose nothing.

    Args:
        name: of the exercise.
        state: "right", "wrong", or "unanswered", which changes nothing.
        root: the folder of the course.
    """
    folder = root / "learn"
    try:
        if state == "unanswered" or not os.path.samefile(os.getcwd(), folder):
            return
        if noted(root).get(name) != state:
            with open(folder / RECORD, "a", encoding="utf-8") as record:
                # A line's end comes first: an earlier line may have been cut short.
                record.write("\n" + json.dumps({"exercise": name, "state": state}))
    except OSError:
        pass  # a full or read-only disk must not come between a learner and the verdict


def noted(root: Path = ROOT) -> dict[str, str]:
    """What the last check of each exercise said: "right" or "wrong", by name."""
    try:
        lines = (root / "learn" / RECORD).read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        try:
            entry = json.loads(line)
            found[entry["exercise"]] = entry["state"]
        except (ValueError, TypeError, KeyError):
            continue  # a line that was cut short
    return found
