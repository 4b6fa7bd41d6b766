"""Exercises of lesson 08: an epoch of training, a schedule, a loss, a mixture of pictures."""

import inspect
import numbers
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from swinlib.lab.exercises.checking import Case, Exercise, Mistake, agree, describe

# --- a schedule in the shape of a trapezium -----------------------------------------------------


def trapezium(step, steps, warmup_steps, cooldown_steps, peak):
    """The learning rate at a step counted from 0: up in a line, flat, down in a line."""
    up = (step + 1) / warmup_steps if warmup_steps else 1.0
    down = (steps - step) / (cooldown_steps + 1)  # one part more than steps: it never reaches 0
    return peak * min(up, 1.0, down)


def _from_zero(step, steps, warmup_steps, cooldown_steps, peak):
    up = step / warmup_steps if warmup_steps else 1.0
    return peak * min(up, 1.0, (steps - step) / (cooldown_steps + 1))


def _to_zero(step, steps, warmup_steps, cooldown_steps, peak):
    up = (step + 1) / warmup_steps if warmup_steps else 1.0
    down = (steps - 1 - step) / cooldown_steps if cooldown_steps else 1.0
    return peak * min(up, 1.0, down)


def _starts_at_peak(step, steps, warmup_steps, cooldown_steps, peak):
    return peak * min(1.0, (steps - step) / (cooldown_steps + 1))


def _never_falls(step, steps, warmup_steps, cooldown_steps, peak):
    return peak * min(1.0, (step + 1) / warmup_steps if warmup_steps else 1.0)


def _falls_at_once(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (steps - step) / (steps - warmup_steps + 1)


def _multiplied(step, steps, warmup_steps, cooldown_steps, peak):
    up = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    return peak * up * min(1.0, (steps - step) / (cooldown_steps + 1))


def _one_slope_to_its_end(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * min(1.0, (steps - step) / (cooldown_steps + 1))


def _other_slope_from_its_start(step, steps, warmup_steps, cooldown_steps, peak):
    if step >= steps - cooldown_steps:
        return peak * (steps - step) / (cooldown_steps + 1)
    return _never_falls(step, steps, warmup_steps, cooldown_steps, peak)


def _mirrored(step, steps, warmup_steps, cooldown_steps, peak):
    up = (step + 1) / warmup_steps if warmup_steps else 1.0
    down = (steps - step) / cooldown_steps if cooldown_steps else 1.0
    return peak * min(up, 1.0, down)


def _as_a_share(*args):
    return trapezium(*args) / args[-1]


def _swapped_lengths(step, steps, warmup_steps, cooldown_steps, peak):
    return trapezium(step, steps, cooldown_steps, warmup_steps, peak)


def _steps_to_try():
    whole = [Case(f"step {step} of 10", (step, 10, 4, 3, 0.8)) for step in (0, 1, 3, 4, 6, 7, 8, 9)]
    meeting = [
        Case(f"slopes that meet, step {step}", (step, 8, 6, 6, 0.3)) for step in (2, 3, 4, 5, 6)
    ]
    return [
        *whole,
        Case("no warm-up", (0, 10, 0, 5, 1.0)),
        Case("no cool-down", (9, 10, 2, 0, 1.0)),
        *meeting,
        Case("a long run", (95_000, 100_000, 5_000, 20_000, 1e-3)),
    ]


SCHEDULE = Exercise(
    solution=trapezium,
    cases=_steps_to_try,
    checked_on="16 steps: both ends of either slope, no warm-up, no cool-down, slopes that meet",
    hints=(
        "Write the rate as `peak` times the smallest of three numbers.",
        "One of the three is 1. One grows from 1 / warmup_steps to 1 in the first warmup_steps "
        "steps and goes on growing. What must the third be at the last step, and where is it 1?",
        "At the last step, `steps - 1`, it is 1 / (cooldown_steps + 1), and it grows by the same "
        "for every step further back. A warm-up of 0 steps must not divide by 0.",
    ),
    mistakes=(
        Mistake(
            "the first step has a rate of 0, so it is wasted. The warm-up begins at "
            "peak / warmup_steps.",
            _from_zero,
        ),
        Mistake(
            "the last step has a rate of 0, so it is wasted. It is to be peak / "
            "(cooldown_steps + 1).",
            _to_zero,
        ),
        Mistake("there is no warm-up: it begins at the peak.", _starts_at_peak),
        Mistake("there is no cool-down: it stays at the peak.", _never_falls),
        Mistake(
            "it falls from the end of the warm-up on. The fall is to take the last "
            "cooldown_steps steps.",
            _falls_at_once,
        ),
        Mistake(
            "where the slopes meet it multiplies them. It is to follow the lower one.", _multiplied
        ),
        Mistake(
            "where the slopes meet it keeps to one of them, though the other is lower.",
            _one_slope_to_its_end,
            (_other_slope_from_its_start,),
        ),
        Mistake(
            "the first step of the fall is still at the peak. The fall has cooldown_steps + 1 "
            "parts, and the first step is a part below the peak.",
            _mirrored,
        ),
        Mistake("it gives a share of the peak. Multiply by `peak`.", _as_a_share),
        Mistake("it takes the length of the warm-up for that of the cool-down.", _swapped_lengths),
    ),
)

# --- label smoothing ----------------------------------------------------------------------------


def smoothed_loss(logits, labels, smoothing):
    """Mean cross-entropy of (B, classes) logits and (B,) labels, with label smoothing."""
    log_p = logits - logits.logsumexp(-1, keepdim=True)  # never the log of a softmax that is 0
    own = log_p.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * own + smoothing * log_p.mean(-1)).mean()


def _log_of_softmax(logits, labels, smoothing):
    log_p = logits.softmax(-1).log()
    own = log_p.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * own + smoothing * log_p.mean(-1)).mean()


