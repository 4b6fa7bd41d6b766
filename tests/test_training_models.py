"""The baselines that Swin is compared with."""

import pytest
import torch
from torch import nn
from training_runs import TINY, run

from swinlib import SwinTransformer
from swinlib.training import TrainConfig, build_model, preset
from swinlib.training.models import BASELINES


def size(model):
    return sum(weight.numel() for weight in model.parameters())


def kinds(model):
    return {type(module) for module in model.modules()}


def test_each_is_what_its_name_says():
    models = {name: build_model(TrainConfig(model=name), 10).eval() for name in BASELINES}
    x = torch.randn(2, 3, 32, 32)
    assert all(model(x).shape == (2, 10) for model in models.values())
    zeros = torch.zeros_like(x)
    linear = models["linear"]
    assert torch.allclose(linear(2 * x) - linear(zeros), 2 * (linear(x) - linear(zeros)), atol=1e-5)
    assert nn.Conv2d in kinds(models["cnn"]) and nn.MultiheadAttention not in kinds(models["cnn"])
    assert nn.MultiheadAttention in kinds(models["vit"])
    assert not kinds(models["vit"]) & kinds(build_model(TrainConfig(), 10)) & {SwinTransformer}


def test_about_as_large_as_the_laptop_preset():
    config = preset("laptop")
    swin = size(build_model(config, 10))
    for name in ("cnn", "vit"):
        assert 0.6 * swin < size(build_model(config.replace(model=name), 10)) < 1.5 * swin


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_trains(name, optimizer):
    config = TINY.replace(model=name, optimizer=optimizer, learning_rate=2e-3, epochs=8)
    losses = [record["train_loss"] for record in run(config).history]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("size", [(30, 30), (32, 64)])
def test_a_vision_transformer_says_which_pictures_it_takes(size):
    with pytest.raises(ValueError, match=rf"model='vit' with pictures of {size[0]}x{size[1]} pix"):
        build_model(TrainConfig(model="vit"), 10, size)


def test_nothing_else():
    with pytest.raises(ValueError, match="model='resnet', wanted 'swin' or 'linear' or"):
        TINY.replace(model="resnet")
