"""The learner's own folder: copies, what the checks said there, and the command that shows both."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from swinlib.lab import __main__ as command
from swinlib.lab import exercises, learner
from swinlib.lab.__main__ import jupyterlab, main
from swinlib.lab.judge import sittings as judge_sittings
from swinlib.lab.judge.parts import page_of
from swinlib.lab.judge.report import Finding, Report
from swinlib.lab.judge.sittings import Sittings
from swinlib.lab.learner import ORIGIN, copy_of, lay_copies, lessons, note, noted, outdated
from swinlib.lab.progress import exercise_states, sitting_states

ROOT = Path(__file__).parent.parent


@pytest.fixture
def course(tmp_path):
    """A course of its own, in a folder that is not easy to quote."""
    root = tmp_path / "Kurs für 1 Übung"
    shutil.copytree(ROOT / "notebooks", root / "notebooks")
    return root


def change(lesson, cell, source):
    """Write another source into a notebook's cell, by its number or its id."""
    nb = json.loads(lesson.read_text("utf-8"))
    found = [c for n, c in enumerate(nb["cells"]) if cell in (n, c["id"])]
    found[0]["source"] = source
    lesson.write_text(json.dumps(nb), "utf-8")


def run(*arguments, root, capsys):
    code = main(list(arguments), root)
    out, err = capsys.readouterr()
    return code, out, err


# --- copies -------------------------------------------------------------------------------------


def test_copies_are_the_lessons_without_outputs(course):
    made = lay_copies(course)
    assert [copy.name for copy in made] == [lesson.name for lesson in lessons(course)]
    assert sorted(path.name for path in (course / "learn").iterdir()) == [c.name for c in made]
    for lesson in lessons(course):
        before, copy = (nbformat.read(path, 4) for path in (lesson, copy_of(lesson)))
        nbformat.validate(copy)
        for a, b in zip(before.cells, copy.cells, strict=True):
            assert (a.id, a.cell_type, a.source, a.metadata) == (
                b.id, b.cell_type, b.source, b.metadata
            )  # fmt: skip
            assert b.cell_type != "code" or (b.outputs == [] and b.execution_count is None)


def test_links_between_lessons_lead_from_copy_to_copy(course):
    for copy in lay_copies(course):
        text = copy.read_text("utf-8")
        for name in re.findall(r"\]\((\d\d_\w+\.ipynb)", text):
            assert (copy.parent / name).exists(), name
        assert "](../notebooks/" not in text


def test_a_copy_that_exists_is_never_overwritten(course):
    lay_copies(course)
    copy = copy_of(lessons(course)[3])
    copy.write_text("my own")
    copy_of(lessons(course)[0]).unlink()
    assert lay_copies(course) == [copy_of(lessons(course)[0])]
    assert copy.read_text() == "my own"


def test_it_is_said_when_the_course_has_moved_on(course, capsys, monkeypatch):
    monkeypatch.delenv("MAKELEVEL", raising=False)
    code, out, _ = run("copies", root=course, capsys=capsys)
    assert code == 0 and "01_patches" in out and "08_cifar_training" in out
    assert run("copies", root=course, capsys=capsys) == (0, "", "")

    lesson = lessons(course)[3]
    change(copy_of(lesson), 0, "my own notes")  # the learner's work is no news of the course
    nb = json.loads(lesson.read_text("utf-8"))
    code_cell = next(cell for cell in nb["cells"] if cell.get("outputs"))
    code_cell["outputs"] = []  # nor are fresh outputs
    lesson.write_text(json.dumps(nb), "utf-8")
    assert outdated(course) == []

    change(lesson, 0, "# A better title")
    _, out, _ = run("copies", root=course, capsys=capsys)
    assert len(out.splitlines()) == 1 and "your copy of 04" in out
    assert "python -m swinlib.lab fresh 04" in out
    monkeypatch.setattr(sys, "executable", str(course / ".venv" / "bin" / "python"))
    monkeypatch.chdir(course)
    _, out, _ = run("copies", root=course, capsys=capsys)
    assert f"{Path('.venv', 'bin', 'python')} -m swinlib.lab fresh 04" in out
    monkeypatch.setenv("MAKELEVEL", "1")
    _, out, _ = run("copies", root=course, capsys=capsys)
    assert 'make fresh NB="04"' in out


def test_a_fresh_copy_keeps_the_old_one(course, capsys):
    lay_copies(course)
    lesson = lessons(course)[3]
    copy = copy_of(lesson)
    for number in (1, 2):
        copy.write_text(f"attempt {number}")
        change(lesson, 0, f"# Title {number}")
        code, out, _ = run("fresh", "04", root=course, capsys=capsys)
        assert code == 0 and f"learn/{copy.stem}-{number}.ipynb" in out
        assert copy.with_stem(f"{copy.stem}-{number}").read_text() == f"attempt {number}"
        assert f"# Title {number}" in copy.read_text("utf-8") and outdated(course) == []
    assert copy.with_stem(f"{copy.stem}-1").read_text() == "attempt 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fresh"], "needs a lesson"),
        (["fresh", "99"], "'99' names 0 lessons"),
        (["fresh", "0"], "names 9 lessons"),
    ],
)
def test_a_lesson_that_is_not_one_is_named(course, arguments, message, capsys):
    code, _, err = run(*arguments, root=course, capsys=capsys)
    assert code == 1 and message in err and "Traceback" not in err


