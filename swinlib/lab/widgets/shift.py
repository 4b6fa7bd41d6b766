"""Lesson 04's explorer: grid, moved windows, roll, regions, mask, attention, and back."""

from dataclasses import dataclass

import torch
from torch import Tensor

from swinlib import (
    cyclic_shift,
    pad_to_multiple,
    region_ids,
    reverse_cyclic_shift,
    shifted_window_mask,
    window_partition,
    window_reverse,
)
from swinlib.lab.drawing import GREY, WHITE, Drag, Drawing, Part, hex_colour, on, part
from swinlib.lab.figures.shift import window_cuts
from swinlib.lab.style import ACCENT, ATTENDS, INK, MASKED, PALE, REGION_COLOURS
from swinlib.lab.widgets.explorer import Choice, Explorer, Number, Switch
from swinlib.model import shift_that_fits

STEPS = (
    "1 grid",
    "2 moved windows",
    "3 roll",
    "4 regions",
    "5 mask",
    "6 attention",
    "7 roll back",
)
LARGEST_MAP, LARGEST_WINDOW = 16, 8  # tokens; what still reads on a screen
REGION_FILLS = [hex_colour(colour, 0.55) for colour in REGION_COLOURS]
PADDING = WHITE
PANEL, GAP, TOP = 300, 36, 30  # pixels


@dataclass
class ShiftedWindows:
    """Everything that the picture shows, computed by the lessons' functions.

    Attributes, with (H, W) the padded size:
        shift: (sh, sw) in use; 0 along an axis that one window covers.
        numbers: (H, W), every token's number, -1 for padding.
        rolled: (H, W), the same after the roll.
        regions: (H, W), region ids of the rolled map.
        regions_back: (H, W), the same rolled back onto the map.
        pieces: how many moved windows there are, cut ones counted as they are.
        mask: (N, N), of the chosen window.
        mask_ids: (N,), region ids of its tokens.
        seen: (H, W) of bool, what the query may see, on the map.
        seen_rolled: (H, W) of bool, the same on the rolled map.
        changed: (H, W) of bool, the tokens whose answer changes when the mask is left out; no
            padding, whose answers are thrown away.
        query: (row, column) of the query on the map.
        places: (num_windows, N), where on the map every window's tokens are, counted row by row.
    """

    shift: tuple[int, int]
    numbers: Tensor
    rolled: Tensor
    regions: Tensor
    regions_back: Tensor
    pieces: int
    mask: Tensor
    mask_ids: Tensor
    seen: Tensor
    seen_rolled: Tensor
    changed: Tensor
    query: tuple[int, int]
    places: Tensor

    @classmethod
    def compute(cls, height, width, M, shift, window, query) -> "ShiftedWindows":
        numbers = torch.arange(1, height * width + 1).view(1, height, width, 1)
        numbers = pad_to_multiple(numbers, M) - 1  # padding is 0, and becomes -1
        H, W = numbers.shape[1:3]
        shift = shift_that_fits(H, W, (M, M), shift)
        is_token, rolled = numbers >= 0, cyclic_shift(numbers, shift)
        regions = region_ids(H, W, M, shift)[None, :, :, None]
        masks = shifted_window_mask(H, W, M, shift)

        def on_the_map(per_token: Tensor) -> Tensor:
            """(num_windows, N) laid out as the rolled map (1, H, W, 1)."""
            return window_reverse(per_token.view(-1, M, M, 1), M, H, W)

        may_see = torch.zeros(masks.shape[:2], dtype=torch.bool)
        may_see[window] = masks[window, query] == 0
        is_query = torch.zeros_like(may_see)
        is_query[window, query] = True
        seen_rolled, changed = on_the_map(may_see), on_the_map((masks < 0).any(-1))
        place = reverse_cyclic_shift(on_the_map(is_query), shift)[0, :, :, 0].nonzero()[0]
        ids = window_partition(regions, M).flatten(1)  # (num_windows, N)
        counted = cyclic_shift(torch.arange(H * W).view(1, H, W, 1), shift)
        return cls(
            shift,
            numbers[0, :, :, 0],
            rolled[0, :, :, 0],
            regions[0, :, :, 0],
            reverse_cyclic_shift(regions, shift)[0, :, :, 0],
            sum(len(set(row)) for row in ids.tolist()),
            masks[window],
            ids[window],
            reverse_cyclic_shift(seen_rolled, shift)[0, :, :, 0],
            seen_rolled[0, :, :, 0],
            (reverse_cyclic_shift(changed, shift) & is_token)[0, :, :, 0],
            tuple(place.tolist()),
            window_partition(counted, M).flatten(1),
        )

    def parts(self) -> list[Part]:
        """What the places of the map stand for, row by row; a click makes a token the query."""
        numbers, regions = self.numbers.flatten().tolist(), self.regions_back.flatten().tolist()
        parts = [Part()] * len(numbers)
        for window, places in enumerate(self.places.tolist()):
            for query, place in enumerate(places):
                number = numbers[place]
                about = {"token": number} if number >= 0 else {"padding": place}
                name = f"token {number}" if number >= 0 else "padding"
                name += f", region {regions[place]}, window {window}"
                parts[place] = part(name, {"window": window, "query": query}, **about)
        return parts


