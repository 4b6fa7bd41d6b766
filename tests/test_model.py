"""Lesson 07: the model's options, training behaviour, and PyTorch's ways of running it."""

import copy
import importlib.util
import inspect
import io
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
import small_models
import torch
from oracles import effective_shift, official_keys, padded_size, randomise, relative_error
from small_models import images
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

import swinlib
from swinlib import (
    BasicLayer,
    DropPath,
    Mlp,
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
    WindowAttention,
    _masks,
    record_attention,
    relative_position_index,
    shifted_window_mask,
)


def make_model(seed=0, **options):
    return small_models.make_model(seed, **options).train()


# --- names and shapes -----------------------------------------------------------------------------


def test_signature_is_the_official_one():
    wanted = dict(
        img_size=224,
        patch_size=4,
        in_chans=3,
        num_classes=1000,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        mlp_ratio=4.0,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1,
        norm_layer=nn.LayerNorm,
        ape=False,
        patch_norm=True,
        use_checkpoint=False,
        out_indices=None,  # of the official detection code
    )
    parameters = inspect.signature(SwinTransformer).parameters
    assert {name: p.default for name, p in parameters.items()} == wanted
    assert list(parameters) == list(wanted)  # same order too


@pytest.mark.parametrize(
    "name, depths",
    [
        ("swin_tiny", (2, 2, 6, 2)),
        ("swin_small", (2, 2, 18, 2)),
        ("swin_base", (2, 2, 18, 2)),
        ("swin_large", (2, 2, 18, 2)),
    ],
)
def test_state_dict_keys_are_the_official_ones(name, depths):
    with torch.device("meta"):
        model = getattr(swinlib, name)()
    assert set(model.state_dict()) == official_keys(depths)


def test_state_dict_of_a_few_keys_written_out():
    keys = set(make_model(ape=True, img_size=32).state_dict())
    assert keys == official_keys((2, 2)) | {"absolute_pos_embed"}
    assert {
        "patch_embed.proj.weight",
        "patch_embed.norm.bias",
        "layers.0.blocks.1.attn.qkv.weight",
        "layers.0.blocks.1.attn.relative_position_bias_table",
        "layers.0.blocks.1.attn.relative_position_index",
        "layers.1.blocks.0.mlp.fc2.bias",
        "layers.0.downsample.reduction.weight",
        "head.bias",
    } <= keys
    assert not any("attn_mask" in key for key in keys)


def test_state_dict_does_not_change_by_running():
    model = make_model()
    before = set(model.state_dict())
    model(images(1, 3, 64, 32))
    assert set(model.state_dict()) == before
    assert len(list(model.buffers())) == 4  # the four indices


def test_stage_shapes_of_a_256x256_image():
    with torch.device("meta"):  # shapes without the work
        model = swinlib.swin_tiny()
        stages = model.forward_stages(torch.empty(1, 3, 256, 256))
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        (96, 64, 64),
        (192, 32, 32),
        (384, 16, 16),
        (768, 8, 8),
    ]


