"""Bad input: an error of the documented kind, which names the argument and what it was."""

import inspect
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from swinlib import (
    BasicLayer,
    DropPath,
    FeaturePyramid,
    Mlp,
    MultiHeadSelfAttention,
    PatchEmbed,
    PatchMerging,
    SwinSegmenter,
    SwinTransformer,
    SwinTransformerBlock,
    WindowAttention,
    attention,
    block_flops,
    cyclic_shift,
    image_to_patches,
    merging_flops,
    model_flops,
    msa_flops,
    pad_to_multiple,
    patches_to_image,
    record_attention,
    region_ids,
    relative_position_bias,
    relative_position_index,
    reverse_cyclic_shift,
    shifted_window_mask,
    space_to_depth,
    window_partition,
    window_reverse,
    wmsa_flops,
)
from swinlib.pretrained import resize_bias_table

images = torch.zeros(1, 3, 8, 8)
x = torch.zeros(1, 8, 8, 4)
windows = torch.zeros(4, 4, 4, 4)


def swin(**options):
    options = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4} | options
    return SwinTransformer(**options)


def record(model):
    with record_attention(model):
        pass


def a_record():
    block = SwinTransformerBlock(4, 1, 4)
    with record_attention(block) as records:
        block(x)
    return records[""]


VALUE_ERRORS = [
    # lesson 01
    (lambda: image_to_patches(images[0], 4), ["images", "(3, 8, 8)"]),
    (lambda: image_to_patches(images, 3), ["images", "8x8", "3x3"]),
    (lambda: image_to_patches(images, (4, 3)), ["images", "8x8", "4x3"]),
    (lambda: image_to_patches(images, 0), ["patch_size", "0"]),
    (lambda: image_to_patches(images, -4), ["patch_size", "-4"]),
    (lambda: image_to_patches(images, (4, 4, 4)), ["patch_size", "(4, 4, 4)"]),
    (lambda: patches_to_image(x[0], 2), ["patches", "(8, 8, 4)"]),
    (lambda: patches_to_image(x, 3), ["patches", "3*3", "(1, 8, 8, 4)"]),
    (lambda: patches_to_image(x, (2, 0)), ["patch_size", "(2, 0)"]),
    (lambda: PatchEmbed(0), ["patch_size", "0"]),
    (lambda: PatchEmbed()(images[0]), ["images", "(3, 8, 8)"]),
    (lambda: PatchEmbed()(images[:, :1]), ["images", "(B, 3, H, W)", "(1, 1, 8, 8)"]),
    (lambda: PatchEmbed()(images[:, :, :0]), ["images", "(1, 3, 0, 8)"]),
    (lambda: PatchEmbed()(images[:, :, :, :0]), ["images", "(1, 3, 8, 0)"]),
    # lesson 02
    (lambda: attention(x, x[..., :3], x), ["q", "(1, 8, 8, 4)", "(1, 8, 8, 3)"]),
    (lambda: attention(x, x[:, :, :5], x), ["k", "v", "(1, 8, 5, 4)"]),
    (lambda: attention(x[0, 0, 0], x, x), ["q", "(4,)"]),
    (lambda: MultiHeadSelfAttention(8, 3), ["dim=8", "num_heads=3"]),
    (lambda: MultiHeadSelfAttention(8, 0), ["num_heads=0"]),
    (lambda: MultiHeadSelfAttention(8, -2), ["num_heads=-2"]),
    (lambda: MultiHeadSelfAttention(0, 2), ["dim=0", "num_heads=2"]),
    (lambda: MultiHeadSelfAttention(8, 2, attn_drop=1.0), ["attn_drop", "1.0"]),
    (lambda: MultiHeadSelfAttention(8, 2, proj_drop=-0.1), ["proj_drop", "-0.1"]),
    (lambda: MultiHeadSelfAttention(4, 2)(x), ["x", "(B, N, 4)", "(1, 8, 8, 4)"]),
    (lambda: MultiHeadSelfAttention(8, 2)(x[0]), ["x", "(B, N, 8)", "(8, 8, 4)"]),
    # lesson 03
    (lambda: pad_to_multiple(x, 0), ["multiple", "0"]),
    (lambda: pad_to_multiple(x[0], 2), ["x", "(8, 8, 4)"]),
    (lambda: pad_to_multiple(x[:, :0], 2), ["x", "(1, 0, 8, 4)"]),
    (lambda: window_partition(x[0], 4), ["x", "(8, 8, 4)"]),
    (lambda: window_partition(x, 3), ["x", "8x8", "3x3", "pad_to_multiple"]),
    (lambda: window_partition(x, (8, 5)), ["x", "8x8", "8x5"]),
    (lambda: window_partition(x, 0), ["window_size", "0"]),
    (lambda: window_partition(x, (4, -4)), ["window_size", "(4, -4)"]),
    (lambda: window_reverse(windows[0], 4, 8, 8), ["windows", "(4, 4, 4)"]),
    (lambda: window_reverse(windows, 2, 8, 8), ["windows", "(n, 2, 2, C)", "(4, 4, 4, 4)"]),
    (lambda: window_reverse(windows, 4, 8, 12), ["windows", "4", "H=8, W=12"]),
    (lambda: window_reverse(windows, 4, 8, 9), ["windows", "H=8, W=9"]),
    (lambda: window_reverse(windows, 0, 8, 8), ["window_size", "0"]),
    (lambda: window_reverse(windows, 4, 0, 8), ["H=0"]),
    (lambda: window_reverse(windows, 4, -8, 8), ["H=-8"]),
    # lesson 04
    (lambda: cyclic_shift(x[0], 1), ["x", "(8, 8, 4)"]),
    (lambda: cyclic_shift(x, -1), ["shift_size", "-1"]),
    (lambda: reverse_cyclic_shift(x[0], 1), ["x", "(8, 8, 4)"]),
    (lambda: reverse_cyclic_shift(x, (1, -1)), ["shift_size", "(1, -1)"]),
    (lambda: region_ids(8, 9, 4, 2), ["H=8", "W=9", "window_size=(4, 4)"]),
    (lambda: region_ids(0, 8, 4, 2), ["H=0", "W=8", "window_size=(4, 4)"]),
    (lambda: region_ids(8, 8, 4, 4), ["shift_size=(4, 4)", "window_size=(4, 4)"]),
    (lambda: region_ids(8, 8, 4, (2, 5)), ["shift_size=(2, 5)"]),
    (lambda: region_ids(8, 8, 4, -1), ["shift_size", "-1"]),
    (lambda: region_ids(8, 8, 0, 0), ["window_size", "0"]),
    (lambda: region_ids(-4, 8, 4, 2), ["H=-4"]),
    (lambda: shifted_window_mask(8, 9, 4, 2), ["H=8", "W=9", "window_size=(4, 4)"]),
    (lambda: shifted_window_mask(8, 8, 4, 4), ["shift_size=(4, 4)"]),
    # lesson 05
    (lambda: relative_position_index(0), ["window_size", "0"]),
    (lambda: relative_position_index((7, 0)), ["window_size", "(7, 0)"]),
    (lambda: relative_position_index((7, 7, 7)), ["window_size", "(7, 7, 7)"]),
    (lambda: relative_position_bias(x, relative_position_index(2)), ["table", "(1, 8, 8, 4)"]),
    (
        lambda: relative_position_bias(torch.zeros(9, 2), torch.zeros(4, 3, dtype=torch.int64)),
        ["index", "(4, 3)"],
    ),
    (lambda: relative_position_bias(torch.zeros(9, 2), torch.arange(4)), ["index", "(4,)"]),
    # lesson 06
    (lambda: space_to_depth(x[0]), ["x", "(8, 8, 4)"]),
    (lambda: PatchMerging(5)(x), ["x", "5", "(1, 8, 8, 4)"]),
    (lambda: PatchMerging(4)(x[0]), ["x", "(8, 8, 4)"]),
    # lesson 07
    (lambda: Mlp(4, drop=1.5), ["drop", "1.5"]),
    (lambda: DropPath(1.0), ["drop_prob", "1.0"]),
    (lambda: DropPath(float("nan")), ["drop_prob", "nan"]),
    (lambda: WindowAttention(8, 0, 2), ["window_size", "0"]),
    (lambda: WindowAttention(8, 4, 3), ["dim=8", "num_heads=3"]),
    (lambda: WindowAttention(4, 2, 1)(x), ["x", "4", "(1, 8, 8, 4)"]),
    (lambda: WindowAttention(4, 2, 1)(x[0]), ["x", "(B*num_windows, 4, C)", "(8, 8, 4)"]),
    (
        lambda: WindowAttention(4, 2, 1)(torch.zeros(4, 4, 4), torch.zeros(4, 3, 3)),
        ["mask", "(4, 3, 3)"],
    ),
    (
        lambda: WindowAttention(4, 2, 1)(torch.zeros(4, 4, 4), torch.zeros(3, 4, 4)),
        ["mask", "(3, 4, 4)", "4 windows"],
    ),
    (
        lambda: WindowAttention(4, 2, 1)(torch.zeros(4, 4, 4), torch.zeros(0, 4, 4)),
        ["mask", "(0, 4, 4)", "4 windows"],
    ),
    (lambda: SwinTransformerBlock(8, 3), ["dim=8", "num_heads=3"]),
    (lambda: SwinTransformerBlock(8, 2, 4, 4), ["shift_size=4", "window_size=4"]),
    (lambda: SwinTransformerBlock(8, 2, (4, 7), (2, 7)), ["shift_size=(2, 7)", "(4, 7)"]),
    (lambda: SwinTransformerBlock(8, 2, 4, -1), ["shift_size", "-1"]),
    (lambda: SwinTransformerBlock(8, 2, 0), ["window_size", "0"]),
    (lambda: SwinTransformerBlock(8, 2, drop_path=1.0), ["drop", "1.0"]),
    (lambda: SwinTransformerBlock(8, 2)(x), ["x", "8", "(1, 8, 8, 4)"]),
    (lambda: SwinTransformerBlock(4, 2)(x[0]), ["x", "(8, 8, 4)"]),
    (lambda: BasicLayer(8, 0, 2, 4), ["depth", "0"]),
    (lambda: BasicLayer(8, 2, 2, 4, drop_path=[0.1]), ["drop_path", "2", "1"]),
    (lambda: BasicLayer(8, 2, 2, 0), ["window_size", "0"]),
    (lambda: swin(depths=(2, 2, 6)), ["depths=(2, 2, 6)", "num_heads=(1, 2)"]),
    (lambda: swin(depths=(), num_heads=()), ["depths=()", "num_heads=()"]),
    (lambda: swin(depths=(2, 0)), ["depth", "0"]),
    (lambda: swin(num_heads=(1, 3)), ["embed_dim=8", "stage 2", "num_heads=(1, 3)"]),
    (lambda: swin(embed_dim=9, num_heads=(2, 2)), ["embed_dim=9", "num_heads=(2, 2)"]),
    (lambda: swin(window_size=0), ["window_size", "0"]),
    (lambda: swin(window_size=-7), ["window_size", "-7"]),
    (lambda: swin(window_size=(7, 0)), ["window_size", "(7, 0)"]),
    (lambda: swin(patch_size=0), ["patch_size", "0"]),
    (lambda: swin(num_classes=-1), ["num_classes", "-1"]),
    (lambda: swin(drop_rate=1.0), ["drop_rate", "1.0"]),
    (lambda: swin(attn_drop_rate=-0.5), ["attn_drop_rate", "-0.5"]),
    (lambda: swin(drop_path_rate=2.0), ["drop_path_rate", "2.0"]),
    (lambda: swin(ape=True, img_size=0), ["img_size", "0"]),
    (lambda: swin(ape=True, img_size=16)(images), ["images", "16x16", "img_size", "8x8"]),
    (lambda: swin()(images[0]), ["images", "(B, 3, H, W)", "(3, 8, 8)"]),
    (lambda: swin()(images[:, :2]), ["images", "(B, 3, H, W)", "(1, 2, 8, 8)"]),
    (lambda: swin()(images.permute(0, 2, 3, 1)), ["images", "(1, 8, 8, 3)"]),
    (lambda: swin()(images[:, :, :0]), ["images", "(1, 3, 0, 8)"]),
    (lambda: swin().forward_features(images[0]), ["images", "(3, 8, 8)"]),
    (lambda: swin().forward_stages(images[0]), ["images", "(3, 8, 8)"]),
    # beside the lessons
    (lambda: wmsa_flops(8, 8, 4, 0), ["window_size", "0"]),
    (lambda: wmsa_flops(8, -8, 4, 2), ["W", "-8"]),
    (lambda: msa_flops(0, 8, 4), ["H", "0"]),
    (lambda: merging_flops(8, 8, 0), ["C", "0"]),
    (lambda: block_flops(SwinTransformerBlock(4, 1, 4), 8, 0), ["W", "0"]),
    (lambda: model_flops(swin(), -8, 8), ["H", "-8"]),
    (lambda: resize_bias_table(torch.zeros(196, 2), (4, 4)), ["table", "(196, 2)"]),
    (lambda: resize_bias_table(torch.zeros(10, 2), (4, 4)), ["table", "(10, 2)"]),
    (lambda: resize_bias_table(torch.zeros(9), (4, 4)), ["table", "(9,)"]),
    (lambda: record(torch.nn.Linear(1, 1)), ["model", "SwinTransformerBlock", "Linear"]),
    (lambda: a_record().map_of(8, 0), ["row", "8x8", "(8, 0)"]),
    (lambda: a_record().locate(0, -1), ["column", "8x8", "(0, -1)"]),
]

