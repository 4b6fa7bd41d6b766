"""Fine-tuning: from weights that somebody trained to a model for other pictures.

    config = start_from("swin_tiny_patch4_window7_224.pth", preset("finetune"))
    result = train(config, load_dataset("my_pictures", config=config))

The file says which model it is for. What it does not say, the size of the pictures and their mean
and spread, follows from where it comes from: a run of this package has it beside its weights, and
all that is published was trained on ImageNet.
"""

import hashlib
import io
import json
import pickle
from contextlib import redirect_stdout
from pathlib import Path

from torch import nn

from swinlib import published
from swinlib.model import SwinTransformer
from swinlib.pretrained import load_pretrained, read_architecture
from swinlib.training.config import TrainConfig
from swinlib.training.variants import take_away

# What a run's own configuration knows of its model.
OF_THE_MODEL = (
    "patch_size", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio", "init_std",
    "stem", "without",
)  # fmt: skip
# What a model can be that a TrainConfig cannot describe.
STANDARD = {"in_chans": 3, "qkv_bias": True, "ape": False, "patch_norm": True}


def start_from(weights, config) -> TrainConfig:
    """The configuration with which a run starts from weights and has the model that they fit.

    Args:
        weights: a checkpoint in any layout that `load_pretrained` reads, the folder of a finished
            run, or the name of a published checkpoint (see swinlib.published), which is downloaded
            once.
        config: says all the rest; ``preset("finetune")``, for instance.

    The model's fields, ``image_size``, ``mean`` and ``std`` come from the weights. Change what
    should differ afterwards: with another ``window_size`` the bias tables are resampled, while
    another ``image_size`` asks for nothing.

    Raises ValueError for a file that cannot be used, FileNotFoundError for one that is not there.
    """
    path = find_weights(weights)
    about = about_run(path)
    if about is not None:
        run = TrainConfig(**about["config"])
        if run.model != "swin":
            raise ValueError(f"{path} is a run of model={run.model!r}, wanted 'swin'")
        fields = {name: getattr(run, name) for name in OF_THE_MODEL}
        fields |= {"mean": tuple(about["mean"]), "std": tuple(about["std"])}
        fields["image_size"] = (about.get("picture_size") or [run.image_size or 32])[0]
    else:
        fields = _fields_of(path)
    return config.replace(weights=str(path), **fields)


def find_weights(weights) -> Path:
    """Where weights are: a path as it is, the name of a published checkpoint after its download.

    Raises FileNotFoundError where there is neither, ConnectionError as `published.fetch`.
    """
    path = Path(weights).expanduser()
    if path.exists():
        return path
    if str(weights) in published.CHECKPOINTS:
        return published.fetch(str(weights))
    raise FileNotFoundError(
        2, f"no such file, nor a published checkpoint (see swinlib.published): {weights}"
    )


def about_run(path) -> dict | None:
    """What a run of this package wrote beside its weights; None for a file from elsewhere."""
    from safetensors import SafetensorError, safe_open

    file = path / "model.safetensors" if path.is_dir() else path
    try:
        with safe_open(file, framework="pt") as opened:
            about = (opened.metadata() or {}).get("about")
        beside = file.with_name("config.json")
        if about is None and beside.exists():
            about = beside.read_text(encoding="utf-8")
        about = json.loads(about or "{}")
    except (OSError, SafetensorError, ValueError):  # no safetensors, or a damaged one: who loads
        return None  # it tells more
    return about if {"config", "class_names", "mean", "std"} <= about.keys() else None


def _fields_of(path):
    """Fields of a TrainConfig for a checkpoint from elsewhere."""
    try:
        found = read_architecture(path)
    except (TypeError, pickle.UnpicklingError) as error:
        raise ValueError(str(error)) from error
    for name, wanted in STANDARD.items():
        if found[name] != wanted:
            raise ValueError(
                f"{path} is for a model with {name}={found[name]!r}, and training knows only "
                f"{name}={wanted!r}: load it with swinlib.load_pretrained"
            )
    square = {}
    for name in ("patch_size", "window_size"):
        if len(set(found[name])) > 1:
            raise ValueError(
                f"{path} is for a model with {name}={found[name]}, and training knows only squares"
            )
        square[name] = found[name][0]
    # The last stage's map is one window, as in all published models: 224 = 4 * 2**3 * 7.
    size = square["patch_size"] * 2 ** (len(found["depths"]) - 1) * square["window_size"]
    names = ("embed_dim", "depths", "num_heads", "mlp_ratio")
    return {
        **square,
        **{name: found[name] for name in names},
        "image_size": size,
        "mean": published.MEAN,
        "std": published.STD,
    }


