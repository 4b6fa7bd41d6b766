"""Lesson 03: a feature map cut into square windows, and put together again."""

import torch.nn.functional as F
from torch import Tensor

from swinlib._checks import check_feature_map, check_size, checked, to_pair


@checked(x=check_feature_map, multiple=to_pair)
def pad_to_multiple(x: Tensor, multiple: int | tuple[int, int]) -> Tensor:
    """Pad a feature map with zeros on the right and at the bottom, up to a multiple.

    Args:
        x: ``(B, H, W, C)``.
        multiple: what height and width must be multiples of; one number or (height, width).

    Returns:
        ``(B, H', W', C)`` with H' and W' the next multiples; `x` itself if nothing is missing.

    Raises:
        ValueError: `x` is no feature map, or a multiple is below 1.
    """
    mh, mw = multiple
    H, W = x.shape[1:3]
    bottom, right = -H % mh, -W % mw
    if bottom or right:
        x = F.pad(x, (0, 0, 0, right, 0, bottom))  # F.pad counts from the last dimension: C, W, H
    return x


@checked(x=check_feature_map, window_size=to_pair)
def window_partition(x: Tensor, window_size: int | tuple[int, int]) -> Tensor:
    """Cut a feature map into windows that do not overlap.

    Args:
        x: ``(B, H, W, C)``, H and W multiples of the window size.
        window_size: M, or (Mh, Mw), in tokens.

    Returns:
        ``(B*num_windows, Mh, Mw, C)``: all windows of the first picture, row by row, then those of
        the second.

    Raises:
        ValueError: `x` is no feature map, or the windows do not fit: `pad_to_multiple` first.

    Source: `window_partition` of the official code.
    """
    mh, mw = window_size
    B, H, W, C = x.shape
    if H % mh or W % mw:
        raise ValueError(
            f"x of {H}x{W} cannot be cut into whole windows of {mh}x{mw}: use pad_to_multiple first"
        )
    x = x.reshape(B, H // mh, mh, W // mw, mw, C)
    x = x.permute(0, 1, 3, 2, 4, 5)  # (B, H/Mh, W/Mw, Mh, Mw, C)
    return x.reshape(-1, mh, mw, C)


@checked(windows=check_feature_map, window_size=to_pair, H=check_size, W=check_size)
def window_reverse(windows: Tensor, window_size: int | tuple[int, int], H: int, W: int) -> Tensor:
    """Put windows back together: the exact inverse of `window_partition`.

    Args:
        windows: ``(B*num_windows, Mh, Mw, C)``.
        window_size: M, or (Mh, Mw), in tokens.
        H: height of the map, in tokens.
        W: width of the map, in tokens.

    Returns:
        ``(B, H, W, C)``.

    Raises:
        ValueError: the windows are of another size, or do not fill maps of H x W.

    Source: `window_reverse` of the official code.
    """
    mh, mw = window_size
    if tuple(windows.shape[1:3]) != (mh, mw):
        raise ValueError(f"windows must be (n, {mh}, {mw}, C), got {tuple(windows.shape)}")
    if H < 1 or W < 1 or H % mh or W % mw or windows.shape[0] % ((H // mh) * (W // mw)):
        raise ValueError(
            f"{windows.shape[0]} windows of {mh}x{mw} do not fill maps of H={H}, W={W}"
        )
    C = windows.shape[-1]
    x = windows.reshape(-1, H // mh, W // mw, mh, mw, C)
    x = x.permute(0, 1, 3, 2, 4, 5)  # (B, H/Mh, Mh, W/Mw, Mw, C)
    return x.reshape(-1, H, W, C)
