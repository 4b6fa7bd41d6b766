"""Weights from elsewhere, loaded strictly whoever wrote them, and the way back.

A file is read (`_files`), brought into the official names and form (`_layouts`), adapted as asked,
checked, and only then copied into the model.
"""

from math import ceil, isqrt
from os import PathLike

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinlib._files import read_state_dict
from swinlib._imagenet import CLASSES_1K_IN_22K
from swinlib._layouts import INDEX, LAYOUTS, NORM, TABLE, in_layout, in_official_names
from swinlib._misfits import depths_of, explain
from swinlib.model import SwinTransformer, WindowAttention
from swinlib.position import relative_position_index

# Stored by others, but computed here from the window size and the map's size.
COMPUTED = ("attn_mask", "relative_position_index")


def load_pretrained(
    model: SwinTransformer,
    source: str | PathLike | dict,
    *,
    resize: bool = False,
    new_head: bool = False,
    head_22k_to_1k: bool = False,
    adapt_in_chans: bool = False,
) -> SwinTransformer:
    """Load a checkpoint into a model, all of it or none.

    Args:
        model: the model to fill, in place; compiled or in DistributedDataParallel as well. One that
            was built on the meta device needs memory first: ``model.to_empty(device="cpu")``.
        source: a file, a folder as Hugging Face writes it, or a state dict, in one of
            `swinlib.pretrained.LAYOUTS`, recognised by its keys behind any prefix, bare or inside
            other dicts.
        resize: resample relative position bias tables of another window size, and a position
            embedding of another image size (bicubic, as the official code does before
            fine-tuning), instead of refusing them.
        new_head: leave the model's head as it is, and norms in front of heads for which the
            checkpoint has none, and pass over whatever the checkpoint has beyond the backbone: a
            head for other classes, a detector. One line says so.
        head_22k_to_1k: of a head for the 21,841 classes of ImageNet-22K take the rows that belong
            to the classes of ImageNet-1K, as the official code does.
        adapt_in_chans: bring the first convolution to the model's in_chans, as timm does: summed
            for one channel, else repeated and scaled by the old number over the new one.

    Returns:
        The model, as it was given.

    Raises:
        TypeError: `model` is no Swin Transformer; `source` holds something else than tensors by
            name.
        ValueError: the file cannot be read, or the checkpoint does not fit; the message names the
            first missing, unexpected and misshapen keys and the likely reason, and the model is
            unchanged.
        pickle.UnpicklingError: the file holds objects that could run code; the message has the line
            that takes the weights out of a file one trusts.
    """
    swin = _unwrap(model)
    state, rest = in_official_names(read_state_dict(source))
    index = {key: state.pop(key) for key in list(state) if key.endswith(INDEX)}
    says_windows = bool(index)
    state = {key: value for key, value in state.items() if not key.endswith(COMPUTED)}
    own = {k: v for k, v in swin.state_dict().items() if not k.endswith(COMPUTED)}
    _place_norms(state, own, len(swin.layers))
    if head_22k_to_1k:
        _take_1k_of_22k(state, own)
    if adapt_in_chans:
        _adapt_in_chans(state, own)
    if resize:
        _resize(state, own, index, swin)
    left = {}
    if new_head:
        left = {
            k: own[k] for k in own if k.startswith("head.") or (NORM.match(k) and k not in state)
        }
        backbone = ("patch_embed.", "layers.", "absolute_pos_embed")
        surplus = [
            k for k in state
            if k.startswith("head.") or (k not in own and not k.startswith(backbone))
        ]  # fmt: skip
        not_taken = {key: state.pop(key) for key in surplus} | rest
        state, rest = state | left, {}

    state_and_rest = state | rest
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state_and_rest if key not in own]
    misshapen = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unexpected or misshapen:
        raise ValueError(explain(own, state_and_rest, missing, unexpected, misshapen, resize))
    for key, value in state.items():
        _check_weight(key, value, own[key])
    attentions = {n: m for n, m in swin.named_modules() if isinstance(m, WindowAttention)}
    for name, attn in attentions.items():
        if f"{name}.relative_position_index" in index:
            _check_index(name, index[f"{name}.relative_position_index"], attn.window_size)
    if any(value.is_meta for value in own.values()):
        raise ValueError(
            "model must have memory for its weights, but it is on the meta device: "
            'model.to_empty(device="cpu") first'
        )

    swin.load_state_dict(state, strict=False)  # not strict only about what COMPUTED names
    with torch.device("cpu"):
        for attn in attentions.values():  # after to_empty this buffer holds anything
            attn.relative_position_index.copy_(relative_position_index(attn.window_size))
    if new_head:
        print(_what_was_left(left, not_taken))
    window = next(iter(attentions.values())).window_size
    if not says_windows and window[0] != window[1]:
        print(f"the checkpoint does not say its windows' shape: {window} is taken")
    return model