TYPE_ERRORS = [
    (lambda: image_to_patches(images, 4.0), ["patch_size", "4.0"]),
    (lambda: patches_to_image(x, "2"), ["patch_size", "'2'"]),
    (lambda: PatchEmbed((4, 4.0)), ["patch_size", "(4, 4.0)"]),
    (lambda: PatchEmbed()(images.to(torch.uint8)), ["images", "torch.uint8", "floating"]),
    (lambda: pad_to_multiple(x, None), ["multiple", "None"]),
    (lambda: window_partition(x, 3.5), ["window_size", "3.5"]),
    (lambda: window_reverse(windows, "4", 8, 8), ["window_size", "'4'"]),
    (lambda: cyclic_shift(x, 0.5), ["shift_size", "0.5"]),
    (lambda: reverse_cyclic_shift(x, None), ["shift_size", "None"]),
    (lambda: region_ids(8, 8, 4, 2.0), ["shift_size", "2.0"]),
    (lambda: shifted_window_mask(8, 8, 4.0, 2), ["window_size", "4.0"]),
    (lambda: relative_position_index(7.0), ["window_size", "7.0"]),
    (lambda: WindowAttention(8, 7.0, 2), ["window_size", "7.0"]),
    (lambda: SwinTransformerBlock(8, 2, 7, 3.5), ["shift_size", "3.5"]),
    (lambda: BasicLayer(8, 2, 2, "7"), ["window_size", "'7'"]),
    (lambda: swin(window_size=7.0), ["window_size", "7.0"]),
    (lambda: swin(patch_size=None), ["patch_size", "None"]),
    (lambda: swin()(images.to(torch.uint8)), ["images", "torch.uint8", "float() / 255"]),
    (lambda: swin()(images.to(torch.int64)), ["images", "torch.int64"]),
    (lambda: swin()(images.bool()), ["images", "torch.bool"]),
    (lambda: swin()(images.to(torch.complex64)), ["images", "torch.complex64"]),
    (lambda: swin().forward_stages(images.to(torch.uint8)), ["images", "torch.uint8"]),
    (lambda: wmsa_flops(8, 8, 4, 7.0), ["window_size", "7.0"]),
]


