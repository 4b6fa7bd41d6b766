"""Lesson 07: the Swin Transformer, from the window's attention to the named sizes.

Module and parameter names are the official ones, so an official checkpoint loads with nothing
renamed. No module stores a resolution: the shape of a feature map ``(B, H, W, C)`` carries it.
"""

import torch
from torch import Tensor, fx, nn
from torch.utils.checkpoint import checkpoint

from swinlib._checks import (
    check_feature_map,
    check_flags,
    check_int,
    check_ints,
    check_layers,
    check_number,
    check_rate,
    check_tensor,
    narrow_stage,
    to_pair,
    to_shift,
    without_checks,
)
from swinlib._masks import mask_for
from swinlib.attention import MultiHeadSelfAttention, attention, fused_attention
from swinlib.merging import PatchMerging
from swinlib.patches import PatchEmbed
from swinlib.position import relative_position_bias, relative_position_index
from swinlib.shift import cyclic_shift, reverse_cyclic_shift
from swinlib.windows import pad_to_multiple, window_partition, window_reverse

# A block checks its map once. The steps on the map's way through it need no check of their own.
pad_to_multiple, window_partition, window_reverse = without_checks(
    pad_to_multiple, window_partition, window_reverse
)
cyclic_shift, reverse_cyclic_shift = without_checks(cyclic_shift, reverse_cyclic_shift)
attention, relative_position_bias = without_checks(attention, relative_position_bias)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, applied to every token alone.

    Args:
        in_features: numbers in a token.
        hidden_features: numbers between the layers; default in_features.
        out_features: numbers that come out; default in_features.
        act_layer: the non-linearity.
        drop: dropout probability, after either layer.

    Source: paper, section 3.1 ("a 2-layer MLP with GELU non-linearity in between").
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        act_layer=nn.GELU,
        drop: float = 0.0,
    ):
        super().__init__()
        hidden_features = in_features if hidden_features is None else hidden_features
        out_features = in_features if out_features is None else out_features
        check_int("in_features", in_features)
        check_int("hidden_features", hidden_features)
        check_int("out_features", out_features)
        check_layers(act_layer=act_layer)
        check_rate("drop", drop)
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden_features, out_features)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.act(self.fc1(x)))
        return self.drop(self.fc2(x))


class DropPath(nn.Module):
    """Stochastic depth: in training, drop a whole branch for some pictures of the batch.

    What is kept is divided by the probability of keeping it, so the expected value stays.

    Args:
        drop_prob: probability of dropping, per picture.

    Source: Huang et al. 2016, "Deep Networks with Stochastic Depth"; timm's `DropPath`, which the
    official code uses.
    """

    def __init__(self, drop_prob: float = 0.0):
        super().__init__()
        check_rate("drop_prob", drop_prob)
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop_prob == 0.0:
            return x
        keep_prob = 1 - self.drop_prob
        one_per_picture = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * x.new_empty(one_per_picture).bernoulli_(keep_prob) / keep_prob

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob:.3f}"


