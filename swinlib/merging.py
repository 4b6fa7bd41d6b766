"""Lesson 06: four neighbours become one token, twice as wide."""

import torch
from torch import Tensor, fx, nn

from swinlib._checks import check_feature_map, check_int, check_layers, checked
from swinlib.windows import pad_to_multiple


@checked(x=check_feature_map)
def space_to_depth(x: Tensor) -> Tensor:
    """Stack every 2x2 neighbourhood in the channels, in the order of the official weights.

    Args:
        x: ``(B, H, W, C)``; an odd height or width is padded with zeros at the bottom or right.

    Returns:
        ``(B, ceil(H/2), ceil(W/2), 4C)``: the C numbers of the top left token, then bottom left,
        top right, bottom right. On a 4x4 grid of counting numbers the first is 0, 4, 1, 5: down
        the columns, not along the rows.

    Raises:
        ValueError: `x` is no feature map.

    Source: `PatchMerging.forward` of the official code.
    """
    x = pad_to_multiple(x, 2)
    return torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)


class PatchMerging(nn.Module):
    """Halve height and width, double the channels: ``(B, H, W, C)`` to ``(B, H/2, W/2, 2C)``.

    Args:
        dim: C, the channels that come in.
        norm_layer: the norm over the 4C stacked channels.

    Raises:
        TypeError: an argument of another type.
        ValueError: dim below 1; forward: `x` is not ``(B, H, W, dim)``.

    Source: paper, section 3.1, "Patch merging"; the official `PatchMerging`, whose padding of odd
    sizes is that of the official detection code.
    """

    def __init__(self, dim: int, norm_layer=nn.LayerNorm):
        super().__init__()
        check_int("dim", dim)
        check_layers(norm_layer=norm_layer)
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        check_feature_map("x", x, self.dim)
        return self.reduction(self.norm(space_to_depth(x)))


for step in ("check_feature_map", "space_to_depth"):  # which look at sizes, see model.py
    fx.wrap(step)