@pytest.mark.parametrize("H, W", [(1, 1), (4, 4), (5, 3), (33, 57), (64, 100), (1, 90)])
@pytest.mark.parametrize("patch_size", [4, (2, 3)])
def test_any_size_from_1x1_up(H, W, patch_size):
    model = make_model(patch_size=patch_size).eval()
    x = images(2, 3, H, W)
    ph, pw = (patch_size, patch_size) if patch_size == 4 else patch_size
    h, w = -(-H // ph), -(-W // pw)
    stages = model.forward_stages(x)
    assert [tuple(s.shape) for s in stages] == [
        (2, 16, h, w),
        (2, 32, -(-h // 2), -(-w // 2)),
    ]
    assert model.forward_features(x).shape == (2, model.num_features) == (2, 32)
    out = model(x)
    assert out.shape == (2, 5)
    assert out.isfinite().all()
    alone = torch.cat([model(x[:1]), model(x[1:])])
    assert relative_error(out, alone) < 1e-5


def test_the_three_ways_forward_agree():
    model, x = make_model().eval(), images(2, 3, 37, 50)
    last = model.forward_stages(x)[-1].permute(0, 2, 3, 1)
    features = model.forward_features(x)
    torch.testing.assert_close(model.norm(last).flatten(1, 2).mean(1), features)
    assert torch.equal(model.head(features), model(x))


# --- heads ----------------------------------------------------------------------------------------


def test_a_backbone_gives_the_maps_that_were_asked_for():
    """Each behind its norm, in the official detection code's names; no last norm and no head."""
    options = {"depths": (1, 2, 1), "num_heads": (2, 4, 8)}
    model, x = make_model(**options).eval(), images(2, 3, 37, 50)
    backbone = make_model(out_indices=(0, 2), **options).eval()
    assert model.num_features == 64
    assert backbone.num_features == (16, 32, 64)
    names, others = (dict(m.named_parameters()) for m in (backbone, model))
    new = {f"norm{i}.{name}" for i in (0, 2) for name in ("weight", "bias")}
    assert set(names) - set(others) == new
    gone = {f"{m}.{name}" for m in ("norm", "head") for name in ("weight", "bias")}
    assert set(others) - set(names) == gone
    model.load_state_dict(backbone.state_dict(), strict=False)
    stages = model.forward_stages(x)
    maps = backbone(x)
    assert len(stages) == 3 and len(maps) == 2
    for i, out in zip((0, 2), maps, strict=True):
        assert out.shape == stages[i].shape
        norm = nn.functional.layer_norm(
            stages[i].permute(0, 2, 3, 1),
            (16 * 2**i,),
            names[f"norm{i}.weight"],
            names[f"norm{i}.bias"],
        )
        assert torch.equal(out, norm.permute(0, 3, 1, 2))
    assert all(map(torch.equal, backbone.forward_stages(x), maps))


def test_every_parameter_of_a_backbone_learns():
    backbone = make_model(out_indices=(0, 1))
    sum(out.square().sum() for out in backbone(images(2, 3, 32, 32))).backward()
    for name, p in backbone.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, name


@pytest.mark.parametrize("out_indices", [(), (2,), (1, 0), (0, 0), (-1,)])
def test_out_indices_that_are_no_stages_in_order(out_indices):
    with pytest.raises(ValueError, match="out_indices must be .*got"):
        make_model(out_indices=out_indices)


@pytest.mark.parametrize("out_indices", [1, "01", (0.0,), (True,)])
def test_out_indices_of_another_type(out_indices):
    with pytest.raises(TypeError, match="out_indices must be .*got"):
        make_model(out_indices=out_indices)


def test_a_backbone_says_what_it_has_not():
    backbone = make_model(out_indices=(1,))
    assert backbone.num_classes == 0
    with pytest.raises(ValueError, match=r"out_indices=\(1,\).*forward_stages"):
        backbone.forward_features(images(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"out_indices=\(1,\) has no head"):
        backbone.reset_classifier(3)


def test_the_number_of_classes_is_that_of_the_head():
    model = make_model()
    assert model.num_classes == 5
    model.head = nn.Linear(32, 7)
    assert model.num_classes == 7
    model.head = nn.Sequential(nn.Dropout(), nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 3))
    assert model.num_classes == 3
    model.head = nn.Identity()
    assert model.num_classes == 0


@pytest.mark.parametrize("to", [{}, {"dtype": torch.float64}, {"device": "meta"}])
def test_another_head(to):
    model = make_model().eval().to(**to)
    before = {name: p for name, p in model.named_parameters() if "head" not in name}
    for n in (0, 7, 3):
        model.reset_classifier(n)
        assert model.num_classes == n
        x = images(2, 3, 32, 32).to(**to)
        assert model(x).shape == (2, n or 32)
        assert all(p.dtype == x.dtype and p.device == x.device for p in model.parameters())
    assert all(before[name] is p for name, p in model.named_parameters() if "head" not in name)
    if "device" not in to:
        model.reset_classifier(5000)  # initialised as in a new model
        assert model.head.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not model.head.bias.any()
    for wrong, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="num_classes must be"):
            model.reset_classifier(wrong)


def test_no_head():
    model = make_model(num_classes=0)
    assert not any(key.startswith("head") for key in model.state_dict())
    x = images(2, 3, 32, 32)
    assert torch.equal(model(x), model.forward_features(x))


def test_no_patch_norm():
    model = make_model(patch_norm=False)
    assert set(official_keys((2, 2))) - set(model.state_dict()) == {
        "patch_embed.norm.weight",
        "patch_embed.norm.bias",
    }
    assert model(images(1, 3, 32, 32)).shape == (1, 5)


def test_one_channel_and_one_block_in_every_stage():
    model = make_model(in_chans=1, depths=(1, 1, 1), num_heads=(1, 2, 4), drop_path_rate=0.2)
    assert model(images(2, 1, 40, 24)).shape == (2, 5)
    assert [layer.blocks[0].shift_size for layer in model.layers] == [(0, 0)] * 3


def test_a_single_block():
    model = make_model(depths=(1,), num_heads=(2,), drop_path_rate=0.1)  # once divided by zero
    assert model(images(1, 3, 16, 16)).shape == (1, 5)


def test_windows_that_are_not_square():
    model = make_model(window_size=(3, 5)).eval()
    assert model.layers[0].blocks[1].shift_size == (1, 2)
    assert model.layers[0].blocks[0].attn.relative_position_bias_table.shape == (5 * 9, 2)
    # turned by 90 degrees, with everything turned, it gives the turned result
    turned = make_model(window_size=(5, 3)).eval()
    state = model.state_dict()
    for key, value in state.items():
        if key.endswith("relative_position_bias_table"):
            state[key] = value.view(5, 9, -1).transpose(0, 1).reshape(45, -1)
        elif key == "patch_embed.proj.weight":
            state[key] = value.transpose(2, 3)
        elif ".downsample." in key and value.shape[-1] == 64:  # neighbours 0 4 1 5 to 0 1 4 5
            state[key] = value.unflatten(-1, (2, 2, 16)).transpose(-3, -2).flatten(-3)
        elif key.endswith("downsample.norm.bias"):
            state[key] = value.view(2, 2, 16).transpose(0, 1).flatten()
        elif key.endswith("relative_position_index"):
            state[key] = turned.state_dict()[key]
    turned.load_state_dict(state)
    x = images(2, 3, 37, 90)
    assert relative_error(turned(x.transpose(2, 3)), model(x)) < 1e-5


def test_a_pair_of_equal_sides_is_the_number():
    x = images(1, 3, 40, 28)
    assert torch.equal(make_model(window_size=(4, 4))(x), make_model(window_size=4)(x))
    assert torch.equal(make_model(patch_size=[4, 4])(x), make_model(patch_size=4)(x))


def test_every_second_block_is_shifted_by_half_a_window():
    model = make_model(depths=(3, 2), window_size=7)
    assert [b.shift_size for b in model.layers[0].blocks] == [(0, 0), (3, 3), (0, 0)]
    assert [b.shift_size for b in model.layers[1].blocks] == [(0, 0), (3, 3)]


def test_no_shift_on_an_axis_that_one_window_covers():
    block = SwinTransformerBlock(8, 2, (4, 6), (2, 3))
    assert block.shift_that_fits(8, 12) == (2, 3)
    assert block.shift_that_fits(4, 12) == (0, 3)
    assert block.shift_that_fits(8, 6) == (2, 0)
    assert block.shift_that_fits(4, 6) == (0, 0)
    assert block.attn_mask(4, 6, (0, 0), torch.zeros(1)) is None


def test_the_width_of_the_mlp():
    assert make_model(mlp_ratio=2.5).layers[1].blocks[0].mlp.fc1.out_features == 80
    mlp = Mlp(6, 10, 4)
    x = torch.randn(2, 3, 6)
    assert torch.equal(mlp(x), mlp.fc2(nn.functional.gelu(mlp.fc1(x))))
    assert Mlp(6)(x).shape == (2, 3, 6)
    assert isinstance(Mlp(6, act_layer=nn.ReLU).act, nn.ReLU)


def test_qkv_bias_and_qk_scale_reach_every_block():
    x = images(1, 3, 32, 32)
    model = make_model(qkv_bias=False, qk_scale=0.25)
    for block in (b for layer in model.layers for b in layer.blocks):
        assert block.attn.qkv.bias is None
        assert block.attn.scale == 0.25
    assert not torch.allclose(model(x), make_model(qkv_bias=False)(x))
    # stage 0 has head_dim 8, stage 1 too
    assert torch.equal(make_model(qk_scale=8**-0.5)(x), make_model()(x))


def test_another_norm_is_used_everywhere():
    class Norm(nn.LayerNorm):
        pass

    model = make_model(norm_layer=Norm)
    norms = [m for m in model.modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 1 + 2 * 4 + 1 + 1
    assert all(isinstance(norm, Norm) for norm in norms)


# --- absolute position embedding ------------------------------------------------------------------


def test_position_embedding_is_added_to_the_tokens():
    model = make_model(ape=True, img_size=(38, 25)).eval()  # padded to 40x28: 10x7 tokens
    assert model.absolute_pos_embed.shape == (1, 70, 16)
    x = images(2, 3, 38, 25)
    tokens = model.patch_embed(x).flatten(1, 2) + model.absolute_pos_embed
    assert torch.equal(model.forward_embed(x).flatten(1, 2), tokens)
    with torch.no_grad():
        model.absolute_pos_embed.zero_()
    plain = make_model().eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(model(x), plain(x))


def test_position_embedding_takes_only_its_own_size():
    model = make_model(ape=True, img_size=(40, 28))
    for size in [(28, 40), (40, 32), (20, 56)]:  # the last has as many tokens
        with pytest.raises(ValueError, match=f"40x28.*img_size.*{size[0]}x{size[1]}"):
            model(images(1, 3, *size))


def test_img_size_matters_only_with_a_position_embedding():
    x = images(1, 3, 32, 32)
    assert torch.equal(make_model(img_size=7)(x), make_model(img_size=224)(x))


def test_what_weight_decay_should_leave_alone():
    model = make_model(ape=True, img_size=32)
    names = {n for n, _ in model.named_parameters() if "relative_position_bias_table" in n}
    assert len(names) == 4
    assert model.no_weight_decay() == names | {"absolute_pos_embed"}
    assert make_model().no_weight_decay() == names
    assert model.no_weight_decay_keywords() == {"relative_position_bias_table"}


# --- initialisation -------------------------------------------------------------------------------


def test_official_initialisation():
    model = SwinTransformer(depths=(2, 2), num_heads=(3, 6), ape=True, img_size=64)
    std = pytest.approx(0.02, rel=0.05)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == std, name
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all() and not module.bias.any()
        elif isinstance(module, WindowAttention):
            table = module.relative_position_bias_table
            assert table.std().item() == pytest.approx(0.02, rel=0.2)
    assert model.absolute_pos_embed.std().item() == std
    # the convolution keeps PyTorch's: uniform below 1/sqrt(fan in)
    assert model.patch_embed.proj.weight.abs().max().item() == pytest.approx(48**-0.5, rel=0.01)


# --- dropout, drop path, checkpointing ------------------------------------------------------------


@pytest.mark.parametrize("option", ["drop_rate", "attn_drop_rate", "drop_path_rate"])
def test_dropping_happens_in_training_only(option):
    model, x = make_model(**{option: 0.5}), images(4, 3, 32, 32)
    model.train()
    assert not torch.allclose(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
    assert torch.equal(model(x), make_model().eval()(x))


def test_where_dropout_is():
    model = make_model(drop_rate=0.3, attn_drop_rate=0.2)
    rates = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    block = {"attn.attn_drop": 0.2, "attn.proj_drop": 0.3, "mlp.drop": 0.3}
    wanted = {"pos_drop": 0.3}
    for i in range(2):
        for j in range(2):
            wanted |= {f"layers.{i}.blocks.{j}.{name}": p for name, p in block.items()}
    assert rates == wanted


def test_dropout_of_an_mlp_is_behind_both_layers():
    mlp = Mlp(8, 512, drop=0.5)
    seen = []
    mlp.fc2.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    out = mlp(torch.randn(100, 8))
    for x in (seen[0], out):
        assert (x == 0).float().mean().item() == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("depths, rate", [((2, 2, 6, 2), 0.2), ((1, 3), 0.5), ((1,), 0.3)])
def test_drop_path_grows_linearly_with_depth(depths, rate):
    with torch.device("meta"):
        model = SwinTransformer(
            embed_dim=16, depths=depths, num_heads=(1,) * len(depths), drop_path_rate=rate
        )
    rates = [getattr(b.drop_path, "drop_prob", 0.0) for layer in model.layers for b in layer.blocks]
    assert rates == pytest.approx(torch.linspace(0, rate, sum(depths)).tolist())


@pytest.mark.parametrize(
    "name, rate",
    [("swin_tiny", 0.2), ("swin_small", 0.3), ("swin_base", 0.5), ("swin_large", 0.2)],
)
def test_drop_path_of_the_named_sizes(name, rate):
    with torch.device("meta"):
        default = getattr(swinlib, name)()
        other = getattr(swinlib, name)(drop_path_rate=0.1, num_classes=10)
    assert default.layers[-1].blocks[-1].drop_path.drop_prob == pytest.approx(rate)
    assert other.layers[-1].blocks[-1].drop_path.drop_prob == pytest.approx(0.1)
    assert other.head.out_features == 10


def test_drop_path_is_per_picture_and_keeps_the_expectation():
    drop_path, x = DropPath(0.2), torch.randn(10_000, 2, 3, 4)
    out = drop_path(x)
    dropped = (out == 0).flatten(1)
    assert torch.equal(dropped.any(1), dropped.all(1))  # whole pictures
    dropped = dropped.all(1)
    torch.testing.assert_close(out[~dropped], x[~dropped] / 0.8)
    assert dropped.float().mean().item() == pytest.approx(0.2, abs=0.02)
    ones = drop_path(torch.ones(10_000, 1))
    assert ones.mean().item() == pytest.approx(1, abs=0.02)


def test_drop_path_does_nothing_in_eval_or_at_zero():
    x = torch.randn(3, 4)
    assert DropPath(0.5).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_a_block_drops_each_branch_of_each_picture_by_itself():
    block = randomise(SwinTransformerBlock(8, 2, 4, drop_path=0.5)).double()
    x = torch.randn(1, 4, 4, 8).double().expand(64, 4, 4, 8)
    with torch.no_grad():
        out = block.train()(x)
        attn = 2 * block.window_attention(block.norm1(x[:1]))
        both = x[:1] + attn + 2 * block.mlp(block.norm2(x[:1] + attn))
        only_mlp = x[:1] + 2 * block.mlp(block.norm2(x[:1]))
    kinds = torch.cat([x[:1], x[:1] + attn, only_mlp, both])
    same = (out[:, None] - kinds).abs().amax((2, 3, 4)) < 1e-9
    assert same.sum(1).eq(1).all()  # each picture is one of the four kinds
    assert same.any(0).all()  # and all four occur


def saved_bytes(model, x):
    """The output, and how much the forward pass keeps for the backward pass, parameters aside."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    return out, sum(kept.values())


def test_checkpointing_changes_nothing_but_memory():
    x = images(2, 3, 64, 48)
    options = dict(depths=(2, 4), drop_rate=0.1, attn_drop_rate=0.1, drop_path_rate=0.3)
    outs, gradients, saved = [], [], []
    for use_checkpoint in (False, True):
        model = make_model(use_checkpoint=use_checkpoint, **options).train()
        torch.manual_seed(5)  # the same dropping, also when it is computed again
        out, kept = saved_bytes(model, x)
        outs.append(out)
        saved.append(kept)
        torch.manual_seed(99)
        out.square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert torch.equal(*outs)
    torch.testing.assert_close(*gradients)
    assert saved[1] < saved[0] / 4, saved


def test_checkpointing_needs_no_gradient_of_the_images():
    """The first block's input needs none when the embedding is frozen."""
    model = make_model(use_checkpoint=True).train()
    model.patch_embed.requires_grad_(False)
    model(images(1, 3, 32, 32)).sum().backward()
    assert model.layers[0].blocks[0].attn.qkv.weight.grad is not None


@pytest.mark.parametrize("downsample", [None, PatchMerging])
def test_a_layer_is_its_blocks_and_perhaps_a_merging(downsample):
    layer = randomise(BasicLayer(8, 2, 2, 4, downsample=downsample, drop_path=0.0))
    x = torch.randn(2, 9, 6, 8)
    blocks = layer.blocks[1](layer.blocks[0](x))
    assert torch.equal(layer.forward_blocks(x), blocks)
    assert torch.equal(layer(x), blocks if downsample is None else layer.downsample(blocks))


def test_every_parameter_learns():
    model = make_model(ape=True, img_size=(40, 28))
    model(images(2, 3, 40, 28)).square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().max() > 0, name


# --- both paths of attention ----------------------------------------------------------------------


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("window", [(4, 4), (2, 3)])
def test_explicit_path_equals_fused_path(window, with_mask):
    attn = randomise(WindowAttention(8, window, 2)).double()
    H, W, N = 2 * window[0], 3 * window[1], window[0] * window[1]
    mask = shifted_window_mask(H, W, window, (1, 1)).double() if with_mask else None
    x = torch.randn(3 * 6, N, 8).double()
    out, weights = attn(x, mask, return_weights=True)
    assert weights.shape == (18, 2, N, N)
    torch.testing.assert_close(attn(x, mask), out, rtol=1e-10, atol=1e-10)
    if with_mask:
        weights = weights.unflatten(0, (3, 6))
        for w in range(6):  # mask w belongs to window w of every picture
            assert (weights[:, w, :, mask[w] < 0] < 1e-30).all()
            assert (weights[:, w, :, mask[w] == 0] > 1e-30).all()


def test_fused_path_is_the_one_taken(monkeypatch):
    """Fast unless somebody asks for the weights."""
    calls = []
    real = torch.nn.functional.scaled_dot_product_attention

    def spy(*args, **options):
        calls.append(1)
        return real(*args, **options)

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", spy)
    model, x = make_model().eval(), images(1, 3, 32, 32)
    model(x)
    assert len(calls) == 4
    with record_attention(model):
        model(x)
    assert len(calls) == 4


# --- masks that are kept --------------------------------------------------------------------------


def fresh(block):
    """The same weights in a new block."""
    other = SwinTransformerBlock(
        block.dim, block.attn.num_heads, block.window_size, block.shift_size
    )
    other.load_state_dict(block.state_dict())
    return other.to(next(block.parameters()))


def by_definition(x, block):
    """A block's answer, with a mask made here and now."""
    H, W = padded_size(*x.shape[1:3], block.window_size)
    shift_size = effective_shift(H, W, block.window_size, block.shift_size)
    other = fresh(block)
    other.attn_mask = lambda H, W, shift_size, like: (
        shifted_window_mask(H, W, block.window_size, shift_size).to(like)
        if any(shift_size)
        else None
    )
    assert other.shift_that_fits(H, W) == shift_size
    return other(x)


def mask_of(block, H, W, like):
    return block.attn_mask(H, W, block.shift_that_fits(H, W), like)


@pytest.fixture
def block():
    return randomise(SwinTransformerBlock(8, 2, 4, 2))


@pytest.fixture
def nothing_kept():
    _masks._keep.cache_clear()


def kept():
    return _masks._keep.cache_info().currsize


def test_mask_is_right_after_another_size(block):
    for H, W in [(8, 8), (8, 12), (12, 8), (8, 8), (4, 8), (9, 9), (3, 3), (8, 8)]:
        x = torch.randn(2, H, W, 8)
        assert torch.equal(block(x), by_definition(x, block))


def test_mask_is_right_after_another_shift_or_window(block):
    x = torch.randn(2, 8, 8, 8)
    block(x)
    for shift_size in [(0, 1), (3, 2), (0, 0), (2, 2)]:
        block.shift_size = shift_size
        assert torch.equal(block(x), by_definition(x, block))
    block.window_size, block.attn.window_size = (2, 8), (2, 8)
    block.shift_size = (1, 4)
    with torch.no_grad():
        block.attn.relative_position_bias_table.set_(torch.randn(3 * 15, 2))
        block.attn.relative_position_index.copy_(relative_position_index((2, 8)))
    assert torch.equal(block(x), by_definition(x, block))


def test_mask_is_right_after_another_dtype(block):
    x = torch.randn(2, 8, 8, 8)
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float32):
        block.to(dtype)
        assert torch.equal(block(x.to(dtype)), by_definition(x.to(dtype), block))
        assert mask_of(block, 8, 8, x.to(dtype)).dtype == dtype


def test_mask_is_right_after_another_device(block):
    x = torch.randn(2, 8, 8, 8)
    wanted = block(x)
    on_meta = copy.deepcopy(block).to("meta")
    assert on_meta(x.to("meta")).device.type == "meta"
    assert mask_of(on_meta, 8, 8, x.to("meta")).device.type == "meta"
    assert torch.equal(block(x), wanted)


def test_mask_is_the_same_object_while_nothing_changes(block):
    x = torch.randn(2, 8, 8, 8)
    block(x)
    first = mask_of(block, 8, 8, x)
    block(torch.randn(5, 8, 8, 8))
    assert mask_of(block, 8, 8, x) is first
    assert mask_of(fresh(block), 8, 8, x) is first  # of all blocks that need the same
    assert torch.equal(first, shifted_window_mask(8, 8, 4, 2))
    assert mask_of(block, 8, 12, x) is not first


def test_masks_that_are_kept_are_few(block, nothing_kept):
    for H in range(8, 8 + 4 * 40, 4):
        block(torch.randn(1, H, 8, 8))
    assert kept() == 16


@pytest.mark.usefixtures("nothing_kept")
def test_mask_made_in_inference_mode_serves_training(block):
    x = torch.randn(2, 8, 8, 8)
    with torch.inference_mode():
        block(x)
    assert not mask_of(block, 8, 8, x).is_inference()
    block(x).sum().backward()
    other = fresh(block)
    other(x).sum().backward()
    torch.testing.assert_close(
        block.attn.relative_position_bias_table.grad, other.attn.relative_position_bias_table.grad
    )


def state_of(model):
    """Everything that every module of a model holds, parameters and buffers by their identity."""
    return {
        name: {key: list(v.items()) if isinstance(v, dict) else v for key, v in vars(m).items()}
        for name, m in model.named_modules()
    }


def test_running_leaves_no_trace_in_the_model():
    model = make_model().eval()
    before = state_of(model)
    saved = io.BytesIO()
    torch.save(model, saved)
    model(images(1, 3, 256, 192))
    assert state_of(model) == before
    again = io.BytesIO()
    torch.save(model, again)
    assert len(again.getvalue()) == len(saved.getvalue())


def test_copying_and_pickling_after_a_run():
    model, x = make_model().eval(), images(1, 3, 40, 28)
    wanted = model(x)
    assert torch.equal(copy.deepcopy(model)(x), wanted)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), wanted)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), wanted)


