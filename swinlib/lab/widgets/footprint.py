"""Lesson 04's second explorer: what one token can see through several blocks."""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor, nn

from swinlib import PatchMerging, SwinTransformerBlock
from swinlib.lab.drawing import GREY, Drag, Drawing, counted, hex_colour, on, part, runs
from swinlib.lab.photograph import photograph
from swinlib.lab.style import ACCENT, CALM
from swinlib.lab.widgets.explorer import Explorer, Number, Switch

SIDE, M = 32, 4  # tokens: the map, and a window; halved three times, the map still fits the windows
DEEPEST = 8  # blocks
CHANNELS, HEADS = 8, 2
LEFT, TOP, PANEL, GAP = 8, 30, 384, 36  # pixels
CELL = PANEL // SIDE


@dataclass(frozen=True)
class Stack:
    """All blocks of one kind of model on one random map, ready to be asked for gradients.

    Attributes:
        tokens: (1, SIDE, SIDE, CHANNELS), what goes in.
        outputs: what comes out of every block, (1, side, side, C), mergings done before.
        shifts: the shift of every block, in tokens of its map.
    """

    tokens: Tensor
    outputs: tuple[Tensor, ...]
    shifts: tuple[int, ...]


@cache
def stack(shifted: bool, merging: bool) -> Stack:
    """Blocks with every second one shifted, or none, and a merging after every pair, or none.

    The weights are random. What attention adds is made larger, or the gradients of the farthest
    tokens would get lost: each window they cross takes its sixteenth.
    """
    # Whatever the notebook is about to draw or to differentiate stays as it is.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        torch.manual_seed(0)
        tokens = torch.randn(1, SIDE, SIDE, CHANNELS).requires_grad_()
        x, outputs, shifts = tokens, [], []
        for number in range(DEEPEST):
            if merging and number and number % 2 == 0:
                x = PatchMerging(x.shape[-1]).requires_grad_(False)(x)
            shift = M // 2 if shifted and number % 2 else 0
            block = SwinTransformerBlock(x.shape[-1], HEADS, M, shift, mlp_ratio=1.0)
            nn.init.normal_(block.attn.proj.weight, std=2.0 * x.shape[-1] ** -0.5)
            x = block.requires_grad_(False)(x)
            outputs.append(x)
            shifts.append(block.shift_that_fits(*x.shape[1:3])[0])
    return Stack(tokens, tuple(outputs), tuple(shifts))


@lru_cache(maxsize=4096)
def footprint(blocks: int, shifted: bool, merging: bool, row: int, column: int) -> Tensor:
    """Which input tokens can change an output token, ``(SIDE, SIDE)`` of bool.

    Args:
        blocks: how many the output is behind.
        shifted, merging: as in `stack`.
        row, column: of the output token, in tokens of its map.
    """
    model = stack(shifted, merging)
    with torch.inference_mode(False), torch.enable_grad():
        # A sum, since asking with a tensor makes torch import its symbolic shapes: two seconds.
        one = model.outputs[blocks - 1][0, row, column].sum()
        (gradient,) = torch.autograd.grad(one, model.tokens, retain_graph=True)
    # More than nothing is not enough: a masked pair has a weight of exp(-100), some 4e-44.
    return gradient[0].abs().sum(-1) > 1e-12


