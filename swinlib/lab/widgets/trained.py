"""Lesson 08's explorer: where a trained model looks, and what its scores are made of."""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib import (
    AttentionRecord,
    SwinTransformer,
    SwinTransformerBlock,
    cyclic_shift,
    pad_to_multiple,
    record_attention,
    relative_position_bias,
    shifted_window_mask,
    window_partition,
)
from swinlib.lab.drawing import GREY, WHITE, Drawing, Part, hex_colour, on, part, runs
from swinlib.lab.style import ACCENT, CALM, INK, MASKED, PALE
from swinlib.lab.widgets.explorer import Explorer, Number
from swinlib.training import normalise

REMEMBERED = 16  # pictures whose forward pass is kept
LARGEST_PICTURE = 192  # pixels that are drawn of its longer side
PANEL, SMALL, TOP = 264, 208, 30  # pixels: a picture, a window, the place of the first row
BELOW = TOP + PANEL + 58  # where the second row begins
SIGNS = 44  # pixels between two windows, for a plus sign
WIDTH = 4 * SMALL + 3 * SIGNS + 16
WEIGHT = "#009e73"


@dataclass
class Split:
    """One query's scores in one head, and what they are made of; N keys, those of its window.

    ``softmax(content + bias + mask)`` is `weights`, to rounding.

    Attributes:
        query: the query's number in the window.
        content: (N,), query times key, scaled.
        bias: (N,), the relative position bias.
        mask: (N,), 0 or -100.
        weights: (N,), as recorded.
        keys: (row, column) of every key on the map; None for padding.
        on_map: (H, W), the weights laid back on the map.
    """

    query: int
    content: Tensor
    bias: Tensor
    mask: Tensor
    weights: Tensor
    keys: list[tuple[int, int] | None]
    on_map: Tensor


@dataclass
class BlockPass:
    """What one block did with one picture.

    Attributes:
        record: its attention.
        q, k: ``(num_windows, num_heads, N, head_dim)``, q with the scale.
        bias: ``(num_heads, N, N)``.
    """

    record: AttentionRecord
    q: Tensor
    k: Tensor
    bias: Tensor

    def split(self, row: int, column: int, head: int) -> Split:
        """The scores of the token at (row, column) of the block's map."""
        record = self.record
        window, query = record.locate(row, column)
        H, W = record.grid_size
        numbers, masks = _windows(H, W, record.window_size, record.shift_size)
        return Split(
            query,
            self.q[window, head, query] @ self.k[window, head].T,
            self.bias[head, query],
            masks[window, query],
            record.weights[0, window, head, query],
            [divmod(number, W) if number >= 0 else None for number in numbers[window].tolist()],
            record.map_of(row, column)[0, head],
        )


@lru_cache(maxsize=32)
def _windows(H, W, window_size, shift_size) -> tuple[Tensor, Tensor]:
    """Every window's tokens by number on the map, -1 for padding, (num_windows, N); the masks."""
    numbers = pad_to_multiple(torch.arange(1, H * W + 1).view(1, H, W, 1), window_size)
    rolled = cyclic_shift(numbers, shift_size)
    mask = shifted_window_mask(*numbers.shape[1:3], window_size, shift_size)
    return window_partition(rolled, window_size).flatten(1) - 1, mask


@dataclass
class ForwardPass:
    """One picture through the model.

    Attributes:
        pictures: for every stage (3, h, w) from 0 to 1, padded with white to whole tokens; large
            ones smaller.
        stages: the blocks of every stage.
        probabilities: (num_classes,), or None for a model without a head.
    """

    pictures: list[Tensor]
    stages: list[list[BlockPass]]
    probabilities: Tensor | None

    @classmethod
    def of(cls, model: SwinTransformer, image: Tensor, mean, std) -> "ForwardPass":
        """Send one picture (3, H, W) of uint8 through the model, and keep what its blocks did."""
        blocks = {n: m for n, m in model.named_modules() if isinstance(m, SwinTransformerBlock)}
        qkv: dict[str, Tensor] = {}

        def keep(name):
            def hook(linear, args, out):
                qkv[name] = out.detach()

            return hook

        handles = [b.attn.qkv.register_forward_hook(keep(name)) for name, b in blocks.items()]
        training = {module: module.training for module in model.modules()}
        device = next(model.parameters()).device
        try:
            model.eval()
            with torch.inference_mode(), record_attention(model) as records:
                logits = model(normalise(image[None].to(device), mean, std))[0]
        finally:
            for handle in handles:
                handle.remove()
            for module, mode in training.items():
                module.training = mode
        stages = []
        for i, layer in enumerate(model.layers):
            names = [f"layers.{i}.blocks.{j}" for j in range(len(layer.blocks))]
            stages.append([_block_pass(blocks[n].attn, records[n], qkv[n]) for n in names])
        probabilities = logits.float().softmax(-1).cpu() if model.num_classes else None
        patch_size = model.patch_embed.patch_size
        return cls(
            [_canvas(image, patch_size, i) for i in range(len(stages))], stages, probabilities
        )


