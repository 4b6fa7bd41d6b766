"""Figure of the fingerprints: where a Swin with something missing answers wrongly."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from torch import Tensor

from swinlib.lab.figures.shift import window_cuts
from swinlib.lab.fingerprints import PLACES, SIDE, VARIANTS, WINDOW, Variant, by_place
from swinlib.lab.showing import WIDEST, listing, show
from swinlib.lab.style import ACCENT, INK, bare

COLOURS = "cividis"
SHIFT = WINDOW // 2


def fingerprints(shares: dict[str, Tensor]) -> None:
    """One map for each variant, three in a row, its windows drawn in, its numbers by place below.

    Args:
        shares: a name in `VARIANTS` to ``(SIDE, SIDE)`` or ``(seeds, SIDE, SIDE)``, the share of
            test maps in which a token answers correctly; of several seeds the map shows the mean
            and the numbers give the lowest and the highest.
    """
    columns = min(3, len(shares))
    rows = -(-len(shares) // columns)
    size = (min(WIDEST, 2.35 * columns + 0.9), 3.3 * rows + 0.35)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[len(shares) :]:
        ax.axis("off")
    for ax, (name, maps) in zip(axes.flat, shares.items(), strict=False):
        maps = maps if maps.ndim == 3 else maps[None]
        picture = ax.imshow(maps.mean(0), cmap=COLOURS, vmin=0, vmax=1, extent=(0, SIDE, SIDE, 0))
        _draw_windows(ax, VARIANTS[name])
        bare(ax)
        ax.set_title(VARIANTS[name].title, fontsize=10.5)
        ax.set_xlabel(_numbers(maps), fontsize=8.5, family="DejaVu Sans Mono", loc="left")
    bar = figure.colorbar(picture, ax=axes, shrink=0.75 / rows**0.5, pad=0.02, aspect=18)
    bar.set_label("share of maps answered correctly")
    styles = {"window": (INK, "-"), "shifted window": (ACCENT, "--")}
    lines = [
        Line2D([], [], color=colour, linestyle=style, linewidth=1.6, label=label)
        for label, (colour, style) in styles.items()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2)
    show(
        figure,
        "Maps of the share of test maps in which each token answers correctly: "
        + listing(
            f"{VARIANTS[name].title}, {maps.mean():.2f} on average" for name, maps in shares.items()
        )
        + ".",
    )


def _draw_windows(ax: Axes, variant: Variant) -> None:
    if variant.has_windows:
        cuts = window_cuts(SIDE, WINDOW)
        ax.hlines(cuts, 0, SIDE, color=INK, linewidth=1.6)
        ax.vlines(cuts, 0, SIDE, color=INK, linewidth=1.6)
    if variant.shifts:
        cuts = window_cuts(SIDE, WINDOW, SHIFT)
        ax.hlines(cuts, 0, SIDE, color=ACCENT, linewidth=1.3, linestyle="--")
        ax.vlines(cuts, 0, SIDE, color=ACCENT, linewidth=1.3, linestyle="--")


def _numbers(maps: Tensor) -> str:
    """A line for each place: its share, or the lowest and highest of several seeds."""
    found = [by_place(right) for right in maps]
    lines = []
    for place in PLACES:
        low, high = (end(shares[place] for shares in found) for end in (min, max))
        low, high = f"{low:.2f}", f"{high:.2f}"
        lines.append(f"{place:<15} " + (low if low == high else f"{low}–{high}"))
    return "\n".join(lines)
