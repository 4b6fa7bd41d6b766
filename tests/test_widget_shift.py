"""Lesson 04's explorer against moved windows in loops, without a roll and without a mask."""

import base64
import random
import re
from pathlib import Path

import pytest
import torch

pytest.importorskip("ipywidgets")

from drawing_reader import (  # noqa: E402
    assert_on_the_page,
    cells,
    fill_at,
    label,
    text_at,
)
from oracles import effective_shift, irregular_windows, padded_size  # noqa: E402
from widget_checks import check_states, check_svg, check_time, check_widget  # noqa: E402

from nbcompare import TOLERANCE, decode, thumbnail_distance
from swinlib import (  # noqa: E402
    MultiHeadSelfAttention,
    cyclic_shift,
    shifted_window_mask,
    window_partition,
    window_reverse,
)
from swinlib.lab import setup  # noqa: E402
from swinlib.lab.style import ACCENT, ATTENDS, MASKED  # noqa: E402
from swinlib.lab.widgets.shift import (  # noqa: E402
    GAP,
    PADDING,
    PANEL,
    STEPS,
    TOP,
    ShiftedWindows,
    ShiftMaskExplorer,
    draw_shift_mask,
)

# height, width, M, (rows, columns) of the shift, window, query
SETTINGS = [
    (8, 8, 4, (2, 2), 3, 0),
    (8, 12, 4, (2, 1), 5, 15),
    (8, 8, 4, (0, 0), 2, 7),
    (9, 13, 4, (3, 1), 11, 15),  # padded
    (7, 7, 7, (3, 3), 0, 24),  # one window
    (4, 16, 4, (2, 2), 3, 5),  # one window along the rows
    (1, 1, 1, (0, 0), 0, 0),
    (1, 1, 8, (4, 4), 0, 63),  # a padding token asks
    (5, 3, 2, (1, 0), 4, 3),
    (16, 16, 8, (4, 4), 3, 0),
    (16, 16, 1, (0, 0), 255, 0),
]


