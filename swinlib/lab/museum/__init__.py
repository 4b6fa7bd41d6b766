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

    def __repr__(self) -> str:
        """Which property notices which mistake, as a table."""
        versions = (self.right, *self.wrong)
        names = [words(version) for version in versions]
        width = max(map(len, names))
        head = " " * width + "   " + "   ".join(words(check) for check in self.properties)
        lines = [head.rstrip()]
        for name, version in zip(names, versions, strict=True):
            caught = self.caught_by(version)
            cells = [
                ("FAILS" if check.__name__ in caught else "passes").ljust(len(words(check)))
                for check in self.properties
            ]
            lines.append((name.ljust(width) + "   " + "   ".join(cells)).rstrip())
        return "\n".join(lines)


def passes(check: Callable, version: Callable) -> bool:
    """Whether a version has a property; one that stops with an error has not."""
    try:
        return bool(check(version))
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False


def words(function: Callable) -> str:
    return function.__name__.replace("_", " ")
