"""Answers to the exercises of lesson 08."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# --- train_one_epoch ----------------------------------------------------------------------------


def update(model, optimizer, x, y, rate, clip_norm):
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return loss.detach()


def epoch_with_a_helper(start, images, labels, order, batch_size, rates, clip_norm):
    model, optimizer = start()
    model.train()
    total, batches = torch.zeros(()), order.split(batch_size)
    for chosen, rate in zip(batches, rates, strict=True):
        x, y = images[chosen], labels[chosen]
        total += len(y) * update(model, optimizer, x, y, rate, clip_norm)
    return total / len(order)


def epoch_by_hand(start, images, labels, order, batch_size, rates, clip_norm):
    """The order by counting, and the clipping written out."""
    model, optimizer = start()
    model.train()
    losses = []
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        for group in optimizer.param_groups:
            group["lr"] = rates[first // batch_size]
        model.zero_grad()
        each = F.cross_entropy(model(images[chosen]), labels[chosen], reduction="none")
        each.mean().backward()
        gradients = [p.grad for p in model.parameters()]
        length = torch.cat([g.flatten() for g in gradients]).norm()
        for gradient in gradients:
            gradient.mul_(min(1.0, clip_norm / (length.item() + 1e-6)))
        optimizer.step()
        losses += each.tolist()
    return sum(losses) / len(losses)


def epoch_by_loader(start, images, labels, order, batch_size, rates, clip_norm):
    model, optimizer = start()
    model.train()
    data = torch.utils.data.TensorDataset(images, labels)
    loader = torch.utils.data.DataLoader(data, batch_size, sampler=order.tolist())
    rate, losses = iter(rates), []
    for x, y in loader:
        losses += [update(model, optimizer, x, y, next(rate), clip_norm).item()] * len(y)
    return sum(losses) / len(losses)


def epoch_with_numpys_mean(start, images, labels, order, batch_size, rates, clip_norm):
    """Whose mean of float32 is no Python float."""
    model, optimizer = start()
    model.train()
    losses = []
    for chosen, rate in zip(order.split(batch_size), rates, strict=True):
        loss = update(model, optimizer, images[chosen], labels[chosen], rate, clip_norm)
        losses += [loss.numpy()] * len(chosen)
    return np.mean(losses)


def careless_epoch(
    start, images, labels, order, batch_size, rates, clip_norm, *, leave_out=(), clip=None
):
    model, optimizer = start()
    if "train" not in leave_out:
        model.train()
    total = 0.0
    for step, chosen in enumerate(order.split(batch_size)):
        for group in optimizer.param_groups:
            if "rates" not in leave_out:
                group["lr"] = rates[step]
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        if "zero_grad" not in leave_out:
            optimizer.zero_grad()
        if "backward" not in leave_out:
            loss.backward()
        if clip:
            clip(model, clip_norm)
        elif "clip" not in leave_out:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        if "step" not in leave_out:
            optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(order)


def epoch_adding_up(*args):
    return careless_epoch(*args, leave_out=["zero_grad"])


def epoch_not_clipped(*args):
    return careless_epoch(*args, leave_out=["clip"])


def epoch_clamped(*args):
    return careless_epoch(
        *args, clip=lambda model, c: [p.grad.clamp_(-c, c) for p in model.parameters()]
    )


def epoch_clipped_one_by_one(*args):
    return careless_epoch(
        *args, clip=lambda model, c: [nn.utils.clip_grad_norm_(p, c) for p in model.parameters()]
    )


def epoch_clipped_to_one(*args):
    return careless_epoch(
        *args, clip=lambda model, c: nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    )


def epoch_clipped_to_half(*args):
    return careless_epoch(
        *args, clip=lambda model, c: nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    )


def epoch_at_the_next_rate(start, images, labels, order, batch_size, rates, clip_norm):
    """As with a scheduler, whose step comes after the optimiser's."""
    model, optimizer = start()
    model.train()
    total = 0.0
    for chosen, rate in zip(order.split(batch_size), rates, strict=True):
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = rate
        total += loss.item() * len(chosen)
    return total / len(order)


