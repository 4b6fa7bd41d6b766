"""Lesson 06's explorer: padding, four interleaved grids, stacked, and 4C to 2C."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from swinlib import PatchMerging, pad_to_multiple, space_to_depth
from swinlib.lab.drawing import GREY, WHITE, Drag, Drawing, Part, hex_colour, part
from swinlib.lab.style import ACCENT, INK, PALE, REGION_COLOURS
from swinlib.lab.widgets.explorer import Choice, Explorer, Number

STEPS = ("1 map", "2 padding", "3 four grids", "4 stacked", "5 norm, 4C to 2C")
PLACES = ("top left", "bottom left", "top right", "bottom right")  # the official order
PLACE_FILLS = [hex_colour(colour, 0.5) for colour in REGION_COLOURS[:4]]
LARGEST_MAP, LARGEST_CHANNELS = 10, 3
PADDING = WHITE
PANEL, GAP, TOP = 300, 36, 48  # pixels
STRIP = 112  # pixels for the chosen token's numbers, below the panels


@dataclass
class Merging:
    """Everything that the picture shows, computed by the lesson's functions.

    The map's token t carries t in its first channel, 100 + t in the second, 200 + t in the third.
    With (h, w) the merged size, -1 is padding:

    Attributes:
        numbers: (2h, 2w), every token's number.
        place: (2h, 2w), which of the four grids a token goes to.
        cell: (2h, 2w), the number of the merged token that it becomes a part of.
        merged: (h, w, 4, C), what the merged tokens hold, by grid.
        outputs: 2C, the numbers that the linear layer leaves.
    """

    numbers: Tensor
    place: Tensor
    cell: Tensor
    merged: Tensor
    outputs: int

    def part(self, row: int, column: int) -> Part:
        """What a place of the padded map stands for; a click follows its merged token."""
        number, merged = int(self.numbers[row, column]), int(self.cell[row, column])
        name = f"token {number}" if number >= 0 else "padding"
        name += f", {PLACES[int(self.place[row, column])]} of merged token {merged}"
        return part(name, {"token": merged}, place=(row, column), merged=merged)

    def origin(self, merged: int, place: int) -> tuple[int, int]:
        """Where on the padded map a merged token's part comes from."""
        return tuple(((self.cell == merged) & (self.place == place)).nonzero()[0].tolist())

    @classmethod
    def compute(cls, height, width, channels) -> "Merging":
        tokens = torch.arange(height * width).view(1, height, width, 1)
        values = tokens + 100 * torch.arange(channels) + 1  # padding is 0, and becomes -1
        merged = space_to_depth(values).unflatten(-1, (4, channels))[0] - 1
        numbers = pad_to_multiple(tokens + 1, 2)[0, :, :, 0] - 1
        # Where a token goes: merge the padded map's own counting numbers, and read it backwards.
        counted = torch.arange(numbers.numel()).view(1, *numbers.shape, 1)
        order = space_to_depth(counted).flatten()  # merged token after merged token, four each
        goes_to = torch.empty_like(order)
        goes_to[order] = torch.arange(len(order))
        goes_to = goes_to.view(numbers.shape)
        return cls(numbers, goes_to % 4, goes_to // 4, merged, reduced(channels))


@lru_cache(maxsize=LARGEST_CHANNELS)
def reduced(channels: int) -> int:
    """How many numbers a token has after the merging's linear layer."""
    return PatchMerging(channels).reduction.out_features


def draw_merging(
    height: int = 4,
    width: int = 4,
    channels: int = 1,
    token: int = 0,
    step: int = 5,
) -> Drawing:
    """Three panels, the map, its four grids and the merged map; below, one token's numbers.

    Args:
        height, width: of the map, in tokens; odd sizes are padded.
        channels: C, the numbers in a token.
        token: number of the merged token that is followed.
        step: from 1 to 5, how much of the story is drawn; see `STEPS`.
    """
    facts = Merging.compute(height, width, channels)
    left, middle, right = (8 + i * (PANEL + GAP) for i in range(3))
    drawing = Drawing(3 * PANEL + 2 * GAP + 16, TOP + PANEL + STRIP)
    _draw_map(drawing, left, facts, height, width, token, step)
    _draw_four_grids(drawing, middle, facts, token, step)
    _draw_merged(drawing, right, facts, token, step)
    _draw_strip(drawing, left, facts, token, step)
    drawing.caption = _caption(facts, height, width, channels, token, step)
    return drawing


def _draw_map(drawing, left, facts, height, width, token, step) -> None:
    H, W = facts.numbers.shape
    padded = (H, W) != (height, width)
    title = f"the map: {height} x {width} tokens"
    if step >= 2:
        title += f", padded to {H} x {W}" if padded else ", nothing to pad"
    drawing.text(left, 14, title, 13, "start")
    cell = min(PANEL / max(H, W), 75)
    if step < 2:
        H, W = height, width
    fills = [
        [
            PADDING if facts.numbers[i, j] < 0 else PLACE_FILLS[int(facts.place[i, j])]
            for j in range(W)
        ]
        for i in range(H)
    ]
    texts = [[_text(number) for number in row[:W]] for row in facts.numbers[:H].tolist()]
    cuts, size = (range(2, H, 2), range(2, W, 2)), min(13, 0.4 * cell)
    keys = [[(f"map-{i}-{j}", None) for j in range(W)] for i in range(H)]
    drawing.grid(left, TOP, cell, fills, texts, *cuts, size=size, keys=keys)
    cells = [facts.part(i, j) for i in range(H) for j in range(W)]
    drawing.touch("map", left, TOP, cell, None, H, W, cells)
    sides = Drag("height", "down", cell), Drag("width", "right", cell)
    drawing.handle("size of the map", left + width * cell, TOP + height * cell, sides)
    if step >= 2:
        for i, j in (facts.numbers < 0).nonzero().tolist():
            inset = (left + j * cell + 3, TOP + i * cell + 3, cell - 6, cell - 6)
            drawing.rect(*inset, stroke=GREY, dash=True)
    if step >= 4:
        i, j = (facts.cell == token).nonzero()[0].tolist()
        place = left + j * cell, TOP + i * cell
        drawing.rect(*place, 2 * cell, 2 * cell, stroke=ACCENT, line=3.5)


def _draw_four_grids(drawing, middle, facts, token, step) -> None:
    drawing.text(middle, 14, "its four grids, in the official order", 13, "start")
    if step < 3:
        text = "step 3 takes every second row and column"
        return drawing.placeholder(middle, TOP, PANEL, PANEL, text)
    h, w, _, _ = facts.merged.shape
    side = (PANEL - 20) / 2  # room for one grid
    cell = min((side - 18) / max(h, w), 46)
    for k, name in enumerate(PLACES):
        x, y = middle + k // 2 * (side + 20), TOP + k % 2 * (side + 20)
        drawing.text(x, y - 10, f"{k + 1}. {name}", 11.5, "start", bold=True)
        values = facts.merged[:, :, k, 0]
        fills = [[PADDING if v < 0 else PLACE_FILLS[k] for v in row] for row in values.tolist()]
        texts = [[_text(v) for v in row] for row in values.tolist()]
        frames = [((*divmod(token, w), 1, 1), ACCENT)] if step >= 4 else []
        places = [facts.origin(merged, k) for merged in range(h * w)]
        keys = [(f"grid-{i}-{j}", f"map-{i}-{j}") for i, j in places]
        keys = [keys[i * w : (i + 1) * w] for i in range(h)]
        drawing.grid(x, y, cell, fills, texts, frames=frames, keys=keys)
        cells = [facts.part(*place) for place in places]
        drawing.touch(f"{name} grid", x, y, cell, None, h, w, cells)
    return None


def _draw_merged(drawing, right, facts, token, step) -> None:
    h, w, _, channels = facts.merged.shape
    title = f"stacked: {h} x {w} tokens of 4C"
    drawing.text(right, 14, title, 13, "start")
    if step < 4:
        text = "step 4 stacks the four grids"
        return drawing.placeholder(right, TOP, PANEL, PANEL, text)
    cell = min(PANEL / max(h, w), 150)
    drawing.grid(right, TOP, cell, [[PALE] * w for _ in range(h)])
    box, tall = (cell - 8) / 4, 0.42 * (cell - 8)
    for i in range(h):
        for j in range(w):
            x, y = right + j * cell + 4, TOP + (i + 0.5) * cell - tall / 2
            places = [facts.origin(i * w + j, k) for k in range(4)]
            for k, value in enumerate(facts.merged[i, j, :, 0].tolist()):
                row, column = places[k]
                with drawing.moving(f"merged-{row}-{column}", f"grid-{row}-{column}"):
                    _box(drawing, x + k * box, y, box, tall, value, k, min(13, 0.55 * box))
            parts = [facts.part(*place) for place in places]
            drawing.touch(f"merged token {i * w + j}", x, y, box, tall, 1, parts)
    i, j = divmod(token, w)
    place = right + j * cell, TOP + i * cell
    drawing.rect(*place, cell, cell, stroke=ACCENT, line=3.2)
    if channels > 1:
        drawing.text(right, TOP + h * cell + 14, "first channel only", 11, "start", GREY)
    return None


def _draw_strip(drawing, left, facts, token, step) -> None:
    """The chosen merged token's numbers, in their order."""
    h, w, _, channels = facts.merged.shape
    y = TOP + PANEL + 26
    if step < 4:
        return
    drawing.text(left, y, f"merged token {token}: 4C = {4 * channels} numbers", 13, "start")
    box = 40
    x = left
    for k, values in enumerate(facts.merged[token // w, token % w].tolist()):
        said = [facts.part(*facts.origin(token, k))]
        drawing.touch(f"numbers of {PLACES[k]}", x, y + 16, channels * box, 30, said)
        for c, value in enumerate(values):
            _box(drawing, x + c * box, y + 16, box, 30, value, k, 13)
        if channels > 1:
            drawing.text(x + channels * box / 2, y + 58, PLACES[k], 11)
        else:
            for line, word in enumerate(PLACES[k].split()):
                drawing.text(x + box / 2, y + 55 + 12 * line, word, 10)
        x += channels * box + 4
    if step < 5:
        return
    x += 8
    drawing.arrow(x, y + 31, x + 120, y + 31)
    drawing.text(x + 57, y + 20, f"LayerNorm({4 * channels})", 11)
    drawing.text(x + 57, y + 43, f"Linear {4 * channels} to {facts.outputs}", 11)
    x += 130
    for _ in range(facts.outputs):
        drawing.rect(x, y + 16, box, 30, PALE, INK, 1)
        x += box
    drawing.text(x - facts.outputs * box / 2, y + 58, f"2C = {facts.outputs} learned mixtures", 11)


def _box(drawing, x, y, width, height, value, place, size) -> None:
    """One number of a merged token; padding is white and dashed."""
    fill, dash = (PADDING, True) if value < 0 else (PLACE_FILLS[place], False)
    drawing.rect(x, y, width, height, fill, GREY, 0.8, dash)
    text = "0" if value < 0 else str(value)
    drawing.text(x + width / 2, y + height / 2, text, size, fill=GREY if value < 0 else INK)


def _text(number: int) -> str:
    return "pad" if number < 0 else str(number)


def _caption(facts, height, width, channels, token, step) -> str:
    """The present state in sentences."""
    H, W = facts.numbers.shape
    h, w, _, _ = facts.merged.shape
    each = f"C = {channels} number{'s' * (channels > 1)} each"
    words = [f"A map of {height} x {width} tokens, {each}."]
    if step >= 2:
        added = [name for name, more in (("row", H > height), ("column", W > width)) if more]
        words.append(
            f"Padded with a {' and a '.join(added)} of zeros to {H} x {W}."
            if added
            else "Both sides are even, so nothing is padded."
        )
    if step >= 3:
        words.append(f"Every second row and column gives four grids of {h} x {w}.")
    if step >= 4:
        held = facts.merged[token // w, token % w].flatten().tolist()
        zeros = sum(value < 0 for value in held)
        numbers = ", ".join("0" if value < 0 else str(value) for value in held)
        words.append(f"Merged token {token} holds {numbers}")
        if zeros:
            words[-1] += f", of which {zeros} {'are' if zeros > 1 else 'is'} padding"
        words[-1] += "."
    if step >= 5:
        before, after = height * width * channels, h * w * facts.outputs
        words.append(
            f"LayerNorm and a linear layer turn these {4 * channels} into {facts.outputs}. "
            f"Numbers in the map: {before} before, {after} after."
        )
    return " ".join(words)


class MergingExplorer(Explorer):
    """Patch merging under your hand: change the map's size, and follow one merged token.

    Args:
        **state: height, width, channels, token, step (see `draw_merging`).
    """

    draw = staticmethod(draw_merging)

    def controls(self):
        return {
            "step": Choice("step", [(name, i + 1) for i, name in enumerate(STEPS)], 5, play=True),
            "height": Number("height H", 4, 1, LARGEST_MAP),
            "width": Number("width W", 4, 1, LARGEST_MAP),
            "channels": Number("channels C", 1, 1, LARGEST_CHANNELS, rare=True),
            "token": Number("merged token", 0, 0, (LARGEST_MAP // 2) ** 2 - 1),
        }

    def bounds(self, height, width, **others):
        return {"token": (0, -(-height // 2) * -(-width // 2) - 1)}
