"""The feature pyramid and the segmenter, against torchvision and by property; IoU by counting."""

import math

import pytest
import torch
from oracles import randomise
from torchvision.ops import FeaturePyramidNetwork

from swinlib import FeaturePyramid, SwinSegmenter, SwinTransformer, intersection_over_union
from swinlib.training import parameter_groups

WIDTHS = (4, 8, 16)


def make_backbone(**options):
    torch.manual_seed(0)
    given = {"embed_dim": 4, "depths": (1, 1, 1), "num_heads": (1, 2, 4), "window_size": 4}
    return SwinTransformer(**given | {"out_indices": (0, 1, 2)} | options)


def make_maps(sizes, batch=2):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, width, *size, generator=generator)
        for width, size in zip(WIDTHS, sizes, strict=False)
    ]


@pytest.mark.parametrize(
    "sizes",
    [
        [(8, 8), (4, 4), (2, 2)],
        [(13, 10), (7, 5), (4, 3)],
        [(1, 9), (1, 5), (1, 3)],
        [(3, 2), (2, 1), (1, 1)],
        [(6, 4)],
    ],
)
def test_equal_to_torchvision(sizes):
    widths = WIDTHS[: len(sizes)]
    ours = FeaturePyramid(widths, 6)
    theirs = randomise(FeaturePyramidNetwork(list(widths), 6))  # else its biases are 0
    for i in range(len(widths)):
        ours.lateral[i].load_state_dict(theirs.inner_blocks[i][0].state_dict())
        ours.smooth[i].load_state_dict(theirs.layer_blocks[i][0].state_dict())
    maps = make_maps(sizes)
    wanted = theirs({str(i): x for i, x in enumerate(maps)}).values()
    for got, right in zip(ours(maps), wanted, strict=True):
        torch.testing.assert_close(got, right)


def test_maps_that_came_in_stay_as_they_were():
    maps = make_maps([(8, 8), (4, 4), (2, 2)])
    before = [x.clone() for x in maps]
    FeaturePyramid(WIDTHS, 6)(maps)
    assert all(torch.equal(x, y) for x, y in zip(maps, before, strict=True))


def test_without_smoothing_no_places_are_mixed():
    maps = make_maps([(8, 8), (4, 4), (2, 2)], batch=1)
    for smooth, wanted in ((False, 1), (True, 9)):
        pyramid = FeaturePyramid(WIDTHS, 6, smooth=smooth)
        x = maps[0].clone().requires_grad_()
        pyramid([x, *maps[1:]])[0][0, :, 3, 4].sum().backward()
        assert (x.grad[0].abs().sum(0) > 0).sum() == wanted


@pytest.mark.parametrize("H, W", [(32, 32), (37, 50), (4, 61)])
def test_scores_for_every_token(H, W):
    backbone = make_backbone(drop_path_rate=0.0)
    model, x = SwinSegmenter(backbone, num_classes=7, dim=6), torch.randn(2, 3, H, W)
    scores = model(x)
    assert scores.shape == (2, 7, math.ceil(H / 4), math.ceil(W / 4))
    finest = model.pyramid(model.backbone(x))[0]
    torch.testing.assert_close(scores, model.classifier(finest.clamp(min=0)))
    scores.sum().backward()
    unused = [name for name, w in model.named_parameters() if w.grad is None]
    assert unused == [f"pyramid.smooth.{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")]


def test_a_backbone_may_give_some_of_its_maps():
    for indices, side in (((0,), 8), ((2,), 2), ((1, 2), 4)):
        model = SwinSegmenter(make_backbone(out_indices=indices), num_classes=3)
        assert model(torch.randn(1, 3, 32, 32)).shape == (1, 3, side, side)


def test_what_must_not_decay_does_not():
    model = SwinSegmenter(make_backbone(ape=True, img_size=32), num_classes=3)
    decay, keep = parameter_groups(model, 0.1)
    kept = {id(w) for w in keep["params"]}
    for name, weight in model.named_parameters():
        spared = weight.ndim <= 1 or "bias_table" in name or "absolute_pos_embed" in name
        assert (id(weight) in kept) == spared, name
    named = {n for n, _ in model.named_parameters() if "bias_table" in n or "absolute_pos" in n}
    assert model.no_weight_decay() == named
    assert model.no_weight_decay_keywords() == {"relative_position_bias_table"}


def test_refusals():
    with pytest.raises(ValueError, match="out_indices"):
        SwinSegmenter(SwinTransformer(embed_dim=4, depths=(1,), num_heads=(1,)), 3)
    with pytest.raises(TypeError, match="SwinTransformer, got torch.*Linear"):
        SwinSegmenter(torch.nn.Linear(2, 2), 3)
    with pytest.raises(ValueError, match="num_classes"):
        SwinSegmenter(make_backbone(), 0)
    with pytest.raises(ValueError, match="in_channels"):
        FeaturePyramid((4, 0), 6)
    with pytest.raises(TypeError, match="smooth"):
        FeaturePyramid(WIDTHS, 6, smooth="no")
    with pytest.raises(ValueError, match="maps must be 3"):
        FeaturePyramid(WIDTHS, 6)(make_maps([(8, 8), (4, 4)]))
    with pytest.raises(ValueError, match=r"\(K, K\), got \(2, 3\)"):
        intersection_over_union(torch.zeros(2, 3))


def test_iou_by_counting():
    generator = torch.Generator().manual_seed(0)
    found, wanted = torch.randint(0, 4, (2, 500), generator=generator)
    confusion = torch.zeros(5, 5, dtype=torch.int64)
    for f, w in zip(found.tolist(), wanted.tolist(), strict=True):
        confusion[w, f] += 1
    got = intersection_over_union(confusion)
    assert got.dtype == torch.float64 and got.shape == (5,)
    for c in range(4):
        a = {n for n in range(500) if found[n] == c}
        b = {n for n in range(500) if wanted[n] == c}
        assert got[c] == len(a & b) / len(a | b)
    assert got[4].isnan()
