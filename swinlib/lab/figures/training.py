"""Figures of lesson 08: pictures, the schedule, curves, the confusion matrix, attention maps."""

import matplotlib.pyplot as plt
from torch import Tensor

from swinlib.lab.pictures import show_image
from swinlib.lab.style import ACCENT, CALM, INK, panels


def picture_grid(images: Tensor, titles: list[str], columns: int = 10, width: float = 0.95) -> None:
    """Small pictures in rows, each under its title.

    Args:
        images: (N, 3, H, W) uint8.
        titles: N of them.
        columns: pictures in a row.
        width: of one picture, in inches.
    """
    rows = -(-len(images) // columns)
    lines = max(title.count("\n") + 1 for title in titles)
    height = width + 0.17 * lines + 0.05
    figure, axes = panels(columns, rows, width=width, height=height)
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, images, titles, strict=False):
        show_image(ax, image.cpu().float() / 255)
        ax.set_title(title, fontsize=7.5, loc="center", pad=2)
    plt.show()


def schedule(
    rates: list[float],
    per_epoch: int,
    warmup_epochs: float,
    title: str = "warm-up, then half a cosine",
) -> None:
    """The learning rate at every step.

    Args:
        rates: one for each step.
        per_epoch: steps in an epoch.
        warmup_epochs: where the warm-up ends.
        title: above the curve.
    """
    figure, ax = plt.subplots(figsize=(7, 2.3), layout="constrained")
    epochs = [step / per_epoch for step in range(len(rates))]
    ax.plot(epochs, rates, color=CALM)
    ax.axvline(warmup_epochs, color=INK, linewidth=1, linestyle=":")
    ax.text(warmup_epochs, max(rates) * 0.06, "  the warm-up ends", fontsize=9)
    ax.set(xlabel="epoch", ylabel="learning rate", ylim=0, title=title)
    plt.show()


def curves(runs: dict[str, list[dict]]) -> None:
    """Loss and accuracy of every epoch, training and validation.

    Args:
        runs: title to history, as `train` returns it; one row of panels for each.
    """
    figure, axes = panels(2, len(runs), width=4.4, height=2.7)
    for row, (title, history) in enumerate(runs.items()):
        epochs = [entry["epoch"] for entry in history]
        for ax, kind in zip(axes[2 * row : 2 * row + 2], ("loss", "accuracy"), strict=True):
            for split, colour, look, name in (
                ("train", CALM, "o-", "training, augmented"),
                ("val", ACCENT, "s--", "validation"),
            ):
                values = [entry[f"{split}_{kind}"] for entry in history]
                ax.plot(epochs, values, look, color=colour, label=name, markersize=4)
            ax.set(xlabel="epoch", ylabel=kind, title=title if kind == "loss" else "")
            ax.set_ylim(0, 1 if kind == "accuracy" else None)
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes[2 * row].legend(fontsize=8)
    plt.show()


def accuracy_by(measure: str, groups: dict[str, list[list[dict]]]) -> None:
    """Validation accuracy after every epoch: a colour and a mark for each group of runs.

    Args:
        measure: what lies on the horizontal axis, "epoch" or "seconds" (drawn as minutes).
        groups: title to the histories of its runs, as `train` returns them.
    """
    figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    looks = ((CALM, "o-"), (ACCENT, "s--"), (INK, "^:"))
    for (title, histories), (colour, look) in zip(groups.items(), looks, strict=False):
        for number, history in enumerate(histories):
            unit = 60 if measure == "seconds" else 1
            where = [entry[measure] / unit for entry in history]
            accuracies = [entry["val_accuracy"] for entry in history]
            label = title if number == 0 else None
            ax.plot(where, accuracies, look, color=colour, markersize=4, linewidth=1.5, label=label)
    name = "minutes, measuring included" if measure == "seconds" else "epoch"
    ax.set(xlabel=name, ylabel="validation accuracy")
    ax.set_xlim(0 if measure == "seconds" else None)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    ax.legend(fontsize=9, loc="lower right")
    plt.show()


def ablation(results: dict[str, list[float]], whole: str) -> None:
    """Test accuracies of variants: a dot for each seed, a bar at their mean.

    Args:
        results: variant to accuracies from 0 to 1.
        whole: the variant that the others are compared with; a line goes through its mean.
    """
    figure, ax = plt.subplots(figsize=(7.5, 0.45 * len(results) + 0.9), layout="constrained")
    means = {name: sum(values) / len(values) for name, values in results.items()}
    ax.axvline(100 * means[whole], color=INK, linewidth=1, linestyle=":")
    for row, (name, values) in enumerate(results.items()):
        colour = CALM if name == whole else ACCENT
        ax.plot([100 * v for v in values], [row] * len(values), "o", color=colour, markersize=6)
        ax.plot([100 * means[name]], [row], "|", color=INK, markersize=18, markeredgewidth=2)
        off = 100 * (means[name] - means[whole])
        text = f"{100 * means[name]:.1f}" + ("" if name == whole else f"  ({off:+.1f})")
        ax.annotate(text, (100 * max(values), row), (8, 0), textcoords="offset points",
                    va="center", fontsize=9,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})  # fmt: skip
    ax.set_yticks(range(len(results)), results)
    ax.invert_yaxis()
    ax.margins(x=0.18, y=0.1)
    ax.set_xlabel("test accuracy in per cent, one dot for each seed; in brackets against the whole")
    plt.show()


