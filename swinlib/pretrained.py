"""Weights from elsewhere, loaded strictly whoever wrote them, and the way back."""

import pickle
import re
from math import isqrt
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinlib.model import SwinTransformer, WindowAttention
from swinlib.position import relative_position_index

# How others name what is named here as in the official code: modules, ours and theirs. The first
# pair that fits counts, what follows a name stays, and so does a name without a pair. {i} is the
# stage and {j} the block; {next} = i + 1, {odd} = 2i + 1 and {even} = 2i + 2.
BLOCK = "layers.{i}.blocks.{j}"
HF_BLOCK = "swin.encoder.layers.{i}.blocks.{j}"
HF_OUTSIDE = (
    ("patch_embed.proj", "swin.embeddings.patch_embeddings.projection"),
    ("patch_embed.norm", "swin.embeddings.norm"),
    ("absolute_pos_embed", "swin.embeddings.position_embeddings"),
    ("layers.{i}.downsample", "swin.encoder.layers.{i}.downsample"),
    ("norm", "swin.layernorm"),
    ("head", "classifier"),
)
LAYOUTS = {
    "official": (),
    "timm": (  # since 0.9: the merging begins a stage where it ended one
        ("layers.{i}.downsample", "layers.{next}.downsample"),
        ("head", "head.fc"),
    ),
    "torchvision": (
        ("patch_embed.proj", "features.0.0"),
        ("patch_embed.norm", "features.0.2"),
        (f"{BLOCK}.mlp.fc1", "features.{odd}.{j}.mlp.0"),
        (f"{BLOCK}.mlp.fc2", "features.{odd}.{j}.mlp.3"),
        (BLOCK, "features.{odd}.{j}"),
        ("layers.{i}.downsample", "features.{even}"),
    ),
    "hf": (  # Hugging Face transformers, in files: queries, keys and values in three layers
        *HF_OUTSIDE,
        (f"{BLOCK}.norm1", f"{HF_BLOCK}.layernorm_before"),
        (f"{BLOCK}.attn.proj", f"{HF_BLOCK}.attention.output.dense"),
        (f"{BLOCK}.attn", f"{HF_BLOCK}.attention.self"),
        (f"{BLOCK}.norm2", f"{HF_BLOCK}.layernorm_after"),
        (f"{BLOCK}.mlp.fc1", f"{HF_BLOCK}.intermediate.dense"),
        (f"{BLOCK}.mlp.fc2", f"{HF_BLOCK}.output.dense"),
    ),
    "hf5": (  # the same, as a model of transformers 5 has it in memory
        *HF_OUTSIDE,
        (f"{BLOCK}.norm1", f"{HF_BLOCK}.layernorm_before"),
        (f"{BLOCK}.attn.query", f"{HF_BLOCK}.attention.q_proj"),
        (f"{BLOCK}.attn.key", f"{HF_BLOCK}.attention.k_proj"),
        (f"{BLOCK}.attn.value", f"{HF_BLOCK}.attention.v_proj"),
        (f"{BLOCK}.attn.proj", f"{HF_BLOCK}.attention.o_proj"),
        (f"{BLOCK}.attn", f"{HF_BLOCK}.attention.relative_position_bias"),
        (f"{BLOCK}.norm2", f"{HF_BLOCK}.layernorm_after"),
        (f"{BLOCK}.mlp", f"{HF_BLOCK}.mlp"),
    ),
    "mm": (  # mmpretrain and mmdetection: merging with the neighbours in another order
        ("patch_embed.proj", "patch_embed.projection"),
        (f"{BLOCK}.attn", "stages.{i}.blocks.{j}.attn.w_msa"),
        (f"{BLOCK}.mlp.fc1", "stages.{i}.blocks.{j}.ffn.layers.0.0"),
        (f"{BLOCK}.mlp.fc2", "stages.{i}.blocks.{j}.ffn.layers.1"),
        (BLOCK, "stages.{i}.blocks.{j}"),
        ("layers.{i}.downsample", "stages.{i}.downsample"),
        ("head", "head.fc"),
    ),
}
# The first weight of every layout, by which it is known, whatever stands in front of it.
FIRST_WEIGHTS = {
    "patch_embed.proj.weight": "official",
    "features.0.0.weight": "torchvision",
    "embeddings.patch_embeddings.projection.weight": "hf",
    "patch_embed.projection.weight": "mm",
}
# Where in a file the weights may lie, and in which order they are looked for.
CONTAINERS = ("model", "state_dict", "model_state_dict", "model_ema", "state_dict_ema", "teacher")
# Stored by others, but computed here from the window size and the map's size.
COMPUTED = ("attn_mask", "relative_position_index")
INDEX, TABLE = ".attn.relative_position_index", ".attn.relative_position_bias_table"


