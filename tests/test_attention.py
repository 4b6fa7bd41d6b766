"""Lesson 02: attention that returns its weights, and its version with heads."""

import sys

import pytest
import torch
import torch.nn.functional as F
from oracles import randomise
from torch import nn

from swinlib import MultiHeadSelfAttention, attention


def test_attention_by_hand():
    q = torch.tensor([[1.0, 0.0]])
    k = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    v = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    seen = 1 / (1 + torch.tensor(-2 / 2**0.5).exp())  # scores 2/sqrt(2) and 0
    out, weights = attention(q, k, v)
    torch.testing.assert_close(weights, torch.tensor([[seen, 1 - seen]]))
    torch.testing.assert_close(out, torch.tensor([[seen, 1 - seen, 0.0]]))


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("with_bias", [False, True])
def test_attention_equals_pytorchs(with_bias, scale):
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 4)
    bias = torch.randn(3, 5, 7) if with_bias else None
    out, weights = attention(q, k, v, bias=bias, scale=scale)
    wanted = F.scaled_dot_product_attention(q, k, v, bias, scale=scale)
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5))
    torch.testing.assert_close(weights @ v, out)


def test_dropout_of_weights_keeps_their_expectation():
    q, k, v = torch.randn(64, 16, 8), torch.randn(64, 32, 8), torch.randn(64, 32, 8)
    full = attention(q, k, v)[1]
    dropped = attention(q, k, v, dropout_p=0.25)[1]
    kept = dropped != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(dropped[kept], full[kept] / 0.75)


def make_attention(**options):
    return randomise(MultiHeadSelfAttention(12, 3, **options))


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_heads_equal_pytorchs_multi_head_attention(qkv_bias):
    ours = make_attention(qkv_bias=qkv_bias)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias if qkv_bias else torch.zeros(36),
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    x = torch.randn(2, 5, 12)
    out, weights = ours(x, return_weights=True)
    wanted, wanted_weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(weights, wanted_weights)
    torch.testing.assert_close(ours(x), wanted)  # the fused path
    assert (ours.qkv.bias is not None) == qkv_bias


@pytest.mark.parametrize("shape", [(5, 5), (3, 5, 5), (1, 3, 5, 5), (2, 3, 5, 5), (2, 1, 5, 5)])
def test_explicit_path_equals_fused_path(shape):
    attn = make_attention().double()
    x, bias = torch.randn(2, 5, 12).double(), torch.randn(shape).double()
    out, weights = attn(x, bias, return_weights=True)
    assert weights.shape == (2, 3, 5, 5)
    torch.testing.assert_close(attn(x, bias), out)
    # and the bias matters
    assert not torch.allclose(attn(x), out)


def test_scale_is_that_of_a_head_unless_told_otherwise():
    assert make_attention().scale == 4**-0.5  # head_dim 4, not 12
    x = torch.randn(2, 5, 12)
    same = make_attention(qk_scale=4**-0.5)
    other = make_attention(qk_scale=2.0)
    assert torch.equal(same(x), make_attention()(x))
    assert not torch.allclose(other(x), same(x))
    torch.testing.assert_close(other(x, return_weights=True)[0], other(x))
    even = make_attention(qk_scale=0.0)(x, return_weights=True)[1]
    torch.testing.assert_close(even, torch.full_like(even, 1 / 5))


@pytest.mark.parametrize("return_weights", [False, True])
def test_dropout_of_weights_only_in_training(return_weights):
    dropping, plain = make_attention(attn_drop=0.5), make_attention()
    x = torch.randn(2, 5, 12)

    def output(attn):
        out = attn(x, return_weights=return_weights)
        return out[0] if return_weights else out

    assert not torch.allclose(output(dropping.train()), output(plain))
    assert torch.equal(output(dropping.eval()), output(plain.eval()))


def test_dropout_of_outputs_only_in_training():
    attn, x = make_attention(proj_drop=0.5), torch.randn(4, 50, 12)
    plain = make_attention()(x)
    out = attn(x)
    assert (out == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(out[out != 0], 2 * plain[out != 0])
    assert torch.equal(attn.eval()(x), plain)


@pytest.mark.parametrize(("tokens", "plain"), [(16, True), (144, True), (145, False)])
def test_the_kernels_of_bfloat16_on_a_cpu(tokens, plain):
    q, k, v = torch.randn(3, 2, 2, tokens, 8).bfloat16()
    bias = torch.randn(1, 2, tokens, tokens).bfloat16()
    module = sys.modules["swinlib.attention"]  # the package's name for it is the function's
    wanted = (
        attention(q, k, v, bias=bias)[0] if plain else F.scaled_dot_product_attention(q, k, v, bias)
    )
    assert torch.equal(module.fused_attention(q, k, v, bias=bias, scale=8**-0.5), wanted)
