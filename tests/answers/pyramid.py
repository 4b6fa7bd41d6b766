"""Answers to the exercises of lesson 11."""

import math

import numpy as np
import torch
import torch.nn.functional as F

# --- feature_pyramid ----------------------------------------------------------------------------


def pyramid_recursive(maps, lateral, smooth):
    def tops(maps, lateral):
        top = lateral[0](maps[0])
        if len(maps) == 1:
            return [top]
        above = tops(maps[1:], lateral[1:])
        return [top + F.interpolate(above[0], size=tuple(top.shape[2:]))] + above

    return [layer(top) for layer, top in zip(smooth, tops(maps, lateral), strict=True)]


def pyramid_by_index(maps, lateral, smooth):
    """Nearest neighbours by their row and column, as `interpolate` takes them."""
    out, above = [], None
    for x, side, last in zip(reversed(maps), reversed(lateral), reversed(smooth), strict=True):
        top = side(x)
        if above is not None:
            h, w = top.shape[-2:]
            rows = torch.arange(h) * above.shape[-2] // h
            columns = torch.arange(w) * above.shape[-1] // w
            top = top + above[:, :, rows][:, :, :, columns]
        above = top
        out.append(last(top))
    return out[::-1]


def pyramid_that_empties(maps, lateral, smooth):
    out = []
    for i in reversed(range(len(maps))):
        top = lateral[i](maps[i])
        maps[i] = None
        out.insert(0, top + F.interpolate(out[0], top.shape[-2:]) if out else top)
    return [s(o) for s, o in zip(smooth, out, strict=True)]


def pyramid_ascending(maps, lateral, smooth):
    out = [l(m) for l, m in zip(lateral, maps, strict=True)]  # noqa: E741
    for fine in range(len(out) - 1):
        out[fine] = out[fine] + F.interpolate(out[fine + 1], out[fine].shape[-2:])
    return [s(o) for s, o in zip(smooth, out, strict=True)]


def pyramid_bottom_up(maps, lateral, smooth):
    out = [lateral[0](maps[0])]
    for m, side in zip(maps[1:], lateral[1:], strict=True):
        top = side(m)
        out.append(top + F.interpolate(out[-1], top.shape[-2:]))
    return [s(o) for s, o in zip(smooth, out, strict=True)]


def pyramid_without_sum(maps, lateral, smooth):
    return [s(side(m)) for m, side, s in zip(maps, lateral, smooth, strict=True)]


def pyramid_without_smooth(maps, lateral, smooth):
    tops = [None] * len(maps)
    for i in reversed(range(len(maps))):
        tops[i] = lateral[i](maps[i])
        if i + 1 < len(maps):
            tops[i] = tops[i] + F.interpolate(tops[i + 1], tops[i].shape[-2:])
    return tops


def pyramid_smooth_handed_down(maps, lateral, smooth):
    out = [smooth[-1](lateral[-1](maps[-1]))]
    for i in reversed(range(len(maps) - 1)):
        top = lateral[i](maps[i])
        out.insert(0, smooth[i](top + F.interpolate(out[0], top.shape[-2:])))
    return out


def pyramid_smooth_first(maps, lateral, smooth):
    out = [smooth[-1](lateral[-1](maps[-1]))]
    for i in reversed(range(len(maps) - 1)):
        top = smooth[i](lateral[i](maps[i]))
        out.insert(0, top + F.interpolate(out[0], top.shape[-2:]))
    return out


def pyramid_blended(maps, lateral, smooth):
    tops = pyramid_without_sum(maps, lateral, [lambda x: x] * len(maps))
    for i in reversed(range(len(maps) - 1)):
        size = tops[i].shape[-2:]
        up = F.interpolate(tops[i + 1], size=size, mode="bilinear", align_corners=False)
        tops[i] = tops[i] + up
    return [s(top) for s, top in zip(smooth, tops, strict=True)]


def pyramid_reversed(maps, lateral, smooth):
    return list(reversed(pyramid_recursive(maps, lateral, smooth)))


def pyramid_finest(maps, lateral, smooth):
    return pyramid_recursive(maps, lateral, smooth)[0]


