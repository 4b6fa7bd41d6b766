"""How an answer is checked, and how words are found for what is wrong with it.

An exercise is a solution, a list of cases from small to hard, and known mistakes, each a small
function that makes one on purpose. An answer that behaves like one of these made that mistake,
however it is written. Where none fits, what the shape, the order of the axes or the first failing
case tells must do.
"""

import dis
import inspect
import itertools
import sys
import textwrap
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

PACKAGE = str(Path(__file__).resolve().parents[2])  # the folder of swinlib
TORCH = str(Path(torch.__file__).parent)
WIDE = 96  # characters; longer lines are broken
FEW = 64  # numbers; a tensor with more is described, not printed
# Fractions of the largest number: sums in another order are no mistake.
TOLERANCE = {torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 2e-5, torch.float64: 1e-10}


@dataclass(frozen=True)
class Case:
    """Arguments to try an answer on.

    Attributes:
        what: what is special about it, for "it fails on …".
        args: the arguments, in order.
    """

    what: str
    args: tuple


@dataclass(frozen=True)
class Mistake:
    """A mistake that is worth a sentence of its own.

    Attributes:
        says: the sentence, which helps without giving the answer away.
        like: a function that makes this mistake and no other.
    """

    says: str
    like: Callable


@dataclass(frozen=True)
class Outcome:
    """What a function did with one case: a result or an error, and whether it kept its inputs."""

    result: object = None
    error: Exception | None = None
    changed: str | None = None  # name of the argument that was written to
    given_back: str | None = None  # name of the argument that came back as the result


def agree(got, wanted, *args) -> str | None:
    """None where two results are the same to rounding, else a sentence on how they differ.

    `args` are the case's arguments, for exercises with an `agree` of their own.
    """
    if isinstance(wanted, tuple | list):
        if not isinstance(got, tuple | list) or len(got) != len(wanted):
            return f"returns {describe(got)}, wanted {len(wanted)} values"
        found = [(n, agree(a, b)) for n, (a, b) in enumerate(zip(got, wanted, strict=True))]
        says = next((f"in result [{n}], {says}" for n, says in found if says), None)
        if says and not holds_tensors(wanted):  # a few numbers: all of them say more
            return f"gives {describe(got)}, wanted {describe(wanted)}"
        return says
    if isinstance(wanted, Tensor):
        return agree_tensors(got, wanted)
    if isinstance(got, Tensor) and got.numel() == 1:
        got = got.item()
    if not isinstance(got, int | float | bool | str):
        return f"returns {describe(got)}, wanted {describe(wanted)}"
    if isinstance(wanted, float):
        same = isinstance(got, int | float) and abs(got - wanted) <= 1e-6 * max(1e-9, abs(wanted))
    else:
        same = got == wanted
    return None if same else f"gives {describe(got)}, wanted {describe(wanted)}"


def agree_tensors(got, wanted: Tensor) -> str | None:
    """As `agree`, for tensors, with a word on axes and shapes where that is all that is wrong."""
    if not isinstance(got, Tensor):
        return f"returns {describe(got)}, wanted a tensor"
    if got.shape == wanted.shape and got.dtype == wanted.dtype and close(got, wanted):
        return None
    if order := other_axes(got, wanted):
        return (
            f"the numbers are right, but the axes are in another order: yours are the wanted ones "
            f"as {order}"
        )
    if got.shape != wanted.shape:
        same = got.numel() == wanted.numel() and close(got.flatten(), wanted.flatten())
        says = f"the shape is {tuple(got.shape)}, wanted {tuple(wanted.shape)}"
        return f"the numbers are right and in order, but {says}" if same else says
    if close(got, wanted):
        return f"the numbers are right, but of type {got.dtype}, wanted {wanted.dtype}"
    if got.is_floating_point() and got.isnan().any():
        return "some numbers are NaN, the result of something like 0/0"
    if wanted.numel() == 1:
        return f"gives {number(got)}, wanted {number(wanted)}"
    return f"{(~near(got, wanted)).sum()} of {wanted.numel()} numbers are wrong"


