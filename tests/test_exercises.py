"""The exercises' checks, tested: right answers pass, wrong ones are told what is wrong."""

import ast
import builtins
import importlib
import random
import re
import signal
import symtable
import threading
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel

import swinlib
from nbform import EXERCISE, tags
from nbsolve import solve, stub_name
from swinlib.lab.exercises import LESSONS, all_exercises, check, exercise, find, of_lesson, running
from swinlib.lab.exercises.comparing import agree, digits_apart, near
from swinlib.lab.exercises.running import Watch

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SLOW = 2.0  # seconds a check may take
ANSWERS = {lesson: importlib.import_module(f"answers.{name}") for lesson, name in LESSONS.items()}
ASKED = list(all_exercises().values())
WRONG = [(n, a, w) for m in ANSWERS.values() for n, pairs in m.WRONG.items() for a, w in pairs]
RIGHT = [
    (name, answer) for m in ANSWERS.values() for name, many in m.RIGHT.items() for answer in many
]


def label(thing):
    return getattr(thing, "__name__", None) or getattr(thing, "name", None)


each = pytest.mark.parametrize("asked", ASKED, ids=label)


@pytest.fixture
def swinlib_may_answer(monkeypatch):
    """Solutions and mistakes live in swinlib; without this they would all be told so."""
    monkeypatch.setattr(Watch, "see", lambda self, frame, event, arg: None)


# --- every exercise -----------------------------------------------------------------------------


@each
def test_the_solution_is_right(asked, swinlib_may_answer):
    verdict = check(asked, asked.solution)
    assert verdict.right, verdict
    assert str(verdict) == str(asked.praise)


@pytest.mark.parametrize(("name", "answer", "words"), WRONG, ids=label)
def test_a_wrong_answer_is_told_its_own_mistake(name, answer, words):
    verdict = check(find(name), answer)
    assert verdict.state == "wrong", verdict
    assert words in verdict.says, verdict
    assert "\n" not in verdict.says


@pytest.mark.clock
@each
def test_a_check_takes_little_time(asked, swinlib_may_answer):
    wrong = [answer for name, answer, _ in WRONG if find(name) is asked]
    for answer in (asked.solution, *wrong):
        start = time.process_time()
        check(asked, answer)
        assert time.process_time() - start < SLOW


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=label)
def test_a_right_answer_in_another_style_is_right(name, answer):
    verdict = check(find(name), answer)
    assert verdict.right, verdict


@each
def test_at_least_six_wrong_answers_with_messages_of_their_own(asked):
    pairs = [(answer, words) for name, answer, words in WRONG if name == asked.name]
    assert len(pairs) >= 6, f"tests/answers has {len(pairs)} answers in WRONG[{asked.name!r}]"
    told = [(words, check(asked, answer).says) for answer, words in pairs]
    for words, _ in told:
        assert not any(words in said for other, said in told if other != words), words
        assert not re.fullmatch(r"(\d+ )?of \d+ numbers are wrong", words), words
    says = {said for _, said in told}
    assert len(says) >= len({words for _, words in pairs}) >= 6, "two mistakes are told the same"


def test_right_answers_in_other_styles_to_every_exercise():
    assert {name for name, _ in RIGHT} == {asked.name for asked in ASKED}


@each
def test_every_known_mistake_is_recognised(asked, swinlib_may_answer):
    """A sentence that no answer can bring about would be dead."""
    for mistake in asked.mistakes:
        for like in (mistake.like, *mistake.or_like):
            verdict = check(asked, like)
            assert verdict.says == mistake.says, f"{like.__name__}: {verdict}"


@each
def test_nothing_gives_the_solution_away(asked):
    lines = [line.strip() for line in asked.source.splitlines()[2:]]
    told = " ".join([asked.checked_on, *(mistake.says for mistake in asked.mistakes)])
    for line in lines:
        if len(line) > 30 and not line.startswith(("#", '"""')):
            assert line not in told
            assert not any(line in hint for hint in asked.hints[:-1])
    assert len(asked.hints) >= 2


