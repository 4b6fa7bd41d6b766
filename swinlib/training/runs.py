"""Runs that are over: their logs, and models from the weights that they left."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from swinlib.model import SwinTransformer
from swinlib.training.config import TrainConfig
from swinlib.training.models import build_model


@dataclass(frozen=True, repr=False)
class RecordedRun:
    """What the log of a finished run says."""

    config: TrainConfig
    dataset: str  # where the pictures came from; belongs beside the accuracy
    device: str
    history: list  # one dict per epoch, see `train`
    best_epoch: int
    test_accuracy: float  # share from 0 to 1
    seconds: float  # training and measuring; on a CPU that others use too they say little
    confusion: torch.Tensor | None  # of the test pictures, see `confusion_matrix`; not in old logs

    def __repr__(self):
        return (
            f"{self.config.name}, seed {self.config.seed}: test accuracy {self.test_accuracy:.2%} "
            f"on {self.dataset}, best epoch {self.best_epoch} of {len(self.history)}"
        )


def read_run(folder) -> RecordedRun:
    """The run whose log.jsonl is in a folder.

    Raises ValueError when the run is not finished or the log is damaged, FileNotFoundError when
    there is no log.
    """
    path = Path(folder) / "log.jsonl"
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        kinds = [entry.pop("kind") for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: not one JSON object with a kind per line") from error
    if not kinds or kinds[-1] != "test":
        end = f"ends in an entry {kinds[-1]!r}" if kinds else "is empty"
        raise ValueError(f"{path} {end}: the run is not finished")
    about, test = entries[0], entries[-1]
    return RecordedRun(
        config=TrainConfig.from_dict(about["config"]),
        dataset=about["dataset"],
        device=about["device"],
        history=[e for e, kind in zip(entries, kinds, strict=True) if kind == "epoch"],
        best_epoch=test["best_epoch"],
        test_accuracy=test["test_accuracy"],
        seconds=test["seconds"],
        confusion=torch.tensor(test["confusion"]) if "confusion" in test else None,
    )


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A model with its weights, and what it needs to be used."""

    model: SwinTransformer  # in eval mode, on the CPU, float32
    config: TrainConfig
    class_names: tuple
    dataset: str  # that it was trained on
    mean: tuple  # for `normalise`
    std: tuple
    picture_size: tuple  # height and width that it was trained with, in pixels


def load_model(folder) -> TrainedModel:
    """The model of a finished run, from the model.safetensors in a folder.

    What the weights are stands in their own file or, for weights that were saved without, in
    config.json beside it. Weights may be of half precision; they are used as float32. Raises
    FileNotFoundError when a file is missing, RuntimeError when the weights do not fit the
    configuration.
    """
    weights = Path(folder) / "model.safetensors"
    with safe_open(weights, framework="pt") as file:
        about = (file.metadata() or {}).get("about")
    if about is None:
        about = weights.with_name("config.json").read_text(encoding="utf-8")
    about = json.loads(about)
    config = TrainConfig.from_dict(about["config"])
    size = tuple(about.get("picture_size") or [config.image_size or 32] * 2)
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, and thrown away
        model = build_model(config, len(about["class_names"]), size)
    model.load_state_dict(load_file(weights))
    return TrainedModel(
        model.eval(), config, tuple(about["class_names"]), about["dataset"],
        tuple(about["mean"]), tuple(about["std"]), size,
    )  # fmt: skip
