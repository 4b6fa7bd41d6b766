"""Everything a training run can be told, in one object, and a few named settings of it.

A run is a :class:`TrainConfig`, its seed included, plus data. ``preset("laptop")`` gives a ready
one and ``config.replace(epochs=3)`` a changed copy. Nothing else in ``swinlib.training`` has a
hidden knob.
"""

import dataclasses
import numbers
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch

from swinlib._checks import narrow_stage
from swinlib.training.models import BASELINES
from swinlib.training.variants import TAKE_AWAY

FREEZE = ("backbone", "all_but_norms")  # or a number of stages: see finetune.py
LARGEST = sys.float_info.max

# --------------------------------------------------------------------- rules for single fields


@dataclass(frozen=True)
class Rule:
    """What a field may hold."""

    wanted: str  # in words, for the message
    allows: Callable  # value -> bool
    read: Callable = lambda value: value  # an allowed value -> the one that is kept


def _field(default, rule, **about):
    return dataclasses.field(default=default, metadata={"rule": rule, **about})


def _whole(low, high):
    def allows(value):
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return whole and low <= value <= high

    return Rule(f"a whole number from {low} to {high}", allows, int)


def _number(low, high=LARGEST, above=False, below=False):
    """A finite number from `low` to `high`; above, below: without `low`, or `high`, itself."""

    def allows(value):
        if not isinstance(value, numbers.Real) or isinstance(value, bool):
            return False
        value = value if isinstance(value, int) else float(value)  # 10**400 is no float
        inside = low <= value <= high  # false for nan
        return inside and not (above and value == low) and not (below and value == high)

    words = f"a number above {low}" if above else f"a number of at least {low}"
    if high < LARGEST:
        words = f"a number from {low} to {'below ' if below else ''}{high}"
    return Rule(words, allows, float)


def _choice(*choices):
    # The type counts too: 1 == True, and a log would say 1.
    same = [(type(choice), choice) for choice in choices]
    words = " or ".join(map(repr, choices))
    return Rule(words, lambda value: any(type(value) is t and value == c for t, c in same))


def _or_none(rule):
    return Rule(
        f"None or {rule.wanted}",
        lambda value: value is None or rule.allows(value),
        lambda value: None if value is None else rule.read(value),
    )


def _allows_stages(value):
    one = _whole(1, 1024).allows
    return isinstance(value, (tuple, list)) and 0 < len(value) <= 8 and all(map(one, value))


def _pieces(value):
    return tuple(value) if isinstance(value, (tuple, list)) else () if value is None else (value,)


def _allows_pieces(value):
    pieces = _pieces(value)
    known = all(isinstance(piece, str) and piece in TAKE_AWAY for piece in pieces)
    return known and len(set(pieces)) == len(pieces)


