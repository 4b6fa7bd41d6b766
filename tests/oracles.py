"""What the tests compare swinlib with: written from the definitions, in loops, without swinlib.

Places are (row, column) of the unrolled map. Nothing here rolls a map or makes a mask.
"""

from collections import defaultdict
from functools import partial

import torch
import torch.nn.functional as F
from hypothesis import settings
from torch import nn

# Property tests: the same examples every time, and none of hypothesis' own time limits, since
# CI's machines are shared.
by_property = partial(settings, deadline=None, derandomize=True, max_examples=60)()


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter a value that matters: zero biases and bias tables hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator).to(p)
            if name.endswith("relative_position_bias_table"):
                p.copy_(noise)
            elif p.ndim == 1:  # biases around 0, the norms' weights around 1
                p.copy_(name.endswith("weight") + 0.2 * noise)
            elif name.endswith("absolute_pos_embed"):
                p.copy_(0.5 * noise)
            else:  # weights with which numbers keep their size
                p.copy_(noise / p[0].numel() ** 0.5)
    return model


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference over the largest wanted number."""
    assert got.shape == wanted.shape, f"{tuple(got.shape)} instead of {tuple(wanted.shape)}"
    return ((got - wanted).abs().max() / wanted.abs().max()).item()


def padded_size(H, W, window_size):
    """The size of the map after padding to whole windows."""
    return tuple(-(-n // m) * m for n, m in zip((H, W), window_size, strict=True))


def effective_shift(H, W, window_size, shift_size):
    """No shift along an axis that one window covers: nothing there to meet."""
    return tuple(
        0 if m >= n else s for n, m, s in zip((H, W), window_size, shift_size, strict=True)
    )


def irregular_windows(H, W, window_size, shift_size):
    """The places that attend to one another: the grid of windows displaced by the shift.

    Windows that the map's border cuts stay as small as they are, so there are up to
    (H/Mh + 1) * (W/Mw + 1) of them.
    """
    (mh, mw), (sh, sw) = window_size, shift_size
    windows = defaultdict(list)
    for i in range(H):
        for j in range(W):
            windows[(i - sh) // mh, (j - sw) // mw].append((i, j))
    return list(windows.values())


def bias_of_offsets(table, window_size, places):
    """One number per head for every (query, key): the table's entry for their offset."""
    mh, mw = window_size
    rows, columns = torch.tensor(places).T
    dy, dx = rows[:, None] - rows, columns[:, None] - columns
    return table.view(2 * mh - 1, 2 * mw - 1, -1)[dy + mh - 1, dx + mw - 1]


def attention_among(tokens, places, attn, scale=None):
    """Multi-head attention among some tokens, with the bias of their offsets.

    tokens (n, C) are at places; attn holds the weights. Returns (n, C) and (num_heads, n, n).
    """
    C = tokens.shape[1]
    head_dim = C // attn.num_heads
    scale = head_dim**-0.5 if scale is None else scale
    bias = 0 if attn.qkv.bias is None else attn.qkv.bias
    qkv = tokens @ attn.qkv.weight.T + bias
    offsets = bias_of_offsets(attn.relative_position_bias_table, attn.window_size, places)
    outs, weights = [], []
    for head in range(attn.num_heads):
        columns = slice(head * head_dim, (head + 1) * head_dim)
        q, k, v = (qkv[:, part * C : (part + 1) * C][:, columns] for part in range(3))
        scores = scale * (q @ k.T) + offsets[:, :, head]
        exponentials = (scores - scores.max()).exp()
        weights.append(exponentials / exponentials.sum(dim=1, keepdim=True))
        outs.append(weights[-1] @ v)
    out = torch.cat(outs, dim=1) @ attn.proj.weight.T + attn.proj.bias
    return out, torch.stack(weights)


