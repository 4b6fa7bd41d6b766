"""Checkpoints: all layouts, strictly, and refusals that say why."""

import argparse
import hashlib
import pickle
from collections import OrderedDict
from functools import partial

import pytest
import torch
import torch.distributed
import torch.nn.functional as F
import torchvision.models
from oracles import randomise, torchvision_key
from small_models import SMALL, make_model
from torch._subclasses.fake_tensor import FakeTensorMode

from swinlib import SwinTransformer, WindowAttention, load_pretrained, read_architecture
from swinlib.pretrained import (
    CLASSES_1K_IN_22K,
    LAYOUTS,
    export_state_dict,
    resize_bias_table,
)


def microsoft_state(**options):
    """A checkpoint as the official code stores it, buffers included."""
    model = make_model(seed=1, **options)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    for i, layer in enumerate(model.layers):
        for j in range(1, len(layer.blocks), 2):
            state[f"layers.{i}.blocks.{j}.attn_mask"] = torch.zeros(64, 16, 16)
    return state


def assert_loaded(model, state):
    """Every parameter of the model has come from the state."""
    for name, p in model.named_parameters():
        assert torch.equal(p, state[name]), name


# --- what is taken --------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [dict, lambda s: {"model": s}, lambda s: {"model": s, "epoch": 3}])
def test_microsofts_layout(wrap):
    state, model = microsoft_state(), make_model()
    assert load_pretrained(model, wrap(state)) is model
    assert_loaded(model, state)


def test_a_state_dict_of_swinlib_itself():
    model, other = make_model(), make_model(seed=1)
    load_pretrained(model, other.state_dict())
    x = torch.randn(1, 3, 40, 28)
    assert torch.equal(model(x), other(x))


@pytest.mark.parametrize("as_path", [str, lambda path: path])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file(tmp_path, as_path, wrapped):
    state, model = microsoft_state(), make_model()
    path = tmp_path / "swin.pth"
    torch.save({"model": state, "optimizer": {"lr": 0.1}} if wrapped else state, path)
    load_pretrained(model, as_path(path))
    assert_loaded(model, state)


def test_stored_masks_are_ignored_whatever_they_hold():
    state, model = microsoft_state(), make_model()
    for key in state:
        if key.endswith("attn_mask"):
            state[key] = torch.full((7,), torch.nan)
    load_pretrained(model, state)
    assert_loaded(model, state)


def test_stored_buffers_may_be_missing():
    state = {k: v for k, v in microsoft_state().items() if "index" not in k and "mask" not in k}
    model = make_model()
    load_pretrained(model, state)
    assert_loaded(model, state)


def test_a_state_dict_of_torchvision():
    theirs = randomise(
        torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=5)
    )
    state, model = theirs.state_dict(), make_model()
    load_pretrained(model, state)
    used = {torchvision_key(name) for name, _ in model.named_parameters()}
    assert used == {name for name, _ in theirs.named_parameters()}
    for name, p in model.named_parameters():
        assert torch.equal(p, state[torchvision_key(name)]), name


def test_half_precision_weights_in_a_float_model():
    state = {k: v.half() if v.is_floating_point() else v for k, v in microsoft_state().items()}
    model = make_model()
    load_pretrained(model, state)
    assert model.head.weight.dtype == torch.float32
    assert torch.equal(model.head.weight, state["head.weight"].float())


def test_the_source_is_left_alone():
    state = microsoft_state(window_size=3)
    keys, tables = list(state), {k: v.clone() for k, v in state.items()}
    model = make_model()
    load_pretrained(model, state, resize=True)
    with torch.no_grad():
        model.head.weight.zero_()
    assert list(state) == keys
    assert all(torch.equal(state[k], tables[k]) for k in keys)


# --- what is refused ------------------------------------------------------------------------------


def refusal(model, source, **options):
    """The message, after making sure that the model has not changed."""
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_pretrained(model, source, **options)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    return str(error.value)


def test_another_width():
    message = refusal(make_model(embed_dim=32), microsoft_state())
    assert "embed_dim is 16 there, 32 here" in message
    assert "misshapen: patch_embed.proj.weight is (16, 3, 4, 4) in the checkpoint" in message
    assert "(32, 3, 4, 4) in the model" in message


def test_another_window_size():
    message = refusal(make_model(), microsoft_state(window_size=3))
    assert "window_size is 3 there" in message
    assert "resize=True" in message
    assert "layers.0.blocks.0.attn.relative_position_bias_table is (25, 2)" in message
    assert "(4 in all)" in message