@each
def test_no_answer(asked):
    def empty(*args):
        """Nothing yet."""
        ...

    def begun(*args):
        first = args[0]  # noqa: F841
        ...

    def forgot_to_return(*args):
        asked.solution(*args)

    def not_implemented(*args):
        raise NotImplementedError("later")

    for answer in (empty, begun, not_implemented):
        verdict = check(asked, answer)
        assert verdict.state == "unanswered" and "not answered yet" in verdict.says
    verdict = check(asked, forgot_to_return)
    assert verdict.state == "unanswered" and "`return` missing" in verdict.says


@each
def test_not_fooled(asked):
    """Answers that use the reference, or do not look at what they are given."""
    size = len(asked.cases()[0].args)
    wanted = asked.solution(*asked.cases()[0].args)

    def ask_swinlib(*args):
        return asked.solution(*args)

    def constant(*args):
        return wanted

    assert "it calls swinlib's" in check(asked, ask_swinlib).says
    verdict = check(asked, constant)
    assert verdict.state == "wrong" and "whatever it is given" in verdict.says, verdict
    for number in range(size):
        verdict = check(asked, lambda *args, number=number: args[number])
        assert verdict.state == "wrong", verdict
        if isinstance(asked.cases()[0].args[number], torch.Tensor):
            assert "back as it came" in verdict.says, verdict


@each
def test_an_error_in_an_answer_is_one_line(asked):
    def broken(*args):
        return torch.zeros(2, 3).view(7)

    verdict = check(asked, broken)
    assert verdict.state == "wrong"
    assert "it stops with RuntimeError: shape '[7]' is invalid" in verdict.says
    assert "return torch.zeros(2, 3).view(7)" in verdict.says

    def broken_at_length(*args):
        raise ValueError("one line\nand another")

    verdict = check(asked, broken_at_length)
    assert "ValueError: one line and another" in verdict.says and "\n" not in verdict.says


def test_infinite_numbers_and_nan_are_near_themselves_only():
    inf, nan = float("inf"), float("nan")
    wanted = torch.tensor([1.0, -inf, nan])
    assert near(wanted, wanted).all()
    assert near(torch.tensor([1.1, inf, 0.0]), wanted).tolist() == [False] * 3
    assert near(torch.tensor([-inf, 0.0, inf]), wanted).tolist() == [False] * 3
    assert near(torch.tensor([nan, nan, nan]), wanted).tolist() == [False, False, True]


# --- the decorator ------------------------------------------------------------------------------


def test_a_right_answer_keeps_the_name(capsys):
    def label_regions(H, W, window_size, shift_size):
        rows = torch.arange(H) >= H - shift_size[0]
        columns = torch.arange(W) >= W - shift_size[1]
        return rows[:, None] * 2 + columns

    bound = exercise(label_regions)
    assert bound is label_regions
    assert capsys.readouterr().out.startswith("✓ label_regions: right. Checked on ")


def test_another_answer_gives_the_name_to_the_reference(capsys):
    def label_regions(H, W, window_size, shift_size): ...

    bound = exercise(label_regions)
    assert capsys.readouterr().out.startswith("… label_regions: not answered yet.")
    assert torch.equal(bound(8, 8, (4, 4), (2, 2)), swinlib.region_ids(8, 8, 4, 2))
    assert bound.__name__ == "label_regions"
    assert repr(bound.solution()) == find("label_regions").source


def test_hints_come_one_by_one(capsys):
    def label_regions(H, W, window_size, shift_size): ...

    bound, asked = exercise(label_regions), find("label_regions")
    capsys.readouterr()
    for count in range(1, 5):
        bound.hint()
        out = " ".join(capsys.readouterr().out.split())  # broken into lines
        assert [hint in out for hint in asked.hints] == [n < count for n in range(3)]
        assert ("That is all there is" in out) == (count >= 3)


def test_strict_mode_stops(monkeypatch):
    def label_regions(H, W, window_size, shift_size): ...

    monkeypatch.setenv("SWINLIB_EXERCISES", "strict")
    with pytest.raises(AssertionError, match="not answered yet"):
        exercise(label_regions)


