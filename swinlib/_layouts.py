"""How others name and arrange a Swin Transformer's weights, and the way there and back."""

import re
from functools import cache

import torch
from torch import Tensor

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
    ("mask_token", "swin.embeddings.mask_token"),
    ("norm", "swin.layernorm"),
    ("norm{i}", "hidden_states_norms.stage{next}"),
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
# The first weight of the first block, by which a layout is known whatever stands in front of it.
FIRST_WEIGHTS = {
    "layers.0.blocks.0.norm1.weight": "official",
    "layers_0.blocks.0.norm1.weight": "official",  # timm's features_only
    "features.1.0.norm1.weight": "torchvision",
    "encoder.layers.0.blocks.0.layernorm_before.weight": "hf",
    "stages.0.blocks.0.norm1.weight": "mm",
}
INDEX, TABLE = ".attn.relative_position_index", ".attn.relative_position_bias_table"
NORM = re.compile(r"norm\d*\.(weight|bias)")  # the last, or those of stages in detection


def models_in(state: dict) -> dict[str, str]:
    """What stands in front of a Swin Transformer's names in a state dict, and whose names they are.

    More than one where a student stands beside a teacher.
    """
    return {
        key.removesuffix(end): layout
        for key in state
        for end, layout in FIRST_WEIGHTS.items()
        if isinstance(key, str) and f".{key}".endswith(f".{end}")
    }


def in_official_names(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The backbone and the head in official names and form; and what else the checkpoint has.

    Raises:
        ValueError: there are several models in it.
    """
    found = models_in(state)
    if len(found) > 1:
        raise ValueError(
            "the checkpoint holds several models, with names behind "
            f"{', '.join(map(repr, found))}: give the state dict of one, such as "
            f"{{k: v for k, v in state.items() if k.startswith({max(found, key=len)!r})}}"
        )
    if not found:
        return state, {}
    ((prefix, layout),) = found.items()
    if layout == "hf":
        prefix = prefix.removesuffix("swin.")  # which `SwinModel` alone does not have
        layout = "hf5" if any(".attention.q_proj." in key for key in state) else "hf"
    backbone, rest = {}, {}
    for key, value in state.items():
        head = re.fullmatch(r"((?:\w+\.)*)(?:head\.fc|head|classifier)\.(weight|bias)", key)
        if key.startswith(prefix):
            key = key.removeprefix(prefix).removeprefix("swin.")
            backbone[re.sub(r"^layers_(\d+)", r"layers.\1", key)] = value
        elif head and prefix.startswith(head[1]):  # beside the backbone
            backbone[f"head.{head[2]}"] = value
        else:
            rest[key] = value
    if layout == "official" and _merges_at_the_beginning(backbone):
        layout = "timm"

    pairs = [(theirs.removeprefix("swin."), ours) for ours, theirs in LAYOUTS[layout]]
    backbone = {_rename(key, pairs): value for key, value in backbone.items()}
    for key in [key for key in backbone if re.match(r"(mask_token|decoder)\b", key)]:
        rest[key] = backbone.pop(key)  # of pre-training
    if layout in ("hf", "hf5"):
        backbone = _join_qkv(backbone)
    if layout == "mm":
        backbone = {k: _from_unfold(v) if ".downsample." in k else v for k, v in backbone.items()}
    rest.pop("n_averaged", None)  # AveragedModel counts what it has averaged
    return backbone, rest


def in_layout(state: dict[str, Tensor], layout: str) -> dict[str, Tensor]:
    """The inverse of `in_official_names`."""
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


def _merges_at_the_beginning(state) -> bool:
    merging = {m[1] for m in (re.match(r"layers\.(\d+)\.downsample\.", key) for key in state) if m}
    return "0" not in merging if merging else "head.fc.weight" in state


NUMBERS = {  # what a field in a template of LAYOUTS is for stage i, and back
    "i": (lambda i: i, lambda n: n),
    "next": (lambda i: i + 1, lambda n: n - 1),
    "odd": (lambda i: 2 * i + 1, lambda n: (n - 1) / 2),
    "even": (lambda i: 2 * i + 2, lambda n: (n - 2) / 2),
}


@cache
def _pattern(template: str) -> re.Pattern:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(template)) + r"(?=\.|$)")


def _rename(key: str, pairs) -> str:
    """A key with the beginning that fits a pair's first replaced by its second."""
    for old, new in pairs:
        match = _pattern(old).match(key)
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
    return x.unflatten(-1, (-1, 4)).mT[..., [0, 2, 1, 3], :].flatten(-2)
