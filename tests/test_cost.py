"""Parameters and multiply-adds, against the paper's table, the official formula and a count."""

import pytest
import torch
from oracles import official_flops
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import swinlib
from swinlib import (
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
    block_flops,
    merging_flops,
    model_flops,
    msa_flops,
    record_attention,
    wmsa_flops,
)
from swinlib.training import TrainConfig, build_model

# name, parameters, G multiply-adds at 224 in the paper's table 1 (Swin-L: the repository's)
SIZES = [
    ("swin_tiny", 28_288_354, 4.5),
    ("swin_small", 49_606_258, 8.7),
    ("swin_base", 87_768_224, 15.4),
    ("swin_large", 196_532_476, 34.5),
]


def on_meta(make, **options):
    """A model without memory: enough to count, and quick to build."""
    with torch.device("meta"):
        return make(**options)


@pytest.mark.parametrize("name, parameters, giga", SIZES)
def test_named_sizes_against_the_paper(name, parameters, giga):
    model = on_meta(getattr(swinlib, name))
    assert sum(p.numel() for p in model.parameters()) == parameters
    flops = model_flops(model, 224, 224)
    assert round(flops / 1e9, 1) == giga
    assert flops == official_flops(model, 224, 224)


def test_swin_t_at_224():
    assert round(model_flops(on_meta(swinlib.swin_tiny), 224, 224) / 1e9, 3) == 4.494


@pytest.mark.parametrize("H, W, window", [(224, 448, 7), (256, 256, 8), (384, 384, 12)])
def test_model_at_other_sizes_against_the_official_formula(H, W, window):
    model = on_meta(swinlib.swin_tiny, window_size=window, num_classes=10)
    assert model_flops(model, H, W) == official_flops(model, H, W)


def test_attention_by_the_papers_numbers():
    assert msa_flops(56, 56, 96) == 4 * 3136 * 96**2 + 2 * 3136**2 * 96
    assert wmsa_flops(56, 56, 96, 7) == 4 * 3136 * 96**2 + 2 * 49 * 3136 * 96
    assert wmsa_flops(56, 56, 96, (7, 7)) == wmsa_flops(56, 56, 96, 7)
    assert wmsa_flops(7, 7, 96, 7) == msa_flops(7, 7, 96)  # one window is global attention
    assert wmsa_flops(64, 64, 96, 7) == wmsa_flops(70, 70, 96, 7)  # padded
    assert wmsa_flops(6, 8, 96, (3, 4)) == 4 * 48 * 96**2 + 2 * 12 * 48 * 96


class Counter:
    """Multiply-adds that really happen: matrix products by PyTorch's counter, norms by hooks.

    Every path to attention is counted alike when it is taken explicitly, as inside
    `record_attention`.
    """

    def __init__(self, model):
        self.model, self.norms = model, {}

    def __call__(self, *args):
        def keep(module, inputs, output, name):
            self.norms[name] = inputs[0].numel()

        handles = [
            module.register_forward_hook(lambda *a, name=name: keep(*a, name=name))
            for name, module in self.model.named_modules()
            if isinstance(module, nn.LayerNorm)
        ]
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self.model(*args)
        for handle in handles:
            handle.remove()
        return counter.get_total_flops() // 2  # it counts a multiply-add as two


@pytest.mark.parametrize("H, W, C", [(4, 6, 8), (7, 7, 32)])
def test_global_attention_against_a_count(H, W, C):
    attn = swinlib.MultiHeadSelfAttention(C, 4)
    count = Counter(attn)(torch.randn(1, H * W, C), None, True)
    assert count == msa_flops(H, W, C)


@pytest.mark.parametrize("H, W, window", [(8, 12, 4), (9, 10, 4), (3, 3, 7), (6, 8, (3, 4))])
@pytest.mark.parametrize("mlp_ratio", [4.0, 2.5])
def test_a_block_against_a_count(H, W, window, mlp_ratio):
    block = SwinTransformerBlock(16, 4, window, 1, mlp_ratio)
    counter = Counter(block)
    with record_attention(block):
        count = counter(torch.randn(1, H, W, 16))
    assert count == wmsa_flops(H, W, 16, window) + 2 * H * W * 16 * int(16 * mlp_ratio)
    assert count + sum(counter.norms.values()) == block_flops(block, H, W)


