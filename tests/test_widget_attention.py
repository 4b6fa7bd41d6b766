"""Lesson 02's explorer against softmaxes of distances, written out."""

import re
from math import exp, log

import pytest
import torch

pytest.importorskip("ipywidgets")

from drawing_reader import (  # noqa: E402
    assert_on_the_page,
    cells,
    fill_at,
    text_at,
)
from matplotlib import colormaps  # noqa: E402
from widget_checks import check_states, check_svg, check_time, check_widget, texts  # noqa: E402

from swinlib.lab import photograph  # noqa: E402
from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets import attention as module  # noqa: E402
from swinlib.lab.widgets.attention import (  # noqa: E402
    CELL,
    COLUMNS,
    GAP,
    HEADS,
    LEFT,
    LISTED,
    ROWS,
    TEMPERATURES,
    TOP,
    AttentionExplorer,
    OneQuery,
    draw_attention,
    hand_made_heads,
)

SETTINGS = [
    (10, 9, "colour", 1.0),
    (17, 13, "colour", 0.1),
    (17, 13, "opposite", 1.0),
    (0, 19, "place", 1.0),
    (23, 0, "place", 10.0),
    (23, 19, "opposite", 10.0),
    (0, 0, "opposite", 0.1),
    (12, 7, "colour", 4.0),
]
MIDDLE = LEFT + COLUMNS * CELL + GAP  # where the map begins


def patches():
    """(ROWS, COLUMNS, 3, 4, 4) of float64, cut with a loop."""
    photo = photograph(96, 80).double()
    rows = [
        torch.stack([photo[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] for j in range(COLUMNS)])
        for i in range(ROWS)
    ]
    return torch.stack(rows)


def weights_by_hand(row, column, head, temperature):
    """(ROWS, COLUMNS): the lesson's three heads, from their descriptions."""
    colour = patches().mean((-2, -1))  # (ROWS, COLUMNS, 3)
    brightness = colour.mean(-1)
    contrast = (brightness - brightness.mean()) / brightness.std()
    scores = torch.empty(ROWS, COLUMNS, dtype=torch.float64)
    for i in range(ROWS):
        for j in range(COLUMNS):
            if head == "colour":
                distance = (colour[i, j] - colour[row, column]).norm() / 0.08
                scores[i, j] = -(distance**2) / 2
            elif head == "place":
                scores[i, j] = -((i - row) ** 2 + (j - column) ** 2) / 1.5**2 / 2
            else:
                scores[i, j] = -2 * contrast[row, column] * contrast[i, j]
    return (scores / temperature).flatten().softmax(0).view(ROWS, COLUMNS)


@pytest.mark.parametrize(("row", "column", "head", "temperature"), SETTINGS)
def test_weights_entropy_and_what_it_gets(row, column, head, temperature):
    wanted = weights_by_hand(row, column, head, temperature)
    facts = OneQuery.compute(row, column, head, temperature)
    assert facts.weights.sum().item() == pytest.approx(1, abs=1e-5)
    # Scores of distances lose a little to float32, more at low temperature.
    assert (facts.weights - wanted).abs().max() < 2e-3 * wanted.max()
    entropy = -sum(w * log(w) for w in wanted.flatten().tolist() if w > 0)
    assert facts.entropy == pytest.approx(entropy, abs=5e-3)
    mixed = (patches() * wanted[..., None, None, None]).sum((0, 1))
    assert (facts.mixed - mixed).abs().max() < 2e-3
    assert torch.equal(facts.own.double(), patches()[row, column])


