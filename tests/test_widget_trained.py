"""The widget of lesson 08: the three parts of a score make the recorded weights."""

import itertools

import pytest
import torch

pytest.importorskip("ipywidgets")

from oracles import randomise  # noqa: E402
from widget_checks import check_states, check_svg, check_time, check_widget, rects, texts  # noqa: E402

from swinlib import SwinTransformer, record_attention  # noqa: E402
from swinlib.lab.style import ACCENT  # noqa: E402
from swinlib.lab.widgets.trained import (  # noqa: E402
    PANEL,
    TOP,
    ForwardPass,
    TrainedAttentionExplorer,
    draw_trained_attention,
)
from swinlib.training import normalise  # noqa: E402

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def make_model(**changes):
    settings = {"patch_size": 4, "embed_dim": 12, "depths": (2, 2), "num_heads": (2, 3)}
    settings |= {"window_size": 4, "num_classes": 5, "drop_path_rate": 0.5} | changes
    return randomise(SwinTransformer(**settings))


def make_images(n=3, height=32, width=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 3, height, width), generator=generator, dtype=torch.uint8)


CASES = {
    "as in lesson 08": ({}, (32, 32)),
    "odd sizes, with padding": ({"patch_size": 3, "window_size": (3, 4)}, (37, 50)),
    "no qkv bias, another scale": ({"qkv_bias": False, "qk_scale": 0.7}, (24, 48)),
    "no head, one window": ({"num_classes": 0, "window_size": 8}, (20, 32)),
}


@pytest.fixture(params=CASES)
def case(request):
    changes, size = CASES[request.param]
    return make_model(**changes), make_images(1, *size)[0]


def test_the_parts_make_the_recorded_weights(case):
    model, image = case
    seen = ForwardPass.of(model, image, MEAN, STD)
    model.eval()
    with torch.no_grad(), record_attention(model) as records:
        logits = model(normalise(image[None], MEAN, STD))[0]
    if model.num_classes:
        torch.testing.assert_close(seen.probabilities, logits.softmax(-1))
    masked = padded = 0
    for (i, layer), row_share in itertools.product(enumerate(model.layers), (0, 0.4, 0.99)):
        for j, head in itertools.product(range(len(layer.blocks)), range(3)):
            record = records[f"layers.{i}.blocks.{j}"]
            heads = record.weights.shape[2]
            (H, W), head = record.grid_size, head % heads
            row = int(row_share * H)
            for column in {0, W // 2, W - 1}:
                split = seen.stages[i][j].split(row, column, head)
                scores = split.content + split.bias + split.mask
                window, query = record.locate(row, column)
                wanted = record.weights[0, window, head, query]
                torch.testing.assert_close(scores.softmax(-1), wanted)
                torch.testing.assert_close(split.weights, wanted)
                assert split.query == query and split.keys[query] == (row, column)
                on_map = record.map_of(row, column)[0, head]
                torch.testing.assert_close(split.on_map, on_map)
                for weight, key in zip(split.weights, split.keys, strict=True):
                    padded += key is None
                    assert key is None or on_map[key] == weight
                masked += int((split.mask < 0).sum())
    assert masked or model.layers[0].blocks[0].window_size == (8, 8)
    assert padded or image.shape[1] not in (37, 20)


def test_the_content_is_query_times_key():
    """Once from the weights of the layer, with loops."""
    model, image = make_model(depths=(1,), num_heads=(2,)), make_images(1)[0]
    split = ForwardPass.of(model, image, MEAN, STD).stages[0][0].split(5, 2, 1)
    block = model.eval().layers[0].blocks[0]
    with torch.no_grad():
        x = block.norm1(model.forward_embed(normalise(image[None], MEAN, STD)))[0]
        weight, bias = block.attn.qkv.weight, block.attn.qkv.bias
        q = weight[6:12] @ x[5, 2] + bias[6:12]  # head 1 of 2, 12 channels
        for content, key in zip(split.content, split.keys, strict=True):
            k = weight[18:24] @ x[key] + bias[18:24]
            assert abs(content - q @ k / 6**0.5) < 1e-4
    assert split.keys == [(i, j) for i in range(4, 8) for j in range(4)]


def test_nothing_is_left_behind():
    model, image = make_model().train(), make_images(1)[0]
    model.layers[0].blocks[0].eval()
    before = [m.training for m in model.modules()]
    ForwardPass.of(model, image, MEAN, STD)
    assert [m.training for m in model.modules()] == before
    hooks = [h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks)]
    assert not any(hooks)
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError):  # also when the model refuses
        ForwardPass.of(model, image[:, :0], MEAN, STD)
    assert [m.training for m in model.modules()] == before
    assert not any(h for m in model.modules() for h in (m._forward_hooks, m._forward_pre_hooks))


