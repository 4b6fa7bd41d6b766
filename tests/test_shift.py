"""Lesson 04: the cyclic shift, the regions and the mask, against attention with neither."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    bias_of_offsets,
    block_output,
    by_property,
    effective_shift,
    irregular_windows,
    padded_size,
    randomise,
    window_attention,
)

from swinlib import (
    MultiHeadSelfAttention,
    SwinTransformerBlock,
    cyclic_shift,
    region_ids,
    reverse_cyclic_shift,
    shifted_window_mask,
    window_partition,
)

small = st.integers(1, 4)


@st.composite
def grids(draw):
    """A map of whole windows, and a shift below the window on either axis."""
    window = draw(small), draw(small)
    shift = tuple(draw(st.integers(0, m - 1)) for m in window)
    return window[0] * draw(small), window[1] * draw(small), window, shift


# --- the roll -------------------------------------------------------------------------------------


@by_property
@given(H=st.integers(1, 7), W=st.integers(1, 7), sh=st.integers(0, 9), sw=st.integers(0, 9))
def test_the_shift_undoes_itself(H, W, sh, sw):
    x = torch.randn(2, H, W, 3)
    assert torch.equal(reverse_cyclic_shift(cyclic_shift(x, (sh, sw)), (sh, sw)), x)
    assert torch.equal(cyclic_shift(reverse_cyclic_shift(x, (sh, sw)), (sh, sw)), x)


@by_property
@given(H=st.integers(1, 6), W=st.integers(1, 6), sh=st.integers(0, 6), sw=st.integers(0, 6))
def test_the_shift_goes_up_and_to_the_left(H, W, sh, sw):
    x = torch.randn(2, H, W, 3)
    shifted = cyclic_shift(x, (sh, sw))
    for i in range(H):
        for j in range(W):
            assert torch.equal(shifted[:, i, j], x[:, (i + sh) % H, (j + sw) % W])


def test_a_shift_is_a_number_or_a_pair():
    x = torch.randn(1, 5, 6, 2)
    assert torch.equal(cyclic_shift(x, 2), cyclic_shift(x, (2, 2)))
    assert torch.equal(reverse_cyclic_shift(x, 2), reverse_cyclic_shift(x, [2, 2]))


# --- regions and mask -----------------------------------------------------------------------------


@by_property
@given(grids())
def test_a_pair_is_masked_exactly_when_its_region_ids_differ(grid):
    H, W, window, shift = grid
    mask = shifted_window_mask(H, W, window, shift)
    ids = window_partition(region_ids(H, W, window, shift).view(1, H, W, 1), window).flatten(1)
    N = window[0] * window[1]
    assert mask.shape == (H * W // N, N, N)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) <= {0.0, -100.0}
    for w in range(mask.shape[0]):
        for q in range(N):
            for k in range(N):
                assert (mask[w, q, k] == -100) == bool(ids[w, q] != ids[w, k])


@by_property
@given(grids())
def test_the_mask_is_symmetric_and_lets_everyone_see_themselves(grid):
    mask = shifted_window_mask(*grid)
    assert torch.equal(mask, mask.transpose(1, 2))
    assert (mask.diagonal(dim1=1, dim2=2) == 0).all()


@by_property
@given(grids())
def test_the_mask_lets_exactly_the_irregular_windows_together(grid):
    """Who may attend, from the definition: followed through the roll and the partition by number.

    A window that covers an axis is no exception here: that rule is the block's.
    """
    H, W, window, shift = grid
    places = torch.arange(H * W).view(1, H, W, 1)
    places = window_partition(torch.roll(places, (-shift[0], -shift[1]), (1, 2)), window)
    allowed = {
        (query, key)
        for tokens, mask in zip(
            places.flatten(1).tolist(), shifted_window_mask(*grid).tolist(), strict=True
        )
        for query, row in zip(tokens, mask, strict=True)
        for key, value in zip(tokens, row, strict=True)
        if value == 0
    }
    wanted = {
        (i * W + j, k * W + m)
        for tokens in irregular_windows(H, W, window, shift)
        for i, j in tokens
        for k, m in tokens
    }
    assert allowed == wanted


@by_property
@given(grids())
def test_two_slices_per_axis_give_the_same_mask_as_three(grid):
    """Ids are labels: all that counts is whether two differ within a window."""
    H, W, window, (sh, sw) = grid
    came_round = torch.zeros(1, H, W, 1)
    came_round[:, H - sh :] += 1
    came_round[:, :, W - sw :] += 2
    ids = window_partition(came_round, window).flatten(1)
    mask = torch.where(ids[:, :, None] != ids[:, None, :], -100.0, 0.0)
    assert torch.equal(mask, shifted_window_mask(*grid))


def test_region_ids_of_an_8x8_map():
    assert region_ids(8, 8, 4, 2).tolist() == [
        [0, 0, 0, 0, 1, 1, 2, 2],
        [0, 0, 0, 0, 1, 1, 2, 2],
        [0, 0, 0, 0, 1, 1, 2, 2],
        [0, 0, 0, 0, 1, 1, 2, 2],
        [3, 3, 3, 3, 4, 4, 5, 5],
        [3, 3, 3, 3, 4, 4, 5, 5],
        [6, 6, 6, 6, 7, 7, 8, 8],
        [6, 6, 6, 6, 7, 7, 8, 8],
    ]
    assert region_ids(8, 8, 4, 2).dtype == torch.int64


def test_region_ids_of_a_flat_map_with_a_pair_of_shifts():
    assert region_ids(2, 6, (2, 3), (1, 2)).tolist() == [[3, 3, 3, 4, 5, 5], [6, 6, 6, 7, 8, 8]]


def test_how_much_of_each_window_is_masked():
    masked = (shifted_window_mask(8, 8, 4, 2) == -100).float().mean(dim=(1, 2))
    assert masked.tolist() == [0, 1 / 2, 1 / 2, 3 / 4]
    assert not shifted_window_mask(8, 8, 4, 0).any()


def test_mask_of_a_256x256_image():
    assert shifted_window_mask(70, 70, 7, 3).shape == (100, 49, 49)


# --- shifted attention against the definition -----------------------------------------------------


# H, W, window, shift: whole windows, padding on one or both axes, one window on one or both axes
MAPS = [
    (8, 8, (4, 4), (2, 2)),
    (12, 8, (4, 4), (2, 2)),
    (8, 8, (7, 7), (3, 3)),
    (10, 15, (5, 5), (2, 2)),
    (9, 5, (4, 4), (2, 2)),
    (6, 12, (3, 4), (1, 2)),
    (12, 6, (4, 3), (1, 2)),
    (7, 9, (2, 5), (1, 2)),
    (9, 8, (4, 4), (1, 3)),
    (8, 9, (4, 4), (0, 2)),
    (8, 9, (4, 4), (2, 0)),
    (8, 8, (4, 4), (0, 0)),
    (4, 12, (4, 4), (2, 2)),
    (13, 3, (4, 4), (2, 2)),
    (3, 5, (7, 7), (3, 3)),
    (7, 7, (7, 7), (3, 3)),
    (1, 1, (4, 4), (2, 2)),
    (5, 6, (1, 1), (0, 0)),
]


def make_block(window, shift, dim=8, num_heads=2, **options):
    return randomise(SwinTransformerBlock(dim, num_heads, window, shift, **options)).double()


@pytest.mark.parametrize("H, W, window, shift", MAPS)
def test_shifted_attention_is_attention_in_the_irregular_windows(H, W, window, shift):
    block = make_block(window, shift)
    x = torch.randn(2, H, W, 8).double()
    wanted, _ = window_attention(x, block)
    torch.testing.assert_close(block.window_attention(x), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("H, W, window, shift", MAPS)
def test_shifted_attention_is_global_attention_with_a_block_mask(H, W, window, shift):
    """One attention over all tokens; the bias is that of the offset, minus infinity elsewhere."""
    block = make_block(window, shift)
    x = torch.randn(2, H, W, 8).double()
    pH, pW = padded_size(H, W, window)
    everyone = MultiHeadSelfAttention(8, 2).double()
    everyone.load_state_dict(block.attn.state_dict(), strict=False)

    bias = torch.full((2, pH * pW, pH * pW), -torch.inf).double()
    for places in irregular_windows(pH, pW, window, effective_shift(pH, pW, window, shift)):
        at = torch.tensor([i * pW + j for i, j in places])
        offsets = bias_of_offsets(block.attn.relative_position_bias_table, window, places)
        bias[:, at[:, None], at] = offsets.permute(2, 0, 1)
    padded = F.pad(x, (0, 0, 0, pW - W, 0, pH - H))
    wanted = everyone(padded.flatten(1, 2), bias).unflatten(1, (pH, pW))[:, :H, :W]

    torch.testing.assert_close(block.window_attention(x), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("H, W, window, shift", [MAPS[0], MAPS[2], MAPS[7], MAPS[12]])
def test_a_block_is_two_branches_each_with_its_norm_and_residual(H, W, window, shift):
    block = make_block(window, shift).eval()
    x = torch.randn(2, H, W, 8).double()
    torch.testing.assert_close(block(x), block_output(x, block), rtol=1e-9, atol=1e-9)


def test_pictures_of_a_batch_do_not_meet():
    block = make_block((4, 4), (2, 2))
    x = torch.randn(3, 9, 8, 8).double()
    alone = torch.cat([block(one) for one in x.split(1)])
    torch.testing.assert_close(block(x), alone, rtol=1e-9, atol=1e-9)


# --- no seam leak ---------------------------------------------------------------------------------


def changed_by_each_token(block, H, W):
    """(H*W, H*W) of bool: whose output moves (second) when one token is perturbed (first)."""
    x = torch.randn(1, H, W, 8).double()
    with torch.no_grad():
        before = block.window_attention(x)
        perturbed = x.expand(H * W, H, W, 8).clone()
        places = torch.arange(H * W)
        perturbed[places, places // W, places % W] += torch.randn(8)
        # no smaller change than this is one: what a masked key adds is below 1e-40
        return ((block.window_attention(perturbed) - before).abs().amax(-1) > 1e-9).flatten(1)


@pytest.mark.parametrize(
    "H, W, window, shift",
    [
        (8, 8, (7, 7), (3, 3)),
        (8, 8, (4, 4), (2, 2)),
        (9, 6, (4, 4), (1, 3)),
        (5, 11, (7, 5), (3, 2)),
    ],
)
def test_no_seam_leak(H, W, window, shift):
    """Each token moves its own irregular window, all of it, and nothing else."""
    pH, pW = padded_size(H, W, window)
    wanted = torch.zeros(H * W, H * W, dtype=torch.bool)
    for places in irregular_windows(pH, pW, window, effective_shift(pH, pW, window, shift)):
        inside = torch.tensor([i * W + j for i, j in places if i < H and j < W], dtype=torch.long)
        wanted[inside[:, None], inside] = True
    assert torch.equal(changed_by_each_token(make_block(window, shift), H, W), wanted)


def test_no_seam_leak_by_hand():
    """8x8, M=7, shift 3, padded to 14x14: the map is cut below row 2 and right of column 2."""
    moved = changed_by_each_token(make_block((7, 7), (3, 3)), 8, 8).view(8, 8, 8, 8)
    assert moved[0, 0].nonzero().tolist() == [[i, j] for i in range(3) for j in range(3)]
    assert moved[7, 7].nonzero().tolist() == [[i, j] for i in range(3, 8) for j in range(3, 8)]
    assert moved[1, 5].nonzero().tolist() == [[i, j] for i in range(3) for j in range(3, 8)]


def test_padding_is_attended_as_in_torchvision():
    """A padded place is a token of zeros, whose value is the bias: it takes its share."""
    block = make_block((4, 4), (0, 0))
    x = torch.randn(1, 3, 4, 8).double()
    padded = F.pad(x, (0, 0, 0, 0, 0, 1))
    torch.testing.assert_close(block.window_attention(x), block.window_attention(padded)[:, :3])


def test_without_the_mask_48_of_64_tokens_change(monkeypatch):
    block = make_block((4, 4), (2, 2))
    x = torch.randn(1, 8, 8, 8).double()
    with_mask = block.window_attention(x)
    monkeypatch.setattr(SwinTransformerBlock, "attn_mask", lambda *args, **options: None)
    without = block.window_attention(x)
    changed = (with_mask - without).abs().amax(-1) > 1e-9
    assert changed.sum() == 48
    assert not changed[0, 2:6, 2:6].any()  # the one whole window


def test_how_far_a_pair_of_blocks_sees():
    """At most 3M/2-1 away, not 2M; and a corner still sees one window."""
    M, size = 4, 16
    blocks = torch.nn.Sequential(make_block((M, M), (0, 0)), make_block((M, M), (2, 2)))
    x = torch.randn(1, size, size, 8).double().requires_grad_()
    y = blocks(x)

    def footprint(i, j):
        (gradient,) = torch.autograd.grad(y[0, i, j].sum(), x, retain_graph=True)
        return (gradient[0].abs().amax(-1) > 1e-12).nonzero()

    reach = max(
        (footprint(i, j) - torch.tensor([i, j])).abs().max().item()
        for i in range(4, 9)
        for j in range(4, 9)
    )
    assert reach == 3 * M // 2 - 1
    assert footprint(0, 0).tolist() == [[i, j] for i in range(M) for j in range(M)]
