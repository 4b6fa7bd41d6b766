"""The Swin Transformer on one page, to be read from top to bottom, printed, and pinned to a wall.

Liu et al. 2021, https://arxiv.org/abs/2103.14030; parameters are named as in the official code.
Nothing is checked here. The same model with its inputs checked, one file a lesson: `swinlib`.

B pictures, maps of H x W tokens with C numbers each, windows of M x M tokens, N = M * M.
"""

import torch
import torch.nn.functional as F
from torch import nn

# --- 1. Tokens, and windows of them ---------------------------------------------------------------


class PatchEmbed(nn.Module):
    """Pictures (B, 3, H, W) to a map of tokens (B, H/P, W/P, C)."""

    def __init__(self, patch_size, in_chans, embed_dim):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x):
        H, W = x.shape[2:]
        x = F.pad(x, (0, -W % self.patch_size, 0, -H % self.patch_size))  # right, then bottom
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


def pad_to_windows(x, M):
    """Zeros on the right and at the bottom, until whole windows fit."""
    _, H, W, _ = x.shape
    return F.pad(x, (0, 0, 0, -W % M, 0, -H % M))


def window_partition(x, M):
    """(B, H, W, C) to (B * num_windows, N, C)."""
    B, H, W, C = x.shape
    x = x.reshape(B, H // M, M, W // M, M, C)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, M * M, C)


def window_reverse(windows, M, H, W):
    """(B * num_windows, N, C) to (B, H, W, C)."""
    x = windows.reshape(-1, H // M, W // M, M, M, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, H, W, windows.shape[-1])


# --- 2. Attention in a window: mask, bias, heads --------------------------------------------------


def shifted_window_mask(H, W, M, shift):
    """(num_windows, N, N): 0 between tokens that are neighbours on the map, -100 between others."""
    rows, columns = torch.zeros(H, 1), torch.zeros(1, W)
    for length, s, labels in ((H, shift[0], rows[:, 0]), (W, shift[1], columns[0])):
        if s:
            labels[length - M :] = 1
            labels[length - s :] = 2  # what the roll brought round from the other side
    regions = window_partition((3 * rows + columns).view(1, H, W, 1), M)  # (num_windows, N, 1)
    return (regions != regions.transpose(1, 2)) * -100.0


def relative_position_index(M):
    """(N, N): which row of the bias table belongs to token i looking at token j."""
    y, x = torch.arange(M * M) // M, torch.arange(M * M) % M
    dy, dx = y[:, None] - y, x[:, None] - x  # from -(M-1) to M-1
    return (dy + M - 1) * (2 * M - 1) + dx + M - 1


class WindowAttention(nn.Module):
    """Every token of a window attends to all of them: (B * num_windows, N, C) to the same."""

    def __init__(self, dim, window_size, num_heads, attn_drop, proj_drop):
        super().__init__()
        self.num_heads = num_heads
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        table = torch.zeros((2 * window_size - 1) ** 2, num_heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_position_index(window_size))

    def forward(self, x, mask=None):
        B, N, C = x.shape  # B counts windows, of all pictures
        qkv = self.qkv(x).view(B, N, 3, self.num_heads, C // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, head_dim)

        table, index = self.relative_position_bias_table, self.relative_position_index
        bias = table[index].permute(2, 0, 1).contiguous()[None]  # (1, heads, N, N)
        if mask is not None:
            bias = bias + mask.to(x)[:, None]  # (num_windows, heads, N, N)
            bias = bias.repeat(B // len(mask), 1, 1, 1)  # the windows of a picture are together

        # softmax(q @ k^T / sqrt(head_dim) + bias) @ v; under autocast q is in half precision
        dropout = self.attn_drop if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype), dropout)
        x = x.transpose(1, 2).reshape(B, N, C)  # the heads side by side again
        return self.proj_drop(self.proj(x))


# --- 3. The block, and what comes between stages --------------------------------------------------


class Mlp(nn.Module):
    def __init__(self, dim, hidden, drop):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        x = self.drop(self.act(self.fc1(x)))
        return self.drop(self.fc2(x))


class DropPath(nn.Module):
    """In training, leave a branch out for some pictures, and make up for it in the others."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if not self.training or self.drop_prob == 0:
            return x
        keep_prob = 1 - self.drop_prob
        return x * x.new_empty(len(x), 1, 1, 1).bernoulli_(keep_prob) / keep_prob


class SwinTransformerBlock(nn.Module):
    """(B, H, W, C) to the same."""

    def __init__(
        self, dim, num_heads, window_size, shift_size, drop_path, mlp_ratio, drop, attn_drop
    ):
        super().__init__()
        self.window_size, self.shift_size = window_size, shift_size
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads, attn_drop, drop)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop)

    def forward(self, x):
        x = x + self.drop_path(self.window_attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def window_attention(self, x):
        _, H, W, _ = x.shape
        M = self.window_size
        x = pad_to_windows(x, M)
        padded_H, padded_W = x.shape[1:3]
        # An axis that a single window covers has no other window to meet.
        sh, sw = (self.shift_size if M < n else 0 for n in (padded_H, padded_W))
        mask = shifted_window_mask(padded_H, padded_W, M, (sh, sw)) if sh or sw else None

        x = torch.roll(x, (-sh, -sw), (1, 2))
        windows = self.attn(window_partition(x, M), mask)
        x = window_reverse(windows, M, padded_H, padded_W)
        x = torch.roll(x, (sh, sw), (1, 2))
        return x[:, :H, :W]


class PatchMerging(nn.Module):
    """Four neighbours become one token: (B, H, W, C) to (B, H/2, W/2, 2C)."""

    def __init__(self, dim):
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x):
        x = pad_to_windows(x, 2)
        x = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        x = torch.cat(x, dim=-1)  # (B, H/2, W/2, 4C)
        return self.reduction(self.norm(x))


class BasicLayer(nn.Module):
    """A stage: blocks without and with a shift in turn, then a merging, except in the last."""

    def __init__(self, dim, num_heads, window_size, drop_path_rates, last, **options):
        super().__init__()
        self.blocks = nn.ModuleList()
        for i, rate in enumerate(drop_path_rates):
            shift_size = 0 if i % 2 == 0 else window_size // 2
            block = SwinTransformerBlock(dim, num_heads, window_size, shift_size, rate, **options)
            self.blocks.append(block)
        self.downsample = None if last else PatchMerging(dim)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


# --- 4. The model ---------------------------------------------------------------------------------


class SwinTransformer(nn.Module):
    """Pictures (B, 3, H, W) of any size to class scores (B, num_classes). Swin-T by default."""

    def __init__(
        self,
        patch_size=4,
        in_chans=3,
        num_classes=1000,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        mlp_ratio=4.0,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
    ):
        super().__init__()
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.pos_drop = nn.Dropout(drop_rate)
        options = dict(mlp_ratio=mlp_ratio, drop=drop_rate, attn_drop=attn_drop_rate)
        # The deeper a block, the more often its branches are left out: from never to the full rate.
        steps = max(1, sum(depths) - 1)
        rates = [drop_path_rate * i / steps for i in range(sum(depths))]
        self.layers = nn.ModuleList()
        for i, depth in enumerate(depths):
            dim, last = embed_dim * 2**i, i == len(depths) - 1
            of_stage = rates[sum(depths[:i]) :][:depth]
            layer = BasicLayer(dim, num_heads[i], window_size, of_stage, last, **options)
            self.layers.append(layer)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def no_weight_decay_keywords(self):
        return {"relative_position_bias_table"}

    def forward(self, x):
        x = self.pos_drop(self.patch_embed(x))
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x).mean(dim=(1, 2))  # one vector for each picture
        return self.head(x)
