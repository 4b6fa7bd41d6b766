"""Figures of lesson 02: queries and keys, attention step by step, heads, maps over a picture."""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.photograph import show_image
from swinlib.lab.showing import listing, show
from swinlib.lab.style import ACCENT, CALM, INK, bare, frame, marked, panels, titled


def arrows(queries: list[list[float]], keys: list[list[float]]) -> None:
    """Queries and keys of two numbers as arrows from one point.

    Args:
        queries, keys: N pairs each; token i's are labelled q i and k i.
    """
    figure, axes = panels(1, width=4.2, height=3.6)
    ax = axes[0]
    for name, vectors, colour in (("q", queries, CALM), ("k", keys, ACCENT)):
        for i, (across, up) in enumerate(vectors):
            ax.annotate(
                "",
                (across, up),
                (0, 0),
                arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.2, "shrinkA": 0},
            )
            away = 1 + (0.25 + 0.2 * (up == 0)) / (across**2 + up**2) ** 0.5  # beyond the tip
            text = f"{'query' if name == 'q' else 'key'} {i}"
            ax.text(across * away, up * away, text, color=colour, ha="center", va="center")
    numbers = torch.tensor([*queries, *keys, [0.0, 0.0]])
    (left, bottom), (right, top) = numbers.amin(0) - 0.6, numbers.amax(0) + 0.6
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.set(xticks=range(int(left), int(right) + 1), yticks=range(int(bottom), int(top) + 1))
    ax.set(xlabel="first number", ylabel="second number")
    ax.grid(color="#e5e5e5", lw=0.8)
    ax.set_axisbelow(True)
    show(
        figure,
        f"The plane with {len(queries)} queries in blue and {len(keys)} keys in orange, as arrows "
        f"from one point: queries {listing(map(tuple, queries))}, keys "
        f"{listing(map(tuple, keys))}.",
    )


def steps(q: Tensor, k: Tensor, scores: Tensor, weights: Tensor, v: Tensor, out: Tensor) -> None:
    """Attention as a row of tables, the way of the first token framed.

    Args:
        q, k, v: (N, d).
        scores, weights: (N, N), before and after scaling and softmax.
        out: (N, d).
    """
    N, d = q.shape
    cell, gap = 0.37, 0.30  # inches
    tables = [
        ("queries", q, "@"),
        ("keys, transposed", k.T, "="),
        ("scores", scores, f"÷√{d}\nsoftmax\n→"),
        ("weights", weights, "@"),
        ("values", v, "="),
        ("output", out, ""),
    ]
    gaps = [gap, gap, 2.2 * gap, gap, gap, 0]
    left, bottom = 0.75, 0.2
    width = left + sum(t.shape[1] * cell for _, t, _ in tables) + sum(gaps) + 0.15
    height = bottom + N * cell + 0.75
    figure = plt.figure(figsize=(width, height))
    for (title, table, sign), space in zip(tables, gaps, strict=True):
        rows, columns = table.shape
        y = bottom + (N - rows) * cell / 2
        box = (left / width, y / height, columns * cell / width, rows * cell / height)
        ax = figure.add_axes(box)
        shades = {"shades": table, "cmap": "Blues", "vmin": 0, "vmax": 1.3}
        draw_grid(ax, table, fontsize=9, **(shades if title == "weights" else {}))
        ax.set_title(f"{title}\n{rows} × {columns}", fontsize=8.5, loc="center", pad=5)
        if rows == N and title != "values":
            ax.add_patch(
                Rectangle((0, 0), columns, 1, fill=False, ec=ACCENT, lw=3, zorder=5, clip_on=False)
            )
        if title == "queries":
            ax.set_yticks(torch.arange(N) + 0.5, [f"token {i}" for i in range(N)], fontsize=8.5)
            ax.tick_params(length=0)
        if title in ("scores", "weights"):  # who looks, and who is looked at
            ax.set_xticks(torch.arange(N) + 0.5, range(N), fontsize=8)
            ax.tick_params(length=0, pad=2)
        left += columns * cell
        middle = (bottom + N * cell / 2) / height
        figure.text(
            (left + space / 2) / width,
            middle,
            sign,
            ha="center",
            va="center",
            fontsize=10 if "softmax" in sign else 13,
        )
        left += space
    show(
        figure,
        f"Tables in a row: queries, {N} × {d}, times keys, transposed, are the scores, {N} × {N}; "
        f"divided by √{d}, a softmax makes them weights; weights times values are the output, {N} "
        f"× {d}. The way of token 0 is framed.",
    )


