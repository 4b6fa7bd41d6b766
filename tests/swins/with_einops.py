"""Every reshape by einops, residuals as wrappers, and windows cut before queries and keys."""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import einsum, nn


class Residual(nn.Module):
    """x + a branch behind its norm, left out for some pictures in training."""

    def __init__(self, dim, fn, rate):
        super().__init__()
        self.norm, self.fn, self.rate = nn.LayerNorm(dim), fn, rate

    def forward(self, x):
        y = self.fn(self.norm(x))
        if self.training and self.rate:
            y = F.dropout(torch.ones_like(y[:, :1, :1, :1]), self.rate) * y
        return x + y


class Attention(nn.Module):
    def __init__(self, dim, heads, m, shift, attn_drop, drop):
        super().__init__()
        self.heads, self.m, self.shift = heads, m, shift
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.pos = nn.Parameter(torch.empty((2 * m - 1) ** 2, heads))
        nn.init.trunc_normal_(self.pos, std=0.02)
        self.to_out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(drop))
        self.attn_drop = nn.Dropout(attn_drop)

    def forward(self, x):
        (_, h, w, _), m = x.shape, self.m
        x = F.pad(x, (0, 0, 0, -w % m, 0, -h % m))
        H, W = x.shape[1:3]
        sh, sw = self.shift * (H > m), self.shift * (W > m)
        x = torch.roll(x, (-sh, -sw), (1, 2))
        cut = dict(y=m, x=m)
        q, k, v = rearrange(
            self.to_qkv(x),
            "b (i y) (j x) (three h d) -> three b (i j) h (y x) d",
            three=3,
            h=self.heads,
            **cut,
        )
        dots = einsum("b w h n d, b w h m d -> b w h n m", q, k) * q.shape[-1] ** -0.5
        dots = dots + rearrange(self.pos[self.index()], "n m h -> h n m")
        # Whoever came round has a label of its own, along either axis.
        rows, columns = torch.arange(H) >= H - sh, torch.arange(W) >= W - sw
        label = repeat(rows.int(), "h -> h w", w=W) + 2 * repeat(columns.int(), "w -> h w", h=H)
        label = rearrange(label, "(i y) (j x) -> (i j) (y x)", **cut)
        apart = rearrange(label, "w n -> w 1 n 1") != rearrange(label, "w n -> w 1 1 n")
        weights = self.attn_drop(dots.masked_fill(apart, -1e9).softmax(-1))
        out = einsum("b w h n m, b w h m d -> b w h n d", weights, v)
        out = rearrange(out, "b (i j) h (y x) d -> b (i y) (j x) (h d)", i=H // m, **cut)
        out = torch.roll(self.to_out(out), (sh, sw), (1, 2))
        return out[:, :h, :w]

    def index(self):
        m = self.m
        y = repeat(torch.arange(m), "y -> (y x)", x=m)
        x = repeat(torch.arange(m), "x -> (y x)", y=m)
        return (y[:, None] - y + m - 1) * (2 * m - 1) + (x[:, None] - x + m - 1)


class Merging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = rearrange(x, "b (h y) (w x) c -> b h w (x y c)", y=2, x=2)
        return self.linear(self.norm(x))


class SwinTransformer(nn.Module):
    def __init__(
        self,
        *,
        hidden_dim=96,
        depths=(2, 2, 6, 2),
        heads=(3, 6, 12, 24),
        window_size=7,
        patch_size=4,
        channels=3,
        n_classes=1000,
        dropout=0.0,
        attn_dropout=0.0,
        drop_path=0.1,
    ):
        super().__init__()
        self.p, d = patch_size, hidden_dim
        self.embed = nn.Conv2d(channels, d, patch_size, patch_size)
        self.embed_norm = nn.LayerNorm(d)
        self.drop = nn.Dropout(dropout)
        n, stages = 0, []
        for i, (depth, h) in enumerate(zip(depths, heads, strict=True)):
            layers = [] if i == 0 else [Merging(d)]
            d = d if i == 0 else 2 * d
            for j in range(depth):
                rate = drop_path * n / max(1, sum(depths) - 1)
                shift = window_size // 2 * (j % 2)
                mlp = nn.Sequential(
                    *(nn.Linear(d, 4 * d), nn.GELU(), nn.Dropout(dropout)),
                    *(nn.Linear(4 * d, d), nn.Dropout(dropout)),
                )
                attention = Attention(d, h, window_size, shift, attn_dropout, dropout)
                layers.append(nn.Sequential(Residual(d, attention, rate), Residual(d, mlp, rate)))
                n += 1
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.final = nn.LayerNorm(d)
        self.mlp_head = nn.Linear(d, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def no_weight_decay(self):
        return {name for name, _ in self.named_parameters() if name.endswith("pos")}

    def forward(self, image):
        h, w = image.shape[2:]
        x = self.embed(F.pad(image, (0, -w % self.p, 0, -h % self.p)))
        x = self.drop(self.embed_norm(rearrange(x, "b c h w -> b h w c")))
        x = self.final(self.stages(x))
        return self.mlp_head(x.mean((1, 2)))
