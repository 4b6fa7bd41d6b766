"""Figures of lesson 06: four neighbours become one token, what is kept of them, the pyramid."""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.photograph import show_image
from swinlib.lab.showing import listing, show
from swinlib.lab.style import (
    ACCENT,
    CALM,
    INK,
    PALE,
    REGION_COLOURS,
    bare,
    marked,
    panels,
    tint,
    titled,
)

# The colour of each place in a neighbourhood: top left, bottom left, top right, bottom right.
PLACES = ("top left", "bottom left", "top right", "bottom right")


def gathering(grid: Tensor, parts: list[Tensor], merged: Tensor) -> None:
    """A grid, its four interleaved parts, and the merged tokens.

    Args:
        grid: (H, W) of numbers, H and W even.
        parts: four of (H/2, W/2): top left, bottom left, top right, bottom right places.
        merged: (H/2, W/2, 4), the numbers of every merged token in their order.
    """
    H, W = grid.shape
    figure = plt.figure(figsize=(8.4, 3.6), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1, 1, 1))

    ax = left.subplots()
    place = torch.arange(W)[None, :] % 2 * 2 + torch.arange(H)[:, None] % 2
    draw_grid(ax, grid, regions=place, window_size=2, fontsize=12)
    ax.set_title(f"{H} x {W} tokens")

    for number, ax in enumerate(middle.subplots(2, 2).T.flat):
        draw_grid(ax, parts[number], regions=torch.full_like(parts[number], number), fontsize=11)
        ax.set_title(f"{number + 1}. {PLACES[number]}", fontsize=9)

    ax = right.subplots()
    _merged_tokens(ax, merged)
    ax.set_title(f"{merged.shape[0]} x {merged.shape[1]} tokens, 4 numbers each")
    show(
        figure,
        f"Left, {H} × {W} numbered tokens, coloured by their place in a neighbourhood of 2 × 2. "
        f"Middle, the four grids of {H // 2} × {W // 2}: {listing(PLACES)}. Right, the merged "
        f"tokens; the first holds {listing(int(n) for n in merged[0, 0])}.",
    )


def _merged_tokens(ax, merged: Tensor, padding: int | None = None) -> None:
    """A grid (h, w, 4) with each token's numbers in a row of boxes; `padding` is drawn hatched."""
    h, w = merged.shape[:2]
    draw_grid(ax, [["" for _ in range(w)] for _ in range(h)])
    for i in range(h):
        for j in range(w):
            for k in range(4):
                x, number = j + 0.1 + 0.2 * k, int(merged[i, j, k])
                box = {"facecolor": tint(REGION_COLOURS[k]), "edgecolor": "white"}
                if number == padding:
                    box = {"facecolor": "white", "edgecolor": "#888888", "hatch": "////"}
                ax.add_patch(Rectangle((x, i + 0.34), 0.2, 0.32, linewidth=0.8, **box))
                ax.text(
                    x + 0.1,
                    i + 0.51,
                    str(number),
                    ha="center",
                    va="center",
                    fontsize=11 if w < 3 else 9,
                    color=INK,
                )


def quarter_pictures(image: Tensor, parts: list[Tensor], difference: Tensor) -> None:
    """A picture, the four half-size pictures inside it, and how two of them differ.

    Args:
        image: (3, H, W).
        parts: four of (3, H/2, W/2).
        difference: (H/2, W/2), between the first and the last.
    """
    h, w = difference.shape
    places = [["whole", 0, 2, "difference"], ["whole", 1, 3, "difference"]]
    figure, axes = plt.subplot_mosaic(
        places, figsize=(8.4, 3.6), width_ratios=(2, 1, 1, 2), layout="constrained"
    )
    show_image(axes["whole"], image)
    titled(axes["whole"], f"{2 * h} x {2 * w} pixels")
    for number, part in enumerate(parts):
        show_image(axes[number], part)
        titled(axes[number], f"{number + 1}. {PLACES[number]}")
    drawn = axes["difference"].imshow(difference, cmap="cividis", vmin=0)
    titled(axes["difference"], "picture 1 against picture 4")
    bare(axes["difference"])
    figure.colorbar(drawn, ax=list(axes.values()), label="difference, 0 to 1", aspect=30, pad=0.01)
    show(
        figure,
        f"A picture of {2 * h} × {2 * w} pixels, the four pictures of {h} × {w} inside it, and a "
        "map of how the first and the last differ: most along edges.",
    )


def padded_grid(grid: Tensor, original: tuple[int, int], merged: Tensor) -> None:
    """A grid padded to even sizes, and what is merged from it.

    Args:
        grid: (H', W') of numbers, padded.
        original: (H, W) before the padding, which is drawn hatched.
        merged: (H'/2, W'/2, 4), the numbers of every merged token in their order; 0 is padding.
    """
    (H, W), (h, w) = grid.shape, merged.shape[:2]
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.9), layout="constrained")
    place = torch.arange(W)[None, :] % 2 * 2 + torch.arange(H)[:, None] % 2
    draw_grid(axes[0], grid, regions=place, window_size=2, fontsize=10)
    for i in range(H):
        for j in range(W):
            if i >= original[0] or j >= original[1]:
                box = {"facecolor": "white", "edgecolor": "#888888", "hatch": "///"}
                axes[0].add_patch(Rectangle((j, i), 1, 1, linewidth=0.6, **box))
    axes[0].set_title(f"{original[0]} x {original[1]} padded to {H} x {W}")
    _merged_tokens(axes[1], merged, padding=0)
    axes[1].set_title(f"merged: {h} x {w} tokens, 4 numbers each")
    show(
        figure,
        f"Left, {original[0]} × {original[1]} numbered tokens padded to {H} × {W}. Right, {h} × "
        f"{w} merged tokens of four numbers each, the padding in them hatched.",
    )


