"""Exercises of lesson 10: rates by depth, a gradient in parts."""

import torch
import torch.nn.functional as F

from swinlib.lab.exercises.checking import Case, Exercise, Mistake
from swinlib.model import swin_tiny

# --- rates by depth -----------------------------------------------------------------------------


def layer_rates(names, depths, decay, head_rate):
    """The learning rate of each named parameter as a share of the whole rate: (len(names),)."""
    last = sum(depths) + 1  # the norm after the last block; the embedding has 0
    shares = []
    for name in names:
        part, *more = name.split(".")
        if part == "head":
            shares.append(float(head_rate))
            continue
        place = last if part == "norm" else 0
        if part == "layers":
            stage = int(more[0])
            before = sum(depths[:stage])
            place = before + (depths[stage] if more[1] == "downsample" else int(more[2]) + 1)
        shares.append(decay ** (last - place))
    return torch.tensor(shares)


def _rates_at(place_of):
    """The rates of an answer that puts blocks and mergings elsewhere."""

    def rates(names, depths, decay, head_rate):
        last = sum(depths) + 1
        shares = []
        for name in names:
            part, *more = name.split(".")
            place = place_of(part, more, depths)
            shares.append(float(head_rate) if part == "head" else decay ** (last - place))
        return torch.tensor(shares)

    return rates


def _place(part, more, depths):
    if part == "norm":
        return sum(depths) + 1
    if part != "layers":
        return 0
    stage = int(more[0])
    block = depths[stage] if more[1] == "downsample" else int(more[2]) + 1
    return sum(depths[:stage]) + block


def _block_of_its_stage(part, more, depths):
    if part != "layers":
        return _place(part, more, depths)
    return depths[int(more[0])] if more[1] == "downsample" else int(more[2]) + 1


def _by_stage(part, more, depths):
    if part != "layers":
        return _place(part, more, depths)
    return sum(depths[: int(more[0]) + 1])


def _blocks_from_zero(part, more, depths):
    place = _place(part, more, depths)
    return place - 1 if part == "layers" and more[1] == "blocks" else place


def _merging_ahead(part, more, depths):
    place = _place(part, more, depths)
    return place + 1 if part == "layers" and more[1] == "downsample" else place


def _norm_with_the_last_block(part, more, depths):
    place = _place(part, more, depths)
    return place - 1 if part == "norm" else place


def _every_norm_is_the_last(part, more, depths):
    return sum(depths) + 1 if any("norm" in word for word in more) else _place(part, more, depths)


def _counted_from_the_last_block(part, more, depths):
    place = _place(part, more, depths)
    return place if part == "norm" else place + 1


def _other_way_round(names, depths, decay, head_rate):
    places = [_place(*_split(name), depths) for name in names]
    return torch.tensor(
        [
            float(head_rate) if name.startswith("head") else decay**place
            for name, place in zip(names, places, strict=True)
        ]
    )


def _split(name):
    part, *more = name.split(".")
    return part, more


def _head_decays_too(names, depths, decay, head_rate):
    rates = layer_rates(names, depths, decay, head_rate)
    own = torch.tensor([decay if name.startswith("head") else 1.0 for name in names])
    return rates * own


def _head_as_the_norm(names, depths, decay, head_rate):
    return layer_rates(names, depths, decay, 1.0)


def _names_to_try():
    few = ["patch_embed.proj.weight", "layers.0.blocks.0.norm1.weight", "norm.bias", "head.weight"]
    small = [
        *("patch_embed.proj.weight", "patch_embed.norm.bias", "layers.0.blocks.0.attn.qkv.weight"),
        *("layers.0.downsample.reduction.weight", "layers.1.blocks.0.mlp.fc1.weight"),
        *("layers.1.blocks.1.attn.relative_position_bias_table", "norm.weight", "head.bias"),
    ]
    with torch.device("meta"):
        tiny = [name for name, _ in swin_tiny().named_parameters()]
    return [
        Case("a model of one block", (few, (1,), 0.5, 4.0)),
        Case("two stages", (small, (1, 2), 0.5, 10.0)),
        Case("the position embedding", (["absolute_pos_embed", *small], (1, 2), 0.9, 1.0)),
        Case("no decay", (small, (1, 2), 1.0, 3.0)),
        Case("all parameters of Swin-T", (tiny, (2, 2, 6, 2), 0.8, 10.0)),
    ]


