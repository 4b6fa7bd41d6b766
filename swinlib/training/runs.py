"""Runs that are over: their logs, and models from the weights that they left."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from swinlib.model import SwinTransformer
from swinlib.training.config import TrainConfig
from swinlib.training.models import build_model

# What is raised where a file has not what is looked for in it.
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


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
        if kinds[-1:] == ["test"]:
            about, test = entries[0], entries[-1]
            return RecordedRun(
                config=TrainConfig(**about["config"]),
                dataset=about["dataset"],
                device=about["device"],
                history=[e for e, kind in zip(entries, kinds, strict=True) if kind == "epoch"],
                best_epoch=test["best_epoch"],
                test_accuracy=test["test_accuracy"],
                seconds=test["seconds"],
                confusion=torch.tensor(test["confusion"]) if "confusion" in test else None,
            )
    except DAMAGED as error:
        raise ValueError(
            f"{path} is damaged: wanted one JSON object with a kind per line, the configuration "
            "first and the test last"
        ) from error
    end = f"ends in an entry {kinds[-1]!r}" if kinds else "is empty"
    raise ValueError(f"{path} {end}: the run is not finished")


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
    FileNotFoundError when a file is missing, ValueError when one is damaged or of no run of this
    package, RuntimeError when the weights do not fit the configuration.
    """
    weights = Path(folder) / "model.safetensors"
    try:
        with safe_open(weights, framework="pt") as file:
            about = (file.metadata() or {}).get("about")
        if about is None:
            about = weights.with_name("config.json").read_text(encoding="utf-8")
        about = json.loads(about)
        config = TrainConfig(**about["config"])
        size = tuple(about.get("picture_size") or [config.image_size or 32] * 2)
        names, mean, std = (tuple(about[name]) for name in ("class_names", "mean", "std"))
        dataset = about["dataset"]
    except (SafetensorError, *DAMAGED) as error:
        raise ValueError(
            f"{weights} is damaged, or no run of swinlib.training left it ({error})"
        ) from error
    with torch.random.fork_rng(devices=[]):  # first weights are drawn, and thrown away
        model = build_model(config, len(names), size)
    model.load_state_dict(load_file(weights))
    return TrainedModel(model.eval(), config, names, dataset, mean, std, size)