def test_a_folder_without_lessons_is_a_sentence(tmp_path, capsys):
    code, _, err = run("copies", root=tmp_path, capsys=capsys)
    assert code == 1 and "no lessons in" in err


@pytest.mark.parametrize("content", ["", "[]", "{", '{"cells": []}'])
def test_a_damaged_copy_stops_nothing(course, content, capsys):
    lay_copies(course)
    copy_of(lessons(course)[0]).write_text(content)
    assert outdated(course) == [] and set(exercise_states(course).values()) == {"open"}
    assert run("copies", root=course, capsys=capsys) == (0, "", "")


@pytest.mark.parametrize("content", ["", "[]", "<<<<<<< HEAD\n{", "{}"])
@pytest.mark.parametrize("arguments", [["copies"], ["fresh", "04"]])
def test_a_damaged_lesson_is_a_sentence(course, content, arguments, capsys):
    lay_copies(course)
    lesson = lessons(course)[3]
    before = copy_of(lesson).read_bytes()
    lesson.write_text(content)
    code, _, err = run(*arguments, root=course, capsys=capsys)
    assert code == 1 and f"{lesson} is no notebook" in err and "Traceback" not in err
    assert copy_of(lesson).read_bytes() == before
    assert len(list((course / "learn").iterdir())) == len(lessons(course))
    copy_of(lesson).unlink()
    assert run(*arguments, root=course, capsys=capsys)[0] == 1 and not copy_of(lesson).exists()


def test_an_interrupt_leaves_no_half_copy(course, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        lay_copies(course)
    monkeypatch.undo()
    assert not copy_of(lessons(course)[0]).exists()
    assert len(lay_copies(course)) == len(lessons(course))
    assert all(path.suffix == ".ipynb" for path in (course / "learn").iterdir())


def test_a_pipe_that_takes_little_gets_utf_8(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}  # as Windows has it
    call = [sys.executable, "-m", "swinlib.lab", "progress"]
    done = subprocess.run(call, capture_output=True, env=environment, cwd=ROOT)
    assert done.returncode == 0 and "✓".encode() in done.stdout, done.stderr


def test_git_sees_nothing_of_it():
    assert "/learn/" in (ROOT / ".gitignore").read_text().splitlines()


# --- JupyterLab ---------------------------------------------------------------------------------


def test_jupyterlab_opens_the_first_copy(course, monkeypatch):
    called = {}

    def execve(program, command, environment):
        called.update(command=command, environment=environment)

    monkeypatch.setattr(os, "name", "posix")
    monkeypatch.setattr(os, "execve", execve, raising=False)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: SimpleNamespace(wait=lambda: 0))
    jupyterlab(["--no-browser"], course)
    command = called["command"]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and command[-1] == "--no-browser"
    assert f"--ServerApp.root_dir={course}" in command
    assert "--LabApp.default_url=/lab/tree/learn/01_patches.ipynb" in command
    assert called["environment"]["PYTHONPATH"].split(os.pathsep)[0] == str(course)
    settings = next(word for word in command if "app_settings_dir" in word).split("=")[1]
    assert json.loads((Path(settings) / "overrides.json").read_text())


def test_a_stop_is_jupyterlabs_to_answer(course, monkeypatch):
    """Where nothing replaces this process, it gets the interrupt too, and waits on."""
    waited = []

    def wait():
        waited.append("once more")
        if len(waited) == 1:
            raise KeyboardInterrupt
        return 3

    monkeypatch.setattr(command, "os", SimpleNamespace(name="nt", environ={}, pathsep=";"))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: SimpleNamespace(wait=wait))
    assert jupyterlab([], course) == 3 and len(waited) == 2


# --- progress -----------------------------------------------------------------------------------

STUB = '@exercise\ndef conv_weight(weight):\n    """Words."""\n    P = 4\n    ...\n'
ANSWER = "@exercise\ndef conv_weight(weight):\n    return weight\n"


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (STUB, "open"),
        (STUB.replace("...", "pass"), "open"),
        (STUB.replace("...", "raise NotImplementedError"), "open"),
        ('@exercise\ndef conv_weight(weight):\n    """Words."""', "open"),
        (ANSWER, "unchecked"),
        ("%time 1\n" + ANSWER, "unchecked"),  # not Python, so written by somebody
        (ANSWER.replace("return", "return ("), "unchecked"),
        (ANSWER.replace("@exercise", "@exercise  # mine"), "unchecked"),
        (ANSWER.replace("\n", "\n@torch.no_grad()\n", 1), "unchecked"),
        (ANSWER.replace("\n", "\n\n# so\n", 1), "unchecked"),
        (STUB.replace("\n", "\n@torch.no_grad()\n", 1), "open"),
        (ANSWER.replace("@exercise", "@exercises"), "open"),
        ("def conv_weight(weight):\n    return weight\n", "open"),  # not the exercise's cell
    ],
)
def test_what_stands_in_the_copies_is_read(course, source, state):
    lay_copies(course)
    change(copy_of(lessons(course)[0]), "exercise-conv-weight", source)
    states = exercise_states(course)
    assert states.pop("conv_weight") == state
    assert set(states.values()) == {"open"}


