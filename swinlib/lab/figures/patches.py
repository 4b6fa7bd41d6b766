"""Figures of lesson 01: patches, the linear embedding, padding, norms and positions."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.patches import Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.photograph import show_image
from swinlib.lab.showing import listing, show
from swinlib.lab.style import ACCENT, INK, bare, frame, marked, panels, titled


def token_sizes(image: Tensor, top: int, left: int, side: int, sizes: tuple[int, ...]) -> None:
    """A picture, and one square of it cut into patches of several sizes.

    Args:
        image: (3, H, W), from 0 to 1.
        top, left, side: the square, in pixels.
        sizes: patch sizes, in pixels; one panel for each.
    """
    H, W = image.shape[1:]
    figure, axes = panels(1 + len(sizes), width=2.6, height=3.1)
    axes[0].imshow(_half_size(image).permute(1, 2, 0), extent=(0, W, H, 0))
    axes[0].set_title(f"{H} × {W} pixels")
    bare(axes[0])
    frame(axes[0], left, top, side, side)
    square = image[:, top : top + side, left : left + side]
    for ax, P in zip(axes[1:], sizes, strict=True):
        show_image(ax, square, f"P = {P}: {(side // P) ** 2} tokens here")
        lines = torch.arange(P, side, P) - 0.5
        ax.hlines(lines, -0.5, side - 0.5, color="white", linewidth=2.5 if P > 8 else 0.9)
        ax.vlines(lines, -0.5, side - 0.5, color="white", linewidth=2.5 if P > 8 else 0.9)
        ax.spines[:].set(visible=True, color=ACCENT, linewidth=2)
    show(
        figure,
        f"A photograph of {H} × {W} pixels with a square of {side} × {side} framed, and that "
        f"square cut into patches with sides of {listing(sizes)} pixels.",
    )


def pixels_and_vectors(picture: Tensor, vectors: Tensor, patch_of: Tensor, patch_size: int) -> None:
    """A small picture coloured by patch, and the vectors that its patches become.

    Args:
        picture: (H, W) of numbers.
        vectors: (N, P*P), one row for each patch.
        patch_of: (H, W), the patch that a pixel is in, from 0 to N - 1.
        patch_size: P, in pixels.
    """
    N, length = vectors.shape
    figure, axes = plt.subplots(
        1, 2, figsize=(7.6, 3.2), layout="constrained", width_ratios=(1.3, 1)
    )
    draw_grid(
        axes[0],
        picture,
        regions=patch_of,
        window_size=patch_size,
        title=f"the picture: {picture.shape[0]} × {picture.shape[1]} pixels",
    )
    rows = torch.arange(N)[:, None].expand(N, length)
    draw_grid(
        axes[1],
        vectors,
        regions=rows,
        row_cuts=range(1, N),
        title=f"{N} tokens of {length} numbers",
    )
    axes[1].set_yticks(torch.arange(N) + 0.5, [f"patch {n}" for n in range(N)], fontsize=9)
    axes[1].tick_params(length=0)
    show(
        figure,
        f"A grid of {picture.shape[0]} × {picture.shape[1]} numbered pixels, coloured by patch, "
        f"beside a table of {N} rows, one for each patch, with its {length} numbers.",
    )


def two_readings(picture: Tensor, readings: dict[str, Tensor]) -> None:
    """Which token every pixel ends in, by several ways of reading the same picture.

    Args:
        picture: (H, W) of numbers.
        readings: title to (H, W), the token that a pixel ends in, from 0 to 8.
    """
    figure, axes = panels(len(readings), width=3.7, height=2.9)
    for ax, (title, token_of) in zip(axes, readings.items(), strict=True):
        draw_grid(ax, picture, regions=token_of, title=title)
        H, W = token_of.shape
        for i in range(H):  # a heavy line wherever neighbours are in different tokens
            for j in range(W):
                if j + 1 < W and token_of[i, j] != token_of[i, j + 1]:
                    ax.vlines(j + 1, i, i + 1, color=INK, linewidth=2.2)
                if i + 1 < H and token_of[i, j] != token_of[i + 1, j]:
                    ax.hlines(i + 1, j, j + 1, color=INK, linewidth=2.2)
    show(
        figure,
        f"The same numbered grid {len(readings)} times, one colour for each token: "
        f"{listing(readings)}.",
    )


def shuffled(cut: Tensor, mixed: Tensor, restored: Tensor) -> None:
    """Patches in order and out of order, and the picture made of them again.

    Args:
        cut, mixed: (rows, columns, 3, P, P), from 0 to 1.
        restored: (3, H, W).
    """
    figure, axes = panels(3, width=2.6, height=3.05)
    figure.get_layout_engine().set(wspace=0.07)
    show_image(
        axes[0], _half_size(_with_gaps(cut)), f"cut: {cut.shape[0]} × {cut.shape[1]} patches"
    )
    show_image(axes[1], _half_size(_with_gaps(mixed)), "shuffled")
    show_image(axes[2], _half_size(restored), "put back")
    show(
        figure,
        "The photograph three times: cut into patches with gaps between them, the same patches "
        "shuffled, and the photograph put back.",
    )


def _half_size(image: Tensor) -> Tensor:
    """(3, H, W) at half the resolution, for drawing: it keeps the notebook's file small."""
    return F.avg_pool2d(image, 2)