class WindowAttention(MultiHeadSelfAttention):
    """Multi-head self-attention inside windows, with a relative position bias (W-MSA, SW-MSA).

    Args:
        dim: C, the numbers in a token; a multiple of num_heads.
        window_size: M, or (Mh, Mw), in tokens.
        num_heads: heads.
        qkv_bias, qk_scale, attn_drop, proj_drop: as in `MultiHeadSelfAttention`.

    Source: paper, equation 4; `WindowAttention` of the official code.
    """

    def __init__(
        self,
        dim: int,
        window_size: int | tuple[int, int],
        num_heads: int,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ):
        super().__init__(dim, num_heads, qkv_bias, qk_scale, attn_drop, proj_drop)
        self.window_size = to_pair("window_size", window_size)
        mh, mw = self.window_size
        table = torch.empty((2 * mh - 1) * (2 * mw - 1), num_heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_position_index(window_size))

    def forward(self, x: Tensor, mask: Tensor | None = None, return_weights: bool = False):
        """Attend inside every window.

        Args:
            x: windows laid out as tokens, ``(B*num_windows, Mh*Mw, C)``.
            mask: ``(num_windows, Mh*Mw, Mh*Mw)`` from `shifted_window_mask`; None for none.
            return_weights: also return the weights ``(B*num_windows, num_heads, N, N)``.

        Raises:
            TypeError: x is no tensor.
            ValueError: x is not of this shape, or its windows are not whole pictures of the mask's.
        """
        N, dim, heads = self.window_size[0] * self.window_size[1], self.dim, self.num_heads
        check_windows(x, mask, N, dim)
        qkv = self.qkv(x).view(-1, N, 3, heads, dim // heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B*num_windows, num_heads, N, head_dim)

        bias = relative_position_bias(
            self.relative_position_bias_table, self.relative_position_index
        )
        bias = add_mask(bias, mask, like=q)

        dropout_p = self.attn_drop.p if self.training else 0.0
        if return_weights:
            out, weights = attention(q, k, v, bias=bias, scale=self.scale, dropout_p=dropout_p)
        else:
            out = fused_attention(q, k, v, bias=bias, scale=self.scale, dropout_p=dropout_p)

        out = out.transpose(1, 2).reshape(-1, N, dim)  # the heads side by side again
        out = self.proj_drop(self.proj(out))
        return (out, weights) if return_weights else out


def check_windows(x: Tensor, mask: Tensor | None, N: int, dim: int) -> None:
    """Refuse what are not windows ``(B*num_windows, N, dim)``, or do not fit a mask."""
    check_tensor("x", x)
    if x.ndim != 3 or tuple(x.shape[1:]) != (N, dim):
        raise ValueError(
            f"x must be (B*num_windows, {N}, C) with C = {dim}, got shape {tuple(x.shape)}"
        )
    if mask is not None and (
        tuple(mask.shape[1:]) != (N, N) or not mask.shape[0] or x.shape[0] % mask.shape[0]
    ):
        raise ValueError(
            f"mask {tuple(mask.shape)} does not fit {x.shape[0]} windows of {N} tokens"
        )


def add_mask(bias: Tensor, mask: Tensor | None, like: Tensor) -> Tensor:
    """Bias (num_heads, N, N) and mask (num_windows, N, N) as one term to add to the scores.

    ``(1 or B*num_windows, num_heads, N, N)``, for queries such as `like`, and in their dtype: under
    autocast the scores are in half precision.
    """
    if mask is None:
        return bias[None].to(like.dtype)
    term = (bias + mask[:, None]).to(like.dtype)
    return term.repeat(like.shape[0] // mask.shape[0], 1, 1, 1)  # once for every picture


def shift_that_fits(H: int, W: int, window_size, shift_size) -> tuple[int, int]:
    """The shift on a padded map of H x W: 0 along an axis that one window covers."""
    (sh, sw), (mh, mw) = shift_size, window_size
    return (sh if mh < H else 0, sw if mw < W else 0)


class SwinTransformerBlock(nn.Module):
    """Attention in windows and an MLP, each behind a norm and beside its own residual.

        z = x + W-MSA(LN(x))
        y = z + MLP(LN(z))

    Maps of any size: padded to whole windows (the padding is attended like any token, as in
    torchvision), and cropped again. On an axis where one window covers the padded map nothing is
    shifted, since there is no other window to meet.

    Args:
        dim: C, channels of the feature map.
        num_heads: heads of the attention.
        window_size: M, or (Mh, Mw), in tokens.
        shift_size: 0 for W-MSA, usually M // 2 for SW-MSA; one number or (height, width).
        mlp_ratio: hidden width of the MLP over C.
        qkv_bias, qk_scale: as in `MultiHeadSelfAttention`.
        drop: dropout probability of the projections.
        attn_drop: dropout probability of the attention weights.
        drop_path: probability of dropping a branch, per picture.
        act_layer: non-linearity of the MLP.
        norm_layer: the norm in front of either branch.

    Raises:
        TypeError: an argument of another type.
        ValueError: the shift is not below the window; a number out of its range; forward: x is not
            ``(B, H, W, dim)``.

    Source: paper, equation 3; `SwinTransformerBlock` of the official code.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int | tuple[int, int] = 7,
        shift_size: int | tuple[int, int] = 0,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        act_layer=nn.GELU,
        norm_layer=nn.LayerNorm,
    ):
        super().__init__()
        check_int("dim", dim)
        check_number("mlp_ratio", mlp_ratio)
        check_rate("drop", drop)
        check_rate("drop_path", drop_path)
        check_layers(norm_layer=norm_layer)
        if int(dim * mlp_ratio) < 1:
            raise ValueError(f"mlp_ratio={mlp_ratio} leaves nothing of dim={dim} in the MLP")
        self.dim = dim
        self.window_size = to_pair("window_size", window_size)
        self.shift_size = to_shift("shift_size", shift_size)
        if any(s >= m for s, m in zip(self.shift_size, self.window_size, strict=True)):
            raise ValueError(f"shift_size={shift_size} must be below window_size={window_size}")
        self.norm1 = norm_layer(dim)
        self.attn = WindowAttention(
            dim, self.window_size, num_heads, qkv_bias, qk_scale, attn_drop, drop
        )
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), act_layer=act_layer, drop=drop)

    def forward(self, x: Tensor) -> Tensor:
        check_feature_map("x", x, self.dim)
        x = x + self.drop_path(self.window_attention(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def window_attention(self, x: Tensor) -> Tensor:
        """Pad, roll, cut into windows, attend, and all of it back: ``(B, H, W, C)`` to the same."""
        _, H, W, _ = x.shape
        x = pad_to_multiple(x, self.window_size)
        padded_H, padded_W = x.shape[1:3]
        shift_size = self.shift_that_fits(padded_H, padded_W)
        mask = self.attn_mask(padded_H, padded_W, shift_size, like=x)

        x = cyclic_shift(x, shift_size)
        windows = window_partition(x, self.window_size).flatten(1, 2)  # (B*num_windows, Mh*Mw, C)
        windows = self.attn(windows, mask).unflatten(1, self.window_size)
        x = window_reverse(windows, self.window_size, padded_H, padded_W)
        x = reverse_cyclic_shift(x, shift_size)

        return x[:, :H, :W]

    def shift_that_fits(self, H: int, W: int) -> tuple[int, int]:
        """The shift on a padded map of H x W: 0 along an axis that one window covers."""
        return shift_that_fits(H, W, self.window_size, self.shift_size)

    def attn_mask(self, H: int, W: int, shift_size: tuple[int, int], like: Tensor) -> Tensor | None:
        """The mask for a padded map of H x W rolled by `shift_size`, None where nothing is rolled.

        On the device and in the dtype of `like`.
        """
        return mask_for(H, W, self.window_size, shift_size, like.device, like.dtype)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, window_size={self.window_size}, shift_size={self.shift_size}"


class BasicLayer(nn.Module):
    """One stage: blocks in pairs, first without and then with the shift, and perhaps a merging.

    Args:
        dim: C, channels of the feature map that comes in.
        depth: number of blocks; every second one is shifted by half a window.
        num_heads, window_size, mlp_ratio, qkv_bias, qk_scale, drop, attn_drop, norm_layer: as in
            `SwinTransformerBlock`.
        drop_path: one probability, or one for each block.
        downsample: `PatchMerging`, or None for the last stage.
        use_checkpoint: in training keep only the blocks' inputs and compute the rest again in the
            backward pass: less memory for more time.

    Raises:
        TypeError: an argument of another type.
        ValueError: depth below 1, or another number of drop_path probabilities.

    Source: `BasicLayer` of the official code.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        window_size: int | tuple[int, int],
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float | list[float] = 0.0,
        norm_layer=nn.LayerNorm,
        downsample=None,
        use_checkpoint: bool = False,
    ):
        super().__init__()
        check_int("depth", depth)
        check_flags(use_checkpoint=use_checkpoint)
        if not isinstance(drop_path, (list, tuple)):
            drop_path = [drop_path] * depth
        if len(drop_path) != depth:
            raise ValueError(f"drop_path must have {depth} probabilities, got {len(drop_path)}")
        window_size = to_pair("window_size", window_size)
        half_a_window = (window_size[0] // 2, window_size[1] // 2)
        self.blocks = nn.ModuleList(
            SwinTransformerBlock(
                dim,
                num_heads,
                window_size,
                shift_size=0 if i % 2 == 0 else half_a_window,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop=drop,
                attn_drop=attn_drop,
                drop_path=drop_path[i],
                norm_layer=norm_layer,
            )
            for i in range(depth)
        )
        if downsample is not None:
            check_layers(downsample=downsample)
            downsample = downsample(dim, norm_layer)
        self.downsample = downsample
        self.use_checkpoint = use_checkpoint

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_blocks(x)
        return x if self.downsample is None else self.downsample(x)

    def forward_blocks(self, x: Tensor) -> Tensor:
        """All blocks and no merging: the stage's map at its own resolution, ``(B, H, W, dim)``."""
        for block in self.blocks:
            if self.use_checkpoint and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x


class SwinTransformer(nn.Module):
    """Swin Transformer for images ``(B, in_chans, H, W)`` of any size from 1x1 up.

    Args:
        img_size: size of the position embedding's images, in pixels, one number or (height,
            width); only used with ape=True.
        patch_size: P, or (Ph, Pw), in pixels.
        in_chans: channels of the image.
        num_classes: numbers that the head gives; 0 for no head.
        embed_dim: C, channels of the first stage; each further stage has twice as many.
        depths: number of blocks in each stage.
        num_heads: heads in each stage.
        window_size: M, or (Mh, Mw), in tokens.
        mlp_ratio: hidden width of the MLPs over the channels.
        qkv_bias: whether queries, keys and values have a learnable bias.
        qk_scale: factor on the scores; default ``head_dim ** -0.5``.
        drop_rate: dropout probability of tokens, projections and MLPs.
        attn_drop_rate: dropout probability of attention weights.
        drop_path_rate: probability of dropping a branch in the last block; it grows linearly
            from 0 in the first.
        norm_layer: the norm used everywhere.
        ape: add an absolute position embedding to the tokens; then all images have `img_size`.
        patch_norm: norm after the patch embedding.
        use_checkpoint: as in `BasicLayer`.
        out_indices: stages, counted from 0, whose maps a detection or segmentation head takes. The
            model is a backbone then: a norm for each of these maps (`norm0`, ...) and no head, and
            calling it gives what `forward_stages` gives.

    Attributes:
        num_features: channels of the features: one number, or with out_indices one for each stage.

    Raises:
        TypeError: an argument of another type; forward: images that are not floating point.
        ValueError: depths and num_heads of different lengths; widths that the heads do not divide;
            window or patch size below 1; rates outside [0, 1); out_indices that are no stages, or
            not in order; forward: images of another shape.

    Source: paper, section 3; `SwinTransformer` of the official code, and of the official detection
    code for out_indices.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 4,
        in_chans: int = 3,
        num_classes: int = 1000,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int | tuple[int, int] = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        norm_layer=nn.LayerNorm,
        ape: bool = False,
        patch_norm: bool = True,
        use_checkpoint: bool = False,
        out_indices: tuple[int, ...] | None = None,
    ):
        super().__init__()
        check_ints("depths", depths)
        check_ints("num_heads", num_heads)
        check_int("num_classes", num_classes, minimum=0)
        check_int("embed_dim", embed_dim)
        check_rate("drop_rate", drop_rate)
        check_rate("attn_drop_rate", attn_drop_rate)
        check_rate("drop_path_rate", drop_path_rate)
        check_flags(ape=ape, patch_norm=patch_norm)
        img_size = to_pair("img_size", img_size)
        if len(depths) != len(num_heads) or not depths:
            raise ValueError(
                "depths and num_heads must have one number for each stage, "
                f"got depths={depths}, num_heads={num_heads}"
            )
        if (i := narrow_stage(embed_dim, num_heads)) is not None:
            raise ValueError(
                f"embed_dim={embed_dim} makes stage {i + 1} {embed_dim * 2**i} wide, which must be "
                f"a positive multiple of its heads, got num_heads={num_heads}"
            )
        if out_indices is not None:
            check_ints("out_indices", out_indices, minimum=0)
            stages = [i for i in range(len(depths)) if i in out_indices]
            if not stages or list(out_indices) != stages:
                raise ValueError(
                    f"out_indices must be different stages, in order, from 0 to {len(depths) - 1}, "
                    f"got {out_indices}"
                )
        self.embed_dim = embed_dim
        self.out_indices = None if out_indices is None else tuple(out_indices)
        widths = tuple(embed_dim * 2**i for i in range(len(depths)))
        self.num_features = widths[-1] if out_indices is None else widths

        self.patch_embed = PatchEmbed(
            patch_size, in_chans, embed_dim, norm_layer if patch_norm else None
        )
        self.absolute_pos_embed = None
        if ape:
            self.img_size = img_size
            self.grid_size = tuple(
                -(-size // patch)
                for size, patch in zip(self.img_size, self.patch_embed.patch_size, strict=True)
            )
            embedding = torch.empty(1, self.grid_size[0] * self.grid_size[1], embed_dim)
            self.absolute_pos_embed = nn.Parameter(nn.init.trunc_normal_(embedding, std=0.02))
        self.pos_drop = nn.Dropout(drop_rate)

        # Stochastic depth: the deeper a block, the more often its branches are dropped.
        last_block = max(1, sum(depths) - 1)
        drop_path_rates = [drop_path_rate * i / last_block for i in range(sum(depths))]
        self.layers = nn.ModuleList()
        for i, depth in enumerate(depths):
            last = i == len(depths) - 1
            layer = BasicLayer(
                dim=widths[i],
                depth=depth,
                num_heads=num_heads[i],
                window_size=window_size,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop=drop_rate,
                attn_drop=attn_drop_rate,
                drop_path=drop_path_rates[sum(depths[:i]) : sum(depths[: i + 1])],
                norm_layer=norm_layer,
                downsample=None if last else PatchMerging,
                use_checkpoint=use_checkpoint,
            )
            self.layers.append(layer)

        if out_indices is None:
            self.norm = norm_layer(self.num_features)
            self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        else:
            for i in out_indices:
                self.add_module(f"norm{i}", norm_layer(widths[i]))
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(module: nn.Module) -> None:
        """The official initialisation, which leaves convolution and norms as PyTorch makes them."""
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def num_classes(self) -> int:
        """Numbers that the head gives, also of a head that was put there later; 0 for no head."""
        head = getattr(self, "head", nn.Identity())
        layers = [layer for layer in head.modules() if isinstance(layer, nn.Linear)]
        return layers[-1].out_features if layers else 0

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new head for other classes in place of the old one; 0 for no head."""
        check_int("num_classes", num_classes, minimum=0)
        if self.out_indices is not None:
            raise ValueError(f"a model with out_indices={self.out_indices} has no head")
        head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.head = head.apply(self._init_weights).to(next(self.parameters()))

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that weight decay should leave alone, for optimisers that ask."""
        names = {name for name, _ in self.named_parameters()}
        return {name for name in names if "relative_position_bias_table" in name} | (
            names & {"absolute_pos_embed"}
        )

    def no_weight_decay_keywords(self) -> set[str]:
        """Parts of names of parameters that weight decay should leave alone."""
        return {"relative_position_bias_table"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """Patterns by which timm numbers the layers, for rates that decay from the head down.

        A group for each block, the last of a stage with the merging behind it, or, if coarse, for
        each stage; the norms go with the last. As `get_swin_layer` of the official SimMIM.
        """
        blocks = [
            (r"^layers\.(\d+)\.blocks\.(\d+)", None),
            (r"^layers\.(\d+)\.downsample", (99999,)),  # timm's sign for "with those before"
            (r"^norm", (99999,)),
        ]
        stages = r"^layers\.(\d+)"
        return {
            "stem": r"^(?:patch_embed|absolute_pos_embed)",
            "blocks": stages if coarse else blocks,
        }

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Switch `use_checkpoint` of all stages; timm's name for it."""
        check_flags(enable=enable)
        for layer in self.layers:
            layer.use_checkpoint = enable

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs=None) -> None:
        """Hugging Face's name for `set_grad_checkpointing`; of its options there is no choice."""
        self.set_grad_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        self.set_grad_checkpointing(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, in_chans, H, W)`` to class scores ``(B, num_classes)``.

        With out_indices: to the list of maps of `forward_stages`.
        """
        if self.out_indices is not None:
            return self.forward_stages(images)
        return self.head(self.forward_features(images))

    def forward_features(self, images: Tensor) -> Tensor:
        """Images to one vector each, the mean over all places: ``(B, num_features)``."""
        if self.out_indices is not None:
            raise ValueError(
                f"a model with out_indices={self.out_indices} has features for each stage: "
                "forward_stages"
            )
        x = self.forward_embed(images)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x).mean(dim=(1, 2))

    def forward_stages(self, images: Tensor) -> list[Tensor]:
        """Images to the pyramid a detection or segmentation head takes.

        Returns:
            One map for each stage i, before its merging: ``(B, embed_dim * 2**i, h, w)``, with
            h = H / (patch_size * 2**i), rounded up at every halving. With out_indices only the maps
            of these stages, each behind its norm; else all, without norms.
        """
        x = self.forward_embed(images)
        stages = []
        for i, layer in enumerate(self.layers):
            x = layer.forward_blocks(x)
            if self.out_indices is None:
                stages.append(x.permute(0, 3, 1, 2))
            elif i in self.out_indices:
                stages.append(self.get_submodule(f"norm{i}")(x).permute(0, 3, 1, 2))
            if layer.downsample is not None:
                x = layer.downsample(x)
        return stages

    def forward_embed(self, images: Tensor) -> Tensor:
        """Images to tokens, before the first block: ``(B, h, w, embed_dim)``."""
        x = self.patch_embed(images)
        if self.absolute_pos_embed is not None:
            check_grid(images, x, self.grid_size, self.img_size)
            x = x + self.absolute_pos_embed.unflatten(1, self.grid_size)
        return self.pos_drop(x)


def check_grid(images: Tensor, x: Tensor, grid_size, img_size) -> None:
    """Refuse images whose map of tokens is not that of the position embedding."""
    if tuple(x.shape[1:3]) != grid_size:
        raise ValueError(
            f"images must be {img_size[0]}x{img_size[1]} as img_size says when ape=True, "
            f"got {images.shape[2]}x{images.shape[3]}"
        )


def _named(name: str, weights: str | None, **arguments) -> SwinTransformer:
    """The model that a published checkpoint fits, with its weights or without."""
    if weights is None:
        return SwinTransformer(**arguments)
    from swinlib import published  # which needs the model first

    return published.load(published.find(name, weights), SwinTransformer, **arguments)


def swin_tiny(drop_path_rate: float = 0.2, weights: str | None = None, **kwargs) -> SwinTransformer:
    """Swin-T: C = 96, blocks 2-2-6-2, 28.3 M parameters. Paper, section 3.3; keywords go to
    `SwinTransformer`; drop_path_rate as in the official ImageNet-1K training. With weights, such
    as "imagenet1k", a published checkpoint is downloaded once and loaded: see `published.find`."""
    return _named(
        "swin_tiny",
        weights,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        drop_path_rate=drop_path_rate,
        **kwargs,
    )


def swin_small(
    drop_path_rate: float = 0.3, weights: str | None = None, **kwargs
) -> SwinTransformer:
    """Swin-S: C = 96, blocks 2-2-18-2, 49.6 M parameters. As `swin_tiny`."""
    return _named(
        "swin_small",
        weights,
        embed_dim=96,
        depths=(2, 2, 18, 2),
        num_heads=(3, 6, 12, 24),
        drop_path_rate=drop_path_rate,
        **kwargs,
    )


def swin_base(drop_path_rate: float = 0.5, weights: str | None = None, **kwargs) -> SwinTransformer:
    """Swin-B: C = 128, blocks 2-2-18-2, 87.8 M parameters. As `swin_tiny`."""
    return _named(
        "swin_base",
        weights,
        embed_dim=128,
        depths=(2, 2, 18, 2),
        num_heads=(4, 8, 16, 32),
        drop_path_rate=drop_path_rate,
        **kwargs,
    )


def swin_large(
    drop_path_rate: float = 0.2, weights: str | None = None, **kwargs
) -> SwinTransformer:
    """Swin-L: C = 192, blocks 2-2-18-2, 196.5 M parameters. As `swin_tiny`, except that its
    drop_path_rate is that of the official ImageNet-22K pre-training."""
    return _named(
        "swin_large",
        weights,
        embed_dim=192,
        depths=(2, 2, 18, 2),
        num_heads=(6, 12, 24, 48),
        drop_path_rate=drop_path_rate,
        **kwargs,
    )


# Steps that look at sizes: for torch.fx, which has none when it traces, each is one node.
for step in (
    "add_mask",
    "attention",
    "check_feature_map",
    "check_grid",
    "check_windows",
    "cyclic_shift",
    "fused_attention",
    "mask_for",
    "pad_to_multiple",
    "relative_position_bias",
    "reverse_cyclic_shift",
    "shift_that_fits",
    "window_partition",
    "window_reverse",
):
    fx.wrap(step)