def test_every_exercise_is_open_in_new_copies(course):
    lay_copies(course)
    assert exercise_states(course) == dict.fromkeys(exercises.all_exercises(), "open")


def test_what_was_checked_in_the_copies_is_kept(course, monkeypatch):
    lay_copies(course)
    monkeypatch.chdir(course / "learn")
    for state in ("unanswered", "wrong", "wrong", "right", "unanswered"):
        note("conv_weight", state, course)
    assert noted(course) == {"conv_weight": "right"}
    assert (course / "learn" / learner.RECORD).read_text().count("conv_weight") == 2
    assert exercise_states(course)["conv_weight"] == "right"
    note("conv_weight", "wrong", course)  # and then the answer was taken out again
    assert exercise_states(course)["conv_weight"] == "open"
    change(copy_of(lessons(course)[0]), "exercise-conv-weight", ANSWER)
    assert exercise_states(course)["conv_weight"] == "wrong"


def test_only_the_learners_copies_are_kept_book_of(course, monkeypatch):
    lay_copies(course)
    monkeypatch.chdir(course / "notebooks")
    note("conv_weight", "right", course)
    assert noted(course) == {} and not (course / "learn" / learner.RECORD).exists()
    shutil.rmtree(course / "learn")
    note("conv_weight", "right", course)  # no folder, no record, no error
    assert noted(course) == {}


def test_a_damaged_or_unwritable_record_stops_nothing(course, monkeypatch):
    lay_copies(course)
    monkeypatch.chdir(course / "learn")
    record = course / "learn" / learner.RECORD
    record.write_bytes(b'{"exercise": "put_back", "state": "right"}\n\xff\n[]\n{"exercise": "conv')
    note("conv_weight", "wrong", course)
    assert noted(course) == {"put_back": "right", "conv_weight": "wrong"}
    record.unlink()
    record.mkdir()
    note("conv_weight", "right", course)
    assert noted(course) == {}


def test_an_exercise_notes_what_it_says(course, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(exercises, "note", lambda *told: seen.append(told))

    def conv_weight(weight):
        return weight

    exercises.exercise(conv_weight)
    praise = exercises.find("conv_weight").praise
    monkeypatch.setattr(exercises, "check", lambda *_: praise)
    exercises.exercise(conv_weight)
    assert seen == [("conv_weight", "wrong"), ("conv_weight", "right")]


def test_progress_counts(course, capsys, monkeypatch):
    lay_copies(course)
    monkeypatch.chdir(course / "learn")
    note("conv_weight", "right", course)
    change(
        copy_of(lessons(course)[1]),
        "exercise-safe-softmax",
        ANSWER.replace("conv_weight", "safe_softmax"),
    )
    code, out, _ = run("progress", root=course, capsys=capsys)
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    total = len(exercises.all_exercises())
    in_first = len(exercises.of_lesson("01"))
    assert lines["01_patches"] == ["1", "1", str(in_first - 1)]
    assert lines["02_attention"][:2] == ["1", "0"]
    assert lines[str(total)] == ["exercises", "2", "1", str(total - 2)]
    assert "✓ conv_weight" in out and "? safe_softmax" in out


def test_progress_shows_the_sittings(course, capsys, monkeypatch):
    lay_copies(course)
    monkeypatch.chdir(course / "learn")
    assert set(sitting_states(course).values()) == {"open"}
    sittings, copy = Sittings(), copy_of(*(p for p in lessons(course) if p.name.startswith("09")))
    monkeypatch.setattr(judge_sittings, "note", lambda *told: note(*told, course))
    monkeypatch.setattr(judge_sittings, "judge", lambda what, **_: Report(what, largest=0.0))
    sittings.sit(1, page_of(1))
    wrong = Report("sitting 2", [Finding("file", "It is wrong.")])
    monkeypatch.setattr(judge_sittings, "judge", lambda what, **_: wrong)
    sittings.sit(2, page_of(2))
    sittings.sit(4, "...")
    for part in (1, 2, 3):
        cell = f"sitting-{('one', 'two', 'three')[part - 1]}-cell"
        change(copy, cell, f"%%sitting {part}\n{page_of(part)}")
    assert list(sitting_states(course).values()) == ["right", "wrong", "unchecked", "open"]
    capsys.readouterr()
    _, out, _ = run("progress", root=course, capsys=capsys)
    assert "✓ sitting 1   ✗ sitting 2   ? sitting 3   … sitting 4" in out
    assert re.search(r"^09_from_an_empty_file +3 +1 +1$", out, re.MULTILINE)


def test_origin_is_a_word_of_our_own():
    assert ORIGIN.startswith("swinlib")
