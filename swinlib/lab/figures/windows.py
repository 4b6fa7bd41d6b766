"""Figures of lesson 03: windows on a picture, their order, their cost, padding and walls."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from swinlib.lab.figures.grid import draw_grid
from swinlib.lab.showing import listing, show
from swinlib.lab.style import (
    ACCENT,
    CALM,
    INK,
    PALE,
    bare,
    frame,
    marked,
    panels,
    tint,
    titled,
)

PATCH = 4  # pixels along a token's side
# Lines over a photograph: white on black, so that they show on light and on dark.
WALLS = (("black", 2.4), ("white", 1.1))
GLOBAL = {"color": ACCENT, "marker": "o", "label": "global (MSA)"}
WINDOWS = {"color": CALM, "marker": "s", "label": "in windows (W-MSA)"}


def draw_photograph(
    ax: Axes,
    image: Tensor,
    patch: int,
    window: int | None = None,
    token: tuple[int, int] | None = None,
    title: str = "",
) -> None:
    """A picture whose axes count tokens, with the walls of its windows and one framed token.

    Args:
        ax: where.
        image: (3, H, W) from 0 to 1, in pixels.
        patch: pixels along a token's side.
        window: tokens along a window's side; None for no walls.
        token: (row, column) to frame.
        title: above the picture.
    """
    h, w = image.shape[1] // patch, image.shape[2] // patch
    ax.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy(), extent=(0, w, h, 0))
    if window is not None:
        for colour, width in WALLS:
            ax.hlines(range(window, h, window), 0, w, color=colour, linewidth=width)
            ax.vlines(range(window, w, window), 0, h, color=colour, linewidth=width)
    if token is not None:
        frame(ax, token[1], token[0], 1, 1)
    ax.set(xlim=(0, w), ylim=(h, 0), title=title)
    bare(ax)


def looks_at(image: Tensor, seen: dict[str, Tensor], token: tuple[int, int], window: int) -> None:
    """The photograph once for each kind of attention, faded where the framed token does not look.

    Args:
        image: (3, H, W) from 0 to 1, in pixels.
        seen: title to (H/4, W/4) of bool.
        token: (row, column) that looks.
        window: tokens along a window's side; walls are drawn where not everything is seen.
    """
    figure, axes = panels(len(seen), width=2.7, height=3.9)
    for ax, (title, where) in zip(axes, seen.items(), strict=True):
        kept = torch.where(where, 1.0, 0.3)
        kept = kept.repeat_interleave(PATCH, 0).repeat_interleave(PATCH, 1)
        walls = None if where.all() else window
        draw_photograph(ax, 1 - kept * (1 - image), PATCH, walls, token, title)
    show(
        figure,
        f"The photograph {len(seen)} times, with the token at row {token[0]}, column {token[1]} "
        f"framed and pale where it does not look: {listing(seen)}.",
    )


def cut_up(numbers: Tensor, window_of: Tensor, windows: Tensor) -> None:
    """A grid of counting numbers, and the windows that it was cut into, in their order.

    Args:
        numbers: (H, W).
        window_of: (H, W), the number of the window that a token is in, from 0 to 8.
        windows: (num_windows, M, M), the numbers again.
    """
    n, M = windows.shape[:2]
    figure = plt.figure(figsize=(8.4, 2.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[3.2, 6.0])
    draw_grid(left.subplots(), numbers, regions=window_of, window_size=M, title="the map")
    columns = -(-n // 2) if n > 6 else n
    for number, ax in enumerate(right.subplots(-(-n // columns), columns, squeeze=False).flat):
        colours = torch.full((M, M), number)
        draw_grid(ax, windows[number], regions=colours, fontsize=10, title=f"window {number}")
    show(
        figure,
        f"A map of {numbers.shape[0]} × {numbers.shape[1]} numbered tokens, coloured by window, "
        f"and beside it the {n} windows of {M} × {M} in their order, each with its numbers.",
    )


def pulled_apart(windows: Tensor, rows: int, columns: int) -> None:
    """Windows of a photograph with gaps between them, each under its number in the batch.

    Args:
        windows: (rows*columns, 3, h, w) from 0 to 1, in pixels.
        rows, columns: how many windows the picture has along its height and its width.
    """
    h, w = windows.shape[-2:]
    gap = 0.36
    figure, ax = plt.subplots(figsize=(3.3, 3.3 * rows * (1 + gap) / (columns * (1 + gap / 2))))
    for number, window in enumerate(windows):
        y, x = divmod(number, columns)
        top, left = y * (1 + gap), x * (1 + gap / 2)
        ax.imshow(window.permute(1, 2, 0).numpy(), extent=(left, left + 1, top + 1, top))
        ax.text(left, top - 0.03, str(number), fontsize=7, va="bottom", color=INK)
    ax.set(xlim=(-0.05, left + 1.05), ylim=(top + 1.05, -gap), aspect=h / w)
    ax.axis("off")
    ax.set_title(f"{len(windows)} windows, numbered as in the batch", fontsize=9)
    figure.subplots_adjust(0, 0, 1, 0.95)
    show(
        figure,
        f"The photograph as {len(windows)} windows with gaps between them, in {rows} rows of "
        f"{columns}, numbered from 0 like words on a page.",
    )


def attention_matrices(matrices: dict[str, Tensor]) -> None:
    """Attention weights of all tokens, queries down and keys across; what is not computed is pale.

    Args:
        matrices: title to (N, N) of weights; exactly 0 where no weight was computed.
    """
    figure, axes = panels(len(matrices), width=9.4 / len(matrices), height=9.4 / len(matrices))
    scale = Normalize(0, 0.1)
    for ax, (title, weights) in zip(axes, matrices.items(), strict=True):
        N = len(weights)
        colours = torch.tensor(colormaps["viridis"](scale(weights.numpy()))[..., :3])
        colours[weights == 0] = torch.tensor(tint(PALE, 1.0), dtype=colours.dtype)
        ax.imshow(colours, extent=(0, N, N, 0))
        ax.set(xticks=[0, N], yticks=[0, N], xlabel="key token")
        ax.set_title(title, fontsize=10)
        ax.spines[:].set_visible(True)
    axes[0].set_ylabel("query token")
    bar = figure.colorbar(
        plt.cm.ScalarMappable(scale, "viridis"), ax=axes, shrink=0.75, extend="max", pad=0.01
    )
    bar.set_label("attention weight")
    figure.legend(
        handles=[Patch(facecolor=PALE, edgecolor=INK, label="never computed")],
        loc="outside lower center",
    )
    show(
        figure,
        f"Attention weights of all {N} × {N} pairs of tokens, queries down and keys across: "
        f"{listing(matrices)}. What is never computed is pale.",
    )


def counted_cost(
    sides: list[int],
    cost_global: list[int],
    cost_windows: list[int],
    shared: list[int],
    stages: dict[str, tuple[int, int]],
) -> None:
    """Multiply-adds against the size of the map, and stage by stage.

    Args:
        sides: of square maps, in tokens.
        cost_global, cost_windows, shared: multiply-adds for each side; `shared` is the part that
            both have, the four projections.
        stages: name to (global, in windows), multiply-adds of one attention in this stage.
    """
    figure, (ax, bars) = plt.subplots(
        1, 2, figsize=(8.4, 3.5), layout="constrained", width_ratios=[1.15, 1]
    )
    ax.plot(sides, [c / 1e9 for c in cost_global], **GLOBAL)
    ax.plot(sides, [c / 1e9 for c in cost_windows], **WINDOWS)
    ax.plot(sides, [c / 1e9 for c in shared], color=INK, ls=":", label="the projections in both")
    _log_sides(ax, sides, "multiply-adds, billions", "one attention, C = 96, M = 7")
    ax.legend(loc="upper left")

    place = torch.arange(len(stages))
    for k, (style, hatch) in enumerate(((GLOBAL, ""), (WINDOWS, "//"))):
        heights = [pair[k] / 1e9 for pair in stages.values()]
        bars.bar(
            place + 0.4 * k,
            heights,
            width=0.38,
            color=style["color"],
            edgecolor="white",
            hatch=hatch,
            label=style["label"],
        )
    for x, (whole, windows) in zip(place.tolist(), stages.values(), strict=True):
        bars.text(x + 0.2, whole / 1e9 + 0.03, f"{whole / windows:.1f} : 1", ha="center")
    bars.set_ylim(0, 1.1 * max(whole for whole, _ in stages.values()) / 1e9)
    bars.set_xticks(place + 0.2, list(stages))
    bars.tick_params(axis="x", length=0)
    bars.set(ylabel="multiply-adds, billions", title="in the four stages of Swin-T, 224 x 224")
    bars.legend()
    show(
        figure,
        "Left, multiply-adds against the side of the map, both logarithmic: global attention "
        f"rises more steeply than attention in windows, from {sides[0]} to {sides[-1]} tokens a "
        "side. Right, bars for the stages of Swin-T; global to windows is "
        + listing(f"{whole / windows:.1f} to 1" for whole, windows in stages.values())
        + ".",
    )


def recorded_growth(rows: list[dict]) -> None:
    """Time and memory of one attention on whole pictures, from the rows of `make bench`.

    Args:
        rows: for each picture its `size` in pixels and, for `windows` and `global`, `milliseconds`,
            the `bytes` held at the worst moment, and `bytes_of_weights`, what keeping the attention
            weights would take.
    """
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8.4, 3.3), layout="constrained")
    sizes = [row["size"] for row in rows]
    for kind, look in (("global", GLOBAL), ("windows", WINDOWS)):
        time.plot(sizes, [row[kind]["milliseconds"] for row in rows], **look)
        memory.plot(sizes, [row[kind]["bytes"] / 2**20 for row in rows], **look)
        kept = [(row[kind]["bytes"] + row[kind]["bytes_of_weights"]) / 2**20 for row in rows]
        memory.plot(sizes, kept, color=look["color"], marker=look["marker"], ls=":", mfc="white",
                    label="the same, weights kept")  # fmt: skip
    for row in rows:
        text = f"{row['global_over_windows']:.0f} : 1"
        spot = (row["size"], row["global"]["milliseconds"])
        time.annotate(text, spot, (-6, 2), textcoords="offset points", ha="right", fontsize=9)
    for ax, ylabel, title in (
        (time, "milliseconds", "time"),
        (memory, "MiB", "memory beyond the map itself"),
    ):
        _log_sides(ax, sizes, ylabel, title)
        ax.set_xlabel("side of the picture, in pixels")
        ax.legend(fontsize=8, loc="upper left")
    time.set_xlim(sizes[0] / 1.35)
    memory.set_ylim(top=30 * memory.get_ylim()[1])
    show(
        figure,
        "Milliseconds and memory of one attention against the picture's side, global and in "
        "windows. Global takes "
        + listing(
            f"{row['global_over_windows']:.0f} times as long at {row['size']} pixels"
            for row in rows
        )
        + ".",
    )


def _log_sides(ax: Axes, sides: list[int], ylabel: str, title: str) -> None:
    """Logarithmic axes whose ticks below are the sides themselves."""
    ax.set(xscale="log", yscale="log", xlabel="side of the map, in tokens", ylabel=ylabel)
    ax.set_title(title)
    ax.set_xticks(sides, [str(side) for side in sides])
    ax.set_xticks([], minor=True)
    ax.grid(axis="y", color="#dddddd", linewidth=0.8)


def padding(image: Tensor, size: tuple[int, int], real: Tensor, window: int) -> None:
    """A padded photograph under its windows, and how many real tokens each window holds.

    Args:
        image: (3, H, W) from 0 to 1, in pixels, padded.
        size: (h, w), the map before padding, in tokens; what lies beyond is hatched.
        real: (H/(4*window), W/(4*window)), real tokens in each window.
        window: in tokens.
    """
    figure, axes = panels(2, width=3.3)
    H, W = image.shape[1] // PATCH, image.shape[2] // PATCH
    h, w = size
    for place, width, height in (((w, 0), W - w, H), ((0, h), w, H - h)):
        axes[0].add_patch(
            Rectangle(place, width, height, facecolor="none", edgecolor="white", hatch="////", lw=0)
        )
    draw_photograph(axes[0], F.avg_pool2d(image, PATCH), 1, window)  # a token's mean colour
    axes[0].set_title(f"{H} x {W} tokens, padding hatched", fontsize=10)
    draw_grid(axes[1], real, shades=real.float().sqrt(), cmap="cividis", vmin=0, vmax=window)
    axes[1].set_title(f"real tokens in each window, of {window**2}", fontsize=10)
    show(
        figure,
        f"Left, the photograph of {h} × {w} tokens padded to {H} × {W} under its windows. Right, "
        f"how many real tokens each of the {real.numel()} windows holds: {window**2} inside, "
        f"{int(real[0, -1])} at the right edge, {int(real[-1, -1])} in the corner.",
    )


def share_to_padding(share: Tensor) -> None:
    """How much of their attention the real tokens of each window give to padding.

    Args:
        share: (rows, columns) of windows; mean over their real tokens, from 0 to 1.
    """
    figure, axes = panels(1, width=3.8)
    percent = [[f"{100 * value:.0f}%" for value in row] for row in share.tolist()]
    draw_grid(axes[0], percent, shades=share, cmap="cividis", vmin=0, vmax=1, fontsize=9)
    axes[0].set_title("share of attention that goes to padding", fontsize=10)
    show(
        figure,
        f"A grid of {share.shape[0]} × {share.shape[1]} windows with the share of attention that "
        f"goes to padding: {share[0, 0]:.0%} inside, {share[0, -1]:.0%} at the right edge, "
        f"{share[-1, -1]:.0%} in the corner.",
    )


def looks_for(
    image: Tensor, weights: dict[str, Tensor], token: tuple[int, int], window: int
) -> None:
    """A photograph with one framed token, and where its attention goes, by kind of attention.

    Args:
        image: (3, H, W) from 0 to 1, in pixels.
        weights: title to (H/4, W/4) of attention weights; exactly 0 means cannot look.
        token: (row, column) that looks.
        window: tokens along a window's side.
    """
    figure, axes = panels(1 + len(weights), width=2.6, height=3.8)
    draw_photograph(axes[0], image, PATCH, window, token, "one token and the walls")
    scale = PowerNorm(0.5, 0, 1)
    for ax, (title, map_) in zip(axes[1:], weights.items(), strict=True):
        colours = torch.tensor(colormaps["viridis"](scale((map_ / map_.max()).numpy()))[..., :3])
        colours[map_ == 0] = torch.tensor(tint(PALE, 1.0), dtype=colours.dtype)
        draw_photograph(ax, colours.permute(2, 0, 1), 1, window, token, title)
    bar = figure.colorbar(plt.cm.ScalarMappable(scale, "viridis"), ax=axes, shrink=0.7, pad=0.01)
    bar.set_label("attention weight, largest = 1")
    figure.legend(
        handles=[Patch(facecolor=PALE, edgecolor=INK, label="behind a wall: cannot look")],
        loc="outside lower center",
    )
    show(
        figure,
        f"The photograph with its windows and the token at row {token[0]}, column {token[1]} "
        f"framed, and maps of where its attention goes: {listing(weights)}.",
    )


def the_same_to_windows(images: dict[str, Tensor], window: int) -> None:
    """Photographs side by side under the walls of their windows.

    Args:
        images: title to (3, H, W) from 0 to 1, in pixels.
        window: tokens along a window's side.
    """
    figure, axes = panels(len(images), width=2.7, height=3.9)
    for ax, (title, image) in zip(axes, images.items(), strict=True):
        draw_photograph(ax, image, PATCH, window, title=title)
    show(figure, f"The photograph under the walls of its windows: {listing(images)}.")


def mosaics(maps: dict[str, Tensor]) -> None:
    """Pictures whose tokens are colours, all at one scale, and how far each is from the first.

    Args:
        maps: title to (H, W, 3) from 0 to 1; the first is the right one.
    """
    right = next(iter(maps.values()))
    H, W = right.shape[:2]
    height, width = (max(map_.shape[axis] for map_ in maps.values()) for axis in (0, 1))
    figure, axes = panels(len(maps), width=1.85, height=1.85 * height / width + 0.75)
    for ax, (title, map_) in zip(axes, marked(maps).items(), strict=True):
        h, w = map_.shape[:2]
        ax.imshow(map_.clamp(0, 1).numpy(), extent=(0, w, h, 0))
        ax.set(xlim=(0, width), ylim=(height, 0))
        bare(ax)
        wrong = int(((map_[:H, :W] - right).abs().amax(-1) > 1e-4).sum())
        if map_ is right:
            note = f"{H * W} tokens"
        elif h * w > H * W:
            note = f"{h * w - H * W} too many"
        else:
            note = f"{wrong} differ"
        titled(ax, f"{title}\n{note}")
    show(
        figure,
        f"Mosaics of the photograph, one colour for each token, by {len(maps)} versions: "
        f"{listing(maps)}.",
    )
