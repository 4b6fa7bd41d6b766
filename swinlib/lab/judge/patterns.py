"""What a difference looks like on the map, in words."""

from dataclasses import dataclass

import torch
from torch import Tensor

from swinlib.lab.judge.places import TOLERANCE, Place
from swinlib.model import shift_that_fits


@dataclass(frozen=True)
class Pattern:
    """How two outputs of one place differ.

    Attributes:
        name: short, for tables and tests.
        says: a sentence.
        suspects: what it points at; may be empty.
    """

    name: str
    says: str
    suspects: str = ""


# Before a shifted block one without a shift was right, which pads alike.
COUNTED = (
    "the mask, and at the size of map that its labels are counted from: the block before, which "
    "is not shifted, pads alike and is right"
)


def pattern_of(got: Tensor, wanted: Tensor, place: Place, window: tuple[int, int]) -> Pattern:
    """Find words for the difference of two maps (B, H, W, C), or of two rows of numbers (B, C)."""
    scale = float(wanted.abs().max())
    if not got.isfinite().all():
        return Pattern("nan", "Some numbers are NaN or infinite, the result of something like 0/0.")
    if (factor := _factor(got, wanted, scale)) is not None:
        return Pattern(
            "factor", f"Every number is {factor:.4g} times what it should be.", "a scale or a mean"
        )
    wrong = (got - wanted).abs() > TOLERANCE * scale
    pictures = wrong.flatten(1).any(1)
    if not pictures.all():
        which = "first" if pictures[0] else "second"
        return Pattern(
            "picture",
            f"Only the {which} picture of the batch differs.",
            "the order of windows and pictures: all windows of one picture stand together",
        )
    if got.ndim == 2:
        return Pattern("numbers", "All numbers differ, for both pictures.")
    if moved := _moved(got, wanted, scale):
        return moved
    tokens, right = got.flatten(1, 2), wanted.flatten(1, 2)
    if _same_rows(tokens, right, scale):
        return Pattern(
            "places",
            "Every token's numbers are right, but they stand at other places of the map.",
            "a view where a permute is wanted, or its way back",
        )
    if _same_rows(tokens.transpose(1, 2), right.transpose(1, 2), scale):
        return Pattern(
            "channels",
            "The numbers of every token are right, but in another order.",
            "the order of the channels",
        )
    return _on_the_map(wrong.any(-1).any(0), place, window, wrong)


def _factor(got, wanted, scale) -> float | None:
    factor = float((got * wanted).sum() / (wanted * wanted).sum().clamp_min(1e-30))
    if abs(factor - 1) < 1e-3 or abs(factor) < 1e-3:
        return None
    same = (got - factor * wanted).abs().max() <= 10 * TOLERANCE * scale * abs(factor)
    return factor if same else None


def _moved(got, wanted, scale) -> Pattern | None:
    """Whether the map is the right one, turned over or rolled."""
    H, W = wanted.shape[1:3]

    def same(x):
        return x.shape == got.shape and (x - got).abs().max() <= TOLERANCE * scale

    if same(wanted.transpose(1, 2)):
        return Pattern("transposed", "Rows and columns of the map are swapped.", "a permute")
    for dy in range(-8, 9):
        for dx in range(-8, 9):
            if (dy % H or dx % W) and same(wanted.roll((dy, dx), (1, 2))):
                return Pattern(
                    "rolled",
                    f"The map is right, but rolled by ({dy}, {dx}).",
                    "a roll that is not undone",
                )
    return None


def _same_rows(got, wanted, scale) -> bool:
    """Whether (B, N, D) has the wanted rows of D numbers, in another order."""
    allowed = TOLERANCE * scale * got.shape[-1] ** 0.5
    a, b = got.sum(-1), wanted.sum(-1)
    sorted_apart = (a.sort(1).values - b.sort(1).values).abs().max()
    return bool(sorted_apart <= allowed < (a - b).abs().max())


def _on_the_map(wrong: Tensor, place: Place, window, numbers: Tensor) -> Pattern:
    """By which tokens of the map (H, W) are wrong."""
    H, W = wrong.shape
    if place.kind == "block":
        seam, padding = seam_tokens(H, W, place, window), padding_tokens(H, W, place, window)
        if seam.any() and not (wrong & ~seam).any():
            return Pattern(
                "seam",
                "Only tokens of the last row and column of moved windows differ, where the roll "
                "brought strangers together.",
                "the mask",
            )
        if padding.any() and not (wrong & ~padding).any():
            return Pattern(
                "padding",
                "Only tokens whose window holds padding differ.",
                COUNTED if place.shifted else "what is padded, where, and with what",
            )
        if (wrong == 0).any() and (seam | padding).any():
            if not (wrong & ~(seam | padding)).any():
                return Pattern(
                    "border",
                    "Only tokens of the last windows of the map differ, which hold padding or "
                    "tokens that came round.",
                    COUNTED,
                )
    edge = torch.zeros_like(wrong)
    edge[-1], edge[:, -1] = True, True
    if not (wrong & ~edge).any():
        return Pattern(
            "edge", "Only the last row or column of the map differs.", "padding at odd sizes"
        )
    if wrong.all():
        if parts := _in_parts(numbers):
            return parts
        return Pattern("all", "Every token differs.")
    share = wrong.float().mean().item()
    return Pattern("some", f"{100 * share:.0f} % of the tokens differ.")


def _in_parts(numbers: Tensor) -> Pattern | None:
    """Whether some channels are right everywhere."""
    wrong = numbers.flatten(0, 2).any(0)
    if wrong.all():
        return None
    right = int((~wrong).sum())
    return Pattern(
        "some channels", f"At every token, but {right} of {len(wrong)} channels are right."
    )


def shift_of(H: int, W: int, place: Place, window) -> tuple[int, int]:
    """The shift in a block on a map of H x W: none on an axis that one window covers."""
    half = [m // 2 * place.shifted for m in window]
    return shift_that_fits(H, W, window, half)


def window_numbers(n: int, m: int, s: int) -> Tensor:
    """The number of each token's window along an axis of n tokens, rolled by s."""
    return (torch.arange(n) - s) % (n + -n % m) // m


def seam_tokens(H: int, W: int, place: Place, window) -> Tensor:
    """(H, W) of bool: tokens whose moved window holds some that came round."""
    seam = torch.zeros(H, W, dtype=torch.bool)
    for axis, (n, m, s) in enumerate(
        zip((H, W), window, shift_of(H, W, place, window), strict=True)
    ):
        if s:
            padded = n + -n % m
            at = torch.arange(n)
            line = (at < s) | (at >= padded - m + s)
            seam |= line[:, None] if axis == 0 else line[None, :]
    return seam


def padding_tokens(H: int, W: int, place: Place, window) -> Tensor:
    """(H, W) of bool: tokens whose window, moved or not, holds padding."""
    padding = torch.zeros(H, W, dtype=torch.bool)
    for axis, (n, m, s) in enumerate(
        zip((H, W), window, shift_of(H, W, place, window), strict=True)
    ):
        if -n % m:
            moved = window_numbers(n, m, s)
            line = torch.isin(moved, (torch.arange(n, n + -n % m) - s) // m)
            padding |= line[:, None] if axis == 0 else line[None, :]
    return padding
