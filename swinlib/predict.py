"""``python -m swinlib.predict runs/mine picture.jpg ...``: what a trained model says of pictures.

The model is the folder of a finished run, or the name of a published checkpoint (see
swinlib.published), which is downloaded once and knows ImageNet's classes.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from swinlib import published
from swinlib._console import write_utf_8
from swinlib.attention_maps import record_attention
from swinlib.model import SwinTransformer
from swinlib.training.augment import normalise
from swinlib.training.config import choose_device
from swinlib.training.pictures import DatasetError, read_picture
from swinlib.training.runs import load_model
from swinlib.training.stream import MIDDLE, middle


@dataclass(frozen=True)
class Predictor:
    """A model and how its pictures are prepared.

    Attributes:
        model: in eval mode.
        class_names: one for each score.
        mean, std: per channel, for pictures from 0 to 1.
        prepare: from a PIL picture to the square that the model is shown.
    """

    model: SwinTransformer
    class_names: tuple
    mean: tuple
    std: tuple
    prepare: Callable

    def pixels(self, file) -> Tensor:
        """What the model is shown of a picture file: ``(3, size, size)`` of uint8.

        Raises:
            DatasetError: it cannot be read as a picture.
        """
        from torchvision.transforms.v2 import functional

        return functional.pil_to_tensor(self.prepare(read_picture(file)))

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Of every class, for pictures ``(B, 3, size, size)`` of uint8: ``(B, classes)``."""
        device = next(self.model.parameters()).device
        return self.model(normalise(pixels.to(device), self.mean, self.std)).softmax(-1).cpu()

    def best(self, pixels: Tensor, count: int) -> list[dict]:
        """The likeliest classes of one picture: ``{"class": name, "probability": share}``."""
        shares, places = self.probabilities(pixels[None])[0].topk(min(count, len(self.class_names)))
        return [
            {"class": self.class_names[place], "probability": share}
            for share, place in zip(shares.tolist(), places.tolist(), strict=True)
        ]


def load_predictor(name) -> Predictor:
    """The Predictor of a finished run's folder, or of a published checkpoint.

    Raises FileNotFoundError where there is neither, ValueError for a damaged one, DownloadError.
    """
    if Path(name).is_dir():
        run = load_model(name)
        size = run.picture_size[0]
        shorter = round(size / MIDDLE) if run.config.stream else size  # as in its own test
        return Predictor(
            run.model, run.class_names, run.mean, run.std, lambda p: middle(p, size, shorter)
        )
    if str(name) not in published.CHECKPOINTS:
        raise FileNotFoundError(
            2, "no such folder of a run, nor a published checkpoint (see swinlib.published)", name
        )
    found = published.CHECKPOINTS[str(name)]
    if found.num_classes != 1000:
        raise ValueError(f"{name} is for ImageNet-22K, whose names of classes are not known here")
    model = published.load(found, getattr(sys.modules["swinlib"], found.model)).eval()

    def prepare(picture):
        if found.resize is None:
            return picture.resize((found.size, found.size), resample=3)  # bicubic
        return middle(picture, found.size, found.resize)

    return Predictor(model, published.imagenet_classes(), found.mean, found.std, prepare)


def draw_attention(predictor: Predictor, pictures: dict[str, Tensor], file) -> None:
    """Saves a picture: for each given one, what the last block of every stage looks at.

    Bright is what the tokens of its window look at more than at others, as a mean over heads.

    Args:
        predictor: with the model to look into.
        pictures: title to ``(3, size, size)`` of uint8.
        file: to write, its ending says in which format.

    Raises:
        ValueError: no such format; a model without attention.
    """
    if not isinstance(predictor.model, SwinTransformer):
        raise ValueError("the model is no Swin Transformer and has no attention to show")
    from matplotlib.figure import Figure

    stages = len(predictor.model.layers)
    figure = Figure(figsize=(2.2 * (stages + 1), 2.4 * len(pictures)), layout="constrained")
    axes = figure.subplots(len(pictures), stages + 1, squeeze=False)
    for row, (title, pixels) in zip(axes, pictures.items(), strict=True):
        with record_attention(predictor.model) as records:
            predictor.probabilities(pixels[None])
        shown = pixels.permute(1, 2, 0).numpy()
        row[0].imshow(shown)
        row[0].set_title(title, fontsize=8)
        height, width = shown.shape[:2]
        for number, (ax, stage) in enumerate(zip(row[1:], predictor.model.layers, strict=True)):
            record = records[f"layers.{number}.blocks.{len(stage.blocks) - 1}"]
            looked_at = record.received().mean(1)[0].cpu().numpy()
            ax.imshow(shown.mean(-1), cmap="gray")
            ax.imshow(looked_at, cmap="viridis", alpha=0.65, extent=(0, width, height, 0))
            ax.set_title(f"stage {number + 1}", fontsize=8)
        for ax in row:
            ax.set(xticks=[], yticks=[])
    figure.savefig(file, dpi=150)


def main(argv=None) -> int:
    """Prints, for every picture, the likeliest classes. Returns 1 where a picture was unusable."""
    parser = argparse.ArgumentParser(prog="python -m swinlib.predict", description=__doc__)
    parser.add_argument("model", help="a run's folder, or a published checkpoint's name")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE")
    parser.add_argument("--top", type=int, default=3, help="how many classes to list (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one list as JSON")
    parser.add_argument("--attention", metavar="FILE", help="a picture of where the model looks")
    parser.add_argument("--device", help="cuda, mps or cpu; default: the fastest here")
    args = parser.parse_args(argv)
    if args.top < 1:
        parser.error(f"--top {args.top}, wanted at least 1")
    try:
        device = choose_device(args.device)
        predictor = load_predictor(args.model)
    except FileNotFoundError as error:
        parser.exit(1, f"error: {error.filename or args.model}: {error.strerror or error}\n")
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        parser.exit(1, f"error: {error}\n")
    predictor.model.to(device)
    told, seen, bad = [], {}, 0
    for file in args.pictures:
        try:
            pixels = predictor.pixels(file)
        except DatasetError as error:
            print(f"error: {error}", file=sys.stderr)
            bad = 1
            continue
        best = predictor.best(pixels, args.top)
        told.append({"picture": str(file), "predictions": best})
        seen[f"{file}\n{best[0]['class']}"] = pixels
        if not args.json:
            words = ", ".join(f"{b['class']} {b['probability']:.1%}" for b in best)
            print(f"{file}: {words}")
    if args.json:
        print(json.dumps(told, indent=1))
    if args.attention and seen:
        try:
            draw_attention(predictor, seen, args.attention)
        except (ValueError, OSError) as error:
            parser.exit(1, f"error: --attention {args.attention}: {error}\n")
    return bad


if __name__ == "__main__":
    write_utf_8()
    sys.exit(main())