def _with_gaps(patches: Tensor) -> Tensor:
    """(rows, columns, 3, P, P) to one picture (3, H, W) with white between the patches."""
    gap = 6  # pixels
    rows, columns, channels, P, _ = patches.shape
    canvas = torch.ones(channels, rows * (P + gap) - gap, columns * (P + gap) - gap)
    for i in range(rows):
        for j in range(columns):
            top, left = i * (P + gap), j * (P + gap)
            canvas[:, top : top + P, left : left + P] = patches[i, j]
    return canvas


def patch_to_token(
    patch: Tensor, vector: Tensor, weight: Tensor, bias: Tensor, token: Tensor, row: int
) -> None:
    """One patch on its way: pixels, channels, one vector, times the weight, plus the bias.

    Args:
        patch: (3, P, P), from 0 to 1.
        vector: (3*P*P,), the same numbers.
        weight: (C, 3*P*P); bias: (C,).
        token: (C,).
        row: of the weight, to be framed together with the number that it gives.
    """
    C, length = weight.shape
    P = patch.shape[-1]
    figure, ax = plt.subplots(figsize=(8.4, 5.3), layout="constrained")
    ax.set(xlim=(-2, 197), ylim=(C + 14, -24), aspect="equal")
    ax.axis("off")

    def image(values, x, y, width, height, **style):
        extent = (x, x + width, y + height, y)
        ax.imshow(values, extent=extent, aspect="equal", **style)
        frame(x, y, width, height, INK, 1)

    def frame(x, y, width, height, colour, linewidth):
        ax.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=linewidth)
        )

    def words(x, y, text, size=9, **style):
        ax.text(x, y, text, **{"ha": "center", "va": "center", "fontsize": size} | style)

    middle, below = C / 2, C + 8
    image(patch.permute(1, 2, 0), 0, middle - 16, 32, 32)
    words(16, below, f"a patch of\n{P} × {P} pixels")
    words(38, middle, "→", 15)

    side = 28
    for channel, name in enumerate(("red", "green", "blue")):
        top = channel * (side + 6)
        image(patch[channel], 51, top, side, side, cmap="cividis", vmin=0, vmax=1)
        words(47.5, top + side / 2, name, 8, rotation=90)
        for i in range(P):
            for j in range(P):
                value = patch[channel, i, j].item()
                x, y = 51 + (j + 0.5) * side / P, top + (i + 0.5) * side / P
                words(x, y, f"{100 * value:.0f}", 8, color="white" if value < 0.5 else INK)
    words(65, below, "its 3 channels,\nin per cent")
    ax.annotate(
        "",
        (94, -12),
        (65, -1),
        arrowprops={"arrowstyle": "->", "connectionstyle": "angle,angleA=90,angleB=0,rad=6"},
    )

    # The vector lies above the weight, number over column; every row of the weight meets all of it.
    left, third = 95, length // 3
    image(vector[None], left, -16, length, 8, cmap="cividis", vmin=0, vmax=1)
    for channel, name in enumerate(("red", "green", "blue")):
        words(left + (channel + 0.5) * third, -20, name, 8)
        if channel:
            ax.vlines(left + channel * third, -16, -8, color="white", linewidth=1.5)
    words(left + length + 3, -12, f"{length} numbers", ha="left")
    words(left + length / 2, -4, "×", 13)

    low, high = weight.min().item(), weight.max().item()
    image(weight, left, 0, length, C, cmap="viridis", vmin=low, vmax=high)
    frame(left - 0.8, row - 0.8, length + 1.6, 2.6, ACCENT, 1.6)
    words(left + length / 2, below, f"weight, {C} × {length}:\neach row gives one number")
    words(149, middle, "+", 15)
    image(bias[:, None], 155, 0, 9, C, cmap="viridis", vmin=low, vmax=high)
    frame(155 - 0.8, row - 0.8, 9 + 1.6, 2.6, ACCENT, 1.6)
    words(159.5, below, f"bias\n{C}")
    words(172, middle, "=", 15)
    image(token[:, None], 180, 0, 9, C, cmap="viridis")
    frame(180 - 0.8, row - 0.8, 9 + 1.6, 2.6, ACCENT, 1.6)
    words(184.5, below, f"token\n{C}")
    show(
        figure,
        f"A patch of {P} × {P} pixels; its red, green and blue channels as numbers; its {length} "
        f"numbers in one line above a weight matrix of {C} × {length}; a bias is added, and a "
        f"token of {C} numbers comes out. Row {row} of the weight is framed, with the bias and "
        "the number it gives.",
    )


