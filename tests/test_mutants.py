"""Tests of the tests: put a mistake into swinlib, and see that a test notices it.

Many of these mistakes have been published. Each is one replacement in the source of one function,
in force while one test runs. If swinlib's source has moved on, bring the mutant up to date.
"""

import inspect
import textwrap

import pytest
import test_attention
import test_attention_maps
import test_cost
import test_merging
import test_model
import test_patches
import test_position
import test_pretrained
import test_shift
import test_windows
from oracles import randomise

import swinlib
from swinlib import (
    _masks,
    attention_maps,
    cost,
    model,
    patches,
    position,
    pretrained,
    shift,
    windows,
)

MultiHead, Window = swinlib.MultiHeadSelfAttention, swinlib.WindowAttention
Block, Swin = swinlib.SwinTransformerBlock, swinlib.SwinTransformer

# The tests that catch most, and maps that they run on: H, W, window, shift.
definition = test_shift.test_shifted_attention_is_attention_in_the_irregular_windows
block_mask = test_shift.test_shifted_attention_is_global_attention_with_a_block_mask
seam_leak = test_shift.test_no_seam_leak
PADDED = (9, 5, (4, 4), (2, 2))
UNLIKE = (6, 12, (3, 4), (1, 2))
ONE_ROW = (4, 12, (4, 4), (2, 2))
SEAM = (8, 8, (7, 7), (3, 3))  # only padding comes round: shows a wrong roll, but no missing mask
SQUARE = (8, 8, (4, 4), (2, 2))


def mask_test(name):
    """A test of the remembered mask, which takes a block."""
    return lambda: getattr(test_model, name)(randomise(Block(8, 2, 4, 2)))


