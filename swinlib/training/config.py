"""Everything a training run can be told, in one object, and a few named settings of it.

A run is a :class:`TrainConfig`, its seed included, plus data. ``preset("laptop")`` gives a ready
one and ``config.replace(epochs=3)`` a changed copy. Nothing else in ``swinlib.training`` has a
hidden knob.
"""

import dataclasses
import os
from dataclasses import dataclass

import torch

from swinlib.training.variants import TAKE_AWAY

RETIRED = {"randaugment_group"}  # fields of older versions, which recorded runs still name


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Frozen: change a copy with :meth:`replace`.

    Raises ValueError that names the field, its value and what is wanted.
    """

    name: str = "custom"  # what logs and plots call this run

    # Model: see swinlib.SwinTransformer. Stage i has width embed_dim * 2**i.
    patch_size: int = 4  # pixels per side of a patch
    embed_dim: int = 64  # channels of the first stage
    depths: tuple = (2, 2)  # blocks per stage
    num_heads: tuple = (2, 4)  # attention heads per stage
    window_size: int = 4  # tokens per side of a window
    mlp_ratio: float = 4.0  # hidden width of an MLP / width of its stage
    init_std: float = 0.02  # spread of the first weights of linear layers; 0.02 is the official one
    drop_path_rate: float = 0.0  # chance that the last block is skipped; earlier blocks less
    stem: str = "patches"  # or "convolutions", which are not Swin's: see variants.py
    without: str | tuple | None = None  # a piece to take away, or several: see variants.take_away

    # Data: see load_dataset. A limit of None means all pictures.
    dataset: str = "auto"  # "auto", "cifar10", "imagefolder", "shapes" or a folder
    val_size: int = 5000  # pictures taken from the training set for validation
    train_limit: int | None = None  # training pictures used at most
    test_limit: int | None = None  # test pictures used at most
    image_size: int | None = None  # pixels per side that pictures in folders are resized to, or not
    stream: bool = False  # read a folder's files anew in every epoch: if too big for memory

    # Augmentation, in the order in which it happens: see augment.py.
    randaugment_ops: int = 0  # operations of RandAugment on each picture; 0 is off
    randaugment_magnitude: int = 9  # their strength, 0 to 30
    crop_padding: int = 4  # pixels added on each side before a random crop; 0 is off
    crop_fill: str = "reflect"  # what the added pixels show: "reflect" or "zero"
    flip_probability: float = 0.5  # chance that a picture is mirrored left to right
    erasing_probability: float = 0.0  # chance that a rectangle of a picture is wiped out
    mix_probability: float = 1.0  # chance that a batch is mixed, by one of the two below if on
    mixup_alpha: float = 0.0  # shape of mixup's Beta(alpha, alpha) distribution; 0 is off
    cutmix_alpha: float = 0.0  # the same for cutmix

    # Optimiser (AdamW) and its schedule.
    batch_size: int = 128  # pictures per step, on all devices together
    learning_rate: float = 1e-3  # the peak, reached when the warm-up ends
    final_learning_rate: float = 1e-5  # at the last step
    weight_decay: float = 0.05  # not on norms, biases and bias tables
    epochs: int = 10  # passes over the training pictures
    warmup_epochs: float = 1.0  # epochs in which the learning rate climbs in a straight line
    label_smoothing: float = 0.1  # share of each label spread evenly over all classes
    clip_norm: float | None = 1.0  # longest gradient (2-norm over all weights); None is off
    average_decay: float = 0.0  # share of the old average kept per update (EMA); 0 is off
    average_every: int = 1  # steps from one update of the average to the next

    # Arithmetic.
    precision: str = "float32"  # or "bfloat16": autocast on GPUs that have it, float32 elsewhere
    compile: bool = False  # torch.compile the model (where a GPU lacks Triton: not)
    seed: int = 0  # first weights, order of pictures, all augmentation, drop path

    def __post_init__(self):
        for field in ("depths", "num_heads", "without"):  # lists come from JSON
            value = getattr(self, field)
            if isinstance(value, list):
                object.__setattr__(self, field, tuple(value))
        for field in ("depths", "num_heads"):
            value = getattr(self, field)
            ok = isinstance(value, tuple) and value and all(_is_int(v, 1) for v in value)
            _require(ok, field, value, "one whole number of at least 1 per stage, such as (2, 2)")
        same = len(self.depths) == len(self.num_heads)
        _require(same, "num_heads", self.num_heads, f"as many entries as depths={self.depths}")
        for field in (
            "patch_size", "embed_dim", "window_size", "val_size", "batch_size", "average_every",
            "epochs",
        ):  # fmt: skip
            value = getattr(self, field)
            _require(_is_int(value, 1), field, value, "a whole number of at least 1")
        for field in ("train_limit", "test_limit", "image_size"):
            value = getattr(self, field)
            _require(value is None or _is_int(value, 1), field, value, "None or at least 1")
        for field in ("crop_padding", "randaugment_ops", "seed"):
            value = getattr(self, field)
            _require(_is_int(value, 0), field, value, "a whole number of at least 0")
        for field in ("mlp_ratio", "init_std", "learning_rate"):
            value = getattr(self, field)
            _require(_is_number(value) and value > 0, field, value, "a number above 0")
        for field in ("final_learning_rate", "weight_decay", "mixup_alpha", "cutmix_alpha"):
            value = getattr(self, field)
            _require(_is_number(value) and value >= 0, field, value, "a number of at least 0")
        for field in ("drop_path_rate", "label_smoothing", "average_decay"):
            value = getattr(self, field)
            ok = _is_number(value) and 0 <= value < 1
            _require(ok, field, value, "a number from 0 to below 1")
        for field in ("flip_probability", "erasing_probability", "mix_probability"):
            value = getattr(self, field)
            ok = _is_number(value) and 0 <= value <= 1
            _require(ok, field, value, "a number from 0 to 1")
        value = self.randaugment_magnitude
        ok = _is_int(value, 0) and value <= 30
        _require(ok, "randaugment_magnitude", value, "a whole number from 0 to 30")
        value = self.warmup_epochs
        ok = _is_number(value) and 0 <= value <= self.epochs
        _require(ok, "warmup_epochs", value, f"a number from 0 to epochs={self.epochs}")
        value = self.clip_norm
        ok = value is None or (_is_number(value) and value > 0)
        _require(ok, "clip_norm", value, "None or a number above 0")
        value = self.without
        pieces = value if isinstance(value, tuple) else () if value is None else (value,)
        ok = len(set(pieces)) == len(pieces) and all(piece in TAKE_AWAY for piece in pieces)
        wanted = f"None, or one or several of {', '.join(map(repr, TAKE_AWAY))}"
        _require(ok, "without", value, wanted)
        choices = {
            "stem": ("patches", "convolutions"),
            "crop_fill": ("reflect", "zero"),
            "precision": ("float32", "bfloat16"),
            "compile": (False, True),
            "stream": (False, True),
        }
        for field, allowed in choices.items():
            value = getattr(self, field)
            _require(value in allowed, field, value, " or ".join(map(repr, allowed)))
        ok = self.image_size is not None or not self.stream
        _require(ok, "image_size", self.image_size, "pixels per side, since stream=True")
        for i, heads in enumerate(self.num_heads):
            width = self.embed_dim * 2**i
            wanted = f"heads that divide the stage's width ({width} in stage {i})"
            _require(width % heads == 0, "num_heads", self.num_heads, wanted)

    def replace(self, **changes) -> "TrainConfig":
        """A copy with some fields changed: ``config.replace(epochs=3, seed=1)``."""
        unknown = sorted(set(changes) - {f.name for f in dataclasses.fields(self)})
        if unknown:
            raise ValueError(f"TrainConfig has no field {unknown[0]!r}; see help(TrainConfig)")
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """The fields as plain values, ready for JSON; `from_dict` reads them back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict) -> "TrainConfig":
        """The opposite of `to_dict`; also reads what older versions wrote."""
        return cls(**{name: value for name, value in fields.items() if name not in RETIRED})


