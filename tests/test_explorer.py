"""swinlib.lab.widgets.explorer: the controls, without a browser."""

import base64
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

pytest.importorskip("ipywidgets")

from swinlib.lab import widgets  # noqa: E402
from swinlib.lab.drawing import Drawing  # noqa: E402
from swinlib.lab.widgets.explorer import Choice, Explorer, Number, Switch  # noqa: E402

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


def test_no_such_control(toy):
    for make in (toy.set, Toy):
        with pytest.raises(TypeError, match="sise"):
            make(size=4, sise=4)
    assert toy.state == FIRST


# --- bounds ---------------------------------------------------------------------------------------


def bounds_of(toy):
    """Lowest and highest value of every number, which field and slider agree upon."""
    numbers = {name: part for name, part in toy.parts.items() if isinstance(part, Number)}
    for part in numbers.values():
        slider = part.slider
        assert (slider.min, slider.max, slider.value) == (part.low, part.high, part.value)
    return {name: (part.low, part.high) for name, part in numbers.items()}


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
    assert (number.low, number.high, number.value, number.slider.value) == (7, 9, 7, 7)
    number.narrow(0, 2)
    assert (number.slider.min, number.slider.max, number.value, number.slider.value) == (0, 2, 2, 2)
    with pytest.raises(NotImplementedError):
        Switch("s").narrow(0, 1)


# --- one change, one picture ----------------------------------------------------------------------


def test_one_redraw_for_each_change(toy):
    moves = [
        lambda: setattr(toy.parts["size"].main, "value", 8),
        lambda: setattr(toy.parts["size"].slider, "value", 9),  # as dragged in the browser
        lambda: setattr(toy.parts["place"].slider, "value", 8),  # carries `late` along
        lambda: setattr(toy.parts["size"].slider, "value", 1),  # carries both along
        lambda: setattr(toy.parts["kind"].main, "value", "b"),
        lambda: setattr(toy.parts["loud"].main, "value", True),
        lambda: toy.set(size=9, place=3, late=4, kind="a", loud=False),
        toy.reset,
    ]
    for count, move in enumerate(moves, start=1):
        move()
        assert len(drawn) == count and drawn[-1] == toy.state
        assert toy.drawing.svg() in toy.svg
        drawn.pop()  # by the line above
    toy.touch(size=toy.parts["size"].main.value)
    assert len(drawn) == len(moves)  # no change, no picture


def test_the_picture_is_sent_once_for_each_change(toy):
    sent = []
    toy.picture.observe(sent.append, names="value")
    toy.touch(place=4)
    toy.touch(size=1)
    toy.set(size=9, place=8)
    assert len(sent) == 3


def test_the_reset_button(toy):
    toy.set(kind="b", size=9, place=8, late=8, loud=True)
    drawn.clear()
    controls = toy.children[0].children
    button = next(child for child in controls if getattr(child, "description", "") == "reset")
    button.click()
    assert toy.state == FIRST and len(drawn) == 1


# --- what is shown --------------------------------------------------------------------------------


def test_every_control_has_a_label_and_a_field_for_the_keyboard(toy):
    for part in toy.parts.values():
        assert part.main.description
        if not isinstance(part, Switch):
            assert part.main.tooltip == part.main.description  # else the page says null
    for part in (toy.parts["size"], toy.parts["place"]):
        assert part.main is not part.slider and part.main in part.box.children


def test_the_page_holds_the_picture_and_its_caption(toy):
    class Text(HTMLParser):
        caption, inside = "", False

        def handle_starttag(self, tag, attributes):
            self.inside = tag == "figcaption"

        def handle_data(self, data):
            self.caption += data if self.inside else ""

    page = Text()
    page.feed(toy.svg)
    assert page.caption == toy.drawing.caption
    assert "&" in page.caption
    root = ET.fromstring(toy.svg)  # whole, with nothing left open
    # On a narrow page the picture stays readable, and is scrolled within its own box.
    (scrolled,) = [box for box in root if "overflow-x:auto" in box.get("style")]
    (svg,) = scrolled
    assert "min-width:48px" in svg.get("style") and float(svg.get("width")) == 60


def test_files(toy, tmp_path):
    toy.set(size=9)
    toy.save(tmp_path / "toy.svg")
    toy.save(str(tmp_path / "toy.png"))
    assert (tmp_path / "toy.svg").read_text(encoding="utf-8") == toy.drawing.svg()
    assert (tmp_path / "toy.png").read_bytes() == toy.drawing.png()
    for name in ("toy.pdf", "toy"):
        with pytest.raises(ValueError, match=r"\.svg or \.png"):
            toy.save(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_still_is_left_behind(toy):
    bundle = toy._repr_mimebundle_()
    assert bundle["text/plain"] == repr(toy) == "Toy()"  # the same in every state
    assert base64.b64decode(bundle["image/png"]) == toy.drawing.png()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    still = bundle["image/png"]
    toy.set(size=9)
    assert toy._repr_mimebundle_()["image/png"] != still


# --- the package ----------------------------------------------------------------------------------


def test_every_widget_is_exported():
    assert len(widgets.__all__) == len(set(widgets.__all__)) >= 18
    for name in widgets.__all__:
        thing = getattr(widgets, name)
        assert thing.__name__ == name
        if isinstance(thing, type):
            assert issubclass(thing, Explorer) and "controls" in vars(thing)
            assert thing.draw.__name__ in widgets.__all__
    assert set(widgets.__all__) <= set(dir(widgets))
    with pytest.raises(AttributeError, match="NoSuchExplorer"):
        widgets.NoSuchExplorer  # noqa: B018
