"""Lesson 02: attention, and self-attention with several heads over all tokens at once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from swinlib._checks import (
    check_flags,
    check_heads,
    check_number,
    check_rate,
    check_tensor,
    checked,
)


@checked(q=check_tensor, k=check_tensor, v=check_tensor, dropout_p=check_rate)
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention that also returns its weights.

    The same numbers as `torch.nn.functional.scaled_dot_product_attention`, which is faster and
    keeps the weights to itself.

    Args:
        q: queries ``(..., N, d)``.
        k: keys ``(..., M, d)``.
        v: values ``(..., M, e)``.
        bias: added to the scores before the softmax; broadcastable to ``(..., N, M)``.
        scale: factor on the scores; default ``d ** -0.5``.
        dropout_p: probability of dropping a weight.

    Returns:
        The output ``(..., N, e)``, and the weights ``(..., N, M)``, whose rows add up to 1 (before
        dropout).

    Raises:
        TypeError: q, k or v is no tensor.
        ValueError: q, k and v do not share d and M, or dropout_p is not in [0, 1).

    Source: Vaswani et al. 2017, equation 1; Swin paper, equation 4, with its bias B.
    """
    flat = min(q.ndim, k.ndim, v.ndim) < 2
    if flat or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "q (..., N, d), k (..., M, d) and v (..., M, e) must share d and M, got shapes "
            f"{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
        )
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (q * scale) @ k.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    weights = F.dropout(scores.softmax(dim=-1), dropout_p)
    return weights @ v, weights


LARGEST_BATCH = 65_535  # of CUDA's fused kernels with a bias: pytorch/pytorch#142228
# Tokens up to which the plain form is taken where it is faster: with 0 here `make bench` shows the
# fused one. (More are no slower, but their weights would fill the memory.)
PLAIN_UP_TO = 144


def fused_attention(q, k, v, *, bias, scale, dropout_p: float = 0.0) -> Tensor:
    """The output of `attention` without its weights, by PyTorch's fused kernels where they pay.

    q, k, v: ``(B, num_heads, N, head_dim)``. bias: ``(1 or B, num_heads, N, N)`` or None.
    """
    N = q.shape[-2]
    # Compilers fuse the plain form as well. Timed once on an H200, compiled inference was faster
    # that way, and so was a training step with windows of 4 x 4, but not with those of 7 x 7.
    compiled = torch.compiler.is_compiling() and q.is_cuda
    plain = compiled and (N <= 16 or not torch.is_grad_enabled())
    plain = plain or (q.dtype == torch.bfloat16 and q.device.type == "cpu")
    if transformed() or (plain and N <= PLAIN_UP_TO):
        return attention(q, k, v, bias=bias, scale=scale, dropout_p=dropout_p)[0]
    # An exported batch has no size yet.
    if q.is_cuda and not exporting() and q.shape[0] > LARGEST_BATCH:
        half = q.shape[0] // 2
        parts = (slice(half), slice(half, None))
        whole = bias is None or bias.ndim < 4 or len(bias) == 1
        of = [bias if whole else bias[part] for part in parts]
        return torch.cat([
            fused_attention(q[part], k[part], v[part], bias=b, scale=scale, dropout_p=dropout_p)
            for part, b in zip(parts, of, strict=True)
        ])  # fmt: skip
    q = q.contiguous() if exporting() else q
    return F.scaled_dot_product_attention(q, k, v, bias, dropout_p, scale=scale)


def transformed() -> bool:
    """Whether torch.func or forward-mode AD looks on, for which the fused kernels have no rules."""
    return not torch.compiler.is_compiling() and (
        torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
    )


# Exporters replace the fused function by its parts, whose output lies otherwise in memory than its
# own, unless the queries are contiguous. (torch before 2.7 does not tell exporting from compiling.)
exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


class MultiHeadSelfAttention(nn.Module):
    """Every token looks at every token, through several heads: ``(B, N, C)`` to ``(B, N, C)``.

    Args:
        dim: C, the numbers in a token; a multiple of num_heads.
        num_heads: heads, each with ``dim // num_heads`` of the C numbers.
        qkv_bias: whether queries, keys and values have a learnable bias.
        qk_scale: factor on the scores; default ``head_dim ** -0.5``.
        attn_drop: dropout probability of an attention weight.
        proj_drop: dropout probability of an output number.

    Raises:
        TypeError: an argument of another type.
        ValueError: dim is no multiple of num_heads; a negative qk_scale; a rate outside [0, 1);
            forward: x is not ``(B, N, dim)``.

    Source: Vaswani et al. 2017, section 3.2.2; names as in the official Swin code.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ):
        super().__init__()
        check_heads(dim, num_heads)
        check_flags(qkv_bias=qkv_bias)
        if qk_scale is not None:
            check_number("qk_scale", qk_scale)
        check_rate("attn_drop", attn_drop)
        check_rate("proj_drop", proj_drop)
        self.dim = dim
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5 if qk_scale is None else qk_scale
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor, bias: Tensor | None = None, return_weights: bool = False):
        """Attend.

        Args:
            x: ``(B, N, C)``.
            bias: added to the scores; broadcastable to ``(B, num_heads, N, N)``.
            return_weights: also return the weights ``(B, num_heads, N, N)``.
        """
        check_tensor("x", x)
        if x.ndim != 3 or x.shape[-1] != self.dim:
            raise ValueError(f"x must be (B, N, {self.dim}), got shape {tuple(x.shape)}")
        B, N, C = x.shape
        qkv = self.qkv(x).view(B, N, 3, self.num_heads, C // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, num_heads, N, head_dim)
        dropout_p = self.attn_drop.p if self.training else 0.0
        if bias is not None:
            bias = bias.to(q.dtype)  # under autocast the scores are in half precision

        if return_weights:
            out, weights = attention(q, k, v, bias=bias, scale=self.scale, dropout_p=dropout_p)
        else:
            out = fused_attention(q, k, v, bias=bias, scale=self.scale, dropout_p=dropout_p)

        out = out.transpose(1, 2).reshape(B, N, C)  # the heads side by side again
        out = self.proj_drop(self.proj(out))
        return (out, weights) if return_weights else out
