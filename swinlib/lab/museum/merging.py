"""Mistakes of lesson 06, all in a patch merging that gets official weights.

Every version takes ``(x, norm, weight)``: a map (B, H, W, C) of any size, a norm over 4C numbers,
and the weight (2C, 4C) of the linear layer behind it, learned in the official order.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib.lab.museum import Room
from swinlib.merging import space_to_depth
from swinlib.windows import pad_to_multiple


def patch_merging(x, norm, weight):
    """As it should be: pad, stack down the columns, norm, and from 4C to 2C."""
    return norm(space_to_depth(x)) @ weight.T


def stacked_along_rows(x, norm, weight):
    x = pad_to_multiple(x, 2)
    places = [x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]]
    return norm(torch.cat(places, dim=-1)) @ weight.T


def gathered_by_a_view(x, norm, weight):
    x = pad_to_multiple(x, 2)
    B, H, W, C = x.shape
    return norm(x.reshape(B, H // 2, W // 2, 4 * C)) @ weight.T


def half_the_channels(x, norm, weight):
    """4C to C/2, as some texts have it: the first quarter of the official outputs."""
    return norm(space_to_depth(x)) @ weight[: len(weight) // 4].T


def odd_row_dropped(x, norm, weight):
    """What is left over at the bottom and on the right is cut off, as pooling does."""
    H, W = x.shape[1:3]
    return patch_merging(x[:, : H // 2 * 2, : W // 2 * 2], norm, weight)


def padded_after_merging(x, norm, weight):
    """Merged as far as the pairs go, and only then padded to the size that is expected."""
    H, W = x.shape[1:3]
    x = odd_row_dropped(x, norm, weight)
    return F.pad(x, (0, 0, 0, W % 2, 0, H % 2))


# --- what every right version does --------------------------------------------------------------


def _readers(version, H: int, W: int, C: int = 4) -> Tensor:
    """(h, w, H, W) of bool: which merged token (first two) depends on which token of the map."""
    weight = torch.linspace(1, 2, 2 * C * 4 * C).view(2 * C, 4 * C)  # no zeros: everything counts
    one_each = torch.eye(H * W).view(H * W, H, W, 1).expand(-1, -1, -1, C)  # a map for every token
    merged = version(one_each, lambda stacked: stacked, weight).abs().sum(-1)
    return (merged > 0).permute(1, 2, 0).unflatten(-1, (H, W))


def official_order(version) -> bool:
    """A weight that picks one number finds 0, 4, 1, 5 in turn on a 4 x 4 counting grid."""
    C, grid = 4, torch.arange(16.0).view(1, 4, 4, 1).expand(-1, -1, -1, 4)
    found = []
    for place in range(4):
        weight = torch.zeros(2 * C, 4 * C)
        weight[0, place * C] = 1
        found.append(version(grid, lambda stacked: stacked, weight)[0, 0, 0, 0].item())
    return found == [0, 4, 1, 5]


def only_neighbours(version) -> bool:
    """Merged token (i, j) is made of the rows 2i and 2i + 1, the columns 2j and 2j + 1."""
    reads = _readers(version, 4, 6)
    rows, columns = (torch.arange(n) // 2 == torch.arange(n // 2)[:, None] for n in (4, 6))
    return torch.equal(reads, rows[:, None, :, None] & columns[None, :, None, :])


def channels_double(version) -> bool:
    """(..., C) becomes (..., 2C)."""
    return (
        version(torch.zeros(2, 4, 6, 8), lambda stacked: stacked, torch.ones(16, 32)).size(3) == 16
    )


def sides_round_up(version) -> bool:
    """5 x 7 tokens become 3 x 4."""
    weight = torch.ones(8, 16)
    return version(torch.zeros(2, 5, 7, 4), lambda stacked: stacked, weight).shape[:3] == (2, 3, 4)


def everyone_counts(version) -> bool:
    """Every token of a map of odd sizes changes something in the merged map."""
    return bool(_readers(version, 5, 7).any(0).any(0).all())


def _examples():
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, H, W, 4, generator=generator) for H, W in [(4, 6), (5, 7)]]
    weight = torch.randn(8, 16, generator=generator)
    return [(x, lambda stacked: F.layer_norm(stacked, (16,)), weight) for x in maps]


ROOM = Room(
    right=patch_merging,
    wrong=(
        stacked_along_rows,
        gathered_by_a_view,
        half_the_channels,
        odd_row_dropped,
        padded_after_merging,
    ),
    properties=(official_order, only_neighbours, channels_double, sides_round_up, everyone_counts),
    examples=_examples,
)
ROOMS = (ROOM,)
