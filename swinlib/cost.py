"""What attention, a block and a model cost, in multiply-adds (the paper's "FLOPs").

Counted as the official `flops()` methods count: matrix products and norms; no softmax, no
activation, no bias.
"""

from math import ceil

from torch import nn

from swinlib._checks import check_int, checked, to_pair
from swinlib.model import SwinTransformer, SwinTransformerBlock


@checked(H=check_int, W=check_int, C=check_int)
def msa_flops(H: int, W: int, C: int) -> int:
    """Multiply-adds of global self-attention on H x W tokens of C numbers: 4HWC^2 + 2(HW)^2 C.

    Source: paper, equation 1.
    """
    return 4 * H * W * C**2 + 2 * (H * W) ** 2 * C


@checked(H=check_int, W=check_int, C=check_int, window_size=to_pair)
def wmsa_flops(H: int, W: int, C: int, window_size: int | tuple[int, int]) -> int:
    """Multiply-adds of attention inside windows: 4HWC^2 + 2 M^2 HW C.

    A map that the windows do not fit is counted at its padded size, where the work is done.

    Source: paper, equation 2.
    """
    mh, mw = window_size
    tokens = ceil(H / mh) * mh * ceil(W / mw) * mw
    return 4 * tokens * C**2 + 2 * mh * mw * tokens * C


def block_flops(block: SwinTransformerBlock, H: int, W: int) -> int:
    """Multiply-adds of a block on a feature map of H x W: attention, MLP and both norms."""
    norms = 2 * H * W * block.dim
    mlp = 2 * H * W * block.dim * block.mlp.fc1.out_features
    return wmsa_flops(H, W, block.dim, block.window_size) + mlp + norms


@checked(H=check_int, W=check_int, C=check_int)
def merging_flops(H: int, W: int, C: int) -> int:
    """Multiply-adds of a patch merging on a feature map of H x W with C channels."""
    return H * W * C + ceil(H / 2) * ceil(W / 2) * 4 * C * 2 * C


@checked(H=check_int, W=check_int)
def model_flops(model: SwinTransformer, H: int, W: int) -> int:
    """Multiply-adds of one forward pass on one image of H x W pixels: 4.494 G for Swin-T at 224.

    Counted with whatever head the model has, or with the norms of its out_indices. PyTorch's
    `FlopCounterMode` counts a multiply-add as two and no norms; without gradients it does not see
    into fused attention on a CPU either (Swin-T: 8.98 G with gradients, 8.70 G without).

    Source: `SwinTransformer.flops` of the official code, its way of counting the last norm included
    (four times too much with four stages, and nothing beside the rest); sizes that it refuses are
    counted as padded.
    """
    embed = model.patch_embed
    flops = 0
    for layer in embed.modules():  # one convolution makes patches; another stem may have several
        if isinstance(layer, nn.Conv2d):
            H, W = ceil(H / layer.stride[0]), ceil(W / layer.stride[1])
            flops += H * W * layer.weight.numel()
    if not isinstance(embed.norm, nn.Identity):
        flops += H * W * model.embed_dim
    if model.out_indices is None:
        flops += model.num_features * H * W // 2 ** len(model.layers)  # the last norm
        flops += sum(m.weight.numel() for m in model.head.modules() if isinstance(m, nn.Linear))
    for i, layer in enumerate(model.layers):
        flops += sum(block_flops(block, H, W) for block in layer.blocks)
        if i in (model.out_indices or ()):
            flops += H * W * model.num_features[i]
        if layer.downsample is not None:
            flops += merging_flops(H, W, layer.downsample.dim)
            H, W = ceil(H / 2), ceil(W / 2)
    return flops
