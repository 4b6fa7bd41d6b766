"""Answers to the exercises of lesson 02."""

import math
from math import sqrt

import numpy as np
import torch
import torch.nn.functional as F

# --- safe_softmax -------------------------------------------------------------------------------


def softmax_as_defined(scores):
    e = torch.exp(scores)
    return e / e.sum(dim=-1, keepdim=True)


def softmax_one_maximum(scores):
    e = torch.exp(scores - torch.max(scores))
    return e / e.sum(dim=-1, keepdim=True)


def softmax_less_mean(scores):
    centred = scores - scores.mean(dim=-1, keepdim=True)
    return centred.exp() / centred.exp().sum(dim=-1, keepdim=True)


def softmax_less_minimum(scores):
    e = (scores - scores.min(dim=-1, keepdim=True).values).exp()
    return e / e.sum(dim=-1, keepdim=True)


def softmax_clamped(scores):
    e = scores.clamp(min=-10, max=10).exp()
    return e / e.sum(dim=-1, keepdim=True)


def softmax_of_columns(scores):
    e = (scores - scores.max(dim=-2, keepdim=True).values).exp()
    return e / e.sum(dim=-2, keepdim=True)


def softmax_of_all(scores):
    e = (scores - scores.max()).exp()
    return e / e.sum()


def softmax_of_quotients(scores):
    e = (scores / scores.abs().max(dim=-1, keepdim=True).values).exp()
    return e / e.sum(dim=-1, keepdim=True)


def softmax_without_sum(scores):
    return torch.exp(scores - scores.max(dim=-1, keepdim=True).values)


def softmax_special(scores):
    return torch.special.softmax(scores, -1)


def softmax_special_log(scores):
    return torch.special.log_softmax(scores, -1).exp()


def softmax_log(scores):
    return torch.log_softmax(scores, dim=-1)


def softmax_lost_dimension(scores):
    e = (scores - scores.max(dim=-1, keepdim=True).values).exp()
    return e / e.sum(dim=-1)


def softmax_in_place(scores):
    scores -= scores.max(dim=-1, keepdim=True).values
    return scores.exp() / scores.exp().sum(dim=-1, keepdim=True)


def softmax_in_float32(scores):
    return softmax_by_loop(scores).float()


def softmax_of_two_dimensions(scores):
    rows = [(row - row.max()).exp() for row in scores]
    return torch.stack([row / row.sum() for row in rows])


def softmax_with_nan_removed(scores):
    return softmax_as_defined(scores).nan_to_num()


def softmax_transposed(scores):
    return softmax_by_loop(scores).transpose(-2, -1)


def softmax_of_torch(scores):
    return torch.softmax(scores, dim=-1)


def softmax_by_logarithms(scores):
    return (scores - torch.logsumexp(scores, dim=-1, keepdim=True)).exp()


def softmax_by_loop(scores):
    rows = scores.reshape(-1, scores.shape[-1])
    found = []
    for row in rows:
        e = torch.stack([torch.exp(score - max(row)) for score in row])
        found.append(e / sum(e))
    return torch.stack(found).reshape(scores.shape)


# --- attend_to_real -----------------------------------------------------------------------------


def scores_of(q, k):
    return torch.einsum("bhnd,bhmd->bhnm", q, k) / q.shape[-1] ** 0.5


def attend_to_all(q, k, v, real):
    return F.scaled_dot_product_attention(q, k, v)


def attend_rows_only(q, k, v, real):
    scores = scores_of(q, k)
    scores[~real[:, None, :, None].expand_as(scores)] = -1e4
    return scores.softmax(-1) @ v * real[:, None, :, None]


def attend_padding_answers(q, k, v, real):
    bias = torch.zeros(real.shape, dtype=q.dtype).masked_fill(~real, -3e4)
    return (scores_of(q, k) + bias[:, None, None]).softmax(-1) @ v


def attend_infinitely_low(q, k, v, real):
    scores = scores_of(q, k)
    scores = torch.where(real[:, None, None, :], scores, float("-inf"))
    return scores.softmax(-1) @ v * real[:, None, :, None]