@torch.inference_mode()
def _block_pass(attn, record: AttentionRecord, qkv: Tensor) -> BlockPass:
    qkv = qkv.float().cpu().unflatten(-1, (3, attn.num_heads, -1))  # (num_windows, N, 3, heads, d)
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)
    bias = relative_position_bias(attn.relative_position_bias_table, attn.relative_position_index)
    record.weights = record.weights.float().cpu()
    return BlockPass(record, q * attn.scale, k, bias.float().cpu())


def _canvas(image: Tensor, patch_size: tuple[int, int], stage: int) -> Tensor:
    """A picture of bytes as numbers from 0 to 1, padded with white to whole tokens of a stage."""
    token_h, token_w = (side << stage for side in patch_size)  # every merging doubles them
    pixels = image.cpu().float() / 255
    _, H, W = pixels.shape
    pixels = F.pad(pixels, (0, -W % token_w, 0, -H % token_h), value=1.0)
    factor = LARGEST_PICTURE / max(pixels.shape)
    if factor < 1:
        size = [max(1, round(factor * side)) for side in pixels.shape[1:]]
        pixels = F.interpolate(pixels[None], size=size, mode="area")[0]
    return pixels


def draw_trained_attention(
    seen: ForwardPass,
    picture: int = 0,
    stage: int = 1,
    block: int = 1,
    head: int = 0,
    row: int = 0,
    column: int = 0,
    class_names: tuple[str, ...] | None = None,
) -> Drawing:
    """The picture, where one of its places looks, and the score of every key in three parts.

    Args:
        seen: the picture's forward pass.
        picture: its number, for the caption.
        stage, block: counted from 1.
        head: counted from 0.
        row, column: of the place that looks, in patches; the stage's token that holds it is asked.
        class_names: of the model's classes.
    """
    facts = seen.stages[stage - 1][block - 1]
    H, W = facts.record.grid_size
    # Every merging lets 2 x 2 tokens become one.
    place = (row >> (stage - 1), column >> (stage - 1))
    split = facts.split(*place, head)
    drawing = Drawing(WIDTH, BELOW + 40 + SMALL + 12)
    answer = _answer(seen.probabilities, class_names)
    drawing.text(8, 14, f"picture {picture}{': ' + answer if answer else ''}", 13, "start")
    sh, sw = facts.record.shift_size
    shifted = f", shifted by {sh}, {sw}" if sh or sw else ""
    title = f"stage {stage}, block {block}{shifted}, head {head}"
    cell = PANEL / max(H, W)
    canvas = seen.pictures[stage - 1]
    _draw_picture(drawing, 8, cell, canvas, split, place, H, W)
    x = 8 + PANEL + 26
    drawing.text(x, 14, title, 13, "start")
    _draw_looks(drawing, x, cell, canvas, split, place, H, W)
    said = [_token((i, j), stage) for i in range(H) for j in range(W)]
    for panel, at in (("picture", 8), ("where it looks", x)):
        drawing.touch(panel, at, TOP, cell, None, H, W, said)
    _draw_choices(drawing, x, picture, head, len(facts.bias))
    _draw_keys(drawing, x + PANEL + 30, split, stage)
    _draw_split(drawing, split, facts.record.window_size, facts.record.shift_size, stage)
    drawing.caption = _caption(split, facts.record, picture, stage, block, head, place, answer)
    return drawing


def _token(key: tuple[int, int] | None, stage: int) -> Part:
    """What a token of a stage's map stands for; a click asks it."""
    if key is None:
        return Part(name="padding")
    sets = {name: n << (stage - 1) for name, n in zip(("row", "column"), key, strict=True)}
    return part(f"token in row {key[0]} and column {key[1]}", sets, token=key)


