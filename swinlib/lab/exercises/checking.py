"""How an answer is checked, and how words are found for what is wrong with it.

An exercise is a solution, a list of cases from small to hard, and known mistakes, each a small
function that makes one on purpose. An answer that behaves like one of these made that mistake,
however it is written. Where none fits, what the shape, the order of the axes or the first failing
case tells must do.
"""

import dis
import inspect
import itertools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from swinlib.lab.exercises import running
from swinlib.lab.exercises.comparing import (
    OTHER_AXES,
    WIDE,
    agree,
    close,
    describe,
    digits_apart,
    first_unlike,
    is_small,
    mark_unlike,
    one_by_one,
    side_by_side,
)
from swinlib.lab.exercises.running import (
    Outcome,
    TimeLimit,
    WaitedTooLong,
    Watch,
    attempt,
    is_tensor,
)
from swinlib.lab.showing import Code

PRINTED_LINES = 12  # that are shown of what an answer prints
# The lessons' modules, here and in swinlib: an answer may call swinlib's of earlier lessons.
LESSONS = {
    "01": "patches",
    "02": "attention",
    "03": "windows",
    "04": "shift",
    "05": "position",
    "06": "merging",
    "07": "model",
    "08": "training",
    "10": "finetuning",
    "11": "pyramid",
}


@dataclass(frozen=True)
class Case:
    """Arguments to try an answer on.

    Attributes:
        what: what is special about it, for "it fails on …".
        args: the arguments, in order. Where one requires a gradient, the answer's must be right.
    """

    what: str
    args: tuple


