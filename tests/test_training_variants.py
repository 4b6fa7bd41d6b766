"""Swin with a piece taken away, and with another stem."""

import copy
import json
import pickle

import pytest
import torch
from torch import nn

from swinlib.training import TrainConfig, build_model, parameter_groups
from swinlib.training.variants import TAKE_AWAY, ConvolutionalStem, take_away

CONFIG = TrainConfig(patch_size=2, embed_dim=8, depths=(2, 2), num_heads=(2, 2), init_std=0.3)


def variant(**changes):
    torch.manual_seed(0)
    return build_model(CONFIG.replace(**changes), 10)


def seen_by(model, row, column):
    """(32, 32) of bool: pixels that change one token behind the first stage's two blocks."""
    images = torch.randn(1, 3, 32, 32, requires_grad=True)
    x = model.layers[0].blocks(model.patch_embed(images))
    x[0, row, column].sum().backward()
    return images.grad[0].abs().sum(0) > 1e-9


def run_blocks(model):
    """nn.ModuleList is no nn.Sequential: give it a call for `seen_by`."""
    blocks = model.layers[0].blocks
    model.layers[0].blocks = torch.nn.Sequential(*blocks)
    return model


def test_the_whole_sees_beyond_its_window():
    assert seen_by(run_blocks(variant()), 3, 3).sum() == 16**2  # 8 x 8 tokens of 2 x 2 pixels


def test_without_a_shift_nothing_leaves_the_window():
    seen = seen_by(run_blocks(variant(without="shift")), 3, 3)
    assert seen.sum() == 8**2 and seen[:8, :8].all()


def test_without_the_mask_strangers_are_seen():
    whole = seen_by(run_blocks(variant()), 0, 0)
    seen = seen_by(run_blocks(variant(without="mask")), 0, 0)
    assert whole.sum() == 8**2
    assert seen[-8:, -8:].all() and seen.sum() > whole.sum()


def test_without_windows_everything_is_seen():
    assert seen_by(run_blocks(variant(without="windows")), 3, 3).all()


def test_without_windows_every_stage_has_one_window():
    model = variant(without="windows")
    sides = [[block.window_size for block in stage.blocks] for stage in model.layers]
    assert sides == [[(16, 16)] * 2, [(8, 8)] * 2]


def test_without_relative_bias_no_table_is_trained():
    model = variant(without="relative_bias")
    tables = [w for name, w in model.named_parameters() if "bias_table" in name]
    assert len(tables) == 4 and not any(table.any() for table in tables)
    trained = {id(w) for group in parameter_groups(model, 0.05) for w in group["params"]}
    assert not any(id(table) in trained for table in tables)


@pytest.mark.parametrize("piece", TAKE_AWAY)
def test_all_else_begins_as_in_the_whole(piece):
    whole, model = variant(), variant(without=piece)
    others = {n: w for n, w in model.named_parameters() if "relative" not in n}
    for name, weight in others.items():
        assert torch.equal(weight, whole.get_parameter(name)), name
    assert len(others) == len(list(whole.named_parameters())) - 4
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("patch_size", [2, 4, 8])
def test_a_convolutional_stem_makes_as_many_tokens(patch_size, deep):
    stem = ConvolutionalStem(patch_size, 3, 16, deep)
    strides = [m.stride[0] for m in stem.modules() if isinstance(m, nn.Conv2d)]
    assert strides == ([2, 1] if deep else [2]) * (patch_size.bit_length() - 1)
    assert stem(torch.randn(2, 3, 32, 64)).shape == (2, 32 // patch_size, 64 // patch_size, 16)


def test_the_stem_is_chosen_by_the_configuration():
    for stem, norms in (("convolutions", 0), ("deep", 1)):
        embed = variant(stem=stem).patch_embed
        assert isinstance(embed, ConvolutionalStem)
        assert sum(isinstance(m, nn.BatchNorm2d) for m in embed.modules()) == norms


@pytest.mark.parametrize("patch_size", [1, 3, 6])
def test_a_stem_that_cannot_halve_says_so(patch_size):
    with pytest.raises(ValueError, match=f"patch_size={patch_size}, wanted 2, 4, 8"):
        ConvolutionalStem(patch_size, 3, 16)


@pytest.mark.parametrize("order", [1, -1])
def test_several_pieces_in_any_order(order):
    both = variant(without=("shift", "relative_bias")[::order])
    assert seen_by(run_blocks(both), 3, 3).sum() == 8**2
    everything = variant(without=tuple(TAKE_AWAY)[::order])
    for model in (both, everything):
        tables = [w for name, w in model.named_parameters() if "bias_table" in name]
        assert len(tables) == 4 and not any(t.any() or t.requires_grad for t in tables)
    assert tables[0].shape[0] == 31**2  # of the one large window


def test_several_pieces_survive_json():
    config = TrainConfig(without=("shift", "relative_bias"))
    assert TrainConfig(**json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_pieces_are_named():
    with pytest.raises(ValueError, match="pieces=.'merging',., wanted some of windows, shift"):
        take_away(variant(), "merging", 16)
    for wrong in ("merging", ("shift", "merging"), ("shift", "shift")):
        with pytest.raises(ValueError, match="without=.*, wanted None, or one or several of 'win"):
            TrainConfig(without=wrong)
    with pytest.raises(ValueError, match="stem='conv', wanted 'patches' or 'conv.*' or 'deep'"):
        TrainConfig(stem="conv")


@pytest.mark.parametrize("piece", TAKE_AWAY)
def test_a_model_without_a_piece_is_copied_and_pickled(piece):
    model, images = variant(without=piece).eval(), torch.randn(2, 3, 32, 32)
    wanted = model(images)
    assert torch.equal(copy.deepcopy(model)(images), wanted)
    assert torch.equal(pickle.loads(pickle.dumps(model))(images), wanted)
