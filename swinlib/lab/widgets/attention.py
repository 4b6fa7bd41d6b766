"""Lesson 02's explorer: where one patch of the photograph looks, and what it gets."""

from dataclasses import dataclass
from functools import cache
from math import exp, log

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib import attention, image_to_patches, patches_to_image
from swinlib.lab.drawing import GREY, Drag, Drawing, part, shades
from swinlib.lab.photograph import photograph
from swinlib.lab.style import ACCENT, CALM, INK
from swinlib.lab.widgets.explorer import Choice, Explorer, Number

PATCH, HEIGHT, WIDTH = 4, 96, 80  # pixels: what attention sees
ROWS, COLUMNS = HEIGHT // PATCH, WIDTH // PATCH
HEADS = {
    "colour": "looks for a similar mean colour",
    "place": "looks for what is near",
    "opposite": "looks for the opposite brightness",
}
TEMPERATURES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)
LISTED = 8  # of the strongest keys
LEFT, TOP, CELL, GAP = 8, 30, 15, 40  # pixels


@dataclass(frozen=True)
class HandMadeHeads:
    """Queries and keys of three heads that nobody trained, as the lesson makes them.

    Attributes, with N the number of patches, row by row:
        q, k: head to (N, 4).
        values: (N, 3*P*P), every patch's pixels.
    """

    q: dict[str, Tensor]
    k: dict[str, Tensor]
    values: Tensor


@cache
def hand_made_heads() -> HandMadeHeads:
    """The three heads on the course's photograph, made once."""
    patches = image_to_patches(photograph(HEIGHT, WIDTH)[None], PATCH)[0]  # (h, w, 48)
    values = patches.flatten(0, 1)
    colour = values.view(-1, 3, PATCH**2).mean(-1)  # (N, 3)
    rows, columns = torch.meshgrid(torch.arange(ROWS), torch.arange(COLUMNS), indexing="ij")
    place = torch.stack([rows, columns], dim=-1).flatten(0, 1).float()  # (N, 2)
    brightness = colour.mean(-1)
    contrast = (brightness - brightness.mean()) / brightness.std()
    opposite = F.pad(contrast[:, None], (0, 3))
    pairs = {
        "colour": close(colour, 0.08),
        "place": close(place, 1.5),
        "opposite": (-2 * opposite, opposite),
    }
    q, k = ({head: pair[i] for head, pair in pairs.items()} for i in (0, 1))
    return HandMadeHeads(q, k, values)


def close(features: Tensor, reach: float) -> tuple[Tensor, Tensor]:
    """Queries and keys (N, 4) whose scores are large where features (N, up to 3) are close.

    A score is minus half the squared distance, in units of `reach`, up to a term that is the same
    for all keys of a query.
    """
    a = F.pad(features / reach, (0, 3 - features.shape[1]))
    half_square = a.square().sum(-1, keepdim=True) / 2
    return torch.cat([a, torch.ones_like(half_square)], -1), torch.cat([a, -half_square], -1)


@dataclass
class OneQuery:
    """Where one query looks and what it gets.

    Attributes:
        weights: (ROWS, COLUMNS), with the sum 1.
        entropy: of the weights, in nats; ln N if all are alike.
        own, mixed: (3, P, P), the query's patch, and what attention brings it.
    """

    weights: Tensor
    entropy: float
    own: Tensor
    mixed: Tensor

    @classmethod
    def compute(cls, row: int, column: int, head: str, temperature: float) -> "OneQuery":
        heads = hand_made_heads()
        number = row * COLUMNS + column
        query = heads.q[head][number][None]  # (1, 4)
        out, weights = attention(query, heads.k[head], heads.values, scale=1 / temperature)
        own, mixed = (
            patches_to_image(vector.view(1, 1, 1, -1), PATCH)[0]
            for vector in (heads.values[number], out)
        )
        entropy = torch.special.entr(weights).sum().item()
        return cls(weights.view(ROWS, COLUMNS), entropy, own, mixed)

    def strongest(self) -> list[tuple[int, int, float]]:
        """Row, column and weight of the strongest keys, the strongest first."""
        weights, order = self.weights.flatten().sort(descending=True, stable=True)
        order, weights = order[:LISTED].tolist(), weights[:LISTED].tolist()
        return [(*divmod(n, COLUMNS), weight) for n, weight in zip(order, weights, strict=True)]


