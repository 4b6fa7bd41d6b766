"""Mistakes of lesson 02, all in attention with several heads.

Every version takes ``(qkv, num_heads)``: what the joint layer returns, (B, N, 3*C) with all of q,
then k, then v, and a whole number. What comes out is (B, N, C), before the projection.
"""

import torch
from torch import Tensor

from swinlib.lab.museum import Room


def split(qkv: Tensor, num_heads: int) -> Tensor:
    """(B, N, 3*C) to q, k and v in one tensor, (3, B, heads, N, head_dim)."""
    return qkv.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)


def attend(q: Tensor, k: Tensor, v: Tensor, scale: float, dim: int = -1) -> Tensor:
    """(B, heads, N, head_dim), three times, to one of these."""
    return (q @ k.transpose(-2, -1) * scale).softmax(dim) @ v


def join(out: Tensor) -> Tensor:
    """(B, heads, N, head_dim) to (B, N, C), the heads side by side."""
    return out.transpose(1, 2).flatten(2)


def several_heads(qkv, num_heads):
    """As it should be."""
    q, k, v = split(qkv, num_heads)
    return join(attend(q, k, v, q.shape[-1] ** -0.5))


def scaled_by_embed_dim(qkv, num_heads):
    q, k, v = split(qkv, num_heads)
    embed_dim = qkv.shape[-1] // 3
    return join(attend(q, k, v, embed_dim**-0.5))


def scaled_twice(qkv, num_heads):
    """The queries are scaled, and then given to a function that scales."""
    q, k, v = split(qkv, num_heads)
    q = q * q.shape[-1] ** -0.5
    return join(torch.nn.functional.scaled_dot_product_attention(q, k, v))


def softmax_over_queries(qkv, num_heads):
    q, k, v = split(qkv, num_heads)
    return join(attend(q, k, v, q.shape[-1] ** -0.5, dim=-2))


def split_without_transpose(qkv, num_heads):
    B, N, three_C = qkv.shape
    head_dim = three_C // 3 // num_heads
    q, k, v = (x.reshape(B, num_heads, N, head_dim) for x in qkv.chunk(3, dim=-1))
    return join(attend(q, k, v, head_dim**-0.5))


def batch_taken_for_tokens(qkv, num_heads):
    """What `nn.MultiheadAttention` does with (B, N, C), unless told that the batch is first."""
    q, k, v = split(qkv.transpose(0, 1), num_heads)
    return join(attend(q, k, v, q.shape[-1] ** -0.5)).transpose(0, 1)


# --- what every right version does --------------------------------------------------------------


def _numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def weights_add_up(version) -> bool:
    """Where all values are 1, so is every output: it is a mean of values."""
    qkv = _numbers(2, 5, 3 * 12)
    qkv[..., 24:] = 1
    return torch.allclose(version(qkv, 3), torch.ones(2, 5, 12, dtype=qkv.dtype))


def one_head_is_plain(version) -> bool:
    """With one head and one picture, the three lines of section 2."""
    qkv = _numbers(1, 5, 3 * 12)
    q, k, v = qkv.chunk(3, dim=-1)
    plain = (q @ k.transpose(1, 2) / 12**0.5).softmax(-1) @ v
    return torch.allclose(version(qkv, 1), plain)


def a_copy_agrees(version) -> bool:
    """Two heads with the same numbers give twice what the first gives alone."""
    qkv = _numbers(2, 5, 3, 1, 12)
    alone, twice = version(qkv.flatten(2), 1), version(qkv.repeat(1, 1, 1, 2, 1).flatten(2), 2)
    return torch.allclose(twice, torch.cat([alone, alone], dim=-1))


def order_is_free(version) -> bool:
    """Shuffled in, shuffled out."""
    qkv, order = _numbers(2, 5, 3 * 12), torch.tensor([3, 0, 4, 2, 1])
    return torch.allclose(version(qkv[:, order], 3), version(qkv, 3)[:, order])


def pictures_stay_apart(version) -> bool:
    """A picture gets the same answer, whoever else is in the batch."""
    qkv = _numbers(2, 5, 3 * 12)
    return torch.allclose(version(qkv, 3)[:1], version(qkv[:1], 3))


def _examples():
    return [(_numbers(2, 5, 3 * 12), 3)]


ROOM = Room(
    right=several_heads,
    wrong=(
        scaled_by_embed_dim,
        scaled_twice,
        softmax_over_queries,
        split_without_transpose,
        batch_taken_for_tokens,
    ),
    properties=(
        weights_add_up,
        one_head_is_plain,
        a_copy_agrees,
        order_is_free,
        pictures_stay_apart,
    ),
    examples=_examples,
)
ROOMS = (ROOM,)
