"""Lesson 08: training a Swin Transformer on small pictures.

config.py   every knob of a run, and the presets "smoke", "laptop" and "gpu"
data.py     CIFAR-10, image folders or generated shapes, as tensors in memory
augment.py  crops and flips for a whole batch at once
loop.py     the schedule, the loop, evaluation

``python -m swinlib.training --help`` trains from the console with the same functions.
"""

from swinlib.training.augment import normalise, random_crop, random_flip
from swinlib.training.config import PRESETS, TrainConfig, choose_device, choose_preset, preset
from swinlib.training.data import DatasetError, ImageSet, draw_shapes, load_dataset
from swinlib.training.loop import (
    Evaluation,
    TrainResult,
    build_model,
    confusion_matrix,
    evaluate,
    learning_rate,
    parameter_groups,
    train,
)

__all__ = [
    "PRESETS",
    "DatasetError",
    "Evaluation",
    "ImageSet",
    "TrainConfig",
    "TrainResult",
    "build_model",
    "choose_device",
    "choose_preset",
    "confusion_matrix",
    "draw_shapes",
    "evaluate",
    "learning_rate",
    "load_dataset",
    "normalise",
    "parameter_groups",
    "preset",
    "random_crop",
    "random_flip",
    "train",
]