def test_drawing_says_what_the_model_says(case):
    model, image = case
    seen = ForwardPass.of(model, image, MEAN, STD)
    H, W = seen.stages[0][0].record.grid_size
    names = tuple("abcde") if model.num_classes else None
    for stage, block, head in itertools.product((1, 2), (1, 2), (0, 1)):
        for row, column in ((0, 0), (H - 1, W - 1), (H // 2, W // 3)):
            drawing = draw_trained_attention(seen, 7, stage, block, head, row, column, names)
            check_svg(drawing)
            facts = seen.stages[stage - 1][block - 1]
            place = (row // 2 ** (stage - 1), column // 2 ** (stage - 1))
            split = facts.split(*place, head)
            N = len(split.weights)
            written, caption = texts(drawing), drawing.caption
            assert f"the token at {place} of the" in caption
            best = float(split.weights.max())
            assert f"with {best:.1%}" in caption and f"{best:.1%}" in written
            masked = int((split.mask < 0).sum())
            assert (f"{masked} of its {N} keys are masked" in caption) == bool(masked)
            padding = split.keys.count(None)
            assert (f"{padding} are padding" in caption) == bool(padding)
            assert len(rects(drawing, dash=True)) == 4 * padding
            # Two pictures and four windows show the query.
            frames = rects(drawing, stroke=ACCENT)
            cell = PANEL / max(split.on_map.shape)
            assert len(frames) == 6 and split.on_map.shape == facts.record.grid_size
            for left, frame in zip((8, 8 + PANEL + 26), frames, strict=False):
                assert frame["x"] == pytest.approx(left + place[1] * cell)
                assert frame["y"] == pytest.approx(TOP + place[0] * cell)
            assert f"{split.content[split.query]:+.2f}" in written or N > 16
            assert len([kind for kind, _ in drawing.shapes if kind == "image"]) == 2
            if model.num_classes:
                name = "abcde"[int(seen.probabilities.argmax())]
                assert f"Picture 7, taken for {name} (" in caption
            else:
                assert "taken for" not in caption


def test_no_setting_is_impossible():
    model = make_model(depths=(2, 1), num_heads=(4, 2), embed_dim=16)
    widget = TrainedAttentionExplorer(model, make_images(), mean=MEAN, std=STD, block=2, head=3)
    widget.touch(stage=2)
    assert widget.state["block"] == 1 and widget.state["head"] == 1
    assert (widget.parts["row"].high, widget.parts["column"].high) == (7, 7)
    check_svg(widget.drawing)


@pytest.mark.parametrize(
    ("images", "names", "error"),
    [
        (make_images().float(), None, TypeError),
        (make_images()[0], None, ValueError),
        (make_images()[:0], None, ValueError),
        (make_images()[:, :1], None, ValueError),
        (make_images(), ("one", "two"), ValueError),
    ],
)
def test_what_it_refuses(images, names, error):
    with pytest.raises(error):
        TrainedAttentionExplorer(make_model(), images, names)


def test_the_widget(tmp_path):
    widget = TrainedAttentionExplorer(make_model(), make_images(), tuple("abcde"), MEAN, STD)
    assert list(widget.state.values()) == [0, 1, 2, 0, 3, 3]
    move = {"picture": 2, "stage": 2, "block": 1, "head": 2, "row": 6, "column": 1}
    check_widget(widget, move, tmp_path, {"seen", "class_names"})
    widget = TrainedAttentionExplorer(make_model(), make_images(), **move)
    assert widget.state == move and "taken for class" in widget.drawing.caption
    check_states(widget, 10)


def test_one_pass_for_each_picture():
    model, passes = make_model(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    widget = TrainedAttentionExplorer(model, make_images(), tuple("abcde"), MEAN, STD)
    for picture, row in ((0, 5), (2, 5), (2, 1), (0, 1), (1, 1)):
        widget.set(picture=picture, row=row)
    assert len(passes) == 3


@pytest.mark.clock
def test_fast_enough():
    model = make_model(patch_size=2, window_size=8)
    image = make_images(1, 32, 32)[0]
    seen = ForwardPass.of(model, image, MEAN, STD)
    check_time("08 trained", lambda: draw_trained_attention(seen, row=7, column=15).svg())
    check_time("08 trained, a new picture", lambda: ForwardPass.of(model, image, MEAN, STD))
