"""Few modules, registered by kind, and PyTorch's fused attention with a mask of True and False."""

import torch
import torch.nn.functional as F
from torch import nn


class SwinTransformer(nn.Module):
    def __init__(
        self,
        num_classes=1000,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        in_chans=3,
        patch_size=4,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
    ):
        super().__init__()
        self.M, self.P, self.depths, self.heads = window_size, patch_size, depths, num_heads
        self.drop, self.attn_drop, self.drop_path = drop_rate, attn_drop_rate, drop_path_rate
        widths = [embed_dim * 2**i for i in range(len(depths))]
        blocks = [w for w, depth in zip(widths, depths, strict=True) for _ in range(depth)]
        heads = [h for h, depth in zip(num_heads, depths, strict=True) for _ in range(depth)]
        self.head = nn.Linear(widths[-1], num_classes)
        self.patches = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)
        self.patches_norm = nn.LayerNorm(embed_dim)
        self.merges = nn.ModuleList(nn.Linear(4 * w, 2 * w, bias=False) for w in widths[:-1])
        self.merge_norms = nn.ModuleList(nn.LayerNorm(4 * w) for w in widths[:-1])
        self.tables = nn.ParameterList(torch.zeros((2 * window_size - 1) ** 2, h) for h in heads)
        self.qkvs = nn.ModuleList(nn.Linear(w, 3 * w) for w in blocks)
        self.projs = nn.ModuleList(nn.Linear(w, w) for w in blocks)
        self.norms1 = nn.ModuleList(nn.LayerNorm(w) for w in blocks)
        self.ups = nn.ModuleList(nn.Linear(w, 4 * w) for w in blocks)
        self.downs = nn.ModuleList(nn.Linear(4 * w, w) for w in blocks)
        self.norms2 = nn.ModuleList(nn.LayerNorm(w) for w in blocks)
        self.last_norm = nn.LayerNorm(widths[-1])
        for table in self.tables:
            nn.init.trunc_normal_(table, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    no_weight_decay_keywords = {"tables"}

    def dropped(self, x, p):
        return F.dropout(x, p, self.training)

    def forward(self, x):
        H, W = x.shape[2:]
        x = self.patches(F.pad(x, (0, -W % self.P, 0, -H % self.P))).movedim(1, 3)
        x = self.dropped(self.patches_norm(x), self.drop)
        number = 0
        for stage, depth in enumerate(self.depths):
            for j in range(depth):
                rate = self.drop_path * number / max(1, sum(self.depths) - 1)
                x = x + self.sometimes(self.attend(self.norms1[number](x), number, stage, j), rate)
                hidden = self.dropped(F.gelu(self.ups[number](self.norms2[number](x))), self.drop)
                out = self.dropped(self.downs[number](hidden), self.drop)
                x = x + self.sometimes(out, rate)
                number += 1
            if stage < len(self.depths) - 1:
                x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
                x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, h, 2, w, 2, C)
                x = x.permute(0, 1, 3, 4, 2, 5).flatten(3)
                x = self.merges[stage](self.merge_norms[stage](x))
        return self.head(self.last_norm(x).mean((1, 2)))

    def sometimes(self, x, rate):
        if not self.training or not rate:
            return x
        return x * torch.bernoulli(torch.full((len(x), 1, 1, 1), 1 - rate)) / (1 - rate)

    def attend(self, x, number, stage, j):
        M, heads, (B, H, W, C) = self.M, self.heads[stage], x.shape
        x = F.pad(x, (0, 0, 0, -W % M, 0, -H % M))
        h, w = x.shape[1:3]
        shift = [M // 2 if j % 2 and n > M else 0 for n in (h, w)]
        # Numbers of the windows between the windows: equal where tokens may meet.
        rows, columns = ((torch.arange(n) - s) // M for n, s in ((h, shift[0]), (w, shift[1])))
        ids = (rows[:, None] * 1000 + columns).roll([-s for s in shift], (0, 1))
        ids = ids.view(h // M, M, w // M, M).transpose(1, 2).reshape(-1, M * M)
        may = (ids[:, :, None] == ids[:, None])[:, None]  # (windows, 1, N, N)

        x = x.roll([-s for s in shift], (1, 2))
        x = x.view(B, h // M, M, w // M, M, C).transpose(2, 3).reshape(-1, M * M, C)
        q, k, v = self.qkvs[number](x).unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        y, z = torch.arange(M * M) // M, torch.arange(M * M) % M
        index = (y[:, None] - y + M - 1) * (2 * M - 1) + z[:, None] - z + M - 1
        bias = self.tables[number][index].movedim(2, 0)
        bias = torch.where(may, bias, float("-inf")).repeat(B, 1, 1, 1)
        p = self.attn_drop if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, bias, p).transpose(1, 2).flatten(2)
        x = self.dropped(self.projs[number](x), self.drop)
        x = x.view(B, h // M, w // M, M, M, C).transpose(2, 3).reshape(B, h, w, C)
        return x.roll(shift, (1, 2))[:, :H, :W]