def pyramid_kron(maps, lateral, smooth):
    """Doubled and cut: where a side was rounded up, these are the nearest too."""
    tops = [side(m) for m, side in zip(maps, lateral, strict=True)]
    for i in reversed(range(len(maps) - 1)):
        h, w = tops[i].shape[-2:]
        up = torch.kron(tops[i + 1], torch.ones(1, 1, 2, 2))
        tops[i] = tops[i] + up[:, :, :h, :w]
    return [s(top) for s, top in zip(smooth, tops, strict=True)]


def pyramid_scale_factor(maps, lateral, smooth):
    tops = [side(m) for m, side in zip(maps, lateral, strict=True)]
    for i in reversed(range(len(maps) - 1)):
        tops[i] = tops[i] + F.interpolate(tops[i + 1], scale_factor=2)
    return [s(top) for s, top in zip(smooth, tops, strict=True)]


def pyramid_top_only(maps, lateral, smooth):
    tops = [side(m) for m, side in zip(maps, lateral, strict=True)]
    up = [F.interpolate(tops[-1], top.shape[-2:]) for top in tops[:-1]]
    return [
        s(t + u) for s, t, u in zip(smooth, tops, [*up, torch.zeros_like(tops[-1])], strict=True)
    ]


def pyramid_of_means(maps, lateral, smooth):
    tops = [side(m) for m, side in zip(maps, lateral, strict=True)]
    for i in reversed(range(len(maps) - 1)):
        up = F.interpolate(tops[i + 1], tops[i].shape[-2:])
        tops[i] = torch.stack([tops[i], up]).mean(0)
    return [s(top) for s, top in zip(smooth, tops, strict=True)]


# --- iou_per_class ------------------------------------------------------------------------------


def iou_from_confusion(found, wanted, num_classes):
    cells = wanted.flatten() * num_classes + found.flatten()
    table = torch.bincount(cells, minlength=num_classes**2)
    table = table[: num_classes**2].view(num_classes, num_classes).double()
    both = table.diagonal()
    return both / (table.sum(0) + table.sum(1) - both)


def iou_by_sets(found, wanted, num_classes):
    found, wanted = found.flatten().tolist(), wanted.flatten().tolist()
    out = []
    for c in range(num_classes):
        a = {n for n, x in enumerate(found) if x == c}
        b = {n for n, x in enumerate(wanted) if x == c}
        out.append(len(a & b) / len(a | b) if a | b else float("nan"))
    return torch.tensor(out)


def iou_one_hot(found, wanted, num_classes):
    classes = torch.arange(num_classes)
    a = (found.reshape(-1, 1) == classes).float()
    b = (wanted.reshape(-1, 1) == classes).float()
    both = (a * b).sum(0)
    return both / (a.sum(0) + b.sum(0) - both)


def iou_mean_of_pictures(found, wanted, num_classes):
    each = torch.stack(
        [iou_one_hot(f, w, num_classes) for f, w in zip(found, wanted, strict=True)]
    )  # nan where a picture lacks the class
    return each.nanmean(0)


def iou_as_recall(found, wanted, num_classes):
    return torch.stack(
        [(found[wanted == c] == c).float().mean() for c in range(num_classes)]
    )  # the mean of nothing is nan


def iou_as_precision(found, wanted, num_classes):
    return torch.stack([(wanted[found == c] == c).float().mean() for c in range(num_classes)])


def iou_as_dice(found, wanted, num_classes):
    iou = iou_one_hot(found, wanted, num_classes)
    return 2 * iou / (1 + iou)


def iou_without_subtraction(found, wanted, num_classes):
    out = []
    for c in range(num_classes):
        both = ((found == c) & (wanted == c)).sum()
        out.append(both / ((found == c).sum() + (wanted == c).sum()))
    return torch.stack(out)


def iou_zero(found, wanted, num_classes):
    iou = iou_one_hot(found, wanted, num_classes)
    return torch.where(iou.isnan(), torch.zeros(()), iou)


def iou_one(found, wanted, num_classes):
    iou = iou_one_hot(found, wanted, num_classes)
    return torch.where(iou.isnan(), torch.ones(()), iou)


def iou_of_everything(found, wanted, num_classes):
    hits = found[found == wanted]
    return torch.stack([(hits == c).sum() / wanted.numel() for c in range(num_classes)])


def iou_mean(found, wanted, num_classes):
    iou = iou_one_hot(found, wanted, num_classes)
    return iou[~iou.isnan()].mean()


def iou_no_background(found, wanted, num_classes):
    return iou_from_confusion(found, wanted, num_classes)[: num_classes - 1]


