"""Mistakes of lesson 01, all in cutting a picture of any size into tokens.

Every version takes ``(images, P)``: pictures (B, C, H, W) and a whole number. What comes out is a
map of vectors (B, h, w, C*P*P).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib.lab.museum import Room
from swinlib.patches import patches_to_image


def whole_patches(images: Tensor, P: int) -> Tensor:
    """Patches (B, h, w, C*P*P) as a bare convolution sees them: what is left over is ignored."""
    x = images.unfold(2, P, P).unfold(3, P, P)  # (B, C, h, w, P, P)
    return x.permute(0, 2, 3, 1, 4, 5).flatten(3)


def pad_and_cut(images, P):
    """As it should be: zeros on the right and at the bottom, as many as are missing, then cut."""
    H, W = images.shape[2:]
    return whole_patches(F.pad(images, (0, -W % P, 0, -H % P)), P)


def height_and_width_swapped(images, P):
    """The sizes are taken in the wrong order, and then used as if they were right."""
    H, W = images.shape[2:]
    x = F.pad(images, (0, -W % P, 0, -H % P))
    B, C, W, H = x.shape
    x = x.reshape(B, C, H // P, P, W // P, P)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3)


def padded_at_the_start(images, P):
    H, W = images.shape[2:]
    return whole_patches(F.pad(images, (-W % P, 0, -H % P, 0)), P)


def padded_crosswise(images, P):
    """`F.pad` counts from the last axis, so it wants the width first; it is given the height."""
    H, W = images.shape[2:]
    return whole_patches(F.pad(images, (0, -H % P, 0, -W % P)), P)


def padded_where_it_fits(images, P):
    H, W = images.shape[2:]
    return whole_patches(F.pad(images, (0, P - W % P, 0, P - H % P)), P)


def colours_side_by_side(images, P):
    """Rows, columns, channels: an order as good as any, but not that of a convolution's weight."""
    x = pad_and_cut(images, P).unflatten(3, (-1, P * P))
    return x.transpose(3, 4).flatten(3)


# --- what every right version does --------------------------------------------------------------


def _grey(H: int, W: int) -> Tensor:
    """Two pictures of one channel whose numbers are all different, and none of them 0."""
    return torch.arange(1.0, 2 * H * W + 1).view(2, 1, H, W)


def a_square_comes_back(version) -> bool:
    """Glued together, the patches of a square grey picture are that picture."""
    return torch.equal(patches_to_image(version(_grey(8, 8), 4), 4), _grey(8, 8))


def a_wide_one_too(version) -> bool:
    """The same with a picture that is not square."""
    return torch.equal(patches_to_image(version(_grey(8, 12), 4), 4), _grey(8, 12))


def patches_stay_put(version) -> bool:
    """Where the size does not fit, the whole patches are those of the cropped picture."""
    return torch.equal(version(_grey(7, 7), 4)[:, :1, :1], whole_patches(_grey(7, 7), 4))


def no_pixel_is_lost(version) -> bool:
    """Each pixel is in one token: a picture's tokens add up to what its pixels do."""
    images = _grey(7, 10)
    return torch.equal(version(images, 4).sum((1, 2, 3)), images.sum((1, 2, 3)))


def the_convolution_agrees(version) -> bool:
    """With a convolution's own weight, a square picture in colour gives its tokens."""
    images = torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8)
    weight = torch.arange(3 * 4 * 4.0).view(1, 3, 4, 4)  # whole numbers: no rounding
    tokens = version(images, 4) @ weight.flatten(1).T
    return torch.equal(tokens, F.conv2d(images, weight, stride=4).permute(0, 2, 3, 1))


def _examples():
    # 8 rows fit and 10 columns do not, so that every mistake shows.
    return [(torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0)), 4)]


ROOM = Room(
    right=pad_and_cut,
    wrong=(
        height_and_width_swapped,
        padded_at_the_start,
        padded_crosswise,
        padded_where_it_fits,
        colours_side_by_side,
    ),
    properties=(
        a_square_comes_back,
        a_wide_one_too,
        patches_stay_put,
        no_pixel_is_lost,
        the_convolution_agrees,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