def _no_smoothing(logits, labels, smoothing):
    return F.cross_entropy(logits, labels)


def _over_the_others(logits, labels, smoothing):
    log_p, classes = logits.log_softmax(-1), logits.shape[-1]
    own = log_p.gather(1, labels[:, None])[:, 0]
    others = (log_p.sum(-1) - own) / (classes - 1)
    return -((1 - smoothing) * own + smoothing * others).mean()


def _not_divided(logits, labels, smoothing):
    log_p = logits.log_softmax(-1)
    own = log_p.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * own + smoothing * log_p.sum(-1)).mean()


def _own_kept_whole(logits, labels, smoothing):
    log_p = logits.log_softmax(-1)
    own = log_p.gather(1, labels[:, None])[:, 0]
    return -(own + smoothing * log_p.mean(-1)).mean()


def _summed(logits, labels, smoothing):
    return smoothed_loss(logits, labels, smoothing) * len(labels)


def _each(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")


def _wrong_axis(logits, labels, smoothing):
    log_p = logits.log_softmax(0)
    own = log_p.gather(1, labels[:, None])[:, 0]
    return -((1 - smoothing) * own + smoothing * log_p.mean(-1)).mean()


def _sign(logits, labels, smoothing):
    return -smoothed_loss(logits, labels, smoothing)


def _first_column(logits, labels, smoothing):
    log_p = logits.log_softmax(-1)
    own = log_p[:, labels].mean(-1)
    return -((1 - smoothing) * own + smoothing * log_p.mean(-1)).mean()


def _over_classes_too(logits, labels, smoothing):
    return smoothed_loss(logits, labels, smoothing) / logits.shape[-1]


def _batches():
    g = torch.Generator().manual_seed(0)
    small = torch.tensor([[2.0, 0.0, -1.0]])
    logits = torch.randn(8, 10, generator=g) * 3
    labels = torch.randint(0, 10, (8,), generator=g)
    return [
        Case("one picture, three classes", (small, torch.tensor([0]), 0.1)),
        Case("two pictures", (torch.tensor([[1.0, 3.0], [0.5, -0.5]]), torch.tensor([0, 1]), 0.2)),
        Case("no smoothing", (logits, labels, 0.0)),
        Case("eight pictures, ten classes", (logits, labels, 0.1)),
        Case("logits of several hundreds", (logits * 100, labels, 0.1)),
        Case("logits that are not contiguous", (logits.T.contiguous().T, labels, 0.3)),
        Case("double precision", (logits.double(), labels, 0.05)),
        Case("logits that require a gradient", (logits.clone().requires_grad_(), labels, 0.1)),
    ]


LOSS = Exercise(
    solution=smoothed_loss,
    cases=_batches,
    forbidden=("cross_entropy",),
    checked_on="8 batches: one picture, no smoothing, logits of several hundreds, double "
    "precision, and the gradient",
    hints=(
        "With smoothing ε the target gives every class ε / classes, and the right one 1 - ε more.",
        "The loss of one picture is the sum over the classes of -target * log p: (1 - ε) times "
        "the loss you know, plus ε times the mean of -log p over *all* classes.",
        "log p is `logits - logits.logsumexp(-1, keepdim=True)`, which survives large logits. "
        "`gather` picks the column of the label.",
    ),
    mistakes=(
        Mistake(
            "with large logits it is infinite or NaN: a softmax can be exactly 0, and its "
            "logarithm is -∞. Take the logarithm before it is too late.",
            _log_of_softmax,
        ),
        Mistake("it is the loss without any smoothing.", _no_smoothing),
        Mistake(
            "it spreads the ε over the *other* classes. It is spread over all, the right one too.",
            _over_the_others,
        ),
        Mistake(
            "it sums -log p over the classes where a mean belongs: the target would add up to "
            "more than 1.",
            _not_divided,
        ),
        Mistake(
            "the right class keeps all of its 1, and the rest comes on top. It gives up ε.",
            _own_kept_whole,
        ),
        Mistake("it sums over the pictures. A mean is asked for.", _summed),
        Mistake(
            "the mean is taken over the classes as well. A picture's loss is a *sum* over the "
            "classes, and the mean runs over the pictures.",
            _over_classes_too,
        ),
        Mistake("it gives one loss for each picture. Their mean is asked for.", _each),
        Mistake("the softmax runs over the pictures. It belongs over the classes.", _wrong_axis),
        Mistake("the sign is wrong: a loss falls when things get better.", _sign),
        Mistake(
            "`log_p[:, labels]` takes the columns of *all* labels for every picture. Each picture "
            "has its own.",
            _first_column,
        ),
    ),
)

# --- mixup --------------------------------------------------------------------------------------


def mix_pictures(images, labels, num_classes, share, partner):
    """Mixup of uint8 pictures (B, 3, H, W) with those numbered `partner`: pictures and targets."""
    images = images.float()  # the scale stays 0 to 255
    targets = F.one_hot(labels, num_classes).float()
    return (
        share * images + (1 - share) * images[partner],
        share * targets + (1 - share) * targets[partner],
    )


def _labels_not_mixed(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    return mixed, F.one_hot(labels, num_classes).float()


def _share_swapped(images, labels, num_classes, share, partner):
    return mix_pictures(images, labels, num_classes, 1 - share, partner)


def _target_share_swapped(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    return mixed, mix_pictures(images, labels, num_classes, 1 - share, partner)[1]


def _cut_off(images, labels, num_classes, share, partner):
    mixed, targets = mix_pictures(images, labels, num_classes, share, partner)
    return mixed.to(torch.uint8), targets


def _cut_off_early(images, labels, num_classes, share, partner):
    first, second = (share * images.float()).byte(), ((1 - share) * images[partner].float()).byte()
    _, targets = mix_pictures(images, labels, num_classes, share, partner)
    return (first + second).float(), targets


def _batch_reversed(images, labels, num_classes, share, partner):
    return mix_pictures(images, labels, num_classes, share, torch.arange(len(labels)).flip(0))


def _partner_s_label_only(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    targets = F.one_hot(labels, num_classes).float()
    return mixed, share * targets + (1 - share) * targets.roll(1, 0)


def _mixed_numbers(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    return mixed, share * labels + (1 - share) * labels[partner]


def _overwritten(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    targets = share * F.one_hot(labels, num_classes).float()
    return mixed, targets.scatter(1, labels[partner][:, None], 1 - share)


def _overwritten_by_own(images, labels, num_classes, share, partner):
    mixed, _ = mix_pictures(images, labels, num_classes, share, partner)
    targets = (1 - share) * F.one_hot(labels[partner], num_classes).float()
    return mixed, targets.scatter(1, labels[:, None], share)


def _scaled(images, labels, num_classes, share, partner):
    mixed, targets = mix_pictures(images, labels, num_classes, share, partner)
    return mixed / 255, targets


def _swapped_back(images, labels, num_classes, share, partner):
    return mix_pictures(images, labels, num_classes, share, partner.argsort())


def _pairs():
    g = torch.Generator().manual_seed(1)
    tiny = torch.tensor([[[[0, 100]]], [[[200, 50]]]], dtype=torch.uint8)
    images = torch.randint(0, 256, (5, 3, 4, 6), generator=g, dtype=torch.uint8)
    labels = torch.tensor([2, 0, 1, 3, 3])
    partner = torch.tensor([3, 0, 1, 4, 2])  # pictures 3 and 4 show the same
    scattered = images.permute(0, 1, 3, 2)
    return [
        Case("two pictures of two pixels", (tiny, labels[:2], 3, 0.5, torch.tensor([1, 0]))),
        Case("shares that leave fractions", (tiny, labels[:2], 3, 0.73, torch.tensor([1, 0]))),
        Case("five pictures, partners in a ring", (images, labels, 4, 0.6, partner)),
        Case("a share of 1", (images, labels, 4, 1.0, partner)),
        Case("bright pictures", (255 - images // 8, labels, 5, 0.5, partner)),
        Case("pictures that are not contiguous", (scattered, labels, 10, 0.9, partner)),
    ]


MIXUP = Exercise(
    solution=mix_pictures,
    cases=_pairs,
    checked_on="6 batches: shares that leave fractions, partners in a ring, bright pictures, a "
    "share of 1, non-contiguous tensors",
    hints=(
        "A mixed picture shows two things, so its target must name both, in the same shares.",
        "`F.one_hot(labels, num_classes)` turns labels into targets that can be mixed. Mixed "
        "pictures are float32: turn none of the parts back into whole numbers.",
        "`x[partner]` is the batch in another order. Mix `images.float()` with it, and the "
        "one-hot targets in the same way.",
    ),
    mistakes=(
        Mistake(
            "the pictures are mixed but the targets are not: the network would be told off for "
            "seeing what is there.",
            _labels_not_mixed,
        ),
        Mistake(
            "the shares are the wrong way round: `share` belongs to the picture, the rest to its "
            "partner.",
            _share_swapped,
        ),
        Mistake(
            "pictures and targets are mixed in opposite shares.",
            _target_share_swapped,
        ),
        Mistake("the mixture is truncated to whole numbers. It is to stay float32.", _cut_off),
        Mistake(
            "fractions are lost before the sum, so that mixtures come out too dark. Add parts that "
            "are float32.",
            _cut_off_early,
        ),
        Mistake(
            "it chooses partners of its own. Picture i is to be mixed with picture partner[i].",
            _batch_reversed,
        ),
        Mistake(
            "the targets are mixed with the neighbour's in the batch, not with the partner's.",
            _partner_s_label_only,
        ),
        Mistake(
            "it mixes the *numbers* of the classes: half of class 2 and half of class 4 is not "
            "class 3.",
            _mixed_numbers,
        ),
        Mistake(
            "where picture and partner have the same label, one share overwrites the other, and "
            "the target does not add up to 1.",
            _overwritten,
            (_overwritten_by_own,),
        ),
        Mistake(
            "the pictures are divided by 255. Leave their scale as it is, from 0 to 255.", _scaled
        ),
        Mistake(
            "it mixes picture partner[i] with i where i with partner[i] is wanted: the order is "
            "undone instead of applied.",
            _swapped_back,
        ),
    ),
)

# --- one epoch of training ----------------------------------------------------------------------


def train_one_epoch(start, images, labels, order, batch_size, rates, clip_norm):
    """One pass over all pictures, in the given order: trains in place, returns the mean loss."""
    model, optimizer = start()
    model.train()
    total = 0.0
    for step, chosen in enumerate(order.split(batch_size)):
        for group in optimizer.param_groups:
            group["lr"] = rates[step]
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        total += loss.item() * len(chosen)  # a smaller last batch counts for less
    return total / len(order)


def _epoch(
    start,
    images,
    labels,
    order,
    batch_size,
    rates,
    clip_norm,
    clip=nn.utils.clip_grad_norm_,
    keep_gradients=False,
    set_rate=True,
    rate_after=False,
    all_groups=True,
    training=True,
    stepping=True,
    last_step=True,
    softmax=False,
    whole_batches=False,
    by_batch=False,
):
    """The epoch, with one of its steps done otherwise."""
    model, optimizer = start()
    model.train(training)
    losses = []
    for step, chosen in enumerate(order.split(batch_size)):
        if whole_batches and len(chosen) < batch_size:
            continue
        groups = optimizer.param_groups[: None if all_groups else 1] if set_rate else []
        for group in [] if rate_after else groups:
            group["lr"] = rates[step]
        logits = model(images[chosen])
        loss = F.cross_entropy(logits.softmax(-1) if softmax else logits, labels[chosen])
        if not keep_gradients:
            optimizer.zero_grad()
        loss.backward()
        clip(list(model.parameters()), clip_norm)
        if stepping and (last_step or step + 1 < len(rates)):
            optimizer.step()
        for group in groups if rate_after else []:
            group["lr"] = rates[step]
        losses += [loss.item()] if by_batch else [loss.item()] * len(chosen)
    return sum(losses) / len(losses)


def _epoch_with(**changes):
    def epoch(*args):
        return _epoch(*args, **changes)

    return epoch


def _each_alone(parameters, clip_norm):
    for parameter in parameters:
        nn.utils.clip_grad_norm_([parameter], clip_norm)


def _never(parameters, clip_norm):
    pass


def _to_one(parameters, clip_norm):
    nn.utils.clip_grad_norm_(parameters, 1.0)


_gradients_add_up = _epoch_with(keep_gradients=True)
_epoch_unclipped = _epoch_with(clip=_never)
_epoch_clipped_by_value = _epoch_with(clip=nn.utils.clip_grad_value_)
_epoch_clipped_alone = _epoch_with(clip=_each_alone)
_epoch_clipped_to_one = _epoch_with(clip=_to_one)
_epoch_at_one_rate = _epoch_with(set_rate=False)
_epoch_rate_after = _epoch_with(rate_after=True)
_epoch_one_group = _epoch_with(all_groups=False)
_epoch_in_eval_mode = _epoch_with(training=False)
_epoch_without_steps = _epoch_with(stepping=False)
_epoch_without_last = _epoch_with(last_step=False)
_epoch_softmax_twice = _epoch_with(softmax=True)
_epoch_whole_batches = _epoch_with(whole_batches=True)
_epoch_mean_of_means = _epoch_with(by_batch=True)


def _epoch_unshuffled(start, images, labels, order, *others):
    return _epoch(start, images, labels, torch.arange(len(order)), *others)


def _epoch_labels_stay(start, images, labels, order, *others):
    """The pictures in the given order, and the labels in their own."""
    return _epoch(start, images[order], labels, torch.arange(len(order)), *others)


def same_loss(got, wanted, *_):
    """As `agree`, to the rounding of the weights, which are float32."""
    if isinstance(got, numbers.Real):  # also NumPy's
        got = torch.tensor(float(got))
    if not isinstance(got, torch.Tensor):
        return f"returns {describe(got)}, wanted the mean loss, a number"
    return agree(got.detach().float(), torch.tensor(wanted))


class Descent:
    """Plain gradient descent behind the interface of `torch.optim`, whose first use takes seconds.

    Args:
        groups: dicts with "params" and perhaps "weight_decay".
        lr: their learning rate.
    """

    def __init__(self, groups: list[dict], lr: float):
        self.param_groups = [{"weight_decay": 0.0, **group, "lr": lr} for group in groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None if set_to_none or p.grad is None else torch.zeros_like(p)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p -= group["lr"] * (p.grad + group["weight_decay"] * p)


class Start:
    """A function that gives a fresh model, in eval mode, and its optimiser with two groups.

    Args:
        make: makes the model.
    """

    def __init__(self, make: Callable):
        self.make, self.model = make, None

    def __call__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = self.make().eval()
        decay = [p for p in self.model.parameters() if p.ndim > 1]
        keep = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": 0.1}, {"params": keep}]
        return self.model, Descent(groups, 0.01)

    def left(self) -> torch.Tensor:
        """The weights of the latest model, one after the other; none before the first."""
        weights = [] if self.model is None else self.model.parameters()
        return torch.cat([torch.empty(0), *(w.detach().flatten() for w in weights)])


def _linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def _normed():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def _epochs():
    g = torch.Generator().manual_seed(0)

    def pictures(n):
        return torch.randn(n, 3, 2, 2, generator=g), torch.randint(0, 3, (n,), generator=g)

    linear, normed = Start(_linear), Start(_normed)
    return [
        Case("a single batch", (linear, *pictures(4), torch.arange(4), 4, [0.1], 100.0)),
        Case("two batches", (linear, *pictures(8), torch.arange(8), 4, [0.01, 0.01], 100.0)),
        Case(
            "an order of its own",
            (linear, *pictures(8), torch.randperm(8, generator=g), 4, [0.01, 0.01], 100.0),
        ),
        Case(
            "another rate for each step",
            (linear, *pictures(9), torch.randperm(9, generator=g), 3, [0.3, 0.1, 0.02], 100.0),
        ),
        Case(
            "a last batch that is smaller",
            (linear, *pictures(10), torch.randperm(10, generator=g), 4, [0.1, 0.2, 0.1], 100.0),
        ),
        Case(
            "gradients that must be clipped",
            (linear, *pictures(8), torch.randperm(8, generator=g), 4, [0.2, 0.2], 0.3),
        ),
        Case(
            "a model with batch norm",
            (normed, *pictures(9), torch.randperm(9, generator=g), 3, [0.1, 0.1, 0.1], 1.0),
        ),
    ]


EPOCH = Exercise(
    solution=train_one_epoch,
    cases=_epochs,
    agree=same_loss,
    leaves="the mean loss is right, but the weights that are left behind are not: is a step "
    "missing, or one too many, made at another rate, or with a gradient clipped to another length?",
    allowed=(Start.__call__, Descent.zero_grad, inspect.unwrap(Descent.step)),
    checked_on="7 epochs: orders and rates of their own, a smaller last batch, clipped gradients, "
    "two groups of parameters, batch norm",
    hints=(
        "Before the loop: a model, its optimiser, training mode, and somewhere to add up losses. "
        "Inside: which pictures, which rate, forward, loss, backward, step.",
        "`order.split(batch_size)` gives the numbers of each batch's pictures, and "
        "`images[chosen]` picks them. A rate is set in every one of `optimizer.param_groups`.",
        "Old gradients must go before `backward()`, and the new ones are clipped between it and "
        "`step()`. For the mean, weight each batch's loss by its number of pictures.",
    ),
    mistakes=(
        Mistake(
            "gradients of earlier batches add up. PyTorch keeps them until they are set to zero.",
            _gradients_add_up,
        ),
        Mistake("the gradients are not clipped.", _epoch_unclipped),
        Mistake(
            "each number of the gradient is clipped by itself, which turns its direction. Clip the "
            "length of the whole gradient: `clip_grad_norm_`.",
            _epoch_clipped_by_value,
        ),
        Mistake(
            "each parameter's gradient is clipped by itself. The length is that of all of them "
            "together.",
            _epoch_clipped_alone,
        ),
        Mistake(
            "the gradient is clipped to a length of its own. Clip it to `clip_norm`.",
            _epoch_clipped_to_one,
        ),
        Mistake(
            "the learning rates given are not used: set one in every group before each step.",
            _epoch_at_one_rate,
        ),
        Mistake(
            "each rate is set after its step, and counts for the next one. Set it before.",
            _epoch_rate_after,
        ),
        Mistake(
            "only the first group of parameters gets the learning rate. The biases and norms are "
            "in the second.",
            _epoch_one_group,
        ),
        Mistake("the pictures are taken as they stand, not in the given order.", _epoch_unshuffled),
        Mistake(
            "the pictures are shuffled and their labels are not, so that most are wrong.",
            _epoch_labels_stay,
        ),
        Mistake(
            "the smaller batch at the end is left out. Here it counts too.", _epoch_whole_batches
        ),
        Mistake(
            "the mean is taken over batches, so that pictures of a small one count for more. Take "
            "it over pictures.",
            _epoch_mean_of_means,
        ),
        Mistake(
            "the model stays in eval mode. Call `model.train()`.",
            _epoch_in_eval_mode,
        ),
        Mistake(
            "nothing is learned: every batch meets the weights as they were at the start. Is there "
            "one model for all batches, and a step of its own optimiser after `backward`, before "
            "the gradients are cleared?",
            _epoch_without_steps,
        ),
        Mistake(
            "the last batch's loss is counted, but no step is made after it: the weights are those "
            "before the last step.",
            _epoch_without_last,
        ),
        Mistake(
            "there is a softmax before `F.cross_entropy`, which has one inside.",
            _epoch_softmax_twice,
        ),
    ),
)

EXERCISES = (EPOCH, SCHEDULE, LOSS, MIXUP)
