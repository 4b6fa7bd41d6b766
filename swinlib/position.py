"""Lesson 05: one learned number for every offset between two tokens of a window."""

import torch
from torch import Tensor

from swinlib._checks import check_tensor, checked, to_pair


@checked(window_size=to_pair)
def relative_position_index(window_size: int | tuple[int, int]) -> Tensor:
    """Number the offset between every two tokens of a window.

    Args:
        window_size: M, or (Mh, Mw), in tokens.

    Returns:
        ``(Mh*Mw, Mh*Mw)`` of int64. Entry (i, j) is ``(dy + Mh - 1) * (2*Mw - 1) + (dx + Mw - 1)``
        where (dy, dx) is token i's place minus token j's: a row of the bias table. There are
        ``(2*Mh - 1) * (2*Mw - 1)`` different values.

    Raises:
        ValueError: a window size below 1.

    Source: paper, equation 4 and below; `relative_position_index` of the official
    `WindowAttention`.
    """
    mh, mw = window_size
    token = torch.arange(mh * mw)
    y, x = token // mw, token % mw  # row and column of each token, (Mh*Mw,)
    dy = y[:, None] - y[None, :] + mh - 1  # from 0 to 2*Mh - 2
    dx = x[:, None] - x[None, :] + mw - 1  # from 0 to 2*Mw - 2
    return dy * (2 * mw - 1) + dx


@checked(table=check_tensor, index=check_tensor)
def relative_position_bias(table: Tensor, index: Tensor) -> Tensor:
    """Look up every pair's bias, one per head.

    Args:
        table: ``((2*Mh - 1) * (2*Mw - 1), num_heads)``, learned.
        index: ``(Mh*Mw, Mh*Mw)``, from `relative_position_index` of the same window size (which is
            not checked: that would read the index's values at every forward).

    Returns:
        ``(num_heads, Mh*Mw, Mh*Mw)``, to be added to the scores.

    Raises:
        ValueError: `table` or `index` has not the shape above.

    Source: `WindowAttention.forward` of the official code.
    """
    if table.ndim != 2 or index.ndim != 2 or index.shape[0] != index.shape[1]:
        raise ValueError(
            "table must be (offsets, num_heads) and index (N, N), got shapes "
            f"{tuple(table.shape)} and {tuple(index.shape)}"
        )
    N = index.shape[0]
    # Contiguous, since CUDA's fused kernels take no other.
    return table[index.flatten()].view(N, N, -1).permute(2, 0, 1).contiguous()
