"""swinlib.lab.widgets.explorer: the controls, without a browser."""

import base64

import pytest

pytest.importorskip("ipywidgets")

from swinlib.lab import widgets  # noqa: E402
from swinlib.lab.drawing import Drawing  # noqa: E402
from swinlib.lab.widgets.explorer import ALIVE, Choice, Explorer, Number, Switch  # noqa: E402

drawn = []  # the states for which the explorer below has drawn


def draw(kind="a", size=5, place=2, late=0, loud=False):
    """A picture of its arguments, of which none may be out of bounds."""
    assert 0 <= place < size and size <= late + size <= 2 * size
    drawn.append({"kind": kind, "size": size, "place": place, "late": late, "loud": loud})
    drawing = Drawing(60, 40, f"Kind {kind}, place {place} of {size} & late {late}, loud {loud}.")
    drawing.rect(0, 0, 10 * size, 10 * place, "#0072b2")
    return drawing


class Toy(Explorer):
    """`place` depends on `size`, and `late` on both."""

    draw = staticmethod(draw)

    def controls(self):
        return {
            "kind": Choice("kind", [("the a", "a"), ("the b", "b")], "a"),
            "size": Number("size", 5, 1, 9),
            "place": Number("place", 2, 0, 8),
            "late": Number("late", 0, 0, 9),
            "loud": Switch("loud"),
        }

    def bounds(self, size, place, **others):
        return {"place": (0, size - 1), "late": (place // 2, size)}


@pytest.fixture
def toy():
    explorer = Toy(late=3)
    drawn.clear()
    return explorer


FIRST = {"kind": "a", "size": 5, "place": 2, "late": 3, "loud": False}


# --- state ----------------------------------------------------------------------------------------


def test_the_state_comes_back(toy):
    assert toy.state == FIRST
    other = {"kind": "b", "size": 9, "place": 8, "late": 7, "loud": True}
    toy.set(**other)
    assert toy.state == other and Toy(**other).state == other
    toy.reset()
    assert toy.state == FIRST


def test_values_are_set_in_any_order():
    for names in (["size", "place", "late"], ["late", "place", "size"]):
        values = {"size": 9, "place": 8, "late": 9}
        values = {name: values[name] for name in names}
        toy = Toy(size=1)
        toy.set(**values)
        assert toy.state == FIRST | values == Toy(**values).state
        toy.set(**{name: {"size": 2, "place": 1, "late": 0}[name] for name in names})
        assert toy.state == FIRST | {"size": 2, "place": 1, "late": 0}


def test_the_draw_function_gets_exactly_the_state(toy):
    toy.set(size=7)
    assert drawn == [FIRST | {"size": 7}] == [toy.state]
    assert toy.drawing == draw(**toy.state)


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"size": 10}, "size must be a whole number from 1 to 9, got 10"),
        ({"size": 0}, "got 0"),
        ({"place": 5}, "place must be a whole number from 0 to 4, got 5"),
        ({"size": 3, "place": 3}, "from 0 to 2, got 3"),
        ({"place": 4, "late": 1}, "late must be a whole number from 2 to 5, got 1"),
        ({"size": 3.0}, "got 3.0"),
        ({"size": True}, "got True"),
        ({"size": "3"}, "got '3'"),
        ({"kind": "c"}, "kind must be one of"),
        ({"kind": "b", "loud": 1}, "loud must be True or False, got 1"),
        ({"kind": "b", "size": 9, "place": 8, "late": 10}, "from 4 to 9, got 10"),
    ],
)
def test_what_is_rejected_changes_nothing(toy, wrong, word):
    toy.set(size=5, place=1)
    before, picture, limits = toy.state, toy.svg, bounds_of(toy)
    drawn.clear()
    with pytest.raises(ValueError) as error:
        toy.set(**wrong)
    assert word in str(error.value)
    assert (toy.state, toy.svg, bounds_of(toy)) == (before, picture, limits)
    assert drawn == []
    toy.set(size=6)  # and it goes on
    assert drawn == [before | {"size": 6}]
    with pytest.raises(ValueError):
        Toy(**wrong)


def test_a_choice_takes_the_option_itself():
    step = Choice("step", [("one", 1), ("two", 2), ("half", 0.5), ("whole", 3.0)], 1)
    for value, option in [(2, 2), (2.0, 2), (3, 3.0), (0.5, 0.5)]:
        taken = step.checked("step", value)
        assert (taken, type(taken)) == (option, type(option))
    for wrong in (True, "2", None, 4):
        with pytest.raises(ValueError, match="step must be one of"):
            step.checked("step", wrong)
    shift = widgets.ShiftMaskExplorer()
    shift.set(step=2.0)
    assert (shift.state["step"], shift.svg) == (2, widgets.ShiftMaskExplorer(step=2).svg)


@pytest.mark.parametrize("error", [AssertionError, RuntimeError, KeyboardInterrupt])
def test_a_picture_that_cannot_be_drawn_moves_nothing(toy, error, monkeypatch):
    def fail(**state):
        raise error

    toy.set(size=7)
    before, picture, limits = toy.state, toy.svg, bounds_of(toy)
    with monkeypatch.context() as patch:
        patch.setattr(Toy, "draw", staticmethod(fail))
        for move in ({"state": {"size": 3}}, {"state": {"place": 1}, "begin": {"size": 4}}):
            with pytest.raises(error):
                toy._move(**move)
        patch.setattr(Toy, "along", lambda self, moved: fail())
        with pytest.raises(error):
            toy._move({"place": 1}, begin={"size": 4})
    assert (toy.state, toy.svg, bounds_of(toy)) == (before, picture, limits)


