"""swinlib: a Swin Transformer to read, in the order in which the course builds it."""

from swinlib import published
from swinlib.attention import MultiHeadSelfAttention, attention
from swinlib.attention_maps import AttentionRecord, record_attention
from swinlib.cost import block_flops, merging_flops, model_flops, msa_flops, wmsa_flops
from swinlib.merging import PatchMerging, space_to_depth
from swinlib.model import (
    BasicLayer,
    DropPath,
    Mlp,
    SwinTransformer,
    SwinTransformerBlock,
    WindowAttention,
    swin_base,
    swin_large,
    swin_small,
    swin_tiny,
)
from swinlib.patches import PatchEmbed, image_to_patches, patches_to_image
from swinlib.position import relative_position_bias, relative_position_index
from swinlib.pretrained import export_state_dict, load_pretrained, read_architecture
from swinlib.pyramid import FeaturePyramid, SwinSegmenter, intersection_over_union
from swinlib.shift import cyclic_shift, region_ids, reverse_cyclic_shift, shifted_window_mask
from swinlib.windows import pad_to_multiple, window_partition, window_reverse

__version__ = "1.0.0"

__all__ = [
    # lessons 01 to 06
    "image_to_patches",
    "patches_to_image",
    "PatchEmbed",
    "attention",
    "MultiHeadSelfAttention",
    "pad_to_multiple",
    "window_partition",
    "window_reverse",
    "cyclic_shift",
    "reverse_cyclic_shift",
    "region_ids",
    "shifted_window_mask",
    "relative_position_index",
    "relative_position_bias",
    "space_to_depth",
    "PatchMerging",
    # lesson 07
    "Mlp",
    "DropPath",
    "WindowAttention",
    "SwinTransformerBlock",
    "BasicLayer",
    "SwinTransformer",
    "swin_tiny",
    "swin_small",
    "swin_base",
    "swin_large",
    # lesson 11
    "FeaturePyramid",
    "SwinSegmenter",
    "intersection_over_union",
    # beside the lessons
    "msa_flops",
    "wmsa_flops",
    "block_flops",
    "merging_flops",
    "model_flops",
    "load_pretrained",
    "read_architecture",
    "published",
    "export_state_dict",
    "record_attention",
    "AttentionRecord",
]