def iou_from_class_one(found, wanted, num_classes):
    return torch.stack(
        [
            ((found == c) & (wanted == c)).sum() / ((found == c) | (wanted == c)).sum()
            for c in range(1, num_classes)
        ]
    )


def iou_of_yes_and_no(found, wanted, num_classes):
    right = [((found == c) == (wanted == c)).double().mean() for c in range(num_classes)]
    return torch.stack(right)


# --- level_for ----------------------------------------------------------------------------------


def level_by_halving(width, height):
    level = 4
    area = width * height
    while area >= 448**2 and level < 5:
        area, level = area / 4, level + 1
    while area < 224**2 and level > 2:
        area, level = area * 4, level - 1
    return level


def level_by_logs(width, height):
    level = 4 + (math.log(width) + math.log(height)) / (2 * math.log(2)) - math.log(224, 2)
    return int(np.clip(np.floor(level + 1e-9), 2, 5))


def level_of_width(width, height):
    return min(5, max(2, math.floor(4 + math.log2(width / 224))))


def level_of_longest(width, height):
    side = width if width > height else height
    return min(5, max(2, math.floor(4 + math.log2(side / 224))))


def level_of_area(width, height):
    doublings = math.log2(width * height) - 2 * math.log2(224)
    return min(5, max(2, math.floor(4 + doublings)))


def level_nearest(width, height):
    return min(5, max(2, round(4 + 0.5 * math.log2(width * height / 224**2))))


def level_ceiling(width, height):
    return min(5, max(2, math.ceil(4 + 0.5 * math.log2(width * height / 224**2))))


def level_natural(width, height):
    return min(5, max(2, math.floor(4 + 0.5 * math.log(width * height / 224**2))))


def level_free(width, height):
    return math.floor(4 + 0.5 * math.log2(width * height / 224**2))


def level_turned(width, height):
    return min(5, max(2, math.floor(4 + math.log2(224 / math.sqrt(width * height)))))


def level_index(width, height):
    return level_by_halving(width, height) - 2


def level_float(width, height):
    return min(5, max(2, 4 + math.log2(math.sqrt(width * height) / 224)))


WRONG = {
    "feature_pyramid": [
        (pyramid_that_empties, "writes into its input `maps`"),
        (pyramid_ascending, "Begin at the coarsest"),
        (pyramid_bottom_up, "the fine maps are added to the coarse ones"),
        (pyramid_without_sum, "nothing is added"),
        (pyramid_without_smooth, "were never called"),
        (pyramid_smooth_handed_down, "already been smoothed"),
        (pyramid_smooth_first, "smooths before it adds"),
        (pyramid_blended, "blends neighbours"),
        (pyramid_reversed, "coarse first"),
        (pyramid_finest, "only the finest map"),
        (pyramid_scale_factor, "odd sides"),
        (pyramid_top_only, "adds the coarsest one"),
        (pyramid_of_means, "takes means"),
    ],
    "iou_per_class": [
        (iou_mean_of_pictures, "picture by picture"),
        (iou_as_recall, "recall"),
        (iou_as_precision, "precision"),
        (iou_as_dice, "Dice"),
        (iou_without_subtraction, "counted twice"),
        (iou_zero, "nowhere gets 0"),
        (iou_one, "nowhere gets 1"),
        (iou_of_everything, "divides by all tokens"),
        (iou_mean, "mean of the classes"),
        (iou_no_background, "one class is missing"),
        (iou_from_class_one, "class 0 is missing"),
        (iou_of_yes_and_no, "not this class"),
    ],
    "level_for": [
        (level_of_width, "only the width"),
        (level_of_longest, "the longer side"),
        (level_of_area, "the root is missing"),
        (level_nearest, "rounds to the nearest"),
        (level_ceiling, "rounds up"),
        (level_natural, "natural logarithm"),
        (level_free, "there are four maps"),
        (level_turned, "small boxes get the coarse maps"),
        (level_index, "counts the maps from 0"),
        (level_float, "whole number"),
    ],
}
RIGHT = {
    "feature_pyramid": [pyramid_recursive, pyramid_by_index, pyramid_kron],
    "iou_per_class": [iou_from_confusion, iou_by_sets, iou_one_hot],
    "level_for": [level_by_halving, level_by_logs],
}
