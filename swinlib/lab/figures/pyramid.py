"""Figures of lesson 11: mosaics and their answers, the sums of a pyramid, what heads know."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.mosaics import JOBS, SHARES
from swinlib.lab.photograph import show_image
from swinlib.lab.showing import listing, show
from swinlib.lab.style import (
    ACCENT,
    CALM,
    INK,
    PALE,
    REGION_COLOURS,
    bare,
    in_percent,
    panels,
    titled,
)


def mosaics(canvases: Tensor, answers: dict[str, Tensor], class_names: tuple[str, ...]) -> None:
    """Canvases in the first row, and a row of maps below them for each of the answers.

    Args:
        canvases: ``(B, 3, H, W)`` of uint8.
        answers: a title to ``(B, h, w)`` of classes, the background after the last of them.
        class_names: at most ten, without the background. Only those that occur are in the legend.
    """
    B, rows = len(canvases), 1 + len(answers)
    figure, axes = panels(B, rows, width=1.75, height=1.9)
    colours = [*(*REGION_COLOURS, INK)[: len(class_names)], PALE]
    for ax, canvas in zip(axes[:B], canvases, strict=True):
        show_image(ax, canvas.float() / 255)
    for row, (title, maps) in enumerate(answers.items(), 1):
        for ax, classes in zip(axes[row * B : (row + 1) * B], maps, strict=True):
            ax.imshow(classes, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5)
            bare(ax)
        titled(axes[row * B], title)
    titled(axes[0], "canvases")
    occurring = sorted(set(torch.cat([m.flatten() for m in answers.values()]).tolist()))
    names = [*class_names, "background"]
    patches = [Patch(facecolor=colours[c], edgecolor=INK, label=names[c]) for c in occurring]
    figure.legend(handles=patches, loc="outside lower center", ncols=6, fontsize=8)
    show(
        figure,
        f"{B} canvases of pictures at random places; below each a map of the classes of its "
        f"tokens, {listing(answers)}. Occurring: {listing(names[c] for c in occurring)}.",
    )


def sums(steps: dict[str, Tensor]) -> None:
    """Grids of numbers side by side, each under its title.

    Args:
        steps: a title to ``(h, w)``, integers.
    """
    figure, axes = panels(len(steps), width=2.0)
    for ax, (title, numbers) in zip(axes, steps.items(), strict=True):
        draw_grid(ax, numbers.tolist(), shades=numbers, vmin=0, vmax=60, title=title)
    show(
        figure,
        "Grids of numbers: "
        + "; ".join(f"{title}, {numbers.tolist()}" for title, numbers in steps.items())
        + ".",
    )


def shares(measured: dict[str, dict[str, float]]) -> None:
    """A panel for each measure, in it a bar for each head.

    Args:
        measured: a panel's title to shares by the heads' names, the same in every panel.
    """
    figure, axes = panels(len(measured), width=4.4, height=2.0)
    for ax, (title, found) in zip(axes, measured.items(), strict=True):
        names, numbers = list(found), list(found.values())
        bars = ax.barh(names, numbers, color=(CALM, REGION_COLOURS[1], REGION_COLOURS[7]))
        ax.bar_label(bars, [f"{share:.0%}" for share in numbers], padding=3, fontsize=9)
        ax.set(xlim=(0, 1.12), xticks=[])
        ax.invert_yaxis()
        ax.spines["bottom"].set_visible(False)
        titled(ax, title)
    for ax in axes[1:]:
        ax.set_yticks([])
    told = [
        f"{title}: " + listing(f"{share:.0%} for {name}" for name, share in found.items())
        for title, found in measured.items()
    ]
    show(figure, f"Bars. {'. '.join(told)}.")


def by_share(entries: dict[str, list[dict]]) -> None:
    """Share of tokens right, by how much of its picture a token's own window of stage 2 holds.

    Args:
        entries: from `mosaics.read_recorded`, of at most five jobs; each job's line is the mean of
            its seeds, the bars on it reach from the lowest to the highest of them.
    """
    figure, ax = plt.subplots(figsize=(7.2, 3.4), layout="constrained")
    colours = (INK, ACCENT, CALM, REGION_COLOURS[2], REGION_COLOURS[4])
    said = []
    for (name, seeds), colour, mark in zip(entries.items(), colours, "os^Dv", strict=False):
        title = JOBS[name].title
        rows = torch.stack([e["right_by_share"] / e["shown_by_share"] for e in seeds])
        mean = rows.mean(0)
        ax.plot(mean, mark + "-", color=colour, label=title)
        ax.vlines(range(SHARES), rows.amin(0), rows.amax(0), color=colour, linewidth=4, alpha=0.4)
        said.append(f"{title} from {mean[0]:.0%} to {mean[-1]:.0%}")
    ax.set_xticks(range(SHARES), ["up to a quarter", "to a half", "to three quarters", "to all"])
    ax.set(xlabel="so much of its picture is in a token's window", ylabel="tokens right")
    in_percent(ax)
    ax.legend(fontsize=8.5)
    show(figure, f"Share of tokens right by how much of their picture they see: {'; '.join(said)}.")
