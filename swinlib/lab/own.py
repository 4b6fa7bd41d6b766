"""A folder of pictures and a start, for a lesson that must run on the learner's own and on none.

As a command it records what lesson 10 shows of more seeds, and of photographs:
``python -m swinlib.lab.own --data data --dataset imagefolder --out data/runs/finetune``.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from PIL import Image
from torch import Tensor

from swinlib import SwinTransformer, published, training
from swinlib.lab.learner import ROOT
from swinlib.training.checkpoint import write_atomically
from swinlib.training.shapes import SHAPE_CLASSES, draw_shapes

MINE, SHIPPED = ROOT / "data" / "my_pictures", ROOT / "data" / "runs" / "laptop_seed0"
ONLINE = "swin_tiny_torchvision"
# A kernel's temporary folders go when it ends.
_FOLDERS: list[tempfile.TemporaryDirectory] = []


def choose_pictures(per_class: int = 12, tests: int = 30) -> Path:
    """The folder ``data/my_pictures`` if somebody has put pictures there, else a drawn one.

    Args:
        per_class: drawn pictures to learn from, of each class.
        tests: the same to test with.

    Returns:
        A folder with train/<class> and test/<class>, or with classes alone.
    """
    return MINE if MINE.is_dir() else draw_folder(per_class, tests)


def draw_folder(per_class: int, tests: int) -> Path:
    """Ten classes of shapes as picture files, in a folder that goes when Python ends.

    Args:
        per_class, tests: pictures of each class to learn from, and to test with.
    """
    size = 40  # pixels of the longer side; every second picture is lower than wide
    _FOLDERS.append(tempfile.TemporaryDirectory())
    root = Path(_FOLDERS[-1].name) / "shapes"
    for split, count, seed in (("train", per_class, 5), ("test", tests, 6)):
        images, labels = draw_shapes(len(SHAPE_CLASSES) * count, seed, size)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = root / split / SHAPE_CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = image.permute(1, 2, 0).numpy()
            cut = (number // len(SHAPE_CLASSES)) % 2  # some rows above and below
            Image.fromarray(pixels[cut : size - cut]).save(folder / f"{number:04}.png")
    return root


def choose_start() -> str:
    """What to start from: Swin-T if it is here or can be fetched, else the shipped CIFAR model.

    The environment variable SWINLIB_START chooses: "shipped", or what `training.start_from` takes.
    """
    chosen = os.environ.get("SWINLIB_START")
    if chosen:
        return str(SHIPPED) if chosen == "shipped" else chosen
    try:
        return str(published.fetch(ONLINE))
    except (published.DownloadError, OSError):
        return str(SHIPPED)


def three_ways(config: training.TrainConfig) -> dict[str, training.TrainConfig]:
    """Lesson 10's ways to a classifier, each with about the same computing.

    Args:
        config: of fine-tuning, all of the model.
    """
    scratch = {"weights": None, "head_rate": 1.0, "layer_decay": 1.0, "learning_rate": 1e-3}
    return {
        "from scratch": config.replace(**scratch),
        # A step without the backward pass through the backbone costs about a third.
        "head only": config.replace(freeze="backbone", epochs=3 * config.epochs),
        "all of it": config,
    }


def small_start(start: str) -> training.TrainConfig:
    """Lesson 10's configuration: everything in memory, twelve epochs.

    Args:
        start: as `choose_start` gives it. The shipped model is narrow, which bears a larger rate,
            and trains in seconds, always in float32; others take the preset's precision.
    """
    config = training.start_from(start, training.preset("finetune"))
    small = Path(start) == SHIPPED
    return config.replace(
        stream=False,
        crop_padding=config.image_size // 16,
        batch_size=25,
        epochs=12,
        warmup_epochs=1,
        learning_rate=1e-3 if small else 2e-4,
        precision="float32" if small else config.precision,  # seconds are not worth a timing
    )


def recognised(
    model: SwinTransformer, images: Tensor, labels: Tensor, mean: tuple, std: tuple
) -> dict[str, float]:
    """Accuracies of lesson 10's ways to hand pictures over, of which one is right.

    Args:
        model: whose pictures had this mean and spread in training.
        images: ``(N, 3, H, W)`` of uint8, red first.
        labels: ``(N,)``.
        mean, std: per channel, for pictures from 0 to 1.
    """
    ways = {
        "as in training": (images, mean, std),
        "blue first": (images.flip(1), mean, std),
        "another's mean and spread": (images, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        "from 0 to 1": (images, (0, 0, 0), (1, 1, 1)),
    }
    return {
        name: training.evaluate(model, images, labels, mean, std).accuracy
        for name, (images, mean, std) in ways.items()
    }


def record_arms() -> dict:
    """Test accuracies of `three_ways` on drawn pictures, from the shipped model."""
    config = small_start(str(SHIPPED))
    data = training.load_dataset(draw_folder(12, 30), "imagefolder", config=config)
    found = {}
    for name, way in three_ways(config).items():
        runs = [training.train(way.replace(seed=seed), data, "cpu") for seed in range(3)]
        found[name] = [round(run.test_accuracy, 4) for run in runs]
    return {"test_accuracy": found}


def record_normalisation(data: training.ImageSet) -> dict:
    """`recognised` of the shipped model, on the test pictures of CIFAR-10."""
    run = training.load_model(SHIPPED)
    found = recognised(run.model, data.test_images, data.test_labels, run.mean, run.std)
    return {name: round(accuracy, 4) for name, accuracy in found.items()}


def main(arguments: list[str] | None = None) -> None:
    """The command: record what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="data", help="folder of the photographs")
    parser.add_argument("--dataset", default="auto", help="as in swinlib.training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the records")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)

    def record(name, make):
        place = chosen.out / f"{name}.json"
        if not place.exists():
            text = json.dumps(make(), indent=1)
            write_atomically(place, f"{text}\n".encode())
            print(name, text)

    def normalisation():
        config = training.TrainConfig(val_size=0.1)  # of which nothing is used
        data = training.load_dataset(chosen.data, chosen.dataset, False, config)
        if data.announcement:
            parser.error(f"--data {chosen.data}: no photographs of CIFAR-10 there")
        return record_normalisation(data)

    record("arms", record_arms)
    record("normalisation", normalisation)


if __name__ == "__main__":
    main()