def near(got: Tensor, wanted: Tensor) -> Tensor:
    """Where two tensors of one shape are equal to rounding; infinite or NaN only where both are."""
    allowed = TOLERANCE.get(wanted.dtype, 0.0)
    got, wanted = got.double(), wanted.double()
    finite = wanted[wanted.isfinite()].abs()  # one infinity as the scale would allow anything
    scale = finite.max() if finite.numel() else 0.0
    same = (got == wanted) | (got.isnan() & wanted.isnan())
    return same | ((got - wanted).abs() <= allowed * scale)


def close(got: Tensor, wanted: Tensor) -> bool:
    return got.shape == wanted.shape and bool(near(got, wanted).all())


def other_axes(got: Tensor, wanted: Tensor) -> tuple[int, ...] | None:
    """The order of axes that turns `wanted` into `got`, where there is one; else None."""
    if got.ndim != wanted.ndim or not 2 <= got.ndim <= 6:
        return None
    if sorted(got.shape) != sorted(wanted.shape):
        return None
    orders = itertools.permutations(range(got.ndim))
    next(orders)  # as it is
    return next((order for order in orders if close(got, wanted.permute(order))), None)


@dataclass(frozen=True)
class Exercise:
    """What is asked.

    Attributes:
        solution: a solution in the lesson's style; its name is the exercise's.
        cases: makes the cases, the smallest first.
        checked_on: what the cases cover, for the learner who is right.
        hints: from a nudge to nearly everything.
        mistakes: those worth a sentence, the likeliest first.
        allowed: functions of swinlib that an answer may call; no others.
        forbidden: names of torch's functions that would leave nothing to do.
        agree: as the function `agree`, where an answer can be right in several ways.
    """

    solution: Callable
    cases: Callable[[], list[Case]]
    checked_on: str
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...] = ()
    allowed: tuple[Callable, ...] = ()
    forbidden: tuple[str, ...] = ()
    agree: Callable[..., str | None] = field(default=agree)

    @property
    def name(self) -> str:
        return self.solution.__name__

    @property
    def praise(self) -> "Verdict":
        """What a right answer is told."""
        return Verdict(self.name, "right", f"right. Checked on {self.checked_on}.")

    @cached_property
    def source(self) -> str:
        """The solution as it would stand in a cell."""
        return textwrap.dedent(inspect.getsource(self.solution)).rstrip()


@dataclass(frozen=True)
class Verdict:
    """What is said about an answer: `state` is "right", "wrong" or "unanswered"."""

    name: str
    state: str
    says: str
    example: str = ""

    @property
    def right(self) -> bool:
        return self.state == "right"

    def __str__(self) -> str:
        sign = {"right": "✓", "wrong": "✗", "unanswered": "…"}[self.state]
        lines = [in_lines(f"{sign} {self.name}: {self.says}"), self.example]
        if self.state == "wrong":
            lines.append(f"  `{self.name}.hint()` helps you on.")
        return "\n".join(line for line in lines if line)


