"""Lesson 05's explorer: an offset, its number, all pairs that share it, and the bias looked up."""

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import torch
from torch import Tensor

from swinlib import relative_position_bias, relative_position_index
from swinlib.lab.drawing import GREY, Drag, Drawing, hex_colour, on, part, shades
from swinlib.lab.style import ACCENT, CALM, INK, PALE
from swinlib.lab.widgets.explorer import Explorer, Number

LARGEST_WINDOW = 7  # tokens; what still reads on a screen
LARGEST_GIVEN = 12  # tokens, of a window whose table is given
HEADS = 3  # of the example table
PANEL, GAP, TOP = 300, 36, 30  # pixels
ARROW = "#5b6570"  # on the pale cells of a window, whatever the page is
WINDOW = 176  # pixels for the window, so that the arithmetic fits below it


@dataclass
class RelativePosition:
    """Everything that the picture shows, computed by the lesson's functions; N = Mh * Mw.

    Attributes:
        places: (row, column) of the query and of the key.
        index: (N, N), the number of every pair's offset.
        number: that of the chosen pair.
        size: (2*Mh - 1, 2*Mw - 1), of the table.
        place: (row, column) of the number in the table.
        offset: (dy, dx), query minus key.
        same: (N, N) of bool, the pairs with the chosen number.
        biases: (2*Mh - 1, 2*Mw - 1), the head's column of the table.
        bias: what the head adds to the chosen pair's score.
    """

    places: tuple[tuple[int, int], tuple[int, int]]
    index: Tensor
    number: int
    size: tuple[int, int]
    place: tuple[int, int]
    offset: tuple[int, int]
    same: Tensor
    biases: Tensor
    bias: float

    def pair_at(self, number: int, query: int) -> tuple[int, int]:
        """A pair with this number: of this query if it has one, else the first."""
        pairs = (self.index == number).nonzero().tolist()
        return tuple(next((pair for pair in pairs if pair[0] == query), pairs[0]))

    @classmethod
    def compute(cls, Mh, Mw, query, key, head, table) -> "RelativePosition":
        index = relative_position_index((Mh, Mw))
        number = int(index[query, key])
        size = (2 * Mh - 1, 2 * Mw - 1)
        row, column = divmod(number, size[1])
        return cls(
            (divmod(query, Mw), divmod(key, Mw)),
            index,
            number,
            size,
            (row, column),
            (row - (Mh - 1), column - (Mw - 1)),
            index == number,
            table[:, head].view(size),
            relative_position_bias(table, index)[head, query, key].item(),
        )


@lru_cache(maxsize=64)
def example_table(Mh: int, Mw: int) -> Tensor:
    """Random biases from -2 to 2, always the same: ``((2*Mh - 1) * (2*Mw - 1), HEADS)``."""
    generator = torch.Generator().manual_seed(0)
    return 4 * torch.rand((2 * Mh - 1) * (2 * Mw - 1), HEADS, generator=generator) - 2


def draw_relative_position(
    window_rows: int = 4,
    window_columns: int = 4,
    query: int = 9,
    key: int = 3,
    head: int = 0,
    table: Tensor | None = None,
) -> Drawing:
    """Three panels: a pair in its window with the arithmetic, all pairs, and the bias table.

    Args:
        window_rows, window_columns: Mh and Mw, in tokens.
        query, key: numbers of two tokens of the window, counted along its rows.
        head: whose biases are shown.
        table: ``((2*Mh - 1) * (2*Mw - 1), num_heads)``; default a random one from a fixed seed.
    """
    Mh, Mw = window_rows, window_columns
    table = example_table(Mh, Mw) if table is None else table.detach().float().cpu()
    facts = RelativePosition.compute(Mh, Mw, query, key, head, table)
    left, middle, right = (8 + i * (PANEL + GAP) for i in range(3))
    drawing = Drawing(3 * PANEL + 2 * GAP + 16, TOP + PANEL + 66)
    _draw_window(drawing, left, facts, Mh, Mw, query, key)
    _draw_arithmetic(drawing, left, facts, Mh, Mw, query, key)
    _draw_index(drawing, middle, facts, Mw, query, key)
    _draw_table(drawing, right, facts, query, key, head)
    drawing.caption = _caption(facts, Mh, Mw, query, key, head)
    return drawing


