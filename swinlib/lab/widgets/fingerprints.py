"""The fingerprints under your hand: choose what is missing, and a token that answers."""

from torch import Tensor

from swinlib.lab.drawing import GREY, Drawing, counted, part, shades
from swinlib.lab.figures.shift import window_cuts
from swinlib.lab.fingerprints import PLACES, SIDE, VARIANTS, WINDOW, Variant, by_place, places
from swinlib.lab.style import ACCENT, CALM
from swinlib.lab.widgets.explorer import Choice, Explorer, Number
from swinlib.shift import shifted_window_mask

CELL, LEFT, TOP, RIGHT = 20, 8, 30, 370  # pixels
NEIGHBOURS = {"above": (-1, 0), "below": (1, 0), "left": (0, -1), "right": (0, 1)}
BEYOND, NOWHERE = "beyond the edge", "never meet"


def where_they_meet(variant: Variant, row: int, column: int) -> dict[str, str]:
    """Where attention brings a token and each of its four neighbours together."""
    found = {}
    for name, (down, right) in NEIGHBOURS.items():
        other = row + down, column + right
        if not (0 <= other[0] < SIDE and 0 <= other[1] < SIDE):
            found[name] = BEYOND
        elif not variant.has_windows:
            found[name] = "the whole map"
        elif _window_of(row, column) == _window_of(*other):
            found[name] = "a window"
        elif variant.shifts and _meet_shifted((row, column), other, variant.other_mask):
            found[name] = "a shifted window"
        elif variant.merging and _window_of(row // 2, column // 2) == _window_of(
            other[0] // 2, other[1] // 2
        ):
            found[name] = "a window after merging"
        else:
            found[name] = NOWHERE
    return found