def grad(model, x):
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(parameters):
        return torch.func.functional_call(model, parameters, (x,)).square().sum()

    torch.func.grad(loss)(parameters)


def ensemble(model, x):
    parameters = {name: torch.stack([p, p]) for name, p in model.named_parameters()}
    with sdpa_kernel(SDPBackend.MATH):  # the CPU's fused kernel knows no vmap
        torch.vmap(lambda p: torch.func.functional_call(model, p, (x,)))(parameters)


def fake(model, x):
    with FakeTensorMode(allow_non_fake_inputs=True):
        model(torch.randn(x.shape))


WATCHERS = {
    "torch.func.grad": grad,
    "torch.vmap": ensemble,
    "FakeTensorMode": fake,
    "make_fx": lambda model, x: make_fx(model)(x),
    "torch.jit.trace": lambda model, x: torch.jit.trace(model, x, check_trace=False),
    "torch.export": lambda model, x: torch.export.export(model, (x,), strict=False),
    "on meta": lambda model, x: copy.deepcopy(model).to("meta")(x.to("meta")),
}


@pytest.mark.filterwarnings("ignore")  # of tracers, that sizes become constants
@pytest.mark.parametrize("first", ["traced first", "run first"])
@pytest.mark.parametrize("watcher", WATCHERS)
def test_nothing_stays_behind_of_what_looks_on(watcher, first, nothing_kept):
    """Neither in the model nor among the masks: what they see are not ordinary tensors."""
    model, x = make_model().eval().requires_grad_(False), images(2, 3, 40, 28)
    wanted = copy.deepcopy(model)(x) if first == "run first" else None
    masks = kept()
    WATCHERS[watcher](model, x)
    if watcher != "on meta":
        assert kept() == masks
    out = model(x)
    assert type(out) is torch.Tensor and out.isfinite().all()
    assert wanted is None or torch.equal(out, wanted)
    assert torch.equal(copy.deepcopy(model)(x), out)
    torch.save(model, io.BytesIO())
    torch.optim.swa_utils.AveragedModel(model)