def load_pretrained(
    model: SwinTransformer,
    source: str | PathLike | dict,
    *,
    resize: bool = False,
    new_head: bool = False,
) -> SwinTransformer:
    """Load a checkpoint into a model, all of it or none.

    Args:
        model: the model to fill, in place; compiled or in DistributedDataParallel as well.
        source: a file, a folder as Hugging Face writes it, or a state dict, in one of `LAYOUTS`,
            recognised by its keys behind any prefix, bare or in one of `CONTAINERS`.
        resize: resample relative position bias tables of another window size, and a position
            embedding of another image size (bicubic, as the official code does before
            fine-tuning), instead of refusing them.
        new_head: leave the model's head as it is, and pass over whatever the checkpoint has beyond
            the backbone: a head for other classes, a detector.

    Returns:
        The model, as it was given.

    Raises:
        TypeError: `model` is no Swin Transformer; `source` holds something else than tensors by
            name.
        ValueError: the file cannot be read, or the checkpoint does not fit; the message names the
            first missing, unexpected and misshapen keys and the likely reason, and the model is
            unchanged.
        pickle.UnpicklingError: the file holds objects that could run code.
    """
    swin = _unwrap(model)
    state, rest = _in_official_names(_read(source))
    index = {key: state.pop(key) for key in list(state) if key.endswith(INDEX)}
    state = {key: value for key, value in state.items() if not key.endswith(COMPUTED)}
    own = {k: v for k, v in swin.state_dict().items() if not k.endswith(COMPUTED)}
    if new_head:
        heads = {key: state.pop(key) for key in list(state) if key.startswith("head.")}
        state |= {key: own[key] for key in own if key.startswith("head.")}
        left_out, rest = sorted({key.split(".")[0] for key in (*heads, *rest)}), {}
    if resize:
        _resize(state, own, index, swin)

    state_and_rest = state | rest
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state_and_rest if key not in own]
    misshapen = [key for key in own if key in state and own[key].shape != state[key].shape]
    if missing or unexpected or misshapen:
        raise ValueError(_explain(own, state_and_rest, missing, unexpected, misshapen))
    for key, value in state.items():
        _check_weight(key, value)
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
    for attn in attentions.values():  # after to_empty this buffer holds anything
        attn.relative_position_index.copy_(relative_position_index(attn.window_size))
    if new_head:
        what = (
            f"not taken from the checkpoint: {', '.join(left_out)}" if left_out else "it has none"
        )
        print(f"head left as it is, as new_head=True asks ({what})")
    return model


