"""Figures of lesson 10: rates by depth, arms compared, a bias table before and after."""

import matplotlib.pyplot as plt
from torch import Tensor

from swinlib.lab.showing import listing, show
from swinlib.lab.style import ACCENT, CALM, INK, bare, panels, titled


def rates(shares: dict[str, float]) -> None:
    """The learning rate of each part as a dot, from the pictures to the head; a log scale.

    Args:
        shares: part to its share of the configuration's rate.
    """
    figure, ax = plt.subplots(figsize=(7.4, 2.6), layout="constrained")
    ax.plot(list(shares), list(shares.values()), "o:", color=CALM, linewidth=1)
    for place, share in enumerate(shares.values()):
        ax.text(place, share * 1.2, f"{share:.2g}", ha="center", va="bottom", fontsize=9)
    ax.tick_params("x", labelsize=9)
    ax.set(yscale="log", ylabel="share of the rate", ylim=(None, 2.5 * max(shares.values())))
    told = listing(f"{' '.join(name.split())} {share:.2g}" for name, share in shares.items())
    show(figure, f"Dots, the learning rate from the pictures to the head: {told}.")


def arms(accuracies: dict[str, list[float]], chance: float) -> None:
    """Test accuracies of ways to train, a dot for each seed and a bar at their mean.

    Args:
        accuracies: way to the accuracies of its seeds, 0 to 1.
        chance: what guessing gives, 0 to 1.
    """
    figure, ax = plt.subplots(figsize=(7.4, 0.5 * len(accuracies) + 0.9), layout="constrained")
    for row, values in enumerate(accuracies.values()):
        mean = sum(values) / len(values)
        ax.barh(row, 100 * mean, color=CALM, alpha=0.25, height=0.6)
        ax.plot([100 * v for v in values], [row] * len(values), "o", color=ACCENT, markersize=5)
        ax.text(100 * max(values) + 2, row, f"{mean:.0%}", va="center", fontsize=9)
    ax.axvline(100 * chance, color=INK, linewidth=1, linestyle=":")
    ax.set_yticks(range(len(accuracies)), list(accuracies))
    ax.invert_yaxis()
    ax.set(xlim=(0, 105), xlabel="test accuracy in per cent; dotted: guessing")
    told = listing(
        f"{name} {', '.join(f'{value:.0%}' for value in values)}"
        for name, values in accuracies.items()
    )
    show(figure, f"Test accuracies, a number for each seed: {told}. Guessing gives {chance:.0%}.")


def tables(heads: dict[str, Tensor]) -> None:
    """Bias tables as pictures, side by side with one scale of colours.

    Args:
        heads: title to ``(2M - 1, 2M - 1)``, the biases of one head by offset.
    """
    figure, axes = panels(len(heads), width=2.6)
    reach = max(float(table.abs().max()) for table in heads.values())
    for ax, (title, table) in zip(axes, heads.items(), strict=True):
        shown = ax.imshow(table, cmap="PuOr", vmin=-reach, vmax=reach)
        titled(ax, title)
        bare(ax)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="bias")
    told = listing(
        f"{title}, {len(table)} x {len(table)} offsets" for title, table in heads.items()
    )
    show(
        figure, f"Bias tables as pictures: {told}. The same shape on grids of different resolution."
    )


def looked_at(rows: dict[str, tuple[Tensor, dict[str, Tensor]]]) -> None:
    """Pictures, and which of their tokens are looked at more than others.

    Args:
        rows: what stands at the left to the picture ``(3, H, W)`` of uint8 and title to ``(h, w)``,
            as `AttentionRecord.received` gives it, mean over heads: 1 is an even share.
    """
    columns = 1 + max(len(maps) for _, maps in rows.values())
    figure, axes = panels(columns, len(rows), width=1.7, height=1.85)
    for number, (name, (image, maps)) in enumerate(rows.items()):
        own = axes[number * columns : (number + 1) * columns]
        own[0].imshow(image.permute(1, 2, 0))
        own[0].set_ylabel(name, fontsize=9)
        for ax, (title, seen) in zip(own[1:], maps.items(), strict=True):
            shown = ax.imshow(seen, cmap="viridis", vmin=0, vmax=2)
            if number == 0:
                titled(ax, title)
        for ax in own:
            bare(ax)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="in even shares")
    show(
        figure,
        f"{listing(rows)}: a picture, and how much each of its tokens is looked at in "
        f"{columns - 1} blocks.",
    )
