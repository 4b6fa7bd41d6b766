"""Exercise cells answered: the same notebook as a learner leaves it who got everything right."""

import re

from nbformat.v4 import new_output

from swinlib.lab.exercises import find
from swinlib.lab.judge.parts import page_of
from swinlib.lab.judge.sittings import praise

SITTING = re.compile(r"^%%sitting (\d)\n")
STUB = re.compile(r"^@exercise\ndef (\w+)\(.*\Z", re.MULTILINE | re.DOTALL)


def stub_name(source: str) -> str:
    """The name of the function that a cell asks for.

    Raises:
        ValueError: the cell does not end in a function below `@exercise`.
    """
    match = STUB.search(source)
    if not match:
        raise ValueError("an exercise's cell ends in `@exercise` and the function to be written")
    return match[1]


def solve(cell: dict) -> None:
    """Put the solution in place of the stub, and in place of the output what is then printed."""
    if sitting := SITTING.match(cell["source"]):
        part = int(sitting[1])
        cell["source"] = sitting[0] + page_of(part)
        cell["outputs"] = [new_output("stream", name="stdout", text=f"{praise(part)}\n")]
        return
    asked = find(stub_name(cell["source"]))
    # A function, since the solution's backslashes are no escapes of a pattern.
    cell["source"] = STUB.sub(lambda _: "@exercise\n" + asked.source, cell["source"])
    cell["outputs"] = [new_output("display_data", data={"text/plain": str(asked.praise)})]
