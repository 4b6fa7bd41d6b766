"""Weights from elsewhere: Microsoft's and torchvision's checkpoints, loaded strictly."""

import re
from math import isqrt
from os import PathLike

import torch
import torch.nn.functional as F
from torch import Tensor

from swinlib.model import SwinTransformer

# Stored by the official code, but computed here from the window size and the map's size.
COMPUTED = ("attn_mask", "relative_position_index")


def load_pretrained(
    model: SwinTransformer,
    source: str | PathLike | dict,
    resize_bias: bool = False,
) -> SwinTransformer:
    """Load a checkpoint into a model, all of it or none.

    Args:
        model: the model to fill, in place.
        source: a file or a state dict; Microsoft's layout (bare, or under the key "model") or that
            of torchvision's `swin_t`, `swin_s`, `swin_b`, recognised by its keys.
        resize_bias: resample relative position bias tables of another window size (bicubic, as
            the official code does before fine-tuning) instead of refusing them.

    Returns:
        The model.

    Raises:
        TypeError: `source` holds something else than tensors by name.
        ValueError: the checkpoint does not fit; the message names the first missing, unexpected and
            misshapen keys and the likely reason, and the model is unchanged.
    """
    state = _read(source)
    if any(key.startswith("features.") for key in state):
        state = {_from_torchvision(key): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.endswith(COMPUTED)}
    own = {k: v for k, v in model.state_dict().items() if not k.endswith(COMPUTED)}
    if resize_bias:
        for key in state.keys() & own.keys():
            if key.endswith("relative_position_bias_table"):
                window_size = model.get_submodule(key.rpartition(".")[0]).window_size
                if state[key].shape[0] != own[key].shape[0]:
                    state[key] = resize_bias_table(state[key], window_size)

    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    misshapen = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unexpected or misshapen:
        raise ValueError(_explain(own, state, missing, unexpected, misshapen))
    model.load_state_dict(state, strict=False)  # not strict only about what COMPUTED names
    return model


def resize_bias_table(table: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Resample a bias table of a square window to another window size, bicubically.

    Args:
        table: ``((2*M - 1)**2, num_heads)``.
        window_size: (Mh, Mw) of the result, in tokens.

    Returns:
        ``((2*Mh - 1) * (2*Mw - 1), num_heads)``.

    Raises:
        ValueError: the table is not that of a square window.
    """
    side = isqrt(table.shape[0])
    if table.ndim != 2 or side**2 != table.shape[0]:
        raise ValueError(f"table must be ((2M-1)**2, num_heads), got shape {tuple(table.shape)}")
    size = (2 * window_size[0] - 1, 2 * window_size[1] - 1)
    if size == (side, side):
        return table
    grid = table.T.reshape(1, -1, side, side).float()
    grid = F.interpolate(grid, size=size, mode="bicubic", align_corners=False)
    return grid.flatten(2)[0].T.to(table.dtype)


def _read(source) -> dict[str, Tensor]:
    """A file or dict as a plain state dict."""
    if isinstance(source, (str, PathLike)):
        source = torch.load(source, map_location="cpu", weights_only=True)
    if isinstance(source, dict) and isinstance(source.get("model"), dict):
        source = source["model"]
    if not isinstance(source, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in source.items()
    ):
        raise TypeError(
            "source must be a state dict of tensors, or a dict with one under 'model', "
            f"got {type(source).__name__}"
        )
    return dict(source)


def _from_torchvision(key: str) -> str:
    """A key of torchvision's Swin Transformer in Microsoft's naming."""
    key = re.sub(r"^features\.0\.0\.", "patch_embed.proj.", key)
    key = re.sub(r"^features\.0\.2\.", "patch_embed.norm.", key)
    match = re.match(r"features\.(\d+)\.(.*)", key)
    if match:  # the odd ones are stages, each even one after them the merging that follows
        number, rest = int(match[1]), match[2]
        stage = (number - 1) // 2
        key = f"layers.{stage}.blocks.{rest}" if number % 2 else f"layers.{stage}.downsample.{rest}"
    return key.replace(".mlp.0.", ".mlp.fc1.").replace(".mlp.3.", ".mlp.fc2.")


def _explain(own, state, missing, unexpected, misshapen) -> str:
    """Say what does not fit, and why it probably does not."""
    lines = ["the checkpoint does not fit the model:"]
    for what, keys in (("missing", missing), ("unexpected", unexpected)):
        if keys:
            lines.append(f"  {what}: {keys[0]} ({len(keys)} in all)")
    if misshapen:
        key = misshapen[0]
        ours, theirs = tuple(own[key].shape), tuple(state[key].shape)
        lines.append(
            f"  misshapen: {key} is {theirs} in the checkpoint, {ours} in the model "
            f"({len(misshapen)} in all)"
        )
    lines.append(f"Likely reason: {_likely_reason(own, state, missing, unexpected, misshapen)}.")
    return "\n".join(lines)


def _likely_reason(own, state, missing, unexpected, misshapen) -> str:
    first_norm = "layers.0.blocks.0.norm1.weight"
    if any("logit_scale" in key or "cpb_mlp" in key for key in unexpected):
        return "a Swin Transformer V2 checkpoint, which is another architecture"
    if not any(key.startswith("layers.") for key in state):
        return "not a Swin Transformer checkpoint in Microsoft's or torchvision's layout"
    if first_norm in misshapen:
        return f"embed_dim is {len(state[first_norm])} there, {len(own[first_norm])} here"
    if any(key.endswith("norm1.weight") for key in missing + unexpected):
        return "other depths: the two have not the same blocks"
    if "patch_embed.proj.weight" in misshapen:
        return "another patch_size or number of input channels"
    if "head.weight" in misshapen:
        classes = len(state["head.weight"]), len(own["head.weight"])
        return f"num_classes is {classes[0]} there, {classes[1]} here"
    if any(key.startswith("head.") for key in missing + unexpected):
        return "only one of the two has a head (num_classes=0)"
    tables = [key for key in misshapen if key.endswith("relative_position_bias_table")]
    if tables and own[tables[0]].shape[1] != state[tables[0]].shape[1]:
        return "another num_heads"
    if tables:
        window = (isqrt(len(state[tables[0]])) + 1) // 2
        return (
            f"window_size is {window} there; resize_bias=True resamples the bias tables, "
            "at some cost in accuracy"
        )
    return "an option such as ape, patch_norm, qkv_bias or mlp_ratio differs"