def _draw_window(drawing, left, facts, Mh, Mw, query, key) -> None:
    """The window with its token numbers, and the way from the key to the query."""
    drawing.text(left, 14, f"a window of {Mh} x {Mw} tokens", 13, "start")
    cell = min(WINDOW / max(Mh, Mw), 60)
    x = left + 22
    query_place, key_place = facts.places
    fills = [[PALE] * Mw for _ in range(Mh)]
    fills[key_place[0]][key_place[1]] = hex_colour(CALM, 0.35)
    fills[query_place[0]][query_place[1]] = hex_colour(ACCENT, 0.35)
    frames = [((*key_place, 1, 1), CALM), ((*query_place, 1, 1), ACCENT)]
    drawing.grid(x, TOP, cell, fills, frames=frames if query != key else frames[1:])
    if query != key:
        ends = [
            (x + (column + 0.5) * cell, TOP + (row + 0.5) * cell)
            for row, column in (key_place, query_place)
        ]
        drawing.arrow(*ends[0], *ends[1], stroke=ARROW, line=2)
    for token in range(Mh * Mw):  # in a corner, where the arrow seldom passes
        row, column = divmod(token, Mw)
        if cell >= 20:
            place = x + (column + 0.1) * cell, TOP + (row + 0.29) * cell
            drawing.text(*place, token, min(13, 0.4 * cell), "start", INK)
    tokens = [part(f"token {n}", {"query": n}, token=n) for n in range(Mh * Mw)]
    drawing.touch("window", x, TOP, cell, None, Mh, Mw, tokens)
    for name, number, (row, column) in (("key", key, key_place), ("query", query, query_place)):
        if name == "key" and query == key:
            continue  # the query lies on it
        place = x + column * cell, TOP + row * cell
        steps = _steps(name, cell, row, column, Mh, Mw)
        said = [part(f"{name} {number}", token=number)]
        drawing.touch(f"the {name}, to be dragged", *place, cell, None, said, drag=steps)
    x += Mw * cell + 16
    names = [(f"i = {query}", query_place, ACCENT), (f"j = {key}", key_place, CALM)]
    for line, (name, place, colour) in enumerate(names):
        drawing.text(x, TOP + 10 + 40 * line, name, 13, "start", colour, bold=True)
        drawing.text(x, TOP + 27 + 40 * line, str(place), 12, "start", colour)
    words = "arrow: i minus j" if query != key else "i and j are one"
    drawing.text(x, TOP + 94, words, 11, "start", GREY)


def _steps(name: str, cell: float, row: int, column: int, Mh: int, Mw: int) -> list[Drag]:
    """How a token of the window, at (row, column), is dragged about in it."""
    return [
        Drag(name, "down", cell, Mw, -row, Mh - 1 - row),
        Drag(name, "right", cell, 1, -column, Mw - 1 - column),
    ]


def _draw_arithmetic(drawing, left, facts, Mh, Mw, query, key) -> None:
    """How the two places become one number."""
    (query_row, query_column), (key_row, key_column) = facts.places
    (dy, dx), (row, column) = facts.offset, facts.place
    lines = [
        f"dy = {query_row} - {key_row} = {_signed(dy)}",
        f"dx = {query_column} - {key_column} = {_signed(dx)}",
        f"row = dy + Mh - 1 = {dy} + {Mh - 1} = {row}",
        f"column = dx + Mw - 1 = {dx} + {Mw - 1} = {column}",
        "index = row · (2Mw - 1) + column",
        f"index = {row} · {facts.size[1]} + {column} = {facts.number}",
    ]
    for number, text in enumerate(lines):
        y = TOP + WINDOW + 28 + 21 * number
        drawing.text(left + 22, y, text, 13, "start", bold=number == len(lines) - 1)


