"""Mistakes of lesson 04, all in attention between shifted windows.

Every version takes ``(x, msa, window_size, shift_size)``: a map (B, H, W, C) of any size, attention
as in `swinlib.MultiHeadSelfAttention`, and two whole numbers.
"""

import torch
from torch import Tensor

from swinlib.lab.museum import Room
from swinlib.shift import cyclic_shift, reverse_cyclic_shift, shifted_window_mask
from swinlib.windows import pad_to_multiple, window_partition, window_reverse


def in_windows(x: Tensor, msa, window_size: int, mask: Tensor | None) -> Tensor:
    """Attention inside the ordinary windows of a map of whole windows, with a mask or without."""
    B, H, W, _ = x.shape
    windows = window_partition(x, window_size)
    bias = None if mask is None else mask.repeat(B, 1, 1)[:, None]
    windows = msa(windows.flatten(1, 2), bias=bias).view_as(windows)
    return window_reverse(windows, window_size, H, W)


def shifted_attention(x, msa, window_size, shift_size):
    """As it should be: pad, roll, cut, mask, attend, put together, roll back, crop."""
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    mask = shifted_window_mask(*x.shape[1:3], window_size, shift_size)
    x = in_windows(cyclic_shift(x, shift_size), msa, window_size, mask)
    return reverse_cyclic_shift(x, shift_size)[:, :H, :W]


def no_mask(x, msa, window_size, shift_size):
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    x = in_windows(cyclic_shift(x, shift_size), msa, window_size, None)
    return reverse_cyclic_shift(x, shift_size)[:, :H, :W]


def rolled_back_the_wrong_way(x, msa, window_size, shift_size):
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    mask = shifted_window_mask(*x.shape[1:3], window_size, shift_size)
    x = in_windows(cyclic_shift(x, shift_size), msa, window_size, mask)
    return cyclic_shift(x, shift_size)[:, :H, :W]


def padded_after_the_roll(x, msa, window_size, shift_size):
    H, W = x.shape[1:3]
    x = pad_to_multiple(cyclic_shift(x, shift_size), window_size)
    mask = shifted_window_mask(*x.shape[1:3], window_size, shift_size)
    x = in_windows(x, msa, window_size, mask)[:, :H, :W]
    return reverse_cyclic_shift(x, shift_size)


def mask_of_another_size(x, msa, window_size, shift_size):
    """The mask was made once, for a map turned by 90 degrees: as many windows, so nothing stops."""
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    mask = shifted_window_mask(x.shape[2], x.shape[1], window_size, shift_size)
    x = in_windows(cyclic_shift(x, shift_size), msa, window_size, mask)
    return reverse_cyclic_shift(x, shift_size)[:, :H, :W]


def mask_without_a_shift(x, msa, window_size, shift_size):
    """The unshifted block of a pair gets the mask of its shifted neighbour."""
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    mask = shifted_window_mask(*x.shape[1:3], window_size, window_size // 2)
    x = in_windows(cyclic_shift(x, shift_size), msa, window_size, mask)
    return reverse_cyclic_shift(x, shift_size)[:, :H, :W]


# --- what every right version does --------------------------------------------------------------


def _looks(version, H: int, W: int, M: int, s: int) -> Tensor:
    """(H, W, H, W) of bool: which output token (first two) depends on which input token."""
    tokens = torch.eye(H * W).view(1, H, W, H * W)  # every token its own channel

    def uniform(windows, bias=None):
        """Attention that looks at all it may, equally much."""
        scores = torch.zeros(len(windows), 1, windows.shape[1], windows.shape[1])
        weights = (scores if bias is None else scores + bias).softmax(-1)
        return weights[:, 0] @ windows

    return version(tokens, uniform, M, s)[0].view(H, W, H, W) > 1e-12


def tokens_come_home(version) -> bool:
    """Where attention gives back what it gets, so does the whole: nothing has moved."""
    x = torch.arange(2.0 * 6 * 10 * 3).view(2, 6, 10, 3)
    return torch.equal(version(x, lambda windows, bias=None: windows, 4, 2), x)


def _far(H: int, W: int, M: int) -> Tensor:
    """(H, W, H, W) of bool: which tokens are a window or more apart on the map."""
    rows, columns = torch.arange(H), torch.arange(W)
    rows = (rows[:, None] - rows).abs() >= M
    columns = (columns[:, None] - columns).abs() >= M
    return rows[:, None, :, None] | columns[None, :, None, :]


def nobody_sees_far(version) -> bool:
    """Two tokens a window or more apart on the map never see one another."""
    return not (_looks(version, 8, 12, 4, 2) & _far(8, 12, 4)).any()


def neighbours_meet(version) -> bool:
    """Tokens on either side of an ordinary window's wall see each other: what the shift is for."""
    sees = _looks(version, 8, 12, 4, 2)
    return bool(sees[3, 3, 4, 4] and sees[3, 7, 4, 8] and sees[4, 4, 3, 3])


def any_size_will_do(version) -> bool:
    """The same two on a map that must be padded."""
    sees = _looks(version, 7, 6, 4, 2)
    return bool(sees[3, 3, 4, 4] and sees[0, 0, 1, 1]) and not (sees & _far(7, 6, 4)).any()


def unshifted_sees_all(version) -> bool:
    """With a shift of 0 every token sees its whole window."""
    sees = _looks(version, 8, 8, 4, 0)
    return bool(sees[:4, :4, :4, :4].all() and sees[4:, 4:, 4:, 4:].all())


def _examples():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 7, 10, 4, generator=generator)
    return [(x, _attend, 4, 2), (x, _attend, 4, 0)]


def _attend(windows, bias=None):
    """Attention with scores that are the tokens' own products."""
    scores = (windows @ windows.transpose(1, 2))[:, None]
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights[:, 0] @ windows


ROOM = Room(
    right=shifted_attention,
    wrong=(
        no_mask,
        rolled_back_the_wrong_way,
        padded_after_the_roll,
        mask_of_another_size,
        mask_without_a_shift,
    ),
    properties=(
        tokens_come_home,
        nobody_sees_far,
        neighbours_meet,
        any_size_will_do,
        unshifted_sees_all,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
