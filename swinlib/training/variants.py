"""Swin with a piece taken away, to see what the piece is worth; and a stem that is not Swin's.

The model's own code knows nothing of this: a variant is made from a finished model.
"""

import torch
from torch import Tensor, nn

from swinlib._checks import to_pair
from swinlib.model import SwinTransformer, SwinTransformerBlock, WindowAttention


def take_away(model: SwinTransformer, pieces: str | tuple[str, ...], map_size) -> None:
    """Change a model in place.

    Args:
        model: freshly made.
        pieces: one or several. "shift": no block is shifted. "mask": shifted windows let strangers
            attend. "relative_bias": the bias tables are zero and stay so. "windows": every block
            attends over its whole map.
        map_size: side of the first stage's map in tokens, or (height, width); only "windows" needs
            it.

    Raises:
        ValueError: another piece.
    """
    pieces = (pieces,) if isinstance(pieces, str) else pieces
    for piece in pieces:
        if piece not in TAKE_AWAY:
            raise ValueError(f"pieces={pieces!r}, wanted some of {', '.join(TAKE_AWAY)}")
    for piece, take in TAKE_AWAY.items():
        if piece in pieces:
            take(model, to_pair("map_size", map_size))


def _without_shift(model, map_size):
    for block in _blocks(model):
        block.shift_size = (0, 0)


def _without_mask(model, map_size):
    for block in _blocks(model):
        block.__class__ = _UnmaskedBlock


def _without_relative_bias(model, map_size):
    for block in _blocks(model):
        nn.init.zeros_(block.attn.relative_position_bias_table).requires_grad_(False)


def _without_windows(model, map_size):
    """One window, as large as the stage's map; on it nothing is shifted."""
    for stage in model.layers:
        for block in stage.blocks:
            attn = block.attn
            whole = WindowAttention(attn.dim, map_size, attn.num_heads)
            whole.load_state_dict(  # the same first weights, but for the larger table
                {name: w for name, w in attn.state_dict().items() if "relative" not in name},
                strict=False,
            )
            block.attn, block.window_size, block.shift_size = whole, map_size, (0, 0)
        map_size = tuple(-(-side // 2) for side in map_size)  # the merging halves it, rounded up


class _UnmaskedBlock(SwinTransformerBlock):
    def attn_mask(self, H, W, shift_size, like):
        return None


TAKE_AWAY = {  # in the order in which they are taken: new windows come with a new table
    "windows": _without_windows,
    "shift": _without_shift,
    "mask": _without_mask,
    "relative_bias": _without_relative_bias,
}


def _blocks(model) -> list[SwinTransformerBlock]:
    return [block for stage in model.layers for block in stage.blocks]


class ConvolutionalStem(nn.Module):
    """Tokens from overlapping 3x3 convolutions, each halving the picture, in place of patches.

    (B, in_chans, H, W) to (B, H / P, W / P, embed_dim), for H and W multiples of P.

    Args:
        patch_size: P, in pixels.
        in_chans: channels of the image.
        embed_dim: channels of a token.
        deep: each halving is followed by another 3x3 convolution at its size, and batch norms
            stand between convolutions.

    Raises:
        ValueError: patch_size is no power of 2 from 2 on.

    Source: Xiao et al. 2021, "Early Convolutions Help Transformers See Better", without their last
    1x1 convolution; if not deep, without their batch norms and convolutions of stride 1 too.
    """

    def __init__(self, patch_size: int, in_chans: int, embed_dim: int, deep: bool = False):
        super().__init__()
        halvings = patch_size.bit_length() - 1
        if patch_size < 2 or patch_size != 2**halvings:
            raise ValueError(f"patch_size={patch_size}, wanted 2, 4, 8, ...: one 3x3 per halving")
        self.patch_size, self.in_chans = (patch_size, patch_size), in_chans
        layers, before = [], in_chans
        for left in reversed(range(halvings)):
            width = embed_dim // 2**left
            for stride in (2, 1) if deep else (2,):
                layers.append(nn.Conv2d(before, width, 3, stride, padding=1))
                layers += [nn.BatchNorm2d(width), nn.GELU()] if deep else [nn.GELU()]
                before = width
        # The layer norm follows the last one.
        self.convolutions = nn.Sequential(*layers[: -2 if deep else -1])
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        # Channels last in memory, as the tokens are to lie; a CPU also convolves faster so.
        images = images.contiguous(memory_format=torch.channels_last)
        return self.norm(self.convolutions(images).permute(0, 2, 3, 1))
