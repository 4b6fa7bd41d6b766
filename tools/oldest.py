"""Lists the packages that pyproject.toml names, and fails where one is not as old as it may be.

For `make oldest`: a resolver that takes newer ones after all says nothing of it.
"""

import sys
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.version import Version


def lower_bounds(lines: list[str]) -> dict[str, str]:
    """By package, the version that requirements such as "torch>=2.6" begin with."""
    wanted = map(Requirement, lines)
    return {one.name: s.version for one in wanted for s in one.specifier if s.operator == ">="}


def is_oldest(installed: str, bound: str) -> bool:
    """Whether a version is the first of its bound's: 2.6.0 and 2.6.1 of 2.6."""
    digits = Version(bound).release
    return Version(installed).release[: len(digits)] == digits


def main() -> None:
    newer = []
    for name, bound in sorted(lower_bounds(requires("swinlib")).items()):
        print(f"{name} {version(name)}, wanted {bound}")
        newer += [] if is_oldest(version(name), bound) else [name]
    if newer:
        sys.exit(f"newer than the oldest allowed: {', '.join(newer)}")


if __name__ == "__main__":
    main()