def test_a_renamed_function_is_told_what_there_is():
    def label_the_regions(H, W, window_size, shift_size): ...

    with pytest.raises(NameError, match="'label_the_regions'.*label_regions"):
        exercise(label_the_regions)


def test_another_exercise_s_reference_may_be_used():
    """In an unanswered notebook its name stands for the reference, which is no cheating."""

    def label_regions(H, W, window_size, shift_size): ...

    reference = exercise(label_regions)

    def mask_by_motion(H, W, window_size, shift_size):
        labels = reference(H, W, window_size, shift_size)
        labels = swinlib.window_partition(labels[None, :, :, None], window_size).flatten(1)
        return labels[:, :, None] != labels[:, None]

    assert check(find("mask_by_motion"), mask_by_motion).right
    assert "it calls swinlib's" in check(find("label_regions"), lambda *args: reference(*args)).says


def test_several_tensors_instead_of_one_are_a_wrong_answer_and_no_error():
    verdict = check(find("roll_by_slicing"), lambda x, shift_size: (x + 1, [x + 2]))
    assert "returns (a tensor of shape (1, 4, 4, 1), float32, (a tensor" in verdict.says
    constant = torch.zeros(2), [torch.ones(3)]
    verdict = check(find("roll_by_slicing"), lambda x, shift_size: constant)
    assert "the same answer in all 7 cases" in verdict.says


def test_sentences_are_broken_between_words(capsys):
    def smoothed_loss(logits, labels, smoothing):
        return logits.softmax(-1).log().gather(1, labels[:, None]).mean()

    verdict = check(find("smoothed_loss"), smoothed_loss)
    assert max(map(len, str(verdict).splitlines())) <= 96
    bound = exercise(smoothed_loss)
    for _ in range(3):
        bound.hint()
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 96


def test_a_helper_may_be_called_like_what_is_forbidden():
    def roll(x, shift, axis):
        return x.index_select(axis, (torch.arange(x.shape[axis]) + shift) % x.shape[axis])

    def roll_by_slicing(x, shift_size):
        return roll(roll(x, shift_size[0], 1), shift_size[1], 2)

    assert check(find("roll_by_slicing"), roll_by_slicing).right


def test_a_failing_example_shows_small_tensors_as_numbers():
    def roll_down(x, shift_size):
        rows = torch.arange(x.shape[1]) - shift_size[0]
        return x[:, rows][:, :, torch.arange(x.shape[2]) - shift_size[1]]

    verdict = check(find("roll_by_slicing"), roll_down)
    assert str(verdict).endswith("  `roll_by_slicing.hint()` helps you on.")
    assert "shift_size = (1, 1)" in verdict.example
    assert "x (1, 4, 4, 1)   yours (1, 4, 4, 1)   wanted (1, 4, 4, 1)" in verdict.example
    assert re.search(r"0 +1 +2 +3 +15\* 12\* 13\* 14\* +5 +6 +7 +4\n", verdict.example)


# --- answers that misbehave ---------------------------------------------------------------------


@pytest.fixture
def little_time(monkeypatch):
    monkeypatch.setattr(running, "SECONDS", 0.3)


@each
def test_an_endless_loop_is_stopped(asked, little_time):
    def endless(*args):
        while True:
            print("on and on")

    verdict = check(asked, endless)
    assert verdict.state == "wrong"
    assert verdict.says.startswith("stopped after 0.3 seconds of computing, with ")
    assert "does your loop end? It was at `" in verdict.says
    assert len(verdict.printed.splitlines()) < 20


def test_an_endless_loop_that_catches_everything_is_stopped(little_time):
    def stubborn(scores):
        for _ in range(2):
            try:
                while True:
                    pass
            except:  # noqa: E722
                pass
        while True:
            pass

    verdict = check(find("safe_softmax"), stubborn)
    assert "stopped after" in verdict.says