def _meet_shifted(token: tuple[int, int], other: tuple[int, int], other_mask: bool) -> bool:
    """Whether two neighbours attend to each other in a shifted window."""
    shift = WINDOW // 2
    if _window_of(*token, shift) != _window_of(*other, shift):
        return False
    if not other_mask:  # the right one hides no neighbour
        return True
    rolled = [((row - shift) % SIDE, (column - shift) % SIDE) for row, column in (token, other)]
    window = rolled[0][0] // WINDOW * (SIDE // WINDOW) + rolled[0][1] // WINDOW
    places = [row % WINDOW * WINDOW + column % WINDOW for row, column in rolled]
    mask = shifted_window_mask(2 * SIDE, SIDE // 2, (WINDOW, WINDOW), (shift, shift))
    return mask[window, places[0], places[1]].item() == 0


def _window_of(row: int, column: int, shift: int = 0) -> tuple[int, int]:
    return (row - shift) // WINDOW, (column - shift) // WINDOW


def draw_fingerprint(shares: dict[str, Tensor], missing: str, row: int, column: int) -> Drawing:
    """The map of one variant, with a token framed, and the numbers beside it.

    Args:
        shares: from `read_recorded`: names to ``(seeds, SIDE, SIDE)``.
        missing: a name in it.
        row, column: of the framed token, from 0 to SIDE - 1.
    """
    maps, variant = shares[missing], VARIANTS[missing]
    seeds = f"{len(maps)} seeds" if len(maps) > 1 else "one seed"
    mean, meet = maps.mean(0), where_they_meet(variant, row, column)
    place = PLACES[int(places()[row, column])]
    mine = ", ".join(f"{share:.2f}" for share in maps[:, row, column].tolist())
    drawing = Drawing(RIGHT + 340, TOP + SIDE * CELL + 30)
    drawing.caption = (
        f"{variant.title.capitalize()}: the token in row {row}, column {column} ({place}) answers "
        f"correctly in a share of {mean[row, column]:.2f} of the maps. " + _who(meet, missing)
    )

    drawing.text(LEFT, 14, variant.title, 13, "start", bold=True)
    _draw_map(drawing, variant, mean, row, column)

    drawing.text(RIGHT, TOP + 8, f"right by place, mean of {seeds}", 13, "start")
    bars = [(name, [(share, CALM)], f"{share:.2f}") for name, share in by_place(mean).items()]
    drawing.bars(RIGHT, TOP + 22, 170, bars, key="right")
    said = [part(name, place=PLACES.index(name)) for name, *_ in bars]
    drawing.touch("places", RIGHT, TOP + 22, 330, 22, said)
    y = TOP + 140
    drawing.text(RIGHT, y, f"framed: row {row}, column {column}, {place}", 13, "start")
    drawing.text(RIGHT, y + 22, f"right, seed by seed: {mine}", 12, "start")
    drawing.text(RIGHT, y + 54, "it meets its neighbour in", 13, "start")
    for number, (name, where) in enumerate(meet.items()):
        colour = ACCENT if where == NOWHERE else GREY
        drawing.text(RIGHT + 50, y + 76 + 20 * number, name, 12, "end")
        drawing.text(RIGHT + 60, y + 76 + 20 * number, where, 12, "start", colour)
        if where != BEYOND:
            i, j = (
                start + step for start, step in zip((row, column), NEIGHBOURS[name], strict=True)
            )
            said = [part(f"{name}: {where}", {"row": i, "column": j}, token=(i, j))]
            place = RIGHT, y + 66 + 20 * number, 200, 20
            drawing.touch(f"neighbour {name}", *place, said)
    return drawing


def _draw_map(drawing: Drawing, variant: Variant, mean: Tensor, row: int, column: int) -> None:
    cuts = window_cuts(SIDE, WINDOW) if variant.has_windows else ()
    end = SIDE * CELL
    drawing.grid(LEFT, TOP, CELL, shades("cividis", mean), row_cuts=cuts, column_cuts=cuts)
    for cut in window_cuts(SIDE, WINDOW, WINDOW // 2) if variant.shifts else ():
        at = cut * CELL
        drawing.line(LEFT, TOP + at, LEFT + end, TOP + at, ACCENT, 1.6, dash=True)
        drawing.line(LEFT + at, TOP, LEFT + at, TOP + end, ACCENT, 1.6, dash=True)
    with drawing.moving("token"):
        drawing.frame(LEFT + column * CELL, TOP + row * CELL, CELL, CELL, ACCENT)
    cells = [
        part(PLACES[place], token=divmod(n, SIDE), place=place)
        for n, place in enumerate(places().flatten().tolist())
    ]
    sides = counted(SIDE, "row"), counted(SIDE, "column")
    drawing.touch("map", LEFT, TOP, CELL, None, *sides, cells)
    note = "bright: always right; dark: never"
    note += "; lines: windows" if variant.has_windows else ""
    note += "; dashed: shifted" if variant.shifts else ""
    drawing.text(LEFT, TOP + end + 15, note, 11, "start", GREY)


def _who(meet: dict[str, str], missing: str) -> str:
    unseen = [name for name, where in meet.items() if where == NOWHERE]
    if unseen:
        return f"It never meets its neighbour {' and '.join(unseen)}, and has to guess."
    if missing in ("mask", "other_mask"):
        return "It meets all its neighbours, and strangers from the other side of the map."
    return "It meets all its neighbours."


class FingerprintExplorer(Explorer):
    """Choose what is missing, and walk over the map of right answers.

    Args:
        shares: from `read_recorded`.
        **state: missing, row, column (see `draw_fingerprint`).

    Raises:
        ValueError: shares hold no variant.
    """

    draw = staticmethod(draw_fingerprint)

    def __init__(self, shares: dict[str, Tensor], **state):
        if not shares:
            raise ValueError("shares={} holds no variant, wanted those of read_recorded")
        self.shares = shares
        super().__init__(**state)

    def controls(self):
        options = [(VARIANTS[name].title, name) for name in self.shares]
        return {
            "missing": Choice("missing", options, options[0][1]),
            "row": Number("row", 5, 0, SIDE - 1),
            "column": Number("column", 4, 0, SIDE - 1),
        }

    def picture(self, state):
        return draw_fingerprint(self.shares, **state)
