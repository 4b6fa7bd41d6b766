"""Exercises of lesson 02: attention, heads, large scores, padded tokens, two halves of the keys."""

import itertools

import torch

from swinlib.lab.exercises.checking import Case, Exercise, Mistake, agree

# --- a softmax that survives large scores -------------------------------------------------------


def safe_softmax(scores):
    """Weights (..., M) that are positive and add up to 1, from scores of any size."""
    # What a row has in common cancels, so the largest may become 0, and no exp is above 1.
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def _shared(scores, taken_off, dim=-1):
    exponentials = (scores - taken_off).exp()
    return exponentials / exponentials.sum(dim, keepdim=True)


def _nothing_taken_off(scores):
    return _shared(scores, 0)


def _one_for_all_rows(scores):
    return _shared(scores, scores.max())


def _mean_taken_off(scores):
    return _shared(scores, scores.mean(-1, keepdim=True))


def _smallest_taken_off(scores):
    return _shared(scores, scores.amin(-1, keepdim=True))


def _cut_off(scores):
    return _shared(scores.clamp(-10, 10), 0)


def _over_queries(scores):
    return _shared(scores, scores.amax(-2, keepdim=True), dim=-2)


def _over_everything(scores):
    return safe_softmax(scores.flatten()).view(scores.shape)


