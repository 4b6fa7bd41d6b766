"""The widget of lesson 05, against loops."""

import itertools

import pytest
import torch

pytest.importorskip("ipywidgets")

from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib.lab.style import ACCENT, CALM  # noqa: E402
from swinlib.lab.widgets.position import (  # noqa: E402
    ARROW,
    HEADS,
    PositionExplorer,
    RelativePosition,
    draw_relative_position,
    example_table,
)

WINDOWS = [(1, 1), (1, 7), (2, 2), (2, 5), (4, 3), (7, 1)]


def numbers_by_hand(Mh, Mw):
    """Every pair's number: the offsets sorted along the rows, and counted."""
    places = list(itertools.product(range(Mh), range(Mw)))
    offsets = {(i, j): (a[0] - b[0], a[1] - b[1]) for (i, a), (j, b) in _pairs(places)}
    order = sorted(set(offsets.values()))
    return places, offsets, {pair: order.index(offset) for pair, offset in offsets.items()}


def _pairs(places):
    return itertools.product(enumerate(places), enumerate(places))


@pytest.mark.parametrize(("Mh", "Mw"), WINDOWS)
def test_facts_are_those_of_a_loop(Mh, Mw):
    places, offsets, numbers = numbers_by_hand(Mh, Mw)
    N = Mh * Mw
    table = example_table(Mh, Mw)
    assert table.abs().min() > 0 and table.unique().numel() == table.numel()
    for query, key in itertools.product(range(N), range(N)):
        facts = RelativePosition.compute(Mh, Mw, query, key, 1, table)
        assert facts.places == (places[query], places[key])
        assert facts.offset == offsets[query, key]
        assert facts.number == numbers[query, key]
        assert facts.bias == table[numbers[query, key], 1].item()
        assert facts.biases[facts.place].item() == facts.bias
        same = {pair for pair, number in numbers.items() if number == facts.number}
        assert {tuple(pair) for pair in facts.same.nonzero().tolist()} == same


@pytest.mark.parametrize("head", range(HEADS))
@pytest.mark.parametrize(
    ("Mh", "Mw", "query", "key"),
    [(4, 4, 9, 3), (1, 1, 0, 0), (1, 7, 0, 6), (2, 5, 6, 4), (3, 3, 4, 4), (7, 7, 48, 0)],
)
def test_drawing_says_what_the_loop_says(Mh, Mw, query, key, head):
    places, offsets, numbers = numbers_by_hand(Mh, Mw)
    drawing = draw_relative_position(Mh, Mw, query, key, head)
    check_svg(drawing)
    written = texts(drawing)
    number, (dy, dx) = numbers[query, key], offsets[query, key]
    sharing = sum(n == number for n in numbers.values())

    row, column = dy + Mh - 1, dx + Mw - 1
    assert f"index = {row} · {2 * Mw - 1} + {column} = {number}" in written
    for name, axis in (("dy", 0), ("dx", 1)):
        difference = f"{places[query][axis]} - {places[key][axis]}"
        assert any(text.startswith(f"{name} = {difference} = ") for text in written)
    assert f"row = dy + Mh - 1 = {dy} + {Mh - 1} = {row}" in written
    bias = example_table(Mh, Mw)[number, head].item()
    assert f"bias[{head}, {query}, {key}] = table[{number}, {head}] = {bias:+.2f}" in written
    # Two equal numbers never lie side by side in the index, so each lit pair is a rectangle.
    assert len(rects(drawing, fill=CALM)) == sharing
    assert len(rects(drawing, stroke=ACCENT)) == 3  # query, pair, place in the table
    if Mh * Mw <= 16:
        for n in numbers.values():
            assert str(n) in written
    if query != key:  # the arrow goes from key to query: i minus j
        heads = [s for k, s in drawing.shapes if k == "polygon" and s["fill"] == ARROW]
        box = drawing.fields()["the query, to be dragged"]
        middle = box["x"] + box["width"] / 2, box["y"] + box["width"] / 2
        assert heads[0]["points"][0] == pytest.approx(middle)

    caption = drawing.caption
    assert f"{Mh} x {Mw} tokens: query {query} at {places[query]}, key {key} at" in caption
    assert f"= {number}, one of {(2 * Mh - 1) * (2 * Mw - 1)};" in caption
    assert f"{sharing} of {(Mh * Mw) ** 2} pairs" in caption
    assert f"Head {head} adds {bias:+.2f}" in caption


def test_a_given_table_is_looked_up():
    table = torch.arange(9 * 3 * 2.0).view(27, 2).requires_grad_()
    widget = PositionExplorer(window_size=(2, 5), table=table, query=6, key=4, head=1)
    number = numbers_by_hand(2, 5)[2][6, 4]
    assert f"Head 1 adds {2 * number + 1:+.2f}" in widget.drawing.caption
    assert widget.parts["window_rows"].high == widget.parts["window_rows"].low == 2
    assert widget.parts["head"].high == 1
    square = PositionExplorer(table=torch.randn(169, 4))
    assert (square.state["window_rows"], square.state["window_columns"]) == (7, 7)
    check_svg(PositionExplorer(table=torch.randn(23 * 23, 1), query=143, key=0).drawing)
    with pytest.raises(ValueError, match="table must be"):
        PositionExplorer(window_size=4, table=torch.randn(48, 2))


def test_no_setting_is_impossible():
    widget = PositionExplorer(window_size=7, query=48, key=40)
    widget.touch(window_columns=2)
    assert widget.state["query"] == widget.state["key"] == 13
    widget.touch(window_rows=1)
    assert widget.state["query"] == widget.parts["query"].high == 1
    check_svg(widget.drawing)


def test_the_widget(tmp_path):
    move = {"window_rows": 2, "window_columns": 5, "query": 6, "key": 4, "head": 2}
    check_widget(PositionExplorer(), move, tmp_path, {"table"})
    assert PositionExplorer(window_size=(2, 5)).state["window_columns"] == 5
    assert PositionExplorer(**PositionExplorer(window_size=3).state).state["window_rows"] == 3


def test_any_state_can_be_drawn():
    check_states(PositionExplorer(), 12)


@pytest.mark.clock
def test_fast_enough():
    check_time("05 position", lambda: draw_relative_position(7, 7, 16, 30).svg())