def _require(ok, field, value, wanted):
    if not ok:
        raise ValueError(f"TrainConfig: {field}={value!r}, wanted {wanted}")


def _is_int(value, smallest):
    return isinstance(value, int) and not isinstance(value, bool) and value >= smallest


def _is_number(value):
    ok = isinstance(value, (int, float)) and not isinstance(value, bool)
    return ok and value not in (float("inf"), float("-inf")) and value == value


def smoke() -> TrainConfig:
    """Seconds: proves that everything runs and that the loss falls. The accuracy means nothing."""
    return TrainConfig(
        name="smoke",
        # model
        patch_size=4,
        embed_dim=32,
        depths=(2, 2),
        num_heads=(2, 4),
        window_size=4,
        init_std=0.06,
        # data and augmentation
        dataset="auto",
        val_size=500,
        train_limit=2000,
        test_limit=500,
        crop_padding=4,
        flip_probability=0.5,
        # optimiser and schedule
        batch_size=50,
        learning_rate=2e-3,
        weight_decay=0.05,
        epochs=4,
        warmup_epochs=0.5,
        label_smoothing=0.0,
        # arithmetic
        precision="float32",
        seed=0,
    )


def laptop() -> TrainConfig:
    """About ten minutes on two CPU cores.

    Patches of 4 beat patches of 2 in short trials, since twice as many pictures pass in the same
    time, and first weights three times the official spread gained four points there (one seed).
    The stem is not Swin's; data/runs/README.md has what it gains.
    """
    return TrainConfig(
        name="laptop",
        # model
        patch_size=4,
        embed_dim=64,
        depths=(2, 2),
        num_heads=(4, 8),
        window_size=4,
        init_std=0.06,
        stem="convolutions",
        # data and augmentation
        dataset="auto",
        val_size=5000,
        crop_padding=4,
        flip_probability=0.5,
        # optimiser and schedule
        batch_size=64,
        learning_rate=1e-3,
        weight_decay=0.05,
        epochs=10,
        warmup_epochs=1.0,
        label_smoothing=0.0,
        # arithmetic
        precision="float32",
        seed=0,
    )


