"""The fingerprints' explorer, against maps made up for it."""

import pytest
import torch

pytest.importorskip("ipywidgets")

from drawing_reader import assert_on_the_page, cells, fill_at  # noqa: E402
from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib.lab.fingerprints import (  # noqa: E402
    PLACES,
    SIDE,
    VARIANTS,
    by_place,
    make_model,
    places,
    token_scores,
)
from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets.fingerprints import (  # noqa: E402
    BEYOND,
    CELL,
    LEFT,
    NOWHERE,
    TOP,
    FingerprintExplorer,
    draw_fingerprint,
    where_they_meet,
)

torch.manual_seed(0)
SHARES = {name: torch.rand(3, SIDE, SIDE) for name in VARIANTS}


@pytest.mark.parametrize("name", VARIANTS)
def test_who_meets_whom(name):
    """Only walls without a shifted window over them keep neighbours apart."""
    apart = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    for row in range(SIDE):
        for column in range(SIDE):
            meet = where_they_meet(VARIANTS[name], row, column)
            beyond = [row == 0, row == SIDE - 1, column == 0, column == SIDE - 1]
            assert [where == BEYOND for where in meet.values()] == beyond
            apart[row, column] = NOWHERE in meet.values()
    if name == "other_mask":  # what its gradients see must be what the words say
        assert torch.equal(apart, unseen_neighbours(VARIANTS[name]))
        assert apart.any() and not apart.all()
        return
    middle = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    middle[[7, 8]], middle[:, [7, 8]] = True, True
    walled = {"shift": places() == 1, "one_block": places() == 1, "merging": middle}
    assert torch.equal(apart, walled.get(name, torch.zeros_like(apart)))


def unseen_neighbours(variant):
    """Tokens of which a neighbour on the map does not change the scores."""
    model, unseen = make_model(variant), torch.zeros(SIDE, SIDE, dtype=torch.bool)
    maps = torch.rand(1, 1, SIDE, SIDE, requires_grad=True)
    scores = token_scores(model, maps)
    for row in range(SIDE):
        for column in range(SIDE):
            (grad,) = torch.autograd.grad(scores[0, 0, row, column], maps, retain_graph=True)
            around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            on_map = [(r, c) for r, c in around if 0 <= r < SIDE and 0 <= c < SIDE]
            unseen[row, column] = any(abs(grad[0, 0, r, c]) < 1e-12 for r, c in on_map)
    return unseen


def test_across_a_wall_they_meet_in_a_shifted_window():
    assert where_they_meet(VARIANTS["whole"], 3, 1) == {
        "above": "a window",
        "below": "a shifted window",
        "left": "a window",
        "right": "a window",
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_the_picture(name):
    drawing = draw_fingerprint(SHARES, name, 3, 15)
    check_svg(drawing)
    assert_on_the_page(drawing)
    written = " ".join(texts(drawing))
    assert VARIANTS[name].title in written
    for share in [*by_place(SHARES[name].mean(0)).values(), *SHARES[name][:, 3, 15].tolist()]:
        assert f"{share:.2f}" in written
    assert PLACES[int(places()[3, 15])] in written
    frame = rects(drawing, stroke=ACCENT)[-1]
    assert (frame["x"], frame["y"]) == (LEFT + 15 * CELL, TOP + 3 * CELL)
    dashed = [s for kind, s in drawing.shapes if kind == "line" and s["dash"]]
    assert bool(dashed) == VARIANTS[name].shifts


def test_brighter_is_better():
    rising = torch.linspace(0, 1, SIDE * SIDE).view(1, SIDE, SIDE)
    drawing = draw_fingerprint({"whole": rising}, "whole", 0, 0)
    fills = sum(cells(fill_at, drawing, LEFT, TOP, CELL, SIDE, SIDE), [])
    lightness = [sum(int(fill[i : i + 2], 16) for i in (1, 3, 5)) for fill in fills]
    assert lightness[0] < lightness[128] < lightness[-1]


def test_the_widget(tmp_path):
    move = {"missing": "mask", "row": 0, "column": 9}
    check_widget(FingerprintExplorer(SHARES), move, tmp_path, {"shares"})
    with pytest.raises(ValueError, match="shares"):
        FingerprintExplorer({})


def test_any_state_can_be_drawn():
    check_states(FingerprintExplorer(SHARES), 8)


@pytest.mark.clock
def test_fast_enough():
    check_time("fingerprints", lambda: draw_fingerprint(SHARES, "whole", 3, 4).svg())
