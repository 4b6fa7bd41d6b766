"""The widget of lesson 06, against loops."""

import itertools

import pytest

pytest.importorskip("ipywidgets")

from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets.merging import (  # noqa: E402
    PLACE_FILLS,
    PLACES,
    STEPS,
    TOP,
    Merging,
    MergingExplorer,
    draw_merging,
)

SIZES = [(1, 1), (2, 2), (4, 4), (5, 7), (1, 10), (9, 2), (10, 10)]


def merged_by_hand(height, width, channels):
    """Every merged token's four tokens, as lists of C numbers; None for padding."""
    merged = {}
    for i, j in itertools.product(range(-(-height // 2)), range(-(-width // 2))):
        four = []
        for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):  # down the columns
            y, x = 2 * i + row, 2 * j + column
            inside = y < height and x < width
            n = y * width + x
            four.append([n + 100 * c if inside else None for c in range(channels)])
        merged[i, j] = four
    return merged


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_facts_are_those_of_a_loop(height, width, channels):
    facts = Merging.compute(height, width, channels)
    by_hand = merged_by_hand(height, width, channels)
    h, w = -(-height // 2), -(-width // 2)
    assert facts.merged.shape == (h, w, 4, channels)
    assert facts.numbers.shape == (2 * h, 2 * w)
    for (i, j), four in by_hand.items():
        assert facts.merged[i, j].tolist() == [[-1 if n is None else n for n in t] for t in four]
    for y, x in itertools.product(range(2 * h), range(2 * w)):
        inside = y < height and x < width
        assert facts.numbers[y, x] == (y * width + x if inside else -1)
        assert facts.place[y, x] == y % 2 + 2 * (x % 2)
        assert facts.cell[y, x] == y // 2 * w + x // 2
    assert facts.outputs == 2 * channels


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_drawing_says_what_the_loop_says(height, width, step):
    channels = 1 + (height + width) % 3
    by_hand = merged_by_hand(height, width, channels)
    h, w = -(-height // 2), -(-width // 2)
    token = h * w - 1
    drawing = draw_merging(height, width, channels, token, step)
    check_svg(drawing)
    written, caption = texts(drawing), drawing.caption

    # On the map, in the four grids, and in the merged map: once in each that is drawn.
    panels = 1 + (step >= 3) + (step >= 4)
    counted = sum(text.isdigit() for text in written)
    held = [n for t in by_hand[h - 1, w - 1] for n in t]
    in_strip = 4 * channels if step >= 4 else 0
    zeros = 4 * h * w - height * width  # padding is written as 0 in the merged map
    pads = zeros * ((step >= 2) + (step >= 3))
    assert counted == panels * height * width + in_strip + (zeros if step >= 4 else 0)
    assert written.count("pad") == pads
    dashed = zeros * ((step >= 2) + (step >= 4)) + (held.count(None) if step >= 4 else 0)
    assert len(rects(drawing, dash=True)) == dashed + (step < 3) + (step < 4)  # empty panels
    frames = rects(drawing, stroke=ACCENT)  # on the map, in the four grids, in the merged map
    assert len(frames) == (6 if step >= 4 else 0)
    if frames:
        cell = frames[0]["width"] / 2
        assert frames[0]["x"] == pytest.approx(8 + (2 * w - 2) * cell)
        assert frames[0]["y"] == pytest.approx(TOP + (2 * h - 2) * cell)
    assert ("top left" in " ".join(written)) == (step >= 3)

    assert caption.startswith(f"A map of {height} x {width} tokens, C = {channels}")
    if step >= 2:
        padded = (2 * h, 2 * w) != (height, width)
        assert (f"of zeros to {2 * h} x {2 * w}" in caption) == padded
        assert ("nothing is padded" in caption) == (not padded)
    if step >= 3:
        assert f"four grids of {h} x {w}" in caption
        for k, name in enumerate(PLACES):
            assert f"{k + 1}. {name}" in written
    if step >= 4:
        numbers = ", ".join("0" if n is None else str(n) for n in held)
        assert f"Merged token {token} holds {numbers}" in caption
        missing = held.count(None)
        assert (f"of which {missing} " in caption) == (missing > 0)
    if step >= 5:
        assert f"{height * width * channels} before, {h * w * 2 * channels} after" in caption
        assert f"Linear {4 * channels} to {2 * channels}" in written


def test_the_official_order():
    assert "Merged token 0 holds 0, 4, 1, 5." in draw_merging(4, 4).caption
    fills = [s["fill"] for kind, s in draw_merging(4, 4, step=4).shapes if kind == "rect"]
    strip = [fill for fill in fills if fill in PLACE_FILLS][-4:]
    assert strip == PLACE_FILLS and len(set(strip)) == 4


def test_no_setting_is_impossible():
    widget = MergingExplorer(height=10, width=10, token=24)
    widget.touch(width=3)
    assert widget.state["token"] == widget.parts["token"].high == 9
    widget.touch(height=1)
    assert widget.state["token"] == 1
    check_svg(widget.drawing)


def test_the_widget(tmp_path):
    move = {"step": 4, "height": 5, "width": 7, "channels": 2, "token": 11}
    check_widget(MergingExplorer(), move, tmp_path)


def test_any_state_can_be_drawn():
    check_states(MergingExplorer(), 15)


@pytest.mark.clock
def test_fast_enough():
    check_time("06 merging", lambda: draw_merging(10, 10, 3, 24).svg())