def gpu() -> TrainConfig:
    """The full recipe for one large GPU. It aims at 96 per cent on CIFAR-10 in ten minutes on one
    H200, but it is a recipe only: no result has been recorded with it yet.

    Sizes after Lee, Lee and Song, "Vision Transformer for Small-Size Datasets" (2021), whose Swin
    has patches of 2, windows of 4 and widths 96, 192, 384. Augmentation after section A2.1 of the
    Swin paper, which takes it from DeiT (Touvron et al. 2021): RandAugment, mixup 0.8, cutmix 1,
    erasing 0.25. With so much of it training goes on improving for hundreds of epochs.
    """
    return TrainConfig(
        name="gpu",
        # model
        patch_size=2,
        embed_dim=96,
        depths=(2, 6, 2),
        num_heads=(3, 6, 12),
        stem="convolutions",
        window_size=4,
        init_std=0.04,
        drop_path_rate=0.1,
        # data and augmentation
        dataset="auto",
        val_size=2000,
        randaugment_ops=2,
        randaugment_magnitude=9,
        crop_padding=4,
        flip_probability=0.5,
        erasing_probability=0.25,
        mix_probability=0.8,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        # optimiser and schedule
        batch_size=256,
        learning_rate=1.5e-3,
        weight_decay=0.05,
        epochs=300,
        warmup_epochs=10,
        label_smoothing=0.1,
        average_decay=0.95,
        average_every=50,
        # arithmetic
        precision="bfloat16",
        compile=True,
        seed=0,
    )


def gpu_quick() -> TrainConfig:
    """The same model in a fifth of the epochs. Also a recipe without a recorded result.

    A shorter run sees each picture less often, so it needs less augmentation, and an average over
    fewer steps.
    """
    return gpu().replace(
        name="gpu_quick",
        randaugment_ops=1,
        erasing_probability=0.1,
        mix_probability=0.5,
        epochs=60,
        warmup_epochs=5,
        average_decay=0.9,
    )


def imagenet() -> TrainConfig:
    """Swin-T on ImageNet-1K as in section A2.1 of the paper, for several large GPUs under torchrun.
    A recipe only: nobody has run it here. The paper reports 81.3 per cent for it.

    As in the paper there is no repeated augmentation and no averaging of weights, which brought it
    nothing.
    """
    return TrainConfig(
        name="imagenet",
        # model
        patch_size=4,
        embed_dim=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.2,
        # data and augmentation
        dataset="imagefolder",
        val_size=10_000,
        image_size=224,
        stream=True,
        randaugment_ops=2,
        randaugment_magnitude=9,
        crop_padding=0,  # streamed pictures are random parts already
        flip_probability=0.5,
        erasing_probability=0.25,
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        # optimiser and schedule
        batch_size=1024,
        learning_rate=1e-3,
        weight_decay=0.05,
        epochs=300,
        warmup_epochs=20,
        label_smoothing=0.1,
        clip_norm=5.0,
        # arithmetic
        precision="bfloat16",
        compile=True,
        seed=0,
    )


PRESETS = {recipe.__name__: recipe for recipe in (smoke, laptop, gpu, gpu_quick, imagenet)}


def preset(name: str) -> TrainConfig:
    """The configuration of that name: "smoke", "laptop", "gpu", "gpu_quick" or "imagenet".

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
    if not torch.cuda.is_available():
        return False
    card = torch.cuda.get_device_properties(0)
    return card.major >= 8 and card.multi_processor_count >= 80


def choose_device() -> torch.device:
    """The fastest device PyTorch finds here: cuda, else mps (Apple), else cpu."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