def by_hand(height, width, M, shift, window, query):
    """What the picture should say, place by place: a dict."""
    H, W = padded_size(height, width, (M, M))
    sh, sw = effective_shift(H, W, (M, M), shift)
    number = {
        (i, j): i * width + j if i < height and j < width else -1
        for i in range(H)
        for j in range(W)
    }
    pieces = irregular_windows(H, W, (M, M), (sh, sw))
    piece_of = {place: n for n, piece in enumerate(pieces) for place in piece}
    row, column = divmod(window, W // M)
    # The rolled window's places, each where its token really is.
    places = [
        ((row * M + i + sh) % H, (column * M + j + sw) % W) for i in range(M) for j in range(M)
    ]
    seen = [p for p in places if piece_of[p] == piece_of[places[query]]]
    alone = [set(piece) for piece in pieces if len(piece) == M * M]
    return {
        "size": (H, W),
        "number": number,
        "rolled": {p: number[(p[0] + sh) % H, (p[1] + sw) % W] for p in number},
        "pieces": pieces,
        "places": places,
        "mask": [[piece_of[a] != piece_of[b] for b in places] for a in places],
        "query": places[query],
        "seen": seen,
        "changed": {p for p in number if number[p] >= 0 and not any(p in a for a in alone)},
    }


def panels(H, W):
    """The corners of the first two grids and the side of their cells."""
    return (8, TOP), (8 + PANEL + GAP, TOP), PANEL / max(H, W)


@pytest.mark.parametrize(("height", "width", "M", "shift", "window", "query"), SETTINGS)
def test_the_picture_says_what_the_loops_say(height, width, M, shift, window, query):
    hand = by_hand(height, width, M, shift, window, query)
    H, W = hand["size"]
    drawing = draw_shift_mask(height, width, M, *shift, window, query)
    check_svg(drawing)
    assert_on_the_page(drawing)
    left, middle, cell = panels(H, W)

    written = cells(text_at, drawing, *left, cell, H, W)
    assert written == [[label(hand["number"][i, j]) for j in range(W)] for i in range(H)]

    # Strong colours are what the query may see, before the roll and after it.
    before = draw_shift_mask(height, width, M, *shift, window, query, step=5)
    strong = cells(fill_at, before, *left, cell, H, W)
    shown = cells(fill_at, drawing, *left, cell, H, W)
    for (i, j), number in hand["number"].items():
        if number < 0:
            assert shown[i][j] == PADDING
        else:
            assert (shown[i][j] == strong[i][j]) == ((i, j) in hand["seen"])

    # Region ids, in corners: in a window two are equal exactly if the tokens are of one piece.
    corner = middle[0] - 0.36 * cell, middle[1] - 0.31 * cell
    ids = cells(text_at, drawing, *corner, cell, H, W)
    row, column = (M * n for n in divmod(window, W // M))
    own = [ids[row + i][column + j] for i in range(M) for j in range(M)]
    assert [[a != b for b in own] for a in own] == hand["mask"]

    # The mask, and the query's row in it.
    N, right = M * M, 8 + 2 * (PANEL + GAP) + 14
    small = (PANEL - 14) / N
    dark = [[MASKED if masked else ATTENDS for masked in line] for line in hand["mask"]]
    assert cells(fill_at, drawing, right, TOP + 14, small, N, N) == dark
    rows = [s for kind, s in drawing.shapes if kind == "rect" and s["stroke"] == ACCENT]
    rows = [s for s in rows if s["fill"] == "none"]  # no handles
    assert rows[-1]["y"] == pytest.approx(TOP + 14 + query * small)
    assert (rows[-1]["x"], rows[-1]["height"]) == (right, small)
    # The query's own frames: on the map, and on the rolled map in its window.
    (i, j), frames = hand["query"], [(s["x"], s["y"]) for s in rows[:2]]
    assert frames[0] == pytest.approx((left[0] + j * cell, left[1] + i * cell))
    i, j = row + query // M, column + query % M
    assert frames[1] == pytest.approx((middle[0] + j * cell, middle[1] + i * cell))


@pytest.mark.parametrize(("height", "width", "M", "shift", "window", "query"), SETTINGS)
def test_the_caption_counts(height, width, M, shift, window, query):
    hand = by_hand(height, width, M, shift, window, query)
    H, W = hand["size"]
    caption = draw_shift_mask(height, width, M, *shift, window, query, 7, True).caption
    assert caption.startswith(f"{height * width} token")
    assert (f"padded to {H} x {W}" in caption) == ((H, W) != (height, width))
    assert f"windows of {M} x {M}" in caption
    pieces, windows = len(hand["pieces"]), H * W // M**2
    assert re.search(rf"\b{pieces} moved windows? in {windows} windows?\b", caption)
    masked = sum(map(sum, hand["mask"]))
    assert f"Window {window} masks {masked} of {M**4} pairs" in caption
    number = hand["number"][hand["query"]]
    token = f"token {number}" if number >= 0 else "a padding token"
    assert f"its query {query} is {token} of region" in caption
    assert f"may see {len(hand['seen'])} of {M * M} tokens" in caption
    padding = sum(hand["number"][p] < 0 for p in hand["seen"])
    assert (f"{padding} of them padding" in caption) == (padding > 0)
    assert f"Without the mask {len(hand['changed'])} of {height * width} token" in caption
    assert ("nothing is shifted" in caption) == (M > 1 and M in (H, W))
    sh, sw = effective_shift(H, W, (M, M), shift)
    assert f"shifted by {sh} row{'s' * (sh != 1)} and {sw} column{'s' * (sw != 1)}:" in caption
    assert "1 columns" not in caption and "1 rows" not in caption


@pytest.mark.parametrize(("height", "width", "M", "shift", "window", "query"), SETTINGS)
def test_without_the_mask_these_tokens_change(height, width, M, shift, window, query):
    hand = by_hand(height, width, M, shift, window, query)
    H, W = hand["size"]
    left, _, cell = panels(H, W)
    drawing = draw_shift_mask(height, width, M, *shift, window, query, without_mask=True)
    written = cells(text_at, drawing, *left, cell, H, W)
    marked = {(i, j) for i, j in hand["number"] if written[i][j] == "≠"}
    assert marked == hand["changed"]

    # And real attention agrees.
    torch.manual_seed(0)
    msa = MultiHeadSelfAttention(8, 2).requires_grad_(False)
    x = torch.randn(1, H, W, 8)
    shift = effective_shift(H, W, (M, M), shift)
    windows = window_partition(cyclic_shift(x, shift), M).flatten(1, 2)
    out = [msa(windows, bias) for bias in (shifted_window_mask(H, W, M, shift)[:, None], None)]
    moved = [window_reverse(o.unflatten(1, (M, M)), M, H, W) for o in out]
    differ = torch.roll((moved[0] - moved[1]).abs().amax(-1)[0] > 1e-5, shift, (0, 1))
    differ[height:], differ[:, width:] = False, False
    assert {tuple(p) for p in differ.nonzero().tolist()} == hand["changed"]


def test_the_facts_of_the_lesson():
    shares = [
        re.search(r"\((\d+)%\)", draw_shift_mask(window=window).caption)[1] for window in range(4)
    ]
    assert shares == ["0", "50", "50", "75"]
    assert "48 of 64 tokens (marked ≠)" in draw_shift_mask(without_mask=True).caption
    assert "is token 54 of region 4 and may see 4 of 16 tokens" in draw_shift_mask().caption


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_the_steps(step):
    height, width, M, shift, window, query = 8, 12, 4, (2, 1), 5, 6
    hand = by_hand(height, width, M, shift, window, query)
    drawing = draw_shift_mask(height, width, M, *shift, window, query, step)
    check_svg(drawing)
    left, middle, cell = panels(8, 12)
    fills = {colour for row in cells(fill_at, drawing, *left, cell, 8, 12) for colour in row}
    assert len(fills) == {1: 1}.get(step, 9)  # no regions yet, or nine
    lines = [s for kind, s in drawing.shapes if kind == "line" and s["line"] > 2]
    first = min(s["y1"] for s in lines if s["x1"] == left[0] and s["y1"] == s["y2"])
    assert first == pytest.approx(TOP + (4 if step == 1 else 2) * cell)

    rolled = cells(text_at, drawing, *middle, cell, 8, 12)
    corner = middle[0] - 0.36 * cell, middle[1] - 0.31 * cell
    ids = {text for row in cells(text_at, drawing, *corner, cell, 8, 12) for text in row}
    assert ids == (set("012345678") if step >= 4 else {None})
    if step < 3:
        assert not any(any(row) for row in rolled)
    else:  # numbers and colours are kept: every token can be followed
        assert rolled == [[label(hand["rolled"][i, j]) for j in range(12)] for i in range(8)]
        before = cells(fill_at, drawing, *left, cell, 8, 12)
        after = cells(fill_at, drawing, *middle, cell, 8, 12)
        if step not in (6,):  # at 6 only the rolled map is faded
            assert all(
                after[i][j] == before[(i + 2) % 8][(j + 1) % 12]
                for i in range(8)
                for j in range(12)
            )
    masked = sum(kind == "rect" and s["fill"] == MASKED for kind, s in drawing.shapes)
    assert (masked > 0) == ("Window 5 masks" in drawing.caption) == (step >= 5)
    assert ("moved window" in drawing.caption) == (step not in (1, 4))
    assert ("9 regions" in drawing.caption) == (step >= 4)


def test_the_regions_are_swinlibs_own():
    facts = ShiftedWindows.compute(8, 8, 4, (2, 2), 3, 0)
    assert facts.regions[0, 0] == 0 and facts.regions[-1, -1] == 8
    assert facts.regions_back[0, 0] == 8  # the trap of the lesson: before the roll it is here
    assert facts.pieces == 9 and facts.mask_ids.tolist()[:4] == [4, 4, 5, 5]


def test_states_of_all_kinds():
    check_states(ShiftMaskExplorer(), 25, sentences=4)


def test_no_setting_is_impossible():
    explorer, chance = ShiftMaskExplorer(), random.Random(0)
    for _ in range(60):  # a slider is dragged to one of its ends
        name = chance.choice([n for n, p in explorer.parts.items() if hasattr(p, "low")])
        part = explorer.parts[name]
        explorer.touch(**{name: chance.choice((part.low, part.high))})
        state = explorer.state
        M, H, W = state["window_size"], state["height"], state["width"]
        assert max(state["shift_rows"], state["shift_columns"]) < M
        assert state["query"] < M * M
        assert state["window"] < -(-H // M) * -(-W // M)
    explorer.set(window_size=4)
    with pytest.raises(ValueError, match="shift_rows must be a whole number from 0 to 3, got 4"):
        explorer.set(shift_rows=4)


def test_the_widget(tmp_path):
    move = {"height": 9, "width": 13, "shift_columns": 1, "window": 11, "query": 15, "step": 6}
    check_widget(ShiftMaskExplorer(), move | {"without_mask": True}, tmp_path)
    explorer = ShiftMaskExplorer(height=8, width=12, window_size=4, shift_size=(2, 1))
    assert (explorer.state["shift_rows"], explorer.state["shift_columns"]) == (2, 1)
    assert ShiftMaskExplorer(shift_size=3).state["shift_columns"] == 3
    assert ShiftMaskExplorer(**explorer.state).state == explorer.state


@pytest.mark.clock
def test_fast_enough():
    largest = {"height": 16, "width": 16, "window_size": 8, "shift_rows": 4, "shift_columns": 4}
    for name, more in {
        "largest": {"without_mask": True},
        "odd": {"window_size": 7, "query": 48},
    }.items():
        state = largest | more
        check_time(f"04 shift and mask, {name}", lambda state=state: draw_shift_mask(**state).svg())


def test_the_readme_shows_what_make_picture_draws(tmp_path):
    root = Path(__file__).parent.parent
    (call,) = re.findall(r"^EXPLORER = (.+)$", (root / "Makefile").read_text(), re.MULTILINE)
    setup()
    eval(call, {"ShiftMaskExplorer": ShiftMaskExplorer}).save(tmp_path / "fresh.png")
    files = root / "data" / "shift_mask_explorer.png", tmp_path / "fresh.png"
    stored, fresh = (decode(base64.b64encode(file.read_bytes()).decode()) for file in files)
    assert stored.size == fresh.size
    assert thumbnail_distance(stored, fresh) <= TOLERANCE