def attend_then_mask(q, k, v, real):
    out = scores_of(q, k).softmax(-1) @ (v * real[:, None, :, None])
    return out * real[:, None, :, None]


def attend_masked_by_product(q, k, v, real):
    both = real[:, None, :, None] * real[:, None, None, :]
    return (scores_of(q, k) * both).softmax(-1) @ v * real[:, None, :, None]


def attend_inverted(q, k, v, real):
    scores = scores_of(q, k).masked_fill(real[:, None, None], torch.finfo(q.dtype).min)
    return scores.softmax(-1) @ v * ~real[:, None, :, None]


def attend_unscaled(q, k, v, real):
    scores = q @ k.mT
    scores = scores.masked_fill(~real[:, None, None], torch.finfo(q.dtype).min)
    return scores.softmax(-1) @ v * real[:, None, :, None]


def attend_first_mask(q, k, v, real):
    scores = scores_of(q, k)
    scores[:, :, :, ~real[0]] = torch.finfo(q.dtype).min
    out = scores.softmax(-1) @ v
    out[:, :, ~real[0]] = 0
    return out


def attend_minus_100(q, k, v, real):
    bias = torch.where(real, 0.0, -100.0).to(q.dtype)[:, None, None, :]
    out = (scores_of(q, k) + bias).softmax(-1) @ v
    return torch.where(real[:, None, :, None], out, 0.0)


def attend_by_columns(q, k, v, real):
    scores = scores_of(q, k).masked_fill(~real[:, None, None], torch.finfo(q.dtype).min)
    return scores.softmax(dim=2) @ v * real[:, None, :, None]


def attend_one_picture(q, k, v, real):
    return attend_one_by_one(q[:1], k[:1], v[:1], real[:1])


def attend_heads_joined(q, k, v, real):
    return attend_one_by_one(q, k, v, real).transpose(1, 2).flatten(2)


def attend_real_only(q, k, v, real):
    """Leaves the padded tokens out of the result."""
    found = [attend_one_by_one(*(x[b : b + 1] for x in (q, k, v, real))) for b in range(len(q))]
    return torch.stack([out[0][:, real[b]] for b, out in enumerate(found)])


def attend_tokens_first(q, k, v, real):
    return attend_one_by_one(q, k, v, real).transpose(1, 2)


def attend_into_v(q, k, v, real):
    v *= real[:, None, :, None]
    return attend_one_by_one(q, k, v, real)


def attend_with_weights(q, k, v, real):
    scores = scores_of(q, k).masked_fill(~real[:, None, None], -3e4)
    weights = scores.softmax(-1)
    return weights @ v * real[:, None, :, None], weights


def attend_in_float32(q, k, v, real):
    return attend_one_by_one(q.float(), k.float(), v.float(), real)


def attend_one_by_one(q, k, v, real):
    """Every query by itself, with the keys that it may look at."""
    B, heads, N, d = q.shape
    out = torch.zeros(B, heads, N, v.shape[-1], dtype=v.dtype)
    for b in range(B):
        keep = real[b]
        for i in range(N):
            if keep[i]:
                scores = (q[b, :, i : i + 1] * d**-0.5) @ k[b][:, keep].transpose(1, 2)
                out[b, :, i : i + 1] = scores.softmax(-1) @ v[b][:, keep]
    return out


def attend_cleaned(q, k, v, real):
    scores = scores_of(q, k)
    both = real[:, None, :, None] & real[:, None, None, :]
    return scores.masked_fill(~both, float("-inf")).softmax(-1).nan_to_num() @ v


def attend_by_exponentials(q, k, v, real):
    """Masks the exponentials, before they are divided by their sum."""
    scores = scores_of(q, k)
    real = real.to(q.dtype)
    lowest = torch.finfo(q.dtype).min
    most = scores.masked_fill(real[:, None, None] == 0, lowest).amax(-1, keepdim=True)
    e = (scores - most).clamp(max=0).exp() * real[:, None, None]
    return real[:, None, :, None] * (e @ v) / e.sum(-1, keepdim=True).clamp(min=1e-6)


def attend_by_torch(q, k, v, real):
    bias = torch.where(real, 0.0, torch.finfo(q.dtype).min).to(q.dtype)[:, None, None]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(*q.shape[:3], -1))
    return out.masked_fill(~real[:, None, :, None], 0)


