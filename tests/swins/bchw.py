"""Maps are (B, C, H, W) all the way: 1x1 convolutions for linear layers, a norm over channels."""

import torch
import torch.nn.functional as F
from torch import nn


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def windows_of(x, M):
    """(B, C, H, W) to (B * windows, C, M * M)."""
    B, C, H, W = x.shape
    x = x.unfold(2, M, M).unfold(3, M, M)  # (B, C, H/M, W/M, M, M)
    return x.permute(0, 2, 3, 1, 4, 5).reshape(-1, C, M * M)


def map_of(windows, M, H, W):
    C = windows.shape[1]
    x = windows.reshape(-1, H // M, W // M, C, M, M)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, C, H, W)


class Attention(nn.Module):
    def __init__(self, width, heads, M, attn_drop, drop):
        super().__init__()
        self.heads, self.M = heads, M
        self.bias_table = nn.Parameter(torch.empty((2 * M - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.to_qkv = nn.Conv2d(width, 3 * width, 1)
        self.to_out = nn.Conv2d(width, width, 1)
        self.attn_drop, self.drop = nn.Dropout(attn_drop), nn.Dropout(drop)
        place = torch.cartesian_prod(torch.arange(M), torch.arange(M))
        offset = place[:, None] - place[None] + M - 1
        self.index = offset[..., 0] * (2 * M - 1) + offset[..., 1]

    def forward(self, x, labels):
        H, W = x.shape[2:]
        qkv = windows_of(self.to_qkv(x), self.M)  # (b, 3C, N)
        q, k, v = qkv.unflatten(1, (3, self.heads, -1)).unbind(1)  # (b, heads, d, N)
        scores = torch.einsum("bhdi,bhdj->bhij", q, k) / q.shape[2] ** 0.5
        scores = scores + self.bias_table[self.index].movedim(2, 0)
        if labels is not None:
            label = windows_of(labels, self.M)  # (windows, 1, N)
            strangers = (label != label.transpose(1, 2))[:, None]
            strangers = strangers.repeat(len(scores) // len(strangers), 1, 1, 1)
            scores = scores.masked_fill(strangers, float("-inf"))
        weights = self.attn_drop(scores.softmax(-1))
        out = torch.einsum("bhij,bhdj->bhdi", weights, v).flatten(1, 2)
        return self.drop(self.to_out(map_of(out, self.M, H, W)))


class Block(nn.Module):
    def __init__(self, width, heads, M, shift, rate, drop, attn_drop):
        super().__init__()
        self.M, self.shift, self.rate = M, shift, rate
        self.attn_norm = ChannelNorm(width)
        self.attention = Attention(width, heads, M, attn_drop, drop)
        self.mlp_norm = ChannelNorm(width)
        self.mlp = nn.Sequential(
            nn.Conv2d(width, 4 * width, 1),
            nn.GELU(),
            nn.Dropout(drop),
            nn.Conv2d(4 * width, width, 1),
            nn.Dropout(drop),
        )

    def branch(self, x):
        if self.training and self.rate > 0:
            keep = torch.rand(len(x), 1, 1, 1) >= self.rate
            x = x * keep / (1 - self.rate)
        return x

    def forward(self, x):
        H, W = x.shape[2:]
        y = F.pad(self.attn_norm(x), (0, -W % self.M, 0, -H % self.M))
        size = y.shape[2:]
        shift = [self.shift if n > self.M else 0 for n in size]
        labels = None
        if any(shift):
            rows, columns = (self.label(n, s) for n, s in zip(size, shift, strict=True))
            labels = (10.0 * rows[:, None] + 1.0 * columns).view(1, 1, *size)
            y = y.roll([-s for s in shift], (2, 3))
        y = self.attention(y, labels)
        if any(shift):
            y = y.roll(shift, (2, 3))
        x = x + self.branch(y[:, :, :H, :W])
        return x + self.branch(self.mlp(self.mlp_norm(x)))

    def label(self, n, s):
        """Whether what stands at each place of the rolled axis came round."""
        return torch.arange(n) >= n - s


class Merge(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = ChannelNorm(4 * width)
        self.proj = nn.Conv2d(4 * width, 2 * width, 1, bias=False)

    def forward(self, x):
        H, W = x.shape[2:]
        x = F.pad(x, (0, W % 2, 0, H % 2))
        parts = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.proj(self.norm(torch.cat(parts, 1)))


class SwinTransformer(nn.Module):
    def __init__(
        self,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        patch_size=4,
        in_chans=3,
        num_classes=1000,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
    ):
        super().__init__()
        self.patch_size = patch_size
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, embed_dim, patch_size, patch_size),
            ChannelNorm(embed_dim),
            nn.Dropout(drop_rate),
        )
        rates = torch.linspace(0, drop_path_rate, sum(depths)).tolist()
        self.body = nn.Sequential()
        width = embed_dim
        for i, depth in enumerate(depths):
            if i:
                self.body.append(Merge(width))
                width *= 2
            for j in range(depth):
                shift = window_size // 2 if j % 2 else 0
                rate = rates.pop(0)
                self.body.append(
                    Block(width, num_heads[i], window_size, shift, rate, drop_rate, attn_drop_rate)
                )
        self.norm = ChannelNorm(width)
        self.classifier = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear) or getattr(module, "kernel_size", None) == (1, 1):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def no_weight_decay_keywords(self):
        return {"bias_table"}

    def forward(self, x):
        H, W = x.shape[2:]
        x = F.pad(x, (0, -W % self.patch_size, 0, -H % self.patch_size))
        return self.classifier(self.norm(self.body(self.stem(x))).mean((2, 3)))