def test_another_number_of_classes():
    message = refusal(make_model(num_classes=7), microsoft_state())
    assert "num_classes is 5 there, 7 here" in message
    assert "head.weight is (5, 32) in the checkpoint, (7, 32) in the model (2 in all)" in message


def test_deeper():
    message = refusal(make_model(depths=(2, 4)), microsoft_state())
    assert "depths" in message
    assert "missing: layers.1.blocks.2.norm1.weight (26 in all)" in message
    assert "unexpected" not in message and "misshapen" not in message


def test_shallower():
    message = refusal(make_model(), microsoft_state(depths=(2, 4)))
    assert "depths" in message
    assert "unexpected: layers.1.blocks.2.norm1.weight (26 in all)" in message


def test_more_stages():
    model = make_model(depths=(2, 2, 2), num_heads=(2, 4, 8))
    message = refusal(model, microsoft_state())
    assert "depths" in message
    assert "missing: layers.1.downsample." in message


def test_another_number_of_heads():
    assert "num_heads" in refusal(make_model(num_heads=(4, 4)), microsoft_state())


def test_one_has_no_head():
    assert "a backbone without a head" in refusal(make_model(), microsoft_state(num_classes=0))
    message = refusal(make_model(num_classes=0), microsoft_state())
    assert "unexpected: head.weight (2 in all)" in message
    assert "num_classes=0" in message


def test_another_patch_size_or_number_of_channels():
    assert "patch_size" in refusal(make_model(patch_size=2), microsoft_state())
    assert "input channels" in refusal(make_model(in_chans=1), microsoft_state())


@pytest.mark.parametrize(
    "options", [{"patch_norm": False}, {"ape": True, "img_size": 32}, {"mlp_ratio": 2.0}]
)
def test_another_option(options):
    (name, *_) = options
    reason = refusal(make_model(**options), microsoft_state()).split("Likely reason")[1]
    assert name in reason
    reason = refusal(make_model(), microsoft_state(**options)).split("Likely reason")[1]
    assert name in reason


@pytest.mark.parametrize("there, here", [(True, False), (False, True)])
def test_qkv_bias_on_one_side_only(there, here):
    reason = refusal(make_model(qkv_bias=here), microsoft_state(qkv_bias=there))
    reason = reason.split("Likely reason")[1]
    assert "qkv_bias" in reason
    assert "depths" not in reason


def test_version_two():
    state = microsoft_state()
    for key in list(state):
        if key.endswith("relative_position_bias_table"):
            attn = key.rpartition(".")[0]
            del state[key]
            state[f"{attn}.logit_scale"] = torch.ones(2, 1, 1)
            state[f"{attn}.cpb_mlp.0.weight"] = torch.ones(512, 2)
    assert "V2" in refusal(make_model(), state)
    theirs = torchvision.models.SwinTransformer(
        [4, 4],
        16,
        [2, 2],
        [2, 4],
        [4, 4],
        num_classes=5,
        block=torchvision.models.swin_transformer.SwinTransformerBlockV2,
        downsample_layer=torchvision.models.swin_transformer.PatchMergingV2,
    )
    assert "V2" in refusal(make_model(), theirs.state_dict())


@pytest.mark.parametrize("state", [{}, {"conv1.weight": torch.zeros(64, 3, 7, 7)}])
def test_not_a_swin(state):
    message = refusal(make_model(), state)
    assert "not a Swin Transformer checkpoint" in message
    assert "missing: patch_embed.proj.weight" in message


def test_a_key_too_few_and_a_key_too_many():
    state = microsoft_state()
    state["surplus"] = state.pop("layers.0.blocks.0.norm1.bias")
    message = refusal(make_model(), state)
    assert "missing: layers.0.blocks.0.norm1.bias (1 in all)" in message
    assert "unexpected: surplus (1 in all)" in message


@pytest.mark.parametrize("name", ["efficientnet_b0", "vit_b_16", "convnext_tiny", "resnet18"])
def test_other_networks(name):
    with torch.device("meta"):
        state = getattr(torchvision.models, name)().state_dict()
    assert "not a Swin Transformer checkpoint" in refusal(make_model(), state)


def test_a_swin_for_videos():
    state = microsoft_state()
    state["patch_embed.proj.weight"] = torch.zeros(16, 3, 2, 4, 4)
    assert "another number of dimensions, as those of videos" in refusal(make_model(), state)