# function, what to replace, by what, the test, its arguments (with which it passes in its own file)
MUTANTS = [
    # rolled the wrong way, along the wrong axis, or not back
    (shift.cyclic_shift, "(-sh, -sw)", "(sh, sw)", definition, *PADDED),
    (shift.cyclic_shift, "(-sh, -sw)", "(-sw, -sh)", definition, *UNLIKE),
    (shift.reverse_cyclic_shift, "(sh, sw), dims", "(-sh, -sw), dims", seam_leak, *SEAM),
    (Block.window_attention, "x = reverse_cyclic_shift(x, shift_size)", "", seam_leak, *SEAM),
    # the mask forgotten, turned round, too weak, or with regions where there are none
    (_masks.mask_for, "if not any(shift_size)", "if True", definition, *PADDED),
    (_masks.mask_for, "if not any(shift_size)", "if True", block_mask, *PADDED),
    (_masks.mask_for, "if not any(shift_size)", "if True", seam_leak, *SQUARE),
    (shift.shifted_window_mask, "-100.0, 0.0", "0.0, -100.0", block_mask, *PADDED),
    (shift.shifted_window_mask, "-100.0", "-5.0", seam_leak, *SQUARE),
    (shift.region_ids, "along_axis[-shift:] = 2", "pass", seam_leak, *SQUARE),
    (
        shift.region_ids,
        "along_axis[-shift:]",
        "along_axis[shift - window :]",
        definition,
        9,
        8,
        (4, 4),
        (1, 3),
    ),
    (shift.region_ids, "3 * rows", "rows", definition, *SQUARE),
    (shift.region_ids, "3 * rows", "2 * rows", test_shift.test_region_ids_of_an_8x8_map),
    # the mask of another map or shift kept, or one that training or a copy cannot use
    (
        Block.attn_mask,
        "mask_for(H, W,",
        "mask_for(W, H,",
        mask_test("test_mask_is_right_after_another_size"),
    ),
    (
        Block.attn_mask,
        "self.window_size, shift_size",
        "self.window_size, tuple(m // 2 for m in self.window_size)",
        mask_test("test_mask_is_right_after_another_shift_or_window"),
    ),
    (
        _masks._make,
        ".to(device, dtype)",
        ".to(device)",
        mask_test("test_mask_is_right_after_another_dtype"),
    ),
    (
        _masks._make_or_keep,
        "if _observed()",
        "if True",
        mask_test("test_mask_is_the_same_object_while_nothing_changes"),
    ),
    (
        _masks._keep,
        "inference_mode(False)",
        "no_grad()",
        mask_test("test_mask_made_in_inference_mode_serves_training"),
    ),
    # a shift where one window covers the axis (WZMIAOMIAO), or on neither axis then (Microsoft)
    (model.shift_that_fits, "if mh < H else 0", "", definition, *ONE_ROW),
    (model.shift_that_fits, "sw if mw < W", "sw if mh < H", definition, *ONE_ROW),
    # rolled before the padding (timm), padded or cropped on the wrong side
    (
        Block.window_attention,
        "pad_to_multiple(x, self.window_size)",
        "cyclic_shift(pad_to_multiple(reverse_cyclic_shift(x, (1, 1)), self.window_size), (1, 1))",
        seam_leak,
        *SEAM,
    ),
    (Block.window_attention, "x[:, :H, :W]", "x[:, -H:, -W:]", definition, *PADDED),
    (windows.pad_to_multiple, "right, 0, bottom)", "right, bottom, 0)", definition, *PADDED),
    # windows in another order, or put together in another
    (
        windows.window_partition,
        "(0, 1, 3, 2, 4, 5)",
        "(0, 3, 1, 2, 4, 5)",
        test_windows.test_a_window_is_a_number_or_a_pair,
        2,
    ),
    (
        windows.window_reverse,
        "(0, 1, 3, 2, 4, 5)",
        "(0, 1, 3, 2, 4, 5).flip(1)",
        test_windows.test_maps_that_are_not_contiguous,
    ),
    # the bias without the factor 2M-1, with the wrong side's, turned round, or left out
    (
        position.relative_position_index,
        "dy * (2 * mw - 1) + dx",
        "dy + dx",
        test_position.test_index_of_a_2x2_window,
    ),
    (position.relative_position_index, "dy * (2 * mw - 1)", "dy", definition, *PADDED),
    (position.relative_position_index, "(2 * mw - 1)", "(2 * mh - 1)", definition, *UNLIKE),
    (
        position.relative_position_index,
        "y[:, None] - y[None, :]",
        "y[None, :] - y[:, None]",
        definition,
        *PADDED,
    ),
    (position.relative_position_bias, "(2, 0, 1)", "(2, 1, 0)", definition, *PADDED),
    (
        Window.forward,
        "fused_attention(q, k, v, bias=bias",
        "fused_attention(q, k, v, bias=None",
        definition,
        *PADDED,
    ),
    (model.add_mask, "bias + mask[:, None]", "0 * bias + mask[:, None]", block_mask, *PADDED),
    (
        model.add_mask,  # windows before pictures
        ".repeat(like.shape[0] // mask.shape[0], 1, 1, 1)",
        ".repeat_interleave(like.shape[0] // mask.shape[0], 0)",
        definition,
        *PADDED,
    ),
    # scaled by the width instead of the head's, not at all as told, heads mixed up
    (MultiHead.__init__, "(dim // num_heads) ** -0.5", "dim**-0.5", definition, *PADDED),
    (
        MultiHead.forward,
        "fused_attention(q, k, v, bias=bias, scale=self.scale",
        "fused_attention(q, k, v, bias=bias, scale=1.0",
        test_attention.test_scale_is_that_of_a_head_unless_told_otherwise,
    ),
    (Window.forward, "out.transpose(1, 2).reshape", "out.reshape", definition, *PADDED),
    (
        MultiHead.forward,
        "if self.training else 0.0",
        "",
        test_attention.test_dropout_of_weights_only_in_training,
        False,
    ),
    (
        Window.forward,
        "attention(q, k, v, bias=bias",
        "attention(q, k, v, bias=None",
        test_model.test_explicit_path_equals_fused_path,
        (2, 3),
        True,
    ),
    # the block: a norm or a residual missing, or one norm for both
    *(
        (
            Block.forward,
            old,
            new,
            test_shift.test_a_block_is_two_branches_each_with_its_norm_and_residual,
            *PADDED,
        )
        for old, new in [("self.norm1(x)", "x"), ("return x + ", "return "), ("norm2", "norm1")]
    ),
    # dropping: constant rate, no rescaling, all pictures alike, in eval mode too
    (
        Swin.__init__,
        "drop_path_rate * i / last_block",
        "drop_path_rate",
        test_model.test_drop_path_grows_linearly_with_depth,
        (2, 2, 6, 2),
        0.2,
    ),
    (
        Swin.__init__,
        "sum(depths[:i]) : sum(depths[: i + 1])",
        "0:depth",
        test_model.test_drop_path_grows_linearly_with_depth,
        (2, 2),
        0.2,
    ),
    (
        model.DropPath.forward,
        "/ keep_prob",
        "",
        test_model.test_drop_path_is_per_picture_and_keeps_the_expectation,
    ),
    (
        model.DropPath.forward,
        "(x.shape[0],)",
        "(1,)",
        test_model.test_a_block_drops_each_branch_of_each_picture_by_itself,
    ),
    (
        model.DropPath.forward,
        "not self.training or",
        "",
        test_model.test_drop_path_does_nothing_in_eval_or_at_zero,
    ),
    (
        model.BasicLayer.forward_blocks,
        "self.use_checkpoint and",
        "False and",
        test_model.test_checkpointing_changes_nothing_but_memory,
    ),
    # patches and merging in another order, padded on the wrong side, the norm forgotten
    (
        patches.image_to_patches,
        "(0, 2, 4, 1, 3, 5)",
        "(0, 2, 4, 3, 5, 1)",
        test_patches.test_patches_of_any_dtype,
    ),
    (
        patches.PatchEmbed.forward,
        "(0, -W % pw, 0, -H % ph)",
        "(-W % pw, 0, -H % ph, 0)",
        test_patches.test_padding_is_zeros_on_the_right_and_at_the_bottom,
        (9, 11),
        4,
    ),
    (
        swinlib.space_to_depth,
        "x[:, 1::2, 0::2], x[:, 0::2, 1::2]",
        "x[:, 0::2, 1::2], x[:, 1::2, 0::2]",
        test_merging.test_merging_is_a_norm_and_a_linear_layer_on_four_neighbours,
        (5, 6),
    ),
    (
        swinlib.PatchMerging.forward,
        "self.norm(space_to_depth(x))",
        "space_to_depth(x)",
        test_merging.test_merging_is_a_norm_and_a_linear_layer_on_four_neighbours,
        (5, 6),
    ),
    # attention maps not rolled back, or read the wrong way round; hooks left behind
    *(
        (
            getattr(attention_maps.AttentionRecord, name),
            old,
            new,
            test_attention_maps.test_map_of_every_token_against_brute_force,
            *(9, 6, (4, 4), (1, 3)),
        )
        for name, old, new in [
            ("map_of", "x = reverse_cyclic_shift(x, self.shift_size)", ""),
            ("map_of", "[:, window, :, token]", "[:, window, :, :, token]"),
            ("locate", "row - self", "row + self"),
        ]
    ),
    (
        attention_maps.record_attention,
        "handle.remove()",
        "pass",
        test_attention_maps.test_hooks_are_gone_after_an_exception,
    ),
    # half of the attention not counted; tables resampled in another way
    (cost.wmsa_flops, "2 * mh * mw", "mh * mw", test_cost.test_attention_by_the_papers_numbers),
    (
        pretrained._resample,
        "bicubic",
        "bilinear",
        test_pretrained.test_a_table_is_resampled_like_a_picture_per_head,
        *(7, (12, 12)),
    ),
]


