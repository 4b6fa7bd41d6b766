"""Lesson 01's explorer: a picture cut into patches, one of them opened, and what the cut costs."""

from dataclasses import dataclass
from functools import cache
from math import log10

import torch
from torch import Tensor

from swinlib import image_to_patches, msa_flops, pad_to_multiple, patches_to_image
from swinlib.lab.drawing import GREY, Drag, Drawing, counted, hex_colour, part, short
from swinlib.lab.photograph import photograph
from swinlib.lab.style import ACCENT, CALM, INK, tint
from swinlib.lab.widgets.explorer import Choice, Explorer, Number

# Name to (height, width), in pixels, and the largest patch: the lesson's photograph, one that
# patches of 4 x 4 do not fit, and a board whose patches are alike.
PICTURES = {
    "photograph": ((256, 224), 32),
    "odd size": ((225, 190), 32),
    "chessboard": ((32, 24), 8),
}
EMBED_DIM = 96  # numbers in a token of Swin-T, for the cost
CHANNELS = {"red": "#c0392b", "green": "#1e8449", "blue": "#2471a3"}
LINKED = 8  # pixels a side of a patch whose pixels light up with their numbers
LEFT, TOP, PICTURE, RIGHT, SIDE, GAP = 8, 30, 384, 390, 130, 22  # pixels


@cache
def picture_named(name: str) -> Tensor:
    """One of `PICTURES`, ``(3, H, W)`` from 0 to 1; the same tensor at every call."""
    size, _ = PICTURES[name]
    if name == "chessboard":
        squares = (torch.arange(8)[:, None] + torch.arange(6)) % 2  # (8, 6) of 0 and 1
        board = squares.repeat_interleave(4, 0).repeat_interleave(4, 1)
        return (0.2 + 0.6 * board).expand(3, *size)
    return photograph(*size)