def filters(weight: Tensor, maps: Tensor, names: tuple[str, ...]) -> None:
    """Filters as pictures, and below each the map of its answers.

    Args:
        weight: (C, 3, P, P); drawn with zero as grey, positive lighter, negative darker.
        maps: (C, h, w), one channel of the tokens each.
        names: C titles.
    """
    C = len(weight)
    h, w = maps.shape[1:]
    figure, axes = plt.subplots(
        2, C, figsize=(8.4, 4.5), layout="constrained", height_ratios=(1, 2.4)
    )
    for k in range(C):
        show_image(axes[0, k], 0.5 + 0.5 * weight[k] / weight[k].abs().max(), names[k])
        axes[0, k].spines[:].set(visible=True, color=INK, linewidth=1)
        lines = torch.arange(1, weight.shape[-1]) - 0.5
        axes[0, k].hlines(lines, -0.5, weight.shape[-1] - 0.5, color="#9aa5b1", linewidth=0.8)
        axes[0, k].vlines(lines, -0.5, weight.shape[-1] - 0.5, color="#9aa5b1", linewidth=0.8)
        high = float(maps[k].abs().max())  # zero in the middle, where there are negative answers
        low = -high if maps[k].min() < 0 else 0.0
        drawn = axes[1, k].imshow(maps[k], cmap="cividis", vmin=low, vmax=high)
        bare(axes[1, k])
        bar = figure.colorbar(drawn, ax=axes[1, k], location="bottom", shrink=0.8, pad=0.03)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    P = weight.shape[-1]
    axes[0, 0].set_ylabel(f"filter\n{P} × {P} × 3", fontsize=9)
    axes[1, 0].set_ylabel(f"its answers\n{h} × {w} tokens", fontsize=9)
    show(
        figure,
        f"{C} filters as small pictures, and below each the map of what it answers at {h} × {w} "
        f"tokens of the photograph: {listing(name.replace(chr(10), ' ') for name in names)}.",
    )