def mutate(monkeypatch, function, old, new):
    """Let the function run other code, wherever it has been imported to."""
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    assert old in source, f"{old!r} is no longer in {function.__qualname__}: update the mutant"
    # in a class, so that super() compiles; the cell that it needs stays the function's own
    source = "class Mutated:\n" + textwrap.indent(source.replace(old, new), "    ")
    namespace = dict(function.__globals__)
    exec(source, namespace)
    mutant = inspect.unwrap(vars(namespace["Mutated"])[function.__name__])
    monkeypatch.setattr(function, "__code__", mutant.__code__)


@pytest.fixture
def no_masks_kept():
    """Those from before would hide mistakes in making them, those made by mistake would stay."""
    _masks._keep.cache_clear()
    yield
    _masks._keep.cache_clear()


@pytest.mark.usefixtures("no_masks_kept")
@pytest.mark.parametrize(
    "function, old, new, test, arguments",
    [(*mutant[:4], mutant[4:]) for mutant in MUTANTS],
    ids=[f"{function.__qualname__}: {new or 'nothing'}" for function, _, new, *_ in MUTANTS],
)
def test_mistake_is_noticed(monkeypatch, function, old, new, test, arguments):
    mutate(monkeypatch, function, old, new)
    with pytest.raises(AssertionError):  # nothing else: a program that cannot run proves nothing
        test(*arguments)