def _over_everything_in_rows(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum()


def _rows_over_queries(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-2, keepdim=True)


def _queries_over_rows(scores):
    return _shared(scores, scores.amax(-2, keepdim=True))


def _cut_off_late(scores):
    return _shared(scores.clamp(-80, 80), 0)


def _logarithms_in_one(scores):
    return scores.log_softmax(-1)


def _divided_by_largest(scores):
    return _shared(scores / scores.abs().amax(-1, keepdim=True), 0)


def _not_divided(scores):
    return (scores - scores.amax(-1, keepdim=True)).exp()


def _logarithms(scores):
    return safe_softmax(scores).log()


def _scores():
    generator = torch.Generator().manual_seed(0)
    heads = torch.randn(2, 3, 4, 5, generator=generator)
    apart = torch.tensor([[0.0, 1, 3], [900, 902, 901], [-800, -802, -803], [-600, 0, 700]])
    masked = heads[0, 0].clone()
    masked[[0, 0, 1, 3], [1, 4, 0, 3]] = -torch.inf
    return [
        Case("one row of three scores", (torch.tensor([[1.0, 2, 3]]),)),
        Case("two queries and three keys", (torch.tensor([[1.0, 2, 3], [0, 0, 5]]),)),
        Case("scores of about 1000", (torch.tensor([[1000.0, 1002, 1001]]),)),
        Case("scores of about -1000", (torch.tensor([[-1000.0, -1001, -1002]]),)),
        Case("rows that lie far apart", (apart,)),
        Case("a batch of heads", (heads,)),
        Case("scores of minus infinity, as for keys that are masked", (masked,)),
        Case("a tensor that is not contiguous", (heads.permute(0, 2, 3, 1),)),
        Case("half precision, where 65504 is the largest number", (5 * heads.half(),)),
    ]


SOFTMAX = Exercise(
    solution=safe_softmax,
    cases=_scores,
    forbidden=("softmax", "log_softmax", "special_softmax", "special_log_softmax"),
    checked_on="9 cases: scores of 1000 and of -1000, rows far apart, minus infinity, a batch of "
    "heads, non-contiguous tensors, half precision",
    hints=(
        "First for scores that are small: exponentials, divided by their sum. What is "
        "`torch.tensor(1000.0).exp()`?",
        "Add 7 to every score of a row. Every exponential is multiplied by the same number, and so "
        "is their sum. So which number could you *take off* every score of a row?",
        "`scores.amax(-1, keepdim=True)` is the largest of every row; `keepdim` lets it broadcast "
        "against the row. Do the same with the sum.",
    ),
    mistakes=(
        Mistake(
            "large scores overflow: `exp` gives infinity, and infinity divided by itself is NaN; "
            "small ones all give 0, and 0/0 is NaN as well. What may you do to all scores of a row "
            "without changing its weights?",
            _nothing_taken_off,
        ),
        Mistake(
            "one number is taken off all rows. A row that lies far below it is left with zeros "
            "only, and 0/0 is NaN. Each row needs its own.",
            _one_for_all_rows,
        ),
        Mistake(
            "the mean is taken off. In a row with a wide spread the largest score is still too "
            "large for `exp`.",
            _mean_taken_off,
        ),
        Mistake(
            "the smallest score is taken off, so that the others are all above 0, and `exp` of "
            "them can still overflow.",
            _smallest_taken_off,
        ),
        Mistake(
            "large scores are cut off: they all become the same, and the winner is lost.",
            _cut_off,
            (_cut_off_late,),
        ),
        Mistake(
            "the *columns* add up to 1. A row belongs to a query, and its weights must.",
            _over_queries,
            (_rows_over_queries,),
        ),
        Mistake(
            "what is taken off is the largest of a *column*, and is not the same for all scores of "
            "a row.",
            _queries_over_rows,
        ),
        Mistake(
            "all numbers together add up to 1. Each row must.",
            _over_everything,
            (_over_everything_in_rows,),
        ),
        Mistake(
            "it divides by the largest score. That changes the differences, and with them the "
            "weights.",
            _divided_by_largest,
        ),
        Mistake(
            "the exponentials are there, but the rows do not add up to 1.",
            _not_divided,
        ),
        Mistake("it gives the logarithms of the weights.", _logarithms, (_logarithms_in_one,)),
    ),
)

# --- padded tokens ------------------------------------------------------------------------------


def attend_to_real(q, k, v, real):
    """Attention in which padded tokens are not looked at, and get zeros themselves."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    # Finite, since a row of nothing but minus infinity would be 0/0.
    scores = scores.masked_fill(~real[:, None, None, :], torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v * real[:, None, :, None]


def _scaled(q, k):
    return q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5


def _padding_looked_at(q, k, v, real):
    return _scaled(q, k).softmax(-1) @ v * real[:, None, :, None]


def _nobody_masked(q, k, v, real):
    return _scaled(q, k).softmax(-1) @ v


def _padding_answers(q, k, v, real):
    scores = _scaled(q, k)
    scores = scores.masked_fill(~real[:, None, None, :], torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v


def _minus_infinity(q, k, v, real):
    scores = _scaled(q, k).masked_fill(~real[:, None, None, :], -torch.inf)
    return scores.softmax(-1) @ v * real[:, None, :, None]


def _masked_afterwards(q, k, v, real):
    weights = _scaled(q, k).softmax(-1) * real[:, None, None, :]
    return weights @ v * real[:, None, :, None]


def _scores_of_zero(q, k, v, real):
    scores = _scaled(q, k) * real[:, None, None, :]
    return scores.softmax(-1) @ v * real[:, None, :, None]


def _only_padding(q, k, v, real):
    return attend_to_real(q, k, v, ~real)


def _not_scaled(q, k, v, real):
    return attend_to_real(q * q.shape[-1] ** 0.5, k, v, real)


def _first_picture_s(q, k, v, real):
    return attend_to_real(q, k, v, real[:1].expand(len(q), -1))


def _only_100(q, k, v, real):
    scores = _scaled(q, k) - 100.0 * ~real[:, None, None, :]
    return scores.softmax(-1) @ v * real[:, None, :, None]


def _not_low_enough(q, k, v, real):
    scores = _scaled(q, k).masked_fill(~real[:, None, None, :], -100.0)
    return scores.softmax(-1) @ v * real[:, None, :, None]


def _padding_answers_from_30000(q, k, v, real):
    return _scaled(q, k).masked_fill(~real[:, None, None, :], -3e4).softmax(-1) @ v


def _padding_answers_to_a_bias(q, k, v, real):
    return (_scaled(q, k) + torch.where(real, 0, -3e4)[:, None, None].to(q)).softmax(-1) @ v


def _scaled_by(power):
    def like(q, k, v, real):
        return attend_to_real(q * q.shape[-1] ** power, k, v, real)

    return like


def _columns_add_up(q, k, v, real):
    scores = _scaled(q, k)
    scores = scores.masked_fill(~real[:, None, None, :], torch.finfo(scores.dtype).min)
    return scores.softmax(-2) @ v * real[:, None, :, None]


def _padded():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    few = (
        draw(1, 1, 3, 4).round(),
        draw(1, 1, 3, 4).round(),
        torch.tensor([[[[2.0], [6], [100]]]]),
    )
    q, k, v = draw(3, 2, 5, 4), draw(3, 2, 5, 4), draw(3, 2, 5, 6)
    real = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1], [1, 0, 1, 0, 1]]).bool()
    none = real & torch.tensor([[True], [False], [True]])
    loud = torch.where(real[:, None, :, None], k, 50 * k.abs())  # padding that everybody would like
    scattered = [draw(3, 7, 2, 4).transpose(1, 2) for _ in range(3)]
    ends = torch.arange(7) < torch.tensor([[4], [7], [1]])
    return [
        Case("three tokens, the last of them padding", (*few, torch.tensor([[True, True, False]]))),
        Case("no padding", (*few, torch.tensor([[True, True, True]]))),
        Case("three pictures, each with padding of its own", (q, k, v, real)),
        Case("a picture that is all padding", (q, k, v, none)),
        Case("padding with large scores", (q.abs(), loud, v, real)),
        Case("real tokens with very low scores", (q.abs() + 1, -2000 * (k.abs() + 1), v, real)),
        Case("heads that are not contiguous", (*scattered, ends)),
        Case("half precision", (*(x.half() for x in scattered), ends)),
    ]


REAL = Exercise(
    solution=attend_to_real,
    cases=_padded,
    checked_on="8 cases: three pictures with padding of their own, one that is all padding, one "
    "without, very large and very low scores, non-contiguous tensors, half precision",
    hints=(
        "Two things are asked, and each is one line. Which scores must not count, those of padded "
        "queries or those of padded keys? And what becomes of the rows of padded queries?",
        "`real` is (B, N), scores are (B, heads, N, N), a row for each query. "
        "`real[:, None, None, :]` broadcasts along the keys, `real[:, None, :, None]` along the "
        "queries.",
        "Put a very low number in place of the scores of padded keys, before the softmax: "
        "`torch.finfo(scores.dtype).min` is the lowest that is finite. At the end, multiply what "
        "padded queries got by 0.",
    ),
    mistakes=(
        Mistake(
            "padding is ignored altogether: this is attention over all tokens.", _nobody_masked
        ),
        Mistake(
            "padded tokens get zeros, but they are still looked at: the real ones mix in their "
            "values. It is the padded *keys* that must not count.",
            _padding_looked_at,
        ),
        Mistake(
            "nobody looks at padding, but padded tokens get an answer too. Theirs must be zeros.",
            _padding_answers,
            (_padding_answers_from_30000, _padding_answers_to_a_bias),
        ),
        Mistake(
            "a picture that is all padding gives NaN: in a row of nothing but minus infinity the "
            "softmax divides 0 by 0. And NaN times 0 is NaN.",
            _minus_infinity,
        ),
        Mistake(
            "weights or values are set to 0 after the softmax. What "
            "padding got is missing, and the weights no longer add up to 1.",
            _masked_afterwards,
        ),
        Mistake(
            "the scores of padding are 0. That is a score like any other: its exponential is 1.",
            _scores_of_zero,
        ),
        Mistake(
            "it is the wrong way round: only padding is looked at. `real` is True for real tokens.",
            _only_padding,
        ),
        Mistake(
            "the scores are not divided by √d, d being the length of a query.",
            _not_scaled,
            (_scaled_by(-0.5), _scaled_by(1.0)),
        ),
        Mistake(
            "what stands in place of a padded token's score is not low enough: where the real ones "
            "are lower still, padding wins.",
            _not_low_enough,
        ),
        Mistake("every picture is given the padding of the first.", _first_picture_s),
        Mistake(
            "-100 is not low enough where scores are large: padding that lies 100 and more above "
            "the rest still wins.",
            _only_100,
        ),
        Mistake(
            "the weights add up to 1 over the queries, and not over the keys.", _columns_add_up
        ),
    ),
)

# --- two halves of the keys ---------------------------------------------------------------------


def join_halves(out_a, lse_a, out_b, lse_b):
    """Attention over all keys, (..., N, e), from its outputs over two halves of them."""
    # exp(a) / (exp(a) + exp(b)) is 1 / (1 + exp(b - a)), which only asks for the difference.
    share = torch.sigmoid(lse_a - lse_b)[..., None]
    return share * out_a + (1 - share) * out_b


def _joined(out_a, out_b, share):
    return share * out_a + (1 - share) * out_b


def _halfway(out_a, lse_a, out_b, lse_b):
    return (out_a + out_b) / 2


def _added(out_a, lse_a, out_b, lse_b):
    return out_a + out_b


def _overflowing(out_a, lse_a, out_b, lse_b):
    a, b = lse_a.exp()[..., None], lse_b.exp()[..., None]
    return (a * out_a + b * out_b) / (a + b)


def _not_shared(out_a, lse_a, out_b, lse_b):
    return lse_a.exp()[..., None] * out_a + lse_b.exp()[..., None] * out_b


def _shares_exchanged(out_a, lse_a, out_b, lse_b):
    return join_halves(out_a, lse_b, out_b, lse_a)


def _logs_as_sums(out_a, lse_a, out_b, lse_b):
    return _joined(out_a, out_b, (lse_a / (lse_a + lse_b))[..., None])


def _winner_takes_all(out_a, lse_a, out_b, lse_b):
    return torch.where((lse_a > lse_b)[..., None], out_a, out_b)


def _across_queries(out_a, lse_a, out_b, lse_b):
    a, b = lse_a.softmax(-1)[..., None], lse_b.softmax(-1)[..., None]
    return (a * out_a + b * out_b) / (a + b)


def _across_queries_alone(out_a, lse_a, out_b, lse_b):
    return lse_a.softmax(-1)[..., None] * out_a + lse_b.softmax(-1)[..., None] * out_b


def _along_the_values(out_a, lse_a, out_b, lse_b):
    return _joined(out_a, out_b, torch.sigmoid(lse_a - lse_b)[..., None, :])


def _one_share_for_all(out_a, lse_a, out_b, lse_b):
    most = torch.maximum(lse_a.max(), lse_b.max())
    return _overflowing(out_a, lse_a - most, out_b, lse_b - most)


def _differences_as_logs(out_a, lse_a, out_b, lse_b):
    return _joined(out_a, out_b, (lse_a - lse_b).exp()[..., None])


def _halves():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    def halves(out_a, scores_a, out_b, scores_b):
        return out_a, scores_a.logsumexp(-1), out_b, scores_b.logsumexp(-1)

    few = torch.tensor([[0.0, 8.0], [1.0, 9.0]]), torch.tensor([1.0, 3.0]).log()
    others = torch.tensor([[4.0, 0.0], [5.0, 1.0]]), torch.tensor([3.0, 1.0]).log()
    square = halves(draw(4, 4), draw(4, 6), draw(4, 4), draw(4, 2))
    a = draw(2, 3, 5, 4), 3 * draw(2, 3, 5, 6)
    b = draw(2, 3, 5, 4), 3 * draw(2, 3, 5, 9)
    far = torch.tensor([0.0, 1000, -1000, 300, -300])[:, None]
    empty = a[0].clone(), a[1].clone()
    empty[0][1, 0], empty[1][1, 0] = 0, -torch.inf
    scattered = [x.movedim(-2, 0).contiguous().movedim(0, -2) for x in (*a, *b)]
    return [
        Case("two queries, lse the logarithms of 1 against 3 and 3 against 1", (*few, *others)),
        Case("four queries", square),
        Case("a batch of heads", halves(*a, *b)),
        Case("scores of 1000 and of -1000", halves(a[0], a[1] + far, b[0], b[1] + far)),
        Case("a half that is all masked", halves(*empty, *b)),
        Case("tensors that are not contiguous", halves(*scattered)),
        Case("half precision", tuple(x.half() for x in halves(*a, *b))),
    ]


JOIN = Exercise(
    solution=join_halves,
    cases=_halves,
    checked_on="7 cases: heads and batches, as many queries as values, scores of 1000 and -1000, a "
    "half that is all masked, non-contiguous tensors, half precision",
    hints=(
        "Undo the softmax: out_a times the sum of a's exponentials is the numerator that a had. "
        "What are numerator and denominator over all keys?",
        "So the result is a mean of out_a and out_b, and the share of a is "
        "exp(lse_a) / (exp(lse_a) + exp(lse_b)), one for each query. But lse may be 1000.",
        "Divide numerator and denominator by exp(lse_a): only lse_b - lse_a is left. 1 / (1 + "
        "exp(-x)) is `torch.sigmoid(x)`. The share needs a last dimension of 1.",
    ),
    mistakes=(
        Mistake(
            "both halves count alike. The one whose scores are higher, or which has more keys, "
            "has a larger part in the sum of exponentials.",
            _halfway,
        ),
        Mistake("the two outputs are added, and the weights of all keys add up to 2.", _added),
        Mistake(
            "right while scores are small, but `exp` of 1000 is infinity, `exp` of -1000 is 0, and "
            "either one divided by itself is NaN.",
            _overflowing,
        ),
        Mistake(
            "this is the numerator. It has to be divided by the sum of all exponentials.",
            _not_shared,
        ),
        Mistake("each half gets the share of the other.", _shares_exchanged),
        Mistake(
            "lse is the *logarithm* of a sum, and you take it for the sum.",
            _logs_as_sums,
        ),
        Mistake(
            "the half with the larger sum takes everything. The other has its share too.",
            _winner_takes_all,
        ),
        Mistake(
            "the queries are compared with one another. A query shares its attention between its "
            "own two halves.",
            _across_queries,
            (_across_queries_alone,),
        ),
        Mistake(
            "the shares lie along the values: there is one for every query, which is the dimension "
            "before the last.",
            _along_the_values,
        ),
        Mistake(
            "the same number is taken off all queries. One that lies far below it is left with "
            "0/0, which is NaN.",
            _one_share_for_all,
        ),
        Mistake(
            "exp(lse_a - lse_b) is how much larger a's sum is than b's, and not a's part of both.",
            _differences_as_logs,
        ),
    ),
)

# --- the lesson's own pieces: attention ---------------------------------------------------------


def attention(q, k, v, bias=None):
    """Output (..., N, e) and weights (..., N, M) of scaled dot-product attention."""
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5  # (..., N, M)
    if bias is not None:
        scores = scores + bias
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


def _attended(q, k, v, bias, root=None, axis=-1, before=False):
    """Attention with one step done otherwise: the divisor, the softmax's axis, or when to add."""
    root = q.shape[-1] ** 0.5 if root is None else root
    bias = 0 if bias is None else bias
    scores = q @ k.transpose(-2, -1)
    scores = (scores + bias) / root if before else scores / root + bias
    weights = scores.softmax(dim=axis)
    return weights @ v, weights


def _undivided(q, k, v, bias=None):
    return _attended(q, k, v, bias, root=1.0)


def _divided_by_d(q, k, v, bias=None):
    return _attended(q, k, v, bias, root=q.shape[-1])


def _multiplied_by_root(q, k, v, bias=None):
    return _attended(q, k, v, bias, root=q.shape[-1] ** -0.5)


def _root_of_keys(q, k, v, bias=None):
    return _attended(q, k, v, bias, root=k.shape[-2] ** 0.5)


def _root_of_values(q, k, v, bias=None):
    return _attended(q, k, v, bias, root=v.shape[-1] ** 0.5)


def _bias_divided(q, k, v, bias=None):
    return _attended(q, k, v, bias, before=True)


def _bias_forgotten(q, k, v, bias=None):
    return _attended(q, k, v, None)


def _bias_on_the_weights(q, k, v, bias=None):
    weights = _attended(q, k, v, None)[1]
    weights = weights if bias is None else weights + bias
    return weights @ v, weights


def _bias_taken_off(q, k, v, bias=None):
    return _attended(q, k, v, None if bias is None else -bias)


def _softmax_over_queries(q, k, v, bias=None):
    return _attended(q, k, v, bias, axis=-2)


def _no_softmax(q, k, v, bias=None):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    scores = scores if bias is None else scores + bias
    return scores @ v, scores


def _weights_first(q, k, v, bias=None):
    return attention(q, k, v, bias)[::-1]


def _output_alone(q, k, v, bias=None):
    return attention(q, k, v, bias)[0]


def _scores_not_weights(q, k, v, bias=None):
    return attention(q, k, v, bias)[0], _no_softmax(q, k, v, bias)[1]


def _attentions():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    few = torch.tensor([[1.0, 2], [0, 1]]), torch.tensor([[1.0, 0], [0, 1], [2, 1]])
    values = torch.tensor([[1.0, 0, 2, 0], [0, 1, 0, 0], [5, 5, 0, 1]])
    # 2 queries, 3 keys, 2 numbers: N, M, d and e all differ in the larger cases.
    q, k, v = draw(2, 3, 5, 8), draw(2, 3, 7, 8), draw(2, 3, 7, 6)
    each, shared = draw(2, 3, 5, 7), draw(3, 5, 7)
    hidden = torch.zeros(5, 7).index_fill(1, torch.tensor([1, 4]), -torch.inf)
    scattered = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    return [
        Case("two queries and three keys, no bias", (*few, values, None)),
        Case("a bias", (*few, values, torch.tensor([[0.0, 1, 2], [3, 0, -1]]))),
        Case("a batch of heads", (q, k, v, None)),
        Case("a bias for every picture and head", (q, k, v, each)),
        Case("a bias for every head, the same in all pictures", (q, k, v, shared)),
        Case("a bias of minus infinity on two keys", (q, k, v, hidden)),
        Case("heads that are not contiguous", (*scattered, each)),
        Case("half precision", (q.half(), k.half(), v.half(), each.half())),
    ]


ATTENTION = Exercise(
    solution=attention,
    cases=_attentions,
    forbidden=("scaled_dot_product_attention",),
    checked_on="8 cases: as many queries as keys and not, values of another length, with and "
    "without a bias, a batch of heads, non-contiguous tensors, half precision",
    hints=(
        "Four steps: scores of every query with every key, divide, softmax, mix the values. The "
        "bias joins the scores right before the softmax.",
        "`q @ k.T` is right for two matrices. With a batch in front only the last two axes change "
        "places: `k.transpose(-2, -1)`.",
        "Divide by the root of `q.shape[-1]`, add the bias if there is one, `softmax(dim=-1)`, "
        "and return `weights @ v` and `weights`.",
    ),
    mistakes=(
        Mistake("the scores are not divided by √d.", _undivided),
        Mistake("the scores are divided by d. The root of d is enough.", _divided_by_d),
        Mistake(
            "the scores are multiplied by √d, and should be divided by it.", _multiplied_by_root
        ),
        Mistake(
            "it takes the root of the number of keys. d is how many numbers a query has.",
            _root_of_keys,
        ),
        Mistake(
            "it takes the root of the length of the values. d is how many numbers a query has.",
            _root_of_values,
        ),
        Mistake(
            "the bias is divided too. It is added to the scores after they have been divided.",
            _bias_divided,
        ),
        Mistake("the bias is ignored.", _bias_forgotten),
        Mistake(
            "the bias is added to the weights. It belongs to the scores, before the softmax.",
            _bias_on_the_weights,
        ),
        Mistake("the bias is taken off the scores. Add it.", _bias_taken_off),
        Mistake(
            "the weights add up to 1 over the queries. Each query's own must: a row, not a column.",
            _softmax_over_queries,
        ),
        Mistake("the softmax is missing: the scores themselves mix the values.", _no_softmax),
        Mistake("output and weights come the other way round.", _weights_first),
        Mistake("it returns the output alone. The weights are asked for too.", _output_alone),
        Mistake(
            "the output is right, but what comes with it are scores, not weights.",
            _scores_not_weights,
        ),
    ),
)

# --- the lesson's own pieces: the split into heads ----------------------------------------------


def split_heads(qkv, num_heads):
    """Queries, keys and values, each (B, num_heads, N, head_dim), from (B, N, 3*C)."""
    B, N, length = qkv.shape
    x = qkv.reshape(B, N, 3, num_heads, length // (3 * num_heads))  # as the numbers lie
    q, k, v = x.permute(2, 0, 3, 1, 4)
    return q, k, v


def _heads(qkv, num_heads, shape, order):
    """Any reading of a token's numbers, as (3, B, num_heads, N, head_dim)."""
    B, N, length = qkv.shape
    sizes = {"3": 3, "h": num_heads, "d": length // (3 * num_heads)}
    return tuple(qkv.reshape(B, N, *(sizes[s] for s in shape)).permute(order))


def _heads_torn(qkv, num_heads):
    B, N, length = qkv.shape
    return tuple(x.reshape(B, num_heads, N, -1) for x in qkv.chunk(3, dim=-1))


def _heads_all_torn(qkv, num_heads):
    B, N, length = qkv.shape
    return tuple(qkv.reshape(B, 3, num_heads, N, -1).movedim(1, 0))


def _heads_outermost(qkv, num_heads):
    return _heads(qkv, num_heads, "h3d", (3, 0, 2, 1, 4))


def _heads_innermost(qkv, num_heads):
    return _heads(qkv, num_heads, "3dh", (2, 0, 4, 1, 3))


def _kinds_innermost(qkv, num_heads):
    return _heads(qkv, num_heads, "hd3", (4, 0, 2, 1, 3))


def _heads_behind_tokens(qkv, num_heads):
    return tuple(x.transpose(1, 2) for x in split_heads(qkv, num_heads))


def _heads_before_batch(qkv, num_heads):
    return tuple(x.transpose(0, 1) for x in split_heads(qkv, num_heads))


def _heads_turned(qkv, num_heads):
    return tuple(x.transpose(2, 3) for x in split_heads(qkv, num_heads))


def _heads_ordered(order):
    """The three in another order."""

    def ordered(qkv, num_heads):
        return tuple(split_heads(qkv, num_heads)[i] for i in order)

    return ordered


_heads_other_order = tuple(map(_heads_ordered, list(itertools.permutations(range(3)))[1:]))


def _heads_not_split(qkv, num_heads):
    return qkv.chunk(3, dim=-1)


def _heads_in_the_batch(qkv, num_heads):
    return tuple(x.flatten(0, 1) for x in split_heads(qkv, num_heads))


def same_three(got, wanted, *args):
    """As `agree`; one tensor (3, ...) can be unpacked like three."""
    unpacked = isinstance(got, torch.Tensor) and got.ndim > 0 and len(got) == len(wanted)
    return agree(tuple(got) if unpacked else got, wanted)


def _projections():
    numbers = torch.arange(36.0).view(1, 3, 12)
    two = torch.arange(2 * 5 * 18.0).view(2, 5, 18)
    wide = torch.randn(3, 7, 3 * 24, generator=torch.Generator().manual_seed(0))
    scattered = wide.transpose(1, 2).contiguous().transpose(1, 2)
    return [
        Case("3 tokens of 4 + 4 + 4 counting numbers, two heads", (numbers, 2)),
        Case("two pictures and three heads", (two, 3)),
        Case("a single head", (two, 1)),
        Case("heads of a single number", (two, 6)),
        Case("as many heads as pictures", (wide, 3)),
        Case("a tensor that is not contiguous", (scattered, 4)),
        Case("half precision", (wide.half(), 8)),
    ]


HEADS = Exercise(
    solution=split_heads,
    cases=_projections,
    agree=same_three,
    checked_on="7 cases: one to eight heads, two and three pictures, heads of a single number, "
    "non-contiguous tensors, half precision",
    hints=(
        "A token's 3*C numbers lie in this order: all of q, all of k, all of v; within each, head "
        "after head; within a head, its head_dim numbers.",
        "Give each of these a dimension, in that order, after B and N: five dimensions. A "
        "`reshape` does it, since nothing moves yet. Where does each of the five belong?",
        "(B, N, 3, heads, head_dim) to (3, B, heads, N, head_dim) is `permute(2, 0, 3, 1, 4)`. "
        "What is left is to unpack the three.",
    ),
    mistakes=(
        Mistake(
            "tokens are torn apart: `view` or `reshape` to (B, heads, N, head_dim) reads on "
            "through a token's numbers. Heads get a dimension after N first, which is then moved.",
            _heads_torn,
        ),
        Mistake(
            "tokens are torn apart: 3 and heads are split off in front of N, but a token's numbers "
            "come after it. Split the last axis, then move.",
            _heads_all_torn,
        ),
        Mistake(
            "it reads a token's numbers as head by head, each with its own q, k and v. First come "
            "all of q, then all of k, then all of v.",
            _heads_outermost,
        ),
        Mistake(
            "neighbouring numbers go to different heads. A head has head_dim numbers in a row.",
            _heads_innermost,
        ),
        Mistake(
            "it takes q, k and v in turns, one number each. First come all of q.",
            _kinds_innermost,
        ),
        Mistake(
            "the heads are right, but come after the tokens. Wanted is (B, heads, N, head_dim).",
            _heads_behind_tokens,
        ),
        Mistake("the heads stand before the batch. B comes first.", _heads_before_batch),
        Mistake("the tokens are columns. Each should be a row of head_dim numbers.", _heads_turned),
        Mistake("q, k and v come in another order.", _heads_other_order[0], _heads_other_order[1:]),
        Mistake("q, k and v are apart, but not yet split into heads.", _heads_not_split),
        Mistake(
            "pictures and heads are one dimension. Keep them apart: (B, heads, N, head_dim).",
            _heads_in_the_batch,
        ),
    ),
)

EXERCISES = (ATTENTION, HEADS, SOFTMAX, REAL, JOIN)
