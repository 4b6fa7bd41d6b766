"""Lesson 07's explorer: shapes, padding, windows, parameters and cost of every stage."""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import nn

from swinlib import (
    SwinTransformer,
    block_flops,
    merging_flops,
    model_flops,
    pad_to_multiple,
    swin_base,
    swin_large,
    swin_small,
    swin_tiny,
    window_partition,
)
from swinlib.lab.drawing import GREY, Drag, Drawing, hex_colour, part, short
from swinlib.lab.showing import listing
from swinlib.lab.style import ACCENT, CALM, INK, PALE
from swinlib.lab.widgets.explorer import Choice, Explorer, Number

SIZES = {"tiny": swin_tiny, "small": swin_small, "base": swin_base, "large": swin_large}
LARGEST_IMAGE, LARGEST_PATCH, LARGEST_WINDOW = 1024, 16, 16
WIDTH, PICTURE, ROW = 988, 150, 25  # pixels: all, a stage's map, a line of the table
COLUMNS = {  # where each column of the table ends
    "map": 212,
    "channels": 278,
    "padded to": 362,
    "windows": 428,
    "shift": 480,
    "mask": 594,
    "heads": 646,
}
PARAMETERS, MULTIPLY_ADDS = 744, 884  # where the numbers end; a bar follows each
BAR = 48  # pixels for all of it


@dataclass
class Line:
    """A line of the ledger: a stage's blocks, a merging, or the rest of the model.

    Attributes:
        name: what it is.
        parameters: how many it has.
        flops: its multiply-adds for one picture.
        size: (h, w) of its map, in tokens; None for the rest.
        dim: channels of its map.
        padded: (h, w) padded to whole windows; only stages have what follows.
        windows: how many there are.
        shift: (sh, sw) in use in every second block.
        blocks: how many.
        heads: of each.
    """

    name: str
    parameters: int
    flops: int
    size: tuple[int, int] | None = None
    dim: int = 0
    padded: tuple[int, int] = (0, 0)
    windows: int = 0
    shift: tuple[int, int] = (0, 0)
    blocks: int = 0
    heads: int = 0