def softmax_rows(rows: dict[int, tuple[Tensor, Tensor]]) -> None:
    """The attention of one query, its weights from the largest to the smallest.

    Args:
        rows: the number d of numbers in a query to (not divided, divided by √d), each (N,).
    """
    figure, axes = panels(len(rows), width=9.4 / len(rows), height=2.7)
    for ax, (d, (plain, scaled)) in zip(axes, rows.items(), strict=True):
        N = len(plain)
        places = torch.arange(1, N + 1)
        ax.bar(places, plain.sort(descending=True).values, color=CALM, width=0.85)
        ax.plot(places, scaled.sort(descending=True).values, "o-", color=ACCENT, ms=3, lw=1.5)
        ax.axhline(1 / N, color=INK, lw=1, ls=":")
        ax.set(title=f"d = {d}", ylim=(0, 1.04), xlim=(0, N + 1), xlabel="keys, by their weight")
        ax.tick_params(labelleft=ax is axes[0])
    axes[0].set_ylabel("weight")
    axes[0].legend(
        [axes[0].lines[0], axes[0].containers[0], axes[0].lines[1]],
        ["divided by √d", "not divided", f"all {N} alike"],
        fontsize=9,
    )
    show(
        figure,
        f"The {N} weights of one query from the largest to the smallest, not divided as bars and "
        "divided by √d as dots: "
        + "; ".join(
            f"for d = {d} the largest is {a.max():.2f} and {b.max():.2f}"
            for d, (a, b) in rows.items()
        )
        + ".",
    )


def split_heads(before: Tensor, after: Tensor, heads: list[str]) -> None:
    """Where `view` and `permute` put every number of the joint projection.

    Args:
        before: (N, 3*C), one row for each token.
        after: (3, heads, N, head_dim).
        heads: names of the heads.
    """
    three, H, N, d = after.shape
    figure = plt.figure(figsize=(8.4, 4.1), layout="constrained")
    top, below = figure.subfigures(2, 1)
    ax = top.subplots()
    of_head = (torch.arange(3 * H * d) // d % H).expand(N, -1)
    cuts = range(H * d, 3 * H * d, H * d)
    draw_grid(ax, before, regions=of_head, column_cuts=cuts, fontsize=10)
    ax.set_title("before: a row for each token", fontsize=10)
    tokens = [f"token {i}" for i in range(N)]
    ax.set_yticks(torch.arange(N) + 0.5, tokens, fontsize=9)
    parts = [f"{letter}, {head}" for letter in "qkv" for head in heads]
    ax.set_xticks((torch.arange(3 * H) + 0.5) * d, parts, fontsize=9)
    ax.tick_params(length=0)
    axes = below.subplots(1, 3 * H)
    below.suptitle(
        "after: a table for each of q, k, v and each head", fontsize=10, x=0.02, ha="left"
    )
    for number, ax in enumerate(axes):
        what, head = divmod(number, H)
        draw_grid(ax, after[what, head], regions=torch.full((N, d), head), fontsize=10)
        ax.set_title(f"{'qkv'[what]}, {heads[head]}", fontsize=10, loc="center")
    show(
        figure,
        f"Above, a table of {N} tokens by {3 * H * d} numbers, coloured by head; below, the "
        f"{3 * H} tables of {N} × {d} that view and permute make of it, one for each of q, k and "
        "v and each head.",
    )


def maps(image: Tensor, queries: list[tuple[int, int]], patch: int, heads: dict) -> None:
    """Who a patch attends to: a row for each query, a column for each head.

    A panel's colours run from 0 to its largest weight, which its title gives as a multiple of the
    even share 1/N; to 3/N at least, so that noise does not look like something.

    Args:
        image: (3, H, W) from 0 to 1.
        queries: places (row, column) on the grid of patches.
        patch: P, in pixels.
        heads: name to weights (N, h, w), for every query patch a map over the grid.
    """
    columns = 1 + len(heads)
    height = 9.6 / columns * image.shape[1] / image.shape[2] + 0.35
    figure, axes = panels(columns, len(queries), width=9.6 / columns, height=height)
    for row, (i, j) in enumerate(queries):
        ax, *others = axes[row * columns : (row + 1) * columns]
        show_image(ax, image)
        titled(ax, "the query patch")
        side = 1.6 * patch
        frame(ax, (j - 0.3) * patch - 0.5, (i - 0.3) * patch - 0.5, side, side)
        for ax, (name, weights) in zip(others, heads.items(), strict=True):
            h, w = weights.shape[-2:]
            attended = weights[i * w + j]
            most = attended.max().item() * h * w
            ax.imshow(
                attended * h * w, cmap="viridis", vmin=0, vmax=max(most, 3), extent=(0, w, h, 0)
            )
            frame(ax, j - 0.3, i - 0.3, 1.6, 1.6)
            bare(ax)
            titled(ax, f"{name}\nlargest {most:.1f} / N")
    show(
        figure,
        f"The photograph with a query patch framed, and its attention maps, for {len(queries)} "
        f"queries: {listing(heads)}.",
    )


def damage(pictures: dict[str, Tensor]) -> None:
    """What several versions make of one picture, in two rows.

    Args:
        pictures: title to (3, H, W) from 0 to 1; the first is the right one.
    """
    H, W = next(iter(pictures.values())).shape[1:]
    columns = -(-len(pictures) // 2)
    figure, axes = panels(columns, 2, width=2.2, height=2.2 * H / W + 0.3)
    for ax, (title, image) in zip(axes, marked(pictures).items(), strict=True):
        show_image(ax, image)
        titled(ax, title)
    show(
        figure,
        f"What {len(pictures)} versions of attention make of the photograph: {listing(pictures)}.",
    )
