"""Lesson 01's explorer against pictures cut in loops."""

import re

import pytest
import torch

pytest.importorskip("ipywidgets")

from drawing_reader import (  # noqa: E402
    assert_on_the_page,
    cells,
    fill_at,
    text_at,
)
from widget_checks import check_states, check_svg, check_time, check_widget, texts  # noqa: E402

from swinlib import PatchEmbed  # noqa: E402
from swinlib.lab.drawing import hex_colour, short  # noqa: E402
from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets.patches import (  # noqa: E402
    CHANNELS,
    GAP,
    LEFT,
    PICTURE,
    PICTURES,
    RIGHT,
    SIDE,
    TOP,
    OnePatch,
    PatchExplorer,
    draw_patches,
    grid_of,
    picture_named,
)

SETTINGS = [
    ("photograph", 4, 53, 44),
    ("photograph", 1, 255, 223),
    ("photograph", 32, 0, 6),
    ("photograph", 31, 8, 7),  # padded on both sides
    ("odd size", 4, 56, 47),
    ("odd size", 5, 20, 20),
    ("odd size", 32, 7, 5),
    ("chessboard", 4, 3, 2),
    ("chessboard", 7, 4, 3),
    ("chessboard", 8, 3, 2),
    ("chessboard", 3, 0, 0),
]


def vector_by_hand(picture, P, row, column):
    """The patch's numbers, channel by channel and row by row; 0 outside the picture."""
    image = picture_named(picture)
    H, W = image.shape[1:]
    return [
        image[c, i, j].item() if i < H and j < W else 0.0
        for c in range(3)
        for i in range(row * P, (row + 1) * P)
        for j in range(column * P, (column + 1) * P)
    ]


def hundredths(value):
    return "0" if value == 0 else f"{value:.2f}".removeprefix("0") if value < 0.995 else "1.0"