# --- join_halves --------------------------------------------------------------------------------


def join_mean(out_a, lse_a, out_b, lse_b):
    return torch.stack([out_a, out_b]).mean(0)


def join_sum(out_a, lse_a, out_b, lse_b):
    return torch.stack([out_a, out_b]).sum(0)


def join_naive(out_a, lse_a, out_b, lse_b):
    sums = torch.stack([lse_a, lse_b]).exp()
    shares = sums / sums.sum(0)
    return shares[0].unsqueeze(-1) * out_a + shares[1].unsqueeze(-1) * out_b


def join_numerator(out_a, lse_a, out_b, lse_b):
    return out_a * lse_a.exp().unsqueeze(-1) + out_b * lse_b.exp().unsqueeze(-1)


def join_exchanged(out_a, lse_a, out_b, lse_b):
    shares = torch.stack([lse_b, lse_a]).softmax(0)
    return (shares[..., None] * torch.stack([out_a, out_b])).sum(0)


def join_by_logs(out_a, lse_a, out_b, lse_b):
    total = lse_a + lse_b
    return out_a * (lse_a / total)[..., None] + out_b * (lse_b / total)[..., None]


def join_larger(out_a, lse_a, out_b, lse_b):
    first = (lse_a > lse_b).unsqueeze(-1).to(out_a.dtype)
    return first * out_a + (1 - first) * out_b


def join_over_queries(out_a, lse_a, out_b, lse_b):
    a, b = torch.softmax(lse_a, -1).unsqueeze(-1), torch.softmax(lse_b, -1).unsqueeze(-1)
    return (out_a * a + out_b * b) / (a + b)


def join_one_maximum(out_a, lse_a, out_b, lse_b):
    most = torch.stack([lse_a, lse_b]).max()
    a, b = (lse_a - most).exp()[..., None], (lse_b - most).exp()[..., None]
    return (a * out_a + b * out_b) / (a + b)


def join_ratio(out_a, lse_a, out_b, lse_b):
    ratio = torch.exp(lse_a - lse_b).unsqueeze(-1)
    return ratio * out_a + (1 - ratio) * out_b


def join_no_dimension(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_a - lse_b)
    return share * out_a + (1 - share) * out_b


def join_two_results(out_a, lse_a, out_b, lse_b):
    return join_by_softmax(out_a, lse_a, out_b, lse_b), torch.logaddexp(lse_a, lse_b)


def join_side_by_side(out_a, lse_a, out_b, lse_b):
    return torch.cat([out_a, out_b], dim=-1)


def join_too_cautious(out_a, lse_a, out_b, lse_b):
    """Takes off the mean of the two."""
    middle = (lse_a + lse_b) / 2
    a, b = (lse_a - middle).exp()[..., None], (lse_b - middle).exp()[..., None]
    return (a * out_a + b * out_b) / (a + b)


def join_in_place(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_a - lse_b).unsqueeze(-1)
    out_a *= share
    return out_a + (1 - share) * out_b


def join_in_float32(out_a, lse_a, out_b, lse_b):
    return join_by_softmax(out_a.float(), lse_a.float(), out_b.float(), lse_b.float())


def join_by_softmax(out_a, lse_a, out_b, lse_b):
    shares = torch.stack([lse_a, lse_b]).softmax(0)
    return torch.einsum("h...n,h...ne->...ne", shares, torch.stack([out_a, out_b]))


def join_by_maximum(out_a, lse_a, out_b, lse_b):
    most = torch.maximum(lse_a, lse_b)
    a, b = (lse_a - most).exp()[..., None], (lse_b - most).exp()[..., None]
    return (a * out_a + b * out_b) / (a + b)


def join_by_logaddexp(out_a, lse_a, out_b, lse_b):
    both = torch.logaddexp(lse_a.float(), lse_b.float())
    a, b = (lse_a - both).exp()[..., None], (lse_b - both).exp()[..., None]
    return (a * out_a + b * out_b).to(out_a.dtype)


# --- more of all three --------------------------------------------------------------------------


