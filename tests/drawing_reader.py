"""A drawing read back at chosen places, and states to draw it in."""

import random

from swinlib.lab.drawing import Drawing, Part


def text_at(drawing: Drawing, x: float, y: float) -> str | None:
    """The text whose middle is at (x, y); None if there is none."""
    for kind, s in drawing.shapes:
        if kind == "text" and s["anchor"] == "middle" and abs(s["x"] - x) + abs(s["y"] - y) < 0.01:
            return s["text"]
    return None


def label(number: int) -> str:
    """What stands on a token; of padding the number is negative."""
    return "pad" if number < 0 else str(number)


def covering(drawing: Drawing, x: float, y: float) -> list[dict]:
    """The filled rectangles at (x, y), the topmost first."""
    return [
        s
        for kind, s in reversed(drawing.shapes)
        if kind == "rect"
        and s["fill"] != "none"
        and s["x"] < x < s["x"] + s["width"]
        and s["y"] < y < s["y"] + s["height"]
    ]


def fill_at(drawing: Drawing, x: float, y: float) -> str | None:
    """The colour of the topmost opaque rectangle at (x, y)."""
    return next((s["fill"] for s in covering(drawing, x, y) if s["opacity"] == 1), None)


def is_veiled(drawing: Drawing, x: float, y: float) -> bool:
    """Whether a rectangle that one can look through lies over (x, y)."""
    return any(s["opacity"] < 1 for s in covering(drawing, x, y))


def cells(read, drawing: Drawing, x: float, y: float, cell: float, H: int, W: int) -> list[list]:
    """What `text_at`, `fill_at` or `is_veiled` reads in each cell of a grid with corner (x, y)."""
    return [
        [read(drawing, x + (j + 0.5) * cell, y + (i + 0.5) * cell) for j in range(W)]
        for i in range(H)
    ]


def part_at(drawing: Drawing, panel: str, row: int = 0, column: int = 0) -> Part:
    """What a place of a field says, as touch.js puts it together."""
    field = drawing.fields()[panel]
    parts = [field["rows"][row], field["columns"][column]]
    if field["cells"] is not None:
        parts.append(field["cells"][row * len(field["columns"]) + column])
    sets = {name: value for one in parts for name, value in one.sets.items()}
    about = frozenset().union(*(one.about for one in parts))
    return Part(about, sets, ", ".join(one.name for one in parts if one.name))


def lit_by(drawing: Drawing, panel: str, row: int = 0, column: int = 0) -> set:
    """The places that light up, as (panel, row, column), when the pointer is on this one."""
    about = part_at(drawing, panel, row, column).about
    found = {(panel, row, column)}
    for name, field in drawing.fields().items():
        for i in range(len(field["rows"])):
            for j in range(len(field["columns"])):
                other = part_at(drawing, name, i, j).about
                if about and other and (about <= other or other <= about):
                    found.add((name, i, j))
    return found


def assert_on_the_page(drawing: Drawing) -> None:
    """No shape leaves the picture by more than the width of a frame."""
    for kind, s in drawing.shapes:
        if kind == "field":
            continue
        if kind in ("rect", "image"):
            assert s["width"] >= 0 and s["height"] >= 0
            xs, ys = (s["x"], s["x"] + s["width"]), (s["y"], s["y"] + s["height"])
        elif kind == "line":
            xs, ys = (s["x1"], s["x2"]), (s["y1"], s["y2"])
        elif kind in ("polyline", "polygon"):
            xs, ys = zip(*s["points"], strict=True)
        else:
            xs, ys = [s["x"]], [s["y"]]
        assert -6 <= min(xs) and max(xs) <= drawing.width + 6, (kind, s)
        assert -6 <= min(ys) and max(ys) <= drawing.height + 6, (kind, s)


def random_states(explorer, number: int) -> list[dict]:
    """States that the controls allow, the smallest and the largest of all values among them."""
    chance, states = random.Random(0), []
    for n in range(number):
        for name, part in explorer.parts.items():
            if hasattr(part, "options"):
                value = chance.choice([value for _, value in part.options])
            elif hasattr(part, "high"):
                low, high = part.low, part.high
                value = low if n == 0 else high if n == 1 else chance.randint(low, high)
            else:
                value = chance.random() < 0.5
            explorer.set(**{name: value})
        states.append(explorer.state)
    return states