def _draw_index(drawing, middle, facts, Mw, query, key) -> None:
    """The index of all pairs, those with the chosen number lit."""
    N = len(facts.index)
    drawing.text(middle, 14, f"the index of all {N} x {N} pairs: i down, j across", 13, "start")
    margin = 18
    cell = min((PANEL - margin) / N, 60)
    x, y = middle + margin, TOP + margin
    fills = [[CALM if same else PALE for same in row] for row in facts.same.tolist()]
    readable = cell >= 17
    texts = [[str(number) for number in row] for row in facts.index.tolist()] if readable else None
    drawing.grid(x, y, cell, fills, texts, frames=[((query, key, 1, 1), ACCENT)])
    for n in range(Mw, N, Mw):  # the rows of the window
        drawing.line(x, y + n * cell, x + N * cell, y + n * cell, GREY, 1)
        drawing.line(x + n * cell, y, x + n * cell, y + N * cell, GREY, 1)
    rows, columns = (
        [part(f"{name} {n}", {role: n}, **{role: n, "token": n}) for n in range(N)]
        for role, name in (("query", "i"), ("key", "j"))
    )
    numbers = [part(f"number {n}", entry=n) for n in range(facts.size[0] * facts.size[1])]
    pairs = [numbers[n] for n in facts.index.flatten().tolist()]
    drawing.touch("all pairs", x, y, cell, None, rows, columns, pairs)
    chosen, others = {"size": 10.5, "bold": True}, {"size": 8.5, "fill": GREY}
    for n in range(N):
        if readable or n == key:
            drawing.text(x + (n + 0.5) * cell, y - 9, n, **(chosen if n == key else others))
        if readable or n == query:
            look = chosen if n == query else others
            drawing.text(x - 4, y + (n + 0.5) * cell, n, anchor="end", **look)
    sharing = int(facts.same.sum())
    words = (
        f"{sharing} pairs share number {facts.number}" if sharing > 1 else "no other pair has it"
    )
    drawing.text(x, y + N * cell + 16, words, 12, "start", CALM, bold=True)


