"""Published mistakes, kept alive beside what is right, one module a lesson.

A room is one right function, wrong versions of it, and properties that every right version has. A
visitor sees what each mistake does to a picture or a number, and finds the property that notices.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A right function among wrong versions of it.

    Attributes:
        right: the function as it should be.
        wrong: versions that take the same arguments, each named by its mistake.
        properties: functions that take a version and return whether it passes; `right` passes all.
        examples: makes arguments to call versions with; each mistake shows on some of them.
    """

    right: Callable
    wrong: tuple[Callable, ...]
    properties: tuple[Callable[[Callable], bool], ...]
    examples: Callable[[], list[tuple]]

    def caught_by(self, version: Callable) -> list[str]:
        """Names of the properties that a version lacks."""
        return [check.__name__ for check in self.properties if not passes(check, version)]

    def table(self) -> list[list[str]]:
        """Which property notices which mistake: a row for each version, after one of headings."""
        rows = [["", *(words(check) for check in self.properties)]]
        for version in (self.right, *self.wrong):
            caught = self.caught_by(version)
            verdicts = ["FAILS" if c.__name__ in caught else "passes" for c in self.properties]
            rows.append([words(version), *verdicts])
        return rows

    def _repr_markdown_(self) -> str:
        """The table as a page shows it, however narrow."""
        head, *rows = self.table()
        marked = [[cell.replace("FAILS", "**FAILS**") for cell in row] for row in rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *marked))

    def __repr__(self) -> str:
        rows = self.table()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def passes(check: Callable, version: Callable) -> bool:
    """Whether a version has a property; one that stops with an error has not."""
    try:
        return bool(check(version))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False


def words(function: Callable) -> str:
    return function.__name__.replace("_", " ")
