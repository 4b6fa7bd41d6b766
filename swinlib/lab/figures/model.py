"""Figures of lesson 07: parts at work on a batch, the model's sizes, its maps, its relatives."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.photograph import show_image
from swinlib.lab.showing import listing, show
from swinlib.lab.style import (
    ACCENT,
    CALM,
    INK,
    PALE,
    bare,
    frame,
    in_percent,
    panels,
    tint,
    titled,
)


def moved_outputs(maps: dict[str, Tensor], token: tuple[int, int], window: int) -> None:
    """Which outputs move when one token of the first picture changes.

    Args:
        maps: title to (B, H, W) of bool.
        token: (row, column) of the changed token, in picture 0.
        window: in tokens, for the lines.
    """
    B = len(next(iter(maps.values())))
    figure, axes = panels(B * len(maps), width=9.6 / (B * len(maps)), height=2.4)
    for number, ax in enumerate(axes):
        title, moved = list(maps.items())[number // B]
        picture = number % B
        draw_grid(
            ax,
            [["≠" if value else "" for value in row] for row in moved[picture]],
            shades=moved[picture].float(),
            cmap="Blues",
            vmin=-0.15,
            vmax=1.6,
            window_size=window,
            highlight=[token] if picture == 0 else [],
            fontsize=7,
        )
        titled(ax, f"{title}, picture {picture}\n{int(moved[picture].sum())} move")
    show(
        figure,
        f"Maps of {B} pictures with ≠ in the tokens whose outputs move when the token at row "
        f"{token[0]}, column {token[1]} of picture 0 changes: "
        + listing(
            f"{title}, {listing(int(x.sum()) for x in moved)}" for title, moved in maps.items()
        )
        + ".",
    )


def gelu(x: Tensor, values: dict[str, Tensor], slopes: dict[str, Tensor]) -> None:
    """Activation functions and their slopes.

    Args:
        x: (N,), where they were computed.
        values, slopes: name to (N,).
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
    for ax, curves, title in zip(axes, (values, slopes), ("value", "slope"), strict=True):
        ax.axhline(0, color="#bbbbbb", linewidth=0.8)
        ax.axvline(0, color="#bbbbbb", linewidth=0.8)
        for (name, y), colour, style in zip(
            curves.items(), (ACCENT, CALM), ("-", "--"), strict=True
        ):
            ax.plot(x, y, style, color=colour, label=name)
        ax.set(title=title, xlabel="x")
        ax.legend(loc="upper left")
    axes[0].set_ylabel("what comes out")
    axes[1].set_ylabel("what the gradient is multiplied by")
    show(
        figure, f"Curves of {listing(values)}, left their values and right their slopes, against x."
    )