@dataclass(frozen=True)
class Mistake:
    """A mistake that is worth a sentence of its own.

    Attributes:
        says: the sentence, which helps without giving the answer away.
        like: a function that makes this mistake and no other.
        or_like: others, which make it in another way.
    """

    says: str
    like: Callable
    or_like: tuple[Callable, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """What is asked.

    Attributes:
        solution: a solution in the lesson's style; its name is the exercise's.
        cases: makes the cases, the smallest first.
        checked_on: what the cases cover, for the learner who is right.
        hints: from a nudge to nearly everything.
        mistakes: those worth a sentence, the likeliest first.
        allowed: functions of swinlib that an answer may call, beside those of earlier lessons.
        forbidden: names of torch's functions that would leave nothing to do.
        agree: as the function `agree`, where an answer can be right in several ways.
        leaves: a sentence for an answer that returns the right thing and leaves the wrong one
            behind, see `Outcome.left`.
    """

    solution: Callable
    cases: Callable[[], list[Case]]
    checked_on: str
    hints: tuple[str, ...]
    mistakes: tuple[Mistake, ...] = ()
    allowed: tuple[Callable, ...] = ()
    forbidden: tuple[str, ...] = ()
    agree: Callable[..., str | None] = field(default=agree)
    leaves: str = ""

    def __repr__(self) -> str:
        return f"Exercise({self.name})"

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

    @property
    def parameters(self) -> list[str]:
        """What the arguments are called."""
        return list(inspect.signature(self.solution).parameters)

    def watch(self) -> Watch:
        """Notices what an answer is to do without."""
        lessons = list(LESSONS.values())
        module = self.solution.__module__.rpartition(".")[-1]
        earlier = lessons[: lessons.index(module)] if module in lessons else []
        return Watch(self.name, self.allowed, earlier, self.forbidden)

    def judge(self, outcome: Outcome, wanted: Outcome, case: Case) -> str | None:
        """None where an outcome is right, else a sentence on what is wrong with it."""
        if outcome.error is not None:
            return stumble(outcome.error)
        if outcome.result is None:
            return "it returns None. Is there a way through it without a `return`?"
        try:
            says = self.agree(outcome.result, wanted.result, *case.args)
        except Exception as error:  # a learner may return anything at all
            return f"returns {describe(outcome.result)}, which cannot be compared ({error})"
        if says is None and not same_left(outcome, wanted):
            return self.leaves
        return says or wrong_gradient(outcome.gradients, wanted.gradients)


def same_left(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes left the same behind."""
    return all(close(a, b) for a, b in zip(one.left, other.left, strict=True))


def wrong_gradient(found: dict, wanted: dict) -> str | None:
    """A sentence on a gradient that is missing or wrong; None where all are right."""
    for name, got, right in zip(found, found.values(), wanted.values(), strict=True):
        if got is None and right is not None:
            return (
                f"the numbers are right, but no gradient flows back from them to `{name}`, and "
                "nothing could be learned: `detach`, `item`, `no_grad` and new tensors cut it off"
            )
        if right is not None and not close(got, right):
            return f"the numbers are right, but their gradient with respect to `{name}` is not"
    return None


@dataclass(frozen=True)
class Verdict:
    """What is said about an answer: `state` is "right", "wrong" or "unanswered".

    Attributes:
        name: the exercise's.
        state: as above.
        says: the sentence.
        example: the smallest failing case, in lines.
        printed: what the answer printed, in lines.
    """

    name: str
    state: str
    says: str
    example: str = ""
    printed: str = ""

    @property
    def right(self) -> bool:
        return self.state == "right"

    @property
    def sign(self) -> str:
        return {"right": "✓", "wrong": "✗", "unanswered": "…"}[self.state]

    @property
    def help(self) -> str:
        """Where hints are, for a page that has no button."""
        return "" if self.right else f"`{self.name}.hint()` helps you on."

    def __str__(self) -> str:
        says = f"{self.sign} {self.name}: {self.says}"
        if self.state == "unanswered":
            return "\n".join(filter(None, [in_lines(f"{says} {self.help}"), self.printed]))
        lines = [in_lines(says), self.example, self.printed, self.help and f"  {self.help}"]
        return "\n".join(filter(None, lines))


def in_lines(text: str) -> str:
    """Broken between words; a notebook's page would break it anywhere."""
    return textwrap.fill(
        text, WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


@dataclass(frozen=True)
class Trial:
    """An answer beside the solution, on every case that it came to.

    Attributes:
        asked: the exercise.
        cases: those that were tried.
        tried: what the answer did with each.
        wanted: what the solution did.
    """

    asked: Exercise
    cases: list[Case]
    tried: list[Outcome]
    wanted: list[Outcome]

    @cached_property
    def words(self) -> list[str | None]:
        """What is wrong with each outcome; None where it is right."""
        return [self.judge(outcome, number) for number, outcome in enumerate(self.tried)]

    def judge(self, outcome: Outcome, number: int) -> str | None:
        """What is wrong with an outcome of one of the cases; None where it is right."""
        return self.asked.judge(outcome, self.wanted[number], self.cases[number])

    @property
    def failing(self) -> list[int]:
        """Numbers of the cases that the answer fails."""
        return [number for number, says in enumerate(self.words) if says]


def check(asked: Exercise, answer: Callable) -> Verdict:
    """Try an answer on every case, and say in a sentence how it went."""
    try:
        return judged(asked, answer)
    except KeyboardInterrupt:  # between two cases
        return Verdict(asked.name, "wrong", "stopped before it was checked to the end.")


def judged(asked: Exercise, answer: Callable) -> Verdict:
    """As `check`, where nobody interrupts it."""
    if is_empty(answer):
        return unanswered(asked, "not answered yet.")
    cases = asked.cases()
    try:
        inspect.signature(answer).bind(*cases[0].args)
    except TypeError:
        says = f"its parameters must stay as they were: `({', '.join(asked.parameters)})`."
        return Verdict(asked.name, "wrong", says)
    tried, called = try_out(asked, answer, cases)
    trial = Trial(asked, cases[: len(tried)], tried, solved(asked, cases[: len(tried)]))
    shown = trial.failing[-1 if tried[-1].stopped else 0] if trial.failing else 0
    printed = show_printed(trial, shown)
    first = tried[0]
    if isinstance(first.error, NotImplementedError) and running.is_raised_by_hand(first.error):
        return unanswered(asked, "not answered yet.", printed)
    if all(o.error is None and (o.result is None or o.result is ...) for o in tried):
        says = "it returns None. Is the `return` missing?"
        begun = first.result is ... or is_begun(answer)
        return unanswered(asked, "not answered yet." if begun else says, printed)
    says, has_example = find_words(trial, called)
    if says is None:
        return Verdict(asked.name, "right", asked.praise.says, printed=printed)
    return Verdict(asked.name, "wrong", says, show(trial, shown) if has_example else "", printed)


def try_out(asked: Exercise, answer: Callable, cases: list[Case]) -> tuple[list, str | None]:
    """What an answer did with each case until it was stopped; what it called and should not."""
    watch, limit, tried = asked.watch(), TimeLimit(running.SECONDS, running.WAITING), []
    with running.same_random_numbers(), running.called_by_name(answer):
        for case in cases:
            tried.append(attempt(answer, case.args, watch, limit))
            if tried[-1].stopped:
                break
    return tried, watch.called


def solved(asked: Exercise, cases: list[Case]) -> list[Outcome]:
    """What the solution does with each case."""
    with running.same_random_numbers():
        return [attempt(asked.solution, case.args) for case in cases]


def find_words(trial: Trial, called: str | None) -> tuple[str | None, bool]:
    """The sentence for an answer, None if it is right, and whether an example goes with it."""
    if trial.tried[-1].stopped:
        return ended(stopped(trial)), False
    if called == f"swinlib's `{trial.asked.name}`" or called and "swinlib" not in called:
        return f"it calls {called}, which leaves nothing for you to do. Write it out.", False
    if called:
        return f"it calls {called}, which this exercise is to do without. Write it out.", False
    if outcome := next((o for o in trial.tried if o.changed), None):
        return (
            f"it writes into its input `{outcome.changed}`, which whoever calls it still needs. "
            "Work on a copy, or make a new tensor."
        ), False
    if outcome := next((o for o in trial.tried if o.setting), None):
        return f"it changes {outcome.setting} for everything that runs after it.", False
    if not trial.failing:
        return None, False
    return too_simple(trial) or likeliest(trial) or in_general(trial), True


def unanswered(asked: Exercise, says: str, printed: str = "") -> Verdict:
    return Verdict(asked.name, "unanswered", says, printed=printed)


def is_empty(function: Callable) -> bool:
    """Whether a body holds nothing but a docstring, `...` or `pass`."""

    def stub():
        """Nothing."""

    def steps(function):
        return [(step.opname, step.argval) for step in dis.get_instructions(function)]

    function = inspect.unwrap(function)
    return inspect.isfunction(function) and steps(function) == steps(stub)


def is_begun(function: Callable) -> bool:
    """Whether a body still ends in the stub's `...`."""
    try:
        return inspect.getsource(function).rstrip().endswith("...")
    except (OSError, TypeError):  # typed at a prompt, or no function
        return False


# --- words for what is wrong --------------------------------------------------------------------


def stopped(trial: Trial) -> str:
    """On an answer that did not end by itself: where it was."""
    error = trial.tried[-1].error
    line = running.own_line(error)
    where = f" It was at `{line}`" if line else ""
    what = trial.cases[-1].what
    if isinstance(error, KeyboardInterrupt):
        return f"stopped: does your loop end?{where or ' It was busy'}, with {what}"
    if isinstance(error, WaitedTooLong):
        long = f"stopped after {running.WAITING:.3g} seconds, most of them spent waiting"
        return f"{long}, with {what}.{where}"
    long = f"stopped after {running.SECONDS:.3g} seconds of computing, with {what}"
    return f"{long}: does your loop end?{where}"


def too_simple(trial: Trial) -> str | None:
    """A sentence on answers that do not look at what they are given; else None."""
    if any(outcome.error for outcome in trial.tried):
        return None
    results = [outcome.result for outcome in trial.tried]
    if all(outcome.given_back for outcome in trial.tried):
        return f"it gives its argument `{trial.tried[0].given_back}` back as it came."
    if all(same(result, results[0]) for result in results[1:]):
        return f"it gives the same answer in all {len(results)} cases, whatever it is given."
    if all(map(is_uniform, results)) and not any(is_uniform(o.result) for o in trial.wanted):
        return "all numbers of its result are the same, in every case."
    return None


def same(a, b) -> bool:
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if is_tensor(a) and is_tensor(b):
        return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
    return isinstance(a, int | float | str) and type(a) is type(b) and a == b


def is_uniform(result) -> bool:
    return is_tensor(result) and result.numel() > 1 and bool((result == result.flatten()[0]).all())


def likeliest(trial: Trial) -> str | None:
    """The sentence on the mistake that explains the answer on every case, where one does."""
    best, most = None, 0
    for mistake in trial.asked.mistakes:
        for like in (mistake.like, *mistake.or_like):
            alike = explained(trial, [attempt(like, case.args) for case in trial.cases])
            if alike is not None and len(alike) > most:
                best, most = mistake.says, len(alike)
    return best


def explained(trial: Trial, made: list[Outcome]) -> list[int] | None:
    """Numbers of the cases in which an answer did what a mistake does; None if it made another.

    It made this one if it returns what the mistake returns wherever both return something, and is
    wrong there only where the mistake is. That both raise an error says little: it supports a match
    beside a wrong value only, and only in the same words. A mistake that gives the right numbers of
    another type is made only by giving that type.
    """
    alike, wrong_value = [], False
    typed = all(
        is_tensor(theirs.result)
        and is_tensor(wanted.result)
        and close(theirs.result, wanted.result)
        for theirs, wanted in zip(made, trial.wanted, strict=True)
    )
    for number, (theirs, ours) in enumerate(zip(made, trial.tried, strict=True)):
        if theirs.error is None and ours.error is None:
            harmless = trial.judge(theirs, number) is None
            if not alike_results(trial, number, theirs, typed) or (
                harmless and trial.words[number]
            ):
                return None
            wrong_value |= not harmless
            alike.append(number)
        elif type(theirs.error) is type(ours.error) and str(theirs.error) == str(ours.error):
            alike.append(number)
    failing = set(trial.failing)
    enough = 2 * len(failing & set(alike)) >= len(failing)
    return alike if wrong_value and enough and trial.failing[0] in alike else None


def alike_results(trial: Trial, number: int, theirs: Outcome, typed: bool) -> bool:
    """Whether an answer's result is a mistake's; its type of numbers counts if `typed`."""
    ours, args = trial.tried[number].result, trial.cases[number].args
    if not same_left(trial.tried[number], theirs):
        return False
    if is_tensor(ours) and is_tensor(theirs.result) and close(ours, theirs.result):
        return ours.dtype == theirs.result.dtype or not typed
    try:
        return trial.asked.agree(ours, theirs.result, *args) is None
    except Exception:
        return False


def in_general(trial: Trial) -> str:
    """What can be said of a mistake that nobody foresaw."""
    first = trial.failing[0]
    says, case = trial.words[first], trial.cases[first]
    if order := other_order(trial):
        says = f"{OTHER_AXES} {order}"
    if trial.tried[first].error and any(is_half(arg) for arg in case.args):
        says += ". Half precision is tried too, and the result keeps its type"
    before = "the case" if first == 1 else f"the {first} cases"
    before = f"right in {before} before, but " if first else ""
    return ended(f"{before}with {case.what}: {says}")


def other_order(trial: Trial) -> tuple[int, ...] | None:
    """The order of axes that turns what is wanted into what came, in every failing case."""
    pairs = [(trial.tried[number].result, trial.wanted[number].result) for number in trial.failing]
    if not all(is_tensor(got) and is_tensor(wanted) for got, wanted in pairs):
        return None
    count = pairs[0][1].ndim
    pairs = [(got, wanted) for got, wanted in pairs if wanted.ndim == count]
    if not 2 <= count <= 6 or any(got.ndim != count or close(got, w) for got, w in pairs):
        return None
    orders = itertools.permutations(range(count))
    return next((o for o in orders if all(close(g, w.permute(o)) for g, w in pairs)), None)


def is_half(arg) -> bool:
    return is_tensor(arg) and arg.dtype in (torch.float16, torch.bfloat16)


def ended(says: str) -> str:
    return says if says[-1] in ".?!" else f"{says}."


def stumble(error: BaseException) -> str:
    """An exception in one line, with the learner's own line that raised it."""
    line = running.own_line(error)
    where = f", at `{line}`" if line else ""
    text = " ".join(str(error).split())
    text = text if len(text) <= 160 else text[:157] + "..."
    return f"it stops with {type(error).__name__}{': ' if text else ''}{text}{where}"


# --- the smallest failing example ---------------------------------------------------------------


def show(trial: Trial, number: int) -> str:
    """A failing case: what went in, what came out, what was wanted; small tensors side by side."""
    case, outcome, wanted = trial.cases[number], trial.tried[number], trial.wanted[number].result
    values = dict(zip(trial.asked.parameters, case.args, strict=True))
    yours = {} if outcome.error else one_by_one("yours", outcome.result)
    results = {**yours, **one_by_one("wanted", wanted)}
    given = [f"{name} = {describe(v)}" for name, v in values.items() if not is_small(v)]
    lines = [f"  with {case.what}" + (": " + ", ".join(given) if given else "")]
    blocks = [(name, v) for name, v in {**values, **results}.items() if is_small(v)]
    # Where answers may look unlike and be right, unlike numbers mean nothing.
    plain = trial.asked.agree is agree and outcome.error is None
    unlike = mark_unlike(yours, one_by_one("wanted", wanted)) if plain else {}
    lines += side_by_side(blocks, digits_apart(outcome.result, wanted), unlike)
    lines += [f"  {name}: {describe(v)}" for name, v in results.items() if not is_small(v)]
    if plain:
        lines += first_unlike(outcome.result, wanted)
    return "\n".join(lines)


def show_printed(trial: Trial, number: int) -> str:
    """What the answer printed in one case, which would be too much for all of them."""
    lines = trial.tried[number].printed.rstrip().splitlines()
    if not lines:
        return ""
    more = ["…"] if len(lines) > PRINTED_LINES else []
    lines = textwrap.indent("\n".join(lines[:PRINTED_LINES] + more), "  | ")
    return f"  it printed, with {trial.cases[number].what}:\n{lines}"


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

    def solution() -> Code:
        """A solution."""
        return Code(asked.source)

    function.hint, function.solution = hint, solution
    return function