class Harmful:
    """What a checkpoint from a stranger may hold: code that runs when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    path, trace = tmp_path / "swin.pth", tmp_path / "trace"
    torch.save({"model": microsoft_state(), "config": Harmful(trace)}, path)
    model = make_model()
    before = model.head.weight.clone()
    with pytest.raises(pickle.UnpicklingError):
        load_pretrained(model, path)
    assert not trace.exists()
    assert torch.equal(model.head.weight, before)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_pretrained(make_model(), tmp_path / "nothing.pth")


@pytest.mark.parametrize(
    "source",
    [
        3,
        None,
        [1],
        {"state_dict": 3},
        {"weights": {}},
        {"model": {"a": 1}},
        {"a": torch.zeros(1), "b": 2},
    ],
)
def test_something_else_than_tensors_by_name(source):
    with pytest.raises(TypeError, match="source.*got"):
        load_pretrained(make_model(), source)


def test_weights_in_containers_of_other_names():
    state = microsoft_state()
    for source in (
        {"weights": state},
        {"model": {"depths": 3}, "state_dict": state},
        {"optimizer": {"state": {}}, "net": {"module": state}},
    ):
        assert_loaded(load_pretrained(make_model(), source), state)


@pytest.mark.parametrize("first", ["", "student."])
@pytest.mark.parametrize("options", [{}, {"new_head": True}])
def test_two_models_in_one_state_dict(first, options):
    """Nobody knows which is meant; the message has the line that takes one."""
    state = {first + key: value for key, value in make_model(seed=1).state_dict().items()}
    both = state | {f"teacher.backbone.{k}": v for k, v in make_model(seed=2).state_dict().items()}
    message = refusal(make_model(), both, **options)
    assert f"several models, with names behind {first!r}, 'teacher.backbone.'" in message
    taken = eval(message.split("such as ")[1], {"state": both})
    load_pretrained(model := make_model(), taken)
    assert_loaded(model, make_model(seed=2).state_dict())


def test_tensors_by_number():
    with pytest.raises(TypeError, match="source"):
        load_pretrained(make_model(), {0: torch.zeros(1)})


# --- bias tables of another window size -----------------------------------------------------------


def test_a_table_of_the_same_size_stays_as_it_is():
    table = torch.randn(49, 3)
    assert torch.equal(resize_bias_table(table, (4, 4)), table)


@pytest.mark.parametrize("M, window", [(7, (12, 12)), (12, (7, 7)), (3, (4, 6)), (1, (3, 3))])
def test_a_table_is_resampled_like_a_picture_per_head(M, window):
    table = torch.randn((2 * M - 1) ** 2, 3)
    size = (2 * window[0] - 1, 2 * window[1] - 1)
    resized = resize_bias_table(table, window)
    assert resized.shape == (size[0] * size[1], 3)
    for head in range(3):
        picture = table[:, head].view(1, 1, 2 * M - 1, 2 * M - 1)
        wanted = F.interpolate(picture, size=size, mode="bicubic", align_corners=False)
        torch.testing.assert_close(resized[:, head], wanted.flatten())


def test_a_table_keeps_its_symmetry_and_its_dtype():
    table = torch.randn(25, 2)
    symmetric = table + table.flip(0)
    resized = resize_bias_table(symmetric, (5, 5))
    torch.testing.assert_close(resized, resized.flip(0))
    assert resize_bias_table(table.half(), (5, 5)).dtype == torch.float16


@pytest.mark.parametrize("window", [3, 6, (2, 5)])
def test_a_resized_model_runs(window):
    state, model = microsoft_state(), make_model(window_size=window)
    load_pretrained(model, state, resize=True)
    for name, p in model.named_parameters():
        if name.endswith("relative_position_bias_table"):
            size = model.layers[0].blocks[0].window_size
            assert torch.equal(p, resize_bias_table(state[name], size))
        else:
            assert torch.equal(p, state[name])
    assert model(torch.randn(2, 3, 40, 28)).isfinite().all()


def test_resizing_repairs_only_the_window_size():
    model = make_model(window_size=3, num_classes=7)
    message = refusal(model, microsoft_state(), resize=True)
    assert "num_classes" in message
    assert "relative_position_bias_table" not in message


@pytest.mark.parametrize("window", [(3, 5), (1, 5)])
def test_resizing_leaves_fitting_tables_of_windows_that_are_not_square(window):
    model, state = make_model(window_size=window), microsoft_state(window_size=window)
    load_pretrained(model, state, resize=True)
    assert_loaded(model, state)


def test_a_table_of_a_window_that_is_not_square_is_resampled_as_what_it_is():
    model, state = make_model(window_size=(2, 4)), microsoft_state(window_size=(4, 2))
    load_pretrained(model, state, resize=True)
    key = "layers.0.blocks.0.attn.relative_position_bias_table"
    grid = state[key].T.reshape(1, 2, 7, 3)
    wanted = F.interpolate(grid, size=(3, 7), mode="bicubic", align_corners=False)
    torch.testing.assert_close(model.state_dict()[key], wanted.flatten(2)[0].T)


def test_a_position_embedding_is_resampled_as_by_the_official_loader():
    model = make_model(ape=True, img_size=(48, 64))
    state = microsoft_state(ape=True, img_size=32)
    reason = refusal(model, state)
    assert "(ape)" in reason and "img_size" in reason and "resize=True" in reason
    load_pretrained(model, state, resize=True)
    grid = state["absolute_pos_embed"].reshape(1, 8, 8, 16).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, size=(12, 16), mode="bicubic").permute(0, 2, 3, 1).flatten(1, 2)
    torch.testing.assert_close(model.absolute_pos_embed.detach(), wanted)


def test_a_position_embedding_that_fits_stays_as_it_is():
    """A grid of 8 x 32 has as many tokens as a square."""
    options = {"ape": True, "img_size": (32, 128)}
    state = microsoft_state(**options)
    assert_loaded(load_pretrained(make_model(**options), state, resize=True), state)


@pytest.mark.parametrize("img_size, wanted", [(32, None), (48, (12, 12))])
def test_a_position_embedding_of_the_detection_code(img_size, wanted):
    """It is a map, (1, C, h, w)."""
    model, state = make_model(ape=True, img_size=img_size), microsoft_state(ape=True, img_size=32)
    grid = state["absolute_pos_embed"].mT.unflatten(2, (8, 8))
    load_pretrained(model, state | {"absolute_pos_embed": grid}, resize=True)
    if wanted:
        grid = F.interpolate(grid, size=wanted, mode="bicubic")
    torch.testing.assert_close(model.absolute_pos_embed.detach(), grid.flatten(2).mT)


@pytest.mark.parametrize("there, here, word", [((32, 64), 48, "height and width"), (32, 16, None)])
def test_a_position_embedding_whose_sides_nobody_knows(there, here, word):
    model = make_model(ape=True, img_size=here)
    state = microsoft_state(ape=True, img_size=there)
    if word is None:
        load_pretrained(model, state, resize=True)
    else:
        assert word in refusal(model, state, resize=True)


# --- bias tables of the same size that mean something else ----------------------------------------


@pytest.mark.parametrize("there, here", [((4, 2), (2, 4)), ((2, 2), (1, 5)), ((3, 5), (5, 3))])
def test_a_table_of_another_window_with_as_many_rows(there, here):
    message = refusal(make_model(window_size=here), microsoft_state(window_size=there))
    assert f"that of a window {there}, and the model's window is {here}" in message
    refusal(make_model(window_size=there), microsoft_state(window_size=here))


def test_an_index_that_counts_otherwise():
    state = microsoft_state()
    for key in state:
        if key.endswith("relative_position_index"):
            state[key] = state[key].T.contiguous()
    for options in ({}, {"resize": True}):
        message = refusal(make_model(), state, **options)
        assert "relative_position_index is numbered in another way" in message


@pytest.mark.parametrize("layout", ["timm", "hf5"])
@pytest.mark.parametrize("window", [(2, 4), (1, 5), 4])
def test_a_checkpoint_without_an_index_may_have_other_windows(layout, window, capsys):
    """Where a table's rows do not tell its window's shape, and that of the model is unusual."""
    state = export_state_dict(make_model(seed=1, window_size=window), layout)
    model = load_pretrained(make_model(window_size=window), state)
    assert_loaded(model, make_model(seed=1, window_size=window).state_dict())
    said = capsys.readouterr().out
    assert said == (
        ""
        if window == 4
        else f"the checkpoint does not say its windows' shape: {window} is taken\n"
    )


@pytest.mark.parametrize("form", [torch.Tensor.to_sparse, lambda x: x.to("meta")])
def test_an_index_that_cannot_be_read(form):
    state = microsoft_state()
    key = "layers.1.blocks.1.attn.relative_position_index"
    state[key] = form(state[key])
    assert key in refusal(make_model(), state)


# --- weights that are none ------------------------------------------------------------------------


WEIGHTS = {
    "sparse": (torch.Tensor.to_sparse, "torch.sparse_coo"),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "quantised"),
    "without numbers": (lambda x: x.to("meta"), "meta"),
    "whole numbers": (lambda x: x.to(torch.int64), "torch.int64"),
    "bools": (lambda x: x > 0, "torch.bool"),
    "complex": (lambda x: x.to(torch.complex64), "torch.complex64"),
    "fake": (lambda x: FakeTensorMode().from_tensor(x), "FakeTensor"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("key", ["patch_embed.proj.weight", "layers.1.blocks.1.mlp.fc2.weight"])
def test_all_or_nothing(kind, key):
    """Also when the last weight is the one that cannot be copied."""
    change, word = WEIGHTS[kind]
    state = microsoft_state()
    state[key] = change(state[key])
    message = refusal(make_model(), state)
    assert key in message and word in message


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 5, 7, 1)])
def test_every_misshapen_weight_is_named(layout, shape):
    state, model = export_state_dict(make_model(seed=1), layout), make_model()
    names = ("relative_position_index", "layers.1.", "blocks.1.", "stages.1", "features.3.")
    for key in [key for key in state if not any(name in key for name in names)]:
        for options in ({}, {"resize": True}):
            with pytest.raises(ValueError, match="Likely reason|must be .* got shape") as error:
                load_pretrained(model, state | {key: torch.zeros(shape)}, **options)
            if layout in ("official", "timm"):  # whose names are ours here
                assert key.replace("head.fc", "head") in str(error.value)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_format", [True, False])
def test_a_file_cut_short_anywhere(tmp_path, new_format):
    path = tmp_path / "swin.pth"
    torch.save(microsoft_state(), path, _use_new_zipfile_serialization=new_format)
    whole, model = path.read_bytes(), make_model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for length in (0, 1, 2, 10, 100, 1000, len(whole) // 2, len(whole) - 1000, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError) as error:
            load_pretrained(model, path)
        assert str(path) in str(error.value)
        assert ("empty" if length == 0 else "cut short") in str(error.value), length
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    "content, word",
    [
        (b"<!DOCTYPE html>\n<html><body>Not found</body></html>", "web page"),
        (b"\n\n  <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git lfs pull"),
        (b"hello", "something else than a checkpoint"),
    ],
)
@pytest.mark.parametrize("name", ["swin.pth", "swin.safetensors"])
def test_a_file_that_is_something_else(tmp_path, name, content, word):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=word) as error:
        load_pretrained(make_model(), path)
    assert str(path) in str(error.value)


class CfgNode(dict):
    """As yacs keeps a configuration: a dict with attributes."""


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("name", ["model", "state_dict", "model_ema", None])
@pytest.mark.parametrize("other", [argparse.Namespace(model="swin"), CfgNode(LR=0.1)])
def test_what_else_a_file_holds_is_named(tmp_path, new_format, name, other):
    path = tmp_path / "swin.pth"
    checkpoint = {"config": other, name: microsoft_state(), "epoch": 3}
    if name is None:  # a whole model
        checkpoint = other = make_model(seed=1)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=new_format)
    kind = f"{type(other).__module__}.{type(other).__qualname__}"
    with pytest.raises(pickle.UnpicklingError, match=kind) as error:
        load_pretrained(make_model(), path)
    command = str(error.value).split("once: ")[1]  # what the message says works
    exec(command.replace('"weights.pth"', repr(str(tmp_path / "weights.pth"))), {"torch": torch})
    assert_loaded(load_pretrained(make_model(), tmp_path / "weights.pth"), microsoft_state())


def test_safetensors_and_a_folder(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    state = {k: v.contiguous() for k, v in export_state_dict(make_model(seed=1), "hf").items()}
    for name in ("model.safetensors", "renamed.pth"):
        safetensors.save_file(state, tmp_path / name)
    for source in (tmp_path, tmp_path / "model.safetensors", tmp_path / "renamed.pth"):
        assert_loaded(load_pretrained(make_model(), source), make_model(seed=1).state_dict())
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="model.safetensors or pytorch_model.bin"):
        load_pretrained(make_model(), tmp_path)


# --- layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", [{}, {"ape": True, "img_size": 32}, {"qkv_bias": False}])
@pytest.mark.parametrize("depths", [(2, 2), (1, 2, 3, 1)])
def test_there_and_back_bit_for_bit(layout, options, depths):
    options = options | {"depths": depths, "num_heads": (1, 2, 4, 8)[: len(depths)]}
    theirs, ours = make_model(seed=1, **options), make_model(**options)
    state = export_state_dict(theirs, layout)
    if layout != "official":
        assert not set(state) <= set(theirs.state_dict())
    load_pretrained(ours, state)
    assert_loaded(ours, theirs.state_dict())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.net."])
@pytest.mark.parametrize("container", ["model", "state_dict", "model_ema", "teacher"])
def test_behind_any_prefix_in_any_container(layout, prefix, container):
    theirs, ours = make_model(seed=1), make_model()
    state = {prefix + key: value for key, value in export_state_dict(theirs, layout).items()}
    load_pretrained(ours, {container: state, "epoch": 3})
    assert_loaded(ours, theirs.state_dict())


def test_of_two_containers_it_is_said_which_was_taken(capsys):
    theirs, ours = make_model(seed=1), make_model()
    load_pretrained(ours, {"model_ema": make_model().state_dict(), "model": theirs.state_dict()})
    assert_loaded(ours, theirs.state_dict())
    assert capsys.readouterr().out == "weights taken from 'model', not from 'model_ema'\n"


@pytest.mark.parametrize("device", ["meta"])
def test_another_default_device_changes_nothing(device):
    state = microsoft_state(num_classes=21841)
    model = make_model(num_classes=1000)
    with torch.device(device):
        load_pretrained(model, state, head_22k_to_1k=True)
        assert read_architecture(state)["window_size"] == (4, 4)
    assert torch.equal(model.head.bias, state["head.bias"][torch.tensor(CLASSES_1K_IN_22K)])


@pytest.mark.parametrize("depths", [(2, 2), (1, 1, 1)])  # one stage alone may be timm's
def test_a_head_of_one_s_own(depths):
    """Whose layer is called as timm's."""
    options = {"depths": depths, "num_heads": (2, 4, 8)[: len(depths)]}

    def with_own_head(seed):
        model = make_model(seed, **options)
        model.head = torch.nn.Sequential(OrderedDict(drop=torch.nn.Dropout(), fc=model.head))
        return model

    state = with_own_head(1).state_dict()
    assert_loaded(load_pretrained(with_own_head(0), state), state)
    assert "the head is another module there" in refusal(make_model(**options), state)
    load_pretrained(make_model(**options), state, new_head=True)