def export_state_dict(model: SwinTransformer, layout: str) -> dict[str, Tensor]:
    """A model's weights under the names, and in the form, that others read.

    Args:
        model: compiled or in DistributedDataParallel as well.
        layout: one of `swinlib.pretrained.LAYOUTS`: "official", "timm", "torchvision", "hf" (files
            of Hugging Face), "hf5" (a model of transformers 5 in memory), "mm" (OpenMMLab).

    Returns:
        A state dict; its tensors are the model's own where nothing had to be rearranged.
        `load_pretrained` brings it back bit for bit.

    Raises:
        ValueError: another layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    return in_layout(_unwrap(model).state_dict(), layout)


def read_architecture(source: str | PathLike | dict) -> dict:
    """The arguments of the `SwinTransformer` that a checkpoint is for, from its keys and shapes.

    Args:
        source: as in `load_pretrained`.

    Returns:
        ``embed_dim``, ``depths``, ``num_heads``, ``window_size``, ``patch_size``, ``in_chans``,
        ``num_classes`` (0 without a head), ``mlp_ratio``, ``qkv_bias``, ``ape``, ``patch_norm``.
        A checkpoint without stored indices is taken to have square windows.

    Raises:
        TypeError, ValueError, pickle.UnpicklingError: as `load_pretrained`; no Swin Transformer.
    """
    state, _ = in_official_names(read_state_dict(source))
    depths, first = depths_of(state), "layers.0.blocks.0"
    if any("logit_scale" in key or "cpb_mlp" in key for key in state):
        raise ValueError("a Swin Transformer V2 checkpoint, which is another architecture")
    tables = [state.get(f"layers.{i}.blocks.0{TABLE}") for i in range(len(depths))]
    proj = state.get("patch_embed.proj.weight")
    fc1 = state.get(f"layers.{len(depths) - 1}.blocks.0.mlp.fc1.weight")  # the widest one
    if not depths or proj is None or fc1 is None or any(table is None for table in tables):
        raise ValueError("not a Swin Transformer checkpoint in a layout that is known here")
    index = state.get(first + INDEX)
    side = (isqrt(len(tables[0])) + 1) // 2
    window = (side, side) if index is None else _window_of(index)
    if window is None or (2 * window[0] - 1) * (2 * window[1] - 1) != len(tables[0]):
        raise ValueError(f"bias tables of {len(tables[0])} rows, which are those of no window")
    head = state.get("head.weight")
    hidden, dim = fc1.shape
    return {
        "embed_dim": len(proj),
        "depths": depths,
        "num_heads": tuple(table.shape[1] for table in tables),
        "window_size": window,
        "patch_size": tuple(proj.shape[2:]),
        "in_chans": proj.shape[1],
        "num_classes": 0 if head is None else len(head),
        # A ratio that the model's int(dim * mlp_ratio) brings back.
        "mlp_ratio": hidden / dim if int(dim * (hidden / dim)) == hidden else (hidden + 0.5) / dim,
        "qkv_bias": f"{first}.attn.qkv.bias" in state,
        "ape": "absolute_pos_embed" in state,
        "patch_norm": "patch_embed.norm.weight" in state,
    }


def resize_bias_table(
    table: Tensor, window_size: tuple[int, int], old_window: tuple[int, int] | None = None
) -> Tensor:
    """Resample a bias table to another window size, bicubically.

    Args:
        table: ``((2*Mh - 1) * (2*Mw - 1), num_heads)``.
        window_size: (Mh, Mw) of the result, in tokens.
        old_window: (Mh, Mw) of the table; default a square.

    Returns:
        The table of the other window.

    Raises:
        ValueError: the table is not that of a square window, or of `old_window`.
    """
    if old_window is None:
        side = isqrt(len(table)) if table.ndim else 0
        if table.ndim != 2 or side**2 != len(table) or side % 2 == 0:
            shape = tuple(table.shape)
            raise ValueError(f"table must be ((2M-1)**2, num_heads), got shape {shape}")
        old_window = ((side + 1) // 2,) * 2
    old, new = (tuple(2 * m - 1 for m in window) for window in (old_window, window_size))
    if table.ndim != 2 or len(table) != old[0] * old[1]:
        raise ValueError(
            f"table of a window {old_window} must be ({old[0] * old[1]}, num_heads), "
            f"got shape {tuple(table.shape)}"
        )
    return _resample(table[None], old, new)[0]


def _resample(x: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """(B, rows * columns, C) on a grid of `old` size to one of `new` size."""
    if old == new:
        return x
    grid = x.mT.unflatten(2, old).float()
    grid = F.interpolate(grid, size=new, mode="bicubic", align_corners=False)
    return grid.flatten(2).mT.to(x.dtype)


def _unwrap(model) -> SwinTransformer:
    """The model inside torch.compile, DataParallel and the like."""
    inner = model
    while not isinstance(inner, SwinTransformer):
        names = [n for n in ("_orig_mod", "module") if n in getattr(inner, "_modules", ())]
        if not names:
            kind = f"{type(model).__module__}.{type(model).__qualname__}"
            raise TypeError(f"model must be a swinlib.SwinTransformer, got {kind}")
        inner = inner._modules[names[0]]
    return inner


# --- adapting -------------------------------------------------------------------------------------


def _place_norms(state, own, stages: int) -> None:
    """The norm behind the last stage is the last one of all, or that of its stage."""
    for name in ("weight", "bias"):
        one, of_stage = f"norm.{name}", f"norm{stages - 1}.{name}"
        for here, there in ((one, of_stage), (of_stage, one)):
            if here in own and here not in state and there in state:
                state[here] = state.pop(there)


def _take_1k_of_22k(state, own) -> None:
    for key in ("head.weight", "head.bias"):
        shapes = [tuple(x[key].shape[:1]) if key in x else None for x in (state, own)]
        if shapes != [(21841,), (1000,)]:
            raise ValueError(
                "head_22k_to_1k=True needs a checkpoint with 21841 classes and a model with 1000, "
                f"got {key} of {shapes[0]} and {shapes[1]} rows"
            )
        state[key] = state[key][torch.tensor(CLASSES_1K_IN_22K, device=state[key].device)]


def _adapt_in_chans(state, own) -> None:
    key = "patch_embed.proj.weight"
    if key not in state or key not in own or state[key].ndim != 4 or own[key].ndim != 4:
        return
    weight, wanted = state[key], own[key].shape[1]
    there = weight.shape[1]
    if wanted == there or not there:
        return
    if wanted == 1:
        state[key] = weight.float().sum(1, keepdim=True).to(weight.dtype)
    else:
        weight = weight.repeat(1, ceil(wanted / there), 1, 1)[:, :wanted]
        state[key] = (weight.float() * (there / wanted)).to(weight.dtype)


def _resize(state, own, index, model) -> None:
    """Resample, in a state dict, what belongs to another window or image size."""
    for key in [key for key in state if key in own]:
        if key.endswith(TABLE):
            name = key.removesuffix(TABLE)
            wanted, old = model.get_submodule(name).attn.window_size, None
            if name + INDEX in index:
                old = _window_of(index[name + INDEX])
                if old is None or old == wanted:
                    continue
                del index[name + INDEX]  # it was the old window's
            if old or state[key].shape[:1] != own[key].shape[:1]:  # without an index: a square's
                try:
                    state[key] = resize_bias_table(state[key], wanted, old)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from error
        elif key == "absolute_pos_embed" and state[key].shape != own[key].shape:
            if state[key].ndim == 4:  # (1, C, h, w), as in the official detection code
                grid = tuple(state[key].shape[2:])
                state[key] = _resample(state[key].flatten(2).mT, grid, model.grid_size)
                continue
            side = isqrt(state[key].shape[1]) if state[key].ndim == 3 else 0
            if side and side**2 == state[key].shape[1]:  # else nobody knows the picture's sides
                state[key] = _resample(state[key], (side, side), model.grid_size)


def _window_of(index: Tensor) -> tuple[int, int] | None:
    """The window whose pairs of tokens an index numbers as here; None if it numbers otherwise."""
    if index.layout != torch.strided or index.is_meta:
        return None
    N, index = isqrt(index.numel()), index.flatten().cpu()
    with torch.device("cpu"):  # whatever the default is
        for mh in range(1, N + 1):
            window = (mh, N // mh)
            if N % mh == 0 and torch.equal(index, relative_position_index(window).flatten()):
                return window
    return None


def _check_index(name: str, index: Tensor, window_size: tuple[int, int]) -> None:
    """Refuse a table whose rows are numbered otherwise: another window, or another convention."""
    window = _window_of(index)
    if window != window_size:
        there = f"that of a window {window}" if window else "numbered in another way"
        raise ValueError(
            f"the checkpoint does not fit the model:\n  {name}.relative_position_index is {there}, "
            f"and the model's window is {window_size}: the bias tables have the same size, but "
            "their rows mean other offsets"
        )


def _check_weight(key: str, value: Tensor, own: Tensor) -> None:
    """Refuse what could not be copied, or would be copied though it is no weight.

    A model with batch norms, such as one of another stem, also counts its batches.
    """
    if type(value) not in (Tensor, nn.Parameter):
        kind = f"a {type(value).__name__}"
    elif value.is_quantized:
        kind = "quantised"
    elif value.layout != torch.strided:
        kind = f"of layout {value.layout}"
    elif value.is_meta:
        kind = "on the meta device, without numbers"
    elif value.is_floating_point() != own.is_floating_point():
        kind = f"of {value.dtype}"
    else:
        return
    numbers = "floating point" if own.is_floating_point() else "whole"
    raise ValueError(
        f"the checkpoint does not fit the model:\n  {key} must be a dense tensor of {numbers} "
        f"numbers, and is {kind}"
    )


def _what_was_left(left, not_taken) -> str:
    def modules(keys):
        return ", ".join(sorted({key.split(".")[0] for key in keys}))

    return (
        f"{modules(left) or 'nothing'} left as it is, as new_head=True asks; "
        f"not taken from the checkpoint: {modules(not_taken) or 'nothing'}"
    )
