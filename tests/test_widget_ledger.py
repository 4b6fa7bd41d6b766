"""The widget of lesson 07, against loops and against the real models."""

import re
from math import ceil

import pytest
import torch

pytest.importorskip("ipywidgets")

from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib import SwinTransformer, model_flops, swin_base, swin_large, swin_small  # noqa: E402
from swinlib import swin_tiny as tiny  # noqa: E402
from swinlib.lab.drawing import short  # noqa: E402
from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets.ledger import (  # noqa: E402
    SIZES,
    ShapeLedger,
    draw_ledger,
    ledger,
    meta_model,
)

DEPTHS = {"tiny": (2, 2, 6, 2), "small": (2, 2, 18, 2), "base": (2, 2, 18, 2)}
DEPTHS["large"] = DEPTHS["base"]
CHANNELS = {"tiny": 96, "small": 96, "base": 128, "large": 192}
SETTINGS = [  # height, width, P, M, size
    (224, 224, 4, 7, "tiny"),
    (256, 256, 4, 7, "tiny"),
    (225, 190, 4, 12, "large"),
    (96, 640, 8, 5, "small"),
    (1, 1, 16, 16, "base"),
    (1024, 1024, 1, 1, "tiny"),
    (1024, 3, 1, 8, "small"),
]


def stages_by_hand(height, width, P, M, size):
    """(h, w), channels, padded (h, w), windows, shift in use, of the four stages."""
    h, w, C = ceil(height / P), ceil(width / P), CHANNELS[size]
    for _ in range(4):
        padded = (ceil(h / M) * M, ceil(w / M) * M)
        shift = tuple(M // 2 if side > M else 0 for side in padded)
        yield (h, w), C, padded, padded[0] // M * (padded[1] // M), shift
        h, w, C = ceil(h / 2), ceil(w / 2), 2 * C


@pytest.mark.parametrize("setting", SETTINGS)
def test_shapes_are_those_of_a_loop(setting):
    lines = ledger(*setting)
    assert [line.blocks for line in lines if line.blocks] == list(DEPTHS[setting[-1]])
    assert [bool(line.blocks) for line in lines] == [True, False] * 4
    by_hand = list(stages_by_hand(*setting))
    for stage, (size, C, padded, windows, shift) in zip(lines[::2], by_hand, strict=True):
        assert (stage.size, stage.dim, stage.padded) == (size, C, padded)
        assert (stage.windows, stage.shift, stage.heads) == (windows, shift, C // 32)
    for merging, (size, C, *_) in zip(lines[1:-1:2], by_hand[1:], strict=True):
        assert (merging.size, merging.dim) == (size, C)
    assert lines[-1].size is None


@pytest.mark.parametrize("setting", SETTINGS)
def test_counts_are_those_of_the_real_model(setting):
    height, width, P, M, size = setting
    named = {"tiny": tiny, "small": swin_small, "base": swin_base, "large": swin_large}
    with torch.device("meta"):
        model = named[size](patch_size=P, window_size=M)
    lines = ledger(*setting)
    assert sum(line.parameters for line in lines) == sum(p.numel() for p in model.parameters())
    assert sum(line.flops for line in lines) == model_flops(model, height, width)
    for number, layer in enumerate(model.layers):
        blocks = sum(p.numel() for block in layer.blocks for p in block.parameters())
        assert lines[2 * number].parameters == blocks
        if layer.downsample is not None:
            merging = sum(p.numel() for p in layer.downsample.parameters())
            assert lines[2 * number + 1].parameters == merging
    assert isinstance(model, SwinTransformer)


def test_the_paper_s_numbers():
    for size, count in (("tiny", 28_288_354), ("small", 49_606_258), ("base", 87_768_224)):
        assert sum(line.parameters for line in ledger(224, 224, size=size)) == count
    assert short(sum(line.flops for line in ledger(224, 224))) == "4.49 G"


def test_nothing_takes_memory_and_nothing_is_made_twice():
    model = meta_model("large", 4, 7)
    assert all(p.is_meta for p in model.parameters())
    assert meta_model("large", 4, 7) is model
    assert ledger(224, 224) is ledger(224, 224)


@pytest.mark.parametrize("setting", SETTINGS)
def test_drawing_says_what_the_loop_says(setting):
    height, width, P, M, size = setting
    drawing = draw_ledger(*setting)
    check_svg(drawing)
    written, caption = texts(drawing), drawing.caption
    by_hand = list(stages_by_hand(*setting))
    for number, ((h, w), C, padded, windows, shift) in enumerate(by_hand, start=1):
        assert f"stage {number}: {h} x {w} tokens" in written
        assert f"a window: {M * P * 2 ** (number - 1)} px a side" in written
        assert f"stage {number}: {DEPTHS[size][number - 1]} blocks" in written
        assert str(C) in written and f"{windows:,}" in written
        assert f"{shift[0]}, {shift[1]}" in written
        if padded != (h, w):
            assert f"{padded[0]} x {padded[1]}" in written
        if any(shift):
            assert f"{windows:,} x {M * M} x {M * M}" in written
    assert written.count("none") == sum(not any(shift) for *_, shift in by_hand)
    frames = rects(drawing, stroke=ACCENT)
    assert [f["width"] / frames[0]["width"] for f in frames] == pytest.approx([1, 2, 4, 8])
    lines = ledger(*setting)
    for line in lines:
        assert f"{line.parameters:,}" in written and short(line.flops) in written
    parameters = sum(line.parameters for line in lines)
    assert f"{parameters:,}" in written
    assert f"In all {parameters:,} parameters" in caption
    assert f"on {height} x {width} pixels in patches of {P}" in caption
    padding = any(size != padded for size, _, padded, *_ in by_hand)
    assert ("of all tokens in windows are padding" in caption) == padding
    still = [str(n) for n, (*_, shift) in enumerate(by_hand, 1) if not any(shift)]
    assert ("nothing is shifted" in caption) == bool(still)
    said = re.search(r"In stages? ([\d, and]+) (?:a|one) window", caption)
    assert (re.findall(r"\d", said[1]) if said else []) == still


def test_the_design_s_example():
    """256 x 256 with M = 7: 64 x 64 pads to 70 x 70, 100 windows, mask (100, 49, 49)."""
    written = texts(draw_ledger(256, 256))
    for text in ("64 x 64", "70 x 70", "100", "100 x 49 x 49", "14 x 14", "768"):
        assert text in written


def test_the_widget(tmp_path):
    move = {"size": "small", "height": 225, "width": 190, "patch_size": 8, "window_size": 12}
    check_widget(ShapeLedger(), move, tmp_path)
    widget = ShapeLedger(image_size=(120, 90), size="base")
    assert (widget.state["height"], widget.state["width"]) == (120, 90)
    assert ShapeLedger(**widget.state).state == widget.state
    assert [value for _, value in widget.parts["size"].options] == list(SIZES)


def test_any_state_can_be_drawn():
    check_states(ShapeLedger(), 8)


@pytest.mark.clock
def test_fast_enough():
    largest = {"height": 1024, "width": 1024, "patch_size": 1, "window_size": 16, "size": "large"}

    def draw_anew():  # as for a window that was not met before
        meta_model.cache_clear()
        ledger.cache_clear()
        draw_ledger(**largest).svg()

    check_time("07 ledger, a new window", draw_anew)
    heights = iter(range(1000, 1024))
    check_time("07 ledger, a new height", lambda: draw_ledger(next(heights), 1024).svg())