def epoch_at_the_start_rate(*args):
    return careless_epoch(*args, leave_out=["rates"])


def epoch_evaluating(*args):
    return careless_epoch(*args, leave_out=["train"])


def epoch_without_steps(*args):
    return careless_epoch(*args, leave_out=["step"])


def epoch_cleared_too_late(start, images, labels, order, batch_size, rates, clip_norm):
    """Zeroed between backward and step."""
    model, optimizer = start()
    model.train()
    total = 0.0
    for chosen, rate in zip(order.split(batch_size), rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        optimizer.zero_grad()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        total += loss.item() * len(chosen)
    return total / len(order)


def epoch_steps_before_the_next(start, images, labels, order, batch_size, rates, clip_norm):
    """Steps at the beginning of the next turn, so that the last gradient is never used."""
    model, optimizer = start()
    model.train()
    total = 0.0
    for step, chosen in enumerate(order.split(batch_size)):
        if step:
            for group in optimizer.param_groups:
                group["lr"] = rates[step - 1]
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            optimizer.zero_grad()
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        total += loss.item() * len(chosen)
    return total / len(order)


def epoch_with_a_step_too_many(*args):
    """Right until the end, and then once more with the last gradient."""
    start, seen = args[0], []

    def watched():
        seen.extend(start())
        return seen

    mean = careless_epoch(watched, *args[1:])
    seen[1].step()
    return mean


def epoch_two_starts(start, *others):
    """The optimiser is that of another model."""
    return careless_epoch(lambda: (start()[0], start()[1]), *others)


def epoch_first_group_only(start, images, labels, order, batch_size, rates, clip_norm):
    model, optimizer = start()
    model.train()
    losses = []
    for chosen, rate in zip(order.split(batch_size), rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        losses += [loss.item()] * len(chosen)
    return sum(losses) / len(losses)


def epoch_in_storage_order(start, images, labels, order, *others):
    return careless_epoch(start, images, labels, order.sort().values, *others)


def epoch_shuffled_pictures(start, images, labels, order, *others):
    return careless_epoch(start, images[order], labels, torch.arange(len(order)), *others)


def epoch_of_full_batches(start, images, labels, order, batch_size, *others):
    whole = order[: len(order) // batch_size * batch_size]
    return careless_epoch(start, images, labels, whole, batch_size, *others)


def epoch_average_of_averages(start, images, labels, order, batch_size, rates, clip_norm):
    model, optimizer = start()
    model.train()
    batches = zip(order.split(batch_size), rates, strict=True)
    losses = [
        update(model, optimizer, images[chosen], labels[chosen], rate, clip_norm).item()
        for chosen, rate in batches
    ]
    return sum(losses) / len(losses)


def epoch_sum_of_losses(start, images, labels, order, *others):
    return len(order) * careless_epoch(start, images, labels, order, *others)


def epoch_list_of_losses(start, images, labels, order, *others):
    return [careless_epoch(start, images, labels, order, *others)]


def epoch_on_probabilities(start, images, labels, order, batch_size, rates, clip_norm):
    def squashed():
        model, optimizer = start()
        return nn.Sequential(model, nn.Softmax(-1)), optimizer

    return careless_epoch(squashed, images, labels, order, batch_size, rates, clip_norm)


# --- trapezium ----------------------------------------------------------------------------------


def three_ifs(step, steps, warmup_steps, cooldown_steps, peak):
    rate = peak
    if step < warmup_steps:
        rate = min(rate, peak * (step + 1) / warmup_steps)
    if step >= steps - cooldown_steps:
        rate = min(rate, peak * (steps - step) / (cooldown_steps + 1))
    return rate


def by_interpolation(step, steps, warmup_steps, cooldown_steps, peak):
    rising = torch.linspace(0, 1, warmup_steps + 1, dtype=torch.float64)[1:]
    falling = torch.linspace(0, 1, cooldown_steps + 2, dtype=torch.float64)[1:-1].flip(0)
    rates = torch.ones(steps, dtype=torch.float64)
    rates[:warmup_steps] = rising[:steps]
    tail = rates[steps - cooldown_steps :]
    rates[steps - cooldown_steps :] = torch.minimum(tail, falling)
    return peak * rates[step]


def counts_from_zero(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return min(peak * step / warmup_steps, peak * (steps - step) / (cooldown_steps + 1))
    return min(peak, peak * (steps - step) / (cooldown_steps + 1))


def ends_at_zero(step, steps, warmup_steps, cooldown_steps, peak):
    rate = peak
    if step < warmup_steps:
        rate = peak * (step + 1) / warmup_steps
    if step >= steps - cooldown_steps:
        rate = min(rate, peak * (steps - 1 - step) / cooldown_steps)
    return rate


def no_warm_up(step, steps, warmup_steps, cooldown_steps, peak):
    start = steps - cooldown_steps
    return peak if step < start else peak * (steps - step) / (cooldown_steps + 1)


def no_cool_down(step, steps, warmup_steps, cooldown_steps, peak):
    return peak * (step + 1) / warmup_steps if step < warmup_steps else peak


def triangle(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * (steps - step) / (steps - warmup_steps + 1)


def product(step, steps, warmup_steps, cooldown_steps, peak):
    rate = peak
    if step < warmup_steps:
        rate *= (step + 1) / warmup_steps
    if step >= steps - cooldown_steps:
        rate *= (steps - step) / (cooldown_steps + 1)
    return rate


def factor(*args):
    return three_ifs(*args[:-1], 1.0)


def lengths_swapped(step, steps, cooldown_steps, warmup_steps, peak):
    return three_ifs(step, steps, warmup_steps, cooldown_steps, peak)


def divides_by_zero(step, steps, warmup_steps, cooldown_steps, peak):
    return peak * min((step + 1) / warmup_steps, 1, (steps - step) / (cooldown_steps + 1))


def cosine(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    if step < steps - cooldown_steps:
        return peak
    done = (step - steps + cooldown_steps + 1) / (cooldown_steps + 1)
    return peak * (1 + math.cos(math.pi * done)) / 2


# --- smoothed_loss ------------------------------------------------------------------------------


def from_functional(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def with_targets(logits, labels, smoothing):
    classes = logits.shape[1]
    targets = torch.full_like(logits, smoothing / classes)
    targets[range(len(labels)), labels] += 1 - smoothing
    return -(targets * F.log_softmax(logits, dim=1)).sum(1).mean()


def gathered(logits, labels, smoothing):
    highest = logits.max(1, keepdim=True).values
    log_p = logits - highest - (logits - highest).exp().sum(1, keepdim=True).log()
    losses = []
    for row, label in zip(log_p, labels, strict=True):
        losses.append(-(1 - smoothing) * row[label] - smoothing * row.mean())
    return torch.stack(losses).mean()


def softmax_log(logits, labels, smoothing):
    p = torch.softmax(logits, 1)
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * torch.log(p)).sum(1).mean()


def plain(logits, labels, smoothing):
    return -logits.log_softmax(1)[range(len(labels)), labels].mean()


def others_only(logits, labels, smoothing):
    targets = torch.full_like(logits, smoothing / (logits.shape[1] - 1))
    targets[range(len(labels)), labels] = 1 - smoothing
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def epsilon_for_everybody(logits, labels, smoothing):
    targets = torch.full_like(logits, smoothing)
    targets[range(len(labels)), labels] += 1 - smoothing
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def on_top(logits, labels, smoothing):
    targets = F.one_hot(labels, logits.shape[1]) + smoothing / logits.shape[1]
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def total(*args):
    return with_targets(*args) * len(args[1])


def not_reduced(logits, labels, smoothing):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * logits.log_softmax(1)).sum(1)


def softmax_over_pictures(logits, labels, smoothing):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * logits.log_softmax(0)).sum(1).mean()


def negative(*args):
    return -with_targets(*args)


def all_columns(logits, labels, smoothing):
    log_p = logits.log_softmax(1)
    return -(1 - smoothing) * log_p[:, labels].mean() - smoothing * log_p.mean()


def mean_over_classes(logits, labels, smoothing):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * logits.log_softmax(1)).mean()


def item(*args):
    return with_targets(*args).item()


# --- mix_pictures -------------------------------------------------------------------------------


def mix_by_loop(images, labels, num_classes, share, partner):
    pictures = torch.zeros(images.shape)
    targets = torch.zeros(len(labels), num_classes)
    for i in range(len(labels)):
        j = int(partner[i])
        pictures[i] = share * images[i] + (1 - share) * images[j]
        targets[i, labels[i]] += share
        targets[i, labels[j]] += 1 - share
    return pictures, targets


def mix_by_lerp(images, labels, num_classes, share, partner):
    eye = torch.eye(num_classes)
    return (
        torch.lerp(images[partner].float(), images.float(), share),
        torch.lerp(eye[labels[partner]], eye[labels], share),
    )


def only_pictures(*args):
    return mix_by_loop(*args)[0], F.one_hot(args[1], args[2]).float()


def other_share(images, labels, num_classes, share, partner):
    return mix_by_loop(images, labels, num_classes, 1 - share, partner)


def targets_other_share(*args):
    return mix_by_loop(*args)[0], other_share(*args)[1]


def as_uint8(*args):
    pictures, targets = mix_by_loop(*args)
    return pictures.to(torch.uint8), targets


def bytes_first(images, labels, num_classes, share, partner):
    pictures = (images * share).byte() + (images[partner] * (1 - share)).byte()
    return pictures.float(), mix_by_loop(images, labels, num_classes, share, partner)[1]


def flips_the_batch(images, labels, num_classes, share, partner):
    eye, images = torch.eye(num_classes)[labels], images.float()
    return (
        share * images + (1 - share) * images.flip(0),
        share * eye + (1 - share) * eye.flip(0),
    )


def targets_of_neighbour(*args):
    images, labels, num_classes, share, partner = args
    eye = torch.eye(num_classes)[labels]
    return mix_by_loop(*args)[0], share * eye + (1 - share) * eye.roll(1, dims=0)


def mixes_numbers(*args):
    images, labels, num_classes, share, partner = args
    return mix_by_loop(*args)[0], labels * share + labels[partner] * (1 - share)


def zero_to_one(*args):
    pictures, targets = mix_by_loop(*args)
    return pictures / 255.0, targets


def order_undone(images, labels, num_classes, share, partner):
    return mix_by_loop(images, labels, num_classes, share, torch.argsort(partner))


def pictures_only(*args):
    return mix_by_loop(*args)[0]


def writes_pictures(images, labels, num_classes, share, partner):
    mixed, targets = mix_by_loop(images, labels, num_classes, share, partner)
    images.copy_(mixed)
    return mixed, targets


def rounds(*args):
    pictures, targets = mix_by_loop(*args)
    return pictures.round(), targets


# --- more of all three --------------------------------------------------------------------------


def trapezium_by_numpy(step, steps, warmup_steps, cooldown_steps, peak):
    rates = np.ones(steps)
    rates = np.minimum(rates, np.arange(1, steps + 1) / max(1, warmup_steps))
    return peak * np.minimum(rates, np.arange(steps, 0, -1) / (cooldown_steps + 1))[step]


def trapezium_of_tensors(step, steps, warmup_steps, cooldown_steps, peak):
    slopes = [1.0, (steps - step) / (cooldown_steps + 1)]
    return torch.tensor(slopes + [(step + 1) / max(1, warmup_steps)]).amin() * peak


def up_before_down(step, steps, warmup_steps, cooldown_steps, peak):
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * min(1, (steps - step) / (cooldown_steps + 1))


def fall_as_the_warm_ups_mirror(step, steps, warmup_steps, cooldown_steps, peak):
    left = steps - step
    if step < warmup_steps:
        return min(peak * (step + 1) / warmup_steps, peak * left / max(1, cooldown_steps))
    return peak * min(1, left / max(1, cooldown_steps))


def peak_as_a_bound(step, steps, warmup_steps, cooldown_steps, peak):
    """Multiplies by the peak too late: the slopes are shares, the peak a rate."""
    up = (step + 1) / warmup_steps if warmup_steps else 1
    return min(peak, up, (steps - step) / (cooldown_steps + 1))


def one_part_more(step, steps, warmup_steps, cooldown_steps, peak):
    """There is a warm-up, but in a part too many."""
    up = (step + 1) / (warmup_steps + 1) if warmup_steps else 1
    return peak * min(1, up, (steps - step) / (cooldown_steps + 1))


def of_logits_alone(logits, labels, smoothing):
    """Never names a softmax."""
    own = logits[range(len(labels)), labels]
    return (logits.logsumexp(1) - (1 - smoothing) * own - smoothing * logits.mean(1)).mean()


def with_float32_targets(logits, labels, smoothing):
    targets = F.one_hot(labels, logits.shape[1]).float()
    targets = targets * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def maximum_without_gradient(logits, labels, smoothing):
    return with_targets(logits - logits.detach().amax(1, keepdim=True), labels, smoothing)


def of_detached_logits(logits, labels, smoothing):
    return with_targets(logits.detach(), labels, smoothing)


def half_detached(logits, labels, smoothing):
    mean = logits.detach().log_softmax(1).mean()
    return (1 - smoothing) * plain(logits, labels, smoothing) - smoothing * mean


def detached_in_place(logits, labels, smoothing):
    logits.detach_()
    return with_targets(logits, labels, smoothing)


def detached_at_last(logits, labels, smoothing):
    loss = with_targets(logits, labels, smoothing)
    logits.detach_()
    return loss


def in_single_precision(logits, labels, smoothing):
    return with_targets(logits.float(), labels, smoothing)


def mix_as_a_product(images, labels, num_classes, share, partner):
    eye = torch.eye(len(partner))
    matrix = share * eye + (1 - share) * eye[partner]
    targets = matrix @ torch.eye(num_classes)[labels]
    return torch.einsum("ij,jchw->ichw", matrix, images.float()), targets


def mix_by_scattering(images, labels, num_classes, share, partner):
    both = torch.stack([labels, labels[partner]], dim=1)
    shares = torch.tensor([[share, 1 - share]]).expand(len(labels), 2)
    targets = torch.zeros(len(labels), num_classes).scatter_add(1, both, shares)
    return images * share + images[partner] * (1 - share), targets


def last_share_wins(images, labels, num_classes, share, partner):
    pictures, _ = mix_by_loop(images, labels, num_classes, share, partner)
    rows, targets = torch.arange(len(labels)), torch.zeros(len(labels), num_classes)
    targets[rows, labels] = share
    targets[rows, labels[partner]] = 1 - share
    return pictures, targets


WRONG = {
    "train_one_epoch": [
        (epoch_adding_up, "gradients of earlier batches add up"),
        (epoch_not_clipped, "the gradients are not clipped"),
        (epoch_clamped, "each number of the gradient is clipped"),
        (epoch_clipped_one_by_one, "each parameter's gradient is clipped by itself"),
        (epoch_clipped_to_one, "clipped to a length of its own"),
        (epoch_clipped_to_half, "is a step missing, or one too many"),
        (epoch_at_the_next_rate, "each rate is set after its step"),
        (epoch_at_the_start_rate, "the learning rates given are not used"),
        (epoch_first_group_only, "only the first group"),
        (epoch_in_storage_order, "not in the given order"),
        (epoch_shuffled_pictures, "their labels are not"),
        (epoch_of_full_batches, "is left out"),
        (epoch_average_of_averages, "the mean is taken over batches"),
        (epoch_evaluating, "stays in eval mode"),
        (epoch_without_steps, "nothing is learned: every batch meets the weights as they were"),
        (epoch_cleared_too_late, "nothing is learned: every batch meets the weights as they were"),
        (epoch_two_starts, "nothing is learned: every batch meets the weights as they were"),
        (epoch_steps_before_the_next, "no step is made after it"),
        (epoch_with_a_step_too_many, "is a step missing, or one too many"),
        (epoch_on_probabilities, "a softmax before"),
        (epoch_sum_of_losses, "gives 5.383, wanted 1.346"),
        (epoch_list_of_losses, "wanted the mean loss, a number"),
    ],
    "trapezium": [
        (up_before_down, "keeps to one of them, though the other is lower"),
        (peak_as_a_bound, "with step 0 of 10: gives 0.25, wanted 0.2"),
        (one_part_more, "with step 0 of 10: gives 0.16, wanted 0.2"),
        (counts_from_zero, "the first step has a rate of 0"),
        (ends_at_zero, "the last step has a rate of 0"),
        (no_warm_up, "begins at the peak"),
        (no_cool_down, "stays at the peak"),
        (triangle, "falls from the end of the warm-up on"),
        (product, "multiplies them"),
        (fall_as_the_warm_ups_mirror, "the first step of the fall is still at the peak"),
        (factor, "share of the peak"),
        (lengths_swapped, "length of the warm-up for that of the cool-down"),
        (divides_by_zero, "with no warm-up: it stops with ZeroDivisionError"),
        (cosine, "with step 7 of 10: gives"),
    ],
    "smoothed_loss": [
        (of_detached_logits, "no gradient flows back from them to `logits`"),
        (half_detached, "their gradient with respect to `logits` is not"),
        (detached_in_place, "writes into its input `logits`"),
        (detached_at_last, "writes into its input `logits`"),
        (in_single_precision, "torch.float32, wanted torch.float64, the type that came in"),
        (softmax_log, "its logarithm is -∞"),
        (plain, "without any smoothing"),
        (others_only, "over the *other* classes"),
        (epsilon_for_everybody, "add up to more than 1"),
        (on_top, "keeps all of its 1"),
        (total, "sums over the pictures"),
        (not_reduced, "one loss for each picture"),
        (softmax_over_pictures, "the softmax runs over the pictures"),
        (negative, "sign is wrong"),
        (all_columns, "columns of *all* labels"),
        (mean_over_classes, "is taken over the classes as well"),
        (item, "wanted a tensor"),
        (from_functional, "calls `cross_entropy`"),
    ],
    "mix_pictures": [
        (last_share_wins, "have the same label, one share overwrites the other"),
        (only_pictures, "targets are not"),
        (other_share, "shares are the wrong way round"),
        (targets_other_share, "opposite shares"),
        (as_uint8, "truncated to whole numbers"),
        (bytes_first, "too dark"),
        (flips_the_batch, "partners of its own"),
        (targets_of_neighbour, "neighbour's in the batch"),
        (mixes_numbers, "*numbers* of the classes"),
        (zero_to_one, "divided by 255"),
        (order_undone, "undone instead of applied"),
        (pictures_only, "wanted 2 values"),
        (writes_pictures, "writes into its input `images`"),
        (rounds, "with shares that leave fractions: "),
    ],
}
RIGHT = {
    "trapezium": [trapezium_by_numpy, trapezium_of_tensors, three_ifs, by_interpolation],
    "smoothed_loss": [
        of_logits_alone,
        with_float32_targets,
        maximum_without_gradient,
        with_targets,
        gathered,
    ],
    "mix_pictures": [mix_as_a_product, mix_by_scattering, mix_by_loop, mix_by_lerp],
    "train_one_epoch": [
        epoch_with_a_helper,
        epoch_by_hand,
        epoch_by_loader,
        epoch_with_numpys_mean,
    ],
}
