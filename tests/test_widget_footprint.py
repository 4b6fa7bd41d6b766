"""What a token can see: the gradient's answer against windows followed backwards by hand."""

import re

import pytest
import torch

pytest.importorskip("ipywidgets")

from drawing_reader import (  # noqa: E402
    assert_on_the_page,
    cells,
    is_veiled,
)
from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib.lab.style import ACCENT, CALM  # noqa: E402
from swinlib.lab.widgets import footprint as module  # noqa: E402
from swinlib.lab.widgets.footprint import (  # noqa: E402
    CELL,
    DEEPEST,
    LEFT,
    PANEL,
    SIDE,
    TOP,
    FootprintExplorer,
    M,
    View,
    draw_footprint,
    stack,
)

KINDS = [(True, False), (False, False), (True, True), (False, True)]  # shifted, merging
TOKENS = [(9, 10), (0, 0), (31, 31), (17, 31), (0, 15), (16, 16)]


def seen_by_hand(blocks, shifted, merging, row, column):
    """Places (row, column) of the first map that can change the token above (row, column)."""
    sides = [SIDE // 2 ** ((n // 2) if merging else 0) for n in range(blocks)]
    covers = SIDE // sides[-1]
    places = {(row // covers, column // covers)}
    for n in reversed(range(blocks)):
        shift = M // 2 if shifted and n % 2 and sides[n] > M else 0
        windows = {((i - shift) // M, (j - shift) // M) for i, j in places}
        everywhere = [(i, j) for i in range(sides[n]) for j in range(sides[n])]
        places = {(i, j) for i, j in everywhere if ((i - shift) // M, (j - shift) // M) in windows}
        if n and sides[n - 1] > sides[n]:
            places = {(2 * i + a, 2 * j + b) for i, j in places for a in (0, 1) for b in (0, 1)}
    return places


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(("shifted", "merging"), KINDS)
def test_the_gradient_sees_what_the_windows_allow(shifted, merging, token):
    for blocks in range(1, DEEPEST + 1):
        view = View.compute(blocks, shifted, merging, *token)
        wanted = seen_by_hand(blocks, shifted, merging, *token)
        assert {tuple(place) for place in view.seen.nonzero().tolist()} == wanted
        rows, columns = ([place[axis] for place in wanted] for axis in (0, 1))
        assert view.box == (min(rows), max(rows), min(columns), max(columns))
        assert len(wanted) == (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1)


@pytest.mark.parametrize(("shifted", "merging"), KINDS)
def test_far_from_the_threshold(shifted, merging):
    """What is seen has a gradient well above the threshold, what is not one far below."""
    model = stack(shifted, merging)
    for row, column in TOKENS:
        output = model.outputs[-1]
        i, j = (place * output.shape[1] // SIDE for place in (row, column))
        (gradient,) = torch.autograd.grad(output[0, i, j].sum(), model.tokens, retain_graph=True)
        size = gradient[0].abs().sum(-1)
        seen = View.compute(DEEPEST, shifted, merging, row, column).seen
        assert size[seen].min() > 1e-10
        assert seen.all() or size[~seen].max() < 1e-30


def test_the_facts_of_the_lesson():
    sizes = [int(View.compute(n, True, False, 9, 10).seen.sum()) for n in (1, 2, 4)]
    assert sizes == [16, 64, 256]
    assert max(View.compute(2, True, False, row, 10).reach for row in range(SIDE)) == 3 * M // 2 - 1
    assert int(View.compute(2, True, False, 0, 0).seen.sum()) == M * M  # the corner
    assert int(View.compute(DEEPEST, False, False, 9, 10).seen.sum()) == M * M


@pytest.mark.parametrize("blocks", [1, 3, 4, 8])
@pytest.mark.parametrize("token", [(9, 10), (0, 0), (17, 31)])
@pytest.mark.parametrize(("shifted", "merging"), KINDS)
def test_the_picture_says_it(shifted, merging, token, blocks):
    drawing = draw_footprint(blocks, shifted, merging, *token)
    check_svg(drawing)
    assert_on_the_page(drawing)
    wanted = seen_by_hand(blocks, shifted, merging, *token)
    veiled = cells(is_veiled, drawing, LEFT, TOP, CELL, SIDE, SIDE)
    assert {(i, j) for i in range(SIDE) for j in range(SIDE) if not veiled[i][j]} == wanted

    rows, columns = ([place[axis] for place in wanted] for axis in (0, 1))
    frame = rects(drawing, stroke=CALM)[0]
    assert (frame["x"], frame["y"]) == (LEFT + min(columns) * CELL, TOP + min(rows) * CELL)
    side = SIDE // 2 ** ((blocks - 1) // 2 if merging else 0)
    covers = SIDE // side
    frame = rects(drawing, stroke=ACCENT)[0]
    corner = [place // covers * covers for place in token]
    assert (frame["x"], frame["y"]) == (LEFT + corner[1] * CELL, TOP + corner[0] * CELL)
    assert frame["width"] == covers * CELL

    # Lines where windows of the last block meet.
    shift = M // 2 if shifted and blocks % 2 == 0 and side > M else 0
    lines = {s["x1"] - LEFT for kind, s in drawing.shapes if kind == "line" and s["x1"] == s["x2"]}
    cuts = {(shift + n * M) * covers * CELL for n in range(side // M + 1)}
    assert lines == {cut for cut in cuts if 0 < cut < PANEL}

    # A bar for each block.
    for n in range(1, blocks + 1):
        part = seen_by_hand(n, shifted, merging, *token)
        height, width = (
            max(p[axis] for p in part) - min(p[axis] for p in part) + 1 for axis in (0, 1)
        )
        words = f"{len(part):,} = {height} x {width}"
        assert words in texts(drawing)
        assert any(text.startswith(f"{n}: ") for text in texts(drawing))
    assert not any(text.startswith(f"{blocks + 1}: ") for text in texts(drawing))
    moved = sum("moved windows" in text for text in texts(drawing))
    narrow = [SIDE // 2 ** (n // 2 if merging else 0) for n in range(blocks)]
    assert moved == sum(shifted and n % 2 == 1 and narrow[n] > M for n in range(blocks))


@pytest.mark.parametrize("blocks", [1, 2, 5, 8])
@pytest.mark.parametrize(("shifted", "merging"), KINDS)
def test_the_caption(shifted, merging, blocks):
    row, column = 17, 6
    caption = draw_footprint(blocks, shifted, merging, row, column).caption
    wanted = seen_by_hand(blocks, shifted, merging, row, column)
    rows, columns = ([place[axis] for place in wanted] for axis in (0, 1))
    assert caption.startswith(f"After {blocks} block{'s' * (blocks > 1)} with windows of 4 x 4")
    assert f"can see {len(wanted):,} of 1,024 tokens" in caption
    assert f"rows {min(rows)} to {max(rows)}, columns {min(columns)} to {max(columns)}" in caption
    assert ("none shifted" in caption) == (not shifted)
    covers = 2 ** ((blocks - 1) // 2) if merging else 1
    assert (f"covers {covers} x {covers} tokens" in caption) == (covers > 1)
    reach = int(re.search(r"at most (\d+) token", caption)[1])
    top, left = row // covers * covers, column // covers * covers
    assert reach == max(
        top - min(rows),
        max(rows) - (top + covers - 1),
        left - min(columns),
        max(columns) - (left + covers - 1),
    )
    assert ("Nothing is merged yet" in caption) == (merging and blocks <= 2)
    assert ("never sees past its own window" in caption) == (not shifted and not merging)


def test_the_notebook_is_left_as_it_was():
    stack.cache_clear()
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    draw_footprint(2)
    assert torch.equal(torch.rand(3), wanted)
    for mode in (torch.no_grad(), torch.inference_mode()):
        stack.cache_clear()
        module.footprint.cache_clear()
        with mode:
            inside = draw_footprint(3, True, True, 4, 5).svg()
        assert inside == draw_footprint(3, True, True, 4, 5).svg()


def test_every_answer_is_computed_once():
    module.footprint.cache_clear()
    draw_footprint(4)
    draw_footprint(3)
    draw_footprint(4)
    assert module.footprint.cache_info().misses == 4


def test_states_of_all_kinds():
    check_states(FootprintExplorer(), 10)


def test_the_widget(tmp_path):
    move = {"blocks": 5, "shifted": False, "merging": True, "row": 31, "column": 0}
    check_widget(FootprintExplorer(), move, tmp_path)
    explorer = FootprintExplorer(token=(17, 31), blocks=2)
    assert (explorer.state["row"], explorer.state["column"]) == (17, 31)
    assert FootprintExplorer(**explorer.state).state == explorer.state
    with pytest.raises(ValueError, match="blocks must be a whole number from 1 to 8, got 9"):
        explorer.set(blocks=9)


@pytest.mark.clock
def test_fast_enough():
    tokens = iter(range(SIDE))  # always one that nobody asked about before
    module.footprint.cache_clear()
    for shifted, merging in KINDS:
        draw_footprint(1, shifted, merging)
        check_time(
            f"04 footprint, shifted {shifted}, merging {merging}",
            lambda s=shifted, m=merging: draw_footprint(8, s, m, next(tokens), 3).svg(),
        )