# Every argument of every constructor, and every number that a function takes, against values of a
# wrong type and out of range: name, value and what is wanted, always.
NO_NUMBERS = ["7", "", None, [1, 2, 3], 1j, True]
INTS = {TypeError: [*NO_NUMBERS, 2.0], ValueError: [0, -2]}
RATES = {TypeError: NO_NUMBERS, ValueError: [-0.1, 1.0, 2, float("nan"), float("inf")]}
NUMBERS = {TypeError: NO_NUMBERS, ValueError: [-1.0, float("nan"), float("inf")]}
OR_NONE = {TypeError: [v for v in NO_NUMBERS if v is not None], ValueError: [-1.0, float("nan")]}
PAIRS = {
    TypeError: ["7", "", None, True, 2.5, (2, "3"), (2.0, 2), (True, 2), {2: 3}],
    ValueError: [0, -1, (2, 0), (1, 2, 3), ()],
}
SHIFTS = {TypeError: PAIRS[TypeError], ValueError: [-1, (2, -1), (1, 1, 1)]}
TUPLES = {TypeError: ["22", None, 2, (2, 2.0), (True, 2), {2: 2}], ValueError: [(2, 0), (-1, 2)]}
STAGES = {
    TypeError: ["01", 1, (0, 1.0), (True,), {1: 1}],
    ValueError: [(), (2,), (-1,), (1, 0), (0, 0)],
}
FLAGS = {TypeError: ["False", "", None, 0, 1, 1.0]}
LAYERS = {TypeError: ["gelu", 3]}
ARGUMENTS = [
    (PatchEmbed, {}, dict(patch_size=PAIRS, in_chans=INTS, embed_dim=INTS, norm_layer=LAYERS)),
    (
        MultiHeadSelfAttention,
        dict(dim=8, num_heads=2),
        dict(dim=INTS, num_heads=INTS, qkv_bias=FLAGS, qk_scale=OR_NONE)
        | dict(attn_drop=RATES, proj_drop=RATES),
    ),
    (
        WindowAttention,
        dict(dim=8, window_size=4, num_heads=2),
        dict(dim=INTS, window_size=PAIRS, num_heads=INTS, qkv_bias=FLAGS, qk_scale=OR_NONE)
        | dict(attn_drop=RATES, proj_drop=RATES),
    ),
    (PatchMerging, dict(dim=8), dict(dim=INTS, norm_layer=LAYERS)),
    (
        Mlp,
        dict(in_features=8),
        dict(in_features=INTS, drop=RATES, act_layer=LAYERS)
        | {
            name: {TypeError: [*OR_NONE[TypeError], 2.0], ValueError: [0, -2]}
            for name in ("hidden_features", "out_features")
        },
    ),
    (DropPath, {}, dict(drop_prob=RATES)),
    (
        SwinTransformerBlock,
        dict(dim=8, num_heads=2),
        dict(dim=INTS, num_heads=INTS, window_size=PAIRS, shift_size=SHIFTS, qkv_bias=FLAGS)
        | dict(mlp_ratio={**NUMBERS, ValueError: [*NUMBERS[ValueError], 0, 0.01]})
        | dict(qk_scale=OR_NONE, drop=RATES, attn_drop=RATES, drop_path=RATES)
        | dict(act_layer=LAYERS, norm_layer=LAYERS),
    ),
    (
        BasicLayer,
        dict(dim=8, depth=2, num_heads=2, window_size=4),
        dict(dim=INTS, depth=INTS, num_heads=INTS, window_size=PAIRS, mlp_ratio=NUMBERS)
        | dict(qkv_bias=FLAGS, qk_scale=OR_NONE, drop=RATES, attn_drop=RATES)
        | dict(drop_path={TypeError: ["7", "", None, True, [0.1, "0"]], ValueError: [-1, [0.1, 2]]})
        | dict(norm_layer=LAYERS, downsample=LAYERS, use_checkpoint=FLAGS),
    ),
    (
        swin,
        {},
        dict(img_size=PAIRS, patch_size=PAIRS, window_size=PAIRS, in_chans=INTS, embed_dim=INTS)
        | dict(num_classes={TypeError: INTS[TypeError], ValueError: [-1]})
        | dict(depths=TUPLES, num_heads=TUPLES, mlp_ratio=NUMBERS, qkv_bias=FLAGS)
        | dict(qk_scale=OR_NONE, drop_rate=RATES, attn_drop_rate=RATES, drop_path_rate=RATES)
        | dict(norm_layer=LAYERS, ape=FLAGS, patch_norm=FLAGS, use_checkpoint=FLAGS)
        | dict(out_indices=STAGES),
    ),
    (
        FeaturePyramid,
        dict(in_channels=(4, 8), dim=4),
        dict(in_channels=TUPLES, dim=INTS, smooth=FLAGS),
    ),
    (
        SwinSegmenter,
        dict(backbone=swin(out_indices=(0, 1)), num_classes=2),
        # What is no backbone is told by its class: test_pyramid.
        dict(backbone={}, num_classes=INTS, dim=INTS, smooth=FLAGS),
    ),
    (image_to_patches, dict(images=images, patch_size=4), dict(patch_size=PAIRS)),
    (patches_to_image, dict(patches=x, patch_size=2), dict(patch_size=PAIRS)),
    (pad_to_multiple, dict(x=x, multiple=4), dict(multiple=PAIRS)),
    (window_partition, dict(x=x, window_size=4), dict(window_size=PAIRS)),
    (
        window_reverse,
        dict(windows=windows, window_size=4, H=8, W=8),
        dict(window_size=PAIRS, H=INTS, W=INTS),
    ),
    (cyclic_shift, dict(x=x, shift_size=1), dict(shift_size=SHIFTS)),
    (reverse_cyclic_shift, dict(x=x, shift_size=1), dict(shift_size=SHIFTS)),
    *(
        (
            function,
            dict(H=8, W=8, window_size=4, shift_size=2),
            dict(H=INTS, W=INTS, window_size=PAIRS, shift_size=SHIFTS),
        )
        for function in (region_ids, shifted_window_mask)
    ),
    (relative_position_index, dict(window_size=4), dict(window_size=PAIRS)),
    (attention, dict(q=x, k=x, v=x), dict(dropout_p=RATES)),
    (msa_flops, dict(H=8, W=8, C=4), dict(H=INTS, W=INTS, C=INTS)),
    (wmsa_flops, dict(H=8, W=8, C=4, window_size=4), dict(H=INTS, W=INTS, C=INTS)),
    (merging_flops, dict(H=8, W=8, C=4), dict(H=INTS, W=INTS, C=INTS)),
]
CASES = [
    (function, valid, name, kind, value)
    for function, valid, arguments in ARGUMENTS
    for name, values in arguments.items()
    for kind in values
    for value in values[kind]
]