def keeps_head(config, class_names) -> bool:
    """Whether ``config.weights`` are those of a run of this package on the very same classes."""
    about = about_run(find_weights(config.weights))
    return about is not None and tuple(about["class_names"]) == tuple(class_names)


def load_start(model: SwinTransformer, config, class_names) -> None:
    """Fills a fresh model with ``config.weights``. Its head stays as it is, for new classes, unless
    `keeps_head`.

    Raises ValueError where the weights do not fit the configuration.
    """
    path = find_weights(config.weights)
    ours = about_run(path) is not None
    source = path / "model.safetensors" if ours and path.is_dir() else path
    new_head = not keeps_head(config, class_names)
    with redirect_stdout(io.StringIO()):  # it says that the head is left, as is meant here
        try:
            load_pretrained(model, source, resize=True, new_head=new_head)
        except (TypeError, pickle.UnpicklingError) as error:
            raise ValueError(str(error)) from error
    if "relative_bias" in (config.without or ()):  # the file's tables have taken its place
        take_away(model, "relative_bias", map_size=1)


def digest(config) -> str:
    """Of the weights' file, wherever it lies: what a resumed run must have in common."""
    path = find_weights(config.weights)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    if path.is_dir():
        kinds = (".safetensors", ".bin", ".pth", ".pt")
        files = [file for file in files if file.suffix in kinds]
    total = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            while piece := opened.read(2**20):
                total.update(piece)
    return total.hexdigest()[:16]


# ----------------------------------------------------------------------------- what stays frozen


def freeze(model: SwinTransformer, what) -> None:
    """Takes the gradient from what is not to learn.

    what: as ``TrainConfig.freeze``. None: everything learns. "backbone": the head alone learns.
        "all_but_norms": the norms and the head learn. A number n: the embedding and the first n
        stages, each with its merging, stay as they are.
    """
    if what is None:
        return
    if what == "all_but_norms":
        model.requires_grad_(False)
        for module in model.modules():
            if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):  # those of the deep stem
                module.requires_grad_(True)
        model.head.requires_grad_(True)
        return
    for part in frozen_parts(model, what):
        part.requires_grad_(False)
    if model.absolute_pos_embed is not None:
        model.absolute_pos_embed.requires_grad_(False)


def frozen_parts(model: SwinTransformer, what) -> list[nn.Module]:
    """The parts of a model in which nothing learns."""
    if what is None or what == "all_but_norms":
        return []
    stages = list(model.layers) if what == "backbone" else list(model.layers[:what])
    last = [model.norm] if what == "backbone" else []
    return [model.patch_embed, model.pos_drop, *stages, *last]


def train_mode(model: SwinTransformer, what) -> None:
    """Training mode, but for what is frozen: there drop path and dropout would make the features
    that the rest learns from noisy, and nothing could learn to live with it."""
    model.train()
    for part in frozen_parts(model, what):
        part.eval()


# -------------------------------------------------------------------------- who learns how fast


def rates(model: SwinTransformer, config) -> dict[str, float] | None:
    """The learning rate of every parameter, as a share of the configuration's; None: 1 for all.

    ``config.layer_decay``: the last norm has 1, the last block this share, and every block before
    it this share of its successor's; the embedding comes before the first block, and a merging goes
    with the block before it. ``config.head_rate``: the head's.

    Source: Bao et al. 2021, "BEiT"; the official code's `get_swin_layer`.
    """
    if config.layer_decay == config.head_rate == 1:
        return None
    depths = [len(stage.blocks) for stage in model.layers]
    whole = sum(depths) + 1

    def place(name):
        parts = name.split(".")
        if parts[0] == "head" or parts[0] == "norm":
            return whole
        if parts[0] != "layers":
            return 0
        stage = int(parts[1])
        if parts[2] == "downsample":
            return sum(depths[: stage + 1])
        return sum(depths[:stage]) + int(parts[3]) + 1

    return {
        name: config.head_rate
        if name.startswith("head.")
        else config.layer_decay ** (whole - place(name))
        for name, _ in model.named_parameters()
    }
