"""Lesson 01: patches and the patch embedding."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles import by_property
from torch import nn

from swinlib import PatchEmbed, image_to_patches, patches_to_image

small = st.integers(1, 4)


@by_property
@given(B=small, C=small, rows=small, columns=small, ph=small, pw=small)
def test_patches_go_back_to_the_image_bit_for_bit(B, C, rows, columns, ph, pw):
    images = torch.randn(B, C, rows * ph, columns * pw)
    patches = image_to_patches(images, (ph, pw))
    assert patches.shape == (B, rows, columns, C * ph * pw)
    assert torch.equal(patches_to_image(patches, (ph, pw)), images)


@by_property
@given(B=small, C=small, rows=small, columns=small, ph=small, pw=small)
def test_a_patch_is_the_pixels_at_its_place(B, C, rows, columns, ph, pw):
    images = torch.randn(B, C, rows * ph, columns * pw)
    patches = image_to_patches(images, (ph, pw))
    for i in range(rows):
        for j in range(columns):
            cut = images[:, :, i * ph : (i + 1) * ph, j * pw : (j + 1) * pw]
            assert torch.equal(patches[:, i, j], cut.reshape(B, -1))


@by_property
@given(B=small, C=small, rows=small, columns=small, ph=small, pw=small)
def test_a_convolution_with_stride_P_is_unfold_and_a_linear_layer(B, C, rows, columns, ph, pw):
    embed = PatchEmbed((ph, pw), in_chans=C, embed_dim=6).double()
    images = torch.randn(B, C, rows * ph, columns * pw).double()
    weight, bias = embed.proj.weight.flatten(1), embed.proj.bias

    unfolded = F.unfold(images, (ph, pw), stride=(ph, pw)).transpose(1, 2)
    unfolded = unfolded.unflatten(1, (rows, columns))
    assert torch.equal(image_to_patches(images, (ph, pw)), unfolded)
    torch.testing.assert_close(embed(images), unfolded @ weight.T + bias)


def test_patches_of_any_dtype():
    pixels = torch.arange(2 * 3 * 4 * 6, dtype=torch.uint8).view(2, 3, 4, 6)
    patches = image_to_patches(pixels, 2)
    assert patches.dtype == torch.uint8
    assert patches[0, 0, 0].tolist() == [0, 1, 6, 7, 24, 25, 30, 31, 48, 49, 54, 55]
    assert torch.equal(patches_to_image(patches, 2), pixels)


def test_224_gives_3136_tokens_of_96():
    assert PatchEmbed()(torch.randn(1, 3, 224, 224)).flatten(1, 2).shape == (1, 3136, 96)


@pytest.mark.parametrize("patch_size", [1, 2, 4, (2, 4), (3, 1)])
@pytest.mark.parametrize("size", [(1, 1), (9, 11), (8, 12), (225, 190)])
def test_padding_is_zeros_on_the_right_and_at_the_bottom(size, patch_size):
    ph, pw = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
    embed = PatchEmbed(patch_size, embed_dim=5)
    images = torch.randn(2, 3, *size)
    rows, columns = -(-size[0] // ph), -(-size[1] // pw)
    padded = torch.zeros(2, 3, rows * ph, columns * pw)
    padded[:, :, : size[0], : size[1]] = images
    assert embed(images).shape == (2, rows, columns, 5)
    assert torch.equal(embed(images), embed.proj(padded).permute(0, 2, 3, 1))


def test_only_the_axis_that_needs_it_is_padded():
    # A known mistake pads both: 225x224 would give 57x57 tokens.
    assert PatchEmbed()(torch.randn(1, 3, 225, 224)).shape == (1, 57, 56, 96)


def test_the_norm_is_over_the_numbers_of_each_token():
    tokens = PatchEmbed(embed_dim=32, norm_layer=nn.LayerNorm)(torch.randn(2, 3, 16, 20))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, 4, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(-1, correction=0), torch.ones(2, 4, 5), atol=1e-3, rtol=0)