@pytest.mark.parametrize(
    "function, valid, name, kind, value", CASES, ids=lambda x: getattr(x, "__name__", None)
)
def test_every_argument_is_checked(function, valid, name, kind, value):
    with pytest.raises(kind) as error:
        function(**valid | {name: value})
    assert name.removeprefix("drop_") in str(error.value) or name in str(error.value)
    shown = value[1] if isinstance(value, list) and name == "drop_path" else value
    told = repr(shown) if isinstance(shown, str) else str(shown)  # str("") is in everything
    assert told in str(error.value)


@pytest.mark.parametrize("constructor", [f for f, *_ in ARGUMENTS if isinstance(f, type)] + [swin])
def test_no_argument_is_forgotten(constructor):
    tried = next(arguments for function, _, arguments in ARGUMENTS if function is constructor)
    real = SwinTransformer if constructor is swin else constructor
    assert set(inspect.signature(real).parameters) == set(tried)


MAPS = [
    (lambda x: image_to_patches(x, 4), "images"),
    (lambda x: patches_to_image(x, 4), "patches"),
    (lambda x: PatchEmbed()(x), "images"),
    (lambda x: attention(x, x, x), "q"),
    (lambda x: attention(images, images, x), "v"),
    (lambda x: MultiHeadSelfAttention(8, 2)(x), "x"),
    (lambda x: pad_to_multiple(x, 2), "x"),
    (lambda x: window_partition(x, 2), "x"),
    (lambda x: window_reverse(x, 2, 4, 4), "windows"),
    (lambda x: cyclic_shift(x, 1), "x"),
    (lambda x: reverse_cyclic_shift(x, 1), "x"),
    (lambda x: relative_position_bias(x, torch.zeros(1, 1)), "table"),
    (lambda x: relative_position_bias(torch.zeros(1, 1), x), "index"),
    (space_to_depth, "x"),
    (lambda x: PatchMerging(4)(x), "x"),
    (lambda x: WindowAttention(8, 2, 2)(x), "x"),
    (lambda x: SwinTransformerBlock(8, 2)(x), "x"),
    (lambda x: swin()(x), "images"),
    (lambda x: swin().forward_features(x), "images"),
    (lambda x: swin().forward_stages(x), "images"),
]


