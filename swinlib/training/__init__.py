"""Lesson 08: training a Swin Transformer on small pictures.

config.py       every knob of a run, and presets such as "laptop" and "gpu"
data.py         pictures as tensors in memory, split; they come from:
  cifar.py        the official CIFAR-10
  folders.py      image folders, and their cache
  shapes.py       shapes that are drawn here
pictures.py     one picture file, whatever it was written as
variants.py     Swin with a piece taken away, or with another stem
stream.py       image folders too big for memory
augment.py      crops, flips and stronger augmentation for a whole batch at once
batches.py      from an order of pictures to the batches that the model sees
models.py       the model of a configuration: Swin, or a baseline to compare it with
devices.py      what a device can do: bfloat16, compiling
muon.py         an optimiser for matrices
precision.py    in which precision a run computes
ema.py          an average of the weights over the last steps
finetune.py     from somebody's weights: what is kept, and who learns how fast
loop.py         the schedule, the loop, evaluation
checkpoint.py   what is saved, so that a killed run goes on as if nothing had happened
lock.py         one run at a time in one place
runs.py         finished runs: their logs and their models
distributed.py  several processes that train one model, under torchrun

``python -m swinlib.training --help`` trains from the console with the same functions.
"""

from swinlib.training.augment import mix, normalise, random_crop, random_flip
from swinlib.training.batches import augmented
from swinlib.training.checkpoint import CheckpointError
from swinlib.training.config import PRESETS, TrainConfig, choose_device, choose_preset, preset
from swinlib.training.data import DatasetError, ImageSet, draw_shapes, load_dataset
from swinlib.training.finetune import freeze, start_from
from swinlib.training.lock import InUseError
from swinlib.training.loop import (
    Evaluation,
    TrainResult,
    confusion_matrix,
    evaluate,
    learning_rate,
    parameter_groups,
    train,
)
from swinlib.training.models import build_model
from swinlib.training.runs import RecordedRun, TrainedModel, load_model, read_run

__all__ = [
    "PRESETS",
    "CheckpointError",
    "DatasetError",
    "Evaluation",
    "ImageSet",
    "InUseError",
    "RecordedRun",
    "TrainConfig",
    "TrainResult",
    "TrainedModel",
    "augmented",
    "build_model",
    "choose_device",
    "choose_preset",
    "confusion_matrix",
    "draw_shapes",
    "evaluate",
    "freeze",
    "learning_rate",
    "load_dataset",
    "load_model",
    "mix",
    "normalise",
    "parameter_groups",
    "preset",
    "random_crop",
    "random_flip",
    "read_run",
    "start_from",
    "train",
]