def padding(image: Tensor, padded: Tensor, kept: tuple[int, int], patch_size: int) -> None:
    """What a bare convolution leaves out, and what padding adds.

    Args:
        image: (3, H, W), from 0 to 1.
        padded: (3, H', W'), the same with zeros on the right and at the bottom.
        kept: rows and columns of whole patches in `image`.
        patch_size: P, in pixels.
    """
    H, W = image.shape[1:]
    P = patch_size
    figure, axes = panels(2, width=2.6, height=3.1)
    rows, columns = kept
    axes[0].imshow(_half_size(image).permute(1, 2, 0), extent=(0, W, H, 0))
    axes[0].set_title(f"whole patches only: {rows} × {columns}")
    _grid_lines(axes[0], rows * P, columns * P, P)
    _strips(axes[0], (rows * P, columns * P), (H, W), ACCENT)
    Hp, Wp = padded.shape[1:]
    axes[1].imshow(_half_size(padded).permute(1, 2, 0), extent=(0, Wp, Hp, 0))
    axes[1].set_title(f"padded first: {Hp // P} × {Wp // P}")
    _grid_lines(axes[1], Hp, Wp, P)
    _strips(axes[1], (H, W), (Hp, Wp), "white")
    for ax in axes:  # the same scale in both panels
        ax.set(xlim=(-2, Wp + 2), ylim=(Hp + 2, -2))
        bare(ax)
    axes[0].set_xlabel("hatched: pixels that no patch covers", fontsize=9)
    axes[1].set_xlabel("hatched: zeros added", fontsize=9)
    show(
        figure,
        f"The photograph twice under a grid of patches: with {rows} × {columns} whole patches and "
        f"hatched strips that none covers, and padded to {Hp // P} × {Wp // P} patches, the added "
        "zeros hatched.",
    )


def _grid_lines(ax, height: int, width: int, step: int) -> None:
    """White lines around every patch of the part height x width."""
    ax.hlines(torch.arange(0, height + 1, step), 0, width, color="white", linewidth=1)
    ax.vlines(torch.arange(0, width + 1, step), 0, height, color="white", linewidth=1)


def _strips(ax, inner: tuple[int, int], outer: tuple[int, int], colour: str) -> None:
    """Hatch what lies between two rectangles that share their top left corner."""
    (h, w), (H, W) = inner, outer
    for x, y, width, height in ((w, 0, W - w, H), (0, h, w, H - h)):
        ax.add_patch(
            Rectangle(
                (x, y),
                width,
                height,
                facecolor="none",
                edgecolor=colour,
                hatch="////",
                linewidth=1.2,
            )
        )


def averages(tokens: Tensor, layer: Tensor, batch: Tensor) -> None:
    """What each norm averages over, and what it makes of the same tokens.

    Args:
        tokens: (B, N, C) of numbers, before.
        layer, batch: (B, N, C), after LayerNorm and after BatchNorm.
    """
    B, N, C = tokens.shape
    table = tokens.flatten(0, 1)
    each_row = torch.arange(B * N)[:, None].expand(-1, C)
    each_column = torch.arange(C)[None, :].expand(B * N, -1)
    figure, axes = panels(4, width=2.3, height=3.4)
    for number, (values, title) in enumerate(
        (
            (tokens, "LayerNorm: rows"),
            (layer, "after LayerNorm"),
            (tokens, "BatchNorm: columns"),
            (batch, "after BatchNorm"),
        )
    ):
        draw_grid(
            axes[number],
            values.flatten(0, 1),
            regions=each_row if number < 2 else each_column,
            row_cuts=range(1, B * N) if number < 2 else (),
            column_cuts=range(1, C) if number >= 2 else (),
            fontsize=8 if number % 2 else 10,
        )
        axes[number].set_title(title, fontsize=10)
    for i, mean in enumerate(table.mean(1)):
        axes[0].text(C + 0.15, i + 0.53, f"mean\n{mean:.0f}", va="center", fontsize=7.5)
    for j, mean in enumerate(table.mean(0)):
        axes[2].text(j + 0.5, B * N + 0.2, f"mean\n{mean:.0f}", va="top", ha="center", fontsize=7.5)
    for ax in axes:
        ax.set_xlabel("channels →", fontsize=8)
        ax.xaxis.set_label_position("top")
    names = [f"picture {b + 1}\ntoken {n + 1}" for b in range(B) for n in range(N)]
    axes[0].set_yticks(torch.arange(B * N) + 0.5, names, fontsize=8)
    axes[0].tick_params(length=0)
    show(
        figure,
        f"{B * N} tokens of {C} numbers as a table, before and after two norms: LayerNorm takes "
        "the mean of each row, BatchNorm of each column.",
    )


