"""What every widget's tests ask: a sound picture, a state that comes back, and little time."""

import base64
import time
import xml.etree.ElementTree as ET
from functools import cache

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

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


def check_svg(drawing) -> None:
    """XML with the caption for screen readers; texts that can be read, none beyond the edge."""
    root = ET.fromstring(drawing.svg())
    assert root.get("role") == "img"
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


def check_widget(widget, move: dict, tmp_path) -> None:
    """State, reset, files and the still picture; `move` is a state other than the first."""
    first, before = widget.state, widget.picture.value
    widget.set(**move)
    moved = widget.state
    assert moved == first | move != first
    assert widget.drawing.svg() in widget.picture.value
    assert widget.picture.value != before
    widget.set(**moved)
    assert widget.state == moved

    name, part = next((n, p) for n, p in widget.parts.items() if hasattr(p.main, "max"))
    with pytest.raises(ValueError, match=name):
        widget.set(**{name: part.main.max + 1})
    with pytest.raises(TypeError, match="colour_of_the_sky"):
        widget.set(colour_of_the_sky=1)
    assert widget.state == moved

    widget.save(tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").read_text(encoding="utf-8") == widget.drawing.svg()
    widget.save(tmp_path / "picture.png")
    png = (tmp_path / "picture.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="svg"):
        widget.save(tmp_path / "picture.pdf")
    bundle = widget._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]) == png
    assert bundle["text/plain"] == repr(widget) == f"{type(widget).__name__}()"

    widget.reset()
    assert widget.state == first and widget.picture.value == before


def check_time(name: str, draw, times: int = 5) -> None:
    """Report how long a drawing takes; only far too long is wrong."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        draw()
        seconds.append(time.perf_counter() - start)
    print(f"{name}: {1000 * min(seconds):.1f} ms")
    assert min(seconds) < SLOW, f"{name} takes {min(seconds):.2f} s"