@pytest.mark.parametrize("H, W", [(6, 8), (5, 7)])
def test_merging_against_a_count(H, W):
    counter = Counter(PatchMerging(16))
    count = counter(torch.randn(1, H, W, 16))
    assert merging_flops(H, W, 16) == count + H * W * 16
    if H % 2 == W % 2 == 0:
        assert counter.norms == {"norm": H * W * 16}


@pytest.mark.parametrize("options", [{}, {"patch_norm": False, "num_classes": 0, "in_chans": 1}])
def test_a_model_against_a_count(options):
    model = SwinTransformer(embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4, **options)
    model.eval()
    counter = Counter(model)
    with record_attention(model):
        count = counter(torch.randn(1, model.patch_embed.in_chans, 64, 32))
    # with two stages the official count of the last norm is right; with four it is four times that
    assert count + sum(counter.norms.values()) == model_flops(model, 64, 32)


def test_a_stem_of_convolutions_against_a_count():
    config = TrainConfig(embed_dim=16, stem="convolutions")  # 3x3 twice, each halving the picture
    model = build_model(config, 10).eval()
    counter = Counter(model)
    with record_attention(model):
        count = counter(torch.randn(1, 3, 32, 32))
    patches = build_model(config.replace(stem="patches"), 10)
    assert count + sum(counter.norms.values()) == model_flops(model, 32, 32)
    stem = 16 * 16 * 8 * 3 * 9 + 8 * 8 * 16 * 8 * 9
    assert model_flops(model, 32, 32) - model_flops(patches, 32, 32) == stem - 8 * 8 * 16 * 3 * 16


def test_sizes_that_do_not_divide_are_counted_as_padded():
    model = SwinTransformer(embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4)
    model.eval()
    with record_attention(model):
        count = Counter(model)(torch.randn(1, 3, 37, 50))  # 10x13 tokens, then 5x7
    norms = 10 * 13 * 16 * (1 + 2 * 2 + 1) + 5 * 7 * 32 * 2 * 2 + 32 * 10 * 13 // 4
    assert model_flops(model, 37, 50) == count + norms


def test_the_head_that_is_there_is_counted():
    """Not the one that the model was built with; and the norms of a backbone."""
    options = dict(embed_dim=16, depths=(1, 1), num_heads=(2, 2), window_size=4)
    model = on_meta(SwinTransformer, num_classes=5, **options)
    rest = model_flops(model, 32, 32) - 32 * 5
    model.head = torch.nn.Linear(32, 100)
    assert model_flops(model, 32, 32) == rest + 32 * 100
    model.head = torch.nn.Sequential(torch.nn.Linear(32, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    assert model_flops(model, 32, 32) == rest + 32 * 8 + 8 * 3
    model.reset_classifier(0)
    assert model_flops(model, 32, 32) == rest
    last_norm = 32 * 8 * 8 // 4  # counted as the official code does
    for out_indices, norms in [
        ((0,), 8 * 8 * 16),
        ((1,), 4 * 4 * 32),
        ((0, 1), 8 * 8 * 16 + 4 * 4 * 32),
    ]:
        backbone = on_meta(SwinTransformer, out_indices=out_indices, **options)
        assert model_flops(backbone, 32, 32) == rest - last_norm + norms


def test_pytorchs_counter_does_not_see_into_fused_attention():
    """The CPU's kernel serves where no gradient is recorded: its products are missing then."""
    model = SwinTransformer(embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4).eval()
    counts = []
    for recorded in (True, False):
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(recorded):
            model(torch.randn(1, 3, 64, 32))
        counts.append(counter.get_total_flops() // 2)
    inside = 2 * 2 * 4**2 * (16 * 8 * 16 + 8 * 4 * 32)  # two blocks a stage: 2 M^2 HW C each
    assert counts[0] - counts[1] == inside
    norms = 16 * 8 * 16 * (1 + 2 * 2 + 1) + 8 * 4 * 32 * 2 * 2 + 32 * 16 * 8 // 4
    assert model_flops(model, 64, 32) == counts[0] + norms