def export_state_dict(model: SwinTransformer, layout: str) -> dict[str, Tensor]:
    """A model's weights under the names, and in the form, that others read.

    Args:
        model: compiled or in DistributedDataParallel as well.
        layout: one of `LAYOUTS`.

    Returns:
        A state dict; its tensors are the model's own where nothing had to be rearranged.
        `load_pretrained` brings it back bit for bit.

    Raises:
        ValueError: another layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    state = _unwrap(model).state_dict()
    if layout in ("hf", "hf5"):
        state = _split_qkv(state)
    if layout in ("timm", "hf5"):  # compute the index, as they do the mask
        state = {key: value for key, value in state.items() if not key.endswith(INDEX)}
    if layout == "torchvision":
        state = {k: v.flatten() if k.endswith(INDEX) else v for k, v in state.items()}
    if layout == "mm":
        state = {k: _to_unfold(v) if ".downsample." in k else v for k, v in state.items()}
        last = max(int(key.split(".")[1]) for key in state if key.startswith("layers."))
        state = {re.sub(r"^norm\.", f"norm{last}.", key): v for key, v in state.items()}
    return {_rename(key, LAYOUTS[layout]): value for key, value in state.items()}


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
    state, _ = _in_official_names(_read(source))
    depths, first = _depths(state), "layers.0.blocks.0"
    if any("logit_scale" in key or "cpb_mlp" in key for key in state):
        raise ValueError("a Swin Transformer V2 checkpoint, which is another architecture")
    tables = [state.get(f"layers.{i}.blocks.0{TABLE}") for i in range(len(depths))]
    proj, fc1 = state.get("patch_embed.proj.weight"), state.get(f"{first}.mlp.fc1.weight")
    if not depths or proj is None or fc1 is None or any(table is None for table in tables):
        raise ValueError("not a Swin Transformer checkpoint in a layout that is known here")
    index = state.get(first + INDEX)
    side = (isqrt(len(tables[0])) + 1) // 2
    window = (side, side) if index is None else _window_of(index)
    if window is None or (2 * window[0] - 1) * (2 * window[1] - 1) != len(tables[0]):
        raise ValueError(f"bias tables of {len(tables[0])} rows, which are those of no window")
    head = state.get("head.weight")
    return {
        "embed_dim": len(proj),
        "depths": depths,
        "num_heads": tuple(table.shape[1] for table in tables),
        "window_size": window,
        "patch_size": tuple(proj.shape[2:]),
        "in_chans": proj.shape[1],
        "num_classes": 0 if head is None else len(head),
        "mlp_ratio": fc1.shape[0] / fc1.shape[1],
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


# --- reading --------------------------------------------------------------------------------------


def _unwrap(model) -> SwinTransformer:
    """The model inside torch.compile, DataParallel and the like."""
    inner = model
    while not isinstance(inner, SwinTransformer):
        names = [n for n in ("_orig_mod", "module") if n in getattr(inner, "_modules", ())]
        if not names:
            raise TypeError(f"model must be a SwinTransformer, got {type(model).__name__}")
        inner = inner._modules[names[0]]
    return inner


def _read(source) -> dict[str, Tensor]:
    """A file, folder or dict as a plain state dict."""
    if isinstance(source, (str, PathLike)):
        source = _read_file(Path(source))
    taken = None
    while isinstance(source, dict):
        found = [name for name in CONTAINERS if isinstance(source.get(name), dict)]
        if not found:
            break
        if len(found) > 1:
            print(f"weights taken from {found[0]!r}, not from {', '.join(map(repr, found[1:]))}")
        source, taken = source[found[0]], found[0]
    if not isinstance(source, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in source.items()
    ):
        where = f" under {taken!r}" if taken else ""
        raise TypeError(
            "source must be a state dict of tensors, or a dict with one under "
            f"{', '.join(map(repr, CONTAINERS))}, got {_kind(source)}{where}"
        )
    return dict(source)


def _kind(source) -> str:
    if not isinstance(source, dict):
        return type(source).__name__
    other = next(k for k, v in source.items() if not (isinstance(k, str) and isinstance(v, Tensor)))
    return f"a dict that has {type(source[other]).__name__} under {other!r}"


def _read_file(path: Path):
    if path.is_dir():  # as Hugging Face writes it
        names = ("model.safetensors", "pytorch_model.bin")
        files = [path / name for name in names if (path / name).exists()]
        if not files:
            raise ValueError(f"{path} must hold {' or '.join(names)}, and does not")
        path = files[0]
    with path.open("rb") as file:
        start = file.read(256)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ImportError(f"{path}: to read it, pip install safetensors") from error
    except Exception as error:  # which one depends on where a damaged file ends
        if not start:
            reason = "it is empty"
        elif start.startswith(b"version https://git-lfs"):
            reason = "it is Git LFS's pointer to the weights: git lfs pull brings them"
        elif start.lstrip().startswith(b"<"):
            reason = "it is a web page: what was downloaded is not the file"
        elif found := re.search(r"GLOBAL (\S+)|Unsupported class (\S+)", str(error)):
            raise pickle.UnpicklingError(
                f"{path} holds, beside its weights, objects that could run code: "
                f"{found[1] or found[2]}. If you trust it, take the weights out of it once: "
                f'torch.save(torch.load("{path}", weights_only=False)["model"], "weights.pth")'
            ) from error
        else:
            reason = "it is damaged or cut short, or something else than a checkpoint"
        raise ValueError(f"{path} cannot be read: {reason}") from error


def _in_official_names(state) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The backbone and the head in official names and form; and what else the checkpoint has."""
    while len({key.partition(".")[0] for key in state}) == 1 and len(state) > 1:
        state = {key.partition(".")[2]: value for key, value in state.items()}  # all behind one
    first, layout = next(
        ((key, FIRST_WEIGHTS[end]) for key in state for end in FIRST_WEIGHTS if key.endswith(end)),
        (None, None),
    )
    if first is None:
        return state, {}
    prefix = first[: -len(next(e for e in FIRST_WEIGHTS if first.endswith(e)))]
    keys = {key for key in state if key.startswith(prefix)}
    bare = ""
    if layout == "hf":  # `SwinModel` alone has no "swin." in front
        bare = "" if prefix.endswith("swin.") else "swin."
        prefix = prefix.removesuffix("swin.")
        layout = "hf5" if any(".attention.q_proj." in key for key in state) else "hf"
    if layout == "official" and _merges_at_the_beginning(state, prefix):
        layout = "timm"

    backbone, rest = {}, {}
    pairs = [(theirs, ours) for ours, theirs in LAYOUTS[layout]]
    for key, value in state.items():
        if key in keys:
            backbone[_rename(bare + key.removeprefix(prefix), pairs)] = value
        elif re.fullmatch(r"(head\.fc|head|classifier)\.(weight|bias)", key):
            backbone[re.sub(r"^(head\.fc|classifier)", "head", key)] = value
        else:
            rest[key] = value
    for key in [key for key in backbone if re.match(r"mask_token|decoder\.", key)]:
        rest[key] = backbone.pop(key)  # of pre-training
    stages = [int(m[1]) for m in (re.match(r"layers\.(\d+)\.", key) for key in backbone) if m]
    for key in list(
        backbone
    ):  # detection has a norm for each stage; the last is in our norm's place
        if match := re.fullmatch(r"norm(\d+)\.(weight|bias)", key):
            last = stages and int(match[1]) == max(stages)
            (backbone if last else rest)[f"norm.{match[2]}" if last else key] = backbone.pop(key)
    if layout in ("hf", "hf5"):
        backbone = _join_qkv(backbone)
    if layout == "mm":
        backbone = {k: _from_unfold(v) if ".downsample." in k else v for k, v in backbone.items()}
    return backbone, rest


