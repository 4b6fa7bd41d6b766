"""Lesson 04: windows between the windows, by rolling the map and masking who must not meet."""

import torch
from torch import Tensor

from swinlib._checks import check_feature_map, check_size, checked, to_pair, to_shift
from swinlib.windows import window_partition


@checked(x=check_feature_map, shift_size=to_shift)
def cyclic_shift(x: Tensor, shift_size: int | tuple[int, int]) -> Tensor:
    """Roll a feature map up and to the left; what leaves on one side comes back on the other.

    Args:
        x: ``(B, H, W, C)``.
        shift_size: s, or (sh, sw), in tokens.

    Returns:
        ``(B, H, W, C)``, where place (i, j) holds what was at (i + sh, j + sw).

    Source: Swin paper, section 3.2, "cyclic-shifting toward the top-left direction".
    """
    sh, sw = shift_size
    return torch.roll(x, shifts=(-sh, -sw), dims=(1, 2)) if sh or sw else x


@checked(x=check_feature_map, shift_size=to_shift)
def reverse_cyclic_shift(x: Tensor, shift_size: int | tuple[int, int]) -> Tensor:
    """Roll a feature map down and to the right: the exact inverse of `cyclic_shift`.

    Args:
        x: ``(B, H, W, C)``.
        shift_size: s, or (sh, sw), in tokens.
    """
    sh, sw = shift_size
    return torch.roll(x, shifts=(sh, sw), dims=(1, 2)) if sh or sw else x


@checked(H=check_size, W=check_size, window_size=to_pair, shift_size=to_shift)
def region_ids(
    H: int, W: int, window_size: int | tuple[int, int], shift_size: int | tuple[int, int]
) -> Tensor:
    """Label every place of the *rolled* map by the region its token came from.

    Tokens of one window may attend to one another if they carry the same label. Along each axis
    there are three regions: the part where windows hold only neighbours (0), and, in the last
    window, the part that was always there (1) and the part that came round from the other side (2).

    Args:
        H: height of the map, in tokens, a multiple of the window's.
        W: width of the map, in tokens, a multiple of the window's.
        window_size: M, or (Mh, Mw), in tokens.
        shift_size: s, or (sh, sw), in tokens; smaller than the window.

    Returns:
        ``(H, W)`` of int64, ``3 * row region + column region``, so at most nine labels from 0 to 8.

    Raises:
        ValueError: the map is not made of whole windows, or the shift is not below the window.

    Source: the loop over `h_slices` and `w_slices` in the official `SwinTransformerBlock`.
    """
    labels = []
    for length, window, shift in zip((H, W), window_size, shift_size, strict=True):
        if length < 1 or length % window:
            raise ValueError(
                f"H={H}, W={W} must be positive multiples of window_size={window_size}"
            )
        if shift >= window:
            raise ValueError(f"shift_size={shift_size} must be below window_size={window_size}")
        along_axis = torch.zeros(length, dtype=torch.int64)
        if shift:
            along_axis[-window:] = 1
            along_axis[-shift:] = 2
        labels.append(along_axis)
    rows, columns = labels
    return 3 * rows[:, None] + columns[None, :]


def shifted_window_mask(
    H: int, W: int, window_size: int | tuple[int, int], shift_size: int | tuple[int, int]
) -> Tensor:
    """What to add to the scores so that, after the roll, only true neighbours attend.

    Args: as in `region_ids`.

    Returns:
        ``(num_windows, Mh*Mw, Mh*Mw)`` of float32: 0 where query and key come from one region,
        -100 where not. After a softmax, exp(-100) is nothing; minus infinity would do as well,
        but turns a row that is masked everywhere into NaN.

    Source: `attn_mask` of the official `SwinTransformerBlock`; paper, figure 4.
    """
    ids = region_ids(H, W, window_size, shift_size)
    ids = window_partition(ids[None, :, :, None], window_size).flatten(1)  # (num_windows, Mh*Mw)
    differ = ids[:, :, None] != ids[:, None, :]
    return torch.where(differ, -100.0, 0.0).float()