def test_only_computing_counts(little_time):
    """A right answer that a loaded machine holds up is right."""

    def held_up(scores):
        time.sleep(0.2)
        return ANSWERS["02"].softmax_by_logarithms(scores)

    assert 0.2 * len(find("safe_softmax").cases()) > running.SECONDS
    assert check(find("safe_softmax"), held_up).right


def sleeps(scores):
    time.sleep(600)


def waits(scores):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def sleeps_again(scores):
    try:
        time.sleep(600)
    except:  # noqa: E722
        time.sleep(600)


def naps(scores):
    while True:
        time.sleep(0.01)


@pytest.fixture
def little_waiting(monkeypatch):
    """And the stop button works as in a kernel, also where the tests' runner has put it off."""
    monkeypatch.setattr(running, "WAITING", 0.3)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("answer", [sleeps, waits, sleeps_again, naps])
def test_an_answer_that_waits_for_ever_is_stopped(answer, little_waiting):
    verdict = check(find("safe_softmax"), answer)
    assert verdict.says.startswith("stopped after 0.3 seconds, most of them spent waiting, with ")
    line = {"waits": "lock.acquire()", "naps": "time.sleep(0.01)"}.get(answer.__name__, "600)")
    assert "It was at `" in verdict.says and verdict.says.endswith(f"{line}`.")
    assert check(find("safe_softmax"), ANSWERS["02"].softmax_by_logarithms).right


def test_another_thread_than_the_main_one_waits_no_longer(little_waiting):
    found = []
    thread = threading.Thread(target=lambda: found.append(check(find("safe_softmax"), naps)))
    thread.start()
    thread.join()
    assert "most of them spent waiting" in found[0].says


def test_what_is_checked_next_is_not_stopped(little_time):
    """The exception of a time limit must not arrive anywhere else."""
    asked = find("safe_softmax")

    def endless_late(scores):
        while scores.ndim > 2:
            pass
        return scores.exp() / scores.exp().sum(-1, keepdim=True)

    for _ in range(3):
        assert "with a batch of heads: does your loop end?" in check(asked, endless_late).says
        assert check(asked, ANSWERS["02"].softmax_by_logarithms).right
    for _ in range(10_000):
        pass


def test_an_interrupted_answer_is_told_so_and_nothing_is_raised(capsys):
    def safe_softmax(scores):
        if scores.ndim > 2:
            raise KeyboardInterrupt
        return scores.exp()

    bound = exercise(safe_softmax)
    out = " ".join(capsys.readouterr().out.split())
    assert "✗ safe_softmax: stopped: does your loop end? It was at `raise Keyb" in out
    torch.testing.assert_close(bound(torch.zeros(1, 4)), torch.full((1, 4), 0.25))


@each
@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3), NotImplementedError("later")])
def test_an_error_in_a_late_case_is_told_with_its_line(asked, error, swinlib_may_answer):
    calls = []

    def late(*args):
        calls.append(args)
        if len(calls) == len(asked.cases()):
            raise error
        return asked.solution(*args)

    verdict = check(asked, late)
    assert verdict.state == "wrong"
    words = f"but with {asked.cases()[-1].what}: it stops with {type(error).__name__}: {error}, at"
    assert words in verdict.says


def test_an_error_of_pytorch_s_is_no_stub():
    def not_for_half(scores):
        return torch.empty(1, device="meta").item()

    verdict = check(find("safe_softmax"), not_for_half)
    assert verdict.state == "wrong" and "it stops with " in verdict.says


@each
def test_a_result_of_another_kind_is_put_into_words(asked, swinlib_may_answer):
    """Whatever is returned, a verdict comes out."""
    others = {
        "meta": lambda x: x.to("meta"),
        "numpy": lambda x: x.numpy() * 2.5,
        "list": lambda x: [x.tolist()],
        "complex": lambda x: x.to(torch.complex64) * 1j,
        "sparse": lambda x: x.to_sparse(),
        "double": lambda x: x.double() * 2,
        "nothing": lambda x: None,
        "object": lambda x: object(),
        "generator": lambda x: (part for part in x),
    }
    for change in others.values():

        def answer(*args, change=change):
            result = asked.solution(*args)
            if isinstance(result, torch.Tensor):
                return change(result)
            if isinstance(result, float):
                return change(torch.tensor(result))
            return [change(torch.as_tensor(part)) for part in result]

        verdict = check(asked, answer)
        # Any numbers will do as labels, imaginary ones too.
        assert not verdict.right or asked.name == "label_regions", verdict