_STAGES = Rule(
    "one whole number from 1 to 1024 per stage, such as (2, 2)",
    _allows_stages,
    lambda value: tuple(map(int, value)),
)
_PIECES = Rule(
    f"None, or one or several of {', '.join(map(repr, TAKE_AWAY))}",
    _allows_pieces,
    lambda value: tuple(value) if isinstance(value, list) else value,
)
_NAME = Rule(  # it becomes a folder's name
    "letters, digits, '-', '_', '.' and spaces, at most 100, the first a letter or digit",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"\w[\w .-]{0,99}", value)),
)
_SOURCE = Rule(
    "'auto', 'cifar10', 'imagefolder', 'shapes' or the path of a folder",
    lambda value: isinstance(value, (str, os.PathLike)) and os.fspath(value) != "",
    os.fspath,
)
_FILE = Rule(
    "None, or a file of weights or the folder of a run",
    lambda value: value is None or isinstance(value, (str, os.PathLike)) and os.fspath(value) != "",
    lambda value: None if value is None else os.fspath(value),
)
_FROZEN = Rule(
    "None, 'backbone', 'all_but_norms' or a whole number of stages from 0 to 8",
    lambda value: value in (None, *FREEZE) or _whole(0, 8).allows(value),
)
_CHANNELS = Rule(
    "None or three numbers from 0 to 1, for red, green and blue",
    lambda value: (
        value is None
        or isinstance(value, (tuple, list))
        and len(value) == 3
        and all(map(_SHARE.allows, value))
    ),
    lambda value: None if value is None else tuple(map(float, value)),
)
_COUNT = _whole(1, 2**31 - 1)
_COUNT_OR_SHARE = Rule(
    f"{_COUNT.wanted}, or a share above 0 and below 1",
    lambda value: _COUNT.allows(value) or _number(0, 1, above=True, below=True).allows(value),
    lambda value: int(value) if _COUNT.allows(value) else float(value),
)
_SHARE = _number(0, 1)
_SHARE_BELOW_1 = _number(0, 1, below=True)
_AT_LEAST_0 = _number(0)
_ABOVE_0 = _number(0, above=True)
_SWITCH = _choice(False, True)


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Frozen: change a copy with :meth:`replace`.

    Every field stands beside the rule for its value; rules between fields are in `_BETWEEN`. A
    whole number will do where a number is wanted.

    Raises ValueError that names the field, its value and what is wanted.
    """

    name: str = _field("custom", _NAME)  # what logs and plots call this run

    # Model: see swinlib.SwinTransformer. Stage i has width embed_dim * 2**i.
    model: str = _field("swin", _choice("swin", *BASELINES))  # or another to compare with
    patch_size: int = _field(4, _whole(1, 1024))  # pixels per side of a patch
    embed_dim: int = _field(64, _whole(1, 2**16))  # channels of the first stage
    depths: tuple = _field((2, 2), _STAGES)  # blocks per stage
    num_heads: tuple = _field((2, 4), _STAGES)  # attention heads per stage
    window_size: int = _field(4, _whole(1, 1024))  # tokens per side of a window
    mlp_ratio: float = _field(4.0, _number(0, 1000, above=True))  # hidden width / width of a stage
    # Spread of the first weights of linear layers; 0.02 is the official one.
    init_std: float = _field(0.02, _ABOVE_0)
    # Chance that the last block is skipped; earlier blocks less.
    drop_path_rate: float = _field(0.0, _SHARE_BELOW_1)
    # Or "convolutions", or more of them, "deep", which are not Swin's: see variants.py.
    stem: str = _field("patches", _choice("patches", "convolutions", "deep"))
    # A piece to take away, or several: see variants.take_away.
    without: str | tuple | None = _field(None, _PIECES)

    # Fine-tuning: see finetune.py.
    # A checkpoint, or a run's folder, to start from; its head is replaced, unless it is that of a
    # run on the same classes. A run may go on with the same file in another place.
    weights: str | None = _field(None, _FILE, same_run=True)
    # What stays as it is in the file: "backbone" (all but the head), "all_but_norms" (and but the
    # head), or a number of stages, counted from the pictures, with what lies before them.
    freeze: str | int | None = _field(None, _FROZEN)
    # The head's learning rate, as a multiple of the others': it alone begins from nothing.
    head_rate: float = _field(1.0, _ABOVE_0)
    # Share of its rate that every block passes on to the one before it; 1 is off.
    layer_decay: float = _field(1.0, _number(0, 1, above=True))

    # Data: see load_dataset. A limit of None means all pictures.
    # "auto", "cifar10", "imagefolder", "shapes", a folder. A run may go on with the same pictures
    # by another name: they are compared themselves.
    dataset: str = _field("auto", _SOURCE, same_run=True)
    # Pictures taken from the training set for validation; below 1, their share of it. A folder that
    # brings its own, val beside test, loses none.
    val_size: int | float = _field(5000, _COUNT_OR_SHARE)
    train_limit: int | None = _field(None, _or_none(_COUNT))  # training pictures used at most
    test_limit: int | None = _field(None, _or_none(_COUNT))  # test pictures used at most
    # Pixels per side that pictures are resized to, and shapes are drawn at; None: as they are.
    image_size: int | None = _field(None, _or_none(_whole(1, 2**14)))
    stream: bool = _field(False, _SWITCH)  # read a folder's files anew in every epoch: if too big
    # Of streamed pictures training sees a random part: the least share of the area, and how many
    # times as long as wide, or as wide as long, it may be; 1 keeps every picture's proportions.
    crop_area: float = _field(0.08, _number(0, 1, above=True))
    crop_stretch: float = _field(4 / 3, _number(1, 100))
    # Per channel, for `normalise`; None: those of the training pictures. What starts from
    # somebody's weights needs those that the weights were trained with.
    mean: tuple | None = _field(None, _CHANNELS)
    std: tuple | None = _field(None, _CHANNELS)
    # Processes that read streamed pictures; 0: the training process itself; None: one for each
    # usable processor, 16 at most. A run may go on with another number.
    workers: int | None = _field(None, _or_none(_whole(0, 1024)), same_run=True)

    # Augmentation, in the order in which it happens: see augment.py.
    randaugment_ops: int = _field(0, _whole(0, 100))  # operations of RandAugment a picture; 0: off
    randaugment_magnitude: int = _field(9, _whole(0, 30))  # their strength, 0 to 30
    crop_padding: int = _field(4, _whole(0, 2**14))  # pixels on each side before a crop; 0 is off
    crop_fill: str = _field("reflect", _choice("reflect", "zero"))  # what the added pixels show
    flip_probability: float = _field(0.5, _SHARE)  # chance that a picture is mirrored left to right
    erasing_probability: float = _field(0.0, _SHARE)  # chance that a rectangle of it is wiped out
    # Chance that a batch is mixed, by one of the two below if on.
    mix_probability: float = _field(1.0, _SHARE)
    mixup_alpha: float = _field(0.0, _AT_LEAST_0)  # of mixup's Beta(alpha, alpha); 0 is off
    cutmix_alpha: float = _field(0.0, _AT_LEAST_0)  # the same for cutmix

    # Optimiser and its schedule.
    optimizer: str = _field("adamw", _choice("adamw", "muon"))  # see muon.py
    batch_size: int = _field(128, _COUNT)  # pictures per step, on all devices together
    # Parts that a device takes its share of a batch in, one after the other, where all of it does
    # not fit into memory. The gradients add up to those of the whole, but for the batch norms of
    # the deep stem: these see one part at a time.
    accumulate: int = _field(1, _whole(1, 2**16))
    learning_rate: float = _field(1e-3, _ABOVE_0)  # the peak, reached when the warm-up ends
    final_learning_rate: float = _field(1e-5, _AT_LEAST_0)  # at the last step
    weight_decay: float = _field(0.05, _AT_LEAST_0)  # not on norms, biases and bias tables
    epochs: int = _field(10, _COUNT)  # passes over the training pictures
    # Epochs in which the learning rate climbs in a straight line.
    warmup_epochs: float = _field(1.0, _AT_LEAST_0)
    label_smoothing: float = _field(0.1, _SHARE_BELOW_1)  # share of each label spread over all
    # Longest gradient (2-norm over all weights); None is off.
    clip_norm: float | None = _field(1.0, _or_none(_ABOVE_0))
    ema_decay: float = _field(0.0, _SHARE_BELOW_1)  # of the old average per update (EMA)
    ema_every: int = _field(1, _COUNT)  # steps from one update of the average to the next

    # Arithmetic.
    # Or "bfloat16": autocast where it pays, see precision.py; float32 elsewhere.
    precision: str = _field("float32", _choice("float32", "bfloat16"))
    compile: bool = _field(False, _SWITCH)  # torch.compile it, see devices.can_compile
    seed: int = _field(0, _whole(0, 2**63 - 1))  # first weights, order, augmentation, drop path

    def __post_init__(self):
        for field in dataclasses.fields(self):
            rule, value = field.metadata["rule"], getattr(self, field.name)
            if not rule.allows(value):
                _refuse(field.name, value, rule.wanted)
            object.__setattr__(self, field.name, rule.read(value))
        for name, holds, wanted in _BETWEEN:
            if not holds(self):
                _refuse(name, getattr(self, name), wanted(self))

    def replace(self, **changes) -> "TrainConfig":
        """A copy with some fields changed: ``config.replace(epochs=3, seed=1)``.

        With fewer epochs the warm-up takes at most half of them, unless it is given too.
        """
        rules = {field.name: field.metadata["rule"] for field in dataclasses.fields(self)}
        unknown = sorted(set(changes) - set(rules))
        if unknown:
            raise ValueError(f"TrainConfig has no field {unknown[0]!r}; see help(TrainConfig)")
        epochs = changes.get("epochs", self.epochs)
        if rules["epochs"].allows(epochs) and epochs < self.epochs:
            changes = {"warmup_epochs": min(self.warmup_epochs, epochs / 2), **changes}
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """The fields as plain values, ready for JSON; ``TrainConfig(**fields)`` reads them back."""
        return dataclasses.asdict(self)

    def identity(self) -> dict:
        """The fields that two parts of one run must have in common, as JSON gives them back."""
        same = [f.name for f in dataclasses.fields(self) if not f.metadata.get("same_run")]
        fields = {name: getattr(self, name) for name in same}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


# ------------------------------------------------------------------------ rules between fields


def _stage_width(config):
    i = narrow_stage(config.embed_dim, config.num_heads)
    return f"heads that divide the stage's width ({config.embed_dim * 2**i} in stage {i})"


_BETWEEN = (  # (the field that the message names, whether all is well, what is wanted)
    (
        "num_heads",
        lambda c: len(c.num_heads) == len(c.depths),
        lambda c: f"as many entries as depths={c.depths}",
    ),
    ("num_heads", lambda c: narrow_stage(c.embed_dim, c.num_heads) is None, _stage_width),
    (
        "patch_size",
        lambda c: c.stem == "patches" or c.patch_size in (2**i for i in range(1, 11)),
        lambda c: f"2, 4, 8, ..., since stem={c.stem!r} halves the picture again and again",
    ),
    (
        "embed_dim",
        lambda c: c.stem == "patches" or c.embed_dim >= c.patch_size // 2,
        lambda c: f"at least {c.patch_size // 2}, since stem={c.stem!r} begins with a part of it",
    ),
    (
        "warmup_epochs",
        lambda c: c.warmup_epochs <= c.epochs,
        lambda c: f"a number from 0 to epochs={c.epochs}",
    ),
    (
        "final_learning_rate",
        lambda c: c.final_learning_rate <= c.learning_rate,
        lambda c: f"at most learning_rate={c.learning_rate}: after the warm-up it only falls",
    ),
    (
        "model",
        lambda c: (
            c.model == "swin"
            or (c.weights, c.freeze, c.head_rate, c.layer_decay) == (None, None, 1, 1)
        ),
        lambda c: "'swin' where weights, freeze, head_rate or layer_decay are set",
    ),
    (
        "accumulate",
        lambda c: c.batch_size % c.accumulate == 0,
        lambda c: f"a number that divides batch_size={c.batch_size}",
    ),
    (
        "without",
        lambda c: c.model == "swin" or c.without is None,
        lambda c: f"None: model={c.model!r} is no Swin, from which a piece could be taken",
    ),
    (
        "freeze",
        lambda c: c.freeze is None or c.weights is not None,
        lambda c: "None where no weights are given: frozen first weights would stay random",
    ),
    (
        "std",
        lambda c: (c.mean is None) == (c.std is None) and (c.std is None or min(c.std) > 0),
        lambda c: f"numbers above 0 where mean is given (mean={c.mean}), else None",
    ),
    (
        "freeze",
        lambda c: c.freeze in (None, *FREEZE) or c.freeze <= len(c.depths),
        lambda c: f"at most the {len(c.depths)} stages of depths={c.depths}",
    ),
    (
        "image_size",
        lambda c: c.image_size is not None or not c.stream,
        lambda c: "pixels per side, since stream=True",
    ),
)


def _refuse(field, value, wanted):
    shown = repr(value)
    if len(shown) > 200:
        shown = shown[:200] + "..."
    raise ValueError(f"TrainConfig: {field}={shown}, wanted {wanted}")


# --------------------------------------------------- recipes: what differs from the fields above

# Section A2.1 of the paper.
STRONG_AUGMENTATION = {
    "randaugment_ops": 2,
    "erasing_probability": 0.25,
    "mixup_alpha": 0.8,
    "cutmix_alpha": 1.0,
}
# Streamed pictures are random parts already, and need no padding.
STREAMED = {"dataset": "imagefolder", "image_size": 224, "stream": True, "crop_padding": 0}


def smoke() -> TrainConfig:
    """Seconds: proves that everything runs and that the loss falls. The accuracy means nothing."""
    return TrainConfig(
        name="smoke",
        embed_dim=32,
        init_std=0.06,
        val_size=500,
        train_limit=2000,
        test_limit=500,
        batch_size=50,
        learning_rate=2e-3,
        epochs=4,
        warmup_epochs=0.5,
        label_smoothing=0.0,
    )


def laptop() -> TrainConfig:
    """For two CPU cores: 84 per cent on CIFAR-10 (JPEG copy, three seeds), see data/runs/README.md.

    What it does other than Swin's own recipe (data/runs/README.md has what it gained): Muon in
    place of AdamW for matrices, a stem of convolutions, bfloat16 where it pays, and first weights
    three times the official spread, since it is narrow.
    """
    return TrainConfig(
        name="laptop",
        num_heads=(4, 8),
        init_std=0.06,
        stem="deep",
        optimizer="muon",
        learning_rate=2e-3,
        epochs=18,
        warmup_epochs=2.0,
        precision="bfloat16",
    )


def gpu() -> TrainConfig:
    """Meant for about nine minutes on one H100-class card, by the 22,000 pictures a second that an
    H200 did with an earlier recipe, and to reach 96 per cent on CIFAR-10.

    Sizes after Lee, Lee and Song, "Vision Transformer for Small-Size Datasets" (2021), whose Swin
    has patches of 2, windows of 4 and widths 96, 192, 384. Muon and the deep stem, which are not
    theirs, brought the preset `laptop` six points and four within five epochs, more than anything
    else that was measured. The kinds of augmentation are those of section A2.1 of the Swin paper,
    which takes them from DeiT (Touvron et al. 2021), but less: with all of it, two runs of
    102 and 142 epochs reached 86 and 88 per cent, and their curves were still rising when the rate
    ended. So nothing is erased, and the rest grows with the epochs: with what `gpu_medium` does to
    its pictures, `night` was right on 90 per cent of them over its last ten of 120 epochs, and
    gained nothing in the last 24, so here it is more. data/runs/README.md has the runs meant.
    """
    return TrainConfig(
        name="gpu",
        patch_size=2,
        embed_dim=96,
        depths=(2, 6, 2),
        num_heads=(3, 6, 12),
        stem="deep",
        init_std=0.04,
        drop_path_rate=0.1,
        val_size=2000,
        randaugment_ops=2,
        mix_probability=0.6,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        optimizer="muon",
        batch_size=512,
        learning_rate=3e-3,
        epochs=240,
        warmup_epochs=5,
        ema_decay=0.99,
        ema_every=10,
        precision="bfloat16",
        compile=True,
    )


def gpu_medium() -> TrainConfig:
    """The same in about six minutes, with less augmentation and an average over fewer steps."""
    return gpu().replace(
        name="gpu_medium", randaugment_ops=1, mix_probability=0.5, epochs=150, ema_decay=0.985
    )


def gpu_quick() -> TrainConfig:
    """The same in about three minutes.

    It sees each picture less often, so it needs less augmentation, and an average over fewer steps.
    """
    return gpu_medium().replace(
        name="gpu_quick",
        drop_path_rate=0.05,
        mix_probability=0.3,
        epochs=64,
        warmup_epochs=3,
        ema_decay=0.97,
    )


def night() -> TrainConfig:
    """For a night on two CPU cores with instructions for bfloat16: 91.9 per cent of the
    test pictures, one seed.

    The little sister of `gpu_medium`: the same patches, stem, optimiser and augmentation, a third
    of its weights, fewer epochs, smaller batches.
    """
    return gpu_medium().replace(
        name="night",
        embed_dim=64,
        depths=(2, 2, 2),
        num_heads=(2, 4, 8),
        drop_path_rate=0.05,
        batch_size=256,
        epochs=120,
        ema_decay=0.95,
        ema_every=50,
    )


def imagenet() -> TrainConfig:
    """Swin-T on ImageNet-1K as in section A2.1 of the paper, for several large GPUs under torchrun.
    The paper reports 81.3 per cent for it.

    As in the paper there is no repeated augmentation and no averaging of weights, which brought it
    nothing.
    """
    return TrainConfig(
        name="imagenet",
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.2,
        val_size=10_000,
        **STREAMED,
        **STRONG_AUGMENTATION,
        batch_size=1024,
        epochs=300,
        warmup_epochs=20,
        clip_norm=5.0,
        precision="bfloat16",
        compile=True,
    )


def finetune() -> TrainConfig:
    """From somebody's weights to a classifier for a folder of pictures, on a processor or any GPU.

    The model's own fields are placeholders: `finetune.start_from` takes them from the weights, and
    the pictures' size, mean and spread with them. A small rate that shrinks towards the pictures
    after Bao et al. 2021, "BEiT" (layer-wise decay), which the official code uses for fine-tuning
    SimMIM; ten times as much for the new head, which has nothing to forget.
    """
    return TrainConfig(
        name="finetune",
        val_size=0.15,
        **STREAMED,
        crop_area=0.35,
        crop_stretch=1.0,
        head_rate=10.0,
        layer_decay=0.8,
        drop_path_rate=0.1,
        batch_size=32,
        learning_rate=2e-4,
        final_learning_rate=1e-6,
        epochs=15,
        warmup_epochs=2.0,
        precision="bfloat16",
    )


# What has been recorded with each, and with which nothing has: data/runs/README.md.
RECIPES = (smoke, laptop, night, gpu_quick, gpu_medium, gpu, imagenet, finetune)
PRESETS = {recipe.__name__: recipe for recipe in RECIPES}


def preset(name: str) -> TrainConfig:
    """The configuration of that name: "smoke", "laptop", "night", "gpu_quick", "gpu_medium", "gpu",
    "imagenet" or "finetune".

    Raises ValueError for any other name.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is not known, wanted one of {', '.join(PRESETS)}")
    return PRESETS[name]()