@dataclass
class View:
    """What a token can see after some number of blocks.

    Attributes:
        side: of the map that the block gives, in tokens.
        shift: of the block's windows, in tokens of that map.
        square: (row, column, side) of what the token covers, in tokens of the first map.
        seen: (SIDE, SIDE) of bool.
    """

    side: int
    shift: int
    square: tuple[int, int, int]
    seen: Tensor

    @classmethod
    def compute(cls, blocks: int, shifted: bool, merging: bool, row: int, column: int) -> "View":
        model = stack(shifted, merging)
        side = model.outputs[blocks - 1].shape[1]
        covers = SIDE // side
        i, j = row // covers, column // covers
        seen = footprint(blocks, shifted, merging, i, j)
        return cls(side, model.shifts[blocks - 1], (i * covers, j * covers, covers), seen)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First and last row, first and last column that are seen."""
        rows = self.seen.any(1).nonzero().flatten()
        columns = self.seen.any(0).nonzero().flatten()
        return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])

    @property
    def reach(self) -> int:
        """How far away the farthest row or column is, in tokens of the first map."""
        top, bottom, left, right = self.box
        row, column, covers = self.square
        return max(
            row - top, bottom - (row + covers - 1), column - left, right - (column + covers - 1)
        )


@cache
def _photograph() -> Tensor:
    return photograph(256, 256)


def draw_footprint(
    blocks: int = 4,
    shifted: bool = True,
    merging: bool = False,
    row: int = 9,
    column: int = 10,
) -> Drawing:
    """The photograph with what one token can see of it, and how that grew block by block.

    Args:
        blocks: how many.
        shifted: whether every second block is shifted.
        merging: whether the map is halved after every pair of blocks that another one follows.
        row, column: of the token, on the first map; after mergings the token that covers it.
    """
    views = [View.compute(n, shifted, merging, row, column) for n in range(1, blocks + 1)]
    drawing = Drawing(2 * LEFT + PANEL + GAP + 452, TOP + PANEL + 40)
    _draw_view(drawing, views[-1])
    _draw_growth(drawing, views, merging)
    _draw_nested(drawing, views)
    drawing.caption = _caption(views[-1], blocks, shifted, merging, row, column)
    return drawing


def _draw_view(drawing: Drawing, view: View) -> None:
    """The photograph, pale where the token sees nothing, with the last block's windows."""
    drawing.text(LEFT, 14, f"{SIDE} x {SIDE} tokens of the photograph", 13, "start")
    drawing.image(LEFT, TOP, PANEL, PANEL, _photograph())
    for i, j, rows, columns, seen in runs(view.seen.tolist()):
        if not seen:
            veil = LEFT + j * CELL, TOP + i * CELL, columns * CELL, rows * CELL
            drawing.rect(*veil, "#ffffff", opacity=0.78)
    token = CELL * SIDE // view.side
    for cut in range(view.shift * token, PANEL, M * token):
        if cut > 0:
            drawing.line(LEFT + cut, TOP, LEFT + cut, TOP + PANEL, "#ffffff", 1.6)
            drawing.line(LEFT, TOP + cut, LEFT + PANEL, TOP + cut, "#ffffff", 1.6)
    first_row, last_row, first_column, last_column = view.box
    size = last_column - first_column + 1, last_row - first_row + 1
    with drawing.moving("seen"):
        place = LEFT + first_column * CELL, TOP + first_row * CELL
        drawing.frame(*place, size[0] * CELL, size[1] * CELL, CALM)
    row, column, covers = view.square
    with drawing.moving("token"):
        drawing.frame(LEFT + column * CELL, TOP + row * CELL, covers * CELL, covers * CELL, ACCENT)
    sides = counted(SIDE, "row"), counted(SIDE, "column")
    drag = Drag("row", "down", CELL), Drag("column", "right", CELL)
    drawing.touch("photograph", LEFT, TOP, CELL, None, *sides, drag=drag)
    drawing.rect(LEFT, TOP, PANEL, PANEL, stroke=GREY)
    note = "small frame: the token; large frame: what it can see"
    drawing.text(LEFT, TOP + PANEL + 15, note, 11, "start", GREY)
    note = "lines: the windows of the last block"
    drawing.text(LEFT, TOP + PANEL + 30, note, 11, "start", GREY)


def _draw_growth(drawing: Drawing, views: list[View], merging: bool) -> None:
    """A bar for each block: how much of the map its output token can see."""
    x, rows = LEFT + PANEL + GAP, []
    drawing.text(x, 14, "input tokens that it can see, block by block", 13, "start")
    for number, view in enumerate(views, start=1):
        first_row, last_row, first_column, last_column = view.box
        label = f"{number}: {'moved windows' if view.shift else 'windows'}"
        if merging:
            label += f", {view.side} x {view.side}"
        count = int(view.seen.sum())
        colour = ACCENT if view is views[-1] else CALM
        size = f"{last_row - first_row + 1} x {last_column - first_column + 1}"
        rows.append((label, [(count / SIDE**2, colour)], f"{count:,} = {size}"))
    drawing.bars(x, TOP - 4, 180, rows, label=170, height=22, key="growth")
    blocks = [part(f"after block {n}", {"blocks": n}, block=n) for n in range(1, len(views) + 1)]
    drawing.touch("growth", x, TOP - 4, 440, 22, blocks)
    y = TOP + 22 * len(views) + 6
    drawing.text(x + 162, y, "of all", 11, "end", GREY)
    drawing.rect(x + 170, y - 5, 180, 10, stroke=GREY)
    drawing.text(x + 357, y, f"{SIDE**2:,} = {SIDE} x {SIDE}", 11, "start", GREY)


