"""Attention weights recorded, and laid back on the map."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
import torch
from oracles import randomise, relative_error, window_attention
from small_models import make_model
from torch.optim.swa_utils import AveragedModel

import swinlib
from swinlib import SwinTransformerBlock, record_attention

# H, W, window, shift: no shift, shift, padding, unlike axes, one window on an axis
MAPS = [
    (8, 8, (4, 4), (0, 0)),
    (8, 12, (4, 4), (2, 2)),
    (9, 6, (4, 4), (1, 3)),
    (5, 8, (2, 5), (1, 2)),
    (3, 11, (7, 4), (3, 2)),
    (8, 8, (7, 7), (3, 3)),
]


@pytest.mark.parametrize("H, W, window, shift", MAPS)
def test_map_of_every_token_against_brute_force(H, W, window, shift):
    block = randomise(SwinTransformerBlock(8, 2, window, shift)).double()
    x = torch.randn(2, H, W, 8).double()
    with record_attention(block) as records:
        block(x)
    (record,) = records.values()
    _, wanted = window_attention(block.norm1(x).detach(), block)  # (B, heads, H, W, H', W')
    assert record.grid_size == (H, W)
    assert record.padded_size == tuple(wanted.shape[-2:])
    for i in range(H):
        for j in range(W):
            got = record.map_of(i, j)
            assert got.shape == (2, 2, H, W)
            torch.testing.assert_close(got, wanted[:, :, i, j, :H, :W], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("H, W, window, shift", MAPS)
def test_locate_finds_every_token_at_a_place_of_its_own(H, W, window, shift):
    block = SwinTransformerBlock(8, 2, window, shift)
    with record_attention(block) as records:
        block(torch.randn(1, H, W, 8))
    (record,) = records.values()
    found = {record.locate(i, j) for i in range(H) for j in range(W)}
    assert len(found) == H * W
    assert all(w < record.weights.shape[1] and n < record.weights.shape[-1] for w, n in found)
    if record.shift_size == (0, 0):
        assert record.locate(0, 0) == (0, 0)


def test_a_record_of_every_block():
    model, images = make_model(), torch.randn(3, 3, 37, 50)
    with record_attention(model) as records:
        model(images)
    assert list(records) == [f"layers.{i}.blocks.{j}" for i in range(2) for j in range(2)]
    assert [r.grid_size for r in records.values()] == [(10, 13), (10, 13), (5, 7), (5, 7)]
    assert [r.padded_size for r in records.values()] == [(12, 16), (12, 16), (8, 8), (8, 8)]
    assert [r.shift_size for r in records.values()] == [(0, 0), (2, 2)] * 2
    for name, record in records.items():
        block = model.get_submodule(name)
        assert record.name == name
        assert record.window_size == block.window_size
        num_windows = record.padded_size[0] * record.padded_size[1] // 16
        assert record.weights.shape == (3, num_windows, block.attn.num_heads, 16, 16)
        assert not record.weights.requires_grad
        torch.testing.assert_close(record.weights.sum(-1), torch.ones(record.weights.shape[:-1]))
        assert name in repr(record) and "4x4" in repr(record)


def test_a_block_that_is_called_by_keyword():
    block = make_model().layers[0].blocks[1]
    with record_attention(block) as records:
        block(x=torch.randn(1, 8, 12, 16))
    (record,) = records.values()
    assert record.grid_size == (8, 12) and record.shift_size == (2, 2)


def test_shift_is_the_one_really_used():
    """One window covers the last stage's height, so there the block shifts along the width only."""
    model = make_model()
    with record_attention(model) as records:
        model(torch.randn(1, 3, 30, 64))  # stages of 8x16 and 4x8
    assert records["layers.0.blocks.1"].shift_size == (2, 2)
    assert records["layers.1.blocks.1"].shift_size == (0, 2)


def test_output_is_unchanged():
    model, images = make_model(), torch.randn(2, 3, 37, 50)
    with torch.no_grad():
        wanted = model(images)
        with record_attention(model):
            recorded = model(images)
        assert relative_error(recorded, wanted) < 1e-5
        assert torch.equal(model(images), wanted)


def gradients(images, recorded, **options):
    """Of all parameters, when the backward pass comes after the context, as in a training loop."""
    model = make_model(**options).double()
    with record_attention(model) if recorded else nullcontext():
        out = model(images)
    out.square().sum().backward()
    return [p.grad for p in model.parameters()]


def test_gradients_are_unchanged():
    images = torch.randn(2, 3, 32, 32).double()
    wanted = gradients(images, recorded=False)
    torch.testing.assert_close(gradients(images, recorded=True), wanted, rtol=1e-9, atol=1e-9)


def test_gradients_are_unchanged_with_checkpointing():
    images = torch.randn(2, 3, 32, 32).double()
    wanted = gradients(images, recorded=False)
    got = gradients(images, recorded=True, use_checkpoint=True)
    torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-9)


def test_each_pass_overwrites_the_records_of_the_one_before():
    model = make_model()
    with record_attention(model) as records:
        model(torch.randn(1, 3, 64, 64))
        first = records["layers.0.blocks.0"]
        model(torch.randn(2, 3, 32, 32))
    assert first.grid_size == (16, 16)
    assert records["layers.0.blocks.0"].grid_size == (8, 8)
    assert records["layers.0.blocks.0"].weights.shape[0] == 2


