"""Figures of lesson 04: shifted windows, the roll, regions, masks and what a token can see."""

import torch
from matplotlib import colormaps
from matplotlib.patches import Patch
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.showing import listing, show
from swinlib.lab.style import panels, titled


def window_cuts(length: int, window: int, shift: int = 0) -> list[int]:
    """Where windows shifted by `shift` begin along an axis of `length`, inside the map."""
    return [cut for cut in range(shift, length, window) if cut > 0]


def colours_of(pieces: Tensor) -> Tensor:
    """Pieces from 0 to 8, counted row by row, by the labels that `region_ids` gives them.

    Those that the roll carries round come first on the map and last in the labels.
    """
    order = torch.tensor([2, 0, 1])
    return 3 * order[pieces // 3] + order[pieces % 3]


def shifted_windows(numbers: Tensor, pieces: Tensor, window: int, shift: int) -> None:
    """The same grid cut by the ordinary and by the shifted windows.

    Args:
        numbers: (H, W), the tokens' numbers.
        pieces: (H, W), which shifted window a token is in, from 0 to 8.
        window, shift: in tokens.
    """
    H, W = numbers.shape
    figure, axes = panels(2, width=3.4)
    ordinary = (torch.arange(H)[:, None] // window) * 3 + torch.arange(W) // window
    draw_grid(
        axes[0],
        numbers,
        regions=ordinary,
        window_size=window,
        title="W-MSA: the ordinary windows",
    )
    draw_grid(
        axes[1],
        numbers,
        regions=colours_of(pieces),
        row_cuts=window_cuts(H, window, shift),
        column_cuts=window_cuts(W, window, shift),
        title=f"SW-MSA: moved by {shift}, {pieces.unique().numel()} windows",
    )
    show(
        figure,
        f"The numbered grid of {H} × {W} tokens twice, coloured by window: cut into ordinary "
        f"windows of {window} × {window}, and into {pieces.unique().numel()} windows moved by "
        f"{shift}.",
    )


def before_and_after_roll(before: Tensor, after: Tensor, pieces: Tensor, rolled_pieces, window):
    """Numbers before and after the roll, each in the colour of its shifted window.

    Args:
        before, after: (H, W), the tokens' numbers.
        pieces, rolled_pieces: (H, W), which shifted window a token is in, before and after.
        window: in tokens.
    """
    figure, axes = panels(2, width=3.4)
    colours, rolled = colours_of(pieces), colours_of(rolled_pieces)
    draw_grid(axes[0], before, regions=colours, window_size=window, title="before the roll")
    draw_grid(axes[1], after, regions=rolled, window_size=window, title="after the roll")
    show(
        figure,
        "The numbered grid before and after the roll, coloured by moved window: "
        f"{int(before[0, 0])} stands in the top left corner before, {int(after[0, 0])} after.",
    )


def regions(maps: dict[str, Tensor], window: int | tuple[int, int]) -> None:
    """Region ids as coloured grids, one for each title.

    Args:
        maps: title to (H, W) of ids from 0 to 8.
        window: M or (Mh, Mw), in tokens.
    """
    H, W = next(iter(maps.values())).shape
    figure, axes = panels(len(maps), width=3.4 * max(W / H, 1), height=3.75)
    for ax, (title, ids) in zip(axes, maps.items(), strict=True):
        draw_grid(ax, ids, regions=ids, window_size=window, title=title)
    show(figure, f"Grids of {H} × {W} region ids, one colour for each region: {listing(maps)}.")


def masks(mask: Tensor, ids: Tensor | None = None) -> None:
    """Every window's mask, query down and key across; what is masked is dark.

    Args:
        mask: (num_windows, N, N) with 0 and -100; at most eight windows.
        ids: (num_windows, N), region ids to write along both sides.
    """
    N = mask.shape[-1]
    figure, axes = panels(len(mask), width=9.4 / len(mask), height=9.4 / len(mask) + 0.9)
    for number, ax in enumerate(axes):
        ax.imshow(mask[number] < 0, cmap="cividis_r", vmin=0, vmax=1, extent=(0, N, N, 0))
        masked = (mask[number] < 0).double().mean().item()
        ax.set_title(f"window {number}: {masked:.0%} masked", fontsize=10)
        if ids is None:
            ax.set(xticks=[0, N], yticks=[0, N])
        else:
            labels = [str(int(i)) for i in ids[number]]
            ticks = torch.arange(N) + 0.5
            ax.set_xticks(ticks, labels, fontsize=6.5)
            ax.set_yticks(ticks, labels, fontsize=6.5)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(True)
    axes[0].set_ylabel("query token, by its region")
    attend, masked = (colormaps["cividis_r"](value) for value in (0.0, 1.0))
    figure.legend(
        handles=[Patch(color=attend, label="may attend"), Patch(color=masked, label="masked")],
        loc="outside lower center",
        ncols=2,
    )
    for ax in axes:
        ax.set_xlabel("key token, by its region")
    show(
        figure,
        f"The masks of {len(mask)} windows, {N} queries down and {N} keys across: "
        + listing(
            f"window {n}, {share:.0%} masked"
            for n, share in enumerate((mask < 0).double().mean((1, 2)))
        )
        + ".",
    )


def changed_tokens(changed: Tensor, window: int, shift: int) -> None:
    """Which tokens get another answer when the mask is left out.

    Args:
        changed: (H, W) of bool.
        window, shift: in tokens.
    """
    H, W = changed.shape
    figure, axes = panels(1, width=3.4)
    draw_grid(
        axes[0],
        [["≠" if value else "=" for value in row] for row in changed],
        shades=changed.float(),
        cmap="cividis",
        row_cuts=window_cuts(H, window, shift),
        column_cuts=window_cuts(W, window, shift),
        title=f"{int(changed.sum())} of {changed.numel()} tokens answer differently",
    )
    show(
        figure,
        f"The grid with ≠ in {int(changed.sum())} of {changed.numel()} tokens, those that answer "
        "differently.",
    )


def damage(maps: dict[str, Tensor], window: int) -> None:
    """Which tokens answer differently, one panel for each mistake.

    Args:
        maps: title to (H, W) of bool.
        window: in tokens, for the lines.
    """
    H, W = next(iter(maps.values())).shape
    figure, axes = panels(len(maps), width=2.2, height=2.2 * H / W + 0.6)
    for ax, (title, changed) in zip(axes, maps.items(), strict=True):
        draw_grid(
            ax,
            [["≠" if value else "" for value in row] for row in changed],
            shades=changed.float(),
            cmap="cividis",
            vmin=0,
            vmax=1,
            window_size=window,
            fontsize=9,
        )
        titled(ax, f"{title}\n{int(changed.sum())} of {changed.numel()} tokens")
    show(
        figure,
        f"Which tokens of a {H} × {W} map answer differently, for {len(maps)} mistakes: "
        + listing(f"{title}, {int(changed.sum())} tokens" for title, changed in maps.items())
        + ".",
    )


def footprints(
    maps: dict[str, Tensor], token: tuple[int, int], window: int | list[int], columns: int
) -> None:
    """What a token can see, one panel for each model.

    Args:
        maps: title to (H, W) of bool.
        token: (row, column) whose output is asked about.
        window: in tokens, for the lines; one for all panels or one for each.
        columns: panels in a row.
    """
    figure, axes = panels(columns, -(-len(maps) // columns), width=2.5, height=2.9)
    windows = window if isinstance(window, list) else [window] * len(maps)
    for ax, (title, seen), window in zip(axes, maps.items(), windows, strict=True):
        draw_grid(
            ax,
            shades=seen.float(),
            cmap="Blues",
            vmin=0,
            vmax=1.6,  # a blue that leaves the frame and the lines visible
            window_size=window,
            highlight=[token],
        )
        titled(ax, f"{title}\n{int(seen.sum())} of {seen.numel()} tokens")
    show(
        figure,
        f"What the token at row {token[0]}, column {token[1]} can see: "
        + listing(
            f"{title}, {int(seen.sum())} of {seen.numel()} tokens" for title, seen in maps.items()
        )
        + ".",
    )
