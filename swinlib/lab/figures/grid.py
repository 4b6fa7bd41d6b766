"""The drawing that half of the course needs: a grid of cells with numbers, colours and windows."""

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from swinlib.lab.style import ACCENT, INK, PALE, REGION_COLOURS, bare, tint


def draw_grid(
    ax: Axes,
    values=None,
    *,
    regions=None,
    shades=None,
    cmap: str = "viridis",
    vmin: float | None = None,
    vmax: float | None = None,
    row_cuts=(),
    column_cuts=(),
    window_size=None,
    highlight=(),
    fontsize: float | None = None,
    title: str = "",
) -> None:
    """Draw an H x W grid.

    Args:
        ax: where.
        values: (H, W) of numbers or strings to write in the cells; None for none.
        regions: (H, W) of ints from 0 to 8; each takes its own colour.
        shades: (H, W) of numbers, coloured by `cmap` from `vmin` to `vmax`.
        row_cuts, column_cuts: heavy lines above these rows and left of these columns.
        window_size: M or (Mh, Mw): heavy lines around every window, instead of cuts.
        highlight: places (row, column) with a heavy coloured frame.
        fontsize: of the values; chosen to fit the cells when None.
        title: above the grid.
    """
    given = next(x for x in (values, regions, shades) if x is not None)
    H, W = len(given), len(given[0])
    colours = _cell_colours(H, W, regions, shades, cmap, vmin, vmax)
    ax.imshow(colours, extent=(0, W, H, 0), aspect="equal")

    if window_size is not None:
        mh, mw = window_size if isinstance(window_size, tuple) else (window_size, window_size)
        row_cuts, column_cuts = range(mh, H, mh), range(mw, W, mw)
    if max(H, W) <= 32:
        ax.hlines(range(1, H), 0, W, color="white", linewidth=0.8)
        ax.vlines(range(1, W), 0, H, color="white", linewidth=0.8)
    ax.hlines(list(row_cuts), 0, W, color=INK, linewidth=2.2)
    ax.vlines(list(column_cuts), 0, H, color=INK, linewidth=2.2)
    edge = {"fill": False, "edgecolor": INK, "linewidth": 2.2, "clip_on": False}
    ax.add_patch(Rectangle((0, 0), W, H, zorder=2.5, **edge))  # above the white lines

    if values is not None:
        if fontsize is None:
            width_of_cell = ax.get_window_extent().width / ax.figure.dpi * 72 / max(H, W)
            longest = max(len(_text(v)) for row in values for v in row)
            fontsize = min(11.0, 0.5 * width_of_cell, 1.15 * width_of_cell / max(longest, 1))
        for i in range(H):
            for j in range(W):
                dark = colours[i, j] @ torch.tensor([0.299, 0.587, 0.114]) < 0.5
                ax.text(
                    j + 0.5,
                    i + 0.53,
                    _text(values[i][j]),
                    ha="center",
                    va="center",
                    fontsize=fontsize,
                    color="white" if dark else INK,
                )
    for i, j in highlight:
        line = 3 if max(H, W) <= 16 else 2
        ax.add_patch(Rectangle((j, i), 1, 1, fill=False, ec=ACCENT, linewidth=line, zorder=5))
    ax.set_title(title)
    bare(ax)


def _cell_colours(H, W, regions, shades, cmap, vmin, vmax):
    """(H, W, 3) of red, green and blue from 0 to 1."""
    if regions is not None:
        palette = torch.tensor([tint(colour) for colour in REGION_COLOURS])
        return palette[torch.as_tensor(regions).long()]
    if shades is not None:
        shades = torch.as_tensor(shades).float()
        low = shades.min() if vmin is None else vmin
        high = shades.max() if vmax is None else vmax
        scaled = ((shades - low) / max(float(high - low), 1e-12)).clamp(0, 1)
        return torch.tensor(colormaps[cmap](scaled.numpy())[..., :3], dtype=torch.float32)
    return torch.tensor(tint(PALE, 1.0)).expand(H, W, 3)


def _text(value) -> str:
    """A cell's content: whole numbers without a point, others with two digits behind it."""
    if isinstance(value, str):
        return value
    value = float(value)
    return str(int(value)) if value.is_integer() else f"{value:.2f}"
