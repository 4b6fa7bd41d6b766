"""CONTRIBUTING.md says what is so: its examples work, what it names is there."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import swinlib
from oldest import is_oldest, lower_bounds
from swinlib.lab.exercises import LESSONS, check, of_lesson
from swinlib.lab.exercises.comparing import agree
from swinlib.lab.exercises.running import Watch

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKE = (ROOT / "Makefile").read_text(encoding="utf-8")


def example(heading: str) -> dict:
    """The names that the first Python block below a heading defines."""
    below = PAGE.split(f"\n### {heading}\n", 1)[1]
    code = re.search(r"```python\n(.*?)```", below, re.DOTALL)[1]
    names = {"__name__": "example"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    return names


def test_the_exercise(monkeypatch):
    asked = example("An exercise")["NUMBER"]
    monkeypatch.setattr(Watch, "see", lambda self, frame, event, arg: None)
    assert check(asked, asked.solution).right
    for mistake in asked.mistakes:
        assert check(asked, mistake.like).says == mistake.says
    assert "whatever it is given" in check(asked, lambda H, W, window_size, shift: 6).says
    full = {lesson for lesson in LESSONS if len(of_lesson(lesson)) == 5}
    assert full == set(re.findall(r"\d\d", re.search(r"Lessons (.*) have their five", PAGE)[1]))


def test_the_widget():
    pytest.importorskip("ipywidgets")
    explorer = example("A widget, or a control of one")["RowExplorer"](length=4, shift=1)
    written = [shape["text"] for kind, shape in explorer.drawing.shapes if kind == "text"]
    assert written == ["1", "2", "3", "0"]
    explorer.set(shift=3)
    explorer.set(length=3, shift=2)
    with pytest.raises(ValueError, match="shift must be a whole number from 0 to 2, got 3"):
        explorer.set(shift=3)


def test_the_exhibit():
    from swinlib.lab.museum.windows import ROOM

    wrong = example("An exhibit of a museum")["cropped_at_the_wrong_end"]
    room = replace(ROOM, wrong=(*ROOM.wrong, wrong))
    assert any(agree(wrong(*args), room.right(*args)) for args in room.examples())
    assert room.caught_by(wrong)


def test_files_that_it_names_are_there():
    named = set(re.findall(r"`((?:swinlib|tests|tools|docs|data|\.github)/[^`\s…]*)`", PAGE))
    assert len(named) > 10
    built = {"docs/_build/html"}
    assert [name for name in sorted(named - built) if not (ROOT / name).exists()] == []


def test_every_target_is_explained():
    targets = set(re.findall(r"^([a-z]+):[^#\n]*##", MAKE, re.MULTILINE))
    learners = {"help", "lab", "fresh", "progress"}  # the README has these
    assert targets - learners == set(re.findall(r"^\| `make ([a-z]+)`", PAGE, re.MULTILINE))


def test_every_room_of_the_house_is_named():
    house = re.search(r"## The house\n\n```text\n(.*?)```", PAGE, re.DOTALL)[1]
    top = {path.name + "/" for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    mine = {"build/", "runs/", "swinlib.egg-info/", "__pycache__/", "htmlcov/"}
    rooms = {path.parent.name + "/" for path in (ROOT / "swinlib").rglob("__init__.py")}
    lessons = {path.stem for path in (ROOT / "swinlib").glob("*.py")} - {"__init__"}
    rooms |= {path.name for path in (ROOT / "swinlib" / "lab").glob("*.py")} - {"__init__.py"}
    rooms |= {path.parent.name + "/" for path in (ROOT / "tests").glob("*/__init__.py")}
    words = set(re.findall(r"[\w.]+/?", house))
    assert top - mine | rooms | lessons <= words


def test_one_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == swinlib.__version__
    for name in ("pyproject.toml", "CITATION.cff", "README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"^version\s*[:=]\s*[\"'\d]", text, re.MULTILINE), name


def test_windows_runs_what_make_test_runs():
    """Where there is no make; but for the browser, which is looked for on Linux alone."""
    recipe = re.search(r"^test: \$\(TEST\).*?\n\n", MAKE, re.MULTILINE | re.DOTALL)[0]
    wanted = re.findall(r"\$\(PY\) (-m (?:ruff|pytest)[^&|;\\]*)", recipe)
    wanted = [line.replace("$(BROWSER:%=--ignore %) ", "").strip() for line in wanted]
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    steps = " && ".join(step.get("run", "") for step in workflow["jobs"]["windows"]["steps"])
    ran = [line.strip() for line in re.findall(r"python (-m (?:ruff|pytest)[^&]*)", steps)]
    assert ran == [line for line in wanted if "$(BROWSER)" not in line] and len(ran) == 5


def test_the_oldest_and_the_newest_python_are_tried():
    oldest = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    for job in ("make", "windows"):
        versions = workflow["jobs"][job]["strategy"]["matrix"]["python"]
        assert versions[0] == oldest and len(versions) == 2
    assert workflow["jobs"]["oldest"]["steps"][1]["with"]["python-version"] == oldest
    assert f"make oldest PYTHON=python{oldest}" in PAGE


def test_the_oldest_versions_are_known():
    bounds = lower_bounds(["torch>=2.6", 'pillow>=10; extra == "course"', "swinlib[lab]"])
    assert bounds == {"torch": "2.6", "pillow": "10"}
    for installed, bound in (("2.6.0+cpu", "2.6"), ("2.6.1", "2.6"), ("10.0.0", "10")):
        assert is_oldest(installed, bound)
    for installed, bound in (("2.14.1", "2.6"), ("2.7", "2.6"), ("1.0.21", "1.0.20")):
        assert not is_oldest(installed, bound)


def test_issue_forms_ask_for_what_is_needed():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/problem.yml").read_text(encoding="utf-8"))
    asked = {part["id"]: part for part in form["body"]}
    assert set(asked) == {"place", "what", "system", "front-end", "versions"}
    assert all(part["validations"]["required"] for part in asked.values())
    assert all(isinstance(option, str) for option in asked["front-end"]["attributes"]["options"])