def in_lines(text: str) -> str:
    """Broken between words; a notebook's page would break it anywhere."""
    return textwrap.fill(
        text, WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def check(asked: Exercise, answer: Callable) -> Verdict:
    """Try an answer on every case, and say in a sentence how it went."""
    if is_empty(answer):
        return unanswered(asked, "not answered yet.")
    cases = asked.cases()
    tried, called = [], None
    for case in cases:
        with Watch(asked) as watch:
            tried.append(attempt(answer, case))
        called = called or watch.called
    wanted = [attempt(asked.solution, case).result for case in cases]
    if any(isinstance(outcome.error, NotImplementedError) for outcome in tried):
        return unanswered(asked, "not answered yet.")
    if all(outcome.error is None and outcome.result is None for outcome in tried):
        says = "it returns None. Is the `return` missing?"
        return unanswered(asked, "not answered yet." if is_begun(answer) else says)

    def wrong(says, number=None):
        example = (
            "" if number is None else show(asked, cases[number], tried[number], wanted[number])
        )
        return Verdict(asked.name, "wrong", says, example)

    if called:
        return wrong(f"it calls {called}, which leaves nothing for you to do. Write it out.")
    if outcome := next((o for o in tried if o.changed), None):
        return wrong(
            f"it writes into its input `{outcome.changed}`, which whoever calls it still needs. "
            "Work on a copy, or make a new tensor."
        )
    failing = failures(asked, cases, tried, wanted)
    if not failing:
        return asked.praise
    first = failing[0]
    if says := too_simple(asked, cases, tried, wanted):
        return wrong(says, first)
    if mistake := likeliest(asked, cases, tried, failing):
        return wrong(mistake.says, first)
    return wrong(in_general(asked, cases, tried, wanted, first), first)


def unanswered(asked: Exercise, says: str) -> Verdict:
    return Verdict(asked.name, "unanswered", f"{says} `{asked.name}.hint()` helps you on.")


def is_empty(function: Callable) -> bool:
    """Whether a body holds nothing but a docstring, `...` or `pass`."""

    def stub():
        """Nothing."""

    def steps(function):
        return [step.opname for step in dis.get_instructions(function)]

    return steps(function) == steps(stub)


def is_begun(function: Callable) -> bool:
    """Whether a body still ends in the stub's `...`."""
    try:
        return inspect.getsource(function).rstrip().endswith("...")
    except OSError:  # typed at a prompt
        return False


def attempt(function: Callable, case: Case) -> Outcome:
    """Call a function with copies of a case's arguments."""
    args = [copy(arg) for arg in case.args]
    names = list(inspect.signature(function).parameters) + ["?"] * len(args)
    try:
        result = function(*args)
    except Exception as error:  # whatever a learner's code may raise
        return Outcome(error=error)
    pairs = list(zip(names, args, case.args, strict=False))
    changed = next((n for n, now, before in pairs if not unchanged(now, before)), None)
    given_back = next((n for n, now, _ in pairs if is_tensor(now) and now is result), None)
    return Outcome(result, changed=changed, given_back=given_back)


def copy(arg):
    """A copy of a tensor with the same strides, so that one that lies scattered stays so."""
    if not is_tensor(arg):
        return arg
    new = torch.empty_strided(arg.shape, arg.stride(), dtype=arg.dtype)
    return new.copy_(arg)


def is_tensor(arg) -> bool:
    return isinstance(arg, Tensor)


def unchanged(now, before) -> bool:
    if not is_tensor(before):
        return True
    return now.shape == before.shape and torch.equal(now, before)


class Watch:
    """Notices whether swinlib is called, or what the exercise is to do without.

    Allowed are what the exercise names, and other exercises, whose names an unanswered notebook has
    bound to their solutions.
    """

    def __init__(self, asked: Exercise):
        self.asked = asked
        self.allowed = {function.__code__ for function in asked.allowed}
        self.called: str | None = None
        self.inside = 0  # how deep in an allowed function, which may call what it likes

    def __enter__(self):
        self.before = sys.getprofile()
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_):
        sys.setprofile(self.before)

    def see(self, frame: FrameType, event: str, function):
        code = frame.f_code
        if self.asked.forbidden and self.called is None:
            name = getattr(function, "__name__", None) if event == "c_call" else None
            if event == "call" and code.co_filename.startswith(TORCH):
                name = code.co_name  # a learner's own function may have any name
            if name in self.asked.forbidden:
                self.called = f"`{name}`"
        if code in self.allowed or self.is_other_exercise(frame):
            self.inside += {"call": 1, "return": -1}.get(event, 0)
        elif event == "call" and not self.inside and code.co_filename.startswith(PACKAGE):
            if code.co_filename != __file__ and self.called is None:
                self.called = f"swinlib's `{code.co_name}`"

    def is_other_exercise(self, frame: FrameType) -> bool:
        if frame.f_code.co_filename != __file__ or frame.f_code.co_name != "reference":
            return False
        return frame.f_locals.get("asked", self.asked) is not self.asked


def failures(asked: Exercise, cases: list[Case], tried: list[Outcome], wanted: list) -> list[int]:
    """Numbers of the cases that an answer fails."""
    return [
        number
        for number, (case, outcome, right) in enumerate(zip(cases, tried, wanted, strict=True))
        if outcome.error is not None or asked.agree(outcome.result, right, *case.args) is not None
    ]


