"""Why a checkpoint does not fit a model, in words."""

import re
from math import isqrt

from swinlib._layouts import NORM, TABLE


def explain(own, state, missing, unexpected, misshapen, resize) -> str:
    """What does not fit, and why it probably does not.

    Args:
        own: the model's state dict.
        state: the checkpoint's, in official names.
        missing, unexpected, misshapen: keys.
        resize: whether tables and position embeddings have been resampled where that was possible.
    """
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
    reason = _likely_reason(own, state, missing, unexpected, misshapen, resize)
    return "\n".join([*lines, f"Likely reason: {reason}."])


def depths_of(state) -> tuple[int, ...]:
    """Number of blocks in each stage."""
    blocks = {
        m[0]
        for m in (re.match(r"layers\.(\d+)\.blocks\.\d+\.attn\.qkv", key) for key in state)
        if m
    }
    stages = [int(block.split(".")[1]) for block in blocks]
    return tuple(stages.count(i) for i in range(max(stages, default=-1) + 1))


def _likely_reason(own, state, missing, unexpected, misshapen, resize) -> str:
    def there_and_here(key):
        alike = key in misshapen and state[key].ndim == own[key].ndim
        return (state[key], own[key]) if alike else None

    first = "layers.0.blocks.0"
    if any(re.search("logit_scale|cpb_mlp|position_bias_mlp", key) for key in unexpected):
        return "a Swin Transformer V2 checkpoint, which is another architecture"
    if not depths_of(state):
        return "not a Swin Transformer checkpoint in a layout that is known here"
    if pair := there_and_here(f"{first}.norm1.weight"):
        return f"embed_dim is {len(pair[0])} there, {len(pair[1])} here"
    if depths_of(state) != depths_of(own):
        return f"depths are {depths_of(state)} there, {depths_of(own)} here"
    if pair := there_and_here("patch_embed.proj.weight"):
        sizes = [f"{x.shape[1]} input channels, patch_size {tuple(x.shape[2:])}" for x in pair]
        adapt = pair[0].ndim == 4 and pair[0].shape[2:] == pair[1].shape[2:]
        way = "; adapt_in_chans=True sums or repeats the channels" if adapt else ""
        return f"{sizes[0]} there, {sizes[1]} here{way}"
    if "patch_embed.proj.weight" in misshapen:
        return "its patches have another number of dimensions, as those of videos"
    if pair := there_and_here("head.weight"):
        classes = (len(pair[0]), len(pair[1]))
        way = "head_22k_to_1k=True takes them over, " if classes == (21841, 1000) else ""
        return (
            f"num_classes is {classes[0]} there, {classes[1]} here; {way}new_head=True takes "
            "everything else and leaves the model's head as it is"
        )
    norms = [key for key in (*missing, *unexpected) if NORM.match(key)]
    if "norm.weight" not in own and (norms or "head.weight" in unexpected):
        return (
            "the model has a norm for each of its out_indices and no head, the checkpoint has "
            "others; new_head=True takes what fits and leaves the other norms as they are"
        )
    heads = [any(key.startswith("head.") for key in keys) for keys in (missing, unexpected)]
    if all(heads):
        return (
            "the head is another module there; new_head=True takes everything else and leaves the "
            "model's head as it is"
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
        if resize:  # it could not be
            return f"{there} there, of a shape that is not known"
        return f"{there} there; resize=True resamples the bias tables, at some cost in accuracy"
    if tables:
        return "another num_heads"
    if "absolute_pos_embed" in misshapen:
        way = "resize=True resamples it, at some cost in accuracy"
        way = "its height and width are not known" if resize else way
        return f"the position embedding (ape) is that of another img_size; {way}"
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
    return "individual weights are missing, unexpected or of another shape"
