"""What every widget's tests ask: a sound picture, a state that comes back, and little time."""

import base64
import inspect
import time
import xml.etree.ElementTree as ET
from functools import cache

import pytest
from drawing_reader import assert_on_the_page, part_at, random_states
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from swinlib.lab.widgets.explorer import ALIVE

SVG = "{http://www.w3.org/2000/svg}"
SLOW = 0.3  # seconds; far above what is promised, since test machines are busy


def texts(drawing) -> list[str]:
    """Everything that is written in a drawing."""
    return [shape["text"] for kind, shape in drawing.shapes if kind == "text"]


def rects(drawing, **look) -> list[dict]:
    """The rectangles of this look, such as ``fill="#ffffff"``."""
    return [
        shape
        for kind, shape in drawing.shapes
        if kind == "rect" and all(shape[name] == value for name, value in look.items())
    ]


@cache
def text_length(text: str, bold: bool) -> float:
    """How wide a text of size 1 is, in the font of the still picture."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=10)
    return TextPath((0, 0), text, prop=font).get_extents().width / 10


def check_states(explorer, number: int, sentences: int | None = None) -> None:
    """A sound picture in states of all kinds, with so many sentences below it at most."""
    for state in random_states(explorer, number):
        explorer.set(**state)
        check_svg(explorer.drawing)
        assert_on_the_page(explorer.drawing)
        assert sentences is None or explorer.drawing.caption.count(". ") < sentences


def check_svg(drawing) -> None:
    """XML with the caption for screen readers; texts that can be read, none beyond the edge."""
    root = ET.fromstring(drawing.svg())
    assert root.get("role") == ("group" if drawing.fields() else "img")
    assert root.get("aria-label") == root.find(f"{SVG}title").text == drawing.caption
    assert drawing.caption.strip()
    for element in root.iter(f"{SVG}text"):
        assert element.text and element.text.strip()
        x, y = float(element.get("x")), float(element.get("y"))
        size = float(element.get("font-size"))
        assert size >= 5, element.text
        length = size * text_length(element.text, element.get("font-weight") == "bold")
        left = {"start": x, "middle": x - length / 2, "end": x - length}
        left = left[element.get("text-anchor")]
        assert 0 <= left and left + length <= drawing.width, element.text
        assert 0 <= y <= drawing.height, element.text


def check_widget(widget, move: dict, tmp_path, given: set[str] = frozenset()) -> None:
    """State, reset, files and the still picture.

    Args:
        move: a state other than the first.
        given: keywords of `draw` that no control moves.
    """
    assert set(inspect.signature(widget.draw).parameters) == widget.parts.keys() | given
    first, before = widget.state, widget.svg
    widget.set(**move)
    moved = widget.state
    assert moved == first | move != first
    assert (widget.svg, widget.caption) == (widget.drawing.svg(), widget.drawing.caption)
    assert widget.svg != before
    widget.set(**moved)
    assert widget.state == moved

    name, part = next((n, p) for n, p in widget.parts.items() if hasattr(p, "high"))
    with pytest.raises(ValueError, match=name):
        widget.set(**{name: part.high + 1})
    with pytest.raises(TypeError, match="colour_of_the_sky"):
        widget.set(colour_of_the_sky=1)
    assert widget.state == moved

    widget.save(tmp_path / "picture.png")
    png = (tmp_path / "picture.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"\.png"):
        widget.save(tmp_path / "picture.pdf")
    bundle, metadata = widget._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == widget.still_drawing().still(ALIVE)
    assert metadata["image/png"]["alt"] == widget.still_drawing().caption
    assert bundle["text/plain"] == repr(widget) == f"{type(widget).__name__}()"

    check_touch(widget)
    widget.reset()
    assert widget.state == first and widget.svg == before


def check_touch(widget) -> None:
    """Whatever a place of the picture sets, the widget can show; what can be dragged is a part."""
    drawing, state = widget.drawing, widget.state
    names = set()
    for panel, field in drawing.fields().items():
        rows, columns = len(field["rows"]), len(field["columns"])
        assert panel and field["width"] > 0 and field["height"] > 0
        assert -9 <= field["x"] and field["x"] + columns * field["width"] <= drawing.width + 9
        assert -9 <= field["y"] and field["y"] + rows * field["height"] <= drawing.height + 9
        for row, column in {(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)}:
            place = part_at(drawing, panel, row, column)
            assert place.name, f"{panel} {row} {column} has no name to be read out"
            names |= place.sets.keys()
            widget.touch(**place.sets)
            widget.set(**state)
        names |= {drag.name for drag in field["drag"]}
        for drag in field["drag"]:
            assert drag.axis in ("right", "down") and drag.pixels > 0 and drag.low <= drag.high
    assert names <= widget.parts.keys()
    assert len({s["key"] for _, s in drawing.shapes if "key" in s}) == drawing.svg().count(
        "data-key"
    )


def check_time(name: str, draw, times: int = 5) -> None:
    """Report how long a drawing takes; only far too long is wrong."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        draw()
        seconds.append(time.perf_counter() - start)
    print(f"{name}: {1000 * min(seconds):.1f} ms")
    assert min(seconds) < SLOW, f"{name} takes {min(seconds):.2f} s"