def too_simple(asked, cases, tried, wanted) -> str | None:
    """A sentence on answers that do not look at what they are given; else None."""
    if any(outcome.error for outcome in tried):
        return None
    results = [outcome.result for outcome in tried]
    if all(outcome.given_back for outcome in tried):
        return f"it gives its argument `{tried[0].given_back}` back as it came."
    if all(same(result, results[0]) for result in results[1:]):
        return f"it gives the same answer in all {len(cases)} cases, whatever it is given."
    uniform = [is_uniform(result) for result in results]
    if all(uniform) and not any(is_uniform(right) for right in wanted):
        return "it gives the same number everywhere, whatever it is given."
    return None


def same(a, b) -> bool:
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if is_tensor(a) and is_tensor(b):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    return isinstance(a, int | float | str) and type(a) is type(b) and a == b


def is_uniform(result) -> bool:
    return is_tensor(result) and result.numel() > 1 and bool((result == result.flatten()[0]).all())


def likeliest(asked, cases, tried, failing) -> Mistake | None:
    """The mistake that explains most: the first failing case, and at least half of them all."""
    best, most = None, 0
    for mistake in asked.mistakes:
        alike = [
            number
            for number, case in enumerate(cases)
            if behave_alike(asked, case, attempt(mistake.like, case), tried[number])
        ]
        explained = len(set(alike) & set(failing))
        if failing[0] in alike and 2 * explained >= len(failing) and len(alike) > most:
            best, most = mistake, len(alike)
    return best


def behave_alike(asked: Exercise, case: Case, theirs: Outcome, ours: Outcome) -> bool:
    if theirs.error is not None or ours.error is not None:
        return type(theirs.error) is type(ours.error)
    return asked.agree(ours.result, theirs.result, *case.args) is None


def in_general(asked, cases, tried, wanted, first) -> str:
    """What can be said of a mistake that nobody foresaw."""
    case, outcome = cases[first], tried[first]
    if outcome.error is not None:
        says = stumble(outcome.error)
    else:
        says = asked.agree(outcome.result, wanted[first], *case.args)
    if first == 0:
        return f"{says}."
    before = "the case" if first == 1 else f"the {first} cases"
    return f"right in {before} before, but with {case.what}: {says}."


def stumble(error: Exception) -> str:
    """An exception in one line, with the learner's own line that raised it."""
    own = [
        step
        for step in traceback.extract_tb(error.__traceback__)
        if not step.filename.startswith(PACKAGE) and "site-packages" not in step.filename
    ]
    where = f", at `{own[-1].line}`" if own and own[-1].line else ""
    text = " ".join(str(error).split())
    text = text if len(text) <= 160 else text[:157] + "..."
    return f"it stops with {type(error).__name__}: {text}{where}"


# --- the smallest failing example ---------------------------------------------------------------


def show(asked: Exercise, case: Case, outcome: Outcome, wanted) -> str:
    """A failing case: what went in, what came out, what was wanted; small tensors side by side."""
    names = inspect.signature(asked.solution).parameters
    values = dict(zip(names, case.args, strict=True))
    yours = {} if outcome.error else one_by_one("yours", outcome.result)
    results = {**yours, **one_by_one("wanted", wanted)}
    given = [f"{name} = {describe(v)}" for name, v in values.items() if not is_small(v)]
    lines = [f"  with {case.what}" + (": " + ", ".join(given) if given else "")]
    blocks = [(name, v) for name, v in {**values, **results}.items() if is_small(v)]
    lines += side_by_side(blocks)
    lines += [f"  {name}: {describe(v)}" for name, v in results.items() if not is_small(v)]
    # Where answers may look unlike and be right, the first unlike number means nothing.
    if asked.agree is agree and outcome.error is None:
        lines += first_unlike(outcome.result, wanted)
    return "\n".join(lines)


def one_by_one(name: str, result) -> dict:
    """A result by name; several tensors, each with its number."""
    if not isinstance(result, tuple | list) or not holds_tensors(result):
        return {name: result}
    return {f"{name}[{n}]": part for n, part in enumerate(result)}


def holds_tensors(result) -> bool:
    if isinstance(result, tuple | list):
        return any(map(holds_tensors, result))
    return is_tensor(result)


