"""Lesson 03's explorer against maps cut in loops and counted products."""

import re

import pytest

pytest.importorskip("ipywidgets")

from drawing_reader import (  # noqa: E402
    assert_on_the_page,
    cells,
    fill_at,
    label,
    text_at,
)
from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib.lab.drawing import short  # noqa: E402
from swinlib.lab.style import ACCENT, CALM  # noqa: E402
from swinlib.lab.widgets.windows import (  # noqa: E402
    GAP,
    LEFT,
    PADDING,
    PANEL,
    READABLE,
    TOP,
    CutMap,
    WindowExplorer,
    draw_windows,
)

# height, width, M, window
SETTINGS = [
    (8, 12, 4, 1),
    (4, 6, 2, 5),
    (9, 13, 4, 11),  # padded
    (7, 7, 7, 0),  # one window
    (16, 15, 7, 8),
    (1, 1, 14, 0),
    (1, 20, 2, 9),
    (56, 56, 7, 20),
    (56, 56, 2, 783),
    (55, 56, 3, 360),
    (56, 9, 14, 3),
    (3, 56, 2, 20),
]


def by_hand(height, width, M):
    """(padded size, windows of tokens' numbers, the window that every place is in), by loops."""
    H, W = -(-height // M) * M, -(-width // M) * M
    windows, window_of = [], {}
    for top in range(0, H, M):
        for left in range(0, W, M):
            places = [(top + i, left + j) for i in range(M) for j in range(M)]
            window_of |= {place: len(windows) for place in places}
            windows.append([i * width + j if i < height and j < width else -1 for i, j in places])
    return (H, W), windows, window_of


@pytest.mark.parametrize(("height", "width", "M", "window"), SETTINGS)
def test_the_facts_are_those_of_the_loops(height, width, M, window):
    (H, W), windows, window_of = by_hand(height, width, M)
    facts = CutMap.compute(height, width, M)
    assert facts.windows.flatten(1).tolist() == windows
    assert facts.numbers.shape == (H, W)
    assert all(facts.window_of[place] == number for place, number in window_of.items())

    # Everybody meets everybody, or those of the same window: 2C multiply-adds each time, and
    # 4C² for every token's projections.
    C, N, padded = 96, height * width, H * W
    assert facts.pairs == (N * N, sum(len(w) ** 2 for w in windows))
    assert facts.flops[0] == 4 * N * C * C + 2 * C * facts.pairs[0]
    assert facts.flops[1] == 4 * padded * C * C + 2 * C * facts.pairs[1]


@pytest.mark.parametrize(("height", "width", "M", "window"), SETTINGS)
def test_the_map(height, width, M, window):
    (H, W), windows, window_of = by_hand(height, width, M)
    drawing = draw_windows(height, width, M, window)
    check_svg(drawing)
    assert_on_the_page(drawing)
    cell = PANEL / max(H, W)
    fills = cells(fill_at, drawing, LEFT, TOP, cell, H, W)
    for (i, j), number in window_of.items():
        assert (fills[i][j] == PADDING) == (i >= height or j >= width)
        if j + 1 < width:  # a wall is where the colour changes
            assert (fills[i][j] != fills[i][j + 1]) == (
                number != window_of[i, j + 1]
            ) or i >= height
        if i + 1 < height:
            assert (fills[i][j] != fills[i + 1][j]) == (number != window_of[i + 1, j]) or j >= width

    if cell >= READABLE:
        written = cells(text_at, drawing, LEFT, TOP, cell, H, W)
        wanted = [
            [label(i * width + j if i < height and j < width else -1) for j in range(W)]
            for i in range(H)
        ]
        assert written == wanted
    elif M * cell >= READABLE:
        written = cells(text_at, drawing, LEFT, TOP, M * cell, H // M, W // M)
        assert sum(written, []) == [str(number) for number in range(len(windows))]

    frame = rects(drawing, stroke=ACCENT)[0]
    row, column = divmod(window, W // M)
    assert (frame["x"], frame["y"]) == pytest.approx(
        (LEFT + column * M * cell, TOP + row * M * cell)
    )
    assert frame["width"] == frame["height"] == pytest.approx(M * cell)
    dashed = rects(drawing, dash=True)
    assert len(dashed) == ((H, W) != (height, width))
    for s in dashed:
        assert (s["width"], s["height"]) == pytest.approx((width * cell, height * cell))


@pytest.mark.parametrize(("height", "width", "M", "window"), SETTINGS)
def test_the_batch(height, width, M, window):
    _, windows, _ = by_hand(height, width, M)
    drawing = draw_windows(height, width, M, window)
    assert f"window_partition: ({len(windows)}, {M}, {M}, C)" in texts(drawing)

    right = LEFT + PANEL + GAP
    borders = [
        s
        for s in rects(drawing, fill="none")
        if s["x"] >= right and s["stroke"] not in (ACCENT, "#ffffff")
    ]
    assert len(borders) == len(windows)
    side = borders[0]["width"]
    written = [
        s["text"]
        for kind, s in drawing.shapes
        if kind == "text" and s["anchor"] == "middle" and s["x"] > right
    ]
    tokens = [label(number) for numbers in windows for number in numbers]
    names = [str(number) for number in range(len(windows))]
    if len(written) > len(windows):  # the name of each window, then its tokens
        N = M * M
        assert [written[i] for i in range(0, len(written), N + 1)] == names
        assert [text for i, text in enumerate(written) if i % (N + 1)] == tokens
    else:
        assert written in (names, [])
    assert (len(written) > len(windows)) == (side / M >= READABLE)
    assert bool(written) == (borders[0]["y"] - TOP > 10)  # room for names above the windows
    bold = [s["text"] for kind, s in drawing.shapes if kind == "text" and s["bold"]]
    assert bold == ([str(window)] if written else [])

    # Real tokens have a colour: the area of every window says how many there are.
    coloured = [s for s in rects(drawing) if s["fill"] not in ("none", PADDING) and s["x"] >= right]
    coloured = [s for s in coloured if s["fill"] not in (ACCENT, CALM)]
    for border, numbers in list(zip(borders, windows, strict=True))[:: max(1, len(windows) // 20)]:
        inside = [
            s["width"] * s["height"]
            for s in coloured
            if border["x"] - 0.01 <= s["x"] < border["x"] + side - 0.01
            and border["y"] - 0.01 <= s["y"] < border["y"] + side - 0.01
        ]
        real = sum(number >= 0 for number in numbers)
        assert sum(inside) == pytest.approx(real * (side / M) ** 2)


@pytest.mark.parametrize(("height", "width", "M", "window"), SETTINGS)
def test_the_price(height, width, M, window):
    drawing = draw_windows(height, width, M, window)
    facts = CutMap.compute(height, width, M)
    for flops, pairs in zip(facts.flops, facts.pairs, strict=True):
        words = f"{short(flops)}, {pairs:,} pair" + ("s" if pairs > 1 else "")
        assert words in texts(drawing)
        y = next(s["y"] for k, s in drawing.shapes if k == "text" and s["text"] == words)
        parts = {
            s["fill"]: s["width"]
            for s in rects(drawing)
            if s["fill"] in (CALM, ACCENT) and s["y"] < y < s["y"] + s["height"]
        }
        scale = 400 / max(facts.flops)
        assert parts[ACCENT] == pytest.approx(scale * 2 * 96 * pairs)
        assert parts[CALM] == pytest.approx(scale * (flops - 2 * 96 * pairs))


@pytest.mark.parametrize(("height", "width", "M", "window"), SETTINGS)
def test_the_caption(height, width, M, window):
    (H, W), windows, _ = by_hand(height, width, M)
    caption = draw_windows(height, width, M, window).caption
    N, real = height * width, [number for number in windows[window] if number >= 0]
    assert caption.startswith(f"{height} x {width} = {N:,} token")
    assert (f"padded to {H} x {W}" in caption) == ((H, W) != (height, width))
    count = f"{len(windows):,} windows" if len(windows) > 1 else "one window"
    assert f"in {count} of {M} x {M}." in caption
    row, column = divmod(window, W // M)
    assert f"Window {window}, in row {row} and column {column} of the windows, holds" in caption
    if len(real) > 1:
        words = f"{len(real)} tokens, the first {real[0]:,} and the last {real[-1]:,}"
    else:
        words = f"token {real[0]:,} alone"
    assert words in caption
    padding = M * M - len(real)
    assert (f"and {padding} of padding" in caption) == (padding > 0)

    everywhere, inside = CutMap.compute(height, width, M).flops
    assert f"takes {short(inside)} multiply-adds in windows and {short(everywhere)}" in caption
    if everywhere > 1.05 * inside:
        times = float(re.search(r"(\S+) times as many", caption)[1])
        assert times == pytest.approx(everywhere / inside, abs=0.06)
    elif inside > 1.06 * everywhere:
        times = float(re.search(r"windows (\S+) times as expensive", caption)[1])
        assert times == pytest.approx(inside / everywhere, rel=0.05)


def test_the_numbers_of_the_lesson():
    assert "64 windows" in draw_windows(56, 56, 7).caption
    assert "13.8 times as many" in draw_windows(56, 56, 7).caption
    assert CutMap.compute(4, 6, 2).windows[3].flatten().tolist() == [12, 13, 18, 19]


def test_states_of_all_kinds():
    check_states(WindowExplorer(), 14)


def test_no_setting_is_impossible():
    explorer = WindowExplorer(height=56, width=56, window_size=2, window=783)
    explorer.touch(window_size=14)
    assert explorer.state["window"] == 15
    explorer.touch(height=1)
    assert explorer.state["window"] == 3
    with pytest.raises(ValueError, match="window must be a whole number from 0 to 3, got 4"):
        explorer.set(window=4)


def test_the_widget(tmp_path):
    move = {"height": 9, "width": 13, "window_size": 5, "window": 3}
    check_widget(WindowExplorer(), move, tmp_path)
    explorer = WindowExplorer(**move)
    assert WindowExplorer(**explorer.state).state == explorer.state == move


@pytest.mark.clock
def test_fast_enough():
    for M in (2, 3, 7):
        check_time(f"03 windows, 56 x 56, M = {M}", lambda M=M: draw_windows(56, 56, M, 5).svg())