def choose_preset() -> TrainConfig:
    """The preset for this machine: the one named in the environment variable SWINLIB_PRESET if it
    is set, else "gpu_quick" on a CUDA card that does it in minutes, else "laptop"."""
    name = os.environ.get("SWINLIB_PRESET")
    return preset(name or ("gpu_quick" if _has_large_gpu() else "laptop"))


def _has_large_gpu():
    """A card with bfloat16 (compute capability 8.0) and the size of an RTX 3090 (82
    multiprocessors), an A100 (108) or more; not, for example, a T4 (7.5, 40)."""
    if not (torch.cuda.is_available() and _has_kernels()):
        return False
    card = torch.cuda.get_device_properties(0)
    return card.major >= 8 and card.multi_processor_count >= 80


def _has_kernels(number=0):
    """Whether this PyTorch was built for a card. One that is too old, as a P100 is for CUDA 13, is
    "available" all the same, and stops at the first kernel.

    Binaries ("sm") run on cards of their generation, what is compiled on the fly ("compute") on all
    later ones, unless it has a letter.
    """
    card = torch.cuda.get_device_capability(number)
    built = re.findall(r"(sm|compute)_(\d+)(\d)([af]?)", " ".join(torch.cuda.get_arch_list()))
    for kind, major, minor, letter in built:
        same = int(major) == card[0]
        if (int(major), int(minor)) <= card and (same or kind == "compute" and not letter):
            return True
    return not built  # AMD's have other names


def choose_device(device=None) -> torch.device:
    """The device to train on.

    device: "cuda", "cuda:1", "mps", "cpu" or a torch.device; None takes the fastest that PyTorch
        finds here: cuda, else mps (Apple), else cpu.

    Raises ValueError for a device of another kind, and for one that this machine has not.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device is None:
        return torch.device("cuda" if cuda and _has_kernels() else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        chosen = None
    counts = {"cpu": 1, "cuda": torch.cuda.device_count() if cuda else 0, "mps": int(mps)}
    here = [kind for kind, count in counts.items() if count]
    if chosen is None or chosen.type not in here or (chosen.index or 0) >= counts[chosen.type]:
        more = f" (cuda:0 to cuda:{counts['cuda'] - 1})" if counts["cuda"] > 1 else ""
        raise ValueError(f"device {str(device)!r}, wanted one of {', '.join(here)} here{more}")
    if chosen.type == "cuda" and not _has_kernels(chosen.index or 0):
        card = torch.cuda.get_device_capability(chosen.index or 0)
        raise ValueError(
            f"device {str(device)!r} has compute capability {card}, wanted one that PyTorch was "
            f"built for here: {', '.join(torch.cuda.get_arch_list())}"
        )
    return chosen
