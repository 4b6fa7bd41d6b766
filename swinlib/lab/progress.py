"""How far a learner has come: which exercises are answered, right, open."""

import ast
import re
from pathlib import Path

from swinlib.lab import exercises
from swinlib.lab.judge.parts import PARTS
from swinlib.lab.judge.sittings import is_unwritten
from swinlib.lab.learner import ROOT, code_cells, lessons, noted

# Further decorators, comments and empty lines may stand between the two.
STUB = re.compile(r"^@exercise\b.*\n(?:[@#].*\n|[ \t]*\n)*def (\w+)", re.MULTILINE)
SITTING = re.compile(r"\s*%%sitting +(\d)")
SITTINGS = {part: f"sitting {part}" for part in PARTS}
SIGNS = {"right": "✓", "wrong": "✗", "unchecked": "?", "open": "…"}


def progress(root: Path = ROOT) -> None:
    """Print the lessons and their exercises: answered, right, open.

    Read from the saved copies in `learn/`, and from what the checks said there.

    Args:
        root: the folder of the course.
    """
    states = exercise_states(root)
    names = {lesson.name[:2]: lesson.stem for lesson in lessons(root)}
    print(f"{'lesson':<30}answered  right  open")
    asked = {
        lesson: {exercise.name: states[exercise.name] for exercise in exercises.of_lesson(lesson)}
        for lesson in exercises.LESSONS
    }
    for lesson, own in sorted([*asked.items(), ("09", sitting_states(root))]):
        print(f"{names.get(lesson, lesson):<30}{_counts(own)}")
        print("    " + "   ".join(f"{SIGNS[state]} {name}" for name, state in own.items()))
    print(f"{f'{len(states)} exercises':<30}{_counts(states)}")
    print("✓ right   ✗ not right yet   ? written and not checked: run its cell   … open")


def exercise_states(root: Path = ROOT) -> dict[str, str]:
    """Every exercise's name and its state: "right", "wrong", "unchecked" or "open"."""
    written = set()
    for lesson in lessons(root):
        for source in code_cells(lesson):
            written |= _written(source)
    said = noted(root)
    return {name: _state(name, name in written, said) for name in exercises.all_exercises()}


def sitting_states(root: Path = ROOT) -> dict[str, str]:
    """The sittings of lesson 09, and the state of each, as `exercise_states` gives them."""
    written = set()
    for lesson in lessons(root):
        for source in code_cells(lesson):
            begun = SITTING.match(source)
            if begun and not is_unwritten(source[begun.end() :]):
                written.add(int(begun[1]))
    said = noted(root)
    return {name: _state(name, part in written, said) for part, name in SITTINGS.items()}


def _state(name: str, is_written: bool, said: dict[str, str]) -> str:
    if said.get(name) == "right":
        return "right"
    return said.get(name, "unchecked") if is_written else "open"


def _counts(states: dict[str, str]) -> str:
    found = list(states.values())
    right, still_open = found.count("right"), found.count("open")
    return f"{len(found) - still_open:8}{right:7}{still_open:6}"


def _written(source: str) -> set[str]:
    """The exercises that a cell has more than the stub of."""
    names = set(STUB.findall(source))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # somebody has written something
        return names
    stubs = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and _is_stub(node.body[-1])
    }
    return names - stubs


def _is_stub(last: ast.stmt) -> bool:
    """Whether a function's last statement says that its end is not written: `...`, `pass`, a
    docstring or `raise NotImplementedError`."""
    if isinstance(last, ast.Raise):
        return "NotImplementedError" in ast.unparse(last)
    return isinstance(last, ast.Pass) or (
        isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant)
    )