@each
def test_printing_does_not_flood_and_a_right_answer_stays_right(asked, capsys, swinlib_may_answer):
    def loud(*args):
        print(*range(100), sep="\n")
        return asked.solution(*args)

    verdict = check(asked, loud)
    assert verdict.right
    assert f"it printed, with {asked.cases()[0].what}:\n  | 0\n  | 1\n" in str(verdict)
    assert len(str(verdict).splitlines()) < 20
    assert capsys.readouterr().out == ""


SETTERS = {
    "default dtype": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "default device": (lambda: torch.set_default_device("meta"), lambda: torch.empty(0).device),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
    ),
}


@pytest.mark.parametrize("what", SETTERS)
def test_settings_stay_as_they_were(what):
    set_it, get = SETTERS[what]
    before = get()

    def safe_softmax(scores):
        result = (scores - scores.logsumexp(-1, keepdim=True)).exp()
        set_it()
        return result

    verdict = check(find("safe_softmax"), safe_softmax)
    assert get() == before
    assert what in verdict.says and "for everything that runs after it" in verdict.says


def test_random_numbers_go_on_as_if_nothing_had_been_checked():
    def seeded(scores):
        torch.manual_seed(7)
        np.random.seed(7)
        random.seed(7)
        return scores + torch.rand_like(scores)

    def draw():
        return torch.rand(1).item(), np.random.rand(), random.random()

    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(0)
    expected = draw()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(0)
    check(find("safe_softmax"), seeded)
    assert draw() == expected


def test_an_answer_may_call_itself():
    def safe_softmax(scores):
        if scores.ndim > 1:
            return torch.stack([safe_softmax(row) for row in scores])
        return (scores - scores.logsumexp(-1)).exp()

    assert check(find("safe_softmax"), safe_softmax).right
    assert exercise(safe_softmax) is safe_softmax


def test_other_parameters_are_told_at_once():
    verdict = check(find("put_back"), lambda kept, places: kept)
    assert verdict.says == "its parameters must stay as they were: `(kept, places, filler, N)`."


def test_a_constant_is_an_answer():
    verdict = check(find("offset_of"), lambda number, window_size: (0, 0))
    assert verdict.state == "wrong" and "the same answer in all" in verdict.says
    assert check(find("offset_of"), lambda number, window_size: ...).state == "unanswered"


def test_calling_a_class_of_swinlib_names_the_class():
    def where_from(i, j, n, C):
        return swinlib.PatchMerging(C)

    verdict = check(find("where_from"), where_from)
    assert "it calls swinlib's `PatchMerging`, which this exercise is to do" in verdict.says


