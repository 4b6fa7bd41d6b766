"""Lesson 05: the relative position index and the bias it looks up."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import bias_of_offsets, by_property

from swinlib import relative_position_bias, relative_position_index

side = st.integers(1, 6)


@by_property
@given(mh=side, mw=side)
def test_index_takes_every_value_and_depends_only_on_the_offset(mh, mw):
    index = relative_position_index((mh, mw))
    assert index.shape == (mh * mw, mh * mw)
    assert index.dtype == torch.int64
    values = set(index.flatten().tolist())
    assert values == set(range((2 * mh - 1) * (2 * mw - 1)))

    places = [(i, j) for i in range(mh) for j in range(mw)]
    of_offset = {}
    for q, (qi, qj) in enumerate(places):
        for k, (ki, kj) in enumerate(places):
            value = of_offset.setdefault((qi - ki, qj - kj), index[q, k].item())
            assert index[q, k] == value
    assert len(of_offset) == len(values)  # so different offsets have different values


@by_property
@given(mh=side, mw=side)
def test_index_is_the_one_that_official_tables_are_stored_in(mh, mw):
    index = relative_position_index((mh, mw))
    assert index[0, -1] == 0  # first token minus last: the most negative offset
    assert index[-1, 0] == (2 * mh - 1) * (2 * mw - 1) - 1
    assert (index.diagonal() == (mh - 1) * (2 * mw - 1) + mw - 1).all()
    # swapping query and key turns the offset round
    assert torch.equal(index.T, (2 * mh - 1) * (2 * mw - 1) - 1 - index)


def test_index_of_a_2x2_window():
    assert relative_position_index(2).tolist() == [
        [4, 3, 1, 0],
        [5, 4, 2, 1],
        [7, 6, 4, 3],
        [8, 7, 5, 4],
    ]


def test_a_number_means_a_square_window():
    assert torch.equal(relative_position_index(3), relative_position_index((3, 3)))


@pytest.mark.parametrize("M, left", [(2, 5), (3, 9), (7, 25)])
def test_without_the_factor_few_values_stay_distinct(M, left):
    """The arithmetic the lesson quotes: why rows are multiplied by 2M-1 before adding columns."""
    i = torch.arange(M * M)
    y, x = i // M, i % M
    dy, dx = y[:, None] - y + M - 1, x[:, None] - x + M - 1
    assert len((dy + dx).unique()) == left
    assert len(relative_position_index(M).unique()) == (2 * M - 1) ** 2


@by_property
@given(mh=side, mw=side, num_heads=st.integers(1, 3))
def test_bias_is_the_tables_entry_for_the_offset(mh, mw, num_heads):
    table = torch.randn((2 * mh - 1) * (2 * mw - 1), num_heads)
    bias = relative_position_bias(table, relative_position_index((mh, mw)))
    places = [(i, j) for i in range(mh) for j in range(mw)]
    wanted = bias_of_offsets(table, (mh, mw), places)  # (N, N, num_heads)
    assert torch.equal(bias, wanted.permute(2, 0, 1))


def test_gradient_of_a_row_is_summed_over_the_pairs_that_use_it():
    table = torch.randn(15, 2, requires_grad=True)
    index = relative_position_index((2, 3))
    relative_position_bias(table, index).sum().backward()
    wanted = index.flatten().bincount().float()
    assert torch.equal(table.grad, wanted[:, None].expand(15, 2))
