"""Exercises of lesson 11: the pyramid, IoU class by class, which level takes a box."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from swinlib.lab.exercises.checking import Case, Exercise, Mistake
from swinlib.lab.exercises.comparing import agree

# --- the pyramid --------------------------------------------------------------------------------


def feature_pyramid(maps, lateral, smooth):
    """Maps (B, C_i, h_i, w_i), fine to coarse, to as many maps (B, dim, h_i, w_i)."""
    tops = [layer(x) for layer, x in zip(lateral, maps, strict=True)]
    for i in range(len(tops) - 2, -1, -1):  # from the coarsest down
        tops[i] = tops[i] + F.interpolate(tops[i + 1], size=tops[i].shape[-2:], mode="nearest")
    return [layer(top) for layer, top in zip(smooth, tops, strict=True)]


def _each(layers, maps):
    return [layer(x) for layer, x in zip(layers, maps, strict=True)]


def _onto(coarse, fine, mode="nearest"):
    return F.interpolate(coarse, size=fine.shape[-2:], mode=mode)


def upwards(maps, lateral, smooth):
    tops = _each(lateral, maps)
    for i in range(len(tops) - 1):
        tops[i] = tops[i] + _onto(tops[i + 1], tops[i])
    return _each(smooth, tops)


def _fine_into_coarse(maps, lateral, smooth):
    tops = _each(lateral, maps)
    for i in range(1, len(tops)):
        tops[i] = tops[i] + _onto(tops[i - 1], tops[i])
    return _each(smooth, tops)


def _not_added(maps, lateral, smooth):
    return _each(smooth, _each(lateral, maps))


def _not_smoothed(maps, lateral, smooth):
    return feature_pyramid(maps, lateral, [nn.Identity()] * len(maps))


def _smooth_goes_down(maps, lateral, smooth):
    tops = _each(lateral, maps)
    tops[-1] = smooth[-1](tops[-1])
    for i in range(len(tops) - 2, -1, -1):
        tops[i] = smooth[i](tops[i] + _onto(tops[i + 1], tops[i]))
    return tops


def _smoothed_first(maps, lateral, smooth):
    tops = _each(smooth, _each(lateral, maps))
    for i in range(len(tops) - 2, -1, -1):
        tops[i] = tops[i] + _onto(tops[i + 1], tops[i])
    return tops


def _bilinear(maps, lateral, smooth):
    tops = _each(lateral, maps)
    for i in range(len(tops) - 2, -1, -1):
        tops[i] = tops[i] + _onto(tops[i + 1], tops[i], "bilinear")
    return _each(smooth, tops)


def _coarse_first(maps, lateral, smooth):
    return feature_pyramid(maps, lateral, smooth)[::-1]


def _finest_alone(maps, lateral, smooth):
    return feature_pyramid(maps, lateral, smooth)[0]


def _from_the_coarsest_only(maps, lateral, smooth):
    tops = _each(lateral, maps)
    tops = [top + _onto(tops[-1], top) for top in tops[:-1]] + tops[-1:]
    return _each(smooth, tops)


def _mean(maps, lateral, smooth):
    tops = _each(lateral, maps)
    for i in range(len(tops) - 2, -1, -1):
        tops[i] = (tops[i] + _onto(tops[i + 1], tops[i])) / 2
    return _each(smooth, tops)


def _pyramids():
    generator = torch.Generator().manual_seed(0)

    def case(what, sizes, widths, dim=4, batch=1):
        maps = [
            torch.randn(batch, width, *size, generator=generator)
            for width, size in zip(widths, sizes, strict=True)
        ]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            lateral = [nn.Conv2d(width, dim, 1) for width in widths]
            smooth = [nn.Conv2d(dim, dim, 3, padding=1) for _ in widths]
        for layer in lateral + smooth:
            layer.requires_grad_(False)
        return Case(what, (maps, lateral, smooth))

    return [
        case("two maps", [(4, 4), (2, 2)], (2, 3), dim=2),
        case("three maps", [(8, 8), (4, 4), (2, 2)], (2, 4, 8)),
        case("maps that are not square", [(8, 4), (4, 2), (2, 1)], (2, 4, 8)),
        case("two pictures", [(4, 8), (2, 4), (1, 2)], (3, 6, 12), batch=2),
        case("odd sides, halved and rounded up", [(7, 5), (4, 3), (2, 2)], (2, 4, 8)),
        case("a map alone", [(4, 6)], (5,)),
        case("four maps, as Swin has them", [(9, 11), (5, 6), (3, 3), (2, 2)], (2, 4, 8, 16), 3),
    ]


PYRAMID = Exercise(
    solution=feature_pyramid,
    cases=_pyramids,
    checked_on="7 cases: one to four maps, not square, odd sides, several pictures",
    hints=(
        "Three steps, one after the other for all maps: `lateral[i]` brings every map to the same "
        "width; then sums; then `smooth[i]` on every sum.",
        "The sums begin at the coarsest map, which has nothing above it. The next finer one adds "
        "the *sum* above it, made as large as itself, so what the coarsest knows travels all the "
        "way down.",
        "`F.interpolate(coarse, size=fine.shape[-2:])` repeats the nearest token, and copes with "
        "odd sides, where twice the coarse side is one too many.",
    ),
    mistakes=(
        Mistake(
            "the sums go from the finest map to the coarsest, so each takes the map above it "
            "before that one has received the next: the coarsest reaches its neighbour only. Begin "
            "at the coarsest.",
            upwards,
        ),
        Mistake(
            "the fine maps are added to the coarse ones. It is the other way round: the coarse "
            "maps, which know what is there, are added to the fine ones, which know where.",
            _fine_into_coarse,
        ),
        Mistake("nothing is added: every map stays what it was, at one width.", _not_added),
        Mistake("the 3x3 convolutions, `smooth`, were never called.", _not_smoothed),
        Mistake(
            "what is handed down has already been smoothed. The sums travel; each is smoothed "
            "once, on its way out.",
            _smooth_goes_down,
        ),
        Mistake(
            "it smooths before it adds. The 3x3 convolution comes after the sum, whose steps of "
            "two tokens it is there to blur.",
            _smoothed_first,
        ),
        Mistake(
            "it blends neighbours while upsampling. The paper takes the nearest: `mode='nearest'`, "
            "which is also the default.",
            _bilinear,
        ),
        Mistake(
            "the maps come out coarse first. They go in fine to coarse, and come out so.",
            _coarse_first,
        ),
        Mistake("only the finest map comes out. Wanted is one for every map.", _finest_alone),
        Mistake(
            "every map adds the coarsest one, and not the sum just above it.",
            _from_the_coarsest_only,
        ),
        Mistake("it takes means. The two are added.", _mean),
    ),
)

# --- IoU, class by class ------------------------------------------------------------------------


def iou_per_class(found, wanted, num_classes):
    """Intersection over union of every class, (num_classes,), nan where a class is in neither."""
    scores = []
    for c in range(num_classes):
        both = ((found == c) & (wanted == c)).sum()
        either = ((found == c) | (wanted == c)).sum()
        scores.append(both / either)  # 0 / 0 is nan
    return torch.stack(scores)


def _parts(found, wanted, num_classes):
    """Per class (num_classes,) and picture: how often both, found, wanted; (3, classes, B)."""
    is_found = torch.stack([found == c for c in range(num_classes)]).flatten(2)
    is_wanted = torch.stack([wanted == c for c in range(num_classes)]).flatten(2)
    return torch.stack([(is_found & is_wanted).sum(-1), is_found.sum(-1), is_wanted.sum(-1)])


def _over_pictures(found, wanted, num_classes):
    both, own, right = _parts(found, wanted, num_classes).float()
    return (both / (own + right - both)).nanmean(-1)


def recall(found, wanted, num_classes):
    both, _, right = _parts(found, wanted, num_classes).sum(-1)
    return both / right


def _precision(found, wanted, num_classes):
    both, own, _ = _parts(found, wanted, num_classes).sum(-1)
    return both / own


def _dice(found, wanted, num_classes):
    both, own, right = _parts(found, wanted, num_classes).sum(-1)
    return 2 * both / (own + right)


def _counted_twice(found, wanted, num_classes):
    both, own, right = _parts(found, wanted, num_classes).sum(-1)
    return both / (own + right)


def absent_is_zero(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes).nan_to_num(0.0)


def _absent_is_one(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes).nan_to_num(1.0)


def _of_all_tokens(found, wanted, num_classes):
    both = _parts(found, wanted, num_classes).sum(-1)[0]
    return both / found.numel()


def _mean_of_classes(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes).nanmean()


def _without_last(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes)[:-1]


def _without_first(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes)[1:]


def _class_accuracy(found, wanted, num_classes):
    agree_on = [((found == c) == (wanted == c)).float().mean() for c in range(num_classes)]
    return torch.stack(agree_on)


def _maps_of_classes():
    g = torch.Generator().manual_seed(0)
    wanted = torch.tensor([[[0, 0, 1], [0, 1, 1]]])
    found = torch.tensor([[[0, 1, 1], [0, 0, 1]]])
    two = torch.tensor([[[0, 0], [0, 1]], [[1, 1], [1, 2]]])
    other = torch.tensor([[[0, 0], [0, 0]], [[1, 1], [2, 2]]])
    many = torch.randint(0, 11, (4, 16, 16), generator=g)
    noisy = torch.where(torch.rand(4, 16, 16, generator=g) < 0.6, many, many.roll(1, 2))
    return [
        Case("one small map, two classes", (found, wanted, 2)),
        Case("two pictures, of which one lacks a class", (other, two, 3)),
        Case("a class that is nowhere", (found, wanted, 3)),
        Case("a class that is only found, and one that is only there", (wanted + 1, wanted, 3)),
        Case("eleven classes on 16 x 16 tokens", (noisy, many, 11)),
        Case("maps that are not square", (noisy[:2, :5], many[:2, :5], 12)),
    ]


def _agree_in_any_float(got, wanted, *args):
    if isinstance(got, torch.Tensor) and got.is_floating_point():
        got = got.to(wanted.dtype)
    return agree(got, wanted, *args)


IOU = Exercise(
    solution=iou_per_class,
    cases=_maps_of_classes,
    checked_on="6 pairs of maps: several pictures, classes that are missing, not square",
    agree=_agree_in_any_float,
    hints=(
        "For one class c there are two sets of tokens: where `found == c`, and where "
        "`wanted == c`. How large is what they share, and how large are both together?",
        "`&` of two tensors of bool is what is in both, `|` what is in either. Count over *all* "
        "pictures before you divide.",
        "A class that is neither there nor found has 0 / 0. Tensors make nan of it by themselves, "
        "and nan is what is wanted: nothing can be said of this class.",
    ),
    mistakes=(
        Mistake(
            "it divides picture by picture and takes the mean. Then a picture with three tokens of "
            "a class counts as much as one with three hundred. Count over all of them, then "
            "divide.",
            _over_pictures,
        ),
        Mistake(
            "it divides by the tokens that *are* of the class, which is recall: whoever calls "
            "everything a cat gets 1 for cats. False alarms belong below the line too.",
            recall,
        ),
        Mistake(
            "it divides by the tokens that were *called* the class, which is precision: what was "
            "overlooked costs nothing. It belongs below the line too.",
            _precision,
        ),
        Mistake(
            "that is the Dice score, twice the intersection over the sum of both. Close, but the "
            "union counts what is in both once.",
            _dice,
        ),
        Mistake(
            "what is in both is counted twice below the line, so even a perfect map gets 0.5.",
            _counted_twice,
        ),
        Mistake(
            "a class that is nowhere gets 0, as if it had been missed. Nothing can be said of it: "
            "nan.",
            absent_is_zero,
        ),
        Mistake(
            "a class that is nowhere gets 1, as if it had been found. Nothing can be said of it: "
            "nan.",
            _absent_is_one,
        ),
        Mistake("it divides by all tokens, whatever their class.", _of_all_tokens),
        Mistake(
            "it gives the mean of the classes. Wanted is one number for each.", _mean_of_classes
        ),
        Mistake("one class is missing: they go from 0 to num_classes - 1.", _without_last),
        Mistake("class 0 is missing. Whether it counts is for the caller to say.", _without_first),
        Mistake(
            "tokens on which both say 'not this class' count as right, and there are many. Neither "
            "the intersection nor the union holds them.",
            _class_accuracy,
        ),
    ),
)

# --- a level for every box ----------------------------------------------------------------------


def level_for(width, height):
    """The level from 2 to 5 whose map takes a box of this size in pixels."""
    level = 4 + math.log2(math.sqrt(width * height) / 224)
    return min(5, max(2, math.floor(level)))


def _by_width(width, height):
    return level_for(width, width)


def _by_longer_side(width, height):
    return level_for(max(width, height), max(width, height))


def _by_area(width, height):
    return min(5, max(2, math.floor(4 + math.log2(width * height / 224**2))))


def _rounded(width, height):
    level = 4 + math.log2(math.sqrt(width * height) / 224)
    return min(5, max(2, round(level)))


def _rounded_up(width, height):
    level = 4 + math.log2(math.sqrt(width * height) / 224)
    return min(5, max(2, math.ceil(level)))


def _natural_log(width, height):
    level = 4 + math.log(math.sqrt(width * height) / 224)
    return min(5, max(2, math.floor(level)))


def _not_clamped(width, height):
    return math.floor(4 + math.log2(math.sqrt(width * height) / 224))


def _upside_down(width, height):
    level = 4 - math.log2(math.sqrt(width * height) / 224)
    return min(5, max(2, math.floor(level)))


def _from_zero(width, height):
    return level_for(width, height) - 2


def _not_floored(width, height):
    return min(5.0, max(2.0, 4 + math.log2(math.sqrt(width * height) / 224)))


def _boxes():
    sizes = [
        ("a square of 224 pixels", 224, 224),
        ("half as large", 112, 112),
        ("a little less than 224", 200, 223),
        ("a little more", 230, 240),
        ("twice as large", 448, 448),
        ("wide and flat", 448, 28),
        ("tall and narrow", 56, 400),
        ("a face far away", 20, 25),
        ("larger than any picture", 2000, 1500),
        ("not whole numbers", 300.5, 90.25),
    ]
    return [Case(what, (width, height)) for what, width, height in sizes]


LEVEL = Exercise(
    solution=level_for,
    cases=_boxes,
    checked_on="10 boxes, from a far-away face to more than a picture",
    hints=(
        "Which numbers must come out: 224 gives 4, 112 gives 3, 448 gives 5. What counts the "
        "doublings of a side?",
        "`math.log2(side / 224)` is 0 at 224, 1 at 448, -1 at 112. The side of a box that is no "
        "square is the root of its area.",
        "Round down with `math.floor`, after adding 4, and keep the result between 2 and 5 with "
        "`min` and `max`.",
    ),
    mistakes=(
        Mistake("only the width counts. The side is the root of width times height.", _by_width),
        Mistake("the longer side counts. The side is the root of the area.", _by_longer_side),
        Mistake(
            "it counts the doublings of the area, which go twice as fast as those of the side: the "
            "root is missing.",
            _by_area,
        ),
        Mistake("it rounds to the nearest. The paper rounds down.", _rounded),
        Mistake("it rounds up. The paper rounds down.", _rounded_up),
        Mistake("the natural logarithm counts no doublings. Take the one to base 2.", _natural_log),
        Mistake(
            "there are four maps, 2 to 5: what is smaller than the first takes the first, what is "
            "larger than the last takes the last.",
            _not_clamped,
        ),
        Mistake("small boxes get the coarse maps. They need the fine ones.", _upside_down),
        Mistake("it counts the maps from 0. The paper calls the finest one 2.", _from_zero),
        Mistake("a level is a whole number: round down.", _not_floored),
    ),
)

EXERCISES = (PYRAMID, IOU, LEVEL)
