"""Lesson 03's explorer: a map cut into windows, the windows in their order, and what that costs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from swinlib import msa_flops, pad_to_multiple, window_partition, window_reverse, wmsa_flops
from swinlib.lab.drawing import GREY, Drag, Drawing, Part, hex_colour, part, short
from swinlib.lab.style import ACCENT, CALM, REGION_COLOURS
from swinlib.lab.widgets.explorer import Explorer, Number

LARGEST_MAP, LARGEST_WINDOW = 56, 14  # tokens; the first stage of Swin-T at 224 x 224 pixels
EMBED_DIM = 96  # C, numbers in a token of that stage, for the cost
FILLS = [hex_colour(colour, 0.45) for colour in REGION_COLOURS]
PADDING = "#ffffff"
LEFT, TOP, PANEL, GAP = 8, 30, 340, 40  # pixels
READABLE = 15  # pixels; a cell with room for a number
MOVING = 400  # tokens, at most, that move one by one


@dataclass
class CutMap:
    """Everything that the picture shows, computed by the lesson's functions.

    Attributes, with (H, W) the padded size and M the side of a window:
        numbers: (H, W), every token's number, -1 for padding.
        window_of: (H, W), the number of the window that a token is in.
        windows: (num_windows, M, M), the tokens' numbers in the windows' order.
        pairs: how many pairs of tokens meet: (in all of the map, in windows).
        flops: multiply-adds of attention: (on the map as it is, in windows).
    """

    numbers: Tensor
    window_of: Tensor
    windows: Tensor
    pairs: tuple[int, int]
    flops: tuple[int, int]

    @classmethod
    def compute(cls, height: int, width: int, M: int) -> "CutMap":
        numbers = torch.arange(1, height * width + 1).view(1, height, width, 1)
        numbers = pad_to_multiple(numbers, M) - 1  # padding is 0, and becomes -1
        H, W = numbers.shape[1:3]
        windows = window_partition(numbers, M)  # (num_windows, M, M, 1)
        own_number = torch.arange(len(windows)).view(-1, 1, 1, 1).expand_as(windows)
        return cls(
            numbers[0, :, :, 0],
            window_reverse(own_number, M, H, W)[0, :, :, 0],
            windows[..., 0],
            ((height * width) ** 2, windows.numel() * M * M),
            (msa_flops(height, width, EMBED_DIM), wmsa_flops(height, width, EMBED_DIM, M)),
        )


def draw_windows(
    height: int = 8,
    width: int = 12,
    window_size: int = 4,
    window: int = 1,
) -> Drawing:
    """The map and its windows, the windows as the batch that attention gets, and the price.

    Args:
        height, width: of the feature map, in tokens.
        window_size: M, in tokens; at least 2, for alone in a window nobody has anyone to look at.
        window: number of the window that is framed.
    """
    facts = CutMap.compute(height, width, window_size)
    drawing = Drawing(2 * (LEFT + PANEL) + GAP, 0)
    bottoms = (
        _draw_map(drawing, facts, height, width, window_size, window),
        _draw_batch(drawing, facts, window_size, window),
    )
    drawing.height = _draw_price(drawing, facts, max(bottoms) + 24)
    drawing.caption = _caption(facts, height, width, window_size, window)
    return drawing


def _fill(number: int, windows_in_a_row: int) -> str:
    """The colour of a window, another one than its neighbours'."""
    row, column = divmod(number, windows_in_a_row)
    return FILLS[3 * (row % 3) + column % 3]


def _texts(numbers: list[list[int]]) -> list[list[str]]:
    return [["pad" if number < 0 else str(number) for number in row] for row in numbers]