@pytest.mark.filterwarnings("ignore")
def test_a_traced_block_equals_the_block(block, nothing_kept):
    x = torch.randn(2, 9, 8, 8)
    traced = torch.jit.trace(block.eval(), x)  # which traces twice, and compares
    assert torch.equal(traced(x), block(x))


def test_two_threads_on_one_model(nothing_kept):
    model = make_model().eval().requires_grad_(False)
    pictures = [images(1, 3, 8 * n, 8 * n + 4) for n in range(1, 9)]
    wanted = [model(x) for x in pictures]
    _masks._keep.cache_clear()  # so that the threads make the masks
    with ThreadPoolExecutor(4) as pool:
        for outs in pool.map(lambda _: [model(x) for x in pictures], range(8)):
            assert all(map(torch.equal, outs, wanted))


# --- the ways PyTorch runs a model ----------------------------------------------------------------


def missing_for_compiling():
    """What torch.compile calls and what is not there."""
    compiler = any(map(shutil.which, ("g++", "clang++", "cl")))
    # PyTorch sums up the headers that it compiles beforehand with openssl, not on Windows.
    openssl = os.name == "nt" or shutil.which("openssl")
    setuptools = importlib.util.find_spec("setuptools")  # torch 2.6 does not always bring it
    needed = {"a C++ compiler": compiler, "openssl": openssl, "setuptools": setuptools}
    return [name for name, there in needed.items() if not there]