def test_what_stands_beside_the_backbone_is_passed_over_with_a_new_head(capsys):
    state = microsoft_state()
    more = {"aux.weight": torch.zeros(2, 2), "hidden_states_norms.stem.weight": torch.zeros(2)}
    assert "aux" in refusal(make_model(), state | more)
    load_pretrained(make_model(), state | more, new_head=True)
    assert "aux, head, hidden_states_norms" in capsys.readouterr().out
    assert "layers.0.blocks.9" in refusal(
        make_model(), state | {"layers.0.blocks.9.norm1.weight": torch.zeros(16)}, new_head=True
    )


@pytest.mark.parametrize("ratio", [4.0, 2.7, 1.3])
def test_the_width_of_the_mlps_is_read_exactly(ratio):
    options = {"depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1), "mlp_ratio": ratio}
    state = make_model(**options).state_dict()
    found = read_architecture(state)
    load_pretrained(SwinTransformer(**found, drop_path_rate=0.0), state)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_norms_without_a_bias(layout):
    norm = partial(torch.nn.LayerNorm, bias=False)
    theirs, ours = (make_model(seed=seed, norm_layer=norm) for seed in (1, 0))
    load_pretrained(ours, export_state_dict(theirs, layout))
    assert ours.norm.bias is None
    assert_loaded(ours, theirs.state_dict())


def test_mmpretrains_names():
    """As they stand in its checkpoints."""
    assert set(export_state_dict(make_model(), "mm")) >= {
        "patch_embed.projection.weight", "patch_embed.norm.bias", "norm1.weight", "head.fc.bias",
        "stages.0.blocks.1.attn.w_msa.qkv.weight", "stages.0.blocks.1.attn.w_msa.proj.bias",
        "stages.0.blocks.1.attn.w_msa.relative_position_bias_table", "stages.1.blocks.0.norm2.bias",
        "stages.0.blocks.1.ffn.layers.0.0.weight", "stages.0.blocks.1.ffn.layers.1.bias",
    }  # fmt: skip


def test_another_layout_is_refused():
    with pytest.raises(ValueError, match="layout must be one of official, timm.*got 'keras'"):
        export_state_dict(make_model(), "keras")


def test_merging_in_the_order_of_unfold():
    """What mmdetection computes with the exported weights is what we do."""
    model = make_model()
    merging, x = model.layers[0].downsample, torch.randn(2, 6, 8, 16)
    state = export_state_dict(model, "mm")
    stacked = F.unfold(x.permute(0, 3, 1, 2), 2, stride=2).mT  # (B, n, C * 4), C first
    weight, bias = (state[f"stages.0.downsample.norm.{name}"] for name in ("weight", "bias"))
    stacked = F.layer_norm(stacked, (64,), weight, bias)
    out = stacked @ state["stages.0.downsample.reduction.weight"].T
    torch.testing.assert_close(out.view(2, 3, 4, 32), merging(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("out_indices", [(0, 1), (1,)])
def test_a_backbone_there_and_back(layout, out_indices):
    options = {"num_classes": 0, "out_indices": out_indices}
    theirs, ours = make_model(seed=1, **options), make_model(**options)
    load_pretrained(ours, export_state_dict(theirs, layout))
    assert_loaded(ours, theirs.state_dict())


@pytest.mark.parametrize("layout", ["official", "mm"])
def test_a_detectors_backbone(layout, capsys):
    """A norm for each stage, no head, and the rest of the detector beside it."""
    theirs, ours = make_model(seed=1), make_model()
    state = export_state_dict(theirs, layout)
    state = {k: v for k, v in state.items() if not k.startswith(("head", "norm"))}
    state |= {f"norm{i}.{k}": torch.rand(16 * 2**i) for i in (0, 1) for k in ("weight", "bias")}
    state = {f"backbone.{key}": value for key, value in state.items()}
    state["neck.lateral_convs.0.conv.weight"] = torch.zeros(3, 3)
    message = refusal(ours, {"state_dict": state})
    assert "a backbone without a head for classes beside neck, norm0; new_head=True" in message
    head = ours.head.weight.clone()
    load_pretrained(ours, {"state_dict": state}, new_head=True)
    assert torch.equal(ours.head.weight, head)
    assert torch.equal(ours.norm.weight, state["backbone.norm1.weight"])
    for name, p in ours.layers.named_parameters():
        assert torch.equal(p, theirs.layers.get_parameter(name))
    assert "neck, norm0" in capsys.readouterr().out


@pytest.mark.parametrize("layout", ["official", "mm"])
def test_a_detectors_backbone_into_a_backbone(layout, capsys):
    theirs = make_model(seed=1, out_indices=(0, 1))
    state = export_state_dict(theirs, layout)
    state = {f"module.backbone.{key}": value for key, value in state.items()}
    ours = load_pretrained(make_model(out_indices=(0, 1)), {"state_dict": state})
    assert capsys.readouterr().out == ""
    x = torch.randn(1, 3, 40, 28)
    assert all(map(torch.equal, ours(x), theirs(x)))
    state |= {"module.decode_head.conv_seg.weight": torch.zeros(3, 3)}
    ours = make_model(out_indices=(1,))
    assert "a norm for each of its out_indices" in refusal(ours, state)
    load_pretrained(ours, state, new_head=True)
    assert torch.equal(ours(x)[0], theirs(x)[1])
    said = "nothing left as it is, as new_head=True asks; not taken from the checkpoint: "
    assert capsys.readouterr().out == f"{said}module, norm0\n"


def test_a_classifier_into_a_backbone(capsys):
    """What official detection starts from; the last norm keeps its place, which others do not."""
    ours = make_model(out_indices=(0, 1))
    message = refusal(ours, microsoft_state())
    assert "a norm for each of its out_indices" in message and "new_head=True" in message
    before = ours.norm0.weight.clone()
    load_pretrained(ours, microsoft_state(), new_head=True)
    x = torch.randn(1, 3, 40, 28)
    theirs = make_model(seed=1)
    last = theirs.norm(theirs.forward_stages(x)[1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.equal(ours(x)[1], last)
    assert torch.equal(ours.norm0.weight, before)
    said = "norm0 left as it is, as new_head=True asks; not taken from the checkpoint: head\n"
    assert capsys.readouterr().out == said


def test_weights_of_simmim():
    theirs, ours = make_model(seed=1, num_classes=0), make_model()
    state = {f"encoder.{key}": value for key, value in theirs.state_dict().items()}
    state |= {"encoder.mask_token": torch.zeros(1, 1, 16), "decoder.0.weight": torch.zeros(3, 3)}
    assert "without a head" in refusal(ours, {"model": state})
    load_pretrained(ours, {"model": state}, new_head=True)
    assert torch.equal(ours.norm.weight, theirs.norm.weight)


def test_a_new_head(capsys):
    state, model = microsoft_state(), make_model(num_classes=7)
    assert "num_classes is 5 there, 7 here; new_head=True" in refusal(model, state)
    head = model.head.weight.clone()
    load_pretrained(model, state, new_head=True)
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.norm.weight, state["norm.weight"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "head left as it is" in out
    load_pretrained(make_model(num_classes=0), state, new_head=True)


# --- heads of 22K, pictures of other channels ---------------------------------------------------


def test_the_classes_of_1k_among_those_of_22k():
    """The numbers of the official file, as text with one in a line."""
    assert len(set(CLASSES_1K_IN_22K)) == 1000
    assert min(CLASSES_1K_IN_22K) >= 0 and max(CLASSES_1K_IN_22K) < 21841
    text = "\n".join(map(str, CLASSES_1K_IN_22K))
    digest = "4fff66d6f337db6dd0b41d1b6c863e617f9400d37892df630eecfcfa50131aab"
    assert hashlib.sha256(text.encode()).hexdigest() == digest


@pytest.mark.parametrize("layout", ["official", "timm", "hf"])
def test_a_head_of_22k_in_a_model_of_1k(layout):
    theirs, ours = make_model(seed=1, num_classes=21841), make_model(num_classes=1000)
    state = export_state_dict(theirs, layout)
    message = refusal(ours, state)
    assert "num_classes is 21841 there, 1000 here; head_22k_to_1k=True" in message
    load_pretrained(ours, state, head_22k_to_1k=True)
    x = torch.randn(2, 3, 40, 28)
    wanted = theirs(x)[:, list(CLASSES_1K_IN_22K)]
    torch.testing.assert_close(ours(x), wanted)
    for classes in ((21841, 999), (1000, 1000), (21841, 0)):
        theirs, ours = (make_model(num_classes=n) for n in classes)
        message = refusal(ours, theirs.state_dict(), head_22k_to_1k=True)
        assert f"head.weight of ({classes[0]},)" in message


@pytest.mark.parametrize("layout", ["official", "hf", "mm"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6, 7])
def test_pictures_of_other_channels(layout, channels):
    """A picture that repeats its colours gives the same tokens."""
    theirs, ours = make_model(seed=1), make_model(in_chans=channels)
    state = export_state_dict(theirs, layout)
    if channels != 3:
        message = refusal(ours, state)
        assert f"3 input channels, patch_size (4, 4) there, {channels} input" in message
        assert "adapt_in_chans=True" in message
    load_pretrained(ours, state, adapt_in_chans=True)
    own, weight = ours.patch_embed.proj.weight, theirs.patch_embed.proj.weight
    if channels == 1:
        grey = torch.randn(2, 1, 32, 32)
        torch.testing.assert_close(ours(grey), theirs(grey.repeat(1, 3, 1, 1)))
    else:
        assert own.shape[1] == channels
        for c in range(channels):
            torch.testing.assert_close(own[:, c], weight[:, c % 3] * 3 / channels)
    assert torch.equal(
        ours.layers[1].blocks[1].mlp.fc2.weight, theirs.layers[1].blocks[1].mlp.fc2.weight
    )


# --- models that are wrapped, or have no memory yet ----------------------------------------------


def test_a_mean_of_weights():
    """AveragedModel counts, beside the weights, what it has averaged."""
    mean = torch.optim.swa_utils.AveragedModel(make_model(seed=1))
    model = load_pretrained(make_model(), mean.state_dict())
    assert_loaded(model, make_model(seed=1).state_dict())
    assert load_pretrained(mean, make_model(seed=2).state_dict()) is mean
    assert_loaded(mean.module, make_model(seed=2).state_dict())


def test_a_model_for_several_processes(tmp_path):
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(make_model())
        assert load_pretrained(wrapped, microsoft_state()) is wrapped
        assert_loaded(wrapped.module, microsoft_state())
        assert_loaded(load_pretrained(make_model(), wrapped.state_dict()), microsoft_state())
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.compile])
def test_a_wrapped_model_is_filled_inside(wrap):
    model, state = make_model(), microsoft_state()
    wrapped = wrap(model)
    assert load_pretrained(wrapped, state) is wrapped
    assert_loaded(model, state)
    assert set(export_state_dict(wrapped, "official")) == set(model.state_dict())


def test_something_else_than_a_swin_is_not_filled():
    with pytest.raises(TypeError, match=r"a swinlib\.SwinTransformer, got torch.*Linear"):
        load_pretrained(torch.nn.Linear(1, 1), microsoft_state())


def test_a_model_built_without_memory():
    with torch.device("meta"):
        model = SwinTransformer(**SMALL)
    with pytest.raises(ValueError, match="meta device.*to_empty"):
        load_pretrained(model, microsoft_state())
    model.to_empty(device="cpu")
    for module in model.modules():
        if isinstance(module, WindowAttention):
            module.relative_position_index.fill_(3)  # whatever the memory held
    load_pretrained(model.eval(), microsoft_state())
    x = torch.randn(1, 3, 40, 28)
    assert torch.equal(model(x), make_model(seed=1)(x))