@cache
def _photograph_to_show() -> Tensor:
    """The same part of the photograph, sharper."""
    return photograph(5 * HEIGHT // 2, 5 * WIDTH // 2)


def draw_attention(
    row: int = 10,
    column: int = 9,
    head: str = "colour",
    temperature: float = 1.0,
) -> Drawing:
    """The photograph with the query, its attention map, its strongest keys and what it gets.

    Args:
        row, column: of the query, in patches.
        head: one of `HEADS`.
        temperature: what the scores are divided by before the softmax.
    """
    facts = OneQuery.compute(row, column, head, temperature)
    strongest = facts.strongest()
    width, height = COLUMNS * CELL, ROWS * CELL
    drawing = Drawing(2 * (width + GAP) + LEFT + 330, TOP + height + 28)
    left, middle, right = (LEFT + i * (width + GAP) for i in range(3))

    drawing.text(left, 14, f"{ROWS} x {COLUMNS} patches, the query framed", 13, "start")
    drawing.image(left, TOP, width, height, _photograph_to_show())
    drawing.text(middle, 14, f"head {head}: {HEADS[head]}", 13, "start")
    texts = [[""] * COLUMNS for _ in range(ROWS)]
    for rank, (i, j, _) in enumerate(strongest, start=1):
        texts[i][j] = str(rank)
    # As in the lesson's maps: the largest weight, but three times the even share at least.
    brightest = max(facts.weights.max().item(), 3 / facts.weights.numel())
    fills = shades("viridis", facts.weights / brightest)
    drawing.grid(middle, TOP, CELL, fills, texts, size=10, gaps=False)
    cells = [
        part(f"patch in row {i} and column {j}", {"row": i, "column": j}, patch=(i, j))
        for i in range(ROWS)
        for j in range(COLUMNS)
    ]
    for panel, x in (("photograph", left), ("attention map", middle)):
        with drawing.moving(f"query on the {panel}"):
            drawing.frame(x + column * CELL, TOP + row * CELL, CELL, CELL, ACCENT)
        sides = [part()] * ROWS, [part()] * COLUMNS
        drawing.touch(panel, x, TOP, CELL, None, *sides, cells, follow=panel == "photograph")

    _draw_strongest(drawing, right, facts, strongest)
    _draw_mixture(drawing, right, facts)
    _draw_softmax(drawing, right + 228, temperature)
    _draw_scale(drawing, middle, TOP + height + 14, brightest)
    drawing.caption = _caption(facts, strongest[0], row, column, head, temperature)
    return drawing


def _draw_scale(drawing: Drawing, x: float, y: float, brightest: float) -> None:
    """What the map's colours mean."""
    drawing.text(x, y, "weight 0", 11, "start", GREY)
    for step, colour in enumerate(shades("viridis", torch.linspace(0, 1, 11)[None])[0]):
        drawing.rect(x + 56 + 8 * step, y - 5, 8, 10, colour)
    drawing.text(x + 150, y, f"{brightest:.2%}", 11, "start", GREY)


def _draw_strongest(drawing: Drawing, x: float, facts: OneQuery, strongest) -> None:
    """The strongest keys with their weights, the rest together, and the entropy."""
    N = facts.weights.numel()
    drawing.text(x, 14, "its strongest keys", 13, "start")
    most, listed = strongest[0][2], sum(weight for *_, weight in strongest)
    rows = [
        (f"{rank}: row {i}, column {j}", [(weight / most, CALM)], f"{weight:.2%}")
        for rank, (i, j, weight) in enumerate(strongest, start=1)
    ]
    drawing.bars(x, TOP - 4, 90, rows, label=136, height=20, size=11, key="strongest")
    keys = [
        part(f"key {rank}", {"row": i, "column": j}, patch=(i, j))
        for rank, (i, j, _) in enumerate(strongest, start=1)
    ]
    drawing.touch("strongest keys", x, TOP - 4, 290, 20, keys)
    y = TOP + 20 * LISTED + 12
    rest = f"the other {N - LISTED} together: {1 - listed:.1%}"
    drawing.text(x, y, rest, 11, "start", GREY)
    alike = torch.tensor(facts.entropy).exp().item()
    drawing.text(x, y + 28, f"entropy {facts.entropy:.2f}, at most {log(N):.2f}", 13, "start")
    with drawing.moving("entropy"):
        drawing.rect(x, y + 42, 140 * alike / N, 14, ACCENT)
    drawing.rect(x, y + 42, 140, 14, stroke=GREY, line=0.8)
    drawing.text(x + 148, y + 49, f"as if at {alike:.0f} of {N} alike", 11, "start")


def _draw_mixture(drawing: Drawing, x: float, facts: OneQuery) -> None:
    """The query's patch and what it gets, the values being pixels."""
    side, y = 72, TOP + ROWS * CELL - 72
    for place, title, pixels in (
        (x, "its own patch", facts.own),
        (x + 130, "it gets", facts.mixed),
    ):
        drawing.text(place, y - 14, title, 13, "start")
        drawing.image(place, y, side, side, pixels, pixelated=True)
        drawing.rect(place, y, side, side, stroke=INK, line=1.5)
    drawing.arrow(x + side + 14, y + side / 2, x + 116, y + side / 2)


def _draw_softmax(drawing: Drawing, x: float, temperature: float) -> None:
    """A key's weight by how much lower its score is than the best one's; it can be dragged."""
    side, y, most = 72, TOP + ROWS * CELL - 72, 8  # the largest difference shown
    drawing.text(x, y - 14, f"softmax, T = {temperature:g}", 12, "start")
    drawing.rect(x, y, side, side, "none", GREY)
    heights = [y + side * (1 - exp(-most * n / 24 / temperature)) for n in range(25)]
    for n, (start, end) in enumerate(zip(heights, heights[1:], strict=False)):
        drawing.line(x + 3 * n, start, x + 3 * (n + 1), end, ACCENT, 2)
    drawing.text(x, y + side + 12, f"0 to {most} below", 10, "start", GREY)
    drag = [Drag("temperature", "right", 12)]
    drawing.touch("temperature", x, y, side, None, [part("drag to the right: hotter")], drag=drag)


def _caption(facts: OneQuery, strongest, row, column, head, temperature) -> str:
    """The present state in sentences."""
    N = facts.weights.numel()
    i, j, most = strongest
    alike = torch.tensor(facts.entropy).exp().item()
    here = "itself" if (i, j) == (row, column) else f"the patch in row {i} and column {j}"
    return (
        f"The patch in row {row} and column {column} asks head {head}, which {HEADS[head]}, at "
        f"temperature {temperature:g}. Most weight, {most:.2%}, goes to {here}: {most * N:.1f} "
        f"times the even share of 1/{N}. The entropy is {facts.entropy:.2f} of at most "
        f"{log(N):.2f}, as if it looked at {alike:.0f} of {N} patches alike."
    )


class AttentionExplorer(Explorer):
    """Attention over a photograph under your hand: move the query, change head and temperature.

    Args:
        query: (row, column) of the query, in patches.
        **state: head, temperature (see `draw_attention`); also row and column.
    """

    draw = staticmethod(draw_attention)

    def __init__(self, query: tuple[int, int] | None = None, **state):
        if query is not None:
            state["row"], state["column"] = query
        super().__init__(**state)

    def controls(self):
        return {
            "row": Number("query row", 10, 0, ROWS - 1),
            "column": Number("query column", 9, 0, COLUMNS - 1),
            "head": Choice("head", [(name, name) for name in HEADS], "colour"),
            "temperature": Choice("temperature", [(f"{t:g}", t) for t in TEMPERATURES], 1.0),
        }