def softmax_recursive(scores):
    if scores.ndim > 1:
        return torch.stack([softmax_recursive(row) for row in scores])
    e = (scores - scores.max()).exp()
    return e / e.sum()


def softmax_by_numpy(scores):
    e = np.exp(scores.numpy() - scores.numpy().max(-1, keepdims=True))
    return torch.from_numpy(e / e.sum(-1, keepdims=True))


def softmax_normalized(scores):
    return F.normalize((scores - scores.amax(-1, keepdim=True)).exp(), p=1, dim=-1)


def softmax_of_powers_of_two(scores):
    e = torch.exp2((scores - scores.amax(-1, keepdim=True)) / math.log(2))
    return e / (e @ torch.ones(e.shape[-1], 1, dtype=e.dtype))


def softmax_maximum_over_queries(scores):
    e = (scores - scores.amax(-2, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def softmax_mean_for_sum(scores):
    e = (scores - scores.amax(-1, keepdim=True)).exp()
    return e / e.mean(-1, keepdim=True)


def attend_filled_with(low):
    def attend(q, k, v, real):
        scores = scores_of(q, k).masked_fill(~real[:, None, None], low)
        return scores.softmax(-1) @ v * real[:, None, :, None]

    attend.__name__ = f"attend_filled_with_{low:g}"
    return attend


def attend_in_double(q, k, v, real):
    return attend_filled_with(-1e9)(q.double(), k.double(), v.double(), real).to(v.dtype)


def attend_everybody_if_nobody(q, k, v, real):
    """A picture without real tokens looks at all of them, and is then thrown away."""
    mask = real | ~real.any(1, keepdim=True)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
    return out * real[:, None, :, None]


def join_by_hyperbola(out_a, lse_a, out_b, lse_b):
    half = ((lse_a - lse_b) / 2).tanh()[..., None] / 2
    return (0.5 + half) * out_a + (0.5 - half) * out_b


def join_by_lerp(out_a, lse_a, out_b, lse_b):
    return torch.lerp(out_b, out_a, torch.sigmoid(lse_a - lse_b).unsqueeze(-1))


def join_as_product(out_a, lse_a, out_b, lse_b):
    shares = torch.stack([lse_a, lse_b], dim=-1).softmax(-1)[..., None, :]
    return (shares @ torch.stack([out_a, out_b], dim=-2)).squeeze(-2)


def join_flattened(out_a, lse_a, out_b, lse_b):
    share = torch.sigmoid(lse_a - lse_b).view(-1, 1)
    return share * out_a + (1 - share) * out_b


def join_minus_a(out_a, lse_a, out_b, lse_b):
    ratio = (lse_b - lse_a).exp()[..., None]
    return (out_a + ratio * out_b) / (1 + ratio)


# --- attention ----------------------------------------------------------------------------------


def attention_sums(q, k, v, bias=None):
    """No matrix product at all."""
    scores = (q[..., :, None, :] * k[..., None, :, :]).sum(-1) * q.shape[-1] ** -0.5
    scores = scores if bias is None else bias + scores
    weights = torch.exp(scores - scores.logsumexp(-1, keepdim=True))
    return (weights[..., None] * v[..., None, :, :]).sum(-2), weights


def attention_einsum(q, k, v, bias=None):
    scores = torch.einsum("...nd,...md->...nm", q / sqrt(q.shape[-1]), k)
    if bias is not None:
        scores += bias
    weights = torch.softmax(scores, -1)
    return torch.einsum("...nm,...me->...ne", weights, v), weights


def attention_list(q, k, v, bias=None):
    scores = torch.matmul(q * q.size(-1) ** -0.5, k.mT)
    if bias is None:
        bias = torch.zeros_like(scores)
    weights = (scores + bias).softmax(-1)
    return [weights @ v, weights]


def attention_plain(q, k, v, bias=None):
    weights = (q @ k.mT + (0 if bias is None else bias * q.shape[-1] ** 0)).softmax(-1)
    return weights @ v, weights


def attention_over_d(q, k, v, bias=None):
    scores = q @ k.mT / q.shape[-1]
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights @ v, weights


def attention_times(q, k, v, bias=None):
    scores = q @ k.mT * sqrt(q.shape[-1])
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights @ v, weights


def attention_over_m(q, k, v, bias=None):
    scores = q @ k.mT / k.shape[-2] ** 0.5
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights @ v, weights


def attention_over_e(q, k, v, bias=None):
    scores = q @ k.mT / v.shape[-1] ** 0.5
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights @ v, weights


def attention_early_bias(q, k, v, bias=None):
    scores = q @ k.mT
    if bias is not None:
        scores = scores + bias
    weights = (scores / sqrt(q.shape[-1])).softmax(-1)
    return weights @ v, weights


def attention_no_bias(q, k, v, bias=None):
    weights = (q @ k.mT / sqrt(q.shape[-1])).softmax(-1)
    return weights @ v, weights


def attention_late_bias(q, k, v, bias=None):
    weights = (q @ k.mT / sqrt(q.shape[-1])).softmax(-1)
    if bias is not None:
        weights = weights + bias
    return weights @ v, weights


def attention_columns(q, k, v, bias=None):
    scores = q @ k.mT / sqrt(q.shape[-1])
    weights = (scores if bias is None else scores + bias).softmax(-2)
    return weights @ v, weights


def attention_linear(q, k, v, bias=None):
    scores = q @ k.mT / sqrt(q.shape[-1])
    scores = scores if bias is None else scores + bias
    return scores @ v, scores


def attention_other_way(q, k, v, bias=None):
    out, weights = attention_einsum(q, k, v, bias)
    return weights, out


def attention_out(q, k, v, bias=None):
    return attention_einsum(q, k, v, bias)[0]


def attention_and_scores(q, k, v, bias=None):
    scores = q @ k.mT / sqrt(q.shape[-1])
    scores = scores if bias is None else scores + bias
    return scores.softmax(-1) @ v, scores


def attention_of_torch(q, k, v, bias=None):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, bias), q @ k.mT


def attention_matrices_only(q, k, v, bias=None):
    scores = q @ k.t() / sqrt(q.shape[-1])
    weights = (scores if bias is None else scores + bias).softmax(-1)
    return weights @ v, weights


def attention_all_float(q, k, v, bias=None):
    bias = None if bias is None else bias.float()
    return attention_einsum(q.float(), k.float(), v.float(), bias)


def attention_scales_q(q, k, v, bias=None):
    q *= q.shape[-1] ** -0.5
    weights = (q @ k.mT if bias is None else q @ k.mT + bias).softmax(-1)
    return weights @ v, weights


# --- split_heads --------------------------------------------------------------------------------


def heads_by_slices(qkv, num_heads):
    B, N, length = qkv.shape
    C = length // 3
    parts = [qkv[..., start : start + C] for start in (0, C, 2 * C)]
    return [torch.stack(part.chunk(num_heads, dim=-1), dim=1) for part in parts]


def heads_by_chunk(qkv, num_heads):
    return tuple(x.unflatten(-1, (num_heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=-1))


def heads_stacked(qkv, num_heads):
    """One tensor (3, B, heads, N, head_dim)."""
    return torch.stack(heads_by_chunk(qkv, num_heads))


def heads_by_loop(qkv, num_heads):
    B, N, length = qkv.shape
    d = length // 3 // num_heads
    out = qkv.new_empty(3, B, num_heads, N, d)
    for kind in range(3):
        for head in range(num_heads):
            start = (kind * num_heads + head) * d
            out[kind, :, head] = qkv[:, :, start : start + d]
    return out.unbind()


def heads_straight(qkv, num_heads):
    B, N, _ = qkv.shape
    q, k, v = (x.contiguous() for x in qkv.chunk(3, -1))
    return q.view(B, num_heads, N, -1), k.view(B, num_heads, N, -1), v.view(B, num_heads, N, -1)


def heads_straight_from_qkv(qkv, num_heads):
    B, N, _ = qkv.shape
    return qkv.reshape(B, 3, num_heads, N, -1).unbind(1)


def heads_head_by_head(qkv, num_heads):
    x = qkv.unflatten(-1, (num_heads, 3, -1))
    return x.permute(3, 0, 2, 1, 4).unbind()


def heads_interleaved(qkv, num_heads):
    return tuple(x.unflatten(-1, (-1, num_heads)).permute(0, 3, 1, 2) for x in qkv.chunk(3, -1))


def heads_in_turns(qkv, num_heads):
    return heads_by_chunk(torch.cat([qkv[..., i::3] for i in range(3)], -1), num_heads)


def heads_last(qkv, num_heads):
    return qkv.unflatten(-1, (3, num_heads, -1)).unbind(2)


def heads_first(qkv, num_heads):
    return qkv.unflatten(-1, (3, num_heads, -1)).permute(2, 3, 0, 1, 4).unbind()


def heads_for_keys(qkv, num_heads):
    return tuple(x.mT for x in heads_by_chunk(qkv, num_heads))


def heads_vkq(qkv, num_heads):
    return heads_by_chunk(qkv, num_heads)[::-1]


def heads_kqv(qkv, num_heads):
    k, q, v = heads_by_chunk(qkv, num_heads)
    return q, k, v


def heads_unsplit(qkv, num_heads):
    return qkv.split(qkv.shape[-1] // 3, dim=-1)


def heads_as_batch(qkv, num_heads):
    return tuple(x.reshape(-1, *x.shape[2:]) for x in heads_by_chunk(qkv, num_heads))


def heads_queries_only(qkv, num_heads):
    return heads_by_chunk(qkv, num_heads)[0]


def heads_through_view(qkv, num_heads):
    B, N, length = qkv.shape
    return heads_by_chunk(qkv.view(B * N, length).view(B, N, length), num_heads)


def heads_to_float(qkv, num_heads):
    return heads_by_chunk(qkv.float(), num_heads)


def heads_scaled(qkv, num_heads):
    q, k, v = heads_by_chunk(qkv, num_heads)
    q *= q.shape[-1] ** -0.5
    return q, k, v


WRONG = {
    "safe_softmax": [
        (softmax_maximum_over_queries, "the largest of a *column*"),
        (softmax_mean_for_sum, "all numbers are 3 times what they should be"),
        (softmax_of_torch, "it calls `softmax`"),
        (softmax_as_defined, "large scores overflow"),
        (softmax_one_maximum, "one number is taken off all rows"),
        (softmax_less_mean, "the mean is taken off"),
        (softmax_less_minimum, "the smallest score is taken off"),
        (softmax_clamped, "large scores are cut off"),
        (softmax_of_columns, "the *columns* add up to 1"),
        (softmax_of_all, "all numbers together add up to 1"),
        (softmax_of_quotients, "divides by the largest score"),
        (softmax_without_sum, "the rows do not add up to 1"),
        (softmax_log, "it calls `log_softmax`"),
        (softmax_special, "it calls `special_softmax`"),
        (softmax_special_log, "it calls `special_log_softmax`"),
        (softmax_lost_dimension, "with two queries and three keys: it stops with RuntimeError"),
        (softmax_in_place, "writes into its input `scores`"),
        (softmax_in_float32, "of type torch.float32, wanted torch.float16"),
        (softmax_of_two_dimensions, "with a batch of heads: "),
        (softmax_with_nan_removed, "with scores of about 1000: 3 of 3 numbers are wrong"),
        (softmax_transposed, "axes are in another order"),
    ],
    "attend_to_real": [
        (attend_filled_with(-100.0), "is not low enough: where the real ones are lower still"),
        (attend_filled_with(-1e9), "with half precision: it stops with RuntimeError"),
        (attend_to_all, "ignored altogether"),
        (attend_rows_only, "still looked at"),
        (attend_padding_answers, "padded tokens get an answer too"),
        (attend_infinitely_low, "all padding gives NaN"),
        (attend_then_mask, "no longer add up to 1"),
        (attend_masked_by_product, "a score like any other"),
        (attend_inverted, "wrong way round"),
        (attend_unscaled, "not divided by √d"),
        (attend_first_mask, "the padding of the first"),
        (attend_minus_100, "-100 is not low enough"),
        (attend_by_columns, "over the queries, and not over the keys"),
        (attend_one_picture, "the shape is (1, 2, 5, 6), wanted (3, 2, 5, 6)"),
        (attend_heads_joined, "the numbers are right and in order, but the shape is (1, 3, 1)"),
        (attend_real_only, "the shape is (1, 1, 2, 1), wanted (1, 1, 3, 1)"),
        (attend_tokens_first, "axes are in another order"),
        (attend_into_v, "writes into its input `v`"),
        (attend_with_weights, "wanted a tensor"),
        (attend_in_float32, "of type torch.float32, wanted torch.float16"),
    ],
    "join_halves": [
        (
            join_flattened,
            "but with a batch of heads: it stops with RuntimeError: The size of tensor a (30)",
        ),
        (join_minus_a, "with a half that is all masked: some numbers are NaN"),
        (join_mean, "both halves count alike"),
        (join_sum, "the two outputs are added"),
        (join_naive, "right while scores are small"),
        (join_numerator, "this is the numerator"),
        (join_exchanged, "each half gets the share of the other"),
        (join_by_logs, "you take it for the sum"),
        (join_larger, "takes everything"),
        (join_over_queries, "compared with one another"),
        (join_one_maximum, "taken off all queries"),
        (join_ratio, "how much larger a's sum is"),
        (join_no_dimension, "along the values"),
        (join_two_results, "wanted a tensor"),
        (join_side_by_side, "the shape is (2, 4), wanted (2, 2)"),
        (join_too_cautious, "with a half that is all masked: some numbers are NaN"),
        (join_in_place, "writes into its input `out_a`"),
        (join_in_float32, "of type torch.float32, wanted torch.float16"),
    ],
    "attention": [
        (attention_plain, "not divided by √d"),
        (attention_over_d, "The root of d is enough"),
        (attention_times, "multiplied by √d"),
        (attention_over_m, "root of the number of keys"),
        (attention_over_e, "root of the length of the values"),
        (attention_early_bias, "the bias is divided too"),
        (attention_no_bias, "the bias is ignored"),
        (attention_late_bias, "added to the weights"),
        (attention_columns, "over the queries"),
        (attention_linear, "the softmax is missing"),
        (attention_other_way, "the other way round"),
        (attention_out, "returns the output alone"),
        (attention_and_scores, "scores, not weights"),
        (attention_of_torch, "calls `scaled_dot_product_attention`"),
        (attention_matrices_only, "with a batch of heads: it stops"),
        (attention_all_float, "of type torch.float32, wanted torch.float16"),
        (attention_scales_q, "writes into its input `q`"),
    ],
    "split_heads": [
        (heads_straight, "reads on through a token's numbers"),
        (heads_straight_from_qkv, "split off in front of N"),
        (heads_head_by_head, "head by head"),
        (heads_interleaved, "neighbouring numbers go to different heads"),
        (heads_in_turns, "in turns, one number each"),
        (heads_last, "come after the tokens"),
        (heads_first, "stand before the batch"),
        (heads_for_keys, "the tokens are columns"),
        (heads_kqv, "q, k and v come in another order"),
        (heads_vkq, "q, k and v come in another order"),
        (heads_unsplit, "not yet split into heads"),
        (heads_as_batch, "are one dimension"),
        (heads_queries_only, "wanted 3 values"),
        (heads_through_view, "not contiguous: it stops"),
        (heads_to_float, "of type torch.float32, wanted torch.float16"),
        (heads_scaled, "writes into its input `qkv`"),
    ],
}
RIGHT = {
    "safe_softmax": [
        softmax_recursive,
        softmax_by_numpy,
        softmax_normalized,
        softmax_of_powers_of_two,
        softmax_by_logarithms,
        softmax_by_loop,
    ],
    "attend_to_real": [
        attend_in_double,
        attend_everybody_if_nobody,
        attend_one_by_one,
        attend_cleaned,
        attend_by_exponentials,
        attend_by_torch,
    ],
    "join_halves": [
        join_by_hyperbola,
        join_by_lerp,
        join_as_product,
        join_by_softmax,
        join_by_maximum,
        join_by_logaddexp,
    ],
    "attention": [attention_sums, attention_einsum, attention_list],
    "split_heads": [heads_by_slices, heads_by_chunk, heads_stacked, heads_by_loop],
}