@pytest.mark.skipif(
    bool(missing_for_compiling()),
    reason=f"torch.compile needs {' and '.join(missing_for_compiling())}",
)
@torch.no_grad()
def test_compiled_block():
    """The default compiler, on what is ours in it: padding, shift, mask and bias."""
    block = randomise(SwinTransformerBlock(16, 2, 4, 2))
    x = torch.randn(2, 9, 8, 16)
    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True)
    assert relative_error(compiled(x), block(x)) < 1e-5


def test_compiled_model():
    """One graph with its gradients, and a second size; no code is generated, which takes long."""
    model = make_model(depths=(2,), num_heads=(2,))
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    x = images(2, 3, 40, 28)
    wanted = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    got = torch.autograd.grad(compiled(x).sum(), list(model.parameters()))
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        for size in [(40, 28), (33, 57), (40, 28)]:
            x = images(2, 3, *size)
            assert relative_error(compiled(x), model(x)) < 1e-5


def test_compiled_code_has_the_mask_as_a_constant(nothing_kept):
    """One graph for a size, whatever else has run; no operation of a mask's making is in it."""
    block = randomise(SwinTransformerBlock(8, 2, 4, 2)).eval().requires_grad_(False)
    graphs = []

    def keep_graph(graph, examples):
        graphs.append({str(node.target) for node in graph.graph.nodes if node.op != "output"})
        return graph.forward

    torch._dynamo.reset()
    compiled = torch.compile(block, backend=keep_graph, fullgraph=True)
    for H in (8, 12, 8, 9):  # the last is padded to 12
        x = torch.randn(2, H, 8, 8)
        for again in range(3):
            assert torch.equal(compiled(x), block(x))
            _masks._keep.cache_clear() if again else block(torch.randn(1, 16, 4 * H, 8))
    assert len(graphs) == 3
    assert not any("where" in name or "ne" == name for names in graphs for name in names)