def _draw_table(drawing, right, facts, query, key, head) -> None:
    """The head's part of the bias table, by offset."""
    rows, columns = facts.size
    drawing.text(right, 14, f"the table of head {head}: dy down, dx across", 13, "start")
    margin = 18
    cell = min((PANEL - margin) / max(rows, columns), 60)
    x, y = right + margin, TOP + margin
    low, high = facts.biases.min().item(), facts.biases.max().item()
    fills = shades("cividis", (facts.biases - low) / max(high - low, 1e-9))
    frames = [((*facts.place, 1, 1), ACCENT)]
    drawing.grid(x, y, cell, fills, frames=frames)
    # The table slid under the window: what the query reads, its last key at the top left.
    (i, j), (Mh, Mw) = facts.places[0], (rows // 2 + 1, columns // 2 + 1)
    window = x + j * cell, y + i * cell, Mw * cell, Mh * cell
    with drawing.moving("window on the table"):
        drawing.frame(*window, CALM)
    drawing.touch(
        "table",
        x,
        y,
        cell,
        None,
        rows,
        columns,
        [
            part(
                f"number {n}",
                dict(zip(("query", "key"), facts.pair_at(n, query), strict=True)),
                entry=n,
            )
            for n in range(rows * columns)
        ],
    )
    drawing.handle(
        "the window over the table",
        window[0] + window[2],
        window[1] + window[3],
        _steps("query", cell, i, j, Mh, Mw),
    )
    for row in range(rows):
        for column in range(columns):
            place = x + (column + 0.5) * cell, y + (row + 0.5) * cell
            ink = on(fills[row][column])
            number = str(row * columns + column)
            if cell >= 38:
                drawing.text(place[0], place[1] - 8, number, 11, fill=ink, bold=True)
                bias = f"{facts.biases[row, column]:+.2f}"
                drawing.text(place[0], place[1] + 8, bias, min(10, 0.24 * cell), fill=ink)
            elif cell >= 17:
                drawing.text(*place, number, min(11, 0.42 * cell), fill=ink)
    every = 1 if cell >= 17 else 3
    for row in range(0, rows, every):
        dy = row - rows // 2
        drawing.text(x - 3, y + (row + 0.5) * cell, _signed(dy), 8.5, "end", GREY)
    for column in range(0, columns, every):
        dx = column - columns // 2
        drawing.text(x + (column + 0.5) * cell, y - 9, _signed(dx), 8.5, fill=GREY)
    y += rows * cell + 16
    words = f"bias[{head}, {query}, {key}] = table[{facts.number}, {head}] = {facts.bias:+.2f}"
    drawing.text(x, y, words, 12, "start", bold=True)
    drawing.text(x, y + 38, "blue: the window, slid to where the query reads", 11, "start", GREY)
    drawing.text(x, y + 19, f"bias from {low:+.2f}", 11, "start", GREY)
    for step, colour in enumerate(shades("cividis", torch.linspace(0, 1, 12)[None])[0]):
        drawing.rect(x + 92 + 6 * step, y + 13, 6, 12, colour)
    drawing.text(x + 170, y + 19, f"to {high:+.2f}", 11, "start", GREY)


def _signed(number: int) -> str:
    return f"{number:+d}" if number else "0"


def _caption(facts, Mh, Mw, query, key, head) -> str:
    """The present state in sentences."""
    (dy, dx), (row, column), (rows, columns) = facts.offset, facts.place, facts.size
    sharing, pairs, numbers = int(facts.same.sum()), facts.index.numel(), rows * columns
    offset = (
        f"offset ({_signed(dy)}, {_signed(dx)})"
        if query != key
        else "offset (0, 0): the token itself"
    )
    share = (
        f"{sharing} of {pairs} pairs share it" if sharing > 1 else f"only 1 of {pairs} pairs has it"
    )
    return (
        f"Window of {Mh} x {Mw} tokens: query {query} at {facts.places[0]}, key {key} at "
        f"{facts.places[1]}, {offset}. "
        f"Row {row} and column {column} of a table of {rows} x {columns} make number "
        f"{row} · {columns} + {column} = {facts.number}, one of {numbers}; {share}. "
        f"Head {head} adds {facts.bias:+.2f} to their scores."
    )


class PositionExplorer(Explorer):
    """Relative positions under your hand: choose two tokens, and see the number they look up.

    Args:
        window_size: M, or (Mh, Mw), in tokens.
        table: ``((2*Mh - 1) * (2*Mw - 1), num_heads)`` of biases, such as a trained block's
            `relative_position_bias_table`; it fixes the window size, which may be left out if it is
            square. Default: random numbers from a fixed seed, made for every window size.
        **state: window_rows, window_columns, query, key, head (see `draw_relative_position`).

    Raises:
        ValueError: a table that does not fit the window.
    """

    draw = staticmethod(draw_relative_position)

    def __init__(
        self,
        window_size: int | tuple[int, int] | None = None,
        table: Tensor | None = None,
        **state,
    ):
        if isinstance(window_size, int):
            window_size = (window_size, window_size)
        if window_size is None and table is not None:
            M = (isqrt(len(table)) + 1) // 2  # (2M - 1)^2 rows
            window_size = (state.get("window_rows", M), state.get("window_columns", M))
        if window_size is not None:
            size = {"window_rows": window_size[0], "window_columns": window_size[1]}
            state = size | {name: value for name, value in state.items() if name not in size}
        if table is not None:
            rows = (2 * window_size[0] - 1) * (2 * window_size[1] - 1)
            if table.ndim != 2 or len(table) != rows or max(window_size) > LARGEST_GIVEN:
                raise ValueError(
                    f"table must be ({rows}, num_heads) for a window of {window_size[0]} x "
                    f"{window_size[1]}, at most {LARGEST_GIVEN} a side, got {tuple(table.shape)}"
                )
            table = table.detach().float().cpu()
        self.table, self.table_window = table, window_size
        super().__init__(**state)

    def controls(self):
        if self.table is None:
            Mh, Mw, heads = 4, 4, HEADS
            sides = (1, LARGEST_WINDOW), (1, LARGEST_WINDOW)
        else:
            (Mh, Mw), heads = self.table_window, self.table.shape[1]
            sides = (Mh, Mh), (Mw, Mw)
        last = Mh * Mw - 1
        return {
            "window_rows": Number("rows Mh", Mh, *sides[0], rare=True),
            "window_columns": Number("columns Mw", Mw, *sides[1], rare=True),
            "query": Number("query i", min(9, last), 0, last),
            "key": Number("key j", min(3, last), 0, last),
            "head": Number("head", 0, 0, heads - 1),
        }

    def bounds(self, window_rows, window_columns, **others):
        last = window_rows * window_columns - 1
        return {"query": (0, last), "key": (0, last)}

    def picture(self, state):
        return draw_relative_position(**state, table=self.table)
