"""The cells of notebook 09: `%%sitting 2` judges what stands below it, as part 2 of the model.

A part that is right belongs to the learner's model from then on. For the others the one-page model
stands in, so that the notebook always runs to its end.
"""

import ast
import os
from pathlib import Path

from swinlib.lab.exercises import STRICT
from swinlib.lab.exercises.checking import in_lines
from swinlib.lab.judge import judge
from swinlib.lab.judge.mistakes import MISTAKES
from swinlib.lab.judge.parts import PARTS
from swinlib.lab.judge.report import Report
from swinlib.lab.learner import note

HEADER = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
FILE = "my_swin.py"

MEETING = (
    "  The other parts are the one-page model's. What yours gives, and what it takes, must be what "
    "the table above the cell asks for."
)

HINTS = {
    1: (
        "Padding: how many pixels are missing to the next multiple? Python's `%` with a negative "
        "number gives it at once. `F.pad` counts from the last axis.",
        "Cutting: split each of H and W in two, which window and which place in it. Then the two "
        "axes that tell the window belong side by side, and so do the two that tell the place.",
        "Putting together: write the shape after the split, the permute, the reshape. Go through "
        "the three backwards. This permute undoes itself.",
    ),
    2: (
        "The mask: give every place of the rolled map a label that tells where it came from. "
        "Along one axis there are three; tokens may meet where both axes agree.",
        "The index: first every token's row and column in the window, then all differences, query "
        "minus key. Both are to begin at 0. Two numbers below 2M - 1 become one, as in a "
        "two-digit number.",
        "Attention: the joint layer gives q, k and v at once, each with its heads side by side. "
        "The bias has an axis for heads, the mask one for windows. The batch holds all windows of "
        "the first picture, then all of the second.",
        "Dropout has two places here, each with its own rate; a function must be told whether it "
        "is training.",
    ),
    3: (
        "The block: two branches, each after its own norm and beside its own residual. Write "
        "the attention branch as a method of its own.",
        "That branch, in order: pad, roll, cut, attend, put together, roll back, crop. Each step "
        "after attention undoes one before it. The mask belongs to the padded map.",
        "Each axis decides for itself whether it is shifted. When is there no other window to "
        "meet?",
        "Merging: four maps, each every second row and column. Mind their order, the odd sizes, "
        "and what the norm sees.",
    ),
    4: (
        "Drop path: one coin for each picture, broadcast over all other axes. What is kept is "
        "scaled up, so that the mean stays.",
        "Number the blocks through the whole model: from the first, which is never dropped, to "
        "the last there is one step fewer than there are blocks.",
        "After the stages: norm, mean over both axes of the map, head. The norm comes first.",
        "First weights: `self.apply` visits every module. Linear layers have their own rule, the "
        "convolution has none. And which parameters should not decay, and by what name would an "
        "optimiser ask for them?",
    ),
}