@torch.no_grad()
def window_attention(x, block, scale=None):
    """(S)W-MSA of a block by its definition, and who looked where.

    x: (B, H, W, C). Padding tokens are zeros, and are attended like any other, as in torchvision.
    Returns (B, H, W, C) and the weights (B, num_heads, H, W, H', W'), keys on the padded map.
    """
    B, H, W, _ = x.shape
    pH, pW = padded_size(H, W, block.window_size)
    shift = effective_shift(pH, pW, block.window_size, block.shift_size)
    x = F.pad(x, (0, 0, 0, pW - W, 0, pH - H))
    out = torch.full_like(x, torch.nan)
    weights = x.new_zeros(B, block.attn.num_heads, pH, pW, pH, pW)
    for places in irregular_windows(pH, pW, block.window_size, shift):
        rows, columns = (torch.tensor(n) for n in zip(*places, strict=True))
        for b in range(B):
            out[b, rows, columns], seen = attention_among(
                x[b, rows, columns], places, block.attn, scale
            )
            for n, (i, j) in enumerate(places):
                weights[b, :, i, j, rows, columns] = seen[:, n]
    return out[:, :H, :W], weights[:, :, :H, :W]


@torch.no_grad()
def block_output(x, block):
    """The paper's equation 3: each branch behind its norm and beside its own residual."""
    z = x + window_attention(block.norm1(x), block)[0]
    return z + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(z))))


# --- what others count and call things ----------------------------------------------------------


def official_flops(model, H, W):
    """`SwinTransformer.flops()` of the official code, line by line, for sizes that it takes."""
    P, C, M = model.patch_embed.patch_size[0], model.embed_dim, model.layers[0].blocks[0]
    M = M.window_size[0]
    h, w = H // P, W // P
    flops = h * w * C * model.patch_embed.in_chans * P**2 + h * w * C
    for i, layer in enumerate(model.layers):
        dim = C * 2**i
        for block in layer.blocks:
            heads, N = block.attn.num_heads, M * M
            attn = N * dim * 3 * dim  # qkv
            attn += heads * N * (dim // heads) * N  # q @ k.T
            attn += heads * N * N * (dim // heads)  # weights @ v
            attn += N * dim * dim  # proj
            flops += dim * h * w  # norm1
            flops += h * w / M / M * attn
            flops += 2 * h * w * dim * dim * 4  # mlp
            flops += dim * h * w  # norm2
        if layer.downsample is not None:
            flops += h * w * dim + (h // 2) * (w // 2) * 4 * dim * 2 * dim
            h, w = h // 2, w // 2
    flops += model.num_features * (H // P) * (W // P) // 2 ** len(model.layers)
    return flops + model.num_features * model.num_classes


def official_keys(depths):
    """The parameters' and stored buffers' names in Microsoft's checkpoints, `attn_mask` left out.

    That buffer depends on the resolution, and is not stored here.
    """

    def pair(name):
        return {f"{name}.weight", f"{name}.bias"}

    keys = pair("patch_embed.proj") | pair("patch_embed.norm") | pair("norm") | pair("head")
    for i, depth in enumerate(depths):
        for j in range(depth):
            block = f"layers.{i}.blocks.{j}"
            for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"):
                keys |= pair(f"{block}.{name}")
            keys.add(f"{block}.attn.relative_position_bias_table")
            keys.add(f"{block}.attn.relative_position_index")
        if i < len(depths) - 1:
            merging = f"layers.{i}.downsample"
            keys |= pair(f"{merging}.norm") | {f"{merging}.reduction.weight"}
    return keys


def torchvision_key(key):
    """torchvision's name for an official parameter."""
    parts = key.split(".")
    if parts[0] == "patch_embed":
        return f"features.0.{dict(proj=0, norm=2)[parts[1]]}.{parts[2]}"
    if parts[0] != "layers":
        return key  # norm and head
    stage = int(parts[1])
    if parts[2] == "downsample":
        return ".".join([f"features.{2 * stage + 2}", *parts[3:]])
    rest = ".".join(parts[3:]).replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
    return f"features.{2 * stage + 1}.{rest}"