def rebuilt(pictures: dict[str, Tensor]) -> None:
    """Pictures side by side.

    Args:
        pictures: title to (3, H, W).
    """
    figure, axes = panels(len(pictures), width=2.35, height=3.35)
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        show_image(ax, picture)
        ax.set_title(title, fontsize=9.5)
    show(figure, f"The face, rebuilt from less: {listing(pictures)}.")


def exhibits(pictures: dict[str, Tensor], size: tuple[int, int]) -> None:
    """Small pictures in a row, each in a frame as large as it should be.

    Args:
        pictures: title to (3, H, W); the first is the right one.
        size: (H, W) of the frame.
    """
    figure, axes = panels(len(pictures), width=1.68, height=1.68 * size[0] / size[1] + 0.6)
    for ax, (title, picture) in zip(axes, marked(pictures).items(), strict=True):
        H, W = picture.shape[1:]
        ax.imshow(picture.permute(1, 2, 0).clamp(0, 1).numpy(), extent=(0, W, H, 0))
        frame = {"fill": False, "edgecolor": ACCENT, "linewidth": 1.5, "clip_on": False}
        ax.add_patch(Rectangle((0, 0), size[1], size[0], **frame))
        ax.set(xlim=(0, size[1]), ylim=(size[0], 0))
        titled(ax, title)
        bare(ax)
    show(
        figure,
        f"The face after merging by {len(pictures)} versions, in a frame of the right size: "
        f"{listing(pictures)}.",
    )


def readers(maps: dict[str, Tensor]) -> None:
    """How many output tokens read each input token.

    Args:
        maps: title to (H, W) of counts.
    """
    figure, axes = panels(len(maps), width=4.3, height=3.6)
    for ax, (title, counts) in zip(axes, maps.items(), strict=True):
        draw_grid(ax, counts, shades=counts, cmap="cividis", vmin=0, vmax=4, fontsize=10)
        ax.set_title(title)
    show(
        figure,
        "How many output tokens read each input token: "
        + listing(
            f"{title}, {listing(int(n) for n in counts.unique())}" for title, counts in maps.items()
        )
        + ".",
    )


def pyramid(
    stages: dict[str, Tensor], window: int, strides: list[int], pixel: tuple[int, int]
) -> None:
    """One picture at the resolution of every stage, with the stage's windows.

    Args:
        stages: title to (3, h, w): each token in the mean colour of its pixels.
        window: M, in tokens.
        strides: pixels from one token to the next, for each stage.
        pixel: (row, column); the window that holds it is framed.
    """
    figure, axes = panels(len(stages), width=2.45, height=4.05)
    tallest = max(
        stage.shape[1] * stride for stage, stride in zip(stages.values(), strides, strict=True)
    )
    for ax, (title, stage), stride in zip(axes, stages.items(), strides, strict=True):
        h, w = stage.shape[1:]
        ax.imshow(stage.permute(1, 2, 0).clamp(0, 1).numpy(), extent=(0, w * stride, h * stride, 0))
        step = window * stride
        lines = {"color": "white", "linewidth": 0.9}
        ax.hlines(range(step, h * stride, step), 0, w * stride, **lines)
        ax.vlines(range(step, w * stride, step), 0, h * stride, **lines)
        corner = (pixel[1] // step * step, pixel[0] // step * step)
        ax.add_patch(Rectangle(corner, step, step, fill=False, ec=ACCENT, lw=3, zorder=5))
        ax.set_ylim(tallest, 0)
        titled(ax, f"{title}\n{h} x {w} tokens\na window: {step} pixels")
        bare(ax)
    show(
        figure,
        "The photograph at every stage, each token in one colour, with the windows and one of "
        "them framed: "
        + listing(
            f"{title}, {stage.shape[1]} × {stage.shape[2]} tokens"
            for title, stage in stages.items()
        )
        + ".",
    )


def ledger(names: list[str], numbers: list[int], costs: dict[str, list[float]]) -> None:
    """What the map of every stage holds, and what a block on it costs.

    Args:
        names: of the stages, with their shapes.
        numbers: in the map of each stage.
        costs: part of a block to millions of multiply-adds at each stage.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.5), layout="constrained")
    bars = axes[0].bar(names, numbers, color=CALM, width=0.65)
    axes[0].bar_label(bars, [f"{n:,}" for n in numbers], fontsize=8.5)
    axes[0].set(title="numbers in the map: halved each time", ylabel="tokens x channels")
    axes[0].set_ylim(0, 1.12 * max(numbers))
    axes[0].ticklabel_format(axis="y", style="plain")
    bottom = [0.0] * len(names)
    for (part, values), colour, hatch in zip(
        costs.items(), (tint(CALM), PALE, ACCENT), ("", "//", ""), strict=True
    ):
        style = {"color": colour, "hatch": hatch, "edgecolor": INK, "linewidth": 0.6}
        axes[1].bar(names, values, bottom=bottom, label=part, width=0.65, **style)
        bottom = [b + v for b, v in zip(bottom, values, strict=True)]
    axes[1].set(title="cost of one block: nearly the same", ylabel="million multiply-adds")
    axes[1].set_ylim(0, 1.55 * max(bottom))
    axes[1].legend(fontsize=8.5, loc="upper left", reverse=True)
    for ax in axes:
        ax.tick_params(axis="x", labelsize=8.5)
    show(
        figure,
        f"Bars for each stage. Left, numbers in its map: {listing(f'{n:,}' for n in numbers)}. "
        f"Right, the cost of a block on it, made of {listing(costs)}: nearly the same at every "
        "stage.",
    )