@cache
def grid_of(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches, those at the edges padded."""
    H, W = pad_to_multiple(torch.empty(1, height, width, 1), patch_size).shape[1:3]
    return H // patch_size, W // patch_size


@dataclass
class OnePatch:
    """What there is to know about one patch, computed by the lesson's functions.

    Attributes:
        grid: (h, w), rows and columns of patches.
        vector: (3*P*P,), the patch laid out.
        pixels: (3, P, P), the same put back as a picture.
        alike: how many patches of the picture have this vector, itself included.
    """

    grid: tuple[int, int]
    vector: Tensor
    pixels: Tensor
    alike: int

    @classmethod
    def compute(cls, picture: str, P: int, row: int, column: int) -> "OnePatch":
        image = picture_named(picture)
        padded = pad_to_multiple(image.permute(1, 2, 0)[None], P).permute(0, 3, 1, 2)
        patches = image_to_patches(padded, P)  # (1, h, w, 3*P*P)
        vector = patches[0, row, column]
        return cls(
            tuple(patches.shape[1:3]),
            vector,
            patches_to_image(vector[None, None, None], P)[0],
            int((patches == vector).all(-1).sum()),
        )


def draw_patches(
    picture: str = "photograph",
    patch_size: int = 4,
    row: int = 53,
    column: int = 44,
) -> Drawing:
    """The picture and its cut; one patch, its channels and its vector; the price of the cut.

    Args:
        picture: one of `PICTURES`.
        patch_size: P, in pixels.
        row, column: of the chosen patch, in patches.
    """
    facts = OnePatch.compute(picture, patch_size, row, column)
    drawing = Drawing(RIGHT + 4 * SIDE + 3 * GAP + 8, TOP + PICTURE + 46)
    _draw_cut(drawing, facts.grid, picture, patch_size, row, column)
    flies = f"{picture}-{patch_size}-{row}-{column}"  # another patch's numbers are others
    _draw_pixels(drawing, facts.pixels, patch_size, flies)
    _draw_vector(drawing, facts.vector, patch_size, flies)
    _draw_prices(drawing, picture, patch_size)
    drawing.caption = _caption(facts, picture, patch_size, row, column)
    return drawing


def _draw_cut(drawing: Drawing, grid, picture: str, P: int, row: int, column: int) -> None:
    """The picture, lines between its patches, its padding, and a frame around the chosen patch."""
    (height, width), largest = PICTURES[picture]
    h, w = grid
    scale = PICTURE / (height + largest - 1)  # so that the picture stays when its padding changes
    cell = P * scale
    drawing.text(LEFT, 14, f"{h} x {w} patches of {P} x {P}", 13, "start")
    if (h * P, w * P) != (height, width):
        drawing.rect(LEFT, TOP, w * cell, h * cell, "#000000")
        note = f"black: padding, from {height} x {width} to {h * P} x {w * P} pixels"
        drawing.text(LEFT, TOP + h * cell + 30, note, 11, "start", GREY)
    size = width * scale, height * scale
    drawing.image(LEFT, TOP, *size, picture_named(picture), pixelated=picture == "chessboard")
    if cell >= 4:
        line = min(1.5, cell / 14)
        for i in range(1, h):
            drawing.line(LEFT, TOP + i * cell, LEFT + w * cell, TOP + i * cell, "#ffffff", line)
        for j in range(1, w):
            drawing.line(LEFT + j * cell, TOP, LEFT + j * cell, TOP + h * cell, "#ffffff", line)
    grow = max(0.0, (8 - cell) / 2)  # a tiny patch has to be found
    side = cell + 2 * grow
    drawing.touch("picture", LEFT, TOP, cell, None, counted(h, "row"), counted(w, "column"))
    with drawing.moving("chosen"):
        drawing.frame(LEFT + column * cell - grow, TOP + row * cell - grow, side, side, ACCENT)
    corner = LEFT + (column + 1) * cell + grow + 5, TOP + (row + 1) * cell + grow + 5
    drawing.handle("size of the patches", *corner, [Drag("patch_size", "right", max(scale, 5))])
    note = f"framed: patch {row * w + column:,}, in row {row} and column {column}"
    drawing.text(LEFT, TOP + h * cell + 15, note, 11, "start", GREY)


def _draw_pixels(drawing: Drawing, pixels: Tensor, P: int, flies: str) -> None:
    """The chosen patch enlarged, and its three channels with their numbers where these fit."""
    drawing.text(RIGHT, 14, f"its {P} x {P} pixels", 13, "start")
    with drawing.moving(flies, "chosen"):
        drawing.image(RIGHT, TOP, SIDE, SIDE, pixels, pixelated=True)
        drawing.rect(RIGHT, TOP, SIDE, SIDE, stroke=ACCENT, line=2.5)
    if P <= LINKED:
        cells = [part(f"pixel {i}, {j}", pixel=(i, j)) for i in range(P) for j in range(P)]
        drawing.touch("its pixels", RIGHT, TOP, SIDE / P, None, [part()] * P, [part()] * P, cells)
    for number, (name, colour) in enumerate(CHANNELS.items(), start=1):
        x = RIGHT + number * (SIDE + GAP)
        drawing.text(x, 14, name, 13, "start")
        numbers = range((number - 1) * P * P, number * P * P)
        _shade(drawing, x, TOP, SIDE / P, pixels[number - 1], colour, name, numbers, P, flies)


def _draw_vector(drawing: Drawing, vector: Tensor, P: int, flies: str) -> None:
    """The patch as one vector, a line for each of its channels."""
    y, label = TOP + SIDE + 26, 122
    drawing.text(RIGHT, y, f"as a vector of {len(vector):,} numbers", 13, "start")
    cell = min(24, (4 * SIDE + 3 * GAP - label) / P**2)
    for number, (name, colour) in enumerate(CHANNELS.items()):
        first = number * P * P
        top = y + 14 + 29 * number
        last = first + P * P - 1
        said = f"{name}, {first}" + (f" to {last}" if last > first else "")
        drawing.text(RIGHT, top + 12, said, 11, "start")
        line = vector[None, first : last + 1]
        if cell >= 2:
            place, channel = (RIGHT + label, top + 12 - cell / 2), f"vector, {name}"
            _shade(drawing, *place, cell, line, colour, channel, range(first, last + 1), P, flies)
        else:
            drawing.image(RIGHT + label, top + 2, P * P * cell, 20, _tinted(line, colour))
            drawing.rect(RIGHT + label, top + 2, P * P * cell, 20, stroke=INK, line=1.5)


def _shade(drawing: Drawing, x, y, cell, values, colour, panel, numbers, P, flies) -> None:
    """A grid of numbers from 0 to 1, the larger the stronger the colour.

    It flies from the chosen patch, or as a part of the vector from its channel's grid; `numbers`
    are the places of its values in the vector.
    """
    rows = values.tolist()
    if len(rows) > 8:
        with drawing.moving(f"{flies}-{panel}", "chosen"):
            drawing.image(x, y, cell * len(rows), cell * len(rows), _tinted(values, colour), True)
            drawing.rect(x, y, cell * len(rows), cell * len(rows), stroke=INK, line=1.5)
        return
    fills = [[hex_colour(colour, round(value, 2)) for value in row] for row in rows]
    texts = [[_hundredths(value) for value in row] for row in rows] if cell >= 18 else None
    is_vector, width = panel.startswith("vector"), len(rows[0])
    keys = [
        (f"{flies}-{panel}-{n}", f"{flies}-{panel.removeprefix('vector, ')}-{n}")
        if is_vector
        else (f"{flies}-{panel}-{n}", "chosen")
        for n in numbers
    ]
    keys = [keys[i * width : (i + 1) * width] for i in range(len(rows))]
    drawing.grid(x, y, cell, fills, texts, keys=keys)
    if P <= LINKED:
        cells = [
            part(f"number {n}, pixel {i}, {j}", number=n, pixel=(i, j))
            for n in numbers
            for i, j in [divmod(n % P**2, P)]
        ]
        drawing.touch(panel, x, y, cell, None, [part()] * len(rows), [part()] * width, cells)


def _tinted(values: Tensor, colour: str) -> Tensor:
    """Numbers (h, w) from 0 to 1 as a picture (3, h, w)."""
    return 1 - values * (1 - torch.tensor(tint(colour, 1.0)).view(3, 1, 1))


def _hundredths(value: float) -> str:
    """.31 for 0.31, so that it fits a small cell; 0 for exactly nothing."""
    text = f"{value:.2f}" if value else "0"
    return text[1:] if text.startswith("0.") else text[:3]


def _draw_prices(drawing: Drawing, picture: str, P: int) -> None:
    """Tokens, pairs and attention's multiply-adds for patches of this and other sizes."""
    (height, width), largest = PICTURES[picture]
    sizes = sorted({P, *(2**i for i in range(6) if 2**i <= largest)})
    y, bar, decade = TOP + SIDE + 140, 318, 36  # a bar grows by this when its cost is tenfold
    drawing.text(RIGHT, y, "what patches of this and other sizes cost", 13, "start")
    columns = {"P": 24, "tokens": 90, "pairs": 192, "multiply-adds": 300}
    for name, x in columns.items():
        drawing.text(RIGHT + x, y + 20, name, 11, "end", GREY)
    end = y + 30 + 17 * len(sizes)
    for name, power in (("1 M", 6), ("1 G", 9), ("1000 G", 12)):
        x = RIGHT + bar + (power - 5) * decade
        drawing.text(x, y + 20, name, 11, "middle", GREY)
        drawing.line(x, y + 28, x, end, GREY, 0.8, dash=True)
    for number, size in enumerate(sizes):
        h, w = grid_of(height, width, size)
        cost = msa_flops(h, w, EMBED_DIM)
        middle, bold = y + 38 + 17 * number, size == P
        cells = str(size), f"{h * w:,}", f"{(h * w) ** 2:,}", short(cost)
        for text, x in zip(cells, columns.values(), strict=True):
            drawing.text(RIGHT + x, middle, text, 11, "end", bold=bold)
        colour = ACCENT if bold else hex_colour(CALM, 0.5)
        with drawing.moving(f"price-{size}"):
            drawing.rect(RIGHT + bar, middle - 5.5, (log10(cost) - 5) * decade, 11, colour)
        chosen = [part(f"patches of {size} x {size}", {"patch_size": size})]
        drawing.touch(f"price of {size}", RIGHT, middle - 8.5, 520, 17, chosen)


def _caption(facts: OnePatch, picture: str, P: int, row: int, column: int) -> str:
    """The present state in sentences."""
    height, width = PICTURES[picture][0]
    h, w = facts.grid
    padded = "" if (h * P, w * P) == (height, width) else f", padded to {h * P} x {w * P},"
    red, green, blue = facts.pixels.flatten(1).mean(1).tolist()
    words = [
        f"{height} x {width} pixels{padded} in patches of {P} x {P}: {h} x {w} = {h * w:,} tokens "
        f"of {len(facts.vector):,} numbers.",
        f"The patch in row {row} and column {column} has mean red {red:.2f}, green {green:.2f} "
        f"and blue {blue:.2f}.",
    ]
    if facts.alike > 1:
        others = facts.alike - 1
        words.append(
            f"{others:,} other patch{' has' if others == 1 else 'es have'} exactly the same vector."
        )
    words.append(
        f"If every token looks at every token there are {(h * w) ** 2:,} pairs, and one attention "
        f"with C = {EMBED_DIM} takes {short(msa_flops(h, w, EMBED_DIM))} multiply-adds."
    )
    return " ".join(words)


class PatchExplorer(Explorer):
    """Patches under your hand: change the picture, the patch size and the patch.

    Args:
        patch: (row, column) of the chosen patch, in patches.
        **state: picture, patch_size (see `draw_patches`); also row and column.
    """

    draw = staticmethod(draw_patches)

    def __init__(self, patch: tuple[int, int] | None = None, **state):
        if patch is not None:
            state["row"], state["column"] = patch
        self.pixel = None  # (row, column) of the pixel that stays when the patches' size changes
        super().__init__(**state)

    def along(self, moved):
        state = self.state
        before, after = state["patch_size"], moved.get("patch_size", state["patch_size"])
        if {"picture", "row", "column"} & moved.keys():
            self.pixel = None
        elif after != before and isinstance(after, int) and after > 0:
            middle = (state[name] * before + before // 2 for name in ("row", "column"))
            sides = PICTURES[state["picture"]][0]
            last = (side - 1 for side in sides)
            self.pixel = self.pixel or tuple(map(min, middle, last))
            return moved | {"row": self.pixel[0] // after, "column": self.pixel[1] // after}
        return moved

    def controls(self):
        names = {
            f"{name}, {height} x {width}": name for name, ((height, width), _) in PICTURES.items()
        }
        return {
            "picture": Choice("picture", list(names.items()), "photograph"),
            "patch_size": Number("patch size P", 4, 1, 32),
            "row": Number("row", 53, 0, 255),
            "column": Number("column", 44, 0, 223),
        }

    def bounds(self, picture, patch_size, **others):
        size, largest = PICTURES[picture]
        h, w = grid_of(*size, min(patch_size, largest))
        return {"patch_size": (1, largest), "row": (0, h - 1), "column": (0, w - 1)}