def _draw_choices(drawing, x, picture, head, heads) -> None:
    """The pictures before and after this one, and the block's heads, to be clicked."""
    for words, step, at in (("◀", -1, 8 + PANEL - 40), ("▶", 1, 8 + PANEL - 18)):
        drawing.text(at + 9, 14, words, 13, fill=CALM)
        name = "the picture before" if step < 0 else "the next picture"
        said = [part(name, {"picture": picture + step})]
        drawing.touch(name, at, 4, 20, None, said)
    y = TOP + PANEL + 32
    drawing.text(x, y, "heads", 11, "start", GREY)
    side = min(18, (PANEL - 44) / heads)
    fills = [[CALM if number == head else PALE for number in range(heads)]]
    numbers = [[str(number) for number in range(heads)]] if side >= 12 else None
    drawing.grid(x + 40, y - side / 2, side, fills, numbers)
    said = [part(f"head {number}", {"head": number}) for number in range(heads)]
    drawing.touch("heads", x + 40, y - side / 2, side, None, 1, said)


def _answer(probabilities: Tensor | None, class_names) -> str:
    """What the model takes the picture for."""
    if probabilities is None:
        return ""
    best = int(probabilities.argmax())
    name = class_names[best] if class_names else f"class {best}"
    return f"taken for {name} ({probabilities[best]:.0%})"


def _draw_picture(drawing, x, cell, canvas, split, place, H, W) -> None:
    """The picture with the query, and the outline of the tokens that share its window."""
    _image(drawing, x, cell, canvas, H, W)
    drawing.rect(x, TOP, W * cell, H * cell, stroke=GREY)
    _outline(drawing, x, cell, split)
    _frame(drawing, x, cell, place)
    words = "orange: the query; white: its window"
    drawing.text(x, TOP + H * cell + 14, words, 11, "start", GREY)


def _draw_looks(drawing, x, cell, canvas, split, place, H, W) -> None:
    """The picture again: the more a token is looked at, the more of it shows."""
    shows = split.on_map / split.on_map.max().clamp(min=1e-9)
    _image(drawing, x, cell, canvas, H, W)
    for i, line in enumerate((0.9 * (1 - shows)).tolist()):
        for _, j, _, columns, pale in runs([line]):  # equal neighbours lie under one veil
            drawing.rect(x + j * cell, TOP + i * cell, columns * cell, cell, WHITE, opacity=pale)
    drawing.rect(x, TOP, W * cell, H * cell, stroke=GREY)
    _outline(drawing, x, cell, split, "#8894a0")
    _frame(drawing, x, cell, place)
    if cell >= 24:  # room for a number in every token
        size = min(11, 0.34 * cell)
        for key in split.keys:
            if key is None:
                continue
            percent = f"{100 * split.on_map[key]:.0f}"
            middle = x + (key[1] + 0.5) * cell, TOP + (key[0] + 1) * cell - 0.9 * size
            half = 0.36 * size * len(percent) + 1
            drawing.rect(middle[0] - half, middle[1] - 0.55 * size, 2 * half, 1.1 * size, "#ffffff")
            drawing.text(*middle, percent, size)
    words = "what shows is where it looks" + (", in %" if cell >= 24 else "")
    drawing.text(x, TOP + H * cell + 14, words, 11, "start", GREY)


def _image(drawing, x, cell, canvas, H, W) -> None:
    pixelated = max(canvas.shape) <= LARGEST_PICTURE // 2
    drawing.image(x, TOP, W * cell, H * cell, canvas, pixelated)


def _frame(drawing, x, cell, place) -> None:
    with drawing.moving(f"query at {x}"):
        drawing.frame(x + place[1] * cell, TOP + place[0] * cell, cell, cell, ACCENT)


def _outline(drawing, x, cell, split, colour="#ffffff") -> None:
    """A line around the tokens of the window, wherever they lie on the map."""
    tokens = {key for key in split.keys if key is not None}
    edges = []
    for i, j in tokens:
        left, top, right, bottom = x + j * cell, TOP + i * cell, x + (j + 1) * cell, 0
        bottom = top + cell
        for neighbour, edge in (
            ((i - 1, j), (left, top, right, top)),
            ((i + 1, j), (left, bottom, right, bottom)),
            ((i, j - 1), (left, top, left, bottom)),
            ((i, j + 1), (right, top, right, bottom)),
        ):
            if neighbour not in tokens:
                edges.append(edge)
    for line, stroke in ((3.6, INK), (1.8, colour)) if colour == "#ffffff" else ((1.8, colour),):
        for edge in sorted(edges):
            drawing.line(*edge, stroke, line)


