"""Mistakes of lesson 11: three in a pyramid over Swin's maps, four in the mean IoU.

Every pyramid takes ``(maps, norms, lateral, smooth)``: maps (B, H, W, C) of the stages, fine to
coarse, as Swin's blocks make them, and for each a norm, a 1x1 and a 3x3 convolution. It returns
maps (B, dim, H, W). Every score takes ``(found, wanted, num_classes)``: classes of tokens, (B, H,
W), of which the last one is the background, and returns one number.
"""

import torch
import torch.nn.functional as F
from torch import nn

from swinlib.lab.exercises.pyramid import (
    absent_is_zero,
    feature_pyramid,
    iou_per_class,
    recall,
    upwards,
)
from swinlib.lab.museum import Room


def pyramid(maps, norms, lateral, smooth):
    """As it should be: norm, channels first, one width, sums from the coarsest down, 3x3."""
    return feature_pyramid(_normed(maps, norms), lateral, smooth)


def _normed(maps, norms):
    return [norm(x).permute(0, 3, 1, 2) for norm, x in zip(norms, maps, strict=True)]


def norms_forgotten(maps, norms, lateral, smooth):
    return feature_pyramid([x.permute(0, 3, 1, 2) for x in maps], lateral, smooth)


def reshaped_not_permuted(maps, norms, lateral, smooth):
    """(B, C, H, W) is asked for, and `reshape` gives that shape without a murmur."""
    maps = [norm(x) for norm, x in zip(norms, maps, strict=True)]
    turned = [x.reshape(len(x), x.shape[-1], *x.shape[1:3]) for x in maps]
    return feature_pyramid(turned, lateral, smooth)


def levels_in_the_wrong_order(maps, norms, lateral, smooth):
    """From the finest up: each map takes the one above before that one has heard of the next."""
    return upwards(_normed(maps, norms), lateral, smooth)


# --- what every right pyramid does --------------------------------------------------------------


def _parts(sizes=((8, 8), (4, 4), (2, 2)), widths=(3, 6, 12), dim=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        maps = [torch.randn(1, *size, width) for size, width in zip(sizes, widths, strict=True)]
        norms = [nn.LayerNorm(width) for width in widths]
        lateral = [nn.Conv2d(width, dim, 1).requires_grad_(False) for width in widths]
        smooth = [nn.Conv2d(dim, dim, 3, padding=1).requires_grad_(False) for _ in widths]
    return maps, [norm.requires_grad_(False) for norm in norms], lateral, smooth


def loud_maps_do_not_drown_the_others(version) -> bool:
    """One map a hundred times as large changes nothing."""
    maps, *layers = _parts()
    louder = [maps[0], maps[1], 100 * maps[2]]
    pairs = zip(version(maps, *layers), version(louder, *layers), strict=True)
    return all(torch.allclose(a, b, rtol=1e-2, atol=1e-2) for a, b in pairs)


def every_token_keeps_its_place(version) -> bool:
    """A token of the finest map changes the 3 x 3 around its own place, and nothing else."""
    maps, *layers = _parts()
    changed = maps[0].clone()
    changed[0, 2, 5] = changed[0, 2, 5].flip(0)
    before, after = (version([x, *maps[1:]], *layers)[0] for x in (maps[0], changed))
    moved = (before != after).any(1)[0]
    around = torch.zeros_like(moved)
    around[1:4, 4:7] = True
    return torch.equal(moved, around)


def the_coarsest_reaches_the_finest(version) -> bool:
    """Another coarsest map makes another finest one."""
    maps, *layers = _parts()
    other = [*maps[:-1], maps[-1].flip(-1)]
    return not torch.allclose(version(maps, *layers)[0], version(other, *layers)[0])


PYRAMIDS = Room(
    right=pyramid,
    wrong=(norms_forgotten, reshaped_not_permuted, levels_in_the_wrong_order),
    properties=(
        loud_maps_do_not_drown_the_others,
        every_token_keeps_its_place,
        the_coarsest_reaches_the_finest,
    ),
    examples=lambda: [_parts(), _parts(((6, 8), (3, 4), (2, 2)))],
)


# --- one number for a whole test ----------------------------------------------------------------


def mean_iou(found, wanted, num_classes):
    """As it should be: counted over all pictures, the classes that occur, not the background."""
    return iou_per_class(found, wanted, num_classes)[:-1].nanmean().item()


def averaged_over_pictures(found, wanted, num_classes):
    pairs = zip(found, wanted, strict=True)
    return sum(mean_iou(f[None], w[None], num_classes) for f, w in pairs) / len(found)


def background_counted(found, wanted, num_classes):
    return iou_per_class(found, wanted, num_classes).nanmean().item()


def absent_class_counts_as_missed(found, wanted, num_classes):
    return absent_is_zero(found, wanted, num_classes)[:-1].mean().item()


def false_alarms_are_free(found, wanted, num_classes):
    """Recall: of the tokens that are of a class, the share that was found."""
    return recall(found, wanted, num_classes)[:-1].nanmean().item()


# --- what every right score does ----------------------------------------------------------------


def _labels(absent: bool = False):
    """Two pictures, one with few tokens of class 0; classes 0, 1, perhaps 2, and background 3."""
    wanted = torch.full((2, 4, 6), 3)
    wanted[0, :2], wanted[0, 2:, :3], wanted[1, 0, :2], wanted[1, 1:] = 0, 1, 0, 1
    if not absent:
        wanted[0, 3, 3:] = 2
    found = wanted.clone()
    found[0, 2, :2], found[1, 0, 0], found[1, 3, 3:] = 0, 3, 0
    return found, wanted, 4


def perfect_is_one(version) -> bool:
    """Also where a class does not occur."""
    _, wanted, K = _labels(absent=True)
    return abs(version(wanted, wanted, K) - 1) < 1e-6


def how_pictures_are_cut_is_no_matter(version) -> bool:
    """Two pictures laid side by side are the same tokens."""
    found, wanted, K = _labels()
    joined = (torch.cat(list(labels), dim=1)[None] for labels in (found, wanted))
    return abs(version(*joined, K) - version(found, wanted, K)) < 1e-6


def easy_background_is_no_merit(version) -> bool:
    """A broad margin of background, all of it found, changes nothing."""
    found, wanted, K = _labels()
    wide = (F.pad(labels, (0, 20, 0, 0), value=K - 1) for labels in (found, wanted))
    return abs(version(*wide, K) - version(found, wanted, K)) < 1e-6


def a_false_alarm_costs(version) -> bool:
    """Background called a class makes the number smaller."""
    found, wanted, K = _labels()
    alarmed = found.masked_fill(wanted == K - 1, 1)
    return version(alarmed, wanted, K) < version(found, wanted, K) - 1e-6


SCORES = Room(
    right=mean_iou,
    wrong=(
        averaged_over_pictures,
        background_counted,
        absent_class_counts_as_missed,
        false_alarms_are_free,
    ),
    properties=(
        perfect_is_one,
        how_pictures_are_cut_is_no_matter,
        easy_background_is_no_merit,
        a_false_alarm_costs,
    ),
    examples=lambda: [_labels(), _labels(absent=True)],
)
ROOMS = (PYRAMIDS, SCORES)