def bias_tables(tables: dict[str, Tensor]) -> None:
    """Learned relative position biases, a row for each block and a panel for each head.

    Args:
        tables: block to (heads, 2M-1, 2M-1), by query minus key as in the model. They are drawn the
            other way round: where a key stands, seen from the query in the middle.
    """
    rows, columns = len(tables), max(len(table) for table in tables.values())
    figure, axes = panels(columns, rows, width=9.6 / columns, height=9.6 / columns + 0.35)
    reach = max(float(table.abs().max()) for table in tables.values())
    for ax in axes:
        ax.axis("off")
    for row, (name, heads) in enumerate(tables.items()):
        for head, table in enumerate(heads):
            ax = axes[row * columns + head]
            M = (len(table) + 1) // 2
            image = ax.imshow(table.flip(0, 1), cmap="PuOr", vmin=-reach, vmax=reach,
                              extent=(-M + 0.5, M - 0.5, M - 0.5, -M + 0.5))  # fmt: skip
            ax.plot(0, 0, "+", color=INK, markersize=7)
            ax.set_title(f"{'' if head else name}\nhead {head + 1}", fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.6, label="bias, added to the score")
    plt.show()


def confusion(matrix: Tensor, names: tuple[str, ...], title: str = "") -> None:
    """The confusion matrix, each row as shares of that class.

    Args:
        matrix: (classes, classes) of counts; row: what it is, column: what it was taken for.
        names: of the classes.
        title: above it.
    """
    shares = matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)
    figure, ax = plt.subplots(figsize=(6.2, 5.4), layout="constrained")
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            share = shares[i, j].item()
            if share >= 0.005:
                colour = "white" if share < 0.55 else INK
                ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=colour, size=8)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xlabel="taken for", ylabel="is", title=title or "of each class, per cent taken for …")
    ax.tick_params(length=0)
    plt.show()


def attention_maps(
    rows: list[tuple[Tensor, tuple[int, int], dict[str, Tensor]]],
    names: tuple[str, ...] = (),
    scores: tuple[dict[str, float], ...] = (),
) -> None:
    """Pictures, and where one place of each looks in every block.

    Args:
        rows: for each picture the (3, H, W) of uint8; the (row, column) of the place, in pixels,
            marked in every panel; and title to (h, w), the attention weights of that place, mean
            over heads.
        names: what stands at the left of each row.
        scores: for each row class to probability, drawn as bars at its right, in this order.
    """
    columns = 1 + len(rows[0][2]) + bool(scores)
    side = min(1.9, 9.5 / columns)
    figure, axes = panels(columns, len(rows), width=side, height=side + 0.4 / len(rows))
    for number, (image, query, maps) in enumerate(rows):
        H, W = image.shape[-2:]
        own = axes[number * columns : (number + 1) * columns]
        pictures = own[: 1 + len(maps)]
        picture = image.cpu().float() / 255
        show_image(own[0], picture)
        titles = ["the picture", *maps] if number == 0 else [""] * len(pictures)
        for ax, weights in zip(pictures[1:], maps.values(), strict=True):
            show_image(ax, picture.mean(0, keepdim=True).expand(3, -1, -1))
            ax.imshow(
                weights / weights.max().clamp(min=1e-9),
                cmap="viridis",
                extent=(-0.5, W - 0.5, H - 0.5, -0.5),
                alpha=0.75,
                vmin=0,
                vmax=1,
            )
        for ax, title in zip(pictures, titles, strict=True):
            ax.set_title(title, fontsize=8.5)
            ax.plot(query[1], query[0], "+", color=ACCENT, markersize=9, markeredgewidth=2)
        if names:
            own[0].set_ylabel(names[number], fontsize=9)
        if scores:
            _score_bars(own[-1], scores[number])
    plt.show()


def _score_bars(ax, scores: dict[str, float]) -> None:
    """Class scores as bars, each with its name and per cent written on it."""
    places = range(len(scores))
    ax.barh(places, list(scores.values()), color=CALM, alpha=0.35, height=0.8)
    for place, (name, score) in zip(places, scores.items(), strict=True):
        ax.text(0.03, place, f"{name} {score:.0%}", va="center", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(scores) - 0.4, -0.6), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_box_aspect(1)