def changes(maps: dict[str, Tensor]) -> None:
    """How far every token of a picture moved, on one scale for all maps.

    Args:
        maps: title to (h, w), not negative.
    """
    high = max(float(values.max()) for values in maps.values())
    figure, axes = panels(len(maps), width=3.2, height=3.7)
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        drawn = ax.imshow(values, cmap="cividis", vmin=0, vmax=high)
        titled(ax, f"{title}\nlargest change {values.max():.1f}")
        bare(ax)
    figure.colorbar(drawn, ax=axes, label="mean change of a token's numbers", shrink=0.85)
    show(
        figure,
        "Maps of how much every token of a photograph changed: "
        + "; ".join(f"{title}, at most {values.max():.1f}" for title, values in maps.items())
        + ".",
    )


def same_tokens(picture: Tensor, maps: dict[str, Tensor], token: tuple[int, int]) -> None:
    """A picture, and which of its tokens are the same as the framed one.

    Args:
        picture: (3, H, W), from 0 to 1.
        maps: title to (h, w) of bool.
        token: (row, column) of the framed one.
    """
    figure, axes = panels(1 + len(maps), width=2.9, height=4.2)
    H, W = picture.shape[1:]
    h, w = next(iter(maps.values())).shape
    axes[0].imshow(picture.permute(1, 2, 0), extent=(0, w, h, 0), vmin=0, vmax=1)
    axes[0].set(xticks=[], yticks=[], title=f"the picture: {H} × {W} pixels\n")
    i, j = token
    axes[0].add_patch(Rectangle((j, i), 1, 1, fill=False, edgecolor=ACCENT, linewidth=3))
    axes[0].spines[:].set(visible=True, color=INK)
    for ax, (title, same) in zip(axes[1:], maps.items(), strict=True):
        draw_grid(
            ax,
            [["=" if value else "≠" for value in row] for row in same],
            shades=same.float(),
            cmap="Blues",
            vmin=0,
            vmax=1.8,
            highlight=[token],
            title=f"{title}\n{int(same.sum())} of {same.numel()} equal the framed one",
        )
    show(
        figure,
        f"A chessboard of {h} × {w} patches with the one at row {i}, column {j} framed, and which "
        "patches "
        + "equal it: "
        + "; ".join(f"{title}, {int(same.sum())} of {same.numel()}" for title, same in maps.items())
        + ".",
    )


def damage(pictures: dict[str, Tensor], patch_size: int) -> None:
    """What several versions made of one picture, glued together again, all on one scale.

    Args:
        pictures: title to (3, H, W), from 0 to 1; their sizes may differ. The first is right.
        patch_size: P, in pixels.
    """
    heights, widths = zip(*(image.shape[1:] for image in pictures.values()), strict=True)
    figure, axes = panels(3, 2, width=2.9, height=2.9 * max(heights) / max(widths) + 0.5)
    for ax, (title, image) in zip(axes, marked(pictures).items(), strict=True):
        H, W = image.shape[1:]
        ax.imshow(image.permute(1, 2, 0), extent=(0, W, H, 0))
        _grid_lines(ax, H, W, patch_size)
        ax.set(xlim=(-2, max(widths) + 2), ylim=(max(heights) + 2, -2))
        titled(ax, f"{title}\n{H // patch_size} × {W // patch_size} patches")
        bare(ax)
    show(
        figure,
        f"The photograph, cut and glued together again by {len(pictures)} versions: "
        f"{listing(pictures)}.",
    )


def put_together(pictures: Tensor, again: Tensor) -> None:
    """Pictures above, and below what was put together from some of their patches.

    Args:
        pictures, again: (B, 3, H, W), from 0 to 1.
    """
    B, _, H, W = pictures.shape
    figure, axes = panels(2 * B, width=2.3, height=2.3 * H / W + 0.35)
    for b in range(B):
        show_image(axes[2 * b], _half_size(pictures[b]), f"picture {b + 1}")
        show_image(axes[2 * b + 1], _half_size(again[b]), "put together again")
    show(
        figure,
        f"{B} pictures, each beside what some of its patches make of it, with grey in place of "
        "the others.",
    )
