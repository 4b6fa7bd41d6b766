"""Bad input: an error of the documented kind, which names the argument and what it was."""

import pytest
import torch

from swinlib import (
    BasicLayer,
    DropPath,
    Mlp,
    MultiHeadSelfAttention,
    PatchEmbed,
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
    WindowAttention,
    attention,
    cyclic_shift,
    image_to_patches,
    model_flops,
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
