"""Figures of lesson 05: offsets and their numbers, the index, bias tables, kinds of position."""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.showing import listing, show
from swinlib.lab.style import INK, REGION_COLOURS, marked, panels, titled

# Frames of up to four queries: region colour and line style, so that neither is the only sign.
FRAMES = ((6, "-"), (5, (0, (4, 1.5))), (2, (0, (1, 1))), (8, (0, (4, 1, 1, 1))))


def pairs(grids: dict[str, list], shades: Tensor, places: list[tuple[int, int]]) -> None:
    """What every pair of tokens gets: one grid for each step, queries down and keys across.

    Args:
        grids: title to (N, N) of numbers or strings.
        shades: (N, N) of numbers that colour all grids alike.
        places: the N tokens as (row, column).
    """
    figure, axes = panels(len(grids), width=3.15, height=3.5)
    names = [str(place) for place in places]
    centres = torch.arange(len(places)) + 0.5
    for ax, (title, values) in zip(axes, grids.items(), strict=True):
        draw_grid(ax, values, shades=shades, title=title, fontsize=10)
        ax.set_xticks(centres, names, fontsize=8)
        ax.set_yticks(centres, names, fontsize=8)
        ax.tick_params(length=0)
        ax.set_xlabel("key")
    axes[0].set_ylabel("query")
    show(
        figure,
        f"Tables of all {len(places)} × {len(places)} pairs of tokens, queries down and keys "
        f"across: {listing(grids)}.",
    )


def numbered_offsets(columns: list[tuple[int, Tensor, Tensor]]) -> None:
    """The number of every offset, without the factor above and with it below.

    Args:
        columns: for each window size (M, without, with), both (2M-1, 2M-1).
    """
    figure, axes = panels(len(columns), 2, width=3.0, height=3.4)
    for c, (M, without, with_factor) in enumerate(columns):
        titles = (f"M = {M}, row + column", f"M = {M}, row × {2 * M - 1} + column")
        for r, (numbers, title) in enumerate(zip((without, with_factor), titles, strict=True)):
            ax = axes[r * len(columns) + c]
            few = len(numbers) < 9
            draw_grid(ax, numbers if few else None, shades=numbers, fontsize=10)
            ax.set_title(
                f"{title}\n{numbers.unique().numel()} numbers for {numbers.numel()} offsets"
            )
            offset_ticks(ax, numbers.shape)
    show(
        figure,
        "Tables of offsets by number, above without and below with the factor: "
        + listing(
            f"for M = {M} {a.unique().numel()} and {b.unique().numel()} different numbers"
            for M, a, b in columns
        )
        + ".",
    )


