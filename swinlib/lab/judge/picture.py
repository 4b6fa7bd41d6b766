"""The map of differences, drawn."""

from swinlib.lab.drawing import GREY, Drawing
from swinlib.lab.judge.places import TOLERANCE
from swinlib.lab.judge.report import Finding, name_of, walls
from swinlib.lab.style import INK

SIDE = 420  # pixels; the map's longer side
STEPS = (  # of the largest difference on the map, and a colour
    (0.0, "#fde8c8"),
    (0.05, "#f8b36b"),
    (0.25, "#d95f0e"),
    (0.6, "#7f2704"),
)


def difference_map(finding: Finding) -> Drawing:
    """Where two maps of tokens differ, with the windows that tokens were in.

    Args:
        finding: one with a map.
    """
    H, W = len(finding.map), len(finding.map[0])
    cell = SIDE / max(H, W)
    largest = max(value for row in finding.map for value in row if value != float("inf"))
    fills = [[_colour(value, largest) for value in row] for row in finding.map]
    wrong = sum(value > TOLERANCE for row in finding.map for value in row)
    rows, columns = walls(finding)
    moved = " moved" if any(finding.shift) else ""
    caption = (
        f"{finding.place} at {name_of(finding.size)}: {wrong} of {H * W} tokens differ; "
        f"the darker, the more."
    )
    if finding.window:
        caption += f" Lines are the{moved} windows' walls."
    drawing = Drawing(W * cell + 40, H * cell + 84, caption)
    title = f"{finding.place}, {H} x {W} tokens, pictures of {name_of(finding.size)}"
    drawing.text(20, 20, title, 13, "start", bold=True)
    drawing.grid(20, 38, cell, fills, row_cuts=rows, column_cuts=columns)
    y, x = 38 + H * cell + 22, 20
    for colours, name in (
        ([PALE_EQUAL], "equal"),
        ([colour for _, colour in STEPS], "differs, from a little to most"),
    ):
        for colour in colours:
            drawing.rect(x, y - 7, 14, 14, colour, INK, 0.6)
            x += 14
        drawing.text(x + 6, y, name, 12, "start", GREY)
        x += 24 + 7 * len(name)
    return drawing


PALE_EQUAL = "#e9edf0"


def _colour(value: float, largest: float) -> str:
    if not value > TOLERANCE:
        return PALE_EQUAL
    share = value / largest if largest else 1.0
    return [colour for least, colour in STEPS if share >= least][-1]