RATES = Exercise(
    solution=layer_rates,
    cases=_names_to_try,
    checked_on="5 models: one block, two stages, a position embedding, no decay, all of Swin-T",
    hints=(
        "Give every parameter a place: 0 for what comes before the first block, 1 for the first "
        "block, and so on. The share is a power of `decay`.",
        "`name.split('.')` of `layers.1.blocks.0.mlp.fc1.weight` begins with 'layers', '1', "
        "'blocks', '0'. Blocks of earlier stages come before: `sum(depths[:stage])`.",
        "A merging, `layers.1.downsample...`, goes with the last block of its stage. The last norm "
        "has the place sum(depths) + 1 and with it the share 1; the head has `head_rate`.",
    ),
    mistakes=(
        Mistake(
            "blocks are counted anew in every stage: block 0 of stage 1 is not the first block of "
            "the model.",
            _rates_at(_block_of_its_stage),
        ),
        Mistake(
            "all blocks of a stage get one share. Every block has its own.", _rates_at(_by_stage)
        ),
        Mistake(
            "the first block has the embedding's share. It comes one place later.",
            _rates_at(_blocks_from_zero),
        ),
        Mistake(
            "a merging gets the share of the block that follows it. It goes with the block before.",
            _rates_at(_merging_ahead),
        ),
        Mistake(
            "the last norm has the last block's share. It comes after all blocks and has 1.",
            _rates_at(_norm_with_the_last_block),
        ),
        Mistake(
            "the last block has 1. That is the norm's behind it; the last block has `decay`.",
            _rates_at(_counted_from_the_last_block),
        ),
        Mistake(
            "every name with `norm` in it has 1. Blocks, mergings and the embedding have norms of "
            "their own, which go with them.",
            _rates_at(_every_norm_is_the_last),
        ),
        Mistake(
            "it is the wrong way round: what lies near the pictures is to learn most slowly.",
            _other_way_round,
        ),
        Mistake("the head's rate is multiplied by a decay. It is `head_rate`.", _head_decays_too),
        Mistake(
            "the head has no rate of its own: `head_rate` is not used.",
            _head_as_the_norm,
        ),
    ),
)

# --- a gradient in parts ------------------------------------------------------------------------


def gradient_in_parts(weight, images, labels, size):
    """The gradient of the batch's mean loss, from parts of `size` pictures (the last may be
    smaller): like `weight`, (classes, features)."""
    weight = weight.detach().requires_grad_()
    for x, y in zip(images.split(size), labels.split(size), strict=True):
        loss = F.cross_entropy(x @ weight.T, y)
        (loss * len(x) / len(images)).backward()  # adds to what is there
    return weight.grad


def _parts(scale, last_only=False, whole_only=False):
    """The gradient with other weights for the parts."""

    def gradient(weight, images, labels, size):
        total = torch.zeros_like(weight)
        for x, y in zip(images.split(size), labels.split(size), strict=True):
            if whole_only and len(x) < size:
                continue
            own = weight.detach().requires_grad_()
            F.cross_entropy(x @ own.T, y).backward()
            added = own.grad * scale(len(x), len(images), size)
            total = added if last_only else total + added
        return total

    return gradient


_summed_means = _parts(lambda n, N, size: 1)
_mean_of_means = _parts(lambda n, N, size: 1 / -(-N // size))
_last_part = _parts(lambda n, N, size: 1, last_only=True)
_last_part_scaled = _parts(lambda n, N, size: n / N, last_only=True)
_small_part_dropped = _parts(lambda n, N, size: n / (N - N % size), whole_only=True)
_small_part_lost = _parts(lambda n, N, size: n / N, whole_only=True)
_as_if_all_were_whole = _parts(lambda n, N, size: size / N)
_summed_losses = _parts(lambda n, N, size: n)


def _batches():
    g = torch.Generator().manual_seed(4)

    def batch(count, classes, features):
        return (
            torch.randn(classes, features, generator=g),
            torch.randn(count, features, generator=g),
            torch.randint(classes, (count,), generator=g),
        )

    weight, images, labels = batch(6, 3, 4)
    return [
        Case("two parts of one picture", (*batch(2, 2, 3), 1)),
        Case("three equal parts", (weight, images, labels, 2)),
        Case("a last part that is smaller", (*batch(7, 3, 4), 3)),
        Case("a last part of one picture", (*batch(9, 5, 8), 4)),
        Case("one part, larger than the batch", (weight, images, labels, 10)),
        Case("double precision", (weight.double(), images.double(), labels, 4)),
    ]


PARTS = Exercise(
    solution=gradient_in_parts,
    cases=_batches,
    checked_on="6 batches: equal parts, a smaller last part, one part alone, double precision. "
    "Whether it took parts, a result cannot tell",
    hints=(
        "`backward()` adds to what already stands in `.grad`. That is the whole trick; what is "
        "left is to see what each part's mean must be multiplied by.",
        "The batch's mean is the sum over all pictures divided by their number. A part's mean is "
        "its own sum divided by *its* number.",
        "`weight.detach().requires_grad_()` is a copy that can collect a gradient. Multiply each "
        "part's loss by its share of the pictures.",
    ),
    mistakes=(
        Mistake(
            "the parts' gradients are added as they are: k parts give a gradient k times too "
            "long, as if the rate were k times as large.",
            _summed_means,
        ),
        Mistake(
            "it takes the mean over parts, so that pictures of a small part count for more. Weigh "
            "each part by its number of pictures.",
            _mean_of_means,
        ),
        Mistake(
            "only the last part's gradient is left. Do you clear it between the parts?",
            _last_part,
            (_last_part_scaled,),
        ),
        Mistake(
            "the smaller part at the end is left out.", _small_part_dropped, (_small_part_lost,)
        ),
        Mistake(
            "the smaller part counts as if it were whole: its share is its own number of pictures.",
            _as_if_all_were_whole,
        ),
        Mistake(
            "it is the gradient of the sum over pictures. A mean is asked for.", _summed_losses
        ),
    ),
)

EXERCISES = (RATES, PARTS)