def offset_ticks(ax, size, sign: int = 1, fontsize: float = 8) -> None:
    """Name the rows and columns of a table of offsets.

    Args:
        size: (2*Mh - 1, 2*Mw - 1).
        sign: 1 for query minus key, -1 for where the key is, seen from the query.
    """
    rows, columns = size
    every = 1 if max(size) < 9 else 3
    for length, set_ticks in ((rows, ax.set_yticks), (columns, ax.set_xticks)):
        offsets = range(-(length // 2), length // 2 + 1, every)
        set_ticks(
            [offset + length // 2 + 0.5 for offset in offsets],
            [f"{offset:+d}" if offset else "0" for offset in offsets],
            fontsize=fontsize,
        )
    ax.tick_params(length=0)
    if sign > 0:
        ax.set_ylabel("dy", rotation=0, va="center", labelpad=8)
        ax.set_xlabel("dx")


def index_picture(
    index: Tensor, counts: Tensor, window: int, offsets: dict[str, tuple[int, int]]
) -> None:
    """The whole index as a picture, and how many pairs share each number.

    Args:
        index: (M*M, M*M), the numbers.
        counts: (2M-1, 2M-1), how many pairs have this offset.
        window: M, in tokens.
        offsets: up to three offsets (dy, dx) to mark by name.
    """
    N = len(index)
    figure, axes = plt.subplots(
        1, 2, figsize=(8.4, 5.3), width_ratios=(1.25, 1), layout="constrained"
    )
    image = axes[0].imshow(index, extent=(0, N, N, 0))
    axes[0].hlines(range(window, N, window), 0, N, color="white", linewidth=1)
    axes[0].vlines(range(window, N, window), 0, N, color="white", linewidth=1)
    middle = len(counts) // 2
    for (name, (dy, dx)), marker in zip(offsets.items(), "osx", strict=False):
        number = (dy + middle) * len(counts) + dx + middle
        y, x = (index == number).nonzero().T + 0.5
        label = f"{number}: {name}"
        axes[0].plot(
            x,
            y,
            marker,
            ms=3.2,
            color="white" if marker == "x" else "none",
            mec="white",
            mew=1.1,
            ls="none",
            label=label,
        )
    axes[0].legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=3,
        fontsize=8,
        facecolor="#3b528b",
        labelcolor="white",
        frameon=True,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    middles = [window * (row + 0.5) for row in range(window)]
    axes[0].set_xticks(middles, [f"row {row}" for row in range(window)], fontsize=8)
    axes[0].set_yticks(middles, [f"row {row}" for row in range(window)], fontsize=8)
    axes[0].tick_params(length=0)
    axes[0].set(
        title=f"the index: {N} x {N} pairs, {len(counts) ** 2} numbers",
        xlabel="key token, by its row in the window",
        ylabel="query token, by its row",
    )
    axes[0].spines[:].set_visible(False)
    figure.colorbar(image, ax=axes[0], label="number of the offset", fraction=0.05, pad=0.02)
    on_the_cross = [  # numbers where they are easiest to read off: middle row and column, corners
        [
            str(int(count)) if middle in (r, c) or {r, c} <= {0, 2 * middle} else ""
            for c, count in enumerate(row)
        ]
        for r, row in enumerate(counts)
    ]
    draw_grid(axes[1], on_the_cross, shades=counts, cmap="cividis", fontsize=8)
    axes[1].set_title("how many pairs have each offset")
    offset_ticks(axes[1], counts.shape)
    show(
        figure,
        f"Left, the index of a window of {window} × {window} as a picture of {N} × {N} pairs, "
        f"with the pairs of some offsets marked: {listing(offsets)}. Right, how many pairs have "
        f"each offset, from {int(counts.min())} at the corners to {int(counts.max())} in the "
        "middle.",
    )


def cutouts(seen: Tensor, rows: dict[tuple[int, int], Tensor]) -> None:
    """The table, and the piece of it that each of four queries reads.

    Args:
        seen: (2M-1, 2M-1), the numbers by where the key is, seen from the query.
        rows: query (row, column) to (M, M), the numbers that it reads for the keys of its window.
    """
    M = len(next(iter(rows.values())))
    figure = plt.figure(figsize=(8.4, 4.9), layout="constrained")
    grid = figure.add_gridspec(2, 4)
    table = figure.add_subplot(grid[:, :2])
    draw_grid(table, seen, fontsize=7, title="the table, seen from the query")
    offset_ticks(table, seen.shape, sign=-1)
    table.set(xlabel="key's column minus query's", ylabel="key's row minus query's")
    for number, ((y, x), read) in enumerate(rows.items()):
        region, style = FRAMES[number]
        frame = {"fill": False, "ec": REGION_COLOURS[region], "ls": style, "lw": 3.2, "zorder": 5}
        table.add_patch(Rectangle((M - 1 - x, M - 1 - y), M, M, **frame))
        ax = figure.add_subplot(grid[number // 2, 2 + number % 2])
        corners_and_query = [
            [
                str(int(value)) if {r, c} <= {0, M - 1} or (r, c) == (y, x) else ""
                for c, value in enumerate(row)
            ]
            for r, row in enumerate(read)
        ]
        draw_grid(ax, corners_and_query, regions=torch.full_like(read, region), fontsize=8)
        ax.set_title(f"read by query ({y}, {x})", fontsize=10)
        under = {"fill": False, "ec": "white", "lw": 3.6, "zorder": 4}
        ax.add_patch(Rectangle((0, 0), M, M, **under, clip_on=False))
        ax.add_patch(Rectangle((0, 0), M, M, **frame, clip_on=False))
        ax.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=INK, lw=2.2, zorder=6))
    show(
        figure,
        f"Left, the table of {len(seen)} × {len(seen)} numbers with {len(rows)} frames of {M} × "
        f"{M}. Right, the numbers that the queries at {listing(rows)} read, each in the colour of "
        "its frame.",
    )


def heads(
    names: list[str], tables: Tensor, weights: Tensor, query: tuple[int, int] | None = None
) -> None:
    """One bias table for each head, and the weights that it alone gives one query.

    Args:
        names: of the heads.
        tables: (heads, 2M-1, 2M-1), by where the key is, seen from the query.
        weights: (heads, M, M), one query's attention over the window when all tokens are equal.
        query: (row, column) in the window.
    """
    figure, axes = panels(len(names), 2, width=3.1, height=3.05)
    half = tables.shape[-1] / 2
    for h, name in enumerate(names):
        top, bottom = axes[h], axes[len(names) + h]
        image = top.imshow(
            tables[h],
            cmap="cividis",
            vmin=float(tables.min()),
            vmax=float(tables.max()),
            extent=(-half, half, half, -half),
        )
        top.plot(0, 0, "o", mfc="none", mec="white", ms=6)
        reach = tables.shape[-1] // 2
        top.set(title=f"head {h}: {name}", xticks=(-reach, 0, reach), yticks=(-reach, 0, reach))
        top.tick_params(length=0, labelsize=8)
        top.spines[:].set_visible(False)
        percent = [[f"{100 * value:.0f}" for value in row] for row in weights[h]]
        draw_grid(bottom, percent, shades=weights[h], vmin=0, highlight=[query], fontsize=8)
        bottom.set_title(f"weights of query {query}, in %", fontsize=10)
    figure.colorbar(image, ax=axes[: len(names)], label="bias", fraction=0.03, pad=0.01)
    axes[0].set_ylabel("key's row minus query's")
    axes[0].set_xlabel("key's column minus query's")
    show(
        figure,
        f"The bias tables of {len(names)} heads, {listing(names)}, and below each the weights "
        f"that it alone gives the query at {query}.",
    )


def indices(maps: dict[str, Tensor], blocks: list[int]) -> None:
    """Small indices with their numbers, and lines around the blocks of one row of the window.

    Args:
        maps: title to (N, N) of numbers.
        blocks: for each map, the width of its window.
    """
    figure, axes = panels(len(maps), width=3.8, height=4.15)
    for ax, (title, index), block in zip(axes, maps.items(), blocks, strict=True):
        draw_grid(ax, index, shades=index, window_size=block, title=title)
        ax.set(xlabel="key token", ylabel="query token")
        centres = torch.arange(len(index)) + 0.5
        names = [str((n // block, n % block)) for n in range(len(index))]
        ax.set_xticks(centres, names, fontsize=7.5)
        ax.set_yticks(centres, names, fontsize=7.5)
        ax.tick_params(length=0)
    show(figure, f"Tables of numbers, query tokens down and key tokens across: {listing(maps)}.")


def positional_scores(maps: dict[str, Tensor], window: int) -> None:
    """What position alone adds to the scores of all pairs of a window.

    Args:
        maps: title to (M*M, M*M) of scores.
        window: M, in tokens.
    """
    figure, axes = panels(len(maps), width=4.0, height=4.1)
    for ax, (title, scores) in zip(axes, maps.items(), strict=True):
        N = len(scores)
        image = ax.imshow(scores, cmap="cividis", extent=(0, N, N, 0))
        ax.hlines(range(window, N, window), 0, N, color="white", linewidth=1)
        ax.vlines(range(window, N, window), 0, N, color="white", linewidth=1)
        middles = [window * (row + 0.5) for row in range(window)]
        ax.set_xticks(middles, [f"row {row}" for row in range(window)], fontsize=8)
        ax.set_yticks(middles, [f"row {row}" for row in range(window)], fontsize=8)
        ax.tick_params(length=0)
        ax.set(title=title, xlabel="key token", ylabel="query token")
        ax.spines[:].set_visible(False)
        figure.colorbar(image, ax=ax, label="added to the score", fraction=0.046, pad=0.02)
    show(
        figure,
        f"What position alone adds to the scores of all pairs of a window of {window} × {window}: "
        f"{listing(maps)}.",
    )


def accuracy_by_place(maps: dict[str, Tensor], taught_rows: int) -> None:
    """How often a token names its neighbours right, by its place in the window.

    Args:
        maps: title to (M, M) of shares from 0 to 1.
        taught_rows: the first rows were corrected in training, the others never.
    """
    figure, axes = panels(len(maps), width=3.1, height=3.45)
    for ax, (title, shares) in zip(axes, maps.items(), strict=True):
        percent = [[f"{100 * value:.0f} %" for value in row] for row in shares]
        draw_grid(ax, percent, shades=shares, vmin=0, vmax=1, row_cuts=[taught_rows], fontsize=10)
        ax.set_title(title)
    M = len(shares)
    axes[0].set_yticks([taught_rows / 2, (M + taught_rows) / 2], ["taught", "never taught"])
    axes[0].tick_params(length=0)
    plt.setp(axes[0].get_yticklabels(), rotation=90, va="center")
    show(
        figure,
        "How often a token names its neighbours right, by its place in the window: "
        + listing(
            f"{title}, {shares[:taught_rows].mean():.0%} where taught and "
            f"{shares[taught_rows:].mean():.0%} where not"
            for title, shares in maps.items()
        )
        + ".",
    )


def learned_tables(tables: Tensor) -> None:
    """Bias tables that training has written, one panel a head.

    Args:
        tables: (heads, 2M-1, 2M-1), by where the key is, seen from the query.
    """
    figure, axes = panels(len(tables), width=2.45, height=2.85)
    for h, ax in enumerate(axes):
        middle = len(tables[h]) // 2
        near = range(middle - 1, middle + 2)  # numbers where it matters, around the query
        values = [
            [f"{value:.1f}" if r in near and c in near else "" for c, value in enumerate(row)]
            for r, row in enumerate(tables[h])
        ]
        draw_grid(
            ax,
            values,
            shades=tables[h],
            cmap="cividis",
            vmin=float(tables.min()),
            vmax=float(tables.max()),
            fontsize=7,
            highlight=[(middle, middle)],
            title=f"head {h}",
        )
        offset_ticks(ax, tables[h].shape, sign=-1, fontsize=7)
    axes[0].set_ylabel("key's row minus query's", fontsize=8)
    for ax in axes:
        ax.set_xlabel("key's column minus query's", fontsize=8)
    show(
        figure,
        f"The bias tables that {len(tables)} heads have learned, by where the key is, seen from "
        "the query.",
    )


def where_it_looks(maps: dict[str, Tensor], query: tuple[int, int]) -> None:
    """One query's weights over its window, one panel for each version.

    Args:
        maps: title to (Mh, Mw) of weights; the first is the right one.
        query: (row, column), framed.
    """
    Mh, Mw = next(iter(maps.values())).shape
    figure, axes = panels(len(maps), width=2.15, height=2.15 * Mh / Mw + 0.6)
    for ax, (title, weights) in zip(axes, marked(maps).items(), strict=True):
        percent = [[f"{100 * w:.0f}" if w >= 0.005 else "" for w in row] for row in weights]
        draw_grid(ax, percent, shades=weights, vmin=0, vmax=0.5, highlight=[query], fontsize=8)
        titled(ax, title)
    show(
        figure,
        f"The weights of the query at {query} over its window, by {len(maps)} versions: "
        f"{listing(maps)}.",
    )


def stretched(maps: dict[str, Tensor], reach: int) -> None:
    """The middle of one head's bias tables for different windows.

    Args:
        maps: title to (2M-1, 2M-1), by query minus key.
        reach: offsets from -reach to +reach are drawn.
    """
    figure, axes = panels(len(maps), width=3.6, height=3.8)
    for ax, (title, table) in zip(axes, maps.items(), strict=True):
        first = len(table) // 2 - reach
        middle = table[first:, first:][: 2 * reach + 1, : 2 * reach + 1]
        values = [[f"{v:.1f}" if abs(v) >= 0.05 else "" for v in row] for row in middle]
        draw_grid(ax, values, shades=middle, cmap="cividis", vmin=-1, vmax=5, fontsize=9)
        places = range(-reach, reach + 1)
        names = [f"{place:+d}" if place else "0" for place in places]
        for set_ticks in (ax.set_xticks, ax.set_yticks):
            set_ticks([place + reach + 0.5 for place in places], names, fontsize=8)
        ax.tick_params(length=0)
        ax.set(title=title, xlabel="dx", ylabel="dy")
    show(
        figure,
        f"The middle of a head's bias table, offsets from {-reach} to {reach}: {listing(maps)}.",
    )