class Sittings:
    """What has been written so far."""

    def __init__(self):
        self.right: dict[int, str] = {}
        self.hints_given = dict.fromkeys(PARTS, 0)
        self.written: dict[Path, bytes] = {}

    def sit(self, part: int, text: str) -> None:
        """Judge the text as a part, and say how it went.

        Raises:
            AssertionError: not right, while the environment variable SWINLIB_EXERCISES is
                "strict".
        """
        self.right.pop(part, None)
        if is_unwritten(text):
            says = (
                f"… sitting {part}: not written yet, so the one-page model stands in. "
                f"`hint({part})` helps you on."
            )
            right = False
        else:
            earlier = [self.right[n] for n in sorted(self.right) if n < part]
            source = "\n\n".join([HEADER, *earlier, text])
            report = judge(f"sitting {part}", part=part, source=source)
            right = report.right and not any("Not written yet" in r for r in report.remarks)
            says = praise(part) if right else f"{report}\n  `hint({part})` helps you on."
            note(f"sitting {part}", "right" if right else "wrong")
        if os.environ.get(STRICT) == "strict" and not right:
            raise AssertionError(says)
        if right:
            self.right[part] = text
            print(says)
        elif says.startswith("…"):
            print(in_lines(says))
        else:
            report.show()
            if any(what.startswith("stops") for _, what in report.sizes):
                print(in_lines(MEETING))
            print(f"  `hint({part})` helps you on.")

    def hint(self, part: int) -> None:
        """One hint more for a sitting.

        Args:
            part: 1 to 4.
        """
        if part not in HINTS:
            raise ValueError(f"part must be one of 1 to {len(HINTS)}, got {part!r}")
        self.hints_given[part] = min(self.hints_given[part] + 1, len(HINTS[part]))
        for number, text in enumerate(HINTS[part][: self.hints_given[part]], 1):
            print(in_lines(f"{number}. {text}"))
        if self.hints_given[part] == len(HINTS[part]):
            print("That is all there is. The lessons have the rest.")

    def whole(self, path: str | Path = FILE) -> Report:
        """Put the four parts into one file and judge it.

        Args:
            path: where the file goes, if all four parts are right. What stands there already and
                was not written from here is left alone: the file's name then gets a number.
        """
        missing = [part for part in PARTS if part not in self.right]
        if missing and os.environ.get(STRICT) == "strict":
            raise AssertionError(f"sittings {missing} are not right")
        if missing:
            return Report(str(path), verdict=unfinished(missing))
        source = "\n\n".join([HEADER, *(self.right[part] for part in sorted(self.right))])
        return judge(str(self._write(Path(path), source.encode("utf-8"))))

    def _write(self, wanted: Path, source: bytes) -> Path:
        """Write a file, over nothing but what was written from here; return where it is."""
        path, number = wanted, 0
        while path.exists():
            there = path.read_bytes() if path.is_file() else None
            if there == source or there is not None and there == self.written.get(path.resolve()):
                break
            number += 1
            path = wanted.with_stem(f"{wanted.stem}-{number}")
        path.write_bytes(source)
        self.written[path.resolve()] = source
        if path != wanted:
            print(f"{wanted} holds something else and stays as it is; yours is in {path}.")
        return path


def is_unwritten(text: str) -> bool:
    """Whether a text defines nothing: comments, docstrings and `...` alone."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body)


def unfinished(missing: list[int]) -> str:
    """What is told while there is no whole model yet."""
    if len(missing) == len(PARTS):
        return "Nothing has been written yet. When all four sittings are right, this makes a file."
    these = ", ".join(map(str, missing))
    return f"Still to write: sitting {these}. When all four are right, this makes a file of them."


def praise(part: int) -> str:
    """What a right part is told."""
    names = ", ".join(PARTS[part])
    return f"✓ sitting {part}: right, at six sizes and in training. Yours now: {names}."


def mistaken(name: str) -> Report:
    """What the judge says of the one-page model with a known mistake in it.

    Args:
        name: of one in `swinlib.lab.judge.mistakes`.

    Raises:
        ValueError: there is none of this name.
    """
    made = {mistake.name: mistake for mistake in MISTAKES}
    if name not in made:
        raise ValueError(f"no mistake is called {name!r}; there are {', '.join(made)}")
    return judge(f"a model with a mistake: {name.replace('_', ' ')}", source=made[name].source)


def begin():
    """Make `%%sitting` known to the notebook.

    Returns:
        The functions `hint` and `whole`.
    """
    from IPython import get_ipython

    sittings = Sittings()

    def sitting(line: str, cell: str = "") -> None:
        part = int(line) if line.strip().isdigit() else 0
        if part not in PARTS:
            raise ValueError(f"%%sitting is followed by 1, 2, 3 or 4, got {line!r}")
        sittings.sit(part, cell)

    get_ipython().register_magic_function(sitting, "cell", "sitting")
    return sittings.hint, sittings.whole