def _draw_keys(drawing, x, split, stage) -> None:
    """The keys that are looked at most, with their sums."""
    drawing.text(x, 14, "the keys it looks at most", 13, "start")
    columns = [*(x + right for right in (62, 128, 186, 248, 318)), WIDTH - 8]
    names = ("key", "content", "+ bias", "+ mask", "= score", "weight")
    for right, name in zip(columns, names, strict=True):
        drawing.text(right, TOP + 12, name, 11.5, "end", GREY)
    drawing.line(x, TOP + 25, WIDTH - 8, TOP + 25, line=1.2)
    most = split.weights.argsort(descending=True, stable=True)[:8].tolist()
    said = [_token(split.keys[n], stage) for n in most]
    drawing.touch("the keys it looks at most", x, TOP + 28, WIDTH - 8 - x, 24, said)
    for line, n in enumerate(most):
        y = TOP + 40 + 24 * line
        key = split.keys[n]
        name = "padding" if key is None else f"({key[0]}, {key[1]})"
        parts = [split.content[n], split.bias[n], split.mask[n]]
        cells = [name, *(_number(float(part)) for part in parts), _number(float(sum(parts)))]
        for right, text in zip(columns, [*cells, f"{split.weights[n]:.1%}"], strict=True):
            drawing.text(right, y, text, 12, "end", bold=right == columns[-1])
    y = TOP + 40 + 24 * len(most)
    if len(most) < len(split.weights):
        rest = len(split.weights) - len(most)
        share = float(split.weights.sum() - split.weights[most].sum())
        drawing.text(x, y, f"{rest} more keys", 11.5, "start", GREY)
        drawing.text(WIDTH - 8, y, f"{max(share, 0):.1%}", 11.5, "end", GREY)


