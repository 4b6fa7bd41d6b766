"""Figures of lesson 08: pictures, the schedule, curves, recipes compared, attention maps."""

from collections.abc import Iterable
from statistics import fmean, variance

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle
from torch import Tensor

from swinlib.lab.photograph import show_image
from swinlib.lab.showing import PAPER, listing, show
from swinlib.lab.style import ACCENT, CALM, INK, REGION_COLOURS, in_percent, panels, titled
from swinlib.training.runs import RecordedRun


def banner(text: str) -> None:
    """A line that nobody overlooks, on a coloured box."""
    figure, ax = plt.subplots(figsize=(8.2, 0.75))
    ax.set_position((0, 0, 1, 1))
    ax.add_patch(Rectangle((0, 0), 1, 1, facecolor=ACCENT, transform=ax.transAxes))
    ax.text(0.5, 0.47, text, ha="center", va="center", color="white", size=21, weight="bold")
    ax.axis("off")
    show(figure, f"In white on orange: {text}")


def picture_grid(images: Tensor, titles: list[str]) -> None:
    """Small pictures in rows, each under its title.

    Args:
        images: (N, 3, H, W) uint8.
        titles: N of them.
    """
    columns, width = 10, 0.95  # inches
    rows = -(-len(images) // columns)
    lines = max(title.count("\n") + 1 for title in titles)
    height = width + 0.17 * lines + 0.05
    figure, axes = panels(columns, rows, width=width, height=height)
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, images, titles, strict=False):
        show_image(ax, image.cpu().float() / 255)
        ax.set_title(title, fontsize=7.5, loc="center", pad=2)
    show(
        figure,
        f"{len(images)} small pictures in rows of {columns}, each under its title: "
        f"{listing(dict.fromkeys(titles))}.",
    )


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
    epochs = [step / per_epoch for step in range(1, len(rates) + 1)]  # behind each step
    ax.plot(epochs, rates, color=CALM)
    ax.axvline(warmup_epochs, color=INK, linewidth=1, linestyle=":")
    ax.text(warmup_epochs, max(rates) * 0.06, "  the warm-up ends", fontsize=9)
    ax.set(xlabel="epoch", ylabel="learning rate", ylim=0, title=title)
    show(
        figure,
        f"The learning rate over {epochs[-1]:.0f} epochs: {title}. It peaks at {max(rates):.3g}, "
        f"where the warm-up ends, after {warmup_epochs:g} epochs.",
    )


def rate_sweep(losses: dict[float, float], chosen: float) -> None:
    """The loss that each of several learning rates ends in.

    Args:
        losses: learning rate to mean loss.
        chosen: a rate to mark.
    """
    figure, ax = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    ax.plot(list(losses), list(losses.values()), "o-", color=CALM, markersize=5)
    ax.axvline(chosen, color=INK, linewidth=1, linestyle=":")
    ax.text(chosen, max(losses.values()), "  this preset's peak", fontsize=9, va="top")
    ax.set(xscale="log", xlabel="learning rate, constant", ylabel="mean loss of the epoch")
    ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    show(
        figure,
        "The mean loss of an epoch for each of several learning rates; a dotted line marks the "
        f"rate {chosen:g}.",
    )


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
            if kind == "accuracy":
                in_percent(ax)
            ax.set_ylim(0, 1 if kind == "accuracy" else None)
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
        axes[2 * row].legend(fontsize=8)
    show(figure, f"Loss and accuracy over the epochs, in training and validation: {listing(runs)}.")


def accuracy_by(measure: str, groups: dict[str, list[list[dict]]]) -> None:
    """Validation accuracy after every epoch: a colour and a mark for each group of runs.

    Args:
        measure: what lies on the horizontal axis, "epoch" or "seconds" (drawn as minutes).
        groups: title to the histories of its runs, as `train` returns them; up to six.
    """
    figure, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
    colours = (CALM, ACCENT, INK, REGION_COLOURS[2], REGION_COLOURS[5], REGION_COLOURS[6])
    looks = tuple(zip(colours, ("o-", "s--", "^:", "v-", "D--", "x:"), strict=True))
    for (title, histories), (colour, look) in zip(groups.items(), looks, strict=False):
        for number, history in enumerate(histories):
            unit = 60 if measure == "seconds" else 1
            where = [entry[measure] / unit for entry in history]
            accuracies = [entry["val_accuracy"] for entry in history]
            label = title if number == 0 else None
            ax.plot(where, accuracies, look, color=colour, markersize=4, linewidth=1.5, label=label)
    name = "minutes, measuring included" if measure == "seconds" else "epoch"
    ax.set(xlabel=name, ylabel="validation accuracy")
    in_percent(ax)
    ax.set_xlim(0 if measure == "seconds" else None)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(axis="y", color="#e3e3e3", linewidth=0.8)
    ax.legend(fontsize=9, loc="lower right")
    show(figure, f"Validation accuracy against the {measure}: {listing(groups)}.")


def validation_accuracy(run: RecordedRun) -> float:
    """The best epoch's, 0 to 1: what recipes are compared by, so that the test is left alone."""
    return run.history[run.best_epoch - 1]["val_accuracy"]


def seed_spread(groups: Iterable[list[RecordedRun]]) -> float:
    """How far validation accuracies of one recipe lie apart: their pooled standard deviation.

    Args:
        groups: runs that differ in their seeds alone, a list for each recipe. Lists of one run say
            nothing about it.

    Raises:
        ValueError: no recipe has two runs.
    """
    several = [[validation_accuracy(run) for run in runs] for runs in groups if len(runs) > 1]
    if not several:
        raise ValueError("the spread over seeds needs a recipe with at least two runs")
    squares = sum(variance(values) * (len(values) - 1) for values in several)
    return (squares / sum(len(values) - 1 for values in several)) ** 0.5