def _merges_at_the_beginning(state, prefix) -> bool:
    stages = {
        key.removeprefix(prefix).split(".")[1]
        for key in state
        if re.match(r"layers\.\d+\.downsample\.", key.removeprefix(prefix))
    }
    return f"{prefix}head.fc.weight" in state or (bool(stages) and "0" not in stages)


NUMBERS = {  # what a field in a template of LAYOUTS is for stage i, and back
    "i": (lambda i: i, lambda n: n),
    "next": (lambda i: i + 1, lambda n: n - 1),
    "odd": (lambda i: 2 * i + 1, lambda n: (n - 1) / 2),
    "even": (lambda i: 2 * i + 2, lambda n: (n - 2) / 2),
}


def _rename(key: str, pairs) -> str:
    """A key with the beginning that fits a pair's first replaced by its second."""
    for old, new in pairs:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(old))
        match = re.match(rf"{pattern}(?=\.|$)", key)
        if match is None:
            continue
        fields = {}
        for name, number in match.groupdict().items():
            if name == "j":
                fields["j"] = number
                continue
            stage = NUMBERS[name][1](int(number))
            if stage != int(stage) or stage < 0:
                break
            fields |= {name: to(int(stage)) for name, (to, _) in NUMBERS.items()}
        else:
            return new.format(**fields) + key[match.end() :]
    return key


def _split_qkv(state) -> dict[str, Tensor]:
    """One layer for queries, keys and values into three."""
    out = {}
    for key, value in state.items():
        if ".attn.qkv." in key:
            for name, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                out[key.replace(".qkv.", f".{name}.")] = part
        else:
            out[key] = value
    return out


def _join_qkv(state) -> dict[str, Tensor]:
    """The inverse of `_split_qkv`; where the three do not fit together, they stay as they are."""
    out = dict(state)
    for key in state:
        if ".attn.query." in key:
            names = [key.replace(".query.", f".{name}.") for name in ("query", "key", "value")]
            shapes = {out[name].shape if name in out else None for name in names}
            if len(shapes) == 1 and out[key].ndim:
                out[key.replace(".query.", ".qkv.")] = torch.cat([out.pop(n) for n in names])
    return out


def _to_unfold(x: Tensor) -> Tensor:
    """The four neighbours' channels, ours (0, 4, 1, 5 on a 4x4 grid) to those of `nn.Unfold`.

    Which has channel by channel, and in each the neighbours row by row. Source: the official
    weights' converter of mmdetection.
    """
    return x.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :].mT.flatten(-2)


def _from_unfold(x: Tensor) -> Tensor:
    """The inverse of `_to_unfold`; what has not four neighbours' channels stays as it is."""
    if x.ndim == 0 or x.shape[-1] % 4:
        return x
    if x.shape[-1] % 4:
        return x
    return x.unflatten(-1, (-1, 4)).mT[..., [0, 2, 1, 3], :].flatten(-2)


# --- fitting --------------------------------------------------------------------------------------


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
            if old or state[key].shape[:1] != own[key].shape[:1]:
                state[key] = resize_bias_table(state[key], wanted, old)
        elif key == "absolute_pos_embed" and state[key].ndim == 3:
            side = isqrt(state[key].shape[1])
            if side**2 == state[key].shape[1]:  # else nobody knows the picture's sides
                state[key] = _resample(state[key], (side, side), model.grid_size)


