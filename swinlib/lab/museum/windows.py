"""Mistakes of lesson 03, all in attention inside windows.

Every version takes ``(x, msa, window_size)``: a map (B, H, W, C) of any size, attention as in
`swinlib.MultiHeadSelfAttention`, and a whole number.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib.lab.museum import Room
from swinlib.windows import pad_to_multiple, window_partition, window_reverse


def window_attention(x, msa, window_size):
    """As it should be: pad, cut, attend, put together, crop."""
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    windows = window_partition(x, window_size)
    windows = msa(windows.flatten(1, 2)).view_as(windows)
    return window_reverse(windows, window_size, *x.shape[1:3])[:, :H, :W]


def view_straight_to_windows(x, msa, window_size):
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    windows = x.reshape(-1, window_size * window_size, x.shape[-1])
    return msa(windows).view_as(x)[:, :H, :W]


def reversed_with_the_wrong_batch(x, msa, window_size):
    """Put together as if the pictures took turns, which nobody sees with one picture."""
    M, (H, W) = window_size, x.shape[1:3]
    x = pad_to_multiple(x, M)
    rows, columns = x.shape[1] // M, x.shape[2] // M
    windows = msa(window_partition(x, M).flatten(1, 2))
    windows = windows.view(rows, columns, -1, M, M, x.shape[-1])
    return windows.permute(2, 0, 3, 1, 4, 5).reshape(x.shape)[:, :H, :W]


def reversed_with_width_before_height(x, msa, window_size):
    """The result is (B, W, H, C), and the view that follows, as in many a block, hides it."""
    H, W = x.shape[1:3]
    x = pad_to_multiple(x, window_size)
    windows = window_partition(x, window_size)
    windows = msa(windows.flatten(1, 2)).view_as(windows)
    return window_reverse(windows, window_size, x.shape[2], x.shape[1]).view(x.shape)[:, :H, :W]


def padding_answers_too(x, msa, window_size):
    """H and W are read after the padding, so that the crop leaves everything."""
    x = pad_to_multiple(x, window_size)
    H, W = x.shape[1:3]
    windows = window_partition(x, window_size)
    windows = msa(windows.flatten(1, 2)).view_as(windows)
    return window_reverse(windows, window_size, H, W)[:, :H, :W]


def padding_answers_instead(x, msa, window_size):
    """Padded at the top and on the left, cropped as if it were not."""
    H, W = x.shape[1:3]
    x = F.pad(x, (0, 0, -W % window_size, 0, -H % window_size, 0))
    windows = window_partition(x, window_size)
    windows = msa(windows.flatten(1, 2)).view_as(windows)
    return window_reverse(windows, window_size, *x.shape[1:3])[:, :H, :W]


# --- what every right version does --------------------------------------------------------------


def _as_it_came(windows: Tensor) -> Tensor:
    """Attention that gives back what it gets."""
    return windows


def _mean(windows: Tensor) -> Tensor:
    """Attention that looks at all it may, equally much."""
    return windows.mean(1, keepdim=True).expand_as(windows).contiguous()


def tokens_come_home(version) -> bool:
    """Where attention gives back what it gets, so does the whole: nothing has moved."""
    x = torch.arange(2.0 * 8 * 12 * 3).view(2, 8, 12, 3)
    return torch.equal(version(x, _as_it_came, 4), x)


def windows_are_squares(version) -> bool:
    """Corner sees corner of a window of 4 x 4, and nothing beside it."""
    tokens = torch.eye(8 * 12).view(1, 8, 12, 96)  # every token its own channel
    sees = version(tokens, _mean, 4)[0].view(8, 12, 8, 12) > 0
    window = torch.zeros(8, 12, dtype=torch.bool)
    window[4:, 4:8] = True
    return torch.equal(sees[4, 4], window) and torch.equal(sees[7, 7], window)


def pictures_keep_apart(version) -> bool:
    """What the first picture answers is the same whatever the second shows."""
    x = torch.arange(2.0 * 8 * 12 * 3).view(2, 8, 12, 3)
    other = torch.cat([x[:1], -x[1:]])
    return torch.equal(version(x, _mean, 4)[0], version(other, _mean, 4)[0])


def padding_keeps_silent(version) -> bool:
    """Tokens come home also on a map that must be padded: as many answers as there are tokens."""
    x = torch.arange(1.0, 7 * 6 * 3 + 1).view(1, 7, 6, 3)
    y = version(x, _as_it_came, 4)
    return y.shape == x.shape and torch.equal(y, x)


def _examples():
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(2, 8, 12, 3, generator=generator), _mean, 4),
        (torch.randn(1, 7, 6, 3, generator=generator), _mean, 4),
    ]


ROOM = Room(
    right=window_attention,
    wrong=(
        view_straight_to_windows,
        reversed_with_the_wrong_batch,
        reversed_with_width_before_height,
        padding_answers_too,
        padding_answers_instead,
    ),
    properties=(
        tokens_come_home,
        windows_are_squares,
        pictures_keep_apart,
        padding_keeps_silent,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