def compare_recipes(
    groups: dict[str, list[RecordedRun]], whole: str, spread: float | None = None
) -> dict[str, tuple[float, float]]:
    """Validation accuracies of recipes: a dot for each run, a bar at their mean.

    Args:
        groups: recipe to its runs, one or several.
        whole: the recipe that the others are compared with; a line goes through its mean.
        spread: over seeds, for the error of a difference; default `seed_spread` of these groups.

    Returns:
        Each other recipe's difference from the whole and its standard error, in points.
    """
    spread = seed_spread(groups.values()) if spread is None else spread
    values = {
        name: [100 * validation_accuracy(run) for run in runs] for name, runs in groups.items()
    }
    mean = fmean(values[whole])
    figure, ax = plt.subplots(figsize=(8.2, 0.45 * len(groups) + 0.9), layout="constrained")
    ax.axvline(mean, color=INK, linewidth=1, linestyle=":")
    differences = {}
    for row, (name, own) in enumerate(values.items()):
        colour = CALM if name == whole else ACCENT
        ax.plot(own, [row] * len(own), "o", color=colour, markersize=6)
        ax.plot([fmean(own)], [row], "|", color=INK, markersize=18, markeredgewidth=2)
        text = f"{fmean(own):.1f}"
        if name != whole:
            error = 100 * spread * (1 / len(own) + 1 / len(values[whole])) ** 0.5
            differences[name] = fmean(own) - mean, error
            text += f"  ({differences[name][0]:+.1f} ± {error:.1f})"
        ax.annotate(text, (max(own), row), (8, 0), textcoords="offset points",
                    va="center", fontsize=9,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    seeds = ["1 seed" if len(own) == 1 else f"{len(own)} seeds" for own in values.values()]
    names = [f"{name}, {count}" for name, count in zip(values, seeds, strict=True)]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.margins(x=0.22)
    ax.set_xlabel(f"validation accuracy in per cent; in brackets against “{whole}”")
    show(
        figure,
        "Validation accuracies of recipes, a dot for each run: "
        + listing(f"{name}, {fmean(own):.1f} %" for name, own in values.items())
        + ".",
    )
    return differences


def bias_tables(tables: dict[str, Tensor]) -> None:
    """Learned relative position biases, a row for each block and a panel for each head.

    Args:
        tables: block to (heads, 2M-1, 2M-1), by query minus key as in the model. They are drawn the
            other way round: where a key stands, seen from the query in the middle.
    """
    rows, columns = len(tables), max(len(table) for table in tables.values())
    figure, axes = panels(columns, rows, width=9.6 / columns, height=9.6 / columns + 0.25)
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
            ax.set_title(f"head {head}", fontsize=8)
        ax = axes[row * columns]
        words = name.replace(", ", "\n")
        ax.text(-0.12, 0.5, words, transform=ax.transAxes, rotation=90, ha="right", va="center",
                fontsize=8)  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.6, label="bias, added to the score")
    show(
        figure,
        "Learned bias tables, purple for more and orange for less, a panel for each head: "
        f"{listing(tables)}.",
    )


def confusion(matrix: Tensor, names: tuple[str, ...]) -> None:
    """The confusion matrix, each row as shares of that class.

    Args:
        matrix: (classes, classes) of counts; row: what it is, column: what it was taken for.
        names: of the classes.
    """
    shares = matrix.double() / matrix.sum(1, keepdim=True).clamp(min=1)
    figure, ax = plt.subplots(figsize=(6.2, 5.4), layout="constrained")
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for i in range(len(names)):
        for j in range(len(names)):
            percent = round(100 * shares[i, j].item())
            if percent:
                colour = "white" if percent < 55 else INK
                ax.text(j, i, percent, ha="center", va="center", color=colour, size=8)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xlabel="taken for", ylabel="is", title="of each class, per cent taken for …")
    ax.tick_params(length=0)
    show(
        figure,
        f"A table of {len(names)} × {len(names)} classes: what each picture is, down, and what it "
        "was taken for, across, in per cent of the class. Correctly named: "
        + listing(f"{name} {shares[i, i]:.0%}" for i, name in enumerate(names))
        + ".",
    )


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
            titled(ax, title)
            for colour, size, line in (("white", 12, 4.5), (ACCENT, 10, 2)):
                ax.plot(query[1], query[0], "+", color=colour, ms=size, markeredgewidth=line)
        if names:
            own[0].set_ylabel(names[number], fontsize=9)
        if scores:
            _score_bars(own[-1], scores[number])
    show(
        figure,
        f"{len(rows)} picture{'s' * (len(rows) > 1)} with one place marked, and maps of where "
        f"that place looks: {listing(rows[0][2])}.",
    )


def _score_bars(ax, scores: dict[str, float]) -> None:
    """Class scores as bars, each with its name and per cent written on it."""
    places = range(len(scores))
    ax.barh(places, list(scores.values()), color=CALM, alpha=0.35, height=0.8)
    for place, (name, score) in zip(places, scores.items(), strict=True):
        ax.text(0.03, place, f"{name} {score:.0%}", va="center", fontsize=8)
    ax.set(xlim=(0, 1), ylim=(len(scores) - 0.4, -0.6), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_box_aspect(1)