def _window_of(index: Tensor) -> tuple[int, int] | None:
    """The window whose pairs of tokens an index numbers as here; None if it numbers otherwise."""
    if index.layout != torch.strided or index.is_meta:
        return None
    N, index = isqrt(index.numel()), index.flatten().cpu()
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


def _check_weight(key: str, value: Tensor) -> None:
    """Refuse what could not be copied, or would be copied though it is no weight."""
    if type(value) not in (Tensor, nn.Parameter):
        kind = f"a {type(value).__name__}"
    elif value.is_quantized:
        kind = "quantised"
    elif value.layout != torch.strided:
        kind = f"of layout {value.layout}"
    elif value.is_meta:
        kind = "on the meta device, without numbers"
    elif not value.is_floating_point():
        kind = f"of {value.dtype}"
    else:
        return
    raise ValueError(
        f"the checkpoint does not fit the model:\n  {key} must be a dense tensor of floating "
        f"point numbers, and is {kind}"
    )


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


def _depths(state) -> tuple[int, ...]:
    """Number of blocks in each stage."""
    blocks = {m[0] for m in (re.match(r"layers\.(\d+)\.blocks\.\d+\.", key) for key in state) if m}
    stages = [int(block.split(".")[1]) for block in blocks]
    return tuple(stages.count(i) for i in range(max(stages, default=-1) + 1))


def _likely_reason(own, state, missing, unexpected, misshapen) -> str:
    def there_and_here(key):
        alike = key in misshapen and state[key].ndim == own[key].ndim
        return (state[key], own[key]) if alike else None

    first = "layers.0.blocks.0"
    if any("logit_scale" in key or "cpb_mlp" in key for key in unexpected):
        return "a Swin Transformer V2 checkpoint, which is another architecture"
    if not _depths(state):
        return "not a Swin Transformer checkpoint in a layout that is known here"
    if pair := there_and_here(f"{first}.norm1.weight"):
        return f"embed_dim is {len(pair[0])} there, {len(pair[1])} here"
    if _depths(state) != _depths(own):
        return f"depths are {_depths(state)} there, {_depths(own)} here"
    if pair := there_and_here("patch_embed.proj.weight"):
        sizes = [f"{x.shape[1]} input channels, patch_size {tuple(x.shape[2:])}" for x in pair]
        return f"{sizes[0]} there, {sizes[1]} here"
    if pair := there_and_here("head.weight"):
        return (
            f"num_classes is {len(pair[0])} there, {len(pair[1])} here; new_head=True takes "
            "everything else and leaves the model's head as it is"
        )
    if "head.weight" in missing:
        parts = sorted({key.split(".")[0] for key in unexpected})
        beside = f" beside {', '.join(parts)}" if parts else ""
        return (
            f"a backbone without a head for classes{beside}; new_head=True loads the backbone and "
            "leaves the model's head as it is"
        )
    if "head.weight" in unexpected:
        return (
            "only the checkpoint has a head (the model has num_classes=0); new_head=True drops it"
        )
    tables = [key for key in misshapen if key.endswith(TABLE)]
    if tables and own[tables[0]].shape[1:] == state[tables[0]].shape[1:]:
        rows = len(state[tables[0]])
        window = (isqrt(rows) + 1) // 2
        there = (
            f"window_size is {window}" if (2 * window - 1) ** 2 == rows else "another window_size"
        )
        return f"{there} there; resize=True resamples the bias tables, at some cost in accuracy"
    if tables:
        return "another num_heads"
    if "absolute_pos_embed" in misshapen:
        return (
            "the position embedding (ape) is that of another img_size; resize=True resamples it, "
            "at some cost in accuracy"
        )
    pair = there_and_here(f"{first}.mlp.fc1.weight")
    if pair and pair[0].shape[1] == pair[1].shape[1]:
        ratios = [x.shape[0] / x.shape[1] for x in pair]
        return f"mlp_ratio is {ratios[0]:g} there, {ratios[1]:g} here"
    options = {"ape": "absolute_pos_embed", "patch_norm": "patch_embed.norm.weight"}
    options["qkv_bias"] = f"{first}.attn.qkv.bias"
    for option, key in options.items():
        if key in missing or key in unexpected:
            there, here = (False, True) if key in missing else (True, False)
            return f"{option} is {there} there, {here} here"
    return "single weights are missing, too many or of another shape"