def _draw_nested(drawing: Drawing, views: list[View]) -> None:
    """What it can see after each block, one inside the other, with the blocks' numbers."""
    cell, last = 5, len(views)
    x, y = LEFT + PANEL + GAP + 170, TOP + PANEL - cell * SIDE
    drawing.text(x - 8, y + 8, "the same on the map;", 11, "end", GREY)
    drawing.text(x - 8, y + 24, "numbers: blocks", 11, "end", GREY)
    fills = [
        hex_colour(CALM, 0.15 + 0.6 * (last - number) / max(last - 1, 1))
        for number in range(1, last + 1)
    ]
    for number, view, fill in reversed(list(zip(range(1, last + 1), views, fills, strict=True))):
        top, bottom, left, right = view.box
        size = (right - left + 1) * cell, (bottom - top + 1) * cell
        place = x + left * cell, y + top * cell
        with drawing.moving(f"seen after {number}"):
            drawing.rect(*place, *size, fill, "#ffffff")
        said = [part(f"after block {number}", {"blocks": number}, block=number)]
        drawing.touch(f"what it sees after block {number}", *place, *size, said)
    drawing.rect(x, y, cell * SIDE, cell * SIDE, stroke=GREY)
    row, column, covers = views[-1].square
    side = covers * cell
    drawing.rect(x + column * cell, y + row * cell, side, side, stroke=ACCENT, line=2)
    for number in range(2, last + 1):  # in the widest band by which the view grew
        (top, bottom, left, right), inner = views[number - 1].box, views[number - 2].box
        middle = (top + bottom + 1) / 2, (left + right + 1) / 2
        bands = (
            (inner[0] - top, (top + inner[0]) / 2, middle[1]),
            (bottom - inner[1], (bottom + inner[1]) / 2 + 1, middle[1]),
            (inner[2] - left, middle[0], (left + inner[2]) / 2),
            (right - inner[3], middle[0], (right + inner[3]) / 2 + 1),
        )
        width, row, column = max(bands)
        if width > 0:
            place = x + column * cell, y + row * cell
            drawing.text(*place, str(number), 9, fill=on(fills[number - 1]))


def _caption(view: View, blocks: int, shifted: bool, merging: bool, row: int, column: int) -> str:
    """The present state in sentences."""
    top, bottom, left, right = view.box
    seen = int(view.seen.sum())
    covers = SIDE // view.side
    kind = "every second one shifted by half a window" if shifted else "none shifted"
    who = f"the token in row {row} and column {column}"
    if covers > 1:
        who = (
            f"the merged token that covers {covers} x {covers} tokens around row {row} and column "
            f"{column}"
        )
    words = [
        f"After {blocks} block{'s' if blocks > 1 else ''} with windows of {M} x {M}, {kind}, {who} "
        f"can see {seen:,} of {SIDE**2:,} tokens ({seen / SIDE**2:.0%}): rows {top} to {bottom}, "
        f"columns {left} to {right}, at most {view.reach} tokens away."
    ]
    if merging and covers == 1:
        words.append("Nothing is merged yet: that happens after every pair, before the next block.")
    if not shifted and not merging:
        words.append("Without shift and without merging it never sees past its own window.")
    return " ".join(words)


class FootprintExplorer(Explorer):
    """What can a token see? Change the number of blocks, shift, merging and the token.

    Args:
        token: (row, column) on the first map.
        **state: blocks, shifted, merging (see `draw_footprint`); also row and column.
    """

    draw = staticmethod(draw_footprint)

    def __init__(self, token: tuple[int, int] | None = None, **state):
        if token is not None:
            state["row"], state["column"] = token
        super().__init__(**state)

    def controls(self):
        return {
            "blocks": Number("blocks", 4, 1, DEEPEST, play=True),
            "shifted": Switch("shift every second block", True),
            "merging": Switch("merge after every pair", False),
            "row": Number("token row", 9, 0, SIDE - 1),
            "column": Number("token column", 10, 0, SIDE - 1),
        }