def draw_shift_mask(
    height: int = 8,
    width: int = 8,
    window_size: int = 4,
    shift_rows: int = 2,
    shift_columns: int = 2,
    window: int = 3,
    query: int = 0,
    step: int = 7,
    without_mask: bool = False,
) -> Drawing:
    """Three panels: the map, the rolled map, and the mask of one window.

    Args:
        height, width: of the feature map, in tokens.
        window_size: M, in tokens.
        shift_rows, shift_columns: shift along either axis, in tokens, below M.
        window: number of the window whose mask is drawn.
        query: number of the query token in that window.
        step: from 1 to 7, how much of the story is drawn; see `STEPS`.
        without_mask: mark the tokens whose answer would change without the mask.
    """
    M = window_size
    facts = ShiftedWindows.compute(height, width, M, (shift_rows, shift_columns), window, query)
    H, W = facts.numbers.shape
    cell = PANEL / max(H, W)
    left, middle, right = (8 + i * (PANEL + GAP) for i in range(3))
    drawing = Drawing(3 * PANEL + 2 * GAP + 16, PANEL + TOP + 28)
    # What a token is called stays with it, wherever it goes.
    places = torch.arange(H * W).view(H, W)
    rolled = cyclic_shift(places[None, :, :, None], facts.shift).flatten().tolist()
    parts = facts.parts()

    fills, frames, notes = _fills(facts.numbers, facts.regions_back if step >= 2 else None), [], []
    texts = _numbers(facts.numbers)
    if step >= 7:
        fills = _fade_unless(facts.seen, fills)
        frames = [((*facts.query, 1, 1), ACCENT)]
        notes.append("strong: what the framed query may see")
    if without_mask:
        for i, j in facts.changed.nonzero().tolist():
            texts[i][j] = "≠"
        notes = ["strong: seen by the query"] * (step >= 7) + ["≠: changes without the mask"]
    if step >= 2:
        title, shift = "the map, moved windows: drag them", facts.shift
    else:
        title, shift = "the map, ordinary windows", (0, 0)
    cuts = window_cuts(H, M, shift[0]), window_cuts(W, M, shift[1])
    drawing.text(left, 14, title, 13, "start")
    keys = [[(f"map-{place}", None) for place in row] for row in places.tolist()]
    drawing.grid(left, TOP, cell, fills, texts, *cuts, frames, keys=keys)
    drag = [
        Drag(name, axis, cell, low=-now, high=M - 1 - now)
        for name, axis, now in (
            ("shift_rows", "down", shift_rows),
            ("shift_columns", "right", shift_columns),
        )
    ]
    drag = drag if step >= 2 else ()
    drawing.touch("map", left, TOP, cell, None, H, W, parts, drag)
    size = Drag("height", "down", cell), Drag("width", "right", cell)
    drawing.handle("size of the map", left + W * cell, TOP + H * cell, size)
    _note(drawing, left, H * cell, "; ".join(notes))

    title = "rolled: the windows; in the corner, the region" if step >= 4 else "rolled"
    drawing.text(middle, 14, title, 13, "start")
    if step >= 3:
        fills = _fills(facts.rolled, facts.regions)
        first_row, first_column = (i * M for i in divmod(window, W // M))
        place = (first_row + query // M, first_column + query % M, 1, 1)
        frames = [((first_row, first_column, M, M), INK), (place, ACCENT)]
        _note(drawing, middle, H * cell, f"heavy frames: window {window} and its query")
        if step >= 6:
            fills = _fade_unless(facts.seen_rolled, fills)
        keys = [
            [(f"rolled-{place}", f"map-{place}") for place in rolled[i * W : (i + 1) * W]]
            for i in range(H)
        ]
        lines = window_cuts(H, M), window_cuts(W, M)
        drawing.grid(
            middle, TOP, cell, fills, _numbers(facts.rolled), *lines, frames, None, True, keys
        )
        if step >= 4:
            _write_regions(drawing, middle, cell, facts.regions.tolist(), fills)
        own = [parts[place] for place in rolled]
        drawing.touch("rolled map", middle, TOP, cell, None, H, W, own)
    else:
        drawing.placeholder(middle, TOP, W * cell, H * cell, "step 3 rolls the map")

    drawing.text(right, 14, f"mask of window {window}: query down, key across", 13, "start")
    if step >= 5:
        tokens = [parts[place] for place in facts.places[window].tolist()]
        _draw_mask(drawing, right, facts.mask, facts.mask_ids.tolist(), query, tokens)
    else:
        drawing.placeholder(right, TOP, PANEL, PANEL, "step 5 makes the mask")

    drawing.caption = _caption(facts, height, width, M, window, query, step, without_mask)
    return drawing


def _write_regions(drawing: Drawing, x: float, cell: float, regions, fills) -> None:
    """Every token's region in a corner of its cell."""
    size = max(5, 0.27 * cell)
    for i, row in enumerate(regions):
        for j, region in enumerate(row):
            place = x + j * cell + 0.14 * cell, TOP + i * cell + 0.19 * cell
            drawing.text(*place, region, size, fill=on(fills[i][j]))


def _draw_mask(drawing: Drawing, x, mask: Tensor, ids: list[int], query: int, tokens) -> None:
    """The mask (N, N) of one window, with its tokens' regions along both sides."""
    N, margin = len(ids), 14
    cell = (PANEL - margin) / N
    fills = [[MASKED if value < 0 else ATTENDS for value in row] for row in mask.tolist()]
    drawing.grid(x + margin, TOP + margin, cell, fills)
    line = min(3.2, 0.5 * cell)
    place = x + margin, TOP + margin + query * cell
    drawing.rect(*place, N * cell, cell, stroke=ACCENT, line=line)
    drawing.polygon(
        [(place[0] - 1, place[1] + cell / 2)]
        + [(place[0] - 7, place[1] + cell / 2 + across) for across in (-4, 4)],
        ACCENT,
    )
    # One label for each token, or for a run of tokens of one region where there are too many.
    starts = [i for i in range(N) if cell >= 7 or i == 0 or ids[i] != ids[i - 1]]
    for start, end in zip(starts, [*starts[1:], N], strict=True):
        label, place = str(ids[start]), margin + (start + end) / 2 * cell
        size = min(9, 0.9 * (end - start) * cell)
        if size >= 5:
            drawing.text(x + place, TOP + 7, label, size, fill=GREY)
            drawing.text(x + 4, TOP + place, label, size, fill=GREY)
    _note(drawing, x + margin, PANEL, "light: may attend; dark: masked")
    rows, columns = (
        [
            Part(token.about | {f"{role}-{n}"}, {"query": n} if role == "query" else {}, name)
            for n, token in enumerate(tokens)
            for name in [f"{role} {n}: {token.name}"]
        ]
        for role in ("query", "key")
    )
    said = Part(name="may attend"), Part(name="masked")
    cells = [said[masked] for masked in (mask < 0).flatten().tolist()]
    drawing.touch("mask", x + margin, TOP + margin, cell, None, rows, columns, cells)


def _caption(facts, height, width, M, window, query, step, without_mask) -> str:
    """The present state in sentences."""
    H, W = facts.numbers.shape
    sh, sw = facts.shift
    padding = f", padded to {H} x {W}" if (H, W) != (height, width) else ""
    size = f"{_count(height * width, 'token')} ({height} x {width}{padding})"
    windows = _count(H * W // M**2, "window")
    moved = f"{_count(sh, 'row')} and {_count(sw, 'column')}"
    regions = _count(len(facts.regions.unique()), "region")
    if step == 1:
        words = [f"{size} in {windows} of {M} x {M}, not moved."]
    else:
        words = [f"{size}, windows of {M} x {M}, shifted by {moved}: "]
        words[0] += (
            f"{_count(facts.pieces, 'moved window')}.",
            f"rolled, {_count(facts.pieces, 'moved window')} fit into {windows}.",
            f"{windows} and {regions} on the rolled map.",
            f"{_count(facts.pieces, 'moved window')} in {windows}, {regions}.",
        )[min(step, 5) - 2]
    if step >= 5:
        masked, pairs = int((facts.mask < 0).sum()), facts.mask.numel()
        number = int(facts.numbers[facts.query])
        token = f"token {number}" if number >= 0 else "a padding token"
        seen, padding = int(facts.seen.sum()), int((facts.seen & (facts.numbers < 0)).sum())
        words.append(
            f"Window {window} masks {masked} of {pairs} pairs ({masked / pairs:.0%}); "
            f"its query {query} is {token} of region {int(facts.mask_ids[query])} "
            f"and may see {seen} of {M * M} tokens"
            + (f", {padding} of them padding." if padding else ".")
        )
    covered = [name for name, n in (("rows", H), ("columns", W)) if n == M and M > 1 and step >= 2]
    if covered:
        words.append(
            f"One window covers all {' and all '.join(covered)}, so nothing is shifted along "
            f"{'either' if len(covered) == 2 else 'them'}."
        )
    if without_mask:
        words.append(
            f"Without the mask {int(facts.changed.sum())} of {_count(height * width, 'token')} "
            "(marked ≠) would answer differently."
        )
    return " ".join(words)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fills(numbers: Tensor, regions: Tensor | None) -> list[list[str]]:
    """A colour for every cell: by region if there are any; padding white."""
    H, W = numbers.shape
    numbers = numbers.tolist()
    if regions is None:
        return [[PADDING if number < 0 else PALE for number in row] for row in numbers]
    fills = [[REGION_FILLS[region] for region in row] for row in regions.tolist()]
    return [[PADDING if numbers[i][j] < 0 else fills[i][j] for j in range(W)] for i in range(H)]


def _fade_unless(seen: Tensor, fills: list[list[str]]) -> list[list[str]]:
    seen = seen.tolist()
    return [
        [fill if seen[i][j] else hex_colour(fill, 0.35) for j, fill in enumerate(row)]
        for i, row in enumerate(fills)
    ]


def _numbers(numbers: Tensor) -> list[list[str]]:
    """What to write in the cells: the token's number."""
    return [["pad" if number < 0 else str(number) for number in row] for row in numbers.tolist()]


def _note(drawing: Drawing, x: float, height: float, text: str) -> None:
    """A line in small letters below a panel of this height."""
    drawing.text(x, TOP + height + 15, text, 11, "start", GREY)


class ShiftMaskExplorer(Explorer):
    """Shifted windows under your hand: change the map, the window, the shift, and see the mask.

    Args:
        shift_size: s, or (along rows, along columns), as in `cyclic_shift`.
        **state: height, width, window_size, window, query, step, without_mask (see
            `draw_shift_mask`); also shift_rows and shift_columns.
    """

    draw = staticmethod(draw_shift_mask)

    def __init__(self, shift_size: int | tuple[int, int] | None = None, **state):
        if shift_size is not None:
            pair = (shift_size, shift_size) if isinstance(shift_size, int) else shift_size
            state["shift_rows"], state["shift_columns"] = pair
        super().__init__(**state)

    def controls(self):
        largest = LARGEST_WINDOW
        return {
            "step": Choice("step", [(name, i + 1) for i, name in enumerate(STEPS)], 7, play=True),
            "height": Number("height H", 8, 1, LARGEST_MAP, rare=True),
            "width": Number("width W", 8, 1, LARGEST_MAP, rare=True),
            "window_size": Number("window M", 4, 1, largest, rare=True),
            "shift_rows": Number("shift, rows", 2, 0, largest - 1),
            "shift_columns": Number("shift, columns", 2, 0, largest - 1),
            "window": Number("window no.", 3, 0, LARGEST_MAP**2 - 1),
            "query": Number("query token", 0, 0, largest**2 - 1),
            "without_mask": Switch("without the mask", rare=True),
        }

    def bounds(self, height, width, window_size, **others):
        M = window_size
        windows = -(-height // M) * -(-width // M)
        return {
            "shift_rows": (0, M - 1),
            "shift_columns": (0, M - 1),
            "window": (0, windows - 1),
            "query": (0, M * M - 1),
        }