@cache
def _named(size: str) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Channels, depths and heads of a named size."""
    with torch.device("meta"):  # shapes only, no memory
        model = SIZES[size]()
    depths = tuple(len(layer.blocks) for layer in model.layers)
    return model.embed_dim, depths, tuple(layer.blocks[0].attn.num_heads for layer in model.layers)


@lru_cache(maxsize=128)
def meta_model(size: str, patch_size: int, window_size: int) -> SwinTransformer:
    """A named size with other patches and windows: shapes only, so that it takes no memory.

    All pairs of blocks in a stage have the same shapes. To be quick, one pair is made and stands in
    the list as often as the depth says: count parameters block by block.
    """
    embed_dim, depths, num_heads = _named(size)
    with torch.device("meta"):
        model = SwinTransformer(
            patch_size=patch_size,
            embed_dim=embed_dim,
            depths=(2,) * len(depths),
            num_heads=num_heads,
            window_size=window_size,
        )
    for layer, depth in zip(model.layers, depths, strict=True):
        layer.blocks = nn.ModuleList([*layer.blocks] * (depth // 2))
    return model.requires_grad_(False)


@lru_cache(maxsize=256)
def ledger(
    height: int, width: int, patch_size: int = 4, window_size: int = 7, size: str = "tiny"
) -> list[Line]:
    """Stages and mergings in their order, and the rest of the model as the last line.

    Args:
        height, width: of the picture, in pixels.
        patch_size: P, in pixels.
        window_size: M, in tokens.
        size: of the model, one of `SIZES`.
    """
    model = meta_model(size, patch_size, window_size)
    x = model.patch_embed(torch.empty(1, 3, height, width, device="meta"))
    lines = []
    for number, layer in enumerate(model.layers, start=1):
        _, h, w, dim = x.shape
        padded = pad_to_multiple(x, window_size)
        shifted = layer.blocks[1]
        lines.append(
            Line(
                f"stage {number}: {len(layer.blocks)} blocks",
                sum(_parameters(block) for block in layer.blocks),
                sum(block_flops(block, h, w) for block in layer.blocks),
                (h, w),
                dim,
                tuple(padded.shape[1:3]),
                window_partition(padded, window_size).shape[0],
                shifted.shift_that_fits(*padded.shape[1:3]),
                len(layer.blocks),
                shifted.attn.num_heads,
            )
        )
        if layer.downsample is not None:
            x = layer.downsample(x)
            parameters, flops = _parameters(layer.downsample), merging_flops(h, w, dim)
            lines.append(Line("merging", parameters, flops, tuple(x.shape[1:3]), x.shape[3]))
    ends = model.patch_embed, model.norm, model.head
    rest = model_flops(model, height, width) - sum(line.flops for line in lines)
    lines.append(Line("patch embedding, last norm, head", sum(map(_parameters, ends)), rest))
    return lines


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def draw_ledger(
    height: int = 224,
    width: int = 224,
    patch_size: int = 4,
    window_size: int = 7,
    size: str = "tiny",
    stage: int = 1,
) -> Drawing:
    """The map of every stage with its windows; below, the whole ledger.

    Args:
        stage: the one that is marked, counted from 1.
        Others: as in `ledger`.
    """
    lines = ledger(height, width, patch_size, window_size, size)
    top = 40 + PICTURE + 52  # where the table begins
    drawing = Drawing(WIDTH, top + (len(lines) + 2) * ROW + 12)
    title = (
        f"Swin-{size[0].upper()} on {height} x {width} pixels, "
        f"patches of {patch_size} x {patch_size}, windows of {window_size} x {window_size}"
    )
    drawing.text(8, 14, title, 14, "start", bold=True)
    words = "blue: the map; dashed: its padding; lines: windows"
    drawing.text(WIDTH - 8, 14, words, 11.5, "end", GREY)
    stages = [line for line in lines if line.blocks]
    _draw_maps(drawing, stages, height, width, patch_size, window_size, stage)
    _draw_table(drawing, lines, top, window_size, stage)
    drawing.caption = _caption(lines, stages, height, width, patch_size, window_size, size)
    drawing.caption += " " + _marked(stages[stage - 1], stage, window_size)
    return drawing


def _draw_maps(drawing, stages, height, width, patch_size, M, chosen) -> None:
    """Each stage's map at one scale: the picture grey, padding white, lines between windows."""
    strides = [patch_size * 2**i for i in range(len(stages))]
    longest = max(max(stage.padded) * stride for stage, stride in zip(stages, strides, strict=True))
    scale = PICTURE / max(longest, height, width)
    for number, (stage, stride) in enumerate(zip(stages, strides, strict=True)):
        x, y = 8 + number * (WIDTH - 16) / len(stages), 40
        token = scale * stride
        (h, w), (padded_h, padded_w) = stage.size, stage.padded
        tall, wide = padded_h * token, padded_w * token
        drawing.rect(x, y, wide, tall, "#ffffff")
        drawing.rect(x, y, w * token, h * token, hex_colour(CALM, 0.3))
        step = M * token
        if step >= 3:
            for n in range(1, padded_h // M):
                drawing.line(x, y + n * step, x + wide, y + n * step, "#8894a0", 0.8)
            for n in range(1, padded_w // M):
                drawing.line(x + n * step, y, x + n * step, y + tall, "#8894a0", 0.8)
        drawing.rect(x, y, wide, tall, stroke=GREY, dash=stage.padded != stage.size)
        drawing.rect(x, y, w * token, h * token, stroke=INK, line=1.6)
        drawing.rect(x, y, step, step, stroke=ACCENT, line=2.4)
        said = [part(f"stage {number + 1}", {"stage": number + 1}, stage=number + 1)]
        drawing.touch(f"map of stage {number + 1}", x, y, wide, tall, said)
        if not number:
            drag = Drag("height", "down", 8 * scale, 8), Drag("width", "right", 8 * scale, 8)
            drawing.handle("size of the picture", x + width * scale, y + height * scale, drag)
        y = 40 + PICTURE + 16
        colour = ACCENT if number + 1 == chosen else None
        drawing.text(x, y, f"stage {number + 1}: {h} x {w} tokens", 12, "start", colour, bold=True)
        words = f"a window: {M * stride} px a side"
        drawing.text(x, y + 16, words, 11.5, "start", ACCENT)


def _draw_table(drawing, lines, top, M, chosen) -> None:
    """A line for each line of the ledger, and one for all."""
    for name, x in COLUMNS.items():
        drawing.text(x, top + ROW / 2, name, 11.5, "end", GREY)
    drawing.text(PARAMETERS, top + ROW / 2, "parameters", 11.5, "end", GREY)
    drawing.text(MULTIPLY_ADDS, top + ROW / 2, "multiply-adds", 11.5, "end", GREY)
    drawing.line(8, top + ROW, WIDTH - 8, top + ROW, line=1.2)
    parameters, flops = sum(line.parameters for line in lines), sum(line.flops for line in lines)
    stage = 0
    for number, line in enumerate(lines):
        y = top + (number + 1) * ROW
        ink = INK if line.blocks else None
        if line.blocks:
            stage += 1
            drawing.rect(8, y, WIDTH - 16, ROW, PALE)
            if stage == chosen:
                with drawing.moving("chosen stage"):
                    for edge in (y, y + ROW):
                        drawing.line(8, edge, WIDTH - 8, edge, ACCENT, 2)
            said = [part(f"stage {stage}", {"stage": stage}, stage=stage)]
            drawing.touch(f"line of stage {stage}", 8, y, WIDTH - 16, ROW, said)
        y += ROW / 2
        drawing.text(12, y, line.name, 12, "start", ink, bold=line.blocks > 0)
        for name, text in _cells(line, M).items():
            colour = ACCENT if name == "padded to" and line.padded != line.size else ink
            drawing.text(COLUMNS[name], y, text, 12, "end", colour)
        for x, count, all_of_it, text, colour in (
            (PARAMETERS, line.parameters, parameters, f"{line.parameters:,}", CALM),
            (MULTIPLY_ADDS, line.flops, flops, short(line.flops), "#009e73"),
        ):
            drawing.text(x, y, text, 12, "end", ink)
            drawing.rect(x + 6, y - 7, BAR * count / all_of_it, 14, hex_colour(colour, 0.7))
            if count >= 0.005 * all_of_it:
                share = count / all_of_it
                drawing.text(x + 9 + BAR * share, y, f"{share:.0%}", 10, "start", ink)
    y = top + (len(lines) + 1) * ROW
    drawing.line(8, y, WIDTH - 8, y, line=1.2)
    drawing.text(12, y + ROW / 2, "in all", 12.5, "start", bold=True)
    drawing.text(PARAMETERS, y + ROW / 2, f"{parameters:,}", 12.5, "end", bold=True)
    drawing.text(MULTIPLY_ADDS, y + ROW / 2, short(flops), 12.5, "end", bold=True)


def _cells(line: Line, M: int) -> dict[str, str]:
    """What to write in the columns of one line, but for its two counts."""
    if line.size is None:
        return {}
    cells = {"map": f"{line.size[0]} x {line.size[1]}", "channels": str(line.dim)}
    if not line.blocks:
        return {"map": f"to {cells['map']}", "channels": cells["channels"]}
    mask = f"{line.windows:,} x {M * M} x {M * M}" if any(line.shift) else "none"
    return cells | {
        "padded to": f"{line.padded[0]} x {line.padded[1]}" if line.padded != line.size else "-",
        "windows": f"{line.windows:,}",
        "shift": f"{line.shift[0]}, {line.shift[1]}",
        "mask": mask,
        "heads": str(line.heads),
    }


def _caption(lines, stages, height, width, patch_size, M, size) -> str:
    """The present state in sentences."""
    sizes = [f"{h} x {w}" for h, w in (stage.size for stage in stages)]
    words = [
        f"Swin-{size[0].upper()} on {height} x {width} pixels in patches of {patch_size}: maps of "
        f"{', '.join(sizes[:-1])} and {sizes[-1]} tokens."
    ]
    tokens = sum(stage.size[0] * stage.size[1] for stage in stages)
    padded = sum(stage.padded[0] * stage.padded[1] for stage in stages)
    if padded == tokens:
        words.append(f"Windows of {M} x {M} fit all of them.")
    else:
        wanting = [f"{n}" for n, stage in enumerate(stages, 1) if stage.padded != stage.size]
        which = f"stage {wanting[0]} is" if len(wanting) == 1 else f"stages {listing(wanting)} are"
        words.append(
            f"For windows of {M} x {M} {which} padded; {(padded - tokens) / padded:.1%} of all "
            "tokens in windows are padding."
        )
    still = [f"{n}" for n, stage in enumerate(stages, 1) if not any(stage.shift)]
    if still:
        stage = f"stage {still[0]}" if len(still) == 1 else f"stages {listing(still)}"
        reason = "a window is one token" if M == 1 else "one window covers the map"
        words.append(f"In {stage} {reason} and nothing is shifted.")
    parameters, flops = sum(line.parameters for line in lines), sum(line.flops for line in lines)
    words.append(f"In all {parameters:,} parameters and {short(flops)} multiply-adds.")
    return " ".join(words)


def _marked(stage: Line, number: int, M: int) -> str:
    """The marked stage in a sentence."""
    (h, w), windows = stage.size, "one window" if stage.windows == 1 else f"{stage.windows} windows"
    return (
        f"Stage {number}: {stage.blocks} blocks on {h} x {w} tokens of {stage.dim} numbers, in "
        f"{windows} of {M} x {M}, {stage.heads} heads."
    )


class ShapeLedger(Explorer):
    """The model's ledger under your hand: change the picture, the patch, the window, the model.

    Args:
        image_size: of the picture, one number or (height, width), in pixels.
        **state: height, width, patch_size, window_size, size (see `ledger`).
    """

    draw = staticmethod(draw_ledger)

    def __init__(self, image_size: int | tuple[int, int] | None = None, **state):
        if image_size is not None:
            pair = (image_size, image_size) if isinstance(image_size, int) else image_size
            state["height"], state["width"] = pair
        super().__init__(**state)

    def controls(self):
        return {
            "size": Choice("model", [(f"Swin-{n[0].upper()} ({n})", n) for n in SIZES], "tiny"),
            "height": Number("height, pixels", 224, 1, LARGEST_IMAGE),
            "width": Number("width, pixels", 224, 1, LARGEST_IMAGE),
            "patch_size": Number("patch P", 4, 1, LARGEST_PATCH),
            "window_size": Number("window M", 7, 1, LARGEST_WINDOW),
            "stage": Number("stage", 1, 1, 4),
        }