def test_exported_model_takes_other_batches():
    model = make_model().eval()
    x = images(2, 3, 40, 28)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    for B in (2, 1, 5):
        x = images(B, 3, 40, 28)
        assert relative_error(exported(x), model(x)) < 1e-6
    model(images(1, 3, 32, 32))  # and nothing of the tracing stays behind


def test_autocast():
    model, x = make_model().eval(), images(2, 3, 40, 28)
    wanted = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(x)
        with record_attention(model) as records:
            explicit = model(x)
    assert out.dtype == torch.bfloat16
    assert relative_error(out.float(), wanted) < 0.05
    assert relative_error(explicit.float(), wanted) < 0.05
    assert len(records) == 4
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(x).float().square().sum()
    loss.backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision(dtype, tolerance):
    model = make_model().eval()
    x = images(2, 3, 40, 28)
    wanted = model(x)
    out = model.to(dtype)(x.to(dtype))
    assert out.dtype == dtype
    assert relative_error(out.float(), wanted) < tolerance
    with record_attention(model) as records:
        explicit = model(x.to(dtype))
    assert records["layers.0.blocks.1"].weights.dtype == dtype
    assert relative_error(explicit.float(), wanted) < tolerance


def test_double_precision():
    model = make_model().eval()
    x = images(2, 3, 40, 28)
    wanted = model(x)
    assert relative_error(model.double()(x.double()).float(), wanted) < 1e-5


def test_memory_layouts_of_the_images():
    model = make_model().eval()
    x = images(2, 3, 40, 28)
    wanted = model(x)
    wide = torch.zeros(2, 3, 80, 56)
    wide[:, :, ::2, ::2] = x
    layouts = {
        "channels last": x.to(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
        "strided": wide[:, :, ::2, ::2],
    }
    for name, other in layouts.items():
        assert relative_error(model(other), wanted) < 1e-5, name
    model.to(memory_format=torch.channels_last)
    assert relative_error(model(layouts["channels last"]), wanted) < 1e-5
    same = x[:1].expand(2, -1, -1, -1)
    assert relative_error(model(same), model(same.contiguous())) < 1e-5


def test_feature_maps_that_are_not_contiguous(block):
    x = torch.randn(2, 8, 9, 8)
    other = x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert not other.is_contiguous()
    torch.testing.assert_close(block(other), block(x))


def test_an_empty_batch():
    assert make_model()(torch.randn(0, 3, 40, 28)).shape == (0, 5)
