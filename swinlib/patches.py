"""Lesson 01: an image becomes a grid of patches, and every patch a token.

Images are ``(B, C, H, W)``, as everywhere in PyTorch; from `PatchEmbed` on, feature maps are
``(B, H, W, C)``: one vector of C numbers at every place of an H x W grid.
"""

import torch.nn.functional as F
from torch import Tensor, fx, nn

from swinlib._checks import check_int, check_layers, check_tensor, checked, settle_sizes, to_pair


@checked(images=check_tensor, patch_size=to_pair)
def image_to_patches(images: Tensor, patch_size: int | tuple[int, int]) -> Tensor:
    """Cut images into patches that do not overlap, and lay each patch out as one vector.

    Args:
        images: ``(B, C, H, W)``, of any dtype; H and W are multiples of the patch size.
        patch_size: P, or (Ph, Pw) along height and width, in pixels.

    Returns:
        ``(B, H/Ph, W/Pw, C*Ph*Pw)``. A vector runs over channels, then rows, then columns: the
        order of a convolution's weight, so that ``patches @ weight.flatten(1).T`` is the
        convolution of `PatchEmbed`.

    Raises:
        ValueError: `images` is not ``(B, C, H, W)``, or H or W is not a multiple.

    Source: Swin paper, section 3.1, "splits an input RGB image into non-overlapping patches".
    """
    ph, pw = patch_size
    if images.ndim != 4:
        raise ValueError(f"images must be (B, C, H, W), got shape {tuple(images.shape)}")
    B, C, H, W = images.shape
    if H % ph or W % pw:
        raise ValueError(f"images of {H}x{W} cannot be cut into whole patches of {ph}x{pw}")
    x = images.reshape(B, C, H // ph, ph, W // pw, pw)
    x = x.permute(0, 2, 4, 1, 3, 5)  # (B, H/Ph, W/Pw, C, Ph, Pw)
    return x.flatten(3)


@checked(patches=check_tensor, patch_size=to_pair)
def patches_to_image(patches: Tensor, patch_size: int | tuple[int, int]) -> Tensor:
    """Put patches back together: the exact inverse of `image_to_patches`.

    Args:
        patches: ``(B, rows, columns, C*Ph*Pw)``.
        patch_size: P, or (Ph, Pw), in pixels.

    Returns:
        ``(B, C, rows*Ph, columns*Pw)``.

    Raises:
        ValueError: `patches` has not four dimensions, or its vectors hold no whole patch.
    """
    ph, pw = patch_size
    if patches.ndim != 4 or patches.shape[-1] % (ph * pw):
        raise ValueError(
            f"patches must be (B, rows, columns, C*{ph}*{pw}), got shape {tuple(patches.shape)}"
        )
    B, rows, columns, length = patches.shape
    C = length // (ph * pw)
    x = patches.reshape(B, rows, columns, C, ph, pw)
    x = x.permute(0, 3, 1, 4, 2, 5)  # (B, C, rows, Ph, columns, Pw)
    return x.reshape(B, C, rows * ph, columns * pw)


class PatchEmbed(nn.Module):
    """Cut an image into patches and project each to a token: ``(B, C, H, W)`` to ``(B, h, w, D)``.

    A convolution whose stride is its kernel size does both at once. An image that the patches do
    not fit is padded with zeros on the right and at the bottom, so h = ceil(H/Ph).

    Args:
        patch_size: P, or (Ph, Pw), in pixels.
        in_chans: channels of the image.
        embed_dim: D, the numbers in a token.
        norm_layer: a norm over the D numbers of each token; None for none.

    Raises:
        TypeError: an argument of another type; forward: `images` is not of a floating dtype.
        ValueError: a number below 1; forward: `images` is not ``(B, in_chans, H, W)``, or is empty.

    Source: `PatchEmbed` of the official code, which asks for one fixed size instead of padding.
    """

    def __init__(self, patch_size=4, in_chans: int = 3, embed_dim: int = 96, norm_layer=None):
        super().__init__()
        check_int("in_chans", in_chans)
        check_int("embed_dim", embed_dim)
        if norm_layer is not None:
            check_layers(norm_layer=norm_layer)
        self.patch_size = to_pair("patch_size", patch_size)
        self.in_chans = in_chans
        self.proj = nn.Conv2d(in_chans, embed_dim, self.patch_size, stride=self.patch_size)
        self.norm = norm_layer(embed_dim) if norm_layer is not None else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.in_chans)
        _, _, H, W = images.shape
        ph, pw = self.patch_size
        images = F.pad(images, (0, -W % pw, 0, -H % ph))  # left, right, top, bottom
        return self.norm(self.proj(images).permute(0, 2, 3, 1))


def check_images(images: Tensor, in_chans: int) -> None:
    """Refuse what are not images ``(B, in_chans, H, W)`` of a floating dtype."""
    check_tensor("images", images)
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != in_chans or shape[2] < 1 or shape[3] < 1:
        raise ValueError(f"images must be (B, {in_chans}, H, W), got shape {shape}")
    if not images.is_floating_point():
        raise TypeError(
            f"images must be floating point, got {images.dtype}: "
            "convert first, for example images.float() / 255"
        )
    settle_sizes(*shape[2:])


fx.wrap("check_images")  # which looks at sizes, see model.py