@pytest.mark.parametrize(("picture", "P", "row", "column"), SETTINGS)
def test_the_facts_are_those_of_the_loop(picture, P, row, column):
    facts = OnePatch.compute(picture, P, row, column)
    assert facts.vector.tolist() == vector_by_hand(picture, P, row, column)
    assert facts.pixels.flatten().tolist() == facts.vector.tolist()
    (H, W), _ = PICTURES[picture]
    assert facts.grid == (-(-H // P), -(-W // P)) == grid_of(H, W, P)
    embedded = PatchEmbed(P, embed_dim=8).requires_grad_(False)(picture_named(picture)[None])
    assert embedded.shape == (1, *facts.grid, 8)


@pytest.mark.parametrize(("picture", "P", "row", "column"), SETTINGS)
def test_the_picture_says_what_the_loop_says(picture, P, row, column):
    drawing = draw_patches(picture, P, row, column)
    check_svg(drawing)
    assert_on_the_page(drawing)
    vector = torch.tensor(vector_by_hand(picture, P, row, column))
    (H, W), largest = PICTURES[picture]
    h, w = -(-H // P), -(-W // P)
    written = texts(drawing)
    assert f"{h} x {w} patches of {P} x {P}" in written
    assert f"as a vector of {3 * P * P:,} numbers" in written

    # The frame around the patch, the padding beneath the picture.
    cell = P * PICTURE / (H + largest - 1)
    frames = [s for kind, s in drawing.shapes if kind == "rect" and s["stroke"] == ACCENT]
    middle = frames[0]["x"] + frames[0]["width"] / 2, frames[0]["y"] + frames[0]["height"] / 2
    assert middle == pytest.approx((LEFT + (column + 0.5) * cell, TOP + (row + 0.5) * cell))
    black = [s for kind, s in drawing.shapes if kind == "rect" and s["fill"] == "#000000"]
    assert len(black) == ((h * P, w * P) != (H, W))
    assert any(f"to {h * P} x {w * P} pixels" in text for text in written) == bool(black)
    if black:
        assert (black[0]["width"], black[0]["height"]) == pytest.approx((w * cell, h * cell))
    images = [s for kind, s in drawing.shapes if kind == "image"]
    assert images[0]["pixels"] is picture_named(picture)
    assert images[1]["pixels"].flatten().tolist() == vector.tolist()

    # Every channel's numbers, as a square and as a part of the vector.
    for number, (name, colour) in enumerate(CHANNELS.items()):
        values = vector[number * P * P : (number + 1) * P * P].tolist()
        if P <= 8:
            x, cell = RIGHT + (number + 1) * (SIDE + GAP), SIDE / P
            read = cells(fill_at, drawing, x, TOP, cell, P, P)
            assert sum(read, []) == [hex_colour(colour, round(value, 2)) for value in values]
        if P <= 7:
            read = sum(cells(text_at, drawing, x, TOP, cell, P, P), [])
            assert read == [hundredths(value) for value in values]
        if P <= 5:
            assert all(written.count(hundredths(value)) >= 2 for value in values)
        first, last = number * P * P, (number + 1) * P * P - 1
        assert f"{name}, {first}" + (f" to {last}" if last > first else "") in written


@pytest.mark.parametrize(("picture", "P", "row", "column"), SETTINGS)
def test_the_prices(picture, P, row, column):
    drawing = draw_patches(picture, P, row, column)
    (H, W), largest = PICTURES[picture]
    lines = {}  # by their height on the page
    for kind, s in drawing.shapes:
        if kind == "text" and s["anchor"] == "end" and s["x"] > RIGHT:
            lines.setdefault(s["y"], []).append(s)
    header, *lines = [lines[y] for y in sorted(lines)]
    assert [s["text"] for s in header] == ["P", "tokens", "pairs", "multiply-adds"]
    sizes = sorted({P} | {n for n in (1, 2, 4, 8, 16, 32) if n <= largest})
    assert [line[0]["text"] for line in lines] == [str(size) for size in sizes]
    for size, line in zip(sizes, lines, strict=True):
        N, C = -(-H // size) * -(-W // size), 96
        cost = 4 * N * C**2 + 2 * N**2 * C
        assert [s["text"] for s in line[1:]] == [f"{N:,}", f"{N * N:,}", short(cost)]
        assert {s["bold"] for s in line} == {size == P}


@pytest.mark.parametrize(("picture", "P", "row", "column"), SETTINGS)
def test_the_caption(picture, P, row, column):
    caption = draw_patches(picture, P, row, column).caption
    (H, W), _ = PICTURES[picture]
    h, w = -(-H // P), -(-W // P)
    assert caption.startswith(f"{H} x {W} pixels")
    assert (f"padded to {h * P} x {w * P}" in caption) == ((h * P, w * P) != (H, W))
    assert f"{h} x {w} = {h * w:,} tokens of {3 * P * P:,} numbers" in caption
    vector = vector_by_hand(picture, P, row, column)
    means = [sum(vector[c * P * P : (c + 1) * P * P]) / P**2 for c in range(3)]
    said = re.search(r"mean red (\S+), green (\S+) and blue (\d\.\d+)", caption).groups()
    assert [float(number) for number in said] == pytest.approx(means, abs=0.006)
    assert f"there are {(h * w) ** 2:,} pairs" in caption
    assert f"takes {short(4 * h * w * 96**2 + 2 * (h * w) ** 2 * 96)} multiply-adds" in caption


def test_patches_that_are_alike():
    assert "23 other patches have" in draw_patches("chessboard", 4, 3, 2).caption
    assert "11 other patches have" in draw_patches("chessboard", 8, 0, 0).caption
    board = [tuple(vector_by_hand("chessboard", 3, i, j)) for i in range(11) for j in range(8)]
    for i, j in ((0, 0), (10, 7), (5, 3)):
        others = board.count(board[8 * i + j]) - 1
        caption = draw_patches("chessboard", 3, i, j).caption
        assert f"{others} other patch" in caption if others else "other patch" not in caption
    assert "other patch" not in draw_patches().caption


def test_states_of_all_kinds():
    check_states(PatchExplorer(), 16, sentences=4)


def test_no_setting_is_impossible():
    explorer = PatchExplorer(patch_size=1, patch=(255, 223))
    explorer.touch(patch_size=32)
    assert (explorer.state["row"], explorer.state["column"]) == (7, 6)
    explorer.touch(picture="chessboard")
    assert explorer.state == {"picture": "chessboard", "patch_size": 8, "row": 3, "column": 2}
    explorer.touch(picture="odd size")
    assert explorer.parts["patch_size"].high == 32
    with pytest.raises(ValueError, match="row must be a whole number from 0 to 28, got 29"):
        explorer.set(row=29)


def test_the_widget(tmp_path):
    move = {"picture": "odd size", "patch_size": 5, "row": 20, "column": 37}
    check_widget(PatchExplorer(), move, tmp_path)
    explorer = PatchExplorer(picture="chessboard", patch=(3, 2))
    assert (explorer.state["row"], explorer.state["column"]) == (3, 2)
    assert PatchExplorer(**explorer.state).state == explorer.state


@pytest.mark.clock
def test_fast_enough():
    for P in (1, 4, 5, 31):
        check_time(f"01 patches, P = {P}", lambda P=P: draw_patches("photograph", P, 3, 3).svg())
