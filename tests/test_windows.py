"""Lesson 03: padding, cutting into windows, putting them together."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles import by_property

from swinlib import pad_to_multiple, window_partition, window_reverse

small = st.integers(1, 4)


@by_property
@given(B=small, C=small, rows=small, columns=small, mh=small, mw=small)
def test_reverse_undoes_partition(B, C, rows, columns, mh, mw):
    x = torch.randn(B, rows * mh, columns * mw, C)
    windows = window_partition(x, (mh, mw))
    assert windows.shape == (B * rows * columns, mh, mw, C)
    assert torch.equal(window_reverse(windows, (mh, mw), rows * mh, columns * mw), x)
    assert torch.equal(
        window_partition(window_reverse(windows, (mh, mw), rows * mh, columns * mw), (mh, mw)),
        windows,
    )


@by_property
@given(B=small, C=small, rows=small, columns=small, mh=small, mw=small)
def test_windows_come_row_by_row_and_picture_by_picture(B, C, rows, columns, mh, mw):
    x = torch.randn(B, rows * mh, columns * mw, C)
    cut = [
        x[b, i * mh : (i + 1) * mh, j * mw : (j + 1) * mw]
        for b in range(B)
        for i in range(rows)
        for j in range(columns)
    ]
    assert torch.equal(window_partition(x, (mh, mw)), torch.stack(cut))


@by_property
@given(B=small, H=st.integers(1, 9), W=st.integers(1, 9), mh=small, mw=small)
def test_padding_adds_zeros_on_the_right_and_at_the_bottom(B, H, W, mh, mw):
    x = torch.randn(B, H, W, 2)
    padded = pad_to_multiple(x, (mh, mw))
    pH, pW = padded.shape[1:3]
    assert pH % mh == pW % mw == 0
    assert H <= pH < H + mh and W <= pW < W + mw
    assert torch.equal(padded[:, :H, :W], x)
    assert padded.count_nonzero() == x.count_nonzero()


def test_padding_gives_the_map_itself_back_when_nothing_is_missing():
    x = torch.randn(1, 4, 6, 2)
    assert pad_to_multiple(x, 2) is x
    assert pad_to_multiple(x, (4, 3)) is x


def test_64x64_pads_to_70x70_and_100_windows():
    x = torch.randn(1, 64, 64, 3)
    padded = pad_to_multiple(x, 7)
    assert padded.shape == (1, 70, 70, 3)
    assert window_partition(padded, 7).shape == (100, 7, 7, 3)


@pytest.mark.parametrize("window_size", [2, (2, 2), [2, 2]])
def test_a_window_is_a_number_or_a_pair(window_size):
    x = torch.arange(16.0).view(1, 4, 4, 1)
    windows = window_partition(x, window_size)
    assert windows[:, :, :, 0].flatten(1).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]
    assert torch.equal(window_reverse(windows, window_size, 4, 4), x)


def test_maps_that_are_not_contiguous():
    x = torch.randn(2, 3, 8, 6).permute(0, 2, 3, 1)  # as a convolution's output gets here
    assert not x.is_contiguous()
    windows = window_partition(x, (4, 3))
    assert torch.equal(windows, window_partition(x.contiguous(), (4, 3)))
    strided = windows.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(window_reverse(strided, (4, 3), 8, 6), x)


def test_gradients_pass_through_unchanged():
    x = torch.randn(2, 6, 4, 3, requires_grad=True)
    weight = torch.randn(2, 6, 4, 3)
    y = window_reverse(window_partition(x, (3, 2)), (3, 2), 6, 4)
    (y * weight).sum().backward()
    assert torch.equal(x.grad, weight)


def test_partition_equals_unfold():
    x = torch.randn(2, 6, 8, 3)
    unfolded = F.unfold(x.permute(0, 3, 1, 2), (3, 4), stride=(3, 4))  # (B, C*Mh*Mw, n)
    unfolded = unfolded.transpose(1, 2).reshape(-1, 3, 3, 4).permute(0, 2, 3, 1)
    assert torch.equal(window_partition(x, (3, 4)), unfolded)
