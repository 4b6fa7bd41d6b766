"""The museum's exhibits: each is wrong, and a property of its room notices it."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

from swinlib.lab.exercises import LESSONS
from swinlib.lab.exercises.comparing import agree

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
ROOMS = [
    (lesson, room)
    for lesson, name in LESSONS.items()
    for room in importlib.import_module(f"swinlib.lab.museum.{name}").ROOMS
]
EXHIBITS = [(room, wrong) for _, room in ROOMS for wrong in room.wrong]


def label(thing):
    return getattr(thing, "__name__", None) or getattr(
        getattr(thing, "right", None), "__name__", None
    )


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_has_exhibits(lesson):
    assert any(number == lesson and room.wrong for number, room in ROOMS)


@pytest.mark.parametrize("room", [room for _, room in ROOMS], ids=label)
def test_what_is_right_has_every_property(room):
    assert room.caught_by(room.right) == []


@pytest.mark.parametrize(("room", "wrong"), EXHIBITS, ids=label)
def test_a_mistake_is_wrong_without_an_error(room, wrong):
    noticed = [agree(wrong(*args), room.right(*args)) for args in room.examples()]  # all are tried
    assert any(noticed), f"{wrong.__name__} is right on all of the room's examples"


@pytest.mark.parametrize(("room", "wrong"), EXHIBITS, ids=label)
def test_a_mistake_is_noticed(room, wrong):
    caught, by_an_error = room.caught_by(wrong), []
    for check in room.properties:
        if check.__name__ in caught:
            try:
                assert not check(wrong)
            except Exception:
                by_an_error.append(check.__name__)
    assert len(caught) > len(by_an_error), f"no property of the room notices {wrong.__name__}"


def test_the_lessons_promise_as_many_mistakes_as_there_are():
    said, there = {}, {}
    for lesson in LESSONS:
        (path,) = NOTEBOOKS.glob(f"{lesson}_*.ipynb")
        first = nbformat.read(path, as_version=4).cells[0].source
        if promise := re.search(r"recognise (\w+) mistakes", first):
            said[lesson] = promise[1]
            there[lesson] = NUMBERS[sum(len(room.wrong) for at, room in ROOMS if at == lesson)]
    assert said == there and len(said) >= 8


@pytest.mark.parametrize("room", [room for _, room in ROOMS], ids=label)
def test_every_property_notices_something(room):
    caught = {name for wrong in room.wrong for name in room.caught_by(wrong)}
    assert caught == {check.__name__ for check in room.properties}


@pytest.mark.parametrize("room", [room for _, room in ROOMS], ids=label)
def test_the_table_names_everything(room):
    for table in (repr(room).splitlines(), room._repr_markdown_().splitlines()):
        head, *lines = [line for line in table if "---" not in line]
        assert all(check.__name__.replace("_", " ") in head for check in room.properties)
        for line, version in zip(lines, (room.right, *room.wrong), strict=True):
            assert line.lstrip("| ").startswith(version.__name__.replace("_", " "))
            assert line.count("FAILS") == len(room.caught_by(version))
            assert line.count("passes") == len(room.properties) - len(room.caught_by(version))
