"""The whole model against torchvision's, with one set of weights."""

import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from oracles import randomise, relative_error, torchvision_key

import swinlib
from swinlib import load_pretrained, record_attention

SIZES = [
    (224, 224),
    (256, 256),
    (224, 448),  # last stage 7x14: one axis shifts, the other does not
    (225, 190),  # nothing divides
    (64, 48),
    (33, 57),
    (9, 11),  # smaller than one window
    (1, 1),
]


@pytest.fixture(scope="module", params=["swin_t", "swin_s", "swin_b"])
def models(request):
    """torchvision's model and ours with its weights; built once, since they are large."""
    ours_of = {"swin_t": "swin_tiny", "swin_s": "swin_small", "swin_b": "swin_base"}
    theirs = randomise(getattr(torchvision.models, request.param)()).eval()
    ours = getattr(swinlib, ours_of[request.param])().eval()
    assert load_pretrained(ours, theirs.state_dict()) is ours
    return theirs, ours


def padded(images):
    """torchvision's patch embedding drops what its patches do not fit, ours pads."""
    H, W = images.shape[2:]
    return F.pad(images, (0, -W % 4, 0, -H % 4))


def batch(size):
    """Two pictures where that costs little: a batch must not mix up windows and masks."""
    return torch.randn(2 if size[0] * size[1] < 10_000 else 1, 3, *size)


at_all_sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@at_all_sizes
@torch.inference_mode()
def test_output_equals_torchvisions(models, size):
    theirs, ours = models
    images = batch(size)
    assert relative_error(ours(images), theirs(padded(images))) < 1e-5


@at_all_sizes
@pytest.mark.parametrize("models", ["swin_t"], indirect=True)
@torch.inference_mode()
def test_explicit_path_equals_torchvisions_bit_for_bit(models, size):
    """It computes the same things in the same order, so not even rounding differs."""
    theirs, ours = models
    images = batch(size)
    with record_attention(ours):
        assert torch.equal(ours(images), theirs(padded(images)))


@torch.inference_mode()
def test_every_stage_equals_torchvisions(models):
    theirs, ours = models
    images = torch.randn(2, 3, 33, 57)
    stages = ours.forward_stages(images)
    x = theirs.features[0](padded(images))
    for stage, blocks in enumerate(theirs.features[1::2]):
        if stage:
            x = theirs.features[2 * stage](x)  # the merging before it
        x = blocks(x)
        assert relative_error(stages[stage], x.permute(0, 3, 1, 2)) < 1e-5


@pytest.mark.parametrize("models", ["swin_t"], indirect=True)
def test_gradients_equal_torchvisions(models):
    theirs, ours = models
    images, weight = torch.randn(2, 3, 66, 90), torch.randn(2, 1000)
    for model in models:
        model.zero_grad()
    ours_images = images.clone().requires_grad_()
    theirs_images = images.clone().requires_grad_()
    (ours(ours_images) * weight).sum().backward()
    (theirs(padded(theirs_images)) * weight).sum().backward()

    assert relative_error(ours_images.grad, theirs_images.grad) < 1e-4
    wanted = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        gradient = wanted.pop(torchvision_key(name)).grad
        assert gradient.abs().max() > 0
        assert relative_error(p.grad, gradient) < 1e-4, name
    assert not wanted  # every parameter of theirs has met one of ours