def _draw_map(drawing: Drawing, facts: CutMap, height, width, M: int, window: int) -> float:
    """The map with all its windows, and the tokens' numbers where they fit; returns its bottom."""
    H, W = facts.numbers.shape
    cell = PANEL / max(H, W)
    numbers, window_of = facts.numbers.tolist(), facts.window_of.tolist()
    fills = [
        [PADDING if numbers[i][j] < 0 else _fill(window_of[i][j], W // M) for j in range(W)]
        for i in range(H)
    ]
    frames = [((*(M * n for n in divmod(window, W // M)), M, M), ACCENT)]
    readable, windows_readable = cell >= READABLE, M * cell >= READABLE
    title = f"{height} x {width} tokens"
    title += f", padded to {H} x {W}" if (H, W) != (height, width) else ""
    drawing.text(LEFT, 14, title, 13, "start")
    cuts = (range(M, H, M), range(M, W, M)) if windows_readable else ((), ())
    texts = _texts(numbers) if readable else None
    keys = None
    if H * W <= MOVING:
        keys = [[(f"map-{i}-{j}", None) for j in range(W)] for i in range(H)]
    drawing.grid(LEFT, TOP, cell, fills, texts, *cuts, frames, keys=keys)
    cells = [_token(numbers[i][j], window_of[i][j], (i, j)) for i in range(H) for j in range(W)]
    drawing.touch("map", LEFT, TOP, cell, None, H, W, cells)
    row, column = (M * (n + 1) * cell for n in divmod(window, W // M))
    drawing.handle(
        "size of the windows", LEFT + column, TOP + row, [Drag("window_size", "right", cell)]
    )
    size = Drag("height", "down", cell), Drag("width", "right", cell)
    drawing.handle("size of the map", LEFT + width * cell + 8, TOP + height * cell + 8, size)
    if (H, W) != (height, width):
        size = width * cell, height * cell
        drawing.rect(LEFT, TOP, *size, stroke=ACCENT, line=1.5, dash=True)
    notes = [f"framed: window {window}"]
    if (H, W) != (height, width):
        notes.append("dashed: the map")
    if windows_readable and not readable:
        notes.insert(0, "numbers: windows")
        for number in range(len(facts.windows)):
            row, column = divmod(number, W // M)
            place = LEFT + (column + 0.5) * M * cell, TOP + (row + 0.5) * M * cell
            drawing.text(*place, str(number), min(13, 0.48 * M * cell))
    bottom = TOP + H * cell + 15
    drawing.text(LEFT, bottom, "; ".join(notes), 11, "start", GREY)
    return bottom


def _token(number: int, window: int, place: tuple[int, int]) -> Part:
    """What a token stands for; a click frames its window."""
    about = {"token": number} if number >= 0 else {"padding": place}
    name = f"token {number}" if number >= 0 else "padding"
    return part(f"{name}, window {window}", {"window": window}, window=window, **about)


def _draw_batch(drawing: Drawing, facts: CutMap, M: int, window: int) -> float:
    """The windows pulled apart, in their order, with their numbers where they fit."""
    H, W = facts.numbers.shape
    rows, columns = H // M, W // M
    x, number_of_windows = LEFT + PANEL + GAP, len(facts.windows)
    drawing.text(x, 14, f"window_partition: ({number_of_windows}, {M}, {M}, C)", 13, "start")
    for above, between in ((15, 7), (3, 3), (1, 1)):  # pixels above and between windows
        cell = min((PANEL - rows * above) / H, (PANEL - (columns - 1) * between) / W)
        if above == 1 or cell * M >= 18:
            break
    for number, numbers in enumerate(facts.windows.tolist()):
        row, column = divmod(number, columns)
        left, top = x + column * (M * cell + between), TOP + row * (M * cell + above) + above
        colour = _fill(number, columns)
        chosen = number == window
        if above > 3:
            drawing.text(left + M * cell / 2, top - 8, str(number), 10, bold=chosen)
        fills = [[PADDING if n < 0 else colour for n in line] for line in numbers]
        frames = [((0, 0, M, M), ACCENT)] if chosen else []
        if M * cell >= 18:
            texts = _texts(numbers) if cell >= READABLE else None
            places = [[(row * M + i, column * M + j) for j in range(M)] for i in range(M)]
            keys = None
            if H * W <= MOVING:  # a window that is chosen leaves the map anew
                name = f"chosen {number}" if chosen else "batch"
                keys = [[(f"{name}-{i}-{j}", f"map-{i}-{j}") for i, j in line] for line in places]
            drawing.grid(left, top, cell, fills, texts, frames=frames, keys=keys)
            cells = [
                _token(n, number, place)
                for line, spots in zip(numbers, places, strict=True)
                for n, place in zip(line, spots, strict=True)
            ]
            sides = M, M
            drawing.touch(f"window {number} of the batch", left, top, cell, None, *sides, cells)
        else:
            real_rows = sum(line[0] >= 0 for line in numbers)
            real_columns = sum(n >= 0 for n in numbers[0])
            drawing.rect(left, top, real_columns * cell, real_rows * cell, colour)
            drawing.rect(left, top, M * cell, M * cell, stroke="#999999", line=0.4)
    if M * cell < 18:
        cells = [part(f"window {n}", {"window": n}, window=n) for n in range(number_of_windows)]
        size, sides = (M * cell + between, M * cell + above), (rows, columns)
        drawing.touch("batch", x, TOP + above, *size, *sides, cells)
        grow, (row, column) = max(0.0, (9 - M * cell) / 2), divmod(window, columns)
        left, top = x + column * (M * cell + between), TOP + row * (M * cell + above) + above
        side = M * cell + 2 * grow
        drawing.frame(left - grow, top - grow, side, side, ACCENT)
    note = "the windows one after another, as a batch of small pictures"
    bottom = TOP + rows * (M * cell + above) + 15
    drawing.text(x, bottom, note, 11, "start", GREY)
    return bottom


def _draw_price(drawing: Drawing, facts: CutMap, y: float) -> float:
    """Multiply-adds of global attention and of attention in windows, in their two parts."""
    most, rows = max(facts.flops), []
    for name, pairs, flops in zip(("global", "in windows"), facts.pairs, facts.flops, strict=True):
        meeting = 2 * EMBED_DIM * pairs  # a score and a weighted sum for each
        parts = [((flops - meeting) / most, CALM), (meeting / most, ACCENT)]
        rows.append((name, parts, f"{short(flops)}, {pairs:,} pair" + "s" * (pairs > 1)))
    title = f"multiply-adds of attention, C = {EMBED_DIM}"
    drawing.text(LEFT, y, title, 13, "start")
    for x, colour, name in ((300, CALM, "projections"), (400, ACCENT, "pairs of tokens")):
        drawing.rect(LEFT + x, y - 6, 12, 12, colour)
        drawing.text(LEFT + x + 17, y, name, 11, "start")
    drawing.bars(LEFT, y + 14, 400, rows, label=84, height=26, size=12)
    return y + 14 + 26 * len(rows) + 8


def _caption(facts: CutMap, height: int, width: int, M: int, window: int) -> str:
    """The present state in sentences."""
    H, W = facts.numbers.shape
    count, chosen = len(facts.windows), facts.windows[window]
    padded = f", padded to {H} x {W}," if (H, W) != (height, width) else ""
    tokens = f"{height * width:,} token" + ("s" if height * width > 1 else "")
    first, last = int(chosen[chosen >= 0].min()), int(chosen.max())
    padding = int((chosen < 0).sum())
    row, column = divmod(window, W // M)
    words = [
        f"{height} x {width} = {tokens}{padded} in "
        + (f"{count:,} windows" if count > 1 else "one window")
        + f" of {M} x {M}.",
        f"Window {window}, in row {row} and column {column} of the windows, holds "
        + (
            f"{M * M - padding} tokens, the first {first:,} and the last {last:,}"
            if last > first
            else f"token {first:,} alone"
        )
        + (f", and {padding} of padding." if padding else "."),
    ]
    everywhere, inside = facts.flops
    ratio = everywhere / inside
    dearer = f"{1 / ratio:.1f}" if ratio > 0.1 else f"{1 / ratio:,.0f}"
    words.append(
        f"Attention takes {short(inside)} multiply-adds in windows and {short(everywhere)} "
        f"globally (C = {EMBED_DIM}), "
        + (
            f"{ratio:.1f} times as many."
            if ratio >= 1.05
            else "about as many."
            if ratio > 0.95
            else f"fewer: the padding makes windows {dearer} times as expensive."
        )
    )
    return " ".join(words)


class WindowExplorer(Explorer):
    """Windows under your hand: change the map and the window, and see the cut and its price.

    Args:
        **state: height, width, window_size, window (see `draw_windows`).
    """

    draw = staticmethod(draw_windows)

    def controls(self):
        return {
            "height": Number("height H", 8, 1, LARGEST_MAP),
            "width": Number("width W", 12, 1, LARGEST_MAP),
            "window_size": Number("window M", 4, 2, LARGEST_WINDOW),
            "window": Number("window no.", 1, 0, LARGEST_MAP**2 - 1),
        }

    def bounds(self, height, width, window_size, **others):
        M = window_size
        return {"window": (0, -(-height // M) * -(-width // M) - 1)}