@pytest.mark.parametrize("value", [[[1.0]], 3, None, "x", np.zeros((1, 4, 4, 8))])
@pytest.mark.parametrize("call, name", MAPS)
def test_what_is_no_tensor(call, name, value):
    with pytest.raises(TypeError, match=f"{name} must be a tensor, got {type(value).__name__}"):
        call(value)


def test_numbers_of_numpy_are_numbers():
    assert swin(window_size=np.int64(4), embed_dim=np.int64(8), drop_rate=np.float64(0.1))(images)[
        0
    ].shape == (1000,)
    assert window_partition(x, (np.int32(4), np.int64(2))).shape == (8, 4, 2, 4)


def words_of(parameter):
    return " ".join(parameter) if isinstance(parameter, list) else ""


@pytest.mark.parametrize("call, words", VALUE_ERRORS, ids=words_of)
def test_value_error_names_argument_and_value(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert [word for word in words if word not in str(error.value)] == [], error.value


@pytest.mark.parametrize("call, words", TYPE_ERRORS, ids=words_of)
def test_type_error_names_argument_and_value(call, words):
    with pytest.raises(TypeError) as error:
        call()
    assert [word for word in words if word not in str(error.value)] == [], error.value


def test_the_good_neighbours_of_these_calls_pass():
    """So that none of the errors above comes from something else than what it is about."""
    assert patches_to_image(image_to_patches(images, 4), 4).shape == images.shape
    assert window_reverse(window_partition(x, 4), 4, 8, 8).shape == x.shape
    assert reverse_cyclic_shift(cyclic_shift(x, 2), (2, 2)).shape == x.shape
    assert shifted_window_mask(8, 8, 4, 3).shape == (4, 16, 16)
    assert attention(x, x, x)[0].shape == x.shape
    assert MultiHeadSelfAttention(8, 2)(torch.zeros(1, 3, 8)).shape == (1, 3, 8)
    mask = torch.zeros(4, 4, 4)
    assert WindowAttention(4, 2, 1)(torch.zeros(4, 4, 4), mask).shape == (4, 4, 4)
    assert SwinTransformerBlock(4, 2, 4, 3)(x).shape == x.shape
    assert BasicLayer(4, 2, 2, 4, drop_path=[0.1, 0.2])(x).shape == x.shape
    assert PatchMerging(4)(x).shape == (1, 4, 4, 8)
    assert swin()(images).shape == (1, 1000)
    assert swin(ape=True, img_size=8)(images).shape == (1, 1000)
    assert model_flops(swin(), 8, 8) > 0
    assert a_record().map_of(7, 7).shape == (1, 1, 8, 8)


def test_a_forward_checks_where_a_user_calls():
    """The images, once each block and each merging; not every step on the way through a block."""
    model, checks = swin(depths=(2, 2)).eval(), Counter()

    def count(frame, event, arg):
        if event == "call" and frame.f_globals.get("__name__") == "swinlib._checks":
            checks[frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        model(images)
    finally:
        sys.setprofile(before)
    assert checks["check_feature_map"] == 4 + 3  # blocks; a merging, its reordering and padding
    assert checks["to_pair"] == 1  # of that padding


@pytest.mark.parametrize(
    "function, valid",
    [(f, valid) for f, valid, _ in ARGUMENTS if hasattr(f, "__wrapped__")],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_calls_that_python_itself_refuses(function, valid):
    """As without a check in front: too few arguments, too many, of another name, one twice."""
    first, values = next(iter(valid)), valid.values()
    for args, kwargs in [
        ((), {}),
        ((*values, 1), {}),
        ((), valid | {"nothing": 1}),
        (values, {first: valid[first]}),
    ]:
        with pytest.raises(TypeError) as with_checks:
            function(*args, **kwargs)
        with pytest.raises(TypeError) as without:
            function.__wrapped__(*args, **kwargs)
        assert str(with_checks.value) == str(without.value)
