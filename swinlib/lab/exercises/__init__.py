"""Exercises that are checked the moment their cell runs, and say what is wrong.

running.py    runs an answer: on copies, watched, stopped in time, leaving everything as it was
comparing.py  compares results, and puts values into words
checking.py   `@exercise`: tries an answer on hard inputs and finds words for what it got wrong
telling.py    shows the verdict, with hints to unfold
patches.py …  one module a lesson: what is asked, a solution, hints, and mistakes worth a sentence
"""

import os
from functools import cache
from importlib import import_module

from IPython.display import display

from swinlib.lab.exercises.checking import (
    LESSONS,
    Exercise,
    Verdict,
    check,
    in_lines,
    with_help,
)
from swinlib.lab.exercises.telling import Told
from swinlib.lab.learner import note

STRICT = "SWINLIB_EXERCISES"  # set to "strict", anything but a right answer is an error


def exercise(function):
    """Check an answer and print the verdict; for a decorator over the function to be written.

    The name is then bound to the learner's function when it is right, else to the reference, so
    that a notebook always runs to its end. Either way it has two helpers: ``name.hint()`` tells a
    little more at every call, and ``name.solution()`` shows a solution.

    Raises:
        UnknownExercise: no exercise has this name; a NameError.
        AssertionError: not right, while the environment variable SWINLIB_EXERCISES is "strict".
    """
    __tracebackhide__ = True  # IPython leaves this frame out
    asked = find(function.__name__)
    verdict = check(asked, function)
    if os.environ.get(STRICT) == "strict" and not verdict.right:
        raise AssertionError(str(verdict))
    display(Told(verdict, asked))
    note(asked.name, verdict.state)
    return with_help(function if verdict.right else asked.solution, asked)


class UnknownExercise(NameError):
    """No exercise has this name."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: no lines of the check's."""
        return in_lines(f"{type(self).__name__}: {self}").splitlines()


def find(name: str) -> Exercise:
    """The exercise whose function has this name.

    Raises:
        UnknownExercise: there is none.
    """
    if name not in all_exercises():
        raise UnknownExercise(
            f"no exercise is called {name!r}: keep the name of the function as it was, or "
            "lay the lesson afresh if your copy is older than the course. "
            f"There are {', '.join(sorted(all_exercises()))}"
        )
    return all_exercises()[name]


@cache
def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course by name, in the order of the lessons."""
    return {asked.name: asked for lesson in LESSONS for asked in of_lesson(lesson)}


def of_lesson(lesson: str) -> tuple[Exercise, ...]:
    """The exercises of a lesson, in order; `lesson` is one of LESSONS."""
    return import_module(f"{__name__}.{LESSONS[lesson]}").EXERCISES


__all__ = [
    "LESSONS",
    "STRICT",
    "Exercise",
    "UnknownExercise",
    "Verdict",
    "check",
    "all_exercises",
    "exercise",
    "find",
    "of_lesson",
]