def first_unlike(got, wanted) -> list[str]:
    """Where two large tensors of one shape begin to differ."""
    if isinstance(wanted, tuple | list) and isinstance(got, tuple | list):
        found = [first_unlike(a, b) for a, b in zip(got, wanted, strict=False)]
        return next((lines for lines in found if lines), [])
    if not is_tensor(got) or not is_tensor(wanted) or got.shape != wanted.shape:
        return []
    if wanted.numel() <= FEW or close(got, wanted):
        return []
    place = tuple((~near(got, wanted)).nonzero()[0].tolist())
    here = f"[{', '.join(map(str, place))}]"
    return [f"  first at {here}: yours {number(got[place])}, wanted {number(wanted[place])}"]


def is_small(value) -> bool:
    return is_tensor(value) and 1 < value.numel() <= FEW


def side_by_side(blocks: list[tuple[str, Tensor]]) -> list[str]:
    """Small tensors as blocks of numbers beside one another, under their names and shapes."""
    if not blocks:
        return []
    columns = []
    for name, tensor in blocks:
        table = tensor.reshape(-1, row_length(tensor))
        texts = [[number(value) for value in row] for row in table]
        width = max(len(text) for row in texts for text in row)
        body = [" ".join(text.rjust(width) for text in row) for row in texts]
        body = in_groups(body, group_length(tensor))
        columns.append([f"{name} {tuple(tensor.shape)}", *body])
    if len(columns) > 1 and sum(max(map(len, c)) + 3 for c in columns) > WIDE:
        half = (len(blocks) + 1) // 2
        return side_by_side(blocks[:half]) + side_by_side(blocks[half:])
    height = max(map(len, columns))
    widths = [max(map(len, column)) for column in columns]
    padded = [column + [""] * (height - len(column)) for column in columns]
    rows = zip(*padded, strict=True)
    return [
        ("  " + "   ".join(t.ljust(w) for t, w in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


def in_groups(lines: list[str], length: int) -> list[str]:
    """Lines with an empty one after every `length`: where one window, or picture, ends."""
    starts = range(0, len(lines), length)
    return [
        text for start in starts for text in ([""] if start else []) + lines[start : start + length]
    ]


def group_length(tensor: Tensor) -> int:
    """Rows that belong together: the last length but one that is not 1."""
    longer = [length for length in tensor.shape if length > 1]
    return longer[-2] if len(longer) > 2 else tensor.numel()


def row_length(tensor: Tensor) -> int:
    """The last length that is not 1: what reads best as a row of numbers."""
    return next((length for length in reversed(tensor.shape) if length > 1), 1)


def describe(value) -> str:
    """A value in one line; a tensor by its shape and type, unless it is a single number."""
    if is_tensor(value):
        if value.ndim == 0:
            return number(value)
        kind = str(value.dtype).removeprefix("torch.")
        scattered = "" if value.is_contiguous() else ", not contiguous"
        return f"a tensor of shape {tuple(value.shape)}, {kind}{scattered}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(describe(v) for v in value) + ")"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, int | str):
        return repr(value)
    return f"a {type(value).__name__}"


def number(value: Tensor) -> str:
    value = value.item()
    if isinstance(value, bool):
        return "T" if value else "F"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


# --- help on demand -----------------------------------------------------------------------------


def with_help(function: Callable, asked: Exercise) -> Callable:
    """The function with `.hint()`, one hint more at every call, and `.solution()`."""
    if function is asked.solution:

        def reference(*args, **kwargs):
            return asked.solution(*args, **kwargs)

        reference.__name__ = reference.__qualname__ = asked.name
        reference.__doc__ = asked.solution.__doc__
        function = reference
    given = itertools.count(1)

    def hint() -> None:
        """One hint more."""
        count = min(next(given), len(asked.hints))
        for i, text in enumerate(asked.hints[:count], 1):
            print(in_lines(f"{i}. {text}"))
        if count == len(asked.hints):
            print(f"That is all there is. `{asked.name}.solution()` shows a solution.")

    def solution() -> None:
        """A solution."""
        print(asked.source)

    function.hint, function.solution = hint, solution
    return function
