"""Figures of lesson 11: mosaics and their answers, the sums of a pyramid, IoU, mosaics by place."""

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


def ious(scores: dict[str, Tensor], class_names: tuple[str, ...]) -> None:
    """IoU class by class: a bar for the mean of the seeds, a dot for each.

    Args:
        scores: a title to ``(seeds, K)``.
        class_names: K of them.
    """
    figure, ax = plt.subplots(figsize=(8.4, 3.2), layout="constrained")
    wide, places = 0.8 / len(scores), torch.arange(len(class_names))
    for number, (title, found) in enumerate(scores.items()):
        at = (places + (number - (len(scores) - 1) / 2) * wide).tolist()
        colour = (CALM, REGION_COLOURS[1], REGION_COLOURS[7])[number % 3]
        ax.bar(at, found.mean(0), wide, color=colour, edgecolor="white", label=title)
        for seed in found:
            ax.plot(at, seed, ".", color=INK, markersize=4)
    ax.set_xticks(places.tolist(), class_names, rotation=30, ha="right", fontsize=8.5)
    ax.set(ylim=(0, 1), ylabel="intersection over union")
    ax.legend(loc="upper left", ncols=len(scores), fontsize=8.5)
    means = {title: found.mean().item() for title, found in scores.items()}
    show(
        figure,
        "Bars, intersection over union of every class; the mean of the classes is "
        + listing(f"{mean:.2f} for {title}" for title, mean in means.items())
        + ".",
    )


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