def _draw_split(drawing, split, window_size, shift_size, stage) -> None:
    """Four windows: content + bias + mask, and the weights that the softmax makes of them."""
    mh, mw = window_size
    cell = SMALL / max(mh, mw)
    rolled = ", after the roll" if any(shift_size) else ""
    padding = "; dashed: padding" if None in split.keys else ""
    words = f"the same in the window of {mh} x {mw}, as the block sees it{rolled}{padding}"
    drawing.text(8, BELOW - 8, words, 13, "start")
    largest = max(float(split.content.abs().max()), float(split.bias.abs().max()), 1e-9)
    digits = 2 if cell >= 40 else 1
    percent = [f"{100 * weight:.0f}" for weight in split.weights.tolist()]
    top = float(split.weights.max())
    for number, (title, values, fills, texts) in enumerate(
        [
            ("content: q · k, scaled", split.content, None, None),
            ("relative position bias", split.bias, None, None),
            (
                "mask",
                split.mask,
                [MASKED if value < 0 else WHITE for value in split.mask.tolist()],
                [f"{value:.0f}" for value in split.mask.tolist()],
            ),
            (
                "weights, in %",
                split.weights,
                [hex_colour(WEIGHT, weight / top) for weight in split.weights.tolist()],
                percent,
            ),
        ]
    ):
        x, y = 8 + number * (SMALL + SIGNS), BELOW + 34
        drawing.text(x, y - 14, title, 12, "start", bold=True)
        if fills is None:
            fills = [_signed_fill(value / largest) for value in values.tolist()]
            texts = [_number(value, digits) for value in values.tolist()]
        rows = [fills[i * mw : (i + 1) * mw] for i in range(mh)]
        frames = [((*divmod(split.query, mw), 1, 1), ACCENT)]
        drawing.grid(x, y, cell, rows, frames=frames)
        size = min(12, 0.4 * cell, 1.38 * cell / max(len(text) for text in texts))
        for n, text in enumerate(texts if size >= 6 else ()):
            middle = x + (n % mw + 0.5) * cell, y + (n // mw + 0.5) * cell
            drawing.text(*middle, text, size, fill=on(fills[n]))
        said = [_token(key, stage) for key in split.keys]
        drawing.touch(title, x, y, cell, None, mh, mw, said)
        for n, key in enumerate(split.keys):
            if key is None:
                corner = x + n % mw * cell + 2, y + n // mw * cell + 2
                drawing.rect(*corner, cell - 4, cell - 4, stroke=GREY, dash=True)
        if number < 3:
            middle = x + SMALL + SIGNS / 2, y + mh * cell / 2
            if number < 2:
                drawing.text(*middle, "+", 20)
            else:
                drawing.text(middle[0], middle[1] - 12, "softmax", 10)
                drawing.arrow(middle[0] - 16, middle[1], middle[0] + 16, middle[1])


def _signed_fill(share: float) -> str:
    """White at 0, orange towards 1, blue towards -1."""
    return hex_colour(ACCENT if share > 0 else CALM, 0.75 * min(abs(share), 1))


def _number(value: float, digits: int = 2) -> str:
    """With its sign; a mask of 0 or -100 without digits."""
    if value in (0, -100):
        return f"{value:.0f}"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def _caption(split, record, picture, stage, block, head, place, answer) -> str:
    """The present state in sentences."""
    (H, W), (sh, sw) = record.grid_size, record.shift_size
    most = int(split.weights.argmax())
    key = split.keys[most]
    if key is None:
        target = "a padding token"
    elif most == split.query:
        target = "itself"
    else:
        target = f"the token at {key}"
    shifted = f"shifted by {sh} and {sw}" if sh or sw else "not shifted"
    words = [
        f"Picture {picture}{', ' + answer if answer else ''}. Stage {stage}, block {block} "
        f"({shifted}), head {head}: the token at {place} of the {H} x {W} map looks most at "
        f"{target}, with {split.weights[most]:.1%}: content {_number(float(split.content[most]))}, "
        f"bias {_number(float(split.bias[most]))}, mask {_number(float(split.mask[most]))}."
    ]
    masked, N = int((split.mask < 0).sum()), len(split.mask)
    words.append(f"{masked} of its {N} keys are masked." if masked else f"None of {N} is masked.")
    padding = [n for n, key in enumerate(split.keys) if key is None]
    if padding:
        share = float(split.weights[padding].sum())
        words.append(f"{len(padding)} are padding and take {share:.1%} of its weights.")
    return " ".join(words)


class TrainedAttentionExplorer(Explorer):
    """A trained model under your hand: choose a place of a picture, and see where it looks and why.

    One forward pass for each picture, remembered; make a new explorer after training on.

    Args:
        model: a `SwinTransformer`, such as ``train(...).model``.
        images: ``(N, 3, H, W)`` of uint8.
        class_names: of the model's classes.
        mean, std: three numbers each, as the model was trained with (`ImageSet.mean`, `.std`).
        **state: picture, stage, block, head, row, column (see `draw_trained_attention`).

    Raises:
        ValueError: images of another shape, or none; another number of names than classes.
        TypeError: images that are not uint8.
    """

    draw = staticmethod(draw_trained_attention)

    def __init__(
        self,
        model: SwinTransformer,
        images: Tensor,
        class_names: tuple[str, ...] | None = None,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.25, 0.25, 0.25),
        **state,
    ):
        if images.ndim != 4 or images.shape[1] != 3 or not len(images):
            raise ValueError(f"images must be (N, 3, H, W), got shape {tuple(images.shape)}")
        if images.dtype != torch.uint8:
            raise TypeError(f"images must be uint8, got {images.dtype}")
        if class_names is not None and len(class_names) != model.num_classes:
            raise ValueError(
                f"class_names must be {model.num_classes}, one for each class, "
                f"got {len(class_names)}"
            )
        self.model, self.images, self.class_names = model, images, class_names
        self.seen = lru_cache(maxsize=REMEMBERED)(
            lambda picture: ForwardPass.of(model, images[picture], mean, std)
        )
        super().__init__(**state)

    def controls(self):
        first = self.seen(0).stages[0]
        H, W = first[0].record.grid_size
        return {
            "picture": Number("picture", 0, 0, len(self.images) - 1),
            "stage": Number("stage", 1, 1, len(self.model.layers)),
            "block": Number("block", min(2, len(first)), 1, len(first)),
            "head": Number("head", 0, 0, len(first[0].bias) - 1),
            "row": Number("place, row", (H - 1) // 2, 0, H - 1),
            "column": Number("place, column", (W - 1) // 2, 0, W - 1),
        }

    def bounds(self, stage, **others):
        layer = self.model.layers[stage - 1]
        heads = layer.blocks[0].attn.num_heads
        return {"block": (1, len(layer.blocks)), "head": (0, heads - 1)}

    def picture(self, state):
        seen = self.seen(state["picture"])
        return draw_trained_attention(seen, **state, class_names=self.class_names)
