"""Lesson 06: patch merging."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles import by_property, randomise
from torch import nn

from swinlib import PatchMerging, space_to_depth


def test_official_order_on_a_counting_grid():
    x = torch.arange(16.0).view(1, 4, 4, 1)
    assert space_to_depth(x).view(4, 4).tolist() == [
        [0, 4, 1, 5],
        [2, 6, 3, 7],
        [8, 12, 9, 13],
        [10, 14, 11, 15],
    ]


@by_property
@given(H=st.integers(1, 7), W=st.integers(1, 7), C=st.integers(1, 3), B=st.integers(1, 2))
def test_space_to_depth_by_places(H, W, C, B):
    x = torch.randn(B, H, W, C)
    stacked = space_to_depth(x)
    assert stacked.shape == (B, -(-H // 2), -(-W // 2), 4 * C)
    for i in range(stacked.shape[1]):
        for j in range(stacked.shape[2]):
            for n, (di, dj) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
                got = stacked[:, i, j, n * C : (n + 1) * C]
                inside = 2 * i + di < H and 2 * j + dj < W
                wanted = x[:, 2 * i + di, 2 * j + dj] if inside else torch.zeros(B, C)
                assert torch.equal(got, wanted)


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 7), (5, 7), (1, 1), (1, 4)])
def test_merging_is_a_norm_and_a_linear_layer_on_four_neighbours(size):
    merging = randomise(PatchMerging(8)).double()
    x = torch.randn(2, *size, 8).double()
    x_even = F.pad(x, (0, 0, 0, size[1] % 2, 0, size[0] % 2))
    four = torch.cat(
        [x_even[:, di::2, dj::2] for dj in (0, 1) for di in (0, 1)], dim=-1
    )  # down the columns first
    mean, variance = four.mean(-1, keepdim=True), four.var(-1, keepdim=True, correction=0)
    normed = (four - mean) / (variance + 1e-5).sqrt() * merging.norm.weight + merging.norm.bias
    torch.testing.assert_close(merging(x), normed @ merging.reduction.weight.T)
    assert merging(x).shape == (2, (size[0] + 1) // 2, (size[1] + 1) // 2, 16)


def test_without_the_norm_it_is_a_strided_convolution():
    merging = randomise(PatchMerging(3, norm_layer=lambda dim: nn.Identity()))
    x = torch.randn(2, 6, 4, 3)
    kernel = merging.reduction.weight.view(6, 2, 2, 3).permute(0, 3, 2, 1)  # (out, C, row, column)
    wanted = F.conv2d(x.permute(0, 3, 1, 2), kernel, stride=2).permute(0, 2, 3, 1)
    torch.testing.assert_close(merging(x), wanted)


def test_4C_becomes_2C_without_a_bias():
    merging = PatchMerging(5)
    assert merging.reduction.weight.shape == (10, 20)
    assert merging.reduction.bias is None
    assert merging.norm.normalized_shape == (20,)
