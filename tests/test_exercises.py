"""The exercises' checks, tested: right answers pass, wrong ones are told what is wrong."""

import importlib
import re
import time
from pathlib import Path

import nbformat
import pytest
import torch

import swinlib
from nbsolve import TAG, solve, stub_name
from swinlib.lab.exercises import LESSONS, all_exercises, check, exercise, find, of_lesson
from swinlib.lab.exercises.checking import Watch, near

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
def test_the_solution_is_right_and_checked_in_time(asked, swinlib_may_answer):
    start = time.perf_counter()
    verdict = check(asked, asked.solution)
    assert verdict.right, verdict
    assert time.perf_counter() - start < SLOW
    assert str(verdict) == str(asked.praise)


@pytest.mark.parametrize(("name", "answer", "words"), WRONG, ids=label)
def test_a_wrong_answer_is_told_its_own_mistake(name, answer, words):
    start = time.perf_counter()
    verdict = check(find(name), answer)
    assert verdict.state == "wrong", verdict
    assert words in verdict.says, verdict
    assert "\n" not in verdict.says
    assert time.perf_counter() - start < SLOW


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=label)
def test_a_right_answer_in_another_style_is_right(name, answer):
    verdict = check(find(name), answer)
    assert verdict.right, verdict


@each
def test_at_least_six_wrong_answers_with_messages_of_their_own(asked):
    pairs = next(m.WRONG[asked.name] for m in ANSWERS.values() if asked.name in m.WRONG)
    says = [check(asked, answer).says for answer, _ in pairs]
    assert len(pairs) >= 6
    assert len(set(says)) == len(says), "two mistakes are told the same"


@each
def test_every_known_mistake_is_recognised(asked, swinlib_may_answer):
    """A sentence that no answer can bring about would be dead."""
    for mistake in asked.mistakes:
        verdict = check(asked, mistake.like)
        assert verdict.says == mistake.says, f"{mistake.like.__name__}: {verdict}"


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
    bound.solution()
    assert capsys.readouterr().out.rstrip() == find("label_regions").source


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
    assert re.search(r"0 +1 +2 +3 +15 12 13 14 +5 +6 +7 +4\n", verdict.example)


# --- the notebooks ------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_notebook_asks_them_all(lesson):
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    stubs = [(n, c) for n, c in enumerate(cells) if TAG in c.metadata.get("tags", [])]
    asked = [find(stub_name(cell.source)) for _, cell in stubs]
    assert asked == list(of_lesson(lesson)) and 2 <= len(asked) <= 5
    for number, cell in stubs:
        task = cells[number - 1].source
        assert re.search(r"\*Difficulty [●○]{3} · importance [●○]{3} · \d+ minutes\*", task), task
        assert cell.outputs[0].text.endswith("helps you on.\n"), "stored unanswered"
        signature = find(stub_name(cell.source)).source.splitlines()[0]
        assert signature in cell.source, "the stub's first line is the solution's"


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_solution_stands_in_the_notebook(lesson):
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    text = path.read_text(encoding="utf-8").replace('\\"', '"')
    for asked in of_lesson(lesson):
        lines = [line.strip() for line in asked.source.splitlines()[2:]]
        code = [line for line in lines if not line.startswith("#")]
        assert not all(line in text for line in code), asked.name


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_solution_stands_above_its_stub(lesson):
    """A lesson derives its own pieces, and shows them, but not before they have been asked for."""
    (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    above = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if TAG in cell.metadata.get("tags", []):
            asked = find(stub_name(cell.source))
            code = [line for line in without_comments(asked.source).splitlines()[2:] if line]
            missing = [line for line in code if line not in above]
            assert missing, f"{asked.name} stands above its stub"
        outputs = (o.get("data", {}).get("text/markdown", "") for o in cell.get("outputs", []))
        above += without_comments("\n".join([cell.source, *outputs])) + "\n"


def without_comments(source):
    """Lines without what follows a #, and without the space around them."""
    return "\n".join(line.split("#")[0].strip() for line in source.splitlines())


def test_solving_keeps_what_stands_above_the_stub():
    source = "import torch\n\n@exercise\ndef label_regions(H, W, window_size, shift_size):\n    ..."
    cell = {"source": source, "outputs": []}
    solve(cell)
    assert cell["source"] == "import torch\n\n@exercise\n" + find("label_regions").source
    assert cell["outputs"][0]["text"] == f"{find('label_regions').praise}\n"
    with pytest.raises(ValueError, match="ends in `@exercise`"):
        solve({"source": "x = 1", "outputs": []})