@pytest.mark.parametrize(("row", "column", "head", "temperature"), SETTINGS)
def test_the_picture_says_it(row, column, head, temperature):
    drawing = draw_attention(row, column, head, temperature)
    check_svg(drawing)
    assert_on_the_page(drawing)
    weights = OneQuery.compute(row, column, head, temperature).weights

    # Colours from 0 to the largest weight, or to three times the even share.
    brightest = max(weights.max().item(), 3 / (ROWS * COLUMNS))
    colours = colormaps["viridis"]((weights / brightest).numpy(), bytes=True)[..., :3]
    wanted = [["#" + bytes(colour).hex() for colour in line] for line in colours.tolist()]
    assert cells(fill_at, drawing, MIDDLE, TOP, CELL, ROWS, COLUMNS) == wanted
    assert f"{brightest:.2%}" in texts(drawing)

    # The strongest keys are numbered on the map and listed with their weights.
    ranks = cells(text_at, drawing, MIDDLE, TOP, CELL, ROWS, COLUMNS)
    flat, rest = weights.flatten().tolist(), 1.0
    found = {ranks[n // COLUMNS][n % COLUMNS]: n for n in range(len(flat))}
    found.pop(None)
    assert set(found) == {str(rank) for rank in range(1, LISTED + 1)}
    ordered = sorted(flat, reverse=True)
    for rank in range(1, LISTED + 1):
        i, j = divmod(found[str(rank)], COLUMNS)
        assert weights[i, j].item() == ordered[rank - 1]
        assert f"{rank}: row {i}, column {j}" in texts(drawing)
        assert f"{weights[i, j]:.2%}" in texts(drawing)
        rest -= weights[i, j].item()
    others = next(text for text in texts(drawing) if "together" in text)
    percent = float(re.match(r"the other 472 together: (\d+\.\d)%", others)[1])
    assert percent == pytest.approx(100 * rest, abs=0.06)

    # The query is framed on the photograph and on the map.
    frames = [s for kind, s in drawing.shapes if kind == "rect" and s["stroke"] == ACCENT]
    assert [(s["x"], s["y"]) for s in frames] == [
        (x + column * CELL, TOP + row * CELL) for x in (LEFT, MIDDLE)
    ]


@pytest.mark.parametrize(("row", "column", "head", "temperature"), SETTINGS)
def test_the_caption(row, column, head, temperature):
    caption = draw_attention(row, column, head, temperature).caption
    weights = weights_by_hand(row, column, head, temperature)
    assert caption.startswith(f"The patch in row {row} and column {column} asks head {head}")
    assert f"temperature {temperature:g}." in caption
    most, where, times, entropy, alike = re.search(
        r"Most weight, (\S+)%, goes to (.*): (\S+) times .* entropy is (\S+) of .* at (\d+) of",
        caption,
    ).groups()
    assert float(most) == pytest.approx(100 * weights.max().item(), abs=0.02)
    assert float(times) == pytest.approx(480 * weights.max().item(), rel=0.01, abs=0.06)
    i, j = divmod(int(weights.argmax()), COLUMNS)
    said = "itself" if (i, j) == (row, column) else f"the patch in row {i} and column {j}"
    assert where == said
    assert int(alike) == pytest.approx(exp(float(entropy)), rel=0.01, abs=0.5)
    assert f"of at most {log(480):.2f}" in caption


def test_temperature_sharpens_and_flattens():
    for head in HEADS:
        entropies = [OneQuery.compute(10, 9, head, t).entropy for t in sorted(TEMPERATURES)]
        assert entropies == sorted(entropies)
        assert OneQuery.compute(10, 9, head, 1e6).entropy == pytest.approx(log(480), abs=1e-3)


def test_the_heads_are_made_once(monkeypatch):
    hand_made_heads.cache_clear()
    calls, photo = [], module.photograph
    monkeypatch.setattr(module, "photograph", lambda *a: (calls.append(a), photo(*a))[1])
    for column in range(5):
        draw_attention(3, column, "colour", 0.5)
    assert calls.count((96, 80)) == 1


def test_states_of_all_kinds():
    check_states(AttentionExplorer(), 12)


def test_the_widget(tmp_path):
    move = {"row": 23, "column": 0, "head": "opposite", "temperature": 0.1}
    check_widget(AttentionExplorer(), move, tmp_path)
    explorer = AttentionExplorer(query=(17, 13), head="place")
    assert (explorer.state["row"], explorer.state["column"]) == (17, 13)
    assert AttentionExplorer(**explorer.state).state == explorer.state
    for wrong in ({"row": 24}, {"column": -1}, {"head": "smell"}, {"temperature": 3.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            AttentionExplorer(**wrong)


@pytest.mark.clock
def test_fast_enough():
    for head in HEADS:
        check_time(
            f"02 attention, {head}", lambda head=head: draw_attention(5, 5, head, 10.0).svg()
        )