def through_a_batch(rows: dict[str, Tensor]) -> None:
    """The numbers of a small batch after different operations, one row of panels for each.

    Args:
        rows: title to (B, tokens, channels); zeros are printed without a decimal point.
    """
    B, T, C = next(iter(rows.values())).shape
    top = max(x.abs().max() for x in rows.values())
    figure, axes = panels(B, len(rows), width=1.75, height=1.3)
    for number, ax in enumerate(axes):
        title, x = list(rows.items())[number // B]
        text = [["0" if v == 0 else _one_digit(v) for v in row] for row in x[number % B].tolist()]
        draw_grid(ax, text, shades=x[number % B], cmap="PuOr", vmin=-top, vmax=top, fontsize=7)
        if number < B:
            ax.set_title(f"picture {number}", fontsize=10)
        if number % B == 0:
            ax.set_ylabel(title, fontsize=10)
        if number == len(axes) - B:
            ax.set_xlabel("channels across, tokens down", fontsize=9)
    show(
        figure,
        f"The numbers of {B} pictures, {T} tokens of {C} channels each, in rows: {listing(rows)}.",
    )


def _one_digit(value: float) -> str:
    """A number with one digit behind the point, and no minus in front of 0.0."""
    return f"{round(value, 1) + 0.0:.1f}"


def kept_maps(depths: list[int], kept: dict[str, list[float]]) -> None:
    """What the forward pass keeps for the backward pass, as the stage grows.

    Args:
        depths: numbers of blocks.
        kept: name to one number for each depth, in feature maps.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.1), layout="constrained")
    for (name, counts), colour, style in zip(
        kept.items(), (CALM, ACCENT), ("o--", "s-"), strict=True
    ):
        ax.plot(depths, counts, style, color=colour, label=name)
        ax.annotate(
            f"{counts[-1]:.0f} maps",
            (depths[-1], counts[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    ax.set(
        xlabel="blocks in the stage",
        ylabel="kept, in feature maps",
        xticks=depths,
        xlim=(depths[0] - 0.3, depths[-1] + 1),
        ylim=(0, None),
        title="numbers kept for the backward pass",
    )
    ax.legend(loc="upper left")
    show(
        figure,
        "Feature maps kept for the backward pass against the number of blocks: "
        + listing(f"{name}, up to {counts[-1]:.0f}" for name, counts in kept.items())
        + ".",
    )


def maps_and_windows(rows: dict[str, list[tuple]], window: int) -> None:
    """Every stage's map, its padding and its windows, all panels showing the same picture area.

    Args:
        rows: title to one (h, w, channels, padded_h, padded_w, windows) for each stage.
        window: in tokens.
    """
    stages = len(next(iter(rows.values())))
    figure, axes = panels(stages, len(rows), width=2.35, height=2.8)
    for number, ax in enumerate(axes):
        (name, sizes), stage = list(rows.items())[number // stages], number % stages
        h, w, channels, ph, pw, windows = sizes[stage]
        unit = 1 / h  # so that the map itself has the same size in every panel
        box = {"facecolor": "white", "edgecolor": "#888888", "hatch": "////", "linewidth": 0}
        ax.add_patch(Rectangle((0, 0), pw * unit, ph * unit, **box))
        ax.add_patch(Rectangle((0, 0), w * unit, h * unit, facecolor="#cfe3f2"))
        if h <= 14:
            ax.vlines([j * unit for j in range(1, w)], 0, 1, color="white", linewidth=0.7)
            ax.hlines([i * unit for i in range(1, h)], 0, w * unit, color="white", linewidth=0.7)
        ax.vlines([j * unit for j in range(0, pw + 1, window)], 0, ph * unit, color=INK, lw=1.1)
        ax.hlines([i * unit for i in range(0, ph + 1, window)], 0, pw * unit, color=INK, lw=1.1)
        reach = 0.02 + max(row[3] / row[0] for row in sizes)  # the row's most padded map
        ax.set(xlim=(-0.02, reach), ylim=(reach, -0.02), aspect="equal")
        bare(ax)
        plural = "window" if windows == 1 else "windows"
        titled(ax, f"stage {stage + 1}: {windows} {plural}\n{h} x {w}, {channels} channels")
        if stage == 0:
            ax.set_ylabel(name, fontsize=10)
    figure.legend(
        handles=[
            Patch(facecolor="#cfe3f2", label="the map"),
            Patch(facecolor="white", edgecolor="#888888", hatch="////", label="padding"),
            Patch(facecolor="white", edgecolor=INK, label="a window of 7 x 7 tokens"),
        ],
        loc="outside lower center",
        ncols=3,
    )
    show(
        figure,
        "The maps of every stage with their windows and their padding, for "
        + listing(
            f"{name} ({listing(f'{row[0]} × {row[1]}' for row in sizes)} tokens)"
            for name, sizes in rows.items()
        )
        + ".",
    )


def where_it_goes(names: list[str], shares: dict[str, list[float]]) -> None:
    """Shares of the model's parts, as pairs of bars.

    Args:
        names: of the parts.
        shares: what is shared to one share (0 to 1) for each part.
    """
    figure, ax = plt.subplots(figsize=(8.4, 3.1), layout="constrained")
    width = 0.38
    for number, ((name, values), colour, hatch) in enumerate(
        zip(shares.items(), (CALM, ACCENT), ("", "///"), strict=True)
    ):
        at = [i + (number - 0.5) * width for i in range(len(names))]
        bars = ax.bar(
            at, values, width, label=name, color=colour, hatch=hatch, edgecolor="white", linewidth=0
        )
        labels = [f"{value:.0%}" if value >= 0.005 else "<1%" for value in values]
        ax.bar_label(bars, labels=labels, fontsize=8.5, padding=2)
    ax.set(xticks=range(len(names)), xticklabels=names, ylabel="share of the whole model")
    in_percent(ax)
    ax.set_ylim(0, 1.12 * max(max(values) for values in shares.values()))
    ax.legend()
    show(
        figure,
        "Pairs of bars, the share of each part of the model: "
        + "; ".join(
            f"{name}, "
            f"{listing(f'{part} {value:.0%}' for part, value in zip(names, values, strict=True))}"
            for name, values in shares.items()
        )
        + ".",
    )


def pyramid(image: Tensor, maps: dict[str, Tensor]) -> None:
    """A picture and the strength of its feature maps.

    Args:
        image: (3, H, W) from 0 to 1.
        maps: title to (h, w).
    """
    H, W = image.shape[1:]
    figure, axes = panels(len(maps) + 1, width=1.95, height=1.95 * H / W + 0.55)
    show_image(axes[0], image.mean(0, keepdim=True).expand(3, -1, -1))
    titled(axes[0], f"the picture\n{H} x {W} pixels")
    for ax, (title, x) in zip(axes[1:], maps.items(), strict=True):
        ax.imshow(x, cmap="viridis", extent=(0, W, H, 0))
        titled(ax, title)
        bare(ax)
    bar = figure.colorbar(ax.images[0], ax=axes, location="bottom", shrink=0.35, aspect=30)
    bar.set_ticks(ax.images[0].get_clim(), labels=["like the mean token", "unlike it"])
    bar.ax.tick_params(length=0)
    show(
        figure,
        f"A grey picture of {H} × {W} pixels, and beside it {len(maps)} maps of how unlike the "
        f"mean token each token is: {listing(maps)}.",
    )


def attention_on_photograph(
    image: Tensor,
    maps: dict[str, Tensor],
    token: tuple[float, float],
    columns: int,
    crop: tuple[int, int, int, int] | None = None,
) -> None:
    """Where a token looked, laid on the photograph; what it could not see stays untinted.

    Args:
        image: (3, H, W) from 0 to 1.
        maps: title to (h, w) of weights, 0 outside the token's window.
        token: (y, x) of the asking token, in pixels.
        columns: panels in a row.
        crop: (top, bottom, left, right) of what to show, in pixels; None for all of it.
    """
    H, W = image.shape[1:]
    top, bottom, left, right = (0, H, 0, W) if crop is None else crop
    grey = 0.25 + 0.75 * image.mean(0)
    width = 8.4 / columns
    height = width * (bottom - top) / (right - left) + 0.35
    figure, axes = panels(columns, -(-len(maps) // columns), width=width, height=height)
    for ax in axes[len(maps) :]:
        ax.remove()
    for ax, (title, weights) in zip(axes, maps.items(), strict=False):
        h, w = weights.shape
        ax.imshow(grey, cmap="gray", vmin=0, vmax=1, extent=(0, W, H, 0))
        seen = weights.masked_fill(weights < 1e-12, float("nan"))
        shown = ax.imshow(seen, cmap="viridis", vmin=0, alpha=0.72, extent=(0, W, H, 0))
        i, j = int(token[0] * h / H), int(token[1] * w / W)
        frame(ax, j * W / w, i * H / h, W / w, H / h)
        ax.set(xlim=(left, right), ylim=(bottom, top))
        titled(ax, title)
        bare(ax)
    bar = figure.colorbar(shown, ax=axes[: len(maps)], location="bottom", shrink=0.3, aspect=30)
    bar.set_ticks(shown.get_clim(), labels=["weight 0", "the panel's largest"])
    bar.ax.tick_params(length=0)
    show(
        figure,
        "The photograph in grey with the attention of one framed token laid over it, in "
        f"{len(maps)} panels: {listing(maps)}.",
    )


def who_attends(
    reaches: dict[str, tuple[Tensor, list[int]]], token: tuple[int, int], columns: int
) -> None:
    """What one token can attend to in one block, for different local attentions.

    Args:
        reaches: title to a map (H, W) with 0 for no, 1 for yes, 2 for yes with the other heads,
            and the places along both axes where windows begin.
        token: (row, column) that asks.
        columns: panels in a row.
    """
    rows = -(-len(reaches) // columns)
    figure, axes = panels(columns, rows, width=2.6, height=3.1)
    colours = torch.tensor([to_rgb(PALE), tint(CALM, 0.75), tint(ACCENT, 0.75)])
    for ax, (title, (seen, walls)) in zip(axes, reaches.items(), strict=True):
        H, W = seen.shape
        ax.imshow(colours[seen.long()], extent=(0, W, H, 0))
        ax.hlines(range(1, H), 0, W, color="white", linewidth=0.8)
        ax.vlines(range(1, W), 0, H, color="white", linewidth=0.8)
        ax.hlines(walls, 0, W, color=INK, linewidth=1.3)
        ax.vlines(walls, 0, H, color=INK, linewidth=1.3)
        frame = {"fill": False, "edgecolor": INK, "linewidth": 1.3, "clip_on": False}
        ax.add_patch(Rectangle((0, 0), W, H, zorder=4, **frame))
        i, j = token
        ax.add_patch(Rectangle((j, i), 1, 1, facecolor="white", edgecolor=INK, lw=2.2, zorder=5))
        ax.text(j + 0.5, i + 0.55, "?", ha="center", va="center", fontsize=9, color=INK, zorder=6)
        titled(ax, title)
        bare(ax)
    show(
        figure,
        f"What the token at row {token[0]}, column {token[1]} can attend to in one block: "
        f"{listing(reaches)}.",
    )


def differences(depths: list[int], curves: dict[str, list[float]]) -> None:
    """How much the tokens of a map still differ after so many blocks.

    Args:
        depths: numbers of blocks.
        curves: name to one share (0 to 1) for each depth.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    for (name, shares), colour, style in zip(
        curves.items(), (CALM, ACCENT), ("o-", "s--"), strict=True
    ):
        ax.plot(depths, shares, style, color=colour, label=name)
    ax.set(
        xlabel="blocks",
        xticks=depths,
        ylim=(-0.03, 1.08),
        title="how much the tokens of a map differ from their mean",
    )
    in_percent(ax)
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.95))
    show(
        figure,
        f"How much the tokens of a map differ from their mean, after {depths[0]} to {depths[-1]} "
        "blocks: "
        + listing(f"{name}, {shares[-1]:.0%} at the end" for name, shares in curves.items())
        + ".",
    )