def test_no_such_control(toy):
    for make in (toy.set, Toy):
        with pytest.raises(TypeError, match="sise"):
            make(size=4, sise=4)
    assert toy.state == FIRST


# --- bounds ---------------------------------------------------------------------------------------


def bounds_of(toy):
    """Lowest and highest value of every number, as the page is told."""
    numbers = {said["name"]: said for said in toy.panel if said["kind"] == "number"}
    for name, said in numbers.items():
        part = toy.parts[name]
        assert (said["low"], said["high"], said["value"]) == (part.low, part.high, part.value)
    return {name: (said["low"], said["high"]) for name, said in numbers.items()}


def test_bounds_follow(toy):
    assert bounds_of(toy) == {"size": (1, 9), "place": (0, 4), "late": (1, 5)}
    toy.touch(size=9)
    assert bounds_of(toy) == {"size": (1, 9), "place": (0, 8), "late": (1, 9)}
    toy.touch(place=8)
    assert bounds_of(toy)["late"] == (4, 9)
    assert toy.state["late"] == 4  # carried along
    toy.touch(size=1)
    assert bounds_of(toy) == {"size": (1, 9), "place": (0, 0), "late": (0, 1)}
    assert toy.state == {"kind": "a", "size": 1, "place": 0, "late": 1, "loud": False}


def test_bounds_that_leap_over_each_other():
    number = Number("n", 3, 0, 5)
    number.narrow(7, 9)
    assert (number.low, number.high, number.value) == (7, 9, 7)
    number.narrow(0, 2)
    assert (number.low, number.high, number.value) == (0, 2, 2)
    with pytest.raises(NotImplementedError):
        Switch("s").narrow(0, 1)


# --- one change, one picture ----------------------------------------------------------------------


def test_one_redraw_for_each_change(toy):
    moves = [
        {"size": 8},
        {"place": 7},  # carries `late` along
        {"size": 1},  # carries both along
        {"kind": "b"},
        {"loud": True},
        {"size": 9, "place": 3, "late": 4, "kind": "a", "loud": False},
        {"reset": True},
    ]
    for count, move in enumerate(moves, start=1):
        toy._told(toy, move, None)
        assert len(drawn) == count and drawn[-1] == toy.state
        assert (toy.svg, toy.caption) == (toy.drawing.svg(), toy.drawing.caption)
        drawn.pop()  # by the line above
        drawn.pop() if len(drawn) > count else None
    toy.touch(size=toy.state["size"])
    assert len(drawn) == len(moves)  # no change, no picture


def test_the_picture_is_sent_once_for_each_change(toy):
    sent = []
    toy.observe(sent.append, names="svg")
    toy.touch(place=4)
    toy.touch(size=1)
    toy.set(size=9, place=8)
    assert len(sent) == 3


def test_a_hand_goes_too_far_and_is_stopped(toy):
    toy.touch(size=99, place=-3)
    assert toy.state == FIRST | {"size": 9, "place": 0}
    for wrong in ({"size": 3.5}, {"size": True}, {"kind": "c"}, {"loud": 1}):
        with pytest.raises(ValueError):
            toy.touch(**wrong)
    with pytest.raises(TypeError, match="sise"):
        toy.touch(sise=4)
    assert toy.state == FIRST | {"size": 9, "place": 0}


def test_the_page_is_answered_whatever_it_says(toy):
    before = toy.answers
    for said in ({"size": 7}, {"size": 7}, {"size": "x"}, {"sise": 1}, {"reset": True}):
        toy._told(toy, said, None)
    assert toy.answers == before + 5 and toy.state == FIRST


# --- what is shown --------------------------------------------------------------------------------


def test_the_page_is_told_all_of_every_control(toy):
    assert [said["name"] for said in toy.panel] == list(toy.parts)
    for said in toy.panel:
        part = toy.parts[said["name"]]
        assert said["label"] and said["value"] == part.value
        assert said["kind"] in ("number", "choice", "switch")
        assert {"rare", "play"} <= said.keys()
    toy.touch(kind="b", size=2)
    assert [said["value"] for said in toy.panel] == list(toy.state.values())


def test_files(toy, tmp_path):
    toy.set(size=9)
    toy.save(str(tmp_path / "toy.png"))
    assert (tmp_path / "toy.png").read_bytes() == toy.drawing.png()
    for name in ("toy.svg", "toy"):
        with pytest.raises(ValueError, match=r"path must end in \.png"):
            toy.save(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_still_is_left_behind(toy):
    bundle, metadata = toy._repr_mimebundle_()
    assert bundle["text/plain"] == repr(toy) == "Toy()"  # the same in every state
    assert base64.b64decode(bundle["image/png"]) == toy.drawing.still(ALIVE)
    assert metadata["image/png"]["alt"] == toy.drawing.caption
    assert "application/vnd.jupyter.widget-view+json" in bundle
    still = bundle["image/png"]
    toy.set(size=9)
    assert toy._repr_mimebundle_()[0]["image/png"] != still


def test_a_still_may_show_more_than_the_beginning():
    toy = Toy(still={"kind": "b"}, size=4)
    assert toy.still_drawing() == draw(**FIRST | {"kind": "b", "size": 4, "late": 1})
    assert toy.state["kind"] == "a" and toy.drawing != toy.still_drawing()


# --- the package ----------------------------------------------------------------------------------


def test_every_widget_is_exported():
    assert len(widgets.__all__) >= 10
    for name in widgets.__all__:
        thing = getattr(widgets, name)
        assert thing.__name__ == name
        assert issubclass(thing, Explorer) and "controls" in vars(thing)
    assert set(widgets.__all__) <= set(dir(widgets))
    with pytest.raises(AttributeError, match="NoSuchExplorer"):
        widgets.NoSuchExplorer  # noqa: B018