def count_hooks(model):
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def test_hooks_are_gone_afterwards():
    model = make_model()
    with record_attention(model):
        assert count_hooks(model) == 3 * 4
    assert count_hooks(model) == 0


def test_hooks_are_gone_after_an_exception():
    model = make_model()
    with pytest.raises(ValueError, match="images"), record_attention(model):
        model(torch.randn(3, 32, 32))
    assert count_hooks(model) == 0
    with pytest.raises(KeyboardInterrupt), record_attention(model):
        raise KeyboardInterrupt
    assert count_hooks(model) == 0
    model(torch.randn(1, 3, 32, 32))


def test_a_compiled_model_is_recorded_too():
    model, x = make_model(), torch.randn(1, 3, 32, 32)
    model.compile(backend="eager", dynamic=False)  # traced as for any backend, without a C compiler
    with torch.no_grad():
        before = model(x)
        with record_attention(model) as records:
            inside = model(x)
        after = model(x)
    assert len(records) == 4 and all(r.weights.numel() for r in records.values())
    assert relative_error(inside, before) < 1e-5 and torch.equal(after, before)


def test_part_of_a_model_can_be_recorded():
    model = make_model()
    with record_attention(model.layers[1]) as records:
        model(torch.randn(1, 3, 32, 32))
    assert list(records) == ["blocks.0", "blocks.1"]


# --- one recording at a time, in one thread, on one model -----------------------------------------


@pytest.mark.parametrize("inner", [lambda model: model, lambda model: model.layers[1]])
def test_a_model_that_is_being_recorded_is_refused(inner):
    model, images = make_model(), torch.randn(1, 3, 32, 32)
    with record_attention(model) as records:
        with pytest.raises(RuntimeError, match="model must not be recorded already, but block"):
            with record_attention(inner(model)):
                pass
        model(images)
    assert len(records) == 4 and count_hooks(model) == 0
    with record_attention(model.layers[0]) as first, record_attention(model.layers[1]) as second:
        model(images)
    assert len(first) == len(second) == 2


@pytest.mark.parametrize("copying", [copy.deepcopy, pickle.dumps, AveragedModel])
def test_copies_inside_are_refused(copying):
    model, images = make_model(), torch.randn(1, 3, 32, 32)
    with record_attention(model) as records:
        with pytest.raises(RuntimeError, match="copied or saved inside record_attention"):
            copying(model)
        model(images)
    assert len(records) == 4
    copied = copy.deepcopy(model)
    assert count_hooks(copied) == 0 and torch.equal(copied(images), model(images))


def test_another_threads_pictures_are_not_recorded():
    model = make_model().requires_grad_(False)
    small, large = torch.randn(1, 3, 32, 32), torch.randn(2, 3, 64, 64)
    wanted = model(large)
    with ThreadPoolExecutor(1) as pool, record_attention(model) as records:
        assert torch.equal(pool.submit(model, large).result(), wanted)
        assert records == {}
        model(small)
        first = {name: record.weights for name, record in records.items()}
        assert torch.equal(pool.submit(model, large).result(), wanted)
        assert all(records[name].weights is first[name] for name in first)
    assert len(first) == 4


def test_attention_of_a_block_called_in_parts():
    """Not through its forward, so nobody knows the map: it works, and there is no record."""
    model, x = make_model().requires_grad_(False), torch.randn(1, 8, 8, 16)
    wanted = model.layers[0].blocks[1].window_attention(x)
    with record_attention(model) as records:
        out = model.layers[0].blocks[1].window_attention(x)
    assert relative_error(out, wanted) < 1e-5 and records == {}


def test_something_else_than_a_module():
    with pytest.raises(TypeError, match="model must be a torch.nn.Module, got int"):
        with record_attention(3):
            pass


@pytest.mark.parametrize("after", [False, True])
def test_the_gradient_of_the_weights(after):
    """Of an output that is made again from the recorded weights, by hand."""
    block = randomise(SwinTransformerBlock(8, 2, 4, 2)).double()
    x, wanted = torch.randn(2, 8, 8, 8).double(), torch.randn(2, 8, 8, 8).double()
    with record_attention(block, detach=False) as records:
        score = (block(x) * wanted).sum()
        if not after:
            score.backward()
    if after:
        score.backward()
    (record,) = records.values()
    assert record.weights.requires_grad and not record.gradient.requires_grad
    assert record.gradient.shape == record.weights.shape == (2, 4, 2, 16, 16)
    # one weight a little larger, everything behind it computed again
    change = torch.zeros_like(record.weights)
    change[1, 2, 0, 5, 7] = 1e-6
    real = swinlib.model.attention

    def changed(*args, **options):
        _, weights = real(*args, **options)
        weights = weights + change.flatten(0, 1)
        return weights @ args[2], weights

    with pytest.MonkeyPatch.context() as patch, record_attention(block), torch.no_grad():
        patch.setattr(swinlib.model, "attention", changed)
        other = (block(x) * wanted).sum()
    slope = (other - score.detach()) / 1e-6
    torch.testing.assert_close(slope, record.gradient[1, 2, 0, 5, 7], rtol=1e-4, atol=1e-6)


def test_weights_are_detached_unless_told_otherwise():
    model = make_model()
    with record_attention(model) as records:
        model(torch.randn(1, 3, 32, 32)).sum().backward()
    assert all(r.gradient is None and not r.weights.requires_grad for r in records.values())
    with record_attention(model, detach=False) as records, torch.no_grad():
        model(torch.randn(1, 3, 32, 32))
    assert all(r.gradient is None for r in records.values())