def test_importing_a_module_is_no_call_and_earlier_lessons_may_be_used():
    def merge_neighbours(x, size):
        importlib.reload(importlib.import_module("swinlib.cost"))
        kh, kw = size
        x = swinlib.windows.pad_to_multiple(x, size)
        B, H, W, _ = x.shape
        windows = swinlib.window_partition(x, size).transpose(1, 2)
        return windows.reshape(B, H // kh, W // kw, -1)

    assert check(find("merge_neighbours"), merge_neighbours).right


# --- in a kernel --------------------------------------------------------------------------------


class Kernel:
    """A real kernel: runs cells, and may be interrupted as by the stop button."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def run(self, source: str, interrupt_after: str | None = None) -> str:
        """What a cell shows as text, errors as well; interrupted once a text has been printed."""
        sent, shown = self.client.execute(source), ""
        while True:
            message = self.client.get_iopub_msg(timeout=300)
            if message["parent_header"].get("msg_id") != sent:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return shown
            shown += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            shown += "\n".join(content.get("traceback", []))
            if interrupt_after and interrupt_after in shown:
                self.manager.interrupt_kernel()
                interrupt_after = None


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    shown = kernel.run(
        "import sys, torch\n"
        "from swinlib.lab.exercises import exercise, running\n"
        "running.SECONDS = 1.0"
    )
    assert shown == ""
    yield kernel
    kernel.manager.shutdown_kernel(now=True)


ENDLESS = """
@exercise
def safe_softmax(scores):
    {before}
    while scores.ndim > 1:
        scores = scores + 0
"""
AFTERWARDS = "print(safe_softmax(torch.zeros(1, 4)).tolist())"


def test_in_a_kernel_an_endless_loop_is_stopped(kernel):
    shown = kernel.run(ENDLESS.format(before="pass"))
    assert shown.startswith("✗ safe_softmax: stopped after 1 seconds of computing, with one")
    assert "does your loop end? It" in " ".join(shown.split()) and "Traceback" not in shown
    assert kernel.run(AFTERWARDS) == "[[0.25, 0.25, 0.25, 0.25]]\n"


def test_in_a_kernel_a_sleep_is_stopped(kernel):
    kernel.run("import time; running.WAITING = 0.5")
    shown = kernel.run("@exercise\ndef safe_softmax(scores):\n    time.sleep(600)")
    kernel.run("running.WAITING = 600.0")
    assert shown.startswith("✗ safe_softmax: stopped after 0.5 seconds, most of them spent waiting")
    assert "It was at `time.sleep(600)`" in shown and "Traceback" not in shown
    assert kernel.run(AFTERWARDS) == "[[0.25, 0.25, 0.25, 0.25]]\n"


def test_in_a_kernel_the_stop_button_ends_an_answer(kernel):
    kernel.run("running.SECONDS = 60.0")
    source = ENDLESS.format(before="sys.__stdout__.flush(); print('begun', file=screen)")
    kernel.run("screen = sys.stdout")  # past what keeps an answer's prints
    shown = kernel.run(source, interrupt_after="begun")
    assert "✗ safe_softmax: stopped: does your loop end? It was at `" in shown
    assert "Traceback" not in shown and "checking.py" not in shown
    assert kernel.run(AFTERWARDS) == "[[0.25, 0.25, 0.25, 0.25]]\n"


def test_in_a_kernel_a_wrong_name_shows_nothing_of_the_check(kernel):
    shown = kernel.run("@exercise\ndef safe_softmx(scores): ...")
    assert shown.startswith("UnknownExercise: no exercise is called 'safe_softmx'")
    assert "raise" not in shown and ".py" not in shown


def test_in_a_kernel_an_answer_calls_itself_after_the_stub(kernel):
    kernel.run("@exercise\ndef safe_softmax(scores): ...")
    shown = kernel.run(
        "@exercise\n"
        "def safe_softmax(scores):\n"
        "    if scores.ndim > 1:\n"
        "        return torch.stack([safe_softmax(row) for row in scores])\n"
        "    return (scores - scores.logsumexp(-1)).exp()"
    )
    assert shown.startswith("✓ safe_softmax: right.")
    assert kernel.run(AFTERWARDS) == "[[0.25, 0.25, 0.25, 0.25]]\n"


# --- how results are compared -------------------------------------------------------------------


def test_numbers_that_look_alike_are_told_apart():
    assert agree(4.407, 4.407 * (1 + 1.1e-6)) == "gives 4.407, wanted 4.40700485"
    says = agree(torch.tensor(4.407), torch.tensor(4.407 * 1.0001))
    assert says == "gives 4.407, wanted 4.40744"
    assert (
        agree((2.0, 3.0), (2, 3))
        == "gives (2, 3) as floats, wanted whole numbers (`//` gives them)"
    )
    got = torch.full((2, 2), 1.00001), torch.ones(2, 2)
    assert digits_apart(torch.full((2, 2), 1.0001), torch.ones(2, 2)) == 6
    assert agree(*got) is None  # to rounding


def test_numbers_of_numpy_are_numbers():
    assert agree((np.int64(2), np.int32(-1)), (2, -1)) is None
    assert agree(np.float32(0.5), 0.5) is None
    assert agree(np.float64(2), 2) is not None


def test_the_type_is_compared_before_axes_and_shape():
    wanted = torch.arange(6.0).view(1, 2, 3)
    says = agree(wanted.double(), wanted, wanted)
    assert says.startswith("the numbers are right, but of type torch.float64, wanted torch.float32")
    assert "the type that came in" in says and "half" in says
    assert "axes" not in agree(wanted.transpose(0, 1).double(), wanted)
    assert "axes are in another order: yours are the wanted ones as (0, 2, 1)" in agree(
        wanted.transpose(1, 2), wanted
    )


def test_numbers_in_other_places_and_scaled_ones_are_told_so():
    wanted = torch.arange(1.0, 7).view(2, 3)
    assert "the right numbers, but 6 of them at wrong places" in agree(wanted.flip(0), wanted)
    assert agree(2 * wanted, wanted) == "all numbers are 2 times what they should be"
    ones = torch.tensor([True, False, True, False])
    assert agree(~ones, ones) == "4 of 4 numbers are wrong"


# --- the notebooks ------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_asks_them_all(lesson):
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    stubs = [(n, c) for n, c in enumerate(cells) if EXERCISE in tags(c)]
    asked = [stub_name(cell.source) for _, cell in stubs]
    assert asked == [wanted.name for wanted in of_lesson(lesson)] and asked
    for number, cell in stubs:
        task = cells[number - 1].source
        assert re.search(r"\*Difficulty [●○]{3} · importance [●○]{3} · \d+ minutes\*", task), task
        assert cell.outputs[0].data["text/plain"].endswith("helps you on."), "stored unanswered"
        signature = find(stub_name(cell.source)).source.splitlines()[0]
        assert signature in cell.source, "the stub's first line is the solution's"


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_has_what_the_solutions_use(lesson):
    """A right answer may not stop with `NameError` for want of an import above its cell."""
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    bound = {"exercise", *dir(builtins)}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or cell.source.startswith("%%"):
            continue
        if EXERCISE in tags(cell):
            solve(cell)
        table = symtable.symtable(cell.source, str(path), "exec")
        bound |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_assigned() or symbol.is_imported()
        }
        if EXERCISE in tags(cell):
            used = set().union(*(globals_of(inner) for inner in table.get_children()))
            assert used <= bound, f"{used - bound} of {stub_name(cell.source)}"


def globals_of(table):
    """Names that a function, or one inside it, takes from the module."""
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return own.union(*(globals_of(inner) for inner in table.get_children()))


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_solution_stands_above_its_stub(lesson):
    """A lesson derives its own pieces, and shows them, but only below where it asks for them."""
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    above = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if EXERCISE in tags(cell):
            asked = find(stub_name(cell.source))
            missing = [line for line in body(asked) if line not in above]
            assert missing, f"{asked.name} stands above its stub"
        outputs = (o.get("data", {}).get("text/markdown", "") for o in cell.get("outputs", []))
        above += without_comments("\n".join([cell.source, *outputs])) + "\n"


def body(asked):
    """The lines of a solution below its docstring."""
    (function,) = ast.parse(asked.source).body
    code = asked.source.splitlines()[function.body[0].end_lineno :]
    return [line for line in without_comments("\n".join(code)).splitlines() if line]


def without_comments(source):
    """Lines without what follows a #, and without the space around them."""
    return "\n".join(line.split("#")[0].strip() for line in source.splitlines())


def test_solving_keeps_what_stands_above_the_stub():
    source = "import torch\n\n@exercise\ndef label_regions(H, W, window_size, shift_size):\n    ..."
    cell = {"source": source, "outputs": []}
    solve(cell)
    assert cell["source"] == "import torch\n\n@exercise\n" + find("label_regions").source
    assert cell["outputs"][0]["data"]["text/plain"] == str(find("label_regions").praise)
    with pytest.raises(ValueError, match="ends in `@exercise`"):
        solve({"source": "x = 1", "outputs": []})
