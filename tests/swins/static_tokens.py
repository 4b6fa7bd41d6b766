"""As the official code does it: tokens (B, L, C), and every module knows its one resolution."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class WindowAttention(nn.Module):
    def __init__(self, dim, window_size, num_heads, attn_drop=0.0, proj_drop=0.0):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        M = window_size
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * M - 1) ** 2, num_heads))
        grid = torch.stack(torch.meshgrid(torch.arange(M), torch.arange(M), indexing="ij"))
        grid = grid.flatten(1)
        offsets = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + M - 1
        index = offsets[..., 0] * (2 * M - 1) + offsets[..., 1]
        self.register_buffer("relative_position_index", index)
        self.qkv = nn.Linear(dim, dim * 3)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x, mask=None):
        B_, N, C = x.shape
        qkv = self.qkv(x).reshape(B_, N, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0] * self.scale, qkv[1], qkv[2]
        attn = q @ k.transpose(-2, -1)
        index = self.relative_position_index.view(-1)
        bias = self.relative_position_bias_table[index].view(N, N, -1).permute(2, 0, 1)
        attn = attn + bias[None]
        if mask is not None:
            attn = attn.view(-1, len(mask), self.num_heads, N, N) + mask[None, :, None]
            attn = attn.view(-1, self.num_heads, N, N)
        attn = self.attn_drop(attn.softmax(-1))
        x = (attn @ v).transpose(1, 2).reshape(B_, N, C)
        return self.proj_drop(self.proj(x))


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape[0], 1, 1).add(1 - self.p).floor()
        return x.div(1 - self.p) * keep


class Mlp(nn.Module):
    def __init__(self, dim, drop):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


class SwinTransformerBlock(nn.Module):
    def __init__(self, dim, resolution, heads, M, shift, drop, attn_drop, drop_path):
        super().__init__()
        self.resolution, self.M = resolution, M
        self.shift = shift if min(resolution) > M else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, M, heads, attn_drop, drop)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, drop)
        mask = None
        if self.shift:
            H, W = resolution
            count, image = 0, torch.zeros(1, H, W, 1)
            slices = slice(0, -M), slice(-M, -self.shift), slice(-self.shift, None)
            for rows in slices:
                for columns in slices:
                    image[:, rows, columns] = count
                    count += 1
            ids = self.partition(image).squeeze(-1)
            mask = ids[:, None] - ids[:, :, None]
            mask = mask.masked_fill(mask != 0, -100.0)
        self.register_buffer("attn_mask", mask)

    def partition(self, x):
        B, H, W, C = x.shape
        x = x.view(B, H // self.M, self.M, W // self.M, self.M, C)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.M * self.M, C)

    def forward(self, x):
        H, W = self.resolution
        B, L, C = x.shape
        assert L == H * W, "input feature has wrong size"
        shortcut, s, M = x, self.shift, self.M
        x = self.norm1(x).view(B, H, W, C)
        x = torch.roll(x, (-s, -s), (1, 2))
        x = self.attn(self.partition(x), self.attn_mask)
        x = x.view(B, H // M, W // M, M, M, C).permute(0, 1, 3, 2, 4, 5).reshape(B, H, W, C)
        x = torch.roll(x, (s, s), (1, 2)).view(B, L, C)
        x = shortcut + self.drop_path(x)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    def __init__(self, resolution, dim):
        super().__init__()
        self.resolution = resolution
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x):
        (H, W), (B, _, C) = self.resolution, x.shape
        x = x.view(B, H, W, C)
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, -1).view(B, -1, 4 * C)))


class PatchEmbed(nn.Module):
    def __init__(self, patch_size, in_chans, embed_dim):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x):
        return self.norm(self.proj(x).flatten(2).transpose(1, 2))


class BasicLayer(nn.Module):
    def __init__(self, dim, resolution, depth, heads, M, rates, last, drop, attn_drop):
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinTransformerBlock(
                dim, resolution, heads, M, M // 2 * (i % 2), drop, attn_drop, rates[i]
            )
            for i in range(depth)
        )
        self.downsample = None if last else PatchMerging(resolution, dim)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class SwinTransformer(nn.Module):
    def __init__(
        self,
        img_size=224,
        patch_size=4,
        in_chans=3,
        num_classes=1000,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
    ):
        super().__init__()
        self.patch_embed = PatchEmbed(patch_size, in_chans, embed_dim)
        self.pos_drop = nn.Dropout(drop_rate)
        side, n = img_size // patch_size, len(depths)
        rates = [x.item() for x in torch.linspace(0, drop_path_rate, sum(depths))]
        self.layers = nn.ModuleList()
        for i in range(n):
            some, rates = rates[: depths[i]], rates[depths[i] :]
            dim, size = embed_dim * 2**i, (side // 2**i, side // 2**i)
            self.layers.append(
                BasicLayer(
                    *(dim, size, depths[i], num_heads[i], window_size, some, i == n - 1),
                    *(drop_rate, attn_drop_rate),
                )
            )
        self.norm = nn.LayerNorm(embed_dim * 2 ** (n - 1))
        self.avgpool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(embed_dim * 2 ** (n - 1), num_classes)
        self.apply(self._init_weights)

    def _init_weights(self, m):
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            if m.bias is not None:
                nn.init.constant_(m.bias, 0)

    def no_weight_decay(self):
        return {"absolute_pos_embed"}

    def no_weight_decay_keywords(self):
        return {"relative_position_bias_table"}

    def forward(self, x):
        x = self.pos_drop(self.patch_embed(x))
        for layer in self.layers:
            x = layer(x)
        x = self.avgpool(self.norm(x).transpose(1, 2))
        return self.head(torch.flatten(x, 1))
